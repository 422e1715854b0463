/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "ip.h"

#include "support.h"

static test_frame frame;

enum { HOP_BY_HOP = 0, TCP = 6, UDP = 17, ROUTING = 43, FRAGMENT = 44, AH = 51, DEST = 60 };

/* Parse the frame from memory of its exact length. */
static int32_t parse(tunnelcap_i_ip *ip, uint8_t **copy)
{
    *copy = test_copy(frame.bytes, frame.len);
    return tunnelcap_i_ip_parse(*copy, frame.len, ip);
}

static void expect(int32_t want, uint8_t protocol, uint32_t payload)
{
    tunnelcap_i_ip ip;
    uint8_t *copy;
    ck_assert_status(parse(&ip, &copy), want);
    if (want == TUNNELCAP_OK) {
        ck_assert_uint_eq(ip.protocol, protocol);
        ck_assert_uint_eq(ip.payload, payload);
    }
    free(copy);
}

START_TEST(ipv4_header_is_read)
{
    test_ip want = test_between("192.0.2.1", "198.51.100.7");
    want.tos = 0xb9;
    want.ttl = 17;
    test_payload(&frame, 30);
    test_push_ip_options(&frame, &want, UDP, "\1\1\1\0", 4);
    memset(frame.bytes + frame.len, 0, 7);
    frame.len += 7; /* padding */
    tunnelcap_i_ip ip;
    uint8_t *copy;
    ck_assert_status(parse(&ip, &copy), TUNNELCAP_OK);
    ck_assert_uint_eq(ip.family, TUNNELCAP_IPV4);
    ck_assert_uint_eq(ip.payload, 24);
    ck_assert_uint_eq(ip.total, 54);
    ck_assert_uint_eq(ip.protocol, UDP);
    ck_assert_uint_eq(ip.tos, 0xb9);
    ck_assert_uint_eq(ip.ttl, 17);
    ck_assert_uint_eq(ip.df, 0x40);
    ck_assert_uint_eq(ip.fragment, 0);
    ck_assert_uint_eq(ip.addr_len, 4);
    ck_assert_mem_eq(ip.src, want.src.bytes, 4);
    ck_assert_mem_eq(ip.src + ip.addr_len, want.dst.bytes, 4);
    free(copy);
}
END_TEST

START_TEST(ipv6_header_is_read)
{
    test_ip want = test_between("2001:db8::1", "2001:db8::2");
    want.tos = 0xb9;
    want.ttl = 17;
    want.flow_label = 0xfffff;
    test_payload(&frame, 30);
    test_push_ip(&frame, &want, TCP);
    tunnelcap_i_ip ip;
    uint8_t *copy;
    ck_assert_status(parse(&ip, &copy), TUNNELCAP_OK);
    ck_assert_uint_eq(ip.family, TUNNELCAP_IPV6);
    ck_assert_uint_eq(ip.payload, 40);
    ck_assert_uint_eq(ip.total, 70);
    ck_assert_uint_eq(ip.protocol, TCP);
    ck_assert_uint_eq(ip.tos, 0xb9);
    ck_assert_uint_eq(ip.ttl, 17);
    ck_assert_uint_eq(ip.df, 0);
    ck_assert_uint_eq(ip.addr_len, 16);
    ck_assert_mem_eq(ip.src, want.src.bytes, 16);
    ck_assert_mem_eq(ip.src + ip.addr_len, want.dst.bytes, 16);
    free(copy);
}
END_TEST

START_TEST(ipv4_lengths_must_agree)
{
    test_ip ip = test_between("192.0.2.1", "198.51.100.7");
    for (unsigned words = 0; words < 16; words++) {
        test_payload(&frame, 0);
        test_push_ip(&frame, &ip, UDP);
        frame.bytes[0] = (uint8_t)(0x40 | words);
        expect(words == 5 ? TUNNELCAP_OK : TUNNELCAP_E_MALFORMED, UDP, 20);
        test_store16(frame.bytes + 2, 60);
        expect(words < 5    ? TUNNELCAP_E_MALFORMED
               : words == 5 ? TUNNELCAP_OK
                            : TUNNELCAP_E_TRUNCATED,
               UDP, 20);
    }
    for (uint32_t total = 0; total < 20; total++) {
        test_payload(&frame, 0);
        test_push_ip(&frame, &ip, UDP);
        test_store16(frame.bytes + 2, total);
        expect(TUNNELCAP_E_MALFORMED, 0, 0);
    }
}
END_TEST

