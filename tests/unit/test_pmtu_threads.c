/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Lanes that learn, answer, suspect and read while one writer ticks: run under ThreadSanitizer
 * too. Each thread judges for itself; only the main thread asserts. */
#include "atomic.h"

#include "pmtu_world.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { LANES = 2, TICKS = 4000, PATH = 1400 };

typedef struct crew {
    tunnelcap_pmtu *pmtu;
    tunnelcap_i_atomic64 now;
    tunnelcap_i_atomic64 token; /* of the probe that the path has carried */
    atomic_uint stop;
    atomic_uint next;
    atomic_uint odd; /* MTUs out of their bounds, statuses that cannot be */
    atomic_uint answered;
    atomic_uint learned;
} crew;

static void *work(void *arg)
{
    crew *c = arg;
    uint32_t self = atomic_fetch_add(&c->next, 1);
    test_random random = {self};
    while (!atomic_load(&c->stop)) {
        uint64_t now = TUNNELCAP_I_LOAD(c->now);
        uint64_t token = TUNNELCAP_I_LOAD(c->token);
        uint32_t mtu = tunnelcap_pmtu_get(c->pmtu);
        int32_t status;
        if (mtu < 576 || mtu > 1500)
            atomic_fetch_add(&c->odd, 1);
        if (token != 0) {
            status = tunnelcap_pmtu_answered(c->pmtu, token);
            if (status == TUNNELCAP_OK)
                atomic_fetch_add(&c->answered, 1);
            else if (status != TUNNELCAP_E_ICMP)
                atomic_fetch_add(&c->odd, 1);
        }
        if (test_below(&random, 400) == 0) {
            uint32_t before = tunnelcap_pmtu_get(c->pmtu);
            status = tunnelcap_pmtu_learn(c->pmtu, 576 + test_below(&random, 900), now);
            if (status == TUNNELCAP_CHANGED)
                atomic_fetch_add(&c->learned, 1);
            else if (status != TUNNELCAP_OK && status != TUNNELCAP_E_ICMP)
                atomic_fetch_add(&c->odd, 1);
            if (before < 576)
                atomic_fetch_add(&c->odd, 1);
        }
        if (test_below(&random, 1000) == 0 && tunnelcap_pmtu_suspect(c->pmtu) != TUNNELCAP_OK)
            atomic_fetch_add(&c->odd, 1);
        if (test_below(&random, 1000) == 0) {
            tunnelcap_pmtu_event event = {sizeof(event),       1000,  0, 0, TUNNELCAP_IPV4,
                                          TUNNELCAP_PMTU_ICMP, {0, 0}};
            if (tunnelcap_pmtu_import(c->pmtu, &event, now) < TUNNELCAP_OK)
                atomic_fetch_add(&c->odd, 1);
        }
    }
    return NULL;
}

START_TEST(lanes_learn_and_answer_while_the_writer_ticks)
{
    if (test_lanes_max() < LANES)
        return; /* no lock-free 64-bit atomics: one thread is all there is */
    static crew c;
    pthread_t threads[LANES];
    tunnelcap_pmtu_config config = test_path_config(TUNNELCAP_IPV4, 1500);
    tunnelcap_pmtu_probe probe;
    uint64_t next, now = 0;
    test_ok(tunnelcap_pmtu_new(&config, test_seed, test_alloc(), &c.pmtu));
    for (unsigned i = 0; i < LANES; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &c), 0);
    while (atomic_load(&c.next) < LANES)
        sched_yield();
    for (uint32_t tick = 0;
         tick < TICKS || atomic_load(&c.answered) == 0 || atomic_load(&c.learned) == 0; tick++) {
        int32_t status = tunnelcap_pmtu_tick(c.pmtu, now, &next, &probe);
        if (status != TUNNELCAP_OK && status != TUNNELCAP_CHANGED)
            atomic_fetch_add(&c.odd, 1);
        if (probe.size != 0)
            TUNNELCAP_I_STORE(c.token, probe.size <= PATH ? probe.token : 0);
        now += 10 * test_ms;
        TUNNELCAP_I_STORE(c.now, now);
        if (tick % 16 == 0)
            sched_yield();
    }
    atomic_store(&c.stop, 1);
    for (unsigned i = 0; i < LANES; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_uint_eq(atomic_load(&c.odd), 0);

    /* Left in peace, the writer finds what the path carries. */
    for (uint64_t end = now + 1500000 * test_ms; now<end; now = next> now ? next : now) {
        tunnelcap_pmtu_tick(c.pmtu, now, &next, &probe);
        if (probe.size != 0 && probe.size <= PATH) {
            test_ok(tunnelcap_pmtu_answered(c.pmtu, probe.token));
            next = now;
        }
    }
    ck_assert_uint_eq(tunnelcap_pmtu_get(c.pmtu), PATH);
    tunnelcap_pmtu_free(c.pmtu);
}
END_TEST

Suite *test_pmtu_threads_suite(void)
{
    const TTest *tests[] = {lanes_learn_and_answer_while_the_writer_ticks};
    return test_suite("pmtu_threads", tests, TEST_COUNT(tests));
}
