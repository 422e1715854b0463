/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "icmp.h"

/* Implementation notes. An error is made where the packet stands: headers go into the headroom,
 * and what is too much of the packet is cut off its end. Everything that can refuse is asked
 * before the first byte is written, the rate limit last of all, so that what is not sent costs
 * nothing.
 *
 * The bucket counts in units of a 10^9th of a message: a nanosecond adds `rate` of them, exactly.
 * A full bucket of 2^32 messages has fewer than 2^62, and no product is formed that could exceed
 * what is missing in the bucket. */

enum { OLDEST = sizeof(tunnelcap_icmp_error) };

static const uint64_t MESSAGE = 1000000000;

/* The first eight bytes of a message, but for the checksum. */
typedef struct head {
    uint32_t word; /* the last four */
    uint32_t mtu;  /* where too big */
    uint8_t type;
    uint8_t code;
} head;

int32_t tunnelcap_icmp_limit_init(tunnelcap_icmp_limit *limit, uint32_t rate, uint32_t burst)
{
    if (limit == NULL)
        return TUNNELCAP_E_INVALID;
    if (rate == 0 || burst == 0)
        return TUNNELCAP_E_RANGE;
    limit->credit = MESSAGE * burst;
    limit->then_ns = 0;
    limit->rate = rate;
    limit->burst = burst;
    return TUNNELCAP_OK;
}

int32_t tunnelcap_icmp_limit_take(tunnelcap_icmp_limit *limit, uint64_t now_ns)
{
    uint64_t missing;
    uint64_t elapsed;

    if (limit == NULL || limit->rate == 0 || limit->burst == 0 ||
        limit->credit > MESSAGE * limit->burst)
        return TUNNELCAP_E_INVALID;
    missing = MESSAGE * limit->burst - limit->credit;
    elapsed = now_ns > limit->then_ns ? now_ns - limit->then_ns : 0;
    limit->credit += elapsed > missing / limit->rate ? missing : elapsed * limit->rate;
    limit->then_ns = now_ns;
    if (limit->credit < MESSAGE)
        return TUNNELCAP_E_RATE_LIMITED;
    limit->credit -= MESSAGE;
    return TUNNELCAP_OK;
}

uint8_t tunnelcap_i_icmp_kind(uint8_t family, uint8_t type, uint8_t code)
{
    if (family == TUNNELCAP_IPV4) {
        switch (type) {
        case TUNNELCAP_I_ICMP4_UNREACHABLE:
            return code == TUNNELCAP_I_ICMP4_TOO_BIG ? TUNNELCAP_ICMP_TOO_BIG
                                                     : TUNNELCAP_ICMP_UNREACHABLE;
        case TUNNELCAP_I_ICMP4_TIME:
            return TUNNELCAP_ICMP_TIME_EXCEEDED;
        case TUNNELCAP_I_ICMP4_PARAMETER:
            return TUNNELCAP_ICMP_PARAMETER;
        case TUNNELCAP_I_ICMP4_QUENCH:
        case TUNNELCAP_I_ICMP4_REDIRECT:
            return TUNNELCAP_ICMP_OTHER;
        default:
            return TUNNELCAP_ICMP_INFORMATION;
        }
    }
    switch (type) {
    case TUNNELCAP_I_ICMP6_TOO_BIG:
        return TUNNELCAP_ICMP_TOO_BIG;
    case TUNNELCAP_I_ICMP6_UNREACHABLE:
        return TUNNELCAP_ICMP_UNREACHABLE;
    case TUNNELCAP_I_ICMP6_TIME:
        return TUNNELCAP_ICMP_TIME_EXCEEDED;
    case TUNNELCAP_I_ICMP6_PARAMETER:
        return TUNNELCAP_ICMP_PARAMETER;
    case TUNNELCAP_I_ICMP6_REDIRECT:
        return TUNNELCAP_ICMP_OTHER;
    default:
        return type < TUNNELCAP_I_ICMP6_ECHO ? TUNNELCAP_ICMP_OTHER : TUNNELCAP_ICMP_INFORMATION;
    }
}

