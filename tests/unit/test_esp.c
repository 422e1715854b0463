/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The object: configurations, sizes, both doors, and what is told about an SA. */
#include "esp_kit.h"

static tunnelcap_esp_config out4(void)
{
    return test_esp_config(TUNNELCAP_ESP_OUT, "192.0.2.1", "192.0.2.2");
}

static tunnelcap_esp_config in4(void)
{
    return test_esp_config(TUNNELCAP_ESP_IN, "192.0.2.1", "192.0.2.2");
}

/* What init and size say of a configuration; they must agree, and init must leave no key. */
static int32_t try_init(const tunnelcap_esp_config *config, const tunnelcap_transform *transform)
{
    test_toy toy;
    const tunnelcap_crypto *crypto = test_toy_init(&toy);
    tunnelcap_esp *esp = NULL;
    tunnelcap_esp_config *caller = test_copy(config, sizeof(*config));
    void *mem = test_arena(65536);
    int32_t status = tunnelcap_esp_init(mem, 65536, caller, transform, crypto, &esp);
    ck_assert_uint_eq(tunnelcap_esp_size(caller, transform, crypto) != 0, status == TUNNELCAP_OK);
    ck_assert_uint_eq(esp != NULL, status == TUNNELCAP_OK);
    ck_assert_uint_eq(toy.keys_live, status == TUNNELCAP_OK);
    free(caller);
    tunnelcap_esp_fini(esp);
    test_arena_free(mem);
    ck_assert_uint_eq(toy.keys_live, 0);
    return status;
}

START_TEST(config_init_fills_the_documented_defaults)
{
    tunnelcap_esp_config config, want;
    memset(&config, 0xff, sizeof(config));
    memset(&want, 0, sizeof(want));
    want.size = sizeof(want);
    want.outer.ttl = 64;
    want.outer.df_mode = TUNNELCAP_DF_COPY;
    want.replay_window = 64;
    want.udp_src_port = want.udp_dst_port = 4500;
    want.direction = TUNNELCAP_ESP_OUT;
    want.mode = TUNNELCAP_ESP_TUNNEL;
    want.replay_mode = TUNNELCAP_REPLAY_WINDOW;
    ck_assert_status(tunnelcap_esp_config_init(&config, sizeof(config)), TUNNELCAP_OK);
    ck_assert_mem_eq(&config, &want, sizeof(want));
    ck_assert_status(tunnelcap_esp_config_init(NULL, sizeof(config)), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_esp_config_init(&config, sizeof(config) - 1), TUNNELCAP_E_VERSION);
}
END_TEST

START_TEST(the_defaults_start_at_1_in_both_directions)
{
    test_pair pair;
    tunnelcap_transform gcm = test_gcm();
    tunnelcap_esp_config out = out4(), in = in4();
    out.seq_start = in.seq_start = 0;
    test_pair_make(&pair, &gcm, &out, &in);
    ck_assert_uint_eq(test_esp_state(pair.out).seq, 1);
    ck_assert_uint_eq(test_esp_state(pair.out).packets_left, UINT32_MAX);
    ck_assert_uint_eq(test_esp_state(pair.in).seq, 0);
    test_pair_close(&pair);
}
END_TEST

typedef void test_change(tunnelcap_esp_config *c);
#define CHANGE(name, statement)                                                                    \
    static void name(tunnelcap_esp_config *c)                                                      \
    {                                                                                              \
        statement;                                                                                 \
    }
