/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The object, what single fragments are answered, time. */
#include "reassembly_kit.h"

static kit_whole whole, other;
static uint8_t packet[TEST_FRAME_CAP];

/* ---- the object ---- */

START_TEST(config_init_fills_the_documented_defaults)
{
    tunnelcap_reassembly_config config, want;
    memset(&config, 0xff, sizeof(config));
    memset(&want, 0, sizeof(want));
    want.size = sizeof(want);
    want.sets = 1024;
    want.bytes = 4 << 20;
    want.source_share = 50;
    want.timeout_ns = 30ull * KIT_SECOND;
    test_ok(tunnelcap_reassembly_config_init(&config, sizeof(config)));
    ck_assert_mem_eq(&config, &want, sizeof(want));
    ck_assert_status(tunnelcap_reassembly_config_init(NULL, sizeof(config)), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_reassembly_config_init(&config, sizeof(config) - 1),
                     TUNNELCAP_E_VERSION);
}
END_TEST

START_TEST(init_works_at_the_exact_size_and_refuses_one_byte_less)
{
    tunnelcap_reassembly_config config;
    test_ok(tunnelcap_reassembly_config_init(&config, sizeof(config)));
    config.sets = 3;
    config.bytes = 67000;
    config.source_share = 100;
    size_t size = tunnelcap_reassembly_size(&config);
    ck_assert_uint_gt(size, 67000);
    ck_assert_uint_eq(size % 64, 0);
    uint8_t *mem = test_arena(size);
    tunnelcap_reassembly *r = NULL;
    ck_assert_status(tunnelcap_reassembly_init(mem, size - 1, &config, test_seed, &r),
                     TUNNELCAP_E_NOMEM);
    ck_assert_status(tunnelcap_reassembly_init(NULL, size, &config, test_seed, &r),
                     TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_reassembly_init(mem + 1, size, &config, test_seed, &r),
                     TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_reassembly_init(mem, size, NULL, test_seed, &r),
                     TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_reassembly_init(mem, size, &config, NULL, &r), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_reassembly_init(mem, size, &config, test_seed, NULL),
                     TUNNELCAP_E_INVALID);
    ck_assert_ptr_null(r);
    uint8_t *seed = test_copy(test_seed, TUNNELCAP_SEED_SIZE);
    test_ok(tunnelcap_reassembly_init(mem, size, &config, seed, &r));
    free(seed);
    /* All of it is used: the largest datagram, in pieces, and then others in its place. */
    kit_udp4(&whole, "192.0.2.1", 1, 65515);
    for (uint32_t off = 65512; off > 0; off -= 8)
        ck_assert_status(kit_send(r, &whole, off, off == 65512 ? 3 : 8, off != 65512, 0),
                         TUNNELCAP_KEPT);
    test_ok(kit_send(r, &whole, 0, 8, true, 0));
    kit_is_whole(&whole);
    for (uint32_t i = 0; i < 9; i++) {
        kit_udp4(&whole, "192.0.2.1", i, 1000);
        ck_assert_status(kit_send(r, &whole, 0, 800, true, 0), TUNNELCAP_KEPT);
    }
    tunnelcap_reassembly_fini(r);
    for (size_t i = 0; i < size; i++)
        ck_assert_uint_eq(mem[i], 0);
    test_arena_free(mem);
    tunnelcap_reassembly_fini(NULL);
}
END_TEST

START_TEST(new_takes_its_memory_from_the_allocator)
{
    tunnelcap_reassembly_config config;
    tunnelcap_reassembly *r = NULL;
    test_ok(tunnelcap_reassembly_config_init(&config, sizeof(config)));
    test_alloc_refuse_after(0);
    ck_assert_status(tunnelcap_reassembly_new(&config, test_seed, test_alloc(), &r),
                     TUNNELCAP_E_NOMEM);
    ck_assert_status(tunnelcap_reassembly_new(NULL, test_seed, NULL, &r), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_reassembly_new(&config, NULL, NULL, &r), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_reassembly_new(&config, test_seed, NULL, NULL), TUNNELCAP_E_INVALID);
    ck_assert_ptr_null(r);
    test_ok(tunnelcap_reassembly_new(&config, test_seed, NULL, &r));
    tunnelcap_reassembly_free(r);
    tunnelcap_reassembly_free(NULL);
}
END_TEST

