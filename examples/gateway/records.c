/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "records.h"

#include "gateway.h"

#include <string.h>

enum { MINUTE = 60 };

void records_keep(struct gateway *g)
{
    const config *conf = g->conf;
    size_t without = 0;

    for (size_t i = 0; i < conf->tunnel_count; i++)
        if (i >= conf->history_tunnels)
            tunnelcap_table_drop_history(g->table, conf->tunnels[i].id);
    for (size_t i = 0; i < conf->tunnel_count && i < conf->history_tunnels; i++)
        without += tunnelcap_table_keep_history(g->table, conf->tunnels[i].id) != TUNNELCAP_OK;
    if (without > 0)
        log_line("no room for the histories of %zu new tunnels: they begin when the gateway does",
                 without);
}

const tunnelcap_history *records_find(const struct gateway *g, uint64_t id)
{
    const tunnelcap_history *history = NULL;

    tunnelcap_table_get_history(g->table, id, &history);
    return history;
}

bool records_rates(const struct gateway *g, uint64_t id, records_rate rates[2])
{
    const tunnelcap_history *history = records_find(g, id);
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
