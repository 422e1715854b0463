/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "table_decap.h"

#include <tunnelcap/icmp.h>

/* ICMP: errors that we send to inner senders, errors that come from the paths of tunnels, answers
 * to probes. */

enum { ICMP_BURST = 10 }; /* RFC 4443 2.4 (f) */

/* The limit of this lane for errors of a tunnel, begun anew when its rate has changed; all tunnels
 * without details share one. */
static tunnelcap_icmp_limit *limit_of(const tunnelcap_i_run *run, const tunnelcap_i_tunnel *tunnel)
{
    tunnelcap_i_detail *detail = tunnelcap_i_run_detail(run, tunnel->place);
    tunnelcap_icmp_limit *limit = &detail->limit;
    uint32_t shared = detail == tunnelcap_i_detail_at(run->table, run->lane->slot, 0);

    if (tunnel->icmp_rate == 0)
        return NULL;
    if (shared ? limit->rate == 0 : limit->rate != tunnel->icmp_rate)
        tunnelcap_icmp_limit_init(limit, tunnel->icmp_rate, ICMP_BURST);
    return limit;
}

static void start_error(const tunnelcap_i_tunnel *tunnel, tunnelcap_icmp_error *error)
{
    tunnelcap_icmp_error_init(error, sizeof(*error));
    error->src4 = tunnel->interface4;
    error->src6 = tunnel->interface6;
}

/* What to say about a status; 0 if there is no ICMP error for it. */
static uint32_t set_error(tunnelcap_icmp_error *error, int32_t status, uint32_t value)
{
    switch (status) {
    case TUNNELCAP_E_TOO_BIG:
        error->kind = TUNNELCAP_ICMP_TOO_BIG;
        error->mtu = value;
        return 1;
    case TUNNELCAP_E_TTL:
        error->kind = TUNNELCAP_ICMP_TIME_EXCEEDED;
        break;
    case TUNNELCAP_E_ENCAP_LIMIT: /* RFC 2473 4.1.1 */
        error->kind = TUNNELCAP_ICMP_PARAMETER;
        error->pointer = value;
        break;
    default:
        return 0;
    }
    error->code4 = 0;
    error->code6 = 0;
    return 1;
}

/* Let the error about a packet be no larger than what the tunnel carries: its quote is cut. */
static void cut_quote(const tunnelcap_i_tunnel *tunnel, tunnelcap_pkt *pkt)
{
    uint32_t mtu = tunnelcap_i_mtu_now(tunnel);
    uint32_t header =
        pkt->buf[pkt->off] >> 4 == 4 ? TUNNELCAP_ICMP_HEADROOM4 : TUNNELCAP_ICMP_HEADROOM6;
    uint32_t most = mtu > header ? mtu - header : 0;

    if (pkt->len > most)
        pkt->len = most;
}

int32_t tunnelcap_i_wrap_answer(tunnelcap_i_run *run, tunnelcap_i_item *item,
                                tunnelcap_i_tunnel *tunnel)
{
    tunnelcap_result *result = item->result;
    /* The job that this takes is the lane's first one, which is done with. */
    int32_t status = tunnelcap_i_wrap(tunnel, run->lane, item->pkt);

    if (status < TUNNELCAP_OK)
        return status;
    result->l3_len = (uint8_t)tunnelcap_i_wrapped_ip_len(tunnel, item->pkt);
    result->l4_len = tunnelcap_i_in_udp(tunnel) ? TUNNELCAP_I_UDP_HEADER : 0;
    result->vrf = tunnel->key.outer_vrf;
    result->action = TUNNELCAP_DO_REPLY;
    return TUNNELCAP_OK;
}

/* Send an error about what has come out of a tunnel back into it. */
static int32_t wrap_error(tunnelcap_i_run *run, tunnelcap_i_item *item, tunnelcap_i_tunnel *tunnel,
                          int32_t status)
{
    if (tunnelcap_i_wrap_answer(run, item, tunnel) == TUNNELCAP_OK)
        tunnelcap_i_count_add(&tunnelcap_i_run_rare(run, item->place)->icmp_sent, 1);
    return status;
}

