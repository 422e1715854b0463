/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Two lanes at work while a writer changes the table: run under ThreadSanitizer too. Each thread
 * judges for itself and reports by its return value; only the main thread asserts. */
#include "support.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { LANES = 2, BURST = 16, CHANGES = 400, PACKET = 68, ROOM = 40 };

typedef struct crew {
    tunnelcap_table *table;
    tunnelcap_lane *lanes[LANES];
    uint8_t inner[PACKET];
    atomic_uint stop;
    atomic_uint next;    /* which lane the next thread takes */
    atomic_uint working; /* lanes that have carried a burst */
    uint64_t carried[LANES];
    uint64_t refused[LANES];
    uint64_t odd[LANES]; /* results that no version of the table can give */
} crew;

/* A version of the table: odd ones route by tunnel 1 with TTL 11, even ones by 2 with TTL 22. */
static int32_t set_version(tunnelcap_table *table, uint32_t version)
{
    uint64_t id = version & 1 ? 1 : 2;
    tunnelcap_gre_config gre =
        test_gre_config("192.0.2.1", id == 1 ? "198.51.100.1" : "198.51.100.2",
                        TUNNELCAP_GRE_SEQUENCE | TUNNELCAP_GRE_CHECKSUM);
    gre.outer.ttl = id == 1 ? 11 : 22;
    tunnelcap_route route = test_route("10.0.0.0/8", id);
    int32_t status = tunnelcap_table_begin(table);
    if (status != TUNNELCAP_OK)
        return status;
    test_ok(tunnelcap_table_set_gre(table, id, NULL, &gre));
    test_ok(tunnelcap_table_set_route(table, &route));
    if (version > 1)
        test_ok(tunnelcap_table_remove(table, 3 - id));
    test_ok(tunnelcap_table_commit(table, NULL));
    return TUNNELCAP_OK;
}

static bool is_consistent(const tunnelcap_result *result, const tunnelcap_pkt *pkt)
{
    const uint8_t *p = pkt->buf + pkt->off;
    uint32_t id = (uint32_t)result->tunnel;
    return (id == 1 || id == 2) && pkt->len == PACKET + 32 && p[8] == 11 * id && p[19] == id;
}

static void *work(void *arg)
{
    crew *c = arg;
    uint32_t self = atomic_fetch_add(&c->next, 1);
    static uint8_t storage[LANES][BURST][ROOM + PACKET];
    tunnelcap_pkt pkts[BURST];
    tunnelcap_result results[BURST];
    for (uint32_t bursts = 0; !atomic_load(&c->stop); bursts++) {
        if (bursts == 1)
            atomic_fetch_add(&c->working, 1);
        for (uint32_t i = 0; i < BURST; i++) {
            pkts[i] = (tunnelcap_pkt){storage[self][i], ROOM + PACKET, ROOM, PACKET, 0, NULL};
            memcpy(pkts[i].buf + ROOM, c->inner, PACKET);
        }
        tunnelcap_burst burst = {.size = sizeof(burst),
                                 .pkt_count = BURST,
                                 .result_cap = BURST,
                                 .pkts = pkts,
                                 .results = results};
        if (tunnelcap_table_encap(c->lanes[self], &burst) != TUNNELCAP_OK)
            c->odd[self]++;
        for (uint32_t i = 0; i < BURST; i++) {
            if (results[i].action != TUNNELCAP_DO_SEND)
                c->refused[self]++;
            else if (is_consistent(&results[i], &pkts[i]))
                c->carried[self]++;
            else
                c->odd[self]++;
        }
    }
    return NULL;
}

