/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Sequence numbers, IVs, lifetimes and extended numbers, from the first packet to the last. */
#include "esp_kit.h"

static test_frame inner;

static void make_inner(void)
{
    test_ip ip = test_between("10.0.0.1", "10.0.0.2");
    test_udp_packet(&inner, &ip, 30);
}

static tunnelcap_esp_config end(uint8_t direction)
{
    return test_esp_config(direction, "192.0.2.1", "192.0.2.2");
}

/* Seal one packet; its sequence number and IV as they stand on the wire. */
static int32_t seal(test_pair *pair, uint32_t *seq, uint64_t *iv)
{
    tunnelcap_pkt pkt = test_esp_pkt(&inner);
    int32_t status = test_esp_encap(pair->out, pair->lane, &pkt, NULL);
    if (status >= 0) {
        *seq = test_load32(pkt.buf + pkt.off + 24);
        *iv = test_load64(pkt.buf + pkt.off + 28);
    }
    test_pkt_free(&pkt);
    return status;
}

START_TEST(numbers_end_with_a_warning_and_then_a_refusal_and_never_wrap)
{
    tunnelcap_transform gcm = test_gcm();
    tunnelcap_esp_config out = end(TUNNELCAP_ESP_OUT), in = end(TUNNELCAP_ESP_IN);
    test_pair pair;
    uint32_t seq = 0;
    uint64_t iv = 0;
    make_inner();
    out.seq_start = UINT32_MAX - 31;
    test_pair_make(&pair, &gcm, &out, &in);
    ck_assert_uint_eq(test_esp_state(pair.out).packets_left, 32);
    for (uint32_t i = 0; i < 32; i++) {
        ck_assert_status(tunnelcap_esp_check_life(pair.out, 0),
                         i < 30 ? TUNNELCAP_OK : TUNNELCAP_REKEY_SOON);
        ck_assert_status(seal(&pair, &seq, &iv), i < 30 ? TUNNELCAP_OK : TUNNELCAP_REKEY_SOON);
        ck_assert_uint_eq(seq, UINT32_MAX - 31 + i);
        ck_assert_uint_eq(test_esp_state(pair.out).packets_left, 31 - i);
    }
    for (uint32_t i = 0; i < 3; i++) {
        tunnelcap_pkt pkt = test_esp_pkt(&inner);
        test_snapshot snap = test_snap(&pkt);
        ck_assert_status(test_esp_encap(pair.out, pair.lane, &pkt, NULL),
                         TUNNELCAP_E_SEQ_EXHAUSTED);
        test_unchanged(&snap, &pkt);
        test_pkt_free(&pkt);
    }
    ck_assert_status(tunnelcap_esp_check_life(pair.out, 0), TUNNELCAP_E_SEQ_EXHAUSTED);
    ck_assert_uint_eq(test_esp_state(pair.out).packets, 32);
    test_pair_close(&pair);
}
END_TEST

START_TEST(a_burst_over_the_end_is_cut_there)
{
    tunnelcap_transform gcm = test_gcm();
    tunnelcap_esp_config out = end(TUNNELCAP_ESP_OUT), in = end(TUNNELCAP_ESP_IN);
    tunnelcap_pkt pkts[8];
    test_pair pair;
    make_inner();
    out.flags = in.flags = TUNNELCAP_ESP_ESN;
    out.seq_start = UINT64_MAX - 5;
    in.seq_start = out.seq_start - 1;
    test_pair_make(&pair, &gcm, &out, &in);
    for (size_t i = 0; i < 8; i++)
        pkts[i] = test_esp_pkt(&inner);
    ck_assert_uint_eq(tunnelcap_esp_encap(pair.out, pair.lane, pkts, NULL, 0, 8), 5);
    ck_assert_uint_eq(tunnelcap_esp_decap(pair.in, pair.lane, pkts, NULL, 0, NULL, 5), 5);
    ck_assert_uint_eq(test_esp_state(pair.in).seq, UINT64_MAX - 1);
    for (size_t i = 0; i < 8; i++) {
        ck_assert_status(pkts[i].status, i < 5 ? TUNNELCAP_OK : TUNNELCAP_E_SEQ_EXHAUSTED);
        test_pkt_free(&pkts[i]);
    }
    test_pair_close(&pair);
}
END_TEST

