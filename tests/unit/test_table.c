/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The table as its writer sees it: memory, changes, tunnels, lanes. */
#include "table_world.h"

enum { UNKNOWN_FLAG = 1u << 30 };

/* ---- memory ---- */

START_TEST(config_init_fills_the_documented_defaults)
{
    tunnelcap_table_config config, want;
    memset(&config, 0xff, sizeof(config));
    memset(&want, 0, sizeof(want));
    want.size = sizeof(want);
    want.tunnels = 256;
    want.routes = 1024;
    want.lanes = test_lanes_max() < 4 ? test_lanes_max() : 4;
    want.sas = 1024;
    want.watched = 64;
    want.vrfs = 16;
    want.groups = 64;
    want.buckets = 1024;
    want.history_keep[0] = want.history_keep[1] = 120;
    want.history_keep[2] = 2016;
    want.history_keep[3] = 744;
    test_ok(tunnelcap_table_config_init(&config, sizeof(config)));
    ck_assert_mem_eq(&config, &want, sizeof(want));
    ck_assert_uint_ne(tunnelcap_table_size(&config), 0);
    ck_assert_status(tunnelcap_table_config_init(NULL, sizeof(config)), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_config_init(&config, sizeof(config) - 1), TUNNELCAP_E_VERSION);
}
END_TEST

START_TEST(init_works_at_the_exact_size_and_refuses_one_byte_less)
{
    tunnelcap_table_config config;
    test_ok(tunnelcap_table_config_init(&config, sizeof(config)));
    config.tunnels = 3;
    config.routes = 5;
    config.lanes = 1;
    size_t size = tunnelcap_table_size(&config);
    ck_assert_uint_eq(size % 64, 0);
    uint8_t *mem = test_arena(size);
    tunnelcap_table *table = NULL;
    ck_assert_status(tunnelcap_table_init(mem, size - 1, &config, test_seed, &table),
                     TUNNELCAP_E_NOMEM);
    ck_assert_status(tunnelcap_table_init(NULL, size, &config, test_seed, &table),
                     TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_init(mem + 32, size, &config, test_seed, &table),
                     TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_init(mem, size, NULL, test_seed, &table), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_init(mem, size, &config, NULL, &table), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_init(mem, size, &config, test_seed, NULL),
                     TUNNELCAP_E_INVALID);
    ck_assert_ptr_null(table);
    test_ok(tunnelcap_table_init(mem, size, &config, test_seed, &table));
    tunnelcap_lane *lane = test_table_lane(table);
    for (unsigned round = 0; round < 4; round++) { /* fill all of it, more than once */
        test_ok(tunnelcap_table_begin(table));
        for (unsigned i = 1; i <= 3; i++) {
            test_ok(world_set_gre(table, i + 10 * round, i));
            tunnelcap_route route = test_route("10.0.0.0/8", i + 10 * round);
            test_ok(tunnelcap_table_set_route(table, &route));
        }
        test_ok(tunnelcap_table_commit(table, NULL));
        ck_assert_uint_ne(world_taker(lane, "10.1.1.1"), 0);
        test_ok(tunnelcap_table_begin(table));
        for (unsigned i = 1; i <= 3; i++)
            test_ok(tunnelcap_table_remove(table, i + 10 * round));
        test_ok(tunnelcap_table_commit(table, NULL));
    }
    test_ok(tunnelcap_table_detach(table, lane));
    tunnelcap_lane_free(lane);
    tunnelcap_table_fini(table);
    for (size_t i = 0; i < size; i++)
        ck_assert_uint_eq(mem[i], 0);
    test_arena_free(mem);
    tunnelcap_table_fini(NULL);
}
END_TEST

START_TEST(new_takes_its_memory_from_the_allocator)
{
    tunnelcap_table_config config;
    tunnelcap_table *table = NULL;
    test_ok(tunnelcap_table_config_init(&config, sizeof(config)));
    test_alloc_refuse_after(0);
    ck_assert_status(tunnelcap_table_new(&config, test_seed, test_alloc(), &table),
                     TUNNELCAP_E_NOMEM);
    ck_assert_status(tunnelcap_table_new(NULL, test_seed, NULL, &table), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_new(&config, NULL, NULL, &table), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_new(&config, test_seed, NULL, NULL), TUNNELCAP_E_INVALID);
    ck_assert_ptr_null(table);
    test_ok(tunnelcap_table_new(&config, test_seed, NULL, &table));
    tunnelcap_table_free(table);
    tunnelcap_table_free(NULL);
}
END_TEST

