/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Implementation notes
 *
 * HMAC by libcrypto's low-level states: a key is two states that have taken its pads, and a
 * packet starts from copies of them. That allocates nothing and saves two of four compressions.
 * Where the build lacks those states, or the program has asked libcrypto for FIPS algorithms,
 * which they bypass, EVP_MAC does it: correct, and allocating for each packet.
 *
 * CMAC (RFC 4493) and XCBC (RFC 3566) are both a CBC-MAC with something added to the last block;
 * they differ in the keys made from the key. They run on an AES-CBC context that is never started
 * anew: the block that it chains from is XORed away, as crypto_openssl_cipher.c explains.
 */
#include "crypto_openssl.h"

#ifdef TUNNELCAP_WITH_OPENSSL

#include "secure.h"
#include "wire.h"

const char *const tunnelcap_i_hash_names[TUNNELCAP_I_HASHES] = {"MD5", "SHA1", "SHA2-256",
                                                                "SHA2-384", "SHA2-512"};

/* ---- HMAC ---- */

/* The packet as separate integrity sees it: head and text, then the high half of the sequence
 * number (RFC 4303 2.2.1). */
static const uint8_t *packet_bytes(const tunnelcap_crypto_op *op, size_t *len)
{
    *len = (size_t)op->head_len + op->text_len;
    return op->text - op->head_len;
}

static size_t high_len(const tunnelcap_crypto_op *op)
{
    return op->flags & TUNNELCAP_OP_ESN ? 4 : 0;
}

enum { HIGH_AT = 4 }; /* in the aad */

#ifdef TUNNELCAP_I_HASH_STATES

typedef struct hash {
    int (*init)(tunnelcap_i_hash_state *state);
    int (*update)(tunnelcap_i_hash_state *state, const void *bytes, size_t len);
    int (*final)(tunnelcap_i_hash_state *state, uint8_t *digest);
    uint8_t block;
    uint8_t len;
} hash;

/* One set of functions for each hash, all of the same types. */
#define HASH(name, member, Name)                                                                   \
    static int name##_init(tunnelcap_i_hash_state *state)                                          \
    {                                                                                              \
        return Name##_Init(&state->member);                                                        \
    }                                                                                              \
    static int name##_update(tunnelcap_i_hash_state *state, const void *bytes, size_t len)         \
    {                                                                                              \
        return Name##_Update(&state->member, bytes, len);                                          \
    }                                                                                              \
    static int name##_final(tunnelcap_i_hash_state *state, uint8_t *digest)                        \
    {                                                                                              \
        return Name##_Final(digest, &state->member);                                               \
    }

HASH(md5, md5, MD5)
HASH(sha1, sha1, SHA1)
HASH(sha256, sha256, SHA256)
HASH(sha384, sha512, SHA384)
HASH(sha512, sha512, SHA512)

static const hash hashes[TUNNELCAP_I_HASHES] = {
    {md5_init, md5_update, md5_final, 64, 16},
    {sha1_init, sha1_update, sha1_final, 64, 20},
    {sha256_init, sha256_update, sha256_final, 64, 32},
    {sha384_init, sha384_update, sha384_final, 128, 48},
    {sha512_init, sha512_update, sha512_final, 128, 64},
};

/* A state that has taken the key, XORed with one byte all over the block (RFC 2104 section 2).
 * Keys are no longer than the block: RFC 2403, 2404 and 4868 fix their lengths. */
static int take_pad(tunnelcap_i_hash_state *state, const hash *h, const tunnelcap_i_ossl_key *key,
                    uint8_t byte)
{
    uint8_t pad[128];
    int ok;

    memset(pad, byte, sizeof(pad));
    for (uint32_t i = 0; i < key->integ_key_len; i++)
        pad[i] ^= key->integ_key[i];
    ok = h->init(state) && h->update(state, pad, h->block);
    tunnelcap_i_wipe(pad, sizeof(pad));
    return ok;
}

static int32_t hmac_states(tunnelcap_i_ossl_lane *lane, tunnelcap_i_ossl_slot *slot,
                           const tunnelcap_i_ossl_key *key, const tunnelcap_crypto_op *op,
                           uint8_t *out)
{
    const hash *h = &hashes[key->hash];
    size_t len;
    const uint8_t *bytes = packet_bytes(op, &len);
    int ok;

    (void)slot;
    lane->hash = key->mac_state.hmac.inner;
    ok = h->update(&lane->hash, bytes, len) &&
         h->update(&lane->hash, op->aad + HIGH_AT, high_len(op)) && h->final(&lane->hash, out);
    lane->hash = key->mac_state.hmac.outer;
    ok = ok && h->update(&lane->hash, out, h->len) && h->final(&lane->hash, out);
    return ok ? TUNNELCAP_OK : TUNNELCAP_E_CRYPTO;
}

