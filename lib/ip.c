/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "ip.h"

static int32_t parse_ipv4(const uint8_t *p, uint32_t len, tunnelcap_i_ip *ip)
{
    uint32_t header;
    uint32_t fragment;

    if (len < TUNNELCAP_I_IPV4_HEADER)
        return TUNNELCAP_E_TRUNCATED;
    header = (uint32_t)(p[0] & 0x0f) * 4;
    ip->total = tunnelcap_i_load16(p + 2);
    if (header < TUNNELCAP_I_IPV4_HEADER || ip->total < header)
        return TUNNELCAP_E_MALFORMED;
    if (len < header)
        return TUNNELCAP_E_TRUNCATED;

    fragment = tunnelcap_i_load16(p + 6);
    ip->payload = header;
    ip->family = TUNNELCAP_IPV4;
    ip->protocol = p[9];
    ip->fragment = (fragment & 0x3fff) != 0;
    ip->non_first = (fragment & 0x1fff) != 0;
    ip->tos = p[1];
    ip->ttl = p[8];
    ip->df = p[6] & 0x40;
    ip->addr_len = 4;
    ip->in_transit = 0;
    ip->src = p + 12;
    return TUNNELCAP_OK;
}

int32_t tunnelcap_i_ip_walk(const uint8_t *p, uint32_t at, uint32_t len, uint8_t protocol,
                            tunnelcap_i_ip *ip)
{
    uint32_t count = 0;
    uint32_t size;

    ip->fragment = 0;
    ip->non_first = 0;
    ip->in_transit = 0;
    for (;;) {
        switch (protocol) {
        case TUNNELCAP_I_PROTO_HOP_BY_HOP:
        case TUNNELCAP_I_PROTO_ROUTING:
        case TUNNELCAP_I_PROTO_DEST_OPTS:
        case TUNNELCAP_I_PROTO_FRAGMENT:
            break;
        default: /* also AH: what it protects can be neither believed nor changed unverified */
            ip->protocol = protocol;
            ip->payload = at;
            return TUNNELCAP_OK;
        }
        if (++count > TUNNELCAP_I_EXTENSIONS_MAX)
            return TUNNELCAP_E_MALFORMED;
        if (ip->total - at < 8)
            return TUNNELCAP_E_MALFORMED;
        if (len < at + 8)
            return TUNNELCAP_E_TRUNCATED;

        size = 8;
        if (protocol == TUNNELCAP_I_PROTO_FRAGMENT) {
            ip->non_first = (tunnelcap_i_load16(p + at + 2) & 0xfff8) != 0;
            ip->fragment |= (tunnelcap_i_load16(p + at + 2) & 0xfff9) != 0;
        } else {
            size = ((uint32_t)p[at + 1] + 1) * 8;
            if (protocol == TUNNELCAP_I_PROTO_ROUTING && p[at + 3] != 0)
                ip->in_transit = 1;
        }
        if (size > ip->total - at)
            return TUNNELCAP_E_MALFORMED;
        if (size > len - at)
            return TUNNELCAP_E_TRUNCATED;
        protocol = p[at];
        at += size;
        if (ip->non_first) {
            ip->protocol = protocol;
            ip->payload = at;
            return TUNNELCAP_OK;
        }
    }
}

static int32_t parse_ipv6(const uint8_t *p, uint32_t len, tunnelcap_i_ip *ip)
{
    if (len < TUNNELCAP_I_IPV6_HEADER)
        return TUNNELCAP_E_TRUNCATED;
    ip->total = TUNNELCAP_I_IPV6_HEADER + (uint32_t)tunnelcap_i_load16(p + 4);
    ip->family = TUNNELCAP_IPV6;
    ip->tos = tunnelcap_i_ipv6_class(p);
    ip->ttl = p[7];
    ip->df = 0;
    ip->addr_len = 16;
    ip->src = p + 8;
    return tunnelcap_i_ip_walk(p, TUNNELCAP_I_IPV6_HEADER, len, p[6], ip);
}

int32_t tunnelcap_i_ip_parse(const uint8_t *p, uint32_t len, tunnelcap_i_ip *ip)
{
    if (len < 1)
        return TUNNELCAP_E_TRUNCATED;
    if (p[0] >> 4 == 4)
        return parse_ipv4(p, len, ip);
    if (p[0] >> 4 == 6)
        return parse_ipv6(p, len, ip);
    return TUNNELCAP_E_MALFORMED;
}

uint32_t tunnelcap_i_ethernet_l3(const uint8_t *p, uint32_t len)
{
    enum { TYPE_AT = 12, VLAN_TAG = 4, C_TAG = 0x8100, S_TAG = 0x88a8, TAGS_MAX = 4 };
    uint32_t at = TYPE_AT;

    for (uint32_t tags = 0; tags <= TAGS_MAX; tags++, at += VLAN_TAG) {
        if (len < at + 2)
            return 0;
        switch (tunnelcap_i_load16(p + at)) {
        case C_TAG:
        case S_TAG:
            break;
        case TUNNELCAP_ETHERTYPE_IPV4:
        case TUNNELCAP_ETHERTYPE_IPV6:
            return at + 2;
        default:
            return 0;
        }
    }
    return 0;
}
