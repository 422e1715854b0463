/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The table with packets that do not fit: fragments into spares, answers to their senders. */
#include "table_link.h"

static tunnelcap_tunnel policies[2];
static table_link link_;
static world_call call;

/* Everything that was sent goes into the far table, which must deliver the packet of world_frame
 * and nothing else. */
static void deliver(const tunnelcap_result *results, uint32_t count, uint32_t header)
{
    static world_call far_call;
    uint32_t delivered = 0;
    world_call_open(&far_call, 3, 0, 66000);
    for (uint32_t i = 0; i < count; i++) {
        if (results[i].action != TUNNELCAP_DO_SEND)
            continue;
        tunnelcap_pkt *sent = world_call_pkt(&call, i);
        tunnelcap_pkt pkt = test_pkt(sent->buf + sent->off, sent->len, 0);
        test_ok(world_call_run(&far_call, link_.lanes[1], TUNNELCAP_DECAP, &pkt, 1));
        ck_assert_uint_eq(far_call.burst.pkt_done, 1);
        for (uint32_t k = 0; k < far_call.burst.result_count; k++) {
            tunnelcap_pkt *got = world_call_pkt(&far_call, k);
            if (far_call.results[k].action != TUNNELCAP_DO_DELIVER) {
                ck_assert_uint_eq(far_call.results[k].action, TUNNELCAP_DO_KEPT);
                ck_assert_status(far_call.results[k].status, TUNNELCAP_KEPT);
                continue;
            }
            ck_assert_uint_eq(far_call.results[k].tunnel, LINK_ID);
            ck_assert_uint_eq(got->len, world_frame.len);
            /* Fragmentation and reassembly leave their marks in the IPv4 header alone. */
            ck_assert_mem_eq(got->buf + got->off + header, world_frame.bytes + header,
                             world_frame.len - header);
            delivered++;
        }
        test_pkt_free(&pkt);
    }
    ck_assert_uint_eq(delivered, 1);
    world_call_close(&far_call);
}

/* One packet through both tables, by fragments of the one or the other kind. */
static void through(uint32_t kind, uint8_t mode, uint32_t family, uint32_t total, bool df)
{
    table_link_policies(policies);
    policies[0].fragment_mode = mode;
    policies[1].flags |= TUNNELCAP_TUNNEL_REASSEMBLE;
    table_link_open(&link_, kind, policies);
    table_link_reassemble(&link_, true, true);
    table_link_inner(0, family, total, df);
    tunnelcap_pkt pkt = test_pkt_room(world_frame.bytes, world_frame.len, 80, 64);
    world_call_open(&call, 60, CALL_HEADROOM, 1600);
    test_ok(world_call_run(&call, link_.lanes[0], TUNNELCAP_ENCAP, &pkt, 1));
    ck_assert_uint_eq(call.burst.pkt_done, 1);
    if (total > link_.mtu) {
        ck_assert_uint_eq(call.results[0].action, TUNNELCAP_DO_KEPT);
        ck_assert_status(call.results[0].status, TUNNELCAP_OK);
        ck_assert_uint_gt(call.burst.spare_used, 1);
    } else {
        ck_assert_uint_eq(call.burst.spare_used, 0);
    }
    for (uint32_t i = 0; i < call.burst.result_count; i++) {
        ck_assert_uint_eq(call.results[i].tunnel, LINK_ID);
        if (call.results[i].action == TUNNELCAP_DO_SEND)
            ck_assert_uint_le(world_call_pkt(&call, i)->len, 1500);
    }
    deliver(call.results, call.burst.result_count, family == TUNNELCAP_IPV4 ? 20 : 0);
    world_check_sums(link_.tables[0], LINK_ID, TUNNELCAP_ENCAP, 1);
    tunnelcap_stats stats;
    test_ok(tunnelcap_table_get_stats(link_.tables[0], LINK_ID, &stats, sizeof(stats)));
    ck_assert_uint_eq(stats.encap.fragments, call.burst.spare_used);
    world_call_close(&call);
    test_pkt_free(&pkt);
    table_link_close(&link_);
}

