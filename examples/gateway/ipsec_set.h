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
 * holds. `writer` writes the sequence numbers of the outbound one; without it that one is only
 * tried: none is made, and neither a sender id nor numbers are taken. False after lines that say
 * what is wrong; `next` is empty then. */
bool ipsec_set_load(ipsec_tunnel *tunnel, const tunnelcap_crypto *crypto, sequence_writer *writer);

/* Whether a set has this SA. */
bool ipsec_set_has(const ipsec_set *set, const tunnelcap_esp *esp);

/* End the SAs of a set that the other does not have, and empty it. They must be out of use. */
void ipsec_set_end(ipsec_set *set, const ipsec_set *other, tunnelcap_lane *lane);

#endif
