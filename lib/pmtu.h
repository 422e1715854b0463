/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The inside of a path MTU, for the table, which keeps one for each tunnel.
 *
 * Implementation notes. What lanes read and lower is one word: the MTU, how it is known, and
 * when that was, in steps of 4 ms. Whoever changes it does so by compare and swap, so that a lane
 * that lowers and the writer that raises never undo each other: the writer, finding that the word
 * is no longer the one that it decided upon, decides anew at the next tick. What lanes have to
 * tell the writer besides waits in two more words: the token of the probe under way, which an
 * answer replaces by TUNNELCAP_I_PMTU_ANSWERED, and the hint. */
#ifndef TUNNELCAP_I_PMTU_H
#define TUNNELCAP_I_PMTU_H

#include <tunnelcap/pmtu.h>

#include "atomic.h"
#include "flow.h"
#include "object.h"

/* Parts of the word. */
enum {
    TUNNELCAP_I_PMTU_MTU = 0x1ffff,
    TUNNELCAP_I_PMTU_SOURCE_AT = 17,
    TUNNELCAP_I_PMTU_SOURCE = 3 << TUNNELCAP_I_PMTU_SOURCE_AT,
    TUNNELCAP_I_PMTU_IMPORTED = 1 << 19,
    TUNNELCAP_I_PMTU_BELOW = 1 << 20, /* the path said less than the floor */
    TUNNELCAP_I_PMTU_TAKEN = 1 << 21, /* the writer knows: no lane has changed it since */
    TUNNELCAP_I_PMTU_TIME_AT = 22
};

/* Nanoseconds: of a step of the word's clock, and of a millisecond. */
#define TUNNELCAP_I_PMTU_UNIT ((uint64_t)1 << TUNNELCAP_I_PMTU_TIME_AT)
#define TUNNELCAP_I_PMTU_MS   ((uint64_t)1000000)

/* In the place of a token: 0 is "no probe under way". */
enum { TUNNELCAP_I_PMTU_ANSWERED = 1 };

/* In the hint, beside a size that ICMP named for a probe. */
enum { TUNNELCAP_I_PMTU_SUSPECT = 1 << 20 };

struct tunnelcap_pmtu {
    tunnelcap_i_atomic64 word;
    tunnelcap_i_atomic64 token;
    uint64_t secret;    /* key of the tokens */
    uint64_t sent_ns;   /* when the last probe was sent */
    uint64_t raised_ns; /* when the search was last over */
    tunnelcap_i_atomic32 hint;
    tunnelcap_i_atomic32 probing; /* size that the token stands for */
    tunnelcap_i_atomic32 generation;
    uint32_t high; /* while searching: the least size that is known not to pass */
    uint32_t link;
    uint32_t age_ms, probe_ms, raise_ms, confirm_ms;
    uint16_t floor, base;
    uint8_t family;
    uint8_t mode;
    uint8_t state;
    uint8_t max_probes;
    uint8_t count; /* probes of this size; while disabled: since the last answer, at most 255 */
    uint8_t fresh; /* the next size to ask for is the MTU and one */
};

/* Does not compile where a path MTU is larger than the header promises. */
typedef char tunnelcap_i_pmtu_fits[sizeof(tunnelcap_i_owner) + sizeof(struct tunnelcap_pmtu) <= 128
                                       ? 1
                                       : -1];

/* Build a path MTU from the caller's configuration; *pmtu is unspecified on failure. `secret`
 * should differ from one to the next, and be unknown to strangers. */
int32_t tunnelcap_i_pmtu_place(tunnelcap_pmtu *pmtu, const tunnelcap_pmtu_config *config,
                               uint64_t secret);

/* The path MTU; atomic loads want no const. */
static inline uint32_t tunnelcap_i_pmtu_get(const tunnelcap_pmtu *pmtu)
{
    return (uint32_t)TUNNELCAP_I_LOAD(((tunnelcap_pmtu *)(uintptr_t)pmtu)->word) &
           TUNNELCAP_I_PMTU_MTU;
}

/* 1 if the path said less than the floor: "don't fragment" must be clear for what is larger. */
static inline uint32_t tunnelcap_i_pmtu_below(const tunnelcap_pmtu *pmtu)
{
    return ((uint32_t)TUNNELCAP_I_LOAD(((tunnelcap_pmtu *)(uintptr_t)pmtu)->word) &
            TUNNELCAP_I_PMTU_BELOW) != 0;
}

static inline uint32_t tunnelcap_i_pmtu_mtu(uint64_t word)
{
    return (uint32_t)word & TUNNELCAP_I_PMTU_MTU;
}

static inline uint32_t tunnelcap_i_pmtu_source(uint64_t word)
{
    return ((uint32_t)word & TUNNELCAP_I_PMTU_SOURCE) >> TUNNELCAP_I_PMTU_SOURCE_AT;
}

static inline uint64_t tunnelcap_i_pmtu_word(uint32_t mtu, uint32_t source, uint32_t flags,
                                             uint64_t when)
{
    return (when & ~(TUNNELCAP_I_PMTU_UNIT - 1)) | mtu | source << TUNNELCAP_I_PMTU_SOURCE_AT |
           flags;
}

/* Nanoseconds since `then`; after a clock that went back, since now. */
static inline uint64_t tunnelcap_i_pmtu_elapsed(uint64_t *then, uint64_t now)
{
    if ((int64_t)(now - *then) < 0)
        *then = now;
    return now - *then;
}

/* The age of a word, to the step of its clock. */
static inline uint64_t tunnelcap_i_pmtu_age(uint64_t word, uint64_t now)
{
    uint64_t then = word & ~(TUNNELCAP_I_PMTU_UNIT - 1);

    return tunnelcap_i_pmtu_elapsed(&then, now & ~(TUNNELCAP_I_PMTU_UNIT - 1));
}

/* Put `next` in the word's place if that still is what was decided upon. */
static inline uint32_t tunnelcap_i_pmtu_replace(tunnelcap_pmtu *p, uint64_t word, uint64_t next)
{
    uint64_t there = word;

    while (!TUNNELCAP_I_SWAP_IF(p->word, there, next)) {
        if (there != word)
            return 0;
    }
    return 1;
}

/* The probe that tunnelcap_pmtu_tick() has just given could not be sent: that says nothing of the
 * path. It comes again when it would have been late. */
static inline void tunnelcap_i_pmtu_unsent(tunnelcap_pmtu *pmtu)
{
    if (pmtu->state != TUNNELCAP_PMTU_DISABLED && pmtu->count > 0)
        pmtu->count--;
}

/* Make a probe that tunnelcap_pmtu_tick() has just given one of a size that the tunnel can make.
 * ESP makes sizes in steps; to take one for another would be to contradict the routers, for ever.
 * `down` is the largest size that it makes up to the one asked for, `up` the least above the path
 * MTU. Where that is known to fail, the search is at its end, and probe->size 0. */
void tunnelcap_i_pmtu_round(tunnelcap_pmtu *pmtu, uint32_t down, uint32_t up, uint64_t now_ns,
                            uint64_t *next_ns, tunnelcap_pmtu_probe *probe);

#endif
