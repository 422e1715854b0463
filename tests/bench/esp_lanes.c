/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Two lanes at the same time, on two processors: on one SA, or on one each. The provider does
 * nothing, so that what is left is the library's own work; the difference is what it costs to
 * share sequence numbers, replay window and counters.
 *
 * Lanes take turns by bursts, as packets of one SA do that a network card spreads over queues. The
 * window holds all numbers of a round, however far one lane runs ahead.
 */
#define _GNU_SOURCE /* pthread_setaffinity_np() */
#include "esp.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"

enum { LANES = 2, BURSTS = 1000, ROUNDS_MAX = 400, SIZE = 64, TAIL = 64, SPI = 0x1000 };
enum { WINDOW = 65536, ESP_SEQ_AT = IPV4_HEADER + 4 };

/* ---- a provider that does nothing ---- */

static size_t key_size(void *self, const tunnelcap_transform *transform)
{
    (void)self, (void)transform;
    return 1;
}

static int32_t key_init(void *self, void *key, const tunnelcap_transform *transform)
{
    (void)self, (void)key, (void)transform;
    return TUNNELCAP_OK;
}

static void key_fini(void *self, void *key)
{
    (void)self, (void)key;
}

static size_t lane_size(void *self, uint32_t max_burst, uint32_t key_slots)
{
    (void)self, (void)max_burst, (void)key_slots;
    return 1;
}

static int32_t lane_init(void *self, void *lane, uint32_t max_burst, uint32_t key_slots)
{
    (void)self, (void)lane, (void)max_burst, (void)key_slots;
    return TUNNELCAP_OK;
}

static void lane_forget(void *self, void *lane, const void *key)
{
    (void)self, (void)lane, (void)key;
}

static void lane_fini(void *self, void *lane)
{
    (void)self, (void)lane;
}

static void pass(void *self, void *lane, tunnelcap_crypto_op *const *ops, uint32_t n)
{
    (void)self, (void)lane;
    for (uint32_t i = 0; i < n; i++)
        ops[i]->status = TUNNELCAP_OK;
}

static const tunnelcap_crypto nothing = {
    .size = sizeof(nothing),
    .name = "nothing",
    .key_size = key_size,
    .key_init = key_init,
    .key_fini = key_fini,
    .lane_size = lane_size,
    .lane_init = lane_init,
    .lane_forget = lane_forget,
    .lane_fini = lane_fini,
    .seal = pass,
    .unseal = pass,
};

/* ---- lanes ---- */

/* What two lanes do in a round. */
struct way {
    bool out, shared, replay;
    uint32_t lanes;
    double samples[ROUNDS_MAX];
};

struct worker {
    const struct way *way;
    tunnelcap_esp *esp;
    tunnelcap_lane *lane;
    int cpu;
    uint32_t index;
    uint32_t good;
    bool pinned;
    double ns;
    atomic_uint *ready;
    tunnelcap_pkt pkts[BATCH];
    uint8_t bytes[BATCH][512];
};

static tunnelcap_esp *make_sa(bool out, bool replay)
{
    tunnelcap_transform transform = {
        .size = sizeof(transform), .encr = TUNNELCAP_ENCR_AES_GCM_16, .encr_key_len = 16};
    tunnelcap_esp_config config;
    tunnelcap_esp *esp = NULL;

    tunnelcap_esp_config_init(&config, sizeof(config));
    config.direction = out ? TUNNELCAP_ESP_OUT : TUNNELCAP_ESP_IN;
    config.nonce_origin = out ? TUNNELCAP_NONCE_FRESH_KEY : TUNNELCAP_NONCE_UNSET;
    config.replay_mode = replay ? TUNNELCAP_REPLAY_WINDOW : TUNNELCAP_REPLAY_OFF;
    config.replay_window = WINDOW;
    config.spi = SPI;
    config.outer.local = (tunnelcap_addr){.family = TUNNELCAP_IPV4, .bytes = {192, 0, 2, 1}};
    config.outer.remote = (tunnelcap_addr){.family = TUNNELCAP_IPV4, .bytes = {192, 0, 2, 2}};
    if (!out) {
        config.outer.local.bytes[3] = 2;
        config.outer.remote.bytes[3] = 1;
    }
    if (tunnelcap_esp_new(&config, &transform, &nothing, NULL, &esp) != TUNNELCAP_OK)
        bench_fail("SA");
    return esp;
}

/* Burst `number` of all lanes: of the same packets, whose text nobody changes. */
static uint32_t run_burst(struct worker *w, uint32_t number, uint32_t len)
{
    for (uint32_t i = 0; i < BATCH; i++) {
        w->pkts[i].off = HEADROOM;
        w->pkts[i].len = len;
        if (!w->way->out)
            hand_store32(w->bytes[i] + HEADROOM + ESP_SEQ_AT, number * BATCH + i + 1);
    }
    return w->way->out ? tunnelcap_esp_encap(w->esp, w->lane, w->pkts, NULL, 0, BATCH)
                       : tunnelcap_esp_decap(w->esp, w->lane, w->pkts, NULL, 0, NULL, BATCH);
}

static void *work_lane(void *arg)
{
    struct worker *w = arg;
    uint32_t len = w->pkts[0].len;
    cpu_set_t set;
    double begin;

    CPU_ZERO(&set);
    CPU_SET((size_t)w->cpu, &set);
    w->pinned = pthread_setaffinity_np(pthread_self(), sizeof(set), &set) == 0;
    atomic_fetch_add(w->ready, 1);
    while (atomic_load(w->ready) < w->way->lanes)
        sched_yield();
    begin = bench_now_ns();
    for (uint32_t i = 0; i < BURSTS; i++)
        w->good += run_burst(w, i * LANES + w->index, len);
    w->ns = bench_now_ns() - begin;
    return NULL;
}

