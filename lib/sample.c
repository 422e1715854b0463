/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "sample.h"

#include <string.h>

enum { NS_PER_S = 1000000000, PROTO_SCTP = 132, TCP_FLAGS = 13 };

/* A place in a row: a number below the rate, each with a chance that differs from 1 / rate by less
 * than rate / 2^32 of it. */
static uint32_t draw(tunnelcap_i_sampler *s)
{
    uint64_t hash = tunnelcap_i_hash2(s->key, ++s->draws, 0x53414d504c45);

    return (uint32_t)((hash >> 32) * s->rate >> 32);
}

static void begin_row(tunnelcap_i_sampler *s)
{
    s->place = draw(s);
    s->gap = s->place;
}

void tunnelcap_i_sampler_init(tunnelcap_i_sampler *s, tunnelcap_i_flow_key key, uint32_t slots,
                              uint32_t rate, uint32_t target)
{
    s->key = key;
    s->ring.count = slots;
    s->rate = slots != 0 ? rate : 0;
    s->target = target;
    s->gap = UINT32_MAX;
    s->picked = UINT32_MAX;
    if (s->rate != 0)
        begin_row(s);
}

uint32_t tunnelcap_i_sampler_next(tunnelcap_i_sampler *s)
{
    uint32_t rest = s->rate - 1 - s->place;

    s->place = draw(s);
    return rest + s->place;
}

void tunnelcap_i_sampler_adapt(tunnelcap_i_sampler *s, uint64_t now_ns, uint32_t packets)
{
    uint64_t passed = now_ns > s->window_ns ? now_ns - s->window_ns : 0;
    uint32_t rate = s->rate;
    uint64_t in_second;

    s->packets += packets;
    if (!s->is_begun) {
        s->is_begun = 1;
        s->window_ns = now_ns;
        passed = 0;
    }
    if (passed < NS_PER_S) {
        if (s->packets <= 2 * (uint64_t)s->target * rate || rate == TUNNELCAP_I_SAMPLE_RATE_MAX)
            return;
        rate *= 2; /* too many already */
    } else {
        in_second = s->packets * 1000 / (passed / (NS_PER_S / 1000));
        while (rate < TUNNELCAP_I_SAMPLE_RATE_MAX && in_second > 2 * (uint64_t)s->target * rate)
            rate *= 2;
        if (rate > 1 && 2 * in_second < (uint64_t)s->target * rate)
            rate /= 2; /* slowly, since a pause is soon over */
        s->packets = 0;
        s->window_ns = now_ns;
    }
    if (rate == s->rate)
        return;
    s->rate = rate < TUNNELCAP_I_SAMPLE_RATE_MAX ? rate : TUNNELCAP_I_SAMPLE_RATE_MAX;
    begin_row(s);
}

void tunnelcap_i_sample_read(tunnelcap_sample *sample, const uint8_t *p, uint32_t len)
{
    tunnelcap_i_ip ip;
    const uint8_t *l4;

    if (tunnelcap_i_ip_read(p, len, &ip) != TUNNELCAP_OK)
        return;
    sample->family = ip.family;
    sample->protocol = ip.protocol;
    memcpy(sample->src, ip.src, ip.addr_len);
    memcpy(sample->dst, ip.src + ip.addr_len, ip.addr_len);
    if (ip.fragment)
        sample->flags |= TUNNELCAP_SAMPLE_FRAGMENT;
    if (ip.non_first || ip.total > len || ip.total - ip.payload < 4 ||
        (ip.protocol != TUNNELCAP_I_PROTO_TCP && ip.protocol != TUNNELCAP_I_PROTO_UDP &&
         ip.protocol != PROTO_SCTP))
        return;
    l4 = p + ip.payload;
    sample->src_port = tunnelcap_i_load16(l4);
    sample->dst_port = tunnelcap_i_load16(l4 + 2);
    if (ip.protocol == TUNNELCAP_I_PROTO_TCP && ip.total - ip.payload > TCP_FLAGS)
        sample->tcp_flags = l4[TCP_FLAGS];
}
