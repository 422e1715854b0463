/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "hand.h"

#define INLINE      static inline __attribute__((always_inline))
#define OUT_OF_LINE static __attribute__((noinline))

enum { TCP = 6, SYN = 2, OPTION_MSS = 2, OPTION_AO = 29, OPTIONS_MAX = 10 };

/* Lower every MSS option of a SYN: first look at all, then write (TCP-AO forbids it). */
OUT_OF_LINE int32_t clamp_syn(uint8_t *tcp, uint32_t header, uint32_t limit)
{
    uint32_t found[OPTIONS_MAX], count = 0, at = 20;
    int32_t status = TUNNELCAP_MSS_SMALL;

    while (at < header && tcp[at] != 0) {
        uint32_t size = 1;

        if (tcp[at] != 1) {
            size = header - at < 2 ? 0 : tcp[at + 1];
            if (size < 2 || size > header - at || (tcp[at] == OPTION_MSS && size != 4)) {
                if (count == 0)
                    return TUNNELCAP_E_MALFORMED;
                break;
            }
            if (tcp[at] == OPTION_AO)
                return TUNNELCAP_MSS_PROTECTED;
            if (tcp[at] == OPTION_MSS)
                found[count++] = at + 2;
        }
        at += size;
    }
    if (count == 0)
        return TUNNELCAP_MSS_ABSENT;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t before = hand_load16(tcp + found[i]), after = limit;

        if (before <= limit)
            continue;
        hand_store16(tcp + found[i], limit);
        if (found[i] & 1) {
            before = (before << 8 | before >> 8) & 0xffff;
            after = (after << 8 | after >> 8) & 0xffff;
        }
        hand_store16(tcp + 16,
                     ~hand_fold((~hand_load16(tcp + 16) & 0xffff) + (~before & 0xffff) + after));
        status = TUNNELCAP_MSS_CLAMPED;
    }
    return status;
}

/* The TCP header at `at`, of a packet that is `end` bytes long as far as it is there. */
INLINE int32_t clamp_tcp(uint8_t *p, uint32_t at, uint32_t end, uint32_t limit)
{
    uint32_t header;

    if (end < at + 20)
        return TUNNELCAP_E_TRUNCATED;
    if (!(p[at + 13] & SYN))
        return TUNNELCAP_NOT_SYN;
    header = (uint32_t)(p[at + 12] >> 4) * 4;
    if (header < 20)
        return TUNNELCAP_E_MALFORMED;
    if (header > end - at)
        return TUNNELCAP_E_TRUNCATED;
    return clamp_syn(p + at, header, limit);
}

/* IPv6 with TCP right behind the header; with extension headers in between it is left alone. */
OUT_OF_LINE int32_t clamp_ipv6(uint8_t *p, uint32_t len, uint32_t limit)
{
    uint32_t end;

    if (len < 40)
        return TUNNELCAP_E_TRUNCATED;
    end = 40 + hand_load16(p + 4);
    if (p[6] != TCP || limit == 0)
        return TUNNELCAP_NOT_SYN;
    return clamp_tcp(p, 40, end < len ? end : len, limit);
}

INLINE int32_t clamp(uint8_t *p, uint32_t len, uint32_t limit4, uint32_t limit6)
{
    uint32_t header, end;

    if (len < 20)
        return len > 0 && p[0] >> 4 != 4 && p[0] >> 4 != 6 ? TUNNELCAP_E_MALFORMED
                                                           : TUNNELCAP_E_TRUNCATED;
    if (p[0] >> 4 != 4)
        return p[0] >> 4 == 6 ? clamp_ipv6(p, len, limit6) : TUNNELCAP_E_MALFORMED;
    header = (uint32_t)(p[0] & 15) * 4;
    end = hand_load16(p + 2);
    if (header < 20 || end < header)
        return TUNNELCAP_E_MALFORMED;
    if (header > len)
        return TUNNELCAP_E_TRUNCATED;
    if (p[9] != TCP || limit4 == 0)
        return TUNNELCAP_NOT_SYN;
    if (hand_load16(p + 6) & 0x1fff)
        return TUNNELCAP_FRAGMENT;
    return clamp_tcp(p, header, end < len ? end : len, limit4);
}

uint32_t hand_clamp(uint16_t limit4, uint16_t limit6, tunnelcap_pkt *pkts, uint32_t count)
{
    uint32_t changed = 0;

    for (uint32_t i = 0; i < count; i++) {
        tunnelcap_pkt *pkt = &pkts[i];

        pkt->status = hand_window(pkt) ? clamp(pkt->buf + pkt->off, pkt->len, limit4, limit6)
                                       : TUNNELCAP_E_INVALID;
        changed += pkt->status == TUNNELCAP_MSS_CLAMPED;
    }
    return changed;
}
