/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "table_decap.h"

/* Out of the tunnels: the way of a packet that is no fragment. */

/* Read the SPI of what may be ESP. */
static void read_spi(const uint8_t *p, tunnelcap_i_facts *f)
{
    f->has_spi = f->o.end - f->o.pos >= TUNNELCAP_I_ESP_HEADER;
    f->spi = f->has_spi ? tunnelcap_i_load32(p + f->o.pos) : 0;
}

/* Read the GRE key. Where the GRE header itself is bad, the tunnel is looked for without key, and
 * the one that is found says what is wrong. */
static void read_gre(const uint8_t *p, tunnelcap_i_facts *f)
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
static int32_t read_tunnel_header(const uint8_t *p, tunnelcap_i_facts *f)
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

TUNNELCAP_I_INLINE int32_t read_outer(const tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                                      uint32_t outer_vrf, tunnelcap_i_facts *f)
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
    f->key.outer_vrf = outer_vrf;
    if (f->o.fragment)
        return TUNNELCAP_E_FRAGMENT;
    return read_tunnel_header(p, f);
}

TUNNELCAP_I_INLINE uint32_t is_icmp(const tunnelcap_i_ip *ip)
{
    return ip->protocol ==
           (ip->family == TUNNELCAP_IPV4 ? TUNNELCAP_I_PROTO_ICMP : TUNNELCAP_I_PROTO_ICMPV6);
}

/* 1 if an inner packet is addressed to an address of its own family. */
TUNNELCAP_I_INLINE uint32_t is_to(const tunnelcap_i_ip *ip, const uint8_t *addr)
{
    const uint8_t *dst = ip->src + ip->addr_len;

    return tunnelcap_i_word32(dst) == tunnelcap_i_word32(addr) &&
           (ip->family == TUNNELCAP_IPV4 || memcmp(dst, addr, 16) == 0);
}

/* 1 if a packet to the far end that has wrapped it is no ICMP echo: sent on, it would come back for
 * ever. Probes are addressed like that. */
static uint32_t is_loop(const uint8_t *p, const tunnelcap_i_ip *ip)
{
    uint8_t type = p[ip->payload < ip->total ? ip->payload : 0];

    if (ip->protocol == TUNNELCAP_I_PROTO_ICMP && (type == 0 || type == 8))
        return 0;
    return ip->protocol != TUNNELCAP_I_PROTO_ICMPV6 || (type != 128 && type != 129);
}

/* 1 if an inner packet is addressed to our own address inside the tunnel: it goes no further. */
TUNNELCAP_I_INLINE uint32_t is_ours(const tunnelcap_i_tunnel *tunnel, const tunnelcap_i_ip *ip)
{
    const tunnelcap_addr *own =
        ip->family == TUNNELCAP_IPV4 ? &tunnel->interface4 : &tunnel->interface6;

    return own->family == ip->family && is_to(ip, own->bytes);
}

/* What the table does with an IP packet that has come out of a tunnel; it can be read. */
TUNNELCAP_I_INLINE int32_t deliver_ip(tunnelcap_i_run *run, tunnelcap_i_item *item,
                                      tunnelcap_i_tunnel *tunnel, const tunnelcap_i_ip *ip)
{
    tunnelcap_result *result = item->result;
    uint8_t *p = item->pkt->buf + item->pkt->off;
    int32_t status;

    if (is_icmp(ip) && tunnelcap_i_take_echo(run, item, tunnel, ip, &status))
        return status;
    if ((tunnel->flags & TUNNELCAP_TUNNEL_LOOP_GUARD) && ip->family == tunnel->key.family &&
        is_to(ip, tunnel->key.addr) && is_loop(p, ip))
        return TUNNELCAP_E_LOOP;
    if (is_ours(tunnel, ip)) {
        if (tunnelcap_i_is_answer(tunnel, item->pkt, ip)) {
            result->action = TUNNELCAP_DO_LOCAL;
            return TUNNELCAP_OK;
        }
    } else if (tunnel->flags & TUNNELCAP_TUNNEL_TTL_DECAP) {
        if (ip->ttl <= 1)
            return tunnelcap_i_refuse(run, item, tunnel, TUNNELCAP_E_TTL, 0);
        tunnelcap_i_ttl_add(item->pkt, -1);
    }
    result->l3_len = ip->payload <= UINT8_MAX ? (uint8_t)ip->payload : 0;
    if (tunnel->flags & TUNNELCAP_TUNNEL_CLAMP_DECAP)
        tunnelcap_i_clamp(tunnel, tunnelcap_i_mtu_now(tunnel), item, NULL);
    result->action = TUNNELCAP_DO_DELIVER;
    result->value =
        ip->family == TUNNELCAP_IPV4 ? TUNNELCAP_ETHERTYPE_IPV4 : TUNNELCAP_ETHERTYPE_IPV6;
    return TUNNELCAP_OK;
}

