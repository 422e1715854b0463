/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Tunnel mode: what goes on the wire, what comes back, and what is refused. */
#include "esp_kit.h"

static test_frame inner;
static const char *const families[2][2] = {{"10.1.0.1", "10.2.0.1"}, {"fd01::1", "fd02::1"}};
static const char *const ends[2][2] = {{"192.0.2.1", "192.0.2.2"}, {"2001:db8::1", "2001:db8::2"}};

static void open_between(test_pair *pair, const tunnelcap_transform *t, size_t family,
                         uint32_t flags)
{
    tunnelcap_esp_config out = test_esp_config(TUNNELCAP_ESP_OUT, ends[family][0], ends[family][1]);
    tunnelcap_esp_config in = test_esp_config(TUNNELCAP_ESP_IN, ends[family][0], ends[family][1]);
    out.flags = in.flags = flags;
    test_pair_make(pair, t, &out, &in);
}

static void make_inner(size_t family, uint32_t len)
{
    test_ip ip = test_between(families[family][0], families[family][1]);
    test_udp_packet(&inner, &ip, len);
}

/* Check all that stands in clear in front of the encrypted text; returns where ESP begins. */
static uint32_t check_wire(const tunnelcap_pkt *pkt, size_t family, bool udp, uint32_t seq)
{
    const uint8_t *p = pkt->buf + pkt->off;
    uint32_t at = family == 0 ? 20 : 40;
    ck_assert_uint_eq(p[0], family == 0 ? 0x45 : 0x60);
    ck_assert_uint_eq(family == 0 ? test_load16(p + 2) : test_load16(p + 4) + 40u, pkt->len);
    ck_assert_uint_eq(p[family == 0 ? 9 : 6], udp ? 17 : 50);
    if (family == 0)
        ck_assert_uint_eq(test_sum(0, p, 20), 0xffff);
    if (udp) {
        ck_assert_uint_eq(test_load16(p + at), 4500);
        ck_assert_uint_eq(test_load16(p + at + 2), 4500);
        ck_assert_uint_eq(test_load16(p + at + 4), pkt->len - at);
        test_ip ip = test_between(ends[family][0], ends[family][1]);
        if (family == 0)
            ck_assert_uint_eq(test_load16(p + at + 6), 0);
        else
            ck_assert_uint_eq(test_sum(test_pseudo(&ip, 17, pkt->len - at), p + at, pkt->len - at),
                              0xffff);
        at += 8;
    }
    ck_assert_uint_eq(test_load32(p + at), TEST_SPI);
    ck_assert_uint_eq(test_load32(p + at + 4), seq);
    return at;
}

START_TEST(every_transform_carries_every_family_in_every_family)
{
    for (uint32_t i = 0; i < test_suites_count * 16; i++) {
        tunnelcap_transform t = test_transform_of(&test_suites[i / 16]);
        size_t outer = i & 1, in = i >> 1 & 1;
        bool udp = i & 4;
        tunnelcap_esp_rx rx;
        test_pair pair;
        open_between(&pair, &t, outer,
                     (udp ? TUNNELCAP_ESP_UDP : 0) | (i & 8 ? TUNNELCAP_ESP_ESN : 0));
        for (uint32_t len = 0; len < 70; len += 3) {
            make_inner(in, len);
            tunnelcap_pkt pkt = test_esp_pkt(&inner);
            ck_assert_status(test_esp_encap(pair.out, pair.lane, &pkt, NULL), TUNNELCAP_OK);
            check_wire(&pkt, outer, udp, len / 3 + 1);
            memset(&rx, 0xff, sizeof(rx));
            ck_assert_status(test_esp_decap(pair.in, pair.lane, &pkt, NULL, &rx), TUNNELCAP_OK);
            ck_assert_uint_eq(pkt.len, inner.len);
            ck_assert_mem_eq(pkt.buf + pkt.off, inner.bytes, inner.len);
            ck_assert_uint_eq(rx.seq, len / 3 + 1);
            ck_assert_uint_eq(rx.spi, TEST_SPI);
            ck_assert_uint_eq(rx.next_header, in == 0 ? 4 : 41);
            ck_assert_uint_eq(rx.flags, udp ? TUNNELCAP_ESP_RX_UDP : 0);
            ck_assert_uint_eq(rx.reserved, 0);
            ck_assert_uint_eq(rx.src_port, udp ? 4500 : 0);
            ck_assert_uint_eq(rx.dst_port, udp ? 4500 : 0);
            tunnelcap_addr want[] = {test_addr(ends[outer][0]), test_addr(families[in][0]),
                                     test_addr(families[in][1])};
            ck_assert_mem_eq(&rx.src, &want[0], sizeof(rx.src));
            ck_assert_mem_eq(&rx.inner_src, &want[1], sizeof(rx.src));
            ck_assert_mem_eq(&rx.inner_dst, &want[2], sizeof(rx.src));
            test_pkt_free(&pkt);
        }
        test_pair_close(&pair);
    }
}
END_TEST

