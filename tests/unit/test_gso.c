/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "support.h"

static test_frame frame;

enum { UDP = 17, TCP = 6, FRAGMENT = 44, NEEDS_CSUM = 1, DATA_VALID = 2, RSC_INFO = 4 };
enum { TCP_ECN4 = TUNNELCAP_GSO_TCP4 | TUNNELCAP_GSO_TCP_ECN };

/* The fields of struct virtio_net_hdr. */
typedef struct fields {
    uint8_t flags, gso_type;
    uint16_t hdr_len, gso_size, csum_start, csum_offset;
} fields;

static void put16(uint8_t *at, uint16_t value, uint32_t byte_order)
{
    if (byte_order == TUNNELCAP_GSO_HOST) {
        memcpy(at, &value, 2);
    } else {
        at[byte_order == TUNNELCAP_GSO_BIG] = (uint8_t)value;
        at[byte_order != TUNNELCAP_GSO_BIG] = (uint8_t)(value >> 8);
    }
}

static void put(uint8_t *header, uint32_t len, const fields *f, uint32_t byte_order)
{
    memset(header, 0, len);
    header[0] = f->flags;
    header[1] = f->gso_type;
    put16(header + 2, f->hdr_len, byte_order);
    put16(header + 4, f->gso_size, byte_order);
    put16(header + 6, f->csum_start, byte_order);
    put16(header + 8, f->csum_offset, byte_order);
}

static void udp_frame(uint32_t family, uint32_t payload)
{
    test_ip ip = family == 4 ? test_between("10.1.0.1", "10.2.0.1")
                             : test_between("2001:db8:a::1", "2001:db8:b::1");
    test_udp_packet(&frame, &ip, payload);
}

static void tcp_frame(uint32_t family, uint32_t payload)
{
    test_ip ip = family == 4 ? test_between("10.1.0.1", "10.2.0.1")
                             : test_between("2001:db8:a::1", "2001:db8:b::1");
    static const uint8_t timestamps[12] = {1, 1, 8, 10};
    test_payload(&frame, payload);
    test_push_tcp(&frame, &ip, TEST_TCP_ACK, timestamps, sizeof(timestamps));
    test_push_ip(&frame, &ip, TCP);
}

/* Read a header from memory of its own length; a refusal must leave the meta alone. */
static int32_t read_fields(const fields *f, tunnelcap_meta *meta)
{
    uint8_t header[TUNNELCAP_GSO_HEADER];
    put(header, sizeof(header), f, TUNNELCAP_GSO_LITTLE);
    uint8_t *exact = test_copy(header, sizeof(header));
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 0);
    test_snapshot snap = test_snap(&pkt);
    tunnelcap_meta before = *meta;
    int32_t status = tunnelcap_gso_read(exact, sizeof(header), TUNNELCAP_GSO_LITTLE, &pkt, meta);
    if (status != TUNNELCAP_OK)
        ck_assert_mem_eq(meta, &before, sizeof(before));
    ck_assert_int_eq(pkt.status, INT32_MIN);
    test_unchanged(&snap, &pkt);
    test_pkt_free(&pkt);
    free(exact);
    return status;
}

static int32_t read_only(const fields *f)
{
    tunnelcap_meta meta = {.flags = 0};
    return read_fields(f, &meta);
}

/* Write a header from a meta; a refusal must leave the header alone. */
static int32_t write_header(const tunnelcap_meta *meta, uint8_t header[TUNNELCAP_GSO_HEADER])
{
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 0);
    uint8_t before[TUNNELCAP_GSO_HEADER];
    memcpy(before, header, sizeof(before));
    int32_t status =
        tunnelcap_gso_write(header, TUNNELCAP_GSO_HEADER, TUNNELCAP_GSO_LITTLE, &pkt, meta);
    if (status != TUNNELCAP_OK)
        ck_assert_mem_eq(header, before, sizeof(before));
    test_pkt_free(&pkt);
    return status;
}

