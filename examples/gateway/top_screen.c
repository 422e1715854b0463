/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "top_screen.h"

#include <inttypes.h>
#include <string.h>

enum {
    GAP = 2,
    NAME_LEAST = 8,
    NAME_MOST = 24,
    SPARK_LEAST = 8,
    HEAD_LINES = 4,   /* the gateway, its sums, nothing, titles */
    DETAIL_LINES = 6, /* nothing, the tunnel's ends, its minute, its drops */
    ROWS_LEAST = 4,   /* with fewer, there are no details */
    LINE_SIZE = 4 * CHART_WIDEST,
    CELL_SIZE = CHART_TEXT_SIZE,
    NS_PER_US = 1000,
    PPM_PER_HUNDREDTH = 100
};

/* Columns, the most wanted first. */
enum column {
    NAME,
    STATE,
    IN_BITS,
    OUT_BITS,
    DROPS,
    SPARK,
    RTT,
    LOSS,
    MTU,
    IN_PACKETS,
    OUT_PACKETS,
    COLUMNS
};

/* From left to right. Widths of 0 depend on what there is. */
static const struct {
    enum column column;
    const char *title;
    unsigned width;
    bool left; /* text begins at the left */
    int order; /* what the tunnels are sorted by for it to be marked, or -1 */
} layout[COLUMNS] = {
    {NAME, "TUNNEL", 0, true, TOP_BY_NAME},
    {STATE, "STATE", 8, true, TOP_BY_STATE},
    {IN_BITS, "IN BIT/S", 8, false, TOP_BY_IN},
    {OUT_BITS, "OUT BIT/S", 9, false, TOP_BY_OUT},
    {SPARK, "LAST MINUTE", 0, true, -1},
    {IN_PACKETS, "IN PKT/S", 8, false, TOP_BY_PACKETS},
    {OUT_PACKETS, "OUT PKT/S", 9, false, TOP_BY_PACKETS},
    {DROPS, "DROPS/S", 7, false, TOP_BY_DROPS},
    {MTU, "MTU", 5, false, TOP_BY_MTU},
    {RTT, "RTT", 8, false, TOP_BY_RTT},
    {LOSS, "LOSS", 7, false, -1},
};

/* Widths of the columns that are shown, 0 of those that are not. */
typedef struct plan {
    unsigned width[COLUMNS];
} plan;

static const top_look plain = {CHART_PLAIN, false};

static unsigned columns_of(const char *text)
{
    unsigned columns = 0;

    for (; *text != '\0'; text++)
        columns += ((unsigned char)*text & 0xc0) != 0x80; /* but for what goes on in UTF-8 */
    return columns;
}

/* Cut a text to a width. */
static void cut(char *text, unsigned width)
{
    unsigned columns = 0;

    for (; *text != '\0'; text++) {
        if (((unsigned char)*text & 0xc0) == 0x80)
            continue;
        if (columns++ == width) {
            *text = '\0';
            return;
        }
    }
}

static void put(const top_screen *s, unsigned line, unsigned column, top_look look,
                const char *text)
{
    char shown[LINE_SIZE];

    if (column >= s->width || (s->height > 0 && line >= s->height))
        return;
    snprintf(shown, sizeof shown, "%s", text);
    cut(shown, s->width - column);
    s->put(s->arg, line, column, look, shown);
}

static chart_style style_of(const top_screen *s)
{
    return (chart_style){.width = (uint16_t)s->width, .ascii = s->ascii};
}

/* ------------------------------------------------------------------------------------ columns */

static bool any_health(const top_model *m)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->tunnels[i].health != NULL)
            return true;
    return false;
}

static unsigned width_of(enum column column, const top_model *m)
{
    unsigned width = NAME_LEAST;

    for (unsigned i = 0; i < COLUMNS; i++)
        if (layout[i].column == column && layout[i].width > 0)
            return layout[i].width;
    if (column == SPARK)
        return SPARK_LEAST;
    for (size_t i = 0; i < m->count; i++) {
        unsigned len = (unsigned)strlen(m->tunnels[i].name);
        width = len > width ? len : width;
    }
    return width < NAME_MOST ? width : NAME_MOST;
}

