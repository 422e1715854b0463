/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Longest prefix match: which of many prefixes, of IPv4 and IPv6 and of several routing
 * instances, holds an address.
 *
 * Implementation notes. A trie of nodes with 256 entries each, one for every value of the byte of
 * the address that the node looks at (its depth). An entry is a leaf with the value of the longest
 * prefix that holds all addresses which come by, or leads to a node. A prefix whose length is not
 * a multiple of 8 stands in all the entries that it holds; what it does not share with a longer one
 * is handed down to the leaves below it. So a lookup ends at the first leaf, and never turns back.
 *
 * Nodes in which no prefix ends and that lead to one node only are left out: the entry above is
 * marked as a skip, and the node behind it knows what the bytes that nobody looked at must be, and
 * what holds if they are not. So n prefixes never take more than 2 n nodes, however long.
 *
 * A leaf also tells how many bits of its node its prefix has, 0 if it comes from above: enough to
 * let shorter prefixes not overwrite longer ones. Which shorter prefix comes to light when one is
 * removed the trie does not know; its caller has all prefixes in a hash.
 *
 * From a number of nodes on, routing instance 0 has a wide root for each family, which looks at
 * 16 bits at once: one dependent load less, and as many cache lines. */
#ifndef TUNNELCAP_I_LPM_H
#define TUNNELCAP_I_LPM_H

#include "ip.h"
#include "object.h"

/* Entries: a leaf is [ 0 | 5 bits: bits of the node | value ], what leads to a node is
 * [ 1 | skip | 4 bits: depth | node ]. */
enum {
    TUNNELCAP_I_LPM_BITS = 26, /* of a value or the number of a node */
    TUNNELCAP_I_LPM_NODE = 256,
    TUNNELCAP_I_LPM_WIDE = 65536,
    TUNNELCAP_I_LPM_WIDE_FROM = 2048, /* nodes, from which there are wide roots: 2 of 256 KiB */
    TUNNELCAP_I_LPM_BURST = 32,       /* queries at a time */
    TUNNELCAP_I_LPM_SKIP = 1 << 30    /* of an entry */
};

/* What a node is, apart from its entries; readers look here only behind a skip. */
typedef struct tunnelcap_i_lpm_facts {
    uint64_t key[2];       /* the address bytes above the node, the rest zero */
    uint32_t inherited;    /* value of the longest prefix that holds them, or 0; of a free node:
                              the next one, or 0 */
    uint16_t prefixes;     /* that end in this node */
    uint16_t children;     /* entries that lead to nodes */
    uint8_t inherited_len; /* length + 1 of that prefix; 0: there is none */
    uint8_t depth;         /* which byte of the address it looks at */
    uint8_t zero[6];
} tunnelcap_i_lpm_facts;

/* Where the addresses of a routing instance begin. */
typedef struct tunnelcap_i_lpm_root {
    uint32_t vrf;
    uint32_t prefixes; /* 0: this root is free */
    uint32_t entry[2]; /* by family; with a wide root: value of the default route */
} tunnelcap_i_lpm_root;

/* Numbers; the arrays follow in memory. */
typedef struct tunnelcap_i_lpm_head {
    tunnelcap_i_lpm_root root; /* of routing instance 0 */
    uint32_t used;             /* nodes in use */
    uint32_t drawn;            /* nodes that have been in use: those behind are free */
    uint32_t free;             /* first of the others that are free, + 1; 0: none */
    uint32_t roots;            /* in use, of other routing instances */
} tunnelcap_i_lpm_head;

typedef struct tunnelcap_i_lpm {
    tunnelcap_i_lpm_head *head;
    tunnelcap_i_lpm_root *roots; /* hash: routing instances other than 0 */
    tunnelcap_i_lpm_facts *facts;
    uint32_t *nodes;
    uint32_t *wide; /* both families' wide roots; NULL: there are none */
    uint32_t node_max;
    uint32_t root_max;
    uint32_t root_mask;
} tunnelcap_i_lpm;

/* An address that is looked up. */
typedef struct tunnelcap_i_lpm_query {
    const uint8_t *addr;
    const uint32_t *at; /* the entry that is next */
    uint32_t value; /* the one before that; in the end the value of the longest prefix, 0 if none
                       holds the address */
    uint32_t zero;
} tunnelcap_i_lpm_query;

