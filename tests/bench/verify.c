/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * A hand loop counts only if it does what the library does. Before anything is timed, both get
 * the same packets: good ones, each bit of the headers flipped (with the outer header checksum
 * left wrong, and put right), each shorter length, and too little headroom.
 */
#include "bench.h"

#include <stdio.h>

enum { FLIPPED_BYTES = 96 };

/* A packet with its storage. */
struct sample {
    uint8_t bytes[STRIDE];
    tunnelcap_pkt pkt;
};

static void copy_sample(struct sample *to, const struct sample *from)
{
    *to = *from;
    to->pkt.buf = to->bytes;
}

static void fail(const struct subject *s, const char *what, const struct sample *library,
                 const struct sample *hand)
{
    fprintf(stderr, "%s: %s: library %s, hand loop %s\n", s->c->name, what,
            tunnelcap_status_name(library->pkt.status), tunnelcap_status_name(hand->pkt.status));
    bench_fail("library and hand loop differ");
}

/* Wipe what the two may choose differently: their flow hashes, and the UDP checksum over one. */
static void mask_hashes(const struct bench_case *c, uint8_t *outer)
{
    if (c->operation != ENCAP)
        return;
    if (c->ipv6) {
        outer[1] &= 0xf0;
        hand_store16(outer + 2, 0);
    }
    if (c->gre_flags & TUNNELCAP_GRE_UDP) {
        uint8_t *udp = outer + (c->ipv6 ? 40 : 20);

        hand_store16(udp, 0);
        hand_store16(udp + 6, 0);
    }
}

/* The far end must find the hand loop's outer packet right, hashed fields and all. */
static void check_far_end(struct subject *s, const struct sample *hand, const char *what)
{
    struct sample copy;

    if (s->c->operation != ENCAP || hand->pkt.status != TUNNELCAP_OK)
        return;
    copy_sample(&copy, hand);
    if (s->ipip)
        tunnelcap_ipip_decap(s->far_ipip, &copy.pkt, NULL, 0, 1);
    else
        tunnelcap_gre_decap(s->far_gre, &copy.pkt, NULL, 0, NULL, 1);
    if (copy.pkt.status < 0)
        fail(s, what, &copy, hand);
}

static void compare(struct subject *s, const struct sample *from, const char *what)
{
    struct sample library, hand;
    tunnelcap_gre_rx rx;
    bool changed;

    copy_sample(&library, from);
    copy_sample(&hand, from);
    memset(s->rx, 0, sizeof(s->rx));
    run_library(s, &library.pkt, 1);
    rx = s->rx[0];
    memset(s->rx, 0, sizeof(s->rx));
    run_hand(s, &hand.pkt, 1);

    check_far_end(s, &hand, what);
    changed = library.pkt.off != from->pkt.off;
    if ((library.pkt.status < 0) != (hand.pkt.status < 0) ||
        (library.pkt.status >= 0 && library.pkt.status != hand.pkt.status) ||
        library.pkt.off != hand.pkt.off || library.pkt.len != hand.pkt.len)
        fail(s, what, &library, &hand);
    if (changed) {
        mask_hashes(s->c, library.bytes + library.pkt.off);
        mask_hashes(s->c, hand.bytes + hand.pkt.off);
    }
    if (memcmp(library.bytes, hand.bytes, sizeof(hand.bytes)) != 0 ||
        memcmp(&rx, &s->rx[0], sizeof(rx)) != 0)
        fail(s, what, &library, &hand);
}

static void repair_ipv4(uint8_t *p)
{
    uint32_t header = (uint32_t)(p[0] & 15) * 4;

    hand_store16(p + 10, 0);
    hand_store16(p + 10, ~(uint32_t)hand_sum(p, header));
}

static void compare_flipped(struct subject *s, const struct sample *good)
{
    struct sample bad;

    for (uint32_t at = 0; at < FLIPPED_BYTES && at < good->pkt.len; at++) {
        for (uint32_t bit = 0; bit < 8; bit++) {
            uint8_t *p = bad.bytes + good->pkt.off;

            copy_sample(&bad, good);
            p[at] = (uint8_t)(p[at] ^ 1U << bit);
            compare(s, &bad, "a flipped bit");
            if (p[0] >> 4 != 4)
                continue;
            repair_ipv4(p);
            compare(s, &bad, "a flipped bit under a right checksum");
        }
    }
}

static void compare_cut(struct subject *s, const struct sample *good)
{
    struct sample bad;

    for (uint32_t len = 0; len < good->pkt.len; len++) {
        copy_sample(&bad, good);
        bad.pkt.len = len;
        compare(s, &bad, "a packet cut off");
    }
    for (uint32_t headroom = 0; headroom < good->pkt.off && s->c->operation == ENCAP; headroom++) {
        copy_sample(&bad, good);
        memmove(bad.bytes + headroom, good->bytes + good->pkt.off, good->pkt.len);
        bad.pkt.off = headroom;
        compare(s, &bad, "little headroom");
    }
    copy_sample(&bad, good);
    bad.pkt.off = bad.pkt.cap;
    compare(s, &bad, "a window behind the buffer's end");
}

void verify(const struct bench_case *c, uint32_t size)
{
    static struct sample good;
    struct subject subject;
    struct pool pool;

    subject_init(&subject, c);
    pool_init(&pool, BATCH, size, c->traffic, 1);
    if (c->operation == DECAP && run_far_encap(&subject, pool.pkts, BATCH) != BATCH)
        bench_fail("the far end refuses to make packets");
    for (uint32_t i = 0; i < BATCH; i++) {
        memcpy(good.bytes, pool.pkts[i].buf, STRIDE);
        good.pkt = pool.pkts[i];
        good.pkt.buf = good.bytes;
        compare(&subject, &good, "a good packet");
    }
    compare_flipped(&subject, &good);
    compare_cut(&subject, &good);
    pool_fini(&pool);
    subject_fini(&subject);
}
