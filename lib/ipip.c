/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "ipip.h"

enum { OLDEST = sizeof(tunnelcap_ipip_config) };

enum { ONLY_BOTH = TUNNELCAP_IPIP_ONLY_IPV4 | TUNNELCAP_IPIP_ONLY_IPV6 };

static tunnelcap_ipip_config defaults(void)
{
    tunnelcap_ipip_config config;

    memset(&config, 0, sizeof(config));
    config.size = sizeof(config);
    config.outer.ttl = 64;
    config.outer.df_mode = TUNNELCAP_DF_COPY; /* RFC 2003 3.1 */
    return config;
}

int32_t tunnelcap_ipip_config_init(tunnelcap_ipip_config *config, uint32_t size)
{
    tunnelcap_ipip_config own = defaults();

    return tunnelcap_i_struct_init(config, size, &own, sizeof(own), OLDEST);
}

int32_t tunnelcap_i_ipip_place(tunnelcap_ipip *ipip, const tunnelcap_ipip_config *config)
{
    tunnelcap_ipip_config own = defaults();
    int32_t status = tunnelcap_i_struct_read(&own, sizeof(own), OLDEST, config);

    if (status != TUNNELCAP_OK)
        return status;
    if ((own.flags & ~(uint32_t)ONLY_BOTH) || own.flags == ONLY_BOTH)
        return TUNNELCAP_E_FLAGS;
    memset(ipip, 0, sizeof(*ipip));
    ipip->flags = own.flags;
    status = tunnelcap_i_outer_build(&own.outer, 0, &ipip->outer);
    if (status != TUNNELCAP_OK)
        return status;
    tunnelcap_i_outer_finish(&ipip->outer, TUNNELCAP_I_PROTO_IPV4);
    if (own.flags & TUNNELCAP_IPIP_ONLY_IPV6)
        ipip->outer.plain = 0;
    ipip->plain_in = !ipip->outer.uniform && !(own.flags & TUNNELCAP_IPIP_ONLY_IPV6);
    return TUNNELCAP_OK;
}

static size_t lay_out(uint8_t *base, tunnelcap_ipip **ipip)
{
    tunnelcap_i_layout layout = {base, 0};

    *ipip = tunnelcap_i_layout_owned(&layout, sizeof(**ipip));
    return layout.size;
}

size_t tunnelcap_ipip_size(const tunnelcap_ipip_config *config)
{
    tunnelcap_ipip scratch;
    tunnelcap_ipip *ipip;

    return tunnelcap_i_ipip_place(&scratch, config) == TUNNELCAP_OK ? lay_out(NULL, &ipip) : 0;
}

int32_t tunnelcap_ipip_init(void *mem, size_t mem_size, const tunnelcap_ipip_config *config,
                            tunnelcap_ipip **out)
{
    tunnelcap_ipip scratch;
    tunnelcap_ipip *ipip;
    size_t need = lay_out(NULL, &ipip);
    int32_t status = tunnelcap_i_ipip_place(&scratch, config);

    if (status != TUNNELCAP_OK)
        return status;
    if (out == NULL)
        return TUNNELCAP_E_INVALID;
    status = tunnelcap_i_memory_check(mem, mem_size, need);
    if (status != TUNNELCAP_OK)
        return status;

    memset(mem, 0, need);
    lay_out(mem, &ipip);
    *ipip = scratch;
    tunnelcap_i_owner_of(ipip)->bytes = need;
    *out = ipip;
    return TUNNELCAP_OK;
}

void tunnelcap_ipip_fini(tunnelcap_ipip *ipip)
{
    if (ipip != NULL)
        tunnelcap_i_memory_end(tunnelcap_i_owner_of(ipip));
}

int32_t tunnelcap_ipip_new(const tunnelcap_ipip_config *config, const tunnelcap_alloc *alloc,
                           tunnelcap_ipip **out)
{
    tunnelcap_ipip scratch;
    tunnelcap_ipip *ipip;
    tunnelcap_i_owner owner;
    void *mem;
    int32_t status = tunnelcap_i_ipip_place(&scratch, config);

    if (status != TUNNELCAP_OK)
        return status;
    if (out == NULL)
        return TUNNELCAP_E_INVALID;
    status = tunnelcap_i_memory_get(lay_out(NULL, &ipip), alloc, &mem, &owner);
    if (status != TUNNELCAP_OK)
        return status;
    tunnelcap_ipip_init(mem, owner.bytes, config, out);
    *tunnelcap_i_owner_of(*out) = owner;
    return TUNNELCAP_OK;
}

void tunnelcap_ipip_free(tunnelcap_ipip *ipip)
{
    if (ipip != NULL)
        tunnelcap_i_memory_end(tunnelcap_i_owner_of(ipip));
}

