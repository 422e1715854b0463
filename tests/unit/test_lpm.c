/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Longest prefix match against a list of prefixes that is gone through one by one. */
#include "lpm.h"
#include "support.h"

enum { PREFIXES = 48, NARROW = 24, WIDE = TUNNELCAP_I_LPM_WIDE_FROM, VRFS = 2 };

typedef struct model_prefix {
    uint8_t bytes[16];
    uint32_t family, vrf, len, value; /* value 0: this entry is free */
} model_prefix;

/* A trie in memory of exactly its size, and what should be in it. */
typedef struct trie {
    tunnelcap_i_lpm lpm;
    uint8_t *mem;
    size_t size;
    model_prefix model[PREFIXES];
    uint32_t count;
} trie;

static void trie_open(trie *t, uint32_t nodes)
{
    tunnelcap_i_layout layout = {NULL, 0};
    memset(t, 0, sizeof(*t));
    tunnelcap_i_lpm_lay_out(&layout, nodes, VRFS, &t->lpm);
    t->size = layout.size;
    t->mem = test_arena(t->size);
    memset(t->mem, 0, t->size);
    layout.base = t->mem;
    layout.size = 0;
    tunnelcap_i_lpm_lay_out(&layout, nodes, VRFS, &t->lpm);
    ck_assert_uint_eq(layout.size, t->size);
}

static void trie_close(trie *t)
{
    test_arena_free(t->mem);
}

static tunnelcap_i_lpm_prefix view_of(const model_prefix *p)
{
    return (tunnelcap_i_lpm_prefix){p->bytes, p->family, p->vrf, p->len};
}

static bool holds(const model_prefix *p, const model_prefix *addr, uint32_t bits)
{
    if (p->value == 0 || p->family != addr->family || p->vrf != addr->vrf || p->len > bits)
        return false;
    for (uint32_t bit = 0; bit < p->len; bit++) {
        if ((p->bytes[bit / 8] ^ addr->bytes[bit / 8]) >> (7 - bit % 8) & 1)
            return false;
    }
    return true;
}

/* The longest prefix of at most `bits` bits that holds an address; NULL if there is none. */
static const model_prefix *longest(const trie *t, const model_prefix *addr, uint32_t bits)
{
    const model_prefix *best = NULL;
    for (uint32_t i = 0; i < PREFIXES; i++) {
        if (holds(&t->model[i], addr, bits) && (best == NULL || t->model[i].len > best->len))
            best = &t->model[i];
    }
    return best;
}

static model_prefix *same(trie *t, const model_prefix *p)
{
    for (uint32_t i = 0; i < PREFIXES; i++) {
        model_prefix *m = &t->model[i];
        if (m->value != 0 && m->family == p->family && m->vrf == p->vrf && m->len == p->len &&
            memcmp(m->bytes, p->bytes, sizeof(p->bytes)) == 0)
            return m;
    }
    return NULL;
}

static int32_t trie_add(trie *t, const model_prefix *p)
{
    tunnelcap_i_lpm_prefix prefix = view_of(p);
    int32_t status = tunnelcap_i_lpm_add(&t->lpm, &prefix, p->value);
    model_prefix *m = t->model;
    if (status != TUNNELCAP_OK)
        return status;
    while (m->value != 0)
        m++;
    *m = *p;
    t->count++;
    return status;
}

static void trie_remove(trie *t, model_prefix *m)
{
    model_prefix gone = *m;
    tunnelcap_i_lpm_prefix prefix = view_of(&gone);
    m->value = 0;
    const model_prefix *cover = longest(t, &gone, gone.len);
    tunnelcap_i_lpm_remove(&t->lpm, &prefix, cover == NULL ? 0 : cover->value,
                           cover == NULL ? 0 : cover->len);
    t->count--;
}

static void trie_change(trie *t, model_prefix *m, uint32_t value)
{
    tunnelcap_i_lpm_prefix prefix = view_of(m);
    m->value = value;
    tunnelcap_i_lpm_change(&t->lpm, &prefix, value);
}

/* ---- looking up ---- */

typedef struct lookups {
    model_prefix addr[TUNNELCAP_I_LPM_BURST];
    uint8_t *exact[TUNNELCAP_I_LPM_BURST];
    tunnelcap_i_lpm_query queries[TUNNELCAP_I_LPM_BURST];
    uint32_t count;
} lookups;

