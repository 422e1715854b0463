/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "support.h"

static test_frame frame;

enum { TCP = 6, MSS_1460 = 1460 };

static const uint8_t mss_option[4] = {2, 4, MSS_1460 >> 8, MSS_1460 & 0xff};

static test_ip ip_of(bool six)
{
    return six ? test_between("fd00:1::1", "fd00:2::1") : test_between("10.1.0.1", "10.2.0.1");
}

static uint32_t ip_len(bool six)
{
    return six ? 40 : 20;
}

static tunnelcap_mss_config limits(uint16_t limit4, uint16_t limit6)
{
    tunnelcap_mss_config config;
    ck_assert_status(tunnelcap_mss_config_init(&config, sizeof(config), 0), TUNNELCAP_OK);
    config.limit4 = limit4;
    config.limit6 = limit6;
    return config;
}

/* Build a SYN whose options are padded to whole words. */
static void syn(bool six, const void *options, uint32_t len)
{
    uint8_t padded[40] = {0};
    test_ip ip = ip_of(six);
    memcpy(padded, options, len);
    test_syn_packet(&frame, &ip, TEST_TCP_SYN, padded, (len + 3) / 4 * 4);
}

/* Clamp the frame in place, with `headroom` bytes before it. What is neither clamped nor
 * inserted must be unchanged. */
static int32_t clamp(const tunnelcap_mss_config *config, uint32_t headroom,
                     const tunnelcap_meta *meta)
{
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, headroom);
    test_snapshot snap = test_snap(&pkt);
    uint32_t changed = tunnelcap_mss_clamp(config, &pkt, meta, 0, 1);
    bool is_changed = pkt.status == TUNNELCAP_MSS_CLAMPED || pkt.status == TUNNELCAP_MSS_INSERTED;
    ck_assert_uint_eq(changed, is_changed);
    if (is_changed) {
        frame.len = pkt.len;
        memcpy(frame.bytes, pkt.buf + pkt.off, pkt.len);
        free(snap.bytes);
    } else {
        test_unchanged(&snap, &pkt);
    }
    test_pkt_free(&pkt);
    return pkt.status;
}

/* The TCP checksum with its pseudo-header, 0xffff if right. */
static uint16_t tcp_sum(bool six, uint32_t l3)
{
    test_ip ip = ip_of(six);
    uint32_t at = l3 + ip_len(six);
    uint32_t len = frame.len - at;
    return test_sum(test_pseudo(&ip, TCP, len), frame.bytes + at, len);
}

static void check_sums(bool six)
{
    ck_assert_uint_eq(tcp_sum(six, 0), 0xffff);
    if (!six)
        ck_assert_uint_eq(test_sum(0, frame.bytes, 20), 0xffff);
}

/* ---- configuration ---- */

START_TEST(config_follows_the_mtu_of_the_tunnel)
{
    static const struct {
        uint32_t mtu;
        uint16_t limit4, limit6;
    } rows[] = {{1476, 1436, 1416},    {1456, 1416, 1396}, {1472, 1432, 1412},
                {1464, 1424, 1404},    {1480, 1440, 1420}, {1280, 1240, 1220},
                {1279, 1239, 1220},    {576, 536, 1220},   {575, 536, 1220},
                {1, 536, 1220},        {0, 0, 0},          {65535, 65495, 65475},
                {100000, 65495, 65475}};
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        tunnelcap_mss_config config, want;
        memset(&config, 0xff, sizeof(config));
        memset(&want, 0, sizeof(want));
        want.size = sizeof(want);
        want.limit4 = rows[i].limit4;
        want.limit6 = rows[i].limit6;
        ck_assert_status(tunnelcap_mss_config_init(&config, sizeof(config), rows[i].mtu),
                         TUNNELCAP_OK);
        ck_assert_mem_eq(&config, &want, sizeof(want));
    }
    tunnelcap_mss_config config;
    ck_assert_status(tunnelcap_mss_config_init(NULL, sizeof(config), 0), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_mss_config_init(&config, sizeof(config) - 1, 0),
                     TUNNELCAP_E_VERSION);
}
END_TEST

