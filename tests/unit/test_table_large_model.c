/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The table against a reference that knows only arithmetic: packets of any size, policies and path
 * MTUs that change, room that is short; every result and every counter. */
#include "table_world.h"

#include <stdio.h>

enum { TUNNELS = 3, ROUNDS = 6000, FLOOR = 576, LINK = 1500 };

static const struct {
    uint32_t overhead;
    uint8_t protocol;
    uint8_t quote[8];
} kinds[TUNNELS + 1] = {
    {0, 0, {0}},
    {24, 47, {0, 0, 8, 0}},
    {32, 17, {0xc3, 0x50, 0x12, 0x92}}, /* 50000 to 4754 */
    {20, 4, {0x45}},
};

typedef struct model {
    tunnelcap_tunnel policy;
    uint32_t path;
    tunnelcap_counters encap;
    tunnelcap_counters decap;
} model;

static model models[TUNNELS + 1];
static tunnelcap_counters stray; /* of packets that belong to no tunnel */
static tunnelcap_table *table;
static tunnelcap_lane *lane;
static world_call call;

static uint32_t inner_mtu(uint32_t id)
{
    uint32_t fits = models[id].path - kinds[id].overhead;
    uint32_t most = models[id].policy.mtu;
    return most != 0 && most < fits ? most : fits;
}

static uint32_t pieces_of(uint32_t len, uint32_t mtu)
{
    uint32_t step = (mtu - 20) / 8 * 8;
    return (len - 20 + step - 1) / step;
}

static void set(uint32_t id, test_random *random)
{
    static const uint32_t mtus[] = {0, 0, 600, 1000};
    tunnelcap_tunnel *t = &models[id].policy;
    char remote[32], prefix[32];
    test_ok(tunnelcap_tunnel_init(t, sizeof(*t)));
    t->mtu = mtus[test_below(random, TEST_COUNT(mtus))];
    t->fragment_mode = (uint8_t)test_below(random, 3);
    t->icmp_rate = 0;
    if (test_below(random, 2) && t->fragment_mode != TUNNELCAP_FRAGMENT_REFUSE)
        t->flags |= TUNNELCAP_TUNNEL_CLEAR_DF;
    if (test_below(random, 4) == 0)
        t->flags &= ~(uint32_t)TUNNELCAP_TUNNEL_ICMP;
    if (test_below(random, 4))
        t->interface4 = test_addr("10.255.0.1");
    if (test_below(random, 4))
        t->interface6 = test_addr("fd00:ff::1");
    snprintf(remote, sizeof(remote), "198.51.100.%u", (unsigned)id);
    snprintf(prefix, sizeof(prefix), "10.%u.0.0/16", (unsigned)id);
    tunnelcap_gre_config gre =
        test_gre_config("192.0.2.1", remote, id == 2 ? TUNNELCAP_GRE_UDP : 0);
    tunnelcap_ipip_config ipip = test_ipip_config("192.0.2.1", remote, 0);
    tunnelcap_route route = test_route(prefix, id);
    test_ok(tunnelcap_table_begin(table));
    test_ok(id == 3 ? tunnelcap_table_set_ipip(table, id, t, &ipip)
                    : tunnelcap_table_set_gre(table, id, t, &gre));
    test_ok(tunnelcap_table_set_route(table, &route));
    snprintf(prefix, sizeof(prefix), "fd00:%u::/32", (unsigned)id);
    route = test_route(prefix, id);
    test_ok(tunnelcap_table_set_route(table, &route));
    test_ok(tunnelcap_table_commit(table, NULL));
}

/* What must become of an inner packet. */
typedef struct fate {
    int32_t status;
    uint8_t action;
    uint32_t value;
    uint32_t pieces;
    uint32_t piece_max; /* no piece is larger, outside */
} fate;

static fate too_big(uint32_t id, bool six, uint32_t mtu)
{
    const tunnelcap_tunnel *t = &models[id].policy;
    bool has_address = six ? t->interface6.family != 0 : t->interface4.family != 0;
    fate f = {TUNNELCAP_E_TOO_BIG, TUNNELCAP_DO_DROP, mtu, 0, 0};
    if ((t->flags & TUNNELCAP_TUNNEL_ICMP) && has_address)
        f.action = TUNNELCAP_DO_REPLY;
    return f;
}

