/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Names, texts and classes of statuses, and the proof that each status is the answer of some
 * call: whoever adds one adds a row here. */
#include "esp_kit.h"
#include "reassembly_kit.h"
#include "table.h"

static test_frame frame;
static frag_whole whole;

START_TEST(statuses_are_listed_once_with_name_text_and_class)
{
    int32_t status, other;
    uint32_t count = 0;
    for (; tunnelcap_status_at(count, &status) == TUNNELCAP_OK; count++) {
        const char *name = tunnelcap_status_name(status);
        const char *text = tunnelcap_status_text(status);
        ck_assert_str_ne(name, "UNKNOWN");
        ck_assert_uint_eq(strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"), strlen(name));
        ck_assert_int_eq(strncmp(name, "E_", 2) == 0, status < 0);
        ck_assert_uint_gt(strlen(text), 3);
        ck_assert_int_ne(text[strlen(text) - 1], '.');
        int32_t class = tunnelcap_status_class(status);
        if (status >= 0)
            ck_assert_int_eq(class, TUNNELCAP_CLASS_OK);
        else
            ck_assert_int_eq(class, -status / 100);
        ck_assert(class >= TUNNELCAP_CLASS_OK && class <= TUNNELCAP_CLASS_PROVIDER);
        for (uint32_t i = 0; i < count; i++) {
            ck_assert_status(tunnelcap_status_at(i, &other), TUNNELCAP_OK);
            ck_assert_int_ne(other, status);
            ck_assert_str_ne(tunnelcap_status_name(other), name);
        }
    }
    ck_assert_uint_gt(count, 30);
    status = 12345;
    ck_assert_status(tunnelcap_status_at(count, &status), TUNNELCAP_E_NOT_FOUND);
    ck_assert_status(tunnelcap_status_at(UINT32_MAX, &status), TUNNELCAP_E_NOT_FOUND);
    ck_assert_int_eq(status, 12345);
    ck_assert_status(tunnelcap_status_at(0, NULL), TUNNELCAP_E_INVALID);
}
END_TEST

START_TEST(numbers_that_are_no_status_are_unknown)
{
    static const int32_t numbers[] = {-1,   -99, -100, -117, -199,      -300,      -400, -499,
                                      -500, 14,  99,   101,  INT32_MAX, INT32_MIN, -600, -106000};
    for (size_t i = 0; i < TEST_COUNT(numbers); i++) {
        ck_assert_str_eq(tunnelcap_status_name(numbers[i]), "UNKNOWN");
        ck_assert_ptr_nonnull(tunnelcap_status_text(numbers[i]));
        ck_assert_int_eq(tunnelcap_status_class(numbers[i]), TUNNELCAP_CLASS_UNKNOWN);
    }
}
END_TEST

START_TEST(names_are_the_identifiers_without_prefix)
{
    ck_assert_str_eq(tunnelcap_status_name(TUNNELCAP_OK), "OK");
    ck_assert_str_eq(tunnelcap_status_name(TUNNELCAP_MSS_CLAMPED), "MSS_CLAMPED");
    ck_assert_str_eq(tunnelcap_status_name(TUNNELCAP_E_TRUNCATED), "E_TRUNCATED");
    ck_assert_str_eq(tunnelcap_status_name(TUNNELCAP_E_BUSY), "E_BUSY");
}
END_TEST

/* ---- one call for each status ---- */

typedef struct gre_row {
    int32_t status;
    uint32_t flags;
    test_gre header;
    uint8_t protocol;
    uint8_t inner_ecn, outer_ecn;
    uint16_t frag;
    uint32_t cut;
    uint32_t flip; /* offset of a byte to invert; 0: none */
} gre_row;

static const gre_row decap_rows[] = {
    {TUNNELCAP_OK, 0, {0, 0x0800, 0, 0}, 47, 0, 0, 0, 0, 0},
    {TUNNELCAP_E_TRUNCATED, 0, {0, 0x0800, 0, 0}, 47, 0, 0, 0, 1, 0},
    {TUNNELCAP_E_MALFORMED, 0, {0, 0x86dd, 0, 0}, 47, 0, 0, 0, 0, 0},
    {TUNNELCAP_E_CHECKSUM, 0, {TEST_GRE_C, 0x0800, 0, 0}, 47, 0, 0, 0, 0, 50},
    {TUNNELCAP_E_NO_CHECKSUM, TUNNELCAP_GRE_CHECKSUM, {0, 0x0800, 0, 0}, 47, 0, 0, 0, 0, 0},
    {TUNNELCAP_E_PROTOCOL, 0, {0, 0x0800, 0, 0}, 6, 0, 0, 0, 0, 0},
    {TUNNELCAP_E_NO_TUNNEL, TUNNELCAP_GRE_KEY_IN, {0, 0x0800, 0, 0}, 47, 0, 0, 0, 0, 0},
    {TUNNELCAP_E_GRE_VERSION, 0, {1, 0x0800, 0, 0}, 47, 0, 0, 0, 0, 0},
    {TUNNELCAP_E_GRE_FLAGS, 0, {0x4000, 0x0800, 0, 0}, 47, 0, 0, 0, 0, 0},
    {TUNNELCAP_E_FRAGMENT, 0, {0, 0x0800, 0, 0}, 47, 0, 0, 0x2000, 0, 0},
    {TUNNELCAP_E_ECN, 0, {0, 0x0800, 0, 0}, 47, 0, 3, 0, 0, 0},
};

static int32_t decap_row(tunnelcap_gre *gre, const gre_row *row)
{
    test_ip outer = test_between("198.51.100.1", "192.0.2.1");
    test_ip inner = test_between("10.1.0.1", "10.2.0.1");
    outer.frag = row->frag;
    outer.tos = row->outer_ecn;
    inner.tos = row->inner_ecn;
    test_udp_packet(&frame, &inner, 10);
    test_push_gre(&frame, &row->header);
    test_push_ip(&frame, &outer, row->protocol);
    if (row->flip != 0)
        frame.bytes[row->flip] ^= 0xff;
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len - row->cut, 0);
    int32_t status = test_gre_decap(gre, &pkt, NULL, NULL);
    test_pkt_free(&pkt);
    return status;
}

