/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "crypto_openssl.h"

#ifndef TUNNELCAP_WITH_OPENSSL

const tunnelcap_crypto *tunnelcap_crypto_openssl(void)
{
    return NULL;
}

#else

#include <openssl/err.h>

#include "atomic.h"
#include "secure.h"
#include "transform.h"

/* libcrypto's name of a cipher, by algorithm and bytes of key. */
typedef struct cipher_name {
    uint8_t encr;
    uint8_t key_len;
    uint8_t kind;
    uint8_t block;
    uint8_t nonce_len;
    const char *name;
} cipher_name;

#define AES(encr, kind, block, nonce_len, mode)                                                    \
    {encr, 16, kind, block, nonce_len, "AES-128-" mode},                                           \
        {encr, 24, kind, block, nonce_len, "AES-192-" mode},                                       \
    {                                                                                              \
        encr, 32, kind, block, nonce_len, "AES-256-" mode                                          \
    }
#define GCM(encr) AES(encr, TUNNELCAP_I_CIPHER_GCM, 1, 12, "GCM")
#define CCM(encr) AES(encr, TUNNELCAP_I_CIPHER_CCM, 1, 11, "CCM")
#define CHACHA(encr)                                                                               \
    {                                                                                              \
        encr, 32, TUNNELCAP_I_CIPHER_CHACHA, 1, 12, "ChaCha20-Poly1305"                            \
    }

static const cipher_name cipher_names[] = {
    {TUNNELCAP_ENCR_NULL, 0, TUNNELCAP_I_CIPHER_NONE, 1, 0, NULL},
    {TUNNELCAP_ENCR_3DES, 24, TUNNELCAP_I_CIPHER_CBC, 8, 8, "DES-EDE3-CBC"},
    AES(TUNNELCAP_ENCR_AES_CBC, TUNNELCAP_I_CIPHER_CBC, 16, 16, "CBC"),
    AES(TUNNELCAP_ENCR_AES_CTR, TUNNELCAP_I_CIPHER_CTR, 1, 16, "CTR"),
    AES(TUNNELCAP_ENCR_AES_GMAC, TUNNELCAP_I_CIPHER_GMAC, 1, 12, "GCM"),
    GCM(TUNNELCAP_ENCR_AES_GCM_8),
    GCM(TUNNELCAP_ENCR_AES_GCM_12),
    GCM(TUNNELCAP_ENCR_AES_GCM_16),
    GCM(TUNNELCAP_ENCR_AES_GCM_16_IIV),
    CCM(TUNNELCAP_ENCR_AES_CCM_8),
    CCM(TUNNELCAP_ENCR_AES_CCM_12),
    CCM(TUNNELCAP_ENCR_AES_CCM_16),
    CCM(TUNNELCAP_ENCR_AES_CCM_8_IIV),
    CHACHA(TUNNELCAP_ENCR_CHACHA20_POLY1305),
    CHACHA(TUNNELCAP_ENCR_CHACHA20_POLY1305_IIV),
};

static const cipher_name *find_cipher(const tunnelcap_transform *transform)
{
    for (size_t i = 0; i < sizeof(cipher_names) / sizeof(cipher_names[0]); i++) {
        if (cipher_names[i].encr == transform->encr &&
            cipher_names[i].key_len == transform->encr_key_len)
            return &cipher_names[i];
    }
    return NULL;
}

/* Slots know keys by number: an address may be used again by another key. */
static uint64_t next_generation(void)
{
    static tunnelcap_i_atomic64 generation;

    return TUNNELCAP_I_ADD(generation, 1) + 1;
}

static int32_t init_cipher(tunnelcap_i_ossl_key *key, const tunnelcap_transform *transform)
{
    const cipher_name *name = find_cipher(transform);

    if (name == NULL)
        return TUNNELCAP_E_UNSUPPORTED;
    key->kind = name->kind;
    key->block = name->block;
    key->nonce_len = name->nonce_len;
    key->encr_key_len = name->key_len;
    memcpy(key->encr_key, transform->encr_key, sizeof(key->encr_key));
    if (name->name == NULL)
        return TUNNELCAP_OK;
    key->cipher = EVP_CIPHER_fetch(NULL, name->name, NULL);
    return key->cipher != NULL ? TUNNELCAP_OK : TUNNELCAP_E_UNSUPPORTED;
}

static void key_fini(void *self, void *mem)
{
    tunnelcap_i_ossl_key *key = mem;

    (void)self;
    EVP_CIPHER_free(key->cipher);
    EVP_CIPHER_free(key->mac_cipher);
    tunnelcap_i_wipe(key, sizeof(*key));
}

static int32_t key_init(void *self, void *mem, const tunnelcap_transform *transform)
{
    tunnelcap_i_ossl_key *key = mem;
    tunnelcap_transform_info info;
    int32_t status = tunnelcap_i_transform_facts(transform, &info);

    if (status != TUNNELCAP_OK)
        return status;
    memset(key, 0, sizeof(*key));
    key->generation = next_generation();
    key->icv_len = info.icv_len;
    key->integ_key_len = (uint8_t)transform->integ_key_len;
    memcpy(key->integ_key, transform->integ_key, sizeof(key->integ_key));
    ERR_set_mark();
    status = init_cipher(key, transform);
    if (status == TUNNELCAP_OK)
        status = tunnelcap_i_ossl_mac_init(key, transform->integ, self != NULL);
    ERR_pop_to_mark();
    if (status == TUNNELCAP_OK)
        tunnelcap_i_ossl_choose(key);
    else
        key_fini(self, key);
    return status;
}

/* What libcrypto offers depends on its build and configuration, so it is asked. */
static size_t key_size(void *self, const tunnelcap_transform *transform)
{
    tunnelcap_i_ossl_key key;
    int32_t status = key_init(self, &key, transform);

    if (status == TUNNELCAP_OK)
        key_fini(self, &key);
    return status == TUNNELCAP_E_UNSUPPORTED ? 0 : sizeof(key);
}

const tunnelcap_crypto *tunnelcap_crypto_openssl(void)
{
    static const tunnelcap_crypto openssl = {
        .size = sizeof(tunnelcap_crypto),
        .flags = TUNNELCAP_CRYPTO_HEAP,
        .name = "openssl",
        .key_size = key_size,
        .key_init = key_init,
        .key_fini = key_fini,
        .lane_size = tunnelcap_i_ossl_lane_size,
        .lane_init = tunnelcap_i_ossl_lane_init,
        .lane_forget = tunnelcap_i_ossl_lane_forget,
        .lane_fini = tunnelcap_i_ossl_lane_fini,
        .seal = tunnelcap_i_ossl_seal,
        .unseal = tunnelcap_i_ossl_unseal,
    };

    return &openssl;
}

#endif
