/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "gre.h"

/* Implementation notes. Nearly every packet is IPv4 without options, in a tunnel that is
 * configured alike at both ends. Such packets take a plain path, which either does all or leaves
 * the packet alone for the full path, right or wrong. The plain path is compiled several times,
 * for the options that tunnels usually have, so that it does not ask about the others. */

/* What a template cannot hold: it is written for each packet. */
enum {
    SEND_OPTIONS = TUNNELCAP_GRE_UDP | TUNNELCAP_GRE_UDP_ZERO_CHECKSUM | TUNNELCAP_GRE_CHECKSUM |
                   TUNNELCAP_GRE_SEQUENCE
};

enum {
    RECEIVE_OPTIONS =
        TUNNELCAP_GRE_UDP | TUNNELCAP_GRE_CHECKSUM | TUNNELCAP_GRE_KEY_IN | TUNNELCAP_GRE_SEQUENCE
};

/* Patch what a template of UDP, checksum and sequence number leaves open. h is the outer header,
 * total the length of the outer packet. */
TUNNELCAP_I_INLINE void write_options(const tunnelcap_gre *gre, uint32_t flags, uint64_t hash,
                                      uint32_t fragment, uint8_t *h, uint32_t total)
{
    const tunnelcap_i_outer *outer = &gre->outer;
    uint8_t *g = h + gre->gre_at;
    uint8_t *udp = h + outer->ip_len;
    uint32_t udp_len = total - outer->ip_len;
    uint32_t sum;

    if (flags & TUNNELCAP_GRE_SEQUENCE)
        tunnelcap_i_store32(h + outer->header_len - 4, TUNNELCAP_I_ADD(gre->state->seq_out, 1));
    if (flags & TUNNELCAP_GRE_CHECKSUM) /* the field itself is still zero */
        tunnelcap_i_store16(g + 4, (uint16_t)~tunnelcap_i_sum(g, total - gre->gre_at));
    if (!(flags & TUNNELCAP_GRE_UDP))
        return;
    if (gre->udp_src_port == 0)
        tunnelcap_i_store16(udp, TUNNELCAP_I_PORT_FIRST + ((uint32_t)hash & TUNNELCAP_I_PORT_MASK));
    tunnelcap_i_store16(udp + 4, udp_len);
    if ((flags & TUNNELCAP_GRE_UDP_ZERO_CHECKSUM) && !fragment)
        return;
    /* A GRE checksum makes header and payload sum to all ones, which is zero: one pass is enough
     * for both. */
    sum = tunnelcap_i_sum(udp, flags & TUNNELCAP_GRE_CHECKSUM ? TUNNELCAP_I_UDP_HEADER : udp_len);
    sum = (uint16_t)~tunnelcap_i_fold(sum + outer->pseudo + udp_len);
    tunnelcap_i_store16(udp + 6, sum != 0 ? sum : 0xffff); /* RFC 768: zero means none */
}

static int32_t encap_full(tunnelcap_gre *gre, tunnelcap_lane *lane, tunnelcap_pkt *pkt,
                          const tunnelcap_meta *meta)
{
    const tunnelcap_i_outer *outer = &gre->outer;
    tunnelcap_i_inner inner;
    uint8_t *p = pkt->buf + pkt->off;
    uint8_t *h;
    uint32_t need;
    uint32_t total;
    int32_t status;

    status = tunnelcap_i_inner_facts(
        outer, lane, p, pkt->len,
        meta != NULL && meta->ethertype != 0 ? meta->ethertype : gre->protocol, &inner);
    if (status != TUNNELCAP_OK)
        return status;
    if (meta != NULL) {
        status = tunnelcap_i_meta_check(meta, inner.len);
        if (status != TUNNELCAP_OK)
            return status;
    }
    need = tunnelcap_i_outer_need(outer, &inner);
    if (inner.len > outer->max - need)
        return TUNNELCAP_E_TOO_BIG;
    if (pkt->off < need)
        return TUNNELCAP_E_HEADROOM;

    if (meta != NULL)
        tunnelcap_i_meta_finish(meta, p, inner.len);
    h = p - outer->header_len;
    total = inner.len + outer->header_len;
    tunnelcap_i_outer_write(
        outer, lane, &inner,
        gre->flags & TUNNELCAP_GRE_UDP ? TUNNELCAP_I_PROTO_UDP : TUNNELCAP_I_PROTO_GRE, total, h);
    tunnelcap_i_store16(h + gre->gre_at + 2, inner.ethertype);
    if (!gre->plain)
        write_options(gre, gre->flags, inner.hash, inner.fragment, h, total);
    pkt->off -= outer->header_len;
    pkt->len = total;
    if (need != outer->header_len)
        tunnelcap_i_outer_insert_limit(pkt, inner.limit);
    return TUNNELCAP_OK;
}

