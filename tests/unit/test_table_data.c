/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The table as a lane sees it: what becomes of each packet. */
#include "table_world.h"

/* ---- there and back ---- */

START_TEST(packets_go_into_the_tunnel_of_their_route)
{
    world w = world_open(NULL);
    for (unsigned id = 1; id <= 4; id++) {
        tunnelcap_result result;
        world_inner(id, 100);
        tunnelcap_pkt pkt = test_pkt(world_frame.bytes, world_frame.len, 40);
        test_ok(test_table_one(w.lane, TUNNELCAP_ENCAP, &pkt, NULL, &result));
        ck_assert_uint_eq(result.tunnel, id);
        ck_assert_uint_eq(result.action, TUNNELCAP_DO_SEND);
        ck_assert_uint_eq(result.value, 0);
        ck_assert_uint_eq(result.flags, 0);
        ck_assert_uint_eq(result.l3_len, 20);
        ck_assert_uint_eq(result.l4_len, id == UDP_ID ? 8 : 0);
        test_view view = test_dissect(pkt.buf + pkt.off, pkt.len);
        ck_assert_uint_eq(view.ip.dst.bytes[3], id);
        ck_assert_mem_eq(pkt.buf + pkt.off + view.payload, world_frame.bytes, world_frame.len);
        test_pkt_free(&pkt);
    }
    world_close(&w);
}
END_TEST

START_TEST(packets_come_out_of_the_tunnel_of_their_ends)
{
    world w = world_open(NULL);
    for (unsigned id = 1; id <= 4; id++) {
        tunnelcap_result result;
        world_outer(id, 1);
        test_ok(world_run(&w, TUNNELCAP_DECAP, 0, NULL, &result));
        ck_assert_uint_eq(result.tunnel, id);
        ck_assert_uint_eq(result.action, TUNNELCAP_DO_DELIVER);
        ck_assert_uint_eq(result.value, 0x0800);
        ck_assert_uint_eq(result.l3_len, 20);
        ck_assert_uint_eq(result.l4_len, 0);
        ck_assert_uint_eq(result.vrf, 0);
    }
    world_close(&w);
}
END_TEST

START_TEST(inner_ipv6_goes_both_ways)
{
    world w = world_open(NULL);
    test_ip inner = test_between("2001:db8::5", "fd00:3::1");
    tunnelcap_result result;
    test_udp_packet(&world_frame, &inner, 10);
    tunnelcap_pkt pkt = test_pkt(world_frame.bytes, world_frame.len, 40);
    test_ok(test_table_one(w.lane, TUNNELCAP_ENCAP, &pkt, NULL, &result));
    ck_assert_uint_eq(result.tunnel, IPIP_ID);
    ck_assert_uint_eq(pkt.buf[pkt.off + 9], 41);
    test_pkt_free(&pkt);
    test_ip outer = test_between(world_remotes[IPIP_ID], "192.0.2.1");
    test_udp_packet(&world_frame, &inner, 10);
    test_push_ip(&world_frame, &outer, 41);
    test_ok(world_run(&w, TUNNELCAP_DECAP, 0, NULL, &result));
    ck_assert_uint_eq(result.value, 0x86dd);
    ck_assert_uint_eq(result.l3_len, 40);
    world_close(&w);
}
END_TEST

START_TEST(payloads_that_are_no_ip_are_delivered_with_their_protocol)
{
    world w = world_open(NULL);
    test_ip outer = test_between(world_remotes[GRE_ID], "192.0.2.1");
    test_gre gre = {.protocol = TUNNELCAP_ETHERTYPE_MPLS};
    tunnelcap_result result;
    test_payload(&world_frame, 9);
    test_push_gre(&world_frame, &gre);
    test_push_ip(&world_frame, &outer, GRE);
    test_ok(world_run(&w, TUNNELCAP_DECAP, 0, NULL, &result));
    ck_assert_uint_eq(result.value, TUNNELCAP_ETHERTYPE_MPLS);
    ck_assert_uint_eq(result.l3_len, 0);
    ck_assert_uint_eq(result.action, TUNNELCAP_DO_DELIVER);
    world_close(&w);
}
END_TEST

