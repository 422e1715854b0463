/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* GRE decapsulation of packets that others made, honest and hostile. */
#include "support.h"

#define US4   "192.0.2.1"
#define THEM4 "198.51.100.1"
#define US6   "2001:db8:a::1"
#define THEM6 "2001:db8:b::1"

static test_frame frame;

enum { GRE = 47, UDP = 17 };

static const test_gre bare = {.protocol = TUNNELCAP_ETHERTYPE_IPV4};

static tunnelcap_gre *open4(uint32_t flags)
{
    tunnelcap_gre_config config = test_gre_config(US4, THEM4, flags);
    config.key_in = 77;
    return test_gre_new(&config);
}

static tunnelcap_gre *open6(uint32_t flags)
{
    tunnelcap_gre_config config = test_gre_config(US6, THEM6, flags);
    config.key_in = 77;
    return test_gre_new(&config);
}

static test_ip outer4(void)
{
    return test_between(THEM4, US4);
}

static test_ip outer6(void)
{
    return test_between(THEM6, US6);
}

/* An inner IPv4 packet in GRE, without outer header. */
static void push_inner(const test_gre *gre, uint32_t size)
{
    test_ip inner = test_between("10.1.0.1", "10.2.0.1");
    test_udp_packet(&frame, &inner, size);
    test_push_gre(&frame, gre);
}

static void build4(const test_gre *gre, uint32_t size)
{
    test_ip ip = outer4();
    push_inner(gre, size);
    test_push_ip(&frame, &ip, GRE);
}

/* Decapsulate the frame; a refusal must not change it. */
static int32_t decap(tunnelcap_gre *gre, const tunnelcap_meta *meta)
{
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 0);
    test_snapshot snap = test_snap(&pkt);
    int32_t status = test_gre_decap(gre, &pkt, meta, NULL);
    if (status < 0)
        test_unchanged(&snap, &pkt);
    else
        free(snap.bytes);
    test_pkt_free(&pkt);
    return status;
}

static void expect4(uint32_t flags, int32_t want)
{
    tunnelcap_gre *gre = open4(flags);
    ck_assert_status(decap(gre, NULL), want);
    tunnelcap_gre_free(gre);
}

static void expect6(uint32_t flags, int32_t want)
{
    tunnelcap_gre *gre = open6(flags);
    ck_assert_status(decap(gre, NULL), want);
    tunnelcap_gre_free(gre);
}

/* Decapsulate without meta and with one that says nothing: however the library goes about it, the
 * outcome is the same. */
static int32_t feed(void *arg, tunnelcap_pkt *pkt)
{
    static const tunnelcap_meta nothing = {0};
    tunnelcap_pkt twin = test_pkt(pkt->buf + pkt->off, pkt->len, pkt->off);
    tunnelcap_gre_rx rx = {0}, twin_rx = {0};
    int32_t status = test_gre_decap(arg, pkt, NULL, &rx);
    ck_assert_status(test_gre_decap(arg, &twin, &nothing, &twin_rx), status);
    ck_assert_uint_eq(twin.off, pkt->off);
    ck_assert_uint_eq(twin.len, pkt->len);
    ck_assert_mem_eq(&twin_rx, &rx, sizeof(rx));
    if (pkt->len != 0)
        ck_assert_mem_eq(twin.buf + twin.off, pkt->buf + pkt->off, pkt->len);
    test_pkt_free(&twin);
    return status;
}

/* ---- hostile bytes ---- */

