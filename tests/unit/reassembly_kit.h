/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Datagrams, and the fragments of them that a network, honest or hostile, delivers. */
#ifndef TUNNELCAP_TESTS_REASSEMBLY_KIT_H
#define TUNNELCAP_TESTS_REASSEMBLY_KIT_H

#include "support.h"

enum { KIT_SECOND = 1000000000 };

/* A datagram that is to be cut. */
typedef struct kit_whole {
    test_frame frame;
    uint32_t head;    /* bytes that every fragment begins with */
    uint32_t next_at; /* IPv6: where the header before the Fragment header names what follows */
    uint32_t id;
} kit_whole;

/* UDP datagrams of `len` bytes of IP payload, and any protocol with a payload of that length. */
void kit_udp4(kit_whole *whole, const char *src, uint32_t id, uint32_t len);
void kit_udp6(kit_whole *whole, const char *src, uint32_t id, uint32_t len);
void kit_any(kit_whole *whole, const test_ip *ip, uint8_t protocol, uint32_t id, uint32_t len);

/* Bytes of data that can be cut. */
uint32_t kit_data(const kit_whole *whole);

/* One fragment of it: `len` bytes of data from `off` on; returns the packet's length. */
uint32_t kit_piece(const kit_whole *whole, uint32_t off, uint32_t len, bool more, uint8_t *to);

/* Set an IPv4 packet's header checksum. */
void kit_seal(uint8_t *packet);

/* Give a packet in memory of exactly its size to the object; it must not be changed. What comes
 * out stands in kit_out, which has `kit_room` bytes behind a headroom of 32. */
int32_t kit_add(tunnelcap_reassembly *r, const uint8_t *packet, uint32_t len,
                const tunnelcap_meta *meta, uint64_t now_ns);
extern tunnelcap_pkt kit_out;
extern uint32_t kit_room;

/* The same with a fragment that is cut on the way. */
int32_t kit_send(tunnelcap_reassembly *r, const kit_whole *whole, uint32_t off, uint32_t len,
                 bool more, uint64_t now_ns);

/* That kit_out holds the datagram, byte for byte. */
void kit_is_whole(const kit_whole *whole);

/* An object from test_alloc(); 0 takes the defaults. */
tunnelcap_reassembly *kit_new(uint32_t sets, uint32_t bytes, uint32_t share);
tunnelcap_reassembly_stats kit_stats(const tunnelcap_reassembly *r);

#endif
