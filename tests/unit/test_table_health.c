/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The health of tunnels in a table: probes through every kind of tunnel, answers, strangers. */
#include "watch_world.h"

#include <stdio.h>

enum { DOWN = TUNNELCAP_HEALTH_DOWN, DEGRADED, HEALTHY };

static watch_world w;
static world_call call;

static tunnelcap_watch watch_of(uint8_t probe, uint8_t direction)
{
    tunnelcap_watch watch;
    test_ok(tunnelcap_watch_init(&watch, sizeof(watch)));
    watch.probe = probe;
    watch.direction = direction;
    return watch;
}

static void watch_it(const tunnelcap_watch *watch)
{
    tunnelcap_health_config high = watch_high();
    test_ok(tunnelcap_table_watch(w.link.tables[0], LINK_ID, watch, &high));
}

START_TEST(watch_init_fills_the_documented_defaults)
{
    tunnelcap_watch watch, want;
    memset(&watch, 0xff, sizeof(watch));
    memset(&want, 0, sizeof(want));
    want.size = sizeof(want);
    want.probe = TUNNELCAP_ECHO_REPLY;
    test_ok(tunnelcap_watch_init(&watch, sizeof(watch)));
    ck_assert_mem_eq(&watch, &want, sizeof(want));
    ck_assert_status(tunnelcap_watch_init(NULL, sizeof(watch)), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_watch_init(&watch, sizeof(watch) - 1), TUNNELCAP_E_VERSION);
}
END_TEST

static int32_t try_watch(const tunnelcap_watch *watch)
{
    void *exact = test_copy(watch, sizeof(*watch));
    int32_t status = tunnelcap_table_watch(w.link.tables[0], LINK_ID, exact, NULL);
    free(exact);
    return status;
}

START_TEST(watch_refuses_what_it_cannot_probe_and_changes_nothing)
{
    watch_open(&w, LINK_GRE);
    tunnelcap_table *table = w.link.tables[0];
    tunnelcap_watch watch = watch_of(TUNNELCAP_ECHO_REPLY, TUNNELCAP_WATCH_BIDIRECTIONAL);
    tunnelcap_health_config bad = watch_high();
    tunnelcap_health_info info;
    ck_assert_status(tunnelcap_table_watch(NULL, LINK_ID, NULL, NULL), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_watch(table, 99, NULL, NULL), TUNNELCAP_E_NOT_FOUND);
    ck_assert_status(tunnelcap_table_watch(w.link.tables[1], LINK_ID, NULL, NULL),
                     TUNNELCAP_E_STATE); /* it has no key */
    watch.flags = 1;
    ck_assert_status(try_watch(&watch), TUNNELCAP_E_FLAGS);
    watch.flags = 0;
    watch.probe = 3;
    ck_assert_status(try_watch(&watch), TUNNELCAP_E_MODE);
    watch.probe = TUNNELCAP_ECHO_REPLY;
    watch.direction = 2;
    ck_assert_status(try_watch(&watch), TUNNELCAP_E_MODE);
    watch.direction = 0;
    watch.reserved[5] = 1;
    ck_assert_status(try_watch(&watch), TUNNELCAP_E_RESERVED);
    watch.reserved[5] = 0;
    watch.size--;
    ck_assert_status(try_watch(&watch), TUNNELCAP_E_VERSION);
    watch.size++;
    static const char *const locals[] = {"10.255.0.1", "224.0.0.1", "127.0.0.1", "ff02::1"};
    for (size_t i = 0; i < TEST_COUNT(locals); i++) {
        watch.local = test_addr(locals[i]); /* not ours, or nobody's */
        ck_assert_status(try_watch(&watch), TUNNELCAP_E_ADDRESS);
    }
    watch.local = test_addr("10.255.0.0");
    watch.remote = test_addr("fd00:ff::1");
    ck_assert_status(try_watch(&watch), TUNNELCAP_E_ADDRESS);
    bad.down_samples = 9;
    ck_assert_status(tunnelcap_table_watch(table, LINK_ID, NULL, &bad), TUNNELCAP_E_RANGE);
    ck_assert_status(tunnelcap_table_get_health(table, LINK_ID, &info, sizeof(info)),
                     TUNNELCAP_E_NOT_FOUND);
    ck_assert_status(tunnelcap_table_unwatch(table, LINK_ID), TUNNELCAP_E_NOT_FOUND);
    ck_assert_status(tunnelcap_table_unwatch(NULL, LINK_ID), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_set_prober(NULL, 1, watch_key), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_set_prober(table, 1, NULL), TUNNELCAP_E_INVALID);
    watch_tick(&w, &call, 4);
    ck_assert_uint_eq(call.burst.result_count, 0);
    world_call_close(&call);
    /* A refusal leaves a watch that there is alone. */
    test_ok(tunnelcap_table_watch(table, LINK_ID, NULL, NULL));
    w.next_ns = 0;
    watch_run(&w, 25 * WATCH_S);
    ck_assert_uint_eq(watch_info(&w).answered, 3);
    ck_assert_status(tunnelcap_table_watch(table, LINK_ID, NULL, &bad), TUNNELCAP_E_RANGE);
    watch_run(&w, 35 * WATCH_S);
    ck_assert_uint_eq(watch_info(&w).answered, 4);
    ck_assert_status(tunnelcap_table_get_health(NULL, LINK_ID, &info, sizeof(info)),
                     TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_get_health(table, LINK_ID, NULL, sizeof(info)),
                     TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_get_health(table, LINK_ID, &info, sizeof(info) - 1),
                     TUNNELCAP_E_VERSION);
    watch_close(&w);
}
END_TEST

