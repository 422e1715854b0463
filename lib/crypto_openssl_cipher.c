/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Implementation notes
 *
 * Most of what a small packet costs with EVP is calls. GCM has a way of its own around them
 * (crypto_openssl_gcm.c); where that cannot be gone, and for ChaCha20-Poly1305, two short patterns
 * save some:
 *
 * - GCM sealing: libcrypto keeps a counter for TLS records. One EVP_CIPHER_CTX_get_params() reads
 *   the tag of a packet and loads the nonce of the next, and tells which nonce it has loaded.
 *   A nonce elsewhere is set through the same interface by one EVP_CIPHER_CTX_set_params().
 * - Opening: one EVP_CIPHER_CTX_set_params() sets the expected tag and the nonce.
 *
 * libcrypto does not promise that. So each lane tries the patterns against the documented ones
 * when it is made (crypto_openssl_trial.c), and uses the documented ones, an initialisation
 * and a tag call for each packet, where they do not agree.
 *
 * No pattern chooses a nonce. A packet is sealed only under the nonce of its operation: either it
 * has just been set, or libcrypto has said that this very nonce is loaded and nothing was sealed
 * since. A nonce loaded ahead that no packet asks for is dropped without having been used. After
 * any failure the slot is given up and its context keyed again before its next use.
 *
 * CBC needs no call to set an IV: a context that is never started anew goes on chaining from its
 * last block of ciphertext, which is at hand. XOR of that block and of the IV wanted onto the
 * first block has the same effect.
 */
#include "crypto_openssl.h"

#ifdef TUNNELCAP_WITH_OPENSSL

#include <openssl/err.h>

#include "secure.h"
#include "wire.h"

/* A parameter that libcrypto reads or, in spite of const here, writes. */
#define OCTETS(name, bytes, len) OSSL_PARAM_octet_string(name, (void *)(uintptr_t)(bytes), len)

/* EVP_EncryptUpdate() or EVP_DecryptUpdate(): EVP_CipherUpdate() would be one more call. */
typedef int update_call(EVP_CIPHER_CTX *ctx, unsigned char *out, int *outl, const unsigned char *in,
                        int inl);

static int start(const tunnelcap_i_ossl_slot *slot, int direction, const uint8_t *nonce,
                 const OSSL_PARAM *params)
{
    return EVP_CipherInit_ex2(slot->cipher, NULL, NULL, nonce, direction, params);
}

/* ---- combined algorithms ---- */

static int aad_len(const tunnelcap_crypto_op *op)
{
    return op->flags & TUNNELCAP_OP_ESN ? 12 : 8;
}

/* What is authenticated, and what is encrypted. GMAC only authenticates: the IV, which is the
 * last of the head, and the text as well (RFC 4543 3.3). */
static inline int take(const tunnelcap_i_ossl_slot *slot, const tunnelcap_i_ossl_key *key,
                       const tunnelcap_crypto_op *op, update_call *update)
{
    enum { GMAC_IV = 8 };
    int n;

    if (!update(slot->cipher, NULL, &n, op->aad, aad_len(op)))
        return 0;
    if (key->kind == TUNNELCAP_I_CIPHER_GMAC)
        return update(slot->cipher, NULL, &n, op->text - GMAC_IV, (int)op->text_len + GMAC_IV);
    return update(slot->cipher, op->text, &n, op->text, (int)op->text_len);
}

static int seal_text(const tunnelcap_i_ossl_slot *slot, const tunnelcap_i_ossl_key *key,
                     const tunnelcap_crypto_op *op)
{
    uint8_t nothing[TUNNELCAP_I_BLOCK];
    int n;

    return take(slot, key, op, EVP_EncryptUpdate) && EVP_EncryptFinal_ex(slot->cipher, nothing, &n);
}

static int get_tag(const tunnelcap_i_ossl_slot *slot, const tunnelcap_i_ossl_key *key,
                   const tunnelcap_crypto_op *op)
{
    OSSL_PARAM params[] = {OCTETS(OSSL_CIPHER_PARAM_AEAD_TAG, op->icv, key->icv_len),
                           OSSL_PARAM_END};

    return EVP_CIPHER_CTX_get_params(slot->cipher, params);
}

