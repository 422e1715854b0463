/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "table.h"

/* What the table does for a tunnel of any kind: reading it, and what follows from it. */

enum { OLDEST = sizeof(tunnelcap_tunnel) };
enum { MTU_MIN = 68, MTU_MAX = 65535, LINK_MTU = 1500 };
enum { UNKNOWN_MTU = 1280 }; /* while nothing tells: what IPv6 needs (RFC 8200 5) */
enum { FLOOR_MIN = 68, FLOOR_MAX = 1280 };

/* Flags that a caller may set; the default ones among them. */
enum {
    FLAGS_DEFAULT = TUNNELCAP_TUNNEL_CLAMP_ENCAP | TUNNELCAP_TUNNEL_CLAMP_DECAP |
                    TUNNELCAP_TUNNEL_LOOP_GUARD | TUNNELCAP_TUNNEL_ICMP |
                    TUNNELCAP_TUNNEL_ANSWER_ECHO,
    FLAGS_ALL = FLAGS_DEFAULT | TUNNELCAP_TUNNEL_CLEAR_DF | TUNNELCAP_TUNNEL_TTL_ENCAP |
                TUNNELCAP_TUNNEL_TTL_DECAP | TUNNELCAP_TUNNEL_REASSEMBLE |
                TUNNELCAP_TUNNEL_ANTI_SPOOF | TUNNELCAP_TUNNEL_MARTIANS
};

static void set_defaults(tunnelcap_tunnel *own)
{
    memset(own, 0, sizeof(*own));
    own->size = sizeof(*own);
    own->flags = FLAGS_DEFAULT;
    own->icmp_rate = 100;
    own->pmtu_mode = TUNNELCAP_PMTU_LEARN;
}

int32_t tunnelcap_tunnel_init(tunnelcap_tunnel *tunnel, uint32_t size)
{
    tunnelcap_tunnel own;

    set_defaults(&own);
    return tunnelcap_i_struct_init(tunnel, size, &own, sizeof(own), OLDEST);
}

/* 1 if an address is none, or one of a family. */
static uint32_t address_ok(const tunnelcap_addr *a, uint8_t family)
{
    size_t used = a->family == TUNNELCAP_IPV4 ? 4 : 16;

    if (a->family == 0)
        return tunnelcap_i_is_zero(a, sizeof(*a));
    return a->family == family && !tunnelcap_i_is_zero(a->bytes, used) &&
           tunnelcap_i_is_zero(a->bytes + used, sizeof(a->bytes) - used) &&
           tunnelcap_i_is_zero(a->reserved, sizeof(a->reserved)) &&
           (family == TUNNELCAP_IPV4 ? a->bytes[0] < 224 : a->bytes[0] != 0xff);
}

static int32_t check_addresses(const tunnelcap_tunnel *t)
{
    const tunnelcap_addr *from =
        t->probe.family == TUNNELCAP_IPV4 ? &t->interface4 : &t->interface6;

    if (!address_ok(&t->interface4, TUNNELCAP_IPV4) ||
        !address_ok(&t->interface6, TUNNELCAP_IPV6) ||
        (!address_ok(&t->probe, TUNNELCAP_IPV4) && !address_ok(&t->probe, TUNNELCAP_IPV6)))
        return TUNNELCAP_E_ADDRESS;
    if (t->probe.family == 0)
        return t->pmtu_mode == TUNNELCAP_PMTU_PROBE ? TUNNELCAP_E_ADDRESS : TUNNELCAP_OK;
    return from->family == 0 ? TUNNELCAP_E_ADDRESS : TUNNELCAP_OK;
}

