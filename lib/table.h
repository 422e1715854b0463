/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The inside of a table.
 *
 * Implementation notes. What lanes read is a view: hashes of tunnels and routes, all indices, no
 * pointers. There are two views, alike but for the change under way. The writer changes the one
 * that no lane reads, notes each operation in a log, and publishes it with one store; once no lane
 * is inside a burst that began before, the operations of the log are done again on the other view.
 * So an operation must do the same to views that are alike. A change of more operations than the
 * log holds, or one that is given up, costs a copy of the whole view instead.
 *
 * A tunnel has a place, the same for its whole life, which its counters, sequence numbers and
 * routes refer to; the place names the slot of the tunnel's present configuration. There are more
 * places and slots than tunnels, so that some can be replaced while lanes still use the old ones.
 *
 * What nearly every packet counts is one line of memory for each lane and place. All else is rare
 * and counted in details, which a lane takes from a pool of its own when a place first needs
 * them; detail 0 counts for packets without a tunnel, and for places that came too late. */
#ifndef TUNNELCAP_I_TABLE_H
#define TUNNELCAP_I_TABLE_H

#include <tunnelcap/icmp.h>
#include <tunnelcap/table.h>
#include <tunnelcap/table_path.h>
#include <tunnelcap/table_routes.h>
#include <tunnelcap/table_sas.h>
#include <tunnelcap/table_tunnels.h>

#include "atomic.h"
#include "esp.h"
#include "gre.h"
#include "ipip.h"
#include "mss.h"
#include "pmtu.h"
#include "routes.h"
#include "table_history.h"
#include "table_watch.h"

/* How outer packets find a GRE or IP-in-IP tunnel; ESP tunnels are found by their SAs and have
 * their id here instead. Compared and hashed as bytes: no padding, unused parts zero. */
typedef struct tunnelcap_i_key {
    uint8_t addr[32]; /* remote, local */
    uint32_t outer_vrf;
    uint32_t key;
    uint16_t udp_port; /* 0: not in UDP */
    uint8_t kind;
    uint8_t family;
    uint8_t keyed;
    uint8_t zero[3];
} tunnelcap_i_key;

/* What is known of a path: found again by what it depends upon when its tunnel is replaced. */
typedef struct tunnelcap_i_path_key {
    uint8_t match[32]; /* addresses, as in tunnelcap_i_outer */
    uint32_t outer_vrf;
    uint32_t link;
    uint32_t floor;
    uint8_t family;
    uint8_t mode;
    uint8_t zero[2];
} tunnelcap_i_path_key;

typedef struct tunnelcap_i_path {
    struct tunnelcap_pmtu pmtu;
    tunnelcap_i_path_key key;
    uint32_t seeded; /* writer: the tokens of its probes have a key of a lane's */
} tunnelcap_i_path;

/* What the caller has given and not left to the path. */
enum {
    TUNNELCAP_I_GIVEN_LIMIT4 = 1,
    TUNNELCAP_I_GIVEN_LIMIT6 = 2,
    TUNNELCAP_I_GIVEN_MTU = 4,
    TUNNELCAP_I_GIVEN_PATH_MTU = 8,
    TUNNELCAP_I_GIVEN_MODE_AT = 4 /* from this bit on: TUNNELCAP_PMTU_ */
};

/* One configuration of a tunnel; what finds it and nearly every packet needs comes first. */
typedef struct tunnelcap_i_tunnel {
    tunnelcap_i_key key;
    uint64_t id;
    uint32_t place;
    uint32_t flags;
    uint32_t vrf;
    uint32_t link;     /* path MTU to begin with; `mtu` and `mss` are for it */
    uint32_t mtu;      /* inner MTU for it */
    uint32_t mtu_max;  /* inner MTU for any */
    uint32_t headroom; /* that encapsulation needs, with what the clamp may insert before */
    uint32_t icmp_rate;
    tunnelcap_i_path *path; /* NULL: fixed, or an ESP tunnel without outbound SA */
    tunnelcap_esp *sa;      /* what a tunnel in ESP sends by; NULL: nothing */
    tunnelcap_i_mss mss;
    tunnelcap_addr interface4, interface6, probe;
    uint16_t path_floor; /* as it was given */
    uint8_t fragment_mode;
    uint8_t given; /* TUNNELCAP_I_GIVEN_, and the path's mode */
    union {
        tunnelcap_gre gre;
        tunnelcap_ipip ipip;
        struct {
            tunnelcap_i_outer outer; /* that of `sa`, to where the far end is now */
            uint32_t known;          /* 1: the far end is known */
        } esp;
    } as;
} tunnelcap_i_tunnel;

