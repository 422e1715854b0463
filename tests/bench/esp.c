/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * A round of a contestant works on packets that were made new before, untimed: encryption in
 * place leaves nothing to encrypt again. Decapsulation gets a new SA in each round, whose replay
 * window knows none of the packets; a first burst, untimed, makes keys and code warm.
 */
#include "esp.h"

#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#ifdef BENCH_WITH_IPSECMB
#include <tunnelcap/ipsecmb.h>
#endif

enum { BURSTS = 4, ROUNDS_MAX = 4000, ROUNDS_MIN = 15, TAIL = 64, SPI = 0x1000, SALT = 4 };

struct esp_case {
    const char *name;
    uint16_t encr, encr_key_len, integ, integ_key_len;
};

static const struct esp_case cases[] = {
    {"aes-gcm-128", TUNNELCAP_ENCR_AES_GCM_16, 16, TUNNELCAP_INTEG_NONE, 0},
    {"aes-gcm-192", TUNNELCAP_ENCR_AES_GCM_16, 24, TUNNELCAP_INTEG_NONE, 0},
    {"aes-gcm-256", TUNNELCAP_ENCR_AES_GCM_16, 32, TUNNELCAP_INTEG_NONE, 0},
    {"aes-gmac-128", TUNNELCAP_ENCR_AES_GMAC, 16, TUNNELCAP_INTEG_NONE, 0},
    {"aes-ccm-128", TUNNELCAP_ENCR_AES_CCM_16, 16, TUNNELCAP_INTEG_NONE, 0},
    {"chacha20-poly1305", TUNNELCAP_ENCR_CHACHA20_POLY1305, 32, TUNNELCAP_INTEG_NONE, 0},
    {"aes-cbc-128-sha1", TUNNELCAP_ENCR_AES_CBC, 16, TUNNELCAP_INTEG_HMAC_SHA1_96, 20},
    {"aes-cbc-128-sha256", TUNNELCAP_ENCR_AES_CBC, 16, TUNNELCAP_INTEG_HMAC_SHA2_256_128, 32},
    {"aes-cbc-256-sha384", TUNNELCAP_ENCR_AES_CBC, 32, TUNNELCAP_INTEG_HMAC_SHA2_384_192, 48},
    {"aes-cbc-256-sha512", TUNNELCAP_ENCR_AES_CBC, 32, TUNNELCAP_INTEG_HMAC_SHA2_512_256, 64},
    {"aes-cbc-128-xcbc", TUNNELCAP_ENCR_AES_CBC, 16, TUNNELCAP_INTEG_AES_XCBC_96, 16},
    {"aes-ctr-128-cmac", TUNNELCAP_ENCR_AES_CTR, 16, TUNNELCAP_INTEG_AES_CMAC_96, 16},
    {"aes-ctr-128-sha256", TUNNELCAP_ENCR_AES_CTR, 16, TUNNELCAP_INTEG_HMAC_SHA2_256_128, 32},
    {"3des-md5", TUNNELCAP_ENCR_3DES, 24, TUNNELCAP_INTEG_HMAC_MD5_96, 16},
    {"null-sha256", TUNNELCAP_ENCR_NULL, 0, TUNNELCAP_INTEG_HMAC_SHA2_256_128, 32},
};

static const uint32_t sizes[] = {64, 576, 1400};

/* With `mixed`, each packet of a burst is of another SA. */
static const struct {
    uint32_t burst, sas;
    bool mixed;
} shapes[] = {{32, 1, false},   {1, 1, false},  {32, 32, false}, {1, 32, false},
              {1, 4096, false}, {32, 32, true}, {32, 4096, true}};

/* What runs: one case in one direction, by one provider, with packets of one size. */
struct subject_esp {
    const struct esp_case *c;
    const tunnelcap_crypto *crypto;
    tunnelcap_transform transform;
    tunnelcap_transform_info facts;
    bool out, mixed;
    uint32_t burst, sa_count;
    tunnelcap_lane *lane;
    tunnelcap_esp **sas;    /* of this direction */
    tunnelcap_esp **by_pkt; /* the SA of each packet */
    uint32_t count, size, stride;
    uint8_t *arena, *image; /* packets, and what they are before */
    tunnelcap_pkt *pkts, *before;
    struct raw_packet *raw_packets;
    void *key, *crypto_lane; /* of the provider, for its part alone */
    tunnelcap_crypto_op *ops, **op_list;
};

