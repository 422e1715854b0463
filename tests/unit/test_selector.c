/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Traffic selectors: RFC 4301 4.4.1.1 and 5.2, alone and as those of SAs. */
#include "esp_kit.h"

enum { ANY_FIRST = 0, ANY_LAST = 65535, OPAQUE_FIRST = 65535, OPAQUE_LAST = 0 };

static test_frame frame;

/* From and to ranges of addresses, of any protocol and port. */
static tunnelcap_selector between(const char *src_first, const char *src_last,
                                  const char *dst_first, const char *dst_last)
{
    tunnelcap_selector s;
    tunnelcap_addr addr = test_addr(src_first);
    test_ok(tunnelcap_selector_init(&s, addr.family));
    memcpy(s.src_first, addr.bytes, 16);
    addr = test_addr(src_last);
    memcpy(s.src_last, addr.bytes, 16);
    addr = test_addr(dst_first);
    memcpy(s.dst_first, addr.bytes, 16);
    addr = test_addr(dst_last);
    memcpy(s.dst_last, addr.bytes, 16);
    return s;
}

static int32_t match(const tunnelcap_selector *s, uint32_t count)
{
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 0);
    test_snapshot snap = test_snap(&pkt);
    int32_t status = tunnelcap_selector_match(s, count, &pkt);
    test_unchanged(&snap, &pkt);
    test_pkt_free(&pkt);
    return status;
}

/* A packet of a protocol, with 8 bytes behind the IP header that begin with two numbers. */
static void packet(const char *src, const char *dst, uint8_t protocol, uint16_t first,
                   uint16_t second, uint16_t frag)
{
    test_ip ip = test_between(src, dst);
    uint8_t head[8] = {(uint8_t)(first >> 8), (uint8_t)first, (uint8_t)(second >> 8),
                       (uint8_t)second};
    ip.frag = frag;
    frame.len = 0;
    test_push(&frame, head, sizeof(head));
    test_push_ip(&frame, &ip, protocol);
}

START_TEST(default_selector_matches_its_family)
{
    tunnelcap_selector s[2];
    test_ok(tunnelcap_selector_init(&s[0], TUNNELCAP_IPV4));
    test_ok(tunnelcap_selector_init(&s[1], TUNNELCAP_IPV6));
    test_ok(tunnelcap_selector_check(s, 2));
    for (uint32_t protocol = 0; protocol < 256; protocol++) {
        packet("255.255.255.255", "0.0.0.0", (uint8_t)protocol, 1, 2, 0);
        test_ok(match(&s[0], 1));
        ck_assert_status(match(&s[1], 1), TUNNELCAP_E_SELECTOR);
        test_ok(match(s, 2));
    }
    packet("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::", 17, 1, 2, 0);
    test_ok(match(&s[1], 1));
    ck_assert_status(match(&s[0], 1), TUNNELCAP_E_SELECTOR);
    packet("10.0.0.1", "10.0.0.2", 17, 1, 2, 0);
    ck_assert_status(match(s, 0), TUNNELCAP_E_SELECTOR);
}
END_TEST

START_TEST(ends_of_address_ranges_belong_to_them)
{
    tunnelcap_selector four = between("10.0.0.10", "10.0.1.5", "192.0.2.255", "192.0.2.255");
    tunnelcap_selector six = between("fd00::ff", "fd00::1:0", "2001:db8::", "2001:db8::ffff");
    static const struct {
        const char *src, *dst;
        bool good;
    } rows[] = {
        {"10.0.0.9", "192.0.2.255", false},       {"10.0.0.10", "192.0.2.255", true},
        {"10.0.0.255", "192.0.2.255", true},      {"10.0.1.0", "192.0.2.255", true},
        {"10.0.1.5", "192.0.2.255", true},        {"10.0.1.6", "192.0.2.255", false},
        {"10.0.1.5", "192.0.2.254", false},       {"10.0.1.5", "192.0.3.0", false},
        {"192.0.2.255", "10.0.1.5", false},       {"fd00::fe", "2001:db8::1", false},
        {"fd00::ff", "2001:db8::1", true},        {"fd00::1:0", "2001:db8::ffff", true},
        {"fd00::1:1", "2001:db8::1", false},      {"fd00::100", "2001:db8::1:0", false},
        {"fd00::100", "2001:db7:ffff::1", false},
    };
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        packet(rows[i].src, rows[i].dst, 17, 1, 2, 0);
        ck_assert_msg(match(strchr(rows[i].src, ':') != NULL ? &six : &four, 1) ==
                          (rows[i].good ? TUNNELCAP_OK : TUNNELCAP_E_SELECTOR),
                      "%s to %s", rows[i].src, rows[i].dst);
    }
}
END_TEST

