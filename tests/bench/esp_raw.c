/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * AES-GCM by direct calls, without anything around. Each way that is not built is NULL.
 */
#include "bench.h"
#include "esp.h"

#include <stdlib.h>
#ifdef BENCH_WITH_OPENSSL
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#endif
#ifdef BENCH_WITH_IPSECMB
#define NO_COMPAT_IMB_API_053
#include <intel-ipsec-mb.h>
#endif

enum { TAG = 16, AAD = 8, IV = 12 };

struct raw {
    void (*run)(struct raw *raw, struct raw_packet *packets, uint32_t count);
    void (*end)(struct raw *raw);
    bool seal;
#ifdef BENCH_WITH_OPENSSL
    EVP_CIPHER *cipher;
    EVP_CIPHER_CTX *ctx;
#endif
#ifdef BENCH_WITH_IPSECMB
    IMB_MGR *manager;
    aes_gcm_enc_dec_t call;
    struct gcm_key_data *key;
#endif
};

void raw_run(struct raw *raw, struct raw_packet *packets, uint32_t count)
{
    raw->run(raw, packets, count);
}

void raw_free(struct raw *raw)
{
    if (raw == NULL)
        return;
    raw->end(raw);
    free(raw);
}

#if defined(BENCH_WITH_OPENSSL) || defined(BENCH_WITH_IPSECMB)
static struct raw *raw_new(bool seal)
{
    struct raw *raw = calloc(1, sizeof(*raw));

    if (raw == NULL)
        bench_fail("no memory for a key");
    raw->seal = seal;
    return raw;
}
#endif

/* ---- libcrypto ---- */

#ifdef BENCH_WITH_OPENSSL
static void end_evp(struct raw *raw)
{
    EVP_CIPHER_CTX_free(raw->ctx);
    EVP_CIPHER_free(raw->cipher);
}

static struct raw *evp_new(const uint8_t *key, uint32_t key_len, bool seal)
{
    static const char *const names[] = {"AES-128-GCM", "AES-192-GCM", "AES-256-GCM"};
    static const uint8_t iv[IV];
    struct raw *raw = raw_new(seal);

    raw->cipher = EVP_CIPHER_fetch(NULL, names[key_len / 8 - 2], NULL);
    raw->ctx = EVP_CIPHER_CTX_new();
    raw->end = end_evp;
    if (raw->cipher == NULL || raw->ctx == NULL ||
        !EVP_CipherInit_ex2(raw->ctx, raw->cipher, key, iv, seal, NULL))
        bench_fail("libcrypto refuses a key");
    return raw;
}

static void run_textbook(struct raw *raw, struct raw_packet *p, uint32_t count)
{
    EVP_CIPHER_CTX *ctx = raw->ctx;
    int n, ok = 1;

    for (uint32_t i = 0; i < count; i++, p++) {
        ok &= EVP_CipherInit_ex(ctx, NULL, NULL, NULL, p->iv, raw->seal);
        ok &= EVP_CipherUpdate(ctx, NULL, &n, p->aad, AAD);
        ok &= EVP_CipherUpdate(ctx, p->text, &n, p->text, (int)p->text_len);
        if (!raw->seal)
            ok &= EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, p->icv);
        ok &= EVP_CipherFinal_ex(ctx, p->text, &n) > 0;
        if (raw->seal)
            ok &= EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, p->icv);
    }
    if (!ok)
        bench_fail("libcrypto fails");
}

struct raw *raw_evp_textbook(const uint8_t *key, uint32_t key_len, const uint8_t *salt, bool seal)
{
    struct raw *raw = evp_new(key, key_len, seal);

    (void)salt;
    raw->run = run_textbook;
    return raw;
}

/* The tag of this packet and the IV of the next in one call. */
static void run_lean_seal(struct raw *raw, struct raw_packet *p, uint32_t count)
{
    uint8_t iv[IV];
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, NULL, TAG),
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TLS1_GET_IV_GEN, iv, IV),
        OSSL_PARAM_construct_end()};
    int n, ok = 1;

    for (uint32_t i = 0; i < count; i++, p++) {
        ok &= EVP_EncryptUpdate(raw->ctx, NULL, &n, p->aad, AAD);
        ok &= EVP_EncryptUpdate(raw->ctx, p->text, &n, p->text, (int)p->text_len);
        ok &= EVP_EncryptFinal_ex(raw->ctx, p->icv, &n);
        params[0].data = p->icv;
        ok &= EVP_CIPHER_CTX_get_params(raw->ctx, params);
    }
    if (!ok)
        bench_fail("libcrypto fails");
}

