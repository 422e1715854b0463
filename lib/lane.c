/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "lane.h"

enum { LANES_MAX = 256, OLDEST = sizeof(tunnelcap_lane_config) };

static const tunnelcap_lane_config defaults = {sizeof(tunnelcap_lane_config), 0, 0, 1, 0};

int32_t tunnelcap_lane_config_init(tunnelcap_lane_config *config, uint32_t size)
{
    return tunnelcap_i_struct_init(config, size, &defaults, sizeof(defaults), OLDEST);
}

static int32_t read_config(tunnelcap_lane_config *own, const tunnelcap_lane_config *config)
{
    int32_t status;

    *own = defaults;
    status = tunnelcap_i_struct_read(own, sizeof(*own), OLDEST, config);
    if (status != TUNNELCAP_OK)
        return status;
    if (own->flags != 0)
        return TUNNELCAP_E_FLAGS;
    if (own->reserved != 0)
        return TUNNELCAP_E_RESERVED;
    if (own->count < 1 || own->count > LANES_MAX || own->index >= own->count)
        return TUNNELCAP_E_RANGE;
    return TUNNELCAP_OK;
}

static size_t lay_out(uint8_t *base, tunnelcap_lane **lane)
{
    tunnelcap_i_layout layout = {base, 0};

    *lane = tunnelcap_i_layout_add(&layout, 1, sizeof(**lane));
    return layout.size;
}

size_t tunnelcap_lane_size(const tunnelcap_lane_config *config)
{
    tunnelcap_lane_config own;
    tunnelcap_lane *lane;

    return read_config(&own, config) == TUNNELCAP_OK ? lay_out(NULL, &lane) : 0;
}

int32_t tunnelcap_lane_init(void *mem, size_t mem_size, const tunnelcap_lane_config *config,
                            const uint8_t *seed, tunnelcap_lane **out)
{
    tunnelcap_lane_config own;
    tunnelcap_lane *lane;
    size_t need;
    int32_t status = read_config(&own, config);

    if (status != TUNNELCAP_OK)
        return status;
    if (seed == NULL || out == NULL)
        return TUNNELCAP_E_INVALID;
    need = lay_out(NULL, &lane);
    status = tunnelcap_i_memory_check(mem, mem_size, need);
    if (status != TUNNELCAP_OK)
        return status;

    lay_out(mem, &lane);
    memset(lane, 0, need);
    lane->owner.bytes = need;
    lane->flow_key = tunnelcap_i_flow_key_from(seed);
    lane->id_first = own.index;
    lane->id_step = own.count;
    lane->id_span = 0x10000u / own.count;
    lane->id_next = tunnelcap_i_load32(seed + 16) % lane->id_span;
    *out = lane;
    return TUNNELCAP_OK;
}

void tunnelcap_lane_fini(tunnelcap_lane *lane)
{
    tunnelcap_i_memory_end(lane);
}

int32_t tunnelcap_lane_new(const tunnelcap_lane_config *config, const uint8_t *seed,
                           const tunnelcap_alloc *alloc, tunnelcap_lane **out)
{
    tunnelcap_lane_config own;
    tunnelcap_i_owner owner;
    void *mem;
    int32_t status = read_config(&own, config);

    if (status != TUNNELCAP_OK)
        return status;
    if (seed == NULL || out == NULL)
        return TUNNELCAP_E_INVALID;
    status = tunnelcap_i_memory_get(tunnelcap_lane_size(config), alloc, &mem, &owner);
    if (status != TUNNELCAP_OK)
        return status;
    tunnelcap_lane_init(mem, owner.bytes, config, seed, out);
    (*out)->owner = owner;
    return TUNNELCAP_OK;
}

void tunnelcap_lane_free(tunnelcap_lane *lane)
{
    tunnelcap_i_memory_end(lane);
}
