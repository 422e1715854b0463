/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "crypto_openssl.h"

#ifndef TUNNELCAP_WITH_OPENSSL

const tunnelcap_crypto *tunnelcap_crypto_openssl(void)
{
    return NULL;
}

const tunnelcap_crypto *tunnelcap_i_crypto_openssl_way(uint32_t way)
{
    (void)way;
    return NULL;
}

#else

#include <openssl/err.h>
#include <string.h>

#include "atomic.h"
#include "secure.h"
#include "transform.h"

/* An encryption algorithm, and libcrypto's names of it with keys of 16, 24 and 32 bytes. */
typedef struct cipher_facts {
    uint8_t encr;
    uint8_t kind;
    uint8_t block;
    uint8_t nonce_len;
    const char *names[3];
} cipher_facts;

#define AES(mode)                                                                                  \
    {                                                                                              \
        "AES-128-" mode, "AES-192-" mode, "AES-256-" mode                                          \
    }

static const cipher_facts ciphers[] = {
    {TUNNELCAP_ENCR_NULL, TUNNELCAP_I_CIPHER_NONE, 1, 0, {NULL, NULL, NULL}},
    {TUNNELCAP_ENCR_3DES, TUNNELCAP_I_CIPHER_CBC, 8, 8, {NULL, "DES-EDE3-CBC", NULL}},
    {TUNNELCAP_ENCR_AES_CBC, TUNNELCAP_I_CIPHER_CBC, 16, 16, AES("CBC")},
    {TUNNELCAP_ENCR_AES_CTR, TUNNELCAP_I_CIPHER_CTR, 1, 16, AES("CTR")},
    {TUNNELCAP_ENCR_AES_GMAC, TUNNELCAP_I_CIPHER_GMAC, 1, 12, AES("GCM")},
    {TUNNELCAP_ENCR_AES_GCM_8, TUNNELCAP_I_CIPHER_GCM, 1, 12, AES("GCM")},
    {TUNNELCAP_ENCR_AES_GCM_12, TUNNELCAP_I_CIPHER_GCM, 1, 12, AES("GCM")},
    {TUNNELCAP_ENCR_AES_GCM_16, TUNNELCAP_I_CIPHER_GCM, 1, 12, AES("GCM")},
    {TUNNELCAP_ENCR_AES_GCM_16_IIV, TUNNELCAP_I_CIPHER_GCM, 1, 12, AES("GCM")},
    {TUNNELCAP_ENCR_AES_CCM_8, TUNNELCAP_I_CIPHER_CCM, 1, 11, AES("CCM")},
    {TUNNELCAP_ENCR_AES_CCM_12, TUNNELCAP_I_CIPHER_CCM, 1, 11, AES("CCM")},
    {TUNNELCAP_ENCR_AES_CCM_16, TUNNELCAP_I_CIPHER_CCM, 1, 11, AES("CCM")},
    {TUNNELCAP_ENCR_AES_CCM_8_IIV, TUNNELCAP_I_CIPHER_CCM, 1, 11, AES("CCM")},
    {TUNNELCAP_ENCR_CHACHA20_POLY1305,
     TUNNELCAP_I_CIPHER_CHACHA,
     1,
     12,
     {NULL, NULL, "ChaCha20-Poly1305"}},
    {TUNNELCAP_ENCR_CHACHA20_POLY1305_IIV,
     TUNNELCAP_I_CIPHER_CHACHA,
     1,
     12,
     {NULL, NULL, "ChaCha20-Poly1305"}},
};

static const cipher_facts *find_cipher(uint16_t encr)
{
    for (size_t i = 0; i < sizeof(ciphers) / sizeof(ciphers[0]); i++) {
        if (ciphers[i].encr == encr)
            return &ciphers[i];
    }
    return NULL;
}

uint32_t tunnelcap_i_ossl_way(const void *self)
{
    return *(const uint8_t *)self;
}

/* Slots know keys by number: an address may be used again by another key. */
static uint64_t next_generation(void)
{
    static tunnelcap_i_atomic64 generation;

    return TUNNELCAP_I_ADD(generation, 1) + 1;
}

static int32_t init_cipher(tunnelcap_i_ossl_key *key, const tunnelcap_transform *transform,
                           uint32_t way)
{
    const cipher_facts *facts = find_cipher(transform->encr);

    if (facts == NULL)
        return TUNNELCAP_E_UNSUPPORTED;
    key->kind = facts->kind;
    key->block = facts->block;
    key->nonce_len = facts->nonce_len;
    if (facts->kind == TUNNELCAP_I_CIPHER_NONE)
        return TUNNELCAP_OK;
    memcpy(key->encr_key, transform->encr_key, sizeof(key->encr_key));
    key->cipher = EVP_CIPHER_fetch(NULL, facts->names[transform->encr_key_len / 8 - 2], NULL);
    if (key->cipher == NULL)
        return TUNNELCAP_E_UNSUPPORTED;
    if (facts->kind == TUNNELCAP_I_CIPHER_GCM || facts->kind == TUNNELCAP_I_CIPHER_GMAC)
        tunnelcap_i_ossl_gcm_init(key, transform->encr_key_len, way);
    return TUNNELCAP_OK;
}

static void key_fini(void *self, void *mem)
{
    tunnelcap_i_ossl_key *key = mem;

    (void)self;
    EVP_CIPHER_free(key->cipher);
    EVP_CIPHER_free(key->mac_cipher);
    EVP_CIPHER_free(key->block_cipher);
    tunnelcap_i_wipe(key, sizeof(*key));
}

static int32_t key_init(void *self, void *mem, const tunnelcap_transform *transform)
{
    tunnelcap_i_ossl_key *key = mem;
    uint32_t way = tunnelcap_i_ossl_way(self);
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
    status = init_cipher(key, transform, way);
    if (status == TUNNELCAP_OK)
        status = tunnelcap_i_ossl_mac_init(key, transform->integ, way);
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

/* All are the same functions; `self` tells the way. */
#define PROVIDER(mark)                                                                             \
    {                                                                                              \
        .size = sizeof(tunnelcap_crypto), .flags = TUNNELCAP_CRYPTO_HEAP, .name = "openssl",       \
        .self = (mark), .key_size = key_size, .key_init = key_init, .key_fini = key_fini,          \
        .lane_size = tunnelcap_i_ossl_lane_size, .lane_init = tunnelcap_i_ossl_lane_init,          \
        .lane_forget = tunnelcap_i_ossl_lane_forget, .lane_fini = tunnelcap_i_ossl_lane_fini,      \
        .seal = tunnelcap_i_ossl_seal, .unseal = tunnelcap_i_ossl_unseal                           \
    }

const tunnelcap_crypto *tunnelcap_i_crypto_openssl_way(uint32_t way)
{
    static uint8_t ways[] = {TUNNELCAP_I_OSSL_WIDE, TUNNELCAP_I_OSSL_NARROW, TUNNELCAP_I_OSSL_LEAN,
                             TUNNELCAP_I_OSSL_PORTABLE};
    static const tunnelcap_crypto providers[TUNNELCAP_I_OSSL_WAYS] = {
        PROVIDER(&ways[0]), PROVIDER(&ways[1]), PROVIDER(&ways[2]), PROVIDER(&ways[3])};

    return &providers[way];
}

const tunnelcap_crypto *tunnelcap_crypto_openssl(void)
{
    return tunnelcap_i_crypto_openssl_way(TUNNELCAP_I_OSSL_WIDE);
}

#endif
