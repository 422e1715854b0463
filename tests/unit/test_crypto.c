/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The provider on libcrypto, in its short call patterns and in its documented ones. */
#include "crypto_kit.h"

#ifdef TUNNELCAP_WITH_OPENSSL

#include <openssl/crypto.h>
#include <openssl/err.h>

/* ---- allocations of libcrypto ---- */

static uint32_t allocations;

static void *counting_malloc(size_t bytes, const char *file, int line)
{
    (void)file;
    (void)line;
    allocations++;
    return malloc(bytes);
}

static void *counting_realloc(void *mem, size_t bytes, const char *file, int line)
{
    (void)file;
    (void)line;
    allocations++;
    return realloc(mem, bytes);
}

static void counting_free(void *mem, const char *file, int line)
{
    (void)file;
    (void)line;
    free(mem);
}

/* libcrypto takes other functions only before it has allocated anything. */
static int counting;

/* ---- kinds ---- */

enum { SLOTS = 4 };

static const test_kind kinds[] = {
    {TUNNELCAP_ENCR_AES_GCM_16, 16, TUNNELCAP_INTEG_NONE, 0, 1},
    {TUNNELCAP_ENCR_AES_GCM_8, 24, TUNNELCAP_INTEG_NONE, 0, 1},
    {TUNNELCAP_ENCR_AES_GCM_12, 32, TUNNELCAP_INTEG_NONE, 0, 1},
    {TUNNELCAP_ENCR_AES_GMAC, 16, TUNNELCAP_INTEG_NONE, 0, 1},
    {TUNNELCAP_ENCR_CHACHA20_POLY1305, 32, TUNNELCAP_INTEG_NONE, 0, 1},
    {TUNNELCAP_ENCR_AES_CCM_8, 16, TUNNELCAP_INTEG_NONE, 0, 1},
    {TUNNELCAP_ENCR_AES_CCM_16, 32, TUNNELCAP_INTEG_NONE, 0, 1},
    {TUNNELCAP_ENCR_AES_CBC, 16, TUNNELCAP_INTEG_AES_CMAC_96, 16, 16},
    {TUNNELCAP_ENCR_AES_CTR, 16, TUNNELCAP_INTEG_AES_XCBC_96, 16, 1},
    {TUNNELCAP_ENCR_NULL, 0, TUNNELCAP_INTEG_AES_CMAC_96, 16, 1},
    {TUNNELCAP_ENCR_3DES, 24, TUNNELCAP_INTEG_HMAC_MD5_96, 16, 8},
    {TUNNELCAP_ENCR_AES_CBC, 32, TUNNELCAP_INTEG_HMAC_SHA1_96, 20, 16},
    {TUNNELCAP_ENCR_AES_CBC, 24, TUNNELCAP_INTEG_HMAC_SHA2_256_128, 32, 16},
    {TUNNELCAP_ENCR_AES_CTR, 32, TUNNELCAP_INTEG_HMAC_SHA2_384_192, 48, 1},
    {TUNNELCAP_ENCR_NULL, 0, TUNNELCAP_INTEG_HMAC_SHA2_512_256, 64, 1},
};

static void fill(test_random *random, uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)test_next(random);
}

/* ---- patterns ---- */

/* Nonces in sequence, jumping, and over the end of the counter; all lengths of a few blocks and
 * around the integrity's scratch memory; what one seals the other opens. */
