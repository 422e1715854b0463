/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Names of algorithms in the forms that key files have, and keys. */
#include "sa_file_parts.h"

#include <string.h>

static const sa_encr encrs[] = {
    {{"3des-cbc", "cbc(des3_ede)", "TripleDES-CBC [RFC2451]"}, TUNNELCAP_ENCR_3DES, 0, 0, true},
    {{"null", "ecb(cipher_null)", "NULL"}, TUNNELCAP_ENCR_NULL, 0, 0, true},
    {{"aes-cbc", "cbc(aes)", "AES-CBC [RFC3602]"}, TUNNELCAP_ENCR_AES_CBC, 0, 0, true},
    {{"aes-ctr", "rfc3686(ctr(aes))", "AES-CTR [RFC3686]"}, TUNNELCAP_ENCR_AES_CTR, 0, 4, true},
    {{"aes-ccm", "rfc4309(ccm(aes))", NULL}, TUNNELCAP_ENCR_AES_CCM_8, 8, 3, false},
    {{"aes-ccm", "rfc4309(ccm(aes))", NULL}, TUNNELCAP_ENCR_AES_CCM_12, 12, 3, false},
    {{"aes-ccm", "rfc4309(ccm(aes))", NULL}, TUNNELCAP_ENCR_AES_CCM_16, 16, 3, false},
    {{"aes-gcm", "rfc4106(gcm(aes))", "AES-GCM with 8 octet ICV [RFC4106]"},
     TUNNELCAP_ENCR_AES_GCM_8,
     8,
     4,
     true},
    {{"aes-gcm", "rfc4106(gcm(aes))", "AES-GCM with 12 octet ICV [RFC4106]"},
     TUNNELCAP_ENCR_AES_GCM_12,
     12,
     4,
     true},
    {{"aes-gcm", "rfc4106(gcm(aes))", "AES-GCM with 16 octet ICV [RFC4106]"},
     TUNNELCAP_ENCR_AES_GCM_16,
     16,
     4,
     true},
    {{"aes-gmac", "rfc4543(gcm(aes))", NULL}, TUNNELCAP_ENCR_AES_GMAC, 16, 4, false},
    {{"chacha20-poly1305", "rfc7539esp(chacha20,poly1305)", "ChaCha20 with Poly1305 [RFC7634]"},
     TUNNELCAP_ENCR_CHACHA20_POLY1305,
     16,
     4,
     false},
    {{"aes-ccm-iiv", NULL, NULL}, TUNNELCAP_ENCR_AES_CCM_8_IIV, 8, 3, false},
    {{"aes-gcm-iiv", NULL, "AES-GCM with IIV and 16 octet ICV [RFC4106 & RFC8750]"},
     TUNNELCAP_ENCR_AES_GCM_16_IIV,
     16,
     4,
     false},
    {{"chacha20-poly1305-iiv", NULL, "ChaCha20 with Poly1305 and IIV [RFC7634 & RFC8750]"},
     TUNNELCAP_ENCR_CHACHA20_POLY1305_IIV,
     16,
     4,
     false},
};

static const sa_integ integs[] = {
    {{"none", NULL, "NULL"}, TUNNELCAP_INTEG_NONE, 0},
    {{"hmac-md5-96", "hmac(md5)", "HMAC-MD5-96 [RFC2403]"}, TUNNELCAP_INTEG_HMAC_MD5_96, 12},
    {{"hmac-sha1-96", "hmac(sha1)", "HMAC-SHA-1-96 [RFC2404]"}, TUNNELCAP_INTEG_HMAC_SHA1_96, 12},
    {{"aes-xcbc-96", "xcbc(aes)", NULL}, TUNNELCAP_INTEG_AES_XCBC_96, 12},
    {{"aes-cmac-96", "cmac(aes)", NULL}, TUNNELCAP_INTEG_AES_CMAC_96, 12},
    {{"hmac-sha2-256-128", "hmac(sha256)", "HMAC-SHA-256-128 [RFC4868]"},
     TUNNELCAP_INTEG_HMAC_SHA2_256_128,
     16},
    {{"hmac-sha2-384-192", "hmac(sha384)", "HMAC-SHA-384-192 [RFC4868]"},
     TUNNELCAP_INTEG_HMAC_SHA2_384_192,
     24},
    {{"hmac-sha2-512-256", "hmac(sha512)", "HMAC-SHA-512-256 [RFC4868]"},
     TUNNELCAP_INTEG_HMAC_SHA2_512_256,
     32},
};

