/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "outer.h"

#include "object.h"

static uint32_t is_multicast(const tunnelcap_addr *a)
{
    return a->family == TUNNELCAP_IPV4 ? (a->bytes[0] & 0xf0) == 0xe0 : a->bytes[0] == 0xff;
}

static uint32_t addr_is_clean(const tunnelcap_addr *a)
{
    size_t used = a->family == TUNNELCAP_IPV4 ? 4 : 16;

    return tunnelcap_i_is_zero(a->bytes + used, sizeof(a->bytes) - used) &&
           tunnelcap_i_is_zero(a->reserved, sizeof(a->reserved));
}

static int32_t check_addresses(const tunnelcap_addr *local, const tunnelcap_addr *remote)
{
    if (local->family != TUNNELCAP_IPV4 && local->family != TUNNELCAP_IPV6)
        return TUNNELCAP_E_ADDRESS;
    if (remote->family != local->family || !addr_is_clean(local) || !addr_is_clean(remote))
        return TUNNELCAP_E_ADDRESS;
    if (tunnelcap_i_is_zero(local->bytes, 16) || tunnelcap_i_is_zero(remote->bytes, 16))
        return TUNNELCAP_E_ADDRESS;
    if (is_multicast(local) || is_multicast(remote) || memcmp(local, remote, sizeof(*local)) == 0)
        return TUNNELCAP_E_ADDRESS;
    return TUNNELCAP_OK;
}

static int32_t check_config(const tunnelcap_outer *c)
{
    int32_t status = check_addresses(&c->local, &c->remote);

    if (status != TUNNELCAP_OK)
        return status;
    if (!tunnelcap_i_is_zero(c->reserved, sizeof(c->reserved)))
        return TUNNELCAP_E_RESERVED;
    if (c->dscp_mode > TUNNELCAP_DSCP_UNIFORM || c->ecn_mode > TUNNELCAP_ECN_RFC4301 ||
        c->df_mode > TUNNELCAP_DF_CLEAR || c->id_mode > TUNNELCAP_ID_ALWAYS ||
        c->flow_label_mode > TUNNELCAP_FLOW_LABEL_FIXED || c->encap_limit_mode > 1 ||
        c->ttl_mode > TUNNELCAP_TTL_UNIFORM)
        return TUNNELCAP_E_MODE;
    if (c->dscp > 63 || c->flow_label > 0xfffff)
        return TUNNELCAP_E_RANGE;
    if (c->encap_limit_mode != 0 && c->local.family == TUNNELCAP_IPV4)
        return TUNNELCAP_E_FLAGS;
    return TUNNELCAP_OK;
}

static void build_ipv4(const tunnelcap_outer *c, tunnelcap_i_outer *out)
{
    out->header[0] = 0x45;
    memcpy(out->header + 12, c->local.bytes, 4);
    memcpy(out->header + 16, c->remote.bytes, 4);
    memcpy(out->match, c->remote.bytes, 4);
    memcpy(out->match + 4, c->local.bytes, 4);
    out->sum = tunnelcap_i_sum(out->header, TUNNELCAP_I_IPV4_HEADER);
    /* A packet whose "don't fragment" is copied clear needs an identification: it is not plain. */
    out->df_plain = c->df_mode == TUNNELCAP_DF_COPY ? 0x40 : 0;
    out->plain = c->df_mode != TUNNELCAP_DF_CLEAR && c->id_mode == TUNNELCAP_ID_AUTO && c->ttl != 0;
    if (out->plain) {
        out->header[6] = 0x40;
        out->header[8] = c->ttl;
    }
    out->ip_len = TUNNELCAP_I_IPV4_HEADER;
    out->protocol_at = 9;
    out->max = TUNNELCAP_I_IPV4_MAX;
}

