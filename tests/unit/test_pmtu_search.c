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

Suite *test_pmtu_search_suite(void)
{
    const TTest *tests[] = {
        every_path_mtu_is_found_without_icmp,
        a_path_as_wide_as_its_link_takes_one_probe,
        icmp_makes_the_search_short,
        less_than_the_base_is_found_down_to_the_floor,
    };
    return test_suite("pmtu_search", tests, TEST_COUNT(tests));
}
