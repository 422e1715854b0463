/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* ESP tunnels in a table: security associations that callers own, and their states. */
#include "esp_kit.h"
#include "table.h"

enum { ROOM = 3 };

static test_frame frame;

/* A table of one ESP tunnel, with room for three SAs, and a lane with a crypto provider. */
typedef struct world {
    test_pair pair;
    tunnelcap_table *table;
} world;

static void open_world(world *w)
{
    tunnelcap_transform transform = test_gcm();
    tunnelcap_table_config config;
    tunnelcap_route route = test_route("10.2.0.0/16", 1);
    test_pair_open(&w->pair, &transform, 0, TUNNELCAP_ESP_TUNNEL);
    test_ok(tunnelcap_table_config_init(&config, sizeof(config)));
    config.tunnels = 2;
    config.sas = ROOM;
    test_ok(tunnelcap_table_new(&config, test_seed, NULL, &w->table));
    test_ok(tunnelcap_table_attach(w->table, w->pair.lane));
    test_ok(tunnelcap_table_begin(w->table));
    test_ok(tunnelcap_table_set_esp(w->table, 1, NULL));
    test_sa_pair(w->table, 1, w->pair.in, w->pair.out);
    test_ok(tunnelcap_table_set_route(w->table, &route));
    test_ok(tunnelcap_table_commit(w->table, NULL));
}

static void close_world(world *w)
{
    test_ok(tunnelcap_table_detach(w->table, w->pair.lane));
    tunnelcap_table_free(w->table);
    test_pair_close(&w->pair);
}

/* An SA beside those of the world, of the same ends. */
static tunnelcap_esp *make_sa(world *w, uint8_t direction, uint32_t spi)
{
    tunnelcap_transform transform = test_gcm();
    tunnelcap_esp_config config = test_esp_config(direction, "192.0.2.1", "192.0.2.2");
    config.spi = spi;
    return test_esp_new(&config, &transform, &w->pair.toy.crypto);
}

static void end_sa(world *w, tunnelcap_esp *esp)
{
    tunnelcap_esp_forget(esp, w->pair.lane);
    tunnelcap_esp_free(esp);
}

/* One change of one SA. */
static int32_t become(world *w, tunnelcap_esp *esp, uint32_t state)
{
    test_ok(tunnelcap_table_begin(w->table));
    int32_t status = tunnelcap_table_set_sa(w->table, 1, esp, state, 0);
    test_ok(tunnelcap_table_commit(w->table, NULL));
    return status;
}

/* One inner packet into the tunnel. */
static tunnelcap_pkt send(world *w, int32_t want)
{
    test_ip inner = test_between("10.1.0.1", "10.2.0.1");
    tunnelcap_result result;
    test_udp_packet(&frame, &inner, 30);
    tunnelcap_pkt pkt = test_esp_pkt(&frame);
    ck_assert_status(test_table_one(w->pair.lane, TUNNELCAP_ENCAP, &pkt, NULL, &result), want);
    ck_assert_uint_eq(result.tunnel, 1);
    return pkt;
}

static int32_t receive(world *w, tunnelcap_pkt *pkt, uint32_t vrf, tunnelcap_result *result)
{
    tunnelcap_meta meta = {.vrf = vrf};
    return test_table_one(w->pair.lane, TUNNELCAP_DECAP, pkt, &meta, result);
}

/* What the table makes of a packet that an SA has sealed. */
static int32_t arrives(world *w, tunnelcap_esp *out, uint64_t now_ns, tunnelcap_result *result)
{
    test_ip inner = test_between("10.2.0.1", "10.1.0.1");
    tunnelcap_burst burst = {.size = sizeof(burst), .now_ns = now_ns, .pkt_count = 1};
    test_udp_packet(&frame, &inner, 30);
    tunnelcap_pkt pkt = test_esp_pkt(&frame);
    test_ok(test_esp_encap(out, w->pair.lane, &pkt, NULL));
    test_snapshot snap = test_snap(&pkt);
    burst.pkts = &pkt;
    burst.results = result;
    burst.result_cap = 1;
    test_ok(tunnelcap_table_decap(w->pair.lane, &burst));
    ck_assert_uint_eq(burst.result_count, 1);
    ck_assert_uint_eq(result->spi, out->spi);
    if (result->status != TUNNELCAP_OK) {
        pkt.status = snap.pkt.status;
        test_unchanged(&snap, &pkt);
    } else {
        ck_assert_uint_eq(result->action, TUNNELCAP_DO_DELIVER);
        free(snap.bytes);
    }
    test_pkt_free(&pkt);
    return result->status;
}