static void compare_with_documented(const tunnelcap_crypto *lean)
{
    static test_packet p, q, want;
    const tunnelcap_crypto *plain = tunnelcap_i_crypto_openssl_way(TUNNELCAP_I_OSSL_PORTABLE);
    void *lean_lane = test_crypto_lane_new(lean, SLOTS),
         *plain_lane = test_crypto_lane_new(plain, SLOTS);
    for (uint32_t kind = 0; kind < TEST_COUNT(kinds); kind++) {
        void *lean_key = test_key_new(lean, &kinds[kind], 5),
             *plain_key = test_key_new(plain, &kinds[kind], 5);
        test_random random = {kind};
        uint8_t iv[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf0};
        for (uint32_t i = 0; i < 400; i++) {
            uint32_t len = i < 340 ? i % 170 : 1900 + test_below(&random, TEST_TEXT - 1900);
            test_packet_make(&p, lean_key, &kinds[kind], len, i);
            for (uint32_t k = 8; k > 0 && ++iv[k - 1] == 0; k--)
                continue;
            if (i % 7 == 0)
                fill(&random, iv + 6, 2);
            memset(p.op.nonce, 0x33, 4);
            memcpy(p.op.nonce + 4, iv, sizeof(iv));
            want = p;
            test_packet_copy(&q, &p, plain_key);
            ck_assert_status(test_seal(lean, lean_lane, &p), TUNNELCAP_OK);
            ck_assert_status(test_seal(plain, plain_lane, &q), TUNNELCAP_OK);
            ck_assert_mem_eq(p.bytes, q.bytes, sizeof(p.bytes));
            ck_assert_status(test_unseal(lean, lean_lane, &p), TUNNELCAP_OK);
            ck_assert_status(test_unseal(plain, plain_lane, &q), TUNNELCAP_OK);
            ck_assert_mem_eq(p.bytes, q.bytes, sizeof(p.bytes));
            ck_assert_mem_eq(p.bytes, want.bytes, p.op.head_len + p.op.text_len);
        }
        lean->lane_forget(lean->self, lean_lane, lean_key);
        plain->lane_forget(plain->self, plain_lane, plain_key);
        test_key_free(lean, lean_key);
        test_key_free(plain, plain_key);
    }
    test_crypto_lane_free(lean, lean_lane);
    test_crypto_lane_free(plain, plain_lane);
}

START_TEST(short_patterns_do_what_documented_ones_do)
{
    for (uint32_t way = test_first_way(); way <= TUNNELCAP_I_OSSL_LEAN; way += 2)
        compare_with_documented(tunnelcap_i_crypto_openssl_way(way));
}
END_TEST

START_TEST(short_patterns_are_in_use_with_this_libcrypto)
{
    /* Speed rests on it: a trial must not fail unseen. */
    const tunnelcap_crypto *crypto = tunnelcap_crypto_openssl();
    tunnelcap_i_ossl_lane *lane = test_crypto_lane_new(crypto, SLOTS);
    for (uint32_t i = 0; i < TUNNELCAP_I_LEAN_CIPHERS; i++)
        ck_assert_ptr_nonnull(lane->lean[i]);
    test_crypto_lane_free(crypto, lane);
}
END_TEST

/* ---- allocations ---- */

static bool is_ccm(uint32_t kind)
{
    return kinds[kind].encr == TUNNELCAP_ENCR_AES_CCM_8 ||
           kinds[kind].encr == TUNNELCAP_ENCR_AES_CCM_16;
}

/* How often libcrypto allocates for one packet sealed and opened by a lane that knows the key. */
static uint32_t allocations_of(const tunnelcap_crypto *crypto, uint32_t kind)
{
    static test_packet p;
    void *lane = test_crypto_lane_new(crypto, SLOTS), *key = test_key_new(crypto, &kinds[kind], 1);
    uint32_t before = 0;
    for (uint32_t i = 0; i < 20; i++) {
        test_packet_make(&p, key, &kinds[kind], 64 + i * 40, i / 2);
        p.op.nonce[10] = (uint8_t)i;
        if (i == 1)
            before = allocations;
        ck_assert_status(test_seal(crypto, lane, &p), TUNNELCAP_OK);
        ck_assert_status(test_unseal(crypto, lane, &p), TUNNELCAP_OK);
        /* A forgery allocates nothing either, but with CCM, where libcrypto keeps a record of it.
         */
        p.op.icv[0] ^= 1;
        if (!is_ccm(kind))
            ck_assert_status(test_unseal(crypto, lane, &p), TUNNELCAP_E_AUTH);
    }
    uint32_t count = allocations - before;
    test_key_free(crypto, key);
    test_crypto_lane_free(crypto, lane);
    return count;
}

START_TEST(packets_allocate_nothing)
{
    ck_assert_msg(counting, "libcrypto had allocated before the test could count");
    for (uint32_t kind = 0; kind < TEST_COUNT(kinds); kind++) {
        uint32_t count =
            allocations_of(tunnelcap_i_crypto_openssl_way(TUNNELCAP_I_OSSL_LEAN), kind) +
            allocations_of(tunnelcap_crypto_openssl(), kind);
#ifndef TUNNELCAP_I_HASH_STATES
        if (kinds[kind].integ_key_len != 0 && kinds[kind].integ != TUNNELCAP_INTEG_AES_CMAC_96 &&
            kinds[kind].integ != TUNNELCAP_INTEG_AES_XCBC_96)
            continue;
#endif
        ck_assert_msg(count == 0, "kind %u: %u allocations", (unsigned)kind, (unsigned)count);
    }
}
END_TEST

