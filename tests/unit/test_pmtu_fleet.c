/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Path MTUs that servers share: what is told, what is taken, and that talk ends. */
#include "pmtu_world.h"

#include <string.h>

static const uint64_t second = 1000000000, minute = 60000000000;

static tunnelcap_pmtu *make(uint8_t family, uint8_t mode)
{
    tunnelcap_pmtu_config config = test_path_config(family, 1500);
    tunnelcap_pmtu *pmtu = NULL;
    config.mode = mode;
    test_ok(tunnelcap_pmtu_new(&config, test_seed, test_alloc(), &pmtu));
    return pmtu;
}

static tunnelcap_pmtu_event event_of(uint32_t mtu, uint64_t age, uint8_t source)
{
    return (tunnelcap_pmtu_event){
        sizeof(tunnelcap_pmtu_event), mtu, age, 0, TUNNELCAP_IPV4, source, {0, 0}};
}

/* ---- export ---- */

START_TEST(own_findings_are_told_with_their_age)
{
    tunnelcap_pmtu *pmtu = make(TUNNELCAP_IPV4, TUNNELCAP_PMTU_LEARN);
    tunnelcap_pmtu_event event, untouched;
    memset(&event, 0x5a, sizeof(event));
    untouched = event;
    ck_assert_status(tunnelcap_pmtu_export(pmtu, 0, &event, sizeof(event)), TUNNELCAP_E_NOT_FOUND);
    ck_assert_mem_eq(&event, &untouched, sizeof(event));
    ck_assert_status(tunnelcap_pmtu_learn(pmtu, 1400, 5 * second), TUNNELCAP_CHANGED);
    test_ok(tunnelcap_pmtu_export(pmtu, 9 * second, &event, sizeof(event)));
    ck_assert_uint_eq(event.size, sizeof(event));
    ck_assert_uint_eq(event.mtu, 1400);
    ck_assert_uint_ge(event.age_ns, 4 * second - 5 * test_ms);
    ck_assert_uint_le(event.age_ns, 4 * second + 5 * test_ms);
    ck_assert_uint_eq(event.generation, 1);
    ck_assert_uint_eq(event.family, TUNNELCAP_IPV4);
    ck_assert_uint_eq(event.source, TUNNELCAP_PMTU_ICMP);
    ck_assert_status(tunnelcap_pmtu_export(pmtu, 0, &event, sizeof(event) - 1),
                     TUNNELCAP_E_VERSION);
    tunnelcap_pmtu_free(pmtu);
}
END_TEST

START_TEST(a_search_is_told_when_it_has_ended)
{
    tunnelcap_pmtu_config config = test_path_config(TUNNELCAP_IPV4, 1500);
    tunnelcap_pmtu_event event;
    test_path path;
    uint32_t generation = UINT32_MAX;
    test_path_open(&path, &config, 3);
    path.mtu = 1333;
    for (unsigned i = 0; i < 600; i++) {
        test_path_run(&path, second / 10);
        int32_t status = tunnelcap_pmtu_export(path.pmtu, path.now, &event, sizeof(event));
        bool done = test_path_info(&path).state == TUNNELCAP_PMTU_SEARCH_COMPLETE;
        ck_assert_status(status, done ? TUNNELCAP_OK : TUNNELCAP_E_NOT_FOUND);
        if (!done)
            continue;
        ck_assert_uint_eq(event.mtu, 1333);
        ck_assert_uint_eq(event.source, TUNNELCAP_PMTU_PROBED);
        ck_assert(generation == UINT32_MAX || event.generation == generation);
        generation = event.generation; /* confirmed again, but no news */
    }
    ck_assert_uint_ne(generation, UINT32_MAX);
    test_path_close(&path);
}
END_TEST

START_TEST(what_was_imported_is_not_told_on)
{
    tunnelcap_pmtu *pmtu = make(TUNNELCAP_IPV4, TUNNELCAP_PMTU_LEARN);
    tunnelcap_pmtu_event event = event_of(1400, 0, TUNNELCAP_PMTU_ICMP);
    tunnelcap_pmtu_info info;
    ck_assert_status(tunnelcap_pmtu_import(pmtu, &event, 0), TUNNELCAP_CHANGED);
    ck_assert_status(tunnelcap_pmtu_export(pmtu, 0, &event, sizeof(event)), TUNNELCAP_E_NOT_FOUND);
    test_ok(tunnelcap_pmtu_get_info(pmtu, 0, &info, sizeof(info)));
    ck_assert_uint_eq(info.flags, TUNNELCAP_PMTU_IMPORTED);
    ck_assert_uint_eq(info.generation, 0);
    ck_assert_status(tunnelcap_pmtu_learn(pmtu, 1300, 0), TUNNELCAP_CHANGED);
    test_ok(tunnelcap_pmtu_export(pmtu, 0, &event, sizeof(event)));
    ck_assert_uint_eq(event.mtu, 1300);
    tunnelcap_pmtu_free(pmtu);
}
END_TEST

