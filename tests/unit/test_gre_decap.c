/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* GRE decapsulation: headers and payloads that others made, honest and hostile. */
#include "gre_peer.h"

/* ---- hostile bytes ---- */

START_TEST(decap_refuses_every_truncated_packet)
{
    static const uint16_t layouts[] = {0, TEST_GRE_C, TEST_GRE_K | TEST_GRE_S,
                                       TEST_GRE_C | TEST_GRE_K | TEST_GRE_S};
    for (size_t i = 0; i < TEST_COUNT(layouts); i++) {
        test_gre header = {layouts[i], TUNNELCAP_ETHERTYPE_IPV4, 77, 5};
        uint32_t key = layouts[i] & TEST_GRE_K ? TUNNELCAP_GRE_KEY_IN : 0;
        tunnelcap_gre *plain4 = peer_open4(key), *plain6 = peer_open6(key);
        tunnelcap_gre *udp4 = peer_open4(key | TUNNELCAP_GRE_UDP),
                      *udp6 = peer_open6(key | TUNNELCAP_GRE_UDP);
        test_ip ip4 = peer_outer4(), ip6 = peer_outer6();

        peer_build4(&header, 20);
        test_truncation(peer_frame.bytes, peer_frame.len, TUNNELCAP_E_TRUNCATED, peer_feed, plain4);
        peer_push_inner(&header, 20);
        test_push_ip(&peer_frame, &ip6, PEER_GRE);
        test_truncation(peer_frame.bytes, peer_frame.len, TUNNELCAP_E_TRUNCATED, peer_feed, plain6);
        peer_push_inner(&header, 20);
        test_push_udp(&peer_frame, &ip4, 50000, 4754);
        test_push_ip_options(&peer_frame, &ip4, PEER_UDP, "\1\1\1\0", 4);
        test_truncation(peer_frame.bytes, peer_frame.len, TUNNELCAP_E_TRUNCATED, peer_feed, udp4);
        peer_push_inner(&header, 20);
        test_push_udp(&peer_frame, &ip6, 50000, 4754);
        test_push_ext(&peer_frame, PEER_UDP, "\4\1\4\1\1\0", 6);
        test_push_ip(&peer_frame, &ip6, 60);
        test_truncation(peer_frame.bytes, peer_frame.len, TUNNELCAP_E_TRUNCATED, peer_feed, udp6);

        tunnelcap_gre_free(plain4);
        tunnelcap_gre_free(plain6);
        tunnelcap_gre_free(udp4);
        tunnelcap_gre_free(udp6);
    }
}
END_TEST

START_TEST(decap_refuses_tunnel_headers_cut_by_the_outer_length)
{
    /* The outer header is honest about its length; what is inside ends too early. */
    for (unsigned udp = 0; udp <= 1; udp++) {
        tunnelcap_gre *gre = peer_open4(udp ? TUNNELCAP_GRE_UDP : 0);
        test_gre header = {TEST_GRE_C | TEST_GRE_S, TUNNELCAP_ETHERTYPE_IPV4, 0, 5};
        static test_frame whole;
        peer_push_inner(&header, 4);
        whole = peer_frame;
        for (uint32_t len = 0; len < whole.len; len++) {
            test_ip ip = peer_outer4();
            peer_frame = whole;
            peer_frame.len = len;
            if (len >= 12) { /* the checksum is right for what is there */
                test_store16(peer_frame.bytes + 4, 0);
                uint32_t sum = (uint16_t)~test_sum(0, peer_frame.bytes, peer_frame.len);
                test_store16(peer_frame.bytes + 4, sum);
            }
            if (udp)
                test_push_udp(&peer_frame, &ip, 50000, 4754);
            test_push_ip(&peer_frame, &ip, udp ? PEER_UDP : PEER_GRE);
            ck_assert_status(peer_decap(gre, NULL), TUNNELCAP_E_TRUNCATED);
        }
        tunnelcap_gre_free(gre);
    }
}
END_TEST