static int32_t hmac_states_init(tunnelcap_i_ossl_key *key)
{
    const hash *h = &hashes[key->hash];

    key->mac = hmac_states;
    if (!take_pad(&key->mac_state.hmac.inner, h, key, 0x36) ||
        !take_pad(&key->mac_state.hmac.outer, h, key, 0x5c))
        return TUNNELCAP_E_CRYPTO;
    return TUNNELCAP_OK;
}

#endif

static int32_t hmac_evp(tunnelcap_i_ossl_lane *lane, tunnelcap_i_ossl_slot *slot,
                        const tunnelcap_i_ossl_key *key, const tunnelcap_crypto_op *op,
                        uint8_t *out)
{
    EVP_MAC_CTX *ctx = lane->hmac[key->hash];
    size_t len;
    const uint8_t *bytes = packet_bytes(op, &len);
    int ok = ctx != NULL && EVP_MAC_init(ctx, key->integ_key, key->integ_key_len, NULL) &&
             EVP_MAC_update(ctx, bytes, len) &&
             EVP_MAC_update(ctx, op->aad + HIGH_AT, high_len(op)) &&
             EVP_MAC_final(ctx, out, &len, TUNNELCAP_I_DIGEST_MAX);

    (void)slot;
    return ok ? TUNNELCAP_OK : TUNNELCAP_E_CRYPTO;
}

static int32_t hmac_init(tunnelcap_i_ossl_key *key, uint8_t hash_id, uint32_t way)
{
    key->hash = hash_id;
    key->mac = hmac_evp;
#ifdef TUNNELCAP_I_HASH_STATES
    if (way < TUNNELCAP_I_OSSL_PORTABLE && !EVP_default_properties_is_fips_enabled(NULL))
        return hmac_states_init(key);
#else
    (void)way;
#endif
    return TUNNELCAP_OK;
}

/* ---- CMAC and XCBC ---- */

static void xor_block(uint8_t *to, const uint8_t *from)
{
    for (uint32_t i = 0; i < TUNNELCAP_I_BLOCK; i++)
        to[i] ^= from[i];
}

/* Complete the last n bytes of a message: high half of the sequence number, padding, final key.
 * Returns how many bytes they are now. */
static uint32_t end_message(const tunnelcap_i_ossl_key *key, const tunnelcap_crypto_op *op,
                            uint8_t *bytes, uint32_t n)
{
    const uint8_t *mask = key->mac_state.cbc.full;

    memcpy(bytes + n, op->aad + HIGH_AT, high_len(op));
    n += (uint32_t)high_len(op);
    if (n == 0 || n % TUNNELCAP_I_BLOCK != 0) {
        mask = key->mac_state.cbc.partial;
        bytes[n++] = 0x80;
        while (n % TUNNELCAP_I_BLOCK != 0)
            bytes[n++] = 0;
    }
    xor_block(bytes + n - TUNNELCAP_I_BLOCK, mask);
    return n;
}

static int32_t cbc_mac(tunnelcap_i_ossl_lane *lane, tunnelcap_i_ossl_slot *slot,
                       const tunnelcap_i_ossl_key *key, const tunnelcap_crypto_op *op, uint8_t *out)
{
    enum { PART = 2048 };
    uint8_t *scratch = lane->scratch;
    size_t left;
    const uint8_t *bytes = packet_bytes(op, &left);
    uint32_t first = 1;

    do {
        uint32_t n = left < PART ? (uint32_t)left : PART;
        int done;

        memcpy(scratch, bytes, n);
        bytes += n;
        left -= n;
        if (left == 0)
            n = end_message(key, op, scratch, n);
        if (first)
            xor_block(scratch, slot->mac_chain);
        first = 0;
        if (!EVP_EncryptUpdate(slot->mac, scratch, &done, scratch, (int)n))
            return TUNNELCAP_E_CRYPTO;
        memcpy(slot->mac_chain, scratch + n - TUNNELCAP_I_BLOCK, TUNNELCAP_I_BLOCK);
    } while (left > 0);
    memcpy(out, slot->mac_chain, TUNNELCAP_I_BLOCK);
    return TUNNELCAP_OK;
}

/* Encrypt single blocks, each for itself. */
static int encrypt_blocks(const EVP_CIPHER *cipher, const uint8_t *key, uint8_t *blocks,
                          uint32_t count)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int ok = ctx != NULL, n;

    for (uint32_t i = 0; ok && i < count; i++) {
        uint8_t *block = blocks + i * TUNNELCAP_I_BLOCK;
        ok = tunnelcap_i_ossl_cbc_bind(ctx, cipher, key, TUNNELCAP_I_SEAL) == TUNNELCAP_OK &&
             EVP_EncryptUpdate(ctx, block, &n, block, TUNNELCAP_I_BLOCK);
    }
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

