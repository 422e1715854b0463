/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Lanes on one SA at the same time: run under ThreadSanitizer too. Threads only count; the main
 * thread judges. */
#include "esp_kit.h"

#include <pthread.h>

enum { LANES = 4, BURST = 8, ROUNDS = 250, EACH = BURST * ROUNDS, ALL = LANES * EACH };
enum { PACKET = 60, ROOM = 64, WIRE = PACKET + 2 * ROOM };

static uint8_t storage[ALL][WIRE];
static tunnelcap_pkt pkts[ALL];
static test_frame inner;

typedef struct job {
    tunnelcap_esp *esp;
    tunnelcap_lane *lane;
    uint32_t first; /* packet */
    uint32_t step;  /* from one burst to the next */
    uint32_t count; /* packets in all */
    uint32_t done;
    bool out;
} job;

static void *work(void *arg)
{
    job *j = arg;
    for (uint32_t i = 0; i < j->count; i += BURST) {
        tunnelcap_pkt *burst = &pkts[(j->first + i / BURST * j->step) % ALL];
        j->done += j->out ? tunnelcap_esp_encap(j->esp, j->lane, burst, NULL, 0, BURST)
                          : tunnelcap_esp_decap(j->esp, j->lane, burst, NULL, 0, NULL, BURST);
    }
    return NULL;
}

static uint32_t run(job *jobs)
{
    pthread_t threads[LANES];
    uint32_t done = 0;
    for (size_t i = 0; i < LANES; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &jobs[i]), 0);
    for (size_t i = 0; i < LANES; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        done += jobs[i].done;
    }
    return done;
}

static void fill(void)
{
    test_ip ip = test_between("10.0.0.1", "10.0.0.2");
    test_udp_packet(&inner, &ip, PACKET - 28);
    for (size_t i = 0; i < ALL; i++) {
        memcpy(storage[i] + ROOM, inner.bytes, PACKET);
        pkts[i] = (tunnelcap_pkt){storage[i], WIRE, ROOM, PACKET, 0, NULL};
    }
}

static void seal_all(test_pair *pair, tunnelcap_lane **lanes)
{
    job jobs[LANES];
    fill();
    for (uint32_t i = 0; i < LANES; i++)
        jobs[i] = (job){pair->out, lanes[i], i * EACH, BURST, EACH, 0, true};
    ck_assert_uint_eq(run(jobs), ALL);
}

START_TEST(no_number_and_no_iv_is_given_out_twice)
{
    if (test_lanes_max() < LANES)
        return; /* this build serves one thread */
    tunnelcap_transform gcm = test_gcm();
    static uint8_t seen[ALL + 1];
    test_pair pair;
    tunnelcap_lane *lanes[LANES];
    test_pair_open(&pair, &gcm, 0, TUNNELCAP_ESP_TUNNEL);
    for (size_t i = 0; i < LANES; i++)
        lanes[i] = test_crypto_lane(&pair.toy.crypto, BURST);
    seal_all(&pair, lanes);
    memset(seen, 0, sizeof(seen));
    for (size_t i = 0; i < ALL; i++) {
        const uint8_t *p = pkts[i].buf + pkts[i].off;
        uint32_t seq = test_load32(p + 24);
        if (seq == 0 || seq > ALL || seen[seq]++ || test_load64(p + 28) != seq)
            ck_abort_msg("number %u, IV %ju", seq, (uintmax_t)test_load64(p + 28));
    }
    ck_assert_uint_eq(test_esp_state(pair.out).seq, ALL + 1);
    ck_assert_uint_eq(test_esp_state(pair.out).packets, ALL);
    for (size_t i = 0; i < LANES; i++)
        tunnelcap_lane_free(lanes[i]);
    test_pair_close(&pair);
}
END_TEST

START_TEST(the_end_of_the_numbers_is_the_end_for_all_lanes)
{
    if (test_lanes_max() < LANES)
        return; /* this build serves one thread */
    tunnelcap_transform gcm = test_gcm();
    tunnelcap_esp_config out = test_esp_config(TUNNELCAP_ESP_OUT, "192.0.2.1", "192.0.2.2");
    tunnelcap_esp_config in = test_esp_config(TUNNELCAP_ESP_IN, "192.0.2.1", "192.0.2.2");
    test_pair pair;
    job jobs[LANES];
    out.hard_packets = ALL / 2 + 3;
    test_pair_make(&pair, &gcm, &out, &in);
    fill();
    for (uint32_t i = 0; i < LANES; i++)
        jobs[i] = (job){
            pair.out, test_crypto_lane(&pair.toy.crypto, BURST), i * EACH, BURST, EACH, 0, true};
    ck_assert_uint_eq(run(jobs), ALL / 2 + 3);
    ck_assert_uint_eq(test_esp_state(pair.out).packets_left, 0);
    for (size_t i = 0; i < LANES; i++)
        tunnelcap_lane_free(jobs[i].lane);
    test_pair_close(&pair);
}
END_TEST

START_TEST(every_packet_is_accepted_once_however_lanes_race_for_it)
{
    if (test_lanes_max() < LANES)
        return;
    /* Every lane gets a copy of every packet; each number passes on one of them. The window holds
     * all, so that none is lost for being late. */
    enum { PART = ALL / LANES };
    tunnelcap_transform gcm = test_gcm();
    tunnelcap_esp_config out = test_esp_config(TUNNELCAP_ESP_OUT, "192.0.2.1", "192.0.2.2");
    tunnelcap_esp_config in = test_esp_config(TUNNELCAP_ESP_IN, "192.0.2.1", "192.0.2.2");
    for (uint32_t small = 0; small < 2; small++) {
        test_pair pair;
        tunnelcap_lane *lanes[LANES];
        job jobs[LANES];
        in.replay_window = small ? 32 : 65536;
        test_pair_make(&pair, &gcm, &out, &in);
        for (size_t i = 0; i < LANES; i++)
            lanes[i] = test_crypto_lane(&pair.toy.crypto, BURST);
        seal_all(&pair, lanes);
        /* The packets of lane 0, four times over. */
        for (size_t i = PART; i < ALL; i++) {
            memcpy(storage[i], storage[i % PART], WIRE);
            pkts[i].off = pkts[i % PART].off;
            pkts[i].len = pkts[i % PART].len;
        }
        for (uint32_t i = 0; i < LANES; i++)
            jobs[i] = (job){pair.in, lanes[i], i * PART, BURST, PART, 0, false};
        uint32_t done = run(jobs);
        if (small)
            ck_assert_uint_le(done, PART);
        else
            ck_assert_uint_eq(done, PART);
        ck_assert_uint_eq(test_esp_state(pair.in).packets, done);
        for (size_t i = 0; i < PART; i++) {
            uint32_t times = 0;
            for (size_t k = 0; k < LANES; k++)
                times += pkts[i + k * PART].status == TUNNELCAP_OK;
            if (times > 1)
                ck_abort_msg("packet %zu was accepted %u times", i, times);
        }
        for (size_t i = 0; i < LANES; i++)
            tunnelcap_lane_free(lanes[i]);
        test_pair_close(&pair);
    }
}
END_TEST

Suite *test_esp_threads_suite(void)
{
    const TTest *tests[] = {
        no_number_and_no_iv_is_given_out_twice,
        the_end_of_the_numbers_is_the_end_for_all_lanes,
        every_packet_is_accepted_once_however_lanes_race_for_it,
    };
    return test_suite("esp_threads", tests, TEST_COUNT(tests));
}