START_TEST(packet_limits_warn_and_end_at_both_ends)
{
    tunnelcap_transform gcm = test_gcm();
    tunnelcap_esp_config out = end(TUNNELCAP_ESP_OUT), in = end(TUNNELCAP_ESP_IN);
    test_pair pair;
    make_inner();
    out.soft_packets = in.soft_packets = 3;
    out.hard_packets = 5;
    test_pair_make(&pair, &gcm, &out, &in);
    for (uint32_t i = 0; i < 5; i++) {
        tunnelcap_esp_rx rx;
        tunnelcap_pkt pkt = test_esp_pkt(&inner);
        ck_assert_status(tunnelcap_esp_check_life(pair.out, 0),
                         i < 3 ? TUNNELCAP_OK : TUNNELCAP_REKEY_SOON);
        ck_assert_status(test_esp_encap(pair.out, pair.lane, &pkt, NULL),
                         i < 3 ? TUNNELCAP_OK : TUNNELCAP_REKEY_SOON);
        ck_assert_status(test_esp_decap(pair.in, pair.lane, &pkt, NULL, &rx), TUNNELCAP_OK);
        ck_assert_uint_eq(rx.flags, i < 2 ? 0 : TUNNELCAP_ESP_RX_REKEY);
        ck_assert_status(tunnelcap_esp_check_life(pair.in, 0),
                         i < 2 ? TUNNELCAP_OK : TUNNELCAP_REKEY_SOON);
        test_pkt_free(&pkt);
    }
    tunnelcap_pkt pkt = test_esp_pkt(&inner);
    ck_assert_status(test_esp_encap(pair.out, pair.lane, &pkt, NULL), TUNNELCAP_E_EXPIRED);
    ck_assert_status(tunnelcap_esp_check_life(pair.out, 0), TUNNELCAP_E_EXPIRED);
    test_pkt_free(&pkt);
    test_pair_close(&pair);
}
END_TEST

START_TEST(an_inbound_sa_ends_at_its_own_limits)
{
    for (uint32_t by_bytes = 0; by_bytes < 2; by_bytes++) {
        tunnelcap_transform gcm = test_gcm();
        tunnelcap_esp_config out = end(TUNNELCAP_ESP_OUT), in = end(TUNNELCAP_ESP_IN);
        test_pair pair;
        make_inner();
        *(by_bytes ? &in.hard_bytes : &in.hard_packets) = by_bytes ? 2 * 60 : 2;
        test_pair_make(&pair, &gcm, &out, &in);
        for (uint32_t i = 0; i < 4; i++) {
            tunnelcap_pkt pkt = test_sealed(&pair, &inner);
            ck_assert_status(test_arrives(&pair, &pkt), i < 2 ? TUNNELCAP_OK : TUNNELCAP_E_EXPIRED);
            test_pkt_free(&pkt);
        }
        ck_assert_status(tunnelcap_esp_check_life(pair.in, 0), TUNNELCAP_E_EXPIRED);
        test_pair_close(&pair);
    }
}
END_TEST

