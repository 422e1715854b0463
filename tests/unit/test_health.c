/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Tunnel health: timed scripts, a model that keeps every sample, and the payload of probes. */
#include "support.h"

static const uint64_t MS = 1000000, S = 1000000000;

enum { DOWN = TUNNELCAP_HEALTH_DOWN, DEGRADED, HEALTHY };

static tunnelcap_health_config config_of(uint32_t interval_ms)
{
    tunnelcap_health_config config;
    test_ok(tunnelcap_health_config_init(&config, sizeof(config)));
    config.interval_ms = interval_ms;
    return config;
}

static tunnelcap_health *health_new(uint32_t interval_ms)
{
    tunnelcap_health_config config = config_of(interval_ms);
    tunnelcap_health *health = NULL;
    test_ok(tunnelcap_health_new(&config, test_alloc(), &health));
    return health;
}

static tunnelcap_health_info info_of(const tunnelcap_health *health)
{
    tunnelcap_health_info info;
    test_ok(tunnelcap_health_get_info(health, &info, sizeof(info)));
    return info;
}

START_TEST(config_init_fills_the_documented_defaults)
{
    tunnelcap_health_config config, want;
    memset(&config, 0xff, sizeof(config));
    memset(&want, 0, sizeof(want));
    want.size = sizeof(want);
    want.interval_ms = 10000;
    want.timeout_ms = 500;
    want.window_ms = 300000;
    want.degraded_ppm = 1000;
    want.degraded_failures = 2;
    want.down_window_ms = 1000;
    want.down_samples = 3;
    want.up_samples = 3;
    want.clean_samples = 30;
    want.dwell_ms = 300000;
    want.state = HEALTHY;
    test_ok(tunnelcap_health_config_init(&config, sizeof(config)));
    ck_assert_mem_eq(&config, &want, sizeof(want));
    ck_assert_status(tunnelcap_health_config_init(NULL, sizeof(config)), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_health_config_init(&config, sizeof(config) - 1),
                     TUNNELCAP_E_VERSION);
}
END_TEST

START_TEST(init_works_at_the_exact_size_and_refuses_one_byte_less)
{
    tunnelcap_health_config config = config_of(1000);
    size_t size = tunnelcap_health_size(&config);
    ck_assert_uint_gt(size, 0);
    ck_assert_uint_eq(size % 64, 0);
    uint8_t *mem = test_arena(size);
    tunnelcap_health *health = NULL;
    ck_assert_status(tunnelcap_health_init(mem, size - 1, &config, &health), TUNNELCAP_E_NOMEM);
    ck_assert_status(tunnelcap_health_init(NULL, size, &config, &health), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_health_init(mem + 1, size, &config, &health), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_health_init(mem, size, NULL, &health), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_health_init(mem, size, &config, NULL), TUNNELCAP_E_INVALID);
    ck_assert_ptr_null(health);
    test_ok(tunnelcap_health_init(mem, size, &config, &health));
    tunnelcap_health_due due;
    test_ok(tunnelcap_health_tick(health, 5 * S, &due));
    tunnelcap_health_fini(health);
    for (size_t i = 0; i < size; i++)
        ck_assert_uint_eq(mem[i], 0);
    test_arena_free(mem);
    tunnelcap_health_fini(NULL);
}
END_TEST

START_TEST(new_takes_its_memory_from_the_allocator)
{
    tunnelcap_health_config config = config_of(1000);
    tunnelcap_health *health = NULL;
    test_alloc_refuse_after(0);
    ck_assert_status(tunnelcap_health_new(&config, test_alloc(), &health), TUNNELCAP_E_NOMEM);
    ck_assert_status(tunnelcap_health_new(NULL, NULL, &health), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_health_new(&config, NULL, NULL), TUNNELCAP_E_INVALID);
    ck_assert_ptr_null(health);
    test_ok(tunnelcap_health_new(&config, NULL, &health));
    tunnelcap_health_free(health);
    tunnelcap_health_free(NULL);
}
END_TEST

