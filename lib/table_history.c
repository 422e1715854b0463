/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "table_data.h"

/* The history of tunnels: whose is kept, and the seconds that go into it. */

enum { NS_PER_S = 1000000000 };

static void config_of(tunnelcap_history_config *config,
                      const uint32_t keep[TUNNELCAP_HISTORY_SPANS])
{
    tunnelcap_history_config_init(config, sizeof(*config));
    memcpy(config->keep, keep, sizeof(config->keep));
}

uint32_t tunnelcap_i_histories_fit(const uint32_t keep[TUNNELCAP_HISTORY_SPANS])
{
    tunnelcap_history_config config;

    config_of(&config, keep);
    return tunnelcap_history_size(&config) != 0;
}

void tunnelcap_i_histories_lay_out(tunnelcap_i_layout *layout, uint32_t cap,
                                   const uint32_t keep[TUNNELCAP_HISTORY_SPANS],
                                   tunnelcap_i_histories *histories)
{
    tunnelcap_history_config config;

    config_of(&config, keep);
    memcpy(histories->keep, keep, sizeof(histories->keep));
    histories->bytes = tunnelcap_history_size(&config);
    tunnelcap_i_id_map_lay_out(layout, cap, &histories->ids);
    histories->memory = tunnelcap_i_layout_add(layout, cap, histories->bytes);
}

static void *memory_at(const tunnelcap_i_histories *histories, uint32_t index)
{
    return histories->memory + index * histories->bytes;
}

int32_t tunnelcap_table_keep_history(tunnelcap_table *table, uint64_t id)
{
    tunnelcap_i_histories *histories;
    tunnelcap_history_config config;
    tunnelcap_history *history;
    uint32_t entry;

    if (table == NULL)
        return TUNNELCAP_E_INVALID;
    histories = &table->histories;
    if (tunnelcap_i_find_id(table, tunnelcap_i_current(table), id) == 0)
        return TUNNELCAP_E_NOT_FOUND;
    if (tunnelcap_i_id_map_find(&histories->ids, id) != 0)
        return TUNNELCAP_OK;
    entry = tunnelcap_i_id_map_add(&histories->ids, id);
    if (entry == 0)
        return TUNNELCAP_E_FULL;
    config_of(&config, histories->keep);
    tunnelcap_history_init(memory_at(histories, entry - 1), histories->bytes, &config, &history);
    histories->due_s = 0;
    return TUNNELCAP_OK;
}

/* An object lies at the beginning of its memory. */
static tunnelcap_history *history_at(const tunnelcap_i_histories *histories, uint32_t index)
{
    return memory_at(histories, index);
}

static void forget(tunnelcap_i_histories *histories, uint32_t index)
{
    tunnelcap_history_fini(history_at(histories, index));
    tunnelcap_i_id_map_remove(&histories->ids, index);
}

int32_t tunnelcap_table_drop_history(tunnelcap_table *table, uint64_t id)
{
    uint32_t entry;

    if (table == NULL)
        return TUNNELCAP_E_INVALID;
    entry = tunnelcap_i_id_map_find(&table->histories.ids, id);
    if (entry == 0)
        return TUNNELCAP_E_NOT_FOUND;
    forget(&table->histories, entry - 1);
    return TUNNELCAP_OK;
}

int32_t tunnelcap_table_get_history(const tunnelcap_table *table, uint64_t id,
                                    const tunnelcap_history **history)
{
    uint32_t entry;

    if (table == NULL || history == NULL)
        return TUNNELCAP_E_INVALID;
    entry = tunnelcap_i_id_map_find(&table->histories.ids, id);
    if (entry == 0)
        return TUNNELCAP_E_NOT_FOUND;
    *history = history_at(&table->histories, entry - 1);
    return TUNNELCAP_OK;
}

/* The state that is remembered of a tunnel; one that is not watched counts as healthy. */
static uint32_t state_of(const tunnelcap_table *table, uint64_t id)
{
    tunnelcap_health_info info;

    return tunnelcap_table_get_health(table, id, &info, sizeof(info)) == TUNNELCAP_OK
               ? info.state
               : TUNNELCAP_HEALTH_HEALTHY;
}

static void close_second(tunnelcap_table *table, uint32_t index, uint64_t now_ns)
{
    tunnelcap_i_histories *histories = &table->histories;
    uint64_t id = histories->ids.ids[index];
    tunnelcap_history_totals totals;
    tunnelcap_stats stats;

    if (tunnelcap_table_get_stats(table, id, &stats, sizeof(stats)) != TUNNELCAP_OK) {
        forget(histories, index); /* the tunnel is gone */
        return;
    }
    totals.encap_bytes = stats.encap.inner_bytes;
    totals.encap_packets = stats.encap.packets;
    totals.decap_bytes = stats.decap.inner_bytes;
    totals.decap_packets = stats.decap.packets;
    tunnelcap_history_add(history_at(histories, index), now_ns, &totals, state_of(table, id));
}

void tunnelcap_i_history_tick(tunnelcap_table *table, uint64_t now_ns, uint64_t *next_ns)
{
    tunnelcap_i_histories *histories = &table->histories;
    uint64_t next;

    if (histories->ids.count == 0)
        return;
    if (now_ns / NS_PER_S >= histories->due_s) {
        for (uint32_t i = 0; i < histories->ids.cap; i++) {
            if (histories->ids.ids[i] != 0)
                close_second(table, i, now_ns);
        }
        histories->due_s = now_ns / NS_PER_S + 1;
    }
    next = histories->due_s * NS_PER_S;
    if (next < *next_ns)
        *next_ns = next;
}
