/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "selector.h"

#include "object.h"

enum { ALL_PORTS = 65535 };

/* Protocols with ports, or with what RFC 4301 4.4.1.1 takes for one (IANA). */
enum { DCCP = 33, SCTP = 132, MOBILITY = 135, UDP_LITE = 136 };

/* How many ports a protocol has. */
static uint32_t ports_of(uint32_t protocol)
{
    switch (protocol) {
    case TUNNELCAP_I_PROTO_TCP:
    case TUNNELCAP_I_PROTO_UDP:
    case DCCP:
    case SCTP:
    case UDP_LITE:
        return 2;
    case TUNNELCAP_I_PROTO_ICMP:
    case TUNNELCAP_I_PROTO_ICMPV6:
    case MOBILITY:
        return 1;
    default:
        return 0;
    }
}

int32_t tunnelcap_selector_init(tunnelcap_selector *selector, uint32_t family)
{
    size_t bytes = family == TUNNELCAP_IPV4 ? 4 : 16;

    if (selector == NULL)
        return TUNNELCAP_E_INVALID;
    if (family != TUNNELCAP_IPV4 && family != TUNNELCAP_IPV6)
        return TUNNELCAP_E_ADDRESS;
    memset(selector, 0, sizeof(*selector));
    memset(selector->src_last, 0xff, bytes);
    memset(selector->dst_last, 0xff, bytes);
    selector->src_port_last = ALL_PORTS;
    selector->dst_port_last = ALL_PORTS;
    selector->family = (uint8_t)family;
    return TUNNELCAP_OK;
}

/* 1 if a range of addresses is one. */
static uint32_t addresses_ok(const uint8_t *first, const uint8_t *last, size_t bytes)
{
    return memcmp(first, last, bytes) <= 0 && tunnelcap_i_is_zero(first + bytes, 16 - bytes) &&
           tunnelcap_i_is_zero(last + bytes, 16 - bytes);
}

/* 1 if a range of ports is one, or ANY or OPAQUE; those alone where there are no ports to see. */
static uint32_t ports_ok(uint16_t first, uint16_t last, uint32_t visible)
{
    if ((first == 0 && last == ALL_PORTS) || (first == ALL_PORTS && last == 0))
        return 1;
    return visible && first <= last;
}

int32_t tunnelcap_selector_check(const tunnelcap_selector *selectors, uint32_t count)
{
    if (selectors == NULL || count == 0)
        return TUNNELCAP_E_INVALID;
    for (uint32_t i = 0; i < count; i++) {
        const tunnelcap_selector *s = &selectors[i];
        size_t bytes = s->family == TUNNELCAP_IPV4 ? 4 : 16;
        uint32_t ports = ports_of(s->protocol);

        if ((s->family != TUNNELCAP_IPV4 && s->family != TUNNELCAP_IPV6) ||
            !addresses_ok(s->src_first, s->src_last, bytes) ||
            !addresses_ok(s->dst_first, s->dst_last, bytes))
            return TUNNELCAP_E_ADDRESS;
        if (!ports_ok(s->src_port_first, s->src_port_last, ports >= 1) ||
            !ports_ok(s->dst_port_first, s->dst_port_last, ports >= 1))
            return TUNNELCAP_E_RANGE;
        if (!tunnelcap_i_is_zero(s->reserved, sizeof(s->reserved)))
            return TUNNELCAP_E_RESERVED;
    }
    return TUNNELCAP_OK;
}

/* What can be seen of a port. NONE: it should be there and is not. */
enum { PORT_SEEN, PORT_OPAQUE, PORT_NONE };

typedef struct port {
    uint32_t how;
    uint32_t value; /* where PORT_SEEN */
} port;

static void read_ports(const tunnelcap_i_ip *ip, const uint8_t *transport, uint32_t len,
                       port ports[2])
{
    const port opaque = {PORT_OPAQUE, 0}, none = {PORT_NONE, 0};
    uint32_t count = ip->non_first ? 0 : ports_of(ip->protocol);

    ports[0] = opaque;
    ports[1] = opaque;
    if (count == 0)
        return;
    if (len < 4) {
        ports[0] = none;
        ports[1] = none;
        return;
    }
    ports[0].how = PORT_SEEN;
    if (count == 2) {
        ports[0].value = tunnelcap_i_load16(transport);
        ports[1].how = PORT_SEEN;
        ports[1].value = tunnelcap_i_load16(transport + 2);
    } else if (ip->protocol == MOBILITY) {
        ports[0].value = (uint32_t)transport[2] << 8; /* RFC 6275 6.1.1 */
    } else {
        ports[0].value = tunnelcap_i_load16(transport);
    }
}

static uint32_t port_in(port p, uint32_t first, uint32_t last)
{
    if (first == 0 && last == ALL_PORTS)
        return 1;
    if (first > last)
        return p.how == PORT_OPAQUE;
    return p.how == PORT_SEEN && p.value >= first && p.value <= last;
}

static uint32_t addr_in(const uint8_t *addr, const uint8_t *first, const uint8_t *last,
                        size_t bytes)
{
    return memcmp(addr, first, bytes) >= 0 && memcmp(addr, last, bytes) <= 0;
}

uint32_t tunnelcap_i_selectors_permit(const tunnelcap_selector *selectors, uint32_t count,
                                      const tunnelcap_i_ip *ip, const uint8_t *transport,
                                      uint32_t len)
{
    uint32_t one = !ip->non_first && ports_of(ip->protocol) == 1;
    port ports[2];

    read_ports(ip, transport, len, ports);
    for (uint32_t i = 0; i < count; i++) {
        const tunnelcap_selector *s = &selectors[i];

        if (s->family == ip->family && (s->protocol == 0 || s->protocol == ip->protocol) &&
            addr_in(ip->src, s->src_first, s->src_last, ip->addr_len) &&
            addr_in(ip->src + ip->addr_len, s->dst_first, s->dst_last, ip->addr_len) &&
            port_in(ports[0], s->src_port_first, s->src_port_last) &&
            (one || port_in(ports[1], s->dst_port_first, s->dst_port_last)))
            return 1;
    }
    return 0;
}

int32_t tunnelcap_selector_match(const tunnelcap_selector *selectors, uint32_t count,
                                 const tunnelcap_pkt *pkt)
{
    const uint8_t *p;
    tunnelcap_i_ip ip;
    int32_t status;

    if (selectors == NULL || pkt == NULL || pkt->buf == NULL || pkt->off > pkt->cap ||
        pkt->len > pkt->cap - pkt->off)
        return TUNNELCAP_E_INVALID;
    p = pkt->buf + pkt->off;
    status = tunnelcap_i_ip_read(p, pkt->len, &ip);
    if (status != TUNNELCAP_OK)
        return status;
    if (ip.total > pkt->len)
        return TUNNELCAP_E_TRUNCATED;
    return tunnelcap_i_selectors_permit(selectors, count, &ip, p + ip.payload,
                                        ip.total - ip.payload)
               ? TUNNELCAP_OK
               : TUNNELCAP_E_SELECTOR;
}