START_TEST(refused_configuration_shows_in_every_status)
{
    tunnelcap_mss_config good = limits(1000, 1300), config;
    syn(false, mss_option, 4);
    ck_assert_status(clamp(NULL, 0, NULL), TUNNELCAP_E_INVALID);
    config = good;
    config.size--;
    ck_assert_status(clamp(&config, 0, NULL), TUNNELCAP_E_VERSION);
    config = good;
    config.flags = 2;
    ck_assert_status(clamp(&config, 0, NULL), TUNNELCAP_E_FLAGS);
    config = good;
    config.reserved = 1;
    ck_assert_status(clamp(&config, 0, NULL), TUNNELCAP_E_RESERVED);
    ck_assert_uint_eq(tunnelcap_mss_clamp(&good, NULL, NULL, 0, 1), 0);

    struct {
        tunnelcap_mss_config known;
        uint64_t tail;
    } newer = {good, 0};
    newer.known.size = sizeof(newer);
    ck_assert_status(clamp(&newer.known, 0, NULL), TUNNELCAP_MSS_CLAMPED);
    syn(false, mss_option, 4);
    newer.tail = 1;
    ck_assert_status(clamp(&newer.known, 0, NULL), TUNNELCAP_E_VERSION);
    void *exact = test_copy(&good, sizeof(good));
    ck_assert_status(clamp(exact, 0, NULL), TUNNELCAP_MSS_CLAMPED);
    free(exact);
}
END_TEST

START_TEST(window_outside_its_buffer_is_invalid)
{
    tunnelcap_mss_config config = limits(1000, 1300);
    tunnelcap_pkt pkt = {frame.bytes, 100, 60, 41, 0, NULL};
    ck_assert_uint_eq(tunnelcap_mss_clamp(&config, &pkt, NULL, 0, 1), 0);
    ck_assert_status(pkt.status, TUNNELCAP_E_INVALID);
}
END_TEST

/* ---- clamping ---- */

START_TEST(syn_and_syn_ack_are_clamped_in_both_families)
{
    tunnelcap_mss_config config = limits(1436, 1416);
    for (unsigned six = 0; six <= 1; six++) {
        for (unsigned flags = 0; flags < 256; flags++) {
            test_ip ip = ip_of(six);
            test_syn_packet(&frame, &ip, (uint8_t)flags, mss_option, 4);
            if (!(flags & TEST_TCP_SYN)) {
                ck_assert_status(clamp(&config, 0, NULL), TUNNELCAP_NOT_SYN);
                continue;
            }
            ck_assert_status(clamp(&config, 0, NULL), TUNNELCAP_MSS_CLAMPED);
            ck_assert_uint_eq(test_load16(frame.bytes + ip_len(six) + 22), six ? 1416 : 1436);
            check_sums(six);
        }
    }
}
END_TEST

START_TEST(mss_at_any_offset_is_clamped_with_a_right_checksum)
{
    tunnelcap_mss_config config = limits(1436, 1416);
    for (unsigned six = 0; six <= 1; six++) {
        for (uint32_t before = 0; before <= 36; before++) {
            uint8_t options[40];
            memset(options, 1, sizeof(options));
            memcpy(options + before, mss_option, 4);
            syn(six, options, before + 4);
            ck_assert_status(clamp(&config, 0, NULL), TUNNELCAP_MSS_CLAMPED);
            ck_assert_uint_eq(test_load16(frame.bytes + ip_len(six) + 22 + before),
                              six ? 1416 : 1436);
            check_sums(six);
        }
    }
}
END_TEST

START_TEST(clamp_never_raises)
{
    tunnelcap_mss_config config = limits(1436, 1436);
    for (unsigned six = 0; six <= 1; six++) {
        for (uint32_t mss = 0; mss < 0x10000; mss += mss / 16 == 1436 / 16 ? 1 : 16) {
            uint8_t options[4] = {2, 4, (uint8_t)(mss >> 8), (uint8_t)mss};
            syn(six, options, 4);
            ck_assert_status(clamp(&config, 4, NULL),
                             mss > 1436 ? TUNNELCAP_MSS_CLAMPED : TUNNELCAP_MSS_SMALL);
            ck_assert_uint_eq(test_load16(frame.bytes + ip_len(six) + 22), mss > 1436 ? 1436 : mss);
            check_sums(six);
        }
    }
}
END_TEST