/* `family` is that of the outer header and `flags` those of the tunnel that matter here: where a
 * caller knows them, the compiler leaves out the rest. */
TUNNELCAP_I_INLINE int32_t encap_one(tunnelcap_gre *gre, tunnelcap_lane *lane, tunnelcap_pkt *pkt,
                                     const tunnelcap_meta *meta, uint32_t family, uint32_t flags)
{
    const uint8_t *p = pkt->buf + pkt->off;
    uint32_t want_flow = family == TUNNELCAP_IPV4 && flags == 0 ? 0 : gre->outer.want_flow;
    uint64_t hash;
    uint8_t *h;

    if (!tunnelcap_i_meta_plain(meta))
        return encap_full(gre, lane, pkt, meta);
    h = tunnelcap_i_outer_write_plain(&gre->outer, family, want_flow, lane, pkt, &hash);
    if (h == NULL)
        return encap_full(gre, lane, pkt, meta);
    if (flags != 0)
        write_options(gre, flags, hash, tunnelcap_i_load16(p + 6) & 0x3fff, h, pkt->len);
    return TUNNELCAP_OK;
}

int32_t tunnelcap_i_gre_encap(tunnelcap_gre *gre, tunnelcap_lane *lane, tunnelcap_pkt *pkt,
                              const tunnelcap_meta *meta)
{
    return encap_one(gre, lane, pkt, meta, gre->outer.family, gre->flags & SEND_OPTIONS);
}

TUNNELCAP_I_INLINE uint32_t encap_all(tunnelcap_gre *gre, tunnelcap_lane *lane, tunnelcap_pkt *pkts,
                                      const tunnelcap_meta *meta, uint32_t meta_stride,
                                      uint32_t count, uint32_t family, uint32_t flags)
{
    uint32_t ok = 0;
    int32_t status;

    for (uint32_t i = 0; i < count; i++) {
        tunnelcap_i_prefetch(pkts, i, count);
        status = TUNNELCAP_E_INVALID;
        if (tunnelcap_i_pkt_valid(&pkts[i]))
            status = encap_one(gre, lane, &pkts[i], tunnelcap_i_meta_at(meta, meta_stride, i),
                               family, flags);
        pkts[i].status = status;
        ok += status == TUNNELCAP_OK;
    }
    return ok;
}

uint32_t tunnelcap_gre_encap(tunnelcap_gre *gre, tunnelcap_lane *lane, tunnelcap_pkt *pkts,
                             const tunnelcap_meta *meta, uint32_t meta_stride, uint32_t count)
{
    uint32_t family, flags, zero, few;

    if (gre == NULL || lane == NULL || pkts == NULL)
        return 0;
    /* Each call is a loop of its own, compiled for what is said of the flags. */
    family = gre->outer.family;
    flags = gre->flags & SEND_OPTIONS;
    zero = flags & TUNNELCAP_GRE_UDP_ZERO_CHECKSUM;
    few = flags & (TUNNELCAP_GRE_CHECKSUM | TUNNELCAP_GRE_SEQUENCE);
    if (meta == NULL && flags == 0 && family == TUNNELCAP_IPV4)
        return encap_all(gre, lane, pkts, NULL, 0, count, TUNNELCAP_IPV4, 0);
    if (meta == NULL && flags == 0)
        return encap_all(gre, lane, pkts, NULL, 0, count, TUNNELCAP_IPV6, 0);
    if (meta == NULL && flags == TUNNELCAP_GRE_CHECKSUM && family == TUNNELCAP_IPV4)
        return encap_all(gre, lane, pkts, NULL, 0, count, TUNNELCAP_IPV4, TUNNELCAP_GRE_CHECKSUM);
    if (meta == NULL && flags == few && family == TUNNELCAP_IPV4)
        return encap_all(gre, lane, pkts, NULL, 0, count, TUNNELCAP_IPV4, few);
    if (meta == NULL && flags == (TUNNELCAP_GRE_UDP | zero) && family == TUNNELCAP_IPV4)
        return encap_all(gre, lane, pkts, NULL, 0, count, TUNNELCAP_IPV4, TUNNELCAP_GRE_UDP | zero);
    return encap_all(gre, lane, pkts, meta, meta_stride, count, family, flags);
}

