/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* GRE in ESP transport mode: what the two do to one another. table_link has the kind among the
 * others, for all that they have in common. */
#include "table.h"
#include "table_link.h"

static tunnelcap_tunnel policies[2];
static table_link link_;

static void open_link(void)
{
    table_link_policies(policies);
    table_link_open(&link_, LINK_GRE_ESP, policies);
}

static tunnelcap_pkt sealed(uint32_t from, uint32_t family, uint32_t size)
{
    tunnelcap_result result;
    table_link_inner(from, family, size, true);
    tunnelcap_pkt pkt = test_pkt_room(world_frame.bytes, world_frame.len, 100, 64);
    test_ok(test_table_one(link_.lanes[from], TUNNELCAP_ENCAP, &pkt, NULL, &result));
    ck_assert_uint_eq(result.action, TUNNELCAP_DO_SEND);
    ck_assert_uint_eq(result.l3_len, 20);
    return pkt;
}

static int32_t hear(uint32_t end, tunnelcap_pkt *pkt, tunnelcap_result *result)
{
    return test_table_one(link_.lanes[end], TUNNELCAP_DECAP, pkt, NULL, result);
}

START_TEST(packets_go_as_gre_in_esp_and_come_back)
{
    open_link();
    for (uint32_t family = TUNNELCAP_IPV4; family <= TUNNELCAP_IPV6; family += 2) {
        tunnelcap_result result;
        tunnelcap_pkt pkt = sealed(0, family, 1442);
        const uint8_t *p = pkt.buf + pkt.off;
        ck_assert_uint_eq(pkt.len, 1500);
        ck_assert_uint_eq(p[9], 50);
        ck_assert_uint_eq(test_load32(p + 20), 0x1001);
        ck_assert_uint_eq(test_sum(0, p, 20), 0xffff);
        /* By hand, as the far end does it: IP and GRE, and then the packet. */
        tunnelcap_pkt copy = test_pkt(p, pkt.len, 0);
        tunnelcap_gre_config config = test_gre_config("198.51.100.1", "192.0.2.1", 0);
        tunnelcap_gre *gre = test_gre_new(&config);
        test_ok(test_esp_decap(link_.in[1], link_.lanes[1], &copy, NULL, NULL));
        ck_assert_uint_eq(copy.len, 1442 + 24);
        ck_assert_uint_eq(copy.buf[copy.off + 9], 47);
        test_ok(test_gre_decap(gre, &copy, NULL, NULL));
        ck_assert_mem_eq(copy.buf + copy.off, world_frame.bytes, world_frame.len);
        test_pkt_free(&copy);
        test_pkt_free(&pkt);
        tunnelcap_gre_free(gre);
        pkt = sealed(0, family, 300);
        ck_assert_status(hear(1, &pkt, &result), TUNNELCAP_OK);
        ck_assert_uint_eq(result.action, TUNNELCAP_DO_DELIVER);
        ck_assert_uint_eq(result.spi, 0x1001);
        ck_assert_uint_eq(pkt.len, 300);
        ck_assert_mem_eq(pkt.buf + pkt.off, world_frame.bytes, world_frame.len);
        test_pkt_free(&pkt);
    }
    tunnelcap_tunnel_info info;
    test_ok(tunnelcap_table_get_info(link_.tables[0], LINK_ID, &info, sizeof(info)));
    ck_assert_uint_eq(info.kind, TUNNELCAP_KIND_GRE_ESP);
    ck_assert_uint_eq(info.inner_mtu, 1442);
    ck_assert_uint_eq(info.limit4, 1402);
    ck_assert_uint_eq(info.headroom, 48); /* IP, ESP, IV, GRE, and room for an ICMP error */
    ck_assert_uint_eq(info.tailroom, tunnelcap_esp_tailroom(link_.out[0]));
    table_link_close(&link_);
}
END_TEST

