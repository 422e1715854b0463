/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The object, and what single packets are answered. */
#include "reassembly_kit.h"

static frag_whole whole, other;
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
    want.timeout_ns = 30ull * FRAG_SECOND;
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
    frag_udp4(&whole, "192.0.2.1", 1, 65515);
    for (uint32_t off = 65512; off > 0; off -= 8)
        ck_assert_status(frag_send(r, &whole, off, off == 65512 ? 3 : 8, off != 65512, 0),
                         TUNNELCAP_KEPT);
    test_ok(frag_send(r, &whole, 0, 8, true, 0));
    frag_is_whole(&whole);
    for (uint32_t i = 0; i < 9; i++) {
        frag_udp4(&whole, "192.0.2.1", i, 1000);
        ck_assert_status(frag_send(r, &whole, 0, 800, true, 0), TUNNELCAP_KEPT);
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
    tunnelcap_reassembly *r = frag_new(0, 0, 0);
    frag_udp4(&whole, "192.0.2.1", 1, 100);
    ck_assert_status(frag_add(r, whole.frame.bytes, whole.frame.len, NULL, 0), TUNNELCAP_WHOLE);
    frag_udp6(&whole, "2001:db8::1", 1, 100);
    ck_assert_status(frag_add(r, whole.frame.bytes, whole.frame.len, NULL, 0), TUNNELCAP_WHOLE);
    /* Atomic fragments, also while a set of the same identification is under way (RFC 6946). */
    ck_assert_status(frag_send(r, &whole, 48, 52, false, 0), TUNNELCAP_KEPT);
    ck_assert_status(frag_send(r, &whole, 0, 100, false, 0), TUNNELCAP_WHOLE);
    test_ok(frag_send(r, &whole, 0, 48, true, 0));
    frag_is_whole(&whole);
    /* What does not begin at an IP header. */
    tunnelcap_meta meta = {.at = TUNNELCAP_AT_UDP_PAYLOAD};
    frag_piece(&whole, 0, 48, true, packet);
    ck_assert_status(frag_add(r, packet, 96, &meta, 0), TUNNELCAP_WHOLE);
    meta.at = TUNNELCAP_AT_IP_PAYLOAD;
    ck_assert_status(frag_add(r, packet, 96, &meta, 0), TUNNELCAP_WHOLE);
    meta.at = 3;
    ck_assert_status(frag_add(r, packet, 96, &meta, 0), TUNNELCAP_E_INVALID);
    ck_assert_uint_eq(frag_stats(r).sets, 0);
    ck_assert_uint_eq(frag_stats(r).fragments, 2);
    tunnelcap_reassembly_free(r);
}
END_TEST

START_TEST(two_fragments_make_a_datagram_in_either_order)
{
    tunnelcap_reassembly *r = frag_new(0, 0, 0);
    frag_udp4(&whole, "192.0.2.1", 7, 1500);
    frag_udp6(&other, "2001:db8::1", 7, 1499);
    ck_assert_status(frag_send(r, &whole, 0, 1480, true, 0), TUNNELCAP_KEPT);
    ck_assert_status(frag_send(r, &other, 1232, 267, false, 0), TUNNELCAP_KEPT);
    ck_assert_uint_eq(frag_stats(r).sets, 2);
    ck_assert_uint_eq(frag_stats(r).sources, 2);
    ck_assert_uint_eq(frag_stats(r).bytes, 3 * 512 + 512);
    test_ok(frag_send(r, &other, 0, 1232, true, 0));
    frag_is_whole(&other);
    test_ok(frag_send(r, &whole, 1480, 20, false, 0));
    frag_is_whole(&whole);
    tunnelcap_reassembly_stats stats = frag_stats(r);
    ck_assert_uint_eq(stats.sets + stats.sources + stats.bytes, 0);
    ck_assert_uint_eq(stats.completed, 2);
    ck_assert_uint_eq(stats.fragments, 4);
    tunnelcap_reassembly_free(r);
}
END_TEST

