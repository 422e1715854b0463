/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* History: buckets against a model that keeps every second, percentiles against a sorted list. */
#include "support.h"

static const uint64_t S = 1000000000;

static tunnelcap_history_config config_of(uint32_t seconds, uint32_t minutes, uint32_t fives,
                                          uint32_t hours)
{
    tunnelcap_history_config config;
    test_ok(tunnelcap_history_config_init(&config, sizeof(config)));
    config.keep[0] = seconds;
    config.keep[1] = minutes;
    config.keep[2] = fives;
    config.keep[3] = hours;
    return config;
}

static tunnelcap_history *history_new(uint32_t seconds, uint32_t minutes, uint32_t fives,
                                      uint32_t hours)
{
    tunnelcap_history_config config = config_of(seconds, minutes, fives, hours);
    tunnelcap_history *history = NULL;
    test_ok(tunnelcap_history_new(&config, test_alloc(), &history));
    return history;
}

static void add(tunnelcap_history *history, uint64_t now_ns, uint64_t bytes, uint64_t packets)
{
    tunnelcap_history_totals totals = {bytes, packets, 2 * bytes, 0};
    test_ok(tunnelcap_history_add(history, now_ns, &totals, 2));
}

static tunnelcap_history_bucket get(const tunnelcap_history *history, uint32_t span, uint32_t index)
{
    tunnelcap_history_bucket bucket;
    test_ok(tunnelcap_history_get(history, span, index, &bucket, sizeof(bucket)));
    return bucket;
}

START_TEST(config_init_fills_the_documented_defaults)
{
    tunnelcap_history_config config, want = {sizeof(want), 0, {120, 120, 2016, 744}};
    memset(&config, 0xff, sizeof(config));
    test_ok(tunnelcap_history_config_init(&config, sizeof(config)));
    ck_assert_mem_eq(&config, &want, sizeof(want));
    ck_assert_status(tunnelcap_history_config_init(NULL, sizeof(config)), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_history_config_init(&config, sizeof(config) - 1),
                     TUNNELCAP_E_VERSION);
    ck_assert_uint_eq(tunnelcap_history_size(&config) / (120 + 120 + 2016 + 744), 80);
}
END_TEST

START_TEST(init_works_at_the_exact_size_and_refuses_one_byte_less)
{
    tunnelcap_history_config config = config_of(3, 1, 2, 1);
    size_t size = tunnelcap_history_size(&config);
    uint8_t *mem = test_arena(size);
    tunnelcap_history *history = NULL;
    ck_assert_status(tunnelcap_history_init(mem, size - 1, &config, &history), TUNNELCAP_E_NOMEM);
    ck_assert_status(tunnelcap_history_init(NULL, size, &config, &history), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_history_init(mem + 1, size, &config, &history), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_history_init(mem, size, NULL, &history), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_history_init(mem, size, &config, NULL), TUNNELCAP_E_INVALID);
    ck_assert_ptr_null(history);
    test_ok(tunnelcap_history_init(mem, size, &config, &history));
    for (uint64_t s = 0; s < 8000; s++) /* all rings go round */
        add(history, s * S, s, s);
    tunnelcap_history_fini(history);
    for (size_t i = 0; i < size; i++)
        ck_assert_uint_eq(mem[i], 0);
    test_arena_free(mem);
    tunnelcap_history_fini(NULL);
}
END_TEST

START_TEST(new_takes_its_memory_from_the_allocator)
{
    tunnelcap_history_config config = config_of(1, 1, 1, 1);
    tunnelcap_history *history = NULL;
    test_alloc_refuse_after(0);
    ck_assert_status(tunnelcap_history_new(&config, test_alloc(), &history), TUNNELCAP_E_NOMEM);
    ck_assert_status(tunnelcap_history_new(NULL, NULL, &history), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_history_new(&config, NULL, NULL), TUNNELCAP_E_INVALID);
    ck_assert_ptr_null(history);
    test_ok(tunnelcap_history_new(&config, NULL, &history));
    tunnelcap_history_free(history);
    tunnelcap_history_free(NULL);
}
END_TEST

#define REFUSE(want, change)                                                                       \
    do {                                                                                           \
        tunnelcap_history_config config = config_of(1, 1, 1, 1);                                   \
        tunnelcap_history *history = NULL;                                                         \
        change;                                                                                    \
        ck_assert_status(tunnelcap_history_new(&config, test_alloc(), &history), want);            \
        ck_assert_ptr_null(history);                                                               \
        ck_assert_uint_eq(tunnelcap_history_size(&config), 0);                                     \
    } while (0)

