/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Errors about outer packets, turned into errors to the sender of the inner one. */
#include "support.h"

#define A4 "192.0.2.1"
#define B4 "198.51.100.1"
#define A6 "2001:db8:a::1"
#define B6 "2001:db8:b::1"

enum { GRE = 47, UDP = 17, IPV4 = 4, IPV6 = 41, ICMP = 1, ICMP6 = 58, OPTIONS = 60 };

static test_frame frame, quoted, wanted;

static test_ip inner_ip(bool six)
{
    return six ? test_between("fd00:1::1", "fd00:2::1") : test_between("10.1.0.1", "10.2.0.1");
}

static test_ip outer_ip(bool six)
{
    return six ? test_between(A6, B6) : test_between(A4, B4);
}

static tunnelcap_icmp_error error_of(void)
{
    tunnelcap_icmp_error error;
    test_ok(tunnelcap_icmp_error_init(&error, sizeof(error)));
    error.mtu = 1300;
    error.src4 = test_addr("10.0.0.254");
    error.src6 = test_addr("fd00::fe");
    return error;
}

/* Wrap the quoted frame, an inner packet, into GRE or IP in IP over `outer6`. */
static void encapsulate(bool outer6, bool inner6, bool gre)
{
    test_gre header = {0, inner6 ? 0x86dd : 0x0800, 0, 0};
    test_ip ip = outer_ip(outer6);
    if (gre)
        test_push_gre(&quoted, &header);
    test_push_ip(&quoted, &ip, gre ? GRE : inner6 ? IPV6 : IPV4);
}

/* A message about the first `len` bytes of the quoted frame. */
static void wrap(bool six, uint8_t type, uint8_t code, uint32_t word, uint32_t len)
{
    test_ip ip = six ? test_between("2001:db8:c::9", A6) : test_between("203.0.113.9", A4);
    frame.len = 0;
    test_push(&frame, quoted.bytes, len);
    test_push_icmp_word(&frame, &ip, type, code, word);
    test_push_ip(&frame, &ip, six ? ICMP6 : ICMP);
}

/* Parse and relay in memory of the exact size, without headroom; a refusal changes nothing. */
static int32_t relay(const tunnelcap_icmp_error *error, tunnelcap_pkt *pkt)
{
    tunnelcap_icmp_result result = {.size = sizeof(result)};
    *pkt = test_pkt(frame.bytes, frame.len, 0);
    test_ok(tunnelcap_icmp_parse(pkt, NULL, &result));
    test_snapshot snap = test_snap(pkt);
    int32_t status = tunnelcap_icmp_relay(pkt, &result, error, NULL, 0);
    if (status == TUNNELCAP_OK)
        free(snap.bytes);
    else
        test_unchanged(&snap, pkt);
    return status;
}

static void refuse(int32_t want)
{
    tunnelcap_icmp_error error = error_of();
    tunnelcap_pkt pkt;
    ck_assert_status(relay(&error, &pkt), want);
    test_pkt_free(&pkt);
}

/* What the inner sender must get: about `len` bytes of its packet, which stand in `inner`. */
static void expect(bool six, uint8_t type, uint8_t code, uint32_t word, const uint8_t *inner,
                   uint32_t len)
{
    tunnelcap_icmp_error error = error_of();
    test_ip back =
        six ? test_between("fd00::fe", "fd00:1::1") : test_between("10.0.0.254", "10.1.0.1");
    tunnelcap_pkt pkt;
    uint32_t max = six ? 1232 : 548;
    back.tos = 0xc0;
    wanted.len = 0;
    test_push(&wanted, inner, len < max ? len : max);
    test_push_icmp_word(&wanted, &back, type, code, word);
    test_push_ip(&wanted, &back, six ? ICMP6 : ICMP);
    test_ok(relay(&error, &pkt));
    ck_assert_uint_eq(pkt.len, wanted.len);
    ck_assert_mem_eq(pkt.buf + pkt.off, wanted.bytes, wanted.len);
    test_pkt_free(&pkt);
}

