/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include <tunnelcap/health.h>

#include "object.h"

#include <string.h>

/* Implementation notes. Two memories of outcomes: a ring of the last 32 with their times, for
 * what looks at single samples, and counts in 300 steps of the window, for the share of failures.
 * A probe that is not answered fails at its deadline, not when the call that notices it comes: so
 * the state does not depend on how often the caller ticks. */

enum { OLDEST = sizeof(tunnelcap_health_config), OLDEST_INFO = sizeof(tunnelcap_health_info) };
enum {
    SAMPLES = 32,
    STEPS = 300,
    PENDING = 8,
    REPEATS = 2,
    NS_PER_MS = 1000000,
    HOUR_MS = 3600000
};

typedef struct pending_probe {
    uint64_t sent_ns;
    uint32_t seq;
    uint8_t awaited;
    uint8_t repeat; /* sent for another one's outcome: its own has no such consequence */
    uint8_t zero[2];
} pending_probe;

typedef struct outcome {
    uint64_t at_ns;
    uint64_t ok;
} outcome;

typedef struct step_count {
    uint16_t samples;
    uint16_t failures;
} step_count;

struct tunnelcap_health {
    tunnelcap_i_owner owner;
    tunnelcap_health_config config;
    uint64_t now_ns;
    uint64_t next_ns; /* of the next regular probe */
    uint64_t since_ns;
    uint64_t step; /* number of the step that `now_ns` is in */
    uint64_t sent, answered, failed;
    uint64_t rtt_ns, rtt_last_ns, jitter_ns;
    uint32_t state;
    uint32_t seq;      /* of the next probe */
    uint32_t repeats;  /* probes to send at once */
    uint32_t outcomes; /* in the ring, up to SAMPLES */
    uint32_t last;     /* index of the newest of them */
    uint32_t in_row;   /* successes since the last failure, up to SAMPLES */
    uint32_t samples;  /* sums over `steps` */
    uint32_t failures;
    uint32_t is_begun;
    pending_probe pending[PENDING];
    outcome ring[SAMPLES];
    step_count steps[STEPS];
};

static const tunnelcap_health_config defaults = {sizeof(defaults),
                                                 0,
                                                 TUNNELCAP_HEALTH_RATE_MID,
                                                 500,
                                                 300000,
                                                 1000,
                                                 2,
                                                 1000,
                                                 3,
                                                 3,
                                                 30,
                                                 300000,
                                                 TUNNELCAP_HEALTH_HEALTHY,
                                                 {0}};

int32_t tunnelcap_health_config_init(tunnelcap_health_config *config, uint32_t size)
{
    return tunnelcap_i_struct_init(config, size, &defaults, sizeof(defaults), OLDEST);
}

static uint32_t out_of(uint32_t value, uint32_t least, uint32_t most)
{
    return value < least || value > most;
}

static int32_t read_config(tunnelcap_health_config *own, const tunnelcap_health_config *config)
{
    int32_t status;

    *own = defaults;
    status = tunnelcap_i_struct_read(own, sizeof(*own), OLDEST, config);
    if (status != TUNNELCAP_OK)
        return status;
    if (own->flags != 0)
        return TUNNELCAP_E_FLAGS;
    if (own->state > TUNNELCAP_HEALTH_HEALTHY)
        return TUNNELCAP_E_MODE;
    if (!tunnelcap_i_is_zero(own->reserved, sizeof(own->reserved)))
        return TUNNELCAP_E_RESERVED;
    if (out_of(own->timeout_ms, 1, 999) || out_of(own->interval_ms, own->timeout_ms, HOUR_MS) ||
        out_of(own->window_ms, STEPS, HOUR_MS) || out_of(own->degraded_ppm, 1, 1000000) ||
        out_of(own->degraded_failures, 1, 1000) ||
        out_of(own->down_window_ms, own->timeout_ms, 60000) ||
        out_of(own->down_samples, 1, 1 + REPEATS) || out_of(own->up_samples, 1, SAMPLES) ||
        out_of(own->clean_samples, 1, SAMPLES) || own->dwell_ms > HOUR_MS)
        return TUNNELCAP_E_RANGE;
    return TUNNELCAP_OK;
}

