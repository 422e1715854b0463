/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "esp_kit.h"

enum { TOY_MAGIC = 0x70795421, ICV_MAX = 32 };
enum { KIND_STREAM, KIND_CLEAR, KIND_BLOCKS };

typedef struct toy_key {
    uint32_t magic;
    uint32_t kind;
    uint32_t block;
    uint32_t combined;
    uint32_t icv_len;
    uint64_t encr;  /* a digest of the encryption key */
    uint64_t integ; /* and of that for integrity */
} toy_key;

typedef struct toy_lane {
    uint32_t magic;
    uint32_t max_burst;
} toy_lane;

/* One step of a checksum that mixes well enough for single bits to show everywhere. */
static uint64_t mix(uint64_t sum, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        sum = (sum ^ bytes[i]) * 0x100000001b3u;
        sum ^= sum >> 29;
    }
    return sum;
}

static size_t toy_key_size(void *self, const tunnelcap_transform *transform)
{
    (void)transform;
    return ((test_toy *)self)->no_keys ? 0 : sizeof(toy_key);
}

static int32_t toy_key_init(void *self, void *key, const tunnelcap_transform *t)
{
    test_toy *toy = self;
    toy_key *k = key;
    tunnelcap_transform_info info = {.size = sizeof(info)};
    for (size_t i = 0; i < sizeof(*k); i++)
        ck_assert_uint_eq(((uint8_t *)key)[i], 0);
    ck_assert_uint_eq((uintptr_t)key % 64, 0);
    if (toy->init_status != TUNNELCAP_OK)
        return toy->init_status;
    ck_assert_status(tunnelcap_transform_check(t, &info), TUNNELCAP_OK);
    k->magic = TOY_MAGIC;
    k->kind = t->encr == TUNNELCAP_ENCR_NULL || t->encr == TUNNELCAP_ENCR_AES_GMAC ? KIND_CLEAR
              : info.counter_mode                                                  ? KIND_STREAM
                                                                                   : KIND_BLOCKS;
    k->block = info.align;
    k->combined = info.combined;
    k->icv_len = info.icv_len;
    k->encr = mix(1, t->encr_key, t->encr_key_len);
    k->integ = mix(k->combined ? k->encr : 2, t->integ_key, t->integ_key_len);
    toy->keys_live++;
    return TUNNELCAP_OK;
}

static void toy_key_fini(void *self, void *key)
{
    ck_assert_uint_eq(((toy_key *)key)->magic, TOY_MAGIC);
    ((test_toy *)self)->keys_live--;
    memset(key, 0, sizeof(toy_key));
}

static size_t toy_lane_size(void *self, uint32_t max_burst, uint32_t key_slots)
{
    (void)self;
    (void)max_burst;
    (void)key_slots;
    return sizeof(toy_lane);
}

static int32_t toy_lane_init(void *self, void *lane, uint32_t max_burst, uint32_t key_slots)
{
    test_toy *toy = self;
    toy_lane *l = lane;
    ck_assert_uint_gt(key_slots, 0);
    if (toy->init_status != TUNNELCAP_OK)
        return toy->init_status;
    l->magic = TOY_MAGIC;
    l->max_burst = max_burst;
    toy->lanes_live++;
    return TUNNELCAP_OK;
}

static void toy_lane_forget(void *self, void *lane, const void *key)
{
    ck_assert_uint_eq(((toy_lane *)lane)->magic, TOY_MAGIC);
    ck_assert_uint_eq(((const toy_key *)key)->magic, TOY_MAGIC);
    ((test_toy *)self)->forgotten++;
}

static void toy_lane_fini(void *self, void *lane)
{
    ck_assert_uint_eq(((toy_lane *)lane)->magic, TOY_MAGIC);
    ((test_toy *)self)->lanes_live--;
    memset(lane, 0, sizeof(toy_lane));
}

static void stream(const toy_key *key, const tunnelcap_crypto_op *op)
{
    uint64_t state = mix(key->encr, op->nonce, sizeof(op->nonce));
    for (uint32_t i = 0; i < op->text_len; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        op->text[i] ^= (uint8_t)(state >> 56);
    }
}

/* A byte of block cipher: rotate the block by one byte, with the key's bytes over it. */
static void block_encrypt(const toy_key *key, uint8_t *to, const uint8_t *from)
{
    uint8_t out[16];
    for (uint32_t i = 0; i < key->block; i++)
        out[(i + 1) % key->block] = (uint8_t)(from[i] ^ (uint8_t)(key->encr >> i % 8 * 8));
    memcpy(to, out, key->block);
}