#define REFUSE(want, change)                                                                       \
    do {                                                                                           \
        tunnelcap_health_config config = config_of(10000);                                         \
        tunnelcap_health *health = NULL;                                                           \
        change;                                                                                    \
        void *caller = test_copy(&config, sizeof(config));                                         \
        ck_assert_status(tunnelcap_health_new(caller, test_alloc(), &health), want);               \
        ck_assert_ptr_null(health);                                                                \
        ck_assert_uint_eq(tunnelcap_health_size(caller), 0);                                       \
        free(caller);                                                                              \
    } while (0)

START_TEST(configurations_are_refused_with_their_reason)
{
    REFUSE(TUNNELCAP_E_VERSION, config.size--);
    REFUSE(TUNNELCAP_E_FLAGS, config.flags = 1);
    REFUSE(TUNNELCAP_E_MODE, config.state = 3);
    REFUSE(TUNNELCAP_E_RESERVED, config.reserved[6] = 1);
    REFUSE(TUNNELCAP_E_RANGE, config.timeout_ms = 0);
    REFUSE(TUNNELCAP_E_RANGE, config.timeout_ms = 1000);
    REFUSE(TUNNELCAP_E_RANGE, config.interval_ms = 499);
    REFUSE(TUNNELCAP_E_RANGE, config.interval_ms = 3600001);
    REFUSE(TUNNELCAP_E_RANGE, config.window_ms = 299);
    REFUSE(TUNNELCAP_E_RANGE, config.window_ms = 3600001);
    REFUSE(TUNNELCAP_E_RANGE, config.degraded_ppm = 0);
    REFUSE(TUNNELCAP_E_RANGE, config.degraded_ppm = 1000001);
    REFUSE(TUNNELCAP_E_RANGE, config.degraded_failures = 0);
    REFUSE(TUNNELCAP_E_RANGE, config.degraded_failures = 1001);
    REFUSE(TUNNELCAP_E_RANGE, config.down_window_ms = 499);
    REFUSE(TUNNELCAP_E_RANGE, config.down_window_ms = 60001);
    REFUSE(TUNNELCAP_E_RANGE, config.down_samples = 0);
    REFUSE(TUNNELCAP_E_RANGE, config.down_samples = 4);
    REFUSE(TUNNELCAP_E_RANGE, config.up_samples = 0);
    REFUSE(TUNNELCAP_E_RANGE, config.up_samples = 33);
    REFUSE(TUNNELCAP_E_RANGE, config.clean_samples = 0);
    REFUSE(TUNNELCAP_E_RANGE, config.clean_samples = 33);
    REFUSE(TUNNELCAP_E_RANGE, config.dwell_ms = 3600001);
}
END_TEST

/* ---- a run of probes against a path ---- */

/* What becomes of a probe that is sent at a time: 1 if it is answered. */
typedef bool path_of(uint64_t now_ns);

static bool path_good(uint64_t now_ns)
{
    (void)now_ns;
    return true;
}

static bool path_dead(uint64_t now_ns)
{
    (void)now_ns;
    return false;
}

enum { RTT_MS = 40, AWAITED = 8 };

/* A caller: sends what is due, answers after 40 ms what the path lets through. */
typedef struct caller {
    tunnelcap_health *health;
    uint64_t now_ns;
    uint64_t next_ns;
    uint64_t answer_ns[AWAITED]; /* 0: none */
    uint32_t answer_seq[AWAITED];
    uint32_t sent;
    uint32_t changes;
} caller;

static void send_due(caller *c, const tunnelcap_health_due *due, path_of *path)
{
    for (uint32_t n = 0; n < due->count; n++) {
        c->sent++;
        for (uint32_t i = 0; i < AWAITED && path(c->now_ns); i++) {
            if (c->answer_ns[i] == 0) {
                c->answer_ns[i] = c->now_ns + RTT_MS * MS;
                c->answer_seq[i] = due->seq + n;
                break;
            }
        }
    }
    ck_assert_uint_gt(due->next_ns, c->now_ns);
    c->next_ns = due->next_ns;
}

