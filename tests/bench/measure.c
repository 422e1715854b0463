/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "bench.h"

#include <stdlib.h>
#include <time.h>

enum { ROUNDS_MIN = 15, ROUNDS_MAX = 1000, CACHED_BATCHES = 512, WARM_BATCHES = 32 };

double bench_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_RAW, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Keep the compiler from merging what stands before with what stands behind. */
static void barrier(void)
{
    __asm__ volatile("" ::: "memory");
}

/* Repeat one batch; `run` may be NULL, to time only how packets are made new. */
static double repeat_batch(const struct side *side, work *run, uint32_t batches)
{
    tunnelcap_pkt *pkts = side->pool->pkts;
    double begin = bench_now_ns();

    for (uint32_t i = 0; i < batches; i++) {
        pool_restore(side->pool, pkts, BATCH);
        barrier();
        if (run)
            run(side->subject, pkts, BATCH);
    }
    return (bench_now_ns() - begin) / ((double)batches * BATCH);
}

static double round_cached(const struct side *side)
{
    double with, without;

    repeat_batch(side, side->run, WARM_BATCHES);
    with = repeat_batch(side, side->run, CACHED_BATCHES);
    repeat_batch(side, NULL, WARM_BATCHES);
    without = repeat_batch(side, NULL, CACHED_BATCHES);
    return with - without;
}

/* Touch the whole working set, so that the pass to come finds none of it prepared. */
static void sweep(const struct pool *pool)
{
    volatile const uint8_t *arena = pool->arena;

    for (size_t at = 0; at < pool->arena_size; at += 64)
        (void)arena[at];
}

static double round_large(const struct side *side)
{
    const struct pool *pool = side->pool;
    double begin;

    pool_restore(pool, pool->pkts, pool->count);
    sweep(pool);
    begin = bench_now_ns();
    for (uint32_t i = 0; i < pool->count; i += BATCH)
        side->run(side->subject, pool->pkts + i, BATCH);
    return (bench_now_ns() - begin) / pool->count;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double bench_median(double *values, uint32_t count)
{
    qsort(values, count, sizeof(*values), compare);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

void measure(struct side *sides, uint32_t count, bool cached, double seconds)
{
    double(*samples)[ROUNDS_MAX] = calloc(count, sizeof(*samples));
    double begin = bench_now_ns();
    uint32_t rounds = 0;

    if (!samples)
        bench_fail("no memory for the samples");
    while (rounds < ROUNDS_MIN ||
           (rounds < ROUNDS_MAX && (bench_now_ns() - begin) < seconds * 1e9)) {
        for (uint32_t i = 0; i < count; i++)
            samples[i][rounds] = cached ? round_cached(&sides[i]) : round_large(&sides[i]);
        rounds++;
    }
    for (uint32_t i = 0; i < count; i++)
        sides[i].ns = bench_median(samples[i], rounds);
    free(samples);
}
