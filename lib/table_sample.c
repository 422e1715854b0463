/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "table_data.h"

/* Records of the packets that a lane picks: begun before such a packet goes its way, while it can
 * be read, and finished once all results of the call are written. */

/* What a packet is as it comes. */
static void describe(const tunnelcap_i_run *run, const tunnelcap_pkt *pkt,
                     const tunnelcap_meta *meta, tunnelcap_sample *sample)
{
    const uint8_t *p = pkt->buf + pkt->off;

    if (run->direction == TUNNELCAP_ENCAP) {
        tunnelcap_i_sample_read(sample, p, pkt->len);
        sample->inner_bytes = pkt->len;
        return;
    }
    sample->flags = TUNNELCAP_SAMPLE_OUTER;
    if (meta == NULL || meta->at == TUNNELCAP_AT_IP) {
        tunnelcap_i_sample_read(sample, p, pkt->len);
        return;
    }
    sample->family = meta->src.family;
    memcpy(sample->src, meta->src.bytes, sizeof(sample->src));
    memcpy(sample->dst, meta->dst.bytes, sizeof(sample->dst));
    sample->protocol = meta->proto;
}

uint32_t tunnelcap_i_sample_begin(const tunnelcap_i_run *run, uint32_t index)
{
    tunnelcap_i_sampler *s = &run->lane->sampler;
    const tunnelcap_burst *burst = run->burst;
    const tunnelcap_pkt *pkt = &burst->pkts[index];
    const tunnelcap_meta *meta = tunnelcap_i_meta_at(burst->meta, burst->meta_stride, index);
    uint32_t slot = tunnelcap_i_ring_slot(&s->ring, s->behind);
    tunnelcap_sample *sample = &s->slots[slot];
    tunnelcap_i_sample_note *note = &s->notes[slot];

    if (tunnelcap_i_ring_room(&s->ring, s->behind)) {
        memset(sample, 0, sizeof(*sample));
        sample->now_ns = burst->now_ns;
        sample->rate = s->rate;
        sample->direction = (uint8_t)run->direction;
        note->index = index;
        note->result = run->results - 1;
        note->off = pkt->off;
        note->outer_bytes = 0;
        if (tunnelcap_i_pkt_valid(pkt)) {
            describe(run, pkt, meta, sample);
            note->outer_bytes = pkt->len + tunnelcap_i_stripped_len(meta);
        }
        s->behind = tunnelcap_i_ring_next(&s->ring, s->behind);
    }
    s->picked = index;
    s->before = s->place;
    return index + 1 + tunnelcap_i_sampler_next(s);
}

/* The result of a packet: it stands where it was noted, or before that if results were closed
 * up. */
static const tunnelcap_result *result_of(const tunnelcap_i_run *run,
                                         const tunnelcap_i_sample_note *note)
{
    const tunnelcap_result *results = run->burst->results;
    uint32_t at = note->result < run->results ? note->result : run->results - 1;

    while (results[at].index != note->index || (results[at].flags & TUNNELCAP_RESULT_SPARE))
        at--;
    return &results[at];
}

/* Bytes that were sent for a packet: its own, or those of the spares filled from it. */
static uint32_t bytes_sent(const tunnelcap_i_run *run, const tunnelcap_result *result)
{
    const tunnelcap_burst *burst = run->burst;
    uint32_t sum = result->action == TUNNELCAP_DO_SEND ? burst->pkts[result->index].len : 0;

    for (result++; result < burst->results + run->results &&
                   (result->flags & TUNNELCAP_RESULT_SPARE) && result->action == TUNNELCAP_DO_SEND;
         result++)
        sum += burst->spare[result->index].len;
    return sum;
}

static void finish(const tunnelcap_i_run *run, tunnelcap_sample *sample,
                   const tunnelcap_i_sample_note *note)
{
    const tunnelcap_result *result = result_of(run, note);
    const tunnelcap_pkt *pkt = &run->burst->pkts[note->index];
    uint8_t src[16] = {0};

    sample->tunnel = result->tunnel;
    sample->status = result->status;
    sample->action = result->action;
    if (run->direction == TUNNELCAP_ENCAP) {
        sample->outer_bytes = bytes_sent(run, result);
        return;
    }
    sample->outer_bytes = note->outer_bytes;
    if (result->action == TUNNELCAP_DO_REPLY || pkt->off == note->off)
        return;
    memcpy(sample->src, src, sizeof(src)); /* it was unwrapped */
    memcpy(sample->dst, src, sizeof(src));
    sample->src_port = sample->dst_port = 0;
    sample->family = sample->protocol = sample->tcp_flags = sample->flags = 0;
    sample->inner_bytes = pkt->len;
    tunnelcap_i_sample_read(sample, pkt->buf + pkt->off, pkt->len);
}

void tunnelcap_i_sample_end(const tunnelcap_i_run *run, uint32_t next, uint32_t done)
{
    tunnelcap_i_sampler *s = &run->lane->sampler;
    uint32_t at = TUNNELCAP_I_LOAD(s->ring.behind);

    if (s->rate == 0)
        return;
    s->gap = next - done;
    if (s->picked == done) { /* it waits for a call with more room */
        s->gap = 0;
        s->place = s->before;
    }
    s->picked = UINT32_MAX;
    for (; at != s->behind; at = tunnelcap_i_ring_next(&s->ring, at)) {
        uint32_t slot = tunnelcap_i_ring_slot(&s->ring, at);

        if (s->notes[slot].index == done)
            break;
        finish(run, &s->slots[slot], &s->notes[slot]);
    }
    s->behind = at;
    TUNNELCAP_I_STORE_REL(s->ring.behind, at);
    if (s->target != 0)
        tunnelcap_i_sampler_adapt(s, run->burst->now_ns, done);
}
