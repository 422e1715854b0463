/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include <tunnelcap/top.h>

#include "flow.h"
#include "object.h"

#include <string.h>

/* Implementation notes. Entries never move; a hash of their indices finds them by key, and a heap
 * of their indices, the lightest first, names the one to give up. Weights only grow, so an entry
 * only sinks. */

enum { OLDEST = sizeof(tunnelcap_top_config), KEYS_MAX = 1 << 20, KEY_MAX = TUNNELCAP_TOP_KEY_MAX };

typedef struct entry {
    uint64_t weight;
    uint64_t error;
    uint32_t at; /* its index in the heap */
    uint32_t hash;
    uint8_t key[KEY_MAX];
} entry;

struct tunnelcap_top {
    tunnelcap_i_owner owner;
    tunnelcap_i_flow_key flow_key;
    uint64_t total;
    uint32_t keys; /* capacity */
    uint32_t key_size;
    uint32_t count;
    uint32_t mask; /* of the hash */
    entry *entries;
    uint32_t *heap; /* indices of entries */
    uint32_t *hash; /* indices of entries + 1; 0 is empty */
};

static const tunnelcap_top_config defaults = {sizeof(defaults), 0, 256, 16};

int32_t tunnelcap_top_config_init(tunnelcap_top_config *config, uint32_t size)
{
    return tunnelcap_i_struct_init(config, size, &defaults, sizeof(defaults), OLDEST);
}

static int32_t read_config(tunnelcap_top_config *own, const tunnelcap_top_config *config)
{
    int32_t status;

    *own = defaults;
    status = tunnelcap_i_struct_read(own, sizeof(*own), OLDEST, config);
    if (status != TUNNELCAP_OK)
        return status;
    if (own->flags != 0)
        return TUNNELCAP_E_FLAGS;
    if (own->keys < 1 || own->keys > KEYS_MAX || own->key_size < 1 || own->key_size > KEY_MAX)
        return TUNNELCAP_E_RANGE;
    return TUNNELCAP_OK;
}

/* Entries of a hash that stays at most half full. */
static uint32_t hash_size(uint32_t keys)
{
    uint32_t size = 4;

    while (size < 2 * keys)
        size *= 2;
    return size;
}

static size_t lay_out(uint8_t *base, const tunnelcap_top_config *config, tunnelcap_top *parts)
{
    tunnelcap_i_layout layout = {base, 0};

    tunnelcap_i_layout_add(&layout, 1, sizeof(*parts));
    parts->entries = tunnelcap_i_layout_add(&layout, config->keys, sizeof(*parts->entries));
    parts->heap = tunnelcap_i_layout_add(&layout, config->keys, sizeof(*parts->heap));
    parts->hash = tunnelcap_i_layout_add(&layout, hash_size(config->keys), sizeof(*parts->hash));
    return layout.size;
}

size_t tunnelcap_top_size(const tunnelcap_top_config *config)
{
    tunnelcap_top_config own;
    tunnelcap_top parts;

    return read_config(&own, config) == TUNNELCAP_OK ? lay_out(NULL, &own, &parts) : 0;
}

int32_t tunnelcap_top_init(void *mem, size_t mem_size, const tunnelcap_top_config *config,
                           const uint8_t *seed, tunnelcap_top **out)
{
    tunnelcap_top_config own;
    tunnelcap_top *top = mem;
    size_t need;
    int32_t status = read_config(&own, config);

    if (status != TUNNELCAP_OK)
        return status;
    if (seed == NULL || out == NULL)
        return TUNNELCAP_E_INVALID;
    need = tunnelcap_top_size(config);
    status = tunnelcap_i_memory_check(mem, mem_size, need);
    if (status != TUNNELCAP_OK)
        return status;

    memset(mem, 0, need);
    lay_out(mem, &own, top);
    top->owner.bytes = need;
    top->flow_key = tunnelcap_i_flow_key_from(seed);
    top->keys = own.keys;
    top->key_size = own.key_size;
    top->mask = hash_size(own.keys) - 1;
    *out = top;
    return TUNNELCAP_OK;
}

