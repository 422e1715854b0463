/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Echoes: built to an exact size, recognised, answered. */
#include "support.h"

#define HOST4 "10.1.0.1"
#define PEER4 "10.2.0.1"
#define HOST6 "fd00:1::1"
#define PEER6 "fd00:2::1"

enum { ICMP = 1, ICMP6 = 58 };

static test_frame frame;
static const uint8_t text[12] = "probe of 9\n";

static test_ip between(bool six)
{
    test_ip ip = six ? test_between(HOST6, PEER6) : test_between(HOST4, PEER4);
    ip.tos = 0x28;
    ip.ttl = 3;
    return ip;
}

static tunnelcap_icmp_echo echo_of(bool six)
{
    tunnelcap_icmp_echo echo;
    test_ip ip = between(six);
    test_ok(tunnelcap_icmp_echo_init(&echo, sizeof(echo)));
    ck_assert_uint_eq(echo.ttl, 64);
    echo.src = ip.src;
    echo.dst = ip.dst;
    echo.ttl = ip.ttl;
    echo.tos = ip.tos;
    echo.id = 0xabcd;
    echo.seq = 0x0102;
    echo.payload_len = sizeof(text);
    return echo;
}

/* The same packet by the tests' own builder: `data` bytes behind the ICMP header. */
static void draw(bool six, bool reply, const test_ip *ip, uint32_t data)
{
    frame.len = data;
    for (uint32_t i = 0; i < data; i++)
        frame.bytes[i] = i < sizeof(text) ? text[i] : (uint8_t)i;
    test_push_icmp_word(&frame, ip, six ? (reply ? 129 : 128) : (reply ? 0 : 8), 0, 0xabcd0102);
    test_push_ip(&frame, ip, six ? ICMP6 : ICMP);
}

START_TEST(an_echo_has_exactly_the_size_that_was_asked_for)
{
    static const uint32_t sizes[] = {0, 1, 2, 100, 1372, 1472, 8972, 65487};
    for (unsigned mix = 0; mix < 4; mix++) {
        bool six = mix & 1, reply = mix & 2;
        for (size_t i = 0; i < TEST_COUNT(sizes); i++) {
            tunnelcap_icmp_echo echo = echo_of(six);
            test_ip ip = between(six);
            uint32_t data = sizes[i] + (uint32_t)sizeof(text);
            if (data > 65507)
                data = 65507;
            draw(six, reply, &ip, data);
            echo.type = reply ? TUNNELCAP_ECHO_REPLY : TUNNELCAP_ECHO_REQUEST;
            echo.total = sizes[i] == 0 ? 0 : frame.len; /* 0 is as small as can be */
            tunnelcap_pkt pkt = test_pkt(NULL, 0, 24 + frame.len);
            pkt.off = 24;
            test_ok(tunnelcap_icmp_echo_build(&echo, text, &pkt));
            ck_assert_uint_eq(pkt.off, 24);
            ck_assert_uint_eq(pkt.len, frame.len);
            ck_assert_mem_eq(pkt.buf + 24, frame.bytes, frame.len);
            ck_assert_int_eq(pkt.status, INT32_MIN);
            for (uint32_t at = 0; at < 24; at++)
                ck_assert_uint_eq(pkt.buf[at], 0xee);
            test_pkt_free(&pkt);
        }
    }
}
END_TEST

START_TEST(df_and_identification_are_the_callers)
{
    tunnelcap_icmp_echo echo = echo_of(false);
    test_ip ip = between(false);
    tunnelcap_pkt pkt = test_pkt(NULL, 0, 64);
    pkt.off = 0;
    echo.flags = 0;
    echo.ip_id = ip.id = 0x5678;
    ip.frag = 0;
    draw(false, false, &ip, sizeof(text));
    test_ok(tunnelcap_icmp_echo_build(&echo, text, &pkt));
    ck_assert_mem_eq(pkt.buf, frame.bytes, frame.len);
    pkt.off = 64 - 40 + 1; /* headroom is not for the packet */
    ck_assert_status(tunnelcap_icmp_echo_build(&echo, text, &pkt), TUNNELCAP_E_TAILROOM);
    test_pkt_free(&pkt);
}
END_TEST

static void refuse(const tunnelcap_icmp_echo *echo, const void *payload, uint32_t room,
                   int32_t want)
{
    tunnelcap_pkt pkt = test_pkt(NULL, 0, room);
    pkt.off = 0;
    test_snapshot snap = test_snap(&pkt);
    ck_assert_status(tunnelcap_icmp_echo_build(echo, payload, &pkt), want);
    test_unchanged(&snap, &pkt);
    test_pkt_free(&pkt);
}

