/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "plot.h"

#include "chart.h"

#include <string.h>
#include <time.h>

enum { HEIGHT = 6 };

/* Intervals, and how the rows of each name their time and their average. */
static const struct {
    const char *interval;
    const char *time;
    const char *bits;
    uint64_t step_s;
} kinds[] = {{"second", "datetime", "bitRate", 1},
             {"minute", "datetimeMinute", "bitRateMinute", 60},
             {"fiveMinutes", "datetimeFiveMinutes", "bitRateFiveMinutes", 300},
             {"hour", "datetimeHour", "bitRateHour", 3600}};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* One direction of a tunnel. */
typedef struct curve {
    uint64_t values[PLOT_STEPS];
    uint64_t peaks[PLOT_STEPS];
    uint32_t count;
    uint64_t start_s;
    uint64_t bytes;
} curve;

static const char *string(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? "" : text;
}

static uint64_t number(const json_t *object, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(object, key));
}

static size_t find(const char *interval)
{
    size_t kind = 0;

    while (kind < KINDS && strcmp(kinds[kind].interval, interval) != 0)
        kind++;
    return kind;
}

bool plot_knows(const char *interval)
{
    return find(interval) < KINDS;
}

static bool read_time(const char *text, uint64_t *seconds)
{
    struct tm parts = {.tm_sec = 0};

    if (strptime(text, "%Y-%m-%dT%H:%M:%SZ", &parts) == NULL)
        return false;
    *seconds = (uint64_t)timegm(&parts);
    return true;
}

/* Put a row where its time is. */
static void add(curve *c, const json_t *row, size_t kind)
{
    uint64_t at_s = 0;

    if (!read_time(string(json_object_get(row, "dimensions"), kinds[kind].time), &at_s))
        return;
    if (c->count == 0)
        c->start_s = at_s;
    uint64_t step = (at_s - c->start_s) / kinds[kind].step_s;
    if (at_s < c->start_s || step >= PLOT_STEPS)
        return;
    for (; c->count <= step; c->count++)
        c->values[c->count] = c->peaks[c->count] = CHART_NONE;
    c->values[step] = number(json_object_get(row, "avg"), kinds[kind].bits);
    c->peaks[step] = number(json_object_get(row, "max"), "bitRate");
    c->bytes += number(json_object_get(row, "sum"), "bytes");
}

static void print(const curve *c, const chart_style *style, const char *tunnel,
                  const char *direction, size_t kind)
{
    char sum[CHART_NUMBER_SIZE];
    chart_series series = {.values = c->values,
                           .peaks = kinds[kind].step_s > 1 ? c->peaks : NULL,
                           .count = c->count,
                           .unit = "bit/s",
                           .start_s = c->start_s,
                           .step_s = kinds[kind].step_s};

    printf("%s%s, %s%s: %s\n", chart_colour(style, CHART_STRONG), tunnel, direction,
           chart_colour(style, CHART_PLAIN), chart_number(sum, c->bytes, "B"));
    chart_print(stdout, style, &series, HEIGHT);
}

void plot_print(const json_t *records, const char *interval)
{
    static curve c;
    chart_style style = chart_style_of(stdout);
    size_t kind = find(interval);
    size_t i = 0;
    size_t t = 0;
    json_t *tunnel = NULL;
    json_t *row = NULL;
    unsigned printed = 0;

    json_array_foreach(json_object_get(records, "tunnels"), t, tunnel)
    {
        const char *name = string(tunnel, "tunnelName");
        const char *direction = string(tunnel, "direction");
        memset(&c, 0, sizeof c);
        json_array_foreach(json_object_get(records, "magicTransitTunnelTrafficAdaptiveGroups"), i,
                           row)
        {
            const json_t *dimensions = json_object_get(row, "dimensions");
            if (strcmp(string(dimensions, "tunnelName"), name) == 0 &&
                strcmp(string(dimensions, "direction"), direction) == 0)
                add(&c, row, kind);
        }
        if (c.bytes == 0)
            continue;
        if (printed++ > 0)
            putchar('\n');
        print(&c, &style, name, direction, kind);
    }
    if (printed == 0)
        puts("no tunnel has carried anything in this time");
}
