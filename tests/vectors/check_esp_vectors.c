/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Single ESP packets of others, both ways, byte for byte: check_esp_vectors VECTORS
 *
 * VECTORS/esp holds the packets, or $TUNNELCAP_VECTORS/esp does. Exits with 77 where there are
 * none. Three things that the library refuses to send are set behind its back, so that the rest
 * can be compared: SPIs that IANA reserves, CBC's IVs, and an identification of 0 without DF.
 */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "esp.h"
#include "esp_file.h"

enum { EXIT_SKIP = 77, HEADROOM = 128, TAILROOM = 128, IPV4 = 20, DUMMY = 59 };

/* A provider that is OpenSSL's, but for the IV of one packet in CBC: the library encrypts a
 * counter there, so what decrypts to the wanted IV is put in the counter's place. */
static struct {
    const EVP_CIPHER *cipher; /* the same in ECB mode; NULL: leave all as it is */
    uint8_t key[32];
    uint8_t iv[16];
    uint32_t block;
} wanted;

static void seal(void *self, void *lane, tunnelcap_crypto_op *const *ops, uint32_t n)
{
    if (wanted.cipher != NULL) {
        EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
        int len;

        need(ctx != NULL && n == 1, "one packet at a time");
        need(EVP_DecryptInit_ex(ctx, wanted.cipher, NULL, wanted.key, NULL) == 1 &&
                 EVP_CIPHER_CTX_set_padding(ctx, 0) == 1 &&
                 EVP_DecryptUpdate(ctx, ops[0]->text, &len, wanted.iv, (int)wanted.block) == 1,
             "a block cipher");
        EVP_CIPHER_CTX_free(ctx);
    }
    tunnelcap_crypto_openssl()->seal(self, lane, ops, n);
}

static const EVP_CIPHER *block_cipher(const tunnelcap_transform *t)
{
    if (t->encr == TUNNELCAP_ENCR_3DES)
        return EVP_des_ede3_ecb();
    if (t->encr != TUNNELCAP_ENCR_AES_CBC)
        return NULL;
    return t->encr_key_len == 16   ? EVP_aes_128_ecb()
           : t->encr_key_len == 24 ? EVP_aes_192_ecb()
                                   : EVP_aes_256_ecb();
}

/* One vector, and what follows from it. */
static struct {
    const json_t *json;
    const char *id;
    tunnelcap_transform transform;
    struct bytes iv, plain, outer; /* outer: the whole packet, its IP header made up if need be */
    uint64_t seq;
    uint32_t spi;
    uint8_t next_header;
    bool tunnel, udp, esn, bad_icv;
} v;

static uint64_t number(const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(v.json, name));
}

static void fix_checksum(uint8_t *ip)
{
    uint32_t sum = 0;

    ip[10] = ip[11] = 0;
    for (uint32_t i = 0; i < IPV4; i += 2)
        sum += (uint32_t)ip[i] << 8 | ip[i + 1];
    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~((sum & 0xffff) + (sum >> 16));
    ip[10] = (uint8_t)(sum >> 8);
    ip[11] = (uint8_t)sum;
}

/* An IPv4 header before what a vector without one gives. */
static void add_header(struct bytes *packet, uint8_t protocol)
{
    uint8_t ip[IPV4] = {0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2};

    memmove(packet->at + IPV4, packet->at, packet->len);
    packet->len += IPV4;
    ip[2] = (uint8_t)(packet->len >> 8);
    ip[3] = (uint8_t)packet->len;
    memcpy(packet->at, ip, IPV4);
    fix_checksum(packet->at);
}

static void read_packets(void)
{
    bytes_of(v.json, "plain_packet_hex", &v.plain);
    bytes_of(v.json, "esp_packet_hex", &v.outer);
    if (v.outer.len == UINT32_MAX) {
        bytes_of(v.json, "esp_payload_hex", &v.outer);
        add_header(&v.outer, 50);
    } else if (json_is_false(json_object_get(json_object_get(v.json, "outer"), "csum_ok"))) {
        fix_checksum(v.outer.at); /* left unset by the source */
    }
    if (v.plain.len == UINT32_MAX && !v.bad_icv) {
        bytes_of(v.json, "esp_plain_hex", &v.plain);
        v.plain.len -= 2 + v.plain.at[v.plain.len - 2];
        add_header(&v.plain, v.next_header);
    }
}

static void read_vector(const json_t *json)
{
    v.json = json;
    v.id = text_of(json, "id");
    transform_of(json, &v.transform);
    v.tunnel = strcmp(text_of(json, "mode"), "tunnel") == 0;
    v.udp = json_is_true(json_object_get(json, "udp_encap"));
    v.esn = json_is_true(json_object_get(json, "esn"));
    v.bad_icv = strcmp(text_of(json, "expect"), "bad_icv") == 0;
    v.spi = (uint32_t)number("spi");
    v.seq = (v.esn ? number("esn_hi") << 32 : 0) | number("seq");
    v.next_header = (uint8_t)number("next_header");
    bytes_of(json, "iv", &v.iv);
    need(v.iv.len <= sizeof(wanted.iv), "an IV");
    read_packets();
}