START_TEST(padding_counts_up_and_the_trailer_names_the_payload)
{
    static const test_suite_row clear = {.integ = TUNNELCAP_INTEG_HMAC_SHA1_96,
                                         .encr = TUNNELCAP_ENCR_NULL,
                                         .integ_key_len = 20,
                                         .weak = 1};
    tunnelcap_transform t = test_transform_of(&clear);
    test_pair pair;
    open_between(&pair, &t, 0, 0);
    for (uint32_t len = 0; len < 8; len++) {
        make_inner(len & 1, len);
        tunnelcap_pkt pkt = test_sealed(&pair, &inner);
        const uint8_t *text = pkt.buf + 28;
        uint32_t end = pkt.len - 28 - 12 - 2;
        ck_assert_mem_eq(text, inner.bytes, inner.len);
        ck_assert_uint_eq(text[end], end - inner.len);
        ck_assert_uint_lt(text[end], 4);
        ck_assert_uint_eq(text[end + 1], len & 1 ? 41 : 4);
        for (uint32_t i = 0; i < text[end]; i++)
            ck_assert_uint_eq(text[inner.len + i], i + 1);
        test_pkt_free(&pkt);
    }
    test_pair_close(&pair);
}
END_TEST

START_TEST(padding_behind_the_inner_packet_stays_outside)
{
    tunnelcap_transform t = test_gcm();
    test_pair pair;
    open_between(&pair, &t, 0, 0);
    make_inner(0, 2);
    uint32_t len = inner.len;
    memset(inner.bytes + len, 0xcc, 16);
    inner.len += 16; /* as an Ethernet frame pads it */
    tunnelcap_pkt pkt = test_sealed(&pair, &inner);
    ck_assert_uint_eq(pkt.len, tunnelcap_esp_encap_len(pair.out, len));
    ck_assert_status(test_esp_decap(pair.in, pair.lane, &pkt, NULL, NULL), TUNNELCAP_OK);
    ck_assert_uint_eq(pkt.len, len);
    test_pkt_free(&pkt);
    test_pair_close(&pair);
}
END_TEST

START_TEST(padding_behind_the_outer_packet_is_not_the_icv)
{
    tunnelcap_transform t = test_gcm();
    test_pair pair;
    open_between(&pair, &t, 0, 0);
    make_inner(0, 2);
    tunnelcap_pkt sealed = test_sealed(&pair, &inner);
    tunnelcap_pkt pkt = test_pkt_room(sealed.buf, sealed.len, 0, 30);
    pkt.len += 30;
    ck_assert_status(test_esp_decap(pair.in, pair.lane, &pkt, NULL, NULL), TUNNELCAP_OK);
    ck_assert_uint_eq(pkt.len, inner.len);
    test_pkt_free(&pkt);
    test_pkt_free(&sealed);
    test_pair_close(&pair);
}
END_TEST

/* ---- refusals ---- */