static uint32_t same_nonce(const uint8_t *a, const uint8_t *b)
{
    return ((tunnelcap_i_word64(a) ^ tunnelcap_i_word64(b)) |
            (tunnelcap_i_word32(a + 8) ^ tunnelcap_i_word32(b + 8))) == 0;
}

/* Whether `nonce` is the one that libcrypto's counter gives after `last`. */
static uint32_t follows(const uint8_t *last, const uint8_t *nonce)
{
    return tunnelcap_i_word32(last) == tunnelcap_i_word32(nonce) &&
           tunnelcap_i_load64(last + 4) + 1 == tunnelcap_i_load64(nonce + 4);
}

/* Bring the nonce into a sealing context. *ahead tells whether the counter stands behind it, so
 * that the next one can be loaded along with the tag. Counting starts with the second packet in
 * sequence: where nonces jump, as with one counter for many SAs, setting each is cheaper. */
static int gcm_aim(tunnelcap_i_ossl_slot *slot, const uint8_t *nonce, uint32_t *ahead)
{
    /* A length of -1 asks for the whole nonce instead of a fixed part. */
    OSSL_PARAM set[] = {OCTETS(OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED, nonce, SIZE_MAX),
                        OSSL_PARAM_END};
    OSSL_PARAM get[] = {
        OCTETS(OSSL_CIPHER_PARAM_AEAD_TLS1_GET_IV_GEN, slot->nonce, TUNNELCAP_I_GCM_NONCE),
        OSSL_PARAM_END};

    *ahead = slot->nonce_state == TUNNELCAP_I_NONCE_USED && follows(slot->nonce, nonce);
    if (!EVP_CIPHER_CTX_set_params(slot->cipher, set))
        return 0;
    return !*ahead ||
           (EVP_CIPHER_CTX_get_params(slot->cipher, get) && same_nonce(slot->nonce, nonce));
}

static int gcm_get_tag(tunnelcap_i_ossl_slot *slot, const tunnelcap_i_ossl_key *key,
                       const tunnelcap_crypto_op *op, uint32_t ahead)
{
    OSSL_PARAM params[] = {
        OCTETS(OSSL_CIPHER_PARAM_AEAD_TAG, op->icv, key->icv_len),
        OCTETS(OSSL_CIPHER_PARAM_AEAD_TLS1_GET_IV_GEN, slot->nonce, TUNNELCAP_I_GCM_NONCE),
        OSSL_PARAM_END};

    if (ahead) {
        slot->nonce_state = TUNNELCAP_I_NONCE_LOADED;
        return EVP_CIPHER_CTX_get_params(slot->cipher, params);
    }
    memcpy(slot->nonce, op->nonce, TUNNELCAP_I_GCM_NONCE);
    slot->nonce_state = TUNNELCAP_I_NONCE_USED;
    return get_tag(slot, key, op);
}

static int32_t gcm_seal(tunnelcap_i_ossl_lane *lane, tunnelcap_i_ossl_slot *slot,
                        const tunnelcap_i_ossl_key *key, tunnelcap_crypto_op *op)
{
    uint32_t ahead =
        slot->nonce_state == TUNNELCAP_I_NONCE_LOADED && same_nonce(slot->nonce, op->nonce);
    int ok = 1;

    (void)lane;
    if (!slot->lean)
        ok = start(slot, TUNNELCAP_I_SEAL, op->nonce, NULL);
    else if (!ahead)
        ok = gcm_aim(slot, op->nonce, &ahead);
    slot->nonce_state = TUNNELCAP_I_NONCE_UNKNOWN;
    ok = ok && seal_text(slot, key, op) && gcm_get_tag(slot, key, op, ahead);
    return ok ? TUNNELCAP_OK : TUNNELCAP_E_CRYPTO;
}

static int32_t chacha_seal(tunnelcap_i_ossl_lane *lane, tunnelcap_i_ossl_slot *slot,
                           const tunnelcap_i_ossl_key *key, tunnelcap_crypto_op *op)
{
    OSSL_PARAM set[] = {
        OCTETS(OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED, op->nonce, TUNNELCAP_I_GCM_NONCE),
        OSSL_PARAM_END};
    int ok = slot->lean ? EVP_CIPHER_CTX_set_params(slot->cipher, set)
                        : start(slot, TUNNELCAP_I_SEAL, op->nonce, NULL);

    (void)lane;
    ok = ok && seal_text(slot, key, op) && get_tag(slot, key, op);
    return ok ? TUNNELCAP_OK : TUNNELCAP_E_CRYPTO;
}

