/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "verbs.h"

#include <err.h>
#include <netinet/in.h>

/* What libpcap itself writes: larger than any packet. */
enum { SNAPSHOT_LENGTH = 262144 };

/* SPI and sequence number, which `payload` of a look does not skip. */
enum { ESP_HEADER = 8 };

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
    job->report.frames = job->source.frames;
    return true;
}

/* What a packet is that the look refused: by what its IP header announces. */
static uint8_t refused_kind(const tunnelcap_pkt *pkt, int32_t status)
{
    if (status == TUNNELCAP_E_GRE_VERSION || status == TUNNELCAP_E_GRE_FLAGS)
        return TUNNELCAP_KIND_GRE; /* perhaps in UDP */
    switch (link_ip_protocol(pkt->buf + pkt->off, pkt->len)) {
    case IPPROTO_GRE:
        return TUNNELCAP_KIND_GRE;
    case IPPROTO_IPIP:
    case IPPROTO_IPV6:
        return TUNNELCAP_KIND_IPIP;
    case IPPROTO_ESP:
        return TUNNELCAP_KIND_ESP;
    default:
        return TUNNELCAP_KIND_NONE;
    }
}

/*
 * The look is at the whole packet, so that it recognises one whose payload the capture has cut
 * off. Where the headers themselves are cut off it has seen zeros.
 */
int32_t job_peek(const struct frame *frame, tunnelcap_peek_result *peek)
{
    tunnelcap_pkt pkt = frame_whole_packet(frame);
    uint32_t headers;
    int32_t status;

    *peek = (tunnelcap_peek_result){.size = sizeof *peek};
    status = tunnelcap_peek(&pkt, NULL, peek);
    if (status < 0) {
        peek->kind = refused_kind(&pkt, status);
        return status;
    }
    headers = peek->payload + (peek->kind == TUNNELCAP_KIND_ESP ? ESP_HEADER : 0u);
    if (headers > frame_packet(frame).len)
        return TUNNELCAP_E_TRUNCATED;
    if (peek->kind == TUNNELCAP_KIND_IKE || peek->kind == TUNNELCAP_KIND_NAT_KEEPALIVE)
        peek->kind = TUNNELCAP_KIND_NONE;
    return TUNNELCAP_OK;
}

struct tunnel *job_note_tunnel(struct job *job, const struct frame *frame,
                               const tunnelcap_peek_result *peek)
{
    struct tunnel_identity identity = tunnel_identify(peek);
    struct tunnel *tunnel = tunnel_set_add(&job->report.tunnels, &identity);
    tunnelcap_pkt pkt = frame_packet(frame);

    if (!tunnel)
        return NULL;
    tunnel->packets++;
    tunnel->bytes += link_ip_length(pkt.buf + pkt.off, pkt.len);
    return tunnel;
}
