/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "report_plot.h"

#include "chart.h"

#include <inttypes.h>
#include <string.h>

/* The drawing in its own units, which browsers stretch to the page. */
enum {
    PLOT_WIDTH = 960,
    PLOT_LEFT = 88, /* of the first bin: room for labels */
    PLOT_RIGHT = 948,
    PLOT_TOP = 14,
    PLOT_HEIGHT = 150, /* of a direction alone */
    PLOT_HALF = 90,    /* of each of two */
    PLOT_BELOW = 26,   /* room for times */
    MOST_TICKS = 8,
    SPARK_WIDTH = 160,
    SPARK_HEIGHT = 24
};

struct plot {
    FILE *out;
    const struct report *report;
    const struct scope *scope;
    const struct series *series;
    uint64_t top;  /* value of a direction's full height */
    double height; /* of a direction */
    double base;   /* y of the value 0 */
};

void plot_print_escaped(FILE *out, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        case '\'':
            fputs("&#39;", out);
            break;
        default:
            fputc(*text, out);
            break;
        }
    }
}

static double x_of(const struct plot *plot, double bin)
{
    return PLOT_LEFT + bin * (PLOT_RIGHT - PLOT_LEFT) / plot->report->bins;
}

static double y_of(const struct plot *plot, uint32_t direction, uint64_t value)
{
    double up = plot->height * (double)value / (double)plot->top;

    return direction ? plot->base + up : plot->base - up;
}

/* The outline of values as steps; the axis closes it. */
static void print_area(const struct plot *plot, uint32_t direction, const uint64_t *values,
                       const char *class)
{
    uint32_t bins = plot->report->bins;

    fprintf(plot->out, "<path class=\"%s d%" PRIu32 "\" d=\"M%.1f %.1f", class, direction,
            x_of(plot, 0), plot->base);
    for (uint32_t bin = 0; bin < bins; bin++) {
        if (!bin || values[bin] != values[bin - 1])
            fprintf(plot->out, "V%.1f", y_of(plot, direction, values[bin]));
        if (bin == bins - 1 || values[bin] != values[bin + 1])
            fprintf(plot->out, "H%.1f", x_of(plot, bin + 1));
    }
    fprintf(plot->out, "V%.1fZ\"/>\n", plot->base);
}

static void print_level(const struct plot *plot, uint32_t direction, uint64_t value)
{
    char label[CHART_NUMBER_SIZE];
    double y = y_of(plot, direction, value);

    fprintf(plot->out,
            "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
            "<text class=\"y\" x=\"%d\" y=\"%.1f\">%s</text>\n",
            PLOT_LEFT, PLOT_RIGHT, y, y, PLOT_LEFT - 8, y + 4,
            chart_number(label, value, value ? "bit/s" : ""));
}

static void print_grid(const struct plot *plot)
{
    const struct report *report = plot->report;
    double foot = plot->base + (plot->scope->direction_count == 2 ? plot->height : 0);
    uint64_t end_s = report->start_s + report->bins * report->step_s;
    chart_ticks ticks;

    for (uint32_t way = 0; way < plot->scope->direction_count; way++) {
        if (plot->top % 2 == 0)
            print_level(plot, way, plot->top / 2);
        print_level(plot, way, plot->top);
    }
    chart_ticks_of(&ticks, report->start_s, end_s, MOST_TICKS);
    for (uint32_t i = 0; i < ticks.count; i++) {
        double x = x_of(plot, (double)(ticks.at_s[i] - report->start_s) / (double)report->step_s);
        const char *anchor = x < PLOT_LEFT + 30 ? "start" : x > PLOT_RIGHT - 30 ? "end" : "middle";

        fprintf(plot->out,
                "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%.1f\"/>"
                "<text class=\"x\" text-anchor=\"%s\" x=\"%.1f\" y=\"%.1f\">%s</text>\n",
                x, x, PLOT_TOP, foot + 4, anchor, x, foot + 19, ticks.label[i]);
    }
}

/* The 95th percentile, as a line across. */
static void print_percentile(const struct plot *plot, uint32_t direction)
{
    uint64_t value = plot->series->percentile[direction];
    char label[CHART_NUMBER_SIZE];
    double y;

    if (!value || value > plot->top)
        return;
    y = y_of(plot, direction, value);
    fprintf(plot->out,
            "<line class=\"p95\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\">"
            "<title>95th percentile: %s</title></line>\n",
            PLOT_LEFT, PLOT_RIGHT, y, y, chart_number(label, value, "bit/s"));
}

static void print_hint_of(const struct plot *plot, uint32_t direction, uint32_t bin)
{
    char rate[CHART_NUMBER_SIZE], peak[CHART_NUMBER_SIZE], name[REPORT_NAME_SIZE];

    fprintf(plot->out, "\n%s: %s", report_direction_name(plot->scope, direction, name),
            chart_number(rate, plot->series->rate[direction][bin], "bit/s"));
    if (plot->report->step_s > 1)
        fprintf(plot->out, ", at most %s",
                chart_number(peak, plot->series->peak[direction][bin], "bit/s"));
}

