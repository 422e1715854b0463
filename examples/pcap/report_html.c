/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The report as one page that needs nothing else: no script, no request.
 */
#include "chart.h"
#include "deploy.h"
#include "report_plot.h"

#include <inttypes.h>
#include <string.h>

static const char page_head[] =
    "<!DOCTYPE html>\n"
    "<html lang=\"en\">\n"
    "<head>\n"
    "<meta charset=\"utf-8\"/>\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
    "style-src 'unsafe-inline'\"/>\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
    "<meta name=\"color-scheme\" content=\"light dark\"/>\n"
    "<title>Tunnel report</title>\n"
    "<style>\n";

static const char page_style[] =
    ":root{--page:#f6f7f9;--card:#fff;--text:#17202e;--soft:#5b6678;--line:#dfe4ea;"
    "--d0:#1f6feb;--d1:#c2620a;--bad:#c0262d;--bar:#d8e6fd}\n"
    "@media(prefers-color-scheme:dark){:root{--page:#0f141b;--card:#171e28;--text:#e4e9f0;"
    "--soft:#98a4b5;--line:#2b3543;--d0:#5aa2ff;--d1:#f2a24b;--bad:#ff7b80;--bar:#1f3a5f}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;padding:28px 20px 40px;max-width:1120px;background:var(--page);"
    "color:var(--text);font:15px/1.5 system-ui,-apple-system,\"Segoe UI\",Roboto,\"DejaVu Sans\","
    "sans-serif;font-variant-numeric:tabular-nums}\n"
    "h1{margin:0;font-size:28px;letter-spacing:-.01em}\n"
    "h2{margin:0 0 4px;font-size:19px;overflow-wrap:anywhere}\n"
    "h3{margin:0 0 6px;font-size:13px;color:var(--soft);font-weight:600}\n"
    "p{margin:4px 0}\n"
    ".soft{color:var(--soft)}\n"
    ".files{overflow-wrap:anywhere}\n"
    "section,.tile{background:var(--card);border:1px solid var(--line);border-radius:12px}\n"
    "section{margin-top:20px;padding:20px}\n"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;"
    "margin:20px 0 0}\n"
    ".tile{padding:12px 16px}\n"
    ".tile dt{color:var(--soft);font-size:13px}\n"
    ".tile dd{margin:0;font-size:21px;font-weight:600;white-space:nowrap}\n"
    ".bad{color:var(--bad)}\n"
    "table{border-collapse:collapse;width:100%}\n"
    "th,td{padding:4px 10px 4px 0;text-align:right;white-space:nowrap;font-weight:400}\n"
    "th:first-child,td.text{text-align:left}\n"
    "thead th{color:var(--soft);font-size:13px;border-bottom:1px solid var(--line)}\n"
    "tbody th{overflow-wrap:anywhere;white-space:normal}\n"
    ".wide{overflow-x:auto}\n"
    ".name td,.name th{padding-top:12px;font-weight:600;text-align:left}\n"
    "a{color:inherit;text-decoration-color:var(--line);text-underline-offset:3px}\n"
    ".key::before{content:\"\";display:inline-block;width:10px;height:10px;margin-right:7px;"
    "border-radius:3px;background:var(--d0)}\n"
    ".key.d1::before{background:var(--d1)}\n"
    ".plot{display:block;width:100%;height:auto;margin-top:10px}\n"
    ".spark{width:160px;height:24px;vertical-align:middle}\n"
    "svg text{fill:var(--soft);font-size:11.5px}\n"
    "svg .y{text-anchor:end}\n"
    "svg .grid{stroke:var(--line);stroke-width:1}\n"
    "svg .axis{stroke:var(--soft);stroke-width:1}\n"
    "svg .rate{fill:var(--d0);fill-opacity:.8}\n"
    "svg .rate.d1{fill:var(--d1)}\n"
    "svg .peak{fill:var(--d0);fill-opacity:.22}\n"
    "svg .peak.d1{fill:var(--d1)}\n"
    "svg .p95{stroke:var(--text);stroke-width:1;stroke-dasharray:5 4;opacity:.55}\n"
    "svg .hints rect{fill:var(--text);fill-opacity:0}\n"
    "svg .hints rect:hover{fill-opacity:.12}\n"
    ".facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(340px,1fr));gap:16px 28px;"
    "margin-top:14px}\n"
    ".lists{display:grid;grid-template-columns:repeat(auto-fit,minmax(300px,1fr));gap:20px 28px;"
    "margin-top:18px}\n"
    ".lists table{font-size:13.5px;table-layout:fixed}\n"
    ".lists th{width:46%;padding:2px 8px 2px 0;line-height:1.35}\n"
    ".lists td{padding:2px 0}\n"
    ".facts table{width:auto}\n"
    ".facts td{padding-right:12px}\n"
    ".lists td.share{width:27%;border-bottom:2px solid var(--card);background:linear-gradient(to "
    "right,var(--bar) var(--w),"
    "transparent var(--w));padding-right:6px;border-radius:3px}\n"
    "details{margin-top:12px;font-size:13.5px}\n"
    "summary{color:var(--soft);cursor:pointer}\n"
    "footer{margin-top:24px;color:var(--soft);font-size:13px}\n"
    "@media print{body{background:#fff;max-width:none}section{break-inside:avoid-page;border:0;"
    "padding:8px 0}}\n"
    "</style>\n"
    "</head>\n"
    "<body>\n";

