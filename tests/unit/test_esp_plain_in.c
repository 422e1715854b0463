/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* What comes in goes a short way if it is plain, else it is looked at in full. A meta that asks
 * for something keeps a packet off the short way; so both ways can be made to do the same work,
 * with packets good and bad, also such as only a holder of the key can make. */
#include "esp.h" /* keys, and whether a job was plain */
#include "esp_kit.h"

enum { BURST = 8, BUFFER = 600, HEAD = 64, TEXT_MAX = 300 };

typedef struct world {
    test_toy toy;
    tunnelcap_transform transform;
    tunnelcap_esp *esp;
    tunnelcap_lane *lane;
    uint8_t bytes[BURST][BUFFER];
    tunnelcap_pkt pkts[BURST];
    tunnelcap_esp_rx rx[BURST];
} world;

/* What one packet is made of. */
typedef struct recipe {
    uint8_t text[TEXT_MAX];
    uint32_t text_len;
    uint64_t seq;
    bool ipv6, udp;
} recipe;

static tunnelcap_esp_config random_config(test_random *random, uint32_t flags)
{
    bool ipv6 = test_below(random, 3) == 0;
    tunnelcap_esp_config c = ipv6 ? test_esp_config(TUNNELCAP_ESP_IN, "2001:db8::1", "2001:db8::2")
                                  : test_esp_config(TUNNELCAP_ESP_IN, "192.0.2.1", "192.0.2.2");
    c.flags = flags;
    if (test_below(random, 3) == 0)
        memset(&c.outer.local, 0, sizeof(c.outer.local));
    c.outer.ecn_mode = test_below(random, 3) == 0 ? TUNNELCAP_ECN_RFC4301 : TUNNELCAP_ECN_NORMAL;
    if (test_below(random, 6) == 0)
        c.outer.dscp_mode = TUNNELCAP_DSCP_UNIFORM;
    if (test_below(random, 3) == 0) {
        c.replay_mode = TUNNELCAP_REPLAY_OFF;
        c.replay_window = 0;
    }
    if (flags & TUNNELCAP_ESP_ESN)
        c.seq_start = 0xffffff00;
    if (test_below(random, 3) == 0)
        c.soft_packets = 30;
    if (test_below(random, 6) == 0)
        c.hard_packets = 60;
    return c;
}

static void open_world(world *w, const tunnelcap_esp_config *config, const test_suite_row *row)
{
    const tunnelcap_crypto *crypto = test_toy_init(&w->toy);
    w->transform = test_transform_of(row);
    w->esp = test_esp_new(config, &w->transform, crypto);
    w->lane = test_crypto_lane(crypto, BURST);
}

static void close_world(world *w)
{
    tunnelcap_esp_free(w->esp);
    tunnelcap_lane_free(w->lane);
}

/* An inner packet, or something like one, with padding and trailer, or something like that. */
static void make_text(test_random *random, const tunnelcap_esp *esp, recipe *r)
{
    bool ipv6 = test_below(random, 3) == 0;
    uint32_t len = (ipv6 ? 40 : 20) + test_below(random, 60);
    uint32_t pad = 0, end;
    for (uint32_t i = 0; i < TEXT_MAX; i++)
        r->text[i] = (uint8_t)test_next(random);
    r->text[0] = ipv6 ? 0x60 : 0x45;
    test_store16(r->text + (ipv6 ? 4 : 2), (uint16_t)(ipv6 ? len - 40 : len));
    if (test_below(random, 8) == 0)
        r->text[test_below(random, 6)] = (uint8_t)test_next(random);
    end = len + (test_below(random, 8) == 0 ? test_below(random, 30) : 0); /* TFC padding */
    if (test_below(random, 8) == 0)
        pad = test_below(random, 4) * esp->facts.align;
    while ((end + pad + 2) % esp->facts.align != 0)
        pad++;
    for (uint32_t i = 0; i < pad; i++)
        r->text[end + i] = (uint8_t)(i + 1);
    r->text[end + pad] = (uint8_t)pad;
    r->text[end + pad + 1] = ipv6 ? 41 : 4;
    r->text_len = end + pad + 2;
    switch (test_below(random, 24)) {
    case 0: /* a pad byte, or the last of the packet */
        r->text[r->text_len - 3 - test_below(random, 8)] ^= 1;
        break;
    case 1:
        r->text[r->text_len - 2] = (uint8_t)test_next(random);
        break;
    case 2:
        r->text[r->text_len - 1] = test_below(random, 2) ? 59 : (uint8_t)test_next(random);
        break;
    case 3: /* too short for anything */
        r->text_len = test_below(random, 20) / esp->facts.align * esp->facts.align;
        break;
    }
}

