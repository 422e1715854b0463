/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* ICMP errors to inner senders, byte by byte; and their rate limit. What must never be answered
 * is in test_icmp_never.c. */
#include "support.h"

#define HOST4   "10.1.0.1"
#define PEER4   "10.2.0.1"
#define ROUTER4 "192.0.2.1"
#define HOST6   "fd00:1::1"
#define PEER6   "fd00:2::1"
#define ROUTER6 "2001:db8::1"

enum { UDP = 17, ICMP = 1, ICMP6 = 58 };

static test_frame frame, wanted;

static test_ip inner(bool six)
{
    test_ip ip = six ? test_between(HOST6, PEER6) : test_between(HOST4, PEER4);
    ip.tos = 0x2a;
    ip.ttl = 17;
    return ip;
}

static tunnelcap_icmp_error error_of(uint8_t kind)
{
    tunnelcap_icmp_error error;
    test_ok(tunnelcap_icmp_error_init(&error, sizeof(error)));
    error.kind = kind;
    error.src4 = test_addr(ROUTER4);
    error.src6 = test_addr(ROUTER6);
    return error;
}

static uint32_t headroom(bool six)
{
    return six ? 48 : 28;
}

/* Build in memory of the exact size; compare with the message that the RFCs draw. `quote` bytes
 * of the frame stand in it. */
static void expect(bool six, const tunnelcap_icmp_error *error, const test_ip *ip, uint8_t type,
                   uint8_t code, uint32_t word, uint32_t quote)
{
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, headroom(six));
    uint32_t total = headroom(six) + quote;
    wanted.len = 0;
    test_push(&wanted, frame.bytes, quote);
    test_push_icmp_word(&wanted, ip, type, code, word);
    test_push_ip(&wanted, ip, six ? ICMP6 : ICMP);
    ck_assert_uint_eq(wanted.len, total);
    test_ok(tunnelcap_icmp_error_build(&pkt, NULL, error, NULL, 0));
    ck_assert_uint_eq(pkt.off, 0);
    ck_assert_uint_eq(pkt.len, total);
    ck_assert_mem_eq(pkt.buf, wanted.bytes, total);
    ck_assert_int_eq(pkt.status, INT32_MIN);
    /* What is cut off stays where it was. */
    ck_assert_mem_eq(pkt.buf + total, frame.bytes + quote, frame.len - quote);
    test_pkt_free(&pkt);
}

static test_ip answer(bool six)
{
    test_ip ip = six ? test_between(ROUTER6, HOST6) : test_between(ROUTER4, HOST4);
    ip.tos = 0xc0;
    return ip;
}

/* A refusal leaves all as it was. */
static void refuse(const tunnelcap_icmp_error *error, const tunnelcap_meta *meta, uint32_t room,
                   int32_t want)
{
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, room);
    test_snapshot snap = test_snap(&pkt);
    ck_assert_status(tunnelcap_icmp_error_build(&pkt, meta, error, NULL, 0), want);
    test_unchanged(&snap, &pkt);
    test_pkt_free(&pkt);
}

START_TEST(every_kind_of_error_is_as_the_rfcs_draw_it)
{
    static const struct {
        bool six;
        uint8_t kind, code, type, wire_code;
        uint32_t word;
    } rows[] = {
        {false, TUNNELCAP_ICMP_TOO_BIG, 0, 3, 4, 1400},
        {false, TUNNELCAP_ICMP_UNREACHABLE, 0, 3, 0, 0},
        {false, TUNNELCAP_ICMP_UNREACHABLE, 1, 3, 1, 0},
        {false, TUNNELCAP_ICMP_UNREACHABLE, 13, 3, 13, 0},
        {false, TUNNELCAP_ICMP_UNREACHABLE, 15, 3, 15, 0},
        {false, TUNNELCAP_ICMP_TIME_EXCEEDED, 0, 11, 0, 0},
        {false, TUNNELCAP_ICMP_TIME_EXCEEDED, 1, 11, 1, 0},
        {false, TUNNELCAP_ICMP_PARAMETER, 0, 12, 0, 44u << 24},
        {true, TUNNELCAP_ICMP_TOO_BIG, 0, 2, 0, 1400},
        {true, TUNNELCAP_ICMP_UNREACHABLE, 0, 1, 0, 0},
        {true, TUNNELCAP_ICMP_UNREACHABLE, 3, 1, 3, 0},
        {true, TUNNELCAP_ICMP_UNREACHABLE, 8, 1, 8, 0},
        {true, TUNNELCAP_ICMP_TIME_EXCEEDED, 0, 3, 0, 0},
        {true, TUNNELCAP_ICMP_TIME_EXCEEDED, 1, 3, 1, 0},
        {true, TUNNELCAP_ICMP_PARAMETER, 0, 4, 0, 44},
        {true, TUNNELCAP_ICMP_PARAMETER, 10, 4, 10, 44},
    };
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        bool six = rows[i].six;
        test_ip ip = inner(six), back = answer(six);
        tunnelcap_icmp_error error = error_of(rows[i].kind);
        error.mtu = 1400;
        error.pointer = 44;
        error.code4 = six ? 99 : rows[i].code; /* that of the other family does not matter */
        error.code6 = six ? rows[i].code : 99;
        if (rows[i].kind == TUNNELCAP_ICMP_TOO_BIG)
            error.code4 = error.code6 = 99;
        test_udp_packet(&frame, &ip, 1373);
        expect(six, &error, &back, rows[i].type, rows[i].wire_code, rows[i].word, six ? 1232 : 548);
    }
}
END_TEST

