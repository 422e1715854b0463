/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The clamp against a slow model on random SYNs. The model knows no offsets: it takes a segment
 * apart into a list of options, edits the list, and builds the packet anew. */
#include "support.h"

enum { TCP = 6, OPTIONS_MAX = 40 };

typedef struct option {
    uint8_t kind;
    uint8_t len; /* 1 for kinds without a length byte */
    uint8_t bytes[OPTIONS_MAX];
} option;

typedef struct segment {
    test_ip ip;
    uint8_t flags;
    uint32_t payload_len;
    option options[OPTIONS_MAX];
    uint32_t count;
    uint8_t tail[OPTIONS_MAX]; /* what cannot be read as options, or follows their end */
    uint32_t tail_len;
    bool malformed;
} segment;

static option make_option(uint8_t kind, uint8_t len)
{
    option o = {.kind = kind, .len = len};
    o.bytes[0] = kind;
    o.bytes[1] = len;
    return o;
}

static option mss_of(uint32_t value)
{
    option o = make_option(2, 4);
    test_store16(o.bytes + 2, value);
    return o;
}

static uint32_t options_len(const segment *s)
{
    uint32_t len = s->tail_len;
    for (uint32_t i = 0; i < s->count; i++)
        len += s->options[i].len;
    return len;
}

static option random_option(test_random *random)
{
    static const uint8_t lens[] = {2, 3, 4, 10, 18, 6};
    static const uint8_t kinds[] = {4, 3, 29, 8, 19, 254};
    uint32_t pick = test_below(random, 12);
    if (pick < 3)
        return (option){.kind = 1, .len = 1, .bytes = {1}};
    if (pick < 6)
        return mss_of(test_below(random, 4) ? 400 + test_below(random, 1500) : test_next(random));
    return make_option(kinds[pick - 6], lens[pick - 6]);
}

/* Fill the tail up to whole words: with an end, or with an option that lies about its length. */
static void random_tail(test_random *random, segment *s)
{
    uint32_t len = options_len(s);
    s->tail_len = (4 - len % 4) % 4;
    memset(s->tail, 0, sizeof(s->tail));
    if (len + s->tail_len + 4 <= OPTIONS_MAX && test_below(random, 4) == 0) {
        s->tail_len += 4;
        s->tail[0] = 250;
        s->tail[1] = test_below(random, 2) ? (uint8_t)test_below(random, 2) : 200;
        s->malformed = true;
        if (s->tail_len >= 6)
            memcpy(s->tail + 2, "\2\4\5\264", 4); /* an MSS that cannot be reached */
    }
}

static segment random_segment(test_random *random, bool six)
{
    segment s = {.count = 0};
    s.ip = six ? test_between("fd00:1::1", "fd00:2::1") : test_between("10.1.0.1", "10.2.0.1");
    s.flags = (uint8_t)(test_next(random) & 0xff);
    if (test_below(random, 8))
        s.flags |= TEST_TCP_SYN;
    s.payload_len = test_below(random, 12);
    uint32_t want = test_below(random, 7);
    while (s.count < want) {
        option o = random_option(random);
        if (options_len(&s) + o.len > OPTIONS_MAX)
            break;
        s.options[s.count++] = o;
    }
    random_tail(random, &s);
    return s;
}

static void build(test_frame *frame, const segment *s)
{
    uint8_t bytes[OPTIONS_MAX];
    uint32_t len = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        memcpy(bytes + len, s->options[i].bytes, s->options[i].len);
        len += s->options[i].len;
    }
    memcpy(bytes + len, s->tail, s->tail_len);
    len += s->tail_len;
    test_payload(frame, s->payload_len);
    test_push_tcp(frame, &s->ip, s->flags, bytes, len);
    test_push_ip(frame, &s->ip, TCP);
}

