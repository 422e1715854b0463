/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "pmtu.h"

/* Implementation notes. The writer's part: RFC 8899 section 5.2 with three differences, all for
 * the sake of hosts, which remember for ten minutes every smaller MTU that they are told of.
 *
 * - A size that is presumed to pass stays until a smaller one has been answered and it has not.
 *   Where nothing is answered, not even the floor, the far end is down, or answers no probes: that
 *   says nothing of sizes.
 * - What an ICMP message says is taken as it is, not cut down to the base, and confirmed next.
 *   Then one byte more is asked for: where that passes, the message was forged or the path has
 *   changed, and the search goes on.
 * - A search begins with the link's MTU. One that is to raise begins with one byte more than what
 *   passes now: if that fails, nothing has changed, at the price of a single size. */

/* One tick under way. */
typedef struct turn {
    uint64_t now;
    uint64_t word; /* what is decided upon */
    tunnelcap_pmtu_probe *probe;
    uint32_t changed;
    uint32_t lost; /* a lane has changed the word meanwhile: decide anew at the next tick */
} turn;

/* Make `mtu` the path MTU; gives 0 if a lane was faster. */
static uint32_t settle(tunnelcap_pmtu *p, turn *t, uint32_t mtu, uint32_t source)
{
    uint32_t before = tunnelcap_i_pmtu_mtu(t->word);
    /* Whoever found a size keeps the credit while it is only confirmed. */
    uint32_t flags = mtu == before ? (uint32_t)t->word & TUNNELCAP_I_PMTU_IMPORTED : 0;
    uint64_t next = tunnelcap_i_pmtu_word(mtu, source, flags | TUNNELCAP_I_PMTU_TAKEN, t->now);

    if (!tunnelcap_i_pmtu_replace(p, t->word, next)) {
        t->lost = 1;
        return 0;
    }
    t->word = next;
    if (mtu != before) {
        t->changed = 1;
        (void)TUNNELCAP_I_ADD(p->generation, 1);
    }
    return 1;
}

static void send_again(tunnelcap_pmtu *p, turn *t, uint64_t token)
{
    p->sent_ns = t->now;
    p->count = p->count < UINT8_MAX ? (uint8_t)(p->count + 1) : UINT8_MAX;
    t->probe->token = token;
    t->probe->size = TUNNELCAP_I_LOAD(p->probing);
}

/* Send the first probe of a size. */
static void ask(tunnelcap_pmtu *p, turn *t, uint32_t size)
{
    tunnelcap_i_flow_key key = {p->secret, ~p->secret};
    uint64_t token = tunnelcap_i_hash2(key, t->now, size);

    if (token <= TUNNELCAP_I_PMTU_ANSWERED)
        token += 2;
    if (p->state != TUNNELCAP_PMTU_DISABLED)
        p->count = 0;
    TUNNELCAP_I_STORE(p->probing, size);
    TUNNELCAP_I_STORE_REL(p->token, token);
    send_again(p, t, token);
}

/* The next size to ask for while searching; 0 if nothing is left between MTU and `high`. */
static uint32_t next_size(tunnelcap_pmtu *p, uint32_t mtu)
{
    uint32_t fresh = p->fresh;

    p->fresh = 0;
    if (p->high - mtu < 2)
        return 0;
    if (fresh)
        return mtu + 1; /* nothing larger passes where this does not */
    if (p->high > p->link)
        return p->link; /* most paths are as wide as their first link */
    return mtu + (p->high - mtu) / 2;
}

static void search(tunnelcap_pmtu *p, turn *t)
{
    uint32_t size = next_size(p, tunnelcap_i_pmtu_mtu(t->word));

    p->state = TUNNELCAP_PMTU_SEARCHING;
    if (size != 0) {
        ask(p, t, size);
        return;
    }
    p->state = TUNNELCAP_PMTU_SEARCH_COMPLETE;
    p->raised_ns = t->now;
}

/* The present MTU passes: see whether more does. */
static void widen(tunnelcap_pmtu *p, turn *t)
{
    p->high = p->link + 1;
    p->fresh = 1;
    search(p, t);
}

static void disable(tunnelcap_pmtu *p)
{
    p->state = TUNNELCAP_PMTU_DISABLED;
    p->count = 0;
}

/* A size passes. */
static void pass(tunnelcap_pmtu *p, turn *t, uint32_t size)
{
    uint32_t mtu = tunnelcap_i_pmtu_mtu(t->word);

    if (p->state == TUNNELCAP_PMTU_DISABLED && size < mtu) {
        p->state = TUNNELCAP_PMTU_BASE; /* the far end answers; one lost probe proves nothing */
        ask(p, t, mtu);
        return;
    }
    if (!settle(p, t, size, TUNNELCAP_PMTU_PROBED))
        return;
    if (p->state == TUNNELCAP_PMTU_SEARCH_COMPLETE)
        return;
    if (size == mtu)
        widen(p, t);
    else
        search(p, t);
}

