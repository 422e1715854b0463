/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Both contestants take turns, round after round; the result is the median of the rounds. Prefixes
 * have the lengths of the Internet's routing tables and lie in as many blocks as there are
 * allocations; addresses lie in prefixes, each as likely as the other.
 */

#include <stdlib.h>
#include <sys/mman.h>

#include "../../lib/lpm.h"
#include "bench.h"

enum { ADDRESSES = 1 << 20, ROUNDS_MAX = 200, LEAST_ROUNDS = 15, LENGTHS = 16 };

/* How many of 1000 prefixes have a length, and how many blocks they lie in. */
static const struct lpm_case {
    const char *name;
    uint32_t family, prefixes, nodes, blocks, block_len;
    struct {
        uint32_t len, share;
    } lengths[LENGTHS];
} cases[] = {
    {"lpm4-1M",
     TUNNELCAP_IPV4,
     1000000,
     300000,
     40000,
     14,
     {{12, 1},
      {14, 2},
      {16, 14},
      {17, 8},
      {18, 14},
      {19, 25},
      {20, 44},
      {21, 52},
      {22, 110},
      {23, 100},
      {24, 610},
      {26, 5},
      {28, 5},
      {30, 4},
      {32, 6}}},
    {"lpm4-10k",
     TUNNELCAP_IPV4,
     10000,
     10000,
     1000,
     14,
     {{16, 20}, {19, 30}, {20, 50}, {21, 50}, {22, 110}, {23, 100}, {24, 610}, {32, 30}}},
    {"lpm6-200k",
     TUNNELCAP_IPV6,
     200000,
     300000,
     30000,
     32,
     {{28, 5},
      {29, 40},
      {30, 10},
      {32, 130},
      {33, 20},
      {34, 20},
      {36, 45},
      {38, 15},
      {40, 115},
      {42, 20},
      {44, 80},
      {46, 25},
      {47, 15},
      {48, 450},
      {64, 5},
      {128, 5}}},
};

struct prefix {
    uint8_t bytes[16];
    uint32_t len;
};

/* Prefixes in a trie, and in a table as one would write it for IPv4: the first 24 bits, then 8. */
struct field {
    const struct lpm_case *c;
    struct prefix *prefixes;
    uint8_t (*addresses)[16];
    uint32_t *results;
    uint32_t count;
    tunnelcap_i_lpm lpm;
    void *mem;
    size_t size;
    uint32_t *table24, *table8;
    uint32_t groups;
};

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void *get_memory(size_t bytes)
{
    void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (mem == MAP_FAILED)
        bench_fail("no memory for prefixes");
    madvise(mem, bytes, MADV_HUGEPAGE); /* as a router would; it may be refused */
    return mem;
}

static void cut(struct prefix *p, uint32_t bits)
{
    for (uint32_t bit = p->len; bit < bits; bit++)
        p->bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
}

/* One of the blocks that prefixes lie in: unicast; for IPv6 of what the registries have. */
static void draw_block(const struct lpm_case *c, uint64_t *random, uint8_t bytes[16])
{
    static const uint8_t registries[6] = {0x20, 0x24, 0x26, 0x28, 0x2a, 0x2c};
    uint64_t block = random_next(random) % c->blocks * 0x9e3779b97f4a7c15u;

    for (uint32_t i = 0; i < 16; i++)
        bytes[i] = (uint8_t)(i < 4 ? block >> (56 - 8 * i) : random_next(random));
    if (c->family == TUNNELCAP_IPV4) {
        bytes[0] = (uint8_t)(1 + bytes[0] % 223);
        if (c->block_len < 16)
            bytes[1] ^= (uint8_t)(random_next(random) & (0xff >> (c->block_len - 8)));
        bytes[2] = (uint8_t)random_next(random);
        bytes[3] = (uint8_t)random_next(random);
    } else {
        bytes[0] = registries[block % 6];
        bytes[1] &= 0x0f;
    }
}

static int compare_prefixes(const void *a, const void *b)
{
    const struct prefix *x = a, *y = b;
    int order = memcmp(x->bytes, y->bytes, 16);

    return order != 0 ? order : (int)x->len - (int)y->len;
}

