/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* GCM by bursts, beside libcrypto's own GCM in its documented calls. */
#include "crypto_kit.h"

#ifdef TUNNELCAP_WITH_OPENSSL

#include <openssl/err.h>
#include <pthread.h>

enum { NONE = TUNNELCAP_INTEG_NONE, SLOTS = 4 };

/* Each length of key, and each of ICV; GMAC is hashed otherwise. */
static const test_kind kinds[] = {
    {TUNNELCAP_ENCR_AES_GCM_16, 16, NONE, 0, 1}, {TUNNELCAP_ENCR_AES_GCM_12, 24, NONE, 0, 1},
    {TUNNELCAP_ENCR_AES_GCM_8, 32, NONE, 0, 1},  {TUNNELCAP_ENCR_AES_GMAC, 16, NONE, 0, 1},
    {TUNNELCAP_ENCR_AES_GMAC, 32, NONE, 0, 1},   {TUNNELCAP_ENCR_AES_GCM_16_IIV, 16, NONE, 0, 1},
};

/* A provider with a lane and a key. */
typedef struct side {
    const tunnelcap_crypto *crypto;
    void *lane;
    void *key;
    uint32_t icv_len;
} side;

static side side_new(uint32_t way, const test_kind *kind)
{
    side s = {.crypto = tunnelcap_i_crypto_openssl_way(way)};
    tunnelcap_transform transform = test_transform(kind, 9);
    tunnelcap_transform_info info = {.size = sizeof(info)};
    test_ok(tunnelcap_transform_check(&transform, &info));
    s.icv_len = info.icv_len;
    s.lane = test_crypto_lane_new(s.crypto, SLOTS);
    s.key = test_key_new(s.crypto, kind, 9);
    return s;
}

static void side_free(side *s)
{
    test_key_free(s->crypto, s->key);
    test_crypto_lane_free(s->crypto, s->lane);
}

/* A packet whose parts each end where their memory ends, so that sanitizers see any byte too
 * much. GMAC reads the IV before the text. */
typedef struct piece {
    tunnelcap_crypto_op op;
    uint8_t *memory;
} piece;

enum { IV = 8 };

static piece piece_new(const side *s, uint32_t len, uint16_t flags, uint64_t seed)
{
    test_random random = {seed};
    piece p = {.memory = malloc(IV + len)};
    ck_assert_ptr_nonnull(p.memory);
    p.op = (tunnelcap_crypto_op){.key = s->key,
                                 .text = p.memory + IV,
                                 .icv = malloc(s->icv_len),
                                 .text_len = len,
                                 .head_len = 8 + IV,
                                 .flags = flags};
    ck_assert_ptr_nonnull(p.op.icv);
    for (uint32_t i = 0; i < IV + len; i++)
        p.memory[i] = (uint8_t)test_next(&random);
    for (uint32_t i = 0; i < sizeof(p.op.nonce); i++)
        p.op.nonce[i] = (uint8_t)test_next(&random);
    for (uint32_t i = 0; i < sizeof(p.op.aad); i++)
        p.op.aad[i] = (uint8_t)test_next(&random);
    return p;
}

static void piece_free(piece *p)
{
    free(p->memory);
    free(p->op.icv);
}

static void run(const side *s, piece *pieces, uint32_t n, bool sealing)
{
    tunnelcap_crypto_op *ops[TEST_BURST];
    for (uint32_t i = 0; i < n; i++)
        ops[i] = &pieces[i].op;
    (sealing ? s->crypto->seal : s->crypto->unseal)(s->crypto->self, s->lane, ops, n);
}

static void check_equal(const piece *a, const piece *b, uint32_t icv_len)
{
    uint32_t len = a->op.text_len;
    ck_assert_status(a->op.status, TUNNELCAP_OK);
    ck_assert_status(b->op.status, TUNNELCAP_OK);
    ck_assert_msg(memcmp(a->memory, b->memory, IV + len) == 0, "text of %u bytes", (unsigned)len);
    ck_assert_msg(memcmp(a->op.icv, b->op.icv, icv_len) == 0, "ICV of %u bytes", (unsigned)len);
}

