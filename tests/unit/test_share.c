/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* How buckets are given away: balance, movement, and that all machines do it alike. */
#include "share.h"
#include "support.h"

enum { MANY = 65536, TUNNELS = 8 };

static const tunnelcap_i_flow_key key = {0x0123456789abcdef, 0xfedcba9876543210};

static uint32_t buckets[MANY], before[MANY];

/* Tunnels of ids that mean nothing; places count from 10. */
static uint32_t make(tunnelcap_i_sharer *sharers, const uint32_t *weights, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        sharers[i] = (tunnelcap_i_sharer){0x1000 + 7 * i, 10 + i, weights[i]};
    return n;
}

static void count_them(uint32_t count, uint32_t *counts, uint32_t n)
{
    memset(counts, 0, n * sizeof(*counts));
    for (uint32_t i = 0; i < count; i++) {
        ck_assert_uint_ge(buckets[i], 10);
        ck_assert_uint_lt(buckets[i], 10 + n);
        counts[buckets[i] - 10]++;
    }
}

static const uint32_t weight_sets[][TUNNELS] = {
    {1, 1}, {1, 256}, {1, 1, 1}, {1, 2, 3, 4, 5, 6, 7, 8}, {256, 256, 256, 256, 1}, {100, 50, 25},
};

static uint32_t length_of(const uint32_t *weights)
{
    uint32_t n = 0;
    while (n < TUNNELS && weights[n] != 0)
        n++;
    return n;
}

START_TEST(in_a_row_no_share_is_a_bucket_off)
{
    for (size_t set = 0; set < TEST_COUNT(weight_sets); set++) {
        tunnelcap_i_sharer sharers[TUNNELS];
        uint32_t counts[TUNNELS];
        uint32_t n = make(sharers, weight_sets[set], length_of(weight_sets[set]));
        uint64_t total = 0;
        for (uint32_t i = 0; i < n; i++)
            total += sharers[i].weight;
        for (uint32_t count = 64; count <= MANY; count *= 4) {
            tunnelcap_i_share_in_a_row(buckets, count, sharers, n);
            count_them(count, counts, n);
            for (uint32_t i = 0; i < n; i++) { /* |counts - count * weight / total| < 1 */
                int64_t off =
                    (int64_t)(counts[i] * total) - (int64_t)((uint64_t)count * sharers[i].weight);
                ck_assert_int_lt(off, (int64_t)total);
                ck_assert_int_gt(off, -(int64_t)total);
            }
            for (uint32_t i = 1; i < count; i++)
                ck_assert_uint_ge(buckets[i], buckets[i - 1]);
        }
    }
}
END_TEST

/* The sum of (got - expected)^2 / expected, times 1000. */
static uint64_t chi_square(const uint32_t *counts, const tunnelcap_i_sharer *sharers, uint32_t n,
                           uint32_t count)
{
    uint64_t total = 0, sum = 0;
    for (uint32_t i = 0; i < n; i++)
        total += sharers[i].weight;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t expected = (uint64_t)count * sharers[i].weight * 1000 / total;
        int64_t off = (int64_t)counts[i] * 1000 - (int64_t)expected;
        sum += (uint64_t)(off * off) / expected;
    }
    return sum;
}

/* 1000 times what chi-square exceeds once in a thousand cases, by degrees of freedom. */
static const uint64_t limits[TUNNELS] = {0, 10828, 13816, 16266, 18467, 20515, 22458, 24322};

START_TEST(rendezvous_is_balanced_by_weight)
{
    for (size_t set = 0; set < TEST_COUNT(weight_sets); set++) {
        tunnelcap_i_sharer sharers[TUNNELS];
        uint32_t counts[TUNNELS];
        uint32_t n = make(sharers, weight_sets[set], length_of(weight_sets[set]));
        tunnelcap_i_share_by_rendezvous(buckets, MANY, sharers, n, key);
        count_them(MANY, counts, n);
        ck_assert_uint_lt(chi_square(counts, sharers, n, MANY), limits[n - 1]);
        for (uint32_t at = 0; at < MANY; at += 4096) { /* in every part of them as well */
            memset(counts, 0, sizeof(counts));
            for (uint32_t i = at; i < at + 4096; i++)
                counts[buckets[i] - 10]++;
            ck_assert_uint_lt(chi_square(counts, sharers, n, 4096), 2 * limits[n - 1]);
        }
    }
}
END_TEST

START_TEST(rendezvous_moves_only_what_a_tunnel_gains_or_loses)
{
    static const uint32_t weights[TUNNELS] = {1, 2, 3, 4, 5, 6, 7, 256};
    tunnelcap_i_sharer all[TUNNELS], some[TUNNELS];
    make(all, weights, TUNNELS);
    tunnelcap_i_share_by_rendezvous(before, MANY, all, TUNNELS, key);
    for (uint32_t gone = 0; gone < TUNNELS; gone++) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < TUNNELS; i++) {
            if (i != gone)
                some[n++] = all[i];
        }
        tunnelcap_i_share_by_rendezvous(buckets, MANY, some, n, key);
        for (uint32_t i = 0; i < MANY; i++) { /* of one that goes, and so of one that comes */
            ck_assert_uint_ne(buckets[i], all[gone].place);
            if (before[i] != all[gone].place)
                ck_assert_uint_eq(buckets[i], before[i]);
        }
    }
    uint32_t gained = 0;
    memcpy(some, all, sizeof(some));
    some[3].weight = 40;
    tunnelcap_i_share_by_rendezvous(buckets, MANY, some, TUNNELS, key);
    for (uint32_t i = 0; i < MANY; i++) {
        if (buckets[i] == before[i])
            continue;
        ck_assert_uint_eq(buckets[i], some[3].place);
        gained++;
    }
    ck_assert_uint_gt(gained, 0);
}
END_TEST