uint32_t tunnelcap_i_icmp_one_node(const uint8_t *addr, uint8_t family)
{
    static const uint8_t zeros[15];
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    if (family == TUNNELCAP_IPV4)
        return addr[0] != 0 && addr[0] != 127 && addr[0] < 224;
    return addr[0] != 0xff && (memcmp(addr, zeros, sizeof(zeros)) != 0 || addr[15] > 1) &&
           memcmp(addr, mapped, sizeof(mapped)) != 0;
}

int32_t tunnelcap_i_icmp_open(const tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                              tunnelcap_i_opened *o)
{
    const uint8_t *p;
    uint32_t len;
    uint32_t sum;
    int32_t status;

    if (!tunnelcap_i_pkt_valid(pkt))
        return TUNNELCAP_E_INVALID;
    p = pkt->buf + pkt->off;
    status = tunnelcap_i_open_cut(p, pkt->len, meta, o);
    if (status != TUNNELCAP_OK)
        return status;
    if (!tunnelcap_i_header_sum_ok(p, o, meta))
        return TUNNELCAP_E_CHECKSUM;
    if (o->protocol != tunnelcap_i_icmp_protocol(o->family))
        return TUNNELCAP_E_ICMP;
    if (o->fragment)
        return TUNNELCAP_E_FRAGMENT;
    len = o->end - o->pos;
    if (len < TUNNELCAP_I_ICMP_HEADER)
        return TUNNELCAP_E_TRUNCATED;
    sum = tunnelcap_i_sum(p + o->pos, len);
    if (o->family == TUNNELCAP_IPV6)
        sum += tunnelcap_i_sum_pseudo(o->src, o->dst, o->family, TUNNELCAP_I_PROTO_ICMPV6, len);
    return tunnelcap_i_fold(sum) == 0xffff ? TUNNELCAP_OK : TUNNELCAP_E_CHECKSUM;
}

void tunnelcap_i_icmp_finish(uint8_t *h, const tunnelcap_i_icmp_ip *ip)
{
    uint32_t header =
        ip->family == TUNNELCAP_IPV4 ? TUNNELCAP_I_IPV4_HEADER : TUNNELCAP_I_IPV6_HEADER;
    uint32_t len = ip->total - header;
    uint32_t sum = 0;
    uint8_t *icmp = h + header;

    if (ip->family == TUNNELCAP_IPV4) {
        tunnelcap_i_store16(h, 0x4500u | ip->tos);
        tunnelcap_i_store16(h + 2, ip->total);
        tunnelcap_i_store16(h + 4, ip->id);
        tunnelcap_i_store16(h + 6, ip->df);
        h[8] = ip->ttl;
        h[9] = TUNNELCAP_I_PROTO_ICMP;
        tunnelcap_i_store16(h + 10, 0);
        memcpy(h + 12, ip->src, 4);
        memcpy(h + 16, ip->dst, 4);
        tunnelcap_i_store16(h + 10, (uint16_t)~tunnelcap_i_sum(h, TUNNELCAP_I_IPV4_HEADER));
    } else {
        tunnelcap_i_store32(h, 0x60000000 | (uint32_t)ip->tos << 20);
        tunnelcap_i_store16(h + 4, len);
        h[6] = TUNNELCAP_I_PROTO_ICMPV6;
        h[7] = ip->ttl;
        memcpy(h + 8, ip->src, 16);
        memcpy(h + 24, ip->dst, 16);
        sum = tunnelcap_i_sum_pseudo(h + 8, h + 24, ip->family, TUNNELCAP_I_PROTO_ICMPV6, len);
    }
    tunnelcap_i_store16(icmp + 2, 0);
    sum += tunnelcap_i_sum(icmp, len);
    tunnelcap_i_store16(icmp + 2, (uint16_t)~tunnelcap_i_fold(sum));
}

int32_t tunnelcap_icmp_error_init(tunnelcap_icmp_error *error, uint32_t size)
{
    tunnelcap_icmp_error own;

    memset(&own, 0, sizeof(own));
    own.ttl = 64;
    own.tos = 0xc0;
    return tunnelcap_i_struct_init(error, size, &own, sizeof(own), OLDEST);
}