static void build_ipv6(const tunnelcap_outer *c, tunnelcap_i_outer *out)
{
    /* RFC 2473 4.1.1: Tunnel Encapsulation Limit (4, length 1, value), padded by PadN(1). */
    const uint8_t limit[8] = {0, 0, 4, 1, c->encap_limit, 1, 1, 0};

    /* A label of 0 would mean "not labelled" (RFC 6437 2): of hashed ones, the last bit is set. */
    tunnelcap_i_store32(out->header,
                        0x60000000 |
                            (c->flow_label_mode == TUNNELCAP_FLOW_LABEL_HASH ? 1 : c->flow_label));
    memcpy(out->header + 8, c->local.bytes, 16);
    memcpy(out->header + 24, c->remote.bytes, 16);
    memcpy(out->match, c->remote.bytes, 16);
    memcpy(out->match + 16, c->local.bytes, 16);
    out->ip_len = TUNNELCAP_I_IPV6_HEADER;
    out->protocol_at = 6;
    out->max = TUNNELCAP_I_IPV6_MAX;
    if (c->encap_limit_mode != 0) {
        out->header[6] = TUNNELCAP_I_PROTO_DEST_OPTS;
        memcpy(out->header + TUNNELCAP_I_IPV6_HEADER, limit, sizeof(limit));
        out->protocol_at = TUNNELCAP_I_IPV6_HEADER;
        out->ip_len = TUNNELCAP_I_IPV6_HEADER + sizeof(limit);
        out->has_limit = 1;
    }
    out->plain = c->ttl != 0;
    out->sum = tunnelcap_i_load32(out->header);
    out->label_mask = c->flow_label_mode == TUNNELCAP_FLOW_LABEL_HASH ? 0xffffe : 0;
    out->header[7] = c->ttl;
    out->want_flow = c->flow_label_mode == TUNNELCAP_FLOW_LABEL_HASH;
}

int32_t tunnelcap_i_outer_build(const tunnelcap_outer *config, uint32_t extra,
                                tunnelcap_i_outer *out)
{
    tunnelcap_outer own = *config;
    int32_t status = check_config(config);

    if (status != TUNNELCAP_OK)
        return status;
    memset(out, 0, sizeof(*out));
    out->family = config->local.family;
    out->ttl_other = config->ttl != 0 ? config->ttl : 64;
    if (config->ttl_mode == TUNNELCAP_TTL_UNIFORM) {
        out->uniform = TUNNELCAP_I_UNIFORM_TTL;
        own.ttl = 0;
    }
    if (out->family == TUNNELCAP_IPV4)
        build_ipv4(&own, out);
    else
        build_ipv6(&own, out);
    out->header_len = (uint8_t)(out->ip_len + extra);
    out->tos_other = (uint8_t)(config->dscp << 2);
    if (config->dscp_mode == TUNNELCAP_DSCP_PIPE)
        out->tos_fixed = out->tos_other;
    else
        out->tos_mask = 0xfc;
    if (config->ecn_mode != TUNNELCAP_ECN_COMPATIBILITY)
        out->tos_mask |= 3;
    out->ttl = own.ttl;
    out->df_mode = config->df_mode;
    out->id_mode = config->id_mode;
    out->ecn_rfc4301 = config->ecn_mode == TUNNELCAP_ECN_RFC4301;
    if (config->dscp_mode == TUNNELCAP_DSCP_UNIFORM)
        out->uniform |= TUNNELCAP_I_UNIFORM_DSCP;
    return TUNNELCAP_OK;
}

void tunnelcap_i_outer_redirect(tunnelcap_i_outer *outer, const uint8_t *remote)
{
    uint32_t bytes = outer->family == TUNNELCAP_IPV4 ? 4 : 16;
    uint8_t *dst = outer->header + (outer->family == TUNNELCAP_IPV4 ? 16 : 24);
    uint32_t change = tunnelcap_i_sum(remote, bytes) + 0xffff - tunnelcap_i_sum(dst, bytes);

    if (outer->family == TUNNELCAP_IPV4) {
        outer->sum += change; /* in ones' complement */
        outer->plain_sum += change;
    }
    outer->pseudo += change;
    memcpy(dst, remote, bytes);
    memcpy(outer->match, remote, bytes);
}

void tunnelcap_i_outer_finish(tunnelcap_i_outer *outer, uint8_t protocol)
{
    outer->header[outer->protocol_at] = protocol;
    outer->plain_sum = tunnelcap_i_sum(outer->header, TUNNELCAP_I_IPV4_HEADER);
    outer->pseudo = tunnelcap_i_sum(outer->match, sizeof(outer->match)) + TUNNELCAP_I_PROTO_UDP;
}

int32_t tunnelcap_i_meta_check(const tunnelcap_meta *meta, uint32_t len)
{
    if (meta->gso_type != 0 || meta->gso_size != 0)
        return TUNNELCAP_E_TOO_BIG;
    if ((meta->flags & TUNNELCAP_META_CSUM_PARTIAL) &&
        (uint32_t)meta->csum_start + meta->csum_offset + 2 > len)
        return TUNNELCAP_E_INVALID;
    return TUNNELCAP_OK;
}

