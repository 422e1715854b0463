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
    tunnelcap_i_routes_cut(cut, own->prefix.bytes, own->prefix_len);
    if (memcmp(cut, own->prefix.bytes, sizeof(cut)) != 0 ||
        !tunnelcap_i_is_zero(own->prefix.reserved, sizeof(own->prefix.reserved)))
        return TUNNELCAP_E_ADDRESS;
    return TUNNELCAP_OK;
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

int32_t tunnelcap_table_set_route(tunnelcap_table *table, const tunnelcap_route *route)
{
    tunnelcap_i_op op;
    int32_t status;

    memset(&op, 0, sizeof(op));
    op.kind = TUNNELCAP_I_OP_SET_ROUTE;
    status = check_route(table, route, &op.as.route, &op.place);
    if (status == TUNNELCAP_OK)
        status = tunnelcap_i_routes_can_set(&tunnelcap_i_changing(table)->routes, &op.as.route,
                                            op.place);
    if (status == TUNNELCAP_OK)
        tunnelcap_i_do(table, &op);
    return status;
}

int32_t tunnelcap_table_remove_route(tunnelcap_table *table, const tunnelcap_route *route)
{
    tunnelcap_i_op op;
    int32_t status;

    memset(&op, 0, sizeof(op));
    op.kind = TUNNELCAP_I_OP_REMOVE_ROUTE;
    status = check_route(table, route, &op.as.route, &op.place);
    if (status == TUNNELCAP_OK)
        status = tunnelcap_i_routes_can_unset(&tunnelcap_i_changing(table)->routes, &op.as.route);
    if (status == TUNNELCAP_OK)
        tunnelcap_i_do(table, &op);
    return status;
}

void tunnelcap_i_penalize(tunnelcap_table *table, uint32_t place, uint32_t penalty)
{
    tunnelcap_i_op op;

    memset(&op, 0, sizeof(op));
    op.kind = TUNNELCAP_I_OP_PENALIZE;
    op.place = place;
    op.as.penalty = penalty;
    tunnelcap_i_do(table, &op);
}

/* What a route was set by. */
static void tell_route(const tunnelcap_i_route *from, tunnelcap_route *route)
{
    tunnelcap_route_init(route, sizeof(*route));
    route->tunnel = from->tunnel;
    route->prefix.family = from->family;
    memcpy(route->prefix.bytes, from->prefix, sizeof(from->prefix));
    route->vrf = from->vrf;
    route->priority = from->priority;
    route->weight = from->weight;
    route->prefix_len = from->len;
    route->regions = from->regions;
}

int32_t tunnelcap_table_next_route(const tunnelcap_table *table, uint32_t *cursor,
                                   tunnelcap_route *route, uint32_t size)
{
    const tunnelcap_i_routes *r;
    tunnelcap_route own;

    if (table == NULL || cursor == NULL || route == NULL)
        return TUNNELCAP_E_INVALID;
    if (size < OLDEST)
        return TUNNELCAP_E_VERSION;
    r = &tunnelcap_i_current(table)->routes;
    while (*cursor < r->head->drawn && r->routes[*cursor].family == 0)
        (*cursor)++;
    if (*cursor >= r->head->drawn)
        return TUNNELCAP_E_NOT_FOUND;
    tell_route(&r->routes[(*cursor)++], &own);
    return tunnelcap_i_struct_init(route, size, &own, sizeof(own), OLDEST);
}

int32_t tunnelcap_table_find_route(const tunnelcap_table *table, const tunnelcap_pkt *pkt,
                                   const tunnelcap_meta *meta, tunnelcap_route *route,
                                   uint32_t size)
{
    const tunnelcap_i_routes *r;
    const tunnelcap_i_route *from;
    tunnelcap_route own;
    tunnelcap_i_ip ip;
    uint32_t place;
    int32_t status;

    if (table == NULL || pkt == NULL || route == NULL || !tunnelcap_i_pkt_valid(pkt))
        return TUNNELCAP_E_INVALID;
    if (size < OLDEST)
        return TUNNELCAP_E_VERSION;
    status = tunnelcap_i_ip_read(pkt->buf + pkt->off, pkt->len, &ip);
    if (status != TUNNELCAP_OK)
        return status;
    r = &tunnelcap_i_current(table)->routes;
    from = tunnelcap_i_routes_longest(r, meta == NULL ? 0 : meta->vrf, ip.family,
                                      ip.src + ip.addr_len);
    if (from == NULL)
        return TUNNELCAP_E_NO_ROUTE;
    place = tunnelcap_i_routes_place(
        r, from->value, tunnelcap_i_flow_hash(table->flow_key, pkt->buf + pkt->off, pkt->len, &ip));
    while (from->of.place != place)
        from = &r->routes[from->next - 1];
    tell_route(from, &own);
    return tunnelcap_i_struct_init(route, size, &own, sizeof(own), OLDEST);
}
