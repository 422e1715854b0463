/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "table.h"

enum { OLDEST = sizeof(tunnelcap_table_config) };
enum { TUNNELS_MAX = 1 << 20, ROUTES_MAX = 1 << 22, LANES_MAX = 256, SAS_MAX = 1 << 22 };
enum { WATCHED_MAX = 1 << 20, HISTORIES_MAX = 1 << 20 };

/* Details of each lane where the configuration does not say. */
enum { DETAILS = 1024 };

enum { VRFS_MAX = 1 << 16, NODES_MAX = 1 << 22, GROUPS_MAX = 1 << 20, REGIONS = 64 };
enum { BUCKETS_MIN = 64, BUCKETS_MAX = 1 << 16 };

static const tunnelcap_table_config defaults = {
    .size = sizeof(defaults),
    .tunnels = 256,
    .routes = 1024,
    .lanes = TUNNELCAP_I_LANES_MAX < 4 ? TUNNELCAP_I_LANES_MAX : 4,
    .sas = 1024,
    .vrfs = 16,
    .groups = 64,
    .buckets = 1024,
    .watched = 64,
    .history_keep = {120, 120, 2016, 744},
};

int32_t tunnelcap_table_config_init(tunnelcap_table_config *config, uint32_t size)
{
    return tunnelcap_i_struct_init(config, size, &defaults, sizeof(defaults), OLDEST);
}

/* Two for each prefix always suffice; where there are many of them, they share most. */
static uint32_t default_nodes(uint32_t routes)
{
    return routes <= 512 ? 2 * routes : 1024 + (routes - 512) / 8;
}

/* The part that routes need. */
static int32_t read_routes(tunnelcap_table_config *own)
{
    if (own->flags & ~(uint32_t)TUNNELCAP_TABLE_RENDEZVOUS)
        return TUNNELCAP_E_FLAGS;
    if (own->routes < 1 || own->routes > ROUTES_MAX || own->vrfs > VRFS_MAX ||
        own->nodes > NODES_MAX || own->groups > GROUPS_MAX || own->region >= REGIONS ||
        own->buckets < BUCKETS_MIN || own->buckets > BUCKETS_MAX ||
        (own->buckets & (own->buckets - 1)) != 0)
        return TUNNELCAP_E_RANGE;
    if (own->nodes == 0)
        own->nodes = default_nodes(own->routes);
    return TUNNELCAP_OK;
}

