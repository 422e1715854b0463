/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "hand.h"

#define INLINE      static inline __attribute__((always_inline))
#define OUT_OF_LINE static __attribute__((noinline))

enum { FLAG_C = 0x8000, FLAG_K = 0x2000, FLAG_S = 0x1000 };
enum { REFUSED = 0x4c00, VERSION = 7, IGNORED = 0x03f8 };

/* What a loop is compiled for. */
struct options {
    int ipv6, ipip, udp;
    uint32_t flags; /* GRE flags that are expected */
};

/* An outer packet: offsets of what follows its IP header and of its end. */
struct outer {
    uint32_t at, end;
    uint32_t tos;
    uint32_t protocol;
};

struct gre {
    uint32_t len, flags, protocol, key, seq;
};

/* IPv4 with options. */
OUT_OF_LINE int32_t open_ipv4_options(const uint8_t *p, uint32_t len, struct outer *outer)
{
    outer->at = (uint32_t)(p[0] & 15) * 4;
    if (len < 20 || outer->at > len)
        return TUNNELCAP_E_TRUNCATED;
    outer->end = hand_load16(p + 2);
    if (p[0] >> 4 != 4 || outer->at < 20 || outer->end < outer->at)
        return TUNNELCAP_E_MALFORMED;
    return hand_sum(p, outer->at) == 0xffff ? TUNNELCAP_OK : TUNNELCAP_E_CHECKSUM;
}

INLINE int32_t open_ipv4(const struct hand_tunnel *t, const uint8_t *p, uint32_t len,
                         struct outer *outer)
{
    int32_t status;

    if (len == 0)
        return TUNNELCAP_E_TRUNCATED;
    if (len < 20 || p[0] != 0x45) {
        status = open_ipv4_options(p, len, outer);
        if (status != TUNNELCAP_OK)
            return status;
    } else {
        outer->at = 20;
        outer->end = hand_load16(p + 2);
        if (hand_fold64((uint64_t)hand_raw32(p) + hand_raw32(p + 4) + hand_raw32(p + 8) +
                        hand_raw32(p + 12) + hand_raw32(p + 16)) != 0xffff)
            return TUNNELCAP_E_CHECKSUM;
    }
    if (outer->end > len)
        return TUNNELCAP_E_TRUNCATED;
    if (outer->end < outer->at)
        return TUNNELCAP_E_MALFORMED;
    if (hand_raw64(p + 12) != hand_raw64(t->peer))
        return TUNNELCAP_E_NO_TUNNEL;
    if (hand_load16(p + 6) & 0x3fff)
        return TUNNELCAP_E_FRAGMENT;
    outer->tos = p[1];
    outer->protocol = p[9];
    return TUNNELCAP_OK;
}

/* Extension headers behind an IPv6 header. */
OUT_OF_LINE int32_t walk(const uint8_t *p, struct outer *outer)
{
    for (int seen = 0; seen < 16; seen++) {
        uint32_t size;

        switch (outer->protocol) {
        case 0:
        case 43:
        case 44:
        case 60:
            break;
        default:
            return TUNNELCAP_OK;
        }
        if (outer->end - outer->at < 8)
            return TUNNELCAP_E_MALFORMED;
        size = ((uint32_t)p[outer->at + 1] + 1) * 8;
        if (outer->protocol == 43 && p[outer->at + 3] != 0)
            return TUNNELCAP_E_PROTOCOL; /* on its way to another stop */
        if (outer->protocol == 44) {
            if (hand_load16(p + outer->at + 2) & 0xfff9)
                return TUNNELCAP_E_FRAGMENT;
            size = 8;
        }
        if (size > outer->end - outer->at)
            return TUNNELCAP_E_MALFORMED;
        outer->protocol = p[outer->at];
        outer->at += size;
    }
    return TUNNELCAP_E_MALFORMED;
}

INLINE int32_t open_ipv6(const struct hand_tunnel *t, const uint8_t *p, uint32_t len,
                         struct outer *outer, uint32_t expected)
{
    if (len < 40)
        return TUNNELCAP_E_TRUNCATED;
    if (p[0] >> 4 != 6)
        return TUNNELCAP_E_MALFORMED;
    outer->at = 40;
    outer->end = 40 + hand_load16(p + 4);
    if (outer->end > len)
        return TUNNELCAP_E_TRUNCATED;
    if (memcmp(p + 8, t->peer, 32) != 0)
        return TUNNELCAP_E_NO_TUNNEL;
    outer->tos = hand_load16(p) >> 4 & 0xff;
    outer->protocol = p[6];
    return outer->protocol == expected ? TUNNELCAP_OK : walk(p, outer);
}

