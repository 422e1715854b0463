/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#define _POSIX_C_SOURCE 200809L
#include "support.h"

#include <stdio.h>

/* ---- allocator ---- */

enum { BLOCKS = 4096 };

static struct {
    void *mem[BLOCKS];
    size_t bytes[BLOCKS];
    uint32_t live;
    uint32_t left; /* blocks that may still be given out */
} heap;

static void *heap_alloc(void *arg, size_t bytes, size_t align)
{
    ck_assert_ptr_eq(arg, &heap);
    ck_assert_msg(align != 0 && (align & (align - 1)) == 0, "alignment %zu", align);
    if (heap.left == 0)
        return NULL;
    heap.left--;
    ck_assert_uint_lt(heap.live, BLOCKS);
    void *mem = NULL;
    ck_assert_int_eq(posix_memalign(&mem, align < sizeof(void *) ? sizeof(void *) : align, bytes),
                     0);
    memset(mem, 0xa5, bytes);
    heap.mem[heap.live] = mem;
    heap.bytes[heap.live] = bytes;
    heap.live++;
    return mem;
}

static void heap_release(void *arg, void *mem, size_t bytes)
{
    ck_assert_ptr_eq(arg, &heap);
    for (uint32_t i = 0; i < heap.live; i++) {
        if (heap.mem[i] != mem)
            continue;
        ck_assert_uint_eq(heap.bytes[i], bytes);
        free(mem);
        heap.live--;
        heap.mem[i] = heap.mem[heap.live];
        heap.bytes[i] = heap.bytes[heap.live];
        return;
    }
    ck_abort_msg("%p was not allocated here", mem);
}

const tunnelcap_alloc *test_alloc(void)
{
    static const tunnelcap_alloc alloc = {sizeof(tunnelcap_alloc), 0, heap_alloc, heap_release,
                                          &heap};
    return &alloc;
}

void test_alloc_refuse_after(uint32_t count)
{
    heap.left = count;
}

static void heap_open(void)
{
    heap.live = 0;
    heap.left = UINT32_MAX;
}

static void heap_close(void)
{
    ck_assert_msg(heap.live == 0, "%u blocks left in the allocator", (unsigned)heap.live);
}

Suite *test_suite(const char *name, const TTest *const *tests, size_t count)
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    tcase_add_checked_fixture(tcase, heap_open, heap_close);
    tcase_set_timeout(tcase, 300);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    return suite;
}

/* ---- memory ---- */

void *test_arena(size_t bytes)
{
    void *mem = NULL;
    ck_assert_int_eq(posix_memalign(&mem, 64, bytes), 0);
    memset(mem, 0x5a, bytes);
    return mem;
}

void test_arena_free(void *mem)
{
    free(mem);
}

void *test_copy(const void *bytes, size_t len)
{
    void *copy = malloc(len);
    ck_assert_msg(copy != NULL || len == 0, "out of memory");
    if (len != 0)
        memcpy(copy, bytes, len);
    return copy;
}

const uint8_t test_seed[TUNNELCAP_SEED_SIZE] = {
    0x6a, 0x09, 0xe6, 0x67, 0xbb, 0x67, 0xae, 0x85, 0x3c, 0x6e, 0xf3, 0x72, 0xa5, 0x4f, 0xf5, 0x3a,
    0x51, 0x0e, 0x52, 0x7f, 0x9b, 0x05, 0x68, 0x8c, 0x1f, 0x83, 0xd9, 0xab, 0x5b, 0xe0, 0xcd, 0x19};

tunnelcap_lane *test_lane(void)
{
    tunnelcap_lane_config config;
    ck_assert_status(tunnelcap_lane_config_init(&config, sizeof(config)), TUNNELCAP_OK);
    tunnelcap_lane *lane = NULL;
    ck_assert_status(tunnelcap_lane_new(&config, test_seed, NULL, test_alloc(), &lane),
                     TUNNELCAP_OK);
    return lane;
}

/* ---- tunnels ---- */

tunnelcap_gre_config test_gre_config(const char *local, const char *remote, uint32_t flags)
{
    tunnelcap_gre_config config;
    ck_assert_status(tunnelcap_gre_config_init(&config, sizeof(config)), TUNNELCAP_OK);
    config.flags = flags;
    config.outer.local = test_addr(local);
    config.outer.remote = test_addr(remote);
    return config;
}

tunnelcap_gre *test_gre_new(const tunnelcap_gre_config *config)
{
    tunnelcap_gre *gre = NULL;
    ck_assert_status(tunnelcap_gre_new(config, test_alloc(), &gre), TUNNELCAP_OK);
    return gre;
}