CHANGE(nothing, (void)c)
CHANGE(bad_size, c->size--)
CHANGE(flag_16, c->flags = 16)
CHANGE(direction_0, c->direction = 0)
CHANGE(direction_3, c->direction = 3)
CHANGE(mode_0, c->mode = 0)
CHANGE(mode_3, c->mode = 3)
CHANGE(spi_0, c->spi = 0)
CHANGE(spi_1, c->spi = 1)
CHANGE(spi_max, c->spi = UINT32_MAX)
CHANGE(src_port_0, c->udp_src_port = 0)
CHANGE(dst_port_0, c->udp_dst_port = 0)
CHANGE(reserved_0, c->reserved[0] = 1)
CHANGE(reserved_last, c->reserved[sizeof(c->reserved) - 1] = 1)
CHANGE(outer_reserved, c->outer.reserved[0] = 1)
CHANGE(no_local, memset(&c->outer.local, 0, sizeof(c->outer.local)))
CHANGE(no_remote, memset(&c->outer.remote, 0, sizeof(c->outer.remote)))
CHANGE(mixed_families, c->outer.remote = test_addr("2001:db8::2"))
CHANGE(any_from_ipv6, (no_local(c), mixed_families(c)))
CHANGE(ecn_3, c->outer.ecn_mode = 3)
CHANGE(dscp_64, c->outer.dscp = 64)
CHANGE(start_last, c->seq_start = UINT32_MAX)
CHANGE(start_wide, c->seq_start = (uint64_t)UINT32_MAX + 1)
CHANGE(start_wide_esn, (c->flags = TUNNELCAP_ESP_ESN, start_wide(c)))
CHANGE(start_end_esn, (c->flags = TUNNELCAP_ESP_ESN, c->seq_start = UINT64_MAX))
CHANGE(tfc_size, c->tfc_size = 65535)
CHANGE(tfc_size_big, c->tfc_size = 65536)
CHANGE(tfc_multiple, c->tfc_multiple = 65535)
CHANGE(tfc_multiple_big, c->tfc_multiple = 65536)
CHANGE(transport, c->mode = TUNNELCAP_ESP_TRANSPORT)
CHANGE(transport_any, (transport(c), no_local(c), no_remote(c)))
CHANGE(transport_tfc_size, (transport(c), c->tfc_size = 100))
CHANGE(transport_tfc_multiple, (transport(c), c->tfc_multiple = 4))
CHANGE(nonce_unset, c->nonce_origin = TUNNELCAP_NONCE_UNSET)
CHANGE(nonce_4, c->nonce_origin = 4)
CHANGE(resume, (c->nonce_origin = TUNNELCAP_NONCE_RESUME, c->iv_start = UINT64_MAX))
CHANGE(sender, (c->nonce_origin = TUNNELCAP_NONCE_SENDER, c->sender_id_bits = 8))
CHANGE(sender_255, (sender(c), c->sender_id = 255))
CHANGE(sender_256, (sender(c), c->sender_id = 256))
CHANGE(sender_32, (sender(c), c->sender_id_bits = 32, c->sender_id = UINT32_MAX))
CHANGE(sender_0_bits, (sender(c), c->sender_id_bits = 0))
CHANGE(sender_9_bits, (sender(c), c->sender_id_bits = 9))
CHANGE(sender_40_bits, (sender(c), c->sender_id_bits = 40))
CHANGE(sender_esn, (sender(c), c->flags = TUNNELCAP_ESP_ESN))
CHANGE(replay_0, c->replay_mode = 0)
CHANGE(replay_3, c->replay_mode = 3)
CHANGE(replay_off, (c->replay_mode = TUNNELCAP_REPLAY_OFF, c->replay_window = 0))
CHANGE(window_0, c->replay_window = 0)
CHANGE(window_31, c->replay_window = 31)
CHANGE(window_32, c->replay_window = 32)
CHANGE(window_65536, c->replay_window = 65536)
CHANGE(window_65537, c->replay_window = 65537)

typedef struct test_refusal {
    test_change *change;
    int32_t out;
    int32_t in;
} test_refusal;

