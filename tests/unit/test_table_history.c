/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The history of tunnels in a table, beside what was really carried in each second. */
#include "watch_world.h"

enum { SECONDS = 700, START_S = 1000000 * 60 + 17 };

static watch_world w;
static world_call call;

static const tunnelcap_history *history(void)
{
    const tunnelcap_history *h = NULL;
    test_ok(tunnelcap_table_get_history(w.link.tables[0], LINK_ID, &h));
    return h;
}

static tunnelcap_history_bucket bucket_at(uint32_t span, uint32_t index)
{
    tunnelcap_history_bucket bucket;
    test_ok(tunnelcap_history_get(history(), span, index, &bucket, sizeof(bucket)));
    return bucket;
}

static void open_with(uint32_t histories, const uint32_t keep[4])
{
    tunnelcap_table_config config;
    test_ok(tunnelcap_table_config_init(&config, sizeof(config)));
    config.tunnels = 4;
    config.lanes = 1;
    config.histories = histories;
    if (keep != NULL)
        memcpy(config.history_keep, keep, sizeof(config.history_keep));
    watch_open_as(&w, LINK_GRE, &config);
}

/* Send one packet of `total` bytes into the tunnel, and one of `total + 1` out of it. */
static void carry(uint32_t total)
{
    tunnelcap_result result;
    for (uint32_t from = 0; from < 2; from++) {
        table_link_inner(from, TUNNELCAP_IPV4, total + from, true);
        tunnelcap_pkt pkt = test_pkt_room(world_frame.bytes, world_frame.len, 80, 64);
        test_ok(test_table_one(w.link.lanes[from], TUNNELCAP_ENCAP, &pkt, NULL, &result));
        if (from == 1)
            test_ok(test_table_one(w.link.lanes[0], TUNNELCAP_DECAP, &pkt, NULL, &result));
        test_pkt_free(&pkt);
    }
}

static void tick_at(uint64_t now_ns)
{
    w.now_ns = now_ns;
    watch_tick(&w, &call, 4);
    world_call_close(&call);
}

static uint64_t bytes_of[SECONDS], packets_of[SECONDS];

/* Each second has its own load; the tick comes right after it. */
static void run_seconds(test_random *random)
{
    for (uint32_t s = 0; s < SECONDS; s++) {
        uint32_t count = test_below(random, 4);
        bytes_of[s] = packets_of[s] = 0;
        for (uint32_t i = 0; i < count; i++) {
            uint32_t total = 40 + test_below(random, 1400);
            carry(total);
            bytes_of[s] += total;
            packets_of[s]++;
        }
        tick_at((START_S + s + 1) * WATCH_S + test_below(random, 5) * WATCH_MS);
        ck_assert_uint_eq(w.next_ns, (START_S + s + 2) * WATCH_S);
    }
}

/* What the model says of a bucket: sums and peaks over its seconds. */
static void check_bucket(const tunnelcap_history_bucket *b, uint32_t span)
{
    uint64_t bytes = 0, packets = 0, peak = 0, peak_packets = 0;
    uint64_t first = b->start_s - START_S;
    ck_assert_uint_ge(b->start_s, START_S / span * span);
    if (b->start_s < START_S)
        first = 0;
    for (uint64_t s = first; s < first + b->seconds; s++) {
        bytes += bytes_of[s];
        packets += packets_of[s];
        peak = bytes_of[s] > peak ? bytes_of[s] : peak;
        peak_packets = packets_of[s] > peak_packets ? packets_of[s] : peak_packets;
    }
    ck_assert_uint_eq(b->start_s % span, 0);
    ck_assert_uint_eq(b->encap.bytes, bytes);
    ck_assert_uint_eq(b->encap.packets, packets);
    ck_assert_uint_eq(b->decap.bytes, bytes + packets);
    ck_assert_uint_eq(b->decap.packets, packets);
    ck_assert_uint_eq(b->encap.bit_rate, bytes * 8 / b->seconds);
    ck_assert_uint_eq(b->encap.peak_bit_rate, peak * 8);
    ck_assert_uint_eq(b->encap.peak_packet_rate, peak_packets);
    ck_assert_uint_eq(b->state_ppm, 1000000);
}

START_TEST(buckets_hold_exactly_what_was_carried)
{
    static const uint32_t keep[4] = {SECONDS, 100, 10, 10};
    static const uint32_t spans[3] = {1, 60, 300};
    test_random random = {42};
    open_with(1, keep);
    test_ok(tunnelcap_table_keep_history(w.link.tables[0], LINK_ID));
    tick_at(START_S * WATCH_S);
    run_seconds(&random);
    for (uint32_t span = 0; span < 3; span++) {
        tunnelcap_history_bucket b;
        uint32_t count = 0;
        for (; tunnelcap_history_get(history(), span, count, &b, sizeof(b)) == TUNNELCAP_OK;
             count++) {
            check_bucket(&b, spans[span]);
            if (b.start_s >= START_S)
                ck_assert_uint_eq(b.flags, 0);
            else
                ck_assert_uint_eq(b.flags, TUNNELCAP_HISTORY_PARTIAL);
        }
        ck_assert_uint_eq(count,
                          span == 0 ? SECONDS : (START_S % spans[span] + SECONDS) / spans[span]);
    }
    watch_close(&w);
}
END_TEST