/* Where there are no addresses inside the tunnel, only its ends can be probed. */
START_TEST(tunnel_without_inner_addresses_is_probed_from_end_to_end)
{
    tunnelcap_tunnel bare;
    watch_open(&w, LINK_GRE);
    test_ok(tunnelcap_tunnel_init(&bare, sizeof(bare)));
    table_link_set(&w.link, 0, &bare);
    ck_assert_status(tunnelcap_table_watch(w.link.tables[0], LINK_ID, NULL, NULL),
                     TUNNELCAP_E_ADDRESS);
    tunnelcap_watch watch = watch_of(TUNNELCAP_ECHO_REPLY, TUNNELCAP_WATCH_UNIDIRECTIONAL);
    watch_it(&watch);
    watch_run(&w, 5 * WATCH_S);
    ck_assert_uint_eq(watch_info(&w).answered, 5);
    watch_close(&w);
}
END_TEST

/* The addresses of a probe inside the tunnel, and its type. */
static void check_probe(const tunnelcap_pkt *probe, const tunnelcap_watch *watch, bool six)
{
    tunnelcap_result result;
    tunnelcap_icmp_echo echo = {.size = sizeof(echo)};
    tunnelcap_probe said;
    tunnelcap_pkt pkt = test_pkt_room(probe->buf + probe->off, probe->len, 80, 64);
    tunnelcap_tunnel policies[2];
    table_link_policies(policies);
    policies[1].flags &= ~(uint32_t)TUNNELCAP_TUNNEL_ANSWER_ECHO;
    table_link_set(&w.link, 1, &policies[1]);
    test_ok(test_table_one(w.link.lanes[1], TUNNELCAP_DECAP, &pkt, NULL, &result));
    ck_assert_uint_eq(result.action, TUNNELCAP_DO_DELIVER);
    test_ok(tunnelcap_icmp_echo_read(&pkt, NULL, &echo));
    bool outer = watch->direction == TUNNELCAP_WATCH_UNIDIRECTIONAL;
    test_ip ends = table_link_outer(&w.link, 0);
    tunnelcap_addr local = outer ? ends.src : test_addr(six ? "fd00:ff::" : "10.255.0.0");
    tunnelcap_addr remote = outer ? ends.dst : test_addr(six ? "fd00:ff::1" : "10.255.0.1");
    bool reply = watch->probe == TUNNELCAP_ECHO_REPLY;
    ck_assert_uint_eq(echo.type, watch->probe);
    ck_assert_mem_eq(&echo.src, reply ? &remote : &local, sizeof(local));
    ck_assert_mem_eq(&echo.dst, reply ? &local : &remote, sizeof(local));
    test_ok(
        tunnelcap_probe_read(pkt.buf + pkt.off + echo.payload, echo.payload_len, watch_key, &said));
    ck_assert_uint_eq(said.tunnel, LINK_ID);
    ck_assert_uint_eq(said.server, WATCH_SERVER);
    ck_assert_uint_eq(said.sent_ns, w.now_ns);
    ck_assert_uint_eq(said.kind, watch->direction);
    test_pkt_free(&pkt);
}

static void check_health(uint32_t n, uint64_t at_ns, uint32_t before, uint32_t now)
{
    ck_assert_uint_lt(n, w.healths);
    ck_assert_uint_eq(w.health[n].before, before);
    ck_assert_uint_eq(w.health[n].value, now);
    ck_assert_uint_eq(w.health[n].now_ns, at_ns);
}

/* Up for ten seconds, cut for twenty, and mended. */
static void run_script(void)
{
    watch_run(&w, 10500 * WATCH_MS);
    tunnelcap_health_info info = watch_info(&w);
    ck_assert_uint_eq(info.state, HEALTHY);
    ck_assert_uint_eq(info.sent, 11);
    ck_assert_uint_eq(info.answered, 11);
    ck_assert_uint_eq(info.rtt_ns, 20 * WATCH_MS);
    ck_assert_uint_eq(info.jitter_ns, 0);
    ck_assert_uint_eq(w.sent, 11);
    w.is_cut = true;
    watch_run(&w, 30500 * WATCH_MS);
    w.is_cut = false;
    watch_run(&w, 400 * WATCH_S);
    ck_assert_uint_eq(w.healths, 3);
    /* The probe of second 11 fails, and its two repetitions. */
    check_health(0, 12000 * WATCH_MS, HEALTHY, DOWN);
    /* The probe of second 31 passes, and its two repetitions. */
    check_health(1, 31040 * WATCH_MS, DOWN, DEGRADED);
    /* Five minutes later, with the next probe. */
    check_health(2, 332000 * WATCH_MS, DEGRADED, HEALTHY);
    ck_assert_uint_eq(watch_info(&w).failures, 0);
}

