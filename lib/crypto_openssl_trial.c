/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * What libcrypto does not promise, and what we compute ourselves, is tried against its documented
 * calls when a lane is made.
 */
#include "crypto_openssl.h"

#ifdef TUNNELCAP_WITH_OPENSSL

#include <openssl/err.h>
#include <string.h>

#include "secure.h"

enum { TEXT = 320, ICV = 16 };

/* Nonces in sequence, with jumps either way, over a carry, and at the end of the counter. */
static const uint64_t ivs[] = {
    7, 8, 9, 10, 200, 201, 202, 3, 255, 256, 257, UINT64_MAX - 1, UINT64_MAX, 0, 1};

/* Slots of a trial. */
enum { DOCUMENTED, SEALER, OPENER, SLOTS };

typedef struct trial {
    tunnelcap_i_ossl_lane *lane;
    tunnelcap_i_ossl_key key;
    tunnelcap_i_ossl_slot slots[SLOTS];
} trial;

static int begin(trial *t, uint8_t lean, uint8_t bulk)
{
    static const uint8_t directions[] = {TUNNELCAP_I_SEAL, TUNNELCAP_I_SEAL, TUNNELCAP_I_OPEN};
    int ok = 1;

    for (uint32_t i = 0; i < SLOTS; i++) {
        t->slots[i].lean = i != DOCUMENTED && lean;
        t->slots[i].bulk = i != DOCUMENTED && bulk;
        t->slots[i].cipher = EVP_CIPHER_CTX_new();
        ok = ok && t->slots[i].cipher != NULL &&
             tunnelcap_i_ossl_cipher_bind(&t->slots[i], &t->key, directions[i]) == TUNNELCAP_OK;
    }
    return ok;
}

static int32_t run(trial *t, uint32_t slot, tunnelcap_crypto_op *op, int direction)
{
    if (!t->slots[slot].bulk)
        return t->key.run[direction](t->lane, &t->slots[slot], &t->key, op);
    tunnelcap_i_ossl_gcm_run(t->lane, &t->slots[slot], &t->key, &op, 1, direction);
    return op->status;
}

/* Seal one packet both ways, refuse a forgery of it, open it. */
static int try_packet(trial *t, uint64_t iv, uint32_t len)
{
    uint8_t plain[TEXT], text[TEXT], want[TEXT];
    uint8_t icv[ICV], want_icv[ICV];
    tunnelcap_crypto_op op = {.text = want, .icv = want_icv, .text_len = len};
    int same;

    for (uint32_t i = 0; i < 8; i++) {
        op.nonce[4 + i] = (uint8_t)(iv >> (56 - 8 * i));
        op.aad[i] = (uint8_t)(len + i);
    }
    for (uint32_t i = 0; i < len; i++)
        plain[i] = (uint8_t)(iv + i);
    memcpy(want, plain, len);
    memcpy(text, plain, len);
    if (run(t, DOCUMENTED, &op, TUNNELCAP_I_SEAL) != TUNNELCAP_OK)
        return 0;
    op.text = text;
    op.icv = icv;
    if (run(t, SEALER, &op, TUNNELCAP_I_SEAL) != TUNNELCAP_OK)
        return 0;
    same = memcmp(text, want, len) == 0 && memcmp(icv, want_icv, ICV) == 0;
    icv[0] ^= 1;
    same &= run(t, OPENER, &op, TUNNELCAP_I_OPEN) == TUNNELCAP_E_AUTH;
    op.text = want;
    op.icv = want_icv;
    same &= run(t, OPENER, &op, TUNNELCAP_I_OPEN) == TUNNELCAP_OK;
    return same && memcmp(want, plain, len) == 0;
}

static int try_all(trial *t, uint8_t lean, uint8_t bulk)
{
    int ok;

    tunnelcap_i_ossl_choose(&t->key);
    ok = begin(t, lean, bulk);
    /* From nothing to several groups of blocks of GHASH, most with a part of a block. */
    for (uint32_t i = 0; ok && i < sizeof(ivs) / sizeof(ivs[0]); i++)
        ok = try_packet(t, ivs[i], i * i * 3 / 2);
    for (uint32_t i = 0; i < SLOTS; i++)
        EVP_CIPHER_CTX_free(t->slots[i].cipher);
    return ok;
}

uint32_t tunnelcap_i_ossl_try_lean(EVP_CIPHER *cipher, uint8_t kind)
{
    trial t = {.key = {.kind = kind, .icv_len = ICV, .cipher = cipher}};
    int ok;

    ERR_set_mark();
    ok = try_all(&t, 1, 0);
    ERR_pop_to_mark();
    return ok != 0;
}

EVP_CIPHER *tunnelcap_i_ossl_try_bulk(tunnelcap_i_ossl_lane *lane, EVP_CIPHER *cipher, uint32_t way)
{
    trial t = {.lane = lane,
               .key = {.kind = TUNNELCAP_I_CIPHER_GCM, .icv_len = ICV, .cipher = cipher}};
    EVP_CIPHER *passed = NULL;

    ERR_set_mark();
    tunnelcap_i_ossl_gcm_init(&t.key, (uint32_t)EVP_CIPHER_get_key_length(cipher), way);
    if (t.key.block_cipher != NULL && try_all(&t, 0, 1))
        passed = t.key.block_cipher;
    else
        EVP_CIPHER_free(t.key.block_cipher);
    ERR_pop_to_mark();
    tunnelcap_i_wipe(&t, sizeof(t));
    return passed;
}

#endif