/* GCM, GMAC and ChaCha20-Poly1305. */
static int32_t aead_open(tunnelcap_i_ossl_lane *lane, tunnelcap_i_ossl_slot *slot,
                         const tunnelcap_i_ossl_key *key, tunnelcap_crypto_op *op)
{
    const char *nonce_name = key->kind == TUNNELCAP_I_CIPHER_CHACHA
                                 ? OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED
                                 : OSSL_CIPHER_PARAM_AEAD_TLS1_SET_IV_INV;
    OSSL_PARAM params[] = {OCTETS(OSSL_CIPHER_PARAM_AEAD_TAG, op->icv, key->icv_len),
                           OCTETS(nonce_name, op->nonce, TUNNELCAP_I_GCM_NONCE), OSSL_PARAM_END};
    uint8_t nothing[TUNNELCAP_I_BLOCK];
    int ok, n;

    (void)lane;
    if (slot->lean) {
        ok = EVP_CIPHER_CTX_set_params(slot->cipher, params);
    } else {
        params[1].key = NULL;
        ok = start(slot, TUNNELCAP_I_OPEN, op->nonce, params);
    }
    if (!ok || !take(slot, key, op, EVP_DecryptUpdate))
        return TUNNELCAP_E_CRYPTO;
    return EVP_DecryptFinal_ex(slot->cipher, nothing, &n) ? TUNNELCAP_OK : TUNNELCAP_E_AUTH;
}

/* CCM wants to know the length first, and is final with its only update. */
static int ccm_lengths(const tunnelcap_i_ossl_slot *slot, const tunnelcap_crypto_op *op)
{
    int n;

    return EVP_CipherUpdate(slot->cipher, NULL, &n, NULL, (int)op->text_len) &&
           EVP_CipherUpdate(slot->cipher, NULL, &n, op->aad, aad_len(op));
}

static int ccm_text(const tunnelcap_i_ossl_slot *slot, const tunnelcap_crypto_op *op)
{
    int n;

    return EVP_CipherUpdate(slot->cipher, op->text, &n, op->text, (int)op->text_len);
}

static int32_t ccm_seal(tunnelcap_i_ossl_lane *lane, tunnelcap_i_ossl_slot *slot,
                        const tunnelcap_i_ossl_key *key, tunnelcap_crypto_op *op)
{
    int ok = start(slot, TUNNELCAP_I_SEAL, op->nonce, NULL) && ccm_lengths(slot, op) &&
             ccm_text(slot, op) && get_tag(slot, key, op);

    (void)lane;
    return ok ? TUNNELCAP_OK : TUNNELCAP_E_CRYPTO;
}

/* libcrypto notes a forgery as an error of the thread; it is none of the caller's business. */
static int32_t ccm_open(tunnelcap_i_ossl_lane *lane, tunnelcap_i_ossl_slot *slot,
                        const tunnelcap_i_ossl_key *key, tunnelcap_crypto_op *op)
{
    const OSSL_PARAM params[] = {OCTETS(OSSL_CIPHER_PARAM_AEAD_TAG, op->icv, key->icv_len),
                                 OSSL_PARAM_END};
    int genuine;

    (void)lane;
    if (!start(slot, TUNNELCAP_I_OPEN, op->nonce, params) || !ccm_lengths(slot, op))
        return TUNNELCAP_E_CRYPTO;
    ERR_set_mark();
    genuine = ccm_text(slot, op);
    ERR_pop_to_mark();
    return genuine ? TUNNELCAP_OK : TUNNELCAP_E_AUTH;
}

/* ---- encryption only ---- */

static int32_t null_crypt(tunnelcap_i_ossl_lane *lane, tunnelcap_i_ossl_slot *slot,
                          const tunnelcap_i_ossl_key *key, tunnelcap_crypto_op *op)
{
    (void)lane;
    (void)slot;
    (void)key;
    (void)op;
    return TUNNELCAP_OK;
}