/* MTU by hand: the largest packet whose outer packet fits, for all that changes the sum. */
START_TEST(mtu_follows_the_sum_of_both)
{
    static const char *const ends[2][2] = {{"192.0.2.1", "198.51.100.1"},
                                           {"2001:db8::1", "2001:db8::2"}};
    open_link();
    tunnelcap_table *table = test_table_new(1, 1, 1);
    tunnelcap_lane *lane = test_crypto_lane(&link_.toy.crypto, 4);
    test_ok(tunnelcap_table_attach(table, lane));
    for (uint32_t i = 0; i < 24; i++) {
        tunnelcap_transform transform = i & 1 ? test_cbc_sha256() : test_gcm();
        uint32_t six = i >> 1 & 1, udp = i >> 2 & 1, more = i >> 3;
        tunnelcap_esp_config config =
            test_esp_config(TUNNELCAP_ESP_OUT, ends[six][0], ends[six][1]);
        tunnelcap_gre_config gre = test_gre_config(
            ends[six][0], ends[six][1],
            more == 0 ? 0 : TUNNELCAP_GRE_KEY_OUT | (more == 2 ? TUNNELCAP_GRE_CHECKSUM : 0));
        tunnelcap_route route = test_route("0.0.0.0/0", 1);
        tunnelcap_tunnel_info info;
        tunnelcap_result result;
        config.mode = TUNNELCAP_ESP_TRANSPORT;
        config.flags = udp ? TUNNELCAP_ESP_UDP : 0;
        tunnelcap_esp *out = test_esp_new(&config, &transform, &link_.toy.crypto);
        test_ok(tunnelcap_table_begin(table));
        test_ok(tunnelcap_table_set_gre_esp(table, 1, NULL, &gre));
        test_sa_pair(table, 1, NULL, out);
        test_ok(tunnelcap_table_set_route(table, &route));
        test_ok(tunnelcap_table_commit(table, NULL));
        test_ok(tunnelcap_table_get_info(table, 1, &info, sizeof(info)));
        for (uint32_t over = 0; over <= 1; over++) {
            test_ip ip = test_between("10.0.0.1", "10.0.0.2");
            test_udp_packet(&world_frame, &ip, info.inner_mtu + over - 28);
            tunnelcap_pkt pkt =
                test_pkt_room(world_frame.bytes, world_frame.len, info.headroom, info.tailroom);
            ck_assert_status(test_table_one(lane, TUNNELCAP_ENCAP, &pkt, NULL, &result),
                             over ? TUNNELCAP_E_TOO_BIG : TUNNELCAP_OK);
            if (!over) {
                ck_assert_uint_le(pkt.len, 1500);
                ck_assert_uint_gt(pkt.len, 1500 - (i & 1 ? 16 : 4));
                ck_assert_uint_eq(result.l4_len, udp ? 8 : 0);
            }
            test_pkt_free(&pkt);
        }
        if (i == 0)
            ck_assert_uint_eq(info.inner_mtu, 1442);
        if (i == 2)
            ck_assert_uint_eq(info.inner_mtu, 1422);
        test_ok(tunnelcap_table_begin(table));
        test_ok(tunnelcap_table_remove(table, 1));
        test_ok(tunnelcap_table_commit(table, NULL));
        tunnelcap_esp_forget(out, lane);
        tunnelcap_esp_free(out);
    }
    test_table_end(table, lane);
    table_link_close(&link_);
}
END_TEST

START_TEST(gre_in_the_clear_is_refused)
{
    test_gre gre = {.protocol = 0x0800};
    tunnelcap_result result;
    open_link();
    for (uint32_t keepalive = 0; keepalive <= 1; keepalive++) {
        table_link_inner(0, TUNNELCAP_IPV4, 100, false);
        test_ip outer = table_link_outer(&link_, 0), back = table_link_outer(&link_, 1);
        if (keepalive) {
            test_gre none = {.protocol = 0};
            world_frame.len = 0;
            test_push_gre(&world_frame, &none);
            test_push_ip(&world_frame, &back, 47);
        }
        test_push_gre(&world_frame, &gre);
        test_push_ip(&world_frame, &outer, 47);
        tunnelcap_pkt pkt = test_pkt(world_frame.bytes, world_frame.len, 0);
        test_snapshot snap = test_snap(&pkt);
        ck_assert_status(hear(1, &pkt, &result), TUNNELCAP_E_AUTH);
        ck_assert_uint_eq(result.tunnel, LINK_ID);
        ck_assert_uint_eq(result.action, TUNNELCAP_DO_DROP);
        pkt.status = snap.pkt.status;
        test_unchanged(&snap, &pkt);
        test_pkt_free(&pkt);
    }
    world_check_sums(link_.tables[1], LINK_ID, TUNNELCAP_DECAP, 2);
    table_link_close(&link_);
}
END_TEST

