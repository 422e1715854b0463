/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "report.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>

enum { PERCENT = 95, SECOND_NS = 1000000000 };

/* Bytes of a key of each dimension. */
static const uint8_t key_sizes[DIMENSIONS] = {
    [BY_SOURCE] = 17,  [BY_DESTINATION] = 17, [BY_SOURCE_PORT] = 3, [BY_DESTINATION_PORT] = 3,
    [BY_PROTOCOL] = 1, [BY_SIZE] = 4,         [BY_TCP_FLAGS] = 1,
};

struct scope *scope_new(enum scope_kind kind)
{
    struct scope *scope = calloc(1, sizeof *scope);

    if (!scope) {
        warn("report");
        return NULL;
    }
    scope->kind = kind;
    scope->direction_count = kind == SCOPE_TUNNEL ? 2 : 1;
    return scope;
}

/* Tell what failed, unless it did not. */
static bool succeeded(int32_t status, const char *what)
{
    if (status < 0)
        warnx("%s: %s", what, tunnelcap_status_text(status));
    return status >= 0;
}

static void add_to_history(struct scope *scope, uint64_t second)
{
    tunnelcap_history_add(scope->history, second * SECOND_NS, &scope->totals,
                          TUNNELCAP_HEALTH_HEALTHY);
}

bool scope_start(struct scope *scope, const struct report *report)
{
    uint8_t seed[TUNNELCAP_TOP_SEED_SIZE + TUNNELCAP_SEED_SIZE];
    tunnelcap_history_config history;
    tunnelcap_top_config top;

    tunnelcap_history_config_init(&history, sizeof history);
    for (uint32_t span = 0; span < TUNNELCAP_HISTORY_SPANS; span++)
        history.keep[span] = span == report->span ? (uint32_t)report->buckets : 1;
    if (!succeeded(tunnelcap_history_new(&history, NULL, &scope->history), "history"))
        return false;
    scope->second = report->first_ns / SECOND_NS;
    add_to_history(scope, scope->second);
    if (!plane_draw_seed(seed))
        return false;
    tunnelcap_top_config_init(&top, sizeof top);
    top.keys = REPORT_KEYS;
    for (int dimension = 0; dimension < DIMENSIONS; dimension++) {
        top.key_size = key_sizes[dimension];
        if (!succeeded(tunnelcap_top_new(&top, seed, NULL, &scope->tops[dimension]), "talkers"))
            return false;
    }
    return true;
}

/* Close the seconds before one: the one that has traffic by itself, so that it shares none. */
static void advance(struct scope *scope, uint64_t second)
{
    if (second <= scope->second)
        return;
    add_to_history(scope, scope->second + 1);
    if (second > scope->second + 1)
        add_to_history(scope, second);
    scope->second = second;
}

void scope_count_packet(struct scope *scope, uint32_t direction, uint64_t second, uint64_t bytes)
{
    struct direction *counted = &scope->directions[direction];

    advance(scope, second);
    counted->packets++;
    counted->outer_bytes += bytes;
    if (direction) {
        scope->totals.decap_packets++;
        scope->totals.decap_bytes += bytes;
    } else {
        scope->totals.encap_packets++;
        scope->totals.encap_bytes += bytes;
    }
}

void scope_count_status(struct scope *scope, uint32_t direction, int32_t status)
{
    int32_t listed;

    for (uint32_t i = 0; i < REPORT_STATUSES && !tunnelcap_status_at(i, &listed); i++) {
        if (listed == status) {
            scope->directions[direction].statuses[i]++;
            return;
        }
    }
}

static void add(struct scope *scope, enum dimension dimension, const uint8_t *key, uint64_t weight)
{
    tunnelcap_top_add(scope->tops[dimension], key, weight);
}

static void add_address(struct scope *scope, enum dimension dimension,
                        const tunnelcap_addr *address, uint64_t weight)
{
    uint8_t key[17];

    key[0] = address->family;
    memcpy(key + 1, address->bytes, 16);
    add(scope, dimension, key, weight);
}

static void add_port(struct scope *scope, enum dimension dimension, uint8_t protocol, uint16_t port,
                     uint64_t weight)
{
    const uint8_t key[3] = {protocol, (uint8_t)(port >> 8), (uint8_t)port};

    add(scope, dimension, key, weight);
}

