/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The inside of a lane. */
#ifndef TUNNELCAP_I_LANE_H
#define TUNNELCAP_I_LANE_H

#include <tunnelcap/lane.h>

#include "flow.h"
#include "object.h"

/* Bytes that ESP may note of each packet of a burst while the provider works on it. */
enum { TUNNELCAP_I_LANE_SCRATCH = 256 };

struct tunnelcap_lane {
    tunnelcap_i_owner owner;
    tunnelcap_i_flow_key flow_key;
    uint32_t id_next;  /* counts up to id_span, then from 0 */
    uint32_t id_span;  /* how many identifications are this lane's */
    uint32_t id_first; /* its index */
    uint32_t id_step;  /* the number of lanes */
    void *table;       /* tunnelcap_table that it is attached to, or NULL */
    uint32_t slot;     /* its place in that table */
    uint32_t max_burst;
    const tunnelcap_crypto *crypto; /* or NULL */
    void *crypto_lane;              /* the provider's state */
    uint8_t *scratch;               /* TUNNELCAP_I_LANE_SCRATCH for each of max_burst packets */
    tunnelcap_crypto_op **ops;      /* for a run of the provider */
};

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

#endif