tunnelcap_ipip_config test_ipip_config(const char *local, const char *remote, uint32_t flags)
{
    tunnelcap_ipip_config config;
    ck_assert_status(tunnelcap_ipip_config_init(&config, sizeof(config)), TUNNELCAP_OK);
    config.flags = flags;
    config.outer.local = test_addr(local);
    config.outer.remote = test_addr(remote);
    return config;
}

tunnelcap_ipip *test_ipip_new(const tunnelcap_ipip_config *config)
{
    tunnelcap_ipip *ipip = NULL;
    ck_assert_status(tunnelcap_ipip_new(config, test_alloc(), &ipip), TUNNELCAP_OK);
    return ipip;
}

int32_t test_gre_encap(tunnelcap_gre *gre, tunnelcap_lane *lane, tunnelcap_pkt *pkt,
                       const tunnelcap_meta *meta)
{
    uint32_t done = tunnelcap_gre_encap(gre, lane, pkt, meta, 0, 1);
    ck_assert_uint_eq(done, pkt->status == TUNNELCAP_OK);
    return pkt->status;
}

int32_t test_gre_decap(tunnelcap_gre *gre, tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                       tunnelcap_gre_rx *rx)
{
    uint32_t done = tunnelcap_gre_decap(gre, pkt, meta, 0, rx, 1);
    ck_assert_uint_eq(done, pkt->status >= 0);
    return pkt->status;
}

int32_t test_ipip_encap(tunnelcap_ipip *ipip, tunnelcap_lane *lane, tunnelcap_pkt *pkt,
                        const tunnelcap_meta *meta)
{
    uint32_t done = tunnelcap_ipip_encap(ipip, lane, pkt, meta, 0, 1);
    ck_assert_uint_eq(done, pkt->status == TUNNELCAP_OK);
    return pkt->status;
}

int32_t test_ipip_decap(tunnelcap_ipip *ipip, tunnelcap_pkt *pkt, const tunnelcap_meta *meta)
{
    uint32_t done = tunnelcap_ipip_decap(ipip, pkt, meta, 0, 1);
    ck_assert_uint_eq(done, pkt->status == TUNNELCAP_OK);
    return pkt->status;
}

/* ---- tables ---- */

uint32_t test_lanes_max(void)
{
    tunnelcap_table_config config;
    ck_assert_status(tunnelcap_table_config_init(&config, sizeof(config)), TUNNELCAP_OK);
    config.lanes = 256;
    return tunnelcap_table_size(&config) != 0 ? 256 : 1;
}

tunnelcap_table *test_table_new(uint32_t tunnels, uint32_t routes, uint32_t lanes)
{
    tunnelcap_table_config config;
    tunnelcap_table *table = NULL;
    ck_assert_status(tunnelcap_table_config_init(&config, sizeof(config)), TUNNELCAP_OK);
    config.tunnels = tunnels;
    config.routes = routes;
    config.lanes = lanes;
    ck_assert_status(tunnelcap_table_new(&config, test_seed, test_alloc(), &table), TUNNELCAP_OK);
    return table;
}

tunnelcap_lane *test_table_lane(tunnelcap_table *table)
{
    tunnelcap_lane *lane = test_lane();
    ck_assert_status(tunnelcap_table_attach(table, lane), TUNNELCAP_OK);
    return lane;
}

void test_table_end(tunnelcap_table *table, tunnelcap_lane *lane)
{
    ck_assert_status(tunnelcap_table_detach(table, lane), TUNNELCAP_OK);
    tunnelcap_lane_free(lane);
    tunnelcap_table_free(table);
}

tunnelcap_route test_route(const char *prefix, uint64_t tunnel)
{
    char addr[64];
    const char *slash = strchr(prefix, '/');
    tunnelcap_route route;
    ck_assert_status(tunnelcap_route_init(&route, sizeof(route)), TUNNELCAP_OK);
    memset(addr, 0, sizeof(addr));
    memcpy(addr, prefix, (size_t)(slash - prefix));
    route.prefix = test_addr(addr);
    route.prefix_len = (uint8_t)atoi(slash + 1);
    route.tunnel = tunnel;
    return route;
}

