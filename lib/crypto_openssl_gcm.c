/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Implementation notes
 *
 * With EVP's GCM a packet costs four or five calls, which is most of what a small one takes. A
 * call of AES-ECB encrypts any number of blocks. So the counter blocks of all packets of a burst
 * that have one key are written down one behind the other and encrypted by one call; what comes
 * out is XORed onto the texts, and GHASH is our own (ghash.c). AES stays libcrypto's.
 *
 *     scratch   [ J0 | keystream ..... ] [ J0 | keystream ..... ] ...
 *                 first packet             second packet
 *
 * J0, nonce || 1, masks the ICV; the text's blocks count on from 2 (SP 800-38D 7.1). The counter
 * has 32 bits and does not come round: a text is shorter than 2^31 bytes, 2^27 blocks.
 *
 * Opening verifies first: the text of a forgery is never decrypted.
 *
 * A text that is longer than the scratch is carried out by itself, in pieces. The scratch keeps a
 * burst's keystream until the next one, as contexts keep keys; lane_forget() and lane_fini() wipe
 * both.
 */
#include "crypto_openssl.h"

#ifdef TUNNELCAP_WITH_OPENSSL

#include "secure.h"
#include "wire.h"

enum { BLOCK = TUNNELCAP_I_BLOCK, SCRATCH_BLOCKS = TUNNELCAP_I_SCRATCH / TUNNELCAP_I_BLOCK };

/* ---- keystream ---- */

/* Blocks of keystream that a packet's text takes: GMAC encrypts nothing. */
static uint32_t text_blocks(const tunnelcap_i_ossl_key *key, const tunnelcap_crypto_op *op)
{
    return key->kind == TUNNELCAP_I_CIPHER_GMAC ? 0 : (op->text_len + BLOCK - 1) / BLOCK;
}

static void write_counters(uint8_t *at, const uint8_t *nonce, uint32_t counter, uint32_t n)
{
    uint64_t end = (uint64_t)tunnelcap_i_load32(nonce + 8) << 32;

    for (uint32_t last = counter + n; counter != last; counter++, at += BLOCK) {
        memcpy(at, nonce, 8);
        tunnelcap_i_store64(at + 8, end | counter);
    }
}

static int encrypt(const tunnelcap_i_ossl_slot *slot, uint8_t *blocks, uint32_t n)
{
    int done;

    return EVP_EncryptUpdate(slot->cipher, blocks, &done, blocks, (int)(n * BLOCK));
}

/* XOR n words of 4 bytes. */
static inline void xor_words(uint8_t *to, const uint8_t *from, uint32_t n)
{
    uint32_t words[8], keys[8];

    memcpy(words, to, n * sizeof(words[0]));
    memcpy(keys, from, n * sizeof(keys[0]));
    for (uint32_t i = 0; i < n; i++)
        words[i] ^= keys[i];
    memcpy(to, words, n * sizeof(words[0]));
}

static void add_keystream(uint8_t *text, const uint8_t *stream, size_t len)
{
    for (; len >= 32; len -= 32, text += 32, stream += 32)
        xor_words(text, stream, 8);
    for (; len >= 4; len -= 4, text += 4, stream += 4) /* ESP aligns its texts to that */
        xor_words(text, stream, 1);
    for (size_t i = 0; i < len; i++)
        text[i] ^= stream[i];
}

/* ---- ICV ---- */

/* The whole ICV of a packet whose text is encrypted. GMAC only authenticates: the IV, which is the
 * last of the head, and the text as well (RFC 4543 3.3); all of it stands one behind the other
 * but for the first block. */
