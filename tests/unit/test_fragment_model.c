/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Any packet, split, shuffled and joined again, is what it was: random sizes, MTUs, options,
 * extension headers, fragments, unfinished checksums.
 */
#include "fragment_kit.h"

static test_frame frame, joined;

enum { UDP = 17, HOP_BY_HOP = 0, ROUTING = 43, FRAGMENT = 44, DEST_OPTS = 60 };
enum { DF = 0x4000, MF = 0x2000, ROUNDS = 250, PIECES_MAX = 150 };

/* What is being tried. */
typedef struct attempt {
    test_random random;
    uint32_t payload;
    bool is_fragment, keep;
    bool partial;
    tunnelcap_meta meta;
    tunnelcap_fragment_config config;
} attempt;

static uint32_t between(attempt *a, uint32_t least, uint32_t most)
{
    return least + test_below(&a->random, most - least + 1);
}

static bool chance(attempt *a, uint32_t one_in)
{
    return test_below(&a->random, one_in) == 0;
}

/* Well-formed options of any kinds; a multiple of four. */
static uint32_t make_options(attempt *a, uint8_t options[40])
{
    static const uint8_t kinds[] = {7, 68, 82, 130, 131, 136, 148, 25, 222, 128};
    uint32_t len = 4 * between(a, 0, 10);
    uint32_t at = 0;
    memset(options, 0, 40);
    while (at < len) {
        uint32_t size = between(a, 0, 11);
        if (size < 2 || size > len - at) {
            options[at++] = chance(a, 9) ? 0 : 1; /* end, or NOP */
            continue;
        }
        options[at] = kinds[test_below(&a->random, TEST_COUNT(kinds))];
        options[at + 1] = (uint8_t)size;
        for (uint32_t i = 2; i < size; i++)
            options[at + i] = (uint8_t)test_next(&a->random);
        at += size;
    }
    return len;
}

static void leave_checksum_open(attempt *a, const test_ip *ip)
{
    uint32_t l4 = frame.len - a->payload - 8;
    a->partial = true;
    a->meta.flags = TUNNELCAP_META_CSUM_PARTIAL;
    a->meta.csum_start = (uint16_t)l4;
    a->meta.csum_offset = 6;
    joined = frame; /* keeps what it should become */
    test_store16(frame.bytes + l4 + 6, test_pseudo(ip, UDP, a->payload + 8));
}

static void make_ipv4(attempt *a)
{
    uint8_t options[40];
    uint32_t options_len = make_options(a, options);
    test_ip ip = test_between("10.1.0.1", "10.2.0.1");
    uint32_t most = (a->config.mtu - 20 - options_len) * PIECES_MAX;
    uint32_t max = 65535 - 28 - options_len;
    a->payload = between(a, 0, most < max ? most : max);
    ip.id = (uint16_t)test_next(&a->random);
    ip.frag = chance(a, 3) ? DF : 0;
    a->is_fragment = chance(a, 3);
    if (a->is_fragment) {
        uint32_t room = (max - a->payload) / 8;
        uint32_t offset = room == 0 ? 0 : between(a, 0, room < 8000 ? room : 8000);
        if (chance(a, 2) || offset == 0) {
            ip.frag = (uint16_t)(ip.frag | MF);
            a->payload &= ~7u;
        }
        ip.frag = (uint16_t)(ip.frag | offset);
    }
    test_payload(&frame, a->payload);
    test_push_udp(&frame, &ip, 1000, 2000);
    test_push_ip_options(&frame, &ip, UDP, options, options_len);
    if (!a->is_fragment && chance(a, 3))
        leave_checksum_open(a, &ip);
}

static uint8_t push_extension(attempt *a, uint8_t next, uint8_t kind)
{
    uint8_t content[62] = {0};
    uint32_t len = 6 + 8 * between(a, 0, 7);
    if (kind != ROUTING) {
        content[0] = 1; /* PadN over the whole header */
        content[1] = (uint8_t)(len - 2);
    }
    test_push_ext(&frame, next, content, len);
    return kind;
}

/* A Fragment header: of one of several, or an atomic one. */
static uint8_t push_fragment(attempt *a, uint8_t next)
{
    uint8_t content[6] = {0};
    uint32_t offset = 8 * between(a, 0, 60000u > frame.len ? (60000u - frame.len) / 8 : 0);
    bool more = frame.len % 8 == 0 && chance(a, 2);
    if (chance(a, 3)) {
        offset = 0;
        more = false;
    }
    a->is_fragment = offset != 0 || more;
    a->keep = true;
    test_store16(content, offset | more);
    test_store32(content + 2, test_next(&a->random));
    test_push_ext(&frame, next, content, sizeof(content));
    return FRAGMENT;
}

