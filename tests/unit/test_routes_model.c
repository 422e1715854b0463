/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The routes of a view against a reference that is a plain list: random changes, every bucket. Each
 * change is done to a second view as well, which must come to the same bytes. */
#include "routes.h"
#include "support.h"

enum { ROUTES = 40, PLACES = 6, BITS = 6, REGION = 5 };

typedef struct model_route {
    tunnelcap_route route; /* its tunnel is 0 if this entry is free */
    uint32_t place;
} model_route;

typedef struct model {
    tunnelcap_i_routes views[2];
    uint8_t *mem[2];
    size_t size;
    model_route routes[ROUTES];
    uint32_t penalties[PLACES];
    uint32_t count;
} model;

static void model_open(model *m, tunnelcap_i_routes_limits limits)
{
    memset(m, 0, sizeof(*m));
    limits.key.a = 77;
    limits.key.b = 78;
    limits.region = (uint64_t)1 << REGION;
    limits.places = PLACES;
    limits.bucket_bits = BITS;
    for (uint32_t i = 0; i < 2; i++) {
        tunnelcap_i_layout layout = {NULL, 0};
        tunnelcap_i_routes_lay_out(&layout, &limits, &m->views[i]);
        m->size = layout.size;
        m->mem[i] = test_arena(m->size);
        memset(m->mem[i], 0, m->size);
        layout.base = m->mem[i];
        layout.size = 0;
        tunnelcap_i_routes_lay_out(&layout, &limits, &m->views[i]);
        ck_assert_uint_eq(layout.size, m->size);
    }
}

static void model_close(model *m)
{
    for (uint32_t i = 0; i < 2; i++)
        test_arena_free(m->mem[i]);
}

static bool counts(const model_route *r)
{
    return r->route.tunnel != 0 && (r->route.regions == 0 || (r->route.regions >> REGION & 1) != 0);
}

static bool holds(const tunnelcap_route *route, uint32_t vrf, const tunnelcap_addr *addr)
{
    if (route->vrf != vrf || route->prefix.family != addr->family)
        return false;
    for (uint32_t bit = 0; bit < route->prefix_len; bit++) {
        if ((route->prefix.bytes[bit / 8] ^ addr->bytes[bit / 8]) >> (7 - bit % 8) & 1)
            return false;
    }
    return true;
}

static model_route *find(model *m, const tunnelcap_route *route)
{
    for (uint32_t i = 0; i < ROUTES; i++) {
        const tunnelcap_route *r = &m->routes[i].route;
        if (r->tunnel == route->tunnel && r->vrf == route->vrf &&
            r->prefix_len == route->prefix_len &&
            memcmp(&r->prefix, &route->prefix, sizeof(r->prefix)) == 0)
            return &m->routes[i];
    }
    return NULL;
}

/* ---- what must be found ---- */

/* The tunnels that share the flows to an address, in order; 0 of them if there is no route. */
static uint32_t sharers_of(const model *m, uint32_t vrf, const tunnelcap_addr *addr,
                           tunnelcap_i_sharer *sharers)
{
    const model_route *best[ROUTES];
    uint64_t rank = UINT64_MAX;
    int32_t len = -1;
    uint32_t n = 0;
    for (uint32_t i = 0; i < ROUTES; i++) {
        const model_route *r = &m->routes[i];
        if (counts(r) && holds(&r->route, vrf, addr) && r->route.prefix_len > len)
            len = r->route.prefix_len;
    }
    for (uint32_t i = 0; i < ROUTES; i++) {
        const model_route *r = &m->routes[i];
        uint64_t own = (uint64_t)r->route.priority + m->penalties[r->place];
        own = own > UINT32_MAX ? UINT32_MAX : own;
        if (!counts(r) || !holds(&r->route, vrf, addr) || r->route.prefix_len != len || own > rank)
            continue;
        n = own < rank ? 0 : n;
        rank = own;
        uint32_t at = n++; /* by priority, then by tunnel */
        for (; at > 0 && (best[at - 1]->route.priority > r->route.priority ||
                          (best[at - 1]->route.priority == r->route.priority &&
                           best[at - 1]->route.tunnel > r->route.tunnel));
             at--)
            best[at] = best[at - 1];
        best[at] = r;
    }
    for (uint32_t i = 0; i < n; i++)
        sharers[i] =
            (tunnelcap_i_sharer){best[i]->route.tunnel, best[i]->place, best[i]->route.weight};
    return n;
}

