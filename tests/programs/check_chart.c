/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Charts as text, against what they must show. */
#include "chart.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const chart_style blocks = {.width = 60};
static const chart_style ascii = {.width = 60, .ascii = true};

/* Columns of a text: characters, not bytes. */
static uint32_t columns_of(const char *text)
{
    uint32_t columns = 0;

    for (; *text; text++)
        columns += (*text & 0xc0) != 0x80;
    return columns;
}

static bool is_ascii(const char *text)
{
    while (*text && !(*text & 0x80))
        text++;
    return !*text;
}

/* What chart_print() prints. */
static const char *printed(const chart_style *style, const chart_series *series, uint32_t height)
{
    static char text[1 << 16];
    FILE *out = fmemopen(text, sizeof text, "w");

    ck_assert_ptr_nonnull(out);
    chart_print(out, style, series, height);
    ck_assert_int_eq(fclose(out), 0);
    return text;
}

START_TEST(numbers_have_three_digits_and_round_to_the_nearest)
{
    static const struct {
        uint64_t value;
        const char *text;
    } cases[] = {
        {0, "0 bit/s"},
        {7, "7 bit/s"},
        {999, "999 bit/s"},
        {1000, "1.00 kbit/s"},
        {1004, "1.00 kbit/s"},
        {1005, "1.01 kbit/s"},
        {9994, "9.99 kbit/s"},
        {9995, "10.0 kbit/s"},
        {12345, "12.3 kbit/s"},
        {99950, "100 kbit/s"},
        {999499, "999 kbit/s"},
        {999500, "1.00 Mbit/s"},
        {1234567890, "1.23 Gbit/s"},
        {UINT64_MAX, "18.4 Ebit/s"},
    };
    char text[CHART_NUMBER_SIZE];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        ck_assert_str_eq(chart_number(text, cases[i].value, "bit/s"), cases[i].text);
    ck_assert_str_eq(chart_number(text, 5, ""), "5");
}
END_TEST

