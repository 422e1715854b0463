/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "table_encap.h"

/* Into the tunnels: the way of a packet that fits. table_fragment.c has that of one that does
 * not. */

/* Whether a tunnel carries packets of this kind; whatever their size. */
static int32_t check_kind(const tunnelcap_i_tunnel *tunnel, const tunnelcap_meta *meta,
                          const tunnelcap_i_ip *ip)
{
    uint32_t is_ipv4 = ip->family == TUNNELCAP_IPV4;
    uint16_t ethertype = is_ipv4 ? TUNNELCAP_ETHERTYPE_IPV4 : TUNNELCAP_ETHERTYPE_IPV6;
    uint32_t others = is_ipv4 ? TUNNELCAP_IPIP_ONLY_IPV6 : TUNNELCAP_IPIP_ONLY_IPV4;

    if (tunnelcap_i_needs_sa(tunnel))
        return TUNNELCAP_E_NEED_SA;
    if (tunnel->key.kind == TUNNELCAP_KIND_IPIP && (tunnel->as.ipip.flags & others))
        return TUNNELCAP_E_PROTOCOL;
    if (tunnel->key.kind == TUNNELCAP_KIND_GRE && tunnel->as.gre.protocol != 0 &&
        tunnel->as.gre.protocol != ethertype)
        return TUNNELCAP_E_PROTOCOL;
    if (meta == NULL)
        return TUNNELCAP_OK;
    if (meta->ethertype != 0 && meta->ethertype != ethertype)
        return TUNNELCAP_E_PROTOCOL;
    return tunnelcap_i_meta_check(meta, ip->total);
}

/* Whether an inner IPv6 packet may enter as its own encapsulation limit says; *more is the header
 * that it takes in the outer packet. */
static int32_t check_limit(const tunnelcap_i_tunnel *tunnel, const uint8_t *p,
                           const tunnelcap_i_ip *ip, uint32_t *more)
{
    const tunnelcap_i_outer *outer = tunnelcap_i_tunnel_outer(tunnel);
    tunnelcap_i_inner inner;
    int32_t status = tunnelcap_i_inner_limit(outer, p, ip, &inner);

    if (status == TUNNELCAP_OK)
        *more = tunnelcap_i_outer_need(outer, &inner) - outer->header_len;
    return status;
}

/* The path carries less than the tunnel takes for granted: routers must be free to fragment. */
static void clear_outer_df(tunnelcap_lane *lane, tunnelcap_pkt *pkt)
{
    uint8_t *h = pkt->buf + pkt->off;

    if (h[0] >> 4 != 4 || !(h[6] & 0x40))
        return;
    tunnelcap_i_store32(h + 4, tunnelcap_i_lane_id(lane) << 16);
    tunnelcap_i_store16(h + 10, 0);
    tunnelcap_i_store16(h + 10, (uint16_t)~tunnelcap_i_sum(h, TUNNELCAP_I_IPV4_HEADER));
}

/* What follows the wrapping of a packet, or its failure, which has left the packet as it was. */
static int32_t finish(tunnelcap_i_run *run, tunnelcap_i_item *item, tunnelcap_i_tunnel *tunnel,
                      int32_t status)
{
    tunnelcap_result *result = item->result;

    if (status < TUNNELCAP_OK) {
        if ((tunnel->flags & TUNNELCAP_TUNNEL_TTL_ENCAP) && status != TUNNELCAP_E_CRYPTO)
            tunnelcap_i_ttl_add(item->pkt, 1);
        return status;
    }
    if (status == TUNNELCAP_REKEY_SOON) {
        result->flags |= TUNNELCAP_RESULT_REKEY;
        tunnelcap_i_tell_rekey(run, item, tunnel->sa);
    }
    if (tunnel->path != NULL && tunnelcap_i_pmtu_below(&tunnel->path->pmtu))
        clear_outer_df(run->lane, item->pkt);
    result->action = TUNNELCAP_DO_SEND;
    result->l3_len = (uint8_t)tunnelcap_i_wrapped_ip_len(tunnel, item->pkt);
    result->l4_len = tunnelcap_i_in_udp(tunnel) ? TUNNELCAP_I_UDP_HEADER : 0;
    return TUNNELCAP_OK;
}

/* Take GRE off again that ESP was to follow: nothing of the packet itself has been changed. */
static void unwrap_gre(const tunnelcap_i_item *item)
{
    item->pkt->off += item->pkt->len - item->before;
    item->pkt->len = item->before;
}

