/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The parts of the bench: pools of packets (traffic.c), what is done to them by library and hand
 * (cases.c), the proof that both do the same (verify.c), timing (measure.c), output (main.c).
 */
#ifndef TUNNELCAP_BENCH_H
#define TUNNELCAP_BENCH_H

#include <stdbool.h>

#include "hand.h"

enum {
    BATCH = 32,
    HEADROOM = 128,
    STRIDE = 2112,       /* an odd number of cache lines, so that headers spread over a cache */
    LARGE_COUNT = 65536, /* x STRIDE = 132 MiB */
    TUNNELS_MANY = 10000
};

/* Print a message and end the program. */
void bench_fail(const char *what) __attribute__((noreturn));

/* ---- traffic.c ---- */

enum traffic { TRAFFIC_UDP, TRAFFIC_ACK, TRAFFIC_SYN };

/* Packets, each in a buffer of its own, and how to make a used packet new: its window and, for
 * the clamp, its MSS. (The checksum is left to drift: its update costs the same from any value.) */
struct pool {
    uint8_t *arena;
    size_t arena_size;
    tunnelcap_pkt *pkts; /* buffers are in random order */
    uint32_t count;
    uint32_t off, len;
    uint32_t patch_at; /* of the MSS, from the packet's start; 0 for none */
};

/* Make `count` IPv4 packets of `size` bytes, one flow each, spread over `tunnels` /32 networks. */
void pool_init(struct pool *pool, uint32_t count, uint32_t size, enum traffic traffic,
               uint32_t tunnels);
void pool_fini(struct pool *pool);

/* Take what the packets are now for new, `patch_at` aside. */
void pool_settle(struct pool *pool);

/* The inner destination that belongs to tunnel `index` of a pool, in host order. */
uint32_t pool_destination(uint32_t index);

/* What TRAFFIC_SYN holds at patch_at, and what it is clamped to. */
enum { IPV4_HEADER = 20, SYN_MSS = 1460, SYN_LIMIT = 1436 };

/* Make a batch of packets new. */
static inline void pool_restore(const struct pool *pool, tunnelcap_pkt *pkts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        pkts[i].off = pool->off;
        pkts[i].len = pool->len;
        if (pool->patch_at != 0)
            hand_store16(pkts[i].buf + pool->off + pool->patch_at, SYN_MSS);
    }
}

/* ---- cases.c ---- */

enum operation { ENCAP, DECAP, CLAMP };

struct bench_case {
    const char *name;
    enum operation operation;
    bool ipv6, ipip;
    uint32_t gre_flags;
    hand_encap *encap;
    hand_decap *decap;
    enum traffic traffic;
    uint32_t table_tunnels; /* 0: the tunnel itself is called */
    double limit_ns;        /* of the library; 0: the hand loop is its measure */
};

extern const struct bench_case bench_cases[];
extern const uint32_t bench_case_count;

/* All that a case needs to run: the tunnel of the library and that of the hand loop. */
struct subject {
    const struct bench_case *c;
    tunnelcap_lane *lane;
    tunnelcap_gre *gre, *far_gre; /* far_*: the other end, which makes or unmakes our packets */
    tunnelcap_ipip *ipip, *far_ipip;
    tunnelcap_table *table;
    tunnelcap_mss_config mss;
    struct hand_tunnel hand;
    tunnelcap_gre_rx rx[BATCH];
};

void subject_init(struct subject *subject, const struct bench_case *c);
void subject_fini(struct subject *subject);

/* Process a batch; returns how many packets were accepted (for the clamp: changed). */
typedef uint32_t work(struct subject *subject, tunnelcap_pkt *pkts, uint32_t count);

work run_library, run_hand, run_far_encap, run_memcpy64, run_checksum_pass;

/* How many packets of a batch `run_library` must accept. */
uint32_t accepted_of(const struct bench_case *c, uint32_t count);

/* ---- verify.c ---- */

/* End the program unless library and hand loop do the same to the same packets, good and bad. */
void verify(const struct bench_case *c, uint32_t size);

/* ---- measure.c ---- */

/* One contestant of an alternated run. */
struct side {
    work *run;
    struct subject *subject;
    struct pool *pool;
    double ns; /* result: median of the rounds, per packet */
};

/* Time all sides in turn, round after round, for about `seconds`, 15 rounds at least. With
 * `cached`, each side repeats its first batch, and the time to make packets new, measured in the
 * same round, is subtracted; else it walks its whole pool, which was made new before. */
void measure(struct side *sides, uint32_t count, bool cached, double seconds);

/* Nanoseconds of a clock that nobody sets. */
double bench_now_ns(void);

/* The median of values, which are sorted by this. */
double bench_median(double *values, uint32_t count);

/* ---- cases of their own ---- */

/* One result, as print_result() takes it: `ns` per packet, address or key against `limit_ns` of
 * something else. */
typedef void bench_row(const char *name, uint32_t size, uint32_t burst, double ns,
                       const char *limit, double limit_ns, double goal);

/* Run the cases whose name contains `only` (or all: NULL), each for about `seconds`. */
typedef void bench_set(const char *only, double seconds, bench_row *row);

/* esp.c: whole encapsulation and decapsulation, the provider's part of it, and raw calls of
 * libcrypto and ipsec-mb that do the cryptography alone (esp_raw.c). */
bench_set bench_esp;

/* fragment.c: packets split into buffers and put together from them, beside memcpy of the same
 * bytes between the same buffers, cut in the same places. */
bench_set bench_fragment;

/* lpm.c: longest prefix match of bursts of addresses, beside a hand-written 24-8 table of the same
 * prefixes. */
bench_set bench_lpm;

/* find.c: how decapsulation finds tunnels by their keys, beside an open-addressed hash that is
 * written for such keys alone. */
bench_set bench_find;

#endif