uint16_t tunnelcap_i_meta_checksum(const tunnelcap_meta *meta, const uint8_t *p, uint32_t len)
{
    uint16_t checksum = (uint16_t)~tunnelcap_i_sum(p + meta->csum_start, len - meta->csum_start);

    /* Zero would mean "no checksum" to UDP; to ones' complement both are the same. */
    return checksum != 0 ? checksum : 0xffff;
}

void tunnelcap_i_meta_finish(const tunnelcap_meta *meta, uint8_t *p, uint32_t len)
{
    if (meta->flags & TUNNELCAP_META_CSUM_PARTIAL)
        tunnelcap_i_store16(p + meta->csum_start + meta->csum_offset,
                            tunnelcap_i_meta_checksum(meta, p, len));
}

/* Where an inner packet's IP header begins; UINT32_MAX if it holds none. */
static uint32_t find_l3(const uint8_t *p, uint32_t len, uint16_t ethertype)
{
    uint32_t l3;

    if (ethertype == TUNNELCAP_ETHERTYPE_IPV4 || ethertype == TUNNELCAP_ETHERTYPE_IPV6)
        return 0;
    if (ethertype != TUNNELCAP_ETHERTYPE_ETHERNET)
        return UINT32_MAX;
    l3 = tunnelcap_i_ethernet_l3(p, len);
    return l3 != 0 ? l3 : UINT32_MAX;
}

/* What is no IP still belongs to a flow: label stack, addresses of a frame. */
static uint64_t hash_other(tunnelcap_i_flow_key key, const uint8_t *p, uint32_t len)
{
    uint8_t head[16] = {0};

    memcpy(head, p, len < sizeof(head) ? len : sizeof(head));
    return tunnelcap_i_hash2(key, tunnelcap_i_load64(head), tunnelcap_i_load64(head + 8));
}

/* Offset of the limit's value in the Destination Options of an IPv6 packet; 0 if it has none. The
 * packet has been parsed. An option that is longer than its header ends the search. */
static uint32_t find_limit(const uint8_t *p, const tunnelcap_i_ip *ip)
{
    enum { PAD1 = 0, LIMIT = 4 };
    uint32_t at = TUNNELCAP_I_IPV6_HEADER;
    uint8_t kind = p[6];
    uint32_t end;

    for (; at < ip->payload; kind = p[at], at = end) {
        end = at + (kind == TUNNELCAP_I_PROTO_FRAGMENT ? 8 : ((uint32_t)p[at + 1] + 1) * 8);
        if (kind != TUNNELCAP_I_PROTO_DEST_OPTS)
            continue;
        for (uint32_t option = at + 2; option < end;) {
            if (p[option] == PAD1) {
                option++;
                continue;
            }
            if (end - option < 2 || end - option - 2 < p[option + 1])
                break;
            if (p[option] == LIMIT && p[option + 1] == 1)
                return option + 2;
            option += 2 + (uint32_t)p[option + 1];
        }
    }
    return 0;
}

uint32_t tunnelcap_outer_limit_at(const tunnelcap_pkt *pkt)
{
    tunnelcap_i_ip ip;

    if (pkt == NULL || !tunnelcap_i_pkt_valid(pkt) ||
        tunnelcap_i_ip_parse(pkt->buf + pkt->off, pkt->len, &ip) != TUNNELCAP_OK ||
        ip.family != TUNNELCAP_IPV6)
        return 0;
    return find_limit(pkt->buf + pkt->off, &ip);
}

int32_t tunnelcap_i_inner_limit(const tunnelcap_i_outer *outer, const uint8_t *p,
                                const tunnelcap_i_ip *ip, tunnelcap_i_inner *inner)
{
    uint32_t at = 0;

    if (outer->family == TUNNELCAP_IPV6 && ip->family == TUNNELCAP_IPV6)
        at = find_limit(p, ip);
    if (at != 0 && p[at] == 0)
        return TUNNELCAP_E_ENCAP_LIMIT;
    inner->limited = at != 0;
    inner->limit = at != 0 ? (uint8_t)(p[at] - 1) : 0;
    return TUNNELCAP_OK;
}

