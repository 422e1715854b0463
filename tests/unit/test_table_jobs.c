/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Bursts in which packets of several SAs and of other tunnels stand among each other. */
#include "table_link.h"

#include <stdio.h>

enum { SAS = 3, BURST = 40, MAX_BURST = 8, SPI = 0x2000, GRE_TUNNEL = 9 };

/* Both ends of three ESP tunnels 1 to 3 and a GRE tunnel 9 in one table: 10.ID.0.0/16 goes into
 * tunnel ID, which comes back to its own SA. */
typedef struct jobs_world {
    test_toy toy;
    tunnelcap_table *table;
    tunnelcap_lane *lane;
    tunnelcap_esp *out[SAS];
    tunnelcap_esp *in[SAS];
} jobs_world;

static jobs_world w;

static void open_world(const tunnelcap_tunnel *tunnel, uint64_t soft_packets)
{
    const tunnelcap_crypto *crypto = test_toy_init(&w.toy);
    tunnelcap_transform transform = test_gcm();
    w.table = test_table_new(8, 8, 1);
    w.lane = test_crypto_lane(crypto, MAX_BURST);
    test_ok(tunnelcap_table_attach(w.table, w.lane));
    test_ok(tunnelcap_table_begin(w.table));
    for (uint32_t i = 0; i < SAS; i++) {
        tunnelcap_esp_config out = test_esp_config(TUNNELCAP_ESP_OUT, "192.0.2.1", "198.51.100.1");
        tunnelcap_esp_config in = test_esp_config(TUNNELCAP_ESP_IN, "192.0.2.1", "198.51.100.1");
        char prefix[32];
        out.spi = in.spi = SPI + i;
        out.soft_packets = in.soft_packets = soft_packets;
        w.out[i] = test_esp_new(&out, &transform, crypto);
        w.in[i] = test_esp_new(&in, &transform, crypto);
        test_ok(tunnelcap_table_set_esp(w.table, i + 1, tunnel));
        test_sa_pair(w.table, i + 1, w.in[i], w.out[i]);
        snprintf(prefix, sizeof(prefix), "10.%u.0.0/16", (unsigned)i + 1);
        tunnelcap_route route = test_route(prefix, i + 1);
        test_ok(tunnelcap_table_set_route(w.table, &route));
    }
    tunnelcap_gre_config gre = test_gre_config("192.0.2.1", "203.0.113.1", 0);
    tunnelcap_route route = test_route("10.9.0.0/16", GRE_TUNNEL);
    test_ok(tunnelcap_table_set_gre(w.table, GRE_TUNNEL, tunnel, &gre));
    test_ok(tunnelcap_table_set_route(w.table, &route));
    test_ok(tunnelcap_table_commit(w.table, NULL));
}

static void close_world(void)
{
    for (uint32_t i = 0; i < SAS; i++) {
        tunnelcap_esp_forget(w.out[i], w.lane);
        tunnelcap_esp_forget(w.in[i], w.lane);
    }
    test_table_end(w.table, w.lane);
    for (uint32_t i = 0; i < SAS; i++) {
        tunnelcap_esp_free(w.out[i]);
        tunnelcap_esp_free(w.in[i]);
    }
}

/* A packet into tunnel `id`; 7 is none. */
static tunnelcap_pkt packet_for(uint32_t id, uint32_t payload)
{
    char dst[32];
    snprintf(dst, sizeof(dst), "10.%u.0.1", (unsigned)id);
    test_ip ip = test_between("172.16.0.1", dst);
    ip.frag = 0;
    test_udp_packet(&world_frame, &ip, payload);
    return test_pkt_room(world_frame.bytes, world_frame.len, 80, 64);
}

static const uint8_t ids[] = {1, 2, 1, 9, 3, 7, 1, 1, 2, 9, 9, 3};

static uint32_t id_at(uint32_t i)
{
    return ids[i % sizeof(ids)];
}

static void run(uint32_t direction, tunnelcap_pkt *pkts, tunnelcap_result *results, uint32_t count)
{
    tunnelcap_burst burst = {.size = sizeof(burst),
                             .now_ns = 1234,
                             .pkt_count = count,
                             .result_cap = count,
                             .pkts = pkts,
                             .results = results};
    test_ok(direction == TUNNELCAP_ENCAP ? tunnelcap_table_encap(w.lane, &burst)
                                         : tunnelcap_table_decap(w.lane, &burst));
    ck_assert_uint_eq(burst.pkt_done, count);
    ck_assert_uint_eq(burst.result_count, count);
    for (uint32_t i = 0; i < count; i++)
        ck_assert_uint_eq(results[i].index, i);
}

