/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "hand.h"

#define INLINE      static inline __attribute__((always_inline))
#define OUT_OF_LINE static __attribute__((noinline))

/* What a loop is compiled for. */
struct options {
    int ipv6, ipip, key, seq, csum, udp, udp_zero;
};

struct inner {
    uint32_t len;
    uint32_t tos;
    uint32_t ipv6;
};

uint16_t hand_sum(const uint8_t *p, size_t len)
{
    uint64_t a = 0, b = 0, c = 0, d = 0;
    uint8_t last[2] = {0}, swapped[2];
    uint16_t sum;

    for (; len >= 32; p += 32, len -= 32) {
        a = hand_add_carry(a, hand_raw64(p));
        b = hand_add_carry(b, hand_raw64(p + 8));
        c = hand_add_carry(c, hand_raw64(p + 16));
        d = hand_add_carry(d, hand_raw64(p + 24));
    }
    a = hand_add_carry(hand_add_carry(a, b), hand_add_carry(c, d));
    for (; len >= 8; p += 8, len -= 8)
        a = hand_add_carry(a, hand_raw64(p));
    if (len & 4) {
        a = hand_add_carry(a, hand_raw32(p));
        p += 4;
    }
    if (len & 2) {
        memcpy(&sum, p, sizeof(sum));
        a = hand_add_carry(a, sum);
        p += 2;
    }
    if (len & 1) {
        last[0] = *p;
        memcpy(&sum, last, sizeof(sum));
        a = hand_add_carry(a, sum);
    }
    sum = (uint16_t)hand_fold64(a);
    memcpy(swapped, &sum, sizeof(sum));
    return (uint16_t)hand_load16(swapped);
}

/* The IP header of the template; `rest` bytes of other headers follow it. */
static void init_outer(struct hand_tunnel *t, const tunnelcap_outer *outer, uint8_t protocol)
{
    uint8_t *h = t->header;

    memset(t, 0, sizeof(*t));
    t->hash_key = 0x9e3779b97f4a7c15;
    if (outer->local.family == TUNNELCAP_IPV4) {
        h[0] = 0x45;
        h[6] = 0x40;
        h[8] = outer->ttl;
        h[9] = protocol;
        memcpy(h + 12, outer->local.bytes, 4);
        memcpy(h + 16, outer->remote.bytes, 4);
        memcpy(t->peer, outer->remote.bytes, 4);
        memcpy(t->peer + 4, outer->local.bytes, 4);
        t->sum = hand_sum(h, 20);
    } else {
        h[0] = 0x60;
        h[6] = protocol;
        h[7] = outer->ttl;
        memcpy(h + 8, outer->local.bytes, 16);
        memcpy(h + 24, outer->remote.bytes, 16);
        memcpy(t->peer, outer->remote.bytes, 16);
        memcpy(t->peer + 16, outer->local.bytes, 16);
    }
}

void hand_init_gre(struct hand_tunnel *t, const tunnelcap_gre_config *config)
{
    int udp = (config->flags & TUNNELCAP_GRE_UDP) != 0;
    int csum = (config->flags & TUNNELCAP_GRE_CHECKSUM) != 0;
    int key = (config->flags & TUNNELCAP_GRE_KEY_OUT) != 0;
    int seq = (config->flags & TUNNELCAP_GRE_SEQUENCE) != 0;
    uint8_t *h = t->header + (config->outer.local.family == TUNNELCAP_IPV4 ? 20 : 40);

    init_outer(t, &config->outer, udp ? 17 : 47);
    if (udp) {
        hand_store16(h + 2, config->udp_port);
        h += 8;
    }
    hand_store16(h, (csum ? 0x8000U : 0U) | (key ? 0x2000U : 0U) | (seq ? 0x1000U : 0U));
    hand_store16(h + 2, TUNNELCAP_ETHERTYPE_IPV4);
    if (key)
        hand_store32(h + (csum ? 8 : 4), config->key_out);
    t->pseudo = hand_sum(t->peer, sizeof(t->peer)) + 17U;
    t->key_in = config->key_in;
    t->udp_port = config->udp_port;
    atomic_init(&t->seq, config->seq_start);
}

