/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The table as a lane sees it: bursts, results, counters. */
#include "support.h"

static test_frame frame;

enum { GRE = 47, UDP = 17, GRE_ID = 1, UDP_ID = 2, IPIP_ID = 3, SEQ_ID = 4 };

/* Tunnels from 192.0.2.1 to 198.51.100.1 to .4, each with 10.ID.0.0/16 and fd00:ID::/32. */
typedef struct world {
    tunnelcap_table *table;
    tunnelcap_lane *lane;
} world;

static const char *const remotes[] = {"", "198.51.100.1", "198.51.100.2", "198.51.100.3",
                                      "198.51.100.4"};
static const char *const prefixes[][2] = {{"", ""},
                                          {"10.1.0.0/16", "fd00:1::/32"},
                                          {"10.2.0.0/16", "fd00:2::/32"},
                                          {"10.3.0.0/16", "fd00:3::/32"},
                                          {"10.4.0.0/16", "fd00:4::/32"}};

static void must(int32_t status)
{
    ck_assert_status(status, TUNNELCAP_OK);
}

static world open_world(const tunnelcap_tunnel *tunnel)
{
    world w;
    w.table = test_table_new(8, 16, 1);
    w.lane = test_table_lane(w.table);
    must(tunnelcap_table_begin(w.table));
    for (unsigned id = 1; id <= 4; id++) {
        tunnelcap_gre_config gre = test_gre_config("192.0.2.1", remotes[id], 0);
        tunnelcap_ipip_config ipip = test_ipip_config("192.0.2.1", remotes[id], 0);
        if (id == UDP_ID)
            gre.flags = TUNNELCAP_GRE_UDP;
        if (id == SEQ_ID)
            gre.flags = TUNNELCAP_GRE_SEQUENCE | TUNNELCAP_GRE_IN_ORDER;
        must(id == IPIP_ID ? tunnelcap_table_set_ipip(w.table, id, tunnel, &ipip)
                           : tunnelcap_table_set_gre(w.table, id, tunnel, &gre));
        for (unsigned six = 0; six <= 1; six++) {
            tunnelcap_route route = test_route(prefixes[id][six], id);
            must(tunnelcap_table_set_route(w.table, &route));
        }
    }
    must(tunnelcap_table_commit(w.table, NULL));
    return w;
}

static void close_world(world *w)
{
    test_table_end(w->table, w->lane);
}

static const char *const inner_dst[] = {"", "10.1.0.9", "10.2.0.9", "10.3.0.9", "10.4.0.9"};

static void build_inner(unsigned id, uint32_t size)
{
    test_ip ip = test_between("203.0.113.1", inner_dst[id]);
    test_udp_packet(&frame, &ip, size);
}

/* What the far end of tunnel `id` sends us. */
static void build_outer(unsigned id, uint32_t seq)
{
    test_ip outer = test_between(remotes[id], "192.0.2.1");
    test_ip inner = test_between("10.9.0.1", "203.0.113.1");
    test_gre gre = {id == SEQ_ID ? TEST_GRE_S : 0, 0x0800, 0, seq};
    test_udp_packet(&frame, &inner, 30);
    if (id != IPIP_ID)
        test_push_gre(&frame, &gre);
    if (id == UDP_ID)
        test_push_udp(&frame, &outer, 50000, 4754);
    test_push_ip(&frame, &outer, id == IPIP_ID ? 4 : id == UDP_ID ? UDP : GRE);
}

static int32_t run(world *w, uint32_t direction, uint32_t headroom, const tunnelcap_meta *meta,
                   tunnelcap_result *result)
{
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, headroom);
    int32_t status = test_table_one(w->lane, direction, &pkt, meta, result);
    test_pkt_free(&pkt);
    return status;
}

static uint64_t reason_count(const world *w, uint64_t id, uint32_t direction, int32_t status)
{
    tunnelcap_reason reasons[64];
    uint32_t count = 0;
    must(tunnelcap_table_reasons(w->table, id, direction, reasons, 64, &count));
    ck_assert_uint_le(count, 64);
    for (uint32_t i = 0; i < count; i++) {
        ck_assert_uint_eq(reasons[i].reserved, 0);
        ck_assert_uint_ne(reasons[i].count, 0);
        if (reasons[i].status == status)
            return reasons[i].count;
    }
    return 0;
}

/* ---- there and back ---- */

