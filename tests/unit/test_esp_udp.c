/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* ESP in UDP, peers that move, and what the outer header does to the inner one. */
#include "esp_kit.h"

static test_frame inner;

static void make_inner(uint8_t tos)
{
    test_ip ip = test_between("10.0.0.1", "10.0.0.2");
    ip.tos = tos;
    test_udp_packet(&inner, &ip, 30);
}

static void set_checksum(uint8_t *ip)
{
    test_store16(ip + 10, 0);
    test_store16(ip + 10, (uint16_t)~test_sum(0, ip, 20));
}

START_TEST(bare_and_udp_are_both_accepted_unless_strict)
{
    tunnelcap_transform gcm = test_gcm();
    for (uint32_t i = 0; i < 8; i++) {
        tunnelcap_esp_config out = test_esp_config(TUNNELCAP_ESP_OUT, "192.0.2.1", "192.0.2.2");
        tunnelcap_esp_config in = test_esp_config(TUNNELCAP_ESP_IN, "192.0.2.1", "192.0.2.2");
        test_pair pair;
        out.flags = i & 1 ? TUNNELCAP_ESP_UDP : 0;
        in.flags = (i & 2 ? TUNNELCAP_ESP_UDP : 0u) | (i & 4 ? TUNNELCAP_ESP_UDP_STRICT : 0u);
        test_pair_make(&pair, &gcm, &out, &in);
        make_inner(0);
        tunnelcap_pkt pkt = test_sealed(&pair, &inner);
        bool same = !(i & 1) == !(i & 2);
        ck_assert_status(test_arrives(&pair, &pkt),
                         i & 4 && !same ? TUNNELCAP_E_PROTOCOL : TUNNELCAP_OK);
        test_pkt_free(&pkt);
        test_pair_close(&pair);
    }
}
END_TEST

START_TEST(ports_are_sent_as_told_and_the_destination_is_checked)
{
    tunnelcap_transform gcm = test_gcm();
    tunnelcap_esp_config out = test_esp_config(TUNNELCAP_ESP_OUT, "192.0.2.1", "192.0.2.2");
    tunnelcap_esp_config in = test_esp_config(TUNNELCAP_ESP_IN, "192.0.2.1", "192.0.2.2");
    tunnelcap_esp_rx rx;
    test_pair pair;
    out.flags = in.flags = TUNNELCAP_ESP_UDP;
    out.udp_src_port = 1234;
    out.udp_dst_port = in.udp_dst_port = 5678;
    test_pair_make(&pair, &gcm, &out, &in);
    make_inner(0);
    tunnelcap_pkt pkt = test_sealed(&pair, &inner);
    ck_assert_uint_eq(test_load16(pkt.buf + 20), 1234);
    ck_assert_uint_eq(test_load16(pkt.buf + 22), 5678);
    test_store16(pkt.buf + 22, 4500);
    ck_assert_status(test_arrives(&pair, &pkt), TUNNELCAP_E_NO_TUNNEL);
    test_store16(pkt.buf + 22, 5678);
    ck_assert_status(test_esp_decap(pair.in, pair.lane, &pkt, NULL, &rx), TUNNELCAP_OK);
    ck_assert_uint_eq(rx.src_port, 1234);
    ck_assert_uint_eq(rx.dst_port, 5678);
    test_pkt_free(&pkt);
    test_pair_close(&pair);
}
END_TEST