START_TEST(byte_limits_count_encrypted_text)
{
    tunnelcap_transform gcm = test_gcm();
    tunnelcap_esp_config out = end(TUNNELCAP_ESP_OUT), in = end(TUNNELCAP_ESP_IN);
    test_pair pair;
    uint32_t seq;
    uint64_t iv;
    make_inner(); /* 58 bytes: 60 of text */
    out.soft_bytes = 100;
    out.hard_bytes = 180;
    test_pair_make(&pair, &gcm, &out, &in);
    ck_assert_status(seal(&pair, &seq, &iv), TUNNELCAP_OK);
    ck_assert_uint_eq(test_esp_state(pair.out).bytes, 60);
    ck_assert_status(seal(&pair, &seq, &iv), TUNNELCAP_REKEY_SOON);
    ck_assert_status(tunnelcap_esp_check_life(pair.out, 0), TUNNELCAP_REKEY_SOON);
    ck_assert_status(seal(&pair, &seq, &iv), TUNNELCAP_REKEY_SOON);
    ck_assert_status(seal(&pair, &seq, &iv), TUNNELCAP_E_EXPIRED);
    ck_assert_status(tunnelcap_esp_check_life(pair.out, 0), TUNNELCAP_E_EXPIRED);
    test_pair_close(&pair);
}
END_TEST

START_TEST(time_is_the_callers)
{
    tunnelcap_transform gcm = test_gcm();
    tunnelcap_esp_config out = end(TUNNELCAP_ESP_OUT), in = end(TUNNELCAP_ESP_IN);
    test_pair pair;
    out.soft_ns = in.soft_ns = 1000;
    out.hard_ns = in.hard_ns = 2000;
    test_pair_make(&pair, &gcm, &out, &in);
    tunnelcap_esp *both[] = {pair.out, pair.in};
    for (size_t i = 0; i < 2; i++) {
        ck_assert_status(tunnelcap_esp_check_life(both[i], 999), TUNNELCAP_OK);
        ck_assert_status(tunnelcap_esp_check_life(both[i], 1000), TUNNELCAP_REKEY_SOON);
        ck_assert_status(tunnelcap_esp_check_life(both[i], 1999), TUNNELCAP_REKEY_SOON);
        ck_assert_status(tunnelcap_esp_check_life(both[i], 2000), TUNNELCAP_E_EXPIRED);
    }
    ck_assert_status(tunnelcap_esp_check_life(NULL, 0), TUNNELCAP_E_INVALID);
    test_pair_close(&pair);
}
END_TEST

/* ---- IVs ---- */

START_TEST(the_iv_runs_along_with_the_number)
{
    static const struct {
        uint8_t origin, bits;
        uint32_t id;
        uint64_t iv_start, seq_start, first;
    } rows[] = {
        {TUNNELCAP_NONCE_FRESH_KEY, 0, 0, 99, 1, 1},
        {TUNNELCAP_NONCE_FRESH_KEY, 0, 0, 0, 1000, 1000},
        {TUNNELCAP_NONCE_RESUME, 0, 0, 0x0123456789abcdef, 7, 0x0123456789abcdef},
        {TUNNELCAP_NONCE_SENDER, 8, 0xab, 0, 7, 0xab00000000000000},
        {TUNNELCAP_NONCE_SENDER, 12, 0xabc, 0, 7, 0xabc0000000000000},
        {TUNNELCAP_NONCE_SENDER, 16, 0xabcd, 0, 7, 0xabcd000000000000},
        {TUNNELCAP_NONCE_SENDER, 24, 0xabcdef, 0, 7, 0xabcdef0000000000},
        {TUNNELCAP_NONCE_SENDER, 32, 0xabcdef01, 0, 7, 0xabcdef0100000000},
        {TUNNELCAP_NONCE_SENDER, 32, 0, 0, 1, 0},
    };
    make_inner();
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        tunnelcap_transform gcm = test_gcm();
        tunnelcap_esp_config out = end(TUNNELCAP_ESP_OUT), in = end(TUNNELCAP_ESP_IN);
        test_pair pair;
        out.nonce_origin = rows[i].origin;
        out.sender_id_bits = rows[i].bits;
        out.sender_id = rows[i].id;
        out.iv_start = rows[i].iv_start;
        out.seq_start = rows[i].seq_start;
        test_pair_make(&pair, &gcm, &out, &in);
        for (uint32_t k = 0; k < 70; k++) {
            uint32_t seq;
            uint64_t iv;
            ck_assert_status(seal(&pair, &seq, &iv), TUNNELCAP_OK);
            ck_assert_uint_eq(seq, rows[i].seq_start + k);
            ck_assert_uint_eq(iv, rows[i].first + k);
        }
        test_pair_close(&pair);
    }
}
END_TEST

