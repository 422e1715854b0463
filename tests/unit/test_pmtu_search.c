/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Path MTUs found by probes (RFC 8899), on paths that are simulated. */
#include "pmtu_world.h"

static const uint64_t second = 1000000000, minute = 60000000000;

/* Sizes of a binary search between two, and one for the first look. */
static uint32_t steps_between(uint32_t low, uint32_t high)
{
    uint32_t steps = 1;
    for (; low < high; steps++)
        high = low + (high - low) / 2;
    return steps;
}

static void expect_found(const test_path *path, uint32_t mtu)
{
    tunnelcap_pmtu_info info = test_path_info(path);
    ck_assert_msg(info.mtu == mtu && info.state == TUNNELCAP_PMTU_SEARCH_COMPLETE &&
                      info.source == TUNNELCAP_PMTU_PROBED,
                  "MTU %u, state %u, source %u: expected %u", info.mtu, info.state, info.source,
                  mtu);
    ck_assert_uint_eq(path->too_large, 0);
}

/* ---- finding ---- */

START_TEST(every_path_mtu_is_found_without_icmp)
{
    static const struct {
        uint8_t family;
        uint32_t link, base, stride;
    } rows[] = {{TUNNELCAP_IPV4, 1500, 1200, 1},    {TUNNELCAP_IPV6, 1500, 1280, 1},
                {TUNNELCAP_IPV4, 9000, 1200, 37},   {TUNNELCAP_IPV4, 65535, 1200, 997},
                {TUNNELCAP_IPV6, 65575, 1280, 997}, {TUNNELCAP_IPV4, 1200, 1200, 1}};
    for (size_t row = 0; row < TEST_COUNT(rows); row++) {
        uint32_t link = rows[row].link, base = rows[row].base;
        tunnelcap_pmtu_config config = test_path_config(rows[row].family, link);
        uint32_t bound = 8 + 3 * steps_between(base, link);
        for (uint32_t mtu = base; mtu <= link; mtu += rows[row].stride) {
            test_path path;
            test_path_open(&path, &config, mtu);
            path.mtu = mtu;
            uint64_t took = test_path_settle(&path, 5 * minute);
            expect_found(&path, mtu);
            ck_assert_uint_le(path.probes, bound);
            ck_assert_uint_le(took, bound * second);
            test_path_close(&path);
        }
    }
}
END_TEST

START_TEST(a_path_as_wide_as_its_link_takes_one_probe)
{
    tunnelcap_pmtu_config config = test_path_config(TUNNELCAP_IPV4, 1500);
    test_path path;
    test_path_open(&path, &config, 1);
    test_path_run(&path, second);
    expect_found(&path, 1500);
    ck_assert_uint_eq(path.probes, 1);
    ck_assert_uint_eq(path.changes, 0); /* inner hosts never hear of less */
    test_path_close(&path);
}
END_TEST

START_TEST(icmp_makes_the_search_short)
{
    tunnelcap_pmtu_config config = test_path_config(TUNNELCAP_IPV4, 1500);
    for (uint32_t mtu = 576; mtu < 1500; mtu += 11) {
        test_path path;
        test_path_open(&path, &config, mtu);
        path.mtu = mtu;
        path.icmp = 1;
        test_path_settle(&path, minute);
        expect_found(&path, mtu);
        /* one that is too large, one that passes, and one byte more */
        ck_assert_uint_le(path.probes, 2 + config.max_probes);
        ck_assert_uint_eq(path.changes, 1);
        test_path_close(&path);
    }
}
END_TEST

START_TEST(less_than_the_base_is_found_down_to_the_floor)
{
    tunnelcap_pmtu_config config = test_path_config(TUNNELCAP_IPV4, 1500);
    for (uint32_t mtu = 576; mtu < 1200; mtu += 7) {
        test_path path;
        test_path_open(&path, &config, mtu);
        path.mtu = mtu;
        test_path_settle(&path, 5 * minute);
        expect_found(&path, mtu);
        test_path_close(&path);
    }
}
END_TEST

START_TEST(loss_may_delay_the_search_but_never_confirms_too_much)
{
    tunnelcap_pmtu_config config = test_path_config(TUNNELCAP_IPV4, 1500);
    for (uint32_t i = 0; i < 200; i++) {
        test_path path;
        test_path_open(&path, &config, 1000 + i);
        path.mtu = 1200 + i * 3 / 2;
        path.loss = 10 + i % 30;
        test_path_run(&path, 30 * minute);
        ck_assert_uint_eq(path.too_large, 0);
        path.loss = 0;
        test_path_run(&path, 12 * minute); /* the raise timer repairs what loss has spoiled */
        test_path_settle(&path, minute);
        expect_found(&path, path.mtu);
        test_path_close(&path);
    }
}
END_TEST

