/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The way out for outer packets: raw sockets that take IP packets as they are.
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
    int fd; /* -1 if no tunnel is of this family */
    unsigned count;
    struct mmsghdr messages[BATCH_SIZE];
    struct iovec places[BATCH_SIZE];
    endpoint targets[BATCH_SIZE];
} sender_queue;

typedef struct sender {
    sender_queue v4;
    sender_queue v6;
    log_tally errors;
} sender;

/* Open what the tunnels need. False after a line that says what is wrong; the caller closes it
 * then too. */
bool sender_open(sender *s, const config *conf);
void sender_close(sender *s);

/* Add a whole IP packet, at most BATCH_SIZE before they are sent. */
void sender_add(sender *s, const tunnelcap_pkt *pkt);

/* Send what was added. What the kernel refuses is counted and gone. */
void sender_flush(sender *s);

#endif
