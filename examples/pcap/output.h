/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * A file being written: invisible under its own name until it is whole. One at a time.
 */
#ifndef PCAP_OUTPUT_H
#define PCAP_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

/* Empty when all zero. */
struct output {
    const char *name; /* for messages */
    const char *path; /* where the whole file goes; NULL if it is written in place */
    char *temporary;  /* name until then, or NULL */
    FILE *file;       /* its owner may take it away, and closes it then */
};

/* Begin a file; "-" is standard output. Devices and pipes are written directly. False after a
 * message. */
bool output_open(struct output *output, const char *path);

/* Tell of a failed write. */
void output_complain(const struct output *output);

/* Close the file and give it its name. False after a message; then nothing is left. */
bool output_commit(struct output *output);

/* Close and remove what has been written; harmless after a commit or a failed open. */
void output_abandon(struct output *output);

#endif
