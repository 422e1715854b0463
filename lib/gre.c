/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "gre.h"

enum { OLDEST = sizeof(tunnelcap_gre_config) };

enum {
    FLAGS_KNOWN = TUNNELCAP_GRE_KEY_IN | TUNNELCAP_GRE_KEY_OUT | TUNNELCAP_GRE_CHECKSUM |
                  TUNNELCAP_GRE_SEQUENCE | TUNNELCAP_GRE_IN_ORDER | TUNNELCAP_GRE_UDP |
                  TUNNELCAP_GRE_UDP_ZERO_CHECKSUM
};

static tunnelcap_gre_config defaults(void)
{
    tunnelcap_gre_config config;

    memset(&config, 0, sizeof(config));
    config.size = sizeof(config);
    config.outer.ttl = 64;
    config.udp_port = TUNNELCAP_GRE_UDP_PORT;
    return config;
}

int32_t tunnelcap_gre_config_init(tunnelcap_gre_config *config, uint32_t size)
{
    tunnelcap_gre_config own = defaults();

    return tunnelcap_i_struct_init(config, size, &own, sizeof(own), OLDEST);
}

static int32_t read_config(tunnelcap_gre_config *own, const tunnelcap_gre_config *config)
{
    int32_t status;

    *own = defaults();
    status = tunnelcap_i_struct_read(own, sizeof(*own), OLDEST, config);
    if (status != TUNNELCAP_OK)
        return status;
    if (own->flags & ~(uint32_t)FLAGS_KNOWN)
        return TUNNELCAP_E_FLAGS;
    if ((own->flags & TUNNELCAP_GRE_UDP_ZERO_CHECKSUM) && !(own->flags & TUNNELCAP_GRE_UDP))
        return TUNNELCAP_E_FLAGS;
    if ((own->flags & TUNNELCAP_GRE_UDP) && own->udp_port == 0)
        return TUNNELCAP_E_PORT;
    if (own->protocol != 0 && own->protocol < 0x0600)
        return TUNNELCAP_E_RANGE; /* below are lengths, not EtherTypes */
    if (!tunnelcap_i_is_zero(own->reserved, sizeof(own->reserved)))
        return TUNNELCAP_E_RESERVED;
    return TUNNELCAP_OK;
}

/* Write the constant part of UDP and GRE headers behind the IP header of the template. */
static void build_headers(tunnelcap_gre *gre, const tunnelcap_gre_config *c)
{
    uint8_t *p = gre->outer.header + gre->outer.ip_len;
    uint8_t *field;
    uint16_t flags = 0;

    if (c->flags & TUNNELCAP_GRE_UDP) {
        tunnelcap_i_store16(p, c->udp_src_port);
        tunnelcap_i_store16(p + 2, c->udp_port);
        p += TUNNELCAP_I_UDP_HEADER;
    }
    field = p + TUNNELCAP_I_GRE_BARE;
    if (c->flags & TUNNELCAP_GRE_CHECKSUM) {
        flags |= TUNNELCAP_I_GRE_C;
        field += 4;
    }
    if (c->flags & TUNNELCAP_GRE_KEY_OUT) {
        flags |= TUNNELCAP_I_GRE_K;
        tunnelcap_i_store32(field, c->key_out);
        field += 4;
    }
    if (c->flags & TUNNELCAP_GRE_SEQUENCE)
        flags |= TUNNELCAP_I_GRE_S;
    tunnelcap_i_store16(p, flags);
    tunnelcap_i_store16(p + 2, TUNNELCAP_ETHERTYPE_IPV4);
    gre->outer.header[gre->outer.protocol_at] = TUNNELCAP_I_PROTO_GRE;
    gre->gre_at = (uint8_t)(p - gre->outer.header);
}

