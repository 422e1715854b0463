/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include <string.h>
#include <tunnelcap/status.h>

#include "crypto_answers.h"
#include "object.h"
#include "secure.h"
#include "transform.h"

/* The longest head, text and ICV of the answers. */
enum { HEAD_MAX = 24, TEXT_MAX = 96, ICV_MAX = 32 };

/* Fewer slots than keys: contexts are keyed again and again. */
enum { BURST = 1, SLOTS = 2 };

/* One answer as bytes, and the packet that it is tried on. */
typedef struct trial {
    const tunnelcap_crypto *crypto;
    void *lane;
    void *key;
    size_t key_room;
    tunnelcap_transform transform;
    tunnelcap_transform_info facts;
    tunnelcap_crypto_op op;
    uint8_t plain[TEXT_MAX];
    uint8_t cipher[TEXT_MAX];
    uint8_t icv[ICV_MAX];
    uint8_t packet[HEAD_MAX + TEXT_MAX + ICV_MAX];
} trial;

/* Called for each answer with one of its encryption algorithms. */
typedef int32_t visit(void *arg, const tunnelcap_i_answer *answer, uint8_t encr);

/* ---- answers ---- */

static uint8_t digit(char c)
{
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* Bytes from hexadecimal digits, `cap` at most; how many. */
static uint16_t unhex(const char *digits, uint8_t *bytes, uint32_t cap)
{
    uint16_t n = 0;

    if (digits == NULL)
        return 0;
    for (; n < cap && digits[0] != '\0'; digits += 2)
        bytes[n++] = (uint8_t)(digit(digits[0]) << 4 | digit(digits[1]));
    return n;
}

static int32_t visit_answer(visit *call, void *arg, const tunnelcap_i_answer *answer)
{
    int32_t status = TUNNELCAP_OK;

    for (uint32_t i = 0; i < TUNNELCAP_I_ANSWER_ENCRS && answer->encr[i] != 0; i++) {
        status = call(arg, answer, answer->encr[i]);
        if (status != TUNNELCAP_OK)
            break;
    }
    return status;
}

/* The answer of one cipher with one integrity algorithm. */
static tunnelcap_i_answer pair_answer(const tunnelcap_i_pairs *pairs, uint32_t i)
{
    tunnelcap_i_answer answer = {
        .encr = {pairs->encr},
        .integ = tunnelcap_i_pair_integs[i],
        .encr_key = pairs->encr_key,
        .integ_key = tunnelcap_i_pair_key,
        .nonce = pairs->nonce,
        .aad = tunnelcap_i_pair_aad,
        .head = pairs->head,
        .plain = pairs->plain,
        .cipher = pairs->cipher,
        .icv = pairs->icv[i],
    };

    return answer;
}

static int32_t visit_all(visit *call, void *arg)
{
    int32_t status = TUNNELCAP_OK;

    for (uint32_t i = 0; status == TUNNELCAP_OK && i < tunnelcap_i_answer_count; i++)
        status = visit_answer(call, arg, &tunnelcap_i_answers[i]);
    for (uint32_t i = 0; status == TUNNELCAP_OK && i < tunnelcap_i_pair_count; i++) {
        for (uint32_t k = 0; status == TUNNELCAP_OK && k < TUNNELCAP_I_INTEGS; k++) {
            tunnelcap_i_answer answer = pair_answer(&tunnelcap_i_pair_answers[i], k);
            status = visit_answer(call, arg, &answer);
        }
    }
    return status;
}

static uint16_t integ_key_len(uint8_t integ)
{
    for (uint32_t i = 0; i < TUNNELCAP_I_INTEGS; i++) {
        if (tunnelcap_i_pair_integs[i] == integ)
            return tunnelcap_i_pair_key_lens[i];
    }
    return 0;
}

static tunnelcap_transform transform_of(const tunnelcap_i_answer *answer, uint8_t encr)
{
    tunnelcap_transform t = {.size = sizeof(t), .flags = TUNNELCAP_TRANSFORM_ALLOW_WEAK};

    t.encr = encr;
    t.integ = answer->integ;
    t.encr_key_len = unhex(answer->encr_key, t.encr_key, sizeof(t.encr_key));
    t.integ_key_len = unhex(answer->integ_key, t.integ_key, integ_key_len(answer->integ));
    return t;
}

/* ---- one answer ---- */

/* The op works on the packet; its text begins behind the head. */
static void load(trial *t, const tunnelcap_i_answer *answer)
{
    tunnelcap_crypto_op *op = &t->op;

    memset(op, 0, sizeof(*op));
    op->key = t->key;
    op->head_len = unhex(answer->head, t->packet, HEAD_MAX);
    op->text = t->packet + op->head_len;
    op->text_len = unhex(answer->plain, t->plain, TEXT_MAX);
    op->icv = op->text + op->text_len;
    if (unhex(answer->aad, op->aad, sizeof(op->aad)) == sizeof(op->aad))
        op->flags = TUNNELCAP_OP_ESN;
    unhex(answer->nonce, op->nonce, sizeof(op->nonce));
    unhex(answer->cipher, t->cipher, TEXT_MAX);
    unhex(answer->icv, t->icv, t->facts.icv_len);
}

static uint32_t text_is(const trial *t, const uint8_t *want)
{
    return tunnelcap_i_equal(t->op.text, want, t->op.text_len);
}

static int32_t unseal(trial *t)
{
    tunnelcap_crypto_op *op = &t->op;

    t->crypto->unseal(t->crypto->self, t->lane, &op, 1);
    return op->status;
}

static uint32_t seals(trial *t)
{
    tunnelcap_crypto_op *op = &t->op;

    memcpy(op->text, t->plain, op->text_len);
    t->crypto->seal(t->crypto->self, t->lane, &op, 1);
    return op->status == TUNNELCAP_OK && text_is(t, t->cipher) &&
           tunnelcap_i_equal(op->icv, t->icv, t->facts.icv_len);
}

/* A forgery is refused, and where there was something to decrypt, it was not left. */
static uint32_t refuses(trial *t, uint8_t *byte)
{
    uint32_t encrypted = !tunnelcap_i_equal(t->plain, t->cipher, t->op.text_len);

    *byte ^= 0x80;
    if (unseal(t) != TUNNELCAP_E_AUTH || (encrypted && text_is(t, t->plain)))
        return 0;
    memcpy(t->op.text, t->cipher, t->op.text_len);
    memcpy(t->op.icv, t->icv, t->facts.icv_len);
    return 1;
}

static uint32_t works(trial *t)
{
    return seals(t) && refuses(t, t->op.icv) && refuses(t, t->op.icv + t->facts.icv_len - 1) &&
           refuses(t, t->op.text) && unseal(t) == TUNNELCAP_OK && text_is(t, t->plain);
}

static int32_t try_answer(void *arg, const tunnelcap_i_answer *answer, uint8_t encr)
{
    trial *t = arg;
    const tunnelcap_crypto *crypto = t->crypto;
    size_t key_size;
    uint32_t ok;

    t->transform = transform_of(answer, encr);
    if (tunnelcap_i_transform_facts(&t->transform, &t->facts) != TUNNELCAP_OK)
        return TUNNELCAP_E_CRYPTO;
    key_size = crypto->key_size(crypto->self, &t->transform);
    if (key_size == 0)
        return TUNNELCAP_OK;
    if (key_size > t->key_room)
        return TUNNELCAP_E_CRYPTO;
    memset(t->key, 0, key_size);
    if (crypto->key_init(crypto->self, t->key, &t->transform) != TUNNELCAP_OK)
        return TUNNELCAP_E_CRYPTO;
    load(t, answer);
    ok = works(t);
    crypto->lane_forget(crypto->self, t->lane, t->key);
    crypto->key_fini(crypto->self, t->key);
    return ok ? TUNNELCAP_OK : TUNNELCAP_E_CRYPTO;
}

/* ---- memory ---- */

typedef struct key_sizes {
    const tunnelcap_crypto *crypto;
    size_t largest;
} key_sizes;

static int32_t measure_key(void *arg, const tunnelcap_i_answer *answer, uint8_t encr)
{
    key_sizes *sizes = arg;
    tunnelcap_transform transform = transform_of(answer, encr);
    size_t size = sizes->crypto->key_size(sizes->crypto->self, &transform);

    if (size > sizes->largest)
        sizes->largest = size;
    return TUNNELCAP_OK;
}

static size_t lay_out(const tunnelcap_crypto *crypto, void *mem, trial *t)
{
    tunnelcap_i_layout layout = {mem, 0};
    key_sizes sizes = {crypto, 0};

    visit_all(measure_key, &sizes);
    t->crypto = crypto;
    t->key_room = sizes.largest;
    t->key = tunnelcap_i_layout_add(&layout, 1, sizes.largest);
    t->lane = tunnelcap_i_layout_add(&layout, 1, crypto->lane_size(crypto->self, BURST, SLOTS));
    return layout.size;
}

size_t tunnelcap_crypto_self_test_size(const tunnelcap_crypto *crypto)
{
    trial t;

    return crypto != NULL ? lay_out(crypto, NULL, &t) : 0;
}

int32_t tunnelcap_crypto_self_test(const tunnelcap_crypto *crypto, void *mem, size_t size,
                                   uint32_t *failed)
{
    trial t;
    size_t need;
    int32_t status;

    if (crypto == NULL)
        return TUNNELCAP_E_INVALID;
    memset(&t, 0, sizeof(t));
    need = lay_out(crypto, mem, &t);
    status = tunnelcap_i_memory_check(mem, size, need);
    if (status != TUNNELCAP_OK)
        return status;
    memset(mem, 0, need);
    status = crypto->lane_init(crypto->self, t.lane, BURST, SLOTS);
    if (status != TUNNELCAP_OK)
        return TUNNELCAP_E_CRYPTO;
    status = visit_all(try_answer, &t);
    if (status != TUNNELCAP_OK && failed != NULL)
        *failed = (uint32_t)t.transform.encr << 16 | t.transform.integ;
    crypto->lane_fini(crypto->self, t.lane);
    return status;
}