START_TEST(decap_survives_every_flipped_bit)
{
    static const uint16_t layouts[] = {0, TEST_GRE_C, TEST_GRE_K | TEST_GRE_S,
                                       TEST_GRE_C | TEST_GRE_K | TEST_GRE_S};
    for (size_t i = 0; i < 2 * TEST_COUNT(layouts); i++) {
        test_gre header = {layouts[i / 2], TUNNELCAP_ETHERTYPE_IPV4, 77, 5};
        uint32_t flags = header.flags & TEST_GRE_K ? TUNNELCAP_GRE_KEY_IN : 0;
        if ((i & 1) && (header.flags & TEST_GRE_C))
            flags |= TUNNELCAP_GRE_CHECKSUM;
        if ((i & 1) && (header.flags & TEST_GRE_S))
            flags |= TUNNELCAP_GRE_SEQUENCE;
        tunnelcap_gre *plain = peer_open4(flags), *udp = peer_open6(flags | TUNNELCAP_GRE_UDP);
        test_ip ip4 = peer_outer4(), ip6 = peer_outer6();
        peer_build4(&header, 6);
        uint32_t accepted = test_flips(peer_frame.bytes, peer_frame.len, 0, peer_feed, plain);
        if (flags & TUNNELCAP_GRE_CHECKSUM) /* every bit is under one checksum or the other */
            ck_assert_uint_eq(accepted, 0);
        tunnelcap_gre *udp4 = peer_open4(flags | TUNNELCAP_GRE_UDP);
        peer_push_inner(&header, 6);
        test_push_udp(&peer_frame, &ip4, 50000, 4754);
        test_push_ip(&peer_frame, &ip4, PEER_UDP);
        test_flips(peer_frame.bytes, peer_frame.len, 0, peer_feed, udp4);
        tunnelcap_gre_free(udp4);
        peer_push_inner(&header, 6);
        test_push_udp(&peer_frame, &ip6, 50000, 4754);
        test_push_ip(&peer_frame, &ip6, PEER_UDP);
        test_flips(peer_frame.bytes, peer_frame.len, 0, peer_feed, udp);
        peer_push_inner(&header, 6);
        test_push_udp(&peer_frame, &ip6, 50000, 4754);
        test_push_ext(&peer_frame, PEER_UDP, "\4\1\4\1\1\0", 6);
        test_push_ip(&peer_frame, &ip6, 60);
        test_flips(peer_frame.bytes, peer_frame.len, 0, peer_feed, udp);
        tunnelcap_gre_free(plain);
        tunnelcap_gre_free(udp);
    }
}
END_TEST

START_TEST(decap_survives_random_bytes)
{
    test_random random = {4};
    tunnelcap_gre *four = peer_open4(0), *six = peer_open6(TUNNELCAP_GRE_UDP);
    for (uint32_t round = 0; round < 10000; round++) {
        uint8_t bytes[96];
        uint32_t len = test_below(&random, sizeof(bytes) + 1);
        for (uint32_t i = 0; i < len; i++)
            bytes[i] = (uint8_t)test_next(&random);
        if (len >= 20 && (round & 1)) { /* far enough to reach the tunnel header */
            test_ip ip = peer_outer4();
            peer_frame.len = 0;
            test_push(&peer_frame, bytes, len);
            test_push_ip(&peer_frame, &ip, PEER_GRE);
        } else {
            peer_frame.len = 0;
            test_push(&peer_frame, bytes, len);
        }
        peer_decap(four, NULL);
        peer_decap(six, NULL);
    }
    tunnelcap_gre_free(four);
    tunnelcap_gre_free(six);
}
END_TEST

/* ---- the GRE header ---- */

START_TEST(each_bit_of_the_flags_is_treated_by_rfc_2784_and_2890)
{
    for (unsigned bit = 0; bit < 16; bit++) {
        uint16_t flag = (uint16_t)(1u << bit);
        test_gre header = {flag, TUNNELCAP_ETHERTYPE_IPV4, 77, 1};
        int32_t want = TUNNELCAP_OK;
        if (flag & 0x4c00)
            want = TUNNELCAP_E_GRE_FLAGS;
        if (flag & 0x0007)
            want = TUNNELCAP_E_GRE_VERSION;
        peer_build4(&header, 10);
        peer_expect4(flag == TEST_GRE_K ? TUNNELCAP_GRE_KEY_IN : 0, want);
    }
}
END_TEST

