/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Project Wycheproof's cases through the crypto provider: check_wycheproof VECTORS
 *
 * Run are the cases whose key, nonce and additional data ESP can have: nonces of 12 bytes, 11 with
 * CCM; 8 or 12 bytes of additional data; keys as long as the RFCs of ESP fix them. A message that
 * is only authenticated is laid over head, text and, once more, high half of the sequence number.
 * Tags longer than ESP's are compared as far as ESP's go.
 *
 * One line for each file tells how many cases were run; exits with 77 where there are no files.
 */
#include <jansson.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tunnelcap/tunnelcap.h>

enum { EXIT_SKIP = 77, BYTES_MAX = 4096, HEAD_MAX = 24, HIGH = 4 };

typedef struct bytes {
    size_t len;
    uint8_t at[BYTES_MAX];
} bytes;

/* How the cases of a file become operations. */
typedef struct algorithm {
    const char *file;
    uint16_t encr;
    uint16_t integ;
    uint32_t nonce_len;
    uint32_t tag_len;
    uint32_t key_lens[3]; /* 0: no more */
    const char *part;     /* libcrypto's name of the hash or cipher in a MAC */
} algorithm;

static const algorithm algorithms[] = {
    {"aes_gcm", TUNNELCAP_ENCR_AES_GCM_16, TUNNELCAP_INTEG_NONE, 12, 16, {16, 24, 32}, NULL},
    {"aes_gmac", TUNNELCAP_ENCR_AES_GMAC, TUNNELCAP_INTEG_NONE, 12, 16, {16, 24, 32}, NULL},
    {"aes_ccm", TUNNELCAP_ENCR_AES_CCM_16, TUNNELCAP_INTEG_NONE, 11, 16, {16, 24, 32}, NULL},
    {"chacha20_poly1305",
     TUNNELCAP_ENCR_CHACHA20_POLY1305,
     TUNNELCAP_INTEG_NONE,
     12,
     16,
     {32, 0, 0},
     NULL},
    {"aes_cmac",
     TUNNELCAP_ENCR_NULL,
     TUNNELCAP_INTEG_AES_CMAC_96,
     0,
     12,
     {16, 0, 0},
     "AES-128-CBC"},
    {"hmac_sha1", TUNNELCAP_ENCR_NULL, TUNNELCAP_INTEG_HMAC_SHA1_96, 0, 12, {20, 0, 0}, "SHA1"},
    {"hmac_sha256",
     TUNNELCAP_ENCR_NULL,
     TUNNELCAP_INTEG_HMAC_SHA2_256_128,
     0,
     16,
     {32, 0, 0},
     "SHA2-256"},
    {"hmac_sha384",
     TUNNELCAP_ENCR_NULL,
     TUNNELCAP_INTEG_HMAC_SHA2_384_192,
     0,
     24,
     {48, 0, 0},
     "SHA2-384"},
    {"hmac_sha512",
     TUNNELCAP_ENCR_NULL,
     TUNNELCAP_INTEG_HMAC_SHA2_512_256,
     0,
     32,
     {64, 0, 0},
     "SHA2-512"},
};

/* One case, read. */
typedef struct test_case {
    bytes key, iv, aad, msg, ct, tag;
    bool valid;
} test_case;

/* Where an operation finds its bytes. */
typedef struct packet {
    tunnelcap_crypto_op op;
    uint8_t at[HEAD_MAX + BYTES_MAX + 64];
} packet;

static const tunnelcap_crypto *crypto;
static void *lane;

/* ---- reading ---- */

static void *get_memory(size_t size)
{
    void *mem = aligned_alloc(64, (size + 63) / 64 * 64);

    if (mem == NULL) {
        fprintf(stderr, "out of memory\n");
        exit(EXIT_FAILURE);
    }
    memset(mem, 0, size);
    return mem;
}

/* A member in hexadecimal digits; absent ones are empty. */
static bool read_bytes(const json_t *object, const char *name, bytes *out)
{
    const char *digits = json_string_value(json_object_get(object, name));
    unsigned value;

    out->len = 0;
    for (; digits != NULL && *digits != '\0'; digits += 2) {
        if (out->len == BYTES_MAX || sscanf(digits, "%2x", &value) != 1)
            return false;
        out->at[out->len++] = (uint8_t)value;
    }
    return true;
}