START_TEST(resumed_ivs_end_before_they_wrap)
{
    tunnelcap_transform gcm = test_gcm();
    tunnelcap_esp_config out = end(TUNNELCAP_ESP_OUT), in = end(TUNNELCAP_ESP_IN);
    test_pair pair;
    uint32_t seq;
    uint64_t iv;
    make_inner();
    out.nonce_origin = TUNNELCAP_NONCE_RESUME;
    out.iv_start = UINT64_MAX - 4;
    test_pair_make(&pair, &gcm, &out, &in);
    ck_assert_uint_eq(test_esp_state(pair.out).packets_left, 4);
    for (uint32_t i = 0; i < 4; i++) {
        ck_assert_int_eq(seal(&pair, &seq, &iv) >= 0, 1);
        ck_assert_uint_eq(iv, UINT64_MAX - 4 + i);
    }
    ck_assert_status(seal(&pair, &seq, &iv), TUNNELCAP_E_SEQ_EXHAUSTED);
    test_pair_close(&pair);
}
END_TEST

START_TEST(a_senders_ivs_never_reach_the_next_senders)
{
    tunnelcap_transform gcm = test_gcm();
    static const uint8_t bits[] = {8, 12, 16, 24, 32};
    for (size_t i = 0; i < TEST_COUNT(bits); i++) {
        tunnelcap_esp_config out = end(TUNNELCAP_ESP_OUT);
        tunnelcap_esp_config in = end(TUNNELCAP_ESP_IN);
        test_pair pair;
        out.nonce_origin = TUNNELCAP_NONCE_SENDER;
        out.sender_id_bits = bits[i];
        test_pair_make(&pair, &gcm, &out, &in);
        /* 32-bit numbers end first: all of them fit below the next sender's first IV. */
        ck_assert_uint_eq(test_esp_state(pair.out).packets_left, UINT32_MAX);
        ck_assert(test_esp_state(pair.out).packets_left < UINT64_MAX >> bits[i] || bits[i] == 32);
        test_pair_close(&pair);
    }
}
END_TEST

START_TEST(no_iv_is_used_twice_whatever_fails)
{
    tunnelcap_transform gcm = test_gcm();
    tunnelcap_transform cbc = test_cbc_sha256();
    for (uint32_t k = 0; k < 2; k++) {
        static uint8_t ivs[400][16];
        test_pair pair;
        uint32_t used = 0;
        make_inner();
        test_pair_open(&pair, k == 0 ? &gcm : &cbc, 0, TUNNELCAP_ESP_TUNNEL);
        for (uint32_t round = 0; round < 40; round++) {
            tunnelcap_pkt pkts[10];
            pair.toy.seal_left = round % 5 == 1 ? 4 : UINT32_MAX;
            for (uint32_t i = 0; i < 10; i++) {
                pkts[i] = test_esp_pkt(&inner);
                if ((round + i) % 6 == 0)
                    pkts[i].buf[pkts[i].off] = 0; /* malformed */
            }
            tunnelcap_esp_encap(pair.out, pair.lane, pkts, NULL, 0, 10);
            for (uint32_t i = 0; i < 10; i++) {
                if (pkts[i].status >= 0)
                    memcpy(ivs[used++], pkts[i].buf + pkts[i].off + 28, k == 0 ? 8 : 16);
                test_pkt_free(&pkts[i]);
            }
        }
        ck_assert_uint_gt(used, 200);
        for (uint32_t i = 0; i < used; i++) {
            for (uint32_t j = 0; j < i; j++) {
                if (memcmp(ivs[i], ivs[j], k == 0 ? 8 : 16) == 0)
                    ck_abort_msg("IV %u is that of %u", i, j);
            }
        }
        test_pair_close(&pair);
    }
}
END_TEST

