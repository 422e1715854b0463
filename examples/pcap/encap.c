/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * encap: every IP packet of the capture goes into one tunnel.
 */
#include "description.h"
#include "outbound.h"
#include "verbs.h"

#include <err.h>

/* Name of the one tunnel in the table. */
static const uint64_t tunnel_id = 1;

/* What packets go into: a table with one tunnel, or an SA, which may be in transport mode. */
struct way {
    config_tunnel tunnel;
    struct plane plane;
    struct outbound sa; /* in use if there is a key file */
};

static bool find_described(const char *text, config_tunnel *tunnel)
{
    struct description description;

    if (!description_parse(text, &description))
        return false;
    if (description.kind == TUNNELCAP_KIND_ESP) {
        warnx("--tunnel esp: --keys is missing");
        return false;
    }
    *tunnel = description.tunnel;
    return true;
}

/* Take the tunnel from the command line or from a configuration file. */
static bool find_tunnel(const struct args *args, config_tunnel *tunnel)
{
    const config_tunnel *found;
    config *conf;
    bool usable;

    if (!args->config)
        return find_described(args->tunnel, tunnel);
    conf = config_load(args->config, stderr);
    if (!conf)
        return false;
    found = config_find(conf, args->tunnel);
    if (!found)
        warnx("%s: no tunnel \"%s\"", args->config, args->tunnel);
    else if (found->kind == TUNNELCAP_KIND_ESP)
        warnx("%s: %s: is an IPsec tunnel: name its keys with --keys", args->config, found->path);
    else
        *tunnel = *found;
    usable = found && found->kind != TUNNELCAP_KIND_ESP;
    config_free(conf);
    return usable;
}

static bool add_default_routes(struct plane *plane)
{
    static const uint8_t families[] = {TUNNELCAP_IPV4, TUNNELCAP_IPV6};

    for (size_t i = 0; i < sizeof families; i++) {
        tunnelcap_route route;
        int32_t status;

        tunnelcap_route_init(&route, sizeof route);
        route.tunnel = tunnel_id;
        route.prefix.family = families[i];
        status = tunnelcap_table_set_route(plane->table, &route);
        if (status < 0) {
            warnx("default route: %s", tunnelcap_status_text(status));
            return false;
        }
    }
    return true;
}

static bool build_table(struct plane *plane, const struct args *args, config_tunnel *tunnel)
{
    int32_t status;

    /* Packets are to come out as they went in, and no path's MTU is known here. */
    tunnel->policy.flags = 0;
    tunnel->policy.fragment_mode = TUNNELCAP_FRAGMENT_REFUSE;
    tunnel->policy.vrf = 0;
    if (!tunnel->policy.mtu)
        tunnel->policy.mtu = UINT16_MAX;
    if (!plane_open(plane, 1, 0, NULL))
        return false;
    status =
        tunnel->kind == TUNNELCAP_KIND_GRE
            ? tunnelcap_table_set_gre(plane->table, tunnel_id, &tunnel->policy, &tunnel->encap.gre)
            : tunnelcap_table_set_ipip(plane->table, tunnel_id, &tunnel->policy,
                                       &tunnel->encap.ipip);
    if (status < 0) {
        warnx("--tunnel %s: %s", args->tunnel, tunnelcap_status_text(status));
        return false;
    }
    return add_default_routes(plane) && plane_start(plane);
}

static bool open_way(struct way *way, const struct args *args)
{
    if (args->keys)
        return outbound_open(&way->sa, args);
    return find_tunnel(args, &way->tunnel) && build_table(&way->plane, args, &way->tunnel);
}

/* Encapsulate packets; each gets its status. */
static bool go(struct way *way, tunnelcap_pkt *pkts, uint32_t count, uint64_t now_ns)
{
    if (way->sa.esp) {
        outbound_carry(&way->sa, pkts, count);
        return true;
    }
    if (!plane_carry(&way->plane, tunnelcap_table_encap, pkts, count, now_ns))
        return false;
    for (uint32_t i = 0; i < count; i++)
        pkts[i].status = way->plane.results[i].status;
    return true;
}

static bool carry_batch(struct job *job, struct way *way)
{
    tunnelcap_pkt pkts[SOURCE_BATCH];
    const struct frame *frames[SOURCE_BATCH];
    uint32_t count = 0;

    for (uint32_t i = 0; i < job->batch.count; i++) {
        if (!job->batch.frames[i].link.version)
            continue;
        pkts[count] = frame_packet(&job->batch.frames[i]);
        frames[count++] = &job->batch.frames[i];
    }
    if (!count)
        return true;
    if (!go(way, pkts, count, frames[0]->time_ns))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        summary_count(&job->summary, pkts[i].status);
        if (pkts[i].status >= 0 && !sink_write(&job->sink, frames[i]->header.ts,
                                               pkts[i].buf + pkts[i].off, pkts[i].len, pkts[i].len))
            return false;
    }
    return true;
}

static bool carry_all(struct job *job, struct way *way)
{
    while (job_read(job)) {
        if (!job->batch.count)
            return true;
        if (!carry_batch(job, way))
            return false;
    }
    return false;
}

static struct tunnel_identity identify(const config_tunnel *tunnel)
{
    const tunnelcap_gre_config *gre =
        tunnel->kind == TUNNELCAP_KIND_GRE ? &tunnel->encap.gre : NULL;

    return (struct tunnel_identity){
        .local = config_outer(tunnel)->local,
        .remote = config_outer(tunnel)->remote,
        .kind = tunnel->kind,
        .has_key = gre && gre->flags & TUNNELCAP_GRE_KEY_OUT,
        .key = gre && gre->flags & TUNNELCAP_GRE_KEY_OUT ? gre->key_out : 0,
        .udp_port = gre && gre->flags & TUNNELCAP_GRE_UDP ? gre->udp_port : 0,
    };
}

/* Report the tunnel with what was counted for it. */
static bool enter_tunnel(struct job *job, const struct way *way)
{
    bool by_sa = way->sa.esp != NULL;
    struct tunnel_identity identity = by_sa ? outbound_identify(&way->sa) : identify(&way->tunnel);
    struct tunnel *row = tunnel_set_add(&job->summary.tunnels, &identity);
    tunnelcap_stats stats;

    if (!row)
        return false;
    if (by_sa) {
        row->packets = way->sa.packets;
        row->bytes = way->sa.bytes;
        return true;
    }
    tunnelcap_table_get_stats(way->plane.table, tunnel_id, &stats, sizeof stats);
    row->packets = stats.encap.packets;
    row->bytes = stats.encap.outer_bytes;
    return true;
}

static bool write_esp_sa(const struct args *args, const struct way *way)
{
    return !args->write_esp_sa || keyring_write_esp_sa(&way->sa.ring, args->write_esp_sa);
}

bool verb_encap(struct job *job)
{
    struct way way = {0};
    bool carried = open_way(&way, &job->args) && job_open_sink(job, DLT_RAW) &&
                   carry_all(job, &way) && enter_tunnel(job, &way) &&
                   write_esp_sa(&job->args, &way);

    plane_close(&way.plane);
    outbound_close(&way.sa);
    return carried;
}
