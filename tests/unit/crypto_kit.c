/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "crypto_kit.h"

static void fill(test_random *random, uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)test_next(random);
}

uint32_t test_first_way(void)
{
#ifdef TUNNELCAP_WITH_OPENSSL
    if (tunnelcap_i_ghash_best() != TUNNELCAP_I_GHASH_NONE)
        return TUNNELCAP_I_OSSL_WIDE;
#endif
    return TUNNELCAP_I_OSSL_LEAN;
}

tunnelcap_transform test_transform(const test_kind *kind, uint64_t seed)
{
    test_random random = {seed};
    tunnelcap_transform t = {.size = sizeof(t), .flags = TUNNELCAP_TRANSFORM_ALLOW_WEAK};
    t.encr = kind->encr;
    t.integ = kind->integ;
    t.encr_key_len = kind->encr_key_len;
    t.integ_key_len = kind->integ_key_len;
    fill(&random, t.encr_key, t.encr_key_len);
    fill(&random, t.integ_key, t.integ_key_len);
    return t;
}

void test_key_at(const tunnelcap_crypto *crypto, void *mem, const test_kind *kind, uint64_t seed)
{
    tunnelcap_transform t = test_transform(kind, seed);
    ck_assert_status(tunnelcap_transform_check(&t, NULL), TUNNELCAP_OK);
    ck_assert_status(crypto->key_init(crypto->self, mem, &t), TUNNELCAP_OK);
}

void *test_key_new(const tunnelcap_crypto *crypto, const test_kind *kind, uint64_t seed)
{
    tunnelcap_transform t = test_transform(kind, seed);
    size_t size = crypto->key_size(crypto->self, &t);
    ck_assert_uint_ne(size, 0);
    void *key = test_arena(size);
    test_key_at(crypto, key, kind, seed);
    return key;
}

void test_key_free(const tunnelcap_crypto *crypto, void *key)
{
    crypto->key_fini(crypto->self, key);
    test_arena_free(key);
}

void *test_crypto_lane_new(const tunnelcap_crypto *crypto, uint32_t slots)
{
    size_t size = crypto->lane_size(crypto->self, TEST_BURST, slots);
    void *lane = test_arena(size);
    memset(lane, 0, size);
    ck_assert_status(crypto->lane_init(crypto->self, lane, TEST_BURST, slots), TUNNELCAP_OK);
    return lane;
}

void test_crypto_lane_free(const tunnelcap_crypto *crypto, void *lane)
{
    crypto->lane_fini(crypto->self, lane);
    test_arena_free(lane);
}

void test_packet_make(test_packet *p, const void *key, const test_kind *kind, uint32_t len,
                      uint64_t seed)
{
    test_random random = {seed};
    fill(&random, p->bytes, sizeof(p->bytes));
    memset(&p->op, 0, sizeof(p->op));
    fill(&random, p->op.nonce, sizeof(p->op.nonce));
    fill(&random, p->op.aad, sizeof(p->op.aad));
    p->op.key = key;
    p->op.head_len = test_below(&random, 2) ? 16 : TEST_HEAD;
    p->op.text = p->bytes + p->op.head_len;
    p->op.text_len = len / kind->block * kind->block;
    p->op.icv = p->op.text + p->op.text_len;
    p->op.flags = test_below(&random, 2) ? TUNNELCAP_OP_ESN : 0;
}

void test_packet_copy(test_packet *to, const test_packet *from, const void *key)
{
    *to = *from;
    to->op.key = key;
    to->op.text = to->bytes + to->op.head_len;
    to->op.icv = to->op.text + to->op.text_len;
}

int32_t test_seal(const tunnelcap_crypto *crypto, void *lane, test_packet *p)
{
    tunnelcap_crypto_op *op = &p->op;
    crypto->seal(crypto->self, lane, &op, 1);
    return op->status;
}

int32_t test_unseal(const tunnelcap_crypto *crypto, void *lane, test_packet *p)
{
    tunnelcap_crypto_op *op = &p->op;
    crypto->unseal(crypto->self, lane, &op, 1);
    return op->status;
}
