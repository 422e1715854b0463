/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* GRE encapsulation and the way there and back. */
#include "support.h"

#define A4 "192.0.2.1"
#define B4 "198.51.100.1"
#define A6 "2001:db8:a::1"
#define B6 "2001:db8:b::1"

static test_frame frame;

enum { KEY_A = 0x01020304, KEY_B = 0xfffefdfc };

/* The two ends of one tunnel. */
typedef struct ends {
    tunnelcap_gre *a;
    tunnelcap_gre *b;
    tunnelcap_lane *lane;
} ends;

enum { USE_SIX = 1, USE_KEY = 2, USE_CHECKSUM = 4, USE_SEQUENCE = 8, USE_UDP = 16, USE_LIMIT = 32 };

static tunnelcap_gre_config config_of(unsigned use)
{
    uint32_t flags = (use & USE_KEY ? TUNNELCAP_GRE_KEY_IN | TUNNELCAP_GRE_KEY_OUT : 0u) |
                     (use & USE_CHECKSUM ? TUNNELCAP_GRE_CHECKSUM : 0u) |
                     (use & USE_SEQUENCE ? TUNNELCAP_GRE_SEQUENCE | TUNNELCAP_GRE_IN_ORDER : 0u) |
                     (use & USE_UDP ? TUNNELCAP_GRE_UDP : 0u);
    tunnelcap_gre_config config =
        use & USE_SIX ? test_gre_config(A6, B6, flags) : test_gre_config(A4, B4, flags);
    config.key_in = KEY_B;
    config.key_out = KEY_A;
    if (use & USE_LIMIT) {
        config.outer.encap_limit_mode = 1;
        config.outer.encap_limit = 4;
    }
    return config;
}

static tunnelcap_gre_config turned(tunnelcap_gre_config config)
{
    tunnelcap_addr addr = config.outer.local;
    config.outer.local = config.outer.remote;
    config.outer.remote = addr;
    uint32_t key = config.key_in;
    config.key_in = config.key_out;
    config.key_out = key;
    return config;
}

static ends open_ends(const tunnelcap_gre_config *config)
{
    tunnelcap_gre_config other = turned(*config);
    ends pair = {test_gre_new(config), test_gre_new(&other), test_lane()};
    return pair;
}

static void close_ends(ends *pair)
{
    tunnelcap_gre_free(pair->a);
    tunnelcap_gre_free(pair->b);
    tunnelcap_lane_free(pair->lane);
}

static void check_wire(const tunnelcap_gre_config *config, unsigned use, const tunnelcap_pkt *pkt,
                       uint16_t protocol, uint32_t seq)
{
    test_view view = test_dissect(pkt->buf + pkt->off, pkt->len);
    ck_assert_mem_eq(view.ip.src.bytes, config->outer.local.bytes, 16);
    ck_assert_mem_eq(view.ip.dst.bytes, config->outer.remote.bytes, 16);
    ck_assert_uint_eq(view.family, use & USE_SIX ? 6 : 4);
    ck_assert_uint_eq(view.ip.ttl, 64);
    ck_assert_uint_eq(view.protocol, use & USE_UDP ? 17 : 47);
    ck_assert_uint_eq(view.encap_limit, (use & USE_LIMIT) != 0);
    ck_assert_uint_eq(view.limit, use & USE_LIMIT ? 4 : 0);
    ck_assert_uint_eq(view.gre.flags, (use & USE_CHECKSUM ? TEST_GRE_C : 0) |
                                          (use & USE_KEY ? TEST_GRE_K : 0) |
                                          (use & USE_SEQUENCE ? TEST_GRE_S : 0));
    ck_assert_uint_eq(view.gre.protocol, protocol);
    if (use & USE_KEY)
        ck_assert_uint_eq(view.gre.key, KEY_A);
    if (use & USE_SEQUENCE)
        ck_assert_uint_eq(view.gre.seq, seq);
    if (use & USE_UDP) {
        ck_assert_uint_ge(view.src_port, 49152);
        ck_assert_uint_eq(view.dst_port, 4754);
        ck_assert_uint_ne(view.udp_checksum, 0);
    }
}

