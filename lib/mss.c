/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "mss.h"

#include "checksum.h"
#include "object.h"
#include "outer.h"

/* Implementation notes. A SYN is clamped in two passes over its options: the first only looks,
 * and notes where MSS options stand and whether authentication forbids a change; the second
 * writes. Nothing is changed before all is known.
 *
 * The TCP checksum covers 16-bit words that begin at even offsets of the TCP header. An MSS at
 * an odd offset straddles two of them, which changes its contribution by a byte swap. */

enum { OLDEST = sizeof(tunnelcap_mss_config) };

enum { TCP_HEADER = 20, TCP_HEADER_MAX = 60, TCP_SYN = 2 };

/* TCP options (IANA). */
enum {
    OPT_END = 0,
    OPT_NOP = 1,
    OPT_MSS = 2,
    OPT_MD5 = 19,
    OPT_AO = 29,
    MSS_LEN = TUNNELCAP_I_MSS_INSERT
};

/* As many MSS options as 40 bytes can hold. */
enum { MSS_OPTIONS_MAX = 10 };

typedef struct options {
    uint8_t mss_at[MSS_OPTIONS_MAX]; /* offset of each value in the TCP header */
    uint32_t mss_count;
    uint32_t kinds; /* bits 1 << kind of those that matter */
    uint32_t malformed;
} options;

int32_t tunnelcap_mss_config_init(tunnelcap_mss_config *config, uint32_t size, uint32_t inner_mtu)
{
    tunnelcap_mss_config own;

    memset(&own, 0, sizeof(own));
    if (inner_mtu > 0xffff)
        inner_mtu = 0xffff;
    if (inner_mtu != 0) {
        own.limit4 = (uint16_t)(inner_mtu > TUNNELCAP_MSS_FLOOR4 + 40u ? inner_mtu - 40u
                                                                       : TUNNELCAP_MSS_FLOOR4);
        own.limit6 = (uint16_t)(inner_mtu > TUNNELCAP_MSS_FLOOR6 + 60u ? inner_mtu - 60u
                                                                       : TUNNELCAP_MSS_FLOOR6);
    }
    return tunnelcap_i_struct_init(config, size, &own, sizeof(own), OLDEST);
}

static uint16_t at_least(uint16_t limit, uint16_t floor)
{
    return limit != 0 && limit < floor ? floor : limit;
}

static uint16_t at_most(uint16_t value, uint16_t ceiling)
{
    return value > ceiling ? ceiling : value;
}

int32_t tunnelcap_i_mss_read(tunnelcap_i_mss *mss, const tunnelcap_mss_config *config)
{
    tunnelcap_mss_config own;
    int32_t status = tunnelcap_i_struct_read(&own, sizeof(own), OLDEST, config);

    if (status != TUNNELCAP_OK)
        return status;
    if (own.flags & ~(uint32_t)TUNNELCAP_MSS_BELOW_FLOOR)
        return TUNNELCAP_E_FLAGS;
    if (own.reserved != 0)
        return TUNNELCAP_E_RESERVED;
    mss->limit[0] = own.limit4;
    mss->limit[1] = own.limit6;
    if (!(own.flags & TUNNELCAP_MSS_BELOW_FLOOR)) {
        mss->limit[0] = at_least(own.limit4, TUNNELCAP_MSS_FLOOR4);
        mss->limit[1] = at_least(own.limit6, TUNNELCAP_MSS_FLOOR6);
    }
    /* What is inserted is clamped as well, and never raises the default that absence means. */
    mss->insert[0] = at_most(at_most(own.insert4, TUNNELCAP_MSS_FLOOR4), mss->limit[0]);
    mss->insert[1] = at_most(at_most(own.insert6, TUNNELCAP_MSS_FLOOR6), mss->limit[1]);
    mss->l3_offset = own.l3_offset;
    mss->max = UINT32_MAX; /* an IP header's own limit is below */
    return TUNNELCAP_OK;
}

/* Walk the options of a TCP header of `len` bytes. What stands before a malformed option counts,
 * the rest does not. */
static inline void look_at_options(const uint8_t *tcp, uint32_t len, options *o)
{
    /* Bits of the kinds that matter, so that the others pass with one test. */
    const uint32_t known = 1u << OPT_MSS | 1u << OPT_MD5 | 1u << OPT_AO;
    uint32_t at = TCP_HEADER;
    uint32_t kind;
    uint32_t size;

    o->mss_count = 0;
    o->kinds = 0;
    for (; at < len; at += size) {
        kind = tcp[at];
        size = 1;
        if (kind == OPT_END)
            break;
        if (kind == OPT_NOP)
            continue;
        if (len - at < 2)
            goto malformed;
        size = tcp[at + 1];
        if (size < 2 || size > len - at)
            goto malformed;
        if (kind < 32 && (known >> kind & 1)) {
            if (kind == OPT_MSS && size != MSS_LEN)
                goto malformed;
            if (kind == OPT_MSS)
                o->mss_at[o->mss_count++] = (uint8_t)(at + 2);
            o->kinds |= 1u << kind;
        }
    }
    o->malformed = 0;
    return;

malformed:
    o->malformed = 1;
}