static void block_decrypt(const toy_key *key, uint8_t *to, const uint8_t *from)
{
    uint8_t out[16];
    for (uint32_t i = 0; i < key->block; i++)
        out[i] = (uint8_t)(from[(i + 1) % key->block] ^ (uint8_t)(key->encr >> i % 8 * 8));
    memcpy(to, out, key->block);
}

static void blocks(const toy_key *key, const tunnelcap_crypto_op *op, bool encrypt)
{
    uint8_t before[16], next[16];
    ck_assert_uint_eq(op->text_len % key->block, 0);
    memcpy(before, op->nonce, sizeof(before));
    for (uint8_t *p = op->text; p < op->text + op->text_len; p += key->block) {
        if (encrypt) {
            for (uint32_t i = 0; i < key->block; i++)
                p[i] ^= before[i];
            block_encrypt(key, p, p);
            memcpy(before, p, key->block);
        } else {
            memcpy(next, p, key->block);
            block_decrypt(key, p, p);
            for (uint32_t i = 0; i < key->block; i++)
                p[i] ^= before[i];
            memcpy(before, next, key->block);
        }
    }
}

static void crypt(const toy_key *key, const tunnelcap_crypto_op *op, bool encrypt)
{
    if (key->kind == KIND_STREAM)
        stream(key, op);
    else if (key->kind == KIND_BLOCKS)
        blocks(key, op, encrypt);
}

/* The ICV over what the interface says, of the encrypted text. */
static void make_icv(const toy_key *key, const tunnelcap_crypto_op *op, uint8_t icv[ICV_MAX])
{
    bool esn = op->flags & TUNNELCAP_OP_ESN;
    uint64_t sum = key->integ;
    if (key->combined) {
        sum = mix(sum, op->nonce, sizeof(op->nonce));
        sum = mix(sum, op->aad, esn ? 12 : 8);
        sum = mix(sum, op->text, op->text_len);
    } else {
        sum = mix(sum, op->text - op->head_len, op->head_len + op->text_len);
        if (esn)
            sum = mix(sum, op->aad + 4, 4);
    }
    for (uint32_t i = 0; i < key->icv_len; i++) {
        sum = mix(sum, (const uint8_t *)"", 1);
        icv[i] = (uint8_t)(sum >> 32);
    }
}

static void check_run(test_toy *toy, void *lane, tunnelcap_crypto_op *const *ops, uint32_t n)
{
    ck_assert_uint_eq(((toy_lane *)lane)->magic, TOY_MAGIC);
    ck_assert_uint_gt(n, 0);
    ck_assert_uint_le(n, ((toy_lane *)lane)->max_burst);
    for (uint32_t i = 0; i < n; i++)
        ck_assert_uint_eq(((const toy_key *)ops[i]->key)->magic, TOY_MAGIC);
    if (toy->longest < n)
        toy->longest = n;
    toy->runs++;
}

static void toy_seal(void *self, void *lane, tunnelcap_crypto_op *const *ops, uint32_t n)
{
    test_toy *toy = self;
    check_run(toy, lane, ops, n);
    for (uint32_t i = 0; i < n; i++) {
        const toy_key *key = ops[i]->key;
        uint8_t icv[ICV_MAX];
        if (toy->seal_left == 0) {
            ops[i]->status = TUNNELCAP_E_CRYPTO;
            continue;
        }
        toy->seal_left--;
        crypt(key, ops[i], true);
        make_icv(key, ops[i], icv);
        memcpy(ops[i]->icv, icv, key->icv_len);
        ops[i]->status = TUNNELCAP_OK;
    }
}

static void toy_unseal(void *self, void *lane, tunnelcap_crypto_op *const *ops, uint32_t n)
{
    check_run(self, lane, ops, n);
    for (uint32_t i = 0; i < n; i++) {
        const toy_key *key = ops[i]->key;
        uint8_t icv[ICV_MAX];
        make_icv(key, ops[i], icv);
        ops[i]->status = TUNNELCAP_E_AUTH;
        if (memcmp(icv, ops[i]->icv, key->icv_len) != 0)
            continue;
        crypt(key, ops[i], false);
        ops[i]->status = TUNNELCAP_OK;
    }
}

const tunnelcap_crypto *test_toy_init(test_toy *toy)
{
    memset(toy, 0, sizeof(*toy));
    toy->seal_left = UINT32_MAX;
    toy->crypto = (tunnelcap_crypto){
        .size = sizeof(toy->crypto),
        .name = "toy",
        .self = toy,
        .key_size = toy_key_size,
        .key_init = toy_key_init,
        .key_fini = toy_key_fini,
        .lane_size = toy_lane_size,
        .lane_init = toy_lane_init,
        .lane_forget = toy_lane_forget,
        .lane_fini = toy_lane_fini,
        .seal = toy_seal,
        .unseal = toy_unseal,
    };
    return &toy->crypto;
}