struct page {
    FILE *out;
    const struct report *report;
    struct series series;
    struct talkers talkers;
};

/* ------------------------------------------------------------------------------------- head */

static void print_tile(const struct page *page, const char *name, const char *value,
                       const char *class)
{
    fprintf(page->out, "<div class=\"tile\"><dt>%s</dt><dd class=\"%s\">%s</dd></div>\n", name,
            class, value);
}

static void print_tiles(struct page *page)
{
    const struct report *report = page->report;
    const struct direction *all = &report->all->directions[0];
    uint64_t refused = report_refused(all);
    char text[REPORT_NAME_SIZE], number[CHART_NUMBER_SIZE];
    uint32_t tunnels = 0;

    for (uint32_t i = 0; i < report->scope_count; i++)
        tunnels += report->scopes[i]->kind == SCOPE_TUNNEL;
    scope_series(report->all, report, &page->series);
    fputs("<dl class=\"tiles\">\n", page->out);
    snprintf(text, sizeof text, "%" PRIu32 "%s", tunnels, report->others->tunnels ? " +" : "");
    print_tile(page, "Tunnels", text, "");
    print_tile(page, "Packets in tunnels", chart_number(number, all->packets, ""), "");
    print_tile(page, "Bytes in tunnels", chart_number(number, all->outer_bytes, "B"), "");
    print_tile(page, "Average", chart_number(number, page->series.average[0], "bit/s"), "");
    print_tile(page, "Busiest second", chart_number(number, page->series.highest[0], "bit/s"), "");
    print_tile(page, "Refused", chart_number(number, refused, ""), refused ? "bad" : "");
    fputs("</dl>\n", page->out);
}

static void print_files(const struct page *page)
{
    const struct timeline *timeline = &page->report->timeline;
    char name[REPORT_NAME_SIZE];

    fputs("<p class=\"files\">", page->out);
    for (uint32_t i = 0; i < timeline->count; i++) {
        const char *path = timeline->files[i].path;

        fputs(i ? ", " : "", page->out);
        plot_print_escaped(page->out, report_clean(strcmp(path, "-") ? path : "standard input",
                                                   name, sizeof name));
    }
    fprintf(page->out, "%s</p>\n", timeline->count > 1 ? " (merged by time)" : "");
}

static void print_head(struct page *page)
{
    const struct report *report = page->report;
    uint64_t seconds = (report->last_ns - report->first_ns) / 1000000000;
    char first[REPORT_NAME_SIZE], last[REPORT_NAME_SIZE], duration[REPORT_NAME_SIZE];
    char notes[REPORT_NOTES][REPORT_NAME_SIZE];
    uint32_t count;

    fputs("<header>\n<h1>Tunnel report</h1>\n", page->out);
    print_files(page);
    fprintf(page->out,
            "<p class=\"soft\"><time>%s</time> to <time>%s</time>, %s; %" PRIu64 " frames, %" PRIu64
            " IP packets</p>\n",
            report_time(report->first_ns, first), report_time(report->last_ns, last),
            report_duration(seconds, duration), report->frames, report->packets);
    count = report_notes(report, notes);
    for (uint32_t i = 0; i < count; i++)
        fprintf(page->out, "<p class=\"soft\">%s</p>\n", notes[i]);
    print_tiles(page);
    fputs("</header>\n", page->out);
}

/* ------------------------------------------------------------------------------------ table */