START_TEST(every_kind_of_tunnel_is_watched_by_every_kind_of_probe)
{
    static const uint8_t probes[2] = {TUNNELCAP_ECHO_REPLY, TUNNELCAP_ECHO_REQUEST};
    for (uint32_t mix = 0; mix < LINK_KINDS * 8; mix++) {
        tunnelcap_watch watch = watch_of(probes[mix & 1], mix >> 1 & 1);
        bool six = mix >> 2 & 1;
        if (six && watch.direction == TUNNELCAP_WATCH_UNIDIRECTIONAL)
            continue; /* the ends have one family */
        watch_open(&w, mix / 8);
        if (six)
            watch.local = test_addr("fd00:ff::");
        watch_it(&watch);
        run_script();
        watch_it(&watch);
        watch_tick(&w, &call, 4);
        ck_assert_uint_eq(call.burst.spare_used, 1);
        check_probe(&call.spare[0], &watch, six);
        world_call_close(&call);
        watch_close(&w);
    }
}
END_TEST

START_TEST(losses_now_and_then_degrade_and_late_answers_count_as_lost)
{
    watch_open(&w, LINK_GRE);
    watch_it(NULL);
    watch_run(&w, 20500 * WATCH_MS);
    w.lose = 1;
    watch_run(&w, 30500 * WATCH_MS); /* one failure is none */
    ck_assert_uint_eq(w.healths, 0);
    ck_assert_uint_eq(watch_info(&w).failures, 1);
    w.lose = 1;
    watch_run(&w, 40500 * WATCH_MS);
    ck_assert_uint_eq(w.healths, 1);
    check_health(0, 31500 * WATCH_MS, HEALTHY, DEGRADED);
    w.rtt_ns = 600 * WATCH_MS;
    watch_run(&w, 50 * WATCH_S);
    ck_assert_uint_eq(w.healths, 2);
    check_health(1, 42000 * WATCH_MS, DEGRADED, DOWN);
    watch_close(&w);
}
END_TEST

START_TEST(round_trips_and_their_variation_are_told)
{
    watch_open(&w, LINK_ESP);
    watch_it(NULL);
    watch_run(&w, 5500 * WATCH_MS);
    w.rtt_ns = 100 * WATCH_MS;
    watch_run(&w, 6500 * WATCH_MS);
    tunnelcap_health_info info = watch_info(&w);
    ck_assert_uint_eq(info.rtt_last_ns, 100 * WATCH_MS);
    ck_assert_uint_eq(info.rtt_ns, 30 * WATCH_MS); /* 7/8 of 20 and 1/8 of 100 */
    ck_assert_uint_eq(info.jitter_ns, 5 * WATCH_MS);
    watch_close(&w);
}
END_TEST

/* ---- strangers ---- */

/* Take one probe's answer out of the air. */
static watch_flight catch_answer(void)
{
    watch_flight f;
    watch_tick(&w, &call, 4);
    ck_assert_uint_eq(call.burst.spare_used, 1);
    f.len = watch_far(&w, &call.spare[0], f.bytes);
    world_call_close(&call);
    return f;
}

