/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Sockets that outer packets arrive at: for each local address and protocol in use.
 */
#ifndef TUNNELCAP_GATEWAY_LISTENER_H
#define TUNNELCAP_GATEWAY_LISTENER_H

#include "batch.h"
#include "config.h"
#include "ipsec.h"
#include "log.h"
#include "steer.h"

/* At most: IP in IP needs protocols 4 and 41, ESP 50 and UDP, and all need ICMP. */
enum { LISTENERS_PER_TUNNEL = 3 };

/* A socket for each thread, or for the first one alone; steer.h tells how packets are shared. */
typedef struct listener {
    int *fds; /* -1 where there is none */
    unsigned fd_count;
    uint8_t at;       /* TUNNELCAP_AT_: what the socket strips */
    uint8_t protocol; /* of IP */
    uint16_t port;    /* where the protocol is UDP, else 0 */
    bool answers;     /* of ICMP: echo replies, too */
    int payload;      /* STEER_ */
    const steer *steer;
    tunnelcap_addr local;
} listener;

typedef struct listeners {
    listener **list;
    size_t count;
    size_t room;
    steer steer;
    bool answers;       /* those for errors take echo replies, too */
    uint64_t overflows; /* of those that are closed */
} listeners;

/* For so many threads; nothing is listened at yet. False after a line that says what is wrong;
 * the caller closes them then too. */
bool listeners_open(listeners *all, unsigned threads);
void listeners_close(listeners *all);

/* Open what the tunnels of a configuration need and what is not open yet, behind those that are.
 * False after a line that says what is wrong; then some may have been added. */
bool listeners_add(listeners *all, const config *conf, const ipsec *keys);

/* Take answers to probes from outside of tunnels, where errors come; or take them no more. */
void listeners_take_answers(listeners *all, bool wanted);

/* Close all behind the first so many, when nobody uses them. */
void listeners_cut(listeners *all, size_t count);

/* Move those that no tunnel of a configuration needs behind the others; returns how many are
 * needed. */
size_t listeners_sort(listeners *all, const config *conf, const ipsec *keys);

/* Whether it gives ICMP, and not packets of tunnels. These are few, and for one thread. */
bool listener_has_errors(const listener *l);

/* Read packets of one thread's socket until there are no more or the batch is full. */
void listener_read(const listener *from, unsigned thread, batch *b, log_tally *errors);

/* How many packets the kernel has dropped for want of room in the sockets. */
uint64_t listeners_overflows(const listeners *all);

#endif
