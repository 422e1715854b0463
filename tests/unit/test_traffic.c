/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* What traffic is made of, beside streams whose truth is known. */
#include "support.h"

enum { FLOWS = 2000, TUNNELS = 40 };

static tunnelcap_traffic_item items[4096];

static tunnelcap_traffic *traffic_new(uint32_t keys, uint32_t tunnels, uint32_t tunnel_keys)
{
    tunnelcap_traffic_config config;
    tunnelcap_traffic *traffic = NULL;
    test_ok(tunnelcap_traffic_config_init(&config, sizeof(config)));
    config.keys = keys;
    config.tunnels = tunnels;
    config.tunnel_keys = tunnel_keys;
    test_ok(tunnelcap_traffic_new(&config, test_seed, test_alloc(), &traffic));
    return traffic;
}

START_TEST(config_init_fills_the_documented_defaults)
{
    tunnelcap_traffic_config config, want;
    memset(&config, 0xff, sizeof(config));
    memset(&want, 0, sizeof(want));
    want.size = sizeof(want);
    want.keys = 256;
    want.tunnels = 16;
    want.tunnel_keys = 64;
    test_ok(tunnelcap_traffic_config_init(&config, sizeof(config)));
    ck_assert_mem_eq(&config, &want, sizeof(want));
    ck_assert_status(tunnelcap_traffic_config_init(NULL, sizeof(config)), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_traffic_config_init(&config, sizeof(config) - 1),
                     TUNNELCAP_E_VERSION);
    size_t size = tunnelcap_traffic_size(&config);
    ck_assert_uint_gt(size, 0);
    ck_assert_uint_le(size, (256 + 16 * 64) * 1200); /* as the header says */
}
END_TEST

START_TEST(init_works_at_the_exact_size_and_refuses_one_byte_less)
{
    tunnelcap_traffic_config config;
    test_ok(tunnelcap_traffic_config_init(&config, sizeof(config)));
    config.keys = config.tunnel_keys = 8;
    config.tunnels = 2;
    size_t size = tunnelcap_traffic_size(&config);
    uint8_t *mem = test_arena(size);
    tunnelcap_traffic *t = NULL;
    tunnelcap_sample s = {.rate = 1, .tunnel = 5, .family = TUNNELCAP_IPV4};
    ck_assert_status(tunnelcap_traffic_init(mem, size - 1, &config, test_seed, &t),
                     TUNNELCAP_E_NOMEM);
    ck_assert_status(tunnelcap_traffic_init(NULL, size, &config, test_seed, &t),
                     TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_traffic_init(mem + 1, size, &config, test_seed, &t),
                     TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_traffic_init(mem, size, NULL, test_seed, &t), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_traffic_init(mem, size, &config, NULL, &t), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_traffic_init(mem, size, &config, test_seed, NULL),
                     TUNNELCAP_E_INVALID);
    ck_assert_ptr_null(t);
    test_ok(tunnelcap_traffic_init(mem, size, &config, test_seed, &t));
    for (uint32_t i = 0; i < 100; i++) {
        s.tunnel = 1 + i % 7;
        s.src[3] = (uint8_t)i;
        test_ok(tunnelcap_traffic_add(t, &s, 1));
    }
    tunnelcap_traffic_fini(t);
    for (size_t i = 0; i < size; i++)
        ck_assert_uint_eq(mem[i], 0);
    test_arena_free(mem);
    tunnelcap_traffic_fini(NULL);
}
END_TEST

