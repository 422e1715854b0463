/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Both contestants take turns, round after round; the result is the median of the rounds. The
 * packets of a working set are split one after the other, each into buffers of its own, with
 * headroom, as for the encapsulation that follows; or such fragments are put together again, each
 * packet in a buffer of its own.
 */

#include <stdio.h>
#include <stdlib.h>
#include <tunnelcap/tunnelcap.h>

#include "bench.h"

enum { PIECES_MAX = 64, ROUNDS = 4000, LEAST_ROUNDS = 15 };

enum { CACHED, UNCACHED, SETS };

/* The order in which fragments come to reassembly. */
enum order { NO_REASSEMBLY, FORWARD, BACKWARD };

static const struct fragment_case {
    const char *name;
    bool ipv6, options;
    uint32_t size, mtu;
    enum order order;
} cases[] = {
    {"fragment4", false, false, 1500, 1476, NO_REASSEMBLY},
    {"fragment4", false, false, 9000, 1476, NO_REASSEMBLY},
    {"fragment4", false, false, 65000, 1476, NO_REASSEMBLY},
    {"fragment4-options", false, true, 1500, 1476, NO_REASSEMBLY},
    {"fragment6-source", true, false, 1520, 1500, NO_REASSEMBLY},
    {"fragment6-source", true, false, 9000, 1500, NO_REASSEMBLY},
    {"reassembly4", false, false, 1500, 1476, FORWARD},
    {"reassembly4", false, false, 2900, 1476, FORWARD},
    {"reassembly4", false, false, 9000, 1476, FORWARD},
    {"reassembly4", false, false, 65000, 1476, FORWARD},
    {"reassembly4-backward", false, false, 2900, 1476, BACKWARD},
    {"reassembly4-backward", false, false, 65000, 1476, BACKWARD},
    {"reassembly6", true, false, 2900, 1500, FORWARD},
    {"reassembly6", true, false, 9000, 1500, FORWARD},
};

/* Bytes of packets in a working set. */
static const struct {
    const char *name;
    uint32_t bytes;
} sets[SETS] = {{"cached", 1}, {"64MiB", 64u << 20}};

/* Packets and the buffers that their fragments go to. */
struct field {
    const struct fragment_case *c;
    tunnelcap_fragment_config config;
    uint32_t count, pieces, stride;
    uint32_t header; /* of a later fragment */
    uint8_t *source, *target;
    tunnelcap_reassembly *reassembly;
    uint32_t cut[PIECES_MAX + 1]; /* of a packet, for memcpy */
};

/* Bytes of the fragment with its header. */
static uint32_t length_of(const struct field *field, uint32_t piece)
{
    uint32_t first = field->c->ipv6 ? 8 : 0; /* in which the packet's header is counted already */

    return field->cut[piece + 1] - field->cut[piece] + (piece == 0 ? first : field->header);
}

typedef void contestant(struct field *field, uint32_t index);

static uint8_t *source_of(const struct field *field, uint32_t index)
{
    return field->source + (size_t)index * field->c->size;
}

static uint8_t *target_of(const struct field *field, uint32_t index, uint32_t piece)
{
    return field->target + ((size_t)index * field->pieces + piece) * field->stride + HEADROOM;
}

static void split(struct field *field, uint32_t index)
{
    tunnelcap_pkt pkt = {source_of(field, index), field->c->size, 0, field->c->size, 0, NULL};
    tunnelcap_fragments it;

    if (tunnelcap_fragment_begin(&it, &pkt, NULL, &field->config) != TUNNELCAP_OK)
        bench_fail("a packet is not split");
    if (tunnelcap_fragment_count(&it) != field->pieces)
        bench_fail("another number of fragments");
    for (uint32_t piece = 0; piece < field->pieces; piece++) {
        tunnelcap_pkt out = {
            target_of(field, index, piece) - HEADROOM, field->stride, HEADROOM, 0, 0, NULL};

        if (tunnelcap_fragment_next(&it, &out) != TUNNELCAP_OK)
            bench_fail("a fragment is not written");
    }
}

