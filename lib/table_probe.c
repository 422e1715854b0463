/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "table_decap.h"

#include <tunnelcap/icmp.h>

/* Echoes that are for us: answers to probes, inside a tunnel or outside, and requests. */

/* What a probe says whose answer an echo is; 0 if it is none. Replies are never answered, and a
 * request that says the same is the far end's own probe, so only replies are answers. */
static uint32_t read_answer(tunnelcap_i_run *run, const tunnelcap_pkt *pkt,
                            const tunnelcap_icmp_echo *echo, tunnelcap_probe *probe)
{
    tunnelcap_i_watching *watching = &run->table->watching;
    uint8_t key[TUNNELCAP_PROBE_KEY];

    if (echo->type != TUNNELCAP_ECHO_REPLY || !TUNNELCAP_I_LOAD_ACQ(watching->has_key))
        return 0;
    tunnelcap_i_probe_key(watching, key);
    return tunnelcap_probe_read(pkt->buf + pkt->off + echo->payload, echo->payload_len, key,
                                probe) == TUNNELCAP_OK;
}

static void tell_answer(const tunnelcap_i_run *run, const tunnelcap_icmp_echo *echo,
                        const tunnelcap_probe *probe)
{
    tunnelcap_event event;

    memset(&event, 0, sizeof(event));
    event.now_ns = run->burst->now_ns;
    event.tunnel = probe->tunnel;
    event.server = probe->server;
    event.sent_ns = probe->sent_ns;
    event.value = probe->seq;
    event.addr = echo->src;
    event.kind = TUNNELCAP_EVENT_PROBE;
    tunnelcap_i_lane_tell(run->lane, &event);
}

/* Answer a request, if that fits the tunnel; one that does not is left to be delivered. */
static uint32_t answer(tunnelcap_i_run *run, tunnelcap_i_item *item, tunnelcap_i_tunnel *tunnel,
                       const tunnelcap_i_ip *ip, int32_t *status)
{
    enum { TTL = 64 };

    if (ip->total > tunnelcap_i_mtu_now(tunnel) || item->pkt->off < tunnel->headroom ||
        tunnelcap_icmp_echo_reply(item->pkt, TTL) != TUNNELCAP_OK)
        return 0;
    *status = tunnelcap_i_wrap_answer(run, item, tunnel);
    return 1;
}

uint32_t tunnelcap_i_take_echo(tunnelcap_i_run *run, tunnelcap_i_item *item,
                               tunnelcap_i_tunnel *tunnel, const tunnelcap_i_ip *ip,
                               int32_t *status)
{
    const tunnelcap_i_outer *outer = tunnelcap_i_tunnel_outer(tunnel);
    const tunnelcap_addr *own =
        ip->family == TUNNELCAP_IPV4 ? &tunnel->interface4 : &tunnel->interface6;
    const uint8_t *dst = ip->src + ip->addr_len;
    uint32_t is_inner = own->family == ip->family && memcmp(dst, own->bytes, ip->addr_len) == 0;
    tunnelcap_icmp_echo echo;
    tunnelcap_probe probe;

    if (outer == NULL || ip->fragment ||
        (!is_inner && (outer->family != ip->family ||
                       memcmp(dst, outer->match + ip->addr_len, ip->addr_len) != 0)))
        return 0;
    memset(&echo, 0, sizeof(echo));
    echo.size = sizeof(echo);
    if (tunnelcap_icmp_echo_read(item->pkt, NULL, &echo) != TUNNELCAP_OK)
        return 0;
    if (read_answer(run, item->pkt, &echo, &probe) && probe.tunnel == tunnel->id) {
        tell_answer(run, &echo, &probe);
        item->result->action = TUNNELCAP_DO_LOCAL;
        *status = TUNNELCAP_OK;
        return 1;
    }
    return is_inner && echo.type == TUNNELCAP_ECHO_REQUEST &&
           (tunnel->flags & TUNNELCAP_TUNNEL_ANSWER_ECHO) && answer(run, item, tunnel, ip, status);
}

uint32_t tunnelcap_i_outer_echo(tunnelcap_i_run *run, tunnelcap_i_item *item, uint32_t outer_vrf)
{
    tunnelcap_icmp_echo echo;
    tunnelcap_probe probe;
    uint32_t entry;

    memset(&echo, 0, sizeof(echo));
    echo.size = sizeof(echo);
    if (tunnelcap_icmp_echo_read(item->pkt, item->meta, &echo) != TUNNELCAP_OK ||
        !read_answer(run, item->pkt, &echo, &probe))
        return 0;
    entry = tunnelcap_i_find_id(run->table, run->view, probe.tunnel);
    if (entry != 0 &&
        tunnelcap_i_tunnel_in(run->table, run->view, entry - 1)->key.outer_vrf == outer_vrf)
        item->place = entry - 1;
    item->result->tunnel = probe.tunnel;
    item->result->action = TUNNELCAP_DO_LOCAL;
    tell_answer(run, &echo, &probe);
    return 1;
}
