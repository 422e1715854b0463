/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "lane.h"

#include "support.h"

START_TEST(config_init_fills_the_documented_defaults)
{
    tunnelcap_lane_config config, want;
    memset(&config, 0xff, sizeof(config));
    memset(&want, 0, sizeof(want));
    want.size = sizeof(want);
    want.count = 1;
    want.max_burst = 32;
    want.key_slots = 64;
    want.events = 64;
    ck_assert_status(tunnelcap_lane_config_init(&config, sizeof(config)), TUNNELCAP_OK);
    ck_assert_mem_eq(&config, &want, sizeof(want));
    ck_assert_status(tunnelcap_lane_config_init(NULL, sizeof(config)), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_lane_config_init(&config, sizeof(config) - 1), TUNNELCAP_E_VERSION);
}
END_TEST

START_TEST(init_works_at_the_exact_size_and_refuses_one_byte_less)
{
    tunnelcap_lane_config config;
    ck_assert_status(tunnelcap_lane_config_init(&config, sizeof(config)), TUNNELCAP_OK);
    size_t size = tunnelcap_lane_size(&config, NULL);
    ck_assert_uint_gt(size, 0);
    ck_assert_uint_eq(size % 64, 0);
    uint8_t *mem = test_arena(size);
    tunnelcap_lane *lane = NULL;
    ck_assert_status(tunnelcap_lane_init(mem, size - 1, &config, test_seed, NULL, &lane),
                     TUNNELCAP_E_NOMEM);
    ck_assert_status(tunnelcap_lane_init(NULL, size, &config, test_seed, NULL, &lane),
                     TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_lane_init(mem + 1, size, &config, test_seed, NULL, &lane),
                     TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_lane_init(mem, size, NULL, test_seed, NULL, &lane),
                     TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_lane_init(mem, size, &config, NULL, NULL, &lane),
                     TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_lane_init(mem, size, &config, test_seed, NULL, NULL),
                     TUNNELCAP_E_INVALID);
    ck_assert_ptr_null(lane);
    uint8_t *seed = test_copy(test_seed, TUNNELCAP_SEED_SIZE);
    ck_assert_status(tunnelcap_lane_init(mem, size, &config, seed, NULL, &lane), TUNNELCAP_OK);
    free(seed);
    tunnelcap_lane_fini(lane);
    for (size_t i = 0; i < size; i++)
        ck_assert_uint_eq(mem[i], 0);
    test_arena_free(mem);
    tunnelcap_lane_fini(NULL);
}
END_TEST

START_TEST(new_takes_its_memory_from_the_allocator)
{
    tunnelcap_lane_config config;
    tunnelcap_lane *lane = NULL;
    ck_assert_status(tunnelcap_lane_config_init(&config, sizeof(config)), TUNNELCAP_OK);
    test_alloc_refuse_after(0);
    ck_assert_status(tunnelcap_lane_new(&config, test_seed, NULL, test_alloc(), &lane),
                     TUNNELCAP_E_NOMEM);
    ck_assert_status(tunnelcap_lane_new(NULL, test_seed, NULL, NULL, &lane), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_lane_new(&config, NULL, NULL, NULL, &lane), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_lane_new(&config, test_seed, NULL, NULL, NULL), TUNNELCAP_E_INVALID);
    ck_assert_ptr_null(lane);
    ck_assert_status(tunnelcap_lane_new(&config, test_seed, NULL, NULL, &lane), TUNNELCAP_OK);
    tunnelcap_lane_free(lane);
    tunnelcap_lane_free(NULL);
}
END_TEST