START_TEST(init_refuses_every_bad_configuration_with_its_reason)
{
    static const test_refusal rows[] = {
        {nothing, TUNNELCAP_OK, TUNNELCAP_OK},
        {bad_size, TUNNELCAP_E_VERSION, TUNNELCAP_E_VERSION},
        {flag_16, TUNNELCAP_E_FLAGS, TUNNELCAP_E_FLAGS},
        {direction_0, TUNNELCAP_E_MODE, TUNNELCAP_E_MODE},
        {direction_3, TUNNELCAP_E_MODE, TUNNELCAP_E_MODE},
        {mode_0, TUNNELCAP_E_MODE, TUNNELCAP_E_MODE},
        {mode_3, TUNNELCAP_E_MODE, TUNNELCAP_E_MODE},
        {spi_0, TUNNELCAP_E_RANGE, TUNNELCAP_E_RANGE},
        {spi_1, TUNNELCAP_OK, TUNNELCAP_OK},
        {spi_max, TUNNELCAP_OK, TUNNELCAP_OK},
        {src_port_0, TUNNELCAP_E_PORT, TUNNELCAP_E_PORT},
        {dst_port_0, TUNNELCAP_E_PORT, TUNNELCAP_E_PORT},
        {reserved_0, TUNNELCAP_E_RESERVED, TUNNELCAP_E_RESERVED},
        {reserved_last, TUNNELCAP_E_RESERVED, TUNNELCAP_E_RESERVED},
        {outer_reserved, TUNNELCAP_E_RESERVED, TUNNELCAP_E_RESERVED},
        {no_local, TUNNELCAP_E_ADDRESS, TUNNELCAP_OK},
        {no_remote, TUNNELCAP_E_ADDRESS, TUNNELCAP_OK},
        {mixed_families, TUNNELCAP_E_ADDRESS, TUNNELCAP_E_ADDRESS},
        {any_from_ipv6, TUNNELCAP_E_ADDRESS, TUNNELCAP_OK},
        {ecn_3, TUNNELCAP_E_MODE, TUNNELCAP_E_MODE},
        {dscp_64, TUNNELCAP_E_RANGE, TUNNELCAP_E_RANGE},
        {start_last, TUNNELCAP_OK, TUNNELCAP_OK},
        {start_wide, TUNNELCAP_E_RANGE, TUNNELCAP_E_RANGE},
        {start_wide_esn, TUNNELCAP_OK, TUNNELCAP_OK},
        {start_end_esn, TUNNELCAP_E_RANGE, TUNNELCAP_OK},
        {tfc_size, TUNNELCAP_OK, TUNNELCAP_OK},
        {tfc_size_big, TUNNELCAP_E_RANGE, TUNNELCAP_E_RANGE},
        {tfc_multiple, TUNNELCAP_OK, TUNNELCAP_OK},
        {tfc_multiple_big, TUNNELCAP_E_RANGE, TUNNELCAP_E_RANGE},
        {transport, TUNNELCAP_OK, TUNNELCAP_OK},
        {transport_any, TUNNELCAP_OK, TUNNELCAP_OK},
        {transport_tfc_size, TUNNELCAP_E_FLAGS, TUNNELCAP_E_FLAGS},
        {transport_tfc_multiple, TUNNELCAP_E_FLAGS, TUNNELCAP_E_FLAGS},
        {nonce_unset, TUNNELCAP_E_NO_NONCE, TUNNELCAP_OK},
        {nonce_4, TUNNELCAP_E_MODE, TUNNELCAP_OK},
        {resume, TUNNELCAP_OK, TUNNELCAP_OK},
        {sender, TUNNELCAP_OK, TUNNELCAP_OK},
        {sender_255, TUNNELCAP_OK, TUNNELCAP_OK},
        {sender_256, TUNNELCAP_E_RANGE, TUNNELCAP_OK},
        {sender_32, TUNNELCAP_OK, TUNNELCAP_OK},
        {sender_0_bits, TUNNELCAP_E_RANGE, TUNNELCAP_OK},
        {sender_9_bits, TUNNELCAP_E_RANGE, TUNNELCAP_OK},
        {sender_40_bits, TUNNELCAP_E_RANGE, TUNNELCAP_OK},
        {sender_esn, TUNNELCAP_E_FLAGS, TUNNELCAP_OK},
        {replay_0, TUNNELCAP_OK, TUNNELCAP_E_MODE},
        {replay_3, TUNNELCAP_OK, TUNNELCAP_E_MODE},
        {replay_off, TUNNELCAP_OK, TUNNELCAP_OK},
        {window_0, TUNNELCAP_OK, TUNNELCAP_E_RANGE},
        {window_31, TUNNELCAP_OK, TUNNELCAP_E_RANGE},
        {window_32, TUNNELCAP_OK, TUNNELCAP_OK},
        {window_65536, TUNNELCAP_OK, TUNNELCAP_OK},
        {window_65537, TUNNELCAP_OK, TUNNELCAP_E_RANGE},
    };
    tunnelcap_transform gcm = test_gcm();
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        tunnelcap_esp_config out = out4(), in = in4();
        rows[i].change(&out);
        rows[i].change(&in);
        int32_t got = try_init(&out, &gcm);
        ck_assert_msg(got == rows[i].out, "row %zu out: %s", i, tunnelcap_status_name(got));
        got = try_init(&in, &gcm);
        ck_assert_msg(got == rows[i].in, "row %zu in: %s", i, tunnelcap_status_name(got));
    }
}
END_TEST

