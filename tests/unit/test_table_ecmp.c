/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Several routes for one prefix: regions, shares, penalties, and what a table tells of routes. */
#include "table.h"
#include "table_world.h"

#include <stdio.h>

enum { FLOWS = 4000 };

typedef struct ecmp {
    tunnelcap_table *table;
    tunnelcap_lane *lane;
} ecmp;

/* A table with GRE tunnels 1 to `tunnels`, each with an equal route to 10.0.0.0/8, in change. */
static ecmp ecmp_open(uint32_t flags, unsigned tunnels)
{
    ecmp e = {NULL, NULL};
    tunnelcap_table_config config;
    test_ok(tunnelcap_table_config_init(&config, sizeof(config)));
    config.flags = flags;
    config.tunnels = 80;
    config.routes = 200;
    config.lanes = 1;
    config.region = 3;
    config.vrfs = 1;
    config.groups = 2;
    test_ok(tunnelcap_table_new(&config, test_seed, test_alloc(), &e.table));
    e.lane = test_table_lane(e.table);
    test_ok(tunnelcap_table_begin(e.table));
    for (unsigned id = 1; id <= tunnels; id++) {
        tunnelcap_route route = test_route("10.0.0.0/8", id);
        test_ok(world_set_gre(e.table, id, id));
        test_ok(tunnelcap_table_set_route(e.table, &route));
    }
    return e;
}

static void ecmp_close(ecmp *e)
{
    test_table_end(e->table, e->lane);
}

/* Which tunnel takes each of some flows; find_route() must say the same. */
static void takers(const ecmp *e, uint8_t *taker)
{
    test_ip ip = test_between("203.0.113.1", "10.0.0.1");
    for (uint32_t flow = 0; flow < FLOWS; flow++) {
        tunnelcap_result result;
        tunnelcap_route route;
        ip.dst.bytes[2] = (uint8_t)(flow >> 8);
        ip.dst.bytes[3] = (uint8_t)flow;
        world_frame.len = 0;
        test_udp_packet(&world_frame, &ip, 5);
        tunnelcap_pkt pkt = test_pkt(world_frame.bytes, world_frame.len, 80);
        test_ok(tunnelcap_table_find_route(e->table, &pkt, NULL, &route, sizeof(route)));
        test_ok(test_table_one(e->lane, TUNNELCAP_ENCAP, &pkt, NULL, &result));
        ck_assert_uint_eq(route.tunnel, result.tunnel);
        taker[flow] = (uint8_t)result.tunnel;
        test_pkt_free(&pkt);
    }
}

static uint32_t taken_by(const uint8_t *taker, uint8_t tunnel)
{
    uint32_t count = 0;
    for (uint32_t flow = 0; flow < FLOWS; flow++)
        count += taker[flow] == tunnel;
    return count;
}

static void penalize(const ecmp *e, uint64_t id, uint32_t penalty)
{
    test_ok(tunnelcap_table_begin(e->table));
    tunnelcap_i_penalize(
        e->table, tunnelcap_i_find_id(e->table, tunnelcap_i_changing(e->table), id) - 1, penalty);
    test_ok(tunnelcap_table_commit(e->table, NULL));
}

START_TEST(rendezvous_moves_only_flows_of_the_tunnel_that_fails)
{
    static uint8_t before[FLOWS], after[FLOWS], again[FLOWS];
    ecmp e = ecmp_open(TUNNELCAP_TABLE_RENDEZVOUS, 5);
    test_ok(tunnelcap_table_commit(e.table, NULL));
    takers(&e, before);
    for (uint8_t id = 1; id <= 5; id++) {
        ck_assert_uint_gt(taken_by(before, id), FLOWS / 5 - FLOWS / 20);
        ck_assert_uint_lt(taken_by(before, id), FLOWS / 5 + FLOWS / 20);
    }
    for (unsigned how = 0; how < 2; how++) { /* it degrades; it is removed */
        if (how == 0) {
            penalize(&e, 2, 500000);
        } else {
            test_ok(tunnelcap_table_begin(e.table));
            test_ok(tunnelcap_table_remove(e.table, 2));
            test_ok(tunnelcap_table_commit(e.table, NULL));
        }
        takers(&e, after);
        for (uint32_t flow = 0; flow < FLOWS; flow++) {
            ck_assert_uint_ne(after[flow], 2);
            if (before[flow] != 2)
                ck_assert_uint_eq(after[flow], before[flow]);
        }
        if (how == 0) {
            penalize(&e, 2, 0);
            takers(&e, again);
            ck_assert_mem_eq(again, before, sizeof(before));
        }
    }
    ecmp_close(&e);
}
END_TEST

