/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * decap: two passes over the capture. The first finds out which tunnels there are, the second
 * carries the packets out of them. The library then looks at a captured packet exactly as it
 * would look at one that arrives at the tunnel's end.
 */
#include "deploy.h"
#include "join.h"
#include "keyring.h"
#include "verbs.h"

#include <err.h>

/* Packets of one batch on their way through the data path. */
struct burst {
    uint32_t count;
    tunnelcap_pkt pkts[SOURCE_BATCH];
    const struct frame *frames[SOURCE_BATCH];
};

static bool is_wanted(const struct job *job, uint8_t kind)
{
    return kind != TUNNELCAP_KIND_NONE &&
           (job->args.only == TUNNELCAP_KIND_NONE || job->args.only == kind);
}

static bool discover(struct job *job, struct keyring *ring, struct join *join)
{
    while (job_read(job)) {
        if (!job->batch.count)
            return true;
        for (uint32_t i = 0; i < job->batch.count; i++) {
            struct frame *frame = &job->batch.frames[i];
            tunnelcap_peek_result peek;
            int32_t status;

            if (!frame->link.version)
                continue;
            status = join_look(join, frame, &peek);
            if (status >= 0 && status != TUNNELCAP_KEPT && is_wanted(job, peek.kind) &&
                join_tells_tunnel(&peek) &&
                !keyring_note(ring, &job->summary.tunnels, frame, &peek))
                return false;
        }
    }
    return false;
}

/* Why a packet cannot go through the data path, or OK. */
static int32_t admit(const struct job *job, const tunnelcap_peek_result *peek)
{
    struct tunnel_identity identity = tunnel_identify(peek);
    const struct tunnel *tunnel;

    if (peek->kind == TUNNELCAP_KIND_ESP && !job->args.keys)
        return TUNNELCAP_E_UNSUPPORTED;
    if (!join_tells_tunnel(peek))
        return TUNNELCAP_E_FRAGMENT;
    tunnel = tunnel_set_find(&job->summary.tunnels, &identity);
    return tunnel ? tunnel->status : TUNNELCAP_E_NO_TUNNEL;
}

static void collect(struct job *job, struct join *join, struct burst *burst)
{
    burst->count = 0;
    for (uint32_t i = 0; i < job->batch.count; i++) {
        struct frame *frame = &job->batch.frames[i];
        tunnelcap_peek_result peek;
        int32_t status;

        if (!frame->link.version)
            continue;
        status = join_look(join, frame, &peek);
        if (!is_wanted(job, peek.kind))
            continue;
        if (status >= 0 && status != TUNNELCAP_KEPT)
            status = admit(job, &peek);
        if (status < 0 || status == TUNNELCAP_KEPT) {
            summary_count(&job->summary, status);
            continue;
        }
        burst->pkts[burst->count] = frame_packet(frame);
        burst->frames[burst->count++] = frame;
    }
}

/* Tell whether what came out of a tunnel is what the output holds. */
static bool is_output(const struct job *job, const tunnelcap_result *result)
{
    /* A keepalive is an IP packet too, though a tunnel's end would send it back. */
    if (result->action == TUNNELCAP_DO_REPLY)
        return !job->args.ethernet;
    if (result->action != TUNNELCAP_DO_DELIVER)
        return false;
    if (job->args.ethernet)
        return result->value == TUNNELCAP_ETHERTYPE_ETHERNET;
    return result->value == TUNNELCAP_ETHERTYPE_IPV4 || result->value == TUNNELCAP_ETHERTYPE_IPV6;
}

static bool carry(struct job *job, struct plane *plane, struct burst *burst)
{
    if (!burst->count)
        return true;
    if (!plane_carry(plane, tunnelcap_table_decap, burst->pkts, burst->count,
                     burst->frames[0]->time_ns))
        return false;
    for (uint32_t i = 0; i < burst->count; i++) {
        const tunnelcap_pkt *pkt = &burst->pkts[i];

        summary_count(&job->summary, plane->results[i].status);
        if (is_output(job, &plane->results[i]) &&
            !sink_write(&job->sink, burst->frames[i]->header.ts, pkt->buf + pkt->off, pkt->len,
                        pkt->len))
            return false;
    }
    return true;
}

static bool carry_all(struct job *job, struct plane *plane, struct join *join)
{
    struct burst burst;

    while (job_read(job)) {
        if (!job->batch.count)
            return true;
        collect(job, join, &burst);
        if (!carry(job, plane, &burst))
            return false;
    }
    return false;
}

bool verb_decap(struct job *job)
{
    const struct args *args = &job->args;
    struct keyring ring = {0};
    struct plane plane = {0};
    struct join join = {0};
    bool carried = (!args->keys || keyring_open(&ring, args->keys)) && join_open(&join) &&
                   discover(job, &ring, &join) && source_rewind(&job->source) &&
                   deploy_all(&plane, &job->summary.tunnels, &ring, 0) &&
                   job_open_sink(job, args->ethernet ? DLT_EN10MB : DLT_RAW) && join_open(&join) &&
                   carry_all(job, &plane, &join) &&
                   (!args->write_esp_sa || keyring_write_esp_sa(&ring, args->write_esp_sa));

    join_close(&join);
    plane_close(&plane);
    keyring_close(&ring);
    return carried;
}
