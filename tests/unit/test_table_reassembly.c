/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The table and fragments that come in, of outer packets and of inner ones. */
#include "table_link.h"

static tunnelcap_tunnel policies[2];
static table_link link_;
static world_call call;

enum { PIECES_MAX = 40 };

/* Packets that wait for the far end. */
static tunnelcap_pkt pieces[PIECES_MAX];
static uint32_t count;

/* Split a packet of the test's own making, or an outer one, as its source would. */
static void split(const uint8_t *bytes, uint32_t len, uint32_t mtu)
{
    tunnelcap_pkt pkt = test_pkt(bytes, len, 0);
    tunnelcap_fragment_config config;
    tunnelcap_fragments it;
    test_ok(tunnelcap_fragment_config_init(&config, sizeof(config), mtu));
    config.flags = TUNNELCAP_FRAGMENT_AS_SOURCE | TUNNELCAP_FRAGMENT_CLEAR_DF;
    config.id = 0x4711;
    test_ok(tunnelcap_fragment_begin(&it, &pkt, NULL, &config));
    count = tunnelcap_fragment_count(&it);
    ck_assert_uint_le(count, PIECES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        pieces[i] = test_pkt(NULL, 0, tunnelcap_fragment_len(&it));
        pieces[i].off = 0;
        test_ok(tunnelcap_fragment_next(&it, &pieces[i]));
    }
    test_pkt_free(&pkt);
}

static void free_pieces(void)
{
    for (uint32_t i = 0; i < count; i++)
        test_pkt_free(&pieces[i]);
    count = 0;
}

/* The inner packet of `total` bytes in world_frame, wrapped by the near end. */
static tunnelcap_pkt wrapped(uint32_t family, uint32_t total)
{
    tunnelcap_result result;
    table_link_inner(0, family, total, true);
    tunnelcap_pkt pkt = test_pkt_room(world_frame.bytes, world_frame.len, 80, 64);
    test_ok(test_table_one(link_.lanes[0], TUNNELCAP_ENCAP, &pkt, NULL, &result));
    return pkt;
}

static void wrapped_in_fragments(uint32_t total, uint32_t mtu)
{
    tunnelcap_pkt outer = wrapped(TUNNELCAP_IPV4, total);
    split(outer.buf + outer.off, outer.len, mtu);
    test_pkt_free(&outer);
}

static void open_link(uint32_t kind, bool outer, bool inner)
{
    table_link_policies(policies);
    policies[1].flags |= TUNNELCAP_TUNNEL_REASSEMBLE;
    table_link_open(&link_, kind, policies);
    table_link_reassemble(&link_, outer, inner);
}

static uint32_t calls_until_done(uint32_t spares, uint32_t result_cap, uint32_t *delivered)
{
    uint32_t at = 0, calls = 0;
    *delivered = 0;
    for (; at < count; calls++) {
        ck_assert_uint_lt(calls, 2 * PIECES_MAX);
        world_call_open(&call, spares, 0, 66000);
        call.burst.result_cap = result_cap;
        test_ok(world_call_run(&call, link_.lanes[1], TUNNELCAP_DECAP, pieces + at, count - at));
        ck_assert_uint_gt(call.burst.pkt_done, 0);
        for (uint32_t i = 0; i < call.burst.result_count; i++) {
            const tunnelcap_pkt *pkt = world_call_pkt(&call, i);
            if (call.results[i].action != TUNNELCAP_DO_DELIVER)
                continue;
            (*delivered)++;
            ck_assert_uint_eq(pkt->len, world_frame.len);
            ck_assert_mem_eq(pkt->buf + pkt->off + 20, world_frame.bytes + 20,
                             world_frame.len - 20);
        }
        at += call.burst.pkt_done;
        world_call_close(&call);
    }
    return calls;
}

