/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "deploy.h"

#include <err.h>

enum { MOST_TUNNELS = 1 << 20, TCP4_HEADERS = 40, TCP6_HEADERS = 60 };

static uint16_t limit_of(uint32_t inner_mtu, uint32_t headers, uint32_t floor)
{
    return (uint16_t)(inner_mtu < floor + headers ? floor : inner_mtu - headers);
}

tunnelcap_tunnel deploy_policy(uint32_t flags, uint32_t inner_mtu)
{
    tunnelcap_tunnel policy;

    tunnelcap_tunnel_init(&policy, sizeof policy);
    policy.flags = flags;
    policy.limit4 = limit_of(inner_mtu, TCP4_HEADERS, TUNNELCAP_MSS_FLOOR4);
    policy.limit6 = limit_of(inner_mtu, TCP6_HEADERS, TUNNELCAP_MSS_FLOOR6);
    return policy;
}

static tunnelcap_ipip_config ipip_of(const struct tunnel_identity *identity)
{
    tunnelcap_ipip_config config;

    tunnelcap_ipip_config_init(&config, sizeof config);
    config.outer.local = identity->local;
    config.outer.remote = identity->remote;
    return config;
}

static tunnelcap_gre_config gre_of(const struct tunnel_identity *identity)
{
    tunnelcap_gre_config config;

    tunnelcap_gre_config_init(&config, sizeof config);
    config.outer.local = identity->local;
    config.outer.remote = identity->remote;
    if (identity->has_key) {
        config.flags |= TUNNELCAP_GRE_KEY_IN;
        config.key_in = identity->key;
    }
    if (identity->udp_port) {
        config.flags |= TUNNELCAP_GRE_UDP | TUNNELCAP_GRE_UDP_ZERO_CHECKSUM;
        config.udp_port = identity->udp_port;
    }
    return config;
}

/* The far end is taken to send what it would receive: the same key, checksums, numbers. */
static uint32_t inner_mtu_of_gre(const struct tunnel *tunnel)
{
    tunnelcap_gre_config config = gre_of(&tunnel->identity);
    tunnelcap_gre *gre = NULL;
    uint32_t mtu = 0;

    if (tunnel->identity.has_key)
        config.flags |= TUNNELCAP_GRE_KEY_OUT;
    if (tunnel->seen & TUNNELCAP_PEEK_CHECKSUM)
        config.flags |= TUNNELCAP_GRE_CHECKSUM;
    if (tunnel->seen & TUNNELCAP_PEEK_SEQUENCE)
        config.flags |= TUNNELCAP_GRE_SEQUENCE;
    if (tunnelcap_gre_new(&config, NULL, &gre) >= 0)
        mtu = tunnelcap_gre_inner_mtu(gre, DEPLOY_PATH_MTU);
    tunnelcap_gre_free(gre);
    return mtu;
}

static uint32_t inner_mtu_of_ipip(const struct tunnel *tunnel)
{
    tunnelcap_ipip_config config = ipip_of(&tunnel->identity);
    tunnelcap_ipip *ipip = NULL;
    uint32_t mtu = 0;

    if (tunnelcap_ipip_new(&config, NULL, &ipip) >= 0)
        mtu = tunnelcap_ipip_inner_mtu(ipip, DEPLOY_PATH_MTU);
    tunnelcap_ipip_free(ipip);
    return mtu;
}

/* Enter a GRE or IP-in-IP tunnel into a table in change. */
static int32_t deploy(struct plane *plane, uint64_t id, struct tunnel *tunnel, uint32_t flags)
{
    tunnelcap_tunnel policy;
    tunnelcap_ipip_config ipip;
    tunnelcap_gre_config gre;

    tunnel->inner_mtu = tunnel->identity.kind == TUNNELCAP_KIND_IPIP ? inner_mtu_of_ipip(tunnel)
                                                                     : inner_mtu_of_gre(tunnel);
    policy = deploy_policy(flags, tunnel->inner_mtu);
    if (tunnel->identity.kind == TUNNELCAP_KIND_IPIP) {
        ipip = ipip_of(&tunnel->identity);
        return tunnelcap_table_set_ipip(plane->table, id, &policy, &ipip);
    }
    gre = gre_of(&tunnel->identity);
    return tunnelcap_table_set_gre(plane->table, id, &policy, &gre);
}

/* What becomes of the packets of a tunnel that is ESP; the table has the SAs already. */
static int32_t esp_status(const struct keyring *ring, struct tunnel *tunnel)
{
    if (!ring->file)
        return TUNNELCAP_E_UNSUPPORTED;
    if (!tunnel->key)
        return TUNNELCAP_E_NO_TUNNEL;
    tunnel->inner_mtu = tunnel->key->inner_mtu;
    return tunnel->key->status;
}

bool deploy_all(struct plane *plane, const struct tunnel_set *set, struct keyring *ring,
                uint32_t flags)
{
    uint32_t sas = keyring_seen(ring);
    uint64_t id = 0;

    if (set->count > MOST_TUNNELS) {
        warnx("%u tunnels, at most %d can be carried", set->count, MOST_TUNNELS);
        return false;
    }
    /* SAs are no more than the tunnels that have shown them. */
    if (!plane_open(plane, set->count, sas, ring->crypto))
        return false;
    keyring_deploy(ring, plane, set->count, flags);
    for (struct tunnel *tunnel = set->first; tunnel; tunnel = tunnel->next)
        tunnel->status = tunnel->identity.kind == TUNNELCAP_KIND_ESP
                             ? esp_status(ring, tunnel)
                             : deploy(plane, ++id, tunnel, flags);
    return plane_start(plane);
}