START_TEST(implicit_ivs_are_the_numbers_and_survive_the_wrap)
{
    for (uint32_t i = 11; i < 14; i++) {
        tunnelcap_transform t = test_transform_of(&test_suites[i]);
        tunnelcap_esp_config out = end(TUNNELCAP_ESP_OUT), in = end(TUNNELCAP_ESP_IN);
        test_pair pair;
        make_inner();
        out.flags = in.flags = TUNNELCAP_ESP_ESN;
        out.seq_start = UINT32_MAX - 3;
        in.seq_start = UINT32_MAX - 4;
        test_pair_make(&pair, &t, &out, &in);
        for (uint32_t k = 0; k < 8; k++) {
            tunnelcap_pkt pkt = test_sealed(&pair, &inner);
            ck_assert_uint_eq(pkt.len, 20 + 8 + 60 + test_suites[i].icv_len);
            ck_assert_status(test_arrives(&pair, &pkt), TUNNELCAP_OK);
            test_pkt_free(&pkt);
        }
        ck_assert_uint_eq(test_esp_state(pair.in).seq, (uint64_t)UINT32_MAX + 4);
        test_pair_close(&pair);
    }
}
END_TEST

/* ---- extended numbers ---- */

START_TEST(the_wrap_is_crossed_both_ways)
{
    enum { N = 64 };
    static tunnelcap_pkt pkts[N];
    tunnelcap_transform transforms[] = {test_gcm(), test_cbc_sha256()};
    for (size_t k = 0; k < TEST_COUNT(transforms); k++) {
        tunnelcap_esp_config out = end(TUNNELCAP_ESP_OUT), in = end(TUNNELCAP_ESP_IN);
        test_pair pair;
        make_inner();
        out.flags = in.flags = TUNNELCAP_ESP_ESN;
        out.seq_start = (6ull << 32) - N / 2;
        in.seq_start = out.seq_start - 1;
        test_pair_make(&pair, &transforms[k], &out, &in);
        for (uint32_t i = 0; i < N; i++)
            pkts[i] = test_sealed(&pair, &inner);
        ck_assert_uint_eq(test_load32(pkts[N / 2].buf + 24), 0); /* 6:0 is 0 on the wire */
        /* First all odd ones, over the wrap; then all even ones, late, from before and after. */
        for (uint32_t i = 1; i < N; i += 2)
            ck_assert_status(test_arrives(&pair, &pkts[i]), TUNNELCAP_OK);
        for (uint32_t i = 0; i < N; i += 2)
            ck_assert_status(test_arrives(&pair, &pkts[i]), TUNNELCAP_OK);
        for (uint32_t i = 0; i < N; i++) {
            ck_assert_status(test_arrives(&pair, &pkts[i]), TUNNELCAP_E_REPLAY);
            test_pkt_free(&pkts[i]);
        }
        ck_assert_uint_eq(test_esp_state(pair.in).seq, (6ull << 32) + N / 2 - 1);
        test_pair_close(&pair);
    }
}
END_TEST

START_TEST(the_high_half_is_authenticated)
{
    /* The same low half one round later: the receiver takes it for the first round. */
    for (uint32_t i = 0; i < test_suites_count; i++) {
        tunnelcap_transform t = test_transform_of(&test_suites[i]);
        tunnelcap_esp_config out = end(TUNNELCAP_ESP_OUT), in = end(TUNNELCAP_ESP_IN);
        test_pair pair;
        make_inner();
        out.flags = in.flags = TUNNELCAP_ESP_ESN;
        out.seq_start = (1ull << 32) + 1000;
        in.seq_start = 999;
        test_pair_make(&pair, &t, &out, &in);
        tunnelcap_pkt pkt = test_sealed(&pair, &inner);
        ck_assert_status(test_arrives(&pair, &pkt), TUNNELCAP_E_AUTH);
        ck_assert_uint_eq(test_esp_state(pair.in).seq, 999);
        test_pkt_free(&pkt);
        test_pair_close(&pair);
    }
}
END_TEST

