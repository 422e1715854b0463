/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "support.h"

#define A4 "192.0.2.1"
#define B4 "198.51.100.1"
#define A6 "2001:db8:a::1"
#define B6 "2001:db8:b::1"

static test_frame frame;

enum { GRE = 47, UDP = 17, ESP = 50, IPV4 = 4, IPV6 = 41 };

/* Look at the frame in memory of its exact length; the packet must not be touched, and after a
 * failure of the IP header the result must be blank. */
static int32_t look(const tunnelcap_meta *meta, tunnelcap_peek_result *result)
{
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 0);
    test_snapshot snap = test_snap(&pkt);
    memset(result, 0xff, sizeof(*result));
    result->size = sizeof(*result);
    int32_t status = tunnelcap_peek(&pkt, meta, result);
    ck_assert_int_eq(pkt.status, INT32_MIN);
    ck_assert_uint_eq(result->size, sizeof(*result));
    if (status != TUNNELCAP_OK && result->src.family == 0) { /* nothing was recognised */
        tunnelcap_peek_result blank;
        memset(&blank, 0, sizeof(blank));
        blank.size = sizeof(blank);
        ck_assert_mem_eq(result, &blank, sizeof(blank));
    }
    test_unchanged(&snap, &pkt);
    test_pkt_free(&pkt);
    return status;
}

static int32_t feed(void *arg, tunnelcap_pkt *pkt)
{
    tunnelcap_peek_result result = {.size = sizeof(result)};
    return tunnelcap_peek(pkt, arg, &result);
}

START_TEST(gre_is_recognised_with_all_it_says)
{
    for (unsigned mix = 0; mix < 32; mix++) {
        bool six = mix & 1, udp = mix & 2;
        uint16_t flags = (uint16_t)((mix & 4 ? TEST_GRE_C : 0) | (mix & 8 ? TEST_GRE_K : 0) |
                                    (mix & 16 ? TEST_GRE_S : 0));
        test_gre header = {flags, 0x88be, 0x01020304, 0xfffffff0};
        test_ip ip = six ? test_between(A6, B6) : test_between(A4, B4);
        ip.tos = 0x2f;
        test_payload(&frame, 20);
        test_push_gre(&frame, &header);
        if (udp)
            test_push_udp(&frame, &ip, 51000, 4754);
        test_push_ip(&frame, &ip, udp ? UDP : GRE);

        tunnelcap_peek_result want;
        memset(&want, 0, sizeof(want));
        want.size = sizeof(want);
        want.flags = (udp ? TUNNELCAP_PEEK_UDP : 0u) | (mix & 4 ? TUNNELCAP_PEEK_CHECKSUM : 0u) |
                     (mix & 8 ? TUNNELCAP_PEEK_KEY : 0u) |
                     (mix & 16 ? TUNNELCAP_PEEK_SEQUENCE : 0u);
        want.src = ip.src;
        want.dst = ip.dst;
        want.key = mix & 8 ? header.key : 0;
        want.seq = mix & 16 ? header.seq : 0;
        want.src_port = udp ? 51000 : 0;
        want.dst_port = udp ? 4754 : 0;
        want.protocol = 0x88be;
        want.payload = (uint16_t)(frame.len - 20);
        want.kind = TUNNELCAP_KIND_GRE;
        want.ip_protocol = udp ? UDP : GRE;
        want.tos = 0x2f;
        tunnelcap_peek_result got;
        ck_assert_status(look(NULL, &got), TUNNELCAP_OK);
        ck_assert_mem_eq(&got, &want, sizeof(want));
    }
}
END_TEST

START_TEST(ip_in_ip_is_recognised)
{
    for (unsigned mix = 0; mix < 4; mix++) {
        test_ip inner =
            mix & 1 ? test_between("fd00::1", "fd00::2") : test_between("10.0.0.1", "10.0.0.2");
        test_ip outer = mix & 2 ? test_between(A6, B6) : test_between(A4, B4);
        test_udp_packet(&frame, &inner, 10);
        test_push_ip(&frame, &outer, mix & 1 ? IPV6 : IPV4);
        tunnelcap_peek_result got;
        ck_assert_status(look(NULL, &got), TUNNELCAP_OK);
        ck_assert_uint_eq(got.kind, TUNNELCAP_KIND_IPIP);
        ck_assert_uint_eq(got.protocol, mix & 1 ? 0x86dd : 0x0800);
        ck_assert_uint_eq(got.payload, mix & 2 ? 40 : 20);
        ck_assert_uint_eq(got.flags, 0);
    }
}
END_TEST

