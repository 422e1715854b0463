/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Fragments that are made to do harm: overlaps, contradictions, floods. */
#include "reassembly.h"
#include "reassembly_kit.h"

#include <stdio.h>

static frag_whole whole, other;
static uint8_t packet[TEST_FRAME_CAP];

/* ---- overlaps and contradictions ---- */

enum { K = TUNNELCAP_KEPT, X = TUNNELCAP_E_OVERLAP, M = TUNNELCAP_E_MALFORMED };

/* A fragment to send and what it is answered; len 0 ends a row. */
typedef struct step {
    uint32_t off, len;
    int more;
    int32_t want;
} step;

static const struct {
    const char *name;
    step steps[6];
} attacks[] = {
    {"teardrop: the second lies within the first", {{0, 40, 1, K}, {24, 4, 0, X}}},
    {"rose: last pieces again and again", {{0, 32, 1, K}, {400, 16, 1, K}, {408, 8, 0, X}}},
    {"the second covers the first", {{0, 40, 1, K}, {0, 80, 1, X}}},
    {"the second begins in the first", {{0, 40, 1, K}, {32, 40, 1, X}}},
    {"the second ends in the first", {{40, 40, 1, K}, {0, 48, 1, X}}},
    {"by one unit, in order", {{0, 40, 1, K}, {32, 8, 1, X}}},
    {"the same start, shorter", {{0, 40, 1, K}, {0, 32, 1, X}}},
    {"the same end, shorter", {{0, 40, 1, K}, {8, 32, 1, X}}},
    {"two duplicates at once", {{0, 40, 1, K}, {40, 40, 1, K}, {0, 80, 1, X}}},
    {"over the gap between two", {{0, 40, 1, K}, {80, 40, 1, K}, {32, 56, 1, X}}},
    {"half of a larger one", {{0, 80, 1, K}, {40, 40, 1, X}}},
    {"another M bit", {{80, 40, 1, K}, {80, 40, 0, X}}},
    {"another M bit, last first", {{80, 40, 0, K}, {80, 40, 1, X}}},
    {"a last one by a byte shorter", {{80, 40, 0, K}, {80, 39, 0, X}}},
    {"a last one by a byte longer", {{80, 39, 0, K}, {80, 40, 0, X}}},
    {"a last one's part as one to be followed", {{80, 39, 0, K}, {80, 40, 1, X}}},
    {"over the border of cells", {{504, 16, 1, K}, {512, 8, 1, X}}},
    {"over a whole cell", {{1024, 8, 1, K}, {512, 2048, 1, X}}},
    {"behind 4096", {{8192, 80, 1, K}, {8264, 80, 1, X}}},
    {"at the very end", {{65504, 8, 1, K}, {65496, 16, 1, X}}},
    {"a second last, behind the first one", {{80, 40, 0, K}, {160, 40, 0, M}}},
    {"a second last, before the first one", {{80, 40, 0, K}, {40, 40, 0, M}}},
    {"behind the last", {{80, 40, 0, K}, {120, 40, 1, M}}},
    {"up to the end of the last, to be followed", {{80, 40, 0, K}, {200, 8, 1, M}}},
    {"a last before one that is to be followed", {{80, 40, 1, K}, {8, 40, 0, M}}},
    {"a last that ends where another is to follow", {{80, 40, 1, K}, {40, 40, 0, M}}},
};

