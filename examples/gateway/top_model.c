/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "top_model.h"

#include <stdlib.h>
#include <string.h>

enum { MS_PER_S = 1000, BITS_PER_BYTE = 8 };

uint64_t top_number(const json_t *object, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(object, key));
}

const char *top_string(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? "" : text;
}

static top_way read_way(const json_t *counters)
{
    return (top_way){.packets = top_number(counters, "packets"),
                     .bytes = top_number(counters, "inner_bytes"),
                     .drops = top_number(counters, "refused")};
}

/* What was added in some time, per second. Counters that fall have begun anew. */
static uint64_t rate(uint64_t now, uint64_t before, uint64_t ms)
{
    uint64_t added = now < before ? now : now - before;

    return ms == 0 ? 0 : (uint64_t)((double)added * MS_PER_S / (double)ms + 0.5);
}

static void compare(top_way *now, const top_way *before, uint64_t ms)
{
    now->bit_rate = rate(now->bytes, before->bytes, ms) * BITS_PER_BYTE;
    now->packet_rate = rate(now->packets, before->packets, ms);
    now->drop_rate = rate(now->drops, before->drops, ms);
}

/* Add a second at the end. */
static void push(top_tunnel *tunnel, uint64_t in, uint64_t out)
{
    memmove(tunnel->in_seconds, tunnel->in_seconds + 1, sizeof tunnel->in_seconds - sizeof in);
    memmove(tunnel->out_seconds, tunnel->out_seconds + 1, sizeof tunnel->out_seconds - sizeof out);
    tunnel->in_seconds[TOP_SECONDS - 1] = in;
    tunnel->out_seconds[TOP_SECONDS - 1] = out;
    if (tunnel->seconds < TOP_SECONDS)
        tunnel->seconds++;
}

/* The tunnel of a name. Where it is likely is looked at first: order seldom changes. */
static top_tunnel *find(const top_model *m, const char *name, size_t likely)
{
    if (likely < m->count && strcmp(m->tunnels[likely].name, name) == 0)
        return &m->tunnels[likely];
    for (size_t i = 0; i < m->count; i++)
        if (strcmp(m->tunnels[i].name, name) == 0)
            return &m->tunnels[i];
    return NULL;
}

/* Tunnels as the statistics have them, with nothing known of the time before. */
static top_tunnel *read_tunnels(const json_t *list)
{
    top_tunnel *tunnels = calloc(json_array_size(list) + 1, sizeof *tunnels);
    size_t i = 0;
    json_t *stats = NULL;

    if (tunnels == NULL)
        return NULL;
    json_array_foreach(list, i, stats)
    {
        tunnels[i] = (top_tunnel){.stats = stats,
                                  .name = top_string(stats, "name"),
                                  .state = top_string(stats, "state"),
                                  .health = json_object_get(stats, "health"),
                                  .in = read_way(json_object_get(stats, "decap")),
                                  .out = read_way(json_object_get(stats, "encap"))};
    }
    return tunnels;
}

void top_model_look(top_model *m, json_t *stats)
{
    const json_t *list = json_object_get(stats, "tunnels");
    top_tunnel *tunnels = read_tunnels(list);
    top_tunnel **rows = calloc(json_array_size(list) + 1, sizeof(top_tunnel *));
    uint64_t now_ms = top_number(stats, "uptime_ms");
    uint64_t before_ms = m->stats == NULL ? 0 : top_number(m->stats, "uptime_ms");

    if (tunnels == NULL || rows == NULL) {
        free(tunnels);
        free(rows);
        json_decref(stats);
        return;
    }
    for (size_t i = 0; i < json_array_size(list) && before_ms < now_ms; i++) {
        const top_tunnel *before = find(m, tunnels[i].name, i);
        if (before == NULL)
            continue;
        memcpy(tunnels[i].in_seconds, before->in_seconds, sizeof before->in_seconds);
        memcpy(tunnels[i].out_seconds, before->out_seconds, sizeof before->out_seconds);
        tunnels[i].seconds = before->seconds;
        compare(&tunnels[i].in, &before->in, now_ms - before_ms);
        compare(&tunnels[i].out, &before->out, now_ms - before_ms);
        push(&tunnels[i], tunnels[i].in.bit_rate, tunnels[i].out.bit_rate);
    }
    free(m->tunnels);
    free(m->rows);
    json_decref(m->stats);
    m->tunnels = tunnels;
    m->rows = rows;
    m->count = json_array_size(list);
    m->stats = stats;
    top_model_sort(m);
}

