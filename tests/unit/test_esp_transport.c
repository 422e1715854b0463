/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Transport mode: the packet's own IP header goes on, and comes back. */
#include "esp_kit.h"

static test_frame packet;

static test_ip ipv4(void)
{
    return test_between("192.0.2.1", "192.0.2.2");
}

static test_ip ipv6(void)
{
    return test_between("2001:db8::1", "2001:db8::2");
}

/* Both ways; returns what stood on the wire, in memory of its own. */
static tunnelcap_pkt round_trip(test_pair *pair, uint8_t next_header)
{
    tunnelcap_pkt pkt = test_esp_pkt(&packet);
    tunnelcap_esp_rx rx;
    ck_assert_status(test_esp_encap(pair->out, pair->lane, &pkt, NULL), TUNNELCAP_OK);
    tunnelcap_pkt wire = test_pkt(pkt.buf + pkt.off, pkt.len, 0);
    ck_assert_status(test_esp_decap(pair->in, pair->lane, &pkt, NULL, &rx), TUNNELCAP_OK);
    ck_assert_uint_eq(pkt.len, packet.len);
    ck_assert_mem_eq(pkt.buf + pkt.off, packet.bytes, packet.len);
    ck_assert_uint_eq(rx.next_header, next_header);
    ck_assert_mem_eq(&rx.src, &rx.inner_src, sizeof(rx.src));
    test_pkt_free(&pkt);
    return wire;
}

/* The IP header of a packet on the wire: right in length, checksum and protocol. */
static void check_header(const tunnelcap_pkt *wire, bool udp)
{
    const uint8_t *p = wire->buf;
    uint32_t header = (p[0] & 15u) * 4;
    if (p[0] >> 4 == 6) {
        ck_assert_uint_eq(test_load16(p + 4) + 40u, wire->len);
        return;
    }
    ck_assert_uint_eq(test_load16(p + 2), wire->len);
    ck_assert_uint_eq(test_sum(0, p, header), 0xffff);
    ck_assert_uint_eq(p[9], udp ? 17 : 50);
}

START_TEST(every_transform_carries_both_families)
{
    for (uint32_t i = 0; i < 4 * test_suites_count; i++) {
        tunnelcap_transform t = test_transform_of(&test_suites[i / 4]);
        bool udp = i & 1;
        test_ip ip = i & 2 ? ipv6() : ipv4();
        test_pair pair;
        test_pair_open(&pair, &t, udp ? TUNNELCAP_ESP_UDP : TUNNELCAP_ESP_ESN,
                       TUNNELCAP_ESP_TRANSPORT);
        for (uint32_t len = 0; len < 40; len++) {
            test_udp_packet(&packet, &ip, len);
            uint32_t header = packet.len - len - 8;
            tunnelcap_pkt wire = round_trip(&pair, 17);
            check_header(&wire, udp);
            ck_assert_uint_eq(wire.len,
                              header + tunnelcap_esp_encap_len(pair.out, packet.len - header));
            ck_assert_uint_eq(test_load32(wire.buf + test_esp_at(wire.buf)), TEST_SPI);
            test_pkt_free(&wire);
        }
        test_pair_close(&pair);
    }
}
END_TEST

START_TEST(ipv4_options_stay_in_front)
{
    tunnelcap_transform gcm = test_gcm();
    test_ip ip = ipv4();
    static const uint8_t options[] = {0x94, 4, 0, 0, 1, 1, 1, 0};
    test_pair pair;
    test_pair_open(&pair, &gcm, 0, TUNNELCAP_ESP_TRANSPORT);
    test_payload(&packet, 33);
    test_push_udp(&packet, &ip, 1, 2);
    test_push_ip_options(&packet, &ip, 17, options, sizeof(options));
    tunnelcap_pkt wire = round_trip(&pair, 17);
    check_header(&wire, false);
    ck_assert_uint_eq(wire.buf[0], 0x47);
    ck_assert_mem_eq(wire.buf + 20, options, sizeof(options));
    ck_assert_uint_eq(test_load32(wire.buf + 28), TEST_SPI);
    test_pkt_free(&wire);
    test_pair_close(&pair);
}
END_TEST

/* An IPv6 packet with the headers named by `chain`, first one first. */
static void build_chain(const uint8_t *chain, uint32_t count)
{
    static const uint8_t content[14] = {1, 12}; /* PadN */
    static const uint8_t routing[14] = {4, 0};  /* no segments left */
    static const uint8_t atomic[6] = {0, 0, 0x12, 0x34, 0x56, 0x78};
    test_ip ip = ipv6();
    uint8_t next = 17;
    test_payload(&packet, 50);
    test_push_udp(&packet, &ip, 5, 6);
    for (uint32_t i = count; i-- > 0;) {
        if (chain[i] == 44) {
            uint8_t header[8] = {next};
            memcpy(header + 2, atomic, 6);
            test_push(&packet, header, 8);
        } else {
            test_push_ext(&packet, next, chain[i] == 43 ? routing : content, 14);
        }
        next = chain[i];
    }
    test_push_ip(&packet, &ip, next);
}

