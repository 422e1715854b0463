/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The path MTU of a tunnel: the object, and what it learns from ICMP. */
#include "pmtu.h"

#include "support.h"

static const uint64_t ms = 1000000;

static tunnelcap_pmtu_config config_of(uint8_t family, uint8_t mode, uint32_t link)
{
    tunnelcap_pmtu_config config;
    test_ok(tunnelcap_pmtu_config_init(&config, sizeof(config)));
    config.family = family;
    config.mode = mode;
    config.link_mtu = link;
    return config;
}

static tunnelcap_pmtu *make(const tunnelcap_pmtu_config *config)
{
    tunnelcap_pmtu *pmtu = NULL;
    test_ok(tunnelcap_pmtu_new(config, test_seed, test_alloc(), &pmtu));
    return pmtu;
}

static tunnelcap_pmtu_info info_of(const tunnelcap_pmtu *pmtu, uint64_t now)
{
    tunnelcap_pmtu_info info;
    test_ok(tunnelcap_pmtu_get_info(pmtu, now, &info, sizeof(info)));
    ck_assert_uint_eq(info.mtu, tunnelcap_pmtu_get(pmtu));
    return info;
}

/* ---- the object ---- */

START_TEST(config_init_fills_the_documented_defaults)
{
    tunnelcap_pmtu_config config, want;
    memset(&config, 0xff, sizeof(config));
    memset(&want, 0, sizeof(want));
    want.size = sizeof(want);
    want.link_mtu = 1500;
    want.family = TUNNELCAP_IPV4;
    want.mode = TUNNELCAP_PMTU_LEARN;
    want.max_probes = 3;
    want.age_ns = 600000 * ms;
    want.probe_ns = 1000 * ms;
    want.raise_ns = 600000 * ms;
    want.confirm_ns = 30000 * ms;
    test_ok(tunnelcap_pmtu_config_init(&config, sizeof(config)));
    ck_assert_mem_eq(&config, &want, sizeof(want));
    ck_assert_status(tunnelcap_pmtu_config_init(NULL, sizeof(config)), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_pmtu_config_init(&config, sizeof(config) - 1), TUNNELCAP_E_VERSION);
}
END_TEST

START_TEST(init_works_at_the_exact_size_and_refuses_one_byte_less)
{
    tunnelcap_pmtu_config config = config_of(TUNNELCAP_IPV4, TUNNELCAP_PMTU_PROBE, 1500);
    size_t size = tunnelcap_pmtu_size(&config);
    ck_assert_uint_gt(size, 0);
    ck_assert_uint_le(size, 128);
    ck_assert_uint_eq(size % 64, 0);
    uint8_t *mem = test_arena(size);
    tunnelcap_pmtu *pmtu = NULL;
    ck_assert_status(tunnelcap_pmtu_init(mem, size - 1, &config, test_seed, &pmtu),
                     TUNNELCAP_E_NOMEM);
    ck_assert_status(tunnelcap_pmtu_init(NULL, size, &config, test_seed, &pmtu),
                     TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_pmtu_init(mem + 1, size, &config, test_seed, &pmtu),
                     TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_pmtu_init(mem, size, NULL, test_seed, &pmtu), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_pmtu_init(mem, size, &config, NULL, &pmtu), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_pmtu_init(mem, size, &config, test_seed, NULL), TUNNELCAP_E_INVALID);
    ck_assert_ptr_null(pmtu);
    uint8_t *seed = test_copy(test_seed, TUNNELCAP_SEED_SIZE);
    test_ok(tunnelcap_pmtu_init(mem, size, &config, seed, &pmtu));
    free(seed);
    ck_assert_uint_eq(tunnelcap_pmtu_get(pmtu), 1500);
    tunnelcap_pmtu_fini(pmtu);
    for (size_t i = 0; i < size; i++)
        ck_assert_uint_eq(mem[i], 0);
    test_arena_free(mem);
    tunnelcap_pmtu_fini(NULL);
}
END_TEST

