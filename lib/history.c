/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include <tunnelcap/history.h>

#include "object.h"

#include <string.h>

/* Implementation notes. Each span has a bucket that is open and a ring of closed ones. What was
 * added since the last call belongs to the whole seconds since then; of n seconds, the first k get
 * floor(added * k / n), so a bucket's part is the difference of two such sums and nothing is lost
 * to rounding, however the seconds fall into buckets. */

enum {
    OLDEST = sizeof(tunnelcap_history_config),
    OLDEST_BUCKET = sizeof(tunnelcap_history_bucket)
};
enum { SPANS = TUNNELCAP_HISTORY_SPANS, KEEP_MAX = 100000, STATE_MAX = 2, VALUES = 4 };

/* Indices of what is counted. */
enum { ENCAP_BYTES, ENCAP_PACKETS, DECAP_BYTES, DECAP_PACKETS };

static const uint32_t span_seconds[SPANS] = {1, 60, 300, 3600};

typedef struct bucket {
    uint64_t start_s;
    uint64_t sum[VALUES];
    uint64_t peak[VALUES]; /* bytes or packets of the busiest second */
    uint16_t seconds;
    uint16_t state; /* sum over the seconds */
    uint32_t flags;
} bucket;

typedef struct series {
    bucket open; /* seconds is 0 before anything came */
    bucket *ring;
    uint32_t keep;
    uint32_t count; /* closed, up to keep */
    uint32_t last;  /* index of the newest of them */
    uint32_t is_begun;
} series;

struct tunnelcap_history {
    tunnelcap_i_owner owner;
    uint64_t now_s; /* the second that is not over yet */
    uint64_t totals[VALUES];
    uint32_t is_begun;
    uint32_t is_cut; /* that second had begun when the history did */
    series series[SPANS];
};

static const tunnelcap_history_config defaults = {sizeof(defaults), 0, {120, 120, 2016, 744}};

int32_t tunnelcap_history_config_init(tunnelcap_history_config *config, uint32_t size)
{
    return tunnelcap_i_struct_init(config, size, &defaults, sizeof(defaults), OLDEST);
}

static int32_t read_config(tunnelcap_history_config *own, const tunnelcap_history_config *config)
{
    int32_t status;

    *own = defaults;
    status = tunnelcap_i_struct_read(own, sizeof(*own), OLDEST, config);
    if (status != TUNNELCAP_OK)
        return status;
    if (own->flags != 0)
        return TUNNELCAP_E_FLAGS;
    for (uint32_t i = 0; i < SPANS; i++) {
        if (own->keep[i] < 1 || own->keep[i] > KEEP_MAX)
            return TUNNELCAP_E_RANGE;
    }
    return TUNNELCAP_OK;
}

static size_t lay_out(uint8_t *base, const tunnelcap_history_config *config,
                      tunnelcap_history *parts)
{
    tunnelcap_i_layout layout = {base, 0};

    tunnelcap_i_layout_add(&layout, 1, sizeof(*parts));
    for (uint32_t i = 0; i < SPANS; i++)
        parts->series[i].ring =
            tunnelcap_i_layout_add(&layout, config->keep[i], sizeof(*parts->series[i].ring));
    return layout.size;
}

size_t tunnelcap_history_size(const tunnelcap_history_config *config)
{
    tunnelcap_history_config own;
    tunnelcap_history parts;

    return read_config(&own, config) == TUNNELCAP_OK ? lay_out(NULL, &own, &parts) : 0;
}

int32_t tunnelcap_history_init(void *mem, size_t mem_size, const tunnelcap_history_config *config,
                               tunnelcap_history **out)
{
    tunnelcap_history_config own;
    tunnelcap_history *history = mem;
    size_t need;
    int32_t status = read_config(&own, config);

    if (status != TUNNELCAP_OK)
        return status;
    if (out == NULL)
        return TUNNELCAP_E_INVALID;
    need = tunnelcap_history_size(config);
    status = tunnelcap_i_memory_check(mem, mem_size, need);
    if (status != TUNNELCAP_OK)
        return status;

    memset(mem, 0, need);
    lay_out(mem, &own, history);
    history->owner.bytes = need;
    for (uint32_t i = 0; i < SPANS; i++)
        history->series[i].keep = own.keep[i];
    *out = history;
    return TUNNELCAP_OK;
}

void tunnelcap_history_fini(tunnelcap_history *history)
{
    tunnelcap_i_memory_end(history);
}

