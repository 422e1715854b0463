/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* A table with a tunnel of each sort, for tests of its data path. */
#ifndef TUNNELCAP_TESTS_TABLE_WORLD_H
#define TUNNELCAP_TESTS_TABLE_WORLD_H

#include "support.h"

enum { GRE = 47, UDP = 17, GRE_ID = 1, UDP_ID = 2, IPIP_ID = 3, SEQ_ID = 4 };

/* Tunnels from 192.0.2.1 to 198.51.100.1 to .4, each with 10.ID.0.0/16 and fd00:ID::/32. */
typedef struct world {
    tunnelcap_table *table;
    tunnelcap_lane *lane;
} world;

extern test_frame world_frame; /* the packet under construction */
extern const char *const world_remotes[5];
extern const char *const world_prefixes[5][2];

world world_open(const tunnelcap_tunnel *tunnel);
void world_close(world *w);

/* A packet that tunnel `id` takes, and what its far end sends us. */
void world_inner(unsigned id, uint32_t size);
void world_outer(unsigned id, uint32_t seq);

int32_t world_run(world *w, uint32_t direction, uint32_t headroom, const tunnelcap_meta *meta,
                  tunnelcap_result *result);

/* How many packets of a tunnel were refused for one reason. */
uint64_t world_reason(const world *w, uint64_t id, uint32_t direction, int32_t status);

/* A GRE tunnel between 192.0.2.1 and 198.51.100.N, and the setting of one. */
tunnelcap_gre_config world_gre_to(unsigned n);
int32_t world_set_gre(tunnelcap_table *table, uint64_t id, unsigned n);

/* Which tunnel takes a packet to `dst`; 0 if none does. */
uint64_t world_taker(tunnelcap_lane *lane, const char *dst);

/* ---- calls with spares ---- */

enum { CALL_SPARES = 64, CALL_RESULTS = 160, CALL_HEADROOM = 96 };

/* One call of the data path, its spares on the heap, each of exactly the room that is asked for. */
typedef struct world_call {
    tunnelcap_pkt spare[CALL_SPARES];
    tunnelcap_result results[CALL_RESULTS];
    tunnelcap_burst burst;
    uint32_t opened;
} world_call;

void world_call_open(world_call *call, uint32_t spares, uint32_t headroom, uint32_t room);
void world_call_close(world_call *call);

/* Run `count` packets and check what every call promises about order and indices. */
int32_t world_call_run(world_call *call, tunnelcap_lane *lane, uint32_t direction,
                       tunnelcap_pkt *pkts, uint32_t count);

/* The packet that a result is about. */
tunnelcap_pkt *world_call_pkt(world_call *call, uint32_t result);

/* The sums of a tunnel, or of those without one, must be what calls have given. */
void world_check_sums(const tunnelcap_table *table, uint64_t id, uint32_t direction,
                      uint64_t offered);

#endif