static int32_t from_decap(int32_t want)
{
    for (size_t i = 0; i < TEST_COUNT(decap_rows); i++) {
        if (decap_rows[i].status != want)
            continue;
        tunnelcap_gre_config config =
            test_gre_config("192.0.2.1", "198.51.100.1", decap_rows[i].flags);
        tunnelcap_gre *gre = test_gre_new(&config);
        int32_t status = decap_row(gre, &decap_rows[i]);
        tunnelcap_gre_free(gre);
        return status;
    }
    ck_abort_msg("no row for %s", tunnelcap_status_name(want));
}

static int32_t from_sequence(int32_t want)
{
    (void)want;
    static const gre_row row = {0, 0, {TEST_GRE_S, 0x0800, 0, 5}, 47, 0, 0, 0, 0, 0};
    tunnelcap_gre_config config =
        test_gre_config("192.0.2.1", "198.51.100.1", TUNNELCAP_GRE_IN_ORDER);
    tunnelcap_gre *gre = test_gre_new(&config);
    ck_assert_status(decap_row(gre, &row), TUNNELCAP_OK);
    int32_t status = decap_row(gre, &row);
    tunnelcap_gre_free(gre);
    return status;
}

static int32_t from_keepalive(int32_t want)
{
    (void)want;
    test_ip outer = test_between("198.51.100.1", "192.0.2.1");
    test_ip inner = test_between("192.0.2.1", "198.51.100.1");
    test_gre ip = {.protocol = 0x0800}, none = {.protocol = 0};
    frame.len = 0;
    test_push_gre(&frame, &none);
    test_push_ip(&frame, &inner, 47);
    test_push_gre(&frame, &ip);
    test_push_ip(&frame, &outer, 47);
    tunnelcap_gre_config config = test_gre_config("192.0.2.1", "198.51.100.1", 0);
    tunnelcap_gre *gre = test_gre_new(&config);
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 0);
    int32_t status = test_gre_decap(gre, &pkt, NULL, NULL);
    test_pkt_free(&pkt);
    tunnelcap_gre_free(gre);
    return status;
}