/* Run until a time, from event to event. */
static void run_until(caller *c, uint64_t end_ns, path_of *path)
{
    for (;;) {
        tunnelcap_health_due due;
        uint64_t next_ns = c->next_ns;
        uint32_t answer = AWAITED;
        for (uint32_t i = 0; i < AWAITED; i++) {
            if (c->answer_ns[i] != 0 && c->answer_ns[i] <= next_ns) {
                next_ns = c->answer_ns[i];
                answer = i;
            }
        }
        if (next_ns > end_ns)
            return;
        c->now_ns = next_ns;
        int32_t status;
        if (answer < AWAITED) {
            status = tunnelcap_health_answer(c->health, c->answer_seq[answer], c->now_ns, &due);
            c->answer_ns[answer] = 0;
        } else {
            status = tunnelcap_health_tick(c->health, c->now_ns, &due);
        }
        ck_assert_int_ge(status, TUNNELCAP_OK);
        c->changes += status == TUNNELCAP_CHANGED;
        send_due(c, &due, path);
    }
}

static caller caller_of(uint32_t interval_ms)
{
    caller c = {.health = health_new(interval_ms), .now_ns = 1000 * S, .next_ns = 1000 * S};
    return c;
}

START_TEST(a_good_path_stays_healthy_at_the_configured_rate)
{
    caller c = caller_of(1000);
    run_until(&c, 1600 * S, path_good);
    tunnelcap_health_info info = info_of(c.health);
    ck_assert_uint_eq(c.sent, 601);
    ck_assert_uint_eq(c.changes, 0);
    ck_assert_uint_eq(info.state, HEALTHY);
    ck_assert_uint_eq(info.since_ns, 0);
    ck_assert_uint_eq(info.sent, 601);
    ck_assert_uint_eq(info.answered, 600);
    ck_assert_uint_eq(info.failed, 0);
    ck_assert_uint_eq(info.samples, 299); /* of 299 seconds and the one that begins */
    ck_assert_uint_eq(info.rtt_last_ns, 40 * MS);
    ck_assert_uint_eq(info.rtt_ns, 40 * MS);
    ck_assert_uint_eq(info.jitter_ns, 0);
    ck_assert_uint_eq(info.loss_ppm, 0);
    tunnelcap_health_free(c.health);
}
END_TEST

START_TEST(a_dead_path_is_down_one_time_out_after_the_first_failure)
{
    for (uint32_t interval = 1000; interval <= 60000; interval += 59000) {
        caller c = caller_of(interval);
        run_until(&c, 1300 * S + 500 * MS, path_good);
        uint64_t cut_ns = c.next_ns - 1; /* right before a probe */
        run_until(&c, cut_ns + 500 * MS, path_dead);
        ck_assert_uint_eq(info_of(c.health).state, HEALTHY);
        run_until(&c, cut_ns + 1 + 1000 * MS, path_dead);
        tunnelcap_health_info info = info_of(c.health);
        ck_assert_uint_eq(info.state, DOWN);
        ck_assert_uint_eq(info.failed, 3);
        ck_assert_uint_eq(info.since_ns, cut_ns + 1 + 1000 * MS);
        /* Down, it is probed at the plain rate. */
        uint32_t sent = c.sent;
        run_until(&c, c.now_ns + 600 * S, path_dead);
        ck_assert_uint_eq(c.sent - sent, 600000 / interval);
        tunnelcap_health_free(c.health);
    }
}
END_TEST

