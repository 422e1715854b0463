/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include <tunnelcap/traffic.h>

#include "id_map.h"
#include "wire.h"

#include <string.h>

/* Implementation notes. A set is one list for each dimension and unit. The first set is of all
 * traffic, the others belong to tunnels. Keys are big-endian, so that of equal weights the smaller
 * number is listed first. */

enum { OLDEST = sizeof(tunnelcap_traffic_config) };
enum { DIMENSIONS = TUNNELCAP_TRAFFIC_DIMENSIONS, UNITS = 2 };
enum { KEYS_MIN = 8, KEYS_MAX = 1 << 16, TUNNELS_MAX = 1024 };
enum { ADDR_KEY = 17, OUTCOME_KEY = 5, PROTO_TCP = 6, PROTO_UDP = 17, PROTO_SCTP = 132 };

/* Bytes of each dimension's keys, and how many there can be at most; 0: as many as one likes. */
static const struct {
    uint32_t key_size;
    uint32_t most;
} shapes[DIMENSIONS] = {{ADDR_KEY, 0}, {ADDR_KEY, 0}, {2, 0}, {2, 0}, {1, 256},
                        {4, 8},        {1, 256},      {1, 2}, {8, 0}, {OUTCOME_KEY, 256}};

static const uint32_t sizes[] = {64, 128, 256, 512, 1024, 1500, 9000, 65575};

typedef struct list_set {
    tunnelcap_top *lists[DIMENSIONS][UNITS];
    uint64_t packets; /* of its tunnel, by Space-Saving */
} list_set;

struct tunnelcap_traffic {
    tunnelcap_i_owner owner;
    tunnelcap_i_id_map ids; /* the tunnels with sets */
    list_set all;
    list_set *sets;              /* by index of an id */
    tunnelcap_top_item *scratch; /* for a list on its way out */
    uint32_t scratch_cap;
};

static const tunnelcap_traffic_config defaults = {sizeof(defaults), 0, 256, 16, 64};

int32_t tunnelcap_traffic_config_init(tunnelcap_traffic_config *config, uint32_t size)
{
    return tunnelcap_i_struct_init(config, size, &defaults, sizeof(defaults), OLDEST);
}

static uint32_t keys_ok(uint32_t keys)
{
    return keys >= KEYS_MIN && keys <= KEYS_MAX;
}

static int32_t read_config(tunnelcap_traffic_config *own, const tunnelcap_traffic_config *config)
{
    int32_t status;

    *own = defaults;
    status = tunnelcap_i_struct_read(own, sizeof(*own), OLDEST, config);
    if (status != TUNNELCAP_OK)
        return status;
    if (own->flags != 0)
        return TUNNELCAP_E_FLAGS;
    return keys_ok(own->keys) && keys_ok(own->tunnel_keys) && own->tunnels <= TUNNELS_MAX
               ? TUNNELCAP_OK
               : TUNNELCAP_E_RANGE;
}

/* ---- memory ---- */

static tunnelcap_top_config top_config(uint32_t dimension, uint32_t keys, uint32_t is_own)
{
    tunnelcap_top_config config;

    tunnelcap_top_config_init(&config, sizeof(config));
    config.key_size = shapes[dimension].key_size;
    config.keys = keys;
    if (shapes[dimension].most != 0 && shapes[dimension].most < keys)
        config.keys = shapes[dimension].most;
    if (is_own && dimension == TUNNELCAP_TRAFFIC_TUNNEL)
        config.keys = 1;
    return config;
}

/* Place the lists of a set; with a seed, they are made too. */
static void lay_out_set(tunnelcap_i_layout *layout, list_set *set, uint32_t keys, uint32_t is_own,
                        const uint8_t *seed)
{
    for (uint32_t d = 0; d < DIMENSIONS; d++) {
        tunnelcap_top_config config = top_config(d, keys, is_own);
        size_t bytes = tunnelcap_top_size(&config);

        for (uint32_t unit = 0; unit < UNITS; unit++) {
            void *mem = tunnelcap_i_layout_add(layout, 1, bytes);

            if (seed != NULL)
                tunnelcap_top_init(mem, bytes, &config, seed, &set->lists[d][unit]);
        }
    }
}