typedef struct mss_row {
    int32_t status;
    const char *options;
    uint32_t len;
    uint16_t insert;
    uint8_t flags;
    uint16_t frag;
} mss_row;

static const mss_row mss_rows[] = {
    {TUNNELCAP_MSS_CLAMPED, "\2\4\5\264", 4, 0, TEST_TCP_SYN, 0},
    {TUNNELCAP_MSS_INSERTED, "", 0, 500, TEST_TCP_SYN, 0},
    {TUNNELCAP_MSS_SMALL, "\2\4\2\1", 4, 0, TEST_TCP_SYN, 0},
    {TUNNELCAP_MSS_ABSENT, "", 0, 0, TEST_TCP_SYN, 0},
    {TUNNELCAP_MSS_PROTECTED, "\35\4\0\0", 4, 0, TEST_TCP_SYN, 0},
    {TUNNELCAP_MSS_NO_ROOM,
     "\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1", 40, 500,
     TEST_TCP_SYN, 0},
    {TUNNELCAP_NOT_SYN, "", 0, 0, TEST_TCP_ACK, 0},
    {TUNNELCAP_FRAGMENT, "", 0, 0, TEST_TCP_SYN, 99},
};

static int32_t from_mss(int32_t want)
{
    for (size_t i = 0; i < TEST_COUNT(mss_rows); i++) {
        const mss_row *row = &mss_rows[i];
        if (row->status != want)
            continue;
        tunnelcap_mss_config config;
        ck_assert_status(tunnelcap_mss_config_init(&config, sizeof(config), 1476), TUNNELCAP_OK);
        config.insert4 = row->insert;
        test_ip ip = test_between("10.1.0.1", "10.2.0.1");
        ip.frag = row->frag;
        test_syn_packet(&frame, &ip, row->flags, row->options, row->len);
        tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 4);
        tunnelcap_mss_clamp(&config, &pkt, NULL, 0, 1);
        test_pkt_free(&pkt);
        return pkt.status;
    }
    ck_abort_msg("no row for %s", tunnelcap_status_name(want));
}

static int32_t from_encap(int32_t want)
{
    tunnelcap_gre_config config = test_gre_config("192.0.2.1", "198.51.100.1", 0);
    tunnelcap_gre *gre = test_gre_new(&config);
    tunnelcap_lane *lane = test_lane();
    test_ip ip = test_between("10.1.0.1", "10.2.0.1");
    test_udp_packet(&frame, &ip, want == TUNNELCAP_E_TOO_BIG ? 65500 : 10);
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, want == TUNNELCAP_E_HEADROOM ? 23 : 24);
    if (want == TUNNELCAP_E_INVALID)
        pkt.len++;
    int32_t status = test_gre_encap(gre, lane, &pkt, NULL);
    test_pkt_free(&pkt);
    tunnelcap_lane_free(lane);
    tunnelcap_gre_free(gre);
    return status;
}

/* An IPv6 packet that may enter no more tunnels. */
static int32_t from_limit(int32_t want)
{
    static const uint8_t option[6] = {4, 1, 0, 1, 1, 0};
    tunnelcap_gre_config config = test_gre_config("2001:db8::1", "2001:db8::2", 0);
    tunnelcap_gre *gre = test_gre_new(&config);
    tunnelcap_lane *lane = test_lane();
    test_ip ip = test_between("fd00:1::1", "fd00:2::1");
    (void)want;
    test_payload(&frame, 10);
    test_push_ext(&frame, 59, option, sizeof(option));
    test_push_ip(&frame, &ip, 60);
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 64);
    int32_t status = test_gre_encap(gre, lane, &pkt, NULL);
    test_pkt_free(&pkt);
    tunnelcap_lane_free(lane);
    tunnelcap_gre_free(gre);
    return status;
}

