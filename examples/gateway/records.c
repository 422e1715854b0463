/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "records.h"

#include "gateway.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    NS_PER_S = 1000000000,
    US_PER_S = 1000000,
    NS_PER_US = 1000,
    SLACK_US = 1000, /* behind a full second, so that timers that are early are not */
    MINUTE = 60
};

static uint64_t wall_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Move the history of a tunnel out of a list, or make one. */
static tunnelcap_history *take(record *list, size_t count, const config_tunnel *tunnel)
{
    tunnelcap_history_config history_config;
    tunnelcap_history *history = NULL;

    for (size_t i = 0; i < count; i++) {
        if (list[i].history == NULL || strcmp(list[i].name, tunnel->name) != 0)
            continue;
        history = list[i].history;
        list[i].history = NULL;
        return history;
    }
    tunnelcap_history_config_init(&history_config, sizeof history_config);
    if (tunnelcap_history_new(&history_config, NULL, &history) != TUNNELCAP_OK)
        log_line("no memory for the history of %s", tunnel->name);
    return history;
}

static void free_all(record *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        tunnelcap_history_free(list[i].history);
    free(list);
}

/* Have a record for each tunnel of the configuration. Without memory, all stays as it is. */
static void renew(records *r, const config *conf, size_t count)
{
    record *list = calloc(count, sizeof *list);

    if (list == NULL)
        return;
    for (size_t i = 0; i < count; i++) {
        const config_tunnel *tunnel = &conf->tunnels[i];
        list[i].id = tunnel->id;
        memcpy(list[i].name, tunnel->name, sizeof list[i].name);
        list[i].history = take(r->list, r->count, tunnel);
    }
    free_all(r->list, r->count);
    r->list = list;
    r->count = count;
}

static size_t wanted(const config *conf)
{
    return conf->tunnel_count < conf->history_tunnels ? conf->tunnel_count : conf->history_tunnels;
}

static bool is_current(const records *r, const config *conf)
{
    if (r->count != wanted(conf))
        return false;
    for (size_t i = 0; i < r->count; i++)
        if (r->list[i].id != conf->tunnels[i].id ||
            strcmp(r->list[i].name, conf->tunnels[i].name) != 0)
            return false;
    return true;
}

/* A tunnel that nobody watches counts as healthy. */
static uint32_t state_of(const gateway *g, uint64_t id)
{
    tunnelcap_health_info info = {.state = TUNNELCAP_HEALTH_HEALTHY};

    tunnelcap_table_get_health(g->table, id, &info, sizeof info);
    return info.state;
}

/* Hand the counters of all tunnels in. */
static void update(records *r)
{
    const gateway *g = r->gateway;
    uint64_t now_ns = wall_ns();

    if (!is_current(r, g->conf))
        renew(r, g->conf, wanted(g->conf));
    for (size_t i = 0; i < r->count; i++) {
        tunnelcap_history_totals totals;
        tunnelcap_stats stats;
        if (r->list[i].history == NULL || tunnelcap_table_get_stats(g->table, r->list[i].id, &stats,
                                                                    sizeof stats) != TUNNELCAP_OK)
            continue;
        totals = (tunnelcap_history_totals){.encap_bytes = stats.encap.inner_bytes,
                                            .encap_packets = stats.encap.packets,
                                            .decap_bytes = stats.decap.inner_bytes,
                                            .decap_packets = stats.decap.packets};
        tunnelcap_history_add(r->list[i].history, now_ns, &totals, state_of(g, r->list[i].id));
    }
}

/* Come back right after the next full second. */
static void arm(records *r)
{
    uint64_t us = US_PER_S - wall_ns() / NS_PER_US % US_PER_S + SLACK_US;
    const struct timeval wait = {.tv_sec = (time_t)(us / US_PER_S),
                                 .tv_usec = (suseconds_t)(us % US_PER_S)};

    event_add(r->clock, &wait);
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    update(arg);
    arm(arg);
}

bool records_open(records *r, const struct gateway *g, struct event_base *base)
{
    *r = (records){.gateway = g, .clock = evtimer_new(base, on_second, r)};
    if (r->clock == NULL) {
        log_line("%s", strerror(ENOMEM));
        return false;
    }
    update(r);
    arm(r);
    return true;
}

void records_close(records *r)
{
    free_all(r->list, r->count);
    if (r->clock != NULL)
        event_free(r->clock);
    *r = (records){.clock = NULL};
}

const tunnelcap_history *records_find(const records *r, uint64_t id)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->list[i].id == id)
            return r->list[i].history;
    return NULL;
}

bool records_rates(const records *r, uint64_t id, records_rate rates[2])
{
    const tunnelcap_history *history = records_find(r, id);
    tunnelcap_history_bucket bucket;
    uint64_t seconds = 0;

    memset(rates, 0, 2 * sizeof *rates);
    if (history == NULL)
        return false;
    for (; seconds < MINUTE; seconds++) {
        if (tunnelcap_history_get(history, TUNNELCAP_HISTORY_SECOND, (uint32_t)seconds, &bucket,
                                  sizeof bucket) != TUNNELCAP_OK)
            break;
        const tunnelcap_history_flow *flows[2] = {&bucket.encap, &bucket.decap};
        for (unsigned d = 0; d < 2; d++) {
            if (seconds == 0) {
                rates[d].bits_now = flows[d]->bit_rate;
                rates[d].packets_now = flows[d]->packet_rate;
            }
            rates[d].bits += flows[d]->bit_rate;
            rates[d].packets += flows[d]->packets;
        }
    }
    if (seconds == 0)
        return false;
    for (unsigned d = 0; d < 2; d++) {
        rates[d].bits /= seconds;
        rates[d].packets /= seconds;
    }
    return true;
}