static void check_encap_refused(test_pair *pair, tunnelcap_pkt pkt, const tunnelcap_meta *meta,
                                int32_t want)
{
    tunnelcap_esp_state before = test_esp_state(pair->out);
    test_snapshot snap = test_snap(&pkt);
    ck_assert_status(test_esp_encap(pair->out, pair->lane, &pkt, meta), want);
    test_unchanged(&snap, &pkt);
    tunnelcap_esp_state after = test_esp_state(pair->out);
    ck_assert_mem_eq(&before, &after, sizeof(before));
    test_pkt_free(&pkt);
}

START_TEST(encap_refuses_and_leaves_the_packet_and_the_counter_alone)
{
    tunnelcap_transform t = test_gcm();
    test_pair pair;
    open_between(&pair, &t, 0, 0);
    make_inner(0, 50);
    uint32_t head = tunnelcap_esp_headroom(pair.out);
    uint32_t tail = tunnelcap_esp_encap_len(pair.out, inner.len) - head - inner.len;
    check_encap_refused(&pair, test_pkt_room(inner.bytes, inner.len, head - 1, tail), NULL,
                        TUNNELCAP_E_HEADROOM);
    check_encap_refused(&pair, test_pkt_room(inner.bytes, inner.len, head, tail - 1), NULL,
                        TUNNELCAP_E_TAILROOM);
    for (uint32_t len = 0; len < inner.len; len++)
        check_encap_refused(&pair, test_pkt_room(inner.bytes, len, head, 100), NULL,
                            TUNNELCAP_E_TRUNCATED);
    uint8_t odd[60] = {0x75};
    check_encap_refused(&pair, test_pkt_room(odd, 60, head, 64), NULL, TUNNELCAP_E_MALFORMED);
    tunnelcap_meta gso = {.gso_type = 1, .gso_size = 1000};
    check_encap_refused(&pair, test_pkt_room(inner.bytes, inner.len, head, 64), &gso,
                        TUNNELCAP_E_TOO_BIG);
    tunnelcap_pkt outside = test_pkt_room(inner.bytes, inner.len, head, 64);
    outside.len = outside.cap;
    check_encap_refused(&pair, outside, NULL, TUNNELCAP_E_INVALID);
    make_inner(0, 65535 - 28);
    check_encap_refused(&pair, test_pkt_room(inner.bytes, inner.len, head, 64), NULL,
                        TUNNELCAP_E_TOO_BIG);
    make_inner(0, 65478 - 28);
    tunnelcap_pkt big = test_esp_pkt(&inner);
    ck_assert_status(test_esp_encap(pair.out, pair.lane, &big, NULL), TUNNELCAP_OK);
    ck_assert_status(test_esp_decap(pair.in, pair.lane, &big, NULL, NULL), TUNNELCAP_OK);
    test_pkt_free(&big);
    test_pair_close(&pair);
}
END_TEST