START_TEST(large_packets_go_through_as_inner_fragments)
{
    for (uint32_t kind = 0; kind < LINK_KINDS; kind++) {
        static const uint32_t more[] = {0, 1, 8, 1400, 1500, 10000, 64000 - 1480};
        for (uint32_t i = 0; i < TEST_COUNT(more); i++)
            through(kind, TUNNELCAP_FRAGMENT_INNER, TUNNELCAP_IPV4, 1480 + more[i], false);
    }
}
END_TEST

START_TEST(large_packets_go_through_as_outer_fragments)
{
    for (uint32_t kind = 0; kind < LINK_KINDS; kind++) {
        static const uint32_t more[] = {0, 1, 8, 1400, 1500, 10000, 64000 - 1480};
        for (uint32_t i = 0; i < TEST_COUNT(more); i++)
            through(kind, TUNNELCAP_FRAGMENT_OUTER, TUNNELCAP_IPV4, 1480 + more[i], false);
    }
}
END_TEST

/* ---- answers ---- */

/* What an ICMP error says, from its bytes. */
typedef struct answer {
    test_ip ip;
    uint8_t type, code;
    uint32_t mtu;
    const uint8_t *quote;
    uint32_t quote_len;
} answer;

static answer read_answer(const tunnelcap_pkt *pkt)
{
    const uint8_t *p = pkt->buf + pkt->off;
    bool six = p[0] >> 4 == 6;
    uint32_t header = six ? 40 : 20;
    answer a;
    memset(&a, 0, sizeof(a));
    ck_assert_uint_ge(pkt->len, header + 8);
    ck_assert_uint_le(pkt->len, six ? 1280 : 576);
    a.ip.src.family = a.ip.dst.family = six ? TUNNELCAP_IPV6 : TUNNELCAP_IPV4;
    memcpy(a.ip.src.bytes, p + (six ? 8 : 12), six ? 16 : 4);
    memcpy(a.ip.dst.bytes, p + (six ? 24 : 16), six ? 16 : 4);
    ck_assert_uint_eq(six ? p[6] : p[9], six ? 58 : 1);
    uint16_t start = six ? test_pseudo(&a.ip, 58, pkt->len - header) : 0;
    ck_assert_uint_eq(test_sum(start, p + header, pkt->len - header), 0xffff);
    a.type = p[header];
    a.code = p[header + 1];
    a.mtu = six ? test_load32(p + header + 4) : test_load16(p + header + 6);
    a.quote = p + header + 8;
    a.quote_len = pkt->len - header - 8;
    return a;
}

/* Offer world_frame to the near table with all the room that may be needed. */
static tunnelcap_pkt offer(uint32_t headroom)
{
    tunnelcap_pkt pkt = test_pkt_room(world_frame.bytes, world_frame.len, headroom, 64);
    world_call_open(&call, 60, CALL_HEADROOM, 1600);
    test_ok(world_call_run(&call, link_.lanes[0], TUNNELCAP_ENCAP, &pkt, 1));
    ck_assert_uint_eq(call.burst.pkt_done, 1);
    return pkt;
}

static void done(tunnelcap_pkt *pkt)
{
    world_call_close(&call);
    test_pkt_free(pkt);
}

/* world_frame is answered by an error of this MTU about itself. */
static void is_answered(uint32_t mtu)
{
    bool six = world_frame.bytes[0] >> 4 == 6;
    tunnelcap_pkt pkt = offer(80);
    const tunnelcap_result *r = &call.results[0];
    ck_assert_uint_eq(call.burst.result_count, 1);
    ck_assert_status(r->status, TUNNELCAP_E_TOO_BIG);
    ck_assert_uint_eq(r->action, TUNNELCAP_DO_REPLY);
    ck_assert_uint_eq(r->value, mtu);
    ck_assert_uint_eq(r->l3_len, six ? 40 : 20);
    answer a = read_answer(&pkt);
    ck_assert_uint_eq(a.type, six ? 2 : 3);
    ck_assert_uint_eq(a.code, six ? 0 : 4);
    ck_assert_uint_eq(a.mtu, mtu);
    ck_assert_mem_eq(a.quote, world_frame.bytes, a.quote_len);
    ck_assert_mem_eq(a.ip.dst.bytes, world_frame.bytes + (six ? 8 : 12), six ? 16 : 4);
    tunnelcap_addr from = six ? policies[0].interface6 : policies[0].interface4;
    ck_assert_mem_eq(a.ip.src.bytes, from.bytes, 16);
    done(&pkt);
}

