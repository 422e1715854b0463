/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Inner packets into a tunnel and out at its far end: the same bytes, but for what RFC 6040 and
 * a uniform DSCP and TTL change, and an outer packet in between that the reference accepts.
 *
 * Input: kind and flags, outer policy, options, transit, headroom, DSCP, key and sequence
 * number (4), inner packet.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "reference.h"

enum { KIND_IPIP = 0x80 }; /* else the bits are GRE flags */
enum { POLICY_IPV6 = 1, POLICY_ECN_COMPATIBILITY = 8, POLICY_ID_ALWAYS = 0x40 };
enum {
    OPTION_ENCAP_LIMIT = 1,
    OPTION_TTL_COPY = 2,
    OPTION_ETHERNET = 4,
    OPTION_PARTIAL = 8,
    OPTION_PROTOCOL = 0x10,
    OPTION_REPAIR = 0x20,
    OPTION_TTL_UNIFORM = 0x40
};
enum { TRANSIT_ECN = 3, TRANSIT_MARKS = 4, TRANSIT_HOPS_AT = 3 };

static const int32_t encap_refusals[] = {
    TUNNELCAP_E_TRUNCATED,
    TUNNELCAP_E_MALFORMED,
    TUNNELCAP_E_HEADROOM,
    TUNNELCAP_E_TOO_BIG,
    TUNNELCAP_E_ENCAP_LIMIT,
    TUNNELCAP_E_PROTOCOL /* IPIP only; none of GRE's flags can lead to it */,
    FUZZ_END};

/* One kind of tunnel or the other, seen from both ends. */
struct tunnels {
    tunnelcap_gre *gre, *far_gre;
    tunnelcap_ipip *ipip, *far_ipip;
    tunnelcap_gre_config config; /* of the near end; only `outer` counts for IPIP */
    bool is_ipip;
};

struct choice {
    uint32_t kind, policy, options, transit, head, dscp, number;
};

static struct choice read_choice(struct fuzz_input *in)
{
    struct choice c = {.kind = fuzz_u8(in)};

    c.policy = fuzz_u8(in);
    c.options = fuzz_u8(in);
    c.transit = fuzz_u8(in);
    c.head = fuzz_u8(in) % 80U;
    c.dscp = fuzz_u8(in) % 64U;
    c.number = fuzz_u32(in);
    return c;
}

static void set_outer(const struct choice *c, tunnelcap_outer *outer)
{
    bool ipv6 = c->policy & POLICY_IPV6;

    outer->local = fuzz_local(ipv6);
    outer->remote = fuzz_remote(ipv6);
    outer->dscp_mode = (uint8_t)((c->policy >> 1 & 3) % 3);
    outer->dscp = (uint8_t)c->dscp;
    outer->ecn_mode = !!(c->policy & POLICY_ECN_COMPATIBILITY);
    outer->df_mode = (uint8_t)((c->policy >> 4 & 3) % 3);
    outer->id_mode = !!(c->policy & POLICY_ID_ALWAYS);
    outer->flow_label_mode = (uint8_t)(c->policy >> 7);
    outer->flow_label = outer->flow_label_mode ? c->number & 0xfffff : 0;
    outer->encap_limit_mode = ipv6 && (c->options & OPTION_ENCAP_LIMIT);
    outer->encap_limit = outer->encap_limit_mode ? 4 : 0;
    outer->ttl = c->options & OPTION_TTL_COPY ? 0 : 64;
    outer->ttl_mode = !!(c->options & OPTION_TTL_UNIFORM);
}

static void swap_ends(tunnelcap_outer *outer)
{
    tunnelcap_addr local = outer->local;

    outer->local = outer->remote;
    outer->remote = local;
}

static void make_ipip(const tunnelcap_outer *outer, tunnelcap_ipip **ipip)
{
    tunnelcap_ipip_config config;

    FUZZ_CHECK(tunnelcap_ipip_config_init(&config, sizeof(config)) == TUNNELCAP_OK);
    config.outer = *outer;
    FUZZ_CHECK(tunnelcap_ipip_new(&config, NULL, ipip) == TUNNELCAP_OK);
}

static struct tunnels make_tunnels(const struct choice *c)
{
    struct tunnels t = {.is_ipip = c->kind & KIND_IPIP};
    tunnelcap_gre_config far_config;
    uint32_t flags = c->kind & 0x7f;