START_TEST(new_and_its_refusals)
{
    static const struct {
        uint32_t flags, keys, tunnels, tunnel_keys;
        int32_t want;
    } rows[] = {
        {1, 8, 1, 8, TUNNELCAP_E_FLAGS},     {0, 7, 1, 8, TUNNELCAP_E_RANGE},
        {0, 65537, 1, 8, TUNNELCAP_E_RANGE}, {0, 8, 1025, 8, TUNNELCAP_E_RANGE},
        {0, 8, 1, 7, TUNNELCAP_E_RANGE},     {0, 8, 1, 65537, TUNNELCAP_E_RANGE},
    };
    tunnelcap_traffic_config config;
    tunnelcap_traffic *t = NULL;
    test_ok(tunnelcap_traffic_config_init(&config, sizeof(config)));
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        config.flags = rows[i].flags;
        config.keys = rows[i].keys;
        config.tunnels = rows[i].tunnels;
        config.tunnel_keys = rows[i].tunnel_keys;
        ck_assert_status(tunnelcap_traffic_new(&config, test_seed, NULL, &t), rows[i].want);
        ck_assert_uint_eq(tunnelcap_traffic_size(&config), 0);
    }
    test_ok(tunnelcap_traffic_config_init(&config, sizeof(config)));
    test_alloc_refuse_after(0);
    ck_assert_status(tunnelcap_traffic_new(&config, test_seed, test_alloc(), &t),
                     TUNNELCAP_E_NOMEM);
    ck_assert_status(tunnelcap_traffic_new(NULL, test_seed, NULL, &t), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_traffic_new(&config, NULL, NULL, &t), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_traffic_new(&config, test_seed, NULL, NULL), TUNNELCAP_E_INVALID);
    config.size--;
    ck_assert_status(tunnelcap_traffic_new(&config, test_seed, NULL, &t), TUNNELCAP_E_VERSION);
    ck_assert_ptr_null(t);
    tunnelcap_traffic_free(NULL);
}
END_TEST

static uint32_t list(const tunnelcap_traffic *t, uint64_t tunnel, uint32_t dimension, uint32_t unit)
{
    uint32_t count = 0;
    test_ok(
        tunnelcap_traffic_list(t, tunnel, dimension, unit, items, TEST_COUNT(items), &count, NULL));
    return count;
}

START_TEST(each_dimension_has_the_keys_that_it_documents)
{
    tunnelcap_traffic *t = traffic_new(64, 2, 64);
    tunnelcap_sample s = {.rate = 10,
                          .tunnel = 77,
                          .inner_bytes = 1000,
                          .outer_bytes = 1024,
                          .status = TUNNELCAP_E_TOO_BIG,
                          .action = 3,
                          .family = TUNNELCAP_IPV6,
                          .protocol = 6,
                          .tcp_flags = 0x12,
                          .src_port = 443,
                          .dst_port = 50000,
                          .flags = TUNNELCAP_SAMPLE_FRAGMENT};
    memcpy(s.src, test_addr("2001:db8::5").bytes, 16);
    memcpy(s.dst, test_addr("2001:db8::6").bytes, 16);
    test_ok(tunnelcap_traffic_add(t, &s, 1));
    static const uint64_t keys[TUNNELCAP_TRAFFIC_DIMENSIONS] = {0,    0,    443, 50000, 6,
                                                                1024, 0x12, 1,   77,    3};
    for (uint32_t d = 0; d < TUNNELCAP_TRAFFIC_DIMENSIONS; d++) {
        for (uint32_t way = 0; way < 4; way++) {
            uint64_t tunnel = way & 1 ? 77 : 0, total;
            uint32_t unit = way >> 1, count;
            test_ok(tunnelcap_traffic_list(t, tunnel, d, unit, items, 5, &count, &total));
            ck_assert_uint_eq(count, 1);
            ck_assert_uint_eq(total, unit == 0 ? 10 : 10000);
            ck_assert_uint_eq(items[0].weight, total);
            ck_assert_uint_eq(items[0].error, 0);
            ck_assert_uint_eq(items[0].key, keys[d]);
            tunnelcap_addr want = d == 0   ? test_addr("2001:db8::5")
                                  : d == 1 ? test_addr("2001:db8::6")
                                           : (tunnelcap_addr){.family = 0};
            ck_assert_mem_eq(&items[0].addr, &want, sizeof(want));
            ck_assert_int_eq(items[0].status,
                             d == TUNNELCAP_TRAFFIC_OUTCOME ? TUNNELCAP_E_TOO_BIG : 0);
        }
    }
    tunnelcap_traffic_free(t);
}
END_TEST