START_TEST(what_is_refused_has_its_reason)
{
    REFUSE(TUNNELCAP_E_VERSION, config.size--);
    REFUSE(TUNNELCAP_E_FLAGS, config.flags = 1);
    for (uint32_t span = 0; span < 4; span++) {
        REFUSE(TUNNELCAP_E_RANGE, config.keep[span] = 0);
        REFUSE(TUNNELCAP_E_RANGE, config.keep[span] = 100001);
    }
    tunnelcap_history *history = history_new(2, 1, 1, 1);
    tunnelcap_history_totals totals = {0, 0, 0, 0};
    tunnelcap_history_bucket bucket;
    uint64_t rates[3];
    uint32_t size = sizeof(bucket);
    ck_assert_status(tunnelcap_history_add(NULL, 0, &totals, 0), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_history_add(history, 0, NULL, 0), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_history_add(history, 0, &totals, 3), TUNNELCAP_E_RANGE);
    ck_assert_status(tunnelcap_history_get(history, 0, 0, &bucket, size), TUNNELCAP_E_NOT_FOUND);
    ck_assert_status(tunnelcap_history_percentile(history, 0, 1, 95, rates), TUNNELCAP_E_NOT_FOUND);
    for (uint64_t s = 0; s < 4; s++)
        add(history, s * S, s, s);
    ck_assert_status(tunnelcap_history_get(history, 0, 1, &bucket, size), TUNNELCAP_OK);
    ck_assert_status(tunnelcap_history_get(history, 0, 2, &bucket, size), TUNNELCAP_E_NOT_FOUND);
    ck_assert_status(tunnelcap_history_get(history, 1, 0, &bucket, size), TUNNELCAP_E_NOT_FOUND);
    ck_assert_status(tunnelcap_history_get(history, 4, 0, &bucket, size), TUNNELCAP_E_MODE);
    ck_assert_status(tunnelcap_history_get(history, 0, 0, &bucket, size - 1), TUNNELCAP_E_VERSION);
    ck_assert_status(tunnelcap_history_get(NULL, 0, 0, &bucket, size), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_history_get(history, 0, 0, NULL, size), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_history_percentile(NULL, 0, 1, 95, rates), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_history_percentile(history, 0, 1, 95, NULL), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_history_percentile(history, 4, 1, 95, rates), TUNNELCAP_E_MODE);
    ck_assert_status(tunnelcap_history_percentile(history, 0, 0, 95, rates), TUNNELCAP_E_RANGE);
    ck_assert_status(tunnelcap_history_percentile(history, 0, 1, 0, rates), TUNNELCAP_E_RANGE);
    ck_assert_status(tunnelcap_history_percentile(history, 0, 1, 101, rates), TUNNELCAP_E_RANGE);
    tunnelcap_history_free(history);
}
END_TEST

START_TEST(a_minute_knows_its_average_and_its_peak)
{
    tunnelcap_history *history = history_new(60, 1, 1, 1);
    uint64_t bytes = 0;
    add(history, 6000 * S, bytes, 0);
    for (uint64_t s = 6001; s <= 6060; s++) {
        bytes += s == 6031 ? 1000000 : 1000; /* second 6030 is the busy one */
        add(history, s * S + 7, bytes, 0);
    }
    tunnelcap_history_bucket minute = get(history, TUNNELCAP_HISTORY_MINUTE, 0);
    ck_assert_uint_eq(minute.start_s, 6000);
    ck_assert_uint_eq(minute.seconds, 60);
    ck_assert_uint_eq(minute.flags, 0);
    ck_assert_uint_eq(minute.state_ppm, 1000000);
    ck_assert_uint_eq(minute.encap.bytes, 1059000);
    ck_assert_uint_eq(minute.encap.bit_rate, 1059000 * 8 / 60);
    ck_assert_uint_eq(minute.encap.peak_bit_rate, 8000000);
    ck_assert_uint_eq(minute.decap.bytes, 2118000);
    tunnelcap_history_bucket second = get(history, TUNNELCAP_HISTORY_SECOND, 29);
    ck_assert_uint_eq(second.start_s, 6030);
    ck_assert_uint_eq(second.encap.bit_rate, 8000000);
    tunnelcap_history_free(history);
}
END_TEST

