/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* What must never be answered with an ICMP error: RFC 1122 3.2.2, RFC 1812 4.3.2.7, RFC 4443
 * 2.4 (e). Each rule with what lies right beside it and is answered. */
#include "support.h"

#define HOST4 "10.1.0.1"
#define PEER4 "10.2.0.1"
#define HOST6 "fd00:1::1"
#define PEER6 "fd00:2::1"

enum { UDP = 17, ICMP = 1, ICMP6 = 58, AH = 51, FRAGMENT = 44, OPTIONS = 60 };

static test_frame frame;

static test_ip between(bool six)
{
    return six ? test_between(HOST6, PEER6) : test_between(HOST4, PEER4);
}

static tunnelcap_icmp_error error_of(uint8_t kind)
{
    tunnelcap_icmp_error error;
    test_ok(tunnelcap_icmp_error_init(&error, sizeof(error)));
    error.kind = kind;
    error.src4 = test_addr("192.0.2.1");
    error.src6 = test_addr("2001:db8::1");
    return error;
}

/* Whether the frame is answered; a refusal leaves it unchanged. */
static int32_t answer(const tunnelcap_icmp_error *error)
{
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 48);
    test_snapshot snap = test_snap(&pkt);
    int32_t status = tunnelcap_icmp_error_build(&pkt, NULL, error, NULL, 0);
    if (status == TUNNELCAP_OK)
        free(snap.bytes);
    else
        test_unchanged(&snap, &pkt);
    test_pkt_free(&pkt);
    return status;
}

static int32_t answer_kind(uint8_t kind)
{
    tunnelcap_icmp_error error = error_of(kind);
    return answer(&error);
}

static void push_icmp(const test_ip *ip, uint8_t type)
{
    bool six = ip->src.family == TUNNELCAP_IPV6;
    test_payload(&frame, 28);
    test_push_icmp(&frame, ip, type, 0);
    test_push_ip(&frame, ip, six ? ICMP6 : ICMP);
}

START_TEST(icmpv4_errors_are_not_answered_and_all_else_is)
{
    test_ip ip = between(false);
    for (unsigned type = 0; type < 256; type++) {
        bool error = type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
        push_icmp(&ip, (uint8_t)type);
        ck_assert_status(answer_kind(TUNNELCAP_ICMP_UNREACHABLE),
                         error ? TUNNELCAP_E_NO_ANSWER : TUNNELCAP_OK);
    }
}
END_TEST

START_TEST(icmpv6_errors_and_redirects_are_not_answered_and_all_else_is)
{
    test_ip ip = between(true);
    for (unsigned type = 0; type < 256; type++) {
        push_icmp(&ip, (uint8_t)type);
        ck_assert_status(answer_kind(TUNNELCAP_ICMP_UNREACHABLE),
                         type < 128 || type == 137 ? TUNNELCAP_E_NO_ANSWER : TUNNELCAP_OK);
    }
}
END_TEST

START_TEST(icmp_without_its_type_is_not_answered)
{
    for (unsigned six = 0; six <= 1; six++) {
        test_ip ip = between(six);
        frame.len = 0;
        test_push_ip(&frame, &ip, six ? ICMP6 : ICMP);
        ck_assert_status(answer_kind(TUNNELCAP_ICMP_UNREACHABLE), TUNNELCAP_E_NO_ANSWER);
        frame.bytes[frame.len++] = 128; /* padding is no type */
        ck_assert_status(answer_kind(TUNNELCAP_ICMP_UNREACHABLE), TUNNELCAP_E_NO_ANSWER);
        push_icmp(&ip, six ? 128 : 8);
        frame.len = six ? 40 : 20; /* it was there, but is cut off */
        ck_assert_status(answer_kind(TUNNELCAP_ICMP_UNREACHABLE), TUNNELCAP_E_NO_ANSWER);
        frame.len++;
        ck_assert_status(answer_kind(TUNNELCAP_ICMP_UNREACHABLE), TUNNELCAP_OK);
        /* The other family's ICMP is a protocol like any other. */
        test_payload(&frame, 8);
        frame.bytes[0] = 3;
        test_push_ip(&frame, &ip, six ? ICMP : ICMP6);
        ck_assert_status(answer_kind(TUNNELCAP_ICMP_UNREACHABLE), TUNNELCAP_OK);
    }
}
END_TEST

