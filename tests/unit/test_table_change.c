/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* How changes of a table end: the two views, what is used again, and what runs out. */
#include "table.h"
#include "table_world.h"

#include <stdio.h>

static tunnelcap_table *table_of(const tunnelcap_table_config *config)
{
    tunnelcap_table *table;
    test_ok(tunnelcap_table_new(config, test_seed, NULL, &table));
    return table;
}

static tunnelcap_table_config config_of(uint32_t tunnels, uint32_t changes)
{
    tunnelcap_table_config config;
    test_ok(tunnelcap_table_config_init(&config, sizeof(config)));
    config.tunnels = tunnels;
    config.routes = 8;
    config.lanes = 1;
    config.changes = changes;
    return config;
}

static uint64_t decapped_by(tunnelcap_lane *lane, unsigned n)
{
    char remote[32];
    test_gre gre = {0, 0x0800, 0, 0};
    test_ip inner = test_between("10.9.0.1", "203.0.113.1");
    snprintf(remote, sizeof(remote), "198.51.100.%u", n);
    test_ip outer = test_between(remote, "192.0.2.1");
    test_udp_packet(&world_frame, &inner, 30);
    test_push_gre(&world_frame, &gre);
    test_push_ip(&world_frame, &outer, GRE);
    tunnelcap_pkt pkt = test_pkt(world_frame.bytes, world_frame.len, 0);
    tunnelcap_result result;
    int32_t status = test_table_one(lane, TUNNELCAP_DECAP, &pkt, NULL, &result);
    ck_assert_status(status, result.tunnel == 0 ? TUNNELCAP_E_NO_TUNNEL : TUNNELCAP_OK);
    test_pkt_free(&pkt);
    return result.tunnel;
}

static void commit(tunnelcap_table *table)
{
    test_ok(tunnelcap_table_commit(table, NULL));
}

/* An empty change makes the other view the current one: what is seen must not differ. */
static void check_both_views(tunnelcap_table *table, tunnelcap_lane *lane, const uint64_t *by,
                             unsigned count)
{
    for (unsigned view = 0; view < 2; view++) {
        for (unsigned n = 1; n <= count; n++)
            ck_assert_uint_eq(decapped_by(lane, n), by[n - 1]);
        test_ok(tunnelcap_table_begin(table));
        commit(table);
    }
}

START_TEST(both_views_are_alike_after_changes_of_any_length)
{
    static const uint64_t want[] = {1, 2, 3, 0, 0, 4, 0, 0};
    for (uint32_t changes = 1; changes <= 8; changes++) {
        tunnelcap_table_config config = config_of(8, changes);
        tunnelcap_table *table = table_of(&config);
        tunnelcap_lane *lane = test_table_lane(table);
        test_ok(tunnelcap_table_begin(table));
        for (unsigned id = 1; id <= 8; id++)
            test_ok(world_set_gre(table, id, id));
        commit(table);
        test_ok(tunnelcap_table_begin(table));
        for (unsigned id = 4; id <= 8; id++)
            test_ok(tunnelcap_table_remove(table, id));
        commit(table);
        test_ok(tunnelcap_table_begin(table));
        test_ok(world_set_gre(table, 4, 6));
        commit(table);
        check_both_views(table, lane, want, 8);
        test_table_end(table, lane);
    }
}
END_TEST