START_TEST(decap_refuses_every_truncated_packet)
{
    static const uint16_t layouts[] = {0, TEST_GRE_C, TEST_GRE_K | TEST_GRE_S,
                                       TEST_GRE_C | TEST_GRE_K | TEST_GRE_S};
    for (size_t i = 0; i < TEST_COUNT(layouts); i++) {
        test_gre header = {layouts[i], TUNNELCAP_ETHERTYPE_IPV4, 77, 5};
        uint32_t key = layouts[i] & TEST_GRE_K ? TUNNELCAP_GRE_KEY_IN : 0;
        tunnelcap_gre *plain4 = open4(key), *plain6 = open6(key);
        tunnelcap_gre *udp4 = open4(key | TUNNELCAP_GRE_UDP),
                      *udp6 = open6(key | TUNNELCAP_GRE_UDP);
        test_ip ip4 = outer4(), ip6 = outer6();

        build4(&header, 20);
        test_truncation(frame.bytes, frame.len, TUNNELCAP_E_TRUNCATED, feed, plain4);
        push_inner(&header, 20);
        test_push_ip(&frame, &ip6, GRE);
        test_truncation(frame.bytes, frame.len, TUNNELCAP_E_TRUNCATED, feed, plain6);
        push_inner(&header, 20);
        test_push_udp(&frame, &ip4, 50000, 4754);
        test_push_ip_options(&frame, &ip4, UDP, "\1\1\1\0", 4);
        test_truncation(frame.bytes, frame.len, TUNNELCAP_E_TRUNCATED, feed, udp4);
        push_inner(&header, 20);
        test_push_udp(&frame, &ip6, 50000, 4754);
        test_push_ext(&frame, UDP, "\4\1\4\1\1\0", 6);
        test_push_ip(&frame, &ip6, 60);
        test_truncation(frame.bytes, frame.len, TUNNELCAP_E_TRUNCATED, feed, udp6);

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
        tunnelcap_gre *gre = open4(udp ? TUNNELCAP_GRE_UDP : 0);
        test_gre header = {TEST_GRE_C | TEST_GRE_S, TUNNELCAP_ETHERTYPE_IPV4, 0, 5};
        static test_frame whole;
        push_inner(&header, 4);
        whole = frame;
        for (uint32_t len = 0; len < whole.len; len++) {
            test_ip ip = outer4();
            frame = whole;
            frame.len = len;
            if (len >= 12) { /* the checksum is right for what is there */
                test_store16(frame.bytes + 4, 0);
                uint32_t sum = (uint16_t)~test_sum(0, frame.bytes, frame.len);
                test_store16(frame.bytes + 4, sum);
            }
            if (udp)
                test_push_udp(&frame, &ip, 50000, 4754);
            test_push_ip(&frame, &ip, udp ? UDP : GRE);
            ck_assert_status(decap(gre, NULL), TUNNELCAP_E_TRUNCATED);
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
        tunnelcap_gre *plain = open4(flags), *udp = open6(flags | TUNNELCAP_GRE_UDP);
        test_ip ip4 = outer4(), ip6 = outer6();
        build4(&header, 6);
        uint32_t accepted = test_flips(frame.bytes, frame.len, 0, feed, plain);
        if (flags & TUNNELCAP_GRE_CHECKSUM) /* every bit is under one checksum or the other */
            ck_assert_uint_eq(accepted, 0);
        tunnelcap_gre *udp4 = open4(flags | TUNNELCAP_GRE_UDP);
        push_inner(&header, 6);
        test_push_udp(&frame, &ip4, 50000, 4754);
        test_push_ip(&frame, &ip4, UDP);
        test_flips(frame.bytes, frame.len, 0, feed, udp4);
        tunnelcap_gre_free(udp4);
        push_inner(&header, 6);
        test_push_udp(&frame, &ip6, 50000, 4754);
        test_push_ip(&frame, &ip6, UDP);
        test_flips(frame.bytes, frame.len, 0, feed, udp);
        push_inner(&header, 6);
        test_push_udp(&frame, &ip6, 50000, 4754);
        test_push_ext(&frame, UDP, "\4\1\4\1\1\0", 6);
        test_push_ip(&frame, &ip6, 60);
        test_flips(frame.bytes, frame.len, 0, feed, udp);
        tunnelcap_gre_free(plain);
        tunnelcap_gre_free(udp);
    }
}
END_TEST

START_TEST(decap_survives_random_bytes)
{
    test_random random = {4};
    tunnelcap_gre *four = open4(0), *six = open6(TUNNELCAP_GRE_UDP);
    for (uint32_t round = 0; round < 30000; round++) {
        uint8_t bytes[96];
        uint32_t len = test_below(&random, sizeof(bytes) + 1);
        for (uint32_t i = 0; i < len; i++)
            bytes[i] = (uint8_t)test_next(&random);
        if (len >= 20 && (round & 1)) { /* far enough to reach the tunnel header */
            test_ip ip = outer4();
            frame.len = 0;
            test_push(&frame, bytes, len);
            test_push_ip(&frame, &ip, GRE);
        } else {
            frame.len = 0;
            test_push(&frame, bytes, len);
        }
        decap(four, NULL);
        decap(six, NULL);
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
        build4(&header, 10);
        expect4(flag == TEST_GRE_K ? TUNNELCAP_GRE_KEY_IN : 0, want);
    }
}
END_TEST

START_TEST(every_gre_version_but_0_is_refused)
{
    for (uint16_t version = 1; version < 8; version++) {
        /* Version 1 as PPTP sends it: K and S set, protocol 0x880b. */
        test_gre header = {(uint16_t)(0x3000 | version), 0x880b, 0x00200001, 1};
        build4(&header, 10);
        expect4(0, TUNNELCAP_E_GRE_VERSION);
        expect4(TUNNELCAP_GRE_KEY_IN, TUNNELCAP_E_GRE_VERSION);
    }
}
END_TEST

START_TEST(checksum_that_is_present_is_verified_though_not_configured)
{
    test_gre header = {TEST_GRE_C, TUNNELCAP_ETHERTYPE_IPV4, 0, 0};
    for (uint32_t size = 0; size < 16; size++) {
        build4(&header, size);
        expect4(0, TUNNELCAP_OK);
        expect4(TUNNELCAP_GRE_CHECKSUM, TUNNELCAP_OK);
        for (uint32_t at = 20; at < frame.len; at++) {
            if (at < 24)
                continue; /* flags and protocol have tests of their own */
            frame.bytes[at] ^= 0x10;
            expect4(0, TUNNELCAP_E_CHECKSUM);
            expect4(TUNNELCAP_GRE_CHECKSUM, TUNNELCAP_E_CHECKSUM);
            frame.bytes[at] ^= 0x10;
        }
    }
}
END_TEST

START_TEST(reserved1_behind_the_checksum_is_ignored)
{
    test_gre header = {TEST_GRE_C, TUNNELCAP_ETHERTYPE_IPV4, 0, 0};
    test_ip ip = outer4();
    push_inner(&header, 10);
    test_store16(frame.bytes + 6, 0x1234);
    test_store16(frame.bytes + 4, 0);
    uint32_t sum = (uint16_t)~test_sum(0, frame.bytes, frame.len);
    test_store16(frame.bytes + 4, sum);
    test_push_ip(&frame, &ip, GRE);
    expect4(0, TUNNELCAP_OK);
}
END_TEST

START_TEST(tunnel_with_checksum_refuses_packets_without)
{
    build4(&bare, 10);
    expect4(TUNNELCAP_GRE_CHECKSUM, TUNNELCAP_E_NO_CHECKSUM);
}
END_TEST

START_TEST(key_must_be_the_one_expected)
{
    test_gre keyed = {TEST_GRE_K, TUNNELCAP_ETHERTYPE_IPV4, 77, 0};
    build4(&keyed, 10);
    expect4(TUNNELCAP_GRE_KEY_IN, TUNNELCAP_OK);
    expect4(0, TUNNELCAP_E_NO_TUNNEL);
    for (unsigned bit = 0; bit < 32; bit++) {
        keyed.key = 77 ^ 1u << bit;
        build4(&keyed, 10);
        expect4(TUNNELCAP_GRE_KEY_IN, TUNNELCAP_E_NO_TUNNEL);
    }
    build4(&bare, 10);
    expect4(TUNNELCAP_GRE_KEY_IN, TUNNELCAP_E_NO_TUNNEL);
}
END_TEST

/* ---- sequence numbers ---- */

static int32_t arrive(tunnelcap_gre *gre, uint32_t seq)
{
    test_gre header = {TEST_GRE_S, TUNNELCAP_ETHERTYPE_IPV4, 0, seq};
    build4(&header, 10);
    return decap(gre, NULL);
}

START_TEST(in_order_drops_what_is_not_newer_and_allows_gaps)
{
    tunnelcap_gre *gre = open4(TUNNELCAP_GRE_IN_ORDER);
    ck_assert_status(arrive(gre, 10), TUNNELCAP_OK);
    ck_assert_status(arrive(gre, 10), TUNNELCAP_E_SEQUENCE);
    ck_assert_status(arrive(gre, 9), TUNNELCAP_E_SEQUENCE);
    ck_assert_status(arrive(gre, 11), TUNNELCAP_OK);
    ck_assert_status(arrive(gre, 1000), TUNNELCAP_OK);
    ck_assert_status(arrive(gre, 12), TUNNELCAP_E_SEQUENCE);
    build4(&bare, 10);
    ck_assert_status(decap(gre, NULL), TUNNELCAP_OK); /* a packet without a number passes */
    ck_assert_status(arrive(gre, 1000), TUNNELCAP_E_SEQUENCE);
    ck_assert_status(arrive(gre, 1001), TUNNELCAP_OK);
    tunnelcap_gre_free(gre);
}
END_TEST

START_TEST(in_order_compares_in_a_circle)
{
    tunnelcap_gre *gre = open4(TUNNELCAP_GRE_IN_ORDER);
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
        tunnelcap_gre *gre = open4(TUNNELCAP_GRE_IN_ORDER);
        ck_assert_status(arrive(gre, firsts[i]), TUNNELCAP_OK);
        ck_assert_status(arrive(gre, firsts[i]), TUNNELCAP_E_SEQUENCE);
        tunnelcap_gre_free(gre);
    }
}
END_TEST

