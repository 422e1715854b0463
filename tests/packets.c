/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Packets built and read without the library's help, from the RFCs alone.
 */
#define _POSIX_C_SOURCE 200809L
#include "support.h"

#include <arpa/inet.h>

enum { PROTO_ICMP = 1, PROTO_TCP = 6, PROTO_UDP = 17, PROTO_GRE = 47, PROTO_ICMP6 = 58 };

void test_store16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

void test_store32(uint8_t *at, uint32_t value)
{
    test_store16(at, value >> 16);
    test_store16(at + 2, value & 0xffff);
}

uint16_t test_load16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

uint32_t test_load32(const uint8_t *at)
{
    return (uint32_t)test_load16(at) << 16 | test_load16(at + 2);
}

uint16_t test_sum(uint16_t start, const uint8_t *bytes, size_t len)
{
    uint32_t sum = start;
    for (size_t i = 0; i < len; i += 2) {
        sum += (uint32_t)bytes[i] << 8;
        if (i + 1 < len)
            sum += bytes[i + 1];
        if (sum > 0xffff)
            sum = (sum & 0xffff) + 1;
    }
    return (uint16_t)sum;
}

static uint32_t addr_len(const tunnelcap_addr *addr)
{
    return addr->family == TUNNELCAP_IPV4 ? 4 : 16;
}

uint16_t test_pseudo(const test_ip *ip, uint8_t protocol, uint32_t len)
{
    uint8_t tail[8] = {0};
    test_store32(tail, len);
    tail[7] = protocol;
    uint16_t sum = test_sum(0, ip->src.bytes, addr_len(&ip->src));
    sum = test_sum(sum, ip->dst.bytes, addr_len(&ip->dst));
    return test_sum(sum, tail, sizeof(tail));
}

tunnelcap_addr test_addr(const char *text)
{
    tunnelcap_addr addr = {{0}, 0, {0}};
    bool six = strchr(text, ':') != NULL;
    ck_assert_int_eq(inet_pton(six ? AF_INET6 : AF_INET, text, addr.bytes), 1);
    addr.family = six ? TUNNELCAP_IPV6 : TUNNELCAP_IPV4;
    return addr;
}

test_ip test_between(const char *src, const char *dst)
{
    test_ip ip = {.src = test_addr(src), .dst = test_addr(dst), .ttl = 64, .frag = 0x4000};
    return ip;
}

/* ---- building ---- */

void test_payload(test_frame *frame, uint32_t len)
{
    ck_assert_uint_le(len, TEST_FRAME_CAP);
    frame->len = len;
    for (uint32_t i = 0; i < len; i++)
        frame->bytes[i] = (uint8_t)(i * 7 + 3 + i / 251);
}

void test_push(test_frame *frame, const void *bytes, uint32_t len)
{
    ck_assert_uint_le(frame->len + len, TEST_FRAME_CAP);
    memmove(frame->bytes + len, frame->bytes, frame->len);
    if (len != 0)
        memcpy(frame->bytes, bytes, len);
    frame->len += len;
}

/* Store the checksum of the whole frame, a pseudo-header before it, at `at`. */
static void seal(test_frame *frame, uint16_t start, uint32_t at)
{
    test_store16(frame->bytes + at, 0);
    uint32_t sum = (uint16_t)~test_sum(start, frame->bytes, frame->len);
    test_store16(frame->bytes + at, sum);
}

void test_push_udp(test_frame *frame, const test_ip *ip, uint16_t src, uint16_t dst)
{
    uint8_t header[8] = {0};
    test_store16(header, src);
    test_store16(header + 2, dst);
    test_store16(header + 4, frame->len + 8);
    test_push(frame, header, sizeof(header));
    seal(frame, test_pseudo(ip, PROTO_UDP, frame->len), 6);
    if (test_load16(frame->bytes + 6) == 0)
        test_store16(frame->bytes + 6, 0xffff);
}

void test_push_tcp(test_frame *frame, const test_ip *ip, uint8_t flags, const void *options,
                   uint32_t options_len)
{
    ck_assert_uint_eq(options_len % 4, 0);
    uint8_t header[20] = {0};
    test_store16(header, 40000);
    test_store16(header + 2, 443);
    test_store32(header + 4, 0x01020304);
    header[12] = (uint8_t)((20 + options_len) / 4 << 4);
    header[13] = flags;
    test_store16(header + 14, 64240);
    test_push(frame, options, options_len);
    test_push(frame, header, sizeof(header));
    seal(frame, test_pseudo(ip, PROTO_TCP, frame->len), 16);
}