START_TEST(a_datagram_needs_its_length_of_room_and_no_more)
{
    tunnelcap_reassembly *r = frag_new(0, 0, 0);
    frag_udp6(&whole, "2001:db8::1", 7, 3000);
    ck_assert_status(frag_send(r, &whole, 0, 1232, true, 0), TUNNELCAP_KEPT);
    ck_assert_status(frag_send(r, &whole, 2464, 536, false, 0), TUNNELCAP_KEPT);
    tunnelcap_reassembly_stats before = frag_stats(r);
    uint32_t packet_len = frag_piece(&whole, 1232, 1232, true, packet);
    frag_room = 3039;
    ck_assert_status(frag_add(r, packet, packet_len, NULL, 0), TUNNELCAP_E_TAILROOM);
    frag_room = 0;
    ck_assert_status(frag_add(r, packet, packet_len, NULL, 0), TUNNELCAP_E_TAILROOM);
    tunnelcap_pkt pkt = test_pkt(packet, packet_len, 0);
    ck_assert_status(tunnelcap_reassembly_add(r, &pkt, NULL, 0, NULL), TUNNELCAP_E_TAILROOM);
    ck_assert_uint_eq(tunnelcap_reassembly_need(r, &pkt, NULL, 0), 3040);
    test_pkt_free(&pkt);
    tunnelcap_reassembly_stats after = frag_stats(r);
    ck_assert_mem_eq(&before, &after, sizeof(before));
    frag_room = 3040;
    test_ok(frag_add(r, packet, packet_len, NULL, 0));
    frag_is_whole(&whole);
    frag_room = 66000;
    tunnelcap_reassembly_free(r);
}
END_TEST

START_TEST(arguments_that_cannot_be_are_refused)
{
    tunnelcap_reassembly *r = frag_new(0, 0, 0);
    static uint8_t memory[4000];
    frag_udp4(&whole, "192.0.2.1", 7, 1000);
    uint32_t len = frag_piece(&whole, 0, 800, true, memory);
    tunnelcap_pkt pkt = {memory, 2000, 0, len, 0, NULL};
    tunnelcap_pkt out = {memory + 2000, 2000, 0, 0, 0, NULL};
    tunnelcap_pkt bad = pkt;
    ck_assert_status(tunnelcap_reassembly_add(NULL, &pkt, NULL, 0, &out), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_reassembly_add(r, NULL, NULL, 0, &out), TUNNELCAP_E_INVALID);
    ck_assert_uint_eq(tunnelcap_reassembly_need(NULL, &pkt, NULL, 0), 0);
    ck_assert_uint_eq(tunnelcap_reassembly_need(r, NULL, NULL, 0), 0);
    bad.buf = NULL;
    ck_assert_status(tunnelcap_reassembly_add(r, &bad, NULL, 0, &out), TUNNELCAP_E_INVALID);
    bad = pkt;
    bad.len = 2001;
    ck_assert_status(tunnelcap_reassembly_add(r, &bad, NULL, 0, &out), TUNNELCAP_E_INVALID);
    bad = pkt;
    bad.off = 2001;
    bad.len = 0;
    ck_assert_status(tunnelcap_reassembly_add(r, &bad, NULL, 0, &out), TUNNELCAP_E_INVALID);
    bad = out;
    bad.off = 2001;
    ck_assert_status(tunnelcap_reassembly_add(r, &pkt, NULL, 0, &bad), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_reassembly_expire(r, 0, &bad, NULL), TUNNELCAP_E_INVALID);
    bad.off = 0;
    bad.buf = NULL;
    ck_assert_status(tunnelcap_reassembly_add(r, &pkt, NULL, 0, &bad), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_reassembly_expire(r, 0, &bad, NULL), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_reassembly_expire(NULL, 0, &out, NULL), TUNNELCAP_E_INVALID);
    bad.buf = memory + 1999;
    ck_assert_status(tunnelcap_reassembly_add(r, &pkt, NULL, 0, &bad), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_reassembly_add(r, &pkt, NULL, 0, &pkt), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_reassembly_add(r, &pkt, NULL, 0, &out), TUNNELCAP_KEPT);
    tunnelcap_reassembly_stats stats;
    ck_assert_status(tunnelcap_reassembly_get_stats(NULL, &stats, sizeof(stats)),
                     TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_reassembly_get_stats(r, NULL, sizeof(stats)), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_reassembly_get_stats(r, &stats, sizeof(stats) - 1),
                     TUNNELCAP_E_VERSION);
    ck_assert(tunnelcap_reassembly_wait(NULL, 0) == UINT64_MAX);
    tunnelcap_reassembly_free(r);
}
END_TEST

