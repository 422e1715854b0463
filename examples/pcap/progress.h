/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * A bar on standard error that shows how far a large file has been read.
 */
#ifndef PCAP_PROGRESS_H
#define PCAP_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    uint64_t size;    /* bytes in all */
    uint64_t next_ns; /* when to draw again */
    bool shown;       /* to be drawn at all */
    bool drawn;       /* to be wiped at the end */
};

/* Begin a bar for a file of that size; small files and a stderr that is no terminal get none. */
void progress_begin(struct progress *progress, uint64_t size);

/* Show how many bytes are read; cheap to call often. */
void progress_show(struct progress *progress, uint64_t done);

/* Wipe the bar. */
void progress_end(struct progress *progress);

#endif
