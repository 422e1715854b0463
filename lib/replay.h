/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The replay window of an inbound SA (RFC 4303 3.4.3), for any number of threads.
 *
 * Implementation notes. As in RFC 6479 the window is a ring of blocks that is never shifted. A
 * word holds 32 packets' bits and, in its upper half, which block of the sequence space they
 * belong to; one compare-and-swap both clears and marks. The ring holds all blocks that a window
 * can touch, so a word within the window that holds another block holds an older one, and reads
 * as empty. Only a racing thread can have put a newer one there; it has moved the top before, so
 * the top, read after the word, shows that the number has left the window.
 *
 * Within a block the bits alone tell the highest number, so `top` moves only with the block: by
 * one compare-and-swap for 32 packets that come one by one. */
#ifndef TUNNELCAP_I_REPLAY_H
#define TUNNELCAP_I_REPLAY_H

#include <tunnelcap/status.h>

#include "atomic.h"
#include "wire.h"

typedef struct tunnelcap_i_replay {
    tunnelcap_i_atomic64 top; /* the highest number verified, or one below it in its block */
    tunnelcap_i_atomic64 *words;
    uint64_t start;  /* numbers up to this one count as seen */
    uint32_t mask;   /* words - 1 */
    uint32_t window; /* packets; 0: no replay checking */
    uint32_t esn;
} tunnelcap_i_replay;

/* Words of a ring for a window, which may begin and end within a block. */
static inline uint32_t tunnelcap_i_replay_words(uint32_t window)
{
    uint32_t words = 2;

    while (words <= (window + 31) / 32)
        words *= 2;
    return words;
}

/* The highest number verified. */
TUNNELCAP_I_INLINE uint64_t tunnelcap_i_replay_top(tunnelcap_i_replay *r)
{
    uint64_t top = TUNNELCAP_I_LOAD(r->top);
    uint64_t word;
    uint64_t highest;

    if (r->window == 0)
        return top;
    word = TUNNELCAP_I_LOAD_ACQ(r->words[top >> 5 & r->mask]);
    if ((uint32_t)(word >> 32) != (uint32_t)(top >> 5) || (uint32_t)word == 0)
        return top;
    highest = top >> 5 << 5 | tunnelcap_i_highest_bit((uint32_t)word);
    return highest > top ? highest : top;
}

/* The 64-bit sequence number of the low half that a packet holds (RFC 4303 appendix A2.2), when
 * `top` was verified last. UINT64_MAX stands for "before the beginning". */
TUNNELCAP_I_INLINE uint64_t tunnelcap_i_replay_infer(const tunnelcap_i_replay *r, uint64_t top,
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

/* Whether a number of the window is new, by what its word holds. */
static inline uint32_t tunnelcap_i_replay_unseen(uint64_t word, uint64_t seq)
{
    return (uint32_t)(word >> 32) != (uint32_t)(seq >> 5) || !(word >> (seq & 31) & 1);
}

/* Whether a number is right of the window's left edge, and new. */
TUNNELCAP_I_INLINE int32_t tunnelcap_i_replay_check(tunnelcap_i_replay *r, uint64_t seq)
{
    uint64_t word;
    uint64_t top;

    if (r->window == 0)
        return TUNNELCAP_OK;
    word = TUNNELCAP_I_LOAD_ACQ(r->words[seq >> 5 & r->mask]);
    top = tunnelcap_i_replay_top(r);
    return seq > r->start && seq != UINT64_MAX && (top < r->window || seq > top - r->window) &&
                   tunnelcap_i_replay_unseen(word, seq)
               ? TUNNELCAP_OK
               : TUNNELCAP_E_REPLAY;
}

/* Those numbers of a block that may be new, in a window below `top` and a word. No number of a
 * block pushes another one of it out of the window, which is at least as large as a block. */
TUNNELCAP_I_INLINE uint32_t tunnelcap_i_replay_new_of(const tunnelcap_i_replay *r, uint64_t block,
                                                      uint32_t bits, uint64_t top, uint64_t word)
{
    uint64_t first = block << 5;
    uint64_t left = top >= r->window && top - r->window > r->start ? top - r->window : r->start;

    if (left >= first)
        bits = left - first >= 31 ? 0 : bits & UINT32_MAX << (left - first + 1);
    if (block == UINT64_MAX >> 5)
        bits &= UINT32_MAX >> 1; /* UINT64_MAX is no number */
    return (uint32_t)(word >> 32) == (uint32_t)block ? bits & ~(uint32_t)word : bits;
}

/* Move the top up to a verified number whose bit is to be set next, if that is in a block to come.
 * Without a window there are no bits, and each number counts. */
static inline void tunnelcap_i_replay_raise(tunnelcap_i_replay *r, uint64_t seq)
{
    uint64_t top = TUNNELCAP_I_LOAD(r->top);
    uint32_t shift = r->window != 0 ? 5 : 0;

    while (seq >> shift > top >> shift && !TUNNELCAP_I_SWAP_IF(r->top, top, seq)) {
    }
}

/* Mark verified numbers of one block of 32 as seen, and tell which of them were new. Checks again:
 * of two packets with one number, which may come in one burst or on two lanes, one is accepted. */
TUNNELCAP_I_INLINE uint32_t tunnelcap_i_replay_commit_block(tunnelcap_i_replay *r, uint64_t block,
                                                            uint32_t bits)
{
    tunnelcap_i_atomic64 *slot;
    uint64_t word;
    uint64_t marked;
    uint32_t fresh;

    if (r->window == 0) {
        tunnelcap_i_replay_raise(r, block << 5 | tunnelcap_i_highest_bit(bits));
        return bits;
    }
    slot = &r->words[block & r->mask];
    word = TUNNELCAP_I_LOAD_ACQ(*slot);
    do {
        fresh = tunnelcap_i_replay_new_of(r, block, bits, tunnelcap_i_replay_top(r), word);
        if (fresh == 0)
            return 0;
        tunnelcap_i_replay_raise(r, block << 5 | tunnelcap_i_highest_bit(fresh));
        marked = (uint32_t)(word >> 32) == (uint32_t)block ? word : (uint64_t)(uint32_t)block << 32;
    } while (!TUNNELCAP_I_SWAP_IF_ORDERED(*slot, word, marked | fresh));
    return fresh;
}

/* The same for one number. */
static inline int32_t tunnelcap_i_replay_commit(tunnelcap_i_replay *r, uint64_t seq)
{
    return tunnelcap_i_replay_commit_block(r, seq >> 5, (uint32_t)1 << (seq & 31)) != 0
               ? TUNNELCAP_OK
               : TUNNELCAP_E_REPLAY;
}

#endif