static int32_t read_error(tunnelcap_icmp_error *own, const tunnelcap_icmp_error *error)
{
    int32_t status = tunnelcap_i_struct_read(own, sizeof(*own), OLDEST, error);

    if (status != TUNNELCAP_OK)
        return status;
    if (own->reserved != 0)
        return TUNNELCAP_E_RESERVED;
    return own->ttl != 0 ? TUNNELCAP_OK : TUNNELCAP_E_RANGE;
}

static uint32_t at_least(uint32_t mtu, uint32_t floor)
{
    return mtu < floor ? floor : mtu;
}

static int32_t compose4(const tunnelcap_icmp_error *error, head *h)
{
    static const uint8_t types[] = {TUNNELCAP_I_ICMP4_UNREACHABLE, TUNNELCAP_I_ICMP4_UNREACHABLE,
                                    TUNNELCAP_I_ICMP4_TIME, TUNNELCAP_I_ICMP4_PARAMETER};
    static const uint8_t codes[] = {255, 15, 1, 2};
    uint32_t which = error->kind - (uint32_t)TUNNELCAP_ICMP_TOO_BIG;

    h->type = types[which];
    h->code = error->code4;
    if (error->code4 > codes[which])
        return TUNNELCAP_E_RANGE;
    switch (error->kind) {
    case TUNNELCAP_ICMP_TOO_BIG:
        h->code = TUNNELCAP_I_ICMP4_TOO_BIG;
        h->mtu = at_least(error->mtu, TUNNELCAP_I_MTU_MIN4);
        h->word = h->mtu;
        return h->mtu <= 0xffff ? TUNNELCAP_OK : TUNNELCAP_E_RANGE;
    case TUNNELCAP_ICMP_UNREACHABLE:
        return h->code != TUNNELCAP_I_ICMP4_TOO_BIG ? TUNNELCAP_OK : TUNNELCAP_E_RANGE;
    case TUNNELCAP_ICMP_PARAMETER:
        h->word = error->pointer << 24;
        return error->pointer <= 0xff ? TUNNELCAP_OK : TUNNELCAP_E_RANGE;
    default:
        return TUNNELCAP_OK;
    }
}

static int32_t compose6(const tunnelcap_icmp_error *error, head *h)
{
    static const uint8_t types[] = {TUNNELCAP_I_ICMP6_TOO_BIG, TUNNELCAP_I_ICMP6_UNREACHABLE,
                                    TUNNELCAP_I_ICMP6_TIME, TUNNELCAP_I_ICMP6_PARAMETER};
    static const uint8_t codes[] = {255, 8, 1, 10};
    uint32_t which = error->kind - (uint32_t)TUNNELCAP_ICMP_TOO_BIG;

    h->type = types[which];
    h->code = error->code6;
    if (error->code6 > codes[which])
        return TUNNELCAP_E_RANGE;
    if (error->kind == TUNNELCAP_ICMP_TOO_BIG) {
        h->code = 0;
        h->mtu = at_least(error->mtu, TUNNELCAP_I_MTU_MIN6);
        h->word = h->mtu;
    } else if (error->kind == TUNNELCAP_ICMP_PARAMETER) {
        h->word = error->pointer;
    }
    return TUNNELCAP_OK;
}

/* What an error says in the family of its packet. */
static int32_t compose(const tunnelcap_icmp_error *error, uint8_t family, head *h)
{
    const tunnelcap_addr *src = family == TUNNELCAP_IPV4 ? &error->src4 : &error->src6;

    h->word = 0;
    h->mtu = 0;
    if (error->kind < TUNNELCAP_ICMP_TOO_BIG || error->kind > TUNNELCAP_ICMP_PARAMETER)
        return TUNNELCAP_E_MODE;
    if (src->family != family || !tunnelcap_i_icmp_one_node(src->bytes, family))
        return TUNNELCAP_E_ADDRESS;
    return family == TUNNELCAP_IPV4 ? compose4(error, h) : compose6(error, h);
}

/* The walk takes an authentication header for the end of the chain. Whether an ICMP error stands
 * behind it can be seen all the same (RFC 4302 section 2). */