/* An SA of a tunnel, and all that finds it; state is 0 where the entry is free. */
typedef struct tunnelcap_i_sa {
    tunnelcap_esp *esp; /* NULL: dead */
    union {
        uint64_t until_ns; /* DRAINING: 0 or when it ends */
        struct {
            uint32_t before, behind; /* DEAD: the line that they stand in, entries + 1 */
        } dead;
    } as;
    uint8_t local[16]; /* address that it answers at */
    uint32_t outer_vrf;
    uint32_t place;
    uint32_t spi;
    uint32_t next;  /* entry + 1 of the next one in its chain, or of the free ones */
    uint32_t owner; /* the server that receives by it; 0: this one */
    uint8_t family; /* of local; 0: it answers at any */
    uint8_t direction;
    uint8_t state; /* TUNNELCAP_SA_ */
    uint8_t reserved;
} tunnelcap_i_sa;

/* Numbers of a view; its arrays follow in memory (see tunnelcap_i_view). Entries of the hashes
 * are indices + 1; 0 is empty. */
typedef struct tunnelcap_i_view_head {
    uint32_t tunnel_count;
    uint32_t sa_count;    /* entries of `sas` that are not free, */
    uint32_t sa_in_count; /* the inbound ones among them, */
    uint32_t dead_count;  /* and the dead ones, */
    uint32_t dead_first;  /* of which this is the oldest (entry + 1) */
    uint32_t dead_last;
    uint32_t sa_free; /* first free entry + 1, or 0 */
    uint32_t sa_used; /* entries that are or were in use */
} tunnelcap_i_view_head;

typedef struct tunnelcap_i_view {
    tunnelcap_i_view_head *head;
    uint32_t *slot_of;   /* by place: slot + 1, or 0 */
    uint32_t *by_key;    /* hash: slots, with some bits of the hash (see tunnelcap_i_key_entry) */
    uint32_t *by_id;     /* hash: places */
    uint32_t *by_pair;   /* hash: first place of each pair of outer addresses */
    uint32_t *pair_next; /* by place: place + 1 of the next one of its pair, or 0 */
    tunnelcap_i_routes routes;
    uint32_t *by_spi;   /* hash: inbound entries of sas */
    uint32_t *sa_chain; /* by hash of the place: first entry of sas */
    tunnelcap_i_sa *sas;
} tunnelcap_i_view;

/* The statuses that the data path drops packets with: three classes, and two single ones. */
enum {
    TUNNELCAP_I_REASONS_DROP = 31,
    TUNNELCAP_I_REASONS_ROOM = 7,
    TUNNELCAP_I_REASONS_REKEY = 7,
    TUNNELCAP_I_REASON_CRYPTO =
        TUNNELCAP_I_REASONS_DROP + TUNNELCAP_I_REASONS_ROOM + TUNNELCAP_I_REASONS_REKEY,
    TUNNELCAP_I_REASON_INVALID,
    TUNNELCAP_I_REASONS
};

/* What a lane counts of a place, by direction: one line of memory. */
typedef struct tunnelcap_i_counters {
    struct {
        tunnelcap_i_atomic64 packets, inner_bytes, outer_bytes;
    } of[2];
    tunnelcap_i_atomic32 detail; /* index of its tunnelcap_i_detail; 0: it has none */
    uint8_t pad[12];
} tunnelcap_i_counters;