/* ---- states ---- */

/* One thing that happens, and the state that it leads to. */
enum { RUN, PATH, SILENCE, TELL, DOUBT };
typedef struct move {
    uint8_t what;
    uint32_t value; /* milliseconds to run, MTU of the path, silence, MTU in an ICMP message */
    uint8_t state;
    uint32_t mtu;
    uint32_t probing;
} move;

static void play(const tunnelcap_pmtu_config *config, const move *moves, size_t count)
{
    test_path path;
    test_path_open(&path, config, 5);
    for (size_t i = 0; i < count; i++) {
        if (moves[i].what == RUN)
            test_path_run(&path, moves[i].value * test_ms);
        if (moves[i].what == PATH)
            path.mtu = moves[i].value;
        if (moves[i].what == SILENCE)
            path.silent = moves[i].value;
        if (moves[i].what == TELL)
            tunnelcap_pmtu_learn(path.pmtu, moves[i].value, path.now);
        if (moves[i].what == DOUBT)
            test_ok(tunnelcap_pmtu_suspect(path.pmtu));
        if (moves[i].what >= TELL) /* as pmtu.h says: tick soon */
            test_path_tick(&path);
        tunnelcap_pmtu_info info = test_path_info(&path);
        ck_assert_msg(info.state == moves[i].state && info.mtu == moves[i].mtu &&
                          info.probing == moves[i].probing,
                      "move %u: state %u, MTU %u, probing %u; expected %u, %u, %u", (unsigned)i,
                      info.state, info.mtu, info.probing, moves[i].state, moves[i].mtu,
                      moves[i].probing);
    }
    test_path_close(&path);
}

enum {
    OFF = TUNNELCAP_PMTU_DISABLED,
    BASE = TUNNELCAP_PMTU_BASE,
    SEARCH = TUNNELCAP_PMTU_SEARCHING,
    DONE = TUNNELCAP_PMTU_SEARCH_COMPLETE,
    ERROR = TUNNELCAP_PMTU_ERROR
};

START_TEST(a_black_hole_leads_to_the_base_and_to_a_new_search)
{
    static const move moves[] = {
        {RUN, 100, DONE, 1500, 0},     {PATH, 1300, DONE, 1500, 0},
        {RUN, 29000, DONE, 1500, 0},   /* nobody has noticed yet */
        {RUN, 1000, DONE, 1500, 1500}, /* the confirmation of every 30 s */
        {RUN, 2900, BASE, 1500, 1200}, /* lost three times; the base is under way */
        {RUN, 30, SEARCH, 1200, 1350}, /* and passes: 1500 does not */
        {RUN, 30000, DONE, 1300, 0},   {PATH, 1500, DONE, 1300, 0},
        {RUN, 560000, DONE, 1300, 0},  {RUN, 45000, DONE, 1500, 0}, /* raised after ten minutes */
    };
    tunnelcap_pmtu_config config = test_path_config(TUNNELCAP_IPV4, 1500);
    play(&config, moves, TEST_COUNT(moves));
}
END_TEST

START_TEST(suspicion_finds_a_black_hole_at_once_and_a_false_one_costs_nothing)
{
    static const move real[] = {
        {RUN, 100, DONE, 1500, 0},    {PATH, 1000, DONE, 1500, 0},
        {DOUBT, 0, BASE, 1500, 1500}, {RUN, 2999, BASE, 1500, 1500},
        {RUN, 1, BASE, 1500, 1200},   {RUN, 3000, ERROR, 1500, 576}, /* nor does the base pass */
        {RUN, 20, SEARCH, 576, 888},  {RUN, 40000, DONE, 1000, 0},
    };
    static const move false_one[] = {
        {RUN, 100, DONE, 1500, 0},
        {DOUBT, 0, BASE, 1500, 1500},
        {DOUBT, 0, BASE, 1500, 1500},
        {RUN, 20, DONE, 1500, 0},
    };
    tunnelcap_pmtu_config config = test_path_config(TUNNELCAP_IPV4, 1500);
    play(&config, real, TEST_COUNT(real));
    play(&config, false_one, TEST_COUNT(false_one));
}
END_TEST