START_TEST(packets_go_into_the_tunnel_of_their_route)
{
    world w = open_world(NULL);
    for (unsigned id = 1; id <= 4; id++) {
        tunnelcap_result result;
        build_inner(id, 100);
        tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 40);
        must(test_table_one(w.lane, TUNNELCAP_ENCAP, &pkt, NULL, &result));
        ck_assert_uint_eq(result.tunnel, id);
        ck_assert_uint_eq(result.action, TUNNELCAP_DO_SEND);
        ck_assert_uint_eq(result.value, 0);
        ck_assert_uint_eq(result.flags, 0);
        ck_assert_uint_eq(result.l3_len, 20);
        ck_assert_uint_eq(result.l4_len, id == UDP_ID ? 8 : 0);
        test_view view = test_dissect(pkt.buf + pkt.off, pkt.len);
        ck_assert_uint_eq(view.ip.dst.bytes[3], id);
        ck_assert_mem_eq(pkt.buf + pkt.off + view.payload, frame.bytes, frame.len);
        test_pkt_free(&pkt);
    }
    close_world(&w);
}
END_TEST

START_TEST(packets_come_out_of_the_tunnel_of_their_ends)
{
    world w = open_world(NULL);
    for (unsigned id = 1; id <= 4; id++) {
        tunnelcap_result result;
        build_outer(id, 1);
        must(run(&w, TUNNELCAP_DECAP, 0, NULL, &result));
        ck_assert_uint_eq(result.tunnel, id);
        ck_assert_uint_eq(result.action, TUNNELCAP_DO_DELIVER);
        ck_assert_uint_eq(result.value, 0x0800);
        ck_assert_uint_eq(result.l3_len, 20);
        ck_assert_uint_eq(result.l4_len, 0);
        ck_assert_uint_eq(result.vrf, 0);
    }
    close_world(&w);
}
END_TEST

START_TEST(inner_ipv6_goes_both_ways)
{
    world w = open_world(NULL);
    test_ip inner = test_between("2001:db8::5", "fd00:3::1");
    tunnelcap_result result;
    test_udp_packet(&frame, &inner, 10);
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 40);
    must(test_table_one(w.lane, TUNNELCAP_ENCAP, &pkt, NULL, &result));
    ck_assert_uint_eq(result.tunnel, IPIP_ID);
    ck_assert_uint_eq(pkt.buf[pkt.off + 9], 41);
    test_pkt_free(&pkt);
    test_ip outer = test_between(remotes[IPIP_ID], "192.0.2.1");
    test_udp_packet(&frame, &inner, 10);
    test_push_ip(&frame, &outer, 41);
    must(run(&w, TUNNELCAP_DECAP, 0, NULL, &result));
    ck_assert_uint_eq(result.value, 0x86dd);
    ck_assert_uint_eq(result.l3_len, 40);
    close_world(&w);
}
END_TEST

START_TEST(payloads_that_are_no_ip_are_delivered_with_their_protocol)
{
    world w = open_world(NULL);
    test_ip outer = test_between(remotes[GRE_ID], "192.0.2.1");
    test_gre gre = {.protocol = TUNNELCAP_ETHERTYPE_MPLS};
    tunnelcap_result result;
    test_payload(&frame, 9);
    test_push_gre(&frame, &gre);
    test_push_ip(&frame, &outer, GRE);
    must(run(&w, TUNNELCAP_DECAP, 0, NULL, &result));
    ck_assert_uint_eq(result.value, TUNNELCAP_ETHERTYPE_MPLS);
    ck_assert_uint_eq(result.l3_len, 0);
    ck_assert_uint_eq(result.action, TUNNELCAP_DO_DELIVER);
    close_world(&w);
}
END_TEST

