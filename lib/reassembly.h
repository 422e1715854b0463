/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The inside of a reassembly object.
 *
 * Implementation notes. A set's bytes lie in cells of 512 bytes, each at its place in the
 * datagram; two 64-bit words for each cell tell which of its 64 units of 8 bytes, the unit of
 * fragment offsets, are there, and at which of them a fragment begins. So nothing is ever
 * searched or sorted: whether a fragment is new, a duplicate or an overlap is seen from the words
 * of the cells that it touches, and a set is complete when as many bytes are there as its last
 * fragment tells. Fragments of Ethernet's size fill such cells to 96 percent and, in larger
 * datagrams, neighbours share those between them; smaller cells would cost more work for each
 * packet, larger ones more memory, and neither would be one word.
 *
 * The first cells of a set are named in the set, the rest in a cell of its own. All links are
 * indices; 0 is none, so that entry 0 of each array is free to be the head of a list. */
#ifndef TUNNELCAP_I_REASSEMBLY_H
#define TUNNELCAP_I_REASSEMBLY_H

#include <tunnelcap/reassembly.h>

#include "flow.h"
#include "object.h"

enum {
    TUNNELCAP_I_CELL = TUNNELCAP_REASSEMBLY_CELL,
    TUNNELCAP_I_FRAGMENT_HEADER = 8,
    TUNNELCAP_I_IP_MAX = 65535,    /* an IPv4 packet, or the payload of an IPv6 one */
    TUNNELCAP_I_UNIT = 8,          /* of fragment offsets */
    TUNNELCAP_I_UNITS = 64,        /* of a cell */
    TUNNELCAP_I_CELLS_DIRECT = 8,  /* named in the set: datagrams of up to 4096 bytes */
    TUNNELCAP_I_CELLS_MAX = 128,   /* of 65535 bytes */
    TUNNELCAP_I_HEADER_INLINE = 60 /* kept in the set: IPv4; IPv6 with 12 bytes to spare */
};

/* What the fragments of a set have in common. Compared as bytes: no padding, unused parts zero. */
typedef struct tunnelcap_i_set_key {
    uint8_t addr[32]; /* source, destination */
    uint32_t vrf;
    uint32_t id;
    uint8_t family;
    uint8_t protocol; /* IPv4 */
    uint8_t zero[2];
} tunnelcap_i_set_key;

/* A packet that is a fragment. Offsets count from its first byte. */
typedef struct tunnelcap_i_fragment {
    const uint8_t *p;
    uint32_t header_len; /* before the data: for IPv6, up to and with the Fragment header */
    uint32_t off;        /* of its data in the datagram */
    uint32_t len;        /* of its data */
    uint32_t next_at;    /* IPv6: where the header before the Fragment header names that one */
    uint32_t more;       /* the M bit */
    uint32_t df;         /* IPv4: the DF bit, else 1 */
    uint32_t bucket;     /* of the set in the hash */
    uint8_t ecn;
    tunnelcap_i_set_key key;
} tunnelcap_i_fragment;

typedef struct tunnelcap_i_set {
    tunnelcap_i_set_key key;
    uint32_t bucket, hash_next;
    uint32_t older, younger;     /* of all sets */
    uint32_t s_older, s_younger; /* of the source's sets */
    uint32_t source;
    uint64_t born_ns;    /* on the object's clock */
    int32_t status;      /* why it was discarded, or TUNNELCAP_OK */
    uint32_t total;      /* bytes of data, once the last fragment has come; else 0 */
    uint32_t top;        /* end of the data of the fragments that others must follow */
    uint32_t got;        /* bytes of data that are there */
    uint32_t cells;      /* that it holds, all kinds */
    uint32_t first_len;  /* data of the first fragment */
    uint16_t header_len; /* of the first fragment; 0: it has not come */
    uint16_t next_at;
    uint8_t ecns;   /* bit n: a fragment has ECN n */
    uint8_t all_df; /* every fragment has DF */
    uint8_t zero[2];
    uint32_t header_cell; /* or 0: the header is inline */
    uint32_t index_cell;  /* names cells from TUNNELCAP_I_CELLS_DIRECT on */
    uint32_t cell[TUNNELCAP_I_CELLS_DIRECT];
    uint8_t header[TUNNELCAP_I_HEADER_INLINE];
} tunnelcap_i_set;

