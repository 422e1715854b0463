/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Packets that are not what they should be: nothing is accepted, nothing moves, nothing leaks. */
#include "esp_kit.h"

static test_frame inner;

/* An inner packet that is easy to find again: no eight bytes of it are in its ciphertext. */
static void make_inner(void)
{
    test_ip ip = test_between("10.0.0.1", "10.0.0.2");
    test_udp_packet(&inner, &ip, 40);
}

static bool holds_plaintext(const tunnelcap_pkt *pkt)
{
    for (uint32_t at = 0; at + 8 <= pkt->cap; at++) {
        for (uint32_t from = 20; from + 8 <= inner.len; from += 8) {
            if (memcmp(pkt->buf + at, inner.bytes + from, 8) == 0)
                return true;
        }
    }
    return false;
}

/* Whether an SA hides what it carries. */
static bool hides(const test_pair *pair)
{
    return pair->transform.encr != TUNNELCAP_ENCR_NULL &&
           pair->transform.encr != TUNNELCAP_ENCR_AES_GMAC;
}

/* Feed a changed packet; it must be refused, and the SA stand where it stood. */
static void check_refused(test_pair *pair, const uint8_t *bytes, uint32_t len, const char *how,
                          uint32_t where)
{
    tunnelcap_esp_state before = test_esp_state(pair->in);
    tunnelcap_pkt pkt = test_pkt(bytes, len, 0);
    test_snapshot snap = test_snap(&pkt);
    tunnelcap_esp_rx rx;
    memset(&rx, 0x77, sizeof(rx));
    uint32_t done = tunnelcap_esp_decap(pair->in, pair->lane, &pkt, NULL, 0, &rx, 1);
    tunnelcap_esp_state after = test_esp_state(pair->in);
    if (done != 0 || pkt.status >= 0)
        ck_abort_msg("%s %u: accepted", how, where);
    if (memcmp(&before, &after, sizeof(before)) != 0)
        ck_abort_msg("%s %u: the SA has moved", how, where);
    if (pkt.off != snap.pkt.off || pkt.len != snap.pkt.len)
        ck_abort_msg("%s %u: the window has moved", how, where);
    if (pkt.status != TUNNELCAP_E_AUTH) { /* refused before decryption: unchanged */
        test_unchanged(&snap, &pkt);
    } else {
        if (hides(pair) && holds_plaintext(&pkt))
            ck_abort_msg("%s %u: plaintext left", how, where);
        free(snap.bytes);
    }
    for (size_t i = 0; i < sizeof(rx); i++) {
        if (((uint8_t *)&rx)[i] != 0x77)
            ck_abort_msg("%s %u: rx was written", how, where);
    }
    test_pkt_free(&pkt);
}

/* Over IPv4, whose header has a checksum, every bit counts. */
static void flip_all(test_pair *pair, const tunnelcap_pkt *pkt)
{
    uint8_t *copy = test_copy(pkt->buf, pkt->len);
    for (uint32_t at = 0; at < pkt->len; at++) {
        for (uint32_t bit = 0; bit < 9; bit++) {
            uint8_t mask = (uint8_t)(bit < 8 ? 1u << bit : 0xff);
            copy[at] = (uint8_t)(copy[at] ^ mask);
            check_refused(pair, copy, pkt->len, "flipped", at * 10 + bit);
            copy[at] = (uint8_t)(copy[at] ^ mask);
        }
    }
    free(copy);
}

START_TEST(no_prefix_of_a_packet_is_accepted)
{
    for (uint32_t i = 0; i < 2 * test_suites_count; i++) {
        tunnelcap_transform t = test_transform_of(&test_suites[i / 2]);
        test_pair pair;
        make_inner();
        test_pair_open(&pair, &t, i & 1 ? TUNNELCAP_ESP_UDP | TUNNELCAP_ESP_ESN : 0,
                       TUNNELCAP_ESP_TUNNEL);
        tunnelcap_pkt pkt = test_sealed(&pair, &inner);
        for (uint32_t len = 0; len < pkt.len; len++)
            check_refused(&pair, pkt.buf, len, "cut", len);
        ck_assert_status(test_arrives(&pair, &pkt), TUNNELCAP_OK);
        test_pkt_free(&pkt);
        test_pair_close(&pair);
    }
}
END_TEST