/* RFC 4301 4.4.1.1: which ports there are, and what ANY, OPAQUE and ranges make of them. */
static const struct port_row {
    uint8_t protocol; /* of the packet, whose ports are 1000 and 2000 */
    uint16_t frag;
    uint8_t wanted; /* protocol of the selector */
    uint16_t src_first, src_last, dst_first, dst_last;
    bool good;
} port_rows[] = {
    /* two ports */
    {6, 0, 6, 1000, 1000, 2000, 2000, true},
    {6, 0, 6, 1000, 1000, 0, 65535, true},
    {6, 0, 6, 0, 65535, 2000, 2000, true},
    {6, 0, 6, 999, 1001, 1999, 2001, true},
    {6, 0, 6, 1001, 1999, 0, 65535, false},
    {6, 0, 6, 0, 999, 0, 65535, false},
    {6, 0, 6, 0, 65535, 2001, 65535, false},
    {6, 0, 6, 2000, 2000, 1000, 1000, false},
    {6, 0, 6, 65535, 0, 0, 65535, false},
    {6, 0, 6, 0, 65535, 65535, 0, false},
    {6, 0, 17, 0, 65535, 0, 65535, false},
    {6, 0, 0, 0, 65535, 0, 65535, true},
    {17, 0, 17, 1000, 1000, 2000, 2000, true},
    {33, 0, 33, 1000, 1000, 2000, 2000, true},
    {132, 0, 132, 1000, 1000, 2000, 2000, true},
    {136, 0, 136, 1000, 1000, 2001, 2001, false},
    /* fragments but the first: neither */
    {6, 1, 6, 1000, 1000, 2000, 2000, false},
    {6, 1, 6, 1000, 1000, 0, 65535, false},
    {6, 1, 6, 0, 65535, 0, 65535, true},
    {6, 1, 6, 65535, 0, 65535, 0, true},
    {6, 1, 6, 65535, 0, 0, 65535, true},
    {6, 1, 0, 65535, 0, 65535, 0, true},
    {6, 1, 17, 0, 65535, 0, 65535, false},
    {6, 1, 6, 0, 65534, 0, 65535, false},
    {6, 0x2000, 6, 1000, 1000, 2000, 2000, true}, /* the first one has them */
    {1, 5, 1, 0, 65535, 0, 65535, true},
    {1, 5, 1, 1000, 1000, 0, 65535, false},
    /* one, which is type and code, of the sender's side */
    {1, 0, 1, 1000, 1000, 0, 65535, true},
    {1, 0, 1, 1000, 1000, 65535, 0, true},
    {1, 0, 1, 1000, 1000, 7, 7, true},
    {1, 0, 1, 768, 1023, 0, 65535, true}, /* 3 (unreachable), any code */
    {1, 0, 1, 1001, 1023, 0, 65535, false},
    {1, 0, 1, 65535, 0, 1000, 1000, false},
    {58, 0, 58, 1000, 1000, 0, 65535, true},
    {135, 0, 135, 0x0700, 0x0700, 0, 65535, true}, /* 2000 is 07d0: its third byte */
    {135, 0, 135, 1000, 1000, 0, 65535, false},
    /* none */
    {47, 0, 47, 0, 65535, 0, 65535, true},
    {47, 0, 47, 65535, 0, 65535, 0, true},
    {50, 0, 50, 65535, 0, 0, 65535, true},
    {47, 0, 0, 65535, 0, 0, 65535, true},
};