START_TEST(every_gre_version_but_0_is_refused)
{
    for (uint16_t version = 1; version < 8; version++) {
        /* Version 1 as PPTP sends it: K and S set, protocol 0x880b. */
        test_gre header = {(uint16_t)(0x3000 | version), 0x880b, 0x00200001, 1};
        peer_build4(&header, 10);
        peer_expect4(0, TUNNELCAP_E_GRE_VERSION);
        peer_expect4(TUNNELCAP_GRE_KEY_IN, TUNNELCAP_E_GRE_VERSION);
    }
}
END_TEST

START_TEST(checksum_that_is_present_is_verified_though_not_configured)
{
    test_gre header = {TEST_GRE_C, TUNNELCAP_ETHERTYPE_IPV4, 0, 0};
    for (uint32_t size = 0; size < 16; size++) {
        peer_build4(&header, size);
        peer_expect4(0, TUNNELCAP_OK);
        peer_expect4(TUNNELCAP_GRE_CHECKSUM, TUNNELCAP_OK);
        for (uint32_t at = 20; at < peer_frame.len; at++) {
            if (at < 24)
                continue; /* flags and protocol have tests of their own */
            peer_frame.bytes[at] ^= 0x10;
            peer_expect4(0, TUNNELCAP_E_CHECKSUM);
            peer_expect4(TUNNELCAP_GRE_CHECKSUM, TUNNELCAP_E_CHECKSUM);
            peer_frame.bytes[at] ^= 0x10;
        }
    }
}
END_TEST

START_TEST(reserved1_behind_the_checksum_is_ignored)
{
    test_gre header = {TEST_GRE_C, TUNNELCAP_ETHERTYPE_IPV4, 0, 0};
    test_ip ip = peer_outer4();
    peer_push_inner(&header, 10);
    test_store16(peer_frame.bytes + 6, 0x1234);
    test_store16(peer_frame.bytes + 4, 0);
    uint32_t sum = (uint16_t)~test_sum(0, peer_frame.bytes, peer_frame.len);
    test_store16(peer_frame.bytes + 4, sum);
    test_push_ip(&peer_frame, &ip, PEER_GRE);
    peer_expect4(0, TUNNELCAP_OK);
}
END_TEST

START_TEST(tunnel_with_checksum_refuses_packets_without)
{
    peer_build4(&peer_bare, 10);
    peer_expect4(TUNNELCAP_GRE_CHECKSUM, TUNNELCAP_E_NO_CHECKSUM);
}
END_TEST

START_TEST(key_must_be_the_one_expected)
{
    test_gre keyed = {TEST_GRE_K, TUNNELCAP_ETHERTYPE_IPV4, 77, 0};
    peer_build4(&keyed, 10);
    peer_expect4(TUNNELCAP_GRE_KEY_IN, TUNNELCAP_OK);
    peer_expect4(0, TUNNELCAP_E_NO_TUNNEL);
    for (unsigned bit = 0; bit < 32; bit++) {
        keyed.key = 77 ^ 1u << bit;
        peer_build4(&keyed, 10);
        peer_expect4(TUNNELCAP_GRE_KEY_IN, TUNNELCAP_E_NO_TUNNEL);
    }
    peer_build4(&peer_bare, 10);
    peer_expect4(TUNNELCAP_GRE_KEY_IN, TUNNELCAP_E_NO_TUNNEL);
}
END_TEST

/* ---- sequence numbers ---- */

static int32_t arrive(tunnelcap_gre *gre, uint32_t seq)
{
    test_gre header = {TEST_GRE_S, TUNNELCAP_ETHERTYPE_IPV4, 0, seq};
    peer_build4(&header, 10);
    return peer_decap(gre, NULL);
}

