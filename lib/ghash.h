/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* GHASH, the keyed hash inside GCM (NIST SP 800-38D 6.4), by carry-less multiplication. There is
 * no form of it by tables, which would tell secrets by the time they take: where the processor
 * has no such instruction, there is no GHASH here. */
#ifndef TUNNELCAP_I_GHASH_H
#define TUNNELCAP_I_GHASH_H

#include <stddef.h>
#include <stdint.h>

/* Ways to compute it, each faster than the one before. */
enum {
    TUNNELCAP_I_GHASH_NONE,
    TUNNELCAP_I_GHASH_NARROW, /* one block in each multiplication: PCLMULQDQ, PMULL */
    TUNNELCAP_I_GHASH_WIDE    /* two blocks: VPCLMULQDQ */
};

/* So many blocks are multiplied by as many powers of H before one reduction. */
enum { TUNNELCAP_I_GHASH_POWERS = 8, TUNNELCAP_I_GHASH_BLOCK = 16 };

/* What follows from H; as secret as the key. */
typedef struct tunnelcap_i_ghash_key {
    uint64_t way;                                 /* TUNNELCAP_I_GHASH_ */
    uint64_t reserved;                            /* powers begin at a multiple of 16 */
    uint64_t powers[TUNNELCAP_I_GHASH_POWERS][2]; /* H^8 ... H, low half first */
    uint64_t folded[TUNNELCAP_I_GHASH_POWERS][2]; /* both halves of each XORed; 0 */
} tunnelcap_i_ghash_key;

/* The best way on this processor. */
uint32_t tunnelcap_i_ghash_best(void);

/* Prepare for H, a block, in a way that this processor has: not TUNNELCAP_I_GHASH_NONE. */
void tunnelcap_i_ghash_init(tunnelcap_i_ghash_key *key, const uint8_t *h, uint32_t way);

/* A block as two numbers: its bytes 0 to 7 and 8 to 15, the most significant first. */
typedef struct tunnelcap_i_ghash_block {
    uint64_t first, second;
} tunnelcap_i_ghash_block;

/* The hash of a first block, `len` bytes with zeros up to whole blocks, and a last block. */
tunnelcap_i_ghash_block tunnelcap_i_ghash(const tunnelcap_i_ghash_key *key,
                                          tunnelcap_i_ghash_block first, const uint8_t *bytes,
                                          size_t len, tunnelcap_i_ghash_block last);

#endif