START_TEST(ipv4_fragments_beyond_the_first_are_not_answered)
{
    static const uint16_t fields[] = {0x0000, 0x4000, 0x2000, 0x0001, 0x2001, 0x1fff, 0x4001};
    for (size_t i = 0; i < TEST_COUNT(fields); i++) {
        test_ip ip = between(false);
        ip.frag = fields[i];
        test_udp_packet(&frame, &ip, 16);
        ck_assert_status(answer_kind(TUNNELCAP_ICMP_UNREACHABLE),
                         fields[i] & 0x1fff ? TUNNELCAP_E_NO_ANSWER : TUNNELCAP_OK);
    }
}
END_TEST

START_TEST(ipv6_fragments_are_answered_unless_they_may_be_of_an_error)
{
    static const struct {
        uint8_t protocol;
        uint16_t offset;
        uint8_t first_byte;
        int32_t status;
    } rows[] = {
        {UDP, 0x0001, 0, TUNNELCAP_OK},     {UDP, 0x0008, 0, TUNNELCAP_OK},
        {ICMP6, 0x0001, 128, TUNNELCAP_OK}, {ICMP6, 0x0001, 1, TUNNELCAP_E_NO_ANSWER},
        {ICMP6, 0x0000, 128, TUNNELCAP_OK}, {ICMP6, 0x0008, 128, TUNNELCAP_E_NO_ANSWER},
        {OPTIONS, 0x0008, 0, TUNNELCAP_OK},
    };
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        test_ip ip = between(true);
        uint8_t header[6] = {0};
        test_payload(&frame, 16);
        frame.bytes[0] = rows[i].first_byte;
        test_store16(header, rows[i].offset);
        test_push_ext(&frame, rows[i].protocol, header, sizeof(header));
        frame.bytes[1] = 0;
        test_push_ip(&frame, &ip, FRAGMENT);
        ck_assert_status(answer_kind(TUNNELCAP_ICMP_UNREACHABLE), rows[i].status);
    }
}
END_TEST

START_TEST(sources_that_are_not_one_node_are_not_answered)
{
    static const struct {
        const char *src;
        int32_t status;
    } rows[] = {
        {"0.0.0.0", TUNNELCAP_E_NO_ANSWER},
        {"0.1.2.3", TUNNELCAP_E_NO_ANSWER},
        {"1.0.0.0", TUNNELCAP_OK},
        {"126.255.255.255", TUNNELCAP_OK},
        {"127.0.0.1", TUNNELCAP_E_NO_ANSWER},
        {"127.255.255.255", TUNNELCAP_E_NO_ANSWER},
        {"128.0.0.1", TUNNELCAP_OK},
        {"169.254.240.1", TUNNELCAP_OK},
        {"223.255.255.255", TUNNELCAP_OK},
        {"224.0.0.1", TUNNELCAP_E_NO_ANSWER},
        {"239.255.255.255", TUNNELCAP_E_NO_ANSWER},
        {"240.0.0.1", TUNNELCAP_E_NO_ANSWER},
        {"255.255.255.255", TUNNELCAP_E_NO_ANSWER},
        {"::", TUNNELCAP_E_NO_ANSWER},
        {"::1", TUNNELCAP_E_NO_ANSWER},
        {"::2", TUNNELCAP_OK},
        {"::ffff:10.0.0.1", TUNNELCAP_E_NO_ANSWER},
        {"::fffe:10.0.0.1", TUNNELCAP_OK},
        {"2001:db8::1", TUNNELCAP_OK},
        {"fe80::1", TUNNELCAP_OK},
        {"feff::1", TUNNELCAP_OK},
        {"ff00::1", TUNNELCAP_E_NO_ANSWER},
        {"ffff::1", TUNNELCAP_E_NO_ANSWER},
    };
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        test_ip ip = between(strchr(rows[i].src, ':') != NULL);
        ip.src = test_addr(rows[i].src);
        test_udp_packet(&frame, &ip, 1400);
        for (uint8_t kind = TUNNELCAP_ICMP_TOO_BIG; kind <= TUNNELCAP_ICMP_PARAMETER; kind++)
            ck_assert_status(answer_kind(kind), rows[i].status);
    }
}
END_TEST

