/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The gateway: inner packets from the TUN device go through the library and out as outer
 * packets, and the other way round, in one thread.
 */
#ifndef TUNNELCAP_GATEWAY_GATEWAY_H
#define TUNNELCAP_GATEWAY_GATEWAY_H

#include "batch.h"
#include "config.h"
#include "egress.h"
#include "ipsec.h"
#include "listener.h"
#include "merging.h"
#include "sender.h"
#include "tun.h"
#include "view.h"

struct event;
struct event_base;

struct gateway;

/* What is needed when packets have come to a listener. */
typedef struct gateway_arrival {
    struct gateway *gateway;
    const listener *from;
} gateway_arrival;

typedef struct gateway {
    const config *conf;
    struct event_base *base;
    struct event **events; /* all that are on the base */
    size_t event_count;
    tunnelcap_table *table;
    tunnelcap_lane *lane;
    batch batch;
    tun tun;
    ipsec ipsec;
    listeners listeners;
    gateway_arrival *arrivals; /* one for each listener */
    sender sender;
    egress egress;
    merging merging;
    view view;
    int64_t started_ms;
    int64_t now_ms;         /* when the burst at hand came */
    int64_t *last_ms;       /* for each tunnel: when it last carried a packet, 0 for never */
    uint64_t undeliverable; /* packets out of tunnels that are not IP */
    bool broken;            /* the TUN device was taken away */
    bool tick_soon;         /* something has come that tells of a path */
    struct event *tick;     /* when path MTUs want attention; one of the events */
    tunnelcap_reassembly *reassembly; /* NULL if no tunnel reassembles inner packets */
} gateway;

/* Run until SIGINT or SIGTERM. `control` is the path of the control socket. Returns the
 * program's exit status. */
int gateway_run(const config *conf, const char *control_path);

#endif
