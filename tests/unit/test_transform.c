/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "esp_kit.h"

START_TEST(every_usable_transform_tells_its_facts)
{
    for (uint32_t i = 0; i < test_suites_count; i++) {
        const test_suite_row *row = &test_suites[i];
        tunnelcap_transform t = test_transform_of(row);
        tunnelcap_transform_info info, want = {.size = sizeof(want)};
        want.iv_len = row->iv_len;
        want.icv_len = row->icv_len;
        want.align = row->align;
        want.salt_len = row->salt_len;
        want.combined = row->integ == TUNNELCAP_INTEG_NONE;
        want.counter_mode = row->counter_mode;
        want.implicit_iv = want.combined && row->iv_len == 0;
        memset(&info, 0xff, sizeof(info));
        info.size = sizeof(info);
        ck_assert_status(tunnelcap_transform_check(&t, &info), TUNNELCAP_OK);
        ck_assert_mem_eq(&info, &want, sizeof(want));
        ck_assert_status(tunnelcap_transform_check(&t, NULL), TUNNELCAP_OK);
    }
}
END_TEST

START_TEST(weak_and_clear_algorithms_want_an_opt_in)
{
    for (uint32_t i = 0; i < test_suites_count; i++) {
        tunnelcap_transform t = test_transform_of(&test_suites[i]);
        t.flags = 0;
        ck_assert_status(tunnelcap_transform_check(&t, NULL),
                         test_suites[i].weak ? TUNNELCAP_E_WEAK : TUNNELCAP_OK);
        t.flags = TUNNELCAP_TRANSFORM_ALLOW_WEAK;
        ck_assert_status(tunnelcap_transform_check(&t, NULL), TUNNELCAP_OK);
    }
}
END_TEST

START_TEST(keys_and_salts_have_their_lengths)
{
    for (uint32_t i = 0; i < test_suites_count; i++) {
        const test_suite_row *row = &test_suites[i];
        for (uint16_t len = 0; len <= 80; len++) {
            tunnelcap_transform t = test_transform_of(row);
            bool aes = row->encr_key_len != 0 && row->encr != TUNNELCAP_ENCR_3DES &&
                       row->encr != TUNNELCAP_ENCR_CHACHA20_POLY1305 &&
                       row->encr != TUNNELCAP_ENCR_CHACHA20_POLY1305_IIV;
            bool good = aes ? len == 16 || len == 24 || len == 32 : len == row->encr_key_len;
            t.encr_key_len = len;
            ck_assert_status(tunnelcap_transform_check(&t, NULL),
                             good ? TUNNELCAP_OK : TUNNELCAP_E_KEY);
            t = test_transform_of(row);
            t.integ_key_len = len;
            ck_assert_status(tunnelcap_transform_check(&t, NULL),
                             len == row->integ_key_len ? TUNNELCAP_OK : TUNNELCAP_E_KEY);
        }
        for (uint8_t at = 0; at < 4; at++) {
            tunnelcap_transform t = test_transform_of(row);
            t.salt[at] = 0x77;
            ck_assert_status(tunnelcap_transform_check(&t, NULL),
                             at < row->salt_len ? TUNNELCAP_OK : TUNNELCAP_E_KEY);
        }
    }
}
END_TEST

START_TEST(only_the_listed_algorithms_exist)
{
    for (uint32_t encr = 0; encr < 300; encr++) {
        bool known = false;
        for (uint32_t i = 0; i < test_suites_count; i++)
            known |= test_suites[i].encr == encr;
        tunnelcap_transform t = test_cbc_sha256();
        t.encr = (uint16_t)encr;
        if (!known)
            ck_assert_status(tunnelcap_transform_check(&t, NULL), TUNNELCAP_E_TRANSFORM);
    }
    for (uint32_t integ = 0; integ < 300; integ++) {
        bool known = integ == TUNNELCAP_INTEG_NONE;
        for (uint32_t i = 0; i < test_suites_count; i++)
            known |= test_suites[i].integ == integ;
        tunnelcap_transform t = test_cbc_sha256();
        t.integ = (uint16_t)integ;
        if (!known)
            ck_assert_status(tunnelcap_transform_check(&t, NULL), TUNNELCAP_E_TRANSFORM);
    }
}
END_TEST

