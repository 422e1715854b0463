/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * What a run counted, for people and for machines.
 */
#ifndef PCAP_REPORT_H
#define PCAP_REPORT_H

#include "capture.h"
#include "tunnels.h"

enum { REPORT_STATUSES = 64 }; /* more than the library has */

struct report {
    uint64_t frames;  /* read */
    uint64_t packets; /* went through the operation, refused ones included */
    uint64_t written; /* packets in the output */
    bool writes;      /* there is an output */
    struct tunnel_set tunnels;
    struct {
        int32_t status;
        uint64_t count;
    } statuses[REPORT_STATUSES]; /* in the library's order */
    uint32_t status_count;
    struct capture *capture; /* of `info`: what is in the frames, or NULL */
};

void report_begin(struct report *report);

/* Count a packet and what became of it. */
void report_count(struct report *report, int32_t status);

/* Print for a person. False if that fails. */
bool report_print_text(const struct report *report, FILE *out);

/* Print as one JSON object. False if that fails. */
bool report_print_json(const struct report *report, FILE *out);

void report_end(struct report *report);

/* Add a count to a JSON object. */
void report_put(json_t *object, const char *name, uint64_t count);

#endif
