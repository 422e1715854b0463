/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "esp_kit.h"

/* ---- transforms ---- */

#define COMBINED(encr, key, iv, icv, salt, weak)                                                   \
    {                                                                                              \
        encr, 0, key, 0, iv, icv, 4, salt, 1, weak                                                 \
    }

const test_suite_row test_suites[] = {
    COMBINED(TUNNELCAP_ENCR_AES_GCM_8, 16, 8, 8, 4, 0),
    COMBINED(TUNNELCAP_ENCR_AES_GCM_12, 24, 8, 12, 4, 0),
    COMBINED(TUNNELCAP_ENCR_AES_GCM_16, 16, 8, 16, 4, 0),
    COMBINED(TUNNELCAP_ENCR_AES_GCM_16, 24, 8, 16, 4, 0),
    COMBINED(TUNNELCAP_ENCR_AES_GCM_16, 32, 8, 16, 4, 0),
    COMBINED(TUNNELCAP_ENCR_AES_GMAC, 16, 8, 16, 4, 1),
    COMBINED(TUNNELCAP_ENCR_AES_GMAC, 32, 8, 16, 4, 1),
    COMBINED(TUNNELCAP_ENCR_AES_CCM_8, 16, 8, 8, 3, 0),
    COMBINED(TUNNELCAP_ENCR_AES_CCM_12, 24, 8, 12, 3, 0),
    COMBINED(TUNNELCAP_ENCR_AES_CCM_16, 32, 8, 16, 3, 0),
    COMBINED(TUNNELCAP_ENCR_CHACHA20_POLY1305, 32, 8, 16, 4, 0),
    COMBINED(TUNNELCAP_ENCR_AES_CCM_8_IIV, 16, 0, 8, 3, 0),
    COMBINED(TUNNELCAP_ENCR_AES_GCM_16_IIV, 16, 0, 16, 4, 0),
    COMBINED(TUNNELCAP_ENCR_CHACHA20_POLY1305_IIV, 32, 0, 16, 4, 0),
    {TUNNELCAP_ENCR_AES_CBC, TUNNELCAP_INTEG_HMAC_SHA1_96, 16, 20, 16, 12, 16, 0, 0, 0},
    {TUNNELCAP_ENCR_AES_CBC, TUNNELCAP_INTEG_HMAC_SHA2_256_128, 16, 32, 16, 16, 16, 0, 0, 0},
    {TUNNELCAP_ENCR_AES_CBC, TUNNELCAP_INTEG_HMAC_SHA2_384_192, 24, 48, 16, 24, 16, 0, 0, 0},
    {TUNNELCAP_ENCR_AES_CBC, TUNNELCAP_INTEG_HMAC_SHA2_512_256, 32, 64, 16, 32, 16, 0, 0, 0},
    {TUNNELCAP_ENCR_AES_CBC, TUNNELCAP_INTEG_AES_XCBC_96, 16, 16, 16, 12, 16, 0, 0, 0},
    {TUNNELCAP_ENCR_AES_CBC, TUNNELCAP_INTEG_AES_CMAC_96, 16, 16, 16, 12, 16, 0, 0, 0},
    {TUNNELCAP_ENCR_AES_CTR, TUNNELCAP_INTEG_HMAC_SHA1_96, 16, 20, 8, 12, 4, 4, 1, 0},
    {TUNNELCAP_ENCR_AES_CTR, TUNNELCAP_INTEG_AES_CMAC_96, 32, 16, 8, 12, 4, 4, 1, 0},
    {TUNNELCAP_ENCR_3DES, TUNNELCAP_INTEG_HMAC_MD5_96, 24, 16, 8, 12, 8, 0, 0, 1},
    {TUNNELCAP_ENCR_3DES, TUNNELCAP_INTEG_HMAC_SHA2_256_128, 24, 32, 8, 16, 8, 0, 0, 1},
    {TUNNELCAP_ENCR_NULL, TUNNELCAP_INTEG_HMAC_SHA1_96, 0, 20, 0, 12, 4, 0, 0, 1},
    {TUNNELCAP_ENCR_NULL, TUNNELCAP_INTEG_AES_XCBC_96, 0, 16, 0, 12, 4, 0, 0, 1},
};
const uint32_t test_suites_count = TEST_COUNT(test_suites);

