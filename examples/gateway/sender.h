/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The way out for packets that are whole, and of ICMP errors: raw sockets that take IP packets as
 * they are, fragments included.
 */
#ifndef TUNNELCAP_GATEWAY_SENDER_H
#define TUNNELCAP_GATEWAY_SENDER_H

#include "batch.h"
#include "config.h"
#include "endpoint.h"
#include "log.h"

#include <sys/socket.h>

/* Packets of one family that wait for the end of the burst. */
typedef struct sender_queue {
    int fd; /* -1 if there is none */
    unsigned count;
    tunnelcap_pkt *pkts[BATCH_RESULTS];
    struct mmsghdr messages[BATCH_RESULTS];
    struct iovec places[BATCH_RESULTS];
    endpoint targets[BATCH_RESULTS];
} sender_queue;

/* A packet that our own link does not take, and the largest that it does. */
typedef struct sender_refusal {
    tunnelcap_pkt *pkt;
    uint32_t mtu;
} sender_refusal;

typedef struct sender {
    sender_queue v4;
    sender_queue v6;
    sender_refusal too_big[BATCH_SIZE]; /* of the last flush */
    unsigned too_big_count;
    log_tally errors;
} sender;

/* Open a socket for each family; that for IPv6 may be missing if no tunnel is over IPv6. False
 * after a line that says what is wrong; the caller closes it then too. */
bool sender_open(sender *s, const config *conf);
void sender_close(sender *s);

/* Add a whole IP packet, at most BATCH_RESULTS before they are sent. It must stay until then. */
void sender_add(sender *s, tunnelcap_pkt *pkt);

/* Send what was added. What the kernel refuses is counted and gone, but for the first BATCH_SIZE
 * that are larger than the link's MTU: these stand in `too_big`. */
void sender_flush(sender *s);

#endif
