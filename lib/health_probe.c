/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The payload of probes. */
#include <tunnelcap/health.h>

#include "secure.h"
#include "wire.h"

#include <string.h>

enum { HEAD = 8, MAC = 8, MAC_AT = TUNNELCAP_PROBE_SIZE - MAC };

/* Who wrote it, and in which version. */
static const uint8_t head[HEAD] = {'T', 'C', 'P', 'R', 1, 0, 0, 0};

static uint64_t load_le64(const uint8_t *p)
{
    uint64_t v = 0;

    for (uint32_t i = 8; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

static uint64_t rotate(uint64_t x, uint32_t n)
{
    return x << n | x >> (64 - n);
}

static void sip_rounds(uint64_t v[4], uint32_t count)
{
    for (; count > 0; count--) {
        v[0] += v[1];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[0] = rotate(v[0], 32);
        v[2] += v[3];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[2] = rotate(v[2], 32);
    }
}

/* SipHash-2-4 of what stands before a MAC: whole 8-byte words. */
static void make_mac(const uint8_t key[TUNNELCAP_PROBE_KEY], const uint8_t p[MAC_AT],
                     uint8_t mac[MAC])
{
    uint64_t k0 = load_le64(key), k1 = load_le64(key + 8);
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
                     k1 ^ 0x7465646279746573};
    uint64_t word;

    for (uint32_t at = 0; at <= MAC_AT; at += 8) {
        word = at < MAC_AT ? load_le64(p + at) : (uint64_t)MAC_AT << 56;
        v[3] ^= word;
        sip_rounds(v, 2);
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    sip_rounds(v, 4);
    word = v[0] ^ v[1] ^ v[2] ^ v[3];
    for (uint32_t i = 0; i < MAC; i++)
        mac[i] = (uint8_t)(word >> 8 * i);
}

int32_t tunnelcap_probe_write(const tunnelcap_probe *probe, const uint8_t *key, uint8_t *payload)
{
    if (probe == NULL || key == NULL || payload == NULL)
        return TUNNELCAP_E_INVALID;
    memcpy(payload, head, HEAD);
    tunnelcap_i_store64(payload + 8, probe->tunnel);
    tunnelcap_i_store64(payload + 16, probe->server);
    tunnelcap_i_store64(payload + 24, probe->sent_ns);
    tunnelcap_i_store32(payload + 32, probe->seq);
    tunnelcap_i_store32(payload + 36, probe->kind);
    make_mac(key, payload, payload + MAC_AT);
    return TUNNELCAP_OK;
}

int32_t tunnelcap_probe_read(const uint8_t *payload, uint32_t len, const uint8_t *key,
                             tunnelcap_probe *probe)
{
    uint8_t mac[MAC];

    if (payload == NULL || key == NULL || probe == NULL)
        return TUNNELCAP_E_INVALID;
    if (len < TUNNELCAP_PROBE_SIZE || memcmp(payload, head, HEAD) != 0)
        return TUNNELCAP_E_PROTOCOL;
    make_mac(key, payload, mac);
    if (!tunnelcap_i_equal(mac, payload + MAC_AT, sizeof(mac)))
        return TUNNELCAP_E_AUTH;
    probe->tunnel = tunnelcap_i_load64(payload + 8);
    probe->server = tunnelcap_i_load64(payload + 16);
    probe->sent_ns = tunnelcap_i_load64(payload + 24);
    probe->seq = tunnelcap_i_load32(payload + 32);
    probe->kind = tunnelcap_i_load32(payload + 36);
    return TUNNELCAP_OK;
}