/* Carry the frame from a to b and compare. */
static void carry(ends *pair, const tunnelcap_gre_config *config, unsigned use, uint16_t protocol,
                  const tunnelcap_meta *meta, uint32_t seq)
{
    uint32_t headroom = tunnelcap_gre_headroom(pair->a);
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, headroom);
    ck_assert_status(test_gre_encap(pair->a, pair->lane, &pkt, meta), TUNNELCAP_OK);
    ck_assert_uint_eq(pkt.off, 0);
    ck_assert_uint_eq(pkt.len, tunnelcap_gre_encap_len(pair->a, frame.len));
    if (!(use & USE_SEQUENCE) && meta == NULL) { /* a meta that says nothing changes nothing */
        static const tunnelcap_meta nothing = {0};
        tunnelcap_pkt twin = test_pkt(frame.bytes, frame.len, headroom);
        ck_assert_status(test_gre_encap(pair->a, pair->lane, &twin, &nothing), TUNNELCAP_OK);
        ck_assert_uint_eq(twin.len, pkt.len);
        ck_assert_mem_eq(twin.buf, pkt.buf, pkt.len);
        test_pkt_free(&twin);
    }
    check_wire(config, use, &pkt, protocol, seq);

    tunnelcap_gre_rx rx;
    memset(&rx, 0xff, sizeof(rx));
    ck_assert_status(test_gre_decap(pair->b, &pkt, NULL, &rx), TUNNELCAP_OK);
    ck_assert_uint_eq(pkt.off, headroom);
    ck_assert_uint_eq(pkt.len, frame.len);
    ck_assert_uint_eq(pkt.cap, headroom + frame.len);
    if (frame.len != 0)
        ck_assert_mem_eq(pkt.buf + pkt.off, frame.bytes, frame.len);
    ck_assert_uint_eq(rx.protocol, protocol);
    ck_assert_uint_eq(rx.reserved, 0);
    ck_assert_uint_eq(rx.flags, (use & USE_KEY ? TUNNELCAP_GRE_RX_KEY : 0) |
                                    (use & USE_SEQUENCE ? TUNNELCAP_GRE_RX_SEQUENCE : 0) |
                                    (use & USE_CHECKSUM ? TUNNELCAP_GRE_RX_CHECKSUM : 0));
    if (use & USE_KEY)
        ck_assert_uint_eq(rx.key, KEY_A);
    if (use & USE_SEQUENCE)
        ck_assert_uint_eq(rx.seq, seq);
    test_pkt_free(&pkt);
}

typedef struct refusal {
    int32_t want;
    uint32_t headroom;
    const tunnelcap_meta *meta;
} refusal;

static void refuse_encap(ends *pair, const refusal *r)
{
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, r->headroom);
    test_snapshot snap = test_snap(&pkt);
    ck_assert_status(test_gre_encap(pair->a, pair->lane, &pkt, r->meta), r->want);
    test_unchanged(&snap, &pkt);
    test_pkt_free(&pkt);
}

START_TEST(every_header_layout_carries_every_size)
{
    for (unsigned use = 0; use < 64; use++) {
        if ((use & USE_LIMIT) && !(use & USE_SIX))
            continue;
        tunnelcap_gre_config config = config_of(use);
        ends pair = open_ends(&config);
        uint32_t seq = 0;
        test_ip four = test_between("10.1.0.1", "10.2.0.1");
        test_ip six = test_between("fd00:1::1", "fd00:2::1");
        tunnelcap_meta opaque = {.ethertype = 0x88b5};
        for (uint32_t size = 0; size <= 1460; size += size < 70 ? 1 : 139) {
            test_udp_packet(&frame, &four, size);
            carry(&pair, &config, use, TUNNELCAP_ETHERTYPE_IPV4, NULL, seq++);
            test_udp_packet(&frame, &six, size);
            carry(&pair, &config, use, TUNNELCAP_ETHERTYPE_IPV6, NULL, seq++);
            test_payload(&frame, size);
            carry(&pair, &config, use, 0x88b5, &opaque, seq++);
        }
        close_ends(&pair);
    }
}
END_TEST

