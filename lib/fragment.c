/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include <tunnelcap/fragment.h>

#include "checksum.h"
#include "ip.h"
#include "object.h"
#include "outer.h"

/* Implementation notes. tunnelcap_fragment_begin() finds out all that can go wrong and plans two
 * headers, that of the first fragment and that of all others; tunnelcap_fragment_next() copies the
 * one whose turn it is, patches it, and copies the payload behind it. The header of the first is
 * the packet's own; only IPv4 options make that of the others another one.
 *
 * The sum over a right IPv4 header is 0 in ones' complement, so what remains without the fields
 * that are patched is the sum of their complements: no header is summed twice. */

enum { OLDEST = sizeof(tunnelcap_fragment_config) };

enum { FRAGMENT_HEADER = 8, OPTIONS_MAX = 40, IPV4_MAX = 65535 };

/* Of the flags and the offset of an IPv4 header, and of an IPv6 Fragment header. */
enum { IPV4_KEPT = 0x8000, IPV4_DF = 0x4000, IPV4_MF = 0x2000, IPV4_OFFSET = 0x1fff };
enum { IPV6_MF = 1, IPV6_OFFSET = 0xfff8 };

/* RFC 7112 asks for the whole header chain in the first fragment; no header is longer that ends a
 * chain: TCP with all its options. */
enum { UPPER_MAX = 60 };

/* tunnelcap_fragments.kind */
enum {
    KIND_WHOLE = 0,   /* the packet as it is */
    KIND_IPV4 = 1,    /* IPv4 without options */
    KIND_IPV6 = 2,    /* header_len counts the Fragment header */
    KIND_OPTIONS = 3, /* IPv4 with options, the first fragment */
    KIND_SHORT = 4    /* those behind it: header in short_header */
};

/* What is known of a packet before anything is written. */
typedef struct cutting {
    const uint8_t *p;
    tunnelcap_i_ip ip;
    uint32_t payload; /* what is split begins here */
    uint32_t offset;  /* of that, if it is a fragment itself */
    uint32_t more;    /* 1: more fragments follow already */
    uint32_t header;  /* bytes that are copied before each fragment */
    uint32_t next_at; /* IPv6: what names the header that comes behind them */
    uint32_t options; /* bytes of the options that are copied */
    uint8_t copied[OPTIONS_MAX];
} cutting;

int32_t tunnelcap_fragment_config_init(tunnelcap_fragment_config *config, uint32_t size,
                                       uint32_t mtu)
{
    tunnelcap_fragment_config own = {sizeof(own), 0, mtu, 0};

    return tunnelcap_i_struct_init(config, size, &own, sizeof(own), OLDEST);
}

static int32_t read_config(tunnelcap_fragment_config *own, const tunnelcap_fragment_config *config)
{
    int32_t status = TUNNELCAP_OK;

    if (config != NULL && config->size == sizeof(*own))
        *own = *config;
    else
        status = tunnelcap_i_struct_read(own, sizeof(*own), OLDEST, config);
    if (status != TUNNELCAP_OK)
        return status;
    if (own->flags & ~(uint32_t)(TUNNELCAP_FRAGMENT_CLEAR_DF | TUNNELCAP_FRAGMENT_AS_SOURCE))
        return TUNNELCAP_E_FLAGS;
    if (own->mtu < TUNNELCAP_FRAGMENT_MTU4_MIN)
        return TUNNELCAP_E_RANGE;
    return TUNNELCAP_OK;
}

static int32_t check_meta(const tunnelcap_meta *meta, const tunnelcap_i_ip *ip)
{
    uint16_t own =
        ip->family == TUNNELCAP_IPV4 ? TUNNELCAP_ETHERTYPE_IPV4 : TUNNELCAP_ETHERTYPE_IPV6;

    if (meta->ethertype != 0 && meta->ethertype != own)
        return meta->ethertype == TUNNELCAP_ETHERTYPE_IPV4 ||
                       meta->ethertype == TUNNELCAP_ETHERTYPE_IPV6
                   ? TUNNELCAP_E_MALFORMED
                   : TUNNELCAP_E_PROTOCOL;
    if (meta->gso_type != 0 || meta->gso_size != 0)
        return TUNNELCAP_E_UNSUPPORTED;
    /* What a checksum covers must be here as a whole, and outside of what is written anew. */
    if ((meta->flags & TUNNELCAP_META_CSUM_PARTIAL) &&
        (ip->fragment || meta->csum_start < ip->payload ||
         (uint32_t)meta->csum_start + meta->csum_offset + 2 > ip->total))
        return TUNNELCAP_E_INVALID;
    return TUNNELCAP_OK;
}

