/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Security associations and packets as test vectors describe them in JSON.
 */
#ifndef TUNNELCAP_TESTS_ESP_FILE_H
#define TUNNELCAP_TESTS_ESP_FILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include <tunnelcap/tunnelcap.h>

enum { ESP_FILE_BYTES = 70000 };

/* Bytes of a hexadecimal string; `len` is UINT32_MAX where the field is null or missing. */
struct bytes {
    uint32_t len;
    uint8_t at[ESP_FILE_BYTES];
};

/* End the process unless it holds: a vector that cannot be read is no vector that passed. */
void need(bool holds, const char *what);

/* Count a check, and say which vector failed it. */
bool expect(bool holds, const char *id, const char *what);
bool expect_status(int32_t got, int32_t want, const char *id, const char *what);
extern uint32_t esp_file_failures;

json_t *file_load(const char *folder, const char *name);
const char *text_of(const json_t *object, const char *name); /* "" if null or missing */
void bytes_of(const json_t *object, const char *name, struct bytes *bytes);

/* The transform of a vector or of an SA, weak algorithms allowed. */
void transform_of(const json_t *object, tunnelcap_transform *transform);

tunnelcap_addr addr_of(const char *text);

/* A lane for OpenSSL's or another provider; its first IPv4 identification is `id`. */
tunnelcap_lane *lane_of(const tunnelcap_crypto *crypto, uint16_t id);

#endif
