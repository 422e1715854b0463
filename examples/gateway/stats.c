/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "stats.h"

#include "address.h"
#include "records.h"

enum { ACTIVE_MS = 30000, MOST_REASONS = 64 };

static void set_count(json_t *object, const char *key, uint64_t count)
{
    json_object_set_new(object, key, json_integer((json_int_t)count));
}

static json_t *reasons(const gateway *g, uint64_t id, uint32_t direction)
{
    tunnelcap_reason list[MOST_REASONS];
    json_t *object = json_object();
    uint32_t count = 0;

    tunnelcap_table_reasons(g->table, id, direction, list, MOST_REASONS, &count);
    for (uint32_t i = 0; i < count && i < MOST_REASONS; i++)
        set_count(object, tunnelcap_status_name(list[i].status), list[i].count);
    return object;
}

static json_t *counters(const gateway *g, uint64_t id, uint32_t direction,
                        const tunnelcap_counters *c)
{
    json_t *object = json_object();

    set_count(object, "packets", c->packets);
    set_count(object, "inner_bytes", c->inner_bytes);
    set_count(object, "outer_bytes", c->outer_bytes);
    set_count(object, "clamped", c->clamped);
    set_count(object, "replied", c->replied);
    set_count(object, "fragments", c->fragments);
    set_count(object, "kept", c->kept);
    set_count(object, "reassembled", c->reassembled);
    set_count(object, "icmp_sent", c->icmp_sent);
    set_count(object, "icmp_received", c->icmp_received);
    set_count(object, "local", c->local);
    set_count(object, "refused", c->refused);
    json_object_set_new(object, "reasons", reasons(g, id, direction));
    return object;
}

/* Add the counters of a tunnel, or of packets without one (id 0). */
static void add_counters(json_t *object, const gateway *g, uint64_t id)
{
    tunnelcap_stats stats = {0};

    tunnelcap_table_get_stats(g->table, id, &stats, sizeof stats);
    json_object_set_new(object, "encap", counters(g, id, TUNNELCAP_ENCAP, &stats.encap));
    json_object_set_new(object, "decap", counters(g, id, TUNNELCAP_DECAP, &stats.decap));
}

/* How fast a tunnel with a history is: in the last second, and over the last minute. */
static void add_rates(json_t *object, const gateway *g, uint64_t id)
{
    records_rate rates[2];
    json_t *ways[2] = {[TUNNELCAP_ENCAP] = json_object_get(object, "encap"),
                       [TUNNELCAP_DECAP] = json_object_get(object, "decap")};

    if (!records_rates(g, id, rates))
        return;
    for (unsigned d = 0; d < 2; d++) {
        set_count(ways[d], "bit_rate", rates[d].bits_now);
        set_count(ways[d], "packet_rate", rates[d].packets_now);
        set_count(ways[d], "bit_rate_minute", rates[d].bits);
        set_count(ways[d], "packet_rate_minute", rates[d].packets);
    }
}

static const char *activity(const gateway *g, uint64_t id)
{
    int64_t last = atomic_load_explicit(&g->shared.last_ms[id], memory_order_relaxed);

    if (last == 0)
        return "unused";
    return log_now_ms() - last < ACTIVE_MS ? "active" : "idle";
}

/* What probes have found out, for a tunnel that is watched. */
static void add_health(json_t *object, const tunnelcap_health_info *info)
{
    json_t *health = json_object();

    set_count(health, "sent", info->sent);
    set_count(health, "answered", info->answered);
    set_count(health, "failed", info->failed);
    set_count(health, "loss_ppm", info->loss_ppm);
    set_count(health, "rtt_ns", info->rtt_ns);
    set_count(health, "rtt_last_ns", info->rtt_last_ns);
    set_count(health, "jitter_ns", info->jitter_ns);
    json_object_set_new(object, "health", health);
}

/* A tunnel that is not watched is active while it carries packets: with direct server return they
 * go one way only, so none in one direction means nothing. */
static void add_state(json_t *object, const gateway *g, uint64_t id)
{
    static const char *const states[] = {[TUNNELCAP_HEALTH_DOWN] = "down",
                                         [TUNNELCAP_HEALTH_DEGRADED] = "degraded",
                                         [TUNNELCAP_HEALTH_HEALTHY] = "healthy"};
    tunnelcap_health_info info;

    if (tunnelcap_table_get_health(g->table, id, &info, sizeof info) != TUNNELCAP_OK) {
        json_object_set_new(object, "state", json_string(activity(g, id)));
        return;
    }
    json_object_set_new(object, "state", json_string(states[info.state]));
    add_health(object, &info);
}