void test_push_icmp(test_frame *frame, const test_ip *ip, uint8_t type, uint8_t code)
{
    test_push_icmp_word(frame, ip, type, code, 0x12340001);
}

void test_push_icmp_word(test_frame *frame, const test_ip *ip, uint8_t type, uint8_t code,
                         uint32_t word)
{
    uint8_t header[8] = {type, code};
    test_store32(header + 4, word);
    test_push(frame, header, sizeof(header));
    bool six = ip->src.family == TUNNELCAP_IPV6;
    seal(frame, six ? test_pseudo(ip, PROTO_ICMP6, frame->len) : 0, 2);
}

void test_push_gre(test_frame *frame, const test_gre *gre)
{
    uint8_t header[16] = {0};
    uint32_t len = 4;
    test_store16(header, gre->flags);
    test_store16(header + 2, gre->protocol);
    if (gre->flags & TEST_GRE_C)
        len += 4;
    if (gre->flags & TEST_GRE_K) {
        test_store32(header + len, gre->key);
        len += 4;
    }
    if (gre->flags & TEST_GRE_S) {
        test_store32(header + len, gre->seq);
        len += 4;
    }
    test_push(frame, header, len);
    if (gre->flags & TEST_GRE_C)
        seal(frame, 0, 4);
}

void test_push_ext(test_frame *frame, uint8_t next, const void *content, uint32_t len)
{
    ck_assert_uint_eq((len + 2) % 8, 0);
    uint8_t start[2] = {next, (uint8_t)((len + 2) / 8 - 1)};
    test_push(frame, content, len);
    test_push(frame, start, sizeof(start));
}

void test_push_ip_options(test_frame *frame, const test_ip *ip, uint8_t protocol,
                          const void *options, uint32_t options_len)
{
    ck_assert_uint_eq(ip->src.family, TUNNELCAP_IPV4);
    uint8_t header[60] = {0};
    uint32_t header_len = 20 + options_len;
    header[0] = (uint8_t)(0x40 | header_len / 4);
    header[1] = ip->tos;
    test_store16(header + 2, header_len + frame->len);
    test_store16(header + 4, ip->id);
    test_store16(header + 6, ip->frag);
    header[8] = ip->ttl;
    header[9] = protocol;
    memcpy(header + 12, ip->src.bytes, 4);
    memcpy(header + 16, ip->dst.bytes, 4);
    if (options_len != 0)
        memcpy(header + 20, options, options_len);
    test_store16(header + 10, (uint16_t)~test_sum(0, header, header_len));
    test_push(frame, header, header_len);
}

void test_push_ip(test_frame *frame, const test_ip *ip, uint8_t protocol)
{
    if (ip->src.family == TUNNELCAP_IPV4) {
        test_push_ip_options(frame, ip, protocol, NULL, 0);
        return;
    }
    uint8_t header[40] = {0};
    test_store32(header, 6u << 28 | (uint32_t)ip->tos << 20 | ip->flow_label);
    test_store16(header + 4, frame->len);
    header[6] = protocol;
    header[7] = ip->ttl;
    memcpy(header + 8, ip->src.bytes, 16);
    memcpy(header + 24, ip->dst.bytes, 16);
    test_push(frame, header, sizeof(header));
}

void test_udp_packet(test_frame *frame, const test_ip *ip, uint32_t payload_len)
{
    test_payload(frame, payload_len);
    test_push_udp(frame, ip, 5000, 53);
    test_push_ip(frame, ip, PROTO_UDP);
}

void test_syn_packet(test_frame *frame, const test_ip *ip, uint8_t flags, const void *options,
                     uint32_t options_len)
{
    frame->len = 0;
    test_push_tcp(frame, ip, flags, options, options_len);
    test_push_ip(frame, ip, PROTO_TCP);
}

void test_ethernet_frame(test_frame *frame, uint32_t payload_len)
{
    static const uint8_t header[14] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5};
    test_payload(frame, payload_len);
    test_push(frame, header, sizeof(header));
}

/* ---- dissecting ---- */