/* What the pointer finds, with the exact numbers as data. */
static void print_hints(const struct plot *plot)
{
    const struct series *series = plot->series;
    uint32_t ways = plot->scope->direction_count;
    char time[REPORT_NAME_SIZE], duration[REPORT_NAME_SIZE];

    fputs("<g class=\"hints\">\n", plot->out);
    for (uint32_t bin = 0; bin < plot->report->bins; bin++) {
        uint64_t start_s = plot->report->start_s + bin * plot->report->step_s;

        if (!series->packets[0][bin] && !series->packets[1][bin])
            continue;
        fprintf(plot->out,
                "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%.0f\" data-bin=\"%" PRIu32 "\"",
                x_of(plot, bin), PLOT_TOP, x_of(plot, 1) - x_of(plot, 0), plot->height * ways, bin);
        for (uint32_t way = 0; way < ways; way++)
            fprintf(plot->out,
                    " data-rate%" PRIu32 "=\"%" PRIu64 "\" data-peak%" PRIu32 "=\"%" PRIu64 "\"",
                    way, series->rate[way][bin], way, series->peak[way][bin]);
        fprintf(plot->out, "><title>%s, %s", report_time(start_s * 1000000000, time),
                report_duration(plot->report->step_s, duration));
        for (uint32_t way = 0; way < ways; way++)
            print_hint_of(plot, way, bin);
        fputs("</title></rect>\n", plot->out);
    }
    fputs("</g>\n", plot->out);
}

static uint64_t highest_of(const struct series *series, uint32_t bins)
{
    uint64_t highest = 0;

    for (uint32_t way = 0; way < 2; way++) {
        for (uint32_t bin = 0; bin < bins; bin++) {
            if (series->peak[way][bin] > highest)
                highest = series->peak[way][bin];
            if (series->rate[way][bin] > highest)
                highest = series->rate[way][bin];
        }
    }
    return highest;
}

static void print_description(const struct plot *plot, uint32_t id)
{
    char name[REPORT_NAME_SIZE], average[CHART_NUMBER_SIZE], highest[CHART_NUMBER_SIZE];

    fprintf(plot->out, "<title id=\"plot%" PRIu32 "\">Bandwidth over time, %s</title>\n<desc>", id,
            report_name(plot->scope, name));
    for (uint32_t way = 0; way < plot->scope->direction_count; way++)
        fprintf(plot->out, "%s: %s on average, %s at most. ",
                report_direction_name(plot->scope, way, name),
                chart_number(average, plot->series->average[way], "bit/s"),
                chart_number(highest, plot->series->highest[way], "bit/s"));
    fputs("</desc>\n", plot->out);
}

void plot_print(FILE *out, const struct report *report, const struct scope *scope,
                const struct series *series, uint32_t id)
{
    uint32_t ways = scope->direction_count;
    double height = ways == 2 ? PLOT_HALF : PLOT_HEIGHT;
    struct plot plot = {
        .out = out,
        .report = report,
        .scope = scope,
        .series = series,
        .top = chart_ceiling(highest_of(series, report->bins)),
        .height = height,
        .base = PLOT_TOP + height,
    };

    fprintf(
        out,
        "<svg class=\"plot\" viewBox=\"0 0 %d %.0f\" role=\"img\" aria-labelledby=\"plot%" PRIu32
        "\" data-top=\"%" PRIu64 "\" data-base=\"%.1f\" data-height=\"%.1f\">\n",
        PLOT_WIDTH, PLOT_TOP + height * ways + PLOT_BELOW, id, plot.top, plot.base, height);
    print_description(&plot, id);
    print_grid(&plot);
    for (uint32_t way = 0; way < ways; way++) {
        if (report->step_s > 1)
            print_area(&plot, way, series->peak[way], "peak");
        print_area(&plot, way, series->rate[way], "rate");
        print_percentile(&plot, way);
    }
    fprintf(out, "<line class=\"axis\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>\n", PLOT_LEFT,
            PLOT_RIGHT, plot.base, plot.base);
    print_hints(&plot);
    fputs("</svg>\n", out);
}

void plot_print_spark(FILE *out, const struct report *report, const struct series *series,
                      uint32_t direction)
{
    const uint64_t *values = series->rate[direction];
    uint64_t top = 1;

    for (uint32_t bin = 0; bin < report->bins; bin++)
        top = values[bin] > top ? values[bin] : top;
    fprintf(out,
            "<svg class=\"spark\" viewBox=\"0 0 %d %d\" preserveAspectRatio=\"none\" "
            "aria-hidden=\"true\"><path class=\"rate d%" PRIu32 "\" d=\"M0 %d",
            SPARK_WIDTH, SPARK_HEIGHT, direction, SPARK_HEIGHT);
    for (uint32_t bin = 0; bin < report->bins; bin++) {
        if (!bin || values[bin] != values[bin - 1])
            fprintf(out, "V%.1f", SPARK_HEIGHT * (1 - (double)values[bin] / (double)top));
        if (bin == report->bins - 1 || values[bin] != values[bin + 1])
            fprintf(out, "H%.1f", (double)SPARK_WIDTH * (bin + 1) / report->bins);
    }
    fprintf(out, "V%dZ\"/></svg>", SPARK_HEIGHT);
}
