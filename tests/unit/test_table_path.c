/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The path MTUs of tunnels in a table: learned from ICMP, probed, shared, told as events. */
#include "table_link.h"

enum { SECOND = 1000000000 };

static tunnelcap_tunnel policies[2];
static table_link link_;
static world_call call;
static test_frame message;

/* Encapsulate world_frame at the near end, and keep the outer packet. */
static tunnelcap_pkt outer_packet(void)
{
    tunnelcap_result result;
    tunnelcap_pkt pkt = test_pkt_room(world_frame.bytes, world_frame.len, 80, 64);
    test_ok(test_table_one(link_.lanes[0], TUNNELCAP_ENCAP, &pkt, NULL, &result));
    return pkt;
}

/* A router's message to the near end that an outer packet does not fit, quoting `len` bytes. */
static void too_big(const tunnelcap_pkt *outer, uint32_t len, uint32_t mtu)
{
    const uint8_t *quote = outer->buf + outer->off;
    bool six = quote[0] >> 4 == 6;
    test_ip ip = table_link_outer(&link_, 1);
    ip.src = test_addr(six ? "2001:db8:bad::1" : "198.18.0.1");
    message.len = 0;
    test_push(&message, quote, len < outer->len ? len : outer->len);
    test_push_icmp(&message, &ip, six ? 2 : 3, six ? 0 : 4);
    if (six)
        test_store32(message.bytes + 4, mtu);
    else
        test_store16(message.bytes + 6, mtu);
    test_store16(message.bytes + 2, 0);
    uint16_t start = six ? test_pseudo(&ip, 58, message.len) : 0;
    test_store16(message.bytes + 2, (uint16_t)~test_sum(start, message.bytes, message.len));
    test_push_ip(&message, &ip, six ? 58 : 1);
}

/* Give `message` to the near end. */
static tunnelcap_pkt hear(uint64_t now_ns, tunnelcap_result *result)
{
    tunnelcap_pkt pkt = test_pkt_room(message.bytes, message.len, 32, 0);
    tunnelcap_burst burst = {.size = sizeof(burst),
                             .now_ns = now_ns,
                             .pkt_count = 1,
                             .result_cap = 1,
                             .pkts = &pkt,
                             .results = result};
    test_ok(tunnelcap_table_decap(link_.lanes[0], &burst));
    ck_assert_uint_eq(burst.result_count, 1);
    return pkt;
}

static tunnelcap_tunnel_info info(void)
{
    tunnelcap_tunnel_info i;
    test_ok(tunnelcap_table_get_info(link_.tables[0], LINK_ID, &i, sizeof(i)));
    return i;
}

/* The only event that waits at the near end. */
static tunnelcap_event only_event(void)
{
    tunnelcap_event events[2];
    uint64_t lost = 99;
    ck_assert_uint_eq(tunnelcap_lane_events(link_.lanes[0], events, 2, &lost), 1);
    ck_assert_uint_eq(lost, 0);
    ck_assert_uint_eq(events[0].tunnel, LINK_ID);
    ck_assert_uint_eq(events[0].reserved, 0);
    return events[0];
}

static void no_event(void)
{
    tunnelcap_event event;
    ck_assert_uint_eq(tunnelcap_lane_events(link_.lanes[0], &event, 1, NULL), 0);
}

static void open_link(uint32_t kind)
{
    table_link_policies(policies);
    table_link_open(&link_, kind, policies);
}

START_TEST(message_from_the_path_lowers_all_that_follows_from_it)
{
    for (uint32_t kind = 0; kind < LINK_KINDS; kind++) {
        open_link(kind);
        uint32_t before = info().inner_mtu;
        table_link_inner(0, TUNNELCAP_IPV4, before, true);
        tunnelcap_pkt outer = outer_packet();
        tunnelcap_result result;
        too_big(&outer, outer.buf[outer.off] >> 4 == 6 ? 48 : 28, 1400);
        tunnelcap_pkt pkt = hear(77, &result);
        test_ok(result.status);
        ck_assert_uint_eq(result.action, TUNNELCAP_DO_LOCAL); /* too little is quoted */
        ck_assert_uint_eq(result.tunnel, LINK_ID);
        tunnelcap_event event = only_event();
        ck_assert_uint_eq(event.kind, TUNNELCAP_EVENT_PMTU);
        ck_assert_uint_eq(event.value, 1400);
        ck_assert_uint_eq(event.before, 1500);
        ck_assert_uint_eq(event.now_ns, 77);
        test_ip router = {.src = test_addr(kind == LINK_GRE6 || kind == LINK_ESP_UDP6
                                               ? "2001:db8:bad::1"
                                               : "198.18.0.1")};
        ck_assert_mem_eq(&event.addr, &router.src, sizeof(event.addr));
        tunnelcap_tunnel_info now = info();
        ck_assert_uint_eq(now.path_mtu, 1400);
        ck_assert_uint_le(now.inner_mtu, before - 100);
        ck_assert_uint_ge(now.inner_mtu, before - 103); /* ESP pads to multiples of 4 */
        ck_assert_uint_eq(now.limit4, now.inner_mtu - 40);
        ck_assert_uint_eq(now.limit6, now.inner_mtu - 60);
        tunnelcap_stats stats;
        test_ok(tunnelcap_table_get_stats(link_.tables[0], LINK_ID, &stats, sizeof(stats)));
        ck_assert_uint_eq(stats.decap.icmp_received, 1);
        ck_assert_uint_eq(stats.decap.local, 1);
        world_check_sums(link_.tables[0], LINK_ID, TUNNELCAP_DECAP, 1);
        test_pkt_free(&pkt);
        test_pkt_free(&outer);
        /* What was too large once is answered now, and what still fits goes. */
        pkt = test_pkt_room(world_frame.bytes, world_frame.len, 80, 64);
        ck_assert_status(test_table_one(link_.lanes[0], TUNNELCAP_ENCAP, &pkt, NULL, &result),
                         TUNNELCAP_E_TOO_BIG);
        test_pkt_free(&pkt);
        table_link_inner(0, TUNNELCAP_IPV4, now.inner_mtu, true);
        pkt = outer_packet();
        ck_assert_uint_le(pkt.len, 1400);
        test_pkt_free(&pkt);
        table_link_close(&link_);
    }
}
END_TEST