START_TEST(what_a_packet_does_not_have_is_in_no_list)
{
    tunnelcap_traffic *t = traffic_new(64, 2, 64);
    tunnelcap_sample none = {.rate = 1, .outer_bytes = 100};
    tunnelcap_sample icmp = {.rate = 1, .inner_bytes = 84, .family = TUNNELCAP_IPV4, .protocol = 1};
    tunnelcap_sample later = {.rate = 1,
                              .inner_bytes = 84,
                              .family = TUNNELCAP_IPV4,
                              .protocol = 6,
                              .flags = TUNNELCAP_SAMPLE_FRAGMENT};
    tunnelcap_sample skipped = icmp;
    skipped.rate = 0;
    test_ok(tunnelcap_traffic_add(t, &none, 1));
    test_ok(tunnelcap_traffic_add(t, &icmp, 1));
    test_ok(tunnelcap_traffic_add(t, &later, 1));
    test_ok(tunnelcap_traffic_add(t, &skipped, 1));
    static const uint32_t counts[TUNNELCAP_TRAFFIC_DIMENSIONS] = {1, 1, 0, 0, 2, 1, 0, 2, 1, 1};
    for (uint32_t d = 0; d < TUNNELCAP_TRAFFIC_DIMENSIONS; d++)
        ck_assert_uint_eq(list(t, 0, d, TUNNELCAP_TRAFFIC_PACKETS), counts[d]);
    ck_assert_uint_eq(list(t, 0, TUNNELCAP_TRAFFIC_SIZE, TUNNELCAP_TRAFFIC_BYTES), 1);
    ck_assert_uint_eq(items[0].weight, 268); /* outer bytes where nothing else is known */
    tunnelcap_traffic_free(t);
}
END_TEST

START_TEST(sizes_fall_into_their_classes)
{
    static const uint32_t rows[][2] = {{1, 64},      {64, 64},     {65, 128},     {128, 128},
                                       {256, 256},   {257, 512},   {1024, 1024},  {1025, 1500},
                                       {1500, 1500}, {1501, 9000}, {9001, 65575}, {65575, 65575}};
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        tunnelcap_traffic *t = traffic_new(8, 0, 8);
        tunnelcap_sample s = {.rate = 1, .inner_bytes = rows[i][0]};
        test_ok(tunnelcap_traffic_add(t, &s, 1));
        ck_assert_uint_eq(list(t, 0, TUNNELCAP_TRAFFIC_SIZE, TUNNELCAP_TRAFFIC_PACKETS), 1);
        ck_assert_uint_eq(items[0].key, rows[i][1]);
        tunnelcap_traffic_free(t);
    }
}
END_TEST

START_TEST(list_refuses_what_it_documents)
{
    tunnelcap_traffic *t = traffic_new(8, 1, 8);
    tunnelcap_sample s = {.rate = 1, .tunnel = 5};
    uint32_t count = 99;
    ck_assert_status(tunnelcap_traffic_add(NULL, &s, 1), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_traffic_add(t, NULL, 1), TUNNELCAP_E_INVALID);
    test_ok(tunnelcap_traffic_add(t, NULL, 0));
    test_ok(tunnelcap_traffic_add(t, &s, 1));
    ck_assert_status(tunnelcap_traffic_list(NULL, 0, 0, 0, items, 1, &count, NULL),
                     TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_traffic_list(t, 0, 0, 0, NULL, 1, &count, NULL),
                     TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_traffic_list(t, 0, 0, 0, items, 1, NULL, NULL), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_traffic_list(t, 0, 10, 0, items, 1, &count, NULL), TUNNELCAP_E_MODE);
    ck_assert_status(tunnelcap_traffic_list(t, 0, 0, 2, items, 1, &count, NULL), TUNNELCAP_E_MODE);
    ck_assert_status(tunnelcap_traffic_list(t, 6, 0, 0, items, 1, &count, NULL),
                     TUNNELCAP_E_NOT_FOUND);
    ck_assert_uint_eq(count, 99);
    test_ok(tunnelcap_traffic_list(t, 5, 8, 0, NULL, 0, &count, NULL));
    ck_assert_uint_eq(count, 0);
    tunnelcap_traffic_clear(t);
    tunnelcap_traffic_clear(NULL);
    ck_assert_status(tunnelcap_traffic_list(t, 5, 8, 0, items, 1, &count, NULL),
                     TUNNELCAP_E_NOT_FOUND);
    ck_assert_uint_eq(list(t, 0, 8, 0), 0);
    tunnelcap_traffic_free(t);
}
END_TEST