/* Open an outer packet of this tunnel up to its GRE header. */
static inline int32_t open_gre(const tunnelcap_gre *gre, const uint8_t *p, uint32_t len,
                               const tunnelcap_meta *meta, tunnelcap_i_opened *o)
{
    uint32_t verify = meta == NULL || !(meta->flags & TUNNELCAP_META_CSUM_VALID);
    int32_t status = tunnelcap_i_open(p, len, meta, o);

    if (status != TUNNELCAP_OK)
        return status;
    if (!tunnelcap_i_outer_match(&gre->outer, o))
        return TUNNELCAP_E_NO_TUNNEL;
    if (o->protocol !=
        (gre->flags & TUNNELCAP_GRE_UDP ? TUNNELCAP_I_PROTO_UDP : TUNNELCAP_I_PROTO_GRE))
        return TUNNELCAP_E_PROTOCOL;
    if (!tunnelcap_i_header_sum_ok(p, o, meta))
        return TUNNELCAP_E_CHECKSUM;
    if (o->fragment)
        return TUNNELCAP_E_FRAGMENT;
    if (!(gre->flags & TUNNELCAP_GRE_UDP))
        return TUNNELCAP_OK;
    status = tunnelcap_i_open_udp(p, o, gre->flags & TUNNELCAP_GRE_UDP_ZERO_CHECKSUM, verify);
    if (status == TUNNELCAP_OK && o->dst_port != gre->udp_port)
        return TUNNELCAP_E_NO_TUNNEL;
    return status;
}

/* Key and checksum of a GRE header, which stands at p + o->pos. */
static inline int32_t check_gre(const tunnelcap_gre *gre, const uint8_t *p,
                                const tunnelcap_i_opened *o, const tunnelcap_i_gre_header *g)
{
    uint32_t keyed = gre->flags & TUNNELCAP_GRE_KEY_IN;

    if ((keyed != 0) != ((g->flags & TUNNELCAP_I_GRE_K) != 0) || (keyed && g->key != gre->key_in))
        return TUNNELCAP_E_NO_TUNNEL;
    if (g->flags & TUNNELCAP_I_GRE_C) {
        if (tunnelcap_i_sum(p + o->pos, o->end - o->pos) != 0xffff)
            return TUNNELCAP_E_CHECKSUM;
    } else if (gre->flags & TUNNELCAP_GRE_CHECKSUM) {
        return TUNNELCAP_E_NO_CHECKSUM;
    }
    return TUNNELCAP_OK;
}

/* A Cisco keepalive is a packet from us to the far end whose GRE header names protocol 0 and
 * carries nothing: whoever asked wants it back; vendors agree on this without an RFC. */
static uint32_t is_keepalive(const tunnelcap_i_opened *o, const uint8_t *p, uint32_t len)
{
    tunnelcap_i_gre_header g;

    if (len < TUNNELCAP_I_IPV4_HEADER + TUNNELCAP_I_GRE_BARE || p[0] != 0x45 ||
        p[9] != TUNNELCAP_I_PROTO_GRE || o->family != TUNNELCAP_IPV4 || o->in_udp)
        return 0;
    len = tunnelcap_i_load16(p + 2); /* without padding; known to be there */
    if (tunnelcap_i_load16(p + 6) & 0x3fff)
        return 0; /* a fragment */
    if (memcmp(p + 12, o->dst, 4) != 0 || memcmp(p + 16, o->src, 4) != 0)
        return 0;
    if (tunnelcap_i_gre_read(p + TUNNELCAP_I_IPV4_HEADER, len - TUNNELCAP_I_IPV4_HEADER, &g) !=
        TUNNELCAP_OK)
        return 0;
    return g.protocol == 0;
}

/* Accept a sequence number if it is newer than the last one (RFC 2890 2.2). The first of all is
 * accepted whatever it is, so that either end may restart. */
static int32_t take_sequence(tunnelcap_i_gre_state *state, uint32_t seq)
{
    uint64_t last = TUNNELCAP_I_LOAD(state->seq_in);

    do {
        if (last != 0 && (int32_t)(seq - (uint32_t)last) <= 0)
            return TUNNELCAP_E_SEQUENCE;
    } while (!TUNNELCAP_I_SWAP_IF(state->seq_in, last, TUNNELCAP_I_SEQ_SEEN | seq));
    return TUNNELCAP_OK;
}

