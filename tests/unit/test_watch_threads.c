/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* A lane that recognises answers and picks records while the writer probes, judges, changes the key
 * and reads both rings: run under ThreadSanitizer too. */
#include "watch_world.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { ROUNDS = 300, BURST = 8, LEN_MAX = 512 };

typedef struct crew {
    watch_world w;
    tunnelcap_lane *lane; /* the second one, which carries */
    watch_flight answer;
    atomic_uint stop;
    atomic_uint bursts;
    uint64_t local, delivered, odd;
} crew;

static crew c;

static void *carry(void *arg)
{
    static uint8_t storage[BURST][64 + LEN_MAX];
    tunnelcap_pkt pkts[BURST];
    tunnelcap_result results[BURST];
    (void)arg;
    while (!atomic_load(&c.stop)) {
        for (uint32_t i = 0; i < BURST; i++) {
            pkts[i] = (tunnelcap_pkt){storage[i], sizeof(storage[i]), 64, c.answer.len, 0, NULL};
            memcpy(storage[i] + 64, c.answer.bytes, c.answer.len);
        }
        tunnelcap_burst burst = {.size = sizeof(burst),
                                 .now_ns = 1,
                                 .pkt_count = BURST,
                                 .result_cap = BURST,
                                 .pkts = pkts,
                                 .results = results};
        if (tunnelcap_table_decap(c.lane, &burst) != TUNNELCAP_OK)
            c.odd++;
        for (uint32_t i = 0; i < BURST; i++) {
            /* While the key is another one it is an echo like any other. */
            if (results[i].action == TUNNELCAP_DO_LOCAL)
                c.local++;
            else if (results[i].action == TUNNELCAP_DO_DELIVER)
                c.delivered++;
            else
                c.odd++;
        }
        atomic_fetch_add(&c.bursts, 1);
    }
    return NULL;
}

static void open_crew(void)
{
    tunnelcap_table_config config;
    tunnelcap_lane_config lane_config;
    static world_call call;
    test_ok(tunnelcap_table_config_init(&config, sizeof(config)));
    config.tunnels = 4;
    config.lanes = 2;
    config.histories = 1;
    watch_open_as(&c.w, LINK_GRE, &config);
    test_ok(tunnelcap_lane_config_init(&lane_config, sizeof(lane_config)));
    lane_config.samples = 64;
    lane_config.sample_rate = 3;
    lane_config.sample_target = 1000;
    test_ok(tunnelcap_lane_new(&lane_config, test_seed, NULL, test_alloc(), &c.lane));
    test_ok(tunnelcap_table_attach(c.w.link.tables[0], c.lane));
    tunnelcap_health_config high = watch_high();
    test_ok(tunnelcap_table_watch(c.w.link.tables[0], LINK_ID, NULL, &high));
    test_ok(tunnelcap_table_keep_history(c.w.link.tables[0], LINK_ID));
    watch_tick(&c.w, &call, 4);
    ck_assert_uint_eq(call.burst.spare_used, 1);
    c.answer.len = watch_far(&c.w, &call.spare[0], c.answer.bytes);
    world_call_close(&call);
}

START_TEST(answers_and_records_pass_between_threads)
{
    static const uint8_t other[TUNNELCAP_PROBE_KEY] = {1};
    static world_call call;
    static tunnelcap_sample samples[64];
    tunnelcap_event events[16];
    pthread_t thread;
    uint64_t told = 0, recorded = 0, answered = 0;
    if (test_lanes_max() < 2)
        return; /* no lock-free 64-bit atomics: one lane is all there is */
    open_crew();
    tunnelcap_table *table = c.w.link.tables[0];
    ck_assert_int_eq(pthread_create(&thread, NULL, carry, NULL), 0);
    for (uint32_t round = 0; round < ROUNDS || told == 0 || recorded == 0; round++) {
        uint32_t before = atomic_load(&c.bursts);
        while (atomic_load(&c.bursts) == before)
            sched_yield();
        test_ok(tunnelcap_table_set_prober(table, WATCH_SERVER, round & 1 ? other : watch_key));
        uint32_t count = tunnelcap_lane_events(c.lane, events, 16, NULL);
        for (uint32_t i = 0; i < count; i++) {
            ck_assert_uint_eq(events[i].kind, TUNNELCAP_EVENT_PROBE);
            answered += tunnelcap_table_answer(table, &events[i], c.w.now_ns) >= TUNNELCAP_OK;
        }
        told += count;
        count = tunnelcap_lane_samples(c.lane, samples, 64, NULL);
        for (uint32_t i = 0; i < count; i++) {
            ck_assert_uint_eq(samples[i].tunnel, LINK_ID);
            ck_assert_uint_gt(samples[i].rate, 0);
            ck_assert_uint_eq(samples[i].direction, TUNNELCAP_DECAP);
        }
        recorded += count;
        c.w.now_ns += 300 * WATCH_MS;
        watch_tick(&c.w, &call, 4);
        world_call_close(&call);
        if (c.w.healths > WATCH_EVENTS / 2)
            c.w.healths = 0;
    }
    atomic_store(&c.stop, 1);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_eq(c.odd, 0);
    ck_assert_uint_gt(c.local, 0);
    ck_assert_uint_le(answered, 1); /* it is one and the same answer */
    test_ok(tunnelcap_table_detach(table, c.lane));
    tunnelcap_lane_free(c.lane);
    watch_close(&c.w);
}
END_TEST

Suite *test_watch_threads_suite(void)
{
    const TTest *tests[] = {
        answers_and_records_pass_between_threads,
    };
    return test_suite("watch_threads", tests, TEST_COUNT(tests));
}