static void is_dropped(int32_t status, uint32_t value)
{
    tunnelcap_pkt pkt = offer(80);
    ck_assert_uint_eq(call.burst.result_count, 1);
    ck_assert_uint_eq(call.burst.spare_used, 0);
    ck_assert_status(call.results[0].status, status);
    ck_assert_uint_eq(call.results[0].action, TUNNELCAP_DO_DROP);
    ck_assert_uint_eq(call.results[0].value, value);
    ck_assert_uint_eq(pkt.len, world_frame.len);
    ck_assert_mem_eq(pkt.buf + pkt.off, world_frame.bytes, world_frame.len);
    done(&pkt);
}

static void open_gre(void)
{
    table_link_open(&link_, LINK_GRE, policies);
}

START_TEST(packet_that_forbids_fragments_is_answered_with_the_exact_mtu)
{
    for (uint32_t kind = 0; kind < LINK_KINDS; kind++) {
        table_link_policies(policies);
        table_link_open(&link_, kind, policies);
        table_link_inner(0, TUNNELCAP_IPV4, link_.mtu + 1, true);
        is_answered(link_.mtu);
        table_link_inner(0, TUNNELCAP_IPV4, 9000, true);
        is_answered(link_.mtu);
        table_link_inner(0, TUNNELCAP_IPV6, link_.mtu + 1, true);
        is_answered(link_.mtu);
        tunnelcap_stats stats;
        test_ok(tunnelcap_table_get_stats(link_.tables[0], LINK_ID, &stats, sizeof(stats)));
        ck_assert_uint_eq(stats.encap.replied, 3);
        ck_assert_uint_eq(stats.encap.icmp_sent, 3);
        ck_assert_uint_eq(stats.encap.refused, 0);
        world_check_sums(link_.tables[0], LINK_ID, TUNNELCAP_ENCAP, 3);
        table_link_close(&link_);
    }
}
END_TEST

START_TEST(answers_go_to_the_routing_instance_that_asked)
{
    table_link_policies(policies);
    open_gre();
    tunnelcap_route route = test_route("10.1.0.0/16", LINK_ID);
    route.vrf = 9;
    test_ok(tunnelcap_table_begin(link_.tables[0]));
    test_ok(tunnelcap_table_set_route(link_.tables[0], &route));
    test_ok(tunnelcap_table_commit(link_.tables[0], NULL));
    table_link_inner(0, TUNNELCAP_IPV4, 1500, true);
    tunnelcap_meta meta = {.vrf = 9};
    tunnelcap_result result;
    tunnelcap_pkt pkt = test_pkt(world_frame.bytes, world_frame.len, 28);
    ck_assert_uint_ge(28, TUNNELCAP_ICMP_HEADROOM4);
    tunnelcap_burst burst = {.size = sizeof(burst),
                             .pkt_count = 1,
                             .result_cap = 1,
                             .pkts = &pkt,
                             .meta = &meta,
                             .results = &result};
    test_ok(tunnelcap_table_encap(link_.lanes[0], &burst));
    ck_assert_uint_eq(result.action, TUNNELCAP_DO_REPLY);
    ck_assert_uint_eq(result.vrf, 9);
    test_pkt_free(&pkt);
    table_link_close(&link_);
}
END_TEST