/* Take columns as long as there is room; what is left is the sparkline's. */
static plan make_plan(const top_screen *s, const top_model *m)
{
    plan made = {{0}};
    unsigned used = 0;

    for (enum column column = NAME; column < COLUMNS; column++) {
        unsigned width = width_of(column, m);
        unsigned gap = used == 0 ? 0 : GAP;
        unsigned twin = column == IN_PACKETS ? GAP + width_of(OUT_PACKETS, m) : 0;
        if ((column == RTT || column == LOSS) && !any_health(m))
            continue;
        if (column == OUT_PACKETS && made.width[IN_PACKETS] == 0)
            continue;
        if (used + gap + width + twin > s->width)
            continue;
        made.width[column] = width;
        used += gap + width;
    }
    if (made.width[SPARK] > 0) {
        made.width[SPARK] += s->width - used;
        if (made.width[SPARK] > TOP_SECONDS)
            made.width[SPARK] = TOP_SECONDS;
    }
    return made;
}

/* Milliseconds with as many digits as tell something. */
static void write_rtt(char *text, size_t size, uint64_t ns)
{
    uint64_t us = ns / NS_PER_US;

    if (ns == 0)
        snprintf(text, size, "-");
    else if (us < 100000)
        snprintf(text, size, "%" PRIu64 ".%02" PRIu64 " ms", us / 1000, us % 1000 / 10);
    else
        snprintf(text, size, "%" PRIu64 " ms", us / 1000);
}

static void write_number(char *text, size_t size, uint64_t value)
{
    char number[CHART_NUMBER_SIZE];

    snprintf(text, size, "%s", chart_number(number, value, ""));
}

static void write_spark(char *text, const top_screen *s, const top_tunnel *tunnel, unsigned width)
{
    uint64_t sums[TOP_SECONDS];
    chart_style style = style_of(s);
    uint32_t first = TOP_SECONDS - (tunnel->seconds < width ? tunnel->seconds : width);

    for (uint32_t i = first; i < TOP_SECONDS; i++)
        sums[i] = tunnel->in_seconds[i] + tunnel->out_seconds[i];
    chart_sparkline(text, &style, width, sums + first, TOP_SECONDS - first, 0);
}

static void write_cell(char text[CELL_SIZE], const top_screen *s, const top_tunnel *tunnel,
                       enum column column, unsigned width)
{
    uint64_t loss = top_number(tunnel->health, "loss_ppm");

    switch (column) {
    case NAME:
        snprintf(text, CELL_SIZE, "%s", tunnel->name);
        break;
    case STATE:
        snprintf(text, CELL_SIZE, "%s", tunnel->state);
        break;
    case IN_BITS:
        write_number(text, CELL_SIZE, tunnel->in.bit_rate);
        break;
    case OUT_BITS:
        write_number(text, CELL_SIZE, tunnel->out.bit_rate);
        break;
    case SPARK:
        write_spark(text, s, tunnel, width);
        break;
    case IN_PACKETS:
        write_number(text, CELL_SIZE, tunnel->in.packet_rate);
        break;
    case OUT_PACKETS:
        write_number(text, CELL_SIZE, tunnel->out.packet_rate);
        break;
    case DROPS:
        write_number(text, CELL_SIZE, tunnel->in.drop_rate + tunnel->out.drop_rate);
        break;
    case MTU:
        snprintf(text, CELL_SIZE, "%" PRIu64, top_number(tunnel->stats, "mtu"));
        break;
    case RTT:
        write_rtt(text, CELL_SIZE, top_number(tunnel->health, "rtt_ns"));
        break;
    default:
        if (tunnel->health == NULL)
            snprintf(text, CELL_SIZE, "-");
        else
            snprintf(text, CELL_SIZE, "%" PRIu64 ".%02" PRIu64 "%%", loss / PPM_PER_HUNDREDTH / 100,
                     loss / PPM_PER_HUNDREDTH % 100);
    }
    cut(text, width);
}

static top_look look_of(const top_tunnel *tunnel, enum column column)
{
    if (column == STATE && strcmp(tunnel->state, "healthy") == 0)
        return (top_look){CHART_GREEN, false};
    if (column == STATE && strcmp(tunnel->state, "degraded") == 0)
        return (top_look){CHART_AMBER, false};
    if (column == STATE && strcmp(tunnel->state, "down") == 0)
        return (top_look){CHART_RED, false};
    if (column == DROPS && tunnel->in.drop_rate + tunnel->out.drop_rate > 0)
        return (top_look){CHART_AMBER, false};
    return column == SPARK ? (top_look){CHART_BLUE, false} : plain;
}