const sa_encr *sa_encr_named(enum sa_form form, const char *name, uint32_t icv_len)
{
    for (size_t i = 0; i < sizeof encrs / sizeof encrs[0]; i++) {
        const sa_encr *encr = &encrs[i];

        if (encr->names[form] != NULL && strcmp(encr->names[form], name) == 0 &&
            (icv_len == 0 || encr->icv_len == icv_len))
            return encr;
    }
    return NULL;
}

const sa_integ *sa_integ_named(enum sa_form form, const char *name)
{
    for (size_t i = 0; i < sizeof integs / sizeof integs[0]; i++)
        if (integs[i].names[form] != NULL && strcmp(integs[i].names[form], name) == 0)
            return &integs[i];
    return NULL;
}

const sa_encr *sa_encr_numbered(uint16_t id)
{
    for (size_t i = 0; i < sizeof encrs / sizeof encrs[0]; i++)
        if (encrs[i].id == id)
            return &encrs[i];
    return NULL;
}

const sa_integ *sa_integ_numbered(uint16_t id)
{
    for (size_t i = 0; i < sizeof integs / sizeof integs[0]; i++)
        if (integs[i].id == id)
            return &integs[i];
    return NULL;
}

static int digit_value(char digit)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *found = digit == '\0' ? NULL : strchr(digits, digit);

    return found == NULL ? -1 : (int)(found - digits) % 16;
}

const char *sa_key_from_hex(const char *digits, sa_key *key)
{
    size_t len = strlen(digits) / 2;

    key->len = 0;
    if (strlen(digits) % 2 != 0)
        return "the key has an odd number of digits";
    if (len > sizeof key->bytes)
        return "the key is longer than any";
    for (size_t i = 0; i < len; i++) {
        int high = digit_value(digits[2 * i]);
        int low = digit_value(digits[2 * i + 1]);

        if (high < 0 || low < 0)
            return "the key is not hexadecimal";
        key->bytes[i] = (uint8_t)(high << 4 | low);
    }
    key->len = len;
    return NULL;
}

const char *sa_key_from_text(const char *text, sa_key *key)
{
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
        return sa_key_from_hex(text + 2, key);
    key->len = 0;
    if (text[0] == '<')
        return "the key is hidden";
    if (strlen(text) > sizeof key->bytes)
        return "the key is longer than any";
    key->len = strlen(text);
    memcpy(key->bytes, text, key->len);
    return NULL;
}

const char *sa_set_encr(sa_file_entry *sa, const sa_encr *encr, sa_key *key)
{
    tunnelcap_transform *t = &sa->transform;
    const char *wrong = NULL;

    t->encr = encr->id;
    if (key->len < encr->salt_len) {
        wrong = "the key is shorter than the salt at its end";
    } else if (key->len - encr->salt_len > sizeof t->encr_key) {
        wrong = "the key is too long";
    } else {
        t->encr_key_len = (uint16_t)(key->len - encr->salt_len);
        memcpy(t->encr_key, key->bytes, t->encr_key_len);
        memcpy(t->salt, key->bytes + t->encr_key_len, encr->salt_len);
    }
    explicit_bzero(key, sizeof *key);
    return wrong;
}

const char *sa_set_integ(sa_file_entry *sa, const sa_integ *integ, sa_key *key)
{
    tunnelcap_transform *t = &sa->transform;
    const char *wrong = NULL;

    t->integ = integ->id;
    if (key->len > sizeof t->integ_key) {
        wrong = "the integrity key is too long";
    } else {
        t->integ_key_len = (uint16_t)key->len;
        memcpy(t->integ_key, key->bytes, key->len);
    }
    explicit_bzero(key, sizeof *key);
    return wrong;
}

uint8_t sa_unknown_icv(const char *bits)
{
    static const char *const known[] = {"64", "96", "128", "192", "256"};
    static const uint8_t bytes[] = {8, 12, 16, 24, 32};

    for (size_t i = 0; i < sizeof bytes; i++)
        if (strcmp(bits, known[i]) == 0)
            return bytes[i];
    return 0;
}