void tunnelcap_i_outer_insert_limit(tunnelcap_pkt *pkt, uint8_t limit)
{
    uint8_t *p = pkt->buf + pkt->off - TUNNELCAP_I_LIMIT_HEADER;
    const uint8_t option[TUNNELCAP_I_LIMIT_HEADER] = {0, 0, 4, 1, limit, 1, 1, 0};

    memmove(p, p + TUNNELCAP_I_LIMIT_HEADER, TUNNELCAP_I_IPV6_HEADER);
    memcpy(p + TUNNELCAP_I_IPV6_HEADER, option, sizeof(option));
    p[TUNNELCAP_I_IPV6_HEADER] = p[6];
    p[6] = TUNNELCAP_I_PROTO_DEST_OPTS;
    tunnelcap_i_store16(p + 4, tunnelcap_i_load16(p + 4) + TUNNELCAP_I_LIMIT_HEADER);
    pkt->off -= TUNNELCAP_I_LIMIT_HEADER;
    pkt->len += TUNNELCAP_I_LIMIT_HEADER;
}

int32_t tunnelcap_i_inner_look(const tunnelcap_i_outer *outer, const tunnelcap_lane *lane,
                               const uint8_t *p, uint32_t len, tunnelcap_i_inner *inner)
{
    tunnelcap_i_ip ip;
    uint32_t l3;
    int32_t status;

    memset(&ip, 0, sizeof(ip));
    inner->limited = 0;
    if (inner->ethertype == 0) {
        if (len == 0)
            return TUNNELCAP_E_TRUNCATED;
        if (p[0] >> 4 != 4 && p[0] >> 4 != 6)
            return TUNNELCAP_E_MALFORMED;
        inner->ethertype = p[0] >> 4 == 4 ? TUNNELCAP_ETHERTYPE_IPV4 : TUNNELCAP_ETHERTYPE_IPV6;
    }
    l3 = find_l3(p, len, inner->ethertype);
    inner->len = len;
    if (l3 != UINT32_MAX) {
        status = tunnelcap_i_ip_parse(p + l3, len - l3, &ip);
        if (l3 == 0) {
            if (status != TUNNELCAP_OK)
                return status;
            if ((ip.family == TUNNELCAP_IPV4) != (inner->ethertype == TUNNELCAP_ETHERTYPE_IPV4))
                return TUNNELCAP_E_MALFORMED;
            if (ip.total > len)
                return TUNNELCAP_E_TRUNCATED;
            inner->len = ip.total;
            status = tunnelcap_i_inner_limit(outer, p, &ip, inner);
            if (status != TUNNELCAP_OK)
                return status;
        } else if (status != TUNNELCAP_OK) {
            l3 = UINT32_MAX; /* what a frame holds is its receiver's affair */
        }
    }
    inner->is_ip = l3 != UINT32_MAX;
    inner->tos = ip.tos;
    inner->ttl = ip.ttl;
    inner->df = ip.df;
    inner->fragment = ip.fragment;
    if (!outer->want_flow)
        return TUNNELCAP_OK;
    inner->hash = inner->is_ip ? tunnelcap_i_flow_hash(lane->flow_key, p + l3, len - l3, &ip)
                               : hash_other(lane->flow_key, p, len);
    return TUNNELCAP_OK;
}

/* A socket has taken the IP header off: addresses come from the meta. */
static int32_t open_stripped(uint32_t len, const tunnelcap_meta *meta, tunnelcap_i_opened *o)
{
    if (meta->src.family != meta->dst.family ||
        (meta->src.family != TUNNELCAP_IPV4 && meta->src.family != TUNNELCAP_IPV6))
        return TUNNELCAP_E_INVALID;
    o->src = meta->src.bytes;
    o->dst = meta->dst.bytes;
    o->pos = 0;
    o->end = len;
    o->family = meta->src.family;
    o->tos_known = (meta->flags & TUNNELCAP_META_TOS_VALID) != 0;
    o->tos = o->tos_known ? meta->tos : 0;
    o->ttl = meta->ttl != 0 ? meta->ttl : 255;
    o->fragment = 0;
    o->non_first = 0;
    if (meta->at == TUNNELCAP_AT_IP_PAYLOAD) {
        o->protocol = meta->proto;
        o->in_udp = 0;
        return TUNNELCAP_OK;
    }
    if (meta->at != TUNNELCAP_AT_UDP_PAYLOAD)
        return TUNNELCAP_E_INVALID;
    o->protocol = TUNNELCAP_I_PROTO_UDP;
    o->in_udp = 1;
    o->src_port = meta->src_port;
    o->dst_port = meta->dst_port;
    return TUNNELCAP_OK;
}

