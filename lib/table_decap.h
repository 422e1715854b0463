/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* What is on the way out of a tunnel beside the plain packet: fragments, and ICMP. */
#ifndef TUNNELCAP_I_TABLE_DECAP_H
#define TUNNELCAP_I_TABLE_DECAP_H

#include "table_data.h"

/* What an outer packet says of its tunnel. */
typedef struct tunnelcap_i_facts {
    tunnelcap_i_opened o;
    tunnelcap_i_key key; /* of a GRE or IP-in-IP tunnel, where there is a kind */
    int32_t stranger;    /* the status if there is no such tunnel */
    uint32_t has_spi;    /* 1: may be ESP */
    uint32_t spi;
} tunnelcap_i_facts;

/* Unwrap an outer packet that has been put together and go on with what it holds. Gives the status
 * for its result, or TUNNELCAP_I_DONE. */
int32_t tunnelcap_i_decap_whole(tunnelcap_i_run *run, tunnelcap_i_item *item, uint32_t outer_vrf);

/* Go on with an inner packet that has been put together. */
int32_t tunnelcap_i_deliver_whole(tunnelcap_i_run *run, tunnelcap_i_item *item,
                                  tunnelcap_i_tunnel *tunnel);

/* Run the jobs. */
void tunnelcap_i_decap_jobs(tunnelcap_i_run *run);

/* Give an outer fragment to reassembly, and go on with the datagram that it completes. Gives the
 * status for its result, TUNNELCAP_I_DONE, or TUNNELCAP_I_STOP. */
int32_t tunnelcap_i_outer_fragment(tunnelcap_i_run *run, tunnelcap_i_item *item,
                                   const tunnelcap_i_facts *f);

/* The same for an inner one, for which there is room if there is any at all; `extra` is the result
 * that was taken for the datagram beforehand, or NULL. */
int32_t tunnelcap_i_inner_fragment(tunnelcap_i_run *run, tunnelcap_i_item *item,
                                   tunnelcap_i_tunnel *tunnel, tunnelcap_result *extra);

/* Whether there is room for what may come of one more inner fragment: TUNNELCAP_OK or
 * TUNNELCAP_I_STOP. Jobs may run, and the item's result move, to make room. */
int32_t tunnelcap_i_inner_room(tunnelcap_i_run *run, tunnelcap_i_item *item);

/* Whether the addresses of an inner packet, IPv4 or IPv6, are what the tunnel lets out:
 * TUNNELCAP_OK, TUNNELCAP_E_MARTIAN or TUNNELCAP_E_SPOOFED. */
int32_t tunnelcap_i_inbound_check(const tunnelcap_i_run *run, const tunnelcap_i_tunnel *tunnel,
                                  const tunnelcap_pkt *pkt);

/* Learn from an ICMP message that came to an outer address. */
int32_t tunnelcap_i_outer_icmp(tunnelcap_i_run *run, tunnelcap_i_item *item, uint32_t outer_vrf);

/* 1 if an inner ICMP message is a probe's answer, or a request that is answered here; *status is
 * its result's then. */
uint32_t tunnelcap_i_take_echo(tunnelcap_i_run *run, tunnelcap_i_item *item,
                               tunnelcap_i_tunnel *tunnel, const tunnelcap_i_ip *ip,
                               int32_t *status);

/* 1 if an ICMP message to an outer address is a probe's answer. */
uint32_t tunnelcap_i_outer_echo(tunnelcap_i_run *run, tunnelcap_i_item *item, uint32_t outer_vrf);

/* Wrap what answers a packet that has come out of a tunnel: it goes back into it. */
int32_t tunnelcap_i_wrap_answer(tunnelcap_i_run *run, tunnelcap_i_item *item,
                                tunnelcap_i_tunnel *tunnel);

/* 1 if an inner packet answers the probe of its tunnel's path that is under way. */
uint32_t tunnelcap_i_is_answer(tunnelcap_i_tunnel *tunnel, const tunnelcap_pkt *pkt,
                               const tunnelcap_i_ip *ip);

#endif
