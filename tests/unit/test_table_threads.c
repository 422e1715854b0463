/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Lanes that fragment, learn and tell while the writer ticks and changes policies: run under
 * ThreadSanitizer too. Each thread judges for itself; only the main thread asserts. */
#include "support.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { LANES = 2, CHANGES = 300, SPARES = 8, ROOM = 2048, HEADROOM = 64, LARGE = 4000 };

typedef struct crew {
    tunnelcap_table *table;
    tunnelcap_lane *lanes[LANES];
    tunnelcap_lane *writer;
    test_frame large;   /* an inner packet that fits nowhere */
    test_frame message; /* a router's, about an outer packet of 1500 bytes */
    atomic_uint stop;
    atomic_uint next;    /* which lane the next thread takes */
    atomic_uint working; /* lanes that have done a round */
    uint64_t odd[LANES]; /* what no version of the table can give */
    uint64_t sent[LANES];
} crew;

static crew c;

static int32_t call(tunnelcap_lane *lane, uint32_t direction, tunnelcap_burst *burst)
{
    return direction == TUNNELCAP_ENCAP ? tunnelcap_table_encap(lane, burst)
                                        : tunnelcap_table_decap(lane, burst);
}

/* One packet through one lane; gives how many outer packets came of it, or UINT32_MAX. */
static uint32_t carry(tunnelcap_lane *lane, uint32_t direction, const test_frame *frame,
                      uint8_t *storage, uint64_t now_ns)
{
    tunnelcap_pkt pkt = {storage, HEADROOM + LARGE, HEADROOM, frame->len, 0, NULL};
    tunnelcap_pkt spares[SPARES];
    tunnelcap_result results[SPARES + 1];
    uint32_t sent = 0, bytes = 0;
    memcpy(storage + HEADROOM, frame->bytes, frame->len);
    for (uint32_t i = 0; i < SPARES; i++)
        spares[i] = (tunnelcap_pkt){storage + (i + 3) * ROOM, ROOM, HEADROOM, 0, 0, NULL};
    tunnelcap_burst burst = {.size = sizeof(burst),
                             .now_ns = now_ns,
                             .pkt_count = 1,
                             .spare_count = SPARES,
                             .result_cap = SPARES + 1,
                             .pkts = &pkt,
                             .spare = spares,
                             .results = results};
    if (call(lane, direction, &burst) != TUNNELCAP_OK || burst.pkt_done != 1)
        return UINT32_MAX;
    if (direction == TUNNELCAP_DECAP) /* plausible, or no news any more */
        return results[0].status == TUNNELCAP_OK || results[0].status == TUNNELCAP_E_ICMP
                   ? 0
                   : UINT32_MAX;
    for (uint32_t i = 1; i < burst.result_count; i++) {
        if (results[i].action != TUNNELCAP_DO_SEND || spares[i - 1].len > 1500)
            return UINT32_MAX;
        bytes += spares[i - 1].len - 24 - 20;
        sent++;
    }
    return results[0].action == TUNNELCAP_DO_KEPT && bytes == LARGE - 20 ? sent : UINT32_MAX;
}

static void *work(void *arg)
{
    static uint8_t storage[LANES][(SPARES + 3) * ROOM];
    uint32_t self = atomic_fetch_add(&c.next, 1);
    (void)arg;
    for (uint64_t round = 0; !atomic_load(&c.stop); round++) {
        uint32_t sent = carry(c.lanes[self], TUNNELCAP_ENCAP, &c.large, storage[self], round);
        uint32_t heard = carry(c.lanes[self], TUNNELCAP_DECAP, &c.message, storage[self], round);
        c.odd[self] += (sent < 3 || sent > 4 ? 1u : 0u) + (heard != 0 ? 1u : 0u);
        c.sent[self] += sent;
        if (round == 1)
            atomic_fetch_add(&c.working, 1);
    }
    return NULL;
}

/* Policies alternate: the path is kept or made anew, probed or not. */
static void change(uint32_t version)
{
    tunnelcap_tunnel tunnel;
    tunnelcap_gre_config gre = test_gre_config("192.0.2.1", "198.51.100.1", 0);
    int32_t status;
    test_ok(tunnelcap_tunnel_init(&tunnel, sizeof(tunnel)));
    tunnel.interface4 = test_addr("10.255.0.0");
    tunnel.probe = test_addr("10.255.0.1");
    tunnel.path_mtu = 1500 - version / 2 % 2;
    tunnel.pmtu_mode = version % 4 == 0 ? TUNNELCAP_PMTU_PROBE : TUNNELCAP_PMTU_LEARN;
    do { /* busy while a burst from before the last change goes on */
        status = tunnelcap_table_begin(c.table);
        ck_assert(status == TUNNELCAP_OK || status == TUNNELCAP_E_BUSY);
    } while (status != TUNNELCAP_OK);
    test_ok(tunnelcap_table_set_gre(c.table, 1, &tunnel, &gre));
    test_ok(tunnelcap_table_commit(c.table, NULL));
}