START_TEST(ipv6_headers_for_the_way_stay_in_front_and_those_for_the_end_go_inside)
{
    enum { MOST = 3 };
    static const struct {
        uint8_t chain[MOST];
        uint8_t count;
        uint8_t in_front; /* of them */
    } rows[] = {{{0}, 1, 1},      {{60}, 1, 0},        {{0, 60}, 2, 1},
                {{0, 43}, 2, 2},  {{0, 43, 60}, 3, 2}, {{0, 60, 43}, 3, 3},
                {{60, 43}, 2, 2}, {{43, 60}, 2, 1},    {{44}, 1, 0}};
    tunnelcap_transform gcm = test_gcm();
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        uint32_t n = rows[i].in_front;
        test_pair pair;
        test_pair_open(&pair, &gcm, 0, TUNNELCAP_ESP_TRANSPORT);
        build_chain(rows[i].chain, rows[i].count);
        tunnelcap_pkt wire = round_trip(&pair, n < rows[i].count ? rows[i].chain[n] : 17);
        check_header(&wire, false);
        ck_assert_uint_eq(test_load32(wire.buf + 40 + 16 * n), TEST_SPI);
        ck_assert_uint_eq(n == 0 ? wire.buf[6] : wire.buf[40 + 16 * (n - 1)], 50);
        test_pkt_free(&wire);
        test_pair_close(&pair);
    }
}
END_TEST

START_TEST(fragments_are_refused)
{
    tunnelcap_transform gcm = test_gcm();
    static const uint16_t pieces[] = {0x2000, 0x0001, 0x2001, 0x1fff};
    test_pair pair;
    test_pair_open(&pair, &gcm, 0, TUNNELCAP_ESP_TRANSPORT);
    for (size_t i = 0; i < 2 * TEST_COUNT(pieces); i++) {
        test_ip ip = i & 1 ? ipv6() : ipv4();
        uint16_t piece = pieces[i / 2];
        ip.frag = piece;
        test_payload(&packet, 64);
        if (i & 1) {
            uint8_t header[8] = {17};
            test_store16(header + 2, (piece & 0x1fffu) << 3 | piece >> 13);
            test_push(&packet, header, 8);
        }
        test_push_ip(&packet, &ip, i & 1 ? 44 : 17);
        tunnelcap_pkt pkt = test_esp_pkt(&packet);
        test_snapshot snap = test_snap(&pkt);
        ck_assert_status(test_esp_encap(pair.out, pair.lane, &pkt, NULL), TUNNELCAP_E_FRAGMENT);
        test_unchanged(&snap, &pkt);
        test_pkt_free(&pkt);
    }
    test_pair_close(&pair);
}
END_TEST

START_TEST(gre_goes_inside)
{
    tunnelcap_transform gcm = test_gcm();
    static const char *const ends[2][2] = {{"192.0.2.1", "192.0.2.2"},
                                           {"2001:db8::1", "2001:db8::2"}};
    for (size_t i = 0; i < 2; i++) {
        tunnelcap_gre_config near = test_gre_config(ends[i][0], ends[i][1], 0);
        tunnelcap_gre_config far = test_gre_config(ends[i][1], ends[i][0], 0);
        tunnelcap_gre *out = test_gre_new(&near), *in = test_gre_new(&far);
        test_ip ip = test_between("10.0.0.1", "10.0.0.2");
        test_pair pair;
        test_pair_open(&pair, &gcm, 0, TUNNELCAP_ESP_TRANSPORT);
        test_udp_packet(&packet, &ip, (i == 0 ? 1442u : 1422u) - 28);
        tunnelcap_pkt pkt = test_pkt_room(packet.bytes, packet.len, 128, 64);
        ck_assert_status(test_gre_encap(out, pair.lane, &pkt, NULL), TUNNELCAP_OK);
        ck_assert_status(test_esp_encap(pair.out, pair.lane, &pkt, NULL), TUNNELCAP_OK);
        ck_assert_uint_le(pkt.len, 1500);
        ck_assert_uint_gt(pkt.len, 1496);
        ck_assert_status(test_esp_decap(pair.in, pair.lane, &pkt, NULL, NULL), TUNNELCAP_OK);
        tunnelcap_gre_rx rx;
        ck_assert_status(test_gre_decap(in, &pkt, NULL, &rx), TUNNELCAP_OK);
        ck_assert_uint_eq(pkt.len, packet.len);
        ck_assert_mem_eq(pkt.buf + pkt.off, packet.bytes, packet.len);
        test_pkt_free(&pkt);
        tunnelcap_gre_free(out);
        tunnelcap_gre_free(in);
        test_pair_close(&pair);
    }
}
END_TEST

