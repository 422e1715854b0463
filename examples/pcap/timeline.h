/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Several capture files as one: their frames merged by time, of each file in its own order.
 *
 * No more files are open at a time than overlap.
 */
#ifndef PCAP_TIMELINE_H
#define PCAP_TIMELINE_H

#include "source.h"

struct timeline_file {
    const char *path;
    struct source source;
    struct batch batch;
    uint32_t next;     /* frame of the batch that comes next */
    bool active;       /* `source` and `batch` are in use */
    uint64_t first_ns; /* time of its first frame */
    uint64_t frames;   /* read in the last pass */
};

/* Empty when all zero. */
struct timeline {
    struct timeline_file *files; /* by time of their first frames, then as they were given */
    uint32_t count;
    uint32_t opened;             /* files that were begun in this pass */
    struct timeline_file *drawn; /* file that gave the last frames */
};

/* Look into all files, "-" for standard input. False after a message. */
bool timeline_open(struct timeline *timeline, char *const *paths, uint32_t count);

/* Begin with the first frame again. */
void timeline_rewind(struct timeline *timeline);

/*
 * Take frames that come next, all of one file; they are valid until the next call. At the end
 * there are none. False after a message.
 */
bool timeline_read(struct timeline *timeline, struct frame **frames, uint32_t *count);

/* Close; harmless on a timeline that could not be opened. */
void timeline_close(struct timeline *timeline);

#endif
