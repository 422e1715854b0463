/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "gre_header.h"
#include "icmp.h"

/* Implementation notes. The message itself must be whole and its checksum right. Its quote is a
 * packet whose tail is missing, read as a look at a cut packet would; each field of a tunnel
 * header counts only if its last byte is there. */

/* A quote before extensions has at least this many bytes (RFC 4884 section 3). */
enum { EXTENDED_QUOTE = 128 };

/* The largest plateau below what did not fit (RFC 1191 section 7). */
static uint32_t plateau(uint32_t total)
{
    static const uint16_t plateaus[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296};

    for (uint32_t i = 0; i < sizeof(plateaus) / sizeof(plateaus[0]); i++) {
        if (plateaus[i] < total)
            return plateaus[i];
    }
    return TUNNELCAP_I_MTU_MIN4;
}

/* 1 if an extension structure stands behind 128 bytes of quote though nothing says so: what
 * routers did before RFC 4884 (its section 5.5). */
static uint32_t has_old_extension(const uint8_t *quote, uint32_t len)
{
    enum { STRUCTURE = 4, OBJECT = 4, VERSION = 2 };
    const uint8_t *ext = quote + EXTENDED_QUOTE;

    return len >= EXTENDED_QUOTE + STRUCTURE + OBJECT && ext[0] >> 4 == VERSION &&
           tunnelcap_i_load16(ext + 2) != 0 && tunnelcap_i_sum(ext, len - EXTENDED_QUOTE) == 0xffff;
}

/* Bytes of quote in a message of `len` bytes, extensions left out. */
static uint32_t quote_bytes(const uint8_t *icmp, uint32_t len, uint8_t family)
{
    uint32_t left = len - TUNNELCAP_I_ICMP_HEADER;
    uint32_t said;

    if (family == TUNNELCAP_IPV4) {
        said = (uint32_t)icmp[5] * 4;
        if (said == 0 && has_old_extension(icmp + TUNNELCAP_I_ICMP_HEADER, left))
            said = EXTENDED_QUOTE;
    } else {
        if (icmp[0] != TUNNELCAP_I_ICMP6_UNREACHABLE && icmp[0] != TUNNELCAP_I_ICMP6_TIME)
            return left;
        said = (uint32_t)icmp[4] * 8;
    }
    return said >= EXTENDED_QUOTE && said < left ? said : left;
}

static void set_inner(const tunnelcap_i_opened *q, tunnelcap_icmp_result *r)
{
    if (q->pos >= q->end)
        return;
    r->flags |= TUNNELCAP_ICMP_INNER;
    r->inner = r->quote + q->pos;
    r->inner_len = q->end - q->pos;
}

static int32_t read_gre(const uint8_t *quote, tunnelcap_i_opened *q, tunnelcap_icmp_result *r)
{
    const uint8_t *p = quote + q->pos;
    tunnelcap_i_gre_header g;
    uint32_t left = q->end - q->pos;
    uint32_t key_at;
    int32_t status = tunnelcap_i_gre_read(p, left, &g);

    r->tunnel = TUNNELCAP_KIND_GRE;
    if (left < TUNNELCAP_I_GRE_BARE)
        return TUNNELCAP_OK;
    if (status != TUNNELCAP_OK && status != TUNNELCAP_E_TRUNCATED)
        return TUNNELCAP_E_ICMP; /* we send none of that kind */
    r->protocol = g.protocol;
    key_at = g.flags & TUNNELCAP_I_GRE_C ? 8 : 4;
    if (!(g.flags & TUNNELCAP_I_GRE_K)) {
        r->flags |= TUNNELCAP_ICMP_NO_KEY;
    } else if (left >= key_at + 4) {
        r->flags |= TUNNELCAP_ICMP_KEY;
        r->key = tunnelcap_i_load32(p + key_at);
    }
    if (status != TUNNELCAP_OK)
        return TUNNELCAP_OK;
    if (g.flags & TUNNELCAP_I_GRE_S) {
        r->flags |= TUNNELCAP_ICMP_SEQUENCE;
        r->seq = g.seq;
    }
    q->pos += g.len;
    set_inner(q, r);
    return TUNNELCAP_OK;
}