START_TEST(packet_is_dropped_where_no_answer_may_be_sent)
{
    table_link_policies(policies);
    open_gre();
    /* Without headroom for it. */
    table_link_inner(0, TUNNELCAP_IPV4, 1500, true);
    tunnelcap_pkt pkt = offer(27);
    ck_assert_status(call.results[0].status, TUNNELCAP_E_TOO_BIG);
    ck_assert_uint_eq(call.results[0].action, TUNNELCAP_DO_DROP);
    done(&pkt);
    /* About an ICMP error. */
    test_ip ip = test_between("203.0.113.9", "10.1.0.9");
    test_payload(&world_frame, 1480);
    test_push_icmp(&world_frame, &ip, 3, 1);
    test_push_ip(&world_frame, &ip, 1);
    is_dropped(TUNNELCAP_E_TOO_BIG, 1476);
    /* From a source that is no host. */
    ip = test_between("0.0.0.0", "10.1.0.9");
    test_udp_packet(&world_frame, &ip, 1480);
    is_dropped(TUNNELCAP_E_TOO_BIG, 1476);
    /* Without address of the family, and without the flag. */
    memset(&policies[0].interface6, 0, sizeof(policies[0].interface6));
    table_link_set(&link_, 0, &policies[0]);
    table_link_inner(0, TUNNELCAP_IPV6, 1500, true);
    is_dropped(TUNNELCAP_E_TOO_BIG, 1476);
    policies[0].flags &= ~(uint32_t)TUNNELCAP_TUNNEL_ICMP;
    table_link_set(&link_, 0, &policies[0]);
    table_link_inner(0, TUNNELCAP_IPV4, 1500, true);
    is_dropped(TUNNELCAP_E_TOO_BIG, 1476);
    ck_assert_uint_eq(world_reason(&(world){link_.tables[0], link_.lanes[0]}, LINK_ID,
                                   TUNNELCAP_ENCAP, TUNNELCAP_E_TOO_BIG),
                      5);
    table_link_close(&link_);
}
END_TEST

START_TEST(answers_are_limited_for_each_tunnel_by_the_callers_clock)
{
    table_link_policies(policies);
    policies[0].icmp_rate = 2;
    open_gre();
    uint32_t answered = 0;
    table_link_inner(0, TUNNELCAP_IPV4, 1500, true);
    for (uint64_t ms = 0; ms < 10000; ms += 100) {
        tunnelcap_pkt pkt = test_pkt_room(world_frame.bytes, world_frame.len, 80, 0);
        tunnelcap_result result;
        tunnelcap_burst burst = {.size = sizeof(burst),
                                 .now_ns = 1000000 * ms,
                                 .pkt_count = 1,
                                 .result_cap = 1,
                                 .pkts = &pkt,
                                 .results = &result};
        test_ok(tunnelcap_table_encap(link_.lanes[0], &burst));
        ck_assert_status(result.status, TUNNELCAP_E_TOO_BIG);
        ck_assert_uint_eq(result.value, 1476);
        answered += result.action == TUNNELCAP_DO_REPLY;
        test_pkt_free(&pkt);
    }
    ck_assert_uint_ge(answered, 10 + 19);
    ck_assert_uint_le(answered, 10 + 20);
    /* Another rate is another limit; 0 is none. */
    policies[0].icmp_rate = 0;
    table_link_set(&link_, 0, &policies[0]);
    for (uint32_t i = 0; i < 50; i++)
        is_answered(1476);
    table_link_close(&link_);
}
END_TEST

START_TEST(refuse_mode_answers_as_if_fragments_were_forbidden)
{
    table_link_policies(policies);
    policies[0].fragment_mode = TUNNELCAP_FRAGMENT_REFUSE;
    open_gre();
    table_link_inner(0, TUNNELCAP_IPV4, 1477, false);
    is_answered(1476);
    table_link_close(&link_);
}
END_TEST