START_TEST(implicit_ivs_belong_to_one_sender_and_its_numbers)
{
    for (uint32_t i = 0; i < test_suites_count; i++) {
        tunnelcap_transform t = test_transform_of(&test_suites[i]);
        bool implicit = test_suites[i].counter_mode && test_suites[i].iv_len == 0;
        tunnelcap_esp_config c = out4();
        sender(&c);
        ck_assert_status(try_init(&c, &t), implicit ? TUNNELCAP_E_FLAGS : TUNNELCAP_OK);
        c = out4();
        c.nonce_origin = TUNNELCAP_NONCE_RESUME;
        c.seq_start = 77;
        c.iv_start = 78;
        ck_assert_status(try_init(&c, &t), implicit ? TUNNELCAP_E_RANGE : TUNNELCAP_OK);
        c.iv_start = 77;
        ck_assert_status(try_init(&c, &t), TUNNELCAP_OK);
    }
}
END_TEST

START_TEST(init_passes_on_what_the_transform_is_refused_for)
{
    tunnelcap_esp_config c = out4();
    tunnelcap_transform t = test_gcm();
    t.encr_key_len = 15;
    ck_assert_status(try_init(&c, &t), TUNNELCAP_E_KEY);
    t = test_cbc_sha256();
    t.integ = TUNNELCAP_INTEG_NONE;
    ck_assert_status(try_init(&c, &t), TUNNELCAP_E_TRANSFORM);
    t = test_gcm();
    t.encr = TUNNELCAP_ENCR_AES_GMAC;
    ck_assert_status(try_init(&c, &t), TUNNELCAP_E_WEAK);
    t = test_gcm();
    t.size--;
    ck_assert_status(try_init(&c, &t), TUNNELCAP_E_VERSION);
    ck_assert_status(try_init(&c, NULL), TUNNELCAP_E_INVALID);
}
END_TEST

START_TEST(init_works_at_the_exact_size_and_wipes_it_all_at_the_end)
{
    for (uint32_t i = 0; i < test_suites_count; i++) {
        tunnelcap_transform t = test_transform_of(&test_suites[i]);
        tunnelcap_esp_config c = in4();
        test_toy toy;
        const tunnelcap_crypto *crypto = test_toy_init(&toy);
        tunnelcap_esp *esp = NULL;
        c.replay_window = 32 + 333 * i;
        size_t size = tunnelcap_esp_size(&c, &t, crypto);
        ck_assert_uint_gt(size, 0);
        ck_assert_uint_eq(size % 64, 0);
        uint8_t *mem = test_arena(size);
        ck_assert_status(tunnelcap_esp_init(mem, size - 1, &c, &t, crypto, &esp),
                         TUNNELCAP_E_NOMEM);
        ck_assert_status(tunnelcap_esp_init(mem + 1, size, &c, &t, crypto, &esp),
                         TUNNELCAP_E_INVALID);
        ck_assert_status(tunnelcap_esp_init(NULL, size, &c, &t, crypto, &esp), TUNNELCAP_E_INVALID);
        ck_assert_status(tunnelcap_esp_init(mem, size, NULL, &t, crypto, &esp),
                         TUNNELCAP_E_INVALID);
        ck_assert_status(tunnelcap_esp_init(mem, size, &c, &t, NULL, &esp), TUNNELCAP_E_INVALID);
        ck_assert_status(tunnelcap_esp_init(mem, size, &c, &t, crypto, NULL), TUNNELCAP_E_INVALID);
        ck_assert_ptr_null(esp);
        ck_assert_status(tunnelcap_esp_init(mem, size, &c, &t, crypto, &esp), TUNNELCAP_OK);
        tunnelcap_esp_fini(esp);
        for (size_t at = 0; at < size; at++)
            ck_assert_uint_eq(mem[at], 0);
        test_arena_free(mem);
    }
    tunnelcap_esp_fini(NULL);
}
END_TEST

