/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The heaviest keys of streams, against exact counts. */
#include "support.h"

static const uint8_t seed[TUNNELCAP_TOP_SEED_SIZE] = {3, 1, 4, 1, 5};

static tunnelcap_top_config config_of(uint32_t keys, uint32_t key_size)
{
    tunnelcap_top_config config;
    test_ok(tunnelcap_top_config_init(&config, sizeof(config)));
    config.keys = keys;
    config.key_size = key_size;
    return config;
}

static tunnelcap_top *top_new(uint32_t keys, uint32_t key_size)
{
    tunnelcap_top_config config = config_of(keys, key_size);
    tunnelcap_top *top = NULL;
    test_ok(tunnelcap_top_new(&config, seed, test_alloc(), &top));
    return top;
}

START_TEST(config_init_fills_the_documented_defaults)
{
    tunnelcap_top_config config, want = {sizeof(want), 0, 256, 16};
    memset(&config, 0xff, sizeof(config));
    test_ok(tunnelcap_top_config_init(&config, sizeof(config)));
    ck_assert_mem_eq(&config, &want, sizeof(want));
    ck_assert_status(tunnelcap_top_config_init(NULL, sizeof(config)), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_top_config_init(&config, sizeof(config) - 1), TUNNELCAP_E_VERSION);
}
END_TEST

START_TEST(init_works_at_the_exact_size_and_refuses_one_byte_less)
{
    tunnelcap_top_config config = config_of(5, 4);
    size_t size = tunnelcap_top_size(&config);
    uint8_t *mem = test_arena(size);
    tunnelcap_top *top = NULL;
    ck_assert_status(tunnelcap_top_init(mem, size - 1, &config, seed, &top), TUNNELCAP_E_NOMEM);
    ck_assert_status(tunnelcap_top_init(NULL, size, &config, seed, &top), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_top_init(mem + 1, size, &config, seed, &top), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_top_init(mem, size, NULL, seed, &top), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_top_init(mem, size, &config, NULL, &top), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_top_init(mem, size, &config, seed, NULL), TUNNELCAP_E_INVALID);
    ck_assert_ptr_null(top);
    test_ok(tunnelcap_top_init(mem, size, &config, seed, &top));
    for (uint32_t i = 0; i < 1000; i++) {
        uint8_t *key = test_copy(&i, 4);
        test_ok(tunnelcap_top_add(top, key, 1 + i % 7));
        free(key);
    }
    tunnelcap_top_fini(top);
    for (size_t i = 0; i < size; i++)
        ck_assert_uint_eq(mem[i], 0);
    test_arena_free(mem);
    tunnelcap_top_fini(NULL);
}
END_TEST

START_TEST(new_takes_its_memory_from_the_allocator)
{
    tunnelcap_top_config config = config_of(5, 4);
    tunnelcap_top *top = NULL;
    test_alloc_refuse_after(0);
    ck_assert_status(tunnelcap_top_new(&config, seed, test_alloc(), &top), TUNNELCAP_E_NOMEM);
    ck_assert_status(tunnelcap_top_new(NULL, seed, NULL, &top), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_top_new(&config, NULL, NULL, &top), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_top_new(&config, seed, NULL, NULL), TUNNELCAP_E_INVALID);
    ck_assert_ptr_null(top);
    test_ok(tunnelcap_top_new(&config, seed, NULL, &top));
    tunnelcap_top_free(top);
    tunnelcap_top_free(NULL);
}
END_TEST

#define REFUSE(want, change)                                                                       \
    do {                                                                                           \
        tunnelcap_top_config config = config_of(5, 4);                                             \
        tunnelcap_top *none = NULL;                                                                \
        change;                                                                                    \
        ck_assert_status(tunnelcap_top_new(&config, seed, test_alloc(), &none), want);             \
        ck_assert_ptr_null(none);                                                                  \
        ck_assert_uint_eq(tunnelcap_top_size(&config), 0);                                         \
    } while (0)

