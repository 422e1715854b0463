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

int32_t job_peek(const struct frame *frame, tunnelcap_peek_result *peek)
{
    tunnelcap_pkt pkt = frame_packet(frame);
    int32_t status;

    *peek = (tunnelcap_peek_result){.size = sizeof *peek};
    status = tunnelcap_peek(&pkt, NULL, peek);
    if (peek->kind == TUNNELCAP_KIND_IKE || peek->kind == TUNNELCAP_KIND_NAT_KEEPALIVE)
        peek->kind = TUNNELCAP_KIND_NONE;
    return status;
}

struct tunnel *job_note_tunnel(struct job *job, const struct frame *frame,
                               const tunnelcap_peek_result *peek)
{
    struct tunnel_identity identity = tunnel_identify(peek);
    struct tunnel *tunnel = tunnel_set_add(&job->summary.tunnels, &identity);
    tunnelcap_pkt pkt = frame_packet(frame);

    if (!tunnel)
        return NULL;
    tunnel->packets++;
    tunnel->seen |= peek->flags;
    tunnel->bytes += link_ip_length(pkt.buf + pkt.off, pkt.len);
    return tunnel;
}