/* Whether a fragment can be one of a packet that IP can carry, whose length counts `before` bytes
 * of headers. */
static int32_t check_fragment(const cutting *cut, uint32_t before)
{
    uint32_t len = cut->ip.total - cut->payload;

    if (cut->more && len % 8 != 0)
        return TUNNELCAP_E_MALFORMED;
    if (before + cut->offset + len > IPV4_MAX)
        return TUNNELCAP_E_MALFORMED;
    return TUNNELCAP_OK;
}

/* RFC 791 3.1: the options with the copied flag, padded; UINT32_MAX if one contradicts itself. */
static uint32_t copy_options(const uint8_t *from, uint32_t len, uint8_t *to)
{
    enum { END = 0, NOP = 1, COPIED = 0x80 };
    uint32_t copied = 0;
    uint32_t size;

    for (uint32_t at = 0; at < len && from[at] != END; at += size) {
        size = 1;
        if (from[at] == NOP)
            continue;
        if (len - at < 2)
            return UINT32_MAX;
        size = from[at + 1];
        if (size < 2 || size > len - at)
            return UINT32_MAX;
        if (from[at] & COPIED) {
            memcpy(to + copied, from + at, size);
            copied += size;
        }
    }
    while (copied % 4 != 0)
        to[copied++] = END;
    return copied;
}

static int32_t plan_ipv4(cutting *cut)
{
    const uint8_t *p = cut->p;
    uint32_t bits = tunnelcap_i_load16(p + 6);

    cut->header = cut->ip.payload;
    cut->payload = cut->ip.payload;
    cut->offset = (bits & IPV4_OFFSET) * 8;
    cut->more = (bits & IPV4_MF) != 0;
    cut->options = 0;
    if (cut->header == TUNNELCAP_I_IPV4_HEADER) {
        if (tunnelcap_i_sum20(p) != 0xffff)
            return TUNNELCAP_E_CHECKSUM;
    } else {
        if (tunnelcap_i_sum(p, cut->header) != 0xffff)
            return TUNNELCAP_E_CHECKSUM;
        cut->options = copy_options(p + TUNNELCAP_I_IPV4_HEADER,
                                    cut->header - TUNNELCAP_I_IPV4_HEADER, cut->copied);
        if (cut->options == UINT32_MAX)
            return TUNNELCAP_E_MALFORMED;
    }
    return cut->ip.fragment ? check_fragment(cut, cut->header) : TUNNELCAP_OK;
}

/* Find the end of the headers that each fragment has (RFC 8200 4.5). The chain is sound. */
static int32_t plan_ipv6(cutting *cut)
{
    const uint8_t *p = cut->p;
    uint32_t name_at = 6; /* of what stands at `at` */
    uint32_t at = TUNNELCAP_I_IPV6_HEADER;
    uint32_t bits;

    cut->header = at;
    cut->next_at = name_at;
    cut->offset = 0;
    cut->more = 0;
    while (p[name_at] == TUNNELCAP_I_PROTO_HOP_BY_HOP || p[name_at] == TUNNELCAP_I_PROTO_ROUTING ||
           p[name_at] == TUNNELCAP_I_PROTO_DEST_OPTS) {
        uint32_t each = p[name_at] != TUNNELCAP_I_PROTO_DEST_OPTS;

        name_at = at;
        at += ((uint32_t)p[at + 1] + 1) * 8;
        if (each) {
            cut->header = at;
            cut->next_at = name_at;
        }
    }
    cut->payload = cut->header;
    if (p[name_at] != TUNNELCAP_I_PROTO_FRAGMENT)
        return TUNNELCAP_OK;
    bits = tunnelcap_i_load16(p + at + 2);
    cut->header = at;
    cut->next_at = name_at;
    cut->payload = at + FRAGMENT_HEADER;
    cut->offset = bits & IPV6_OFFSET;
    cut->more = bits & IPV6_MF;
    return check_fragment(cut, at - TUNNELCAP_I_IPV6_HEADER);
}