START_TEST(late_totals_are_shared_and_flagged)
{
    tunnelcap_history *history = history_new(10, 2, 1, 1);
    add(history, 57 * S, 0, 0);
    add(history, 62 * S + 1, 103, 5); /* five seconds: 57 to 61 */
    for (uint32_t i = 0; i < 5; i++)
        ck_assert_uint_eq(get(history, 0, i).flags, TUNNELCAP_HISTORY_LATE);
    ck_assert_uint_eq(get(history, 0, 4).start_s, 57);
    ck_assert_uint_eq(get(history, 0, 4).encap.bytes, 20);
    ck_assert_uint_eq(get(history, 0, 3).encap.bytes, 21);
    ck_assert_uint_eq(get(history, 0, 0).encap.bytes, 21);
    ck_assert_uint_eq(get(history, 0, 0).encap.packets, 1);
    tunnelcap_history_bucket minute = get(history, 1, 0);
    ck_assert_uint_eq(minute.flags, TUNNELCAP_HISTORY_LATE | TUNNELCAP_HISTORY_PARTIAL);
    ck_assert_uint_eq(minute.start_s, 0);
    ck_assert_uint_eq(minute.seconds, 3);
    ck_assert_uint_eq(minute.encap.bytes, 61);
    add(history, 63 * S, 110, 5);
    ck_assert_uint_eq(get(history, 0, 0).flags, 0);
    ck_assert_uint_eq(get(history, 0, 0).encap.bytes, 7);
    tunnelcap_history_free(history);
}
END_TEST

START_TEST(totals_that_fall_are_those_of_a_new_tunnel)
{
    tunnelcap_history *history = history_new(10, 1, 1, 1);
    add(history, 0, 5000, 50);
    add(history, 1 * S, 6000, 60);
    add(history, 2 * S, 10, 1);
    ck_assert_uint_eq(get(history, 0, 0).encap.bytes, 10);
    ck_assert_uint_eq(get(history, 0, 0).flags, TUNNELCAP_HISTORY_RESTART);
    ck_assert_uint_eq(get(history, 0, 1).encap.bytes, 1000);
    tunnelcap_history_free(history);
}
END_TEST

START_TEST(a_clock_that_leaps_is_survived)
{
    tunnelcap_history *history = history_new(5, 5, 5, 5);
    add(history, 10 * S + 1, 100, 1);
    add(history, 11 * S, 150, 1);
    ck_assert_uint_eq(get(history, 0, 0).flags, TUNNELCAP_HISTORY_PARTIAL);
    add(history, 5 * S, 160, 1); /* backwards: stands still, nothing is lost */
    add(history, 12 * S, 170, 1);
    ck_assert_uint_eq(get(history, 0, 0).encap.bytes, 20);
    add(history, UINT64_MAX, 170, 1);
    uint64_t end_s = UINT64_MAX / S;
    ck_assert_uint_eq(get(history, 0, 0).start_s, end_s - 1);
    ck_assert_uint_eq(get(history, 0, 4).start_s, end_s - 5);
    ck_assert_uint_eq(get(history, 3, 4).start_s, end_s / 3600 * 3600 - 5 * 3600);
    ck_assert_uint_eq(get(history, 3, 4).seconds, 3600);
    tunnelcap_history_free(history);
}
END_TEST

/* ---- against every second ---- */

enum { SECONDS = 9000 };

typedef struct second {
    uint64_t bytes;   /* into the tunnel */
    uint64_t packets; /* out of it */
    uint32_t state;
    bool late;
} second;

static second seconds[SECONDS];