START_TEST(esp_ike_and_keepalives_are_told_apart)
{
    static const uint8_t esp[12] = {0, 0, 1, 2, 0, 0, 0, 9, 1, 2, 3, 4};
    static const uint8_t ike[12] = {0, 0, 0, 0, 1, 2, 3, 4};
    static const uint8_t alive[1] = {0xff};
    static const struct {
        const uint8_t *bytes;
        uint32_t len;
        uint16_t src, dst;
        uint8_t kind;
        int32_t status;
    } rows[] = {
        {esp, 12, 4500, 4500, TUNNELCAP_KIND_ESP, TUNNELCAP_OK},
        {esp, 12, 60000, 4500, TUNNELCAP_KIND_ESP, TUNNELCAP_OK},
        {esp, 12, 4500, 60000, TUNNELCAP_KIND_ESP, TUNNELCAP_OK},
        {esp, 12, 4501, 60000, TUNNELCAP_KIND_NONE, TUNNELCAP_OK},
        {esp, 7, 4500, 4500, TUNNELCAP_KIND_ESP, TUNNELCAP_E_TRUNCATED},
        {esp, 0, 4500, 4500, TUNNELCAP_KIND_ESP, TUNNELCAP_E_TRUNCATED},
        {ike, 12, 4500, 4500, TUNNELCAP_KIND_IKE, TUNNELCAP_OK},
        {alive, 1, 4500, 4500, TUNNELCAP_KIND_NAT_KEEPALIVE, TUNNELCAP_OK},
    };
    for (unsigned six = 0; six <= 1; six++) {
        test_ip ip = six ? test_between(A6, B6) : test_between(A4, B4);
        tunnelcap_peek_result got;
        for (size_t i = 0; i < TEST_COUNT(rows); i++) {
            frame.len = 0;
            test_push(&frame, rows[i].bytes, rows[i].len);
            test_push_udp(&frame, &ip, rows[i].src, rows[i].dst);
            test_push_ip(&frame, &ip, UDP);
            ck_assert_status(look(NULL, &got), rows[i].status);
            ck_assert_uint_eq(got.kind, rows[i].kind);
            if (rows[i].kind == TUNNELCAP_KIND_ESP && rows[i].status == TUNNELCAP_OK) {
                ck_assert_uint_eq(got.key, 0x0102);
                ck_assert_uint_eq(got.seq, 9);
                ck_assert_uint_eq(got.flags, TUNNELCAP_PEEK_UDP | TUNNELCAP_PEEK_SEQUENCE);
                ck_assert_uint_eq(got.payload, six ? 48 : 28);
            }
        }
        frame.len = 0;
        test_push(&frame, esp, sizeof(esp));
        test_push_ip(&frame, &ip, ESP);
        ck_assert_status(look(NULL, &got), TUNNELCAP_OK);
        ck_assert_uint_eq(got.kind, TUNNELCAP_KIND_ESP);
        ck_assert_uint_eq(got.flags, TUNNELCAP_PEEK_SEQUENCE);
        ck_assert_uint_eq(got.payload, six ? 40 : 20);
    }
}
END_TEST

START_TEST(other_packets_are_no_tunnel)
{
    test_ip ip = test_between(A4, B4);
    tunnelcap_peek_result got;
    test_udp_packet(&frame, &ip, 10);
    ck_assert_status(look(NULL, &got), TUNNELCAP_OK);
    ck_assert_uint_eq(got.kind, TUNNELCAP_KIND_NONE);
    ck_assert_uint_eq(got.flags, TUNNELCAP_PEEK_UDP);
    ck_assert_uint_eq(got.dst_port, 53);
    test_payload(&frame, 0);
    test_push_ip(&frame, &ip, 1);
    ck_assert_status(look(NULL, &got), TUNNELCAP_OK);
    ck_assert_uint_eq(got.kind, TUNNELCAP_KIND_NONE);
    ck_assert_uint_eq(got.ip_protocol, 1);
}
END_TEST

