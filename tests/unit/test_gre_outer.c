/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* GRE decapsulation: what stands before the GRE header, or has been stripped by a socket. */
#include "gre_peer.h"

/* ---- the outer header ---- */

START_TEST(packets_of_other_ends_belong_to_no_tunnel)
{
    static const char *const ends[][2] = {{PEER_US4, PEER_THEM4},
                                          {PEER_THEM4, "192.0.2.2"},
                                          {"198.51.100.2", PEER_US4},
                                          {PEER_THEM4, PEER_THEM4},
                                          {PEER_THEM6, PEER_US6}};
    for (size_t i = 0; i < TEST_COUNT(ends); i++) {
        test_ip ip = test_between(ends[i][0], ends[i][1]);
        peer_push_inner(&peer_bare, 10);
        test_push_ip(&peer_frame, &ip, PEER_GRE);
        peer_expect4(0, TUNNELCAP_E_NO_TUNNEL);
    }
    test_ip ip = peer_outer6();
    for (unsigned at = 0; at < 32; at++) {
        peer_push_inner(&peer_bare, 10);
        test_push_ip(&peer_frame, &ip, PEER_GRE);
        peer_frame.bytes[8 + at] ^= 0x40;
        peer_expect6(0, TUNNELCAP_E_NO_TUNNEL);
    }
}
END_TEST

START_TEST(other_protocols_are_refused)
{
    test_ip ip = peer_outer4();
    static const uint8_t protocols[] = {0, 1, 4, 6, 41, 50, 255};
    for (size_t i = 0; i < TEST_COUNT(protocols); i++) {
        peer_push_inner(&peer_bare, 10);
        test_push_ip(&peer_frame, &ip, protocols[i]);
        peer_expect4(0, TUNNELCAP_E_PROTOCOL);
        peer_expect4(TUNNELCAP_GRE_UDP, TUNNELCAP_E_PROTOCOL);
    }
    peer_push_inner(&peer_bare, 10);
    test_push_udp(&peer_frame, &ip, 50000, 4754);
    test_push_ip(&peer_frame, &ip, PEER_UDP);
    peer_expect4(0, TUNNELCAP_E_PROTOCOL);
    peer_build4(&peer_bare, 10);
    peer_expect4(TUNNELCAP_GRE_UDP, TUNNELCAP_E_PROTOCOL);
}
END_TEST

START_TEST(malformed_outer_headers_are_refused)
{
    peer_build4(&peer_bare, 10);
    peer_frame.bytes[0] = 0x44; /* header of 16 bytes */
    peer_expect4(0, TUNNELCAP_E_MALFORMED);
    peer_frame.bytes[0] = 0x55;
    peer_expect4(0, TUNNELCAP_E_MALFORMED);
    peer_build4(&peer_bare, 10);
    test_store16(peer_frame.bytes + 2, 19);
    peer_expect4(0, TUNNELCAP_E_MALFORMED);
    peer_build4(&peer_bare, 10);
    peer_frame.bytes[0] = 0x46;
    test_store16(peer_frame.bytes + 2, 23);
    peer_expect4(0, TUNNELCAP_E_MALFORMED);
}
END_TEST

START_TEST(outer_header_checksum_is_verified)
{
    peer_build4(&peer_bare, 10);
    peer_frame.bytes[8]--; /* TTL */
    peer_expect4(0, TUNNELCAP_E_CHECKSUM);
    test_ip ip = peer_outer4();
    peer_push_inner(&peer_bare, 10);
    test_push_ip_options(&peer_frame, &ip, PEER_GRE, "\1\1\1\0", 4);
    peer_expect4(0, TUNNELCAP_OK);
    peer_frame.bytes[22] = 0;
    peer_expect4(0, TUNNELCAP_E_CHECKSUM);
    tunnelcap_meta verified = {.flags = TUNNELCAP_META_CSUM_VALID};
    tunnelcap_gre *gre = peer_open4(0);
    ck_assert_status(peer_decap(gre, &verified), TUNNELCAP_OK);
    tunnelcap_gre_free(gre);
}
END_TEST

START_TEST(outer_fragments_are_refused)
{
    static const uint16_t frags[] = {0x2000, 0x0001, 0x1fff, 0x3fff, 0x2001};
    for (size_t i = 0; i < TEST_COUNT(frags); i++) {
        test_ip ip = peer_outer4();
        ip.frag = frags[i];
        peer_push_inner(&peer_bare, 10);
        test_push_ip(&peer_frame, &ip, PEER_GRE);
        peer_expect4(0, TUNNELCAP_E_FRAGMENT);
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
        test_ip ip = peer_outer6();
        peer_push_inner(&peer_bare, 10);
        test_push_ext(&peer_frame, PEER_GRE, rows[i].content, 6);
        test_push_ip(&peer_frame, &ip, 44);
        peer_expect6(0, rows[i].want);
    }
}
END_TEST

