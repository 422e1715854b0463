/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* How tunnels share the flows of a prefix: each of a number of buckets, which the hash of a flow
 * chooses among, is given to one of them.
 *
 * Implementation notes. Two ways to give the buckets away. In a row: each tunnel gets as many
 * neighbours as its weight says, none more than one bucket off. By rendezvous: each bucket goes to
 * the tunnel that comes nearest to it, where the distance is -log(u) / weight of a number u between
 * 0 and 1 that is a hash of bucket and tunnel. Since no tunnel's distance depends on another one,
 * a tunnel that comes or goes, or whose weight changes, moves no bucket between others. How many
 * buckets it gets is left to chance, with the mean that its weight says.
 *
 * All servers of a fleet must come to the same result, whatever they were compiled by: integers
 * only. */
#ifndef TUNNELCAP_I_SHARE_H
#define TUNNELCAP_I_SHARE_H

#include "flow.h"

/* One of the tunnels. */
typedef struct tunnelcap_i_sharer {
    uint64_t tunnel; /* its id */
    uint32_t place;  /* what its buckets hold */
    uint32_t weight; /* 1 to 256 */
} tunnelcap_i_sharer;

/* Give `count` buckets, 65536 at most, to `n` tunnels, in the order of the tunnels. */
void tunnelcap_i_share_in_a_row(uint32_t *buckets, uint32_t count,
                                const tunnelcap_i_sharer *sharers, uint32_t n);

/* The same by rendezvous, under a key; the order of the tunnels does not matter. */
void tunnelcap_i_share_by_rendezvous(uint32_t *buckets, uint32_t count,
                                     const tunnelcap_i_sharer *sharers, uint32_t n,
                                     tunnelcap_i_flow_key key);

/* -log2(hash / 2^64) with 32 bits behind the point, never 0, too large by 2^-18 at most. */
uint64_t tunnelcap_i_share_distance(uint64_t hash);

#endif
