/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Bursts that span SAs: each packet fares as it would alone, in one run of the provider. */
#include "esp_kit.h"

enum { SAS = 6, BURST = 24, LANE_BURST = 16, BUFFER = 512, ROOM = 128 };

/* SAs of all kinds, on a provider of their own; two worlds with the same steps are the same. */
typedef struct world {
    test_toy toy;
    tunnelcap_lane *lane;
    tunnelcap_esp *out[SAS];
    tunnelcap_esp *in[SAS];
    uint8_t bytes[BURST][BUFFER];
    tunnelcap_pkt pkts[BURST];
    tunnelcap_esp_rx rx[BURST];
} world;

static void open_world(world *w, uint64_t hard_packets)
{
    static const struct {
        uint32_t row, flags;
        uint8_t mode;
    } kinds[SAS] = {
        {2, 0, TUNNELCAP_ESP_TUNNEL},
        {2, TUNNELCAP_ESP_UDP, TUNNELCAP_ESP_TUNNEL},
        {10, TUNNELCAP_ESP_ESN, TUNNELCAP_ESP_TUNNEL},
        {15, 0, TUNNELCAP_ESP_TUNNEL},
        {2, 0, TUNNELCAP_ESP_TRANSPORT},
        {20, TUNNELCAP_ESP_UDP, TUNNELCAP_ESP_TRANSPORT},
    };
    const tunnelcap_crypto *crypto = test_toy_init(&w->toy);
    w->lane = test_crypto_lane(crypto, LANE_BURST);
    for (uint32_t i = 0; i < SAS; i++) {
        tunnelcap_transform transform = test_transform_of(&test_suites[kinds[i].row]);
        tunnelcap_esp_config out = test_esp_config(TUNNELCAP_ESP_OUT, "192.0.2.1", "192.0.2.2");
        tunnelcap_esp_config in = test_esp_config(TUNNELCAP_ESP_IN, "192.0.2.1", "192.0.2.2");
        if (kinds[i].mode == TUNNELCAP_ESP_TRANSPORT) {
            memset(&out.outer.local, 0, sizeof(out.outer.local));
            memset(&in.outer.local, 0, sizeof(in.outer.local));
        }
        out.spi = in.spi = TEST_SPI + i;
        out.mode = in.mode = kinds[i].mode;
        out.flags = in.flags = kinds[i].flags;
        out.hard_packets = hard_packets;
        transform.encr_key[0] = (uint8_t)i;
        w->out[i] = test_esp_new(&out, &transform, crypto);
        w->in[i] = test_esp_new(&in, &transform, crypto);
    }
}

static void close_world(world *w)
{
    for (uint32_t i = 0; i < SAS; i++) {
        tunnelcap_esp_free(w->out[i]);
        tunnelcap_esp_free(w->in[i]);
    }
    tunnelcap_lane_free(w->lane);
}

/* A packet that all SAs take; each has other bytes. */
static void make_packet(world *w, uint32_t i, uint32_t payload)
{
    static test_frame frame;
    test_ip ip = test_between("10.0.0.1", "10.0.0.2");
    ip.id = (uint16_t)i;
    test_udp_packet(&frame, &ip, payload);
    memcpy(w->bytes[i] + ROOM, frame.bytes, frame.len);
    w->pkts[i] = (tunnelcap_pkt){.buf = w->bytes[i], .cap = BUFFER, .off = ROOM, .len = frame.len};
}

static void copy_packet(tunnelcap_pkt *to, const tunnelcap_pkt *from)
{
    memcpy(to->buf, from->buf, from->cap);
    to->off = from->off;
    to->len = from->len;
    to->cap = from->cap;
}

static void check_same(const world *a, const world *b, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        ck_assert_status(a->pkts[i].status, b->pkts[i].status);
        ck_assert_uint_eq(a->pkts[i].off, b->pkts[i].off);
        ck_assert_uint_eq(a->pkts[i].len, b->pkts[i].len);
        if (a->pkts[i].status != TUNNELCAP_E_REPLAY) /* alone, a copy is not even decrypted */
            ck_assert_mem_eq(a->bytes[i], b->bytes[i], BUFFER);
        if (a->pkts[i].status == TUNNELCAP_OK)
            ck_assert_mem_eq(&a->rx[i], &b->rx[i], sizeof(a->rx[i]));
    }
}

/* Seal a burst with a batch in one world and one by one in the other; a third of the packets is
 * changed on the way, or comes twice; unseal them likewise. */
