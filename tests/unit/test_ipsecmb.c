/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The provider on ipsec-mb against known answers, and against the provider on libcrypto where the
 * library has that; else against itself.
 */
#include "support.h"

#include <tunnelcap/ipsecmb.h>

enum { BURST = 64, HEAD = 24, TEXT_MAX = 2048, ICV_MAX = 32, ROUNDS = 40, KEYS_MAX = 128 };

static const uint16_t encrs[] = {
    TUNNELCAP_ENCR_3DES,
    TUNNELCAP_ENCR_NULL,
    TUNNELCAP_ENCR_AES_CBC,
    TUNNELCAP_ENCR_AES_CTR,
    TUNNELCAP_ENCR_AES_CCM_8,
    TUNNELCAP_ENCR_AES_CCM_12,
    TUNNELCAP_ENCR_AES_CCM_16,
    TUNNELCAP_ENCR_AES_GCM_8,
    TUNNELCAP_ENCR_AES_GCM_12,
    TUNNELCAP_ENCR_AES_GCM_16,
    TUNNELCAP_ENCR_AES_GMAC,
    TUNNELCAP_ENCR_CHACHA20_POLY1305,
    TUNNELCAP_ENCR_AES_CCM_8_IIV,
    TUNNELCAP_ENCR_AES_GCM_16_IIV,
    TUNNELCAP_ENCR_CHACHA20_POLY1305_IIV,
};

static const uint16_t integs[][2] = {
    {TUNNELCAP_INTEG_NONE, 0},
    {TUNNELCAP_INTEG_HMAC_MD5_96, 16},
    {TUNNELCAP_INTEG_HMAC_SHA1_96, 20},
    {TUNNELCAP_INTEG_AES_XCBC_96, 16},
    {TUNNELCAP_INTEG_AES_CMAC_96, 16},
    {TUNNELCAP_INTEG_HMAC_SHA2_256_128, 32},
    {TUNNELCAP_INTEG_HMAC_SHA2_384_192, 48},
    {TUNNELCAP_INTEG_HMAC_SHA2_512_256, 64},
};

static const uint16_t key_lens[] = {0, 16, 24, 32};

/* ---- both providers, with the same keys ---- */

enum { OURS, PEER, SIDES };

typedef struct side {
    const tunnelcap_crypto *crypto;
    void *lane;
    void *keys[KEYS_MAX];
} side;

typedef struct bench {
    side sides[SIDES];
    tunnelcap_transform_info facts[KEYS_MAX];
    uint32_t count;
    test_random random;
} bench;

static void fill(test_random *random, uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)test_next(random);
}

static void *arena(size_t size)
{
    void *mem = test_arena(size);
    memset(mem, 0, size);
    return mem;
}

static void add_key(bench *b, const tunnelcap_transform *transform)
{
    tunnelcap_transform_info *facts = &b->facts[b->count];

    facts->size = sizeof(*facts);
    ck_assert_status(tunnelcap_transform_check(transform, facts), TUNNELCAP_OK);
    ck_assert_uint_lt(b->count, KEYS_MAX);
    for (uint32_t i = 0; i < SIDES; i++) {
        const tunnelcap_crypto *c = b->sides[i].crypto;
        size_t size = c->key_size(c->self, transform);
        ck_assert_uint_gt(size, 0);
        b->sides[i].keys[b->count] = arena(size);
        ck_assert_status(c->key_init(c->self, b->sides[i].keys[b->count], transform), TUNNELCAP_OK);
    }
    b->count++;
}

/* Call for each transform that there is, with random keys. */
static void each_transform(bench *b, void (*call)(bench *, const tunnelcap_transform *))
{
    for (size_t e = 0; e < TEST_COUNT(encrs); e++) {
        for (size_t i = 0; i < TEST_COUNT(integs); i++) {
            for (size_t k = 0; k < TEST_COUNT(key_lens); k++) {
                tunnelcap_transform t = {.size = sizeof(t),
                                         .flags = TUNNELCAP_TRANSFORM_ALLOW_WEAK,
                                         .encr = encrs[e],
                                         .integ = integs[i][0],
                                         .encr_key_len = key_lens[k],
                                         .integ_key_len = integs[i][1]};
                fill(&b->random, t.encr_key, t.encr_key_len);
                fill(&b->random, t.integ_key, t.integ_key_len);
                if (tunnelcap_transform_check(&t, NULL) == TUNNELCAP_OK)
                    call(b, &t);
            }
        }
    }
}

