/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "table.h"

enum { OLDEST_CONFIG = sizeof(tunnelcap_table_config), OLDEST_TUNNEL = sizeof(tunnelcap_tunnel) };
enum { TUNNELS_MAX = 1 << 20, ROUTES_MAX = 1 << 22, LANES_MAX = 256 };
enum { MTU_MIN = 68, MTU_MAX = 65535, PATH_MTU = 1500 };
enum { USED_OLD = 1, USED_NEW = 2 };

static const tunnelcap_table_config defaults = {
    sizeof(defaults), 0, 256, 1024, TUNNELCAP_I_LANES_MAX < 4 ? TUNNELCAP_I_LANES_MAX : 4, 0};

static const tunnelcap_tunnel tunnel_defaults = {
    sizeof(tunnel_defaults),
    TUNNELCAP_TUNNEL_CLAMP_ENCAP | TUNNELCAP_TUNNEL_CLAMP_DECAP | TUNNELCAP_TUNNEL_LOOP_GUARD,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0};

int32_t tunnelcap_table_config_init(tunnelcap_table_config *config, uint32_t size)
{
    return tunnelcap_i_struct_init(config, size, &defaults, sizeof(defaults), OLDEST_CONFIG);
}

static int32_t read_config(tunnelcap_table_config *own, const tunnelcap_table_config *config)
{
    int32_t status;

    *own = defaults;
    status = tunnelcap_i_struct_read(own, sizeof(*own), OLDEST_CONFIG, config);
    if (status != TUNNELCAP_OK)
        return status;
    if (own->flags != 0)
        return TUNNELCAP_E_FLAGS;
    if (own->reserved != 0)
        return TUNNELCAP_E_RESERVED;
    if (own->tunnels < 1 || own->tunnels > TUNNELS_MAX || own->routes < 1 ||
        own->routes > ROUTES_MAX || own->lanes < 1 || own->lanes > LANES_MAX ||
        own->lanes > TUNNELCAP_I_LANES_MAX)
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
    view->by_prefix = tunnelcap_i_layout_add(&layout, hash_entries(c->routes), sizeof(uint32_t));
    view->routes = tunnelcap_i_layout_add(&layout, c->routes, sizeof(*view->routes));
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
    parts->gre_states = tunnelcap_i_layout_add(&layout, places, sizeof(*parts->gre_states));
    parts->place_used = tunnelcap_i_layout_add(&layout, places, 1);
    parts->slot_used = tunnelcap_i_layout_add(&layout, places + 1, 1);
    parts->counters =
        tunnelcap_i_layout_add(&layout, (places + 1) * 2 * c->lanes, sizeof(*parts->counters));
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
    for (uint32_t place = 0; place < table->places; place++) {
        slot = from->slot_of[place];
        if (slot != 0) {
            table->place_used[place] = USED_OLD;
            table->slot_used[slot - 1] = USED_OLD;
        }
    }
    table->place_hint = 0;
    table->slot_hint = 0;
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

static uint32_t key_home(const tunnelcap_table *table, const tunnelcap_i_view *view, uint32_t entry)
{
    return tunnelcap_i_key_hash(table, &tunnelcap_i_tunnel_in(table, view, entry - 1)->key);
}

static uint32_t id_home(const tunnelcap_table *table, const tunnelcap_i_view *view, uint32_t entry)
{
    return tunnelcap_i_id_hash(table, tunnelcap_i_tunnel_in(table, view, entry - 1)->id);
}

void tunnelcap_i_hash_remove(const tunnelcap_table *table, const tunnelcap_i_view *view,
                             uint32_t *hash, uint32_t mask, uint32_t at, tunnelcap_i_home *home_of)
{
    uint32_t hole = at;
    uint32_t home;

    for (at = (at + 1) & mask; hash[at] != 0; at = (at + 1) & mask) {
        home = home_of(table, view, hash[at]) & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            hash[hole] = hash[at];
            hole = at;
        }
    }
    hash[hole] = 0;
}