static int32_t from_config(int32_t want)
{
    tunnelcap_gre_config config = test_gre_config("192.0.2.1", "198.51.100.1", 0);
    tunnelcap_gre *gre = NULL;
    switch (want) {
    case TUNNELCAP_E_VERSION:
        config.size = 4;
        break;
    case TUNNELCAP_E_NOMEM:
        test_alloc_refuse_after(0);
        break;
    case TUNNELCAP_E_FLAGS:
        config.flags = UINT32_MAX;
        break;
    case TUNNELCAP_E_MODE:
        config.outer.ecn_mode = 9;
        break;
    case TUNNELCAP_E_ADDRESS:
        config.outer.local = config.outer.remote;
        break;
    case TUNNELCAP_E_PORT:
        config.flags = TUNNELCAP_GRE_UDP;
        config.udp_port = 0;
        break;
    case TUNNELCAP_E_RANGE:
        config.outer.dscp = 99;
        break;
    default:
        config.reserved[0] = 1;
    }
    return tunnelcap_gre_new(&config, test_alloc(), &gre);
}

/* The writer's statuses, on a table of one tunnel and one lane. */
static int32_t from_table(int32_t want)
{
    tunnelcap_table *table = test_table_new(1, 1, 1);
    tunnelcap_lane *lane = test_table_lane(table);
    tunnelcap_gre_config gre = test_gre_config("192.0.2.1", "198.51.100.1", 0);
    int32_t status;
    switch (want) {
    case TUNNELCAP_E_STATE:
        status = tunnelcap_table_commit(table, NULL);
        break;
    case TUNNELCAP_E_BUSY:
        /* As if the lane were in a burst that began before the last change. */
        TUNNELCAP_I_STORE(table->seats[0].seen, tunnelcap_table_settled(table));
        ck_assert_status(tunnelcap_table_begin(table), TUNNELCAP_OK);
        ck_assert_status(tunnelcap_table_commit(table, NULL), TUNNELCAP_OK);
        status = tunnelcap_table_begin(table);
        break;
    case TUNNELCAP_E_NOT_FOUND:
        ck_assert_status(tunnelcap_table_begin(table), TUNNELCAP_OK);
        status = tunnelcap_table_remove(table, 1);
        break;
    default:
        ck_assert_status(tunnelcap_table_begin(table), TUNNELCAP_OK);
        ck_assert_status(tunnelcap_table_set_gre(table, 1, NULL, &gre), TUNNELCAP_OK);
        gre.outer.remote.bytes[3] = 9;
        status = tunnelcap_table_set_gre(table, 2, NULL, &gre);
    }
    test_table_end(table, lane);
    return status;
}

static int32_t from_exists(int32_t want)
{
    (void)want;
    tunnelcap_table *table = test_table_new(2, 1, 1);
    tunnelcap_gre_config gre = test_gre_config("192.0.2.1", "198.51.100.1", 0);
    ck_assert_status(tunnelcap_table_begin(table), TUNNELCAP_OK);
    ck_assert_status(tunnelcap_table_set_gre(table, 1, NULL, &gre), TUNNELCAP_OK);
    int32_t status = tunnelcap_table_set_gre(table, 2, NULL, &gre);
    tunnelcap_table_free(table);
    return status;
}

/* The statuses that only the table's data path gives. */
static int32_t from_lane(int32_t want)
{
    tunnelcap_table *table = test_table_new(1, 1, 1);
    tunnelcap_lane *lane = test_table_lane(table);
    tunnelcap_gre_config gre = test_gre_config("192.0.2.1", "198.51.100.1", 0);
    ck_assert_status(tunnelcap_table_begin(table), TUNNELCAP_OK);
    tunnelcap_tunnel tunnel;
    tunnelcap_route route = test_route("0.0.0.0/0", 1);
    test_ok(tunnelcap_tunnel_init(&tunnel, sizeof(tunnel)));
    tunnel.flags |= TUNNELCAP_TUNNEL_TTL_ENCAP;
    ck_assert_status(tunnelcap_table_set_gre(table, 1, &tunnel, &gre), TUNNELCAP_OK);
    if (want == TUNNELCAP_E_TTL)
        test_ok(tunnelcap_table_set_route(table, &route));
    ck_assert_status(tunnelcap_table_commit(table, NULL), TUNNELCAP_OK);
    test_ip inner = test_between("10.1.0.1", "198.51.100.1");
    inner.ttl = 1;
    test_ip outer = test_between("198.51.100.1", "192.0.2.1");
    test_gre header = {.protocol = 0x0800};
    test_udp_packet(&frame, &inner, 10);
    if (want == TUNNELCAP_E_LOOP) {
        test_push_gre(&frame, &header);
        test_push_ip(&frame, &outer, 47);
    }
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 40);
    tunnelcap_result result;
    int32_t status = test_table_one(
        lane, want == TUNNELCAP_E_LOOP ? TUNNELCAP_DECAP : TUNNELCAP_ENCAP, &pkt, NULL, &result);
    test_pkt_free(&pkt);
    test_table_end(table, lane);
    return status;
}