START_TEST(what_is_refused_has_its_reason)
{
    REFUSE(TUNNELCAP_E_VERSION, config.size--);
    REFUSE(TUNNELCAP_E_FLAGS, config.flags = 1);
    REFUSE(TUNNELCAP_E_RANGE, config.keys = 0);
    REFUSE(TUNNELCAP_E_RANGE, config.keys = (1u << 20) + 1);
    REFUSE(TUNNELCAP_E_RANGE, config.key_size = 0);
    REFUSE(TUNNELCAP_E_RANGE, config.key_size = TUNNELCAP_TOP_KEY_MAX + 1);
    tunnelcap_top *top = top_new(5, 4);
    tunnelcap_top_item item;
    uint32_t count;
    ck_assert_status(tunnelcap_top_add(NULL, seed, 1), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_top_add(top, NULL, 1), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_top_list(NULL, &item, 1, &count, NULL), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_top_list(top, NULL, 1, &count, NULL), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_top_list(top, &item, 1, NULL, NULL), TUNNELCAP_E_INVALID);
    test_ok(tunnelcap_top_list(top, NULL, 0, &count, NULL));
    ck_assert_uint_eq(count, 0);
    tunnelcap_top_clear(NULL);
    tunnelcap_top_free(top);
}
END_TEST

/* ---- streams ---- */

enum { DISTINCT = 3000 };

/* What was really added, by key: numbers below DISTINCT. */
static uint64_t truth[DISTINCT];
static uint64_t truth_total;

static uint32_t random_next(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

static void add_number(tunnelcap_top *top, uint32_t number, uint32_t key_size, uint64_t weight)
{
    uint8_t bytes[TUNNELCAP_TOP_KEY_MAX] = {0};
    test_store32(bytes + key_size - 4, number);
    uint8_t *key = test_copy(bytes, key_size);
    test_ok(tunnelcap_top_add(top, key, weight));
    free(key);
    truth[number] += weight;
    truth_total += weight;
}

/* Check everything that the header promises of a list. */
static void check_list(const tunnelcap_top *top, uint32_t keys, uint32_t key_size, uint32_t cap)
{
    tunnelcap_top_item *items = malloc(sizeof(*items) * (cap + 1));
    uint64_t total, last = UINT64_MAX;
    uint32_t count, distinct = 0;
    static bool listed[DISTINCT];
    memset(listed, 0, sizeof(listed));
    test_ok(tunnelcap_top_list(top, items, cap, &count, &total));
    ck_assert_uint_eq(total, truth_total);
    for (uint32_t i = 0; i < DISTINCT; i++)
        distinct += truth[i] != 0;
    uint32_t watched = distinct < keys ? distinct : keys;
    ck_assert_uint_eq(count, watched < cap ? watched : cap);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = test_load32(items[i].key + key_size - 4);
        ck_assert_uint_lt(number, DISTINCT);
        ck_assert(!listed[number]);
        listed[number] = true;
        ck_assert_uint_le(items[i].weight, last);
        last = items[i].weight;
        ck_assert_uint_ge(items[i].weight, truth[number]);
        ck_assert_uint_le(items[i].weight - items[i].error, truth[number]);
        ck_assert_uint_le(items[i].error, total / keys);
        if (distinct <= keys)
            ck_assert_uint_eq(items[i].error, 0);
        for (uint32_t at = key_size; at < TUNNELCAP_TOP_KEY_MAX; at++)
            ck_assert_uint_eq(items[i].key[at], 0);
    }
    for (uint32_t i = 0; i < DISTINCT && cap >= keys; i++)
        ck_assert(truth[i] <= total / keys || listed[i]);
    /* No key outside the list is heavier than the last one of it. */
    for (uint32_t i = 0; i < DISTINCT && distinct <= keys && count == cap; i++)
        ck_assert(listed[i] || truth[i] <= last);
    free(items);
}

