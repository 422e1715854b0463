/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "table_decap.h"

/* What may come out of a tunnel by its addresses. They are read from the fixed IP header, which
 * unwrapping has checked: a packet whose extension headers nobody can read has addresses, too. */

/* A prefix of addresses that may not travel. */
typedef struct martian {
    uint8_t prefix[16];
    uint8_t len;
    uint8_t as_src;
    uint8_t as_dst;
} martian;

/* tunnel.h has this list with the RFCs. */
static const martian martians4[] = {
    {{0}, 8, 1, 1}, {{127}, 8, 1, 1}, {{169, 254}, 16, 1, 1}, {{224}, 4, 1, 0}, {{240}, 4, 1, 1},
};
static const martian martians6[] = {
    {{0}, 96, 1, 1},
    {{[10] = 0xff, 0xff}, 96, 1, 1},
    {{0xfe, 0x80}, 10, 1, 1},
    {{0xff}, 8, 1, 0},
};

/* 1 if two addresses begin with the same `len` bits. */
static uint32_t same_prefix(const uint8_t *a, const uint8_t *b, uint32_t len)
{
    uint32_t bytes = len / 8;

    return memcmp(a, b, bytes) == 0 &&
           (len % 8 == 0 || ((a[bytes] ^ b[bytes]) & (0xff00 >> len % 8) & 0xff) == 0);
}

/* 1 if an address may not travel as a source, or as a destination. */
static uint32_t is_martian(const uint8_t *addr, uint32_t family, uint32_t as_dst)
{
    const martian *list = family == TUNNELCAP_IPV4 ? martians4 : martians6;
    size_t count = family == TUNNELCAP_IPV4 ? sizeof(martians4) / sizeof(martians4[0])
                                            : sizeof(martians6) / sizeof(martians6[0]);

    for (size_t i = 0; i < count; i++) {
        if ((as_dst ? list[i].as_dst : list[i].as_src) &&
            same_prefix(addr, list[i].prefix, list[i].len))
            return 1;
    }
    return family == TUNNELCAP_IPV6 && addr[0] == 0xff && (addr[1] & 0x0f) <= 1;
}

/* 1 if an address is one of the tunnel's own ends: /31 and /30, /127 and /126 are what such links
 * are given. */
static uint32_t is_end(const tunnelcap_i_tunnel *tunnel, const uint8_t *addr, uint32_t family)
{
    uint32_t is_ipv4 = family == TUNNELCAP_IPV4;
    const tunnelcap_addr *own = is_ipv4 ? &tunnel->interface4 : &tunnel->interface6;

    if (own->family == family && same_prefix(addr, own->bytes, is_ipv4 ? 30 : 126))
        return 1;
    return tunnel->probe.family == family &&
           memcmp(addr, tunnel->probe.bytes, is_ipv4 ? 4 : 16) == 0;
}

int32_t tunnelcap_i_inbound_check(const tunnelcap_i_run *run, const tunnelcap_i_tunnel *tunnel,
                                  const tunnelcap_pkt *pkt)
{
    const uint8_t *p = pkt->buf + pkt->off;
    uint32_t family = p[0] >> 4 == 4 ? TUNNELCAP_IPV4 : TUNNELCAP_IPV6;
    const uint8_t *src = p + (family == TUNNELCAP_IPV4 ? 12 : 8);
    const uint8_t *dst = src + (family == TUNNELCAP_IPV4 ? 4 : 16);
    uint32_t from_end = is_end(tunnel, src, family);

    if (tunnel->flags & TUNNELCAP_TUNNEL_MARTIANS) {
        if ((is_martian(src, family, 0) && !from_end) ||
            (is_martian(dst, family, 1) && !is_end(tunnel, dst, family)))
            return TUNNELCAP_E_MARTIAN;
    }
    if ((tunnel->flags & TUNNELCAP_TUNNEL_ANTI_SPOOF) && !from_end &&
        !tunnelcap_i_routes_lead_to(&run->view->routes, tunnel->vrf, family, src, tunnel->place))
        return TUNNELCAP_E_SPOOFED;
    return TUNNELCAP_OK;
}