/* Multiply by x in GF(2^128), the most significant bit first (RFC 4493 2.3). */
static void twice(uint8_t *to, const uint8_t *from)
{
    uint8_t carry = (uint8_t)(from[0] >> 7);

    for (uint32_t i = 0; i < TUNNELCAP_I_BLOCK - 1; i++)
        to[i] = (uint8_t)(from[i] << 1 | from[i + 1] >> 7);
    to[TUNNELCAP_I_BLOCK - 1] = (uint8_t)(from[TUNNELCAP_I_BLOCK - 1] << 1 ^ 0x87 * carry);
}

static int32_t cmac_init(tunnelcap_i_ossl_key *key)
{
    uint8_t block[TUNNELCAP_I_BLOCK] = {0};

    if (!encrypt_blocks(key->mac_cipher, key->integ_key, block, 1))
        return TUNNELCAP_E_CRYPTO;
    twice(key->mac_state.cbc.full, block);
    twice(key->mac_state.cbc.partial, key->mac_state.cbc.full);
    tunnelcap_i_wipe(block, sizeof(block));
    return TUNNELCAP_OK;
}

static int32_t xcbc_init(tunnelcap_i_ossl_key *key)
{
    uint8_t blocks[3 * TUNNELCAP_I_BLOCK];

    for (uint32_t i = 0; i < 3; i++)
        memset(blocks + i * TUNNELCAP_I_BLOCK, (int)i + 1, TUNNELCAP_I_BLOCK);
    if (!encrypt_blocks(key->mac_cipher, key->integ_key, blocks, 3))
        return TUNNELCAP_E_CRYPTO;
    memcpy(key->integ_key, blocks, TUNNELCAP_I_BLOCK);
    memcpy(key->mac_state.cbc.full, blocks + TUNNELCAP_I_BLOCK, TUNNELCAP_I_BLOCK);
    memcpy(key->mac_state.cbc.partial, blocks + 2 * TUNNELCAP_I_BLOCK, TUNNELCAP_I_BLOCK);
    tunnelcap_i_wipe(blocks, sizeof(blocks));
    return TUNNELCAP_OK;
}

static int32_t cbc_mac_init(tunnelcap_i_ossl_key *key, uint16_t integ)
{
    key->mac = cbc_mac;
    key->mac_cipher = EVP_CIPHER_fetch(NULL, "AES-128-CBC", NULL);
    if (key->mac_cipher == NULL)
        return TUNNELCAP_E_UNSUPPORTED;
    return integ == TUNNELCAP_INTEG_AES_CMAC_96 ? cmac_init(key) : xcbc_init(key);
}

/* ---- choice ---- */

int32_t tunnelcap_i_ossl_mac_init(tunnelcap_i_ossl_key *key, uint16_t integ, uint32_t way)
{
    switch (integ) {
    case TUNNELCAP_INTEG_NONE:
        return TUNNELCAP_OK;
    case TUNNELCAP_INTEG_HMAC_MD5_96:
        return hmac_init(key, TUNNELCAP_I_HASH_MD5, way);
    case TUNNELCAP_INTEG_HMAC_SHA1_96:
        return hmac_init(key, TUNNELCAP_I_HASH_SHA1, way);
    case TUNNELCAP_INTEG_HMAC_SHA2_256_128:
        return hmac_init(key, TUNNELCAP_I_HASH_SHA256, way);
    case TUNNELCAP_INTEG_HMAC_SHA2_384_192:
        return hmac_init(key, TUNNELCAP_I_HASH_SHA384, way);
    case TUNNELCAP_INTEG_HMAC_SHA2_512_256:
        return hmac_init(key, TUNNELCAP_I_HASH_SHA512, way);
    case TUNNELCAP_INTEG_AES_CMAC_96:
    case TUNNELCAP_INTEG_AES_XCBC_96:
        return cbc_mac_init(key, integ);
    default:
        return TUNNELCAP_E_UNSUPPORTED;
    }
}

int32_t tunnelcap_i_ossl_mac_bind(tunnelcap_i_ossl_slot *slot, const tunnelcap_i_ossl_key *key)
{
    memset(slot->mac_chain, 0, sizeof(slot->mac_chain));
    if (key->mac_cipher == NULL)
        return TUNNELCAP_OK;
    return tunnelcap_i_ossl_cbc_bind(slot->mac, key->mac_cipher, key->integ_key, TUNNELCAP_I_SEAL);
}

#endif
