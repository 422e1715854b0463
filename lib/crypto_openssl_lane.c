/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Implementation notes
 *
 * Slots are found by a hash table of chains over the generation number of the key and its
 * direction. A key that has no slot takes a free one, or the one that the hand of a clock finds:
 * the first that was not used since the hand's last round, preferably one whose contexts have
 * the right ciphers already. Such contexts are keyed in place; another cipher makes libcrypto
 * allocate its state anew. So a lane with a slot for each key and direction allocates once for
 * each, and one whose keys are all of one algorithm never again after its slots were filled.
 */
#include "crypto_openssl.h"

#ifdef TUNNELCAP_WITH_OPENSSL

#include <limits.h>
#include <openssl/err.h>
#include <string.h>

#include "object.h"
#include "secure.h"

enum {
    CLOCK_LOOKS = 8, /* unused slots that are looked at for one of the right ciphers */
    GROUP = 16       /* operations of several keys that are looked at together */
};

/* ---- slots ---- */

static uint64_t slot_tag(const tunnelcap_i_ossl_key *key, int direction)
{
    return key->generation << 1 | (uint64_t)direction;
}

/* Generations count up, so their low bits spread best. */
static uint32_t *bucket_of(const tunnelcap_i_ossl_lane *lane, uint64_t tag)
{
    return &lane->buckets[(tag >> 1) & lane->bucket_mask];
}

static tunnelcap_i_ossl_slot *find_slot(const tunnelcap_i_ossl_lane *lane, uint64_t tag)
{
    uint32_t number = *bucket_of(lane, tag);

    while (number != 0) {
        tunnelcap_i_ossl_slot *slot = &lane->slots[number - 1];
        if (slot->tag == tag)
            return slot;
        number = slot->next;
    }
    return NULL;
}

static uint32_t number_of(const tunnelcap_i_ossl_lane *lane, const tunnelcap_i_ossl_slot *slot)
{
    return (uint32_t)(slot - lane->slots) + 1;
}

static void unlink_slot(tunnelcap_i_ossl_lane *lane, tunnelcap_i_ossl_slot *slot)
{
    uint32_t number = number_of(lane, slot);
    uint32_t *link = bucket_of(lane, slot->tag);

    while (*link != number)
        link = &lane->slots[*link - 1].next;
    *link = slot->next;
    slot->tag = 0;
}

static void link_slot(tunnelcap_i_ossl_lane *lane, tunnelcap_i_ossl_slot *slot, uint64_t tag)
{
    uint32_t *bucket = bucket_of(lane, tag);

    slot->tag = tag;
    slot->next = *bucket;
    *bucket = number_of(lane, slot);
}

static void release_slot(tunnelcap_i_ossl_lane *lane, tunnelcap_i_ossl_slot *slot)
{
    unlink_slot(lane, slot);
    slot->next = lane->free;
    lane->free = number_of(lane, slot);
}

static uint32_t is_among(EVP_CIPHER *const *ciphers, uint32_t n, const EVP_CIPHER *cipher)
{
    for (uint32_t i = 0; cipher != NULL && i < n; i++) {
        if (ciphers[i] == cipher)
            return 1;
    }
    return 0;
}

static uint32_t is_lean(const tunnelcap_i_ossl_lane *lane, const tunnelcap_i_ossl_key *key)
{
    return is_among(lane->lean, TUNNELCAP_I_LEAN_CIPHERS, key->cipher);
}

static uint32_t is_bulk(const tunnelcap_i_ossl_lane *lane, const tunnelcap_i_ossl_key *key)
{
    return is_among(lane->bulk, TUNNELCAP_I_BULK_CIPHERS, key->block_cipher);
}

static uint32_t has_ciphers_of(const tunnelcap_i_ossl_lane *lane, const tunnelcap_i_ossl_slot *slot,
                               const tunnelcap_i_ossl_key *key)
{
    const EVP_CIPHER *cipher = is_bulk(lane, key) ? key->block_cipher : key->cipher;

    return (cipher == NULL || EVP_CIPHER_CTX_get0_cipher(slot->cipher) == cipher) &&
           (key->mac_cipher == NULL || EVP_CIPHER_CTX_get0_cipher(slot->mac) == key->mac_cipher);
}

/* Every slot is in use by some key when this is called, so that each has a bucket to leave. */
static tunnelcap_i_ossl_slot *evict_slot(tunnelcap_i_ossl_lane *lane,
                                         const tunnelcap_i_ossl_key *key)
{
    tunnelcap_i_ossl_slot *victim = NULL;
    uint32_t looks = 0;

    while (looks < CLOCK_LOOKS) {
        tunnelcap_i_ossl_slot *slot = &lane->slots[lane->hand];
        lane->hand = lane->hand + 1 < lane->slot_count ? lane->hand + 1 : 0;
        if (slot->used) {
            slot->used = 0;
            continue;
        }
        looks++;
        if (victim == NULL || has_ciphers_of(lane, slot, key))
            victim = slot;
        if (has_ciphers_of(lane, slot, key))
            break;
    }
    unlink_slot(lane, victim);
    return victim;
}

