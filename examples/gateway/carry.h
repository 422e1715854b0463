/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The data path: what has been read goes through the library, and what comes out of that goes
 * to where it belongs.
 */
#ifndef TUNNELCAP_GATEWAY_CARRY_H
#define TUNNELCAP_GATEWAY_CARRY_H

#include "gateway.h"

/* Carry the batch, inner packets from the TUN device, into tunnels. */
void carry_in(gateway *g);

/* Carry the batch, outer packets with their meta, out of tunnels; or, with `errors`, ICMP errors
 * about them. */
void carry_out(gateway *g, bool errors);

/* Do what time demands: let path MTUs age, and send probes. Returns after how many milliseconds to
 * call again. */
int64_t carry_tick(gateway *g);

#endif