static int compare_lengths(const void *a, const void *b)
{
    const struct prefix *x = a, *y = b;

    return x->len != y->len ? (int)x->len - (int)y->len : compare_prefixes(a, b);
}

static void draw_prefixes(struct field *field)
{
    const struct lpm_case *c = field->c;
    uint64_t random = 88172645463325252;
    uint32_t bits = c->family == TUNNELCAP_IPV4 ? 32 : 128;
    uint32_t all = c->prefixes + c->prefixes / 2; /* some come twice */
    uint32_t count = 0;

    field->prefixes = get_memory(all * sizeof(*field->prefixes));
    for (uint32_t i = 0; i < all; i++) {
        struct prefix *p = &field->prefixes[i];
        uint32_t share = (uint32_t)(random_next(&random) % 1000);
        uint32_t at = 0;

        while (share >= c->lengths[at].share && at + 1 < LENGTHS && c->lengths[at + 1].len != 0)
            share -= c->lengths[at++].share;
        draw_block(c, &random, p->bytes);
        memset(p->bytes + bits / 8, 0, 16 - bits / 8);
        p->len = c->lengths[at].len;
        cut(p, bits);
    }
    qsort(field->prefixes, all, sizeof(*field->prefixes), compare_prefixes);
    for (uint32_t i = 0; i < all; i++)
        if (i == 0 || compare_prefixes(&field->prefixes[count - 1], &field->prefixes[i]) != 0)
            field->prefixes[count++] = field->prefixes[i];
    for (uint32_t i = 0; i < count; i++) { /* which ones are left out, chance says */
        struct prefix swap = field->prefixes[i];
        uint32_t other = (uint32_t)(random_next(&random) % (i + 1));

        field->prefixes[i] = field->prefixes[other];
        field->prefixes[other] = swap;
    }
    if (count < c->prefixes)
        bench_fail("too few different prefixes");
    field->count = c->prefixes;
    qsort(field->prefixes, field->count, sizeof(*field->prefixes), compare_lengths);
    field->addresses = get_memory(ADDRESSES * sizeof(*field->addresses));
    field->results = get_memory(ADDRESSES * sizeof(*field->results));
    for (uint32_t i = 0; i < ADDRESSES; i++) {
        const struct prefix *p = &field->prefixes[random_next(&random) % field->count];

        memcpy(field->addresses[i], p->bytes, 16);
        for (uint32_t bit = p->len; bit < bits; bit++)
            field->addresses[i][bit / 8] ^=
                (uint8_t)((random_next(&random) >> 32 & 1) << (7 - bit % 8));
    }
}

static void fill_trie(struct field *field)
{
    tunnelcap_i_layout layout = {NULL, 0};

    tunnelcap_i_lpm_lay_out(&layout, field->c->nodes, 1, &field->lpm);
    field->size = layout.size;
    field->mem = get_memory(field->size);
    layout.base = field->mem;
    layout.size = 0;
    tunnelcap_i_lpm_lay_out(&layout, field->c->nodes, 1, &field->lpm);
    for (uint32_t i = 0; i < field->count; i++) {
        tunnelcap_i_lpm_prefix prefix = {field->prefixes[i].bytes, field->c->family, 0,
                                         field->prefixes[i].len};

        if (tunnelcap_i_lpm_add(&field->lpm, &prefix, i + 1) != TUNNELCAP_OK)
            bench_fail("a prefix does not fit");
    }
}

/* Shorter prefixes come first, so that longer ones overwrite them. */
static void fill_table(struct field *field)
{
    field->table24 = get_memory(sizeof(uint32_t) << 24);
    field->table8 = get_memory((sizeof(uint32_t) << 8) * field->count);
    for (uint32_t i = 0; i < field->count; i++) {
        const struct prefix *p = &field->prefixes[i];
        uint32_t addr = hand_load32(p->bytes);
        uint32_t *at = &field->table24[addr >> 8];

        if (p->len <= 24) {
            for (uint32_t n = 0; n < 1U << (24 - p->len); n++)
                at[n] = i + 1;
            continue;
        }
        if (!(*at >> 31)) {
            for (uint32_t n = 0; n < 256; n++)
                field->table8[field->groups * 256 + n] = *at;
            *at = 1U << 31 | field->groups++;
        }
        at = &field->table8[(*at & 0x7fffffff) * 256 + (addr & 0xff)];
        for (uint32_t n = 0; n < 1U << (32 - p->len); n++)
            at[n] = i + 1;
    }
}