uint32_t tunnelcap_ipip_headroom(const tunnelcap_ipip *ipip)
{
    return ipip == NULL ? 0 : ipip->outer.header_len;
}

uint32_t tunnelcap_ipip_encap_len(const tunnelcap_ipip *ipip, uint32_t inner_len)
{
    return ipip == NULL ? 0 : tunnelcap_i_outer_len(&ipip->outer, inner_len);
}

uint32_t tunnelcap_ipip_inner_mtu(const tunnelcap_ipip *ipip, uint32_t path_mtu)
{
    return ipip == NULL ? 0 : tunnelcap_i_outer_inner_mtu(&ipip->outer, path_mtu);
}

static int32_t encap_full(const tunnelcap_ipip *ipip, tunnelcap_lane *lane, tunnelcap_pkt *pkt,
                          const tunnelcap_meta *meta)
{
    const tunnelcap_i_outer *outer = &ipip->outer;
    tunnelcap_i_inner inner;
    uint8_t *p = pkt->buf + pkt->off;
    uint32_t need;
    uint32_t total;
    uint32_t is_ipv4;
    int32_t status;

    status = tunnelcap_i_inner_facts(outer, lane, p, pkt->len, 0, &inner);
    if (status != TUNNELCAP_OK)
        return status;
    if (meta != NULL) {
        status = tunnelcap_i_meta_check(meta, inner.len);
        if (status != TUNNELCAP_OK)
            return status;
    }
    is_ipv4 = inner.ethertype == TUNNELCAP_ETHERTYPE_IPV4;
    if (ipip->flags & (is_ipv4 ? TUNNELCAP_IPIP_ONLY_IPV6 : TUNNELCAP_IPIP_ONLY_IPV4))
        return TUNNELCAP_E_PROTOCOL;
    need = tunnelcap_i_outer_need(outer, &inner);
    if (inner.len > outer->max - need)
        return TUNNELCAP_E_TOO_BIG;
    if (pkt->off < need)
        return TUNNELCAP_E_HEADROOM;

    if (meta != NULL)
        tunnelcap_i_meta_finish(meta, p, inner.len);
    total = inner.len + outer->header_len;
    tunnelcap_i_outer_write(outer, lane, &inner,
                            is_ipv4 ? TUNNELCAP_I_PROTO_IPV4 : TUNNELCAP_I_PROTO_IPV6, total,
                            p - outer->header_len);
    pkt->off -= outer->header_len;
    pkt->len = total;
    if (need != outer->header_len)
        tunnelcap_i_outer_insert_limit(pkt, inner.limit);
    return TUNNELCAP_OK;
}

/* `family` is that of the outer header: a caller that knows it leaves the compiler less to do. */
TUNNELCAP_I_INLINE int32_t encap_one(const tunnelcap_ipip *ipip, tunnelcap_lane *lane,
                                     tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                                     uint32_t family)
{
    uint32_t want_flow = family == TUNNELCAP_IPV4 ? 0 : ipip->outer.want_flow;
    uint64_t hash;

    if (tunnelcap_i_meta_plain(meta) &&
        tunnelcap_i_outer_write_plain(&ipip->outer, family, want_flow, lane, pkt, &hash) != NULL)
        return TUNNELCAP_OK;
    return encap_full(ipip, lane, pkt, meta);
}

int32_t tunnelcap_i_ipip_encap(const tunnelcap_ipip *ipip, tunnelcap_lane *lane, tunnelcap_pkt *pkt,
                               const tunnelcap_meta *meta)
{
    return encap_one(ipip, lane, pkt, meta, ipip->outer.family);
}

TUNNELCAP_I_INLINE uint32_t encap_all(const tunnelcap_ipip *ipip, tunnelcap_lane *lane,
                                      tunnelcap_pkt *pkts, const tunnelcap_meta *meta,
                                      uint32_t meta_stride, uint32_t count, uint32_t family)
{
    uint32_t ok = 0;
    int32_t status;

    for (uint32_t i = 0; i < count; i++) {
        tunnelcap_i_prefetch(pkts, i, count);
        status = TUNNELCAP_E_INVALID;
        if (tunnelcap_i_pkt_valid(&pkts[i]))
            status =
                encap_one(ipip, lane, &pkts[i], tunnelcap_i_meta_at(meta, meta_stride, i), family);
        pkts[i].status = status;
        ok += status == TUNNELCAP_OK;
    }
    return ok;
}