static void check_burst(world *batch, world *alone, test_random *random)
{
    uint32_t n = 1 + test_below(random, BURST), which[BURST], ok = 0;
    tunnelcap_esp *sas[BURST];
    memset(batch->rx, 0, sizeof(batch->rx));
    memset(alone->rx, 0, sizeof(alone->rx));
    for (uint32_t i = 0; i < n; i++) {
        uint32_t payload = test_below(random, 200);
        which[i] = i > 0 && test_below(random, 3) == 0 ? which[i - 1] : test_below(random, SAS);
        sas[i] = batch->out[which[i]];
        make_packet(batch, i, payload);
        if (test_below(random, 8) == 0)
            batch->pkts[i].len--; /* truncated */
        make_packet(alone, i, payload);
        copy_packet(&alone->pkts[i], &batch->pkts[i]);
    }
    for (uint32_t i = 0; i < n; i++)
        ok += tunnelcap_esp_encap(alone->out[which[i]], alone->lane, &alone->pkts[i], NULL, 0, 1);
    ck_assert_uint_eq(tunnelcap_esp_encap_batch(sas, batch->lane, batch->pkts, NULL, 0, n), ok);
    check_same(batch, alone, n);

    for (uint32_t i = 0; i < n; i++) {
        uint32_t from = test_below(random, i + 1);
        sas[i] = batch->in[which[i]];
        if (test_below(random, 6) == 0) {
            batch->bytes[i][batch->pkts[i].off + batch->pkts[i].len - 1] ^= 1;
        } else if (test_below(random, 6) == 0) {
            which[i] = which[from];
            sas[i] = sas[from];
            copy_packet(&batch->pkts[i], &batch->pkts[from]);
        }
        copy_packet(&alone->pkts[i], &batch->pkts[i]);
    }
    ok = 0;
    for (uint32_t i = 0; i < n; i++)
        ok += tunnelcap_esp_decap(alone->in[which[i]], alone->lane, &alone->pkts[i], NULL, 0,
                                  &alone->rx[i], 1);
    ck_assert_uint_eq(
        tunnelcap_esp_decap_batch(sas, batch->lane, batch->pkts, NULL, 0, batch->rx, n), ok);
    check_same(batch, alone, n);
}

START_TEST(packets_of_a_batch_fare_as_they_would_alone)
{
    static world batch, alone;
    test_random random = {303};
    open_world(&batch, 0);
    open_world(&alone, 0);
    for (uint32_t i = 0; i < 200; i++)
        check_burst(&batch, &alone, &random);
    for (uint32_t i = 0; i < SAS; i++) {
        tunnelcap_esp_state a = test_esp_state(batch.out[i]), b = test_esp_state(alone.out[i]);
        ck_assert_mem_eq(&a, &b, sizeof(a));
        a = test_esp_state(batch.in[i]), b = test_esp_state(alone.in[i]);
        ck_assert_mem_eq(&a, &b, sizeof(a));
        ck_assert_uint_gt(a.packets, 0);
    }
    close_world(&batch);
    close_world(&alone);
}
END_TEST

/* SAs 0, 1, ... in turn. */
static void in_turn(tunnelcap_esp **sas, tunnelcap_esp *const *all, uint32_t kinds)
{
    for (uint32_t i = 0; i < BURST; i++)
        sas[i] = all[i % kinds];
}

START_TEST(a_batch_is_one_run_of_the_provider)
{
    static world w;
    tunnelcap_esp *sas[BURST];
    open_world(&w, 0);
    in_turn(sas, w.out, SAS);
    for (uint32_t i = 0; i < BURST; i++)
        make_packet(&w, i, i);
    ck_assert_uint_eq(tunnelcap_esp_encap_batch(sas, w.lane, w.pkts, NULL, 0, BURST), BURST);
    ck_assert_uint_eq(w.toy.runs, 2); /* the lane holds 16 */
    ck_assert_uint_eq(w.toy.longest, LANE_BURST);
    in_turn(sas, w.in, SAS);
    ck_assert_uint_eq(tunnelcap_esp_decap_batch(sas, w.lane, w.pkts, NULL, 0, NULL, BURST), BURST);
    ck_assert_uint_eq(w.toy.runs, 4);
    ck_assert_uint_eq(w.toy.longest, LANE_BURST);
    close_world(&w);
}
END_TEST

START_TEST(an_sa_that_runs_out_stops_its_own_packets_alone)
{
    static world w;
    tunnelcap_esp *sas[BURST];
    open_world(&w, 5);
    in_turn(sas, w.out, 2);
    sas[BURST - 1] = w.out[2];
    for (uint32_t i = 0; i < BURST; i++)
        make_packet(&w, i, 50);
    test_snapshot refused = test_snap(&w.pkts[10]);
    ck_assert_uint_eq(tunnelcap_esp_encap_batch(sas, w.lane, w.pkts, NULL, 0, BURST), 11);
    for (uint32_t i = 0; i < BURST; i++)
        ck_assert_status(w.pkts[i].status,
                         i < 10 || i == BURST - 1 ? TUNNELCAP_OK : TUNNELCAP_E_EXPIRED);
    w.pkts[10].status = refused.pkt.status;
    test_unchanged(&refused, &w.pkts[10]);
    ck_assert_uint_eq(test_esp_state(w.out[0]).packets, 5);
    ck_assert_uint_eq(test_esp_state(w.out[0]).packets_left, 0);
    ck_assert_uint_eq(test_esp_state(w.out[2]).packets, 1);
    close_world(&w);
}
END_TEST