/* ----------------------------------------------------------------------------------- the parts */

static void write_uptime(char *text, size_t size, uint64_t s)
{
    if (s >= 86400)
        snprintf(text, size, "%" PRIu64 " d %" PRIu64 " h", s / 86400, s / 3600 % 24);
    else if (s >= 3600)
        snprintf(text, size, "%" PRIu64 " h %" PRIu64 " min", s / 3600, s / 60 % 60);
    else if (s >= 60)
        snprintf(text, size, "%" PRIu64 " min %" PRIu64 " s", s / 60, s % 60);
    else
        snprintf(text, size, "%" PRIu64 " s", s);
}

/* "4 tunnels: 3 healthy, 1 down" */
static void write_states(char *text, size_t size, const top_model *m)
{
    static const char *const states[] = {"healthy", "degraded", "down", "active", "idle", "unused"};
    int used = snprintf(text, size, "%zu tunnel%s", m->count, m->count == 1 ? "" : "s");
    const char *before = ":";

    for (size_t s = 0; s < sizeof states / sizeof states[0]; s++) {
        size_t count = 0;
        for (size_t i = 0; i < m->count; i++)
            count += strcmp(m->tunnels[i].state, states[s]) == 0;
        if (count > 0 && used >= 0 && (size_t)used < size) {
            used +=
                snprintf(text + used, size - (size_t)used, "%s %zu %s", before, count, states[s]);
            before = ",";
        }
    }
}

static void draw_head(const top_screen *s, const top_model *m)
{
    char uptime[64];
    char states[160];
    char line[LINE_SIZE];
    char numbers[5][CHART_NUMBER_SIZE];
    uint64_t sums[5] = {0};

    write_uptime(uptime, sizeof uptime, top_number(m->stats, "uptime_ms") / 1000);
    write_states(states, sizeof states, m);
    snprintf(line, sizeof line, "tunnelcap-gateway %s, %s side, %s, up %s; %s",
             top_string(m->stats, "version"), top_string(m->stats, "side"),
             top_string(json_object_get(m->stats, "tun"), "name"), uptime, states);
    put(s, 0, 0, (top_look){CHART_STRONG, false}, line);
    for (size_t i = 0; i < m->count; i++) {
        sums[0] += m->tunnels[i].in.bit_rate;
        sums[1] += m->tunnels[i].in.packet_rate;
        sums[2] += m->tunnels[i].out.bit_rate;
        sums[3] += m->tunnels[i].out.packet_rate;
        sums[4] += m->tunnels[i].in.drop_rate + m->tunnels[i].out.drop_rate;
    }
    for (unsigned i = 0; i < 5; i++)
        chart_number(numbers[i], sums[i], i == 4 ? "/s" : i % 2 == 0 ? "bit/s" : "pkt/s");
    snprintf(line, sizeof line, "in %s, %s; out %s, %s; dropped %s", numbers[0], numbers[1],
             numbers[2], numbers[3], numbers[4]);
    put(s, 1, 0, plain, line);
}

/* A line of cells: of a tunnel, or the titles. */
static void draw_cells(const top_screen *s, const top_model *m, const plan *p, unsigned line,
                       const top_tunnel *tunnel, bool reverse)
{
    unsigned at = 0;

    for (unsigned i = 0; i < COLUMNS; i++) {
        char text[CELL_SIZE];
        enum column column = layout[i].column;
        unsigned width = p->width[column];
        top_look look = plain;
        if (width == 0)
            continue;
        if (tunnel == NULL) {
            snprintf(text, sizeof text, "%s", layout[i].title);
            cut(text, width);
            if (layout[i].order == (int)m->order)
                look.colour = CHART_STRONG;
        } else {
            write_cell(text, s, tunnel, column, width);
            look = look_of(tunnel, column);
        }
        look.reverse = reverse;
        unsigned indent = layout[i].left ? 0 : width - columns_of(text);
        put(s, line, at + indent, look, text);
        at += width + GAP;
    }
}