/* Leave out the packets of no tunnel, and turn those of GRE round, as the far end would. */
static uint32_t reflect(tunnelcap_pkt *pkts, uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *outer = pkts[i].buf + pkts[i].off;
        if (id_at(i) == 7) {
            test_pkt_free(&pkts[i]);
            continue;
        }
        if (id_at(i) == GRE_TUNNEL) {
            uint8_t src[4];
            memcpy(src, outer + 12, 4);
            memcpy(outer + 12, outer + 16, 4);
            memcpy(outer + 16, src, 4);
        }
        pkts[kept++] = pkts[i];
    }
    return kept;
}

START_TEST(packets_of_many_sas_go_to_the_provider_together_and_stay_in_order)
{
    tunnelcap_pkt pkts[BURST];
    tunnelcap_result results[BURST];
    uint32_t esp = 0;
    open_world(NULL, 0);
    for (uint32_t i = 0; i < BURST; i++) {
        pkts[i] = packet_for(id_at(i), 20 + i);
        esp += id_at(i) <= SAS;
    }
    run(TUNNELCAP_ENCAP, pkts, results, BURST);
    ck_assert_uint_eq(w.toy.runs, (esp + MAX_BURST - 1) / MAX_BURST);
    ck_assert_uint_eq(w.toy.longest, MAX_BURST);
    uint32_t next[SAS] = {1, 1, 1};
    for (uint32_t i = 0; i < BURST; i++) {
        uint32_t id = id_at(i);
        const uint8_t *outer = pkts[i].buf + pkts[i].off;
        ck_assert_status(results[i].status, id == 7 ? TUNNELCAP_E_NO_ROUTE : TUNNELCAP_OK);
        ck_assert_uint_eq(results[i].tunnel, id == 7 ? 0 : id);
        ck_assert_uint_eq(results[i].action, id == 7 ? TUNNELCAP_DO_DROP : TUNNELCAP_DO_SEND);
        if (id > SAS)
            continue;
        ck_assert_uint_eq(test_load32(outer + 20), SPI + id - 1);
        ck_assert_uint_eq(test_load32(outer + 24), next[id - 1]++);
    }
    uint32_t count = reflect(pkts, BURST);
    w.toy.runs = 0;
    run(TUNNELCAP_DECAP, pkts, results, count);
    ck_assert_uint_eq(w.toy.runs, (esp + MAX_BURST - 1) / MAX_BURST);
    for (uint32_t i = 0, k = 0; i < BURST; i++) {
        if (id_at(i) == 7)
            continue;
        test_ok(results[k].status);
        ck_assert_uint_eq(results[k].tunnel, id_at(i));
        ck_assert_uint_eq(results[k].spi, id_at(i) <= SAS ? SPI + id_at(i) - 1 : 0);
        ck_assert_uint_eq(pkts[k].len, 48 + i);
        test_pkt_free(&pkts[k++]);
    }
    for (uint64_t id = 0; id <= GRE_TUNNEL; id++) {
        uint32_t offered = 0;
        if (id > SAS && id < GRE_TUNNEL)
            continue;
        for (uint32_t i = 0; i < BURST; i++)
            offered += id_at(i) == (id == 0 ? 7 : id);
        world_check_sums(w.table, id, TUNNELCAP_ENCAP, offered);
        world_check_sums(w.table, id, TUNNELCAP_DECAP, id == 0 ? 0 : offered);
    }
    close_world();
}
END_TEST