static bool leads_to(const model *m, uint32_t vrf, const tunnelcap_addr *addr, uint32_t place,
                     bool here)
{
    int32_t len = -1;
    for (uint32_t i = 0; i < ROUTES; i++) {
        const model_route *r = &m->routes[i];
        if (r->route.tunnel != 0 && (counts(r) || !here) && holds(&r->route, vrf, addr) &&
            r->route.prefix_len > len)
            len = r->route.prefix_len;
    }
    for (uint32_t i = 0; i < ROUTES; i++) {
        const model_route *r = &m->routes[i];
        if (r->route.tunnel != 0 && (counts(r) || !here) && holds(&r->route, vrf, addr) &&
            r->route.prefix_len == len && r->place == place)
            return true;
    }
    return false;
}

static void check_address(const model *m, uint32_t vrf, const tunnelcap_addr *addr)
{
    const tunnelcap_i_routes *r = &m->views[0];
    tunnelcap_i_sharer sharers[ROUTES];
    uint32_t buckets[1 << BITS];
    tunnelcap_i_lpm_query query;
    uint32_t n = sharers_of(m, vrf, addr, sharers);
    tunnelcap_i_lpm_aim(&r->lpm, vrf, addr->family, addr->bytes, &query);
    tunnelcap_i_lpm_find(&r->lpm, &query, 1);
    const tunnelcap_i_route *slow = tunnelcap_i_routes_longest(r, vrf, addr->family, addr->bytes);
    ck_assert_uint_eq(query.value, slow == NULL ? 0 : slow->value);
    for (uint32_t place = 0; place < PLACES; place++)
        ck_assert_uint_eq(tunnelcap_i_routes_lead_to(r, vrf, addr->family, addr->bytes, place) != 0,
                          leads_to(m, vrf, addr, place, true) ||
                              leads_to(m, vrf, addr, place, false));
    ck_assert_uint_eq(query.value != 0, n != 0);
    if (n == 0)
        return;
    if (r->limits.rendezvous)
        tunnelcap_i_share_by_rendezvous(buckets, 1 << BITS, sharers, n, r->limits.key);
    else
        tunnelcap_i_share_in_a_row(buckets, 1 << BITS, sharers, n);
    for (uint32_t i = 0; i < 1 << BITS; i++)
        ck_assert_uint_eq(
            tunnelcap_i_routes_place(r, query.value, (uint64_t)i << (64 - BITS) | 12345),
            buckets[i]);
}

/* ---- drawing ---- */

static tunnelcap_addr random_addr(test_random *random)
{
    tunnelcap_addr addr = test_addr(test_below(random, 2) ? "10.0.0.0" : "fd00::");
    addr.bytes[1] = (uint8_t)(test_below(random, 2) << 7);
    addr.bytes[3] = (uint8_t)test_below(random, 2);
    return addr;
}

static tunnelcap_route random_route(test_random *random)
{
    static const uint8_t lens[] = {0, 8, 9, 32};
    uint32_t place = test_below(random, PLACES);
    tunnelcap_route route = test_route("0.0.0.0/0", 100 - place);
    route.prefix = random_addr(random);
    route.prefix_len = lens[test_below(random, sizeof(lens))];
    for (uint32_t bit = route.prefix_len; bit < 128; bit++)
        route.prefix.bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
    route.vrf = test_below(random, 2) * 9;
    route.priority = test_below(random, 4) == 0 ? UINT32_MAX : 500000 * test_below(random, 2);
    route.weight = (uint16_t)(1 + test_below(random, 2) * 255);
    route.regions = test_below(random, 3) != 0 ? 0 : 1u << (REGION + test_below(random, 2));
    return route;
}

static uint32_t place_of(const tunnelcap_route *route)
{
    return (uint32_t)(100 - route->tunnel);
}

static uint32_t set(model *m, const tunnelcap_route *route)
{
    model_route *known = find(m, route);
    uint32_t place = place_of(route);
    int32_t status = tunnelcap_i_routes_can_set(&m->views[0], route, place);
    if (status != TUNNELCAP_OK) {
        ck_assert_status(status, TUNNELCAP_E_FULL);
        return 1;
    }
    if (known == NULL) {
        for (known = m->routes; known->route.tunnel != 0;)
            known++;
        m->count++;
    }
    known->route = *route;
    known->place = place;
    for (uint32_t i = 0; i < 2; i++)
        tunnelcap_i_routes_set(&m->views[i], route, place);
    return 0;
}