/* A size does not pass. */
static void fail(tunnelcap_pmtu *p, turn *t, uint32_t size)
{
    p->high = size;
    p->fresh = 0;
    if (p->state == TUNNELCAP_PMTU_SEARCHING) {
        search(p, t);
    } else if (p->state == TUNNELCAP_PMTU_ERROR || size <= p->floor) {
        disable(p); /* not the size: nothing is answered */
    } else if (size > p->base) {
        p->state = TUNNELCAP_PMTU_BASE;
        ask(p, t, p->base);
    } else {
        p->state = TUNNELCAP_PMTU_ERROR;
        ask(p, t, p->floor);
    }
}

/* Take note of what a lane has changed: what ICMP or another server says is to be confirmed. */
static void take_change(tunnelcap_pmtu *p, turn *t)
{
    while (!((uint32_t)t->word & TUNNELCAP_I_PMTU_TAKEN)) {
        if (tunnelcap_i_pmtu_replace(p, t->word, t->word | TUNNELCAP_I_PMTU_TAKEN))
            t->word |= TUNNELCAP_I_PMTU_TAKEN;
        else
            t->word = TUNNELCAP_I_LOAD(p->word);
    }
    TUNNELCAP_I_STORE(p->token, 0);
    p->count = 0;
    if (p->state == TUNNELCAP_PMTU_DISABLED)
        return;
    p->state = TUNNELCAP_PMTU_BASE;
    ask(p, t, tunnelcap_i_pmtu_mtu(t->word));
}

/* Heed what lanes have left, now that it is known which probe is under way. */
static void take_hint(tunnelcap_pmtu *p, turn *t)
{
    uint32_t hint = TUNNELCAP_I_LOAD(p->hint);
    uint32_t size = hint & TUNNELCAP_I_PMTU_MTU;
    uint32_t mtu = tunnelcap_i_pmtu_mtu(t->word);
    uint32_t searching = p->state == TUNNELCAP_PMTU_SEARCHING;

    if (hint == 0)
        return;
    while (!TUNNELCAP_I_SWAP_IF(p->hint, hint, 0))
        ;
    if ((hint & TUNNELCAP_I_PMTU_SUSPECT) &&
        (searching || p->state == TUNNELCAP_PMTU_SEARCH_COMPLETE)) {
        p->state = TUNNELCAP_PMTU_BASE;
        ask(p, t, mtu);
    } else if (searching && !p->fresh && size > mtu && size < p->high &&
               size < TUNNELCAP_I_LOAD(p->probing)) {
        ask(p, t, size);
        p->fresh = 1; /* if it passes, one more should not */
    }
}

/* How long to wait before the next probe where none is waited for. */
static uint64_t interval(const tunnelcap_pmtu *p)
{
    uint32_t soon = p->state == TUNNELCAP_PMTU_DISABLED && p->count < 3u * p->max_probes &&
                    p->count < UINT8_MAX;

    return TUNNELCAP_I_PMTU_MS * (soon ? p->probe_ms : p->confirm_ms);
}

/* Nothing is under way: is anything due? */
static void take_up(tunnelcap_pmtu *p, turn *t)
{
    uint32_t mtu = tunnelcap_i_pmtu_mtu(t->word);
    uint32_t base = p->base < mtu ? p->base : mtu;
    uint64_t waited = tunnelcap_i_pmtu_elapsed(&p->sent_ns, t->now);

    if (p->state == TUNNELCAP_PMTU_DISABLED) {
        if (p->count == 0 || waited >= interval(p))
            ask(p, t, p->count % 3 == 0 ? mtu : p->count % 3 == 1 ? base : p->floor);
    } else if (p->state == TUNNELCAP_PMTU_SEARCH_COMPLETE) {
        if (mtu < p->link &&
            tunnelcap_i_pmtu_elapsed(&p->raised_ns, t->now) >= TUNNELCAP_I_PMTU_MS * p->raise_ms)
            widen(p, t);
        else if (waited >= interval(p))
            ask(p, t, mtu);
    }
}

/* The probe under way: is it answered, or late? */
static void take_answer(tunnelcap_pmtu *p, turn *t)
{
    uint64_t token = TUNNELCAP_I_LOAD_ACQ(p->token);
    uint32_t size = TUNNELCAP_I_LOAD(p->probing);

    if (token == TUNNELCAP_I_PMTU_ANSWERED) {
        TUNNELCAP_I_STORE(p->token, 0);
        pass(p, t, size);
    } else if (token != 0 && p->state != TUNNELCAP_PMTU_DISABLED &&
               tunnelcap_i_pmtu_elapsed(&p->sent_ns, t->now) >= TUNNELCAP_I_PMTU_MS * p->probe_ms) {
        if (p->count < p->max_probes) {
            send_again(p, t, token);
        } else {
            TUNNELCAP_I_STORE(p->token, 0);
            fail(p, t, size);
        }
    }
}