/* The payload goes where it goes in fragments, too. */
static void copy(struct field *field, uint32_t index)
{
    const uint8_t *from = source_of(field, index);

    for (uint32_t piece = 0; piece < field->pieces; piece++)
        memcpy(target_of(field, index, piece) + (piece == 0 ? 0 : field->header),
               from + field->cut[piece], field->cut[piece + 1] - field->cut[piece]);
}

/* The piece that comes as number n. */
static uint32_t turn_of(const struct field *field, uint32_t n)
{
    return field->c->order == FORWARD ? n : field->pieces - 1 - n;
}

/* The packets that were split are written anew, from their fragments. */
static void join(struct field *field, uint32_t index)
{
    tunnelcap_pkt out = {source_of(field, index), field->c->size, 0, 0, 0, NULL};
    int32_t status = TUNNELCAP_KEPT;

    for (uint32_t n = 0; n < field->pieces && status == TUNNELCAP_KEPT; n++) {
        uint32_t piece = turn_of(field, n);
        tunnelcap_pkt pkt = {target_of(field, index, piece) - HEADROOM,
                             field->stride,
                             HEADROOM,
                             length_of(field, piece),
                             0,
                             NULL};

        status = tunnelcap_reassembly_add(field->reassembly, &pkt, NULL, 0, &out);
    }
    if (status != TUNNELCAP_OK || out.len != field->c->size)
        bench_fail("fragments are not put together");
}

static void copy_back(struct field *field, uint32_t index)
{
    uint8_t *to = source_of(field, index);

    for (uint32_t n = 0; n < field->pieces; n++) {
        uint32_t piece = turn_of(field, n);

        memcpy(to + field->cut[piece],
               target_of(field, index, piece) + (piece == 0 ? 0 : field->header),
               field->cut[piece + 1] - field->cut[piece]);
    }
}

static uint32_t header_of(const struct fragment_case *c)
{
    return c->ipv6 ? 40 : c->options ? 32 : 20;
}

static void make_packet(const struct fragment_case *c, uint8_t *p, uint32_t seed)
{
    uint32_t header = header_of(c);

    for (uint32_t i = 0; i < c->size; i++)
        p[i] = (uint8_t)(i * 31 + seed);
    memset(p, 0, header);
    if (c->ipv6) {
        p[0] = 0x60;
        hand_store16(p + 4, c->size - 40);
        p[6] = 17;
        p[7] = 64;
        return;
    }
    p[0] = (uint8_t)(0x40 | header / 4);
    hand_store16(p + 2, c->size);
    hand_store16(p + 4, seed & 0xffff);
    p[8] = 64;
    p[9] = 17;
    if (c->options) { /* a stream ID that is copied, a record route that is not */
        static const uint8_t options[12] = {136, 4, 0, 1, 7, 7, 4};

        memcpy(p + 20, options, sizeof(options));
    }
    hand_store16(p + 10, (uint16_t)~hand_sum(p, header));
}

static void set_up(struct field *field, const struct fragment_case *c, uint32_t bytes)
{
    uint32_t header = header_of(c);
    tunnelcap_pkt pkt;
    tunnelcap_fragments it;

    memset(field, 0, sizeof(*field));
    field->c = c;
    tunnelcap_fragment_config_init(&field->config, sizeof(field->config), c->mtu);
    field->header = c->ipv6 ? 48 : c->options ? 24 : 20;
    field->config.flags = c->ipv6 ? TUNNELCAP_FRAGMENT_AS_SOURCE : 0;
    field->count = bytes / c->size > BATCH ? bytes / c->size : c->size > 10000 ? 1 : BATCH;
    field->stride = (HEADROOM + c->mtu + 63) / 64 * 64 + 64;
    field->source = malloc((size_t)field->count * c->size);
    if (field->source == NULL)
        bench_fail("no memory for packets");
    for (uint32_t i = 0; i < field->count; i++)
        make_packet(c, source_of(field, i), i);

    pkt = (tunnelcap_pkt){field->source, c->size, 0, c->size, 0, NULL};
    if (tunnelcap_fragment_begin(&it, &pkt, NULL, &field->config) != TUNNELCAP_OK ||
        tunnelcap_fragment_count(&it) > PIECES_MAX)
        bench_fail("a packet is not split");
    field->pieces = tunnelcap_fragment_count(&it);
    for (uint32_t i = 1; i < field->pieces; i++)
        field->cut[i] = header + i * ((c->mtu - header - (c->ipv6 ? 8 : 0)) / 8 * 8);
    field->cut[field->pieces] = c->size;
    field->target = calloc((size_t)field->count * field->pieces, field->stride);
    if (field->target == NULL)
        bench_fail("no memory for fragments");
}

