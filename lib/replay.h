/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The replay window of an inbound SA (RFC 4303 3.4.3), for any number of threads.
 *
 * Implementation notes. As in RFC 6479 the window is a ring of blocks that is never shifted. A
 * word holds 32 packets' bits and, in its upper half, which block of the sequence space they
 * belong to; so a word that still holds an older block reads as empty, and one compare-and-swap
 * both clears and marks. The ring has one block more than the window needs, rounded up. */
#ifndef TUNNELCAP_I_REPLAY_H
#define TUNNELCAP_I_REPLAY_H

#include <tunnelcap/status.h>

#include "atomic.h"

typedef struct tunnelcap_i_replay {
    tunnelcap_i_atomic64 top; /* highest number verified */
    tunnelcap_i_atomic64 *words;
    uint32_t mask;   /* words - 1 */
    uint32_t window; /* packets; 0: no replay checking */
    uint32_t esn;
} tunnelcap_i_replay;

/* Words of a ring for a window. */
static inline uint32_t tunnelcap_i_replay_words(uint32_t window)
{
    uint32_t words = 2;

    while (words <= window / 32)
        words *= 2;
    return words;
}

/* The 64-bit sequence number of the low half that a packet holds (RFC 4303 appendix A2.2), when
 * `top` was verified last. UINT64_MAX stands for "before the beginning". */
static inline uint64_t tunnelcap_i_replay_infer(const tunnelcap_i_replay *r, uint64_t top,
                                                uint32_t low)
{
    uint32_t window = r->window != 0 ? r->window : 0x80000000u;
    uint32_t bottom = (uint32_t)top - window + 1; /* modulo 2^32 */
    uint64_t high = top >> 32;

    if ((uint32_t)top >= window - 1)
        return (high + (low < bottom)) << 32 | low;
    if (low < bottom)
        return high << 32 | low;
    if (high == 0)
        return r->window != 0 ? UINT64_MAX : low;
    return (high - 1) << 32 | low;
}

/* Whether a number may be new, by what its word holds. */
static inline uint32_t tunnelcap_i_replay_unseen(uint64_t word, uint64_t seq)
{
    uint32_t block = (uint32_t)(seq >> 5);
    uint32_t held = (uint32_t)(word >> 32);

    if (held == block)
        return !(word >> (seq & 31) & 1);
    return (int32_t)(held - block) < 0;
}

static inline int32_t tunnelcap_i_replay_check(tunnelcap_i_replay *r, uint64_t seq)
{
    uint64_t top = TUNNELCAP_I_LOAD(r->top);

    if (r->window == 0)
        return TUNNELCAP_OK;
    if (seq == UINT64_MAX || (seq == 0 && !r->esn))
        return TUNNELCAP_E_REPLAY;
    if (top >= r->window && seq <= top - r->window)
        return TUNNELCAP_E_REPLAY;
    return tunnelcap_i_replay_unseen(TUNNELCAP_I_LOAD(r->words[seq >> 5 & r->mask]), seq)
               ? TUNNELCAP_OK
               : TUNNELCAP_E_REPLAY;
}

/* Mark a verified number as seen. Checks again: of two packets with one number, which may come in
 * one burst or on two lanes, one is accepted. */
static inline int32_t tunnelcap_i_replay_commit(tunnelcap_i_replay *r, uint64_t seq)
{
    uint64_t top;
    uint64_t word;
    uint64_t next;

    if (r->window != 0) {
        if (tunnelcap_i_replay_check(r, seq) != TUNNELCAP_OK)
            return TUNNELCAP_E_REPLAY;
        word = TUNNELCAP_I_LOAD(r->words[seq >> 5 & r->mask]);
        do {
            if (!tunnelcap_i_replay_unseen(word, seq))
                return TUNNELCAP_E_REPLAY;
            next = (uint32_t)(word >> 32) == (uint32_t)(seq >> 5)
                       ? word
                       : (uint64_t)(uint32_t)(seq >> 5) << 32;
            next |= (uint64_t)1 << (seq & 31);
        } while (!TUNNELCAP_I_SWAP_IF(r->words[seq >> 5 & r->mask], word, next));
    }
    top = TUNNELCAP_I_LOAD(r->top);
    while (seq > top && !TUNNELCAP_I_SWAP_IF(r->top, top, seq)) {
    }
    return TUNNELCAP_OK;
}

#endif
