/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The clamp for one packet, for the table, which has checked the configuration once. */
#ifndef TUNNELCAP_I_MSS_H
#define TUNNELCAP_I_MSS_H

#include <tunnelcap/mss.h>

#include "ip.h"

/* Bytes that an inserted MSS option adds. */
enum { TUNNELCAP_I_MSS_INSERT = 4 };

/* A configuration with the floors applied. */
typedef struct tunnelcap_i_mss {
    uint16_t limit[2];  /* IPv4, IPv6; 0 leaves the family alone */
    uint16_t insert[2]; /* 0 inserts none */
    uint32_t l3_offset;
    uint32_t max; /* largest IP packet that an insertion may make */
} tunnelcap_i_mss;

int32_t tunnelcap_i_mss_read(tunnelcap_i_mss *mss, const tunnelcap_mss_config *config);

/* The same for a packet that may be a SYN and is not shorter than l3_offset. */
int32_t tunnelcap_i_mss_clamp_tcp(const tunnelcap_i_mss *mss, tunnelcap_pkt *pkt,
                                  const tunnelcap_meta *meta);

/* The same for a SYN in IPv4 without options, whose fixed TCP header is there. */
int32_t tunnelcap_i_mss_clamp_syn4(const tunnelcap_i_mss *mss, tunnelcap_pkt *pkt,
                                   const tunnelcap_meta *meta);

/* The status that tunnelcap_mss_clamp() documents, for a packet whose window is valid. Most are
 * plain IPv4 and no SYN; they are told apart without a call. */
static inline int32_t tunnelcap_i_mss_clamp(const tunnelcap_i_mss *mss, tunnelcap_pkt *pkt,
                                            const tunnelcap_meta *meta)
{
    const uint8_t *p;
    uint32_t len;

    if (pkt->len < mss->l3_offset)
        return TUNNELCAP_E_TRUNCATED;
    p = pkt->buf + pkt->off + mss->l3_offset;
    len = pkt->len - mss->l3_offset;
    if (len >= TUNNELCAP_I_IPV4_HEADER && p[0] == 0x45 &&
        tunnelcap_i_load16(p + 2) >= TUNNELCAP_I_IPV4_HEADER) {
        if (p[9] != TUNNELCAP_I_PROTO_TCP)
            return TUNNELCAP_NOT_SYN;
        /* The beginning of a segment, with all fixed TCP fields there. */
        if (len >= 40 && tunnelcap_i_load16(p + 2) >= 40 &&
            (tunnelcap_i_load16(p + 6) & 0x1fff) == 0)
            return p[33] & 2 ? tunnelcap_i_mss_clamp_syn4(mss, pkt, meta) : TUNNELCAP_NOT_SYN;
    }
    return tunnelcap_i_mss_clamp_tcp(mss, pkt, meta);
}

#endif