/* Rows come tunnel by tunnel, those of one direction from the oldest second to the newest. */
void top_model_recall(top_model *m, const json_t *records)
{
    const json_t *rows = json_object_get(records, "magicTransitTunnelTrafficAdaptiveGroups");
    size_t i = 0;
    size_t likely = 0;
    json_t *row = NULL;

    json_array_foreach(rows, i, row)
    {
        const json_t *dimensions = json_object_get(row, "dimensions");
        top_tunnel *tunnel = find(m, top_string(dimensions, "tunnelName"), likely);
        uint64_t bits = top_number(json_object_get(row, "avg"), "bitRate");
        if (tunnel == NULL)
            continue;
        likely = (size_t)(tunnel - m->tunnels);
        bool in = strcmp(top_string(dimensions, "direction"), "ingress") == 0;
        uint64_t *seconds = in ? tunnel->in_seconds : tunnel->out_seconds;
        memmove(seconds, seconds + 1, (TOP_SECONDS - 1) * sizeof *seconds);
        seconds[TOP_SECONDS - 1] = bits;
        if (in && tunnel->seconds < TOP_SECONDS)
            tunnel->seconds++;
    }
}

/* The better the greater; what only carries packets or does not stands behind what is watched. */
static int rank(const char *state)
{
    static const char *const states[] = {"down", "degraded", "unused", "idle", "active", "healthy"};
    int i = 0;

    while (i < (int)(sizeof states / sizeof states[0]) && strcmp(states[i], state) != 0)
        i++;
    return i;
}

static int by_size(uint64_t a, uint64_t b)
{
    return a > b ? -1 : a < b;
}

static int compare_by(const top_tunnel *a, const top_tunnel *b, enum top_order order)
{
    switch (order) {
    case TOP_BY_STATE:
        return rank(a->state) - rank(b->state);
    case TOP_BY_IN:
        return by_size(a->in.bit_rate, b->in.bit_rate);
    case TOP_BY_OUT:
        return by_size(a->out.bit_rate, b->out.bit_rate);
    case TOP_BY_PACKETS:
        return by_size(a->in.packet_rate + a->out.packet_rate,
                       b->in.packet_rate + b->out.packet_rate);
    case TOP_BY_DROPS:
        return by_size(a->in.drop_rate + a->out.drop_rate, b->in.drop_rate + b->out.drop_rate);
    case TOP_BY_MTU:
        return by_size(top_number(a->stats, "mtu"), top_number(b->stats, "mtu"));
    case TOP_BY_RTT:
        return by_size(top_number(a->health, "rtt_ns"), top_number(b->health, "rtt_ns"));
    default:
        return 0;
    }
}

/* Names decide where all else is equal, so that rows do not dance. */
static int compare_tunnels(const void *left, const void *right, void *model)
{
    const top_tunnel *a = *(top_tunnel *const *)left;
    const top_tunnel *b = *(top_tunnel *const *)right;
    const top_model *m = model;
    int result = compare_by(a, b, m->order);

    if (m->order == TOP_BY_NAME || result == 0)
        result = strcmp(a->name, b->name) * (m->order == TOP_BY_NAME || !m->reversed ? 1 : -1);
    return m->reversed ? -result : result;
}

void top_model_sort(top_model *m)
{
    for (size_t i = 0; i < m->count; i++)
        m->rows[i] = &m->tunnels[i];
    if (m->count > 1)
        qsort_r(m->rows, m->count, sizeof *m->rows, compare_tunnels, m);
}

void top_model_free(top_model *m)
{
    free(m->tunnels);
    free(m->rows);
    json_decref(m->stats);
    *m = (top_model){.stats = NULL};
}
