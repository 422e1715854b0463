/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * report: what went through the tunnels of captures, over time, by whom, and what was refused.
 */
#ifndef PCAP_REPORT_H
#define PCAP_REPORT_H

#include "args.h"
#include "flow.h"
#include "join.h"
#include "keyring.h"
#include "plane.h"
#include "timeline.h"

#include <stdio.h>

enum {
    REPORT_BINS = 240,     /* of a chart at most */
    REPORT_BUCKETS = 1200, /* of a history at most, unless they are hours */
    REPORT_HOURS = 10000,  /* of a history at most; what is before is not charted */
    REPORT_KEYS = 512,     /* watched for each list of talkers */
    REPORT_LISTED = 100,   /* of them in a list at most */
    REPORT_SPIS = 16,      /* named of a direction */
    REPORT_NOTES = 4,
    REPORT_STATUSES = 64,          /* more than the library has */
    REPORT_NAME_SIZE = 160,        /* of what a scope or a key is called */
    REPORT_MOST_TUNNELS = 1 << 17, /* directions that are looked into; others only count */
    REPORT_FACTS = 4 + REPORT_STATUSES,
    REPORT_MOST_SCOPES = 256 + 3
};

/* What talkers are listed by. */
enum dimension {
    BY_SOURCE,
    BY_DESTINATION,
    BY_SOURCE_PORT,
    BY_DESTINATION_PORT,
    BY_PROTOCOL,
    BY_SIZE,
    BY_TCP_FLAGS,
    DIMENSIONS
};

/* One direction of a scope, or all of them. */
struct direction {
    uint64_t packets;     /* outer packets, whole ones */
    uint64_t outer_bytes; /* of these, by their IP headers */
    uint64_t delivered;   /* packets that came out of the tunnel */
    uint64_t inner_bytes; /* of these */
    uint64_t clamped;     /* TCP SYNs with a larger MSS than fits */
    uint64_t joined;      /* outer packets that came in fragments */
    uint64_t inner_fragments;
    uint64_t too_big;    /* ICMP errors that say an outer packet was too big for its path */
    uint32_t lowest_mtu; /* that they told, 0 if there are none */
    uint32_t spi_count;  /* ESP: different ones, not all of which stand below */
    uint32_t spis[REPORT_SPIS];
    uint64_t statuses[REPORT_STATUSES]; /* packets by what became of them, in the library's order */
};

enum scope_kind {
    SCOPE_ALL,    /* all tunnels together */
    SCOPE_TUNNEL, /* one tunnel, both directions */
    SCOPE_OTHERS, /* tunnels that have no scope of their own, and what could not be told */
    SCOPE_PLAIN   /* packets in no tunnel */
};

/* What is counted together. */
struct scope {
    enum scope_kind kind;
    struct tunnel_identity ends; /* of a tunnel: `local` is the lower address; direction 0 is from
                                    `local` to `remote` */
    char name[64];               /* of a tunnel: in the configuration, or empty */
    uint32_t tunnels;            /* directions of tunnels that count here */
    uint32_t inner_mtu;          /* largest inner packet on a path of DEPLOY_PATH_MTU; or 0 */
    uint32_t direction_count;    /* 2 for a tunnel, else 1 */
    struct direction directions[2];
    tunnelcap_history *history;
    tunnelcap_history_totals totals;
    uint64_t second; /* that the totals are in */
    tunnelcap_top *tops[DIMENSIONS];
};

struct report {
    const struct args *args;
    struct timeline timeline;
    struct keyring ring;
    struct join join;
    struct plane plane;
    struct tunnel_set tunnels;
    uint64_t frames;
    uint64_t packets;   /* frames with an IP packet */
    uint64_t fragments; /* outer ones */
    uint64_t joined;    /* packets that they made */
    uint64_t unfit;     /* fragments that were refused */
    uint64_t untold;    /* packets of tunnels beyond REPORT_MOST_TUNNELS */
    uint64_t late;      /* frames with an earlier time than one before them */
    uint64_t latest_ns; /* time that has been reached in this pass */
    uint64_t first_ns;  /* of all frames */
    uint64_t last_ns;
    uint32_t span;    /* TUNNELCAP_HISTORY_ of the charts */
    uint32_t span_s;  /* the same in seconds */
    uint64_t start_s; /* of the first bin */
    uint64_t step_s;  /* of a bin, a multiple of span_s */
    uint32_t bins;
    uint64_t buckets;      /* that a history keeps */
    struct scope **scopes; /* all, then tunnels by bytes, then others and plain if there are any */
    uint32_t scope_count;
    struct scope *all, *others, *plain;
};