static uint32_t sa_count(const world *w)
{
    tunnelcap_sa_info info;
    uint32_t count = 0;
    while (tunnelcap_table_sa_at(w->table, 1, count, &info, sizeof(info)) == TUNNELCAP_OK)
        count++;
    return count;
}

/* What the table knows of an SA; state 0: nothing. */
static tunnelcap_sa_info known(const world *w, uint8_t direction, uint32_t spi)
{
    tunnelcap_sa_info info;
    for (uint32_t i = 0; tunnelcap_table_sa_at(w->table, 1, i, &info, sizeof(info)) == TUNNELCAP_OK;
         i++) {
        if (info.spi == spi && info.direction == direction)
            return info;
    }
    return (tunnelcap_sa_info){.state = 0};
}

START_TEST(esp_goes_through_a_table_and_back)
{
    tunnelcap_result result;
    tunnelcap_stats stats;
    world w;
    open_world(&w);
    tunnelcap_pkt pkt = send(&w, TUNNELCAP_OK);
    uint32_t outer = pkt.len;
    ck_assert_status(receive(&w, &pkt, 0, &result), TUNNELCAP_OK);
    ck_assert_uint_eq(result.tunnel, 1);
    ck_assert_uint_eq(result.spi, TEST_SPI);
    ck_assert_uint_eq(result.value, TUNNELCAP_ETHERTYPE_IPV4);
    ck_assert_uint_eq(pkt.len, frame.len);
    ck_assert_mem_eq(pkt.buf + pkt.off, frame.bytes, frame.len);
    test_ok(tunnelcap_table_get_stats(w.table, 1, &stats, sizeof(stats)));
    ck_assert_uint_eq(stats.encap.inner_bytes, frame.len);
    ck_assert_uint_eq(stats.encap.outer_bytes, outer);
    ck_assert_uint_eq(stats.decap.inner_bytes, frame.len);
    ck_assert_uint_eq(stats.decap.outer_bytes, outer);
    test_pkt_free(&pkt);
    close_world(&w);
}
END_TEST

START_TEST(without_an_sa_the_table_says_which_one_it_needs)
{
    tunnelcap_tunnel_info info;
    tunnelcap_result result;
    world w;
    open_world(&w);
    tunnelcap_pkt pkt = send(&w, TUNNELCAP_OK);
    test_snapshot snap = test_snap(&pkt);
    ck_assert_status(receive(&w, &pkt, 7, &result), TUNNELCAP_E_NEED_SA); /* another VRF */
    ck_assert_uint_eq(result.action, TUNNELCAP_DO_FETCH_SA);
    ck_assert_uint_eq(result.spi, TEST_SPI);
    ck_assert_uint_eq(result.value, TEST_SPI);
    ck_assert_uint_eq(result.tunnel, 0);
    pkt.status = snap.pkt.status;
    test_unchanged(&snap, &pkt); /* it may be kept until the SA has come */

    test_ok(tunnelcap_table_begin(w.table));
    test_ok(tunnelcap_table_remove_sa(w.table, 1, w.pair.out));
    test_ok(tunnelcap_table_remove_sa(w.table, 1, w.pair.in));
    ck_assert_status(tunnelcap_table_remove_sa(w.table, 1, w.pair.in), TUNNELCAP_E_NOT_FOUND);
    test_ok(tunnelcap_table_commit(w.table, NULL));
    ck_assert_status(receive(&w, &pkt, 0, &result), TUNNELCAP_E_NEED_SA);
    ck_assert_uint_eq(sa_count(&w), 0);
    test_pkt_free(&pkt);
    pkt = send(&w, TUNNELCAP_E_NEED_SA);
    test_pkt_free(&pkt);
    test_ok(tunnelcap_table_get_info(w.table, 1, &info, sizeof(info)));
    ck_assert_uint_eq(info.inner_mtu, 1280);
    ck_assert_uint_eq(info.path_mtu, 0);
    close_world(&w);
}
END_TEST