static void hash_insert(uint32_t *hash, uint32_t mask, uint32_t home, uint32_t entry)
{
    uint32_t at = home & mask;

    while (hash[at] != 0)
        at = (at + 1) & mask;
    hash[at] = entry;
}

/* Where an entry that is there stands. */
static uint32_t hash_position(const uint32_t *hash, uint32_t mask, uint32_t home, uint32_t entry)
{
    uint32_t at = home & mask;

    while (hash[at] != entry)
        at = (at + 1) & mask;
    return at;
}

uint32_t tunnelcap_i_find_key(const tunnelcap_table *table, const tunnelcap_i_view *view,
                              const tunnelcap_i_key *key)
{
    uint32_t at = tunnelcap_i_key_hash(table, key) & table->tunnel_mask;
    uint32_t entry;

    for (; (entry = view->by_key[at]) != 0; at = (at + 1) & table->tunnel_mask) {
        if (memcmp(&tunnelcap_i_tunnel_in(table, view, entry - 1)->key, key, sizeof(*key)) == 0)
            break;
    }
    return entry;
}

uint32_t tunnelcap_i_find_id(const tunnelcap_table *table, const tunnelcap_i_view *view,
                             uint64_t id)
{
    uint32_t at = tunnelcap_i_id_hash(table, id) & table->tunnel_mask;
    uint32_t entry;

    for (; (entry = view->by_id[at]) != 0; at = (at + 1) & table->tunnel_mask) {
        if (tunnelcap_i_tunnel_in(table, view, entry - 1)->id == id)
            break;
    }
    return entry;
}

int32_t tunnelcap_tunnel_init(tunnelcap_tunnel *tunnel, uint32_t size)
{
    return tunnelcap_i_struct_init(tunnel, size, &tunnel_defaults, sizeof(tunnel_defaults),
                                   OLDEST_TUNNEL);
}

static int32_t read_tunnel(tunnelcap_tunnel *own, const tunnelcap_tunnel *tunnel)
{
    int32_t status;

    *own = tunnel_defaults;
    if (tunnel == NULL)
        return TUNNELCAP_OK;
    status = tunnelcap_i_struct_read(own, sizeof(*own), OLDEST_TUNNEL, tunnel);
    if (status != TUNNELCAP_OK)
        return status;
    if (own->flags & ~tunnel_defaults.flags)
        return TUNNELCAP_E_FLAGS;
    if (own->reserved != 0)
        return TUNNELCAP_E_RESERVED;
    if (own->mtu != 0 && (own->mtu < MTU_MIN || own->mtu > MTU_MAX))
        return TUNNELCAP_E_RANGE;
    return TUNNELCAP_OK;
}

static void set_mss(tunnelcap_i_tunnel *slot, const tunnelcap_tunnel *tunnel)
{
    const tunnelcap_i_outer *outer = tunnelcap_i_tunnel_outer(slot);
    uint32_t fits = tunnelcap_i_outer_inner_mtu(outer, UINT32_MAX);
    tunnelcap_mss_config mss;

    tunnelcap_mss_config_init(&mss, sizeof(mss), slot->mtu);
    if (tunnel->limit4 != 0)
        mss.limit4 = tunnel->limit4;
    if (tunnel->limit6 != 0)
        mss.limit6 = tunnel->limit6;
    mss.insert4 = tunnel->insert4;
    mss.insert6 = tunnel->insert6;
    tunnelcap_i_mss_read(&slot->mss, &mss);
    slot->mss.max = slot->mtu < fits ? slot->mtu : fits;
    slot->headroom = outer->header_len;
    if ((slot->flags & TUNNELCAP_TUNNEL_CLAMP_ENCAP) &&
        (slot->mss.insert[0] != 0 || slot->mss.insert[1] != 0))
        slot->headroom += TUNNELCAP_I_MSS_INSERT;
}