static void need(bool ok, const char *what)
{
    if (!ok)
        bench_fail(what);
}

static void *zeros(size_t count, size_t size)
{
    void *mem = calloc(count, size);

    need(mem != NULL, "no memory for the bench");
    return mem;
}

/* ---- SAs ---- */

static tunnelcap_esp *make_sa(const struct subject_esp *s, uint32_t number, bool out)
{
    tunnelcap_esp_config config;
    tunnelcap_transform transform = s->transform;
    tunnelcap_esp *esp;

    tunnelcap_esp_config_init(&config, sizeof(config));
    config.direction = out ? TUNNELCAP_ESP_OUT : TUNNELCAP_ESP_IN;
    config.nonce_origin = out ? TUNNELCAP_NONCE_FRESH_KEY : TUNNELCAP_NONCE_UNSET;
    config.replay_window = 2048;
    config.spi = SPI + number;
    config.outer.local = (tunnelcap_addr){.family = TUNNELCAP_IPV4, .bytes = {192, 0, 2, 1}};
    config.outer.remote = (tunnelcap_addr){.family = TUNNELCAP_IPV4, .bytes = {192, 0, 2, 2}};
    if (!out) {
        config.outer.local.bytes[3] = 2;
        config.outer.remote.bytes[3] = 1;
    }
    hand_store32(transform.encr_key, number);
    need(tunnelcap_esp_new(&config, &transform, s->crypto, NULL, &esp) == TUNNELCAP_OK, "SA");
    return esp;
}

static void drop_sas(struct subject_esp *s)
{
    for (uint32_t i = 0; i < s->sa_count; i++) {
        tunnelcap_esp_forget(s->sas[i], s->lane);
        tunnelcap_esp_free(s->sas[i]);
    }
}

/* Which SA a packet is of. */
static uint32_t sa_of(const struct subject_esp *s, uint32_t packet)
{
    return (s->mixed ? packet : packet / s->burst) % s->sa_count;
}

static void make_sas(struct subject_esp *s)
{
    for (uint32_t i = 0; i < s->sa_count; i++)
        s->sas[i] = make_sa(s, i, s->out);
    for (uint32_t i = 0; i < s->count; i++)
        s->by_pkt[i] = s->sas[sa_of(s, i)];
}

/* Let the lane meet each new SA, by a forgery, which leaves the replay window alone. */
static void warm_up(struct subject_esp *s)
{
    for (uint32_t i = 0; i < s->sa_count; i++) {
        uint8_t bytes[2112];
        uint32_t at = s->mixed ? i : i * s->burst;
        const tunnelcap_pkt *first = &s->before[at];
        tunnelcap_pkt forgery = {.buf = bytes, .cap = sizeof(bytes), .len = first->len};

        memcpy(bytes, s->image + (size_t)at * s->stride + first->off, first->len);
        bytes[first->len - 1] ^= 1;
        tunnelcap_esp_decap(s->sas[i], s->lane, &forgery, NULL, 0, NULL, 1);
        need(forgery.status == TUNNELCAP_E_AUTH, "the library accepts a forgery");
    }
}

/* ---- packets ---- */

static void restore(struct subject_esp *s)
{
    memcpy(s->arena, s->image, (size_t)s->count * s->stride);
    memcpy(s->pkts, s->before, s->count * sizeof(*s->pkts));
}

static void make_packets(struct subject_esp *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        uint8_t *p = s->arena + (size_t)i * s->stride;

        s->pkts[i] = (tunnelcap_pkt){.buf = p, .cap = s->stride, .off = HEADROOM, .len = s->size};
        p += HEADROOM;
        p[0] = 0x45;
        hand_store16(p + 2, (uint16_t)s->size);
        p[8] = 64;
        p[9] = 17;
    }
}

/* What the far end makes of them, for decapsulation. */
static void seal_packets(struct subject_esp *s)
{
    for (uint32_t i = 0; i < s->sa_count; i++) {
        tunnelcap_esp *far_end = make_sa(s, i, true);

        for (uint32_t k = 0; k < s->count; k++) {
            if (sa_of(s, k) == i)
                need(tunnelcap_esp_encap(far_end, s->lane, &s->pkts[k], NULL, 0, 1) == 1,
                     "the far end refuses to make packets");
        }
        tunnelcap_esp_forget(far_end, s->lane);
        tunnelcap_esp_free(far_end);
    }
}

