/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The inside of an IP-in-IP tunnel, for the table. */
#ifndef TUNNELCAP_I_IPIP_H
#define TUNNELCAP_I_IPIP_H

#include <tunnelcap/ipip.h>

#include "outer.h"

struct tunnelcap_ipip {
    tunnelcap_i_outer outer;
    uint32_t flags;
    uint32_t plain_in; /* 1: decap_plain() serves */
};

/* Build a tunnel from the caller's configuration; *ipip is unspecified on failure. */
int32_t tunnelcap_i_ipip_place(tunnelcap_ipip *ipip, const tunnelcap_ipip_config *config);

/* One packet of tunnelcap_ipip_encap() and of tunnelcap_ipip_decap(); its window is valid. */
int32_t tunnelcap_i_ipip_encap(const tunnelcap_ipip *ipip, tunnelcap_lane *lane, tunnelcap_pkt *pkt,
                               const tunnelcap_meta *meta);
int32_t tunnelcap_i_ipip_decap(const tunnelcap_ipip *ipip, tunnelcap_pkt *pkt,
                               const tunnelcap_meta *meta);

#endif
