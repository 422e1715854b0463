/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* ICMP errors about our outer packets, with quotes that end anywhere. */
#include "support.h"

#define A4      "192.0.2.1"
#define B4      "198.51.100.1"
#define ROUTER4 "203.0.113.9"
#define A6      "2001:db8:a::1"
#define B6      "2001:db8:b::1"
#define ROUTER6 "2001:db8:c::9"

enum { GRE = 47, UDP = 17, ESP = 50, IPV4 = 4, IPV6 = 41, TCP = 6, ICMP = 1, ICMP6 = 58 };

static test_frame frame, quoted;

static test_ip outer(bool six)
{
    return six ? test_between(A6, B6) : test_between(A4, B4);
}

/* A message about the first `len` bytes of the quoted frame. */
static void wrap(bool six, uint8_t type, uint8_t code, uint32_t word, uint32_t len)
{
    test_ip ip = six ? test_between(ROUTER6, A6) : test_between(ROUTER4, A4);
    frame.len = 0;
    test_push(&frame, quoted.bytes, len);
    test_push_icmp_word(&frame, &ip, type, code, word);
    test_push_ip(&frame, &ip, six ? ICMP6 : ICMP);
}

static void check_bounds(const tunnelcap_icmp_result *got, uint32_t len)
{
    ck_assert_uint_le(got->quote, len);
    ck_assert_uint_le(got->quote_len, len - got->quote);
    ck_assert_uint_le(got->inner, len);
    ck_assert_uint_le(got->inner_len, len - got->inner);
    ck_assert_uint_eq((got->flags & TUNNELCAP_ICMP_INNER) != 0, got->inner_len != 0);
    if (got->flags & TUNNELCAP_ICMP_INNER)
        ck_assert_uint_ge(got->inner, got->quote + 20);
    ck_assert_uint_eq(got->reserved, 0);
    ck_assert_uint_eq(got->size, sizeof(*got));
}

static int32_t parse(const tunnelcap_meta *meta, tunnelcap_icmp_result *got)
{
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 0);
    test_snapshot snap = test_snap(&pkt);
    memset(got, 0xff, sizeof(*got));
    got->size = sizeof(*got);
    int32_t status = tunnelcap_icmp_parse(&pkt, meta, got);
    ck_assert_int_eq(pkt.status, INT32_MIN);
    test_unchanged(&snap, &pkt);
    test_pkt_free(&pkt);
    check_bounds(got, frame.len);
    if (status != TUNNELCAP_OK && status != TUNNELCAP_E_ICMP) {
        tunnelcap_icmp_result blank = {.size = sizeof(blank)};
        ck_assert_mem_eq(got, &blank, sizeof(blank));
    }
    return status;
}

static void quote_gre(bool six, uint16_t flags, uint32_t payload)
{
    test_gre header = {flags, 0x0800, 0x01020304, 0xfffffff0};
    test_ip ip = outer(six);
    test_payload(&quoted, payload);
    test_push_gre(&quoted, &header);
    test_push_ip(&quoted, &ip, GRE);
}