/* Seal one burst both ways, one packet after the other by the plain one, and open it again. */
static void compare(const side *s, const side *plain, const uint32_t *lens, uint32_t n,
                    uint16_t flags)
{
    piece a[TEST_BURST], b[TEST_BURST];
    for (uint32_t i = 0; i < n; i++) {
        a[i] = piece_new(s, lens[i], flags, lens[i] + i);
        b[i] = piece_new(plain, lens[i], flags, lens[i] + i);
        run(plain, &b[i], 1, true);
    }
    run(s, a, n, true);
    for (uint32_t i = 0; i < n; i++)
        check_equal(&a[i], &b[i], s->icv_len);
    run(s, a, n, false);
    for (uint32_t i = 0; i < n; i++) {
        piece before = piece_new(plain, lens[i], flags, lens[i] + i);
        run(plain, &b[i], 1, false);
        check_equal(&a[i], &b[i], s->icv_len);
        ck_assert_mem_eq(a[i].memory, before.memory, IV + lens[i]);
        piece_free(&before);
        piece_free(&a[i]);
        piece_free(&b[i]);
    }
}

START_TEST(bursts_do_what_documented_calls_do)
{
    for (uint32_t k = 0; k < TEST_COUNT(kinds); k++) {
        side plain = side_new(TUNNELCAP_I_OSSL_PORTABLE, &kinds[k]);
        for (uint32_t way = test_first_way(); way <= TUNNELCAP_I_OSSL_LEAN; way++) {
            side s = side_new(way, &kinds[k]);
            uint32_t lens[TEST_BURST];
            for (uint32_t len = 0, n; len <= 300; len += n) {
                for (n = 0; n < 1 + len % 53; n++) /* bursts of all sizes */
                    lens[n] = len + n;
                compare(&s, &plain, lens, n, 0);
                compare(&s, &plain, lens, n, TUNNELCAP_OP_ESN);
            }
            side_free(&s);
        }
        side_free(&plain);
    }
}
END_TEST

/* Around what the scratch holds, alone and between others, and as large as IP allows and more. */
START_TEST(large_texts_do_what_documented_calls_do)
{
    enum { EDGE = TUNNELCAP_I_SCRATCH };
    static const uint32_t lens[] = {
        1400,     60,       9000,          3,     EDGE - 17, EDGE - 16,    EDGE - 1, EDGE, EDGE + 1,
        EDGE / 2, EDGE / 2, EDGE / 2 - 16, 65535, EDGE * 2,  2 * EDGE + 1, 4096,     0,    100000};
    for (uint32_t k = 0; k < TEST_COUNT(kinds); k++) {
        side plain = side_new(TUNNELCAP_I_OSSL_PORTABLE, &kinds[k]);
        for (uint32_t way = test_first_way(); way <= TUNNELCAP_I_OSSL_LEAN; way++) {
            side s = side_new(way, &kinds[k]);
            compare(&s, &plain, lens, TEST_COUNT(lens), 0);
            for (uint32_t i = 0; i < TEST_COUNT(lens); i++)
                compare(&s, &plain, &lens[i], 1, TUNNELCAP_OP_ESN);
            side_free(&s);
        }
        side_free(&plain);
    }
}
END_TEST

static bool is_zero(const uint8_t *bytes, size_t len)
{
    while (len > 0 && *bytes == 0) {
        bytes++;
        len--;
    }
    return len == 0;
}

/* One packet of a burst with one bit wrong: it alone is refused, and nothing of it is left. */
static void refuse(const side *s, uint32_t len, uint16_t flags, uint32_t which, uint32_t bit)
{
    enum { COUNT = 2, FORGED = 0 };
    piece p[COUNT];
    for (uint32_t i = 0; i < COUNT; i++)
        p[i] = piece_new(s, len, flags, i);
    run(s, p, COUNT, true);
    uint8_t *parts[] = {p[FORGED].op.icv, p[FORGED].op.aad, p[FORGED].op.nonce, p[FORGED].op.text};
    parts[which][bit / 8] ^= (uint8_t)(1u << bit % 8);
    run(s, p, COUNT, false);
    for (uint32_t i = 0; i < COUNT; i++) {
        ck_assert_status(p[i].op.status, i == FORGED ? TUNNELCAP_E_AUTH : TUNNELCAP_OK);
        if (i == FORGED)
            ck_assert(is_zero(p[i].op.text, len));
        piece_free(&p[i]);
    }
}