static size_t lay_out(uint8_t *base, const tunnelcap_traffic_config *c, const uint8_t *seed,
                      tunnelcap_traffic *parts)
{
    tunnelcap_i_layout layout = {base, 0};

    tunnelcap_i_layout_add(&layout, 1, sizeof(*parts));
    tunnelcap_i_id_map_lay_out(&layout, c->tunnels, &parts->ids);
    parts->sets = tunnelcap_i_layout_add(&layout, c->tunnels, sizeof(*parts->sets));
    parts->scratch_cap = c->keys > c->tunnel_keys ? c->keys : c->tunnel_keys;
    parts->scratch = tunnelcap_i_layout_add(&layout, parts->scratch_cap, sizeof(*parts->scratch));
    lay_out_set(&layout, &parts->all, c->keys, 0, seed);
    for (uint32_t i = 0; i < c->tunnels; i++)
        lay_out_set(&layout, seed == NULL ? NULL : &parts->sets[i], c->tunnel_keys, 1, seed);
    return layout.size == SIZE_MAX ? 0 : layout.size;
}

size_t tunnelcap_traffic_size(const tunnelcap_traffic_config *config)
{
    tunnelcap_traffic_config own;
    tunnelcap_traffic parts;

    return read_config(&own, config) == TUNNELCAP_OK ? lay_out(NULL, &own, NULL, &parts) : 0;
}

int32_t tunnelcap_traffic_init(void *mem, size_t mem_size, const tunnelcap_traffic_config *config,
                               const uint8_t *seed, tunnelcap_traffic **out)
{
    tunnelcap_traffic_config own;
    tunnelcap_traffic *traffic = mem;
    size_t need;
    int32_t status = read_config(&own, config);

    if (status != TUNNELCAP_OK)
        return status;
    if (seed == NULL || out == NULL)
        return TUNNELCAP_E_INVALID;
    need = tunnelcap_traffic_size(config);
    if (need == 0)
        return TUNNELCAP_E_NOMEM;
    status = tunnelcap_i_memory_check(mem, mem_size, need);
    if (status != TUNNELCAP_OK)
        return status;

    memset(mem, 0, need);
    lay_out(mem, &own, seed, traffic);
    traffic->owner.bytes = need;
    tunnelcap_i_id_map_init(&traffic->ids, tunnelcap_i_flow_key_from(seed));
    *out = traffic;
    return TUNNELCAP_OK;
}

void tunnelcap_traffic_fini(tunnelcap_traffic *traffic)
{
    tunnelcap_i_memory_end(traffic);
}

int32_t tunnelcap_traffic_new(const tunnelcap_traffic_config *config, const uint8_t *seed,
                              const tunnelcap_alloc *alloc, tunnelcap_traffic **out)
{
    tunnelcap_traffic_config own;
    tunnelcap_i_owner owner;
    size_t need;
    void *mem;
    int32_t status = read_config(&own, config);

    if (status != TUNNELCAP_OK)
        return status;
    if (seed == NULL || out == NULL)
        return TUNNELCAP_E_INVALID;
    need = tunnelcap_traffic_size(config);
    if (need == 0)
        return TUNNELCAP_E_NOMEM;
    status = tunnelcap_i_memory_get(need, alloc, &mem, &owner);
    if (status != TUNNELCAP_OK)
        return status;
    tunnelcap_traffic_init(mem, owner.bytes, config, seed, out);
    (*out)->owner = owner;
    return TUNNELCAP_OK;
}

void tunnelcap_traffic_free(tunnelcap_traffic *traffic)
{
    tunnelcap_i_memory_end(traffic);
}