int32_t tunnelcap_i_policy_read(tunnelcap_tunnel *own, const tunnelcap_tunnel *tunnel)
{
    int32_t status;

    set_defaults(own);
    if (tunnel == NULL)
        return TUNNELCAP_OK;
    status = tunnelcap_i_struct_read(own, sizeof(*own), OLDEST, tunnel);
    if (status != TUNNELCAP_OK)
        return status;
    if ((own->flags & ~(uint32_t)FLAGS_ALL) || ((own->flags & TUNNELCAP_TUNNEL_CLEAR_DF) &&
                                                own->fragment_mode == TUNNELCAP_FRAGMENT_REFUSE))
        return TUNNELCAP_E_FLAGS;
    if (!tunnelcap_i_is_zero(own->reserved, sizeof(own->reserved)))
        return TUNNELCAP_E_RESERVED;
    if (own->fragment_mode > TUNNELCAP_FRAGMENT_REFUSE || own->pmtu_mode > TUNNELCAP_PMTU_PROBE)
        return TUNNELCAP_E_MODE;
    if ((own->mtu != 0 && (own->mtu < MTU_MIN || own->mtu > MTU_MAX)) ||
        (own->path_mtu != 0 && (own->path_mtu < MTU_MIN || own->path_mtu > TUNNELCAP_I_IPV6_MAX)) ||
        (own->path_floor != 0 && (own->path_floor < FLOOR_MIN || own->path_floor > FLOOR_MAX)))
        return TUNNELCAP_E_RANGE;
    return check_addresses(own);
}

/* GRE in ESP: the IP header that stays in front. */
static uint32_t ip_header(const tunnelcap_i_outer *outer)
{
    return outer->family == TUNNELCAP_IPV4 ? TUNNELCAP_I_IPV4_HEADER : TUNNELCAP_I_IPV6_HEADER;
}

static uint32_t gre_esp_fits(const tunnelcap_i_tunnel *tunnel, uint32_t path_mtu)
{
    const tunnelcap_i_outer *outer = &tunnel->as.gre.outer;
    const tunnelcap_esp *sa = tunnel->sa;
    uint32_t clear = ip_header(outer);
    uint32_t taken = clear + sa->udp_len + sa->head_len + sa->facts.icv_len;
    uint32_t less = outer->header_len - clear + TUNNELCAP_I_ESP_TRAILER;
    uint32_t text;

    path_mtu = path_mtu < outer->max ? path_mtu : outer->max;
    text = path_mtu > taken ? (path_mtu - taken) & ~(sa->facts.align - 1u) : 0;
    return text > less ? text - less : 0;
}

static uint32_t gre_esp_len(const tunnelcap_i_tunnel *tunnel, uint32_t inner_len)
{
    const tunnelcap_i_outer *outer = &tunnel->as.gre.outer;
    uint32_t clear = ip_header(outer);
    uint32_t len = tunnelcap_esp_encap_len(tunnel->sa, outer->header_len - clear + inner_len);

    return len == 0 || len > outer->max - clear ? 0 : clear + len;
}

uint32_t tunnelcap_i_tunnel_fits(const tunnelcap_i_tunnel *tunnel, uint32_t path_mtu)
{
    if (tunnelcap_i_is_gre_esp(tunnel))
        return tunnel->sa == NULL ? (uint32_t)UNKNOWN_MTU : gre_esp_fits(tunnel, path_mtu);
    if (tunnel->key.kind != TUNNELCAP_KIND_ESP)
        return tunnelcap_i_outer_inner_mtu(tunnelcap_i_tunnel_outer(tunnel), path_mtu);
    return tunnelcap_esp_inner_mtu(tunnel->sa, path_mtu);
}

uint32_t tunnelcap_i_tunnel_len(const tunnelcap_i_tunnel *tunnel, uint32_t inner_len)
{
    if (tunnel->sa != NULL && tunnelcap_i_is_gre_esp(tunnel))
        return gre_esp_len(tunnel, inner_len);
    if (tunnel->key.kind == TUNNELCAP_KIND_ESP)
        return tunnelcap_esp_encap_len(tunnel->sa, inner_len);
    return tunnelcap_i_outer_len(tunnelcap_i_tunnel_outer(tunnel), inner_len);
}

uint32_t tunnelcap_i_tunnel_mtu(const tunnelcap_i_tunnel *tunnel, uint32_t path_mtu)
{
    uint32_t fits = tunnelcap_i_tunnel_fits(tunnel, path_mtu);

    return fits < tunnel->mtu_max ? fits : tunnel->mtu_max;
}

