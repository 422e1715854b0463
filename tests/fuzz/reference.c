/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "reference.h"

#include <string.h>

enum { UDP = 17, ROUTING = 43, FRAGMENT = 44, GRE = 47 };

uint32_t reference_load16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

uint32_t reference_load32(const uint8_t *p)
{
    return reference_load16(p) << 16 | reference_load16(p + 2);
}

void reference_store16(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

uint32_t reference_sum(const uint8_t *p, size_t len, uint32_t sum)
{
    for (size_t i = 0; i < len; i++) {
        sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
        while (sum > 0xffff)
            sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

uint32_t reference_pseudo(const uint8_t *addresses, uint32_t address_len, uint32_t protocol,
                          uint32_t len)
{
    uint8_t rest[8] = {
        (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len, 0, 0, 0,
        (uint8_t)protocol};

    return reference_sum(rest, sizeof(rest), reference_sum(addresses, (size_t)2 * address_len, 0));
}

static bool parse_ipv4(const uint8_t *p, size_t len, struct reference_ip *ip)
{
    if (len < 20)
        return false;
    ip->upper = (uint32_t)(p[0] % 16) * 4;
    ip->end = reference_load16(p + 2);
    if (ip->upper < 20 || ip->upper > len || ip->end < ip->upper)
        return false;
    ip->protocol = p[9];
    ip->tos = p[1];
    ip->first = reference_load16(p + 6) % 0x2000 == 0;
    ip->fragment = !ip->first || (p[6] & 0x20);
    ip->in_transit = false;
    ip->address_len = 4;
    ip->addresses = p + 12;
    return true;
}

/* An authentication header is none: what it protects is not looked at. */
static bool is_extension(uint32_t protocol)
{
    return protocol == 0 || protocol == ROUTING || protocol == FRAGMENT || protocol == 60;
}

static uint32_t extension_len(const uint8_t *p, uint32_t protocol)
{
    return protocol == FRAGMENT ? 8 : ((uint32_t)p[1] + 1) * 8;
}

/* Walk the extension headers from ip->upper on; no more than 16, the library's bound. */
static bool walk(const uint8_t *p, size_t len, struct reference_ip *ip)
{
    size_t bound = ip->end < len ? ip->end : len;

    ip->first = true;
    ip->fragment = false;
    ip->in_transit = false;
    for (int seen = 0; is_extension(ip->protocol) && ip->first; seen++) {
        const uint8_t *header = p + ip->upper;

        if (seen == 16 || bound - ip->upper < 8 ||
            extension_len(header, ip->protocol) > bound - ip->upper)
            return false;
        if (ip->protocol == FRAGMENT) {
            ip->first = (reference_load16(header + 2) & 0xfff8) == 0;
            ip->fragment |= !ip->first || (header[3] & 1);
        }
        ip->in_transit |= ip->protocol == ROUTING && header[3] != 0;
        ip->upper += extension_len(header, ip->protocol);
        ip->protocol = header[0];
    }
    return true;
}

static bool parse_ipv6(const uint8_t *p, size_t len, struct reference_ip *ip)
{
    if (len < 40)
        return false;
    ip->upper = 40;
    ip->end = 40 + reference_load16(p + 4);
    ip->protocol = p[6];
    ip->tos = reference_load16(p) >> 4 & 0xff;
    ip->address_len = 16;
    ip->addresses = p + 8;
    return walk(p, len, ip);
}

bool reference_ip_parse(const uint8_t *p, size_t len, struct reference_ip *ip)
{
    if (len == 0)
        return false;
    ip->version = p[0] / 16;
    if (ip->version == 4)
        return parse_ipv4(p, len, ip);
    return ip->version == 6 && parse_ipv6(p, len, ip);
}

/* The UDP header at `begin`; moves begin and end to its payload. */
static bool parse_udp(const struct reference_tunnel *tunnel, const uint8_t *p,
                      const struct reference_ip *ip, bool verified, struct reference_outer *outer)
{
    const uint8_t *udp = p + outer->begin;
    uint32_t len;
    uint32_t checksum;

    if (!tunnel->udp || outer->end - outer->begin < 8)
        return false;
    len = reference_load16(udp + 4);
    checksum = reference_load16(udp + 6);
    if (len < 8 || len > outer->end - outer->begin || reference_load16(udp + 2) != tunnel->udp_port)
        return false;
    if (checksum == 0 && ip->version == 6 && !tunnel->udp_zero_checksum)
        return false;
    if (checksum != 0 && !verified &&
        reference_sum(udp, len, reference_pseudo(ip->addresses, ip->address_len, UDP, len)) !=
            0xffff)
        return false;
    outer->begin += 8;
    outer->end = outer->begin + len - 8;
    outer->protocol = GRE;
    return true;
}

static bool same_bytes(const tunnelcap_addr *addr, const uint8_t *bytes, uint32_t len)
{
    return memcmp(addr->bytes, bytes, len) == 0;
}

static bool same_address(const tunnelcap_addr *a, const tunnelcap_addr *b)
{
    return a->family == b->family && same_bytes(a, b->bytes, sizeof(b->bytes));
}

/* A packet that a socket delivered without its IP header. */
static bool parse_behind_ip(const struct reference_tunnel *tunnel, const uint8_t *p, size_t len,
                            const tunnelcap_meta *meta, struct reference_outer *outer)
{
    bool verified = meta->flags & TUNNELCAP_META_CSUM_VALID;
    uint8_t addresses[32];
    struct reference_ip ip = {.end = (uint32_t)len, .protocol = meta->proto};

    if (!same_address(&meta->src, &tunnel->remote) || !same_address(&meta->dst, &tunnel->local))
        return false;
    outer->begin = 0;
    outer->end = (uint32_t)len;
    outer->tos_known = meta->flags & TUNNELCAP_META_TOS_VALID;
    outer->tos = meta->tos;
    outer->protocol = GRE;
    if (meta->at == TUNNELCAP_AT_UDP_PAYLOAD)
        return tunnel->udp && meta->dst_port == tunnel->udp_port;

    ip.version = meta->src.family;
    ip.address_len = ip.version == 4 ? 4 : 16;
    memcpy(addresses, meta->src.bytes, ip.address_len);
    memcpy(addresses + ip.address_len, meta->dst.bytes, ip.address_len);
    ip.addresses = addresses;
    outer->protocol = ip.protocol;
    if (ip.protocol == UDP)
        return parse_udp(tunnel, p, &ip, verified, outer);
    return !tunnel->udp;
}

bool reference_outer_parse(const struct reference_tunnel *tunnel, const uint8_t *p, size_t len,
                           const tunnelcap_meta *meta, struct reference_outer *outer)
{
    bool verified = meta && (meta->flags & TUNNELCAP_META_CSUM_VALID);
    struct reference_ip ip;

    if (meta && meta->at > TUNNELCAP_AT_IP_PAYLOAD)
        return false;
    if (meta && meta->at != TUNNELCAP_AT_IP)
        return parse_behind_ip(tunnel, p, len, meta, outer);
    if (!reference_ip_parse(p, len, &ip) || ip.end > len || ip.fragment || ip.in_transit)
        return false;
    if (ip.version == 4 && !verified && reference_sum(p, ip.upper, 0) != 0xffff)
        return false;
    if (ip.version != tunnel->local.family ||
        !same_bytes(&tunnel->remote, ip.addresses, ip.address_len) ||
        !same_bytes(&tunnel->local, ip.addresses + ip.address_len, ip.address_len))
        return false;
    outer->begin = ip.upper;
    outer->end = ip.end;
    outer->tos_known = true;
    outer->tos = ip.tos;
    outer->protocol = ip.protocol;
    if (ip.protocol == UDP)
        return parse_udp(tunnel, p, &ip, verified, outer);
    return !tunnel->udp;
}

bool reference_gre_parse(const uint8_t *p, size_t len, struct reference_gre *gre)
{
    uint32_t at = 4;

    if (len < 4)
        return false;
    if (p[1] % 8 != 0 || (p[0] & 0x4c) != 0)
        return false;
    gre->has_checksum = p[0] & 0x80;
    gre->has_key = p[0] & 0x20;
    gre->has_seq = p[0] & 0x10;
    gre->len = 4U * (1U + gre->has_checksum + gre->has_key + gre->has_seq);
    if (len < gre->len)
        return false;
    gre->protocol = reference_load16(p + 2);
    if (gre->has_checksum) {
        if (reference_sum(p, len, 0) != 0xffff)
            return false;
        at += 4;
    }
    gre->key = gre->has_key ? reference_load32(p + at) : 0;
    at += gre->has_key ? 4 : 0;
    gre->seq = gre->has_seq ? reference_load32(p + at) : 0;
    return true;
}

uint32_t reference_find_ip(const uint8_t *p, size_t len, uint32_t ethertype)
{
    enum { VLAN_TAGS_MAX = 4 };
    uint32_t at = 12;

    if (ethertype == TUNNELCAP_ETHERTYPE_IPV4 || ethertype == TUNNELCAP_ETHERTYPE_IPV6)
        return 0;
    if (ethertype != TUNNELCAP_ETHERTYPE_ETHERNET)
        return UINT32_MAX;
    for (int tags = 0; tags <= VLAN_TAGS_MAX && at + 2 <= len; tags++, at += 4) {
        uint32_t type = reference_load16(p + at);

        if (type == TUNNELCAP_ETHERTYPE_IPV4 || type == TUNNELCAP_ETHERTYPE_IPV6)
            return at + 2;
        if (type != 0x8100 && type != 0x88a8)
            return UINT32_MAX;
    }
    return UINT32_MAX;
}

bool reference_header_sane(const uint8_t *p, size_t len)
{
    if (len < 20)
        return false;
    if (p[0] / 16 == 6)
        return len >= 40;
    return p[0] / 16 == 4 && p[0] % 16 >= 5 && reference_load16(p + 2) >= p[0] % 16 * 4U;
}

bool reference_inner_whole(const uint8_t *p, size_t len, uint32_t version)
{
    if (!reference_header_sane(p, len) || p[0] / 16 != version)
        return false;
    return (version == 4 ? 0U : 40U) + reference_load16(p + (version == 4 ? 2 : 4)) <= len;
}

int reference_ecn(uint32_t inner, uint32_t outer)
{
    /* Rows: inner Not-ECT, ECT(1), ECT(0), CE; columns the same of the outer header. */
    static const int table[4][4] = {{0, 0, 0, -1}, {1, 1, 1, 3}, {2, 1, 2, 3}, {3, 3, 3, 3}};

    return table[inner % 4][outer % 4];
}

uint32_t reference_tos(const uint8_t *p)
{
    return p[0] / 16 == 4 ? p[1] : reference_load16(p) >> 4 & 0xff;
}

/* Store a byte of an IPv4 header. */
static void set_byte(uint8_t *p, uint32_t at, uint32_t value)
{
    uint32_t shift = at % 2 == 0 ? 8 : 0;
    /* The checksum is what, added to the rest, gives the same sum as before. */
    uint32_t rest =
        reference_sum(p + 10, 2, 0) + ((uint32_t)p[at] << shift) + (0xffff - (value << shift));

    p[at] = (uint8_t)value;
    while (rest > 0xffff)
        rest = (rest & 0xffff) + (rest >> 16);
    reference_store16(p + 10, rest);
}

void reference_set_tos(uint8_t *p, uint32_t tos)
{
    if (p[0] / 16 == 6)
        reference_store16(p, (reference_load16(p) & 0xf00f) | tos << 4);
    else
        set_byte(p, 1, tos);
}

uint32_t reference_ttl(const uint8_t *p)
{
    return p[0] / 16 == 4 ? p[8] : p[7];
}

void reference_set_ttl(uint8_t *p, uint32_t ttl)
{
    if (p[0] / 16 == 6)
        p[7] = (uint8_t)ttl;
    else
        set_byte(p, 8, ttl);
}

/* The limit among the options from `at` to `end`, or -1. */
static int limit_in(const uint8_t *p, uint32_t at, uint32_t end)
{
    while (at < end) {
        uint32_t len = p[at] == 0 ? 1 : at + 1 < end ? p[at + 1] + 2U : end;

        if (len > end - at)
            return -1;
        if (p[at] == 4 && len == 3)
            return p[at + 2];
        at += len;
    }
    return -1;
}

int reference_limit(const uint8_t *p, size_t len)
{
    struct reference_ip ip;
    uint32_t kind = len > 6 ? p[6] : 0;
    int limit = -1;

    if (!reference_ip_parse(p, len, &ip) || ip.version != 6)
        return -1;
    for (uint32_t at = 40; at < ip.upper && limit < 0;) {
        uint32_t size = kind == 44 ? 8 : 8U * (p[at + 1] + 1U);

        if (kind == 60)
            limit = limit_in(p, at + 2, at + size);
        kind = p[at];
        at += size;
    }
    return limit;
}

static void repair_udp(uint8_t *p, size_t len, const struct reference_ip *ip)
{
    uint8_t *udp = p + ip->upper;
    uint32_t room = (uint32_t)(ip->end < len ? ip->end : len) - ip->upper;

    if (room < 8)
        return;
    reference_store16(udp + 4, room);
    reference_store16(udp + 6, 0);
    reference_store16(
        udp + 6,
        0xffff -
            reference_sum(udp, room, reference_pseudo(ip->addresses, ip->address_len, UDP, room)));
    if (reference_load16(udp + 6) == 0)
        reference_store16(udp + 6, 0xffff);
}

static void repair_gre(uint8_t *p, size_t len, const struct reference_ip *ip)
{
    uint32_t end = (uint32_t)(ip->end < len ? ip->end : len);
    uint32_t begin = ip->upper + (ip->protocol == UDP ? 8 : 0);

    if (end < begin + 8 || !(p[begin] & 0x80))
        return;
    reference_store16(p + begin + 4, 0);
    reference_store16(p + begin + 4, 0xffff - reference_sum(p + begin, end - begin, 0));
}

void reference_repair(uint8_t *p, size_t len, unsigned repairs, const tunnelcap_addr *from,
                      const tunnelcap_addr *to)
{
    struct reference_ip ip;
    uint8_t *addresses;

    if (!reference_ip_parse(p, len, &ip))
        return;
    addresses = p + (ip.addresses - p);
    if ((repairs & REPAIR_ADDRESSES) && ip.version == from->family) {
        memcpy(addresses, from->bytes, ip.address_len);
        memcpy(addresses + ip.address_len, to->bytes, ip.address_len);
    }
    if (repairs & REPAIR_LENGTH) {
        reference_store16(ip.version == 4 ? p + 2 : p + 4,
                          (uint32_t)len - (ip.version == 4 ? 0 : 40));
        if (!reference_ip_parse(p, len, &ip))
            return;
    }
    if (ip.first && (repairs & REPAIR_GRE_CHECKSUM) && (ip.protocol == GRE || ip.protocol == UDP))
        repair_gre(p, len, &ip);
    if (ip.first && (repairs & REPAIR_UDP) && ip.protocol == UDP)
        repair_udp(p, len, &ip);
    if (ip.version == 4 && (repairs & REPAIR_IPV4_CHECKSUM)) {
        reference_store16(p + 10, 0);
        reference_store16(p + 10, 0xffff - reference_sum(p, ip.upper, 0));
    }
}
