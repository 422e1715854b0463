/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Frames of a capture file, in batches, each with room for a tunnel's headers and trailers.
 */
#ifndef PCAP_SOURCE_H
#define PCAP_SOURCE_H

#include "link.h"
#include "progress.h"

#include <pcap/pcap.h>
#include <stdio.h>
#include <tunnelcap/peek.h>

enum {
    SOURCE_BATCH = 64,
    SOURCE_HEADROOM = 128, /* more than any tunnel's headers */
    SOURCE_TAILROOM = 64   /* more than ESP's padding and ICV */
};

struct frame {
    struct pcap_pkthdr header;
    uint64_t time_ns; /* since 1970 */
    struct link_view link;
    uint8_t *buf; /* SOURCE_HEADROOM bytes, then the frame, then SOURCE_TAILROOM bytes */
    uint32_t cap;
    bool joined; /* the packet has been put together from fragments */
};

struct batch {
    uint32_t count;
    struct frame frames[SOURCE_BATCH];
};

struct source {
    const char *name; /* for messages */
    FILE *spool;      /* copy of an input that cannot be read twice, or NULL */
    int fd;
    pcap_t *pcap;
    unsigned precision; /* PCAP_TSTAMP_PRECISION_ of the frames' times */
    uint64_t frames;    /* read in this pass */
    struct progress progress;
};

/* Open a capture file, "-" for standard input. False after a message if that is impossible. */
bool source_open(struct source *source, const char *path);

/* Read the frames again from the first one. False after a message. */
bool source_rewind(struct source *source);

/* Read up to SOURCE_BATCH frames; count 0 at the end. False after a message. */
bool source_read(struct source *source, struct batch *batch);

/* Close; harmless on a source that could not be opened. */
void source_close(struct source *source);

/* Give back the memory of a batch. */
void batch_free(struct batch *batch);

/* The bytes of a frame. */
uint8_t *frame_bytes(const struct frame *frame);

/* The IP packet of a frame, with what lies behind it in the frame; it must have one. */
tunnelcap_pkt frame_packet(const struct frame *frame);

/*
 * Look whether a frame holds the packet of a tunnel. Returns the status of the look. peek->kind
 * is TUNNELCAP_KIND_NONE unless it does; where the status is negative, nothing else is sure.
 */
int32_t frame_peek(const struct frame *frame, tunnelcap_peek_result *peek);

#endif