/* ---- import ---- */

START_TEST(import_refuses_what_it_documents)
{
    static const struct {
        tunnelcap_pmtu_event event;
        uint8_t family;
        int32_t want;
    } rows[] = {
        {{23, 1400, 0, 0, 4, 1, {0, 0}}, 4, TUNNELCAP_E_VERSION},
        {{24, 1400, 0, 0, 6, 1, {0, 0}}, 4, TUNNELCAP_E_ADDRESS},
        {{24, 1400, 0, 0, 4, 1, {0, 0}}, 6, TUNNELCAP_E_ADDRESS},
        {{24, 1400, 0, 0, 4, 0, {0, 0}}, 4, TUNNELCAP_E_MODE},
        {{24, 1400, 0, 0, 4, 3, {0, 0}}, 4, TUNNELCAP_E_MODE},
        {{24, 1400, 0, 0, 4, 1, {0, 1}}, 4, TUNNELCAP_E_RESERVED},
        {{24, 67, 0, 0, 4, 1, {0, 0}}, 4, TUNNELCAP_E_RANGE},
        {{24, 65536, 0, 0, 4, 1, {0, 0}}, 4, TUNNELCAP_E_RANGE},
        {{24, 1279, 0, 0, 6, 1, {0, 0}}, 6, TUNNELCAP_E_RANGE},
        {{24, 65576, 0, 0, 6, 1, {0, 0}}, 6, TUNNELCAP_E_RANGE},
        {{24, 0, 0, 0, 4, 2, {0, 0}}, 4, TUNNELCAP_E_RANGE},
        {{24, 65535, 0, 0, 4, 2, {0, 0}}, 4, TUNNELCAP_OK},
        {{24, 1500, 0, 0, 6, 2, {0, 0}}, 6, TUNNELCAP_OK},
        {{24, 1400, 0, 77, 6, 2, {0, 0}}, 6, TUNNELCAP_CHANGED},
    };
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        tunnelcap_pmtu *pmtu = make(rows[i].family, TUNNELCAP_PMTU_LEARN);
        void *event = test_copy(&rows[i].event, sizeof(rows[i].event));
        ck_assert_status(tunnelcap_pmtu_import(pmtu, event, 0), rows[i].want);
        ck_assert_uint_eq(tunnelcap_pmtu_get(pmtu),
                          rows[i].want == TUNNELCAP_CHANGED ? 1400 : 1500);
        free(event);
        tunnelcap_pmtu_free(pmtu);
    }
}
END_TEST

