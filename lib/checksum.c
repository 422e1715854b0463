/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "checksum.h"

/* Implementation notes. Ones' complement addition does not care for byte order as long as the
 * result is swapped once (RFC 1071 section 2 B), so the loop adds words of the machine's own
 * order, eight bytes at a time, into four chains whose carries are kept apart. */

static uint64_t add_carry(uint64_t sum, uint64_t word)
{
    sum += word;
    return sum + (sum < word);
}

uint32_t tunnelcap_i_sum(const uint8_t *p, size_t n)
{
    uint64_t a = 0, b = 0, c = 0, d = 0;
    uint8_t swapped[2];
    uint16_t native;

    for (; n >= 32; p += 32, n -= 32) {
        a = add_carry(a, tunnelcap_i_word64(p));
        b = add_carry(b, tunnelcap_i_word64(p + 8));
        c = add_carry(c, tunnelcap_i_word64(p + 16));
        d = add_carry(d, tunnelcap_i_word64(p + 24));
    }
    a = add_carry(add_carry(a, b), add_carry(c, d));
    for (; n >= 8; p += 8, n -= 8)
        a = add_carry(a, tunnelcap_i_word64(p));
    if (n & 4) {
        a = add_carry(a, tunnelcap_i_word32(p));
        p += 4;
    }
    if (n & 2) {
        memcpy(swapped, p, 2);
        memcpy(&native, swapped, sizeof(native));
        a = add_carry(a, native);
        p += 2;
    }
    if (n & 1) {
        swapped[0] = *p;
        swapped[1] = 0;
        memcpy(&native, swapped, sizeof(native));
        a = add_carry(a, native);
    }

    a = (a & 0xffffffff) + (a >> 32);
    a = (a & 0xffffffff) + (a >> 32);
    native = tunnelcap_i_fold((uint32_t)(a >> 16) + (uint32_t)(a & 0xffff));
    memcpy(swapped, &native, sizeof(swapped));
    return tunnelcap_i_load16(swapped);
}

uint32_t tunnelcap_i_sum_pseudo(const uint8_t *src, const uint8_t *dst, uint8_t family,
                                uint8_t protocol, uint32_t length)
{
    size_t n = family == 4 ? 4 : 16;

    return tunnelcap_i_sum(src, n) + tunnelcap_i_sum(dst, n) + protocol + (length >> 16) +
           (length & 0xffff);
}