START_TEST(fragments_tell_addresses_and_protocol)
{
    static const uint8_t protocols[] = {GRE, IPV4, IPV6, ESP, UDP};
    static const uint8_t kinds[] = {TUNNELCAP_KIND_GRE, TUNNELCAP_KIND_IPIP, TUNNELCAP_KIND_IPIP,
                                    TUNNELCAP_KIND_ESP, TUNNELCAP_KIND_NONE};
    tunnelcap_peek_result got;
    for (size_t i = 0; i < TEST_COUNT(protocols); i++) {
        test_ip ip = test_between(A4, B4);
        ip.frag = 185;
        test_payload(&frame, 3);
        test_push_ip(&frame, &ip, protocols[i]);
        ck_assert_status(look(NULL, &got), TUNNELCAP_OK);
        ck_assert_uint_eq(got.flags, TUNNELCAP_PEEK_FRAGMENT);
        ck_assert_uint_eq(got.kind, kinds[i]);
        ck_assert_uint_eq(got.ip_protocol, protocols[i]);
        ck_assert_mem_eq(&got.src, &ip.src, sizeof(ip.src));
    }
    test_ip ip = test_between(A4, B4);
    test_gre keyed = {TEST_GRE_K, 0x0800, 5, 0};
    ip.frag = 0x2000;
    test_payload(&frame, 16);
    test_push_gre(&frame, &keyed);
    test_push_ip(&frame, &ip, GRE);
    ck_assert_status(look(NULL, &got), TUNNELCAP_OK);
    ck_assert_uint_eq(got.flags, TUNNELCAP_PEEK_FRAGMENT | TUNNELCAP_PEEK_KEY);
    ck_assert_uint_eq(got.key, 5);
}
END_TEST

START_TEST(gre_that_is_refused_says_why)
{
    test_ip ip = test_between(A4, B4);
    tunnelcap_peek_result got;
    for (unsigned bit = 0; bit < 16; bit++) {
        test_gre header = {(uint16_t)(1u << bit), 0x0800, 0, 0};
        test_payload(&frame, 16);
        test_push_gre(&frame, &header);
        test_push_ip(&frame, &ip, GRE);
        ck_assert_status(look(NULL, &got), bit < 3 ? TUNNELCAP_E_GRE_VERSION
                                           : bit == 14 || bit == 11 || bit == 10
                                               ? TUNNELCAP_E_GRE_FLAGS
                                               : TUNNELCAP_OK);
        ck_assert_uint_eq(got.kind, TUNNELCAP_KIND_GRE); /* even where it is refused */
        ck_assert_uint_eq(got.dst.family, TUNNELCAP_IPV4);
    }
}
END_TEST

START_TEST(a_packet_whose_tail_is_cut_off_can_be_looked_at)
{
    test_gre header = {TEST_GRE_K, 0x0800, 5, 0};
    test_ip ip = test_between(A6, B6);
    tunnelcap_peek_result got;
    test_payload(&frame, 400);
    test_push_gre(&frame, &header);
    test_push_udp(&frame, &ip, 51000, 4754);
    test_push_ip(&frame, &ip, UDP);
    frame.len = 40 + 8 + 8;
    ck_assert_status(look(NULL, &got), TUNNELCAP_OK);
    ck_assert_uint_eq(got.kind, TUNNELCAP_KIND_GRE);
    ck_assert_uint_eq(got.key, 5);
}
END_TEST

START_TEST(udp_of_no_tunnel_may_be_of_any_length)
{
    test_ip ip = test_between(A4, B4);
    tunnelcap_peek_result got;
    test_payload(&frame, 20);
    test_push_udp(&frame, &ip, 51000, 53);
    test_push_ip(&frame, &ip, UDP);
    frame.bytes[24] = 0;
    frame.bytes[25] = 0; /* the UDP length */
    ck_assert_status(look(NULL, &got), TUNNELCAP_OK);
    ck_assert_uint_eq(got.kind, TUNNELCAP_KIND_NONE);
    ck_assert_uint_eq(got.dst_port, 53);
}
END_TEST

