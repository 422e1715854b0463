/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Datagrams, and the fragments of them that a network, honest or hostile, delivers. */
#ifndef TUNNELCAP_TESTS_REASSEMBLY_KIT_H
#define TUNNELCAP_TESTS_REASSEMBLY_KIT_H

#include "support.h"

enum { FRAG_SECOND = 1000000000 };

/* A datagram that is to be cut. */
typedef struct frag_whole {
    test_frame frame;
    uint32_t head;    /* bytes that every fragment begins with */
    uint32_t next_at; /* IPv6: where the header before the Fragment header names what follows */
    uint32_t id;
} frag_whole;

/* UDP datagrams of `len` bytes of IP payload, and any protocol with a payload of that length. */
void frag_udp4(frag_whole *whole, const char *src, uint32_t id, uint32_t len);
void frag_udp6(frag_whole *whole, const char *src, uint32_t id, uint32_t len);
void frag_any(frag_whole *whole, const test_ip *ip, uint8_t protocol, uint32_t id, uint32_t len);

/* Bytes of data that can be cut. */
uint32_t frag_data(const frag_whole *whole);

/* One fragment of it: `len` bytes of data from `off` on; returns the packet's length. */
uint32_t frag_piece(const frag_whole *whole, uint32_t off, uint32_t len, bool more, uint8_t *to);

/* Set an IPv4 packet's header checksum. */
void frag_seal(uint8_t *packet);

/* Give a packet in memory of exactly its size to the object; it must not be changed. What comes
 * out stands in frag_out, which has `frag_room` bytes behind a headroom of 32. */
int32_t frag_add(tunnelcap_reassembly *r, const uint8_t *packet, uint32_t len,
                 const tunnelcap_meta *meta, uint64_t now_ns);
extern tunnelcap_pkt frag_out;
extern uint32_t frag_room;

/* The same with a fragment that is cut on the way. */
int32_t frag_send(tunnelcap_reassembly *r, const frag_whole *whole, uint32_t off, uint32_t len,
                  bool more, uint64_t now_ns);

/* That frag_out holds the datagram, byte for byte. */
void frag_is_whole(const frag_whole *whole);

/* An object from test_alloc(); 0 takes the defaults. */
tunnelcap_reassembly *frag_new(uint32_t sets, uint32_t bytes, uint32_t share);
tunnelcap_reassembly_stats frag_stats(const tunnelcap_reassembly *r);

#endif