static int32_t bind_slot(tunnelcap_i_ossl_lane *lane, tunnelcap_i_ossl_slot *slot,
                         const tunnelcap_i_ossl_key *key, int direction)
{
    int32_t status;

    slot->lean = (uint8_t)is_lean(lane, key);
    slot->bulk = (uint8_t)is_bulk(lane, key);
    status = tunnelcap_i_ossl_cipher_bind(slot, key, direction);
    return status == TUNNELCAP_OK ? tunnelcap_i_ossl_mac_bind(slot, key) : status;
}

/* The slot of a key, keyed if it was not there; NULL where libcrypto fails. */
static tunnelcap_i_ossl_slot *get_slot(tunnelcap_i_ossl_lane *lane, const tunnelcap_i_ossl_key *key,
                                       int direction)
{
    uint64_t tag = slot_tag(key, direction);
    tunnelcap_i_ossl_slot *slot = find_slot(lane, tag);

    if (slot == NULL) {
        if (lane->free != 0) {
            slot = &lane->slots[lane->free - 1];
            lane->free = slot->next;
        } else {
            slot = evict_slot(lane, key);
        }
        link_slot(lane, slot, tag);
        if (bind_slot(lane, slot, key, direction) != TUNNELCAP_OK) {
            release_slot(lane, slot);
            return NULL;
        }
    }
    slot->used = 1;
    return slot;
}

/* ---- operations ---- */

/* libcrypto would keep a part of a block for later, where it is lost. */
static uint32_t is_sound(const tunnelcap_crypto_op *op)
{
    const tunnelcap_i_ossl_key *key = op->key;

    return (op->text_len & (key->block - 1u)) == 0 && op->text_len <= INT_MAX / 2;
}

/* How many of the next operations can be carried out together: those of one key, or one that
 * cannot be carried out at all. */
static uint32_t count_alike(tunnelcap_crypto_op *const *ops, uint32_t n)
{
    uint32_t i = 0;

    while (i < n && ops[i]->key == ops[0]->key && is_sound(ops[i]))
        i++;
    return i > 0 ? i : 1;
}

/* Carry out operations of one key until libcrypto fails; how many have a status now. The slot of
 * a failure is given up, as is the text: whatever is not verified is wiped. */
static uint32_t run_alike(tunnelcap_i_ossl_lane *lane, tunnelcap_crypto_op *const *ops, uint32_t n,
                          int direction)
{
    const tunnelcap_i_ossl_key *key = ops[0]->key;
    tunnelcap_i_ossl_slot *slot = is_sound(ops[0]) ? get_slot(lane, key, direction) : NULL;
    int32_t status = TUNNELCAP_E_CRYPTO;
    uint32_t done = 0;

    if (slot == NULL) {
        ops[done++]->status = status;
    } else if (slot->bulk) {
        status = tunnelcap_i_ossl_gcm_run(lane, slot, key, ops, n, direction);
        done = n;
    } else {
        do {
            status = key->run[direction](lane, slot, key, ops[done]);
            ops[done++]->status = status;
        } while (status != TUNNELCAP_E_CRYPTO && done < n);
    }
    if (slot != NULL && status == TUNNELCAP_E_CRYPTO)
        release_slot(lane, slot);
    for (uint32_t i = 0; i < done; i++) {
        if (ops[i]->status != TUNNELCAP_OK)
            tunnelcap_i_wipe(ops[i]->text, ops[i]->text_len);
    }
    return done;
}

static void prefetch(const void *at)
{
#ifdef __GNUC__
    __builtin_prefetch(at);
#else
    (void)at;
#endif
}

/* Fetch what a group of operations needs, all at a time: first where to look, then the slots. */
static void fetch_group(const tunnelcap_i_ossl_lane *lane, tunnelcap_crypto_op *const *ops,
                        uint32_t n, int direction)
{
    for (uint32_t i = 0; i < n; i++) {
        const tunnelcap_i_ossl_key *key = ops[i]->key;
        prefetch(bucket_of(lane, slot_tag(key, direction)));
        prefetch(ops[i]->text);
    }
    for (uint32_t i = 0; i < n; i++) {
        const tunnelcap_i_ossl_key *key = ops[i]->key;
        uint32_t number = *bucket_of(lane, slot_tag(key, direction));
        if (number != 0)
            prefetch(&lane->slots[number - 1]);
    }
    for (uint32_t i = 0; i < n; i++) {
        const tunnelcap_i_ossl_slot *slot = find_slot(lane, slot_tag(ops[i]->key, direction));
        if (slot != NULL)
            prefetch(slot->cipher);
    }
}