START_TEST(kinds_are_told_with_what_they_say)
{
    static const struct {
        bool six;
        uint8_t type, code;
        uint32_t word;
        uint8_t kind;
        uint32_t mtu, pointer;
    } rows[] = {
        {false, 3, 4, 1400, TUNNELCAP_ICMP_TOO_BIG, 1400, 0},
        {false, 3, 0, 1400, TUNNELCAP_ICMP_UNREACHABLE, 0, 0},
        {false, 3, 3, 0, TUNNELCAP_ICMP_UNREACHABLE, 0, 0},
        {false, 3, 13, 0, TUNNELCAP_ICMP_UNREACHABLE, 0, 0},
        {false, 11, 0, 0, TUNNELCAP_ICMP_TIME_EXCEEDED, 0, 0},
        {false, 11, 1, 0, TUNNELCAP_ICMP_TIME_EXCEEDED, 0, 0},
        {false, 12, 0, 0x09000000, TUNNELCAP_ICMP_PARAMETER, 0, 9},
        {true, 2, 0, 1400, TUNNELCAP_ICMP_TOO_BIG, 1400, 0},
        {true, 2, 0, 0x20000000, TUNNELCAP_ICMP_TOO_BIG, 0x20000000, 0},
        {true, 1, 0, 0, TUNNELCAP_ICMP_UNREACHABLE, 0, 0},
        {true, 1, 4, 0, TUNNELCAP_ICMP_UNREACHABLE, 0, 0},
        {true, 3, 0, 0, TUNNELCAP_ICMP_TIME_EXCEEDED, 0, 0},
        {true, 4, 1, 0x00000106, TUNNELCAP_ICMP_PARAMETER, 0, 0x106},
        {true, 4, 0, 0x20000000, TUNNELCAP_ICMP_PARAMETER, 0, 0x20000000},
    };
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        bool six = rows[i].six;
        uint32_t header = six ? 40 : 20;
        tunnelcap_icmp_result got, want = {.size = sizeof(want)};
        test_ip ip = outer(six);
        quote_gre(six, 0, 300);
        wrap(six, rows[i].type, rows[i].code, rows[i].word, 200);
        want.flags = TUNNELCAP_ICMP_NO_KEY | TUNNELCAP_ICMP_INNER;
        want.from = test_addr(six ? ROUTER6 : ROUTER4);
        want.to = ip.src;
        want.src = ip.src;
        want.dst = ip.dst;
        want.mtu = rows[i].mtu;
        want.pointer = rows[i].pointer;
        want.quote = header + 8;
        want.quote_len = 200;
        want.quote_total = header + 304;
        want.inner = want.quote + header + 4;
        want.inner_len = 200 - header - 4;
        want.protocol = 0x0800;
        want.kind = rows[i].kind;
        want.type = rows[i].type;
        want.code = rows[i].code;
        want.tunnel = TUNNELCAP_KIND_GRE;
        want.ip_protocol = GRE;
        test_ok(parse(NULL, &got));
        ck_assert_mem_eq(&got, &want, sizeof(want));
    }
}
END_TEST

/* What can be quoted. */
typedef struct shape {
    uint8_t protocol;
    uint16_t src_port, dst_port; /* with UDP */
    uint8_t tunnel;
    uint16_t gre; /* flags */
} shape;

static const shape shapes[] = {
    {GRE, 0, 0, TUNNELCAP_KIND_GRE, 0},
    {GRE, 0, 0, TUNNELCAP_KIND_GRE, TEST_GRE_K},
    {GRE, 0, 0, TUNNELCAP_KIND_GRE, TEST_GRE_C},
    {GRE, 0, 0, TUNNELCAP_KIND_GRE, TEST_GRE_S},
    {GRE, 0, 0, TUNNELCAP_KIND_GRE, TEST_GRE_K | TEST_GRE_S},
    {GRE, 0, 0, TUNNELCAP_KIND_GRE, TEST_GRE_C | TEST_GRE_K},
    {GRE, 0, 0, TUNNELCAP_KIND_GRE, TEST_GRE_C | TEST_GRE_K | TEST_GRE_S},
    {IPV4, 0, 0, TUNNELCAP_KIND_IPIP, 0},
    {IPV6, 0, 0, TUNNELCAP_KIND_IPIP, 0},
    {ESP, 0, 0, TUNNELCAP_KIND_ESP, 0},
    {UDP, 51000, 4754, TUNNELCAP_KIND_GRE, TEST_GRE_K},
    {UDP, 51000, 4754, TUNNELCAP_KIND_GRE, 0},
    {UDP, 4500, 4500, TUNNELCAP_KIND_ESP, 0},
    {UDP, 4500, 60000, TUNNELCAP_KIND_ESP, 0},
    {UDP, 60000, 4500, TUNNELCAP_KIND_ESP, 0},
    {UDP, 60000, 53, TUNNELCAP_KIND_NONE, 0},
    {TCP, 0, 0, TUNNELCAP_KIND_NONE, 0},
};

