/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The gateway: threads that carry inner packets from the TUN device through the library and out
 * as outer packets, and the other way round (crew.h), and the control thread, which is here. It
 * alone changes the table, reads what lanes tell, and answers at the control socket.
 */
#ifndef TUNNELCAP_GATEWAY_GATEWAY_H
#define TUNNELCAP_GATEWAY_GATEWAY_H

#include "config.h"
#include "crew.h"
#include "egress.h"
#include "ipsec.h"
#include "listener.h"
#include "merging.h"
#include "notice.h"
#include "tun.h"
#include "view.h"

struct event;
struct event_base;

typedef struct gateway {
    const char *file;
    config *conf; /* what the file said when it was read last */
    struct event_base *base;
    struct event **events; /* all that are on the base */
    size_t event_count;
    tunnelcap_table *table;
    config_room room; /* of the table */
    carry_shared shared;
    carrier carrier; /* of the control thread: probes, and keepalives */
    crew crew;
    notice notice;
    tun tun;
    ipsec ipsec;
    listeners listeners;
    egress egress;
    merging merging;
    view view;
    int64_t started_ms;
    bool broken;        /* the TUN device was taken away */
    struct event *tick; /* when path MTUs want attention; one of the events */
} gateway;

/* Run until SIGINT or SIGTERM. The configuration, which config_load() has read from `file`, is the
 * gateway's from now on; `control_path` is the path of the control socket. Returns the program's
 * exit status. */
int gateway_run(config *conf, const char *file, const char *control_path);

/* Have what depends on it follow when the configuration has changed. */
void gateway_follow_config(gateway *g);

#endif