static int32_t feed(void *arg, tunnelcap_pkt *pkt)
{
    return tunnelcap_reassembly_add(arg, pkt, NULL, 0, NULL);
}

START_TEST(a_cut_fragment_is_truncated_at_every_length)
{
    tunnelcap_reassembly *r = frag_new(0, 0, 0);
    uint32_t len;
    frag_udp4(&whole, "192.0.2.1", 7, 1000);
    len = frag_piece(&whole, 0, 80, true, packet);
    test_truncation(packet, len, TUNNELCAP_E_TRUNCATED, feed, r);
    len = frag_piece(&whole, 80, 80, true, packet);
    test_truncation(packet, len, TUNNELCAP_E_TRUNCATED, feed, r);
    test_ip ip = test_between("2001:db8::1", "2001:db8::2");
    test_payload(&whole.frame, 100);
    test_push_udp(&whole.frame, &ip, 1, 2);
    test_push_ext(&whole.frame, 17, "\1\4\0\0\0\0", 6);
    test_push_ext(&whole.frame, 60, "\1\4\0\0\0\0", 6);
    test_push_ip(&whole.frame, &ip, 0);
    whole.head = 48;
    whole.next_at = 40;
    len = frag_piece(&whole, 0, 80, true, packet);
    test_truncation(packet, len, TUNNELCAP_E_TRUNCATED, feed, r);
    tunnelcap_reassembly_stats stats = frag_stats(r);
    ck_assert_uint_eq(stats.sets, 0);
    ck_assert_uint_eq(stats.refused, stats.fragments);
    ck_assert_status(frag_add(r, packet, len, NULL, 0), TUNNELCAP_KEPT);
    tunnelcap_reassembly_free(r);
}
END_TEST