static void quote_shape(bool six, const shape *s)
{
    static const uint8_t esp[8] = {0x0a, 0x0b, 0x0c, 0x0d, 0, 0, 0x12, 0x34};
    test_gre header = {s->gre, 0x86dd, 0x01020304, 0xfffffff0};
    test_ip ip = outer(six);
    test_payload(&quoted, 60);
    if (s->tunnel == TUNNELCAP_KIND_ESP)
        test_push(&quoted, esp, sizeof(esp));
    if (s->tunnel == TUNNELCAP_KIND_GRE)
        test_push_gre(&quoted, &header);
    if (s->protocol == UDP)
        test_push_udp(&quoted, &ip, s->src_port, s->dst_port);
    test_push_ip(&quoted, &ip, s->protocol);
}

/* What `rest` bytes behind the IP header tell. */
static void model(const shape *s, uint32_t header, uint32_t rest, tunnelcap_icmp_result *want)
{
    uint32_t at = 0, left, c = s->gre & TEST_GRE_C ? 4 : 0, k = s->gre & TEST_GRE_K ? 4 : 0;
    uint32_t gre_len = 4 + c + k + (s->gre & TEST_GRE_S ? 4 : 0);
    want->ip_protocol = s->protocol;
    if (s->protocol == UDP && rest < 8)
        return;
    want->tunnel = s->tunnel;
    if (s->protocol == UDP) {
        want->flags |= TUNNELCAP_ICMP_PORTS;
        want->src_port = s->src_port;
        want->dst_port = s->dst_port;
        at = 8;
    }
    left = rest - at;
    if (s->tunnel == TUNNELCAP_KIND_ESP && left >= 4) {
        want->flags |= TUNNELCAP_ICMP_KEY | (left >= 8 ? TUNNELCAP_ICMP_SEQUENCE : 0u);
        want->key = 0x0a0b0c0d;
        want->seq = left >= 8 ? 0x1234 : 0;
    }
    if (s->tunnel == TUNNELCAP_KIND_GRE && left >= 4) {
        want->protocol = 0x86dd;
        if (k == 0)
            want->flags |= TUNNELCAP_ICMP_NO_KEY;
        if (k != 0 && left >= 8 + c) {
            want->flags |= TUNNELCAP_ICMP_KEY;
            want->key = 0x01020304;
        }
        if ((s->gre & TEST_GRE_S) && left >= gre_len) {
            want->flags |= TUNNELCAP_ICMP_SEQUENCE;
            want->seq = 0xfffffff0;
        }
        at += gre_len;
    }
    if (s->tunnel == TUNNELCAP_KIND_IPIP)
        want->protocol = s->protocol == IPV4 ? 0x0800 : 0x86dd;
    if (want->protocol != 0 && rest > at) {
        want->flags |= TUNNELCAP_ICMP_INNER;
        want->inner = want->quote + header + at;
        want->inner_len = rest - at;
    }
}

START_TEST(a_quote_tells_what_is_there_at_every_length)
{
    for (unsigned six = 0; six <= 1; six++) {
        uint32_t header = six ? 40 : 20;
        for (size_t i = 0; i < TEST_COUNT(shapes); i++) {
            quote_shape(six, &shapes[i]);
            for (uint32_t len = 0; len <= quoted.len; len++) {
                tunnelcap_icmp_result got, want = {.size = sizeof(want)};
                test_ip ip = outer(six);
                wrap(six, six ? 1 : 3, 0, 0, len);
                want.from = test_addr(six ? ROUTER6 : ROUTER4);
                want.to = ip.src;
                want.kind = TUNNELCAP_ICMP_UNREACHABLE;
                want.type = six ? 1 : 3;
                want.quote = header + 8;
                if (len >= header) {
                    want.src = ip.src;
                    want.dst = ip.dst;
                    want.quote_len = len;
                    want.quote_total = quoted.len;
                    model(&shapes[i], header, len - header, &want);
                }
                ck_assert_status(parse(NULL, &got),
                                 len >= header ? TUNNELCAP_OK : TUNNELCAP_E_ICMP);
                ck_assert_mem_eq(&got, &want, sizeof(want));
            }
        }
    }
}
END_TEST