static inline void write_rx(tunnelcap_gre_rx *rx, const tunnelcap_i_gre_header *g)
{
    rx->key = g->key;
    rx->seq = g->seq;
    rx->protocol = g->protocol;
    rx->flags = (uint16_t)((g->flags & TUNNELCAP_I_GRE_K ? TUNNELCAP_GRE_RX_KEY : 0) |
                           (g->flags & TUNNELCAP_I_GRE_S ? TUNNELCAP_GRE_RX_SEQUENCE : 0) |
                           (g->flags & TUNNELCAP_I_GRE_C ? TUNNELCAP_GRE_RX_CHECKSUM : 0));
    rx->reserved = 0;
}

/* UDP of decap_plain(): 1 if it is all right, its checksum included. */
TUNNELCAP_I_INLINE uint32_t udp_plain(const tunnelcap_gre *gre, const uint8_t *udp, uint32_t len)
{
    if (tunnelcap_i_load16(udp + 2) != gre->udp_port || tunnelcap_i_load16(udp + 4) != len)
        return 0;
    if (tunnelcap_i_load16(udp + 6) == 0)
        return gre->outer.family == TUNNELCAP_IPV4 ||
               (gre->flags & TUNNELCAP_GRE_UDP_ZERO_CHECKSUM);
    return tunnelcap_i_fold(tunnelcap_i_sum(udp, len) + gre->outer.pseudo + len) == 0xffff;
}

/* Unwrap the packet that nearly every packet is: IPv4 without options, in an outer packet without
 * options, with the GRE flags that this end would send, right in all that decap_full() checks.
 * Gives 0 and does nothing for any other, be it right or wrong. */
TUNNELCAP_I_INLINE uint32_t decap_plain(const tunnelcap_gre *gre, tunnelcap_pkt *pkt,
                                        tunnelcap_gre_rx *rx, uint32_t family, uint32_t flags)
{
    const uint8_t *p = pkt->buf + pkt->off;
    const uint8_t *g;
    const uint8_t *inner;
    uint32_t n = gre->plain_in;
    uint32_t end;

    if (n == 0 || pkt->len < n + TUNNELCAP_I_IPV4_HEADER)
        return 0;
    g = p + gre->gre_in_at;
    inner = p + n;
    if (tunnelcap_i_word32(g) != tunnelcap_i_word32(gre->gre_in))
        return 0;
    end = tunnelcap_i_outer_read_plain(
        &gre->outer, family,
        flags & TUNNELCAP_GRE_UDP ? TUNNELCAP_I_PROTO_UDP : TUNNELCAP_I_PROTO_GRE, p, pkt->len);
    if (end < n + TUNNELCAP_I_IPV4_HEADER || !tunnelcap_i_inner_plain(inner, end - n) ||
        inner[9] == TUNNELCAP_I_PROTO_GRE)
        return 0;
    if ((flags & TUNNELCAP_GRE_KEY_IN) &&
        tunnelcap_i_load32(g + (flags & TUNNELCAP_GRE_CHECKSUM ? 8 : 4)) != gre->key_in)
        return 0;
    if ((flags & TUNNELCAP_GRE_UDP) &&
        !udp_plain(gre, g - TUNNELCAP_I_UDP_HEADER, end - gre->gre_in_at + TUNNELCAP_I_UDP_HEADER))
        return 0;
    if ((flags & TUNNELCAP_GRE_CHECKSUM) && tunnelcap_i_sum(g, end - gre->gre_in_at) != 0xffff)
        return 0;

    if (rx != NULL) {
        rx->key = flags & TUNNELCAP_GRE_KEY_IN ? gre->key_in : 0;
        rx->seq = flags & TUNNELCAP_GRE_SEQUENCE ? tunnelcap_i_load32(inner - 4) : 0;
        rx->protocol = TUNNELCAP_ETHERTYPE_IPV4;
        rx->flags = gre->rx_plain;
        rx->reserved = 0;
    }
    pkt->off += n;
    pkt->len = end - n;
    return 1;
}