START_TEST(every_mss_option_of_a_segment_is_clamped)
{
    static const uint8_t options[] = {2, 4, 5, 180, 1, 2, 4, 5, 181, 2, 4, 1, 0, 2, 4, 0xff, 0xff};
    tunnelcap_mss_config config = limits(1000, 1300);
    syn(false, options, sizeof(options));
    ck_assert_status(clamp(&config, 0, NULL), TUNNELCAP_MSS_CLAMPED);
    ck_assert_uint_eq(test_load16(frame.bytes + 42), 1000);
    ck_assert_uint_eq(test_load16(frame.bytes + 47), 1000);
    ck_assert_uint_eq(test_load16(frame.bytes + 51), 256);
    ck_assert_uint_eq(test_load16(frame.bytes + 55), 1000);
    check_sums(false);
    uint8_t full[40];
    for (uint32_t i = 0; i < 10; i++)
        memcpy(full + 4 * i, mss_option, 4);
    syn(true, full, sizeof(full));
    ck_assert_status(clamp(&config, 0, NULL), TUNNELCAP_MSS_CLAMPED);
    for (uint32_t i = 0; i < 10; i++)
        ck_assert_uint_eq(test_load16(frame.bytes + 62 + 4 * i), 1300);
    check_sums(true);
}
END_TEST

START_TEST(floors_hold_unless_asked_otherwise)
{
    tunnelcap_mss_config config = limits(100, 100);
    syn(false, mss_option, 4);
    ck_assert_status(clamp(&config, 0, NULL), TUNNELCAP_MSS_CLAMPED);
    ck_assert_uint_eq(test_load16(frame.bytes + 42), 536);
    syn(true, mss_option, 4);
    ck_assert_status(clamp(&config, 0, NULL), TUNNELCAP_MSS_CLAMPED);
    ck_assert_uint_eq(test_load16(frame.bytes + 62), 1220);
    config.flags = TUNNELCAP_MSS_BELOW_FLOOR;
    ck_assert_status(clamp(&config, 0, NULL), TUNNELCAP_MSS_CLAMPED);
    ck_assert_uint_eq(test_load16(frame.bytes + 62), 100);
    check_sums(true);
}
END_TEST

START_TEST(family_without_limit_is_left_alone)
{
    tunnelcap_mss_config config = limits(0, 1300);
    config.insert4 = 500;
    syn(false, mss_option, 4);
    ck_assert_status(clamp(&config, 4, NULL), TUNNELCAP_NOT_SYN);
    syn(true, mss_option, 4);
    ck_assert_status(clamp(&config, 4, NULL), TUNNELCAP_MSS_CLAMPED);
    config = limits(1300, 0);
    syn(true, mss_option, 4);
    ck_assert_status(clamp(&config, 4, NULL), TUNNELCAP_NOT_SYN);
}
END_TEST

START_TEST(each_packet_of_a_batch_gets_the_limit_of_its_family)
{
    tunnelcap_mss_config config = limits(1000, 1300);
    tunnelcap_pkt pkts[9];
    for (uint32_t i = 0; i < TEST_COUNT(pkts); i++) {
        syn(i % 3 == 1, mss_option, 4);
        if (i == 4)
            frame.bytes[53] = TEST_TCP_ACK;
        pkts[i] = test_pkt(frame.bytes, frame.len, 0);
    }
    ck_assert_uint_eq(tunnelcap_mss_clamp(&config, pkts, NULL, 0, TEST_COUNT(pkts)), 8);
    for (uint32_t i = 0; i < TEST_COUNT(pkts); i++) {
        uint32_t want = i == 4 ? MSS_1460 : i % 3 == 1 ? 1300 : 1000;
        ck_assert_status(pkts[i].status, i == 4 ? TUNNELCAP_NOT_SYN : TUNNELCAP_MSS_CLAMPED);
        ck_assert_uint_eq(test_load16(pkts[i].buf + (i % 3 == 1 ? 62 : 42)), want);
        test_pkt_free(&pkts[i]);
    }
}
END_TEST