typedef void contestant(struct field *field, uint32_t from);

static void run_trie(struct field *field, uint32_t from)
{
    tunnelcap_i_lpm_query queries[BATCH];

    for (uint32_t i = 0; i < BATCH; i++)
        tunnelcap_i_lpm_aim(&field->lpm, 0, field->c->family, field->addresses[from + i],
                            &queries[i]);
    tunnelcap_i_lpm_find(&field->lpm, queries, BATCH);
    for (uint32_t i = 0; i < BATCH; i++)
        field->results[from + i] = queries[i].value;
}

static void run_table(struct field *field, uint32_t from)
{
    uint32_t addr[BATCH];

    for (uint32_t i = 0; i < BATCH; i++) {
        addr[i] = hand_load32(field->addresses[from + i]);
        __builtin_prefetch(&field->table24[addr[i] >> 8]);
    }
    for (uint32_t i = 0; i < BATCH; i++) {
        uint32_t entry = field->table24[addr[i] >> 8];

        if (entry >> 31)
            entry = field->table8[(entry & 0x7fffffff) * 256 + (addr[i] & 0xff)];
        field->results[from + i] = entry;
    }
}

static double round_of(struct field *field, contestant *run)
{
    double begin = bench_now_ns();

    for (uint32_t i = 0; i < ADDRESSES; i += BATCH)
        run(field, i);
    return (bench_now_ns() - begin) / ADDRESSES;
}

/* The longest prefix, found by its length, one after the other: they are in that order. */
static void check_results(const struct field *field)
{
    for (uint32_t n = 0; n < 200; n++) {
        uint32_t at = n * (ADDRESSES / 200);
        uint32_t i = field->count;
        uint32_t bit;

        do {
            const struct prefix *p = &field->prefixes[--i];

            for (bit = 0; bit < p->len; bit++)
                if ((p->bytes[bit / 8] ^ field->addresses[at][bit / 8]) >> (7 - bit % 8) & 1)
                    break;
        } while (bit < field->prefixes[i].len);
        if (field->results[at] != i + 1)
            bench_fail("not the longest prefix");
    }
}

static void measure_case(struct field *field, double seconds, bench_row *row)
{
    static double trie[ROUNDS_MAX], table[ROUNDS_MAX];
    bool beside = field->c->family == TUNNELCAP_IPV4;
    double spent = 0;
    double ns;
    uint32_t n;

    for (n = 0; n < LEAST_ROUNDS || (n < ROUNDS_MAX && spent < seconds * 1e9); n++) {
        trie[n] = round_of(field, run_trie);
        if (n == 0)
            check_results(field);
        table[n] = beside ? round_of(field, run_table) : 0;
        if (n == 0 && beside)
            check_results(field);
        spent += (trie[n] + table[n]) * ADDRESSES;
    }
    ns = bench_median(trie, n);
    if (beside)
        row(field->c->name, 0, BATCH, ns, "24-8 table", bench_median(table, n),
            field->count >= 1000000 ? 1.15 : 0);
    else
        row(field->c->name, 0, BATCH, ns, "40 ns", 40, 1);
}

void bench_lpm(const char *only, double seconds, bench_row *row)
{
    static struct field field;

    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (only && !strstr(cases[i].name, only))
            continue;
        memset(&field, 0, sizeof(field));
        field.c = &cases[i];
        draw_prefixes(&field);
        fill_trie(&field);
        if (field.c->family == TUNNELCAP_IPV4)
            fill_table(&field);
        measure_case(&field, seconds, row);
        munmap(field.mem, field.size);
        if (field.table24) {
            munmap(field.table24, sizeof(uint32_t) << 24);
            munmap(field.table8, (sizeof(uint32_t) << 8) * field.count);
        }
        munmap(field.prefixes, (field.c->prefixes + field.c->prefixes / 2) * sizeof(struct prefix));
        munmap(field.addresses, ADDRESSES * sizeof(*field.addresses));
        munmap(field.results, ADDRESSES * sizeof(*field.results));
    }
}