START_TEST(order_does_not_matter_unless_asked)
{
    tunnelcap_gre *gre = open4(TUNNELCAP_GRE_SEQUENCE);
    ck_assert_status(arrive(gre, 10), TUNNELCAP_OK);
    ck_assert_status(arrive(gre, 10), TUNNELCAP_OK);
    ck_assert_status(arrive(gre, 1), TUNNELCAP_OK);
    tunnelcap_gre_free(gre);
}
END_TEST

START_TEST(refused_packet_does_not_move_the_sequence)
{
    tunnelcap_gre *gre = open4(TUNNELCAP_GRE_IN_ORDER);
    ck_assert_status(arrive(gre, 10), TUNNELCAP_OK);
    test_gre header = {TEST_GRE_S | TEST_GRE_C, TUNNELCAP_ETHERTYPE_IPV4, 0, 5000};
    build4(&header, 10);
    frame.bytes[frame.len - 1] ^= 1;
    ck_assert_status(decap(gre, NULL), TUNNELCAP_E_CHECKSUM);
    header.flags = TEST_GRE_S;
    test_ip ip = outer4(), inner = test_between("10.1.0.1", "10.2.0.1");
    test_udp_packet(&frame, &inner, 10);
    frame.len--;
    test_push_gre(&frame, &header);
    test_push_ip(&frame, &ip, GRE);
    ck_assert_status(decap(gre, NULL), TUNNELCAP_E_TRUNCATED);
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
    tunnelcap_gre *gre = open4(0);
    for (size_t i = 0; i < TEST_COUNT(types); i++) {
        for (uint32_t size = 0; size < 40; size++) {
            test_gre header = {.protocol = types[i]};
            test_ip ip = outer4();
            test_payload(&frame, size);
            test_push_gre(&frame, &header);
            test_push_ip(&frame, &ip, GRE);
            tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 0);
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
    test_ip ip = outer4(), inner = test_between("10.1.0.1", "10.2.0.1");
    test_ip inner6 = test_between("fd00:1::1", "fd00:2::1");
    test_gre six = {.protocol = TUNNELCAP_ETHERTYPE_IPV6};

    test_udp_packet(&frame, &inner, 10);
    test_push_gre(&frame, &six);
    test_push_ip(&frame, &ip, GRE);
    expect4(0, TUNNELCAP_E_MALFORMED);
    test_udp_packet(&frame, &inner6, 10);
    test_push_gre(&frame, &bare);
    test_push_ip(&frame, &ip, GRE);
    expect4(0, TUNNELCAP_E_MALFORMED);

    test_udp_packet(&frame, &inner, 10);
    frame.bytes[0] = 0x44;
    test_push_gre(&frame, &bare);
    test_push_ip(&frame, &ip, GRE);
    expect4(0, TUNNELCAP_E_MALFORMED);
    test_udp_packet(&frame, &inner, 10);
    test_store16(frame.bytes + 2, 19);
    test_push_gre(&frame, &bare);
    test_push_ip(&frame, &ip, GRE);
    expect4(0, TUNNELCAP_E_MALFORMED);
    test_udp_packet(&frame, &inner6, 10);
    frame.len--;
    test_push_gre(&frame, &six);
    test_push_ip(&frame, &ip, GRE);
    expect4(0, TUNNELCAP_E_TRUNCATED);
}
END_TEST

START_TEST(ethernet_padding_behind_a_short_packet_is_not_payload)
{
    static const uint8_t padding[26] = {0xdd};
    static const uint16_t layouts[] = {0, TEST_GRE_C};
    for (size_t i = 0; i < TEST_COUNT(layouts); i++) {
        test_gre header = {layouts[i], 0x88b5, 0, 0};
        test_ip ip = outer4();
        tunnelcap_gre *gre = open4(0), *udp = open4(TUNNELCAP_GRE_UDP);
        test_payload(&frame, 3);
        test_push_gre(&frame, &header);
        test_push_ip(&frame, &ip, GRE);
        memcpy(frame.bytes + frame.len, padding, sizeof(padding));
        tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len + (uint32_t)sizeof(padding), 0);
        ck_assert_status(test_gre_decap(gre, &pkt, NULL, NULL), TUNNELCAP_OK);
        ck_assert_uint_eq(pkt.len, 3);
        test_pkt_free(&pkt);

        /* Behind UDP, also bytes between the end of UDP and the end of IP. */
        test_payload(&frame, 3);
        test_push_gre(&frame, &header);
        test_push_udp(&frame, &ip, 50000, 4754);
        memcpy(frame.bytes + frame.len, padding, sizeof(padding));
        frame.len += sizeof(padding);
        test_push_ip(&frame, &ip, UDP);
        pkt = test_pkt(frame.bytes, frame.len, 0);
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
    test_ip ip = outer4(), turned = test_between(US4, THEM4);
    test_gre none = {.protocol = 0};
    ip.tos = 0xc3; /* the answer goes back as it is, whatever the marks */
    turned.tos = 0xc2;
    frame.len = 0;
    test_push_gre(&frame, &none);
    test_push_ip(&frame, &turned, GRE);
    back = frame;
    test_push_gre(&frame, &bare);
    test_push_ip(&frame, &ip, GRE);
    tunnelcap_gre *gre = open4(0);
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 0);
    ck_assert_status(test_gre_decap(gre, &pkt, NULL, NULL), TUNNELCAP_KEEPALIVE);
    ck_assert_uint_eq(pkt.len, back.len);
    ck_assert_mem_eq(pkt.buf + pkt.off, back.bytes, back.len);
    test_pkt_free(&pkt);

    /* What comes back to the one who asked: protocol 0 without payload. */
    tunnelcap_gre_config config = test_gre_config(THEM4, US4, 0);
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
        {THEM4, US4, {.protocol = 0}, 0},
        {US4, "203.0.113.9", {.protocol = 0}, 0},
        {"203.0.113.9", THEM4, {.protocol = 0}, 0},
        {US4, THEM4, {.protocol = TUNNELCAP_ETHERTYPE_MPLS}, 0},
        {US4, THEM4, {.protocol = 0}, 0x2000},
        {US4, THEM4, {.protocol = 0}, 0x0001},
        {US4, THEM4, {.flags = 0x4000, .protocol = 0}, 0},
        {US4, THEM4, {.flags = 0x0001, .protocol = 0}, 0},
    };
    test_ip ip = outer4();
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        test_ip inner = test_between(rows[i].src, rows[i].dst);
        inner.frag = rows[i].frag;
        frame.len = 0;
        test_push_gre(&frame, &rows[i].gre);
        test_push_ip(&frame, &inner, GRE);
        test_push_gre(&frame, &bare);
        test_push_ip(&frame, &ip, GRE);
        expect4(0, TUNNELCAP_OK);
    }
    /* An inner packet too short for any GRE header. */
    for (uint32_t size = 0; size < 4; size++) {
        test_ip inner = test_between(US4, THEM4);
        test_payload(&frame, size);
        test_push_ip(&frame, &inner, GRE);
        test_push_gre(&frame, &bare);
        test_push_ip(&frame, &ip, GRE);
        expect4(0, TUNNELCAP_OK);
    }
}
END_TEST

