/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Both contestants know the same tunnels, verify the whole key and add to a number of the record
 * that they find. They take turns; the result is the median of the rounds.
 */

#include <stdlib.h>
#include <sys/mman.h>

#include "../../lib/table.h"
#include "bench.h"

enum { KEYS = 1 << 20, ROUNDS_MAX = 200, LEAST_ROUNDS = 15 };

/* What the hand loop has of a tunnel: one line of memory. */
struct record {
    tunnelcap_i_key key;
    uint64_t id;
    uint64_t touched;
};

struct field {
    const char *name;
    uint32_t count;
    tunnelcap_table *table;
    size_t table_size;
    tunnelcap_i_key *keys; /* KEYS of them, in random order */
    struct record *records;
    uint32_t *hash;
    uint32_t mask;
    uint64_t sum;
};

static void *get_memory(size_t count, size_t bytes)
{
    void *mem =
        mmap(NULL, count * bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (mem == MAP_FAILED)
        bench_fail("no memory for tunnels");
    madvise(mem, count * bytes, MADV_HUGEPAGE); /* as a router would; it may be refused */
    return mem;
}

static void need(int32_t status)
{
    if (status != TUNNELCAP_OK)
        bench_fail(tunnelcap_status_text(status));
}

/* Where the far end of tunnel `i` is: many have an address of their own. */
static uint32_t remote_of(uint32_t i)
{
    return 0x0b000000 + i * 3;
}

static void fill_table(struct field *field)
{
    static const uint8_t seed[TUNNELCAP_SEED_SIZE] = {3, 1, 4};
    tunnelcap_table_config config;
    tunnelcap_tunnel policy;
    tunnelcap_gre_config gre;

    need(tunnelcap_table_config_init(&config, sizeof(config)));
    config.tunnels = field->count;
    config.routes = config.lanes = config.sas = config.changes = config.paths = 1;
    field->table_size = tunnelcap_table_size(&config);
    need(tunnelcap_table_init(get_memory(1, field->table_size), field->table_size, &config, seed,
                              &field->table));
    need(tunnelcap_tunnel_init(&policy, sizeof(policy)));
    policy.pmtu_mode = TUNNELCAP_PMTU_FIXED;
    need(tunnelcap_gre_config_init(&gre, sizeof(gre)));
    gre.outer.local.family = gre.outer.remote.family = TUNNELCAP_IPV4;
    hand_store32(gre.outer.local.bytes, 0xc0000201);
    gre.flags = TUNNELCAP_GRE_KEY_IN | TUNNELCAP_GRE_KEY_OUT;
    need(tunnelcap_table_begin(field->table));
    for (uint32_t i = 0; i < field->count; i++) {
        hand_store32(gre.outer.remote.bytes, remote_of(i));
        gre.key_in = gre.key_out = i;
        need(tunnelcap_table_set_gre(field->table, i + 1, &policy, &gre));
    }
    need(tunnelcap_table_commit(field->table, NULL));
}

static tunnelcap_i_key key_of(uint32_t i)
{
    tunnelcap_i_key key;

    memset(&key, 0, sizeof(key));
    hand_store32(key.addr, remote_of(i));
    hand_store32(key.addr + 4, 0xc0000201);
    key.key = i;
    key.kind = TUNNELCAP_KIND_GRE;
    key.family = TUNNELCAP_IPV4;
    key.keyed = 1;
    return key;
}

/* A good hash of the four words that differ, as one would write it for this table alone. */
static uint32_t hand_hash(const tunnelcap_i_key *key)
{
    uint64_t addr, rest;

    memcpy(&addr, key->addr, sizeof(addr));
    memcpy(&rest, &key->outer_vrf, sizeof(rest));
    addr = (addr ^ rest * 0x9e3779b97f4a7c15) * 0xff51afd7ed558ccd;
    return (uint32_t)(addr ^ addr >> 32);
}

static void fill_hand(struct field *field)
{
    uint32_t entries = 4;

    while (entries < 2 * field->count)
        entries *= 2;
    field->mask = entries - 1;
    field->hash = get_memory(entries, sizeof(*field->hash));
    field->records = get_memory(field->count, sizeof(*field->records));
    for (uint32_t i = 0; i < field->count; i++) {
        uint32_t at;

        field->records[i].key = key_of(i);
        field->records[i].id = i + 1;
        at = hand_hash(&field->records[i].key) & field->mask;
        while (field->hash[at] != 0)
            at = (at + 1) & field->mask;
        field->hash[at] = i + 1;
    }
}

typedef void contestant(struct field *field, uint32_t from);

static void run_table(struct field *field, uint32_t from)
{
    const tunnelcap_i_view *view = tunnelcap_i_current(field->table);
    tunnelcap_i_find finds[BATCH];

    for (uint32_t i = 0; i < BATCH; i++)
        tunnelcap_i_find_aim(field->table, view, &field->keys[from + i], &finds[i]);
    tunnelcap_i_find_keys(field->table, view, finds, BATCH);
    for (uint32_t i = 0; i < BATCH; i++)
        field->sum += finds[i].tunnel->id;
}

static void run_hand_loop(struct field *field, uint32_t from)
{
    uint32_t at[BATCH];

    for (uint32_t i = 0; i < BATCH; i++) {
        at[i] = hand_hash(&field->keys[from + i]) & field->mask;
        __builtin_prefetch(&field->hash[at[i]]);
    }
    for (uint32_t i = 0; i < BATCH; i++)
        __builtin_prefetch(&field->records[field->hash[at[i]] - 1]);
    for (uint32_t i = 0; i < BATCH; i++) {
        const tunnelcap_i_key *key = &field->keys[from + i];

        while (memcmp(&field->records[field->hash[at[i]] - 1].key, key, sizeof(*key)) != 0)
            at[i] = (at[i] + 1) & field->mask;
        field->sum += field->records[field->hash[at[i]] - 1].id;
    }
}

static double round_of(struct field *field, contestant *run)
{
    uint64_t before = field->sum;
    double spent = bench_now_ns();

    for (uint32_t i = 0; i < KEYS; i += BATCH)
        run(field, i);
    spent = bench_now_ns() - spent;
    if (field->sum == before)
        bench_fail("nothing was found");
    return spent / KEYS;
}

/* Both must find the tunnel that the key was made of. */
static void check(struct field *field)
{
    uint64_t by_table, by_hand;

    field->sum = 0;
    round_of(field, run_table);
    by_table = field->sum;
    field->sum = 0;
    round_of(field, run_hand_loop);
    by_hand = field->sum;
    if (by_table != by_hand)
        bench_fail("library and hand loop find different tunnels");
}

static void run_field(struct field *field, double seconds, bench_row *row)
{
    static double table[ROUNDS_MAX], hand[ROUNDS_MAX];
    uint64_t random = 88172645463325252;
    uint32_t rounds = 0;
    double spent = 0;

    fill_table(field);
    fill_hand(field);
    field->keys = get_memory(KEYS, sizeof(*field->keys));
    for (uint32_t i = 0; i < KEYS; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        field->keys[i] = key_of((uint32_t)((random >> 20) % field->count));
    }
    check(field);
    while (rounds < ROUNDS_MAX && (rounds < LEAST_ROUNDS || spent < seconds * 1e9)) {
        table[rounds] = round_of(field, run_table);
        hand[rounds] = round_of(field, run_hand_loop);
        spent += (table[rounds] + hand[rounds]) * KEYS;
        rounds++;
    }
    row(field->name, 0, BATCH, bench_median(table, rounds), "hand loop", bench_median(hand, rounds),
        1.3);
    munmap(field->table, field->table_size);
    munmap(field->records, field->count * sizeof(*field->records));
    munmap(field->hash, ((size_t)field->mask + 1) * sizeof(*field->hash));
    munmap(field->keys, KEYS * sizeof(*field->keys));
}

void bench_find(const char *only, double seconds, bench_row *row)
{
    static const struct {
        const char *name;
        uint32_t count;
    } fields[] = {{"find-10k", 10000}, {"find-1M", 1000000}};

    for (uint32_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        struct field field = {.name = fields[i].name, .count = fields[i].count};

        if (!only || strstr(field.name, only))
            run_field(&field, seconds, row);
    }
}