START_TEST(errors_are_translated_as_the_rfcs_say)
{
    static const struct {
        bool six; /* the outer packet */
        uint8_t type, code;
        uint32_t word;
        uint8_t type4, code4, type6, code6; /* 255: nothing is sent */
    } rows[] = {
        {false, 3, 4, 1324, 3, 4, 2, 0},   {false, 3, 4, 0, 3, 4, 2, 0},
        {false, 3, 0, 0, 3, 0, 1, 3},      {false, 3, 1, 0, 3, 1, 1, 3},
        {false, 3, 2, 0, 3, 1, 1, 3},      {false, 3, 3, 0, 3, 1, 1, 3},
        {false, 3, 5, 0, 255, 0, 255, 0},  {false, 3, 6, 0, 3, 0, 1, 3},
        {false, 3, 7, 0, 3, 1, 1, 3},      {false, 3, 13, 0, 3, 1, 1, 3},
        {false, 11, 0, 0, 3, 1, 1, 3},     {false, 11, 1, 0, 255, 0, 255, 0},
        {false, 12, 0, 0, 255, 0, 255, 0}, {true, 2, 0, 1324, 3, 4, 2, 0},
        {true, 1, 0, 0, 3, 1, 1, 3},       {true, 1, 3, 0, 3, 1, 1, 3},
        {true, 1, 5, 0, 3, 1, 1, 3},       {true, 3, 0, 0, 3, 1, 1, 3},
        {true, 3, 1, 0, 255, 0, 255, 0},   {true, 4, 0, 6, 255, 0, 255, 0},
        {true, 4, 1, 6, 255, 0, 255, 0},
    };
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        for (unsigned mix = 0; mix < 4; mix++) {
            bool six = mix & 1, gre = mix & 2;
            test_ip ip = inner_ip(six);
            uint8_t type = six ? rows[i].type6 : rows[i].type4;
            uint8_t code = six ? rows[i].code6 : rows[i].code4;
            test_udp_packet(&quoted, &ip, 1400);
            encapsulate(rows[i].six, six, gre);
            uint32_t header = (rows[i].six ? 40u : 20u) + (gre ? 4u : 0u);
            uint32_t len = rows[i].six ? 1232 : 548;
            wrap(rows[i].six, rows[i].type, rows[i].code, rows[i].word, len);
            if (type == 255)
                refuse(TUNNELCAP_E_NO_ANSWER);
            else
                expect(six, type, code, code == 4 || type == 2 ? 1300 : 0, quoted.bytes + header,
                       len - header);
        }
    }
}
END_TEST

START_TEST(a_tunnel_nested_too_deeply_is_unreachable)
{
    static const uint8_t limit[6] = {4, 1, 0, 1, 1, 0}, longer[6] = {4, 2, 0, 0, 1, 0};
    for (unsigned six = 0; six <= 1; six++) {
        for (uint32_t pointer = 38; pointer <= 60; pointer++) {
            test_ip ip = inner_ip(six), outer = outer_ip(true);
            test_udp_packet(&quoted, &ip, 100);
            test_push_ext(&quoted, six ? IPV6 : IPV4, limit, sizeof(limit));
            outer.dst = test_addr("2001:db8:b::401"); /* an address is no option */
            test_push_ip(&quoted, &outer, OPTIONS);
            wrap(true, 4, 0, pointer, 140);
            if (pointer == 44) /* the option's value */
                expect(six, six ? 1 : 3, six ? 3 : 1, 0, quoted.bytes + 48, 92);
            else
                refuse(TUNNELCAP_E_NO_ANSWER);
        }
    }
    wrap(true, 4, 2, 44, 140);
    refuse(TUNNELCAP_E_NO_ANSWER);
    memcpy(quoted.bytes + 42, longer, sizeof(longer));
    wrap(true, 4, 0, 44, 140);
    refuse(TUNNELCAP_E_NO_ANSWER);
    wrap(true, 4, 0, UINT32_MAX, 140);
    refuse(TUNNELCAP_E_NO_ANSWER);
}
END_TEST

START_TEST(the_inner_packet_must_be_there_with_eight_bytes_of_what_it_carries)
{
    for (unsigned mix = 0; mix < 4; mix++) {
        bool outer6 = mix & 1, inner6 = mix & 2;
        test_ip ip = inner_ip(inner6);
        test_udp_packet(&quoted, &ip, 1400);
        encapsulate(outer6, inner6, true);
        uint32_t header = (outer6 ? 40 : 20) + 4;
        uint32_t least = header + (inner6 ? 40 : 20) + 8;
        for (uint32_t len = outer6 ? 40 : 20; len < least + 20; len++) {
            wrap(outer6, outer6 ? 1 : 3, 1, 0, len);
            if (len < least)
                refuse(TUNNELCAP_E_ICMP);
            else
                expect(inner6, inner6 ? 1 : 3, inner6 ? 3 : 1, 0, quoted.bytes + header,
                       len - header);
        }
        /* A packet that has no eight bytes need only be whole. */
        test_payload(&quoted, 3);
        test_push_ip(&quoted, &ip, 99);
        encapsulate(outer6, inner6, true);
        for (uint32_t less = 0; less <= 3; less++) {
            wrap(outer6, outer6 ? 1 : 3, 1, 0, quoted.len - less);
            if (less != 0)
                refuse(TUNNELCAP_E_ICMP);
            else
                expect(inner6, inner6 ? 1 : 3, inner6 ? 3 : 1, 0, quoted.bytes + header,
                       quoted.len - header);
        }
    }
}
END_TEST