/* What must not travel may still be an answer to a probe, whose addresses are the ends'. */
static int32_t exempt(tunnelcap_i_run *run, tunnelcap_i_item *item, tunnelcap_i_tunnel *tunnel,
                      int32_t status)
{
    tunnelcap_i_ip ip;

    if (tunnelcap_i_ip_read(item->pkt->buf + item->pkt->off, item->pkt->len, &ip) == TUNNELCAP_OK &&
        is_icmp(&ip))
        tunnelcap_i_take_echo(run, item, tunnel, &ip, &status);
    return status;
}

/* Go on with what has come out of a tunnel. `extra` is as for tunnelcap_i_inner_fragment(). */
TUNNELCAP_I_INLINE int32_t deliver(tunnelcap_i_run *run, tunnelcap_i_item *item,
                                   tunnelcap_i_tunnel *tunnel, uint16_t ethertype,
                                   tunnelcap_result *extra)
{
    const uint32_t checked = TUNNELCAP_TUNNEL_ANTI_SPOOF | TUNNELCAP_TUNNEL_MARTIANS;
    uint32_t is_ip = ethertype == TUNNELCAP_ETHERTYPE_IPV4 || ethertype == TUNNELCAP_ETHERTYPE_IPV6;
    tunnelcap_i_ip ip;
    int32_t status;

    if ((tunnel->flags & checked) && is_ip) {
        status = tunnelcap_i_inbound_check(run, tunnel, item->pkt);
        if (status != TUNNELCAP_OK)
            return exempt(run, item, tunnel, status);
    }
    if (is_ip &&
        tunnelcap_i_ip_read(item->pkt->buf + item->pkt->off, item->pkt->len, &ip) == TUNNELCAP_OK) {
        if (ip.fragment && (tunnel->flags & TUNNELCAP_TUNNEL_REASSEMBLE) &&
            run->lane->reassembly[TUNNELCAP_I_INNER] != NULL)
            return tunnelcap_i_inner_fragment(run, item, tunnel, extra);
        return deliver_ip(run, item, tunnel, &ip);
    }
    /* What its extension headers are is its receiver's affair. */
    item->result->action = TUNNELCAP_DO_DELIVER;
    item->result->value = ethertype;
    return TUNNELCAP_OK;
}

int32_t tunnelcap_i_deliver_whole(tunnelcap_i_run *run, tunnelcap_i_item *item,
                                  tunnelcap_i_tunnel *tunnel)
{
    tunnelcap_i_ip ip;
    int32_t status = tunnelcap_i_ip_read(item->pkt->buf + item->pkt->off, item->pkt->len, &ip);

    return status == TUNNELCAP_OK ? deliver_ip(run, item, tunnel, &ip) : status;
}

/* EtherType of an IP packet that has been unwrapped. */
static uint16_t ip_ethertype(const tunnelcap_pkt *pkt)
{
    return pkt->buf[pkt->off] >> 4 == 6 ? TUNNELCAP_ETHERTYPE_IPV6 : TUNNELCAP_ETHERTYPE_IPV4;
}