START_TEST(udp_checksums_are_verified_where_they_are_there)
{
    tunnelcap_transform gcm = test_gcm();
    static const char *const ends[2][2] = {{"192.0.2.1", "192.0.2.2"},
                                           {"2001:db8::1", "2001:db8::2"}};
    for (size_t six = 0; six < 2; six++) {
        tunnelcap_esp_config out = test_esp_config(TUNNELCAP_ESP_OUT, ends[six][0], ends[six][1]);
        tunnelcap_esp_config in = test_esp_config(TUNNELCAP_ESP_IN, ends[six][0], ends[six][1]);
        test_ip ip = test_between(ends[six][0], ends[six][1]);
        uint32_t at = six ? 40 : 20;
        tunnelcap_meta valid = {.flags = TUNNELCAP_META_CSUM_VALID};
        test_pair pair;
        out.flags = in.flags = TUNNELCAP_ESP_UDP;
        test_pair_make(&pair, &gcm, &out, &in);
        make_inner(0);
        for (uint32_t kind = 0; kind < 4; kind++) {
            tunnelcap_pkt pkt = test_sealed(&pair, &inner);
            uint8_t *udp = pkt.buf + at;
            uint32_t len = pkt.len - at;
            test_store16(udp + 6, 0);
            if (kind >= 1)
                test_store16(udp + 6, (uint16_t)~test_sum(test_pseudo(&ip, 17, len), udp, len));
            if (kind >= 2)
                udp[6] = (uint8_t)~udp[6];
            ck_assert_status(
                test_esp_decap(pair.in, pair.lane, &pkt, kind == 3 ? &valid : NULL, NULL),
                kind == 2 ? TUNNELCAP_E_CHECKSUM : TUNNELCAP_OK);
            test_pkt_free(&pkt);
        }
        test_pair_close(&pair);
    }
}
END_TEST

START_TEST(ike_and_keepalives_are_told_apart)
{
    static const struct {
        uint8_t payload[12];
        uint32_t len;
        int32_t want;
    } rows[] = {
        {{0xff}, 1, TUNNELCAP_E_NAT_KEEPALIVE},
        {{0xfe}, 1, TUNNELCAP_E_TRUNCATED},
        {{0}, 0, TUNNELCAP_E_TRUNCATED},
        {{0xff, 0xff}, 2, TUNNELCAP_E_TRUNCATED},
        {{0, 0, 0}, 3, TUNNELCAP_E_TRUNCATED},
        {{0, 0, 0, 0}, 4, TUNNELCAP_E_IKE},
        {{0, 0, 0, 0, 9}, 12, TUNNELCAP_E_IKE},
        {{0, 0, 0, 1}, 4, TUNNELCAP_E_TRUNCATED},
        {{0, 0, 1, 1}, 12, TUNNELCAP_E_NO_TUNNEL},
        {{0x12, 0x34, 0x56, 0x78}, 12, TUNNELCAP_E_TRUNCATED},
    };
    tunnelcap_transform gcm = test_gcm();
    test_ip ip = test_between("192.0.2.1", "192.0.2.2");
    test_pair pair;
    test_pair_open(&pair, &gcm, TUNNELCAP_ESP_UDP, TUNNELCAP_ESP_TUNNEL);
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        inner.len = 0;
        test_push(&inner, rows[i].payload, rows[i].len);
        test_push_udp(&inner, &ip, 4500, 4500);
        test_push_ip(&inner, &ip, 17);
        tunnelcap_pkt pkt = test_pkt(inner.bytes, inner.len, 0);
        test_snapshot snap = test_snap(&pkt);
        int32_t got = test_esp_decap(pair.in, pair.lane, &pkt, NULL, NULL);
        ck_assert_msg(got == rows[i].want, "row %zu: %s", i, tunnelcap_status_name(got));
        test_unchanged(&snap, &pkt);
        test_pkt_free(&pkt);
    }
    test_pair_close(&pair);
}
END_TEST

