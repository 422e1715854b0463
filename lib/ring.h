/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The positions of a ring between one thread that writes and one that reads. They count through
 * the slots twice before they begin anew, so that a full ring differs from an empty one. */
#ifndef TUNNELCAP_I_RING_H
#define TUNNELCAP_I_RING_H

#include "atomic.h"

typedef struct tunnelcap_i_ring {
    tunnelcap_i_atomic64 lost;   /* the writer's: what found the ring full */
    tunnelcap_i_atomic32 first;  /* the reader's: next to take */
    tunnelcap_i_atomic32 behind; /* the writer's: behind the last one */
    uint32_t count;              /* of slots */
} tunnelcap_i_ring;

/* The slot at a position. */
static inline uint32_t tunnelcap_i_ring_slot(const tunnelcap_i_ring *ring, uint32_t position)
{
    return position < ring->count ? position : position - ring->count;
}

static inline uint32_t tunnelcap_i_ring_next(const tunnelcap_i_ring *ring, uint32_t position)
{
    return position + 1 < 2 * ring->count ? position + 1 : 0;
}

/* 1 if the writer can use the slot at a position that is its `behind`, or follows it. Else it
 * counts as lost. */
static inline uint32_t tunnelcap_i_ring_room(tunnelcap_i_ring *ring, uint32_t position)
{
    uint32_t first = TUNNELCAP_I_LOAD_ACQ(ring->first);
    uint32_t waiting = position >= first ? position - first : position + 2 * ring->count - first;

    if (waiting != ring->count)
        return 1;
    TUNNELCAP_I_STORE(ring->lost, TUNNELCAP_I_LOAD(ring->lost) + 1);
    return 0;
}

#endif
