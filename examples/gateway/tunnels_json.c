/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "tunnels_json.h"

#include "gateway.h"
#include "records.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BILLED_PERCENT = 95, TIME_SIZE = sizeof "2026-11-28T20:15:00Z", STATE_UNIT = 1000000 };

/* Spans of buckets, by TUNNELCAP_HISTORY_: what a query calls them, what the fields are called, and
 * how many there are by default. */
static const struct {
    const char *interval;
    const char *time;
    const char *bits;
    const char *packets;
    uint32_t limit;
} spans[TUNNELCAP_HISTORY_SPANS] = {
    {"second", "datetime", "bitRate", "packetRate", 60},
    {"minute", "datetimeMinute", "bitRateMinute", "packetRateMinute", 60},
    {"fiveMinutes", "datetimeFiveMinutes", "bitRateFiveMinutes", "packetRateFiveMinutes", 12},
    {"hour", "datetimeHour", "bitRateHour", "packetRateHour", 24},
};

/* Directions as an interface has them: into the gateway is out of the tunnel. */
static const char *const directions[] = {
    [TUNNELCAP_ENCAP] = "egress", [TUNNELCAP_DECAP] = "ingress"};
enum { DIRECTIONS = 2 };

static const struct {
    uint32_t flag;
    const char *name;
} marks[] = {{TUNNELCAP_HISTORY_LATE, "late"},
             {TUNNELCAP_HISTORY_PARTIAL, "partial"},
             {TUNNELCAP_HISTORY_RESTART, "restart"}};

/* What a query asks for. */
typedef struct question {
    uint32_t span;
    uint32_t limit;
    const char *tunnel;    /* NULL for all */
    const char *direction; /* NULL for both */
} question;

static void set_count(json_t *object, const char *key, uint64_t count)
{
    json_object_set_new(object, key, json_integer((json_int_t)count));
}

static void set_time(json_t *object, const char *key, uint64_t seconds)
{
    time_t when = (time_t)seconds;
    char text[TIME_SIZE];
    struct tm parts;

    gmtime_r(&when, &parts);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    json_object_set_new(object, key, json_string(text));
}

static bool read_limit(const char *text, uint32_t *limit)
{
    char *end = NULL;
    unsigned long number = 0;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    number = strtoul(text, &end, 10);
    if (*end != '\0' || errno != 0 || number > UINT32_MAX)
        return false;
    *limit = (uint32_t)number;
    return true;
}

static bool read_question(const http_request *request, const config *conf, question *asked)
{
    const char *interval = http_argument(request, "interval");
    const char *limit = http_argument(request, "limit");

    *asked = (question){.span = TUNNELCAP_HISTORY_FIVE_MINUTES,
                        .tunnel = http_argument(request, "tunnel"),
                        .direction = http_argument(request, "direction")};
    if (interval != NULL)
        for (asked->span = 0; asked->span < TUNNELCAP_HISTORY_SPANS; asked->span++)
            if (strcmp(spans[asked->span].interval, interval) == 0)
                break;
    if (asked->span == TUNNELCAP_HISTORY_SPANS)
        return false;
    asked->limit = spans[asked->span].limit;
    if (limit != NULL && !read_limit(limit, &asked->limit))
        return false;
    if (asked->direction != NULL && strcmp(asked->direction, directions[0]) != 0 &&
        strcmp(asked->direction, directions[1]) != 0)
        return false;
    return asked->tunnel == NULL || config_find(conf, asked->tunnel) != NULL;
}

static const tunnelcap_history_flow *flow_of(const tunnelcap_history_bucket *bucket, unsigned d)
{
    return d == TUNNELCAP_ENCAP ? &bucket->encap : &bucket->decap;
}

/* 0 down, 0.5 degraded, 1 healthy; null where nobody watches. */
static json_t *state_now(const gateway *g, uint64_t id)
{
    tunnelcap_health_info info;

    if (tunnelcap_table_get_health(g->table, id, &info, sizeof info) != TUNNELCAP_OK)
        return json_null();
    return json_real((double)info.state / TUNNELCAP_HEALTH_HEALTHY);
}

/* The newest bucket of each span, as far as there is one. Percentiles take their time, which
 * those who ask for all tunnels may not have. */