/* Make a packet a job of its tunnel's SA. */
static int32_t submit(tunnelcap_i_run *run, tunnelcap_i_item *item, tunnelcap_i_tunnel *tunnel,
                      tunnelcap_i_split split)
{
    uint32_t in_gre = tunnelcap_i_is_gre_esp(tunnel);
    const tunnelcap_meta *meta = in_gre ? NULL : item->meta; /* GRE has seen to it */
    int32_t status = TUNNELCAP_E_INVALID;

    if (tunnelcap_i_esp_usable(tunnel->sa, run->lane, TUNNELCAP_ESP_OUT))
        status = tunnelcap_i_esp_encap_prepare(tunnel->sa, tunnelcap_i_sa_outer(tunnel), run->lane,
                                               item->pkt, meta,
                                               tunnelcap_i_esp_jobs(run->lane) + run->jobs);
    if (status != TUNNELCAP_OK && in_gre)
        unwrap_gre(item);
    if (status != TUNNELCAP_OK)
        return finish(run, item, tunnel, status);
    for (uint32_t i = 0; i < split.pieces; i++) {
        tunnelcap_pkt *pkt;

        tunnelcap_i_take_spare(run, &pkt);
    }
    tunnelcap_i_note_job(run, item, split);
    if (run->jobs == run->lane->max_burst)
        tunnelcap_i_encap_jobs(run);
    return TUNNELCAP_I_DONE;
}

TUNNELCAP_I_INLINE int32_t send(tunnelcap_i_run *run, tunnelcap_i_item *item,
                                tunnelcap_i_tunnel *tunnel, uint32_t mtu, tunnelcap_i_split split)
{
    int32_t status;

    if (tunnel->flags & TUNNELCAP_TUNNEL_TTL_ENCAP)
        tunnelcap_i_ttl_add(item->pkt, -1);
    if (tunnel->flags & TUNNELCAP_TUNNEL_CLAMP_ENCAP)
        tunnelcap_i_clamp(tunnel, mtu, item, item->meta);
    if (tunnel->key.kind == TUNNELCAP_KIND_GRE)
        status = tunnelcap_i_gre_encap(&tunnel->as.gre, run->lane, item->pkt, item->meta);
    else if (tunnel->key.kind == TUNNELCAP_KIND_IPIP)
        status = tunnelcap_i_ipip_encap(&tunnel->as.ipip, run->lane, item->pkt, item->meta);
    else
        return submit(run, item, tunnel, split);
    if (status == TUNNELCAP_OK && tunnel->sa != NULL)
        return submit(run, item, tunnel, split);
    status = finish(run, item, tunnel, status);
    if (split.pieces == 0 || status != TUNNELCAP_OK)
        return status;
    return tunnelcap_i_split_outer(run, item, split);
}

int32_t tunnelcap_i_send(tunnelcap_i_run *run, tunnelcap_i_item *item, tunnelcap_i_tunnel *tunnel,
                         uint32_t mtu, tunnelcap_i_split split)
{
    return send(run, item, tunnel, mtu, split);
}

void tunnelcap_i_encap_jobs(tunnelcap_i_run *run)
{
    uint32_t count = run->jobs;
    const tunnelcap_i_note *note;
    tunnelcap_i_tunnel *tunnel;
    tunnelcap_i_item item;
    int32_t status;

    tunnelcap_i_esp_encap_run(run->lane, count);
    for (uint32_t i = 0; i < count; i++) {
        note = tunnelcap_i_noted(run, i, &item);
        tunnel = tunnelcap_i_tunnel_in(run->table, run->view, item.place);
        status = item.pkt->status;
        if (status < TUNNELCAP_OK && status != TUNNELCAP_E_CRYPTO && tunnelcap_i_is_gre_esp(tunnel))
            unwrap_gre(&item);
        status = finish(run, &item, tunnel, status);
        if (note->split.pieces != 0)
            status = tunnelcap_i_split_sealed(run, &item, note, status);
        if (status != TUNNELCAP_I_DONE)
            tunnelcap_i_settle_plain(run, &item, status);
    }
    tunnelcap_i_close_up(run);
}

/* What has been seen of a packet ahead. */
typedef struct note {
    tunnelcap_i_ip ip;
    tunnelcap_i_tunnel *tunnel;
    uint32_t place;
    int32_t status;
} note;

/* Let the memory come that the tunnels of the packets ahead stand in: first their slots, then what
 * those name and count. */
static void fetch_tunnels(const tunnelcap_i_run *run, note *notes, uint32_t count)
{
    const uint8_t *tunnel;

    for (uint32_t i = 0; i < count; i++) {
        if (notes[i].status != TUNNELCAP_OK)
            continue;
        notes[i].tunnel = tunnelcap_i_tunnel_in(run->table, run->view, notes[i].place);
        tunnel = (const uint8_t *)notes[i].tunnel;
        tunnelcap_i_fetch(tunnel);
        tunnelcap_i_fetch(tunnel + 64);
        tunnelcap_i_fetch(&notes[i].tunnel->as);
        tunnelcap_i_fetch((const uint8_t *)&notes[i].tunnel->as + 64);
        tunnelcap_i_fetch((const uint8_t *)&notes[i].tunnel->as + 128);
        tunnelcap_i_fetch(tunnelcap_i_counters_at(run->table, run->lane->slot, notes[i].place));
    }
    for (uint32_t i = 0; i < count; i++) {
        if (notes[i].status == TUNNELCAP_OK && notes[i].tunnel->path != NULL)
            tunnelcap_i_fetch(&notes[i].tunnel->path->pmtu);
    }
}