START_TEST(routing_instances_are_separate)
{
    tunnelcap_tunnel tunnel;
    must(tunnelcap_tunnel_init(&tunnel, sizeof(tunnel)));
    tunnel.vrf = 5;
    tunnel.outer_vrf = 6;
    tunnelcap_table *table = test_table_new(1, 1, 1);
    tunnelcap_lane *lane = test_table_lane(table);
    world w = {table, lane};
    tunnelcap_gre_config gre = test_gre_config("192.0.2.1", remotes[1], 0);
    tunnelcap_route route = test_route("10.1.0.0/16", 1);
    route.vrf = 5;
    must(tunnelcap_table_begin(table));
    must(tunnelcap_table_set_gre(table, 1, &tunnel, &gre));
    must(tunnelcap_table_set_route(table, &route));
    must(tunnelcap_table_commit(table, NULL));
    tunnelcap_result result;
    tunnelcap_meta meta = {.vrf = 0};
    build_inner(1, 10);
    ck_assert_status(run(&w, TUNNELCAP_ENCAP, 40, NULL, &result), TUNNELCAP_E_NO_ROUTE);
    ck_assert_status(run(&w, TUNNELCAP_ENCAP, 40, &meta, &result), TUNNELCAP_E_NO_ROUTE);
    meta.vrf = 5;
    must(run(&w, TUNNELCAP_ENCAP, 40, &meta, &result));
    ck_assert_uint_eq(result.vrf, 6);
    build_outer(1, 0);
    ck_assert_status(run(&w, TUNNELCAP_DECAP, 0, &meta, &result), TUNNELCAP_E_NO_TUNNEL);
    ck_assert_uint_eq(result.tunnel, 0);
    meta.vrf = 6;
    must(run(&w, TUNNELCAP_DECAP, 0, &meta, &result));
    ck_assert_uint_eq(result.vrf, 5);
    close_world(&w);
}
END_TEST

/* ---- refusals ---- */

START_TEST(packet_above_the_inner_mtu_is_told_it)
{
    tunnelcap_tunnel tunnel;
    must(tunnelcap_tunnel_init(&tunnel, sizeof(tunnel)));
    for (unsigned own = 0; own <= 1; own++) {
        tunnel.mtu = own ? 600 : 0;
        world w = open_world(&tunnel);
        static const uint32_t mtus[] = {0, 1476, 1468, 1480, 1472};
        for (unsigned id = 1; id <= 4; id++) {
            uint32_t mtu = own ? 600 : mtus[id];
            tunnelcap_result result;
            build_inner(id, mtu - 28);
            must(run(&w, TUNNELCAP_ENCAP, 60, NULL, &result));
            build_inner(id, mtu - 27);
            ck_assert_status(run(&w, TUNNELCAP_ENCAP, 60, NULL, &result), TUNNELCAP_E_TOO_BIG);
            ck_assert_uint_eq(result.value, mtu);
            ck_assert_uint_eq(result.tunnel, id);
        }
        close_world(&w);
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
    world w = open_world(NULL);
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        for (unsigned times = 1; times <= 3; times++) {
            tunnelcap_result result;
            build_inner(GRE_ID, rows[i].status == TUNNELCAP_E_TOO_BIG ? 1500 : 50);
            if (rows[i].status == TUNNELCAP_E_NO_ROUTE)
                memset(frame.bytes + 16, 9, 4);
            if (rows[i].status == TUNNELCAP_E_TRUNCATED)
                frame.len--;
            if (rows[i].status == TUNNELCAP_E_MALFORMED)
                frame.bytes[0] = 0x10;
            tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, rows[i].headroom);
            test_snapshot snap = test_snap(&pkt);
            if (rows[i].status == TUNNELCAP_E_INVALID)
                pkt.len = snap.pkt.len = pkt.cap;
            ck_assert_status(test_table_one(w.lane, TUNNELCAP_ENCAP, &pkt, NULL, &result),
                             rows[i].status);
            test_unchanged(&snap, &pkt);
            ck_assert_uint_eq(result.tunnel, rows[i].tunnel);
            ck_assert_uint_eq(result.action, TUNNELCAP_DO_DROP);
            ck_assert_uint_eq(reason_count(&w, rows[i].tunnel, TUNNELCAP_ENCAP, rows[i].status),
                              times);
            test_pkt_free(&pkt);
        }
    }
    tunnelcap_reason few[1];
    uint32_t count = 0;
    must(tunnelcap_table_reasons(w.table, 0, TUNNELCAP_ENCAP, few, 1, &count));
    ck_assert_uint_eq(count, 4);
    must(tunnelcap_table_reasons(w.table, 0, TUNNELCAP_DECAP, few, 1, &count));
    ck_assert_uint_eq(count, 0);
    close_world(&w);
}
END_TEST