START_TEST(routing_instances_are_separate)
{
    tunnelcap_tunnel tunnel;
    test_ok(tunnelcap_tunnel_init(&tunnel, sizeof(tunnel)));
    tunnel.vrf = 5;
    tunnel.outer_vrf = 6;
    tunnelcap_table *table = test_table_new(1, 1, 1);
    tunnelcap_lane *lane = test_table_lane(table);
    world w = {table, lane};
    tunnelcap_gre_config gre = test_gre_config("192.0.2.1", world_remotes[1], 0);
    tunnelcap_route route = test_route("10.1.0.0/16", 1);
    route.vrf = 5;
    test_ok(tunnelcap_table_begin(table));
    test_ok(tunnelcap_table_set_gre(table, 1, &tunnel, &gre));
    test_ok(tunnelcap_table_set_route(table, &route));
    test_ok(tunnelcap_table_commit(table, NULL));
    tunnelcap_result result;
    tunnelcap_meta meta = {.vrf = 0};
    world_inner(1, 10);
    ck_assert_status(world_run(&w, TUNNELCAP_ENCAP, 40, NULL, &result), TUNNELCAP_E_NO_ROUTE);
    ck_assert_status(world_run(&w, TUNNELCAP_ENCAP, 40, &meta, &result), TUNNELCAP_E_NO_ROUTE);
    meta.vrf = 5;
    test_ok(world_run(&w, TUNNELCAP_ENCAP, 40, &meta, &result));
    ck_assert_uint_eq(result.vrf, 6);
    world_outer(1, 0);
    ck_assert_status(world_run(&w, TUNNELCAP_DECAP, 0, &meta, &result), TUNNELCAP_E_NO_TUNNEL);
    ck_assert_uint_eq(result.tunnel, 0);
    meta.vrf = 6;
    test_ok(world_run(&w, TUNNELCAP_DECAP, 0, &meta, &result));
    ck_assert_uint_eq(result.vrf, 5);
    world_close(&w);
}
END_TEST

/* ---- refusals ---- */

START_TEST(packet_above_the_inner_mtu_is_told_it)
{
    tunnelcap_tunnel tunnel;
    test_ok(tunnelcap_tunnel_init(&tunnel, sizeof(tunnel)));
    tunnel.fragment_mode = TUNNELCAP_FRAGMENT_REFUSE;
    for (unsigned own = 0; own <= 1; own++) {
        tunnel.mtu = own ? 600 : 0;
        world w = world_open(&tunnel);
        static const uint32_t mtus[] = {0, 1476, 1468, 1480, 1472};
        for (unsigned id = 1; id <= 4; id++) {
            uint32_t mtu = own ? 600 : mtus[id];
            tunnelcap_result result;
            world_inner(id, mtu - 28);
            test_ok(world_run(&w, TUNNELCAP_ENCAP, 60, NULL, &result));
            world_inner(id, mtu - 27);
            ck_assert_status(world_run(&w, TUNNELCAP_ENCAP, 60, NULL, &result),
                             TUNNELCAP_E_TOO_BIG);
            ck_assert_uint_eq(result.value, mtu);
            ck_assert_uint_eq(result.tunnel, id);
        }
        world_close(&w);
    }
}
END_TEST

START_TEST(dropped_packets_are_unchanged_and_counted_by_reason)
{
    static const struct {
        int32_t status;
        uint32_t headroom;
        uint64_t tunnel;
    } rows[] = {{TUNNELCAP_E_NO_ROUTE, 60, 0},     {TUNNELCAP_E_TRUNCATED, 60, 0},
                {TUNNELCAP_E_MALFORMED, 60, 0},    {TUNNELCAP_E_HEADROOM, 23, GRE_ID},
                {TUNNELCAP_E_TOO_BIG, 60, GRE_ID}, {TUNNELCAP_E_INVALID, 60, 0}};
    world w = world_open(NULL);
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        for (unsigned times = 1; times <= 3; times++) {
            tunnelcap_result result;
            world_inner(GRE_ID, rows[i].status == TUNNELCAP_E_TOO_BIG ? 1500 : 50);
            if (rows[i].status == TUNNELCAP_E_NO_ROUTE)
                memset(world_frame.bytes + 16, 9, 4);
            if (rows[i].status == TUNNELCAP_E_TRUNCATED)
                world_frame.len--;
            if (rows[i].status == TUNNELCAP_E_MALFORMED)
                world_frame.bytes[0] = 0x10;
            tunnelcap_pkt pkt = test_pkt(world_frame.bytes, world_frame.len, rows[i].headroom);
            test_snapshot snap = test_snap(&pkt);
            if (rows[i].status == TUNNELCAP_E_INVALID)
                pkt.len = snap.pkt.len = pkt.cap;
            ck_assert_status(test_table_one(w.lane, TUNNELCAP_ENCAP, &pkt, NULL, &result),
                             rows[i].status);
            test_unchanged(&snap, &pkt);
            ck_assert_uint_eq(result.tunnel, rows[i].tunnel);
            ck_assert_uint_eq(result.action, TUNNELCAP_DO_DROP);
            ck_assert_uint_eq(world_reason(&w, rows[i].tunnel, TUNNELCAP_ENCAP, rows[i].status),
                              times);
            test_pkt_free(&pkt);
        }
    }
    tunnelcap_reason few[1];
    uint32_t count = 0;
    test_ok(tunnelcap_table_reasons(w.table, 0, TUNNELCAP_ENCAP, few, 1, &count));
    ck_assert_uint_eq(count, 4);
    test_ok(tunnelcap_table_reasons(w.table, 0, TUNNELCAP_DECAP, few, 1, &count));
    ck_assert_uint_eq(count, 0);
    world_close(&w);
}
END_TEST

