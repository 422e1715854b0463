/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "bench.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { UDP = 17, TCP = 6, ACK = 16, SYN = 2 };

/* xorshift64: the same sequence in each run. */
static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

uint32_t pool_destination(uint32_t index)
{
    return 10U << 24 | index;
}

static void *get_memory(size_t bytes)
{
    void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (mem == MAP_FAILED)
        bench_fail("no memory for the packets");
    return mem;
}

static void write_tcp(uint8_t *tcp, uint32_t len, enum traffic traffic)
{
    bool syn = traffic == TRAFFIC_SYN;

    /* What hosts send: MSS, SACK permitted, timestamps, no-operation, window scale. */
    static const uint8_t options[20] = {
        2, 4, SYN_MSS >> 8, SYN_MSS & 0xff, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7};

    tcp[12] = syn ? 0xa0 : 0x50;
    tcp[13] = syn ? SYN : ACK;
    hand_store16(tcp + 14, 64240);
    if (syn && len >= 20 + sizeof(options))
        memcpy(tcp + 20, options, sizeof(options));
}

/* One packet: its own flow, IP header checksum right. */
static void write_packet(uint8_t *p, uint32_t size, enum traffic traffic, uint32_t flow,
                         uint32_t destination)
{
    for (uint32_t i = 0; i < size; i++)
        p[i] = (uint8_t)(i * 7 + flow);
    memset(p, 0, 40);
    p[0] = 0x45;
    p[1] = 0x2e; /* a DSCP of 11 and ECT(0), as much traffic has today */
    hand_store16(p + 2, size);
    p[6] = 0x40;
    p[8] = 63;
    p[9] = traffic == TRAFFIC_UDP ? UDP : TCP;
    hand_store32(p + 12, 172U << 24 | 16U << 16 | (flow & 0xffff));
    hand_store32(p + 16, destination);
    hand_store16(p + 10, ~(uint32_t)hand_sum(p, 20));
    hand_store16(p + 20, 1024 + flow % 60000);
    hand_store16(p + 22, 443);
    if (traffic != TRAFFIC_UDP)
        write_tcp(p + 20, size - 20, traffic);
}

/* Give each packet a buffer; in random order, so that no prefetcher guesses the next one. */
static void place_buffers(struct pool *pool, uint64_t *random)
{
    for (uint32_t i = 0; i < pool->count; i++) {
        uint32_t other = (uint32_t)(random_next(random) % (i + 1));

        pool->pkts[i].buf = pool->pkts[other].buf;
        pool->pkts[other].buf = pool->arena + (size_t)i * STRIDE;
    }
}

void pool_init(struct pool *pool, uint32_t count, uint32_t size, enum traffic traffic,
               uint32_t tunnels)
{
    uint64_t random = 88172645463325252;

    *pool = (struct pool){.count = count, .off = HEADROOM, .len = size};
    pool->arena_size = (size_t)count * STRIDE;
    pool->arena = get_memory(pool->arena_size);
    pool->pkts = get_memory(count * sizeof(*pool->pkts));
    place_buffers(pool, &random);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t tunnel = (uint32_t)(random_next(&random) % tunnels);

        pool->pkts[i].cap = STRIDE;
        write_packet(pool->pkts[i].buf + HEADROOM, size, traffic, i, pool_destination(tunnel));
    }
    pool_restore(pool, pool->pkts, count);
    if (traffic == TRAFFIC_SYN)
        pool->patch_at = IPV4_HEADER + 22;
}

void pool_settle(struct pool *pool)
{
    pool->off = pool->pkts[0].off;
    pool->len = pool->pkts[0].len;
}

void pool_fini(struct pool *pool)
{
    munmap(pool->arena, pool->arena_size);
    munmap(pool->pkts, pool->count * sizeof(*pool->pkts));
}
