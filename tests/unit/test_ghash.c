/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* GHASH by carry-less multiplication, beside one that takes a bit at a time. */
#include "ghash.h"
#include "support.h"
#include "wire.h"

enum { BLOCK = TUNNELCAP_I_GHASH_BLOCK };

/* x = x * h, NIST SP 800-38D algorithm 1. */
static void multiply(uint8_t *x, const uint8_t *h)
{
    uint8_t z[BLOCK] = {0}, v[BLOCK];
    memcpy(v, h, BLOCK);
    for (uint32_t i = 0; i < 8 * BLOCK; i++) {
        uint8_t carry = v[BLOCK - 1] & 1;
        for (uint32_t k = 0; k < BLOCK && x[i / 8] >> (7 - i % 8) & 1; k++)
            z[k] ^= v[k];
        for (uint32_t k = BLOCK - 1; k > 0; k--)
            v[k] = (uint8_t)(v[k] >> 1 | v[k - 1] << 7);
        v[0] = (uint8_t)(v[0] >> 1 ^ 0xe1 * carry);
    }
    memcpy(x, z, BLOCK);
}

static void slow_ghash(const uint8_t *h, const uint8_t *first, const uint8_t *bytes, size_t len,
                       const uint8_t *last, uint8_t *out)
{
    memcpy(out, first, BLOCK);
    multiply(out, h);
    for (size_t at = 0; at < len; at++) {
        out[at % BLOCK] ^= bytes[at];
        if (at % BLOCK == BLOCK - 1 || at == len - 1)
            multiply(out, h);
    }
    for (uint32_t i = 0; i < BLOCK; i++)
        out[i] ^= last[i];
    multiply(out, h);
}

static tunnelcap_i_ghash_block block_of(const uint8_t *bytes)
{
    tunnelcap_i_ghash_block block = {tunnelcap_i_load64(bytes), tunnelcap_i_load64(bytes + 8)};
    return block;
}

static void fast_ghash(const uint8_t *h, uint32_t way, const uint8_t *first, const uint8_t *bytes,
                       size_t len, const uint8_t *last, uint8_t *out)
{
    tunnelcap_i_ghash_key key;
    tunnelcap_i_ghash_init(&key, h, way);
    tunnelcap_i_ghash_block sum =
        tunnelcap_i_ghash(&key, block_of(first), bytes, len, block_of(last));
    tunnelcap_i_store64(out, sum.first);
    tunnelcap_i_store64(out + 8, sum.second);
}

/* Text in memory of its exact size, so that sanitizers see a read beyond either end. */
static void compare(test_random *random, size_t len, const uint8_t *special)
{
    uint8_t h[BLOCK], first[BLOCK], last[BLOCK], want[BLOCK], got[BLOCK];
    uint8_t *bytes = malloc(len > 0 ? len : 1);
    ck_assert_ptr_nonnull(bytes);
    for (uint32_t i = 0; i < BLOCK; i++) {
        h[i] = (uint8_t)test_next(random);
        first[i] = (uint8_t)test_next(random);
        last[i] = (uint8_t)test_next(random);
    }
    if (special != NULL)
        memcpy(h, special, BLOCK);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)test_next(random);
    slow_ghash(h, first, bytes, len, last, want);
    for (uint32_t way = TUNNELCAP_I_GHASH_NARROW; way <= tunnelcap_i_ghash_best(); way++) {
        fast_ghash(h, way, first, bytes, len, last, got);
        ck_assert_msg(memcmp(got, want, BLOCK) == 0, "way %u, %zu bytes", (unsigned)way, len);
    }
    free(bytes);
}

START_TEST(ghash_of_any_length_is_as_defined)
{
    test_random random = {1};
    for (size_t len = 0; len <= 300; len++)
        compare(&random, len, NULL);
    for (size_t len = 1390; len <= 1420; len += 5)
        compare(&random, len, NULL);
    compare(&random, 65535, NULL);
}
END_TEST

/* Carries at both ends of both halves. */
START_TEST(ghash_of_any_key_is_as_defined)
{
    test_random random = {2};
    for (uint32_t bit = 0; bit < 8 * BLOCK; bit++) {
        uint8_t h[BLOCK] = {0}, all[BLOCK];
        h[bit / 8] = (uint8_t)(1u << bit % 8);
        memset(all, 0xff, sizeof(all));
        all[bit / 8] ^= h[bit / 8];
        compare(&random, 141, h);
        compare(&random, 141, all);
    }
    uint8_t zero[BLOCK] = {0};
    compare(&random, 301, zero);
}
END_TEST

/* McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B, test case 2: its GHASH. */
START_TEST(ghash_meets_the_published_case)
{
    static const uint8_t h[BLOCK] = {0x66, 0xe9, 0x4b, 0xd4, 0xef, 0x8a, 0x2c, 0x3b,
                                     0x88, 0x4c, 0xfa, 0x59, 0xca, 0x34, 0x2b, 0x2e};
    static const uint8_t text[BLOCK] = {0x03, 0x88, 0xda, 0xce, 0x60, 0xb6, 0xa3, 0x92,
                                        0xf3, 0x28, 0xc2, 0xb9, 0x71, 0xb2, 0xfe, 0x78};
    static const uint8_t want[BLOCK] = {0xf3, 0x8c, 0xbb, 0x1a, 0xd6, 0x92, 0x23, 0xdc,
                                        0xc3, 0x45, 0x7a, 0xe5, 0xb6, 0xb0, 0xf8, 0x85};
    static const uint8_t none[BLOCK], lengths[BLOCK] = {[15] = 128};
    uint8_t got[BLOCK];
    for (uint32_t way = TUNNELCAP_I_GHASH_NARROW; way <= tunnelcap_i_ghash_best(); way++) {
        fast_ghash(h, way, none, text, sizeof(text), lengths, got);
        ck_assert_mem_eq(got, want, BLOCK);
    }
    slow_ghash(h, none, text, sizeof(text), lengths, got);
    ck_assert_mem_eq(got, want, BLOCK);
}
END_TEST

Suite *test_ghash_suite(void)
{
    const TTest *tests[] = {
        ghash_of_any_length_is_as_defined,
        ghash_of_any_key_is_as_defined,
        ghash_meets_the_published_case,
    };
    return test_suite("ghash", tests, TEST_COUNT(tests));
}