START_TEST(a_far_end_that_is_down_does_not_shrink_the_tunnel)
{
    static const move moves[] = {
        {SILENCE, 1, OFF, 1500, 0},
        {RUN, 500, OFF, 1500, 1500},  /* asks for what is presumed, */
        {RUN, 1000, OFF, 1500, 1200}, /* for the base, */
        {RUN, 1000, OFF, 1500, 576},  /* and whether anything is answered at all */
        {RUN, 60000, OFF, 1500, 1500},
        {SILENCE, 0, OFF, 1500, 1500},
        {RUN, 60000, DONE, 1500, 0},
        {SILENCE, 1, DONE, 1500, 0},
        {RUN, 120000, OFF, 1500, 576},
        {TELL, 1400, OFF, 1400, 1400}, /* meanwhile ICMP is heeded, */
        {RUN, 599000, OFF, 1400, 1400},
        {RUN, 2000, OFF, 1500, 1400}, /* and ages */
        {SILENCE, 0, OFF, 1500, 1400},
        {PATH, 1280, OFF, 1500, 1400},
        {RUN, 120000, DONE, 1280, 0},
    };
    tunnelcap_pmtu_config config = test_path_config(TUNNELCAP_IPV4, 1500);
    play(&config, moves, TEST_COUNT(moves));
}
END_TEST

START_TEST(what_icmp_says_is_taken_at_once_and_confirmed)
{
    static const move honest[] = {
        {RUN, 100, DONE, 1500, 0},        {PATH, 1400, DONE, 1500, 0},
        {TELL, 1400, BASE, 1400, 1400},   {RUN, 20, SEARCH, 1400, 1401}, /* is there more? */
        {TELL, 1400, SEARCH, 1400, 1401}, {RUN, 3000, DONE, 1400, 0},
    };
    /* A forged message costs two round trips. */
    static const move forged[] = {
        {RUN, 100, DONE, 1500, 0},    {TELL, 576, BASE, 576, 576}, {RUN, 20, SEARCH, 576, 577},
        {RUN, 20, SEARCH, 577, 1500}, {RUN, 20, DONE, 1500, 0},
    };
    /* One that says more than passes leads to the base. */
    static const move wrong[] = {
        {RUN, 100, DONE, 1500, 0},      {PATH, 1300, DONE, 1500, 0},
        {TELL, 1400, BASE, 1400, 1400}, {RUN, 3000, BASE, 1400, 1200},
        {RUN, 20, SEARCH, 1200, 1300},  {RUN, 30000, DONE, 1300, 0},
    };
    /* While searching, it says where to go on; what lies below the MTU is no news then. */
    static const move searching[] = {
        {PATH, 1234, OFF, 1500, 0},       {RUN, 4000, BASE, 1500, 1500},
        {RUN, 100, SEARCH, 1200, 1350},   {TELL, 1350, SEARCH, 1200, 1350},
        {TELL, 1234, SEARCH, 1200, 1234}, {TELL, 1220, SEARCH, 1200, 1234}, /* once is enough */
        {RUN, 20, SEARCH, 1234, 1235},    {RUN, 3000, DONE, 1234, 0},
    };
    tunnelcap_pmtu_config config = test_path_config(TUNNELCAP_IPV4, 1500);
    play(&config, honest, TEST_COUNT(honest));
    play(&config, forged, TEST_COUNT(forged));
    play(&config, wrong, TEST_COUNT(wrong));
    play(&config, searching, TEST_COUNT(searching));
}
END_TEST

/* ---- probes ---- */

START_TEST(probes_are_few_when_all_is_found)
{
    static const uint32_t mtus[] = {1500, 1400};
    for (size_t i = 0; i < TEST_COUNT(mtus); i++) {
        tunnelcap_pmtu_config config = test_path_config(TUNNELCAP_IPV4, 1500);
        test_path path;
        test_path_open(&path, &config, i);
        path.mtu = mtus[i];
        test_path_settle(&path, 5 * minute);
        path.probes = path.changes = 0;
        test_path_run(&path, 60 * minute);
        expect_found(&path, mtus[i]);
        ck_assert_uint_eq(path.changes, 0);
        ck_assert_uint_ge(path.probes, 115);      /* one in 30 s confirms, */
        ck_assert_uint_le(path.probes, 120 + 18); /* three in 600 s ask for more */
        path.silent = 1;
        test_path_run(&path, minute);
        path.probes = 0;
        test_path_run(&path, 60 * minute);
        ck_assert_uint_le(path.probes, 121);
        test_path_close(&path);
    }
}
END_TEST

