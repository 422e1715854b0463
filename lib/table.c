/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "table.h"

enum { OLDEST = sizeof(tunnelcap_table_config) };
enum { TUNNELS_MAX = 1 << 20, ROUTES_MAX = 1 << 22, LANES_MAX = 256, SAS_MAX = 1 << 22 };

static const tunnelcap_table_config defaults = {
    sizeof(defaults), 0, 256, 1024, TUNNELCAP_I_LANES_MAX < 4 ? TUNNELCAP_I_LANES_MAX : 4, 1024};

int32_t tunnelcap_table_config_init(tunnelcap_table_config *config, uint32_t size)
{
    return tunnelcap_i_struct_init(config, size, &defaults, sizeof(defaults), OLDEST);
}

static int32_t read_config(tunnelcap_table_config *own, const tunnelcap_table_config *config)
{
    int32_t status;

    *own = defaults;
    status = tunnelcap_i_struct_read(own, sizeof(*own), OLDEST, config);
    if (status != TUNNELCAP_OK)
        return status;
    if (own->flags != 0)
        return TUNNELCAP_E_FLAGS;
    if (own->tunnels < 1 || own->tunnels > TUNNELS_MAX || own->routes < 1 ||
        own->routes > ROUTES_MAX || own->lanes < 1 || own->lanes > LANES_MAX ||
        own->lanes > TUNNELCAP_I_LANES_MAX || own->sas < 1 || own->sas > SAS_MAX)
        return TUNNELCAP_E_RANGE;
    return TUNNELCAP_OK;
}

/* Entries of a hash that stays at most half full. */
static uint32_t hash_entries(uint32_t count)
{
    uint32_t entries = 4;

    while (entries < 2 * count)
        entries *= 2;
    return entries;
}

static size_t lay_out_view(uint8_t *base, const tunnelcap_table_config *c, tunnelcap_i_view *view)
{
    tunnelcap_i_layout layout = {base, 0};

    view->head = tunnelcap_i_layout_add(&layout, 1, sizeof(*view->head));
    view->slot_of = tunnelcap_i_layout_add(&layout, 2 * (size_t)c->tunnels, sizeof(uint32_t));
    view->by_key = tunnelcap_i_layout_add(&layout, hash_entries(c->tunnels), sizeof(uint32_t));
    view->by_id = tunnelcap_i_layout_add(&layout, hash_entries(c->tunnels), sizeof(uint32_t));
    view->by_pair = tunnelcap_i_layout_add(&layout, hash_entries(c->tunnels), sizeof(uint32_t));
    view->pair_next = tunnelcap_i_layout_add(&layout, 2 * (size_t)c->tunnels, sizeof(uint32_t));
    view->by_prefix = tunnelcap_i_layout_add(&layout, hash_entries(c->routes), sizeof(uint32_t));
    view->routes = tunnelcap_i_layout_add(&layout, c->routes, sizeof(*view->routes));
    view->by_spi = tunnelcap_i_layout_add(&layout, hash_entries(c->sas), sizeof(uint32_t));
    view->sas = tunnelcap_i_layout_add(&layout, c->sas, sizeof(*view->sas));
    return layout.size;
}

/* The one description of a table's memory, for size and init alike. */
static size_t lay_out(uint8_t *base, const tunnelcap_table_config *c, tunnelcap_table *parts)
{
    tunnelcap_i_layout layout = {base, 0};
    tunnelcap_i_view view;
    size_t places = 2 * (size_t)c->tunnels;
    uint8_t *block;

    tunnelcap_i_layout_add(&layout, 1, sizeof(*parts));
    parts->seats = tunnelcap_i_layout_add(&layout, c->lanes, sizeof(*parts->seats));
    parts->slots = tunnelcap_i_layout_add(&layout, places + 1, sizeof(*parts->slots));
    parts->paths = tunnelcap_i_layout_add(&layout, places + 1, sizeof(*parts->paths));
    parts->gre_states = tunnelcap_i_layout_add(&layout, places, sizeof(*parts->gre_states));
    parts->told = tunnelcap_i_layout_add(&layout, places, sizeof(*parts->told));
    parts->place_used = tunnelcap_i_layout_add(&layout, places, 1);
    parts->slot_used = tunnelcap_i_layout_add(&layout, places + 1, 1);
    parts->path_used = tunnelcap_i_layout_add(&layout, places + 1, 1);
    parts->counters =
        tunnelcap_i_layout_add(&layout, (places + 1) * 2 * c->lanes, sizeof(*parts->counters));
    parts->limits = tunnelcap_i_layout_add(&layout, places * c->lanes, sizeof(*parts->limits));
    parts->view_size = lay_out_view(NULL, c, &view);
    for (uint32_t i = 0; i < 2; i++) {
        block = tunnelcap_i_layout_add(&layout, 1, parts->view_size);
        if (block != NULL)
            lay_out_view(block, c, &parts->views[i]);
    }
    return layout.size;
}

size_t tunnelcap_table_size(const tunnelcap_table_config *config)
{
    tunnelcap_table_config own;
    tunnelcap_table parts;
    size_t size;

    if (read_config(&own, config) != TUNNELCAP_OK)
        return 0;
    size = lay_out(NULL, &own, &parts);
    return size == SIZE_MAX ? 0 : size;
}

