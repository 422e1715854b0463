/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The TUN device: where inner packets come from and go to. It has a queue for each thread.
 */
#ifndef TUNNELCAP_GATEWAY_TUN_H
#define TUNNELCAP_GATEWAY_TUN_H

#include "batch.h"
#include "config.h"
#include "log.h"

/* One thread's queue. */
typedef struct tun_queue {
    int in_fd;          /* packets that the kernel routes here; -1 while closed */
    int out_fd;         /* packets for the kernel: the same, if there is but one queue */
    uint64_t multicast; /* packets read that no tunnel here takes */
    log_tally read_errors;
    log_tally write_errors;
} tun_queue;

typedef struct tun {
    config_device name;
    unsigned device; /* its interface index */
    tun_queue *queues;
    unsigned count;
} tun;

/* Make the device with its addresses and routes. False after a line that says what is wrong; the
 * caller closes the device then too. */
bool tun_open(tun *t, const config *conf);

/* Everything that tun_open() made goes with the device. */
void tun_close(tun *t);

/* While it is open, give the device the addresses and routes of a configuration that another one
 * has not, or take them away. tun_add() looks at the ways of outer packets too; false after a line
 * that says what is wrong: then it has changed nothing. */
bool tun_add(tun *t, const config *conf, const config *other);
void tun_remove(tun *t, const config *conf, const config *other);

/* Read packets until there are no more or the batch is full. False if the device is gone. */
bool tun_read(tun_queue *q, batch *b);

void tun_write(tun_queue *q, const tunnelcap_pkt *pkt);

#endif
