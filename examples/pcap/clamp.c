/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * clamp: every frame is written, TCP SYNs with an MSS that is not above the limit.
 */
#include "verbs.h"

static tunnelcap_mss_config limits_of(const struct args *args)
{
    tunnelcap_mss_config config;

    tunnelcap_mss_config_init(&config, sizeof config, 0);
    config.limit4 = args->mss4;
    config.limit6 = args->mss6;
    if (args->force)
        config.flags |= TUNNELCAP_MSS_BELOW_FLOOR;
    return config;
}

/* The packets are windows on the frames, so the frames change in place. */
static void clamp_batch(struct job *job, const tunnelcap_mss_config *limits)
{
    tunnelcap_pkt pkts[SOURCE_BATCH];
    uint32_t count = 0;

    for (uint32_t i = 0; i < job->batch.count; i++) {
        if (job->batch.frames[i].link.version)
            pkts[count++] = frame_packet(&job->batch.frames[i]);
    }
    tunnelcap_mss_clamp(limits, pkts, NULL, 0, count);
    for (uint32_t i = 0; i < count; i++)
        summary_count(&job->summary, pkts[i].status);
}

static bool write_batch(struct job *job)
{
    for (uint32_t i = 0; i < job->batch.count; i++) {
        const struct frame *frame = &job->batch.frames[i];

        if (!sink_write(&job->sink, frame->header.ts, frame_bytes(frame), frame->header.caplen,
                        frame->header.len))
            return false;
    }
    return true;
}

bool verb_clamp(struct job *job)
{
    tunnelcap_mss_config limits = limits_of(&job->args);

    if (!job_open_sink(job, link_savefile(pcap_datalink(job->source.pcap))))
        return false;
    while (job_read(job)) {
        if (!job->batch.count)
            return true;
        clamp_batch(job, &limits);
        if (!write_batch(job))
            return false;
    }
    return false;
}
