/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Sets, sources and cells; and which set goes when they run out. */
#include "reassembly.h"

void tunnelcap_i_reassembly_clear(tunnelcap_reassembly *r)
{
    for (uint32_t i = r->sets_max; i > 0; i--) {
        r->sets[i].hash_next = r->free_set;
        r->free_set = i;
        r->sources[i].hash_next = r->free_source;
        r->free_source = i;
    }
    for (uint32_t i = r->cells_max; i > 0; i--) {
        r->units[i].there = r->free_cell;
        r->free_cell = i;
    }
}

/* ---- classes of sources ---- */

static uint32_t highest_bit(uint32_t bits)
{
#ifdef __GNUC__
    return 31u - (uint32_t)__builtin_clz(bits);
#else
    uint32_t n = 31;

    while (!(bits >> n & 1))
        n--;
    return n;
#endif
}

static uint32_t class_for(const tunnelcap_reassembly *r, const tunnelcap_i_source *source)
{
    uint32_t weight = source->sets * r->weight + source->cells;
    uint32_t bit;

    if (weight <= r->small)
        return 0;
    bit = highest_bit(weight);
    return 1 + bit * 4 + (bit < 2 ? 0 : weight >> (bit - 2) & 3);
}

static void class_leave(tunnelcap_reassembly *r, uint32_t at)
{
    tunnelcap_i_source *source = &r->sources[at];
    uint32_t class_of = source->class_of;

    if (source->before != 0)
        r->sources[source->before].behind = source->behind;
    else
        r->class_first[class_of] = source->behind;
    if (source->behind != 0)
        r->sources[source->behind].before = source->before;
    else
        r->class_last[class_of] = source->before;
    if (r->class_first[class_of] == 0)
        r->class_any[class_of / 32] &= ~((uint32_t)1 << class_of % 32);
}

static void class_enter(tunnelcap_reassembly *r, uint32_t at, uint32_t class_of)
{
    tunnelcap_i_source *source = &r->sources[at];

    source->class_of = class_of;
    source->behind = 0;
    source->before = r->class_last[class_of];
    if (source->before != 0)
        r->sources[source->before].behind = at;
    else
        r->class_first[class_of] = at;
    r->class_last[class_of] = at;
    r->class_any[class_of / 32] |= (uint32_t)1 << class_of % 32;
}

void tunnelcap_i_source_weigh(tunnelcap_reassembly *r, uint32_t source)
{
    uint32_t class_of = class_for(r, &r->sources[source]);

    if (class_of == r->sources[source].class_of)
        return;
    class_leave(r, source);
    class_enter(r, source, class_of);
}

/* The source that holds most, if that is more than a sixteenth; else 0. */
static uint32_t largest_source(const tunnelcap_reassembly *r)
{
    uint32_t class_of;

    for (uint32_t i = TUNNELCAP_I_CLASSES / 32; i-- > 0;) {
        if (r->class_any[i] == 0)
            continue;
        class_of = i * 32 + highest_bit(r->class_any[i]);
        return class_of == 0 ? 0 : r->class_first[class_of];
    }
    return 0;
}

/* ---- sources ---- */

/* A source as its sets' keys name it. */
static tunnelcap_i_source source_of(const tunnelcap_i_set_key *key)
{
    tunnelcap_i_source source;

    memset(&source, 0, sizeof(source));
    memcpy(source.addr, key->addr, key->family == TUNNELCAP_IPV4 ? 4 : 8);
    source.vrf = key->vrf;
    source.family = key->family;
    return source;
}

/* The entry of a source, or 0. */
static uint32_t source_find(const tunnelcap_reassembly *r, tunnelcap_i_source *wanted)
{
    uint64_t hash = tunnelcap_i_hash2(r->key, tunnelcap_i_word64(wanted->addr),
                                      (uint64_t)wanted->vrf << 32 | wanted->family);
    uint32_t at;

    wanted->bucket = (uint32_t)hash & r->hash_mask;
    at = r->source_hash[wanted->bucket];
    while (at != 0 &&
           (tunnelcap_i_word64(r->sources[at].addr) != tunnelcap_i_word64(wanted->addr) ||
            r->sources[at].vrf != wanted->vrf || r->sources[at].family != wanted->family))
        at = r->sources[at].hash_next;
    return at;
}