START_TEST(what_udp_4500_carries_is_told_apart)
{
    static const uint8_t ike[8] = {0, 0, 0, 0, 1, 2, 3, 4};
    test_ip ip = outer(false);
    tunnelcap_icmp_result got;
    for (uint32_t len = 1; len <= 8; len++) {
        quoted.len = 0;
        test_push(&quoted, ike, len);
        test_push_udp(&quoted, &ip, 4500, 4500);
        test_push_ip(&quoted, &ip, UDP);
        wrap(false, 3, 3, 0, quoted.len);
        test_ok(parse(NULL, &got));
        ck_assert_uint_eq(got.tunnel, len == 1  ? TUNNELCAP_KIND_NAT_KEEPALIVE
                                      : len < 4 ? TUNNELCAP_KIND_ESP
                                                : TUNNELCAP_KIND_IKE);
        ck_assert_uint_eq(got.flags, TUNNELCAP_ICMP_PORTS);
    }
}
END_TEST

START_TEST(padding_behind_the_quoted_packet_is_not_part_of_it)
{
    for (unsigned six = 0; six <= 1; six++) {
        tunnelcap_icmp_result got;
        quote_gre(six, 0, 20);
        uint32_t total = quoted.len;
        memset(quoted.bytes + total, 0, 100);
        wrap(six, six ? 1 : 3, 1, 0, total + 100);
        test_ok(parse(NULL, &got));
        ck_assert_uint_eq(got.quote_len, total);
        ck_assert_uint_eq(got.inner_len, 20);
    }
}
END_TEST

/* An extension structure (RFC 4884 section 7) with one object of 8 bytes, behind `at` bytes. */
static void append_extension(uint32_t at)
{
    uint8_t ext[12] = {0x20, 0, 0, 0, 0, 8, 1, 1, 0xde, 0xad, 0xbe, 0xef};
    test_store16(ext + 2, (uint16_t)~test_sum(0, ext, sizeof(ext)));
    memcpy(quoted.bytes + at, ext, sizeof(ext));
}

START_TEST(extensions_are_not_quoted_bytes)
{
    static const struct {
        bool six;
        uint8_t type, code;
        uint32_t word, quote_len;
    } rows[] = {
        {false, 3, 1, 32u << 16, 128},  {false, 11, 0, 32u << 16, 128},
        {false, 12, 0, 32u << 16, 128}, {false, 3, 4, 32u << 16 | 1300, 128},
        {false, 3, 1, 34u << 16, 136},  {false, 3, 1, 35u << 16, 140},
        {false, 3, 1, 36u << 16, 140},  {false, 3, 1, 255u << 16, 140},
        {false, 3, 1, 31u << 16, 140},  {false, 3, 1, 1u << 16, 140},
        {true, 1, 3, 16u << 24, 128},   {true, 3, 0, 16u << 24, 128},
        {true, 1, 3, 15u << 24, 140},   {true, 1, 3, 17u << 24, 136},
        {true, 1, 3, 255u << 24, 140},  {true, 2, 0, 16u << 24, 140},
        {true, 4, 0, 16u << 24, 140},   {true, 1, 3, 0, 140},
    };
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        tunnelcap_icmp_result got;
        uint32_t header = rows[i].six ? 40 : 20;
        quote_gre(rows[i].six, 0, 500);
        append_extension(128);
        wrap(rows[i].six, rows[i].type, rows[i].code, rows[i].word, 140);
        test_ok(parse(NULL, &got));
        ck_assert_uint_eq(got.quote_len, rows[i].quote_len);
        ck_assert_uint_eq(got.inner_len, rows[i].quote_len - header - 4);
        if (got.kind == TUNNELCAP_ICMP_TOO_BIG && !rows[i].six)
            ck_assert_uint_eq(got.mtu, 1300);
    }
}
END_TEST

START_TEST(extensions_from_before_rfc_4884_are_seen_by_their_checksum)
{
    tunnelcap_icmp_result got;
    quote_gre(false, 0, 500);
    append_extension(128);
    for (uint32_t flip = 0; flip <= 12; flip++) {
        if (flip < 12)
            quoted.bytes[128 + flip] ^= 0x10;
        wrap(false, 11, 0, 0, 140);
        test_ok(parse(NULL, &got));
        ck_assert_uint_eq(got.quote_len, flip < 12 ? 140 : 128);
        if (flip < 12)
            quoted.bytes[128 + flip] ^= 0x10;
    }
    quoted.bytes[128] = 0x30; /* right, but of another version */
    quoted.bytes[130] -= 0x10;
    wrap(false, 11, 0, 0, 140);
    test_ok(parse(NULL, &got));
    ck_assert_uint_eq(got.quote_len, 140);
    memset(quoted.bytes + 128, 0, 12);
    quoted.bytes[128] = 0x20; /* a checksum of zero says nothing */
    memset(quoted.bytes + 132, 0xff, 2);
    quoted.bytes[132] = 0xdf;
    wrap(false, 11, 0, 0, 140);
    test_ok(parse(NULL, &got));
    ck_assert_uint_eq(got.quote_len, 140);
}
END_TEST