START_TEST(three_successes_end_down_and_only_that)
{
    caller c = caller_of(10000);
    run_until(&c, 1100 * S + 500 * MS, path_dead);
    ck_assert_uint_eq(info_of(c.health).state, DOWN);
    uint64_t mend_ns = c.next_ns;
    uint32_t sent = c.sent;
    run_until(&c, mend_ns + 79 * MS, path_good); /* one success, two more on their way */
    ck_assert_uint_eq(info_of(c.health).state, DOWN);
    ck_assert_uint_eq(c.sent - sent, 3);
    run_until(&c, mend_ns + 80 * MS, path_good);
    ck_assert_uint_eq(info_of(c.health).state, DEGRADED);
    ck_assert_uint_eq(info_of(c.health).since_ns, mend_ns + 80 * MS);
    tunnelcap_health_free(c.health);
}
END_TEST

START_TEST(degraded_ends_after_five_minutes_thirty_clean_samples_and_an_old_loss)
{
    /* At one a second the 30 samples are there long before; the failures of the time before
     * leave the window five minutes after they came. */
    caller c = caller_of(1000);
    run_until(&c, 1010 * S, path_good);
    run_until(&c, 1020 * S, path_dead);
    ck_assert_uint_eq(info_of(c.health).state, DOWN);
    run_until(&c, 1022 * S, path_good);
    tunnelcap_health_info info = info_of(c.health);
    ck_assert_uint_eq(info.state, DEGRADED);
    run_until(&c, info.since_ns + 300 * S - 1, path_good);
    ck_assert_uint_eq(info_of(c.health).state, DEGRADED);
    run_until(&c, info.since_ns + 302 * S, path_good);
    ck_assert_uint_eq(info_of(c.health).state, HEALTHY);
    tunnelcap_health_free(c.health);

    /* At one a minute 30 clean samples take half an hour. */
    c = caller_of(60000);
    run_until(&c, 1010 * S, path_dead);
    ck_assert_uint_eq(info_of(c.health).state, DOWN);
    run_until(&c, 1070 * S, path_good);
    info = info_of(c.health);
    ck_assert_uint_eq(info.state, DEGRADED);
    run_until(&c, 1060 * S + 27 * 60 * S, path_good); /* three of them, and 26 */
    ck_assert_uint_eq(info_of(c.health).state, DEGRADED);
    run_until(&c, 1060 * S + 28 * 60 * S, path_good);
    ck_assert_uint_eq(info_of(c.health).state, HEALTHY);
    tunnelcap_health_free(c.health);
}
END_TEST

static bool path_loses_one_in_100(uint64_t now_ns)
{
    return now_ns % (100 * S) >= 500 * MS; /* a probe, not its repetitions */
}

START_TEST(steady_loss_is_degraded_without_flapping)
{
    caller c = caller_of(1000);
    run_until(&c, 1000 * S + 3600 * S, path_loses_one_in_100);
    ck_assert_uint_eq(info_of(c.health).state, DEGRADED);
    ck_assert_uint_eq(c.changes, 1);
    tunnelcap_health_free(c.health);
}
END_TEST

static bool path_loses_one_in_an_hour(uint64_t now_ns)
{
    return now_ns % (3600 * S) >= 500 * MS;
}

START_TEST(a_single_loss_changes_nothing)
{
    caller c = caller_of(1000);
    run_until(&c, 9000 * S, path_loses_one_in_an_hour);
    ck_assert_uint_eq(info_of(c.health).failed, 2);
    ck_assert_uint_eq(c.changes, 0);
    tunnelcap_health_free(c.health);
}
END_TEST