/* Packets of this round: inner ones, or what the far end makes of them. */
static void fill(struct worker *w)
{
    tunnelcap_esp *far_end = make_sa(true, false);

    for (uint32_t i = 0; i < BATCH; i++) {
        uint8_t *p = w->bytes[i] + HEADROOM;

        w->pkts[i] = (tunnelcap_pkt){
            .buf = w->bytes[i], .cap = sizeof(w->bytes[i]), .off = HEADROOM, .len = SIZE};
        p[0] = 0x45;
        hand_store16(p + 2, SIZE);
        if (w->way->out)
            continue;
        if (tunnelcap_esp_encap(far_end, w->lane, &w->pkts[i], NULL, 0, 1) != 1)
            bench_fail("the far end refuses to make packets");
        memmove(p, w->bytes[i] + w->pkts[i].off, w->pkts[i].len);
        w->pkts[i].off = HEADROOM;
    }
    tunnelcap_esp_free(far_end);
}

/* One round; false where the lanes cannot have a processor each. */
static bool run_round(struct worker *workers, struct way *way, uint32_t round)
{
    pthread_t threads[LANES];
    tunnelcap_esp *sas[LANES];
    atomic_uint ready = 0;
    bool pinned = true;
    double ns = 0;

    for (uint32_t i = 0; i < way->lanes; i++) {
        struct worker *w = &workers[i];

        sas[i] = i > 0 && way->shared ? NULL : make_sa(way->out, way->replay);
        w->way = way;
        w->esp = sas[i] != NULL ? sas[i] : sas[0];
        w->good = 0;
        w->ready = &ready;
        fill(w);
    }
    for (uint32_t i = 0; i < way->lanes; i++)
        if (pthread_create(&threads[i], NULL, work_lane, &workers[i]) != 0)
            bench_fail("no thread");
    for (uint32_t i = 0; i < way->lanes; i++) {
        pthread_join(threads[i], NULL);
        pinned &= workers[i].pinned;
        ns += workers[i].ns;
        if (workers[i].good != BURSTS * BATCH)
            bench_fail("the library refuses packets of the bench");
    }
    for (uint32_t i = 0; i < way->lanes; i++)
        tunnelcap_esp_free(sas[i]);
    way->samples[round] = ns / ((double)way->lanes * BURSTS * BATCH);
    return pinned;
}

/* Two lanes that have nothing in common are to do 1.8 times what one does. */
#define TWO_LANES_GOAL (2 / 1.8)

/* All ways of one direction in turn: shared, one each, one each without a replay window, and one
 * lane alone. */
static void compare_lanes(struct worker *workers, bool out, double seconds, bench_row *row)
{
    enum { SHARED, OWN, BARE, ALONE, WAYS };
    static struct way ways[WAYS];
    const char *direction = out ? "encap" : "decap";
    double begin = bench_now_ns();
    double ns[WAYS];
    uint32_t rounds = 0;
    char name[64];

    for (uint32_t i = 0; i < WAYS; i++)
        ways[i] = (struct way){.out = out,
                               .shared = i == SHARED,
                               .replay = i != BARE && !out,
                               .lanes = i == ALONE ? 1 : LANES};
    while (rounds < 15 || (rounds < ROUNDS_MAX && bench_now_ns() - begin < seconds * 1e9)) {
        for (uint32_t i = 0; i < WAYS; i++) {
            if (!run_round(workers, &ways[i], rounds)) {
                fputs("tunnelcap-bench: lanes need two processors: left out\n", stderr);
                return;
            }
        }
        rounds++;
    }
    for (uint32_t i = 0; i < WAYS; i++)
        ns[i] = bench_median(ways[i].samples, rounds);
    snprintf(name, sizeof(name), "esp-lanes-%s/own", direction);
    row(name, SIZE, BATCH, ns[OWN], "one lane", ns[ALONE], TWO_LANES_GOAL);
    snprintf(name, sizeof(name), "esp-lanes-%s/shared", direction);
    row(name, SIZE, BATCH, ns[SHARED], "an SA each", ns[OWN], 0);
    snprintf(name, sizeof(name), "esp-lanes-%s/numbers", direction);
    row(name, SIZE, BATCH, ns[SHARED] - ns[BARE], "20 ns", 20, 1);
}

void bench_esp_lanes(const char *only, double seconds, bench_row *row)
{
    bool encap = only == NULL || strstr("esp-lanes-encap", only) != NULL;
    bool decap = only == NULL || strstr("esp-lanes-decap", only) != NULL;
    static const uint8_t seed[TUNNELCAP_SEED_SIZE] = {6, 5, 4, 3};
    static struct worker workers[LANES];
    tunnelcap_lane_config config;

    if (!encap && !decap)
        return;
    if (sysconf(_SC_NPROCESSORS_ONLN) < LANES) {
        fputs("tunnelcap-bench: lanes need two processors: left out\n", stderr);
        return;
    }
    for (uint32_t i = 0; i < LANES; i++) {
        tunnelcap_lane_config_init(&config, sizeof(config));
        config.index = (uint16_t)i;
        config.count = LANES;
        config.max_burst = BATCH;
        workers[i].index = i;
        workers[i].cpu = (int)i;
        if (tunnelcap_lane_new(&config, seed, &nothing, NULL, &workers[i].lane) != TUNNELCAP_OK)
            bench_fail("lane");
    }
    if (encap)
        compare_lanes(workers, true, seconds, row);
    if (decap)
        compare_lanes(workers, false, seconds, row);
    for (uint32_t i = 0; i < LANES; i++)
        tunnelcap_lane_free(workers[i].lane);
}