START_TEST(echoes_to_build_are_checked)
{
    for (unsigned six = 0; six <= 1; six++) {
        uint32_t least = (six ? 48 : 28) + (uint32_t)sizeof(text);
        tunnelcap_icmp_echo echo = echo_of(six);
        refuse(&echo, text, least - 1, TUNNELCAP_E_TAILROOM);
        echo.total = least - 1;
        refuse(&echo, text, 100, TUNNELCAP_E_RANGE);
        echo.total = six ? 65576 : 65536;
        refuse(&echo, text, 70000, TUNNELCAP_E_RANGE);
        echo.total--;
        refuse(&echo, text, echo.total - 1, TUNNELCAP_E_TAILROOM);
        echo = echo_of(six);
        echo.payload_len = UINT32_MAX;
        refuse(&echo, text, 100, TUNNELCAP_E_RANGE);
        echo = echo_of(six);
        echo.ttl = 0;
        refuse(&echo, text, 100, TUNNELCAP_E_RANGE);
        echo = echo_of(six);
        echo.dst = test_addr(six ? PEER4 : PEER6);
        refuse(&echo, text, 100, TUNNELCAP_E_ADDRESS);
        echo.src.family = echo.dst.family = 0;
        refuse(&echo, text, 100, TUNNELCAP_E_ADDRESS);
        echo = echo_of(six);
        echo.type = 0;
        refuse(&echo, text, 100, TUNNELCAP_E_MODE);
        echo.type = 3;
        refuse(&echo, text, 100, TUNNELCAP_E_MODE);
        echo = echo_of(six);
        echo.flags = 2;
        refuse(&echo, text, 100, TUNNELCAP_E_FLAGS);
        echo = echo_of(six);
        echo.reserved[2] = 1;
        refuse(&echo, text, 100, TUNNELCAP_E_RESERVED);
        echo = echo_of(six);
        echo.payload = 1;
        refuse(&echo, text, 100, TUNNELCAP_E_RESERVED);
        echo = echo_of(six);
        refuse(&echo, NULL, 100, TUNNELCAP_E_INVALID);
        refuse(NULL, text, 100, TUNNELCAP_E_INVALID);
        echo.size--;
        refuse(&echo, text, 100, TUNNELCAP_E_VERSION);
    }
    tunnelcap_icmp_echo echo = echo_of(false);
    tunnelcap_pkt pkt = {NULL, 100, 0, 0, 0, NULL};
    ck_assert_status(tunnelcap_icmp_echo_build(&echo, text, NULL), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_icmp_echo_build(&echo, text, &pkt), TUNNELCAP_E_INVALID);
    uint8_t room[1];
    pkt.buf = room;
    pkt.cap = 1;
    pkt.off = 2;
    ck_assert_status(tunnelcap_icmp_echo_build(&echo, text, &pkt), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_icmp_echo_init(NULL, sizeof(echo)), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_icmp_echo_init(&echo, sizeof(echo) - 1), TUNNELCAP_E_VERSION);
}
END_TEST

/* Read the frame in memory of its exact size; all but an echo leaves the result blank. */
static int32_t look(const tunnelcap_meta *meta, tunnelcap_icmp_echo *echo)
{
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 0);
    test_snapshot snap = test_snap(&pkt);
    memset(echo, 0xff, sizeof(*echo));
    echo->size = sizeof(*echo);
    int32_t status = tunnelcap_icmp_echo_read(&pkt, meta, echo);
    ck_assert_int_eq(pkt.status, INT32_MIN);
    test_unchanged(&snap, &pkt);
    test_pkt_free(&pkt);
    if (status != TUNNELCAP_OK) {
        tunnelcap_icmp_echo blank = {.size = sizeof(blank)};
        ck_assert_mem_eq(echo, &blank, sizeof(blank));
    }
    return status;
}

static int32_t feed_read(void *arg, tunnelcap_pkt *pkt)
{
    tunnelcap_icmp_echo echo = {.size = sizeof(echo)};
    return tunnelcap_icmp_echo_read(pkt, arg, &echo);
}

static int32_t feed_reply(void *arg, tunnelcap_pkt *pkt)
{
    (void)arg;
    return tunnelcap_icmp_echo_reply(pkt, 64);
}