/* What comes out of a tunnel that checks addresses, and has no routes. */
static int32_t from_inbound(int32_t want)
{
    tunnelcap_table *table = test_table_new(1, 1, 1);
    tunnelcap_lane *lane = test_table_lane(table);
    tunnelcap_gre_config gre = test_gre_config("192.0.2.1", "198.51.100.1", 0);
    test_ip inner =
        test_between(want == TUNNELCAP_E_MARTIAN ? "127.0.0.1" : "10.1.0.1", "203.0.113.1");
    test_ip outer = test_between("198.51.100.1", "192.0.2.1");
    test_gre header = {.protocol = 0x0800};
    tunnelcap_tunnel tunnel;
    tunnelcap_result result;
    test_ok(tunnelcap_tunnel_init(&tunnel, sizeof(tunnel)));
    tunnel.flags |= TUNNELCAP_TUNNEL_ANTI_SPOOF | TUNNELCAP_TUNNEL_MARTIANS;
    test_ok(tunnelcap_table_begin(table));
    test_ok(tunnelcap_table_set_gre(table, 1, &tunnel, &gre));
    test_ok(tunnelcap_table_commit(table, NULL));
    test_udp_packet(&frame, &inner, 10);
    test_push_gre(&frame, &header);
    test_push_ip(&frame, &outer, 47);
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 0);
    int32_t status = test_table_one(lane, TUNNELCAP_DECAP, &pkt, NULL, &result);
    test_pkt_free(&pkt);
    test_table_end(table, lane);
    return status;
}

/* A seal() that makes the padding longer than the text before it is authenticated. */
static void (*toy_seal)(void *, void *, tunnelcap_crypto_op *const *, uint32_t);

static void seal_bad_padding(void *self, void *lane, tunnelcap_crypto_op *const *ops, uint32_t n)
{
    ops[0]->text[ops[0]->text_len - 2] = 255;
    toy_seal(self, lane, ops, n);
}

/* What decapsulation of ESP says. */
static int32_t from_esp_in(int32_t want)
{
    tunnelcap_transform transform = test_gcm();
    test_ip inner = test_between("10.1.0.1", "10.2.0.1");
    tunnelcap_pkt pkt;
    test_pair pair;
    test_pair_open(&pair, &transform, TUNNELCAP_ESP_UDP, TUNNELCAP_ESP_TUNNEL);
    test_udp_packet(&frame, &inner, 20);
    toy_seal = pair.toy.crypto.seal;
    if (want == TUNNELCAP_E_PADDING)
        pair.toy.crypto.seal = seal_bad_padding;
    if (want == TUNNELCAP_E_DUMMY || want == TUNNELCAP_E_NAT_KEEPALIVE) {
        pkt = test_esp_pkt(&frame);
        if (want == TUNNELCAP_E_DUMMY)
            tunnelcap_esp_encap_dummy(pair.out, pair.lane, &pkt, 1);
        else
            tunnelcap_esp_keepalive(pair.out, &pkt);
    } else {
        pkt = test_sealed(&pair, &frame);
    }
    uint8_t *esp = pkt.buf + pkt.off + 28;
    tunnelcap_selector selector;
    test_ok(tunnelcap_selector_init(&selector, TUNNELCAP_IPV6));
    if (want == TUNNELCAP_E_SELECTOR)
        test_ok(tunnelcap_esp_set_selectors(pair.in, &selector, 1));
    if (want == TUNNELCAP_E_AUTH)
        esp[20] ^= 1;
    if (want == TUNNELCAP_E_IKE)
        memset(esp, 0, 4);
    if (want == TUNNELCAP_E_REPLAY)
        ck_assert_status(test_arrives(&pair, &pkt), TUNNELCAP_OK);
    int32_t status = test_arrives(&pair, &pkt);
    test_pkt_free(&pkt);
    test_pair_close(&pair);
    return status;
}