/* Place the arrays; their memory must be zero. */
void tunnelcap_i_lpm_lay_out(tunnelcap_i_layout *layout, uint32_t nodes, uint32_t vrfs,
                             tunnelcap_i_lpm *lpm);

/* A prefix of a routing instance; the bits behind `len` are zero. */
typedef struct tunnelcap_i_lpm_prefix {
    const uint8_t *bytes; /* 4 or 16 */
    uint32_t family;
    uint32_t vrf;
    uint32_t len;
} tunnelcap_i_lpm_prefix;

/* Whether there are nodes and a root for a prefix that is not there: TUNNELCAP_OK or
 * TUNNELCAP_E_FULL. */
int32_t tunnelcap_i_lpm_room(const tunnelcap_i_lpm *lpm, const tunnelcap_i_lpm_prefix *prefix);

/* Add a prefix that is not there, with a value, not 0. Gives TUNNELCAP_E_FULL, and changes nothing,
 * when there is no room. */
int32_t tunnelcap_i_lpm_add(const tunnelcap_i_lpm *lpm, const tunnelcap_i_lpm_prefix *prefix,
                            uint32_t value);

/* Change the value of a prefix that is there. */
void tunnelcap_i_lpm_change(const tunnelcap_i_lpm *lpm, const tunnelcap_i_lpm_prefix *prefix,
                            uint32_t value);

/* Remove a prefix that is there. The next shorter prefix that holds it has length `cover_len` and
 * the value `cover`; 0 if there is none. */
void tunnelcap_i_lpm_remove(const tunnelcap_i_lpm *lpm, const tunnelcap_i_lpm_prefix *prefix,
                            uint32_t cover, uint32_t cover_len);

/* Look up to TUNNELCAP_I_LPM_BURST addresses up, whose cache misses overlap. */
void tunnelcap_i_lpm_find(const tunnelcap_i_lpm *lpm, tunnelcap_i_lpm_query *queries,
                          uint32_t count);

/* The root of a routing instance other than 0, or the free one where it would be. */
tunnelcap_i_lpm_root *tunnelcap_i_lpm_root_of(const tunnelcap_i_lpm *lpm, uint32_t vrf);

/* Where the addresses of a family begin. */
static inline uint32_t *tunnelcap_i_lpm_wide(const tunnelcap_i_lpm *lpm, uint32_t family)
{
    return lpm->wide + (family == TUNNELCAP_IPV6 ? TUNNELCAP_I_LPM_WIDE : 0);
}

static inline uint32_t tunnelcap_i_lpm_is_node(uint32_t entry)
{
    return entry >> 31;
}

/* Value or node of an entry. */
static inline uint32_t tunnelcap_i_lpm_low(uint32_t entry)
{
    return entry & (((uint32_t)1 << TUNNELCAP_I_LPM_BITS) - 1);
}

/* Go on to a node: its entry is asked for now and read in the next round. */
TUNNELCAP_I_INLINE void tunnelcap_i_lpm_enter(const tunnelcap_i_lpm *lpm,
                                              tunnelcap_i_lpm_query *query, uint32_t entry)
{
    size_t node = tunnelcap_i_lpm_low(entry);

    query->value = entry;
    query->at =
        lpm->nodes + node * TUNNELCAP_I_LPM_NODE + query->addr[entry >> TUNNELCAP_I_LPM_BITS & 15];
    tunnelcap_i_fetch(query->at);
    if (entry & TUNNELCAP_I_LPM_SKIP)
        tunnelcap_i_fetch(&lpm->facts[node]);
}

/* Prepare to look an address up, which must stay where it is. */
TUNNELCAP_I_INLINE void tunnelcap_i_lpm_aim(const tunnelcap_i_lpm *lpm, uint32_t vrf,
                                            uint32_t family, const uint8_t *addr,
                                            tunnelcap_i_lpm_query *query)
{
    query->addr = addr;
    query->value = 0;
    if (vrf != 0)
        query->at = &tunnelcap_i_lpm_root_of(lpm, vrf)->entry[family == TUNNELCAP_IPV6];
    else if (lpm->wide == NULL)
        query->at = &lpm->head->root.entry[family == TUNNELCAP_IPV6];
    else
        query->at = tunnelcap_i_lpm_wide(lpm, family) + tunnelcap_i_load16(addr);
    if (tunnelcap_i_lpm_is_node(*query->at))
        tunnelcap_i_lpm_enter(lpm, query, *query->at);
}

#endif
