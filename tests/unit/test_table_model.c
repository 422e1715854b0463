/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The table against a reference that is a plain list: random changes, random look-ups. */
#include "support.h"

#include <stdio.h>

static test_frame frame;

enum { TUNNELS = 6, IDS = 9, ROUTES = 12, REMOTES = 7, FLOWS = 2048 };

typedef struct model_tunnel {
    uint64_t id; /* 0: this entry is free */
    uint32_t remote;
    bool udp;
    bool is_new; /* made in the change under way */
    uint64_t sent;
} model_tunnel;

typedef struct model_route {
    tunnelcap_route route; /* its tunnel is 0 if this entry is free */
} model_route;

typedef struct model {
    model_tunnel tunnels[TUNNELS];
    model_route routes[ROUTES];
} model;

static model_tunnel *find_tunnel(model *m, uint64_t id)
{
    for (uint32_t i = 0; i < TUNNELS; i++) {
        if (m->tunnels[i].id == id)
            return &m->tunnels[i];
    }
    return NULL;
}

static model_route *find_route(model *m, const tunnelcap_route *route)
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

static model_route *free_route(model *m)
{
    for (uint32_t i = 0; i < ROUTES; i++) {
        if (m->routes[i].route.tunnel == 0)
            return &m->routes[i];
    }
    return NULL;
}

static int32_t model_set(model *m, uint64_t id, uint32_t remote, bool udp)
{
    model_tunnel *t = find_tunnel(m, id);
    if (t == NULL)
        t = find_tunnel(m, 0);
    if (t == NULL)
        return TUNNELCAP_E_FULL;
    for (uint32_t i = 0; i < TUNNELS; i++) {
        const model_tunnel *other = &m->tunnels[i];
        if (other->id != 0 && other->id != id && other->remote == remote && other->udp == udp)
            return TUNNELCAP_E_EXISTS;
    }
    if (t->id == 0) {
        t->is_new = true;
        t->sent = 0;
    }
    t->id = id;
    t->remote = remote;
    t->udp = udp;
    return TUNNELCAP_OK;
}

static int32_t model_remove(model *m, uint64_t id)
{
    model_tunnel *t = find_tunnel(m, id);
    if (t == NULL)
        return TUNNELCAP_E_NOT_FOUND;
    t->id = 0;
    for (uint32_t i = 0; i < ROUTES; i++) {
        if (m->routes[i].route.tunnel == id)
            m->routes[i].route.tunnel = 0;
    }
    return TUNNELCAP_OK;
}

static int32_t model_set_route(model *m, const tunnelcap_route *route)
{
    if (find_tunnel(m, route->tunnel) == NULL)
        return TUNNELCAP_E_NOT_FOUND;
    model_route *r = find_route(m, route);
    if (r == NULL)
        r = free_route(m);
    if (r == NULL)
        return TUNNELCAP_E_FULL;
    r->route = *route;
    return TUNNELCAP_OK;
}

static int32_t model_remove_route(model *m, const tunnelcap_route *route)
{
    model_route *r = find_tunnel(m, route->tunnel) == NULL ? NULL : find_route(m, route);
    if (r == NULL)
        return TUNNELCAP_E_NOT_FOUND;
    r->route.tunnel = 0;
    return TUNNELCAP_OK;
}

static bool matches(const tunnelcap_route *route, const tunnelcap_addr *addr)
{
    if (route->tunnel == 0 || route->prefix.family != addr->family)
        return false;
    for (uint32_t bit = 0; bit < route->prefix_len; bit++) {
        if ((route->prefix.bytes[bit / 8] ^ addr->bytes[bit / 8]) >> (7 - bit % 8) & 1)
            return false;
    }
    return true;
}

/* The best length and priority for an address; -1 without a route. */
static int32_t best_length(const model *m, const tunnelcap_addr *addr, uint32_t *priority)
{
    int32_t best = -1;
    for (uint32_t i = 0; i < ROUTES; i++) {
        const tunnelcap_route *r = &m->routes[i].route;
        if (!matches(r, addr) || r->prefix_len < best)
            continue;
        if (r->prefix_len > best || r->priority < *priority)
            *priority = r->priority;
        best = r->prefix_len;
    }
    return best;
}

/* Whether a tunnel may carry packets to an address. */
static bool may_carry(const model *m, const tunnelcap_addr *addr, uint64_t tunnel)
{
    uint32_t priority = 0;
    int32_t best = best_length(m, addr, &priority);
    for (uint32_t i = 0; i < ROUTES; i++) {
        const tunnelcap_route *r = &m->routes[i].route;
        if (matches(r, addr) && r->prefix_len == best && r->priority == priority &&
            r->tunnel == tunnel)
            return true;
    }
    return false;
}