START_TEST(keepalives_are_built_and_recognised)
{
    static const char *const ends[2][2] = {{"192.0.2.1", "192.0.2.2"},
                                           {"2001:db8::1", "2001:db8::2"}};
    tunnelcap_transform gcm = test_gcm();
    for (size_t six = 0; six < 2; six++) {
        tunnelcap_esp_config out = test_esp_config(TUNNELCAP_ESP_OUT, ends[six][0], ends[six][1]);
        tunnelcap_esp_config in = test_esp_config(TUNNELCAP_ESP_IN, ends[six][0], ends[six][1]);
        uint32_t len = six ? 49 : 29;
        test_pair pair;
        out.flags = in.flags = TUNNELCAP_ESP_UDP;
        test_pair_make(&pair, &gcm, &out, &in);
        tunnelcap_pkt pkt = test_pkt_room("", 0, 3, len);
        ck_assert_status(tunnelcap_esp_keepalive(pair.out, &pkt), TUNNELCAP_OK);
        ck_assert_uint_eq(pkt.off, 3);
        ck_assert_uint_eq(pkt.len, len);
        const uint8_t *p = pkt.buf + 3;
        test_ip ip = test_between(ends[six][0], ends[six][1]);
        ck_assert_uint_eq(p[six ? 6 : 9], 17);
        ck_assert_uint_eq(test_load16(p + len - 5), 9);
        ck_assert_uint_eq(p[len - 1], 0xff);
        if (six)
            ck_assert_uint_eq(test_sum(test_pseudo(&ip, 17, 9), p + 40, 9), 0xffff);
        else
            ck_assert_uint_eq(test_sum(0, p, 20), 0xffff);
        ck_assert_status(test_esp_decap(pair.in, pair.lane, &pkt, NULL, NULL),
                         TUNNELCAP_E_NAT_KEEPALIVE);
        pkt.cap--;
        pkt.len = 0;
        ck_assert_status(tunnelcap_esp_keepalive(pair.out, &pkt), TUNNELCAP_E_TAILROOM);
        ck_assert_status(tunnelcap_esp_keepalive(pair.in, &pkt), TUNNELCAP_E_UNSUPPORTED);
        ck_assert_status(tunnelcap_esp_keepalive(NULL, &pkt), TUNNELCAP_E_INVALID);
        ck_assert_status(tunnelcap_esp_keepalive(pair.out, NULL), TUNNELCAP_E_INVALID);
        pkt.off = pkt.cap + 1;
        ck_assert_status(tunnelcap_esp_keepalive(pair.out, &pkt), TUNNELCAP_E_INVALID);
        test_pkt_free(&pkt);
        test_pair_close(&pair);
    }
    test_pair pair;
    tunnelcap_pkt pkt = test_pkt_room("", 0, 0, 100);
    test_pair_open(&pair, &gcm, 0, TUNNELCAP_ESP_TUNNEL);
    ck_assert_status(tunnelcap_esp_keepalive(pair.out, &pkt), TUNNELCAP_E_UNSUPPORTED);
    test_pair_close(&pair);
    test_pkt_free(&pkt);
}
END_TEST

START_TEST(sockets_that_strip_headers_are_served)
{
    tunnelcap_transform gcm = test_gcm();
    for (uint32_t udp = 0; udp < 2; udp++) {
        tunnelcap_meta meta = {.at = udp ? TUNNELCAP_AT_UDP_PAYLOAD : TUNNELCAP_AT_IP_PAYLOAD,
                               .proto = 50,
                               .src = test_addr("192.0.2.1"),
                               .dst = test_addr("192.0.2.2"),
                               .src_port = 31000,
                               .dst_port = 4500};
        tunnelcap_esp_rx rx;
        test_pair pair;
        test_pair_open(&pair, &gcm, udp ? TUNNELCAP_ESP_UDP : 0, TUNNELCAP_ESP_TUNNEL);
        make_inner(0);
        tunnelcap_pkt pkt = test_sealed(&pair, &inner);
        pkt.off += udp ? 28 : 20;
        pkt.len -= udp ? 28 : 20;
        ck_assert_status(test_esp_decap(pair.in, pair.lane, &pkt, &meta, &rx), TUNNELCAP_OK);
        ck_assert_mem_eq(pkt.buf + pkt.off, inner.bytes, inner.len);
        ck_assert_uint_eq(rx.src_port, udp ? 31000 : 0);
        ck_assert_mem_eq(&rx.src, &meta.src, sizeof(rx.src));
        test_pkt_free(&pkt);
        test_pair_close(&pair);
    }
}
END_TEST