START_TEST(an_mtu_that_was_not_told_is_guessed_from_the_quote)
{
    static const struct {
        uint32_t total, mtu;
    } rows[] = {
        {65535, 32000}, {32001, 32000}, {32000, 17914}, {17914, 8166}, {8167, 8166}, {8166, 4352},
        {4352, 2002},   {2002, 1492},   {1500, 1492},   {1492, 1006},  {1006, 508},  {508, 296},
        {297, 296},     {296, 68},      {69, 68},       {30, 68},
    };
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        tunnelcap_icmp_result got;
        quote_gre(false, 0, rows[i].total - 24);
        wrap(false, 3, 4, 0, 28);
        test_ok(parse(NULL, &got));
        ck_assert_uint_eq(got.quote_total, rows[i].total);
        ck_assert_uint_eq(got.mtu, rows[i].mtu);
        ck_assert_uint_eq(got.flags & TUNNELCAP_ICMP_MTU_GUESSED, TUNNELCAP_ICMP_MTU_GUESSED);
    }
}
END_TEST

START_TEST(an_mtu_that_no_link_has_is_not_believed)
{
    static const uint32_t mtus[] = {1, 67, 68, 1279, 1280, 65535};
    tunnelcap_icmp_result got;
    for (unsigned six = 0; six <= 1; six++) {
        for (size_t i = 0; i < TEST_COUNT(mtus); i++) {
            quote_gre(six, 0, 1400);
            wrap(six, six ? 2 : 3, six ? 0 : 4, mtus[i], 100);
            ck_assert_status(parse(NULL, &got),
                             mtus[i] < (six ? 1280u : 68u) ? TUNNELCAP_E_ICMP : TUNNELCAP_OK);
            ck_assert_uint_eq(got.kind, TUNNELCAP_ICMP_TOO_BIG);
            ck_assert_uint_eq(got.mtu, mtus[i]);
            ck_assert_uint_eq(got.flags & TUNNELCAP_ICMP_MTU_GUESSED, 0);
        }
    }
    quote_gre(true, 0, 1400);
    wrap(true, 2, 0, 0, 100);
    ck_assert_status(parse(NULL, &got), TUNNELCAP_E_ICMP);
}
END_TEST

START_TEST(a_quote_of_somebody_elses_packet_is_not_believed)
{
    tunnelcap_icmp_result got;
    for (unsigned six = 0; six <= 1; six++) {
        for (uint32_t at = 0; at < (six ? 32u : 8u); at++) {
            bool of_source = at < (six ? 16u : 4u);
            quote_gre(six, 0, 100);
            quoted.bytes[(six ? 8 : 12) + at] ^= 1;
            wrap(six, six ? 1 : 3, 1, 0, 80);
            ck_assert_status(parse(NULL, &got), of_source ? TUNNELCAP_E_ICMP : TUNNELCAP_OK);
            ck_assert_uint_eq(got.src.family == 0, of_source);
        }
        quote_gre(!six, 0, 100);
        if (six) /* the same four bytes as the source of the other family begins with */
            memcpy(quoted.bytes + 12, test_addr(A6).bytes, 4);
        wrap(six, six ? 1 : 3, 1, 0, 80);
        ck_assert_status(parse(NULL, &got), TUNNELCAP_E_ICMP);
        ck_assert_uint_eq(got.kind, TUNNELCAP_ICMP_UNREACHABLE);
    }
}
END_TEST