START_TEST(new_takes_its_memory_from_the_allocator)
{
    tunnelcap_pmtu_config config = config_of(TUNNELCAP_IPV6, TUNNELCAP_PMTU_LEARN, 1500);
    tunnelcap_pmtu *pmtu = NULL;
    test_alloc_refuse_after(0);
    ck_assert_status(tunnelcap_pmtu_new(&config, NULL, test_alloc(), &pmtu), TUNNELCAP_E_NOMEM);
    ck_assert_status(tunnelcap_pmtu_new(NULL, NULL, NULL, &pmtu), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_pmtu_new(&config, NULL, NULL, NULL), TUNNELCAP_E_INVALID);
    ck_assert_ptr_null(pmtu);
    test_ok(tunnelcap_pmtu_new(&config, NULL, NULL, &pmtu)); /* nothing probed: no seed needed */
    tunnelcap_pmtu_free(pmtu);
    tunnelcap_pmtu_free(NULL);
}
END_TEST

START_TEST(init_refuses_what_it_documents)
{
    enum { V4 = TUNNELCAP_IPV4, V6 = TUNNELCAP_IPV6, OK = TUNNELCAP_OK };
    enum { R = TUNNELCAP_E_RANGE };
    const uint64_t day = 86400000 * ms;
    const struct {
        uint32_t flags, link, floor, base;
        uint8_t family, mode, max_probes, reserved;
        uint64_t time;
        int32_t want;
    } rows[] = {
        {0, 1500, 0, 0, V4, 2, 3, 0, day, OK},
        {1, 1500, 0, 0, V4, 2, 3, 0, day, TUNNELCAP_E_FLAGS},
        {0, 1500, 0, 0, V4, 3, 3, 0, day, TUNNELCAP_E_MODE},
        {0, 1500, 0, 0, 5, 2, 3, 0, day, TUNNELCAP_E_MODE},
        {0, 1500, 0, 0, V4, 2, 3, 1, day, TUNNELCAP_E_RESERVED},
        {0, 1500, 0, 0, V4, 2, 0, 0, day, R},
        {0, 1500, 0, 0, V4, 2, 255, 0, day, OK},
        {0, 1500, 0, 0, V4, 2, 3, 0, ms - 1, R},
        {0, 1500, 0, 0, V4, 2, 3, 0, ms, OK},
        {0, 1500, 0, 0, V4, 2, 3, 0, UINT32_MAX * ms, OK},
        {0, 1500, 0, 0, V4, 2, 3, 0, UINT32_MAX * ms + 1, R},
        {0, 1500, 67, 0, V4, 2, 3, 0, day, R},
        {0, 1500, 68, 0, V4, 2, 3, 0, day, OK},
        {0, 1500, 1280, 0, V4, 2, 3, 0, day, OK},
        {0, 1500, 1281, 0, V4, 2, 3, 0, day, R},
        {0, 1500, 1279, 0, V6, 2, 3, 0, day, R},
        {0, 1500, 1280, 0, V6, 2, 3, 0, day, OK},
        {0, 67, 0, 0, V4, 2, 3, 0, day, R},
        {0, 68, 0, 0, V4, 2, 3, 0, day, OK},
        {0, 500, 0, 0, V4, 2, 3, 0, day, OK},
        {0, 500, 576, 0, V4, 2, 3, 0, day, R},
        {0, 65535, 0, 0, V4, 2, 3, 0, day, OK},
        {0, 65536, 0, 0, V4, 2, 3, 0, day, R},
        {0, 1279, 0, 0, V6, 2, 3, 0, day, R},
        {0, 65575, 0, 0, V6, 2, 3, 0, day, OK},
        {0, 65576, 0, 0, V6, 2, 3, 0, day, R},
        {0, UINT32_MAX, 0, 0, V4, 2, 3, 0, day, R},
        {0, 1500, 576, 575, V4, 2, 3, 0, day, R},
        {0, 1500, 576, 576, V4, 2, 3, 0, day, OK},
        {0, 1500, 0, 1500, V4, 2, 3, 0, day, OK},
        {0, 1500, 0, 1501, V4, 2, 3, 0, day, R},
        {0, 65575, 0, 65536, V6, 2, 3, 0, day, R},
    };
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        for (unsigned which = 0; which < 4; which++) {
            tunnelcap_pmtu_config config = {sizeof(config),
                                            rows[i].flags,
                                            rows[i].link,
                                            rows[i].floor,
                                            rows[i].base,
                                            rows[i].family,
                                            rows[i].mode,
                                            rows[i].max_probes,
                                            rows[i].reserved,
                                            day,
                                            day,
                                            day,
                                            day};
            uint64_t *times[] = {&config.age_ns, &config.probe_ns, &config.raise_ns,
                                 &config.confirm_ns};
            *times[which] = rows[i].time;
            void *caller = test_copy(&config, sizeof(config));
            tunnelcap_pmtu *pmtu = NULL;
            ck_assert_status(tunnelcap_pmtu_new(caller, test_seed, test_alloc(), &pmtu),
                             rows[i].want);
            ck_assert_uint_eq(tunnelcap_pmtu_size(caller) != 0, rows[i].want == OK);
            ck_assert_int_eq(pmtu != NULL, rows[i].want == OK);
            tunnelcap_pmtu_free(pmtu);
            free(caller);
        }
    }
    tunnelcap_pmtu_config old = config_of(V4, 1, 1500);
    tunnelcap_pmtu *pmtu = NULL;
    old.size--;
    ck_assert_status(tunnelcap_pmtu_new(&old, NULL, test_alloc(), &pmtu), TUNNELCAP_E_VERSION);
}
END_TEST

