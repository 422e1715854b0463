/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The report for a terminal.
 */
#include "chart.h"
#include "deploy.h"
#include "report.h"

#include <inttypes.h>
#include <string.h>

enum { TALL = 8, LOW = 4, NAME_COLUMNS = 34, MOST_BAR = 40 };

/* Where to print, and how. */
struct paper {
    FILE *out;
    chart_style style;
    const struct report *report;
    struct series series;
    struct talkers talkers;
};

static const char *faint(const struct paper *paper)
{
    return chart_colour(&paper->style, CHART_FAINT);
}

static const char *strong(const struct paper *paper)
{
    return chart_colour(&paper->style, CHART_STRONG);
}

static const char *plain(const struct paper *paper)
{
    return chart_colour(&paper->style, CHART_PLAIN);
}

/* Names of files may hold anything, also what a terminal would obey. */
static void print_files(const struct paper *paper)
{
    const struct timeline *timeline = &paper->report->timeline;

    for (uint32_t i = 0; i < timeline->count; i++) {
        const char *path = timeline->files[i].path;
        char name[REPORT_NAME_SIZE];

        report_clean(strcmp(path, "-") ? path : "standard input", name, sizeof name);
        for (char *at = name; paper->style.ascii && *at; at++)
            *at = *at & 0x80 ? '?' : *at;
        fprintf(paper->out, "%s%s%s\n", strong(paper), name, plain(paper));
    }
    if (timeline->count > 1)
        fprintf(paper->out, "%s(merged by time)%s\n", faint(paper), plain(paper));
}

static void print_head(const struct paper *paper)
{
    const struct report *report = paper->report;
    char first[REPORT_NAME_SIZE], last[REPORT_NAME_SIZE], duration[REPORT_NAME_SIZE];
    uint64_t seconds = (report->last_ns - report->first_ns) / 1000000000;
    char notes[REPORT_NOTES][REPORT_NAME_SIZE];
    uint32_t count;

    print_files(paper);
    fprintf(paper->out, "%" PRIu64 " frames, %" PRIu64 " IP packets", report->frames,
            report->packets);
    if (report->frames)
        fprintf(paper->out, "\n%s to %s: %s", report_time(report->first_ns, first),
                report_time(report->last_ns, last), report_duration(seconds, duration));
    fputc('\n', paper->out);
    count = report_notes(report, notes);
    for (uint32_t i = 0; i < count; i++)
        fprintf(paper->out, "%s\n", notes[i]);
}

static void print_rates(const struct paper *paper, uint32_t way, const struct direction *direction)
{
    char text[4][CHART_NUMBER_SIZE];

    fprintf(paper->out, "%" PRIu64 " packets, %s; %s on average, %s at most, 95th percentile %s\n",
            direction->packets, chart_number(text[0], direction->outer_bytes, "B"),
            chart_number(text[1], paper->series.average[way], "bit/s"),
            chart_number(text[2], paper->series.highest[way], "bit/s"),
            chart_number(text[3], paper->series.percentile[way], "bit/s"));
}

static void print_chart(const struct paper *paper, uint32_t way, uint32_t height)
{
    const struct report *report = paper->report;
    struct chart_series series = {
        .values = paper->series.rate[way],
        .peaks = report->step_s > 1 ? paper->series.peak[way] : NULL,
        .count = report->bins,
        .unit = "bit/s",
        .start_s = report->start_s,
        .step_s = report->step_s,
    };

    chart_print(paper->out, &paper->style, &series, height);
}

/* What else there is to say of a direction, if anything. */
static void print_facts(const struct paper *paper, const struct direction *direction)
{
    struct fact facts[REPORT_FACTS];
    uint32_t count = report_facts(direction, facts);

    for (uint32_t i = 0; i < count; i++) {
        bool refused = facts[i].status < 0;

        fprintf(paper->out, "%s%12" PRIu64 "  ",
                refused ? chart_colour(&paper->style, CHART_RED) : "", facts[i].count);
        if (refused)
            fprintf(paper->out, "%-16s%s ", tunnelcap_status_name(facts[i].status), plain(paper));
        fprintf(paper->out, "%s\n", facts[i].text);
    }
}

/* The weight of a key: an exact number, or its two bounds. */
static const char *weight_text(const tunnelcap_top_item *item, const char *unit,
                               char text[2 * CHART_NUMBER_SIZE])
{
    char least[CHART_NUMBER_SIZE], most[CHART_NUMBER_SIZE];

    chart_number(most, item->weight, unit);
    if (item->error)
        snprintf(text, 2 * CHART_NUMBER_SIZE, "%s to %s",
                 chart_number(least, item->weight - item->error, ""), most);
    else
        snprintf(text, 2 * CHART_NUMBER_SIZE, "%s", most);
    return text;
}

static unsigned per_mille(uint64_t part, uint64_t whole)
{
    while (part > UINT64_MAX / 1000) {
        part >>= 1;
        whole >>= 1;
    }
    return whole ? (unsigned)(part * 1000 / whole) : 0;
}