/* What it rarely counts. */
typedef struct tunnelcap_i_rare {
    tunnelcap_i_atomic64 replied, refused, clamped, kept, local;
    tunnelcap_i_atomic64 fragments, reassembled, icmp_sent, icmp_received;
    tunnelcap_i_atomic64 reasons[TUNNELCAP_I_REASONS];
} tunnelcap_i_rare;

typedef struct tunnelcap_i_detail {
    tunnelcap_i_rare of[2];
    tunnelcap_icmp_limit limit; /* of ICMP errors into and out of the tunnel */
} tunnelcap_i_detail;

/* What a table knows of a lane, on a cache line of its own. */
typedef struct tunnelcap_i_seat {
    tunnelcap_i_atomic64 seen; /* generation of the burst under way; 0: none */
    tunnelcap_lane *lane;
    uint32_t details; /* the lane's: taken so far */
    uint8_t pad[44];
} tunnelcap_i_seat;

/* Indices that are free, the next one last. */
typedef struct tunnelcap_i_stock {
    uint32_t *free;
    uint32_t count;
} tunnelcap_i_stock;

/* What has been done to a view. */
enum {
    TUNNELCAP_I_OP_NONE = 0,
    TUNNELCAP_I_OP_LINK = 1,   /* a tunnel, in place of what was there */
    TUNNELCAP_I_OP_REMOVE = 2, /* a tunnel, its routes and SAs */
    TUNNELCAP_I_OP_SET_ROUTE = 3,
    TUNNELCAP_I_OP_REMOVE_ROUTE = 4,
    TUNNELCAP_I_OP_SET_SA = 5,
    TUNNELCAP_I_OP_REMOVE_SA = 6,
    TUNNELCAP_I_OP_DROP = 7,    /* the routes and SAs of a place whose tunnel came and went */
    TUNNELCAP_I_OP_PENALIZE = 8 /* the routes of a place */
};

/* Instead of an operation that linked a place: two did, as tunnels of different kinds; or the log
 * was full. */
#define TUNNELCAP_I_TWICE    (UINT32_MAX - 1)
#define TUNNELCAP_I_UNLOGGED UINT32_MAX

typedef struct tunnelcap_i_op {
    uint32_t kind; /* TUNNELCAP_I_OP_ */
    uint32_t place;
    uint32_t slot; /* LINK */
    union {
        tunnelcap_route route;
        tunnelcap_i_sa sa;
        uint32_t penalty;
    } as;
} tunnelcap_i_op;

/* Where the writer's list of tunnels was left: what comes next, and from which place on. */
typedef struct tunnelcap_i_list {
    uint32_t index;
    uint32_t place;
} tunnelcap_i_list;

struct tunnelcap_table {
    tunnelcap_i_owner owner;
    tunnelcap_i_flow_key flow_key;   /* chooses among equal routes */
    tunnelcap_i_flow_key hash_key;   /* spreads the hashes */
    tunnelcap_i_atomic64 generation; /* of the current view, stored after it */
    tunnelcap_i_atomic32 current;    /* index of the view that lanes use */
    uint32_t in_change;
    uint32_t tunnels; /* capacities */
    uint32_t lanes;
    uint32_t places;     /* tunnels + slack; place `places` counts packets without a tunnel */
    uint32_t slot_count; /* one more: a tunnel is built before another one is given up */
    uint32_t path_count;
    uint32_t details;     /* of each lane */
    uint32_t tunnel_mask; /* of by_key and by_id */
    uint32_t sas;         /* capacity */
    uint32_t sa_mask;     /* of by_spi */
    uint32_t tick_place;  /* writer: where the next tick goes on */
    uint32_t probes;      /* writer: sent so far */
    tunnelcap_i_list list;
    uint32_t log_cap;
    uint32_t log_count; /* writer: operations that the other view lacks; above log_cap: too many */
    tunnelcap_i_op *log;
    uint32_t *linked; /* writer: by place, the operation + 1 that linked it in this change, or: */
    size_t view_size;
    tunnelcap_i_view views[2];
    tunnelcap_i_seat *seats;
    tunnelcap_i_tunnel *slots;
    tunnelcap_i_path *paths;
    tunnelcap_i_gre_state *gre_states; /* by place */
    tunnelcap_i_stock free_places;     /* writer */
    tunnelcap_i_stock free_slots;      /* writer */
    tunnelcap_i_stock free_paths;      /* writer */
    tunnelcap_i_counters *counters;    /* by lane and place */
    tunnelcap_i_detail *detail;        /* by lane and index */
    tunnelcap_i_watching watching;
    tunnelcap_i_histories histories;
};