START_TEST(any_wrong_bit_is_refused)
{
    for (uint32_t k = 0; k < TEST_COUNT(kinds); k++) {
        for (uint32_t way = test_first_way(); way <= TUNNELCAP_I_OSSL_LEAN; way++) {
            side s = side_new(way, &kinds[k]);
            for (uint32_t len = 0; len < 40; len += 21) {
                uint32_t sizes[] = {s.icv_len, 12, 12, len};
                for (uint32_t which = 0; which < TEST_COUNT(sizes); which++) {
                    for (uint32_t bit = 0; bit < 8 * sizes[which]; bit++) {
                        if (which == 1) /* the additional data, 12 bytes of it */
                            refuse(&s, len, TUNNELCAP_OP_ESN, which, bit);
                        if (which != 1 || bit < 64)
                            refuse(&s, len, 0, which, bit);
                    }
                }
            }
            refuse(&s, 9000, 0, 3, 8 * 8999);
            side_free(&s);
        }
    }
}
END_TEST

/* Mixed with other algorithms and other keys of the same, in one burst. */
START_TEST(bursts_mix_keys)
{
    enum { KEYS = 5 };
    static const test_kind mix[KEYS] = {
        {TUNNELCAP_ENCR_AES_GCM_16, 16, NONE, 0, 1},
        {TUNNELCAP_ENCR_AES_GCM_16, 32, NONE, 0, 1},
        {TUNNELCAP_ENCR_CHACHA20_POLY1305, 32, NONE, 0, 1},
        {TUNNELCAP_ENCR_AES_GMAC, 16, NONE, 0, 1},
        {TUNNELCAP_ENCR_NULL, 0, TUNNELCAP_INTEG_AES_CMAC_96, 16, 1},
    };
    side s = side_new(TUNNELCAP_I_OSSL_WIDE, &mix[0]);
    side plain = side_new(TUNNELCAP_I_OSSL_PORTABLE, &mix[0]);
    void *keys[KEYS], *plain_keys[KEYS];
    test_random random = {3};
    for (uint32_t i = 0; i < KEYS; i++) {
        keys[i] = test_key_new(s.crypto, &mix[i], i);
        plain_keys[i] = test_key_new(plain.crypto, &mix[i], i);
    }
    for (uint32_t round = 0; round < 50; round++) {
        piece a[TEST_BURST], b[TEST_BURST];
        uint32_t n = 1 + test_below(&random, TEST_BURST), key = 0;
        for (uint32_t i = 0; i < n; i++) {
            uint32_t len = test_below(&random, 200);
            if (test_below(&random, 3) == 0) /* several of a key in a row */
                key = test_below(&random, KEYS);
            a[i] = piece_new(&s, len, 0, i);
            b[i] = piece_new(&plain, len, 0, i);
            a[i].op.head_len = b[i].op.head_len = IV;
            a[i].op.key = keys[key];
            b[i].op.key = plain_keys[key];
            run(&plain, &b[i], 1, true);
        }
        run(&s, a, n, true);
        for (uint32_t i = 0; i < n; i++)
            check_equal(&a[i], &b[i], 12);
        run(&s, a, n, false);
        for (uint32_t i = 0; i < n; i++) {
            ck_assert_status(a[i].op.status, TUNNELCAP_OK);
            piece_free(&a[i]);
            piece_free(&b[i]);
        }
    }
    for (uint32_t i = 0; i < KEYS; i++) {
        test_key_free(s.crypto, keys[i]);
        test_key_free(plain.crypto, plain_keys[i]);
    }
    side_free(&s);
    side_free(&plain);
}
END_TEST

/* The slot that a lane has for one direction of its only key. */
static tunnelcap_i_ossl_slot *slot_of(tunnelcap_i_ossl_lane *lane, int direction)
{
    for (uint32_t i = 0; i < SLOTS; i++) {
        if (lane->slots[i].tag != 0 && (int)(lane->slots[i].tag & 1) == direction)
            return &lane->slots[i];
    }
    return NULL;
}