/* Fill what all kinds of tunnel have; the kind's own part has been built. */
static void set_common(tunnelcap_i_tunnel *slot, uint64_t id, const tunnelcap_tunnel *tunnel,
                       uint8_t kind)
{
    const tunnelcap_i_outer *outer;

    memset(&slot->key, 0, sizeof(slot->key));
    slot->key.kind = kind;
    outer = tunnelcap_i_tunnel_outer(slot);
    memcpy(slot->key.addr, outer->match, outer->family == TUNNELCAP_IPV4 ? 8 : 32);
    slot->key.family = outer->family;
    slot->key.outer_vrf = tunnel->outer_vrf;
    slot->id = id;
    slot->flags = tunnel->flags;
    slot->vrf = tunnel->vrf;
    slot->mtu = tunnel->mtu != 0 ? tunnel->mtu : tunnelcap_i_outer_inner_mtu(outer, PATH_MTU);
    set_mss(slot, tunnel);
}

/* The first unused place or slot. There is one: of twice the capacity, one half at most serves
 * the current view and one the view under change; slots number one more, since a tunnel is built
 * before the one that it replaces is given up. */
static uint32_t find_free(const uint8_t *used, uint32_t *hint)
{
    while (used[*hint])
        (*hint)++;
    return *hint;
}

static void give_free(uint8_t *used, uint32_t *hint, uint32_t index)
{
    used[index] = 0;
    if (index < *hint)
        *hint = index;
}

/* Take the tunnel at a place out of the hashes of the view under change. */
static void unlink_tunnel(tunnelcap_table *table, const tunnelcap_i_view *view, uint32_t place)
{
    uint32_t entry = place + 1;
    uint32_t slot = view->slot_of[place] - 1;

    tunnelcap_i_hash_remove(
        table, view, view->by_key, table->tunnel_mask,
        hash_position(view->by_key, table->tunnel_mask, key_home(table, view, entry), entry),
        key_home);
    tunnelcap_i_hash_remove(
        table, view, view->by_id, table->tunnel_mask,
        hash_position(view->by_id, table->tunnel_mask, id_home(table, view, entry), entry),
        id_home);
    if (table->slot_used[slot] == USED_NEW)
        give_free(table->slot_used, &table->slot_hint, slot);
    view->slot_of[place] = 0;
}

/* Where a new or replaced tunnel goes, all checks done that could refuse it. */
typedef struct tunnel_plan {
    uint32_t place;
    uint32_t slot;
    uint32_t is_new; /* the place was free */
    uint32_t fresh;  /* its sequence numbers begin anew */
} tunnel_plan;

static int32_t make_plan(tunnelcap_table *table, uint64_t id, uint8_t kind, tunnel_plan *plan)
{
    const tunnelcap_i_view *view;
    uint32_t current;
    uint32_t entry;

    if (table == NULL)
        return TUNNELCAP_E_INVALID;
    if (!table->in_change)
        return TUNNELCAP_E_STATE;
    if (id == 0)
        return TUNNELCAP_E_RANGE;
    view = tunnelcap_i_changing(table);
    entry = tunnelcap_i_find_id(table, view, id);
    plan->is_new = entry == 0;
    if (plan->is_new && view->head->tunnel_count == table->tunnels)
        return TUNNELCAP_E_FULL;
    plan->place = entry != 0 ? entry - 1 : find_free(table->place_used, &table->place_hint);
    /* Lanes may still send by the tunnel that the current view has here. */
    current = tunnelcap_i_current(table)->slot_of[plan->place];
    plan->fresh = plan->is_new || current == 0 || table->slots[current - 1].key.kind != kind;
    plan->slot = find_free(table->slot_used, &table->slot_hint);
    return TUNNELCAP_OK;
}

