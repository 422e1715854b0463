/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * ESP captures of others, frame by frame: check_esp_captures VECTORS
 *
 * With keys every packet is decapsulated and compared with what independent programs made of it;
 * fragments of outer packets are refused, and put together. Where the integrity key was never
 * published, or there are no keys, headers are read. $TUNNELCAP_VECTORS goes before VECTORS. Exits
 * with 77 where there are no captures.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "esp_file.h"

enum { EXIT_SKIP = 77, SAS_MAX = 8, ETHERNET = 14 };

struct sa {
    const json_t *json;
    uint32_t spi;
    tunnelcap_esp *esp; /* made when its first packet comes */
};

/* A capture with its keys, if any, and what is expected of its frames. */
static struct {
    const char *name;
    const json_t *frames;
    size_t next; /* in frames */
    struct sa sas[SAS_MAX];
    size_t sa_count;
    bool opaque; /* no keys, or none for integrity */
    tunnelcap_lane *lane;
    tunnelcap_reassembly *reassembly;
} c;

static struct {
    uint32_t decap, fragments, joined, headers, others, captures;
} count;

static void fail(uint32_t frame, const char *what)
{
    char id[512];

    snprintf(id, sizeof(id), "%s frame %u", c.name, frame);
    expect(false, id, what);
}

static void read_keys(const json_t *root)
{
    json_t *one;
    size_t i;

    c.opaque = root == NULL;
    json_array_foreach(json_object_get(root, "sas"), i, one)
    {
        need(c.sa_count < SAS_MAX, "too many SAs");
        c.sas[c.sa_count].json = one;
        c.sas[c.sa_count].spi = (uint32_t)json_integer_value(json_object_get(one, "spi"));
        c.sa_count++;
        if (strcmp(text_of(one, "auth"), "unknown-96") == 0)
            c.opaque = true;
    }
}

static tunnelcap_esp *make_sa(const struct sa *sa, uint32_t first_seq)
{
    tunnelcap_esp_config config;
    tunnelcap_transform transform;
    tunnelcap_esp *esp = NULL;

    need(tunnelcap_esp_config_init(&config, sizeof(config)) == TUNNELCAP_OK, "defaults");
    transform_of(sa->json, &transform);
    config.direction = TUNNELCAP_ESP_IN;
    config.spi = sa->spi;
    config.outer.local = addr_of(text_of(sa->json, "dst"));
    config.mode = strcmp(text_of(sa->json, "mode"), "tunnel") == 0 ? TUNNELCAP_ESP_TUNNEL
                                                                   : TUNNELCAP_ESP_TRANSPORT;
    config.flags = TUNNELCAP_ESP_UDP_STRICT |
                   (json_object_get(sa->json, "udp_encap") != NULL ? TUNNELCAP_ESP_UDP : 0u);
    if (json_is_true(json_object_get(sa->json, "esn"))) {
        json_int_t high = json_integer_value(json_object_get(sa->json, "first_esn_hi"));

        config.flags |= TUNNELCAP_ESP_ESN;
        config.seq_start = ((uint64_t)high << 32 | first_seq) - 1;
    }
    need(tunnelcap_esp_new(&config, &transform, tunnelcap_crypto_openssl(), NULL, &esp) ==
             TUNNELCAP_OK,
         "an SA");
    return esp;
}

static tunnelcap_esp *find_sa(uint32_t spi, uint32_t seq)
{
    for (size_t i = 0; i < c.sa_count; i++) {
        struct sa *sa = &c.sas[i];

        if (sa->spi != spi)
            continue;
        if (sa->esp == NULL)
            sa->esp = make_sa(sa, seq);
        return sa->esp;
    }
    return NULL;
}