void hand_init_ipip(struct hand_tunnel *t, const tunnelcap_ipip_config *config)
{
    init_outer(t, &config->outer, 4);
}

/* Inner packets other than IPv4 without options. */
OUT_OF_LINE int32_t look_closer(const uint8_t *p, uint32_t len, struct inner *inner)
{
    uint32_t header = 40;

    if (len == 0)
        return TUNNELCAP_E_TRUNCATED;
    if (p[0] >> 4 == 6) {
        if (len < 40)
            return TUNNELCAP_E_TRUNCATED;
        inner->len = 40 + hand_load16(p + 4);
        inner->tos = hand_load16(p) >> 4 & 0xff;
        inner->ipv6 = 1;
    } else {
        header = (uint32_t)(p[0] & 15) * 4;
        if (p[0] >> 4 != 4 || header < 20)
            return TUNNELCAP_E_MALFORMED;
        if (len < 20)
            return TUNNELCAP_E_TRUNCATED;
        inner->len = hand_load16(p + 2);
        inner->tos = p[1];
    }
    if (inner->len < header)
        return TUNNELCAP_E_MALFORMED;
    return inner->len > len ? TUNNELCAP_E_TRUNCATED : TUNNELCAP_OK;
}

INLINE int32_t look(const uint8_t *p, uint32_t len, struct inner *inner)
{
    inner->ipv6 = 0;
    if (len < 20 || p[0] != 0x45)
        return look_closer(p, len, inner);
    inner->len = hand_load16(p + 2);
    inner->tos = p[1];
    if (inner->len > len)
        return TUNNELCAP_E_TRUNCATED;
    return inner->len < 20 ? TUNNELCAP_E_MALFORMED : TUNNELCAP_OK;
}

INLINE uint64_t mix(uint64_t x, uint64_t y)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)x * y;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* A keyed hash of addresses and ports, alike for all packets of a flow. */
INLINE uint64_t flow_hash(const struct hand_tunnel *t, const uint8_t *p, const struct inner *inner)
{
    uint64_t ports = 0, h;

    if (inner->ipv6) {
        h = mix(hand_raw64(p + 8) ^ t->hash_key, hand_raw64(p + 16) | 1);
        return mix(hand_raw64(p + 24) ^ h, hand_raw64(p + 32) | 1);
    }
    if (p[0] == 0x45 && inner->len >= 24 && (p[9] == 6 || p[9] == 17) &&
        (hand_load16(p + 6) & 0x3fff) == 0)
        ports = hand_raw32(p + 20);
    h = mix(hand_raw64(p + 12) ^ t->hash_key, ports ^ 0xa0761d6478bd642f);
    return mix(h, t->hash_key);
}

INLINE int is_fragment(const uint8_t *p, const struct inner *inner)
{
    return inner->ipv6 ? p[6] == 44 : (hand_load16(p + 6) & 0x3fff) != 0;
}

/* UDP length, source port and checksum; the GRE header behind it is complete. */
INLINE void write_udp(const struct hand_tunnel *t, const uint8_t *p, uint8_t *h, uint32_t total,
                      uint64_t hash, const struct inner *inner, struct options o)
{
    uint32_t ip = o.ipv6 ? 40 : 20;
    uint32_t len = total - ip;
    uint32_t sum;

    hand_store16(h + ip, 49152 | (uint32_t)(hash & 0x3fff));
    hand_store16(h + ip + 4, len);
    if (o.udp_zero && !is_fragment(p, inner))
        return;
    sum = ~hand_fold(hand_sum(h + ip, len) + t->pseudo + len) & 0xffff;
    hand_store16(h + ip + 6, sum != 0 ? sum : 0xffff);
}

INLINE uint32_t header_len(struct options o)
{
    uint32_t gre = 4 + (o.csum ? 4U : 0U) + (o.key ? 4U : 0U) + (o.seq ? 4U : 0U);

    return (o.ipv6 ? 40U : 20U) + (o.udp ? 8U : 0U) + (o.ipip ? 0U : gre);
}

