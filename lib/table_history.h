/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The tunnels of a table whose history is kept. All of it is the writer's. */
#ifndef TUNNELCAP_I_TABLE_HISTORY_H
#define TUNNELCAP_I_TABLE_HISTORY_H

#include <tunnelcap/watch.h>

#include "id_map.h"

typedef struct tunnelcap_i_histories {
    tunnelcap_i_id_map ids;
    uint8_t *memory; /* by index of an id, `bytes` each */
    size_t bytes;
    uint64_t due_s; /* the second that the tick waits for */
    uint32_t keep[TUNNELCAP_HISTORY_SPANS];
} tunnelcap_i_histories;

/* 1 if histories can keep so many buckets. */
uint32_t tunnelcap_i_histories_fit(const uint32_t keep[TUNNELCAP_HISTORY_SPANS]);

/* Place `cap` histories that keep so many buckets, which fit; for size and init alike. */
void tunnelcap_i_histories_lay_out(tunnelcap_i_layout *layout, uint32_t cap,
                                   const uint32_t keep[TUNNELCAP_HISTORY_SPANS],
                                   tunnelcap_i_histories *histories);

#endif