START_TEST(every_cut_header_is_truncated)
{
    static const uint8_t pad[14] = {1, 12};
    static const char *const routes[][2] = {{"192.0.2.1", "198.51.100.7"},
                                            {"2001:db8::1", "2001:db8::2"}};
    for (size_t i = 0; i < TEST_COUNT(routes); i++) {
        test_ip ip = test_between(routes[i][0], routes[i][1]);
        test_payload(&frame, 0);
        uint8_t first = UDP;
        if (i == 1) {
            test_push_ext(&frame, UDP, pad, sizeof(pad));
            first = DEST;
        }
        test_push_ip(&frame, &ip, first);
        uint32_t whole = frame.len;
        expect(TUNNELCAP_OK, UDP, whole);
        for (frame.len = 0; frame.len < whole; frame.len++)
            expect(TUNNELCAP_E_TRUNCATED, 0, 0);
    }
}
END_TEST

START_TEST(extension_headers_are_walked_to_the_transport_header)
{
    static const uint8_t kinds[] = {HOP_BY_HOP, ROUTING, DEST};
    static const uint8_t six[6] = {1, 4}, fourteen[14] = {1, 12};
    for (size_t i = 0; i < TEST_COUNT(kinds); i++) {
        test_ip ip = test_between("2001:db8::1", "2001:db8::2");
        test_payload(&frame, 8);
        test_push_ext(&frame, UDP, six, sizeof(six));
        test_push_ext(&frame, kinds[i], fourteen, sizeof(fourteen));
        test_push_ip(&frame, &ip, kinds[i]);
        expect(TUNNELCAP_OK, UDP, 40 + 16 + 8);
    }
}
END_TEST

START_TEST(walk_ends_at_an_authentication_header)
{
    test_ip ip = test_between("2001:db8::1", "2001:db8::2");
    uint8_t header[24] = {TCP, 4}; /* 32-bit words less two */
    test_payload(&frame, 20);
    test_push(&frame, header, sizeof(header));
    test_push_ip(&frame, &ip, AH);
    expect(TUNNELCAP_OK, AH, 40);
}
END_TEST

START_TEST(extension_headers_that_leave_the_packet_are_malformed)
{
    static const uint8_t six[6] = {1, 4};
    test_ip ip = test_between("2001:db8::1", "2001:db8::2");
    test_payload(&frame, 3);
    test_push_ip(&frame, &ip, DEST);
    expect(TUNNELCAP_E_MALFORMED, 0, 0);
    test_payload(&frame, 0);
    test_push_ext(&frame, UDP, six, sizeof(six));
    frame.bytes[1] = 1;
    test_push_ip(&frame, &ip, DEST);
    expect(TUNNELCAP_E_MALFORMED, 0, 0);
}
END_TEST

START_TEST(chain_of_extension_headers_is_bounded)
{
    static const uint8_t six[6] = {1, 4};
    for (uint32_t count = 1; count < 40; count++) {
        test_ip ip = test_between("2001:db8::1", "2001:db8::2");
        test_payload(&frame, 0);
        for (uint32_t i = 0; i < count; i++)
            test_push_ext(&frame, i == 0 ? UDP : DEST, six, sizeof(six));
        test_push_ip(&frame, &ip, DEST);
        expect(count <= TUNNELCAP_I_EXTENSIONS_MAX ? TUNNELCAP_OK : TUNNELCAP_E_MALFORMED, UDP,
               40 + 8 * count);
    }
}
END_TEST