/* ---- contestants ---- */

static void run_whole(struct subject_esp *s, struct raw *raw)
{
    uint32_t good = 0;

    (void)raw;
    for (uint32_t i = 0; i < s->count; i += s->burst) {
        tunnelcap_pkt *pkts = &s->pkts[i];
        tunnelcap_esp **sas = &s->by_pkt[i];

        if (s->mixed && s->out)
            good += tunnelcap_esp_encap_batch(sas, s->lane, pkts, NULL, 0, s->burst);
        else if (s->mixed)
            good += tunnelcap_esp_decap_batch(sas, s->lane, pkts, NULL, 0, NULL, s->burst);
        else if (s->out)
            good += tunnelcap_esp_encap(*sas, s->lane, pkts, NULL, 0, s->burst);
        else
            good += tunnelcap_esp_decap(*sas, s->lane, pkts, NULL, 0, NULL, s->burst);
    }
    need(good == s->count, "the library refuses packets of the bench");
}

static void run_raw(struct subject_esp *s, struct raw *raw)
{
    raw_run(raw, s->raw_packets, s->count);
}

/* Where the raw calls find the packets: as ESP lays them out. */
static void describe_raw(struct subject_esp *s)
{
    uint32_t text_len = (s->size + 2 + s->facts.align - 1u) / s->facts.align * s->facts.align;

    for (uint32_t i = 0; i < s->count; i++) {
        struct raw_packet *r = &s->raw_packets[i];
        const uint8_t *image = s->image + (size_t)i * s->stride;

        r->text = s->pkts[i].buf + HEADROOM;
        r->text_len = text_len;
        r->icv = r->text + text_len;
        memcpy(r->iv, s->transform.salt, SALT);
        memcpy(r->iv + SALT, image + HEADROOM - s->facts.iv_len, 8);
        memcpy(r->aad, image + HEADROOM - s->facts.iv_len - sizeof(r->aad), sizeof(r->aad));
    }
}

static void run_provider(struct subject_esp *s, struct raw *raw)
{
    const tunnelcap_crypto *c = s->crypto;

    (void)raw;
    for (uint32_t i = 0; i < s->count; i += s->burst)
        (s->out ? c->seal : c->unseal)(c->self, s->crypto_lane, &s->op_list[i], s->burst);
    for (uint32_t i = 0; i < s->count; i++)
        need(s->ops[i].status == TUNNELCAP_OK, "the provider fails");
}

/* The same for the provider. */
static void describe_ops(struct subject_esp *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        const struct raw_packet *r = &s->raw_packets[i];
        tunnelcap_crypto_op *op = &s->ops[i];
        uint32_t salt = s->facts.salt_len;

        *op = (tunnelcap_crypto_op){.key = s->key,
                                    .text = r->text,
                                    .icv = r->icv,
                                    .text_len = r->text_len,
                                    .head_len = (uint16_t)(8u + s->facts.iv_len)};
        memcpy(op->nonce, s->transform.salt, salt);
        memcpy(op->nonce + salt,
               s->image + (size_t)i * s->stride + (r->text - s->facts.iv_len - s->pkts[i].buf),
               s->facts.iv_len);
        if (s->facts.counter_mode && !s->facts.combined)
            op->nonce[15] = 1;
        memcpy(op->aad, r->aad, sizeof(r->aad));
        s->op_list[i] = op;
    }
}

/* ---- rounds ---- */

struct contestant_esp {
    const char *name;
    void (*run)(struct subject_esp *s, struct raw *raw);
    struct subject_esp *s;
    struct raw *raw;
    double *samples;
};

static double round_of(const struct contestant_esp *c)
{
    struct subject_esp *s = c->s;
    double begin, end;

    if (!s->out && c->run == run_whole) {
        drop_sas(s);
        make_sas(s);
        warm_up(s);
    }
    restore(s);
    begin = bench_now_ns();
    c->run(s, c->raw);
    end = bench_now_ns();
    return (end - begin) / s->count;
}