START_TEST(answers_that_nobody_awaits_are_told_apart)
{
    tunnelcap_health *health = health_new(10000);
    tunnelcap_health_due due;
    test_ok(tunnelcap_health_tick(health, S, &due));
    ck_assert_uint_eq(due.count, 1);
    ck_assert_uint_eq(due.next_ns, S + 500 * MS);
    ck_assert_status(tunnelcap_health_answer(health, due.seq + 1, S, &due), TUNNELCAP_E_NOT_FOUND);
    test_ok(tunnelcap_health_answer(health, 0, S + 10, &due));
    ck_assert_status(tunnelcap_health_answer(health, 0, S + 11, &due), TUNNELCAP_E_NOT_FOUND);
    ck_assert_uint_eq(due.next_ns, 11 * S);
    test_ok(tunnelcap_health_tick(health, 11 * S, &due));
    ck_assert_uint_eq(due.seq, 1);
    /* At its deadline a probe has failed; the answer comes too late, and two more are due. */
    ck_assert_status(tunnelcap_health_answer(health, 1, 11 * S + 500 * MS, &due),
                     TUNNELCAP_E_NOT_FOUND);
    ck_assert_uint_eq(due.count, 2);
    ck_assert_uint_eq(due.seq, 2);
    ck_assert_uint_eq(info_of(health).failed, 1);
    ck_assert_uint_eq(info_of(health).answered, 1);
    ck_assert_status(tunnelcap_health_answer(NULL, 1, S, &due), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_health_answer(health, 1, S, NULL), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_health_tick(NULL, S, &due), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_health_tick(health, S, NULL), TUNNELCAP_E_INVALID);
    tunnelcap_health_free(health);
}
END_TEST

START_TEST(a_clock_that_leaps_makes_up_for_nothing)
{
    tunnelcap_health *health = health_new(1000);
    tunnelcap_health_due due;
    test_ok(tunnelcap_health_tick(health, 100 * S, &due));
    test_ok(tunnelcap_health_answer(health, 0, 100 * S + 1, &due));
    test_ok(tunnelcap_health_tick(health, 50 * S, &due)); /* backwards: stands still */
    ck_assert_uint_eq(due.count, 0);
    ck_assert_uint_eq(due.next_ns, 101 * S);
    test_ok(tunnelcap_health_tick(health, UINT64_MAX / 2, &due));
    ck_assert_uint_eq(due.count, 1);
    ck_assert_uint_eq(due.next_ns, UINT64_MAX / 2 + 500 * MS);
    ck_assert_uint_eq(info_of(health).samples, 0);
    tunnelcap_health_free(health);
}
END_TEST

START_TEST(round_trips_are_smoothed)
{
    tunnelcap_health *health = health_new(1000);
    tunnelcap_health_due due;
    test_ok(tunnelcap_health_tick(health, S, &due));
    test_ok(tunnelcap_health_answer(health, 0, S + 80 * MS, &due));
    test_ok(tunnelcap_health_tick(health, 2 * S, &due));
    test_ok(tunnelcap_health_answer(health, 1, 2 * S + 160 * MS, &due));
    tunnelcap_health_info info = info_of(health);
    ck_assert_uint_eq(info.rtt_ns, 90 * MS);
    ck_assert_uint_eq(info.rtt_last_ns, 160 * MS);
    ck_assert_uint_eq(info.jitter_ns, 5 * MS);
    ck_assert_status(tunnelcap_health_get_info(NULL, &info, sizeof(info)), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_health_get_info(health, NULL, sizeof(info)), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_health_get_info(health, &info, sizeof(info) - 1),
                     TUNNELCAP_E_VERSION);
    tunnelcap_health_free(health);
}
END_TEST

/* ---- a model that keeps every sample ---- */

enum { MODEL_MAX = 1200 };

typedef struct model {
    struct {
        uint64_t at_ns;
        bool ok;
    } samples[MODEL_MAX];
    uint32_t count;
    uint32_t state;
    uint64_t since_ns;
} model;

static bool model_lossy(const model *m, uint64_t now_ns)
{
    uint32_t samples = 0, failures = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        if (m->samples[i].at_ns / S + 300 > now_ns / S) {
            samples++;
            failures += !m->samples[i].ok;
        }
    }
    return failures >= 2 && failures * 1000u >= samples;
}