    FUZZ_CHECK(tunnelcap_gre_config_init(&t.config, sizeof(t.config)) == TUNNELCAP_OK);
    set_outer(c, &t.config.outer);
    if (!(flags & TUNNELCAP_GRE_UDP))
        flags &= ~(uint32_t)TUNNELCAP_GRE_UDP_ZERO_CHECKSUM;
    t.config.flags = flags;
    t.config.key_in = ~c->number;
    t.config.key_out = t.config.seq_start = c->number;
    if (c->options & OPTION_PROTOCOL)
        t.config.protocol = TUNNELCAP_ETHERTYPE_MPLS;
    far_config = t.config;
    swap_ends(&far_config.outer);
    far_config.key_in = t.config.key_out;
    far_config.key_out = t.config.key_in;
    far_config.flags &= ~(uint32_t)(TUNNELCAP_GRE_KEY_IN | TUNNELCAP_GRE_KEY_OUT);
    far_config.flags |= flags & TUNNELCAP_GRE_KEY_OUT ? TUNNELCAP_GRE_KEY_IN : 0U;

    if (t.is_ipip) {
        make_ipip(&t.config.outer, &t.ipip);
        make_ipip(&far_config.outer, &t.far_ipip);
    } else {
        FUZZ_CHECK(tunnelcap_gre_new(&t.config, NULL, &t.gre) == TUNNELCAP_OK);
        FUZZ_CHECK(tunnelcap_gre_new(&far_config, NULL, &t.far_gre) == TUNNELCAP_OK);
    }
    return t;
}

static void free_tunnels(const struct tunnels *t)
{
    tunnelcap_gre_free(t->gre);
    tunnelcap_gre_free(t->far_gre);
    tunnelcap_ipip_free(t->ipip);
    tunnelcap_ipip_free(t->far_ipip);
}

/* Make the bytes a whole IP packet with a plain header, of the version they begin with. */
static void repair_inner(uint8_t *p, uint32_t len)
{
    if (len < 40 || len > 65535)
        return;
    p[0] = p[0] / 16 == 6 ? p[0] : 0x45;
    reference_store16(p[0] == 0x45 ? p + 2 : p + 4, p[0] == 0x45 ? len : len - 40);
}

/* Ask for a transport checksum to be finished, at an offset that lies in the packet. */
static bool choose_partial(const struct choice *c, const struct fuzz_packet *inner,
                           tunnelcap_meta *meta)
{
    const uint8_t *p = fuzz_packet_start(inner);
    struct reference_ip ip;
    uint32_t room;

    if ((c->options & (OPTION_PARTIAL | OPTION_REPAIR | OPTION_ETHERNET | OPTION_PROTOCOL)) !=
            (OPTION_PARTIAL | OPTION_REPAIR) ||
        !reference_ip_parse(p, inner->pkt.len, &ip) || ip.end != inner->pkt.len || ip.fragment)
        return false;
    room = ip.end - ip.upper;
    if (room < 2)
        return false;
    meta->flags = TUNNELCAP_META_CSUM_PARTIAL;
    meta->csum_start = (uint16_t)ip.upper;
    meta->csum_offset = (uint16_t)(c->dscp % (room - 1) & ~1U);
    return true;
}

/* Finish the checksum in the copy that the result is compared with. */
static void finish_checksum(uint8_t *p, uint32_t len, const tunnelcap_meta *meta)
{
    uint32_t sum = reference_sum(p + meta->csum_start, len - meta->csum_start, 0);
    uint32_t checksum = 0xffff - sum;

    reference_store16(p + meta->csum_start + meta->csum_offset, checksum ? checksum : 0xffff);
}

static uint32_t headroom_of(const struct tunnels *t)
{
    return t->is_ipip ? tunnelcap_ipip_headroom(t->ipip) : tunnelcap_gre_headroom(t->gre);
}

/* The encapsulation limit of an inner packet, where the tunnel heeds it; or -1. */
static int limit_of(const struct tunnels *t, const uint8_t *inner, uint32_t len, uint32_t ethertype)
{
    if (t->config.outer.local.family != TUNNELCAP_IPV6 || ethertype != 0)
        return -1;
    return reference_limit(inner, len);
}

/* Bytes of the option that such a packet brings along. */
static uint32_t extra_of(const struct tunnels *t, int limit)
{
    return limit >= 0 && !t->config.outer.encap_limit_mode ? 8 : 0;
}