START_TEST(ipv4_groups_and_broadcast_are_not_answered)
{
    static const struct {
        const char *dst;
        int32_t status;
    } rows[] = {
        {"0.0.0.0", TUNNELCAP_E_NO_ANSWER},         {"0.0.0.1", TUNNELCAP_OK},
        {"223.255.255.255", TUNNELCAP_OK},          {"224.0.0.0", TUNNELCAP_E_NO_ANSWER},
        {"239.255.255.255", TUNNELCAP_E_NO_ANSWER}, {"240.0.0.1", TUNNELCAP_OK},
        {"255.255.255.254", TUNNELCAP_OK},          {"255.255.255.255", TUNNELCAP_E_NO_ANSWER},
    };
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        test_ip ip = between(false);
        ip.dst = test_addr(rows[i].dst);
        test_udp_packet(&frame, &ip, 1400);
        for (uint8_t kind = TUNNELCAP_ICMP_TOO_BIG; kind <= TUNNELCAP_ICMP_PARAMETER; kind++)
            ck_assert_status(answer_kind(kind), rows[i].status);
    }
}
END_TEST

START_TEST(ipv6_groups_hear_of_size_and_of_options_only)
{
    test_ip ip = between(true);
    ip.dst = test_addr("ff0e::1234");
    test_udp_packet(&frame, &ip, 1400);
    test_ok(answer_kind(TUNNELCAP_ICMP_TOO_BIG));
    ck_assert_status(answer_kind(TUNNELCAP_ICMP_UNREACHABLE), TUNNELCAP_E_NO_ANSWER);
    ck_assert_status(answer_kind(TUNNELCAP_ICMP_TIME_EXCEEDED), TUNNELCAP_E_NO_ANSWER);
    for (uint8_t code = 0; code <= 10; code++) {
        tunnelcap_icmp_error error = error_of(TUNNELCAP_ICMP_PARAMETER);
        error.code6 = code;
        ck_assert_status(answer(&error), code == 2 ? TUNNELCAP_OK : TUNNELCAP_E_NO_ANSWER);
    }
    tunnelcap_icmp_error other = error_of(TUNNELCAP_ICMP_UNREACHABLE);
    other.code6 = 2; /* that code of another type is not excepted */
    ck_assert_status(answer(&other), TUNNELCAP_E_NO_ANSWER);
    /* The exception is for destinations, not for sources and not for errors. */
    ip.src = test_addr("ff0e::1");
    test_udp_packet(&frame, &ip, 1400);
    ck_assert_status(answer_kind(TUNNELCAP_ICMP_TOO_BIG), TUNNELCAP_E_NO_ANSWER);
    ip.src = test_addr(HOST6);
    test_payload(&frame, 1400);
    test_push_icmp(&frame, &ip, 2, 0);
    test_push_ip(&frame, &ip, ICMP6);
    ck_assert_status(answer_kind(TUNNELCAP_ICMP_TOO_BIG), TUNNELCAP_E_NO_ANSWER);
}
END_TEST

START_TEST(a_packet_that_fits_is_not_too_big)
{
    for (unsigned six = 0; six <= 1; six++) {
        test_ip ip = between(six);
        tunnelcap_icmp_error error = error_of(TUNNELCAP_ICMP_TOO_BIG);
        test_udp_packet(&frame, &ip, 1300);
        for (error.mtu = frame.len - 1; error.mtu <= frame.len + 1; error.mtu++)
            ck_assert_status(answer(&error),
                             error.mtu < frame.len ? TUNNELCAP_OK : TUNNELCAP_E_NO_ANSWER);
        /* Nobody is told to send less than every link takes. */
        error.mtu = 0;
        test_udp_packet(&frame, &ip, six ? 1232 : 40);
        ck_assert_uint_eq(frame.len, six ? 1280 : 68);
        ck_assert_status(answer(&error), TUNNELCAP_E_NO_ANSWER);
        test_udp_packet(&frame, &ip, six ? 1233 : 41);
        test_ok(answer(&error));
    }
}
END_TEST

/* A packet with an authentication header of `words` * 4 + 8 bytes before what it protects. */
static void push_ah(bool six, uint8_t protocol, uint8_t first_byte, uint32_t words)
{
    test_ip ip = between(six);
    uint8_t ah[64] = {protocol, (uint8_t)words};
    test_payload(&frame, 8);
    frame.bytes[0] = first_byte;
    test_push(&frame, ah, words * 4 + 8);
    test_push_ip(&frame, &ip, AH);
}

