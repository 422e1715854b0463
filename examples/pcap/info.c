/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * info: what is in the capture, without changing or writing anything.
 */
#include "verbs.h"

/* Count the SYN that a packet is, or that its tunnel carries. */
static void look_for_syn(struct job *job, const struct frame *frame,
                         const tunnelcap_peek_result *peek)
{
    tunnelcap_pkt pkt = frame_packet(frame);
    bool tunnelled = peek->kind == TUNNELCAP_KIND_GRE || peek->kind == TUNNELCAP_KIND_IPIP;

    if (tunnelled) {
        if (peek->flags & TUNNELCAP_PEEK_FRAGMENT || (peek->protocol != TUNNELCAP_ETHERTYPE_IPV4 &&
                                                      peek->protocol != TUNNELCAP_ETHERTYPE_IPV6))
            return;
        pkt.off += peek->payload;
        pkt.len -= peek->payload;
    }
    capture_count_syn(job->summary.capture, &pkt, tunnelled);
}

static bool look_at(struct job *job, const struct frame *frame)
{
    tunnelcap_peek_result peek;
    int32_t status;

    capture_count_frame(job->summary.capture, frame);
    if (!frame->link.version)
        return true;
    status = frame_peek(frame, &peek);
    summary_count(&job->summary, status);
    if (status < 0)
        return true;
    look_for_syn(job, frame, &peek);
    return peek.kind == TUNNELCAP_KIND_NONE || peek.flags & TUNNELCAP_PEEK_FRAGMENT ||
           tunnel_set_note(&job->summary.tunnels, frame, &peek) != NULL;
}

bool verb_info(struct job *job)
{
    job->summary.capture = capture_new(pcap_datalink(job->source.pcap));
    if (!job->summary.capture)
        return false;
    while (job_read(job)) {
        if (!job->batch.count)
            return true;
        for (uint32_t i = 0; i < job->batch.count; i++) {
            if (!look_at(job, &job->batch.frames[i]))
                return false;
        }
    }
    return false;
}