START_TEST(a_peer_that_moved_is_told_once)
{
    enum { ADDRESS = 1, PORT = 2, FORGED = 4 };
    static const uint32_t steps[] = {0, 0, PORT, PORT, ADDRESS, ADDRESS | FORGED, ADDRESS, 0};
    static const uint32_t moved[] = {0, 0, 1, 0, 1, 0, 0, 1};
    tunnelcap_transform gcm = test_gcm();
    test_pair pair;
    make_inner(0);
    test_pair_open(&pair, &gcm, TUNNELCAP_ESP_UDP, TUNNELCAP_ESP_TUNNEL);
    for (size_t i = 0; i < TEST_COUNT(steps); i++) {
        tunnelcap_esp_rx rx;
        tunnelcap_pkt pkt = test_sealed(&pair, &inner);
        if (steps[i] & PORT)
            test_store16(pkt.buf + 20, 1111);
        if (steps[i] & ADDRESS)
            pkt.buf[15] = 77;
        if (steps[i] & FORGED) {
            pkt.buf[15] = 66; /* what is not verified moves nothing */
            pkt.buf[pkt.len - 1] ^= 1;
        }
        set_checksum(pkt.buf);
        ck_assert_status(test_esp_decap(pair.in, pair.lane, &pkt, NULL, &rx),
                         steps[i] & FORGED ? TUNNELCAP_E_AUTH : TUNNELCAP_OK);
        if (!(steps[i] & FORGED))
            ck_assert_uint_eq(rx.flags,
                              TUNNELCAP_ESP_RX_UDP | (moved[i] ? TUNNELCAP_ESP_RX_PEER_MOVED : 0u));
        test_pkt_free(&pkt);
    }
    test_pair_close(&pair);
}
END_TEST

/* What is told of a sealed packet that comes from 192.0.2.`host`. */
static uint32_t moves(test_pair *pair, tunnelcap_pkt *pkt, uint8_t host)
{
    tunnelcap_esp_rx rx;
    pkt->buf[15] = host;
    set_checksum(pkt->buf);
    ck_assert_status(test_esp_decap(pair->in, pair->lane, pkt, NULL, &rx), TUNNELCAP_OK);
    test_pkt_free(pkt);
    return (rx.flags & TUNNELCAP_ESP_RX_PEER_MOVED) != 0;
}

/* RFC 7296 2.23: a packet that was overtaken tells where the far end was, not where it is. */
START_TEST(only_the_latest_packet_moves_a_peer)
{
    for (uint32_t window = 0; window <= 1; window++) {
        tunnelcap_transform gcm = test_gcm();
        tunnelcap_esp_config out = test_esp_config(TUNNELCAP_ESP_OUT, "192.0.2.1", "192.0.2.2");
        tunnelcap_esp_config in = test_esp_config(TUNNELCAP_ESP_IN, "192.0.2.1", "192.0.2.2");
        tunnelcap_pkt pkts[6];
        test_pair pair;
        if (!window)
            in.replay_mode = TUNNELCAP_REPLAY_OFF;
        test_pair_make(&pair, &gcm, &out, &in);
        make_inner(0);
        for (uint32_t i = 0; i < 6; i++)
            pkts[i] = test_sealed(&pair, &inner);
        ck_assert_uint_eq(moves(&pair, &pkts[1], 1), 0);
        ck_assert_uint_eq(moves(&pair, &pkts[0], 9), !window); /* overtaken */
        ck_assert_uint_eq(moves(&pair, &pkts[3], 9), window);
        ck_assert_uint_eq(moves(&pair, &pkts[2], 1), !window);
        ck_assert_uint_eq(moves(&pair, &pkts[4], 9), !window); /* where it is anyway */
        ck_assert_uint_eq(moves(&pair, &pkts[5], 1), 1);
        test_pair_close(&pair);
    }
}
END_TEST

/* The order within a burst counts, too: the last word is that of the highest number. */
START_TEST(one_burst_moves_a_peer_once)
{
    tunnelcap_transform gcm = test_gcm();
    tunnelcap_pkt pkts[3];
    tunnelcap_esp_rx rx[3];
    test_pair pair;
    make_inner(0);
    test_pair_open(&pair, &gcm, 0, TUNNELCAP_ESP_TUNNEL);
    tunnelcap_pkt first = test_sealed(&pair, &inner);
    ck_assert_uint_eq(moves(&pair, &first, 1), 0);
    for (uint32_t i = 0; i < 3; i++) {
        pkts[i] = test_sealed(&pair, &inner);
        pkts[i].buf[15] = (uint8_t)(7 + i);
        set_checksum(pkts[i].buf);
    }
    ck_assert_uint_eq(tunnelcap_esp_decap(pair.in, pair.lane, pkts, NULL, 0, rx, 3), 3);
    for (uint32_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(rx[i].flags, i == 2 ? TUNNELCAP_ESP_RX_PEER_MOVED : 0);
        test_pkt_free(&pkts[i]);
    }
    test_pair_close(&pair);
}
END_TEST