static tunnelcap_addr random_addr(test_random *random)
{
    tunnelcap_addr addr = test_addr(test_below(random, 2) ? "10.0.0.0" : "fd00::");
    /* Few distinct bits, so that prefixes nest. */
    addr.bytes[1] = (uint8_t)(test_below(random, 4) << 6);
    addr.bytes[2] = (uint8_t)(test_below(random, 2) << 7);
    addr.bytes[3] = (uint8_t)test_below(random, 3);
    return addr;
}

static tunnelcap_route random_route(test_random *random)
{
    static const uint8_t lens[] = {0, 7, 8, 9, 10, 16, 17, 30, 31, 32};
    tunnelcap_route route = test_route("0.0.0.0/0", 1 + test_below(random, IDS));
    route.prefix = random_addr(random);
    route.prefix_len = lens[test_below(random, sizeof(lens))];
    for (uint32_t bit = route.prefix_len; bit < 128; bit++)
        route.prefix.bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
    route.priority = test_below(random, 3);
    return route;
}

/* One random operation on table and model alike; both must agree on its status. */
static void change(tunnelcap_table *table, model *m, test_random *random)
{
    char remote[32];
    uint64_t id = 1 + test_below(random, IDS);
    uint32_t n = test_below(random, REMOTES);
    bool udp = test_below(random, 2);
    tunnelcap_route route = random_route(random);
    snprintf(remote, sizeof(remote), "198.51.100.%u", (unsigned)n + 1);
    tunnelcap_gre_config gre = test_gre_config("192.0.2.1", remote, udp ? TUNNELCAP_GRE_UDP : 0);
    switch (test_below(random, 6)) {
    case 0:
    case 1:
        ck_assert_status(tunnelcap_table_set_gre(table, id, NULL, &gre), model_set(m, id, n, udp));
        break;
    case 2:
        ck_assert_status(tunnelcap_table_remove(table, id), model_remove(m, id));
        break;
    case 3:
        ck_assert_status(tunnelcap_table_remove_route(table, &route),
                         model_remove_route(m, &route));
        break;
    default:
        ck_assert_status(tunnelcap_table_set_route(table, &route), model_set_route(m, &route));
    }
}

static void check_encap(tunnelcap_lane *lane, model *m, test_random *random)
{
    test_ip ip = {.dst = random_addr(random), .ttl = 9};
    uint32_t priority;
    ip.src = test_addr(ip.dst.family == TUNNELCAP_IPV4 ? "203.0.113.1" : "2001:db8::1");
    ip.src.bytes[3] = (uint8_t)test_next(random);
    test_udp_packet(&frame, &ip, 5);
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 32);
    tunnelcap_result result;
    int32_t status = test_table_one(lane, TUNNELCAP_ENCAP, &pkt, NULL, &result);
    if (best_length(m, &ip.dst, &priority) < 0) {
        ck_assert_status(status, TUNNELCAP_E_NO_ROUTE);
    } else {
        test_ok(status);
        ck_assert(may_carry(m, &ip.dst, result.tunnel));
        model_tunnel *t = find_tunnel(m, result.tunnel);
        test_view view = test_dissect(pkt.buf + pkt.off, pkt.len);
        ck_assert_uint_eq(view.ip.dst.bytes[3], t->remote + 1);
        ck_assert_uint_eq(view.udp, t->udp);
        t->sent++;
    }
    test_pkt_free(&pkt);
}

static void check_decap(tunnelcap_lane *lane, model *m, test_random *random)
{
    test_ip inner = test_between("10.9.0.1", "203.0.113.1");
    test_ip outer = test_between("198.51.100.1", "192.0.2.1");
    test_gre gre = {.protocol = 0x0800};
    uint32_t remote = test_below(random, REMOTES);
    bool udp = test_below(random, 2);
    outer.src.bytes[3] = (uint8_t)(remote + 1);
    test_udp_packet(&frame, &inner, 5);
    test_push_gre(&frame, &gre);
    if (udp)
        test_push_udp(&frame, &outer, 50000, 4754);
    test_push_ip(&frame, &outer, udp ? 17 : 47);
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 0);
    tunnelcap_result result;
    int32_t status = test_table_one(lane, TUNNELCAP_DECAP, &pkt, NULL, &result);
    uint64_t want = 0;
    for (uint32_t i = 0; i < TUNNELS; i++) {
        if (m->tunnels[i].id != 0 && m->tunnels[i].remote == remote && m->tunnels[i].udp == udp)
            want = m->tunnels[i].id;
    }
    ck_assert_status(status, want != 0 ? TUNNELCAP_OK : TUNNELCAP_E_NO_TUNNEL);
    ck_assert_uint_eq(result.tunnel, want);
    test_pkt_free(&pkt);
}