/* Fragments of IPv4 that are refused for themselves, in a set that goes on without them. */
START_TEST(a_fragment_that_is_wrong_in_itself_leaves_its_set_alone)
{
    static const struct {
        uint32_t off, len;
        bool more;
        uint8_t protocol;
        uint32_t at; /* of a byte to change */
        uint8_t to;
        bool six;
        int32_t want;
    } rows[] = {
        {0, 0, true, 17, 0, 0, false, TUNNELCAP_E_MALFORMED},
        {800, 0, false, 17, 0, 0, false, TUNNELCAP_E_MALFORMED},
        {800, 12, true, 17, 0, 0, false, TUNNELCAP_E_MALFORMED},
        {800, 16, true, 17, 0, 0x44, false, TUNNELCAP_E_MALFORMED},
        {800, 16, true, 17, 0, 0x55, false, TUNNELCAP_E_MALFORMED},
        {800, 16, true, 17, 3, 19, false, TUNNELCAP_E_MALFORMED},
        {800, 16, true, 17, 10, 0, false, TUNNELCAP_E_CHECKSUM},
        {0, 16, true, 6, 0, 0, false, TUNNELCAP_E_TINY_FRAGMENT},
        {8, 16, true, 6, 0, 0, false, TUNNELCAP_E_TINY_FRAGMENT},
        {8, 16, false, 6, 0, 0, false, TUNNELCAP_E_TINY_FRAGMENT},
        {0, 8, true, 132, 0, 0, false, TUNNELCAP_E_TINY_FRAGMENT},
        {0, 8, true, 33, 0, 0, false, TUNNELCAP_E_TINY_FRAGMENT},
        {0, 0, true, 17, 0, 0, true, TUNNELCAP_E_MALFORMED},
        {800, 0, false, 17, 0, 0, true, TUNNELCAP_E_MALFORMED},
        {800, 12, true, 17, 0, 0, true, TUNNELCAP_E_MALFORMED},
        {800, 16, true, 17, 0, 0x75, true, TUNNELCAP_E_MALFORMED},
        {0, 16, true, 6, 0, 0, true, TUNNELCAP_E_TINY_FRAGMENT},
        {8, 16, true, 6, 0, 0, true, TUNNELCAP_E_TINY_FRAGMENT},
        {0, 8, true, 132, 0, 0, true, TUNNELCAP_E_TINY_FRAGMENT},
        /* Options of 8 bytes, and nothing of what they announce; more of them than there is. */
        {0, 8, true, 60, 48, 17, true, TUNNELCAP_E_TINY_FRAGMENT},
        {0, 8, true, 60, 49, 1, true, TUNNELCAP_E_TINY_FRAGMENT},
    };
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        tunnelcap_reassembly *r = frag_new(0, 0, 0);
        test_ip ip = rows[i].six ? test_between("2001:db8::1", "2001:db8::2")
                                 : test_between("192.0.2.1", "192.0.2.2");
        ip.frag = 0;
        frag_any(&whole, &ip, rows[i].protocol, 9, 1000);
        memset(whole.frame.bytes + whole.head, 0, 24);
        whole.frame.bytes[whole.head] = 17; /* where it is read as options */
        ck_assert_status(frag_send(r, &whole, 400, 600, false, 0), TUNNELCAP_KEPT);
        uint32_t len = frag_piece(&whole, rows[i].off, rows[i].len, rows[i].more, packet);
        if (rows[i].at != 0 || rows[i].to != 0) {
            packet[rows[i].at] = rows[i].to;
            if (!rows[i].six && rows[i].at != 10)
                frag_seal(packet);
        }
        ck_assert_msg(frag_add(r, packet, len, NULL, 0) == rows[i].want, "row %u", (unsigned)i);
        ck_assert_uint_eq(frag_stats(r).refused, 1);
        test_ok(frag_send(r, &whole, 0, 400, true, 0));
        frag_is_whole(&whole);
        tunnelcap_reassembly_free(r);
    }
}
END_TEST

START_TEST(header_checksums_are_verified_unless_that_was_done)
{
    tunnelcap_reassembly *r = frag_new(0, 0, 0);
    tunnelcap_meta meta = {.flags = TUNNELCAP_META_CSUM_VALID};
    frag_udp4(&whole, "192.0.2.1", 7, 1000);
    uint32_t len = frag_piece(&whole, 0, 800, true, packet);
    packet[8]--; /* TTL */
    ck_assert_status(frag_add(r, packet, len, NULL, 0), TUNNELCAP_E_CHECKSUM);
    ck_assert_status(frag_add(r, packet, len, &meta, 0), TUNNELCAP_KEPT);
    test_ok(frag_send(r, &whole, 800, 200, false, 0));
    ck_assert_uint_eq(test_sum(0, frag_out.buf + frag_out.off, 20), 0xffff);
    ck_assert_uint_eq(frag_out.buf[frag_out.off + 8], 63);
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
        a_datagram_needs_its_length_of_room_and_no_more,
        arguments_that_cannot_be_are_refused,
        a_cut_fragment_is_truncated_at_every_length,
        a_fragment_that_is_wrong_in_itself_leaves_its_set_alone,
        header_checksums_are_verified_unless_that_was_done,
    };
    return test_suite("reassembly", tests, TEST_COUNT(tests));
}
