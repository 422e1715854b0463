/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Plain packets of plain SAs go by a path of their own. A meta that asks for something keeps a
 * packet off it; so both paths can be made to do the same work. */
#include "esp.h" /* whether a job was plain */
#include "esp_kit.h"

enum { BURST = 8, BUFFER = 512, ROOM = 128 };

typedef struct world {
    tunnelcap_esp *esp;
    tunnelcap_lane *lane;
    uint8_t bytes[BURST][BUFFER];
    tunnelcap_pkt pkts[BURST];
} world;

static void open_world(world *w, const tunnelcap_crypto *toy, const test_suite_row *row,
                       uint32_t flags, uint8_t df_mode)
{
    tunnelcap_esp_config config = test_esp_config(TUNNELCAP_ESP_OUT, "192.0.2.1", "192.0.2.2");
    tunnelcap_transform transform = test_transform_of(row);
    config.flags = flags;
    config.outer.df_mode = df_mode;
    config.soft_packets = 11;
    config.hard_packets = 100;
    w->esp = test_esp_new(&config, &transform, toy);
    w->lane = test_crypto_lane(toy, BURST);
}

static void close_world(world *w)
{
    tunnelcap_esp_free(w->esp);
    tunnelcap_lane_free(w->lane);
}

/* IPv4 of any TOS and length, more bytes behind it than it owns, as much room as comes; now and
 * then something wrong. */
static void make(test_random *random, uint8_t *bytes, tunnelcap_pkt *pkt)
{
    uint32_t len = 20 + test_below(random, 90);
    for (uint32_t i = 0; i < BUFFER; i++)
        bytes[i] = (uint8_t)test_next(random);
    uint8_t *p = bytes + ROOM;
    p[0] = 0x45;
    p[2] = 0;
    p[3] = (uint8_t)len;
    *pkt = (tunnelcap_pkt){.buf = bytes, .cap = BUFFER, .off = ROOM};
    pkt->len = len + test_below(random, 4);
    switch (test_below(random, 40)) {
    case 0:
        p[0] = (uint8_t)test_next(random);
        break;
    case 1:
        p[3] = (uint8_t)test_next(random);
        break;
    case 2:
        pkt->cap = ROOM + len + test_below(random, 40);
        if (pkt->cap < ROOM + pkt->len)
            pkt->cap = ROOM + pkt->len;
        break;
    case 3:
        pkt->len = test_below(random, len);
        break;
    }
}

/* Returns how many were plain. */
static uint32_t check_burst(world *plain, world *measured, test_random *random)
{
    static const tunnelcap_meta asking = {.flags = TUNNELCAP_META_CSUM_VALID};
    uint32_t n = 1 + test_below(random, BURST), plain_ones = 0;
    for (uint32_t i = 0; i < BURST; i++)
        tunnelcap_i_esp_jobs(plain->lane)[i].plain = 0;
    for (uint32_t i = 0; i < n; i++) {
        make(random, plain->bytes[i], &plain->pkts[i]);
        memcpy(measured->bytes[i], plain->bytes[i], BUFFER);
        measured->pkts[i] = plain->pkts[i];
        measured->pkts[i].buf = measured->bytes[i];
    }
    uint32_t ok = tunnelcap_esp_encap(plain->esp, plain->lane, plain->pkts, NULL, 0, n);
    ck_assert_uint_eq(
        tunnelcap_esp_encap(measured->esp, measured->lane, measured->pkts, &asking, 0, n), ok);
    for (uint32_t i = 0; i < n; i++) {
        const tunnelcap_pkt *a = &plain->pkts[i], *b = &measured->pkts[i];
        ck_assert_status(a->status, b->status);
        ck_assert_uint_eq(a->off, b->off);
        ck_assert_uint_eq(a->len, b->len);
        ck_assert_mem_eq(a->buf, b->buf, a->off + a->len);
        ck_assert_uint_eq(tunnelcap_i_esp_jobs(measured->lane)[i].plain, 0);
        plain_ones += tunnelcap_i_esp_jobs(plain->lane)[i].plain;
    }
    return plain_ones;
}

START_TEST(plain_packets_become_what_measured_ones_do)
{
    static const uint32_t flags[] = {0, TUNNELCAP_ESP_ESN, TUNNELCAP_ESP_UDP};
    static world plain, measured;
    test_random random = {2026};
    for (uint32_t row = 0; row < test_suites_count; row++) {
        for (uint32_t f = 0; f < TEST_COUNT(flags); f++) {
            test_toy toy;
            const tunnelcap_crypto *crypto = test_toy_init(&toy);
            uint8_t df_mode = (uint8_t)((row + f) % 3);
            bool may = test_suites[row].counter_mode && test_suites[row].iv_len != 0 &&
                       df_mode != TUNNELCAP_DF_CLEAR;
            uint32_t plain_ones = 0;
            open_world(&plain, crypto, &test_suites[row], flags[f], df_mode);
            open_world(&measured, crypto, &test_suites[row], flags[f], df_mode);
            for (uint32_t i = 0; i < 40; i++) /* beyond the hard limit */
                plain_ones += check_burst(&plain, &measured, &random);
            if (may)
                ck_assert_uint_gt(plain_ones, 50);
            else
                ck_assert_uint_eq(plain_ones, 0);
            close_world(&plain);
            close_world(&measured);
        }
    }
}
END_TEST

Suite *test_esp_plain_suite(void)
{
    const TTest *tests[] = {plain_packets_become_what_measured_ones_do};
    return test_suite("esp_plain", tests, TEST_COUNT(tests));
}