/* The list of tunnels and what was sent by each must be the model's. */
static void check_lists(const tunnelcap_table *table, model *m)
{
    uint32_t listed = 0, modelled = 0;
    uint64_t id;
    while (tunnelcap_table_tunnel_at(table, listed, &id) == TUNNELCAP_OK) {
        model_tunnel *t = find_tunnel(m, id);
        tunnelcap_stats stats;
        ck_assert_ptr_nonnull(t);
        test_ok(tunnelcap_table_get_stats(table, id, &stats, sizeof(stats)));
        ck_assert_uint_eq(stats.encap.packets, t->sent);
        listed++;
    }
    for (uint32_t i = 0; i < TUNNELS; i++)
        modelled += m->tunnels[i].id != 0;
    ck_assert_uint_eq(listed, modelled);
}

START_TEST(table_agrees_with_the_model_through_random_changes)
{
    test_random random = {7};
    static model committed, changing;
    memset(&committed, 0, sizeof(committed));
    tunnelcap_table *table = test_table_new(TUNNELS, ROUTES, 1);
    tunnelcap_lane *lane = test_table_lane(table);
    for (uint32_t round = 0; round < 1000; round++) {
        changing = committed;
        test_ok(tunnelcap_table_begin(table));
        uint32_t operations = test_below(&random, 12);
        for (uint32_t i = 0; i < operations; i++)
            change(table, &changing, &random);
        check_encap(lane, &committed, &random); /* nothing is visible yet */
        check_decap(lane, &committed, &random);
        if (test_below(&random, 4) == 0) {
            tunnelcap_table_abort(table);
        } else {
            test_ok(tunnelcap_table_commit(table, NULL));
            for (uint32_t i = 0; i < TUNNELS; i++) {
                model_tunnel *t = &changing.tunnels[i];
                if (t->id != 0 && !t->is_new) /* what was sent meanwhile still counts */
                    t->sent = find_tunnel(&committed, t->id)->sent;
                t->is_new = false;
            }
            committed = changing;
        }
        for (uint32_t i = 0; i < 6; i++) {
            check_encap(lane, &committed, &random);
            check_decap(lane, &committed, &random);
        }
        check_lists(table, &committed);
    }
    test_table_end(table, lane);
}
END_TEST

/* ---- longest prefix ---- */

START_TEST(longest_prefix_agrees_with_brute_force)
{
    enum { MANY = 300 };
    static tunnelcap_route routes[MANY];
    test_random random = {8};
    tunnelcap_table *table = test_table_new(MANY, MANY, 1);
    tunnelcap_lane *lane = test_table_lane(table);
    test_ok(tunnelcap_table_begin(table));
    for (uint32_t i = 0; i < MANY; i++) {
        char remote[32];
        snprintf(remote, sizeof(remote), "198.51.%u.%u", (unsigned)(i / 250),
                 (unsigned)(i % 250 + 1));
        tunnelcap_gre_config gre = test_gre_config("192.0.2.1", remote, 0);
        test_ok(tunnelcap_table_set_gre(table, i + 1, NULL, &gre));
        routes[i] = random_route(&random);
        bool six = routes[i].prefix.family == TUNNELCAP_IPV6;
        routes[i].prefix_len = (uint8_t)test_below(&random, six ? 129 : 33);
        for (uint32_t at = 1; at < (six ? 16u : 4u); at++)
            routes[i].prefix.bytes[at] = (uint8_t)(test_next(&random) & 0x41);
        for (uint32_t bit = routes[i].prefix_len; bit < 128; bit++)
            routes[i].prefix.bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
        routes[i].priority = 0;
        routes[i].tunnel = i + 1;
        test_ok(tunnelcap_table_set_route(table, &routes[i]));
    }
    test_ok(tunnelcap_table_commit(table, NULL));
    uint32_t found = 0;
    for (uint32_t round = 0; round < 2000; round++) {
        tunnelcap_addr addr = random_addr(&random);
        for (uint32_t at = 1; at < (addr.family == TUNNELCAP_IPV6 ? 16u : 4u); at++)
            addr.bytes[at] = (uint8_t)(test_next(&random) & 0x41);
        int32_t best = -1;
        for (uint32_t i = 0; i < MANY; i++) {
            if (matches(&routes[i], &addr) && routes[i].prefix_len > best)
                best = routes[i].prefix_len;
        }
        test_ip ip = {.dst = addr, .ttl = 9};
        ip.src = test_addr(addr.family == TUNNELCAP_IPV4 ? "203.0.113.1" : "2001:db8::1");
        test_udp_packet(&frame, &ip, 5);
        tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 24);
        tunnelcap_result result;
        int32_t status = test_table_one(lane, TUNNELCAP_ENCAP, &pkt, NULL, &result);
        test_pkt_free(&pkt);
        ck_assert_status(status, best < 0 ? TUNNELCAP_E_NO_ROUTE : TUNNELCAP_OK);
        if (best < 0)
            continue;
        const tunnelcap_route *chosen = &routes[result.tunnel - 1];
        ck_assert(matches(chosen, &addr));
        ck_assert_int_eq(chosen->prefix_len, best);
        found++;
    }
    ck_assert_uint_gt(found, 400);
    test_table_end(table, lane);
}
END_TEST