START_TEST(a_quote_that_contradicts_itself_is_not_believed)
{
    tunnelcap_icmp_result got;
    quote_gre(false, 0, 100);
    quoted.bytes[0] = 0x44;
    wrap(false, 3, 1, 0, 80);
    ck_assert_status(parse(NULL, &got), TUNNELCAP_E_ICMP);
    quoted.bytes[0] = 0x45;
    test_store16(quoted.bytes + 2, 19);
    wrap(false, 3, 1, 0, 80);
    ck_assert_status(parse(NULL, &got), TUNNELCAP_E_ICMP);
    quote_gre(false, 1, 100); /* enhanced GRE, routing: we send neither */
    wrap(false, 3, 1, 0, 80);
    ck_assert_status(parse(NULL, &got), TUNNELCAP_E_ICMP);
    quote_gre(false, 0x4000, 100);
    wrap(false, 3, 1, 0, 80);
    ck_assert_status(parse(NULL, &got), TUNNELCAP_E_ICMP);
    test_ip ip = outer(false);
    test_udp_packet(&quoted, &ip, 20);
    test_store16(quoted.bytes + 24, 7);
    wrap(false, 3, 1, 0, 48);
    ck_assert_status(parse(NULL, &got), TUNNELCAP_E_ICMP);
    quote_gre(false, 0, 100);
    quoted.bytes[8] = 0; /* TTL: its checksum is wrong now, as routers leave it */
    wrap(false, 11, 0, 0, 80);
    test_ok(parse(NULL, &got));
}
END_TEST

START_TEST(quoted_fragments_tell_what_they_can)
{
    static const uint8_t protocols[] = {GRE, IPV4, IPV6, ESP, UDP};
    static const uint8_t kinds[] = {TUNNELCAP_KIND_GRE, TUNNELCAP_KIND_IPIP, TUNNELCAP_KIND_IPIP,
                                    TUNNELCAP_KIND_ESP, TUNNELCAP_KIND_NONE};
    tunnelcap_icmp_result got;
    for (size_t i = 0; i < TEST_COUNT(protocols); i++) {
        test_ip ip = outer(false);
        ip.frag = 185;
        test_payload(&quoted, 100);
        test_push_ip(&quoted, &ip, protocols[i]);
        wrap(false, 3, 4, 1300, 28);
        test_ok(parse(NULL, &got));
        ck_assert_uint_eq(got.flags, TUNNELCAP_ICMP_FRAGMENT);
        ck_assert_uint_eq(got.tunnel, kinds[i]);
        ck_assert_uint_eq(got.protocol, 0);
    }
    test_gre keyed = {TEST_GRE_K, 0x0800, 5, 0};
    test_ip ip = outer(false);
    ip.frag = 0x2000;
    test_payload(&quoted, 100);
    test_push_gre(&quoted, &keyed);
    test_push_ip(&quoted, &ip, GRE);
    wrap(false, 3, 4, 1300, 28);
    test_ok(parse(NULL, &got));
    ck_assert_uint_eq(got.flags, TUNNELCAP_ICMP_FRAGMENT | TUNNELCAP_ICMP_KEY);
}
END_TEST

START_TEST(a_quoted_encapsulation_limit_is_stepped_over)
{
    static const uint8_t limit[6] = {4, 1, 4, 1, 1, 0};
    test_gre keyed = {TEST_GRE_K, 0x0800, 77, 0};
    test_ip ip = outer(true);
    tunnelcap_icmp_result got;
    test_payload(&quoted, 100);
    test_push_gre(&quoted, &keyed);
    test_push_ext(&quoted, GRE, limit, sizeof(limit));
    test_push_ip(&quoted, &ip, 60);
    for (uint32_t len = 40; len <= 70; len++) {
        wrap(true, 4, 0, 44, len);
        ck_assert_status(parse(NULL, &got), len < 48 ? TUNNELCAP_E_ICMP : TUNNELCAP_OK);
        ck_assert_uint_eq(got.pointer, 44);
        ck_assert_uint_eq(got.key, len < 56 ? 0 : 77);
        ck_assert_uint_eq(got.inner_len, len < 56 ? 0 : len - 56);
    }
    ck_assert_uint_eq(got.ip_protocol, GRE);
}
END_TEST