/* Seal a text as the far end would, at `header`; returns the length of the ESP packet. */
static uint32_t seal_at(world *w, const recipe *r, uint8_t *header)
{
    const tunnelcap_esp *esp = w->esp;
    tunnelcap_crypto_op op, *ops = &op;
    memset(&op, 0, sizeof(op));
    test_store32(header, esp->spi);
    test_store32(header + 4, (uint32_t)r->seq);
    memcpy(header + esp->head_len, r->text, r->text_len);
    for (uint32_t i = 0; i < esp->facts.iv_len; i++)
        header[8 + i] = (uint8_t)(7 * r->seq + i);
    tunnelcap_i_esp_place(esp, &op, header, r->text_len);
    tunnelcap_i_esp_aad(esp, &op, r->seq);
    memcpy(op.nonce, w->transform.salt, esp->facts.salt_len);
    if (esp->facts.implicit_iv)
        test_store64(op.nonce + esp->facts.salt_len, r->seq);
    else
        memcpy(op.nonce + esp->facts.salt_len, header + 8, esp->facts.iv_len);
    if (esp->facts.counter_mode && !esp->facts.combined)
        op.nonce[15] = 1;
    esp->crypto->seal(esp->crypto->self, w->lane->crypto_lane, &ops, 1);
    ck_assert_status(op.status, TUNNELCAP_OK);
    return esp->head_len + r->text_len + esp->facts.icv_len;
}

/* Write the outer headers before `len` bytes of ESP; now and then they are odd or wrong. */
static void make_outer(test_random *random, const recipe *r, tunnelcap_pkt *pkt, uint32_t len)
{
    static const uint8_t ours6[16] = {0x20, 1, 0x0d, 0xb8, [15] = 2};
    uint8_t *h = pkt->buf + HEAD;
    uint32_t ports = 0x11941194 + (test_below(random, 8) == 0 ? test_below(random, 2) << 16 : 0);
    if (r->udp) {
        h -= 8;
        len += 8;
        test_store32(h, ports);
        test_store32(h + 4, len << 16);
    }
    if (r->ipv6) {
        h -= 40;
        memset(h, 0, 40);
        test_store32(h, 0x60000000 | (test_below(random, 4) == 0 ? test_next(random) >> 4 : 0));
        test_store16(h + 4, (uint16_t)len);
        h[6] = r->udp ? 17 : 50;
        h[8] = (uint8_t)(1 + test_below(random, 12) / 11);
        memcpy(h + 24, ours6, 16);
        if (test_below(random, 12) == 0)
            h[24 + test_below(random, 16)] ^= 4;
        len += 40;
    } else {
        h -= 20;
        len += 20;
        test_store32(h, 0x45000000 | len);
        h[1] = test_below(random, 4) == 0 ? (uint8_t)test_next(random) : 0;
        test_store32(h + 4, test_below(random, 2) << 14);
        test_store32(h + 8, r->udp ? 0x40110000 : 0x40320000);
        test_store32(h + 12, 0xc0000201 + test_below(random, 12) / 11);
        test_store32(h + 16, 0xc0000202 + test_below(random, 12) / 11);
        if (test_below(random, 24) == 0)
            h[test_below(random, 20)] ^= (uint8_t)(1u << test_below(random, 8));
        test_store16(h + 10, (uint16_t)~test_sum(0, h, 20));
    }
    pkt->off = (uint32_t)(h - pkt->buf);
    pkt->len = len;
    switch (test_below(random, 20)) {
    case 0: /* any bit, ICV and lengths included */
        h[test_below(random, len)] ^= (uint8_t)(1u << test_below(random, 8));
        break;
    case 1:
        pkt->len = test_below(random, len);
        break;
    case 2:
        pkt->len += test_below(random, 20); /* link-layer padding */
        break;
    case 3:
        pkt->cap = pkt->off + test_below(random, len);
        break;
    }
}

/* One of the next numbers, an older one, or one of before. */
static uint64_t pick_seq(test_random *random, const tunnelcap_esp *esp)
{
    uint64_t top = test_esp_state(esp).seq;
    switch (test_below(random, 12)) {
    case 0:
        return top > 80 ? top - test_below(random, 80) : top;
    case 1:
        return top + test_below(random, 200);
    default:
        return top + 1 + test_below(random, BURST);
    }
}