START_TEST(directions_and_lanes_are_not_mixed_up)
{
    tunnelcap_transform t = test_gcm();
    test_toy other;
    test_pair pair;
    open_between(&pair, &t, 0, 0);
    tunnelcap_lane *wrong[] = {test_crypto_lane(test_toy_init(&other), 32), test_lane()};
    make_inner(0, 50);
    tunnelcap_pkt pkt = test_esp_pkt(&inner);
    test_snapshot snap = test_snap(&pkt);
    ck_assert_status(test_esp_encap(pair.in, pair.lane, &pkt, NULL), TUNNELCAP_E_INVALID);
    ck_assert_status(test_esp_decap(pair.out, pair.lane, &pkt, NULL, NULL), TUNNELCAP_E_INVALID);
    for (size_t i = 0; i < TEST_COUNT(wrong); i++) {
        ck_assert_status(test_esp_encap(pair.out, wrong[i], &pkt, NULL), TUNNELCAP_E_INVALID);
        ck_assert_status(test_esp_decap(pair.in, wrong[i], &pkt, NULL, NULL), TUNNELCAP_E_INVALID);
        ck_assert_status(tunnelcap_esp_resync(pair.in, wrong[i], &pkt, 1), TUNNELCAP_E_UNSUPPORTED);
        tunnelcap_lane_free(wrong[i]);
    }
    ck_assert_uint_eq(tunnelcap_esp_encap(NULL, pair.lane, &pkt, NULL, 0, 1), 0);
    ck_assert_uint_eq(tunnelcap_esp_encap(pair.out, NULL, &pkt, NULL, 0, 1), 0);
    ck_assert_uint_eq(tunnelcap_esp_encap(pair.out, pair.lane, NULL, NULL, 0, 1), 0);
    ck_assert_uint_eq(tunnelcap_esp_decap(NULL, pair.lane, &pkt, NULL, 0, NULL, 1), 0);
    ck_assert_uint_eq(tunnelcap_esp_decap(pair.in, NULL, &pkt, NULL, 0, NULL, 1), 0);
    ck_assert_uint_eq(tunnelcap_esp_decap(pair.in, pair.lane, NULL, NULL, 0, NULL, 1), 0);
    ck_assert_uint_eq(tunnelcap_esp_encap_to(NULL, pair.lane, &pkt, &pkt, NULL, 0, 1), 0);
    ck_assert_uint_eq(tunnelcap_esp_decap_to(NULL, pair.lane, &pkt, &pkt, NULL, 0, NULL, 1), 0);
    ck_assert_uint_eq(tunnelcap_esp_encap_dummy(NULL, pair.lane, &pkt, 1), 0);
    test_unchanged(&snap, &pkt);
    test_pkt_free(&pkt);
    test_pair_close(&pair);
}
END_TEST

START_TEST(a_failing_provider_wipes_the_text_and_spends_the_number)
{
    tunnelcap_transform transforms[] = {test_gcm(), test_cbc_sha256()};
    for (size_t k = 0; k < TEST_COUNT(transforms); k++) {
        test_pair pair;
        tunnelcap_pkt pkts[4];
        open_between(&pair, &transforms[k], 0, 0);
        make_inner(0, 200);
        for (size_t i = 0; i < 4; i++)
            pkts[i] = test_esp_pkt(&inner);
        pair.toy.seal_left = 2;
        ck_assert_uint_eq(tunnelcap_esp_encap(pair.out, pair.lane, pkts, NULL, 0, 4), 2);
        for (size_t i = 0; i < 4; i++) {
            ck_assert_status(pkts[i].status, i < 2 ? TUNNELCAP_OK : TUNNELCAP_E_CRYPTO);
            for (uint32_t at = 0; i >= 2 && at + 8 <= pkts[i].cap; at++)
                ck_assert(memcmp(pkts[i].buf + at, inner.bytes + 100, 8) != 0);
            test_pkt_free(&pkts[i]);
        }
        ck_assert_uint_eq(test_esp_state(pair.out).seq, 5);
        test_pair_close(&pair);
    }
}
END_TEST

/* ---- bursts ---- */