static void make_ipv6(attempt *a)
{
    test_ip ip = test_between("2001:db8:a::1", "2001:db8:b::1");
    uint8_t next = UDP;
    ip.tos = (uint8_t)test_next(&a->random);
    ip.flow_label = test_next(&a->random) & 0xfffff;
    a->payload = between(a, 0, 62000);
    if (chance(a, 2))
        a->payload &= ~7u;
    test_payload(&frame, a->payload);
    test_push_udp(&frame, &ip, 1000, 2000);
    if (chance(a, 3))
        next = push_extension(a, next, DEST_OPTS);
    if (chance(a, 3))
        next = push_fragment(a, next);
    if (chance(a, 3))
        next = push_extension(a, next, ROUTING);
    if (chance(a, 3))
        next = push_extension(a, next, DEST_OPTS);
    if (chance(a, 3))
        next = push_extension(a, next, HOP_BY_HOP);
    test_push_ip(&frame, &ip, next);
    if (!a->is_fragment && chance(a, 3))
        leave_checksum_open(a, &ip);
}

/* All but the last are as large as the MTU allows, so there are as few as can be. */
static void check_sizes(const attempt *a, const kit_set *set)
{
    for (uint32_t i = 0; i < set->count; i++) {
        kit_place place = kit_place_of(kit_bytes(set, i), set->pieces[i].len);
        if (set->count > 1 && i + 1 < set->count)
            ck_assert_uint_eq(place.payload, (a->config.mtu - place.header) & ~7u);
    }
}

/* With a cleared DF the packet comes out without it, and with another ID. */
static void expect_cleared_df(const attempt *a)
{
    uint8_t *p = frame.bytes;
    uint32_t frag = test_load16(p + 6);
    if (p[0] >> 4 != 4 || !(frag & DF))
        return;
    if (!a->is_fragment)
        test_store16(p + 4, a->config.id & 0xffff);
    test_store16(p + 6, frag & ~(uint32_t)DF);
    test_store16(p + 10, 0);
    test_store16(p + 10, (uint16_t)~test_sum(0, p, (p[0] & 15u) * 4));
}

static void try_once(attempt *a)
{
    kit_set set;
    test_ok(kit_split(frame.bytes, frame.len, a->partial ? &a->meta : NULL, &a->config, &set));
    if (a->partial)
        frame = joined;
    if (set.count == 1) {
        ck_assert_uint_le(frame.len, a->config.mtu);
        ck_assert_uint_eq(set.pieces[0].len, frame.len);
        ck_assert_mem_eq(kit_bytes(&set, 0), frame.bytes, frame.len);
    } else {
        ck_assert_uint_gt(frame.len, a->config.mtu);
        check_sizes(a, &set);
        kit_shuffle(&set, &a->random);
        kit_join(&set, a->keep, &joined);
        expect_cleared_df(a);
        ck_assert_uint_eq(joined.len, frame.len);
        ck_assert_mem_eq(joined.bytes, frame.bytes, frame.len);
    }
    kit_free(&set);
}

START_TEST(ipv4_is_split_and_joined_to_what_it_was)
{
    for (uint32_t round = 0; round < ROUNDS; round++) {
        attempt a = {.random = {round}};
        a.config = kit_config(68 + test_below(&a.random, chance(&a, 2) ? 100 : 2000),
                              TUNNELCAP_FRAGMENT_CLEAR_DF, test_next(&a.random));
        make_ipv4(&a);
        try_once(&a);
    }
}
END_TEST

START_TEST(ipv6_is_split_and_joined_to_what_it_was)
{
    for (uint32_t round = 0; round < ROUNDS; round++) {
        attempt a = {.random = {round}};
        a.config = kit_config(1280 + test_below(&a.random, chance(&a, 2) ? 100 : 9000),
                              TUNNELCAP_FRAGMENT_AS_SOURCE, test_next(&a.random));
        make_ipv6(&a);
        try_once(&a);
    }
}
END_TEST

START_TEST(fragments_are_split_again_and_joined_to_what_they_were)
{
    for (uint32_t round = 0; round < ROUNDS / 4; round++) {
        attempt a = {.random = {round}};
        bool six = chance(&a, 2);
        kit_set set;
        a.config = kit_config((six ? 1280 : 300) + test_below(&a.random, 3000),
                              TUNNELCAP_FRAGMENT_CLEAR_DF | TUNNELCAP_FRAGMENT_AS_SOURCE, 0x4711);
        if (six)
            make_ipv6(&a);
        else
            make_ipv4(&a);
        a.partial = false;
        test_ok(kit_split(frame.bytes, frame.len, NULL, &a.config, &set));
        a.config.mtu = six ? 1280 : 68 + test_below(&a.random, 200);
        for (uint32_t i = 0; i < set.count && set.count > 1; i++) {
            attempt again = a;
            frame.len = set.pieces[i].len;
            memcpy(frame.bytes, kit_bytes(&set, i), frame.len);
            again.is_fragment = again.keep = true;
            try_once(&again);
        }
        kit_free(&set);
    }
}
END_TEST

Suite *test_fragment_model_suite(void)
{
    const TTest *tests[] = {
        ipv4_is_split_and_joined_to_what_it_was,
        ipv6_is_split_and_joined_to_what_it_was,
        fragments_are_split_again_and_joined_to_what_they_were,
    };
    return test_suite("fragment_model", tests, TEST_COUNT(tests));
}