/* Look at a packet's header, and aim at its route. */
static int32_t look_at(const tunnelcap_i_run *run, uint32_t index, tunnelcap_i_ip *ip,
                       tunnelcap_i_lpm_query *query)
{
    const tunnelcap_burst *burst = run->burst;
    const tunnelcap_pkt *pkt = &burst->pkts[index];
    const tunnelcap_meta *meta = tunnelcap_i_meta_at(burst->meta, burst->meta_stride, index);
    int32_t status;

    tunnelcap_i_prefetch(burst->pkts, index, burst->pkt_count);
    if (!tunnelcap_i_pkt_valid(pkt))
        return TUNNELCAP_E_INVALID;
    status = tunnelcap_i_ip_read(pkt->buf + pkt->off, pkt->len, ip);
    if (status == TUNNELCAP_OK && ip->total > pkt->len)
        status = TUNNELCAP_E_TRUNCATED;
    if (status == TUNNELCAP_OK)
        tunnelcap_i_lpm_aim(&run->view->routes.lpm, meta == NULL ? 0 : meta->vrf, ip->family,
                            ip->src + ip->addr_len, query);
    return status;
}

/* The place of the tunnel that a packet takes by the value of its route. */
static int32_t take_route(const tunnelcap_i_run *run, const tunnelcap_pkt *pkt, uint32_t value,
                          note *n)
{
    uint64_t hash = 0;

    if (value == 0)
        return TUNNELCAP_E_NO_ROUTE;
    if (value & TUNNELCAP_I_GROUP_VALUE)
        hash = tunnelcap_i_flow_hash(run->table->flow_key, pkt->buf + pkt->off, pkt->len, &n->ip);
    n->place = tunnelcap_i_routes_place(&run->view->routes, value, hash);
    tunnelcap_i_fetch(&run->view->slot_of[n->place]);
    return TUNNELCAP_OK;
}

static void look(const tunnelcap_i_run *run, uint32_t first, uint32_t count, void *notes)
{
    tunnelcap_i_lpm_query queries[TUNNELCAP_I_AHEAD];
    note *n = notes;
    uint32_t at = 0;

    for (uint32_t i = 0; i < count; i++) {
        n[i].status = look_at(run, first + i, &n[i].ip, &queries[at]);
        at += n[i].status == TUNNELCAP_OK;
    }
    tunnelcap_i_lpm_find(&run->view->routes.lpm, queries, at);
    at = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (n[i].status == TUNNELCAP_OK)
            n[i].status = take_route(run, &run->burst->pkts[first + i], queries[at++].value, &n[i]);
    }
    fetch_tunnels(run, n, count);
}

static int32_t encap_one(tunnelcap_i_run *run, tunnelcap_i_item *item, const void *notes,
                         uint32_t index)
{
    const note *n = (const note *)notes + index;
    const tunnelcap_i_ip *ip = &n->ip;
    const tunnelcap_meta *meta = item->meta;
    tunnelcap_pkt *pkt = item->pkt;
    const uint8_t *p = pkt->buf + pkt->off;
    tunnelcap_i_tunnel *tunnel;
    uint32_t mtu;
    uint32_t more = 0;
    int32_t status = n->status;

    if (status != TUNNELCAP_OK)
        return status;
    item->place = n->place;
    item->before = ip->total;
    tunnel = n->tunnel;
    item->result->tunnel = tunnel->id;
    item->result->vrf = tunnel->key.outer_vrf;
    status = check_kind(tunnel, meta, ip);
    mtu = tunnelcap_i_mtu_now(tunnel);
    if (status == TUNNELCAP_E_TOO_BIG) /* a GSO packet */
        item->result->value = mtu;
    if (status != TUNNELCAP_OK)
        return status;
    if ((tunnel->flags & TUNNELCAP_TUNNEL_TTL_ENCAP) && ip->ttl <= 1)
        return tunnelcap_i_refuse(run, item, tunnel, TUNNELCAP_E_TTL, 0);
    if (ip->family == TUNNELCAP_IPV6) {
        status = check_limit(tunnel, p, ip, &more);
        if (status != TUNNELCAP_OK)
            return tunnelcap_i_refuse(run, item, tunnel, status, tunnelcap_outer_limit_at(pkt));
    }
    if (ip->total + more > mtu)
        return tunnelcap_i_encap_large(run, item, tunnel, ip, mtu, more);
    if (pkt->off < tunnel->headroom + more)
        return TUNNELCAP_E_HEADROOM;
    return send(run, item, tunnel, mtu, (tunnelcap_i_split){0, 0});
}

int32_t tunnelcap_table_encap(tunnelcap_lane *lane, tunnelcap_burst *burst)
{
    note notes[TUNNELCAP_I_AHEAD];

    return tunnelcap_i_carry(lane, burst, TUNNELCAP_ENCAP, look, encap_one, tunnelcap_i_encap_jobs,
                             notes);
}