int32_t tunnelcap_i_open_cut(const uint8_t *p, uint32_t len, const tunnelcap_meta *meta,
                             tunnelcap_i_opened *o)
{
    tunnelcap_i_ip ip;
    int32_t status;

    if (meta != NULL && meta->at != TUNNELCAP_AT_IP)
        return open_stripped(len, meta, o);
    status = tunnelcap_i_ip_parse(p, len, &ip);
    if (status != TUNNELCAP_OK)
        return status;
    o->src = ip.src;
    o->dst = ip.src + ip.addr_len;
    o->pos = ip.payload;
    o->end = ip.total < len ? ip.total : len;
    o->family = ip.family;
    /* RFC 8200 4.4: only its final destination looks behind a routing header. */
    o->protocol = ip.in_transit ? TUNNELCAP_I_PROTO_ROUTING : ip.protocol;
    o->tos = ip.tos;
    o->ttl = ip.ttl;
    o->tos_known = 1;
    o->fragment = ip.fragment;
    o->non_first = ip.non_first;
    o->in_udp = 0;
    return ip.total > len ? TUNNELCAP_E_TRUNCATED : TUNNELCAP_OK;
}

int32_t tunnelcap_i_look_udp(const uint8_t *p, tunnelcap_i_opened *o)
{
    const uint8_t *udp = p + o->pos;
    uint32_t len;

    if (o->in_udp)
        return TUNNELCAP_OK;
    if (o->end - o->pos < TUNNELCAP_I_UDP_HEADER)
        return TUNNELCAP_E_TRUNCATED;
    o->src_port = tunnelcap_i_load16(udp);
    o->dst_port = tunnelcap_i_load16(udp + 2);
    len = tunnelcap_i_load16(udp + 4);
    if (len < TUNNELCAP_I_UDP_HEADER)
        return TUNNELCAP_E_MALFORMED;
    if (len < o->end - o->pos)
        o->end = o->pos + len;
    o->pos += TUNNELCAP_I_UDP_HEADER;
    o->in_udp = 1;
    return TUNNELCAP_OK;
}

int32_t tunnelcap_i_open_udp(const uint8_t *p, tunnelcap_i_opened *o, uint32_t zero6_ok,
                             uint32_t verify)
{
    const uint8_t *udp = p + o->pos;
    uint32_t left = o->end - o->pos;
    uint32_t len;
    int32_t status;

    if (o->in_udp)
        return TUNNELCAP_OK;
    status = tunnelcap_i_look_udp(p, o);
    if (status != TUNNELCAP_OK)
        return status;
    len = tunnelcap_i_load16(udp + 4);
    if (len > left)
        return TUNNELCAP_E_TRUNCATED;
    /* What is not there cannot have been verified by anyone else either. */
    if (tunnelcap_i_load16(udp + 6) == 0)
        return o->family == TUNNELCAP_IPV6 && !zero6_ok ? TUNNELCAP_E_NO_CHECKSUM /* RFC 8200 8.1 */
                                                        : TUNNELCAP_OK;
    if (verify && tunnelcap_i_fold(tunnelcap_i_sum(udp, len) +
                                   tunnelcap_i_sum_pseudo(o->src, o->dst, o->family,
                                                          TUNNELCAP_I_PROTO_UDP, len)) != 0xffff)
        return TUNNELCAP_E_CHECKSUM;
    return TUNNELCAP_OK;
}

/* RFC 6040 section 4.2, figure 4: the ECN field to send on, by outer and inner; 4 is "drop". */
static const uint8_t ecn_decap[4][4] = {
    {0, 1, 2, 3}, /* outer Not-ECT */
    {0, 1, 1, 3}, /* outer ECT(1) */
    {0, 1, 2, 3}, /* outer ECT(0) */
    {4, 3, 3, 3}, /* outer CE */
};

/* What is to be known of an IP header, without a walk through what follows it. */
typedef struct header_facts {
    uint32_t total;
    uint8_t tos;
    uint8_t ttl;
} header_facts;