START_TEST(resync_finds_the_number_again)
{
    for (uint32_t ahead = 1; ahead < 40; ahead += 19) {
        tunnelcap_transform gcm = test_gcm();
        tunnelcap_esp_config out = end(TUNNELCAP_ESP_OUT), in = end(TUNNELCAP_ESP_IN);
        test_pair pair;
        make_inner();
        out.flags = in.flags = TUNNELCAP_ESP_ESN;
        out.seq_start = ((uint64_t)ahead << 32) + 5000;
        in.seq_start = 4000;
        test_pair_make(&pair, &gcm, &out, &in);
        tunnelcap_pkt pkt = test_sealed(&pair, &inner);
        ck_assert_status(test_arrives(&pair, &pkt), TUNNELCAP_E_AUTH);
        for (uint32_t guess = 1; guess < ahead; guess += 9) {
            tunnelcap_pkt copy = test_pkt(pkt.buf, pkt.len, 0);
            ck_assert_status(tunnelcap_esp_resync(pair.in, pair.lane, &copy, guess),
                             TUNNELCAP_E_AUTH);
            ck_assert_uint_eq(test_esp_state(pair.in).seq, 4000);
            test_pkt_free(&copy);
        }
        tunnelcap_pkt copy = test_pkt(pkt.buf, pkt.len, 0);
        ck_assert_status(tunnelcap_esp_resync(pair.in, pair.lane, &copy, ahead), TUNNELCAP_OK);
        ck_assert_mem_eq(copy.buf + copy.off, inner.bytes, inner.len);
        ck_assert_uint_eq(test_esp_state(pair.in).seq, ((uint64_t)ahead << 32) + 5000);
        test_pkt_free(&copy);
        ck_assert_status(test_arrives(&pair, &pkt), TUNNELCAP_E_REPLAY);
        test_pkt_free(&pkt);
        pkt = test_sealed(&pair, &inner);
        ck_assert_status(test_arrives(&pair, &pkt), TUNNELCAP_OK);
        ck_assert_status(tunnelcap_esp_resync(NULL, pair.lane, &pkt, 1), TUNNELCAP_E_INVALID);
        ck_assert_status(tunnelcap_esp_resync(pair.in, NULL, &pkt, 1), TUNNELCAP_E_INVALID);
        ck_assert_status(tunnelcap_esp_resync(pair.in, pair.lane, NULL, 1), TUNNELCAP_E_INVALID);
        ck_assert_status(tunnelcap_esp_resync(pair.in, pair.lane, &pkt, 0), TUNNELCAP_E_INVALID);
        test_pkt_free(&pkt);
        test_pair_close(&pair);
    }
}
END_TEST

START_TEST(without_a_window_numbers_may_repeat_and_wrap)
{
    tunnelcap_transform gcm = test_gcm();
    tunnelcap_esp_config out = end(TUNNELCAP_ESP_OUT), in = end(TUNNELCAP_ESP_IN);
    test_pair pair;
    make_inner();
    in.replay_mode = TUNNELCAP_REPLAY_OFF;
    in.replay_window = 0;
    test_pair_make(&pair, &gcm, &out, &in);
    tunnelcap_pkt pkt = test_sealed(&pair, &inner);
    for (uint32_t i = 0; i < 3; i++)
        ck_assert_status(test_arrives(&pair, &pkt), TUNNELCAP_OK);
    ck_assert_uint_eq(test_esp_state(pair.in).packets, 3);
    test_pkt_free(&pkt);
    tunnelcap_esp_free(pair.out);
    out.seq_start = UINT32_MAX;
    pair.out = test_esp_new(&out, &gcm, &pair.toy.crypto);
    pkt = test_sealed(&pair, &inner);
    ck_assert_status(test_arrives(&pair, &pkt), TUNNELCAP_OK);
    test_pkt_free(&pkt);
    tunnelcap_esp_free(pair.out);
    out.seq_start = 5;
    pair.out = test_esp_new(&out, &gcm, &pair.toy.crypto);
    pkt = test_sealed(&pair, &inner);
    ck_assert_status(test_arrives(&pair, &pkt), TUNNELCAP_OK);
    test_pkt_free(&pkt);
    test_pair_close(&pair);
}
END_TEST