START_TEST(an_echo_is_read_with_all_it_says)
{
    for (unsigned mix = 0; mix < 8; mix++) {
        bool six = mix & 1, reply = mix & 2;
        test_ip ip = between(six);
        ip.id = 0x4321;
        ip.frag = mix & 4 ? 0x4000 : 0;
        draw(six, reply, &ip, 100);
        frame.len += 5; /* padding */
        tunnelcap_icmp_echo got, want = {.size = sizeof(want)};
        want.flags = !six && (mix & 4) ? TUNNELCAP_ECHO_DF : 0;
        want.src = ip.src;
        want.dst = ip.dst;
        want.total = six ? 148 : 128;
        want.payload = six ? 48 : 28;
        want.payload_len = 100;
        want.id = 0xabcd;
        want.seq = 0x0102;
        want.ip_id = six ? 0 : 0x4321;
        want.type = reply ? TUNNELCAP_ECHO_REPLY : TUNNELCAP_ECHO_REQUEST;
        want.ttl = 3;
        want.tos = 0x28;
        test_ok(look(NULL, &got));
        ck_assert_mem_eq(&got, &want, sizeof(want));
        frame.len -= 5;
        test_truncation(frame.bytes, frame.len, TUNNELCAP_E_TRUNCATED, feed_read, NULL);
        uint32_t accepted = test_flips(frame.bytes, frame.len, 0, feed_read, NULL);
        if (!six)
            ck_assert_uint_eq(accepted, 0); /* two checksums cover every bit */
    }
}
END_TEST

START_TEST(an_echo_from_a_socket_is_read_by_its_meta)
{
    test_ip ip = between(true);
    tunnelcap_icmp_echo got;
    tunnelcap_meta meta = {.at = TUNNELCAP_AT_IP_PAYLOAD,
                           .proto = ICMP6,
                           .flags = TUNNELCAP_META_TOS_VALID,
                           .tos = 0x11,
                           .ttl = 9,
                           .src = ip.src,
                           .dst = ip.dst};
    draw(true, true, &ip, 20);
    memmove(frame.bytes, frame.bytes + 40, 28);
    frame.len = 28;
    test_ok(look(&meta, &got));
    ck_assert_uint_eq(got.total, 28);
    ck_assert_uint_eq(got.payload, 8);
    ck_assert_uint_eq(got.payload_len, 20);
    ck_assert_uint_eq(got.ttl, 9);
    ck_assert_uint_eq(got.tos, 0x11);
    ck_assert_mem_eq(&got.src, &ip.src, sizeof(ip.src));
    meta.dst.bytes[15] ^= 1; /* the pseudo-header counts */
    ck_assert_status(look(&meta, &got), TUNNELCAP_E_CHECKSUM);
    meta.proto = ICMP;
    ck_assert_status(look(&meta, &got), TUNNELCAP_E_ICMP);
    meta.dst.family = 0;
    ck_assert_status(look(&meta, &got), TUNNELCAP_E_INVALID);
}
END_TEST

START_TEST(what_is_no_echo_is_told_apart)
{
    for (unsigned six = 0; six <= 1; six++) {
        tunnelcap_icmp_echo got;
        for (unsigned type = 0; type < 256; type++) {
            test_ip ip = between(six);
            bool echo = six ? type == 128 || type == 129 : type == 0 || type == 8;
            for (uint8_t code = 0; code <= 1; code++) {
                test_payload(&frame, 28);
                test_push_icmp(&frame, &ip, (uint8_t)type, code);
                test_push_ip(&frame, &ip, six ? ICMP6 : ICMP);
                ck_assert_status(look(NULL, &got),
                                 echo && code == 0 ? TUNNELCAP_OK : TUNNELCAP_E_ICMP);
            }
        }
        test_ip ip = between(six);
        test_udp_packet(&frame, &ip, 28);
        ck_assert_status(look(NULL, &got), TUNNELCAP_E_ICMP);
        test_payload(&frame, 7); /* less than an ICMP header */
        test_push_ip(&frame, &ip, six ? ICMP6 : ICMP);
        ck_assert_status(look(NULL, &got), TUNNELCAP_E_TRUNCATED);
        test_payload(&frame, 28);
        test_push_ip(&frame, &ip, six ? ICMP : ICMP6); /* of the other family */
        ck_assert_status(look(NULL, &got), TUNNELCAP_E_ICMP);
    }
    test_ip ip = between(false);
    tunnelcap_icmp_echo got;
    ip.frag = 0x2000;
    draw(false, false, &ip, 16);
    ck_assert_status(look(NULL, &got), TUNNELCAP_E_FRAGMENT);
    frame.bytes[0] = 0;
    ck_assert_status(look(NULL, &got), TUNNELCAP_E_MALFORMED);
}
END_TEST

