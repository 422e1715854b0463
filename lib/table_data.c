/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "table.h"

/* Implementation notes. A burst is one read section: it announces the generation that it sees
 * (its seat's `seen`), then takes the current view. The writer publishes a view before its
 * generation, so what a seat announces is never newer than what its lane uses. */

/* What is counted of a packet beside its result. */
typedef struct burst_tally {
    uint32_t place;
    uint32_t before; /* bytes without (encapsulation) or with (decapsulation) outer headers */
} burst_tally;

typedef int32_t carry_one(const tunnelcap_table *table, const tunnelcap_i_view *view,
                          tunnelcap_lane *lane, tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                          tunnelcap_result *result, burst_tally *tally);

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

/* Count a packet. Padding behind it counts nowhere; headers that a socket has taken off count as
 * part of the outer packet. */
static void count_result(const tunnelcap_table *table, const tunnelcap_lane *lane,
                         uint32_t direction, const tunnelcap_result *result,
                         const burst_tally *tally, const tunnelcap_pkt *pkt,
                         const tunnelcap_meta *meta)
{
    tunnelcap_i_counters *c = tunnelcap_i_counters_at(table, lane->slot, tally->place, direction);

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
        count_add(&c->inner_bytes, tally->before);
        count_add(&c->outer_bytes, pkt->len);
    } else {
        count_add(&c->inner_bytes, pkt->len);
        count_add(&c->outer_bytes, tally->before + stripped_len(meta));
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

    if (tunnel->key.kind == TUNNELCAP_KIND_ESP && tunnel->as.esp == NULL)
        return TUNNELCAP_E_NEED_SA;
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

/* Wrap an inner packet by its tunnel's kind. */
static int32_t wrap(tunnelcap_i_tunnel *tunnel, tunnelcap_lane *lane, tunnelcap_pkt *pkt,
                    const tunnelcap_meta *meta)
{
    switch (tunnel->key.kind) {
    case TUNNELCAP_KIND_GRE:
        return tunnelcap_i_gre_encap(&tunnel->as.gre, lane, pkt, meta);
    case TUNNELCAP_KIND_IPIP:
        return tunnelcap_i_ipip_encap(&tunnel->as.ipip, lane, pkt, meta);
    default:
        tunnelcap_esp_encap(tunnel->as.esp, lane, pkt, meta, 0, 1);
        return pkt->status;
    }
}

static uint32_t in_udp(const tunnelcap_i_tunnel *tunnel)
{
    if (tunnel->key.kind == TUNNELCAP_KIND_ESP)
        return tunnel->as.esp->udp_len != 0;
    return tunnel->key.udp_port != 0;
}

static int32_t encap_one(const tunnelcap_table *table, const tunnelcap_i_view *view,
                         tunnelcap_lane *lane, tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                         tunnelcap_result *result, burst_tally *tally)
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
    tally->place = choose_route(table, view, first, p, pkt->len, &ip)->place;
    tally->before = ip.total;
    tunnel = tunnelcap_i_tunnel_in(table, view, tally->place);
    result->tunnel = tunnel->id;
    result->vrf = tunnel->key.outer_vrf;
    status = check_fit(tunnel, pkt, meta, &ip, result);
    if (status != TUNNELCAP_OK)
        return status;

    if (tunnel->flags & TUNNELCAP_TUNNEL_CLAMP_ENCAP)
        clamp(tunnel, pkt, meta, result);
    status = wrap(tunnel, lane, pkt, meta);
    if (status < TUNNELCAP_OK)
        return status;
    if (status == TUNNELCAP_REKEY_SOON)
        result->flags |= TUNNELCAP_RESULT_REKEY;
    result->action = TUNNELCAP_DO_SEND;
    result->l3_len = tunnelcap_i_tunnel_outer(tunnel)->ip_len;
    result->l4_len = in_udp(tunnel) ? TUNNELCAP_I_UDP_HEADER : 0;
    return TUNNELCAP_OK;
}