/* What encapsulation into ESP says: of the second packet. */
static int32_t from_esp_out(int32_t want)
{
    tunnelcap_transform transform = test_gcm();
    test_ip inner = test_between("10.1.0.1", "10.2.0.1");
    tunnelcap_esp_config out = test_esp_config(TUNNELCAP_ESP_OUT, "192.0.2.1", "198.51.100.1");
    tunnelcap_esp_config in = test_esp_config(TUNNELCAP_ESP_IN, "192.0.2.1", "198.51.100.1");
    int32_t status = TUNNELCAP_OK;
    test_pair pair;
    out.soft_packets = want == TUNNELCAP_REKEY_SOON ? 1 : 0;
    out.hard_packets = want == TUNNELCAP_E_EXPIRED ? 1 : 0;
    if (want == TUNNELCAP_E_SEQ_EXHAUSTED)
        out.seq_start = UINT32_MAX;
    test_pair_make(&pair, &transform, &out, &in);
    test_udp_packet(&frame, &inner, 20);
    for (unsigned i = 0; i < 2; i++) {
        tunnelcap_pkt pkt = want == TUNNELCAP_E_TAILROOM && i == 1
                                ? test_pkt_room(frame.bytes, frame.len, 64, 1)
                                : test_esp_pkt(&frame);
        if (want == TUNNELCAP_E_CRYPTO && i == 1)
            pair.toy.seal_left = 0;
        status = test_esp_encap(pair.out, pair.lane, &pkt, NULL);
        test_pkt_free(&pkt);
    }
    test_pair_close(&pair);
    return status;
}

/* What is said of an SA before there is one. */
static int32_t from_esp_config(int32_t want)
{
    tunnelcap_transform transform = test_gcm();
    tunnelcap_esp_config out = test_esp_config(TUNNELCAP_ESP_OUT, "192.0.2.1", "198.51.100.1");
    tunnelcap_esp *esp = NULL;
    test_toy toy;
    if (want == TUNNELCAP_E_WEAK)
        transform.encr = TUNNELCAP_ENCR_AES_GMAC;
    if (want == TUNNELCAP_E_KEY)
        transform.encr_key_len = 17;
    if (want == TUNNELCAP_E_TRANSFORM)
        transform.integ = TUNNELCAP_INTEG_HMAC_SHA1_96;
    if (want == TUNNELCAP_E_NO_NONCE)
        out.nonce_origin = TUNNELCAP_NONCE_UNSET;
    return tunnelcap_esp_new(&out, &transform, test_toy_init(&toy), test_alloc(), &esp);
}

/* What fragments are answered: two of one datagram, and more than those where need be. */
static int32_t from_reassembly(int32_t want)
{
    tunnelcap_reassembly *r = frag_new(1, 4096, 100);
    int32_t status;
    frag_udp4(&whole, "192.0.2.1", 1, 8000);
    if (want == TUNNELCAP_WHOLE) {
        status = frag_add(r, whole.frame.bytes, whole.frame.len, NULL, 0);
    } else {
        if (want == TUNNELCAP_E_TINY_FRAGMENT)
            whole.frame.bytes[9] = 6;
        status = frag_send(r, &whole, 0, 16, true, 0);
    }
    if (want == TUNNELCAP_E_OVERLAP)
        status = frag_send(r, &whole, 8, 16, true, 0);
    tunnelcap_reassembly_free(r);
    return status;
}

/* A table that knows no SA. */
static int32_t from_need_sa(int32_t want)
{
    (void)want;
    tunnelcap_table *table = test_table_new(1, 1, 1);
    tunnelcap_lane *lane = test_table_lane(table);
    test_ip outer = test_between("198.51.100.1", "192.0.2.1");
    tunnelcap_result result;
    test_payload(&frame, 60);
    test_push_ip(&frame, &outer, 50);
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 0);
    int32_t status = test_table_one(lane, TUNNELCAP_DECAP, &pkt, NULL, &result);
    test_pkt_free(&pkt);
    test_table_end(table, lane);
    return status;
}