static int32_t look(const tunnelcap_pkt *pkt, const tunnelcap_meta *meta, cutting *cut)
{
    int32_t status;

    cut->p = pkt->buf + pkt->off;
    status = tunnelcap_i_ip_read(cut->p, pkt->len, &cut->ip);
    if (status != TUNNELCAP_OK)
        return status;
    if (cut->ip.total > pkt->len)
        return TUNNELCAP_E_TRUNCATED;
    status = cut->ip.family == TUNNELCAP_IPV4 ? plan_ipv4(cut) : plan_ipv6(cut);
    if (status != TUNNELCAP_OK || meta == NULL)
        return status;
    return check_meta(meta, &cut->ip);
}

static uint32_t room(uint32_t mtu, uint32_t header)
{
    return (mtu - header) & ~7u;
}

/* Whether a packet that does not fit may be split. */
static int32_t check_split(const cutting *cut, const tunnelcap_fragment_config *config)
{
    uint32_t header = cut->header + FRAGMENT_HEADER;
    uint32_t chain = cut->ip.payload - cut->payload;
    uint32_t upper = cut->ip.total - cut->ip.payload;

    if (cut->ip.family == TUNNELCAP_IPV4)
        return cut->ip.df && !(config->flags & TUNNELCAP_FRAGMENT_CLEAR_DF) ? TUNNELCAP_E_TOO_BIG
                                                                            : TUNNELCAP_OK;
    if (!(config->flags & TUNNELCAP_FRAGMENT_AS_SOURCE))
        return TUNNELCAP_E_TOO_BIG;
    if (config->mtu < TUNNELCAP_FRAGMENT_MTU6_MIN)
        return TUNNELCAP_E_RANGE;
    if (upper > UPPER_MAX)
        upper = UPPER_MAX;
    if (header + 8 > config->mtu || (cut->offset == 0 && chain + upper > room(config->mtu, header)))
        return TUNNELCAP_E_TOO_BIG;
    return TUNNELCAP_OK;
}

/* The packet as it is. What only some kinds need is set by those: clearing all would cost as much
 * as the rest. */
static void begin_whole(tunnelcap_fragments *it, const uint8_t *p, uint32_t total)
{
    it->source = p;
    it->at = 0;
    it->end = total;
    it->now = total;
    it->checksum = 0;
    it->header_len = 0;
    it->kind = KIND_WHOLE;
}

/* IPv4 without options; `total` is more than the MTU. */
static void begin_ipv4(tunnelcap_fragments *it, const uint8_t *p, uint32_t total, uint32_t mtu)
{
    uint32_t bits = tunnelcap_i_load16(p + 6);

    begin_whole(it, p, total);
    it->kind = KIND_IPV4;
    it->at = TUNNELCAP_I_IPV4_HEADER;
    it->now = room(mtu, TUNNELCAP_I_IPV4_HEADER);
    it->step = it->now;
    it->offset = (bits & IPV4_OFFSET) * 8;
    it->id = tunnelcap_i_load16(p + 4);
    it->sum = tunnelcap_i_fold((total ^ 0xffff) + (it->id ^ 0xffff) + (bits ^ 0xffff) +
                               (tunnelcap_i_load16(p + 10) ^ 0xffffu));
    it->bits = (uint16_t)(bits & IPV4_KEPT);
    it->last_bits = (uint16_t)(bits & IPV4_MF);
    it->header_len = TUNNELCAP_I_IPV4_HEADER;
}

/* The same with options, which may be others in later fragments. */
static void begin_options(tunnelcap_fragments *it, const cutting *cut, uint32_t mtu)
{
    uint32_t later = TUNNELCAP_I_IPV4_HEADER + cut->options;
    uint8_t *h = it->short_header;

    begin_ipv4(it, cut->p, cut->ip.total, mtu);
    it->kind = KIND_OPTIONS;
    it->at = cut->header;
    it->now = room(mtu, cut->header);
    it->step = room(mtu, later);
    it->header_len = (uint16_t)cut->header;
    it->later_header_len = (uint16_t)later;
    memcpy(h, cut->p, TUNNELCAP_I_IPV4_HEADER);
    h[0] = (uint8_t)(0x40 | later / 4);
    memset(h + 2, 0, 6);
    memset(h + 10, 0, 2);
    memcpy(h + TUNNELCAP_I_IPV4_HEADER, cut->copied, cut->options);
    it->later_sum = tunnelcap_i_sum(h, later);
}