START_TEST(header_is_read_in_each_length_and_byte_order)
{
    static const uint32_t lens[] = {TUNNELCAP_GSO_HEADER, TUNNELCAP_GSO_HEADER_BUFFERS, 20};
    fields f = {NEEDS_CSUM, TCP_ECN4, 52, 1448, 20, 16};
    tcp_frame(4, 3000);
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 0);
    for (uint32_t i = 0; i < 9; i++) {
        uint32_t len = lens[i / 3];
        uint8_t header[20], again[20];
        put(header, len, &f, i % 3);
        uint8_t *exact = test_copy(header, len);
        tunnelcap_meta meta = {.vrf = 7, .flags = TUNNELCAP_META_TOS_VALID, .tos = 3, .rx_ns = 9};
        test_ok(tunnelcap_gso_read(exact, len, i % 3, &pkt, &meta));
        ck_assert_uint_eq(meta.flags, TUNNELCAP_META_TOS_VALID | TUNNELCAP_META_CSUM_PARTIAL);
        ck_assert_uint_eq(meta.gso_type, TCP_ECN4);
        ck_assert_uint_eq(meta.hdr_len, 52);
        ck_assert_uint_eq(meta.gso_size, 1448);
        ck_assert_uint_eq(meta.csum_start, 20);
        ck_assert_uint_eq(meta.csum_offset, 16);
        ck_assert_uint_eq(meta.vrf + meta.tos + meta.rx_ns, 19);
        memset(exact, 0xff, len);
        test_ok(tunnelcap_gso_write(exact, len, i % 3, &pkt, &meta));
        memcpy(again, exact, len);
        ck_assert_mem_eq(again, header, len);
        free(exact);
    }
    test_pkt_free(&pkt);
}
END_TEST

START_TEST(what_a_header_does_not_tell_is_zero)
{
    const fields f = {RSC_INFO | 0xf8, 0, 40, 1448, 20, 16};
    tunnelcap_meta meta = {.flags = TUNNELCAP_META_CSUM_PARTIAL | TUNNELCAP_META_CSUM_VALID,
                           .gso_type = 5,
                           .gso_size = 6,
                           .csum_start = 7,
                           .csum_offset = 8};
    udp_frame(4, 100);
    test_ok(read_fields(&f, &meta));
    ck_assert_uint_eq(meta.flags, 0);
    ck_assert_uint_eq(meta.gso_type, 0);
    ck_assert_uint_eq(meta.gso_size, 0);
    ck_assert_uint_eq(meta.csum_start, 0);
    ck_assert_uint_eq(meta.csum_offset, 0);
    ck_assert_uint_eq(meta.hdr_len, 40);
}
END_TEST

START_TEST(valid_data_vouches_for_what_it_covers_only)
{
    fields f = {DATA_VALID, 0, 0, 0, 0, 0};
    tunnelcap_meta meta = {.flags = 0};
    for (uint32_t family = 4; family <= 6; family += 2) {
        udp_frame(family, 100);
        test_ok(read_fields(&f, &meta));
        ck_assert_uint_eq(meta.flags, TUNNELCAP_META_CSUM_VALID);
        frame.bytes[8] ^= 1;
        test_ok(read_fields(&f, &meta));
        ck_assert_uint_eq(meta.flags, family == 4 ? 0 : TUNNELCAP_META_CSUM_VALID);
    }
    frame.len = 30; /* no whole header */
    test_ok(read_fields(&f, &meta));
    ck_assert_uint_eq(meta.flags, 0);
    udp_frame(4, 100);
    f.flags = DATA_VALID | NEEDS_CSUM;
    f.csum_start = 20;
    f.csum_offset = 6;
    test_ok(read_fields(&f, &meta));
    ck_assert_uint_eq(meta.flags, TUNNELCAP_META_CSUM_PARTIAL);

    uint8_t header[TUNNELCAP_GSO_HEADER];
    meta = (tunnelcap_meta){.flags = TUNNELCAP_META_CSUM_VALID};
    test_ok(write_header(&meta, header));
    ck_assert_uint_eq(header[0], DATA_VALID);
}
END_TEST

START_TEST(checksum_field_must_be_in_the_packet)
{
    fields f = {NEEDS_CSUM, 0, 0, 0, 20, 6};
    udp_frame(4, 100); /* 128 bytes */
    test_ok(read_only(&f));
    f.csum_offset = 106;
    test_ok(read_only(&f));
    f.csum_offset = 107;
    ck_assert_status(read_only(&f), TUNNELCAP_E_MALFORMED);
    f.csum_start = 127;
    f.csum_offset = 0;
    ck_assert_status(read_only(&f), TUNNELCAP_E_MALFORMED);
    f.csum_start = f.csum_offset = 0xffff;
    ck_assert_status(read_only(&f), TUNNELCAP_E_MALFORMED);
    frame.len = 0;
    f.csum_start = f.csum_offset = 0;
    ck_assert_status(read_only(&f), TUNNELCAP_E_MALFORMED);
}
END_TEST