START_TEST(rendezvous_does_not_depend_on_order_or_on_places)
{
    static const uint32_t weights[5] = {9, 1, 100, 7, 7};
    tunnelcap_i_sharer sharers[5], turned[5];
    make(sharers, weights, 5);
    for (uint32_t i = 0; i < 5; i++) {
        turned[i] = sharers[4 - i];
        turned[i].place += 100;
    }
    tunnelcap_i_share_by_rendezvous(before, 4096, sharers, 5, key);
    tunnelcap_i_share_by_rendezvous(buckets, 4096, turned, 5, key);
    for (uint32_t i = 0; i < 4096; i++)
        ck_assert_uint_eq(buckets[i], before[i] + 100);
}
END_TEST

/* -log2(hash / 2^64) by squaring: a bit for each time that the square reaches 2. */
static uint64_t slow_distance(uint64_t hash)
{
    uint32_t whole = 63;
    uint64_t bits = 0;
    if (hash == 0)
        hash = 1;
    while (!(hash >> 63)) {
        hash <<= 1;
        whole--;
    }
    uint64_t m = hash >> 32; /* 1 to 2, with 31 bits behind the point */
    for (uint32_t i = 0; i < 32; i++) {
        uint64_t square = m * m >> 31;
        bits = bits << 1 | square >> 32;
        m = square >> 32 ? square >> 1 : square;
    }
    return ((uint64_t)(64 - whole) << 32) - bits;
}

START_TEST(distance_is_the_logarithm)
{
    test_random random = {1};
    uint64_t last = UINT64_MAX;
    for (uint32_t i = 0; i < 50000; i++) {
        uint64_t hash = (uint64_t)test_next(&random) << 32 | test_next(&random);
        hash >>= test_below(&random, 64);
        int64_t off = (int64_t)(tunnelcap_i_share_distance(hash) - slow_distance(hash));
        ck_assert_int_ge(off, -(1 << 10)); /* what squaring loses */
        ck_assert_int_lt(off, 1 << 14);    /* 2^-18 */
    }
    for (uint64_t hash = 1; hash < UINT64_MAX - (UINT64_C(1) << 50); hash += UINT64_C(1) << 50) {
        uint64_t distance = tunnelcap_i_share_distance(hash);
        ck_assert(distance < last);
        last = distance;
    }
    ck_assert(tunnelcap_i_share_distance(0) == tunnelcap_i_share_distance(1));
    ck_assert(tunnelcap_i_share_distance(0) == UINT64_C(64) << 32);
    ck_assert(tunnelcap_i_share_distance(UINT64_C(1) << 63) == UINT64_C(1) << 32);
    ck_assert(tunnelcap_i_share_distance(UINT64_MAX) > 0);
}
END_TEST

START_TEST(all_machines_share_alike)
{
    static const uint32_t weights[4] = {1, 2, 3, 256};
    static const char in_a_row[] =
        "aaaaaabbbbbbbbbbbbbcccccccccccccccccccdddddddddddddddddddddddddd";
    static const char rendezvous[] =
        "dddddccdddbccbcbcccdcddbabddbcbbccabdadcddddcdcddbdcdddbdddddddd";
    char text[65] = "";
    tunnelcap_i_sharer sharers[4];
    make(sharers, weights, 4);
    sharers[3].weight = 4;
    tunnelcap_i_share_in_a_row(buckets, 64, sharers, 4);
    for (uint32_t i = 0; i < 64; i++)
        text[i] = (char)('a' + (int)(buckets[i] - 10));
    ck_assert_str_eq(text, in_a_row);
    tunnelcap_i_share_by_rendezvous(buckets, 64, sharers, 4, key);
    for (uint32_t i = 0; i < 64; i++)
        text[i] = (char)('a' + (int)(buckets[i] - 10));
    ck_assert_str_eq(text, rendezvous);
    ck_assert(tunnelcap_i_share_distance(0x0123456789abcdef) == UINT64_C(33559941884));
}
END_TEST

Suite *test_share_suite(void)
{
    const TTest *tests[] = {
        in_a_row_no_share_is_a_bucket_off,
        rendezvous_is_balanced_by_weight,
        rendezvous_moves_only_what_a_tunnel_gains_or_loses,
        rendezvous_does_not_depend_on_order_or_on_places,
        distance_is_the_logarithm,
        all_machines_share_alike,
    };
    return test_suite("share", tests, TEST_COUNT(tests));
}
