/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The tunnels of a table that are watched.
 *
 * Implementation notes. A watch belongs to the id of a tunnel, not to its place, so that it
 * outlives changes; the tick looks the tunnel up. All of it is the writer's, but for the key of
 * the probes: lanes read that, as two words. One that is read while it changes verifies nothing,
 * which costs one answer. Routes move by a change of the table that the tick makes itself; where
 * the writer has one under way, or lanes hold the other view, the next tick tries again. */
#ifndef TUNNELCAP_I_TABLE_WATCH_H
#define TUNNELCAP_I_TABLE_WATCH_H

#include <tunnelcap/watch.h>

#include "atomic.h"
#include "id_map.h"
#include "wire.h"

typedef struct tunnelcap_i_watch {
    tunnelcap_watch config;
    tunnelcap_health *health;
    uint64_t due_ns;    /* when the tick has to look again */
    uint32_t state;     /* that was told last */
    uint32_t seq;       /* health's number of the first probe that is due and not sent */
    uint32_t unsent;    /* how many are */
    uint32_t base;      /* number of the first probe: no old answer fits after a restart */
    uint32_t is_begun;  /* `base` is drawn */
    uint32_t has_ended; /* only its penalty is left to be taken off */
} tunnelcap_i_watch;

typedef struct tunnelcap_i_watching {
    tunnelcap_i_atomic64 key[2];  /* the first half, the second */
    tunnelcap_i_atomic32 has_key; /* stored after them */
    tunnelcap_i_id_map ids;
    tunnelcap_i_watch *watches; /* by index of an id */
    uint8_t *healths;           /* the same */
    size_t health_size;
    uint64_t server;
    uint32_t next;        /* index where the next tick begins */
    uint32_t routes_wait; /* 1: some penalties are not yet what states ask for */
} tunnelcap_i_watching;

/* Place what watching `cap` tunnels takes; for size and init alike. */
void tunnelcap_i_watching_lay_out(tunnelcap_i_layout *layout, uint32_t cap,
                                  tunnelcap_i_watching *watching);

/* The key of the probes, as a lane reads it. */
static inline void tunnelcap_i_probe_key(tunnelcap_i_watching *watching,
                                         uint8_t key[TUNNELCAP_PROBE_KEY])
{
    tunnelcap_i_store64(key, TUNNELCAP_I_LOAD(watching->key[0]));
    tunnelcap_i_store64(key + 8, TUNNELCAP_I_LOAD(watching->key[1]));
}

#endif
