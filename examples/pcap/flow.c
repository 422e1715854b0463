/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "flow.h"

#include "link.h"

#include <netinet/in.h>
#include <string.h>

enum {
    IPV4_HEADER = 20,
    IPV6_HEADER = 40,
    EXTENSION_UNIT = 8,
    TCP_FLAGS_AT = 13,
    MOST_EXTENSIONS = 16
};

static uint16_t load16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

/* What lies behind the IP headers, unless it is a later fragment. */
static void read_transport(const uint8_t *at, uint32_t left, struct flow *flow)
{
    switch (flow->protocol) {
    case IPPROTO_TCP:
    case IPPROTO_UDP:
    case IPPROTO_SCTP:
    case IPPROTO_DCCP:
    case IPPROTO_UDPLITE:
        flow->has_ports = left >= 4;
        break;
    default:
        return;
    }
    if (!flow->has_ports)
        return;
    flow->src_port = load16(at);
    flow->dst_port = load16(at + 2);
    flow->is_tcp = flow->protocol == IPPROTO_TCP && left > TCP_FLAGS_AT;
    if (flow->is_tcp)
        flow->tcp_flags = at[TCP_FLAGS_AT];
}

static void read_ipv4(const uint8_t *packet, uint32_t len, struct flow *flow)
{
    uint32_t header = (packet[0] & 15u) * 4;
    uint16_t fragment = load16(packet + 6);

    flow->src.family = flow->dst.family = TUNNELCAP_IPV4;
    memcpy(flow->src.bytes, packet + 12, 4);
    memcpy(flow->dst.bytes, packet + 16, 4);
    flow->protocol = packet[9];
    flow->is_fragment = (fragment & 0x3fff) != 0; /* "more fragments" or an offset */
    if (header >= IPV4_HEADER && header <= len && !(fragment & 0x1fff))
        read_transport(packet + header, len - header, flow);
}

static void read_ipv6(const uint8_t *packet, uint32_t len, struct flow *flow)
{
    uint32_t at = IPV6_HEADER;

    flow->src.family = flow->dst.family = TUNNELCAP_IPV6;
    memcpy(flow->src.bytes, packet + 8, 16);
    memcpy(flow->dst.bytes, packet + 24, 16);
    flow->protocol = packet[6];
    for (uint32_t i = 0; i < MOST_EXTENSIONS && len - at >= EXTENSION_UNIT; i++) {
        const uint8_t *header = packet + at;
        uint32_t size = (header[1] + 1u) * EXTENSION_UNIT;

        if (flow->protocol == IPPROTO_FRAGMENT) {
            flow->is_fragment = true;
            size = EXTENSION_UNIT;
            if (load16(header + 2) & 0xfff8) {
                flow->protocol = header[0];
                return;
            }
        } else if (flow->protocol != IPPROTO_HOPOPTS && flow->protocol != IPPROTO_ROUTING &&
                   flow->protocol != IPPROTO_DSTOPTS) {
            break;
        }
        flow->protocol = header[0];
        if (len - at < size)
            return;
        at += size;
    }
    read_transport(packet + at, len - at, flow);
}

bool flow_read(const uint8_t *packet, uint32_t len, struct flow *flow)
{
    *flow = (struct flow){0};
    if (len >= IPV4_HEADER && packet[0] >> 4 == TUNNELCAP_IPV4)
        read_ipv4(packet, len, flow);
    else if (len >= IPV6_HEADER && packet[0] >> 4 == TUNNELCAP_IPV6)
        read_ipv6(packet, len, flow);
    else
        return false;
    flow->len = link_ip_length(packet, len);
    return true;
}