/* ---- the outer header ---- */

START_TEST(packets_of_other_ends_belong_to_no_tunnel)
{
    static const char *const ends[][2] = {
        {US4, THEM4}, {THEM4, "192.0.2.2"}, {"198.51.100.2", US4}, {THEM4, THEM4}, {THEM6, US6}};
    for (size_t i = 0; i < TEST_COUNT(ends); i++) {
        test_ip ip = test_between(ends[i][0], ends[i][1]);
        push_inner(&bare, 10);
        test_push_ip(&frame, &ip, GRE);
        expect4(0, TUNNELCAP_E_NO_TUNNEL);
    }
    test_ip ip = outer6();
    for (unsigned at = 0; at < 32; at++) {
        push_inner(&bare, 10);
        test_push_ip(&frame, &ip, GRE);
        frame.bytes[8 + at] ^= 0x40;
        expect6(0, TUNNELCAP_E_NO_TUNNEL);
    }
}
END_TEST

START_TEST(other_protocols_are_refused)
{
    test_ip ip = outer4();
    static const uint8_t protocols[] = {0, 1, 4, 6, 41, 50, 255};
    for (size_t i = 0; i < TEST_COUNT(protocols); i++) {
        push_inner(&bare, 10);
        test_push_ip(&frame, &ip, protocols[i]);
        expect4(0, TUNNELCAP_E_PROTOCOL);
        expect4(TUNNELCAP_GRE_UDP, TUNNELCAP_E_PROTOCOL);
    }
    push_inner(&bare, 10);
    test_push_udp(&frame, &ip, 50000, 4754);
    test_push_ip(&frame, &ip, UDP);
    expect4(0, TUNNELCAP_E_PROTOCOL);
    build4(&bare, 10);
    expect4(TUNNELCAP_GRE_UDP, TUNNELCAP_E_PROTOCOL);
}
END_TEST