START_TEST(outer_fragments_need_a_spare_only_for_the_last_one)
{
    for (uint32_t kind = 0; kind < LINK_KINDS; kind++) {
        uint32_t delivered;
        open_link(kind, true, false);
        wrapped_in_fragments(1400, kind == LINK_GRE6 || kind == LINK_ESP_UDP6 ? 1280 : 300);
        world_call_open(&call, 0, 0, 0);
        test_ok(world_call_run(&call, link_.lanes[1], TUNNELCAP_DECAP, pieces, count - 1));
        ck_assert_uint_eq(call.burst.pkt_done, count - 1);
        for (uint32_t i = 0; i + 1 < count; i++) {
            ck_assert_uint_eq(call.results[i].action, TUNNELCAP_DO_KEPT);
            ck_assert_status(call.results[i].status, TUNNELCAP_KEPT);
            ck_assert_uint_eq(call.results[i].tunnel, 0);
        }
        test_ok(world_call_run(&call, link_.lanes[1], TUNNELCAP_DECAP, pieces + count - 1, 1));
        ck_assert_status(call.results[0].status, TUNNELCAP_E_FULL); /* no spare at all */
        world_call_close(&call);
        ck_assert_uint_eq(calls_until_done(1, CALL_RESULTS, &delivered), 1); /* duplicates */
        ck_assert_uint_eq(delivered, 1);
        tunnelcap_stats stats;
        test_ok(tunnelcap_table_get_stats(link_.tables[1], 0, &stats, sizeof(stats)));
        ck_assert_uint_eq(stats.decap.reassembled, 1);
        ck_assert_uint_eq(stats.decap.kept, 2 * count - 1);
        ck_assert_uint_eq(stats.decap.refused, 1);
        test_ok(tunnelcap_table_get_stats(link_.tables[1], LINK_ID, &stats, sizeof(stats)));
        ck_assert_uint_eq(stats.decap.packets, 1);
        free_pieces();
        table_link_close(&link_);
    }
}
END_TEST

START_TEST(calls_end_before_the_datagram_that_there_is_no_room_for)
{
    for (uint32_t mix = 0; mix < 8; mix++) {
        uint32_t kind = mix & 1 ? LINK_ESP : LINK_GRE, delivered;
        bool by_spares = mix & 2, inner = mix & 4;
        open_link(kind, true, inner);
        wrapped_in_fragments(1400, 300);
        tunnelcap_pkt more[PIECES_MAX];
        uint32_t more_count = count;
        memcpy(more, pieces, sizeof(more));
        tunnelcap_pkt outer = test_pkt(world_frame.bytes, world_frame.len, 0);
        wrapped_in_fragments(1400, 300);
        for (uint32_t i = 0; i < count; i++) { /* another identification: another datagram */
            pieces[i].buf[5] ^= 1;
            test_store16(pieces[i].buf + 10, 0);
            test_store16(pieces[i].buf + 10, (uint16_t)~test_sum(0, pieces[i].buf, 20));
        }
        ck_assert_uint_le(count + more_count, PIECES_MAX);
        memcpy(pieces + count, more, more_count * sizeof(more[0]));
        count += more_count;
        /* One spare, or two results, suffice for one datagram at a time; where it may hold an inner
         * fragment, twice as much is asked for if there is as much in all. */
        uint32_t calls =
            calls_until_done(by_spares ? 1 : 8, by_spares ? CALL_RESULTS : 3, &delivered);
        ck_assert_uint_eq(delivered, 2);
        ck_assert_uint_gt(calls, 1);
        test_pkt_free(&outer);
        free_pieces();
        table_link_close(&link_);
    }
}
END_TEST

START_TEST(fragments_that_nobody_expects_are_dropped)
{
    open_link(LINK_GRE, false, false);
    wrapped_in_fragments(1400, 300);
    tunnelcap_result result;
    ck_assert_status(test_table_one(link_.lanes[1], TUNNELCAP_DECAP, &pieces[0], NULL, &result),
                     TUNNELCAP_E_FRAGMENT); /* the lane does not reassemble */
    table_link_reassemble(&link_, true, false);
    pieces[1].buf[15] ^= 1; /* from elsewhere */
    ck_assert_status(test_table_one(link_.lanes[1], TUNNELCAP_DECAP, &pieces[1], NULL, &result),
                     TUNNELCAP_E_FRAGMENT);
    ck_assert_uint_eq(result.action, TUNNELCAP_DO_DROP);
    pieces[2].buf[10] ^= 1;
    ck_assert_status(test_table_one(link_.lanes[1], TUNNELCAP_DECAP, &pieces[2], NULL, &result),
                     TUNNELCAP_E_CHECKSUM);
    free_pieces();
    table_link_close(&link_);
}
END_TEST