START_TEST(keys_of_one_algorithm_share_slots_without_allocation)
{
    enum { KEYS = 3 * SLOTS };
    static test_packet p;
    const tunnelcap_crypto *crypto = tunnelcap_crypto_openssl();
    for (uint32_t kind = 0; kind < TEST_COUNT(kinds); kind++) {
        void *lane = test_crypto_lane_new(crypto, SLOTS), *keys[KEYS];
        uint32_t before = 0;
        for (uint32_t i = 0; i < KEYS; i++)
            keys[i] = test_key_new(crypto, &kinds[kind], i);
        for (uint32_t i = 0; i < 4 * KEYS; i++) {
            if (i == KEYS)
                before = allocations;
            test_packet_make(&p, keys[i % KEYS], &kinds[kind], 100, i);
            ck_assert_status(test_seal(crypto, lane, &p), TUNNELCAP_OK);
            ck_assert_status(test_unseal(crypto, lane, &p), TUNNELCAP_OK);
        }
#ifdef TUNNELCAP_I_HASH_STATES
        ck_assert_uint_eq(allocations, before);
#else
        (void)before;
#endif
        for (uint32_t i = 0; i < KEYS; i++)
            test_key_free(crypto, keys[i]);
        test_crypto_lane_free(crypto, lane);
    }
}
END_TEST

/* ---- slots ---- */

/* Many more keys of all kinds than slots, in bursts of all of them, against a lane that holds
 * every key. */
START_TEST(bursts_span_more_keys_than_slots)
{
    static test_packet few[TEST_BURST], many[TEST_BURST];
    const tunnelcap_crypto *crypto = tunnelcap_crypto_openssl();
    void *small = test_crypto_lane_new(crypto, SLOTS),
         *large = test_crypto_lane_new(crypto, 2 * TEST_BURST);
    void *keys[TEST_BURST];
    tunnelcap_crypto_op *few_ops[TEST_BURST], *many_ops[TEST_BURST];
    test_random random = {7};
    for (uint32_t i = 0; i < TEST_BURST; i++) {
        keys[i] = test_key_new(crypto, &kinds[i % TEST_COUNT(kinds)], i);
        few_ops[i] = &few[i].op;
        many_ops[i] = &many[i].op;
    }
    for (uint32_t round = 0; round < 30; round++) {
        for (uint32_t i = 0; i < TEST_BURST; i++) {
            uint32_t k = test_below(&random, TEST_BURST);
            uint64_t seed = round * TEST_BURST + i;
            test_packet_make(&few[i], keys[k], &kinds[k % TEST_COUNT(kinds)], 96, seed);
            test_packet_make(&many[i], keys[k], &kinds[k % TEST_COUNT(kinds)], 96, seed);
        }
        crypto->seal(crypto->self, small, few_ops, TEST_BURST);
        crypto->seal(crypto->self, large, many_ops, TEST_BURST);
        for (uint32_t i = 0; i < TEST_BURST; i++) {
            ck_assert_status(few[i].op.status, TUNNELCAP_OK);
            ck_assert_mem_eq(few[i].bytes, many[i].bytes, sizeof(few[i].bytes));
        }
        uint32_t forged = test_below(&random, TEST_BURST);
        few[forged].op.icv[3] ^= 4;
        crypto->unseal(crypto->self, small, few_ops, TEST_BURST);
        for (uint32_t i = 0; i < TEST_BURST; i++)
            ck_assert_status(few[i].op.status, i == forged ? TUNNELCAP_E_AUTH : TUNNELCAP_OK);
    }
    for (uint32_t i = 0; i < TEST_BURST; i++)
        test_key_free(crypto, keys[i]);
    test_crypto_lane_free(crypto, small);
    test_crypto_lane_free(crypto, large);
}
END_TEST