/* The index of a status among the reasons. */
static inline uint32_t tunnelcap_i_reason_index(int32_t status)
{
    if (status > -200)
        return (uint32_t)(-101 - status);
    if (status > -300)
        return TUNNELCAP_I_REASONS_DROP + (uint32_t)(-201 - status);
    if (status > -400)
        return TUNNELCAP_I_REASONS_DROP + TUNNELCAP_I_REASONS_ROOM + (uint32_t)(-301 - status);
    return status == TUNNELCAP_E_CRYPTO ? TUNNELCAP_I_REASON_CRYPTO : TUNNELCAP_I_REASON_INVALID;
}

/* 1 for the statuses that the data path drops a packet with. */
static inline uint32_t tunnelcap_i_is_reason(int32_t status)
{
    return (status < -100 && status > -400) || status == TUNNELCAP_E_INVALID ||
           status == TUNNELCAP_E_CRYPTO;
}

static inline tunnelcap_i_counters *tunnelcap_i_counters_at(const tunnelcap_table *table,
                                                            uint32_t lane, uint32_t place)
{
    return &table->counters[(size_t)lane * (table->places + 1) + place];
}

static inline tunnelcap_i_detail *tunnelcap_i_detail_at(const tunnelcap_table *table, uint32_t lane,
                                                        uint32_t index)
{
    return &table->detail[(size_t)lane * table->details + index];
}

static inline const tunnelcap_i_view *tunnelcap_i_current(const tunnelcap_table *table)
{
    return &table->views[TUNNELCAP_I_LOAD_SEQ(((tunnelcap_table *)(uintptr_t)table)->current)];
}

static inline tunnelcap_i_tunnel *
tunnelcap_i_tunnel_in(const tunnelcap_table *table, const tunnelcap_i_view *view, uint32_t place)
{
    return &table->slots[view->slot_of[place] - 1];
}

/* NULL for an ESP tunnel without outbound SA, or whose far end is not known. */
static inline const tunnelcap_i_outer *tunnelcap_i_tunnel_outer(const tunnelcap_i_tunnel *tunnel)
{
    if (tunnel->key.kind == TUNNELCAP_KIND_GRE)
        return &tunnel->as.gre.outer;
    if (tunnel->key.kind == TUNNELCAP_KIND_IPIP)
        return &tunnel->as.ipip.outer;
    return tunnel->sa == NULL || !tunnel->as.esp.known ? NULL : &tunnel->as.esp.outer;
}

static inline uint32_t tunnelcap_i_key_hash(const tunnelcap_table *table,
                                            const tunnelcap_i_key *key)
{
    const uint8_t *p = (const uint8_t *)key;
    uint64_t x = tunnelcap_i_word64(p);
    uint64_t y = tunnelcap_i_word64(p + 32) ^ table->hash_key.b;

    if (key->family == TUNNELCAP_IPV6) {
        x ^= tunnelcap_i_hash2(table->hash_key, tunnelcap_i_word64(p + 8),
                               tunnelcap_i_word64(p + 16));
        y ^= tunnelcap_i_mix(tunnelcap_i_word64(p + 24) ^ table->hash_key.a, table->hash_key.b | 1);
    }
    x = tunnelcap_i_mix(x ^ table->hash_key.a, y);
    return (uint32_t)tunnelcap_i_mix(x ^ tunnelcap_i_word64(p + 40), table->hash_key.b | 1);
}