INLINE int32_t wrap(struct hand_tunnel *t, tunnelcap_pkt *pkt, struct options o)
{
    uint32_t n = header_len(o);
    uint32_t gre = (o.ipv6 ? 40U : 20U) + (o.udp ? 8U : 0U);
    const uint8_t *p = pkt->buf + pkt->off;
    struct inner inner;
    uint64_t hash = 0;
    uint32_t total;
    uint8_t *h;
    int32_t status;

    if (!hand_window(pkt))
        return TUNNELCAP_E_INVALID;
    status = look(p, pkt->len, &inner);
    if (status != TUNNELCAP_OK)
        return status;
    total = inner.len + n;
    if (total > (o.ipv6 ? 65535U + 40U : 65535U))
        return TUNNELCAP_E_TOO_BIG;
    if (pkt->off < n)
        return TUNNELCAP_E_HEADROOM;

    h = pkt->buf + pkt->off - n;
    memcpy(h, t->header, n);
    if (o.udp || o.ipv6)
        hash = flow_hash(t, p, &inner);
    if (o.ipv6) {
        hand_store32(h, 6U << 28 | inner.tos << 20 | (uint32_t)(hash >> 44));
        hand_store16(h + 4, total - 40);
    } else {
        uint32_t protocol = o.ipip && inner.ipv6 ? 41 - 4 : 0; /* on top of the template */

        h[1] = (uint8_t)inner.tos;
        hand_store16(h + 2, total);
        h[9] = (uint8_t)(h[9] + protocol);
        hand_store16(h + 10, ~hand_fold(t->sum + inner.tos + total + protocol));
    }
    if (!o.ipip && inner.ipv6)
        hand_store16(h + gre + 2, TUNNELCAP_ETHERTYPE_IPV6);
    if (o.seq) /* as late as this: no number is spent on a refused packet */
        hand_store32(h + n - 4, atomic_fetch_add_explicit(&t->seq, 1, memory_order_relaxed));
    if (o.csum)
        hand_store16(h + gre + 4, ~(uint32_t)hand_sum(h + gre, total - gre));
    if (o.udp)
        write_udp(t, p, h, total, hash, &inner, o);
    pkt->off -= n;
    pkt->len = total;
    return TUNNELCAP_OK;
}

INLINE uint32_t wrap_all(struct hand_tunnel *t, tunnelcap_pkt *pkts, uint32_t count,
                         struct options o)
{
    uint32_t accepted = 0;

    for (uint32_t i = 0; i < count; i++) {
        pkts[i].status = wrap(t, &pkts[i], o);
        accepted += pkts[i].status == TUNNELCAP_OK;
    }
    return accepted;
}

uint32_t hand_encap_gre4(struct hand_tunnel *t, tunnelcap_pkt *pkts, uint32_t count)
{
    return wrap_all(t, pkts, count, (struct options){.ipv6 = 0});
}

uint32_t hand_encap_gre4_key(struct hand_tunnel *t, tunnelcap_pkt *pkts, uint32_t count)
{
    return wrap_all(t, pkts, count, (struct options){.key = 1});
}

uint32_t hand_encap_gre4_key_seq(struct hand_tunnel *t, tunnelcap_pkt *pkts, uint32_t count)
{
    return wrap_all(t, pkts, count, (struct options){.key = 1, .seq = 1});
}

uint32_t hand_encap_gre4_csum(struct hand_tunnel *t, tunnelcap_pkt *pkts, uint32_t count)
{
    return wrap_all(t, pkts, count, (struct options){.csum = 1});
}

uint32_t hand_encap_gre4_udp(struct hand_tunnel *t, tunnelcap_pkt *pkts, uint32_t count)
{
    return wrap_all(t, pkts, count, (struct options){.udp = 1});
}

uint32_t hand_encap_gre4_udp_zero(struct hand_tunnel *t, tunnelcap_pkt *pkts, uint32_t count)
{
    return wrap_all(t, pkts, count, (struct options){.udp = 1, .udp_zero = 1});
}

uint32_t hand_encap_gre6(struct hand_tunnel *t, tunnelcap_pkt *pkts, uint32_t count)
{
    return wrap_all(t, pkts, count, (struct options){.ipv6 = 1});
}

uint32_t hand_encap_ipip4(struct hand_tunnel *t, tunnelcap_pkt *pkts, uint32_t count)
{
    return wrap_all(t, pkts, count, (struct options){.ipip = 1});
}