static void read_esp(const uint8_t *quote, const tunnelcap_i_opened *q, tunnelcap_icmp_result *r)
{
    uint32_t left = q->end - q->pos;

    r->tunnel = TUNNELCAP_KIND_ESP;
    if (left < 4)
        return;
    r->flags |= TUNNELCAP_ICMP_KEY;
    r->key = tunnelcap_i_load32(quote + q->pos);
    if (left < 8)
        return;
    r->flags |= TUNNELCAP_ICMP_SEQUENCE;
    r->seq = tunnelcap_i_load32(quote + q->pos + 4);
}

/* UDP 4500 carries three things (RFC 3948 section 2). */
static void read_udp4500(const uint8_t *quote, const tunnelcap_i_opened *q,
                         tunnelcap_icmp_result *r)
{
    if (tunnelcap_i_load16(quote + q->pos - 4) == TUNNELCAP_I_UDP_HEADER + 1)
        r->tunnel = TUNNELCAP_KIND_NAT_KEEPALIVE;
    else if (q->end - q->pos >= 4 && tunnelcap_i_load32(quote + q->pos) == 0)
        r->tunnel = TUNNELCAP_KIND_IKE;
    else
        read_esp(quote, q, r);
}

static int32_t read_udp(const uint8_t *quote, tunnelcap_i_opened *q, tunnelcap_icmp_result *r)
{
    int32_t status = tunnelcap_i_look_udp(quote, q);

    if (status == TUNNELCAP_E_TRUNCATED)
        return TUNNELCAP_OK; /* not even the ports */
    if (status != TUNNELCAP_OK)
        return TUNNELCAP_E_ICMP;
    r->flags |= TUNNELCAP_ICMP_PORTS;
    r->src_port = q->src_port;
    r->dst_port = q->dst_port;
    if (q->dst_port == TUNNELCAP_GRE_UDP_PORT)
        return read_gre(quote, q, r);
    if (q->dst_port == TUNNELCAP_ESP_UDP_PORT || q->src_port == TUNNELCAP_ESP_UDP_PORT)
        read_udp4500(quote, q, r);
    return TUNNELCAP_OK;
}

static int32_t read_tunnel(const uint8_t *quote, tunnelcap_i_opened *q, tunnelcap_icmp_result *r)
{
    r->tunnel = tunnelcap_i_kind_of(q->protocol);
    if (q->non_first)
        return TUNNELCAP_OK;
    switch (q->protocol) {
    case TUNNELCAP_I_PROTO_GRE:
        return read_gre(quote, q, r);
    case TUNNELCAP_I_PROTO_ESP:
        read_esp(quote, q, r);
        return TUNNELCAP_OK;
    case TUNNELCAP_I_PROTO_UDP:
        return read_udp(quote, q, r);
    case TUNNELCAP_I_PROTO_IPV4:
    case TUNNELCAP_I_PROTO_IPV6:
        r->protocol = q->protocol == TUNNELCAP_I_PROTO_IPV4 ? TUNNELCAP_ETHERTYPE_IPV4
                                                            : TUNNELCAP_ETHERTYPE_IPV6;
        set_inner(q, r);
        return TUNNELCAP_OK;
    default:
        return TUNNELCAP_OK;
    }
}