START_TEST(in_order_drops_what_is_not_newer_and_allows_gaps)
{
    tunnelcap_gre *gre = peer_open4(TUNNELCAP_GRE_IN_ORDER);
    ck_assert_status(arrive(gre, 10), TUNNELCAP_OK);
    ck_assert_status(arrive(gre, 10), TUNNELCAP_E_SEQUENCE);
    ck_assert_status(arrive(gre, 9), TUNNELCAP_E_SEQUENCE);
    ck_assert_status(arrive(gre, 11), TUNNELCAP_OK);
    ck_assert_status(arrive(gre, 1000), TUNNELCAP_OK);
    ck_assert_status(arrive(gre, 12), TUNNELCAP_E_SEQUENCE);
    peer_build4(&peer_bare, 10);
    ck_assert_status(peer_decap(gre, NULL), TUNNELCAP_OK); /* a packet without a number passes */
    ck_assert_status(arrive(gre, 1000), TUNNELCAP_E_SEQUENCE);
    ck_assert_status(arrive(gre, 1001), TUNNELCAP_OK);
    tunnelcap_gre_free(gre);
}
END_TEST

START_TEST(in_order_compares_in_a_circle)
{
    tunnelcap_gre *gre = peer_open4(TUNNELCAP_GRE_IN_ORDER);
    ck_assert_status(arrive(gre, 0xfffffffe), TUNNELCAP_OK);
    ck_assert_status(arrive(gre, 0xffffffff), TUNNELCAP_OK);
    ck_assert_status(arrive(gre, 0), TUNNELCAP_OK);
    ck_assert_status(arrive(gre, 0xffffffff), TUNNELCAP_E_SEQUENCE);
    ck_assert_status(arrive(gre, 1), TUNNELCAP_OK);
    ck_assert_status(arrive(gre, 0x80000000), TUNNELCAP_OK); /* 2^31 - 1 ahead */
    ck_assert_status(arrive(gre, 1), TUNNELCAP_E_SEQUENCE);  /* 2^31 + 1 ahead: behind */
    tunnelcap_gre_free(gre);
}
END_TEST

START_TEST(first_number_of_all_may_be_any)
{
    static const uint32_t firsts[] = {0, 1, 0x7fffffff, 0x80000000, 0xffffffff};
    for (size_t i = 0; i < TEST_COUNT(firsts); i++) {
        tunnelcap_gre *gre = peer_open4(TUNNELCAP_GRE_IN_ORDER);
        ck_assert_status(arrive(gre, firsts[i]), TUNNELCAP_OK);
        ck_assert_status(arrive(gre, firsts[i]), TUNNELCAP_E_SEQUENCE);
        tunnelcap_gre_free(gre);
    }
}
END_TEST

START_TEST(order_does_not_matter_unless_asked)
{
    tunnelcap_gre *gre = peer_open4(TUNNELCAP_GRE_SEQUENCE);
    ck_assert_status(arrive(gre, 10), TUNNELCAP_OK);
    ck_assert_status(arrive(gre, 10), TUNNELCAP_OK);
    ck_assert_status(arrive(gre, 1), TUNNELCAP_OK);
    tunnelcap_gre_free(gre);
}
END_TEST

START_TEST(refused_packet_does_not_move_the_sequence)
{
    tunnelcap_gre *gre = peer_open4(TUNNELCAP_GRE_IN_ORDER);
    ck_assert_status(arrive(gre, 10), TUNNELCAP_OK);
    test_gre header = {TEST_GRE_S | TEST_GRE_C, TUNNELCAP_ETHERTYPE_IPV4, 0, 5000};
    peer_build4(&header, 10);
    peer_frame.bytes[peer_frame.len - 1] ^= 1;
    ck_assert_status(peer_decap(gre, NULL), TUNNELCAP_E_CHECKSUM);
    header.flags = TEST_GRE_S;
    test_ip ip = peer_outer4(), inner = test_between("10.1.0.1", "10.2.0.1");
    test_udp_packet(&peer_frame, &inner, 10);
    peer_frame.len--;
    test_push_gre(&peer_frame, &header);
    test_push_ip(&peer_frame, &ip, PEER_GRE);
    ck_assert_status(peer_decap(gre, NULL), TUNNELCAP_E_TRUNCATED);
    ck_assert_status(arrive(gre, 11), TUNNELCAP_OK);
    tunnelcap_gre_free(gre);
}
END_TEST

