/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Byte-wise big-endian loads and stores: no alignment demand, no endianness switch. Compilers
 * turn each into one instruction where the machine has it. */
#ifndef TUNNELCAP_I_WIRE_H
#define TUNNELCAP_I_WIRE_H

#include <stdint.h>
#include <string.h>

/* For what must be part of its caller's loop to be worth its lines. */
#ifdef __GNUC__
#define TUNNELCAP_I_INLINE static inline __attribute__((always_inline))
#else
#define TUNNELCAP_I_INLINE static inline
#endif

static inline uint16_t tunnelcap_i_load16(const uint8_t *p)
{
    return (uint16_t)((unsigned)p[0] << 8 | p[1]);
}

static inline uint32_t tunnelcap_i_load32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

TUNNELCAP_I_INLINE uint64_t tunnelcap_i_load64(const uint8_t *p)
{
    return (uint64_t)tunnelcap_i_load32(p) << 32 | tunnelcap_i_load32(p + 4);
}

static inline void tunnelcap_i_store16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

/* Bytes go by way of an array of their own: compilers would try to merge those of one number with
 * those of its neighbour, and lose the single instruction over it. */
static inline void tunnelcap_i_store32(uint8_t *p, uint32_t v)
{
    const uint8_t bytes[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
                              (uint8_t)v};

    memcpy(p, bytes, sizeof(bytes));
}

TUNNELCAP_I_INLINE void tunnelcap_i_store64(uint8_t *p, uint64_t v)
{
    const uint8_t bytes[8] = {(uint8_t)(v >> 56), (uint8_t)(v >> 48), (uint8_t)(v >> 40),
                              (uint8_t)(v >> 32), (uint8_t)(v >> 24), (uint8_t)(v >> 16),
                              (uint8_t)(v >> 8),  (uint8_t)v};

    memcpy(p, bytes, sizeof(bytes));
}

/* Eight bytes in the machine's own order, for comparing and hashing, never for values. */
static inline uint64_t tunnelcap_i_word64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint32_t tunnelcap_i_word32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

/* The highest bit that is set, of some. */
static inline uint32_t tunnelcap_i_highest_bit(uint32_t bits)
{
#ifdef __GNUC__
    return 31u - (uint32_t)__builtin_clz(bits);
#else
    uint32_t n = 31;

    while (!(bits >> n & 1))
        n--;
    return n;
#endif
}

/* Let a line of memory come that will be read soon. */
static inline void tunnelcap_i_fetch(const void *p)
{
#ifdef __GNUC__
    __builtin_prefetch(p);
#else
    (void)p;
#endif
}

#endif