START_TEST(fragments_are_told_from_whole_packets)
{
    static const struct {
        uint16_t frag;
        uint8_t fragment, non_first;
    } four[] = {{0, 0, 0},      {0x4000, 0, 0}, {0x8000, 0, 0},
                {0x2000, 1, 0}, {1, 1, 1},      {0x3fff, 1, 1}};
    static const struct {
        uint8_t content[6];
        uint8_t fragment, non_first;
    } six[] = {
        {{0, 0}, 0, 0}, {{0, 6}, 0, 0}, {{0, 1}, 1, 0}, {{0, 8}, 1, 1}, {{0xff, 0xf9}, 1, 1}};
    for (size_t i = 0; i < TEST_COUNT(four); i++) {
        test_ip out = test_between("192.0.2.1", "198.51.100.7");
        tunnelcap_i_ip ip;
        uint8_t *copy;
        out.frag = four[i].frag;
        test_udp_packet(&frame, &out, 8);
        ck_assert_status(parse(&ip, &copy), TUNNELCAP_OK);
        ck_assert_uint_eq(ip.fragment, four[i].fragment);
        ck_assert_uint_eq(ip.non_first, four[i].non_first);
        free(copy);
    }
    for (size_t i = 0; i < TEST_COUNT(six); i++) {
        test_ip out = test_between("2001:db8::1", "2001:db8::2");
        tunnelcap_i_ip ip;
        uint8_t *copy;
        test_payload(&frame, 16);
        test_push_ext(&frame, UDP, six[i].content, 6);
        test_push_ip(&frame, &out, FRAGMENT);
        ck_assert_status(parse(&ip, &copy), TUNNELCAP_OK);
        ck_assert_uint_eq(ip.fragment, six[i].fragment);
        ck_assert_uint_eq(ip.non_first, six[i].non_first);
        ck_assert_uint_eq(ip.protocol, UDP);
        free(copy);
    }
}
END_TEST

START_TEST(fragment_cannot_hide_behind_an_atomic_one)
{
    static const uint8_t first[6] = {0, 1}, atomic[6] = {0, 0};
    test_ip out = test_between("2001:db8::1", "2001:db8::2");
    tunnelcap_i_ip ip;
    uint8_t *copy;
    test_payload(&frame, 16);
    test_push_ext(&frame, UDP, atomic, 6);
    test_push_ext(&frame, FRAGMENT, first, 6);
    test_push_ip(&frame, &out, FRAGMENT);
    ck_assert_status(parse(&ip, &copy), TUNNELCAP_OK);
    ck_assert_uint_eq(ip.fragment, 1);
    free(copy);
}
END_TEST

START_TEST(other_versions_are_malformed)
{
    for (unsigned version = 0; version < 16; version++) {
        if (version == 4 || version == 6)
            continue;
        test_payload(&frame, 60);
        frame.bytes[0] = (uint8_t)(version << 4 | 5);
        expect(TUNNELCAP_E_MALFORMED, 0, 0);
    }
}
END_TEST

START_TEST(traffic_class_is_read_and_written_without_its_neighbours)
{
    for (unsigned tos = 0; tos < 256; tos++) {
        uint8_t header[4] = {0x6f, 0xff, 0xff, 0xff};
        tunnelcap_i_ipv6_set_class(header, (uint8_t)tos);
        ck_assert_uint_eq(test_load32(header), 0x600fffffu | tos << 20);
        ck_assert_uint_eq(tunnelcap_i_ipv6_class(header), tos);
    }
}
END_TEST

START_TEST(ip_is_found_in_ethernet_behind_tags)
{
    uint8_t bytes[40] = {0};
    static const uint16_t tags[] = {0x8100, 0x88a8};
    for (uint32_t count = 0; count <= 6; count++) {
        for (uint32_t i = 0; i < count; i++)
            test_store16(bytes + 12 + 4 * i, tags[i & 1]);
        uint32_t at = 12 + 4 * count;
        static const uint16_t types[] = {0x0800, 0x86dd, 0x0806};
        for (size_t t = 0; t < TEST_COUNT(types); t++) {
            test_store16(bytes + at, types[t]);
            for (uint32_t len = 0; len <= at + 2; len++) {
                uint8_t *copy = test_copy(bytes, len);
                bool found = t < 2 && count <= 4 && len == at + 2;
                ck_assert_uint_eq(tunnelcap_i_ethernet_l3(copy, len), found ? at + 2 : 0);
                free(copy);
            }
        }
    }
}
END_TEST

Suite *test_ip_suite(void)
{
    const TTest *tests[] = {
        ipv4_header_is_read,
        ipv6_header_is_read,
        ipv4_lengths_must_agree,
        every_cut_header_is_truncated,
        extension_headers_are_walked_to_the_transport_header,
        walk_ends_at_an_authentication_header,
        extension_headers_that_leave_the_packet_are_malformed,
        chain_of_extension_headers_is_bounded,
        fragments_are_told_from_whole_packets,
        fragment_cannot_hide_behind_an_atomic_one,
        other_versions_are_malformed,
        traffic_class_is_read_and_written_without_its_neighbours,
        ip_is_found_in_ethernet_behind_tags,
    };
    return test_suite("ip", tests, TEST_COUNT(tests));
}