/* Replace the source on the way, as a NAT does, and the UDP port with it. */
static void translate(tunnelcap_pkt *wire)
{
    uint8_t *p = wire->buf + wire->off;
    p[15] = 0x63;
    test_store16(p + 20, 30000);
    test_store16(p + 10, 0);
    test_store16(p + 10, (uint16_t)~test_sum(0, p, 20));
}

START_TEST(transport_checksums_are_mended_behind_nat)
{
    tunnelcap_transform gcm = test_gcm();
    for (uint32_t kind = 0; kind < 4; kind++) {
        test_ip ip = ipv4(), seen = test_between("192.0.2.99", "192.0.2.2");
        uint8_t protocol = kind == 0 ? 6 : kind == 3 ? 1 : 17;
        uint32_t at = 20 + (kind == 0 ? 16u : 6u);
        test_pair pair;
        tunnelcap_esp_rx rx;
        test_pair_open(&pair, &gcm, TUNNELCAP_ESP_UDP, TUNNELCAP_ESP_TRANSPORT);
        test_payload(&packet, 31);
        if (kind == 0)
            test_push_tcp(&packet, &ip, TEST_TCP_ACK, NULL, 0);
        else if (kind == 3)
            test_push_icmp(&packet, &ip, 8, 0);
        else
            test_push_udp(&packet, &ip, 5000, 53);
        if (kind == 2)
            test_store16(packet.bytes + 6, 0); /* no checksum: none is made */
        test_push_ip(&packet, &ip, protocol);
        tunnelcap_pkt pkt = test_sealed(&pair, &packet);
        translate(&pkt);
        ck_assert_status(test_esp_decap(pair.in, pair.lane, &pkt, NULL, &rx), TUNNELCAP_OK);
        const uint8_t *p = pkt.buf + pkt.off;
        ck_assert_uint_eq(pkt.len, packet.len);
        ck_assert_uint_eq(rx.src_port, 30000);
        ck_assert_mem_eq(&rx.src, &seen.src, sizeof(rx.src));
        ck_assert_uint_eq(test_sum(0, p, 20), 0xffff);
        if (kind < 2)
            ck_assert_uint_eq(
                test_sum(test_pseudo(&seen, protocol, pkt.len - 20), p + 20, pkt.len - 20), 0xffff);
        else if (kind == 2)
            ck_assert_uint_eq(test_load16(p + at), 0);
        else
            ck_assert_mem_eq(p + 20, packet.bytes + 20, pkt.len - 20);
        test_pkt_free(&pkt);
        test_pair_close(&pair);
    }
}
END_TEST

START_TEST(a_socket_that_strips_the_ip_header_is_no_place_for_transport_mode)
{
    tunnelcap_transform gcm = test_gcm();
    test_ip ip = ipv4();
    tunnelcap_meta meta = {.at = TUNNELCAP_AT_UDP_PAYLOAD,
                           .src = test_addr("192.0.2.1"),
                           .dst = test_addr("192.0.2.2"),
                           .src_port = 4500,
                           .dst_port = 4500};
    test_pair pair;
    test_pair_open(&pair, &gcm, TUNNELCAP_ESP_UDP, TUNNELCAP_ESP_TRANSPORT);
    test_udp_packet(&packet, &ip, 20);
    tunnelcap_pkt pkt = test_sealed(&pair, &packet);
    pkt.off += 28;
    pkt.len -= 28;
    ck_assert_status(test_esp_decap(pair.in, pair.lane, &pkt, &meta, NULL), TUNNELCAP_E_INVALID);
    test_pkt_free(&pkt);
    test_pair_close(&pair);
}
END_TEST

START_TEST(what_grows_beyond_ip_is_refused)
{
    tunnelcap_transform gcm = test_gcm();
    test_pair pair;
    test_pair_open(&pair, &gcm, 0, TUNNELCAP_ESP_TRANSPORT);
    for (uint32_t i = 0; i < 2; i++) {
        test_ip ip = i ? ipv6() : ipv4();
        test_udp_packet(&packet, &ip, 65535 - 8 - (i ? 0 : 20));
        tunnelcap_pkt pkt = test_pkt_room(packet.bytes, packet.len, 80, 64);
        test_snapshot snap = test_snap(&pkt);
        ck_assert_status(test_esp_encap(pair.out, pair.lane, &pkt, NULL), TUNNELCAP_E_TOO_BIG);
        test_unchanged(&snap, &pkt);
        test_pkt_free(&pkt);
    }
    test_pair_close(&pair);
}
END_TEST

Suite *test_esp_transport_suite(void)
{
    const TTest *tests[] = {
        every_transform_carries_both_families,
        ipv4_options_stay_in_front,
        ipv6_headers_for_the_way_stay_in_front_and_those_for_the_end_go_inside,
        fragments_are_refused,
        gre_goes_inside,
        transport_checksums_are_mended_behind_nat,
        a_socket_that_strips_the_ip_header_is_no_place_for_transport_mode,
        what_grows_beyond_ip_is_refused,
    };
    return test_suite("esp_transport", tests, TEST_COUNT(tests));
}