static size_t lay_out(uint8_t *base, tunnelcap_health **health)
{
    tunnelcap_i_layout layout = {base, 0};

    *health = tunnelcap_i_layout_add(&layout, 1, sizeof(**health));
    return layout.size;
}

size_t tunnelcap_health_size(const tunnelcap_health_config *config)
{
    tunnelcap_health_config own;
    tunnelcap_health *health;

    return read_config(&own, config) == TUNNELCAP_OK ? lay_out(NULL, &health) : 0;
}

int32_t tunnelcap_health_init(void *mem, size_t mem_size, const tunnelcap_health_config *config,
                              tunnelcap_health **out)
{
    tunnelcap_health_config own;
    tunnelcap_health *health;
    size_t need = lay_out(NULL, &health);
    int32_t status = read_config(&own, config);

    if (status != TUNNELCAP_OK)
        return status;
    if (out == NULL)
        return TUNNELCAP_E_INVALID;
    status = tunnelcap_i_memory_check(mem, mem_size, need);
    if (status != TUNNELCAP_OK)
        return status;

    memset(mem, 0, need);
    lay_out(mem, &health);
    health->owner.bytes = need;
    health->config = own;
    health->state = own.state;
    *out = health;
    return TUNNELCAP_OK;
}

void tunnelcap_health_fini(tunnelcap_health *health)
{
    tunnelcap_i_memory_end(health);
}

int32_t tunnelcap_health_new(const tunnelcap_health_config *config, const tunnelcap_alloc *alloc,
                             tunnelcap_health **out)
{
    tunnelcap_health_config own;
    tunnelcap_health *health;
    tunnelcap_i_owner owner;
    void *mem;
    int32_t status = read_config(&own, config);

    if (status != TUNNELCAP_OK)
        return status;
    if (out == NULL)
        return TUNNELCAP_E_INVALID;
    status = tunnelcap_i_memory_get(lay_out(NULL, &health), alloc, &mem, &owner);
    if (status != TUNNELCAP_OK)
        return status;
    tunnelcap_health_init(mem, owner.bytes, config, out);
    (*out)->owner = owner;
    return TUNNELCAP_OK;
}

void tunnelcap_health_free(tunnelcap_health *health)
{
    tunnelcap_i_memory_end(health);
}

/* ---- the memory of outcomes ---- */

/* Move the window on to the step of a time: steps that leave it are forgotten. */
static void advance_window(tunnelcap_health *h, uint64_t at_ns)
{
    uint64_t step = at_ns / ((uint64_t)h->config.window_ms * NS_PER_MS / STEPS);
    uint64_t passed = step > h->step ? step - h->step : 0;
    step_count *old;

    if (passed > STEPS)
        passed = STEPS;
    for (uint64_t i = 1; i <= passed; i++) {
        old = &h->steps[(step - passed + i) % STEPS];
        h->samples -= old->samples;
        h->failures -= old->failures;
        memset(old, 0, sizeof(*old));
    }
    h->step += step > h->step ? step - h->step : 0;
}

static void remember(tunnelcap_health *h, uint64_t at_ns, uint32_t ok)
{
    step_count *now;

    advance_window(h, at_ns);
    now = &h->steps[h->step % STEPS];
    if (now->samples < UINT16_MAX) {
        now->samples++;
        now->failures = (uint16_t)(now->failures + !ok);
        h->samples++;
        h->failures += !ok;
    }
    h->last = (h->last + 1) % SAMPLES;
    h->ring[h->last].at_ns = at_ns;
    h->ring[h->last].ok = ok;
    h->outcomes += h->outcomes < SAMPLES;
    h->in_row = ok ? h->in_row + (h->in_row < SAMPLES) : 0;
}

/* ---- the state ---- */

static uint32_t is_lossy(const tunnelcap_health *h)
{
    return h->failures >= h->config.degraded_failures &&
           (uint64_t)h->failures * 1000000 >= (uint64_t)h->samples * h->config.degraded_ppm;
}

