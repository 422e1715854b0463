/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "table_world.h"

#include <stdio.h>

test_frame world_frame;

const char *const world_remotes[] = {"", "198.51.100.1", "198.51.100.2", "198.51.100.3",
                                     "198.51.100.4"};
const char *const world_prefixes[][2] = {{"", ""},
                                         {"10.1.0.0/16", "fd00:1::/32"},
                                         {"10.2.0.0/16", "fd00:2::/32"},
                                         {"10.3.0.0/16", "fd00:3::/32"},
                                         {"10.4.0.0/16", "fd00:4::/32"}};

world world_open(const tunnelcap_tunnel *tunnel)
{
    world w;
    w.table = test_table_new(8, 16, 1);
    w.lane = test_table_lane(w.table);
    test_ok(tunnelcap_table_begin(w.table));
    for (unsigned id = 1; id <= 4; id++) {
        tunnelcap_gre_config gre = test_gre_config("192.0.2.1", world_remotes[id], 0);
        tunnelcap_ipip_config ipip = test_ipip_config("192.0.2.1", world_remotes[id], 0);
        if (id == UDP_ID)
            gre.flags = TUNNELCAP_GRE_UDP;
        if (id == SEQ_ID)
            gre.flags = TUNNELCAP_GRE_SEQUENCE | TUNNELCAP_GRE_IN_ORDER;
        test_ok(id == IPIP_ID ? tunnelcap_table_set_ipip(w.table, id, tunnel, &ipip)
                              : tunnelcap_table_set_gre(w.table, id, tunnel, &gre));
        for (unsigned six = 0; six <= 1; six++) {
            tunnelcap_route route = test_route(world_prefixes[id][six], id);
            test_ok(tunnelcap_table_set_route(w.table, &route));
        }
    }
    test_ok(tunnelcap_table_commit(w.table, NULL));
    return w;
}

void world_close(world *w)
{
    test_table_end(w->table, w->lane);
}

static const char *const inner_dst[] = {"", "10.1.0.9", "10.2.0.9", "10.3.0.9", "10.4.0.9"};

void world_inner(unsigned id, uint32_t size)
{
    test_ip ip = test_between("203.0.113.1", inner_dst[id]);
    test_udp_packet(&world_frame, &ip, size);
}

/* What the far end of tunnel `id` sends us. */
void world_outer(unsigned id, uint32_t seq)
{
    test_ip outer = test_between(world_remotes[id], "192.0.2.1");
    test_ip inner = test_between("10.9.0.1", "203.0.113.1");
    test_gre gre = {id == SEQ_ID ? TEST_GRE_S : 0, 0x0800, 0, seq};
    test_udp_packet(&world_frame, &inner, 30);
    if (id != IPIP_ID)
        test_push_gre(&world_frame, &gre);
    if (id == UDP_ID)
        test_push_udp(&world_frame, &outer, 50000, 4754);
    test_push_ip(&world_frame, &outer, id == IPIP_ID ? 4 : id == UDP_ID ? UDP : GRE);
}

int32_t world_run(world *w, uint32_t direction, uint32_t headroom, const tunnelcap_meta *meta,
                  tunnelcap_result *result)
{
    tunnelcap_pkt pkt = test_pkt(world_frame.bytes, world_frame.len, headroom);
    int32_t status = test_table_one(w->lane, direction, &pkt, meta, result);
    test_pkt_free(&pkt);
    return status;
}

uint64_t world_reason(const world *w, uint64_t id, uint32_t direction, int32_t status)
{
    tunnelcap_reason reasons[64];
    uint32_t count = 0;
    test_ok(tunnelcap_table_reasons(w->table, id, direction, reasons, 64, &count));
    ck_assert_uint_le(count, 64);
    for (uint32_t i = 0; i < count; i++) {
        ck_assert_uint_eq(reasons[i].reserved, 0);
        ck_assert_uint_ne(reasons[i].count, 0);
        if (reasons[i].status == status)
            return reasons[i].count;
    }
    return 0;
}

/* A GRE tunnel between 192.0.2.1 and 198.51.100.N. */
tunnelcap_gre_config world_gre_to(unsigned n)
{
    char remote[32];
    snprintf(remote, sizeof(remote), "198.51.100.%u", n);
    return test_gre_config("192.0.2.1", remote, 0);
}

int32_t world_set_gre(tunnelcap_table *table, uint64_t id, unsigned n)
{
    tunnelcap_gre_config gre = world_gre_to(n);
    return tunnelcap_table_set_gre(table, id, NULL, &gre);
}

