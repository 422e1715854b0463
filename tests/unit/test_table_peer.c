/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* ESP tunnels whose far end is not known, or moves. */
#include "esp_kit.h"

static test_frame frame;

/* A server at 192.0.2.1 with a tunnel to whoever has the keys, and the peer's two SAs. */
typedef struct world {
    test_toy toy;
    tunnelcap_table *table;
    tunnelcap_lane *lane;
    tunnelcap_esp *out, *in;           /* the server's */
    tunnelcap_esp *peer_out, *peer_in; /* the peer's */
} world;

static world w;

static tunnelcap_esp *make_out(uint32_t spi, uint32_t flags, const char *remote)
{
    tunnelcap_transform transform = test_gcm();
    tunnelcap_esp_config config =
        test_esp_config(TUNNELCAP_ESP_OUT, "192.0.2.1", remote == NULL ? "192.0.2.2" : remote);
    config.spi = spi;
    config.flags = flags;
    if (remote == NULL) {
        config.flags |= TUNNELCAP_ESP_ANY_PEER;
        memset(&config.outer.remote, 0, sizeof(config.outer.remote));
    }
    return test_esp_new(&config, &transform, &w.toy.crypto);
}

static void open_world(uint32_t flags)
{
    tunnelcap_transform transform = test_gcm();
    tunnelcap_route route = test_route("10.2.0.0/16", 1);
    test_toy_init(&w.toy);
    w.table = test_table_new(1, 1, 1);
    w.lane = test_crypto_lane(&w.toy.crypto, 8);
    test_ok(tunnelcap_table_attach(w.table, w.lane));
    w.out = make_out(0x2001, flags, NULL);
    tunnelcap_esp_config config = test_esp_config(TUNNELCAP_ESP_IN, "203.0.113.5", "192.0.2.1");
    config.spi = 0x2002;
    config.flags = flags;
    memset(&config.outer.remote, 0, sizeof(config.outer.remote));
    w.in = test_esp_new(&config, &transform, &w.toy.crypto);
    config = test_esp_config(TUNNELCAP_ESP_OUT, "203.0.113.5", "192.0.2.1");
    config.spi = 0x2002;
    config.flags = flags;
    config.udp_src_port = 4500;
    w.peer_out = test_esp_new(&config, &transform, &w.toy.crypto);
    config = test_esp_config(TUNNELCAP_ESP_IN, "192.0.2.1", "203.0.113.5");
    config.spi = 0x2001;
    config.flags = flags;
    memset(&config.outer.local, 0, sizeof(config.outer.local));
    config.udp_dst_port = 61000;
    w.peer_in = test_esp_new(&config, &transform, &w.toy.crypto);
    test_ok(tunnelcap_table_begin(w.table));
    test_ok(tunnelcap_table_set_esp(w.table, 1, NULL));
    test_sa_pair(w.table, 1, w.in, w.out);
    test_ok(tunnelcap_table_set_route(w.table, &route));
    test_ok(tunnelcap_table_commit(w.table, NULL));
}

static void close_world(void)
{
    tunnelcap_esp *all[] = {w.out, w.in, w.peer_out, w.peer_in};
    for (size_t i = 0; i < TEST_COUNT(all); i++)
        tunnelcap_esp_forget(all[i], w.lane);
    test_table_end(w.table, w.lane);
    for (size_t i = 0; i < TEST_COUNT(all); i++)
        tunnelcap_esp_free(all[i]);
}

/* A packet of the peer as NAT lets it out: from another address, and another port. */
static tunnelcap_pkt from_peer(const char *src, uint16_t port)
{
    test_ip inner = test_between("10.2.0.1", "10.1.0.1");
    tunnelcap_addr addr = test_addr(src);
    test_udp_packet(&frame, &inner, 30);
    tunnelcap_pkt pkt = test_esp_pkt(&frame);
    test_ok(test_esp_encap(w.peer_out, w.lane, &pkt, NULL));
    uint8_t *p = pkt.buf + pkt.off;
    memcpy(p + 12, addr.bytes, 4);
    if (p[9] == 17)
        test_store16(p + 20, port);
    test_store16(p + 10, 0);
    test_store16(p + 10, (uint16_t)~test_sum(0, p, 20));
    return pkt;
}

static int32_t hear(tunnelcap_pkt *pkt, tunnelcap_result *result)
{
    return test_table_one(w.lane, TUNNELCAP_DECAP, pkt, NULL, result);
}