static uint32_t is_dead(const tunnelcap_health *h, uint64_t at_ns)
{
    uint64_t span = (uint64_t)h->config.down_window_ms * NS_PER_MS;
    const outcome *o;
    uint32_t count = 0;

    for (; count < h->outcomes; count++) {
        o = &h->ring[(h->last + SAMPLES - count) % SAMPLES];
        if (at_ns - o->at_ns > span)
            break;
        if (o->ok)
            return 0;
    }
    return count >= h->config.down_samples;
}

static uint32_t is_well(const tunnelcap_health *h, uint64_t at_ns)
{
    return at_ns - h->since_ns >= (uint64_t)h->config.dwell_ms * NS_PER_MS &&
           h->in_row >= h->config.clean_samples && !is_lossy(h);
}

static uint32_t judge(const tunnelcap_health *h, uint64_t at_ns)
{
    if (is_dead(h, at_ns))
        return TUNNELCAP_HEALTH_DOWN;
    switch (h->state) {
    case TUNNELCAP_HEALTH_DOWN:
        return h->in_row >= h->config.up_samples ? TUNNELCAP_HEALTH_DEGRADED
                                                 : TUNNELCAP_HEALTH_DOWN;
    case TUNNELCAP_HEALTH_DEGRADED:
        return is_well(h, at_ns) ? TUNNELCAP_HEALTH_HEALTHY : TUNNELCAP_HEALTH_DEGRADED;
    default:
        return is_lossy(h) ? TUNNELCAP_HEALTH_DEGRADED : TUNNELCAP_HEALTH_HEALTHY;
    }
}

/* 1 if the state has changed. */
static uint32_t update(tunnelcap_health *h, uint64_t at_ns)
{
    uint32_t state;

    advance_window(h, at_ns);
    state = judge(h, at_ns);
    if (state == h->state)
        return 0;
    h->state = state;
    h->since_ns = at_ns;
    return 1;
}

static uint32_t settle(tunnelcap_health *h, pending_probe *probe, uint64_t at_ns, uint32_t ok)
{
    uint32_t was_down = h->state == TUNNELCAP_HEALTH_DOWN;
    uint32_t changed;

    probe->awaited = 0;
    h->answered += ok;
    h->failed += !ok;
    remember(h, at_ns, ok);
    changed = update(h, at_ns);
    if (!probe->repeat && ok == was_down)
        h->repeats = REPEATS;
    return changed;
}

/* ---- probes ---- */

/* The awaited probe that was sent first; NULL if none is awaited. */
static pending_probe *oldest_pending(tunnelcap_health *h)
{
    pending_probe *oldest = NULL;

    for (uint32_t i = 0; i < PENDING; i++) {
        pending_probe *p = &h->pending[i];

        if (p->awaited && (oldest == NULL || p->sent_ns < oldest->sent_ns))
            oldest = p;
    }
    return oldest;
}

static uint64_t deadline_of(const tunnelcap_health *h, const pending_probe *probe)
{
    return probe->sent_ns + (uint64_t)h->config.timeout_ms * NS_PER_MS;
}

/* Fail what was not answered in time; 1 if the state has changed. */
static uint32_t expire(tunnelcap_health *h)
{
    pending_probe *oldest;
    uint32_t changed = 0;

    while ((oldest = oldest_pending(h)) != NULL && deadline_of(h, oldest) <= h->now_ns)
        changed |= settle(h, oldest, deadline_of(h, oldest), 0);
    return changed;
}

static void send_one(tunnelcap_health *h, uint8_t repeat, tunnelcap_health_due *due)
{
    for (uint32_t i = 0; i < PENDING; i++) {
        pending_probe *p = &h->pending[i];

        if (p->awaited)
            continue;
        p->awaited = 1;
        p->repeat = repeat;
        p->sent_ns = h->now_ns;
        p->seq = h->seq++;
        h->sent++;
        due->count++;
        return;
    }
}

