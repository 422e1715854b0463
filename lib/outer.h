/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* What GRE and IP-in-IP have in common: making the outer header from a template, and opening an
 * outer packet up to its tunnel header.
 *
 * Implementation notes. Everything that is the same for all packets of a tunnel stands in a
 * template; a packet gets a copy with few fields patched. Over IPv4 the header checksum starts
 * from the template's sum, so that no packet sums its 20 bytes again. Functions on the path of
 * every packet are inline; rarer cases are calls into outer.c. */
#ifndef TUNNELCAP_I_OUTER_H
#define TUNNELCAP_I_OUTER_H

#include <tunnelcap/outer.h>

#include "checksum.h"
#include "ip.h"
#include "lane.h"

/* IPv6, Destination Options, UDP and a full GRE header; whole 16-byte steps for the copy. */
enum { TUNNELCAP_I_HEADER_MAX = 80 };

/* UDP source ports of hashed flows: the dynamic range (RFC 8086 section 3.1). */
enum { TUNNELCAP_I_PORT_FIRST = 49152, TUNNELCAP_I_PORT_MASK = 0x3fff };

/* Largest outer packet: IPv6 does not count its own header. */
enum { TUNNELCAP_I_IPV4_MAX = 65535, TUNNELCAP_I_IPV6_MAX = 65535 + TUNNELCAP_I_IPV6_HEADER };

typedef struct tunnelcap_i_outer {
    uint8_t header[TUNNELCAP_I_HEADER_MAX];
    uint8_t match[32];   /* source and destination of what comes in: remote, local */
    uint32_t sum;        /* IPv4: sum of version, header length and addresses; IPv6: first word */
    uint32_t label_mask; /* the bits of the flow label that are hashed */
    uint32_t plain_sum;  /* IPv4, where plain: sum of the whole template header */
    uint32_t pseudo;     /* sum of addresses and UDP's number: a pseudo-header without length */
    uint32_t max;        /* largest outer packet */
    uint8_t family;
    uint8_t header_len;  /* all headers */
    uint8_t ip_len;      /* IP header with Destination Options */
    uint8_t protocol_at; /* where the header names what follows it */
    uint8_t tos_mask;    /* bits taken from the inner TOS */
    uint8_t tos_fixed;   /* the other bits */
    uint8_t tos_other;   /* TOS where the payload holds no IP */
    uint8_t ttl;         /* 0: from the inner packet */
    uint8_t ttl_other;   /* TTL where the payload holds no IP */
    uint8_t df_mode;
    uint8_t df_plain; /* 0x40: plain packets have "don't fragment" set */
    uint8_t id_mode;
    uint8_t ecn_rfc4301;
    uint8_t uniform;   /* TUNNELCAP_I_UNIFORM_: what the outer header changes in the inner one */
    uint8_t want_flow; /* 1: the inner flow must be looked at */
    uint8_t plain;     /* 1: only TOS, length and flow label differ among plain packets */
    uint8_t has_limit; /* 1: the template holds a Tunnel Encapsulation Limit */
} tunnelcap_i_outer;

enum { TUNNELCAP_I_UNIFORM_DSCP = 1, TUNNELCAP_I_UNIFORM_TTL = 2 };

/* Where a template, or a packet that the option was put into, has its value (RFC 2473 4.1.1). */
enum { TUNNELCAP_I_LIMIT_HEADER = 8, TUNNELCAP_I_LIMIT_AT = TUNNELCAP_I_IPV6_HEADER + 4 };

/* What an outer header changes in the inner one. */
typedef struct tunnelcap_i_marks {
    uint32_t l3; /* offset of the IP header to change; UINT32_MAX: none is */
    uint8_t tos;
    uint8_t ttl;
} tunnelcap_i_marks;

