/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "icmp.h"

enum { OLDEST = sizeof(tunnelcap_icmp_echo) };

int32_t tunnelcap_icmp_echo_init(tunnelcap_icmp_echo *echo, uint32_t size)
{
    tunnelcap_icmp_echo own;

    memset(&own, 0, sizeof(own));
    own.flags = TUNNELCAP_ECHO_DF;
    own.type = TUNNELCAP_ECHO_REQUEST;
    own.ttl = 64;
    return tunnelcap_i_struct_init(echo, size, &own, sizeof(own), OLDEST);
}

static uint8_t wire_type(uint8_t family, uint8_t type)
{
    if (family == TUNNELCAP_IPV4)
        return type == TUNNELCAP_ECHO_REQUEST ? TUNNELCAP_I_ICMP4_ECHO
                                              : TUNNELCAP_I_ICMP4_ECHO_REPLY;
    return type == TUNNELCAP_ECHO_REQUEST ? TUNNELCAP_I_ICMP6_ECHO : TUNNELCAP_I_ICMP6_ECHO_REPLY;
}

/* The type of echo that a message is, or 0. */
static uint8_t echo_type(const uint8_t *icmp, uint8_t family)
{
    if (icmp[1] != 0)
        return 0;
    if (icmp[0] == wire_type(family, TUNNELCAP_ECHO_REQUEST))
        return TUNNELCAP_ECHO_REQUEST;
    return icmp[0] == wire_type(family, TUNNELCAP_ECHO_REPLY) ? TUNNELCAP_ECHO_REPLY : 0;
}

static int32_t read_config(tunnelcap_icmp_echo *own, const tunnelcap_icmp_echo *echo)
{
    int32_t status = tunnelcap_i_struct_read(own, sizeof(*own), OLDEST, echo);

    if (status != TUNNELCAP_OK)
        return status;
    if (own->flags & ~(uint32_t)TUNNELCAP_ECHO_DF)
        return TUNNELCAP_E_FLAGS;
    if (own->payload != 0 || !tunnelcap_i_is_zero(own->reserved, sizeof(own->reserved)))
        return TUNNELCAP_E_RESERVED;
    if (own->type != TUNNELCAP_ECHO_REQUEST && own->type != TUNNELCAP_ECHO_REPLY)
        return TUNNELCAP_E_MODE;
    if (own->src.family != own->dst.family ||
        (own->src.family != TUNNELCAP_IPV4 && own->src.family != TUNNELCAP_IPV6))
        return TUNNELCAP_E_ADDRESS;
    return own->ttl != 0 ? TUNNELCAP_OK : TUNNELCAP_E_RANGE;
}

int32_t tunnelcap_icmp_echo_build(const tunnelcap_icmp_echo *echo, const void *payload,
                                  tunnelcap_pkt *pkt)
{
    tunnelcap_icmp_echo own;
    tunnelcap_i_icmp_ip ip;
    uint32_t v4;
    uint32_t header;
    uint8_t *h;
    uint8_t *data;
    int32_t status;

    if (pkt == NULL || pkt->buf == NULL || pkt->off > pkt->cap)
        return TUNNELCAP_E_INVALID;
    status = read_config(&own, echo);
    if (status != TUNNELCAP_OK)
        return status;
    if (payload == NULL && own.payload_len != 0)
        return TUNNELCAP_E_INVALID;
    v4 = own.src.family == TUNNELCAP_IPV4;
    header = (uint32_t)(v4 ? TUNNELCAP_I_IPV4_HEADER : TUNNELCAP_I_IPV6_HEADER) +
             TUNNELCAP_I_ICMP_HEADER;
    if (own.payload_len > (uint32_t)(v4 ? TUNNELCAP_I_IPV4_MAX : TUNNELCAP_I_IPV6_MAX) - header)
        return TUNNELCAP_E_RANGE;
    if (own.total == 0)
        own.total = header + own.payload_len;
    if (own.total < header + own.payload_len ||
        own.total > (uint32_t)(v4 ? TUNNELCAP_I_IPV4_MAX : TUNNELCAP_I_IPV6_MAX))
        return TUNNELCAP_E_RANGE;
    if (own.total > pkt->cap - pkt->off)
        return TUNNELCAP_E_TAILROOM;

    h = pkt->buf + pkt->off;
    data = h + header;
    if (own.payload_len != 0)
        memcpy(data, payload, own.payload_len);
    for (uint32_t i = own.payload_len; i < own.total - header; i++)
        data[i] = (uint8_t)i;
    data -= TUNNELCAP_I_ICMP_HEADER;
    data[0] = wire_type(own.src.family, own.type);
    data[1] = 0;
    tunnelcap_i_store16(data + 4, own.id);
    tunnelcap_i_store16(data + 6, own.seq);
    ip.src = own.src.bytes;
    ip.dst = own.dst.bytes;
    ip.total = own.total;
    ip.id = own.ip_id;
    ip.df = own.flags & TUNNELCAP_ECHO_DF ? 0x4000 : 0;
    ip.family = own.src.family;
    ip.tos = own.tos;
    ip.ttl = own.ttl;
    tunnelcap_i_icmp_finish(h, &ip);
    pkt->len = own.total;
    return TUNNELCAP_OK;
}