/* What an outer packet says of its tunnel. */
typedef struct outer_facts {
    tunnelcap_i_opened o;
    tunnelcap_i_key key; /* of a GRE or IP-in-IP tunnel */
    int32_t stranger;    /* the status if there is no such tunnel */
    uint32_t has_spi;    /* 1: may be ESP */
    uint32_t spi;
} outer_facts;

/* Read the SPI of what may be ESP. */
static void read_spi(const uint8_t *p, outer_facts *f)
{
    f->has_spi = f->o.end - f->o.pos >= TUNNELCAP_I_ESP_HEADER;
    f->spi = f->has_spi ? tunnelcap_i_load32(p + f->o.pos) : 0;
}

/* Read the GRE key. Where the GRE header itself is bad, the tunnel is looked for without key, and
 * the one that is found says what is wrong. */
static void read_gre(const uint8_t *p, outer_facts *f)
{
    tunnelcap_i_gre_header g;
    int32_t status = tunnelcap_i_gre_read(p + f->o.pos, f->o.end - f->o.pos, &g);

    f->key.kind = TUNNELCAP_KIND_GRE;
    if (status == TUNNELCAP_OK) {
        f->key.keyed = (g.flags & TUNNELCAP_I_GRE_K) != 0;
        f->key.key = g.key;
    } else if (f->o.protocol == TUNNELCAP_I_PROTO_GRE) {
        f->stranger = status;
    }
}

/* What the header behind the outer IP header says. UDP may hold GRE or ESP: only the tunnels that
 * are there tell. */
static int32_t read_tunnel_header(const uint8_t *p, outer_facts *f)
{
    int32_t status;

    switch (f->o.protocol) {
    case TUNNELCAP_I_PROTO_IPV4:
    case TUNNELCAP_I_PROTO_IPV6:
        f->key.kind = TUNNELCAP_KIND_IPIP;
        return TUNNELCAP_OK;
    case TUNNELCAP_I_PROTO_GRE:
        read_gre(p, f);
        return TUNNELCAP_OK;
    case TUNNELCAP_I_PROTO_ESP:
        read_spi(p, f);
        f->stranger = f->has_spi ? TUNNELCAP_E_NEED_SA : TUNNELCAP_E_TRUNCATED;
        return TUNNELCAP_OK;
    case TUNNELCAP_I_PROTO_UDP:
        status = tunnelcap_i_look_udp(p, &f->o);
        if (status != TUNNELCAP_OK)
            return status;
        f->key.udp_port = f->o.dst_port;
        read_gre(p, f);
        read_spi(p, f);
        if (f->o.dst_port == TUNNELCAP_ESP_UDP_PORT) {
            status = tunnelcap_i_esp_sort_udp(p, &f->o);
            f->stranger = f->has_spi ? TUNNELCAP_E_NEED_SA : TUNNELCAP_E_TRUNCATED;
        }
        return status;
    default:
        return TUNNELCAP_E_PROTOCOL;
    }
}