START_TEST(messages_that_are_no_errors_about_tunnels_are_told_apart)
{
    for (unsigned six = 0; six <= 1; six++) {
        for (unsigned type = 0; type < 256; type++) {
            tunnelcap_icmp_result got;
            bool error = six ? type >= 1 && type <= 4 : type == 3 || type == 11 || type == 12;
            bool other = six ? (type < 128 || type == 137) : type == 4 || type == 5;
            quote_gre(six, 0, 100);
            wrap(six, (uint8_t)type, 0, 1400, 80);
            ck_assert_status(parse(NULL, &got), error ? TUNNELCAP_OK : TUNNELCAP_E_ICMP);
            ck_assert_uint_eq(got.type, type);
            ck_assert_uint_eq(got.from.family, six ? 6 : 4);
            if (!error)
                ck_assert_uint_eq(got.kind,
                                  other ? TUNNELCAP_ICMP_OTHER : TUNNELCAP_ICMP_INFORMATION);
        }
        tunnelcap_icmp_result got;
        test_ip ip = outer(six);
        test_udp_packet(&frame, &ip, 50);
        ck_assert_status(parse(NULL, &got), TUNNELCAP_E_ICMP);
        ck_assert_uint_eq(got.kind, TUNNELCAP_ICMP_NONE);
        ck_assert_mem_eq(&got.from, &ip.src, sizeof(ip.src));
    }
}
END_TEST

static int32_t feed(void *arg, tunnelcap_pkt *pkt)
{
    tunnelcap_icmp_result got = {.size = sizeof(got)};
    return tunnelcap_icmp_parse(pkt, arg, &got);
}

START_TEST(messages_must_be_whole_and_right)
{
    for (unsigned six = 0; six <= 1; six++) {
        tunnelcap_icmp_result got;
        quote_gre(six, TEST_GRE_K, 100);
        wrap(six, six ? 2 : 3, six ? 0 : 4, 1400, 90);
        test_truncation(frame.bytes, frame.len, TUNNELCAP_E_TRUNCATED, feed, NULL);
        uint32_t accepted = test_flips(frame.bytes, frame.len, 0, feed, NULL);
        if (!six)
            ck_assert_uint_eq(accepted, 0); /* two checksums cover every bit */
        frame.bytes[frame.len - 1] ^= 1;
        ck_assert_status(parse(NULL, &got), TUNNELCAP_E_CHECKSUM);
        frame.bytes[0] = 0x10;
        ck_assert_status(parse(NULL, &got), TUNNELCAP_E_MALFORMED);
        test_ip ip = outer(six);
        test_payload(&frame, 7);
        test_push_ip(&frame, &ip, six ? ICMP6 : ICMP);
        ck_assert_status(parse(NULL, &got), TUNNELCAP_E_TRUNCATED);
    }
    test_ip ip = outer(false);
    tunnelcap_icmp_result got;
    ip.frag = 0x2000;
    test_payload(&frame, 64);
    test_push_icmp(&frame, &ip, 3, 4);
    test_push_ip(&frame, &ip, ICMP);
    ck_assert_status(parse(NULL, &got), TUNNELCAP_E_FRAGMENT);
    ip.frag = 0;
    test_payload(&frame, 64);
    test_push_icmp(&frame, &ip, 3, 4);
    test_push_ip(&frame, &ip, ICMP);
    frame.bytes[8]++; /* TTL */
    ck_assert_status(parse(NULL, &got), TUNNELCAP_E_CHECKSUM);
}
END_TEST

START_TEST(messages_from_sockets_are_read_by_their_meta)
{
    for (unsigned six = 0; six <= 1; six++) {
        uint32_t header = six ? 40 : 20;
        tunnelcap_meta meta = {.at = TUNNELCAP_AT_IP_PAYLOAD,
                               .proto = six ? ICMP6 : ICMP,
                               .src = test_addr(six ? ROUTER6 : ROUTER4),
                               .dst = test_addr(six ? A6 : A4)};
        tunnelcap_icmp_result got;
        quote_gre(six, TEST_GRE_K, 100);
        wrap(six, six ? 2 : 3, six ? 0 : 4, 1400, 90);
        frame.len -= header;
        memmove(frame.bytes, frame.bytes + header, frame.len);
        test_ok(parse(&meta, &got));
        ck_assert_mem_eq(&got.from, &meta.src, sizeof(meta.src));
        ck_assert_uint_eq(got.quote, 8);
        ck_assert_uint_eq(got.key, 0x01020304);
        ck_assert_uint_eq(got.inner, 8 + header + 8);
        meta.dst = test_addr(six ? B6 : B4); /* not where the quote comes from */
        ck_assert_status(parse(&meta, &got), six ? TUNNELCAP_E_CHECKSUM : TUNNELCAP_E_ICMP);
        meta.at = 3;
        ck_assert_status(parse(&meta, &got), TUNNELCAP_E_INVALID);
    }
}
END_TEST