/* Every reason to refuse an outer packet, made from a good one of tunnel GRE_ID or another. */
static int32_t break_outer(unsigned row)
{
    world_outer(GRE_ID, 0);
    switch (row) {
    case 0:
        world_frame.len--;
        return TUNNELCAP_E_TRUNCATED;
    case 1:
        world_frame.bytes[0] = 0x41;
        return TUNNELCAP_E_MALFORMED;
    case 2:
        world_frame.bytes[8]++;
        return TUNNELCAP_E_CHECKSUM;
    case 3:
        world_frame.bytes[20] = 0x40;
        return TUNNELCAP_E_GRE_FLAGS;
    case 4:
        world_frame.bytes[21] = 1;
        return TUNNELCAP_E_GRE_VERSION;
    case 5:
        world_outer(SEQ_ID, 7);
        return TUNNELCAP_E_SEQUENCE;
    case 6: {
        test_ip ip = test_between(world_remotes[GRE_ID], "192.0.2.1");
        ip.frag = 0x2000;
        test_payload(&world_frame, 60);
        test_push_ip(&world_frame, &ip, GRE);
        return TUNNELCAP_E_FRAGMENT;
    }
    case 7: {
        test_ip ip = test_between(world_remotes[GRE_ID], "192.0.2.1");
        test_payload(&world_frame, 60);
        test_push_ip(&world_frame, &ip, 89);
        return TUNNELCAP_E_PROTOCOL;
    }
    default: {
        test_ip ip = test_between(world_remotes[GRE_ID], "192.0.2.1");
        test_ip inner = test_between("10.9.0.1", "203.0.113.1");
        test_gre gre = {.protocol = 0x0800};
        ip.tos = 3;
        test_udp_packet(&world_frame, &inner, 10);
        test_push_gre(&world_frame, &gre);
        test_push_ip(&world_frame, &ip, GRE);
        return TUNNELCAP_E_ECN;
    }
    }
}

START_TEST(refused_outer_packets_are_unchanged_and_counted_once)
{
    world w = world_open(NULL);
    tunnelcap_result result;
    world_outer(SEQ_ID, 7);
    test_ok(world_run(&w, TUNNELCAP_DECAP, 0, NULL, &result));
    for (unsigned row = 0; row < 9; row++) {
        int32_t want = break_outer(row);
        tunnelcap_pkt pkt = test_pkt(world_frame.bytes, world_frame.len, 0);
        test_snapshot snap = test_snap(&pkt);
        ck_assert_status(test_table_one(w.lane, TUNNELCAP_DECAP, &pkt, NULL, &result), want);
        test_unchanged(&snap, &pkt);
        uint64_t sum = 0;
        for (uint64_t id = 0; id <= 4; id++)
            sum += world_reason(&w, id, TUNNELCAP_DECAP, want);
        ck_assert_uint_eq(sum, 1);
        ck_assert_uint_eq(world_reason(&w, result.tunnel, TUNNELCAP_DECAP, want), 1);
        test_pkt_free(&pkt);
    }
    world_close(&w);
}
END_TEST