START_TEST(largest_packet_goes_and_one_more_byte_is_too_big)
{
    for (unsigned use = 0; use <= USE_SIX; use++) {
        tunnelcap_gre_config config = config_of(use | USE_SEQUENCE | USE_CHECKSUM);
        ends pair = open_ends(&config);
        uint32_t most = tunnelcap_gre_inner_mtu(pair.a, UINT32_MAX);
        tunnelcap_meta opaque = {.ethertype = 0x88b5};
        test_payload(&frame, most);
        carry(&pair, &config, use | USE_SEQUENCE | USE_CHECKSUM, 0x88b5, &opaque, 0);
        test_payload(&frame, most + 1);
        tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 100);
        test_snapshot snap = test_snap(&pkt);
        ck_assert_status(test_gre_encap(pair.a, pair.lane, &pkt, &opaque), TUNNELCAP_E_TOO_BIG);
        test_unchanged(&snap, &pkt);
        test_pkt_free(&pkt);
        close_ends(&pair);
    }
}
END_TEST

START_TEST(payload_protocols_go_by_meta_then_config_then_version)
{
    tunnelcap_gre_config config = config_of(0);
    config.protocol = TUNNELCAP_ETHERTYPE_MPLS;
    ends pair = open_ends(&config);
    test_payload(&frame, 40);
    carry(&pair, &config, 0, TUNNELCAP_ETHERTYPE_MPLS, NULL, 0);
    static const uint16_t types[] = {TUNNELCAP_ETHERTYPE_MPLS_MC, 0x22eb, 0x88be, 0x880b, 0xffff};
    for (size_t i = 0; i < TEST_COUNT(types); i++) {
        tunnelcap_meta meta = {.ethertype = types[i]};
        carry(&pair, &config, 0, types[i], &meta, 0);
    }
    test_ip ip = test_between("10.1.0.1", "10.2.0.1");
    test_udp_packet(&frame, &ip, 9);
    tunnelcap_meta four = {.ethertype = TUNNELCAP_ETHERTYPE_IPV4};
    carry(&pair, &config, 0, TUNNELCAP_ETHERTYPE_IPV4, &four, 0);
    tunnelcap_meta six = {.ethertype = TUNNELCAP_ETHERTYPE_IPV6};
    refuse_encap(&pair, &(refusal){TUNNELCAP_E_MALFORMED, 24, &six});
    ip = test_between("fd00:1::1", "fd00:2::1");
    test_udp_packet(&frame, &ip, 9);
    carry(&pair, &config, 0, TUNNELCAP_ETHERTYPE_IPV6, &six, 0);
    refuse_encap(&pair, &(refusal){TUNNELCAP_E_MALFORMED, 24, &four});
    close_ends(&pair);
}
END_TEST

START_TEST(ethernet_frames_travel_whole)
{
    tunnelcap_gre_config config = config_of(USE_KEY);
    config.protocol = TUNNELCAP_ETHERTYPE_ETHERNET;
    ends pair = open_ends(&config);
    test_ip ip = test_between("10.1.0.1", "10.2.0.1");
    static const uint8_t header[14] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00};
    static const uint8_t padding[18] = {0};
    test_udp_packet(&frame, &ip, 0);
    memcpy(frame.bytes + frame.len, padding, sizeof(padding));
    frame.len += sizeof(padding); /* the frame's padding belongs to the frame */
    test_push(&frame, header, sizeof(header));
    carry(&pair, &config, USE_KEY, TUNNELCAP_ETHERTYPE_ETHERNET, NULL, 0);
    for (uint32_t size = 0; size < 20; size++) {
        test_ethernet_frame(&frame, size);
        carry(&pair, &config, USE_KEY, TUNNELCAP_ETHERTYPE_ETHERNET, NULL, 0);
        test_payload(&frame, size);
        carry(&pair, &config, USE_KEY, TUNNELCAP_ETHERTYPE_ETHERNET, NULL, 0);
        test_payload(&frame, size); /* an IPv4 packet, says the frame, and is none */
        test_push(&frame, header, sizeof(header));
        carry(&pair, &config, USE_KEY, TUNNELCAP_ETHERTYPE_ETHERNET, NULL, 0);
    }
    close_ends(&pair);
}
END_TEST