START_TEST(long_bursts_go_in_parts_and_keep_their_order)
{
    enum { BURST = 75 };
    tunnelcap_transform t = test_gcm();
    static tunnelcap_pkt pkts[BURST];
    static tunnelcap_esp_rx rx[BURST];
    test_pair pair;
    open_between(&pair, &t, 0, 0);
    uint32_t seq = 1;
    for (uint32_t i = 0; i < BURST; i++) {
        make_inner(i & 1, i);
        pkts[i] = test_esp_pkt(&inner);
        if (i % 7 == 3) /* one that is refused takes no number */
            pkts[i].buf[pkts[i].off] = 0;
    }
    ck_assert_uint_eq(tunnelcap_esp_encap(pair.out, pair.lane, pkts, NULL, 0, BURST), 64);
    ck_assert_uint_eq(pair.toy.longest, 32);
    for (uint32_t i = 0; i < BURST; i++) {
        ck_assert_status(pkts[i].status, i % 7 == 3 ? TUNNELCAP_E_MALFORMED : TUNNELCAP_OK);
        if (i % 7 != 3)
            check_wire(&pkts[i], 0, false, seq++);
    }
    ck_assert_uint_eq(tunnelcap_esp_decap(pair.in, pair.lane, pkts, NULL, 0, rx, BURST), 64);
    seq = 1;
    for (uint32_t i = 0; i < BURST; i++) {
        if (i % 7 != 3) {
            ck_assert_status(pkts[i].status, TUNNELCAP_OK);
            ck_assert_uint_eq(rx[i].seq, seq++);
            make_inner(i & 1, i);
            ck_assert_uint_eq(pkts[i].len, inner.len);
            ck_assert_mem_eq(pkts[i].buf + pkts[i].off, inner.bytes, inner.len);
        }
        test_pkt_free(&pkts[i]);
    }
    test_pair_close(&pair);
}
END_TEST

START_TEST(duplicates_within_a_burst_pass_once)
{
    tunnelcap_transform t = test_gcm();
    test_pair pair;
    tunnelcap_pkt pkts[6];
    open_between(&pair, &t, 0, 0);
    make_inner(0, 40);
    tunnelcap_pkt sealed = test_sealed(&pair, &inner);
    for (size_t i = 0; i < 6; i++)
        pkts[i] = test_pkt(sealed.buf, sealed.len, 0);
    ck_assert_uint_eq(tunnelcap_esp_decap(pair.in, pair.lane, pkts, NULL, 0, NULL, 6), 1);
    for (size_t i = 0; i < 6; i++) {
        ck_assert_status(pkts[i].status, i == 0 ? TUNNELCAP_OK : TUNNELCAP_E_REPLAY);
        for (uint32_t at = 0; i > 0 && at + 8 <= pkts[i].cap; at++)
            ck_assert(memcmp(pkts[i].buf + at, inner.bytes + 30, 8) != 0);
        test_pkt_free(&pkts[i]);
    }
    ck_assert_uint_eq(test_esp_state(pair.in).packets, 1);
    test_pkt_free(&sealed);
    test_pair_close(&pair);
}
END_TEST

/* ---- into other buffers ---- */

START_TEST(encap_to_and_decap_to_leave_their_input_alone)
{
    tunnelcap_transform t = test_cbc_sha256();
    test_pair pair;
    open_between(&pair, &t, 1, TUNNELCAP_ESP_UDP);
    make_inner(0, 333);
    uint32_t total = tunnelcap_esp_encap_len(pair.out, inner.len);
    tunnelcap_pkt in = test_pkt(inner.bytes, inner.len, 0);
    test_snapshot snap = test_snap(&in);
    tunnelcap_pkt out = test_pkt(inner.bytes, total, 0);
    out.off = out.len = 999;
    ck_assert_uint_eq(tunnelcap_esp_encap_to(pair.out, pair.lane, &in, &out, NULL, 0, 1), 1);
    ck_assert_status(out.status, TUNNELCAP_OK);
    ck_assert_int_eq(in.status, INT32_MIN);
    test_unchanged(&snap, &in);
    ck_assert_uint_eq(out.off, 0);
    ck_assert_uint_eq(out.len, total);
    check_wire(&out, 1, true, 1);

    tunnelcap_pkt back = test_pkt(inner.bytes, total, 0);
    tunnelcap_esp_rx rx;
    memset(back.buf, 0, back.cap);
    snap = test_snap(&out);
    ck_assert_uint_eq(tunnelcap_esp_decap_to(pair.in, pair.lane, &out, &back, NULL, 0, &rx, 1), 1);
    test_unchanged(&snap, &out);
    ck_assert_uint_eq(back.len, inner.len);
    ck_assert_mem_eq(back.buf + back.off, inner.bytes, inner.len);
    ck_assert_uint_eq(rx.seq, 1);

    out.cap = total - 1;
    ck_assert_uint_eq(tunnelcap_esp_encap_to(pair.out, pair.lane, &in, &out, NULL, 0, 1), 0);
    ck_assert_status(out.status, TUNNELCAP_E_TAILROOM);
    out.cap = 10;
    ck_assert_uint_eq(tunnelcap_esp_encap_to(pair.out, pair.lane, &in, &out, NULL, 0, 1), 0);
    ck_assert_status(out.status, TUNNELCAP_E_TAILROOM);
    back.cap = in.len - 1;
    ck_assert_uint_eq(tunnelcap_esp_decap_to(pair.in, pair.lane, &in, &back, NULL, 0, NULL, 1), 0);
    ck_assert_status(back.status, TUNNELCAP_E_TAILROOM);
    uint8_t *kept = back.buf;
    back.buf = NULL;
    ck_assert_uint_eq(tunnelcap_esp_decap_to(pair.in, pair.lane, &in, &back, NULL, 0, NULL, 1), 0);
    ck_assert_status(back.status, TUNNELCAP_E_INVALID);
    ck_assert_uint_eq(tunnelcap_esp_encap_to(pair.out, pair.lane, &in, &back, NULL, 0, 1), 0);
    ck_assert_status(back.status, TUNNELCAP_E_INVALID);
    back.buf = kept;
    test_pkt_free(&in);
    test_pkt_free(&out);
    test_pkt_free(&back);
    test_pair_close(&pair);
}
END_TEST