START_TEST(shares_follow_weights)
{
    static uint8_t taker[FLOWS];
    for (uint32_t flags = 0; flags <= TUNNELCAP_TABLE_RENDEZVOUS; flags++) {
        ecmp e = ecmp_open(flags, 2);
        tunnelcap_route route = test_route("10.0.0.0/8", 2);
        route.weight = 3;
        test_ok(tunnelcap_table_set_route(e.table, &route));
        test_ok(tunnelcap_table_commit(e.table, NULL));
        takers(&e, taker);
        ck_assert_uint_gt(taken_by(taker, 1), FLOWS / 4 - FLOWS / 20);
        ck_assert_uint_lt(taken_by(taker, 1), FLOWS / 4 + FLOWS / 20);
        ck_assert_uint_eq(taken_by(taker, 1) + taken_by(taker, 2), FLOWS);
        ecmp_close(&e);
    }
}
END_TEST

START_TEST(longest_prefix_wins_whatever_the_penalty)
{
    ecmp e = ecmp_open(0, 3);
    tunnelcap_route route = test_route("10.0.0.0/9", 3);
    test_ok(tunnelcap_table_set_route(e.table, &route));
    route = test_route("10.128.0.0/16", 1);
    route.priority = UINT32_MAX - 1; /* a penalty does not make it wrap to the best */
    test_ok(tunnelcap_table_set_route(e.table, &route));
    route.tunnel = 2;
    route.priority = UINT32_MAX - 2;
    test_ok(tunnelcap_table_set_route(e.table, &route));
    test_ok(tunnelcap_table_commit(e.table, NULL));
    penalize(&e, 3, 1000000);
    ck_assert_uint_eq(world_taker(e.lane, "10.1.1.1"), 3);
    ck_assert_uint_eq(world_taker(e.lane, "10.128.0.1"), 2);
    penalize(&e, 1, 1000000);
    ck_assert_uint_eq(world_taker(e.lane, "10.128.0.1"), 2);
    ck_assert_uint_eq(world_taker(e.lane, "10.200.0.1"), 2); /* 1 is down, 3 as well */
    penalize(&e, 2, 1000000);
    ck_assert_uint_ne(world_taker(e.lane, "10.200.0.1"), 0); /* all are: as if none was */
    ecmp_close(&e);
}
END_TEST

START_TEST(routes_count_in_their_regions)
{
    ecmp e = ecmp_open(0, 2);
    tunnelcap_route route = test_route("10.1.0.0/16", 2);
    route.regions = (uint64_t)1 << 63 | 1;
    test_ok(tunnelcap_table_set_route(e.table, &route)); /* elsewhere: not even its prefix counts */
    route = test_route("10.0.0.0/8", 2);
    route.regions = 1u << 4;
    test_ok(tunnelcap_table_set_route(e.table, &route));
    test_ok(tunnelcap_table_commit(e.table, NULL));
    for (unsigned i = 0; i < 20; i++) {
        char dst[32];
        snprintf(dst, sizeof(dst), "10.1.0.%u", i);
        ck_assert_uint_eq(world_taker(e.lane, dst), 1);
    }
    test_ok(tunnelcap_table_begin(e.table));
    route = test_route("10.1.0.0/16", 2);
    route.regions = (uint64_t)1 << 63 | 1u << 3; /* here, too */
    test_ok(tunnelcap_table_set_route(e.table, &route));
    test_ok(tunnelcap_table_commit(e.table, NULL));
    ck_assert_uint_eq(world_taker(e.lane, "10.1.0.1"), 2);
    ck_assert_uint_eq(world_taker(e.lane, "10.2.0.1"), 1);
    ecmp_close(&e);
}
END_TEST

