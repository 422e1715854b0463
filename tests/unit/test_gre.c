/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The GRE tunnel as an object: configuration, memory, sizes. */
#include "support.h"

#define A4 "192.0.2.1"
#define B4 "198.51.100.1"
#define A6 "2001:db8:a::1"
#define B6 "2001:db8:b::1"

START_TEST(config_init_fills_the_documented_defaults)
{
    tunnelcap_gre_config config;
    memset(&config, 0xff, sizeof(config));
    ck_assert_status(tunnelcap_gre_config_init(&config, sizeof(config)), TUNNELCAP_OK);
    tunnelcap_gre_config want;
    memset(&want, 0, sizeof(want));
    want.size = sizeof(want);
    want.outer.ttl = 64;
    want.udp_port = TUNNELCAP_GRE_UDP_PORT;
    ck_assert_mem_eq(&config, &want, sizeof(want));
}
END_TEST

START_TEST(config_init_refuses_null_and_short_structs)
{
    tunnelcap_gre_config config;
    ck_assert_status(tunnelcap_gre_config_init(NULL, sizeof(config)), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_gre_config_init(&config, sizeof(config) - 1), TUNNELCAP_E_VERSION);
    ck_assert_status(tunnelcap_gre_config_init(&config, 0), TUNNELCAP_E_VERSION);
}
END_TEST

START_TEST(size_is_a_multiple_of_64_and_0_for_a_refused_config)
{
    tunnelcap_gre_config config = test_gre_config(A4, B4, 0);
    ck_assert_uint_gt(tunnelcap_gre_size(&config), 0);
    ck_assert_uint_eq(tunnelcap_gre_size(&config) % 64, 0);
    config.flags = 1u << 31;
    ck_assert_uint_eq(tunnelcap_gre_size(&config), 0);
    ck_assert_uint_eq(tunnelcap_gre_size(NULL), 0);
}
END_TEST

START_TEST(init_works_at_the_exact_size_and_refuses_one_byte_less)
{
    tunnelcap_gre_config config = test_gre_config(A4, B4, TUNNELCAP_GRE_KEY_OUT);
    size_t size = tunnelcap_gre_size(&config);
    uint8_t *mem = test_arena(size);
    tunnelcap_gre *gre = NULL;
    ck_assert_status(tunnelcap_gre_init(mem, size - 1, &config, &gre), TUNNELCAP_E_NOMEM);
    ck_assert_status(tunnelcap_gre_init(NULL, size, &config, &gre), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_gre_init(mem + 8, size, &config, &gre), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_gre_init(mem, size, NULL, &gre), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_gre_init(mem, size, &config, NULL), TUNNELCAP_E_INVALID);
    ck_assert_ptr_null(gre);
    for (size_t i = 0; i < size; i++)
        ck_assert_uint_eq(mem[i], 0x5a);

    ck_assert_status(tunnelcap_gre_init(mem, size, &config, &gre), TUNNELCAP_OK);
    ck_assert_ptr_nonnull(gre);
    tunnelcap_lane *lane = test_lane();
    test_frame *frame = malloc(sizeof(*frame));
    test_ip ip = test_between("10.0.0.1", "10.0.0.2");
    test_udp_packet(frame, &ip, 30);
    tunnelcap_pkt pkt = test_pkt(frame->bytes, frame->len, tunnelcap_gre_headroom(gre));
    ck_assert_status(test_gre_encap(gre, lane, &pkt, NULL), TUNNELCAP_OK);
    test_pkt_free(&pkt);
    free(frame);
    tunnelcap_lane_free(lane);

    tunnelcap_gre_fini(gre);
    for (size_t i = 0; i < size; i++)
        ck_assert_uint_eq(mem[i], 0);
    test_arena_free(mem);
    tunnelcap_gre_fini(NULL);
}
END_TEST

START_TEST(new_takes_its_memory_from_the_allocator)
{
    tunnelcap_gre_config config = test_gre_config(A4, B4, 0);
    tunnelcap_gre *gre = NULL;
    test_alloc_refuse_after(0);
    ck_assert_status(tunnelcap_gre_new(&config, test_alloc(), &gre), TUNNELCAP_E_NOMEM);
    ck_assert_ptr_null(gre);
    test_alloc_refuse_after(1);
    ck_assert_status(tunnelcap_gre_new(&config, test_alloc(), &gre), TUNNELCAP_OK);
    tunnelcap_gre_free(gre);
    ck_assert_status(tunnelcap_gre_new(&config, NULL, &gre), TUNNELCAP_OK);
    tunnelcap_gre_free(gre);
    tunnelcap_gre_free(NULL);
    ck_assert_status(tunnelcap_gre_new(NULL, NULL, &gre), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_gre_new(&config, NULL, NULL), TUNNELCAP_E_INVALID);
    config.outer.dscp = 64;
    ck_assert_status(tunnelcap_gre_new(&config, test_alloc(), &gre), TUNNELCAP_E_RANGE);
}
END_TEST