static const char *kind(const config_tunnel *tunnel)
{
    if (tunnel->kind == TUNNELCAP_KIND_IPIP)
        return "ipip";
    if (tunnel->kind == TUNNELCAP_KIND_ESP)
        return tunnel->encap.esp.udp ? "esp-udp" : "esp";
    return (tunnel->encap.gre.flags & TUNNELCAP_GRE_UDP) != 0 ? "gre-udp" : "gre";
}

/* `limit` is OK, REKEY_SOON or why the SA has ended. */
static json_t *sa_json(const ipsec_sa *sa, const char *direction)
{
    tunnelcap_esp_state at;
    char spi[sizeof "0x01234567"];
    json_t *object = json_object();
    uint64_t now_ns = log_now_ns();

    tunnelcap_esp_get_state(sa->esp, &at, sizeof at);
    snprintf(spi, sizeof spi, "0x%08x", sa->spi);
    json_object_set_new(object, "direction", json_string(direction));
    json_object_set_new(object, "spi", json_string(spi));
    set_count(object, "packets", at.packets);
    set_count(object, "bytes", at.bytes);
    set_count(object, "sequence", at.seq);
    json_object_set_new(
        object, "limit",
        json_string(tunnelcap_status_name(tunnelcap_esp_check_life(sa->esp, now_ns))));
    return object;
}

/* Without an outbound SA while the far end is unknown. */
static json_t *sas_json(const ipsec_set *set)
{
    json_t *array = json_array();

    if (set->out.esp != NULL) {
        json_t *out = sa_json(&set->out, "out");
        set_count(out, "sender_id", set->sender_id);
        json_array_append_new(array, out);
    }
    for (size_t i = 0; i < set->in_count; i++)
        json_array_append_new(array, sa_json(&set->in[i], "in"));
    return array;
}

static void add_ends(json_t *object, const tunnelcap_addr *local, const tunnelcap_addr *remote)
{
    char text[ADDRESS_TEXT_SIZE];

    json_object_set_new(object, "local", json_string(address_text(local, text)));
    json_object_set_new(object, "remote",
                        remote->family == 0 ? json_null()
                                            : json_string(address_text(remote, text)));
}

/* What is known of the way to the far end. */
static void add_path(json_t *object, const gateway *g, uint64_t id, uint32_t path_mtu)
{
    static const char *const sources[] = {[TUNNELCAP_PMTU_PRESUMED] = "presumed",
                                          [TUNNELCAP_PMTU_ICMP] = "icmp",
                                          [TUNNELCAP_PMTU_PROBED] = "probed"};
    tunnelcap_pmtu_info info;
    uint64_t now_ns = log_now_ns();

    set_count(object, "path_mtu", path_mtu);
    if (tunnelcap_table_get_pmtu(g->table, id, now_ns, &info, sizeof info) != TUNNELCAP_OK)
        return;
    json_object_set_new(object, "path_mtu_source", json_string(sources[info.source]));
    set_count(object, "path_mtu_age_s", info.age_ns / 1000000000);
    set_count(object, "path_mtu_probing", info.probing);
}

static json_t *tunnel_json(const gateway *g, const config_tunnel *tunnel)
{
    const ipsec_tunnel *keyed = ipsec_find(&g->ipsec, tunnel->id);
    tunnelcap_tunnel_info info = {0};
    json_t *object = json_object();

    tunnelcap_table_get_info(g->table, tunnel->id, &info, sizeof info);
    json_object_set_new(object, "name", json_string(tunnel->name));
    json_object_set_new(object, "kind", json_string(kind(tunnel)));
    add_state(object, g, tunnel->id);
    add_ends(object, &config_outer(tunnel)->local,
             keyed != NULL ? &keyed->peer : &config_outer(tunnel)->remote);
    set_count(object, "mtu", info.inner_mtu);
    set_count(object, "mss4", info.limit4);
    set_count(object, "mss6", info.limit6);
    add_path(object, g, tunnel->id, info.path_mtu);
    add_counters(object, g, tunnel->id);
    add_rates(object, g, tunnel->id);
    if (keyed != NULL)
        json_object_set_new(object, "sas", sas_json(&keyed->now));
    return object;
}

