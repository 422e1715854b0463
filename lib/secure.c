/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "secure.h"

#include "wire.h"

uint32_t tunnelcap_i_equal(const uint8_t *a, const uint8_t *b, size_t n)
{
    uint64_t difference = 0;
    size_t i = 0;

    for (; n - i >= 8; i += 8)
        difference |= tunnelcap_i_word64(a + i) ^ tunnelcap_i_word64(b + i);
    for (; i < n; i++)
        difference |= (uint64_t)(a[i] ^ b[i]);
    difference |= difference >> 32;
    return (uint32_t)(((difference & UINT32_MAX) - 1) >> 63);
}

/* A call through a volatile pointer cannot be proven to be memset, so it is made. */
static void *(*const volatile wipe_memset)(void *, int, size_t) = memset;

void tunnelcap_i_wipe(void *mem, size_t n)
{
    if (n > 0)
        wipe_memset(mem, 0, n);
}