START_TEST(answers_of_strangers_change_nothing)
{
    tunnelcap_event event;
    watch_open(&w, LINK_GRE);
    tunnelcap_table *table = w.link.tables[0];
    ck_assert_status(tunnelcap_table_answer(NULL, &event, 0), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_answer(table, NULL, 0), TUNNELCAP_E_INVALID);
    watch_it(NULL);
    watch_flight f = catch_answer();
    /* A MAC that is wrong by a bit: an echo like any other, which the host gets. */
    for (uint32_t bit = 0; bit < 8 * TUNNELCAP_PROBE_SIZE; bit++) {
        uint8_t *byte = &f.bytes[f.len - TUNNELCAP_PROBE_SIZE + bit / 8];
        uint8_t *sum = &f.bytes[f.len - TUNNELCAP_PROBE_SIZE - 6];
        uint16_t kept = test_load16(sum);
        *byte ^= (uint8_t)(1 << bit % 8);
        test_store16(sum, 0);
        test_store16(sum, (uint16_t)~test_sum(0, sum - 2, TUNNELCAP_PROBE_SIZE + 8));
        tunnelcap_result result = watch_near(&w, f.bytes, f.len, &event);
        test_ok(result.status);
        ck_assert_uint_eq(result.action, TUNNELCAP_DO_DELIVER);
        ck_assert_uint_eq(event.kind, 0);
        *byte ^= (uint8_t)(1 << bit % 8);
        test_store16(sum, kept);
    }
    tunnelcap_health_info info = watch_info(&w);
    ck_assert_uint_eq(info.answered, 0);
    /* The true one counts once. */
    w.now_ns += 10 * WATCH_MS;
    tunnelcap_result result = watch_near(&w, f.bytes, f.len, &event);
    ck_assert_uint_eq(result.action, TUNNELCAP_DO_LOCAL);
    tunnelcap_event other = event;
    other.server++;
    ck_assert_status(tunnelcap_table_answer(table, &other, w.now_ns), TUNNELCAP_E_NOT_OWNER);
    other = event;
    other.tunnel++;
    ck_assert_status(tunnelcap_table_answer(table, &other, w.now_ns), TUNNELCAP_E_NOT_FOUND);
    other = event;
    other.value++;
    ck_assert_status(tunnelcap_table_answer(table, &other, w.now_ns), TUNNELCAP_E_NOT_FOUND);
    other = event;
    other.kind = TUNNELCAP_EVENT_PMTU;
    ck_assert_status(tunnelcap_table_answer(table, &other, w.now_ns), TUNNELCAP_E_MODE);
    ck_assert_uint_eq(watch_info(&w).answered, 0);
    test_ok(tunnelcap_table_answer(table, &event, w.now_ns));
    ck_assert_status(tunnelcap_table_answer(table, &event, w.now_ns), TUNNELCAP_E_NOT_FOUND);
    info = watch_info(&w);
    ck_assert_uint_eq(info.answered, 1);
    ck_assert_uint_eq(info.rtt_ns, 10 * WATCH_MS);
    /* Replayed into a process that has begun anew, it is nobody's. */
    w.now_ns += WATCH_S;
    watch_it(NULL);
    watch_flight again = catch_answer();
    ck_assert_status(tunnelcap_table_answer(table, &event, w.now_ns), TUNNELCAP_E_NOT_FOUND);
    watch_near(&w, again.bytes, again.len, &event);
    test_ok(tunnelcap_table_answer(table, &event, w.now_ns));
    watch_close(&w);
}
END_TEST

START_TEST(answer_of_one_tunnel_counts_in_no_other)
{
    tunnelcap_event event;
    tunnelcap_tunnel policies[2];
    watch_open(&w, LINK_GRE);
    watch_it(NULL);
    watch_flight f = catch_answer();
    /* The same packet, through a second tunnel with the same address inside. */
    tunnelcap_gre_config gre = test_gre_config("192.0.2.1", "198.51.100.9", 0);
    table_link_policies(policies);
    test_ok(tunnelcap_table_begin(w.link.tables[0]));
    test_ok(tunnelcap_table_set_gre(w.link.tables[0], 6, &policies[0], &gre));
    test_ok(tunnelcap_table_commit(w.link.tables[0], NULL));
    f.bytes[15] = 9;
    test_store16(f.bytes + 10, 0);
    test_store16(f.bytes + 10, (uint16_t)~test_sum(0, f.bytes, 20));
    tunnelcap_result result = watch_near(&w, f.bytes, f.len, &event);
    ck_assert_uint_eq(result.tunnel, 6);
    ck_assert_uint_eq(result.action, TUNNELCAP_DO_DELIVER);
    ck_assert_uint_eq(event.kind, 0);
    watch_close(&w);
}
END_TEST

/* The far end's address lies in no prefix that is routed there, and is link-local besides. */
START_TEST(answers_pass_where_sources_are_checked)
{
    tunnelcap_tunnel policies[2];
    tunnelcap_event event;
    watch_open(&w, LINK_GRE);
    table_link_policies(policies);
    policies[0].flags |= TUNNELCAP_TUNNEL_ANTI_SPOOF | TUNNELCAP_TUNNEL_MARTIANS;
    table_link_set(&w.link, 0, &policies[0]);
    tunnelcap_watch watch = watch_of(TUNNELCAP_ECHO_REPLY, TUNNELCAP_WATCH_BIDIRECTIONAL);
    watch.remote = test_addr("169.254.7.7");
    watch_it(&watch);
    watch_flight f = catch_answer();
    tunnelcap_result result = watch_near(&w, f.bytes, f.len, &event);
    ck_assert_uint_eq(result.action, TUNNELCAP_DO_LOCAL);
    test_ok(tunnelcap_table_answer(w.link.tables[0], &event, w.now_ns));
    f.bytes[f.len - 1] ^= 1; /* no answer any more, so what it is otherwise */
    result = watch_near(&w, f.bytes, f.len, &event);
    ck_assert_status(result.status, TUNNELCAP_E_MARTIAN);
    watch_close(&w);
}
END_TEST