START_TEST(extension_headers_of_the_outer_packet_are_walked)
{
    static const uint8_t pad[14] = {1, 12}, limit[6] = {4, 1, 0, 1, 1, 0};
    static const uint8_t routing[6] = {4, 0, 0, 0, 0, 0};
    test_ip ip = peer_outer6();
    peer_push_inner(&peer_bare, 10);
    test_push_ext(&peer_frame, PEER_GRE, limit, sizeof(limit));
    test_push_ext(&peer_frame, 60, routing, sizeof(routing));
    test_push_ext(&peer_frame, 43, pad, sizeof(pad));
    test_push_ip(&peer_frame, &ip, 0);
    peer_expect6(0, TUNNELCAP_OK);
    peer_expect6(TUNNELCAP_GRE_UDP, TUNNELCAP_E_PROTOCOL);

    peer_push_inner(&peer_bare, 10);
    test_push_ext(&peer_frame, PEER_GRE, limit, sizeof(limit));
    peer_frame.bytes[1] = 255; /* longer than the packet */
    test_push_ip(&peer_frame, &ip, 60);
    peer_expect6(0, TUNNELCAP_E_MALFORMED);

    peer_frame.len = 0;
    for (uint32_t i = 0; i < 200; i++) /* a chain without end is no honest one */
        test_push_ext(&peer_frame, i == 0 ? PEER_GRE : 60, limit, sizeof(limit));
    test_push_ip(&peer_frame, &ip, 60);
    peer_expect6(0, TUNNELCAP_E_MALFORMED);
}
END_TEST

/* ---- GRE in UDP ---- */

static void build_udp(const test_ip *ip, uint16_t port)
{
    peer_push_inner(&peer_bare, 10);
    test_push_udp(&peer_frame, ip, 50000, port);
    test_push_ip(&peer_frame, ip, PEER_UDP);
}

START_TEST(udp_checksum_rules_of_rfc_8086)
{
    test_ip ip = peer_outer4(), ip6 = peer_outer6();
    build_udp(&ip, 4754);
    peer_expect4(TUNNELCAP_GRE_UDP, TUNNELCAP_OK);
    peer_frame.bytes[peer_frame.len - 1] ^= 1;
    peer_expect4(TUNNELCAP_GRE_UDP, TUNNELCAP_E_CHECKSUM);
    peer_expect4(TUNNELCAP_GRE_UDP | TUNNELCAP_GRE_UDP_ZERO_CHECKSUM, TUNNELCAP_E_CHECKSUM);
    tunnelcap_meta verified = {.flags = TUNNELCAP_META_CSUM_VALID};
    tunnelcap_gre *gre = peer_open4(TUNNELCAP_GRE_UDP);
    ck_assert_status(peer_decap(gre, &verified), TUNNELCAP_OK);
    tunnelcap_gre_free(gre);
    test_store16(peer_frame.bytes + 26, 0);
    peer_expect4(TUNNELCAP_GRE_UDP, TUNNELCAP_OK); /* zero over IPv4 means none */

    build_udp(&ip6, 4754);
    peer_expect6(TUNNELCAP_GRE_UDP, TUNNELCAP_OK);
    test_store16(peer_frame.bytes + 46, 0);
    peer_expect6(TUNNELCAP_GRE_UDP, TUNNELCAP_E_NO_CHECKSUM);
    peer_expect6(TUNNELCAP_GRE_UDP | TUNNELCAP_GRE_UDP_ZERO_CHECKSUM, TUNNELCAP_OK);
}
END_TEST

START_TEST(udp_to_another_port_belongs_to_no_tunnel)
{
    test_ip ip = peer_outer4();
    build_udp(&ip, 4755);
    peer_expect4(TUNNELCAP_GRE_UDP, TUNNELCAP_E_NO_TUNNEL);
    build_udp(&ip, 4500);
    peer_expect4(TUNNELCAP_GRE_UDP, TUNNELCAP_E_NO_TUNNEL);
}
END_TEST

START_TEST(udp_length_must_fit_its_packet)
{
    test_ip ip = peer_outer4();
    for (uint32_t len = 0; len < 8; len++) {
        build_udp(&ip, 4754);
        test_store16(peer_frame.bytes + 24, len);
        peer_expect4(TUNNELCAP_GRE_UDP, TUNNELCAP_E_MALFORMED);
    }
    build_udp(&ip, 4754);
    test_store16(peer_frame.bytes + 24, peer_frame.len - 20 + 1);
    peer_expect4(TUNNELCAP_GRE_UDP, TUNNELCAP_E_TRUNCATED);
    for (uint32_t len = 0; len < 8; len++) {
        test_payload(&peer_frame, len);
        test_push_ip(&peer_frame, &ip, PEER_UDP);
        peer_expect4(TUNNELCAP_GRE_UDP, TUNNELCAP_E_TRUNCATED);
    }
}
END_TEST

/* ---- packets without their outer headers ---- */