static uint32_t dissect_ipv4(test_view *view, const uint8_t *bytes, uint32_t len)
{
    ck_assert_uint_ge(len, 20);
    uint32_t header_len = (bytes[0] & 15u) * 4;
    ck_assert_uint_ge(header_len, 20);
    ck_assert_uint_eq(test_load16(bytes + 2), len);
    ck_assert_uint_eq(test_sum(0, bytes, header_len), 0xffff);
    view->family = TUNNELCAP_IPV4;
    view->ip.tos = bytes[1];
    view->ip.id = test_load16(bytes + 4);
    view->ip.frag = test_load16(bytes + 6);
    view->df = (view->ip.frag & 0x4000) != 0;
    view->ip.ttl = bytes[8];
    view->protocol = bytes[9];
    memcpy(view->ip.src.bytes, bytes + 12, 4);
    memcpy(view->ip.dst.bytes, bytes + 16, 4);
    return header_len;
}

static uint32_t dissect_ipv6(test_view *view, const uint8_t *bytes, uint32_t len)
{
    ck_assert_uint_ge(len, 40);
    ck_assert_uint_eq(test_load16(bytes + 4), len - 40u);
    view->family = TUNNELCAP_IPV6;
    view->ip.tos = (uint8_t)(test_load16(bytes) >> 4);
    view->ip.flow_label = test_load32(bytes) & 0xfffff;
    view->ip.ttl = bytes[7];
    view->protocol = bytes[6];
    memcpy(view->ip.src.bytes, bytes + 8, 16);
    memcpy(view->ip.dst.bytes, bytes + 24, 16);
    if (view->protocol != 60)
        return 40;
    /* RFC 2473 5.1: one Destination Options header of 8 bytes with the limit and padding. */
    static const uint8_t pad[3] = {1, 1, 0};
    ck_assert_uint_ge(len, 48);
    view->protocol = bytes[40];
    ck_assert_uint_eq(bytes[41], 0);
    ck_assert_uint_eq(bytes[42], 4);
    ck_assert_uint_eq(bytes[43], 1);
    ck_assert_mem_eq(bytes + 45, pad, sizeof(pad));
    view->encap_limit = true;
    view->limit = bytes[44];
    return 48;
}

static uint32_t dissect_udp(test_view *view, const uint8_t *bytes, uint32_t len)
{
    ck_assert_uint_ge(len, 8);
    ck_assert_uint_eq(test_load16(bytes + 4), len);
    view->udp = true;
    view->src_port = test_load16(bytes);
    view->dst_port = test_load16(bytes + 2);
    view->udp_checksum = test_load16(bytes + 6);
    if (view->udp_checksum != 0)
        ck_assert_uint_eq(test_sum(test_pseudo(&view->ip, PROTO_UDP, len), bytes, len), 0xffff);
    return 8;
}

static uint32_t dissect_gre(test_gre *gre, const uint8_t *bytes, uint32_t len)
{
    ck_assert_uint_ge(len, 4);
    gre->flags = test_load16(bytes);
    gre->protocol = test_load16(bytes + 2);
    ck_assert_uint_eq(gre->flags & 0x4fffu, 0);
    uint32_t at = 4;
    if (gre->flags & TEST_GRE_C) {
        ck_assert_uint_eq(test_sum(0, bytes, len), 0xffff);
        ck_assert_uint_eq(test_load16(bytes + 6), 0);
        at += 4;
    }
    if (gre->flags & TEST_GRE_K) {
        gre->key = test_load32(bytes + at);
        at += 4;
    }
    if (gre->flags & TEST_GRE_S) {
        gre->seq = test_load32(bytes + at);
        at += 4;
    }
    ck_assert_uint_ge(len, at);
    return at;
}

test_view test_dissect(const uint8_t *bytes, uint32_t len)
{
    test_view view = {.payload = 0};
    ck_assert_uint_ge(len, 1);
    uint32_t at =
        bytes[0] >> 4 == 4 ? dissect_ipv4(&view, bytes, len) : dissect_ipv6(&view, bytes, len);
    view.ip.src.family = view.family;
    view.ip.dst.family = view.family;
    if (view.protocol == PROTO_UDP)
        at += dissect_udp(&view, bytes + at, len - at);
    if (view.udp || view.protocol == PROTO_GRE)
        at += dissect_gre(&view.gre, bytes + at, len - at);
    view.payload = at;
    view.payload_len = len - at;
    return view;
}