/* ---- records ---- */

static uint32_t bytes_of(const tunnelcap_sample *s)
{
    return s->inner_bytes != 0 ? s->inner_bytes : s->outer_bytes;
}

static void size_key(const tunnelcap_sample *s, uint8_t *key)
{
    uint32_t bytes = bytes_of(s);
    uint32_t i = 0;

    while (i + 1 < sizeof(sizes) / sizeof(sizes[0]) && bytes > sizes[i])
        i++;
    tunnelcap_i_store32(key, sizes[i]);
}

static uint32_t port_key(const tunnelcap_sample *s, uint16_t port, uint8_t *key)
{
    tunnelcap_i_store16(key, port);
    return (s->protocol == PROTO_TCP || s->protocol == PROTO_UDP || s->protocol == PROTO_SCTP) &&
           (s->src_port != 0 || s->dst_port != 0);
}

static uint32_t addr_key(const tunnelcap_sample *s, const uint8_t *addr, uint8_t *key)
{
    key[0] = s->family;
    memcpy(key + 1, addr, ADDR_KEY - 1);
    return s->family != 0;
}

/* The key of a record in a dimension; 0 if it has none. */
static uint32_t key_of(const tunnelcap_sample *s, uint32_t dimension, uint8_t *key)
{
    switch (dimension) {
    case TUNNELCAP_TRAFFIC_SOURCE:
        return addr_key(s, s->src, key);
    case TUNNELCAP_TRAFFIC_DESTINATION:
        return addr_key(s, s->dst, key);
    case TUNNELCAP_TRAFFIC_SOURCE_PORT:
        return port_key(s, s->src_port, key);
    case TUNNELCAP_TRAFFIC_DESTINATION_PORT:
        return port_key(s, s->dst_port, key);
    case TUNNELCAP_TRAFFIC_PROTOCOL:
        key[0] = s->protocol;
        return s->family != 0;
    case TUNNELCAP_TRAFFIC_SIZE:
        size_key(s, key);
        return 1;
    case TUNNELCAP_TRAFFIC_TCP_FLAGS:
        key[0] = s->tcp_flags;
        return s->protocol == PROTO_TCP && (s->src_port != 0 || s->dst_port != 0);
    case TUNNELCAP_TRAFFIC_FRAGMENT:
        key[0] = (s->flags & TUNNELCAP_SAMPLE_FRAGMENT) != 0;
        return s->family != 0;
    case TUNNELCAP_TRAFFIC_TUNNEL:
        tunnelcap_i_store64(key, s->tunnel);
        return 1;
    default:
        tunnelcap_i_store32(key, (uint32_t)s->status);
        key[4] = s->action;
        return 1;
    }
}

static void add_to_set(list_set *set, const tunnelcap_sample *s)
{
    uint8_t key[TUNNELCAP_TOP_KEY_MAX];

    for (uint32_t d = 0; d < DIMENSIONS; d++) {
        if (!key_of(s, d, key))
            continue;
        tunnelcap_top_add(set->lists[d][TUNNELCAP_TRAFFIC_PACKETS], key, s->rate);
        tunnelcap_top_add(set->lists[d][TUNNELCAP_TRAFFIC_BYTES], key,
                          (uint64_t)s->rate * bytes_of(s));
    }
}

static void clear_set(list_set *set)
{
    for (uint32_t d = 0; d < DIMENSIONS; d++) {
        for (uint32_t unit = 0; unit < UNITS; unit++)
            tunnelcap_top_clear(set->lists[d][unit]);
    }
}