START_TEST(as_much_is_quoted_as_fits_and_no_more)
{
    static const uint32_t sizes[] = {0,    1,    500,  519,  520,  521,   522,  1183,
                                     1184, 1185, 1186, 1400, 8972, 65000, 65487};
    for (unsigned six = 0; six <= 1; six++) {
        for (size_t i = 0; i < TEST_COUNT(sizes); i++) {
            test_ip ip = inner(six), back = answer(six);
            tunnelcap_icmp_error error = error_of(TUNNELCAP_ICMP_TIME_EXCEEDED);
            uint32_t max = six ? 1280 - 48 : 576 - 28;
            test_udp_packet(&frame, &ip, sizes[i]);
            expect(six, &error, &back, six ? 3 : 11, 0, 0, frame.len < max ? frame.len : max);
        }
    }
}
END_TEST

START_TEST(padding_is_not_quoted_and_a_missing_tail_does_not_matter)
{
    for (unsigned six = 0; six <= 1; six++) {
        test_ip ip = inner(six), back = answer(six);
        tunnelcap_icmp_error error = error_of(TUNNELCAP_ICMP_TIME_EXCEEDED);
        test_udp_packet(&frame, &ip, 10);
        uint32_t len = frame.len;
        memset(frame.bytes + len, 0x77, 9);
        frame.len += 9;
        expect(six, &error, &back, six ? 3 : 11, 0, 0, len);
        for (frame.len = six ? 40 : 20; frame.len < len; frame.len++)
            expect(six, &error, &back, six ? 3 : 11, 0, 0, frame.len);
    }
}
END_TEST

START_TEST(options_and_extension_headers_are_quoted)
{
    static const uint8_t options[8] = {7, 7, 4, 0, 0, 0, 0, 0};
    static const uint8_t destination[6] = {1, 4, 0, 0, 0, 0};
    tunnelcap_icmp_error error = error_of(TUNNELCAP_ICMP_UNREACHABLE);
    test_ip ip = inner(false), back = answer(false);
    test_payload(&frame, 12);
    test_push_ip_options(&frame, &ip, UDP, options, sizeof(options));
    expect(false, &error, &back, 3, 0, 0, 40);
    ip = inner(true);
    back = answer(true);
    test_payload(&frame, 12);
    test_push_ext(&frame, UDP, destination, sizeof(destination));
    test_push_ip(&frame, &ip, 60);
    expect(true, &error, &back, 1, 0, 0, 60);
}
END_TEST

START_TEST(ttl_tos_and_identification_are_the_callers)
{
    for (unsigned six = 0; six <= 1; six++) {
        test_ip ip = inner(six), back = answer(six);
        tunnelcap_icmp_error error = error_of(TUNNELCAP_ICMP_UNREACHABLE);
        test_udp_packet(&frame, &ip, 10);
        error.ttl = back.ttl = 255;
        error.tos = back.tos = 0xb8;
        error.id = back.id = 0x1234;
        back.frag = 0; /* an identification allows fragments */
        expect(six, &error, &back, six ? 1 : 3, 0, 0, frame.len);
    }
}
END_TEST

