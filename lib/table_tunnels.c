/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "table.h"

enum { OLDEST = sizeof(tunnelcap_tunnel) };
enum { MTU_MIN = 68, MTU_MAX = 65535, PATH_MTU = 1500 };

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
    return tunnelcap_i_struct_init(tunnel, size, &tunnel_defaults, sizeof(tunnel_defaults), OLDEST);
}

static int32_t read_tunnel(tunnelcap_tunnel *own, const tunnelcap_tunnel *tunnel)
{
    int32_t status;

    *own = tunnel_defaults;
    if (tunnel == NULL)
        return TUNNELCAP_OK;
    status = tunnelcap_i_struct_read(own, sizeof(*own), OLDEST, tunnel);
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

/* Largest inner packet for a path; an ESP tunnel without SA cannot tell, and carries none. */
static uint32_t inner_mtu(const tunnelcap_i_tunnel *slot, uint32_t path)
{
    if (slot->key.kind != TUNNELCAP_KIND_ESP)
        return tunnelcap_i_outer_inner_mtu(tunnelcap_i_tunnel_outer(slot), path);
    return slot->as.esp == NULL ? MTU_MAX : tunnelcap_esp_inner_mtu(slot->as.esp, path);
}

static uint32_t headroom(const tunnelcap_i_tunnel *slot)
{
    if (slot->key.kind == TUNNELCAP_KIND_ESP)
        return tunnelcap_esp_headroom(slot->as.esp);
    return tunnelcap_i_tunnel_outer(slot)->header_len;
}

static void set_mss(tunnelcap_i_tunnel *slot, const tunnelcap_tunnel *tunnel)
{
    uint32_t fits = inner_mtu(slot, UINT32_MAX);
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
    slot->headroom = headroom(slot);
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
    if (kind == TUNNELCAP_KIND_ESP) {
        memcpy(slot->key.addr, &id, sizeof(id));
    } else {
        outer = tunnelcap_i_tunnel_outer(slot);
        memcpy(slot->key.addr, outer->match, outer->family == TUNNELCAP_IPV4 ? 8 : 32);
        slot->key.family = outer->family;
    }
    slot->key.outer_vrf = tunnel->outer_vrf;
    slot->id = id;
    slot->flags = tunnel->flags;
    slot->vrf = tunnel->vrf;
    slot->mtu = tunnel->mtu != 0 ? tunnel->mtu : inner_mtu(slot, PATH_MTU);
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
    if (table->slot_used[slot] == TUNNELCAP_I_USED_NEW)
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
        table->place_used[plan->place] = TUNNELCAP_I_USED_NEW;
        view->head->tunnel_count++;
    } else {
        if (slot->key.kind != TUNNELCAP_KIND_ESP)
            tunnelcap_i_sas_drop(table, view, plan->place);
        unlink_tunnel(table, view, plan->place);
    }
    table->slot_used[plan->slot] = TUNNELCAP_I_USED_NEW;
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

int32_t tunnelcap_table_set_esp(tunnelcap_table *table, uint64_t id, const tunnelcap_tunnel *tunnel,
                                tunnelcap_esp *out)
{
    tunnelcap_tunnel own;
    tunnelcap_i_tunnel *slot;
    tunnel_plan plan;
    int32_t status = make_plan(table, id, TUNNELCAP_KIND_ESP, &plan);

    if (status == TUNNELCAP_OK)
        status = read_tunnel(&own, tunnel);
    if (status != TUNNELCAP_OK)
        return status;
    if (out != NULL && (out->direction != TUNNELCAP_ESP_OUT || out->mode != TUNNELCAP_ESP_TUNNEL))
        return TUNNELCAP_E_MODE;
    if (out == NULL && own.mtu == 0)
        return TUNNELCAP_E_RANGE;
    slot = &table->slots[plan.slot];
    slot->as.esp = out;
    set_common(slot, id, &own, TUNNELCAP_KIND_ESP);
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
    tunnelcap_i_sas_drop(table, view, place);
    unlink_tunnel(table, view, place);
    if (table->place_used[place] == TUNNELCAP_I_USED_NEW)
        give_free(table->place_used, &table->place_hint, place);
    view->head->tunnel_count--;
    return TUNNELCAP_OK;
}