START_TEST(a_provider_may_refuse)
{
    tunnelcap_transform t = test_gcm();
    tunnelcap_esp_config c = out4();
    test_toy toy;
    const tunnelcap_crypto *crypto = test_toy_init(&toy);
    tunnelcap_esp *esp = NULL;
    tunnelcap_lane *lane = NULL;
    tunnelcap_lane_config lane_config;
    uint8_t *mem = test_arena(4096);
    toy.init_status = TUNNELCAP_E_CRYPTO;
    ck_assert_status(tunnelcap_esp_init(mem, 4096, &c, &t, crypto, &esp), TUNNELCAP_E_CRYPTO);
    ck_assert_status(tunnelcap_esp_new(&c, &t, crypto, test_alloc(), &esp), TUNNELCAP_E_CRYPTO);
    ck_assert_status(tunnelcap_lane_config_init(&lane_config, sizeof(lane_config)), TUNNELCAP_OK);
    ck_assert_status(tunnelcap_lane_new(&lane_config, test_seed, crypto, test_alloc(), &lane),
                     TUNNELCAP_E_CRYPTO);
    toy.init_status = TUNNELCAP_E_NOMEM;
    ck_assert_status(tunnelcap_esp_new(&c, &t, crypto, test_alloc(), &esp), TUNNELCAP_E_NOMEM);
    toy.init_status = TUNNELCAP_OK;
    toy.no_keys = 1;
    ck_assert_status(tunnelcap_esp_init(mem, 4096, &c, &t, crypto, &esp), TUNNELCAP_E_UNSUPPORTED);
    ck_assert_status(tunnelcap_esp_new(&c, &t, crypto, test_alloc(), &esp),
                     TUNNELCAP_E_UNSUPPORTED);
    ck_assert_uint_eq(tunnelcap_esp_size(&c, &t, crypto), 0);
    ck_assert_ptr_null(esp);
    ck_assert_ptr_null(lane);
    test_arena_free(mem);
}
END_TEST

START_TEST(new_takes_its_memory_from_the_allocator)
{
    tunnelcap_transform t = test_gcm();
    tunnelcap_esp_config c = in4();
    test_toy toy;
    const tunnelcap_crypto *crypto = test_toy_init(&toy);
    tunnelcap_alloc bad = *test_alloc();
    tunnelcap_esp *esp = NULL;
    test_alloc_refuse_after(0);
    ck_assert_status(tunnelcap_esp_new(&c, &t, crypto, test_alloc(), &esp), TUNNELCAP_E_NOMEM);
    bad.size = 1;
    ck_assert_status(tunnelcap_esp_new(&c, &t, crypto, &bad, &esp), TUNNELCAP_E_VERSION);
    bad = *test_alloc();
    bad.alloc = NULL;
    ck_assert_status(tunnelcap_esp_new(&c, &t, crypto, &bad, &esp), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_esp_new(NULL, &t, crypto, NULL, &esp), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_esp_new(&c, NULL, crypto, NULL, &esp), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_esp_new(&c, &t, NULL, NULL, &esp), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_esp_new(&c, &t, crypto, NULL, NULL), TUNNELCAP_E_INVALID);
    ck_assert_ptr_null(esp);
    ck_assert_status(tunnelcap_esp_new(&c, &t, crypto, NULL, &esp), TUNNELCAP_OK);
    tunnelcap_esp_free(esp);
    tunnelcap_esp_free(NULL);
    ck_assert_uint_eq(toy.keys_live, 0);
}
END_TEST