/* Facts about a packet to be wrapped. */
typedef struct tunnelcap_i_inner {
    uint64_t hash; /* where want_flow */
    uint32_t len;  /* bytes to carry: padding behind an IP packet is left out */
    uint16_t ethertype;
    uint8_t is_ip; /* the next three are set */
    uint8_t tos;
    uint8_t ttl;
    uint8_t df;       /* 0x40 if IPv4 with "don't fragment" */
    uint8_t fragment; /* where want_flow: the payload is, or holds, a fragment */
    uint8_t limited;  /* 1: the inner packet has a Tunnel Encapsulation Limit that counts here */
    uint8_t limit;    /* then: what is left of it for the outer one */
} tunnelcap_i_inner;

/* An outer packet opened: where its tunnel header begins and its payload ends. */
typedef struct tunnelcap_i_opened {
    const uint8_t *src;
    const uint8_t *dst;
    uint32_t pos; /* behind IP and, once opened, UDP */
    uint32_t end; /* by IP or UDP length */
    uint16_t src_port;
    uint16_t dst_port;
    uint8_t family;
    uint8_t protocol;
    uint8_t tos; /* 0 if a socket did not tell */
    uint8_t ttl; /* 255 if a socket did not tell: no inner one is larger */
    uint8_t tos_known;
    uint8_t fragment;
    uint8_t non_first;
    uint8_t in_udp; /* 1: the UDP header is behind us (opened or stripped) */
} tunnelcap_i_opened;

/* Check an outer policy and build its template; `extra` bytes of room stay behind the IP header
 * for UDP and the tunnel header. *out is unspecified on failure. */
int32_t tunnelcap_i_outer_build(const tunnelcap_outer *config, uint32_t extra,
                                tunnelcap_i_outer *out);

/* Let a template lead to another far end of its family. */
void tunnelcap_i_outer_redirect(tunnelcap_i_outer *outer, const uint8_t *remote);

/* Complete a template with the number of what follows the IP header around IPv4. */
void tunnelcap_i_outer_finish(tunnelcap_i_outer *outer, uint8_t protocol);

/* The inner facts of what is no plain IPv4 packet without flow hash. */
int32_t tunnelcap_i_inner_look(const tunnelcap_i_outer *outer, const tunnelcap_lane *lane,
                               const uint8_t *p, uint32_t len, tunnelcap_i_inner *inner);

/* Whether an inner packet's own Tunnel Encapsulation Limit lets it enter a tunnel (RFC 2473 4.1.1);
 * sets what *inner says of it, and nothing else. */
int32_t tunnelcap_i_inner_limit(const tunnelcap_i_outer *outer, const uint8_t *p,
                                const tunnelcap_i_ip *ip, tunnelcap_i_inner *inner);

/* Whether a packet may be wrapped as its meta says: no GSO, a partial checksum within it. */
int32_t tunnelcap_i_meta_check(const tunnelcap_meta *meta, uint32_t len);

/* What a partial transport checksum becomes; the meta has been checked, and has one. */
uint16_t tunnelcap_i_meta_checksum(const tunnelcap_meta *meta, const uint8_t *p, uint32_t len);

/* Finish a partial transport checksum; the meta has been checked. */
void tunnelcap_i_meta_finish(const tunnelcap_meta *meta, uint8_t *p, uint32_t len);

/* Open any packet up to its transport header. One whose tail is missing is opened as far as it
 * goes, and still ends as TUNNELCAP_E_TRUNCATED: a look at it is possible then. */
int32_t tunnelcap_i_open_cut(const uint8_t *p, uint32_t len, const tunnelcap_meta *meta,
                             tunnelcap_i_opened *o);

/* Step over the UDP header at o->pos and note the ports, which are set as soon as eight bytes are
 * there; its length may exceed what is there. One that a socket has stripped is passed. */
int32_t tunnelcap_i_look_udp(const uint8_t *p, tunnelcap_i_opened *o);

/* The same, strictly: the datagram must be whole, and with `verify` its checksum right; zero is
 * refused over IPv6 unless zero6_ok. */
int32_t tunnelcap_i_open_udp(const uint8_t *p, tunnelcap_i_opened *o, uint32_t zero6_ok,
                             uint32_t verify);

