/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "fragment_kit.h"

enum { HOP_BY_HOP = 0, ROUTING = 43, FRAGMENT = 44, DEST_OPTS = 60, FRAGMENT_HEADER = 8 };
enum { DF = 0x4000, MF = 0x2000, OFFSET = 0x1fff };

tunnelcap_fragment_config kit_config(uint32_t mtu, uint32_t flags, uint32_t id)
{
    tunnelcap_fragment_config config;
    test_ok(tunnelcap_fragment_config_init(&config, sizeof(config), mtu));
    config.flags = flags;
    config.id = id;
    return config;
}

/* A fresh buffer for `len` bytes behind the headroom. */
static tunnelcap_pkt buffer(uint32_t len)
{
    uint8_t *bytes = calloc(1, (size_t)len + 1);
    ck_assert_ptr_nonnull(bytes);
    memset(bytes, 0x5a, len);
    tunnelcap_pkt pkt = test_pkt(bytes, len, KIT_HEADROOM);
    free(bytes);
    pkt.len = 0;
    return pkt;
}

/* One byte too few, then enough. */
static tunnelcap_pkt take(tunnelcap_fragments *it, uint32_t mtu)
{
    uint32_t count = tunnelcap_fragment_count(it);
    uint32_t len = tunnelcap_fragment_len(it);
    ck_assert_uint_le(len, mtu);
    tunnelcap_fragments before = *it;
    tunnelcap_pkt out = buffer(len - 1);
    test_snapshot snap = test_snap(&out);
    ck_assert_status(tunnelcap_fragment_next(it, &out), TUNNELCAP_E_TAILROOM);
    ck_assert_status(out.status, TUNNELCAP_E_TAILROOM);
    test_unchanged(&snap, &out);
    ck_assert_mem_eq(it, &before, sizeof(before));
    test_pkt_free(&out);

    out = buffer(len);
    test_ok(tunnelcap_fragment_next(it, &out));
    test_ok(out.status);
    ck_assert_uint_eq(out.off, KIT_HEADROOM);
    ck_assert_uint_eq(out.len, len);
    for (uint32_t i = 0; i < KIT_HEADROOM; i++)
        ck_assert_uint_eq(out.buf[i], 0xee);
    ck_assert_uint_eq(tunnelcap_fragment_count(it), count - 1);
    return out;
}

int32_t kit_split(const uint8_t *bytes, uint32_t len, const tunnelcap_meta *meta,
                  const tunnelcap_fragment_config *config, kit_set *set)
{
    tunnelcap_pkt pkt = test_pkt(bytes, len, 0);
    test_snapshot snap = test_snap(&pkt);
    tunnelcap_fragments it, before;
    memset(&it, 0xa5, sizeof(it));
    before = it;
    set->pieces = NULL;
    set->count = 0;
    int32_t status = tunnelcap_fragment_begin(&it, &pkt, meta, config);
    if (status == TUNNELCAP_OK) {
        uint32_t count = tunnelcap_fragment_count(&it);
        ck_assert_uint_gt(count, 0);
        set->pieces = calloc(count, sizeof(*set->pieces));
        ck_assert_ptr_nonnull(set->pieces);
        while (set->count < count)
            set->pieces[set->count++] = take(&it, config->mtu);
        tunnelcap_pkt out = buffer(100);
        before = it;
        ck_assert_status(tunnelcap_fragment_next(&it, &out), TUNNELCAP_E_NOT_FOUND);
        ck_assert_uint_eq(tunnelcap_fragment_len(&it), 0);
        test_pkt_free(&out);
    }
    ck_assert_mem_eq(&it, &before, sizeof(it));
    ck_assert_int_eq(pkt.status, INT32_MIN);
    test_unchanged(&snap, &pkt);
    test_pkt_free(&pkt);
    return status;
}

void kit_free(kit_set *set)
{
    for (uint32_t i = 0; i < set->count; i++)
        test_pkt_free(&set->pieces[i]);
    free(set->pieces);
    set->pieces = NULL;
    set->count = 0;
}

uint8_t *kit_bytes(const kit_set *set, uint32_t index)
{
    ck_assert_uint_lt(index, set->count);
    return set->pieces[index].buf + set->pieces[index].off;
}

static kit_place place_in_ipv4(const uint8_t *bytes, uint32_t len)
{
    uint32_t header = (bytes[0] & 15u) * 4;
    uint32_t frag = test_load16(bytes + 6);
    kit_place place = {.header = header,
                       .offset = (frag & OFFSET) * 8,
                       .payload = len - header,
                       .id = test_load16(bytes + 4),
                       .more = (frag & MF) != 0};
    ck_assert_uint_eq(test_load16(bytes + 2), len);
    ck_assert_uint_eq(test_sum(0, bytes, header), 0xffff);
    return place;
}