/* Every reason to refuse an outer packet, made from a good one of tunnel GRE_ID or another. */
static int32_t break_outer(unsigned row)
{
    build_outer(GRE_ID, 0);
    switch (row) {
    case 0:
        frame.len--;
        return TUNNELCAP_E_TRUNCATED;
    case 1:
        frame.bytes[0] = 0x41;
        return TUNNELCAP_E_MALFORMED;
    case 2:
        frame.bytes[8]++;
        return TUNNELCAP_E_CHECKSUM;
    case 3:
        frame.bytes[20] = 0x40;
        return TUNNELCAP_E_GRE_FLAGS;
    case 4:
        frame.bytes[21] = 1;
        return TUNNELCAP_E_GRE_VERSION;
    case 5:
        build_outer(SEQ_ID, 7);
        return TUNNELCAP_E_SEQUENCE;
    case 6: {
        test_ip ip = test_between(remotes[GRE_ID], "192.0.2.1");
        ip.frag = 0x2000;
        test_payload(&frame, 60);
        test_push_ip(&frame, &ip, GRE);
        return TUNNELCAP_E_FRAGMENT;
    }
    case 7: {
        test_ip ip = test_between(remotes[GRE_ID], "192.0.2.1");
        test_payload(&frame, 60);
        test_push_ip(&frame, &ip, 89);
        return TUNNELCAP_E_PROTOCOL;
    }
    default: {
        test_ip ip = test_between(remotes[GRE_ID], "192.0.2.1");
        test_ip inner = test_between("10.9.0.1", "203.0.113.1");
        test_gre gre = {.protocol = 0x0800};
        ip.tos = 3;
        test_udp_packet(&frame, &inner, 10);
        test_push_gre(&frame, &gre);
        test_push_ip(&frame, &ip, GRE);
        return TUNNELCAP_E_ECN;
    }
    }
}

START_TEST(refused_outer_packets_are_unchanged_and_counted_once)
{
    world w = open_world(NULL);
    tunnelcap_result result;
    build_outer(SEQ_ID, 7);
    must(run(&w, TUNNELCAP_DECAP, 0, NULL, &result));
    for (unsigned row = 0; row < 9; row++) {
        int32_t want = break_outer(row);
        tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 0);
        test_snapshot snap = test_snap(&pkt);
        ck_assert_status(test_table_one(w.lane, TUNNELCAP_DECAP, &pkt, NULL, &result), want);
        test_unchanged(&snap, &pkt);
        uint64_t sum = 0;
        for (uint64_t id = 0; id <= 4; id++)
            sum += reason_count(&w, id, TUNNELCAP_DECAP, want);
        ck_assert_uint_eq(sum, 1);
        ck_assert_uint_eq(reason_count(&w, result.tunnel, TUNNELCAP_DECAP, want), 1);
        test_pkt_free(&pkt);
    }
    close_world(&w);
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
    world w = open_world(NULL);
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        test_ip outer = test_between(rows[i].src, "192.0.2.1");
        test_ip inner = test_between("10.9.0.1", "203.0.113.1");
        tunnelcap_result result;
        uint64_t before = reason_count(&w, rows[i].tunnel, TUNNELCAP_DECAP, rows[i].status);
        test_udp_packet(&frame, &inner, 30);
        test_push_gre(&frame, &rows[i].gre);
        if (rows[i].port != 0)
            test_push_udp(&frame, &outer, 50000, rows[i].port);
        test_push_ip(&frame, &outer, rows[i].port != 0 ? UDP : GRE);
        ck_assert_status(run(&w, TUNNELCAP_DECAP, 0, NULL, &result), rows[i].status);
        ck_assert_uint_eq(result.tunnel, rows[i].tunnel);
        ck_assert_uint_eq(reason_count(&w, rows[i].tunnel, TUNNELCAP_DECAP, rows[i].status),
                          before + 1);
    }
    close_world(&w);
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
    must(tunnelcap_tunnel_init(&tunnel, sizeof(tunnel)));
    tunnel.flags &= ~(uint32_t)TUNNELCAP_TUNNEL_LOOP_GUARD; /* whose refusals have unwrapped */
    world w = open_world(&tunnel);
    for (unsigned id = 1; id <= 4; id++) {
        build_outer(id, 1);
        test_truncation(frame.bytes, frame.len, TUNNELCAP_E_TRUNCATED, feed_decap, w.lane);
        test_flips(frame.bytes, frame.len, 0, feed_decap, w.lane);
        build_inner(id, 20);
        test_truncation(frame.bytes, frame.len, TUNNELCAP_E_TRUNCATED, feed_encap, w.lane);
        test_flips(frame.bytes, frame.len, 40, feed_encap, w.lane);
    }
    close_world(&w);
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
    must(tunnelcap_tunnel_init(&tunnel, sizeof(tunnel)));
    for (unsigned guard = 0; guard <= 1; guard++) {
        tunnel.flags = guard ? TUNNELCAP_TUNNEL_LOOP_GUARD : 0;
        world w = open_world(&tunnel);
        for (size_t i = 0; i < TEST_COUNT(rows); i++) {
            test_ip outer = test_between(remotes[GRE_ID], "192.0.2.1");
            test_ip inner = test_between(rows[i].src, rows[i].dst);
            test_gre gre = {.protocol = 0x0800};
            tunnelcap_result result;
            test_payload(&frame, 20);
            if (rows[i].type == 0xff)
                test_push_udp(&frame, &inner, 1, 2);
            else
                test_push_icmp(&frame, &inner, rows[i].type, 0);
            test_push_ip(&frame, &inner, rows[i].type == 0xff ? UDP : 1);
            test_push_gre(&frame, &gre);
            test_push_ip(&frame, &outer, GRE);
            ck_assert_status(run(&w, TUNNELCAP_DECAP, 0, NULL, &result),
                             guard ? rows[i].guarded : TUNNELCAP_OK);
            ck_assert_uint_eq(result.tunnel, GRE_ID);
        }
        close_world(&w);
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
    must(tunnelcap_table_begin(table));
    must(tunnelcap_table_set_gre(table, 1, NULL, &gre));
    must(tunnelcap_table_commit(table, NULL));
    for (size_t i = 0; i < TEST_COUNT(types); i++) {
        test_ip outer = test_between("2001:db8:b::1", "2001:db8:a::1");
        test_ip inner = test_between("2001:db8:c::1", "2001:db8:b::1");
        test_gre header = {.protocol = 0x86dd};
        tunnelcap_result result;
        test_payload(&frame, 20);
        if (types[i] == 0xff)
            test_push_udp(&frame, &inner, 1, 2);
        else
            test_push_icmp(&frame, &inner, types[i], 0);
        test_push_ip(&frame, &inner, types[i] == 0xff ? UDP : 58);
        test_push_gre(&frame, &header);
        test_push_ip(&frame, &outer, GRE);
        ck_assert_status(run(&w, TUNNELCAP_DECAP, 0, NULL, &result),
                         i < 2 ? TUNNELCAP_OK : TUNNELCAP_E_LOOP);
    }
    close_world(&w);
}
END_TEST