START_TEST(strangers_are_told_from_bad_packets_of_a_tunnel)
{
    static const struct {
        const char *src;
        uint16_t port; /* 0: GRE itself */
        test_gre gre;
        int32_t status;
        uint64_t tunnel;
    } rows[] = {
        {"198.51.100.1", 0, {1, 0x0800, 0, 0}, TUNNELCAP_E_GRE_VERSION, GRE_ID},
        {"198.51.100.1", 0, {0x4000, 0x0800, 0, 0}, TUNNELCAP_E_GRE_FLAGS, GRE_ID},
        {"198.51.100.1", 0, {TEST_GRE_K, 0x0800, 7, 0}, TUNNELCAP_E_NO_TUNNEL, 0},
        {"198.51.100.99", 0, {0, 0x0800, 0, 0}, TUNNELCAP_E_NO_TUNNEL, 0},
        {"198.51.100.99", 0, {1, 0x0800, 0, 0}, TUNNELCAP_E_GRE_VERSION, 0},
        {"198.51.100.2", 4754, {1, 0x0800, 0, 0}, TUNNELCAP_E_GRE_VERSION, UDP_ID},
        {"198.51.100.2", 53, {1, 0x0800, 0, 0}, TUNNELCAP_E_NO_TUNNEL, 0}, /* DNS, not GRE */
        {"198.51.100.99", 4754, {0, 0x0800, 0, 0}, TUNNELCAP_E_NO_TUNNEL, 0},
    };
    world w = world_open(NULL);
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        test_ip outer = test_between(rows[i].src, "192.0.2.1");
        test_ip inner = test_between("10.9.0.1", "203.0.113.1");
        tunnelcap_result result;
        uint64_t before = world_reason(&w, rows[i].tunnel, TUNNELCAP_DECAP, rows[i].status);
        test_udp_packet(&world_frame, &inner, 30);
        test_push_gre(&world_frame, &rows[i].gre);
        if (rows[i].port != 0)
            test_push_udp(&world_frame, &outer, 50000, rows[i].port);
        test_push_ip(&world_frame, &outer, rows[i].port != 0 ? UDP : GRE);
        ck_assert_status(world_run(&w, TUNNELCAP_DECAP, 0, NULL, &result), rows[i].status);
        ck_assert_uint_eq(result.tunnel, rows[i].tunnel);
        ck_assert_uint_eq(world_reason(&w, rows[i].tunnel, TUNNELCAP_DECAP, rows[i].status),
                          before + 1);
    }
    world_close(&w);
}
END_TEST

static int32_t feed_decap(void *arg, tunnelcap_pkt *pkt)
{
    tunnelcap_result result;
    return test_table_one(arg, TUNNELCAP_DECAP, pkt, NULL, &result);
}

static int32_t feed_encap(void *arg, tunnelcap_pkt *pkt)
{
    tunnelcap_result result;
    return test_table_one(arg, TUNNELCAP_ENCAP, pkt, NULL, &result);
}

START_TEST(data_path_survives_cuts_and_flips)
{
    tunnelcap_tunnel tunnel;
    test_ok(tunnelcap_tunnel_init(&tunnel, sizeof(tunnel)));
    tunnel.flags &= ~(uint32_t)TUNNELCAP_TUNNEL_LOOP_GUARD; /* whose refusals have unwrapped */
    world w = world_open(&tunnel);
    for (unsigned id = 1; id <= 4; id++) {
        world_outer(id, 1);
        test_truncation(world_frame.bytes, world_frame.len, TUNNELCAP_E_TRUNCATED, feed_decap,
                        w.lane);
        test_flips(world_frame.bytes, world_frame.len, 0, feed_decap, w.lane);
        world_inner(id, 20);
        test_truncation(world_frame.bytes, world_frame.len, TUNNELCAP_E_TRUNCATED, feed_encap,
                        w.lane);
        test_flips(world_frame.bytes, world_frame.len, 40, feed_encap, w.lane);
    }
    world_close(&w);
}
END_TEST