START_TEST(init_refuses_what_it_documents)
{
    static const struct {
        size_t field;
        uint32_t value;
        int32_t want;
    } rows[] = {
        {offsetof(tunnelcap_table_config, flags), 2, TUNNELCAP_E_FLAGS},
        {offsetof(tunnelcap_table_config, tunnels), 0, TUNNELCAP_E_RANGE},
        {offsetof(tunnelcap_table_config, tunnels), (1u << 20) + 1, TUNNELCAP_E_RANGE},
        {offsetof(tunnelcap_table_config, routes), 0, TUNNELCAP_E_RANGE},
        {offsetof(tunnelcap_table_config, routes), (1u << 22) + 1, TUNNELCAP_E_RANGE},
        {offsetof(tunnelcap_table_config, lanes), 0, TUNNELCAP_E_RANGE},
        {offsetof(tunnelcap_table_config, lanes), 257, TUNNELCAP_E_RANGE},
        {offsetof(tunnelcap_table_config, sas), 0, TUNNELCAP_E_RANGE},
        {offsetof(tunnelcap_table_config, sas), (1u << 22) + 1, TUNNELCAP_E_RANGE},
        {offsetof(tunnelcap_table_config, changes), 257, TUNNELCAP_E_RANGE},
        {offsetof(tunnelcap_table_config, paths), 514, TUNNELCAP_E_RANGE},
        {offsetof(tunnelcap_table_config, details), 514, TUNNELCAP_E_RANGE},
        {offsetof(tunnelcap_table_config, watched), (1u << 20) + 1, TUNNELCAP_E_RANGE},
        {offsetof(tunnelcap_table_config, vrfs), (1u << 16) + 1, TUNNELCAP_E_RANGE},
        {offsetof(tunnelcap_table_config, nodes), (1u << 22) + 1, TUNNELCAP_E_RANGE},
        {offsetof(tunnelcap_table_config, groups), (1u << 20) + 1, TUNNELCAP_E_RANGE},
        {offsetof(tunnelcap_table_config, buckets), 32, TUNNELCAP_E_RANGE},
        {offsetof(tunnelcap_table_config, buckets), 96, TUNNELCAP_E_RANGE},
        {offsetof(tunnelcap_table_config, buckets), 1u << 17, TUNNELCAP_E_RANGE},
        {offsetof(tunnelcap_table_config, region), 64, TUNNELCAP_E_RANGE},
        {offsetof(tunnelcap_table_config, histories), (1u << 20) + 1, TUNNELCAP_E_RANGE},
        {offsetof(tunnelcap_table_config, history_keep), 0, TUNNELCAP_E_RANGE},
        {offsetof(tunnelcap_table_config, history_keep) + 12, 100001, TUNNELCAP_E_RANGE},
    };
    tunnelcap_table *table = NULL;
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        tunnelcap_table_config config;
        test_ok(tunnelcap_table_config_init(&config, sizeof(config)));
        memcpy((uint8_t *)&config + rows[i].field, &rows[i].value, sizeof(rows[i].value));
        void *exact = test_copy(&config, sizeof(config));
        ck_assert_status(tunnelcap_table_new(exact, test_seed, test_alloc(), &table), rows[i].want);
        ck_assert_uint_eq(tunnelcap_table_size(exact), 0);
        free(exact);
    }
    struct {
        tunnelcap_table_config known;
        uint8_t tail[4];
    } newer;
    memset(&newer, 0, sizeof(newer));
    test_ok(tunnelcap_table_config_init(&newer.known, sizeof(newer)));
    ck_assert_uint_ne(tunnelcap_table_size(&newer.known), 0);
    newer.tail[0] = 1;
    ck_assert_status(tunnelcap_table_new(&newer.known, test_seed, test_alloc(), &table),
                     TUNNELCAP_E_VERSION);
    newer.known.size = sizeof(newer.known) - 4;
    ck_assert_status(tunnelcap_table_new(&newer.known, test_seed, test_alloc(), &table),
                     TUNNELCAP_E_VERSION);
}
END_TEST