/* Make a packet a job of an SA. */
static int32_t submit(tunnelcap_i_run *run, tunnelcap_i_item *item, tunnelcap_esp *esp)
{
    const tunnelcap_i_tunnel *tunnel = tunnelcap_i_tunnel_in(run->table, run->view, item->place);
    tunnelcap_i_split split = {0, 0};
    int32_t status = TUNNELCAP_E_INVALID;

    if (tunnelcap_i_esp_usable(esp, run->lane, TUNNELCAP_ESP_IN))
        status = tunnelcap_i_esp_decap_prepare(esp, item->pkt, item->meta,
                                               tunnelcap_i_esp_jobs(run->lane) + run->jobs);
    if (status != TUNNELCAP_OK)
        return status;
    if ((tunnel->flags & TUNNELCAP_TUNNEL_REASSEMBLE) &&
        run->lane->reassembly[TUNNELCAP_I_INNER] != NULL &&
        tunnelcap_i_room(run, 1, 1) == TUNNELCAP_OK) {
        split.pieces = 1;
        run->reserved++;
        tunnelcap_i_take_result(run, 0);
    }
    tunnelcap_i_note_job(run, item, split);
    if (run->jobs == run->lane->max_burst)
        tunnelcap_i_decap_jobs(run);
    return TUNNELCAP_I_DONE;
}

/* Whether packets are received by an SA, which stands in the table. */
static int32_t check_sa(tunnelcap_i_run *run, tunnelcap_i_item *item, const tunnelcap_i_sa *sa)
{
    switch (sa->state) {
    case TUNNELCAP_SA_STAGED:
        return TUNNELCAP_E_NEED_SA;
    case TUNNELCAP_SA_DRAINING:
        if (sa->as.until_ns == 0 || run->burst->now_ns < sa->as.until_ns)
            break;
        return TUNNELCAP_E_EXPIRED;
    case TUNNELCAP_SA_DEAD:
        return TUNNELCAP_E_EXPIRED;
    default:
        break;
    }
    if (sa->owner == 0)
        return TUNNELCAP_OK;
    item->result->action = TUNNELCAP_DO_FORWARD;
    item->result->value = sa->owner;
    return TUNNELCAP_E_NOT_OWNER;
}

/* Refuse a packet that belongs to nothing here: if a server that knows of its SA may exist, that
 * one is asked for. SPIs up to 255 are allotted to nobody (RFC 4303 2.1). */
static int32_t refuse_stranger(tunnelcap_i_item *item, const tunnelcap_i_facts *f)
{
    if (f->stranger == TUNNELCAP_E_NEED_SA && f->spi > 255) {
        item->result->action = TUNNELCAP_DO_FETCH_SA;
        item->result->value = f->spi;
    }
    return f->stranger;
}

/* Unwrap GRE and IP in IP. `extra` is as for tunnelcap_i_inner_fragment(). */
TUNNELCAP_I_INLINE int32_t unwrap(tunnelcap_i_run *run, tunnelcap_i_item *item,
                                  tunnelcap_i_tunnel *tunnel, const tunnelcap_meta *meta,
                                  tunnelcap_result *extra)
{
    tunnelcap_gre_rx rx;
    int32_t status;

    if (tunnel->key.kind == TUNNELCAP_KIND_IPIP) {
        status = tunnelcap_i_ipip_decap(&tunnel->as.ipip, item->pkt, meta);
        return status == TUNNELCAP_OK ? deliver(run, item, tunnel, ip_ethertype(item->pkt), extra)
                                      : status;
    }
    status = tunnelcap_i_gre_decap(&tunnel->as.gre, item->pkt, meta, &rx);
    if (status == TUNNELCAP_OK)
        return deliver(run, item, tunnel, rx.protocol, extra);
    if (status == TUNNELCAP_KEEPALIVE && tunnelcap_i_is_gre_esp(tunnel))
        return TUNNELCAP_E_PROTOCOL; /* what goes back would go in the clear */
    if (status == TUNNELCAP_KEEPALIVE) {
        item->result->vrf = tunnel->key.outer_vrf;
        item->result->action = TUNNELCAP_DO_REPLY;
        item->result->l3_len = TUNNELCAP_I_IPV4_HEADER;
    }
    return status;
}