START_TEST(the_window_has_the_edges_of_the_kernels)
{
    enum { W = 64, N = 2 * W };
    static tunnelcap_pkt pkts[N + 1];
    tunnelcap_transform gcm = test_gcm();
    test_pair pair;
    make_inner();
    test_pair_open(&pair, &gcm, 0, TUNNELCAP_ESP_TUNNEL);
    for (uint32_t seq = 1; seq <= N; seq++)
        pkts[seq] = test_sealed(&pair, &inner);
    ck_assert_status(test_arrives(&pair, &pkts[N]), TUNNELCAP_OK);
    ck_assert_status(test_arrives(&pair, &pkts[N - W]), TUNNELCAP_E_REPLAY);
    ck_assert_status(test_arrives(&pair, &pkts[N - W + 1]), TUNNELCAP_OK);
    ck_assert_status(test_arrives(&pair, &pkts[N - W + 1]), TUNNELCAP_E_REPLAY);
    ck_assert_status(test_arrives(&pair, &pkts[N]), TUNNELCAP_E_REPLAY);
    for (uint32_t seq = 1; seq <= N; seq++)
        test_pkt_free(&pkts[seq]);
    test_pair_close(&pair);
}
END_TEST

START_TEST(takeover_goes_on_where_the_other_stood)
{
    tunnelcap_transform gcm = test_gcm();
    tunnelcap_esp_config out = end(TUNNELCAP_ESP_OUT), in = end(TUNNELCAP_ESP_IN);
    test_pair pair;
    tunnelcap_pkt pkts[10];
    make_inner();
    test_pair_make(&pair, &gcm, &out, &in);
    for (uint32_t i = 0; i < 10; i++)
        pkts[i] = test_sealed(&pair, &inner);
    for (uint32_t i = 0; i < 6; i++)
        ck_assert_status(test_arrives(&pair, &pkts[i]), TUNNELCAP_OK);
    in.seq_start = test_esp_state(pair.in).seq;
    tunnelcap_esp_free(pair.in);
    pair.in = test_esp_new(&in, &gcm, &pair.toy.crypto);
    for (uint32_t i = 0; i < 10; i++) {
        ck_assert_status(test_arrives(&pair, &pkts[i]), i < 6 ? TUNNELCAP_E_REPLAY : TUNNELCAP_OK);
        test_pkt_free(&pkts[i]);
    }
    test_pair_close(&pair);
}
END_TEST

Suite *test_esp_life_suite(void)
{
    const TTest *tests[] = {
        numbers_end_with_a_warning_and_then_a_refusal_and_never_wrap,
        a_burst_over_the_end_is_cut_there,
        packet_limits_warn_and_end_at_both_ends,
        an_inbound_sa_ends_at_its_own_limits,
        byte_limits_count_encrypted_text,
        time_is_the_callers,
        the_iv_runs_along_with_the_number,
        resumed_ivs_end_before_they_wrap,
        a_senders_ivs_never_reach_the_next_senders,
        no_iv_is_used_twice_whatever_fails,
        implicit_ivs_are_the_numbers_and_survive_the_wrap,
        the_wrap_is_crossed_both_ways,
        the_high_half_is_authenticated,
        resync_finds_the_number_again,
        without_a_window_numbers_may_repeat_and_wrap,
        the_window_has_the_edges_of_the_kernels,
        takeover_goes_on_where_the_other_stood,
    };
    return test_suite("esp_life", tests, TEST_COUNT(tests));
}