START_TEST(overlaps_and_contradictions_discard_the_set_until_it_times_out)
{
    for (unsigned i = 0; i < 2 * TEST_COUNT(attacks); i++) {
        bool six = i & 1;
        const step *s = attacks[i / 2].steps;
        tunnelcap_reassembly *r = frag_new(0, 0, 0);
        int32_t last = K;
        six ? frag_udp6(&whole, "2001:db8::1", i, 65515) : frag_udp4(&whole, "192.0.2.1", i, 65515);
        for (; s->len != 0; s++) {
            last = frag_send(r, &whole, s->off, s->len, s->more, 0);
            ck_assert_msg(last == s->want, "%s: %s", attacks[i / 2].name,
                          tunnelcap_status_name(last));
        }
        tunnelcap_reassembly_stats stats = frag_stats(r);
        ck_assert_uint_eq(stats.sets, 1);
        ck_assert_uint_eq(stats.bytes, 0);
        ck_assert_uint_eq(stats.overlapped, last == X);
        ck_assert_uint_eq(stats.contradictory, last == M);
        /* Whatever would complete it comes too late, and costs no memory. */
        for (uint32_t off = 0; off < 65512; off += 8 * 1024)
            ck_assert_status(frag_send(r, &whole, off, 8 * 1024 - 24, true, 1), last);
        ck_assert_uint_eq(frag_stats(r).bytes, 0);
        ck_assert_uint_eq(frag_stats(r).refused, 8);
        /* Afterwards the identification is free. */
        frag_whole *now = &other;
        six ? frag_udp6(now, "2001:db8::1", i, 100) : frag_udp4(now, "192.0.2.1", i, 100);
        ck_assert_status(frag_send(r, now, 0, 80, true, 30ull * FRAG_SECOND), TUNNELCAP_KEPT);
        test_ok(frag_send(r, now, 80, 20, false, 30ull * FRAG_SECOND));
        frag_is_whole(now);
        ck_assert_uint_eq(frag_stats(r).timed_out, 0);
        tunnelcap_reassembly_free(r);
    }
}
END_TEST

START_TEST(the_first_content_of_duplicates_counts)
{
    tunnelcap_reassembly *r = frag_new(0, 0, 0);
    for (unsigned i = 0; i < 2; i++) {
        i ? frag_udp6(&whole, "2001:db8::1", i, 3001) : frag_udp4(&whole, "192.0.2.1", i, 3001);
        other = whole;
        memset(other.frame.bytes + other.head, 0xbd, frag_data(&other));
        static const struct {
            uint32_t off, len;
            bool more;
        } pieces[] = {{2000, 1001, false}, {0, 1000, true}};
        for (size_t n = 0; n < TEST_COUNT(pieces); n++) {
            ck_assert_status(frag_send(r, &whole, pieces[n].off, pieces[n].len, pieces[n].more, 0),
                             TUNNELCAP_KEPT);
            for (unsigned times = 0; times < 3; times++)
                ck_assert_status(
                    frag_send(r, &other, pieces[n].off, pieces[n].len, pieces[n].more, 0),
                    TUNNELCAP_KEPT);
        }
        test_ok(frag_send(r, &whole, 1000, 1000, true, 0));
        frag_is_whole(&whole);
    }
    ck_assert_uint_eq(frag_stats(r).duplicates, 12);
    tunnelcap_reassembly_free(r);
}
END_TEST

START_TEST(no_datagram_exceeds_65535_bytes)
{
    tunnelcap_reassembly *r = frag_new(0, 0, 0);
    test_ip ip = test_between("192.0.2.1", "192.0.2.2");
    ip.frag = 0;
    /* In one fragment, IPv4 and IPv6. */
    frag_any(&whole, &ip, 17, 1, 65515);
    uint32_t len = frag_piece(&whole, 65512, 3, false, packet);
    ck_assert_status(frag_add(r, packet, len, NULL, 0), TUNNELCAP_KEPT);
    test_store16(packet + 2, 24);
    frag_seal(packet);
    ck_assert_status(frag_add(r, packet, len + 1, NULL, 0), TUNNELCAP_E_MALFORMED);
    frag_udp6(&whole, "2001:db8::1", 1, 65535);
    len = frag_piece(&whole, 65528, 7, false, packet);
    ck_assert_status(frag_add(r, packet, len, NULL, 0), TUNNELCAP_KEPT);
    test_store16(packet + 4, 16);
    ck_assert_status(frag_add(r, packet, len + 1, NULL, 0), TUNNELCAP_E_MALFORMED);
    /* Only with the first one's longer header, whichever of both comes first. */
    for (unsigned i = 0; i < 8; i++) {
        bool six = i & 1, first_first = i & 2, too_long = i & 4;
        uint32_t data = (six ? 65535u - 8 : 65535u - 24) + too_long;
        ip = six ? test_between("2001:db8::2", "2001:db8::3")
                 : test_between("192.0.2.3", "192.0.2.2");
        ip.frag = 0;
        ip.id = (uint16_t)i;
        test_payload(&whole.frame, data);
        if (six)
            test_push(&whole.frame, "\21\0\1\4\0\0\0\0", 8);
        six ? test_push_ip(&whole.frame, &ip, 60)
            : test_push_ip_options(&whole.frame, &ip, 17, "\1\1\1\1", 4);
        whole.head = six ? 48 : 24;
        whole.next_at = 40;
        whole.id = i;
        uint32_t last = (data - 1) / 8 * 8;
        uint32_t offs[2] = {first_first ? 0 : last, first_first ? last : 0};
        for (unsigned n = 0; n < 2; n++)
            ck_assert_status(
                frag_send(r, &whole, offs[n], offs[n] ? data - last : 1000, offs[n] == 0, 0),
                n == 1 && too_long ? TUNNELCAP_E_MALFORMED : TUNNELCAP_KEPT);
        if (too_long)
            continue;
        test_ok(frag_send(r, &whole, 1000, last - 1000, true, 0));
        frag_is_whole(&whole);
    }
    tunnelcap_reassembly_free(r);
}
END_TEST