START_TEST(malformed_outer_headers_are_refused)
{
    build4(&bare, 10);
    frame.bytes[0] = 0x44; /* header of 16 bytes */
    expect4(0, TUNNELCAP_E_MALFORMED);
    frame.bytes[0] = 0x55;
    expect4(0, TUNNELCAP_E_MALFORMED);
    build4(&bare, 10);
    test_store16(frame.bytes + 2, 19);
    expect4(0, TUNNELCAP_E_MALFORMED);
    build4(&bare, 10);
    frame.bytes[0] = 0x46;
    test_store16(frame.bytes + 2, 23);
    expect4(0, TUNNELCAP_E_MALFORMED);
}
END_TEST

START_TEST(outer_header_checksum_is_verified)
{
    build4(&bare, 10);
    frame.bytes[8]--; /* TTL */
    expect4(0, TUNNELCAP_E_CHECKSUM);
    test_ip ip = outer4();
    push_inner(&bare, 10);
    test_push_ip_options(&frame, &ip, GRE, "\1\1\1\0", 4);
    expect4(0, TUNNELCAP_OK);
    frame.bytes[22] = 0;
    expect4(0, TUNNELCAP_E_CHECKSUM);
    tunnelcap_meta verified = {.flags = TUNNELCAP_META_CSUM_VALID};
    tunnelcap_gre *gre = open4(0);
    ck_assert_status(decap(gre, &verified), TUNNELCAP_OK);
    tunnelcap_gre_free(gre);
}
END_TEST