START_TEST(tunnel_that_changes_its_kind_and_back_in_one_change_is_in_both_views)
{
    static const uint64_t once[] = {1, 2}, gone[] = {0, 2};
    tunnelcap_table_config config = config_of(4, 4);
    tunnelcap_table *table = table_of(&config);
    tunnelcap_lane *lane = test_table_lane(table);
    tunnelcap_ipip_config ipip = test_ipip_config("192.0.2.1", "198.51.100.1", 0);
    for (unsigned round = 0; round < 20; round++) { /* what is lost each time would be missed */
        test_ok(tunnelcap_table_begin(table));
        test_ok(world_set_gre(table, 2, 2));
        test_ok(tunnelcap_table_set_ipip(table, 1, NULL, &ipip));
        test_ok(world_set_gre(table, 1, 1));
        test_ok(world_set_gre(table, 1, 1));
        commit(table);
        check_both_views(table, lane, once, 2);
        test_ok(tunnelcap_table_begin(table));
        test_ok(tunnelcap_table_remove(table, 1));
        test_ok(world_set_gre(table, 1, 9));
        test_ok(tunnelcap_table_set_ipip(table, 1, NULL, &ipip));
        test_ok(tunnelcap_table_remove(table, 1));
        commit(table);
        check_both_views(table, lane, gone, 2);
    }
    test_table_end(table, lane);
}
END_TEST

START_TEST(aborted_changes_leave_nothing_used_and_nothing_changed)
{
    static const uint64_t want[] = {1, 2, 0, 0};
    tunnelcap_table_config config = config_of(4, 2);
    tunnelcap_table *table = table_of(&config);
    tunnelcap_lane *lane = test_table_lane(table);
    test_ok(tunnelcap_table_begin(table));
    test_ok(world_set_gre(table, 1, 1));
    test_ok(world_set_gre(table, 2, 2));
    commit(table);
    for (unsigned round = 0; round < 20; round++) {
        test_ok(tunnelcap_table_begin(table));
        test_ok(tunnelcap_table_remove(table, 1));
        test_ok(world_set_gre(table, 3, 3));
        test_ok(world_set_gre(table, 2, 4));
        test_ok(world_set_gre(table, 4, 1));
        tunnelcap_table_abort(table);
        check_both_views(table, lane, want, 4);
    }
    test_table_end(table, lane);
}
END_TEST

/* The capacity of `changes` says how many tunnels a change can replace beside all that there are;
 * what it cannot is refused, and done by the next one. */
START_TEST(change_replaces_as_many_tunnels_as_configured)
{
    tunnelcap_table_config config = config_of(4, 1);
    tunnelcap_table *table = table_of(&config);
    tunnelcap_lane *lane = test_table_lane(table);
    uint64_t want[] = {1, 2, 3, 4, 0};
    test_ok(tunnelcap_table_begin(table));
    for (unsigned id = 1; id <= 4; id++)
        test_ok(world_set_gre(table, id, id));
    commit(table);
    test_ok(tunnelcap_table_begin(table));
    test_ok(world_set_gre(table, 1, 5));
    test_ok(world_set_gre(table, 1, 5)); /* once more costs nothing more */
    test_ok(world_set_gre(table, 2, 1));
    ck_assert_status(world_set_gre(table, 3, 2), TUNNELCAP_E_FULL);
    commit(table);
    want[0] = 2;
    want[1] = 0;
    want[4] = 1;
    check_both_views(table, lane, want, 5);
    test_ok(tunnelcap_table_begin(table));
    test_ok(world_set_gre(table, 3, 2));
    commit(table);
    ck_assert_uint_eq(decapped_by(lane, 2), 3);
    test_table_end(table, lane);
}
END_TEST

START_TEST(nothing_is_used_again_while_a_lane_may_see_it)
{
    tunnelcap_table_config config = config_of(2, 2);
    tunnelcap_table *table = table_of(&config);
    tunnelcap_lane *lane = test_table_lane(table);
    uint64_t first, second;
    test_ok(tunnelcap_table_begin(table));
    test_ok(world_set_gre(table, 1, 1));
    test_ok(tunnelcap_table_commit(table, &first));
    TUNNELCAP_I_STORE(table->seats[0].seen, first);
    test_ok(tunnelcap_table_begin(table)); /* that burst sees this version already */
    test_ok(tunnelcap_table_remove(table, 1));
    test_ok(tunnelcap_table_commit(table, &second));
    ck_assert_uint_eq(tunnelcap_table_settled(table), first);
    ck_assert_status(tunnelcap_table_begin(table), TUNNELCAP_E_BUSY);
    ck_assert_uint_ne(tunnelcap_i_find_id(table, tunnelcap_i_changing(table), 1), 0);
    TUNNELCAP_I_STORE(table->seats[0].seen, second);
    ck_assert_uint_eq(tunnelcap_table_settled(table), second);
    ck_assert_uint_eq(tunnelcap_i_find_id(table, tunnelcap_i_changing(table), 1), 0);
    test_ok(tunnelcap_table_begin(table));
    test_ok(world_set_gre(table, 2, 1));
    commit(table);
    ck_assert_uint_eq(decapped_by(lane, 1), 2);
    test_table_end(table, lane);
}
END_TEST