START_TEST(padding_behind_an_inner_packet_is_left_behind)
{
    tunnelcap_gre_config config = config_of(0);
    ends pair = open_ends(&config);
    test_ip ip = test_between("10.1.0.1", "10.2.0.1");
    test_udp_packet(&frame, &ip, 3);
    uint32_t len = frame.len;
    tunnelcap_pkt pkt = test_pkt(frame.bytes, len + 15, 24);
    ck_assert_status(test_gre_encap(pair.a, pair.lane, &pkt, NULL), TUNNELCAP_OK);
    ck_assert_uint_eq(pkt.len, len + 24);
    check_wire(&config, 0, &pkt, TUNNELCAP_ETHERTYPE_IPV4, 0);
    test_pkt_free(&pkt);
    close_ends(&pair);
}
END_TEST

/* ---- refusals ---- */

START_TEST(refused_packets_are_unchanged_and_spend_no_sequence_number)
{
    for (unsigned use = 0; use < 64; use++) {
        if ((use & USE_LIMIT) && !(use & USE_SIX))
            continue;
        tunnelcap_gre_config config = config_of(use | USE_SEQUENCE);
        ends pair = open_ends(&config);
        uint32_t room = tunnelcap_gre_headroom(pair.a);
        test_ip ip = test_between("10.1.0.1", "10.2.0.1");
        tunnelcap_meta gso = {.gso_type = 1, .gso_size = 1400};
        test_udp_packet(&frame, &ip, 100);
        for (uint32_t headroom = 0; headroom < room; headroom++)
            refuse_encap(&pair, &(refusal){TUNNELCAP_E_HEADROOM, headroom, NULL});
        refuse_encap(&pair, &(refusal){TUNNELCAP_E_TOO_BIG, room, &gso});
        frame.len--;
        refuse_encap(&pair, &(refusal){TUNNELCAP_E_TRUNCATED, room, NULL});
        frame.len = 0;
        refuse_encap(&pair, &(refusal){TUNNELCAP_E_TRUNCATED, room, NULL});
        test_udp_packet(&frame, &ip, 100);
        frame.bytes[0] = 0x55;
        refuse_encap(&pair, &(refusal){TUNNELCAP_E_MALFORMED, room, NULL});
        frame.bytes[0] = 0x44;
        refuse_encap(&pair, &(refusal){TUNNELCAP_E_MALFORMED, room, NULL});
        frame.bytes[0] = 0x45;
        carry(&pair, &config, use | USE_SEQUENCE, TUNNELCAP_ETHERTYPE_IPV4, NULL, 0);
        close_ends(&pair);
    }
}
END_TEST

static int32_t feed_encap(void *arg, tunnelcap_pkt *pkt)
{
    ends *pair = arg;
    /* No headroom: but for a broken header this is refused, so nothing is ever changed. */
    return test_gre_encap(pair->a, pair->lane, pkt, NULL);
}

START_TEST(encap_refuses_every_cut_inner_packet)
{
    tunnelcap_gre_config config = config_of(0);
    ends pair = open_ends(&config);
    test_ip four = test_between("10.1.0.1", "10.2.0.1");
    test_ip six = test_between("fd00:1::1", "fd00:2::1");
    test_udp_packet(&frame, &four, 33);
    test_truncation(frame.bytes, frame.len, TUNNELCAP_E_TRUNCATED, feed_encap, &pair);
    test_udp_packet(&frame, &six, 33);
    test_truncation(frame.bytes, frame.len, TUNNELCAP_E_TRUNCATED, feed_encap, &pair);
    close_ends(&pair);
}
END_TEST