START_TEST(lower_wins_and_higher_only_if_probed_and_newer)
{
    enum { ICMP = TUNNELCAP_PMTU_ICMP, PROBED = TUNNELCAP_PMTU_PROBED, T = 100 };
    /* One server that learns: what it has at T, of which age, and what comes. Ages in seconds. */
    static const struct {
        uint32_t had;
        uint8_t source; /* ICMP: its own; PROBED: imported */
        uint64_t had_age;
        uint32_t comes;
        uint8_t comes_source;
        uint64_t comes_age;
        uint32_t want;
    } rows[] = {
        {1400, ICMP, 10, 1300, ICMP, 0, 1300},      {1400, ICMP, 10, 1300, ICMP, 50, 1300},
        {1400, ICMP, 10, 1300, PROBED, 50, 1300},   {1400, PROBED, 10, 1300, ICMP, 5, 1300},
        {1400, PROBED, 10, 1300, ICMP, 50, 1400}, /* what was probed since is known better */
        {1400, ICMP, 10, 1450, ICMP, 0, 1400},      {1400, ICMP, 10, 1450, PROBED, 50, 1400},
        {1400, ICMP, 10, 1450, PROBED, 5, 1450},    {1400, PROBED, 10, 1450, PROBED, 5, 1450},
        {1400, PROBED, 10, 1450, PROBED, 50, 1400}, {1400, ICMP, 10, 9000, PROBED, 5, 1500},
        {1400, ICMP, 10, 1300, ICMP, 599, 1300},    {1400, ICMP, 10, 1300, ICMP, 600, 1400},
        {1400, ICMP, 10, 68, ICMP, 0, 576},         {1400, ICMP, 10, 1400, PROBED, 0, 1400},
    };
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        tunnelcap_pmtu *pmtu = make(TUNNELCAP_IPV4, TUNNELCAP_PMTU_LEARN);
        tunnelcap_pmtu_event had = event_of(rows[i].had, rows[i].had_age * second, rows[i].source);
        tunnelcap_pmtu_event comes =
            event_of(rows[i].comes, rows[i].comes_age * second, rows[i].comes_source);
        if (rows[i].source == ICMP)
            ck_assert_status(
                tunnelcap_pmtu_learn(pmtu, rows[i].had, (T - rows[i].had_age) * second),
                TUNNELCAP_CHANGED);
        else
            ck_assert_status(tunnelcap_pmtu_import(pmtu, &had, T * second), TUNNELCAP_CHANGED);
        int32_t status = tunnelcap_pmtu_import(pmtu, &comes, T * second);
        ck_assert_msg(tunnelcap_pmtu_get(pmtu) == rows[i].want, "row %u: %u, not %u", (unsigned)i,
                      tunnelcap_pmtu_get(pmtu), rows[i].want);
        ck_assert_status(status, rows[i].want != rows[i].had ? TUNNELCAP_CHANGED : TUNNELCAP_OK);
        tunnelcap_pmtu_free(pmtu);
    }
}
END_TEST

START_TEST(what_was_imported_ages_with_its_finder)
{
    tunnelcap_pmtu *pmtu = make(TUNNELCAP_IPV4, TUNNELCAP_PMTU_LEARN);
    tunnelcap_pmtu_event event = event_of(1400, 400 * second, TUNNELCAP_PMTU_ICMP);
    tunnelcap_pmtu_probe probe;
    uint64_t next;
    ck_assert_status(tunnelcap_pmtu_import(pmtu, &event, 0), TUNNELCAP_CHANGED);
    test_ok(tunnelcap_pmtu_tick(pmtu, 199 * second, &next, &probe));
    ck_assert_status(tunnelcap_pmtu_tick(pmtu, 200 * second + 10 * test_ms, &next, &probe),
                     TUNNELCAP_CHANGED);
    ck_assert_uint_eq(tunnelcap_pmtu_get(pmtu), 1500);
    tunnelcap_pmtu_free(pmtu);
}
END_TEST

START_TEST(who_probes_takes_less_at_once_and_looks_for_more_itself)
{
    tunnelcap_pmtu_config config = test_path_config(TUNNELCAP_IPV4, 1500);
    tunnelcap_pmtu_event event = event_of(1300, 0, TUNNELCAP_PMTU_PROBED);
    test_path path;
    test_path_open(&path, &config, 3);
    path.mtu = 1400;
    test_path_settle(&path, minute);
    path.now += second;
    ck_assert_status(tunnelcap_pmtu_import(path.pmtu, &event, path.now), TUNNELCAP_CHANGED);
    ck_assert_uint_eq(tunnelcap_pmtu_get(path.pmtu), 1300);
    test_path_tick(&path);
    test_path_settle(&path, minute);
    ck_assert_uint_eq(tunnelcap_pmtu_get(path.pmtu), 1400);
    test_path_run(&path, second);
    event = event_of(1500, 0, TUNNELCAP_PMTU_PROBED);
    test_ok(tunnelcap_pmtu_import(path.pmtu, &event, path.now));
    ck_assert_uint_eq(tunnelcap_pmtu_get(path.pmtu), 1400);
    test_path_close(&path);
}
END_TEST

/* ---- a fleet ---- */

enum { SERVERS = 5 };

/* Servers that tell each other what is new, a second later. */
typedef struct fleet {
    test_path path[SERVERS];
    uint32_t told[SERVERS]; /* generation */
    uint64_t events;
} fleet;