/* What an SA lets through that is not the tunnel's GRE: another key, another protocol. */
START_TEST(esp_that_does_not_hold_its_gre_is_refused)
{
    static const struct {
        uint8_t protocol;
        test_gre gre;
        int32_t want;
    } rows[] = {
        {47, {.protocol = 0x0800}, TUNNELCAP_OK},
        {47, {TEST_GRE_K, 0x0800, 7, 0}, TUNNELCAP_E_NO_TUNNEL},
        {47, {1, 0x0800, 0, 0}, TUNNELCAP_E_GRE_VERSION},
        {17, {.protocol = 0x0800}, TUNNELCAP_E_PROTOCOL},
    };
    open_link();
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        tunnelcap_result result;
        test_ip outer = table_link_outer(&link_, 0);
        table_link_inner(0, TUNNELCAP_IPV4, 100, false);
        test_push_gre(&world_frame, &rows[i].gre);
        test_push_ip(&world_frame, &outer, rows[i].protocol);
        tunnelcap_pkt pkt = test_pkt_room(world_frame.bytes, world_frame.len, 64, 64);
        test_ok(test_esp_encap(link_.out[0], link_.lanes[0], &pkt, NULL));
        ck_assert_status(hear(1, &pkt, &result), rows[i].want);
        ck_assert_uint_eq(result.tunnel, LINK_ID);
        test_pkt_free(&pkt);
    }
    /* A keepalive would be answered in the clear. */
    tunnelcap_result result;
    test_ip outer = table_link_outer(&link_, 0), back = table_link_outer(&link_, 1);
    test_gre gre = {.protocol = 0x0800}, none = {.protocol = 0};
    world_frame.len = 0;
    test_push_gre(&world_frame, &none);
    test_push_ip(&world_frame, &back, 47);
    test_push_gre(&world_frame, &gre);
    test_push_ip(&world_frame, &outer, 47);
    tunnelcap_pkt pkt = test_pkt_room(world_frame.bytes, world_frame.len, 64, 64);
    test_ok(test_esp_encap(link_.out[0], link_.lanes[0], &pkt, NULL));
    ck_assert_status(hear(1, &pkt, &result), TUNNELCAP_E_PROTOCOL);
    ck_assert_uint_eq(result.action, TUNNELCAP_DO_DROP);
    test_pkt_free(&pkt);
    table_link_close(&link_);
}
END_TEST