/* There are as many places for sources as for sets, so there is one. */
static uint32_t source_new(tunnelcap_reassembly *r, const tunnelcap_i_source *wanted)
{
    uint32_t *bucket = &r->source_hash[wanted->bucket];
    uint32_t at = r->free_source;

    r->free_source = r->sources[at].hash_next;
    r->sources_used++;
    r->sources[at] = *wanted;
    r->sources[at].hash_next = *bucket;
    *bucket = at;
    class_enter(r, at, 0);
    return at;
}

static void source_drop(tunnelcap_reassembly *r, uint32_t at)
{
    tunnelcap_i_source *source = &r->sources[at];
    uint32_t *link = &r->source_hash[source->bucket];

    class_leave(r, at);
    while (*link != at)
        link = &r->sources[*link].hash_next;
    *link = source->hash_next;
    source->family = 0;
    source->hash_next = r->free_source;
    r->free_source = at;
    r->sources_used--;
}

/* ---- sets ---- */

/* Give back a cell that is there; the freed one is the next that is taken. */
static uint32_t cell_free(tunnelcap_reassembly *r, uint32_t *cell)
{
    if (*cell == 0)
        return 0;
    r->units[*cell].there = r->free_cell;
    r->free_cell = *cell;
    *cell = 0;
    return 1;
}

/* Last cells first, so that the next set gets them in the order in which they lie. */
static void free_cells(tunnelcap_reassembly *r, tunnelcap_i_set *set)
{
    uint32_t end = (tunnelcap_i_set_end(set) + TUNNELCAP_I_CELL - 1) / TUNNELCAP_I_CELL;
    uint32_t count = cell_free(r, &set->header_cell);
    uint32_t *index;

    if (set->index_cell != 0) {
        index = tunnelcap_i_cell_index(r, set->index_cell);
        for (; end > TUNNELCAP_I_CELLS_DIRECT; end--)
            count += cell_free(r, &index[end - 1]);
        count += cell_free(r, &set->index_cell);
    }
    if (end > TUNNELCAP_I_CELLS_DIRECT) /* discarded before: nothing is left of the index */
        end = TUNNELCAP_I_CELLS_DIRECT;
    for (; end > 0; end--)
        count += cell_free(r, &set->cell[end - 1]);
    set->cells -= count;
    r->sources[set->source].cells -= count;
    r->cells_used -= count;
}

void tunnelcap_i_set_drop(tunnelcap_reassembly *r, uint32_t at)
{
    tunnelcap_i_set *set = &r->sets[at];
    tunnelcap_i_source *source = &r->sources[set->source];
    uint32_t *link = &r->set_hash[set->bucket];

    free_cells(r, set);
    while (*link != at)
        link = &r->sets[*link].hash_next;
    *link = set->hash_next;
    r->sets[set->older].younger = set->younger;
    r->sets[set->younger].older = set->older;
    if (set->s_older != 0)
        r->sets[set->s_older].s_younger = set->s_younger;
    else
        source->oldest = set->s_younger;
    if (set->s_younger != 0)
        r->sets[set->s_younger].s_older = set->s_older;
    else
        source->youngest = set->s_older;
    source->sets--;
    if (source->sets == 0)
        source_drop(r, set->source);
    else
        tunnelcap_i_source_weigh(r, set->source);
    set->hash_next = r->free_set;
    r->free_set = at;
    r->sets_used--;
}

void tunnelcap_i_set_discard(tunnelcap_reassembly *r, uint32_t at, int32_t status)
{
    tunnelcap_i_set *set = &r->sets[at];

    free_cells(r, set);
    tunnelcap_i_source_weigh(r, set->source);
    set->status = status;
    switch (status) {
    case TUNNELCAP_E_OVERLAP:
        r->stats.overlapped++;
        break;
    case TUNNELCAP_E_ECN:
        r->stats.ecn_mixed++;
        break;
    case TUNNELCAP_E_FULL:
        r->stats.too_large++;
        break;
    default:
        r->stats.contradictory++;
    }
}

