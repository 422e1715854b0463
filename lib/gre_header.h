/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The GRE header, for the tunnel itself and for a look at a packet. */
#ifndef TUNNELCAP_I_GRE_HEADER_H
#define TUNNELCAP_I_GRE_HEADER_H

#include <tunnelcap/status.h>

#include "wire.h"

/* First 16 bits (RFC 2784 2.1, RFC 2890 2). */
enum {
    TUNNELCAP_I_GRE_C = 0x8000,
    TUNNELCAP_I_GRE_K = 0x2000,
    TUNNELCAP_I_GRE_S = 0x1000,
    TUNNELCAP_I_GRE_REFUSED = 0x4c00, /* routing, strict source route, bit 5: RFC 2784 2.3 */
    TUNNELCAP_I_GRE_VERSION = 0x0007
};

enum { TUNNELCAP_I_GRE_BARE = 4, TUNNELCAP_I_GRE_MAX = 16 };

typedef struct tunnelcap_i_gre_header {
    uint32_t len;
    uint32_t key; /* where K */
    uint32_t seq; /* where S */
    uint16_t flags;
    uint16_t protocol;
} tunnelcap_i_gre_header;

/* Read a GRE header of version 0 with `left` bytes there. Fields that are absent read as 0. */
static inline int32_t tunnelcap_i_gre_read(const uint8_t *p, uint32_t left,
                                           tunnelcap_i_gre_header *g)
{
    if (left < TUNNELCAP_I_GRE_BARE)
        return TUNNELCAP_E_TRUNCATED;
    g->flags = tunnelcap_i_load16(p);
    g->protocol = tunnelcap_i_load16(p + 2);
    g->len = TUNNELCAP_I_GRE_BARE;
    g->key = 0;
    g->seq = 0;
    if (g->flags == 0)
        return TUNNELCAP_OK;
    if (g->flags & TUNNELCAP_I_GRE_VERSION)
        return TUNNELCAP_E_GRE_VERSION;
    if (g->flags & TUNNELCAP_I_GRE_REFUSED)
        return TUNNELCAP_E_GRE_FLAGS;
    g->len += 4 * ((uint32_t)(g->flags >> 15) + ((g->flags >> 13) & 1) + ((g->flags >> 12) & 1));
    if (left < g->len)
        return TUNNELCAP_E_TRUNCATED;
    if (g->flags & TUNNELCAP_I_GRE_K)
        g->key = tunnelcap_i_load32(p + (g->flags & TUNNELCAP_I_GRE_C ? 8 : 4));
    if (g->flags & TUNNELCAP_I_GRE_S)
        g->seq = tunnelcap_i_load32(p + g->len - 4);
    return TUNNELCAP_OK;
}

#endif