START_TEST(outer_fragments_are_refused)
{
    static const uint16_t frags[] = {0x2000, 0x0001, 0x1fff, 0x3fff, 0x2001};
    for (size_t i = 0; i < TEST_COUNT(frags); i++) {
        test_ip ip = outer4();
        ip.frag = frags[i];
        push_inner(&bare, 10);
        test_push_ip(&frame, &ip, GRE);
        expect4(0, TUNNELCAP_E_FRAGMENT);
    }
    /* Fragment header of IPv6: reserved octet, then offset and M, then the identification. */
    static const uint8_t first[6] = {0, 1, 0, 0, 0, 9}, later[6] = {0, 8, 0, 0, 0, 9},
                         atomic[6] = {0, 0, 0, 0, 0, 9};
    static const struct {
        const uint8_t *content;
        int32_t want;
    } rows[] = {
        {first, TUNNELCAP_E_FRAGMENT}, {later, TUNNELCAP_E_FRAGMENT}, {atomic, TUNNELCAP_OK}};
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        test_ip ip = outer6();
        push_inner(&bare, 10);
        test_push_ext(&frame, GRE, rows[i].content, 6);
        test_push_ip(&frame, &ip, 44);
        expect6(0, rows[i].want);
    }
}
END_TEST

START_TEST(extension_headers_of_the_outer_packet_are_walked)
{
    static const uint8_t pad[14] = {1, 12}, limit[6] = {4, 1, 0, 1, 1, 0};
    static const uint8_t routing[6] = {4, 0, 0, 0, 0, 0};
    test_ip ip = outer6();
    push_inner(&bare, 10);
    test_push_ext(&frame, GRE, limit, sizeof(limit));
    test_push_ext(&frame, 60, routing, sizeof(routing));
    test_push_ext(&frame, 43, pad, sizeof(pad));
    test_push_ip(&frame, &ip, 0);
    expect6(0, TUNNELCAP_OK);
    expect6(TUNNELCAP_GRE_UDP, TUNNELCAP_E_PROTOCOL);

    push_inner(&bare, 10);
    test_push_ext(&frame, GRE, limit, sizeof(limit));
    frame.bytes[1] = 255; /* longer than the packet */
    test_push_ip(&frame, &ip, 60);
    expect6(0, TUNNELCAP_E_MALFORMED);

    frame.len = 0;
    for (uint32_t i = 0; i < 200; i++) /* a chain without end is no honest one */
        test_push_ext(&frame, i == 0 ? GRE : 60, limit, sizeof(limit));
    test_push_ip(&frame, &ip, 60);
    expect6(0, TUNNELCAP_E_MALFORMED);
}
END_TEST

/* ---- GRE in UDP ---- */

static void build_udp(const test_ip *ip, uint16_t port)
{
    push_inner(&bare, 10);
    test_push_udp(&frame, ip, 50000, port);
    test_push_ip(&frame, ip, UDP);
}