/* Hash of a tunnel's outer VRF and addresses; `match` is as in tunnelcap_i_outer. */
static inline uint32_t tunnelcap_i_pair_hash(const tunnelcap_table *table, uint32_t outer_vrf,
                                             uint32_t family, const uint8_t *match)
{
    uint64_t h =
        tunnelcap_i_hash2(table->hash_key, tunnelcap_i_word64(match), (uint64_t)outer_vrf << 8);

    if (family == TUNNELCAP_IPV6)
        h = tunnelcap_i_hash2(table->hash_key, tunnelcap_i_word64(match + 8) ^ h,
                              tunnelcap_i_word64(match + 16) ^ tunnelcap_i_word64(match + 24));
    return (uint32_t)h;
}

static inline uint32_t tunnelcap_i_id_hash(const tunnelcap_table *table, uint64_t id)
{
    return (uint32_t)tunnelcap_i_hash2(table->hash_key, id, 0);
}

/* Entries of by_key hold a slot + 1 and the hash's upper bits, so that few slots are looked at in
 * vain. */
enum { TUNNELCAP_I_SLOT_BITS = 22, TUNNELCAP_I_SLOT_MASK = (1 << TUNNELCAP_I_SLOT_BITS) - 1 };

static inline uint32_t tunnelcap_i_key_entry(uint32_t slot, uint32_t hash)
{
    return (slot + 1) | (hash & ~(uint32_t)TUNNELCAP_I_SLOT_MASK);
}

/* Find a tunnel by its outer key, whose hash is given; NULL if there is none. */
static inline tunnelcap_i_tunnel *tunnelcap_i_find_key(const tunnelcap_table *table,
                                                       const tunnelcap_i_view *view,
                                                       const tunnelcap_i_key *key, uint32_t hash)
{
    uint32_t at = hash & table->tunnel_mask;
    tunnelcap_i_tunnel *tunnel;
    uint32_t entry;

    for (; (entry = view->by_key[at]) != 0; at = (at + 1) & table->tunnel_mask) {
        if ((entry ^ hash) >> TUNNELCAP_I_SLOT_BITS)
            continue;
        tunnel = &table->slots[(entry & TUNNELCAP_I_SLOT_MASK) - 1];
        if (memcmp(&tunnel->key, key, sizeof(*key)) == 0)
            return tunnel;
    }
    return NULL;
}

/* A question for tunnelcap_i_find_keys(), and its answer. */
typedef struct tunnelcap_i_find {
    const tunnelcap_i_key *key; /* NULL: none */
    tunnelcap_i_tunnel *tunnel; /* or NULL */
    uint32_t hash;
} tunnelcap_i_find;

/* Let the entry of a key's hash come. */
static inline void tunnelcap_i_find_aim(const tunnelcap_table *table, const tunnelcap_i_view *view,
                                        const tunnelcap_i_key *key, tunnelcap_i_find *find)
{
    find->key = key;
    find->hash = tunnelcap_i_key_hash(table, key);
    tunnelcap_i_fetch(&view->by_key[find->hash & table->tunnel_mask]);
}

/* Find the tunnels of keys that have been aimed at; while one comes out of memory, so do the
 * others. Nearly all are what the first entry names. */
static inline void tunnelcap_i_find_keys(const tunnelcap_table *table, const tunnelcap_i_view *view,
                                         tunnelcap_i_find *finds, uint32_t count)
{
    tunnelcap_i_find *find;
    uint32_t entry;

    for (uint32_t i = 0; i < count; i++) {
        find = &finds[i];
        find->tunnel = NULL;
        entry = find->key == NULL ? 0 : view->by_key[find->hash & table->tunnel_mask];
        if (entry == 0)
            continue;
        find->tunnel = &table->slots[(entry & TUNNELCAP_I_SLOT_MASK) - 1];
        tunnelcap_i_fetch(&find->tunnel->key);
        tunnelcap_i_fetch((const uint8_t *)&find->tunnel->key + sizeof(find->tunnel->key));
    }
    for (uint32_t i = 0; i < count; i++) {
        find = &finds[i];
        if (find->tunnel != NULL && memcmp(&find->tunnel->key, find->key, sizeof(*find->key)) != 0)
            find->tunnel = tunnelcap_i_find_key(table, view, find->key, find->hash);
    }
}

