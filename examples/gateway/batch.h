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
    BATCH_MOST_SENT = BATCH_SIZE,
    BATCH_HEADROOM = 256, /* more than any tunnel here adds; also staggers cache sets */
    BATCH_ROOM = 65536    /* an IP packet, whole */
};

typedef struct batch {
    uint8_t *memory;
    uint32_t count;
    tunnelcap_pkt pkts[BATCH_SIZE];
    tunnelcap_meta meta[BATCH_SIZE];
    tunnelcap_result results[BATCH_SIZE];
} batch;

/* The place where packet i is to be read to. */
static inline uint8_t *batch_place(batch *b, uint32_t i)
{
    return b->memory + (size_t)i * (BATCH_HEADROOM + BATCH_ROOM) + BATCH_HEADROOM;
}

/* Make a packet of what has been read to the place of packet i. */
static inline void batch_put(batch *b, uint32_t i, size_t len)
{
    b->pkts[i] = (tunnelcap_pkt){.buf = batch_place(b, i) - BATCH_HEADROOM,
                                 .cap = BATCH_HEADROOM + BATCH_ROOM,
                                 .off = BATCH_HEADROOM,
                                 .len = (uint32_t)len};
}

#endif