static uint32_t extra_headers(uint32_t flags)
{
    return (flags & TUNNELCAP_GRE_UDP ? TUNNELCAP_I_UDP_HEADER : 0u) + TUNNELCAP_I_GRE_BARE +
           (flags & TUNNELCAP_GRE_CHECKSUM ? 4u : 0u) + (flags & TUNNELCAP_GRE_KEY_OUT ? 4u : 0u) +
           (flags & TUNNELCAP_GRE_SEQUENCE ? 4u : 0u);
}

int32_t tunnelcap_i_gre_place(tunnelcap_gre *gre, const tunnelcap_gre_config *config,
                              tunnelcap_i_gre_state *state, uint32_t fresh)
{
    tunnelcap_gre_config own;
    int32_t status = read_config(&own, config);

    if (status != TUNNELCAP_OK)
        return status;
    memset(gre, 0, sizeof(*gre));
    status = tunnelcap_i_outer_build(&own.outer, extra_headers(own.flags), &gre->outer);
    if (status != TUNNELCAP_OK)
        return status;
    build_headers(gre, &own);
    gre->flags = (uint16_t)own.flags;
    gre->key_in = own.key_in;
    gre->protocol = own.protocol;
    gre->udp_port = own.udp_port;
    gre->udp_src_port = own.udp_src_port;
    gre->plain =
        (own.flags & (TUNNELCAP_GRE_UDP | TUNNELCAP_GRE_CHECKSUM | TUNNELCAP_GRE_SEQUENCE)) == 0;
    if (own.flags & TUNNELCAP_GRE_UDP)
        gre->outer.want_flow |=
            own.udp_src_port == 0 || (own.flags & TUNNELCAP_GRE_UDP_ZERO_CHECKSUM) != 0;
    gre->plain_out = gre->plain && gre->outer.plain &&
                     (own.protocol == 0 || own.protocol == TUNNELCAP_ETHERTYPE_IPV4);
    if (own.outer.local.family == TUNNELCAP_IPV4 && !gre->outer.dscp_uniform &&
        (own.flags & (TUNNELCAP_GRE_UDP | TUNNELCAP_GRE_CHECKSUM | TUNNELCAP_GRE_IN_ORDER)) == 0) {
        gre->plain_in = own.flags & TUNNELCAP_GRE_KEY_IN ? 28 : 24;
        tunnelcap_i_store16(gre->gre_in, own.flags & TUNNELCAP_GRE_KEY_IN ? TUNNELCAP_I_GRE_K : 0);
        tunnelcap_i_store16(gre->gre_in + 2, TUNNELCAP_ETHERTYPE_IPV4);
    }
    gre->state = state;
    if (fresh) {
        TUNNELCAP_I_STORE(state->seq_out, own.seq_start);
        TUNNELCAP_I_STORE(state->seq_in, 0);
    }
    return TUNNELCAP_OK;
}

static size_t lay_out(uint8_t *base, tunnelcap_gre **gre)
{
    tunnelcap_i_layout layout = {base, 0};

    *gre = tunnelcap_i_layout_add(&layout, 1, sizeof(**gre));
    return layout.size;
}

size_t tunnelcap_gre_size(const tunnelcap_gre_config *config)
{
    tunnelcap_gre scratch;
    tunnelcap_gre *gre;

    if (tunnelcap_i_gre_place(&scratch, config, &scratch.own_state, 1) != TUNNELCAP_OK)
        return 0;
    return lay_out(NULL, &gre);
}

int32_t tunnelcap_gre_init(void *mem, size_t mem_size, const tunnelcap_gre_config *config,
                           tunnelcap_gre **out)
{
    tunnelcap_gre scratch;
    tunnelcap_gre *gre;
    size_t need = lay_out(NULL, &gre);
    int32_t status = tunnelcap_i_gre_place(&scratch, config, &scratch.own_state, 1);

    if (status != TUNNELCAP_OK)
        return status;
    if (out == NULL)
        return TUNNELCAP_E_INVALID;
    status = tunnelcap_i_memory_check(mem, mem_size, need);
    if (status != TUNNELCAP_OK)
        return status;

    lay_out(mem, &gre);
    tunnelcap_i_gre_place(gre, config, &gre->own_state, 1);
    gre->owner.bytes = need;
    *out = gre;
    return TUNNELCAP_OK;
}