/* All in turn, round after round; medians replace the first sample of each. */
static void measure_esp(struct contestant_esp *all, uint32_t count, double seconds)
{
    double begin = bench_now_ns();
    uint32_t rounds = 0;

    while (rounds < ROUNDS_MIN || (rounds < ROUNDS_MAX && bench_now_ns() - begin < seconds * 1e9)) {
        for (uint32_t i = 0; i < count; i++)
            all[i].samples[rounds] = round_of(&all[i]);
        rounds++;
    }
    for (uint32_t i = 0; i < count; i++)
        all[i].samples[0] = bench_median(all[i].samples, rounds);
}

/* ---- cases ---- */

static bool begin_subject(struct subject_esp *s, const struct esp_case *c,
                          const tunnelcap_crypto *crypto, uint32_t burst, uint32_t sa_count,
                          bool mixed)
{
    static const uint8_t seed[TUNNELCAP_SEED_SIZE] = {5, 4, 3, 2, 1};
    tunnelcap_lane_config config;
    size_t bytes;

    s->c = c;
    s->crypto = crypto;
    s->burst = burst;
    s->sa_count = sa_count;
    s->mixed = mixed;
    s->transform = (tunnelcap_transform){.size = sizeof(s->transform),
                                         .flags = TUNNELCAP_TRANSFORM_ALLOW_WEAK,
                                         .encr = c->encr,
                                         .integ = c->integ,
                                         .encr_key_len = c->encr_key_len,
                                         .integ_key_len = c->integ_key_len};
    s->facts.size = sizeof(s->facts);
    need(tunnelcap_transform_check(&s->transform, &s->facts) == TUNNELCAP_OK, "transform");
    bytes = crypto->key_size(crypto->self, &s->transform);
    if (bytes == 0)
        return false;
    s->key = aligned_alloc(64, (bytes + 63) / 64 * 64);
    need(s->key != NULL, "no memory for a key");
    need(crypto->key_init(crypto->self, s->key, &s->transform) == TUNNELCAP_OK, "key");
    bytes = (crypto->lane_size(crypto->self, burst, 2) + 63) / 64 * 64;
    s->crypto_lane = aligned_alloc(64, bytes);
    need(s->crypto_lane != NULL, "no memory for a lane");
    memset(s->crypto_lane, 0, bytes);
    need(crypto->lane_init(crypto->self, s->crypto_lane, burst, 2) == TUNNELCAP_OK, "lane");
    tunnelcap_lane_config_init(&config, sizeof(config));
    config.max_burst = burst;
    config.key_slots = sa_count + 1;
    need(tunnelcap_lane_new(&config, seed, crypto, NULL, &s->lane) == TUNNELCAP_OK, "lane");
    s->sas = zeros(sa_count, sizeof(*s->sas));
    return true;
}

/* Packets of one size for one direction. */
static void load_subject(struct subject_esp *s, bool out, uint32_t size)
{
    s->out = out;
    s->size = size;
    s->stride = (HEADROOM + size + TAIL) / 64 * 64 + 64 + 64;
    s->count = s->mixed ? s->sa_count : s->burst * s->sa_count;
    if (s->count < BURSTS * 32)
        s->count = BURSTS * 32;
    s->arena = zeros(s->count, s->stride);
    s->image = zeros(s->count, s->stride);
    s->pkts = zeros(s->count, sizeof(*s->pkts));
    s->before = zeros(s->count, sizeof(*s->before));
    s->raw_packets = zeros(s->count, sizeof(*s->raw_packets));
    s->ops = zeros(s->count, sizeof(*s->ops));
    s->op_list = zeros(s->count, sizeof(*s->op_list));
    s->by_pkt = zeros(s->count, sizeof(tunnelcap_esp *));
    make_packets(s);
    if (!out)
        seal_packets(s);
    memcpy(s->image, s->arena, (size_t)s->count * s->stride);
    memcpy(s->before, s->pkts, s->count * sizeof(*s->pkts));
    describe_raw(s);
    describe_ops(s);
    make_sas(s);
}

static void unload_subject(struct subject_esp *s)
{
    drop_sas(s);
    free(s->arena);
    free(s->image);
    free(s->pkts);
    free(s->before);
    free(s->raw_packets);
    free(s->ops);
    free(s->op_list);
    free((void *)s->by_pkt);
}

