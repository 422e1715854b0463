/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* What may come out of a tunnel by its inner addresses: anti-spoofing and martians. */
#include "table_link.h"

static tunnelcap_tunnel policies[2];
static table_link link_;

/* A link whose far end checks what comes out. */
static void open_link(uint32_t kind, uint32_t flags)
{
    table_link_policies(policies);
    policies[0].flags &= ~(uint32_t)TUNNELCAP_TUNNEL_LOOP_GUARD;
    policies[1].flags &= ~(uint32_t)TUNNELCAP_TUNNEL_LOOP_GUARD;
    policies[1].flags |= flags;
    table_link_open(&link_, kind, policies);
}

/* Let the near end take packets to anywhere. */
static void route_all(tunnelcap_table *table, uint64_t id)
{
    tunnelcap_route route4 = test_route("0.0.0.0/0", id), route6 = test_route("::/0", id);
    test_ok(tunnelcap_table_begin(table));
    test_ok(tunnelcap_table_set_route(table, &route4));
    test_ok(tunnelcap_table_set_route(table, &route6));
    test_ok(tunnelcap_table_commit(table, NULL));
}

/* Carry world_frame from the near end to the far end, and tell what becomes of it there. */
static int32_t carry(tunnelcap_result *result)
{
    tunnelcap_result sent;
    tunnelcap_pkt pkt = test_pkt_room(world_frame.bytes, world_frame.len, 120, 64);
    test_ok(test_table_one(link_.lanes[0], TUNNELCAP_ENCAP, &pkt, NULL, &sent));
    ck_assert_uint_eq(sent.action, TUNNELCAP_DO_SEND);
    int32_t status = test_table_one(link_.lanes[1], TUNNELCAP_DECAP, &pkt, NULL, result);
    ck_assert_uint_eq(result->action,
                      status == TUNNELCAP_OK ? TUNNELCAP_DO_DELIVER : TUNNELCAP_DO_DROP);
    ck_assert_uint_eq(result->tunnel, LINK_ID);
    test_pkt_free(&pkt);
    return status;
}

static int32_t carry_udp(const char *src, const char *dst)
{
    tunnelcap_result result;
    test_ip ip = test_between(src, dst);
    test_udp_packet(&world_frame, &ip, 40);
    return carry(&result);
}

/* ---- martians ---- */

static const struct martian_row {
    const char *addr;
    bool good_src, good_dst;
} martian_rows[] = {
    {"0.0.0.0", false, false},
    {"0.255.255.255", false, false},
    {"1.0.0.0", true, true},
    {"126.255.255.255", true, true},
    {"127.0.0.0", false, false},
    {"127.255.255.255", false, false},
    {"128.0.0.0", true, true},
    {"169.253.255.255", true, true},
    {"169.254.0.0", false, false},
    {"169.254.255.255", false, false},
    {"169.255.0.0", true, true},
    {"223.255.255.255", true, true},
    {"224.0.0.5", false, true},
    {"239.255.255.255", false, true},
    {"240.0.0.0", false, false},
    {"255.255.255.254", false, false},
    {"255.255.255.255", false, false},
    {"10.0.0.1", true, true},
    {"192.168.1.1", true, true},
    {"::", false, false},
    {"::1", false, false},
    {"::10.1.2.3", false, false},
    {"::1:0:0", true, true},
    {"::ffff:10.1.2.3", false, false},
    {"::fffe:10.1.2.3", true, true},
    {"0:0:0:0:1:ffff:10.1.2.3", true, true},
    {"64:ff9b::10.1.2.3", true, true},
    {"fe7f::1", true, true},
    {"fe80::1", false, false},
    {"febf::1", false, false},
    {"fec0::1", true, true},
    {"fd00::1", true, true},
    {"ff00::1", false, false},
    {"ff01::1", false, false},
    {"ff02::5", false, true},
    {"ff11::1", false, false},
    {"ff12::1", false, true},
    {"ff0e::1", false, true},
};

START_TEST(martians_are_dropped_where_the_tunnel_says_so)
{
    for (uint32_t on = 0; on <= 1; on++) {
        open_link(LINK_GRE, on ? TUNNELCAP_TUNNEL_MARTIANS : 0);
        route_all(link_.tables[0], LINK_ID);
        for (size_t i = 0; i < TEST_COUNT(martian_rows); i++) {
            const struct martian_row *row = &martian_rows[i];
            bool six = strchr(row->addr, ':') != NULL;
            const char *peer = six ? "2001:db8:f::9" : "203.0.113.9";
            ck_assert_msg(carry_udp(row->addr, peer) ==
                              (on && !row->good_src ? TUNNELCAP_E_MARTIAN : TUNNELCAP_OK),
                          "source %s", row->addr);
            ck_assert_msg(carry_udp(peer, row->addr) ==
                              (on && !row->good_dst ? TUNNELCAP_E_MARTIAN : TUNNELCAP_OK),
                          "destination %s", row->addr);
        }
        world_check_sums(link_.tables[1], LINK_ID, TUNNELCAP_DECAP, 2 * TEST_COUNT(martian_rows));
        table_link_close(&link_);
    }
}
END_TEST