/* What the server sends, which must be what the peer understands; NULL: it cannot send. */
static void sends_to(const char *dst, uint16_t port)
{
    tunnelcap_result result;
    test_ip inner = test_between("10.1.0.1", "10.2.0.1");
    test_udp_packet(&frame, &inner, 30);
    tunnelcap_pkt pkt = test_esp_pkt(&frame);
    ck_assert_status(test_table_one(w.lane, TUNNELCAP_ENCAP, &pkt, NULL, &result),
                     dst == NULL ? TUNNELCAP_E_NEED_SA : TUNNELCAP_OK);
    ck_assert_uint_eq(result.tunnel, 1);
    if (dst != NULL) {
        const uint8_t *p = pkt.buf + pkt.off;
        tunnelcap_addr addr = test_addr(dst);
        ck_assert_mem_eq(p + 16, addr.bytes, 4);
        ck_assert_uint_eq(test_sum(0, p, 20), 0xffff);
        if (p[9] == 17)
            ck_assert_uint_eq(p[22] << 8 | p[23], port);
        test_ok(test_esp_decap(w.peer_in, w.lane, &pkt, NULL, NULL));
        ck_assert_mem_eq(pkt.buf + pkt.off, frame.bytes, frame.len);
    }
    test_pkt_free(&pkt);
}

static int32_t set_peer(const char *addr, uint16_t port)
{
    tunnelcap_addr peer = test_addr(addr);
    test_ok(tunnelcap_table_begin(w.table));
    int32_t status = tunnelcap_table_set_peer(w.table, 1, &peer, port);
    test_ok(tunnelcap_table_commit(w.table, NULL));
    return status;
}

static tunnelcap_tunnel_info info(void)
{
    tunnelcap_tunnel_info facts;
    test_ok(tunnelcap_table_get_info(w.table, 1, &facts, sizeof(facts)));
    return facts;
}

START_TEST(far_end_that_is_not_known_is_learned_from_its_first_packet)
{
    for (uint32_t udp = 0; udp <= 1; udp++) {
        tunnelcap_result result;
        tunnelcap_event event;
        open_world(udp ? TUNNELCAP_ESP_UDP : 0);
        sends_to(NULL, 0);
        ck_assert_uint_eq(info().inner_mtu, udp ? 1438 : 1446);
        ck_assert_uint_eq(info().remote.family, 0);
        tunnelcap_pkt pkt = from_peer("198.18.0.9", 61000);
        pkt.buf[pkt.off + pkt.len - 1] ^= 1; /* what is not verified tells nothing */
        ck_assert_status(hear(&pkt, &result), TUNNELCAP_E_AUTH);
        ck_assert_uint_eq(tunnelcap_lane_events(w.lane, &event, 1, NULL), 0);
        test_pkt_free(&pkt);
        pkt = from_peer("198.18.0.7", 61000);
        tunnelcap_pkt again = test_pkt(pkt.buf + pkt.off, pkt.len, 0);
        test_ok(hear(&pkt, &result));
        ck_assert_uint_eq(result.flags, TUNNELCAP_RESULT_PEER_MOVED);
        ck_assert_uint_eq(tunnelcap_lane_events(w.lane, &event, 1, NULL), 1);
        ck_assert_uint_eq(event.kind, TUNNELCAP_EVENT_PEER_MOVED);
        ck_assert_uint_eq(event.port, udp ? 61000 : 0);
        test_pkt_free(&pkt);
        /* A copy of it from elsewhere moves nothing. */
        again.buf[15] = 66;
        test_store16(again.buf + 10, 0);
        test_store16(again.buf + 10, (uint16_t)~test_sum(0, again.buf, 20));
        ck_assert_status(hear(&again, &result), TUNNELCAP_E_REPLAY);
        tunnelcap_event none;
        ck_assert_uint_eq(tunnelcap_lane_events(w.lane, &none, 1, NULL), 0);
        test_pkt_free(&again);
        sends_to(NULL, 0); /* to follow is the writer's decision */
        test_ok(tunnelcap_table_begin(w.table));
        test_ok(tunnelcap_table_set_peer(w.table, event.tunnel, &event.addr, event.port));
        tunnelcap_table_abort(w.table);
        sends_to(NULL, 0);
        test_ok(tunnelcap_table_begin(w.table));
        test_ok(tunnelcap_table_set_peer(w.table, event.tunnel, &event.addr, event.port));
        test_ok(tunnelcap_table_commit(w.table, NULL));
        sends_to("198.18.0.7", 61000);
        tunnelcap_addr addr = test_addr("198.18.0.7");
        tunnelcap_addr remote = info().remote;
        ck_assert_mem_eq(&remote, &addr, sizeof(addr));
        ck_assert_uint_eq(info().udp_port, udp ? 61000 : 0);
        ck_assert_uint_eq(info().path_mtu, 1500);
        close_world();
    }
}
END_TEST