void tunnelcap_i_tunnel_mss(const tunnelcap_i_tunnel *tunnel, uint32_t mtu, tunnelcap_i_mss *mss)
{
    tunnelcap_mss_config fits;

    tunnelcap_mss_config_init(&fits, sizeof(fits), mtu);
    *mss = tunnel->mss;
    mss->max = mtu;
    if (mss->limit[0] > fits.limit4)
        mss->limit[0] = fits.limit4;
    if (mss->limit[1] > fits.limit6)
        mss->limit[1] = fits.limit6;
    for (uint32_t i = 0; i < 2; i++) {
        if (mss->insert[i] > mss->limit[i])
            mss->insert[i] = mss->limit[i];
    }
}

/* What the path is taken to carry before anything is known of it: what a given inner MTU needs,
 * and no less than links do. */
static uint32_t link_mtu(const tunnelcap_i_tunnel *slot, const tunnelcap_tunnel *policy)
{
    const tunnelcap_i_outer *outer = tunnelcap_i_tunnel_outer(slot);
    uint32_t link = policy->path_mtu != 0 ? policy->path_mtu : LINK_MTU;
    uint32_t need = 0;

    if (outer == NULL)
        return policy->path_mtu;
    if (policy->path_mtu == 0 && policy->mtu != 0) {
        need = tunnelcap_i_tunnel_len(slot, policy->mtu);
        if (need == 0) /* more than IP can carry */
            need = outer->max;
    }
    link = need > link ? need : link;
    return link < outer->max ? link : outer->max;
}

/* Go on with the path of the tunnel that this one replaces, if that is the same, or begin one. */
static int32_t set_path(tunnelcap_i_tunnel *slot, const tunnelcap_tunnel *policy,
                        const tunnelcap_i_tunnel *before, tunnelcap_i_path *fresh, uint64_t secret)
{
    const tunnelcap_i_outer *outer = tunnelcap_i_tunnel_outer(slot);
    tunnelcap_i_path_key key;
    tunnelcap_pmtu_config config;

    slot->path = NULL;
    if (outer == NULL || policy->pmtu_mode == TUNNELCAP_PMTU_FIXED)
        return TUNNELCAP_OK;
    memset(&key, 0, sizeof(key));
    memcpy(key.match, outer->match, sizeof(key.match));
    key.outer_vrf = policy->outer_vrf;
    key.link = slot->link;
    key.floor = outer->family == TUNNELCAP_IPV4 ? policy->path_floor : 0;
    key.family = outer->family;
    key.mode = policy->pmtu_mode;
    if (before != NULL && before->path != NULL &&
        memcmp(&before->path->key, &key, sizeof(key)) == 0) {
        slot->path = before->path;
        return TUNNELCAP_OK;
    }
    if (fresh == NULL)
        return TUNNELCAP_E_FULL;
    tunnelcap_pmtu_config_init(&config, sizeof(config));
    config.link_mtu = key.link;
    config.floor = key.floor;
    config.family = key.family;
    config.mode = key.mode;
    slot->path = fresh;
    fresh->key = key;
    fresh->seeded = 0;
    return tunnelcap_i_pmtu_place(&fresh->pmtu, &config, secret);
}

static void set_mss(tunnelcap_i_tunnel *slot, const tunnelcap_tunnel *policy)
{
    tunnelcap_mss_config mss;

    tunnelcap_mss_config_init(&mss, sizeof(mss), slot->mtu);
    if (policy->limit4 != 0)
        mss.limit4 = policy->limit4;
    if (policy->limit6 != 0)
        mss.limit6 = policy->limit6;
    mss.insert4 = policy->insert4;
    mss.insert6 = policy->insert6;
    tunnelcap_i_mss_read(&slot->mss, &mss);
    slot->mss.max = slot->mtu;
}