/* Put the tunnel that was built in plan->slot into the view under change. */
static int32_t link_tunnel(tunnelcap_table *table, const tunnel_plan *plan)
{
    const tunnelcap_i_view *view = tunnelcap_i_changing(table);
    tunnelcap_i_tunnel *slot = &table->slots[plan->slot];
    uint32_t holder = tunnelcap_i_find_key(table, view, &slot->key);

    if (holder != 0 && holder != plan->place + 1)
        return TUNNELCAP_E_EXISTS;
    if (plan->is_new) {
        for (uint32_t lane = 0; lane < table->lanes; lane++)
            memset(tunnelcap_i_counters_at(table, lane, plan->place, 0), 0,
                   2 * sizeof(*table->counters));
        table->place_used[plan->place] = USED_NEW;
        view->head->tunnel_count++;
    } else {
        unlink_tunnel(table, view, plan->place);
    }
    table->slot_used[plan->slot] = USED_NEW;
    slot->place = plan->place;
    view->slot_of[plan->place] = plan->slot + 1;
    hash_insert(view->by_key, table->tunnel_mask, tunnelcap_i_key_hash(table, &slot->key),
                plan->place + 1);
    hash_insert(view->by_id, table->tunnel_mask, tunnelcap_i_id_hash(table, slot->id),
                plan->place + 1);
    return TUNNELCAP_OK;
}

int32_t tunnelcap_table_set_gre(tunnelcap_table *table, uint64_t id, const tunnelcap_tunnel *tunnel,
                                const tunnelcap_gre_config *gre)
{
    tunnelcap_tunnel own;
    tunnelcap_i_tunnel *slot;
    tunnelcap_i_gre_state fresh;
    tunnel_plan plan;
    int32_t status = make_plan(table, id, TUNNELCAP_KIND_GRE, &plan);

    if (status == TUNNELCAP_OK)
        status = read_tunnel(&own, tunnel);
    if (status != TUNNELCAP_OK)
        return status;
    slot = &table->slots[plan.slot];
    status = tunnelcap_i_gre_place(&slot->as.gre, gre, &fresh, 1);
    if (status != TUNNELCAP_OK)
        return status;
    slot->as.gre.state = &table->gre_states[plan.place];
    set_common(slot, id, &own, TUNNELCAP_KIND_GRE);
    slot->key.keyed = (slot->as.gre.flags & TUNNELCAP_GRE_KEY_IN) != 0;
    slot->key.key = slot->key.keyed ? slot->as.gre.key_in : 0;
    slot->key.udp_port = slot->as.gre.flags & TUNNELCAP_GRE_UDP ? slot->as.gre.udp_port : 0;
    status = link_tunnel(table, &plan);
    if (status == TUNNELCAP_OK && plan.fresh)
        table->gre_states[plan.place] = fresh;
    return status;
}

int32_t tunnelcap_table_set_ipip(tunnelcap_table *table, uint64_t id,
                                 const tunnelcap_tunnel *tunnel, const tunnelcap_ipip_config *ipip)
{
    tunnelcap_tunnel own;
    tunnelcap_i_tunnel *slot;
    tunnel_plan plan;
    int32_t status = make_plan(table, id, TUNNELCAP_KIND_IPIP, &plan);

    if (status == TUNNELCAP_OK)
        status = read_tunnel(&own, tunnel);
    if (status != TUNNELCAP_OK)
        return status;
    slot = &table->slots[plan.slot];
    status = tunnelcap_i_ipip_place(&slot->as.ipip, ipip);
    if (status != TUNNELCAP_OK)
        return status;
    set_common(slot, id, &own, TUNNELCAP_KIND_IPIP);
    return link_tunnel(table, &plan);
}

int32_t tunnelcap_table_remove(tunnelcap_table *table, uint64_t id)
{
    const tunnelcap_i_view *view;
    uint32_t entry;
    uint32_t place;

    if (table == NULL)
        return TUNNELCAP_E_INVALID;
    if (!table->in_change)
        return TUNNELCAP_E_STATE;
    view = tunnelcap_i_changing(table);
    entry = tunnelcap_i_find_id(table, view, id);
    if (entry == 0)
        return TUNNELCAP_E_NOT_FOUND;
    place = entry - 1;
    tunnelcap_i_routes_drop(table, view, place);
    unlink_tunnel(table, view, place);
    if (table->place_used[place] == USED_NEW)
        give_free(table->place_used, &table->place_hint, place);
    view->head->tunnel_count--;
    return TUNNELCAP_OK;
}