START_TEST(packets_back_to_their_encapsulator_are_a_loop)
{
    static const struct {
        const char *src, *dst;
        uint8_t type; /* ICMP, 0xff: UDP */
        int32_t guarded;
    } rows[] = {{"10.9.0.1", "198.51.100.1", 0xff, TUNNELCAP_E_LOOP},
                {"10.9.0.1", "198.51.100.1", 3, TUNNELCAP_E_LOOP},
                {"10.9.0.1", "198.51.100.1", 8, TUNNELCAP_OK},
                {"10.9.0.1", "198.51.100.1", 0, TUNNELCAP_OK},
                {"10.9.0.1", "192.0.2.1", 0xff, TUNNELCAP_OK}};
    tunnelcap_tunnel tunnel;
    test_ok(tunnelcap_tunnel_init(&tunnel, sizeof(tunnel)));
    for (unsigned guard = 0; guard <= 1; guard++) {
        tunnel.flags = guard ? TUNNELCAP_TUNNEL_LOOP_GUARD : 0;
        world w = world_open(&tunnel);
        for (size_t i = 0; i < TEST_COUNT(rows); i++) {
            test_ip outer = test_between(world_remotes[GRE_ID], "192.0.2.1");
            test_ip inner = test_between(rows[i].src, rows[i].dst);
            test_gre gre = {.protocol = 0x0800};
            tunnelcap_result result;
            test_payload(&world_frame, 20);
            if (rows[i].type == 0xff)
                test_push_udp(&world_frame, &inner, 1, 2);
            else
                test_push_icmp(&world_frame, &inner, rows[i].type, 0);
            test_push_ip(&world_frame, &inner, rows[i].type == 0xff ? UDP : 1);
            test_push_gre(&world_frame, &gre);
            test_push_ip(&world_frame, &outer, GRE);
            ck_assert_status(world_run(&w, TUNNELCAP_DECAP, 0, NULL, &result),
                             guard ? rows[i].guarded : TUNNELCAP_OK);
            ck_assert_uint_eq(result.tunnel, GRE_ID);
        }
        world_close(&w);
    }
}
END_TEST

START_TEST(loop_guard_knows_ipv6_probes)
{
    static const uint8_t types[] = {128, 129, 1, 0xff};
    tunnelcap_table *table = test_table_new(1, 1, 1);
    tunnelcap_lane *lane = test_table_lane(table);
    world w = {table, lane};
    tunnelcap_gre_config gre = test_gre_config("2001:db8:a::1", "2001:db8:b::1", 0);
    test_ok(tunnelcap_table_begin(table));
    test_ok(tunnelcap_table_set_gre(table, 1, NULL, &gre));
    test_ok(tunnelcap_table_commit(table, NULL));
    for (size_t i = 0; i < TEST_COUNT(types); i++) {
        test_ip outer = test_between("2001:db8:b::1", "2001:db8:a::1");
        test_ip inner = test_between("2001:db8:c::1", "2001:db8:b::1");
        test_gre header = {.protocol = 0x86dd};
        tunnelcap_result result;
        test_payload(&world_frame, 20);
        if (types[i] == 0xff)
            test_push_udp(&world_frame, &inner, 1, 2);
        else
            test_push_icmp(&world_frame, &inner, types[i], 0);
        test_push_ip(&world_frame, &inner, types[i] == 0xff ? UDP : 58);
        test_push_gre(&world_frame, &header);
        test_push_ip(&world_frame, &outer, GRE);
        ck_assert_status(world_run(&w, TUNNELCAP_DECAP, 0, NULL, &result),
                         i < 2 ? TUNNELCAP_OK : TUNNELCAP_E_LOOP);
    }
    world_close(&w);
}
END_TEST

START_TEST(keepalive_is_answered)
{
    world w = world_open(NULL);
    test_ip outer = test_between(world_remotes[GRE_ID], "192.0.2.1");
    test_ip back = test_between("192.0.2.1", world_remotes[GRE_ID]);
    test_gre none = {.protocol = 0}, ip = {.protocol = 0x0800};
    tunnelcap_result result;
    world_frame.len = 0;
    test_push_gre(&world_frame, &none);
    test_push_ip(&world_frame, &back, GRE);
    test_push_gre(&world_frame, &ip);
    test_push_ip(&world_frame, &outer, GRE);
    ck_assert_status(world_run(&w, TUNNELCAP_DECAP, 0, NULL, &result), TUNNELCAP_KEEPALIVE);
    ck_assert_uint_eq(result.action, TUNNELCAP_DO_REPLY);
    ck_assert_uint_eq(result.tunnel, GRE_ID);
    tunnelcap_stats stats;
    test_ok(tunnelcap_table_get_stats(w.table, GRE_ID, &stats, sizeof(stats)));
    ck_assert_uint_eq(stats.decap.replied, 1);
    ck_assert_uint_eq(stats.decap.packets, 0);
    world_close(&w);
}
END_TEST

