/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Tunnels that were found in a capture, as entries of the table that carries packets out of them.
 */
#ifndef PCAP_DEPLOY_H
#define PCAP_DEPLOY_H

#include "keyring.h"
#include "plane.h"
#include "tunnels.h"

enum { DEPLOY_PATH_MTU = 1500 }; /* of the paths that no capture tells */

/* The policy of a tunnel with these flags, TUNNELCAP_TUNNEL_, whose clamp is by that inner MTU. */
tunnelcap_tunnel deploy_policy(uint32_t flags, uint32_t inner_mtu);

/*
 * Make a table of all tunnels of a capture, with these flags, TUNNELCAP_TUNNEL_, and no demands on
 * checksums. Tunnels get ids from 1 on in their order, SAs those behind them; what becomes of each
 * stands in its status. Without flags nothing but RFC 6040 changes a packet. False after a message.
 */
bool deploy_all(struct plane *plane, const struct tunnel_set *set, struct keyring *ring,
                uint32_t flags);

#endif