START_TEST(encap_survives_every_flipped_bit)
{
    static const char *const routes[][2] = {{"10.1.0.1", "10.2.0.1"}, {"fd00:1::1", "fd00:2::1"}};
    for (unsigned use = 0; use < 32; use++) {
        tunnelcap_gre_config config = config_of(use);
        ends pair = open_ends(&config);
        for (size_t i = 0; i < TEST_COUNT(routes); i++) {
            test_ip ip = test_between(routes[i][0], routes[i][1]);
            test_udp_packet(&frame, &ip, 5);
            uint32_t accepted = test_flips(frame.bytes, frame.len, tunnelcap_gre_headroom(pair.a),
                                           feed_encap, &pair);
            ck_assert_uint_gt(accepted, 0);
        }
        close_ends(&pair);
    }
}
END_TEST

START_TEST(window_outside_its_buffer_is_invalid)
{
    tunnelcap_gre_config config = config_of(0);
    ends pair = open_ends(&config);
    test_ip ip = test_between("10.1.0.1", "10.2.0.1");
    test_udp_packet(&frame, &ip, 10);
    tunnelcap_pkt good = test_pkt(frame.bytes, frame.len, 24);
    tunnelcap_pkt bad[5];
    for (size_t i = 0; i < TEST_COUNT(bad); i++)
        bad[i] = good;
    bad[0].len++;
    bad[1].off = good.cap + 1;
    bad[2].off = UINT32_MAX;
    bad[3].len = UINT32_MAX - 10;
    bad[4].buf = NULL;
    for (size_t i = 0; i < TEST_COUNT(bad); i++) {
        ck_assert_status(test_gre_encap(pair.a, pair.lane, &bad[i], NULL), TUNNELCAP_E_INVALID);
        ck_assert_status(test_gre_decap(pair.b, &bad[i], NULL, NULL), TUNNELCAP_E_INVALID);
    }
    test_pkt_free(&good);
    close_ends(&pair);
}
END_TEST

/* ---- batches ---- */

START_TEST(batch_keeps_order_and_judges_each_packet_alone)
{
    enum { COUNT = 70 };
    tunnelcap_gre_config config = config_of(USE_KEY | USE_CHECKSUM | USE_SEQUENCE);
    ends pair = open_ends(&config);
    uint32_t room = tunnelcap_gre_headroom(pair.a);
    tunnelcap_pkt pkts[COUNT];
    tunnelcap_gre_rx rx[COUNT];
    uint32_t good = 0, seq = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        test_ip ip = test_between("10.1.0.1", "10.2.0.1");
        test_udp_packet(&frame, &ip, i);
        pkts[i] = test_pkt(frame.bytes, frame.len, i % 3 == 1 ? room - 1 : room);
        good += i % 3 != 1;
    }
    ck_assert_uint_eq(tunnelcap_gre_encap(pair.a, pair.lane, pkts, NULL, 0, COUNT), good);
    for (uint32_t i = 0; i < COUNT; i++)
        ck_assert_status(pkts[i].status, i % 3 == 1 ? TUNNELCAP_E_HEADROOM : TUNNELCAP_OK);
    memset(rx, 0xff, sizeof(rx));
    ck_assert_uint_eq(tunnelcap_gre_decap(pair.b, pkts, NULL, 0, rx, COUNT), good);
    for (uint32_t i = 0; i < COUNT; i++) {
        ck_assert_uint_eq(pkts[i].len, 28 + i);
        if (i % 3 == 1) {
            ck_assert_int_lt(pkts[i].status, 0);
            ck_assert_uint_eq(rx[i].seq, UINT32_MAX); /* only written for what passes */
        } else {
            ck_assert_status(pkts[i].status, TUNNELCAP_OK);
            ck_assert_uint_eq(rx[i].seq, seq++);
        }
        test_pkt_free(&pkts[i]);
    }
    close_ends(&pair);
}
END_TEST