START_TEST(ports_match_as_rfc_4301_says)
{
    for (size_t i = 0; i < TEST_COUNT(port_rows); i++) {
        const struct port_row *row = &port_rows[i];
        tunnelcap_selector s;
        test_ok(tunnelcap_selector_init(&s, TUNNELCAP_IPV4));
        s.protocol = row->wanted;
        s.src_port_first = row->src_first;
        s.src_port_last = row->src_last;
        s.dst_port_first = row->dst_first;
        s.dst_port_last = row->dst_last;
        test_ok(tunnelcap_selector_check(&s, 1));
        packet("10.0.0.1", "10.0.0.2", row->protocol, 1000, 2000, row->frag);
        ck_assert_msg(match(&s, 1) == (row->good ? TUNNELCAP_OK : TUNNELCAP_E_SELECTOR), "row %zu",
                      i);
    }
}
END_TEST

START_TEST(packet_without_room_for_its_ports_matches_any_port_alone)
{
    tunnelcap_selector any, opaque, some;
    test_ip ip = test_between("10.0.0.1", "10.0.0.2");
    static const uint8_t three[3] = {0, 80, 0};
    test_ok(tunnelcap_selector_init(&any, TUNNELCAP_IPV4));
    opaque = some = any;
    opaque.src_port_first = opaque.dst_port_first = 65535;
    opaque.src_port_last = opaque.dst_port_last = 0;
    some.protocol = 17;
    some.src_port_first = some.src_port_last = 80;
    frame.len = 0;
    test_push(&frame, three, sizeof(three));
    test_push_ip(&frame, &ip, 17);
    test_ok(match(&any, 1));
    ck_assert_status(match(&opaque, 1), TUNNELCAP_E_SELECTOR);
    ck_assert_status(match(&some, 1), TUNNELCAP_E_SELECTOR);
    /* Padding behind the packet is none of it. */
    frame.len = 23;
    memcpy(frame.bytes + 23, three, 3);
    frame.len = 26;
    ck_assert_status(match(&some, 1), TUNNELCAP_E_SELECTOR);
}
END_TEST

START_TEST(ipv6_extension_headers_are_skipped)
{
    tunnelcap_selector s;
    test_ip ip = test_between("fd00::1", "fd00::2");
    static const uint8_t options[6] = {1, 4, 0, 0, 0, 0}, later[6] = {0, 8, 0, 0, 0, 9},
                         ports[8] = {3, 232, 7, 208};
    test_ok(tunnelcap_selector_init(&s, TUNNELCAP_IPV6));
    s.protocol = 6;
    s.src_port_first = s.src_port_last = 1000;
    frame.len = 0;
    test_push(&frame, ports, sizeof(ports));
    test_push_ext(&frame, 6, options, sizeof(options));
    test_push_ip(&frame, &ip, 60);
    test_ok(match(&s, 1));
    /* A later fragment: its protocol may be seen, its ports not. */
    frame.len = 0;
    test_push(&frame, ports, sizeof(ports));
    test_push_ext(&frame, 6, later, sizeof(later));
    test_push_ip(&frame, &ip, 44);
    ck_assert_status(match(&s, 1), TUNNELCAP_E_SELECTOR);
    s.src_port_first = 65535;
    s.src_port_last = 0;
    test_ok(match(&s, 1));
    /* One whose protocol hides behind options that only the first one has. */
    frame.len = 0;
    test_push(&frame, ports, sizeof(ports));
    test_push_ext(&frame, 60, later, sizeof(later));
    test_push_ip(&frame, &ip, 44);
    ck_assert_status(match(&s, 1), TUNNELCAP_E_SELECTOR);
    s.protocol = 0;
    test_ok(match(&s, 1));
}
END_TEST