START_TEST(datagram_larger_than_the_spare_waits_for_a_larger_one)
{
    open_link(LINK_GRE, true, false);
    wrapped_in_fragments(1400, 300);
    world_call_open(&call, 1, 0, 1423);
    test_ok(world_call_run(&call, link_.lanes[1], TUNNELCAP_DECAP, pieces, count));
    ck_assert_uint_eq(call.burst.pkt_done, count);
    ck_assert_uint_eq(call.burst.spare_used, 0);
    ck_assert_status(call.results[count - 1].status, TUNNELCAP_E_TAILROOM);
    world_call_close(&call);
    world_call_open(&call, 1, 0, 1424);
    test_ok(world_call_run(&call, link_.lanes[1], TUNNELCAP_DECAP, pieces + count - 1, 1));
    ck_assert_uint_eq(call.burst.spare_used, 1);
    ck_assert_uint_eq(call.results[1].action, TUNNELCAP_DO_DELIVER);
    world_call_close(&call);
    free_pieces();
    table_link_close(&link_);
}
END_TEST

/* Each inner fragment wrapped by itself, by the near end. */
static void wrap_inner_fragments(uint32_t family, uint32_t total, uint32_t mtu)
{
    table_link_inner(0, family, total, false);
    split(world_frame.bytes, world_frame.len, mtu);
    for (uint32_t i = 0; i < count; i++) {
        tunnelcap_result result;
        tunnelcap_pkt pkt = test_pkt_room(pieces[i].buf + pieces[i].off, pieces[i].len, 80, 64);
        test_pkt_free(&pieces[i]);
        test_ok(test_table_one(link_.lanes[0], TUNNELCAP_ENCAP, &pkt, NULL, &result));
        pieces[i] = pkt;
    }
}

START_TEST(inner_fragments_are_delivered_whole_where_the_tunnel_says_so)
{
    for (uint32_t kind = 0; kind < LINK_KINDS; kind++) {
        for (uint32_t mix = 0; mix < 8; mix++) {
            uint32_t family = mix & 1 ? TUNNELCAP_IPV6 : TUNNELCAP_IPV4;
            bool asked = mix & 2, able = mix & 4;
            table_link_policies(policies);
            if (asked)
                policies[1].flags |= TUNNELCAP_TUNNEL_REASSEMBLE;
            table_link_open(&link_, kind, policies);
            table_link_reassemble(&link_, false, able);
            wrap_inner_fragments(family, 5000, 1280);
            world_call_open(&call, 8, 0, 66000);
            test_ok(world_call_run(&call, link_.lanes[1], TUNNELCAP_DECAP, pieces, count));
            ck_assert_uint_eq(call.burst.pkt_done, count);
            ck_assert_uint_eq(call.burst.result_count, count + (asked && able));
            for (uint32_t i = 0; i < count; i++) {
                const tunnelcap_result *r = &call.results[i];
                ck_assert_uint_eq(r->action,
                                  asked && able ? TUNNELCAP_DO_KEPT : TUNNELCAP_DO_DELIVER);
                ck_assert_uint_eq(r->tunnel, LINK_ID);
            }
            if (asked && able) {
                const tunnelcap_result *r = &call.results[count];
                const tunnelcap_pkt *whole = world_call_pkt(&call, count);
                uint32_t header = family == TUNNELCAP_IPV4 ? 20 : 40;
                test_ok(r->status);
                ck_assert_uint_eq(r->action, TUNNELCAP_DO_DELIVER);
                ck_assert_uint_eq(r->value, family == TUNNELCAP_IPV4 ? 0x0800 : 0x86dd);
                ck_assert_uint_eq(r->l3_len, header);
                ck_assert_uint_eq(whole->len, world_frame.len);
                ck_assert_mem_eq(whole->buf + whole->off + header, world_frame.bytes + header,
                                 world_frame.len - header);
            }
            world_check_sums(link_.tables[1], LINK_ID, TUNNELCAP_DECAP, count);
            world_call_close(&call);
            free_pieces();
            table_link_close(&link_);
        }
    }
}
END_TEST