INLINE int32_t open_udp(const struct hand_tunnel *t, const uint8_t *p, struct outer *outer,
                        struct options o)
{
    const uint8_t *udp = p + outer->at;
    uint32_t len;

    if (outer->end - outer->at < 8)
        return TUNNELCAP_E_TRUNCATED;
    len = hand_load16(udp + 4);
    if (len < 8)
        return TUNNELCAP_E_MALFORMED;
    if (len > outer->end - outer->at)
        return TUNNELCAP_E_TRUNCATED;
    if (hand_load16(udp + 2) != t->udp_port)
        return TUNNELCAP_E_NO_TUNNEL;
    if (hand_load16(udp + 6) == 0) {
        if (o.ipv6)
            return TUNNELCAP_E_NO_CHECKSUM;
    } else {
        if (hand_fold(hand_sum(udp, len) + t->pseudo + len) != 0xffff)
            return TUNNELCAP_E_CHECKSUM;
    }
    outer->at += 8;
    outer->end = outer->at + len - 8;
    return TUNNELCAP_OK;
}

/* A GRE header with other flags than the tunnel's own. */
OUT_OF_LINE int32_t read_gre_any(const uint8_t *p, uint32_t len, struct gre *gre)
{
    uint32_t at = 4;

    gre->flags = hand_load16(p);
    if (gre->flags & VERSION)
        return TUNNELCAP_E_GRE_VERSION;
    if (gre->flags & REFUSED)
        return TUNNELCAP_E_GRE_FLAGS;
    gre->len = 4 + (gre->flags & FLAG_C ? 4U : 0U) + (gre->flags & FLAG_K ? 4U : 0U) +
               (gre->flags & FLAG_S ? 4U : 0U);
    if (len < gre->len)
        return TUNNELCAP_E_TRUNCATED;
    gre->flags &= ~(uint32_t)IGNORED;
    at += gre->flags & FLAG_C ? 4U : 0U;
    gre->key = gre->flags & FLAG_K ? hand_load32(p + at) : 0;
    at += gre->flags & FLAG_K ? 4U : 0U;
    gre->seq = gre->flags & FLAG_S ? hand_load32(p + at) : 0;
    return TUNNELCAP_OK;
}

INLINE int32_t read_gre(const struct hand_tunnel *t, const uint8_t *p, uint32_t len,
                        struct gre *gre, struct options o)
{
    uint32_t key_at = o.flags & FLAG_C ? 8 : 4;
    uint32_t seq_at = key_at + (o.flags & FLAG_K ? 4U : 0U);
    int32_t status;

    if (len < 4)
        return TUNNELCAP_E_TRUNCATED;
    gre->len = seq_at + (o.flags & FLAG_S ? 4U : 0U);
    gre->protocol = hand_load16(p + 2);
    if (hand_load16(p) == o.flags && len >= gre->len) {
        gre->flags = o.flags;
        gre->key = o.flags & FLAG_K ? hand_load32(p + key_at) : 0;
        gre->seq = o.flags & FLAG_S ? hand_load32(p + seq_at) : 0;
    } else {
        status = read_gre_any(p, len, gre);
        if (status != TUNNELCAP_OK)
            return status;
    }
    if ((gre->flags & FLAG_K) != (o.flags & FLAG_K) ||
        ((o.flags & FLAG_K) && gre->key != t->key_in))
        return TUNNELCAP_E_NO_TUNNEL;
    if ((o.flags & FLAG_C) && !(gre->flags & FLAG_C))
        return TUNNELCAP_E_NO_CHECKSUM;
    if ((gre->flags & FLAG_C) && hand_sum(p, len) != 0xffff)
        return TUNNELCAP_E_CHECKSUM;
    return TUNNELCAP_OK;
}