int32_t test_table_one(tunnelcap_lane *lane, uint32_t direction, tunnelcap_pkt *pkt,
                       const tunnelcap_meta *meta, tunnelcap_result *result)
{
    tunnelcap_burst burst = {.size = sizeof(burst),
                             .pkt_count = 1,
                             .result_cap = 1,
                             .pkts = pkt,
                             .meta = meta,
                             .results = result,
                             .pkt_done = 9,
                             .result_count = 9,
                             .spare_used = 9};
    memset(result, 0xff, sizeof(*result));
    ck_assert_status(direction == TUNNELCAP_ENCAP ? tunnelcap_table_encap(lane, &burst)
                                                  : tunnelcap_table_decap(lane, &burst),
                     TUNNELCAP_OK);
    ck_assert_uint_eq(burst.pkt_done, 1);
    ck_assert_uint_eq(burst.result_count, 1);
    ck_assert_uint_eq(burst.spare_used, 0);
    ck_assert_int_eq(result->status, pkt->status);
    ck_assert_uint_eq(result->index, 0);
    ck_assert_uint_eq(result->reserved, 0);
    if (result->tunnel == 0 && result->status != TUNNELCAP_E_NEED_SA)
        ck_assert_uint_eq(result->spi, 0);
    /* What is refused is dropped, answered, or for somebody else. */
    if (result->action == TUNNELCAP_DO_FETCH_SA)
        ck_assert_status(result->status, TUNNELCAP_E_NEED_SA);
    else if (result->action == TUNNELCAP_DO_FORWARD)
        ck_assert_status(result->status, TUNNELCAP_E_NOT_OWNER);
    else
        ck_assert_uint_eq(result->action == TUNNELCAP_DO_DROP,
                          result->status < 0 && result->action != TUNNELCAP_DO_REPLY);
    return result->status;
}

uint32_t test_next(test_random *random)
{
    random->state = random->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random->state >> 33);
}

uint32_t test_below(test_random *random, uint32_t bound)
{
    return test_next(random) % bound;
}

/* ---- packets ---- */

tunnelcap_pkt test_pkt(const void *bytes, uint32_t len, uint32_t headroom)
{
    tunnelcap_pkt pkt = {0};
    pkt.buf = malloc((size_t)headroom + len);
    ck_assert_msg(pkt.buf != NULL || headroom + len == 0, "out of memory");
    pkt.cap = headroom + len;
    pkt.off = headroom;
    pkt.len = len;
    pkt.status = INT32_MIN;
    pkt.user = &heap;
    if (headroom != 0)
        memset(pkt.buf, 0xee, headroom);
    if (len != 0)
        memcpy(pkt.buf + headroom, bytes, len);
    return pkt;
}

void test_pkt_free(tunnelcap_pkt *pkt)
{
    ck_assert_ptr_eq(pkt->user, &heap);
    free(pkt->buf);
}

test_snapshot test_snap(const tunnelcap_pkt *pkt)
{
    test_snapshot snap = {.pkt = *pkt, .bytes = test_copy(pkt->buf, pkt->cap)};
    return snap;
}

void test_unchanged(test_snapshot *snap, const tunnelcap_pkt *pkt)
{
    ck_assert_ptr_eq(pkt->buf, snap->pkt.buf);
    ck_assert_uint_eq(pkt->cap, snap->pkt.cap);
    ck_assert_uint_eq(pkt->off, snap->pkt.off);
    ck_assert_uint_eq(pkt->len, snap->pkt.len);
    ck_assert_ptr_eq(pkt->user, snap->pkt.user);
    if (pkt->cap != 0)
        ck_assert_mem_eq(pkt->buf, snap->bytes, pkt->cap);
    free(snap->bytes);
}

void test_truncation(const uint8_t *bytes, uint32_t len, int32_t want, test_feed *feed, void *arg)
{
    for (uint32_t cut = 0; cut < len; cut++) {
        tunnelcap_pkt pkt = test_pkt(bytes, cut, 0);
        test_snapshot snap = test_snap(&pkt);
        int32_t got = feed(arg, &pkt);
        ck_assert_msg(got == want, "%u of %u bytes: %s, expected %s", (unsigned)cut, (unsigned)len,
                      tunnelcap_status_name(got), tunnelcap_status_name(want));
        test_unchanged(&snap, &pkt);
        test_pkt_free(&pkt);
    }
}

static bool feed_changed(const uint8_t *bytes, uint32_t len, uint32_t headroom, uint32_t at,
                         uint8_t mask, test_feed *feed, void *arg)
{
    tunnelcap_pkt pkt = test_pkt(bytes, len, headroom);
    pkt.buf[headroom + at] ^= mask;
    test_snapshot snap = test_snap(&pkt);
    bool accepted = feed(arg, &pkt) >= 0;
    if (accepted) {
        ck_assert_msg(pkt.off <= pkt.cap && pkt.len <= pkt.cap - pkt.off, "window out of buffer");
        free(snap.bytes);
    } else {
        test_unchanged(&snap, &pkt);
    }
    test_pkt_free(&pkt);
    return accepted;
}

uint32_t test_flips(const uint8_t *bytes, uint32_t len, uint32_t headroom, test_feed *feed,
                    void *arg)
{
    uint32_t accepted = 0;
    for (uint32_t at = 0; at < len; at++) {
        for (unsigned bit = 0; bit < 8; bit++)
            accepted += feed_changed(bytes, len, headroom, at, (uint8_t)(1u << bit), feed, arg);
        accepted += feed_changed(bytes, len, headroom, at, 0xff, feed, arg);
    }
    return accepted;
}