START_TEST(routes_without_room_are_refused)
{
    ecmp e = ecmp_open(0, TUNNELCAP_I_MEMBERS_MAX);
    tunnelcap_route route = test_route("10.0.0.0/8", 70);
    test_ok(world_set_gre(e.table, 70, 70));
    ck_assert_status(tunnelcap_table_set_route(e.table, &route), TUNNELCAP_E_FULL);
    route.regions = 1; /* elsewhere: it does not count */
    test_ok(tunnelcap_table_set_route(e.table, &route));
    for (unsigned i = 0; i < 2; i++) { /* two groups, of which one is in use */
        route = test_route(i == 0 ? "10.1.0.0/16" : "10.2.0.0/16", 1 + i);
        test_ok(tunnelcap_table_set_route(e.table, &route));
        route.tunnel = 70;
        ck_assert_status(tunnelcap_table_set_route(e.table, &route),
                         i == 0 ? TUNNELCAP_OK : TUNNELCAP_E_FULL);
    }
    route = test_route("10.3.0.0/16", 1); /* one group serves any number of prefixes */
    test_ok(tunnelcap_table_set_route(e.table, &route));
    route.tunnel = 70;
    test_ok(tunnelcap_table_set_route(e.table, &route));
    route.weight = 2; /* a third group, for one of two prefixes */
    ck_assert_status(tunnelcap_table_set_route(e.table, &route), TUNNELCAP_E_FULL);
    route = test_route("10.0.0.0/8", 3);
    test_ok(tunnelcap_table_remove_route(e.table, &route)); /* a group for another one */
    route.vrf = 1;
    test_ok(tunnelcap_table_set_route(e.table, &route));
    route.vrf = 2;
    ck_assert_status(tunnelcap_table_set_route(e.table, &route), TUNNELCAP_E_FULL);
    route = test_route("10.4.0.0/16", 1);
    test_ok(tunnelcap_table_set_route(e.table, &route));
    test_ok(tunnelcap_table_remove(e.table, 2)); /* takes no room */
    test_ok(tunnelcap_table_commit(e.table, NULL));
    ck_assert_uint_ne(world_taker(e.lane, "10.2.0.1"), 2);
    ck_assert_uint_eq(world_taker(e.lane, "10.4.0.1"), 1);
    ecmp_close(&e);
}
END_TEST

START_TEST(removing_a_route_may_need_a_group)
{
    ecmp e = ecmp_open(0, 3);
    for (unsigned id = 1; id <= 3; id++) {
        tunnelcap_route route = test_route("10.1.0.0/16", id); /* the same group */
        test_ok(tunnelcap_table_set_route(e.table, &route));
    }
    tunnelcap_route route = test_route("10.2.0.0/16", 1); /* the other one */
    test_ok(tunnelcap_table_set_route(e.table, &route));
    route.tunnel = 2;
    test_ok(tunnelcap_table_set_route(e.table, &route));
    route = test_route("10.1.0.0/16", 1);
    ck_assert_status(tunnelcap_table_remove_route(e.table, &route), TUNNELCAP_E_FULL);
    route.tunnel = 3; /* leaves what the other one is */
    test_ok(tunnelcap_table_remove_route(e.table, &route));
    test_ok(tunnelcap_table_commit(e.table, NULL));
    ecmp_close(&e);
}
END_TEST