/* What stands in the IP header. */
static void read_header(const uint8_t *p, uint8_t family, tunnelcap_icmp_echo *own)
{
    if (family == TUNNELCAP_IPV6) {
        own->ttl = p[7];
        return;
    }
    own->ttl = p[8];
    own->ip_id = tunnelcap_i_load16(p + 4);
    own->flags = p[6] & 0x40 ? TUNNELCAP_ECHO_DF : 0;
}

int32_t tunnelcap_icmp_echo_read(const tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                                 tunnelcap_icmp_echo *echo)
{
    tunnelcap_icmp_echo own;
    tunnelcap_i_opened o;
    const uint8_t *p;
    int32_t status;

    if (pkt == NULL || echo == NULL)
        return TUNNELCAP_E_INVALID;
    memset(&own, 0, sizeof(own));
    status = tunnelcap_i_struct_init(echo, echo->size, &own, sizeof(own), OLDEST);
    if (status != TUNNELCAP_OK)
        return status;
    status = tunnelcap_i_icmp_open(pkt, meta, &o);
    if (status != TUNNELCAP_OK)
        return status;
    p = pkt->buf + pkt->off;
    own.type = echo_type(p + o.pos, o.family);
    if (own.type == 0)
        return TUNNELCAP_E_ICMP;
    tunnelcap_i_addr_set(&own.src, o.src, o.family);
    tunnelcap_i_addr_set(&own.dst, o.dst, o.family);
    own.total = o.end;
    own.payload = o.pos + TUNNELCAP_I_ICMP_HEADER;
    own.payload_len = o.end - own.payload;
    own.id = tunnelcap_i_load16(p + o.pos + 4);
    own.seq = tunnelcap_i_load16(p + o.pos + 6);
    own.tos = o.tos;
    if (meta != NULL && meta->at != TUNNELCAP_AT_IP)
        own.ttl = meta->ttl;
    else
        read_header(p, o.family, &own);
    return tunnelcap_i_struct_init(echo, echo->size, &own, sizeof(own), OLDEST);
}

static void update_checksum(uint8_t *field, uint16_t before, uint16_t after)
{
    tunnelcap_i_store16(field,
                        tunnelcap_i_checksum_update(tunnelcap_i_load16(field), before, after));
}

static void swap(uint8_t *a, uint8_t *b, uint32_t n)
{
    uint8_t kept[16];

    memcpy(kept, a, n);
    memcpy(a, b, n);
    memcpy(b, kept, n);
}

/* Where addresses change places no sum of them changes. */
static void turn_back(uint8_t *p, const tunnelcap_i_opened *o, uint8_t ttl)
{
    uint8_t *icmp = p + o->pos;
    uint16_t before = tunnelcap_i_load16(icmp);

    icmp[0] = wire_type(o->family, TUNNELCAP_ECHO_REPLY);
    update_checksum(icmp + 2, before, tunnelcap_i_load16(icmp));
    if (o->family == TUNNELCAP_IPV6) {
        swap(p + 8, p + 24, 16);
        p[7] = ttl;
        return;
    }
    swap(p + 12, p + 16, 4);
    before = tunnelcap_i_load16(p + 8);
    p[8] = ttl;
    update_checksum(p + 10, before, tunnelcap_i_load16(p + 8));
}

int32_t tunnelcap_icmp_echo_reply(tunnelcap_pkt *pkt, uint8_t ttl)
{
    tunnelcap_i_opened o;
    uint8_t *p;
    int32_t status;

    if (pkt == NULL)
        return TUNNELCAP_E_INVALID;
    if (ttl == 0)
        return TUNNELCAP_E_RANGE;
    status = tunnelcap_i_icmp_open(pkt, NULL, &o);
    if (status != TUNNELCAP_OK)
        return status;
    p = pkt->buf + pkt->off;
    if (echo_type(p + o.pos, o.family) != TUNNELCAP_ECHO_REQUEST)
        return TUNNELCAP_E_ICMP;
    if (o.pos != (uint32_t)(o.family == TUNNELCAP_IPV4 ? TUNNELCAP_I_IPV4_HEADER
                                                       : TUNNELCAP_I_IPV6_HEADER) ||
        !tunnelcap_i_icmp_one_node(o.src, o.family) || !tunnelcap_i_icmp_one_node(o.dst, o.family))
        return TUNNELCAP_E_NO_ANSWER;
    turn_back(p, &o, ttl);
    pkt->len = o.end;
    return TUNNELCAP_OK;
}