static void compute_icv(const tunnelcap_i_ossl_key *key, const tunnelcap_crypto_op *op,
                        const uint8_t *mask, uint8_t *icv)
{
    enum { GMAC_IV = 8 };
    uint32_t esn = op->flags & TUNNELCAP_OP_ESN;
    const uint8_t *bytes = op->text;
    size_t len = op->text_len;
    tunnelcap_i_ghash_block first, last;

    first.first = tunnelcap_i_load64(op->aad);
    first.second = esn ? (uint64_t)tunnelcap_i_load32(op->aad + 8) << 32 : 0;
    if (key->kind == TUNNELCAP_I_CIPHER_GMAC) {
        uint32_t taken = esn ? 4 : 8; /* of the IV, by the first block */

        bytes -= GMAC_IV;
        first.second |= esn ? tunnelcap_i_load32(bytes) : tunnelcap_i_load64(bytes);
        bytes += taken;
        len += GMAC_IV - taken;
        last.first = 8 * (BLOCK + (uint64_t)len);
        last.second = 0;
    } else {
        last.first = esn ? 8 * 12 : 8 * 8;
        last.second = 8 * (uint64_t)len;
    }
    last = tunnelcap_i_ghash(&key->mac_state.ghash, first, bytes, len, last);
    tunnelcap_i_store64(icv, last.first ^ tunnelcap_i_load64(mask));
    tunnelcap_i_store64(icv + 8, last.second ^ tunnelcap_i_load64(mask + 8));
}

static int32_t verify(const tunnelcap_i_ossl_key *key, const tunnelcap_crypto_op *op,
                      const uint8_t *mask)
{
    uint8_t icv[BLOCK];

    compute_icv(key, op, mask, icv);
    return tunnelcap_i_equal(icv, op->icv, key->icv_len) ? TUNNELCAP_OK : TUNNELCAP_E_AUTH;
}

static void authenticate(const tunnelcap_i_ossl_key *key, const tunnelcap_crypto_op *op,
                         const uint8_t *mask)
{
    uint8_t icv[BLOCK];

    compute_icv(key, op, mask, icv);
    memcpy(op->icv, icv, key->icv_len);
}

/* ---- operations ---- */

/* One packet, with its keystream at hand. */
static int32_t finish(const tunnelcap_i_ossl_key *key, const tunnelcap_crypto_op *op,
                      const uint8_t *stream, int direction)
{
    uint32_t len = key->kind == TUNNELCAP_I_CIPHER_GMAC ? 0 : op->text_len;
    int32_t status = TUNNELCAP_OK;

    if (direction == TUNNELCAP_I_OPEN)
        status = verify(key, op, stream);
    if (status == TUNNELCAP_OK)
        add_keystream(op->text, stream + BLOCK, len);
    if (direction == TUNNELCAP_I_SEAL)
        authenticate(key, op, stream);
    return status;
}

/* One packet, piece by piece. */
static int32_t run_long(tunnelcap_i_ossl_lane *lane, const tunnelcap_i_ossl_slot *slot,
                        const tunnelcap_i_ossl_key *key, const tunnelcap_crypto_op *op,
                        int direction)
{
    uint32_t blocks = text_blocks(key, op);
    uint8_t mask[BLOCK];
    int32_t status = TUNNELCAP_OK;
    uint32_t n;

    write_counters(mask, op->nonce, 1, 1);
    if (!encrypt(slot, mask, 1))
        return TUNNELCAP_E_CRYPTO;
    if (direction == TUNNELCAP_I_OPEN)
        status = verify(key, op, mask);
    for (uint32_t at = 0; status == TUNNELCAP_OK && at < blocks; at += n) {
        uint32_t begin = at * BLOCK;

        n = blocks - at < SCRATCH_BLOCKS ? blocks - at : SCRATCH_BLOCKS;
        write_counters(lane->scratch, op->nonce, at + 2, n);
        if (!encrypt(slot, lane->scratch, n))
            status = TUNNELCAP_E_CRYPTO;
        else
            add_keystream(op->text + begin, lane->scratch,
                          op->text_len - begin < n * BLOCK ? op->text_len - begin : n * BLOCK);
    }
    if (direction == TUNNELCAP_I_SEAL && status == TUNNELCAP_OK)
        authenticate(key, op, mask);
    tunnelcap_i_wipe(mask, sizeof(mask));
    return status;
}

/* Write down the counter blocks of as many packets as the scratch holds; *used tells how many
 * blocks they are. */