START_TEST(packet_that_esp_refuses_is_as_it_was)
{
    open_link();
    for (uint32_t what = 0; what < 3; what++) {
        tunnelcap_transform transform = test_gcm();
        tunnelcap_esp_config config =
            test_esp_config(TUNNELCAP_ESP_OUT, "192.0.2.1", "198.51.100.1");
        tunnelcap_result result;
        config.mode = TUNNELCAP_ESP_TRANSPORT;
        config.spi = 0x5000 + what;
        config.hard_packets = what == 1 ? 1 : 0;
        if (what == 2)
            config.seq_start = UINT32_MAX;
        tunnelcap_esp *out = test_esp_new(&config, &transform, &link_.toy.crypto);
        test_ok(tunnelcap_table_begin(link_.tables[0]));
        test_ok(tunnelcap_table_set_sa(link_.tables[0], LINK_ID, out, TUNNELCAP_SA_OUT_ACTIVE, 0));
        policies[0].flags |= TUNNELCAP_TUNNEL_TTL_ENCAP;
        tunnelcap_gre_config gre = test_gre_config("192.0.2.1", "198.51.100.1", 0);
        test_ok(tunnelcap_table_set_gre_esp(link_.tables[0], LINK_ID, &policies[0], &gre));
        test_ok(tunnelcap_table_commit(link_.tables[0], NULL));
        for (uint32_t i = 0; i < 2; i++) {
            bool refused = what == 0 || i == 1;
            table_link_inner(0, TUNNELCAP_IPV4, 100, false);
            tunnelcap_pkt pkt =
                test_pkt_room(world_frame.bytes, world_frame.len, 80, what == 0 ? 3 : 64);
            test_snapshot snap = test_snap(&pkt);
            ck_assert_status(test_table_one(link_.lanes[0], TUNNELCAP_ENCAP, &pkt, NULL, &result),
                             !refused    ? TUNNELCAP_OK
                             : what == 0 ? TUNNELCAP_E_TAILROOM
                             : what == 1 ? TUNNELCAP_E_EXPIRED
                                         : TUNNELCAP_E_SEQ_EXHAUSTED);
            if (refused) { /* window and packet; what was headroom may have been written */
                ck_assert_uint_eq(pkt.off, snap.pkt.off);
                ck_assert_uint_eq(pkt.len, snap.pkt.len);
                ck_assert_mem_eq(pkt.buf + pkt.off, world_frame.bytes, world_frame.len);
            }
            free(snap.bytes);
            test_pkt_free(&pkt);
        }
        test_ok(tunnelcap_table_begin(link_.tables[0]));
        test_ok(tunnelcap_table_remove_sa(link_.tables[0], LINK_ID, out));
        test_ok(tunnelcap_table_commit(link_.tables[0], NULL));
        tunnelcap_esp_forget(out, link_.lanes[0]);
        tunnelcap_esp_free(out);
    }
    table_link_close(&link_);
}
END_TEST

START_TEST(gre_in_esp_is_refused_with_its_reasons)
{
    tunnelcap_gre_config udp = test_gre_config("192.0.2.1", "198.51.100.1", TUNNELCAP_GRE_UDP);
    tunnelcap_gre_config gre = test_gre_config("192.0.2.1", "198.51.100.1", 0);
    tunnelcap_transform transform = test_gcm();
    tunnelcap_esp_config config = test_esp_config(TUNNELCAP_ESP_OUT, "192.0.2.1", "198.51.100.1");
    tunnelcap_result result;
    tunnelcap_sa_info info;
    open_link();
    tunnelcap_table *table = link_.tables[0];
    config.spi = 0x7000;
    tunnelcap_esp *out = test_esp_new(&config, &transform, &link_.toy.crypto);
    config.direction = TUNNELCAP_ESP_IN;
    tunnelcap_esp *in = test_esp_new(&config, &transform, &link_.toy.crypto);
    ck_assert_status(tunnelcap_table_set_gre_esp(table, 1, NULL, &gre), TUNNELCAP_E_STATE);
    test_ok(tunnelcap_table_begin(table));
    ck_assert_status(tunnelcap_table_set_gre_esp(table, 1, NULL, &udp), TUNNELCAP_E_FLAGS);
    ck_assert_status(tunnelcap_table_set_gre_esp(table, 1, NULL, &gre), TUNNELCAP_E_EXISTS);
    ck_assert_status(tunnelcap_table_set_sa(table, LINK_ID, out, TUNNELCAP_SA_STAGED, 0),
                     TUNNELCAP_E_MODE);
    ck_assert_status(tunnelcap_table_set_sa(table, LINK_ID, in, TUNNELCAP_SA_STAGED, 0),
                     TUNNELCAP_E_MODE);
    test_ok(tunnelcap_table_set_gre_esp(table, LINK_ID, NULL, &gre)); /* again: it keeps its SAs */
    test_ok(tunnelcap_table_commit(table, NULL));
    test_ok(tunnelcap_table_sa_at(table, LINK_ID, 1, &info, sizeof(info)));
    tunnelcap_pkt pkt = sealed(0, TUNNELCAP_IPV4, 100);
    test_pkt_free(&pkt);
    test_ok(tunnelcap_table_begin(table));
    test_ok(tunnelcap_table_set_gre(table, LINK_ID, NULL, &gre)); /* plain GRE: it does not */
    test_ok(tunnelcap_table_commit(table, NULL));
    ck_assert_status(tunnelcap_table_sa_at(table, LINK_ID, 0, &info, sizeof(info)),
                     TUNNELCAP_E_NOT_FOUND);
    table_link_inner(0, TUNNELCAP_IPV4, 100, false);
    pkt = test_pkt_room(world_frame.bytes, world_frame.len, 100, 64);
    test_ok(test_table_one(link_.lanes[0], TUNNELCAP_ENCAP, &pkt, NULL, &result));
    ck_assert_uint_eq(pkt.buf[pkt.off + 9], 47);
    test_pkt_free(&pkt);
    test_ok(tunnelcap_table_begin(table));
    test_ok(tunnelcap_table_set_gre_esp(table, LINK_ID, NULL, &gre)); /* and now without an SA */
    test_ok(tunnelcap_table_commit(table, NULL));
    pkt = test_pkt_room(world_frame.bytes, world_frame.len, 100, 64);
    ck_assert_status(test_table_one(link_.lanes[0], TUNNELCAP_ENCAP, &pkt, NULL, &result),
                     TUNNELCAP_E_NEED_SA);
    test_pkt_free(&pkt);
    tunnelcap_esp_free(out);
    tunnelcap_esp_free(in);
    table_link_close(&link_);
}
END_TEST