/* ---- traffic flow confidentiality ---- */

START_TEST(tfc_padding_hides_lengths_and_is_cut_off_again)
{
    static const struct {
        uint32_t size, multiple;
    } rows[] = {{300, 0}, {0, 256}, {300, 256}, {1, 1}, {0, 7}};
    tunnelcap_transform transforms[] = {test_gcm(), test_cbc_sha256()};
    for (size_t i = 0; i < 2 * TEST_COUNT(rows); i++) {
        tunnelcap_esp_config out = test_esp_config(TUNNELCAP_ESP_OUT, ends[0][0], ends[0][1]);
        tunnelcap_esp_config in = test_esp_config(TUNNELCAP_ESP_IN, ends[0][0], ends[0][1]);
        test_pair pair;
        uint32_t align = i & 1 ? 16 : 4, size = rows[i / 2].size, multiple = rows[i / 2].multiple;
        out.tfc_size = size;
        out.tfc_multiple = multiple;
        test_pair_make(&pair, &transforms[i & 1], &out, &in);
        uint32_t mtu = tunnelcap_esp_inner_mtu(pair.out, 1500);
        ck_assert_uint_le(tunnelcap_esp_encap_len(pair.out, mtu), 1500);
        ck_assert_uint_gt(tunnelcap_esp_encap_len(pair.out, mtu + 1), 1500);
        for (uint32_t len = 0; len < 700; len += 17) {
            make_inner(len & 1, len);
            uint32_t padded = inner.len < size ? size : inner.len;
            if (multiple != 0)
                padded = (padded + multiple - 1) / multiple * multiple;
            tunnelcap_pkt pkt = test_pkt_room(inner.bytes, inner.len, 80, 1500);
            ck_assert_status(test_esp_encap(pair.out, pair.lane, &pkt, NULL), TUNNELCAP_OK);
            ck_assert_uint_eq(pkt.len, tunnelcap_esp_encap_len(pair.out, inner.len));
            ck_assert_uint_eq(pkt.len, tunnelcap_esp_headroom(pair.out) + 16 +
                                           (padded + 2 + align - 1) / align * align);
            ck_assert_status(test_esp_decap(pair.in, pair.lane, &pkt, NULL, NULL), TUNNELCAP_OK);
            ck_assert_uint_eq(pkt.len, inner.len);
            ck_assert_mem_eq(pkt.buf + pkt.off, inner.bytes, inner.len);
            test_pkt_free(&pkt);
        }
        test_pair_close(&pair);
    }
}
END_TEST