START_TEST(null_is_refused_everywhere)
{
    tunnelcap_pmtu_config config = config_of(TUNNELCAP_IPV4, TUNNELCAP_PMTU_PROBE, 1500);
    tunnelcap_pmtu *pmtu = make(&config);
    tunnelcap_pmtu_probe probe;
    tunnelcap_pmtu_info info;
    tunnelcap_pmtu_event event;
    uint64_t next = 77;
    memset(&probe, 0x5a, sizeof(probe));
    tunnelcap_pmtu_probe before = probe;
    ck_assert_uint_eq(tunnelcap_pmtu_get(NULL), 0);
    ck_assert_status(tunnelcap_pmtu_learn(NULL, 1400, 0), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_pmtu_suspect(NULL), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_pmtu_answered(NULL, 5), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_pmtu_tick(NULL, 0, &next, &probe), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_pmtu_tick(pmtu, 0, NULL, &probe), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_pmtu_tick(pmtu, 0, &next, NULL), TUNNELCAP_E_INVALID);
    ck_assert_uint_eq(next, 77);
    ck_assert_mem_eq(&probe, &before, sizeof(probe));
    ck_assert_status(tunnelcap_pmtu_get_info(NULL, 0, &info, sizeof(info)), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_pmtu_get_info(pmtu, 0, NULL, sizeof(info)), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_pmtu_get_info(pmtu, 0, &info, sizeof(info) - 1),
                     TUNNELCAP_E_VERSION);
    ck_assert_status(tunnelcap_pmtu_export(NULL, 0, &event, sizeof(event)), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_pmtu_export(pmtu, 0, NULL, sizeof(event)), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_pmtu_import(NULL, &event, 0), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_pmtu_import(pmtu, NULL, 0), TUNNELCAP_E_INVALID);
    tunnelcap_pmtu_free(pmtu);
}
END_TEST

/* ---- ICMP ---- */

/* What happens, in milliseconds, and what is to come of it. */
typedef struct step {
    int64_t at;
    uint32_t says; /* MTU of an ICMP message; 0: a tick instead */
    int32_t status;
    uint32_t mtu;
    uint32_t flags;
} step;