/* SPIs up to 255 are nobody's: there is nothing to fetch. */
START_TEST(reserved_spis_are_not_asked_for)
{
    static const uint32_t spis[] = {1, 255, 256, UINT32_MAX};
    world w;
    open_world(&w);
    for (size_t i = 0; i < TEST_COUNT(spis); i++) {
        tunnelcap_result result;
        tunnelcap_esp *out = make_sa(&w, TUNNELCAP_ESP_OUT, spis[i]);
        ck_assert_status(arrives(&w, out, 0, &result), TUNNELCAP_E_NEED_SA);
        ck_assert_uint_eq(result.action, spis[i] > 255 ? TUNNELCAP_DO_FETCH_SA : TUNNELCAP_DO_DROP);
        ck_assert_uint_eq(result.value, spis[i] > 255 ? spis[i] : 0);
        end_sa(&w, out);
    }
    close_world(&w);
}
END_TEST

START_TEST(changes_of_sas_are_refused_with_their_reasons)
{
    world w;
    open_world(&w);
    tunnelcap_esp *twin = make_sa(&w, TUNNELCAP_ESP_IN, TEST_SPI);
    tunnelcap_esp *other = make_sa(&w, TUNNELCAP_ESP_IN, TEST_SPI + 1);
    tunnelcap_esp *third = make_sa(&w, TUNNELCAP_ESP_OUT, TEST_SPI + 2);
    tunnelcap_sa_info info;
    uint32_t ready = TUNNELCAP_SA_IN_READY;
    ck_assert_status(tunnelcap_table_set_sa(w.table, 1, other, ready, 0), TUNNELCAP_E_STATE);
    ck_assert_status(tunnelcap_table_remove_sa(w.table, 1, w.pair.in), TUNNELCAP_E_STATE);
    ck_assert_status(tunnelcap_table_set_owner(w.table, 1, w.pair.in, 1), TUNNELCAP_E_STATE);
    test_ok(tunnelcap_table_begin(w.table));
    ck_assert_status(tunnelcap_table_set_sa(NULL, 1, other, ready, 0), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_set_sa(w.table, 1, NULL, ready, 0), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_set_sa(w.table, 2, other, ready, 0), TUNNELCAP_E_NOT_FOUND);
    ck_assert_status(tunnelcap_table_set_sa(w.table, 1, other, 0, 0), TUNNELCAP_E_MODE);
    ck_assert_status(tunnelcap_table_set_sa(w.table, 1, other, 6, 0), TUNNELCAP_E_MODE);
    ck_assert_status(tunnelcap_table_set_sa(w.table, 1, other, UINT32_MAX, 0), TUNNELCAP_E_MODE);
    ck_assert_status(tunnelcap_table_set_sa(w.table, 1, other, ready, 1), TUNNELCAP_E_RANGE);
    ck_assert_status(tunnelcap_table_set_sa(w.table, 1, twin, ready, 0), TUNNELCAP_E_EXISTS);
    test_ok(tunnelcap_table_set_sa(w.table, 1, other, ready, 0));
    ck_assert_status(tunnelcap_table_set_sa(w.table, 1, third, ready, 0), TUNNELCAP_E_FULL);
    ck_assert_status(tunnelcap_table_set_owner(w.table, 1, NULL, 1), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_set_owner(w.table, 1, w.pair.out, 1), TUNNELCAP_E_MODE);
    ck_assert_status(tunnelcap_table_set_owner(w.table, 1, twin, 1), TUNNELCAP_E_NOT_FOUND);
    ck_assert_status(tunnelcap_table_set_owner(w.table, 2, w.pair.in, 1), TUNNELCAP_E_NOT_FOUND);
    ck_assert_status(tunnelcap_table_remove_sa(w.table, 1, NULL), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_remove_sa(w.table, 2, w.pair.in), TUNNELCAP_E_NOT_FOUND);
    ck_assert_status(tunnelcap_table_remove_sa(w.table, 1, twin), TUNNELCAP_E_NOT_FOUND);
    test_ok(tunnelcap_table_remove(w.table, 1)); /* with its SAs: there is room again */
    test_ok(tunnelcap_table_set_esp(w.table, 1, NULL));
    test_ok(tunnelcap_table_set_sa(w.table, 1, third, ready, 0));
    test_ok(tunnelcap_table_set_sa(w.table, 1, twin, ready, 0));
    tunnelcap_table_abort(w.table);
    tunnelcap_pkt pkt = send(&w, TUNNELCAP_OK);
    tunnelcap_result result;
    ck_assert_status(receive(&w, &pkt, 0, &result), TUNNELCAP_OK); /* as before the change */
    test_pkt_free(&pkt);
    ck_assert_uint_eq(sa_count(&w), 2);
    ck_assert_status(tunnelcap_table_sa_at(w.table, 2, 0, &info, sizeof(info)),
                     TUNNELCAP_E_NOT_FOUND);
    ck_assert_status(tunnelcap_table_sa_at(w.table, 1, 0, NULL, sizeof(info)), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_sa_at(w.table, 1, 0, &info, sizeof(info) - 1),
                     TUNNELCAP_E_VERSION);
    end_sa(&w, twin);
    end_sa(&w, other);
    end_sa(&w, third);
    close_world(&w);
}
END_TEST