/* Whether ICMP, or a far end that answers no more, is to be believed only for a time. */
static uint32_t does_age(const tunnelcap_pmtu *p, const turn *t)
{
    return p->state == TUNNELCAP_PMTU_DISABLED &&
           tunnelcap_i_pmtu_source(t->word) != TUNNELCAP_PMTU_PRESUMED &&
           tunnelcap_i_pmtu_mtu(t->word) < p->link;
}

/* Forget what is too old; a word from the future, after a clock that went back, is of today. */
static void grow_old(tunnelcap_pmtu *p, turn *t)
{
    uint64_t step = t->now & ~(TUNNELCAP_I_PMTU_UNIT - 1);

    if (!does_age(p, t))
        return;
    if ((int64_t)(step - (t->word & ~(TUNNELCAP_I_PMTU_UNIT - 1))) < 0) {
        uint64_t next = step | (t->word & (TUNNELCAP_I_PMTU_UNIT - 1));

        if (tunnelcap_i_pmtu_replace(p, t->word, next))
            t->word = next;
    }
    /* One step more: of the first one, some may have been over. */
    if (tunnelcap_i_pmtu_age(t->word, t->now) >=
        TUNNELCAP_I_PMTU_MS * p->age_ms + TUNNELCAP_I_PMTU_UNIT)
        settle(p, t, p->link, TUNNELCAP_PMTU_PRESUMED);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return (int64_t)(a - b) < 0 ? a : b;
}

/* When the next tick is due. */
static uint64_t next_tick(const tunnelcap_pmtu *p, const turn *t)
{
    uint64_t next = t->now + TUNNELCAP_I_PMTU_MS * p->age_ms;

    if (t->lost)
        return t->now;
    if (does_age(p, t))
        next = (t->word & ~(TUNNELCAP_I_PMTU_UNIT - 1)) +
               ((TUNNELCAP_I_PMTU_MS * p->age_ms + 2 * TUNNELCAP_I_PMTU_UNIT - 1) &
                ~(TUNNELCAP_I_PMTU_UNIT - 1));
    if (p->mode != TUNNELCAP_PMTU_PROBE)
        return next;
    if (p->state == TUNNELCAP_PMTU_DISABLED)
        return earlier(next, p->sent_ns + interval(p));
    if (p->state != TUNNELCAP_PMTU_SEARCH_COMPLETE ||
        TUNNELCAP_I_LOAD(((tunnelcap_pmtu *)(uintptr_t)p)->token) != 0)
        return p->sent_ns + TUNNELCAP_I_PMTU_MS * p->probe_ms;
    next = p->sent_ns + interval(p);
    return tunnelcap_i_pmtu_mtu(t->word) < p->link
               ? earlier(next, p->raised_ns + TUNNELCAP_I_PMTU_MS * p->raise_ms)
               : next;
}

void tunnelcap_i_pmtu_round(tunnelcap_pmtu *pmtu, uint32_t down, uint32_t up, uint64_t now_ns,
                            uint64_t *next_ns, tunnelcap_pmtu_probe *probe)
{
    turn t = {now_ns, 0, probe, 0, 0};
    uint32_t asked = probe->size;
    uint32_t size;
    uint32_t mtu;

    t.word = TUNNELCAP_I_LOAD(pmtu->word);
    mtu = tunnelcap_i_pmtu_mtu(t.word);
    size = down > mtu ? down : up;
    if (asked <= mtu || down == asked)
        return;
    if (size > mtu && size < pmtu->high) {
        TUNNELCAP_I_STORE(pmtu->probing, size);
        probe->size = size;
        return;
    }
    memset(probe, 0, sizeof(*probe));
    TUNNELCAP_I_STORE(pmtu->token, 0);
    fail(pmtu, &t, mtu + 1); /* there is nothing in between */
    *next_ns = next_tick(pmtu, &t);
}

int32_t tunnelcap_pmtu_tick(tunnelcap_pmtu *pmtu, uint64_t now_ns, uint64_t *next_ns,
                            tunnelcap_pmtu_probe *probe)
{
    turn t = {now_ns, 0, probe, 0, 0};

    if (pmtu == NULL || next_ns == NULL || probe == NULL)
        return TUNNELCAP_E_INVALID;
    memset(probe, 0, sizeof(*probe));
    *next_ns = UINT64_MAX;
    if (pmtu->mode == TUNNELCAP_PMTU_FIXED)
        return TUNNELCAP_OK;
    t.word = TUNNELCAP_I_LOAD(pmtu->word);
    grow_old(pmtu, &t);
    if (pmtu->mode == TUNNELCAP_PMTU_PROBE && !t.lost) {
        if (!((uint32_t)t.word & TUNNELCAP_I_PMTU_TAKEN))
            take_change(pmtu, &t);
        take_answer(pmtu, &t);
        if (!t.lost)
            take_hint(pmtu, &t);
        if (!t.lost && probe->size == 0)
            take_up(pmtu, &t);
    }
    *next_ns = next_tick(pmtu, &t);
    return t.changed ? TUNNELCAP_CHANGED : TUNNELCAP_OK;
}