START_TEST(keepalive_is_answered)
{
    world w = open_world(NULL);
    test_ip outer = test_between(remotes[GRE_ID], "192.0.2.1");
    test_ip back = test_between("192.0.2.1", remotes[GRE_ID]);
    test_gre none = {.protocol = 0}, ip = {.protocol = 0x0800};
    tunnelcap_result result;
    frame.len = 0;
    test_push_gre(&frame, &none);
    test_push_ip(&frame, &back, GRE);
    test_push_gre(&frame, &ip);
    test_push_ip(&frame, &outer, GRE);
    ck_assert_status(run(&w, TUNNELCAP_DECAP, 0, NULL, &result), TUNNELCAP_KEEPALIVE);
    ck_assert_uint_eq(result.action, TUNNELCAP_DO_REPLY);
    ck_assert_uint_eq(result.tunnel, GRE_ID);
    tunnelcap_stats stats;
    must(tunnelcap_table_get_stats(w.table, GRE_ID, &stats, sizeof(stats)));
    ck_assert_uint_eq(stats.decap.replied, 1);
    ck_assert_uint_eq(stats.decap.packets, 0);
    close_world(&w);
}
END_TEST

/* ---- clamp ---- */

START_TEST(syns_are_clamped_to_the_tunnel_both_ways)
{
    static const uint8_t mss[4] = {2, 4, 5, 180};
    for (unsigned flags = 0; flags < 4; flags++) {
        tunnelcap_tunnel tunnel;
        must(tunnelcap_tunnel_init(&tunnel, sizeof(tunnel)));
        tunnel.flags = flags;
        tunnel.limit6 = 1300;
        world w = open_world(&tunnel);
        for (unsigned mix = 0; mix < 4; mix++) {
            bool six = mix & 1, out = mix & 2;
            test_ip ip = six ? test_between("2001:db8::5", "fd00:1::1")
                             : test_between("203.0.113.1", "10.1.0.9");
            test_syn_packet(&frame, &ip, TEST_TCP_SYN, mss, 4);
            if (out) {
                test_ip outer = test_between(remotes[GRE_ID], "192.0.2.1");
                test_gre gre = {.protocol = six ? 0x86dd : 0x0800};
                test_push_gre(&frame, &gre);
                test_push_ip(&frame, &outer, GRE);
            }
            bool clamped =
                flags & (out ? TUNNELCAP_TUNNEL_CLAMP_DECAP : TUNNELCAP_TUNNEL_CLAMP_ENCAP);
            tunnelcap_result result;
            tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, out ? 0 : 24);
            must(test_table_one(w.lane, out ? TUNNELCAP_DECAP : TUNNELCAP_ENCAP, &pkt, NULL,
                                &result));
            ck_assert_uint_eq(result.flags, clamped ? TUNNELCAP_RESULT_CLAMPED : 0);
            uint32_t at = pkt.off + (out ? 0u : 24u) + (six ? 62u : 42u);
            ck_assert_uint_eq(test_load16(pkt.buf + at), !clamped ? 1460 : six ? 1300 : 1436);
            test_pkt_free(&pkt);
        }
        tunnelcap_stats stats;
        must(tunnelcap_table_get_stats(w.table, GRE_ID, &stats, sizeof(stats)));
        ck_assert_uint_eq(stats.encap.clamped, flags & 1 ? 2 : 0);
        ck_assert_uint_eq(stats.decap.clamped, flags & 2 ? 2 : 0);
        ck_assert_uint_eq(stats.encap.packets, 2);
        close_world(&w);
    }
}
END_TEST