static void model_judge(model *m, uint64_t now_ns)
{
    uint32_t state = m->state, recent = 0, good = 0, row = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        bool is_recent = now_ns - m->samples[i].at_ns <= S;
        recent += is_recent;
        good += is_recent && m->samples[i].ok;
        row = m->samples[i].ok ? row + 1 : 0;
    }
    if (recent >= 3 && good == 0)
        state = DOWN;
    else if (state == DOWN)
        state = row >= 3 ? DEGRADED : DOWN;
    else if (state == HEALTHY)
        state = model_lossy(m, now_ns) ? DEGRADED : HEALTHY;
    else if (now_ns - m->since_ns >= 300 * S && row >= 30 && !model_lossy(m, now_ns))
        state = HEALTHY;
    if (state != m->state) {
        m->state = state;
        m->since_ns = now_ns;
    }
}

static void model_note(model *m, uint64_t at_ns, bool ok)
{
    ck_assert_uint_lt(m->count, MODEL_MAX);
    m->samples[m->count].at_ns = at_ns;
    m->samples[m->count++].ok = ok;
    model_judge(m, at_ns);
}

static uint32_t random_next(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

START_TEST(random_paths_agree_with_a_model_that_keeps_every_sample)
{
    static model m;
    for (uint32_t round = 0; round < 20; round++) {
        uint32_t random = round + 1, loss = 0, seen = 0;
        tunnelcap_health *health = health_new(1000);
        uint64_t sent_ns[8] = {0}, now_ns = 1000 * S;
        uint32_t seqs[8] = {0};
        bool awaited[8] = {false};
        memset(&m, 0, sizeof(m));
        m.state = HEALTHY;
        while (m.count < MODEL_MAX - 8) {
            tunnelcap_health_due due;
            /* Paths are good, bad or dead for a while. */
            if (random_next(&random) % 400 == 0)
                loss = (uint32_t[]){0, 0, 0, 2, 100, 1000}[random_next(&random) % 6];
            uint32_t answer = 8;
            for (uint32_t i = 0; i < 8; i++) {
                if (awaited[i] && now_ns - sent_ns[i] >= 500 * MS) {
                    awaited[i] = false;
                    model_note(&m, sent_ns[i] + 500 * MS, false);
                } else if (awaited[i] && random_next(&random) % 1000 >= loss) {
                    answer = i;
                }
            }
            if (answer < 8) {
                awaited[answer] = false;
                model_note(&m, now_ns, true);
                ck_assert_int_ge(tunnelcap_health_answer(health, seqs[answer], now_ns, &due), 0);
            } else {
                ck_assert_int_ge(tunnelcap_health_tick(health, now_ns, &due), 0);
            }
            model_judge(&m, now_ns);
            tunnelcap_health_info info = info_of(health);
            ck_assert_uint_eq(info.state, m.state);
            ck_assert_uint_eq(info.since_ns, m.since_ns);
            seen |= 1u << m.state;
            for (uint32_t n = 0; n < due.count; n++) {
                uint32_t i = 0;
                while (awaited[i])
                    i++;
                awaited[i] = true;
                sent_ns[i] = now_ns;
                seqs[i] = due.seq + n;
            }
            /* What is not answered at once is not answered at all. */
            bool lost = random_next(&random) % 1000 < loss;
            now_ns = lost || due.next_ns < now_ns + 20 * MS || due.count == 0 ? due.next_ns
                                                                              : now_ns + 20 * MS;
        }
        ck_assert_uint_ne(seen, 0);
        tunnelcap_health_free(health);
    }
}
END_TEST

START_TEST(states_cost_priority)
{
    ck_assert_uint_eq(tunnelcap_health_penalty(HEALTHY), 0);
    ck_assert_uint_eq(tunnelcap_health_penalty(DEGRADED), 500000);
    ck_assert_uint_eq(tunnelcap_health_penalty(DOWN), 1000000);
    ck_assert_uint_eq(tunnelcap_health_penalty(3), 1000000);
}
END_TEST

/* ---- payloads ---- */

static const uint8_t probe_key[TUNNELCAP_PROBE_KEY] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                       8, 9, 10, 11, 12, 13, 14, 15};
static const tunnelcap_probe probe = {0x0102030405060708, 0x1112131415161718, 0x2122232425262728,
                                      0x31323334, 0x41424344};