START_TEST(outbound_sa_in_transport_mode_is_none_of_an_esp_tunnel)
{
    tunnelcap_transform transform = test_gcm();
    tunnelcap_esp_config config = test_esp_config(TUNNELCAP_ESP_OUT, "192.0.2.1", "192.0.2.2");
    world w;
    open_world(&w);
    config.mode = TUNNELCAP_ESP_TRANSPORT;
    tunnelcap_esp *out = test_esp_new(&config, &transform, &w.pair.toy.crypto);
    ck_assert_status(become(&w, out, TUNNELCAP_SA_STAGED), TUNNELCAP_E_MODE);
    end_sa(&w, out);
    close_world(&w);
}
END_TEST

/* Whether an SA may go from one state (a row; 0: it is new) to another (a column). */
static const uint8_t may_become[5][6] = {
    {0, 1, 1, 1, 0, 0}, {0, 1, 1, 1, 0, 1}, {0, 0, 1, 1, 1, 1},
    {0, 0, 1, 1, 1, 1}, {0, 0, 0, 0, 1, 1},
};

static void lead_to(world *w, tunnelcap_esp *esp, uint32_t state)
{
    test_ok(tunnelcap_table_begin(w->table));
    if (state == TUNNELCAP_SA_DRAINING)
        test_ok(tunnelcap_table_set_sa(w->table, 1, esp, TUNNELCAP_SA_IN_READY, 0));
    if (state != 0)
        test_ok(tunnelcap_table_set_sa(w->table, 1, esp, state, 0));
    test_ok(tunnelcap_table_commit(w->table, NULL));
}

START_TEST(states_follow_one_another_as_documented)
{
    static const uint8_t directions[] = {TUNNELCAP_ESP_IN, TUNNELCAP_ESP_OUT};
    for (size_t d = 0; d < 2; d++) {
        for (uint32_t from = 0; from <= 4; from++) {
            for (uint32_t to = 1; to <= 5; to++) {
                world w;
                open_world(&w);
                tunnelcap_esp *esp = make_sa(&w, directions[d], 77777);
                lead_to(&w, esp, from);
                ck_assert_uint_eq(known(&w, directions[d], 77777).state, from);
                ck_assert_msg(become(&w, esp, to) ==
                                  (may_become[from][to] ? TUNNELCAP_OK : TUNNELCAP_E_STATE),
                              "%u to %u", from, to);
                uint32_t now = !may_become[from][to]               ? from
                               : to == TUNNELCAP_SA_DEAD && d == 1 ? 0
                                                                   : to;
                ck_assert_uint_eq(known(&w, directions[d], 77777).state, now);
                if (now == TUNNELCAP_SA_DEAD || now == 0)
                    ck_assert_status(become(&w, esp, TUNNELCAP_SA_DRAINING), TUNNELCAP_E_STATE);
                end_sa(&w, esp);
                close_world(&w);
            }
        }
    }
}
END_TEST

