/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "table.h"

/* Implementation notes. A burst is one read section: it announces the generation that it sees
 * (its seat's `seen`), then takes the current view. The writer publishes a view before its
 * generation, so what a seat announces is never newer than what its lane uses. */

typedef int32_t carry_one(const tunnelcap_table *table, const tunnelcap_i_view *view,
                          tunnelcap_lane *lane, tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                          tunnelcap_result *result, uint32_t *place);

static void count_add(tunnelcap_i_atomic64 *counter, uint64_t n)
{
    TUNNELCAP_I_STORE(*counter, TUNNELCAP_I_LOAD(*counter) + n); /* one writer: this lane */
}

/* Bytes of outer headers that a socket has taken off a packet, without options. */
static uint32_t stripped_len(const tunnelcap_meta *meta)
{
    if (meta == NULL || meta->at == TUNNELCAP_AT_IP)
        return 0;
    return (meta->src.family == TUNNELCAP_IPV6 ? TUNNELCAP_I_IPV6_HEADER
                                               : TUNNELCAP_I_IPV4_HEADER) +
           (meta->at == TUNNELCAP_AT_UDP_PAYLOAD ? TUNNELCAP_I_UDP_HEADER : 0u);
}

/* Count a packet that began at offset `before`. Padding behind it counts nowhere; headers that a
 * socket has taken off count as part of the outer packet. */
static void count_result(const tunnelcap_table *table, const tunnelcap_lane *lane, uint32_t place,
                         uint32_t direction, const tunnelcap_result *result, uint32_t before,
                         const tunnelcap_pkt *pkt, const tunnelcap_meta *meta)
{
    tunnelcap_i_counters *c = tunnelcap_i_counters_at(table, lane->slot, place, direction);

    switch (result->action) {
    case TUNNELCAP_DO_DROP:
        count_add(&c->refused, 1);
        count_add(&c->reasons[tunnelcap_i_reason_index(result->status)], 1);
        return;
    case TUNNELCAP_DO_REPLY:
        count_add(&c->replied, 1);
        return;
    default:
        break;
    }
    count_add(&c->packets, 1);
    if (direction == TUNNELCAP_ENCAP) {
        count_add(&c->inner_bytes, pkt->len - (before - pkt->off));
        count_add(&c->outer_bytes, pkt->len);
    } else {
        count_add(&c->inner_bytes, pkt->len);
        count_add(&c->outer_bytes, pkt->len + (pkt->off - before) + stripped_len(meta));
    }
    if (result->flags & TUNNELCAP_RESULT_CLAMPED)
        count_add(&c->clamped, 1);
}

/* Choose among the routes of a prefix: the first of them, or by the hash of the flow a share of
 * all that have its priority. */
static const tunnelcap_i_route *choose_route(const tunnelcap_table *table,
                                             const tunnelcap_i_view *view, uint32_t first,
                                             const uint8_t *p, uint32_t len,
                                             const tunnelcap_i_ip *ip)
{
    const tunnelcap_i_route *best = &view->routes[first - 1];
    const tunnelcap_i_route *r = best;
    uint32_t total = best->weight;
    uint32_t share;

    while (r->next != 0 && view->routes[r->next - 1].priority == best->priority) {
        r = &view->routes[r->next - 1];
        total += r->weight;
    }
    if (r == best)
        return best;
    share = (uint32_t)((tunnelcap_i_flow_hash(table->flow_key, p, len, ip) >> 32) * total >> 32);
    for (r = best; share >= r->weight; r = &view->routes[r->next - 1])
        share -= r->weight;
    return r;
}

/* Clamp an inner packet. The status does not matter further: what cannot be clamped is carried
 * as it is. */
static void clamp(const tunnelcap_i_tunnel *tunnel, tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                  tunnelcap_result *result)
{
    int32_t status = tunnelcap_i_mss_clamp(&tunnel->mss, pkt, meta);

    if (status == TUNNELCAP_MSS_CLAMPED || status == TUNNELCAP_MSS_INSERTED)
        result->flags |= TUNNELCAP_RESULT_CLAMPED;
}