/* Routes, groups and SAs are counted apart; each lane more takes 64 bytes for each tunnel. */
START_TEST(million_tunnels_fit_512_mebibytes)
{
    tunnelcap_table_config config;
    test_ok(tunnelcap_table_config_init(&config, sizeof(config)));
    config.tunnels = 1000000;
    config.routes = 1;
    config.lanes = 1;
    config.sas = 1;
    config.changes = 4096;
    config.paths = 1;
    size_t size = tunnelcap_table_size(&config);
    ck_assert_uint_ne(size, 0);
    ck_assert_uint_le(size, (size_t)512 << 20);
    config.lanes = 2;
    size_t more = tunnelcap_table_size(&config);
    if (more != 0) /* where the processor has the atomics for two lanes */
        ck_assert_uint_le(more - size, (size_t)66 << 20);
}
END_TEST

/* ---- changes ---- */

START_TEST(changes_need_a_beginning_and_only_one)
{
    tunnelcap_table *table = test_table_new(4, 4, 1);
    tunnelcap_route route = test_route("10.0.0.0/8", 1);
    tunnelcap_ipip_config ipip = test_ipip_config("192.0.2.1", "198.51.100.1", 0);
    ck_assert_status(world_set_gre(table, 1, 1), TUNNELCAP_E_STATE);
    ck_assert_status(tunnelcap_table_set_ipip(table, 1, NULL, &ipip), TUNNELCAP_E_STATE);
    ck_assert_status(tunnelcap_table_remove(table, 1), TUNNELCAP_E_STATE);
    ck_assert_status(tunnelcap_table_set_route(table, &route), TUNNELCAP_E_STATE);
    ck_assert_status(tunnelcap_table_remove_route(table, &route), TUNNELCAP_E_STATE);
    ck_assert_status(tunnelcap_table_commit(table, NULL), TUNNELCAP_E_STATE);
    test_ok(tunnelcap_table_begin(table));
    ck_assert_status(tunnelcap_table_begin(table), TUNNELCAP_E_STATE);
    test_ok(tunnelcap_table_commit(table, NULL));
    test_ok(tunnelcap_table_begin(table));
    tunnelcap_table_abort(table);
    ck_assert_status(tunnelcap_table_commit(table, NULL), TUNNELCAP_E_STATE);
    tunnelcap_table_abort(table);
    tunnelcap_table_abort(NULL);
    tunnelcap_table_free(table);
}
END_TEST

START_TEST(calls_without_a_table_are_invalid)
{
    tunnelcap_route route = test_route("10.0.0.0/8", 1);
    tunnelcap_gre_config gre = world_gre_to(1);
    tunnelcap_ipip_config ipip = test_ipip_config("192.0.2.1", "198.51.100.1", 0);
    tunnelcap_lane *lane = test_lane();
    tunnelcap_table *table = test_table_new(1, 1, 1);
    tunnelcap_pkt pkt = {0};
    uint32_t cursor = 0;
    ck_assert_status(tunnelcap_table_next_route(NULL, &cursor, &route, sizeof(route)),
                     TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_next_route(table, NULL, &route, sizeof(route)),
                     TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_next_route(table, &cursor, NULL, sizeof(route)),
                     TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_find_route(NULL, &pkt, NULL, &route, sizeof(route)),
                     TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_find_route(table, NULL, NULL, &route, sizeof(route)),
                     TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_begin(NULL), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_commit(NULL, NULL), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_set_gre(NULL, 1, NULL, &gre), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_set_ipip(NULL, 1, NULL, &ipip), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_remove(NULL, 1), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_set_route(NULL, &route), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_remove_route(NULL, &route), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_attach(NULL, lane), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_attach(table, NULL), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_detach(NULL, lane), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_detach(table, NULL), TUNNELCAP_E_INVALID);
    ck_assert_uint_eq(tunnelcap_table_settled(NULL), 0);
    test_ok(tunnelcap_table_begin(table));
    ck_assert_status(tunnelcap_table_set_gre(table, 1, NULL, NULL), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_set_ipip(table, 1, NULL, NULL), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_set_route(table, NULL), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_remove_route(table, NULL), TUNNELCAP_E_INVALID);
    tunnelcap_lane_free(lane);
    tunnelcap_table_free(table);
}
END_TEST

