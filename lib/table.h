/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The inside of a table.
 *
 * Implementation notes. What lanes read is a view: hashes of tunnels and routes, all indices, no
 * pointers. There are two views. The writer copies the current one, changes the copy, and
 * publishes it with one store; the other is free again once no lane is inside a burst that began
 * before. A tunnel has a place, the same for its whole life, which its counters, sequence numbers
 * and routes refer to; the place names the slot of the tunnel's present configuration. There are
 * twice as many places and slots as tunnels, so that all can be replaced at once while lanes
 * still use the old ones. */
#ifndef TUNNELCAP_I_TABLE_H
#define TUNNELCAP_I_TABLE_H

#include <tunnelcap/icmp.h>
#include <tunnelcap/table.h>

#include "atomic.h"
#include "esp.h"
#include "gre.h"
#include "ipip.h"
#include "mss.h"
#include "pmtu.h"

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

/* One configuration of a tunnel. */
typedef struct tunnelcap_i_tunnel {
    uint64_t id;
    tunnelcap_i_key key;
    uint32_t flags;
    uint32_t vrf;
    uint32_t link;     /* path MTU to begin with; `mtu` and `mss` are for it */
    uint32_t mtu;      /* inner MTU for it */
    uint32_t mtu_max;  /* inner MTU for any */
    uint32_t headroom; /* that encapsulation needs, with what the clamp may insert before */
    uint32_t place;
    uint32_t icmp_rate;
    uint8_t fragment_mode;
    tunnelcap_i_mss mss;
    tunnelcap_i_path *path; /* NULL: an ESP tunnel without outbound SA */
    tunnelcap_addr interface4, interface6, probe;
    union {
        tunnelcap_gre gre;
        tunnelcap_ipip ipip;
        tunnelcap_esp *esp; /* outbound SA, or NULL */
    } as;
} tunnelcap_i_tunnel;

/* A route; those of one prefix form a list, by priority and then by tunnel id, so that every
 * server of a fleet has them in the same order. */
typedef struct tunnelcap_i_route {
    uint8_t prefix[16];
    uint64_t tunnel;
    uint32_t vrf;
    uint32_t priority;
    uint32_t place;
    uint32_t next; /* index + 1 */
    uint16_t weight;
    uint8_t len;
    uint8_t family; /* 0: this entry is free */
} tunnelcap_i_route;

/* An inbound SA; esp is NULL where the entry is free. */
typedef struct tunnelcap_i_sa {
    tunnelcap_esp *esp;
    uint32_t outer_vrf;
    uint32_t place;
} tunnelcap_i_sa;

enum { TUNNELCAP_I_LENGTHS = 129, TUNNELCAP_I_LENGTH_SETS = (TUNNELCAP_I_LENGTHS + 31) / 32 };

/* Numbers of a view; its arrays follow in memory (see tunnelcap_i_view). Entries of the hashes
 * are indices + 1; 0 is empty. */
typedef struct tunnelcap_i_view_head {
    uint32_t tunnel_count;
    uint32_t route_count;
    uint32_t sa_count;
    uint32_t sa_hint;                          /* no entry of `sas` before this one is free */
    uint32_t free_hint;                        /* no entry of `routes` before this one is free */
    uint32_t lengths[2][TUNNELCAP_I_LENGTHS];  /* routes by family and prefix length */
    uint32_t used[2][TUNNELCAP_I_LENGTH_SETS]; /* bits of those lengths that there are */
} tunnelcap_i_view_head;