/* Tell where verified packets come from now. */
static void tell_moved(tunnelcap_i_run *run, const tunnelcap_i_item *item,
                       const tunnelcap_i_esp_job *job)
{
    tunnelcap_event event;
    const tunnelcap_i_opened *o = &job->o;
    const uint8_t *src = o->src;

    /* In transport mode the IP header has moved up to the payload. */
    if (job->esp->mode == TUNNELCAP_ESP_TRANSPORT)
        src = job->pkt->buf + job->pkt->off + (o->family == TUNNELCAP_IPV4 ? 12 : 8);
    memset(&event, 0, sizeof(event));
    event.now_ns = run->burst->now_ns;
    event.tunnel = item->result->tunnel;
    event.value = job->esp->spi;
    event.kind = TUNNELCAP_EVENT_PEER_MOVED;
    event.port = o->in_udp ? o->src_port : 0;
    event.addr.family = o->family;
    memcpy(event.addr.bytes, src, o->family == TUNNELCAP_IPV4 ? 4 : 16);
    tunnelcap_i_lane_tell(run->lane, &event);
}

/* What follows the unsealing of a packet. */
static int32_t finish(tunnelcap_i_run *run, tunnelcap_i_item *item, const tunnelcap_i_note *note,
                      const tunnelcap_i_esp_job *job)
{
    tunnelcap_result *result = item->result;
    tunnelcap_result *extra;
    tunnelcap_i_tunnel *tunnel;
    int32_t status = item->pkt->status;

    if (status != TUNNELCAP_OK)
        return status;
    if (job->rx_flags & TUNNELCAP_ESP_RX_PEER_MOVED) {
        result->flags |= TUNNELCAP_RESULT_PEER_MOVED;
        tell_moved(run, item, job);
    }
    if (job->rx_flags & TUNNELCAP_ESP_RX_REKEY) {
        result->flags |= TUNNELCAP_RESULT_REKEY;
        tunnelcap_i_tell_rekey(run, item, job->esp);
    }
    tunnel = tunnelcap_i_tunnel_in(run->table, run->view, item->place);
    extra = note->split.pieces != 0 ? result + 1 : NULL;
    if (tunnelcap_i_is_gre_esp(tunnel))
        return unwrap(run, item, tunnel, NULL, extra);
    return deliver(run, item, tunnel, ip_ethertype(item->pkt), extra);
}

void tunnelcap_i_decap_jobs(tunnelcap_i_run *run)
{
    uint32_t count = run->jobs;
    tunnelcap_i_item item;
    int32_t status;

    tunnelcap_i_esp_decap_run(run->lane, count);
    run->reserved = 0;
    for (uint32_t i = 0; i < count; i++) {
        tunnelcap_i_note note = *tunnelcap_i_noted(run, i, &item);

        if (note.split.pieces != 0)
            tunnelcap_i_leave_hole(run, note.result + 1); /* unless it is used */
        status = finish(run, &item, &note, tunnelcap_i_esp_jobs(run->lane) + i);
        if (status != TUNNELCAP_I_DONE)
            tunnelcap_i_settle_plain(run, &item, status);
    }
    tunnelcap_i_close_up(run);
}

/* Unwrap an outer packet whose headers have been read; its tunnel has been looked for by its key.
 * One of the burst may wait for a call with more room; what stands in a spare may not. */
TUNNELCAP_I_INLINE int32_t decap(tunnelcap_i_run *run, tunnelcap_i_item *item,
                                 const tunnelcap_i_facts *f, tunnelcap_i_tunnel *tunnel,
                                 uint32_t may_wait)
{
    const tunnelcap_i_sa *sa = NULL;
    int32_t status;

    if (tunnel == NULL && f->has_spi)
        sa = tunnelcap_i_find_sa(run->table, run->view, f->key.outer_vrf, f->spi, f->o.family,
                                 f->o.dst);
    if (sa != NULL || f->stranger == TUNNELCAP_E_NEED_SA)
        item->result->spi = f->spi;
    if (sa != NULL)
        tunnel = tunnelcap_i_tunnel_in(run->table, run->view, sa->place);
    if (tunnel == NULL)
        return refuse_stranger(item, f);
    item->place = tunnel->place;
    item->before = f->o.end;
    item->result->tunnel = tunnel->id;
    item->result->vrf = tunnel->vrf;
    status = sa != NULL                       ? check_sa(run, item, sa)
             : tunnelcap_i_is_gre_esp(tunnel) ? TUNNELCAP_E_AUTH /* in the clear */
                                              : TUNNELCAP_OK;
    if (status != TUNNELCAP_OK)
        return status;
    if (may_wait && (tunnel->flags & TUNNELCAP_TUNNEL_REASSEMBLE) &&
        tunnelcap_i_inner_room(run, item) != TUNNELCAP_OK)
        return TUNNELCAP_I_STOP;
    return sa != NULL ? submit(run, item, sa->esp) : unwrap(run, item, tunnel, item->meta, NULL);
}