START_TEST(inbound_sa_receives_as_its_state_says)
{
    static const struct {
        uint32_t state;
        uint64_t until_ns, now_ns;
        int32_t want;
    } rows[] = {
        {TUNNELCAP_SA_STAGED, 0, 5, TUNNELCAP_E_NEED_SA},
        {TUNNELCAP_SA_IN_READY, 0, 5, TUNNELCAP_OK},
        {TUNNELCAP_SA_OUT_ACTIVE, 0, 5, TUNNELCAP_OK},
        {TUNNELCAP_SA_DRAINING, 0, UINT64_MAX, TUNNELCAP_OK},
        {TUNNELCAP_SA_DRAINING, 1000, 999, TUNNELCAP_OK},
        {TUNNELCAP_SA_DRAINING, 1000, 1000, TUNNELCAP_E_EXPIRED},
        {TUNNELCAP_SA_DRAINING, 2000, 1000, TUNNELCAP_OK}, /* another time */
        {TUNNELCAP_SA_DEAD, 0, 5, TUNNELCAP_E_EXPIRED},
    };
    world w;
    open_world(&w);
    tunnelcap_esp *in = make_sa(&w, TUNNELCAP_ESP_IN, 77777);
    tunnelcap_esp *out = make_sa(&w, TUNNELCAP_ESP_OUT, 77777);
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        tunnelcap_result result;
        test_ok(tunnelcap_table_begin(w.table));
        test_ok(tunnelcap_table_set_sa(w.table, 1, in, rows[i].state, rows[i].until_ns));
        test_ok(tunnelcap_table_commit(w.table, NULL));
        tunnelcap_sa_info info = known(&w, TUNNELCAP_ESP_IN, 77777);
        ck_assert_uint_eq(info.state, rows[i].state);
        ck_assert_uint_eq(info.until_ns, rows[i].until_ns);
        ck_assert_status(arrives(&w, out, rows[i].now_ns, &result), rows[i].want);
        ck_assert_uint_eq(result.tunnel, 1);
        ck_assert_uint_eq(result.action,
                          rows[i].want == TUNNELCAP_OK ? TUNNELCAP_DO_DELIVER : TUNNELCAP_DO_DROP);
        if (rows[i].state == TUNNELCAP_SA_DEAD) {
            end_sa(&w, in); /* its SPI is answered without it */
            ck_assert_status(arrives(&w, out, 5, &result), TUNNELCAP_E_EXPIRED);
        }
    }
    end_sa(&w, out);
    close_world(&w);
}
END_TEST

START_TEST(one_outbound_sa_sends_and_the_one_before_drains)
{
    world w;
    open_world(&w);
    tunnelcap_esp *next = make_sa(&w, TUNNELCAP_ESP_OUT, 77777);
    tunnelcap_esp_state state;
    tunnelcap_pkt pkt;
    test_ok(become(&w, next, TUNNELCAP_SA_STAGED));
    test_ok(become(&w, next, TUNNELCAP_SA_IN_READY));
    pkt = send(&w, TUNNELCAP_OK);
    ck_assert_uint_eq(test_load32(pkt.buf + pkt.off + 20), TEST_SPI);
    test_pkt_free(&pkt);
    test_ok(become(&w, next, TUNNELCAP_SA_OUT_ACTIVE));
    ck_assert_uint_eq(known(&w, TUNNELCAP_ESP_OUT, TEST_SPI).state, TUNNELCAP_SA_DRAINING);
    pkt = send(&w, TUNNELCAP_OK);
    ck_assert_uint_eq(test_load32(pkt.buf + pkt.off + 20), 77777);
    test_pkt_free(&pkt);
    ck_assert_status(become(&w, w.pair.out, TUNNELCAP_SA_OUT_ACTIVE), TUNNELCAP_E_STATE);
    test_ok(become(&w, w.pair.out, TUNNELCAP_SA_DEAD));
    ck_assert_uint_eq(known(&w, TUNNELCAP_ESP_OUT, TEST_SPI).state, 0);
    /* A pause, and an end. */
    test_ok(become(&w, next, TUNNELCAP_SA_IN_READY));
    pkt = send(&w, TUNNELCAP_E_NEED_SA);
    test_pkt_free(&pkt);
    test_ok(become(&w, next, TUNNELCAP_SA_OUT_ACTIVE));
    pkt = send(&w, TUNNELCAP_OK);
    test_pkt_free(&pkt);
    test_ok(become(&w, next, TUNNELCAP_SA_DRAINING));
    pkt = send(&w, TUNNELCAP_E_NEED_SA);
    test_pkt_free(&pkt);
    test_ok(tunnelcap_esp_get_state(next, &state, sizeof(state)));
    ck_assert_uint_eq(state.packets, 2);
    test_ok(become(&w, next, TUNNELCAP_SA_DEAD));
    end_sa(&w, next);
    close_world(&w);
}
END_TEST