START_TEST(a_probe_is_answered_by_its_token_only_and_once)
{
    tunnelcap_pmtu_config config = test_path_config(TUNNELCAP_IPV4, 1500);
    test_path path;
    tunnelcap_pmtu_probe probe, again;
    uint64_t next;
    test_random random = {3};
    test_path_open(&path, &config, 1);
    test_ok(tunnelcap_pmtu_tick(path.pmtu, path.now, &next, &probe));
    ck_assert_uint_eq(probe.size, 1500);
    ck_assert_uint_eq(next, path.now + second);
    for (uint64_t token = 0; token < 1000; token++)
        ck_assert_status(tunnelcap_pmtu_answered(path.pmtu, token), TUNNELCAP_E_ICMP);
    for (unsigned i = 0; i < 1000; i++)
        ck_assert_status(
            tunnelcap_pmtu_answered(path.pmtu, probe.token ^ (1 + (uint64_t)test_next(&random))),
            TUNNELCAP_E_ICMP);
    test_ok(tunnelcap_pmtu_answered(path.pmtu, probe.token));
    ck_assert_status(tunnelcap_pmtu_answered(path.pmtu, probe.token), TUNNELCAP_E_ICMP);
    ck_assert_status(tunnelcap_pmtu_answered(path.pmtu, 1), TUNNELCAP_E_ICMP);
    test_ok(tunnelcap_pmtu_tick(path.pmtu, path.now, &next, &again));
    ck_assert_uint_eq(again.size, 0);
    ck_assert_uint_eq(test_path_info(&path).state, DONE);

    /* Probes of one size share a token, so that a late answer counts. */
    path.now += 30 * second;
    test_ok(tunnelcap_pmtu_tick(path.pmtu, path.now, &next, &probe));
    ck_assert_uint_eq(probe.size, 1500);
    test_ok(tunnelcap_pmtu_tick(path.pmtu, next - 1, &next, &again));
    ck_assert_uint_eq(again.size, 0);
    test_ok(tunnelcap_pmtu_tick(path.pmtu, next, &next, &again));
    ck_assert_uint_eq(again.size, 1500);
    ck_assert_uint_eq(again.token, probe.token);
    ck_assert_uint_eq(test_path_info(&path).probes, 2);
    test_ok(tunnelcap_pmtu_answered(path.pmtu, probe.token));
    test_path_close(&path);
}
END_TEST

START_TEST(tokens_differ_from_tunnel_to_tunnel_and_probe_to_probe)
{
    tunnelcap_pmtu_config config = test_path_config(TUNNELCAP_IPV4, 1500);
    uint64_t tokens[64];
    for (unsigned i = 0; i < TEST_COUNT(tokens); i++) {
        test_path path;
        tunnelcap_pmtu_probe probe;
        uint64_t next;
        test_path_open(&path, &config, i / 2);
        test_ok(tunnelcap_pmtu_tick(path.pmtu, i & 1, &next, &probe));
        tokens[i] = probe.token;
        ck_assert_uint_gt(probe.token, 1);
        for (unsigned j = 0; j < i; j++)
            ck_assert_uint_ne(tokens[i], tokens[j]);
        test_path_close(&path);
    }
}
END_TEST

START_TEST(the_number_of_probes_and_the_times_are_those_of_the_configuration)
{
    tunnelcap_pmtu_config config = test_path_config(TUNNELCAP_IPV4, 1500);
    test_path path;
    config.max_probes = 5;
    config.probe_ns = 100 * test_ms;
    config.confirm_ns = 7 * second;
    config.raise_ns = 20 * second;
    config.base = 1300;
    test_path_open(&path, &config, 9);
    test_path_run(&path, second);
    expect_found(&path, 1500);
    path.mtu = 1450;
    path.probes = 0;
    test_path_run(&path, 6 * second + 499 * test_ms);
    ck_assert_uint_eq(path.probes, 5); /* at 7.0 s from the first, four more, */
    test_path_run(&path, 2 * test_ms);
    ck_assert_uint_eq(path.last_size, 1300); /* and no sixth */
    test_path_settle(&path, minute);
    path.too_large = 0; /* 1500 was, as long as nobody knew */
    expect_found(&path, 1450);
    path.mtu = 1500;
    test_path_run(&path, 21 * second);
    expect_found(&path, 1500);
    test_path_close(&path);
}
END_TEST

/* ---- time ---- */

