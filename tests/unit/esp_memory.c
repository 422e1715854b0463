/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * What ESP on libcrypto does with memory, seen from below: packets allocate nothing, and no key is
 * left in any block once SAs and lanes have ended. A program of its own, since libcrypto asks for
 * its allocator before anything else.
 */
#include "esp_kit.h"

#include <openssl/crypto.h>
#include <stdio.h>

enum { KEY_SEEN = 12, BURST = 32, PACKETS = 640, HEADER = 64 };

/* Every block of libcrypto's, with its size before it. */
static struct {
    uint32_t allocations;
    uint32_t keys_freed; /* blocks that still held a key when they were given back */
    const tunnelcap_transform *transform;
} heap;

static bool holds(const uint8_t *block, size_t len, const uint8_t *key, size_t key_len)
{
    for (size_t at = 0; key_len >= KEY_SEEN && at + KEY_SEEN <= len; at++) {
        if (memcmp(block + at, key, KEY_SEEN) == 0)
            return true;
    }
    return false;
}

static bool holds_key(const uint8_t *block, size_t len)
{
    const tunnelcap_transform *t = heap.transform;
    return t != NULL && (holds(block, len, t->encr_key, t->encr_key_len) ||
                         holds(block, len, t->integ_key, t->integ_key_len));
}

static void *heap_get(size_t bytes, const char *file, int line)
{
    uint8_t *block = malloc(HEADER + bytes);
    (void)file;
    (void)line;
    heap.allocations++;
    if (block == NULL)
        return NULL;
    memcpy(block, &bytes, sizeof(bytes));
    return block + HEADER;
}

static void heap_put(void *mem, const char *file, int line)
{
    size_t bytes;
    uint8_t *block = mem;
    (void)file;
    (void)line;
    if (mem == NULL)
        return;
    memcpy(&bytes, block - HEADER, sizeof(bytes));
    heap.keys_freed += holds_key(block, bytes);
    free(block - HEADER);
}

static void *heap_resize(void *mem, size_t bytes, const char *file, int line)
{
    size_t before = 0;
    void *block = heap_get(bytes, file, line);
    if (mem != NULL)
        memcpy(&before, (uint8_t *)mem - HEADER, sizeof(before));
    if (block != NULL && mem != NULL)
        memcpy(block, mem, before < bytes ? before : bytes);
    if (block != NULL)
        heap_put(mem, file, line);
    return block;
}

static void need(bool good, const test_suite_row *row, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "encryption %u, integrity %u: %s\n", row->encr, row->integ, what);
    exit(EXIT_FAILURE);
}

static uint8_t storage[BURST][1600];

/* Seal and unseal a burst; how many came through. */
static uint32_t carry(tunnelcap_esp *out, tunnelcap_esp *in, tunnelcap_lane *lane)
{
    static const uint8_t inner[] = {0x45, 0, 4,  0, 0, 0, 0,  0, 64, 17,
                                    0,    0, 10, 0, 0, 1, 10, 0, 0,  2};
    tunnelcap_pkt pkts[BURST];
    for (size_t i = 0; i < BURST; i++) {
        memcpy(storage[i] + 128, inner, sizeof(inner));
        pkts[i] = (tunnelcap_pkt){storage[i], sizeof(storage[i]), 128, 1024, 0, NULL};
    }
    tunnelcap_esp_encap(out, lane, pkts, NULL, 0, BURST);
    return tunnelcap_esp_decap(in, lane, pkts, NULL, 0, NULL, BURST);
}

static tunnelcap_esp *sa(void *mem, const test_suite_row *row, uint8_t direction,
                         const tunnelcap_transform *transform, size_t *size)
{
    static const tunnelcap_addr near = {{192, 0, 2, 1}, TUNNELCAP_IPV4, {0}};
    static const tunnelcap_addr far = {{192, 0, 2, 2}, TUNNELCAP_IPV4, {0}};
    tunnelcap_esp_config config;
    tunnelcap_esp *esp = NULL;
    need(tunnelcap_esp_config_init(&config, sizeof(config)) == TUNNELCAP_OK, row, "defaults");
    config.direction = direction;
    config.spi = TEST_SPI;
    config.nonce_origin = TUNNELCAP_NONCE_FRESH_KEY;
    config.outer.local = direction == TUNNELCAP_ESP_OUT ? near : far;
    config.outer.remote = direction == TUNNELCAP_ESP_OUT ? far : near;
    *size = tunnelcap_esp_size(&config, transform, tunnelcap_crypto_openssl());
    need(tunnelcap_esp_init(mem, *size, &config, transform, tunnelcap_crypto_openssl(), &esp) ==
             TUNNELCAP_OK,
         row, "an SA");
    return esp;
}

static void check(const test_suite_row *row)
{
    static _Alignas(64) uint8_t mem[3][1 << 16];
    tunnelcap_transform transform = test_transform_of(row);
    tunnelcap_lane_config config;
    tunnelcap_lane *lane = NULL;
    size_t sizes[3];
    heap.transform = &transform;
    tunnelcap_esp *out = sa(mem[0], row, TUNNELCAP_ESP_OUT, &transform, &sizes[0]);
    tunnelcap_esp *in = sa(mem[1], row, TUNNELCAP_ESP_IN, &transform, &sizes[1]);
    need(tunnelcap_lane_config_init(&config, sizeof(config)) == TUNNELCAP_OK, row, "defaults");
    sizes[2] = tunnelcap_lane_size(&config, tunnelcap_crypto_openssl());
    need(sizes[2] <= sizeof(mem[2]) &&
             tunnelcap_lane_init(mem[2], sizes[2], &config, test_seed, tunnelcap_crypto_openssl(),
                                 &lane) == TUNNELCAP_OK,
         row, "a lane");
    need(carry(out, in, lane) == BURST, row, "packets"); /* the lane loads the keys */
    uint32_t before = heap.allocations;
    for (uint32_t i = 0; i < PACKETS; i += BURST)
        need(carry(out, in, lane) == BURST, row, "packets");
    need(heap.allocations == before, row, "packets allocate");
    tunnelcap_esp_forget(out, lane);
    tunnelcap_esp_forget(in, lane);
    tunnelcap_esp_fini(out);
    tunnelcap_esp_fini(in);
    for (size_t i = 0; i < 3; i++) /* the lane is still there, but has forgotten */
        need(!holds_key(mem[i], sizes[i]), row, "a key is left");
    tunnelcap_lane_fini(lane);
    for (size_t i = 0; i < 3; i++) {
        for (size_t at = 0; at < sizes[i]; at++)
            need(mem[i][at] == 0, row, "memory is not wiped");
    }
    need(heap.keys_freed == 0, row, "a block was freed with its key");
    heap.transform = NULL;
}

int main(void)
{
    need(CRYPTO_set_mem_functions(heap_get, heap_resize, heap_put) == 1, &test_suites[0],
         "libcrypto has allocated already");
    for (uint32_t i = 0; i < test_suites_count; i++)
        check(&test_suites[i]);
    printf("%u transforms\n", test_suites_count);
    return EXIT_SUCCESS;
}
