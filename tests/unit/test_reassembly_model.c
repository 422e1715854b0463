/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Datagrams of any shape and size, cut anywhere, shuffled, doubled and mixed with each other, come
 * out as they were, and exactly when their last missing fragment comes. */
#include "reassembly_kit.h"

enum { MIXED = 5, PIECES_MAX = 8192, DELIVERIES_MAX = 2 * MIXED * PIECES_MAX };

/* Where a datagram is cut: piece i is from cut[i] up to cut[i + 1]. */
typedef struct cuts {
    uint32_t count;
    uint32_t at[PIECES_MAX + 1];
    uint8_t came[PIECES_MAX];
    uint32_t missing;
} cuts;

static frag_whole wholes[MIXED];
static cuts cut[MIXED];
static uint32_t deliveries[DELIVERIES_MAX]; /* datagram << 16 | piece */
static uint32_t delivery_count;

static uint32_t random_len(test_random *random, uint32_t most)
{
    switch (test_below(random, 4)) {
    case 0:
        return 40 + test_below(random, 200);
    case 1:
        return 1400 + test_below(random, 400);
    case 2:
        return most - test_below(random, 20);
    default:
        return 40 + test_below(random, most - 40);
    }
}

static void make_ipv4(frag_whole *w, test_random *random, const test_ip *ip)
{
    uint8_t options[40];
    uint32_t options_len = test_below(random, 2) ? 0 : 4 * test_below(random, 11);
    memset(options, 1, sizeof(options));
    test_payload(&w->frame, random_len(random, 65535 - 20 - options_len - 8));
    test_push_udp(&w->frame, ip, (uint16_t)test_next(random), 53);
    test_push_ip_options(&w->frame, ip, 17, options, options_len);
    w->head = 20 + options_len;
}

/* Before the Fragment header up to three extension headers, behind it up to two. */
static void make_ipv6(frag_whole *w, test_random *random, const test_ip *ip)
{
    static const uint8_t pad[30] = {1, 28}, routing[6] = {99, 0};
    uint32_t behind = test_below(random, 3), before = test_below(random, 4);
    uint8_t next = 17;
    w->head = 40;
    w->next_at = 6;
    test_payload(&w->frame, random_len(random, 65535 - 3 * 32 - 16 - 8));
    test_push_udp(&w->frame, ip, (uint16_t)test_next(random), 53);
    for (uint32_t i = 0; i < behind; i++) {
        test_push_ext(&w->frame, next, "\1\4\0\0\0\0", 6);
        next = 60;
    }
    for (uint32_t i = 0; i < before; i++) {
        bool is_routing = i == 1;
        uint32_t len = is_routing ? 6 : 30;
        test_push_ext(&w->frame, next, is_routing ? routing : pad, len);
        next = is_routing ? 43 : i == 2 ? 0 : 60;
        if (i == 0)
            w->next_at = 40;
        else
            w->next_at += len + 2;
        w->head += len + 2;
    }
    test_push_ip(&w->frame, ip, next);
    if (before > 0) /* the last one of them names what is behind: the first that was pushed */
        w->next_at = w->head - 32;
}

static void make_whole(frag_whole *w, test_random *random, uint32_t id)
{
    bool six = test_below(random, 2);
    test_ip ip =
        six ? test_between("2001:db8::1", "2001:db8::2") : test_between("192.0.2.1", "192.0.2.2");
    ip.src.bytes[3] = (uint8_t)test_below(random, 3);
    ip.tos = (uint8_t)(test_next(random) & 0xfc);
    ip.ttl = (uint8_t)(1 + test_below(random, 255));
    ip.frag = 0;
    ip.id = (uint16_t)id;
    w->id = id;
    six ? make_ipv6(w, random, &ip) : make_ipv4(w, random, &ip);
}

/* Cut by an MTU, or anywhere. The first piece holds what filters read. */
static void make_cuts(cuts *c, const frag_whole *w, test_random *random)
{
    uint32_t len = frag_data(w), at = 0;
    uint32_t mtu = test_below(random, 3) == 0 ? 0 : 24 + 8 * test_below(random, 1120);
    c->count = 0;
    while (at < len) {
        uint32_t n = mtu != 0 ? mtu : 24 + 8 * test_below(random, 300);
        c->at[c->count] = at;
        c->came[c->count++] = 0;
        at += n;
    }
    if (c->count == 1) { /* that would be no fragment */
        c->at[1] = 24;
        c->came[1] = 0;
        c->count = 2;
    }
    c->at[c->count] = len;
    c->missing = c->count;
}