static bool read_case(const json_t *test, test_case *c)
{
    const char *result = json_string_value(json_object_get(test, "result"));

    c->valid = result != NULL && strcmp(result, "invalid") != 0;
    return result != NULL && read_bytes(test, "key", &c->key) && read_bytes(test, "iv", &c->iv) &&
           read_bytes(test, "aad", &c->aad) && read_bytes(test, "msg", &c->msg) &&
           read_bytes(test, "ct", &c->ct) && read_bytes(test, "tag", &c->tag);
}

/* ---- choosing ---- */

static bool is_aead(const algorithm *a)
{
    return a->integ == TUNNELCAP_INTEG_NONE && a->encr != TUNNELCAP_ENCR_AES_GMAC;
}

static bool fits(const algorithm *a, const test_case *c)
{
    bool key_fits = false;

    for (size_t i = 0; i < sizeof(a->key_lens) / sizeof(a->key_lens[0]); i++)
        key_fits |= a->key_lens[i] != 0 && a->key_lens[i] == c->key.len;
    if (!key_fits || c->iv.len != a->nonce_len || c->tag.len < a->tag_len)
        return false;
    if (is_aead(a))
        return c->tag.len == a->tag_len && (c->aad.len == 8 || c->aad.len == 12);
    return a->encr == TUNNELCAP_ENCR_NULL || c->msg.len >= 16;
}

/* Where a tag was changed only behind the bytes that ESP sends, the packet is good: what libcrypto
 * itself says of the message decides. */
static bool good_as_truncated(const algorithm *a, const test_case *c)
{
    uint8_t tag[64];
    size_t len;
    const char *part = a->part;

    if (part == NULL)
        return false;
    if (EVP_Q_mac(NULL, a->integ == TUNNELCAP_INTEG_AES_CMAC_96 ? "CMAC" : "HMAC", NULL, part, NULL,
                  c->key.at, c->key.len, c->msg.at, c->msg.len, tag, sizeof(tag), &len) == NULL)
        return false;
    return memcmp(tag, c->tag.at, a->tag_len) == 0;
}

/* ---- running ---- */

/* Lay a message that is only authenticated over a packet: first the additional data of GMAC, or
 * last the high half of the sequence number of a separate algorithm. */
static void lay_message(const algorithm *a, const test_case *c, uint32_t head, bool high, packet *p)
{
    const uint8_t *msg = c->msg.at;
    size_t len = c->msg.len;
    tunnelcap_crypto_op *op = &p->op;

    if (a->encr == TUNNELCAP_ENCR_AES_GMAC) {
        memcpy(op->aad, msg, 8);
        msg += 8;
        len -= 8;
    } else if (high) {
        len -= HIGH;
        memcpy(op->aad + 4, msg + len, HIGH);
        op->flags = TUNNELCAP_OP_ESN;
    }
    memcpy(p->at, msg, len);
    op->head_len = (uint16_t)head;
    op->text = p->at + head;
    op->text_len = (uint32_t)len - head;
}

static void lay(const algorithm *a, const test_case *c, uint32_t head, bool high, const void *key,
                packet *p)
{
    tunnelcap_crypto_op *op = &p->op;

    memset(op, 0, sizeof(*op));
    op->key = key;
    memcpy(op->nonce, c->iv.at, c->iv.len);
    if (is_aead(a)) {
        memcpy(op->aad, c->aad.at, c->aad.len);
        op->flags = c->aad.len == 12 ? TUNNELCAP_OP_ESN : 0;
        op->text = p->at;
        op->text_len = (uint32_t)c->msg.len;
        memcpy(op->text, c->msg.at, c->msg.len);
    } else {
        lay_message(a, c, head, high, p);
    }
    op->icv = op->text + op->text_len;
}

static bool seals(const algorithm *a, const test_case *c, packet *p)
{
    tunnelcap_crypto_op *op = &p->op;

    crypto->seal(crypto->self, lane, &op, 1);
    return op->status == TUNNELCAP_OK && memcmp(op->icv, c->tag.at, a->tag_len) == 0 &&
           (!is_aead(a) || memcmp(op->text, c->ct.at, c->ct.len) == 0);
}

static int32_t unseal(const algorithm *a, const test_case *c, packet *p)
{
    tunnelcap_crypto_op *op = &p->op;

    if (is_aead(a))
        memcpy(op->text, c->ct.at, c->ct.len);
    memcpy(op->icv, c->tag.at, a->tag_len);
    crypto->unseal(crypto->self, lane, &op, 1);
    return op->status;
}

