/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "lane.h"

#include "secure.h"

enum { OLDEST = sizeof(tunnelcap_lane_config) };
enum { LANES_MAX = 256, BURST_MAX = 1024, SLOTS_MAX = 1 << 20, EVENTS_MAX = 1 << 16 };
enum { SAMPLES_MAX = 1 << 20, TARGET_MAX = 1 << 20 };

static const tunnelcap_lane_config defaults = {
    sizeof(tunnelcap_lane_config), 0, 0, 1, 32, 64, 64, 0, 0, 0};

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
    if (own->count < 1 || own->count > LANES_MAX || own->index >= own->count)
        return TUNNELCAP_E_RANGE;
    if (own->max_burst < 1 || own->max_burst > BURST_MAX || own->key_slots < 1 ||
        own->key_slots > SLOTS_MAX || own->events > EVENTS_MAX || own->samples > SAMPLES_MAX ||
        own->sample_rate > TUNNELCAP_I_SAMPLE_RATE_MAX || own->sample_target > TARGET_MAX)
        return TUNNELCAP_E_RANGE;
    return TUNNELCAP_OK;
}

static size_t lay_out(uint8_t *base, const tunnelcap_lane_config *c, const tunnelcap_crypto *crypto,
                      tunnelcap_lane *parts)
{
    tunnelcap_i_layout layout = {base, 0};

    tunnelcap_i_layout_add(&layout, 1, sizeof(*parts));
    parts->event_slots = tunnelcap_i_layout_add(&layout, c->events, sizeof(tunnelcap_event));
    parts->sampler.slots =
        tunnelcap_i_layout_add(&layout, c->samples, sizeof(*parts->sampler.slots));
    parts->sampler.notes =
        tunnelcap_i_layout_add(&layout, c->samples, sizeof(*parts->sampler.notes));
    if (crypto == NULL)
        return layout.size;
    parts->scratch = tunnelcap_i_layout_add(&layout, c->max_burst, TUNNELCAP_I_LANE_SCRATCH);
    parts->notes = tunnelcap_i_layout_add(&layout, c->max_burst, TUNNELCAP_I_LANE_NOTE);
    parts->ops = tunnelcap_i_layout_add(&layout, c->max_burst, sizeof(tunnelcap_crypto_op *));
    parts->crypto_lane = tunnelcap_i_layout_add(
        &layout, 1, crypto->lane_size(crypto->self, c->max_burst, c->key_slots));
    return layout.size == SIZE_MAX ? 0 : layout.size;
}

size_t tunnelcap_lane_size(const tunnelcap_lane_config *config, const tunnelcap_crypto *crypto)
{
    tunnelcap_lane_config own;
    tunnelcap_lane parts;

    return read_config(&own, config) == TUNNELCAP_OK ? lay_out(NULL, &own, crypto, &parts) : 0;
}

int32_t tunnelcap_lane_init(void *mem, size_t mem_size, const tunnelcap_lane_config *config,
                            const uint8_t *seed, const tunnelcap_crypto *crypto,
                            tunnelcap_lane **out)
{
    tunnelcap_lane_config own;
    tunnelcap_lane *lane = mem;
    size_t need;
    int32_t status = read_config(&own, config);

    if (status != TUNNELCAP_OK)
        return status;
    if (seed == NULL || out == NULL)
        return TUNNELCAP_E_INVALID;
    need = tunnelcap_lane_size(config, crypto);
    if (need == 0)
        return TUNNELCAP_E_NOMEM;
    status = tunnelcap_i_memory_check(mem, mem_size, need);
    if (status != TUNNELCAP_OK)
        return status;

    memset(mem, 0, need);
    lay_out(mem, &own, crypto, lane);
    lane->owner.bytes = need;
    lane->flow_key = tunnelcap_i_flow_key_from(seed);
    lane->id_first = own.index;
    lane->id_step = own.count;
    lane->id_span = 0x10000u / own.count;
    lane->id_next = tunnelcap_i_load32(seed + 16) % lane->id_span;
    lane->max_burst = own.max_burst;
    lane->events.count = own.events;
    tunnelcap_i_sampler_init(&lane->sampler, lane->flow_key, own.samples, own.sample_rate,
                             own.sample_target);
    if (crypto != NULL) {
        status = crypto->lane_init(crypto->self, lane->crypto_lane, own.max_burst, own.key_slots);
        if (status != TUNNELCAP_OK) {
            tunnelcap_i_wipe(mem, need);
            return status;
        }
        lane->crypto = crypto;
    }
    *out = lane;
    return TUNNELCAP_OK;
}