START_TEST(udp_checksum_rules_of_rfc_8086)
{
    test_ip ip = outer4(), ip6 = outer6();
    build_udp(&ip, 4754);
    expect4(TUNNELCAP_GRE_UDP, TUNNELCAP_OK);
    frame.bytes[frame.len - 1] ^= 1;
    expect4(TUNNELCAP_GRE_UDP, TUNNELCAP_E_CHECKSUM);
    expect4(TUNNELCAP_GRE_UDP | TUNNELCAP_GRE_UDP_ZERO_CHECKSUM, TUNNELCAP_E_CHECKSUM);
    tunnelcap_meta verified = {.flags = TUNNELCAP_META_CSUM_VALID};
    tunnelcap_gre *gre = open4(TUNNELCAP_GRE_UDP);
    ck_assert_status(decap(gre, &verified), TUNNELCAP_OK);
    tunnelcap_gre_free(gre);
    test_store16(frame.bytes + 26, 0);
    expect4(TUNNELCAP_GRE_UDP, TUNNELCAP_OK); /* zero over IPv4 means none */

    build_udp(&ip6, 4754);
    expect6(TUNNELCAP_GRE_UDP, TUNNELCAP_OK);
    test_store16(frame.bytes + 46, 0);
    expect6(TUNNELCAP_GRE_UDP, TUNNELCAP_E_NO_CHECKSUM);
    expect6(TUNNELCAP_GRE_UDP | TUNNELCAP_GRE_UDP_ZERO_CHECKSUM, TUNNELCAP_OK);
}
END_TEST

START_TEST(udp_to_another_port_belongs_to_no_tunnel)
{
    test_ip ip = outer4();
    build_udp(&ip, 4755);
    expect4(TUNNELCAP_GRE_UDP, TUNNELCAP_E_NO_TUNNEL);
    build_udp(&ip, 4500);
    expect4(TUNNELCAP_GRE_UDP, TUNNELCAP_E_NO_TUNNEL);
}
END_TEST

START_TEST(udp_length_must_fit_its_packet)
{
    test_ip ip = outer4();
    for (uint32_t len = 0; len < 8; len++) {
        build_udp(&ip, 4754);
        test_store16(frame.bytes + 24, len);
        expect4(TUNNELCAP_GRE_UDP, TUNNELCAP_E_MALFORMED);
    }
    build_udp(&ip, 4754);
    test_store16(frame.bytes + 24, frame.len - 20 + 1);
    expect4(TUNNELCAP_GRE_UDP, TUNNELCAP_E_TRUNCATED);
    for (uint32_t len = 0; len < 8; len++) {
        test_payload(&frame, len);
        test_push_ip(&frame, &ip, UDP);
        expect4(TUNNELCAP_GRE_UDP, TUNNELCAP_E_TRUNCATED);
    }
}
END_TEST

/* ---- packets without their outer headers ---- */

START_TEST(udp_payloads_are_found_by_their_meta)
{
    tunnelcap_gre *gre = open4(TUNNELCAP_GRE_UDP), *plain = open4(0);
    tunnelcap_meta meta = {.at = TUNNELCAP_AT_UDP_PAYLOAD,
                           .src = test_addr(THEM4),
                           .dst = test_addr(US4),
                           .src_port = 50000,
                           .dst_port = 4754};
    push_inner(&bare, 10);
    ck_assert_status(decap(gre, &meta), TUNNELCAP_OK);
    ck_assert_status(decap(plain, &meta), TUNNELCAP_E_PROTOCOL);
    meta.dst_port = 4755;
    ck_assert_status(decap(gre, &meta), TUNNELCAP_E_NO_TUNNEL);
    meta.dst_port = 4754;
    meta.src = test_addr("198.51.100.9");
    ck_assert_status(decap(gre, &meta), TUNNELCAP_E_NO_TUNNEL);
    meta.src = test_addr(THEM6);
    ck_assert_status(decap(gre, &meta), TUNNELCAP_E_INVALID);
    meta.src = test_addr(THEM4);
    meta.at = 3;
    ck_assert_status(decap(gre, &meta), TUNNELCAP_E_INVALID);
    tunnelcap_gre_free(gre);
    tunnelcap_gre_free(plain);
}
END_TEST

START_TEST(ip_payloads_are_found_by_their_meta)
{
    tunnelcap_gre *gre = open6(0), *udp = open6(TUNNELCAP_GRE_UDP);
    test_ip ip = outer6();
    tunnelcap_meta meta = {.at = TUNNELCAP_AT_IP_PAYLOAD,
                           .proto = GRE,
                           .src = test_addr(THEM6),
                           .dst = test_addr(US6)};
    push_inner(&bare, 10);
    ck_assert_status(decap(gre, &meta), TUNNELCAP_OK);
    ck_assert_status(decap(udp, &meta), TUNNELCAP_E_PROTOCOL);
    meta.proto = UDP;
    ck_assert_status(decap(gre, &meta), TUNNELCAP_E_PROTOCOL);
    push_inner(&bare, 10);
    test_push_udp(&frame, &ip, 50000, 4754);
    ck_assert_status(decap(udp, &meta), TUNNELCAP_OK);
    frame.bytes[6] ^= 0xff;
    ck_assert_status(decap(udp, &meta), TUNNELCAP_E_CHECKSUM);
    meta.dst = test_addr("2001:db8::9");
    ck_assert_status(decap(udp, &meta), TUNNELCAP_E_NO_TUNNEL);
    tunnelcap_gre_free(gre);
    tunnelcap_gre_free(udp);
}
END_TEST

