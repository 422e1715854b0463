/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* What the unit tests of the provider on libcrypto share: keys, lanes and packets. */
#ifndef TUNNELCAP_TESTS_CRYPTO_KIT_H
#define TUNNELCAP_TESTS_CRYPTO_KIT_H

#include "crypto_openssl.h"
#include "support.h"

/* Transforms of every sort, with the block that their texts are whole numbers of. */
typedef struct test_kind {
    uint16_t encr, encr_key_len, integ, integ_key_len;
    uint8_t block;
} test_kind;

/* The fastest way that this processor has, to the one packet by packet. */
uint32_t test_first_way(void);

/* A key in memory of its exact size; every byte follows from a seed. */
void *test_key_new(const tunnelcap_crypto *crypto, const test_kind *kind, uint64_t seed);
void test_key_at(const tunnelcap_crypto *crypto, void *mem, const test_kind *kind, uint64_t seed);
void test_key_free(const tunnelcap_crypto *crypto, void *key);
tunnelcap_transform test_transform(const test_kind *kind, uint64_t seed);

/* A lane for bursts of TEST_BURST. */
void *test_crypto_lane_new(const tunnelcap_crypto *crypto, uint32_t slots);
void test_crypto_lane_free(const tunnelcap_crypto *crypto, void *lane);

enum { TEST_HEAD = 24, TEST_TEXT = 2600, TEST_ICV = 32, TEST_BURST = 64 };

typedef struct test_packet {
    tunnelcap_crypto_op op;
    uint8_t bytes[TEST_HEAD + TEST_TEXT + TEST_ICV];
} test_packet;

/* A packet whose every byte follows from a seed; its text takes whole blocks. */
void test_packet_make(test_packet *p, const void *key, const test_kind *kind, uint32_t len,
                      uint64_t seed);

/* A copy, for a key of another provider. */
void test_packet_copy(test_packet *to, const test_packet *from, const void *key);

int32_t test_seal(const tunnelcap_crypto *crypto, void *lane, test_packet *p);
int32_t test_unseal(const tunnelcap_crypto *crypto, void *lane, test_packet *p);

#endif