START_TEST(an_mtu_is_at_least_what_every_link_has)
{
    static const uint32_t mtus[] = {0, 1, 67, 68, 69, 1279, 1280, 1281};
    for (unsigned six = 0; six <= 1; six++) {
        for (size_t i = 0; i < TEST_COUNT(mtus); i++) {
            test_ip ip = inner(six), back = answer(six);
            tunnelcap_icmp_error error = error_of(TUNNELCAP_ICMP_TOO_BIG);
            uint32_t floor = six ? 1280 : 68;
            error.mtu = mtus[i];
            test_udp_packet(&frame, &ip, 1400);
            expect(six, &error, &back, six ? 2 : 3, six ? 0 : 4, mtus[i] < floor ? floor : mtus[i],
                   six ? 1232 : 548);
        }
    }
}
END_TEST

START_TEST(headroom_is_exactly_what_the_header_says)
{
    ck_assert_uint_eq(TUNNELCAP_ICMP_HEADROOM4, headroom(false));
    ck_assert_uint_eq(TUNNELCAP_ICMP_HEADROOM6, headroom(true));
    for (unsigned six = 0; six <= 1; six++) {
        test_ip ip = inner(six);
        tunnelcap_icmp_error error = error_of(TUNNELCAP_ICMP_UNREACHABLE);
        test_udp_packet(&frame, &ip, 1400);
        for (uint32_t room = 0; room < headroom(six); room++)
            refuse(&error, NULL, room, TUNNELCAP_E_HEADROOM);
    }
}
END_TEST

START_TEST(packets_that_end_within_their_headers_are_not_answered)
{
    static const uint8_t destination[14] = {1, 12, 0};
    static const uint8_t options[8] = {7, 7, 4, 0, 0, 0, 0, 0};
    for (unsigned six = 0; six <= 1; six++) {
        test_ip ip = inner(six);
        tunnelcap_icmp_error error = error_of(TUNNELCAP_ICMP_UNREACHABLE);
        test_payload(&frame, 20);
        if (six)
            test_push_ext(&frame, UDP, destination, sizeof(destination));
        if (six)
            test_push_ip(&frame, &ip, 60);
        else
            test_push_ip_options(&frame, &ip, UDP, options, sizeof(options));
        uint32_t header = frame.len - 20;
        for (frame.len = 0; frame.len < header; frame.len++)
            refuse(&error, NULL, 64, TUNNELCAP_E_TRUNCATED);
        frame.len = header + 20;
        frame.bytes[0] = 0x20;
        refuse(&error, NULL, 64, TUNNELCAP_E_MALFORMED);
    }
}
END_TEST

START_TEST(a_wrong_header_checksum_is_not_answered)
{
    test_ip ip = inner(false);
    tunnelcap_icmp_error error = error_of(TUNNELCAP_ICMP_UNREACHABLE);
    for (uint32_t at = 1; at < 20; at++) {
        test_udp_packet(&frame, &ip, 10);
        frame.bytes[at] ^= 1;
        refuse(&error, NULL, 64, TUNNELCAP_E_CHECKSUM);
    }
}
END_TEST

START_TEST(an_unfinished_checksum_is_finished_before_it_is_quoted)
{
    for (unsigned six = 0; six <= 1; six++) {
        test_ip ip = inner(six);
        tunnelcap_icmp_error error = error_of(TUNNELCAP_ICMP_UNREACHABLE);
        uint32_t udp = six ? 40 : 20;
        tunnelcap_meta meta = {
            .flags = TUNNELCAP_META_CSUM_PARTIAL, .csum_start = (uint16_t)udp, .csum_offset = 6};
        test_udp_packet(&frame, &ip, 1400);
        test_frame *whole = &wanted;
        *whole = frame;
        test_store16(frame.bytes + udp + 6, test_pseudo(&ip, UDP, 1408));
        memset(frame.bytes + frame.len, 0x99, 3); /* padding is not part of the sum */
        frame.len += 3;

        tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 48);
        test_ok(tunnelcap_icmp_error_build(&pkt, &meta, &error, NULL, 0));
        ck_assert_mem_eq(pkt.buf + 48, whole->bytes, six ? 1232 : 548);
        test_pkt_free(&pkt);

        meta.gso_type = 1; /* each segment will have one of its own */
        meta.gso_size = 500;
        pkt = test_pkt(frame.bytes, frame.len, 48);
        test_ok(tunnelcap_icmp_error_build(&pkt, &meta, &error, NULL, 0));
        ck_assert_mem_eq(pkt.buf + 48, frame.bytes, six ? 1232 : 548);
        test_pkt_free(&pkt);

        meta.gso_type = 0;
        meta.gso_size = 0;
        frame.len = 200; /* what is missing cannot be summed */
        pkt = test_pkt(frame.bytes, frame.len, 48);
        test_ok(tunnelcap_icmp_error_build(&pkt, &meta, &error, NULL, 0));
        ck_assert_mem_eq(pkt.buf + 48, frame.bytes, 200);
        test_pkt_free(&pkt);
    }
}
END_TEST