/* ---- payloads ---- */

START_TEST(other_payloads_are_handed_up_with_their_protocol)
{
    static const uint16_t types[] = {TUNNELCAP_ETHERTYPE_ETHERNET,
                                     TUNNELCAP_ETHERTYPE_MPLS,
                                     TUNNELCAP_ETHERTYPE_MPLS_MC,
                                     0x88be,
                                     0x2001,
                                     0x883e,
                                     0xffff};
    tunnelcap_gre *gre = peer_open4(0);
    for (size_t i = 0; i < TEST_COUNT(types); i++) {
        for (uint32_t size = 0; size < 40; size++) {
            test_gre header = {.protocol = types[i]};
            test_ip ip = peer_outer4();
            test_payload(&peer_frame, size);
            test_push_gre(&peer_frame, &header);
            test_push_ip(&peer_frame, &ip, PEER_GRE);
            tunnelcap_pkt pkt = test_pkt(peer_frame.bytes, peer_frame.len, 0);
            tunnelcap_gre_rx rx;
            ck_assert_status(test_gre_decap(gre, &pkt, NULL, &rx), TUNNELCAP_OK);
            ck_assert_uint_eq(rx.protocol, types[i]);
            ck_assert_uint_eq(rx.flags, 0);
            ck_assert_uint_eq(pkt.len, size);
            ck_assert_uint_eq(pkt.off, 24);
            test_pkt_free(&pkt);
        }
    }
    tunnelcap_gre_free(gre);
}
END_TEST

START_TEST(ip_payloads_must_be_whole_and_of_their_version)
{
    test_ip ip = peer_outer4(), inner = test_between("10.1.0.1", "10.2.0.1");
    test_ip inner6 = test_between("fd00:1::1", "fd00:2::1");
    test_gre six = {.protocol = TUNNELCAP_ETHERTYPE_IPV6};

    test_udp_packet(&peer_frame, &inner, 10);
    test_push_gre(&peer_frame, &six);
    test_push_ip(&peer_frame, &ip, PEER_GRE);
    peer_expect4(0, TUNNELCAP_E_MALFORMED);
    test_udp_packet(&peer_frame, &inner6, 10);
    test_push_gre(&peer_frame, &peer_bare);
    test_push_ip(&peer_frame, &ip, PEER_GRE);
    peer_expect4(0, TUNNELCAP_E_MALFORMED);

    test_udp_packet(&peer_frame, &inner, 10);
    peer_frame.bytes[0] = 0x44;
    test_push_gre(&peer_frame, &peer_bare);
    test_push_ip(&peer_frame, &ip, PEER_GRE);
    peer_expect4(0, TUNNELCAP_E_MALFORMED);
    test_udp_packet(&peer_frame, &inner, 10);
    test_store16(peer_frame.bytes + 2, 19);
    test_push_gre(&peer_frame, &peer_bare);
    test_push_ip(&peer_frame, &ip, PEER_GRE);
    peer_expect4(0, TUNNELCAP_E_MALFORMED);
    test_udp_packet(&peer_frame, &inner6, 10);
    peer_frame.len--;
    test_push_gre(&peer_frame, &six);
    test_push_ip(&peer_frame, &ip, PEER_GRE);
    peer_expect4(0, TUNNELCAP_E_TRUNCATED);
}
END_TEST

