/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Memory for the packets of one wake-up, and what the library says about them.
 */
#ifndef TUNNELCAP_GATEWAY_BATCH_H
#define TUNNELCAP_GATEWAY_BATCH_H

#include <tunnelcap/tunnelcap.h>

enum {
    BATCH_SIZE = 64,
    BATCH_SPARES = 256, /* for fragments, more than one packet can come to, and whole packets */
    BATCH_RESULTS = BATCH_SIZE + BATCH_SPARES,
    BATCH_HEADROOM = 256, /* more than any tunnel here adds; also staggers cache sets */
    BATCH_ROOM = 65536,   /* an IP packet, whole */
    BATCH_TAILROOM = 256, /* what ESP adds behind it */
    BATCH_PLACE = BATCH_HEADROOM + BATCH_ROOM + BATCH_TAILROOM
};

typedef struct batch {
    uint8_t *memory; /* places of packets, then of spares; pages that nothing needs stay unused */
    uint32_t count;
    tunnelcap_pkt pkts[BATCH_SIZE];
    tunnelcap_meta meta[BATCH_SIZE];
    tunnelcap_pkt spares[BATCH_SPARES];
    uint32_t spares_used; /* by the last burst; all of them at first */
    tunnelcap_result results[BATCH_RESULTS];
} batch;

/* The place where packet i is to be read to. */
static inline uint8_t *batch_place(batch *b, uint32_t i)
{
    return b->memory + (size_t)i * BATCH_PLACE + BATCH_HEADROOM;
}

static inline tunnelcap_pkt batch_packet(batch *b, uint32_t i, size_t len)
{
    return (tunnelcap_pkt){.buf = batch_place(b, i) - BATCH_HEADROOM,
                           .cap = BATCH_PLACE,
                           .off = BATCH_HEADROOM,
                           .len = (uint32_t)len};
}

/* Make a packet of what has been read to the place of packet i. */
static inline void batch_put(batch *b, uint32_t i, size_t len)
{
    b->pkts[i] = batch_packet(b, i, len);
}

/* Empty the spares that the last burst has used. */
static inline void batch_clear_spares(batch *b)
{
    for (uint32_t i = 0; i < b->spares_used; i++)
        b->spares[i] = batch_packet(b, BATCH_SIZE + i, 0);
    b->spares_used = 0;
}

#endif