static void print_row(struct page *page, const struct scope *scope, uint32_t way)
{
    const struct direction *direction = &scope->directions[way];
    uint64_t refused = report_refused(direction);
    char name[REPORT_NAME_SIZE], text[5][CHART_NUMBER_SIZE];

    fprintf(page->out,
            "<tr><th scope=\"row\"><span class=\"key d%" PRIu32
            "\">%s</span></th><td>%s</td><td>%s</td>"
            "<td>%s</td><td>%s</td><td>%s</td><td class=\"%s\">%" PRIu64 "</td><td>",
            way, report_direction_name(scope, way, name),
            chart_number(text[0], direction->packets, ""),
            chart_number(text[1], direction->outer_bytes, "B"),
            chart_number(text[2], page->series.average[way], "bit/s"),
            chart_number(text[3], page->series.highest[way], "bit/s"),
            chart_number(text[4], page->series.percentile[way], "bit/s"), refused ? "bad" : "",
            refused);
    plot_print_spark(page->out, page->report, &page->series, way);
    fputs("</td></tr>\n", page->out);
}

static void print_table(struct page *page)
{
    const struct report *report = page->report;
    char name[REPORT_NAME_SIZE];

    fputs("<section>\n<h2>Tunnels</h2>\n<div class=\"wide\"><table>\n<thead><tr>"
          "<th scope=\"col\">Direction</th><th scope=\"col\">Packets</th>"
          "<th scope=\"col\">Bytes</th><th scope=\"col\">Average</th>"
          "<th scope=\"col\">Busiest second</th><th scope=\"col\">95th percentile</th>"
          "<th scope=\"col\">Refused</th><th scope=\"col\">Over time</th></tr></thead>\n<tbody>\n",
          page->out);
    for (uint32_t i = 0; i < report->scope_count; i++) {
        const struct scope *scope = report->scopes[i];

        if (scope->kind != SCOPE_TUNNEL)
            continue;
        scope_series(scope, report, &page->series);
        fprintf(page->out,
                "<tr class=\"name\"><th scope=\"rowgroup\" colspan=\"8\"><a href=\"#s%" PRIu32
                "\">%s</a></th></tr>\n",
                i, report_name(scope, name));
        for (uint32_t way = 0; way < 2; way++)
            print_row(page, scope, way);
    }
    fputs("</tbody></table></div>\n</section>\n", page->out);
}

/* ---------------------------------------------------------------------------------- a scope */

static void print_facts(const struct page *page, const struct direction *direction)
{
    struct fact facts[REPORT_FACTS];
    uint32_t count = report_facts(direction, facts);

    if (!count)
        return;
    fputs("<table><tbody>\n", page->out);
    for (uint32_t i = 0; i < count; i++) {
        bool refused = facts[i].status < 0;

        fprintf(page->out, "<tr><td class=\"%s\">%" PRIu64 "</td><td class=\"text\">",
                refused ? "bad" : "", facts[i].count);
        if (refused)
            fprintf(page->out, "%s: ", tunnelcap_status_name(facts[i].status));
        plot_print_escaped(page->out, facts[i].text);
        fputs("</td></tr>\n", page->out);
    }
    fputs("</tbody></table>\n", page->out);
}

static void print_direction(const struct page *page, const struct scope *scope, uint32_t way)
{
    const struct direction *direction = &scope->directions[way];
    const struct series *series = &page->series;
    char name[REPORT_NAME_SIZE], text[4][CHART_NUMBER_SIZE];

    fputs("<div>\n", page->out);
    if (scope->direction_count == 2)
        fprintf(page->out, "<h3 class=\"key d%" PRIu32 "\">%s</h3>\n", way,
                report_direction_name(scope, way, name));
    fprintf(page->out,
            "<p>%" PRIu64 " packets, %s; %s on average, %s at most, 95th percentile %s</p>\n",
            direction->packets, chart_number(text[0], direction->outer_bytes, "B"),
            chart_number(text[1], series->average[way], "bit/s"),
            chart_number(text[2], series->highest[way], "bit/s"),
            chart_number(text[3], series->percentile[way], "bit/s"));
    if (direction->spi_count) {
        fprintf(page->out, "<p class=\"soft\">%" PRIu32 " SA%s:", direction->spi_count,
                direction->spi_count == 1 ? "" : "s");
        for (uint32_t i = 0; i < direction->spi_count && i < REPORT_SPIS; i++)
            fprintf(page->out, " 0x%08" PRIx32, direction->spis[i]);
        fputs(direction->spi_count > REPORT_SPIS ? " ...</p>\n" : "</p>\n", page->out);
    }
    print_facts(page, direction);
    fputs("</div>\n", page->out);
}

