/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "routes.h"

/* ---- prefixes ---- */

static uint32_t prefix_hash(const tunnelcap_i_routes *r, uint32_t vrf, uint32_t family,
                            uint32_t len, const uint8_t prefix[16])
{
    uint64_t h = tunnelcap_i_hash2(r->limits.key, tunnelcap_i_load64(prefix),
                                   (uint64_t)vrf << 32 | family << 8 | len);

    if (family == TUNNELCAP_IPV6)
        h = tunnelcap_i_hash2(r->limits.key, h, tunnelcap_i_load64(prefix + 8));
    return (uint32_t)h & r->route_mask;
}

/* The link to the list of a prefix; to nothing where there is none. */
static uint32_t *prefix_link(const tunnelcap_i_routes *r, uint32_t vrf, uint32_t family,
                             uint32_t len, const uint8_t prefix[16])
{
    uint32_t *link = &r->by_prefix[prefix_hash(r, vrf, family, len, prefix)];
    tunnelcap_i_route *route;

    for (; *link != 0; link = &route->chain) {
        route = &r->routes[*link - 1];
        if (route->vrf == vrf && route->family == family && route->len == len &&
            memcmp(route->prefix, prefix, sizeof(route->prefix)) == 0)
            break;
    }
    return link;
}

static uint32_t *link_of(const tunnelcap_i_routes *r, const tunnelcap_route *route)
{
    return prefix_link(r, route->vrf, route->prefix.family, route->prefix_len, route->prefix.bytes);
}

/* One prefix more, or less, of a length. */
static void count_length(const tunnelcap_i_routes *r, uint32_t family, uint32_t len, uint32_t more)
{
    uint32_t six = family == TUNNELCAP_IPV6;
    uint32_t bit = (uint32_t)1 << (len & 31);

    r->head->lengths[six][len] += more; /* 1, or -1 modulo 2^32 */
    if (r->head->lengths[six][len] != 0)
        r->head->used[six][len / 32] |= bit;
    else
        r->head->used[six][len / 32] &= ~bit;
}

void tunnelcap_i_routes_cut(uint8_t out[16], const uint8_t *addr, uint32_t len)
{
    memset(out, 0, 16);
    memcpy(out, addr, len / 8);
    if (len % 8 != 0)
        out[len / 8] = (uint8_t)(addr[len / 8] & (0xff00 >> len % 8));
}

/* The first route of the longest prefix that has less than `len` bits and holds an address; NULL if
 * there is none. `any`: also of one for which no route counts here. */
static const tunnelcap_i_route *find_shorter(const tunnelcap_i_routes *r, uint32_t vrf,
                                             uint32_t family, uint32_t len, const uint8_t *addr,
                                             uint32_t any)
{
    const uint32_t *used = r->head->used[family == TUNNELCAP_IPV6];
    uint8_t cut[16];
    uint32_t first;

    while (len-- > 0) {
        if (!(used[len / 32] >> (len & 31) & 1))
            continue;
        tunnelcap_i_routes_cut(cut, addr, len);
        first = *prefix_link(r, vrf, family, len, cut);
        if (first != 0 && (any || r->routes[first - 1].value != 0))
            return &r->routes[first - 1];
    }
    return NULL;
}

/* One more than the longest prefix of a family has. */
static uint32_t lengths_of(uint32_t family)
{
    return family == TUNNELCAP_IPV4 ? 33 : 129;
}

const tunnelcap_i_route *tunnelcap_i_routes_longest(const tunnelcap_i_routes *r, uint32_t vrf,
                                                    uint32_t family, const uint8_t *addr)
{
    return find_shorter(r, vrf, family, lengths_of(family), addr, 0);
}

uint32_t tunnelcap_i_routes_lead_to(const tunnelcap_i_routes *r, uint32_t vrf, uint32_t family,
                                    const uint8_t *addr, uint32_t place)
{
    const tunnelcap_i_route *route;
    const tunnelcap_i_group *group;
    tunnelcap_i_lpm_query query;

    tunnelcap_i_lpm_aim(&r->lpm, vrf, family, addr, &query);
    tunnelcap_i_lpm_find(&r->lpm, &query, 1);
    if (query.value == place + 1)
        return 1;
    if (query.value & TUNNELCAP_I_GROUP_VALUE) {
        group = tunnelcap_i_group_of(r, query.value);
        for (uint32_t i = 0; i < group->count; i++) {
            if (tunnelcap_i_group_members(r, group)[i].of.place == place)
                return 1;
        }
    }
    if (r->head->elsewhere == 0)
        return 0;
    route = find_shorter(r, vrf, family, lengths_of(family), addr, 1);
    while (route != NULL && route->of.place != place)
        route = route->next == 0 ? NULL : &r->routes[route->next - 1];
    return route != NULL;
}

