/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "table.h"

static uint32_t key_home(const tunnelcap_table *table, const tunnelcap_i_view *view, uint32_t entry)
{
    (void)view;
    return tunnelcap_i_key_hash(table, &table->slots[(entry & TUNNELCAP_I_SLOT_MASK) - 1].key);
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

/* Take the tunnel at a place out of the hashes of a view. */
static void unhash(tunnelcap_table *table, const tunnelcap_i_view *view, uint32_t place)
{
    uint32_t slot = view->slot_of[place] - 1;
    uint32_t hash = tunnelcap_i_key_hash(table, &table->slots[slot].key);
    uint32_t at =
        hash_position(view->by_key, table->tunnel_mask, hash, tunnelcap_i_key_entry(slot, hash));

    tunnelcap_i_pair_unlink(table, view, place);
    tunnelcap_i_hash_remove(table, view, view->by_key, table->tunnel_mask, at, key_home);
    at = hash_position(view->by_id, table->tunnel_mask, id_home(table, view, place + 1), place + 1);
    tunnelcap_i_hash_remove(table, view, view->by_id, table->tunnel_mask, at, id_home);
    view->slot_of[place] = 0;
}

/* 1 if a tunnel keeps the SAs of the one that it replaces: they are of its kind, and where it is.
 */
static uint32_t keeps_sas(const tunnelcap_i_tunnel *before, const tunnelcap_i_tunnel *tunnel)
{
    return before->key.kind == tunnel->key.kind && before->key.outer_vrf == tunnel->key.outer_vrf &&
           tunnelcap_i_has_sas(before) == tunnelcap_i_has_sas(tunnel);
}

void tunnelcap_i_link(tunnelcap_table *table, const tunnelcap_i_view *view, uint32_t place,
                      uint32_t slot)
{
    const tunnelcap_i_tunnel *tunnel = &table->slots[slot];
    uint32_t hash = tunnelcap_i_key_hash(table, &tunnel->key);

    if (view->slot_of[place] != 0) {
        if (!keeps_sas(tunnelcap_i_tunnel_in(table, view, place), tunnel))
            tunnelcap_i_sas_drop(table, view, place);
        unhash(table, view, place);
    } else {
        view->head->tunnel_count++;
    }
    view->slot_of[place] = slot + 1;
    tunnelcap_i_pair_link(table, view, place);
    hash_insert(view->by_key, table->tunnel_mask, hash, tunnelcap_i_key_entry(slot, hash));
    hash_insert(view->by_id, table->tunnel_mask, tunnelcap_i_id_hash(table, tunnel->id), place + 1);
}

void tunnelcap_i_unlink(tunnelcap_table *table, const tunnelcap_i_view *view, uint32_t place)
{
    tunnelcap_i_routes_drop(&view->routes, place);
    tunnelcap_i_sas_drop(table, view, place);
    unhash(table, view, place);
    view->head->tunnel_count--;
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

/* The next of a stock, which is not empty. */
static uint32_t stock_next(const tunnelcap_i_stock *stock)
{
    return stock->free[stock->count - 1];
}

/* The tunnel that lanes see at a place, or NULL. */
static const tunnelcap_i_tunnel *current_at(const tunnelcap_table *table, uint32_t place)
{
    const tunnelcap_i_view *view = tunnelcap_i_current(table);

    return view->slot_of[place] == 0 ? NULL : tunnelcap_i_tunnel_in(table, view, place);
}

static int32_t make_plan(tunnelcap_table *table, uint64_t id, uint8_t kind,
                         const tunnelcap_tunnel *policy, tunnel_plan *plan)
{
    const tunnelcap_i_view *view;
    const tunnelcap_i_tunnel *current;
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
    if (table->free_slots.count == 0 ||
        (plan->is_new &&
         (view->head->tunnel_count == table->tunnels || table->free_places.count == 0)))
        return TUNNELCAP_E_FULL;
    plan->place = entry != 0 ? entry - 1 : stock_next(&table->free_places);
    /* Lanes may still send by the tunnel that the current view has here. */
    current = current_at(table, plan->place);
    plan->fresh = plan->is_new || current == NULL || current->key.kind != kind;
    plan->slot = stock_next(&table->free_slots);
    plan->before = plan->is_new ? NULL : tunnelcap_i_tunnel_in(table, view, plan->place);
    table->slots[plan->slot].sa = NULL;
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
    return tunnelcap_i_policy_set(
        slot, &plan->policy, plan->before,
        table->free_paths.count == 0 ? NULL : &table->paths[stock_next(&table->free_paths)],
        tunnelcap_i_hash2(table->hash_key, id, plan->slot));
}

/* A place begins to count anew; no lane sees it. */
static void reset_counters(tunnelcap_table *table, uint32_t place)
{
    for (uint32_t lane = 0; lane < table->lanes; lane++) {
        tunnelcap_i_counters *c = tunnelcap_i_counters_at(table, lane, place);
        uint32_t detail = TUNNELCAP_I_LOAD(c->detail);

        memset(c->of, 0, sizeof(c->of));
        if (detail != 0)
            memset(tunnelcap_i_detail_at(table, lane, detail), 0, sizeof(tunnelcap_i_detail));
    }
}

/* Change in the log what this change has linked at a place already, so that a tunnel that is set
 * again and again takes no slot each time. */
static void link_again(tunnelcap_table *table, const tunnel_plan *plan)
{
    const tunnelcap_i_view *view = tunnelcap_i_changing(table);
    uint32_t old = view->slot_of[plan->place] - 1;
    uint32_t op = table->linked[plan->place];

    tunnelcap_i_link(table, view, plan->place, plan->slot);
    if (op != TUNNELCAP_I_UNLOGGED)
        table->log[op - 1].slot = plan->slot;
    tunnelcap_i_slot_free(table, old, &table->slots[plan->slot], current_at(table, plan->place));
}

/* Put the tunnel that was built in plan->slot into the view under change. */
static int32_t link_tunnel(tunnelcap_table *table, const tunnel_plan *plan)
{
    const tunnelcap_i_view *view = tunnelcap_i_changing(table);
    tunnelcap_i_tunnel *slot = &table->slots[plan->slot];
    const tunnelcap_i_tunnel *holder =
        tunnelcap_i_find_key(table, view, &slot->key, tunnelcap_i_key_hash(table, &slot->key));
    tunnelcap_i_op op;
    uint32_t linked;

    if (holder != NULL && holder->place != plan->place)
        return TUNNELCAP_E_EXISTS;
    slot->place = plan->place;
    table->free_slots.count--;
    if (table->free_paths.count != 0 && slot->path == &table->paths[stock_next(&table->free_paths)])
        table->free_paths.count--;
    if (plan->is_new) {
        table->free_places.count--;
        reset_counters(table, plan->place);
    }
    linked = table->linked[plan->place];
    if (linked != 0 && linked != TUNNELCAP_I_TWICE && keeps_sas(plan->before, slot)) {
        link_again(table, plan);
        return TUNNELCAP_OK;
    }
    memset(&op, 0, sizeof(op));
    op.kind = TUNNELCAP_I_OP_LINK;
    op.place = plan->place;
    op.slot = plan->slot;
    tunnelcap_i_do(table, &op);
    if (linked != 0 && linked != TUNNELCAP_I_UNLOGGED)
        table->linked[plan->place] = TUNNELCAP_I_TWICE;
    return TUNNELCAP_OK;
}

/* The SA that a tunnel goes on to send by when it is set anew. */
static tunnelcap_esp *sa_before(const tunnel_plan *plan, uint8_t kind, uint32_t in_esp)
{
    const tunnelcap_i_tunnel *before = plan->before;

    return before != NULL && before->key.kind == kind &&
                   before->key.outer_vrf == plan->policy.outer_vrf &&
                   tunnelcap_i_has_sas(before) == in_esp
               ? before->sa
               : NULL;
}

/* What of a GRE tunnel's key is not common to all kinds. */
static void set_gre_key(tunnelcap_i_tunnel *slot)
{
    const tunnelcap_gre *gre = &slot->as.gre;

    slot->key.keyed = (gre->flags & TUNNELCAP_GRE_KEY_IN) != 0;
    slot->key.key = slot->key.keyed ? gre->key_in : 0;
    slot->key.udp_port = gre->flags & TUNNELCAP_GRE_UDP ? gre->udp_port : 0;
}

static int32_t set_gre(tunnelcap_table *table, uint64_t id, const tunnelcap_tunnel *tunnel,
                       const tunnelcap_gre_config *gre, uint32_t in_esp)
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
    if (in_esp && (slot->as.gre.flags & TUNNELCAP_GRE_UDP))
        return TUNNELCAP_E_FLAGS;
    if (in_esp)
        slot->as.gre.flags |= TUNNELCAP_I_GRE_IN_ESP;
    slot->as.gre.state = &table->gre_states[plan.place];
    slot->sa = sa_before(&plan, TUNNELCAP_KIND_GRE, in_esp);
    status = set_common(table, &plan, id, TUNNELCAP_KIND_GRE);
    if (status != TUNNELCAP_OK)
        return status;
    set_gre_key(slot);
    status = link_tunnel(table, &plan);
    if (status == TUNNELCAP_OK && plan.fresh)
        table->gre_states[plan.place] = fresh;
    return status;
}

int32_t tunnelcap_table_set_gre(tunnelcap_table *table, uint64_t id, const tunnelcap_tunnel *tunnel,
                                const tunnelcap_gre_config *gre)
{
    return set_gre(table, id, tunnel, gre, 0);
}

int32_t tunnelcap_table_set_gre_esp(tunnelcap_table *table, uint64_t id,
                                    const tunnelcap_tunnel *tunnel, const tunnelcap_gre_config *gre)
{
    return set_gre(table, id, tunnel, gre, 1);
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

/* Give an ESP tunnel the headers of its SA. A far end that the SA does not know is where that of
 * the tunnel before was; `peer` tells where it is now. */
static void set_peer(tunnelcap_i_tunnel *slot, const tunnelcap_i_tunnel *before,
                     const tunnelcap_addr *peer, uint16_t port)
{
    const tunnelcap_esp *sa = slot->sa;
    const tunnelcap_i_outer *old = &before->as.esp.outer;
    const uint8_t *remote = peer != NULL ? peer->bytes : NULL;
    uint8_t *ports;

    if (sa == NULL)
        return;
    slot->as.esp.outer = sa->outer;
    ports = slot->as.esp.outer.header + sa->outer.ip_len;
    if (peer == NULL && (sa->flags & TUNNELCAP_ESP_ANY_PEER) && before->as.esp.known &&
        old->family == sa->outer.family) {
        remote = old->match;
        port = tunnelcap_i_load16(old->header + old->ip_len + 2);
    }
    slot->as.esp.known = remote != NULL || !(sa->flags & TUNNELCAP_ESP_ANY_PEER);
    if (remote == NULL)
        return;
    tunnelcap_i_outer_redirect(&slot->as.esp.outer, remote);
    if (sa->udp_len != 0 && port != 0)
        tunnelcap_i_store16(ports + 2, port);
}

int32_t tunnelcap_table_set_esp(tunnelcap_table *table, uint64_t id, const tunnelcap_tunnel *tunnel)
{
    tunnelcap_i_tunnel *slot;
    tunnel_plan plan;
    int32_t status = make_plan(table, id, TUNNELCAP_KIND_ESP, tunnel, &plan);

    if (status != TUNNELCAP_OK)
        return status;
    slot = &table->slots[plan.slot];
    slot->sa = sa_before(&plan, TUNNELCAP_KIND_ESP, 1);
    if (plan.before != NULL && plan.before->key.kind == TUNNELCAP_KIND_ESP)
        slot->as.esp = plan.before->as.esp;
    else
        memset(&slot->as.esp, 0, sizeof(slot->as.esp));
    status = set_common(table, &plan, id, TUNNELCAP_KIND_ESP);
    return status == TUNNELCAP_OK ? link_tunnel(table, &plan) : status;
}

int32_t tunnelcap_i_tunnel_send_by(tunnelcap_table *table, const tunnelcap_i_tunnel *tunnel,
                                   tunnelcap_esp *sa, const tunnelcap_addr *peer, uint16_t port)
{
    tunnelcap_i_tunnel *slot;
    tunnelcap_tunnel policy;
    tunnel_plan plan;
    int32_t status;

    tunnelcap_i_policy_recall(tunnel, &policy);
    status = make_plan(table, tunnel->id, tunnel->key.kind, &policy, &plan);
    if (status != TUNNELCAP_OK)
        return status;
    slot = &table->slots[plan.slot];
    memcpy(&slot->as, &tunnel->as, sizeof(slot->as));
    slot->sa = sa;
    if (tunnel->key.kind == TUNNELCAP_KIND_ESP)
        set_peer(slot, tunnel, peer, port);
    status = set_common(table, &plan, tunnel->id, tunnel->key.kind);
    if (status != TUNNELCAP_OK)
        return status;
    if (tunnel->key.kind == TUNNELCAP_KIND_GRE)
        set_gre_key(slot);
    return link_tunnel(table, &plan);
}

static void remove_tunnel(tunnelcap_table *table, uint32_t place)
{
    const tunnelcap_i_view *view = tunnelcap_i_changing(table);
    uint32_t slot = view->slot_of[place] - 1;
    uint32_t linked = table->linked[place];
    tunnelcap_i_op op;

    memset(&op, 0, sizeof(op));
    op.place = place;
    op.kind = TUNNELCAP_I_OP_REMOVE;
    if (current_at(table, place) != NULL || linked == TUNNELCAP_I_TWICE) {
        tunnelcap_i_do(table, &op);
        return;
    }
    /* It came with this change: nothing of it will ever be seen. */
    tunnelcap_i_unlink(table, view, place);
    if (linked != TUNNELCAP_I_UNLOGGED)
        table->log[linked - 1].kind = TUNNELCAP_I_OP_NONE;
    table->linked[place] = 0;
    tunnelcap_i_slot_free(table, slot, NULL, NULL);
    table->free_places.free[table->free_places.count++] = place;
    op.kind = TUNNELCAP_I_OP_DROP;
    tunnelcap_i_do(table, &op);
}

int32_t tunnelcap_table_remove(tunnelcap_table *table, uint64_t id)
{
    uint32_t entry;

    if (table == NULL)
        return TUNNELCAP_E_INVALID;
    if (!table->in_change)
        return TUNNELCAP_E_STATE;
    entry = tunnelcap_i_find_id(table, tunnelcap_i_changing(table), id);
    if (entry == 0)
        return TUNNELCAP_E_NOT_FOUND;
    remove_tunnel(table, entry - 1);
    return TUNNELCAP_OK;
}