static bool is_ccm_192(const tunnelcap_transform *t)
{
    return t->encr_key_len == 24 &&
           (t->encr == TUNNELCAP_ENCR_AES_CCM_8 || t->encr == TUNNELCAP_ENCR_AES_CCM_12 ||
            t->encr == TUNNELCAP_ENCR_AES_CCM_16 || t->encr == TUNNELCAP_ENCR_AES_CCM_8_IIV);
}

static void add_offered(bench *b, const tunnelcap_transform *t)
{
    if (!is_ccm_192(t))
        add_key(b, t);
}

static void begin(bench *b, uint64_t seed)
{
    memset(b, 0, sizeof(*b));
    b->random = (test_random){seed};
    b->sides[OURS].crypto = tunnelcap_crypto_ipsecmb();
    b->sides[PEER].crypto = tunnelcap_crypto_openssl();
    if (b->sides[PEER].crypto == NULL)
        b->sides[PEER].crypto = tunnelcap_crypto_ipsecmb();
    for (uint32_t i = 0; i < SIDES; i++) {
        const tunnelcap_crypto *c = b->sides[i].crypto;
        b->sides[i].lane = arena(c->lane_size(c->self, BURST, 16));
        ck_assert_status(c->lane_init(c->self, b->sides[i].lane, BURST, 16), TUNNELCAP_OK);
    }
    each_transform(b, add_offered);
}

static void end(bench *b)
{
    for (uint32_t i = 0; i < SIDES; i++) {
        const tunnelcap_crypto *c = b->sides[i].crypto;
        for (uint32_t k = 0; k < b->count; k++) {
            c->lane_forget(c->self, b->sides[i].lane, b->sides[i].keys[k]);
            c->key_fini(c->self, b->sides[i].keys[k]);
            test_arena_free(b->sides[i].keys[k]);
        }
        c->lane_fini(c->self, b->sides[i].lane);
        test_arena_free(b->sides[i].lane);
    }
}

/* ---- packets ---- */

typedef struct packet {
    tunnelcap_crypto_op op;
    uint32_t key;
    uint8_t bytes[HEAD + TEXT_MAX + ICV_MAX];
    uint8_t plain[TEXT_MAX];
} packet;

static packet packets[BURST];
static tunnelcap_crypto_op *ops[BURST];

static void make(bench *b, packet *p, uint32_t key, uint32_t len)
{
    const tunnelcap_transform_info *facts = &b->facts[key];
    uint32_t head = 8u + facts->iv_len;

    fill(&b->random, p->bytes, sizeof(p->bytes));
    memset(&p->op, 0, sizeof(p->op));
    fill(&b->random, p->op.nonce, sizeof(p->op.nonce));
    fill(&b->random, p->op.aad, sizeof(p->op.aad));
    p->key = key;
    p->op.head_len = (uint16_t)head;
    p->op.text = p->bytes + head;
    p->op.text_len = len / facts->align * facts->align;
    p->op.icv = p->op.text + p->op.text_len;
    p->op.flags = test_below(&b->random, 2) ? TUNNELCAP_OP_ESN : 0;
    memcpy(p->plain, p->op.text, p->op.text_len);
}

static void run(bench *b, uint32_t which, bool seal, uint32_t n)
{
    side *s = &b->sides[which];

    for (uint32_t i = 0; i < n; i++) {
        ops[i] = &packets[i].op;
        ops[i]->key = s->keys[packets[i].key];
        ops[i]->status = 1;
    }
    if (seal)
        s->crypto->seal(s->crypto->self, s->lane, ops, n);
    else
        s->crypto->unseal(s->crypto->self, s->lane, ops, n);
}