START_TEST(clamp_follows_the_path)
{
    static const uint8_t mss[4] = {2, 4, 5, 180};
    open_link(LINK_GRE);
    table_link_inner(0, TUNNELCAP_IPV4, 1400, true);
    tunnelcap_pkt outer = outer_packet();
    tunnelcap_result result;
    too_big(&outer, 28, 1000);
    tunnelcap_pkt pkt = hear(0, &result);
    test_pkt_free(&pkt);
    test_pkt_free(&outer);
    for (uint32_t six = 0; six < 2; six++) {
        test_ip ip = six ? test_between("2001:db8:f::9", "fd00:1::9")
                         : test_between("203.0.113.9", "10.1.0.9");
        test_syn_packet(&world_frame, &ip, TEST_TCP_SYN, mss, 4);
        pkt = test_pkt(world_frame.bytes, world_frame.len, 48);
        test_ok(test_table_one(link_.lanes[0], TUNNELCAP_ENCAP, &pkt, NULL, &result));
        ck_assert_uint_eq(result.flags, TUNNELCAP_RESULT_CLAMPED);
        /* 976 - 40; over IPv6 no less than 1220. */
        ck_assert_uint_eq(test_load16(pkt.buf + pkt.off + 24 + (six ? 62 : 42)), six ? 1220 : 936);
        test_pkt_free(&pkt);
        test_ip back = table_link_outer(&link_, 1);
        test_gre gre = {.protocol = six ? 0x86dd : 0x0800};
        test_push_gre(&world_frame, &gre);
        test_push_ip(&world_frame, &back, GRE);
        pkt = test_pkt(world_frame.bytes, world_frame.len, 0);
        test_ok(test_table_one(link_.lanes[0], TUNNELCAP_DECAP, &pkt, NULL, &result));
        ck_assert_uint_eq(test_load16(pkt.buf + pkt.off + (six ? 62 : 42)), six ? 1220 : 936);
        test_pkt_free(&pkt);
    }
    table_link_close(&link_);
}
END_TEST

START_TEST(fragments_follow_the_path)
{
    open_link(LINK_GRE);
    table_link_inner(0, TUNNELCAP_IPV4, 1476, false);
    tunnelcap_pkt outer = outer_packet(), pkt;
    tunnelcap_result result;
    too_big(&outer, 28, 1000);
    pkt = hear(0, &result);
    test_pkt_free(&pkt);
    test_pkt_free(&outer);
    world_call_open(&call, 4, CALL_HEADROOM, 1500);
    pkt = test_pkt_room(world_frame.bytes, world_frame.len, 80, 0);
    test_ok(world_call_run(&call, link_.lanes[0], TUNNELCAP_ENCAP, &pkt, 1));
    ck_assert_uint_eq(call.burst.spare_used, 2);
    ck_assert_uint_eq(call.spare[0].len, 24 + 972); /* 976 is 20 and 119.5 times 8 */
    world_call_close(&call);
    test_pkt_free(&pkt);
    table_link_close(&link_);
}
END_TEST

START_TEST(message_is_handed_on_to_the_sender_where_enough_is_quoted)
{
    for (uint32_t kind = 0; kind < LINK_ESP; kind++) {
        for (uint32_t family = TUNNELCAP_IPV4; family <= TUNNELCAP_IPV6; family += 2) {
            bool six = family == TUNNELCAP_IPV6;
            open_link(kind);
            table_link_inner(0, family, link_.mtu, true);
            tunnelcap_pkt outer = outer_packet();
            tunnelcap_result result;
            too_big(&outer, 500, 1400);
            tunnelcap_pkt pkt = hear(0, &result);
            test_ok(result.status);
            ck_assert_uint_eq(result.action, TUNNELCAP_DO_DELIVER);
            ck_assert_uint_eq(result.value, six ? 0x86dd : 0x0800);
            ck_assert_uint_eq(result.l3_len, six ? 40 : 20);
            const uint8_t *p = pkt.buf + pkt.off;
            ck_assert_mem_eq(p + (six ? 24 : 16), world_frame.bytes + (six ? 8 : 12), six ? 16 : 4);
            ck_assert_uint_eq(six ? test_load32(p + 44) : test_load16(p + 26), link_.mtu - 100);
            ck_assert_mem_eq(p + (six ? 48 : 28), world_frame.bytes, 300);
            tunnelcap_stats stats;
            test_ok(tunnelcap_table_get_stats(link_.tables[0], LINK_ID, &stats, sizeof(stats)));
            ck_assert_uint_eq(stats.decap.icmp_received, 1);
            ck_assert_uint_eq(stats.decap.icmp_sent, 1);
            ck_assert_uint_eq(stats.decap.packets, 1);
            test_pkt_free(&pkt);
            test_pkt_free(&outer);
            table_link_close(&link_);
        }
        /* A sender that permits fragments is told nothing: the next one is fragmented. */
        open_link(kind);
        table_link_inner(0, TUNNELCAP_IPV4, link_.mtu, false);
        tunnelcap_pkt outer = outer_packet();
        tunnelcap_result result;
        too_big(&outer, 500, 1400);
        tunnelcap_pkt pkt = hear(0, &result);
        ck_assert_uint_eq(result.action, TUNNELCAP_DO_LOCAL);
        test_pkt_free(&pkt);
        test_pkt_free(&outer);
        table_link_close(&link_);
    }
}
END_TEST

