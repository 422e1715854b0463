/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * What tunnels have carried, over time: a history for each of the first `history_tunnels`, which
 * gets the tunnel's counters right after each second of the clock on the wall.
 */
#ifndef TUNNELCAP_GATEWAY_RECORDS_H
#define TUNNELCAP_GATEWAY_RECORDS_H

#include "config.h"

struct event;
struct event_base;
struct gateway;

/* The history of one tunnel. Names tell tunnels apart: ids may be given anew. */
typedef struct record {
    uint64_t id;
    char name[CONFIG_LONG_NAME_SIZE];
    tunnelcap_history *history;
} record;

typedef struct records {
    record *list; /* in the order of the configuration */
    size_t count;
    const struct gateway *gateway;
    struct event *clock; /* NULL while closed */
} records;

/* How fast a direction of a tunnel is. */
typedef struct records_rate {
    uint64_t bits_now; /* per second, in the last second that is over */
    uint64_t packets_now;
    uint64_t bits; /* per second, over the last minute, or what there is of it */
    uint64_t packets;
} records_rate;

/* Begin to keep records. False after a line that says what is wrong; the caller closes them then
 * too. */
bool records_open(records *r, const struct gateway *g, struct event_base *base);
void records_close(records *r);

/* The history of a tunnel, or NULL if it has none. */
const tunnelcap_history *records_find(const records *r, uint64_t id);

/* Tell the rates of a tunnel, by TUNNELCAP_ENCAP and TUNNELCAP_DECAP. False if none are known. */
bool records_rates(const records *r, uint64_t id, records_rate rates[2]);

#endif