START_TEST(tunnels_refuse_inner_protocols_that_they_do_not_carry)
{
    tunnelcap_table *table = test_table_new(4, 8, 1);
    tunnelcap_lane *lane = test_table_lane(table);
    world w = {table, lane};
    tunnelcap_gre_config gre = test_gre_config("192.0.2.1", world_remotes[1], 0);
    tunnelcap_ipip_config ipip = test_ipip_config("192.0.2.1", world_remotes[2], 0);
    test_ok(tunnelcap_table_begin(table));
    gre.protocol = TUNNELCAP_ETHERTYPE_IPV6;
    test_ok(tunnelcap_table_set_gre(table, 1, NULL, &gre));
    ipip.flags = TUNNELCAP_IPIP_ONLY_IPV6;
    test_ok(tunnelcap_table_set_ipip(table, 2, NULL, &ipip));
    for (unsigned id = 1; id <= 2; id++) {
        for (unsigned six = 0; six <= 1; six++) {
            tunnelcap_route route = test_route(world_prefixes[id][six], id);
            test_ok(tunnelcap_table_set_route(table, &route));
        }
    }
    test_ok(tunnelcap_table_commit(table, NULL));
    for (unsigned id = 1; id <= 2; id++) {
        tunnelcap_result result;
        world_inner(id, 10);
        ck_assert_status(world_run(&w, TUNNELCAP_ENCAP, 40, NULL, &result), TUNNELCAP_E_PROTOCOL);
        ck_assert_uint_eq(result.tunnel, id);
        test_ip six = test_between("2001:db8::5", id == 1 ? "fd00:1::1" : "fd00:2::1");
        test_udp_packet(&world_frame, &six, 10);
        test_ok(world_run(&w, TUNNELCAP_ENCAP, 40, NULL, &result));
        tunnelcap_meta four = {.ethertype = TUNNELCAP_ETHERTYPE_IPV4};
        ck_assert_status(world_run(&w, TUNNELCAP_ENCAP, 40, &four, &result), TUNNELCAP_E_PROTOCOL);
    }
    world_close(&w);
}
END_TEST

START_TEST(inner_extension_headers_are_their_receivers_affair)
{
    world w = world_open(NULL);
    test_ip outer = test_between(world_remotes[GRE_ID], "192.0.2.1");
    test_ip inner = test_between("2001:db8::5", "2001:db8::6");
    test_gre gre = {.protocol = 0x86dd};
    tunnelcap_result result;
    test_payload(&world_frame, 3); /* no room for the extension header that is announced */
    test_push_ip(&world_frame, &inner, 60);
    test_push_gre(&world_frame, &gre);
    test_push_ip(&world_frame, &outer, GRE);
    test_ok(world_run(&w, TUNNELCAP_DECAP, 0, NULL, &result));
    ck_assert_uint_eq(result.value, 0x86dd);
    ck_assert_uint_eq(result.l3_len, 0);
    world_close(&w);
}
END_TEST

START_TEST(unfinished_checksums_and_segmentation_are_judged_before_the_tunnel)
{
    world w = world_open(NULL);
    tunnelcap_result result;
    tunnelcap_meta outside = {.flags = TUNNELCAP_META_CSUM_PARTIAL, .csum_start = 200};
    tunnelcap_meta gso = {.gso_type = 1};
    world_inner(GRE_ID, 10);
    ck_assert_status(world_run(&w, TUNNELCAP_ENCAP, 40, &outside, &result), TUNNELCAP_E_INVALID);
    ck_assert_uint_eq(result.tunnel, GRE_ID);
    ck_assert_status(world_run(&w, TUNNELCAP_ENCAP, 40, &gso, &result), TUNNELCAP_E_TOO_BIG);
    ck_assert_uint_eq(result.value, 1476);
    world_close(&w);
}
END_TEST

Suite *test_table_data_suite(void)
{
    const TTest *tests[] = {
        packets_go_into_the_tunnel_of_their_route,
        packets_come_out_of_the_tunnel_of_their_ends,
        inner_ipv6_goes_both_ways,
        payloads_that_are_no_ip_are_delivered_with_their_protocol,
        routing_instances_are_separate,
        packet_above_the_inner_mtu_is_told_it,
        dropped_packets_are_unchanged_and_counted_by_reason,
        refused_outer_packets_are_unchanged_and_counted_once,
        strangers_are_told_from_bad_packets_of_a_tunnel,
        data_path_survives_cuts_and_flips,
        packets_back_to_their_encapsulator_are_a_loop,
        loop_guard_knows_ipv6_probes,
        keepalive_is_answered,
        tunnels_refuse_inner_protocols_that_they_do_not_carry,
        inner_extension_headers_are_their_receivers_affair,
        unfinished_checksums_and_segmentation_are_judged_before_the_tunnel,
    };
    return test_suite("table_data", tests, TEST_COUNT(tests));
}