START_TEST(mss_is_inserted_where_configured_and_the_result_still_fits)
{
    tunnelcap_tunnel tunnel;
    must(tunnelcap_tunnel_init(&tunnel, sizeof(tunnel)));
    tunnel.insert4 = 536;
    tunnel.mtu = 100;
    world w = open_world(&tunnel);
    for (uint32_t data = 40; data <= 60; data++) {
        test_ip ip = test_between("203.0.113.1", "10.1.0.9");
        tunnelcap_result result;
        test_payload(&frame, data);
        test_push_tcp(&frame, &ip, TEST_TCP_SYN, NULL, 0);
        test_push_ip(&frame, &ip, 6);
        tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 28);
        must(test_table_one(w.lane, TUNNELCAP_ENCAP, &pkt, NULL, &result));
        ck_assert_uint_le(pkt.len, 124);
        ck_assert_uint_eq(pkt.len, 24 + frame.len + (data <= 56 ? 4u : 0u));
        ck_assert_uint_eq(result.flags, data <= 56 ? TUNNELCAP_RESULT_CLAMPED : 0);
        test_pkt_free(&pkt);
    }
    close_world(&w);
}
END_TEST

/* ---- bursts ---- */

START_TEST(counters_add_up_to_what_was_offered)
{
    enum { COUNT = 200 };
    world w = open_world(NULL);
    test_random random = {6};
    uint64_t offered[2][5] = {{0}}, bytes_in = 0, bytes_out = 0;
    for (uint32_t round = 0; round < 20; round++) {
        tunnelcap_pkt pkts[COUNT];
        tunnelcap_result results[COUNT];
        uint32_t direction = round & 1;
        for (uint32_t i = 0; i < COUNT; i++) {
            unsigned id = 1 + test_below(&random, 4);
            if (direction == TUNNELCAP_ENCAP)
                build_inner(id, test_below(&random, 1500));
            else
                build_outer(id, test_below(&random, 50));
            if (test_below(&random, 5) == 0)
                frame.bytes[test_below(&random, frame.len)] ^= 0x55;
            pkts[i] = test_pkt(frame.bytes, frame.len, direction == TUNNELCAP_ENCAP ? 32 : 0);
        }
        tunnelcap_burst burst = {.size = sizeof(burst),
                                 .pkt_count = COUNT,
                                 .result_cap = COUNT,
                                 .pkts = pkts,
                                 .results = results};
        uint32_t lens[COUNT];
        for (uint32_t i = 0; i < COUNT; i++)
            lens[i] = pkts[i].len;
        must(direction == TUNNELCAP_ENCAP ? tunnelcap_table_encap(w.lane, &burst)
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
        must(tunnelcap_table_get_stats(w.table, id, &stats, sizeof(stats)));
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
            must(tunnelcap_table_reasons(w.table, id, direction, reasons, 64, &count));
            for (uint32_t i = 0; i < count; i++)
                refused += reasons[i].count;
            ck_assert_uint_eq(refused, direction ? stats.decap.refused : stats.encap.refused);
        }
    }
    ck_assert_uint_eq(sum.outer_bytes, bytes_out);
    ck_assert_uint_le(sum.inner_bytes, bytes_in);
    close_world(&w);
}
END_TEST