START_TEST(change_is_seen_whole_and_not_before_its_commit)
{
    tunnelcap_table *table = test_table_new(4, 4, 1);
    tunnelcap_lane *lane = test_table_lane(table);
    tunnelcap_route route = test_route("10.0.0.0/8", 1);
    uint64_t generation = 0, settled = tunnelcap_table_settled(table), id = 99;
    test_ok(tunnelcap_table_begin(table));
    test_ok(world_set_gre(table, 1, 1));
    test_ok(tunnelcap_table_set_route(table, &route));
    ck_assert_uint_eq(world_taker(lane, "10.1.1.1"), 0);
    ck_assert_status(tunnelcap_table_tunnel_at(table, 0, &id), TUNNELCAP_E_NOT_FOUND);
    ck_assert_uint_eq(id, 99);
    test_ok(tunnelcap_table_commit(table, &generation));
    ck_assert_uint_eq(world_taker(lane, "10.1.1.1"), 1);
    test_ok(tunnelcap_table_tunnel_at(table, 0, &id));
    ck_assert_uint_eq(id, 1);
    ck_assert_status(tunnelcap_table_tunnel_at(table, 1, &id), TUNNELCAP_E_NOT_FOUND);
    ck_assert_uint_gt(generation, settled);
    ck_assert_uint_eq(tunnelcap_table_settled(table), generation);

    test_ok(tunnelcap_table_begin(table));
    test_ok(tunnelcap_table_remove(table, 1));
    ck_assert_uint_eq(world_taker(lane, "10.1.1.1"), 1);
    tunnelcap_table_abort(table);
    ck_assert_uint_eq(world_taker(lane, "10.1.1.1"), 1);
    ck_assert_uint_eq(tunnelcap_table_settled(table), generation);

    test_ok(tunnelcap_table_begin(table));
    test_ok(tunnelcap_table_remove(table, 1));
    test_ok(tunnelcap_table_commit(table, &settled));
    ck_assert_uint_gt(settled, generation);
    ck_assert_uint_eq(world_taker(lane, "10.1.1.1"), 0);
    test_table_end(table, lane);
}
END_TEST

/* ---- tunnels ---- */

START_TEST(set_refuses_what_it_documents_and_changes_nothing)
{
    tunnelcap_table *table = test_table_new(2, 4, 1);
    tunnelcap_gre_config gre = world_gre_to(1);
    tunnelcap_ipip_config ipip = test_ipip_config("192.0.2.1", "198.51.100.1", 0);
    tunnelcap_tunnel tunnel;
    test_ok(tunnelcap_table_begin(table));
    test_ok(tunnelcap_table_set_gre(table, 7, NULL, &gre));
    ck_assert_status(world_set_gre(table, 0, 2), TUNNELCAP_E_RANGE);
    ck_assert_status(world_set_gre(table, 8, 1), TUNNELCAP_E_EXISTS);
    gre.outer.dscp = 64;
    ck_assert_status(tunnelcap_table_set_gre(table, 8, NULL, &gre), TUNNELCAP_E_RANGE);
    gre = world_gre_to(2);
    static const struct {
        uint32_t mtu, flags, reserved, short_by;
        int32_t want;
    } rows[] = {
        {67, 0, 0, 0, TUNNELCAP_E_RANGE},           {65536, 0, 0, 0, TUNNELCAP_E_RANGE},
        {0, UNKNOWN_FLAG, 0, 0, TUNNELCAP_E_FLAGS}, {0, 0, 1, 0, TUNNELCAP_E_RESERVED},
        {0, 0, 0, 1, TUNNELCAP_E_VERSION},
    };
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        test_ok(tunnelcap_tunnel_init(&tunnel, sizeof(tunnel)));
        tunnel.mtu = rows[i].mtu;
        tunnel.flags |= rows[i].flags;
        tunnel.reserved[1] = (uint8_t)rows[i].reserved;
        tunnel.size -= rows[i].short_by;
        ck_assert_status(tunnelcap_table_set_gre(table, 8, &tunnel, &gre), rows[i].want);
        ck_assert_status(tunnelcap_table_set_ipip(table, 8, &tunnel, &ipip), rows[i].want);
    }
    test_ok(tunnelcap_table_set_ipip(table, 8, NULL, &ipip)); /* another kind: other packets */
    ck_assert_status(world_set_gre(table, 9, 9), TUNNELCAP_E_FULL);
    ck_assert_status(tunnelcap_table_set_ipip(table, 9, NULL, &ipip), TUNNELCAP_E_FULL);
    test_ok(tunnelcap_table_commit(table, NULL));
    uint64_t id;
    test_ok(tunnelcap_table_tunnel_at(table, 1, &id));
    ck_assert_status(tunnelcap_table_tunnel_at(table, 2, &id), TUNNELCAP_E_NOT_FOUND);
    ck_assert_status(tunnelcap_table_tunnel_at(table, UINT32_MAX, &id), TUNNELCAP_E_NOT_FOUND);
    ck_assert_status(tunnelcap_table_tunnel_at(NULL, 0, &id), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_tunnel_at(table, 0, NULL), TUNNELCAP_E_INVALID);
    tunnelcap_table_free(table);
}
END_TEST