static tunnelcap_i_lpm_prefix prefix_of(const tunnelcap_i_route *route)
{
    tunnelcap_i_lpm_prefix prefix;

    prefix.bytes = route->prefix;
    prefix.family = route->family;
    prefix.vrf = route->vrf;
    prefix.len = route->len;
    return prefix;
}

/* Let the trie have another value for a prefix that is in no list, or in one that is linked. */
static void change_value(const tunnelcap_i_routes *r, const tunnelcap_i_lpm_prefix *prefix,
                         uint32_t before, uint32_t value)
{
    const tunnelcap_i_route *cover;

    if (value == before)
        return;
    if (before == 0) {
        tunnelcap_i_lpm_add(&r->lpm, prefix, value);
    } else if (value != 0) {
        tunnelcap_i_lpm_change(&r->lpm, prefix, value);
    } else {
        cover = find_shorter(r, prefix->vrf, prefix->family, prefix->len, prefix->bytes, 0);
        tunnelcap_i_lpm_remove(&r->lpm, prefix, cover == NULL ? 0 : cover->value,
                               cover == NULL ? 0 : cover->len);
    }
}

/* ---- which routes count ---- */

static uint32_t counts_here(const tunnelcap_i_routes *r, uint64_t regions)
{
    return regions == 0 || (regions & r->limits.region) != 0;
}

/* 1 if a route stands before one of another priority and tunnel in the list of their prefix. */
static uint32_t is_before(const tunnelcap_i_route *route, uint32_t priority, uint64_t tunnel)
{
    return route->priority != priority ? route->priority < priority : route->tunnel < tunnel;
}

/* Members, of which there may be one too many. */
typedef struct members {
    uint32_t count;
    tunnelcap_i_member of[TUNNELCAP_I_MEMBERS_MAX + 1];
} members;

static void add_member(members *m, uint64_t tunnel, uint32_t place, uint32_t priority,
                       uint32_t weight)
{
    tunnelcap_i_member *member = &m->of[m->count];

    if (m->count > TUNNELCAP_I_MEMBERS_MAX)
        return;
    memset(member, 0, sizeof(*member));
    member->tunnel = tunnel;
    member->of.place = place;
    member->priority = priority;
    member->weight = weight;
    m->count++;
}

/* The routes of this region in a prefix's list, less the one of a tunnel, and with a new one if
 * that is not NULL. */
static void list_members(const tunnelcap_i_routes *r, uint32_t first, uint64_t without,
                         const tunnelcap_route *added, uint32_t place, members *m)
{
    const tunnelcap_i_route *route;
    uint32_t waiting = added != NULL && counts_here(r, added->regions);

    m->count = 0;
    for (; first != 0; first = route->next) {
        route = &r->routes[first - 1];
        if (waiting && !is_before(route, added->priority, added->tunnel)) {
            add_member(m, added->tunnel, place, added->priority, added->weight);
            waiting = 0;
        }
        if (route->tunnel != without && counts_here(r, route->regions))
            add_member(m, route->tunnel, route->of.place, route->priority, route->weight);
    }
    if (waiting)
        add_member(m, added->tunnel, place, added->priority, added->weight);
}

/* Whether a prefix can have these members instead of what its value says. */
static int32_t can_have(const tunnelcap_i_routes *r, uint32_t before, const members *m)
{
    if (m->count > TUNNELCAP_I_MEMBERS_MAX)
        return TUNNELCAP_E_FULL;
    if (m->count < 2 || r->head->groups < r->limits.groups ||
        ((before & TUNNELCAP_I_GROUP_VALUE) && tunnelcap_i_group_of(r, before)->refs == 1))
        return TUNNELCAP_OK;
    return tunnelcap_i_group_find(r, m->of, m->count) != NULL ? TUNNELCAP_OK : TUNNELCAP_E_FULL;
}

/* The value for these members. */
static uint32_t take_value(const tunnelcap_i_routes *r, const members *m)
{
    if (m->count == 0)
        return 0;
    if (m->count == 1)
        return m->of[0].of.place + 1;
    return tunnelcap_i_group_take(r, m->of, m->count);
}

static void release_value(const tunnelcap_i_routes *r, uint32_t value)
{
    if (value & TUNNELCAP_I_GROUP_VALUE)
        tunnelcap_i_group_release(r, value);
}

/* ---- lists ---- */

/* Take a route out of the list that `link` leads to, and free it. What its prefix has as a value
 * goes on with the list. */