/* 169.254.240.0/20 and fe80::/10 are what the ends of tunnels are given. */
START_TEST(ends_of_the_tunnel_are_no_martians)
{
    static const struct {
        const char *src, *dst;
        bool good;
    } rows[] = {
        {"169.254.240.2", "169.254.240.1", true}, {"169.254.240.3", "10.1.0.9", true},
        {"10.1.0.9", "169.254.240.1", true},      {"169.254.240.4", "169.254.240.1", false},
        {"10.1.0.9", "169.254.240.5", false},     {"169.254.99.9", "10.1.0.9", true},
        {"fe80::a2", "fe80::a1", true},           {"fe80::a4", "fe80::a1", false},
        {"fe80::a1", "fe80::b1", false},
    };
    table_link_policies(policies);
    policies[1].flags |= TUNNELCAP_TUNNEL_MARTIANS;
    policies[1].interface4 = test_addr("169.254.240.1");
    policies[1].interface6 = test_addr("fe80::a1");
    policies[1].probe = test_addr("169.254.99.9");
    table_link_open(&link_, LINK_GRE, policies);
    route_all(link_.tables[0], LINK_ID);
    for (size_t i = 0; i < TEST_COUNT(rows); i++)
        ck_assert_msg(carry_udp(rows[i].src, rows[i].dst) ==
                          (rows[i].good ? TUNNELCAP_OK : TUNNELCAP_E_MARTIAN),
                      "%s to %s", rows[i].src, rows[i].dst);
    table_link_close(&link_);
}
END_TEST

/* ---- spoofing ---- */

/* The far table has its routes to 203.0.113.0/24 and 2001:db8:f::/48 through the tunnel. */
START_TEST(only_sources_that_are_routed_into_the_tunnel_come_out)
{
    for (uint32_t kind = 0; kind < LINK_KINDS; kind++) {
        open_link(kind, TUNNELCAP_TUNNEL_ANTI_SPOOF);
        ck_assert_status(carry_udp("203.0.113.0", "10.1.0.9"), TUNNELCAP_OK);
        ck_assert_status(carry_udp("203.0.113.255", "10.1.0.9"), TUNNELCAP_OK);
        ck_assert_status(carry_udp("203.0.114.0", "10.1.0.9"), TUNNELCAP_E_SPOOFED);
        ck_assert_status(carry_udp("2001:db8:f::1", "fd00:1::9"), TUNNELCAP_OK);
        ck_assert_status(carry_udp("2001:db8:e::1", "fd00:1::9"), TUNNELCAP_E_SPOOFED);
        /* The far end of the tunnel itself: 10.255.0.0/31, and the /30 that it may be of. */
        ck_assert_status(carry_udp("10.255.0.0", "10.1.0.9"), TUNNELCAP_OK);
        ck_assert_status(carry_udp("10.255.0.4", "10.1.0.9"), TUNNELCAP_E_SPOOFED);
        ck_assert_status(carry_udp("fd00:ff::3", "fd00:1::9"), TUNNELCAP_OK);
        ck_assert_status(carry_udp("fd00:ff::4", "fd00:1::9"), TUNNELCAP_E_SPOOFED);
        world_check_sums(link_.tables[1], LINK_ID, TUNNELCAP_DECAP, 9);
        table_link_close(&link_);
    }
}
END_TEST

