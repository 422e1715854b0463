/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The table as its writer sees it: routes. */
#include "table_world.h"

START_TEST(route_init_fills_the_documented_defaults)
{
    tunnelcap_route route, want;
    memset(&route, 0xff, sizeof(route));
    memset(&want, 0, sizeof(want));
    want.size = sizeof(want);
    want.priority = 100;
    want.weight = 1;
    test_ok(tunnelcap_route_init(&route, sizeof(route)));
    ck_assert_mem_eq(&route, &want, sizeof(want));
    ck_assert_status(tunnelcap_route_init(NULL, sizeof(route)), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_route_init(&route, sizeof(route) - 1), TUNNELCAP_E_VERSION);
}
END_TEST

#define REFUSE(want, change)                                                                       \
    do {                                                                                           \
        route = test_route("10.0.0.0/8", 1);                                                       \
        change;                                                                                    \
        ck_assert_status(tunnelcap_table_set_route(table, &route), want);                          \
        ck_assert_status(tunnelcap_table_remove_route(table, &route), want);                       \
    } while (0)

START_TEST(routes_refuse_what_they_document)
{
    tunnelcap_table *table = test_table_new(4, 2, 1);
    tunnelcap_route route;
    test_ok(tunnelcap_table_begin(table));
    test_ok(world_set_gre(table, 1, 1));
    REFUSE(TUNNELCAP_E_VERSION, route.size--);
    REFUSE(TUNNELCAP_E_FLAGS, route.flags = 1);
    REFUSE(TUNNELCAP_E_NOT_FOUND, route.tunnel = 2);
    REFUSE(TUNNELCAP_E_NOT_FOUND, route.tunnel = 0);
    REFUSE(TUNNELCAP_E_ADDRESS, route.prefix.family = 0);
    REFUSE(TUNNELCAP_E_ADDRESS, route.prefix.family = 5);
    REFUSE(TUNNELCAP_E_ADDRESS, route.prefix.bytes[1] = 1);
    REFUSE(TUNNELCAP_E_ADDRESS, route.prefix.bytes[4] = 1);
    REFUSE(TUNNELCAP_E_ADDRESS, route.prefix_len = 6);
    REFUSE(TUNNELCAP_E_RANGE, route.prefix_len = 33);
    REFUSE(TUNNELCAP_E_RANGE, route.weight = 0);
    REFUSE(TUNNELCAP_E_RANGE, route.weight = 257);
    REFUSE(TUNNELCAP_E_RESERVED, route.reserved[8] = 1);
    route = test_route("2001:db8::/32", 1);
    route.prefix_len = 129;
    ck_assert_status(tunnelcap_table_set_route(table, &route), TUNNELCAP_E_RANGE);

    route = test_route("10.0.0.0/8", 1);
    ck_assert_status(tunnelcap_table_remove_route(table, &route), TUNNELCAP_E_NOT_FOUND);
    test_ok(tunnelcap_table_set_route(table, &route));
    route = test_route("10.0.0.0/9", 1);
    test_ok(tunnelcap_table_set_route(table, &route));
    route.priority = 7; /* a change of one that is there needs no room */
    test_ok(tunnelcap_table_set_route(table, &route));
    route = test_route("10.0.0.0/10", 1);
    ck_assert_status(tunnelcap_table_set_route(table, &route), TUNNELCAP_E_FULL);
    route = test_route("10.0.0.0/9", 1);
    test_ok(tunnelcap_table_remove_route(table, &route));
    ck_assert_status(tunnelcap_table_remove_route(table, &route), TUNNELCAP_E_NOT_FOUND);
    route = test_route("10.0.0.0/10", 1);
    test_ok(tunnelcap_table_set_route(table, &route));
    tunnelcap_table_free(table);
}
END_TEST

START_TEST(longest_prefix_wins_then_lowest_priority)
{
    static const struct {
        const char *prefix;
        uint64_t tunnel;
        uint32_t priority;
    } routes[] = {{"0.0.0.0/0", 1, 1},       {"10.0.0.0/8", 2, 100},     {"10.0.0.0/8", 3, 50},
                  {"10.1.0.0/16", 4, 900},   {"10.1.2.3/32", 5, 900},    {"::/0", 6, 100},
                  {"2001:db8::/32", 7, 100}, {"2001:db8::1/128", 8, 100}};
    static const struct {
        const char *dst;
        uint64_t tunnel;
    } wants[] = {{"9.9.9.9", 1}, {"10.9.9.9", 3},    {"10.1.9.9", 4},    {"10.1.2.3", 5},
                 {"2002::1", 6}, {"2001:db8::2", 7}, {"2001:db8::1", 8}, {"11.1.2.3", 1}};
    tunnelcap_table *table = test_table_new(8, 16, 1);
    tunnelcap_lane *lane = test_table_lane(table);
    test_ok(tunnelcap_table_begin(table));
    for (unsigned id = 1; id <= 8; id++)
        test_ok(world_set_gre(table, id, id));
    for (size_t i = 0; i < TEST_COUNT(routes); i++) {
        tunnelcap_route route = test_route(routes[i].prefix, routes[i].tunnel);
        route.priority = routes[i].priority;
        test_ok(tunnelcap_table_set_route(table, &route));
    }
    test_ok(tunnelcap_table_commit(table, NULL));
    for (size_t i = 0; i < TEST_COUNT(wants); i++)
        ck_assert_uint_eq(world_taker(lane, wants[i].dst), wants[i].tunnel);

    test_ok(tunnelcap_table_begin(table));
    test_ok(tunnelcap_table_remove(table, 3)); /* its route goes with it */
    tunnelcap_route route = test_route("10.1.2.3/32", 5);
    test_ok(tunnelcap_table_remove_route(table, &route));
    test_ok(tunnelcap_table_commit(table, NULL));
    ck_assert_uint_eq(world_taker(lane, "10.9.9.9"), 2);
    ck_assert_uint_eq(world_taker(lane, "10.1.2.3"), 4);
    test_table_end(table, lane);
}
END_TEST

START_TEST(priority_of_a_route_can_be_changed)
{
    tunnelcap_table *table = test_table_new(2, 4, 1);
    tunnelcap_lane *lane = test_table_lane(table);
    test_ok(tunnelcap_table_begin(table));
    for (unsigned id = 1; id <= 2; id++) {
        tunnelcap_route route = test_route("10.0.0.0/8", id);
        test_ok(world_set_gre(table, id, id));
        route.priority = id;
        test_ok(tunnelcap_table_set_route(table, &route));
    }
    test_ok(tunnelcap_table_commit(table, NULL));
    ck_assert_uint_eq(world_taker(lane, "10.1.1.1"), 1);
    test_ok(tunnelcap_table_begin(table));
    tunnelcap_route route = test_route("10.0.0.0/8", 1);
    route.priority = UINT32_MAX;
    test_ok(tunnelcap_table_set_route(table, &route));
    test_ok(tunnelcap_table_commit(table, NULL));
    ck_assert_uint_eq(world_taker(lane, "10.1.1.1"), 2);
    test_table_end(table, lane);
}
END_TEST

Suite *test_table_routes_suite(void)
{
    const TTest *tests[] = {
        route_init_fills_the_documented_defaults,
        routes_refuse_what_they_document,
        longest_prefix_wins_then_lowest_priority,
        priority_of_a_route_can_be_changed,
    };
    return test_suite("table_routes", tests, TEST_COUNT(tests));
}
