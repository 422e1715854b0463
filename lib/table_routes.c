/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "table.h"

enum { OLDEST = sizeof(tunnelcap_route), WEIGHT_MAX = 256 };

int32_t tunnelcap_route_init(tunnelcap_route *route, uint32_t size)
{
    tunnelcap_route own;

    memset(&own, 0, sizeof(own));
    own.priority = 100;
    own.weight = 1;
    return tunnelcap_i_struct_init(route, size, &own, sizeof(own), OLDEST);
}

static int32_t read_route(tunnelcap_route *own, const tunnelcap_route *route)
{
    uint8_t cut[16];
    uint32_t bytes;
    int32_t status = tunnelcap_i_struct_read(own, sizeof(*own), OLDEST, route);

    if (status != TUNNELCAP_OK)
        return status;
    if (own->flags != 0)
        return TUNNELCAP_E_FLAGS;
    if (!tunnelcap_i_is_zero(own->reserved, sizeof(own->reserved)))
        return TUNNELCAP_E_RESERVED;
    if (own->prefix.family != TUNNELCAP_IPV4 && own->prefix.family != TUNNELCAP_IPV6)
        return TUNNELCAP_E_ADDRESS;
    bytes = own->prefix.family == TUNNELCAP_IPV4 ? 4 : 16;
    if (own->prefix_len > 8 * bytes || own->weight < 1 || own->weight > WEIGHT_MAX)
        return TUNNELCAP_E_RANGE;
    tunnelcap_i_prefix_cut(cut, own->prefix.bytes, bytes, own->prefix_len);
    if (memcmp(cut, own->prefix.bytes, sizeof(cut)) != 0 ||
        !tunnelcap_i_is_zero(own->prefix.reserved, sizeof(own->prefix.reserved)))
        return TUNNELCAP_E_ADDRESS;
    return TUNNELCAP_OK;
}

static uint32_t route_home(const tunnelcap_table *table, const tunnelcap_i_view *view,
                           uint32_t entry)
{
    const tunnelcap_i_route *r = &view->routes[entry - 1];

    return tunnelcap_i_prefix_hash(table, r->vrf, r->family, r->len, r->prefix);
}

/* Where the list of a prefix stands in the hash, or the empty entry where it would. */
static uint32_t prefix_position(const tunnelcap_table *table, const tunnelcap_i_view *view,
                                uint32_t vrf, uint32_t family, uint32_t len,
                                const uint8_t prefix[16])
{
    uint32_t at = tunnelcap_i_prefix_hash(table, vrf, family, len, prefix) & table->route_mask;
    const tunnelcap_i_route *r;

    for (; view->by_prefix[at] != 0; at = (at + 1) & table->route_mask) {
        r = &view->routes[view->by_prefix[at] - 1];
        if (r->vrf == vrf && r->family == family && r->len == len &&
            memcmp(r->prefix, prefix, sizeof(r->prefix)) == 0)
            break;
    }
    return at;
}

uint32_t tunnelcap_i_find_prefix(const tunnelcap_table *table, const tunnelcap_i_view *view,
                                 uint32_t vrf, uint32_t family, uint32_t len,
                                 const uint8_t prefix[16])
{
    return view->by_prefix[prefix_position(table, view, vrf, family, len, prefix)];
}

uint32_t tunnelcap_i_find_route(const tunnelcap_table *table, const tunnelcap_i_view *view,
                                uint32_t vrf, uint32_t family, const uint8_t *addr)
{
    const uint32_t *used = view->head->used[family == TUNNELCAP_IPV6];
    uint32_t bytes = family == TUNNELCAP_IPV4 ? 4 : 16;
    uint8_t prefix[16];
    uint32_t found;
    uint32_t len;

    for (uint32_t set = bytes / 4 + 1; set-- > 0;) {
        for (uint32_t bits = used[set]; bits != 0; bits &= ~((uint32_t)1 << (len & 31))) {
            len = set * 32 + tunnelcap_i_highest_bit(bits);
            tunnelcap_i_prefix_cut(prefix, addr, bytes, len);
            found = tunnelcap_i_find_prefix(table, view, vrf, family, len, prefix);
            if (found != 0)
                return found;
        }
    }
    return 0;
}

uint32_t tunnelcap_i_route_leads_to(const tunnelcap_table *table, const tunnelcap_i_view *view,
                                    uint32_t vrf, uint32_t family, const uint8_t *addr,
                                    uint32_t place)
{
    uint32_t entry = tunnelcap_i_find_route(table, view, vrf, family, addr);

    while (entry != 0 && view->routes[entry - 1].place != place)
        entry = view->routes[entry - 1].next;
    return entry != 0;
}

/* One route more, or less, of a prefix length. */
static void count_length(const tunnelcap_i_view *view, const tunnelcap_i_route *r, uint32_t more)
{
    uint32_t six = r->family == TUNNELCAP_IPV6;
    uint32_t bit = (uint32_t)1 << (r->len & 31);

    view->head->lengths[six][r->len] += more; /* 1, or -1 modulo 2^32 */
    if (view->head->lengths[six][r->len] != 0)
        view->head->used[six][r->len / 32] |= bit;
    else
        view->head->used[six][r->len / 32] &= ~bit;
}