static void play(const tunnelcap_pmtu_config *config, uint64_t epoch, const step *steps,
                 size_t count)
{
    tunnelcap_pmtu *pmtu = make(config);
    for (size_t i = 0; i < count; i++) {
        uint64_t now = epoch + (uint64_t)steps[i].at * ms;
        tunnelcap_pmtu_probe probe;
        uint64_t next;
        int32_t status = steps[i].says != 0 ? tunnelcap_pmtu_learn(pmtu, steps[i].says, now)
                                            : tunnelcap_pmtu_tick(pmtu, now, &next, &probe);
        ck_assert_msg(status == steps[i].status && tunnelcap_pmtu_get(pmtu) == steps[i].mtu,
                      "step %u: %s and %u, expected %s and %u", (unsigned)i,
                      tunnelcap_status_name(status), tunnelcap_pmtu_get(pmtu),
                      tunnelcap_status_name(steps[i].status), steps[i].mtu);
        ck_assert_uint_eq(info_of(pmtu, now).flags, steps[i].flags);
        ck_assert_uint_eq(tunnelcap_i_pmtu_below(pmtu), (steps[i].flags & 2) != 0);
    }
    tunnelcap_pmtu_free(pmtu);
}

enum { OK = TUNNELCAP_OK, CHANGED = TUNNELCAP_CHANGED, ICMP = TUNNELCAP_E_ICMP };

START_TEST(icmp_lowers_and_never_raises)
{
    static const step v4[] = {
        {0, 1501, ICMP, 1500, 0},  {0, 65535, ICMP, 1500, 0},   {0, UINT32_MAX, ICMP, 1500, 0},
        {0, 1500, OK, 1500, 0},    {1, 1400, CHANGED, 1400, 0}, {2, 1400, OK, 1400, 0},
        {3, 1401, ICMP, 1400, 0},  {4, 1399, CHANGED, 1399, 0}, {5, 0, OK, 1399, 0},
        {6, 577, CHANGED, 577, 0}, {7, 67, ICMP, 577, 0},       {8, 1, ICMP, 577, 0},
        {9, 576, CHANGED, 576, 0}, {10, 576, OK, 576, 0},
    };
    static const step v6[] = {
        {0, 1501, ICMP, 1500, 0},    {0, 1279, ICMP, 1500, 0},    {0, 68, ICMP, 1500, 0},
        {0, 1281, CHANGED, 1281, 0}, {0, 1280, CHANGED, 1280, 0}, {0, 1279, ICMP, 1280, 0},
        {0, 1280, OK, 1280, 0},
    };
    for (uint8_t mode = TUNNELCAP_PMTU_LEARN; mode <= TUNNELCAP_PMTU_PROBE; mode++) {
        tunnelcap_pmtu_config config = config_of(TUNNELCAP_IPV4, mode, 1500);
        play(&config, 0, v4, TEST_COUNT(v4));
        config = config_of(TUNNELCAP_IPV6, mode, 1500);
        play(&config, 0, v6, TEST_COUNT(v6));
    }
}
END_TEST

START_TEST(less_than_the_floor_counts_as_the_floor)
{
    static const step steps[] = {
        {0, 68, CHANGED, 576, 2}, {1, 300, OK, 576, 2},          {2, 67, ICMP, 576, 2},
        {3, 0, OK, 576, 2},       {600010, 0, CHANGED, 1500, 0}, /* what has aged says nothing of
                                                                    fragments either */
    };
    static const step late[] = {{0, 576, CHANGED, 576, 0}, {1, 575, OK, 576, 2}};
    static const step deep[] = {{0, 68, CHANGED, 68, 0}, {1, 67, ICMP, 68, 0}};
    tunnelcap_pmtu_config config = config_of(TUNNELCAP_IPV4, TUNNELCAP_PMTU_LEARN, 1500);
    play(&config, 0, steps, TEST_COUNT(steps));
    play(&config, 0, late, TEST_COUNT(late));
    config.floor = 68;
    play(&config, 0, deep, TEST_COUNT(deep));
}
END_TEST

