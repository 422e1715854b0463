/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "chart.h"

#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum {
    NARROWEST = 40,
    ORDINARY = 80,
    NUMBER_COLUMNS = 6, /* "1.25 M" */
    LABEL_COLUMNS = 12, /* "2026-11-28" and a gap */
    STEPS = 8           /* of a block character */
};

/* Blocks by eighths, from the bottom and from the left; each is three bytes of UTF-8. */
static const char *const rising[STEPS + 1] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
static const char *const growing[STEPS + 1] = {" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};

/* The same in ASCII, as far as it goes. */
static const char *const rising_ascii[STEPS + 1] = {" ", "_", "_", ".", "-", "-", "=", "=", "#"};
static const char *const growing_ascii[STEPS + 1] = {" ", "-", "-", "-", "-", "=", "=", "=", "#"};

/* ------------------------------------------------------------------------------------ style */

static bool locale_is_utf8(void)
{
    locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
    bool utf8;

    if (!locale)
        return false;
    utf8 = !strcmp(nl_langinfo_l(CODESET, locale), "UTF-8");
    freelocale(locale);
    return utf8;
}

static uint16_t width_of(FILE *out)
{
    const char *columns = getenv("COLUMNS");
    long width = columns ? strtol(columns, NULL, 10) : 0;
    struct winsize size;

    if (width <= 0 && !ioctl(fileno(out), TIOCGWINSZ, &size))
        width = size.ws_col;
    if (width <= 0)
        width = ORDINARY;
    if (width < NARROWEST)
        width = NARROWEST;
    return width < CHART_WIDEST ? (uint16_t)width : CHART_WIDEST;
}

chart_style chart_style_of(FILE *out)
{
    const char *term = getenv("TERM");
    const char *no_color = getenv("NO_COLOR");

    return (chart_style){
        .width = width_of(out),
        .ascii = !locale_is_utf8(),
        .colour = isatty(fileno(out)) && !(no_color && *no_color) && term && strcmp(term, "dumb"),
    };
}

const char *chart_colour(const chart_style *style, enum chart_colour colour)
{
    static const char *const sequences[] = {
        [CHART_PLAIN] = "\033[0m", [CHART_FAINT] = "\033[2m",  [CHART_STRONG] = "\033[1m",
        [CHART_BLUE] = "\033[34m", [CHART_GREEN] = "\033[32m", [CHART_AMBER] = "\033[33m",
        [CHART_RED] = "\033[31m",
    };

    return style->colour ? sequences[colour] : "";
}

/* ---------------------------------------------------------------------------------- numbers */

const char *chart_number(char text[CHART_NUMBER_SIZE], uint64_t value, const char *unit)
{
    static const char *const prefixes[] = {"", "k", "M", "G", "T", "P", "E"};
    const char *gap = *unit ? " " : "";
    uint64_t divisor = 1; /* from which on there are three digits */
    unsigned scale = 0;   /* of the digits: the prefix is a third of it */
    unsigned digits;

    if (value < 1000) {
        snprintf(text, CHART_NUMBER_SIZE, "%" PRIu64 "%s%s", value, gap, unit);
        return text;
    }
    while (value / divisor >= 1000) {
        divisor *= 10;
        scale++;
    }
    digits = (unsigned)(value / divisor + (value % divisor >= divisor - divisor / 2));
    if (digits == 1000) {
        digits = 100;
        scale++;
    }
    /* Three digits of which scale % 3 belong behind the next smaller prefix. */
    switch (scale % 3) {
    case 0:
        snprintf(text, CHART_NUMBER_SIZE, "%u %s%s", digits, prefixes[scale / 3], unit);
        break;
    case 1:
        snprintf(text, CHART_NUMBER_SIZE, "%u.%02u %s%s", digits / 100, digits % 100,
                 prefixes[scale / 3 + 1], unit);
        break;
    default:
        snprintf(text, CHART_NUMBER_SIZE, "%u.%u %s%s", digits / 10, digits % 10,
                 prefixes[scale / 3 + 1], unit);
        break;
    }
    return text;
}

uint64_t chart_ceiling(uint64_t value)
{
    static const uint64_t tenths[] = {10, 12, 15, 20, 25, 30, 40, 50, 60, 80};

    if (value <= 10) /* there is no half */
        return value == 7 ? 8 : value == 9 ? 10 : value ? value : 1;
    for (uint64_t power = 1;; power *= 10) {
        for (size_t i = 0; i < sizeof tenths / sizeof tenths[0]; i++) {
            if (tenths[i] > UINT64_MAX / power)
                return UINT64_MAX;
            if (tenths[i] * power >= value)
                return tenths[i] * power;
        }
        if (power > UINT64_MAX / 10)
            return UINT64_MAX;
    }
}

/* ------------------------------------------------------------------------------------- rows */

/* The largest value of the column-th of `columns` equal parts; CHART_NONE if none is known. */
static uint64_t largest_in(const uint64_t *values, uint32_t count, uint32_t column,
                           uint32_t columns)
{
    uint32_t from = (uint32_t)((uint64_t)column * count / columns);
    uint32_t to = (uint32_t)(((uint64_t)column + 1) * count / columns);
    uint64_t largest = CHART_NONE;

    if (to == from)
        to = from + 1;
    for (uint32_t i = from; i < to; i++) {
        if (values[i] != CHART_NONE && (largest == CHART_NONE || values[i] > largest))
            largest = values[i];
    }
    return largest;
}

/* How many of `parts` a value is of the highest, rounded, but 0 for nothing else than 0. */
static uint32_t share(uint64_t value, uint64_t highest, uint32_t parts)
{
    uint32_t filled;

    if (value == CHART_NONE || !value || !highest)
        return 0;
    if (value >= highest)
        return parts;
    /* Both lose bits alike where the product would not fit. */
    while (value > UINT64_MAX / (2 * (uint64_t)parts + 1)) {
        value >>= 1;
        highest >>= 1;
    }
    filled = (uint32_t)((value * parts + highest / 2) / highest);
    return filled ? filled : 1;
}

static uint64_t highest_of(const uint64_t *values, uint32_t count)
{
    uint64_t highest = count ? largest_in(values, count, 0, 1) : 0;

    return highest == CHART_NONE ? 0 : highest;
}

static char *append(char *at, const char *piece)
{
    size_t len = strlen(piece);

    memcpy(at, piece, len + 1);
    return at + len;
}

const char *chart_sparkline(char text[CHART_TEXT_SIZE], const chart_style *style, uint32_t width,
                            const uint64_t *values, uint32_t count, uint64_t highest)
{
    const char *const *steps = style->ascii ? rising_ascii : rising;
    char *at = text;

    if (width > CHART_WIDEST)
        width = CHART_WIDEST;
    if (width > count)
        width = count;
    if (!highest)
        highest = highest_of(values, count);
    *at = '\0';
    for (uint32_t i = 0; i < width; i++)
        at = append(at, steps[share(largest_in(values, count, i, width), highest, STEPS)]);
    return text;
}

const char *chart_bar(char text[CHART_TEXT_SIZE], const chart_style *style, uint32_t width,
                      uint64_t value, uint64_t highest)
{
    const char *const *steps = style->ascii ? growing_ascii : growing;
    char *at = text;
    uint32_t filled;

    if (width > CHART_WIDEST)
        width = CHART_WIDEST;
    filled = share(value, highest, width * STEPS);
    *at = '\0';
    for (uint32_t i = 0; i < width; i++) {
        uint32_t here = filled < STEPS ? filled : STEPS;

        at = append(at, steps[here]);
        filled -= here;
    }
    return text;
}

/* ------------------------------------------------------------------------------------- time */

static const uint64_t intervals_s[] = {1,     2,     5,     10,    15,     30,    60,
                                       120,   300,   600,   900,   1800,   3600,  7200,
                                       10800, 21600, 43200, 86400, 172800, 604800};

/* A round interval of which no more than `most` fit. */
static uint64_t interval_for(uint64_t span_s, uint32_t most)
{
    size_t count = sizeof intervals_s / sizeof intervals_s[0];
    uint64_t interval = intervals_s[count - 1];

    for (size_t i = 0; i < count; i++) {
        if (span_s / intervals_s[i] < most)
            return intervals_s[i];
    }
    while (span_s / interval >= most)
        interval *= 2;
    return interval;
}

void chart_ticks_of(chart_ticks *ticks, uint64_t from_s, uint64_t to_s, uint32_t most)
{
    uint64_t interval;

    ticks->count = 0;
    if (most > CHART_TICKS)
        most = CHART_TICKS;
    if (!most || to_s < from_s)
        return;
    interval = interval_for(to_s - from_s, most);
    for (uint64_t at = from_s + (interval - from_s % interval) % interval;
         at <= to_s && at >= from_s && ticks->count < most; at += interval) {
        const char *format = interval < 60 ? "%H:%M:%S" : interval < 86400 ? "%H:%M" : "%Y-%m-%d";
        time_t time = (time_t)at;
        struct tm parts;

        if (at > INT64_MAX || !gmtime_r(&time, &parts) ||
            !strftime(ticks->label[ticks->count], sizeof ticks->label[0], format, &parts))
            return;
        ticks->at_s[ticks->count++] = at;
    }
}

/* Where on an axis a time is, and no further right than its last column. */
static uint32_t column_of(const chart_series *series, uint64_t at_s, uint32_t columns)
{
    uint64_t span_s = series->step_s * series->count;
    uint64_t past_s = at_s - series->start_s;

    while (past_s > UINT64_MAX / columns) {
        past_s >>= 1;
        span_s >>= 1;
    }
    past_s = past_s * columns / span_s;
    return past_s < columns ? (uint32_t)past_s : columns - 1;
}

/* The axis and below it the labels, each from its tick on. */
static void print_time_axis(FILE *out, const chart_style *style, const chart_series *series,
                            uint32_t margin, uint32_t columns)
{
    const char *line = style->ascii ? "-" : "─";
    const char *mark = style->ascii ? "+" : "┬";
    char labels[CHART_WIDEST + 16] = "";
    char axis[CHART_TEXT_SIZE];
    chart_ticks ticks;
    uint32_t tick = 0;
    char *at = axis;

    chart_ticks_of(&ticks, series->start_s, series->start_s + series->step_s * series->count - 1,
                   columns / LABEL_COLUMNS);
    memset(labels, ' ', columns);
    for (uint32_t i = 0; i < columns; i++) {
        bool marked = tick < ticks.count && column_of(series, ticks.at_s[tick], columns) == i;

        at = append(at, marked ? mark : line);
        if (marked && i + strlen(ticks.label[tick]) <= columns)
            memcpy(labels + i, ticks.label[tick], strlen(ticks.label[tick]));
        tick += marked;
    }
    labels[columns] = '\0';
    fprintf(out, "%s%*s %s%s%s\n", chart_colour(style, CHART_FAINT), (int)margin, "0",
            style->ascii ? "+" : "┼", axis, chart_colour(style, CHART_PLAIN));
    for (uint32_t end = columns; end && labels[end - 1] == ' '; end--)
        labels[end - 1] = '\0';
    fprintf(out, "%s%*s  %s%s\n", chart_colour(style, CHART_FAINT), (int)margin, "", labels,
            chart_colour(style, CHART_PLAIN));
}

/* What one cell of a chart shows of a column that is so many eighths high. */
static uint32_t eighths_in(uint32_t eighths, uint32_t row)
{
    uint32_t below = row * STEPS;

    if (eighths <= below)
        return 0;
    return eighths - below < STEPS ? eighths - below : STEPS;
}

static void print_row(FILE *out, const chart_style *style, const chart_series *series,
                      uint32_t columns, uint32_t row, uint32_t height, uint64_t top)
{
    const char *const *steps = style->ascii ? rising_ascii : rising;
    char text[CHART_TEXT_SIZE];
    char *end = text; /* of what is no blank */
    char *at = text;

    for (uint32_t i = 0; i < columns; i++) {
        uint64_t value = largest_in(series->values, series->count, i, columns);
        uint32_t cell = eighths_in(share(value, top, height * STEPS), row);
        uint64_t peak = CHART_NONE;

        if (!cell && series->peaks)
            peak = largest_in(series->peaks, series->count, i, columns);
        if (!cell && eighths_in(share(peak, top, height * STEPS), row))
            at = append(at, style->ascii ? ":" : "░");
        else
            at = append(at, steps[cell]);
        if (at[-1] != ' ')
            end = at;
    }
    *end = '\0';
    fprintf(out, "%s%s%s\n", chart_colour(style, CHART_BLUE), text,
            chart_colour(style, CHART_PLAIN));
}

void chart_print(FILE *out, const chart_style *style, const chart_series *series, uint32_t height)
{
    uint64_t highest = highest_of(series->values, series->count);
    char label[CHART_NUMBER_SIZE];
    uint32_t margin = NUMBER_COLUMNS + (uint32_t)strlen(series->unit);
    uint32_t columns = style->width - margin - 2;
    uint64_t top;

    if (!series->count || !height || margin + 2 >= style->width)
        return;
    if (series->peaks && highest_of(series->peaks, series->count) > highest)
        highest = highest_of(series->peaks, series->count);
    top = chart_ceiling(highest);
    for (uint32_t row = height; row-- > 0;) {
        bool halfway = !(height % 2 || top % 2) && row == height / 2 - 1;
        bool labelled = row == height - 1 || halfway;
        uint64_t level = row == height - 1 ? top : top / 2;

        chart_number(label, level, series->unit);
        fprintf(out, "%s%*s %s%s", chart_colour(style, CHART_FAINT), (int)margin,
                labelled ? label : "",
                style->ascii ? "|"
                : labelled   ? "┤"
                             : "│",
                chart_colour(style, CHART_PLAIN));
        print_row(out, style, series, columns, row, height, top);
    }
    print_time_axis(out, style, series, margin, columns);
}