/* Take a route, by its index, out of its prefix's list and free it. */
static void unlink_route(tunnelcap_table *table, const tunnelcap_i_view *view, uint32_t index)
{
    tunnelcap_i_route *r = &view->routes[index];
    uint32_t at = prefix_position(table, view, r->vrf, r->family, r->len, r->prefix);
    uint32_t *link = &view->by_prefix[at];

    if (*link == index + 1 && r->next == 0) {
        tunnelcap_i_hash_remove(table, view, view->by_prefix, table->route_mask, at, route_home);
    } else {
        while (*link != index + 1)
            link = &view->routes[*link - 1].next;
        *link = r->next;
    }
    count_length(view, r, UINT32_MAX);
    view->head->route_count--;
    if (index < view->head->free_hint)
        view->head->free_hint = index;
    memset(r, 0, sizeof(*r));
}

/* 1 if route a stands before route b in the list of their prefix. */
static uint32_t is_before(const tunnelcap_i_route *a, const tunnelcap_i_route *b)
{
    return a->priority != b->priority ? a->priority < b->priority : a->tunnel < b->tunnel;
}

static void link_route(tunnelcap_table *table, const tunnelcap_i_view *view, uint32_t index)
{
    tunnelcap_i_route *r = &view->routes[index];
    uint32_t *link =
        &view->by_prefix[prefix_position(table, view, r->vrf, r->family, r->len, r->prefix)];

    while (*link != 0 && is_before(&view->routes[*link - 1], r))
        link = &view->routes[*link - 1].next;
    r->next = *link;
    *link = index + 1;
    count_length(view, r, 1);
    view->head->route_count++;
}

/* Index + 1 of the route of this VRF, prefix and tunnel; 0 if there is none. */
static uint32_t find_same(const tunnelcap_table *table, const tunnelcap_i_view *view,
                          const tunnelcap_route *route)
{
    uint32_t entry = tunnelcap_i_find_prefix(table, view, route->vrf, route->prefix.family,
                                             route->prefix_len, route->prefix.bytes);

    while (entry != 0 && view->routes[entry - 1].tunnel != route->tunnel)
        entry = view->routes[entry - 1].next;
    return entry;
}

/* What setting and removing a route check alike; *place is the tunnel's place. */
static int32_t check_route(tunnelcap_table *table, const tunnelcap_route *route,
                           tunnelcap_route *own, uint32_t *place)
{
    uint32_t entry;
    int32_t status;

    if (table == NULL)
        return TUNNELCAP_E_INVALID;
    if (!table->in_change)
        return TUNNELCAP_E_STATE;
    status = read_route(own, route);
    if (status != TUNNELCAP_OK)
        return status;
    entry = tunnelcap_i_find_id(table, tunnelcap_i_changing(table), own->tunnel);
    if (entry == 0)
        return TUNNELCAP_E_NOT_FOUND;
    *place = entry - 1;
    return TUNNELCAP_OK;
}

void tunnelcap_i_route_set(tunnelcap_table *table, const tunnelcap_i_view *view,
                           const tunnelcap_route *route, uint32_t place)
{
    uint32_t entry = find_same(table, view, route);
    tunnelcap_i_route *r;
    uint32_t index;

    if (entry != 0) {
        index = entry - 1;
        unlink_route(table, view, index);
    } else {
        index = view->head->free_hint;
        while (view->routes[index].family != 0)
            index++;
        view->head->free_hint = index + 1;
    }
    r = &view->routes[index];
    memcpy(r->prefix, route->prefix.bytes, sizeof(r->prefix));
    r->tunnel = route->tunnel;
    r->vrf = route->vrf;
    r->priority = route->priority;
    r->place = place;
    r->weight = route->weight;
    r->len = route->prefix_len;
    r->family = route->prefix.family;
    link_route(table, view, index);
}

void tunnelcap_i_route_unset(tunnelcap_table *table, const tunnelcap_i_view *view,
                             const tunnelcap_route *route)
{
    unlink_route(table, view, find_same(table, view, route) - 1);
}

int32_t tunnelcap_table_set_route(tunnelcap_table *table, const tunnelcap_route *route)
{
    const tunnelcap_i_view *view;
    tunnelcap_i_op op;
    int32_t status;

    memset(&op, 0, sizeof(op));
    op.kind = TUNNELCAP_I_OP_SET_ROUTE;
    status = check_route(table, route, &op.as.route, &op.place);
    if (status != TUNNELCAP_OK)
        return status;
    view = tunnelcap_i_changing(table);
    if (view->head->route_count == table->routes && find_same(table, view, &op.as.route) == 0)
        return TUNNELCAP_E_FULL;
    tunnelcap_i_do(table, &op);
    return TUNNELCAP_OK;
}

int32_t tunnelcap_table_remove_route(tunnelcap_table *table, const tunnelcap_route *route)
{
    tunnelcap_i_op op;
    int32_t status;

    memset(&op, 0, sizeof(op));
    op.kind = TUNNELCAP_I_OP_REMOVE_ROUTE;
    status = check_route(table, route, &op.as.route, &op.place);
    if (status != TUNNELCAP_OK)
        return status;
    if (find_same(table, tunnelcap_i_changing(table), &op.as.route) == 0)
        return TUNNELCAP_E_NOT_FOUND;
    tunnelcap_i_do(table, &op);
    return TUNNELCAP_OK;
}

void tunnelcap_i_routes_drop(tunnelcap_table *table, const tunnelcap_i_view *view, uint32_t place)
{
    for (uint32_t i = 0; i < table->routes; i++) {
        if (view->routes[i].family != 0 && view->routes[i].place == place)
            unlink_route(table, view, i);
    }
}