/* The provider wipes what is refused; before that it has not been decrypted at all. */
START_TEST(forgeries_are_not_decrypted)
{
    if (test_first_way() != TUNNELCAP_I_OSSL_WIDE)
        return;
    side s = side_new(TUNNELCAP_I_OSSL_WIDE, &kinds[0]);
    tunnelcap_i_ossl_lane *lane = s.lane;
    static const uint32_t lens[] = {64, 1400, TUNNELCAP_I_SCRATCH + 100};
    for (uint32_t i = 0; i < TEST_COUNT(lens); i++) {
        piece p = piece_new(&s, lens[i], 0, i);
        tunnelcap_crypto_op *op = &p.op;
        uint8_t *sealed = malloc(lens[i]);
        ck_assert_ptr_nonnull(sealed);
        run(&s, &p, 1, true);
        memcpy(sealed, op->text, lens[i]);
        run(&s, &p, 1, false); /* there is a slot for opening now */
        memcpy(op->text, sealed, lens[i]);
        op->icv[0] ^= 1;
        tunnelcap_i_ossl_slot *slot = slot_of(lane, TUNNELCAP_I_OPEN);
        ck_assert_ptr_nonnull(slot);
        ck_assert_uint_eq(slot->bulk, 1);
        ck_assert_status(tunnelcap_i_ossl_gcm_run(lane, slot, s.key, &op, 1, TUNNELCAP_I_OPEN),
                         TUNNELCAP_OK);
        ck_assert_status(op->status, TUNNELCAP_E_AUTH);
        ck_assert_mem_eq(op->text, sealed, lens[i]);
        free(sealed);
        piece_free(&p);
    }
    side_free(&s);
}
END_TEST

/* Speed rests on it: neither the trial nor the fetch of a block cipher must fail unseen. */
START_TEST(bursts_are_in_use_where_the_processor_can)
{
    for (uint32_t k = 0; k < TEST_COUNT(kinds); k++) {
        for (uint32_t way = test_first_way(); way <= TUNNELCAP_I_OSSL_LEAN; way++) {
            side s = side_new(way, &kinds[k]);
            const tunnelcap_i_ossl_key *key = s.key;
            const tunnelcap_i_ossl_lane *lane = s.lane;
            bool bulk = way != TUNNELCAP_I_OSSL_LEAN;
            ck_assert_uint_eq(key->block_cipher != NULL, bulk);
            for (uint32_t i = 0; i < TUNNELCAP_I_BULK_CIPHERS; i++)
                ck_assert_uint_eq(lane->bulk[i] != NULL, bulk);
            if (bulk && way == TUNNELCAP_I_OSSL_NARROW)
                ck_assert_uint_eq(key->mac_state.ghash.way, TUNNELCAP_I_GHASH_NARROW);
            if (bulk && way == TUNNELCAP_I_OSSL_WIDE)
                ck_assert_uint_eq(key->mac_state.ghash.way, tunnelcap_i_ghash_best());
            side_free(&s);
        }
    }
}
END_TEST

/* A packet for which libcrypto fails is wiped, and the context that failed is keyed anew. */
START_TEST(slots_recover_from_failures_of_libcrypto)
{
    static const uint32_t lens[] = {64, 2 * TUNNELCAP_I_SCRATCH};
    for (uint32_t way = test_first_way(); way <= TUNNELCAP_I_OSSL_LEAN; way++) {
        side s = side_new(way, &kinds[0]), plain = side_new(TUNNELCAP_I_OSSL_PORTABLE, &kinds[0]);
        compare(&s, &plain, lens, TEST_COUNT(lens), 0);
        for (uint32_t i = 0; i < TEST_COUNT(lens); i++) {
            piece p = piece_new(&s, lens[i], 0, i);
            EVP_CIPHER_CTX_reset(slot_of(s.lane, TUNNELCAP_I_SEAL)->cipher);
            run(&s, &p, 1, true);
            ck_assert_status(p.op.status, TUNNELCAP_E_CRYPTO);
            ck_assert(is_zero(p.op.text, lens[i]));
            ck_assert_ptr_null(slot_of(s.lane, TUNNELCAP_I_SEAL));
            piece_free(&p);
            compare(&s, &plain, lens, TEST_COUNT(lens), 0);
        }
        ERR_clear_error();
        side_free(&s);
        side_free(&plain);
    }
}
END_TEST