START_TEST(long_headers_are_kept_up_to_the_documented_size)
{
    static uint8_t options[512] = {1, 254};
    tunnelcap_reassembly *r = frag_new(0, 0, 0);
    test_ip ip = test_between("2001:db8::2", "2001:db8::3");
    for (uint32_t size = 8; size <= 512; size += 8) {
        uint32_t header = 40 + size + 8;
        for (unsigned first_last = 0; first_last < 2; first_last++) {
            test_payload(&whole.frame, 2000);
            test_push_ext(&whole.frame, 17, options, size - 2);
            test_push_ip(&whole.frame, &ip, 0);
            whole.head = 40 + size;
            whole.next_at = 40;
            whole.id = size;
            int32_t want =
                header <= TUNNELCAP_REASSEMBLY_HEADER_MAX ? TUNNELCAP_KEPT : TUNNELCAP_E_MALFORMED;
            if (want == TUNNELCAP_KEPT && first_last) {
                ck_assert_status(frag_send(r, &whole, 1000, 1000, false, 0), TUNNELCAP_KEPT);
                test_ok(frag_send(r, &whole, 0, 1000, true, 0));
            } else {
                ck_assert_status(frag_send(r, &whole, 0, 1000, true, 0), want);
                if (want != TUNNELCAP_KEPT)
                    continue;
                ck_assert_uint_eq(frag_stats(r).bytes, header > 60 ? 1536 : 1024);
                test_ok(frag_send(r, &whole, 1000, 1000, false, 0));
            }
            frag_is_whole(&whole);
            ck_assert_uint_eq(frag_stats(r).bytes, 0);
        }
    }
    tunnelcap_reassembly_free(r);
}
END_TEST

START_TEST(endless_extension_headers_are_refused)
{
    tunnelcap_reassembly *r = frag_new(0, 0, 0);
    test_ip ip = test_between("2001:db8::2", "2001:db8::3");
    for (unsigned count = 15; count <= 18; count++) {
        test_payload(&whole.frame, 2000);
        for (unsigned i = 0; i < count; i++)
            test_push_ext(&whole.frame, i == 0 ? 17 : 60, "\1\4\0\0\0\0", 6);
        test_push_ip(&whole.frame, &ip, 60);
        whole.head = 40 + 8 * count;
        whole.next_at = whole.head - 8;
        whole.id = count;
        ck_assert_status(frag_send(r, &whole, 0, 1000, true, 0),
                         count <= 16 ? TUNNELCAP_KEPT : TUNNELCAP_E_MALFORMED);
    }
    tunnelcap_reassembly_free(r);
}
END_TEST

/* ---- memory ---- */