/* Read the packet that a message quotes; `len` bytes of it are there. */
static int32_t read_quote(const uint8_t *quote, uint32_t len, const tunnelcap_i_opened *o,
                          tunnelcap_icmp_result *r)
{
    tunnelcap_i_opened q;
    int32_t status;

    q.family = 0;
    status = tunnelcap_i_open_cut(quote, len, NULL, &q);
    if (status != TUNNELCAP_OK && (status != TUNNELCAP_E_TRUNCATED || q.family == 0))
        return TUNNELCAP_E_ICMP;
    if (q.family != o->family || memcmp(q.src, o->dst, q.family == TUNNELCAP_IPV4 ? 4 : 16) != 0)
        return TUNNELCAP_E_ICMP;
    tunnelcap_i_addr_set(&r->src, q.src, q.family);
    tunnelcap_i_addr_set(&r->dst, q.dst, q.family);
    r->quote_len = q.end;
    r->quote_total = q.family == TUNNELCAP_IPV4
                         ? tunnelcap_i_load16(quote + 2)
                         : TUNNELCAP_I_IPV6_HEADER + (uint32_t)tunnelcap_i_load16(quote + 4);
    r->ip_protocol = q.protocol;
    if (q.fragment)
        r->flags |= TUNNELCAP_ICMP_FRAGMENT;
    return read_tunnel(quote, &q, r);
}

static int32_t read_mtu(const uint8_t *icmp, uint8_t family, tunnelcap_icmp_result *r)
{
    if (family == TUNNELCAP_IPV6) {
        r->mtu = tunnelcap_i_load32(icmp + 4);
        return r->mtu >= TUNNELCAP_I_MTU_MIN6 ? TUNNELCAP_OK : TUNNELCAP_E_ICMP;
    }
    r->mtu = tunnelcap_i_load16(icmp + 6);
    if (r->mtu == 0) {
        r->flags |= TUNNELCAP_ICMP_MTU_GUESSED;
        r->mtu = plateau(r->quote_total);
    }
    return r->mtu >= TUNNELCAP_I_MTU_MIN4 ? TUNNELCAP_OK : TUNNELCAP_E_ICMP;
}

static int32_t read_message(const uint8_t *p, const tunnelcap_i_opened *o, tunnelcap_icmp_result *r)
{
    const uint8_t *icmp = p + o->pos;
    int32_t status;

    r->type = icmp[0];
    r->code = icmp[1];
    r->kind = tunnelcap_i_icmp_kind(o->family, r->type, r->code);
    if (r->kind == TUNNELCAP_ICMP_OTHER || r->kind == TUNNELCAP_ICMP_INFORMATION)
        return TUNNELCAP_E_ICMP;
    if (r->kind == TUNNELCAP_ICMP_PARAMETER)
        r->pointer = o->family == TUNNELCAP_IPV4 ? icmp[4] : tunnelcap_i_load32(icmp + 4);
    r->quote = o->pos + TUNNELCAP_I_ICMP_HEADER;
    status = read_quote(p + r->quote, quote_bytes(icmp, o->end - o->pos, o->family), o, r);
    if (status != TUNNELCAP_OK || r->kind != TUNNELCAP_ICMP_TOO_BIG)
        return status;
    return read_mtu(icmp, o->family, r);
}

int32_t tunnelcap_icmp_parse(const tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                             tunnelcap_icmp_result *result)
{
    enum { OLDEST = sizeof(*result) };
    tunnelcap_icmp_result own;
    tunnelcap_i_opened o;
    int32_t status;

    if (pkt == NULL || result == NULL)
        return TUNNELCAP_E_INVALID;
    memset(&own, 0, sizeof(own));
    status = tunnelcap_i_struct_init(result, result->size, &own, sizeof(own), OLDEST);
    if (status != TUNNELCAP_OK)
        return status;
    status = tunnelcap_i_icmp_open(pkt, meta, &o);
    if (status != TUNNELCAP_OK && status != TUNNELCAP_E_ICMP)
        return status;
    tunnelcap_i_addr_set(&own.from, o.src, o.family);
    tunnelcap_i_addr_set(&own.to, o.dst, o.family);
    if (status == TUNNELCAP_OK)
        status = read_message(pkt->buf + pkt->off, &o, &own);
    tunnelcap_i_struct_init(result, result->size, &own, sizeof(own), OLDEST);
    return status;
}