START_TEST(meta_is_read_at_its_stride)
{
    struct {
        tunnelcap_meta meta;
        uint32_t mine;
    } metas[3];
    memset(metas, 0, sizeof(metas));
    static const uint16_t types[] = {0x88b5, 0x88b6, 0x88b7};
    tunnelcap_gre_config config = config_of(0);
    ends pair = open_ends(&config);
    tunnelcap_pkt pkts[3];
    test_payload(&frame, 12);
    for (uint32_t stride = 0; stride <= sizeof(metas[0]); stride += sizeof(metas[0])) {
        for (size_t i = 0; i < TEST_COUNT(pkts); i++) {
            pkts[i] = test_pkt(frame.bytes, frame.len, 24);
            metas[i].meta.ethertype = types[i];
        }
        void *exact = test_copy(metas, stride == 0 ? sizeof(tunnelcap_meta) : sizeof(metas));
        ck_assert_uint_eq(tunnelcap_gre_encap(pair.a, pair.lane, pkts, exact, stride, 3), 3);
        free(exact);
        for (size_t i = 0; i < TEST_COUNT(pkts); i++) {
            test_view view = test_dissect(pkts[i].buf + pkts[i].off, pkts[i].len);
            ck_assert_uint_eq(view.gre.protocol, stride == 0 ? types[0] : types[i]);
            test_pkt_free(&pkts[i]);
        }
    }
    close_ends(&pair);
}
END_TEST

/* ---- sequence numbers ---- */

START_TEST(sequence_numbers_run_freely_through_2_to_the_32)
{
    tunnelcap_gre_config config = config_of(USE_SEQUENCE);
    config.seq_start = 0xfffffffe;
    ends pair = open_ends(&config);
    test_ip ip = test_between("10.1.0.1", "10.2.0.1");
    test_udp_packet(&frame, &ip, 10);
    for (uint32_t i = 0; i < 5; i++)
        carry(&pair, &config, USE_SEQUENCE, TUNNELCAP_ETHERTYPE_IPV4, NULL, 0xfffffffe + i);
    close_ends(&pair);
}
END_TEST

/* ---- unfinished checksums ---- */

/* Make the transport checksum of a packet unfinished, as virtio and TUN deliver it. */
static tunnelcap_meta unfinish(const test_ip *ip, uint8_t protocol, uint16_t l4, uint16_t at)
{
    tunnelcap_meta meta = {
        .flags = TUNNELCAP_META_CSUM_PARTIAL, .csum_start = l4, .csum_offset = at};
    test_store16(frame.bytes + l4 + at, test_pseudo(ip, protocol, frame.len - l4));
    return meta;
}

START_TEST(unfinished_checksums_are_finished)
{
    tunnelcap_gre_config config = config_of(USE_CHECKSUM);
    ends pair = open_ends(&config);
    static test_frame whole;
    static const char *const routes[][2] = {{"10.1.0.1", "10.2.0.1"}, {"fd00:1::1", "fd00:2::1"}};
    for (size_t i = 0; i < TEST_COUNT(routes); i++) {
        test_ip ip = test_between(routes[i][0], routes[i][1]);
        for (uint32_t size = 0; size < 9; size++) {
            uint16_t l4 = i == 0 ? 20 : 40;
            test_udp_packet(&frame, &ip, size);
            whole = frame;
            tunnelcap_meta meta = unfinish(&ip, 17, l4, 6);
            tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 28);
            ck_assert_status(test_gre_encap(pair.a, pair.lane, &pkt, &meta), TUNNELCAP_OK);
            test_view view = test_dissect(pkt.buf, pkt.len);
            ck_assert_mem_eq(pkt.buf + view.payload, whole.bytes, whole.len);
            test_pkt_free(&pkt);
        }
        test_syn_packet(&frame, &ip, TEST_TCP_SYN, "\2\4\5\264", 4);
        whole = frame;
        tunnelcap_meta meta = unfinish(&ip, 6, i == 0 ? 20 : 40, 16);
        tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 28);
        ck_assert_status(test_gre_encap(pair.a, pair.lane, &pkt, &meta), TUNNELCAP_OK);
        test_view view = test_dissect(pkt.buf, pkt.len);
        ck_assert_mem_eq(pkt.buf + view.payload, whole.bytes, whole.len);
        test_pkt_free(&pkt);
    }
    close_ends(&pair);
}
END_TEST