START_TEST(a_datagram_larger_than_its_share_is_refused)
{
    tunnelcap_reassembly *r = frag_new(16, 8192, 50); /* eight cells */
    frag_udp4(&whole, "192.0.2.1", 1, 8000);
    for (uint32_t off = 0; off < 8 * 512; off += 512)
        ck_assert_status(frag_send(r, &whole, off, 512, true, 0), TUNNELCAP_KEPT);
    ck_assert_uint_eq(frag_stats(r).bytes, 4096);
    ck_assert_status(frag_send(r, &whole, 4096, 8, true, 0), TUNNELCAP_E_FULL);
    ck_assert_status(frag_send(r, &whole, 4096, 8, true, 0), TUNNELCAP_E_FULL);
    tunnelcap_reassembly_stats stats = frag_stats(r);
    ck_assert_uint_eq(stats.bytes, 0);
    ck_assert_uint_eq(stats.too_large, 1);
    ck_assert_uint_eq(stats.refused, 1);
    ck_assert_uint_eq(stats.evicted, 0);
    tunnelcap_reassembly_free(r);
}
END_TEST

START_TEST(a_share_can_be_used_to_the_last_byte)
{
    tunnelcap_reassembly *r = frag_new(16, 8192, 50);
    frag_udp4(&whole, "192.0.2.1", 1, 8000);
    for (uint32_t off = 0; off < 8 * 512; off += 256)
        ck_assert_status(frag_send(r, &whole, off, 256, true, 0), TUNNELCAP_KEPT);
    ck_assert_uint_eq(frag_stats(r).bytes, 4096);
    tunnelcap_reassembly_free(r);
}
END_TEST

/* The oldest set grows while memory is short: of a source at its share, of the one that holds most,
 * of one among many. */
START_TEST(a_set_that_grows_is_not_evicted_for_itself)
{
    for (unsigned kind = 0; kind < 3; kind++) {
        uint32_t full = kind == 0 ? 8192 : 16384;
        tunnelcap_reassembly *r = frag_new(64, 16384, kind == 0 ? 50 : 100);
        char source[32] = "192.0.2.1";
        frag_udp4(&whole, source, 1, 1100);
        ck_assert_status(frag_send(r, &whole, 0, 512, true, 0), TUNNELCAP_KEPT);
        for (uint32_t n = 2; frag_stats(r).bytes < full; n++) {
            if (kind == 2)
                snprintf(source, sizeof(source), "192.0.2.%u", (unsigned)n);
            frag_udp4(&other, source, n, 1100);
            ck_assert_status(frag_send(r, &other, 0, 512, true, 0), TUNNELCAP_KEPT);
        }
        ck_assert_uint_eq(frag_stats(r).evicted, 0);
        ck_assert_status(frag_send(r, &whole, 512, 512, true, 0), TUNNELCAP_KEPT);
        ck_assert_uint_eq(frag_stats(r).evicted, 1);
        ck_assert_uint_eq(frag_stats(r).bytes, full);
        test_ok(frag_send(r, &whole, 1024, 76, false, 0));
        frag_is_whole(&whole);
        tunnelcap_reassembly_free(r);
    }
}
END_TEST

START_TEST(the_source_that_holds_most_makes_room_first)
{
    tunnelcap_reassembly *r = frag_new(64, 32768, 100); /* 64 cells */
    frag_udp4(&other, "192.0.2.2", 1, 1600);
    ck_assert_status(frag_send(r, &other, 0, 512, true, 0), TUNNELCAP_KEPT);
    for (uint32_t id = 0; id < 500; id++) {
        frag_udp4(&whole, "192.0.2.1", id, 1600);
        ck_assert_status(frag_send(r, &whole, 0, 512, true, 0), TUNNELCAP_KEPT);
    }
    ck_assert_uint_eq(frag_stats(r).sources, 2);
    test_ok(frag_send(r, &other, 512, 1088, false, 0));
    frag_is_whole(&other);
    tunnelcap_reassembly_free(r);
}
END_TEST

/* Numbers of the fragments of a flood. */
enum { FLOOD = 1000000, HONEST_EVERY = 50 };

typedef struct flood {
    tunnelcap_reassembly *r;
    test_random random;
    uint32_t pending; /* first fragments of honest hosts that wait */
    uint32_t sent, came;
    uint32_t most; /* bytes in use */
} flood;