/* Nothing of the tunnel's policy gets lost when another SA sends. */
START_TEST(policy_outlives_the_sa_that_sends)
{
    tunnelcap_tunnel_info before, after;
    tunnelcap_tunnel policy;
    world w;
    open_world(&w);
    tunnelcap_esp *next = make_sa(&w, TUNNELCAP_ESP_OUT, 77777);
    for (uint32_t kind = 0; kind < 3; kind++) {
        test_ok(tunnelcap_tunnel_init(&policy, sizeof(policy)));
        if (kind > 0) {
            policy.vrf = 9;
            policy.flags |= TUNNELCAP_TUNNEL_TTL_DECAP;
            policy.mtu = kind == 1 ? 1300 : 65535;
            policy.limit4 = 1000;
            policy.limit6 = 1240;
            policy.insert4 = 1200;
            policy.insert6 = 600;
            policy.path_mtu = kind == 1 ? 1450 : 0;
            policy.path_floor = 700;
            policy.icmp_rate = 7;
            policy.fragment_mode = TUNNELCAP_FRAGMENT_OUTER;
            policy.pmtu_mode = kind == 1 ? TUNNELCAP_PMTU_PROBE : TUNNELCAP_PMTU_FIXED;
            policy.interface4 = test_addr("10.255.0.0");
            policy.probe = test_addr("10.255.0.1");
        }
        test_ok(tunnelcap_table_begin(w.table));
        test_ok(tunnelcap_table_set_esp(w.table, 1, &policy));
        test_ok(tunnelcap_table_commit(w.table, NULL));
        test_ok(tunnelcap_table_get_info(w.table, 1, &before, sizeof(before)));
        const tunnelcap_i_view *view = tunnelcap_i_current(w.table);
        tunnelcap_i_tunnel slot = *tunnelcap_i_tunnel_in(w.table, view, 0);
        tunnelcap_esp *sends = kind == 1 ? w.pair.out : next;
        test_ok(tunnelcap_table_begin(w.table));
        test_ok(tunnelcap_table_set_sa(w.table, 1, sends, TUNNELCAP_SA_OUT_ACTIVE, 0));
        test_ok(tunnelcap_table_remove_sa(w.table, 1, kind == 1 ? next : w.pair.out));
        test_ok(tunnelcap_table_commit(w.table, NULL));
        test_ok(tunnelcap_table_get_info(w.table, 1, &after, sizeof(after)));
        before.key = after.key;
        ck_assert_mem_eq(&before, &after, sizeof(before));
        view = tunnelcap_i_current(w.table);
        slot.sa = sends;
        const tunnelcap_i_tunnel *now = tunnelcap_i_tunnel_in(w.table, view, 0);
        ck_assert_ptr_eq(slot.path, now->path); /* what is known of the path is kept */
        ck_assert_mem_eq(&slot, now, offsetof(tunnelcap_i_tunnel, as));
    }
    end_sa(&w, next);
    close_world(&w);
}
END_TEST