static int32_t decap_full(tunnelcap_gre *gre, tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                          tunnelcap_gre_rx *rx)
{
    tunnelcap_i_opened o;
    tunnelcap_i_gre_header g;
    uint8_t *p = pkt->buf + pkt->off;
    uint8_t *payload;
    uint32_t len;
    tunnelcap_i_marks marks;
    int32_t status;

    status = open_gre(gre, p, pkt->len, meta, &o);
    if (status != TUNNELCAP_OK)
        return status;
    status = tunnelcap_i_gre_read(p + o.pos, o.end - o.pos, &g);
    if (status != TUNNELCAP_OK)
        return status;
    status = check_gre(gre, p, &o, &g);
    if (status != TUNNELCAP_OK)
        return status;
    payload = p + o.pos + g.len;
    len = o.end - o.pos - g.len;
    status = tunnelcap_i_payload_check(&gre->outer, &o, payload, len, g.protocol, &marks);
    if (status != TUNNELCAP_OK)
        return status;
    if ((gre->flags & TUNNELCAP_GRE_IN_ORDER) && (g.flags & TUNNELCAP_I_GRE_S)) {
        status = take_sequence(gre->state, g.seq);
        if (status != TUNNELCAP_OK)
            return status;
    }

    if (rx != NULL)
        write_rx(rx, &g);
    pkt->off += o.pos + g.len;
    pkt->len = len;
    if (g.protocol == TUNNELCAP_ETHERTYPE_IPV4 && payload[9] == TUNNELCAP_I_PROTO_GRE &&
        is_keepalive(&o, payload, len))
        return TUNNELCAP_KEEPALIVE;
    if (marks.l3 != UINT32_MAX)
        tunnelcap_i_payload_mark(payload, &marks);
    return TUNNELCAP_OK;
}

TUNNELCAP_I_INLINE int32_t decap_one(tunnelcap_gre *gre, tunnelcap_pkt *pkt,
                                     const tunnelcap_meta *meta, tunnelcap_gre_rx *rx,
                                     uint32_t family, uint32_t flags)
{
    if (tunnelcap_i_meta_plain(meta) && decap_plain(gre, pkt, rx, family, flags))
        return TUNNELCAP_OK;
    return decap_full(gre, pkt, meta, rx);
}

int32_t tunnelcap_i_gre_decap(tunnelcap_gre *gre, tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                              tunnelcap_gre_rx *rx)
{
    return decap_one(gre, pkt, meta, rx, gre->outer.family, gre->flags);
}

TUNNELCAP_I_INLINE uint32_t decap_all(tunnelcap_gre *gre, tunnelcap_pkt *pkts,
                                      const tunnelcap_meta *meta, uint32_t meta_stride,
                                      tunnelcap_gre_rx *rx, uint32_t count, uint32_t family,
                                      uint32_t flags)
{
    uint32_t ok = 0;
    int32_t status;

    for (uint32_t i = 0; i < count; i++) {
        tunnelcap_i_prefetch(pkts, i, count);
        status = TUNNELCAP_E_INVALID;
        if (tunnelcap_i_pkt_valid(&pkts[i]))
            status = decap_one(gre, &pkts[i], tunnelcap_i_meta_at(meta, meta_stride, i),
                               rx == NULL ? NULL : &rx[i], family, flags);
        pkts[i].status = status;
        ok += status >= TUNNELCAP_OK;
    }
    return ok;
}

uint32_t tunnelcap_gre_decap(tunnelcap_gre *gre, tunnelcap_pkt *pkts, const tunnelcap_meta *meta,
                             uint32_t meta_stride, tunnelcap_gre_rx *rx, uint32_t count)
{
    uint32_t family, flags, few;

    if (gre == NULL || pkts == NULL)
        return 0;
    family = gre->outer.family;
    flags = gre->flags & RECEIVE_OPTIONS;
    few = flags & (TUNNELCAP_GRE_KEY_IN | TUNNELCAP_GRE_SEQUENCE);
    if (meta == NULL && flags == few && family == TUNNELCAP_IPV4)
        return decap_all(gre, pkts, NULL, 0, rx, count, TUNNELCAP_IPV4, few);
    if (meta == NULL && flags == TUNNELCAP_GRE_CHECKSUM && family == TUNNELCAP_IPV4)
        return decap_all(gre, pkts, NULL, 0, rx, count, TUNNELCAP_IPV4, TUNNELCAP_GRE_CHECKSUM);
    if (meta == NULL && flags == 0)
        return decap_all(gre, pkts, NULL, 0, rx, count, TUNNELCAP_IPV6, 0);
    if (meta == NULL && flags == TUNNELCAP_GRE_UDP && family == TUNNELCAP_IPV4)
        return decap_all(gre, pkts, NULL, 0, rx, count, TUNNELCAP_IPV4, TUNNELCAP_GRE_UDP);
    return decap_all(gre, pkts, meta, meta_stride, rx, count, family, flags);
}