START_TEST(a_probe_payload_has_the_documented_bytes)
{
    /* The last eight are what OpenSSL's SIPHASH makes of the others. */
    static const uint8_t want[TUNNELCAP_PROBE_SIZE] = {
        'T',  'C',  'P',  'R',  1,    0,    0,    0,    0x01, 0x02, 0x03, 0x04,
        0x05, 0x06, 0x07, 0x08, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18,
        0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28, 0x31, 0x32, 0x33, 0x34,
        0x41, 0x42, 0x43, 0x44, 0xc6, 0x59, 0xfc, 0xf1, 0x88, 0x67, 0x24, 0x92};
    uint8_t payload[TUNNELCAP_PROBE_SIZE];
    test_ok(tunnelcap_probe_write(&probe, probe_key, payload));
    ck_assert_mem_eq(payload, want, sizeof(want));
    tunnelcap_probe got;
    uint8_t *copy = test_copy(payload, sizeof(payload));
    test_ok(tunnelcap_probe_read(copy, sizeof(payload), probe_key, &got));
    ck_assert_mem_eq(&got, &probe, sizeof(got));
    free(copy);
    ck_assert_status(tunnelcap_probe_write(NULL, probe_key, payload), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_probe_write(&probe, NULL, payload), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_probe_write(&probe, probe_key, NULL), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_probe_read(NULL, 48, probe_key, &got), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_probe_read(payload, 48, NULL, &got), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_probe_read(payload, 48, probe_key, NULL), TUNNELCAP_E_INVALID);
}
END_TEST

START_TEST(a_changed_or_cut_payload_is_refused)
{
    uint8_t payload[TUNNELCAP_PROBE_SIZE];
    test_ok(tunnelcap_probe_write(&probe, probe_key, payload));
    for (uint32_t len = 0; len < sizeof(payload); len++) {
        tunnelcap_probe got = {7, 7, 7, 7, 7};
        uint8_t *cut = test_copy(payload, len);
        ck_assert_status(tunnelcap_probe_read(cut, len, probe_key, &got), TUNNELCAP_E_PROTOCOL);
        ck_assert_uint_eq(got.tunnel, 7);
        free(cut);
    }
    for (uint32_t bit = 0; bit < 8 * sizeof(payload); bit++) {
        tunnelcap_probe got = {7, 7, 7, 7, 7};
        payload[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_status(tunnelcap_probe_read(payload, sizeof(payload), probe_key, &got),
                         bit < 64 ? TUNNELCAP_E_PROTOCOL : TUNNELCAP_E_AUTH);
        ck_assert_uint_eq(got.tunnel, 7);
        payload[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}
END_TEST

Suite *test_health_suite(void)
{
    const TTest *tests[] = {
        config_init_fills_the_documented_defaults,
        init_works_at_the_exact_size_and_refuses_one_byte_less,
        new_takes_its_memory_from_the_allocator,
        configurations_are_refused_with_their_reason,
        a_good_path_stays_healthy_at_the_configured_rate,
        a_dead_path_is_down_one_time_out_after_the_first_failure,
        three_successes_end_down_and_only_that,
        degraded_ends_after_five_minutes_thirty_clean_samples_and_an_old_loss,
        steady_loss_is_degraded_without_flapping,
        a_single_loss_changes_nothing,
        answers_that_nobody_awaits_are_told_apart,
        a_clock_that_leaps_makes_up_for_nothing,
        round_trips_are_smoothed,
        random_paths_agree_with_a_model_that_keeps_every_sample,
        states_cost_priority,
        a_probe_payload_has_the_documented_bytes,
        a_changed_or_cut_payload_is_refused,
    };
    return test_suite("health", tests, TEST_COUNT(tests));
}