/* What threads count for themselves, summed. */
typedef struct sums {
    uint64_t multicast;
    uint64_t undeliverable;
    uint64_t withheld;
    log_tally read_errors;
    log_tally write_errors;
    log_tally receive_errors;
    log_tally send_errors;
} sums;

static void add_carrier(sums *s, const carrier *c)
{
    s->undeliverable += c->counts.undeliverable;
    s->withheld += c->counts.withheld;
    log_add(&s->receive_errors, &c->counts.receive_errors);
    log_add(&s->send_errors, &c->sender.errors);
    if (c->tun == NULL)
        return;
    s->multicast += c->tun->multicast;
    log_add(&s->read_errors, &c->tun->read_errors);
    log_add(&s->write_errors, &c->tun->write_errors);
}

static json_t *lane_json(const carrier *c)
{
    tunnelcap_event event;
    uint64_t lost = 0;
    json_t *lane = json_object();

    tunnelcap_lane_events(c->lane, &event, 0, &lost);
    set_count(lane, "from_tun", c->counts.from_tun);
    set_count(lane, "from_outside", c->counts.from_outside);
    set_count(lane, "events_lost", lost);
    return lane;
}

static json_t *tun_json(const gateway *g, const sums *s)
{
    json_t *object = json_object();

    json_object_set_new(object, "name", json_string(g->tun.name));
    set_count(object, "multicast", s->multicast);
    set_count(object, "undeliverable", s->undeliverable);
    json_object_set_new(object, "read_errors", log_tally_json(&s->read_errors));
    json_object_set_new(object, "write_errors", log_tally_json(&s->write_errors));
    return object;
}

static json_t *outer_json(const gateway *g, const sums *s)
{
    json_t *object = json_object();

    set_count(object, "overflows", listeners_overflows(&g->listeners));
    set_count(object, "withheld", s->withheld);
    json_object_set_new(object, "receive_errors", log_tally_json(&s->receive_errors));
    json_object_set_new(object, "send_errors", log_tally_json(&s->send_errors));
    return object;
}

/* Threads stand still while their own counters are read, which are no more than that. The control
 * thread has the last lane. */
static void add_lanes(json_t *root, gateway *g)
{
    sums s = {.multicast = 0};
    json_t *lanes = json_array();

    crew_hold(&g->crew);
    for (unsigned i = 0; i < g->crew.count; i++) {
        add_carrier(&s, &g->crew.workers[i].carrier);
        json_array_append_new(lanes, lane_json(&g->crew.workers[i].carrier));
    }
    crew_release(&g->crew);
    add_carrier(&s, &g->carrier);
    json_array_append_new(lanes, lane_json(&g->carrier));
    json_object_set_new(root, "lanes", lanes);
    json_object_set_new(root, "tun", tun_json(g, &s));
    json_object_set_new(root, "outer", outer_json(g, &s));
}

static json_t *egress_json(const gateway *g)
{
    json_t *object = json_object();
    json_t *devices = json_array();

    for (size_t i = 0; i < g->conf->clamp_egress_count; i++)
        json_array_append_new(devices, json_string(g->conf->clamp_egress[i]));
    json_object_set_new(object, "devices", devices);
    set_count(object, "mss4", g->egress.limits.limit4);
    set_count(object, "mss6", g->egress.limits.limit6);
    set_count(object, "seen", g->egress.seen);
    set_count(object, "clamped", g->egress.clamped);
    json_object_set_new(object, "errors", log_tally_json(&g->egress.errors));
    return object;
}

json_t *stats_json(gateway *g)
{
    json_t *root = json_object();
    json_t *no_tunnel = json_object();
    json_t *tunnels = json_array();

    json_object_set_new(root, "version", json_string(tunnelcap_version_text()));
    json_object_set_new(root, "side",
                        json_string(g->conf->side == CONFIG_SIDE_EDGE ? "edge" : "customer"));
    set_count(root, "uptime_ms", (uint64_t)(log_now_ms() - g->started_ms));
    add_lanes(root, g);
    json_object_set_new(root, "clamp_egress", egress_json(g));
    add_counters(no_tunnel, g, 0);
    json_object_set_new(root, "no_tunnel", no_tunnel);
    for (size_t i = 0; i < g->conf->tunnel_count; i++)
        json_array_append_new(tunnels, tunnel_json(g, &g->conf->tunnels[i]));
    json_object_set_new(root, "tunnels", tunnels);
    return root;
}
