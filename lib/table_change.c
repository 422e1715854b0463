/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "table.h"

/* Changes: begin and end of one, and how the other view follows. */

static void do_to(tunnelcap_table *table, const tunnelcap_i_view *view, const tunnelcap_i_op *op)
{
    switch (op->kind) {
    case TUNNELCAP_I_OP_LINK:
        tunnelcap_i_link(table, view, op->place, op->slot);
        return;
    case TUNNELCAP_I_OP_REMOVE:
        tunnelcap_i_unlink(table, view, op->place);
        return;
    case TUNNELCAP_I_OP_SET_ROUTE:
        tunnelcap_i_routes_set(&view->routes, &op->as.route, op->place);
        return;
    case TUNNELCAP_I_OP_REMOVE_ROUTE:
        tunnelcap_i_routes_unset(&view->routes, &op->as.route);
        return;
    case TUNNELCAP_I_OP_SET_SA:
        tunnelcap_i_sa_set(table, view, &op->as.sa);
        return;
    case TUNNELCAP_I_OP_REMOVE_SA:
        tunnelcap_i_sa_unset(table, view, &op->as.sa);
        return;
    case TUNNELCAP_I_OP_DROP:
        tunnelcap_i_routes_drop(&view->routes, op->place);
        tunnelcap_i_sas_drop(table, view, op->place);
        return;
    case TUNNELCAP_I_OP_PENALIZE:
        tunnelcap_i_routes_penalize(&view->routes, op->place, op->as.penalty);
        return;
    default:
        return;
    }
}

void tunnelcap_i_do(tunnelcap_table *table, const tunnelcap_i_op *op)
{
    do_to(table, tunnelcap_i_changing(table), op);
    if (table->log_count < table->log_cap)
        table->log[table->log_count] = *op;
    if (table->log_count <= table->log_cap)
        table->log_count++;
    if (op->kind == TUNNELCAP_I_OP_LINK)
        table->linked[op->place] =
            table->log_count <= table->log_cap ? table->log_count : TUNNELCAP_I_UNLOGGED;
}

/* Fill a stock with all indices below `count` that are not marked; the marks are in `free`
 * itself, which never holds more than has been read of them. */
static void stock_fill(tunnelcap_i_stock *stock, uint32_t count)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (stock->free[i] == 0)
            stock->free[kept++] = i;
    }
    stock->count = kept;
    for (uint32_t i = 0; i < kept / 2; i++) { /* the lowest one last: it is the next to be used */
        uint32_t other = stock->free[kept - 1 - i];

        stock->free[kept - 1 - i] = stock->free[i];
        stock->free[i] = other;
    }
}

void tunnelcap_i_restock(tunnelcap_table *table)
{
    const tunnelcap_i_view *view = tunnelcap_i_current(table);
    const tunnelcap_i_path *path;
    uint32_t slot;

    memset(table->free_places.free, 0, table->places * sizeof(uint32_t));
    memset(table->free_slots.free, 0, table->slot_count * sizeof(uint32_t));
    memset(table->free_paths.free, 0, table->path_count * sizeof(uint32_t));
    for (uint32_t place = 0; place < table->places; place++) {
        slot = view->slot_of[place];
        if (slot == 0)
            continue;
        table->free_places.free[place] = 1;
        table->free_slots.free[slot - 1] = 1;
        path = table->slots[slot - 1].path;
        if (path != NULL)
            table->free_paths.free[path - table->paths] = 1;
    }
    stock_fill(&table->free_places, table->places);
    stock_fill(&table->free_slots, table->slot_count);
    stock_fill(&table->free_paths, table->path_count);
}

void tunnelcap_i_slot_free(tunnelcap_table *table, uint32_t slot, const tunnelcap_i_tunnel *other,
                           const tunnelcap_i_tunnel *another)
{
    const tunnelcap_i_path *path = table->slots[slot].path;

    table->free_slots.free[table->free_slots.count++] = slot;
    if (path != NULL && (other == NULL || other->path != path) &&
        (another == NULL || another->path != path))
        table->free_paths.free[table->free_paths.count++] = (uint32_t)(path - table->paths);
}

/* Do an operation of the last change to the view that lacks it. What the operation takes out of
 * that one is in no view any more. */
static void follow(tunnelcap_table *table, const tunnelcap_i_view *view, const tunnelcap_i_op *op)
{
    uint32_t before = 0;

    if (op->kind == TUNNELCAP_I_OP_LINK || op->kind == TUNNELCAP_I_OP_REMOVE)
        before = view->slot_of[op->place];
    do_to(table, view, op);
    if (op->kind == TUNNELCAP_I_OP_LINK)
        table->linked[op->place] = 0;
    if (op->kind == TUNNELCAP_I_OP_REMOVE)
        table->free_places.free[table->free_places.count++] = op->place;
    if (before != 0)
        tunnelcap_i_slot_free(table, before - 1,
                              op->kind == TUNNELCAP_I_OP_LINK ? &table->slots[op->slot] : NULL,
                              NULL);
}

/* Make the other view like the current one; no lane reads it, and no change is under way. */
static void catch_up(tunnelcap_table *table)
{
    const tunnelcap_i_view *view = tunnelcap_i_changing(table);

    if (table->log_count > table->log_cap) {
        memcpy(view->head, tunnelcap_i_current(table)->head, table->view_size);
        memset(table->linked, 0, table->places * sizeof(*table->linked));
        tunnelcap_i_restock(table);
    } else {
        for (uint32_t i = 0; i < table->log_count; i++)
            follow(table, view, &table->log[i]);
    }
    table->log_count = 0;
}

/* The latest generation that all lanes see. */
static uint64_t seen_by_all(const tunnelcap_table *table)
{
    uint64_t settled = TUNNELCAP_I_LOAD(((tunnelcap_table *)(uintptr_t)table)->generation);
    uint64_t seen;

    for (uint32_t i = 0; i < table->lanes; i++) {
        seen = TUNNELCAP_I_LOAD_SEQ(table->seats[i].seen);
        if (seen != 0 && seen < settled)
            settled = seen;
    }
    return settled;
}

uint64_t tunnelcap_table_settled(tunnelcap_table *table)
{
    uint64_t settled;

    if (table == NULL)
        return 0;
    settled = seen_by_all(table);
    if (!table->in_change && table->log_count != 0 &&
        settled == TUNNELCAP_I_LOAD(table->generation))
        catch_up(table);
    return settled;
}

int32_t tunnelcap_table_begin(tunnelcap_table *table)
{
    if (table == NULL)
        return TUNNELCAP_E_INVALID;
    if (table->in_change)
        return TUNNELCAP_E_STATE;
    if (tunnelcap_table_settled(table) != TUNNELCAP_I_LOAD(table->generation))
        return TUNNELCAP_E_BUSY;
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
    table->list.index = 0;
    table->list.place = 0;
    tunnelcap_table_settled(table); /* often no lane is in a burst */
    if (generation != NULL)
        *generation = next;
    return TUNNELCAP_OK;
}

void tunnelcap_table_abort(tunnelcap_table *table)
{
    if (table == NULL || !table->in_change)
        return;
    table->in_change = 0;
    if (table->log_count != 0) {
        table->log_count = table->log_cap + 1;
        catch_up(table);
    }
}