START_TEST(unfinished_checksum_that_computes_to_zero_becomes_ones)
{
    tunnelcap_gre_config config = config_of(0);
    ends pair = open_ends(&config);
    test_ip ip = test_between("10.1.0.1", "10.2.0.1");
    uint16_t missing = 0; /* for a sum of all ones */
    for (uint32_t round = 0; round <= 1; round++) {
        test_payload(&frame, 2);
        test_store16(frame.bytes, missing);
        test_push_udp(&frame, &ip, 5000, 53);
        missing = test_load16(frame.bytes + 6);
    }
    test_push_ip(&frame, &ip, 17);
    tunnelcap_meta meta = unfinish(&ip, 17, 20, 6);
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 24);
    ck_assert_status(test_gre_encap(pair.a, pair.lane, &pkt, &meta), TUNNELCAP_OK);
    ck_assert_uint_eq(test_load16(pkt.buf + 24 + 26), 0xffff); /* zero would mean none */
    test_pkt_free(&pkt);
    close_ends(&pair);
}
END_TEST

START_TEST(unfinished_checksum_outside_the_packet_is_invalid)
{
    tunnelcap_gre_config config = config_of(0);
    ends pair = open_ends(&config);
    test_ip ip = test_between("10.1.0.1", "10.2.0.1");
    test_udp_packet(&frame, &ip, 2);
    static const uint16_t places[][2] = {{29, 0},    {20, 9},        {0, 29}, {65535, 0},
                                         {0, 65535}, {65535, 65535}, {30, 0}};
    for (size_t i = 0; i < TEST_COUNT(places); i++) {
        tunnelcap_meta meta = {.flags = TUNNELCAP_META_CSUM_PARTIAL,
                               .csum_start = places[i][0],
                               .csum_offset = places[i][1]};
        refuse_encap(&pair, &(refusal){TUNNELCAP_E_INVALID, 24, &meta});
    }
    close_ends(&pair);
}
END_TEST

/* ---- GRE in UDP ---- */

static test_view view_of(ends *pair)
{
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, tunnelcap_gre_headroom(pair->a));
    ck_assert_status(test_gre_encap(pair->a, pair->lane, &pkt, NULL), TUNNELCAP_OK);
    test_view view = test_dissect(pkt.buf + pkt.off, pkt.len);
    test_pkt_free(&pkt);
    return view;
}

START_TEST(udp_source_port_follows_the_flow)
{
    for (unsigned six = 0; six <= USE_SIX; six++) {
        tunnelcap_gre_config config = config_of(USE_UDP | six);
        ends pair = open_ends(&config);
        uint32_t different = 0;
        uint16_t first = 0;
        for (uint32_t flow = 0; flow < 64; flow++) {
            test_ip ip = test_between("10.1.0.1", "10.2.0.1");
            test_payload(&frame, 10);
            test_push_udp(&frame, &ip, (uint16_t)(1000 + flow), 53);
            test_push_ip(&frame, &ip, 17);
            uint16_t port = view_of(&pair).src_port;
            ck_assert_uint_ge(port, 49152);
            ck_assert_uint_eq(view_of(&pair).src_port, port);
            if (flow == 0)
                first = port;
            different += port != first;
        }
        ck_assert_uint_gt(different, 55);
        close_ends(&pair);
    }
}
END_TEST