START_TEST(any_one_of_several_selectors_will_do)
{
    tunnelcap_selector s[3] = {between("10.0.0.0", "10.0.0.255", "10.9.0.0", "10.9.255.255"),
                               between("fd00::", "fd00::ffff", "fd09::", "fd09::ffff"),
                               between("10.1.0.0", "10.1.0.255", "10.9.0.0", "10.9.255.255")};
    packet("10.1.0.7", "10.9.0.7", 17, 1, 2, 0);
    test_ok(match(s, 3));
    ck_assert_status(match(s, 2), TUNNELCAP_E_SELECTOR);
    packet("fd00::7", "fd09::7", 17, 1, 2, 0);
    test_ok(match(s, 3));
    /* Not the source of one with the destination of another. */
    s[2] = between("10.1.0.0", "10.1.0.255", "10.8.0.0", "10.8.255.255");
    packet("10.1.0.7", "10.9.0.7", 17, 1, 2, 0);
    ck_assert_status(match(s, 3), TUNNELCAP_E_SELECTOR);
}
END_TEST

START_TEST(selectors_that_mean_nothing_are_refused)
{
    tunnelcap_selector good, s;
    test_ok(tunnelcap_selector_init(&good, TUNNELCAP_IPV4));
    ck_assert_status(tunnelcap_selector_init(NULL, TUNNELCAP_IPV4), TUNNELCAP_E_INVALID);
    s = good;
    ck_assert_status(tunnelcap_selector_init(&s, 0), TUNNELCAP_E_ADDRESS);
    ck_assert_mem_eq(&s, &good, sizeof(s));
    ck_assert_status(tunnelcap_selector_check(NULL, 1), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_selector_check(&good, 0), TUNNELCAP_E_INVALID);
    s.family = 5;
    ck_assert_status(tunnelcap_selector_check(&s, 1), TUNNELCAP_E_ADDRESS);
    s = good;
    s.src_last[12] = 1;
    ck_assert_status(tunnelcap_selector_check(&s, 1), TUNNELCAP_E_ADDRESS);
    s = between("10.0.0.2", "10.0.0.1", "10.0.0.1", "10.0.0.1");
    ck_assert_status(tunnelcap_selector_check(&s, 1), TUNNELCAP_E_ADDRESS);
    s = between("fd00::1", "fd00::1", "fd00::2", "fd00::1");
    ck_assert_status(tunnelcap_selector_check(&s, 1), TUNNELCAP_E_ADDRESS);
    s = good;
    s.protocol = 6;
    s.dst_port_first = 2;
    s.dst_port_last = 1;
    ck_assert_status(tunnelcap_selector_check(&s, 1), TUNNELCAP_E_RANGE);
    s.dst_port_last = 2;
    test_ok(tunnelcap_selector_check(&s, 1));
    s.protocol = 47;
    ck_assert_status(tunnelcap_selector_check(&s, 1), TUNNELCAP_E_RANGE);
    s.protocol = 0;
    ck_assert_status(tunnelcap_selector_check(&s, 1), TUNNELCAP_E_RANGE);
    s = good;
    s.reserved[5] = 1;
    ck_assert_status(tunnelcap_selector_check(&s, 1), TUNNELCAP_E_RESERVED);
    tunnelcap_selector two[2] = {good, s};
    ck_assert_status(tunnelcap_selector_check(two, 2), TUNNELCAP_E_RESERVED);
    test_ok(tunnelcap_selector_check(two, 1));
}
END_TEST

static int32_t feed(void *arg, tunnelcap_pkt *pkt)
{
    return tunnelcap_selector_match(arg, 1, pkt);
}

START_TEST(cut_packets_match_nothing)
{
    tunnelcap_selector s;
    tunnelcap_pkt pkt = {NULL, 0, 0, 0, 0, NULL};
    test_ok(tunnelcap_selector_init(&s, TUNNELCAP_IPV4));
    packet("10.0.0.1", "10.0.0.2", 6, 1, 2, 0);
    test_truncation(frame.bytes, frame.len, TUNNELCAP_E_TRUNCATED, feed, &s);
    test_ok(tunnelcap_selector_init(&s, TUNNELCAP_IPV6));
    packet("fd00::1", "fd00::2", 6, 1, 2, 0);
    test_truncation(frame.bytes, frame.len, TUNNELCAP_E_TRUNCATED, feed, &s);
    frame.bytes[0] = 0x50;
    ck_assert_status(match(&s, 1), TUNNELCAP_E_MALFORMED);
    ck_assert_status(tunnelcap_selector_match(&s, 1, &pkt), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_selector_match(&s, 1, NULL), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_selector_match(NULL, 1, &pkt), TUNNELCAP_E_INVALID);
}
END_TEST

