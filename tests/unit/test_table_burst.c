/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The table as a lane sees it: clamping, bursts, counters. */
#include "table_world.h"

/* ---- clamp ---- */

START_TEST(syns_are_clamped_to_the_tunnel_both_ways)
{
    static const uint8_t mss[4] = {2, 4, 5, 180};
    for (unsigned flags = 0; flags < 4; flags++) {
        tunnelcap_tunnel tunnel;
        test_ok(tunnelcap_tunnel_init(&tunnel, sizeof(tunnel)));
        tunnel.flags = flags;
        tunnel.limit6 = 1300;
        world w = world_open(&tunnel);
        for (unsigned mix = 0; mix < 4; mix++) {
            bool six = mix & 1, out = mix & 2;
            test_ip ip = six ? test_between("2001:db8::5", "fd00:1::1")
                             : test_between("203.0.113.1", "10.1.0.9");
            test_syn_packet(&world_frame, &ip, TEST_TCP_SYN, mss, 4);
            if (out) {
                test_ip outer = test_between(world_remotes[GRE_ID], "192.0.2.1");
                test_gre gre = {.protocol = six ? 0x86dd : 0x0800};
                test_push_gre(&world_frame, &gre);
                test_push_ip(&world_frame, &outer, GRE);
            }
            bool clamped =
                flags & (out ? TUNNELCAP_TUNNEL_CLAMP_DECAP : TUNNELCAP_TUNNEL_CLAMP_ENCAP);
            tunnelcap_result result;
            tunnelcap_pkt pkt = test_pkt(world_frame.bytes, world_frame.len, out ? 0 : 24);
            test_ok(test_table_one(w.lane, out ? TUNNELCAP_DECAP : TUNNELCAP_ENCAP, &pkt, NULL,
                                   &result));
            ck_assert_uint_eq(result.flags, clamped ? TUNNELCAP_RESULT_CLAMPED : 0);
            uint32_t at = pkt.off + (out ? 0u : 24u) + (six ? 62u : 42u);
            ck_assert_uint_eq(test_load16(pkt.buf + at), !clamped ? 1460 : six ? 1300 : 1436);
            test_pkt_free(&pkt);
        }
        tunnelcap_stats stats;
        test_ok(tunnelcap_table_get_stats(w.table, GRE_ID, &stats, sizeof(stats)));
        ck_assert_uint_eq(stats.encap.clamped, flags & 1 ? 2 : 0);
        ck_assert_uint_eq(stats.decap.clamped, flags & 2 ? 2 : 0);
        ck_assert_uint_eq(stats.encap.packets, 2);
        world_close(&w);
    }
}
END_TEST

START_TEST(mss_is_inserted_where_configured_and_the_result_still_fits)
{
    tunnelcap_tunnel tunnel;
    test_ok(tunnelcap_tunnel_init(&tunnel, sizeof(tunnel)));
    tunnel.insert4 = 536;
    tunnel.mtu = 100;
    world w = world_open(&tunnel);
    for (uint32_t data = 40; data <= 60; data++) {
        test_ip ip = test_between("203.0.113.1", "10.1.0.9");
        tunnelcap_result result;
        test_payload(&world_frame, data);
        test_push_tcp(&world_frame, &ip, TEST_TCP_SYN, NULL, 0);
        test_push_ip(&world_frame, &ip, 6);
        tunnelcap_pkt pkt = test_pkt(world_frame.bytes, world_frame.len, 28);
        test_ok(test_table_one(w.lane, TUNNELCAP_ENCAP, &pkt, NULL, &result));
        ck_assert_uint_le(pkt.len, 124);
        ck_assert_uint_eq(pkt.len, 24 + world_frame.len + (data <= 56 ? 4u : 0u));
        ck_assert_uint_eq(result.flags, data <= 56 ? TUNNELCAP_RESULT_CLAMPED : 0);
        test_pkt_free(&pkt);
    }
    world_close(&w);
}
END_TEST

/* ---- bursts ---- */