static fate foresee(uint32_t id, bool six, uint32_t total, bool df)
{
    const model *m = &models[id];
    uint32_t mtu = inner_mtu(id);
    fate f = {TUNNELCAP_OK, TUNNELCAP_DO_SEND, 0, 0, 0};
    bool outside = six || m->policy.fragment_mode == TUNNELCAP_FRAGMENT_OUTER;
    if (total <= mtu)
        return f;
    if (six && total > 1280)
        return too_big(id, six, mtu < 1280 ? 1280 : mtu);
    if (!six && (m->policy.fragment_mode == TUNNELCAP_FRAGMENT_REFUSE ||
                 (df && !(m->policy.flags & TUNNELCAP_TUNNEL_CLEAR_DF))))
        return too_big(id, six, mtu);
    if (outside && total + kinds[id].overhead <= m->path)
        return f; /* only the tunnel's own MTU is exceeded */
    f.pieces = outside ? pieces_of(total + kinds[id].overhead, m->path) : pieces_of(total, mtu);
    f.piece_max = outside ? m->path : mtu + kinds[id].overhead;
    f.action = TUNNELCAP_DO_KEPT;
    if (f.pieces > call.burst.spare_count || f.pieces + 1 > call.burst.result_cap) {
        f.status = TUNNELCAP_E_FULL;
        f.action = TUNNELCAP_DO_DROP;
        f.pieces = 0;
    }
    return f;
}

static void encap(test_random *random)
{
    uint32_t id = 1 + test_below(random, TUNNELS);
    bool six = test_below(random, 3) == 0, df = test_below(random, 2);
    uint32_t total = (six ? 48 : 28) + test_below(random, test_below(random, 2) ? 4000 : 1600);
    char dst[32];
    snprintf(dst, sizeof(dst), six ? "fd00:%u::9" : "10.%u.0.9", (unsigned)id);
    test_ip ip = six ? test_between("2001:db8::9", dst) : test_between("203.0.113.9", dst);
    ip.frag = df ? 0x4000 : 0;
    test_udp_packet(&world_frame, &ip, total - (six ? 48 : 28));
    tunnelcap_pkt pkt = test_pkt(world_frame.bytes, world_frame.len, 60);
    world_call_open(&call, test_below(random, 9), 40, 1500);
    if (test_below(random, 4) == 0)
        call.burst.result_cap = 1 + test_below(random, 6);
    fate f = foresee(id, six, total, df);
    test_ok(world_call_run(&call, lane, TUNNELCAP_ENCAP, &pkt, 1));
    const tunnelcap_result *r = &call.results[0];
    tunnelcap_counters *c = &models[id].encap;
    ck_assert_uint_eq(call.burst.pkt_done, 1);
    ck_assert_status(r->status, f.status);
    ck_assert_uint_eq(r->action, f.action);
    ck_assert_uint_eq(r->value, f.value);
    ck_assert_uint_eq(r->tunnel, id);
    ck_assert_uint_eq(call.burst.spare_used, f.pieces);
    c->packets += f.pieces + (f.action == TUNNELCAP_DO_SEND);
    c->kept += f.action == TUNNELCAP_DO_KEPT;
    c->fragments += f.pieces;
    c->replied += f.action == TUNNELCAP_DO_REPLY;
    c->icmp_sent += f.action == TUNNELCAP_DO_REPLY;
    c->refused += f.action == TUNNELCAP_DO_DROP;
    for (uint32_t i = 0; i < call.burst.result_count; i++) {
        if (call.results[i].action != TUNNELCAP_DO_SEND)
            continue;
        const tunnelcap_pkt *sent = world_call_pkt(&call, i);
        const uint8_t *outer = sent->buf + sent->off;
        c->outer_bytes += sent->len;
        ck_assert_uint_le(sent->len, i == 0 ? models[id].path : f.piece_max);
        ck_assert_uint_eq(test_sum(0, outer, 20), 0xffff);
        ck_assert_uint_eq(test_load16(outer + 2), sent->len);
    }
    world_call_close(&call);
    test_pkt_free(&pkt);
}