/* "dropped: E_CHECKSUM 3, E_TTL 1" */
static void write_drops(char *text, size_t size, const json_t *tunnel)
{
    static const char *const directions[] = {"decap", "encap"};
    int used = snprintf(text, size, "dropped:");
    const char *before = "";

    for (unsigned d = 0; d < 2; d++) {
        const char *reason = NULL;
        json_t *count = NULL;
        json_t *reasons = json_object_get(json_object_get(tunnel, directions[d]), "reasons");
        json_object_foreach(reasons, reason, count)
        {
            if (used < 0 || (size_t)used >= size)
                return;
            used += snprintf(text + used, size - (size_t)used, "%s %s %s %" JSON_INTEGER_FORMAT,
                             before, d == 0 ? "in" : "out", reason, json_integer_value(count));
            before = ",";
        }
    }
    if (before[0] == '\0')
        snprintf(text, size, "dropped: none");
}

/* The last minute of one direction, and how high it went. */
static void draw_minute(const top_screen *s, unsigned line, const char *word,
                        const uint64_t *seconds, uint32_t known)
{
    char bars[CHART_TEXT_SIZE];
    char number[CHART_NUMBER_SIZE];
    char text[LINE_SIZE];
    chart_style style = style_of(s);
    uint64_t peak = 0;
    uint32_t room = s->width > 30 ? s->width - 30 : 1;

    known = known < room ? known : room;
    for (uint32_t i = TOP_SECONDS - known; i < TOP_SECONDS; i++)
        peak = seconds[i] > peak ? seconds[i] : peak;
    chart_sparkline(bars, &style, TOP_SECONDS, seconds + TOP_SECONDS - known, known, 0);
    snprintf(text, sizeof text, "%-4s", word);
    put(s, line, 0, plain, text);
    put(s, line, 4, (top_look){CHART_BLUE, false}, bars);
    snprintf(text, sizeof text, "peak %s", chart_number(number, peak, "bit/s"));
    put(s, line, 4 + known + GAP, plain, text);
}

static void draw_details(const top_screen *s, const top_tunnel *tunnel, unsigned line)
{
    const char *remote = top_string(tunnel->stats, "remote");
    char text[LINE_SIZE];

    snprintf(text, sizeof text,
             "%s: %s from %s to %s, path MTU %" PRIu64 " (%s), MSS %" PRIu64 "/%" PRIu64,
             tunnel->name, top_string(tunnel->stats, "kind"), top_string(tunnel->stats, "local"),
             remote[0] != '\0' ? remote : "an unknown end", top_number(tunnel->stats, "path_mtu"),
             top_string(tunnel->stats, "path_mtu_source"), top_number(tunnel->stats, "mss4"),
             top_number(tunnel->stats, "mss6"));
    put(s, line, 0, (top_look){CHART_STRONG, false}, text);
    draw_minute(s, line + 1, "in", tunnel->in_seconds, tunnel->seconds);
    draw_minute(s, line + 2, "out", tunnel->out_seconds, tunnel->seconds);
    write_drops(text, sizeof text, tunnel->stats);
    put(s, line + 3, 0, plain, text);
}

/* How many rows of tunnels there is room for. */
static size_t room_for_rows(const top_screen *s, bool *details)
{
    size_t rows = s->height > HEAD_LINES + 1 ? s->height - HEAD_LINES - 1 : 0;

    *details = rows >= ROWS_LEAST + DETAIL_LINES;
    return *details ? rows - DETAIL_LINES : rows;
}

/* Where the selected row is in sight. */
static void scroll(top_screen *s, size_t count, size_t rows)
{
    if (s->selected >= count)
        s->selected = count == 0 ? 0 : count - 1;
    if (s->first > s->selected)
        s->first = s->selected;
    if (rows > 0 && s->selected - s->first >= rows)
        s->first = s->selected - rows + 1;
    if (s->first + rows > count)
        s->first = count > rows ? count - rows : 0;
}

void top_screen_draw(top_screen *s, const top_model *m)
{
    plan p = make_plan(s, m);
    bool interactive = s->height > 0;
    bool details = false;
    size_t rows = interactive ? room_for_rows(s, &details) : m->count;

    if (interactive)
        scroll(s, m->count, rows);
    draw_head(s, m);
    draw_cells(s, m, &p, HEAD_LINES - 1, NULL, false);
    for (size_t i = s->first; i < m->count && i - s->first < rows; i++)
        draw_cells(s, m, &p, HEAD_LINES + (unsigned)(i - s->first), m->rows[i],
                   interactive && i == s->selected);
    if (details && m->count > 0)
        draw_details(s, m->rows[s->selected], s->height - DETAIL_LINES);
    if (interactive)
        put(s, s->height - 1, 0, (top_look){CHART_FAINT, false}, s->note);
}