static void print_talkers(struct paper *paper, const struct scope *scope, enum dimension dimension,
                          uint32_t most)
{
    struct talkers *talkers = &paper->talkers;
    const char *unit = dimension == BY_SIZE || dimension == BY_TCP_FLAGS ? "" : "B";
    uint32_t bar = paper->style.width - NAME_COLUMNS - 28u;

    scope_talkers(scope, dimension, most, talkers);
    if (!talkers->count || paper->style.width < NAME_COLUMNS + 38)
        bar = 10;
    if (bar > MOST_BAR)
        bar = MOST_BAR;
    if (!talkers->count)
        return;
    fprintf(paper->out, "%s%s%s, by %s%s\n", strong(paper), report_dimension_title(dimension),
            plain(paper), report_dimension_unit(dimension),
            talkers->exact ? "" : " (between two bounds)");
    for (uint32_t i = 0; i < talkers->count; i++) {
        const tunnelcap_top_item *item = &talkers->items[i];
        unsigned share = per_mille(item->weight, talkers->total);
        char name[REPORT_NAME_SIZE], weight[2 * CHART_NUMBER_SIZE], text[CHART_TEXT_SIZE];

        fprintf(paper->out, "  %-*s %s%s%s %3u.%u %%  %s\n", NAME_COLUMNS - 4,
                report_key_name(dimension, item, name), chart_colour(&paper->style, CHART_BLUE),
                chart_bar(text, &paper->style, bar, item->weight, talkers->total), plain(paper),
                share / 10, share % 10, weight_text(item, unit, weight));
    }
}

static void print_tunnel_facts(const struct paper *paper, const struct scope *scope)
{
    if (scope->inner_mtu)
        fprintf(paper->out,
                "%slargest inner packet %" PRIu32 ", MSS %" PRIu32 " over IPv4, %" PRIu32
                " over IPv6, on a path of %d%s\n",
                faint(paper), scope->inner_mtu, scope->inner_mtu - 40, scope->inner_mtu - 60,
                DEPLOY_PATH_MTU, plain(paper));
    for (uint32_t way = 0; way < scope->direction_count; way++) {
        const struct direction *direction = &scope->directions[way];
        char name[REPORT_NAME_SIZE];

        if (!direction->spi_count)
            continue;
        fprintf(paper->out, "%s%s: %" PRIu32 " SA%s,", faint(paper),
                report_direction_name(scope, way, name), direction->spi_count,
                direction->spi_count == 1 ? "" : "s");
        for (uint32_t i = 0; i < direction->spi_count && i < REPORT_SPIS; i++)
            fprintf(paper->out, " 0x%08" PRIx32, direction->spis[i]);
        fprintf(paper->out, "%s%s\n", direction->spi_count > REPORT_SPIS ? " ..." : "",
                plain(paper));
    }
}

static void print_scope(struct paper *paper, const struct scope *scope)
{
    bool overall = scope->kind != SCOPE_TUNNEL;
    char name[REPORT_NAME_SIZE];

    scope_series(scope, paper->report, &paper->series);
    fprintf(paper->out, "\n%s%s%s\n", strong(paper), report_name(scope, name), plain(paper));
    print_tunnel_facts(paper, scope);
    for (uint32_t way = 0; way < scope->direction_count; way++) {
        const struct direction *direction = &scope->directions[way];

        if (!overall)
            fprintf(paper->out, "\n%s%s%s\n", strong(paper),
                    report_direction_name(scope, way, name), plain(paper));
        print_rates(paper, way, direction);
        print_facts(paper, direction);
        if (direction->packets)
            print_chart(paper, way, overall ? TALL : LOW);
    }
    fputc('\n', paper->out);
    for (int dimension = 0; dimension < DIMENSIONS; dimension++)
        print_talkers(paper, scope, (enum dimension)dimension,
                      overall || paper->report->args->top < 5 ? paper->report->args->top : 5);
}

/* One line for each direction of each tunnel. */
static void print_table(struct paper *paper)
{
    const struct report *report = paper->report;
    char name[REPORT_NAME_SIZE], text[3][CHART_NUMBER_SIZE], line[CHART_TEXT_SIZE];
    uint32_t wide = paper->style.width > 110 ? paper->style.width - 90u : 20;

    fprintf(paper->out, "\n%s%-33s %10s %9s %12s %12s %s%s\n", strong(paper), "Tunnels", "packets",
            "refused", "average", "at most", "over time", plain(paper));
    for (uint32_t i = 0; i < report->scope_count; i++) {
        const struct scope *scope = report->scopes[i];

        if (scope->kind != SCOPE_TUNNEL)
            continue;
        scope_series(scope, report, &paper->series);
        fprintf(paper->out, "%s\n", report_name(scope, name));
        for (uint32_t way = 0; way < 2; way++) {
            const struct direction *direction = &scope->directions[way];

            fprintf(paper->out, "  %-31s %10" PRIu64 " %9" PRIu64 " %12s %12s %s%s%s\n",
                    report_direction_name(scope, way, name), direction->packets,
                    report_refused(direction),
                    chart_number(text[0], paper->series.average[way], "bit/s"),
                    chart_number(text[1], paper->series.highest[way], "bit/s"),
                    chart_colour(&paper->style, CHART_BLUE),
                    chart_sparkline(line, &paper->style, wide, paper->series.rate[way],
                                    report->bins, 0),
                    plain(paper));
        }
    }
}

bool report_print_text(const struct report *report, FILE *out)
{
    static struct paper paper;

    paper = (struct paper){.out = out, .style = chart_style_of(out), .report = report};
    paper.style.ascii |= report->args->ascii;
    print_head(&paper);
    if (report->tunnels.count)
        print_table(&paper);
    for (uint32_t i = 0; i < report->scope_count; i++) {
        if (report->scopes[i]->directions[0].packets || report->scopes[i]->directions[1].packets)
            print_scope(&paper, report->scopes[i]);
    }
    return !fflush(out) && !ferror(out);
}
