/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#define _POSIX_C_SOURCE 200809L
#include "esp_file.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t esp_file_failures;

void need(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "cannot go on: %s\n", what);
    exit(EXIT_FAILURE);
}

bool expect(bool holds, const char *id, const char *what)
{
    if (holds)
        return true;
    fprintf(stderr, "FAIL %s: %s\n", id, what);
    esp_file_failures++;
    return false;
}

bool expect_status(int32_t got, int32_t want, const char *id, const char *what)
{
    if (got == want)
        return true;
    fprintf(stderr, "FAIL %s: %s: %s, expected %s\n", id, what, tunnelcap_status_name(got),
            tunnelcap_status_name(want));
    esp_file_failures++;
    return false;
}

json_t *file_load(const char *folder, const char *name)
{
    char path[4096];
    json_error_t error;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    json_t *root = json_load_file(path, 0, &error);
    if (root == NULL)
        fprintf(stderr, "%s: line %d: %s\n", path, error.line, error.text);
    need(root != NULL, "a file of vectors");
    return root;
}

const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "";
}

void bytes_of(const json_t *object, const char *name, struct bytes *bytes)
{
    const char *hex = json_string_value(json_object_get(object, name));
    size_t len;

    bytes->len = UINT32_MAX;
    if (hex == NULL)
        return;
    len = strlen(hex);
    need(len % 2 == 0 && len / 2 <= sizeof(bytes->at), name);
    for (size_t i = 0; i < len / 2; i++) {
        char digits[3] = {hex[2 * i], hex[2 * i + 1], 0};
        char *end;

        bytes->at[i] = (uint8_t)strtoul(digits, &end, 16);
        need(*end == 0, name);
    }
    bytes->len = (uint32_t)(len / 2);
}

/* A key field that must fit its place. */
static uint16_t key_of(const json_t *object, const char *name, uint8_t *key, size_t room)
{
    static struct bytes bytes;

    bytes_of(object, name, &bytes);
    need(bytes.len != UINT32_MAX && bytes.len <= room, name);
    memcpy(key, bytes.at, bytes.len);
    return (uint16_t)bytes.len;
}

enum { DES = 2 }; /* IANA's number: the library has none */

struct name {
    const char *name;
    uint16_t number;
};

static uint16_t number_of(const struct name *names, const char *name)
{
    for (; names->name != NULL; names++) {
        if (strcmp(names->name, name) == 0)
            return names->number;
    }
    return UINT16_MAX;
}

static uint16_t encr_of(const char *name, json_int_t icv_len)
{
    static const struct name names[] = {{"null", TUNNELCAP_ENCR_NULL},
                                        {"aes-cbc", TUNNELCAP_ENCR_AES_CBC},
                                        {"aes-ctr", TUNNELCAP_ENCR_AES_CTR},
                                        {"3des-cbc", TUNNELCAP_ENCR_3DES},
                                        {"des-cbc", DES},
                                        {"aes-gmac", TUNNELCAP_ENCR_AES_GMAC},
                                        {"chacha20-poly1305", TUNNELCAP_ENCR_CHACHA20_POLY1305},
                                        {"aes-gcm", TUNNELCAP_ENCR_AES_GCM_8},
                                        {"aes-ccm", TUNNELCAP_ENCR_AES_CCM_8},
                                        {NULL, 0}};
    uint16_t encr = number_of(names, name);

    if (encr == TUNNELCAP_ENCR_AES_GCM_8 || encr == TUNNELCAP_ENCR_AES_CCM_8)
        encr = (uint16_t)(encr + (icv_len - 8) / 4); /* numbers for 8, 12, 16 bytes are in a row */
    return encr;
}

void transform_of(const json_t *object, tunnelcap_transform *transform)
{
    static const struct name integs[] = {{"none", TUNNELCAP_INTEG_NONE},
                                         {"hmac-md5-96", TUNNELCAP_INTEG_HMAC_MD5_96},
                                         {"hmac-sha1-96", TUNNELCAP_INTEG_HMAC_SHA1_96},
                                         {"hmac-sha2-256-128", TUNNELCAP_INTEG_HMAC_SHA2_256_128},
                                         {"hmac-sha2-384-192", TUNNELCAP_INTEG_HMAC_SHA2_384_192},
                                         {"hmac-sha2-512-256", TUNNELCAP_INTEG_HMAC_SHA2_512_256},
                                         {"aes-xcbc-96", TUNNELCAP_INTEG_AES_XCBC_96},
                                         {"aes-cmac-96", TUNNELCAP_INTEG_AES_CMAC_96},
                                         {NULL, 0}};

    memset(transform, 0, sizeof(*transform));
    transform->size = sizeof(*transform);
    transform->flags = TUNNELCAP_TRANSFORM_ALLOW_WEAK;
    transform->encr =
        encr_of(text_of(object, "enc"), json_integer_value(json_object_get(object, "icv_len")));
    transform->integ = number_of(integs, text_of(object, "auth"));
    transform->encr_key_len =
        key_of(object, "enc_key", transform->encr_key, sizeof(transform->encr_key));
    transform->integ_key_len =
        key_of(object, "auth_key", transform->integ_key, sizeof(transform->integ_key));
    key_of(object, "salt", transform->salt, sizeof(transform->salt));
    need(transform->encr != UINT16_MAX && transform->integ != UINT16_MAX, "an algorithm");
}

tunnelcap_addr addr_of(const char *text)
{
    tunnelcap_addr addr = {.family = strchr(text, ':') != NULL ? TUNNELCAP_IPV6 : TUNNELCAP_IPV4};

    need(inet_pton(addr.family == TUNNELCAP_IPV6 ? AF_INET6 : AF_INET, text, addr.bytes) == 1,
         "an address");
    return addr;
}

tunnelcap_lane *lane_of(const tunnelcap_crypto *crypto, uint16_t id)
{
    uint8_t seed[TUNNELCAP_SEED_SIZE] = {[18] = (uint8_t)(id >> 8), [19] = (uint8_t)id};
    tunnelcap_lane_config config;
    tunnelcap_lane *lane = NULL;

    need(tunnelcap_lane_config_init(&config, sizeof(config)) == TUNNELCAP_OK, "a lane's defaults");
    need(tunnelcap_lane_new(&config, seed, crypto, NULL, &lane) == TUNNELCAP_OK, "a lane");
    return lane;
}