START_TEST(late_tick_marks_the_seconds_that_it_missed)
{
    open_with(1, NULL);
    test_ok(tunnelcap_table_keep_history(w.link.tables[0], LINK_ID));
    tick_at(100 * WATCH_S);
    carry(100);
    tick_at(101 * WATCH_S);
    carry(301);
    tick_at(104 * WATCH_S + 5);
    ck_assert_uint_eq(bucket_at(TUNNELCAP_HISTORY_SECOND, 3).flags, 0);
    ck_assert_uint_eq(bucket_at(TUNNELCAP_HISTORY_SECOND, 3).encap.bytes, 100);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < 3; i++) {
        tunnelcap_history_bucket b = bucket_at(TUNNELCAP_HISTORY_SECOND, i);
        ck_assert_uint_eq(b.flags, TUNNELCAP_HISTORY_LATE);
        bytes += b.encap.bytes;
    }
    ck_assert_uint_eq(bytes, 301);
    watch_close(&w);
}
END_TEST

START_TEST(state_of_a_watched_tunnel_is_part_of_its_history)
{
    tunnelcap_health_config high = watch_high();
    open_with(1, NULL);
    test_ok(tunnelcap_table_watch(w.link.tables[0], LINK_ID, NULL, &high));
    test_ok(tunnelcap_table_keep_history(w.link.tables[0], LINK_ID));
    w.now_ns = 120 * WATCH_S;
    watch_run(&w, 130 * WATCH_S);
    w.is_cut = true;
    watch_run(&w, 150 * WATCH_S);
    w.is_cut = false;
    watch_run(&w, 181 * WATCH_S);
    ck_assert_uint_eq(bucket_at(TUNNELCAP_HISTORY_SECOND, 180 - 125).state_ppm, 1000000);
    ck_assert_uint_eq(bucket_at(TUNNELCAP_HISTORY_SECOND, 180 - 140).state_ppm, 0);
    ck_assert_uint_eq(bucket_at(TUNNELCAP_HISTORY_SECOND, 180 - 170).state_ppm, 500000);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < 60; i++)
        sum += bucket_at(TUNNELCAP_HISTORY_SECOND, i + 1).state_ppm;
    ck_assert_uint_eq(bucket_at(TUNNELCAP_HISTORY_MINUTE, 0).state_ppm, sum / 60);
    watch_close(&w);
}
END_TEST

START_TEST(histories_are_kept_for_those_that_are_named_and_as_many_as_configured)
{
    const tunnelcap_history *h = NULL;
    open_with(1, NULL);
    tunnelcap_table *table = w.link.tables[0];
    ck_assert_status(tunnelcap_table_keep_history(NULL, LINK_ID), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_keep_history(table, 99), TUNNELCAP_E_NOT_FOUND);
    ck_assert_status(tunnelcap_table_drop_history(NULL, LINK_ID), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_drop_history(table, LINK_ID), TUNNELCAP_E_NOT_FOUND);
    ck_assert_status(tunnelcap_table_get_history(NULL, LINK_ID, &h), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_get_history(table, LINK_ID, NULL), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_get_history(table, LINK_ID, &h), TUNNELCAP_E_NOT_FOUND);
    ck_assert_ptr_null(h);
    test_ok(tunnelcap_table_begin(table));
    test_ok(world_set_gre(table, 6, 6));
    test_ok(tunnelcap_table_commit(table, NULL));
    test_ok(tunnelcap_table_keep_history(table, LINK_ID));
    test_ok(tunnelcap_table_keep_history(table, LINK_ID));
    ck_assert_status(tunnelcap_table_keep_history(table, 6), TUNNELCAP_E_FULL);
    test_ok(tunnelcap_table_drop_history(table, LINK_ID));
    test_ok(tunnelcap_table_keep_history(table, 6));
    ck_assert_status(tunnelcap_table_get_history(table, LINK_ID, &h), TUNNELCAP_E_NOT_FOUND);
    /* It ends with its tunnel. */
    test_ok(tunnelcap_table_begin(table));
    test_ok(tunnelcap_table_remove(table, 6));
    test_ok(tunnelcap_table_commit(table, NULL));
    tick_at(5 * WATCH_S);
    ck_assert_status(tunnelcap_table_get_history(table, 6, &h), TUNNELCAP_E_NOT_FOUND);
    test_ok(tunnelcap_table_keep_history(table, LINK_ID));
    test_ok(tunnelcap_table_get_history(table, LINK_ID, &h));
    watch_close(&w);
}
END_TEST

START_TEST(numbers_of_buckets_are_those_of_history_h)
{
    tunnelcap_table_config config;
    test_ok(tunnelcap_table_config_init(&config, sizeof(config)));
    tunnelcap_history_config defaults;
    test_ok(tunnelcap_history_config_init(&defaults, sizeof(defaults)));
    ck_assert_uint_eq(config.histories, 0);
    ck_assert_mem_eq(config.history_keep, defaults.keep, sizeof(defaults.keep));
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t kept = config.history_keep[i];
        config.history_keep[i] = 0;
        ck_assert_uint_eq(tunnelcap_table_size(&config), 0);
        config.history_keep[i] = 100001;
        ck_assert_uint_eq(tunnelcap_table_size(&config), 0);
        config.history_keep[i] = kept;
    }
    size_t without = tunnelcap_table_size(&config);
    config.histories = 10;
    size_t with = tunnelcap_table_size(&config);
    ck_assert_uint_gt(with, without);
    /* 80 bytes for each bucket, and what the header says besides. */
    ck_assert_uint_le(with - without, 10 * (80 * (120 + 120 + 2016 + 744) + 2048));
}
END_TEST

Suite *test_table_history_suite(void)
{
    const TTest *tests[] = {
        buckets_hold_exactly_what_was_carried,
        late_tick_marks_the_seconds_that_it_missed,
        state_of_a_watched_tunnel_is_part_of_its_history,
        histories_are_kept_for_those_that_are_named_and_as_many_as_configured,
        numbers_of_buckets_are_those_of_history_h,
    };
    return test_suite("table_history", tests, TEST_COUNT(tests));
}