START_TEST(ethernet_padding_behind_a_short_packet_is_not_payload)
{
    static const uint8_t padding[26] = {0xdd};
    static const uint16_t layouts[] = {0, TEST_GRE_C};
    for (size_t i = 0; i < TEST_COUNT(layouts); i++) {
        test_gre header = {layouts[i], 0x88b5, 0, 0};
        test_ip ip = peer_outer4();
        tunnelcap_gre *gre = peer_open4(0), *udp = peer_open4(TUNNELCAP_GRE_UDP);
        test_payload(&peer_frame, 3);
        test_push_gre(&peer_frame, &header);
        test_push_ip(&peer_frame, &ip, PEER_GRE);
        memcpy(peer_frame.bytes + peer_frame.len, padding, sizeof(padding));
        tunnelcap_pkt pkt =
            test_pkt(peer_frame.bytes, peer_frame.len + (uint32_t)sizeof(padding), 0);
        ck_assert_status(test_gre_decap(gre, &pkt, NULL, NULL), TUNNELCAP_OK);
        ck_assert_uint_eq(pkt.len, 3);
        test_pkt_free(&pkt);

        /* Behind UDP, also bytes between the end of UDP and the end of IP. */
        test_payload(&peer_frame, 3);
        test_push_gre(&peer_frame, &header);
        test_push_udp(&peer_frame, &ip, 50000, 4754);
        memcpy(peer_frame.bytes + peer_frame.len, padding, sizeof(padding));
        peer_frame.len += sizeof(padding);
        test_push_ip(&peer_frame, &ip, PEER_UDP);
        pkt = test_pkt(peer_frame.bytes, peer_frame.len, 0);
        ck_assert_status(test_gre_decap(udp, &pkt, NULL, NULL), TUNNELCAP_OK);
        ck_assert_uint_eq(pkt.len, 3);
        test_pkt_free(&pkt);
        tunnelcap_gre_free(gre);
        tunnelcap_gre_free(udp);
    }
}
END_TEST

START_TEST(keepalive_request_is_turned_round)
{
    static test_frame back;
    test_ip ip = peer_outer4(), turned = test_between(PEER_US4, PEER_THEM4);
    test_gre none = {.protocol = 0};
    ip.tos = 0xc3; /* the answer goes back as it is, whatever the marks */
    turned.tos = 0xc2;
    peer_frame.len = 0;
    test_push_gre(&peer_frame, &none);
    test_push_ip(&peer_frame, &turned, PEER_GRE);
    back = peer_frame;
    test_push_gre(&peer_frame, &peer_bare);
    test_push_ip(&peer_frame, &ip, PEER_GRE);
    tunnelcap_gre *gre = peer_open4(0);
    tunnelcap_pkt pkt = test_pkt(peer_frame.bytes, peer_frame.len, 0);
    ck_assert_status(test_gre_decap(gre, &pkt, NULL, NULL), TUNNELCAP_KEEPALIVE);
    ck_assert_uint_eq(pkt.len, back.len);
    ck_assert_mem_eq(pkt.buf + pkt.off, back.bytes, back.len);
    test_pkt_free(&pkt);

    /* What comes back to the one who asked: protocol 0 without payload. */
    tunnelcap_gre_config config = test_gre_config(PEER_THEM4, PEER_US4, 0);
    tunnelcap_gre *asker = test_gre_new(&config);
    pkt = test_pkt(back.bytes, back.len, 0);
    tunnelcap_gre_rx rx;
    ck_assert_status(test_gre_decap(asker, &pkt, NULL, &rx), TUNNELCAP_OK);
    ck_assert_uint_eq(rx.protocol, 0);
    ck_assert_uint_eq(pkt.len, 0);
    test_pkt_free(&pkt);
    tunnelcap_gre_free(asker);
    tunnelcap_gre_free(gre);
}
END_TEST