/* ---- refusals ---- */

/* Check that both doors and the size function refuse alike. */
static void refuse(const tunnelcap_gre_config *config, int32_t want, const char *what)
{
    tunnelcap_gre *gre = NULL;
    void *mem = test_arena(4096);
    void *caller = test_copy(config, config->size);
    int32_t got = tunnelcap_gre_init(mem, 4096, caller, &gre);
    ck_assert_msg(got == want, "%s: %s, expected %s", what, tunnelcap_status_name(got),
                  tunnelcap_status_name(want));
    ck_assert_status(tunnelcap_gre_new(caller, test_alloc(), &gre), want);
    ck_assert_uint_eq(tunnelcap_gre_size(caller), 0);
    ck_assert_ptr_null(gre);
    free(caller);
    test_arena_free(mem);
}

#define REFUSE(want, change)                                                                       \
    do {                                                                                           \
        config = test_gre_config(A4, B4, 0);                                                       \
        change;                                                                                    \
        refuse(&config, want, #change);                                                            \
    } while (0)
#define REFUSE6(want, change)                                                                      \
    do {                                                                                           \
        config = test_gre_config(A6, B6, 0);                                                       \
        change;                                                                                    \
        refuse(&config, want, #change);                                                            \
    } while (0)

START_TEST(init_refuses_flags_that_are_unknown_or_contradict)
{
    tunnelcap_gre_config config;
    for (uint32_t flag = 128; flag != 0; flag <<= 1)
        REFUSE(TUNNELCAP_E_FLAGS, config.flags = flag);
    REFUSE(TUNNELCAP_E_FLAGS, config.flags = TUNNELCAP_GRE_UDP_ZERO_CHECKSUM);
    REFUSE(TUNNELCAP_E_FLAGS, config.outer.encap_limit_mode = 1);
}
END_TEST

START_TEST(init_refuses_modes_out_of_their_lists)
{
    tunnelcap_gre_config config;
    REFUSE(TUNNELCAP_E_MODE, config.outer.dscp_mode = 3);
    REFUSE(TUNNELCAP_E_MODE, config.outer.ecn_mode = 3);
    REFUSE(TUNNELCAP_E_MODE, config.outer.df_mode = 3);
    REFUSE(TUNNELCAP_E_MODE, config.outer.ttl_mode = 2);
    REFUSE(TUNNELCAP_E_MODE, config.outer.id_mode = 2);
    REFUSE(TUNNELCAP_E_MODE, config.outer.flow_label_mode = 2);
    REFUSE6(TUNNELCAP_E_MODE, config.outer.encap_limit_mode = 2);
    REFUSE(TUNNELCAP_E_MODE, config.outer.dscp_mode = 255);
}
END_TEST

START_TEST(init_refuses_addresses_that_cannot_be_ends)
{
    tunnelcap_gre_config config;
    tunnelcap_addr none = {{0}, 0, {0}};
    REFUSE(TUNNELCAP_E_ADDRESS, config.outer.local = none);
    REFUSE(TUNNELCAP_E_ADDRESS, config.outer.remote = none);
    REFUSE(TUNNELCAP_E_ADDRESS, config.outer.local.family = 5);
    REFUSE(TUNNELCAP_E_ADDRESS, config.outer.local = test_addr("0.0.0.0"));
    REFUSE(TUNNELCAP_E_ADDRESS, config.outer.remote = test_addr("0.0.0.0"));
    REFUSE(TUNNELCAP_E_ADDRESS, config.outer.local = test_addr("224.0.0.1"));
    REFUSE(TUNNELCAP_E_ADDRESS, config.outer.local = test_addr("239.255.255.255"));
    REFUSE(TUNNELCAP_E_ADDRESS, config.outer.remote = test_addr("239.1.2.3"));
    REFUSE(TUNNELCAP_E_ADDRESS, config.outer.local = test_addr(A6));
    REFUSE(TUNNELCAP_E_ADDRESS, config.outer.remote = test_addr(B6));
    REFUSE(TUNNELCAP_E_ADDRESS, config.outer.remote = config.outer.local);
    REFUSE(TUNNELCAP_E_ADDRESS, config.outer.local.bytes[4] = 1);
    REFUSE(TUNNELCAP_E_ADDRESS, config.outer.remote.bytes[15] = 1);
    for (size_t i = 0; i < TEST_COUNT(config.outer.local.reserved); i++) {
        REFUSE(TUNNELCAP_E_ADDRESS, config.outer.local.reserved[i] = 1);
        REFUSE(TUNNELCAP_E_ADDRESS, config.outer.remote.reserved[i] = 1);
    }
    REFUSE6(TUNNELCAP_E_ADDRESS, config.outer.local = test_addr("::"));
    REFUSE6(TUNNELCAP_E_ADDRESS, config.outer.remote = test_addr("::"));
    REFUSE6(TUNNELCAP_E_ADDRESS, config.outer.local = test_addr("ff02::1"));
    REFUSE6(TUNNELCAP_E_ADDRESS, config.outer.remote = config.outer.local);
}
END_TEST

START_TEST(init_refuses_numbers_out_of_range)
{
    tunnelcap_gre_config config;
    REFUSE(TUNNELCAP_E_RANGE, config.outer.dscp = 64);
    REFUSE6(TUNNELCAP_E_RANGE, config.outer.flow_label = 0x100000);
    REFUSE(TUNNELCAP_E_RANGE, config.protocol = 1);
    REFUSE(TUNNELCAP_E_RANGE, config.protocol = 0x5ff);
    REFUSE(TUNNELCAP_E_PORT, (config.flags = TUNNELCAP_GRE_UDP, config.udp_port = 0));
    config = test_gre_config(A4, B4, 0);
    config.protocol = 0x600;
    config.outer.dscp = 63;
    tunnelcap_gre_free(test_gre_new(&config));
}
END_TEST

START_TEST(init_refuses_reserved_fields_that_are_set)
{
    tunnelcap_gre_config config;
    for (size_t i = 0; i < TEST_COUNT(config.reserved); i++)
        REFUSE(TUNNELCAP_E_RESERVED, config.reserved[i] = 1);
    for (size_t i = 0; i < TEST_COUNT(config.outer.reserved); i++)
        REFUSE(TUNNELCAP_E_RESERVED, config.outer.reserved[i] = 1);
}
END_TEST

START_TEST(init_reads_structs_of_other_versions_within_their_size)
{
    tunnelcap_gre_config config = test_gre_config(A4, B4, 0);
    config.size--;
    refuse(&config, TUNNELCAP_E_VERSION, "a short struct");

    struct {
        tunnelcap_gre_config known;
        uint8_t tail[24];
    } newer;
    memset(&newer, 0, sizeof(newer));
    newer.known = test_gre_config(A4, B4, 0);
    newer.known.size = sizeof(newer);
    void *caller = test_copy(&newer, sizeof(newer));
    tunnelcap_gre *gre = NULL;
    ck_assert_status(tunnelcap_gre_new(caller, test_alloc(), &gre), TUNNELCAP_OK);
    tunnelcap_gre_free(gre);
    free(caller);
    newer.tail[23] = 1;
    refuse(&newer.known, TUNNELCAP_E_VERSION, "an unknown tail");
}
END_TEST

/* ---- pure functions ---- */

START_TEST(inner_mtu_is_exact_for_every_encapsulation)
{
    const uint32_t key = TUNNELCAP_GRE_KEY_OUT, sum = TUNNELCAP_GRE_CHECKSUM,
                   seq = TUNNELCAP_GRE_SEQUENCE, udp = TUNNELCAP_GRE_UDP;
    const struct {
        uint32_t flags, mtu4, mtu6;
    } rows[] = {
        {0, 1476, 1456},
        {key, 1472, 1452},
        {key | sum | seq, 1464, 1444},
        {udp, 1468, 1448},
        {sum, 1472, 1452},
        {seq, 1472, 1452},
        {key | seq, 1468, 1448},
        {udp | key, 1464, 1444},
        {udp | key | sum | seq, 1456, 1436},
        {TUNNELCAP_GRE_KEY_IN, 1476, 1456},
        {TUNNELCAP_GRE_IN_ORDER, 1476, 1456},
    };
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        tunnelcap_gre_config four = test_gre_config(A4, B4, rows[i].flags);
        tunnelcap_gre_config six = test_gre_config(A6, B6, rows[i].flags);
        tunnelcap_gre *gre4 = test_gre_new(&four), *gre6 = test_gre_new(&six);
        ck_assert_uint_eq(tunnelcap_gre_inner_mtu(gre4, 1500), rows[i].mtu4);
        ck_assert_uint_eq(tunnelcap_gre_inner_mtu(gre6, 1500), rows[i].mtu6);
        ck_assert_uint_eq(tunnelcap_gre_headroom(gre4), 1500 - rows[i].mtu4);
        ck_assert_uint_eq(tunnelcap_gre_headroom(gre6), 1500 - rows[i].mtu6);
        ck_assert_uint_eq(tunnelcap_gre_encap_len(gre4, rows[i].mtu4), 1500);
        ck_assert_uint_eq(tunnelcap_gre_encap_len(gre6, rows[i].mtu6), 1500);
        tunnelcap_gre_free(gre4);
        tunnelcap_gre_free(gre6);
    }
    tunnelcap_gre_config config = test_gre_config(A6, B6, 0);
    config.outer.encap_limit_mode = 1;
    config.outer.encap_limit = 4;
    tunnelcap_gre *gre = test_gre_new(&config);
    ck_assert_uint_eq(tunnelcap_gre_inner_mtu(gre, 1500), 1448);
    tunnelcap_gre_free(gre);
}
END_TEST

START_TEST(lengths_stop_at_what_ip_can_carry)
{
    tunnelcap_gre_config four = test_gre_config(A4, B4, 0);
    tunnelcap_gre_config six = test_gre_config(A6, B6, 0);
    tunnelcap_gre *gre4 = test_gre_new(&four), *gre6 = test_gre_new(&six);
    ck_assert_uint_eq(tunnelcap_gre_encap_len(gre4, 0), 24);
    ck_assert_uint_eq(tunnelcap_gre_encap_len(gre4, 65511), 65535);
    ck_assert_uint_eq(tunnelcap_gre_encap_len(gre4, 65512), 0);
    ck_assert_uint_eq(tunnelcap_gre_encap_len(gre4, UINT32_MAX), 0);
    ck_assert_uint_eq(tunnelcap_gre_encap_len(gre6, 65531), 65575);
    ck_assert_uint_eq(tunnelcap_gre_encap_len(gre6, 65532), 0);
    ck_assert_uint_eq(tunnelcap_gre_encap_len(gre6, UINT32_MAX), 0);
    ck_assert_uint_eq(tunnelcap_gre_inner_mtu(gre4, 0), 0);
    ck_assert_uint_eq(tunnelcap_gre_inner_mtu(gre4, 24), 0);
    ck_assert_uint_eq(tunnelcap_gre_inner_mtu(gre4, 25), 1);
    ck_assert_uint_eq(tunnelcap_gre_inner_mtu(gre4, 65535), 65511);
    ck_assert_uint_eq(tunnelcap_gre_inner_mtu(gre4, UINT32_MAX), 65511);
    ck_assert_uint_eq(tunnelcap_gre_headroom(NULL), 0);
    ck_assert_uint_eq(tunnelcap_gre_encap_len(NULL, 100), 0);
    ck_assert_uint_eq(tunnelcap_gre_inner_mtu(NULL, 1500), 0);
    tunnelcap_gre_free(gre4);
    tunnelcap_gre_free(gre6);
}
END_TEST

START_TEST(calls_without_an_object_do_nothing)
{
    tunnelcap_gre_config config = test_gre_config(A4, B4, 0);
    tunnelcap_gre *gre = test_gre_new(&config);
    tunnelcap_lane *lane = test_lane();
    uint8_t byte = 0;
    tunnelcap_pkt pkt = {&byte, 1, 0, 1, 77, NULL};
    ck_assert_uint_eq(tunnelcap_gre_encap(NULL, lane, &pkt, NULL, 0, 1), 0);
    ck_assert_uint_eq(tunnelcap_gre_encap(gre, NULL, &pkt, NULL, 0, 1), 0);
    ck_assert_uint_eq(tunnelcap_gre_encap(gre, lane, NULL, NULL, 0, 1), 0);
    ck_assert_uint_eq(tunnelcap_gre_encap(gre, lane, &pkt, NULL, 0, 0), 0);
    ck_assert_uint_eq(tunnelcap_gre_decap(NULL, &pkt, NULL, 0, NULL, 1), 0);
    ck_assert_uint_eq(tunnelcap_gre_decap(gre, NULL, NULL, 0, NULL, 1), 0);
    ck_assert_uint_eq(tunnelcap_gre_decap(gre, &pkt, NULL, 0, NULL, 0), 0);
    ck_assert_int_eq(pkt.status, 77);
    tunnelcap_lane_free(lane);
    tunnelcap_gre_free(gre);
}
END_TEST

Suite *test_gre_suite(void)
{
    const TTest *tests[] = {
        config_init_fills_the_documented_defaults,
        config_init_refuses_null_and_short_structs,
        size_is_a_multiple_of_64_and_0_for_a_refused_config,
        init_works_at_the_exact_size_and_refuses_one_byte_less,
        new_takes_its_memory_from_the_allocator,
        init_refuses_flags_that_are_unknown_or_contradict,
        init_refuses_modes_out_of_their_lists,
        init_refuses_addresses_that_cannot_be_ends,
        init_refuses_numbers_out_of_range,
        init_refuses_reserved_fields_that_are_set,
        init_reads_structs_of_other_versions_within_their_size,
        inner_mtu_is_exact_for_every_encapsulation,
        lengths_stop_at_what_ip_can_carry,
        calls_without_an_object_do_nothing,
    };
    return test_suite("gre", tests, TEST_COUNT(tests));
}