START_TEST(longest_prefix_of_the_source_decides)
{
    tunnelcap_gre_config other = test_gre_config("198.51.100.1", "192.0.2.99", 0);
    open_link(LINK_GRE, TUNNELCAP_TUNNEL_ANTI_SPOOF);
    tunnelcap_table *far = link_.tables[1];
    tunnelcap_route inside = test_route("203.0.113.64/26", 8);
    tunnelcap_route shared = test_route("203.0.113.128/25", 8);
    tunnelcap_route ours = test_route("203.0.113.128/25", LINK_ID);
    tunnelcap_route elsewhere = test_route("198.18.0.0/15", LINK_ID);
    elsewhere.vrf = 7;
    shared.priority = 1; /* ours is not used, and still one of the prefix's */
    test_ok(tunnelcap_table_begin(far));
    test_ok(tunnelcap_table_set_gre(far, 8, NULL, &other));
    test_ok(tunnelcap_table_set_route(far, &inside));
    test_ok(tunnelcap_table_set_route(far, &shared));
    test_ok(tunnelcap_table_set_route(far, &ours));
    test_ok(tunnelcap_table_set_route(far, &elsewhere));
    test_ok(tunnelcap_table_commit(far, NULL));
    ck_assert_status(carry_udp("203.0.113.1", "10.1.0.9"), TUNNELCAP_OK);
    ck_assert_status(carry_udp("203.0.113.65", "10.1.0.9"), TUNNELCAP_E_SPOOFED);
    ck_assert_status(carry_udp("203.0.113.129", "10.1.0.9"), TUNNELCAP_OK);
    ck_assert_status(carry_udp("198.18.0.1", "10.1.0.9"), TUNNELCAP_E_SPOOFED);
    test_ok(tunnelcap_table_begin(far));
    policies[1].vrf = 7;
    tunnelcap_gre_config gre = test_gre_config("198.51.100.1", "192.0.2.1", 0);
    test_ok(tunnelcap_table_set_gre(far, LINK_ID, &policies[1], &gre));
    test_ok(tunnelcap_table_commit(far, NULL));
    ck_assert_status(carry_udp("198.18.0.1", "10.1.0.9"), TUNNELCAP_OK);
    ck_assert_status(carry_udp("203.0.113.1", "10.1.0.9"), TUNNELCAP_E_SPOOFED);
    table_link_close(&link_);
}
END_TEST

/* What the parser gives up on is delivered as it is, to a receiver that may be more patient: its
 * source is checked all the same. */
START_TEST(source_behind_unreadable_headers_is_checked_too)
{
    tunnelcap_result result;
    for (uint32_t good = 0; good <= 1; good++) {
        test_ip inner = test_between(good ? "2001:db8:f::1" : "2001:db8:e::1", "fd00:1::9");
        test_ip outer = test_between("192.0.2.1", "198.51.100.1");
        test_gre gre = {.protocol = 0x86dd};
        uint8_t cut[8] = {59, 200}; /* a hop-by-hop header that runs past the packet's end */
        open_link(LINK_GRE, TUNNELCAP_TUNNEL_ANTI_SPOOF);
        world_frame.len = 0;
        test_push(&world_frame, cut, sizeof(cut));
        test_push_ip(&world_frame, &inner, 0);
        test_push_gre(&world_frame, &gre);
        test_push_ip(&world_frame, &outer, 47);
        tunnelcap_pkt pkt = test_pkt(world_frame.bytes, world_frame.len, 0);
        ck_assert_status(test_table_one(link_.lanes[1], TUNNELCAP_DECAP, &pkt, NULL, &result),
                         good ? TUNNELCAP_OK : TUNNELCAP_E_SPOOFED);
        test_pkt_free(&pkt);
        table_link_close(&link_);
    }
}
END_TEST

START_TEST(fragments_are_checked_before_they_are_kept)
{
    static world_call call;
    for (uint32_t good = 0; good <= 1; good++) {
        test_ip ip = test_between(good ? "203.0.113.9" : "203.0.114.9", "10.1.0.9");
        table_link_policies(policies);
        policies[1].flags |= TUNNELCAP_TUNNEL_ANTI_SPOOF | TUNNELCAP_TUNNEL_REASSEMBLE;
        table_link_open(&link_, LINK_GRE, policies);
        table_link_reassemble(&link_, false, true);
        ip.frag = 0;
        test_udp_packet(&world_frame, &ip, 2000);
        tunnelcap_pkt pkt = test_pkt_room(world_frame.bytes, world_frame.len, 120, 64);
        world_call_open(&call, 4, CALL_HEADROOM, 1600);
        test_ok(world_call_run(&call, link_.lanes[0], TUNNELCAP_ENCAP, &pkt, 1));
        ck_assert_uint_eq(call.burst.spare_used, 2);
        tunnelcap_pkt pieces[2];
        for (uint32_t i = 0; i < 2; i++)
            pieces[i] = test_pkt(call.spare[i].buf + call.spare[i].off, call.spare[i].len, 0);
        world_call_close(&call);
        world_call_open(&call, 2, 0, 2100);
        test_ok(world_call_run(&call, link_.lanes[1], TUNNELCAP_DECAP, pieces, 2));
        ck_assert_uint_eq(call.burst.result_count, good ? 3 : 2);
        for (uint32_t i = 0; i < 2; i++)
            ck_assert_status(call.results[i].status, good ? TUNNELCAP_KEPT : TUNNELCAP_E_SPOOFED);
        world_check_sums(link_.tables[1], LINK_ID, TUNNELCAP_DECAP, 2);
        world_call_close(&call);
        for (uint32_t i = 0; i < 2; i++)
            test_pkt_free(&pieces[i]);
        test_pkt_free(&pkt);
        table_link_close(&link_);
    }
}
END_TEST