static void end_subject(struct subject_esp *s)
{
    s->crypto->key_fini(s->crypto->self, s->key);
    s->crypto->lane_fini(s->crypto->self, s->crypto_lane);
    free(s->key);
    free(s->crypto_lane);
    free(s->sas);
    tunnelcap_lane_free(s->lane);
}

/* Contestants of one run, for one size and direction. */
enum { PROVIDERS = 2, CONTESTANTS_MAX = 2 * PROVIDERS + 3 };

enum kind { WHOLE, PART, RAW };

struct contest_esp {
    uint32_t count;
    struct contestant_esp all[CONTESTANTS_MAX];
};

static void enter(struct contest_esp *contest, const char *name, enum kind kind,
                  struct subject_esp *s, struct raw *raw)
{
    static double samples[CONTESTANTS_MAX][ROUNDS_MAX];

    if (s == NULL || (kind == RAW && raw == NULL))
        return;
    contest->all[contest->count] = (struct contestant_esp){.name = name,
                                                           .run = kind == WHOLE  ? run_whole
                                                                  : kind == PART ? run_provider
                                                                                 : run_raw,
                                                           .s = s,
                                                           .raw = raw,
                                                           .samples = samples[contest->count]};
    contest->count++;
}

static const struct contestant_esp *find(const struct contest_esp *contest, const char *name)
{
    for (uint32_t i = 0; i < contest->count; i++) {
        if (strcmp(contest->all[i].name, name) == 0)
            return &contest->all[i];
    }
    return NULL;
}

/* What the library promises; 0: nothing. */
static double goal_of(const char *who, const char *limit, uint32_t size, uint32_t burst)
{
    bool ipsecmb = strcmp(who, "ipsec-mb") == 0;

    if (!ipsecmb && strcmp(limit, "EVP lean") == 0)
        return 1.10;
    if (!ipsecmb && strcmp(limit, "EVP textbook") == 0 && size == 64)
        return 0.65;
    if (!ipsecmb || strcmp(limit, "raw ipsec-mb") != 0 || burst != 32)
        return 0;
    return size == 64 ? 1.3 : size == 1400 ? 1.08 : 0;
}

static void report_esp(const struct contest_esp *contest, const char *who, const char *part,
                       bench_row *row)
{
    static const char *const limits[] = {"EVP textbook", "EVP lean", "raw ipsec-mb"};
    const struct contestant_esp *whole = find(contest, who), *other = find(contest, part);
    const struct subject_esp *s;
    char name[64];

    if (whole == NULL)
        return;
    s = whole->s;
    snprintf(name, sizeof(name), "esp-%s-%s/%s", s->c->name, s->out ? "encap" : "decap", who);
    row(name, s->size, s->burst, whole->samples[0], "provider alone", other->samples[0], 0);
    for (uint32_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        const struct contestant_esp *raw = find(contest, limits[i]);
        if (raw != NULL)
            row(name, s->size, s->burst, whole->samples[0], limits[i], raw->samples[0],
                goal_of(who, limits[i], s->size, s->burst));
    }
}

/* One case by all providers, beside raw calls, with one SA. */
static void compare_ways(const struct esp_case *c, bool out, uint32_t size,
                         struct subject_esp *openssl, struct subject_esp *ipsecmb, double seconds,
                         bench_row *row)
{
    static struct contest_esp contest;
    struct subject_esp *any = openssl != NULL ? openssl : ipsecmb;
    bool gcm = c->encr == TUNNELCAP_ENCR_AES_GCM_16;
    const uint8_t *key = any->transform.encr_key, *salt = any->transform.salt;
    struct raw *lean = NULL, *textbook = NULL, *raw = NULL;

    if (gcm) {
        lean = raw_evp_lean(key, c->encr_key_len, salt, out);
        textbook = raw_evp_textbook(key, c->encr_key_len, salt, out);
        raw = raw_ipsecmb(key, c->encr_key_len, salt, out);
    }
    contest.count = 0;
    if (openssl != NULL)
        load_subject(openssl, out, size);
    if (ipsecmb != NULL)
        load_subject(ipsecmb, out, size);
    enter(&contest, "openssl", WHOLE, openssl, NULL);
    enter(&contest, "ipsec-mb", WHOLE, ipsecmb, NULL);
    enter(&contest, "openssl alone", PART, openssl, NULL);
    enter(&contest, "ipsec-mb alone", PART, ipsecmb, NULL);
    enter(&contest, "EVP textbook", RAW, any, textbook);
    enter(&contest, "EVP lean", RAW, any, lean);
    enter(&contest, "raw ipsec-mb", RAW, any, raw);
    measure_esp(contest.all, contest.count, seconds);
    report_esp(&contest, "openssl", "openssl alone", row);
    report_esp(&contest, "ipsec-mb", "ipsec-mb alone", row);
    if (openssl != NULL)
        unload_subject(openssl);
    if (ipsecmb != NULL)
        unload_subject(ipsecmb);
    raw_free(lean);
    raw_free(textbook);
    raw_free(raw);
}