START_TEST(answer_that_reached_another_server_is_handed_on)
{
    static watch_world there;
    tunnelcap_event event;
    watch_open(&w, LINK_ESP);
    watch_open(&there, LINK_ESP); /* the same tunnel and keys, on another server */
    test_ok(tunnelcap_table_set_prober(there.link.tables[0], WATCH_SERVER + 1, watch_key));
    watch_it(NULL);
    watch_flight f = catch_answer();
    there.now_ns = 12345;
    tunnelcap_result result = watch_near(&there, f.bytes, f.len, &event);
    ck_assert_uint_eq(result.action, TUNNELCAP_DO_LOCAL);
    ck_assert_uint_eq(event.kind, TUNNELCAP_EVENT_PROBE);
    ck_assert_status(tunnelcap_table_answer(there.link.tables[0], &event, there.now_ns),
                     TUNNELCAP_E_NOT_OWNER);
    ck_assert_uint_eq(event.server, WATCH_SERVER);
    test_ok(tunnelcap_table_answer(w.link.tables[0], &event, w.now_ns + WATCH_MS));
    ck_assert_uint_eq(watch_info(&w).answered, 1);
    watch_close(&there);
    watch_close(&w);
}
END_TEST

/* ---- requests to us ---- */

static uint64_t replied(void)
{
    tunnelcap_stats stats;
    test_ok(tunnelcap_table_get_stats(w.link.tables[0], LINK_ID, &stats, sizeof(stats)));
    return stats.decap.replied;
}

/* An echo request from the far end to our address inside, wrapped by the far end. */
static watch_flight far_request(bool six, uint32_t total)
{
    tunnelcap_icmp_echo echo;
    tunnelcap_result result;
    watch_flight f;
    test_ok(tunnelcap_icmp_echo_init(&echo, sizeof(echo)));
    echo.src = test_addr(six ? "fd00:ff::1" : "10.255.0.1");
    echo.dst = test_addr(six ? "fd00:ff::" : "10.255.0.0");
    echo.total = total;
    tunnelcap_pkt pkt = test_pkt_room(world_frame.bytes, 0, 80, 500);
    test_ok(tunnelcap_icmp_echo_build(&echo, NULL, &pkt));
    test_ok(test_table_one(w.link.lanes[1], TUNNELCAP_ENCAP, &pkt, NULL, &result));
    f.len = pkt.len;
    memcpy(f.bytes, pkt.buf + pkt.off, pkt.len);
    test_pkt_free(&pkt);
    return f;
}

START_TEST(requests_to_our_address_are_answered_into_the_tunnel)
{
    for (uint32_t mix = 0; mix < LINK_KINDS * 2; mix++) {
        bool six = mix & 1;
        tunnelcap_result result;
        tunnelcap_icmp_echo echo = {.size = sizeof(echo)};
        watch_open(&w, mix / 2);
        watch_flight f = far_request(six, 100);
        tunnelcap_pkt pkt = test_pkt_room(f.bytes, f.len, 32, 64);
        test_ok(test_table_one(w.link.lanes[0], TUNNELCAP_DECAP, &pkt, NULL, &result));
        ck_assert_uint_eq(result.action, TUNNELCAP_DO_REPLY);
        ck_assert_uint_eq(result.l3_len, pkt.buf[pkt.off] >> 4 == 4 ? 20 : 40);
        ck_assert_uint_eq(replied(), 1);
        test_ok(test_table_one(w.link.lanes[1], TUNNELCAP_DECAP, &pkt, NULL, &result));
        ck_assert_uint_eq(result.action, TUNNELCAP_DO_DELIVER);
        test_ok(tunnelcap_icmp_echo_read(&pkt, NULL, &echo));
        ck_assert_uint_eq(echo.type, TUNNELCAP_ECHO_REPLY);
        ck_assert_uint_eq(echo.ttl, 64);
        ck_assert_uint_eq(echo.total, 100);
        test_pkt_free(&pkt);
        watch_close(&w);
    }
}
END_TEST

START_TEST(request_that_cannot_be_answered_here_is_delivered)
{
    tunnelcap_tunnel policies[2];
    tunnelcap_event event;
    table_link_policies(policies);
    for (uint32_t way = 0; way < 3; way++) {
        watch_open(&w, LINK_GRE);
        watch_flight f = far_request(false, 200);
        if (way == 0) /* it may not */
            policies[0].flags &= ~(uint32_t)TUNNELCAP_TUNNEL_ANSWER_ECHO;
        if (way == 1) { /* the answer is too large */
            policies[0].flags |= TUNNELCAP_TUNNEL_ANSWER_ECHO;
            policies[0].mtu = 199;
        }
        if (way == 2) { /* the request is none of ours to answer */
            policies[0].mtu = 0;
            policies[0].interface4 = test_addr("10.255.0.8");
        }
        table_link_set(&w.link, 0, &policies[0]);
        tunnelcap_result result = watch_near(&w, f.bytes, f.len, &event);
        test_ok(result.status);
        ck_assert_uint_eq(result.action, TUNNELCAP_DO_DELIVER);
        ck_assert_uint_eq(replied(), 0);
        watch_close(&w);
    }
}
END_TEST