/* A packet with keys. */
static void check_decap(const json_t *frame, uint32_t n, tunnelcap_pkt *pkt)
{
    static struct bytes want;
    uint32_t seq = (uint32_t)json_integer_value(json_object_get(frame, "seq"));
    uint32_t spi = (uint32_t)strtoul(text_of(frame, "spi"), NULL, 16);
    tunnelcap_esp *esp = find_sa(spi, seq);
    tunnelcap_esp_rx rx;

    if (esp == NULL) {
        fail(n, "no SA");
        return;
    }
    bytes_of(frame, "inner_hex", &want);
    tunnelcap_esp_decap(esp, c.lane, pkt, NULL, 0, &rx, 1);
    count.decap++;
    if (pkt->status != TUNNELCAP_OK) {
        fail(n, tunnelcap_status_name(pkt->status));
        return;
    }
    if (pkt->len != want.len || memcmp(pkt->buf + pkt->off, want.at, want.len) != 0)
        fail(n, "decapsulated to other bytes");
    if ((uint32_t)rx.seq != seq ||
        rx.seq >> 32 != (uint64_t)json_integer_value(json_object_get(frame, "esn_hi")))
        fail(n, "another sequence number");
}

/* A piece of an outer packet: refused by every SA, and kept or, where it is the last one, made the
 * whole. */
static void check_fragment(const json_t *frame, uint32_t n, tunnelcap_pkt *pkt)
{
    static uint8_t memory[ESP_FILE_BYTES];
    tunnelcap_pkt whole = {memory, sizeof(memory), 0, 0, 0, NULL};
    bool is_last = json_is_true(json_object_get(frame, "reassembled_from_outer_fragments"));
    int32_t status;

    for (size_t i = 0; i < c.sa_count; i++) {
        tunnelcap_esp *esp = find_sa(c.sas[i].spi, 0);

        tunnelcap_esp_decap(esp, c.lane, pkt, NULL, 0, NULL, 1);
        if (pkt->status != TUNNELCAP_E_FRAGMENT && pkt->status != TUNNELCAP_E_NO_TUNNEL)
            fail(n, tunnelcap_status_name(pkt->status));
    }
    count.fragments++;
    status = tunnelcap_reassembly_add(c.reassembly, pkt, NULL, 0, &whole);
    if (status != (is_last ? TUNNELCAP_OK : TUNNELCAP_KEPT))
        fail(n, "not put together as it should be");
    if (status != TUNNELCAP_OK)
        return;
    count.joined++;
    check_decap(frame, n, &whole);
}

/* A packet without keys: what stands in clear. */
static void check_headers(const json_t *frame, uint32_t n, const tunnelcap_pkt *pkt)
{
    tunnelcap_peek_result look = {.size = sizeof(look)};
    uint32_t spi = (uint32_t)strtoul(text_of(frame, "spi"), NULL, 16);

    tunnelcap_peek(pkt, NULL, &look);
    if (look.kind != TUNNELCAP_KIND_ESP || look.key != spi ||
        look.seq != (uint32_t)json_integer_value(json_object_get(frame, "seq")))
        fail(n, "other headers");
    count.headers++;
}

/* What is no ESP passes no SA. */
static void check_other(uint32_t n, tunnelcap_pkt *pkt)
{
    for (size_t i = 0; i < c.sa_count && !c.opaque; i++) {
        if (c.sas[i].esp == NULL)
            continue;
        tunnelcap_esp_decap(c.sas[i].esp, c.lane, pkt, NULL, 0, NULL, 1);
        if (pkt->status >= 0)
            fail(n, "accepted");
    }
    count.others++;
}

static void check_frame(uint32_t n, const uint8_t *bytes, uint32_t len)
{
    static uint8_t memory[ESP_FILE_BYTES];
    const json_t *frame = json_array_get(c.frames, c.next);
    const char *status = text_of(frame, "status");
    tunnelcap_pkt pkt = {memory, sizeof(memory), 0, 0, 0, NULL};

    need(len >= ETHERNET && len <= sizeof(memory), "a frame");
    pkt.len = len - ETHERNET;
    memcpy(memory, bytes + ETHERNET, pkt.len);
    if (frame == NULL || (uint32_t)json_integer_value(json_object_get(frame, "frame")) != n) {
        check_other(n, &pkt);
        return;
    }
    c.next++;
    if (strcmp(status, "outer_fragment") == 0 ||
        json_is_true(json_object_get(frame, "reassembled_from_outer_fragments")))
        check_fragment(frame, n, &pkt);
    else if (c.opaque || strcmp(status, "no_sa") == 0)
        check_headers(frame, n, &pkt);
    else if (strcmp(status, "ok") == 0)
        check_decap(frame, n, &pkt);
    else
        fail(n, "a status that this check does not know");
    /* A frame may be told of twice: as a fragment, and for the whole that it completes. */
    while (c.next < json_array_size(c.frames) &&
           (uint32_t)json_integer_value(
               json_object_get(json_array_get(c.frames, c.next), "frame")) == n)
        c.next++;
}