/* Each length of the quote, and each length of the message: nothing is believed that does not name
 * a packet of ours, and nothing breaks. */
START_TEST(messages_that_are_cut_anywhere_do_no_harm)
{
    for (uint32_t kind = 0; kind < LINK_KINDS; kind++) {
        open_link(kind);
        table_link_inner(0, TUNNELCAP_IPV4, 600, true);
        tunnelcap_pkt outer = outer_packet();
        bool six = outer.buf[outer.off] >> 4 == 6;
        uint32_t header = six ? 40 : 20;
        uint32_t mtu = 1499, offered = 0;
        outer.buf[outer.off + (six ? 4 : 2)] = 6; /* as if it had been about 1500 bytes long */
        if (!six) {
            test_store16(outer.buf + outer.off + 10, 0);
            test_store16(outer.buf + outer.off + 10,
                         (uint16_t)~test_sum(0, outer.buf + outer.off, 20));
        }
        for (uint32_t len = 0; len <= outer.len && mtu > 1300; len++) {
            tunnelcap_result result;
            too_big(&outer, len, mtu);
            for (uint32_t cut = 0; cut < 2; cut++) {
                message.len -= cut; /* shorter than its header says */
                tunnelcap_pkt pkt = hear(0, &result);
                offered++;
                if (cut || len < header + (kind == LINK_GRE_UDP || kind == LINK_ESP_UDP6 ? 4 : 0)) {
                    ck_assert_int_lt(result.status, 0);
                    ck_assert_uint_eq(result.action, TUNNELCAP_DO_DROP);
                } else if (len >= header + 8) { /* what RFC 792 promises suffices */
                    test_ok(result.status);
                    ck_assert_uint_eq(info().path_mtu, mtu);
                    mtu--;
                }
                test_pkt_free(&pkt);
            }
        }
        uint64_t sum = 0;
        for (uint64_t id = 0; id <= LINK_ID; id += LINK_ID) {
            tunnelcap_stats stats;
            test_ok(tunnelcap_table_get_stats(link_.tables[0], id, &stats, sizeof(stats)));
            sum += stats.decap.packets + stats.decap.local + stats.decap.refused;
        }
        ck_assert_uint_eq(sum, offered);
        test_pkt_free(&outer);
        table_link_close(&link_);
    }
}
END_TEST

/* One thing is wrong with each of these messages. */
/* Let a packet be a fragment behind the first one of its datagram. */
static void quote_later_fragment(uint8_t *p)
{
    if (p[0] >> 4 == 6) {
        memmove(p + 48, p + 40, 100);
        memset(p + 40, 0, 8);
        p[40] = p[6];
        p[6] = 44;
        test_store16(p + 42, 1448);
        return;
    }
    test_store16(p + 6, 1448 / 8);
    test_store16(p + 10, 0);
    test_store16(p + 10, (uint16_t)~test_sum(0, p, 20));
}

START_TEST(implausible_messages_are_dropped_as_such)
{
    enum { GOOD, RAISES, BELOW_MINIMUM, NO_TUNNEL, WRONG_KEY, WRONG_SEQ, WRONG_PORT, LONGER };
    enum { SHORT = LONGER + 1, LATER_FRAGMENT, ROWS };
    for (uint32_t kind = 0; kind < LINK_KINDS; kind++) {
        for (uint32_t row = 0; row < ROWS; row++) {
            open_link(kind);
            bool six = kind == LINK_GRE6 || kind == LINK_ESP_UDP6;
            bool esp = kind == LINK_ESP || kind == LINK_ESP_UDP6 || kind == LINK_GRE_ESP;
            bool udp = kind == LINK_GRE_UDP || kind == LINK_ESP_UDP6;
            uint32_t header = six ? 40 : 20;
            table_link_inner(0, TUNNELCAP_IPV4, 1400, true);
            tunnelcap_pkt outer = outer_packet();
            uint8_t *quote = outer.buf + outer.off, *spi = quote + header + (udp ? 8 : 0);
            uint32_t mtu = row == RAISES ? 1501 : row == BELOW_MINIMUM ? 67 : 1400;
            if (row == LONGER)
                mtu = outer.len;
            if (row == NO_TUNNEL)
                quote[header - 1] ^= 1;
            if (row == WRONG_KEY && esp)
                spi[3] ^= 1;
            if (row == WRONG_KEY && !udp && (kind == LINK_GRE || kind == LINK_GRE6))
                quote[header] = 0x20; /* with a key */
            if (row == WRONG_SEQ && esp)
                spi[7] = 2; /* not sent yet */
            if (row == WRONG_PORT && udp)
                quote[header + 3] ^= 1;
            if (row == LATER_FRAGMENT)
                quote_later_fragment(quote);
            bool wrong = row != GOOD && !(row >= SHORT && kind == LINK_IPIP) &&
                         !(row == WRONG_KEY && (kind == LINK_GRE_UDP || kind == LINK_IPIP)) &&
                         !(row == WRONG_SEQ && !esp) && !(row == WRONG_PORT && !udp);
            if (!six && row == NO_TUNNEL) {
                test_store16(quote + 10, 0);
                test_store16(quote + 10, (uint16_t)~test_sum(0, quote, 20));
            }
            tunnelcap_result result;
            too_big(&outer, row == SHORT ? header + 3 : 100, mtu);
            tunnelcap_pkt pkt = hear(0, &result);
            if (wrong) {
                ck_assert_status(result.status, TUNNELCAP_E_ICMP);
                ck_assert_uint_eq(result.action, TUNNELCAP_DO_DROP);
                ck_assert_uint_eq(result.tunnel, 0);
                ck_assert_uint_eq(info().path_mtu, 1500);
                no_event();
                ck_assert_mem_eq(pkt.buf + pkt.off, message.bytes, message.len);
            } else {
                test_ok(result.status);
                ck_assert_uint_eq(info().path_mtu, 1400);
            }
            test_pkt_free(&pkt);
            test_pkt_free(&outer);
            table_link_close(&link_);
        }
    }
}
END_TEST

