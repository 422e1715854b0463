/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The two halves of the way into a tunnel: packets that fit, and those that do not. */
#ifndef TUNNELCAP_I_TABLE_ENCAP_H
#define TUNNELCAP_I_TABLE_ENCAP_H

#include "table_data.h"

/* Clamp and wrap an inner packet that the tunnel carries and that has the headroom. Gives the
 * status for its result, or TUNNELCAP_I_DONE. If the outer packet is to be fragmented, there is
 * room for the pieces. */
int32_t tunnelcap_i_send(tunnelcap_i_run *run, tunnelcap_i_item *item, tunnelcap_i_tunnel *tunnel,
                         uint32_t mtu, tunnelcap_i_split split);

/* Run the jobs. */
void tunnelcap_i_encap_jobs(tunnelcap_i_run *run);

/* What becomes of a packet that, with `more` bytes that its own outer header takes beyond the
 * tunnel's, exceeds the inner MTU: as tunnelcap_i_send(), or
 * TUNNELCAP_I_STOP. */
int32_t tunnelcap_i_encap_large(tunnelcap_i_run *run, tunnelcap_i_item *item,
                                tunnelcap_i_tunnel *tunnel, const tunnelcap_i_ip *ip, uint32_t mtu,
                                uint32_t more);

/* Fragment an outer packet: at once, or when it was a job, whose note says what was taken. */
int32_t tunnelcap_i_split_outer(tunnelcap_i_run *run, tunnelcap_i_item *item,
                                tunnelcap_i_split split);
int32_t tunnelcap_i_split_sealed(tunnelcap_i_run *run, tunnelcap_i_item *item,
                                 const tunnelcap_i_note *note, int32_t status);

#endif