START_TEST(gso_header_must_make_sense)
{
    static const struct {
        fields f;
        int32_t read, write;
    } cases[] = {
        {{NEEDS_CSUM, TUNNELCAP_GSO_TCP4, 0, 100, 20, 16}, 0, 0},
        {{NEEDS_CSUM, TUNNELCAP_GSO_UDP_IP, 0, 100, 20, 6}, 0, 0},
        {{NEEDS_CSUM, TUNNELCAP_GSO_TCP6, 0, 100, 20, 16}, 0, 0},
        {{NEEDS_CSUM, TUNNELCAP_GSO_UDP, 0, 100, 20, 6}, 0, 0},
        {{NEEDS_CSUM, TUNNELCAP_GSO_TCP4, 0, 0, 20, 16},
         TUNNELCAP_E_MALFORMED,
         TUNNELCAP_E_INVALID},
        {{0, TUNNELCAP_GSO_TCP4, 0, 100, 20, 16}, TUNNELCAP_E_MALFORMED, TUNNELCAP_E_INVALID},
        {{NEEDS_CSUM, TUNNELCAP_GSO_TCP_ECN, 0, 0, 20, 16},
         TUNNELCAP_E_MALFORMED,
         TUNNELCAP_E_INVALID},
        {{NEEDS_CSUM, TUNNELCAP_GSO_UDP | TUNNELCAP_GSO_TCP_ECN, 0, 100, 20, 6},
         TUNNELCAP_E_MALFORMED,
         TUNNELCAP_E_INVALID},
        {{NEEDS_CSUM, 2, 0, 100, 20, 6}, TUNNELCAP_E_UNSUPPORTED, TUNNELCAP_E_UNSUPPORTED},
        {{NEEDS_CSUM, 6, 0, 100, 20, 6}, TUNNELCAP_E_UNSUPPORTED, TUNNELCAP_E_UNSUPPORTED},
        {{NEEDS_CSUM, 0x21, 0, 100, 20, 6}, TUNNELCAP_E_UNSUPPORTED, TUNNELCAP_E_UNSUPPORTED},
        {{NEEDS_CSUM, 0, 0, 100, 20, 6}, 0, TUNNELCAP_E_INVALID},
        {{NEEDS_CSUM, 0, 0, 0, 3100, 6}, TUNNELCAP_E_MALFORMED, TUNNELCAP_E_INVALID},
    };
    udp_frame(4, 3000);
    for (uint32_t i = 0; i < TEST_COUNT(cases); i++) {
        const fields *f = &cases[i].f;
        uint8_t header[TUNNELCAP_GSO_HEADER] = {0x55};
        tunnelcap_meta meta = {.flags = f->flags ? TUNNELCAP_META_CSUM_PARTIAL : 0,
                               .gso_type = f->gso_type,
                               .gso_size = f->gso_size,
                               .csum_start = f->csum_start,
                               .csum_offset = f->csum_offset};
        ck_assert_status(read_only(f), cases[i].read);
        ck_assert_status(write_header(&meta, header), cases[i].write);
    }
}
END_TEST

START_TEST(every_header_is_read_or_refused_and_what_was_read_can_be_written)
{
    test_random random = {5};
    uint32_t accepted = 0;
    udp_frame(4, 500);
    for (uint32_t i = 0; i < 10000; i++) {
        static const uint8_t types[] = {0, 1, 3, 4, 5, 0x81, 0x84, 2, 0x80, 0xff};
        fields f = {(uint8_t)test_below(&random, 8),    types[test_below(&random, 10)],
                    (uint16_t)test_next(&random),       (uint16_t)test_below(&random, 3),
                    (uint16_t)test_below(&random, 600), (uint16_t)test_below(&random, 600)};
        uint8_t header[TUNNELCAP_GSO_HEADER];
        tunnelcap_meta meta = {.flags = 0}, again = {.flags = 0};
        if (read_fields(&f, &meta) != TUNNELCAP_OK)
            continue;
        test_ok(write_header(&meta, header));
        tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 0);
        test_ok(tunnelcap_gso_read(header, sizeof(header), TUNNELCAP_GSO_LITTLE, &pkt, &again));
        ck_assert_mem_eq(&meta, &again, sizeof(meta));
        test_pkt_free(&pkt);
        accepted++;
    }
    ck_assert_uint_gt(accepted, 300);
}
END_TEST