/* Who sends fragments: what may hold a share. */
typedef struct tunnelcap_i_source {
    uint8_t addr[8]; /* IPv4, or the upper half of IPv6 */
    uint32_t vrf;
    uint32_t family; /* 0: this entry is free */
    uint32_t bucket, hash_next;
    uint32_t before, behind;   /* in the list of its class */
    uint32_t oldest, youngest; /* its sets */
    uint32_t sets;
    uint32_t cells;
    uint32_t class_of; /* by what it holds */
} tunnelcap_i_source;

/* What is there of a cell's units. */
typedef struct tunnelcap_i_units {
    uint64_t there;  /* of a free cell: the next free one */
    uint64_t starts; /* a fragment begins here */
} tunnelcap_i_units;

/* Sources by what they hold: four classes for each doubling; class 0 holds a sixteenth or less. */
enum { TUNNELCAP_I_CLASSES = 96 };

struct tunnelcap_reassembly {
    tunnelcap_i_owner owner;
    tunnelcap_i_flow_key key;
    uint64_t clock_ns; /* never goes back */
    uint64_t now_ns;   /* what the caller said last */
    uint64_t timeout_ns;
    uint32_t sets_max;
    uint32_t cells_max;
    uint32_t share_sets;
    uint32_t share_cells;
    uint32_t weight; /* of a set, in cells */
    uint32_t small;  /* weight up to which a source is in class 0 */
    uint32_t hash_mask;
    uint32_t free_set;    /* linked by hash_next */
    uint32_t free_source; /* linked by hash_next */
    uint32_t free_cell;   /* linked by tunnelcap_i_units.there */
    uint32_t sets_used;
    uint32_t sources_used;
    uint32_t cells_used;
    uint32_t class_any[TUNNELCAP_I_CLASSES / 32]; /* bit: the class is not empty */
    uint32_t class_first[TUNNELCAP_I_CLASSES];
    uint32_t class_last[TUNNELCAP_I_CLASSES];
    uint32_t *set_hash;
    uint32_t *source_hash;
    tunnelcap_i_set *sets; /* [0]: younger is the oldest of all, older the youngest */
    tunnelcap_i_source *sources;
    tunnelcap_i_units *units;
    uint8_t *data;
    tunnelcap_reassembly_stats stats;
};

/* ---- reading: reassembly_read.c ---- */

/* TUNNELCAP_OK for a fragment that is right in itself, TUNNELCAP_WHOLE, or why not. */
int32_t tunnelcap_i_fragment_read(const tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                                  tunnelcap_i_fragment *f);

/* ---- memory: reassembly_memory.c ---- */

/* Put all sets, sources and cells on their lists of free ones. */
void tunnelcap_i_reassembly_clear(tunnelcap_reassembly *r);

/* Make the set that a fragment belongs to, empty, at the cost of another one if need be. */
uint32_t tunnelcap_i_set_new(tunnelcap_reassembly *r, const tunnelcap_i_fragment *f);

/* Forget a set. */
void tunnelcap_i_set_drop(tunnelcap_reassembly *r, uint32_t set);

/* Give back a set's memory, and refuse its fragments from now on. */
void tunnelcap_i_set_discard(tunnelcap_reassembly *r, uint32_t set, int32_t status);

/* Make sure that a set can get `count` more cells, at the cost of other sets if need be. 0: it
 * never can. */
uint32_t tunnelcap_i_cells_reserve(tunnelcap_reassembly *r, uint32_t set, uint32_t count);

/* Take a cell that was reserved. */
uint32_t tunnelcap_i_cell_take(tunnelcap_reassembly *r, tunnelcap_i_set *set);