START_TEST(request_without_headroom_for_the_answer_is_delivered)
{
    watch_open(&w, LINK_GRE);
    tunnelcap_gre_config gre = test_gre_config("192.0.2.1", "198.51.100.1", TUNNELCAP_GRE_KEY_OUT);
    tunnelcap_tunnel policies[2];
    tunnelcap_result result;
    table_link_policies(policies);
    watch_flight f = far_request(false, 100);
    test_ok(tunnelcap_table_begin(w.link.tables[0]));
    test_ok(tunnelcap_table_set_gre(w.link.tables[0], LINK_ID, &policies[0], &gre));
    test_ok(tunnelcap_table_commit(w.link.tables[0], NULL));
    tunnelcap_pkt pkt = test_pkt(f.bytes, f.len, 3); /* the key takes four */
    test_ok(test_table_one(w.link.lanes[0], TUNNELCAP_DECAP, &pkt, NULL, &result));
    ck_assert_uint_eq(result.action, TUNNELCAP_DO_DELIVER);
    test_pkt_free(&pkt);
    watch_close(&w);
}
END_TEST

/* ---- time and room ---- */

START_TEST(probes_wait_for_room_and_none_is_lost)
{
    watch_open(&w, LINK_GRE);
    watch_it(NULL);
    watch_tick(&w, &call, 0);
    ck_assert_uint_eq(w.next_ns, 0);
    ck_assert_uint_eq(watch_info(&w).sent, 0);
    world_call_close(&call);
    w.is_cut = true;
    watch_run(&w, 499 * WATCH_MS);
    w.now_ns = 500 * WATCH_MS; /* two repetitions are due, and there is room for one */
    watch_tick(&w, &call, 1);
    ck_assert_uint_eq(call.burst.spare_used, 1);
    ck_assert_uint_eq(w.next_ns, w.now_ns);
    world_call_close(&call);
    watch_tick(&w, &call, 3);
    ck_assert_uint_eq(call.burst.spare_used, 1);
    ck_assert_uint_eq(w.next_ns, 1000 * WATCH_MS);
    world_call_close(&call);
    ck_assert_uint_eq(watch_info(&w).sent, 3);
    watch_close(&w);
}
END_TEST

START_TEST(probe_that_cannot_be_made_is_told_and_fails)
{
    watch_open(&w, LINK_ESP);
    watch_it(NULL);
    test_ok(tunnelcap_table_begin(w.link.tables[0]));
    test_ok(
        tunnelcap_table_set_sa(w.link.tables[0], LINK_ID, w.link.out[0], TUNNELCAP_SA_IN_READY, 0));
    test_ok(tunnelcap_table_commit(w.link.tables[0], NULL));
    watch_tick(&w, &call, 4);
    ck_assert_uint_eq(call.burst.result_count, 1);
    ck_assert_status(call.results[0].status, TUNNELCAP_E_NEED_SA);
    ck_assert_uint_eq(call.results[0].action, TUNNELCAP_DO_DROP);
    world_call_close(&call);
    w.now_ns = 500 * WATCH_MS;
    watch_tick(&w, &call, 4);
    world_call_close(&call);
    ck_assert_uint_eq(watch_info(&w).failed, 1);
    watch_close(&w);
}
END_TEST

START_TEST(watch_ends_with_its_tunnel_and_its_place_is_free)
{
    tunnelcap_table_config config;
    tunnelcap_table *table = NULL;
    uint64_t next_ns;
    test_ok(tunnelcap_table_config_init(&config, sizeof(config)));
    config.tunnels = 4;
    config.watched = 2;
    config.lanes = 1;
    test_ok(tunnelcap_table_new(&config, test_seed, test_alloc(), &table));
    tunnelcap_lane *lane = test_table_lane(table);
    test_ok(tunnelcap_table_set_prober(table, WATCH_SERVER, watch_key));
    test_ok(tunnelcap_table_begin(table));
    for (unsigned id = 1; id <= 3; id++)
        test_ok(world_set_gre(table, id, id));
    test_ok(tunnelcap_table_commit(table, NULL));
    tunnelcap_watch watch = watch_of(TUNNELCAP_ECHO_REPLY, TUNNELCAP_WATCH_UNIDIRECTIONAL);
    test_ok(tunnelcap_table_watch(table, 1, &watch, NULL));
    test_ok(tunnelcap_table_watch(table, 2, &watch, NULL));
    test_ok(tunnelcap_table_watch(table, 2, &watch, NULL));
    ck_assert_status(tunnelcap_table_watch(table, 3, &watch, NULL), TUNNELCAP_E_FULL);
    test_ok(tunnelcap_table_unwatch(table, 2));
    ck_assert_status(tunnelcap_table_unwatch(table, 2), TUNNELCAP_E_NOT_FOUND);
    test_ok(tunnelcap_table_watch(table, 3, &watch, NULL));
    test_ok(tunnelcap_table_begin(table));
    test_ok(tunnelcap_table_remove(table, 1));
    test_ok(tunnelcap_table_commit(table, NULL));
    world_call_open(&call, 4, CALL_HEADROOM, 256);
    test_ok(tunnelcap_table_tick(table, lane, &call.burst, &next_ns));
    ck_assert_uint_eq(call.burst.result_count, 1);
    ck_assert_uint_eq(call.results[0].tunnel, 3);
    world_call_close(&call);
    test_ok(tunnelcap_table_watch(table, 2, &watch, NULL));
    test_table_end(table, lane);
}
END_TEST