static int32_t ctr_crypt(tunnelcap_i_ossl_lane *lane, tunnelcap_i_ossl_slot *slot,
                         const tunnelcap_i_ossl_key *key, tunnelcap_crypto_op *op)
{
    int n;

    (void)lane;
    (void)key;
    if (!start(slot, TUNNELCAP_I_SEAL, op->nonce, NULL) ||
        !EVP_CipherUpdate(slot->cipher, op->text, &n, op->text, (int)op->text_len))
        return TUNNELCAP_E_CRYPTO;
    return TUNNELCAP_OK;
}

/* Make the first block continue from `nonce` where the context continues from `chain`. */
static void cbc_graft(uint8_t *first, const uint8_t *nonce, const uint8_t *chain, size_t block)
{
    for (size_t i = 0; i < block; i++)
        first[i] ^= (uint8_t)(nonce[i] ^ chain[i]);
}

static int32_t cbc_encrypt(tunnelcap_i_ossl_lane *lane, tunnelcap_i_ossl_slot *slot,
                           const tunnelcap_i_ossl_key *key, tunnelcap_crypto_op *op)
{
    int n;

    (void)lane;
    if (op->text_len == 0)
        return TUNNELCAP_OK;
    cbc_graft(op->text, op->nonce, slot->chain, key->block);
    if (!EVP_CipherUpdate(slot->cipher, op->text, &n, op->text, (int)op->text_len))
        return TUNNELCAP_E_CRYPTO;
    memcpy(slot->chain, op->text + op->text_len - key->block, key->block);
    return TUNNELCAP_OK;
}

static int32_t cbc_decrypt(tunnelcap_i_ossl_lane *lane, tunnelcap_i_ossl_slot *slot,
                           const tunnelcap_i_ossl_key *key, tunnelcap_crypto_op *op)
{
    uint8_t last[TUNNELCAP_I_BLOCK];
    int n;

    (void)lane;
    if (op->text_len == 0)
        return TUNNELCAP_OK;
    memcpy(last, op->text + op->text_len - key->block, key->block);
    if (!EVP_CipherUpdate(slot->cipher, op->text, &n, op->text, (int)op->text_len))
        return TUNNELCAP_E_CRYPTO;
    cbc_graft(op->text, op->nonce, slot->chain, key->block);
    memcpy(slot->chain, last, key->block);
    return TUNNELCAP_OK;
}

/* ---- encryption, then a separate ICV ---- */

static int32_t separate_seal(tunnelcap_i_ossl_lane *lane, tunnelcap_i_ossl_slot *slot,
                             const tunnelcap_i_ossl_key *key, tunnelcap_crypto_op *op)
{
    uint8_t digest[TUNNELCAP_I_DIGEST_MAX];
    int32_t status = key->crypt[TUNNELCAP_I_SEAL](lane, slot, key, op);

    if (status == TUNNELCAP_OK)
        status = key->mac(lane, slot, key, op, digest);
    if (status == TUNNELCAP_OK)
        memcpy(op->icv, digest, key->icv_len);
    return status;
}

static int32_t separate_open(tunnelcap_i_ossl_lane *lane, tunnelcap_i_ossl_slot *slot,
                             const tunnelcap_i_ossl_key *key, tunnelcap_crypto_op *op)
{
    uint8_t digest[TUNNELCAP_I_DIGEST_MAX];
    int32_t status = key->mac(lane, slot, key, op, digest);

    if (status != TUNNELCAP_OK)
        return status;
    if (!tunnelcap_i_equal(digest, op->icv, key->icv_len))
        return TUNNELCAP_E_AUTH;
    return key->crypt[TUNNELCAP_I_OPEN](lane, slot, key, op);
}

