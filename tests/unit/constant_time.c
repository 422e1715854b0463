/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Do comparing ICVs and GHASH take a time that depends on secret bytes? Run under valgrind: such
 * bytes are declared undefined, so that a branch or an address that depends on one is reported.
 * With an argument, memcmp() is run instead, which must be reported: the check can fail.
 */
#include <stdio.h>
#include <string.h>
#include <valgrind/memcheck.h>

#include "ghash.h"
#include "secure.h"

/* The key and what it makes of packets are secret; their lengths are not. */
static void hash(void)
{
    static const tunnelcap_i_ghash_block lengths = {64, 8};
    uint32_t way = tunnelcap_i_ghash_best();
    tunnelcap_i_ghash_key key;
    uint8_t h[16] = {0x66, 0xe9, 0x4b};
    uint8_t text[300] = {0};

    VALGRIND_MAKE_MEM_UNDEFINED(h, sizeof(h));
    VALGRIND_MAKE_MEM_UNDEFINED(text, sizeof(text));
    for (size_t len = 0; way != TUNNELCAP_I_GHASH_NONE && len <= sizeof(text); len++) {
        tunnelcap_i_ghash_init(&key, h, way);
        tunnelcap_i_ghash(&key, lengths, text, len, lengths);
    }
}

static uint32_t compare(int wrongly)
{
    uint32_t equal = 0;

    for (size_t n = 1; n <= 32; n++) {
        uint8_t secret[32] = {0}, received[32] = {0};

        received[n / 2] = (uint8_t)(n & 1); /* every second pair differs */
        VALGRIND_MAKE_MEM_UNDEFINED(secret, sizeof(secret));
        equal +=
            wrongly ? memcmp(secret, received, n) == 0 : tunnelcap_i_equal(secret, received, n);
    }
    VALGRIND_MAKE_MEM_DEFINED(&equal, sizeof(equal));
    return equal;
}

int main(int argc, char **argv)
{
    uint32_t equal = compare(argc > 1);

    (void)argv;
    hash();
    printf("%u of 32 are equal\n", equal);
    return equal == 16 ? 0 : 1;
}