START_TEST(udp_ports_can_be_chosen)
{
    tunnelcap_gre_config config = config_of(USE_UDP);
    config.udp_port = 6000;
    config.udp_src_port = 7;
    ends pair = open_ends(&config);
    test_ip ip = test_between("10.1.0.1", "10.2.0.1");
    test_udp_packet(&frame, &ip, 10);
    test_view view = view_of(&pair);
    ck_assert_uint_eq(view.src_port, 7);
    ck_assert_uint_eq(view.dst_port, 6000);
    close_ends(&pair);
}
END_TEST

START_TEST(udp_checksum_is_left_out_on_demand_but_never_for_fragments)
{
    for (unsigned six = 0; six <= USE_SIX; six++) {
        tunnelcap_gre_config config = config_of(USE_UDP | six);
        config.flags |= TUNNELCAP_GRE_UDP_ZERO_CHECKSUM;
        ends pair = open_ends(&config);
        test_ip ip = test_between("10.1.0.1", "10.2.0.1");
        test_udp_packet(&frame, &ip, 16);
        ck_assert_uint_eq(view_of(&pair).udp_checksum, 0);
        static const uint16_t frags[] = {0x2000, 0x0001, 0x3fff};
        for (size_t i = 0; i < TEST_COUNT(frags); i++) {
            ip.frag = frags[i];
            test_udp_packet(&frame, &ip, 16);
            ck_assert_uint_ne(view_of(&pair).udp_checksum, 0);
        }
        test_ip ip6 = test_between("fd00:1::1", "fd00:2::1");
        test_payload(&frame, 16);
        test_push_ext(&frame, 17, "\0\1\0\0\0\7", 6);
        frame.bytes[1] = 0;
        test_push_ip(&frame, &ip6, 44);
        ck_assert_uint_ne(view_of(&pair).udp_checksum, 0);
        close_ends(&pair);
    }
}
END_TEST

START_TEST(udp_checksum_that_computes_to_zero_is_sent_as_ones)
{
    tunnelcap_gre_config config = config_of(USE_UDP);
    config.udp_src_port = 50000;
    ends pair = open_ends(&config);
    tunnelcap_meta opaque = {.ethertype = 0x88b5};
    uint8_t bytes[2] = {0, 0};
    for (uint32_t round = 0; round <= 1; round++) {
        tunnelcap_pkt pkt = test_pkt(bytes, 2, tunnelcap_gre_headroom(pair.a));
        ck_assert_status(test_gre_encap(pair.a, pair.lane, &pkt, &opaque), TUNNELCAP_OK);
        if (round == 0)
            memcpy(bytes, pkt.buf + 26, 2); /* what is missing for a sum of all ones */
        else
            ck_assert_uint_eq(test_load16(pkt.buf + 26), 0xffff);
        test_pkt_free(&pkt);
    }
    close_ends(&pair);
}
END_TEST

Suite *test_gre_encap_suite(void)
{
    const TTest *tests[] = {
        every_header_layout_carries_every_size,
        largest_packet_goes_and_one_more_byte_is_too_big,
        payload_protocols_go_by_meta_then_config_then_version,
        ethernet_frames_travel_whole,
        padding_behind_an_inner_packet_is_left_behind,
        refused_packets_are_unchanged_and_spend_no_sequence_number,
        encap_refuses_every_cut_inner_packet,
        encap_survives_every_flipped_bit,
        window_outside_its_buffer_is_invalid,
        batch_keeps_order_and_judges_each_packet_alone,
        meta_is_read_at_its_stride,
        sequence_numbers_run_freely_through_2_to_the_32,
        unfinished_checksums_are_finished,
        unfinished_checksum_that_computes_to_zero_becomes_ones,
        unfinished_checksum_outside_the_packet_is_invalid,
        udp_source_port_follows_the_flow,
        udp_ports_can_be_chosen,
        udp_checksum_is_left_out_on_demand_but_never_for_fragments,
        udp_checksum_that_computes_to_zero_is_sent_as_ones,
    };
    return test_suite("gre_encap", tests, TEST_COUNT(tests));
}