static void print_talkers(struct page *page, const struct scope *scope, enum dimension dimension)
{
    struct talkers *talkers = &page->talkers;
    const char *unit = dimension == BY_SIZE || dimension == BY_TCP_FLAGS ? "" : "B";

    scope_talkers(scope, dimension, page->report->args->top, talkers);
    if (!talkers->count)
        return;
    fprintf(page->out, "<div>\n<h3>%s, by %s%s</h3>\n<table><tbody>\n",
            report_dimension_title(dimension), report_dimension_unit(dimension),
            talkers->exact ? "" : " (between two bounds)");
    for (uint32_t i = 0; i < talkers->count; i++) {
        const tunnelcap_top_item *item = &talkers->items[i];
        double share = 100.0 * (double)item->weight / (double)talkers->total;
        char name[REPORT_NAME_SIZE], most[CHART_NUMBER_SIZE], least[CHART_NUMBER_SIZE];

        fprintf(page->out,
                "<tr><th scope=\"row\">%s</th><td class=\"share\" style=\"--w:%.1f%%\">%.1f "
                "%%</td><td>",
                report_key_name(dimension, item, name), share, share);
        if (item->error)
            fprintf(page->out, "%s to ", chart_number(least, item->weight - item->error, ""));
        fprintf(page->out, "%s</td></tr>\n", chart_number(most, item->weight, unit));
    }
    fputs("</tbody></table>\n</div>\n", page->out);
}

/* The numbers of the plot, for those who cannot see it or want to copy them. */
static void print_numbers(const struct page *page, const struct scope *scope)
{
    const struct report *report = page->report;
    const struct series *series = &page->series;
    char name[REPORT_NAME_SIZE];

    fputs("<details><summary>Numbers of the plot, in bit/s</summary>\n<div class=\"wide\"><table>\n"
          "<thead><tr><th scope=\"col\">From (UTC)</th>",
          page->out);
    for (uint32_t way = 0; way < scope->direction_count; way++)
        fprintf(page->out, "<th scope=\"col\">%s</th><th scope=\"col\">busiest second</th>",
                report_direction_name(scope, way, name));
    fputs("</tr></thead>\n<tbody>\n", page->out);
    for (uint32_t bin = 0; bin < report->bins; bin++) {
        uint64_t start_s = report->start_s + bin * report->step_s;

        if (!series->packets[0][bin] && !series->packets[1][bin])
            continue;
        fprintf(page->out, "<tr><th scope=\"row\">%s</th>",
                report_time(start_s * 1000000000, name));
        for (uint32_t way = 0; way < scope->direction_count; way++)
            fprintf(page->out, "<td>%" PRIu64 "</td><td>%" PRIu64 "</td>", series->rate[way][bin],
                    series->peak[way][bin]);
        fputs("</tr>\n", page->out);
    }
    fputs("</tbody></table></div></details>\n", page->out);
}

static void print_scope(struct page *page, const struct scope *scope, uint32_t id)
{
    char name[REPORT_NAME_SIZE];

    scope_series(scope, page->report, &page->series);
    fprintf(page->out, "<section id=\"s%" PRIu32 "\">\n<h2>", id);
    plot_print_escaped(page->out, report_name(scope, name));
    fputs("</h2>\n", page->out);
    if (scope->inner_mtu)
        fprintf(page->out,
                "<p class=\"soft\">Largest inner packet %" PRIu32 ", MSS %" PRIu32
                " over IPv4, %" PRIu32 " over IPv6, on a path of %d</p>\n",
                scope->inner_mtu, scope->inner_mtu - 40, scope->inner_mtu - 60, DEPLOY_PATH_MTU);
    plot_print(page->out, page->report, scope, &page->series, id);
    fputs("<div class=\"facts\">\n", page->out);
    for (uint32_t way = 0; way < scope->direction_count; way++)
        print_direction(page, scope, way);
    fputs("</div>\n<div class=\"lists\">\n", page->out);
    for (int dimension = 0; dimension < DIMENSIONS; dimension++)
        print_talkers(page, scope, (enum dimension)dimension);
    fputs("</div>\n", page->out);
    print_numbers(page, scope);
    fputs("</section>\n", page->out);
}

bool report_print_html(const struct report *report, FILE *out)
{
    static struct page page;

    page = (struct page){.out = out, .report = report};
    fputs(page_head, out);
    fputs(page_style, out);
    print_head(&page);
    for (uint32_t i = 0; i < report->scope_count; i++) {
        const struct scope *scope = report->scopes[i];

        if (scope->directions[0].packets || scope->directions[1].packets)
            print_scope(&page, scope, i);
        if (scope->kind == SCOPE_ALL && report->tunnels.count)
            print_table(&page);
    }
    fprintf(out,
            "<footer>Times are UTC. Rates are of outer packets by their IP headers, averages over "
            "%" PRIu64 " s each; the paler shade and \"busiest second\" are of single seconds; the "
            "dashed line is the 95th percentile of averages over %" PRIu32 " s. tunnelcap-pcap "
            "%s.</footer>\n</body>\n</html>\n",
            report->step_s, report->span_s, tunnelcap_version_text());
    return !fflush(out) && !ferror(out);
}