START_TEST(bad_checksum_stays_bad_by_the_same_difference)
{
    tunnelcap_mss_config config = limits(1000, 1300);
    config.insert4 = 500;
    for (uint32_t delta = 1; delta < 0xffff; delta += 977) {
        for (uint32_t before = 0; before <= 2; before++) {
            uint8_t options[8] = {1, 1, 1, 1, 1, 1, 1, 1};
            if (before < 2)
                memcpy(options + before, mss_option, 4); /* else: none, to be inserted */
            syn(false, options, 8);
            uint32_t bad = test_load16(frame.bytes + 36) + delta;
            test_store16(frame.bytes + 36, (bad & 0xffff) + (bad >> 16));
            uint16_t was = tcp_sum(false, 0);
            ck_assert_uint_ne(was, 0xffff);
            ck_assert_status(clamp(&config, 4, NULL),
                             before < 2 ? TUNNELCAP_MSS_CLAMPED : TUNNELCAP_MSS_INSERTED);
            ck_assert_uint_eq(tcp_sum(false, 0), was);
        }
    }
}
END_TEST

START_TEST(unfinished_checksum_stays_unfinished)
{
    tunnelcap_mss_config config = limits(1000, 1300);
    config.insert6 = 1200;
    tunnelcap_meta meta = {
        .flags = TUNNELCAP_META_CSUM_PARTIAL, .csum_start = 40, .csum_offset = 16};
    test_ip ip = ip_of(true);
    syn(true, mss_option, 4);
    test_store16(frame.bytes + 56, test_pseudo(&ip, TCP, 24));
    ck_assert_status(clamp(&config, 0, &meta), TUNNELCAP_MSS_CLAMPED);
    ck_assert_uint_eq(test_load16(frame.bytes + 56), test_pseudo(&ip, TCP, 24));
    syn(true, "\1\1\1\1", 4);
    test_store16(frame.bytes + 56, test_pseudo(&ip, TCP, 24));
    ck_assert_status(clamp(&config, 4, &meta), TUNNELCAP_MSS_INSERTED);
    ck_assert_uint_eq(test_load16(frame.bytes + 56), test_pseudo(&ip, TCP, 28));
    /* Finished from the same csum_start, it is right. */
    uint32_t sum = (uint16_t)~test_sum(0, frame.bytes + 40, frame.len - 40);
    test_store16(frame.bytes + 56, sum);
    check_sums(true);
}
END_TEST

/* ---- what is left alone ---- */

START_TEST(packets_that_are_not_tcp_are_left_alone)
{
    tunnelcap_mss_config config = limits(1000, 1300);
    for (unsigned six = 0; six <= 1; six++) {
        test_ip ip = ip_of(six);
        test_udp_packet(&frame, &ip, 40);
        ck_assert_status(clamp(&config, 4, NULL), TUNNELCAP_NOT_SYN);
        test_payload(&frame, 0);
        test_push_ip(&frame, &ip, six ? 59 : 1);
        ck_assert_status(clamp(&config, 4, NULL), TUNNELCAP_NOT_SYN);
    }
}
END_TEST

START_TEST(authenticated_syns_are_left_alone)
{
    static const uint8_t ao_behind[] = {2, 4, 5, 180, 29, 4, 0, 0};
    static const uint8_t ao_before[] = {29, 4, 0, 0, 2, 4, 5, 180};
    static const uint8_t ao_alone[] = {29, 4, 0, 0};
    uint8_t md5[24] = {19, 18, [18] = 1, 1, 2, 4, 5, 180};
    tunnelcap_mss_config config = limits(1000, 1300);
    for (unsigned insert = 0; insert <= 1; insert++) {
        config.insert4 = insert ? 500 : 0;
        syn(false, ao_behind, sizeof(ao_behind));
        ck_assert_status(clamp(&config, 4, NULL), TUNNELCAP_MSS_PROTECTED);
        syn(false, ao_before, sizeof(ao_before));
        ck_assert_status(clamp(&config, 4, NULL), TUNNELCAP_MSS_PROTECTED);
        syn(false, ao_alone, sizeof(ao_alone));
        ck_assert_status(clamp(&config, 4, NULL), TUNNELCAP_MSS_PROTECTED);
        syn(false, md5, sizeof(md5)); /* MD5 does not cover options: the value may change */
        ck_assert_status(clamp(&config, 4, NULL), TUNNELCAP_MSS_CLAMPED);
        check_sums(false);
        syn(false, md5, 20);
        ck_assert_status(clamp(&config, 4, NULL),
                         insert ? TUNNELCAP_MSS_PROTECTED : TUNNELCAP_MSS_ABSENT);
    }
}
END_TEST