START_TEST(tunnels_are_told_apart_by_vrf_addresses_key_and_port)
{
    tunnelcap_table *table = test_table_new(16, 4, 1);
    tunnelcap_tunnel tunnel;
    test_ok(tunnelcap_tunnel_init(&tunnel, sizeof(tunnel)));
    tunnelcap_gre_config gre = world_gre_to(1);
    test_ok(tunnelcap_table_begin(table));
    test_ok(tunnelcap_table_set_gre(table, 1, NULL, &gre));
    gre.flags = TUNNELCAP_GRE_KEY_IN; /* key 0 is not the same as no key */
    test_ok(tunnelcap_table_set_gre(table, 2, NULL, &gre));
    gre.key_in = 5;
    test_ok(tunnelcap_table_set_gre(table, 3, NULL, &gre));
    gre.flags = TUNNELCAP_GRE_KEY_OUT; /* what is sent does not matter */
    ck_assert_status(tunnelcap_table_set_gre(table, 4, NULL, &gre), TUNNELCAP_E_EXISTS);
    gre.flags = TUNNELCAP_GRE_UDP;
    test_ok(tunnelcap_table_set_gre(table, 4, NULL, &gre));
    gre.udp_port = 4755;
    test_ok(tunnelcap_table_set_gre(table, 5, NULL, &gre));
    gre = world_gre_to(1);
    tunnel.vrf = 9;
    ck_assert_status(tunnelcap_table_set_gre(table, 6, &tunnel, &gre), TUNNELCAP_E_EXISTS);
    tunnel.outer_vrf = 1;
    test_ok(tunnelcap_table_set_gre(table, 6, &tunnel, &gre));
    /* A replacement may take over only its own place. */
    ck_assert_status(tunnelcap_table_set_gre(table, 2, &tunnel, &gre), TUNNELCAP_E_EXISTS);
    test_ok(tunnelcap_table_set_gre(table, 6, &tunnel, &gre));
    tunnelcap_table_free(table);
}
END_TEST

START_TEST(tunnels_are_replaced_any_number_of_times_in_one_change)
{
    for (uint32_t capacity = 1; capacity <= 3; capacity++) {
        tunnelcap_table *table = test_table_new(capacity, 4, 1);
        tunnelcap_lane *lane = test_table_lane(table);
        tunnelcap_route route = test_route("10.0.0.0/8", capacity);
        for (unsigned change = 0; change < 3; change++) {
            test_ok(tunnelcap_table_begin(table));
            for (unsigned round = 0; round < 4; round++) {
                for (unsigned id = 1; id <= capacity; id++)
                    test_ok(world_set_gre(table, id, 10 * round + id));
            }
            test_ok(tunnelcap_table_set_route(table, &route));
            test_ok(tunnelcap_table_commit(table, NULL));
            ck_assert_uint_eq(world_taker(lane, "10.0.0.1"), capacity);
            tunnelcap_tunnel_info info;
            test_ok(tunnelcap_table_get_info(table, capacity, &info, sizeof(info)));
            ck_assert_uint_eq(info.remote.bytes[3], 30 + capacity);
        }
        test_table_end(table, lane);
    }
}
END_TEST

START_TEST(tunnels_are_removed_and_set_any_number_of_times_in_one_change)
{
    tunnelcap_table *table = test_table_new(2, 4, 1);
    test_ok(tunnelcap_table_begin(table));
    test_ok(world_set_gre(table, 1, 1));
    test_ok(world_set_gre(table, 2, 2));
    test_ok(tunnelcap_table_commit(table, NULL));
    test_ok(tunnelcap_table_begin(table));
    for (unsigned round = 0; round < 5; round++) {
        test_ok(tunnelcap_table_remove(table, 1));
        ck_assert_status(tunnelcap_table_remove(table, 1), TUNNELCAP_E_NOT_FOUND);
        test_ok(world_set_gre(table, 1, 3));
        test_ok(tunnelcap_table_remove(table, 2));
        test_ok(world_set_gre(table, 2, 1));
        test_ok(tunnelcap_table_remove(table, 2));
        test_ok(world_set_gre(table, 2, 2));
    }
    test_ok(tunnelcap_table_commit(table, NULL));
    tunnelcap_table_free(table);
}
END_TEST

