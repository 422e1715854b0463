/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The provider on libcrypto, in its short call patterns and in its documented ones. */
#include "crypto_openssl.h"
#include "support.h"

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

/* ---- keys, lanes and packets ---- */

enum { HEAD = 24, TEXT = 2600, ICV = 32, SLOTS = 4, BURST = 64 };

static const struct {
    uint16_t encr, encr_key_len, integ, integ_key_len;
    uint8_t block;
} kinds[] = {
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

static tunnelcap_transform transform_of(uint32_t kind, uint64_t seed)
{
    test_random random = {seed};
    tunnelcap_transform t = {.size = sizeof(t), .flags = TUNNELCAP_TRANSFORM_ALLOW_WEAK};
    t.encr = kinds[kind].encr;
    t.integ = kinds[kind].integ;
    t.encr_key_len = kinds[kind].encr_key_len;
    t.integ_key_len = kinds[kind].integ_key_len;
    fill(&random, t.encr_key, t.encr_key_len);
    fill(&random, t.integ_key, t.integ_key_len);
    return t;
}

static void key_at(const tunnelcap_crypto *crypto, void *mem, uint32_t kind, uint64_t seed)
{
    tunnelcap_transform t = transform_of(kind, seed);
    ck_assert_status(tunnelcap_transform_check(&t, NULL), TUNNELCAP_OK);
    ck_assert_status(crypto->key_init(crypto->self, mem, &t), TUNNELCAP_OK);
}

static void *key_new(const tunnelcap_crypto *crypto, uint32_t kind, uint64_t seed)
{
    tunnelcap_transform t = transform_of(kind, seed);
    size_t size = crypto->key_size(crypto->self, &t);
    ck_assert_uint_ne(size, 0);
    void *key = test_arena(size);
    key_at(crypto, key, kind, seed);
    return key;
}

static void key_free(const tunnelcap_crypto *crypto, void *key)
{
    crypto->key_fini(crypto->self, key);
    test_arena_free(key);
}

static void *lane_new(const tunnelcap_crypto *crypto, uint32_t slots)
{
    size_t size = crypto->lane_size(crypto->self, BURST, slots);
    void *lane = test_arena(size);
    memset(lane, 0, size);
    ck_assert_status(crypto->lane_init(crypto->self, lane, BURST, slots), TUNNELCAP_OK);
    return lane;
}

static void lane_free(const tunnelcap_crypto *crypto, void *lane)
{
    crypto->lane_fini(crypto->self, lane);
    test_arena_free(lane);
}

typedef struct packet {
    tunnelcap_crypto_op op;
    uint8_t bytes[HEAD + TEXT + ICV];
} packet;

/* A packet whose every byte follows from a seed; its text takes whole blocks. */
static void make(packet *p, const void *key, uint32_t kind, uint32_t len, uint64_t seed)
{
    test_random random = {seed};
    fill(&random, p->bytes, sizeof(p->bytes));
    memset(&p->op, 0, sizeof(p->op));
    fill(&random, p->op.nonce, sizeof(p->op.nonce));
    fill(&random, p->op.aad, sizeof(p->op.aad));
    p->op.key = key;
    p->op.head_len = test_below(&random, 2) ? 16 : HEAD;
    p->op.text = p->bytes + p->op.head_len;
    p->op.text_len = len / kinds[kind].block * kinds[kind].block;
    p->op.icv = p->op.text + p->op.text_len;
    p->op.flags = test_below(&random, 2) ? TUNNELCAP_OP_ESN : 0;
}

static int32_t seal(const tunnelcap_crypto *crypto, void *lane, packet *p)
{
    tunnelcap_crypto_op *op = &p->op;
    crypto->seal(crypto->self, lane, &op, 1);
    return op->status;
}

static int32_t unseal(const tunnelcap_crypto *crypto, void *lane, packet *p)
{
    tunnelcap_crypto_op *op = &p->op;
    crypto->unseal(crypto->self, lane, &op, 1);
    return op->status;
}

/* ---- patterns ---- */

/* Nonces in sequence, jumping, and over the end of the counter; all lengths of a few blocks and
 * around the integrity's scratch memory; what one seals the other opens. */
START_TEST(short_patterns_do_what_documented_ones_do)
{
    static packet p, q, want;
    const tunnelcap_crypto *lean = tunnelcap_crypto_openssl();
    const tunnelcap_crypto *plain = tunnelcap_i_crypto_openssl_portable();
    void *lean_lane = lane_new(lean, SLOTS), *plain_lane = lane_new(plain, SLOTS);
    for (uint32_t kind = 0; kind < TEST_COUNT(kinds); kind++) {
        void *lean_key = key_new(lean, kind, 5), *plain_key = key_new(plain, kind, 5);
        test_random random = {kind};
        uint8_t iv[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf0};
        for (uint32_t i = 0; i < 400; i++) {
            uint32_t len = i < 340 ? i % 170 : 1900 + test_below(&random, TEXT - 1900);
            make(&p, lean_key, kind, len, i);
            for (uint32_t k = 8; k > 0 && ++iv[k - 1] == 0; k--)
                continue;
            if (i % 7 == 0)
                fill(&random, iv + 6, 2);
            memset(p.op.nonce, 0x33, 4);
            memcpy(p.op.nonce + 4, iv, sizeof(iv));
            want = q = p;
            q.op.key = plain_key;
            q.op.text = q.bytes + q.op.head_len;
            q.op.icv = q.op.text + q.op.text_len;
            ck_assert_status(seal(lean, lean_lane, &p), TUNNELCAP_OK);
            ck_assert_status(seal(plain, plain_lane, &q), TUNNELCAP_OK);
            ck_assert_mem_eq(p.bytes, q.bytes, sizeof(p.bytes));
            ck_assert_status(unseal(lean, lean_lane, &p), TUNNELCAP_OK);
            ck_assert_status(unseal(plain, plain_lane, &q), TUNNELCAP_OK);
            ck_assert_mem_eq(p.bytes, q.bytes, sizeof(p.bytes));
            ck_assert_mem_eq(p.bytes, want.bytes, p.op.head_len + p.op.text_len);
        }
        lean->lane_forget(lean->self, lean_lane, lean_key);
        plain->lane_forget(plain->self, plain_lane, plain_key);
        key_free(lean, lean_key);
        key_free(plain, plain_key);
    }
    lane_free(lean, lean_lane);
    lane_free(plain, plain_lane);
}
END_TEST

START_TEST(short_patterns_are_in_use_with_this_libcrypto)
{
    /* Speed rests on it: a trial must not fail unseen. */
    const tunnelcap_crypto *crypto = tunnelcap_crypto_openssl();
    tunnelcap_i_ossl_lane *lane = lane_new(crypto, SLOTS);
    for (uint32_t i = 0; i < TUNNELCAP_I_LEAN_CIPHERS; i++)
        ck_assert_ptr_nonnull(lane->lean[i]);
    lane_free(crypto, lane);
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
    static packet p;
    void *lane = lane_new(crypto, SLOTS), *key = key_new(crypto, kind, 1);
    uint32_t before = 0;
    for (uint32_t i = 0; i < 20; i++) {
        make(&p, key, kind, 64 + i * 40, i / 2);
        p.op.nonce[10] = (uint8_t)i;
        if (i == 1)
            before = allocations;
        ck_assert_status(seal(crypto, lane, &p), TUNNELCAP_OK);
        ck_assert_status(unseal(crypto, lane, &p), TUNNELCAP_OK);
        /* A forgery allocates nothing either, but with CCM, where libcrypto keeps a record of it.
         */
        p.op.icv[0] ^= 1;
        if (!is_ccm(kind))
            ck_assert_status(unseal(crypto, lane, &p), TUNNELCAP_E_AUTH);
    }
    uint32_t count = allocations - before;
    key_free(crypto, key);
    lane_free(crypto, lane);
    return count;
}

START_TEST(packets_allocate_nothing)
{
    ck_assert_msg(counting, "libcrypto had allocated before the test could count");
    for (uint32_t kind = 0; kind < TEST_COUNT(kinds); kind++) {
        uint32_t count = allocations_of(tunnelcap_crypto_openssl(), kind);
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
    static packet p;
    const tunnelcap_crypto *crypto = tunnelcap_crypto_openssl();
    for (uint32_t kind = 0; kind < TEST_COUNT(kinds); kind++) {
        void *lane = lane_new(crypto, SLOTS), *keys[KEYS];
        uint32_t before = 0;
        for (uint32_t i = 0; i < KEYS; i++)
            keys[i] = key_new(crypto, kind, i);
        for (uint32_t i = 0; i < 4 * KEYS; i++) {
            if (i == KEYS)
                before = allocations;
            make(&p, keys[i % KEYS], kind, 100, i);
            ck_assert_status(seal(crypto, lane, &p), TUNNELCAP_OK);
            ck_assert_status(unseal(crypto, lane, &p), TUNNELCAP_OK);
        }
#ifdef TUNNELCAP_I_HASH_STATES
        ck_assert_uint_eq(allocations, before);
#else
        (void)before;
#endif
        for (uint32_t i = 0; i < KEYS; i++)
            key_free(crypto, keys[i]);
        lane_free(crypto, lane);
    }
}
END_TEST

/* ---- slots ---- */

/* Many more keys of all kinds than slots, in bursts of all of them, against a lane that holds
 * every key. */
START_TEST(bursts_span_more_keys_than_slots)
{
    static packet few[BURST], many[BURST];
    const tunnelcap_crypto *crypto = tunnelcap_crypto_openssl();
    void *small = lane_new(crypto, SLOTS), *large = lane_new(crypto, 2 * BURST);
    void *keys[BURST];
    tunnelcap_crypto_op *few_ops[BURST], *many_ops[BURST];
    test_random random = {7};
    for (uint32_t i = 0; i < BURST; i++) {
        keys[i] = key_new(crypto, i % TEST_COUNT(kinds), i);
        few_ops[i] = &few[i].op;
        many_ops[i] = &many[i].op;
    }
    for (uint32_t round = 0; round < 30; round++) {
        for (uint32_t i = 0; i < BURST; i++) {
            uint32_t k = test_below(&random, BURST);
            uint64_t seed = round * BURST + i;
            make(&few[i], keys[k], k % TEST_COUNT(kinds), 96, seed);
            make(&many[i], keys[k], k % TEST_COUNT(kinds), 96, seed);
        }
        crypto->seal(crypto->self, small, few_ops, BURST);
        crypto->seal(crypto->self, large, many_ops, BURST);
        for (uint32_t i = 0; i < BURST; i++) {
            ck_assert_status(few[i].op.status, TUNNELCAP_OK);
            ck_assert_mem_eq(few[i].bytes, many[i].bytes, sizeof(few[i].bytes));
        }
        uint32_t forged = test_below(&random, BURST);
        few[forged].op.icv[3] ^= 4;
        crypto->unseal(crypto->self, small, few_ops, BURST);
        for (uint32_t i = 0; i < BURST; i++)
            ck_assert_status(few[i].op.status, i == forged ? TUNNELCAP_E_AUTH : TUNNELCAP_OK);
    }
    for (uint32_t i = 0; i < BURST; i++)
        key_free(crypto, keys[i]);
    lane_free(crypto, small);
    lane_free(crypto, large);
}
END_TEST

START_TEST(key_at_a_used_address_is_another_key)
{
    static packet p, q;
    const tunnelcap_crypto *crypto = tunnelcap_crypto_openssl();
    void *lane = lane_new(crypto, SLOTS), *fresh = lane_new(crypto, SLOTS);
    for (uint32_t kind = 0; kind < TEST_COUNT(kinds); kind++) {
        void *key = key_new(crypto, kind, 1);
        make(&p, key, kind, 96, 1);
        ck_assert_status(seal(crypto, lane, &p), TUNNELCAP_OK);
        crypto->key_fini(crypto->self, key);
        key_at(crypto, key, kind, 2);
        make(&p, key, kind, 96, 1);
        make(&q, key, kind, 96, 1);
        ck_assert_status(seal(crypto, lane, &p), TUNNELCAP_OK);
        ck_assert_status(seal(crypto, fresh, &q), TUNNELCAP_OK);
        ck_assert_mem_eq(p.bytes, q.bytes, sizeof(p.bytes));
        key_free(crypto, key);
    }
    lane_free(crypto, lane);
    lane_free(crypto, fresh);
}
END_TEST

START_TEST(forgotten_slots_are_used_before_others_are_emptied)
{
    static packet p;
    const tunnelcap_crypto *crypto = tunnelcap_crypto_openssl();
    tunnelcap_i_ossl_lane *lane = lane_new(crypto, SLOTS);
    void *keys[SLOTS + 1];
    for (uint32_t i = 0; i <= SLOTS; i++)
        keys[i] = key_new(crypto, 0, i);
    for (uint32_t i = 0; i < SLOTS; i++) {
        make(&p, keys[i], 0, 96, i);
        ck_assert_status(seal(crypto, lane, &p), TUNNELCAP_OK);
    }
    ck_assert_uint_eq(lane->free, 0);
    crypto->lane_forget(crypto->self, lane, keys[2]);
    ck_assert_uint_ne(lane->free, 0);
    make(&p, keys[SLOTS], 0, 96, 9);
    ck_assert_status(seal(crypto, lane, &p), TUNNELCAP_OK);
    ck_assert_uint_eq(lane->hand, 0);
    for (uint32_t i = 0; i <= SLOTS; i++)
        key_free(crypto, keys[i]);
    lane_free(crypto, lane);
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
    static packet p, sealed;
    const tunnelcap_crypto *crypto = tunnelcap_crypto_openssl();
    void *lane = lane_new(crypto, SLOTS);
    for (uint32_t kind = 0; kind < TEST_COUNT(kinds); kind++) {
        void *key = key_new(crypto, kind, 1);
        tunnelcap_transform transform = transform_of(kind, 1);
        tunnelcap_transform_info info = {.size = sizeof(info)};
        ck_assert_status(tunnelcap_transform_check(&transform, &info), TUNNELCAP_OK);
        make(&sealed, key, kind, 96, kind);
        ck_assert_status(seal(crypto, lane, &sealed), TUNNELCAP_OK);
        size_t text_and_icv = sealed.op.text_len + info.icv_len;
        for (size_t bit = 0; bit < 8 * text_and_icv; bit++) {
            memcpy(p.bytes, sealed.bytes, sizeof(p.bytes));
            p.op = sealed.op;
            p.op.text = p.bytes + p.op.head_len;
            p.op.icv = p.op.text + p.op.text_len;
            p.op.text[bit / 8] ^= (uint8_t)(1u << bit % 8);
            ck_assert_status(unseal(crypto, lane, &p), TUNNELCAP_E_AUTH);
            ck_assert(is_zero(p.op.text, p.op.text_len));
        }
        ck_assert_status(unseal(crypto, lane, &sealed), TUNNELCAP_OK);
        ck_assert_uint_eq(ERR_peek_error(), 0);
        key_free(crypto, key);
    }
    lane_free(crypto, lane);
}
END_TEST

START_TEST(part_of_a_block_is_refused)
{
    static packet p;
    const tunnelcap_crypto *crypto = tunnelcap_crypto_openssl();
    void *lane = lane_new(crypto, SLOTS);
    for (uint32_t kind = 0; kind < TEST_COUNT(kinds); kind++) {
        if (kinds[kind].block == 1)
            continue;
        void *key = key_new(crypto, kind, 1);
        make(&p, key, kind, 96, kind);
        p.op.text_len -= 1;
        ck_assert_status(seal(crypto, lane, &p), TUNNELCAP_E_CRYPTO);
        ck_assert(is_zero(p.op.text, p.op.text_len));
        make(&p, key, kind, 96, kind);
        ck_assert_status(seal(crypto, lane, &p), TUNNELCAP_OK);
        ck_assert_status(unseal(crypto, lane, &p), TUNNELCAP_OK);
        key_free(crypto, key);
    }
    lane_free(crypto, lane);
}
END_TEST

START_TEST(ended_keys_and_lanes_are_wiped)
{
    static packet p;
    const tunnelcap_crypto *crypto = tunnelcap_crypto_openssl();
    size_t lane_size = crypto->lane_size(crypto->self, BURST, SLOTS);
    for (uint32_t kind = 0; kind < TEST_COUNT(kinds); kind++) {
        tunnelcap_transform transform = transform_of(kind, 1);
        size_t key_size = crypto->key_size(crypto->self, &transform);
        void *lane = lane_new(crypto, SLOTS), *key = key_new(crypto, kind, 1);
        make(&p, key, kind, 96, kind);
        ck_assert_status(seal(crypto, lane, &p), TUNNELCAP_OK);
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
        tunnelcap_transform t = transform_of(kind, 1);
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
    ck_assert_ptr_null(tunnelcap_i_crypto_openssl_portable());
    ck_assert_uint_eq(tunnelcap_crypto_self_test_size(NULL), 0);
}
END_TEST

Suite *test_crypto_suite(void)
{
    const TTest *tests[] = {there_is_no_provider_without_openssl};
    return test_suite("crypto", tests, TEST_COUNT(tests));
}

#endif