START_TEST(routes_are_listed_as_they_were_set)
{
    ecmp e = ecmp_open(0, 3);
    tunnelcap_route routes[4], told;
    uint32_t cursor = 0, seen = 0;
    for (uint32_t i = 0; i < 3; i++)
        routes[i] = test_route("10.0.0.0/8", i + 1);
    routes[3] = test_route("2001:db8::/32", 2);
    routes[3].vrf = 7;
    routes[3].priority = 9;
    routes[3].weight = 256;
    routes[3].regions = 1u << 8;
    ck_assert_status(tunnelcap_table_next_route(e.table, &cursor, &told, sizeof(told)),
                     TUNNELCAP_E_NOT_FOUND); /* nothing is committed */
    test_ok(tunnelcap_table_set_route(e.table, &routes[3]));
    test_ok(tunnelcap_table_remove_route(e.table, &routes[1]));
    test_ok(tunnelcap_table_commit(e.table, NULL));
    ck_assert_status(tunnelcap_table_next_route(e.table, &cursor, &told, sizeof(told) - 1),
                     TUNNELCAP_E_VERSION);
    while (tunnelcap_table_next_route(e.table, &cursor, &told, sizeof(told)) == TUNNELCAP_OK) {
        for (uint32_t i = 0; i < 4; i++)
            seen |= memcmp(&told, &routes[i], sizeof(told)) == 0 ? 1u << i : 0;
    }
    ck_assert_uint_eq(seen, 13);
    ck_assert_status(tunnelcap_table_next_route(e.table, &cursor, &told, sizeof(told)),
                     TUNNELCAP_E_NOT_FOUND);
    ecmp_close(&e);
}
END_TEST

START_TEST(find_route_says_why_not)
{
    ecmp e = ecmp_open(0, 1);
    test_ip ip = test_between("203.0.113.1", "11.0.0.1");
    tunnelcap_route route;
    test_ok(tunnelcap_table_commit(e.table, NULL));
    test_udp_packet(&world_frame, &ip, 5);
    tunnelcap_pkt pkt = test_pkt(world_frame.bytes, world_frame.len, 0);
    test_snapshot snap = test_snap(&pkt);
    ck_assert_status(tunnelcap_table_find_route(e.table, &pkt, NULL, &route, sizeof(route)),
                     TUNNELCAP_E_NO_ROUTE);
    ck_assert_status(tunnelcap_table_find_route(e.table, &pkt, NULL, &route, sizeof(route) - 1),
                     TUNNELCAP_E_VERSION);
    ck_assert_status(tunnelcap_table_find_route(e.table, &pkt, NULL, NULL, sizeof(route)),
                     TUNNELCAP_E_INVALID);
    test_unchanged(&snap, &pkt);
    pkt.len = 19;
    ck_assert_status(tunnelcap_table_find_route(e.table, &pkt, NULL, &route, sizeof(route)),
                     TUNNELCAP_E_TRUNCATED);
    pkt.len = pkt.cap + 1;
    ck_assert_status(tunnelcap_table_find_route(e.table, &pkt, NULL, &route, sizeof(route)),
                     TUNNELCAP_E_INVALID);
    pkt.len = pkt.cap;
    pkt.buf[0] = 0x75;
    ck_assert_status(tunnelcap_table_find_route(e.table, &pkt, NULL, &route, sizeof(route)),
                     TUNNELCAP_E_MALFORMED);
    test_pkt_free(&pkt);
    ecmp_close(&e);
}
END_TEST

Suite *test_table_ecmp_suite(void)
{
    const TTest *tests[] = {
        rendezvous_moves_only_flows_of_the_tunnel_that_fails,
        shares_follow_weights,
        longest_prefix_wins_whatever_the_penalty,
        routes_count_in_their_regions,
        routes_without_room_are_refused,
        removing_a_route_may_need_a_group,
        routes_are_listed_as_they_were_set,
        find_route_says_why_not,
    };
    return test_suite("table_ecmp", tests, TEST_COUNT(tests));
}