static int32_t look_at_header(const uint8_t *ip, uint32_t len, header_facts *facts)
{
    if (len < 1)
        return TUNNELCAP_E_TRUNCATED;
    if (ip[0] >> 4 == 4) {
        if (len < TUNNELCAP_I_IPV4_HEADER)
            return TUNNELCAP_E_TRUNCATED;
        facts->total = tunnelcap_i_load16(ip + 2);
        facts->tos = ip[1];
        facts->ttl = ip[8];
        if (ip[0] < 0x45 || facts->total < (uint32_t)(ip[0] & 0x0f) * 4)
            return TUNNELCAP_E_MALFORMED;
        return TUNNELCAP_OK;
    }
    if (ip[0] >> 4 == 6) {
        if (len < TUNNELCAP_I_IPV6_HEADER)
            return TUNNELCAP_E_TRUNCATED;
        facts->total = TUNNELCAP_I_IPV6_HEADER + (uint32_t)tunnelcap_i_load16(ip + 4);
        facts->tos = tunnelcap_i_ipv6_class(ip);
        facts->ttl = ip[7];
        return TUNNELCAP_OK;
    }
    return TUNNELCAP_E_MALFORMED;
}

/* The inner TOS as the outer one changes it. */
static int32_t fold_tos(const tunnelcap_i_outer *outer, const tunnelcap_i_opened *o, uint8_t *tos)
{
    uint8_t before = *tos;
    uint8_t ecn;

    if (!o->tos_known)
        return TUNNELCAP_OK;
    ecn = ecn_decap[o->tos & 3][before & 3];
    if (outer->ecn_rfc4301)
        ecn = (o->tos & 3) == 3 && (before & 3) != 0 ? 3 : before & 3;
    if (ecn > 3)
        return TUNNELCAP_E_ECN;
    *tos = (uint8_t)(((outer->uniform & TUNNELCAP_I_UNIFORM_DSCP ? o->tos : before) & 0xfc) | ecn);
    return TUNNELCAP_OK;
}

uint8_t tunnelcap_i_kind_of(uint8_t protocol)
{
    switch (protocol) {
    case TUNNELCAP_I_PROTO_GRE:
        return TUNNELCAP_KIND_GRE;
    case TUNNELCAP_I_PROTO_ESP:
        return TUNNELCAP_KIND_ESP;
    case TUNNELCAP_I_PROTO_IPV4:
    case TUNNELCAP_I_PROTO_IPV6:
        return TUNNELCAP_KIND_IPIP;
    default:
        return TUNNELCAP_KIND_NONE;
    }
}

int32_t tunnelcap_i_payload_look(const tunnelcap_i_outer *outer, const tunnelcap_i_opened *o,
                                 const uint8_t *p, uint32_t len, uint16_t ethertype,
                                 tunnelcap_i_marks *marks)
{
    uint32_t at = find_l3(p, len, ethertype);
    header_facts facts;
    int32_t status;

    marks->l3 = UINT32_MAX;
    if (at == UINT32_MAX)
        return TUNNELCAP_OK;
    status = look_at_header(p + at, len - at, &facts);
    if (at != 0 && status != TUNNELCAP_OK)
        return TUNNELCAP_OK; /* what a frame holds is its receiver's affair */
    if (status != TUNNELCAP_OK)
        return status;
    if (at == 0 && (p[0] >> 4 == 4) != (ethertype == TUNNELCAP_ETHERTYPE_IPV4))
        return TUNNELCAP_E_MALFORMED;
    if (at == 0 && facts.total > len)
        return TUNNELCAP_E_TRUNCATED;

    marks->tos = facts.tos;
    marks->ttl = facts.ttl;
    status = fold_tos(outer, o, &marks->tos);
    if (status != TUNNELCAP_OK)
        return status;
    if ((outer->uniform & TUNNELCAP_I_UNIFORM_TTL) && o->ttl < facts.ttl)
        marks->ttl = o->ttl;
    if (marks->tos != facts.tos || marks->ttl != facts.ttl)
        marks->l3 = at;
    return TUNNELCAP_OK;
}

/* Change one byte of an IPv4 header, with the checksum. */
static void set_byte(uint8_t *ip, uint32_t at, uint8_t value)
{
    uint8_t *word = ip + (at & ~1u);
    uint16_t before = tunnelcap_i_load16(word);

    ip[at] = value;
    tunnelcap_i_store16(ip + 10, tunnelcap_i_checksum_update(tunnelcap_i_load16(ip + 10), before,
                                                             tunnelcap_i_load16(word)));
}

void tunnelcap_i_payload_mark(uint8_t *p, const tunnelcap_i_marks *marks)
{
    uint8_t *ip = p + marks->l3;

    if (ip[0] >> 4 == 6) {
        tunnelcap_i_ipv6_set_class(ip, marks->tos);
        ip[7] = marks->ttl;
        return;
    }
    set_byte(ip, 1, marks->tos);
    if (ip[8] != marks->ttl)
        set_byte(ip, 8, marks->ttl);
}
