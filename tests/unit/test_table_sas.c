/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* ESP tunnels in a table: security associations that callers own. */
#include "esp_kit.h"

static test_frame frame;

/* A table of one ESP tunnel, with room for one inbound SA, and a lane with a crypto provider. */
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
    config.sas = 1;
    test_ok(tunnelcap_table_new(&config, test_seed, NULL, &w->table));
    test_ok(tunnelcap_table_attach(w->table, w->pair.lane));
    test_ok(tunnelcap_table_begin(w->table));
    test_ok(tunnelcap_table_set_esp(w->table, 1, NULL, w->pair.out));
    test_ok(tunnelcap_table_set_sa(w->table, 1, w->pair.in));
    test_ok(tunnelcap_table_set_route(w->table, &route));
    test_ok(tunnelcap_table_commit(w->table, NULL));
}

static void close_world(world *w)
{
    test_ok(tunnelcap_table_detach(w->table, w->pair.lane));
    tunnelcap_table_free(w->table);
    test_pair_close(&w->pair);
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
    tunnelcap_tunnel tunnel;
    tunnelcap_result result;
    world w;
    open_world(&w);
    tunnelcap_pkt pkt = send(&w, TUNNELCAP_OK);
    ck_assert_status(receive(&w, &pkt, 7, &result), TUNNELCAP_E_NEED_SA); /* another VRF */
    ck_assert_uint_eq(result.spi, TEST_SPI);
    ck_assert_uint_eq(result.tunnel, 0);

    test_ok(tunnelcap_tunnel_init(&tunnel, sizeof(tunnel)));
    test_ok(tunnelcap_table_begin(w.table));
    ck_assert_status(tunnelcap_table_set_esp(w.table, 1, &tunnel, NULL), TUNNELCAP_E_RANGE);
    tunnel.mtu = 1400;
    test_ok(tunnelcap_table_set_esp(w.table, 1, &tunnel, NULL));
    test_ok(tunnelcap_table_remove_sa(w.table, w.pair.in));
    ck_assert_status(tunnelcap_table_remove_sa(w.table, w.pair.in), TUNNELCAP_E_NOT_FOUND);
    test_ok(tunnelcap_table_commit(w.table, NULL));
    ck_assert_status(receive(&w, &pkt, 0, &result), TUNNELCAP_E_NEED_SA);
    test_pkt_free(&pkt);
    pkt = send(&w, TUNNELCAP_E_NEED_SA);
    test_pkt_free(&pkt);
    close_world(&w);
}
END_TEST

START_TEST(changes_of_sas_are_refused_with_their_reasons)
{
    tunnelcap_transform transform = test_gcm();
    tunnelcap_esp_config config = test_esp_config(TUNNELCAP_ESP_IN, "192.0.2.1", "192.0.2.2");
    world w;
    open_world(&w);
    tunnelcap_esp *twin = test_esp_new(&config, &transform, &w.pair.toy.crypto);
    config.spi++;
    tunnelcap_esp *other = test_esp_new(&config, &transform, &w.pair.toy.crypto);
    ck_assert_status(tunnelcap_table_set_sa(w.table, 1, other), TUNNELCAP_E_STATE);
    ck_assert_status(tunnelcap_table_remove_sa(w.table, other), TUNNELCAP_E_STATE);
    test_ok(tunnelcap_table_begin(w.table));
    ck_assert_status(tunnelcap_table_set_sa(w.table, 1, NULL), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_set_sa(w.table, 2, other), TUNNELCAP_E_NOT_FOUND);
    ck_assert_status(tunnelcap_table_set_sa(w.table, 1, w.pair.out), TUNNELCAP_E_MODE);
    ck_assert_status(tunnelcap_table_set_esp(w.table, 1, NULL, w.pair.in), TUNNELCAP_E_MODE);
    ck_assert_status(tunnelcap_table_set_sa(w.table, 1, other), TUNNELCAP_E_FULL);
    ck_assert_status(tunnelcap_table_set_sa(w.table, 1, w.pair.in), TUNNELCAP_OK);
    ck_assert_status(tunnelcap_table_set_sa(w.table, 1, twin), TUNNELCAP_E_EXISTS);
    test_ok(tunnelcap_table_remove(w.table, 1)); /* with its SA: there is room again */
    test_ok(tunnelcap_table_set_esp(w.table, 1, NULL, w.pair.out));
    test_ok(tunnelcap_table_set_sa(w.table, 1, other));
    tunnelcap_table_abort(w.table);
    tunnelcap_pkt pkt = send(&w, TUNNELCAP_OK);
    tunnelcap_result result;
    ck_assert_status(receive(&w, &pkt, 0, &result), TUNNELCAP_OK); /* as before the change */
    test_pkt_free(&pkt);
    tunnelcap_esp_free(twin);
    tunnelcap_esp_free(other);
    close_world(&w);
}
END_TEST

Suite *test_table_sas_suite(void)
{
    const TTest *tests[] = {
        esp_goes_through_a_table_and_back,
        without_an_sa_the_table_says_which_one_it_needs,
        changes_of_sas_are_refused_with_their_reasons,
    };
    return test_suite("table_sas", tests, TEST_COUNT(tests));
}