/* Sort a set's source by what it holds now. */
void tunnelcap_i_source_weigh(tunnelcap_reassembly *r, uint32_t source);

/* ---- both ---- */

static inline uint8_t *tunnelcap_i_cell_data(const tunnelcap_reassembly *r, uint32_t cell)
{
    return r->data + (size_t)(cell - 1) * TUNNELCAP_I_CELL;
}

/* Names of cells within a cell. */
static inline uint32_t *tunnelcap_i_cell_index(const tunnelcap_reassembly *r, uint32_t cell)
{
    return (uint32_t *)(void *)tunnelcap_i_cell_data(r, cell);
}

/* The set's cell number n of the datagram, or 0. */
static inline uint32_t tunnelcap_i_cell_at(const tunnelcap_reassembly *r,
                                           const tunnelcap_i_set *set, uint32_t n)
{
    if (n < TUNNELCAP_I_CELLS_DIRECT)
        return set->cell[n];
    if (set->index_cell == 0 || n >= TUNNELCAP_I_CELLS_MAX)
        return 0;
    return tunnelcap_i_cell_index(r, set->index_cell)[n];
}

/* Where the set of a key is in the hash. */
static inline uint32_t tunnelcap_i_set_bucket(const tunnelcap_reassembly *r,
                                              const tunnelcap_i_set_key *key)
{
    const uint8_t *a = key->addr;
    uint64_t hash = tunnelcap_i_word64(a);
    uint64_t rest = (uint64_t)key->vrf << 32 | key->id;

    if (key->family == TUNNELCAP_IPV4) {
        rest ^= (uint64_t)key->protocol << 16; /* behind the 16 bits of the identification */
    } else {
        hash = tunnelcap_i_hash2(r->key, hash, tunnelcap_i_word64(a + 8));
        hash = tunnelcap_i_hash2(r->key, hash ^ tunnelcap_i_word64(a + 16),
                                 tunnelcap_i_word64(a + 24));
    }
    return (uint32_t)tunnelcap_i_hash2(r->key, hash, rest) & r->hash_mask;
}

static inline uint32_t tunnelcap_i_same_set(const tunnelcap_i_set_key *x,
                                            const tunnelcap_i_set_key *y)
{
    const uint8_t *a = x->addr, *b = y->addr;

    if (x->id != y->id || x->vrf != y->vrf || x->family != y->family ||
        x->protocol != y->protocol || tunnelcap_i_word64(a) != tunnelcap_i_word64(b))
        return 0;
    return x->family == TUNNELCAP_IPV4 || memcmp(a + 8, b + 8, 24) == 0;
}

/* The set that a fragment belongs to, or 0. */
static inline uint32_t tunnelcap_i_set_find(const tunnelcap_reassembly *r,
                                            const tunnelcap_i_fragment *f)
{
    uint32_t at = r->set_hash[f->bucket];

    while (at != 0 && !tunnelcap_i_same_set(&r->sets[at].key, &f->key))
        at = r->sets[at].hash_next;
    return at;
}

/* The end of the data that is there. */
static inline uint32_t tunnelcap_i_set_end(const tunnelcap_i_set *set)
{
    return set->top > set->total ? set->top : set->total;
}

/* What the object's clock shows when the caller's shows now_ns. Where the caller's jumps back it
 * stands still for that call, and then goes on by what the caller's does. */
static inline uint64_t tunnelcap_i_reassembly_clock(const tunnelcap_reassembly *r, uint64_t now_ns)
{
    return now_ns > r->now_ns ? r->clock_ns + (now_ns - r->now_ns) : r->clock_ns;
}

/* 1 if a set has waited for too long at a time on the object's clock. */
static inline uint32_t tunnelcap_i_set_due(const tunnelcap_reassembly *r, uint32_t set,
                                           uint64_t clock_ns)
{
    return clock_ns - r->sets[set].born_ns >= r->timeout_ns;
}

#endif