typedef struct tunnelcap_i_view {
    tunnelcap_i_view_head *head;
    uint32_t *slot_of;   /* by place: slot + 1, or 0 */
    uint32_t *by_key;    /* hash: places */
    uint32_t *by_id;     /* hash: places */
    uint32_t *by_pair;   /* hash: first place of each pair of outer addresses */
    uint32_t *pair_next; /* by place: place + 1 of the next one of its pair, or 0 */
    uint32_t *by_prefix; /* hash: first route of each prefix */
    tunnelcap_i_route *routes;
    uint32_t *by_spi; /* hash: entries of sas */
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

typedef struct tunnelcap_i_counters {
    tunnelcap_i_atomic64 packets, inner_bytes, outer_bytes, replied, refused, clamped;
    tunnelcap_i_atomic64 kept, local, fragments, reassembled, icmp_sent, icmp_received;
    tunnelcap_i_atomic64 reasons[TUNNELCAP_I_REASONS];
} tunnelcap_i_counters;

/* What a table knows of a lane, on a cache line of its own. */
typedef struct tunnelcap_i_seat {
    tunnelcap_i_atomic64 seen; /* generation of the burst under way; 0: none */
    tunnelcap_lane *lane;
    uint8_t pad[48];
} tunnelcap_i_seat;

/* What lanes have told of a place's SAs: the SPI that a soft limit was last announced of, by
 * direction. */
typedef struct tunnelcap_i_told {
    tunnelcap_i_atomic32 rekey[2];
} tunnelcap_i_told;

/* Who uses a place, a slot or a path: the current view, or only the one under change. */
enum { TUNNELCAP_I_USED_OLD = 1, TUNNELCAP_I_USED_NEW = 2 };

struct tunnelcap_table {
    tunnelcap_i_owner owner;
    tunnelcap_i_flow_key flow_key;   /* chooses among equal routes */
    tunnelcap_i_flow_key hash_key;   /* spreads the hashes */
    tunnelcap_i_atomic64 generation; /* of the current view, stored after it */
    tunnelcap_i_atomic32 current;    /* index of the view that lanes use */
    uint32_t in_change;
    uint32_t tunnels; /* capacities */
    uint32_t routes;
    uint32_t lanes;
    uint32_t places;      /* 2 * tunnels; place `places` counts packets without a tunnel */
    uint32_t tunnel_mask; /* of by_key and by_id */
    uint32_t route_mask;  /* of by_prefix */
    uint32_t sas;         /* capacity */
    uint32_t sa_mask;     /* of by_spi */
    uint32_t place_hint;  /* writer: no place before this one is free */
    uint32_t slot_hint;   /* writer: no slot before this one is free */
    uint32_t path_hint;   /* writer: no path before this one is free */
    uint32_t tick_place;  /* writer: where the next tick goes on */
    uint32_t probes;      /* writer: sent so far */
    size_t view_size;
    tunnelcap_i_view views[2];
    tunnelcap_i_seat *seats;
    tunnelcap_i_tunnel *slots;
    tunnelcap_i_path *paths;
    tunnelcap_i_gre_state *gre_states; /* by place */
    tunnelcap_i_told *told;            /* by place */
    uint8_t *place_used;               /* writer: by place, TUNNELCAP_I_USED_ or 0 */
    uint8_t *slot_used;                /* writer: by slot, the same */
    uint8_t *path_used;                /* writer: by path, the same */
    tunnelcap_i_counters *counters;    /* by lane, place and direction */
    tunnelcap_icmp_limit *limits;      /* by lane and place */
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
                                                            uint32_t lane, uint32_t place,
                                                            uint32_t direction)
{
    return &table->counters[((size_t)lane * (table->places + 1) + place) * 2 + direction];
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

/* NULL for an ESP tunnel without outbound SA. */
static inline const tunnelcap_i_outer *tunnelcap_i_tunnel_outer(const tunnelcap_i_tunnel *tunnel)
{
    if (tunnel->key.kind == TUNNELCAP_KIND_GRE)
        return &tunnel->as.gre.outer;
    if (tunnel->key.kind == TUNNELCAP_KIND_IPIP)
        return &tunnel->as.ipip.outer;
    return tunnel->as.esp == NULL ? NULL : &tunnel->as.esp->outer;
}

static inline uint32_t tunnelcap_i_key_hash(const tunnelcap_table *table,
                                            const tunnelcap_i_key *key)
{
    const uint8_t *p = (const uint8_t *)key;
    uint64_t h =
        tunnelcap_i_hash2(table->hash_key, tunnelcap_i_word64(p), tunnelcap_i_word64(p + 32));

    h ^= tunnelcap_i_word64(p + 40);
    if (key->family == TUNNELCAP_IPV6)
        h = tunnelcap_i_hash2(table->hash_key, tunnelcap_i_word64(p + 8) ^ h,
                              tunnelcap_i_word64(p + 16) ^ tunnelcap_i_word64(p + 24));
    return (uint32_t)tunnelcap_i_mix(h, table->hash_key.b | 1);
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

/* The first `len` bits of an address, the rest zero. */
static inline void tunnelcap_i_prefix_cut(uint8_t out[16], const uint8_t *addr, uint32_t bytes,
                                          uint32_t len)
{
    memset(out, 0, 16);
    memcpy(out, addr, len / 8);
    if (len / 8 < bytes)
        out[len / 8] = (uint8_t)(addr[len / 8] & (0xff00 >> len % 8));
}

static inline uint32_t tunnelcap_i_prefix_hash(const tunnelcap_table *table, uint32_t vrf,
                                               uint32_t family, uint32_t len,
                                               const uint8_t prefix[16])
{
    uint64_t h = tunnelcap_i_hash2(table->hash_key, tunnelcap_i_word64(prefix),
                                   (uint64_t)vrf << 32 | family << 8 | len);

    if (family == TUNNELCAP_IPV6)
        h = tunnelcap_i_hash2(table->hash_key, h, tunnelcap_i_word64(prefix + 8));
    return (uint32_t)h;
}

/* Find a tunnel's place + 1 by its outer key or its id; 0 if there is none. */
uint32_t tunnelcap_i_find_key(const tunnelcap_table *table, const tunnelcap_i_view *view,
                              const tunnelcap_i_key *key);
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
 * the tunnel that it replaces, where that goes on, or is made in `fresh`. */
int32_t tunnelcap_i_policy_set(tunnelcap_i_tunnel *slot, const tunnelcap_tunnel *policy,
                               const tunnelcap_i_tunnel *before, tunnelcap_i_path *fresh,
                               uint64_t secret);

/* What fits a path of an MTU; the largest inner packet then, which may be less; and the clamp for
 * that. */
uint32_t tunnelcap_i_tunnel_fits(const tunnelcap_i_tunnel *tunnel, uint32_t path_mtu);
/* Length of what a tunnel makes of an inner packet; 0 if IP cannot carry it. */
uint32_t tunnelcap_i_tunnel_len(const tunnelcap_i_tunnel *tunnel, uint32_t inner_len);
uint32_t tunnelcap_i_tunnel_mtu(const tunnelcap_i_tunnel *tunnel, uint32_t path_mtu);
void tunnelcap_i_tunnel_mss(const tunnelcap_i_tunnel *tunnel, uint32_t mtu, tunnelcap_i_mss *mss);

/* Find the list of routes of exactly one prefix: index + 1 of the first, or 0. */
uint32_t tunnelcap_i_find_prefix(const tunnelcap_table *table, const tunnelcap_i_view *view,
                                 uint32_t vrf, uint32_t family, uint32_t len,
                                 const uint8_t prefix[16]);

/* The same for the longest prefix that holds an address. */
uint32_t tunnelcap_i_find_route(const tunnelcap_table *table, const tunnelcap_i_view *view,
                                uint32_t vrf, uint32_t family, const uint8_t *addr);

/* Find an inbound SA of a view by what an outer packet says; NULL if there is none. */
const tunnelcap_i_sa *tunnelcap_i_find_sa(const tunnelcap_table *table,
                                          const tunnelcap_i_view *view, uint32_t outer_vrf,
                                          uint32_t spi, uint32_t family, const uint8_t *dst);

/* Remove all inbound SAs of a place from the view under change. */
void tunnelcap_i_sas_drop(tunnelcap_table *table, const tunnelcap_i_view *view, uint32_t place);

/* Remove all routes to a place from the view under change. */
void tunnelcap_i_routes_drop(tunnelcap_table *table, const tunnelcap_i_view *view, uint32_t place);

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
