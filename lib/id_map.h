/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Numbers for the tunnels that something is kept of: from the caller's ids to the indices of an
 * array, for the table's writer. */
#ifndef TUNNELCAP_I_ID_MAP_H
#define TUNNELCAP_I_ID_MAP_H

#include "flow.h"
#include "object.h"

typedef struct tunnelcap_i_id_map {
    tunnelcap_i_flow_key key;
    uint64_t *ids;  /* by index; 0 where it is free */
    uint32_t *next; /* by index: the next free one + 1, or 0 */
    uint32_t *hash; /* indices + 1; 0 is empty */
    uint32_t mask;
    uint32_t cap;
    uint32_t count;
    uint32_t free; /* the first free index + 1, or 0 */
} tunnelcap_i_id_map;

/* Place the parts of a map of `cap` ids, at most 2^20; for size and init alike. */
void tunnelcap_i_id_map_lay_out(tunnelcap_i_layout *layout, uint32_t cap, tunnelcap_i_id_map *map);

/* Begin with no ids, in zeroed memory that has been laid out. */
void tunnelcap_i_id_map_init(tunnelcap_i_id_map *map, tunnelcap_i_flow_key key);

/* Index + 1 of an id that is there; 0 if it is not. */
uint32_t tunnelcap_i_id_map_find(const tunnelcap_i_id_map *map, uint64_t id);

/* Index + 1 for an id that is not there, nor 0; 0 if there is no room. */
uint32_t tunnelcap_i_id_map_add(tunnelcap_i_id_map *map, uint64_t id);

/* Free the index of an id that is there. */
void tunnelcap_i_id_map_remove(tunnelcap_i_id_map *map, uint32_t index);

#endif