START_TEST(lanes_carry_packets_while_the_writer_changes_everything)
{
    if (test_lanes_max() < LANES)
        return; /* no lock-free 64-bit atomics: one lane is all there is */
    static crew c;
    static test_frame frame;
    pthread_t threads[LANES];
    test_ip ip = test_between("203.0.113.1", "10.1.1.1");
    test_udp_packet(&frame, &ip, PACKET - 28);
    memcpy(c.inner, frame.bytes, PACKET);
    c.table = test_table_new(2, 2, LANES);
    test_ok(set_version(c.table, 1));
    for (uint32_t i = 0; i < LANES; i++)
        c.lanes[i] = test_table_lane(c.table);
    for (uint32_t i = 0; i < LANES; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &c), 0);
    while (atomic_load(&c.working) < LANES)
        sched_yield();
    uint64_t before = tunnelcap_table_settled(c.table);
    for (uint32_t version = 2; version < CHANGES; version++) {
        int32_t status;
        do { /* busy while a burst from before the last change goes on */
            status = set_version(c.table, version);
            ck_assert(status == TUNNELCAP_OK || status == TUNNELCAP_E_BUSY);
            tunnelcap_stats stats;
            test_ok(tunnelcap_table_get_stats(c.table, 0, &stats, sizeof(stats)));
        } while (status != TUNNELCAP_OK);
    }
    atomic_store(&c.stop, 1);
    for (uint32_t i = 0; i < LANES; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_uint_gt(tunnelcap_table_settled(c.table), before);
    for (uint32_t i = 0; i < LANES; i++) {
        ck_assert_uint_eq(c.odd[i], 0);
        ck_assert_uint_eq(c.refused[i], 0); /* a change is whole: there always is a route */
        ck_assert_uint_gt(c.carried[i], 0);
        test_ok(tunnelcap_table_detach(c.table, c.lanes[i]));
        tunnelcap_lane_free(c.lanes[i]);
    }
    tunnelcap_table_free(c.table);
}
END_TEST

/* ---- a tunnel shared by lanes ---- */

typedef struct pair {
    tunnelcap_gre *gre;
    tunnelcap_lane *lanes[LANES];
    uint8_t inner[PACKET];
    atomic_uint next;
    uint32_t first; /* sequence number */
    uint8_t *seen;  /* by sequence number; each thread sets its own */
} pair;

enum { EACH = 4000 };

static void *number(void *arg)
{
    pair *p = arg;
    uint32_t self = atomic_fetch_add(&p->next, 1);
    uint8_t storage[ROOM + PACKET];
    for (uint32_t i = 0; i < EACH; i++) {
        tunnelcap_pkt pkt = {storage, sizeof(storage), ROOM, PACKET, 0, NULL};
        memcpy(storage + ROOM, p->inner, PACKET);
        if (tunnelcap_gre_encap(p->gre, p->lanes[self], &pkt, NULL, 0, 1) == 1)
            p->seen[(test_load32(storage + pkt.off + 24) - p->first) % (LANES * EACH)]++;
    }
    return NULL;
}

START_TEST(sequence_numbers_of_a_shared_tunnel_are_unique)
{
    if (test_lanes_max() < LANES)
        return;
    static pair p;
    static test_frame frame;
    pthread_t threads[LANES];
    tunnelcap_gre_config config =
        test_gre_config("192.0.2.1", "198.51.100.1", TUNNELCAP_GRE_SEQUENCE);
    p.first = config.seq_start = UINT32_MAX - EACH; /* through 2^32 on the way */
    test_ip ip = test_between("203.0.113.1", "10.1.1.1");
    test_udp_packet(&frame, &ip, PACKET - 28);
    memcpy(p.inner, frame.bytes, PACKET);
    p.gre = test_gre_new(&config);
    p.seen = calloc(LANES, EACH);
    for (uint32_t i = 0; i < LANES; i++)
        p.lanes[i] = test_lane();
    for (uint32_t i = 0; i < LANES; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, number, &p), 0);
    for (uint32_t i = 0; i < LANES; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        tunnelcap_lane_free(p.lanes[i]);
    }
    for (uint32_t i = 0; i < LANES * EACH; i++)
        ck_assert_uint_eq(p.seen[i], 1);
    free(p.seen);
    tunnelcap_gre_free(p.gre);
}
END_TEST

Suite *test_threads_suite(void)
{
    const TTest *tests[] = {
        lanes_carry_packets_while_the_writer_changes_everything,
        sequence_numbers_of_a_shared_tunnel_are_unique,
    };
    return test_suite("threads", tests, TEST_COUNT(tests));
}