static void update_checksum(uint8_t *field, uint16_t before, uint16_t after)
{
    tunnelcap_i_store16(field,
                        tunnelcap_i_checksum_update(tunnelcap_i_load16(field), before, after));
}

static uint16_t swap_if_odd(uint16_t value, uint32_t at)
{
    return (uint16_t)(at & 1 ? value << 8 | value >> 8 : value);
}

/* Lower every MSS above the limit. `partial`: the checksum does not cover the options yet. */
static int32_t clamp_options(uint8_t *tcp, const options *o, uint16_t limit, uint32_t partial)
{
    int32_t status = TUNNELCAP_MSS_SMALL;

    for (uint32_t i = 0; i < o->mss_count; i++) {
        uint32_t at = o->mss_at[i];
        uint16_t mss = tunnelcap_i_load16(tcp + at);

        if (mss <= limit)
            continue;
        tunnelcap_i_store16(tcp + at, limit);
        if (!partial)
            update_checksum(tcp + 16, swap_if_odd(mss, at), swap_if_odd(limit, at));
        status = TUNNELCAP_MSS_CLAMPED;
    }
    return status;
}

/* Add an MSS option right behind the fixed TCP header, where no end-of-options can hide it: all
 * that stands before moves four bytes into the headroom. */
static int32_t insert_option(const tunnelcap_i_mss *mss, tunnelcap_pkt *pkt,
                             const tunnelcap_i_ip *ip, uint32_t partial)
{
    uint32_t l3 = mss->l3_offset;
    uint16_t value = mss->insert[ip->family == TUNNELCAP_IPV6];
    uint8_t *p = pkt->buf + pkt->off;
    uint8_t *tcp = p + l3 + ip->payload;
    uint32_t header = (uint32_t)(tcp[12] >> 4) * 4;
    uint32_t tcp_len = ip->total - ip->payload;
    uint32_t max = ip->family == TUNNELCAP_IPV4 ? TUNNELCAP_I_IPV4_MAX : TUNNELCAP_I_IPV6_MAX;
    uint16_t word;
    uint8_t *l3_header;

    if (header + MSS_LEN > TCP_HEADER_MAX || ip->total + MSS_LEN > max ||
        ip->total + MSS_LEN > mss->max || pkt->off < MSS_LEN)
        return TUNNELCAP_MSS_NO_ROOM;

    memmove(p - MSS_LEN, p, l3 + ip->payload + TCP_HEADER);
    tcp -= MSS_LEN;
    tcp[TCP_HEADER] = OPT_MSS;
    tcp[TCP_HEADER + 1] = MSS_LEN;
    tunnelcap_i_store16(tcp + TCP_HEADER + 2, value);
    word = tunnelcap_i_load16(tcp + 12);
    tcp[12] = (uint8_t)(tcp[12] + (MSS_LEN / 4 << 4));
    if (partial) { /* the pseudo-header's sum is not complemented, and holds only the length */
        tunnelcap_i_store16(tcp + 16,
                            tunnelcap_i_fold((uint32_t)tunnelcap_i_load16(tcp + 16) + MSS_LEN));
    } else {
        update_checksum(tcp + 16, word, tunnelcap_i_load16(tcp + 12));
        update_checksum(tcp + 16, 0, OPT_MSS << 8 | MSS_LEN);
        update_checksum(tcp + 16, 0, value);
        update_checksum(tcp + 16, (uint16_t)tcp_len, (uint16_t)(tcp_len + MSS_LEN));
    }

    l3_header = p - MSS_LEN + l3;
    if (ip->family == TUNNELCAP_IPV4) {
        tunnelcap_i_store16(l3_header + 2, ip->total + MSS_LEN);
        update_checksum(l3_header + 10, (uint16_t)ip->total, (uint16_t)(ip->total + MSS_LEN));
    } else {
        tunnelcap_i_store16(l3_header + 4, ip->total + MSS_LEN - TUNNELCAP_I_IPV6_HEADER);
    }
    pkt->off -= MSS_LEN;
    pkt->len += MSS_LEN;
    return TUNNELCAP_MSS_INSERTED;
}

static uint32_t is_partial(const tunnelcap_meta *meta)
{
    return meta != NULL && (meta->flags & TUNNELCAP_META_CSUM_PARTIAL) != 0;
}

/* Clamp the options of a SYN, whose TCP header is `header` bytes long and there. Gives
 * TUNNELCAP_MSS_ABSENT if there is nothing to clamp; `*kinds` says which options there are. */
