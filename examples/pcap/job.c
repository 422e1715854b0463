/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "verbs.h"

#include <err.h>

/* What libpcap itself writes: larger than any packet. */
enum { SNAPSHOT_LENGTH = 262144 };

bool job_open_sink(struct job *job, int dlt)
{
    pcap_t *shape =
        pcap_open_dead_with_tstamp_precision(dlt, SNAPSHOT_LENGTH, job->source.precision);
    bool opened;

    if (!shape) {
        warn("%s", job->args.output);
        return false;
    }
    opened = sink_open(&job->sink, job->args.output, shape);
    pcap_close(shape);
    return opened;
}

bool job_read(struct job *job)
{
    if (!source_read(&job->source, &job->batch))
        return false;
    job->summary.frames = job->source.frames;
    return true;
}
