/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The table where two of its features meet: small MTUs, answers into tunnels, what is left over. */
#include "table_link.h"

static tunnelcap_tunnel policies[2];
static table_link link_;
static world_call call;

/* Leave bytes other than zero on the stack, where later calls have what they do not set. */
static void soil_stack(void)
{
    volatile uint8_t soil[8192];
    for (uint32_t i = 0; i < sizeof(soil); i++)
        soil[i] = 0xa5;
}

START_TEST(outer_fragments_tell_the_length_of_their_headers)
{
    for (uint32_t kind = 0; kind < LINK_KINDS; kind++) {
        bool six = kind == LINK_GRE6 || kind == LINK_ESP_UDP6;
        bool udp = kind == LINK_GRE_UDP || kind == LINK_ESP_UDP6;
        table_link_policies(policies);
        policies[0].fragment_mode = TUNNELCAP_FRAGMENT_OUTER;
        table_link_open(&link_, kind, policies);
        table_link_inner(0, TUNNELCAP_IPV4, 3000, false);
        tunnelcap_pkt pkt = test_pkt_room(world_frame.bytes, world_frame.len, 80, 64);
        world_call_open(&call, 4, CALL_HEADROOM, 1600);
        soil_stack();
        test_ok(world_call_run(&call, link_.lanes[0], TUNNELCAP_ENCAP, &pkt, 1));
        ck_assert_uint_eq(call.burst.result_count, 4);
        ck_assert_uint_eq(call.results[0].l3_len, 0);
        for (uint32_t i = 1; i < call.burst.result_count; i++) {
            ck_assert_uint_eq(call.results[i].action, TUNNELCAP_DO_SEND);
            ck_assert_uint_eq(call.results[i].l3_len, six ? 48 : 20);
            ck_assert_uint_eq(call.results[i].l4_len, udp && i == 1 ? 8 : 0);
        }
        world_call_close(&call);
        test_pkt_free(&pkt);
        table_link_close(&link_);
    }
}
END_TEST

/* The tunnel's own MTU may be less than what the path carries: then there is nothing to split. */
START_TEST(outer_packet_that_fits_the_path_takes_no_spare)
{
    for (uint32_t kind = 0; kind < LINK_KINDS; kind++) {
        for (uint32_t family = TUNNELCAP_IPV4; family <= TUNNELCAP_IPV6; family += 2) {
            table_link_policies(policies);
            policies[0].fragment_mode = TUNNELCAP_FRAGMENT_OUTER;
            policies[0].mtu = 1000;
            table_link_open(&link_, kind, policies);
            table_link_inner(0, family, 1200, false);
            tunnelcap_pkt pkt = test_pkt_room(world_frame.bytes, world_frame.len, 80, 64);
            tunnelcap_result result;
            test_ok(test_table_one(link_.lanes[0], TUNNELCAP_ENCAP, &pkt, NULL, &result));
            ck_assert_uint_eq(result.action, TUNNELCAP_DO_SEND);
            ck_assert_uint_eq(result.flags & TUNNELCAP_RESULT_SPARE, 0);
            ck_assert_uint_gt(pkt.len, 1200);
            ck_assert_uint_le(pkt.len, 1500);
            tunnelcap_stats stats;
            test_ok(tunnelcap_table_get_stats(link_.tables[0], LINK_ID, &stats, sizeof(stats)));
            ck_assert_uint_eq(stats.encap.fragments, 0);
            world_check_sums(link_.tables[0], LINK_ID, TUNNELCAP_ENCAP, 1);
            test_pkt_free(&pkt);
            table_link_close(&link_);
        }
    }
}
END_TEST

/* What the near end sends of world_frame, in which the far end will find no TTL left. */
static tunnelcap_pkt last_hop(uint32_t family)
{
    tunnelcap_result result;
    table_link_inner(0, family, 1400, false);
    world_frame.bytes[family == TUNNELCAP_IPV6 ? 7 : 8] = 1;
    if (family == TUNNELCAP_IPV4) {
        test_store16(world_frame.bytes + 10, 0);
        test_store16(world_frame.bytes + 10, (uint16_t)~test_sum(0, world_frame.bytes, 20));
    }
    tunnelcap_pkt pkt = test_pkt_room(world_frame.bytes, world_frame.len, 180, 64);
    test_ok(test_table_one(link_.lanes[0], TUNNELCAP_ENCAP, &pkt, NULL, &result));
    return pkt;
}