static json_t *summary(const gateway *g, const config_tunnel *tunnel,
                       const tunnelcap_history *history, unsigned d, bool billed)
{
    tunnelcap_history_bucket bucket;
    uint64_t rates[3];
    json_t *object = json_object();

    json_object_set_new(object, "tunnelName", json_string(tunnel->name));
    json_object_set_new(object, "direction", json_string(directions[d]));
    json_object_set_new(object, "tunnelState", state_now(g, tunnel->id));
    for (uint32_t span = 0; span < TUNNELCAP_HISTORY_SPANS; span++) {
        if (tunnelcap_history_get(history, span, 0, &bucket, sizeof bucket) != TUNNELCAP_OK)
            continue;
        set_count(object, spans[span].bits, flow_of(&bucket, d)->bit_rate);
        set_count(object, spans[span].packets, flow_of(&bucket, d)->packet_rate);
    }
    if (billed && tunnelcap_history_percentile(history, TUNNELCAP_HISTORY_FIVE_MINUTES, UINT32_MAX,
                                               BILLED_PERCENT, rates) == TUNNELCAP_OK)
        set_count(object, "bitRateFiveMinutesP95", rates[d == TUNNELCAP_ENCAP ? 0 : 1]);
    return object;
}

/* A row of the dataset. */
static json_t *row(const question *asked, const char *name, unsigned d,
                   const tunnelcap_history_bucket *bucket)
{
    const tunnelcap_history_flow *flow = flow_of(bucket, d);
    json_t *dimensions = json_object();
    json_t *average = json_object();
    json_t *peak = json_object();
    json_t *sum = json_object();
    json_t *flags = json_array();

    json_object_set_new(dimensions, "tunnelName", json_string(name));
    json_object_set_new(dimensions, "direction", json_string(directions[d]));
    set_time(dimensions, spans[asked->span].time, bucket->start_s);
    set_count(average, spans[asked->span].bits, flow->bit_rate);
    set_count(average, spans[asked->span].packets, flow->packet_rate);
    json_object_set_new(average, "tunnelState", json_real((double)bucket->state_ppm / STATE_UNIT));
    set_count(peak, "bitRate", flow->peak_bit_rate);
    set_count(peak, "packetRate", flow->peak_packet_rate);
    set_count(sum, "bytes", flow->bytes);
    set_count(sum, "packets", flow->packets);
    set_count(sum, "seconds", bucket->seconds);
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        if ((bucket->flags & marks[i].flag) != 0)
            json_array_append_new(flags, json_string(marks[i].name));
    return json_pack("{so so so so so}", "dimensions", dimensions, "avg", average, "max", peak,
                     "sum", sum, "flags", flags);
}

/* From the oldest to the newest. */
static void add_rows(json_t *rows, const question *asked, const tunnelcap_history *history,
                     const char *name, unsigned d)
{
    tunnelcap_history_bucket bucket;
    uint32_t count = 0;

    while (count < asked->limit && tunnelcap_history_get(history, asked->span, count, &bucket,
                                                         sizeof bucket) == TUNNELCAP_OK)
        count++;
    while (count-- > 0) {
        tunnelcap_history_get(history, asked->span, count, &bucket, sizeof bucket);
        json_array_append_new(rows, row(asked, name, d, &bucket));
    }
}

/* Add what is asked for of a tunnel. */
static void add_tunnel(json_t *tunnels, json_t *rows, const question *asked, const gateway *g,
                       const config_tunnel *tunnel)
{
    const tunnelcap_history *history = records_find(g, tunnel->id);

    if (history == NULL || (asked->tunnel != NULL && strcmp(asked->tunnel, tunnel->name) != 0))
        return;
    for (unsigned d = 0; d < DIRECTIONS; d++) {
        if (asked->direction != NULL && strcmp(asked->direction, directions[d]) != 0)
            continue;
        json_array_append_new(tunnels, summary(g, tunnel, history, d, asked->tunnel != NULL));
        add_rows(rows, asked, history, tunnel->name, d);
    }
}

json_t *tunnels_json(const struct gateway *g, const http_request *request)
{
    json_t *root = NULL;
    json_t *tunnels = NULL;
    json_t *rows = NULL;
    question asked;

    if (!read_question(request, g->conf, &asked))
        return NULL;
    root = json_object();
    tunnels = json_array();
    rows = json_array();
    set_time(root, "datetime", (uint64_t)time(NULL));
    for (size_t i = 0; i < g->conf->tunnel_count; i++)
        add_tunnel(tunnels, rows, &asked, g, &g->conf->tunnels[i]);
    json_object_set_new(root, "tunnels", tunnels);
    json_object_set_new(root, "magicTransitTunnelTrafficAdaptiveGroups", rows);
    return root;
}