static int32_t feed_udp_payload(void *arg, tunnelcap_pkt *pkt)
{
    tunnelcap_meta meta = {.at = TUNNELCAP_AT_UDP_PAYLOAD,
                           .src = test_addr(THEM4),
                           .dst = test_addr(US4),
                           .src_port = 50000,
                           .dst_port = 4754};
    return test_gre_decap(arg, pkt, &meta, NULL);
}

START_TEST(stripped_packets_are_checked_as_strictly)
{
    tunnelcap_gre *gre = open4(TUNNELCAP_GRE_UDP);
    push_inner(&bare, 10);
    test_truncation(frame.bytes, frame.len, TUNNELCAP_E_TRUNCATED, feed_udp_payload, gre);
    test_flips(frame.bytes, frame.len, 0, feed_udp_payload, gre);
    tunnelcap_gre_free(gre);
}
END_TEST

START_TEST(marks_that_a_socket_reports_are_folded_in)
{
    tunnelcap_gre *gre = open4(TUNNELCAP_GRE_UDP);
    tunnelcap_meta meta = {.at = TUNNELCAP_AT_UDP_PAYLOAD,
                           .src = test_addr(THEM4),
                           .dst = test_addr(US4),
                           .src_port = 50000,
                           .dst_port = 4754,
                           .tos = 3};
    test_ip inner = test_between("10.1.0.1", "10.2.0.1");
    for (uint8_t ecn = 0; ecn < 4; ecn++) {
        inner.tos = ecn;
        test_udp_packet(&frame, &inner, 10);
        test_push_gre(&frame, &bare);
        meta.flags = 0;
        ck_assert_status(decap(gre, &meta), TUNNELCAP_OK);
        meta.flags = TUNNELCAP_META_TOS_VALID;
        tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 0);
        int32_t status = test_gre_decap(gre, &pkt, &meta, NULL);
        ck_assert_status(status, ecn == 0 ? TUNNELCAP_E_ECN : TUNNELCAP_OK);
        if (status == TUNNELCAP_OK)
            ck_assert_uint_eq(pkt.buf[pkt.off + 1], 3);
        test_pkt_free(&pkt);
    }
    tunnelcap_gre_free(gre);
}
END_TEST

START_TEST(broken_ip_in_ethernet_is_its_receivers_affair)
{
    static const uint8_t first_bytes[] = {0x44, 0x55, 0x65, 0x00};
    tunnelcap_gre *gre = open4(0);
    for (size_t i = 0; i < TEST_COUNT(first_bytes); i++) {
        for (uint32_t len = 0; len < 30; len++) {
            static const uint8_t header[14] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00};
            test_gre ethernet = {.protocol = TUNNELCAP_ETHERTYPE_ETHERNET};
            test_ip ip = outer4();
            ip.tos = 3; /* nothing to fold it into */
            test_payload(&frame, len);
            if (len > 0)
                frame.bytes[0] = first_bytes[i];
            test_push(&frame, header, sizeof(header));
            test_push_gre(&frame, &ethernet);
            test_push_ip(&frame, &ip, GRE);
            tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 0);
            ck_assert_status(test_gre_decap(gre, &pkt, NULL, NULL), TUNNELCAP_OK);
            ck_assert_mem_eq(pkt.buf, frame.bytes, frame.len);
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
        packets_of_other_ends_belong_to_no_tunnel,
        other_protocols_are_refused,
        malformed_outer_headers_are_refused,
        outer_header_checksum_is_verified,
        outer_fragments_are_refused,
        extension_headers_of_the_outer_packet_are_walked,
        udp_checksum_rules_of_rfc_8086,
        udp_to_another_port_belongs_to_no_tunnel,
        udp_length_must_fit_its_packet,
        udp_payloads_are_found_by_their_meta,
        ip_payloads_are_found_by_their_meta,
        stripped_packets_are_checked_as_strictly,
        marks_that_a_socket_reports_are_folded_in,
        broken_ip_in_ethernet_is_its_receivers_affair,
    };
    return test_suite("gre_decap", tests, TEST_COUNT(tests));
}
