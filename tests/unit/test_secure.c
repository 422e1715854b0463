/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "secure.h"

#include "support.h"

START_TEST(equal_sees_a_difference_in_any_bit)
{
    uint8_t a[40], b[40];
    for (uint32_t i = 0; i < sizeof(a); i++)
        a[i] = (uint8_t)(i * 37);
    memcpy(b, a, sizeof(a));
    for (uint32_t len = 0; len <= sizeof(a); len++)
        ck_assert_uint_eq(tunnelcap_i_equal(a, b, len), 1);
    for (uint32_t bit = 0; bit < 8 * sizeof(a); bit++) {
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_uint_eq(tunnelcap_i_equal(a, b, sizeof(a)), 0);
        ck_assert_uint_eq(tunnelcap_i_equal(a, b, bit / 8), 1);
        b[bit / 8] = a[bit / 8];
    }
}
END_TEST

START_TEST(wipe_clears_exactly_the_bytes_asked_for)
{
    uint8_t bytes[34];
    memset(bytes, 0xff, sizeof(bytes));
    tunnelcap_i_wipe(bytes + 1, 0);
    ck_assert_uint_eq(bytes[1], 0xff);
    tunnelcap_i_wipe(bytes + 1, 32);
    ck_assert_uint_eq(bytes[0], 0xff);
    ck_assert_uint_eq(bytes[33], 0xff);
    for (uint32_t i = 1; i < 33; i++)
        ck_assert_uint_eq(bytes[i], 0);
    tunnelcap_i_wipe(NULL, 0);
}
END_TEST

Suite *test_secure_suite(void)
{
    const TTest *tests[] = {
        equal_sees_a_difference_in_any_bit,
        wipe_clears_exactly_the_bytes_asked_for,
    };
    return test_suite("secure", tests, TEST_COUNT(tests));
}