int32_t tunnelcap_history_new(const tunnelcap_history_config *config, const tunnelcap_alloc *alloc,
                              tunnelcap_history **out)
{
    tunnelcap_history_config own;
    tunnelcap_i_owner owner;
    void *mem;
    int32_t status = read_config(&own, config);

    if (status != TUNNELCAP_OK)
        return status;
    if (out == NULL)
        return TUNNELCAP_E_INVALID;
    status = tunnelcap_i_memory_get(tunnelcap_history_size(config), alloc, &mem, &owner);
    if (status != TUNNELCAP_OK)
        return status;
    tunnelcap_history_init(mem, owner.bytes, config, out);
    (*out)->owner = owner;
    return TUNNELCAP_OK;
}

void tunnelcap_history_free(tunnelcap_history *history)
{
    tunnelcap_i_memory_end(history);
}

/* What has come in a number of seconds. */
typedef struct arrival {
    uint64_t first_s;
    uint64_t seconds;
    uint64_t added[VALUES];
    uint32_t state;
    uint32_t flags;
    uint32_t is_cut; /* the first second had begun before */
} arrival;

/* The part of what was added that falls into the first `k` of its seconds. */
static uint64_t part_until(const arrival *a, uint32_t value, uint64_t k)
{
    uint64_t each = a->added[value] / a->seconds;
    uint64_t rest = a->added[value] % a->seconds;

    return each * k + rest * k / a->seconds; /* seconds < 2^32, so the product fits */
}

static void close_open(series *s)
{
    s->last = s->count == 0 ? 0 : (s->last + 1) % s->keep;
    s->ring[s->last] = s->open;
    s->count += s->count < s->keep;
    memset(&s->open, 0, sizeof(s->open));
}

/* Add seconds k to `end` of an arrival, all within one bucket, to the open bucket. */
static void fill_open(bucket *open, const arrival *a, uint64_t k, uint64_t end)
{
    uint64_t part;
    uint64_t peak;

    for (uint32_t v = 0; v < VALUES; v++) {
        part = part_until(a, v, end) - part_until(a, v, k);
        open->sum[v] += part;
        peak = part / (end - k) + (part % (end - k) != 0);
        if (peak > open->peak[v])
            open->peak[v] = peak;
    }
    open->seconds = (uint16_t)(open->seconds + (end - k));
    open->state = (uint16_t)(open->state + a->state * (end - k));
    open->flags |= a->flags;
}

static void add_to_series(series *s, const arrival *a, uint32_t span)
{
    uint64_t kept = (uint64_t)span * ((uint64_t)s->keep + 1);
    uint64_t k = 0;
    uint64_t end;
    uint64_t start_s;

    while (k < a->seconds) {
        start_s = (a->first_s + k) / span * span;
        end = start_s + span - a->first_s;
        if (end > a->seconds)
            end = a->seconds;
        if (s->open.seconds != 0 && s->open.start_s != start_s)
            close_open(s);
        if (s->open.seconds == 0 && a->seconds - k > kept) {
            k = a->seconds - kept; /* what comes before would be pushed out of the ring again */
            continue;
        }
        if (s->open.seconds == 0) {
            s->open.start_s = start_s;
            if (!s->is_begun && (a->is_cut || start_s != a->first_s + k))
                s->open.flags = TUNNELCAP_HISTORY_PARTIAL;
            s->is_begun = 1;
        }
        fill_open(&s->open, a, k, end);
        k = end;
    }
    if (s->open.seconds != 0 && s->open.start_s + span <= a->first_s + a->seconds)
        close_open(s);
}

int32_t tunnelcap_history_add(tunnelcap_history *history, uint64_t now_ns,
                              const tunnelcap_history_totals *totals, uint32_t state)
{
    uint64_t now_s = now_ns / 1000000000;
    uint64_t got[VALUES];
    arrival a;

    if (history == NULL || totals == NULL)
        return TUNNELCAP_E_INVALID;
    if (state > STATE_MAX)
        return TUNNELCAP_E_RANGE;
    got[ENCAP_BYTES] = totals->encap_bytes;
    got[ENCAP_PACKETS] = totals->encap_packets;
    got[DECAP_BYTES] = totals->decap_bytes;
    got[DECAP_PACKETS] = totals->decap_packets;
    if (!history->is_begun) {
        history->is_begun = 1;
        history->now_s = now_s;
        history->is_cut = now_ns % 1000000000 != 0;
        memcpy(history->totals, got, sizeof(got));
        return TUNNELCAP_OK;
    }
    if (now_s <= history->now_s)
        return TUNNELCAP_OK;

    memset(&a, 0, sizeof(a));
    a.first_s = history->now_s;
    a.seconds = now_s - history->now_s;
    if (a.seconds > UINT32_MAX) { /* a clock that was set; nobody has watched for so long */
        a.first_s = now_s - UINT32_MAX;
        a.seconds = UINT32_MAX;
    }
    a.state = state;
    a.is_cut = history->is_cut;
    a.flags = a.seconds > 1 ? TUNNELCAP_HISTORY_LATE : 0;
    for (uint32_t v = 0; v < VALUES; v++) {
        if (got[v] < history->totals[v])
            a.flags |= TUNNELCAP_HISTORY_RESTART;
    }
    for (uint32_t v = 0; v < VALUES; v++)
        a.added[v] = a.flags & TUNNELCAP_HISTORY_RESTART ? got[v] : got[v] - history->totals[v];
    for (uint32_t i = 0; i < SPANS; i++)
        add_to_series(&history->series[i], &a, span_seconds[i]);
    history->now_s = now_s;
    history->is_cut = 0;
    memcpy(history->totals, got, sizeof(got));
    return TUNNELCAP_OK;
}