START_TEST(a_request_becomes_its_reply)
{
    static const uint32_t sizes[] = {0, 1, 13, 56, 1400};
    for (unsigned six = 0; six <= 1; six++) {
        for (size_t i = 0; i < TEST_COUNT(sizes); i++) {
            test_ip ip = between(six), back = ip;
            ip.id = back.id = 0x9999;
            ip.flow_label = back.flow_label = 0x12345;
            back.src = ip.dst;
            back.dst = ip.src;
            back.ttl = 255;
            draw(six, false, &ip, sizes[i]);
            tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len + 3, 0); /* padding goes */
            test_ok(tunnelcap_icmp_echo_reply(&pkt, 255));
            draw(six, true, &back, sizes[i]);
            ck_assert_uint_eq(pkt.len, frame.len);
            ck_assert_mem_eq(pkt.buf, frame.bytes, frame.len);
            ck_assert_status(tunnelcap_icmp_echo_reply(&pkt, 64), TUNNELCAP_E_ICMP);
            test_pkt_free(&pkt);
            draw(six, false, &ip, sizes[i]);
            test_truncation(frame.bytes, frame.len, TUNNELCAP_E_TRUNCATED, feed_reply, NULL);
        }
    }
}
END_TEST

static int32_t reply(void)
{
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 0);
    test_snapshot snap = test_snap(&pkt);
    int32_t status = tunnelcap_icmp_echo_reply(&pkt, 64);
    if (status == TUNNELCAP_OK)
        free(snap.bytes);
    else
        test_unchanged(&snap, &pkt);
    test_pkt_free(&pkt);
    return status;
}

START_TEST(requests_that_no_node_may_answer_are_left_alone)
{
    static const uint8_t options[4] = {1, 1, 1, 0};
    static const uint8_t extension[6] = {1, 4, 0, 0, 0, 0};
    test_ip ip = between(false);
    ip.dst = test_addr("255.255.255.255");
    draw(false, false, &ip, 16);
    ck_assert_status(reply(), TUNNELCAP_E_NO_ANSWER);
    ip = between(false);
    ip.src = test_addr("224.0.0.1");
    draw(false, false, &ip, 16);
    ck_assert_status(reply(), TUNNELCAP_E_NO_ANSWER);
    ip = between(true);
    ip.dst = test_addr("ff02::1");
    draw(true, false, &ip, 16);
    ck_assert_status(reply(), TUNNELCAP_E_NO_ANSWER);
    ip = between(false);
    test_payload(&frame, 16);
    test_push_icmp(&frame, &ip, 8, 0);
    test_push_ip_options(&frame, &ip, ICMP, options, sizeof(options));
    ck_assert_status(reply(), TUNNELCAP_E_NO_ANSWER);
    ip = between(true);
    test_payload(&frame, 16);
    test_push_icmp(&frame, &ip, 128, 0);
    test_push_ext(&frame, ICMP6, extension, sizeof(extension));
    test_push_ip(&frame, &ip, 60);
    ck_assert_status(reply(), TUNNELCAP_E_NO_ANSWER);
    draw(true, false, &ip, 16);
    test_ok(reply());
    frame.bytes[60] ^= 1;
    ck_assert_status(reply(), TUNNELCAP_E_CHECKSUM);
    frame.bytes[0] = 0;
    ck_assert_status(reply(), TUNNELCAP_E_MALFORMED);
    ip = between(false);
    ip.frag = 0x2000;
    draw(false, false, &ip, 16);
    ck_assert_status(reply(), TUNNELCAP_E_FRAGMENT);
}
END_TEST

START_TEST(arguments_are_checked)
{
    tunnelcap_icmp_echo echo = {.size = sizeof(echo)};
    test_ip ip = between(false);
    draw(false, false, &ip, 16);
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 0), outside = pkt;
    outside.len++;
    ck_assert_status(tunnelcap_icmp_echo_read(NULL, NULL, &echo), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_icmp_echo_read(&pkt, NULL, NULL), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_icmp_echo_read(&outside, NULL, &echo), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_icmp_echo_reply(NULL, 1), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_icmp_echo_reply(&outside, 1), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_icmp_echo_reply(&pkt, 0), TUNNELCAP_E_RANGE);
    echo.size--;
    ck_assert_status(tunnelcap_icmp_echo_read(&pkt, NULL, &echo), TUNNELCAP_E_VERSION);
    test_pkt_free(&pkt);
}
END_TEST

Suite *test_icmp_echo_suite(void)
{
    const TTest *tests[] = {
        an_echo_has_exactly_the_size_that_was_asked_for,
        df_and_identification_are_the_callers,
        echoes_to_build_are_checked,
        an_echo_is_read_with_all_it_says,
        an_echo_from_a_socket_is_read_by_its_meta,
        what_is_no_echo_is_told_apart,
        a_request_becomes_its_reply,
        requests_that_no_node_may_answer_are_left_alone,
        arguments_are_checked,
    };
    return test_suite("icmp_echo", tests, TEST_COUNT(tests));
}
