/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Splitting with all that every split promises checked on the way, and a slow joiner, written from
 * the RFCs, to tell whether what came out is what went in.
 */
#ifndef TUNNELCAP_TESTS_FRAGMENT_KIT_H
#define TUNNELCAP_TESTS_FRAGMENT_KIT_H

#include "../support.h"

enum { KIT_HEADROOM = 24 };

/* The fragments of one packet, each in a buffer of exactly KIT_HEADROOM + len bytes. */
typedef struct kit_set {
    tunnelcap_pkt *pieces;
    uint32_t count;
} kit_set;

tunnelcap_fragment_config kit_config(uint32_t mtu, uint32_t flags, uint32_t id);

/* Split a packet from memory of its own length. The source must stay as it is, and so must `it`
 * on refusal; count, length, headroom and tailroom are tried at each step. */
int32_t kit_split(const uint8_t *bytes, uint32_t len, const tunnelcap_meta *meta,
                  const tunnelcap_fragment_config *config, kit_set *set);
void kit_free(kit_set *set);

/* First byte of a piece. */
uint8_t *kit_bytes(const kit_set *set, uint32_t index);

/* Where a piece stands. */
typedef struct kit_place {
    uint32_t header;  /* bytes of headers, the Fragment header included */
    uint32_t offset;  /* in bytes */
    uint32_t payload; /* bytes */
    uint32_t id;
    bool more;
} kit_place;

/* Read a packet; fails the test if its length, or an IPv4 header's checksum, is wrong. */
kit_place kit_place_of(const uint8_t *bytes, uint32_t len);

void kit_shuffle(kit_set *set, test_random *random);

/* Join the pieces, in any order, to what they were: a packet, or a larger fragment. An IPv6
 * packet comes out without its Fragment header unless `keep`. Fails the test on a gap, an overlap,
 * or headers that do not belong together. */
void kit_join(const kit_set *set, bool keep, test_frame *joined);

#endif
