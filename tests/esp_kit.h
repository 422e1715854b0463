/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * What the unit tests of ESP share: a provider of their own, security associations in pairs, and
 * packets with room at both ends.
 */
#ifndef TUNNELCAP_TESTS_ESP_KIT_H
#define TUNNELCAP_TESTS_ESP_KIT_H

#include "support.h"

/* A provider that shares nothing with libcrypto, for machines without it, and to show that the
 * interface asks for nothing that only libcrypto has. Streams are XOR, blocks are a rotation, the
 * ICV is a keyed checksum: no secrets are kept, but every byte that ESP is to authenticate counts.
 */
typedef struct test_toy {
    tunnelcap_crypto crypto;
    uint32_t keys_live;         /* keys made and not given up */
    uint32_t lanes_live;        /* the same of lanes */
    _Atomic uint32_t forgotten; /* calls of lane_forget() */
    _Atomic uint32_t runs;      /* calls of seal() and unseal() */
    _Atomic uint32_t longest;   /* most operations in one call */
    _Atomic uint32_t seal_left; /* operations that seal() still carries out; then it fails */
    int32_t init_status;        /* what key_init() and lane_init() say */
    uint32_t no_keys;           /* 1: key_size() offers nothing */
} test_toy;

/* Fill in a provider; `toy` must outlive its keys and lanes. */
const tunnelcap_crypto *test_toy_init(test_toy *toy);

/* All pairs of algorithms that are usable, with the lengths of their keys. */
typedef struct test_suite_row {
    uint16_t encr;
    uint16_t integ;
    uint16_t encr_key_len;
    uint16_t integ_key_len;
    uint8_t iv_len;
    uint8_t icv_len;
    uint8_t align;
    uint8_t salt_len;
    uint8_t counter_mode;
    uint8_t weak;
} test_suite_row;

extern const test_suite_row test_suites[];
extern const uint32_t test_suites_count;

tunnelcap_transform test_transform_of(const test_suite_row *row);
tunnelcap_transform test_gcm(void);        /* AES-GCM-16, 128 bits */
tunnelcap_transform test_cbc_sha256(void); /* AES-CBC-128 with HMAC-SHA2-256-128 */

enum { TEST_SPI = 0x12345678 };

/* A configuration between two ends; inbound ones have the same ends the other way round, so that
 * `local` and `remote` are those of the sender in both. */
tunnelcap_esp_config test_esp_config(uint8_t direction, const char *local, const char *remote);

tunnelcap_esp *test_esp_new(const tunnelcap_esp_config *config,
                            const tunnelcap_transform *transform, const tunnelcap_crypto *crypto);
tunnelcap_lane *test_crypto_lane(const tunnelcap_crypto *crypto, uint32_t max_burst);

/* Both ends of an SA with a lane, on a toy of their own. */
typedef struct test_pair {
    test_toy toy;
    tunnelcap_transform transform;
    tunnelcap_lane *lane;
    tunnelcap_esp *out;
    tunnelcap_esp *in;
} test_pair;

/* Over IPv4, tunnel mode, replay window of 64; `flags` and `mode` for both ends. */
void test_pair_open(test_pair *pair, const tunnelcap_transform *transform, uint32_t flags,
                    uint8_t mode);
/* With configurations of one's own. */
void test_pair_make(test_pair *pair, const tunnelcap_transform *transform,
                    const tunnelcap_esp_config *out, const tunnelcap_esp_config *in);
void test_pair_close(test_pair *pair);

/* A packet in a heap block of exactly headroom + len + tailroom bytes; test_pkt_free() it. */
tunnelcap_pkt test_pkt_room(const void *bytes, uint32_t len, uint32_t headroom, uint32_t tailroom);

/* An inner packet with all the room that any SA wants. */
tunnelcap_pkt test_esp_pkt(const test_frame *frame);

/* One packet; they check that the count returned agrees with the status. */
int32_t test_esp_encap(tunnelcap_esp *esp, tunnelcap_lane *lane, tunnelcap_pkt *pkt,
                       const tunnelcap_meta *meta);
int32_t test_esp_decap(tunnelcap_esp *esp, tunnelcap_lane *lane, tunnelcap_pkt *pkt,
                       const tunnelcap_meta *meta, tunnelcap_esp_rx *rx);

/* A sealed packet of the pair, in memory of its exact length. */
tunnelcap_pkt test_sealed(test_pair *pair, const test_frame *inner);

/* Unseal a copy of a packet and tell its status. */
int32_t test_arrives(test_pair *pair, const tunnelcap_pkt *sealed);

/* Let a tunnel of a table in change send and receive by two SAs, or by one. */
void test_sa_pair(tunnelcap_table *table, uint64_t id, tunnelcap_esp *in, tunnelcap_esp *out);

tunnelcap_esp_state test_esp_state(const tunnelcap_esp *esp);

/* Offset of the ESP header in an outer packet, by its IP header alone. */
uint32_t test_esp_at(const uint8_t *bytes);

uint64_t test_load64(const uint8_t *at);
void test_store64(uint8_t *at, uint64_t value);

#endif