static void flush(const trie *t, lookups *l)
{
    tunnelcap_i_lpm_find(&t->lpm, l->queries, l->count);
    for (uint32_t i = 0; i < l->count; i++) {
        const model_prefix *want = longest(t, &l->addr[i], 128);
        ck_assert_uint_eq(l->queries[i].value, want == NULL ? 0 : want->value);
        free(l->exact[i]);
    }
    l->count = 0;
}

static void look(const trie *t, lookups *l, const model_prefix *addr)
{
    uint8_t *exact = test_copy(addr->bytes, addr->family == TUNNELCAP_IPV4 ? 4 : 16);
    l->addr[l->count] = *addr;
    l->exact[l->count] = exact;
    tunnelcap_i_lpm_aim(&t->lpm, addr->vrf, addr->family, exact, &l->queries[l->count++]);
    if (l->count == TUNNELCAP_I_LPM_BURST)
        flush(t, l);
}

/* Add 1 or -1 to an address. */
static void step(model_prefix *addr, int32_t by)
{
    uint8_t edge = by > 0 ? 0 : 0xff;
    for (uint32_t i = addr->family == TUNNELCAP_IPV4 ? 4 : 16; i-- > 0;) {
        addr->bytes[i] = (uint8_t)(addr->bytes[i] + by);
        if (addr->bytes[i] != edge)
            return;
    }
}

/* Every prefix's first and last address, and those before and behind. */
static void check_edges(const trie *t)
{
    lookups l = {.count = 0};
    for (uint32_t i = 0; i < PREFIXES; i++) {
        model_prefix addr = t->model[i];
        if (addr.value == 0)
            continue;
        look(t, &l, &addr);
        step(&addr, -1);
        look(t, &l, &addr);
        addr = t->model[i];
        for (uint32_t bit = addr.len; bit < 128; bit++)
            addr.bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
        look(t, &l, &addr);
        step(&addr, 1);
        look(t, &l, &addr);
    }
    flush(t, &l);
}

/* ---- drawing ---- */

static model_prefix random_addr(test_random *random)
{
    model_prefix p = {.family = test_below(random, 2) ? TUNNELCAP_IPV4 : TUNNELCAP_IPV6};
    p.vrf = test_below(random, 3) * 7;
    /* Few distinct bits, so that prefixes nest. */
    for (uint32_t i = 0; i < (p.family == TUNNELCAP_IPV4 ? 4u : 16u); i++) {
        if (test_below(random, 3) == 0)
            p.bytes[i] = (uint8_t)(1u << test_below(random, 8));
    }
    return p;
}

static model_prefix random_prefix(test_random *random)
{
    model_prefix p = random_addr(random);
    p.len = test_below(random, p.family == TUNNELCAP_IPV4 ? 33 : 129);
    for (uint32_t bit = p.len; bit < 128; bit++)
        p.bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
    p.value = 1 + test_below(random, 3 << 24);
    return p;
}

/* One random change; one that is refused must not have touched a byte. */
static uint32_t change(trie *t, test_random *random, uint8_t *before)
{
    model_prefix p = random_prefix(random);
    model_prefix *m = same(t, &p);
    if (m == NULL)
        m = &t->model[test_below(random, PREFIXES)];
    if (m->value != 0 && test_below(random, 3) == 0) {
        trie_change(t, m, 1 + test_below(random, 3));
    } else if (m->value != 0 && (t->count == PREFIXES || test_below(random, 2))) {
        trie_remove(t, m);
    } else if (same(t, &p) == NULL && t->count < PREFIXES) {
        memcpy(before, t->mem, t->size);
        if (trie_add(t, &p) == TUNNELCAP_OK)
            return 0;
        ck_assert_mem_eq(before, t->mem, t->size);
        return 1;
    }
    return 0;
}

static void drain(trie *t, test_random *random)
{
    while (t->count != 0) {
        model_prefix *m = &t->model[test_below(random, PREFIXES)];
        if (m->value != 0) {
            trie_remove(t, m);
            check_edges(t);
        }
    }
    ck_assert_uint_eq(t->lpm.head->used, 0);
    ck_assert_uint_eq(t->lpm.head->roots, 0);
    ck_assert(tunnelcap_i_is_zero(t->lpm.roots, (t->lpm.root_mask + 1) * sizeof(*t->lpm.roots)));
    ck_assert(tunnelcap_i_is_zero(&t->lpm.head->root, sizeof(t->lpm.head->root)));
}

