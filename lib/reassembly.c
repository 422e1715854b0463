/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "reassembly.h"

enum { OLDEST = sizeof(tunnelcap_reassembly_config) };
enum { OLDEST_STATS = sizeof(tunnelcap_reassembly_stats) };
enum { SETS_MAX = 1 << 20, BYTES_MIN = 4096, BYTES_MAX = 1 << 30, SHARE_MAX = 100 };
enum { SMALL_SHARE = 8 }; /* of cells: a sixteenth of the weight that all sources can have */

#define SECOND_NS 1000000000u

static const tunnelcap_reassembly_config defaults = {
    sizeof(defaults), 0, 1024, 4 << 20, 50, 0, (uint64_t)30 * SECOND_NS};

int32_t tunnelcap_reassembly_config_init(tunnelcap_reassembly_config *config, uint32_t size)
{
    return tunnelcap_i_struct_init(config, size, &defaults, sizeof(defaults), OLDEST);
}

static int32_t read_config(tunnelcap_reassembly_config *own,
                           const tunnelcap_reassembly_config *config)
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
    if (own->sets < 1 || own->sets > SETS_MAX || own->bytes < BYTES_MIN || own->bytes > BYTES_MAX ||
        own->source_share < 1 || own->source_share > SHARE_MAX || own->timeout_ns < 1 ||
        own->timeout_ns > (uint64_t)120 * SECOND_NS)
        return TUNNELCAP_E_RANGE;
    return TUNNELCAP_OK;
}

static uint32_t hash_entries(uint32_t count)
{
    uint32_t entries = 4;

    while (entries < 2 * count)
        entries *= 2;
    return entries;
}

static uint32_t cells_of(const tunnelcap_reassembly_config *c)
{
    return (c->bytes + TUNNELCAP_I_CELL - 1) / TUNNELCAP_I_CELL;
}

static size_t lay_out(uint8_t *base, const tunnelcap_reassembly_config *c, tunnelcap_reassembly *r)
{
    tunnelcap_i_layout layout = {base, 0};
    size_t sets = (size_t)c->sets + 1; /* entry 0 is no set */
    size_t cells = cells_of(c);

    tunnelcap_i_layout_add(&layout, 1, sizeof(*r));
    r->set_hash = tunnelcap_i_layout_add(&layout, hash_entries(c->sets), sizeof(uint32_t));
    r->source_hash = tunnelcap_i_layout_add(&layout, hash_entries(c->sets), sizeof(uint32_t));
    r->sets = tunnelcap_i_layout_add(&layout, sets, sizeof(*r->sets));
    r->sources = tunnelcap_i_layout_add(&layout, sets, sizeof(*r->sources));
    r->units = tunnelcap_i_layout_add(&layout, cells + 1, sizeof(*r->units));
    r->data = tunnelcap_i_layout_add(&layout, cells, TUNNELCAP_I_CELL);
    return layout.size;
}

size_t tunnelcap_reassembly_size(const tunnelcap_reassembly_config *config)
{
    tunnelcap_reassembly_config own;
    tunnelcap_reassembly parts;
    size_t size;

    if (read_config(&own, config) != TUNNELCAP_OK)
        return 0;
    size = lay_out(NULL, &own, &parts);
    return size == SIZE_MAX ? 0 : size;
}

static uint32_t share_of(uint32_t all, uint32_t percent)
{
    uint32_t share = (uint32_t)((uint64_t)all * percent / SHARE_MAX);

    return share != 0 ? share : 1;
}

int32_t tunnelcap_reassembly_init(void *mem, size_t mem_size,
                                  const tunnelcap_reassembly_config *config, const uint8_t *seed,
                                  tunnelcap_reassembly **out)
{
    tunnelcap_reassembly_config own;
    tunnelcap_reassembly parts;
    tunnelcap_reassembly *r = mem;
    size_t need;
    int32_t status = read_config(&own, config);

    if (status != TUNNELCAP_OK)
        return status;
    if (seed == NULL || out == NULL)
        return TUNNELCAP_E_INVALID;
    need = lay_out(NULL, &own, &parts);
    status = tunnelcap_i_memory_check(mem, mem_size, need);
    if (status != TUNNELCAP_OK)
        return status;

    /* All but the cells' bytes, which come last: those are not read before they are written. */
    memset(mem, 0, need - (size_t)cells_of(&own) * TUNNELCAP_I_CELL);
    lay_out(mem, &own, r);
    r->owner.bytes = need;
    r->key = tunnelcap_i_flow_key_from(seed);
    r->timeout_ns = own.timeout_ns;
    r->sets_max = own.sets;
    r->cells_max = cells_of(&own);
    r->share_sets = share_of(r->sets_max, own.source_share);
    r->share_cells = share_of(r->cells_max, own.source_share);
    r->weight = r->cells_max > r->sets_max ? r->cells_max / r->sets_max : 1;
    r->small =
        r->cells_max / SMALL_SHARE > 2 * r->weight ? r->cells_max / SMALL_SHARE : 2 * r->weight;
    r->hash_mask = hash_entries(own.sets) - 1;
    tunnelcap_i_reassembly_clear(r);
    *out = r;
    return TUNNELCAP_OK;
}

void tunnelcap_reassembly_fini(tunnelcap_reassembly *reassembly)
{
    tunnelcap_i_memory_end(reassembly);
}

int32_t tunnelcap_reassembly_new(const tunnelcap_reassembly_config *config, const uint8_t *seed,
                                 const tunnelcap_alloc *alloc, tunnelcap_reassembly **out)
{
    tunnelcap_reassembly_config own;
    tunnelcap_i_owner owner;
    size_t size;
    void *mem;
    int32_t status = read_config(&own, config);

    if (status != TUNNELCAP_OK)
        return status;
    if (seed == NULL || out == NULL)
        return TUNNELCAP_E_INVALID;
    size = tunnelcap_reassembly_size(config);
    if (size == 0)
        return TUNNELCAP_E_NOMEM;
    status = tunnelcap_i_memory_get(size, alloc, &mem, &owner);
    if (status != TUNNELCAP_OK)
        return status;
    tunnelcap_reassembly_init(mem, owner.bytes, config, seed, out);
    (*out)->owner = owner;
    return TUNNELCAP_OK;
}

void tunnelcap_reassembly_free(tunnelcap_reassembly *reassembly)
{
    tunnelcap_reassembly_fini(reassembly);
}

uint64_t tunnelcap_reassembly_wait(const tunnelcap_reassembly *reassembly, uint64_t now_ns)
{
    uint64_t age;
    uint32_t oldest;

    if (reassembly == NULL || reassembly->sets_used == 0)
        return UINT64_MAX;
    oldest = reassembly->sets[0].younger;
    age = tunnelcap_i_reassembly_clock(reassembly, now_ns) - reassembly->sets[oldest].born_ns;
    return age < reassembly->timeout_ns ? reassembly->timeout_ns - age : 0;
}

int32_t tunnelcap_reassembly_get_stats(const tunnelcap_reassembly *reassembly,
                                       tunnelcap_reassembly_stats *stats, uint32_t size)
{
    tunnelcap_reassembly_stats own;

    if (reassembly == NULL)
        return TUNNELCAP_E_INVALID;
    own = reassembly->stats;
    own.sets = reassembly->sets_used;
    own.sources = reassembly->sources_used;
    own.bytes = (uint64_t)reassembly->cells_used * TUNNELCAP_I_CELL;
    return tunnelcap_i_struct_init(stats, size, &own, sizeof(own), OLDEST_STATS);
}