/* ---- of SAs ---- */

/* 10.1.0.0/16 to 10.2.0.0/16, UDP to port 4000 to 5000. */
static tunnelcap_selector udp_only(void)
{
    tunnelcap_selector s = between("10.1.0.0", "10.1.255.255", "10.2.0.0", "10.2.255.255");
    s.protocol = 17;
    s.dst_port_first = 4000;
    s.dst_port_last = 5000;
    return s;
}

static void udp_to(const char *dst, uint16_t port)
{
    test_ip ip = test_between("10.1.0.1", dst);
    test_payload(&frame, 50);
    test_push_udp(&frame, &ip, 999, port);
    test_push_ip(&frame, &ip, 17);
}

START_TEST(sa_lets_through_only_what_its_selectors_permit)
{
    static const uint8_t modes[] = {TUNNELCAP_ESP_TUNNEL, TUNNELCAP_ESP_TRANSPORT};
    static const struct {
        const char *dst;
        uint16_t port;
        bool good;
    } rows[] = {{"10.2.0.1", 4000, true},  {"10.2.0.1", 5000, true},  {"10.2.0.1", 3999, false},
                {"10.2.0.1", 5001, false}, {"10.3.0.1", 4500, false}, {"10.2.255.255", 4321, true}};
    for (size_t mode = 0; mode < TEST_COUNT(modes); mode++) {
        for (uint32_t cbc = 0; cbc <= 1; cbc++) {
            tunnelcap_transform transform = cbc ? test_cbc_sha256() : test_gcm();
            tunnelcap_selector s = udp_only();
            test_pair pair;
            test_pair_open(&pair, &transform, 0, modes[mode]);
            test_ok(tunnelcap_esp_set_selectors(pair.in, &s, 1));
            for (size_t i = 0; i < TEST_COUNT(rows); i++) {
                udp_to(rows[i].dst, rows[i].port);
                tunnelcap_pkt pkt = test_sealed(&pair, &frame);
                tunnelcap_pkt before = pkt;
                int32_t status = test_esp_decap(pair.in, pair.lane, &pkt, NULL, NULL);
                ck_assert_status(status, rows[i].good ? TUNNELCAP_OK : TUNNELCAP_E_SELECTOR);
                if (rows[i].good) {
                    ck_assert_uint_eq(pkt.len, frame.len);
                } else {
                    ck_assert_uint_eq(pkt.off, before.off);
                    ck_assert_uint_eq(pkt.len, before.len);
                    /* Nothing of what was decrypted is left. */
                    for (uint32_t at = 0; at + 16 <= pkt.len; at++)
                        ck_assert_int_ne(memcmp(pkt.buf + at, frame.bytes + frame.len - 16, 16), 0);
                }
                /* It counts as received: the same packet again is a replay. */
                test_pkt_free(&pkt);
            }
            ck_assert_uint_eq(test_esp_state(pair.in).packets, TEST_COUNT(rows));
            test_pair_close(&pair);
        }
    }
}
END_TEST

