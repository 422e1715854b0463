/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "id_map.h"

#include <string.h>

/* Open addressing, at most half full. An empty map has one entry, so that finding needs no case of
 * its own. */

void tunnelcap_i_id_map_lay_out(tunnelcap_i_layout *layout, uint32_t cap, tunnelcap_i_id_map *map)
{
    uint32_t entries = 1;

    while (entries < 2 * cap)
        entries *= 2;
    map->mask = entries - 1;
    map->cap = cap;
    map->ids = tunnelcap_i_layout_add(layout, cap, sizeof(*map->ids));
    map->next = tunnelcap_i_layout_add(layout, cap, sizeof(*map->next));
    map->hash = tunnelcap_i_layout_add(layout, entries, sizeof(*map->hash));
}

void tunnelcap_i_id_map_init(tunnelcap_i_id_map *map, tunnelcap_i_flow_key key)
{
    map->key = key;
    map->count = 0;
    map->free = map->cap != 0;
    for (uint32_t i = 0; i < map->cap; i++)
        map->next[i] = i + 1 < map->cap ? i + 2 : 0;
}

static uint32_t home_of(const tunnelcap_i_id_map *map, uint64_t id)
{
    return (uint32_t)tunnelcap_i_hash2(map->key, id, 0) & map->mask;
}

uint32_t tunnelcap_i_id_map_find(const tunnelcap_i_id_map *map, uint64_t id)
{
    uint32_t at = home_of(map, id);

    while (map->hash[at] != 0 && map->ids[map->hash[at] - 1] != id)
        at = (at + 1) & map->mask;
    return map->hash[at];
}

uint32_t tunnelcap_i_id_map_add(tunnelcap_i_id_map *map, uint64_t id)
{
    uint32_t at = home_of(map, id);
    uint32_t entry = map->free;

    if (entry == 0)
        return 0;
    map->free = map->next[entry - 1];
    map->ids[entry - 1] = id;
    map->count++;
    while (map->hash[at] != 0)
        at = (at + 1) & map->mask;
    map->hash[at] = entry;
    return entry;
}

void tunnelcap_i_id_map_remove(tunnelcap_i_id_map *map, uint32_t index)
{
    uint32_t at = home_of(map, map->ids[index]);
    uint32_t hole;

    while (map->hash[at] != index + 1)
        at = (at + 1) & map->mask;
    hole = at;
    for (at = (at + 1) & map->mask; map->hash[at] != 0; at = (at + 1) & map->mask) {
        uint32_t home = home_of(map, map->ids[map->hash[at] - 1]);

        if (((at - home) & map->mask) >= ((at - hole) & map->mask)) {
            map->hash[hole] = map->hash[at];
            hole = at;
        }
    }
    map->hash[hole] = 0;
    map->ids[index] = 0;
    map->next[index] = map->free;
    map->free = index + 1;
    map->count--;
}