void tunnelcap_gre_fini(tunnelcap_gre *gre)
{
    tunnelcap_i_memory_end(gre);
}

int32_t tunnelcap_gre_new(const tunnelcap_gre_config *config, const tunnelcap_alloc *alloc,
                          tunnelcap_gre **out)
{
    tunnelcap_gre scratch;
    tunnelcap_gre *gre;
    tunnelcap_i_owner owner;
    void *mem;
    int32_t status = tunnelcap_i_gre_place(&scratch, config, &scratch.own_state, 1);

    if (status != TUNNELCAP_OK)
        return status;
    if (out == NULL)
        return TUNNELCAP_E_INVALID;
    status = tunnelcap_i_memory_get(lay_out(NULL, &gre), alloc, &mem, &owner);
    if (status != TUNNELCAP_OK)
        return status;
    tunnelcap_gre_init(mem, owner.bytes, config, out);
    (*out)->owner = owner;
    return TUNNELCAP_OK;
}

void tunnelcap_gre_free(tunnelcap_gre *gre)
{
    tunnelcap_i_memory_end(gre);
}

uint32_t tunnelcap_gre_headroom(const tunnelcap_gre *gre)
{
    return gre == NULL ? 0 : gre->outer.header_len;
}

uint32_t tunnelcap_gre_encap_len(const tunnelcap_gre *gre, uint32_t inner_len)
{
    return gre == NULL ? 0 : tunnelcap_i_outer_len(&gre->outer, inner_len);
}

uint32_t tunnelcap_gre_inner_mtu(const tunnelcap_gre *gre, uint32_t path_mtu)
{
    return gre == NULL ? 0 : tunnelcap_i_outer_inner_mtu(&gre->outer, path_mtu);
}

/* Patch what a template of UDP, checksum and sequence number leaves open. h is the outer header,
 * total the length of the outer packet. */
static void write_options(const tunnelcap_gre *gre, const tunnelcap_i_inner *inner, uint8_t *h,
                          uint32_t total)
{
    const tunnelcap_i_outer *outer = &gre->outer;
    uint8_t *g = h + gre->gre_at;
    uint8_t *udp = h + outer->ip_len;
    uint32_t udp_len = total - outer->ip_len;
    uint32_t rest = total - gre->gre_at; /* GRE header and payload */
    uint32_t sum;

    if (gre->flags & TUNNELCAP_GRE_SEQUENCE)
        tunnelcap_i_store32(h + outer->header_len - 4, TUNNELCAP_I_ADD(gre->state->seq_out, 1));
    if (gre->flags & TUNNELCAP_GRE_CHECKSUM) /* the field itself is still zero */
        tunnelcap_i_store16(g + 4, (uint16_t)~tunnelcap_i_sum(g, rest));
    if (!(gre->flags & TUNNELCAP_GRE_UDP))
        return;
    if (gre->udp_src_port == 0)
        tunnelcap_i_store16(udp, TUNNELCAP_I_PORT_FIRST +
                                     ((uint32_t)inner->hash & TUNNELCAP_I_PORT_MASK));
    tunnelcap_i_store16(udp + 4, udp_len);
    if ((gre->flags & TUNNELCAP_GRE_UDP_ZERO_CHECKSUM) && !inner->fragment)
        return;
    /* A GRE checksum makes header and payload sum to all ones, which is zero: one pass is enough
     * for both. */
    sum = gre->flags & TUNNELCAP_GRE_CHECKSUM ? 0 : tunnelcap_i_sum(g, rest);
    sum += tunnelcap_i_sum(udp, TUNNELCAP_I_UDP_HEADER);
    sum +=
        outer->family == TUNNELCAP_IPV4
            ? tunnelcap_i_sum_pseudo(h + 12, h + 16, TUNNELCAP_IPV4, TUNNELCAP_I_PROTO_UDP, udp_len)
            : tunnelcap_i_sum_pseudo(h + 8, h + 24, TUNNELCAP_IPV6, TUNNELCAP_I_PROTO_UDP, udp_len);
    sum = (uint16_t)~tunnelcap_i_fold(sum);
    tunnelcap_i_store16(udp + 6, sum != 0 ? sum : 0xffff); /* RFC 768: zero means none */
}