START_TEST(replacing_keeps_sequence_numbers_and_counters)
{
    tunnelcap_table *table = test_table_new(4, 4, 1);
    tunnelcap_lane *lane = test_table_lane(table);
    tunnelcap_gre_config gre = world_gre_to(1);
    tunnelcap_route route = test_route("10.0.0.0/8", 1);
    gre.flags = TUNNELCAP_GRE_SEQUENCE;
    uint32_t expect = 0;
    for (unsigned round = 0; round < 6; round++) {
        bool anew = round == 4; /* removed before: another tunnel of the same id */
        gre.outer.ttl = (uint8_t)(100 + round);
        test_ok(tunnelcap_table_begin(table));
        if (anew)
            test_ok(tunnelcap_table_remove(table, 1));
        test_ok(tunnelcap_table_set_gre(table, 1, NULL, &gre));
        test_ok(tunnelcap_table_set_route(table, &route));
        if (round == 2)
            test_ok(tunnelcap_table_set_gre(table, 1, NULL, &gre));
        test_ok(tunnelcap_table_commit(table, NULL));
        expect = anew ? 0 : expect;
        for (unsigned i = 0; i < 3; i++) {
            tunnelcap_result result;
            test_ip ip = test_between("203.0.113.1", "10.1.1.1");
            test_udp_packet(&world_frame, &ip, 10);
            tunnelcap_pkt pkt = test_pkt(world_frame.bytes, world_frame.len, 28);
            test_ok(test_table_one(lane, TUNNELCAP_ENCAP, &pkt, NULL, &result));
            test_view view = test_dissect(pkt.buf + pkt.off, pkt.len);
            ck_assert_uint_eq(view.gre.seq, expect++);
            ck_assert_uint_eq(view.ip.ttl, 100 + round);
            test_pkt_free(&pkt);
        }
        tunnelcap_stats stats;
        test_ok(tunnelcap_table_get_stats(table, 1, &stats, sizeof(stats)));
        ck_assert_uint_eq(stats.encap.packets, expect);
    }
    test_table_end(table, lane);
}
END_TEST

START_TEST(replacing_by_another_kind_begins_anew)
{
    tunnelcap_table *table = test_table_new(4, 4, 1);
    tunnelcap_lane *lane = test_table_lane(table);
    tunnelcap_gre_config gre = world_gre_to(1);
    tunnelcap_ipip_config ipip = test_ipip_config("192.0.2.1", "198.51.100.1", 0);
    tunnelcap_route route = test_route("10.0.0.0/8", 1);
    gre.flags = TUNNELCAP_GRE_SEQUENCE;
    gre.seq_start = 500;
    for (unsigned round = 0; round < 3; round++) {
        test_ok(tunnelcap_table_begin(table));
        test_ok(round == 1 ? tunnelcap_table_set_ipip(table, 1, NULL, &ipip)
                           : tunnelcap_table_set_gre(table, 1, NULL, &gre));
        test_ok(tunnelcap_table_set_route(table, &route));
        test_ok(tunnelcap_table_commit(table, NULL));
        tunnelcap_result result;
        test_ip ip = test_between("203.0.113.1", "10.1.1.1");
        test_udp_packet(&world_frame, &ip, 10);
        tunnelcap_pkt pkt = test_pkt(world_frame.bytes, world_frame.len, 28);
        test_ok(test_table_one(lane, TUNNELCAP_ENCAP, &pkt, NULL, &result));
        test_view view = test_dissect(pkt.buf + pkt.off, pkt.len);
        ck_assert_uint_eq(view.protocol, round == 1 ? 4 : 47);
        if (round != 1)
            ck_assert_uint_eq(view.gre.seq, 500);
        test_pkt_free(&pkt);
    }
    test_table_end(table, lane);
}
END_TEST