START_TEST(burst_stops_where_the_results_are_full)
{
    world w = open_world(NULL);
    tunnelcap_pkt pkts[5];
    tunnelcap_result results[3];
    memset(results, 0xff, sizeof(results));
    for (uint32_t i = 0; i < TEST_COUNT(pkts); i++) {
        build_inner(1 + i % 4, 10);
        pkts[i] = test_pkt(frame.bytes, frame.len, 40);
    }
    tunnelcap_result *exact = malloc(2 * sizeof(results[0]));
    tunnelcap_burst burst = {
        .size = sizeof(burst), .pkt_count = 5, .result_cap = 2, .pkts = pkts, .results = exact};
    must(tunnelcap_table_encap(w.lane, &burst));
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
    must(tunnelcap_table_encap(w.lane, &burst));
    ck_assert_uint_eq(burst.pkt_done, 3);
    ck_assert_uint_eq(results[0].tunnel, 3);
    ck_assert_uint_eq(results[0].index, 0);
    burst.pkt_count = 0;
    burst.pkts = NULL;
    burst.results = NULL;
    must(tunnelcap_table_encap(w.lane, &burst));
    ck_assert_uint_eq(burst.pkt_done, 0);
    for (uint32_t i = 0; i < TEST_COUNT(pkts); i++)
        test_pkt_free(&pkts[i]);
    close_world(&w);
}
END_TEST

START_TEST(burst_checks_its_arguments)
{
    world w = open_world(NULL);
    tunnelcap_lane *loose = test_lane();
    tunnelcap_result result;
    build_inner(GRE_ID, 10);
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 40);
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
    close_world(&w);
}
END_TEST

START_TEST(packets_of_sockets_find_their_tunnel)
{
    world w = open_world(NULL);
    test_ip inner = test_between("10.9.0.1", "203.0.113.1");
    test_gre gre = {.protocol = 0x0800};
    tunnelcap_result result;
    tunnelcap_meta meta = {.at = TUNNELCAP_AT_UDP_PAYLOAD,
                           .src = test_addr(remotes[UDP_ID]),
                           .dst = test_addr("192.0.2.1"),
                           .src_port = 50000,
                           .dst_port = 4754};
    test_udp_packet(&frame, &inner, 10);
    test_push_gre(&frame, &gre);
    must(run(&w, TUNNELCAP_DECAP, 0, &meta, &result));
    ck_assert_uint_eq(result.tunnel, UDP_ID);
    meta.at = TUNNELCAP_AT_IP_PAYLOAD;
    meta.proto = GRE;
    meta.src = test_addr(remotes[GRE_ID]);
    must(run(&w, TUNNELCAP_DECAP, 0, &meta, &result));
    ck_assert_uint_eq(result.tunnel, GRE_ID);
    meta.proto = 4;
    meta.src = test_addr(remotes[IPIP_ID]);
    test_udp_packet(&frame, &inner, 10);
    must(run(&w, TUNNELCAP_DECAP, 0, &meta, &result));
    ck_assert_uint_eq(result.tunnel, IPIP_ID);
    close_world(&w);
}
END_TEST

START_TEST(counters_of_a_detached_lane_stay)
{
    world w = open_world(NULL);
    tunnelcap_result result;
    build_inner(GRE_ID, 10);
    must(run(&w, TUNNELCAP_ENCAP, 40, NULL, &result));
    must(tunnelcap_table_detach(w.table, w.lane));
    must(tunnelcap_table_attach(w.table, w.lane));
    must(run(&w, TUNNELCAP_ENCAP, 40, NULL, &result));
    tunnelcap_stats stats;
    must(tunnelcap_table_get_stats(w.table, GRE_ID, &stats, sizeof(stats)));
    ck_assert_uint_eq(stats.encap.packets, 2);
    ck_assert_uint_eq(stats.encap.inner_bytes, 2 * 38);
    ck_assert_uint_eq(stats.encap.outer_bytes, 2 * 62);
    close_world(&w);
}
END_TEST