START_TEST(inner_fragments_go_through_with_one_spare_and_two_results)
{
    for (uint32_t kind = 0; kind < LINK_KINDS; kind++) {
        for (uint32_t tight = 0; tight < 2; tight++) {
            uint32_t at = 0, delivered = 0;
            open_link(kind, false, true);
            wrap_inner_fragments(TUNNELCAP_IPV4, 5000, 600);
            for (uint32_t calls = 0; at < count; calls++) {
                ck_assert_uint_le(calls, count);
                world_call_open(&call, 1, 0, 66000);
                call.burst.result_cap = tight ? 2 : CALL_RESULTS;
                test_ok(world_call_run(&call, link_.lanes[1], TUNNELCAP_DECAP, pieces + at,
                                       count - at));
                ck_assert_uint_gt(call.burst.pkt_done, 0);
                at += call.burst.pkt_done;
                for (uint32_t i = 0; i < call.burst.result_count; i++)
                    delivered += call.results[i].action == TUNNELCAP_DO_DELIVER;
                world_call_close(&call);
            }
            ck_assert_uint_eq(delivered, 1);
            free_pieces();
            /* Without any spare the fragment that completes the datagram has no place to go. */
            wrap_inner_fragments(TUNNELCAP_IPV4, 1000, 600);
            world_call_open(&call, 0, 0, 0);
            test_ok(world_call_run(&call, link_.lanes[1], TUNNELCAP_DECAP, pieces, count));
            ck_assert_uint_eq(call.burst.pkt_done, 2);
            ck_assert_status(call.results[0].status, TUNNELCAP_KEPT);
            ck_assert_status(call.results[1].status, TUNNELCAP_E_FULL);
            world_call_close(&call);
            free_pieces();
            table_link_close(&link_);
        }
    }
}
END_TEST

START_TEST(fragments_within_fragments_come_out_whole)
{
    for (uint32_t kind = 0; kind < LINK_KINDS; kind++) {
        open_link(kind, true, true);
        bool six = kind == LINK_GRE6 || kind == LINK_ESP_UDP6;
        uint32_t delivered = 0;
        table_link_inner(0, TUNNELCAP_IPV4, 2800, false);
        split(world_frame.bytes, world_frame.len, 1400);
        tunnelcap_pkt inner[4];
        uint32_t inner_count = count;
        memcpy(inner, pieces, sizeof(inner));
        for (uint32_t i = 0; i < inner_count; i++) {
            tunnelcap_result result;
            tunnelcap_pkt pkt = test_pkt_room(inner[i].buf, inner[i].len, 80, 64);
            test_ok(test_table_one(link_.lanes[0], TUNNELCAP_ENCAP, &pkt, NULL, &result));
            split(pkt.buf + pkt.off, pkt.len, six ? 1280 : 500);
            world_call_open(&call, 2, 0, 66000);
            test_ok(world_call_run(&call, link_.lanes[1], TUNNELCAP_DECAP, pieces, count));
            ck_assert_uint_eq(call.burst.pkt_done, count);
            for (uint32_t k = 0; k < call.burst.result_count; k++) {
                if (call.results[k].action != TUNNELCAP_DO_DELIVER)
                    continue;
                const tunnelcap_pkt *whole = world_call_pkt(&call, k);
                delivered++;
                ck_assert_uint_eq(whole->len, 2800);
                ck_assert_mem_eq(whole->buf + whole->off + 20, world_frame.bytes + 20, 2780);
            }
            world_call_close(&call);
            free_pieces();
            test_pkt_free(&pkt);
            test_pkt_free(&inner[i]);
        }
        ck_assert_uint_eq(delivered, 1);
        table_link_close(&link_);
    }
}
END_TEST

START_TEST(set_reassembly_refuses_what_it_documents)
{
    open_link(LINK_GRE, true, true);
    ck_assert_status(tunnelcap_table_set_reassembly(NULL, NULL, NULL), TUNNELCAP_E_INVALID);
    ck_assert_status(
        tunnelcap_table_set_reassembly(link_.lanes[1], link_.reassembly[0], link_.reassembly[0]),
        TUNNELCAP_E_INVALID);
    test_ok(tunnelcap_table_set_reassembly(link_.lanes[1], NULL, NULL));
    wrapped_in_fragments(1400, 300);
    tunnelcap_result result;
    ck_assert_status(test_table_one(link_.lanes[1], TUNNELCAP_DECAP, &pieces[0], NULL, &result),
                     TUNNELCAP_E_FRAGMENT);
    free_pieces();
    table_link_close(&link_);
}
END_TEST

Suite *test_table_reassembly_suite(void)
{
    const TTest *tests[] = {
        outer_fragments_need_a_spare_only_for_the_last_one,
        calls_end_before_the_datagram_that_there_is_no_room_for,
        fragments_that_nobody_expects_are_dropped,
        datagram_larger_than_the_spare_waits_for_a_larger_one,
        inner_fragments_are_delivered_whole_where_the_tunnel_says_so,
        inner_fragments_go_through_with_one_spare_and_two_results,
        fragments_within_fragments_come_out_whole,
        set_reassembly_refuses_what_it_documents,
    };
    return test_suite("table_reassembly", tests, TEST_COUNT(tests));
}