/* A probe of another server. */
static int32_t from_answer(int32_t want)
{
    (void)want;
    tunnelcap_event event = {.kind = TUNNELCAP_EVENT_PROBE, .server = 2};
    tunnelcap_table *table = test_table_new(1, 1, 1);
    test_ok(tunnelcap_table_set_prober(table, 1, test_seed));
    int32_t status = tunnelcap_table_answer(table, &event, 0);
    tunnelcap_table_free(table);
    return status;
}

/* A tunnel whose only probe is not answered. */
static int32_t from_health(int32_t want)
{
    (void)want;
    tunnelcap_health_config config;
    tunnelcap_health *health = NULL;
    tunnelcap_health_due due;
    test_ok(tunnelcap_health_config_init(&config, sizeof(config)));
    config.down_samples = 1;
    test_ok(tunnelcap_health_new(&config, test_alloc(), &health));
    test_ok(tunnelcap_health_tick(health, 0, &due));
    int32_t status = tunnelcap_health_tick(health, due.next_ns, &due);
    tunnelcap_health_free(health);
    return status;
}

/* A path MTU of 1500 that is told of a larger one. */
static int32_t from_pmtu(int32_t want)
{
    (void)want;
    tunnelcap_pmtu_config config;
    tunnelcap_pmtu *pmtu = NULL;
    test_ok(tunnelcap_pmtu_config_init(&config, sizeof(config)));
    test_ok(tunnelcap_pmtu_new(&config, NULL, test_alloc(), &pmtu));
    int32_t status = tunnelcap_pmtu_learn(pmtu, 1501, 0);
    tunnelcap_pmtu_free(pmtu);
    return status;
}

/* A UDP packet to a group, which is not answered; or one too many. */
static int32_t from_icmp(int32_t want)
{
    test_ip ip = test_between("10.0.0.1", want == TUNNELCAP_E_NO_ANSWER ? "224.0.0.1" : "10.0.0.2");
    tunnelcap_icmp_error error;
    tunnelcap_icmp_limit limit;
    test_udp_packet(&frame, &ip, 8);
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, TUNNELCAP_ICMP_HEADROOM4);
    test_ok(tunnelcap_icmp_limit_init(&limit, 1, 1));
    test_ok(tunnelcap_icmp_error_init(&error, sizeof(error)));
    error.kind = TUNNELCAP_ICMP_UNREACHABLE;
    error.src4 = test_addr("192.0.2.1");
    if (want == TUNNELCAP_E_RATE_LIMITED)
        test_ok(tunnelcap_icmp_limit_take(&limit, 0));
    int32_t status = tunnelcap_icmp_error_build(&pkt, NULL, &error, &limit, 0);
    test_pkt_free(&pkt);
    return status;
}