static uint32_t run_model(uint32_t nodes, uint32_t rounds, uint32_t seed)
{
    test_random random = {seed};
    uint32_t refused = 0;
    lookups l = {.count = 0};
    trie t;
    trie_open(&t, nodes);
    uint8_t *before = malloc(t.size);
    for (uint32_t i = 0; i < rounds; i++) {
        refused += change(&t, &random, before);
        ck_assert_uint_le(t.lpm.head->used, 2 * t.count);
        check_edges(&t);
        model_prefix addr = random_addr(&random);
        look(&t, &l, &addr);
        flush(&t, &l);
    }
    drain(&t, &random);
    free(before);
    trie_close(&t);
    return refused;
}

START_TEST(random_prefixes_are_found_as_in_a_list)
{
    ck_assert_uint_eq(run_model(2 * PREFIXES, 3000, 1), 0);
}
END_TEST

START_TEST(too_few_nodes_refuse_a_prefix_and_change_nothing)
{
    ck_assert_uint_gt(run_model(NARROW, 3000, 2), 100);
    ck_assert_uint_gt(run_model(1, 300, 3), 50);
}
END_TEST

START_TEST(wide_roots_find_the_same)
{
    test_random random = {4};
    trie t;
    trie_open(&t, WIDE);
    ck_assert_ptr_nonnull(t.lpm.wide);
    for (uint32_t i = 0; i < 300; i++) {
        model_prefix p = random_prefix(&random);
        model_prefix *m = same(&t, &p);
        if (m == NULL && t.count < PREFIXES) {
            test_ok(trie_add(&t, &p));
        } else {
            m = &t.model[test_below(&random, PREFIXES)];
            if (m->value != 0)
                trie_remove(&t, m);
        }
        check_edges(&t);
    }
    drain(&t, &random);
    ck_assert(
        tunnelcap_i_is_zero(t.lpm.wide, (size_t)2 * TUNNELCAP_I_LPM_WIDE * sizeof(*t.lpm.wide)));
    trie_close(&t);
}
END_TEST

START_TEST(no_node_is_shared_by_one_prefix_only)
{
    trie t;
    trie_open(&t, 4);
    model_prefix host = {.family = TUNNELCAP_IPV6, .len = 128, .value = 1};
    host.bytes[15] = 1;
    test_ok(trie_add(&t, &host)); /* sixteen bytes, one node */
    ck_assert_uint_eq(t.lpm.head->used, 1);
    host.bytes[7] = 1;
    host.value = 2;
    test_ok(trie_add(&t, &host)); /* and one where the two part, and its own */
    ck_assert_uint_eq(t.lpm.head->used, 3);
    host.bytes[9] = 1;
    host.value = 3;
    ck_assert_status(
        tunnelcap_i_lpm_add(&t.lpm, &(tunnelcap_i_lpm_prefix){host.bytes, 6, 0, 128}, 3),
        TUNNELCAP_E_FULL); /* two more, and there is one */
    ck_assert_uint_eq(t.lpm.head->used, 3);
    check_edges(&t);
    trie_remove(&t, &t.model[0]);
    ck_assert_uint_eq(t.lpm.head->used, 1);
    check_edges(&t);
    trie_close(&t);
}
END_TEST

START_TEST(no_more_routing_instances_than_there_are_roots)
{
    trie t;
    trie_open(&t, 4);
    model_prefix p = {.family = TUNNELCAP_IPV4, .len = 0, .value = 1};
    for (p.vrf = 0; p.vrf <= VRFS; p.vrf++)
        test_ok(trie_add(&t, &p));
    ck_assert_status(trie_add(&t, &p), TUNNELCAP_E_FULL);
    p.vrf = VRFS;
    p.len = 8; /* another prefix of one that is there */
    test_ok(trie_add(&t, &p));
    check_edges(&t);
    p.vrf = 1;
    p.len = 0;
    trie_remove(&t, same(&t, &p));
    p.vrf = 1000000;
    test_ok(trie_add(&t, &p));
    check_edges(&t);
    trie_close(&t);
}
END_TEST

Suite *test_lpm_suite(void)
{
    const TTest *tests[] = {
        random_prefixes_are_found_as_in_a_list,
        too_few_nodes_refuse_a_prefix_and_change_nothing,
        wide_roots_find_the_same,
        no_node_is_shared_by_one_prefix_only,
        no_more_routing_instances_than_there_are_roots,
    };
    return test_suite("lpm", tests, TEST_COUNT(tests));
}