START_TEST(tunnel_that_is_set_again_keeps_its_sas_unless_it_is_another)
{
    tunnelcap_gre_config gre = test_gre_config("192.0.2.1", "192.0.2.9", 0);
    tunnelcap_tunnel policy;
    world w;
    open_world(&w);
    test_ok(tunnelcap_tunnel_init(&policy, sizeof(policy)));
    policy.vrf = 3;
    for (uint32_t step = 0; step < 4; step++) {
        test_ok(tunnelcap_table_begin(w.table));
        if (step == 1)
            policy.outer_vrf = 4; /* SAs are found there and not here */
        if (step == 2) {
            test_ok(tunnelcap_table_set_gre(w.table, 1, &policy, &gre));
        } else {
            test_ok(tunnelcap_table_set_esp(w.table, 1, &policy));
        }
        if (step == 3) { /* there and back: gone, in both views */
            test_sa_pair(w.table, 1, w.pair.in, w.pair.out);
            policy.outer_vrf = 5;
            test_ok(tunnelcap_table_set_esp(w.table, 1, &policy));
            policy.outer_vrf = 4;
            test_ok(tunnelcap_table_set_esp(w.table, 1, &policy));
        }
        test_ok(tunnelcap_table_commit(w.table, NULL));
        ck_assert_uint_eq(sa_count(&w), step == 0 ? 2 : 0);
        test_ok(tunnelcap_table_begin(w.table)); /* the other view has followed */
        tunnelcap_table_abort(w.table);
        ck_assert_mem_eq(w.table->views[0].head, w.table->views[1].head, w.table->view_size);
        if (step == 1) {
            test_ok(tunnelcap_table_begin(w.table));
            test_sa_pair(w.table, 1, w.pair.in, w.pair.out);
            test_ok(tunnelcap_table_commit(w.table, NULL));
            ck_assert_uint_eq(sa_count(&w), 2);
        }
    }
    close_world(&w);
}
END_TEST

START_TEST(dead_sas_give_way_the_oldest_first)
{
    tunnelcap_esp *in[6], *out[6];
    tunnelcap_result result;
    world w;
    open_world(&w);
    test_ok(tunnelcap_table_begin(w.table));
    test_ok(tunnelcap_table_remove_sa(w.table, 1, w.pair.in));
    test_ok(tunnelcap_table_remove_sa(w.table, 1, w.pair.out));
    test_ok(tunnelcap_table_commit(w.table, NULL));
    for (uint32_t i = 0; i < 6; i++) {
        in[i] = make_sa(&w, TUNNELCAP_ESP_IN, 1000 + i);
        out[i] = make_sa(&w, TUNNELCAP_ESP_OUT, 1000 + i);
    }
    for (uint32_t i = 0; i < 3; i++)
        test_ok(become(&w, in[i], TUNNELCAP_SA_IN_READY));
    ck_assert_status(become(&w, in[3], TUNNELCAP_SA_IN_READY), TUNNELCAP_E_FULL);
    test_ok(become(&w, in[1], TUNNELCAP_SA_DEAD));
    test_ok(become(&w, in[0], TUNNELCAP_SA_DEAD));
    test_ok(become(&w, in[3], TUNNELCAP_SA_IN_READY)); /* in place of 1 */
    ck_assert_status(arrives(&w, out[1], 0, &result), TUNNELCAP_E_NEED_SA);
    ck_assert_status(arrives(&w, out[0], 0, &result), TUNNELCAP_E_EXPIRED);
    ck_assert_status(arrives(&w, out[3], 0, &result), TUNNELCAP_OK);
    /* A new SA may have the SPI of a dead one, and takes its place. */
    tunnelcap_esp *again = make_sa(&w, TUNNELCAP_ESP_IN, 1000);
    test_ok(become(&w, again, TUNNELCAP_SA_IN_READY));
    ck_assert_status(arrives(&w, out[0], 0, &result), TUNNELCAP_OK);
    ck_assert_uint_eq(sa_count(&w), 3);
    ck_assert_status(become(&w, in[4], TUNNELCAP_SA_IN_READY), TUNNELCAP_E_FULL);
    test_ok(tunnelcap_table_begin(w.table)); /* the other view has followed */
    tunnelcap_table_abort(w.table);
    ck_assert_mem_eq(w.table->views[0].head, w.table->views[1].head, w.table->view_size);
    end_sa(&w, again);
    for (uint32_t i = 0; i < 6; i++) {
        end_sa(&w, in[i]);
        end_sa(&w, out[i]);
    }
    close_world(&w);
}
END_TEST