static uint32_t random_next(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

/* Feed a history at random times, a second late now and then; note what each second got. */
static void feed(tunnelcap_history *history, uint32_t random, uint64_t base_s)
{
    uint64_t total = random_next(&random), done = 0;
    tunnelcap_history_totals totals = {total, 0, 0, 2 * total};
    test_ok(tunnelcap_history_add(history, base_s * S, &totals, 0));
    while (done < SECONDS) {
        uint64_t n = random_next(&random) % 50 == 0 ? 1 + random_next(&random) % 70 : 1;
        uint64_t more = random_next(&random) % 1000000;
        uint32_t state = random_next(&random) % 3;
        n = n > SECONDS - done ? SECONDS - done : n;
        for (uint64_t i = 0; i < n; i++) {
            seconds[done + i].bytes = more * (i + 1) / n - more * i / n;
            seconds[done + i].packets = 2 * more * (i + 1) / n - 2 * more * i / n;
            seconds[done + i].state = state;
            seconds[done + i].late = n > 1;
        }
        done += n;
        total += more;
        totals.encap_bytes = total;
        totals.decap_bytes += random_next(&random) % 1000000;
        totals.decap_packets = 2 * total;
        test_ok(tunnelcap_history_add(history, (base_s + done) * S + random_next(&random), &totals,
                                      state));
    }
}

START_TEST(random_histories_equal_a_recount_of_every_second)
{
    static const uint32_t spans[4] = {1, 60, 300, 3600};
    for (uint32_t round = 0; round < 6; round++) {
        uint64_t base_s = 1700000000 + round * 977;
        tunnelcap_history *history = history_new(50 + round, 150, 20, 3);
        feed(history, round + 1, base_s);
        for (uint32_t span = 0; span < 4; span++) {
            tunnelcap_history_bucket b;
            uint32_t index = 0;
            uint64_t expect_s = (base_s + SECONDS) / spans[span] * spans[span];
            while (tunnelcap_history_get(history, span, index++, &b, sizeof(b)) == TUNNELCAP_OK) {
                uint64_t bytes = 0, packets = 0, peak = 0, states = 0, first = b.start_s;
                uint32_t flags = 0;
                expect_s -= spans[span];
                ck_assert_uint_eq(b.start_s, expect_s);
                if (first < base_s) {
                    first = base_s;
                    flags = TUNNELCAP_HISTORY_PARTIAL;
                }
                for (uint64_t s = first; s < b.start_s + spans[span]; s++) {
                    const second *one = &seconds[s - base_s];
                    bytes += one->bytes;
                    packets += one->packets;
                    peak = one->bytes > peak ? one->bytes : peak;
                    states += one->state;
                    flags |= one->late ? TUNNELCAP_HISTORY_LATE : 0;
                }
                uint64_t covered = b.start_s + spans[span] - first;
                ck_assert_uint_eq(b.seconds, covered);
                ck_assert_uint_eq(b.flags, flags);
                ck_assert_uint_eq(b.encap.bytes, bytes);
                ck_assert_uint_eq(b.decap.packets, packets);
                ck_assert_uint_eq(b.encap.bit_rate, bytes * 8 / covered);
                ck_assert_uint_eq(b.state_ppm, states * 500000 / covered);
                /* Seconds that share a total may differ by one. */
                ck_assert_uint_le(b.encap.peak_bit_rate / 8 - peak, 1);
            }
        }
        tunnelcap_history_free(history);
    }
}
END_TEST

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

START_TEST(percentiles_are_the_nearest_rank_of_a_sorted_list)
{
    tunnelcap_history *history = history_new(1000, 1, 1, 1);
    feed(history, 77, 1700000000);
    static const uint32_t counts[] = {1, 2, 19, 20, 21, 999, 1000, 5000};
    for (size_t c = 0; c < TEST_COUNT(counts); c++) {
        uint64_t list[3][1000], rates[3];
        uint32_t count = counts[c] < 1000 ? counts[c] : 1000;
        for (uint32_t i = 0; i < count; i++) {
            tunnelcap_history_bucket bucket = get(history, 0, i);
            list[0][i] = bucket.encap.bit_rate;
            list[1][i] = bucket.decap.bit_rate;
            list[2][i] = list[1][i] > list[0][i] ? list[1][i] : list[0][i];
        }
        for (uint32_t which = 0; which < 3; which++)
            qsort(list[which], count, sizeof(list[which][0]), compare);
        for (uint32_t percent = 1; percent <= 100; percent++) {
            uint32_t rank = (count * percent + 99) / 100;
            test_ok(tunnelcap_history_percentile(history, 0, counts[c], percent, rates));
            for (uint32_t which = 0; which < 3; which++)
                ck_assert_uint_eq(rates[which], list[which][rank - 1]);
        }
    }
    tunnelcap_history_free(history);
}
END_TEST

Suite *test_history_suite(void)
{
    const TTest *tests[] = {
        config_init_fills_the_documented_defaults,
        init_works_at_the_exact_size_and_refuses_one_byte_less,
        new_takes_its_memory_from_the_allocator,
        what_is_refused_has_its_reason,
        a_minute_knows_its_average_and_its_peak,
        late_totals_are_shared_and_flagged,
        totals_that_fall_are_those_of_a_new_tunnel,
        a_clock_that_leaps_is_survived,
        random_histories_equal_a_recount_of_every_second,
        percentiles_are_the_nearest_rank_of_a_sorted_list,
    };
    return test_suite("history", tests, TEST_COUNT(tests));
}