/* Begin with the packet that nearly every one to be split is: IPv4 without options, no fragment,
 * no "don't fragment". Gives 0, with nothing done, for any other packet, be it right or wrong. */
static uint32_t begin_plain(tunnelcap_fragments *it, const tunnelcap_pkt *pkt, uint32_t mtu)
{
    const uint8_t *p = pkt->buf + pkt->off;
    uint32_t total;

    if (pkt->len < TUNNELCAP_I_IPV4_HEADER || p[0] != 0x45)
        return 0;
    total = tunnelcap_i_load16(p + 2);
    if (total <= mtu || total > pkt->len || tunnelcap_i_load16(p + 6) != 0 ||
        tunnelcap_i_sum20(p) != 0xffff)
        return 0;
    begin_ipv4(it, p, total, mtu);
    return 1;
}

static void begin_ipv6(tunnelcap_fragments *it, const cutting *cut,
                       const tunnelcap_fragment_config *config)
{
    const uint8_t *fragment = cut->p + cut->header; /* if it has a Fragment header */
    uint32_t is_fragment = cut->payload != cut->header;

    begin_whole(it, cut->p, cut->ip.total);
    it->kind = KIND_IPV6;
    it->at = cut->payload;
    it->now = room(config->mtu, cut->header + FRAGMENT_HEADER);
    it->step = it->now;
    it->offset = cut->offset;
    it->last_bits = (uint16_t)cut->more;
    it->id = is_fragment ? tunnelcap_i_load32(fragment + 4) : config->id;
    it->header_len = (uint16_t)(cut->header + FRAGMENT_HEADER);
    it->next_at = (uint16_t)cut->next_at;
    it->protocol = is_fragment ? fragment[0] : cut->p[cut->next_at];
}

/* Begin with any packet. */
static int32_t begin(tunnelcap_fragments *it, const tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                     const tunnelcap_fragment_config *config)
{
    cutting cut;
    int32_t status = look(pkt, meta, &cut);

    if (status == TUNNELCAP_OK && cut.ip.total > config->mtu)
        status = check_split(&cut, config);
    if (status != TUNNELCAP_OK)
        return status;

    if (cut.ip.total <= config->mtu)
        begin_whole(it, cut.p, cut.ip.total);
    else if (cut.ip.family == TUNNELCAP_IPV6)
        begin_ipv6(it, &cut, config);
    else if (cut.header == TUNNELCAP_I_IPV4_HEADER)
        begin_ipv4(it, cut.p, cut.ip.total, config->mtu);
    else
        begin_options(it, &cut, config->mtu);
    if (cut.ip.total > config->mtu && cut.ip.df && !cut.ip.fragment)
        it->id = config->id & 0xffff;
    if (meta != NULL && (meta->flags & TUNNELCAP_META_CSUM_PARTIAL)) {
        it->checksum_at = (uint32_t)meta->csum_start + meta->csum_offset;
        it->checksum = tunnelcap_i_meta_checksum(meta, cut.p, cut.ip.total);
    }
    return TUNNELCAP_OK;
}

int32_t tunnelcap_fragment_begin(tunnelcap_fragments *it, const tunnelcap_pkt *pkt,
                                 const tunnelcap_meta *meta,
                                 const tunnelcap_fragment_config *config)
{
    tunnelcap_fragment_config own;
    int32_t status;

    if (it == NULL || pkt == NULL || !tunnelcap_i_pkt_valid(pkt))
        return TUNNELCAP_E_INVALID;
    status = read_config(&own, config);
    if (status != TUNNELCAP_OK)
        return status;
    if (tunnelcap_i_meta_plain(meta) && begin_plain(it, pkt, own.mtu))
        return TUNNELCAP_OK;
    return begin(it, pkt, meta, &own);
}

uint32_t tunnelcap_fragment_count(const tunnelcap_fragments *it)
{
    uint32_t left;

    if (it == NULL || it->at == it->end)
        return 0;
    left = it->end - it->at;
    return left <= it->now ? 1 : 1 + (left - it->now + it->step - 1) / it->step;
}

/* Payload bytes of the next fragment. */
static uint32_t piece(const tunnelcap_fragments *it)
{
    uint32_t left = it->end - it->at;

    return left < it->now ? left : it->now;
}