int32_t tunnelcap_i_refuse(tunnelcap_i_run *run, tunnelcap_i_item *item, tunnelcap_i_tunnel *tunnel,
                           int32_t status, uint32_t value)
{
    tunnelcap_result *result = item->result;
    tunnelcap_icmp_error error;
    const tunnelcap_meta *meta = run->direction == TUNNELCAP_ENCAP ? item->meta : NULL;
    uint32_t len = item->pkt->len;

    if (status == TUNNELCAP_E_TOO_BIG)
        result->value = value;
    start_error(tunnel, &error);
    if (!(tunnel->flags & TUNNELCAP_TUNNEL_ICMP) || !set_error(&error, status, value))
        return status;
    if (run->direction == TUNNELCAP_DECAP)
        cut_quote(tunnel, item->pkt);
    if (tunnelcap_icmp_error_build(item->pkt, meta, &error, limit_of(run, tunnel),
                                   run->burst->now_ns) != TUNNELCAP_OK) {
        item->pkt->len = len;
        return status;
    }
    if (run->direction == TUNNELCAP_DECAP)
        return wrap_error(run, item, tunnel, status);
    result->l3_len = item->pkt->buf[item->pkt->off] >> 4 == 4 ? TUNNELCAP_I_IPV4_HEADER
                                                              : TUNNELCAP_I_IPV6_HEADER;
    result->vrf = meta == NULL ? 0 : meta->vrf;
    result->action = TUNNELCAP_DO_REPLY;
    tunnelcap_i_count_add(&tunnelcap_i_run_rare(run, item->place)->icmp_sent, 1);
    return status;
}

/* 1 if a quoted GRE packet may be a tunnel's: the key that it sends, where that was quoted. */
static uint32_t is_gre_of(const tunnelcap_gre *gre, const tunnelcap_icmp_result *r)
{
    uint32_t keyed = gre->flags & TUNNELCAP_GRE_KEY_OUT;
    uint32_t at = gre->gre_at + (gre->flags & TUNNELCAP_GRE_CHECKSUM ? 8u : 4u);

    if (r->flags & TUNNELCAP_ICMP_NO_KEY)
        return !keyed;
    return !(r->flags & TUNNELCAP_ICMP_KEY) ||
           (keyed && tunnelcap_i_load32(gre->outer.header + at) == r->key);
}

/* 1 if a quoted ESP packet may be one that an SA has sent. */
static uint32_t is_esp_of(tunnelcap_esp *esp, const tunnelcap_icmp_result *r)
{
    uint64_t next = TUNNELCAP_I_LOAD(esp->seq_next);

    if ((r->flags & TUNNELCAP_ICMP_KEY) && r->key != esp->spi)
        return 0;
    return !(r->flags & TUNNELCAP_ICMP_SEQUENCE) ||
           (uint32_t)((uint32_t)next - 1 - r->seq) < next - esp->seq_first;
}

/* The same for the SA that a tunnel sends by, and those that it has sent by until recently. */
static uint32_t is_esp_of_any(const tunnelcap_i_run *run, const tunnelcap_i_tunnel *tunnel,
                              const tunnelcap_icmp_result *r)
{
    uint32_t entry = 0;

    while ((entry = tunnelcap_i_sa_next(run->table, run->view, tunnel->place, entry)) != 0) {
        const tunnelcap_i_sa *sa = &run->view->sas[entry - 1];

        if (sa->direction == TUNNELCAP_ESP_OUT && sa->state >= TUNNELCAP_SA_OUT_ACTIVE &&
            is_esp_of(sa->esp, r))
            return 1;
    }
    return 0;
}

/* 1 if a quoted UDP datagram has a tunnel's ports; a source port by flow is any. */
static uint32_t has_ports(const tunnelcap_icmp_result *r, uint16_t src_port, uint16_t dst_port)
{
    return (r->flags & TUNNELCAP_ICMP_PORTS) && r->dst_port == dst_port &&
           (src_port == 0 || r->src_port == src_port);
}

/* 1 if a quoted packet may be a tunnel's, which has its addresses. What does not even quote eight
 * bytes behind them, or a later fragment, is not believed: anyone could say that, and where a later
 * fragment does not pass, the first one does not either. Those hold the ports, or the SPI and the
 * number, or the beginning of GRE. */
