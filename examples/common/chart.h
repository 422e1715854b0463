/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Numbers drawn as text: sparklines, horizontal bars, charts over time; in block characters or in
 * plain ASCII.
 */
#ifndef TUNNELCAP_EXAMPLES_CHART_H
#define TUNNELCAP_EXAMPLES_CHART_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum {
    CHART_WIDEST = 400,                     /* columns at most; more are not drawn */
    CHART_TEXT_SIZE = 3 * CHART_WIDEST + 1, /* a row of them in UTF-8, with its end */
    CHART_NUMBER_SIZE = 32,                 /* a number with its unit, with its end */
    CHART_TICKS = 16                        /* labels of an axis of time at most */
};

#define CHART_NONE UINT64_MAX /* a value that is not known: nothing is drawn for it */

enum chart_colour {
    CHART_PLAIN,
    CHART_FAINT,
    CHART_STRONG,
    CHART_BLUE,
    CHART_GREEN,
    CHART_AMBER,
    CHART_RED
};

/* How to draw. */
typedef struct chart_style {
    uint16_t width; /* columns, 40 to CHART_WIDEST */
    bool ascii;     /* no characters beyond ASCII */
    bool colour;    /* escape sequences for colours */
} chart_style;

/* Values of equal steps of time. */
typedef struct chart_series {
    const uint64_t *values;
    const uint64_t *peaks; /* drawn faintly above the values; or NULL */
    uint32_t count;
    const char *unit; /* behind the numbers of the axis: "bit/s" */
    uint64_t start_s; /* where the first step begins, seconds since 1970 in UTC */
    uint64_t step_s;  /* how long one is, not 0 */
} chart_series;

/* Labels of an axis of time. */
typedef struct chart_ticks {
    uint32_t count;
    uint64_t at_s[CHART_TICKS];
    char label[CHART_TICKS][16]; /* "12:34:56", "12:34" or "2026-11-28", all of the same kind */
} chart_ticks;

/*
 * What suits a stream. Width: COLUMNS, else that of the terminal, else 80. ASCII: unless the
 * character set of the locale is UTF-8. Colour: on a terminal, unless NO_COLOR is set or TERM is
 * "dumb".
 */
chart_style chart_style_of(FILE *out);

/* The escape sequence that begins a colour, CHART_PLAIN ends it; "" where there are no colours. */
const char *chart_colour(const chart_style *style, enum chart_colour colour);

/* Write a number with three significant digits and a decimal prefix: "1.25 Mbit/s". Rounds to
 * the nearest. Returns the text. */
const char *chart_number(char text[CHART_NUMBER_SIZE], uint64_t value, const char *unit);

/* The least round number that is not below a value: where an axis may end. From 10 on these are
 * 1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8 times a power of ten. At least 1. */
uint64_t chart_ceiling(uint64_t value);

/*
 * Write values as a row of columns, of which `highest` is the full height (0: the largest of the
 * values). Where there are more values than columns, each shows the largest of its own. What is
 * not 0 can be seen. Returns the text, whose columns are the lesser of width and count.
 */
const char *chart_sparkline(char text[CHART_TEXT_SIZE], const chart_style *style, uint32_t width,
                            const uint64_t *values, uint32_t count, uint64_t highest);

/* Write a bar whose full width stands for `highest`, filled with blanks up to it. What is not 0
 * can be seen. Returns the text. */
const char *chart_bar(char text[CHART_TEXT_SIZE], const chart_style *style, uint32_t width,
                      uint64_t value, uint64_t highest);

/* Choose labels for an axis from one second to another: at most `most`, at round times. */
void chart_ticks_of(chart_ticks *ticks, uint64_t from_s, uint64_t to_s, uint32_t most);

/*
 * Print values over time: `height` rows, an axis of numbers at the left and one of time in UTC
 * below. Where there are more values than columns, each shows the largest of its own.
 */
void chart_print(FILE *out, const chart_style *style, const chart_series *series, uint32_t height);

#endif