/* Find a tunnel's place + 1 by its id; 0 if there is none. */
uint32_t tunnelcap_i_find_id(const tunnelcap_table *table, const tunnelcap_i_view *view,
                             uint64_t id);

/* Find the tunnels between two outer addresses: place + 1 of the first, which pair_next goes on
 * from; 0 if there are none. ESP tunnels are among them by the addresses of the outbound SA. */
uint32_t tunnelcap_i_find_pair(const tunnelcap_table *table, const tunnelcap_i_view *view,
                               uint32_t outer_vrf, uint32_t family, const uint8_t *match);

/* Add a tunnel to that list, and take it out, in the view under change. */
void tunnelcap_i_pair_link(const tunnelcap_table *table, const tunnelcap_i_view *view,
                           uint32_t place);
void tunnelcap_i_pair_unlink(const tunnelcap_table *table, const tunnelcap_i_view *view,
                             uint32_t place);

/* Read what the table is to do for a tunnel; NULL gives the defaults. */
int32_t tunnelcap_i_policy_read(tunnelcap_tunnel *own, const tunnelcap_tunnel *tunnel);

/* Fill what follows from it in a slot whose `as` and `key` are set. Its path is that of `before`,
 * the tunnel that it replaces, where that goes on, or is made in `fresh`; NULL for that gives
 * TUNNELCAP_E_FULL where one is needed. */
int32_t tunnelcap_i_policy_set(tunnelcap_i_tunnel *slot, const tunnelcap_tunnel *policy,
                               const tunnelcap_i_tunnel *before, tunnelcap_i_path *fresh,
                               uint64_t secret);

/* What a slot was filled from. */
void tunnelcap_i_policy_recall(const tunnelcap_i_tunnel *slot, tunnelcap_tunnel *policy);

/* Set a tunnel of the view under change anew, to send by an SA, or by none; with `peer`, to another
 * address, and port where it is not 0. */
int32_t tunnelcap_i_tunnel_send_by(tunnelcap_table *table, const tunnelcap_i_tunnel *tunnel,
                                   tunnelcap_esp *sa, const tunnelcap_addr *peer, uint16_t port);

/* What fits a path of an MTU; the largest inner packet then, which may be less; and the clamp for
 * that. */
uint32_t tunnelcap_i_tunnel_fits(const tunnelcap_i_tunnel *tunnel, uint32_t path_mtu);
/* Length of what a tunnel makes of an inner packet; 0 if IP cannot carry it. */
uint32_t tunnelcap_i_tunnel_len(const tunnelcap_i_tunnel *tunnel, uint32_t inner_len);
uint32_t tunnelcap_i_tunnel_mtu(const tunnelcap_i_tunnel *tunnel, uint32_t path_mtu);
void tunnelcap_i_tunnel_mss(const tunnelcap_i_tunnel *tunnel, uint32_t mtu, tunnelcap_i_mss *mss);

/* 1 if a tunnel is GRE in ESP. */
static inline uint32_t tunnelcap_i_is_gre_esp(const tunnelcap_i_tunnel *tunnel)
{
    return tunnel->key.kind == TUNNELCAP_KIND_GRE &&
           (tunnel->as.gre.flags & TUNNELCAP_I_GRE_IN_ESP) != 0;
}

/* 1 if a tunnel has SAs. */
static inline uint32_t tunnelcap_i_has_sas(const tunnelcap_i_tunnel *tunnel)
{
    return tunnel->key.kind == TUNNELCAP_KIND_ESP || tunnelcap_i_is_gre_esp(tunnel);
}