START_TEST(ceilings_are_the_least_round_numbers_not_below)
{
    static const uint64_t cases[][2] = {
        {0, 1},
        {1, 1},
        {2, 2},
        {3, 3},
        {7, 8},
        {9, 10},
        {10, 10},
        {11, 12},
        {13, 15},
        {41, 50},
        {81, 100},
        {1000000, 1000000},
        {1000001, 1200000},
        {2400000, 2500000},
        {UINT64_MAX, UINT64_MAX},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        ck_assert_uint_eq(chart_ceiling(cases[i][0]), cases[i][1]);
}
END_TEST

START_TEST(sparklines_show_each_value_and_never_hide_what_is_not_zero)
{
    static const uint64_t values[] = {0, 1, 2, 4, 8, CHART_NONE, 8000000, 16000000};
    static const uint64_t ramp[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    char text[CHART_TEXT_SIZE];

    ck_assert_str_eq(chart_sparkline(text, &blocks, 60, ramp, 9, 0), " ▁▂▃▄▅▆▇█");
    ck_assert_str_eq(chart_sparkline(text, &blocks, 60, ramp, 9, 16), " ▁▁▂▂▃▃▄▄");
    ck_assert_str_eq(chart_sparkline(text, &blocks, 60, values, 8, 0), " ▁▁▁▁ ▄█");
    ck_assert_str_eq(chart_sparkline(text, &ascii, 60, ramp, 9, 0), " __.--==#");
    ck_assert_str_eq(chart_sparkline(text, &blocks, 60, ramp, 0, 0), "");
    ck_assert_str_eq(chart_sparkline(text, &blocks, 60, ramp, 1, 0), " ");
}
END_TEST

START_TEST(a_column_of_several_values_shows_the_largest)
{
    uint64_t values[100] = {0};
    char text[CHART_TEXT_SIZE];

    values[57] = 9;
    ck_assert_str_eq(chart_sparkline(text, &blocks, 10, values, 100, 0), "     █    ");
    for (size_t i = 0; i < 100; i++)
        values[i] = CHART_NONE;
    ck_assert_str_eq(chart_sparkline(text, &blocks, 10, values, 100, 0), "          ");
}
END_TEST

START_TEST(values_near_the_limit_of_64_bits_do_not_overflow)
{
    static const uint64_t values[] = {UINT64_MAX - 1, (UINT64_MAX - 1) / 2, 1};
    char text[CHART_TEXT_SIZE];

    ck_assert_str_eq(chart_sparkline(text, &blocks, 60, values, 3, 0), "█▄▁");
    ck_assert_str_eq(chart_bar(text, &blocks, 4, values[1], values[0]), "██  ");
}
END_TEST

START_TEST(bars_fill_their_width_by_eighths)
{
    char text[CHART_TEXT_SIZE];

    ck_assert_str_eq(chart_bar(text, &blocks, 4, 0, 32), "    ");
    ck_assert_str_eq(chart_bar(text, &blocks, 4, 1, 32), "▏   ");
    ck_assert_str_eq(chart_bar(text, &blocks, 4, 13, 32), "█▋  ");
    ck_assert_str_eq(chart_bar(text, &blocks, 4, 32, 32), "████");
    ck_assert_str_eq(chart_bar(text, &blocks, 4, 33, 32), "████");
    ck_assert_str_eq(chart_bar(text, &blocks, 4, 1, 1000000), "▏   ");
    ck_assert_str_eq(chart_bar(text, &blocks, 4, 5, 0), "    ");
    ck_assert_str_eq(chart_bar(text, &ascii, 4, 13, 32), "#=  ");
    ck_assert_uint_eq(columns_of(chart_bar(text, &blocks, 100000, 1, 1)), CHART_WIDEST);
}
END_TEST

START_TEST(labels_of_time_are_round_in_utc_and_inside)
{
    chart_ticks ticks;

    chart_ticks_of(&ticks, 1700000003, 1700000018, 4); /* 22:13:23 to :38 */
    ck_assert_uint_eq(ticks.count, 3);
    ck_assert_str_eq(ticks.label[0], "22:13:25");
    ck_assert_str_eq(ticks.label[2], "22:13:35");
    ck_assert_uint_eq(ticks.at_s[0], 1700000005);
    chart_ticks_of(&ticks, 1700000000, 1700007200, 4);
    ck_assert_str_eq(ticks.label[0], "23:00");
    chart_ticks_of(&ticks, 0, UINT32_MAX, 8);
    ck_assert_str_eq(ticks.label[0], "1970-01-01");
    ck_assert_uint_le(ticks.count, 8);
    ck_assert_uint_ge(ticks.count, 4);
    chart_ticks_of(&ticks, 60, 60, 3);
    ck_assert_uint_eq(ticks.count, 1);
    chart_ticks_of(&ticks, 5, 4, 3);
    ck_assert_uint_eq(ticks.count, 0);
    chart_ticks_of(&ticks, UINT64_MAX - 5, UINT64_MAX, 3); /* no calendar goes that far */
    ck_assert_uint_eq(ticks.count, 0);
}
END_TEST

START_TEST(ticks_are_never_more_than_asked_for_and_lie_apart_evenly)
{
    chart_ticks ticks;

    for (uint32_t most = 1; most <= CHART_TICKS; most++) {
        for (uint64_t span = 1; span < UINT64_C(1) << 40; span = span * 3 + 1) {
            chart_ticks_of(&ticks, 1234567, 1234567 + span, most);
            ck_assert_uint_le(ticks.count, most);
            for (uint32_t i = 0; i < ticks.count; i++) {
                ck_assert_uint_ge(ticks.at_s[i], 1234567);
                ck_assert_uint_le(ticks.at_s[i], 1234567 + span);
                if (i > 1)
                    ck_assert_uint_eq(ticks.at_s[i] - ticks.at_s[i - 1],
                                      ticks.at_s[1] - ticks.at_s[0]);
            }
        }
    }
}
END_TEST

START_TEST(charts_over_time_have_axes_and_every_row)
{
    static const uint64_t values[] = {0, 500, 1000, 250};
    static const uint64_t peaks[] = {0, 750, 1000, 1000};
    static const chart_series series = {
        values, peaks, 4, "bit/s", 1700000000, 15,
    };
    static const chart_style narrow = {.width = 41, .ascii = true};
    static const chart_style wide = {.width = 41};

    ck_assert_str_eq(printed(&narrow, &series, 4), "1.00 kbit/s |              #######:::::::\n"
                                                   "            |       :::::::#######:::::::\n"
                                                   "  500 bit/s |       ##############:::::::\n"
                                                   "            |       #####################\n"
                                                   "          0 +----+-------------+---------\n"
                                                   "                 22:13:30      22:14:00\n");
    ck_assert_str_eq(printed(&wide, &series, 2), "1.00 kbit/s ┤       ░░░░░░░███████░░░░░░░\n"
                                                 "  500 bit/s ┤       ██████████████▄▄▄▄▄▄▄\n"
                                                 "          0 ┼────┬─────────────┬─────────\n"
                                                 "                 22:13:30      22:14:00\n");
}
END_TEST

START_TEST(charts_keep_their_width_whatever_they_show)
{
    uint64_t values[977];

    for (size_t i = 0; i < 977; i++)
        values[i] = i % 13 ? i * i * i * i * i : CHART_NONE;
    for (uint16_t width = 40; width <= CHART_WIDEST; width += 9) {
        for (uint32_t count = 1; count <= 977; count += 61) {
            chart_style style = {.width = width, .ascii = width % 2};
            chart_series series = {values, NULL, count, "packets/s", 1, 1 + width};
            char *text = strdup(printed(&style, &series, 6));
            char *rest = text;
            uint32_t lines = 0;

            for (char *line; (line = strsep(&rest, "\n")); lines++) {
                ck_assert_uint_le(columns_of(line), width);
                ck_assert(!style.ascii || is_ascii(line));
            }
            ck_assert_uint_eq(lines, 6 + 2 + 1);
            free(text);
        }
    }
}
END_TEST

START_TEST(nothing_is_drawn_of_nothing_or_where_there_is_no_room)
{
    static const uint64_t values[] = {1};
    chart_series series = {values, NULL, 0, "bit/s", 0, 1};
    chart_style style = {.width = 12};

    ck_assert_str_eq(printed(&blocks, &series, 4), "");
    series.count = 1;
    ck_assert_str_eq(printed(&blocks, &series, 0), "");
    ck_assert_str_eq(printed(&style, &series, 4), "");
}
END_TEST

START_TEST(the_style_follows_the_environment)
{
    FILE *out = tmpfile();
    chart_style style;

    ck_assert_ptr_nonnull(out);
    setenv("LC_ALL", "C.UTF-8", 1);
    setenv("COLUMNS", "123", 1);
    style = chart_style_of(out);
    ck_assert_uint_eq(style.width, 123);
    ck_assert(!style.ascii);
    ck_assert(!style.colour); /* a file is no terminal */
    ck_assert_str_eq(chart_colour(&style, CHART_RED), "");
    setenv("LC_ALL", "C", 1);
    setenv("COLUMNS", "7", 1);
    style = chart_style_of(out);
    ck_assert_uint_eq(style.width, 40);
    ck_assert(style.ascii);
    setenv("COLUMNS", "99999", 1);
    ck_assert_uint_eq(chart_style_of(out).width, CHART_WIDEST);
    setenv("COLUMNS", "many", 1);
    ck_assert_uint_eq(chart_style_of(out).width, 80);
    fclose(out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("chart");
    TCase *tests = tcase_create("chart");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_test(tests, numbers_have_three_digits_and_round_to_the_nearest);
    tcase_add_test(tests, ceilings_are_the_least_round_numbers_not_below);
    tcase_add_test(tests, sparklines_show_each_value_and_never_hide_what_is_not_zero);
    tcase_add_test(tests, a_column_of_several_values_shows_the_largest);
    tcase_add_test(tests, values_near_the_limit_of_64_bits_do_not_overflow);
    tcase_add_test(tests, bars_fill_their_width_by_eighths);
    tcase_add_test(tests, labels_of_time_are_round_in_utc_and_inside);
    tcase_add_test(tests, ticks_are_never_more_than_asked_for_and_lie_apart_evenly);
    tcase_add_test(tests, charts_over_time_have_axes_and_every_row);
    tcase_add_test(tests, charts_keep_their_width_whatever_they_show);
    tcase_add_test(tests, nothing_is_drawn_of_nothing_or_where_there_is_no_room);
    tcase_add_test(tests, the_style_follows_the_environment);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
