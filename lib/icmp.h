/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* What the parts of icmp share: numbers of the protocol, opening a message, making one. */
#ifndef TUNNELCAP_I_ICMP_H
#define TUNNELCAP_I_ICMP_H

#include <tunnelcap/icmp.h>

#include "outer.h"

enum { TUNNELCAP_I_ICMP_HEADER = 8 };

/* The least MTU of a link (RFC 791, RFC 8200 section 5). */
enum { TUNNELCAP_I_MTU_MIN4 = 68, TUNNELCAP_I_MTU_MIN6 = 1280 };

/* Types of ICMPv4 (RFC 792). */
enum {
    TUNNELCAP_I_ICMP4_ECHO_REPLY = 0,
    TUNNELCAP_I_ICMP4_UNREACHABLE = 3,
    TUNNELCAP_I_ICMP4_QUENCH = 4,
    TUNNELCAP_I_ICMP4_REDIRECT = 5,
    TUNNELCAP_I_ICMP4_ECHO = 8,
    TUNNELCAP_I_ICMP4_TIME = 11,
    TUNNELCAP_I_ICMP4_PARAMETER = 12
};

/* Types of ICMPv6 (RFC 4443, RFC 4861). */
enum {
    TUNNELCAP_I_ICMP6_UNREACHABLE = 1,
    TUNNELCAP_I_ICMP6_TOO_BIG = 2,
    TUNNELCAP_I_ICMP6_TIME = 3,
    TUNNELCAP_I_ICMP6_PARAMETER = 4,
    TUNNELCAP_I_ICMP6_ECHO = 128, /* the first that is no error */
    TUNNELCAP_I_ICMP6_ECHO_REPLY = 129,
    TUNNELCAP_I_ICMP6_REDIRECT = 137
};

/* Codes that are told apart. */
enum {
    TUNNELCAP_I_ICMP4_NETWORK = 0,
    TUNNELCAP_I_ICMP4_HOST = 1,
    TUNNELCAP_I_ICMP4_TOO_BIG = 4,
    TUNNELCAP_I_ICMP4_SOURCE_ROUTE = 5,
    TUNNELCAP_I_ICMP4_NETWORK_UNKNOWN = 6,
    TUNNELCAP_I_ICMP6_ADDRESS = 3,
    TUNNELCAP_I_ICMP6_OPTION = 2 /* of a parameter problem */
};

/* The IP header of a message. */
typedef struct tunnelcap_i_icmp_ip {
    const uint8_t *src;
    const uint8_t *dst;
    uint32_t total;
    uint16_t id; /* IPv4 */
    uint16_t df; /* 0x4000 for IPv4 with "don't fragment" */
    uint8_t family;
    uint8_t tos;
    uint8_t ttl;
} tunnelcap_i_icmp_ip;

static inline uint8_t tunnelcap_i_icmp_protocol(uint8_t family)
{
    return family == TUNNELCAP_IPV4 ? TUNNELCAP_I_PROTO_ICMP : TUNNELCAP_I_PROTO_ICMPV6;
}

/* TUNNELCAP_ICMP_TOO_BIG to _INFORMATION. */
uint8_t tunnelcap_i_icmp_kind(uint8_t family, uint8_t type, uint8_t code);

/* 1 if an address may stand for one node: not unspecified, loopback, a group or broadcast. */
uint32_t tunnelcap_i_icmp_one_node(const uint8_t *addr, uint8_t family);

/* Open a packet up to its ICMP header, and verify checksums. TUNNELCAP_E_ICMP where it holds
 * none; *o is set then too. */
int32_t tunnelcap_i_icmp_open(const tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                              tunnelcap_i_opened *o);

/* Write a message's IP header at h, and the checksum of all that stands behind it. Addresses may
 * not lie within that header. */
void tunnelcap_i_icmp_finish(uint8_t *h, const tunnelcap_i_icmp_ip *ip);

#endif