/* Whether a tunnel takes an inner packet: checked before anything is changed. */
static int32_t check_fit(const tunnelcap_i_tunnel *tunnel, const tunnelcap_pkt *pkt,
                         const tunnelcap_meta *meta, const tunnelcap_i_ip *ip,
                         tunnelcap_result *result)
{
    uint32_t is_ipv4 = ip->family == TUNNELCAP_IPV4;
    uint16_t ethertype = is_ipv4 ? TUNNELCAP_ETHERTYPE_IPV4 : TUNNELCAP_ETHERTYPE_IPV6;
    uint32_t others = is_ipv4 ? TUNNELCAP_IPIP_ONLY_IPV6 : TUNNELCAP_IPIP_ONLY_IPV4;
    int32_t status = meta == NULL ? TUNNELCAP_OK : tunnelcap_i_meta_check(meta, ip->total);

    if (tunnel->key.kind == TUNNELCAP_KIND_IPIP && (tunnel->as.ipip.flags & others))
        return TUNNELCAP_E_PROTOCOL;
    if (tunnel->key.kind == TUNNELCAP_KIND_GRE && tunnel->as.gre.protocol != 0 &&
        tunnel->as.gre.protocol != ethertype)
        return TUNNELCAP_E_PROTOCOL;
    if (meta != NULL && meta->ethertype != 0 && meta->ethertype != ethertype)
        return TUNNELCAP_E_PROTOCOL;
    if (status == TUNNELCAP_OK && ip->total > tunnel->mss.max)
        status = TUNNELCAP_E_TOO_BIG;
    if (status == TUNNELCAP_E_TOO_BIG)
        result->value = tunnel->mss.max;
    if (status == TUNNELCAP_OK && pkt->off < tunnel->headroom)
        return TUNNELCAP_E_HEADROOM;
    return status;
}

static int32_t encap_one(const tunnelcap_table *table, const tunnelcap_i_view *view,
                         tunnelcap_lane *lane, tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                         tunnelcap_result *result, uint32_t *place)
{
    const uint8_t *p = pkt->buf + pkt->off;
    tunnelcap_i_tunnel *tunnel;
    tunnelcap_i_ip ip;
    uint32_t first;
    int32_t status = tunnelcap_i_ip_read(p, pkt->len, &ip);

    if (status != TUNNELCAP_OK)
        return status;
    if (ip.total > pkt->len)
        return TUNNELCAP_E_TRUNCATED;
    first = tunnelcap_i_find_route(table, view, meta == NULL ? 0 : meta->vrf, ip.family,
                                   ip.src + ip.addr_len);
    if (first == 0)
        return TUNNELCAP_E_NO_ROUTE;
    *place = choose_route(table, view, first, p, pkt->len, &ip)->place;
    tunnel = tunnelcap_i_tunnel_in(table, view, *place);
    result->tunnel = tunnel->id;
    result->vrf = tunnel->key.outer_vrf;
    status = check_fit(tunnel, pkt, meta, &ip, result);
    if (status != TUNNELCAP_OK)
        return status;

    if (tunnel->flags & TUNNELCAP_TUNNEL_CLAMP_ENCAP)
        clamp(tunnel, pkt, meta, result);
    status = tunnel->key.kind == TUNNELCAP_KIND_GRE
                 ? tunnelcap_i_gre_encap(&tunnel->as.gre, lane, pkt, meta)
                 : tunnelcap_i_ipip_encap(&tunnel->as.ipip, lane, pkt, meta);
    if (status != TUNNELCAP_OK)
        return status;
    result->action = TUNNELCAP_DO_SEND;
    result->l3_len = tunnelcap_i_tunnel_outer(tunnel)->ip_len;
    result->l4_len = tunnel->key.udp_port != 0 ? TUNNELCAP_I_UDP_HEADER : 0;
    return TUNNELCAP_OK;
}

/* What an outer packet says of its tunnel. Where the GRE header itself is bad, it is looked for
 * without key, and the tunnel that is found says what is wrong. *stranger is the status if none is
 * found: any UDP but a tunnel's is none of ours, whatever it holds. */