/* The trial of a lane can fail, and then libcrypto's GCM serves. */
START_TEST(lanes_whose_trial_fails_use_the_gcm_of_libcrypto)
{
    if (test_first_way() != TUNNELCAP_I_OSSL_WIDE)
        return;
    static const uint32_t lens[] = {0, 1, 64, 300, 1400};
    side s = side_new(TUNNELCAP_I_OSSL_WIDE, &kinds[0]);
    side plain = side_new(TUNNELCAP_I_OSSL_PORTABLE, &kinds[0]);
    tunnelcap_i_ossl_lane *lane = s.lane;
    EVP_CIPHER *other = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
    ck_assert_ptr_nonnull(other);
    ck_assert_ptr_null(tunnelcap_i_ossl_try_bulk(lane, other, TUNNELCAP_I_OSSL_WIDE));
    EVP_CIPHER_free(other);
    for (uint32_t i = 0; i < TUNNELCAP_I_BULK_CIPHERS; i++) {
        EVP_CIPHER_free(lane->bulk[i]);
        lane->bulk[i] = NULL;
    }
    compare(&s, &plain, lens, TEST_COUNT(lens), 0);
    ck_assert_uint_eq(slot_of(lane, TUNNELCAP_I_SEAL)->bulk, 0);
    side_free(&s);
    side_free(&plain);
}
END_TEST

/* One thread of some that use the same keys. */
typedef struct worker {
    const side *keys;
    void *lane;
    uint32_t failures;
} worker;

enum { ROUNDS = 200, WORKERS = 2, WORKER_BURST = 8 };

static void *work(void *arg)
{
    worker *w = arg;
    side s = *w->keys;
    s.lane = w->lane;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        piece p[WORKER_BURST];
        for (uint32_t i = 0; i < WORKER_BURST; i++)
            p[i] = piece_new(&s, 10 * i + round, 0, round);
        run(&s, p, WORKER_BURST, true);
        run(&s, p, WORKER_BURST, false);
        for (uint32_t i = 0; i < WORKER_BURST; i++) {
            w->failures += p[i].op.status != TUNNELCAP_OK;
            piece_free(&p[i]);
        }
    }
    return NULL;
}

START_TEST(lanes_use_one_key_at_once)
{
    side s = side_new(TUNNELCAP_I_OSSL_WIDE, &kinds[0]);
    worker workers[WORKERS] = {{.keys = &s, .lane = s.lane},
                               {.keys = &s, .lane = test_crypto_lane_new(s.crypto, SLOTS)}};
    pthread_t threads[WORKERS];
    for (uint32_t i = 0; i < WORKERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    for (uint32_t i = 0; i < WORKERS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert_uint_eq(workers[i].failures, 0);
    }
    test_crypto_lane_free(s.crypto, workers[1].lane);
    side_free(&s);
}
END_TEST

/* What was not validated with libcrypto's module is no part of a FIPS configuration. */
START_TEST(fips_configurations_use_the_gcm_of_libcrypto)
{
    tunnelcap_i_ossl_key key;
    memset(&key, 0, sizeof(key));
    ck_assert_int_eq(EVP_set_default_properties(NULL, "fips=yes"), 1);
    tunnelcap_i_ossl_gcm_init(&key, 16, TUNNELCAP_I_OSSL_WIDE);
    ck_assert_ptr_null(key.block_cipher);
    ck_assert_int_eq(EVP_set_default_properties(NULL, ""), 1);
}
END_TEST

Suite *test_crypto_gcm_suite(void)
{
    const TTest *tests[] = {
        bursts_do_what_documented_calls_do,
        large_texts_do_what_documented_calls_do,
        any_wrong_bit_is_refused,
        bursts_mix_keys,
        forgeries_are_not_decrypted,
        slots_recover_from_failures_of_libcrypto,
        lanes_whose_trial_fails_use_the_gcm_of_libcrypto,
        lanes_use_one_key_at_once,
        bursts_are_in_use_where_the_processor_can,
        fips_configurations_use_the_gcm_of_libcrypto,
    };
    return test_suite("crypto_gcm", tests, TEST_COUNT(tests));
}

#else

START_TEST(there_is_no_way_without_openssl)
{
    for (uint32_t way = 0; way < TUNNELCAP_I_OSSL_WAYS; way++)
        ck_assert_ptr_null(tunnelcap_i_crypto_openssl_way(way));
}
END_TEST

Suite *test_crypto_gcm_suite(void)
{
    const TTest *tests[] = {there_is_no_way_without_openssl};
    return test_suite("crypto_gcm", tests, TEST_COUNT(tests));
}

#endif
