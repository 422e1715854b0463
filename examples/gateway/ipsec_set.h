/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * From a key file to the SAs of a tunnel.
 */
#ifndef TUNNELCAP_GATEWAY_IPSEC_SET_H
#define TUNNELCAP_GATEWAY_IPSEC_SET_H

#include "ipsec.h"

enum { IPSEC_MOST_IN = 128 }; /* inbound SAs of a tunnel */

/* Read the tunnel's key file and make `next` of it, with those SAs of `now` that the file still
 * holds. If this is a `trial`, the outbound one is only tried: none is made, and neither a sender
 * id nor numbers are taken. Threads may stand still after it, by ipsec_hold(). False after lines
 * that say what is wrong; `next` is empty then. */
bool ipsec_set_load(ipsec_tunnel *tunnel, ipsec *all, bool trial);

/* Whether a set has this SA. */
bool ipsec_set_has(const ipsec_set *set, const tunnelcap_esp *esp);

/* End the SAs of a set that the other does not have, and empty it. They must be out of use. Lanes
 * of the crew forget them; NULL if none can know them. Returns the numbers to give back. */
ipsec_unsent ipsec_set_end(ipsec_set *set, const ipsec_set *other, struct crew *threads);

/* Forget what has been made as `next`. */
void ipsec_set_drop(ipsec_tunnel *tunnel);

#endif