/* What the writer does besides: the clock, probes, events, facts. */
static void look_after(uint64_t now_ns)
{
    static uint8_t storage[ROOM];
    tunnelcap_pkt spare = {storage, ROOM, HEADROOM, 0, 0, NULL};
    tunnelcap_result result;
    tunnelcap_burst burst = {.size = sizeof(burst),
                             .now_ns = now_ns,
                             .spare_count = 1,
                             .result_cap = 1,
                             .spare = &spare,
                             .results = &result};
    tunnelcap_tunnel_info info;
    tunnelcap_event events[4];
    uint64_t next_ns;
    test_ok(tunnelcap_table_tick(c.table, c.writer, &burst, &next_ns));
    test_ok(tunnelcap_table_get_info(c.table, 1, &info, sizeof(info)));
    ck_assert(info.path_mtu == 1500 || info.path_mtu == 1499 || info.path_mtu == 1400);
    for (uint32_t i = 0; i <= LANES; i++) {
        tunnelcap_lane *lane = i < LANES ? c.lanes[i] : c.writer;
        uint32_t count = tunnelcap_lane_events(lane, events, 4, NULL);
        for (uint32_t k = 0; k < count; k++) {
            ck_assert_uint_eq(events[k].kind, TUNNELCAP_EVENT_PMTU);
            ck_assert_uint_eq(events[k].tunnel, 1);
        }
    }
}

START_TEST(lanes_learn_and_tell_while_the_writer_changes_and_ticks)
{
    if (test_lanes_max() < LANES + 1)
        return;
    pthread_t threads[LANES];
    test_ip inner = test_between("203.0.113.1", "10.1.1.1");
    test_ip outer = test_between("192.0.2.1", "198.51.100.1");
    test_ip router = test_between("198.18.0.1", "192.0.2.1");
    test_gre gre = {.protocol = 0x0800};
    memset(&c, 0, sizeof(c));
    inner.frag = 0;
    test_udp_packet(&c.large, &inner, LARGE - 28);
    test_udp_packet(&c.message, &inner, 1476 - 28);
    test_push_gre(&c.message, &gre);
    test_push_ip(&c.message, &outer, 47);
    c.message.len = 28; /* what a router quotes at least */
    test_push_icmp(&c.message, &router, 3, 4);
    test_store16(c.message.bytes + 6, 1400);
    test_store16(c.message.bytes + 2, 0);
    test_store16(c.message.bytes + 2, (uint16_t)~test_sum(0, c.message.bytes, c.message.len));
    test_push_ip(&c.message, &router, 1);
    c.table = test_table_new(2, 2, LANES + 1);
    change(0);
    tunnelcap_route route = test_route("10.0.0.0/8", 1);
    test_ok(tunnelcap_table_begin(c.table));
    test_ok(tunnelcap_table_set_route(c.table, &route));
    test_ok(tunnelcap_table_commit(c.table, NULL));
    for (uint32_t i = 0; i < LANES; i++)
        c.lanes[i] = test_table_lane(c.table);
    c.writer = test_table_lane(c.table);
    for (uint32_t i = 0; i < LANES; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, NULL), 0);
    while (atomic_load(&c.working) < LANES)
        sched_yield();
    for (uint32_t version = 1; version < CHANGES; version++) {
        change(version);
        look_after((uint64_t)version * 100000000);
    }
    atomic_store(&c.stop, 1);
    for (uint32_t i = 0; i < LANES; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    look_after((uint64_t)CHANGES * 100000000);
    for (uint32_t i = 0; i < LANES; i++) {
        ck_assert_uint_eq(c.odd[i], 0);
        ck_assert_uint_gt(c.sent[i], 0);
        test_ok(tunnelcap_table_detach(c.table, c.lanes[i]));
        tunnelcap_lane_free(c.lanes[i]);
    }
    test_table_end(c.table, c.writer);
}
END_TEST

Suite *test_table_threads_suite(void)
{
    const TTest *tests[] = {
        lanes_learn_and_tell_while_the_writer_changes_and_ticks,
    };
    return test_suite("table_threads", tests, TEST_COUNT(tests));
}