/* Wrap the packet that nearly every packet is: IPv4 without options, in a tunnel whose template
 * lacks no more than TOS and length. Gives 0 and does nothing for any other, be it right or
 * wrong. */
static inline uint32_t encap_plain(const tunnelcap_gre *gre, tunnelcap_pkt *pkt)
{
    const tunnelcap_i_outer *outer = &gre->outer;
    const uint8_t *p = pkt->buf + pkt->off;
    uint8_t *h;
    uint32_t header_len = outer->header_len;
    uint32_t total;
    uint32_t tos;

    if (!gre->plain_out || pkt->off < header_len || pkt->len < TUNNELCAP_I_IPV4_HEADER ||
        p[0] != 0x45)
        return 0;
    total = tunnelcap_i_load16(p + 2);
    if (total < TUNNELCAP_I_IPV4_HEADER || total > pkt->len ||
        total + header_len > TUNNELCAP_I_IPV4_MAX)
        return 0;
    total += header_len;
    tos = (uint32_t)((p[1] & outer->tos_mask) | outer->tos_fixed);
    pkt->off -= header_len;
    pkt->len = total;
    h = pkt->buf + pkt->off;
    tunnelcap_i_header_copy(h, outer->header, header_len);
    h[1] = (uint8_t)tos;
    tunnelcap_i_store16(h + 2, total);
    tunnelcap_i_store16(h + 10, (uint16_t)~tunnelcap_i_fold(outer->plain_sum + tos + total +
                                                            TUNNELCAP_I_PROTO_GRE));
    return 1;
}

static int32_t encap_full(tunnelcap_gre *gre, tunnelcap_lane *lane, tunnelcap_pkt *pkt,
                          const tunnelcap_meta *meta)
{
    const tunnelcap_i_outer *outer = &gre->outer;
    tunnelcap_i_inner inner;
    uint8_t *p = pkt->buf + pkt->off;
    uint8_t *h;
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
    if (inner.len > outer->max - outer->header_len)
        return TUNNELCAP_E_TOO_BIG;
    if (pkt->off < outer->header_len)
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
        write_options(gre, &inner, h, total);
    pkt->off -= outer->header_len;
    pkt->len = total;
    return TUNNELCAP_OK;
}

static inline int32_t encap_one(tunnelcap_gre *gre, tunnelcap_lane *lane, tunnelcap_pkt *pkt,
                                const tunnelcap_meta *meta)
{
    if (meta == NULL && encap_plain(gre, pkt))
        return TUNNELCAP_OK;
    return encap_full(gre, lane, pkt, meta);
}

int32_t tunnelcap_i_gre_encap(tunnelcap_gre *gre, tunnelcap_lane *lane, tunnelcap_pkt *pkt,
                              const tunnelcap_meta *meta)
{
    return encap_one(gre, lane, pkt, meta);
}

uint32_t tunnelcap_gre_encap(tunnelcap_gre *gre, tunnelcap_lane *lane, tunnelcap_pkt *pkts,
                             const tunnelcap_meta *meta, uint32_t meta_stride, uint32_t count)
{
    uint32_t ok = 0;

    if (gre == NULL || lane == NULL || pkts == NULL)
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        pkts[i].status = TUNNELCAP_E_INVALID;
        if (tunnelcap_i_pkt_valid(&pkts[i]))
            pkts[i].status =
                encap_one(gre, lane, &pkts[i], tunnelcap_i_meta_at(meta, meta_stride, i));
        ok += pkts[i].status == TUNNELCAP_OK;
    }
    return ok;
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

