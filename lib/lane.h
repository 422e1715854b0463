/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The inside of a lane. */
#ifndef TUNNELCAP_I_LANE_H
#define TUNNELCAP_I_LANE_H

#include <tunnelcap/lane.h>

#include "atomic.h"
#include "flow.h"
#include "object.h"
#include "sample.h"

/* Bytes that ESP, and the table, may note of each packet of a burst while the provider works on
 * it. */
enum { TUNNELCAP_I_LANE_SCRATCH = 256, TUNNELCAP_I_LANE_NOTE = 32 };

/* Which fragments an object for reassembly is for. */
enum { TUNNELCAP_I_OUTER = 0, TUNNELCAP_I_INNER = 1 };

struct tunnelcap_reassembly;

struct tunnelcap_lane {
    tunnelcap_i_owner owner;
    tunnelcap_i_flow_key flow_key;
    uint32_t id_next;  /* counts up to id_span, then from 0 */
    uint32_t id_span;  /* how many identifications are this lane's */
    uint32_t id_first; /* its index */
    uint32_t id_step;  /* the number of lanes */
    uint64_t id6_count;
    void *table;   /* tunnelcap_table that it is attached to, or NULL */
    uint32_t slot; /* its place in that table */
    struct tunnelcap_reassembly *reassembly[2]; /* or NULL; the table's */
    uint32_t max_burst;
    const tunnelcap_crypto *crypto; /* or NULL */
    void *crypto_lane;              /* the provider's state */
    uint8_t *scratch;               /* TUNNELCAP_I_LANE_SCRATCH for each of max_burst packets */
    tunnelcap_crypto_op **ops;      /* for a run of the provider */
    void *notes;                    /* TUNNELCAP_I_LANE_NOTE for each of them, the table's */
    tunnelcap_event *event_slots;
    tunnelcap_i_ring events;
    tunnelcap_i_sampler sampler;
};

/* Tell whoever reads the lane's events. */
void tunnelcap_i_lane_tell(tunnelcap_lane *lane, const tunnelcap_event *event);

/* The lane's next IPv4 identification; never 0, which kernels replace by one of their own. */
static inline uint32_t tunnelcap_i_lane_id(tunnelcap_lane *lane)
{
    uint32_t id;

    do {
        id = lane->id_first + lane->id_step * lane->id_next;
        lane->id_next = lane->id_next + 1 < lane->id_span ? lane->id_next + 1 : 0;
    } while (id == 0);
    return id;
}

/* An IPv6 identification, or another number that a stranger shall not guess (RFC 7739). */
static inline uint32_t tunnelcap_i_lane_id6(tunnelcap_lane *lane)
{
    return (uint32_t)(tunnelcap_i_hash2(lane->flow_key, ++lane->id6_count, lane->id_first) >> 32);
}

#endif