/* tunnelcap_i_payload_check() for all but its two common cases. */
int32_t tunnelcap_i_payload_look(const tunnelcap_i_outer *outer, const tunnelcap_i_opened *o,
                                 const uint8_t *p, uint32_t len, uint16_t ethertype,
                                 tunnelcap_i_marks *marks);

/* The TUNNELCAP_KIND_ of an IP protocol: all that a non-first fragment tells. UDP tells none. */
uint8_t tunnelcap_i_kind_of(uint8_t protocol);

/* Change the IP header that `marks` names, with its checksum; p is the payload. */
void tunnelcap_i_payload_mark(uint8_t *p, const tunnelcap_i_marks *marks);

/* Put a Tunnel Encapsulation Limit into an outer IPv6 packet whose template has none; its eight
 * bytes of headroom have been checked. */
void tunnelcap_i_outer_insert_limit(tunnelcap_pkt *pkt, uint8_t limit);

/* Set an address whose bytes are all zero so far. */
static inline void tunnelcap_i_addr_set(tunnelcap_addr *to, const uint8_t *bytes, uint8_t family)
{
    to->family = family;
    memcpy(to->bytes, bytes, family == TUNNELCAP_IPV4 ? 4 : 16);
}

static inline const tunnelcap_meta *tunnelcap_i_meta_at(const tunnelcap_meta *meta, uint32_t stride,
                                                        uint32_t index)
{
    if (meta == NULL)
        return NULL;
    return (const tunnelcap_meta *)(const void *)((const uint8_t *)meta + (size_t)stride * index);
}

static inline uint32_t tunnelcap_i_pkt_valid(const tunnelcap_pkt *pkt)
{
    return pkt->buf != NULL && pkt->off <= pkt->cap && pkt->len <= pkt->cap - pkt->off;
}

/* Largest inner packet for a path: the sum cannot exceed what the outer header counts. */
static inline uint32_t tunnelcap_i_outer_inner_mtu(const tunnelcap_i_outer *outer, uint32_t path)
{
    if (path > outer->max)
        path = outer->max;
    return path > outer->header_len ? path - outer->header_len : 0;
}

/* Bytes of headers for a packet: one that brings its own limit may need the option for it. */
static inline uint32_t tunnelcap_i_outer_need(const tunnelcap_i_outer *outer,
                                              const tunnelcap_i_inner *inner)
{
    return outer->header_len +
           (inner->limited && !outer->has_limit ? (uint32_t)TUNNELCAP_I_LIMIT_HEADER : 0u);
}

/* Bytes of IP header, with Destination Options, of a packet that was wrapped. */
static inline uint32_t tunnelcap_i_outer_ip_len(const tunnelcap_i_outer *outer,
                                                const tunnelcap_pkt *pkt)
{
    if (outer->family == TUNNELCAP_IPV4 || outer->has_limit ||
        pkt->buf[pkt->off + 6] != TUNNELCAP_I_PROTO_DEST_OPTS)
        return outer->ip_len;
    return outer->ip_len + (uint32_t)TUNNELCAP_I_LIMIT_HEADER;
}

static inline uint32_t tunnelcap_i_outer_len(const tunnelcap_i_outer *outer, uint32_t inner_len)
{
    if (inner_len > outer->max - outer->header_len)
        return 0;
    return inner_len + outer->header_len;
}

/* Facts about an inner packet; `protocol` is the EtherType where the caller knows, or 0. */
static inline int32_t tunnelcap_i_inner_facts(const tunnelcap_i_outer *outer,
                                              const tunnelcap_lane *lane, const uint8_t *p,
                                              uint32_t len, uint16_t protocol,
                                              tunnelcap_i_inner *inner)
{
    inner->ethertype = protocol;
    if (len < TUNNELCAP_I_IPV4_HEADER || p[0] != 0x45 || outer->want_flow ||
        (protocol != 0 && protocol != TUNNELCAP_ETHERTYPE_IPV4))
        return tunnelcap_i_inner_look(outer, lane, p, len, inner);
    inner->len = tunnelcap_i_load16(p + 2);
    if (inner->len > len)
        return TUNNELCAP_E_TRUNCATED;
    if (inner->len < TUNNELCAP_I_IPV4_HEADER)
        return TUNNELCAP_E_MALFORMED;
    inner->ethertype = TUNNELCAP_ETHERTYPE_IPV4;
    inner->is_ip = 1;
    inner->tos = p[1];
    inner->ttl = p[8];
    inner->df = p[6] & 0x40;
    inner->fragment = 0;
    inner->limited = 0;
    return TUNNELCAP_OK;
}