START_TEST(refused_packets_hold_up_no_others)
{
    tunnelcap_pkt pkts[BURST];
    tunnelcap_result results[BURST];
    open_world(NULL, 0);
    for (uint32_t i = 0; i < BURST; i++)
        pkts[i] = packet_for(id_at(i), 20 + i);
    w.toy.seal_left = 5; /* then the provider fails */
    run(TUNNELCAP_ENCAP, pkts, results, BURST);
    uint32_t sealed = 0;
    for (uint32_t i = 0; i < BURST; i++) {
        if (id_at(i) <= SAS) {
            ck_assert_status(results[i].status, sealed < 5 ? TUNNELCAP_OK : TUNNELCAP_E_CRYPTO);
            ck_assert_uint_eq(results[i].action,
                              sealed < 5 ? TUNNELCAP_DO_SEND : TUNNELCAP_DO_DROP);
            sealed++;
        } else if (id_at(i) == GRE_TUNNEL) {
            test_ok(results[i].status);
        }
        test_pkt_free(&pkts[i]);
    }
    w.toy.seal_left = UINT32_MAX;
    for (uint32_t i = 0; i < BURST; i++)
        pkts[i] = packet_for(id_at(i), 20 + i);
    run(TUNNELCAP_ENCAP, pkts, results, BURST);
    uint32_t count = reflect(pkts, BURST);
    for (uint32_t i = 0; i < count; i += 3)
        pkts[i].buf[pkts[i].off + pkts[i].len - 1] ^= 1;
    run(TUNNELCAP_DECAP, pkts, results, count);
    for (uint32_t i = 0; i < count; i++) {
        bool forged = i % 3 == 0 && results[i].tunnel != GRE_TUNNEL;
        ck_assert_status(results[i].status, forged ? TUNNELCAP_E_AUTH : TUNNELCAP_OK);
        ck_assert_uint_eq(results[i].action, forged ? TUNNELCAP_DO_DROP : TUNNELCAP_DO_DELIVER);
        test_pkt_free(&pkts[i]);
    }
    close_world();
}
END_TEST

START_TEST(copies_within_a_burst_are_accepted_once)
{
    tunnelcap_pkt pkts[8], first;
    tunnelcap_result results[8];
    open_world(NULL, 0);
    first = packet_for(1, 100);
    run(TUNNELCAP_ENCAP, &first, results, 1);
    for (uint32_t i = 0; i < 8; i++)
        pkts[i] = test_pkt(first.buf + first.off, first.len, 0);
    run(TUNNELCAP_DECAP, pkts, results, 8);
    for (uint32_t i = 0; i < 8; i++) {
        ck_assert_status(results[i].status, i == 0 ? TUNNELCAP_OK : TUNNELCAP_E_REPLAY);
        test_pkt_free(&pkts[i]);
    }
    test_pkt_free(&first);
    close_world();
}
END_TEST

START_TEST(outer_fragments_of_what_could_not_be_sealed_are_closed_up)
{
    static world_call call;
    tunnelcap_tunnel tunnel;
    test_ok(tunnelcap_tunnel_init(&tunnel, sizeof(tunnel)));
    tunnel.fragment_mode = TUNNELCAP_FRAGMENT_OUTER;
    for (uint32_t good = 0; good <= 4; good++) {
        tunnelcap_pkt pkts[4];
        open_world(&tunnel, 0);
        for (uint32_t i = 0; i < 4; i++)
            pkts[i] = packet_for(1 + i % SAS, i & 1 ? 100 : 4000);
        w.toy.seal_left = good;
        world_call_open(&call, 8, 0, 1500);
        call.burst.size = sizeof(call.burst);
        call.burst.pkts = pkts;
        call.burst.pkt_count = 4;
        test_ok(tunnelcap_table_encap(w.lane, &call.burst));
        ck_assert_uint_eq(call.burst.pkt_done, 4);
        ck_assert_uint_eq(call.burst.spare_used, 6);
        /* Four results of packets, and three more for each of the large ones that was sealed. */
        ck_assert_uint_eq(call.burst.result_count,
                          4u + (good > 0 ? 3u : 0u) + (good > 2 ? 3u : 0u));
        uint32_t at = 0, left = good;
        for (uint32_t i = 0; i < 4; i++) {
            bool sealed = left != 0;
            left -= sealed;
            ck_assert_uint_eq(call.results[at].index, i);
            ck_assert_uint_eq(call.results[at].flags & TUNNELCAP_RESULT_SPARE, 0);
            ck_assert_status(call.results[at].status, sealed ? TUNNELCAP_OK : TUNNELCAP_E_CRYPTO);
            uint8_t done = i & 1 ? TUNNELCAP_DO_SEND : TUNNELCAP_DO_KEPT;
            ck_assert_uint_eq(call.results[at].action, sealed ? done : TUNNELCAP_DO_DROP);
            at++;
            for (uint32_t k = 0; k < 3 && sealed && !(i & 1); k++, at++) {
                ck_assert_uint_eq(call.results[at].index, (i != 0 ? 3u : 0u) + k);
                ck_assert_uint_eq(call.results[at].action, TUNNELCAP_DO_SEND);
                ck_assert(call.results[at].flags & TUNNELCAP_RESULT_SPARE);
            }
        }
        for (uint64_t id = 1; id <= SAS; id++)
            world_check_sums(w.table, id, TUNNELCAP_ENCAP, id == 1 ? 2 : 1);
        for (uint32_t i = 0; i < 4; i++)
            test_pkt_free(&pkts[i]);
        world_call_close(&call);
        close_world();
    }
}
END_TEST