START_TEST(first_packet_shows_a_peer_that_was_not_known)
{
    for (uint32_t known = 0; known <= 1; known++) {
        tunnelcap_transform gcm = test_gcm();
        tunnelcap_esp_config out = test_esp_config(TUNNELCAP_ESP_OUT, "192.0.2.1", "192.0.2.2");
        tunnelcap_esp_config in = test_esp_config(TUNNELCAP_ESP_IN, "192.0.2.1", "192.0.2.2");
        test_pair pair;
        if (!known)
            memset(&in.outer.remote, 0, sizeof(in.outer.remote));
        test_pair_make(&pair, &gcm, &out, &in);
        make_inner(0);
        for (uint32_t i = 0; i < 2; i++) {
            tunnelcap_pkt pkt = test_sealed(&pair, &inner);
            ck_assert_uint_eq(moves(&pair, &pkt, 1), i == 0 && !known);
        }
        test_pair_close(&pair);
    }
}
END_TEST

/* ---- ECN and DSCP ---- */

/* What comes of an inner and an outer TOS; negative: the status. */
static int32_t merge(uint8_t ecn_mode, uint8_t dscp_mode, uint8_t inner_tos, uint8_t outer_tos)
{
    tunnelcap_transform gcm = test_gcm();
    tunnelcap_esp_config out = test_esp_config(TUNNELCAP_ESP_OUT, "192.0.2.1", "192.0.2.2");
    tunnelcap_esp_config in = test_esp_config(TUNNELCAP_ESP_IN, "192.0.2.1", "192.0.2.2");
    test_pair pair;
    int32_t result;
    in.outer.ecn_mode = ecn_mode;
    in.outer.dscp_mode = dscp_mode;
    test_pair_make(&pair, &gcm, &out, &in);
    make_inner(inner_tos);
    tunnelcap_pkt pkt = test_sealed(&pair, &inner);
    pkt.buf[1] = outer_tos;
    set_checksum(pkt.buf);
    result = test_esp_decap(pair.in, pair.lane, &pkt, NULL, NULL);
    if (result == TUNNELCAP_OK) {
        ck_assert_uint_eq(test_sum(0, pkt.buf + pkt.off, 20), 0xffff);
        result = pkt.buf[pkt.off + 1];
    }
    test_pkt_free(&pkt);
    test_pair_close(&pair);
    return result;
}

START_TEST(ecn_follows_rfc6040_or_rfc4301)
{
    /* By inner and outer ECN: Not-ECT, ECT(1), ECT(0), CE. */
    static const int32_t rfc6040[4][4] = {
        {0, 0, 0, TUNNELCAP_E_ECN}, {1, 1, 1, 3}, {2, 1, 2, 3}, {3, 3, 3, 3}};
    for (uint8_t i = 0; i < 4; i++) {
        for (uint8_t o = 0; o < 4; o++) {
            int32_t want = rfc6040[i][o];
            ck_assert_int_eq(merge(TUNNELCAP_ECN_NORMAL, 0, (uint8_t)(0x40 | i), o),
                             want < 0 ? want : 0x40 | want);
            ck_assert_int_eq(merge(TUNNELCAP_ECN_COMPATIBILITY, 0, i, o), want);
            ck_assert_int_eq(merge(TUNNELCAP_ECN_RFC4301, 0, (uint8_t)(0x80 | i), o),
                             0x80 | (o == 3 && i != 0 ? 3 : i));
        }
    }
}
END_TEST