START_TEST(a_path_narrower_than_the_tfc_size_carries_nothing)
{
    tunnelcap_transform t = test_gcm();
    tunnelcap_esp_config out = test_esp_config(TUNNELCAP_ESP_OUT, ends[0][0], ends[0][1]);
    tunnelcap_esp_config in = test_esp_config(TUNNELCAP_ESP_IN, ends[0][0], ends[0][1]);
    test_pair pair;
    out.tfc_size = 1446;
    test_pair_make(&pair, &t, &out, &in);
    ck_assert_uint_eq(tunnelcap_esp_inner_mtu(pair.out, 1500), 1446);
    ck_assert_uint_eq(tunnelcap_esp_inner_mtu(pair.out, 1499), 0);
    test_pair_close(&pair);
}
END_TEST

START_TEST(dummies_look_like_packets_and_are_told_apart_by_their_receiver)
{
    tunnelcap_transform t = test_gcm();
    test_pair pair;
    for (uint32_t outer = 0; outer < 2; outer++) {
        open_between(&pair, &t, outer, 0);
        make_inner(0, 100);
        tunnelcap_pkt pkt = test_esp_pkt(&inner);
        ck_assert_uint_eq(tunnelcap_esp_encap_dummy(pair.out, pair.lane, &pkt, 1), 1);
        ck_assert_uint_eq(pkt.len, tunnelcap_esp_encap_len(pair.out, inner.len));
        check_wire(&pkt, outer, false, 1);
        tunnelcap_pkt copy = test_pkt(pkt.buf + pkt.off, pkt.len, 0);
        ck_assert_status(test_esp_decap(pair.in, pair.lane, &pkt, NULL, NULL), TUNNELCAP_E_DUMMY);
        ck_assert_uint_eq(test_esp_state(pair.in).packets, 1);
        ck_assert_status(test_esp_decap(pair.in, pair.lane, &copy, NULL, NULL), TUNNELCAP_E_REPLAY);
        test_pkt_free(&pkt);
        test_pkt_free(&copy);
        pkt = test_pkt_room("", 0, 80, 64); /* even an empty one */
        ck_assert_uint_eq(tunnelcap_esp_encap_dummy(pair.out, pair.lane, &pkt, 1), 1);
        ck_assert_status(test_esp_decap(pair.in, pair.lane, &pkt, NULL, NULL), TUNNELCAP_E_DUMMY);
        test_pkt_free(&pkt);
        test_pair_close(&pair);
    }
    test_pair_open(&pair, &t, 0, TUNNELCAP_ESP_TRANSPORT);
    tunnelcap_pkt pkt = test_esp_pkt(&inner);
    ck_assert_uint_eq(tunnelcap_esp_encap_dummy(pair.out, pair.lane, &pkt, 1), 0);
    ck_assert_status(pkt.status, TUNNELCAP_E_INVALID);
    test_pkt_free(&pkt);
    test_pair_close(&pair);
}
END_TEST

Suite *test_esp_tunnel_suite(void)
{
    const TTest *tests[] = {
        every_transform_carries_every_family_in_every_family,
        padding_counts_up_and_the_trailer_names_the_payload,
        padding_behind_the_inner_packet_stays_outside,
        padding_behind_the_outer_packet_is_not_the_icv,
        encap_refuses_and_leaves_the_packet_and_the_counter_alone,
        directions_and_lanes_are_not_mixed_up,
        a_failing_provider_wipes_the_text_and_spends_the_number,
        long_bursts_go_in_parts_and_keep_their_order,
        duplicates_within_a_burst_pass_once,
        encap_to_and_decap_to_leave_their_input_alone,
        tfc_padding_hides_lengths_and_is_cut_off_again,
        a_path_narrower_than_the_tfc_size_carries_nothing,
        dummies_look_like_packets_and_are_told_apart_by_their_receiver,
    };
    return test_suite("esp_tunnel", tests, TEST_COUNT(tests));
}