/* A fragment of nothing in particular, from `source`. */
static void flood_one(flood *f, const uint8_t source[4], uint32_t id, uint32_t off, uint32_t len)
{
    static uint8_t bytes[20 + 1480] = {0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17,
                                       0,    0, 0, 0, 0, 0, 9, 9, 9,  9};
    static const tunnelcap_meta valid = {.flags = TUNNELCAP_META_CSUM_VALID};
    tunnelcap_pkt pkt = {bytes, sizeof(bytes), 0, 20 + len, 0, NULL};
    test_store16(bytes + 2, 20 + len);
    test_store16(bytes + 4, id & 0xffff);
    test_store16(bytes + 6, 0x2000 | off / 8);
    memcpy(bytes + 12, source, 4);
    bytes[16] = (uint8_t)(id >> 16);
    tunnelcap_reassembly_add(f->r, &pkt, &valid, 0, NULL);
    uint32_t now = f->r->cells_used * 512;
    f->most = now > f->most ? now : f->most;
}

/* An honest host sends two fragments, HONEST_EVERY packets of the flood between them. */
static void honest_one(flood *f, uint32_t n)
{
    char source[32];
    snprintf(source, sizeof(source), "198.18.%u.%u", n / 2 % 7, n / 2 % 11 + 1);
    frag_udp4(&whole, source, n / 2, 1600);
    if (n % 2 == 0) {
        ck_assert_status(frag_send(f->r, &whole, 0, 1480, true, 0), TUNNELCAP_KEPT);
        return;
    }
    f->sent++;
    if (frag_send(f->r, &whole, 1480, 120, false, 0) == TUNNELCAP_OK) {
        frag_is_whole(&whole);
        f->came++;
    }
}

enum flood_kind {
    ONE_SOURCE,       /* new sets without end */
    ONE_SOURCE_TINY,  /* 8 bytes in each cell of one set after the other */
    ONE_SOURCE_LARGE, /* sets as large as can be */
    FEW_SOURCES,      /* ten that do all of that */
    FORGED_SOURCES,   /* another one for each packet */
    FLOODS
};

static void flood_step(flood *f, enum flood_kind kind, uint32_t i)
{
    uint8_t source[4] = {203, 0, 113, 1};
    switch (kind) {
    case ONE_SOURCE:
        flood_one(f, source, i, 0, 1480);
        break;
    case ONE_SOURCE_TINY:
        flood_one(f, source, i / 127, 512 * (i % 127), 8);
        break;
    case ONE_SOURCE_LARGE:
        flood_one(f, source, i / 44, 1480 * (i % 44), 1480);
        break;
    case FEW_SOURCES:
        source[3] = (uint8_t)(i % 10);
        flood_one(f, source, test_below(&f->random, 1000), test_below(&f->random, 40) * 1480, 1480);
        break;
    default: /* of less than what an honest host sends */
        test_store32(source, i * 0x9e3779b1u);
        flood_one(f, source, i, 0, 8);
    }
}

/* The memory is that of init, whatever comes: of the default configuration's 4.5 MB, a million
 * fragments of one source use the half that is its share. The other half of the claim: honest
 * datagrams pass all the while. */
START_TEST(a_flood_of_a_million_fragments_is_held_and_honest_datagrams_pass)
{
    for (enum flood_kind kind = ONE_SOURCE; kind < FLOODS; kind++) {
        flood f = {.r = frag_new(0, 0, 0), .random = {kind}};
        uint32_t count = kind == ONE_SOURCE ? FLOOD : FLOOD / 10;
        uint32_t honest = 0;
        for (uint32_t i = 0; i < count; i++) {
            flood_step(&f, kind, i);
            if (i % HONEST_EVERY == 0)
                honest_one(&f, honest++);
        }
        tunnelcap_reassembly_stats stats = frag_stats(f.r);
        ck_assert_uint_eq(f.sent, count / HONEST_EVERY / 2);
        ck_assert_msg(f.came == f.sent, "flood %d: %u of %u honest datagrams", (int)kind,
                      (unsigned)f.came, (unsigned)f.sent);
        ck_assert_uint_le(stats.sets, 1024);
        /* One source never holds more than half; many hold what there is. */
        ck_assert_uint_le(f.most, kind < FEW_SOURCES ? (2 << 20) + 16384 : 4 << 20);
        ck_assert_uint_eq(stats.fragments, count + count / HONEST_EVERY);
        tunnelcap_reassembly_free(f.r);
    }
}
END_TEST

