/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Between the library's addresses and those of sockets.
 */
#ifndef TUNNELCAP_GATEWAY_ENDPOINT_H
#define TUNNELCAP_GATEWAY_ENDPOINT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <tunnelcap/tunnelcap.h>

typedef union endpoint {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} endpoint;

/* Returns the size to give to system calls. */
static inline socklen_t endpoint_set(endpoint *e, const tunnelcap_addr *address, uint16_t port)
{
    memset(e, 0, sizeof *e);
    if (address->family == TUNNELCAP_IPV4) {
        e->v4.sin_family = AF_INET;
        e->v4.sin_port = htons(port);
        memcpy(&e->v4.sin_addr, address->bytes, sizeof e->v4.sin_addr);
        return sizeof e->v4;
    }
    e->v6.sin6_family = AF_INET6;
    e->v6.sin6_port = htons(port);
    memcpy(&e->v6.sin6_addr, address->bytes, sizeof e->v6.sin6_addr);
    return sizeof e->v6;
}

static inline void endpoint_get(const endpoint *e, tunnelcap_addr *address, uint16_t *port)
{
    memset(address, 0, sizeof *address);
    if (e->any.sa_family == AF_INET) {
        address->family = TUNNELCAP_IPV4;
        memcpy(address->bytes, &e->v4.sin_addr, sizeof e->v4.sin_addr);
        *port = ntohs(e->v4.sin_port);
        return;
    }
    address->family = TUNNELCAP_IPV6;
    memcpy(address->bytes, &e->v6.sin6_addr, sizeof e->v6.sin6_addr);
    *port = ntohs(e->v6.sin6_port);
}

#endif