static int32_t look_behind_ah(const uint8_t *p, uint32_t len, tunnelcap_i_ip *ip)
{
    uint32_t count = 0;
    uint32_t size;
    int32_t status;

    while (ip->protocol == TUNNELCAP_I_PROTO_AH && !ip->non_first) {
        if (++count > TUNNELCAP_I_EXTENSIONS_MAX || ip->total - ip->payload < 2)
            return TUNNELCAP_E_MALFORMED;
        if (len < ip->payload + 2)
            return TUNNELCAP_E_TRUNCATED;
        size = ((uint32_t)p[ip->payload + 1] + 2) * 4;
        if (size > ip->total - ip->payload)
            return TUNNELCAP_E_MALFORMED;
        if (size > len - ip->payload)
            return TUNNELCAP_E_TRUNCATED;
        ip->protocol = p[ip->payload];
        ip->payload += size;
        if (ip->family == TUNNELCAP_IPV4)
            continue;
        status = tunnelcap_i_ip_walk(p, ip->payload, len, ip->protocol, ip);
        if (status != TUNNELCAP_OK)
            return status;
    }
    return TUNNELCAP_OK;
}

/* 1 if a packet is, or might be, an ICMP error or redirect. */
static uint32_t is_error(const uint8_t *p, uint32_t len, const tunnelcap_i_ip *ip)
{
    uint32_t end = ip->total < len ? ip->total : len;

    if (ip->protocol != tunnelcap_i_icmp_protocol(ip->family))
        return 0;
    if (ip->non_first || ip->payload >= end)
        return 1;
    return tunnelcap_i_icmp_kind(ip->family, p[ip->payload], 0) != TUNNELCAP_ICMP_INFORMATION;
}

/* 1 if a packet went to more than one node, and is not to be answered therefore. */
static uint32_t is_for_many(const tunnelcap_i_ip *ip, const head *h)
{
    const uint8_t *dst = ip->src + ip->addr_len;
    uint32_t address;

    if (ip->family == TUNNELCAP_IPV4) {
        address = tunnelcap_i_load32(dst);
        return dst[0] >> 4 == 14 || address == 0xffffffff || address == 0;
    }
    if (dst[0] != 0xff)
        return 0;
    return h->type != TUNNELCAP_I_ICMP6_TOO_BIG &&
           !(h->type == TUNNELCAP_I_ICMP6_PARAMETER && h->code == TUNNELCAP_I_ICMP6_OPTION);
}

static int32_t may_answer(const uint8_t *p, uint32_t len, const tunnelcap_i_ip *packet,
                          const head *h)
{
    tunnelcap_i_ip ip = *packet;
    int32_t status = look_behind_ah(p, len, &ip);

    if (status != TUNNELCAP_OK)
        return status;
    if (!tunnelcap_i_icmp_one_node(ip.src, ip.family) || is_for_many(&ip, h) ||
        is_error(p, len, &ip) || (ip.family == TUNNELCAP_IPV4 && ip.non_first) ||
        ip.total <= h->mtu)
        return TUNNELCAP_E_NO_ANSWER;
    return TUNNELCAP_OK;
}

/* Whether a meta is one of an IP packet that is yet to be encapsulated. */
static int32_t check_meta(const tunnelcap_meta *meta, uint32_t len)
{
    if (meta == NULL)
        return TUNNELCAP_OK;
    if (meta->at != TUNNELCAP_AT_IP)
        return TUNNELCAP_E_INVALID;
    if (meta->ethertype != 0 && meta->ethertype != TUNNELCAP_ETHERTYPE_IPV4 &&
        meta->ethertype != TUNNELCAP_ETHERTYPE_IPV6)
        return TUNNELCAP_E_PROTOCOL;
    if (meta->gso_type != 0 || meta->gso_size != 0)
        return TUNNELCAP_OK; /* its checksum is never finished as it is */
    return tunnelcap_i_meta_check(meta, len);
}