void tunnelcap_top_fini(tunnelcap_top *top)
{
    tunnelcap_i_memory_end(top);
}

int32_t tunnelcap_top_new(const tunnelcap_top_config *config, const uint8_t *seed,
                          const tunnelcap_alloc *alloc, tunnelcap_top **out)
{
    tunnelcap_top_config own;
    tunnelcap_i_owner owner;
    void *mem;
    int32_t status = read_config(&own, config);

    if (status != TUNNELCAP_OK)
        return status;
    if (seed == NULL || out == NULL)
        return TUNNELCAP_E_INVALID;
    status = tunnelcap_i_memory_get(tunnelcap_top_size(config), alloc, &mem, &owner);
    if (status != TUNNELCAP_OK)
        return status;
    tunnelcap_top_init(mem, owner.bytes, config, seed, out);
    (*out)->owner = owner;
    return TUNNELCAP_OK;
}

void tunnelcap_top_free(tunnelcap_top *top)
{
    tunnelcap_i_memory_end(top);
}

/* ---- the hash ---- */

static uint32_t hash_of(const tunnelcap_top *top, const uint8_t key[KEY_MAX])
{
    uint64_t h =
        tunnelcap_i_hash2(top->flow_key, tunnelcap_i_word64(key), tunnelcap_i_word64(key + 8));

    if (top->key_size > 16)
        h = tunnelcap_i_hash2(top->flow_key, tunnelcap_i_word64(key + 16) ^ h,
                              tunnelcap_i_word64(key + 24));
    if (top->key_size > 32)
        h = tunnelcap_i_hash2(top->flow_key, tunnelcap_i_word64(key + 32), h);
    return (uint32_t)(h >> 32);
}

/* Where a key stands in the hash, or the empty place where it would. */
static uint32_t find(const tunnelcap_top *top, const uint8_t key[KEY_MAX], uint32_t hash)
{
    uint32_t at = hash & top->mask;
    const entry *e;

    for (; top->hash[at] != 0; at = (at + 1) & top->mask) {
        e = &top->entries[top->hash[at] - 1];
        if (e->hash == hash && memcmp(e->key, key, KEY_MAX) == 0)
            break;
    }
    return at;
}

/* Take an entry out of the hash; those that were pushed past it move back. */
static void unhash(tunnelcap_top *top, uint32_t index)
{
    uint32_t hole = top->entries[index].hash & top->mask;
    uint32_t home;

    while (top->hash[hole] != index + 1)
        hole = (hole + 1) & top->mask;
    for (uint32_t at = (hole + 1) & top->mask; top->hash[at] != 0; at = (at + 1) & top->mask) {
        home = top->entries[top->hash[at] - 1].hash;
        if (((at - home) & top->mask) >= ((at - hole) & top->mask)) {
            top->hash[hole] = top->hash[at];
            hole = at;
        }
    }
    top->hash[hole] = 0;
}

/* ---- the heap ---- */

static void place(tunnelcap_top *top, uint32_t at, uint32_t index)
{
    top->heap[at] = index;
    top->entries[index].at = at;
}

/* Let an entry whose weight has grown sink below all lighter ones. */
static void sink(tunnelcap_top *top, uint32_t index)
{
    uint32_t at = top->entries[index].at;
    uint64_t weight = top->entries[index].weight;
    uint32_t child;

    for (; (child = 2 * at + 1) < top->count; at = child) {
        if (child + 1 < top->count &&
            top->entries[top->heap[child + 1]].weight < top->entries[top->heap[child]].weight)
            child++;
        if (top->entries[top->heap[child]].weight >= weight)
            break;
        place(top, at, top->heap[child]);
    }
    place(top, at, index);
}