/* Copy n bytes, 20 <= n <= TUNNELCAP_I_HEADER_MAX, by overlapping 16-byte moves. */
static inline void tunnelcap_i_header_copy(uint8_t *to, const uint8_t *from, uint32_t n)
{
    memcpy(to, from, 16);
    for (uint32_t at = 16; at + 16 < n; at += 16)
        memcpy(to + at, from + at, 16);
    memcpy(to + n - 16, from + n - 16, 16);
}

/* Write all headers of a packet of `total` bytes at h; UDP and tunnel fields are left for the
 * caller to patch. */
static inline void tunnelcap_i_outer_write(const tunnelcap_i_outer *outer, tunnelcap_lane *lane,
                                           const tunnelcap_i_inner *inner, uint8_t protocol,
                                           uint32_t total, uint8_t *h)
{
    uint32_t tos = inner->is_ip ? (uint32_t)((inner->tos & outer->tos_mask) | outer->tos_fixed)
                                : outer->tos_other;
    uint32_t ttl = outer->ttl != 0 ? outer->ttl : inner->is_ip ? inner->ttl : outer->ttl_other;
    uint32_t df = 0x4000;
    uint32_t id = 0;

    tunnelcap_i_header_copy(h, outer->header, outer->header_len);
    h[outer->protocol_at] = protocol;
    if (outer->family == TUNNELCAP_IPV6) {
        uint32_t label = (uint32_t)(inner->hash >> 44) & outer->label_mask;

        tunnelcap_i_store32(h, outer->sum | tos << 20 | label);
        tunnelcap_i_store16(h + 4, total - TUNNELCAP_I_IPV6_HEADER);
        h[7] = (uint8_t)ttl;
        if (inner->limited && outer->has_limit)
            h[TUNNELCAP_I_LIMIT_AT] = inner->limit;
        return;
    }
    if (outer->df_mode != TUNNELCAP_DF_SET &&
        (outer->df_mode == TUNNELCAP_DF_CLEAR ||
         (inner->ethertype == TUNNELCAP_ETHERTYPE_IPV4 && !inner->df)))
        df = 0;
    if (df == 0 || outer->id_mode == TUNNELCAP_ID_ALWAYS)
        id = tunnelcap_i_lane_id(lane);
    h[1] = (uint8_t)tos;
    tunnelcap_i_store16(h + 2, total);
    tunnelcap_i_store32(h + 4, id << 16 | df);
    h[8] = (uint8_t)ttl;
    tunnelcap_i_store16(h + 10, (uint16_t)~tunnelcap_i_fold(outer->sum + tos + total + id + df +
                                                            (ttl << 8 | protocol)));
}

/* Whether a meta tells nothing that the plain paths would have to heed. */
TUNNELCAP_I_INLINE uint32_t tunnelcap_i_meta_plain(const tunnelcap_meta *meta)
{
    return meta == NULL || (meta->flags == 0 && meta->at == TUNNELCAP_AT_IP &&
                            meta->ethertype == 0 && meta->gso_type == 0 && meta->gso_size == 0);
}

/* Wrap the packet that nearly every packet is, IPv4 without options, where the template lacks no
 * more than TOS, length and flow label; *hash is its flow, where wanted. Gives the outer header;
 * or NULL, with nothing done, for any other packet, be it right or wrong. */
