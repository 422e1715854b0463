/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The routes of a view of a table.
 *
 * Implementation notes. Routes of one prefix form a list, by priority and then by tunnel id, so
 * that every server of a fleet has them in the same order; a hash finds the list. Of a prefix for
 * which routes of this table's region exist, the trie (see lpm.h) knows a value: the place of the
 * tunnel, if there is one such route, else a group.
 *
 * A group is a list of tunnels with priorities and weights, shared by all prefixes whose routes
 * have the same ones: a million prefixes over the same ten tunnels make one group. It has a block
 * of buckets from the start, given away among the best of its tunnels: those whose priority and
 * penalty have the least sum. So a penalty touches the groups of a tunnel, and no prefix, and needs
 * no memory.
 *
 * All of this lies in the view's memory, without pointers, and follows from the order of the
 * operations alone: two views to which the same was done are alike. Indices are + 1 where 0 means
 * none. */
#ifndef TUNNELCAP_I_ROUTES_H
#define TUNNELCAP_I_ROUTES_H

#include <tunnelcap/tunnel.h>

#include "by_place.h"
#include "lpm.h"
#include "share.h"

enum {
    TUNNELCAP_I_PENALTY_STEP = 500000,
    TUNNELCAP_I_MEMBERS_MAX = 64,      /* of a group */
    TUNNELCAP_I_GROUP_VALUE = 1 << 25, /* flag of a prefix's value: a group, not a place */
    TUNNELCAP_I_LENGTHS = 129,         /* of prefixes */
    TUNNELCAP_I_LENGTH_SETS = (TUNNELCAP_I_LENGTHS + 31) / 32
};

typedef struct tunnelcap_i_route {
    uint8_t prefix[16];
    uint64_t tunnel;
    uint64_t regions; /* 0: all */
    uint32_t vrf;
    uint32_t priority;
    tunnelcap_i_of_place of;
    uint32_t next;  /* of its prefix, or of the free ones */
    uint32_t chain; /* first route of a prefix: that of the next prefix in the hash */
    uint32_t value; /* first route of a prefix: what the trie holds; 0: none is of this region */
    uint16_t weight;
    uint8_t len;
    uint8_t family;
    uint8_t zero[4];
} tunnelcap_i_route;

typedef struct tunnelcap_i_member {
    uint64_t tunnel;
    uint32_t priority;
    uint32_t weight;
    tunnelcap_i_of_place of;
    uint32_t zero;
} tunnelcap_i_member;

typedef struct tunnelcap_i_group {
    uint32_t refs;  /* prefixes; 0: this group is free */
    uint32_t count; /* of its members */
    uint32_t hash;
    uint32_t next; /* in the hash, or of the free ones */
} tunnelcap_i_group;

typedef struct tunnelcap_i_routes_head {
    uint32_t count;     /* routes */
    uint32_t drawn;     /* routes that have been in use: those behind are free */
    uint32_t free;      /* the first of the others that are free */
    uint32_t elsewhere; /* routes that do not count in this region */
    uint32_t groups;    /* the same of groups */
    uint32_t groups_drawn;
    uint32_t groups_free;
    uint32_t lengths[2][TUNNELCAP_I_LENGTHS];  /* prefixes by family and length */
    uint32_t used[2][TUNNELCAP_I_LENGTH_SETS]; /* bits of those lengths that there are */
} tunnelcap_i_routes_head;

/* What is the same for a table's whole life. */
typedef struct tunnelcap_i_routes_limits {
    tunnelcap_i_flow_key key; /* of rendezvous */
    uint64_t region;          /* a bit */
    uint32_t routes, vrfs, nodes, groups, places;
    uint32_t bucket_bits; /* buckets of a group: 2 to the power of that */
    uint32_t rendezvous;  /* 1: instead of buckets in a row */
    uint32_t zero;
} tunnelcap_i_routes_limits;

typedef struct tunnelcap_i_routes {
    tunnelcap_i_routes_limits limits;
    tunnelcap_i_lpm lpm;
    tunnelcap_i_routes_head *head;
    tunnelcap_i_route *routes;
    uint32_t *by_prefix;             /* hash: first route of the first prefix */
    tunnelcap_i_by_place by_place;   /* routes */
    uint8_t *penalties;              /* by place, in steps */
    tunnelcap_i_group *groups;       /* one more than there may be, for the time of a change */
    tunnelcap_i_member *members;     /* TUNNELCAP_I_MEMBERS_MAX of each group */
    uint32_t *by_members;            /* hash: first group */
    tunnelcap_i_by_place members_of; /* members */
    uint32_t *buckets;               /* by group: places */
    uint32_t route_mask;             /* of by_prefix */
    uint32_t group_mask;             /* of by_members */
} tunnelcap_i_routes;