START_TEST(malformed_options_before_the_mss_are_reported)
{
    static const uint8_t broken[][8] = {
        {8, 0, 2, 4, 5, 180, 1, 1},   /* length 0 */
        {8, 1, 2, 4, 5, 180, 1, 1},   /* length 1 */
        {8, 9, 2, 4, 5, 180, 1, 1},   /* past the header */
        {8, 255, 2, 4, 5, 180, 1, 1}, /* far past it */
        {2, 3, 5, 2, 4, 5, 180, 1},   /* an MSS of 3 bytes */
        {2, 5, 5, 180, 1, 2, 4, 5},   /* an MSS of 5 bytes */
        {2, 2, 2, 4, 5, 180, 1, 1},   /* an MSS without value */
        {1, 1, 1, 1, 1, 1, 1, 8},     /* a kind without length */
        {1, 1, 1, 1, 1, 2, 4, 5},     /* an MSS cut off */
    };
    tunnelcap_mss_config config = limits(1000, 1300);
    config.insert4 = 500;
    for (size_t i = 0; i < TEST_COUNT(broken); i++) {
        syn(false, broken[i], 8);
        ck_assert_status(clamp(&config, 4, NULL), TUNNELCAP_E_MALFORMED);
    }
}
END_TEST

START_TEST(malformed_options_behind_the_mss_do_not_hide_it)
{
    static const uint8_t options[8] = {2, 4, 5, 180, 8, 0, 29, 4};
    tunnelcap_mss_config config = limits(1000, 1300);
    syn(false, options, 8);
    ck_assert_status(clamp(&config, 0, NULL), TUNNELCAP_MSS_CLAMPED);
    check_sums(false);
}
END_TEST

START_TEST(options_behind_the_end_are_no_options)
{
    static const uint8_t options[8] = {1, 0, 1, 1, 2, 4, 5, 180};
    tunnelcap_mss_config config = limits(1000, 1300);
    syn(false, options, 8);
    ck_assert_status(clamp(&config, 4, NULL), TUNNELCAP_MSS_ABSENT);
}
END_TEST

START_TEST(data_offset_must_hold_the_header)
{
    tunnelcap_mss_config config = limits(1000, 1300);
    for (unsigned words = 0; words < 16; words++) {
        syn(false, mss_option, 4);
        frame.bytes[32] = (uint8_t)(words << 4);
        ck_assert_status(clamp(&config, 0, NULL), words < 5    ? TUNNELCAP_E_MALFORMED
                                                  : words == 5 ? TUNNELCAP_MSS_ABSENT
                                                  : words == 6 ? TUNNELCAP_MSS_CLAMPED
                                                               : TUNNELCAP_E_TRUNCATED);
    }
}
END_TEST

START_TEST(fragments_are_clamped_only_where_the_header_is)
{
    tunnelcap_mss_config config = limits(1000, 1300);
    config.insert4 = config.insert6 = 500;
    static const struct {
        uint16_t frag; /* IPv4 */
        uint8_t six[2];
        int32_t want;
    } rows[] = {{0x2000, {0, 1}, TUNNELCAP_MSS_CLAMPED},
                {0x0001, {0, 8}, TUNNELCAP_FRAGMENT},
                {0x1fff, {0xff, 0xf8}, TUNNELCAP_FRAGMENT},
                {0x2003, {0, 0x19}, TUNNELCAP_FRAGMENT}};
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        test_ip ip = ip_of(false);
        ip.frag = rows[i].frag;
        test_syn_packet(&frame, &ip, TEST_TCP_SYN, mss_option, 4);
        ck_assert_status(clamp(&config, 4, NULL), rows[i].want);
        test_ip ip6 = ip_of(true);
        uint8_t content[6] = {rows[i].six[0], rows[i].six[1], 0, 0, 0, 1};
        frame.len = 0;
        test_push_tcp(&frame, &ip6, TEST_TCP_SYN, mss_option, 4);
        test_push_ext(&frame, TCP, content, 6);
        frame.bytes[1] = 0;
        test_push_ip(&frame, &ip6, 44);
        ck_assert_status(clamp(&config, 4, NULL), rows[i].want);
    }
    /* Nothing is inserted into a fragment. */
    test_ip ip = ip_of(false);
    ip.frag = 0x2000;
    test_syn_packet(&frame, &ip, TEST_TCP_SYN, "\1\1\1\1", 4);
    ck_assert_status(clamp(&config, 4, NULL), TUNNELCAP_MSS_ABSENT);
}
END_TEST