static void write_error(tunnelcap_pkt *pkt, const tunnelcap_icmp_error *error,
                        const tunnelcap_i_ip *ip, const head *h)
{
    uint32_t v4 = ip->family == TUNNELCAP_IPV4;
    uint32_t room = v4 ? TUNNELCAP_ICMP_HEADROOM4 : TUNNELCAP_ICMP_HEADROOM6;
    uint32_t max = (v4 ? TUNNELCAP_ICMP_MAX4 : TUNNELCAP_ICMP_MAX6) - room;
    uint32_t quote = ip->total < pkt->len ? ip->total : pkt->len;
    tunnelcap_i_icmp_ip outer;
    uint8_t *icmp;

    if (quote > max)
        quote = max;
    pkt->off -= room;
    pkt->len = room + quote;
    icmp = pkt->buf + pkt->off + room - TUNNELCAP_I_ICMP_HEADER;
    icmp[0] = h->type;
    icmp[1] = h->code;
    tunnelcap_i_store32(icmp + 4, h->word);
    outer.src = v4 ? error->src4.bytes : error->src6.bytes;
    outer.dst = ip->src;
    outer.total = pkt->len;
    outer.id = error->id;
    outer.df = error->id == 0 ? 0x4000 : 0;
    outer.family = ip->family;
    outer.tos = error->tos;
    outer.ttl = error->ttl;
    tunnelcap_i_icmp_finish(pkt->buf + pkt->off, &outer);
}

/* Turn a packet, whose window and meta are right, into the error about it. */
static int32_t build(tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                     const tunnelcap_icmp_error *error, uint32_t verify,
                     tunnelcap_icmp_limit *limit, uint64_t now_ns)
{
    uint8_t *p = pkt->buf + pkt->off;
    tunnelcap_i_ip ip;
    head h;
    int32_t status = tunnelcap_i_ip_parse(p, pkt->len, &ip);

    if (status != TUNNELCAP_OK)
        return status;
    if (verify && ip.family == TUNNELCAP_IPV4 && tunnelcap_i_sum(p, ip.payload) != 0xffff)
        return TUNNELCAP_E_CHECKSUM;
    status = compose(error, ip.family, &h);
    if (status != TUNNELCAP_OK)
        return status;
    status = may_answer(p, pkt->len, &ip, &h);
    if (status != TUNNELCAP_OK)
        return status;
    if (pkt->off < (uint32_t)(ip.family == TUNNELCAP_IPV4 ? TUNNELCAP_ICMP_HEADROOM4
                                                          : TUNNELCAP_ICMP_HEADROOM6))
        return TUNNELCAP_E_HEADROOM;
    status = limit != NULL ? tunnelcap_icmp_limit_take(limit, now_ns) : TUNNELCAP_OK;
    if (status != TUNNELCAP_OK)
        return status;
    if (meta != NULL && meta->gso_type == 0 && meta->gso_size == 0 && ip.total <= pkt->len)
        tunnelcap_i_meta_finish(meta, p, ip.total);
    write_error(pkt, error, &ip, &h);
    return TUNNELCAP_OK;
}

int32_t tunnelcap_icmp_error_build(tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                                   const tunnelcap_icmp_error *error, tunnelcap_icmp_limit *limit,
                                   uint64_t now_ns)
{
    tunnelcap_icmp_error own;
    int32_t status;

    if (pkt == NULL || !tunnelcap_i_pkt_valid(pkt))
        return TUNNELCAP_E_INVALID;
    status = read_error(&own, error);
    if (status != TUNNELCAP_OK)
        return status;
    status = check_meta(meta, pkt->len);
    if (status != TUNNELCAP_OK)
        return status;
    return build(pkt, meta, &own, 1, limit, now_ns);
}

/* 1 if a parameter problem points at the value of a Tunnel Encapsulation Limit option among the
 * outer headers: the tunnel is nested too deeply (RFC 2473 section 8.2). */
static uint32_t is_encap_limit(const uint8_t *p, const tunnelcap_icmp_result *r)
{
    enum { OPTION = 4, OPTION_LEN = 1 };
    const uint8_t *quote = p + r->quote;

    return r->to.family == TUNNELCAP_IPV6 && r->code == 0 &&
           r->pointer >= TUNNELCAP_I_IPV6_HEADER + 4u && r->pointer < r->inner - r->quote &&
           quote[r->pointer - 2] == OPTION && quote[r->pointer - 1] == OPTION_LEN;
}