/* Fold an outer ECN of ECT(1) or CE into an inner header (RFC 6040 4.2). */
OUT_OF_LINE int32_t fold_ecn(uint8_t *ip, uint32_t outer)
{
    uint32_t tos = ip[0] >> 4 == 4 ? ip[1] : hand_load16(ip) >> 4 & 0xff;
    uint32_t ecn = tos & 3, before;

    if (outer == 3 && ecn == 0)
        return TUNNELCAP_E_ECN;
    if (outer == 3)
        ecn = 3;
    else if (ecn == 2)
        ecn = 1;
    if (ecn == (tos & 3))
        return TUNNELCAP_OK;
    tos = (tos & 0xfc) | ecn;
    before = hand_load16(ip);
    if (ip[0] >> 4 == 6) {
        hand_store16(ip, (before & 0xf00f) | tos << 4);
        return TUNNELCAP_OK;
    }
    ip[1] = (uint8_t)tos;
    hand_store16(ip + 10, ~hand_fold((~hand_load16(ip + 10) & 0xffff) + (~before & 0xffff) +
                                     hand_load16(ip)));
    return TUNNELCAP_OK;
}

/* Payloads other than IPv4 without options. */
OUT_OF_LINE int32_t check_payload_any(const uint8_t *ip, uint32_t len, uint32_t protocol)
{
    uint32_t header = 40, total;

    if (len < (protocol == TUNNELCAP_ETHERTYPE_IPV4 ? 20U : 40U))
        return TUNNELCAP_E_TRUNCATED;
    if (protocol == TUNNELCAP_ETHERTYPE_IPV4) {
        header = (uint32_t)(ip[0] & 15) * 4;
        total = hand_load16(ip + 2);
        if (ip[0] >> 4 != 4 || header < 20)
            return TUNNELCAP_E_MALFORMED;
    } else {
        total = 40 + hand_load16(ip + 4);
        if (ip[0] >> 4 != 6)
            return TUNNELCAP_E_MALFORMED;
    }
    if (total < header)
        return TUNNELCAP_E_MALFORMED;
    return total > len ? TUNNELCAP_E_TRUNCATED : TUNNELCAP_OK;
}

INLINE int32_t check_payload(uint8_t *ip, uint32_t len, uint32_t protocol, uint32_t outer_tos)
{
    int32_t status;

    if (protocol == TUNNELCAP_ETHERTYPE_IPV4 && len >= 20 && ip[0] == 0x45) {
        uint32_t total = hand_load16(ip + 2);

        if (total > len)
            return TUNNELCAP_E_TRUNCATED;
        if (total < 20)
            return TUNNELCAP_E_MALFORMED;
    } else {
        if (protocol != TUNNELCAP_ETHERTYPE_IPV4 && protocol != TUNNELCAP_ETHERTYPE_IPV6)
            return TUNNELCAP_OK;
        status = check_payload_any(ip, len, protocol);
        if (status != TUNNELCAP_OK)
            return status;
    }
    return outer_tos & 1 ? fold_ecn(ip, outer_tos & 3) : TUNNELCAP_OK;
}

/* From us to the far end, GRE with protocol 0: a Cisco keepalive. */
OUT_OF_LINE int32_t keepalive_or_ok(const struct hand_tunnel *t, const uint8_t *ip)
{
    uint32_t total = hand_load16(ip + 2);
    struct gre gre;

    if (total < 24 || (hand_load16(ip + 6) & 0x3fff) || memcmp(ip + 12, t->peer + 4, 4) != 0 ||
        memcmp(ip + 16, t->peer, 4) != 0 || hand_load16(ip + 22) != 0)
        return TUNNELCAP_OK;
    return read_gre_any(ip + 20, total - 20, &gre) == TUNNELCAP_OK ? TUNNELCAP_KEEPALIVE
                                                                   : TUNNELCAP_OK;
}