START_TEST(encryption_never_goes_without_integrity_nor_with_two)
{
    for (uint32_t i = 0; i < test_suites_count; i++) {
        tunnelcap_transform t = test_transform_of(&test_suites[i]);
        if (t.integ != TUNNELCAP_INTEG_NONE) {
            t.integ = TUNNELCAP_INTEG_NONE;
            t.integ_key_len = 0;
        } else {
            t.integ = TUNNELCAP_INTEG_HMAC_SHA2_256_128;
            t.integ_key_len = 32;
        }
        ck_assert_status(tunnelcap_transform_check(&t, NULL), TUNNELCAP_E_TRANSFORM);
    }
}
END_TEST

START_TEST(check_refuses_what_it_does_not_know)
{
    tunnelcap_transform t = test_gcm();
    tunnelcap_transform_info info = {.size = sizeof(info)};
    ck_assert_status(tunnelcap_transform_check(NULL, NULL), TUNNELCAP_E_INVALID);
    t.flags = 2;
    ck_assert_status(tunnelcap_transform_check(&t, NULL), TUNNELCAP_E_FLAGS);
    for (uint32_t i = 0; i < sizeof(t.reserved); i++) {
        t = test_gcm();
        t.reserved[i] = 1;
        ck_assert_status(tunnelcap_transform_check(&t, NULL), TUNNELCAP_E_RESERVED);
    }
    t = test_gcm();
    t.size = sizeof(t) - 1;
    ck_assert_status(tunnelcap_transform_check(&t, NULL), TUNNELCAP_E_VERSION);
    t.size = sizeof(t);
    info.size = sizeof(info) - 1;
    ck_assert_status(tunnelcap_transform_check(&t, &info), TUNNELCAP_E_VERSION);
}
END_TEST

START_TEST(structs_of_other_versions_are_read_to_their_own_end)
{
    tunnelcap_transform t = test_gcm();
    tunnelcap_transform *exact = test_copy(&t, sizeof(t));
    ck_assert_status(tunnelcap_transform_check(exact, NULL), TUNNELCAP_OK);
    free(exact);
    struct {
        tunnelcap_transform known;
        uint8_t tail[8];
    } newer = {t, {0}};
    newer.known.size = sizeof(newer);
    ck_assert_status(tunnelcap_transform_check(&newer.known, NULL), TUNNELCAP_OK);
    newer.tail[7] = 1;
    ck_assert_status(tunnelcap_transform_check(&newer.known, NULL), TUNNELCAP_E_VERSION);
    struct {
        tunnelcap_transform_info known;
        uint8_t tail[8];
    } wide;
    memset(&wide, 0xff, sizeof(wide));
    wide.known.size = sizeof(wide);
    ck_assert_status(tunnelcap_transform_check(&t, &wide.known), TUNNELCAP_OK);
    for (size_t i = 0; i < sizeof(wide.tail); i++)
        ck_assert_uint_eq(wide.tail[i], 0);
    ck_assert_uint_eq(wide.known.icv_len, 16);
}
END_TEST

Suite *test_transform_suite(void)
{
    const TTest *tests[] = {
        every_usable_transform_tells_its_facts,
        weak_and_clear_algorithms_want_an_opt_in,
        keys_and_salts_have_their_lengths,
        only_the_listed_algorithms_exist,
        encryption_never_goes_without_integrity_nor_with_two,
        check_refuses_what_it_does_not_know,
        structs_of_other_versions_are_read_to_their_own_end,
    };
    return test_suite("transform", tests, TEST_COUNT(tests));
}