/* ---- shares ---- */

/* Send FLOWS flows and count who takes them; each flow must always go the same way. */
static void share(tunnelcap_lane *lane, uint32_t *taken, uint8_t *way)
{
    for (uint32_t flow = 0; flow < FLOWS; flow++) {
        test_ip ip = test_between("203.0.113.1", "10.0.0.9");
        test_payload(&frame, 4);
        test_push_udp(&frame, &ip, (uint16_t)(1024 + flow), 53);
        test_push_ip(&frame, &ip, 17);
        for (uint32_t again = 0; again < 2; again++) {
            tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 24);
            tunnelcap_result result;
            test_ok(test_table_one(lane, TUNNELCAP_ENCAP, &pkt, NULL, &result));
            test_pkt_free(&pkt);
            if (again == 0)
                way[flow] = (uint8_t)result.tunnel;
            ck_assert_uint_eq(result.tunnel, way[flow]);
        }
        taken[way[flow]]++;
    }
}

static tunnelcap_table *table_with_weights(const uint16_t *weights, uint32_t count, bool backwards)
{
    tunnelcap_table *table = test_table_new(8, 8, 1);
    test_ok(tunnelcap_table_begin(table));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t n = backwards ? count - 1 - i : i;
        char remote[32];
        snprintf(remote, sizeof(remote), "198.51.100.%u", (unsigned)n + 1);
        tunnelcap_gre_config gre = test_gre_config("192.0.2.1", remote, 0);
        tunnelcap_route route = test_route("10.0.0.0/8", n + 1);
        route.weight = weights[n];
        test_ok(tunnelcap_table_set_gre(table, n + 1, NULL, &gre));
        test_ok(tunnelcap_table_set_route(table, &route));
    }
    tunnelcap_gre_config gre = test_gre_config("192.0.2.1", "198.51.100.99", 0);
    tunnelcap_route worse = test_route("10.0.0.0/8", 99);
    worse.priority = 101;
    worse.weight = 256;
    test_ok(tunnelcap_table_set_gre(table, 99, NULL, &gre));
    test_ok(tunnelcap_table_set_route(table, &worse));
    test_ok(tunnelcap_table_commit(table, NULL));
    return table;
}

START_TEST(equal_priorities_share_the_flows_by_weight)
{
    static const uint16_t weights[][4] = {
        {1, 1, 1, 1}, {1, 2, 3, 4}, {256, 1, 1, 256}, {5, 5, 0, 0}};
    static const uint32_t counts[] = {4, 4, 4, 2};
    for (size_t row = 0; row < TEST_COUNT(counts); row++) {
        tunnelcap_table *table = table_with_weights(weights[row], counts[row], false);
        tunnelcap_lane *lane = test_table_lane(table);
        uint32_t taken[256] = {0}, sum = 0;
        static uint8_t way[FLOWS];
        share(lane, taken, way);
        for (uint32_t i = 0; i < counts[row]; i++)
            sum += weights[row][i];
        for (uint32_t i = 0; i < counts[row]; i++) {
            double expect = (double)FLOWS * weights[row][i] / sum;
            double off = taken[i + 1] - expect;
            /* Six standard deviations of a fair draw, and some for the small ones. */
            ck_assert_msg(off * off <= 36 * expect + 36,
                          "tunnel %u of row %u took %u flows, not %g", (unsigned)i + 1,
                          (unsigned)row, (unsigned)taken[i + 1], expect);
        }
        ck_assert_uint_eq(taken[99], 0);
        test_table_end(table, lane);
    }
}
END_TEST

START_TEST(servers_with_one_seed_choose_alike_whatever_the_order)
{
    static const uint16_t weights[] = {3, 1, 2};
    static uint8_t way[2][FLOWS];
    for (unsigned server = 0; server <= 1; server++) {
        tunnelcap_table *table = table_with_weights(weights, 3, server);
        tunnelcap_lane *lane = test_table_lane(table);
        uint32_t taken[256] = {0};
        share(lane, taken, way[server]);
        test_table_end(table, lane);
    }
    ck_assert_mem_eq(way[0], way[1], FLOWS);
}
END_TEST

Suite *test_table_model_suite(void)
{
    const TTest *tests[] = {
        table_agrees_with_the_model_through_random_changes,
        longest_prefix_agrees_with_brute_force,
        equal_priorities_share_the_flows_by_weight,
        servers_with_one_seed_choose_alike_whatever_the_order,
    };
    return test_suite("table_model", tests, TEST_COUNT(tests));
}