START_TEST(answer_into_a_tunnel_fits_its_path)
{
    for (uint32_t kind = 0; kind < LINK_KINDS; kind++) {
        for (uint32_t family = TUNNELCAP_IPV4; family <= TUNNELCAP_IPV6; family += 2) {
            bool six = kind == LINK_GRE6 || kind == LINK_ESP_UDP6;
            table_link_policies(policies);
            policies[1].flags |= TUNNELCAP_TUNNEL_TTL_DECAP;
            policies[1].path_mtu = six ? 1280 : 576;
            table_link_open(&link_, kind, policies);
            tunnelcap_pkt pkt = last_hop(family);
            tunnelcap_result result;
            ck_assert_status(test_table_one(link_.lanes[1], TUNNELCAP_DECAP, &pkt, NULL, &result),
                             TUNNELCAP_E_TTL);
            ck_assert_uint_eq(result.action, TUNNELCAP_DO_REPLY);
            ck_assert_uint_le(pkt.len, policies[1].path_mtu);
            ck_assert_uint_ge(pkt.len, policies[1].path_mtu - (six && family == 4 ? 704 : 3));
            /* The near end takes it for what it is. */
            test_ok(test_table_one(link_.lanes[0], TUNNELCAP_DECAP, &pkt, NULL, &result));
            ck_assert_uint_eq(result.action, TUNNELCAP_DO_DELIVER);
            const uint8_t *icmp = pkt.buf + pkt.off + (family == TUNNELCAP_IPV6 ? 40 : 20);
            ck_assert_uint_eq(icmp[0], family == TUNNELCAP_IPV6 ? 3 : 11);
            ck_assert_mem_eq(icmp + 8, world_frame.bytes,
                             pkt.len - (uint32_t)(icmp + 8 - (pkt.buf + pkt.off)));
            test_pkt_free(&pkt);
            table_link_close(&link_);
        }
    }
}
END_TEST

START_TEST(answer_that_no_tunnel_takes_is_a_drop_like_any_other)
{
    table_link_policies(policies);
    policies[1].flags |= TUNNELCAP_TUNNEL_TTL_DECAP;
    table_link_open(&link_, LINK_ESP, policies);
    test_ok(tunnelcap_table_begin(link_.tables[1])); /* the far end may only receive */
    test_ok(
        tunnelcap_table_set_sa(link_.tables[1], LINK_ID, link_.out[1], TUNNELCAP_SA_IN_READY, 0));
    test_ok(tunnelcap_table_commit(link_.tables[1], NULL));
    tunnelcap_pkt pkt = last_hop(TUNNELCAP_IPV4);
    tunnelcap_result result;
    ck_assert_status(test_table_one(link_.lanes[1], TUNNELCAP_DECAP, &pkt, NULL, &result),
                     TUNNELCAP_E_TTL);
    ck_assert_uint_eq(result.action, TUNNELCAP_DO_DROP);
    ck_assert_uint_eq(result.l3_len, 0);
    ck_assert_uint_eq(result.l4_len, 0);
    world_check_sums(link_.tables[1], LINK_ID, TUNNELCAP_DECAP, 1);
    test_pkt_free(&pkt);
    table_link_close(&link_);
}
END_TEST

Suite *test_table_edges_suite(void)
{
    const TTest *tests[] = {
        outer_fragments_tell_the_length_of_their_headers,
        outer_packet_that_fits_the_path_takes_no_spare,
        answer_into_a_tunnel_fits_its_path,
        answer_that_no_tunnel_takes_is_a_drop_like_any_other,
    };
    return test_suite("table_edges", tests, TEST_COUNT(tests));
}