/* The bucket of an index from the newest. */
static const bucket *bucket_at(const series *s, uint32_t index)
{
    return &s->ring[(s->last + s->keep - index) % s->keep];
}

static void tell_flow(const bucket *b, uint32_t bytes, tunnelcap_history_flow *flow)
{
    uint32_t packets = bytes + 1;

    flow->bytes = b->sum[bytes];
    flow->packets = b->sum[packets];
    flow->bit_rate = b->sum[bytes] * 8 / b->seconds;
    flow->packet_rate = b->sum[packets] / b->seconds;
    flow->peak_bit_rate = b->peak[bytes] * 8;
    flow->peak_packet_rate = b->peak[packets];
}

int32_t tunnelcap_history_get(const tunnelcap_history *history, uint32_t span, uint32_t index,
                              tunnelcap_history_bucket *bucket_out, uint32_t size)
{
    tunnelcap_history_bucket own;
    const bucket *b;

    if (history == NULL || bucket_out == NULL)
        return TUNNELCAP_E_INVALID;
    if (size < OLDEST_BUCKET)
        return TUNNELCAP_E_VERSION;
    if (span >= SPANS)
        return TUNNELCAP_E_MODE;
    if (index >= history->series[span].count)
        return TUNNELCAP_E_NOT_FOUND;
    b = bucket_at(&history->series[span], index);
    memset(&own, 0, sizeof(own));
    own.flags = b->flags;
    own.start_s = b->start_s;
    own.seconds = b->seconds;
    own.state_ppm = (uint32_t)b->state * (1000000 / STATE_MAX) / b->seconds;
    tell_flow(b, ENCAP_BYTES, &own.encap);
    tell_flow(b, DECAP_BYTES, &own.decap);
    return tunnelcap_i_struct_init(bucket_out, size, &own, sizeof(own), OLDEST_BUCKET);
}

/* Bit rate of a bucket: 0 in, 1 out, 2 the larger one. */
static uint64_t rate_of(const bucket *b, uint32_t which)
{
    uint64_t in = b->sum[ENCAP_BYTES];
    uint64_t out = b->sum[DECAP_BYTES];
    uint64_t bytes = which == 0 ? in : which == 1 || out > in ? out : in;

    return bytes * 8 / b->seconds;
}

/* The least rate that `rank` of the newest `count` buckets do not exceed: found bit by bit. */
static uint64_t rate_at_rank(const series *s, uint32_t count, uint32_t rank, uint32_t which)
{
    uint64_t rate = 0;
    uint32_t below;

    for (uint32_t bit = 64; bit-- > 0;) {
        below = 0;
        for (uint32_t i = 0; i < count; i++)
            below += rate_of(bucket_at(s, i), which) < (rate | (uint64_t)1 << bit);
        if (below < rank)
            rate |= (uint64_t)1 << bit;
    }
    return rate;
}

int32_t tunnelcap_history_percentile(const tunnelcap_history *history, uint32_t span,
                                     uint32_t count, uint32_t percent, uint64_t rates[3])
{
    const series *s;
    uint32_t rank;

    if (history == NULL || rates == NULL)
        return TUNNELCAP_E_INVALID;
    if (span >= SPANS)
        return TUNNELCAP_E_MODE;
    if (count == 0 || percent < 1 || percent > 100)
        return TUNNELCAP_E_RANGE;
    s = &history->series[span];
    if (s->count == 0)
        return TUNNELCAP_E_NOT_FOUND;
    if (count > s->count)
        count = s->count;
    rank = (count * percent + 99) / 100;
    for (uint32_t which = 0; which < 3; which++)
        rates[which] = rate_at_rank(s, count, rank, which);
    return TUNNELCAP_OK;
}
