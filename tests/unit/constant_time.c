/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Does the comparison of ICVs take a time that depends on their bytes? Run under valgrind: secret
 * bytes are declared undefined, so that a branch or an address that depends on one is reported.
 * With an argument, memcmp() is run instead, which must be reported: the check can fail.
 */
#include <stdio.h>
#include <string.h>
#include <valgrind/memcheck.h>

#include "secure.h"

int main(int argc, char **argv)
{
    uint32_t equal = 0;

    (void)argv;
    for (size_t n = 1; n <= 32; n++) {
        uint8_t secret[32] = {0}, received[32] = {0};

        received[n / 2] = (uint8_t)(n & 1); /* every second pair differs */
        VALGRIND_MAKE_MEM_UNDEFINED(secret, sizeof(secret));
        if (argc > 1)
            equal += memcmp(secret, received, n) == 0;
        else
            equal += tunnelcap_i_equal(secret, received, n);
    }
    VALGRIND_MAKE_MEM_DEFINED(&equal, sizeof(equal));
    printf("%u of 32 are equal\n", equal);
    return equal == 16 ? 0 : 1;
}