/* ---- eviction ---- */

/* Drop a set for its memory. */
static void evict(tunnelcap_reassembly *r, uint32_t at)
{
    if (!tunnelcap_i_set_due(r, at, r->clock_ns))
        r->stats.evicted++;
    else if (r->sets[at].status == TUNNELCAP_OK)
        r->stats.timed_out++;
    tunnelcap_i_set_drop(r, at);
}

/* The oldest set of a source but for `spare`; 0 if there is none. */
static uint32_t oldest_of(const tunnelcap_reassembly *r, uint32_t source, uint32_t spare)
{
    uint32_t at = r->sources[source].oldest;

    return at != 0 && at == spare ? r->sets[at].s_younger : at;
}

/* Make room by dropping one set other than `spare`: one that is due; else of the source that holds
 * most; else the oldest. 0 if there is no other set. */
static uint32_t make_room(tunnelcap_reassembly *r, uint32_t spare)
{
    uint32_t oldest = r->sets[0].younger;
    uint32_t at = 0;
    uint32_t source;

    if (oldest == spare)
        oldest = r->sets[oldest].younger;
    if (oldest == 0)
        return 0;
    if (!tunnelcap_i_set_due(r, oldest, r->clock_ns)) {
        source = largest_source(r);
        if (source != 0)
            at = oldest_of(r, source, spare);
    }
    evict(r, at != 0 ? at : oldest);
    return 1;
}

/* The entry of a source for one more set, for which there is a place then. */
static uint32_t source_for(tunnelcap_reassembly *r, const tunnelcap_i_set_key *key)
{
    tunnelcap_i_source wanted = source_of(key);
    uint32_t source = source_find(r, &wanted);

    if (source != 0 && r->sources[source].sets >= r->share_sets) {
        evict(r, r->sources[source].oldest);
        source = source_find(r, &wanted); /* that may have been its last one */
    } else if (r->free_set == 0) {
        make_room(r, 0);
        source = source_find(r, &wanted);
    }
    return source != 0 ? source : source_new(r, &wanted);
}

uint32_t tunnelcap_i_set_new(tunnelcap_reassembly *r, const tunnelcap_i_fragment *f)
{
    uint32_t source = source_for(r, &f->key);
    uint32_t *bucket = &r->set_hash[f->bucket];
    tunnelcap_i_set *set;
    uint32_t at;

    at = r->free_set;
    set = &r->sets[at];
    r->free_set = set->hash_next;
    r->sets_used++;
    memset(set, 0, offsetof(tunnelcap_i_set, header));
    set->key = f->key;
    set->bucket = f->bucket;
    set->born_ns = r->clock_ns;
    set->all_df = 1;
    set->source = source;
    set->hash_next = *bucket;
    *bucket = at;
    set->older = r->sets[0].older;
    r->sets[set->older].younger = at;
    r->sets[0].older = at;
    set->s_older = r->sources[source].youngest;
    if (set->s_older != 0)
        r->sets[set->s_older].s_younger = at;
    else
        r->sources[source].oldest = at;
    r->sources[source].youngest = at;
    r->sources[source].sets++;
    tunnelcap_i_source_weigh(r, source);
    return at;
}

uint32_t tunnelcap_i_cells_reserve(tunnelcap_reassembly *r, uint32_t set, uint32_t count)
{
    uint32_t source = r->sets[set].source;
    uint32_t other;

    if (r->sets[set].cells + count > r->share_cells)
        return 0;
    while (r->sources[source].cells + count > r->share_cells) {
        other = oldest_of(r, source, set);
        if (other == 0)
            return 0;
        evict(r, other);
    }
    while (r->cells_max - r->cells_used < count && make_room(r, set)) {
    }
    return r->cells_max - r->cells_used >= count;
}

uint32_t tunnelcap_i_cell_take(tunnelcap_reassembly *r, tunnelcap_i_set *set)
{
    uint32_t cell = r->free_cell;

    r->free_cell = (uint32_t)r->units[cell].there;
    r->units[cell].there = 0;
    r->units[cell].starts = 0;
    r->cells_used++;
    r->sources[set->source].cells++;
    set->cells++;
    return cell;
}