/* A scope's history in the bins of the report, and what is told of it as a whole. */
struct series {
    uint64_t bytes[2][REPORT_BINS];
    uint64_t packets[2][REPORT_BINS];
    uint64_t rate[2][REPORT_BINS]; /* average in bits per second */
    uint64_t peak[2][REPORT_BINS]; /* that of the busiest second in it */
    uint64_t average[2];           /* over the time from the first frame to the last */
    uint64_t highest[2];           /* of the busiest second */
    uint64_t highest_packets[2];   /* the same in packets per second */
    uint64_t percentile[2];        /* the 95th of the averages of `span` */
};

/* A list of talkers. */
struct talkers {
    uint32_t count;
    uint64_t total; /* weight of all */
    bool exact;     /* no key was pushed out */
    tunnelcap_top_item items[REPORT_LISTED];
};

/* Something that has happened so often. */
struct fact {
    uint64_t count;
    int32_t status; /* negative: packets were refused for that */
    char text[REPORT_NAME_SIZE];
};

/* ---- report_scope.c: counting -------------------------------------------------------------- */

struct scope *scope_new(enum scope_kind kind);

/* Begin its history and lists, for a report whose times are known. False after a message. */
bool scope_start(struct scope *scope, const struct report *report);

/* Count an outer packet, or a packet in no tunnel, at a time of the report. */
void scope_count_packet(struct scope *scope, uint32_t direction, uint64_t second, uint64_t bytes);

/* Count what became of it. */
void scope_count_status(struct scope *scope, uint32_t direction, int32_t status);

/* Count the flow of a packet that came out, or was in no tunnel. */
void scope_count_flow(struct scope *scope, const struct flow *flow);

/* Close the history at the end of the report. */
void scope_finish(struct scope *scope, const struct report *report);

void scope_free(struct scope *scope);

void scope_series(const struct scope *scope, const struct report *report, struct series *series);

/* The heaviest keys, at most `most` of them. */
void scope_talkers(const struct scope *scope, enum dimension dimension, uint32_t most,
                   struct talkers *talkers);

/* ---- report_config.c ----------------------------------------------------------------------- */

/* Give the tunnels that a configuration knows their names. False after a message. */
bool report_name_tunnels(struct report *report, const char *path);

/* ---- report_name.c: what things are called --------------------------------------------------- */

/* Copy text as UTF-8 without control characters, whatever it was; it is cut where there is no more
 * room. Returns the copy. */
const char *report_clean(const char *text, char *clean, size_t size);

const char *report_name(const struct scope *scope, char name[REPORT_NAME_SIZE]);

/* "192.0.2.1 to 198.51.100.1" for a direction of a tunnel. */
const char *report_direction_name(const struct scope *scope, uint32_t direction,
                                  char name[REPORT_NAME_SIZE]);

/* What the lists are called for people and in JSON, and what they weigh. */
const char *report_dimension_title(enum dimension dimension);
const char *report_dimension_name(enum dimension dimension);
const char *report_dimension_unit(enum dimension dimension);

const char *report_key_name(enum dimension dimension, const tunnelcap_top_item *item,
                            char name[REPORT_NAME_SIZE]);

/* "2026-11-28T12:34:56Z", with a fraction if there is one. */
const char *report_time(uint64_t time_ns, char text[REPORT_NAME_SIZE]);

/* "1 h 2 min 3 s" */
const char *report_duration(uint64_t seconds, char text[REPORT_NAME_SIZE]);

/* ---- report_facts.c: what is said in words --------------------------------------------------- */

/* What there is to mind about a report as a whole. Returns how many notes there are. */
uint32_t report_notes(const struct report *report, char notes[REPORT_NOTES][REPORT_NAME_SIZE]);

/* Packets of a direction that were not OK. */
uint64_t report_refused(const struct direction *direction);

/* What else there is to say of a direction than its rates. Returns how many facts there are. */
uint32_t report_facts(const struct direction *direction, struct fact facts[REPORT_FACTS]);

/* ---- writers: false after a failed write, with errno set ------------------------------------ */

bool report_print_text(const struct report *report, FILE *out);
bool report_print_json(const struct report *report, FILE *out);
bool report_print_html(const struct report *report, FILE *out);

#endif
