/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* From a configuration to the library's table, whose refusals become mistakes of the file. */
#include "config_parts.h"

enum {
    IPV6_MIN_MTU = 1280,
    PROVISIONAL_MTU =
        1400, /* of IPsec tunnels: what fits depends on an SA, and there is none yet */
    MOST_SAS_EACH =
        130, /* of an IPsec tunnel: 128 inbound, and two outbound while one is replaced */
    FEWEST_SAS = 1024
};

static void refused(reader *rd, const char *path, int32_t status)
{
    reader_mistake(rd, path, "%s (%s)", tunnelcap_status_text(status),
                   tunnelcap_status_name(status));
}

int32_t config_set_tunnel(tunnelcap_table *table, const config_tunnel *tunnel)
{
    tunnelcap_tunnel policy = tunnel->policy;

    if (tunnel->kind == TUNNELCAP_KIND_GRE)
        return tunnelcap_table_set_gre(table, tunnel->id, &policy, &tunnel->encap.gre);
    if (tunnel->kind == TUNNELCAP_KIND_IPIP)
        return tunnelcap_table_set_ipip(table, tunnel->id, &policy, &tunnel->encap.ipip);
    if (policy.mtu == 0)
        policy.mtu = PROVISIONAL_MTU;
    return tunnelcap_table_set_esp(table, tunnel->id, &policy);
}

static void fill(tunnelcap_table *table, const config *conf, reader *rd)
{
    unsigned before = rd->mistakes;
    int32_t status = tunnelcap_table_begin(table);

    for (size_t i = 0; i < conf->tunnel_count; i++) {
        status = config_set_tunnel(table, &conf->tunnels[i]);
        if (status != TUNNELCAP_OK)
            refused(rd, conf->tunnels[i].path, status);
    }
    /* Routes into a tunnel that was refused would only repeat the same news. */
    for (size_t i = 0; rd->mistakes == before && i < conf->route_count; i++) {
        status = tunnelcap_table_set_route(table, &conf->routes[i].route);
        if (status != TUNNELCAP_OK)
            refused(rd, conf->routes[i].path, status);
    }
    status = tunnelcap_table_commit(table, NULL);
    if (status != TUNNELCAP_OK)
        refused(rd, "", status);
}

static bool carries_ipv6(const config *conf)
{
    for (size_t i = 0; i < conf->route_count; i++)
        if (conf->routes[i].route.prefix.family == TUNNELCAP_IPV6)
            return true;
    return false;
}

/* An MTU that is in range by itself can still be too large for the tunnel's headers, or too
 * small for IPv6, which needs 1280 on every link (RFC 8200 section 5). */
static void check_mtu(const tunnelcap_table *table, const config *conf, reader *rd)
{
    bool ipv6 = carries_ipv6(conf);
    char path[CONFIG_PATH_SIZE + 4];
    tunnelcap_tunnel_info info;

    for (size_t i = 0; i < conf->tunnel_count; i++) {
        const config_tunnel *tunnel = &conf->tunnels[i];
        if (tunnelcap_table_get_info(table, tunnel->id, &info, sizeof info) != TUNNELCAP_OK)
            continue;
        snprintf(path, sizeof path, "%s.mtu", tunnel->path);
        if (tunnel->policy.mtu > info.inner_mtu)
            reader_mistake(rd, path, "%u is above %u, the most that fits an outer packet",
                           tunnel->policy.mtu, info.inner_mtu);
        if (ipv6 && info.inner_mtu < IPV6_MIN_MTU)
            reader_mistake(rd, path, "%u is below %u, which IPv6 needs", info.inner_mtu,
                           IPV6_MIN_MTU);
    }
}

tunnelcap_table *config_make_table(const config *conf, const uint8_t *seed, const config_room *room,
                                   reader *rd)
{
    tunnelcap_table_config capacity;
    tunnelcap_table *table = NULL;
    unsigned before = rd->mistakes;

    tunnelcap_table_config_init(&capacity, sizeof capacity);
    capacity.tunnels = room->tunnels;
    capacity.routes = room->routes;
    capacity.lanes = room->lanes;
    capacity.watched = room->tunnels;
    capacity.histories = room->histories;
    if (conf->rendezvous)
        capacity.flags |= TUNNELCAP_TABLE_RENDEZVOUS;
    if (capacity.tunnels > FEWEST_SAS / MOST_SAS_EACH)
        capacity.sas = capacity.tunnels * MOST_SAS_EACH;
    int32_t status = tunnelcap_table_new(&capacity, seed, NULL, &table);
    if (status != TUNNELCAP_OK) {
        refused(rd, "", status);
        return NULL;
    }
    fill(table, conf, rd);
    check_mtu(table, conf, rd);
    if (rd->mistakes == before)
        return table;
    tunnelcap_table_free(table);
    return NULL;
}