START_TEST(init_refuses_what_it_documents)
{
    static const struct {
        tunnelcap_lane_config config;
        int32_t want;
    } rows[] = {
        {{sizeof(tunnelcap_lane_config) - 1, 0, 0, 1, 32, 64, 64, 0, 0, 0}, TUNNELCAP_E_VERSION},
        {{sizeof(tunnelcap_lane_config), 1, 0, 1, 32, 64, 64, 0, 0, 0}, TUNNELCAP_E_FLAGS},
        {{sizeof(tunnelcap_lane_config), 0, 0, 0, 32, 64, 64, 0, 0, 0}, TUNNELCAP_E_RANGE},
        {{sizeof(tunnelcap_lane_config), 0, 0, 257, 32, 64, 64, 0, 0, 0}, TUNNELCAP_E_RANGE},
        {{sizeof(tunnelcap_lane_config), 0, 1, 1, 32, 64, 64, 0, 0, 0}, TUNNELCAP_E_RANGE},
        {{sizeof(tunnelcap_lane_config), 0, 0, 1, 0, 64, 64, 0, 0, 0}, TUNNELCAP_E_RANGE},
        {{sizeof(tunnelcap_lane_config), 0, 0, 1, 1025, 64, 64, 0, 0, 0}, TUNNELCAP_E_RANGE},
        {{sizeof(tunnelcap_lane_config), 0, 0, 1, 32, 0, 64, 0, 0, 0}, TUNNELCAP_E_RANGE},
        {{sizeof(tunnelcap_lane_config), 0, 0, 1, 32, (1u << 20) + 1, 64, 0, 0, 0},
         TUNNELCAP_E_RANGE},
        {{sizeof(tunnelcap_lane_config), 0, 0, 1, 1024, 1u << 20, 64, 0, 0, 0}, TUNNELCAP_OK},
        {{sizeof(tunnelcap_lane_config), 0, 255, 256, 1, 1, 0, 0, 0, 0}, TUNNELCAP_OK},
        {{sizeof(tunnelcap_lane_config), 0, 0, 1, 32, 64, 65537, 0, 0, 0}, TUNNELCAP_E_RANGE},
        {{sizeof(tunnelcap_lane_config), 0, 0, 1, 32, 64, 0, (1u << 20) + 1, 0, 0},
         TUNNELCAP_E_RANGE},
        {{sizeof(tunnelcap_lane_config), 0, 0, 1, 32, 64, 0, 0, (1u << 20) + 1, 0},
         TUNNELCAP_E_RANGE},
        {{sizeof(tunnelcap_lane_config), 0, 0, 1, 32, 64, 0, 0, 0, (1u << 20) + 1},
         TUNNELCAP_E_RANGE},
        {{sizeof(tunnelcap_lane_config), 0, 0, 1, 32, 64, 0, 10, 1u << 20, 1u << 20}, TUNNELCAP_OK},
    };
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        tunnelcap_lane *lane = NULL;
        void *caller = test_copy(&rows[i].config, sizeof(tunnelcap_lane_config));
        void *mem = test_arena(8192);
        ck_assert_status(tunnelcap_lane_init(mem, 8192, caller, test_seed, NULL, &lane),
                         rows[i].want);
        ck_assert_uint_eq(tunnelcap_lane_size(caller, NULL) != 0, rows[i].want == TUNNELCAP_OK);
        test_arena_free(mem);
        free(caller);
    }
    struct {
        tunnelcap_lane_config known;
        uint8_t tail[12];
    } newer = {{sizeof(newer), 0, 0, 1, 32, 64, 64, 0, 0, 0}, {0}};
    ck_assert_uint_ne(tunnelcap_lane_size(&newer.known, NULL), 0);
    newer.tail[11] = 1;
    ck_assert_uint_eq(tunnelcap_lane_size(&newer.known, NULL), 0);
}
END_TEST

START_TEST(lanes_share_the_identifications_without_overlap)
{
    static const uint16_t counts[] = {1, 3, 256};
    for (size_t c = 0; c < TEST_COUNT(counts); c++) {
        uint16_t count = counts[c];
        static uint8_t owner[65536];
        memset(owner, 0, sizeof(owner));
        for (uint16_t index = 0; index < count; index++) {
            tunnelcap_lane_config config = {sizeof(config), 0, index, count, 32, 64, 64, 0, 0, 0};
            tunnelcap_lane *lane = NULL;
            ck_assert_status(tunnelcap_lane_new(&config, test_seed, NULL, test_alloc(), &lane),
                             TUNNELCAP_OK);
            uint32_t share = 65536u / count - 1;
            for (uint32_t i = 0; i < share; i++) {
                uint32_t id = tunnelcap_i_lane_id(lane);
                ck_assert_uint_ge(id, 1);
                ck_assert_uint_le(id, 65535);
                ck_assert_uint_eq(owner[id], 0);
                owner[id] = 1;
            }
            tunnelcap_lane_free(lane);
        }
    }
}
END_TEST