static uint32_t is_about(const tunnelcap_i_run *run, const tunnelcap_i_tunnel *tunnel,
                         const tunnelcap_icmp_result *r)
{
    uint32_t udp = tunnelcap_i_in_udp(tunnel);
    const tunnelcap_i_outer *sent;

    if (tunnelcap_i_needs_sa(tunnel))
        return 0;
    if (udp != (r->ip_protocol == TUNNELCAP_I_PROTO_UDP))
        return 0;
    switch (tunnel->sa != NULL ? TUNNELCAP_KIND_ESP : tunnel->key.kind) {
    case TUNNELCAP_KIND_GRE:
        if (!udp)
            return r->ip_protocol == TUNNELCAP_I_PROTO_GRE && r->protocol != 0 &&
                   is_gre_of(&tunnel->as.gre, r);
        return has_ports(r, tunnel->as.gre.udp_src_port, tunnel->key.udp_port) &&
               is_gre_of(&tunnel->as.gre, r);
    case TUNNELCAP_KIND_IPIP:
        return r->ip_protocol == TUNNELCAP_I_PROTO_IPV4 || r->ip_protocol == TUNNELCAP_I_PROTO_IPV6;
    default:
        sent = tunnelcap_i_sa_outer(tunnel);
        if (!udp)
            return r->ip_protocol == TUNNELCAP_I_PROTO_ESP &&
                   (r->flags & TUNNELCAP_ICMP_SEQUENCE) && is_esp_of_any(run, tunnel, r);
        if (r->tunnel == TUNNELCAP_KIND_IKE || r->tunnel == TUNNELCAP_KIND_NAT_KEEPALIVE)
            return 0;
        return has_ports(r, tunnelcap_i_load16(sent->header + sent->ip_len),
                         tunnelcap_i_load16(sent->header + sent->ip_len + 2)) &&
               is_esp_of_any(run, tunnel, r);
    }
}

/* What an error changes about a tunnel that it may be about; 0 if it is not plausible. */
static uint32_t learn(const tunnelcap_i_run *run, tunnelcap_i_tunnel *tunnel,
                      const tunnelcap_icmp_result *r)
{
    uint32_t before;
    int32_t status;

    if (r->kind != TUNNELCAP_ICMP_TOO_BIG)
        return 1;
    if (r->mtu >= r->quote_total) /* it would have passed */
        return 0;
    if (tunnel->path == NULL)
        return 1;
    before = tunnelcap_i_pmtu_get(&tunnel->path->pmtu);
    status = tunnelcap_pmtu_learn(&tunnel->path->pmtu, r->mtu, run->burst->now_ns);
    if (status == TUNNELCAP_CHANGED)
        tunnelcap_i_tell_pmtu(run->lane, run->burst->now_ns, tunnel, before, &r->from);
    return status >= TUNNELCAP_OK;
}

/* 1 if the sender of a quoted inner packet can do something about its size. */
static uint32_t may_be_told(const tunnelcap_i_tunnel *tunnel, const uint8_t *inner, uint32_t len)
{
    if (len < TUNNELCAP_I_IPV4_HEADER || inner[0] >> 4 != 4 ||
        tunnel->fragment_mode == TUNNELCAP_FRAGMENT_REFUSE)
        return 1;
    return (inner[6] & 0x40) != 0 && !(tunnel->flags & TUNNELCAP_TUNNEL_CLEAR_DF);
}

/* Hand an error on to the sender of the inner packet that it quotes; else it ends here. */
static int32_t relay(tunnelcap_i_run *run, tunnelcap_i_item *item, tunnelcap_i_tunnel *tunnel,
                     const tunnelcap_icmp_result *r)
{
    tunnelcap_result *result = item->result;
    tunnelcap_pkt *pkt = item->pkt;
    tunnelcap_icmp_error error;
    uint32_t is_ipv4;

    result->action = TUNNELCAP_DO_LOCAL;
    if (!(tunnel->flags & TUNNELCAP_TUNNEL_ICMP) || !(r->flags & TUNNELCAP_ICMP_INNER) ||
        (r->kind == TUNNELCAP_ICMP_TOO_BIG &&
         !may_be_told(tunnel, pkt->buf + pkt->off + r->inner, r->inner_len)))
        return TUNNELCAP_OK;
    start_error(tunnel, &error);
    error.mtu = tunnelcap_i_mtu_now(tunnel);
    if (tunnelcap_icmp_relay(pkt, r, &error, limit_of(run, tunnel), run->burst->now_ns) !=
        TUNNELCAP_OK)
        return TUNNELCAP_OK;
    is_ipv4 = pkt->buf[pkt->off] >> 4 == 4;
    result->action = TUNNELCAP_DO_DELIVER;
    result->value = is_ipv4 ? TUNNELCAP_ETHERTYPE_IPV4 : TUNNELCAP_ETHERTYPE_IPV6;
    result->l3_len = is_ipv4 ? TUNNELCAP_I_IPV4_HEADER : TUNNELCAP_I_IPV6_HEADER;
    result->vrf = tunnel->vrf;
    tunnelcap_i_count_add(&tunnelcap_i_run_rare(run, item->place)->icmp_sent, 1);
    return TUNNELCAP_OK;
}