START_TEST(no_shortened_packet_with_right_lengths_is_accepted)
{
    for (uint32_t i = 0; i < test_suites_count; i++) {
        tunnelcap_transform t = test_transform_of(&test_suites[i]);
        test_pair pair;
        make_inner();
        test_pair_open(&pair, &t, 0, TUNNELCAP_ESP_TUNNEL);
        tunnelcap_pkt pkt = test_sealed(&pair, &inner);
        uint8_t *copy = test_copy(pkt.buf, pkt.len);
        for (uint32_t len = 20; len < pkt.len; len++) {
            test_store16(copy + 2, len);
            test_store16(copy + 10, 0);
            test_store16(copy + 10, (uint16_t)~test_sum(0, copy, 20));
            check_refused(&pair, copy, len, "shortened", len);
        }
        free(copy);
        ck_assert_status(test_arrives(&pair, &pkt), TUNNELCAP_OK);
        test_pkt_free(&pkt);
        test_pair_close(&pair);
    }
}
END_TEST

START_TEST(no_packet_with_a_flipped_bit_is_accepted)
{
    static const uint32_t rows[] = {2, 5, 7, 10, 12, 15, 20, 23, 24};
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        tunnelcap_transform t = test_transform_of(&test_suites[rows[i]]);
        test_pair pair;
        make_inner();
        test_pair_open(&pair, &t, i & 1 ? TUNNELCAP_ESP_ESN : 0, TUNNELCAP_ESP_TUNNEL);
        tunnelcap_pkt pkt = test_sealed(&pair, &inner);
        flip_all(&pair, &pkt);
        ck_assert_status(test_arrives(&pair, &pkt), TUNNELCAP_OK);
        flip_all(&pair, &pkt);
        test_pkt_free(&pkt);
        test_pair_close(&pair);
    }
}
END_TEST

START_TEST(garbage_is_refused)
{
    tunnelcap_transform gcm = test_gcm();
    test_random random = {7};
    test_pair pair;
    static uint8_t bytes[200];
    make_inner();
    test_pair_open(&pair, &gcm, 0, TUNNELCAP_ESP_TUNNEL);
    tunnelcap_pkt pkt = test_sealed(&pair, &inner);
    for (uint32_t i = 0; i < 3000; i++) {
        uint32_t len = test_below(&random, sizeof(bytes));
        for (uint32_t at = 0; at < len; at++)
            bytes[at] = (uint8_t)test_next(&random);
        if (i % 2 == 0 && len >= 28) { /* an honest header before it */
            memcpy(bytes, pkt.buf, 28);
            test_store16(bytes + 2, len);
            test_store16(bytes + 10, 0);
            test_store16(bytes + 10, (uint16_t)~test_sum(0, bytes, 20));
        }
        check_refused(&pair, bytes, len, "garbage", i);
    }
    test_pkt_free(&pkt);
    test_pair_close(&pair);
}
END_TEST

/* ---- verified, but wrong inside ---- */

static const test_suite_row clear_row = {.encr = TUNNELCAP_ENCR_NULL,
                                         .integ = TUNNELCAP_INTEG_HMAC_SHA1_96,
                                         .integ_key_len = 20,
                                         .weak = 1};

/* Seal any text under NULL encryption: as a peer with the key could. The toy computes the ICV. */
static tunnelcap_pkt seal_text(test_pair *pair, const uint8_t *text, uint32_t len)
{
    static uint8_t packet[4096];
    static uint32_t number;
    tunnelcap_transform t = test_transform_of(&clear_row);
    test_ip ip = test_between("192.0.2.1", "192.0.2.2");
    test_frame *frame = malloc(sizeof(*frame));
    const tunnelcap_crypto *crypto = &pair->toy.crypto;
    void *key = test_arena(crypto->key_size(crypto->self, &t));
    void *lane = test_arena(crypto->lane_size(crypto->self, 1, 1));
    ck_assert_ptr_nonnull(frame);
    memset(key, 0, crypto->key_size(crypto->self, &t));
    memset(lane, 0, crypto->lane_size(crypto->self, 1, 1));
    ck_assert_status(crypto->key_init(crypto->self, key, &t), TUNNELCAP_OK);
    ck_assert_status(crypto->lane_init(crypto->self, lane, 1, 1), TUNNELCAP_OK);
    test_store32(packet, TEST_SPI);
    test_store32(packet + 4, ++number);
    memcpy(packet + 8, text, len);
    tunnelcap_crypto_op op = {
        .key = key, .text = packet + 8, .icv = packet + 8 + len, .text_len = len, .head_len = 8};
    tunnelcap_crypto_op *ops = &op;
    memcpy(op.aad, packet, 8);
    crypto->seal(crypto->self, lane, &ops, 1);
    ck_assert_status(op.status, TUNNELCAP_OK);
    crypto->lane_fini(crypto->self, lane);
    crypto->key_fini(crypto->self, key);
    test_arena_free(lane);
    test_arena_free(key);
    frame->len = 0;
    test_push(frame, packet, 8 + len + 12);
    test_push_ip(frame, &ip, 50);
    tunnelcap_pkt pkt = test_pkt(frame->bytes, frame->len, 0);
    free(frame);
    return pkt;
}