START_TEST(far_end_moves_and_later_sas_go_where_it_is)
{
    open_world(TUNNELCAP_ESP_UDP);
    test_ok(set_peer("198.18.0.7", 61000));
    sends_to("198.18.0.7", 61000);
    test_ok(set_peer("198.19.255.3", 0)); /* the port as it is configured */
    ck_assert_uint_eq(info().udp_port, 4500);
    test_ok(set_peer("198.19.255.3", 61000));
    sends_to("198.19.255.3", 61000);
    /* The policy of the tunnel changes, and the SA pauses: it is still there. */
    tunnelcap_tunnel policy;
    test_ok(tunnelcap_tunnel_init(&policy, sizeof(policy)));
    policy.mtu = 1300;
    test_ok(tunnelcap_table_begin(w.table));
    test_ok(tunnelcap_table_set_esp(w.table, 1, &policy));
    test_ok(tunnelcap_table_set_sa(w.table, 1, w.out, TUNNELCAP_SA_IN_READY, 0));
    test_ok(tunnelcap_table_commit(w.table, NULL));
    sends_to(NULL, 0);
    test_ok(tunnelcap_table_begin(w.table));
    test_ok(tunnelcap_table_set_esp(w.table, 1, &policy));
    test_ok(tunnelcap_table_set_sa(w.table, 1, w.out, TUNNELCAP_SA_OUT_ACTIVE, 0));
    test_ok(tunnelcap_table_commit(w.table, NULL));
    sends_to("198.19.255.3", 61000);
    ck_assert_uint_eq(info().inner_mtu, 1300);
    /* A new SA that leaves the far end open; and one that knows better. */
    for (uint32_t known = 0; known <= 1; known++) {
        tunnelcap_esp *next =
            make_out(0x3001 + known, TUNNELCAP_ESP_UDP, known ? "198.18.9.9" : NULL);
        test_ok(tunnelcap_table_begin(w.table));
        test_ok(tunnelcap_table_set_sa(w.table, 1, next, TUNNELCAP_SA_OUT_ACTIVE, 0));
        test_ok(tunnelcap_table_set_sa(w.table, 1, w.out, TUNNELCAP_SA_DEAD, 0));
        test_ok(tunnelcap_table_commit(w.table, NULL));
        tunnelcap_addr addr = test_addr(known ? "198.18.9.9" : "198.19.255.3");
        tunnelcap_addr remote = info().remote;
        ck_assert_mem_eq(&remote, &addr, sizeof(addr));
        ck_assert_uint_eq(info().udp_port, known ? 4500 : 61000);
        tunnelcap_esp_forget(w.out, w.lane);
        tunnelcap_esp_free(w.out);
        w.out = next;
    }
    close_world();
}
END_TEST

/* ICMP errors are about where packets go now. */
START_TEST(path_to_a_new_address_is_another_path)
{
    static const char *const quoted[] = {"198.18.0.8", "198.18.0.7"};
    tunnelcap_result result;
    open_world(0);
    for (uint32_t i = 0; i < 2; i++) {
        test_ok(set_peer(i == 0 ? "198.18.0.8" : "198.18.0.7", 0));
        sends_to(i == 0 ? "198.18.0.8" : "198.18.0.7", 0);
        ck_assert_uint_eq(info().path_mtu, 1500);
        for (uint32_t k = 0; k < 2; k++) {
            test_ip router = test_between("203.0.113.250", "192.0.2.1");
            test_ip lost = test_between("192.0.2.1", quoted[k]);
            uint8_t esp[8] = {0, 0, 0x20, 1, 0, 0, 0, 1};
            frame.len = 0;
            test_push(&frame, esp, sizeof(esp));
            test_push_ip(&frame, &lost, 50);
            test_store16(frame.bytes + 2, 1500);
            test_store16(frame.bytes + 10, 0);
            test_store16(frame.bytes + 10, (uint16_t)~test_sum(0, frame.bytes, 20));
            test_push_icmp_word(&frame, &router, 3, 4, 1300 + i);
            test_push_ip(&frame, &router, 1);
            tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 64);
            ck_assert_status(hear(&pkt, &result), k == i ? TUNNELCAP_OK : TUNNELCAP_E_ICMP);
            test_pkt_free(&pkt);
        }
        ck_assert_uint_eq(info().path_mtu, 1300 + i);
    }
    close_world();
}
END_TEST

