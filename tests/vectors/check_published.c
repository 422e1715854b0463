/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The vectors of published.c through the provider on libcrypto, sealed and unsealed. Those of
 * ciphers without integrity get an ICV all the same, which is checked by unsealing.
 */
#include "published.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM = 1024 };

static uint32_t from_hex(const char *hex, uint8_t *bytes)
{
    uint32_t len = (uint32_t)strlen(hex) / 2;

    for (uint32_t i = 0; i < len; i++) {
        char digits[3] = {hex[2 * i], hex[2 * i + 1], 0};

        bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return len;
}

static tunnelcap_transform transform_of(const struct published *p)
{
    tunnelcap_transform t = {
        .size = sizeof(t), .flags = TUNNELCAP_TRANSFORM_ALLOW_WEAK, .encr = p->encr};

    t.encr_key_len = (uint16_t)from_hex(p->key, t.encr_key);
    from_hex(p->salt, t.salt);
    if (p->encr == TUNNELCAP_ENCR_AES_CBC || p->encr == TUNNELCAP_ENCR_AES_CTR) {
        t.integ = TUNNELCAP_INTEG_HMAC_SHA2_256_128;
        t.integ_key_len = 32;
    }
    return t;
}

/* A packet: SPI, sequence number, IV, text and ICV. */
struct packet {
    uint8_t bytes[ROOM];
    tunnelcap_crypto_op op;
};

static void make_packet(struct packet *packet, const struct published *p,
                        const tunnelcap_transform_info *info, const void *key)
{
    tunnelcap_crypto_op *op = &packet->op;
    uint32_t aad_len, salt_len, iv_len;

    memset(packet, 0, sizeof(*packet));
    aad_len = from_hex(p->aad, op->aad);
    op->flags = aad_len == 12 ? TUNNELCAP_OP_ESN : 0;
    memcpy(packet->bytes, op->aad, 4);
    if (aad_len >= 8)
        memcpy(packet->bytes + 4, op->aad + aad_len - 4, 4);
    iv_len = from_hex(p->iv, packet->bytes + 8);
    salt_len = from_hex(p->salt, op->nonce);
    memcpy(op->nonce + salt_len, packet->bytes + 8, iv_len);
    if (p->encr == TUNNELCAP_ENCR_AES_CTR)
        op->nonce[15] = 1;
    op->key = key;
    op->head_len = (uint16_t)(8 + info->iv_len);
    op->text = packet->bytes + op->head_len;
    op->text_len = from_hex(p->text, op->text);
    op->icv = op->text + op->text_len;
}

static bool check(const struct published *p, const tunnelcap_crypto *crypto, void *lane)
{
    static struct packet packet;
    static uint8_t want[ROOM], text[ROOM];
    tunnelcap_transform t = transform_of(p);
    tunnelcap_transform_info info = {.size = sizeof(info)};
    tunnelcap_crypto_op *op = &packet.op;
    uint32_t want_len = from_hex(p->sealed, want), text_len = from_hex(p->text, text);
    void *key;
    bool good;

    if (tunnelcap_transform_check(&t, &info) != TUNNELCAP_OK)
        return false;
    key = aligned_alloc(64, (crypto->key_size(crypto->self, &t) + 63) / 64 * 64);
    if (key == NULL)
        return false;
    memset(key, 0, crypto->key_size(crypto->self, &t));
    if (crypto->key_init(crypto->self, key, &t) != TUNNELCAP_OK)
        return false;
    make_packet(&packet, p, &info, key);
    crypto->seal(crypto->self, lane, &op, 1);
    good = op->status == TUNNELCAP_OK && memcmp(op->text, want, want_len) == 0 &&
           want_len == text_len + (info.combined ? info.icv_len : 0u);
    crypto->unseal(crypto->self, lane, &op, 1);
    good = good && op->status == TUNNELCAP_OK && memcmp(op->text, text, text_len) == 0;
    crypto->lane_forget(crypto->self, lane, key);
    crypto->key_fini(crypto->self, key);
    free(key);
    return good;
}

int main(void)
{
    const tunnelcap_crypto *crypto = tunnelcap_crypto_openssl();
    size_t lane_size = (crypto->lane_size(crypto->self, 1, 4) + 63) / 64 * 64;
    void *lane = aligned_alloc(64, lane_size);
    uint32_t failures = 0;

    if (lane == NULL)
        return EXIT_FAILURE;
    memset(lane, 0, lane_size);
    if (crypto->lane_init(crypto->self, lane, 1, 4) != TUNNELCAP_OK)
        return EXIT_FAILURE;
    for (size_t i = 0; i < published_count; i++) {
        if (check(&published[i], crypto, lane))
            continue;
        fprintf(stderr, "FAIL %s\n", published[i].where);
        failures++;
    }
    crypto->lane_fini(crypto->self, lane);
    free(lane);
    printf("%zu published vectors, %u failures\n", published_count, failures);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