START_TEST(a_meta_must_be_of_an_ip_packet)
{
    test_ip ip = inner(false);
    tunnelcap_icmp_error error = error_of(TUNNELCAP_ICMP_UNREACHABLE);
    tunnelcap_meta meta = {.ethertype = TUNNELCAP_ETHERTYPE_ETHERNET};
    test_udp_packet(&frame, &ip, 10);
    refuse(&error, &meta, 64, TUNNELCAP_E_PROTOCOL);
    meta.ethertype = 0;
    meta.at = TUNNELCAP_AT_IP_PAYLOAD;
    refuse(&error, &meta, 64, TUNNELCAP_E_INVALID);
    meta.at = TUNNELCAP_AT_IP;
    meta.flags = TUNNELCAP_META_CSUM_PARTIAL;
    meta.csum_start = 20;
    meta.csum_offset = 17;
    refuse(&error, &meta, 64, TUNNELCAP_E_INVALID);
    meta.flags = 0;
    meta.ethertype = TUNNELCAP_ETHERTYPE_IPV4;
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 28);
    test_ok(tunnelcap_icmp_error_build(&pkt, &meta, &error, NULL, 0));
    test_pkt_free(&pkt);
}
END_TEST

START_TEST(errors_are_checked)
{
    test_ip four = inner(false), six = inner(true);
    tunnelcap_icmp_error error = error_of(TUNNELCAP_ICMP_UNREACHABLE);
    test_udp_packet(&frame, &four, 10);
    error.kind = TUNNELCAP_ICMP_NONE;
    refuse(&error, NULL, 64, TUNNELCAP_E_MODE);
    error.kind = TUNNELCAP_ICMP_OTHER;
    refuse(&error, NULL, 64, TUNNELCAP_E_MODE);
    error.kind = TUNNELCAP_ICMP_UNREACHABLE;
    error.code4 = 4;
    refuse(&error, NULL, 64, TUNNELCAP_E_RANGE);
    error.code4 = 16;
    refuse(&error, NULL, 64, TUNNELCAP_E_RANGE);
    error.kind = TUNNELCAP_ICMP_TIME_EXCEEDED;
    error.code4 = 2;
    refuse(&error, NULL, 64, TUNNELCAP_E_RANGE);
    error.kind = TUNNELCAP_ICMP_PARAMETER;
    error.code4 = 3;
    refuse(&error, NULL, 64, TUNNELCAP_E_RANGE);
    error.code4 = 0;
    error.pointer = 256;
    refuse(&error, NULL, 64, TUNNELCAP_E_RANGE);
    error = error_of(TUNNELCAP_ICMP_TOO_BIG);
    error.mtu = 65536;
    refuse(&error, NULL, 64, TUNNELCAP_E_RANGE);
    error = error_of(TUNNELCAP_ICMP_UNREACHABLE);
    error.ttl = 0;
    refuse(&error, NULL, 64, TUNNELCAP_E_RANGE);
    error.ttl = 1;
    error.reserved = 1;
    refuse(&error, NULL, 64, TUNNELCAP_E_RESERVED);
    error.reserved = 0;
    error.size--;
    refuse(&error, NULL, 64, TUNNELCAP_E_VERSION);
    refuse(NULL, NULL, 64, TUNNELCAP_E_INVALID);

    static const char *const bad4[] = {"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"};
    static const char *const bad6[] = {"::", "::1", "ff02::1", "::ffff:10.0.0.1", "10.0.0.1"};
    for (size_t i = 0; i < TEST_COUNT(bad4); i++) {
        error = error_of(TUNNELCAP_ICMP_UNREACHABLE);
        error.src4 = test_addr(bad4[i]);
        refuse(&error, NULL, 64, TUNNELCAP_E_ADDRESS);
    }
    memset(&error.src4, 0, sizeof(error.src4));
    refuse(&error, NULL, 64, TUNNELCAP_E_ADDRESS);
    test_udp_packet(&frame, &six, 10);
    for (size_t i = 0; i < TEST_COUNT(bad6); i++) {
        error = error_of(TUNNELCAP_ICMP_UNREACHABLE);
        error.src6 = test_addr(bad6[i]);
        refuse(&error, NULL, 64, TUNNELCAP_E_ADDRESS);
    }
    static const uint8_t beyond[] = {0, 9, 2, 11};
    for (uint8_t kind = TUNNELCAP_ICMP_UNREACHABLE; kind <= TUNNELCAP_ICMP_PARAMETER; kind++) {
        error = error_of(kind);
        error.code6 = beyond[kind - 1];
        refuse(&error, NULL, 64, TUNNELCAP_E_RANGE);
    }
}
END_TEST

