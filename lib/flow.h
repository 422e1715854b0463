/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* A keyed hash of flows: the same for all packets of one flow, spread over 64 bits. */
#ifndef TUNNELCAP_I_FLOW_H
#define TUNNELCAP_I_FLOW_H

#include "ip.h"

/* Key of a flow hash, drawn from a seed. */
typedef struct tunnelcap_i_flow_key {
    uint64_t a, b;
} tunnelcap_i_flow_key;

/* The 128-bit product of two words, folded: the mixing step of the hash. */
static inline uint64_t tunnelcap_i_mix(uint64_t x, uint64_t y)
{
#ifdef __SIZEOF_INT128__
    __extension__ typedef unsigned __int128 u128;
    u128 product = (u128)x * y;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
#else
    uint64_t xl = x & 0xffffffff, xh = x >> 32, yl = y & 0xffffffff, yh = y >> 32;
    uint64_t low = xl * yl, mid1 = xh * yl, mid2 = xl * yh;
    uint64_t carry = (low >> 32) + (mid1 & 0xffffffff) + (mid2 & 0xffffffff);

    return ((low & 0xffffffff) | carry << 32) ^
           (xh * yh + (mid1 >> 32) + (mid2 >> 32) + (carry >> 32));
#endif
}

/* A one-to-one map of words in which every bit depends on all (the finalizer of MurmurHash3). */
static inline uint64_t tunnelcap_i_scramble(uint64_t x)
{
    x = (x ^ x >> 33) * 0xff51afd7ed558ccd;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53;
    return x ^ x >> 33;
}

/* Seeds shared by a fleet are often chosen by people, mostly zeros; a key of few bits would hash
 * all flows alike. */
static inline tunnelcap_i_flow_key tunnelcap_i_flow_key_from(const uint8_t seed[16])
{
    tunnelcap_i_flow_key key;

    key.a = tunnelcap_i_scramble(tunnelcap_i_load64(seed) + 0x9e3779b97f4a7c15);
    key.b = tunnelcap_i_scramble(tunnelcap_i_load64(seed + 8) + key.a);
    return key;
}

/* Hash two words under a key. Odd constants keep a zero word from cancelling the product. */
static inline uint64_t tunnelcap_i_hash2(tunnelcap_i_flow_key key, uint64_t x, uint64_t y)
{
    uint64_t h = tunnelcap_i_mix(x ^ key.a, y ^ key.b ^ 0x9e3779b97f4a7c15);

    return tunnelcap_i_mix(h ^ key.a, key.b | 1);
}

/* Hash of an IP packet's flow: addresses, and ports of TCP and UDP. Fragments, the first one
 * included, by addresses only, so that all of a datagram go one way. ip is what
 * tunnelcap_i_ip_parse() said of p. */
static inline uint64_t tunnelcap_i_flow_hash(tunnelcap_i_flow_key key, const uint8_t *p,
                                             uint32_t len, const tunnelcap_i_ip *ip)
{
    uint64_t ports = 0;

    if (!ip->fragment && len >= ip->payload + 4 &&
        (ip->protocol == TUNNELCAP_I_PROTO_TCP || ip->protocol == TUNNELCAP_I_PROTO_UDP))
        ports = tunnelcap_i_load32(p + ip->payload);
    if (ip->family == TUNNELCAP_IPV4)
        return tunnelcap_i_hash2(key, tunnelcap_i_load64(ip->src), ports);
    return tunnelcap_i_hash2(
        key,
        tunnelcap_i_hash2(key, tunnelcap_i_load64(ip->src), tunnelcap_i_load64(ip->src + 8)) ^
            ports,
        tunnelcap_i_hash2(key, tunnelcap_i_load64(ip->src + 16), tunnelcap_i_load64(ip->src + 24)));
}

/* The same for an IPv4 packet without options, without a parser. */
static inline uint64_t tunnelcap_i_flow_hash_plain(tunnelcap_i_flow_key key, const uint8_t *p,
                                                   uint32_t len)
{
    uint64_t ports = 0;

    if ((p[9] == TUNNELCAP_I_PROTO_UDP || p[9] == TUNNELCAP_I_PROTO_TCP) &&
        (tunnelcap_i_load16(p + 6) & 0x3fff) == 0 && len >= TUNNELCAP_I_IPV4_HEADER + 4)
        ports = tunnelcap_i_load32(p + TUNNELCAP_I_IPV4_HEADER);
    return tunnelcap_i_hash2(key, tunnelcap_i_load64(p + 12), ports);
}

#endif