START_TEST(tunnel_init_fills_the_documented_defaults)
{
    tunnelcap_tunnel tunnel, want;
    memset(&tunnel, 0xff, sizeof(tunnel));
    memset(&want, 0, sizeof(want));
    want.size = sizeof(want);
    want.flags = TUNNELCAP_TUNNEL_CLAMP_ENCAP | TUNNELCAP_TUNNEL_CLAMP_DECAP |
                 TUNNELCAP_TUNNEL_LOOP_GUARD | TUNNELCAP_TUNNEL_ICMP | TUNNELCAP_TUNNEL_ANSWER_ECHO;
    want.icmp_rate = 100;
    want.pmtu_mode = TUNNELCAP_PMTU_LEARN;
    test_ok(tunnelcap_tunnel_init(&tunnel, sizeof(tunnel)));
    ck_assert_mem_eq(&tunnel, &want, sizeof(want));
    ck_assert_status(tunnelcap_tunnel_init(NULL, sizeof(tunnel)), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_tunnel_init(&tunnel, sizeof(tunnel) - 1), TUNNELCAP_E_VERSION);
}
END_TEST

START_TEST(info_tells_what_was_set)
{
    tunnelcap_table *table = test_table_new(4, 4, 1);
    tunnelcap_gre_config gre = test_gre_config("2001:db8::1", "2001:db8::2",
                                               TUNNELCAP_GRE_UDP | TUNNELCAP_GRE_KEY_IN |
                                                   TUNNELCAP_GRE_CHECKSUM | TUNNELCAP_GRE_SEQUENCE);
    gre.key_in = 42;
    gre.udp_port = 5000;
    tunnelcap_tunnel tunnel;
    test_ok(tunnelcap_tunnel_init(&tunnel, sizeof(tunnel)));
    tunnel.vrf = 3;
    test_ok(tunnelcap_table_begin(table));
    test_ok(tunnelcap_table_set_gre(table, 1, &tunnel, &gre));
    tunnelcap_ipip_config ipip = test_ipip_config("192.0.2.1", "198.51.100.1", 0);
    tunnel.mtu = 1400;
    tunnel.limit4 = 1000;
    test_ok(tunnelcap_table_set_ipip(table, 2, &tunnel, &ipip));
    test_ok(tunnelcap_table_commit(table, NULL));

    tunnelcap_tunnel_info info, want;
    memset(&info, 0xff, sizeof(info));
    memset(&want, 0, sizeof(want));
    want.size = sizeof(want);
    want.flags =
        TUNNELCAP_PEEK_UDP | TUNNELCAP_PEEK_KEY | TUNNELCAP_PEEK_SEQUENCE | TUNNELCAP_PEEK_CHECKSUM;
    want.local = gre.outer.local;
    want.remote = gre.outer.remote;
    want.key = 42;
    want.vrf = 3;
    want.headroom = 40 + 8 + 12;
    want.inner_mtu = 1500 - want.headroom;
    want.udp_port = 5000;
    want.limit4 = (uint16_t)(want.inner_mtu - 40);
    want.limit6 = (uint16_t)(want.inner_mtu - 60);
    want.kind = TUNNELCAP_KIND_GRE;
    want.path_mtu = 1500;
    test_ok(tunnelcap_table_get_info(table, 1, &info, sizeof(info)));
    ck_assert_mem_eq(&info, &want, sizeof(want));
    test_ok(tunnelcap_table_get_info(table, 2, &info, sizeof(info)));
    ck_assert_uint_eq(info.kind, TUNNELCAP_KIND_IPIP);
    ck_assert_uint_eq(info.flags, 0);
    ck_assert_uint_eq(info.inner_mtu, 1400);
    ck_assert_uint_eq(info.limit4, 1000);
    ck_assert_uint_eq(info.limit6, 1340);
    ck_assert_uint_eq(info.headroom, 20);
    ck_assert_status(tunnelcap_table_get_info(table, 3, &info, sizeof(info)),
                     TUNNELCAP_E_NOT_FOUND);
    ck_assert_status(tunnelcap_table_get_info(table, 2, &info, sizeof(info) - 1),
                     TUNNELCAP_E_VERSION);
    ck_assert_status(tunnelcap_table_get_info(table, 2, NULL, sizeof(info)), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_get_info(NULL, 2, &info, sizeof(info)), TUNNELCAP_E_INVALID);
    tunnelcap_table_free(table);
}
END_TEST