/* ---- streams whose truth is known ---- */

/* Flow f sends about 1 / (f + 1) of the traffic, in tunnel 1 + f % TUNNELS. */
static uint32_t pick_flow(test_random *random)
{
    static double until[FLOWS];
    if (until[0] == 0) {
        double sum = 0;
        for (uint32_t f = 0; f < FLOWS; f++)
            until[f] = sum += 1.0 / (f + 1);
        for (uint32_t f = 0; f < FLOWS; f++)
            until[f] /= sum;
    }
    double at = (double)test_next(random) / 2147483648.0;
    uint32_t f = 0;
    while (f + 1 < FLOWS && until[f] <= at)
        f++;
    return f;
}

static tunnelcap_sample packet_of(uint32_t flow, uint32_t rate, uint32_t bytes)
{
    tunnelcap_sample s = {.rate = rate,
                          .tunnel = 1 + flow % TUNNELS,
                          .inner_bytes = bytes,
                          .family = TUNNELCAP_IPV4,
                          .protocol = 17,
                          .src_port = (uint16_t)(1000 + flow),
                          .dst_port = 53};
    test_store32(s.src, 0x0a000000 + flow);
    return s;
}

/* Truth and what is listed: no weight too low, none too high by more than its error, and that is at
 * most W / K; all keys above W / K are there. */
static void check_bounds(const tunnelcap_traffic *t, uint64_t tunnel, uint32_t unit, uint32_t keys,
                         const uint64_t *truth)
{
    uint32_t count;
    uint64_t total;
    test_ok(tunnelcap_traffic_list(t, tunnel, TUNNELCAP_TRAFFIC_SOURCE, unit, items,
                                   TEST_COUNT(items), &count, &total));
    ck_assert_uint_le(count, keys);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t flow = test_load32(items[i].addr.bytes) - 0x0a000000;
        ck_assert_uint_ge(items[i].weight, truth[flow]);
        ck_assert_uint_le(items[i].weight - items[i].error, truth[flow]);
        ck_assert_uint_le(items[i].error, total / keys);
    }
    for (uint32_t f = 0; f < FLOWS; f++) {
        if (truth[f] <= total / keys || (tunnel != 0 && 1 + f % TUNNELS != tunnel))
            continue;
        uint32_t i = 0;
        while (i < count && test_load32(items[i].addr.bytes) != 0x0a000000 + f)
            i++;
        ck_assert_uint_lt(i, count);
    }
}

START_TEST(weights_of_all_records_keep_their_bounds)
{
    static uint64_t packets[FLOWS], bytes[FLOWS];
    tunnelcap_traffic *t = traffic_new(100, TUNNELS, 20);
    test_random random = {7};
    memset(packets, 0, sizeof(packets));
    memset(bytes, 0, sizeof(bytes));
    for (uint32_t i = 0; i < 60000; i++) {
        uint32_t flow = pick_flow(&random), rate = 1 + test_below(&random, 20);
        tunnelcap_sample s = packet_of(flow, rate, 40 + test_below(&random, 1460));
        test_ok(tunnelcap_traffic_add(t, &s, 1));
        packets[flow] += rate;
        bytes[flow] += (uint64_t)rate * s.inner_bytes;
    }
    check_bounds(t, 0, TUNNELCAP_TRAFFIC_PACKETS, 100, packets);
    check_bounds(t, 0, TUNNELCAP_TRAFFIC_BYTES, 100, bytes);
    for (uint64_t tunnel = 1; tunnel <= TUNNELS; tunnel++) {
        check_bounds(t, tunnel, TUNNELCAP_TRAFFIC_PACKETS, 20, packets);
        check_bounds(t, tunnel, TUNNELCAP_TRAFFIC_BYTES, 20, bytes);
    }
    tunnelcap_traffic_free(t);
}
END_TEST

