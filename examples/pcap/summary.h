/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * What a run counted, for people and for machines.
 */
#ifndef PCAP_SUMMARY_H
#define PCAP_SUMMARY_H

#include "capture.h"
#include "tunnels.h"

enum { SUMMARY_STATUSES = 64 }; /* more than the library has */

struct summary {
    uint64_t frames;  /* read */
    uint64_t packets; /* went through the operation, refused ones included */
    uint64_t written; /* packets in the output */
    bool writes;      /* there is an output */
    struct tunnel_set tunnels;
    struct {
        int32_t status;
        uint64_t count;
    } statuses[SUMMARY_STATUSES]; /* in the library's order */
    uint32_t status_count;
    struct capture *capture; /* of `info`: what is in the frames, or NULL */
};

void summary_begin(struct summary *summary);

/* Count a packet and what became of it. */
void summary_count(struct summary *summary, int32_t status);

/* Print for a person. False if that fails. */
bool summary_print_text(const struct summary *summary, FILE *out);

/* Print as one JSON object. False if that fails. */
bool summary_print_json(const struct summary *summary, FILE *out);

void summary_end(struct summary *summary);

/* Add a count to a JSON object. */
void summary_put(json_t *object, const char *name, uint64_t count);

#endif