START_TEST(arguments_are_checked)
{
    uint8_t header[12] = {0};
    tunnelcap_meta meta = {.flags = 0};
    tunnelcap_gso_info info = {.size = sizeof(info)};
    udp_frame(4, 100);
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 0);
    tunnelcap_pkt outside = pkt;
    outside.len++;
    ck_assert_status(tunnelcap_gso_read(NULL, 10, 0, &pkt, &meta), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_gso_read(header, 10, 0, NULL, &meta), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_gso_read(header, 10, 0, &outside, &meta), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_gso_read(header, 10, 0, &pkt, NULL), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_gso_read(header, 9, 0, &pkt, &meta), TUNNELCAP_E_RANGE);
    ck_assert_status(tunnelcap_gso_read(header, 11, 0, &pkt, &meta), TUNNELCAP_E_RANGE);
    ck_assert_status(tunnelcap_gso_read(header, 10, 3, &pkt, &meta), TUNNELCAP_E_MODE);
    ck_assert_status(tunnelcap_gso_write(NULL, 10, 0, &pkt, &meta), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_gso_write(header, 10, 0, NULL, &meta), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_gso_write(header, 10, 0, &outside, &meta), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_gso_write(header, 0, 0, &pkt, &meta), TUNNELCAP_E_RANGE);
    ck_assert_status(tunnelcap_gso_write(header, 11, 0, &pkt, &meta), TUNNELCAP_E_RANGE);
    ck_assert_status(tunnelcap_gso_write(header, 12, 9, &pkt, &meta), TUNNELCAP_E_MODE);
    memset(header, 0xff, sizeof(header));
    test_ok(tunnelcap_gso_write(header, 12, 0, &pkt, NULL));
    for (uint32_t i = 0; i < sizeof(header); i++)
        ck_assert_uint_eq(header[i], 0);
    ck_assert_status(tunnelcap_gso_look(NULL, &meta, &info), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_gso_look(&outside, &meta, &info), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_gso_look(&pkt, &meta, NULL), TUNNELCAP_E_INVALID);
    info.size--;
    ck_assert_status(tunnelcap_gso_look(&pkt, &meta, &info), TUNNELCAP_E_VERSION);
    ck_assert_status(tunnelcap_gso_finish_checksum(NULL, &meta), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_gso_finish_checksum(&outside, &meta), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_gso_finish_checksum(&pkt, NULL), TUNNELCAP_E_INVALID);
    test_pkt_free(&pkt);
}
END_TEST

/* Look at the frame; a refusal must leave the answer alone. */
static int32_t look(const tunnelcap_meta *meta, tunnelcap_gso_info *info)
{
    memset(info, 0x5a, sizeof(*info));
    info->size = sizeof(*info);
    tunnelcap_gso_info before = *info;
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 0);
    test_snapshot snap = test_snap(&pkt);
    int32_t status = tunnelcap_gso_look(&pkt, meta, info);
    if (status != TUNNELCAP_OK)
        ck_assert_mem_eq(info, &before, sizeof(before));
    ck_assert_int_eq(pkt.status, INT32_MIN);
    test_unchanged(&snap, &pkt);
    test_pkt_free(&pkt);
    return status;
}

static tunnelcap_meta gso(uint8_t type, uint16_t size)
{
    return (tunnelcap_meta){.flags = TUNNELCAP_META_CSUM_PARTIAL,
                            .gso_type = type,
                            .gso_size = size,
                            .csum_start = 20,
                            .csum_offset = 6};
}

static void expect_look(const tunnelcap_meta *meta, uint32_t segments, uint32_t header_len,
                        uint32_t largest)
{
    tunnelcap_gso_info info;
    test_ok(look(meta, &info));
    ck_assert_uint_eq(info.size, sizeof(info));
    ck_assert_uint_eq(info.segments, segments);
    ck_assert_uint_eq(info.header_len, header_len);
    ck_assert_uint_eq(info.largest, largest);
}

START_TEST(ordinary_packet_is_one_segment)
{
    tunnelcap_meta meta = {.flags = 0};
    udp_frame(4, 1000);
    frame.len += 10; /* padding */
    expect_look(NULL, 1, 0, 1028);
    expect_look(&meta, 1, 0, 1028);
    udp_frame(6, 1000);
    expect_look(NULL, 1, 0, 1048);
}
END_TEST