/* ---- failover ---- */

/* Two tunnels of one customer, each with its own path, and flows over both. */
enum { FLOWS = 200 };

typedef struct pair {
    tunnelcap_table *table;
    tunnelcap_lane *lane;
    uint64_t now_ns, next_ns;
    bool is_cut[3]; /* by tunnel */
} pair;

static pair p;

static void open_pair(void)
{
    memset(&p, 0, sizeof(p));
    tunnelcap_health_config high = watch_high();
    tunnelcap_watch watch = watch_of(TUNNELCAP_ECHO_REPLY, TUNNELCAP_WATCH_UNIDIRECTIONAL);
    p.table = test_table_new(4, 16, 1);
    p.lane = test_table_lane(p.table);
    test_ok(tunnelcap_table_set_prober(p.table, WATCH_SERVER, watch_key));
    test_ok(tunnelcap_table_begin(p.table));
    for (unsigned id = 1; id <= 2; id++) {
        tunnelcap_route route = test_route("10.0.0.0/8", id);
        test_ok(world_set_gre(p.table, id, id));
        test_ok(tunnelcap_table_set_route(p.table, &route));
    }
    test_ok(tunnelcap_table_commit(p.table, NULL));
    for (unsigned id = 1; id <= 2; id++)
        test_ok(tunnelcap_table_watch(p.table, id, &watch, &high));
}

/* A tick; what it sends comes back from the other end outside the tunnel, unless that is cut. */
static void pair_tick(void)
{
    tunnelcap_event event;
    world_call_open(&call, 8, CALL_HEADROOM, 256);
    call.burst.now_ns = p.now_ns;
    test_ok(tunnelcap_table_tick(p.table, p.lane, &call.burst, &p.next_ns));
    for (uint32_t i = 0; i < call.burst.result_count; i++) {
        tunnelcap_result result;
        const tunnelcap_pkt *probe = world_call_pkt(&call, i);
        if (p.is_cut[call.results[i].tunnel])
            continue;
        tunnelcap_pkt back = test_pkt(probe->buf + probe->off + 24, probe->len - 24, 0);
        test_ok(test_table_one(p.lane, TUNNELCAP_DECAP, &back, NULL, &result));
        ck_assert_uint_eq(result.action, TUNNELCAP_DO_LOCAL);
        test_pkt_free(&back);
    }
    world_call_close(&call);
    while (tunnelcap_lane_events(p.lane, &event, 1, NULL) == 1) {
        if (event.kind == TUNNELCAP_EVENT_PROBE) {
            ck_assert_int_ge(tunnelcap_table_answer(p.table, &event, p.now_ns), TUNNELCAP_OK);
            p.next_ns = p.now_ns;
        }
    }
}

static void pair_run(uint64_t until_ns)
{
    for (; p.next_ns <= until_ns; pair_tick())
        p.now_ns = p.next_ns > p.now_ns ? p.next_ns : p.now_ns + 1000;
    p.now_ns = until_ns;
}

/* How many flows take tunnel 2; which ones, as bits. */
static uint32_t flows_of_2(uint8_t takes[FLOWS])
{
    uint32_t count = 0;
    for (uint32_t f = 0; f < FLOWS; f++) {
        char dst[32];
        snprintf(dst, sizeof(dst), "10.7.%u.9", f);
        takes[f] = (uint8_t)world_taker(p.lane, dst);
        count += takes[f] == 2;
    }
    return count;
}

static uint32_t state_of(uint64_t id)
{
    tunnelcap_health_info info;
    test_ok(tunnelcap_table_get_health(p.table, id, &info, sizeof(info)));
    return info.state;
}

START_TEST(flows_leave_a_tunnel_that_is_down_and_come_back_when_it_is_healthy)
{
    uint8_t before[FLOWS], now[FLOWS];
    open_pair();
    pair_run(10500 * WATCH_MS);
    uint32_t share = flows_of_2(before);
    ck_assert_uint_gt(share, FLOWS / 4);
    ck_assert_uint_lt(share, FLOWS * 3 / 4);
    /* The probe of second 11 is lost, and its repetitions: down at 12. */
    p.is_cut[2] = true;
    pair_run(11999 * WATCH_MS);
    ck_assert_uint_eq(flows_of_2(now), share);
    ck_assert_mem_eq(now, before, sizeof(now));
    pair_run(12001 * WATCH_MS);
    ck_assert_uint_eq(state_of(2), DOWN);
    ck_assert_uint_eq(flows_of_2(now), 0);
    /* When the other one fails too, both are as good again: routes are never taken away. */
    pair_run(20500 * WATCH_MS);
    p.is_cut[1] = true;
    pair_run(22001 * WATCH_MS);
    ck_assert_uint_eq(state_of(1), DOWN);
    ck_assert_uint_eq(flows_of_2(now), share);
    ck_assert_mem_eq(now, before, sizeof(now));
    /* Degraded is better than down. */
    p.is_cut[2] = false;
    pair_run(23001 * WATCH_MS);
    ck_assert_uint_eq(state_of(2), DEGRADED);
    ck_assert_uint_eq(flows_of_2(now), FLOWS);
    /* Nobody ticks: everything stays as it is. */
    p.now_ns = 3000 * WATCH_S;
    ck_assert_uint_eq(flows_of_2(now), FLOWS);
    p.now_ns = 23002 * WATCH_MS;
    /* Both healthy: as before, flow by flow. */
    p.is_cut[1] = false;
    pair_run(400 * WATCH_S);
    ck_assert_uint_eq(state_of(1), HEALTHY);
    ck_assert_uint_eq(state_of(2), HEALTHY);
    ck_assert_uint_eq(flows_of_2(now), share);
    ck_assert_mem_eq(now, before, sizeof(now));
    test_table_end(p.table, p.lane);
}
END_TEST