static bool text_is_plain(const packet *p)
{
    return memcmp(p->op.text, p->plain, p->op.text_len) == 0;
}

/* Seal on one side and open on the other, number `spoiled` being a forgery on the way. */
static void carry(bench *b, uint32_t from, uint32_t to, uint32_t n, uint32_t spoiled)
{
    run(b, from, true, n);
    for (uint32_t i = 0; i < n; i++)
        ck_assert_status(packets[i].op.status, TUNNELCAP_OK);
    if (spoiled < n) {
        packet *p = &packets[spoiled];
        uint32_t icv_len = b->facts[p->key].icv_len;
        p->op.text[test_below(&b->random, p->op.text_len + icv_len)] ^= 0x10;
    }
    run(b, to, false, n);
    for (uint32_t i = 0; i < n; i++) {
        ck_assert_status(packets[i].op.status, i == spoiled ? TUNNELCAP_E_AUTH : TUNNELCAP_OK);
        ck_assert_msg(text_is_plain(&packets[i]) == (i != spoiled), "packet %u of key %u", i,
                      packets[i].key);
    }
}

/* ---- tests ---- */

START_TEST(known_answers_are_right)
{
    const tunnelcap_crypto *c = tunnelcap_crypto_ipsecmb();
    size_t size = tunnelcap_crypto_self_test_size(c);
    void *mem = test_arena(size);
    uint32_t failed = 0;
    ck_assert_status(tunnelcap_crypto_self_test(c, mem, size, &failed), TUNNELCAP_OK);
    ck_assert_uint_eq(failed, 0);
    test_arena_free(mem);
}
END_TEST

static void check_offer(bench *b, const tunnelcap_transform *t)
{
    const tunnelcap_crypto *c = tunnelcap_crypto_ipsecmb();
    size_t size = c->key_size(c->self, t);
    if (!is_ccm_192(t)) {
        ck_assert_uint_gt(size, 0);
        return;
    }
    ck_assert_uint_eq(size, 0);
    ck_assert_status(c->key_init(c->self, b->sides[OURS].keys[0], t), TUNNELCAP_E_UNSUPPORTED);
}

START_TEST(every_transform_but_ccm_192_is_offered)
{
    static bench b;
    begin(&b, 1);
    each_transform(&b, check_offer);
    end(&b);
}
END_TEST

START_TEST(each_transform_is_what_the_peer_makes_of_it)
{
    static bench b;
    begin(&b, 2);
    for (uint32_t key = 0; key < b.count; key++) {
        for (uint32_t round = 0; round < 4; round++) {
            uint32_t n = 1 + test_below(&b.random, 20);
            for (uint32_t i = 0; i < n; i++)
                make(&b, &packets[i], key, 16 + test_below(&b.random, 300));
            carry(&b, round & 1 ? OURS : PEER, round & 1 ? PEER : OURS, n, BURST);
        }
    }
    end(&b);
}
END_TEST

START_TEST(bursts_of_mixed_keys_and_sizes_and_one_forgery)
{
    static bench b;
    begin(&b, 3);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t n = 1 + test_below(&b.random, BURST);
        for (uint32_t i = 0; i < n; i++) {
            uint32_t len = 16 + test_below(&b.random, TEXT_MAX - 15);
            uint32_t key = test_below(&b.random, b.count);
            make(&b, &packets[i], key, len);
        }
        carry(&b, round & 1 ? OURS : PEER, round & 1 ? PEER : OURS, n, test_below(&b.random, n));
    }
    end(&b);
}
END_TEST

START_TEST(forgeries_leave_no_plaintext)
{
    static bench b;
    begin(&b, 4);
    for (uint32_t key = 0; key < b.count; key++) {
        make(&b, &packets[0], key, 96);
        run(&b, OURS, true, 1);
        packets[0].op.icv[test_below(&b.random, b.facts[key].icv_len)] ^= 1;
        run(&b, OURS, false, 1);
        ck_assert_status(packets[0].op.status, TUNNELCAP_E_AUTH);
        for (uint32_t i = 0; i < packets[0].op.text_len; i++)
            ck_assert_uint_eq(packets[0].op.text[i], 0);
    }
    end(&b);
}
END_TEST