/* IV and tag in one call. */
static void run_lean_open(struct raw *raw, struct raw_packet *p, uint32_t count)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, NULL, TAG),
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TLS1_SET_IV_INV, NULL, 8),
        OSSL_PARAM_construct_end()};
    uint8_t none[TAG];
    int n, ok = 1;

    for (uint32_t i = 0; i < count; i++, p++) {
        params[0].data = p->icv;
        params[1].data = p->iv + 4;
        ok &= EVP_CIPHER_CTX_set_params(raw->ctx, params);
        ok &= EVP_DecryptUpdate(raw->ctx, NULL, &n, p->aad, AAD);
        ok &= EVP_DecryptUpdate(raw->ctx, p->text, &n, p->text, (int)p->text_len);
        ok &= EVP_DecryptFinal_ex(raw->ctx, none, &n) > 0;
    }
    if (!ok)
        bench_fail("libcrypto fails");
}

struct raw *raw_evp_lean(const uint8_t *key, uint32_t key_len, const uint8_t *salt, bool seal)
{
    struct raw *raw = evp_new(key, key_len, seal);
    uint8_t iv[IV] = {0};
    OSSL_PARAM first[] = {
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TLS1_GET_IV_GEN, iv, IV),
        OSSL_PARAM_construct_end()};

    memcpy(iv, salt, 4);
    raw->run = seal ? run_lean_seal : run_lean_open;
    if (!EVP_CIPHER_CTX_ctrl(raw->ctx, EVP_CTRL_AEAD_SET_IV_FIXED, -1, iv) ||
        (seal && !EVP_CIPHER_CTX_get_params(raw->ctx, first)))
        bench_fail("libcrypto lacks the lean pattern");
    return raw;
}
#else
struct raw *raw_evp_textbook(const uint8_t *key, uint32_t key_len, const uint8_t *salt, bool seal)
{
    (void)key, (void)key_len, (void)salt, (void)seal;
    return NULL;
}

struct raw *raw_evp_lean(const uint8_t *key, uint32_t key_len, const uint8_t *salt, bool seal)
{
    return raw_evp_textbook(key, key_len, salt, seal);
}
#endif

/* ---- ipsec-mb ---- */

#ifdef BENCH_WITH_IPSECMB
static void end_ipsecmb(struct raw *raw)
{
    free_mb_mgr(raw->manager);
    free(raw->key);
}

static void run_ipsecmb(struct raw *raw, struct raw_packet *p, uint32_t count)
{
    struct gcm_context_data ctx;
    uint8_t tag[TAG];

    for (uint32_t i = 0; i < count; i++, p++)
        raw->call(raw->key, &ctx, p->text, p->text, p->text_len, p->iv, p->aad, AAD,
                  raw->seal ? p->icv : tag, TAG);
}

struct raw *raw_ipsecmb(const uint8_t *key, uint32_t key_len, const uint8_t *salt, bool seal)
{
    struct raw *raw = raw_new(seal);
    const IMB_MGR *m = raw->manager = alloc_mb_mgr(0);

    (void)salt;
    if (m == NULL || posix_memalign((void **)&raw->key, 64, sizeof(*raw->key)) != 0)
        bench_fail("no memory for a key");
    init_mb_mgr_auto(raw->manager, NULL);
    (key_len == 16 ? m->gcm128_pre : key_len == 24 ? m->gcm192_pre : m->gcm256_pre)(key, raw->key);
    if (seal)
        raw->call = key_len == 16 ? m->gcm128_enc : key_len == 24 ? m->gcm192_enc : m->gcm256_enc;
    else
        raw->call = key_len == 16 ? m->gcm128_dec : key_len == 24 ? m->gcm192_dec : m->gcm256_dec;
    raw->run = run_ipsecmb;
    raw->end = end_ipsecmb;
    return raw;
}
#else
struct raw *raw_ipsecmb(const uint8_t *key, uint32_t key_len, const uint8_t *salt, bool seal)
{
    (void)key, (void)key_len, (void)salt, (void)seal;
    return NULL;
}
#endif
