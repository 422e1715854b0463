/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * What tunnels have carried, over time: the table keeps the histories of the first
 * `history_tunnels`.
 */
#ifndef TUNNELCAP_GATEWAY_RECORDS_H
#define TUNNELCAP_GATEWAY_RECORDS_H

#include <stdbool.h>
#include <stdint.h>
#include <tunnelcap/tunnelcap.h>

struct gateway;

/* How fast a direction of a tunnel is. */
typedef struct records_rate {
    uint64_t bits_now; /* per second, in the last second that is over */
    uint64_t packets_now;
    uint64_t bits; /* per second, over the last minute, or what there is of it */
    uint64_t packets;
} records_rate;

/* Have histories of what the configuration has now. A line tells of tunnels that there is no room
 * for. */
void records_keep(struct gateway *g);

/* The history of a tunnel, or NULL if it has none. */
const tunnelcap_history *records_find(const struct gateway *g, uint64_t id);

/* Tell the rates of a tunnel, by TUNNELCAP_ENCAP and TUNNELCAP_DECAP. False if none are known. */
bool records_rates(const struct gateway *g, uint64_t id, records_rate rates[2]);

#endif