START_TEST(tunnels_refuse_inner_protocols_that_they_do_not_carry)
{
    tunnelcap_table *table = test_table_new(4, 8, 1);
    tunnelcap_lane *lane = test_table_lane(table);
    world w = {table, lane};
    tunnelcap_gre_config gre = test_gre_config("192.0.2.1", remotes[1], 0);
    tunnelcap_ipip_config ipip = test_ipip_config("192.0.2.1", remotes[2], 0);
    must(tunnelcap_table_begin(table));
    gre.protocol = TUNNELCAP_ETHERTYPE_IPV6;
    must(tunnelcap_table_set_gre(table, 1, NULL, &gre));
    ipip.flags = TUNNELCAP_IPIP_ONLY_IPV6;
    must(tunnelcap_table_set_ipip(table, 2, NULL, &ipip));
    for (unsigned id = 1; id <= 2; id++) {
        for (unsigned six = 0; six <= 1; six++) {
            tunnelcap_route route = test_route(prefixes[id][six], id);
            must(tunnelcap_table_set_route(table, &route));
        }
    }
    must(tunnelcap_table_commit(table, NULL));
    for (unsigned id = 1; id <= 2; id++) {
        tunnelcap_result result;
        build_inner(id, 10);
        ck_assert_status(run(&w, TUNNELCAP_ENCAP, 40, NULL, &result), TUNNELCAP_E_PROTOCOL);
        ck_assert_uint_eq(result.tunnel, id);
        test_ip six = test_between("2001:db8::5", id == 1 ? "fd00:1::1" : "fd00:2::1");
        test_udp_packet(&frame, &six, 10);
        must(run(&w, TUNNELCAP_ENCAP, 40, NULL, &result));
        tunnelcap_meta four = {.ethertype = TUNNELCAP_ETHERTYPE_IPV4};
        ck_assert_status(run(&w, TUNNELCAP_ENCAP, 40, &four, &result), TUNNELCAP_E_PROTOCOL);
    }
    close_world(&w);
}
END_TEST

START_TEST(inner_extension_headers_are_their_receivers_affair)
{
    world w = open_world(NULL);
    test_ip outer = test_between(remotes[GRE_ID], "192.0.2.1");
    test_ip inner = test_between("2001:db8::5", "2001:db8::6");
    test_gre gre = {.protocol = 0x86dd};
    tunnelcap_result result;
    test_payload(&frame, 3); /* no room for the extension header that is announced */
    test_push_ip(&frame, &inner, 60);
    test_push_gre(&frame, &gre);
    test_push_ip(&frame, &outer, GRE);
    must(run(&w, TUNNELCAP_DECAP, 0, NULL, &result));
    ck_assert_uint_eq(result.value, 0x86dd);
    ck_assert_uint_eq(result.l3_len, 0);
    close_world(&w);
}
END_TEST

START_TEST(unfinished_checksums_and_segmentation_are_judged_before_the_tunnel)
{
    world w = open_world(NULL);
    tunnelcap_result result;
    tunnelcap_meta outside = {.flags = TUNNELCAP_META_CSUM_PARTIAL, .csum_start = 200};
    tunnelcap_meta gso = {.gso_type = 1};
    build_inner(GRE_ID, 10);
    ck_assert_status(run(&w, TUNNELCAP_ENCAP, 40, &outside, &result), TUNNELCAP_E_INVALID);
    ck_assert_uint_eq(result.tunnel, GRE_ID);
    ck_assert_status(run(&w, TUNNELCAP_ENCAP, 40, &gso, &result), TUNNELCAP_E_TOO_BIG);
    ck_assert_uint_eq(result.value, 1476);
    close_world(&w);
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
        syns_are_clamped_to_the_tunnel_both_ways,
        mss_is_inserted_where_configured_and_the_result_still_fits,
        counters_add_up_to_what_was_offered,
        burst_stops_where_the_results_are_full,
        burst_checks_its_arguments,
        packets_of_sockets_find_their_tunnel,
        counters_of_a_detached_lane_stay,
        tunnels_refuse_inner_protocols_that_they_do_not_carry,
        inner_extension_headers_are_their_receivers_affair,
        unfinished_checksums_and_segmentation_are_judged_before_the_tunnel,
    };
    return test_suite("table_data", tests, TEST_COUNT(tests));
}