START_TEST(a_fixed_mtu_heeds_nobody)
{
    static const step steps[] = {
        {0, 1400, OK, 1500, 0}, {0, 9000, OK, 1500, 0}, {0, 1, OK, 1500, 0}, {0, 0, OK, 1500, 0}};
    tunnelcap_pmtu_config config = config_of(TUNNELCAP_IPV4, TUNNELCAP_PMTU_FIXED, 1500);
    play(&config, 0, steps, TEST_COUNT(steps));
    tunnelcap_pmtu *pmtu = make(&config);
    tunnelcap_pmtu_event event = {sizeof(event), 1400, 0, 0, TUNNELCAP_IPV4, 1, {0}};
    tunnelcap_pmtu_probe probe;
    uint64_t next = 0;
    test_ok(tunnelcap_pmtu_import(pmtu, &event, 0));
    test_ok(tunnelcap_pmtu_tick(pmtu, 0, &next, &probe));
    ck_assert_uint_eq(next, UINT64_MAX);
    ck_assert_uint_eq(probe.size, 0);
    ck_assert_uint_eq(tunnelcap_pmtu_get(pmtu), 1500);
    tunnelcap_pmtu_free(pmtu);
}
END_TEST

START_TEST(what_icmp_said_ages_after_ten_minutes)
{
    static const step steps[] = {
        {0, 1400, CHANGED, 1400, 0},      {300000, 0, OK, 1400, 0},
        {300000, 1400, OK, 1400, 0},      {599999, 0, OK, 1400, 0},
        {600009, 0, CHANGED, 1500, 0},    {600010, 0, OK, 1500, 0},
        {600020, 1400, CHANGED, 1400, 0}, {900000, 1300, CHANGED, 1300, 0}, /* counts anew */
        {1499999, 0, OK, 1300, 0},        {1500009, 0, CHANGED, 1500, 0},
    };
    /* The zero of a clock is anywhere, also right before it wraps. */
    static const uint64_t epochs[] = {
        0, 1, 12345678901, UINT64_MAX, UINT64_MAX / 2, (uint64_t)0 - 600003 * 1000000u, 1u << 22};
    tunnelcap_pmtu_config config = config_of(TUNNELCAP_IPV4, TUNNELCAP_PMTU_LEARN, 1500);
    for (size_t i = 0; i < TEST_COUNT(epochs); i++)
        play(&config, epochs[i], steps, TEST_COUNT(steps));
}
END_TEST

START_TEST(the_next_tick_is_never_too_early_nor_late)
{
    tunnelcap_pmtu_config config = config_of(TUNNELCAP_IPV4, TUNNELCAP_PMTU_LEARN, 1500);
    test_random random = {7};
    for (unsigned i = 0; i < 2000; i++) {
        config.age_ns = ms + (uint64_t)test_next(&random) % (5000 * ms);
        uint64_t learned = (uint64_t)test_next(&random) << 32 | test_next(&random);
        uint64_t now = learned + test_next(&random) % (config.age_ns / 2 + 1);
        tunnelcap_pmtu *pmtu = make(&config);
        tunnelcap_pmtu_probe probe;
        uint64_t next, unused;
        ck_assert_status(tunnelcap_pmtu_learn(pmtu, 1400, learned), TUNNELCAP_CHANGED);
        test_ok(tunnelcap_pmtu_tick(pmtu, now, &next, &probe));
        ck_assert_uint_ge(next - learned, config.age_ns);
        ck_assert_uint_le(next - learned, config.age_ns + 10 * ms);
        test_ok(tunnelcap_pmtu_tick(pmtu, next - 1, &unused, &probe));
        ck_assert_status(tunnelcap_pmtu_tick(pmtu, next, &unused, &probe), TUNNELCAP_CHANGED);
        ck_assert_uint_eq(unused, next + (config.age_ns + ms - 1) / ms * ms);
        tunnelcap_pmtu_free(pmtu);
    }
}
END_TEST