int32_t tunnelcap_table_init(void *mem, size_t mem_size, const tunnelcap_table_config *config,
                             const uint8_t *seed, tunnelcap_table **out)
{
    tunnelcap_table_config own;
    tunnelcap_table *table = mem;
    tunnelcap_table parts;
    size_t need;
    int32_t status = read_config(&own, config);

    if (status != TUNNELCAP_OK)
        return status;
    if (seed == NULL || out == NULL)
        return TUNNELCAP_E_INVALID;
    need = lay_out(NULL, &own, &parts);
    status = tunnelcap_i_memory_check(mem, mem_size, need);
    if (status != TUNNELCAP_OK)
        return status;

    memset(mem, 0, need);
    lay_out(mem, &own, table);
    table->owner.bytes = need;
    table->flow_key = tunnelcap_i_flow_key_from(seed);
    table->hash_key = tunnelcap_i_flow_key_from(seed + 16);
    table->tunnels = own.tunnels;
    table->routes = own.routes;
    table->lanes = own.lanes;
    table->places = 2 * own.tunnels;
    table->tunnel_mask = hash_entries(own.tunnels) - 1;
    table->route_mask = hash_entries(own.routes) - 1;
    table->sas = own.sas;
    table->sa_mask = hash_entries(own.sas) - 1;
    TUNNELCAP_I_STORE(table->generation, 1);
    *out = table;
    return TUNNELCAP_OK;
}

void tunnelcap_table_fini(tunnelcap_table *table)
{
    tunnelcap_i_memory_end(table);
}

int32_t tunnelcap_table_new(const tunnelcap_table_config *config, const uint8_t *seed,
                            const tunnelcap_alloc *alloc, tunnelcap_table **out)
{
    tunnelcap_table_config own;
    tunnelcap_i_owner owner;
    size_t size;
    void *mem;
    int32_t status = read_config(&own, config);

    if (status != TUNNELCAP_OK)
        return status;
    if (seed == NULL || out == NULL)
        return TUNNELCAP_E_INVALID;
    size = tunnelcap_table_size(config);
    if (size == 0)
        return TUNNELCAP_E_NOMEM;
    status = tunnelcap_i_memory_get(size, alloc, &mem, &owner);
    if (status != TUNNELCAP_OK)
        return status;
    tunnelcap_table_init(mem, owner.bytes, config, seed, out);
    (*out)->owner = owner;
    return TUNNELCAP_OK;
}

void tunnelcap_table_free(tunnelcap_table *table)
{
    tunnelcap_i_memory_end(table);
}

int32_t tunnelcap_table_attach(tunnelcap_table *table, tunnelcap_lane *lane)
{
    if (table == NULL || lane == NULL)
        return TUNNELCAP_E_INVALID;
    if (lane->table != NULL)
        return TUNNELCAP_E_STATE;
    for (uint32_t i = 0; i < table->lanes; i++) {
        if (table->seats[i].lane == NULL) {
            table->seats[i].lane = lane;
            lane->table = table;
            lane->slot = i;
            return TUNNELCAP_OK;
        }
    }
    return TUNNELCAP_E_FULL;
}

int32_t tunnelcap_table_detach(tunnelcap_table *table, tunnelcap_lane *lane)
{
    if (table == NULL || lane == NULL)
        return TUNNELCAP_E_INVALID;
    if (lane->table != table)
        return TUNNELCAP_E_STATE;
    table->seats[lane->slot].lane = NULL;
    lane->table = NULL;
    return TUNNELCAP_OK;
}

uint64_t tunnelcap_table_settled(const tunnelcap_table *table)
{
    uint64_t settled;
    uint64_t seen;

    if (table == NULL)
        return 0;
    settled = TUNNELCAP_I_LOAD(((tunnelcap_table *)(uintptr_t)table)->generation);
    for (uint32_t i = 0; i < table->lanes; i++) {
        seen = TUNNELCAP_I_LOAD_SEQ(table->seats[i].seen);
        if (seen != 0 && seen < settled)
            settled = seen;
    }
    return settled;
}

int32_t tunnelcap_table_begin(tunnelcap_table *table)
{
    const tunnelcap_i_view *from;
    const tunnelcap_i_path *path;
    uint32_t slot;

    if (table == NULL)
        return TUNNELCAP_E_INVALID;
    if (table->in_change)
        return TUNNELCAP_E_STATE;
    if (tunnelcap_table_settled(table) != TUNNELCAP_I_LOAD(table->generation))
        return TUNNELCAP_E_BUSY;

    from = tunnelcap_i_current(table);
    memcpy(tunnelcap_i_changing(table)->head, from->head, table->view_size);
    memset(table->place_used, 0, table->places);
    memset(table->slot_used, 0, table->places + 1);
    memset(table->path_used, 0, table->places + 1);
    for (uint32_t place = 0; place < table->places; place++) {
        slot = from->slot_of[place];
        if (slot != 0) {
            table->place_used[place] = TUNNELCAP_I_USED_OLD;
            table->slot_used[slot - 1] = TUNNELCAP_I_USED_OLD;
            path = table->slots[slot - 1].path;
            if (path != NULL)
                table->path_used[path - table->paths] = TUNNELCAP_I_USED_OLD;
        }
    }
    table->place_hint = 0;
    table->slot_hint = 0;
    table->path_hint = 0;
    table->in_change = 1;
    return TUNNELCAP_OK;
}

int32_t tunnelcap_table_commit(tunnelcap_table *table, uint64_t *generation)
{
    uint64_t next;

    if (table == NULL)
        return TUNNELCAP_E_INVALID;
    if (!table->in_change)
        return TUNNELCAP_E_STATE;
    next = TUNNELCAP_I_LOAD(table->generation) + 1;
    TUNNELCAP_I_STORE_SEQ(table->current, 1 - TUNNELCAP_I_LOAD(table->current));
    TUNNELCAP_I_STORE_SEQ(table->generation, next);
    table->in_change = 0;
    if (generation != NULL)
        *generation = next;
    return TUNNELCAP_OK;
}

void tunnelcap_table_abort(tunnelcap_table *table)
{
    if (table != NULL)
        table->in_change = 0;
}
