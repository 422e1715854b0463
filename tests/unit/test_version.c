/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "support.h"

#include <stdio.h>

START_TEST(library_and_headers_are_of_one_version)
{
    ck_assert_uint_eq(tunnelcap_version(), TUNNELCAP_VERSION);
}
END_TEST

START_TEST(text_and_number_say_the_same)
{
    uint32_t version = tunnelcap_version();
    char text[32];
    snprintf(text, sizeof(text), "%u.%u.%u", (unsigned)(version / 1000000),
             (unsigned)(version / 1000 % 1000), (unsigned)(version % 1000));
    ck_assert_str_eq(tunnelcap_version_text(), text);
}
END_TEST

Suite *test_version_suite(void)
{
    const TTest *tests[] = {
        library_and_headers_are_of_one_version,
        text_and_number_say_the_same,
    };
    return test_suite("version", tests, TEST_COUNT(tests));
}