START_TEST(cleared_df_gets_an_identification_of_our_own)
{
    for (uint8_t mode = 0; mode < TUNNELCAP_FRAGMENT_REFUSE; mode++) {
        table_link_policies(policies);
        policies[0].flags |= TUNNELCAP_TUNNEL_CLEAR_DF;
        policies[0].fragment_mode = mode;
        open_gre();
        table_link_inner(0, TUNNELCAP_IPV4, 3000, true);
        tunnelcap_pkt pkt = offer(80);
        ck_assert_uint_eq(call.results[0].action, TUNNELCAP_DO_KEPT);
        ck_assert_uint_eq(call.burst.spare_used, 3);
        uint16_t id = 0;
        for (uint32_t i = 1; i < call.burst.result_count; i++) {
            tunnelcap_pkt *piece = world_call_pkt(&call, i);
            const uint8_t *outer = piece->buf + piece->off;
            const uint8_t *ip = mode == TUNNELCAP_FRAGMENT_INNER ? outer + 24 : outer;
            ck_assert_uint_eq(ip[6] & 0x40, 0);
            ck_assert_uint_ne(test_load16(ip + 4), 0x1234);
            if (i > 1)
                ck_assert_uint_eq(test_load16(ip + 4), id);
            id = test_load16(ip + 4);
        }
        done(&pkt);
        /* What fits keeps its DF. */
        table_link_inner(0, TUNNELCAP_IPV4, 1476, true);
        pkt = offer(80);
        ck_assert_uint_eq(pkt.buf[pkt.off + 24 + 6], 0x40);
        ck_assert_uint_eq(test_load16(pkt.buf + pkt.off + 24 + 4), 0x1234);
        done(&pkt);
        table_link_close(&link_);
    }
}
END_TEST

START_TEST(inner_ipv6_passes_up_to_1280_through_any_tunnel)
{
    for (uint32_t kind = 0; kind < LINK_KINDS; kind++) {
        if (kind == LINK_GRE6 || kind == LINK_ESP_UDP6)
            continue; /* a path of IPv6 carries 1280 outside */
        table_link_policies(policies);
        policies[0].path_mtu = 1000;
        table_link_open(&link_, kind, policies);
        table_link_reassemble(&link_, true, false);
        table_link_inner(0, TUNNELCAP_IPV6, 1281, true);
        is_answered(1280);
        table_link_inner(0, TUNNELCAP_IPV6, 1280, true);
        tunnelcap_pkt pkt = offer(80);
        ck_assert_uint_eq(call.results[0].action, TUNNELCAP_DO_KEPT);
        ck_assert_uint_eq(call.burst.spare_used, 2);
        for (uint32_t i = 1; i < call.burst.result_count; i++)
            ck_assert_uint_le(world_call_pkt(&call, i)->len, 1000);
        deliver(call.results, call.burst.result_count, 0);
        done(&pkt);
        table_link_close(&link_);
    }
    /* Over IPv6 the same happens below a path of 1280 + 40 + 4. */
    table_link_policies(policies);
    policies[0].path_mtu = 1280;
    table_link_open(&link_, LINK_GRE6, policies);
    table_link_reassemble(&link_, true, false);
    table_link_inner(0, TUNNELCAP_IPV6, 1280, true);
    tunnelcap_pkt pkt = offer(80);
    ck_assert_uint_eq(call.burst.spare_used, 2);
    for (uint32_t i = 1; i < call.burst.result_count; i++) {
        tunnelcap_pkt *piece = world_call_pkt(&call, i);
        ck_assert_uint_eq(piece->buf[piece->off + 6], 44);
        ck_assert_uint_eq(call.results[i].l3_len, 48);
    }
    deliver(call.results, call.burst.result_count, 0);
    done(&pkt);
    table_link_close(&link_);
}
END_TEST

/* ---- TTL ---- */

/* Give the IPv6 packet in world_frame a Tunnel Encapsulation Limit of its own: 8 bytes more. */
static void limit_inner(void)
{
    static const uint8_t options[8] = {17, 0, 4, 1, 4, 1, 1, 0};
    uint8_t *p = world_frame.bytes;
    memmove(p + 48, p + 40, world_frame.len - 40);
    memcpy(p + 40, options, sizeof(options));
    p[6] = 60;
    world_frame.len += sizeof(options);
    test_store16(p + 4, world_frame.len - 40);
}