static uint32_t headroom(const tunnelcap_i_tunnel *slot)
{
    uint32_t bytes = tunnelcap_esp_headroom(slot->sa);

    if (slot->key.kind != TUNNELCAP_KIND_ESP)
        bytes += tunnelcap_i_tunnel_outer(slot)->header_len;
    if ((slot->flags & TUNNELCAP_TUNNEL_CLAMP_ENCAP) &&
        (slot->mss.insert[0] != 0 || slot->mss.insert[1] != 0))
        bytes += TUNNELCAP_I_MSS_INSERT;
    return bytes;
}

/* The inner MTU to begin with. */
static uint32_t first_mtu(const tunnelcap_i_tunnel *slot, const tunnelcap_tunnel *policy)
{
    if (slot->sa != NULL && tunnelcap_i_needs_sa(slot)) /* the path to the far end is not known */
        return tunnelcap_i_tunnel_mtu(slot, policy->path_mtu != 0 ? policy->path_mtu : LINK_MTU);
    if (slot->sa != NULL || !tunnelcap_i_has_sas(slot))
        return tunnelcap_i_tunnel_mtu(slot, slot->link);
    return policy->mtu != 0 ? policy->mtu : (uint32_t)UNKNOWN_MTU;
}

int32_t tunnelcap_i_policy_set(tunnelcap_i_tunnel *slot, const tunnelcap_tunnel *policy,
                               const tunnelcap_i_tunnel *before, tunnelcap_i_path *fresh,
                               uint64_t secret)
{
    slot->flags = policy->flags;
    slot->vrf = policy->vrf;
    slot->mtu_max = policy->mtu != 0 ? policy->mtu : MTU_MAX;
    slot->link = link_mtu(slot, policy);
    slot->mtu = first_mtu(slot, policy);
    slot->path_floor = (uint16_t)policy->path_floor;
    slot->given = (uint8_t)((policy->limit4 != 0 ? TUNNELCAP_I_GIVEN_LIMIT4 : 0) |
                            (policy->limit6 != 0 ? TUNNELCAP_I_GIVEN_LIMIT6 : 0) |
                            (policy->mtu != 0 ? TUNNELCAP_I_GIVEN_MTU : 0) |
                            (policy->path_mtu != 0 ? TUNNELCAP_I_GIVEN_PATH_MTU : 0) |
                            policy->pmtu_mode << TUNNELCAP_I_GIVEN_MODE_AT);
    slot->fragment_mode = policy->fragment_mode;
    slot->icmp_rate = policy->icmp_rate;
    slot->interface4 = policy->interface4;
    slot->interface6 = policy->interface6;
    slot->probe = policy->probe;
    set_mss(slot, policy);
    slot->headroom = headroom(slot);
    return set_path(slot, policy, before, fresh, secret);
}

void tunnelcap_i_policy_recall(const tunnelcap_i_tunnel *slot, tunnelcap_tunnel *policy)
{
    set_defaults(policy);
    policy->flags = slot->flags;
    policy->vrf = slot->vrf;
    policy->outer_vrf = slot->key.outer_vrf;
    policy->mtu = slot->given & TUNNELCAP_I_GIVEN_MTU ? slot->mtu_max : 0;
    policy->limit4 = slot->given & TUNNELCAP_I_GIVEN_LIMIT4 ? slot->mss.limit[0] : 0;
    policy->limit6 = slot->given & TUNNELCAP_I_GIVEN_LIMIT6 ? slot->mss.limit[1] : 0;
    policy->insert4 = slot->mss.insert[0]; /* at most the floors, which no limit is below */
    policy->insert6 = slot->mss.insert[1];
    policy->path_mtu = slot->given & TUNNELCAP_I_GIVEN_PATH_MTU ? slot->link : 0;
    policy->path_floor = slot->path_floor;
    policy->icmp_rate = slot->icmp_rate;
    policy->fragment_mode = slot->fragment_mode;
    policy->pmtu_mode = (uint8_t)(slot->given >> TUNNELCAP_I_GIVEN_MODE_AT);
    policy->interface4 = slot->interface4;
    policy->interface6 = slot->interface6;
    policy->probe = slot->probe;
}
