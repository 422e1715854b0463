/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* What belongs to one set, what its datagram looks like, and how long it may wait. */
#include "reassembly_kit.h"

static frag_whole whole, other;
static uint8_t packet[TEST_FRAME_CAP];

/* ---- what belongs together ---- */

START_TEST(sets_are_told_apart_by_all_that_names_them)
{
    tunnelcap_reassembly *r = frag_new(0, 0, 0);
    tunnelcap_meta meta = {.vrf = 1};
    frag_udp4(&whole, "192.0.2.1", 7, 1000);
    uint32_t len = frag_piece(&whole, 0, 800, true, packet);
    ck_assert_status(frag_add(r, packet, len, NULL, 0), TUNNELCAP_KEPT);
    static const uint8_t at[] = {5, 9, 12, 19}; /* id, protocol, source, destination */
    for (size_t i = 0; i < TEST_COUNT(at); i++) {
        len = frag_piece(&whole, 800, 200, false, packet);
        packet[at[i]] ^= 0x40;
        frag_seal(packet);
        ck_assert_status(frag_add(r, packet, len, NULL, 0), TUNNELCAP_KEPT);
    }
    len = frag_piece(&whole, 800, 200, false, packet);
    ck_assert_status(frag_add(r, packet, len, &meta, 0), TUNNELCAP_KEPT);
    ck_assert_uint_eq(frag_stats(r).sets, 6);
    ck_assert_uint_eq(frag_stats(r).sources, 3);
    test_ok(frag_add(r, packet, len, NULL, 0));
    frag_is_whole(&whole);
    frag_udp6(&whole, "2001:db8::1", 7, 1000);
    ck_assert_status(frag_send(r, &whole, 0, 800, true, 0), TUNNELCAP_KEPT);
    static const uint8_t at6[] = {8, 23, 24, 39, 44, 47}; /* source, destination, id */
    for (size_t i = 0; i < TEST_COUNT(at6); i++) {
        len = frag_piece(&whole, 800, 200, false, packet);
        packet[at6[i]] ^= 0x40;
        ck_assert_status(frag_add(r, packet, len, NULL, 0), TUNNELCAP_KEPT);
    }
    len = frag_piece(&whole, 800, 200, false, packet);
    packet[40] = 6; /* only the first fragment's next header counts, RFC 8200 4.5 */
    test_ok(frag_add(r, packet, len, NULL, 0));
    frag_is_whole(&whole);
    tunnelcap_reassembly_free(r);
}
END_TEST

START_TEST(the_header_is_that_of_the_first_fragment)
{
    tunnelcap_reassembly *r = frag_new(0, 0, 0);
    test_ip ip = test_between("192.0.2.1", "192.0.2.2");
    ip.frag = 0;
    ip.id = 77;
    ip.tos = 0xb8;
    test_payload(&whole.frame, 1000);
    test_push_udp(&whole.frame, &ip, 1, 2);
    test_push_ip_options(&whole.frame, &ip, 17, "\7\7\4\0\0\0\0\0", 8);
    whole.head = 28;
    for (unsigned first = 0; first < 2; first++) {
        for (unsigned i = 0; i < 2; i++) {
            bool is_first = i == first;
            uint32_t len = is_first ? frag_piece(&whole, 0, 800, true, packet)
                                    : frag_piece(&whole, 800, 208, false, packet);
            if (!is_first) {
                packet[1] = 0;
                packet[8] = 3;
                frag_seal(packet);
            }
            ck_assert_status(frag_add(r, packet, len, NULL, 0),
                             i == 0 ? TUNNELCAP_KEPT : TUNNELCAP_OK);
        }
        frag_is_whole(&whole);
    }
    tunnelcap_reassembly_free(r);
}
END_TEST

START_TEST(df_stays_if_every_fragment_had_it)
{
    tunnelcap_reassembly *r = frag_new(0, 0, 0);
    for (unsigned mask = 0; mask < 8; mask++) {
        frag_udp4(&whole, "192.0.2.1", mask, 300);
        for (uint32_t i = 0; i < 3; i++) {
            test_store16(whole.frame.bytes + 6, mask >> i & 1 ? 0x4000 : 0);
            ck_assert_status(frag_send(r, &whole, (i + 2) % 3 * 96, i == 0 ? 108 : 96, i != 0, 0),
                             i == 2 ? TUNNELCAP_OK : TUNNELCAP_KEPT);
        }
        test_store16(whole.frame.bytes + 6, mask == 7 ? 0x4000 : 0);
        frag_seal(whole.frame.bytes);
        frag_is_whole(&whole);
    }
    tunnelcap_reassembly_free(r);
}
END_TEST