/* ---- places ---- */

START_TEST(tcp_behind_extension_headers_is_found)
{
    static const uint8_t pad[14] = {1, 12}, routing[6] = {4, 0, 0, 0, 0, 0};
    tunnelcap_mss_config config = limits(1000, 1300);
    config.insert6 = 1220;
    for (unsigned insert = 0; insert <= 1; insert++) {
        test_ip ip = ip_of(true);
        frame.len = 0;
        test_push_tcp(&frame, &ip, TEST_TCP_SYN, insert ? "\1\1\1\1" : (const char *)mss_option, 4);
        test_push_ext(&frame, TCP, pad, sizeof(pad));
        test_push_ext(&frame, 60, routing, sizeof(routing));
        test_push_ext(&frame, 43, pad, sizeof(pad));
        test_push_ip(&frame, &ip, 0);
        uint32_t at = 40 + 16 + 8 + 16;
        ck_assert_status(clamp(&config, 4, NULL),
                         insert ? TUNNELCAP_MSS_INSERTED : TUNNELCAP_MSS_CLAMPED);
        ck_assert_uint_eq(test_load16(frame.bytes + at + 22), insert ? 1220 : 1300);
        ck_assert_uint_eq(
            test_sum(test_pseudo(&ip, TCP, frame.len - at), frame.bytes + at, frame.len - at),
            0xffff);
        ck_assert_uint_eq(test_load16(frame.bytes + 4), frame.len - 40);
    }
}
END_TEST

START_TEST(ip_options_are_stepped_over)
{
    tunnelcap_mss_config config = limits(1000, 1300);
    config.insert4 = 400;
    config.flags = TUNNELCAP_MSS_BELOW_FLOOR;
    for (unsigned insert = 0; insert <= 1; insert++) {
        test_ip ip = ip_of(false);
        frame.len = 0;
        test_push_tcp(&frame, &ip, TEST_TCP_SYN, insert ? "\1\1\1\1" : (const char *)mss_option, 4);
        test_push_ip_options(&frame, &ip, TCP, "\7\7\4\0\0\0\0\0", 8);
        ck_assert_status(clamp(&config, 4, NULL),
                         insert ? TUNNELCAP_MSS_INSERTED : TUNNELCAP_MSS_CLAMPED);
        ck_assert_uint_eq(test_load16(frame.bytes + 50), insert ? 400 : 1000);
        ck_assert_uint_eq(test_sum(0, frame.bytes, 28), 0xffff);
    }
}
END_TEST

START_TEST(callers_with_link_headers_give_the_offset)
{
    static const uint8_t link[22] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xa8};
    static const uint32_t offsets[] = {14, 18, 22, 1};
    for (size_t i = 0; i < TEST_COUNT(offsets); i++) {
        for (unsigned insert = 0; insert <= 1; insert++) {
            tunnelcap_mss_config config = limits(1000, 1300);
            config.l3_offset = offsets[i];
            config.insert4 = 536;
            syn(false, insert ? (const void *)"\1\1\1\1" : mss_option, 4);
            test_push(&frame, link, offsets[i]);
            memset(frame.bytes + frame.len, 0, 6); /* padding of a short frame */
            frame.len += 6;
            ck_assert_status(clamp(&config, 4, NULL),
                             insert ? TUNNELCAP_MSS_INSERTED : TUNNELCAP_MSS_CLAMPED);
            ck_assert_mem_eq(frame.bytes, link, offsets[i]);
            ck_assert_uint_eq(test_load16(frame.bytes + offsets[i] + 42), insert ? 536 : 1000);
            frame.len -= 6;
            ck_assert_uint_eq(tcp_sum(false, offsets[i]), 0xffff);
            frame.len = offsets[i] - 1;
            ck_assert_status(clamp(&config, 4, NULL), TUNNELCAP_E_TRUNCATED);
        }
    }
}
END_TEST

/* ---- inserting ---- */