START_TEST(what_holds_no_inner_ip_packet_is_not_relayed)
{
    test_ip outer = outer_ip(false), ip = inner_ip(false);
    static const uint16_t protocols[] = {0x6558, 0x8847, 0x0000};
    for (size_t i = 0; i < TEST_COUNT(protocols); i++) {
        test_gre header = {0, protocols[i], 0, 0};
        test_udp_packet(&quoted, &ip, 100);
        test_push_gre(&quoted, &header);
        test_push_ip(&quoted, &outer, GRE);
        wrap(false, 3, 1, 0, 100);
        refuse(TUNNELCAP_E_ICMP);
    }
    test_payload(&quoted, 100);
    test_push_ip(&quoted, &outer, 50);
    wrap(false, 3, 1, 0, 100);
    refuse(TUNNELCAP_E_ICMP);
    test_udp_packet(&quoted, &ip, 100);
    encapsulate(false, true, false); /* protocol 41, but IPv4 inside */
    wrap(false, 3, 1, 0, 100);
    refuse(TUNNELCAP_E_MALFORMED);
    test_udp_packet(&quoted, &ip, 100);
    quoted.bytes[0] = 0x43;
    encapsulate(false, false, false);
    wrap(false, 3, 1, 0, 100);
    refuse(TUNNELCAP_E_MALFORMED);
}
END_TEST

START_TEST(the_rules_for_errors_hold_inside)
{
    static const char *const sources[] = {"0.0.0.0", "127.0.0.1", "224.0.0.1"};
    test_ip ip = inner_ip(false);
    for (size_t i = 0; i < TEST_COUNT(sources); i++) {
        ip.src = test_addr(sources[i]);
        test_udp_packet(&quoted, &ip, 100);
        encapsulate(false, false, true);
        wrap(false, 3, 1, 0, 100);
        refuse(TUNNELCAP_E_NO_ANSWER);
    }
    ip = inner_ip(false);
    ip.dst = test_addr("239.1.1.1");
    test_udp_packet(&quoted, &ip, 100);
    encapsulate(false, false, true);
    wrap(false, 3, 1, 0, 100);
    refuse(TUNNELCAP_E_NO_ANSWER);
    ip = inner_ip(false);
    ip.frag = 8;
    test_udp_packet(&quoted, &ip, 100);
    encapsulate(false, false, true);
    wrap(false, 3, 1, 0, 100);
    refuse(TUNNELCAP_E_NO_ANSWER);
    for (unsigned six = 0; six <= 1; six++) {
        ip = inner_ip(six);
        test_payload(&quoted, 100);
        test_push_icmp(&quoted, &ip, six ? 1 : 3, 0);
        test_push_ip(&quoted, &ip, six ? ICMP6 : ICMP);
        encapsulate(false, six, true);
        wrap(false, 3, 1, 0, 100);
        refuse(TUNNELCAP_E_NO_ANSWER);
        /* Too big, but not for the inner MTU. */
        test_udp_packet(&quoted, &ip, 1000);
        encapsulate(false, six, true);
        wrap(false, 3, 4, 1000, 100);
        refuse(TUNNELCAP_E_NO_ANSWER);
    }
    ip = inner_ip(true); /* groups hear of size */
    ip.dst = test_addr("ff0e::1");
    test_udp_packet(&quoted, &ip, 1400);
    encapsulate(false, true, true);
    wrap(false, 3, 4, 1400, 200);
    expect(true, 2, 0, 1300, quoted.bytes + 24, 176);
    /* A header checksum inside that is wrong does not matter: routers do not see it. */
    ip = inner_ip(false);
    test_udp_packet(&quoted, &ip, 100);
    quoted.bytes[8]--;
    encapsulate(false, false, true);
    wrap(false, 3, 1, 0, 100);
    expect(false, 3, 1, 0, quoted.bytes + 24, 76);
}
END_TEST

START_TEST(without_outer_header_ipv6_inside_ipv4_needs_headroom)
{
    for (uint32_t room = 0; room <= 24; room++) {
        tunnelcap_meta meta = {.at = TUNNELCAP_AT_IP_PAYLOAD,
                               .proto = ICMP,
                               .src = test_addr("203.0.113.9"),
                               .dst = test_addr(A4)};
        tunnelcap_icmp_result result = {.size = sizeof(result)};
        tunnelcap_icmp_error error = error_of();
        test_ip ip = inner_ip(true);
        test_udp_packet(&quoted, &ip, 100);
        encapsulate(false, true, false);
        wrap(false, 3, 1, 0, 100);
        tunnelcap_pkt pkt = test_pkt(frame.bytes + 20, frame.len - 20, room);
        test_ok(tunnelcap_icmp_parse(&pkt, &meta, &result));
        test_snapshot snap = test_snap(&pkt);
        int32_t status = tunnelcap_icmp_relay(&pkt, &result, &error, NULL, 0);
        ck_assert_status(status, room < 20 ? TUNNELCAP_E_HEADROOM : TUNNELCAP_OK);
        if (status == TUNNELCAP_OK)
            free(snap.bytes);
        else
            test_unchanged(&snap, &pkt);
        test_pkt_free(&pkt);
    }
}
END_TEST