START_TEST(copies_within_a_batch_pass_once)
{
    static world w;
    tunnelcap_esp *sas[BURST];
    open_world(&w, 0);
    in_turn(sas, w.out, 2);
    for (uint32_t i = 0; i < BURST; i++)
        make_packet(&w, i, 50);
    ck_assert_uint_eq(tunnelcap_esp_encap_batch(sas, w.lane, w.pkts, NULL, 0, 4), 4);
    for (uint32_t i = 4; i < 12; i++)
        copy_packet(&w.pkts[i], &w.pkts[i % 4]);
    in_turn(sas, w.in, 2);
    ck_assert_uint_eq(tunnelcap_esp_decap_batch(sas, w.lane, w.pkts, NULL, 0, NULL, 12), 4);
    for (uint32_t i = 0; i < 12; i++)
        ck_assert_status(w.pkts[i].status, i < 4 ? TUNNELCAP_OK : TUNNELCAP_E_REPLAY);
    close_world(&w);
}
END_TEST

START_TEST(packets_without_a_usable_sa_are_refused_and_unchanged)
{
    static world w;
    static test_toy other;
    tunnelcap_transform gcm = test_gcm();
    tunnelcap_esp_config config = test_esp_config(TUNNELCAP_ESP_OUT, "192.0.2.1", "192.0.2.2");
    open_world(&w, 0);
    tunnelcap_esp *foreign_out = test_esp_new(&config, &gcm, test_toy_init(&other));
    config.direction = TUNNELCAP_ESP_IN;
    tunnelcap_esp *foreign_in = test_esp_new(&config, &gcm, &other.crypto);
    tunnelcap_esp *out[] = {w.out[0], NULL, w.in[0], foreign_out, w.out[1]};
    tunnelcap_esp *in[] = {w.in[0], NULL, w.out[0], foreign_in, w.in[1]};
    test_snapshot snaps[5];
    for (uint32_t i = 0; i < 5; i++) {
        make_packet(&w, i, 50);
        snaps[i] = test_snap(&w.pkts[i]);
    }
    ck_assert_uint_eq(tunnelcap_esp_encap_batch(out, w.lane, w.pkts, NULL, 0, 5), 2);
    for (uint32_t decap = 0; decap < 2; decap++) {
        for (uint32_t i = 0; i < 5; i++) {
            bool good = i == 0 || i == 4;
            ck_assert_status(w.pkts[i].status, good ? TUNNELCAP_OK : TUNNELCAP_E_INVALID);
            if (good)
                continue;
            w.pkts[i].status = snaps[i].pkt.status;
            test_unchanged(&snaps[i], &w.pkts[i]);
            snaps[i] = test_snap(&w.pkts[i]);
        }
        if (!decap)
            ck_assert_uint_eq(tunnelcap_esp_decap_batch(in, w.lane, w.pkts, NULL, 0, NULL, 5), 2);
    }
    for (uint32_t i = 0; i < 5; i++)
        free(snaps[i].bytes);
    tunnelcap_esp_free(foreign_out);
    tunnelcap_esp_free(foreign_in);
    close_world(&w);
}
END_TEST

START_TEST(batches_without_arguments_do_nothing)
{
    static world w;
    open_world(&w, 0);
    make_packet(&w, 0, 50);
    w.pkts[0].status = 77;
    ck_assert_uint_eq(tunnelcap_esp_encap_batch(NULL, w.lane, w.pkts, NULL, 0, 1), 0);
    ck_assert_uint_eq(tunnelcap_esp_encap_batch(w.out, NULL, w.pkts, NULL, 0, 1), 0);
    ck_assert_uint_eq(tunnelcap_esp_encap_batch(w.out, w.lane, NULL, NULL, 0, 1), 0);
    ck_assert_uint_eq(tunnelcap_esp_encap_batch(w.out, w.lane, w.pkts, NULL, 0, 0), 0);
    ck_assert_uint_eq(tunnelcap_esp_decap_batch(NULL, w.lane, w.pkts, NULL, 0, NULL, 1), 0);
    ck_assert_uint_eq(tunnelcap_esp_decap_batch(w.in, NULL, w.pkts, NULL, 0, NULL, 1), 0);
    ck_assert_uint_eq(tunnelcap_esp_decap_batch(w.in, w.lane, NULL, NULL, 0, NULL, 1), 0);
    ck_assert_uint_eq(tunnelcap_esp_decap_batch(w.in, w.lane, w.pkts, NULL, 0, NULL, 0), 0);
    ck_assert_int_eq(w.pkts[0].status, 77);
    ck_assert_uint_eq(w.toy.runs, 0);
    close_world(&w);
}
END_TEST

Suite *test_esp_batch_suite(void)
{
    const TTest *tests[] = {
        packets_of_a_batch_fare_as_they_would_alone,           a_batch_is_one_run_of_the_provider,
        an_sa_that_runs_out_stops_its_own_packets_alone,       copies_within_a_batch_pass_once,
        packets_without_a_usable_sa_are_refused_and_unchanged, batches_without_arguments_do_nothing,
    };
    return test_suite("esp_batch", tests, TEST_COUNT(tests));
}
