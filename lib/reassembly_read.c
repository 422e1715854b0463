/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Whether a packet is a fragment, and what is right about it without knowing any other. */
#include "reassembly.h"

#include "checksum.h"

enum { ECN_MASK = 3, PROTO_DCCP = 33, PROTO_SCTP = 132, PROTO_UDP_LITE = 136 };

/* Bytes of a transport header that filters read: a first fragment must hold them. */
static uint32_t transport_len(uint8_t protocol)
{
    switch (protocol) {
    case TUNNELCAP_I_PROTO_TCP:
        return 20;
    case PROTO_SCTP:
    case PROTO_DCCP:
        return 12;
    case TUNNELCAP_I_PROTO_UDP:
    case PROTO_UDP_LITE:
    case TUNNELCAP_I_PROTO_ICMP:
    case TUNNELCAP_I_PROTO_ICMPV6:
    case TUNNELCAP_I_PROTO_ESP:
        return 8;
    case TUNNELCAP_I_PROTO_GRE:
        return 4;
    default:
        return 0;
    }
}

/* What a fragment's offset and flags say of its data, from the IP header alone. extra is what the
 * header takes of the 65535 bytes. */
static int32_t check_data(const tunnelcap_i_fragment *f, uint32_t extra)
{
    if (f->len == 0 || (f->more && f->len % TUNNELCAP_I_UNIT != 0) ||
        extra + f->off + f->len > TUNNELCAP_I_IP_MAX)
        return TUNNELCAP_E_MALFORMED;
    return TUNNELCAP_OK;
}

static int32_t read_ipv4(const uint8_t *p, uint32_t len, const tunnelcap_meta *meta,
                         tunnelcap_i_fragment *f)
{
    tunnelcap_i_ip ip;
    uint32_t field;
    int32_t status = tunnelcap_i_ip_read(p, len, &ip);

    if (status != TUNNELCAP_OK)
        return status;
    if (!ip.fragment)
        return TUNNELCAP_WHOLE;
    if (len < ip.total)
        return TUNNELCAP_E_TRUNCATED;
    if (!(meta != NULL && (meta->flags & TUNNELCAP_META_CSUM_VALID)) &&
        (ip.payload == TUNNELCAP_I_IPV4_HEADER ? tunnelcap_i_sum20(p)
                                               : tunnelcap_i_sum(p, ip.payload)) != 0xffff)
        return TUNNELCAP_E_CHECKSUM;
    field = tunnelcap_i_load16(p + 6);
    f->p = p;
    f->header_len = ip.payload;
    f->off = (field & 0x1fff) * TUNNELCAP_I_UNIT;
    f->len = ip.total - ip.payload;
    f->next_at = 0;
    f->more = field >> 13 & 1;
    f->df = field >> 14 & 1;
    f->ecn = ip.tos & ECN_MASK;
    status = check_data(f, f->header_len);
    if (status != TUNNELCAP_OK)
        return status;
    if ((f->off == 0 && f->len < transport_len(ip.protocol)) ||
        (f->off == TUNNELCAP_I_UNIT && ip.protocol == TUNNELCAP_I_PROTO_TCP))
        return TUNNELCAP_E_TINY_FRAGMENT;
    memset(&f->key, 0, sizeof(f->key));
    memcpy(f->key.addr, ip.src, 8);
    f->key.id = tunnelcap_i_load16(p + 4);
    f->key.family = TUNNELCAP_IPV4;
    f->key.protocol = ip.protocol;
    return TUNNELCAP_OK;
}

/* Find the Fragment header of an IPv6 packet: *at, and *next_at where it is named. */
static int32_t find_fragment_header(const uint8_t *p, uint32_t len, uint32_t total, uint32_t *at,
                                    uint32_t *next_at)
{
    uint32_t size;

    *at = TUNNELCAP_I_IPV6_HEADER;
    *next_at = 6;
    for (uint32_t count = 0; count <= TUNNELCAP_I_EXTENSIONS_MAX; count++) {
        switch (p[*next_at]) {
        case TUNNELCAP_I_PROTO_HOP_BY_HOP:
        case TUNNELCAP_I_PROTO_ROUTING:
        case TUNNELCAP_I_PROTO_DEST_OPTS:
        case TUNNELCAP_I_PROTO_FRAGMENT:
            break;
        default:
            return TUNNELCAP_WHOLE;
        }
        if (total - *at < TUNNELCAP_I_FRAGMENT_HEADER)
            return TUNNELCAP_E_MALFORMED;
        if (len - *at < TUNNELCAP_I_FRAGMENT_HEADER)
            return TUNNELCAP_E_TRUNCATED;
        if (p[*next_at] == TUNNELCAP_I_PROTO_FRAGMENT)
            return TUNNELCAP_OK;
        size = ((uint32_t)p[*at + 1] + 1) * 8;
        if (size > total - *at)
            return TUNNELCAP_E_MALFORMED;
        if (size > len - *at)
            return TUNNELCAP_E_TRUNCATED;
        *next_at = *at;
        *at += size;
    }
    return TUNNELCAP_E_MALFORMED;
}