START_TEST(peers_are_refused_with_their_reasons)
{
    static const char *const bad[] = {"2001:db8::7", "0.0.0.0", "224.0.0.1", "255.255.255.255",
                                      "192.0.2.1"};
    tunnelcap_addr good = test_addr("198.18.0.7");
    open_world(0);
    ck_assert_status(tunnelcap_table_set_peer(w.table, 1, &good, 0), TUNNELCAP_E_STATE);
    for (size_t i = 0; i < TEST_COUNT(bad); i++)
        ck_assert_status(set_peer(bad[i], 0), TUNNELCAP_E_ADDRESS);
    sends_to(NULL, 0);
    test_ok(tunnelcap_table_begin(w.table));
    ck_assert_status(tunnelcap_table_set_peer(NULL, 1, &good, 0), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_set_peer(w.table, 1, NULL, 0), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_table_set_peer(w.table, 2, &good, 0), TUNNELCAP_E_NOT_FOUND);
    test_ok(tunnelcap_table_remove_sa(w.table, 1, w.out));
    ck_assert_status(tunnelcap_table_set_peer(w.table, 1, &good, 0), TUNNELCAP_E_NEED_SA);
    tunnelcap_table_abort(w.table);
    close_world();
}
END_TEST

/* Without a table nobody tells such an SA where to. */
START_TEST(sa_without_far_end_sends_nothing_by_itself)
{
    tunnelcap_transform transform = test_gcm();
    tunnelcap_esp_config config = test_esp_config(TUNNELCAP_ESP_OUT, "192.0.2.1", "192.0.2.2");
    tunnelcap_esp *esp = NULL;
    open_world(TUNNELCAP_ESP_UDP);
    test_ip inner = test_between("10.1.0.1", "10.2.0.1");
    test_udp_packet(&frame, &inner, 30);
    tunnelcap_pkt pkt = test_esp_pkt(&frame);
    test_snapshot snap = test_snap(&pkt);
    ck_assert_status(test_esp_encap(w.out, w.lane, &pkt, NULL), TUNNELCAP_E_NEED_SA);
    pkt.status = snap.pkt.status;
    test_unchanged(&snap, &pkt);
    ck_assert_status(tunnelcap_esp_keepalive(w.out, &pkt), TUNNELCAP_E_NEED_SA);
    ck_assert_uint_eq(test_esp_state(w.out).packets, 0);
    test_pkt_free(&pkt);
    config.flags = TUNNELCAP_ESP_ANY_PEER;
    ck_assert_status(tunnelcap_esp_new(&config, &transform, &w.toy.crypto, test_alloc(), &esp),
                     TUNNELCAP_E_ADDRESS);
    config.direction = TUNNELCAP_ESP_IN;
    ck_assert_status(tunnelcap_esp_new(&config, &transform, &w.toy.crypto, test_alloc(), &esp),
                     TUNNELCAP_E_FLAGS);
    config.direction = TUNNELCAP_ESP_OUT;
    config.mode = TUNNELCAP_ESP_TRANSPORT;
    ck_assert_status(tunnelcap_esp_new(&config, &transform, &w.toy.crypto, test_alloc(), &esp),
                     TUNNELCAP_E_FLAGS);
    close_world();
}
END_TEST

Suite *test_table_peer_suite(void)
{
    const TTest *tests[] = {
        far_end_that_is_not_known_is_learned_from_its_first_packet,
        far_end_moves_and_later_sas_go_where_it_is,
        path_to_a_new_address_is_another_path,
        peers_are_refused_with_their_reasons,
        sa_without_far_end_sends_nothing_by_itself,
    };
    return test_suite("table_peer", tests, TEST_COUNT(tests));
}