/* Returns how many took the short way. */
static uint32_t check_burst(world *plain, world *full, test_random *random)
{
    static const tunnelcap_meta asking = {.flags = TUNNELCAP_META_TOS_VALID};
    const tunnelcap_i_esp_job *jobs = tunnelcap_i_esp_jobs(plain->lane);
    uint32_t n = 1 + test_below(random, BURST), short_ways = 0;
    for (uint32_t i = 0; i < n; i++) {
        recipe r = {.udp = test_below(random, 3) == 0};
        tunnelcap_pkt *pkt = &plain->pkts[i];
        r.ipv6 = (plain->esp->outer.family == TUNNELCAP_IPV6) != (test_below(random, 16) == 0);
        memset(plain->bytes[i], 0, BUFFER);
        *pkt = (tunnelcap_pkt){.buf = plain->bytes[i], .cap = BUFFER};
        make_text(random, plain->esp, &r);
        r.seq = pick_seq(random, plain->esp);
        make_outer(random, &r, pkt, seal_at(plain, &r, pkt->buf + HEAD));
        memcpy(full->bytes[i], plain->bytes[i], BUFFER);
        full->pkts[i] = *pkt;
        full->pkts[i].buf = full->bytes[i];
    }
    memset(plain->rx, 0, sizeof(plain->rx));
    memset(full->rx, 0, sizeof(full->rx));
    for (uint32_t i = 0; i < BURST; i++)
        tunnelcap_i_esp_jobs(plain->lane)[i].plain = 0;
    uint32_t ok = tunnelcap_esp_decap(plain->esp, plain->lane, plain->pkts, NULL, 0, plain->rx, n);
    ck_assert_uint_eq(
        tunnelcap_esp_decap(full->esp, full->lane, full->pkts, &asking, 0, full->rx, n), ok);
    for (uint32_t i = 0; i < n; i++) {
        const tunnelcap_pkt *a = &plain->pkts[i], *b = &full->pkts[i];
        ck_assert_status(a->status, b->status);
        ck_assert_uint_eq(a->off, b->off);
        ck_assert_uint_eq(a->len, b->len);
        ck_assert_mem_eq(a->buf, b->buf, BUFFER);
        ck_assert_mem_eq(&plain->rx[i], &full->rx[i], sizeof(plain->rx[i]));
        short_ways += jobs[i].plain && jobs[i].op.status == TUNNELCAP_OK;
        ck_assert_uint_eq(tunnelcap_i_esp_jobs(full->lane)[i].plain, 0);
    }
    return short_ways;
}

START_TEST(plain_packets_fare_as_those_looked_at_in_full)
{
    static const uint32_t flags[] = {
        0,
        TUNNELCAP_ESP_ESN,
        TUNNELCAP_ESP_UDP | TUNNELCAP_ESP_ESN,
        TUNNELCAP_ESP_UDP | TUNNELCAP_ESP_UDP_STRICT,
        TUNNELCAP_ESP_UDP_STRICT,
    };
    static world plain, full;
    test_random random = {4303};
    for (uint32_t row = 0; row < test_suites_count; row++) {
        bool may = test_suites[row].counter_mode && test_suites[row].iv_len != 0;
        uint32_t short_ways = 0;
        for (uint32_t f = 0; f < 2 * TEST_COUNT(flags); f++) {
            tunnelcap_esp_config config = random_config(&random, flags[f / 2]);
            open_world(&plain, &config, &test_suites[row]);
            open_world(&full, &config, &test_suites[row]);
            for (uint32_t i = 0; i < 30; i++)
                short_ways += check_burst(&plain, &full, &random);
            tunnelcap_esp_state a = test_esp_state(plain.esp), b = test_esp_state(full.esp);
            ck_assert_mem_eq(&a, &b, sizeof(a));
            close_world(&plain);
            close_world(&full);
        }
        if (may)
            ck_assert_uint_gt(short_ways, 150);
        else
            ck_assert_uint_eq(short_ways, 0);
    }
}
END_TEST

Suite *test_esp_plain_in_suite(void)
{
    const TTest *tests[] = {plain_packets_fare_as_those_looked_at_in_full};
    return test_suite("esp_plain_in", tests, TEST_COUNT(tests));
}