/* One of 64 bits for a key; two keys may have the same. */
static uint64_t key_bit(const tunnelcap_crypto_op *op)
{
    uintptr_t line = (uintptr_t)op->key / 64;

    return (uint64_t)1 << ((line ^ line >> 6 ^ line >> 12) & 63);
}

/* Bring operations of one key together: they cost less that way. */
static void gather(tunnelcap_crypto_op **ops, uint32_t n)
{
    uint64_t seen = 0;
    uint64_t again = 0;
    uint32_t end;

    for (uint32_t i = 0; i < n; i++) {
        again |= seen & key_bit(ops[i]);
        seen |= key_bit(ops[i]);
    }
    for (uint32_t i = 0; i < n; i = end) {
        end = i + 1;
        for (uint32_t k = (again & key_bit(ops[i])) != 0 ? end : n; k < n; k++) {
            tunnelcap_crypto_op *op = ops[k];
            if (op->key != ops[i]->key)
                continue;
            ops[k] = ops[end];
            ops[end++] = op;
        }
    }
}

static void run_all(tunnelcap_i_ossl_lane *lane, tunnelcap_crypto_op *const *ops, uint32_t n,
                    int direction)
{
    tunnelcap_crypto_op *group[GROUP];

    for (uint32_t at = 0; at < n;) {
        uint32_t count = count_alike(ops + at, n - at);

        if (count == n - at || count >= GROUP) {
            at += run_alike(lane, ops + at, count, direction);
            continue;
        }
        count = n - at < GROUP ? n - at : GROUP;
        memcpy(group, ops + at, count * sizeof(group[0]));
        gather(group, count);
        fetch_group(lane, group, count, direction);
        for (uint32_t i = 0; i < count;)
            i += run_alike(lane, group + i, count_alike(group + i, count - i), direction);
        at += count;
    }
}

void tunnelcap_i_ossl_seal(void *self, void *lane, tunnelcap_crypto_op *const *ops, uint32_t n)
{
    (void)self;
    run_all(lane, ops, n, TUNNELCAP_I_SEAL);
}

void tunnelcap_i_ossl_unseal(void *self, void *lane, tunnelcap_crypto_op *const *ops, uint32_t n)
{
    (void)self;
    run_all(lane, ops, n, TUNNELCAP_I_OPEN);
}

/* ---- lanes ---- */

static size_t lay_out(uint8_t *base, uint32_t key_slots, tunnelcap_i_ossl_lane *parts)
{
    tunnelcap_i_layout layout = {base, 0};
    uint32_t buckets = 1;

    while (buckets < key_slots && buckets < UINT32_MAX / 2 + 1)
        buckets *= 2;
    tunnelcap_i_layout_add(&layout, 1, sizeof(*parts));
    parts->slots = tunnelcap_i_layout_add(&layout, key_slots, sizeof(*parts->slots));
    parts->buckets = tunnelcap_i_layout_add(&layout, buckets, sizeof(*parts->buckets));
    parts->slot_count = key_slots;
    parts->bucket_mask = buckets - 1;
    return layout.size;
}

size_t tunnelcap_i_ossl_lane_size(void *self, uint32_t max_burst, uint32_t key_slots)
{
    tunnelcap_i_ossl_lane parts;

    (void)self;
    (void)max_burst;
    return lay_out(NULL, key_slots, &parts);
}

/* A context for each hash that libcrypto has. */
static void init_hmac(tunnelcap_i_ossl_lane *lane)
{
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);

    for (uint32_t i = 0; hmac != NULL && i < TUNNELCAP_I_HASHES; i++) {
        const OSSL_PARAM params[] = {
            OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
                                             (char *)(uintptr_t)tunnelcap_i_hash_names[i], 0),
            OSSL_PARAM_construct_end()};
        lane->hmac[i] = EVP_MAC_CTX_new(hmac);
        if (lane->hmac[i] != NULL && !EVP_MAC_CTX_set_params(lane->hmac[i], params)) {
            EVP_MAC_CTX_free(lane->hmac[i]);
            lane->hmac[i] = NULL;
        }
    }
    EVP_MAC_free(hmac);
}