START_TEST(peek_refuses_cut_headers_and_survives_flips)
{
    test_gre header = {TEST_GRE_C | TEST_GRE_K | TEST_GRE_S, 0x0800, 5, 6};
    for (unsigned mix = 0; mix < 4; mix++) {
        test_ip ip = mix & 1 ? test_between(A6, B6) : test_between(A4, B4);
        test_payload(&frame, 0);
        test_push_gre(&frame, &header);
        if (mix & 2)
            test_push_udp(&frame, &ip, 51000, 4754);
        test_push_ip(&frame, &ip, mix & 2 ? UDP : GRE);
        test_truncation(frame.bytes, frame.len, TUNNELCAP_E_TRUNCATED, feed, NULL);
        test_flips(frame.bytes, frame.len, 0, feed, NULL);
    }
    tunnelcap_peek_result got;
    test_payload(&frame, 60);
    frame.bytes[0] = 0x35;
    ck_assert_status(look(NULL, &got), TUNNELCAP_E_MALFORMED);
}
END_TEST

START_TEST(packets_from_sockets_are_looked_at_by_their_meta)
{
    tunnelcap_meta meta = {.at = TUNNELCAP_AT_UDP_PAYLOAD,
                           .src = test_addr(B4),
                           .dst = test_addr(A4),
                           .src_port = 51000,
                           .dst_port = 4754,
                           .flags = TUNNELCAP_META_TOS_VALID,
                           .tos = 0x2e};
    test_gre keyed = {TEST_GRE_K, 0x0800, 5, 0};
    tunnelcap_peek_result got;
    test_payload(&frame, 16);
    test_push_gre(&frame, &keyed);
    ck_assert_status(look(&meta, &got), TUNNELCAP_OK);
    ck_assert_uint_eq(got.kind, TUNNELCAP_KIND_GRE);
    ck_assert_uint_eq(got.flags, TUNNELCAP_PEEK_UDP | TUNNELCAP_PEEK_KEY);
    ck_assert_uint_eq(got.payload, 8);
    ck_assert_uint_eq(got.src_port, 51000);
    ck_assert_uint_eq(got.tos, 0x2e);
    ck_assert_mem_eq(&got.src, &meta.src, sizeof(meta.src));
    ck_assert_mem_eq(&got.dst, &meta.dst, sizeof(meta.dst));
    meta.at = TUNNELCAP_AT_IP_PAYLOAD;
    meta.proto = GRE;
    ck_assert_status(look(&meta, &got), TUNNELCAP_OK);
    ck_assert_uint_eq(got.kind, TUNNELCAP_KIND_GRE);
    ck_assert_uint_eq(got.flags, TUNNELCAP_PEEK_KEY);
    meta.at = 3;
    ck_assert_status(look(&meta, &got), TUNNELCAP_E_INVALID);
}
END_TEST

START_TEST(peek_checks_its_arguments)
{
    tunnelcap_peek_result got = {.size = sizeof(got)};
    test_ip ip = test_between(A4, B4);
    test_udp_packet(&frame, &ip, 10);
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 0);
    ck_assert_status(tunnelcap_peek(NULL, NULL, &got), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_peek(&pkt, NULL, NULL), TUNNELCAP_E_INVALID);
    got.size = sizeof(got) - 1;
    ck_assert_status(tunnelcap_peek(&pkt, NULL, &got), TUNNELCAP_E_VERSION);
    got.size = sizeof(got);
    tunnelcap_pkt outside = pkt;
    outside.len++;
    ck_assert_status(tunnelcap_peek(&outside, NULL, &got), TUNNELCAP_E_INVALID);

    struct {
        tunnelcap_peek_result known;
        uint8_t tail[8];
    } newer;
    memset(&newer, 0xff, sizeof(newer));
    newer.known.size = sizeof(newer);
    ck_assert_status(tunnelcap_peek(&pkt, NULL, &newer.known), TUNNELCAP_OK);
    for (size_t i = 0; i < sizeof(newer.tail); i++)
        ck_assert_uint_eq(newer.tail[i], 0);
    test_pkt_free(&pkt);
}
END_TEST

Suite *test_peek_suite(void)
{
    const TTest *tests[] = {
        gre_is_recognised_with_all_it_says,
        ip_in_ip_is_recognised,
        esp_ike_and_keepalives_are_told_apart,
        other_packets_are_no_tunnel,
        fragments_tell_addresses_and_protocol,
        gre_that_is_refused_says_why,
        a_packet_whose_tail_is_cut_off_can_be_looked_at,
        udp_of_no_tunnel_may_be_of_any_length,
        peek_refuses_cut_headers_and_survives_flips,
        packets_from_sockets_are_looked_at_by_their_meta,
        peek_checks_its_arguments,
    };
    return test_suite("peek", tests, TEST_COUNT(tests));
}
