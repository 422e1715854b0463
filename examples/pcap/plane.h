/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The library's data path as this program uses it: one table, one lane, bursts of a batch.
 */
#ifndef PCAP_PLANE_H
#define PCAP_PLANE_H

#include "source.h"

#include <tunnelcap/tunnelcap.h>

struct plane {
    tunnelcap_table *table;
    tunnelcap_lane *lane;
    tunnelcap_result results[SOURCE_BATCH]; /* of the last burst, one for each packet in order */
};

/* A call of the data path: tunnelcap_table_encap() or tunnelcap_table_decap(). */
typedef int32_t plane_call(tunnelcap_lane *lane, tunnelcap_burst *burst);

/* Draw a seed from the system. False after a message. */
bool plane_draw_seed(uint8_t seed[TUNNELCAP_SEED_SIZE]);

/* Make a lane that works with a provider, or NULL, and keeps that many keys ready. False after a
 * message. */
bool plane_open_lane(tunnelcap_lane **lane, const tunnelcap_crypto *crypto, uint32_t keys);

/* Make a table with room for that many tunnels and SAs of a provider, or NULL, and begin its
 * change. False after a message. */
bool plane_open(struct plane *plane, uint32_t tunnels, uint32_t sas,
                const tunnelcap_crypto *crypto);

/* Commit the change of the table and let the lane use it. False after a message. */
bool plane_start(struct plane *plane);

/* Carry a burst of at most SOURCE_BATCH packets into `results`. False after a message. */
bool plane_carry(struct plane *plane, plane_call *call, tunnelcap_pkt *pkts, uint32_t count,
                 uint64_t now_ns);

/* End it; harmless on a plane that could not be opened. */
void plane_close(struct plane *plane);

#endif