START_TEST(arguments_are_checked)
{
    tunnelcap_icmp_error error = error_of(TUNNELCAP_ICMP_UNREACHABLE);
    test_ip ip = inner(false);
    test_udp_packet(&frame, &ip, 10);
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 28), outside = pkt;
    ck_assert_status(tunnelcap_icmp_error_build(NULL, NULL, &error, NULL, 0), TUNNELCAP_E_INVALID);
    outside.len++;
    ck_assert_status(tunnelcap_icmp_error_build(&outside, NULL, &error, NULL, 0),
                     TUNNELCAP_E_INVALID);
    outside.buf = NULL;
    ck_assert_status(tunnelcap_icmp_error_build(&outside, NULL, &error, NULL, 0),
                     TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_icmp_error_init(NULL, sizeof(error)), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_icmp_error_init(&error, sizeof(error) - 1), TUNNELCAP_E_VERSION);
    test_pkt_free(&pkt);
}
END_TEST

/* ---- the limit ---- */

START_TEST(a_burst_passes_and_then_the_rate)
{
    tunnelcap_icmp_limit limit;
    test_ok(tunnelcap_icmp_limit_init(&limit, 10, 3));
    uint64_t now = 5000000000; /* the clock starts anywhere */
    for (unsigned i = 0; i < 3; i++)
        test_ok(tunnelcap_icmp_limit_take(&limit, now));
    ck_assert_status(tunnelcap_icmp_limit_take(&limit, now), TUNNELCAP_E_RATE_LIMITED);
    ck_assert_status(tunnelcap_icmp_limit_take(&limit, now + 99999999), TUNNELCAP_E_RATE_LIMITED);
    test_ok(tunnelcap_icmp_limit_take(&limit, now + 100000000));
    ck_assert_status(tunnelcap_icmp_limit_take(&limit, now + 199999999), TUNNELCAP_E_RATE_LIMITED);
    test_ok(tunnelcap_icmp_limit_take(&limit, now + 200000000));
    now += 100000000000; /* a long rest fills the bucket and no more */
    for (unsigned i = 0; i < 3; i++)
        test_ok(tunnelcap_icmp_limit_take(&limit, now));
    ck_assert_status(tunnelcap_icmp_limit_take(&limit, now), TUNNELCAP_E_RATE_LIMITED);
}
END_TEST

START_TEST(refusals_in_between_cost_nothing)
{
    tunnelcap_icmp_limit limit;
    test_ok(tunnelcap_icmp_limit_init(&limit, 3, 1)); /* a period that no clock divides */
    uint32_t passed = 0;
    for (uint64_t now = 0; now < 100000000000; now += 7777777)
        passed += tunnelcap_icmp_limit_take(&limit, now) == TUNNELCAP_OK;
    ck_assert_uint_eq(passed, 300); /* every 43 steps, which are 334 ms */
}
END_TEST

START_TEST(a_clock_that_goes_back_does_no_harm)
{
    tunnelcap_icmp_limit limit;
    test_ok(tunnelcap_icmp_limit_init(&limit, 1, 2));
    test_ok(tunnelcap_icmp_limit_take(&limit, 1000000000000));
    test_ok(tunnelcap_icmp_limit_take(&limit, 0));
    ck_assert_status(tunnelcap_icmp_limit_take(&limit, 0), TUNNELCAP_E_RATE_LIMITED);
    ck_assert_status(tunnelcap_icmp_limit_take(&limit, 999999999), TUNNELCAP_E_RATE_LIMITED);
    test_ok(tunnelcap_icmp_limit_take(&limit, 1000000000)); /* it counts on from there */
}
END_TEST

