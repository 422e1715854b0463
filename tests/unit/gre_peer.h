/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* What the far end of a GRE tunnel sends us, honest or hostile. */
#ifndef TUNNELCAP_TESTS_GRE_PEER_H
#define TUNNELCAP_TESTS_GRE_PEER_H

#include "support.h"

#define PEER_US4   "192.0.2.1"
#define PEER_THEM4 "198.51.100.1"
#define PEER_US6   "2001:db8:a::1"
#define PEER_THEM6 "2001:db8:b::1"

enum { PEER_GRE = 47, PEER_UDP = 17 };

extern test_frame peer_frame;    /* the packet under construction */
extern const test_gre peer_bare; /* a header without options, before IPv4 */

/* Our end of the tunnel; the key expected, where flagged, is 77. */
tunnelcap_gre *peer_open4(uint32_t flags);
tunnelcap_gre *peer_open6(uint32_t flags);

/* The outer header of what comes in. */
test_ip peer_outer4(void);
test_ip peer_outer6(void);

/* An inner IPv4 packet in GRE, without outer header, and with one over IPv4. */
void peer_push_inner(const test_gre *gre, uint32_t size);
void peer_build4(const test_gre *gre, uint32_t size);

/* Decapsulate the frame; a refusal must not change it. */
int32_t peer_decap(tunnelcap_gre *gre, const tunnelcap_meta *meta);

/* Decapsulate the frame in a tunnel that is made for it. */
void peer_expect4(uint32_t flags, int32_t want);
void peer_expect6(uint32_t flags, int32_t want);

/* A test_feed of a tunnel. */
int32_t peer_feed(void *arg, tunnelcap_pkt *pkt);

#endif