uint32_t tunnelcap_ipip_encap(const tunnelcap_ipip *ipip, tunnelcap_lane *lane, tunnelcap_pkt *pkts,
                              const tunnelcap_meta *meta, uint32_t meta_stride, uint32_t count)
{
    if (ipip == NULL || lane == NULL || pkts == NULL)
        return 0;
    if (meta == NULL && ipip->outer.family == TUNNELCAP_IPV4)
        return encap_all(ipip, lane, pkts, NULL, 0, count, TUNNELCAP_IPV4);
    return encap_all(ipip, lane, pkts, meta, meta_stride, count, ipip->outer.family);
}

/* Unwrap the packet that nearly every packet is: IPv4 without options, in an outer packet without
 * options. Gives 0 and does nothing for any other, be it right or wrong. */
TUNNELCAP_I_INLINE uint32_t decap_plain(const tunnelcap_ipip *ipip, tunnelcap_pkt *pkt)
{
    const uint8_t *p = pkt->buf + pkt->off;
    uint32_t n =
        ipip->outer.family == TUNNELCAP_IPV4 ? TUNNELCAP_I_IPV4_HEADER : TUNNELCAP_I_IPV6_HEADER;
    uint32_t end;

    if (!ipip->plain_in || pkt->len < n + TUNNELCAP_I_IPV4_HEADER)
        return 0;
    end = tunnelcap_i_outer_read_plain(&ipip->outer, ipip->outer.family, TUNNELCAP_I_PROTO_IPV4, p,
                                       pkt->len);
    if (end < n + TUNNELCAP_I_IPV4_HEADER || !tunnelcap_i_inner_plain(p + n, end - n))
        return 0;
    pkt->off += n;
    pkt->len = end - n;
    return 1;
}

static int32_t decap_full(const tunnelcap_ipip *ipip, tunnelcap_pkt *pkt,
                          const tunnelcap_meta *meta)
{
    tunnelcap_i_opened o;
    uint8_t *p = pkt->buf + pkt->off;
    uint8_t *payload;
    tunnelcap_i_marks marks;
    uint32_t is_ipv4;
    int32_t status;

    status = tunnelcap_i_open(p, pkt->len, meta, &o);
    if (status != TUNNELCAP_OK)
        return status;
    if (!tunnelcap_i_outer_match(&ipip->outer, &o))
        return TUNNELCAP_E_NO_TUNNEL;
    is_ipv4 = o.protocol == TUNNELCAP_I_PROTO_IPV4;
    if (!is_ipv4 && o.protocol != TUNNELCAP_I_PROTO_IPV6)
        return TUNNELCAP_E_PROTOCOL;
    if (ipip->flags & (is_ipv4 ? TUNNELCAP_IPIP_ONLY_IPV6 : TUNNELCAP_IPIP_ONLY_IPV4))
        return TUNNELCAP_E_PROTOCOL;
    if (!tunnelcap_i_header_sum_ok(p, &o, meta))
        return TUNNELCAP_E_CHECKSUM;
    if (o.fragment)
        return TUNNELCAP_E_FRAGMENT;
    payload = p + o.pos;
    status = tunnelcap_i_payload_check(
        &ipip->outer, &o, payload, o.end - o.pos,
        is_ipv4 ? TUNNELCAP_ETHERTYPE_IPV4 : TUNNELCAP_ETHERTYPE_IPV6, &marks);
    if (status != TUNNELCAP_OK)
        return status;

    pkt->off += o.pos;
    pkt->len = o.end - o.pos;
    if (marks.l3 != UINT32_MAX)
        tunnelcap_i_payload_mark(payload, &marks);
    return TUNNELCAP_OK;
}

TUNNELCAP_I_INLINE int32_t decap_one(const tunnelcap_ipip *ipip, tunnelcap_pkt *pkt,
                                     const tunnelcap_meta *meta)
{
    if (tunnelcap_i_meta_plain(meta) && decap_plain(ipip, pkt))
        return TUNNELCAP_OK;
    return decap_full(ipip, pkt, meta);
}

int32_t tunnelcap_i_ipip_decap(const tunnelcap_ipip *ipip, tunnelcap_pkt *pkt,
                               const tunnelcap_meta *meta)
{
    return decap_one(ipip, pkt, meta);
}

uint32_t tunnelcap_ipip_decap(const tunnelcap_ipip *ipip, tunnelcap_pkt *pkts,
                              const tunnelcap_meta *meta, uint32_t meta_stride, uint32_t count)
{
    uint32_t ok = 0;

    if (ipip == NULL || pkts == NULL)
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        tunnelcap_i_prefetch(pkts, i, count);
        pkts[i].status = TUNNELCAP_E_INVALID;
        if (tunnelcap_i_pkt_valid(&pkts[i]))
            pkts[i].status = decap_one(ipip, &pkts[i], tunnelcap_i_meta_at(meta, meta_stride, i));
        ok += pkts[i].status == TUNNELCAP_OK;
    }
    return ok;
}