/* Find out which ciphers may be called by the short patterns, and which by bursts. */
static void try_ciphers(tunnelcap_i_ossl_lane *lane, uint32_t way)
{
    static const struct {
        const char *name;
        uint8_t kind;
    } ciphers[TUNNELCAP_I_LEAN_CIPHERS] = {{"AES-128-GCM", TUNNELCAP_I_CIPHER_GCM},
                                           {"AES-192-GCM", TUNNELCAP_I_CIPHER_GCM},
                                           {"AES-256-GCM", TUNNELCAP_I_CIPHER_GCM},
                                           {"ChaCha20-Poly1305", TUNNELCAP_I_CIPHER_CHACHA}};

    for (uint32_t i = 0; i < TUNNELCAP_I_LEAN_CIPHERS; i++) {
        EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, ciphers[i].name, NULL);
        if (cipher == NULL)
            continue;
        if (i < TUNNELCAP_I_BULK_CIPHERS)
            lane->bulk[i] = tunnelcap_i_ossl_try_bulk(lane, cipher, way);
        if (tunnelcap_i_ossl_try_lean(cipher, ciphers[i].kind))
            lane->lean[i] = cipher;
        else
            EVP_CIPHER_free(cipher);
    }
}

int32_t tunnelcap_i_ossl_lane_init(void *self, void *mem, uint32_t max_burst, uint32_t key_slots)
{
    tunnelcap_i_ossl_lane *lane = mem;
    uint32_t way = tunnelcap_i_ossl_way(self);

    (void)max_burst;
    lay_out(mem, key_slots, lane);
    for (uint32_t i = key_slots; i > 0; i--) {
        tunnelcap_i_ossl_slot *slot = &lane->slots[i - 1];
        slot->next = lane->free;
        lane->free = i;
        slot->cipher = EVP_CIPHER_CTX_new();
        slot->mac = EVP_CIPHER_CTX_new();
        if (slot->cipher == NULL || slot->mac == NULL) {
            tunnelcap_i_ossl_lane_fini(self, lane);
            return TUNNELCAP_E_NOMEM;
        }
    }
    ERR_set_mark();
    init_hmac(lane);
    if (way < TUNNELCAP_I_OSSL_PORTABLE)
        try_ciphers(lane, way);
    ERR_pop_to_mark();
    return TUNNELCAP_OK;
}

static const uint8_t zero_key[EVP_MAX_KEY_LENGTH];

/* Overwrite the key in a context in place, which keeps the context's memory for the next key;
 * where libcrypto refuses the key of zeros, give that memory up, which wipes it. */
static void wipe_context(EVP_CIPHER_CTX *ctx)
{
    if (EVP_CIPHER_CTX_get0_cipher(ctx) == NULL)
        return;
    ERR_set_mark();
    if (!EVP_CipherInit_ex2(ctx, NULL, zero_key, NULL, -1, NULL))
        EVP_CIPHER_CTX_reset(ctx);
    ERR_pop_to_mark();
}

void tunnelcap_i_ossl_lane_forget(void *self, void *mem, const void *key)
{
    tunnelcap_i_ossl_lane *lane = mem;

    (void)self;
    for (int direction = TUNNELCAP_I_OPEN; direction <= TUNNELCAP_I_SEAL; direction++) {
        tunnelcap_i_ossl_slot *slot = find_slot(lane, slot_tag(key, direction));
        if (slot == NULL)
            continue;
        wipe_context(slot->cipher);
        wipe_context(slot->mac);
        release_slot(lane, slot);
    }
    for (uint32_t i = 0; i < TUNNELCAP_I_HASHES; i++) {
        if (lane->hmac[i] != NULL)
            EVP_MAC_init(lane->hmac[i], zero_key, sizeof(zero_key), NULL);
    }
    tunnelcap_i_wipe(&lane->hash, sizeof(lane->hash));
    tunnelcap_i_wipe(lane->scratch, sizeof(lane->scratch));
}

void tunnelcap_i_ossl_lane_fini(void *self, void *mem)
{
    tunnelcap_i_ossl_lane *lane = mem;

    for (uint32_t i = 0; i < lane->slot_count; i++) {
        EVP_CIPHER_CTX_free(lane->slots[i].cipher);
        EVP_CIPHER_CTX_free(lane->slots[i].mac);
    }
    for (uint32_t i = 0; i < TUNNELCAP_I_HASHES; i++)
        EVP_MAC_CTX_free(lane->hmac[i]);
    for (uint32_t i = 0; i < TUNNELCAP_I_LEAN_CIPHERS; i++)
        EVP_CIPHER_free(lane->lean[i]);
    for (uint32_t i = 0; i < TUNNELCAP_I_BULK_CIPHERS; i++)
        EVP_CIPHER_free(lane->bulk[i]);
    tunnelcap_i_wipe(lane, tunnelcap_i_ossl_lane_size(self, 0, lane->slot_count));
}

#endif