void tunnelcap_i_ossl_choose(tunnelcap_i_ossl_key *key)
{
    static const struct {
        tunnelcap_i_ossl_run *open, *seal;
    } runs[] = {
        [TUNNELCAP_I_CIPHER_NONE] = {null_crypt, null_crypt},
        [TUNNELCAP_I_CIPHER_GCM] = {aead_open, gcm_seal},
        [TUNNELCAP_I_CIPHER_GMAC] = {aead_open, gcm_seal},
        [TUNNELCAP_I_CIPHER_CCM] = {ccm_open, ccm_seal},
        [TUNNELCAP_I_CIPHER_CHACHA] = {aead_open, chacha_seal},
        [TUNNELCAP_I_CIPHER_CTR] = {ctr_crypt, ctr_crypt},
        [TUNNELCAP_I_CIPHER_CBC] = {cbc_decrypt, cbc_encrypt},
    };

    key->crypt[TUNNELCAP_I_OPEN] = runs[key->kind].open;
    key->crypt[TUNNELCAP_I_SEAL] = runs[key->kind].seal;
    key->run[TUNNELCAP_I_OPEN] = key->mac != NULL ? separate_open : runs[key->kind].open;
    key->run[TUNNELCAP_I_SEAL] = key->mac != NULL ? separate_seal : runs[key->kind].seal;
}

/* ---- keying ---- */

/* Choose the cipher of a context, which allocates its state, unless it has been chosen already. */
static int choose_cipher(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *cipher, int direction)
{
    return EVP_CIPHER_CTX_get0_cipher(ctx) == cipher ||
           EVP_CipherInit_ex2(ctx, cipher, NULL, NULL, direction, NULL);
}

int32_t tunnelcap_i_ossl_cbc_bind(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *cipher, const uint8_t *key,
                                  int direction)
{
    static const uint8_t zero_iv[TUNNELCAP_I_BLOCK];

    if (!choose_cipher(ctx, cipher, direction) ||
        !EVP_CipherInit_ex2(ctx, NULL, key, zero_iv, direction, NULL) ||
        !EVP_CIPHER_CTX_set_padding(ctx, 0))
        return TUNNELCAP_E_CRYPTO;
    return TUNNELCAP_OK;
}

/* CCM's key setup depends on the lengths of nonce and ICV, so they come first. */
static int ccm_prepare(EVP_CIPHER_CTX *ctx, const tunnelcap_i_ossl_key *key)
{
    size_t nonce_len = key->nonce_len;
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_size_t(OSSL_CIPHER_PARAM_IVLEN, &nonce_len),
                                 OCTETS(OSSL_CIPHER_PARAM_AEAD_TAG, NULL, key->icv_len),
                                 OSSL_PARAM_END};

    return EVP_CIPHER_CTX_set_params(ctx, params);
}

int32_t tunnelcap_i_ossl_cipher_bind(tunnelcap_i_ossl_slot *slot, const tunnelcap_i_ossl_key *key,
                                     int direction)
{
    static const uint8_t any_nonce[TUNNELCAP_I_GCM_NONCE];
    const OSSL_PARAM counting[] = {
        OCTETS(OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED, any_nonce, SIZE_MAX), OSSL_PARAM_END};
    uint32_t gcm = key->kind == TUNNELCAP_I_CIPHER_GCM || key->kind == TUNNELCAP_I_CIPHER_GMAC;

    slot->nonce_state = TUNNELCAP_I_NONCE_UNKNOWN;
    memset(slot->chain, 0, sizeof(slot->chain));
    if (slot->bulk)
        return tunnelcap_i_ossl_gcm_bind(slot->cipher, key);
    if (key->cipher == NULL)
        return TUNNELCAP_OK;
    if (key->kind == TUNNELCAP_I_CIPHER_CBC)
        return tunnelcap_i_ossl_cbc_bind(slot->cipher, key->cipher, key->encr_key, direction);
    if (!choose_cipher(slot->cipher, key->cipher, direction) ||
        (key->kind == TUNNELCAP_I_CIPHER_CCM && !ccm_prepare(slot->cipher, key)) ||
        !EVP_CipherInit_ex2(slot->cipher, NULL, key->encr_key, NULL, direction, NULL))
        return TUNNELCAP_E_CRYPTO;
    /* Opening sets whole nonces by the TLS interface, which must be told once that it is used. */
    if (gcm && slot->lean && direction == TUNNELCAP_I_OPEN &&
        !EVP_CIPHER_CTX_set_params(slot->cipher, counting))
        return TUNNELCAP_E_CRYPTO;
    return TUNNELCAP_OK;
}

#endif
