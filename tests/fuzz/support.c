/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_PACKET = 70000 };

void fuzz_check(bool holds, const char *text, const char *file, int line)
{
    if (holds)
        return;
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, text);
    abort();
}

uint8_t fuzz_u8(struct fuzz_input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->bytes++;
}

uint16_t fuzz_u16(struct fuzz_input *in)
{
    uint16_t high = fuzz_u8(in);

    return (uint16_t)(high << 8 | fuzz_u8(in));
}

uint32_t fuzz_u32(struct fuzz_input *in)
{
    uint32_t high = fuzz_u16(in);

    return high << 16 | fuzz_u16(in);
}

static uint8_t *allocate(size_t bytes)
{
    /* malloc(0) is wanted too: with one byte more, an access to an empty packet would hide. */
    uint8_t *mem = malloc(bytes);

    FUZZ_CHECK(mem != NULL || bytes == 0);
    return mem;
}

void fuzz_packet_init(struct fuzz_packet *packet, const uint8_t *bytes, size_t len, uint32_t head,
                      uint32_t tail)
{
    uint32_t take = len < LONGEST_PACKET ? (uint32_t)len : LONGEST_PACKET;
    uint32_t cap = head + take + tail;

    packet->pkt = (tunnelcap_pkt){
        .buf = allocate(cap), .cap = cap, .off = head, .len = take, .status = FUZZ_END};
    packet->pkt.user = packet;
    packet->copy = allocate(cap);
    memset(packet->pkt.buf, 0xa5, cap);
    if (take > 0)
        memcpy(packet->pkt.buf + head, bytes, take);
    fuzz_packet_snapshot(packet);
}

void fuzz_packet_fini(struct fuzz_packet *packet)
{
    free(packet->pkt.buf);
    free(packet->copy);
}

void fuzz_packet_snapshot(struct fuzz_packet *packet)
{
    packet->before = packet->pkt;
    memcpy(packet->copy, packet->pkt.buf, packet->pkt.cap);
}

uint8_t *fuzz_packet_start(const struct fuzz_packet *packet)
{
    return packet->pkt.buf + packet->pkt.off;
}

void fuzz_packet_check_window(const struct fuzz_packet *packet)
{
    const tunnelcap_pkt *now = &packet->pkt;

    FUZZ_CHECK(now->buf == packet->before.buf);
    FUZZ_CHECK(now->cap == packet->before.cap);
    FUZZ_CHECK(now->user == packet->before.user);
    FUZZ_CHECK((uint64_t)now->off + now->len <= now->cap);
}

void fuzz_packet_check_unchanged(const struct fuzz_packet *packet)
{
    fuzz_packet_check_window(packet);
    FUZZ_CHECK(packet->pkt.off == packet->before.off);
    FUZZ_CHECK(packet->pkt.len == packet->before.len);
    FUZZ_CHECK(memcmp(packet->pkt.buf, packet->copy, packet->pkt.cap) == 0);
}

void fuzz_check_status(int32_t status, const int32_t *allowed)
{
    while (*allowed != FUZZ_END && *allowed != status)
        allowed++;
    if (*allowed == FUZZ_END)
        fprintf(stderr, "status %d is not documented for this call\n", (int)status);
    FUZZ_CHECK(*allowed == status);
}

static tunnelcap_addr address(bool ipv6, uint8_t host)
{
    static const uint8_t prefix4[3] = {192, 0, 2};
    static const uint8_t prefix6[4] = {0x20, 0x01, 0x0d, 0xb8};
    tunnelcap_addr addr = {.family = ipv6 ? TUNNELCAP_IPV6 : TUNNELCAP_IPV4};

    if (ipv6) {
        memcpy(addr.bytes, prefix6, sizeof(prefix6));
        addr.bytes[15] = host;
    } else {
        memcpy(addr.bytes, prefix4, sizeof(prefix4));
        addr.bytes[3] = host;
    }
    return addr;
}

tunnelcap_addr fuzz_local(bool ipv6)
{
    return address(ipv6, 1);
}

tunnelcap_addr fuzz_remote(bool ipv6)
{
    return address(ipv6, 2);
}

tunnelcap_lane *fuzz_lane(void)
{
    static const uint8_t seed[TUNNELCAP_SEED_SIZE] = {1, 2, 3, 4, 5, 6, 7, 8};
    tunnelcap_lane_config config;
    tunnelcap_lane *lane = NULL;

    FUZZ_CHECK(tunnelcap_lane_config_init(&config, sizeof(config)) == TUNNELCAP_OK);
    FUZZ_CHECK(tunnelcap_lane_new(&config, seed, NULL, NULL, &lane) == TUNNELCAP_OK);
    return lane;
}