START_TEST(lists_keep_their_bounds_on_skewed_and_on_flat_streams)
{
    static const struct {
        uint32_t keys, key_size, distinct;
        bool skewed;
    } rows[] = {{1, 4, 50, true},       {7, 4, 300, true},     {64, 13, 3000, true},
                {64, 16, 3000, false},  {256, 36, 3000, true}, {256, 40, 200, false},
                {3000, 40, 3000, true}, {4096, 5, 3000, false}};
    for (size_t r = 0; r < TEST_COUNT(rows); r++) {
        uint32_t random = (uint32_t)r + 1;
        tunnelcap_top *top = top_new(rows[r].keys, rows[r].key_size);
        memset(truth, 0, sizeof(truth));
        truth_total = 0;
        for (uint32_t i = 0; i < 20000; i++) {
            uint32_t number = random_next(&random) % rows[r].distinct;
            if (rows[r].skewed) /* the smaller the more frequent */
                number = (uint32_t)((uint64_t)number * (random_next(&random) % 1000) / 1000 *
                                    (random_next(&random) % 1000) / 1000);
            add_number(top, number, rows[r].key_size, 1 + random_next(&random) % 1500);
            if (i % 4000 == 37)
                check_list(top, rows[r].keys, rows[r].key_size, 25);
        }
        check_list(top, rows[r].keys, rows[r].key_size, rows[r].keys);
        check_list(top, rows[r].keys, rows[r].key_size, 25);
        tunnelcap_top_free(top);
    }
}
END_TEST

START_TEST(equal_keys_are_listed_in_their_own_order)
{
    tunnelcap_top *top = top_new(8, 4);
    tunnelcap_top_item items[8];
    uint32_t count;
    for (uint32_t i = 0; i < 8; i++) {
        uint8_t key[4];
        test_store32(key, (i * 5) % 8);
        test_ok(tunnelcap_top_add(top, key, 10));
        test_ok(tunnelcap_top_add(top, key, 0)); /* changes nothing */
    }
    test_ok(tunnelcap_top_list(top, items, 8, &count, NULL));
    ck_assert_uint_eq(count, 8);
    for (uint32_t i = 0; i < 8; i++) {
        ck_assert_uint_eq(test_load32(items[i].key), i);
        ck_assert_uint_eq(items[i].weight, 10);
    }
    test_ok(tunnelcap_top_list(top, items, 3, &count, NULL));
    ck_assert_uint_eq(count, 3);
    ck_assert_uint_eq(test_load32(items[2].key), 2);
    tunnelcap_top_free(top);
}
END_TEST

START_TEST(a_cleared_list_begins_anew)
{
    tunnelcap_top *top = top_new(4, 4);
    tunnelcap_top_item item;
    uint64_t total;
    uint32_t count;
    memset(truth, 0, sizeof(truth));
    truth_total = 0;
    for (uint32_t i = 0; i < 100; i++)
        add_number(top, i, 4, 3);
    tunnelcap_top_clear(top);
    test_ok(tunnelcap_top_list(top, &item, 1, &count, &total));
    ck_assert_uint_eq(count, 0);
    ck_assert_uint_eq(total, 0);
    memset(truth, 0, sizeof(truth));
    truth_total = 0;
    for (uint32_t i = 0; i < 100; i++)
        add_number(top, i % 3, 4, 1);
    check_list(top, 4, 4, 4);
    tunnelcap_top_free(top);
}
END_TEST

Suite *test_top_suite(void)
{
    const TTest *tests[] = {
        config_init_fills_the_documented_defaults,
        init_works_at_the_exact_size_and_refuses_one_byte_less,
        new_takes_its_memory_from_the_allocator,
        what_is_refused_has_its_reason,
        lists_keep_their_bounds_on_skewed_and_on_flat_streams,
        equal_keys_are_listed_in_their_own_order,
        a_cleared_list_begins_anew,
    };
    return test_suite("top", tests, TEST_COUNT(tests));
}