START_TEST(limits_of_inner_packets_do_not_make_them_too_big_up_to_1280)
{
    for (uint32_t total = 1220; total <= 1280; total += 4) {
        uint32_t outer = total + 40 + 4 + 8; /* with the option outside as well */
        table_link_policies(policies);
        policies[0].path_mtu = 1280;
        table_link_open(&link_, LINK_GRE6, policies);
        table_link_reassemble(&link_, true, false);
        table_link_inner(0, TUNNELCAP_IPV6, total - 8, true);
        limit_inner();
        tunnelcap_pkt pkt = test_pkt_room(world_frame.bytes, world_frame.len, 80, 64);
        world_call_open(&call, 60, CALL_HEADROOM, 1600);
        test_ok(world_call_run(&call, link_.lanes[0], TUNNELCAP_ENCAP, &pkt, 1));
        ck_assert_uint_eq(call.burst.spare_used, outer > 1280 ? 2 : 0);
        for (uint32_t i = outer > 1280; i < call.burst.result_count; i++)
            ck_assert_uint_le(world_call_pkt(&call, i)->len, 1280);
        deliver(call.results, call.burst.result_count, 0);
        world_call_close(&call);
        test_pkt_free(&pkt);
        table_link_inner(0, TUNNELCAP_IPV6, 1281 - 8, true);
        limit_inner();
        is_answered(1280);
        table_link_close(&link_);
    }
}
END_TEST

START_TEST(ttl_is_decremented_where_asked_and_its_end_is_answered)
{
    for (uint32_t kind = 0; kind < LINK_KINDS; kind++) {
        for (uint32_t six = 0; six < 2; six++) {
            table_link_policies(policies);
            policies[0].flags |= TUNNELCAP_TUNNEL_TTL_ENCAP;
            policies[1].flags |= TUNNELCAP_TUNNEL_TTL_DECAP;
            table_link_open(&link_, kind, policies);
            test_ip ip = six ? test_between("2001:db8:f::9", "fd00:1::9")
                             : test_between("203.0.113.9", "10.1.0.9");
            for (uint8_t ttl = 0; ttl < 5; ttl++) {
                ip.ttl = ttl;
                test_udp_packet(&world_frame, &ip, 30);
                tunnelcap_pkt pkt = offer(180);
                tunnelcap_result *r = &call.results[0];
                if (ttl < 2) {
                    ck_assert_status(r->status, TUNNELCAP_E_TTL);
                    ck_assert_uint_eq(r->action, TUNNELCAP_DO_REPLY);
                    answer a = read_answer(&pkt);
                    ck_assert_uint_eq(a.type, six ? 3 : 11);
                    ck_assert_uint_eq(a.code, 0);
                    ck_assert_uint_eq(a.quote_len, world_frame.len);
                    ck_assert_mem_eq(a.quote, world_frame.bytes, a.quote_len);
                    done(&pkt);
                    continue;
                }
                test_ok(r->status);
                world_call_close(&call);
                world_call_open(&call, 0, 0, 0);
                test_ok(world_call_run(&call, link_.lanes[1], TUNNELCAP_DECAP, &pkt, 1));
                if (ttl == 2) { /* 1 inside the tunnel: answered into it */
                    ck_assert_status(r->status, TUNNELCAP_E_TTL);
                    ck_assert_uint_eq(r->action, TUNNELCAP_DO_REPLY);
                    world_call_close(&call);
                    world_call_open(&call, 0, 0, 0);
                    test_ok(world_call_run(&call, link_.lanes[0], TUNNELCAP_DECAP, &pkt, 1));
                    test_ok(r->status);
                    ck_assert_uint_eq(r->action, TUNNELCAP_DO_DELIVER);
                    answer a = read_answer(&pkt);
                    ck_assert_uint_eq(a.type, six ? 3 : 11);
                    ck_assert_mem_eq(
                        a.ip.src.bytes,
                        six ? policies[1].interface6.bytes : policies[1].interface4.bytes, 16);
                    done(&pkt);
                    continue;
                }
                test_ok(r->status);
                world_frame.bytes[six ? 7 : 8] = (uint8_t)(ttl - 2);
                if (!six) {
                    test_store16(world_frame.bytes + 10, 0);
                    test_store16(world_frame.bytes + 10,
                                 (uint16_t)~test_sum(0, world_frame.bytes, 20));
                }
                ck_assert_mem_eq(pkt.buf + pkt.off, world_frame.bytes, world_frame.len);
                done(&pkt);
            }
            table_link_close(&link_);
        }
    }
}
END_TEST