static uint32_t unset(model *m, const tunnelcap_route *route)
{
    model_route *known = find(m, route);
    int32_t status = tunnelcap_i_routes_can_unset(&m->views[0], route);
    if (known == NULL) {
        ck_assert_status(status, TUNNELCAP_E_NOT_FOUND);
        return 0;
    }
    if (status != TUNNELCAP_OK) {
        ck_assert_status(status, TUNNELCAP_E_FULL);
        return 1;
    }
    known->route.tunnel = 0;
    m->count--;
    for (uint32_t i = 0; i < 2; i++)
        tunnelcap_i_routes_unset(&m->views[i], route);
    return 0;
}

static void drop(model *m, uint32_t place)
{
    m->penalties[place] = 0;
    for (uint32_t i = 0; i < ROUTES; i++) {
        if (m->routes[i].route.tunnel != 0 && m->routes[i].place == place) {
            m->routes[i].route.tunnel = 0;
            m->count--;
        }
    }
    for (uint32_t i = 0; i < 2; i++)
        tunnelcap_i_routes_drop(&m->views[i], place);
}

static uint32_t change(model *m, test_random *random)
{
    tunnelcap_route route = random_route(random);
    uint32_t place = test_below(random, PLACES);
    uint32_t penalty = 500000 * test_below(random, 3);
    uint32_t what = test_below(random, 40);
    if (what == 0) {
        drop(m, place);
        return 0;
    }
    if (what < 5) {
        m->penalties[place] = penalty;
        for (uint32_t i = 0; i < 2; i++)
            tunnelcap_i_routes_penalize(&m->views[i], place, penalty);
        return 0;
    }
    return what < 18 ? unset(m, &route) : set(m, &route);
}

static uint32_t run(tunnelcap_i_routes_limits limits, uint32_t rounds, uint64_t seed)
{
    test_random random = {seed};
    uint32_t refused = 0;
    model m;
    model_open(&m, limits);
    for (uint32_t i = 0; i < rounds; i++) {
        refused += change(&m, &random);
        ck_assert_mem_eq(m.mem[0], m.mem[1], m.size);
        ck_assert_uint_eq(m.views[0].head->count, m.count);
        ck_assert_uint_le(m.views[0].head->groups, limits.groups);
        for (uint32_t look = 0; look < 4; look++) {
            tunnelcap_addr addr = random_addr(&random);
            check_address(&m, test_below(&random, 2) * 9, &addr);
        }
    }
    for (uint32_t place = 0; place < PLACES; place++) {
        drop(&m, place);
        tunnelcap_addr addr = random_addr(&random);
        check_address(&m, 0, &addr);
    }
    ck_assert_uint_eq(m.views[0].head->count, 0);
    ck_assert_uint_eq(m.views[0].head->elsewhere, 0);
    ck_assert_uint_eq(m.views[0].head->groups, 0);
    ck_assert_uint_eq(m.views[0].lpm.head->used, 0);
    ck_assert_uint_eq(m.views[0].lpm.head->roots, 0);
    ck_assert(tunnelcap_i_is_zero(m.views[0].head->lengths, sizeof(m.views[0].head->lengths)));
    ck_assert(tunnelcap_i_is_zero(m.views[0].head->used, sizeof(m.views[0].head->used)));
    model_close(&m);
    return refused;
}

START_TEST(routes_are_as_in_a_list)
{
    tunnelcap_i_routes_limits limits = {.routes = ROUTES, .vrfs = 1, .nodes = 80, .groups = 40};
    for (limits.rendezvous = 0; limits.rendezvous <= 1; limits.rendezvous++)
        run(limits, 3000, 1 + limits.rendezvous);
}
END_TEST

START_TEST(too_little_room_refuses_and_removing_a_tunnel_never_fails)
{
    tunnelcap_i_routes_limits limits = {.routes = ROUTES, .vrfs = 1, .nodes = 80, .groups = 40};
    limits.groups = 2;
    ck_assert_uint_gt(run(limits, 2000, 3), 50);
    limits.groups = 0;
    ck_assert_uint_gt(run(limits, 1000, 4), 50);
    limits.groups = 40;
    limits.nodes = 4;
    ck_assert_uint_gt(run(limits, 2000, 5), 50);
    limits.nodes = 80;
    limits.vrfs = 0;
    ck_assert_uint_gt(run(limits, 1000, 6), 50);
    limits.vrfs = 1;
    limits.routes = 4;
    ck_assert_uint_gt(run(limits, 1000, 7), 50);
}
END_TEST

Suite *test_routes_model_suite(void)
{
    const TTest *tests[] = {
        routes_are_as_in_a_list,
        too_little_room_refuses_and_removing_a_tunnel_never_fails,
    };
    return test_suite("routes_model", tests, TEST_COUNT(tests));
}