static uint32_t fill_scratch(tunnelcap_i_ossl_lane *lane, const tunnelcap_i_ossl_key *key,
                             tunnelcap_crypto_op *const *ops, uint32_t n, uint32_t *used)
{
    uint32_t i;

    *used = 0;
    for (i = 0; i < n; i++) {
        uint32_t blocks = 1 + text_blocks(key, ops[i]);

        if (blocks > SCRATCH_BLOCKS - *used)
            break;
        write_counters(lane->scratch + *used * BLOCK, ops[i]->nonce, 1, blocks);
        *used += blocks;
    }
    return i;
}

int32_t tunnelcap_i_ossl_gcm_run(tunnelcap_i_ossl_lane *lane, tunnelcap_i_ossl_slot *slot,
                                 const tunnelcap_i_ossl_key *key, tunnelcap_crypto_op *const *ops,
                                 uint32_t n, int direction)
{
    int32_t status = TUNNELCAP_OK;

    for (uint32_t at = 0, end; at < n; at = end) {
        const uint8_t *stream = lane->scratch;
        uint32_t used;

        end = at + fill_scratch(lane, key, ops + at, n - at, &used);
        if (end == at) {
            ops[end]->status = run_long(lane, slot, key, ops[end], direction);
            if (ops[end]->status == TUNNELCAP_E_CRYPTO)
                status = TUNNELCAP_E_CRYPTO;
            end++;
            continue;
        }
        if (!encrypt(slot, lane->scratch, used))
            status = TUNNELCAP_E_CRYPTO;
        for (uint32_t i = at; i < end; i++) {
            ops[i]->status =
                status != TUNNELCAP_OK ? status : finish(key, ops[i], stream, direction);
            stream += (1 + text_blocks(key, ops[i])) * BLOCK;
        }
    }
    return status;
}

/* ---- keying ---- */

int32_t tunnelcap_i_ossl_gcm_bind(EVP_CIPHER_CTX *ctx, const tunnelcap_i_ossl_key *key)
{
    if (EVP_CIPHER_CTX_get0_cipher(ctx) != key->block_cipher &&
        !EVP_EncryptInit_ex2(ctx, key->block_cipher, NULL, NULL, NULL))
        return TUNNELCAP_E_CRYPTO;
    if (!EVP_EncryptInit_ex2(ctx, NULL, key->encr_key, NULL, NULL) ||
        !EVP_CIPHER_CTX_set_padding(ctx, 0))
        return TUNNELCAP_E_CRYPTO;
    return TUNNELCAP_OK;
}

void tunnelcap_i_ossl_gcm_init(tunnelcap_i_ossl_key *key, uint32_t key_len, uint32_t way)
{
    static const char *const names[] = {"AES-128-ECB", "AES-192-ECB", "AES-256-ECB"};
    uint8_t h[BLOCK] = {0};
    uint32_t best = tunnelcap_i_ghash_best();
    EVP_CIPHER_CTX *ctx;
    int n;

    if (way > TUNNELCAP_I_OSSL_NARROW || best == TUNNELCAP_I_GHASH_NONE ||
        EVP_default_properties_is_fips_enabled(NULL))
        return;
    if (way == TUNNELCAP_I_OSSL_NARROW)
        best = TUNNELCAP_I_GHASH_NARROW;
    ctx = EVP_CIPHER_CTX_new();
    key->block_cipher = EVP_CIPHER_fetch(NULL, names[key_len / 8 - 2], NULL);
    if (ctx != NULL && key->block_cipher != NULL &&
        tunnelcap_i_ossl_gcm_bind(ctx, key) == TUNNELCAP_OK &&
        EVP_EncryptUpdate(ctx, h, &n, h, BLOCK)) {
        tunnelcap_i_ghash_init(&key->mac_state.ghash, h, best);
    } else {
        EVP_CIPHER_free(key->block_cipher);
        key->block_cipher = NULL;
    }
    EVP_CIPHER_CTX_free(ctx);
    tunnelcap_i_wipe(h, sizeof(h));
}

#endif