START_TEST(udp_payloads_are_found_by_their_meta)
{
    tunnelcap_gre *gre = peer_open4(TUNNELCAP_GRE_UDP), *plain = peer_open4(0);
    tunnelcap_meta meta = {.at = TUNNELCAP_AT_UDP_PAYLOAD,
                           .src = test_addr(PEER_THEM4),
                           .dst = test_addr(PEER_US4),
                           .src_port = 50000,
                           .dst_port = 4754};
    peer_push_inner(&peer_bare, 10);
    ck_assert_status(peer_decap(gre, &meta), TUNNELCAP_OK);
    ck_assert_status(peer_decap(plain, &meta), TUNNELCAP_E_PROTOCOL);
    meta.dst_port = 4755;
    ck_assert_status(peer_decap(gre, &meta), TUNNELCAP_E_NO_TUNNEL);
    meta.dst_port = 4754;
    meta.src = test_addr("198.51.100.9");
    ck_assert_status(peer_decap(gre, &meta), TUNNELCAP_E_NO_TUNNEL);
    meta.src = test_addr(PEER_THEM6);
    ck_assert_status(peer_decap(gre, &meta), TUNNELCAP_E_INVALID);
    meta.src = test_addr(PEER_THEM4);
    meta.at = 3;
    ck_assert_status(peer_decap(gre, &meta), TUNNELCAP_E_INVALID);
    tunnelcap_gre_free(gre);
    tunnelcap_gre_free(plain);
}
END_TEST

START_TEST(ip_payloads_are_found_by_their_meta)
{
    tunnelcap_gre *gre = peer_open6(0), *udp = peer_open6(TUNNELCAP_GRE_UDP);
    test_ip ip = peer_outer6();
    tunnelcap_meta meta = {.at = TUNNELCAP_AT_IP_PAYLOAD,
                           .proto = PEER_GRE,
                           .src = test_addr(PEER_THEM6),
                           .dst = test_addr(PEER_US6)};
    peer_push_inner(&peer_bare, 10);
    ck_assert_status(peer_decap(gre, &meta), TUNNELCAP_OK);
    ck_assert_status(peer_decap(udp, &meta), TUNNELCAP_E_PROTOCOL);
    meta.proto = PEER_UDP;
    ck_assert_status(peer_decap(gre, &meta), TUNNELCAP_E_PROTOCOL);
    peer_push_inner(&peer_bare, 10);
    test_push_udp(&peer_frame, &ip, 50000, 4754);
    ck_assert_status(peer_decap(udp, &meta), TUNNELCAP_OK);
    peer_frame.bytes[6] ^= 0xff;
    ck_assert_status(peer_decap(udp, &meta), TUNNELCAP_E_CHECKSUM);
    meta.dst = test_addr("2001:db8::9");
    ck_assert_status(peer_decap(udp, &meta), TUNNELCAP_E_NO_TUNNEL);
    tunnelcap_gre_free(gre);
    tunnelcap_gre_free(udp);
}
END_TEST

static int32_t feed_udp_payload(void *arg, tunnelcap_pkt *pkt)
{
    tunnelcap_meta meta = {.at = TUNNELCAP_AT_UDP_PAYLOAD,
                           .src = test_addr(PEER_THEM4),
                           .dst = test_addr(PEER_US4),
                           .src_port = 50000,
                           .dst_port = 4754};
    return test_gre_decap(arg, pkt, &meta, NULL);
}

START_TEST(stripped_packets_are_checked_as_strictly)
{
    tunnelcap_gre *gre = peer_open4(TUNNELCAP_GRE_UDP);
    peer_push_inner(&peer_bare, 10);
    test_truncation(peer_frame.bytes, peer_frame.len, TUNNELCAP_E_TRUNCATED, feed_udp_payload, gre);
    test_flips(peer_frame.bytes, peer_frame.len, 0, feed_udp_payload, gre);
    tunnelcap_gre_free(gre);
}
END_TEST

START_TEST(marks_that_a_socket_reports_are_folded_in)
{
    tunnelcap_gre *gre = peer_open4(TUNNELCAP_GRE_UDP);
    tunnelcap_meta meta = {.at = TUNNELCAP_AT_UDP_PAYLOAD,
                           .src = test_addr(PEER_THEM4),
                           .dst = test_addr(PEER_US4),
                           .src_port = 50000,
                           .dst_port = 4754,
                           .tos = 3};
    test_ip inner = test_between("10.1.0.1", "10.2.0.1");
    for (uint8_t ecn = 0; ecn < 4; ecn++) {
        inner.tos = ecn;
        test_udp_packet(&peer_frame, &inner, 10);
        test_push_gre(&peer_frame, &peer_bare);
        meta.flags = 0;
        ck_assert_status(peer_decap(gre, &meta), TUNNELCAP_OK);
        meta.flags = TUNNELCAP_META_TOS_VALID;
        tunnelcap_pkt pkt = test_pkt(peer_frame.bytes, peer_frame.len, 0);
        int32_t status = test_gre_decap(gre, &pkt, &meta, NULL);
        ck_assert_status(status, ecn == 0 ? TUNNELCAP_E_ECN : TUNNELCAP_OK);
        if (status == TUNNELCAP_OK)
            ck_assert_uint_eq(pkt.buf[pkt.off + 1], 3);
        test_pkt_free(&pkt);
    }
    tunnelcap_gre_free(gre);
}
END_TEST

Suite *test_gre_outer_suite(void)
{
    const TTest *tests[] = {
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
    };
    return test_suite("gre_outer", tests, TEST_COUNT(tests));
}