static bool behaves(const algorithm *a, const test_case *c, uint32_t head, bool high,
                    const void *key)
{
    static packet p;

    lay(a, c, head, high, key, &p);
    if (c->valid && !seals(a, c, &p))
        return false;
    if (unseal(a, c, &p) != (c->valid ? TUNNELCAP_OK : TUNNELCAP_E_AUTH))
        return false;
    if (is_aead(a) && c->msg.len != 0)
        return (memcmp(p.op.text, c->msg.at, c->msg.len) == 0) == c->valid;
    return true;
}

static bool run_case(const algorithm *a, const test_case *c)
{
    tunnelcap_transform t = {.size = sizeof(t),
                             .flags = TUNNELCAP_TRANSFORM_ALLOW_WEAK,
                             .encr = a->encr,
                             .integ = a->integ};
    bool separate = a->integ != TUNNELCAP_INTEG_NONE;
    uint32_t head = a->encr == TUNNELCAP_ENCR_AES_GMAC ? 8 : 0;
    bool ok;
    void *key;

    if (separate)
        t.integ_key_len = (uint16_t)c->key.len;
    else
        t.encr_key_len = (uint16_t)c->key.len;
    memcpy(separate ? t.integ_key : t.encr_key, c->key.at, c->key.len);
    key = get_memory(crypto->key_size(crypto->self, &t));
    ok = tunnelcap_transform_check(&t, NULL) == TUNNELCAP_OK &&
         crypto->key_init(crypto->self, key, &t) == TUNNELCAP_OK && behaves(a, c, head, false, key);
    if (ok && separate && c->msg.len >= HEAD_MAX + HIGH)
        ok = behaves(a, c, HEAD_MAX, false, key) && behaves(a, c, HEAD_MAX, true, key);
    crypto->lane_forget(crypto->self, lane, key);
    crypto->key_fini(crypto->self, key);
    free(key);
    return ok;
}

typedef struct tally {
    uint32_t all, run, wrong;
} tally;

static void run_group(const algorithm *a, const json_t *tests, tally *sum)
{
    static test_case c;
    json_t *test;
    size_t i;

    json_array_foreach(tests, i, test)
    {
        sum->all++;
        if (!read_case(test, &c) || !fits(a, &c))
            continue;
        if (!c.valid)
            c.valid = good_as_truncated(a, &c);
        sum->run++;
        if (!run_case(a, &c)) {
            sum->wrong++;
            printf("%s: case %d is wrong\n", a->file,
                   (int)json_integer_value(json_object_get(test, "tcId")));
        }
    }
}

/* 0: right; 1: wrong; -1: no such file. */
static int run_file(const char *directory, const algorithm *a)
{
    char path[8192];
    json_error_t error;
    json_t *root, *group;
    tally sum = {0, 0, 0};
    size_t i;

    snprintf(path, sizeof(path), "%s/%s_test.json", directory, a->file);
    root = json_load_file(path, 0, &error);
    if (root == NULL) {
        if (json_error_code(&error) == json_error_cannot_open_file)
            return -1;
        printf("%s: %s\n", path, error.text);
        return 1;
    }
    json_array_foreach(json_object_get(root, "testGroups"), i, group)
        run_group(a, json_object_get(group, "tests"), &sum);
    json_decref(root);
    printf("%s: %u of %u cases run, %u wrong\n", a->file, sum.run, sum.all, sum.wrong);
    return sum.run == 0 || sum.wrong != 0;
}

int main(int argc, char **argv)
{
    const char *directory = getenv("TUNNELCAP_VECTORS");
    char path[4096];
    uint32_t files = 0, wrong = 0;

    crypto = tunnelcap_crypto_openssl();
    if (argc != 2 || crypto == NULL) {
        fprintf(stderr, "usage: check_wycheproof VECTORS, with a build that has OpenSSL\n");
        return EXIT_FAILURE;
    }
    snprintf(path, sizeof(path), "%s/raw/wycheproof", directory != NULL ? directory : argv[1]);
    lane = get_memory(crypto->lane_size(crypto->self, 1, 4));
    if (crypto->lane_init(crypto->self, lane, 1, 4) != TUNNELCAP_OK)
        return EXIT_FAILURE;
    for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++) {
        int result = run_file(path, &algorithms[i]);
        files += result >= 0;
        wrong += result > 0;
    }
    crypto->lane_fini(crypto->self, lane);
    free(lane);
    if (files == 0) {
        printf("SKIP all: no cases in %s; set TUNNELCAP_VECTORS\n", path);
        return EXIT_SKIP;
    }
    return wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