void tunnelcap_lane_fini(tunnelcap_lane *lane)
{
    if (lane != NULL && lane->crypto != NULL)
        lane->crypto->lane_fini(lane->crypto->self, lane->crypto_lane);
    tunnelcap_i_memory_end(lane);
}

int32_t tunnelcap_lane_new(const tunnelcap_lane_config *config, const uint8_t *seed,
                           const tunnelcap_crypto *crypto, const tunnelcap_alloc *alloc,
                           tunnelcap_lane **out)
{
    tunnelcap_lane_config own;
    tunnelcap_i_owner owner;
    size_t need;
    void *mem;
    int32_t status = read_config(&own, config);

    if (status != TUNNELCAP_OK)
        return status;
    if (seed == NULL || out == NULL)
        return TUNNELCAP_E_INVALID;
    need = tunnelcap_lane_size(config, crypto);
    if (need == 0)
        return TUNNELCAP_E_NOMEM;
    status = tunnelcap_i_memory_get(need, alloc, &mem, &owner);
    if (status != TUNNELCAP_OK)
        return status;
    status = tunnelcap_lane_init(mem, need, config, seed, crypto, out);
    if (status != TUNNELCAP_OK) {
        owner.alloc.release(owner.alloc.arg, mem, need);
        return status;
    }
    (*out)->owner = owner;
    return TUNNELCAP_OK;
}

void tunnelcap_lane_free(tunnelcap_lane *lane)
{
    tunnelcap_lane_fini(lane);
}

void tunnelcap_i_lane_tell(tunnelcap_lane *lane, const tunnelcap_event *event)
{
    tunnelcap_i_ring *ring = &lane->events;
    uint32_t behind = TUNNELCAP_I_LOAD(ring->behind);

    if (!tunnelcap_i_ring_room(ring, behind))
        return;
    lane->event_slots[tunnelcap_i_ring_slot(ring, behind)] = *event;
    TUNNELCAP_I_STORE_REL(ring->behind, tunnelcap_i_ring_next(ring, behind));
}

/* Take elements off a ring. */
static uint32_t take(tunnelcap_i_ring *ring, const void *slots, size_t bytes, void *out,
                     uint32_t cap, uint64_t *lost)
{
    uint32_t first = TUNNELCAP_I_LOAD(ring->first);
    uint32_t behind = TUNNELCAP_I_LOAD_ACQ(ring->behind);
    uint32_t taken = 0;

    for (; taken < cap && first != behind; first = tunnelcap_i_ring_next(ring, first), taken++)
        memcpy((uint8_t *)out + taken * bytes,
               (const uint8_t *)slots + tunnelcap_i_ring_slot(ring, first) * bytes, bytes);
    TUNNELCAP_I_STORE_REL(ring->first, first);
    if (lost != NULL)
        *lost = TUNNELCAP_I_LOAD(ring->lost);
    return taken;
}

uint32_t tunnelcap_lane_events(tunnelcap_lane *lane, tunnelcap_event *events, uint32_t cap,
                               uint64_t *lost)
{
    return lane == NULL || events == NULL
               ? 0
               : take(&lane->events, lane->event_slots, sizeof(*events), events, cap, lost);
}

uint32_t tunnelcap_lane_samples(tunnelcap_lane *lane, tunnelcap_sample *samples, uint32_t cap,
                                uint64_t *lost)
{
    return lane == NULL || samples == NULL ? 0
                                           : take(&lane->sampler.ring, lane->sampler.slots,
                                                  sizeof(*samples), samples, cap, lost);
}
