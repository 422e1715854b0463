/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * encap: every IP packet of the capture goes into one tunnel.
 */
#include "description.h"
#include "verbs.h"

#include <err.h>

/* Name of the one tunnel in the table. */
static const uint64_t tunnel_id = 1;

/* Take the tunnel from the command line or from a configuration file. */
static bool find_tunnel(const struct args *args, config_tunnel *tunnel)
{
    const config_tunnel *found;
    config *conf;

    if (!args->config)
        return description_parse(args->tunnel, tunnel);
    conf = config_load(args->config, stderr);
    if (!conf)
        return false;
    found = config_find(conf, args->tunnel);
    if (found)
        *tunnel = *found;
    else
        warnx("%s: no tunnel \"%s\"", args->config, args->tunnel);
    config_free(conf);
    return found != NULL;
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
    tunnel->policy.vrf = 0;
    if (!tunnel->policy.mtu)
        tunnel->policy.mtu = UINT16_MAX;
    if (!plane_open(plane, 1))
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

static bool carry_batch(struct job *job, struct plane *plane)
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
    if (!plane_carry(plane, tunnelcap_table_encap, pkts, count,
                     source_time_ns(&job->source, frames[0])))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        report_count(&job->report, plane->results[i].status);
        if (plane->results[i].action == TUNNELCAP_DO_SEND &&
            !sink_write(&job->sink, frames[i]->header.ts, pkts[i].buf + pkts[i].off, pkts[i].len,
                        pkts[i].len))
            return false;
    }
    return true;
}

static bool carry_all(struct job *job, struct plane *plane)
{
    while (job_read(job)) {
        if (!job->batch.count)
            return true;
        if (!carry_batch(job, plane))
            return false;
    }
    return false;
}

/* Report the tunnel with what the library counted for it. */
static bool report_tunnel(struct job *job, const struct plane *plane, const config_tunnel *tunnel)
{
    const tunnelcap_gre_config *gre =
        tunnel->kind == TUNNELCAP_KIND_GRE ? &tunnel->encap.gre : NULL;
    struct tunnel_identity identity = {
        .local = config_outer(tunnel)->local,
        .remote = config_outer(tunnel)->remote,
        .kind = tunnel->kind,
        .has_key = gre && gre->flags & TUNNELCAP_GRE_KEY_OUT,
        .key = gre && gre->flags & TUNNELCAP_GRE_KEY_OUT ? gre->key_out : 0,
        .udp_port = gre && gre->flags & TUNNELCAP_GRE_UDP ? gre->udp_port : 0,
    };
    struct tunnel *row = tunnel_set_add(&job->report.tunnels, &identity);
    tunnelcap_stats stats;

    if (!row)
        return false;
    tunnelcap_table_get_stats(plane->table, tunnel_id, &stats, sizeof stats);
    row->packets = stats.encap.packets;
    row->bytes = stats.encap.outer_bytes;
    return true;
}

bool verb_encap(struct job *job)
{
    struct plane plane = {0};
    config_tunnel tunnel;
    bool carried = find_tunnel(&job->args, &tunnel) && build_table(&plane, &job->args, &tunnel) &&
                   job_open_sink(job, DLT_RAW) && carry_all(job, &plane) &&
                   report_tunnel(job, &plane, &tunnel);

    plane_close(&plane);
    return carried;
}