static void make_deliveries(test_random *random)
{
    delivery_count = 0;
    for (uint32_t d = 0; d < MIXED; d++) {
        for (uint32_t i = 0; i < cut[d].count; i++) {
            uint32_t copies = 1 + (test_below(random, 8) == 0);
            while (copies-- > 0)
                deliveries[delivery_count++] = d << 16 | i;
        }
    }
    if (test_below(random, 4) == 0)
        return; /* in order */
    for (uint32_t i = delivery_count - 1; i > 0; i--) {
        uint32_t j = test_below(random, i + 1), swap = deliveries[i];
        deliveries[i] = deliveries[j];
        deliveries[j] = swap;
    }
}

static void deliver(tunnelcap_reassembly *r, uint32_t d, uint32_t piece)
{
    cuts *c = &cut[d];
    uint32_t off = c->at[piece];
    int32_t want = TUNNELCAP_KEPT;
    if (!c->came[piece]) {
        c->came[piece] = 1;
        c->missing--;
        want = c->missing == 0 ? TUNNELCAP_OK : TUNNELCAP_KEPT;
    }
    ck_assert_status(frag_send(r, &wholes[d], off, c->at[piece + 1] - off, piece + 1 < c->count, 0),
                     want);
    if (want != TUNNELCAP_OK)
        return;
    frag_is_whole(&wholes[d]);
    memset(c->came, 0, c->count); /* what comes now is a datagram of its own */
    c->missing = c->count;
}

START_TEST(what_is_cut_shuffled_and_doubled_comes_out_as_it_was)
{
    enum { ROUNDS = 40 };
    tunnelcap_reassembly *r = frag_new(0, 0, 100);
    test_random random = {1};
    uint32_t id = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t d = 0; d < MIXED; d++) {
            make_whole(&wholes[d], &random, id++);
            make_cuts(&cut[d], &wholes[d], &random);
        }
        make_deliveries(&random);
        for (uint32_t i = 0; i < delivery_count; i++)
            deliver(r, deliveries[i] >> 16, deliveries[i] & 0xffff);
    }
    ck_assert_uint_ge(frag_stats(r).completed, ROUNDS * MIXED);
    ck_assert_uint_eq(frag_stats(r).refused, 0);
    ck_assert_uint_eq(frag_stats(r).evicted, 0);
    tunnelcap_reassembly_free(r);
}
END_TEST

/* Each cut of a small datagram into three, in each order. */
START_TEST(every_cut_into_three_works_in_every_order)
{
    static const uint8_t orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                         {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    tunnelcap_reassembly *r = frag_new(0, 0, 0);
    frag_udp4(&wholes[0], "192.0.2.1", 1, 1111);
    frag_udp6(&wholes[1], "2001:db8::1", 1, 1111);
    for (uint32_t a = 8; a < 1104; a += 40) {
        for (uint32_t b = a + 8; b <= 1104; b += 56) {
            uint32_t at[4] = {0, a, b, 1111};
            for (uint32_t o = 0; o < 12; o++) {
                for (uint32_t i = 0; i < 3; i++) {
                    uint32_t n = orders[o / 2][i];
                    ck_assert_status(
                        frag_send(r, &wholes[o & 1], at[n], at[n + 1] - at[n], n < 2, 0),
                        i == 2 ? TUNNELCAP_OK : TUNNELCAP_KEPT);
                }
                frag_is_whole(&wholes[o & 1]);
            }
        }
    }
    ck_assert_uint_eq(frag_stats(r).sets, 0);
    tunnelcap_reassembly_free(r);
}
END_TEST

Suite *test_reassembly_model_suite(void)
{
    const TTest *tests[] = {
        what_is_cut_shuffled_and_doubled_comes_out_as_it_was,
        every_cut_into_three_works_in_every_order,
    };
    return test_suite("reassembly_model", tests, TEST_COUNT(tests));
}
