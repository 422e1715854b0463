/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Tunnels that were found in a capture, as entries of the table that carries packets out of them.
 */
#ifndef PCAP_DEPLOY_H
#define PCAP_DEPLOY_H

#include "plane.h"
#include "tunnels.h"

enum { DEPLOY_PATH_MTU = 1500 }; /* of the paths that no capture tells */

/* The policy of a tunnel with these flags, TUNNELCAP_TUNNEL_, whose clamp is by that inner MTU. */
tunnelcap_tunnel deploy_policy(uint32_t flags, uint32_t inner_mtu);

/* Largest inner packet of a GRE or IP-in-IP tunnel on a path of DEPLOY_PATH_MTU; 0 after a
 * failure. */
uint32_t deploy_inner_mtu(const struct tunnel *tunnel);

/* Enter a GRE or IP-in-IP tunnel into a table in change, with no demands on checksums. */
int32_t deploy_tunnel(struct plane *plane, uint64_t id, const struct tunnel *tunnel,
                      const tunnelcap_tunnel *policy);

#endif