START_TEST(soft_limits_are_told_once_for_each_sa_and_direction)
{
    tunnelcap_pkt pkts[16];
    tunnelcap_result results[16];
    tunnelcap_event events[8];
    open_world(NULL, 4);
    for (uint32_t i = 0; i < 16; i++)
        pkts[i] = packet_for(1 + i % 2, 30);
    run(TUNNELCAP_ENCAP, pkts, results, 16);
    ck_assert_uint_eq(tunnelcap_lane_events(w.lane, events, 8, NULL), 2);
    for (uint32_t i = 0; i < 2; i++) {
        ck_assert_uint_eq(events[i].kind, TUNNELCAP_EVENT_REKEY);
        ck_assert_uint_eq(events[i].tunnel, i + 1);
        ck_assert_uint_eq(events[i].value, SPI + i);
        ck_assert_uint_eq(events[i].now_ns, 1234);
    }
    ck_assert_uint_eq(results[15].flags, TUNNELCAP_RESULT_REKEY);
    run(TUNNELCAP_DECAP, pkts, results, 16);
    ck_assert_uint_eq(results[15].flags, TUNNELCAP_RESULT_REKEY);
    ck_assert_uint_eq(tunnelcap_lane_events(w.lane, events, 8, NULL), 2);
    ck_assert_uint_eq(events[0].kind, TUNNELCAP_EVENT_REKEY);
    for (uint32_t i = 0; i < 16; i++)
        test_pkt_free(&pkts[i]);
    close_world();
}
END_TEST

START_TEST(peer_that_moves_is_told_with_its_new_address)
{
    tunnelcap_pkt pkts[3];
    tunnelcap_result results[3];
    tunnelcap_event event;
    open_world(NULL, 0);
    for (uint32_t i = 0; i < 3; i++)
        pkts[i] = packet_for(2, 30);
    run(TUNNELCAP_ENCAP, pkts, results, 3);
    for (uint32_t i = 1; i < 3; i++) {
        uint8_t *outer = pkts[i].buf + pkts[i].off;
        outer[15] = 77;
        test_store16(outer + 10, 0);
        test_store16(outer + 10, (uint16_t)~test_sum(0, outer, 20));
    }
    run(TUNNELCAP_DECAP, pkts, results, 1);
    run(TUNNELCAP_DECAP, pkts + 1, results + 1, 2);
    for (uint32_t i = 0; i < 3; i++) {
        test_ok(results[i].status);
        ck_assert_uint_eq(results[i].flags, i == 2 ? TUNNELCAP_RESULT_PEER_MOVED : 0);
        test_pkt_free(&pkts[i]);
    }
    ck_assert_uint_eq(tunnelcap_lane_events(w.lane, &event, 1, NULL), 1);
    ck_assert_uint_eq(event.kind, TUNNELCAP_EVENT_PEER_MOVED);
    ck_assert_uint_eq(event.tunnel, 2);
    ck_assert_uint_eq(event.value, SPI + 1);
    ck_assert_uint_eq(event.port, 0);
    tunnelcap_addr moved = test_addr("192.0.2.77");
    ck_assert_mem_eq(&event.addr, &moved, sizeof(moved));
    close_world();
}
END_TEST

Suite *test_table_jobs_suite(void)
{
    const TTest *tests[] = {
        packets_of_many_sas_go_to_the_provider_together_and_stay_in_order,
        refused_packets_hold_up_no_others,
        copies_within_a_burst_are_accepted_once,
        outer_fragments_of_what_could_not_be_sealed_are_closed_up,
        soft_limits_are_told_once_for_each_sa_and_direction,
        peer_that_moves_is_told_with_its_new_address,
    };
    return test_suite("table_jobs", tests, TEST_COUNT(tests));
}
