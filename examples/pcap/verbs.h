/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The four things that this program does with a capture file, and what they share.
 */
#ifndef PCAP_VERBS_H
#define PCAP_VERBS_H

#include "args.h"
#include "plane.h"
#include "sink.h"
#include "source.h"
#include "summary.h"

struct job {
    struct args args;
    struct source source; /* open */
    struct sink sink;     /* opened by the verb */
    struct batch batch;   /* of the source */
    struct summary summary;
};

/* Open the output for packets of this libpcap link type. False after a message. */
bool job_open_sink(struct job *job, int dlt);

/* Read a batch and count its frames; batch.count is 0 at the end. False after a message. */
bool job_read(struct job *job);

/*
 * Look whether a frame holds the packet of a tunnel. Returns the status of the look. peek->kind
 * is TUNNELCAP_KIND_NONE unless it does; where the status is negative, nothing else is sure.
 */
int32_t job_peek(const struct frame *frame, tunnelcap_peek_result *peek);

/* Enter the tunnel of a packet, looked at with success, into the summary and count the packet
 * there. NULL after a message. */
struct tunnel *job_note_tunnel(struct job *job, const struct frame *frame,
                               const tunnelcap_peek_result *peek);

/* Each returns false after a message. */
bool verb_decap(struct job *job);
bool verb_encap(struct job *job);
bool verb_clamp(struct job *job);
bool verb_info(struct job *job);

#endif
