/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "wire.h"

#include "support.h"

START_TEST(loads_are_big_endian_at_any_alignment)
{
    uint8_t bytes[16];
    for (uint32_t skew = 0; skew < 8; skew++) {
        for (uint32_t i = 0; i < 8; i++)
            bytes[skew + i] = (uint8_t)(0x81 + i);
        ck_assert_uint_eq(tunnelcap_i_load16(bytes + skew), 0x8182);
        ck_assert_uint_eq(tunnelcap_i_load32(bytes + skew), 0x81828384);
        ck_assert_uint_eq(tunnelcap_i_load64(bytes + skew), 0x8182838485868788u);
    }
}
END_TEST

START_TEST(stores_are_big_endian_and_touch_no_neighbour)
{
    static const uint8_t want16[6] = {0xee, 0x81, 0x82, 0xee, 0xee, 0xee};
    static const uint8_t want32[6] = {0xee, 0x81, 0x82, 0x83, 0x84, 0xee};
    uint8_t bytes[6];
    memset(bytes, 0xee, sizeof(bytes));
    tunnelcap_i_store16(bytes + 1, 0x8182);
    ck_assert_mem_eq(bytes, want16, sizeof(bytes));
    tunnelcap_i_store32(bytes + 1, 0x81828384);
    ck_assert_mem_eq(bytes, want32, sizeof(bytes));
}
END_TEST

START_TEST(words_keep_the_bytes_of_memory)
{
    static const uint8_t bytes[9] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    uint64_t word64 = tunnelcap_i_word64(bytes + 1);
    uint32_t word32 = tunnelcap_i_word32(bytes + 1);
    ck_assert_mem_eq(&word64, bytes + 1, 8);
    ck_assert_mem_eq(&word32, bytes + 1, 4);
}
END_TEST

Suite *test_wire_suite(void)
{
    const TTest *tests[] = {
        loads_are_big_endian_at_any_alignment,
        stores_are_big_endian_and_touch_no_neighbour,
        words_keep_the_bytes_of_memory,
    };
    return test_suite("wire", tests, TEST_COUNT(tests));
}