uint32_t tunnelcap_fragment_len(const tunnelcap_fragments *it)
{
    return it == NULL || it->at == it->end ? 0 : it->header_len + piece(it);
}

/* Fill in what differs between the IPv4 headers of a packet's fragments. */
static void patch_ipv4(const tunnelcap_fragments *it, uint8_t *h, uint32_t n)
{
    uint32_t total = it->header_len + n;
    uint32_t bits = it->bits | it->offset / 8;

    bits |= it->at + n == it->end ? it->last_bits : (uint32_t)IPV4_MF;
    tunnelcap_i_store16(h + 2, total);
    tunnelcap_i_store32(h + 4, it->id << 16 | bits);
    tunnelcap_i_store16(h + 10, (uint16_t)~tunnelcap_i_fold(it->sum + total + it->id + bits));
}

static void write_ipv6(const tunnelcap_fragments *it, uint8_t *h, uint32_t n)
{
    uint32_t each = it->header_len - (uint32_t)FRAGMENT_HEADER;
    uint32_t bits = it->offset;

    bits |= it->at + n == it->end ? it->last_bits : (uint32_t)IPV6_MF;
    memcpy(h, it->source, TUNNELCAP_I_IPV6_HEADER);
    if (each > TUNNELCAP_I_IPV6_HEADER)
        memcpy(h + TUNNELCAP_I_IPV6_HEADER, it->source + TUNNELCAP_I_IPV6_HEADER,
               each - TUNNELCAP_I_IPV6_HEADER);
    tunnelcap_i_store16(h + 4, it->header_len + n - TUNNELCAP_I_IPV6_HEADER);
    h[it->next_at] = TUNNELCAP_I_PROTO_FRAGMENT;
    tunnelcap_i_store32(h + each, (uint32_t)it->protocol << 24 | bits);
    tunnelcap_i_store32(h + each + 4, it->id);
}

/* Write the next header, and let what changes with it be that of the next. */
static void write_header(tunnelcap_fragments *it, uint8_t *h, uint32_t n)
{
    switch (it->kind) {
    case KIND_IPV4:
        memcpy(h, it->source, TUNNELCAP_I_IPV4_HEADER);
        patch_ipv4(it, h, n);
        break;
    case KIND_IPV6:
        write_ipv6(it, h, n);
        break;
    case KIND_OPTIONS:
        tunnelcap_i_header_copy(h, it->source, it->header_len);
        patch_ipv4(it, h, n);
        it->kind = KIND_SHORT;
        it->header_len = it->later_header_len;
        it->now = it->step;
        it->sum = it->later_sum;
        break;
    case KIND_SHORT:
        tunnelcap_i_header_copy(h, it->short_header, it->header_len);
        patch_ipv4(it, h, n);
        break;
    default: /* the header is part of what is copied */
        break;
    }
}

/* Put what belongs to a fragment, which begins at `at` and lies at `to`, of a checksum that was
 * unfinished. */
static void write_checksum(const tunnelcap_fragments *it, uint32_t at, uint8_t *to, uint32_t n)
{
    const uint8_t bytes[2] = {(uint8_t)(it->checksum >> 8), (uint8_t)it->checksum};

    for (uint32_t i = 0; i < sizeof(bytes); i++) {
        if (it->checksum_at + i - at < n) /* wraps for what stands before */
            to[it->checksum_at + i - at] = bytes[i];
    }
}

int32_t tunnelcap_fragment_next(tunnelcap_fragments *it, tunnelcap_pkt *out)
{
    uint32_t header;
    uint32_t at;
    uint32_t n;
    uint8_t *h;

    if (out == NULL)
        return TUNNELCAP_E_INVALID;
    if (it == NULL || out->buf == NULL || out->off > out->cap)
        return out->status = TUNNELCAP_E_INVALID;
    if (it->at == it->end)
        return out->status = TUNNELCAP_E_NOT_FOUND;
    at = it->at;
    header = it->header_len;
    n = piece(it);
    if (out->cap - out->off < header + n)
        return out->status = TUNNELCAP_E_TAILROOM;

    h = out->buf + out->off;
    write_header(it, h, n);
    it->at += n;
    it->offset += n;
    out->len = header + n;
    out->status = TUNNELCAP_OK;
    memcpy(h + header, it->source + at, n);
    if (it->checksum != 0)
        write_checksum(it, at, h + header, n);
    return TUNNELCAP_OK;
}
