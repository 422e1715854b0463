/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
 *
 * A "sum" is the ones' complement sum of 16-bit big-endian words as a host-order number that may
 * exceed 16 bits until tunnelcap_i_fold(); the checksum is the complement of the folded sum. */
#ifndef TUNNELCAP_I_CHECKSUM_H
#define TUNNELCAP_I_CHECKSUM_H

#include <stddef.h>

#include "wire.h"

/* Sum of n bytes, folded to 16 bits; an odd last byte counts as if a zero byte followed. */
uint32_t tunnelcap_i_sum(const uint8_t *p, size_t n);

/* Sum of the addresses, protocol and length of a pseudo-header (RFC 768, RFC 8200 8.1). */
uint32_t tunnelcap_i_sum_pseudo(const uint8_t *src, const uint8_t *dst, uint8_t family,
                                uint8_t protocol, uint32_t length);

static inline uint16_t tunnelcap_i_fold(uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)(sum + (sum >> 16));
}

/* The checksum after a 16-bit word that it covers has changed (RFC 1624 equation 3). */
static inline uint16_t tunnelcap_i_checksum_update(uint16_t checksum, uint16_t before,
                                                   uint16_t after)
{
    return (uint16_t)~tunnelcap_i_fold((uint32_t)(uint16_t)~checksum + (uint16_t)~before + after);
}

/* Sum of a 20-byte IPv4 header, which lies on the path of every packet. */
TUNNELCAP_I_INLINE uint16_t tunnelcap_i_sum20(const uint8_t *p)
{
    uint64_t sum = tunnelcap_i_word64(p) + (uint64_t)tunnelcap_i_word32(p + 16);
    uint64_t more = tunnelcap_i_word64(p + 8);
    uint32_t half;

    sum += sum < (uint64_t)tunnelcap_i_word32(p + 16);
    sum += more;
    sum += sum < more;
    /* Adding a number to itself with its halves exchanged folds it, carry included. */
    sum += sum << 32 | sum >> 32;
    half = (uint32_t)(sum >> 32);
    half += half << 16 | half >> 16;
    return (uint16_t)(half >> 16);
}

#endif