static const struct {
    int32_t status;
    int32_t (*produce)(int32_t want);
} vectors[] = {
    {TUNNELCAP_OK, from_decap},
    {TUNNELCAP_KEEPALIVE, from_keepalive},
    {TUNNELCAP_MSS_CLAMPED, from_mss},
    {TUNNELCAP_MSS_INSERTED, from_mss},
    {TUNNELCAP_MSS_SMALL, from_mss},
    {TUNNELCAP_MSS_ABSENT, from_mss},
    {TUNNELCAP_MSS_PROTECTED, from_mss},
    {TUNNELCAP_MSS_NO_ROOM, from_mss},
    {TUNNELCAP_NOT_SYN, from_mss},
    {TUNNELCAP_FRAGMENT, from_mss},
    {TUNNELCAP_REKEY_SOON, from_esp_out},
    {TUNNELCAP_KEPT, from_reassembly},
    {TUNNELCAP_WHOLE, from_reassembly},
    {TUNNELCAP_E_OVERLAP, from_reassembly},
    {TUNNELCAP_E_TINY_FRAGMENT, from_reassembly},
    {TUNNELCAP_CHANGED, from_health},
    {TUNNELCAP_E_TRUNCATED, from_decap},
    {TUNNELCAP_E_MALFORMED, from_decap},
    {TUNNELCAP_E_CHECKSUM, from_decap},
    {TUNNELCAP_E_NO_CHECKSUM, from_decap},
    {TUNNELCAP_E_AUTH, from_esp_in},
    {TUNNELCAP_E_PROTOCOL, from_decap},
    {TUNNELCAP_E_NO_TUNNEL, from_decap},
    {TUNNELCAP_E_GRE_VERSION, from_decap},
    {TUNNELCAP_E_GRE_FLAGS, from_decap},
    {TUNNELCAP_E_SEQUENCE, from_sequence},
    {TUNNELCAP_E_FRAGMENT, from_decap},
    {TUNNELCAP_E_ECN, from_decap},
    {TUNNELCAP_E_LOOP, from_lane},
    {TUNNELCAP_E_PADDING, from_esp_in},
    {TUNNELCAP_E_NO_ROUTE, from_lane},
    {TUNNELCAP_E_REPLAY, from_esp_in},
    {TUNNELCAP_E_DUMMY, from_esp_in},
    {TUNNELCAP_E_IKE, from_esp_in},
    {TUNNELCAP_E_NAT_KEEPALIVE, from_esp_in},
    {TUNNELCAP_E_NO_ANSWER, from_icmp},
    {TUNNELCAP_E_RATE_LIMITED, from_icmp},
    {TUNNELCAP_E_ICMP, from_pmtu},
    {TUNNELCAP_E_ENCAP_LIMIT, from_limit},
    {TUNNELCAP_E_TTL, from_lane},
    {TUNNELCAP_E_SPOOFED, from_inbound},
    {TUNNELCAP_E_MARTIAN, from_inbound},
    {TUNNELCAP_E_SELECTOR, from_esp_in},
    {TUNNELCAP_E_HEADROOM, from_encap},
    {TUNNELCAP_E_TAILROOM, from_esp_out},
    {TUNNELCAP_E_TOO_BIG, from_encap},
    {TUNNELCAP_E_FULL, from_table},
    {TUNNELCAP_E_SEQ_EXHAUSTED, from_esp_out},
    {TUNNELCAP_E_EXPIRED, from_esp_out},
    {TUNNELCAP_E_NEED_SA, from_need_sa},
    {TUNNELCAP_E_NOT_OWNER, from_answer},
    {TUNNELCAP_E_INVALID, from_encap},
    {TUNNELCAP_E_VERSION, from_config},
    {TUNNELCAP_E_UNSUPPORTED, NULL}, /* only in a freestanding build: freestanding.c */
    {TUNNELCAP_E_NOMEM, from_config},
    {TUNNELCAP_E_EXISTS, from_exists},
    {TUNNELCAP_E_NOT_FOUND, from_table},
    {TUNNELCAP_E_STATE, from_table},
    {TUNNELCAP_E_FLAGS, from_config},
    {TUNNELCAP_E_MODE, from_config},
    {TUNNELCAP_E_ADDRESS, from_config},
    {TUNNELCAP_E_PORT, from_config},
    {TUNNELCAP_E_RANGE, from_config},
    {TUNNELCAP_E_RESERVED, from_config},
    {TUNNELCAP_E_BUSY, from_table},
    {TUNNELCAP_E_WEAK, from_esp_config},
    {TUNNELCAP_E_KEY, from_esp_config},
    {TUNNELCAP_E_TRANSFORM, from_esp_config},
    {TUNNELCAP_E_NO_NONCE, from_esp_config},
    {TUNNELCAP_E_CRYPTO, from_esp_out},
};

START_TEST(every_status_is_the_answer_of_some_call)
{
    int32_t status;
    for (uint32_t i = 0; tunnelcap_status_at(i, &status) == TUNNELCAP_OK; i++) {
        size_t row = 0;
        while (row < TEST_COUNT(vectors) && vectors[row].status != status)
            row++;
        ck_assert_msg(row < TEST_COUNT(vectors), "nothing gives %s", tunnelcap_status_name(status));
        if (vectors[row].produce != NULL)
            ck_assert_status(vectors[row].produce(status), status);
        test_alloc_refuse_after(UINT32_MAX);
    }
}
END_TEST

Suite *test_status_suite(void)
{
    const TTest *tests[] = {
        statuses_are_listed_once_with_name_text_and_class,
        numbers_that_are_no_status_are_unknown,
        names_are_the_identifiers_without_prefix,
        every_status_is_the_answer_of_some_call,
    };
    return test_suite("status", tests, TEST_COUNT(tests));
}