/* What an error about the outer packet is to the sender inside. */
static int32_t translate(const uint8_t *p, const tunnelcap_icmp_result *r,
                         tunnelcap_icmp_error *error)
{
    uint32_t v4 = r->to.family == TUNNELCAP_IPV4;

    error->kind = TUNNELCAP_ICMP_UNREACHABLE;
    error->code4 = TUNNELCAP_I_ICMP4_HOST;
    error->code6 = TUNNELCAP_I_ICMP6_ADDRESS;
    error->pointer = 0;
    switch (r->kind) {
    case TUNNELCAP_ICMP_TOO_BIG:
        error->kind = TUNNELCAP_ICMP_TOO_BIG;
        return TUNNELCAP_OK;
    case TUNNELCAP_ICMP_UNREACHABLE:
        if (v4 && r->code == TUNNELCAP_I_ICMP4_SOURCE_ROUTE)
            return TUNNELCAP_E_NO_ANSWER;
        if (v4 &&
            (r->code == TUNNELCAP_I_ICMP4_NETWORK || r->code == TUNNELCAP_I_ICMP4_NETWORK_UNKNOWN))
            error->code4 = TUNNELCAP_I_ICMP4_NETWORK;
        return TUNNELCAP_OK;
    case TUNNELCAP_ICMP_TIME_EXCEEDED:
        return r->code == 0 ? TUNNELCAP_OK : TUNNELCAP_E_NO_ANSWER;
    case TUNNELCAP_ICMP_PARAMETER:
        return is_encap_limit(p, r) ? TUNNELCAP_OK : TUNNELCAP_E_NO_ANSWER;
    default:
        return TUNNELCAP_E_NO_ANSWER;
    }
}

/* Whether enough of the inner packet is there to be recognised by its sender. */
static int32_t check_inner(const uint8_t *p, const tunnelcap_icmp_result *r)
{
    enum { PORTS = 8 };
    tunnelcap_i_ip ip;
    int32_t status;

    if (r->protocol != TUNNELCAP_ETHERTYPE_IPV4 && r->protocol != TUNNELCAP_ETHERTYPE_IPV6)
        return TUNNELCAP_E_ICMP;
    status = tunnelcap_i_ip_parse(p, r->inner_len, &ip);
    if (status != TUNNELCAP_OK)
        return status == TUNNELCAP_E_TRUNCATED ? TUNNELCAP_E_ICMP : status;
    if ((ip.family == TUNNELCAP_IPV4) != (r->protocol == TUNNELCAP_ETHERTYPE_IPV4))
        return TUNNELCAP_E_MALFORMED;
    return r->inner_len >= ip.total || r->inner_len - ip.payload >= PORTS ? TUNNELCAP_OK
                                                                          : TUNNELCAP_E_ICMP;
}

int32_t tunnelcap_icmp_relay(tunnelcap_pkt *pkt, const tunnelcap_icmp_result *result,
                             const tunnelcap_icmp_error *error, tunnelcap_icmp_limit *limit,
                             uint64_t now_ns)
{
    tunnelcap_icmp_error own;
    tunnelcap_icmp_result r;
    tunnelcap_pkt inner;
    const uint8_t *p;
    int32_t status;

    if (pkt == NULL || !tunnelcap_i_pkt_valid(pkt))
        return TUNNELCAP_E_INVALID;
    p = pkt->buf + pkt->off;
    status = read_error(&own, error);
    if (status == TUNNELCAP_OK)
        status = tunnelcap_i_struct_read(&r, sizeof(r), sizeof(r), result);
    if (status != TUNNELCAP_OK)
        return status;
    if (!(r.flags & TUNNELCAP_ICMP_INNER))
        return TUNNELCAP_E_ICMP;
    if (r.inner > pkt->len || r.inner_len > pkt->len - r.inner || r.quote > r.inner)
        return TUNNELCAP_E_INVALID;
    status = translate(p, &r, &own);
    if (status == TUNNELCAP_OK)
        status = check_inner(p + r.inner, &r);
    if (status != TUNNELCAP_OK)
        return status;
    inner = *pkt;
    inner.off += r.inner;
    inner.len = r.inner_len;
    status = build(&inner, NULL, &own, 0, limit, now_ns);
    if (status != TUNNELCAP_OK)
        return status == TUNNELCAP_E_TRUNCATED ? TUNNELCAP_E_ICMP : status;
    pkt->off = inner.off;
    pkt->len = inner.len;
    return TUNNELCAP_OK;
}