/* Which tunnel takes a packet to `dst`; 0 if none does. */
uint64_t world_taker(tunnelcap_lane *lane, const char *dst)
{
    tunnelcap_result result;
    test_ip ip = test_between("203.0.113.1", dst);
    if (ip.dst.family == TUNNELCAP_IPV6)
        ip.src = test_addr("2001:db8:f::1");
    test_udp_packet(&world_frame, &ip, 10);
    tunnelcap_pkt pkt = test_pkt(world_frame.bytes, world_frame.len, 80);
    int32_t status = test_table_one(lane, TUNNELCAP_ENCAP, &pkt, NULL, &result);
    test_pkt_free(&pkt);
    if (status == TUNNELCAP_E_NO_ROUTE)
        return 0;
    test_ok(status);
    return result.tunnel;
}

void world_call_open(world_call *call, uint32_t spares, uint32_t headroom, uint32_t room)
{
    memset(call, 0, sizeof(*call));
    ck_assert_uint_le(spares, CALL_SPARES);
    call->opened = spares;
    for (uint32_t i = 0; i < spares; i++) {
        call->spare[i] = test_pkt(NULL, 0, headroom + room);
        call->spare[i].off = headroom;
    }
    call->burst.size = sizeof(call->burst);
    call->burst.spare = call->spare;
    call->burst.spare_count = spares;
    call->burst.results = call->results;
    call->burst.result_cap = CALL_RESULTS;
}

void world_call_close(world_call *call)
{
    for (uint32_t i = 0; i < call->opened; i++)
        test_pkt_free(&call->spare[i]);
}

static void check_results(const world_call *call)
{
    const tunnelcap_burst *burst = &call->burst;
    uint32_t pkts = 0, spares = 0;
    for (uint32_t i = 0; i < burst->result_count; i++) {
        const tunnelcap_result *r = &call->results[i];
        bool is_spare = r->flags & TUNNELCAP_RESULT_SPARE;
        ck_assert_uint_eq(r->reserved, 0);
        ck_assert_uint_le(r->action, TUNNELCAP_DO_LOCAL);
        if (!is_spare)
            ck_assert_uint_eq(r->index, pkts++);
        else
            ck_assert_uint_eq(r->index, spares++);
        const tunnelcap_pkt *pkt = is_spare ? &burst->spare[r->index] : &burst->pkts[r->index];
        ck_assert_int_eq(pkt->status, r->status);
        ck_assert_uint_le(pkt->off, pkt->cap);
        ck_assert_uint_le(pkt->len, pkt->cap - pkt->off);
    }
    ck_assert_uint_eq(pkts, burst->pkt_done);
    ck_assert_uint_eq(spares, burst->spare_used);
}

int32_t world_call_run(world_call *call, tunnelcap_lane *lane, uint32_t direction,
                       tunnelcap_pkt *pkts, uint32_t count)
{
    memset(call->results, 0xa5, sizeof(call->results));
    call->burst.pkts = pkts;
    call->burst.pkt_count = count;
    int32_t status = direction == TUNNELCAP_ENCAP ? tunnelcap_table_encap(lane, &call->burst)
                                                  : tunnelcap_table_decap(lane, &call->burst);
    if (status == TUNNELCAP_OK)
        check_results(call);
    return status;
}

tunnelcap_pkt *world_call_pkt(world_call *call, uint32_t result)
{
    const tunnelcap_result *r = &call->results[result];
    ck_assert_uint_lt(result, call->burst.result_count);
    return r->flags & TUNNELCAP_RESULT_SPARE ? &call->spare[r->index] : &call->burst.pkts[r->index];
}

void world_check_sums(const tunnelcap_table *table, uint64_t id, uint32_t direction,
                      uint64_t offered)
{
    tunnelcap_reason reasons[64];
    tunnelcap_stats stats;
    uint32_t count;
    uint64_t refused = 0;
    test_ok(tunnelcap_table_get_stats(table, id, &stats, sizeof(stats)));
    const tunnelcap_counters *c = direction == TUNNELCAP_ENCAP ? &stats.encap : &stats.decap;
    test_ok(tunnelcap_table_reasons(table, id, direction, reasons, 64, &count));
    ck_assert_uint_le(count, 64);
    for (uint32_t i = 0; i < count; i++)
        refused += reasons[i].count;
    ck_assert_uint_eq(c->refused, refused);
    ck_assert_uint_eq(c->packets + c->replied + c->refused + c->kept + c->local - c->fragments -
                          c->reassembled,
                      offered);
}