static void unlink_route(const tunnelcap_i_routes *r, uint32_t *link, uint32_t index)
{
    tunnelcap_i_route *route = &r->routes[index];

    if (*link == index + 1) {
        if (route->next == 0)
            count_length(r, route->family, route->len, UINT32_MAX);
        *link = route->next != 0 ? route->next : route->chain;
        if (route->next != 0) {
            r->routes[route->next - 1].chain = route->chain;
            r->routes[route->next - 1].value = route->value;
        }
    } else {
        while (*link != index + 1)
            link = &r->routes[*link - 1].next;
        *link = route->next;
    }
    tunnelcap_i_by_place_remove(&r->by_place, index + 1);
    r->head->elsewhere -= !counts_here(r, route->regions);
    memset(route, 0, sizeof(*route));
    route->next = r->head->free;
    r->head->free = index + 1;
    r->head->count--;
}

/* Add a new route to the list that `link` leads to. */
static void link_route(const tunnelcap_i_routes *r, uint32_t *link, const tunnelcap_route *route,
                       uint32_t place)
{
    uint32_t first = *link;
    uint32_t index;
    tunnelcap_i_route *new_route;

    if (r->head->free != 0) {
        index = r->head->free - 1;
        r->head->free = r->routes[index].next;
    } else {
        index = r->head->drawn++;
    }
    r->head->count++;
    new_route = &r->routes[index];
    memset(new_route, 0, sizeof(*new_route));
    memcpy(new_route->prefix, route->prefix.bytes, sizeof(new_route->prefix));
    new_route->tunnel = route->tunnel;
    new_route->regions = route->regions;
    new_route->vrf = route->vrf;
    new_route->priority = route->priority;
    new_route->of.place = place;
    new_route->weight = route->weight;
    new_route->len = route->prefix_len;
    new_route->family = route->prefix.family;
    tunnelcap_i_by_place_add(&r->by_place, index + 1);
    r->head->elsewhere += !counts_here(r, route->regions);
    if (first == 0)
        count_length(r, route->prefix.family, route->prefix_len, 1);
    if (first == 0 || !is_before(&r->routes[first - 1], route->priority, route->tunnel)) {
        if (first != 0) {
            new_route->chain = r->routes[first - 1].chain;
            new_route->value = r->routes[first - 1].value;
            r->routes[first - 1].chain = 0;
            r->routes[first - 1].value = 0;
        }
    } else {
        do
            link = &r->routes[*link - 1].next;
        while (*link != 0 && is_before(&r->routes[*link - 1], route->priority, route->tunnel));
    }
    new_route->next = *link;
    *link = index + 1;
}

/* Index + 1 of the route of a tunnel in a list; 0 if there is none. */
static uint32_t find_tunnel(const tunnelcap_i_routes *r, uint32_t first, uint64_t tunnel)
{
    while (first != 0 && r->routes[first - 1].tunnel != tunnel)
        first = r->routes[first - 1].next;
    return first;
}

/* ---- operations ---- */

static uint32_t value_of(const tunnelcap_i_routes *r, uint32_t first)
{
    return first == 0 ? 0 : r->routes[first - 1].value;
}

int32_t tunnelcap_i_routes_can_set(const tunnelcap_i_routes *r, const tunnelcap_route *route,
                                   uint32_t place)
{
    uint32_t first = *link_of(r, route);
    tunnelcap_i_lpm_prefix prefix;
    members m;

    if (r->head->count == r->limits.routes && find_tunnel(r, first, route->tunnel) == 0)
        return TUNNELCAP_E_FULL;
    list_members(r, first, route->tunnel, route, place, &m);
    if (m.count == 0 || value_of(r, first) != 0)
        return can_have(r, value_of(r, first), &m);
    prefix.bytes = route->prefix.bytes;
    prefix.family = route->prefix.family;
    prefix.vrf = route->vrf;
    prefix.len = route->prefix_len;
    return tunnelcap_i_lpm_room(&r->lpm, &prefix);
}

int32_t tunnelcap_i_routes_can_unset(const tunnelcap_i_routes *r, const tunnelcap_route *route)
{
    uint32_t first = *link_of(r, route);
    members m;

    if (find_tunnel(r, first, route->tunnel) == 0)
        return TUNNELCAP_E_NOT_FOUND;
    list_members(r, first, route->tunnel, NULL, 0, &m);
    return can_have(r, value_of(r, first), &m);
}