START_TEST(what_else_icmp_says_ends_here_or_is_no_affair_of_a_tunnel)
{
    open_link(LINK_GRE);
    table_link_inner(0, TUNNELCAP_IPV4, 100, true);
    tunnelcap_pkt outer = outer_packet(), pkt;
    tunnelcap_result result;
    test_ip ip = table_link_outer(&link_, 1);
    /* Unreachable: handed on, where the packet is quoted. */
    for (uint32_t whole = 0; whole < 2; whole++) {
        message.len = 0;
        test_push(&message, outer.buf + outer.off, whole ? outer.len : 28);
        test_push_icmp(&message, &ip, 3, 1);
        test_push_ip(&message, &ip, 1);
        pkt = hear(0, &result);
        test_ok(result.status);
        ck_assert_uint_eq(result.action, whole ? TUNNELCAP_DO_DELIVER : TUNNELCAP_DO_LOCAL);
        test_pkt_free(&pkt);
    }
    ck_assert_uint_eq(info().path_mtu, 1500);
    no_event();
    /* An echo is the host's. */
    message.len = 0;
    test_push_icmp(&message, &ip, 8, 0);
    test_push_ip(&message, &ip, 1);
    pkt = hear(0, &result);
    ck_assert_status(result.status, TUNNELCAP_E_PROTOCOL);
    test_pkt_free(&pkt);
    test_pkt_free(&outer);
    table_link_close(&link_);
}
END_TEST

START_TEST(fixed_paths_do_not_listen)
{
    table_link_policies(policies);
    policies[0].pmtu_mode = TUNNELCAP_PMTU_FIXED;
    table_link_open(&link_, LINK_GRE, policies);
    table_link_inner(0, TUNNELCAP_IPV4, 1476, true);
    tunnelcap_pkt outer = outer_packet();
    tunnelcap_result result;
    too_big(&outer, 500, 1400);
    tunnelcap_pkt pkt = hear(0, &result);
    test_ok(result.status);
    ck_assert_uint_eq(result.action, TUNNELCAP_DO_LOCAL);
    ck_assert_uint_eq(info().path_mtu, 1500);
    no_event();
    test_pkt_free(&pkt);
    test_pkt_free(&outer);
    table_link_close(&link_);
}
END_TEST

START_TEST(below_the_floor_routers_may_fragment)
{
    table_link_policies(policies);
    policies[0].path_floor = 1000;
    table_link_open(&link_, LINK_GRE, policies);
    table_link_inner(0, TUNNELCAP_IPV4, 900, true);
    tunnelcap_pkt outer = outer_packet();
    ck_assert_uint_eq(outer.buf[outer.off + 6], 0x40);
    tunnelcap_result result;
    too_big(&outer, 28, 500);
    tunnelcap_pkt pkt = hear(0, &result);
    ck_assert_uint_eq(info().path_mtu, 1000);
    test_pkt_free(&pkt);
    test_pkt_free(&outer);
    outer = outer_packet();
    test_view view = test_dissect(outer.buf + outer.off, outer.len); /* checksum included */
    ck_assert(!view.df);
    ck_assert_uint_ne(test_load16(outer.buf + outer.off + 4), 0);
    test_pkt_free(&outer);
    table_link_close(&link_);
}
END_TEST

START_TEST(tunnels_that_a_quote_does_not_tell_apart_learn_together)
{
    tunnelcap_table *table = test_table_new(4, 4, 1);
    tunnelcap_lane *lane = test_table_lane(table);
    test_ok(tunnelcap_table_begin(table));
    for (uint32_t id = 1; id <= 3; id++) {
        tunnelcap_gre_config gre =
            test_gre_config("192.0.2.1", "198.51.100.1",
                            TUNNELCAP_GRE_KEY_IN | TUNNELCAP_GRE_KEY_OUT |
                                (id > 1 ? (uint32_t)TUNNELCAP_GRE_CHECKSUM : 0u));
        gre.key_in = gre.key_out = id;
        tunnelcap_route route = test_route("10.1.0.0/16", 2);
        test_ok(tunnelcap_table_set_gre(table, id, NULL, &gre));
        if (id == 2)
            test_ok(tunnelcap_table_set_route(table, &route));
    }
    test_ok(tunnelcap_table_commit(table, NULL));
    test_ip ip = test_between("203.0.113.9", "10.1.0.9");
    test_udp_packet(&world_frame, &ip, 1400);
    tunnelcap_pkt outer = test_pkt_room(world_frame.bytes, world_frame.len, 80, 0);
    tunnelcap_result result;
    test_ok(test_table_one(lane, TUNNELCAP_ENCAP, &outer, NULL, &result));
    /* 8 bytes of GRE hold the flags and the checksum, but not the key behind it: all three may be
     * meant, by the addresses; 12 bytes hold the key. */
    for (uint32_t len = 32; len >= 28; len -= 4) {
        link_.kind = LINK_GRE;
        too_big(&outer, len, len == 32 ? 1400 : 1300);
        tunnelcap_pkt pkt = test_pkt(message.bytes, message.len, 0);
        test_ok(test_table_one(lane, TUNNELCAP_DECAP, &pkt, NULL, &result));
        for (uint32_t id = 1; id <= 3; id++) {
            tunnelcap_tunnel_info i;
            test_ok(tunnelcap_table_get_info(table, id, &i, sizeof(i)));
            ck_assert_uint_eq(i.path_mtu, len == 28 ? 1300 : id == 2 ? 1400 : 1500);
        }
        test_pkt_free(&pkt);
    }
    test_pkt_free(&outer);
    test_table_end(table, lane);
}
END_TEST