/* Any packet, by all the rules. */
OUT_OF_LINE int32_t unwrap_any(const struct hand_tunnel *t, tunnelcap_pkt *pkt,
                               tunnelcap_gre_rx *rx, struct options o)
{
    uint32_t expected = o.udp ? 17 : 47;
    uint8_t *p = pkt->buf + pkt->off;
    struct gre gre = {.len = 0};
    struct outer outer;
    uint32_t len;
    int32_t status;

    if (!hand_window(pkt))
        return TUNNELCAP_E_INVALID;
    status =
        o.ipv6 ? open_ipv6(t, p, pkt->len, &outer, expected) : open_ipv4(t, p, pkt->len, &outer);
    if (status != TUNNELCAP_OK)
        return status;
    if (o.ipip) {
        if (outer.protocol != 4 && outer.protocol != 41)
            return TUNNELCAP_E_PROTOCOL;
        gre.protocol = outer.protocol == 4 ? TUNNELCAP_ETHERTYPE_IPV4 : TUNNELCAP_ETHERTYPE_IPV6;
    } else {
        if (outer.protocol != expected)
            return TUNNELCAP_E_PROTOCOL;
        status = o.udp ? open_udp(t, p, &outer, o) : TUNNELCAP_OK;
        if (status != TUNNELCAP_OK)
            return status;
        status = read_gre(t, p + outer.at, outer.end - outer.at, &gre, o);
        if (status != TUNNELCAP_OK)
            return status;
    }
    outer.at += gre.len;
    len = outer.end - outer.at;
    status = check_payload(p + outer.at, len, gre.protocol, outer.tos);
    if (status != TUNNELCAP_OK)
        return status;
    if (!o.ipip) {
        rx->key = gre.key;
        rx->seq = gre.seq;
        rx->protocol = (uint16_t)gre.protocol;
        rx->flags = (uint16_t)((gre.flags & FLAG_K ? TUNNELCAP_GRE_RX_KEY : 0U) |
                               (gre.flags & FLAG_S ? TUNNELCAP_GRE_RX_SEQUENCE : 0U) |
                               (gre.flags & FLAG_C ? TUNNELCAP_GRE_RX_CHECKSUM : 0U));
        rx->reserved = 0;
    }
    pkt->off += outer.at;
    pkt->len = len;
    if (!o.ipip && !o.ipv6 && !o.udp && gre.protocol == TUNNELCAP_ETHERTYPE_IPV4 &&
        p[outer.at] == 0x45 && p[outer.at + 9] == 47)
        return keepalive_or_ok(t, p + outer.at);
    return TUNNELCAP_OK;
}

/* Do the flags and the key of a GRE header stand as the tunnel's own template has them? */
INLINE int gre_expected(const struct hand_tunnel *t, const uint8_t *g, struct options o)
{
    uint32_t key_at = o.flags & FLAG_C ? 8 : 4;

    return hand_load32(g) == (o.flags << 16 | TUNNELCAP_ETHERTYPE_IPV4) &&
           (!(o.flags & FLAG_K) || hand_load32(g + key_at) == t->key_in);
}

/* The outer IP header of an ordinary packet: all its checks but the one of the length. */
INLINE int outer_expected(const struct hand_tunnel *t, const uint8_t *p, struct options o)
{
    uint32_t protocol = o.ipip ? 4 : o.udp ? 17 : 47;
    uint64_t sum;

    if (o.ipv6)
        return p[0] >> 4 == 6 && p[6] == protocol &&
               ((hand_raw64(p + 8) ^ hand_raw64(t->peer)) |
                (hand_raw64(p + 16) ^ hand_raw64(t->peer + 8)) |
                (hand_raw64(p + 24) ^ hand_raw64(t->peer + 16)) |
                (hand_raw64(p + 32) ^ hand_raw64(t->peer + 24))) == 0;
    sum = (uint64_t)hand_raw32(p) + hand_raw32(p + 4) + hand_raw32(p + 8) + hand_raw32(p + 12) +
          hand_raw32(p + 16);
    return p[0] == 0x45 && (hand_load16(p + 6) & 0x3fff) == 0 && p[9] == protocol &&
           hand_raw64(p + 12) == hand_raw64(t->peer) && hand_fold64(sum) == 0xffff;
}

/* UDP in an ordinary packet. */
INLINE int udp_expected(const struct hand_tunnel *t, const uint8_t *p, uint32_t ip, uint32_t end,
                        struct options o)
{
    const uint8_t *udp = p + ip;
    uint32_t len = end - ip;

    if (hand_load16(udp + 2) != t->udp_port || hand_load16(udp + 4) != len)
        return 0;
    if (hand_load16(udp + 6) == 0)
        return !o.ipv6;
    return hand_fold(hand_sum(udp, len) + t->pseudo + len) == 0xffff;
}

/* An ordinary packet: no options, the tunnel's own flags, IPv4 without options inside, no
 * congestion to note. Whatever differs takes the long way. */