static void fleet_run(fleet *f, uint32_t seconds)
{
    for (uint32_t s = 0; s < seconds; s++) {
        tunnelcap_pmtu_event news[SERVERS];
        bool has_news[SERVERS] = {false};
        for (unsigned i = 0; i < SERVERS; i++) {
            test_path *path = &f->path[i];
            tunnelcap_pmtu_event event;
            if (tunnelcap_pmtu_export(path->pmtu, path->now, &event, sizeof(event)) ==
                    TUNNELCAP_OK &&
                event.generation != f->told[i]) {
                f->told[i] = event.generation;
                news[i] = event;
                has_news[i] = true;
                f->events++;
            }
        }
        for (unsigned i = 0; i < SERVERS; i++) {
            test_path_run(&f->path[i], second);
            for (unsigned from = 0; from < SERVERS; from++) {
                if (from != i && has_news[from] &&
                    tunnelcap_pmtu_import(f->path[i].pmtu, &news[from], f->path[i].now) ==
                        TUNNELCAP_CHANGED)
                    test_path_tick(&f->path[i]);
            }
        }
    }
}

static void fleet_open(fleet *f, uint32_t seed, uint32_t probing)
{
    memset(f, 0, sizeof(*f));
    for (unsigned i = 0; i < SERVERS; i++) {
        tunnelcap_pmtu_config config = test_path_config(TUNNELCAP_IPV4, 1500);
        config.mode = i < probing ? TUNNELCAP_PMTU_PROBE : TUNNELCAP_PMTU_LEARN;
        test_path_open(&f->path[i], &config, seed * SERVERS + i);
    }
}

static void fleet_close(fleet *f)
{
    for (unsigned i = 0; i < SERVERS; i++)
        test_path_close(&f->path[i]);
}

START_TEST(an_icmp_message_to_one_server_lowers_all)
{
    fleet f;
    fleet_open(&f, 1, 0);
    fleet_run(&f, 10);
    ck_assert_status(tunnelcap_pmtu_learn(f.path[2].pmtu, 1380, f.path[2].now), TUNNELCAP_CHANGED);
    fleet_run(&f, 2);
    for (unsigned i = 0; i < SERVERS; i++)
        ck_assert_uint_eq(tunnelcap_pmtu_get(f.path[i].pmtu), 1380);
    ck_assert_uint_eq(f.events, 1);
    for (unsigned i = 0; i < SERVERS; i++)
        test_path_tick(&f.path[i]); /* as CHANGED asks for */
    fleet_run(&f, 602);
    for (unsigned i = 0; i < SERVERS; i++)
        ck_assert_uint_eq(tunnelcap_pmtu_get(f.path[i].pmtu), 1500);
    ck_assert_uint_eq(f.events, 1); /* that it has aged is no news */
    fleet_close(&f);
}
END_TEST

/* Servers whose paths differ cannot agree: each keeps what its own path carries, and the talk
 * ends. */
START_TEST(events_among_servers_with_other_paths_die_out)
{
    test_random random = {5};
    for (uint32_t round = 0; round < 12; round++) {
        fleet f;
        uint32_t probing = round % 3 == 0 ? SERVERS : 3;
        fleet_open(&f, round, probing);
        for (unsigned i = 0; i < SERVERS; i++) {
            f.path[i].mtu = 1200 + test_below(&random, 301);
            f.path[i].icmp = test_below(&random, 2);
        }
        fleet_run(&f, 120);
        tunnelcap_pmtu_learn(f.path[round % SERVERS].pmtu, 1250, f.path[0].now); /* a forgery */
        test_path_tick(&f.path[round % SERVERS]);
        fleet_run(&f, 240);
        uint64_t so_far = f.events;
        ck_assert_uint_le(so_far, 8 * SERVERS);
        fleet_run(&f, 3600);
        /* Of an hour of looking for more every ten minutes, nothing is worth telling. */
        ck_assert_uint_eq(f.events, so_far);
        for (unsigned i = 0; i < probing; i++)
            ck_assert_uint_eq(tunnelcap_pmtu_get(f.path[i].pmtu), f.path[i].mtu);
        fleet_close(&f);
    }
}
END_TEST

Suite *test_pmtu_fleet_suite(void)
{
    const TTest *tests[] = {
        own_findings_are_told_with_their_age,
        a_search_is_told_when_it_has_ended,
        what_was_imported_is_not_told_on,
        import_refuses_what_it_documents,
        lower_wins_and_higher_only_if_probed_and_newer,
        what_was_imported_ages_with_its_finder,
        who_probes_takes_less_at_once_and_looks_for_more_itself,
        an_icmp_message_to_one_server_lowers_all,
        events_among_servers_with_other_paths_die_out,
    };
    return test_suite("pmtu_fleet", tests, TEST_COUNT(tests));
}