/* A router says that a packet of `total` bytes does not fit. */
static void hear(test_random *random)
{
    uint32_t id = 1 + test_below(random, TUNNELS), total = 300 + test_below(random, 1300);
    uint32_t mtu = 68 + test_below(random, 1500);
    bool ours = test_below(random, 8);
    model *m = &models[id];
    char remote[32];
    snprintf(remote, sizeof(remote), "198.51.100.%u", (unsigned)(ours ? id : id + 7));
    test_ip outer = test_between("192.0.2.1", remote);
    test_ip router = test_between("198.18.0.1", "192.0.2.1");
    world_frame.len = 0;
    test_push(&world_frame, kinds[id].quote, 8);
    if (kinds[id].protocol == UDP)
        test_store16(world_frame.bytes + 4, total - 20);
    test_push_ip(&world_frame, &outer, kinds[id].protocol);
    test_store16(world_frame.bytes + 2, total);
    test_push_icmp(&world_frame, &router, 3, 4);
    test_store16(world_frame.bytes + 6, mtu);
    test_store16(world_frame.bytes + 2, 0);
    test_store16(world_frame.bytes + 2, (uint16_t)~test_sum(0, world_frame.bytes, world_frame.len));
    test_push_ip(&world_frame, &router, 1);
    tunnelcap_pkt pkt = test_pkt(world_frame.bytes, world_frame.len, 32);
    tunnelcap_result result;
    bool plausible = ours && mtu < total && mtu <= m->path;
    ck_assert_status(test_table_one(lane, TUNNELCAP_DECAP, &pkt, NULL, &result),
                     plausible ? TUNNELCAP_OK : TUNNELCAP_E_ICMP);
    ck_assert_uint_eq(result.action, plausible ? TUNNELCAP_DO_LOCAL : TUNNELCAP_DO_DROP);
    ck_assert_uint_eq(result.tunnel, plausible ? id : 0);
    test_pkt_free(&pkt);
    if (!plausible) {
        stray.refused++;
        return;
    }
    m->decap.local++;
    m->decap.icmp_received++;
    uint32_t before = m->path, now = mtu < FLOOR ? FLOOR : mtu;
    if (now < m->path)
        m->path = now;
    tunnelcap_event event;
    uint32_t events = tunnelcap_lane_events(lane, &event, 1, NULL);
    ck_assert_uint_eq(events, m->path != before);
    if (events) {
        ck_assert_uint_eq(event.tunnel, id);
        ck_assert_uint_eq(event.value, m->path);
        ck_assert_uint_eq(event.before, before);
    }
}

/* All counters but for the bytes inside, which depend on where the cuts are. */
static void same(tunnelcap_counters got, const tunnelcap_counters *want)
{
    got.inner_bytes = want->inner_bytes;
    ck_assert_mem_eq(&got, want, sizeof(got));
}

static void check_counters(void)
{
    tunnelcap_stats stats;
    for (uint64_t id = 1; id <= TUNNELS; id++) {
        tunnelcap_tunnel_info info;
        test_ok(tunnelcap_table_get_stats(table, id, &stats, sizeof(stats)));
        same(stats.encap, &models[id].encap);
        same(stats.decap, &models[id].decap);
        test_ok(tunnelcap_table_get_info(table, id, &info, sizeof(info)));
        ck_assert_uint_eq(info.path_mtu, models[id].path);
        ck_assert_uint_eq(info.inner_mtu, inner_mtu((uint32_t)id));
    }
    test_ok(tunnelcap_table_get_stats(table, 0, &stats, sizeof(stats)));
    same(stats.decap, &stray);
}

START_TEST(table_agrees_with_arithmetic_through_sizes_and_paths)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        test_random random = {seed};
        memset(models, 0, sizeof(models));
        memset(&stray, 0, sizeof(stray));
        table = test_table_new(4, 8, 1);
        lane = test_table_lane(table);
        for (uint32_t id = 1; id <= TUNNELS; id++) {
            models[id].path = LINK;
            set(id, &random);
        }
        for (uint32_t round = 0; round < ROUNDS / 4; round++) {
            uint32_t what = test_below(&random, 40);
            if (what == 0)
                set(1 + test_below(&random, TUNNELS), &random);
            else if (what == 1)
                hear(&random);
            else
                encap(&random);
            if (round % 100 == 0)
                check_counters();
        }
        check_counters();
        test_table_end(table, lane);
    }
}
END_TEST

Suite *test_table_large_model_suite(void)
{
    const TTest *tests[] = {
        table_agrees_with_arithmetic_through_sizes_and_paths,
    };
    return test_suite("table_large_model", tests, TEST_COUNT(tests));
}