START_TEST(path_outlives_its_tunnels_configuration)
{
    open_link(LINK_ESP);
    table_link_inner(0, TUNNELCAP_IPV4, 1400, true);
    tunnelcap_pkt outer = outer_packet();
    tunnelcap_result result;
    too_big(&outer, 28, 1400);
    tunnelcap_pkt pkt = hear(0, &result);
    test_pkt_free(&pkt);
    test_pkt_free(&outer);
    policies[0].limit4 = 1000;
    table_link_set(&link_, 0, &policies[0]);
    ck_assert_uint_eq(info().path_mtu, 1400);
    ck_assert_uint_eq(info().limit4, 1000);
    policies[0].path_mtu = 1450; /* another link, another path */
    table_link_set(&link_, 0, &policies[0]);
    ck_assert_uint_eq(info().path_mtu, 1450);
    /* A change that is forgotten leaves it alone. */
    for (uint32_t i = 0; i < 20; i++) {
        test_ok(tunnelcap_table_begin(link_.tables[0]));
        policies[0].path_mtu = 1400 - i;
        test_ok(tunnelcap_table_set_esp(link_.tables[0], LINK_ID, &policies[0]));
        test_ok(tunnelcap_table_remove(link_.tables[0], LINK_ID));
        test_ok(tunnelcap_table_set_esp(link_.tables[0], LINK_ID, &policies[0]));
        test_sa_pair(link_.tables[0], LINK_ID, link_.in[0], link_.out[0]);
        tunnelcap_table_abort(link_.tables[0]);
        ck_assert_uint_eq(info().path_mtu, 1450);
    }
    table_link_close(&link_);
}
END_TEST

/* ---- time ---- */

START_TEST(what_was_learned_ages)
{
    open_link(LINK_GRE);
    table_link_inner(0, TUNNELCAP_IPV4, 1400, true);
    tunnelcap_pkt outer = outer_packet();
    tunnelcap_result result;
    too_big(&outer, 28, 1400);
    tunnelcap_pkt pkt = hear(SECOND, &result);
    (void)only_event();
    tunnelcap_burst burst = {.size = sizeof(burst), .now_ns = SECOND};
    uint64_t next_ns = 0;
    test_ok(tunnelcap_table_tick(link_.tables[0], link_.lanes[0], &burst, &next_ns));
    ck_assert_uint_le(next_ns, 602ull * SECOND);
    ck_assert_uint_gt(next_ns, 500ull * SECOND);
    no_event();
    burst.now_ns = 700ull * SECOND;
    test_ok(tunnelcap_table_tick(link_.tables[0], link_.lanes[0], &burst, &next_ns));
    tunnelcap_event event = only_event();
    ck_assert_uint_eq(event.kind, TUNNELCAP_EVENT_PMTU);
    ck_assert_uint_eq(event.before, 1400);
    ck_assert_uint_eq(event.value, 1500);
    ck_assert_uint_eq(event.addr.family, 0);
    ck_assert_uint_eq(info().path_mtu, 1500);
    test_pkt_free(&pkt);
    test_pkt_free(&outer);
    table_link_close(&link_);
}
END_TEST

/* Carry a probe through a path of this MTU to the far end, have it answered there, by the table or
 * as a host does, and bring the answer back. Gives what the near end makes of it. */
static uint8_t answer_probe(tunnelcap_pkt *probe, uint32_t path, uint64_t now_ns)
{
    tunnelcap_result result;
    tunnelcap_pkt pkt = test_pkt_room(probe->buf + probe->off, probe->len, 64, 64);
    uint8_t action = TUNNELCAP_DO_DROP;
    if (probe->len <= path) {
        test_ok(test_table_one(link_.lanes[1], TUNNELCAP_DECAP, &pkt, NULL, &result));
        if (result.action != TUNNELCAP_DO_REPLY) { /* the answer fits no more */
            ck_assert_uint_eq(result.action, TUNNELCAP_DO_DELIVER);
            test_ok(tunnelcap_icmp_echo_reply(&pkt, 64));
            test_ok(test_table_one(link_.lanes[1], TUNNELCAP_ENCAP, &pkt, NULL, &result));
        }
        tunnelcap_burst burst = {.size = sizeof(burst),
                                 .now_ns = now_ns,
                                 .pkt_count = 1,
                                 .result_cap = 1,
                                 .pkts = &pkt,
                                 .results = &result};
        test_ok(tunnelcap_table_decap(link_.lanes[0], &burst));
        test_ok(result.status);
        action = result.action;
    }
    test_pkt_free(&pkt);
    return action;
}