START_TEST(a_clock_may_begin_anywhere_and_wrap)
{
    static const uint64_t begins[] = {0, UINT64_MAX, (uint64_t)1 << 63, UINT64_MAX - 3000000000u,
                                      UINT64_MAX - 1000000000000u};
    for (size_t i = 0; i < TEST_COUNT(begins); i++) {
        tunnelcap_pmtu_config config = test_path_config(TUNNELCAP_IPV4, 1500);
        tunnelcap_pmtu *pmtu = NULL;
        uint64_t now = begins[i], end = now + 700 * second;
        uint32_t probes = 0;
        test_ok(tunnelcap_pmtu_new(&config, test_seed, test_alloc(), &pmtu));
        while ((int64_t)(end - now) > 0) { /* a path of 1400, with answers at once */
            tunnelcap_pmtu_probe probe;
            uint64_t next;
            tunnelcap_pmtu_tick(pmtu, now, &next, &probe);
            ck_assert_uint_le(next - now, 30 * second);
            probes += probe.size != 0;
            if (probe.size == 0 || probe.size > 1400) {
                now = next;
                continue;
            }
            test_ok(tunnelcap_pmtu_answered(pmtu, probe.token));
        }
        ck_assert_uint_eq(tunnelcap_pmtu_get(pmtu), 1400);
        ck_assert_uint_le(probes, 80);
        tunnelcap_pmtu_free(pmtu);
    }
}
END_TEST

/* Whatever happens: the MTU stays within its bounds, no probe is larger than the link, and once
 * the world has calmed down, the MTU is that of the path. */
START_TEST(whatever_happens_the_mtu_of_the_path_is_found_in_the_end)
{
    test_random random = {77};
    for (uint32_t world = 0; world < 60; world++) {
        tunnelcap_pmtu_config config =
            test_path_config(world & 1 ? TUNNELCAP_IPV6 : TUNNELCAP_IPV4, 1400 + world * 50);
        uint32_t floor = world & 1 ? 1280 : 576;
        test_path path;
        test_path_open(&path, &config, world);
        path.now = path.next = 1000000 * second;
        for (uint32_t i = 0; i < 300; i++) {
            switch (test_below(&random, 9)) {
            case 0:
                path.mtu = floor + test_below(&random, config.link_mtu - floor + 1);
                break;
            case 1:
                path.loss = test_below(&random, 60);
                break;
            case 2:
                path.icmp = test_below(&random, 2);
                break;
            case 3:
                path.silent = test_below(&random, 4) == 0;
                break;
            case 4: /* anybody may say anything */
                tunnelcap_pmtu_learn(path.pmtu, test_below(&random, 4000), path.now);
                test_path_tick(&path);
                break;
            case 5:
                test_ok(tunnelcap_pmtu_suspect(path.pmtu));
                test_path_tick(&path);
                break;
            case 6: /* the clock is set back; what is under way keeps its time */
                path.now -= test_below(&random, 100) * second;
                test_path_tick(&path);
                memset(path.mail, 0, sizeof(path.mail));
                break;
            default:
                test_path_run(&path, test_next(&random) % (20 * second));
            }
            ck_assert_uint_ge(tunnelcap_pmtu_get(path.pmtu), floor);
            ck_assert_uint_le(tunnelcap_pmtu_get(path.pmtu), config.link_mtu);
            ck_assert_uint_le(path.last_size, config.link_mtu);
        }
        path.loss = path.silent = path.too_large = 0;
        test_path_run(&path, 2 * minute); /* what was confirmed before is found out by now */
        path.too_large = 0;
        test_path_run(&path, 15 * minute);
        test_path_settle(&path, 3 * minute);
        expect_found(&path, path.mtu);
        test_path_close(&path);
    }
}
END_TEST

Suite *test_pmtu_search_suite(void)
{
    const TTest *tests[] = {
        every_path_mtu_is_found_without_icmp,
        a_path_as_wide_as_its_link_takes_one_probe,
        icmp_makes_the_search_short,
        less_than_the_base_is_found_down_to_the_floor,
        loss_may_delay_the_search_but_never_confirms_too_much,
        a_black_hole_leads_to_the_base_and_to_a_new_search,
        suspicion_finds_a_black_hole_at_once_and_a_false_one_costs_nothing,
        a_far_end_that_is_down_does_not_shrink_the_tunnel,
        what_icmp_says_is_taken_at_once_and_confirmed,
        probes_are_few_when_all_is_found,
        a_probe_is_answered_by_its_token_only_and_once,
        tokens_differ_from_tunnel_to_tunnel_and_probe_to_probe,
        the_number_of_probes_and_the_times_are_those_of_the_configuration,
        a_clock_may_begin_anywhere_and_wrap,
        whatever_happens_the_mtu_of_the_path_is_found_in_the_end,
    };
    return test_suite("pmtu_search", tests, TEST_COUNT(tests));
}