/* RFC 3168 5.3, for all sets of three fragments, over both families. */
START_TEST(ecn_is_ce_if_any_is_and_never_over_not_ect)
{
    tunnelcap_reassembly *r = frag_new(0, 0, 0);
    for (unsigned i = 0; i < 2 * 64; i++) {
        unsigned ecn[3] = {i & 3, i >> 2 & 3, i >> 4 & 3};
        bool six = i >= 64, ce = false, not_ect = false;
        int32_t status = TUNNELCAP_KEPT;
        six ? frag_udp6(&whole, "2001:db8::1", i, 300) : frag_udp4(&whole, "192.0.2.1", i, 300);
        for (uint32_t n = 0; n < 3; n++) {
            uint32_t len = frag_piece(&whole, n * 96, n == 2 ? 108 : 96, n != 2, packet);
            packet[1] = (uint8_t)(six ? ecn[n] << 4 : ecn[n]);
            if (!six)
                frag_seal(packet);
            ce = ce || ecn[n] == 3;
            not_ect = not_ect || ecn[n] == 0;
            int32_t want = ce && not_ect ? TUNNELCAP_E_ECN : n == 2 ? TUNNELCAP_OK : TUNNELCAP_KEPT;
            status = frag_add(r, packet, len, NULL, 0);
            ck_assert_status(status, want);
        }
        if (status != TUNNELCAP_OK)
            continue;
        const uint8_t *got = frag_out.buf + frag_out.off;
        ck_assert_uint_eq(six ? got[1] >> 4 : got[1], ce ? 3 : ecn[0]);
    }
    ck_assert_uint_eq(frag_stats(r).ecn_mixed, 2 * 18);
    ck_assert_uint_eq(frag_stats(r).completed, 2 * 46);
    tunnelcap_reassembly_free(r);
}
END_TEST

/* ---- time ---- */

START_TEST(a_set_lives_until_its_time_is_out_and_not_longer)
{
    tunnelcap_reassembly *r = frag_new(0, 0, 0);
    const uint64_t second = FRAG_SECOND, start = 1000 * second;
    frag_udp4(&whole, "192.0.2.1", 7, 1000);
    ck_assert(tunnelcap_reassembly_wait(r, start) == UINT64_MAX);
    ck_assert_status(frag_send(r, &whole, 0, 400, true, start), TUNNELCAP_KEPT);
    ck_assert(tunnelcap_reassembly_wait(r, start) == 30 * second);
    ck_assert(tunnelcap_reassembly_wait(r, start + 30 * second - 1) == 1);
    ck_assert(tunnelcap_reassembly_wait(r, start + 30 * second) == 0);
    ck_assert_status(frag_send(r, &whole, 400, 400, true, start + 30 * second - 1), TUNNELCAP_KEPT);
    ck_assert_uint_eq(frag_stats(r).sets, 1);
    /* Now it is out: the rest begins a set of its own, which lacks what came before. */
    ck_assert_status(frag_send(r, &whole, 800, 200, false, start + 30 * second), TUNNELCAP_KEPT);
    ck_assert_uint_eq(frag_stats(r).timed_out, 1);
    ck_assert_uint_eq(frag_stats(r).sets, 1);
    ck_assert_status(tunnelcap_reassembly_expire(r, start + 60 * second - 1, NULL, NULL),
                     TUNNELCAP_E_NOT_FOUND);
    ck_assert_uint_eq(frag_stats(r).sets, 1);
    ck_assert_status(tunnelcap_reassembly_expire(r, start + 60 * second, NULL, NULL),
                     TUNNELCAP_E_NOT_FOUND);
    ck_assert_uint_eq(frag_stats(r).sets, 0);
    ck_assert_uint_eq(frag_stats(r).timed_out, 2);
    tunnelcap_reassembly_free(r);
}
END_TEST

START_TEST(a_clock_that_goes_backwards_does_no_harm)
{
    tunnelcap_reassembly *r = frag_new(0, 0, 0);
    const uint64_t second = FRAG_SECOND;
    frag_udp4(&whole, "192.0.2.1", 7, 1000);
    ck_assert_status(frag_send(r, &whole, 0, 400, true, 1000 * second), TUNNELCAP_KEPT);
    ck_assert_status(frag_send(r, &whole, 400, 400, true, 5 * second), TUNNELCAP_KEPT);
    ck_assert(tunnelcap_reassembly_wait(r, 5 * second) == 30 * second);
    ck_assert(tunnelcap_reassembly_wait(r, 34 * second) == second);
    ck_assert_status(tunnelcap_reassembly_expire(r, 20 * second, NULL, NULL),
                     TUNNELCAP_E_NOT_FOUND);
    ck_assert_status(tunnelcap_reassembly_expire(r, 0, NULL, NULL), TUNNELCAP_E_NOT_FOUND);
    ck_assert(tunnelcap_reassembly_wait(r, 14 * second) == second);
    test_ok(frag_send(r, &whole, 800, 200, false, 14 * second));
    frag_is_whole(&whole);
    tunnelcap_reassembly_free(r);
}
END_TEST