/* Answers to probes of the path come from an address that nothing routes. */
START_TEST(answers_to_probes_pass)
{
    static world_call call;
    static const uint32_t all = TUNNELCAP_TUNNEL_ANTI_SPOOF | TUNNELCAP_TUNNEL_MARTIANS;
    uint64_t next;
    tunnelcap_result result;
    table_link_policies(policies);
    for (uint32_t end = 0; end < 2; end++) {
        policies[end].flags |= all;
        policies[end].interface4 = test_addr(end == 0 ? "169.254.240.0" : "169.254.240.1");
    }
    policies[1].flags &= ~(uint32_t)TUNNELCAP_TUNNEL_ANSWER_ECHO;
    policies[0].pmtu_mode = TUNNELCAP_PMTU_PROBE;
    policies[0].probe = policies[1].interface4;
    table_link_open(&link_, LINK_GRE, policies);
    world_call_open(&call, 1, CALL_HEADROOM, 1600);
    call.burst.now_ns = 1;
    test_ok(tunnelcap_table_tick(link_.tables[0], link_.lanes[0], &call.burst, &next));
    ck_assert_uint_eq(call.burst.result_count, 1);
    tunnelcap_pkt probe = test_pkt(call.spare[0].buf + call.spare[0].off, call.spare[0].len, 64);
    ck_assert_status(test_table_one(link_.lanes[1], TUNNELCAP_DECAP, &probe, NULL, &result),
                     TUNNELCAP_OK);
    ck_assert_uint_eq(result.action, TUNNELCAP_DO_DELIVER);
    /* What a host makes of it: the addresses change places, and an echo becomes a reply. */
    uint8_t *p = probe.buf + probe.off;
    uint8_t src[4];
    memcpy(src, p + 12, 4);
    memcpy(p + 12, p + 16, 4);
    memcpy(p + 16, src, 4);
    p[20] = 0;
    test_store16(p + 22, 0);
    test_store16(p + 22, (uint16_t)~test_sum(0, p + 20, probe.len - 20));
    test_ip outer = test_between("198.51.100.1", "192.0.2.1");
    test_gre gre = {.protocol = 0x0800};
    world_frame.len = 0;
    test_push(&world_frame, p, probe.len);
    test_push_gre(&world_frame, &gre);
    test_push_ip(&world_frame, &outer, 47);
    tunnelcap_pkt answer = test_pkt(world_frame.bytes, world_frame.len, 0);
    ck_assert_status(test_table_one(link_.lanes[0], TUNNELCAP_DECAP, &answer, NULL, &result),
                     TUNNELCAP_OK);
    ck_assert_uint_eq(result.action, TUNNELCAP_DO_LOCAL);
    test_pkt_free(&answer);
    test_pkt_free(&probe);
    world_call_close(&call);
    table_link_close(&link_);
}
END_TEST

START_TEST(payloads_that_are_not_ip_have_no_addresses)
{
    test_ip outer = test_between("192.0.2.1", "198.51.100.1");
    test_gre gre = {.protocol = 0x6558};
    tunnelcap_result result;
    open_link(LINK_GRE, TUNNELCAP_TUNNEL_ANTI_SPOOF | TUNNELCAP_TUNNEL_MARTIANS);
    test_payload(&world_frame, 3);
    test_push_gre(&world_frame, &gre);
    test_push_ip(&world_frame, &outer, 47);
    tunnelcap_pkt pkt = test_pkt(world_frame.bytes, world_frame.len, 0);
    ck_assert_status(test_table_one(link_.lanes[1], TUNNELCAP_DECAP, &pkt, NULL, &result),
                     TUNNELCAP_OK);
    ck_assert_uint_eq(result.value, 0x6558);
    test_pkt_free(&pkt);
    table_link_close(&link_);
}
END_TEST

Suite *test_table_inbound_suite(void)
{
    const TTest *tests[] = {
        martians_are_dropped_where_the_tunnel_says_so,
        ends_of_the_tunnel_are_no_martians,
        only_sources_that_are_routed_into_the_tunnel_come_out,
        longest_prefix_of_the_source_decides,
        source_behind_unreadable_headers_is_checked_too,
        fragments_are_checked_before_they_are_kept,
        answers_to_probes_pass,
        payloads_that_are_not_ip_have_no_addresses,
    };
    return test_suite("table_inbound", tests, TEST_COUNT(tests));
}