static inline int32_t clamp_syn(uint8_t *tcp, uint32_t header, uint16_t limit, uint32_t partial,
                                uint32_t *kinds)
{
    options o;

    look_at_options(tcp, header, &o);
    *kinds = o.kinds;
    if (o.kinds & 1u << OPT_AO)
        return TUNNELCAP_MSS_PROTECTED;
    if (o.mss_count > 0)
        return clamp_options(tcp, &o, limit, partial);
    return o.malformed ? TUNNELCAP_E_MALFORMED : TUNNELCAP_MSS_ABSENT;
}

int32_t tunnelcap_i_mss_clamp_syn4(const tunnelcap_i_mss *mss, tunnelcap_pkt *pkt,
                                   const tunnelcap_meta *meta)
{
    uint8_t *p = pkt->buf + pkt->off + mss->l3_offset;
    uint8_t *tcp = p + TUNNELCAP_I_IPV4_HEADER;
    uint32_t len = pkt->len - mss->l3_offset;
    uint32_t total = tunnelcap_i_load16(p + 2);
    uint32_t header = (uint32_t)(tcp[12] >> 4) * 4;
    uint32_t kinds;
    int32_t status = TUNNELCAP_MSS_ABSENT;

    if (mss->limit[0] != 0 && header >= TCP_HEADER &&
        header <= (len < total ? len : total) - TUNNELCAP_I_IPV4_HEADER)
        status = clamp_syn(tcp, header, mss->limit[0], is_partial(meta), &kinds);
    /* What is wrong with it, or how an option is added, is not for this path. */
    return status == TUNNELCAP_MSS_ABSENT ? tunnelcap_i_mss_clamp_tcp(mss, pkt, meta) : status;
}

int32_t tunnelcap_i_mss_clamp_tcp(const tunnelcap_i_mss *mss, tunnelcap_pkt *pkt,
                                  const tunnelcap_meta *meta)
{
    uint8_t *p = pkt->buf + pkt->off + mss->l3_offset;
    uint8_t *tcp;
    tunnelcap_i_ip ip;
    uint32_t len = pkt->len - mss->l3_offset;
    uint32_t header;
    uint32_t kinds;
    uint32_t v6;
    int32_t status = tunnelcap_i_ip_read(p, len, &ip);

    if (status != TUNNELCAP_OK)
        return status;
    v6 = ip.family == TUNNELCAP_IPV6;
    if (ip.protocol != TUNNELCAP_I_PROTO_TCP || mss->limit[v6] == 0)
        return TUNNELCAP_NOT_SYN;
    if (ip.non_first)
        return TUNNELCAP_FRAGMENT;
    if (len > ip.total)
        len = ip.total; /* what follows is padding */
    if (len - ip.payload < TCP_HEADER)
        return TUNNELCAP_E_TRUNCATED;
    tcp = p + ip.payload;
    if (!(tcp[13] & TCP_SYN))
        return TUNNELCAP_NOT_SYN;
    header = (uint32_t)(tcp[12] >> 4) * 4;
    if (header < TCP_HEADER)
        return TUNNELCAP_E_MALFORMED;
    if (header > len - ip.payload)
        return TUNNELCAP_E_TRUNCATED;
    status = clamp_syn(tcp, header, mss->limit[v6], is_partial(meta), &kinds);
    if (status != TUNNELCAP_MSS_ABSENT || mss->insert[v6] == 0 || ip.fragment)
        return status; /* a fragment cannot grow: its length is a multiple of eight */
    if (kinds & 1u << OPT_MD5)
        return TUNNELCAP_MSS_PROTECTED;
    return insert_option(mss, pkt, &ip, is_partial(meta));
}

uint32_t tunnelcap_mss_clamp(const tunnelcap_mss_config *config, tunnelcap_pkt *pkts,
                             const tunnelcap_meta *meta, uint32_t meta_stride, uint32_t count)
{
    tunnelcap_i_mss mss;
    uint32_t changed = 0;
    int32_t status;

    if (pkts == NULL)
        return 0;
    status = tunnelcap_i_mss_read(&mss, config);
    for (uint32_t i = 0; i < count; i++) {
        if (status != TUNNELCAP_OK)
            pkts[i].status = status;
        else if (!tunnelcap_i_pkt_valid(&pkts[i]))
            pkts[i].status = TUNNELCAP_E_INVALID;
        else
            pkts[i].status =
                tunnelcap_i_mss_clamp(&mss, &pkts[i], tunnelcap_i_meta_at(meta, meta_stride, i));
        changed +=
            pkts[i].status == TUNNELCAP_MSS_CLAMPED || pkts[i].status == TUNNELCAP_MSS_INSERTED;
    }
    return changed;
}
