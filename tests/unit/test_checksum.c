/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "checksum.h"

#include "support.h"

START_TEST(sum_agrees_with_the_example_of_rfc_1071_section_3)
{
    static const uint8_t bytes[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    ck_assert_uint_eq(tunnelcap_i_fold(tunnelcap_i_sum(bytes, sizeof(bytes))), 0xddf2);
}
END_TEST

START_TEST(update_agrees_with_the_example_of_rfc_1624_section_4)
{
    ck_assert_uint_eq(tunnelcap_i_checksum_update(0xdd2f, 0x5555, 0x3285), 0x0000);
}
END_TEST

START_TEST(sum_agrees_with_the_model_at_all_lengths_and_alignments)
{
    test_random random = {1};
    uint8_t bytes[400];
    for (uint32_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)test_next(&random);
    for (uint32_t len = 0; len + 8 <= sizeof(bytes); len++) {
        for (uint32_t skew = 0; skew < 8; skew++) {
            uint8_t *block = test_copy(bytes, skew + len);
            ck_assert_uint_eq(tunnelcap_i_fold(tunnelcap_i_sum(block + skew, len)),
                              test_sum(0, block + skew, len));
            free(block);
        }
    }
}
END_TEST

START_TEST(sum_carries_through_words_of_ones)
{
    static uint8_t bytes[65536];
    memset(bytes, 0xff, sizeof(bytes));
    ck_assert_uint_eq(tunnelcap_i_fold(tunnelcap_i_sum(bytes, sizeof(bytes))), 0xffff);
    ck_assert_uint_eq(tunnelcap_i_fold(tunnelcap_i_sum(bytes, sizeof(bytes) - 1)),
                      test_sum(0, bytes, sizeof(bytes) - 1));
    bytes[65535] = 1;
    ck_assert_uint_eq(tunnelcap_i_fold(tunnelcap_i_sum(bytes, sizeof(bytes))),
                      test_sum(0, bytes, sizeof(bytes)));
    memset(bytes, 0, sizeof(bytes));
    ck_assert_uint_eq(tunnelcap_i_fold(tunnelcap_i_sum(bytes, sizeof(bytes))), 0);
}
END_TEST

START_TEST(fold_leaves_no_carry)
{
    static const uint32_t sums[] = {0,       1,          0xffff,     0x10000,   0x1fffe,
                                    0x1ffff, 0xffff0000, 0xfffeffff, 0xffffffff};
    for (size_t i = 0; i < TEST_COUNT(sums); i++) {
        uint32_t want = sums[i] % 0xffff;
        if (want == 0 && sums[i] != 0)
            want = 0xffff;
        ck_assert_uint_eq(tunnelcap_i_fold(sums[i]), want);
    }
}
END_TEST

START_TEST(pseudo_header_sum_agrees_with_the_model)
{
    static const uint32_t lengths[] = {0, 8, 1480, 65535, 65536, 0x12345};
    test_ip pairs[] = {test_between("192.0.2.1", "198.51.100.254"),
                       test_between("2001:db8::1", "2001:db8:ffff:eeee:dddd:cccc:bbbb:aaaa")};
    for (size_t p = 0; p < TEST_COUNT(pairs); p++) {
        const test_ip *ip = &pairs[p];
        for (size_t i = 0; i < TEST_COUNT(lengths); i++) {
            uint32_t sum = tunnelcap_i_sum_pseudo(ip->src.bytes, ip->dst.bytes, ip->src.family, 17,
                                                  lengths[i]);
            ck_assert_uint_eq(tunnelcap_i_fold(sum), test_pseudo(ip, 17, lengths[i]));
        }
    }
}
END_TEST

START_TEST(update_equals_a_full_sum_for_random_changes)
{
    test_random random = {2};
    uint8_t bytes[64];
    for (uint32_t round = 0; round < 20000; round++) {
        for (uint32_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = (uint8_t)test_next(&random);
        uint16_t before = (uint16_t)~test_sum(0, bytes, sizeof(bytes));
        uint32_t at = 2 * test_below(&random, sizeof(bytes) / 2);
        uint16_t was = test_load16(bytes + at);
        test_store16(bytes + at, test_next(&random) & 0xffff);
        uint16_t after = tunnelcap_i_checksum_update(before, was, test_load16(bytes + at));
        ck_assert_uint_eq(after, (uint16_t)~test_sum(0, bytes, sizeof(bytes)));
    }
}
END_TEST

START_TEST(sum20_agrees_with_the_model)
{
    test_random random = {3};
    for (uint32_t round = 0; round < 20000; round++) {
        uint8_t bytes[20];
        for (uint32_t i = 0; i < sizeof(bytes); i++)
            bytes[i] =
                (uint8_t)(round < 1000 ? 0xff * (test_next(&random) & 1) : test_next(&random));
        uint8_t *block = test_copy(bytes, sizeof(bytes));
        uint16_t want = test_sum(0, bytes, sizeof(bytes));
        uint16_t native = tunnelcap_i_sum20(block);
        uint8_t wire[2];
        memcpy(wire, &native, sizeof(wire));
        ck_assert_uint_eq(test_load16(wire), want);
        free(block);
    }
}
END_TEST

Suite *test_checksum_suite(void)
{
    const TTest *tests[] = {
        sum_agrees_with_the_example_of_rfc_1071_section_3,
        update_agrees_with_the_example_of_rfc_1624_section_4,
        sum_agrees_with_the_model_at_all_lengths_and_alignments,
        sum_carries_through_words_of_ones,
        fold_leaves_no_carry,
        pseudo_header_sum_agrees_with_the_model,
        update_equals_a_full_sum_for_random_changes,
        sum20_agrees_with_the_model,
    };
    return test_suite("checksum", tests, TEST_COUNT(tests));
}