START_TEST(errors_behind_an_authentication_header_are_seen)
{
    for (unsigned six = 0; six <= 1; six++) {
        uint8_t icmp = six ? ICMP6 : ICMP, error = six ? 1 : 3, echo = six ? 128 : 8;
        for (uint32_t words = 1; words <= 7; words += 3) {
            push_ah(six, icmp, error, words);
            ck_assert_status(answer_kind(TUNNELCAP_ICMP_UNREACHABLE), TUNNELCAP_E_NO_ANSWER);
            push_ah(six, icmp, echo, words);
            test_ok(answer_kind(TUNNELCAP_ICMP_UNREACHABLE));
            push_ah(six, UDP, error, words);
            test_ok(answer_kind(TUNNELCAP_ICMP_UNREACHABLE));
        }
        push_ah(six, icmp, echo, 4);
        uint32_t header = (six ? 40 : 20) + 24;
        for (frame.len = six ? 40 : 20; frame.len < header; frame.len++)
            ck_assert_status(answer_kind(TUNNELCAP_ICMP_UNREACHABLE), TUNNELCAP_E_TRUNCATED);
        push_ah(six, icmp, echo, 4);
        frame.bytes[(six ? 40 : 20) + 1] = 40; /* longer than the packet */
        ck_assert_status(answer_kind(TUNNELCAP_ICMP_UNREACHABLE), TUNNELCAP_E_MALFORMED);
        test_ip ip = between(six);
        frame.len = 0;
        test_push_ip(&frame, &ip, AH);
        ck_assert_status(answer_kind(TUNNELCAP_ICMP_UNREACHABLE), TUNNELCAP_E_MALFORMED);
        uint8_t ahs[17 * 8];
        for (uint32_t count = 16; count <= 17; count++) { /* one more than good faith needs */
            memset(ahs, 0, sizeof(ahs));
            for (uint32_t i = 0; i < count; i++)
                ahs[i * 8] = i + 1 < count ? AH : UDP;
            frame.len = 0;
            test_push(&frame, ahs, count * 8);
            test_push_ip(&frame, &ip, AH);
            ck_assert_status(answer_kind(TUNNELCAP_ICMP_UNREACHABLE),
                             count == 16 ? TUNNELCAP_OK : TUNNELCAP_E_MALFORMED);
        }
    }
}
END_TEST

START_TEST(what_stands_between_authentication_and_icmpv6_is_walked)
{
    static const uint8_t options[6] = {1, 4, 0, 0, 0, 0};
    static const uint8_t ah[16] = {OPTIONS, 2};
    for (unsigned type = 1; type <= 128; type += 127) {
        test_ip ip = between(true);
        test_payload(&frame, 8);
        frame.bytes[0] = (uint8_t)type;
        test_push_ext(&frame, ICMP6, options, sizeof(options));
        test_push(&frame, ah, sizeof(ah));
        test_push_ip(&frame, &ip, AH);
        ck_assert_status(answer_kind(TUNNELCAP_ICMP_UNREACHABLE),
                         type == 128 ? TUNNELCAP_OK : TUNNELCAP_E_NO_ANSWER);
    }
    frame.bytes[40 + 16 + 1] = 200; /* the chain leaves the packet */
    ck_assert_status(answer_kind(TUNNELCAP_ICMP_UNREACHABLE), TUNNELCAP_E_MALFORMED);
}
END_TEST

START_TEST(a_chain_that_does_not_end_in_the_packet_is_not_answered)
{
    test_ip ip = between(true);
    static const uint8_t options[6] = {1, 4, 0, 0, 0, 0};
    frame.len = 0;
    test_push_ext(&frame, OPTIONS, options, sizeof(options));
    test_push_ip(&frame, &ip, OPTIONS);
    ck_assert_status(answer_kind(TUNNELCAP_ICMP_PARAMETER), TUNNELCAP_E_MALFORMED);
}
END_TEST

Suite *test_icmp_never_suite(void)
{
    const TTest *tests[] = {
        icmpv4_errors_are_not_answered_and_all_else_is,
        icmpv6_errors_and_redirects_are_not_answered_and_all_else_is,
        icmp_without_its_type_is_not_answered,
        ipv4_fragments_beyond_the_first_are_not_answered,
        ipv6_fragments_are_answered_unless_they_may_be_of_an_error,
        sources_that_are_not_one_node_are_not_answered,
        ipv4_groups_and_broadcast_are_not_answered,
        ipv6_groups_hear_of_size_and_of_options_only,
        a_packet_that_fits_is_not_too_big,
        errors_behind_an_authentication_header_are_seen,
        what_stands_between_authentication_and_icmpv6_is_walked,
        a_chain_that_does_not_end_in_the_packet_is_not_answered,
    };
    return test_suite("icmp_never", tests, TEST_COUNT(tests));
}