static void check_lengths(const struct tunnels *t, uint32_t inner_len, uint32_t outer_len)
{
    uint32_t said = t->is_ipip ? tunnelcap_ipip_encap_len(t->ipip, inner_len)
                               : tunnelcap_gre_encap_len(t->gre, inner_len);
    uint32_t mtu = t->is_ipip ? tunnelcap_ipip_inner_mtu(t->ipip, outer_len)
                              : tunnelcap_gre_inner_mtu(t->gre, outer_len);

    FUZZ_CHECK(said == outer_len);
    FUZZ_CHECK(mtu == inner_len);
    FUZZ_CHECK(outer_len == inner_len + headroom_of(t));
}

static void check_gre_header(const struct tunnels *t, const uint8_t *p, uint32_t len)
{
    uint32_t flags = t->config.flags;
    struct reference_gre gre;

    FUZZ_CHECK(reference_gre_parse(p, len, &gre));
    FUZZ_CHECK(gre.has_checksum == !!(flags & TUNNELCAP_GRE_CHECKSUM));
    FUZZ_CHECK(gre.has_key == !!(flags & TUNNELCAP_GRE_KEY_OUT));
    FUZZ_CHECK(gre.has_seq == !!(flags & TUNNELCAP_GRE_SEQUENCE));
    FUZZ_CHECK(!gre.has_key || gre.key == t->config.key_out);
    FUZZ_CHECK(!gre.has_seq || gre.seq == t->config.seq_start);
    FUZZ_CHECK(reference_load16(p) ==
               ((gre.has_checksum ? 0x8000U : 0U) | (gre.has_key ? 0x2000U : 0U) |
                (gre.has_seq ? 0x1000U : 0U)));
}

static void check_ttl(const tunnelcap_outer *policy, const uint8_t *p, const uint8_t *inner)
{
    uint32_t fixed = policy->ttl != 0 ? policy->ttl : 64;
    bool copied = policy->ttl == 0 || policy->ttl_mode == TUNNELCAP_TTL_UNIFORM;

    FUZZ_CHECK(reference_ttl(p) == (copied && inner ? reference_ttl(inner) : fixed));
}

/* Policy fields of the outer IP header; `inner` is the inner IP header, perhaps in an Ethernet
 * frame, or NULL. */
static void check_policy(const tunnelcap_outer *policy, const uint8_t *p, const uint8_t *inner,
                         bool framed)
{
    uint32_t tos = reference_tos(p);
    uint32_t inner_tos = inner ? reference_tos(inner) : 0;
    bool fixed = policy->dscp_mode == TUNNELCAP_DSCP_PIPE || !inner;
    bool df;

    FUZZ_CHECK(tos >> 2 == (fixed ? policy->dscp : inner_tos >> 2));
    FUZZ_CHECK((tos & 3) == (policy->ecn_mode == TUNNELCAP_ECN_NORMAL ? inner_tos & 3 : 0));
    if (policy->local.family == TUNNELCAP_IPV6) {
        if (policy->flow_label_mode == TUNNELCAP_FLOW_LABEL_FIXED)
            FUZZ_CHECK((reference_load32(p) & 0xfffff) == policy->flow_label);
        check_ttl(policy, p, inner);
        return;
    }
    df = p[6] & 0x40;
    if (policy->df_mode != TUNNELCAP_DF_COPY)
        FUZZ_CHECK(df == (policy->df_mode == TUNNELCAP_DF_SET));
    else
        FUZZ_CHECK(df == (!inner || framed || inner[0] / 16 == 6 || (inner[6] & 0x40)));
    FUZZ_CHECK((reference_load16(p + 4) != 0) == (!df || policy->id_mode == TUNNELCAP_ID_ALWAYS));
    check_ttl(policy, p, inner);
}