START_TEST(what_has_arrived_keeps_its_ttl)
{
    table_link_policies(policies);
    policies[1].flags |= TUNNELCAP_TUNNEL_TTL_DECAP;
    open_gre();
    test_ip ip = test_between("203.0.113.9", "10.255.0.1"), outer = table_link_outer(&link_, 0);
    test_gre gre = {.protocol = 0x0800};
    ip.ttl = 1;
    test_udp_packet(&world_frame, &ip, 30);
    test_push_gre(&world_frame, &gre);
    test_push_ip(&world_frame, &outer, GRE);
    tunnelcap_pkt pkt = test_pkt(world_frame.bytes, world_frame.len, 0);
    tunnelcap_result result;
    test_ok(test_table_one(link_.lanes[1], TUNNELCAP_DECAP, &pkt, NULL, &result));
    ck_assert_uint_eq(pkt.buf[pkt.off + 8], 1);
    test_pkt_free(&pkt);
    table_link_close(&link_);
}
END_TEST

/* ---- room ---- */

/* Whatever room there is: a call consumes all or nothing of a packet, and says which. */
START_TEST(fragments_wait_until_there_is_room_for_all_of_them)
{
    for (uint32_t kind = 0; kind < LINK_KINDS; kind++) {
        for (uint8_t mode = 0; mode < TUNNELCAP_FRAGMENT_REFUSE; mode++) {
            for (uint32_t room = 0; room < 12; room++) {
                table_link_policies(policies);
                policies[0].fragment_mode = mode;
                table_link_open(&link_, kind, policies);
                tunnelcap_pkt pkts[4];
                for (uint32_t i = 0; i < TEST_COUNT(pkts); i++) {
                    table_link_inner(0, TUNNELCAP_IPV4, i & 1 ? 100 : 4000, false);
                    pkts[i] = test_pkt_room(world_frame.bytes, world_frame.len, 80, 64);
                }
                /* 3 pieces: a result and 3 more each. */
                bool by_spares = room < 6;
                uint32_t at = 0, sent = 0, full = 0;
                world_call_open(&call, by_spares ? room : 20, CALL_HEADROOM, 1600);
                call.burst.result_cap = by_spares ? CALL_RESULTS : room - 5;
                for (uint32_t calls = 0; at < TEST_COUNT(pkts); calls++) {
                    ck_assert_uint_lt(calls, 5);
                    for (uint32_t i = 0; i < call.burst.spare_count; i++)
                        call.spare[i].off = CALL_HEADROOM;
                    test_ok(
                        world_call_run(&call, link_.lanes[0], TUNNELCAP_ENCAP, pkts + at, 4 - at));
                    ck_assert_uint_gt(call.burst.pkt_done, 0);
                    for (uint32_t i = 0; i < call.burst.result_count; i++) {
                        sent += call.results[i].action == TUNNELCAP_DO_SEND;
                        full += call.results[i].status == TUNNELCAP_E_FULL;
                        if (call.results[i].status == TUNNELCAP_E_FULL)
                            ck_assert_uint_eq(world_call_pkt(&call, i)->len, 4000);
                    }
                    at += call.burst.pkt_done;
                }
                bool fits = by_spares ? room >= 3 : room - 5 >= 4;
                ck_assert_uint_eq(sent, fits ? 8 : 2);
                ck_assert_uint_eq(full, fits ? 0 : 2);
                world_check_sums(link_.tables[0], LINK_ID, TUNNELCAP_ENCAP, 4);
                for (uint32_t i = 0; i < TEST_COUNT(pkts); i++)
                    test_pkt_free(&pkts[i]);
                world_call_close(&call);
                table_link_close(&link_);
            }
        }
    }
}
END_TEST

