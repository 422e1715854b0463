/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The things that this program does with capture files, and what they share.
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

/* Each returns false after a message. */
bool verb_decap(struct job *job);
bool verb_encap(struct job *job);
bool verb_clamp(struct job *job);
bool verb_info(struct job *job);
bool verb_report(const struct args *args);

#endif