START_TEST(ipv6_sources_are_counted_by_their_64_bit_prefix)
{
    tunnelcap_reassembly *r = frag_new(16, 65536, 50);
    char source[64];
    for (uint32_t i = 0; i < 100; i++) {
        snprintf(source, sizeof(source), "2001:db8:1:2:%x::%x", (unsigned)i * 7, (unsigned)i + 1);
        frag_udp6(&whole, source, i, 1600);
        ck_assert_status(frag_send(r, &whole, 0, 800, true, 0), TUNNELCAP_KEPT);
    }
    ck_assert_uint_eq(frag_stats(r).sources, 1);
    ck_assert_uint_eq(frag_stats(r).sets, 8);
    ck_assert_uint_eq(frag_stats(r).evicted, 92);
    frag_udp6(&whole, "2001:db8:1:3::1", 1, 1600);
    ck_assert_status(frag_send(r, &whole, 0, 800, true, 0), TUNNELCAP_KEPT);
    ck_assert_uint_eq(frag_stats(r).sources, 2);
    tunnelcap_reassembly_free(r);
}
END_TEST

START_TEST(memory_comes_from_sets_that_are_due_before_it_comes_from_others)
{
    tunnelcap_reassembly *r = frag_new(4, 65536, 100);
    for (uint32_t i = 0; i < 4; i++) {
        frag_udp4(&whole, "192.0.2.1", i, 1600);
        ck_assert_status(frag_send(r, &whole, 0, 800, true, i), TUNNELCAP_KEPT);
    }
    frag_udp4(&whole, "192.0.2.2", 9, 1600);
    ck_assert_status(frag_send(r, &whole, 0, 800, true, 30ull * FRAG_SECOND), TUNNELCAP_KEPT);
    ck_assert_uint_eq(frag_stats(r).timed_out, 1);
    ck_assert_uint_eq(frag_stats(r).evicted, 0);
    frag_udp4(&whole, "192.0.2.3", 9, 1600);
    ck_assert_status(frag_send(r, &whole, 0, 800, true, 30ull * FRAG_SECOND), TUNNELCAP_KEPT);
    ck_assert_uint_eq(frag_stats(r).timed_out, 1);
    ck_assert_uint_eq(frag_stats(r).evicted, 1);
    tunnelcap_reassembly_free(r);
    /* Also where another source holds more. */
    r = frag_new(64, 16384, 100);
    ck_assert_status(frag_send(r, &whole, 0, 512, true, 0), TUNNELCAP_KEPT);
    for (uint32_t i = 0; i < 31; i++) {
        frag_udp4(&other, "192.0.2.1", i, 1600);
        ck_assert_status(frag_send(r, &other, 0, 512, true, FRAG_SECOND), TUNNELCAP_KEPT);
    }
    frag_udp4(&whole, "192.0.2.2", 9, 1600);
    ck_assert_status(frag_send(r, &whole, 0, 512, true, 30ull * FRAG_SECOND), TUNNELCAP_KEPT);
    ck_assert_uint_eq(frag_stats(r).timed_out, 1);
    ck_assert_uint_eq(frag_stats(r).evicted, 0);
    tunnelcap_reassembly_free(r);
}
END_TEST

Suite *test_reassembly_hostile_suite(void)
{
    const TTest *tests[] = {
        overlaps_and_contradictions_discard_the_set_until_it_times_out,
        the_first_content_of_duplicates_counts,
        no_datagram_exceeds_65535_bytes,
        long_headers_are_kept_up_to_the_documented_size,
        endless_extension_headers_are_refused,
        a_datagram_larger_than_its_share_is_refused,
        a_share_can_be_used_to_the_last_byte,
        a_set_that_grows_is_not_evicted_for_itself,
        the_source_that_holds_most_makes_room_first,
        a_flood_of_a_million_fragments_is_held_and_honest_datagrams_pass,
        ipv6_sources_are_counted_by_their_64_bit_prefix,
        memory_comes_from_sets_that_are_due_before_it_comes_from_others,
    };
    return test_suite("reassembly_hostile", tests, TEST_COUNT(tests));
}