START_TEST(missing_option_is_inserted_on_demand)
{
    static const uint8_t others[][8] = {{1, 1, 1, 1}, {4, 2, 1, 3, 3, 7, 1, 1}, {0, 0, 0, 0}};
    static const uint32_t others_len[] = {4, 8, 4};
    for (unsigned six = 0; six <= 1; six++) {
        for (size_t i = 0; i <= TEST_COUNT(others); i++) {
            tunnelcap_mss_config config = limits(1436, 1416);
            config.insert4 = config.insert6 = 9000; /* takes effect as 536 and 1220 */
            uint32_t len = i < TEST_COUNT(others) ? others_len[i] : 0;
            const void *options = i < TEST_COUNT(others) ? others[i] : NULL;
            test_ip ip = ip_of(six);
            frame.len = 0;
            test_payload(&frame, 5); /* data on a SYN, as with TFO */
            test_push_tcp(&frame, &ip, TEST_TCP_SYN, options, len);
            test_push_ip(&frame, &ip, TCP);
            static test_frame before;
            before = frame;
            uint32_t at = ip_len(six);
            ck_assert_status(clamp(&config, 4, NULL), TUNNELCAP_MSS_INSERTED);
            ck_assert_uint_eq(frame.len, before.len + 4);
            check_sums(six);
            ck_assert_uint_eq(frame.bytes[at + 12] >> 4, (len + 24) / 4);
            ck_assert_uint_eq(test_load32(frame.bytes + at + 20),
                              0x02040000u | (six ? 1220u : 536u));
            ck_assert_mem_eq(frame.bytes + at + 24, before.bytes + at + 20, len + 5);
            ck_assert_uint_eq(test_load16(frame.bytes + (six ? 4 : 2)), frame.len - (six ? 40 : 0));
            /* What was inserted is now an option like any other. */
            ck_assert_status(clamp(&config, 4, NULL), TUNNELCAP_MSS_SMALL);
        }
    }
}
END_TEST

START_TEST(inserted_value_is_never_above_the_limit)
{
    tunnelcap_mss_config config = limits(300, 1300);
    config.flags = TUNNELCAP_MSS_BELOW_FLOOR;
    config.insert4 = 536;
    syn(false, "\1\1\1\1", 4);
    ck_assert_status(clamp(&config, 4, NULL), TUNNELCAP_MSS_INSERTED);
    ck_assert_uint_eq(test_load16(frame.bytes + 42), 300);
}
END_TEST

START_TEST(nothing_is_inserted_without_room)
{
    tunnelcap_mss_config config = limits(1000, 1300);
    config.insert4 = config.insert6 = 500;
    for (uint32_t headroom = 0; headroom < 4; headroom++) {
        syn(false, "\1\1\1\1", 4);
        ck_assert_status(clamp(&config, headroom, NULL), TUNNELCAP_MSS_NO_ROOM);
    }
    uint8_t full[40];
    memset(full, 1, sizeof(full));
    syn(false, full, sizeof(full));
    ck_assert_status(clamp(&config, 8, NULL), TUNNELCAP_MSS_NO_ROOM);
    syn(false, full, 36);
    ck_assert_status(clamp(&config, 8, NULL), TUNNELCAP_MSS_INSERTED);
    for (uint32_t over = 0; over <= 1; over++) {
        test_ip ip = ip_of(false);
        test_payload(&frame, 65535 - 44 + over);
        test_push_tcp(&frame, &ip, TEST_TCP_SYN, NULL, 0);
        test_push_ip(&frame, &ip, TCP);
        ck_assert_status(clamp(&config, 8, NULL),
                         over ? TUNNELCAP_MSS_NO_ROOM : TUNNELCAP_MSS_INSERTED);
    }
}
END_TEST

START_TEST(syn_without_option_is_reported)
{
    tunnelcap_mss_config config = limits(1000, 1300);
    for (unsigned six = 0; six <= 1; six++) {
        syn(six, "\1\1\1\1", 4);
        ck_assert_status(clamp(&config, 4, NULL), TUNNELCAP_MSS_ABSENT);
        syn(six, "", 0);
        ck_assert_status(clamp(&config, 4, NULL), TUNNELCAP_MSS_ABSENT);
    }
}
END_TEST

/* ---- hostile bytes ---- */

static int32_t feed(void *arg, tunnelcap_pkt *pkt)
{
    tunnelcap_mss_clamp(arg, pkt, NULL, 0, 1);
    return pkt->status;
}