START_TEST(configurations_of_other_versions_are_read_to_their_own_end)
{
    tunnelcap_transform gcm = test_gcm();
    test_toy toy;
    const tunnelcap_crypto *crypto = test_toy_init(&toy);
    struct {
        tunnelcap_esp_config known;
        uint8_t tail[16];
    } newer;
    memset(&newer, 0xff, sizeof(newer));
    ck_assert_status(tunnelcap_esp_config_init(&newer.known, sizeof(newer)), TUNNELCAP_OK);
    ck_assert_uint_eq(newer.tail[15], 0);
    newer.known = out4();
    newer.known.size = sizeof(newer);
    ck_assert_uint_ne(tunnelcap_esp_size(&newer.known, &gcm, crypto), 0);
    newer.tail[0] = 1;
    ck_assert_uint_eq(tunnelcap_esp_size(&newer.known, &gcm, crypto), 0);
}
END_TEST

/* ---- sizes ---- */

typedef struct test_mtu_row {
    uint16_t encr, integ, key, integ_key;
    uint32_t flags;
    uint32_t mtu4, mtu6; /* FACTS: inner MTU over IPv4 and IPv6 for an outer MTU of 1500 */
} test_mtu_row;

START_TEST(inner_mtus_are_those_of_the_arithmetic)
{
    static const test_mtu_row rows[] = {
        {TUNNELCAP_ENCR_AES_GCM_16, 0, 16, 0, 0, 1446, 1426},
        {TUNNELCAP_ENCR_CHACHA20_POLY1305, 0, 32, 0, 0, 1446, 1426},
        {TUNNELCAP_ENCR_AES_GCM_16, 0, 32, 0, TUNNELCAP_ESP_UDP, 1438, 1418},
        {TUNNELCAP_ENCR_AES_CBC, TUNNELCAP_INTEG_HMAC_SHA2_256_128, 16, 32, 0, 1438, 1406},
        {TUNNELCAP_ENCR_AES_CBC, TUNNELCAP_INTEG_HMAC_SHA2_256_128, 16, 32, TUNNELCAP_ESP_UDP, 1422,
         1406},
        {TUNNELCAP_ENCR_AES_CBC, TUNNELCAP_INTEG_HMAC_SHA1_96, 32, 20, 0, 1438, 1422},
        {TUNNELCAP_ENCR_AES_GCM_16_IIV, 0, 16, 0, 0, 1454, 1434},
        {TUNNELCAP_ENCR_AES_CBC, TUNNELCAP_INTEG_HMAC_SHA2_512_256, 16, 64, 0, 1422, 1390},
    };
    static test_frame inner;
    for (size_t i = 0; i < 2 * TEST_COUNT(rows); i++) {
        const test_mtu_row *row = &rows[i / 2];
        const test_suite_row suite = {.encr = row->encr,
                                      .integ = row->integ,
                                      .encr_key_len = row->key,
                                      .integ_key_len = row->integ_key};
        tunnelcap_transform t = test_transform_of(&suite);
        tunnelcap_esp_config c =
            i & 1 ? test_esp_config(TUNNELCAP_ESP_OUT, "fd00::1", "fd00::2") : out4();
        test_toy toy;
        const tunnelcap_crypto *crypto = test_toy_init(&toy);
        c.flags = row->flags;
        tunnelcap_esp *esp = test_esp_new(&c, &t, crypto);
        tunnelcap_lane *lane = test_crypto_lane(crypto, 1);
        uint32_t mtu = tunnelcap_esp_inner_mtu(esp, 1500);
        ck_assert_uint_eq(mtu, i & 1 ? row->mtu6 : row->mtu4);
        /* The number is exact: a packet of it fits, and one byte more does not. */
        ck_assert_uint_le(tunnelcap_esp_encap_len(esp, mtu), 1500);
        ck_assert_uint_gt(tunnelcap_esp_encap_len(esp, mtu + 1), 1500);
        test_ip ip = test_between("10.0.0.1", "10.0.0.2");
        test_udp_packet(&inner, &ip, mtu - 28);
        tunnelcap_pkt pkt = test_esp_pkt(&inner);
        ck_assert_status(test_esp_encap(esp, lane, &pkt, NULL), TUNNELCAP_OK);
        ck_assert_uint_eq(pkt.len, tunnelcap_esp_encap_len(esp, mtu));
        test_pkt_free(&pkt);
        tunnelcap_esp_free(esp);
        tunnelcap_lane_free(lane);
    }
}
END_TEST