START_TEST(tunnels_of_fixed_mtu_need_no_path)
{
    tunnelcap_table_config config = config_of(4, 4);
    config.paths = 1;
    tunnelcap_table *table = table_of(&config);
    tunnelcap_gre_config gre = world_gre_to(1);
    tunnelcap_tunnel fixed;
    tunnelcap_tunnel_info info;
    tunnelcap_pmtu_info pmtu;
    test_ok(tunnelcap_tunnel_init(&fixed, sizeof(fixed)));
    fixed.pmtu_mode = TUNNELCAP_PMTU_FIXED;
    fixed.path_mtu = 1400;
    test_ok(tunnelcap_table_begin(table));
    test_ok(tunnelcap_table_set_gre(table, 1, NULL, &gre));
    ck_assert_status(world_set_gre(table, 2, 2), TUNNELCAP_E_FULL);
    gre = world_gre_to(2);
    test_ok(tunnelcap_table_set_gre(table, 2, &fixed, &gre));
    commit(table);
    test_ok(tunnelcap_table_get_info(table, 2, &info, sizeof(info)));
    ck_assert_uint_eq(info.path_mtu, 1400);
    ck_assert_uint_eq(info.inner_mtu, 1376);
    test_ok(tunnelcap_table_get_pmtu(table, 1, 0, &pmtu, sizeof(pmtu)));
    ck_assert_status(tunnelcap_table_get_pmtu(table, 2, 0, &pmtu, sizeof(pmtu)),
                     TUNNELCAP_E_NOT_FOUND);
    test_ok(tunnelcap_table_begin(table)); /* the one path is free again */
    gre = world_gre_to(1);
    test_ok(tunnelcap_table_set_gre(table, 1, &fixed, &gre));
    commit(table);
    test_ok(tunnelcap_table_begin(table));
    gre = world_gre_to(2);
    test_ok(tunnelcap_table_set_gre(table, 2, NULL, &gre));
    commit(table);
    tunnelcap_table_free(table);
}
END_TEST

/* A tick looks at a part of a large table, and asks to be called again until all had their turn,
 * in about a second. */
START_TEST(ticks_go_round_a_large_table)
{
    enum { TUNNELS = 9000, SECOND = 1000000000 };
    tunnelcap_table_config config = config_of(TUNNELS, 1);
    tunnelcap_table *table = table_of(&config);
    tunnelcap_lane *lane = test_table_lane(table);
    tunnelcap_tunnel policy;
    tunnelcap_burst burst = {.size = sizeof(burst)};
    uint64_t next_ns;
    uint32_t calls = 0;
    test_ok(tunnelcap_tunnel_init(&policy, sizeof(policy)));
    policy.interface4 = test_addr("10.255.0.1");
    policy.probe = test_addr("10.255.0.2");
    policy.pmtu_mode = TUNNELCAP_PMTU_PROBE;
    test_ok(tunnelcap_table_begin(table));
    for (uint32_t id = 1; id <= TUNNELS; id++) {
        tunnelcap_gre_config gre = world_gre_to(1);
        gre.flags = TUNNELCAP_GRE_KEY_IN;
        gre.key_in = id;
        test_ok(tunnelcap_table_set_gre(table, id, id == TUNNELS ? &policy : NULL, &gre));
    }
    commit(table);
    world_call call;
    world_call_open(&call, 1, 100, 1600);
    do { /* the last tunnel is the only one to send a probe */
        burst = call.burst;
        burst.now_ns = 5 * (uint64_t)SECOND + calls * (uint64_t)SECOND / 3;
        test_ok(tunnelcap_table_tick(table, lane, &burst, &next_ns));
        ck_assert_uint_gt(next_ns, burst.now_ns);
        ck_assert_uint_le(next_ns, burst.now_ns + SECOND / 3);
        calls++;
    } while (burst.result_count == 0 && calls < 4);
    ck_assert_uint_eq(call.results[0].tunnel, TUNNELS);
    ck_assert_uint_eq(calls, 3);
    world_call_close(&call);
    test_table_end(table, lane);
}
END_TEST