static tunnelcap_reassembly *reassembly_new(void)
{
    static const uint8_t seed[TUNNELCAP_SEED_SIZE] = {9};
    tunnelcap_reassembly_config config;
    tunnelcap_reassembly *reassembly = NULL;

    need(tunnelcap_reassembly_config_init(&config, sizeof(config)) == TUNNELCAP_OK &&
             tunnelcap_reassembly_new(&config, seed, NULL, &reassembly) == TUNNELCAP_OK,
         "reassembly");
    return reassembly;
}

static void check_capture(const char *vectors, const char *expected_name)
{
    char path[4096], name[256], text[PCAP_ERRBUF_SIZE];
    struct pcap_pkthdr *header;
    const uint8_t *bytes;
    json_t *expected, *keys;
    pcap_t *pcap;

    snprintf(path, sizeof(path), "%s/expected", vectors);
    expected = file_load(path, expected_name);
    memset(&c, 0, sizeof(c));
    c.name = text_of(expected, "capture");
    c.frames = json_object_get(expected, "frames");
    c.lane = lane_of(tunnelcap_crypto_openssl(), 1);
    c.reassembly = reassembly_new();
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(c.name, "."), c.name);
    snprintf(path, sizeof(path), "%s/captures/keys/%s.sa.json", vectors, name);
    keys = json_load_file(path, 0, NULL);
    read_keys(keys);
    snprintf(path, sizeof(path), "%s/captures/%s", vectors, c.name);
    pcap = pcap_open_offline(path, text);
    need(pcap != NULL && pcap_datalink(pcap) == DLT_EN10MB, path);
    for (uint32_t n = 1; pcap_next_ex(pcap, &header, &bytes) == 1; n++)
        check_frame(n, bytes, header->caplen);
    expect(c.next == json_array_size(c.frames), c.name, "frames were left over");
    pcap_close(pcap);
    for (size_t i = 0; i < c.sa_count; i++) {
        tunnelcap_esp_forget(c.sas[i].esp, c.lane);
        tunnelcap_esp_free(c.sas[i].esp);
    }
    tunnelcap_lane_free(c.lane);
    tunnelcap_reassembly_free(c.reassembly);
    json_decref(keys);
    json_decref(expected);
    count.captures++;
}

static int is_expected(const struct dirent *entry)
{
    const char *dot = strstr(entry->d_name, ".esp.json");

    return dot != NULL && dot[9] == 0;
}

int main(int argc, char **argv)
{
    const char *vectors = getenv("TUNNELCAP_VECTORS");
    struct dirent **files;
    char folder[4096];
    int n;

    need(vectors != NULL || argc == 2, "usage: check_esp_captures VECTORS");
    if (vectors == NULL)
        vectors = argv[1];
    snprintf(folder, sizeof(folder), "%s/expected", vectors);
    n = scandir(folder, &files, is_expected, alphasort);
    if (n <= 0) {
        printf("SKIP all: no captures in %s; set TUNNELCAP_VECTORS\n", vectors);
        return EXIT_SKIP;
    }
    for (int i = 0; i < n; i++) {
        check_capture(vectors, files[i]->d_name);
        free(files[i]);
    }
    free(files);
    printf("%u captures: %u packets decapsulated, %u fragments made %u of them, %u headers read, "
           "%u other "
           "frames, %u failures\n",
           count.captures, count.decap, count.fragments, count.joined, count.headers, count.others,
           esp_file_failures);
    return esp_file_failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