START_TEST(gre_in_transport_mode_has_the_mtu_of_the_arithmetic)
{
    tunnelcap_transform t = test_gcm();
    static const char *const ends[2][2] = {{"192.0.2.1", "192.0.2.2"}, {"fd00::1", "fd00::2"}};
    for (size_t i = 0; i < 2; i++) {
        tunnelcap_esp_config c = test_esp_config(TUNNELCAP_ESP_OUT, ends[i][0], ends[i][1]);
        test_toy toy;
        uint32_t header = i == 0 ? 20 : 40, want = i == 0 ? 1442 : 1422;
        c.mode = TUNNELCAP_ESP_TRANSPORT;
        tunnelcap_esp *esp = test_esp_new(&c, &t, test_toy_init(&toy));
        ck_assert_uint_le(header + tunnelcap_esp_encap_len(esp, 4 + want), 1500);
        ck_assert_uint_gt(header + tunnelcap_esp_encap_len(esp, 4 + want + 1), 1500);
        ck_assert_uint_eq(tunnelcap_esp_inner_mtu(esp, 1500), 0);
        tunnelcap_esp_free(esp);
    }
}
END_TEST

START_TEST(lengths_are_exact_for_every_transform)
{
    static test_frame inner;
    for (uint32_t i = 0; i < test_suites_count; i++) {
        tunnelcap_transform t = test_transform_of(&test_suites[i]);
        test_pair pair;
        test_pair_open(&pair, &t, 0, TUNNELCAP_ESP_TUNNEL);
        uint32_t head = tunnelcap_esp_headroom(pair.out), tail = tunnelcap_esp_tailroom(pair.out);
        ck_assert_uint_eq(head, 20u + 8 + test_suites[i].iv_len);
        ck_assert_uint_eq(tail, test_suites[i].align + 1u + test_suites[i].icv_len);
        for (uint32_t len = 0; len < 40; len++) {
            test_ip ip = test_between("10.0.0.1", "10.0.0.2");
            test_payload(&inner, len);
            test_push_ip(&inner, &ip, 17);
            uint32_t align = test_suites[i].align;
            uint32_t text = (inner.len + 2 + align - 1) / align * align;
            tunnelcap_pkt pkt = test_pkt_room(inner.bytes, inner.len, head,
                                              text - inner.len + test_suites[i].icv_len);
            ck_assert_status(test_esp_encap(pair.out, pair.lane, &pkt, NULL), TUNNELCAP_OK);
            ck_assert_uint_eq(pkt.len, head + text + test_suites[i].icv_len);
            ck_assert_uint_eq(pkt.len, tunnelcap_esp_encap_len(pair.out, inner.len));
            ck_assert_uint_eq(pkt.off, 0);
            ck_assert_uint_eq(pkt.len, pkt.cap);
            test_pkt_free(&pkt);
        }
        test_pair_close(&pair);
    }
}
END_TEST

START_TEST(inbound_and_missing_sas_have_no_sizes)
{
    test_pair pair;
    tunnelcap_transform gcm = test_gcm();
    test_pair_open(&pair, &gcm, 0, TUNNELCAP_ESP_TUNNEL);
    tunnelcap_esp *none[] = {NULL, pair.in};
    for (size_t i = 0; i < TEST_COUNT(none); i++) {
        ck_assert_uint_eq(tunnelcap_esp_headroom(none[i]), 0);
        ck_assert_uint_eq(tunnelcap_esp_tailroom(none[i]), 0);
        ck_assert_uint_eq(tunnelcap_esp_encap_len(none[i], 100), 0);
        ck_assert_uint_eq(tunnelcap_esp_inner_mtu(none[i], 1500), 0);
    }
    ck_assert_uint_eq(tunnelcap_esp_encap_len(pair.out, 65535 - 20 - 16 - 16 - 2), 0);
    ck_assert_uint_eq(tunnelcap_esp_encap_len(pair.out, 65478), 65478 + 2 + 52);
    ck_assert_uint_eq(tunnelcap_esp_encap_len(pair.out, 65479), 0);
    ck_assert_uint_eq(tunnelcap_esp_encap_len(pair.out, UINT32_MAX), 0);
    ck_assert_uint_eq(tunnelcap_esp_inner_mtu(pair.out, 55), 0);
    ck_assert_uint_eq(tunnelcap_esp_inner_mtu(pair.out, 56), 2);
    ck_assert_uint_eq(tunnelcap_esp_inner_mtu(pair.out, UINT32_MAX),
                      tunnelcap_esp_inner_mtu(pair.out, 65535));
    test_pair_close(&pair);
}
END_TEST