START_TEST(flow_hash_depends_on_key_addresses_and_ports)
{
    static test_frame frame;
    static const struct {
        const char *src, *dst;
        uint16_t sport, dport;
    } flows[] = {{"10.0.0.1", "10.0.0.2", 1, 2},     {"10.0.0.2", "10.0.0.1", 1, 2},
                 {"10.0.0.1", "10.0.0.2", 2, 1},     {"10.0.0.1", "10.0.0.3", 1, 2},
                 {"fd00::1", "fd00::2", 1, 2},       {"fd00::2", "fd00::1", 1, 2},
                 {"fd00::1", "fd00::2", 1, 3},       {"fd00:1::1", "fd00::2", 1, 2},
                 {"fd00::1", "fd00:0:0:1::2", 1, 2}, {"fd00::1", "fd00::3", 1, 2}};
    uint64_t hashes[2 * TEST_COUNT(flows)];
    for (size_t i = 0; i < TEST_COUNT(hashes); i++) {
        tunnelcap_i_flow_key key = tunnelcap_i_flow_key_from(test_seed + (i & 1) * 16);
        test_ip out = test_between(flows[i / 2].src, flows[i / 2].dst);
        test_payload(&frame, 10);
        test_push_udp(&frame, &out, flows[i / 2].sport, flows[i / 2].dport);
        test_push_ip(&frame, &out, 17);
        tunnelcap_i_ip ip;
        ck_assert_status(tunnelcap_i_ip_parse(frame.bytes, frame.len, &ip), TUNNELCAP_OK);
        hashes[i] = tunnelcap_i_flow_hash(key, frame.bytes, frame.len, &ip);
        for (size_t j = 0; j < i; j++)
            ck_assert_uint_ne(hashes[i], hashes[j]);
    }
}
END_TEST

START_TEST(mixing_is_the_folded_128_bit_product)
{
    /* Products worked out by hand; big- and little-endian machines must agree on them. */
    ck_assert_uint_eq(tunnelcap_i_mix(0, UINT64_MAX), 0);
    ck_assert_uint_eq(tunnelcap_i_mix(1, 0x123456789abcdef0u), 0x123456789abcdef0u);
    ck_assert_uint_eq(tunnelcap_i_mix(UINT64_MAX, UINT64_MAX), (UINT64_MAX - 1) ^ 1);
    ck_assert_uint_eq(tunnelcap_i_mix(1u << 31, 1ull << 63), 1ull << 30);
    ck_assert_uint_eq(tunnelcap_i_mix(0x100000001u, 0x100000001u), 0x200000001u ^ 1u);
}
END_TEST

START_TEST(events_come_in_order_and_what_finds_no_room_is_counted)
{
    for (uint32_t size = 0; size <= 5; size++) {
        tunnelcap_lane_config config;
        tunnelcap_lane *lane = NULL;
        tunnelcap_event event, taken[8];
        uint64_t lost = 99, told = 0, next = 0, want_lost = 0;
        uint32_t waiting = 0;
        test_random random = {size};
        test_ok(tunnelcap_lane_config_init(&config, sizeof(config)));
        config.events = size;
        test_ok(tunnelcap_lane_new(&config, test_seed, NULL, test_alloc(), &lane));
        memset(&event, 0, sizeof(event));
        for (uint32_t i = 0; i < 200; i++) {
            for (uint32_t n = test_below(&random, 4); n > 0; n--) {
                event.tunnel = told;
                tunnelcap_i_lane_tell(lane, &event);
                if (waiting < size) {
                    waiting++;
                    told++;
                } else {
                    want_lost++;
                }
            }
            uint32_t cap = test_below(&random, 8);
            uint32_t got = tunnelcap_lane_events(lane, taken, cap, &lost);
            ck_assert_uint_eq(got, cap < waiting ? cap : waiting);
            ck_assert_uint_eq(lost, want_lost);
            for (uint32_t n = 0; n < got; n++)
                ck_assert_uint_eq(taken[n].tunnel, next++);
            waiting -= got;
        }
        ck_assert_uint_eq(tunnelcap_lane_events(NULL, taken, 8, &lost), 0);
        ck_assert_uint_eq(tunnelcap_lane_events(lane, NULL, 8, &lost), 0);
        tunnelcap_lane_free(lane);
    }
}
END_TEST

Suite *test_lane_suite(void)
{
    const TTest *tests[] = {
        events_come_in_order_and_what_finds_no_room_is_counted,
        config_init_fills_the_documented_defaults,
        init_works_at_the_exact_size_and_refuses_one_byte_less,
        new_takes_its_memory_from_the_allocator,
        init_refuses_what_it_documents,
        lanes_share_the_identifications_without_overlap,
        flow_hash_depends_on_key_addresses_and_ports,
        mixing_is_the_folded_128_bit_product,
    };
    return test_suite("lane", tests, TEST_COUNT(tests));
}