/* Split all packets, and see that they are the same when they are put together. */
static void set_up_reassembly(struct field *field)
{
    static const uint8_t seed[TUNNELCAP_SEED_SIZE] = {5, 4, 3, 2, 1};
    tunnelcap_reassembly_config config;
    uint8_t *before = malloc(field->c->size);

    tunnelcap_reassembly_config_init(&config, sizeof(config));
    if (before == NULL ||
        tunnelcap_reassembly_new(&config, seed, NULL, &field->reassembly) != TUNNELCAP_OK)
        bench_fail("no memory for reassembly");
    for (uint32_t i = 0; i < field->count; i++) {
        split(field, i);
        memcpy(before, source_of(field, i), field->c->size);
        memset(source_of(field, i), 0, field->c->size);
        join(field, i);
        if (memcmp(before, source_of(field, i), field->c->size) != 0)
            bench_fail("fragments are put together wrongly");
    }
    free(before);
}

static void tear_down(struct field *field)
{
    tunnelcap_reassembly_free(field->reassembly);
    free(field->source);
    free(field->target);
}

/* Nanoseconds for each packet; a small working set is gone through more than once. */
static double one_round(struct field *field, contestant *run)
{
    uint32_t passes = field->count > BATCH ? 1 : 2000 / (field->count * field->pieces) + 1;
    double begin = bench_now_ns();

    for (uint32_t pass = 0; pass < passes; pass++) {
        for (uint32_t i = 0; i < field->count; i++) {
            run(field, i);
            __asm__ volatile("" ::: "memory");
        }
    }
    return (bench_now_ns() - begin) / ((double)passes * field->count);
}

static void run_case(const struct fragment_case *c, uint32_t set, double seconds, bench_row *row)
{
    static double ours[ROUNDS], theirs[ROUNDS];
    contestant *our_run = c->order == NO_REASSEMBLY ? split : join;
    contestant *their_run = c->order == NO_REASSEMBLY ? copy : copy_back;
    struct field field;
    double begin;
    uint32_t rounds = 0;
    char name[64];

    set_up(&field, c, sets[set].bytes);
    if (c->order != NO_REASSEMBLY)
        set_up_reassembly(&field);
    one_round(&field, our_run); /* pages and code are warm then */
    for (begin = bench_now_ns();
         rounds < LEAST_ROUNDS || (rounds < ROUNDS && bench_now_ns() - begin < seconds * 1e9);
         rounds++) {
        ours[rounds] = one_round(&field, our_run);
        theirs[rounds] = one_round(&field, their_run);
    }
    snprintf(name, sizeof(name), "%s/%s", c->name, sets[set].name);
    row(name, c->size, 1, bench_median(ours, rounds), "memcpy", bench_median(theirs, rounds),
        c->order == NO_REASSEMBLY ? 1.5
        : set == CACHED           ? 0
                                  : 2.5);
    tear_down(&field);
}

void bench_fragment(const char *only, double seconds, bench_row *row)
{
    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (only != NULL && strstr(cases[i].name, only) == NULL)
            continue;
        for (uint32_t set = 0; set < SETS; set++)
            run_case(&cases[i], set, seconds, row);
    }
}