/* What is received is left as it is, even where the ICV's place was needed for a while. */
START_TEST(opening_leaves_the_icv_alone)
{
    static bench b;
    uint8_t icv[ICV_MAX];
    begin(&b, 5);
    for (uint32_t key = 0; key < b.count; key++) {
        make(&b, &packets[0], key, 64);
        packets[0].op.flags = TUNNELCAP_OP_ESN;
        run(&b, OURS, true, 1);
        memcpy(icv, packets[0].op.icv, b.facts[key].icv_len);
        run(&b, OURS, false, 1);
        ck_assert_status(packets[0].op.status, TUNNELCAP_OK);
        ck_assert_mem_eq(packets[0].op.icv, icv, b.facts[key].icv_len);
    }
    end(&b);
}
END_TEST

START_TEST(what_cannot_be_done_is_refused)
{
    static bench b;
    begin(&b, 6);
    for (uint32_t key = 0; key < b.count; key++) {
        packet *p = &packets[0];
        make(&b, p, key, 64);
        if (b.facts[key].combined)
            continue;
        p->op.flags = TUNNELCAP_OP_ESN;
        p->op.icv += 4; /* the high half would have to go in between */
        run(&b, OURS, true, 1);
        ck_assert_status(p->op.status, TUNNELCAP_E_CRYPTO);
        if (b.facts[key].align > 4) {
            make(&b, p, key, 64);
            p->op.text_len--;
            run(&b, OURS, true, 1);
            ck_assert_status(p->op.status, TUNNELCAP_E_CRYPTO);
        }
    }
    end(&b);
}
END_TEST

START_TEST(texts_of_any_length_up_to_the_longest_that_ip_carries)
{
    static bench b;
    static uint8_t bytes[HEAD + 65535 + ICV_MAX];
    static uint8_t plain[65535];
    begin(&b, 7);
    for (uint32_t key = 0; key < b.count; key++) {
        tunnelcap_crypto_op *op = &packets[0].op;
        make(&b, &packets[0], key, 64);
        memset(bytes, (int)key, sizeof(bytes));
        op->text = bytes + op->head_len;
        op->text_len = (65535u - 8 - op->head_len - b.facts[key].icv_len) / 16 * 16;
        op->icv = op->text + op->text_len;
        memcpy(plain, op->text, op->text_len);
        run(&b, OURS, true, 1);
        ck_assert_status(op->status, TUNNELCAP_OK);
        run(&b, PEER, false, 1);
        ck_assert_status(op->status, TUNNELCAP_OK);
        ck_assert_mem_eq(op->text, plain, op->text_len);
    }
    end(&b);
}
END_TEST

START_TEST(a_lane_is_wiped_at_its_end)
{
    const tunnelcap_crypto *c = tunnelcap_crypto_ipsecmb();
    size_t size = c->lane_size(c->self, BURST, 1);
    uint8_t *lane = arena(size);
    ck_assert_status(c->lane_init(c->self, lane, BURST, 1), TUNNELCAP_OK);
    c->lane_fini(c->self, lane);
    for (size_t i = 0; i < size; i++)
        ck_assert_uint_eq(lane[i], 0);
    test_arena_free(lane);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        known_answers_are_right,
        every_transform_but_ccm_192_is_offered,
        each_transform_is_what_the_peer_makes_of_it,
        bursts_of_mixed_keys_and_sizes_and_one_forgery,
        forgeries_leave_no_plaintext,
        opening_leaves_the_icv_alone,
        what_cannot_be_done_is_refused,
        texts_of_any_length_up_to_the_longest_that_ip_carries,
        a_lane_is_wiped_at_its_end,
    };
    SRunner *runner = srunner_create(test_suite("ipsecmb", tests, TEST_COUNT(tests)));
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