START_TEST(arguments_are_checked)
{
    tunnelcap_icmp_error error = error_of(), wrong;
    tunnelcap_icmp_result result = {.size = sizeof(result)}, other;
    tunnelcap_icmp_limit limit;
    test_ip ip = inner_ip(false);
    test_udp_packet(&quoted, &ip, 1400);
    encapsulate(false, false, true);
    wrap(false, 3, 4, 1400, 100);
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 0), outside = pkt;
    test_ok(tunnelcap_icmp_parse(&pkt, NULL, &result));
    test_snapshot snap = test_snap(&pkt);
    outside.len++;
    ck_assert_status(tunnelcap_icmp_relay(NULL, &result, &error, NULL, 0), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_icmp_relay(&outside, &result, &error, NULL, 0), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_icmp_relay(&pkt, NULL, &error, NULL, 0), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_icmp_relay(&pkt, &result, NULL, NULL, 0), TUNNELCAP_E_INVALID);
    other = result;
    other.size--;
    ck_assert_status(tunnelcap_icmp_relay(&pkt, &other, &error, NULL, 0), TUNNELCAP_E_VERSION);
    other = result;
    other.inner = pkt.len + 1;
    ck_assert_status(tunnelcap_icmp_relay(&pkt, &other, &error, NULL, 0), TUNNELCAP_E_INVALID);
    other = result;
    other.inner_len++;
    ck_assert_status(tunnelcap_icmp_relay(&pkt, &other, &error, NULL, 0), TUNNELCAP_E_INVALID);
    other = result;
    other.quote = other.inner + 1;
    ck_assert_status(tunnelcap_icmp_relay(&pkt, &other, &error, NULL, 0), TUNNELCAP_E_INVALID);
    other = result;
    other.kind = TUNNELCAP_ICMP_OTHER;
    ck_assert_status(tunnelcap_icmp_relay(&pkt, &other, &error, NULL, 0), TUNNELCAP_E_NO_ANSWER);
    wrong = error;
    wrong.size--;
    ck_assert_status(tunnelcap_icmp_relay(&pkt, &result, &wrong, NULL, 0), TUNNELCAP_E_VERSION);
    wrong = error;
    wrong.reserved = 1;
    ck_assert_status(tunnelcap_icmp_relay(&pkt, &result, &wrong, NULL, 0), TUNNELCAP_E_RESERVED);
    wrong = error;
    wrong.ttl = 0;
    ck_assert_status(tunnelcap_icmp_relay(&pkt, &result, &wrong, NULL, 0), TUNNELCAP_E_RANGE);
    wrong = error;
    wrong.mtu = 65536;
    ck_assert_status(tunnelcap_icmp_relay(&pkt, &result, &wrong, NULL, 0), TUNNELCAP_E_RANGE);
    wrong = error;
    wrong.src4.family = 0;
    ck_assert_status(tunnelcap_icmp_relay(&pkt, &result, &wrong, NULL, 0), TUNNELCAP_E_ADDRESS);
    test_ok(tunnelcap_icmp_limit_init(&limit, 1, 1));
    test_ok(tunnelcap_icmp_limit_take(&limit, 0));
    ck_assert_status(tunnelcap_icmp_relay(&pkt, &result, &error, &limit, 0),
                     TUNNELCAP_E_RATE_LIMITED);
    test_unchanged(&snap, &pkt);
    test_ok(tunnelcap_icmp_relay(&pkt, &result, &error, &limit, 1000000000));
    test_pkt_free(&pkt);
}
END_TEST

Suite *test_icmp_relay_suite(void)
{
    const TTest *tests[] = {
        errors_are_translated_as_the_rfcs_say,
        a_tunnel_nested_too_deeply_is_unreachable,
        the_inner_packet_must_be_there_with_eight_bytes_of_what_it_carries,
        what_holds_no_inner_ip_packet_is_not_relayed,
        the_rules_for_errors_hold_inside,
        without_outer_header_ipv6_inside_ipv4_needs_headroom,
        arguments_are_checked,
    };
    return test_suite("icmp_relay", tests, TEST_COUNT(tests));
}