START_TEST(init_refuses_what_it_documents)
{
    static const struct {
        tunnelcap_reassembly_config config;
        int32_t want;
    } rows[] = {
        {{sizeof(tunnelcap_reassembly_config), 0, 1, 4096, 1, 0, 1}, TUNNELCAP_OK},
        {{sizeof(tunnelcap_reassembly_config) - 1, 0, 1, 4096, 1, 0, 1}, TUNNELCAP_E_VERSION},
        {{sizeof(tunnelcap_reassembly_config), 1, 1, 4096, 1, 0, 1}, TUNNELCAP_E_FLAGS},
        {{sizeof(tunnelcap_reassembly_config), 0, 0, 4096, 1, 0, 1}, TUNNELCAP_E_RANGE},
        {{sizeof(tunnelcap_reassembly_config), 0, (1 << 20) + 1, 4096, 1, 0, 1}, TUNNELCAP_E_RANGE},
        {{sizeof(tunnelcap_reassembly_config), 0, 1, 4095, 1, 0, 1}, TUNNELCAP_E_RANGE},
        {{sizeof(tunnelcap_reassembly_config), 0, 1, (1 << 30) + 1, 1, 0, 1}, TUNNELCAP_E_RANGE},
        {{sizeof(tunnelcap_reassembly_config), 0, 1, 4096, 0, 0, 1}, TUNNELCAP_E_RANGE},
        {{sizeof(tunnelcap_reassembly_config), 0, 1, 4096, 101, 0, 1}, TUNNELCAP_E_RANGE},
        {{sizeof(tunnelcap_reassembly_config), 0, 1, 4096, 100, 1, 1}, TUNNELCAP_E_RESERVED},
        {{sizeof(tunnelcap_reassembly_config), 0, 1, 4096, 100, 0, 0}, TUNNELCAP_E_RANGE},
        {{sizeof(tunnelcap_reassembly_config), 0, 1, 4096, 100, 0, 120000000001},
         TUNNELCAP_E_RANGE},
        {{sizeof(tunnelcap_reassembly_config), 0, 1, 4096, 100, 0, 120000000000}, TUNNELCAP_OK},
    };
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        tunnelcap_reassembly *r = NULL;
        void *caller = test_copy(&rows[i].config, sizeof(tunnelcap_reassembly_config));
        void *mem = test_arena(16384);
        ck_assert_status(tunnelcap_reassembly_init(mem, 16384, caller, test_seed, &r),
                         rows[i].want);
        ck_assert_uint_eq(tunnelcap_reassembly_size(caller) != 0, rows[i].want == TUNNELCAP_OK);
        test_arena_free(mem);
        free(caller);
    }
    struct {
        tunnelcap_reassembly_config known;
        uint8_t tail[16];
    } newer = {{sizeof(newer), 0, 1, 4096, 1, 0, 1}, {0}};
    ck_assert_uint_ne(tunnelcap_reassembly_size(&newer.known), 0);
    newer.tail[15] = 1;
    ck_assert_uint_eq(tunnelcap_reassembly_size(&newer.known), 0);
}
END_TEST

/* ---- single packets ---- */

START_TEST(what_is_no_fragment_is_whole)
{
    tunnelcap_reassembly *r = kit_new(0, 0, 0);
    kit_udp4(&whole, "192.0.2.1", 1, 100);
    ck_assert_status(kit_add(r, whole.frame.bytes, whole.frame.len, NULL, 0), TUNNELCAP_WHOLE);
    kit_udp6(&whole, "2001:db8::1", 1, 100);
    ck_assert_status(kit_add(r, whole.frame.bytes, whole.frame.len, NULL, 0), TUNNELCAP_WHOLE);
    /* Atomic fragments, also while a set of the same identification is under way (RFC 6946). */
    ck_assert_status(kit_send(r, &whole, 48, 52, false, 0), TUNNELCAP_KEPT);
    ck_assert_status(kit_send(r, &whole, 0, 100, false, 0), TUNNELCAP_WHOLE);
    test_ok(kit_send(r, &whole, 0, 48, true, 0));
    kit_is_whole(&whole);
    /* What does not begin at an IP header. */
    tunnelcap_meta meta = {.at = TUNNELCAP_AT_UDP_PAYLOAD};
    kit_piece(&whole, 0, 48, true, packet);
    ck_assert_status(kit_add(r, packet, 96, &meta, 0), TUNNELCAP_WHOLE);
    meta.at = TUNNELCAP_AT_IP_PAYLOAD;
    ck_assert_status(kit_add(r, packet, 96, &meta, 0), TUNNELCAP_WHOLE);
    meta.at = 3;
    ck_assert_status(kit_add(r, packet, 96, &meta, 0), TUNNELCAP_E_INVALID);
    ck_assert_uint_eq(kit_stats(r).sets, 0);
    ck_assert_uint_eq(kit_stats(r).fragments, 2);
    tunnelcap_reassembly_free(r);
}
END_TEST

START_TEST(two_fragments_make_a_datagram_in_either_order)
{
    tunnelcap_reassembly *r = kit_new(0, 0, 0);
    kit_udp4(&whole, "192.0.2.1", 7, 1500);
    kit_udp6(&other, "2001:db8::1", 7, 1499);
    ck_assert_status(kit_send(r, &whole, 0, 1480, true, 0), TUNNELCAP_KEPT);
    ck_assert_status(kit_send(r, &other, 1232, 267, false, 0), TUNNELCAP_KEPT);
    ck_assert_uint_eq(kit_stats(r).sets, 2);
    ck_assert_uint_eq(kit_stats(r).sources, 2);
    ck_assert_uint_eq(kit_stats(r).bytes, 3 * 512 + 512);
    test_ok(kit_send(r, &other, 0, 1232, true, 0));
    kit_is_whole(&other);
    test_ok(kit_send(r, &whole, 1480, 20, false, 0));
    kit_is_whole(&whole);
    tunnelcap_reassembly_stats stats = kit_stats(r);
    ck_assert_uint_eq(stats.sets + stats.sources + stats.bytes, 0);
    ck_assert_uint_eq(stats.completed, 2);
    ck_assert_uint_eq(stats.fragments, 4);
    tunnelcap_reassembly_free(r);
}
END_TEST

Suite *test_reassembly_suite(void)
{
    const TTest *tests[] = {
        config_init_fills_the_documented_defaults,
        init_works_at_the_exact_size_and_refuses_one_byte_less,
        new_takes_its_memory_from_the_allocator,
        init_refuses_what_it_documents,
        what_is_no_fragment_is_whole,
        two_fragments_make_a_datagram_in_either_order,
    };
    return test_suite("reassembly", tests, TEST_COUNT(tests));
}