/* ---- state ---- */

START_TEST(state_tells_where_both_ends_stand)
{
    static test_frame inner;
    test_pair pair;
    tunnelcap_transform gcm = test_gcm();
    tunnelcap_esp_state state = {.size = 1};
    test_ip ip = test_between("10.0.0.1", "10.0.0.2");
    test_udp_packet(&inner, &ip, 100);
    test_pair_open(&pair, &gcm, 0, TUNNELCAP_ESP_TUNNEL);
    for (uint32_t i = 1; i <= 5; i++) {
        tunnelcap_pkt pkt = test_sealed(&pair, &inner);
        ck_assert_status(test_arrives(&pair, &pkt), TUNNELCAP_OK);
        test_pkt_free(&pkt);
        ck_assert_uint_eq(test_esp_state(pair.out).seq, i + 1);
        ck_assert_uint_eq(test_esp_state(pair.out).packets, i);
        ck_assert_uint_eq(test_esp_state(pair.out).bytes, i * 132);
        ck_assert_uint_eq(test_esp_state(pair.out).packets_left, UINT32_MAX - i);
        ck_assert_uint_eq(test_esp_state(pair.in).seq, i);
        ck_assert_uint_eq(test_esp_state(pair.in).packets, i);
        ck_assert_uint_eq(test_esp_state(pair.in).bytes, i * 132);
    }
    ck_assert_status(tunnelcap_esp_get_state(NULL, &state, sizeof(state)), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_esp_get_state(pair.in, NULL, sizeof(state)), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_esp_get_state(pair.in, &state, sizeof(state) - 1),
                     TUNNELCAP_E_VERSION);
    test_pair_close(&pair);
}
END_TEST

START_TEST(a_lane_forgets_only_keys_of_its_own_provider)
{
    test_pair pair;
    test_toy other;
    tunnelcap_transform gcm = test_gcm();
    test_pair_open(&pair, &gcm, 0, TUNNELCAP_ESP_TUNNEL);
    tunnelcap_lane *foreign = test_crypto_lane(test_toy_init(&other), 4);
    tunnelcap_lane *plain = test_lane();
    tunnelcap_esp_forget(pair.out, foreign);
    tunnelcap_esp_forget(pair.out, plain);
    tunnelcap_esp_forget(NULL, pair.lane);
    tunnelcap_esp_forget(pair.out, NULL);
    ck_assert_uint_eq(other.forgotten, 0);
    ck_assert_uint_eq(pair.toy.forgotten, 0);
    tunnelcap_esp_forget(pair.out, pair.lane);
    ck_assert_uint_eq(pair.toy.forgotten, 1);
    tunnelcap_lane_free(foreign);
    tunnelcap_lane_free(plain);
    test_pair_close(&pair);
}
END_TEST

Suite *test_esp_suite(void)
{
    const TTest *tests[] = {
        config_init_fills_the_documented_defaults,
        the_defaults_start_at_1_in_both_directions,
        init_refuses_every_bad_configuration_with_its_reason,
        implicit_ivs_belong_to_one_sender_and_its_numbers,
        init_passes_on_what_the_transform_is_refused_for,
        init_works_at_the_exact_size_and_wipes_it_all_at_the_end,
        a_provider_may_refuse,
        new_takes_its_memory_from_the_allocator,
        configurations_of_other_versions_are_read_to_their_own_end,
        inner_mtus_are_those_of_the_arithmetic,
        gre_in_transport_mode_has_the_mtu_of_the_arithmetic,
        lengths_are_exact_for_every_transform,
        inbound_and_missing_sas_have_no_sizes,
        state_tells_where_both_ends_stand,
        a_lane_forgets_only_keys_of_its_own_provider,
    };
    return test_suite("esp", tests, TEST_COUNT(tests));
}