START_TEST(no_number_overflows)
{
    static const uint32_t numbers[] = {1, 1000, UINT32_MAX};
    for (size_t i = 0; i < TEST_COUNT(numbers); i++) {
        for (size_t j = 0; j < TEST_COUNT(numbers); j++) {
            tunnelcap_icmp_limit limit;
            test_ok(tunnelcap_icmp_limit_init(&limit, numbers[i], numbers[j]));
            test_ok(tunnelcap_icmp_limit_take(&limit, UINT64_MAX));
            ck_assert_status(tunnelcap_icmp_limit_take(&limit, UINT64_MAX),
                             numbers[j] > 1 ? TUNNELCAP_OK : TUNNELCAP_E_RATE_LIMITED);
            ck_assert_uint_le(limit.credit, 1000000000u * (uint64_t)numbers[j]);
            ck_assert_status(tunnelcap_icmp_limit_take(&limit, 0),
                             numbers[j] > 1 ? TUNNELCAP_OK : TUNNELCAP_E_RATE_LIMITED);
            test_ok(tunnelcap_icmp_limit_take(&limit, UINT64_MAX));
            ck_assert_uint_le(limit.credit, 1000000000u * (uint64_t)numbers[j]);
        }
    }
}
END_TEST

START_TEST(limits_are_checked)
{
    tunnelcap_icmp_limit limit;
    ck_assert_status(tunnelcap_icmp_limit_init(NULL, 1, 1), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_icmp_limit_init(&limit, 0, 1), TUNNELCAP_E_RANGE);
    ck_assert_status(tunnelcap_icmp_limit_init(&limit, 1, 0), TUNNELCAP_E_RANGE);
    ck_assert_status(tunnelcap_icmp_limit_take(NULL, 0), TUNNELCAP_E_INVALID);
    memset(&limit, 0, sizeof(limit));
    ck_assert_status(tunnelcap_icmp_limit_take(&limit, 0), TUNNELCAP_E_INVALID);
}
END_TEST

START_TEST(only_what_is_sent_counts_against_the_limit)
{
    test_ip ip = inner(false);
    tunnelcap_icmp_error error = error_of(TUNNELCAP_ICMP_UNREACHABLE);
    tunnelcap_icmp_limit limit;
    test_ok(tunnelcap_icmp_limit_init(&limit, 1, 1));
    test_udp_packet(&frame, &ip, 10);
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 28);
    pkt.off--;
    ck_assert_status(tunnelcap_icmp_error_build(&pkt, NULL, &error, &limit, 0),
                     TUNNELCAP_E_MALFORMED);
    pkt.off++;
    error.kind = TUNNELCAP_ICMP_TOO_BIG;
    error.mtu = 1400;
    ck_assert_status(tunnelcap_icmp_error_build(&pkt, NULL, &error, &limit, 0),
                     TUNNELCAP_E_NO_ANSWER);
    error.kind = TUNNELCAP_ICMP_UNREACHABLE;
    test_ok(tunnelcap_icmp_error_build(&pkt, NULL, &error, &limit, 0));
    test_pkt_free(&pkt);

    pkt = test_pkt(frame.bytes, frame.len, 28);
    test_snapshot snap = test_snap(&pkt);
    ck_assert_status(tunnelcap_icmp_error_build(&pkt, NULL, &error, &limit, 999999999),
                     TUNNELCAP_E_RATE_LIMITED);
    test_unchanged(&snap, &pkt);
    test_ok(tunnelcap_icmp_error_build(&pkt, NULL, &error, &limit, 1000000000));
    test_pkt_free(&pkt);
}
END_TEST

Suite *test_icmp_suite(void)
{
    const TTest *tests[] = {
        every_kind_of_error_is_as_the_rfcs_draw_it,
        as_much_is_quoted_as_fits_and_no_more,
        padding_is_not_quoted_and_a_missing_tail_does_not_matter,
        options_and_extension_headers_are_quoted,
        ttl_tos_and_identification_are_the_callers,
        an_mtu_is_at_least_what_every_link_has,
        headroom_is_exactly_what_the_header_says,
        packets_that_end_within_their_headers_are_not_answered,
        a_wrong_header_checksum_is_not_answered,
        an_unfinished_checksum_is_finished_before_it_is_quoted,
        a_meta_must_be_of_an_ip_packet,
        errors_are_checked,
        arguments_are_checked,
        a_burst_passes_and_then_the_rate,
        refusals_in_between_cost_nothing,
        a_clock_that_goes_back_does_no_harm,
        no_number_overflows,
        limits_are_checked,
        only_what_is_sent_counts_against_the_limit,
    };
    return test_suite("icmp", tests, TEST_COUNT(tests));
}