TUNNELCAP_I_INLINE uint8_t *tunnelcap_i_outer_write_plain(const tunnelcap_i_outer *outer,
                                                          uint32_t family, uint32_t want_flow,
                                                          const tunnelcap_lane *lane,
                                                          tunnelcap_pkt *pkt, uint64_t *hash)
{
    const uint8_t *p = pkt->buf + pkt->off;
    uint32_t header_len = outer->header_len;
    uint32_t total;
    uint32_t tos;
    uint8_t *h;

    if (!outer->plain || pkt->off < header_len || pkt->len < TUNNELCAP_I_IPV4_HEADER ||
        p[0] != 0x45 || (family == TUNNELCAP_IPV4 && (~p[6] & outer->df_plain) != 0))
        return NULL;
    total = tunnelcap_i_load16(p + 2);
    if (total < TUNNELCAP_I_IPV4_HEADER || total > pkt->len || total + header_len > outer->max)
        return NULL;
    total += header_len;
    tos = (uint32_t)((p[1] & outer->tos_mask) | outer->tos_fixed);
    *hash = want_flow ? tunnelcap_i_flow_hash_plain(lane->flow_key, p, pkt->len) : 0;
    pkt->off -= header_len;
    pkt->len = total;
    h = pkt->buf + pkt->off;
    tunnelcap_i_header_copy(h, outer->header, header_len);
    if (family == TUNNELCAP_IPV4) {
        h[1] = (uint8_t)tos;
        tunnelcap_i_store16(h + 2, total);
        tunnelcap_i_store16(h + 10, (uint16_t)~tunnelcap_i_fold(outer->plain_sum + tos + total));
        return h;
    }
    tunnelcap_i_store32(h, outer->sum | tos << 20 | ((uint32_t)(*hash >> 44) & outer->label_mask));
    tunnelcap_i_store16(h + 4, total - TUNNELCAP_I_IPV6_HEADER);
    return h;
}

/* The end of an outer packet that nearly every packet is: from the far end, without options or
 * extension headers, whole, its header checksum right, its ECN of no effect. 0 for any other, be
 * it right or wrong. */
TUNNELCAP_I_INLINE uint32_t tunnelcap_i_outer_read_plain(const tunnelcap_i_outer *outer,
                                                         uint32_t family, uint8_t protocol,
                                                         const uint8_t *p, uint32_t len)
{
    uint32_t end;

    if (family == TUNNELCAP_IPV4) {
        end = tunnelcap_i_load16(p + 2);
        if (p[0] != 0x45 || (p[1] & 1) || end > len || (tunnelcap_i_load16(p + 6) & 0x3fff) != 0 ||
            p[9] != protocol || tunnelcap_i_word64(p + 12) != tunnelcap_i_word64(outer->match) ||
            tunnelcap_i_sum20(p) != 0xffff)
            return 0;
        return end;
    }
    end = TUNNELCAP_I_IPV6_HEADER + (uint32_t)tunnelcap_i_load16(p + 4);
    if (p[0] >> 4 != 6 || (p[1] & 0x10) || end > len || p[6] != protocol ||
        ((tunnelcap_i_word64(p + 8) ^ tunnelcap_i_word64(outer->match)) |
         (tunnelcap_i_word64(p + 16) ^ tunnelcap_i_word64(outer->match + 8)) |
         (tunnelcap_i_word64(p + 24) ^ tunnelcap_i_word64(outer->match + 16)) |
         (tunnelcap_i_word64(p + 32) ^ tunnelcap_i_word64(outer->match + 24))) != 0)
        return 0;
    return end;
}

/* 1 if at least `len` bytes, 20 or more, begin with a whole IPv4 packet without options. */
TUNNELCAP_I_INLINE uint32_t tunnelcap_i_inner_plain(const uint8_t *p, uint32_t len)
{
    uint32_t total = tunnelcap_i_load16(p + 2);

    return p[0] == 0x45 && total >= TUNNELCAP_I_IPV4_HEADER && total <= len;
}

/* Fetch what a packet to come will be asked for; its header stands at the window's start. */
TUNNELCAP_I_INLINE void tunnelcap_i_prefetch(const tunnelcap_pkt *pkts, uint32_t i, uint32_t count)
{
#ifdef __GNUC__
    enum { AHEAD = 6 };

    if (count - i > AHEAD)
        __builtin_prefetch((const void *)((uintptr_t)pkts[i + AHEAD].buf + pkts[i + AHEAD].off), 1);
#else
    (void)pkts, (void)i, (void)count;
#endif
}