/* Give the prefix of the list that `link` leads to its new members; the list is not empty. */
static void settle(const tunnelcap_i_routes *r, const uint32_t *link, const members *m)
{
    tunnelcap_i_route *first = &r->routes[*link - 1];
    tunnelcap_i_lpm_prefix prefix = prefix_of(first);
    uint32_t before = first->value;

    first->value = take_value(r, m);
    change_value(r, &prefix, before, first->value);
    release_value(r, before);
}

void tunnelcap_i_routes_set(const tunnelcap_i_routes *r, const tunnelcap_route *route,
                            uint32_t place)
{
    uint32_t *link = link_of(r, route);
    uint32_t value = value_of(r, *link);
    uint32_t old = find_tunnel(r, *link, route->tunnel);
    members m;

    list_members(r, *link, route->tunnel, route, place, &m);
    if (old != 0) {
        unlink_route(r, link, old - 1);
        link = link_of(r, route);
    }
    link_route(r, link, route, place);
    r->routes[*link - 1].value = value; /* that of a list of one went with it */
    settle(r, link, &m);
}

void tunnelcap_i_routes_unset(const tunnelcap_i_routes *r, const tunnelcap_route *route)
{
    uint32_t *link = link_of(r, route);
    members m;

    list_members(r, *link, route->tunnel, NULL, 0, &m);
    settle(r, link, &m);
    unlink_route(r, link, find_tunnel(r, *link, route->tunnel) - 1);
}

void tunnelcap_i_routes_drop(const tunnelcap_i_routes *r, uint32_t place)
{
    const tunnelcap_i_route *route;
    uint32_t *link;
    uint32_t index;
    members m;

    tunnelcap_i_groups_drop(r, place);
    r->penalties[place] = 0;
    while ((index = tunnelcap_i_by_place_first(&r->by_place, place)) != 0) {
        index--;
        route = &r->routes[index];
        link = prefix_link(r, route->vrf, route->family, route->len, route->prefix);
        list_members(r, *link, route->tunnel, NULL, 0, &m);
        if (m.count < 2) /* else its group goes on, without the tunnel */
            settle(r, link, &m);
        unlink_route(r, link, index);
    }
}

void tunnelcap_i_routes_penalize(const tunnelcap_i_routes *r, uint32_t place, uint32_t penalty)
{
    uint8_t steps = (uint8_t)(penalty / TUNNELCAP_I_PENALTY_STEP);

    if (r->penalties[place] == steps)
        return;
    r->penalties[place] = steps;
    tunnelcap_i_groups_refill(r, place);
}

/* ---- memory ---- */

static uint32_t power_of_two_from(uint32_t count)
{
    uint32_t power = 4;

    while (power < count)
        power *= 2;
    return power;
}

void tunnelcap_i_routes_lay_out(tunnelcap_i_layout *layout, const tunnelcap_i_routes_limits *limits,
                                tunnelcap_i_routes *r)
{
    size_t groups = (size_t)limits->groups + 1;
    uint32_t prefixes = power_of_two_from(limits->routes);
    uint32_t lists = power_of_two_from(limits->groups);

    r->limits = *limits;
    r->route_mask = prefixes - 1;
    r->group_mask = lists - 1;
    r->head = tunnelcap_i_layout_add(layout, 1, sizeof(*r->head));
    r->routes = tunnelcap_i_layout_add(layout, limits->routes, sizeof(*r->routes));
    r->by_prefix = tunnelcap_i_layout_add(layout, prefixes, sizeof(*r->by_prefix));
    tunnelcap_i_by_place_lay_out(layout, limits->routes, &r->by_place);
    r->by_place.stride = sizeof(*r->routes);
    r->penalties = tunnelcap_i_layout_add(layout, limits->places, sizeof(*r->penalties));
    r->groups = tunnelcap_i_layout_add(layout, groups, sizeof(*r->groups));
    r->by_members = tunnelcap_i_layout_add(layout, lists, sizeof(*r->by_members));
    r->members =
        tunnelcap_i_layout_add(layout, groups * TUNNELCAP_I_MEMBERS_MAX, sizeof(*r->members));
    r->members_of.stride = sizeof(*r->members);
    tunnelcap_i_by_place_lay_out(layout, 8 * limits->groups, &r->members_of);
    r->buckets = tunnelcap_i_layout_add(layout, groups, sizeof(*r->buckets) << limits->bucket_bits);
    tunnelcap_i_lpm_lay_out(layout, limits->nodes, limits->vrfs, &r->lpm);
    if (layout->base == NULL)
        return;
    r->by_place.links = (uint8_t *)r->routes + offsetof(tunnelcap_i_route, of);
    r->members_of.links = (uint8_t *)r->members + offsetof(tunnelcap_i_member, of);
}
