/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Reading IP headers: one parser for every module that must know where a packet's transport
 * header begins. */
#ifndef TUNNELCAP_I_IP_H
#define TUNNELCAP_I_IP_H

#include <tunnelcap/packet.h>

#include "wire.h"

/* IP protocol numbers that the library acts upon (IANA). */
enum {
    TUNNELCAP_I_PROTO_HOP_BY_HOP = 0,
    TUNNELCAP_I_PROTO_ICMP = 1,
    TUNNELCAP_I_PROTO_IPV4 = 4,
    TUNNELCAP_I_PROTO_TCP = 6,
    TUNNELCAP_I_PROTO_UDP = 17,
    TUNNELCAP_I_PROTO_IPV6 = 41,
    TUNNELCAP_I_PROTO_ROUTING = 43,
    TUNNELCAP_I_PROTO_FRAGMENT = 44,
    TUNNELCAP_I_PROTO_GRE = 47,
    TUNNELCAP_I_PROTO_ESP = 50,
    TUNNELCAP_I_PROTO_AH = 51,
    TUNNELCAP_I_PROTO_ICMPV6 = 58,
    TUNNELCAP_I_PROTO_NONE = 59,
    TUNNELCAP_I_PROTO_DEST_OPTS = 60
};

enum { TUNNELCAP_I_IPV4_HEADER = 20, TUNNELCAP_I_IPV6_HEADER = 40, TUNNELCAP_I_UDP_HEADER = 8 };

/* No header chain of good faith is longer; without a bound a 64 KiB packet holds 8000. */
enum { TUNNELCAP_I_EXTENSIONS_MAX = 16 };

/* An IP packet's facts; offsets count from its first byte. */
typedef struct tunnelcap_i_ip {
    uint32_t payload; /* transport header: behind options and extension headers */
    uint32_t total;   /* length by the IP header, padding excluded */
    uint8_t family;
    uint8_t protocol;  /* behind all extension headers */
    uint8_t fragment;  /* 1: one of several fragments (an atomic fragment is none, RFC 6946) */
    uint8_t non_first; /* 1: not the first fragment: no transport header */
    uint8_t tos;
    uint8_t ttl;
    uint8_t df; /* 0x40 if IPv4 with "don't fragment" */
    uint8_t addr_len;
    uint8_t in_transit; /* 1: a routing header names a next stop: not yet at its last one */
    const uint8_t *src; /* destination follows right behind */
} tunnelcap_i_ip;

/* Parse an IP header with its options or extension headers. len may exceed the packet (padding);
 * it may also be less (a capture's cut) as long as the headers are there: compare ip->total.
 * Gives TUNNELCAP_E_TRUNCATED or TUNNELCAP_E_MALFORMED and an unspecified *ip on failure. */
int32_t tunnelcap_i_ip_parse(const uint8_t *p, uint32_t len, tunnelcap_i_ip *ip);

/* The same, with IPv4 without options, which is what most packets are, read in place. */
static inline int32_t tunnelcap_i_ip_read(const uint8_t *p, uint32_t len, tunnelcap_i_ip *ip)
{
    uint32_t fragment;

    if (len < TUNNELCAP_I_IPV4_HEADER || p[0] != 0x45 ||
        tunnelcap_i_load16(p + 2) < TUNNELCAP_I_IPV4_HEADER)
        return tunnelcap_i_ip_parse(p, len, ip);
    fragment = tunnelcap_i_load16(p + 6);
    ip->payload = TUNNELCAP_I_IPV4_HEADER;
    ip->total = tunnelcap_i_load16(p + 2);
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

/* The part of the above behind a fixed IPv6 header: walk the chain that begins with header
 * `protocol` at offset `at`, up to `end`; len bytes are there. */
int32_t tunnelcap_i_ip_walk(const uint8_t *p, uint32_t at, uint32_t len, uint8_t protocol,
                            tunnelcap_i_ip *ip);

/* Offset of the IP header in an Ethernet frame behind any VLAN tags; 0 if it holds no IP. */
uint32_t tunnelcap_i_ethernet_l3(const uint8_t *p, uint32_t len);

/* Traffic class of an IPv6 header. */
static inline uint8_t tunnelcap_i_ipv6_class(const uint8_t *p)
{
    return (uint8_t)(tunnelcap_i_load16(p) >> 4);
}

static inline void tunnelcap_i_ipv6_set_class(uint8_t *p, uint8_t tos)
{
    p[0] = (uint8_t)(0x60 | tos >> 4);
    p[1] = (uint8_t)((p[1] & 0x0f) | tos << 4);
}

#endif