START_TEST(probes_find_the_path_where_nobody_says_a_word)
{
    static const uint32_t paths[] = {1500, 1499, 1400, 1333, 1280};
    for (uint32_t mix = 0; mix < LINK_KINDS * 2; mix++) {
        for (uint32_t n = 0; n < TEST_COUNT(paths); n++) {
            uint32_t kind = mix / 2;
            table_link_policies(policies);
            policies[0].pmtu_mode = TUNNELCAP_PMTU_PROBE;
            policies[0].probe = mix & 1 ? policies[1].interface6 : policies[1].interface4;
            table_link_open(&link_, kind, policies);
            /* The far end must have a way back to the interface address. */
            tunnelcap_route route = test_route(mix & 1 ? "fd00:ff::/64" : "10.255.0.0/24", LINK_ID);
            test_ok(tunnelcap_table_begin(link_.tables[1]));
            test_ok(tunnelcap_table_set_route(link_.tables[1], &route));
            test_ok(tunnelcap_table_commit(link_.tables[1], NULL));
            uint64_t now_ns = 0, next_ns;
            uint32_t answered = 0;
            for (uint32_t round = 0; round < 80; round++) {
                world_call_open(&call, 1, CALL_HEADROOM, 1600);
                call.burst.now_ns = now_ns;
                test_ok(
                    tunnelcap_table_tick(link_.tables[0], link_.lanes[0], &call.burst, &next_ns));
                ck_assert_uint_eq(call.burst.result_count, call.burst.spare_used);
                if (call.burst.spare_used == 1) {
                    ck_assert_uint_eq(call.results[0].action, TUNNELCAP_DO_SEND);
                    ck_assert_uint_eq(call.results[0].flags, TUNNELCAP_RESULT_SPARE);
                    ck_assert_uint_eq(call.results[0].tunnel, LINK_ID);
                    const uint8_t *outer = call.spare[0].buf + call.spare[0].off;
                    ck_assert(outer[0] >> 4 == 6 || (outer[6] & 0x40));
                    if (answer_probe(&call.spare[0], paths[n], now_ns) == TUNNELCAP_DO_LOCAL)
                        answered++;
                    else
                        ck_assert_uint_gt(call.spare[0].len, paths[n]);
                }
                world_call_close(&call);
                now_ns += SECOND + SECOND / 10;
            }
            ck_assert_uint_gt(answered, 0);
            tunnelcap_pmtu_info found;
            test_ok(
                tunnelcap_table_get_pmtu(link_.tables[0], LINK_ID, now_ns, &found, sizeof(found)));
            ck_assert_uint_eq(found.state, TUNNELCAP_PMTU_SEARCH_COMPLETE);
            ck_assert_uint_le(info().inner_mtu, paths[n]);
            /* ESP makes sizes in steps of four; what it cannot make has not been found. */
            ck_assert_uint_le(found.mtu, paths[n]);
            ck_assert_uint_gt(found.mtu + 4, paths[n]);
            tunnelcap_stats stats;
            test_ok(tunnelcap_table_get_stats(link_.tables[0], LINK_ID, &stats, sizeof(stats)));
            ck_assert_uint_eq(stats.decap.local, answered);
            ck_assert_uint_eq(stats.encap.packets, 0);
            table_link_close(&link_);
        }
    }
}
END_TEST

START_TEST(probes_that_cannot_be_made_are_not_lost_ones)
{
    table_link_policies(policies);
    policies[0].pmtu_mode = TUNNELCAP_PMTU_PROBE;
    policies[0].probe = policies[1].interface4;
    table_link_open(&link_, LINK_GRE, policies);
    tunnelcap_route route = test_route("10.255.0.0/24", LINK_ID);
    test_ok(tunnelcap_table_begin(link_.tables[1]));
    test_ok(tunnelcap_table_set_route(link_.tables[1], &route));
    test_ok(tunnelcap_table_commit(link_.tables[1], NULL));
    uint64_t now_ns = 0, next_ns;
    uint32_t refused = 0;
    for (uint32_t round = 0; round < 300; round++) {
        bool room = round < 20; /* then too little headroom */
        world_call_open(&call, 1, room ? CALL_HEADROOM : 10, 1600);
        call.burst.now_ns = now_ns;
        test_ok(tunnelcap_table_tick(link_.tables[0], link_.lanes[0], &call.burst, &next_ns));
        if (call.burst.spare_used == 1 && room)
            ck_assert_uint_eq(answer_probe(&call.spare[0], 1500, now_ns), TUNNELCAP_DO_LOCAL);
        else
            refused += call.burst.spare_used;
        world_call_close(&call);
        now_ns += SECOND + SECOND / 10;
    }
    ck_assert_uint_gt(refused, 10);
    tunnelcap_pmtu_info found;
    test_ok(tunnelcap_table_get_pmtu(link_.tables[0], LINK_ID, now_ns, &found, sizeof(found)));
    ck_assert_uint_eq(found.state, TUNNELCAP_PMTU_SEARCH_COMPLETE);
    ck_assert_uint_eq(found.mtu, 1500);
    table_link_close(&link_);
}
END_TEST