kit_place kit_place_of(const uint8_t *bytes, uint32_t len)
{
    if (bytes[0] >> 4 == 4)
        return place_in_ipv4(bytes, len);
    uint32_t at = 40;
    uint32_t next = bytes[6];
    ck_assert_uint_eq(test_load16(bytes + 4) + 40u, len);
    while (next == HOP_BY_HOP || next == ROUTING || next == DEST_OPTS) {
        next = bytes[at];
        at += (bytes[at + 1] + 1u) * 8;
    }
    kit_place place = {.header = at, .payload = len - at};
    if (next != FRAGMENT)
        return place;
    place.header = at + FRAGMENT_HEADER;
    place.offset = test_load16(bytes + at + 2) & 0xfff8u;
    place.payload = len - place.header;
    place.id = test_load32(bytes + at + 4);
    place.more = bytes[at + 3] & 1;
    return place;
}

void kit_shuffle(kit_set *set, test_random *random)
{
    for (uint32_t i = set->count; i > 1; i--) {
        uint32_t j = test_below(random, i);
        tunnelcap_pkt swap = set->pieces[i - 1];
        set->pieces[i - 1] = set->pieces[j];
        set->pieces[j] = swap;
    }
}

/* The piece that stands at an offset; the number of pieces if there is none. */
static uint32_t find(const kit_place *places, uint32_t count, uint32_t offset)
{
    uint32_t i = 0;
    while (i < count && places[i].offset != offset)
        i++;
    return i;
}

static uint32_t lowest(const kit_place *places, uint32_t count)
{
    uint32_t least = UINT32_MAX;
    for (uint32_t i = 0; i < count; i++)
        least = places[i].offset < least ? places[i].offset : least;
    return least;
}

/* What all fragments of a packet share. */
static void check_alike(const uint8_t *a, const uint8_t *b)
{
    if (a[0] >> 4 == 4) {
        ck_assert_uint_eq(a[1], b[1]);
        ck_assert_uint_eq(test_load16(a + 6) & 0xc000u, test_load16(b + 6) & 0xc000u);
        ck_assert_mem_eq(a + 8, b + 8, 2);
        ck_assert_mem_eq(a + 12, b + 12, 8);
    } else {
        ck_assert_mem_eq(a, b, 4);
        ck_assert_mem_eq(a + 6, b + 6, 34);
    }
}

/* Set the lengths and, for IPv4, the checksum of what has been joined; take the Fragment header
 * out that stands before `header`. */
static void finish(test_frame *joined, uint32_t header, bool more, bool keep)
{
    uint8_t *p = joined->bytes;
    if (p[0] >> 4 == 4) {
        test_store16(p + 2, joined->len);
        test_store16(p + 6, (test_load16(p + 6) & ~(uint32_t)MF) | (more ? MF : 0));
        test_store16(p + 10, 0);
        test_store16(p + 10, (uint16_t)~test_sum(0, p, header));
        return;
    }
    uint32_t at = header - FRAGMENT_HEADER;
    p[at + 3] = (uint8_t)((p[at + 3] & 0xfe) | more);
    if (!keep) {
        uint32_t name = 6;
        for (uint32_t walk = 40; walk < at; walk += (p[walk + 1] + 1u) * 8)
            name = walk;
        ck_assert_uint_eq(p[name], FRAGMENT);
        p[name] = p[at];
        joined->len -= FRAGMENT_HEADER;
        memmove(p + at, p + header, joined->len - at);
    }
    test_store16(p + 4, joined->len - 40);
}

void kit_join(const kit_set *set, bool keep, test_frame *joined)
{
    kit_place *places = calloc(set->count, sizeof(*places));
    ck_assert_ptr_nonnull(places);
    for (uint32_t i = 0; i < set->count; i++)
        places[i] = kit_place_of(kit_bytes(set, i), set->pieces[i].len);
    uint32_t next = lowest(places, set->count);
    uint32_t first = find(places, set->count, next);
    uint32_t i = first;
    joined->len = 0;
    for (uint32_t done = 0; done < set->count; done++) {
        i = find(places, set->count, next);
        ck_assert_msg(i < set->count, "no fragment at offset %u", (unsigned)next);
        ck_assert_uint_eq(places[i].id, places[first].id);
        ck_assert_uint_gt(places[i].payload, 0);
        check_alike(kit_bytes(set, i), kit_bytes(set, first));
        if (done + 1 < set->count) {
            ck_assert(places[i].more);
            ck_assert_uint_eq(places[i].payload % 8, 0);
        }
        uint32_t from = done == 0 ? 0 : places[i].header;
        uint32_t n = set->pieces[i].len - from;
        ck_assert_uint_le(joined->len + n, TEST_FRAME_CAP);
        memcpy(joined->bytes + joined->len, kit_bytes(set, i) + from, n);
        joined->len += n;
        next += places[i].payload;
    }
    finish(joined, places[first].header, places[i].more, keep);
    free(places);
}