/* The text of an inner packet, its padding and its next header as given. */
static int32_t try_text(test_pair *pair, const uint8_t *payload, uint32_t len, const uint8_t *pad,
                        uint8_t pad_len, uint8_t next_header)
{
    static uint8_t text[2048];
    static const uint8_t zeros[256];
    memcpy(text, payload, len);
    memcpy(text + len, pad, pad_len);
    text[len + pad_len] = pad_len;
    text[len + pad_len + 1] = next_header;
    tunnelcap_pkt pkt = seal_text(pair, text, len + pad_len + 2);
    uint64_t before = test_esp_state(pair->in).packets;
    int32_t status = test_esp_decap(pair->in, pair->lane, &pkt, NULL, NULL);
    /* Its number is verified, and so is spent; but nothing of it is left in the buffer. */
    ck_assert_uint_eq(test_esp_state(pair->in).packets, before + 1);
    if (status < 0)
        ck_assert_mem_eq(pkt.buf + 28, zeros, len + pad_len + 2 < 256 ? len + pad_len + 2 : 256);
    test_pkt_free(&pkt);
    return status;
}

START_TEST(padding_is_checked)
{
    tunnelcap_transform t = test_transform_of(&clear_row);
    test_pair pair;
    static uint8_t pad[255];
    make_inner();
    test_pair_open(&pair, &t, 0, TUNNELCAP_ESP_TUNNEL);
    for (uint32_t i = 0; i < sizeof(pad); i++)
        pad[i] = (uint8_t)(i + 1);
    for (uint32_t n = 0; n < 256; n += n < 10 ? 1 : 49)
        ck_assert_status(try_text(&pair, inner.bytes, inner.len, pad, (uint8_t)n, 4), TUNNELCAP_OK);
    for (uint32_t at = 0; at < 20; at++) {
        pad[at] ^= 0x40;
        ck_assert_status(try_text(&pair, inner.bytes, inner.len, pad, 20, 4), TUNNELCAP_E_PADDING);
        pad[at] ^= 0x40;
    }
    /* A pad length that runs out of the text. */
    uint8_t all[] = {1, 2, 3, 4, 5, 6, 7};
    ck_assert_status(try_text(&pair, all, 0, all, 2, 4), TUNNELCAP_E_TRUNCATED);
    uint8_t text[4] = {1, 2, 3, 4};
    tunnelcap_pkt pkt = seal_text(&pair, text, 4); /* pad length 3 of 2, next header 4 */
    ck_assert_status(test_esp_decap(pair.in, pair.lane, &pkt, NULL, NULL), TUNNELCAP_E_PADDING);
    test_pkt_free(&pkt);
    test_pair_close(&pair);
}
END_TEST