START_TEST(sas_of_one_spi_differ_by_address)
{
    tunnelcap_transform transform = test_gcm();
    tunnelcap_esp_config config = test_esp_config(TUNNELCAP_ESP_IN, "192.0.2.1", "192.0.2.77");
    world w;
    open_world(&w);
    tunnelcap_esp *elsewhere = test_esp_new(&config, &transform, &w.pair.toy.crypto);
    memset(&config.outer.local, 0, sizeof(config.outer.local));
    tunnelcap_esp *anywhere = test_esp_new(&config, &transform, &w.pair.toy.crypto);
    test_ok(become(&w, elsewhere, TUNNELCAP_SA_IN_READY));
    ck_assert_status(become(&w, anywhere, TUNNELCAP_SA_IN_READY), TUNNELCAP_E_EXISTS);
    tunnelcap_result result;
    ck_assert_status(arrives(&w, w.pair.out, 0, &result), TUNNELCAP_OK);
    ck_assert_uint_eq(test_esp_state(w.pair.in).packets, 1);
    ck_assert_uint_eq(test_esp_state(elsewhere).packets, 0);
    /* Dead, both give way to the one that answers at any address. */
    test_ok(become(&w, elsewhere, TUNNELCAP_SA_DEAD));
    test_ok(become(&w, w.pair.in, TUNNELCAP_SA_DEAD));
    test_ok(become(&w, anywhere, TUNNELCAP_SA_IN_READY));
    ck_assert_uint_eq(sa_count(&w), 2);
    ck_assert_status(arrives(&w, w.pair.out, 0, &result), TUNNELCAP_OK);
    end_sa(&w, elsewhere);
    end_sa(&w, anywhere);
    close_world(&w);
}
END_TEST

START_TEST(packets_of_another_servers_sa_are_forwarded)
{
    tunnelcap_result result;
    world w;
    open_world(&w);
    for (uint32_t owner = 0; owner < 3; owner++) {
        test_ok(tunnelcap_table_begin(w.table));
        test_ok(tunnelcap_table_set_owner(w.table, 1, w.pair.in, owner * 40));
        test_ok(tunnelcap_table_commit(w.table, NULL));
        ck_assert_uint_eq(known(&w, TUNNELCAP_ESP_IN, TEST_SPI).owner, owner * 40);
        ck_assert_status(arrives(&w, w.pair.out, 0, &result),
                         owner == 0 ? TUNNELCAP_OK : TUNNELCAP_E_NOT_OWNER);
        if (owner == 0)
            continue;
        ck_assert_uint_eq(result.action, TUNNELCAP_DO_FORWARD);
        ck_assert_uint_eq(result.value, owner * 40);
        ck_assert_uint_eq(result.tunnel, 1);
    }
    ck_assert_uint_eq(test_esp_state(w.pair.in).packets, 1);
    /* A state is a state, whoever receives. */
    test_ok(become(&w, w.pair.in, TUNNELCAP_SA_DRAINING));
    ck_assert_status(arrives(&w, w.pair.out, 0, &result), TUNNELCAP_E_NOT_OWNER);
    ck_assert_uint_eq(known(&w, TUNNELCAP_ESP_IN, TEST_SPI).owner, 80);
    test_ok(become(&w, w.pair.in, TUNNELCAP_SA_DEAD));
    ck_assert_status(arrives(&w, w.pair.out, 0, &result), TUNNELCAP_E_EXPIRED);
    close_world(&w);
}
END_TEST

Suite *test_table_sas_suite(void)
{
    const TTest *tests[] = {
        esp_goes_through_a_table_and_back,
        without_an_sa_the_table_says_which_one_it_needs,
        reserved_spis_are_not_asked_for,
        changes_of_sas_are_refused_with_their_reasons,
        outbound_sa_in_transport_mode_is_none_of_an_esp_tunnel,
        states_follow_one_another_as_documented,
        inbound_sa_receives_as_its_state_says,
        one_outbound_sa_sends_and_the_one_before_drains,
        policy_outlives_the_sa_that_sends,
        tunnel_that_is_set_again_keeps_its_sas_unless_it_is_another,
        dead_sas_give_way_the_oldest_first,
        sas_of_one_spi_differ_by_address,
        packets_of_another_servers_sa_are_forwarded,
    };
    return test_suite("table_sas", tests, TEST_COUNT(tests));
}