START_TEST(segments_of_a_gso_packet_are_counted)
{
    tunnelcap_meta meta = gso(TCP_ECN4, 1000);
    tcp_frame(4, 3000);
    expect_look(&meta, 3, 52, 1052);
    tcp_frame(4, 3001);
    expect_look(&meta, 4, 52, 1052);
    tcp_frame(4, 1000);
    expect_look(&meta, 1, 52, 1052);
    tcp_frame(4, 10);
    expect_look(&meta, 1, 52, 62);
    tcp_frame(4, 0);
    expect_look(&meta, 1, 52, 52);
    meta = gso(TUNNELCAP_GSO_TCP6, 1000);
    tcp_frame(6, 60001);
    expect_look(&meta, 61, 72, 1072);
    meta = gso(TUNNELCAP_GSO_UDP, 500);
    udp_frame(4, 1800);
    expect_look(&meta, 4, 28, 528);
    udp_frame(6, 1800);
    expect_look(&meta, 4, 48, 548);
    /* A UDP datagram as IP fragments: its own header is in the first one only. */
    meta = gso(TUNNELCAP_GSO_UDP_IP, 1003);
    udp_frame(4, 2992);
    expect_look(&meta, 3, 20, 1020);
    udp_frame(6, 2993);
    expect_look(&meta, 4, 40, 1048);
    udp_frame(6, 993);
    expect_look(&meta, 1, 40, 1041);
}
END_TEST

START_TEST(gso_type_must_be_that_of_the_packet)
{
    static const struct {
        uint32_t family;
        uint8_t tcp, type;
    } wrong[] = {
        {4, 1, TUNNELCAP_GSO_TCP6}, {6, 1, TCP_ECN4},          {4, 0, TUNNELCAP_GSO_TCP4},
        {6, 0, TUNNELCAP_GSO_TCP6}, {4, 1, TUNNELCAP_GSO_UDP}, {6, 1, TUNNELCAP_GSO_UDP_IP},
    };
    tunnelcap_gso_info info;
    for (uint32_t i = 0; i < TEST_COUNT(wrong); i++) {
        tunnelcap_meta meta = gso(wrong[i].type, 100);
        if (wrong[i].tcp)
            tcp_frame(wrong[i].family, 1000);
        else
            udp_frame(wrong[i].family, 1000);
        ck_assert_status(look(&meta, &info), TUNNELCAP_E_MALFORMED);
    }
    tunnelcap_meta meta = gso(9, 100);
    ck_assert_status(look(&meta, &info), TUNNELCAP_E_UNSUPPORTED);
    meta = gso(TUNNELCAP_GSO_UDP_IP, 7);
    udp_frame(4, 100);
    ck_assert_status(look(&meta, &info), TUNNELCAP_E_MALFORMED);
    meta = gso(TUNNELCAP_GSO_UDP, 0);
    ck_assert_status(look(&meta, &info), TUNNELCAP_E_MALFORMED);
    meta = gso(TUNNELCAP_GSO_UDP, 10);
    frame.bytes[6] = 0x20; /* a fragment */
    ck_assert_status(look(&meta, &info), TUNNELCAP_E_MALFORMED);
    frame.bytes[0] = 0x55;
    ck_assert_status(look(&meta, &info), TUNNELCAP_E_MALFORMED);
}
END_TEST

START_TEST(transport_header_must_be_whole)
{
    tunnelcap_gso_info info;
    tunnelcap_meta meta = gso(TUNNELCAP_GSO_TCP4, 100);
    test_ip ip = test_between("10.1.0.1", "10.2.0.1");
    for (uint32_t len = 0; len < 32; len++) {
        tcp_frame(4, 0);
        memmove(frame.bytes, frame.bytes + 20, 32);
        frame.len = len;
        test_push_ip(&frame, &ip, TCP);
        meta.csum_offset = 0;
        meta.csum_start = 0;
        ck_assert_status(look(&meta, &info), TUNNELCAP_E_MALFORMED);
    }
    tcp_frame(4, 100);
    frame.bytes[20 + 12] = 0x40;
    ck_assert_status(look(&meta, &info), TUNNELCAP_E_MALFORMED);
    meta = gso(TUNNELCAP_GSO_UDP, 100);
    meta.csum_offset = 0;
    frame.len = 0;
    test_payload(&frame, 7);
    test_push_ip(&frame, &ip, UDP);
    ck_assert_status(look(&meta, &info), TUNNELCAP_E_MALFORMED);
}
END_TEST