/* Whatever stood in the checksum of an inner packet from the kernel is finished once. */
START_TEST(unfinished_checksums_are_finished_before_encryption)
{
    tunnelcap_result result;
    open_link();
    table_link_inner(0, TUNNELCAP_IPV4, 200, false);
    test_ip ip = test_between("203.0.113.9", "10.1.0.9");
    tunnelcap_meta meta = {
        .flags = TUNNELCAP_META_CSUM_PARTIAL, .csum_start = 20, .csum_offset = 6};
    tunnelcap_pkt pkt = test_pkt_room(world_frame.bytes, world_frame.len, 100, 64);
    test_store16(pkt.buf + pkt.off + 26, test_pseudo(&ip, 17, world_frame.len - 20));
    test_ok(test_table_one(link_.lanes[0], TUNNELCAP_ENCAP, &pkt, &meta, &result));
    ck_assert_status(hear(1, &pkt, &result), TUNNELCAP_OK);
    ck_assert_mem_eq(pkt.buf + pkt.off, world_frame.bytes, world_frame.len);
    test_pkt_free(&pkt);
    table_link_close(&link_);
}
END_TEST

/* The IP header has moved by then from where the packet came in. */
START_TEST(peer_that_moves_is_told_by_its_address)
{
    tunnelcap_event event;
    tunnelcap_result result;
    open_link();
    for (uint32_t i = 0; i < 2; i++) {
        tunnelcap_pkt pkt = sealed(0, TUNNELCAP_IPV4, 100);
        uint8_t *p = pkt.buf + pkt.off;
        if (i == 1) {
            p[15] = 99;
            test_store16(p + 10, 0);
            test_store16(p + 10, (uint16_t)~test_sum(0, p, 20));
        }
        /* GRE itself is bound to its addresses. */
        ck_assert_status(hear(1, &pkt, &result), i == 1 ? TUNNELCAP_E_NO_TUNNEL : TUNNELCAP_OK);
        test_pkt_free(&pkt);
    }
    tunnelcap_addr moved = test_addr("192.0.2.99");
    ck_assert_uint_eq(tunnelcap_lane_events(link_.lanes[1], &event, 1, NULL), 1);
    ck_assert_uint_eq(event.kind, TUNNELCAP_EVENT_PEER_MOVED);
    ck_assert_mem_eq(&event.addr, &moved, sizeof(moved));
    table_link_close(&link_);
}
END_TEST

Suite *test_table_gre_esp_suite(void)
{
    const TTest *tests[] = {
        packets_go_as_gre_in_esp_and_come_back,
        mtu_follows_the_sum_of_both,
        gre_in_the_clear_is_refused,
        esp_that_does_not_hold_its_gre_is_refused,
        packet_that_esp_refuses_is_as_it_was,
        gre_in_esp_is_refused_with_its_reasons,
        unfinished_checksums_are_finished_before_encryption,
        peer_that_moves_is_told_by_its_address,
    };
    return test_suite("table_gre_esp", tests, TEST_COUNT(tests));
}