START_TEST(expiry_hands_out_first_fragments_as_they_came)
{
    static const char *const sources[] = {"192.0.2.1", "2001:db8::1"};
    static uint8_t bytes[2048];
    tunnelcap_pkt out = {bytes, sizeof(bytes), 100, 0, 0, NULL};
    uint32_t vrf = 0;
    for (unsigned i = 0; i < 2; i++) {
        tunnelcap_reassembly *r = frag_new(0, 0, 0);
        tunnelcap_meta meta = {.vrf = 5};
        i == 0 ? frag_udp4(&whole, sources[i], 7, 1600) : frag_udp6(&whole, sources[i], 7, 1600);
        /* No first fragment; discarded; as it should be; not due. */
        i == 0 ? frag_udp4(&other, sources[i], 8, 1600) : frag_udp6(&other, sources[i], 8, 1600);
        ck_assert_status(frag_send(r, &other, 1200, 400, false, 0), TUNNELCAP_KEPT);
        i == 0 ? frag_udp4(&other, sources[i], 9, 1600) : frag_udp6(&other, sources[i], 9, 1600);
        ck_assert_status(frag_send(r, &other, 0, 400, true, 0), TUNNELCAP_KEPT);
        ck_assert_status(frag_send(r, &other, 8, 400, true, 0), TUNNELCAP_E_OVERLAP);
        ck_assert_status(frag_send(r, &whole, 1200, 200, true, 1), TUNNELCAP_KEPT);
        uint32_t len = frag_piece(&whole, 0, 1000, true, packet);
        ck_assert_status(frag_add(r, packet, len, &meta, 2), TUNNELCAP_KEPT);
        ck_assert_status(frag_add(r, packet, len, NULL, 2), TUNNELCAP_KEPT);
        i == 0 ? frag_udp4(&other, sources[i], 10, 1600) : frag_udp6(&other, sources[i], 10, 1600);
        ck_assert_status(frag_send(r, &other, 0, 400, true, FRAG_SECOND), TUNNELCAP_KEPT);

        uint64_t now = 30ull * FRAG_SECOND + 2;
        test_ok(tunnelcap_reassembly_expire(r, now, &out, &vrf));
        ck_assert_uint_eq(vrf, 0);
        ck_assert_uint_eq(out.off, 100);
        ck_assert_uint_eq(out.len, len);
        ck_assert_mem_eq(bytes + 100, packet, len);
        out.cap = 100 + 60;
        bytes[160] = 0xee;
        test_ok(tunnelcap_reassembly_expire(r, now, &out, &vrf));
        ck_assert_uint_eq(vrf, 5);
        ck_assert_uint_eq(out.len, 60);
        ck_assert_uint_eq(bytes[160], 0xee);
        ck_assert_mem_eq(bytes + 100, packet, 60);
        out.cap = sizeof(bytes);
        ck_assert_status(tunnelcap_reassembly_expire(r, now, &out, &vrf), TUNNELCAP_E_NOT_FOUND);
        ck_assert_uint_eq(out.len, 60);
        ck_assert_uint_eq(frag_stats(r).sets, 1);
        ck_assert_uint_eq(frag_stats(r).timed_out, 3);
        out.cap = 100 + 10;
        test_ok(tunnelcap_reassembly_expire(r, UINT64_MAX, &out, NULL));
        ck_assert_uint_eq(out.len, 10);
        out.cap = sizeof(bytes);
        ck_assert_status(tunnelcap_reassembly_expire(r, UINT64_MAX, &out, NULL),
                         TUNNELCAP_E_NOT_FOUND);
        tunnelcap_reassembly_free(r);
    }
}
END_TEST

Suite *test_reassembly_set_suite(void)
{
    const TTest *tests[] = {
        sets_are_told_apart_by_all_that_names_them,
        the_header_is_that_of_the_first_fragment,
        df_stays_if_every_fragment_had_it,
        ecn_is_ce_if_any_is_and_never_over_not_ect,
        a_set_lives_until_its_time_is_out_and_not_longer,
        a_clock_that_goes_backwards_does_no_harm,
        expiry_hands_out_first_fragments_as_they_came,
    };
    return test_suite("reassembly_set", tests, TEST_COUNT(tests));
}