START_TEST(probe_waits_for_room_and_strangers_do_not_answer_it)
{
    table_link_policies(policies);
    policies[0].pmtu_mode = TUNNELCAP_PMTU_PROBE;
    policies[0].probe = policies[1].interface4;
    table_link_open(&link_, LINK_GRE, policies);
    uint64_t next_ns = 0;
    world_call_open(&call, 0, 0, 0);
    call.burst.now_ns = 5;
    test_ok(tunnelcap_table_tick(link_.tables[0], link_.lanes[0], &call.burst, &next_ns));
    ck_assert_uint_eq(next_ns, 5);
    ck_assert_uint_eq(call.burst.result_count, 0);
    world_call_open(&call, 1, 10, 1500); /* too little headroom: told, not lost */
    test_ok(tunnelcap_table_tick(link_.tables[0], link_.lanes[0], &call.burst, &next_ns));
    ck_assert_uint_eq(call.burst.result_count, 1);
    ck_assert_status(call.results[0].status, TUNNELCAP_E_HEADROOM);
    ck_assert_uint_eq(call.results[0].action, TUNNELCAP_DO_DROP);
    world_call_close(&call);
    world_call_open(&call, 1, CALL_HEADROOM, 1500);
    call.burst.now_ns = 2ull * SECOND;
    test_ok(tunnelcap_table_tick(link_.tables[0], link_.lanes[0], &call.burst, &next_ns));
    ck_assert_uint_eq(call.burst.result_count, 1);
    /* The request itself, and an answer with a wrong token, come back: they are delivered. */
    tunnelcap_pkt *probe = &call.spare[0];
    for (uint32_t wrong = 0; wrong < 2; wrong++) {
        tunnelcap_result result;
        test_ip back = table_link_outer(&link_, 1);
        tunnelcap_pkt inner = test_pkt(probe->buf + probe->off + 24, probe->len - 24, 0);
        if (wrong) {
            inner.buf[28] ^= 0x55;
            test_store16(inner.buf + 22, 0);
            test_store16(inner.buf + 22, (uint16_t)~test_sum(0, inner.buf + 20, inner.len - 20));
            test_ok(tunnelcap_icmp_echo_reply(&inner, 64));
        }
        message.len = 0;
        test_push(&message, inner.buf, inner.len);
        test_gre gre = {.protocol = 0x0800};
        test_push_gre(&message, &gre);
        test_push_ip(&message, &back, GRE);
        tunnelcap_pkt pkt = hear(2ull * SECOND, &result);
        test_ok(result.status);
        ck_assert_uint_eq(result.action, TUNNELCAP_DO_DELIVER);
        test_pkt_free(&pkt);
        test_pkt_free(&inner);
    }
    world_call_close(&call);
    table_link_close(&link_);
}
END_TEST

/* What the near end makes of `len` bytes of the answer to a probe over IPv4, sent as a fragment. */
static uint8_t answer_in_part(const tunnelcap_pkt *probe, uint32_t len, uint16_t fragment,
                              uint32_t wrong)
{
    tunnelcap_result result;
    test_ip back = table_link_outer(&link_, 1);
    test_gre gre = {.protocol = 0x0800};
    tunnelcap_pkt inner = test_pkt(probe->buf + probe->off + 24, probe->len - 24, 0);
    test_ok(tunnelcap_icmp_echo_reply(&inner, 64));
    inner.buf[28] ^= (uint8_t)wrong;
    test_store16(inner.buf + 2, (uint16_t)len);
    test_store16(inner.buf + 6, fragment);
    test_store16(inner.buf + 10, 0);
    test_store16(inner.buf + 10, (uint16_t)~test_sum(0, inner.buf, 20));
    message.len = 0;
    test_push(&message, inner.buf, len);
    test_push_gre(&message, &gre);
    test_push_ip(&message, &back, GRE);
    tunnelcap_pkt pkt = hear(2ull * SECOND, &result);
    test_ok(result.status);
    test_pkt_free(&pkt);
    test_pkt_free(&inner);
    return result.action;
}

START_TEST(first_fragment_of_an_answer_will_do)
{
    enum { MORE = 0x2000 };
    table_link_policies(policies);
    policies[0].pmtu_mode = TUNNELCAP_PMTU_PROBE;
    policies[0].probe = policies[1].interface4;
    table_link_open(&link_, LINK_GRE, policies);
    uint64_t next_ns = 0;
    world_call_open(&call, 1, CALL_HEADROOM, 1500);
    call.burst.now_ns = 2ull * SECOND;
    test_ok(tunnelcap_table_tick(link_.tables[0], link_.lanes[0], &call.burst, &next_ns));
    ck_assert_uint_eq(call.burst.result_count, 1);
    const tunnelcap_pkt *probe = &call.spare[0];
    ck_assert_uint_eq(answer_in_part(probe, 556, MORE, 0x55), TUNNELCAP_DO_DELIVER);
    ck_assert_uint_eq(answer_in_part(probe, 556, MORE | 2, 0), TUNNELCAP_DO_DELIVER);
    ck_assert_uint_eq(answer_in_part(probe, 35, MORE, 0), TUNNELCAP_DO_DELIVER);
    ck_assert_uint_eq(answer_in_part(probe, 36, MORE, 0), TUNNELCAP_DO_LOCAL);
    world_call_close(&call);
    table_link_close(&link_);
}
END_TEST