START_TEST(clamp_refuses_every_truncated_header_and_survives_flips)
{
    static const uint8_t options[] = {1, 3, 3, 7, 4, 2, 8, 10, 0, 0,
                                      0, 1, 0, 0, 0, 2, 2, 4,  5, 180};
    tunnelcap_mss_config config = limits(1000, 1300);
    config.insert4 = config.insert6 = 500;
    for (unsigned six = 0; six <= 1; six++) {
        syn(six, options, sizeof(options));
        test_truncation(frame.bytes, frame.len, TUNNELCAP_E_TRUNCATED, feed, &config);
        test_flips(frame.bytes, frame.len, 0, feed, &config);
        test_flips(frame.bytes, frame.len, 4, feed, &config);
    }
}
END_TEST

START_TEST(headers_that_ip_says_are_not_there_are_not_read)
{
    tunnelcap_mss_config config = limits(1000, 1300);
    for (uint32_t tcp = 0; tcp < 24; tcp++) { /* the buffer goes on, the packet does not */
        syn(false, mss_option, 4);
        test_store16(frame.bytes + 2, 20 + tcp);
        ck_assert_status(clamp(&config, 4, NULL), TUNNELCAP_E_TRUNCATED);
    }
}
END_TEST

START_TEST(segment_cut_by_a_capture_is_clamped_while_its_header_is_whole)
{
    tunnelcap_mss_config config = limits(1000, 1300);
    test_ip ip = ip_of(false);
    test_payload(&frame, 500);
    test_push_tcp(&frame, &ip, TEST_TCP_SYN, mss_option, 4);
    test_push_ip(&frame, &ip, TCP);
    uint32_t len = frame.len;
    frame.len = 44;
    ck_assert_status(clamp(&config, 0, NULL), TUNNELCAP_MSS_CLAMPED);
    frame.len = len;
    check_sums(false);
}
END_TEST

START_TEST(what_is_no_ip_is_malformed)
{
    tunnelcap_mss_config config = limits(1000, 1300);
    for (unsigned version = 0; version < 16; version++) {
        if (version == 4 || version == 6)
            continue;
        syn(false, mss_option, 4);
        frame.bytes[0] = (uint8_t)(version << 4 | 5);
        ck_assert_status(clamp(&config, 4, NULL), TUNNELCAP_E_MALFORMED);
    }
    syn(false, mss_option, 4);
    frame.bytes[0] = 0x44;
    ck_assert_status(clamp(&config, 4, NULL), TUNNELCAP_E_MALFORMED);
}
END_TEST

Suite *test_mss_suite(void)
{
    const TTest *tests[] = {
        config_follows_the_mtu_of_the_tunnel,
        refused_configuration_shows_in_every_status,
        window_outside_its_buffer_is_invalid,
        syn_and_syn_ack_are_clamped_in_both_families,
        mss_at_any_offset_is_clamped_with_a_right_checksum,
        clamp_never_raises,
        every_mss_option_of_a_segment_is_clamped,
        floors_hold_unless_asked_otherwise,
        family_without_limit_is_left_alone,
        each_packet_of_a_batch_gets_the_limit_of_its_family,
        bad_checksum_stays_bad_by_the_same_difference,
        unfinished_checksum_stays_unfinished,
        packets_that_are_not_tcp_are_left_alone,
        authenticated_syns_are_left_alone,
        malformed_options_before_the_mss_are_reported,
        malformed_options_behind_the_mss_do_not_hide_it,
        options_behind_the_end_are_no_options,
        data_offset_must_hold_the_header,
        fragments_are_clamped_only_where_the_header_is,
        tcp_behind_extension_headers_is_found,
        ip_options_are_stepped_over,
        callers_with_link_headers_give_the_offset,
        missing_option_is_inserted_on_demand,
        inserted_value_is_never_above_the_limit,
        nothing_is_inserted_without_room,
        syn_without_option_is_reported,
        clamp_refuses_every_truncated_header_and_survives_flips,
        headers_that_ip_says_are_not_there_are_not_read,
        segment_cut_by_a_capture_is_clamped_while_its_header_is_whole,
        what_is_no_ip_is_malformed,
    };
    return test_suite("mss", tests, TEST_COUNT(tests));
}
