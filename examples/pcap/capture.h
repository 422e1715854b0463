/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * What the frames of a capture hold apart from tunnels: link layer, IP versions, TCP SYNs.
 */
#ifndef PCAP_CAPTURE_H
#define PCAP_CAPTURE_H

#include "source.h"

#include <jansson.h>
#include <tunnelcap/tunnelcap.h>

enum { CAPTURE_MSS_VALUES = 1 << 16 };

struct capture {
    int link_type;
    uint64_t ipv4;      /* frames */
    uint64_t ipv6;      /* frames */
    uint64_t other;     /* frames without a readable IP packet */
    uint64_t vlan;      /* IP frames with a VLAN tag */
    uint64_t syns;      /* SYN and SYN-ACK segments, within tunnels too */
    uint64_t no_mss;    /* of these: without MSS option */
    uint64_t tcp_ao;    /* of these: with TCP-AO, their MSS not looked at */
    uint64_t malformed; /* TCP segments whose header or options contradict themselves */
    uint64_t truncated; /* TCP segments that end within their header */
    uint64_t mss[2][CAPTURE_MSS_VALUES]; /* SYNs by value: bare ones, then those in a tunnel */
};

/* An empty one; NULL after a message if memory is short. */
struct capture *capture_new(int link_type);

/* Count a frame by what its link layer says. */
void capture_count_frame(struct capture *capture, const struct frame *frame);

/* Count an IP packet if it is a SYN. */
void capture_count_syn(struct capture *capture, const tunnelcap_pkt *pkt, bool tunnelled);

void capture_print(const struct capture *capture, FILE *out);

/* Add the members "link" and "syn". */
void capture_add_json(const struct capture *capture, json_t *object);

void capture_free(struct capture *capture);

#endif