/* What the header of the clamp promises, on the list of options. */
static int32_t model(segment *s, const tunnelcap_mss_config *config, uint32_t headroom)
{
    bool six = s->ip.src.family == TUNNELCAP_IPV6;
    bool below = config->flags & TUNNELCAP_MSS_BELOW_FLOOR;
    uint32_t limit = six ? config->limit6 : config->limit4;
    uint32_t insert = six ? config->insert6 : config->insert4;
    uint32_t floor = six ? 1220 : 536;
    bool has_mss = false, has_ao = false, has_md5 = false, lowered = false;
    if (limit == 0 || !(s->flags & TEST_TCP_SYN))
        return TUNNELCAP_NOT_SYN;
    if (limit < floor && !below)
        limit = floor;
    for (uint32_t i = 0; i < s->count; i++) {
        has_mss |= s->options[i].kind == 2;
        has_ao |= s->options[i].kind == 29;
        has_md5 |= s->options[i].kind == 19;
    }
    if (has_ao)
        return TUNNELCAP_MSS_PROTECTED;
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->options[i].kind == 2 && test_load16(s->options[i].bytes + 2) > limit) {
            s->options[i] = mss_of(limit);
            lowered = true;
        }
    }
    if (has_mss)
        return lowered ? TUNNELCAP_MSS_CLAMPED : TUNNELCAP_MSS_SMALL;
    if (s->malformed)
        return TUNNELCAP_E_MALFORMED;
    if (insert == 0)
        return TUNNELCAP_MSS_ABSENT;
    if (has_md5)
        return TUNNELCAP_MSS_PROTECTED;
    if (headroom < 4 || options_len(s) > OPTIONS_MAX - 4)
        return TUNNELCAP_MSS_NO_ROOM;
    insert = insert > floor ? floor : insert;
    insert = insert > limit ? limit : insert;
    memmove(s->options + 1, s->options, s->count * sizeof(s->options[0]));
    s->options[0] = mss_of(insert);
    s->count++;
    return TUNNELCAP_MSS_INSERTED;
}

static tunnelcap_mss_config random_config(test_random *random)
{
    tunnelcap_mss_config config;
    ck_assert_status(tunnelcap_mss_config_init(&config, sizeof(config), 0), TUNNELCAP_OK);
    config.flags = test_below(random, 2);
    config.limit4 = (uint16_t)(test_below(random, 10) ? test_below(random, 2000) : 0);
    config.limit6 = (uint16_t)(test_below(random, 10) ? test_below(random, 2000) : 0);
    config.insert4 = (uint16_t)(test_below(random, 2) ? test_below(random, 2000) : 0);
    config.insert6 = (uint16_t)(test_below(random, 2) ? test_below(random, 2000) : 0);
    return config;
}

START_TEST(clamp_agrees_with_the_model_on_random_segments)
{
    static test_frame frame, want;
    test_random random = {5};
    uint32_t seen[16] = {0};
    for (uint32_t round = 0; round < 20000; round++) {
        tunnelcap_mss_config config = random_config(&random);
        segment s = random_segment(&random, round & 1);
        uint32_t headroom = test_below(&random, 3) ? 4 : test_below(&random, 4);
        build(&frame, &s);
        int32_t expected = model(&s, &config, headroom);
        build(&want, &s);
        seen[expected >= 0 ? expected : 15]++;

        tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, headroom);
        tunnelcap_mss_clamp(&config, &pkt, NULL, 0, 1);
        ck_assert_status(pkt.status, expected);
        ck_assert_uint_eq(pkt.len, want.len);
        /* A TCP checksum of 0 and of 0xffff are the same number to ones' complement. */
        uint32_t sum_at = round & 1 ? 56 : 36;
        uint8_t *got = pkt.buf + pkt.off;
        if (test_load16(got + sum_at) % 0xffff == test_load16(want.bytes + sum_at) % 0xffff)
            memcpy(got + sum_at, want.bytes + sum_at, 2);
        ck_assert_mem_eq(got, want.bytes, want.len);
        test_pkt_free(&pkt);
    }
    static const int32_t statuses[] = {
        TUNNELCAP_MSS_CLAMPED,   TUNNELCAP_MSS_INSERTED, TUNNELCAP_MSS_SMALL, TUNNELCAP_MSS_ABSENT,
        TUNNELCAP_MSS_PROTECTED, TUNNELCAP_MSS_NO_ROOM,  TUNNELCAP_NOT_SYN,   15};
    for (size_t i = 0; i < TEST_COUNT(statuses); i++)
        ck_assert_msg(seen[statuses[i]] > 30, "status %d came %u times", (int)statuses[i],
                      (unsigned)seen[statuses[i]]);
}
END_TEST

Suite *test_mss_model_suite(void)
{
    const TTest *tests[] = {
        clamp_agrees_with_the_model_on_random_segments,
    };
    return test_suite("mss_model", tests, TEST_COUNT(tests));
}