/* Check an outer packet around `len` bytes. */
static void check_outer(const struct tunnels *t, const struct fuzz_packet *packet, uint32_t len,
                        uint32_t ip_at, int limit)
{
    struct reference_tunnel far_end = {.local = t->config.outer.remote,
                                       .remote = t->config.outer.local,
                                       .udp = !t->is_ipip && (t->config.flags & TUNNELCAP_GRE_UDP),
                                       .udp_zero_checksum =
                                           t->config.flags & TUNNELCAP_GRE_UDP_ZERO_CHECKSUM,
                                       .udp_port = TUNNELCAP_GRE_UDP_PORT};
    const uint8_t *p = fuzz_packet_start(packet);
    struct reference_outer outer;
    tunnelcap_peek_result peek = {.size = sizeof(peek)};
    uint32_t headroom = headroom_of(t) + extra_of(t, limit);

    FUZZ_CHECK(packet->pkt.off == packet->before.off - headroom);
    check_lengths(t, len, packet->pkt.len - extra_of(t, limit));
    if (t->config.outer.local.family == TUNNELCAP_IPV6)
        FUZZ_CHECK(reference_limit(p, packet->pkt.len) == (limit >= 0 ? limit - 1
                                                           : t->config.outer.encap_limit_mode
                                                               ? 4
                                                               : -1));
    FUZZ_CHECK(reference_outer_parse(&far_end, p, packet->pkt.len, NULL, &outer));
    FUZZ_CHECK(outer.end == packet->pkt.len);
    check_policy(&t->config.outer, p, ip_at == UINT32_MAX ? NULL : p + headroom + ip_at, ip_at > 0);
    FUZZ_CHECK(tunnelcap_peek(&packet->pkt, NULL, &peek) == TUNNELCAP_OK);
    FUZZ_CHECK(peek.payload == headroom);
    if (t->is_ipip) {
        FUZZ_CHECK(peek.kind == TUNNELCAP_KIND_IPIP && outer.begin == headroom);
    } else {
        FUZZ_CHECK(peek.kind == TUNNELCAP_KIND_GRE && outer.protocol == 47);
        check_gre_header(t, p + outer.begin, outer.end - outer.begin);
    }
}

static void check_returned(const struct fuzz_packet *packet, const uint8_t *inner, uint32_t len)
{
    FUZZ_CHECK(packet->pkt.len == len);
    FUZZ_CHECK(memcmp(fuzz_packet_start(packet), inner, len) == 0);
}

static bool whole_header(const uint8_t *p, size_t len)
{
    struct reference_ip ip;

    return reference_ip_parse(p, len, &ip);
}

/* Offset of the inner IP header, UINT32_MAX if there is none. In a frame, a header that is not
 * fit does not count: encapsulation wants it whole, decapsulation its fixed part. */
static uint32_t find_inner_ip(const uint8_t *inner, uint32_t len, uint32_t ethertype,
                              bool (*fit)(const uint8_t *p, size_t len))
{
    uint32_t at = ethertype == 0 ? 0 : reference_find_ip(inner, len, ethertype);

    return at != UINT32_MAX && fit(inner + at, len - at) ? at : UINT32_MAX;
}

/* Through the far end; `inner` is what went in, and becomes what must come out. */
static void check_decap(const struct choice *c, const struct tunnels *t, struct fuzz_packet *packet,
                        uint8_t *inner, uint32_t len, uint32_t ethertype)
{
    uint8_t *p = fuzz_packet_start(packet);
    uint32_t outer_tos = reference_tos(p);
    uint32_t ip_at = find_inner_ip(inner, len, ethertype, reference_header_sane);
    uint32_t tos = ip_at != UINT32_MAX ? reference_tos(inner + ip_at) : 0;
    uint32_t ttl = reference_ttl(p);
    int ecn;

    if (c->transit & TRANSIT_MARKS) {
        outer_tos = (outer_tos & 0xfc) | (c->transit & TRANSIT_ECN);
        ttl -= ttl < c->transit >> TRANSIT_HOPS_AT ? ttl : c->transit >> TRANSIT_HOPS_AT;
        reference_set_tos(p, outer_tos);
        reference_set_ttl(p, ttl);
    }
    fuzz_packet_snapshot(packet);
    if (t->is_ipip)
        tunnelcap_ipip_decap(t->far_ipip, &packet->pkt, NULL, 0, 1);
    else
        tunnelcap_gre_decap(t->far_gre, &packet->pkt, NULL, 0, NULL, 1);

    ecn = reference_ecn(tos, outer_tos);
    if (ip_at != UINT32_MAX && ecn < 0) {
        FUZZ_CHECK(packet->pkt.status == TUNNELCAP_E_ECN);
        fuzz_packet_check_unchanged(packet);
        return;
    }
    FUZZ_CHECK(packet->pkt.status == TUNNELCAP_OK || packet->pkt.status == TUNNELCAP_KEEPALIVE);
    if (ip_at != UINT32_MAX) {
        bool uniform = t->config.outer.dscp_mode == TUNNELCAP_DSCP_UNIFORM;
        uint32_t want = ((uniform ? outer_tos : tos) & 0xfc) | (uint32_t)ecn;

        FUZZ_CHECK(reference_sum(fuzz_packet_start(packet) + ip_at, 20, 0) ==
                       reference_sum(inner + ip_at, 20, 0) ||
                   inner[ip_at] / 16 == 6);
        reference_set_tos(inner + ip_at, want);
        if (t->config.outer.ttl_mode == TUNNELCAP_TTL_UNIFORM && ttl < reference_ttl(inner + ip_at))
            reference_set_ttl(inner + ip_at, ttl);
        /* A checksum of zero has two forms. */
        if (inner[ip_at] / 16 == 4)
            memcpy(inner + ip_at + 10, fuzz_packet_start(packet) + ip_at + 10, 2);
    }
    check_returned(packet, inner, len);
}