tunnelcap_transform test_transform_of(const test_suite_row *row)
{
    tunnelcap_transform t = {.size = sizeof(t),
                             .flags = row->weak ? TUNNELCAP_TRANSFORM_ALLOW_WEAK : 0,
                             .encr = row->encr,
                             .integ = row->integ,
                             .encr_key_len = row->encr_key_len,
                             .integ_key_len = row->integ_key_len};
    for (uint32_t i = 0; i < row->encr_key_len; i++)
        t.encr_key[i] = (uint8_t)(0x61 + 11 * i);
    for (uint32_t i = 0; i < row->integ_key_len; i++)
        t.integ_key[i] = (uint8_t)(0x95 + 13 * i);
    for (uint32_t i = 0; i < row->salt_len; i++)
        t.salt[i] = (uint8_t)(0xd1 + i);
    return t;
}

tunnelcap_transform test_gcm(void)
{
    return test_transform_of(&test_suites[2]);
}

tunnelcap_transform test_cbc_sha256(void)
{
    return test_transform_of(&test_suites[15]);
}

/* ---- objects ---- */

tunnelcap_esp_config test_esp_config(uint8_t direction, const char *local, const char *remote)
{
    tunnelcap_esp_config config;
    bool out = direction == TUNNELCAP_ESP_OUT;
    ck_assert_status(tunnelcap_esp_config_init(&config, sizeof(config)), TUNNELCAP_OK);
    config.direction = direction;
    config.spi = TEST_SPI;
    config.outer.local = test_addr(out ? local : remote);
    config.outer.remote = test_addr(out ? remote : local);
    config.nonce_origin = out ? TUNNELCAP_NONCE_FRESH_KEY : TUNNELCAP_NONCE_UNSET;
    config.seq_start = out ? 1 : 0;
    return config;
}

tunnelcap_esp *test_esp_new(const tunnelcap_esp_config *config,
                            const tunnelcap_transform *transform, const tunnelcap_crypto *crypto)
{
    tunnelcap_esp *esp = NULL;
    ck_assert_status(tunnelcap_esp_new(config, transform, crypto, test_alloc(), &esp),
                     TUNNELCAP_OK);
    return esp;
}

tunnelcap_lane *test_crypto_lane(const tunnelcap_crypto *crypto, uint32_t max_burst)
{
    tunnelcap_lane_config config;
    tunnelcap_lane *lane = NULL;
    ck_assert_status(tunnelcap_lane_config_init(&config, sizeof(config)), TUNNELCAP_OK);
    config.max_burst = max_burst;
    ck_assert_status(tunnelcap_lane_new(&config, test_seed, crypto, test_alloc(), &lane),
                     TUNNELCAP_OK);
    return lane;
}

void test_pair_make(test_pair *pair, const tunnelcap_transform *transform,
                    const tunnelcap_esp_config *out, const tunnelcap_esp_config *in)
{
    const tunnelcap_crypto *crypto = test_toy_init(&pair->toy);
    pair->transform = *transform;
    pair->lane = test_crypto_lane(crypto, 32);
    pair->out = test_esp_new(out, transform, crypto);
    pair->in = test_esp_new(in, transform, crypto);
}

void test_pair_open(test_pair *pair, const tunnelcap_transform *transform, uint32_t flags,
                    uint8_t mode)
{
    tunnelcap_esp_config out = test_esp_config(TUNNELCAP_ESP_OUT, "192.0.2.1", "192.0.2.2");
    tunnelcap_esp_config in = test_esp_config(TUNNELCAP_ESP_IN, "192.0.2.1", "192.0.2.2");
    out.flags = in.flags = flags;
    out.mode = in.mode = mode;
    if (mode == TUNNELCAP_ESP_TRANSPORT) {
        memset(&out.outer.local, 0, sizeof(out.outer.local));
        memset(&in.outer.local, 0, sizeof(in.outer.local));
    }
    test_pair_make(pair, transform, &out, &in);
}