/* Learn from an error about one of our outer packets. Several tunnels may match what little is
 * quoted: they share a path, so that all of them learn; the first one relays. */
static int32_t heed(tunnelcap_i_run *run, tunnelcap_i_item *item, uint32_t outer_vrf,
                    const tunnelcap_icmp_result *r)
{
    size_t bytes = r->dst.family == TUNNELCAP_IPV4 ? 4 : 16;
    uint8_t match[32] = {0};
    tunnelcap_i_tunnel *first = NULL;
    uint32_t entry;

    memcpy(match, r->dst.bytes, bytes);
    memcpy(match + bytes, r->src.bytes, bytes);
    entry = tunnelcap_i_find_pair(run->table, run->view, outer_vrf, r->dst.family, match);
    for (; entry != 0; entry = run->view->pair_next[entry - 1]) {
        tunnelcap_i_tunnel *tunnel = tunnelcap_i_tunnel_in(run->table, run->view, entry - 1);

        if (!is_about(run, tunnel, r) || !learn(run, tunnel, r))
            continue;
        tunnelcap_i_count_add(&tunnelcap_i_run_rare(run, entry - 1)->icmp_received, 1);
        if (first == NULL)
            first = tunnel;
    }
    if (first == NULL)
        return TUNNELCAP_E_ICMP;
    item->place = first->place;
    item->result->tunnel = first->id;
    return relay(run, item, first, r);
}

int32_t tunnelcap_i_outer_icmp(tunnelcap_i_run *run, tunnelcap_i_item *item, uint32_t outer_vrf)
{
    tunnelcap_icmp_result r;
    int32_t status;

    memset(&r, 0, sizeof(r));
    r.size = sizeof(r);
    status = tunnelcap_icmp_parse(item->pkt, item->meta, &r);
    item->before = item->pkt->len;
    if (status == TUNNELCAP_E_ICMP && r.kind == TUNNELCAP_ICMP_INFORMATION)
        return tunnelcap_i_outer_echo(run, item, outer_vrf) ? TUNNELCAP_OK : TUNNELCAP_E_PROTOCOL;
    return status == TUNNELCAP_OK ? heed(run, item, outer_vrf, &r) : status;
}

/* Offset of the data of an echo reply, 0 if it is none. Where the far end believes in a smaller
 * path than we probe, the answer comes in fragments. Its first one will do: its checksum cannot be
 * verified, but nobody else knows the token in it. */
static uint32_t reply_data(const tunnelcap_pkt *pkt, const tunnelcap_i_ip *ip)
{
    const uint8_t *p = pkt->buf + pkt->off;
    tunnelcap_icmp_echo echo;

    if (ip->fragment) {
        uint32_t reply = ip->family == TUNNELCAP_IPV4 ? 0 : 129;
        return !ip->non_first && ip->total <= pkt->len && ip->total - ip->payload >= 16 &&
                       p[ip->payload] == reply
                   ? ip->payload + 8
                   : 0;
    }
    memset(&echo, 0, sizeof(echo));
    echo.size = sizeof(echo);
    return tunnelcap_icmp_echo_read(pkt, NULL, &echo) == TUNNELCAP_OK &&
                   echo.type == TUNNELCAP_ECHO_REPLY && echo.payload_len >= 8
               ? echo.payload
               : 0;
}

uint32_t tunnelcap_i_is_answer(tunnelcap_i_tunnel *tunnel, const tunnelcap_pkt *pkt,
                               const tunnelcap_i_ip *ip)
{
    uint32_t data;

    if (tunnel->path == NULL || tunnel->path->key.mode != TUNNELCAP_PMTU_PROBE ||
        ip->protocol !=
            (ip->family == TUNNELCAP_IPV4 ? TUNNELCAP_I_PROTO_ICMP : TUNNELCAP_I_PROTO_ICMPV6) ||
        ip->family != tunnel->probe.family ||
        memcmp(ip->src, tunnel->probe.bytes, ip->addr_len) != 0)
        return 0;
    data = reply_data(pkt, ip);
    return data != 0 &&
           tunnelcap_pmtu_answered(&tunnel->path->pmtu,
                                   tunnelcap_i_load64(pkt->buf + pkt->off + data)) == TUNNELCAP_OK;
}