START_TEST(stats_and_reasons_check_their_arguments)
{
    tunnelcap_table *table = test_table_new(4, 4, 1);
    tunnelcap_stats stats;
    tunnelcap_reason reason;
    uint32_t count = 9;
    test_ok(tunnelcap_table_get_stats(table, 0, &stats, sizeof(stats)));
    ck_assert_status(tunnelcap_table_get_stats(table, 1, &stats, sizeof(stats)),
                     TUNNELCAP_E_NOT_FOUND);
    ck_assert_status(tunnelcap_table_get_stats(table, 0, &stats, sizeof(stats) - 1),
                     TUNNELCAP_E_VERSION);
    ck_assert_status(tunnelcap_table_get_stats(NULL, 0, &stats, sizeof(stats)),
                     TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_get_stats(table, 0, NULL, sizeof(stats)), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_reasons(NULL, 0, 0, &reason, 1, &count), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_reasons(table, 0, 0, NULL, 1, &count), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_reasons(table, 0, 0, &reason, 1, NULL), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_reasons(table, 0, 2, &reason, 1, &count), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_reasons(table, 1, 0, &reason, 1, &count),
                     TUNNELCAP_E_NOT_FOUND);
    test_ok(tunnelcap_table_reasons(table, 0, 0, NULL, 0, &count));
    ck_assert_uint_eq(count, 0);
    tunnelcap_table_free(table);
}
END_TEST

/* ---- lanes ---- */

START_TEST(lanes_are_attached_to_one_table_and_counted)
{
    uint32_t seats = test_lanes_max() < 2 ? 1 : 2;
    tunnelcap_table *table = test_table_new(1, 1, seats), *other = test_table_new(1, 1, 1);
    tunnelcap_lane *lanes[3];
    for (uint32_t i = 0; i < 3; i++)
        lanes[i] = test_lane();
    for (uint32_t i = 0; i < seats; i++)
        test_ok(tunnelcap_table_attach(table, lanes[i]));
    ck_assert_status(tunnelcap_table_attach(table, lanes[2]), TUNNELCAP_E_FULL);
    ck_assert_status(tunnelcap_table_attach(table, lanes[0]), TUNNELCAP_E_STATE);
    ck_assert_status(tunnelcap_table_attach(other, lanes[0]), TUNNELCAP_E_STATE);
    ck_assert_status(tunnelcap_table_detach(other, lanes[0]), TUNNELCAP_E_STATE);
    ck_assert_status(tunnelcap_table_detach(table, lanes[2]), TUNNELCAP_E_STATE);
    test_ok(tunnelcap_table_detach(table, lanes[0]));
    ck_assert_status(tunnelcap_table_detach(table, lanes[0]), TUNNELCAP_E_STATE);
    test_ok(tunnelcap_table_attach(table, lanes[2]));
    test_ok(tunnelcap_table_attach(other, lanes[0]));
    test_ok(tunnelcap_table_detach(other, lanes[0]));
    test_ok(tunnelcap_table_detach(table, lanes[2]));
    if (seats == 2)
        test_ok(tunnelcap_table_detach(table, lanes[1]));
    for (uint32_t i = 0; i < 3; i++)
        tunnelcap_lane_free(lanes[i]);
    tunnelcap_table_free(table);
    tunnelcap_table_free(other);
}
END_TEST

Suite *test_table_suite(void)
{
    const TTest *tests[] = {
        config_init_fills_the_documented_defaults,
        init_works_at_the_exact_size_and_refuses_one_byte_less,
        new_takes_its_memory_from_the_allocator,
        init_refuses_what_it_documents,
        million_tunnels_fit_512_mebibytes,
        changes_need_a_beginning_and_only_one,
        calls_without_a_table_are_invalid,
        change_is_seen_whole_and_not_before_its_commit,
        set_refuses_what_it_documents_and_changes_nothing,
        tunnels_are_told_apart_by_vrf_addresses_key_and_port,
        tunnels_are_replaced_any_number_of_times_in_one_change,
        tunnels_are_removed_and_set_any_number_of_times_in_one_change,
        replacing_keeps_sequence_numbers_and_counters,
        replacing_by_another_kind_begins_anew,
        tunnel_init_fills_the_documented_defaults,
        info_tells_what_was_set,
        stats_and_reasons_check_their_arguments,
        lanes_are_attached_to_one_table_and_counted,
    };
    return test_suite("table", tests, TEST_COUNT(tests));
}