/* What is sent in which form: the EtherType, 0 for IP by its version. */
static uint32_t choose_ethertype(const struct choice *c, const struct tunnels *t)
{
    if (!t->is_ipip && (c->options & OPTION_ETHERNET))
        return TUNNELCAP_ETHERTYPE_ETHERNET;
    return t->is_ipip ? 0 : t->config.protocol;
}

/* The bytes that are to be carried of an inner packet: IP without the padding behind it. 0 if
 * it is IP and no good. */
static uint32_t carried(const uint8_t *inner, uint32_t len, uint32_t ethertype)
{
    struct reference_ip ip;

    if (ethertype != 0)
        return len;
    return reference_ip_parse(inner, len, &ip) && ip.end <= len ? ip.end : 0;
}

/* A good packet with room around it has no reason to be refused. */
static void check_refused(const struct tunnels *t, const struct fuzz_packet *packet,
                          uint32_t ethertype)
{
    const uint8_t *inner = packet->copy + packet->before.off;
    uint32_t len = carried(inner, packet->before.len, ethertype);
    int limit = limit_of(t, inner, packet->before.len, ethertype);
    uint32_t need = headroom_of(t) + extra_of(t, limit);

    fuzz_check_status(packet->pkt.status, encap_refusals);
    fuzz_packet_check_unchanged(packet);
    if (packet->pkt.status == TUNNELCAP_E_ENCAP_LIMIT) {
        FUZZ_CHECK(limit == 0 && len > 0);
        return;
    }
    FUZZ_CHECK(packet->before.off < need || len + need > 65535 || (len == 0 && ethertype == 0));
}

static void run(const struct choice *c, const struct tunnels *t, struct fuzz_packet *packet)
{
    tunnelcap_lane *lane = fuzz_lane();
    tunnelcap_meta meta = {.flags = 0};
    uint32_t ethertype = choose_ethertype(c, t);
    bool partial = choose_partial(c, packet, &meta);
    uint8_t *inner = packet->copy + packet->before.off;
    uint32_t len = packet->before.len;
    uint32_t ip_at, accepted;
    int limit;

    if (ethertype == TUNNELCAP_ETHERTYPE_ETHERNET)
        meta.ethertype = TUNNELCAP_ETHERTYPE_ETHERNET;
    accepted = t->is_ipip ? tunnelcap_ipip_encap(t->ipip, lane, &packet->pkt, &meta, 0, 1)
                          : tunnelcap_gre_encap(t->gre, lane, &packet->pkt, &meta, 0, 1);
    FUZZ_CHECK(accepted == (packet->pkt.status == TUNNELCAP_OK));
    fuzz_packet_check_window(packet);
    tunnelcap_lane_free(lane);
    if (!accepted) {
        check_refused(t, packet, ethertype);
        return;
    }
    if (partial)
        finish_checksum(inner, len, &meta);
    limit = limit_of(t, inner, len, ethertype);
    FUZZ_CHECK(limit != 0);
    ip_at = find_inner_ip(inner, len, ethertype, whole_header);
    len = carried(inner, len, ethertype);
    FUZZ_CHECK(ethertype != 0 || len > 0);
    check_outer(t, packet, len, ip_at, limit);

    inner = malloc(len);
    FUZZ_CHECK(inner != NULL || len == 0);
    memcpy(inner, packet->copy + packet->before.off, len);
    check_decap(c, t, packet, inner, len, ethertype);
    free(inner);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct fuzz_input in = {bytes, len};
    struct choice choice = read_choice(&in);
    struct tunnels tunnels = make_tunnels(&choice);
    struct fuzz_packet packet;

    fuzz_packet_init(&packet, in.bytes, in.left, choice.head, 0);
    if (choice.options & OPTION_REPAIR)
        repair_inner(fuzz_packet_start(&packet), packet.pkt.len);
    fuzz_packet_snapshot(&packet);
    run(&choice, &tunnels, &packet);
    fuzz_packet_fini(&packet);
    free_tunnels(&tunnels);
    return 0;
}