void scope_count_flow(struct scope *scope, const struct flow *flow)
{
    const uint8_t size[4] = {(uint8_t)(flow->len >> 24), (uint8_t)(flow->len >> 16),
                             (uint8_t)(flow->len >> 8), (uint8_t)flow->len};

    add_address(scope, BY_SOURCE, &flow->src, flow->len);
    add_address(scope, BY_DESTINATION, &flow->dst, flow->len);
    add(scope, BY_PROTOCOL, &flow->protocol, flow->len);
    add(scope, BY_SIZE, size, 1);
    if (flow->has_ports) {
        add_port(scope, BY_SOURCE_PORT, flow->protocol, flow->src_port, flow->len);
        add_port(scope, BY_DESTINATION_PORT, flow->protocol, flow->dst_port, flow->len);
    }
    if (flow->is_tcp)
        add(scope, BY_TCP_FLAGS, &flow->tcp_flags, 1);
}

void scope_finish(struct scope *scope, const struct report *report)
{
    uint64_t end = report->last_ns / SECOND_NS + 1;

    /* Only whole buckets close. */
    advance(scope, (end + report->span_s - 1) / report->span_s * report->span_s);
}

void scope_free(struct scope *scope)
{
    if (!scope)
        return;
    tunnelcap_history_free(scope->history);
    for (int dimension = 0; dimension < DIMENSIONS; dimension++)
        tunnelcap_top_free(scope->tops[dimension]);
    free(scope);
}

static void add_flow(struct series *series, uint32_t direction, uint32_t bin,
                     const tunnelcap_history_flow *flow)
{
    series->bytes[direction][bin] += flow->bytes;
    series->packets[direction][bin] += flow->packets;
    if (flow->peak_bit_rate > series->peak[direction][bin])
        series->peak[direction][bin] = flow->peak_bit_rate;
    if (flow->peak_bit_rate > series->highest[direction])
        series->highest[direction] = flow->peak_bit_rate;
    if (flow->peak_packet_rate > series->highest_packets[direction])
        series->highest_packets[direction] = flow->peak_packet_rate;
}

/* Bits per second, of so many bytes that the product may not fit. */
static uint64_t rate_of(uint64_t bytes, uint64_t seconds)
{
    return bytes / seconds * 8 + bytes % seconds * 8 / seconds;
}

/* Seconds of a bin in which there was a capture. */
static uint64_t seconds_of(const struct report *report, uint32_t bin)
{
    uint64_t from = report->start_s + bin * report->step_s;
    uint64_t to = from + report->step_s;
    uint64_t first = report->first_ns / SECOND_NS;
    uint64_t end = report->last_ns / SECOND_NS + 1;

    return (to < end ? to : end) - (from > first ? from : first);
}

void scope_series(const struct scope *scope, const struct report *report, struct series *series)
{
    uint64_t seconds = report->last_ns / SECOND_NS + 1 - report->first_ns / SECOND_NS;
    uint64_t percentiles[3] = {0};
    tunnelcap_history_bucket bucket;

    *series = (struct series){0};
    for (uint32_t i = 0;
         !tunnelcap_history_get(scope->history, report->span, i, &bucket, sizeof bucket); i++) {
        uint64_t bin;

        if (bucket.start_s < report->start_s)
            break;
        bin = (bucket.start_s - report->start_s) / report->step_s;
        if (bin >= report->bins)
            continue;
        add_flow(series, 0, (uint32_t)bin, &bucket.encap);
        add_flow(series, 1, (uint32_t)bin, &bucket.decap);
    }
    tunnelcap_history_percentile(scope->history, report->span, (uint32_t)report->buckets, PERCENT,
                                 percentiles);
    for (uint32_t way = 0; way < 2; way++) {
        series->percentile[way] = percentiles[way];
        series->average[way] = rate_of(scope->directions[way].outer_bytes, seconds);
        for (uint32_t bin = 0; bin < report->bins; bin++)
            series->rate[way][bin] = rate_of(series->bytes[way][bin], seconds_of(report, bin));
    }
}

void scope_talkers(const struct scope *scope, enum dimension dimension, uint32_t most,
                   struct talkers *talkers)
{
    *talkers = (struct talkers){.exact = true};
    if (most > REPORT_LISTED)
        most = REPORT_LISTED;
    tunnelcap_top_list(scope->tops[dimension], talkers->items, most, &talkers->count,
                       &talkers->total);
    for (uint32_t i = 0; i < talkers->count; i++)
        talkers->exact = talkers->exact && !talkers->items[i].error;
}