static int32_t read_config(tunnelcap_table_config *own, const tunnelcap_table_config *config)
{
    uint32_t most;
    int32_t status;

    *own = defaults;
    status = tunnelcap_i_struct_read(own, sizeof(*own), OLDEST, config);
    if (status != TUNNELCAP_OK)
        return status;
    status = read_routes(own);
    if (status != TUNNELCAP_OK)
        return status;
    if (own->tunnels < 1 || own->tunnels > TUNNELS_MAX || own->lanes < 1 ||
        own->lanes > LANES_MAX || own->lanes > TUNNELCAP_I_LANES_MAX || own->sas < 1 ||
        own->sas > SAS_MAX || own->changes > own->tunnels || own->watched > WATCHED_MAX ||
        own->histories > HISTORIES_MAX || !tunnelcap_i_histories_fit(own->history_keep))
        return TUNNELCAP_E_RANGE;
    if (own->changes == 0)
        own->changes = own->tunnels;
    most = own->tunnels + own->changes + 1;
    if (own->paths > most || own->details > most)
        return TUNNELCAP_E_RANGE;
    if (own->paths == 0)
        own->paths = most;
    if (own->details == 0)
        own->details = most < DETAILS ? most : DETAILS;
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

static size_t places_of(const tunnelcap_table_config *c)
{
    return (size_t)c->tunnels + c->changes;
}

static void lay_out_stock(tunnelcap_i_layout *layout, tunnelcap_i_stock *stock, size_t count)
{
    stock->free = tunnelcap_i_layout_add(layout, count, sizeof(uint32_t));
}

static tunnelcap_i_routes_limits routes_limits(const tunnelcap_table_config *c)
{
    tunnelcap_i_routes_limits limits;

    memset(&limits, 0, sizeof(limits));
    limits.region = (uint64_t)1 << c->region;
    limits.routes = c->routes;
    limits.vrfs = c->vrfs;
    limits.nodes = c->nodes;
    limits.groups = c->groups;
    limits.places = (uint32_t)places_of(c);
    limits.bucket_bits = tunnelcap_i_highest_bit(c->buckets);
    limits.rendezvous = (c->flags & TUNNELCAP_TABLE_RENDEZVOUS) != 0;
    return limits;
}

static size_t lay_out_view(uint8_t *base, const tunnelcap_table_config *c, tunnelcap_i_view *view)
{
    const tunnelcap_i_routes_limits limits = routes_limits(c);
    tunnelcap_i_layout layout = {base, 0};

    view->head = tunnelcap_i_layout_add(&layout, 1, sizeof(*view->head));
    view->slot_of = tunnelcap_i_layout_add(&layout, places_of(c), sizeof(uint32_t));
    view->by_key = tunnelcap_i_layout_add(&layout, hash_entries(c->tunnels), sizeof(uint32_t));
    view->by_id = tunnelcap_i_layout_add(&layout, hash_entries(c->tunnels), sizeof(uint32_t));
    view->by_pair = tunnelcap_i_layout_add(&layout, hash_entries(c->tunnels), sizeof(uint32_t));
    view->pair_next = tunnelcap_i_layout_add(&layout, places_of(c), sizeof(uint32_t));
    tunnelcap_i_routes_lay_out(&layout, &limits, &view->routes);
    view->by_spi = tunnelcap_i_layout_add(&layout, hash_entries(c->sas), sizeof(uint32_t));
    view->sa_chain = tunnelcap_i_layout_add(&layout, hash_entries(c->sas), sizeof(uint32_t));
    view->sas = tunnelcap_i_layout_add(&layout, c->sas, sizeof(*view->sas));
    return layout.size;
}

/* The one description of a table's memory, for size and init alike. */
static size_t lay_out(uint8_t *base, const tunnelcap_table_config *c, tunnelcap_table *parts)
{
    tunnelcap_i_layout layout = {base, 0};
    tunnelcap_i_view view;
    size_t places = places_of(c);
    uint8_t *block;

    tunnelcap_i_layout_add(&layout, 1, sizeof(*parts));
    parts->seats = tunnelcap_i_layout_add(&layout, c->lanes, sizeof(*parts->seats));
    parts->slots = tunnelcap_i_layout_add(&layout, places + 1, sizeof(*parts->slots));
    parts->paths = tunnelcap_i_layout_add(&layout, c->paths, sizeof(*parts->paths));
    parts->gre_states = tunnelcap_i_layout_add(&layout, places, sizeof(*parts->gre_states));
    lay_out_stock(&layout, &parts->free_places, places);
    lay_out_stock(&layout, &parts->free_slots, places + 1);
    lay_out_stock(&layout, &parts->free_paths, c->paths);
    parts->linked = tunnelcap_i_layout_add(&layout, places, sizeof(*parts->linked));
    parts->log = tunnelcap_i_layout_add(&layout, c->changes, sizeof(*parts->log));
    parts->counters =
        tunnelcap_i_layout_add(&layout, (places + 1) * c->lanes, sizeof(*parts->counters));
    parts->detail =
        tunnelcap_i_layout_add(&layout, (size_t)c->details * c->lanes, sizeof(*parts->detail));
    tunnelcap_i_watching_lay_out(&layout, c->watched, &parts->watching);
    tunnelcap_i_histories_lay_out(&layout, c->histories, c->history_keep, &parts->histories);
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
    table->lanes = own.lanes;
    table->places = (uint32_t)places_of(&own);
    table->slot_count = table->places + 1;
    table->path_count = own.paths;
    table->details = own.details;
    table->log_cap = own.changes;
    table->tunnel_mask = hash_entries(own.tunnels) - 1;
    table->sas = own.sas;
    table->sa_mask = hash_entries(own.sas) - 1;
    for (uint32_t i = 0; i < 2; i++)
        table->views[i].routes.limits.key = table->flow_key;
    tunnelcap_i_restock(table);
    tunnelcap_i_id_map_init(&table->watching.ids, table->hash_key);
    tunnelcap_i_id_map_init(&table->histories.ids, table->hash_key);
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
            if (table->seats[i].details == 0)
                table->seats[i].details = 1; /* the one for packets without a tunnel */
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