START_TEST(spares_without_room_refuse_the_whole_packet)
{
    static const struct {
        uint32_t headroom, room;
        int32_t want;
    } rows[] = {
        {24, 1476, TUNNELCAP_OK},
        {23, 1476, TUNNELCAP_E_HEADROOM},
        {24, 1475, TUNNELCAP_E_TAILROOM},
    };
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        table_link_policies(policies);
        open_gre();
        table_link_inner(0, TUNNELCAP_IPV4, 3000, false);
        tunnelcap_pkt pkt = test_pkt(world_frame.bytes, world_frame.len, 0);
        test_snapshot snap = test_snap(&pkt);
        world_call_open(&call, 3, rows[i].headroom, rows[i].room);
        test_ok(world_call_run(&call, link_.lanes[0], TUNNELCAP_ENCAP, &pkt, 1));
        ck_assert_status(call.results[0].status, rows[i].want);
        ck_assert_uint_eq(call.burst.spare_used, rows[i].want == TUNNELCAP_OK ? 3 : 0);
        test_unchanged(&snap, &pkt);
        done(&pkt);
        table_link_close(&link_);
    }
    table_link_policies(policies);
    open_gre();
    table_link_inner(0, TUNNELCAP_IPV4, 3000, false);
    tunnelcap_pkt pkt = test_pkt(world_frame.bytes, world_frame.len, 0);
    world_call_open(&call, 3, 24, 1476);
    uint8_t *buf = call.spare[2].buf;
    call.spare[2].buf = NULL;
    test_ok(world_call_run(&call, link_.lanes[0], TUNNELCAP_ENCAP, &pkt, 1));
    ck_assert_status(call.results[0].status, TUNNELCAP_E_INVALID);
    call.spare[2].buf = buf;
    call.burst.spare = NULL;
    ck_assert_status(world_call_run(&call, link_.lanes[0], TUNNELCAP_ENCAP, &pkt, 1),
                     TUNNELCAP_E_INVALID);
    call.burst.spare = call.spare;
    call.burst.spare_count = 65536;
    ck_assert_status(world_call_run(&call, link_.lanes[0], TUNNELCAP_ENCAP, &pkt, 1),
                     TUNNELCAP_E_INVALID);
    done(&pkt);
    table_link_close(&link_);
}
END_TEST

START_TEST(packet_that_cannot_be_fragmented_is_refused_for_its_fault)
{
    table_link_policies(policies);
    open_gre();
    table_link_inner(0, TUNNELCAP_IPV4, 3000, false);
    world_frame.bytes[10] ^= 1;
    is_dropped(TUNNELCAP_E_CHECKSUM, 0);
    table_link_close(&link_);
    table_link_policies(policies);
    policies[0].mtu = 68;
    open_gre();
    policies[0].path_mtu = 80; /* 56 bytes inside */
    policies[0].path_floor = 68;
    table_link_set(&link_, 0, &policies[0]);
    table_link_inner(0, TUNNELCAP_IPV4, 100, false);
    is_dropped(TUNNELCAP_E_TOO_BIG, 56);
    table_link_close(&link_);
}
END_TEST

Suite *test_table_large_suite(void)
{
    const TTest *tests[] = {
        large_packets_go_through_as_inner_fragments,
        large_packets_go_through_as_outer_fragments,
        packet_that_forbids_fragments_is_answered_with_the_exact_mtu,
        answers_go_to_the_routing_instance_that_asked,
        packet_is_dropped_where_no_answer_may_be_sent,
        answers_are_limited_for_each_tunnel_by_the_callers_clock,
        refuse_mode_answers_as_if_fragments_were_forbidden,
        cleared_df_gets_an_identification_of_our_own,
        inner_ipv6_passes_up_to_1280_through_any_tunnel,
        limits_of_inner_packets_do_not_make_them_too_big_up_to_1280,
        ttl_is_decremented_where_asked_and_its_end_is_answered,
        what_has_arrived_keeps_its_ttl,
        fragments_wait_until_there_is_room_for_all_of_them,
        spares_without_room_refuse_the_whole_packet,
        packet_that_cannot_be_fragmented_is_refused_for_its_fault,
    };
    return test_suite("table_large", tests, TEST_COUNT(tests));
}