START_TEST(what_is_inside_must_be_what_the_trailer_says)
{
    tunnelcap_transform t = test_transform_of(&clear_row);
    static const uint8_t pad[4] = {1, 2, 3, 4};
    test_pair pair;
    make_inner();
    test_pair_open(&pair, &t, 0, TUNNELCAP_ESP_TUNNEL);
    ck_assert_status(try_text(&pair, inner.bytes, inner.len, pad, 2, 41), TUNNELCAP_E_MALFORMED);
    ck_assert_status(try_text(&pair, inner.bytes, inner.len, pad, 2, 17), TUNNELCAP_E_PROTOCOL);
    ck_assert_status(try_text(&pair, inner.bytes, inner.len, pad, 2, 59), TUNNELCAP_E_DUMMY);
    ck_assert_status(try_text(&pair, inner.bytes, inner.len, pad, 2, 47), TUNNELCAP_E_PROTOCOL);
    for (uint32_t len = 0; len < inner.len; len += 4)
        ck_assert(try_text(&pair, inner.bytes, len, pad, 2, 4) < 0);
    inner.bytes[0] = 0x44;
    ck_assert_status(try_text(&pair, inner.bytes, inner.len, pad, 2, 4), TUNNELCAP_E_MALFORMED);
    test_pair_close(&pair);
}
END_TEST

START_TEST(text_must_be_whole_blocks)
{
    tunnelcap_transform cbc = test_cbc_sha256();
    test_pair pair;
    make_inner();
    test_pair_open(&pair, &cbc, 0, TUNNELCAP_ESP_TUNNEL);
    tunnelcap_pkt pkt = test_sealed(&pair, &inner);
    for (uint32_t less = 1; less < 17; less++) {
        tunnelcap_pkt cut = test_pkt(pkt.buf, pkt.len - less, 0);
        test_store16(cut.buf + 2, cut.len);
        test_store16(cut.buf + 10, 0);
        test_store16(cut.buf + 10, (uint16_t)~test_sum(0, cut.buf, 20));
        ck_assert_status(test_esp_decap(pair.in, pair.lane, &cut, NULL, NULL),
                         less == 16 ? TUNNELCAP_E_AUTH : TUNNELCAP_E_MALFORMED);
        test_pkt_free(&cut);
    }
    test_pkt_free(&pkt);
    test_pair_close(&pair);
}
END_TEST

START_TEST(other_spis_addresses_and_protocols_are_others)
{
    tunnelcap_transform gcm = test_gcm();
    test_pair pair;
    make_inner();
    test_pair_open(&pair, &gcm, 0, TUNNELCAP_ESP_TUNNEL);
    tunnelcap_pkt pkt = test_sealed(&pair, &inner);
    static const struct {
        uint32_t at;
        uint8_t value;
        int32_t want;
    } rows[] = {{20, 0xff, TUNNELCAP_E_NO_TUNNEL}, /* SPI */
                {19, 0xff, TUNNELCAP_E_NO_TUNNEL}, /* destination */
                {9, 47, TUNNELCAP_E_PROTOCOL},     /* GRE */
                {6, 0x20, TUNNELCAP_E_FRAGMENT},   /* more fragments */
                {7, 0x10, TUNNELCAP_E_FRAGMENT},   /* an offset */
                {1, 0x02, TUNNELCAP_OK},           /* ECT(0) */
                {15, 0x63, TUNNELCAP_E_REPLAY}};   /* the source may be another; but is late */
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        tunnelcap_pkt copy = test_pkt(pkt.buf, pkt.len, 0);
        copy.buf[rows[i].at] = rows[i].value;
        if (rows[i].at < 20) {
            tunnelcap_pkt broken = test_pkt(copy.buf, copy.len, 0);
            int32_t first = test_esp_decap(pair.in, pair.lane, &broken, NULL, NULL);
            ck_assert(first == TUNNELCAP_E_CHECKSUM || first == rows[i].want);
            test_pkt_free(&broken);
        }
        test_store16(copy.buf + 10, 0);
        test_store16(copy.buf + 10, (uint16_t)~test_sum(0, copy.buf, 20));
        ck_assert_status(test_esp_decap(pair.in, pair.lane, &copy, NULL, NULL), rows[i].want);
        test_pkt_free(&copy);
    }
    test_pkt_free(&pkt);
    test_pair_close(&pair);
}
END_TEST

Suite *test_esp_hostile_suite(void)
{
    const TTest *tests[] = {
        no_prefix_of_a_packet_is_accepted,
        no_shortened_packet_with_right_lengths_is_accepted,
        no_packet_with_a_flipped_bit_is_accepted,
        garbage_is_refused,
        padding_is_checked,
        what_is_inside_must_be_what_the_trailer_says,
        text_must_be_whole_blocks,
        other_spis_addresses_and_protocols_are_others,
    };
    return test_suite("esp_hostile", tests, TEST_COUNT(tests));
}
