/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* One configuration beside another. */
#include "address.h"
#include "config.h"

#include <stdlib.h>
#include <string.h>

const config_tunnel *config_find_id(const config *conf, uint64_t id)
{
    for (size_t i = 0; i < conf->tunnel_count; i++)
        if (conf->tunnels[i].id == id)
            return &conf->tunnels[i];
    return NULL;
}

static const config_tunnel *find_twin(const config *running, const config_tunnel *tunnel)
{
    const config_tunnel *twin = config_find(running, tunnel->name);

    return twin != NULL && twin->kind == tunnel->kind ? twin : NULL;
}

/* The next id after this one that is not taken; 0 if there is none. */
static uint64_t next_free(const bool *taken, uint64_t id, uint64_t most)
{
    while (++id <= most)
        if (!taken[id])
            return id;
    return 0;
}

/* `taken` has a place for each id. */
static bool adopt(config *conf, const config *running, uint64_t most, bool *taken)
{
    uint64_t id = 0;

    for (size_t i = 0; i < running->tunnel_count; i++)
        taken[running->tunnels[i].id] = true;
    for (size_t i = 0; i < conf->tunnel_count; i++) {
        const config_tunnel *twin = find_twin(running, &conf->tunnels[i]);
        if (twin == NULL && (id = next_free(taken, id, most)) == 0)
            return false;
        conf->tunnels[i].id = twin != NULL ? twin->id : id;
    }
    for (size_t i = 0; i < conf->route_count; i++) {
        tunnelcap_route *route = &conf->routes[i].route;
        route->tunnel = conf->tunnels[route->tunnel - 1].id;
    }
    return true;
}

bool config_adopt(config *conf, const config *running, uint64_t most)
{
    bool *taken = calloc(most + 1, sizeof *taken);
    bool done = taken != NULL && adopt(conf, running, most, taken);

    free(taken);
    return done;
}

/* The library's structs have no padding and no reserved field that is not zero. */
bool config_same_tunnel(const config_tunnel *a, const config_tunnel *b)
{
    if (a->kind != b->kind || memcmp(&a->policy, &b->policy, sizeof a->policy) != 0)
        return false;
    if (a->kind == TUNNELCAP_KIND_GRE)
        return memcmp(&a->encap.gre, &b->encap.gre, sizeof a->encap.gre) == 0;
    if (a->kind == TUNNELCAP_KIND_IPIP)
        return memcmp(&a->encap.ipip, &b->encap.ipip, sizeof a->encap.ipip) == 0;
    return memcmp(&a->encap.esp.outer, &b->encap.esp.outer, sizeof a->encap.esp.outer) == 0;
}

const config_route *config_find_route(const config *conf, const tunnelcap_route *route)
{
    for (size_t i = 0; i < conf->route_count; i++) {
        const tunnelcap_route *other = &conf->routes[i].route;
        if (other->tunnel == route->tunnel && other->vrf == route->vrf &&
            other->prefix_len == route->prefix_len && address_equal(&other->prefix, &route->prefix))
            return &conf->routes[i];
    }
    return NULL;
}