START_TEST(routes_move_later_where_a_change_is_under_way)
{
    uint8_t takes[FLOWS];
    open_pair();
    p.is_cut[2] = true;
    pair_run(999 * WATCH_MS);
    test_ok(tunnelcap_table_begin(p.table));
    pair_run(1010 * WATCH_MS); /* down at 1 s, and the tick is asked for again and again */
    ck_assert_uint_eq(state_of(2), DOWN);
    ck_assert_uint_gt(flows_of_2(takes), 0);
    ck_assert_uint_le(p.next_ns, 1011 * WATCH_MS);
    test_ok(tunnelcap_table_commit(p.table, NULL));
    pair_run(1012 * WATCH_MS);
    ck_assert_uint_eq(flows_of_2(takes), 0);
    test_table_end(p.table, p.lane);
}
END_TEST

START_TEST(penalty_goes_with_the_watch_and_follows_a_tunnel_made_anew)
{
    uint8_t takes[FLOWS];
    tunnelcap_health_info info;
    open_pair();
    p.is_cut[2] = true;
    pair_run(1001 * WATCH_MS);
    ck_assert_uint_eq(flows_of_2(takes), 0);
    /* Replaced, it keeps what it is judged by. */
    test_ok(tunnelcap_table_begin(p.table));
    test_ok(world_set_gre(p.table, 2, 3));
    test_ok(tunnelcap_table_commit(p.table, NULL));
    ck_assert_uint_eq(flows_of_2(takes), 0);
    /* Removed and added anew, it is penalized again at the next look. */
    tunnelcap_route route = test_route("10.0.0.0/8", 2);
    test_ok(tunnelcap_table_begin(p.table));
    test_ok(tunnelcap_table_remove(p.table, 2));
    test_ok(world_set_gre(p.table, 2, 2));
    test_ok(tunnelcap_table_set_route(p.table, &route));
    test_ok(tunnelcap_table_commit(p.table, NULL));
    pair_run(2100 * WATCH_MS);
    ck_assert_uint_eq(flows_of_2(takes), 0);
    test_ok(tunnelcap_table_unwatch(p.table, 2));
    ck_assert_status(tunnelcap_table_get_health(p.table, 2, &info, sizeof(info)),
                     TUNNELCAP_E_NOT_FOUND);
    ck_assert_status(tunnelcap_table_unwatch(p.table, 2), TUNNELCAP_E_NOT_FOUND);
    ck_assert_uint_eq(flows_of_2(takes), 0);
    pair_tick();
    ck_assert_uint_gt(flows_of_2(takes), 0);
    test_table_end(p.table, p.lane);
}
END_TEST

Suite *test_table_health_suite(void)
{
    const TTest *tests[] = {
        watch_init_fills_the_documented_defaults,
        watch_refuses_what_it_cannot_probe_and_changes_nothing,
        tunnel_without_inner_addresses_is_probed_from_end_to_end,
        every_kind_of_tunnel_is_watched_by_every_kind_of_probe,
        losses_now_and_then_degrade_and_late_answers_count_as_lost,
        round_trips_and_their_variation_are_told,
        answers_of_strangers_change_nothing,
        answer_of_one_tunnel_counts_in_no_other,
        answers_pass_where_sources_are_checked,
        answer_that_reached_another_server_is_handed_on,
        requests_to_our_address_are_answered_into_the_tunnel,
        request_that_cannot_be_answered_here_is_delivered,
        request_without_headroom_for_the_answer_is_delivered,
        probes_wait_for_room_and_none_is_lost,
        probe_that_cannot_be_made_is_told_and_fails,
        watch_ends_with_its_tunnel_and_its_place_is_free,
        flows_leave_a_tunnel_that_is_down_and_come_back_when_it_is_healthy,
        routes_move_later_where_a_change_is_under_way,
        penalty_goes_with_the_watch_and_follows_a_tunnel_made_anew,
    };
    return test_suite("table_health", tests, TEST_COUNT(tests));
}