static tunnelcap_esp_config config_of(uint8_t direction)
{
    tunnelcap_esp_config c;

    need(tunnelcap_esp_config_init(&c, sizeof(c)) == TUNNELCAP_OK, "an SA's defaults");
    c.direction = direction;
    c.mode = v.tunnel ? TUNNELCAP_ESP_TUNNEL : TUNNELCAP_ESP_TRANSPORT;
    c.flags = (v.udp ? TUNNELCAP_ESP_UDP : 0u) | (v.esn ? TUNNELCAP_ESP_ESN : 0u);
    c.spi = v.spi;
    if (v.udp) {
        c.udp_src_port = (uint16_t)number("udp_sport");
        c.udp_dst_port = (uint16_t)number("udp_dport");
    }
    return c;
}

static tunnelcap_esp *sa_of(tunnelcap_esp_config *c, const tunnelcap_crypto *crypto)
{
    tunnelcap_esp *esp = NULL;
    int32_t status = tunnelcap_esp_new(c, &v.transform, crypto, NULL, &esp);

    if (v.spi == 0) { /* never on the wire (RFC 4303 2.1), but one vector has it */
        expect_status(status, TUNNELCAP_E_RANGE, v.id, "SPI 0");
        c->spi = 1;
        status = tunnelcap_esp_new(c, &v.transform, crypto, NULL, &esp);
        if (status == TUNNELCAP_OK) {
            esp->spi = v.spi;
            tunnelcap_i_store32(esp->outer.header + esp->outer.ip_len + esp->udp_len, v.spi);
        }
    }
    expect_status(status, TUNNELCAP_OK, v.id, "init");
    return esp;
}

static void check_decap(void)
{
    static uint8_t memory[HEADROOM + ESP_FILE_BYTES];
    tunnelcap_esp_config c = config_of(TUNNELCAP_ESP_IN);
    tunnelcap_lane *lane = lane_of(tunnelcap_crypto_openssl(), 1);
    tunnelcap_pkt pkt = {memory, sizeof(memory), HEADROOM, v.outer.len, 0, NULL};
    tunnelcap_esp *esp;

    c.seq_start = v.seq - 1;
    if (v.seq == UINT64_MAX) /* the window keeps this number for "none" */
        c.replay_mode = TUNNELCAP_REPLAY_OFF;
    esp = sa_of(&c, tunnelcap_crypto_openssl());
    if (esp == NULL)
        return;
    memcpy(memory + HEADROOM, v.outer.at, v.outer.len);
    tunnelcap_esp_decap(esp, lane, &pkt, NULL, 0, NULL, 1);
    if (v.bad_icv) {
        expect_status(pkt.status, TUNNELCAP_E_AUTH, v.id, "decap");
    } else if (v.next_header == DUMMY) {
        expect_status(pkt.status, TUNNELCAP_E_DUMMY, v.id, "decap");
    } else if (expect_status(pkt.status, TUNNELCAP_OK, v.id, "decap")) {
        expect(pkt.len == v.plain.len && memcmp(memory + pkt.off, v.plain.at, pkt.len) == 0, v.id,
               "decapsulated to other bytes");
    }
    tunnelcap_esp_forget(esp, lane);
    tunnelcap_esp_free(esp);
    tunnelcap_lane_free(lane);
}

/* Tell the configuration what the outer header is to say; returns the identification. */
static uint16_t tell_outer(tunnelcap_outer *outer)
{
    const json_t *o = json_object_get(v.json, "outer");
    bool six = v.tunnel && json_object_get(o, "hlim") != NULL;
    json_int_t tos = json_integer_value(json_object_get(o, six ? "tclass" : "tos"));

    if (!v.tunnel)
        return 1;
    outer->local = addr_of(text_of(o, "src"));
    outer->remote = addr_of(text_of(o, "dst"));
    outer->dscp_mode = TUNNELCAP_DSCP_PIPE;
    outer->dscp = (uint8_t)(tos >> 2);
    outer->ecn_mode = tos & 3 ? TUNNELCAP_ECN_NORMAL : TUNNELCAP_ECN_COMPATIBILITY;
    outer->ttl = (uint8_t)json_integer_value(json_object_get(o, six ? "hlim" : "ttl"));
    outer->flow_label_mode = TUNNELCAP_FLOW_LABEL_FIXED;
    outer->flow_label = (uint32_t)json_integer_value(json_object_get(o, "flow"));
    outer->df_mode = json_is_true(json_object_get(o, "df")) ? TUNNELCAP_DF_SET : TUNNELCAP_DF_CLEAR;
    return (uint16_t)json_integer_value(json_object_get(o, "id"));
}