START_TEST(key_at_a_used_address_is_another_key)
{
    static test_packet p, q;
    const tunnelcap_crypto *crypto = tunnelcap_crypto_openssl();
    void *lane = test_crypto_lane_new(crypto, SLOTS), *fresh = test_crypto_lane_new(crypto, SLOTS);
    for (uint32_t kind = 0; kind < TEST_COUNT(kinds); kind++) {
        void *key = test_key_new(crypto, &kinds[kind], 1);
        test_packet_make(&p, key, &kinds[kind], 96, 1);
        ck_assert_status(test_seal(crypto, lane, &p), TUNNELCAP_OK);
        crypto->key_fini(crypto->self, key);
        test_key_at(crypto, key, &kinds[kind], 2);
        test_packet_make(&p, key, &kinds[kind], 96, 1);
        test_packet_make(&q, key, &kinds[kind], 96, 1);
        ck_assert_status(test_seal(crypto, lane, &p), TUNNELCAP_OK);
        ck_assert_status(test_seal(crypto, fresh, &q), TUNNELCAP_OK);
        ck_assert_mem_eq(p.bytes, q.bytes, sizeof(p.bytes));
        test_key_free(crypto, key);
    }
    test_crypto_lane_free(crypto, lane);
    test_crypto_lane_free(crypto, fresh);
}
END_TEST

START_TEST(forgotten_slots_are_used_before_others_are_emptied)
{
    static test_packet p;
    const tunnelcap_crypto *crypto = tunnelcap_crypto_openssl();
    tunnelcap_i_ossl_lane *lane = test_crypto_lane_new(crypto, SLOTS);
    void *keys[SLOTS + 1];
    for (uint32_t i = 0; i <= SLOTS; i++)
        keys[i] = test_key_new(crypto, &kinds[0], i);
    for (uint32_t i = 0; i < SLOTS; i++) {
        test_packet_make(&p, keys[i], &kinds[0], 96, i);
        ck_assert_status(test_seal(crypto, lane, &p), TUNNELCAP_OK);
    }
    ck_assert_uint_eq(lane->free, 0);
    crypto->lane_forget(crypto->self, lane, keys[2]);
    ck_assert_uint_ne(lane->free, 0);
    test_packet_make(&p, keys[SLOTS], &kinds[0], 96, 9);
    ck_assert_status(test_seal(crypto, lane, &p), TUNNELCAP_OK);
    ck_assert_uint_eq(lane->hand, 0);
    for (uint32_t i = 0; i <= SLOTS; i++)
        test_key_free(crypto, keys[i]);
    test_crypto_lane_free(crypto, lane);
}
END_TEST

/* ---- refusals ---- */

static bool is_zero(const uint8_t *bytes, size_t len)
{
    while (len > 0 && *bytes == 0) {
        bytes++;
        len--;
    }
    return len == 0;
}

START_TEST(forgeries_leave_neither_text_nor_errors)
{
    static test_packet p, sealed;
    const tunnelcap_crypto *crypto = tunnelcap_crypto_openssl();
    void *lane = test_crypto_lane_new(crypto, SLOTS);
    for (uint32_t kind = 0; kind < TEST_COUNT(kinds); kind++) {
        void *key = test_key_new(crypto, &kinds[kind], 1);
        tunnelcap_transform transform = test_transform(&kinds[kind], 1);
        tunnelcap_transform_info info = {.size = sizeof(info)};
        ck_assert_status(tunnelcap_transform_check(&transform, &info), TUNNELCAP_OK);
        test_packet_make(&sealed, key, &kinds[kind], 96, kind);
        ck_assert_status(test_seal(crypto, lane, &sealed), TUNNELCAP_OK);
        size_t text_and_icv = sealed.op.text_len + info.icv_len;
        for (size_t bit = 0; bit < 8 * text_and_icv; bit++) {
            memcpy(p.bytes, sealed.bytes, sizeof(p.bytes));
            p.op = sealed.op;
            p.op.text = p.bytes + p.op.head_len;
            p.op.icv = p.op.text + p.op.text_len;
            p.op.text[bit / 8] ^= (uint8_t)(1u << bit % 8);
            ck_assert_status(test_unseal(crypto, lane, &p), TUNNELCAP_E_AUTH);
            ck_assert(is_zero(p.op.text, p.op.text_len));
        }
        ck_assert_status(test_unseal(crypto, lane, &sealed), TUNNELCAP_OK);
        ck_assert_uint_eq(ERR_peek_error(), 0);
        test_key_free(crypto, key);
    }
    test_crypto_lane_free(crypto, lane);
}
END_TEST

