/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include <tunnelcap/peek.h>

#include "gre_header.h"
#include "outer.h"

static int32_t peek_gre(const uint8_t *p, const tunnelcap_i_opened *o, tunnelcap_peek_result *r)
{
    tunnelcap_i_gre_header g;
    int32_t status = tunnelcap_i_gre_read(p + o->pos, o->end - o->pos, &g);

    r->kind = TUNNELCAP_KIND_GRE;
    if (status != TUNNELCAP_OK)
        return status;
    r->protocol = g.protocol;
    r->key = g.key;
    r->seq = g.seq;
    r->payload = (uint16_t)(o->pos + g.len);
    r->flags |= (g.flags & TUNNELCAP_I_GRE_K ? TUNNELCAP_PEEK_KEY : 0u) |
                (g.flags & TUNNELCAP_I_GRE_S ? TUNNELCAP_PEEK_SEQUENCE : 0u) |
                (g.flags & TUNNELCAP_I_GRE_C ? TUNNELCAP_PEEK_CHECKSUM : 0u);
    return TUNNELCAP_OK;
}

static int32_t peek_esp(const uint8_t *p, const tunnelcap_i_opened *o, tunnelcap_peek_result *r)
{
    r->kind = TUNNELCAP_KIND_ESP;
    if (o->end - o->pos < 8)
        return TUNNELCAP_E_TRUNCATED;
    r->flags |= TUNNELCAP_PEEK_SEQUENCE;
    r->key = tunnelcap_i_load32(p + o->pos);
    r->seq = tunnelcap_i_load32(p + o->pos + 4);
    r->payload = (uint16_t)o->pos;
    return TUNNELCAP_OK;
}

/* UDP 4500 carries three things (RFC 3948 section 2). */
static int32_t peek_udp4500(const uint8_t *p, const tunnelcap_i_opened *o, tunnelcap_peek_result *r)
{
    uint32_t left = o->end - o->pos;

    r->payload = (uint16_t)o->pos;
    if (left == 1 && p[o->pos] == 0xff) {
        r->kind = TUNNELCAP_KIND_NAT_KEEPALIVE;
        return TUNNELCAP_OK;
    }
    if (left >= 4 && tunnelcap_i_load32(p + o->pos) == 0) {
        r->kind = TUNNELCAP_KIND_IKE;
        return TUNNELCAP_OK;
    }
    return peek_esp(p, o, r);
}

/* Only the UDP of tunnels is looked into: what other UDP is like is not our affair. */
static int32_t peek_udp(const uint8_t *p, tunnelcap_i_opened *o, tunnelcap_peek_result *r)
{
    int32_t status = tunnelcap_i_look_udp(p, o);

    if (status == TUNNELCAP_E_TRUNCATED)
        return status;
    r->flags |= TUNNELCAP_PEEK_UDP;
    r->src_port = o->src_port;
    r->dst_port = o->dst_port;
    if (o->dst_port == TUNNELCAP_GRE_UDP_PORT)
        r->kind = TUNNELCAP_KIND_GRE;
    else if (o->dst_port == TUNNELCAP_ESP_UDP_PORT || o->src_port == TUNNELCAP_ESP_UDP_PORT)
        r->kind = TUNNELCAP_KIND_ESP;
    else
        return TUNNELCAP_OK;
    if (status != TUNNELCAP_OK)
        return status;
    return r->kind == TUNNELCAP_KIND_GRE ? peek_gre(p, o, r) : peek_udp4500(p, o, r);
}

static int32_t peek_tunnel(const uint8_t *p, tunnelcap_i_opened *o, tunnelcap_peek_result *r)
{
    switch (o->protocol) {
    case TUNNELCAP_I_PROTO_GRE:
        return peek_gre(p, o, r);
    case TUNNELCAP_I_PROTO_ESP:
        return peek_esp(p, o, r);
    case TUNNELCAP_I_PROTO_UDP:
        return peek_udp(p, o, r);
    case TUNNELCAP_I_PROTO_IPV4:
    case TUNNELCAP_I_PROTO_IPV6:
        r->kind = TUNNELCAP_KIND_IPIP;
        r->protocol = o->protocol == TUNNELCAP_I_PROTO_IPV4 ? TUNNELCAP_ETHERTYPE_IPV4
                                                            : TUNNELCAP_ETHERTYPE_IPV6;
        r->payload = (uint16_t)o->pos;
        return TUNNELCAP_OK;
    default:
        return TUNNELCAP_OK;
    }
}

int32_t tunnelcap_peek(const tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                       tunnelcap_peek_result *result)
{
    enum { OLDEST = sizeof(*result) };
    tunnelcap_peek_result own;
    tunnelcap_i_opened o;
    const uint8_t *p;
    int32_t status;

    if (pkt == NULL || result == NULL)
        return TUNNELCAP_E_INVALID;
    memset(&own, 0, sizeof(own));
    status = tunnelcap_i_struct_init(result, result->size, &own, sizeof(own), OLDEST);
    if (status != TUNNELCAP_OK)
        return status;
    if (!tunnelcap_i_pkt_valid(pkt))
        return TUNNELCAP_E_INVALID;
    p = pkt->buf + pkt->off;
    o.family = 0;
    status = tunnelcap_i_open_cut(p, pkt->len, meta, &o);
    if (status != TUNNELCAP_OK && (status != TUNNELCAP_E_TRUNCATED || o.family == 0))
        return status;
    tunnelcap_i_addr_set(&own.src, o.src, o.family);
    tunnelcap_i_addr_set(&own.dst, o.dst, o.family);
    own.ip_protocol = o.protocol;
    own.tos = o.tos;
    if (o.fragment)
        own.flags |= TUNNELCAP_PEEK_FRAGMENT;
    status = TUNNELCAP_OK;
    if (o.non_first)
        own.kind = tunnelcap_i_kind_of(o.protocol);
    else
        status = peek_tunnel(p, &o, &own);
    tunnelcap_i_struct_init(result, result->size, &own, sizeof(own), OLDEST);
    return status;
}
