/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * What the threads that carry packets have to tell the one that controls them.
 */
#ifndef TUNNELCAP_GATEWAY_NOTICE_H
#define TUNNELCAP_GATEWAY_NOTICE_H

#include <pthread.h>
#include <stdbool.h>
#include <tunnelcap/tunnelcap.h>

enum {
    NOTICE_EVENTS = 1,  /* there may be events in a lane */
    NOTICE_TICK = 2,    /* something has come that tells of a path */
    NOTICE_NUMBERS = 4, /* an IPsec tunnel may need sequence numbers, or have got them */
    NOTICE_PEER = 8,    /* a far end is somewhere else */
    NOTICE_BROKEN = 16  /* the TUN device was taken away */
};

enum { NOTICE_MOST_PEERS = 64 };

/* Where verified packets of a tunnel come from. */
typedef struct notice_peer {
    uint64_t tunnel;
    tunnelcap_addr from;
    uint16_t port;
} notice_peer;

typedef struct notice {
    int fd; /* readable when there is something to take; -1 while closed */
    pthread_mutex_t mutex;
    uint32_t what;
    notice_peer peers[NOTICE_MOST_PEERS];
    unsigned peer_count;
} notice;

/* False after a line that says what is wrong; the caller closes it then too. */
bool notice_open(notice *n);
void notice_close(notice *n);

/* Tell something; from any thread. */
void notice_raise(notice *n, uint32_t what);

/* Tell where a tunnel's packets come from; the last word on each tunnel counts. */
void notice_raise_peer(notice *n, uint64_t tunnel, const tunnelcap_addr *from, uint16_t port);

/* Take all that has been told: returns NOTICE_ bits, and the peers. */
uint32_t notice_take(notice *n, notice_peer peers[NOTICE_MOST_PEERS], unsigned *peer_count);

#endif