static void tell_due(tunnelcap_health *h, tunnelcap_health_due *due)
{
    uint64_t interval = (uint64_t)h->config.interval_ms * NS_PER_MS;
    const pending_probe *oldest;

    due->seq = h->seq;
    due->count = 0;
    for (; h->repeats > 0; h->repeats--)
        send_one(h, 1, due);
    if (!h->is_begun || h->now_ns >= h->next_ns) {
        send_one(h, 0, due);
        h->next_ns = h->is_begun && h->now_ns - h->next_ns < interval ? h->next_ns + interval
                                                                      : h->now_ns + interval;
        h->is_begun = 1;
    }
    due->next_ns = h->next_ns;
    oldest = oldest_pending(h);
    if (oldest != NULL && deadline_of(h, oldest) < due->next_ns)
        due->next_ns = deadline_of(h, oldest);
}

int32_t tunnelcap_health_tick(tunnelcap_health *health, uint64_t now_ns, tunnelcap_health_due *due)
{
    uint32_t changed;

    if (health == NULL || due == NULL)
        return TUNNELCAP_E_INVALID;
    if (now_ns > health->now_ns)
        health->now_ns = now_ns;
    changed = expire(health);
    changed |= update(health, health->now_ns);
    tell_due(health, due);
    return changed ? TUNNELCAP_CHANGED : TUNNELCAP_OK;
}

static void note_rtt(tunnelcap_health *h, uint64_t rtt)
{
    uint64_t before = h->rtt_last_ns;
    uint64_t change = rtt > before ? rtt - before : before - rtt;

    h->rtt_last_ns = rtt;
    if (h->answered == 0) {
        h->rtt_ns = rtt;
        return;
    }
    h->rtt_ns = h->rtt_ns - h->rtt_ns / 8 + rtt / 8;
    h->jitter_ns = h->jitter_ns - h->jitter_ns / 16 + change / 16;
}

int32_t tunnelcap_health_answer(tunnelcap_health *health, uint32_t seq, uint64_t now_ns,
                                tunnelcap_health_due *due)
{
    pending_probe *probe = NULL;
    uint32_t changed;

    if (health == NULL || due == NULL)
        return TUNNELCAP_E_INVALID;
    if (now_ns > health->now_ns)
        health->now_ns = now_ns;
    changed = expire(health);
    for (uint32_t i = 0; i < PENDING && probe == NULL; i++) {
        if (health->pending[i].awaited && health->pending[i].seq == seq)
            probe = &health->pending[i];
    }
    if (probe != NULL) {
        note_rtt(health, health->now_ns - probe->sent_ns);
        changed |= settle(health, probe, health->now_ns, 1);
    }
    changed |= update(health, health->now_ns);
    tell_due(health, due);
    if (changed)
        return TUNNELCAP_CHANGED;
    return probe != NULL ? TUNNELCAP_OK : TUNNELCAP_E_NOT_FOUND;
}

int32_t tunnelcap_health_get_info(const tunnelcap_health *health, tunnelcap_health_info *info,
                                  uint32_t size)
{
    tunnelcap_health_info own;

    if (health == NULL)
        return TUNNELCAP_E_INVALID;
    memset(&own, 0, sizeof(own));
    own.state = health->state;
    own.since_ns = health->since_ns;
    own.sent = health->sent;
    own.answered = health->answered;
    own.failed = health->failed;
    own.rtt_ns = health->rtt_ns;
    own.rtt_last_ns = health->rtt_last_ns;
    own.jitter_ns = health->jitter_ns;
    own.samples = health->samples;
    own.failures = health->failures;
    if (health->samples != 0)
        own.loss_ppm = (uint32_t)((uint64_t)health->failures * 1000000 / health->samples);
    return tunnelcap_i_struct_init(info, size, &own, sizeof(own), OLDEST_INFO);
}

uint32_t tunnelcap_health_penalty(uint32_t state)
{
    switch (state) {
    case TUNNELCAP_HEALTH_HEALTHY:
        return 0;
    case TUNNELCAP_HEALTH_DEGRADED:
        return TUNNELCAP_HEALTH_PENALTY_DEGRADED;
    default:
        return TUNNELCAP_HEALTH_PENALTY_DOWN;
    }
}