START_TEST(hostile_quotes_do_no_harm)
{
    test_random random = {77};
    uint32_t accepted = 0;
    for (unsigned round = 0; round < 20000; round++) {
        bool six = round & 1;
        tunnelcap_icmp_result got;
        uint32_t len = test_below(&random, 180);
        static const uint8_t types[2][4] = {{3, 3, 11, 12}, {1, 2, 3, 4}};
        static const uint8_t protocols[] = {GRE, UDP, ESP, IPV4, IPV6, 0, 43, 44, 60};
        for (uint32_t i = 0; i < len; i++)
            quoted.bytes[i] = (uint8_t)test_next(&random);
        test_ip ip = outer(six);
        uint32_t header = six ? 40 : 20;
        if (len >= header && round % 4 != 0) { /* mostly plausible at first sight */
            quoted.bytes[0] = six ? 0x60 : (uint8_t)(0x45 + test_below(&random, 3));
            quoted.bytes[six ? 6 : 9] =
                protocols[test_below(&random, (uint32_t)TEST_COUNT(protocols))];
            memcpy(quoted.bytes + (six ? 8 : 12), ip.src.bytes, six ? 16 : 4);
            for (uint32_t at = header; at < len && round % 8 < 6; at++)
                quoted.bytes[at] &= 0x33;
        }
        wrap(six, types[six][test_below(&random, 4)], (uint8_t)test_below(&random, 6),
             test_next(&random) & (round % 3 == 0 ? 0xffff : 0xffffffff), len);
        int32_t status = parse(NULL, &got);
        ck_assert(status == TUNNELCAP_OK || status == TUNNELCAP_E_ICMP);
        accepted += status == TUNNELCAP_OK;
    }
    ck_assert_uint_gt(accepted, 1000);
}
END_TEST

START_TEST(arguments_are_checked)
{
    tunnelcap_icmp_result got = {.size = sizeof(got)};
    quote_gre(false, 0, 100);
    wrap(false, 3, 4, 1400, 28);
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 0), outside = pkt;
    ck_assert_status(tunnelcap_icmp_parse(NULL, NULL, &got), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_icmp_parse(&pkt, NULL, NULL), TUNNELCAP_E_INVALID);
    outside.len++;
    ck_assert_status(tunnelcap_icmp_parse(&outside, NULL, &got), TUNNELCAP_E_INVALID);
    got.size--;
    ck_assert_status(tunnelcap_icmp_parse(&pkt, NULL, &got), TUNNELCAP_E_VERSION);
    test_pkt_free(&pkt);
}
END_TEST

Suite *test_icmp_parse_suite(void)
{
    const TTest *tests[] = {
        kinds_are_told_with_what_they_say,
        a_quote_tells_what_is_there_at_every_length,
        what_udp_4500_carries_is_told_apart,
        padding_behind_the_quoted_packet_is_not_part_of_it,
        extensions_are_not_quoted_bytes,
        extensions_from_before_rfc_4884_are_seen_by_their_checksum,
        an_mtu_that_was_not_told_is_guessed_from_the_quote,
        an_mtu_that_no_link_has_is_not_believed,
        a_quote_of_somebody_elses_packet_is_not_believed,
        a_quote_that_contradicts_itself_is_not_believed,
        quoted_fragments_tell_what_they_can,
        a_quoted_encapsulation_limit_is_stepped_over,
        messages_that_are_no_errors_about_tunnels_are_told_apart,
        messages_must_be_whole_and_right,
        messages_from_sockets_are_read_by_their_meta,
        hostile_quotes_do_no_harm,
        arguments_are_checked,
    };
    return test_suite("icmp_parse", tests, TEST_COUNT(tests));
}
