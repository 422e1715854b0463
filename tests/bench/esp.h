/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The parts of the bench of ESP: esp.c, lanes at the same time, and raw calls of libcrypto and
 * ipsec-mb that do the cryptography alone.
 */
#ifndef TUNNELCAP_BENCH_ESP_H
#define TUNNELCAP_BENCH_ESP_H

#include <stdbool.h>
#include <tunnelcap/tunnelcap.h>

#include "bench.h"

/* ---- esp_lanes.c ---- */

/* Two lanes on one SA, beside two lanes with an SA each; `only` as for bench_esp(). */
bench_set bench_esp_lanes;

/* ---- esp_raw.c ---- */

/* What a raw call gets of a packet. */
struct raw_packet {
    uint8_t *text, *icv;
    uint32_t text_len;
    uint8_t iv[12], aad[8];
};

/* One key of AES-GCM with a 16-byte ICV in a library, and how it is called. */
struct raw;
struct raw *raw_evp_lean(const uint8_t *key, uint32_t key_len, const uint8_t *salt, bool seal);
struct raw *raw_evp_textbook(const uint8_t *key, uint32_t key_len, const uint8_t *salt, bool seal);
struct raw *raw_ipsecmb(const uint8_t *key, uint32_t key_len, const uint8_t *salt, bool seal);
void raw_run(struct raw *raw, struct raw_packet *packets, uint32_t count);
void raw_free(struct raw *raw);

#endif