START_TEST(heavy_tunnels_keep_their_lists_against_many_light_ones)
{
    tunnelcap_traffic *t = traffic_new(64, 8, 8);
    test_random random = {9};
    uint64_t total = 0;
    uint32_t count;
    for (uint32_t i = 0; i < 40000; i++) {
        /* Three tunnels have a fifth each, and the rest is of four thousand others. */
        tunnelcap_sample s = packet_of(0, 1, 100);
        s.tunnel = i % 5 < 3 ? 1 + i % 5 : 100 + test_below(&random, 4000);
        test_ok(tunnelcap_traffic_add(t, &s, 1));
        total++;
    }
    for (uint64_t tunnel = 1; tunnel <= 3; tunnel++) {
        uint64_t own;
        test_ok(tunnelcap_traffic_list(t, tunnel, TUNNELCAP_TRAFFIC_SOURCE,
                                       TUNNELCAP_TRAFFIC_PACKETS, items, 1, &count, &own));
        ck_assert_uint_eq(own, total / 5); /* never pushed out */
    }
    tunnelcap_traffic_free(t);
}
END_TEST

/* Pick 1 in N of a stream as a lane does, many times, and look how far estimates are off. */
START_TEST(standard_error_is_what_the_header_says)
{
    enum { ROUNDS = 200, PACKETS = 20000, RATE = 50, HEAVY = 5, LARGEST = 1500 };
    static uint64_t off[HEAVY][2];
    double sum[HEAVY][2] = {{0}}, square[HEAVY][2] = {{0}};
    uint64_t truth[HEAVY][2] = {{0}};
    static uint32_t flow_at[PACKETS], bytes_at[PACKETS];
    test_random stream = {11}, picks = {12};
    for (uint32_t i = 0; i < PACKETS; i++) {
        flow_at[i] = pick_flow(&stream);
        bytes_at[i] = 40 + test_below(&stream, LARGEST - 39);
        if (flow_at[i] < HEAVY) {
            truth[flow_at[i]][0]++;
            truth[flow_at[i]][1] += bytes_at[i];
        }
    }
    memset(off, 0, sizeof(off));
    for (uint32_t round = 0; round < ROUNDS; round++) {
        tunnelcap_traffic *t = traffic_new(4096, 0, 8);
        for (uint32_t row = 0; row < PACKETS; row += RATE) {
            uint32_t i = row + test_below(&picks, RATE);
            tunnelcap_sample s = packet_of(flow_at[i], RATE, bytes_at[i]);
            test_ok(tunnelcap_traffic_add(t, &s, 1));
        }
        for (uint32_t unit = 0; unit < 2; unit++) {
            uint32_t count = list(t, 0, TUNNELCAP_TRAFFIC_SOURCE, unit);
            for (uint32_t i = 0; i < count; i++) {
                uint32_t flow = test_load32(items[i].addr.bytes) - 0x0a000000;
                if (flow >= HEAVY)
                    continue;
                ck_assert_uint_eq(items[i].error, 0);
                double e = (double)items[i].weight - (double)truth[flow][unit];
                sum[flow][unit] += e;
                square[flow][unit] += e * e;
            }
        }
        tunnelcap_traffic_free(t);
    }
    for (uint32_t f = 0; f < HEAVY; f++) {
        for (uint32_t unit = 0; unit < 2; unit++) {
            double bound = (double)RATE * (double)truth[f][unit] * (unit == 0 ? 1.0 : LARGEST);
            double mean = sum[f][unit] / ROUNDS;
            /* The squared error is within the bound, up to its own spread over the rounds. */
            ck_assert_double_le(square[f][unit] / ROUNDS, 1.4 * bound);
            ck_assert_double_le(mean * mean, 16 * bound / ROUNDS); /* without bias */
            if (unit == 0) /* and the bound is no idle one */
                ck_assert_double_ge(square[f][unit] / ROUNDS, 0.4 * bound);
        }
    }
}
END_TEST

Suite *test_traffic_suite(void)
{
    const TTest *tests[] = {
        config_init_fills_the_documented_defaults,
        init_works_at_the_exact_size_and_refuses_one_byte_less,
        new_and_its_refusals,
        each_dimension_has_the_keys_that_it_documents,
        what_a_packet_does_not_have_is_in_no_list,
        sizes_fall_into_their_classes,
        list_refuses_what_it_documents,
        weights_of_all_records_keep_their_bounds,
        heavy_tunnels_keep_their_lists_against_many_light_ones,
        standard_error_is_what_the_header_says,
    };
    return test_suite("traffic", tests, TEST_COUNT(tests));
}