static int32_t read_outer(const tunnelcap_pkt *pkt, const tunnelcap_meta *meta, outer_facts *f)
{
    const uint8_t *p = pkt->buf + pkt->off;
    size_t bytes;
    int32_t status = tunnelcap_i_open(p, pkt->len, meta, &f->o);

    if (status != TUNNELCAP_OK)
        return status;
    memset(&f->key, 0, sizeof(f->key));
    f->stranger = TUNNELCAP_E_NO_TUNNEL;
    f->has_spi = 0;
    bytes = f->o.family == TUNNELCAP_IPV4 ? 4 : 16;
    memcpy(f->key.addr, f->o.src, bytes);
    memcpy(f->key.addr + bytes, f->o.dst, bytes);
    f->key.family = f->o.family;
    f->key.outer_vrf = meta == NULL ? 0 : meta->vrf;
    if (f->o.fragment)
        return TUNNELCAP_E_FRAGMENT;
    return read_tunnel_header(p, f);
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

/* EtherType of an IP packet that has been unwrapped. */
static uint16_t ip_ethertype(const tunnelcap_pkt *pkt, int32_t status)
{
    if (status != TUNNELCAP_OK)
        return 0;
    return pkt->buf[pkt->off] >> 4 == 6 ? TUNNELCAP_ETHERTYPE_IPV6 : TUNNELCAP_ETHERTYPE_IPV4;
}

/* Unwrap GRE and IP in IP; *ethertype is the payload's. */
static int32_t unwrap(tunnelcap_i_tunnel *tunnel, tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                      uint16_t *ethertype)
{
    tunnelcap_gre_rx rx;
    int32_t status;

    if (tunnel->key.kind == TUNNELCAP_KIND_GRE) {
        status = tunnelcap_i_gre_decap(&tunnel->as.gre, pkt, meta, &rx);
        *ethertype = status >= TUNNELCAP_OK ? rx.protocol : 0;
        return status;
    }
    status = tunnelcap_i_ipip_decap(&tunnel->as.ipip, pkt, meta);
    *ethertype = ip_ethertype(pkt, status);
    return status;
}

/* Unwrap ESP. */
static int32_t unwrap_esp(tunnelcap_esp *esp, tunnelcap_lane *lane, tunnelcap_pkt *pkt,
                          const tunnelcap_meta *meta, tunnelcap_result *result, uint16_t *ethertype)
{
    tunnelcap_esp_rx rx;

    tunnelcap_esp_decap(esp, lane, pkt, meta, 0, &rx, 1);
    *ethertype = ip_ethertype(pkt, pkt->status);
    if (pkt->status == TUNNELCAP_OK)
        result->flags |=
            (uint16_t)((rx.flags & TUNNELCAP_ESP_RX_PEER_MOVED ? TUNNELCAP_RESULT_PEER_MOVED : 0) |
                       (rx.flags & TUNNELCAP_ESP_RX_REKEY ? TUNNELCAP_RESULT_REKEY : 0));
    return pkt->status;
}

static int32_t decap_one(const tunnelcap_table *table, const tunnelcap_i_view *view,
                         tunnelcap_lane *lane, tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                         tunnelcap_result *result, burst_tally *tally)
{
    const tunnelcap_i_sa *sa = NULL;
    tunnelcap_i_tunnel *tunnel;
    outer_facts f;
    uint32_t entry = 0;
    uint16_t ethertype;
    int32_t status = read_outer(pkt, meta, &f);

    if (status != TUNNELCAP_OK)
        return status;
    if (f.key.kind != TUNNELCAP_KIND_NONE)
        entry = tunnelcap_i_find_key(table, view, &f.key);
    if (entry == 0 && f.has_spi)
        sa = tunnelcap_i_find_sa(table, view, f.key.outer_vrf, f.spi, f.o.family, f.o.dst);
    if (sa != NULL || f.stranger == TUNNELCAP_E_NEED_SA)
        result->spi = f.spi;
    if (entry == 0 && sa == NULL)
        return f.stranger;
    tally->place = sa != NULL ? sa->place : entry - 1;
    tally->before = f.o.end;
    tunnel = tunnelcap_i_tunnel_in(table, view, tally->place);
    result->tunnel = tunnel->id;
    result->vrf = tunnel->vrf;
    status = sa != NULL ? unwrap_esp(sa->esp, lane, pkt, meta, result, &ethertype)
                        : unwrap(tunnel, pkt, meta, &ethertype);
    if (status == TUNNELCAP_KEEPALIVE) {
        result->vrf = tunnel->key.outer_vrf;
        result->action = TUNNELCAP_DO_REPLY;
        result->l3_len = TUNNELCAP_I_IPV4_HEADER;
        return status;
    }
    if (status == TUNNELCAP_OK &&
        (ethertype == TUNNELCAP_ETHERTYPE_IPV4 || ethertype == TUNNELCAP_ETHERTYPE_IPV6))
        status = deliver_ip(tunnel, pkt, result);
    if (status != TUNNELCAP_OK)
        return status;
    result->action = TUNNELCAP_DO_DELIVER;
    result->value = ethertype;
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
    burst_tally tally;
    uint32_t count;
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
        tally.place = table->places;
        tally.before = 0;
        if (tunnelcap_i_pkt_valid(pkt))
            result->status = one(table, view, lane, pkt, meta, result, &tally);
        pkt->status = result->status;
        count_result(table, lane, direction, result, &tally, pkt, meta);
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