/* A first fragment holds all headers up to the transport's (RFC 7112). */
static uint32_t ipv6_first_is_tiny(const tunnelcap_i_fragment *f, uint32_t total, uint8_t next)
{
    tunnelcap_i_ip ip;

    ip.total = total;
    if (tunnelcap_i_ip_walk(f->p, f->header_len, total, next, &ip) != TUNNELCAP_OK)
        return 1;
    return !ip.non_first && total - ip.payload < transport_len(ip.protocol);
}

static int32_t read_ipv6(const uint8_t *p, uint32_t len, tunnelcap_i_fragment *f)
{
    uint32_t total;
    uint32_t at;
    uint32_t field;
    int32_t status;

    if (len < TUNNELCAP_I_IPV6_HEADER)
        return TUNNELCAP_E_TRUNCATED;
    total = TUNNELCAP_I_IPV6_HEADER + (uint32_t)tunnelcap_i_load16(p + 4);
    status = find_fragment_header(p, len, total, &at, &f->next_at);
    if (status != TUNNELCAP_OK)
        return status;
    field = tunnelcap_i_load16(p + at + 2);
    f->p = p;
    f->header_len = at + TUNNELCAP_I_FRAGMENT_HEADER;
    f->off = field & 0xfff8;
    f->len = total - f->header_len;
    f->more = field & 1;
    f->df = 1;
    f->ecn = tunnelcap_i_ipv6_class(p) & ECN_MASK;
    if (f->off == 0 && !f->more)
        return TUNNELCAP_WHOLE;
    if (len < total)
        return TUNNELCAP_E_TRUNCATED;
    status = check_data(f, f->off == 0 ? at - TUNNELCAP_I_IPV6_HEADER : 0);
    if (status != TUNNELCAP_OK)
        return status;
    if (f->off == 0 && f->header_len > TUNNELCAP_REASSEMBLY_HEADER_MAX)
        return TUNNELCAP_E_MALFORMED;
    if ((f->off == 0 && ipv6_first_is_tiny(f, total, p[at])) ||
        (f->off == TUNNELCAP_I_UNIT && p[at] == TUNNELCAP_I_PROTO_TCP))
        return TUNNELCAP_E_TINY_FRAGMENT;
    memset(&f->key, 0, sizeof(f->key));
    memcpy(f->key.addr, p + 8, 32);
    f->key.id = tunnelcap_i_load32(p + at + 4);
    f->key.family = TUNNELCAP_IPV6;
    return TUNNELCAP_OK;
}

int32_t tunnelcap_i_fragment_read(const tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                                  tunnelcap_i_fragment *f)
{
    const uint8_t *p;
    int32_t status;

    if (pkt == NULL || pkt->buf == NULL || pkt->off > pkt->cap || pkt->len > pkt->cap - pkt->off)
        return TUNNELCAP_E_INVALID;
    if (meta != NULL && meta->at != TUNNELCAP_AT_IP)
        return meta->at <= TUNNELCAP_AT_IP_PAYLOAD ? TUNNELCAP_WHOLE : TUNNELCAP_E_INVALID;
    p = pkt->buf + pkt->off;
    if (pkt->len == 0)
        return TUNNELCAP_E_TRUNCATED;
    if (p[0] >> 4 == 4)
        status = read_ipv4(p, pkt->len, meta, f);
    else if (p[0] >> 4 == 6)
        status = read_ipv6(p, pkt->len, f);
    else
        status = TUNNELCAP_E_MALFORMED;
    if (status == TUNNELCAP_OK)
        f->key.vrf = meta != NULL ? meta->vrf : 0;
    return status;
}