static int32_t read_key(const tunnelcap_pkt *pkt, const tunnelcap_meta *meta, tunnelcap_i_key *key,
                        int32_t *stranger)
{
    const uint8_t *p = pkt->buf + pkt->off;
    tunnelcap_i_opened o;
    tunnelcap_i_gre_header g;
    size_t bytes;
    int32_t status = tunnelcap_i_open(p, pkt->len, meta, &o);

    if (status != TUNNELCAP_OK)
        return status;
    memset(key, 0, sizeof(*key));
    key->kind = TUNNELCAP_KIND_GRE;
    if (o.protocol == TUNNELCAP_I_PROTO_IPV4 || o.protocol == TUNNELCAP_I_PROTO_IPV6)
        key->kind = TUNNELCAP_KIND_IPIP;
    else if (o.protocol != TUNNELCAP_I_PROTO_GRE && o.protocol != TUNNELCAP_I_PROTO_UDP)
        return TUNNELCAP_E_PROTOCOL;
    bytes = o.family == TUNNELCAP_IPV4 ? 4 : 16;
    memcpy(key->addr, o.src, bytes);
    memcpy(key->addr + bytes, o.dst, bytes);
    key->family = o.family;
    key->outer_vrf = meta == NULL ? 0 : meta->vrf;
    if (o.fragment)
        return TUNNELCAP_E_FRAGMENT;
    if (o.protocol == TUNNELCAP_I_PROTO_UDP) {
        status = tunnelcap_i_look_udp(p, &o);
        if (status != TUNNELCAP_OK)
            return status;
        key->udp_port = o.dst_port;
    }
    *stranger = TUNNELCAP_E_NO_TUNNEL;
    if (key->kind != TUNNELCAP_KIND_GRE)
        return TUNNELCAP_OK;
    status = tunnelcap_i_gre_read(p + o.pos, o.end - o.pos, &g);
    if (status == TUNNELCAP_OK) {
        key->keyed = (g.flags & TUNNELCAP_I_GRE_K) != 0;
        key->key = g.key;
    } else if (o.protocol == TUNNELCAP_I_PROTO_GRE) {
        *stranger = status;
    }
    return TUNNELCAP_OK;
}

/* 1 if an inner packet is addressed to the far end that has wrapped it: sent on, it would come
 * back for ever. ICMP echo is exempt: probes are addressed like that. */
static uint32_t is_loop(const tunnelcap_i_tunnel *tunnel, const uint8_t *p,
                        const tunnelcap_i_ip *ip)
{
    uint8_t type = p[ip->payload < ip->total ? ip->payload : 0];

    if (!(tunnel->flags & TUNNELCAP_TUNNEL_LOOP_GUARD) || ip->family != tunnel->key.family ||
        memcmp(ip->src + ip->addr_len, tunnel->key.addr, ip->addr_len) != 0)
        return 0;
    if (ip->protocol == TUNNELCAP_I_PROTO_ICMP && (type == 0 || type == 8))
        return 0;
    return ip->protocol != TUNNELCAP_I_PROTO_ICMPV6 || (type != 128 && type != 129);
}

/* What the table does with an IP packet that has come out of a tunnel. */
static int32_t deliver_ip(const tunnelcap_i_tunnel *tunnel, tunnelcap_pkt *pkt,
                          tunnelcap_result *result)
{
    tunnelcap_i_ip ip;

    if (tunnelcap_i_ip_read(pkt->buf + pkt->off, pkt->len, &ip) != TUNNELCAP_OK)
        return TUNNELCAP_OK; /* its extension headers are its receiver's affair */
    if (is_loop(tunnel, pkt->buf + pkt->off, &ip))
        return TUNNELCAP_E_LOOP;
    result->l3_len = ip.payload <= UINT8_MAX ? (uint8_t)ip.payload : 0;
    if (tunnel->flags & TUNNELCAP_TUNNEL_CLAMP_DECAP)
        clamp(tunnel, pkt, NULL, result);
    return TUNNELCAP_OK;
}