int32_t tunnelcap_i_decap_whole(tunnelcap_i_run *run, tunnelcap_i_item *item, uint32_t outer_vrf)
{
    tunnelcap_i_facts f;
    tunnelcap_i_tunnel *tunnel = NULL;
    int32_t status = read_outer(item->pkt, item->meta, outer_vrf, &f);

    if (status != TUNNELCAP_OK)
        return status;
    if (f.key.kind != TUNNELCAP_KIND_NONE)
        tunnel = tunnelcap_i_find_key(run->table, run->view, &f.key,
                                      tunnelcap_i_key_hash(run->table, &f.key));
    return decap(run, item, &f, tunnel, 0);
}

/* What has been seen of a packet ahead. */
typedef struct note {
    tunnelcap_i_facts f;
    tunnelcap_i_tunnel *tunnel; /* by its key, or NULL */
    int32_t status;
} note;

/* Find the tunnels of the packets ahead, and let the memory come that these will want. */
static void find_tunnels(const tunnelcap_i_run *run, note *notes, tunnelcap_i_find *finds,
                         uint32_t count)
{
    tunnelcap_i_find_keys(run->table, run->view, finds, count);
    for (uint32_t i = 0; i < count; i++) {
        tunnelcap_i_tunnel *tunnel = finds[i].tunnel;

        notes[i].tunnel = tunnel;
        if (tunnel == NULL)
            continue;
        tunnelcap_i_fetch(tunnelcap_i_counters_at(run->table, run->lane->slot, tunnel->place));
        tunnelcap_i_fetch(&tunnel->as);
        tunnelcap_i_fetch((const uint8_t *)&tunnel->as + 128);
    }
}

static void look(const tunnelcap_i_run *run, uint32_t first, uint32_t count, void *notes)
{
    const tunnelcap_burst *burst = run->burst;
    tunnelcap_i_find finds[TUNNELCAP_I_AHEAD];
    note *n = notes;

    for (uint32_t i = 0; i < count; i++, n++) {
        const tunnelcap_pkt *pkt = &burst->pkts[first + i];
        const tunnelcap_meta *meta =
            tunnelcap_i_meta_at(burst->meta, burst->meta_stride, first + i);

        tunnelcap_i_prefetch(burst->pkts, first + i, burst->pkt_count);
        n->status = TUNNELCAP_E_INVALID;
        finds[i].key = NULL;
        if (!tunnelcap_i_pkt_valid(pkt))
            continue;
        n->status = read_outer(pkt, meta, meta == NULL ? 0 : meta->vrf, &n->f);
        if (n->status == TUNNELCAP_OK && n->f.key.kind != TUNNELCAP_KIND_NONE)
            tunnelcap_i_find_aim(run->table, run->view, &n->f.key, &finds[i]);
    }
    find_tunnels(run, notes, finds, count);
}

static int32_t decap_one(tunnelcap_i_run *run, tunnelcap_i_item *item, const void *notes,
                         uint32_t index)
{
    const note *n = (const note *)notes + index;

    if (n->status == TUNNELCAP_OK)
        return decap(run, item, &n->f, n->tunnel, 1);
    if (n->status == TUNNELCAP_E_FRAGMENT)
        return tunnelcap_i_outer_fragment(run, item, &n->f);
    if (n->status == TUNNELCAP_E_PROTOCOL &&
        (n->f.o.protocol == TUNNELCAP_I_PROTO_ICMP || n->f.o.protocol == TUNNELCAP_I_PROTO_ICMPV6))
        return tunnelcap_i_outer_icmp(run, item, item->meta == NULL ? 0 : item->meta->vrf);
    return n->status;
}

int32_t tunnelcap_table_decap(tunnelcap_lane *lane, tunnelcap_burst *burst)
{
    note notes[TUNNELCAP_I_AHEAD];

    return tunnelcap_i_carry(lane, burst, TUNNELCAP_DECAP, look, decap_one, tunnelcap_i_decap_jobs,
                             notes);
}