START_TEST(tick_refuses_what_it_documents)
{
    open_link(LINK_GRE);
    tunnelcap_table *table = link_.tables[0];
    tunnelcap_lane *lane = link_.lanes[0], *idle = test_lane();
    uint64_t next_ns;
    tunnelcap_burst burst = {.size = sizeof(burst)};
    test_ok(tunnelcap_table_tick(table, lane, &burst, &next_ns));
    ck_assert_status(tunnelcap_table_tick(NULL, lane, &burst, &next_ns), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_tick(table, NULL, &burst, &next_ns), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_tick(table, lane, NULL, &next_ns), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_tick(table, lane, &burst, NULL), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_tick(table, idle, &burst, &next_ns), TUNNELCAP_E_STATE);
    ck_assert_status(tunnelcap_table_tick(table, link_.lanes[1], &burst, &next_ns),
                     TUNNELCAP_E_STATE);
    burst.result_cap = 1;
    ck_assert_status(tunnelcap_table_tick(table, lane, &burst, &next_ns), TUNNELCAP_E_INVALID);
    burst.result_cap = 0;
    burst.flags = 1;
    ck_assert_status(tunnelcap_table_tick(table, lane, &burst, &next_ns), TUNNELCAP_E_FLAGS);
    burst.flags = 0;
    burst.reserved = 1;
    ck_assert_status(tunnelcap_table_tick(table, lane, &burst, &next_ns), TUNNELCAP_E_RESERVED);
    burst.reserved = 0;
    burst.size--;
    ck_assert_status(tunnelcap_table_tick(table, lane, &burst, &next_ns), TUNNELCAP_E_VERSION);
    tunnelcap_pkt pkt = test_pkt(NULL, 0, 10);
    tunnelcap_result result;
    tunnelcap_burst full = {
        .size = sizeof(full), .pkt_count = 1, .pkts = &pkt, .result_cap = 1, .results = &result};
    ck_assert_status(tunnelcap_table_tick(table, lane, &full, &next_ns), TUNNELCAP_E_INVALID);
    test_pkt_free(&pkt);
    tunnelcap_lane_free(idle);
    table_link_close(&link_);
}
END_TEST

START_TEST(findings_are_shared_by_a_fleet)
{
    open_link(LINK_GRE);
    tunnelcap_pmtu_event event;
    tunnelcap_pmtu_info facts;
    tunnelcap_table *near_end = link_.tables[0], *far_end = link_.tables[1];
    ck_assert_status(tunnelcap_table_export_pmtu(near_end, LINK_ID, 0, &event, sizeof(event)),
                     TUNNELCAP_E_NOT_FOUND);
    table_link_inner(0, TUNNELCAP_IPV4, 1400, true);
    tunnelcap_pkt outer = outer_packet();
    tunnelcap_result result;
    too_big(&outer, 28, 1400);
    tunnelcap_pkt pkt = hear(0, &result);
    test_pkt_free(&pkt);
    test_pkt_free(&outer);
    test_ok(tunnelcap_table_export_pmtu(near_end, LINK_ID, 0, &event, sizeof(event)));
    ck_assert_uint_eq(event.mtu, 1400);
    ck_assert_status(tunnelcap_table_import_pmtu(far_end, LINK_ID, &event, 0), TUNNELCAP_CHANGED);
    test_ok(tunnelcap_table_get_pmtu(far_end, LINK_ID, 0, &facts, sizeof(facts)));
    ck_assert_uint_eq(facts.mtu, 1400);
    ck_assert_uint_eq(facts.flags, TUNNELCAP_PMTU_IMPORTED);
    test_ok(tunnelcap_table_import_pmtu(far_end, LINK_ID, &event, 0));
    ck_assert_status(tunnelcap_table_export_pmtu(far_end, LINK_ID, 0, &event, sizeof(event)),
                     TUNNELCAP_E_NOT_FOUND);
    ck_assert_status(tunnelcap_table_import_pmtu(far_end, 77, &event, 0), TUNNELCAP_E_NOT_FOUND);
    ck_assert_status(tunnelcap_table_export_pmtu(far_end, 77, 0, &event, sizeof(event)),
                     TUNNELCAP_E_NOT_FOUND);
    ck_assert_status(tunnelcap_table_get_pmtu(far_end, 77, 0, &facts, sizeof(facts)),
                     TUNNELCAP_E_NOT_FOUND);
    ck_assert_status(tunnelcap_table_import_pmtu(NULL, LINK_ID, &event, 0), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_import_pmtu(far_end, LINK_ID, NULL, 0), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_export_pmtu(NULL, LINK_ID, 0, &event, sizeof(event)),
                     TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_get_pmtu(NULL, LINK_ID, 0, &facts, sizeof(facts)),
                     TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_get_pmtu(far_end, LINK_ID, 0, NULL, sizeof(facts)),
                     TUNNELCAP_E_INVALID);
    table_link_close(&link_);
}
END_TEST

Suite *test_table_path_suite(void)
{
    const TTest *tests[] = {
        message_from_the_path_lowers_all_that_follows_from_it,
        clamp_follows_the_path,
        fragments_follow_the_path,
        message_is_handed_on_to_the_sender_where_enough_is_quoted,
        messages_that_are_cut_anywhere_do_no_harm,
        implausible_messages_are_dropped_as_such,
        what_else_icmp_says_ends_here_or_is_no_affair_of_a_tunnel,
        fixed_paths_do_not_listen,
        below_the_floor_routers_may_fragment,
        tunnels_that_a_quote_does_not_tell_apart_learn_together,
        path_outlives_its_tunnels_configuration,
        what_was_learned_ages,
        probes_find_the_path_where_nobody_says_a_word,
        probes_that_cannot_be_made_are_not_lost_ones,
        probe_waits_for_room_and_strangers_do_not_answer_it,
        first_fragment_of_an_answer_will_do,
        tick_refuses_what_it_documents,
        findings_are_shared_by_a_fleet,
    };
    return test_suite("table_path", tests, TEST_COUNT(tests));
}