START_TEST(outbound_sa_with_selectors_takes_no_other_packets)
{
    static const uint8_t modes[] = {TUNNELCAP_ESP_TUNNEL, TUNNELCAP_ESP_TRANSPORT};
    for (size_t mode = 0; mode < TEST_COUNT(modes); mode++) {
        tunnelcap_transform transform = test_gcm();
        tunnelcap_selector s = udp_only();
        test_pair pair;
        test_pair_open(&pair, &transform, 0, modes[mode]);
        test_ok(tunnelcap_esp_set_selectors(pair.out, &s, 1));
        udp_to("10.2.0.1", 4000);
        tunnelcap_pkt pkt = test_esp_pkt(&frame);
        test_ok(test_esp_encap(pair.out, pair.lane, &pkt, NULL));
        test_pkt_free(&pkt);
        udp_to("10.2.0.1", 3999);
        pkt = test_esp_pkt(&frame);
        test_snapshot snap = test_snap(&pkt);
        ck_assert_status(test_esp_encap(pair.out, pair.lane, &pkt, NULL), TUNNELCAP_E_SELECTOR);
        pkt.status = 0;
        test_unchanged(&snap, &pkt);
        ck_assert_uint_eq(test_esp_state(pair.out).seq, 2); /* no number was spent on it */
        test_pkt_free(&pkt);
        /* Dummies are nobody's traffic. */
        if (modes[mode] == TUNNELCAP_ESP_TUNNEL) {
            pkt = test_esp_pkt(&frame);
            ck_assert_uint_eq(tunnelcap_esp_encap_dummy(pair.out, pair.lane, &pkt, 1), 1);
            test_pkt_free(&pkt);
        }
        test_ok(tunnelcap_esp_set_selectors(pair.out, NULL, 0)); /* none: all */
        pkt = test_esp_pkt(&frame);
        test_ok(test_esp_encap(pair.out, pair.lane, &pkt, NULL));
        test_pkt_free(&pkt);
        test_pair_close(&pair);
    }
}
END_TEST

START_TEST(fragments_inside_a_tunnel_match_any_and_opaque_ports)
{
    tunnelcap_transform transform = test_gcm();
    tunnelcap_selector s[2] = {udp_only(), udp_only()};
    test_pair pair;
    test_pair_open(&pair, &transform, 0, TUNNELCAP_ESP_TUNNEL);
    s[1].dst_port_first = 65535;
    s[1].dst_port_last = 0;
    for (uint32_t count = 1; count <= 2; count++) {
        test_ok(tunnelcap_esp_set_selectors(pair.in, s, count));
        packet("10.1.0.1", "10.2.0.1", 17, 1, 2, 7);
        tunnelcap_pkt pkt = test_sealed(&pair, &frame);
        ck_assert_status(test_esp_decap(pair.in, pair.lane, &pkt, NULL, NULL),
                         count == 1 ? TUNNELCAP_E_SELECTOR : TUNNELCAP_OK);
        test_pkt_free(&pkt);
    }
    test_pair_close(&pair);
}
END_TEST

START_TEST(sa_refuses_selectors_that_mean_nothing)
{
    tunnelcap_transform transform = test_gcm();
    tunnelcap_selector good = udp_only(), bad = good;
    test_pair pair;
    bad.family = 0;
    test_pair_open(&pair, &transform, 0, TUNNELCAP_ESP_TUNNEL);
    test_ok(tunnelcap_esp_set_selectors(pair.in, &good, 1));
    ck_assert_status(tunnelcap_esp_set_selectors(NULL, &good, 1), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_esp_set_selectors(pair.in, NULL, 1), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_esp_set_selectors(pair.in, &good, 0), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_esp_set_selectors(pair.in, &bad, 1), TUNNELCAP_E_ADDRESS);
    udp_to("10.3.0.1", 4000); /* the good ones are still in force */
    tunnelcap_pkt pkt = test_sealed(&pair, &frame);
    ck_assert_status(test_arrives(&pair, &pkt), TUNNELCAP_E_SELECTOR);
    test_pkt_free(&pkt);
    test_pair_close(&pair);
}
END_TEST

Suite *test_selector_suite(void)
{
    const TTest *tests[] = {
        default_selector_matches_its_family,
        ends_of_address_ranges_belong_to_them,
        ports_match_as_rfc_4301_says,
        packet_without_room_for_its_ports_matches_any_port_alone,
        ipv6_extension_headers_are_skipped,
        any_one_of_several_selectors_will_do,
        selectors_that_mean_nothing_are_refused,
        cut_packets_match_nothing,
        sa_lets_through_only_what_its_selectors_permit,
        outbound_sa_with_selectors_takes_no_other_packets,
        fragments_inside_a_tunnel_match_any_and_opaque_ports,
        sa_refuses_selectors_that_mean_nothing,
    };
    return test_suite("selector", tests, TEST_COUNT(tests));
}
