/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "transform.h"

#include <string.h>

#include "object.h"
#include "secure.h"

enum { OLDEST = sizeof(tunnelcap_transform), OLDEST_INFO = sizeof(tunnelcap_transform_info) };

/* Key lengths that an algorithm takes. */
enum { KEY_NONE, KEY_AES, KEY_16, KEY_20, KEY_24, KEY_32, KEY_48, KEY_64 };

typedef struct encr_facts {
    uint8_t id;
    uint8_t keys;
    uint8_t salt_len;
    uint8_t iv_len;
    uint8_t icv_len; /* 0: not combined */
    uint8_t align;
    uint8_t counter_mode;
    uint8_t implicit_iv;
    uint8_t weak;
} encr_facts;

static const encr_facts encrs[] = {
    /* id                                   keys   salt iv icv al cm ii weak */
    {TUNNELCAP_ENCR_3DES, KEY_24, 0, 8, 0, 8, 0, 0, 1},
    {TUNNELCAP_ENCR_NULL, KEY_NONE, 0, 0, 0, 4, 0, 0, 1},
    {TUNNELCAP_ENCR_AES_CBC, KEY_AES, 0, 16, 0, 16, 0, 0, 0},
    {TUNNELCAP_ENCR_AES_CTR, KEY_AES, 4, 8, 0, 4, 1, 0, 0},
    {TUNNELCAP_ENCR_AES_CCM_8, KEY_AES, 3, 8, 8, 4, 1, 0, 0},
    {TUNNELCAP_ENCR_AES_CCM_12, KEY_AES, 3, 8, 12, 4, 1, 0, 0},
    {TUNNELCAP_ENCR_AES_CCM_16, KEY_AES, 3, 8, 16, 4, 1, 0, 0},
    {TUNNELCAP_ENCR_AES_GCM_8, KEY_AES, 4, 8, 8, 4, 1, 0, 0},
    {TUNNELCAP_ENCR_AES_GCM_12, KEY_AES, 4, 8, 12, 4, 1, 0, 0},
    {TUNNELCAP_ENCR_AES_GCM_16, KEY_AES, 4, 8, 16, 4, 1, 0, 0},
    {TUNNELCAP_ENCR_AES_GMAC, KEY_AES, 4, 8, 16, 4, 1, 0, 1},
    {TUNNELCAP_ENCR_CHACHA20_POLY1305, KEY_32, 4, 8, 16, 4, 1, 0, 0},
    {TUNNELCAP_ENCR_AES_CCM_8_IIV, KEY_AES, 3, 0, 8, 4, 1, 1, 0},
    {TUNNELCAP_ENCR_AES_GCM_16_IIV, KEY_AES, 4, 0, 16, 4, 1, 1, 0},
    {TUNNELCAP_ENCR_CHACHA20_POLY1305_IIV, KEY_32, 4, 0, 16, 4, 1, 1, 0},
};

typedef struct integ_facts {
    uint8_t id;
    uint8_t keys;
    uint8_t icv_len;
    uint8_t weak;
} integ_facts;

static const integ_facts integs[] = {
    {TUNNELCAP_INTEG_HMAC_MD5_96, KEY_16, 12, 1},
    {TUNNELCAP_INTEG_HMAC_SHA1_96, KEY_20, 12, 0},
    {TUNNELCAP_INTEG_AES_XCBC_96, KEY_16, 12, 0},
    {TUNNELCAP_INTEG_AES_CMAC_96, KEY_16, 12, 0},
    {TUNNELCAP_INTEG_HMAC_SHA2_256_128, KEY_32, 16, 0},
    {TUNNELCAP_INTEG_HMAC_SHA2_384_192, KEY_48, 24, 0},
    {TUNNELCAP_INTEG_HMAC_SHA2_512_256, KEY_64, 32, 0},
};

static const encr_facts *find_encr(uint16_t id)
{
    for (size_t i = 0; i < sizeof(encrs) / sizeof(encrs[0]); i++) {
        if (encrs[i].id == id)
            return &encrs[i];
    }
    return NULL;
}

static const integ_facts *find_integ(uint16_t id)
{
    for (size_t i = 0; i < sizeof(integs) / sizeof(integs[0]); i++) {
        if (integs[i].id == id)
            return &integs[i];
    }
    return NULL;
}

static uint32_t key_fits(uint8_t keys, uint16_t len)
{
    static const uint8_t lengths[] = {0, 0, 16, 20, 24, 32, 48, 64};

    if (keys == KEY_AES)
        return len == 16 || len == 24 || len == 32;
    return len == lengths[keys];
}

static int32_t check_combination(const encr_facts *encr, const integ_facts *integ,
                                 const tunnelcap_transform *t)
{
    if (encr == NULL || (integ == NULL && t->integ != TUNNELCAP_INTEG_NONE))
        return TUNNELCAP_E_TRANSFORM;
    if ((encr->icv_len != 0) != (integ == NULL))
        return TUNNELCAP_E_TRANSFORM;
    if ((encr->weak || (integ != NULL && integ->weak)) &&
        !(t->flags & TUNNELCAP_TRANSFORM_ALLOW_WEAK))
        return TUNNELCAP_E_WEAK;
    if (!key_fits(encr->keys, t->encr_key_len) ||
        !key_fits(integ == NULL ? KEY_NONE : integ->keys, t->integ_key_len))
        return TUNNELCAP_E_KEY;
    if (!tunnelcap_i_is_zero(t->salt + encr->salt_len, sizeof(t->salt) - encr->salt_len))
        return TUNNELCAP_E_KEY;
    return TUNNELCAP_OK;
}

int32_t tunnelcap_i_transform_facts(const tunnelcap_transform *transform,
                                    tunnelcap_transform_info *info)
{
    const encr_facts *encr = find_encr(transform->encr);
    const integ_facts *integ = find_integ(transform->integ);
    int32_t status;

    if (transform->flags & ~(uint32_t)TUNNELCAP_TRANSFORM_ALLOW_WEAK)
        return TUNNELCAP_E_FLAGS;
    if (!tunnelcap_i_is_zero(transform->reserved, sizeof(transform->reserved)))
        return TUNNELCAP_E_RESERVED;
    status = check_combination(encr, integ, transform);
    if (status != TUNNELCAP_OK)
        return status;
    memset(info, 0, sizeof(*info));
    info->size = sizeof(*info);
    info->iv_len = encr->iv_len;
    info->icv_len = integ != NULL ? integ->icv_len : encr->icv_len;
    info->align = encr->align;
    info->salt_len = encr->salt_len;
    info->combined = encr->icv_len != 0;
    info->counter_mode = encr->counter_mode;
    info->implicit_iv = encr->implicit_iv;
    return TUNNELCAP_OK;
}

int32_t tunnelcap_transform_check(const tunnelcap_transform *transform,
                                  tunnelcap_transform_info *info)
{
    tunnelcap_transform own;
    tunnelcap_transform_info facts;
    int32_t status = tunnelcap_i_struct_read(&own, sizeof(own), OLDEST, transform);

    if (status == TUNNELCAP_OK)
        status = tunnelcap_i_transform_facts(&own, &facts);
    tunnelcap_i_wipe(&own, sizeof(own));
    if (status != TUNNELCAP_OK || info == NULL)
        return status;
    return tunnelcap_i_struct_init(info, info->size, &facts, sizeof(facts), OLDEST_INFO);
}