void test_pair_close(test_pair *pair)
{
    tunnelcap_esp_forget(pair->out, pair->lane);
    tunnelcap_esp_forget(pair->in, pair->lane);
    tunnelcap_esp_free(pair->out);
    tunnelcap_esp_free(pair->in);
    tunnelcap_lane_free(pair->lane);
    ck_assert_uint_eq(pair->toy.keys_live, 0);
    ck_assert_uint_eq(pair->toy.lanes_live, 0);
}

void test_sa_pair(tunnelcap_table *table, uint64_t id, tunnelcap_esp *in, tunnelcap_esp *out)
{
    if (in != NULL)
        test_ok(tunnelcap_table_set_sa(table, id, in, TUNNELCAP_SA_OUT_ACTIVE, 0));
    if (out != NULL)
        test_ok(tunnelcap_table_set_sa(table, id, out, TUNNELCAP_SA_OUT_ACTIVE, 0));
}

tunnelcap_esp_state test_esp_state(const tunnelcap_esp *esp)
{
    tunnelcap_esp_state state;
    ck_assert_status(tunnelcap_esp_get_state(esp, &state, sizeof(state)), TUNNELCAP_OK);
    return state;
}

/* ---- packets ---- */

tunnelcap_pkt test_pkt_room(const void *bytes, uint32_t len, uint32_t headroom, uint32_t tailroom)
{
    static uint8_t both[2 * TEST_FRAME_CAP];
    ck_assert_uint_le((uint64_t)len + tailroom, sizeof(both));
    memcpy(both, bytes, len);
    memset(both + len, 0xdd, tailroom);
    tunnelcap_pkt pkt = test_pkt(both, len + tailroom, headroom);
    pkt.len = len;
    return pkt;
}

tunnelcap_pkt test_esp_pkt(const test_frame *frame)
{
    return test_pkt_room(frame->bytes, frame->len, 80, 64);
}

int32_t test_esp_encap(tunnelcap_esp *esp, tunnelcap_lane *lane, tunnelcap_pkt *pkt,
                       const tunnelcap_meta *meta)
{
    uint32_t done = tunnelcap_esp_encap(esp, lane, pkt, meta, 0, 1);
    ck_assert_uint_eq(done, pkt->status >= 0);
    return pkt->status;
}

int32_t test_esp_decap(tunnelcap_esp *esp, tunnelcap_lane *lane, tunnelcap_pkt *pkt,
                       const tunnelcap_meta *meta, tunnelcap_esp_rx *rx)
{
    uint32_t done = tunnelcap_esp_decap(esp, lane, pkt, meta, 0, rx, 1);
    ck_assert_uint_eq(done, pkt->status >= 0);
    return pkt->status;
}

tunnelcap_pkt test_sealed(test_pair *pair, const test_frame *inner)
{
    tunnelcap_pkt pkt = test_esp_pkt(inner);
    int32_t status = test_esp_encap(pair->out, pair->lane, &pkt, NULL);
    ck_assert_msg(status >= 0, "%s", tunnelcap_status_name(status));
    tunnelcap_pkt exact = test_pkt(pkt.buf + pkt.off, pkt.len, 0);
    test_pkt_free(&pkt);
    return exact;
}

int32_t test_arrives(test_pair *pair, const tunnelcap_pkt *sealed)
{
    tunnelcap_pkt copy = test_pkt(sealed->buf + sealed->off, sealed->len, 0);
    int32_t status = test_esp_decap(pair->in, pair->lane, &copy, NULL, NULL);
    test_pkt_free(&copy);
    return status;
}

uint32_t test_esp_at(const uint8_t *bytes)
{
    uint32_t at = bytes[0] >> 4 == 4 ? (bytes[0] & 15u) * 4 : 40;
    uint8_t protocol = bytes[0] >> 4 == 4 ? bytes[9] : bytes[6];
    while (protocol == 0 || protocol == 43 || protocol == 60) {
        protocol = bytes[at];
        at += (bytes[at + 1] + 1u) * 8;
    }
    return protocol == 17 ? at + 8 : at;
}

uint64_t test_load64(const uint8_t *at)
{
    return (uint64_t)test_load32(at) << 32 | test_load32(at + 4);
}

void test_store64(uint8_t *at, uint64_t value)
{
    test_store32(at, (uint32_t)(value >> 32));
    test_store32(at + 4, (uint32_t)value);
}