START_TEST(part_of_a_block_is_refused)
{
    static test_packet p;
    const tunnelcap_crypto *crypto = tunnelcap_crypto_openssl();
    void *lane = test_crypto_lane_new(crypto, SLOTS);
    for (uint32_t kind = 0; kind < TEST_COUNT(kinds); kind++) {
        if (kinds[kind].block == 1)
            continue;
        void *key = test_key_new(crypto, &kinds[kind], 1);
        test_packet_make(&p, key, &kinds[kind], 96, kind);
        p.op.text_len -= 1;
        ck_assert_status(test_seal(crypto, lane, &p), TUNNELCAP_E_CRYPTO);
        ck_assert(is_zero(p.op.text, p.op.text_len));
        test_packet_make(&p, key, &kinds[kind], 96, kind);
        ck_assert_status(test_seal(crypto, lane, &p), TUNNELCAP_OK);
        ck_assert_status(test_unseal(crypto, lane, &p), TUNNELCAP_OK);
        test_key_free(crypto, key);
    }
    test_crypto_lane_free(crypto, lane);
}
END_TEST

START_TEST(ended_keys_and_lanes_are_wiped)
{
    static test_packet p;
    const tunnelcap_crypto *crypto = tunnelcap_crypto_openssl();
    size_t lane_size = crypto->lane_size(crypto->self, TEST_BURST, SLOTS);
    for (uint32_t kind = 0; kind < TEST_COUNT(kinds); kind++) {
        tunnelcap_transform transform = test_transform(&kinds[kind], 1);
        size_t key_size = crypto->key_size(crypto->self, &transform);
        void *lane = test_crypto_lane_new(crypto, SLOTS),
             *key = test_key_new(crypto, &kinds[kind], 1);
        test_packet_make(&p, key, &kinds[kind], 96, kind);
        ck_assert_status(test_seal(crypto, lane, &p), TUNNELCAP_OK);
        crypto->lane_fini(crypto->self, lane);
        crypto->key_fini(crypto->self, key);
        ck_assert(is_zero(lane, lane_size));
        ck_assert(is_zero(key, key_size));
        test_arena_free(lane);
        test_arena_free(key);
    }
}
END_TEST

START_TEST(what_libcrypto_lacks_is_unsupported)
{
    const tunnelcap_crypto *crypto = tunnelcap_crypto_openssl();
    tunnelcap_i_ossl_key key;
    /* No provider here has this property. */
    ck_assert_int_eq(EVP_set_default_properties(NULL, "tunnelcap=none"), 1);
    for (uint32_t kind = 0; kind < TEST_COUNT(kinds); kind++) {
        tunnelcap_transform t = test_transform(&kinds[kind], 1);
        if (t.encr == TUNNELCAP_ENCR_NULL && t.integ != TUNNELCAP_INTEG_AES_CMAC_96)
            continue;
        ck_assert_uint_eq(crypto->key_size(crypto->self, &t), 0);
        ck_assert_status(crypto->key_init(crypto->self, &key, &t), TUNNELCAP_E_UNSUPPORTED);
        ck_assert_uint_eq(ERR_peek_error(), 0);
    }
    ck_assert_int_eq(EVP_set_default_properties(NULL, ""), 1);
}
END_TEST

Suite *test_crypto_suite(void)
{
    const TTest *tests[] = {
        short_patterns_do_what_documented_ones_do,
        short_patterns_are_in_use_with_this_libcrypto,
        packets_allocate_nothing,
        keys_of_one_algorithm_share_slots_without_allocation,
        bursts_span_more_keys_than_slots,
        key_at_a_used_address_is_another_key,
        forgotten_slots_are_used_before_others_are_emptied,
        forgeries_leave_neither_text_nor_errors,
        part_of_a_block_is_refused,
        ended_keys_and_lanes_are_wiped,
        what_libcrypto_lacks_is_unsupported,
    };
    counting = CRYPTO_set_mem_functions(counting_malloc, counting_realloc, counting_free);
    return test_suite("crypto", tests, TEST_COUNT(tests));
}

#else

START_TEST(there_is_no_provider_without_openssl)
{
    ck_assert_ptr_null(tunnelcap_crypto_openssl());
    ck_assert_ptr_null(tunnelcap_i_crypto_openssl_way(TUNNELCAP_I_OSSL_PORTABLE));
    ck_assert_uint_eq(tunnelcap_crypto_self_test_size(NULL), 0);
}
END_TEST

Suite *test_crypto_suite(void)
{
    const TTest *tests[] = {there_is_no_provider_without_openssl};
    return test_suite("crypto", tests, TEST_COUNT(tests));
}

#endif
