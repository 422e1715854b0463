/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Outer packets, shared out among threads in the kernel.
 *
 * Each thread has a socket of its own for each local address and protocol. Of raw sockets every
 * one is offered every packet, so each gets a filter that takes one share of them and leaves the
 * others; of UDP sockets that share a port (SO_REUSEPORT) a program chooses one. Either way it is
 * one arithmetic over the packet's own bytes, so that each packet belongs to exactly one thread,
 * and what must stay together does:
 *
 *   GRE, IP in IP   inner addresses: a flow keeps its order, and all fragments of a datagram come
 *                   to one thread, since ports have no part in it
 *   GRE with        outer source: the tunnel's packets have an order of their own
 *   sequence number
 *   ESP             SPI: the order of an SA, and a replay window that one thread moves
 *   anything else   the first thread, also what is too short to tell
 *
 * The kernel's own hash (SKF_AD_RXHASH) would not do: it is not known yet when a packet comes to
 * one socket and may be when it comes to the next, which makes two threads take it, or none.
 * A random key keeps strangers from aiming all their flows at one thread.
 */
#ifndef TUNNELCAP_GATEWAY_STEER_H
#define TUNNELCAP_GATEWAY_STEER_H

#include <stdbool.h>
#include <stdint.h>

/* What is in the packets of a socket; FIRST has no filter, and one thread reads it. */
enum { STEER_FIRST, STEER_GRE, STEER_IPV4, STEER_IPV6, STEER_ESP };

typedef struct steer {
    uint32_t start;      /* random */
    uint32_t multiplier; /* random and odd */
    unsigned shares;     /* threads */
} steer;

/* Choose the random key. False after a line that says what is wrong. */
bool steer_open(steer *s, unsigned shares);

/* Have a raw socket take this share; `ipv6` tells the family of its outer packets. False with
 * errno. */
bool steer_raw(const steer *s, int fd, int payload, bool ipv6, unsigned share);

/* Have a group of UDP sockets that share a port choose by payload; any of them will do, once all
 * are bound. False with errno. */
bool steer_udp(const steer *s, int fd, int payload, bool ipv6);

#endif