static int32_t decap_one(const tunnelcap_table *table, const tunnelcap_i_view *view,
                         tunnelcap_lane *lane, tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                         tunnelcap_result *result, uint32_t *place)
{
    tunnelcap_i_tunnel *tunnel;
    tunnelcap_i_key key;
    tunnelcap_gre_rx rx;
    uint32_t entry;
    int32_t stranger;
    int32_t status = read_key(pkt, meta, &key, &stranger);

    (void)lane;
    if (status != TUNNELCAP_OK)
        return status;
    entry = tunnelcap_i_find_key(table, view, &key);
    if (entry == 0)
        return stranger;
    *place = entry - 1;
    tunnel = tunnelcap_i_tunnel_in(table, view, *place);
    result->tunnel = tunnel->id;
    result->vrf = tunnel->vrf;
    if (tunnel->key.kind == TUNNELCAP_KIND_GRE) {
        status = tunnelcap_i_gre_decap(&tunnel->as.gre, pkt, meta, &rx);
    } else {
        status = tunnelcap_i_ipip_decap(&tunnel->as.ipip, pkt, meta);
        rx.protocol = TUNNELCAP_ETHERTYPE_IPV4;
        if (status == TUNNELCAP_OK && pkt->buf[pkt->off] >> 4 == 6)
            rx.protocol = TUNNELCAP_ETHERTYPE_IPV6;
    }
    if (status == TUNNELCAP_KEEPALIVE) {
        result->vrf = tunnel->key.outer_vrf;
        result->action = TUNNELCAP_DO_REPLY;
        result->l3_len = TUNNELCAP_I_IPV4_HEADER; /* a keepalive's has no options */
        return status;
    }
    if (status == TUNNELCAP_OK &&
        (rx.protocol == TUNNELCAP_ETHERTYPE_IPV4 || rx.protocol == TUNNELCAP_ETHERTYPE_IPV6))
        status = deliver_ip(tunnel, pkt, result);
    if (status != TUNNELCAP_OK)
        return status;
    result->action = TUNNELCAP_DO_DELIVER;
    result->value = rx.protocol;
    return TUNNELCAP_OK;
}

static int32_t check_burst(const tunnelcap_lane *lane, const tunnelcap_burst *burst)
{
    if (lane == NULL || burst == NULL)
        return TUNNELCAP_E_INVALID;
    if (burst->size < sizeof(*burst) ||
        !tunnelcap_i_is_zero((const uint8_t *)burst + sizeof(*burst), burst->size - sizeof(*burst)))
        return TUNNELCAP_E_VERSION;
    if (burst->flags != 0)
        return TUNNELCAP_E_FLAGS;
    if (burst->reserved != 0)
        return TUNNELCAP_E_RESERVED;
    if (burst->pkt_count > UINT16_MAX ||
        (burst->pkt_count > 0 && (burst->pkts == NULL || burst->results == NULL)))
        return TUNNELCAP_E_INVALID;
    return lane->table == NULL ? TUNNELCAP_E_STATE : TUNNELCAP_OK;
}

static inline int32_t carry(tunnelcap_lane *lane, tunnelcap_burst *burst, uint32_t direction,
                            carry_one *one)
{
    tunnelcap_table *table;
    const tunnelcap_i_view *view;
    const tunnelcap_meta *meta;
    tunnelcap_result *result;
    tunnelcap_pkt *pkt;
    uint32_t count;
    uint32_t before;
    uint32_t place;
    int32_t status = check_burst(lane, burst);

    if (status != TUNNELCAP_OK)
        return status;
    table = lane->table;
    TUNNELCAP_I_STORE_SEQ(table->seats[lane->slot].seen, TUNNELCAP_I_LOAD_SEQ(table->generation));
    view = tunnelcap_i_current(table);

    count = burst->pkt_count < burst->result_cap ? burst->pkt_count : burst->result_cap;
    for (uint32_t i = 0; i < count; i++) {
        pkt = &burst->pkts[i];
        tunnelcap_i_prefetch(burst->pkts, i, count);
        meta = tunnelcap_i_meta_at(burst->meta, burst->meta_stride, i);
        result = &burst->results[i];
        memset(result, 0, sizeof(*result));
        result->index = (uint16_t)i;
        result->status = TUNNELCAP_E_INVALID;
        place = table->places;
        before = pkt->off;
        if (tunnelcap_i_pkt_valid(pkt))
            result->status = one(table, view, lane, pkt, meta, result, &place);
        pkt->status = result->status;
        count_result(table, lane, place, direction, result, before, pkt, meta);
    }
    TUNNELCAP_I_STORE_REL(table->seats[lane->slot].seen, 0);
    burst->pkt_done = count;
    burst->result_count = count;
    burst->spare_used = 0;
    return TUNNELCAP_OK;
}

int32_t tunnelcap_table_encap(tunnelcap_lane *lane, tunnelcap_burst *burst)
{
    return carry(lane, burst, TUNNELCAP_ENCAP, encap_one);
}

int32_t tunnelcap_table_decap(tunnelcap_lane *lane, tunnelcap_burst *burst)
{
    return carry(lane, burst, TUNNELCAP_DECAP, decap_one);
}