START_TEST(dscp_is_kept_or_uniform)
{
    ck_assert_int_eq(merge(0, TUNNELCAP_DSCP_COPY, 0x28, 0xb8), 0x28);
    ck_assert_int_eq(merge(0, TUNNELCAP_DSCP_PIPE, 0x28, 0xb8), 0x28);
    ck_assert_int_eq(merge(0, TUNNELCAP_DSCP_UNIFORM, 0x28, 0xb8), 0xb8);
}
END_TEST

START_TEST(the_outer_header_follows_its_policy)
{
    tunnelcap_transform gcm = test_gcm();
    for (uint32_t i = 0; i < 3; i++) {
        tunnelcap_esp_config out = test_esp_config(TUNNELCAP_ESP_OUT, "192.0.2.1", "192.0.2.2");
        tunnelcap_esp_config in = test_esp_config(TUNNELCAP_ESP_IN, "192.0.2.1", "192.0.2.2");
        test_pair pair;
        out.outer.ttl = i == 1 ? 0 : 77;
        out.outer.dscp_mode = i == 2 ? TUNNELCAP_DSCP_PIPE : TUNNELCAP_DSCP_COPY;
        out.outer.dscp = i == 2 ? 46 : 0;
        out.outer.ecn_mode = i == 1 ? TUNNELCAP_ECN_COMPATIBILITY : TUNNELCAP_ECN_NORMAL;
        out.outer.df_mode = (uint8_t)i;
        test_pair_make(&pair, &gcm, &out, &in);
        make_inner(0x2a);
        tunnelcap_pkt pkt = test_sealed(&pair, &inner);
        static const uint8_t tos[] = {0x2a, 0x28, 0xba}, ttl[] = {77, 64, 77}, df[] = {64, 64, 0};
        ck_assert_uint_eq(pkt.buf[1], tos[i]);
        ck_assert_uint_eq(pkt.buf[8], ttl[i]);
        ck_assert_uint_eq(pkt.buf[6], df[i]);
        ck_assert_uint_eq(test_load16(pkt.buf + 4) != 0, df[i] == 0);
        test_pkt_free(&pkt);
        test_pair_close(&pair);
    }
}
END_TEST

START_TEST(partial_checksums_are_finished_before_encryption)
{
    tunnelcap_transform gcm = test_gcm();
    test_ip ip = test_between("10.0.0.1", "10.0.0.2");
    tunnelcap_meta meta = {
        .flags = TUNNELCAP_META_CSUM_PARTIAL, .csum_start = 20, .csum_offset = 6};
    test_pair pair;
    make_inner(0);
    test_pair_open(&pair, &gcm, 0, TUNNELCAP_ESP_TUNNEL);
    tunnelcap_pkt pkt = test_esp_pkt(&inner);
    test_store16(pkt.buf + pkt.off + 26, test_pseudo(&ip, 17, inner.len - 20));
    ck_assert_status(test_esp_encap(pair.out, pair.lane, &pkt, &meta), TUNNELCAP_OK);
    ck_assert_status(test_esp_decap(pair.in, pair.lane, &pkt, NULL, NULL), TUNNELCAP_OK);
    ck_assert_mem_eq(pkt.buf + pkt.off, inner.bytes, inner.len);
    test_pkt_free(&pkt);
    test_pair_close(&pair);
}
END_TEST

Suite *test_esp_udp_suite(void)
{
    const TTest *tests[] = {
        bare_and_udp_are_both_accepted_unless_strict,
        ports_are_sent_as_told_and_the_destination_is_checked,
        udp_checksums_are_verified_where_they_are_there,
        ike_and_keepalives_are_told_apart,
        keepalives_are_built_and_recognised,
        sockets_that_strip_headers_are_served,
        a_peer_that_moved_is_told_once,
        only_the_latest_packet_moves_a_peer,
        one_burst_moves_a_peer_once,
        first_packet_shows_a_peer_that_was_not_known,
        ecn_follows_rfc6040_or_rfc4301,
        dscp_is_kept_or_uniform,
        the_outer_header_follows_its_policy,
        partial_checksums_are_finished_before_encryption,
    };
    return test_suite("esp_udp", tests, TEST_COUNT(tests));
}
