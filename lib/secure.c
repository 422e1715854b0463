/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "secure.h"

#include <string.h>

uint32_t tunnelcap_i_equal(const uint8_t *a, const uint8_t *b, size_t n)
{
    uint32_t difference = 0;

    for (size_t i = 0; i < n; i++)
        difference |= (uint32_t)(a[i] ^ b[i]);
    return (difference - 1) >> 31;
}

/* A call through a volatile pointer cannot be proven to be memset, so it is made. */
static void *(*const volatile wipe_memset)(void *, int, size_t) = memset;

void tunnelcap_i_wipe(void *mem, size_t n)
{
    if (n > 0)
        wipe_memset(mem, 0, n);
}