/* Open an outer packet up to its transport header. Lengths are checked; checksums are not. */
static inline int32_t tunnelcap_i_open(const uint8_t *p, uint32_t len, const tunnelcap_meta *meta,
                                       tunnelcap_i_opened *o)
{
    uint32_t fragment;

    if (len < TUNNELCAP_I_IPV4_HEADER || p[0] != 0x45 || (meta != NULL && meta->at != 0))
        return tunnelcap_i_open_cut(p, len, meta, o);
    o->end = tunnelcap_i_load16(p + 2);
    if (o->end > len)
        return TUNNELCAP_E_TRUNCATED;
    if (o->end < TUNNELCAP_I_IPV4_HEADER)
        return TUNNELCAP_E_MALFORMED;
    fragment = tunnelcap_i_load16(p + 6);
    o->src = p + 12;
    o->dst = p + 16;
    o->pos = TUNNELCAP_I_IPV4_HEADER;
    o->family = TUNNELCAP_IPV4;
    o->protocol = p[9];
    o->tos = p[1];
    o->ttl = p[8];
    o->tos_known = 1;
    o->fragment = (fragment & 0x3fff) != 0;
    o->non_first = (fragment & 0x1fff) != 0;
    o->in_udp = 0;
    return TUNNELCAP_OK;
}

/* 1 if a packet came from the tunnel's far end to ours. */
static inline uint32_t tunnelcap_i_outer_match(const tunnelcap_i_outer *outer,
                                               const tunnelcap_i_opened *o)
{
    if (o->family != outer->family)
        return 0;
    if (o->family == TUNNELCAP_IPV4)
        return tunnelcap_i_word32(o->src) == tunnelcap_i_word32(outer->match) &&
               tunnelcap_i_word32(o->dst) == tunnelcap_i_word32(outer->match + 4);
    return memcmp(o->src, outer->match, 16) == 0 && memcmp(o->dst, outer->match + 16, 16) == 0;
}

/* 1 unless the packet begins with an IPv4 header whose checksum is wrong. */
static inline uint32_t tunnelcap_i_header_sum_ok(const uint8_t *p, const tunnelcap_i_opened *o,
                                                 const tunnelcap_meta *meta)
{
    uint32_t header;

    if (o->family != TUNNELCAP_IPV4 ||
        (meta != NULL && (meta->at != 0 || (meta->flags & TUNNELCAP_META_CSUM_VALID))))
        return 1;
    header = (uint32_t)(p[0] & 0x0f) * 4;
    if (header == TUNNELCAP_I_IPV4_HEADER)
        return tunnelcap_i_sum20(p) == 0xffff;
    return tunnelcap_i_sum(p, header) == 0xffff;
}

/* Check that a payload is a whole packet of its EtherType, if that is IP, and find how the outer
 * header changes it. The payload is not changed. */
static inline int32_t tunnelcap_i_payload_check(const tunnelcap_i_outer *outer,
                                                const tunnelcap_i_opened *o, const uint8_t *p,
                                                uint32_t len, uint16_t ethertype,
                                                tunnelcap_i_marks *marks)
{
    uint32_t total;

    /* An outer ECN of Not-ECT or ECT(0) leaves every inner one alone (RFC 6040 figure 4). */
    if (ethertype == TUNNELCAP_ETHERTYPE_IPV4 && len >= TUNNELCAP_I_IPV4_HEADER && p[0] == 0x45 &&
        !(o->tos & 1) && !outer->uniform) {
        total = tunnelcap_i_load16(p + 2);
        if (total >= TUNNELCAP_I_IPV4_HEADER && total <= len) {
            marks->l3 = UINT32_MAX;
            return TUNNELCAP_OK;
        }
    }
    return tunnelcap_i_payload_look(outer, o, p, len, ethertype, marks);
}

#endif
