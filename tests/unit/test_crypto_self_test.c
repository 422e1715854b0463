/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The self-test that judges providers. */
#include "crypto_openssl.h"
#include "support.h"

static int32_t self_test(const tunnelcap_crypto *crypto, uint32_t *failed)
{
    size_t size = tunnelcap_crypto_self_test_size(crypto);
    void *mem = test_arena(size);
    int32_t status = tunnelcap_crypto_self_test(crypto, mem, size, failed);
    test_arena_free(mem);
    return status;
}

#ifdef TUNNELCAP_WITH_OPENSSL

START_TEST(self_test_passes_in_every_way)
{
    for (uint32_t way = 0; way < TUNNELCAP_I_OSSL_WAYS; way++)
        test_ok(self_test(tunnelcap_i_crypto_openssl_way(way), NULL));
}
END_TEST

START_TEST(self_test_refuses_bad_arguments)
{
    const tunnelcap_crypto *crypto = tunnelcap_crypto_openssl();
    size_t size = tunnelcap_crypto_self_test_size(crypto);
    uint8_t *mem = test_arena(size + 64);
    ck_assert_uint_eq(tunnelcap_crypto_self_test_size(NULL), 0);
    ck_assert_status(tunnelcap_crypto_self_test(NULL, mem, size, NULL), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_crypto_self_test(crypto, NULL, size, NULL), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_crypto_self_test(crypto, mem + 1, size, NULL), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_crypto_self_test(crypto, mem, size - 1, NULL), TUNNELCAP_E_NOMEM);
    test_arena_free(mem);
}
END_TEST

/* Providers that do one thing wrong with one algorithm, and all else by libcrypto. */
static void mangle_seal(void *self, void *lane, tunnelcap_crypto_op *const *ops, uint32_t n)
{
    const tunnelcap_crypto *good = tunnelcap_crypto_openssl();
    good->seal(self, lane, ops, n);
    ops[0]->icv[0] ^= ops[0]->nonce[15]; /* only IVs of 16 bytes have this one */
}

static void accept_all(void *self, void *lane, tunnelcap_crypto_op *const *ops, uint32_t n)
{
    const tunnelcap_crypto *good = tunnelcap_crypto_openssl();
    good->unseal(self, lane, ops, n);
    ops[0]->status = TUNNELCAP_OK;
}

static void leave_plaintext(void *self, void *lane, tunnelcap_crypto_op *const *ops, uint32_t n)
{
    static uint8_t copy[256];
    const tunnelcap_crypto *good = tunnelcap_crypto_openssl();
    tunnelcap_crypto_op op = *ops[0], *again = &op;
    ck_assert_uint_eq(n, 1);
    /* Sealing a counter mode's ciphertext decrypts it. */
    op.text = copy;
    op.icv = copy + op.text_len;
    memcpy(copy, ops[0]->text, op.text_len);
    good->seal(self, lane, &again, 1);
    good->unseal(self, lane, ops, n);
    if (ops[0]->status == TUNNELCAP_E_AUTH)
        memcpy(ops[0]->text, copy, op.text_len);
}

START_TEST(self_test_finds_wrong_providers)
{
    const uint32_t gcm_8 = (uint32_t)TUNNELCAP_ENCR_AES_GCM_8 << 16;
    const uint32_t cbc_md5 = (uint32_t)TUNNELCAP_ENCR_AES_CBC << 16 | TUNNELCAP_INTEG_HMAC_MD5_96;
    uint32_t failed = 0;
    tunnelcap_crypto bad = *tunnelcap_crypto_openssl();
    bad.unseal = accept_all;
    ck_assert_status(self_test(&bad, &failed), TUNNELCAP_E_CRYPTO);
    ck_assert_uint_eq(failed, gcm_8);

    bad.unseal = leave_plaintext;
    failed = 0;
    ck_assert_status(self_test(&bad, &failed), TUNNELCAP_E_CRYPTO);
    ck_assert_uint_eq(failed, gcm_8);

    bad = *tunnelcap_crypto_openssl();
    bad.seal = mangle_seal;
    ck_assert_status(self_test(&bad, &failed), TUNNELCAP_E_CRYPTO);
    ck_assert_uint_eq(failed, cbc_md5);
}
END_TEST

/* A provider that offers nothing has nothing wrong. */
static size_t offer_nothing(void *self, const tunnelcap_transform *transform)
{
    (void)self;
    (void)transform;
    return 0;
}

START_TEST(self_test_leaves_out_what_is_not_offered)
{
    tunnelcap_crypto bad = *tunnelcap_crypto_openssl();
    bad.unseal = accept_all;
    bad.key_size = offer_nothing;
    ck_assert_status(self_test(&bad, NULL), TUNNELCAP_OK);
}
END_TEST

Suite *test_crypto_self_test_suite(void)
{
    const TTest *tests[] = {
        self_test_passes_in_every_way,
        self_test_refuses_bad_arguments,
        self_test_finds_wrong_providers,
        self_test_leaves_out_what_is_not_offered,
    };
    return test_suite("crypto_self_test", tests, TEST_COUNT(tests));
}

#else

START_TEST(self_test_needs_a_provider)
{
    ck_assert_status(self_test(tunnelcap_crypto_openssl(), NULL), TUNNELCAP_E_INVALID);
}
END_TEST

Suite *test_crypto_self_test_suite(void)
{
    const TTest *tests[] = {self_test_needs_a_provider};
    return test_suite("crypto_self_test", tests, TEST_COUNT(tests));
}

#endif