/* Unwrap the packet that nearly every packet is: IPv4 in GRE in IPv4 without options, right in
 * all that decap_full() checks, and with an outer ECN that changes nothing. Gives 0 and does
 * nothing for any other, be it right or wrong. */
static inline uint32_t decap_plain(const tunnelcap_gre *gre, tunnelcap_pkt *pkt,
                                   tunnelcap_gre_rx *rx)
{
    const uint8_t *p = pkt->buf + pkt->off;
    const uint8_t *inner;
    uint32_t total;
    uint32_t inner_total;

    if (gre->plain_in == 0 || pkt->len < gre->plain_in + (uint32_t)TUNNELCAP_I_IPV4_HEADER)
        return 0;
    inner = p + gre->plain_in;
    total = tunnelcap_i_load16(p + 2);
    inner_total = tunnelcap_i_load16(inner + 2);
    if (p[0] != 0x45 || (p[1] & 1) || total > pkt->len ||
        (tunnelcap_i_load16(p + 6) & 0x3fff) != 0 || p[9] != TUNNELCAP_I_PROTO_GRE ||
        tunnelcap_i_word64(p + 12) != tunnelcap_i_word64(gre->outer.match) ||
        tunnelcap_i_sum20(p) != 0xffff ||
        tunnelcap_i_word32(p + TUNNELCAP_I_IPV4_HEADER) != tunnelcap_i_word32(gre->gre_in))
        return 0;
    if (gre->plain_in == 28 && tunnelcap_i_load32(p + 24) != gre->key_in)
        return 0;
    if (inner[0] != 0x45 || inner[9] == TUNNELCAP_I_PROTO_GRE ||
        inner_total < TUNNELCAP_I_IPV4_HEADER || inner_total + gre->plain_in > total)
        return 0;

    if (rx != NULL) {
        rx->key = gre->plain_in == 28 ? gre->key_in : 0;
        rx->seq = 0;
        rx->protocol = TUNNELCAP_ETHERTYPE_IPV4;
        rx->flags = gre->plain_in == 28 ? TUNNELCAP_GRE_RX_KEY : 0;
        rx->reserved = 0;
    }
    pkt->off += gre->plain_in;
    pkt->len = total - gre->plain_in;
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
    uint32_t l3;
    uint8_t tos = 0;
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
    status = tunnelcap_i_payload_check(&gre->outer, &o, payload, len, g.protocol, &l3, &tos);
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
    if (l3 != UINT32_MAX)
        tunnelcap_i_payload_set_tos(payload + l3, tos);
    return TUNNELCAP_OK;
}

static inline int32_t decap_one(tunnelcap_gre *gre, tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                                tunnelcap_gre_rx *rx)
{
    if (meta == NULL && decap_plain(gre, pkt, rx))
        return TUNNELCAP_OK;
    return decap_full(gre, pkt, meta, rx);
}

int32_t tunnelcap_i_gre_decap(tunnelcap_gre *gre, tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                              tunnelcap_gre_rx *rx)
{
    return decap_one(gre, pkt, meta, rx);
}

uint32_t tunnelcap_gre_decap(tunnelcap_gre *gre, tunnelcap_pkt *pkts, const tunnelcap_meta *meta,
                             uint32_t meta_stride, tunnelcap_gre_rx *rx, uint32_t count)
{
    uint32_t ok = 0;

    if (gre == NULL || pkts == NULL)
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        pkts[i].status = TUNNELCAP_E_INVALID;
        if (tunnelcap_i_pkt_valid(&pkts[i]))
            pkts[i].status = decap_one(gre, &pkts[i], tunnelcap_i_meta_at(meta, meta_stride, i),
                                       rx == NULL ? NULL : &rx[i]);
        ok += pkts[i].status >= TUNNELCAP_OK;
    }
    return ok;
}