START_TEST(counters_add_up_to_what_was_offered)
{
    enum { COUNT = 200 };
    world w = world_open(NULL);
    test_random random = {6};
    uint64_t offered[2][5] = {{0}}, bytes_in = 0, bytes_out = 0;
    for (uint32_t round = 0; round < 20; round++) {
        tunnelcap_pkt pkts[COUNT];
        tunnelcap_result results[COUNT];
        uint32_t direction = round & 1;
        for (uint32_t i = 0; i < COUNT; i++) {
            unsigned id = 1 + test_below(&random, 4);
            if (direction == TUNNELCAP_ENCAP)
                world_inner(id, test_below(&random, 1500));
            else
                world_outer(id, test_below(&random, 50));
            if (test_below(&random, 5) == 0)
                world_frame.bytes[test_below(&random, world_frame.len)] ^= 0x55;
            pkts[i] =
                test_pkt(world_frame.bytes, world_frame.len, direction == TUNNELCAP_ENCAP ? 32 : 0);
        }
        tunnelcap_burst burst = {.size = sizeof(burst),
                                 .pkt_count = COUNT,
                                 .result_cap = COUNT,
                                 .pkts = pkts,
                                 .results = results};
        uint32_t lens[COUNT];
        for (uint32_t i = 0; i < COUNT; i++)
            lens[i] = pkts[i].len;
        test_ok(direction == TUNNELCAP_ENCAP ? tunnelcap_table_encap(w.lane, &burst)
                                             : tunnelcap_table_decap(w.lane, &burst));
        for (uint32_t i = 0; i < COUNT; i++) {
            ck_assert_uint_eq(results[i].index, i);
            ck_assert_uint_le(results[i].tunnel, 4);
            offered[direction][results[i].tunnel]++;
            if (direction == TUNNELCAP_ENCAP && results[i].action == TUNNELCAP_DO_SEND) {
                bytes_in += lens[i];
                bytes_out += pkts[i].len;
            }
            test_pkt_free(&pkts[i]);
        }
    }
    tunnelcap_counters sum = {0};
    for (uint64_t id = 0; id <= 4; id++) {
        tunnelcap_stats stats;
        test_ok(tunnelcap_table_get_stats(w.table, id, &stats, sizeof(stats)));
        ck_assert_uint_eq(stats.encap.packets + stats.encap.replied + stats.encap.refused,
                          offered[0][id]);
        ck_assert_uint_eq(stats.decap.packets + stats.decap.replied + stats.decap.refused,
                          offered[1][id]);
        sum.inner_bytes += stats.encap.inner_bytes;
        sum.outer_bytes += stats.encap.outer_bytes;
        for (uint32_t direction = 0; direction < 2; direction++) {
            tunnelcap_reason reasons[64];
            uint32_t count = 0;
            uint64_t refused = 0;
            test_ok(tunnelcap_table_reasons(w.table, id, direction, reasons, 64, &count));
            for (uint32_t i = 0; i < count; i++)
                refused += reasons[i].count;
            ck_assert_uint_eq(refused, direction ? stats.decap.refused : stats.encap.refused);
        }
    }
    ck_assert_uint_eq(sum.outer_bytes, bytes_out);
    ck_assert_uint_le(sum.inner_bytes, bytes_in);
    world_close(&w);
}
END_TEST

START_TEST(burst_stops_where_the_results_are_full)
{
    world w = world_open(NULL);
    tunnelcap_pkt pkts[5];
    tunnelcap_result results[3];
    memset(results, 0xff, sizeof(results));
    for (uint32_t i = 0; i < TEST_COUNT(pkts); i++) {
        world_inner(1 + i % 4, 10);
        pkts[i] = test_pkt(world_frame.bytes, world_frame.len, 40);
    }
    tunnelcap_result *exact = malloc(2 * sizeof(results[0]));
    tunnelcap_burst burst = {
        .size = sizeof(burst), .pkt_count = 5, .result_cap = 2, .pkts = pkts, .results = exact};
    test_ok(tunnelcap_table_encap(w.lane, &burst));
    ck_assert_uint_eq(burst.pkt_done, 2);
    ck_assert_uint_eq(burst.result_count, 2);
    ck_assert_uint_eq(exact[1].tunnel, 2);
    for (uint32_t i = 2; i < 5; i++)
        ck_assert_int_eq(pkts[i].status, INT32_MIN); /* not looked at */
    free(exact);
    burst.pkts = pkts + 2;
    burst.pkt_count = 3;
    burst.result_cap = 3;
    burst.results = results;
    test_ok(tunnelcap_table_encap(w.lane, &burst));
    ck_assert_uint_eq(burst.pkt_done, 3);
    ck_assert_uint_eq(results[0].tunnel, 3);
    ck_assert_uint_eq(results[0].index, 0);
    burst.pkt_count = 0;
    burst.pkts = NULL;
    burst.results = NULL;
    test_ok(tunnelcap_table_encap(w.lane, &burst));
    ck_assert_uint_eq(burst.pkt_done, 0);
    for (uint32_t i = 0; i < TEST_COUNT(pkts); i++)
        test_pkt_free(&pkts[i]);
    world_close(&w);
}
END_TEST