/* Let a new entry, which stands last, rise above all heavier ones. */
static void rise(tunnelcap_top *top, uint32_t index)
{
    uint32_t at = top->entries[index].at;
    uint32_t parent;

    for (; at > 0; at = parent) {
        parent = (at - 1) / 2;
        if (top->entries[top->heap[parent]].weight <= top->entries[index].weight)
            break;
        place(top, at, top->heap[parent]);
    }
    place(top, at, index);
}

int32_t tunnelcap_top_add(tunnelcap_top *top, const uint8_t *key, uint64_t weight)
{
    uint8_t own[KEY_MAX] = {0};
    uint32_t hash;
    uint32_t at;
    uint32_t index;
    entry *e;

    if (top == NULL || key == NULL)
        return TUNNELCAP_E_INVALID;
    if (weight == 0)
        return TUNNELCAP_OK;
    memcpy(own, key, top->key_size);
    hash = hash_of(top, own);
    at = find(top, own, hash);
    top->total += weight;
    if (top->hash[at] != 0) {
        index = top->hash[at] - 1;
        top->entries[index].weight += weight;
        sink(top, index);
        return TUNNELCAP_OK;
    }
    if (top->count < top->keys) {
        index = top->count++;
        e = &top->entries[index];
        e->at = index;
    } else {
        index = top->heap[0];
        e = &top->entries[index];
        unhash(top, index);
        e->error = e->weight;
    }
    e->weight += weight;
    e->hash = hash;
    memcpy(e->key, own, KEY_MAX);
    top->hash[find(top, own, hash)] = index + 1;
    if (e->error == 0)
        rise(top, index);
    else
        sink(top, index);
    return TUNNELCAP_OK;
}

/* ---- lists ---- */

/* 1 if item a comes before item b in a list. */
static uint32_t is_before(const tunnelcap_top_item *a, const tunnelcap_top_item *b)
{
    return a->weight != b->weight ? a->weight > b->weight : memcmp(a->key, b->key, KEY_MAX) < 0;
}

/* Let the item at `at` of a heap, the last of the list first, sink to its place. */
static void sift(tunnelcap_top_item *items, uint32_t count, uint32_t at)
{
    tunnelcap_top_item item = items[at];
    uint32_t child;

    for (; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && is_before(&items[child], &items[child + 1]))
            child++;
        if (!is_before(&item, &items[child]))
            break;
        items[at] = items[child];
    }
    items[at] = item;
}

int32_t tunnelcap_top_list(const tunnelcap_top *top, tunnelcap_top_item *items, uint32_t cap,
                           uint32_t *count, uint64_t *total)
{
    tunnelcap_top_item item;
    uint32_t n = 0;

    if (top == NULL || count == NULL || (items == NULL && cap > 0))
        return TUNNELCAP_E_INVALID;
    /* The best `cap` so far form a heap whose first is the one to be pushed out. */
    for (uint32_t i = 0; i < top->count && cap > 0; i++) {
        item.weight = top->entries[i].weight;
        item.error = top->entries[i].error;
        memcpy(item.key, top->entries[i].key, KEY_MAX);
        if (n < cap) {
            items[n++] = item;
            for (uint32_t at = n / 2; n == cap && at-- > 0;)
                sift(items, n, at);
        } else if (is_before(&item, &items[0])) {
            items[0] = item;
            sift(items, n, 0);
        }
    }
    for (uint32_t at = n / 2; n < cap && at-- > 0;)
        sift(items, n, at);
    for (uint32_t end = n; end > 1; end--) {
        item = items[0];
        items[0] = items[end - 1];
        items[end - 1] = item;
        sift(items, end - 1, 0);
    }
    *count = n;
    if (total != NULL)
        *total = top->total;
    return TUNNELCAP_OK;
}

void tunnelcap_top_clear(tunnelcap_top *top)
{
    if (top == NULL)
        return;
    memset(top->entries, 0, top->count * sizeof(*top->entries));
    memset(top->hash, 0, ((size_t)top->mask + 1) * sizeof(*top->hash));
    top->count = 0;
    top->total = 0;
}
