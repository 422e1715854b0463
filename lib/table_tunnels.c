/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "table.h"

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

/* The first unused place, slot or path. There is one: of twice the capacity, one half at most
 * serves the current view and one the view under change; slots and paths number one more, since a
 * tunnel is built before the one that it replaces is given up. */
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
    uint32_t path = (uint32_t)(table->slots[slot].path - table->paths);

    tunnelcap_i_pair_unlink(table, view, place);
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
    if (table->slots[slot].path != NULL && table->path_used[path] == TUNNELCAP_I_USED_NEW)
        give_free(table->path_used, &table->path_hint, path);
    view->slot_of[place] = 0;
}

/* Where a new or replaced tunnel goes, all checks done that could refuse it. */
typedef struct tunnel_plan {
    uint32_t place;
    uint32_t slot;
    uint32_t is_new;                  /* the place was free */
    uint32_t fresh;                   /* its sequence numbers begin anew */
    const tunnelcap_i_tunnel *before; /* what it replaces, or NULL */
    tunnelcap_tunnel policy;
} tunnel_plan;

static int32_t make_plan(tunnelcap_table *table, uint64_t id, uint8_t kind,
                         const tunnelcap_tunnel *policy, tunnel_plan *plan)
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
    plan->before = plan->is_new ? NULL : tunnelcap_i_tunnel_in(table, view, plan->place);
    return tunnelcap_i_policy_read(&plan->policy, policy);
}

/* Fill what all kinds of tunnel have in common; the kind's own part has been built. */
static int32_t set_common(tunnelcap_table *table, const tunnel_plan *plan, uint64_t id,
                          uint8_t kind)
{
    tunnelcap_i_tunnel *slot = &table->slots[plan->slot];
    const tunnelcap_i_outer *outer;

    memset(&slot->key, 0, sizeof(slot->key));
    slot->key.kind = kind;
    outer = tunnelcap_i_tunnel_outer(slot);
    if (kind == TUNNELCAP_KIND_ESP) {
        memcpy(slot->key.addr, &id, sizeof(id));
    } else {
        memcpy(slot->key.addr, outer->match, outer->family == TUNNELCAP_IPV4 ? 8 : 32);
        slot->key.family = outer->family;
    }
    slot->key.outer_vrf = plan->policy.outer_vrf;
    slot->id = id;
    return tunnelcap_i_policy_set(slot, &plan->policy, plan->before,
                                  &table->paths[find_free(table->path_used, &table->path_hint)],
                                  tunnelcap_i_hash2(table->hash_key, id, plan->slot));
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
    if (slot->path != NULL && table->path_used[slot->path - table->paths] == 0)
        table->path_used[slot->path - table->paths] = TUNNELCAP_I_USED_NEW;
    slot->place = plan->place;
    view->slot_of[plan->place] = plan->slot + 1;
    tunnelcap_i_pair_link(table, view, plan->place);
    hash_insert(view->by_key, table->tunnel_mask, tunnelcap_i_key_hash(table, &slot->key),
                plan->place + 1);
    hash_insert(view->by_id, table->tunnel_mask, tunnelcap_i_id_hash(table, slot->id),
                plan->place + 1);
    return TUNNELCAP_OK;
}

int32_t tunnelcap_table_set_gre(tunnelcap_table *table, uint64_t id, const tunnelcap_tunnel *tunnel,
                                const tunnelcap_gre_config *gre)
{
    tunnelcap_i_tunnel *slot;
    tunnelcap_i_gre_state fresh;
    tunnel_plan plan;
    int32_t status = make_plan(table, id, TUNNELCAP_KIND_GRE, tunnel, &plan);

    if (status != TUNNELCAP_OK)
        return status;
    slot = &table->slots[plan.slot];
    status = tunnelcap_i_gre_place(&slot->as.gre, gre, &fresh, 1);
    if (status != TUNNELCAP_OK)
        return status;
    slot->as.gre.state = &table->gre_states[plan.place];
    status = set_common(table, &plan, id, TUNNELCAP_KIND_GRE);
    if (status != TUNNELCAP_OK)
        return status;
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
    tunnelcap_i_tunnel *slot;
    tunnel_plan plan;
    int32_t status = make_plan(table, id, TUNNELCAP_KIND_IPIP, tunnel, &plan);

    if (status != TUNNELCAP_OK)
        return status;
    slot = &table->slots[plan.slot];
    status = tunnelcap_i_ipip_place(&slot->as.ipip, ipip);
    if (status != TUNNELCAP_OK)
        return status;
    status = set_common(table, &plan, id, TUNNELCAP_KIND_IPIP);
    return status == TUNNELCAP_OK ? link_tunnel(table, &plan) : status;
}

int32_t tunnelcap_table_set_esp(tunnelcap_table *table, uint64_t id, const tunnelcap_tunnel *tunnel,
                                tunnelcap_esp *out)
{
    tunnel_plan plan;
    int32_t status = make_plan(table, id, TUNNELCAP_KIND_ESP, tunnel, &plan);

    if (status != TUNNELCAP_OK)
        return status;
    if (out != NULL && (out->direction != TUNNELCAP_ESP_OUT || out->mode != TUNNELCAP_ESP_TUNNEL))
        return TUNNELCAP_E_MODE;
    if (out == NULL && plan.policy.mtu == 0)
        return TUNNELCAP_E_RANGE;
    table->slots[plan.slot].as.esp = out;
    status = set_common(table, &plan, id, TUNNELCAP_KIND_ESP);
    return status == TUNNELCAP_OK ? link_tunnel(table, &plan) : status;
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