START_TEST(gre_in_gre_that_is_no_keepalive_is_delivered)
{
    static const struct {
        const char *src, *dst;
        test_gre gre;
        uint16_t frag;
    } rows[] = {
        {PEER_THEM4, PEER_US4, {.protocol = 0}, 0},
        {PEER_US4, "203.0.113.9", {.protocol = 0}, 0},
        {"203.0.113.9", PEER_THEM4, {.protocol = 0}, 0},
        {PEER_US4, PEER_THEM4, {.protocol = TUNNELCAP_ETHERTYPE_MPLS}, 0},
        {PEER_US4, PEER_THEM4, {.protocol = 0}, 0x2000},
        {PEER_US4, PEER_THEM4, {.protocol = 0}, 0x0001},
        {PEER_US4, PEER_THEM4, {.flags = 0x4000, .protocol = 0}, 0},
        {PEER_US4, PEER_THEM4, {.flags = 0x0001, .protocol = 0}, 0},
    };
    test_ip ip = peer_outer4();
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        test_ip inner = test_between(rows[i].src, rows[i].dst);
        inner.frag = rows[i].frag;
        peer_frame.len = 0;
        test_push_gre(&peer_frame, &rows[i].gre);
        test_push_ip(&peer_frame, &inner, PEER_GRE);
        test_push_gre(&peer_frame, &peer_bare);
        test_push_ip(&peer_frame, &ip, PEER_GRE);
        peer_expect4(0, TUNNELCAP_OK);
    }
    /* An inner packet too short for any GRE header. */
    for (uint32_t size = 0; size < 4; size++) {
        test_ip inner = test_between(PEER_US4, PEER_THEM4);
        test_payload(&peer_frame, size);
        test_push_ip(&peer_frame, &inner, PEER_GRE);
        test_push_gre(&peer_frame, &peer_bare);
        test_push_ip(&peer_frame, &ip, PEER_GRE);
        peer_expect4(0, TUNNELCAP_OK);
    }
}
END_TEST

START_TEST(broken_ip_in_ethernet_is_its_receivers_affair)
{
    static const uint8_t first_bytes[] = {0x44, 0x55, 0x65, 0x00};
    tunnelcap_gre *gre = peer_open4(0);
    for (size_t i = 0; i < TEST_COUNT(first_bytes); i++) {
        for (uint32_t len = 0; len < 30; len++) {
            static const uint8_t header[14] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00};
            test_gre ethernet = {.protocol = TUNNELCAP_ETHERTYPE_ETHERNET};
            test_ip ip = peer_outer4();
            ip.tos = 3; /* nothing to fold it into */
            test_payload(&peer_frame, len);
            if (len > 0)
                peer_frame.bytes[0] = first_bytes[i];
            test_push(&peer_frame, header, sizeof(header));
            test_push_gre(&peer_frame, &ethernet);
            test_push_ip(&peer_frame, &ip, PEER_GRE);
            tunnelcap_pkt pkt = test_pkt(peer_frame.bytes, peer_frame.len, 0);
            ck_assert_status(test_gre_decap(gre, &pkt, NULL, NULL), TUNNELCAP_OK);
            ck_assert_mem_eq(pkt.buf, peer_frame.bytes, peer_frame.len);
            test_pkt_free(&pkt);
        }
    }
    tunnelcap_gre_free(gre);
}
END_TEST

Suite *test_gre_decap_suite(void)
{
    const TTest *tests[] = {
        decap_refuses_every_truncated_packet,
        decap_refuses_tunnel_headers_cut_by_the_outer_length,
        decap_survives_every_flipped_bit,
        decap_survives_random_bytes,
        each_bit_of_the_flags_is_treated_by_rfc_2784_and_2890,
        every_gre_version_but_0_is_refused,
        checksum_that_is_present_is_verified_though_not_configured,
        reserved1_behind_the_checksum_is_ignored,
        tunnel_with_checksum_refuses_packets_without,
        key_must_be_the_one_expected,
        in_order_drops_what_is_not_newer_and_allows_gaps,
        in_order_compares_in_a_circle,
        first_number_of_all_may_be_any,
        order_does_not_matter_unless_asked,
        refused_packet_does_not_move_the_sequence,
        other_payloads_are_handed_up_with_their_protocol,
        ip_payloads_must_be_whole_and_of_their_version,
        ethernet_padding_behind_a_short_packet_is_not_payload,
        keepalive_request_is_turned_round,
        gre_in_gre_that_is_no_keepalive_is_delivered,
        broken_ip_in_ethernet_is_its_receivers_affair,
    };
    return test_suite("gre_decap", tests, TEST_COUNT(tests));
}