static int32_t feed(void *arg, tunnelcap_pkt *pkt)
{
    tunnelcap_gso_info info = {.size = sizeof(info)};
    return tunnelcap_gso_look(pkt, arg, &info);
}

START_TEST(every_truncation_is_told_and_every_flip_survived)
{
    tunnelcap_meta meta = gso(TUNNELCAP_GSO_TCP6, 50);
    meta.csum_start = meta.csum_offset = 0;
    tcp_frame(6, 200);
    test_truncation(frame.bytes, frame.len, TUNNELCAP_E_TRUNCATED, feed, &meta);
    ck_assert_uint_gt(test_flips(frame.bytes, frame.len, 0, feed, &meta), 0);
}
END_TEST

START_TEST(unfinished_checksum_is_finished_in_place)
{
    for (uint32_t i = 0; i < 4; i++) {
        bool tcp = i & 1;
        uint32_t l4 = i & 2 ? 40 : 20;
        test_ip ip = i & 2 ? test_between("2001:db8:a::1", "2001:db8:b::1")
                           : test_between("10.1.0.1", "10.2.0.1");
        if (tcp)
            tcp_frame(i & 2 ? 6 : 4, 333);
        else
            udp_frame(i & 2 ? 6 : 4, 333);
        tunnelcap_meta meta = {.flags = TUNNELCAP_META_CSUM_PARTIAL | TUNNELCAP_META_TOS_VALID,
                               .vrf = 3,
                               .csum_start = (uint16_t)l4,
                               .csum_offset = tcp ? 16 : 6};
        tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 0);
        test_store16(pkt.buf + l4 + meta.csum_offset,
                     test_pseudo(&ip, tcp ? TCP : UDP, frame.len - l4));
        test_ok(tunnelcap_gso_finish_checksum(&pkt, &meta));
        ck_assert_mem_eq(pkt.buf, frame.bytes, frame.len);
        ck_assert_uint_eq(meta.flags, TUNNELCAP_META_TOS_VALID);
        ck_assert_uint_eq(meta.csum_start + meta.csum_offset, 0);
        ck_assert_uint_eq(meta.vrf, 3);
        test_ok(tunnelcap_gso_finish_checksum(&pkt, &meta)); /* once is enough */
        ck_assert_mem_eq(pkt.buf, frame.bytes, frame.len);
        ck_assert_int_eq(pkt.status, INT32_MIN);
        test_pkt_free(&pkt);
    }
}
END_TEST

START_TEST(checksum_that_cannot_be_finished_changes_nothing)
{
    tunnelcap_meta meta = gso(0, 0), before;
    udp_frame(4, 100);
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 0);
    test_snapshot snap = test_snap(&pkt);
    meta.csum_offset = 107;
    before = meta;
    ck_assert_status(tunnelcap_gso_finish_checksum(&pkt, &meta), TUNNELCAP_E_INVALID);
    ck_assert_mem_eq(&meta, &before, sizeof(meta));
    meta = gso(TUNNELCAP_GSO_UDP, 10);
    before = meta;
    ck_assert_status(tunnelcap_gso_finish_checksum(&pkt, &meta), TUNNELCAP_E_UNSUPPORTED);
    ck_assert_mem_eq(&meta, &before, sizeof(meta));
    test_unchanged(&snap, &pkt);
    test_pkt_free(&pkt);
}
END_TEST

Suite *test_gso_suite(void)
{
    const TTest *tests[] = {
        header_is_read_in_each_length_and_byte_order,
        what_a_header_does_not_tell_is_zero,
        valid_data_vouches_for_what_it_covers_only,
        checksum_field_must_be_in_the_packet,
        gso_header_must_make_sense,
        every_header_is_read_or_refused_and_what_was_read_can_be_written,
        arguments_are_checked,
        ordinary_packet_is_one_segment,
        segments_of_a_gso_packet_are_counted,
        gso_type_must_be_that_of_the_packet,
        transport_header_must_be_whole,
        every_truncation_is_told_and_every_flip_survived,
        unfinished_checksum_is_finished_in_place,
        checksum_that_cannot_be_finished_changes_nothing,
    };
    return test_suite("gso", tests, TEST_COUNT(tests));
}