START_TEST(a_clock_that_goes_back_delays_and_does_no_harm)
{
    static const step steps[] = {
        {1000000, 1400, CHANGED, 1400, 0}, {500000, 0, OK, 1400, 0}, /* from now on, then */
        {1099990, 0, OK, 1400, 0},         {1100009, 0, CHANGED, 1500, 0},
        {1100010, 1400, CHANGED, 1400, 0}, {-5000, 0, OK, 1400, 0},
        {594990, 0, OK, 1400, 0},          {595009, 0, CHANGED, 1500, 0},
    };
    tunnelcap_pmtu_config config = config_of(TUNNELCAP_IPV4, TUNNELCAP_PMTU_LEARN, 1500);
    play(&config, 0, steps, TEST_COUNT(steps));
    play(&config, UINT64_MAX / 2, steps, TEST_COUNT(steps));
}
END_TEST

START_TEST(probes_and_suspicion_are_refused_where_nothing_probes)
{
    tunnelcap_pmtu_config config = config_of(TUNNELCAP_IPV4, TUNNELCAP_PMTU_LEARN, 1500);
    tunnelcap_pmtu *pmtu = make(&config);
    tunnelcap_pmtu_probe probe;
    uint64_t next;
    ck_assert_status(tunnelcap_pmtu_suspect(pmtu), TUNNELCAP_E_UNSUPPORTED);
    for (uint64_t token = 0; token < 3; token++)
        ck_assert_status(tunnelcap_pmtu_answered(pmtu, token), TUNNELCAP_E_ICMP);
    test_ok(tunnelcap_pmtu_tick(pmtu, 0, &next, &probe));
    ck_assert_uint_eq(probe.size, 0);
    tunnelcap_pmtu_free(pmtu);
}
END_TEST

START_TEST(info_tells_how_the_mtu_is_known)
{
    tunnelcap_pmtu_config config = config_of(TUNNELCAP_IPV4, TUNNELCAP_PMTU_LEARN, 1500);
    tunnelcap_pmtu *pmtu = make(&config);
    tunnelcap_pmtu_info info = info_of(pmtu, 1000 * ms);
    ck_assert_uint_eq(info.size, sizeof(info));
    ck_assert_uint_eq(info.source, TUNNELCAP_PMTU_PRESUMED);
    ck_assert_uint_eq(info.state, TUNNELCAP_PMTU_DISABLED);
    ck_assert_uint_eq(info.age_ns, 0);
    ck_assert_uint_eq(info.generation, 0);
    ck_assert_status(tunnelcap_pmtu_learn(pmtu, 1400, 1000 * ms), TUNNELCAP_CHANGED);
    info = info_of(pmtu, 3000 * ms);
    ck_assert_uint_eq(info.source, TUNNELCAP_PMTU_ICMP);
    ck_assert_uint_ge(info.age_ns, 1995 * ms);
    ck_assert_uint_le(info.age_ns, 2005 * ms);
    ck_assert_uint_eq(info.generation, 1);
    ck_assert_uint_eq(info_of(pmtu, 500 * ms).age_ns, 0);
    tunnelcap_pmtu_free(pmtu);
}
END_TEST

Suite *test_pmtu_suite(void)
{
    const TTest *tests[] = {
        config_init_fills_the_documented_defaults,
        init_works_at_the_exact_size_and_refuses_one_byte_less,
        new_takes_its_memory_from_the_allocator,
        init_refuses_what_it_documents,
        null_is_refused_everywhere,
        icmp_lowers_and_never_raises,
        less_than_the_floor_counts_as_the_floor,
        a_fixed_mtu_heeds_nobody,
        what_icmp_said_ages_after_ten_minutes,
        the_next_tick_is_never_too_early_nor_late,
        a_clock_that_goes_back_delays_and_does_no_harm,
        probes_and_suspicion_are_refused_where_nothing_probes,
        info_tells_how_the_mtu_is_known,
    };
    return test_suite("pmtu", tests, TEST_COUNT(tests));
}