START_TEST(burst_checks_its_arguments)
{
    world w = world_open(NULL);
    tunnelcap_lane *loose = test_lane();
    tunnelcap_result result;
    world_inner(GRE_ID, 10);
    tunnelcap_pkt pkt = test_pkt(world_frame.bytes, world_frame.len, 40);
    tunnelcap_burst good = {.size = sizeof(good),
                            .pkt_count = 1,
                            .result_cap = 1,
                            .pkts = &pkt,
                            .results = &result},
                    burst;
    int32_t (*const calls[])(tunnelcap_lane *, tunnelcap_burst *) = {tunnelcap_table_encap,
                                                                     tunnelcap_table_decap};
    for (size_t i = 0; i < TEST_COUNT(calls); i++) {
        burst = good;
        ck_assert_status(calls[i](NULL, &burst), TUNNELCAP_E_INVALID);
        ck_assert_status(calls[i](w.lane, NULL), TUNNELCAP_E_INVALID);
        ck_assert_status(calls[i](loose, &burst), TUNNELCAP_E_STATE);
        burst.pkts = NULL;
        ck_assert_status(calls[i](w.lane, &burst), TUNNELCAP_E_INVALID);
        burst = good;
        burst.results = NULL;
        ck_assert_status(calls[i](w.lane, &burst), TUNNELCAP_E_INVALID);
        burst = good;
        burst.pkt_count = 65536;
        ck_assert_status(calls[i](w.lane, &burst), TUNNELCAP_E_INVALID);
        burst = good;
        burst.flags = 1;
        ck_assert_status(calls[i](w.lane, &burst), TUNNELCAP_E_FLAGS);
        burst = good;
        burst.reserved = 1;
        ck_assert_status(calls[i](w.lane, &burst), TUNNELCAP_E_RESERVED);
        burst = good;
        burst.size--;
        ck_assert_status(calls[i](w.lane, &burst), TUNNELCAP_E_VERSION);
        struct {
            tunnelcap_burst known;
            uint64_t tail;
        } newer = {good, 1};
        newer.known.size = sizeof(newer);
        ck_assert_status(calls[i](w.lane, &newer.known), TUNNELCAP_E_VERSION);
        ck_assert_int_eq(pkt.status, INT32_MIN);
    }
    test_pkt_free(&pkt);
    tunnelcap_lane_free(loose);
    world_close(&w);
}
END_TEST

START_TEST(packets_of_sockets_find_their_tunnel)
{
    world w = world_open(NULL);
    test_ip inner = test_between("10.9.0.1", "203.0.113.1");
    test_gre gre = {.protocol = 0x0800};
    tunnelcap_result result;
    tunnelcap_meta meta = {.at = TUNNELCAP_AT_UDP_PAYLOAD,
                           .src = test_addr(world_remotes[UDP_ID]),
                           .dst = test_addr("192.0.2.1"),
                           .src_port = 50000,
                           .dst_port = 4754};
    test_udp_packet(&world_frame, &inner, 10);
    test_push_gre(&world_frame, &gre);
    test_ok(world_run(&w, TUNNELCAP_DECAP, 0, &meta, &result));
    ck_assert_uint_eq(result.tunnel, UDP_ID);
    meta.at = TUNNELCAP_AT_IP_PAYLOAD;
    meta.proto = GRE;
    meta.src = test_addr(world_remotes[GRE_ID]);
    test_ok(world_run(&w, TUNNELCAP_DECAP, 0, &meta, &result));
    ck_assert_uint_eq(result.tunnel, GRE_ID);
    meta.proto = 4;
    meta.src = test_addr(world_remotes[IPIP_ID]);
    test_udp_packet(&world_frame, &inner, 10);
    test_ok(world_run(&w, TUNNELCAP_DECAP, 0, &meta, &result));
    ck_assert_uint_eq(result.tunnel, IPIP_ID);
    world_close(&w);
}
END_TEST

START_TEST(counters_of_a_detached_lane_stay)
{
    world w = world_open(NULL);
    tunnelcap_result result;
    world_inner(GRE_ID, 10);
    test_ok(world_run(&w, TUNNELCAP_ENCAP, 40, NULL, &result));
    test_ok(tunnelcap_table_detach(w.table, w.lane));
    test_ok(tunnelcap_table_attach(w.table, w.lane));
    test_ok(world_run(&w, TUNNELCAP_ENCAP, 40, NULL, &result));
    tunnelcap_stats stats;
    test_ok(tunnelcap_table_get_stats(w.table, GRE_ID, &stats, sizeof(stats)));
    ck_assert_uint_eq(stats.encap.packets, 2);
    ck_assert_uint_eq(stats.encap.inner_bytes, 2 * 38);
    ck_assert_uint_eq(stats.encap.outer_bytes, 2 * 62);
    world_close(&w);
}
END_TEST

Suite *test_table_burst_suite(void)
{
    const TTest *tests[] = {
        syns_are_clamped_to_the_tunnel_both_ways,
        mss_is_inserted_where_configured_and_the_result_still_fits,
        counters_add_up_to_what_was_offered,
        burst_stops_where_the_results_are_full,
        burst_checks_its_arguments,
        packets_of_sockets_find_their_tunnel,
        counters_of_a_detached_lane_stay,
    };
    return test_suite("table_burst", tests, TEST_COUNT(tests));
}