static uint64_t load64(const uint8_t *at)
{
    return (uint64_t)tunnelcap_i_load32(at) << 32 | tunnelcap_i_load32(at + 4);
}

static void tell_iv(tunnelcap_esp_config *c)
{
    wanted.cipher = block_cipher(&v.transform);
    wanted.block = v.iv.len;
    memcpy(wanted.key, v.transform.encr_key, sizeof(wanted.key));
    memcpy(wanted.iv, v.iv.at, v.iv.len);
    c->nonce_origin = TUNNELCAP_NONCE_FRESH_KEY;
    if (wanted.cipher != NULL || v.iv.len == 0)
        return;
    c->nonce_origin = TUNNELCAP_NONCE_RESUME;
    c->iv_start = load64(v.iv.at);
}

static void check_encap(void)
{
    static uint8_t memory[HEADROOM + ESP_FILE_BYTES + TAILROOM];
    tunnelcap_crypto crypto = *tunnelcap_crypto_openssl();
    tunnelcap_esp_config c = config_of(TUNNELCAP_ESP_OUT);
    tunnelcap_pkt pkt = {memory, sizeof(memory), HEADROOM, v.plain.len, 0, NULL};
    tunnelcap_lane *lane;
    tunnelcap_esp *esp;
    uint16_t id = tell_outer(&c.outer);

    crypto.seal = seal;
    tell_iv(&c);
    c.seq_start = v.seq != UINT64_MAX ? v.seq : v.seq - 1;
    esp = sa_of(&c, &crypto);
    if (esp == NULL)
        return;
    if (v.seq == UINT64_MAX) { /* the one number that is never sent */
        esp->seq_first++;
        TUNNELCAP_I_STORE(esp->seq_next, v.seq);
        esp->seq_end = 0;
    }
    lane = lane_of(&crypto, id);
    memcpy(memory + HEADROOM, v.plain.at, v.plain.len);
    tunnelcap_esp_encap(esp, lane, &pkt, NULL, 0, 1);
    if (v.tunnel && id == 0 && memory[pkt.off] == 0x45 && !(memory[pkt.off + 6] & 0x40)) {
        memset(memory + pkt.off + 4, 0, 2);
        fix_checksum(memory + pkt.off);
    }
    if (expect(pkt.status >= 0, v.id, tunnelcap_status_name(pkt.status)))
        expect(pkt.len == v.outer.len && memcmp(memory + pkt.off, v.outer.at, pkt.len) == 0, v.id,
               "encapsulated to other bytes");
    tunnelcap_esp_forget(esp, lane);
    tunnelcap_esp_free(esp);
    tunnelcap_lane_free(lane);
}

static struct {
    uint32_t decap, encap, refused;
} count;

static void check_vector(const json_t *json)
{
    bool combined;

    read_vector(json);
    combined = strncmp(text_of(json, "enc"), "aes-g", 5) == 0 ||
               strcmp(text_of(json, "enc"), "aes-ccm") == 0 ||
               strcmp(text_of(json, "enc"), "chacha20-poly1305") == 0;
    if ((!combined && v.transform.integ == TUNNELCAP_INTEG_NONE) ||
        strcmp(text_of(json, "enc"), "des-cbc") == 0) {
        expect_status(tunnelcap_transform_check(&v.transform, NULL), TUNNELCAP_E_TRANSFORM, v.id,
                      "transform");
        count.refused++;
        return;
    }
    check_decap();
    count.decap++;
    if (v.bad_icv)
        return;
    check_encap();
    count.encap++;
}

static int is_json(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);

    return len > 5 && strcmp(entry->d_name + len - 5, ".json") == 0;
}

int main(int argc, char **argv)
{
    const char *vectors = getenv("TUNNELCAP_VECTORS");
    struct dirent **files;
    char folder[4096];
    int n;

    need(vectors != NULL || argc == 2, "usage: check_esp_vectors VECTORS");
    snprintf(folder, sizeof(folder), "%s/esp", vectors != NULL ? vectors : argv[1]);
    n = scandir(folder, &files, is_json, alphasort);
    if (n <= 0) {
        printf("SKIP all: no vectors in %s; set TUNNELCAP_VECTORS\n", folder);
        return EXIT_SKIP;
    }
    for (int i = 0; i < n; i++) {
        json_t *root = file_load(folder, files[i]->d_name);
        json_t *list = json_object_get(root, "vectors");
        json_t *one;
        size_t at;

        need(json_array_size(list) > 0, files[i]->d_name);
        json_array_foreach(list, at, one) check_vector(one);
        json_decref(root);
        free(files[i]);
    }
    free(files);
    printf("%u decapsulated, %u encapsulated, %u refused, %u failures\n", count.decap, count.encap,
           count.refused, esp_file_failures);
    return esp_file_failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