/* The headers that the SA of a tunnel sends with. */
static inline const tunnelcap_i_outer *tunnelcap_i_sa_outer(const tunnelcap_i_tunnel *tunnel)
{
    return tunnel->key.kind == TUNNELCAP_KIND_ESP ? &tunnel->as.esp.outer : &tunnel->sa->outer;
}

/* 1 if a tunnel in ESP cannot send: for want of an SA, or of knowing where to. */
static inline uint32_t tunnelcap_i_needs_sa(const tunnelcap_i_tunnel *tunnel)
{
    if (tunnel->key.kind == TUNNELCAP_KIND_ESP)
        return tunnel->sa == NULL || !tunnel->as.esp.known;
    return tunnel->sa == NULL && tunnelcap_i_is_gre_esp(tunnel);
}

/* Find an inbound SA of a view, dead ones included, by what an outer packet says; NULL if there is
 * none. */
const tunnelcap_i_sa *tunnelcap_i_find_sa(const tunnelcap_table *table,
                                          const tunnelcap_i_view *view, uint32_t outer_vrf,
                                          uint32_t spi, uint32_t family, const uint8_t *dst);

/* The SAs of a place: index + 1 of the first for 0, of the next one for another; 0 at the end. */
uint32_t tunnelcap_i_sa_next(const tunnelcap_table *table, const tunnelcap_i_view *view,
                             uint32_t place, uint32_t entry);

/* Remove all SAs of a place from a view. */
void tunnelcap_i_sas_drop(tunnelcap_table *table, const tunnelcap_i_view *view, uint32_t place);

/* Set, in the change under way, what is added to the priorities of a tunnel's routes. It lasts
 * until it is set anew or the tunnel is removed. */
void tunnelcap_i_penalize(tunnelcap_table *table, uint32_t place, uint32_t penalty);

/* What that is in a view. */
static inline uint32_t tunnelcap_i_penalty_at(const tunnelcap_i_view *view, uint32_t place)
{
    return view->routes.penalties[place] * (uint32_t)TUNNELCAP_I_PENALTY_STEP;
}

/* Do to a view what has been checked before. */
void tunnelcap_i_link(tunnelcap_table *table, const tunnelcap_i_view *view, uint32_t place,
                      uint32_t slot);
void tunnelcap_i_unlink(tunnelcap_table *table, const tunnelcap_i_view *view, uint32_t place);
void tunnelcap_i_sa_set(tunnelcap_table *table, const tunnelcap_i_view *view,
                        const tunnelcap_i_sa *sa);
void tunnelcap_i_sa_unset(tunnelcap_table *table, const tunnelcap_i_view *view,
                          const tunnelcap_i_sa *sa);

/* Fill the stocks with what the current view does not use. */
void tunnelcap_i_restock(tunnelcap_table *table);

/* Do an operation to the view under change, and note it for the other one. */
void tunnelcap_i_do(tunnelcap_table *table, const tunnelcap_i_op *op);

/* Give back a tunnel's slot, and its path where neither of two others uses it, which may be
 * NULL. */
void tunnelcap_i_slot_free(tunnelcap_table *table, uint32_t slot, const tunnelcap_i_tunnel *other,
                           const tunnelcap_i_tunnel *another);

/* The view under change. */
static inline const tunnelcap_i_view *tunnelcap_i_changing(const tunnelcap_table *table)
{
    return &table->views[1 - TUNNELCAP_I_LOAD(((tunnelcap_table *)(uintptr_t)table)->current)];
}

/* Empty entry `at` of an open-addressed hash and close the gap: entries that were pushed past it
 * move back. home_of() tells where an entry would stand in an empty hash. */
typedef uint32_t tunnelcap_i_home(const tunnelcap_table *table, const tunnelcap_i_view *view,
                                  uint32_t entry);
void tunnelcap_i_hash_remove(const tunnelcap_table *table, const tunnelcap_i_view *view,
                             uint32_t *hash, uint32_t mask, uint32_t at, tunnelcap_i_home *home_of);

#endif