/* One that has details counts by itself; what finds none left counts with the packets that have
 * no tunnel, so that nothing is lost from the sum. */
START_TEST(rare_counters_that_find_no_room_count_under_id_zero)
{
    tunnelcap_table_config config = config_of(4, 4);
    config.details = 2;
    world w;
    w.table = table_of(&config);
    w.lane = test_table_lane(w.table);
    test_ok(tunnelcap_table_begin(w.table));
    for (unsigned id = 1; id <= 4; id++) {
        tunnelcap_route route = test_route(world_prefixes[id][0], id);
        test_ok(world_set_gre(w.table, id, id));
        test_ok(tunnelcap_table_set_route(w.table, &route));
    }
    commit(w.table);
    for (unsigned id = 1; id <= 4; id++) {
        tunnelcap_result result;
        for (unsigned i = 0; i < id; i++) {
            world_inner(id, 100);
            ck_assert_status(world_run(&w, TUNNELCAP_ENCAP, 3, NULL, &result),
                             TUNNELCAP_E_HEADROOM);
        }
        world_inner(id, 100);
        ck_assert_status(world_run(&w, TUNNELCAP_ENCAP, 100, NULL, &result), TUNNELCAP_OK);
        tunnelcap_stats stats;
        test_ok(tunnelcap_table_get_stats(w.table, id, &stats, sizeof(stats)));
        ck_assert_uint_eq(stats.encap.packets, 1);
        ck_assert_uint_eq(stats.encap.refused, id == 1 ? 1 : 0);
    }
    ck_assert_uint_eq(world_reason(&w, 1, TUNNELCAP_ENCAP, TUNNELCAP_E_HEADROOM), 1);
    ck_assert_uint_eq(world_reason(&w, 2, TUNNELCAP_ENCAP, TUNNELCAP_E_HEADROOM), 0);
    ck_assert_uint_eq(world_reason(&w, 0, TUNNELCAP_ENCAP, TUNNELCAP_E_HEADROOM), 2 + 3 + 4);
    /* A tunnel that takes the place of one that had details has them, empty. */
    test_ok(tunnelcap_table_begin(w.table));
    test_ok(tunnelcap_table_remove(w.table, 1));
    commit(w.table);
    test_ok(tunnelcap_table_begin(w.table));
    test_ok(world_set_gre(w.table, 7, 1));
    commit(w.table);
    tunnelcap_stats stats;
    test_ok(tunnelcap_table_get_stats(w.table, 7, &stats, sizeof(stats)));
    ck_assert_uint_eq(stats.encap.refused + stats.encap.packets, 0);
    world_close(&w);
}
END_TEST

Suite *test_table_change_suite(void)
{
    const TTest *tests[] = {
        both_views_are_alike_after_changes_of_any_length,
        tunnel_that_changes_its_kind_and_back_in_one_change_is_in_both_views,
        aborted_changes_leave_nothing_used_and_nothing_changed,
        change_replaces_as_many_tunnels_as_configured,
        nothing_is_used_again_while_a_lane_may_see_it,
        tunnels_of_fixed_mtu_need_no_path,
        ticks_go_round_a_large_table,
        rare_counters_that_find_no_room_count_under_id_zero,
    };
    return test_suite("table_change", tests, TEST_COUNT(tests));
}