static const tunnelcap_crypto *ipsecmb_provider(void)
{
#ifdef BENCH_WITH_IPSECMB
    return tunnelcap_crypto_ipsecmb();
#else
    return NULL;
#endif
}

static void run_ways(const struct esp_case *c, uint32_t burst, double seconds, bench_row *row)
{
    static struct subject_esp subjects[PROVIDERS];
    const tunnelcap_crypto *providers[PROVIDERS] = {tunnelcap_crypto_openssl(), ipsecmb_provider()};
    struct subject_esp *used[PROVIDERS] = {NULL, NULL};

    for (uint32_t i = 0; i < PROVIDERS; i++) {
        if (providers[i] != NULL && begin_subject(&subjects[i], c, providers[i], burst, 1, false))
            used[i] = &subjects[i];
    }
    for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (int out = 1; out >= 0; out--) {
            if (used[0] != NULL || used[1] != NULL)
                compare_ways(c, out, sizes[i], used[0], used[1], seconds, row);
        }
    }
    for (uint32_t i = 0; i < PROVIDERS; i++) {
        if (used[i] != NULL)
            end_subject(used[i]);
    }
}

/* Many SAs in turn, beside one. */
static void run_turns(const struct esp_case *c, const tunnelcap_crypto *crypto, uint32_t burst,
                      uint32_t sa_count, bool mixed, double seconds, bench_row *row)
{
    static struct subject_esp one, many;
    static struct contest_esp contest;
    char name[64];

    if (crypto == NULL || !begin_subject(&one, c, crypto, burst, 1, false))
        return;
    begin_subject(&many, c, crypto, burst, sa_count, mixed);
    for (int out = 1; out >= 0; out--) {
        load_subject(&one, out, sizes[0]);
        load_subject(&many, out, sizes[0]);
        contest.count = 0;
        enter(&contest, "one", WHOLE, &one, NULL);
        enter(&contest, "many", WHOLE, &many, NULL);
        measure_esp(contest.all, contest.count, seconds);
        snprintf(name, sizeof(name), "esp-%s-%s/%s/%u-sas%s", c->name, out ? "encap" : "decap",
                 crypto->name, sa_count, mixed ? "-mixed" : "");
        row(name, sizes[0], burst, contest.all[1].samples[0], "one SA", contest.all[0].samples[0],
            0);
        unload_subject(&one);
        unload_subject(&many);
    }
    end_subject(&one);
    end_subject(&many);
}

void bench_esp(const char *only, double seconds, bench_row *row)
{
    bench_esp_lanes(only, seconds, row);
    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char name[64];

        snprintf(name, sizeof(name), "esp-%s", cases[i].name);
        if (only != NULL && strstr(name, only) == NULL)
            continue;
        for (uint32_t k = 0; k < sizeof(shapes) / sizeof(shapes[0]); k++) {
            if (shapes[k].sas == 1) {
                run_ways(&cases[i], shapes[k].burst, seconds, row);
            } else if (i == 0) {
                run_turns(&cases[i], tunnelcap_crypto_openssl(), shapes[k].burst, shapes[k].sas,
                          shapes[k].mixed, seconds, row);
                run_turns(&cases[i], ipsecmb_provider(), shapes[k].burst, shapes[k].sas,
                          shapes[k].mixed, seconds, row);
            }
        }
    }
}