INLINE int32_t unwrap(const struct hand_tunnel *t, tunnelcap_pkt *pkt, tunnelcap_gre_rx *rx,
                      struct options o)
{
    uint32_t ip = o.ipv6 ? 40 : 20;
    uint32_t gre = ip + (o.udp ? 8U : 0U);
    uint32_t n = o.ipip ? ip
                        : gre + 4 + (o.flags & FLAG_C ? 4U : 0U) + (o.flags & FLAG_K ? 4U : 0U) +
                              (o.flags & FLAG_S ? 4U : 0U);
    uint8_t *p = pkt->buf + pkt->off;
    const uint8_t *inner = p + n;
    uint32_t end, tos, total;

    if (!hand_window(pkt) || pkt->len < n + 20)
        return unwrap_any(t, pkt, rx, o);
    end = o.ipv6 ? 40 + hand_load16(p + 4) : hand_load16(p + 2);
    tos = o.ipv6 ? hand_load16(p) >> 4 : p[1];
    total = hand_load16(inner + 2);
    if (end > pkt->len || end < n + 20 || !outer_expected(t, p, o) ||
        (!o.ipip && !gre_expected(t, p + gre, o)) || inner[0] != 0x45 || total > end - n ||
        total < 20 || (tos & 1) || (!o.ipip && inner[9] == 47) ||
        (o.udp && !udp_expected(t, p, ip, end, o)) ||
        ((o.flags & FLAG_C) && hand_sum(p + gre, end - gre) != 0xffff))
        return unwrap_any(t, pkt, rx, o);
    if (!o.ipip)
        *rx = (tunnelcap_gre_rx){
            .key = o.flags & FLAG_K ? t->key_in : 0,
            .seq = o.flags & FLAG_S ? hand_load32(inner - 4) : 0,
            .protocol = TUNNELCAP_ETHERTYPE_IPV4,
            .flags = (uint16_t)((o.flags & FLAG_K ? TUNNELCAP_GRE_RX_KEY : 0U) |
                                (o.flags & FLAG_S ? TUNNELCAP_GRE_RX_SEQUENCE : 0U) |
                                (o.flags & FLAG_C ? TUNNELCAP_GRE_RX_CHECKSUM : 0U))};
    pkt->off += n;
    pkt->len = end - n;
    return TUNNELCAP_OK;
}

INLINE uint32_t unwrap_all(const struct hand_tunnel *t, tunnelcap_pkt *pkts, tunnelcap_gre_rx *rx,
                           uint32_t count, struct options o)
{
    uint32_t accepted = 0;

    for (uint32_t i = 0; i < count; i++) {
        pkts[i].status = unwrap(t, &pkts[i], rx + i, o);
        accepted += pkts[i].status >= 0;
    }
    return accepted;
}

uint32_t hand_decap_gre4(struct hand_tunnel *t, tunnelcap_pkt *pkts, tunnelcap_gre_rx *rx,
                         uint32_t count)
{
    return unwrap_all(t, pkts, rx, count, (struct options){.flags = 0});
}

uint32_t hand_decap_gre4_key(struct hand_tunnel *t, tunnelcap_pkt *pkts, tunnelcap_gre_rx *rx,
                             uint32_t count)
{
    return unwrap_all(t, pkts, rx, count, (struct options){.flags = FLAG_K});
}

uint32_t hand_decap_gre4_key_seq(struct hand_tunnel *t, tunnelcap_pkt *pkts, tunnelcap_gre_rx *rx,
                                 uint32_t count)
{
    return unwrap_all(t, pkts, rx, count, (struct options){.flags = FLAG_K | FLAG_S});
}

uint32_t hand_decap_gre4_csum(struct hand_tunnel *t, tunnelcap_pkt *pkts, tunnelcap_gre_rx *rx,
                              uint32_t count)
{
    return unwrap_all(t, pkts, rx, count, (struct options){.flags = FLAG_C});
}

uint32_t hand_decap_gre4_udp(struct hand_tunnel *t, tunnelcap_pkt *pkts, tunnelcap_gre_rx *rx,
                             uint32_t count)
{
    return unwrap_all(t, pkts, rx, count, (struct options){.udp = 1});
}

uint32_t hand_decap_gre6(struct hand_tunnel *t, tunnelcap_pkt *pkts, tunnelcap_gre_rx *rx,
                         uint32_t count)
{
    return unwrap_all(t, pkts, rx, count, (struct options){.ipv6 = 1});
}

uint32_t hand_decap_ipip4(struct hand_tunnel *t, tunnelcap_pkt *pkts, tunnelcap_gre_rx *rx,
                          uint32_t count)
{
    return unwrap_all(t, pkts, rx, count, (struct options){.ipip = 1});
}