/* The set of a tunnel, which it may take from the lightest one; NULL if there are none at all. */
static list_set *set_for(tunnelcap_traffic *t, uint64_t tunnel)
{
    uint32_t entry = tunnelcap_i_id_map_find(&t->ids, tunnel);
    uint32_t lightest = 0;

    if (entry == 0)
        entry = tunnelcap_i_id_map_add(&t->ids, tunnel);
    if (entry != 0 || t->ids.cap == 0)
        return entry == 0 ? NULL : &t->sets[entry - 1];
    for (uint32_t i = 1; i < t->ids.cap; i++) {
        if (t->sets[i].packets < t->sets[lightest].packets)
            lightest = i;
    }
    tunnelcap_i_id_map_remove(&t->ids, lightest);
    clear_set(&t->sets[lightest]); /* `packets` stays: it is the newcomer's error */
    tunnelcap_i_id_map_add(&t->ids, tunnel);
    return &t->sets[lightest];
}

int32_t tunnelcap_traffic_add(tunnelcap_traffic *traffic, const tunnelcap_sample *samples,
                              uint32_t count)
{
    list_set *set;

    if (traffic == NULL || (samples == NULL && count > 0))
        return TUNNELCAP_E_INVALID;
    for (uint32_t i = 0; i < count; i++) {
        if (samples[i].rate == 0)
            continue;
        add_to_set(&traffic->all, &samples[i]);
        set = samples[i].tunnel != 0 ? set_for(traffic, samples[i].tunnel) : NULL;
        if (set == NULL)
            continue;
        set->packets += samples[i].rate;
        add_to_set(set, &samples[i]);
    }
    return TUNNELCAP_OK;
}

/* ---- lists ---- */

static void tell(tunnelcap_traffic_item *item, const tunnelcap_top_item *top, uint32_t dimension)
{
    memset(item, 0, sizeof(*item));
    item->weight = top->weight;
    item->error = top->error;
    switch (dimension) {
    case TUNNELCAP_TRAFFIC_SOURCE:
    case TUNNELCAP_TRAFFIC_DESTINATION:
        item->addr.family = top->key[0];
        memcpy(item->addr.bytes, top->key + 1, sizeof(item->addr.bytes));
        return;
    case TUNNELCAP_TRAFFIC_OUTCOME:
        item->status = (int32_t)tunnelcap_i_load32(top->key);
        item->key = top->key[4];
        return;
    default:
        for (uint32_t i = 0; i < shapes[dimension].key_size; i++)
            item->key = item->key << 8 | top->key[i];
        return;
    }
}

int32_t tunnelcap_traffic_list(const tunnelcap_traffic *traffic, uint64_t tunnel,
                               uint32_t dimension, uint32_t unit, tunnelcap_traffic_item *items,
                               uint32_t cap, uint32_t *count, uint64_t *total)
{
    const list_set *set;
    uint32_t entry;

    if (traffic == NULL || count == NULL || (items == NULL && cap > 0))
        return TUNNELCAP_E_INVALID;
    if (dimension >= DIMENSIONS || unit >= UNITS)
        return TUNNELCAP_E_MODE;
    entry = tunnel != 0 ? tunnelcap_i_id_map_find(&traffic->ids, tunnel) : 0;
    if (tunnel != 0 && entry == 0)
        return TUNNELCAP_E_NOT_FOUND;
    set = tunnel != 0 ? &traffic->sets[entry - 1] : &traffic->all;
    if (cap > traffic->scratch_cap)
        cap = traffic->scratch_cap;
    tunnelcap_top_list(set->lists[dimension][unit], traffic->scratch, cap, count, total);
    for (uint32_t i = 0; i < *count; i++)
        tell(&items[i], &traffic->scratch[i], dimension);
    return TUNNELCAP_OK;
}

void tunnelcap_traffic_clear(tunnelcap_traffic *traffic)
{
    if (traffic == NULL)
        return;
    clear_set(&traffic->all);
    for (uint32_t i = 0; i < traffic->ids.cap; i++) {
        if (traffic->ids.ids[i] == 0)
            continue;
        clear_set(&traffic->sets[i]);
        traffic->sets[i].packets = 0;
        tunnelcap_i_id_map_remove(&traffic->ids, i);
    }
}