/* Place the arrays; their memory must be zero. */
void tunnelcap_i_routes_lay_out(tunnelcap_i_layout *layout, const tunnelcap_i_routes_limits *limits,
                                tunnelcap_i_routes *r);

/* Whether a route, which is valid, can be set: TUNNELCAP_OK or TUNNELCAP_E_FULL. */
int32_t tunnelcap_i_routes_can_set(const tunnelcap_i_routes *r, const tunnelcap_route *route,
                                   uint32_t place);

/* Whether it can be removed: TUNNELCAP_OK, TUNNELCAP_E_NOT_FOUND or TUNNELCAP_E_FULL. */
int32_t tunnelcap_i_routes_can_unset(const tunnelcap_i_routes *r, const tunnelcap_route *route);

/* Do either, where it can be done. */
void tunnelcap_i_routes_set(const tunnelcap_i_routes *r, const tunnelcap_route *route,
                            uint32_t place);
void tunnelcap_i_routes_unset(const tunnelcap_i_routes *r, const tunnelcap_route *route);

/* Remove all routes of a place, and its penalty. */
void tunnelcap_i_routes_drop(const tunnelcap_i_routes *r, uint32_t place);

/* Set what is added to the priorities of a place's routes: a multiple of the step, 255 steps at
 * most. */
void tunnelcap_i_routes_penalize(const tunnelcap_i_routes *r, uint32_t place, uint32_t penalty);

/* The first route of the longest prefix that holds an address, by the slow way that needs no trie;
 * NULL if there is none. */
const tunnelcap_i_route *tunnelcap_i_routes_longest(const tunnelcap_i_routes *r, uint32_t vrf,
                                                    uint32_t family, const uint8_t *addr);

/* 1 if one of the routes of the longest prefix that holds an address leads to a place, in this
 * region or another one. */
uint32_t tunnelcap_i_routes_lead_to(const tunnelcap_i_routes *r, uint32_t vrf, uint32_t family,
                                    const uint8_t *addr, uint32_t place);

/* The first `len` bits of an address, the rest of 16 bytes zero. */
void tunnelcap_i_routes_cut(uint8_t out[16], const uint8_t *addr, uint32_t len);

/* The place that a value of the trie leads a flow to. */
static inline uint32_t tunnelcap_i_routes_place(const tunnelcap_i_routes *r, uint32_t value,
                                                uint64_t flow_hash)
{
    uint32_t bits = r->limits.bucket_bits;

    if (!(value & TUNNELCAP_I_GROUP_VALUE))
        return value - 1;
    return r->buckets[((size_t)(value & (TUNNELCAP_I_GROUP_VALUE - 1)) << bits) +
                      (flow_hash >> (64 - bits))];
}

/* ---- groups: lib/routes_groups.c ---- */

/* A group of exactly these members; NULL if there is none. */
const tunnelcap_i_group *tunnelcap_i_group_find(const tunnelcap_i_routes *r,
                                                const tunnelcap_i_member *members, uint32_t count);

/* The value of a group of these members, found or made, which one more prefix uses. */
uint32_t tunnelcap_i_group_take(const tunnelcap_i_routes *r, const tunnelcap_i_member *members,
                                uint32_t count);

/* A prefix uses it no more. */
void tunnelcap_i_group_release(const tunnelcap_i_routes *r, uint32_t value);

/* Take a place out of all groups. */
void tunnelcap_i_groups_drop(const tunnelcap_i_routes *r, uint32_t place);

/* Give the buckets of a place's groups away anew. */
void tunnelcap_i_groups_refill(const tunnelcap_i_routes *r, uint32_t place);

/* The group of a value that is not a place. */
static inline tunnelcap_i_group *tunnelcap_i_group_of(const tunnelcap_i_routes *r, uint32_t value)
{
    return &r->groups[value & (TUNNELCAP_I_GROUP_VALUE - 1)];
}

static inline tunnelcap_i_member *tunnelcap_i_group_members(const tunnelcap_i_routes *r,
                                                            const tunnelcap_i_group *group)
{
    return r->members + (group - r->groups) * TUNNELCAP_I_MEMBERS_MAX;
}

#endif
