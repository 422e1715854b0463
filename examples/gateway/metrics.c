/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "metrics.h"

#include "http.h"

#include <event2/buffer.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Both formats want all samples of a family together, behind what the family is; so each family
 * walks over all tunnels. Counters end in _total: in the one format the family does too, in the
 * other only its samples. */

enum { MOST_LABELS = 4, VALUE_SIZE = 32, MS_DIGITS = 3, PPM_DIGITS = 6, NS_DIGITS = 9 };

static const char text_type[] = "text/plain; version=0.0.4; charset=utf-8";
static const char open_type[] = "application/openmetrics-text; version=1.0.0; charset=utf-8";

typedef struct family {
    const char *name; /* without _total or _info */
    const char *type; /* "counter", "gauge" or "info" */
    const char *unit; /* the end of the name, or NULL */
    const char *help;
} family;

typedef struct label {
    const char *name; /* NULL behind the last one */
    const char *value;
} label;

typedef struct writer {
    struct evbuffer *out;
    bool open;         /* OpenMetrics */
    const family *now; /* the family whose head stands there already */
} writer;

/* What is counted for each direction of a tunnel, by the name that the statistics have for it. */
static const struct {
    const char *key;
    family family;
} counters[] = {
    {"packets",
     {"tunnelcap_packets", "counter", NULL, "Packets sent into tunnels or delivered out of them."}},
    {"inner_bytes",
     {"tunnelcap_inner_bytes", "counter", "bytes",
      "Bytes of these packets without the headers of the tunnel."}},
    {"outer_bytes",
     {"tunnelcap_outer_bytes", "counter", "bytes",
      "Bytes of these packets with the headers of the tunnel."}},
    {"clamped",
     {"tunnelcap_mss_clamped_packets", "counter", NULL, "TCP SYNs whose MSS was lowered."}},
    {"replied",
     {"tunnelcap_replied_packets", "counter", NULL,
      "Packets answered in place: by ICMP errors, or as keepalives."}},
    {"icmp_sent",
     {"tunnelcap_icmp_errors_sent", "counter", NULL, "ICMP errors sent to inner senders."}},
    {"icmp_received",
     {"tunnelcap_icmp_errors_received", "counter", NULL,
      "ICMP errors about the path that were heeded."}},
    {"fragments", {"tunnelcap_fragments_made", "counter", NULL, "Fragments made."}},
    {"kept",
     {"tunnelcap_kept_packets", "counter", NULL,
      "Fragments kept for reassembly, and packets that became fragments."}},
    {"reassembled",
     {"tunnelcap_reassembled_packets", "counter", NULL, "Packets put together from fragments."}},
    {"local",
     {"tunnelcap_local_packets", "counter", NULL,
      "Packets for the gateway itself: answers to probes, ICMP errors."}},
};

/* Facts about a tunnel. */
static const struct {
    const char *key;
    family family;
} facts[] = {
    {"mtu",
     {"tunnelcap_inner_mtu_bytes", "gauge", "bytes",
      "Largest inner packet that fits the path as it is known now."}},
    {"path_mtu", {"tunnelcap_path_mtu_bytes", "gauge", "bytes", "Path MTU as it is known now."}},
    {"path_mtu_age_s",
     {"tunnelcap_path_mtu_age_seconds", "gauge", "seconds",
      "Time since the path MTU was last found out or confirmed."}},
};

/* Where the statistics have errors of system calls. */
static const struct {
    const char *part;
    const char *key;
    const char *operation;
} errors[] = {
    {"outer", "send_errors", "send"},           {"outer", "receive_errors", "receive"},
    {"tun", "read_errors", "tun_read"},         {"tun", "write_errors", "tun_write"},
    {"clamp_egress", "errors", "clamp_egress"},
};

static const struct {
    const char *key;
    const char *name;
} directions[] = {{"encap", "encap"}, {"decap", "decap"}};

static const char *string(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? "" : text;
}

static json_int_t number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* Text between quotes, or behind HELP, where quotes are left as they are. */
static void add_escaped(struct evbuffer *out, const char *text, bool quotes)
{
    while (*text != '\0') {
        size_t plain = strcspn(text, quotes ? "\n\\\"" : "\n\\");
        evbuffer_add(out, text, plain);
        text += plain;
        if (*text != '\0') {
            evbuffer_add_printf(out, "\\%c", *text == '\n' ? 'n' : *text);
            text++;
        }
    }
}

static const char *suffix(const family *f)
{
    if (strcmp(f->type, "counter") == 0)
        return "_total";
    return strcmp(f->type, "info") == 0 ? "_info" : "";
}

static void add_head(const writer *w, const family *f)
{
    const char *end = w->open ? "" : suffix(f);
    const char *type = !w->open && strcmp(f->type, "info") == 0 ? "gauge" : f->type;

    evbuffer_add_printf(w->out, "# HELP %s%s ", f->name, end);
    add_escaped(w->out, f->help, w->open);
    evbuffer_add_printf(w->out, "\n# TYPE %s%s %s\n", f->name, end, type);
    if (w->open && f->unit != NULL)
        evbuffer_add_printf(w->out, "# UNIT %s %s\n", f->name, f->unit);
}

/* A family without samples leaves no trace. */
static void add(writer *w, const family *f, const label *labels, const char *value)
{
    const char *before = "{";

    if (w->now != f)
        add_head(w, f);
    w->now = f;
    evbuffer_add_printf(w->out, "%s%s", f->name, suffix(f));
    for (; labels != NULL && labels->name != NULL; labels++) {
        evbuffer_add_printf(w->out, "%s%s=\"", before, labels->name);
        add_escaped(w->out, labels->value, true);
        evbuffer_add(w->out, "\"", 1);
        before = ",";
    }
    evbuffer_add_printf(w->out, "%s %s\n", before[0] == ',' ? "}" : "", value);
}

static void add_count(writer *w, const family *f, const label *labels, json_int_t count)
{
    char value[VALUE_SIZE];

    snprintf(value, sizeof value, "%" JSON_INTEGER_FORMAT, count);
    add(w, f, labels, value);
}

/* A number of thousandths, millionths, ... */
static void add_parts(writer *w, const family *f, const label *labels, uint64_t parts, int digits)
{
    char value[VALUE_SIZE];
    uint64_t unit = 1;

    for (int i = 0; i < digits; i++)
        unit *= 10;
    snprintf(value, sizeof value, "%" PRIu64 ".%0*" PRIu64, parts / unit, digits, parts % unit);
    add(w, f, labels, value);
}

static void add_gateway(writer *w, const json_t *stats)
{
    static const family build = {"tunnelcap_build", "info", NULL, "What runs."};
    static const family uptime = {"tunnelcap_uptime_seconds", "gauge", "seconds",
                                  "Time since the gateway started."};
    static const family tunnels = {"tunnelcap_tunnels", "gauge", NULL, "Tunnels in use."};
    const label labels[] = {
        {"version", string(stats, "version")}, {"side", string(stats, "side")}, {NULL, NULL}};

    add_count(w, &build, labels, 1);
    add_parts(w, &uptime, NULL, (uint64_t)number(stats, "uptime_ms"), MS_DIGITS);
    add_count(w, &tunnels, NULL, (json_int_t)json_array_size(json_object_get(stats, "tunnels")));
}

static void add_names(writer *w, const json_t *tunnels)
{
    static const family about = {"tunnelcap_tunnel", "info", NULL, "The ends of a tunnel."};
    size_t i = 0;
    json_t *tunnel = NULL;

    json_array_foreach(tunnels, i, tunnel)
    {
        const label labels[] = {{"tunnel", string(tunnel, "name")},
                                {"kind", string(tunnel, "kind")},
                                {"local", string(tunnel, "local")},
                                {"remote", string(tunnel, "remote")},
                                {NULL, NULL}};
        add_count(w, &about, labels, 1);
    }
}

static void add_counters(writer *w, const json_t *tunnels)
{
    for (size_t c = 0; c < sizeof counters / sizeof counters[0]; c++) {
        size_t i = 0;
        json_t *tunnel = NULL;
        json_array_foreach(tunnels, i, tunnel)
        {
            for (size_t d = 0; d < sizeof directions / sizeof directions[0]; d++) {
                const label labels[] = {{"tunnel", string(tunnel, "name")},
                                        {"direction", directions[d].name},
                                        {NULL, NULL}};
                add_count(w, &counters[c].family, labels,
                          number(json_object_get(tunnel, directions[d].key), counters[c].key));
            }
        }
    }
}

/* Why packets were dropped: of a tunnel, or of those that have none. */
static void add_reasons(writer *w, const family *f, const json_t *object, const char *tunnel)
{
    for (size_t d = 0; d < sizeof directions / sizeof directions[0]; d++) {
        const char *reason = NULL;
        json_t *count = NULL;
        json_t *reasons = json_object_get(json_object_get(object, directions[d].key), "reasons");
        json_object_foreach(reasons, reason, count)
        {
            const label labels[] = {{"direction", directions[d].name},
                                    {"reason", reason},
                                    {tunnel == NULL ? NULL : "tunnel", tunnel},
                                    {NULL, NULL}};
            add_count(w, f, labels, json_integer_value(count));
        }
    }
}

static void add_drops(writer *w, const json_t *stats, const json_t *tunnels)
{
    static const family dropped = {"tunnelcap_dropped_packets", "counter", NULL,
                                   "Packets of a tunnel that were dropped, by reason."};
    static const family stray = {"tunnelcap_stray_packets", "counter", NULL,
                                 "Packets dropped that belong to no tunnel, by reason."};
    size_t i = 0;
    json_t *tunnel = NULL;

    json_array_foreach(tunnels, i, tunnel)
    {
        add_reasons(w, &dropped, tunnel, string(tunnel, "name"));
    }
    add_reasons(w, &stray, json_object_get(stats, "no_tunnel"), NULL);
}

static void add_facts(writer *w, const json_t *tunnels)
{
    static const family limit = {"tunnelcap_mss_limit_bytes", "gauge", "bytes",
                                 "What the MSS of TCP connections is clamped to."};
    size_t i = 0;
    json_t *tunnel = NULL;

    for (size_t f = 0; f < sizeof facts / sizeof facts[0]; f++)
        json_array_foreach(tunnels, i, tunnel)
        {
            const label labels[] = {{"tunnel", string(tunnel, "name")}, {NULL, NULL}};
            if (json_object_get(tunnel, facts[f].key) != NULL)
                add_count(w, &facts[f].family, labels, number(tunnel, facts[f].key));
        }
    json_array_foreach(tunnels, i, tunnel)
    {
        label labels[] = {{"tunnel", string(tunnel, "name")}, {"family", "ipv4"}, {NULL, NULL}};
        add_count(w, &limit, labels, number(tunnel, "mss4"));
        labels[1].value = "ipv6";
        add_count(w, &limit, labels, number(tunnel, "mss6"));
    }
}

/* What probes say of the tunnels that are watched. */
static void add_probes(writer *w, const json_t *tunnels)
{
    static const struct {
        const char *key;
        int digits; /* behind the point */
        family family;
    } counts[] = {
        {"sent", 0, {"tunnelcap_probes_sent", "counter", NULL, "Health probes sent."}},
        {"answered",
         0,
         {"tunnelcap_probes_answered", "counter", NULL, "Health probes answered in time."}},
        {"failed",
         0,
         {"tunnelcap_probes_failed", "counter", NULL, "Health probes not answered in time."}},
        {"loss_ppm",
         PPM_DIGITS,
         {"tunnelcap_probe_loss_ratio", "gauge", "ratio",
          "Part of the probes of the last minutes that failed."}},
        {"rtt_ns",
         NS_DIGITS,
         {"tunnelcap_probe_rtt_seconds", "gauge", "seconds",
          "Round-trip time of probes, smoothed."}},
        {"jitter_ns",
         NS_DIGITS,
         {"tunnelcap_probe_jitter_seconds", "gauge", "seconds",
          "Variation of round-trip times, smoothed."}},
    };
    size_t i = 0;
    json_t *tunnel = NULL;

    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++)
        json_array_foreach(tunnels, i, tunnel)
        {
            const label labels[] = {{"tunnel", string(tunnel, "name")}, {NULL, NULL}};
            const json_t *health = json_object_get(tunnel, "health");
            if (health == NULL)
                continue;
            if (counts[c].digits == 0)
                add_count(w, &counts[c].family, labels, number(health, counts[c].key));
            else
                add_parts(w, &counts[c].family, labels, (uint64_t)number(health, counts[c].key),
                          counts[c].digits);
        }
}

/* 0, 0.5 and 1, as the service has it. */
static void add_states(writer *w, const json_t *tunnels)
{
    static const family state = {"tunnelcap_tunnel_state", "gauge", NULL,
                                 "Health of a tunnel: 0 down, 0.5 degraded, 1 healthy."};
    size_t i = 0;
    json_t *tunnel = NULL;

    json_array_foreach(tunnels, i, tunnel)
    {
        const label labels[] = {{"tunnel", string(tunnel, "name")}, {NULL, NULL}};
        const char *name = string(tunnel, "state");
        if (json_object_get(tunnel, "health") != NULL)
            add(w, &state, labels,
                strcmp(name, "healthy") == 0 ? "1"
                : strcmp(name, "down") == 0  ? "0"
                                             : "0.5");
    }
}

/* One number of all SAs. `key` is NULL for whether they need to be replaced. */
static void add_sas(writer *w, const json_t *tunnels, const family *f, const char *key)
{
    size_t i = 0;
    json_t *tunnel = NULL;

    json_array_foreach(tunnels, i, tunnel)
    {
        size_t at = 0;
        json_t *sa = NULL;
        json_array_foreach(json_object_get(tunnel, "sas"), at, sa)
        {
            bool out = strcmp(string(sa, "direction"), "out") == 0;
            const label labels[] = {{"tunnel", string(tunnel, "name")},
                                    {"direction", out ? "encap" : "decap"},
                                    {"spi", string(sa, "spi")},
                                    {NULL, NULL}};
            add_count(w, f, labels,
                      key != NULL ? number(sa, key) : strcmp(string(sa, "limit"), "OK") != 0);
        }
    }
}

static void add_ipsec(writer *w, const json_t *tunnels)
{
    static const family packets = {"tunnelcap_sa_packets", "counter", NULL,
                                   "Packets of a security association."};
    static const family bytes = {"tunnelcap_sa_bytes", "counter", "bytes",
                                 "Bytes of encrypted text of a security association."};
    static const family sequence = {
        "tunnelcap_sa_sequence_number", "gauge", NULL,
        "The next sequence number to send, or the highest one verified."};
    static const family ending = {"tunnelcap_sa_rekey_needed", "gauge", NULL,
                                  "1 once a security association has to be replaced."};

    add_sas(w, tunnels, &packets, "packets");
    add_sas(w, tunnels, &bytes, "bytes");
    add_sas(w, tunnels, &sequence, "sequence");
    add_sas(w, tunnels, &ending, NULL);
}

static void add_errors(writer *w, const json_t *stats)
{
    static const family failed = {"tunnelcap_errors", "counter", NULL,
                                  "System calls that failed, by operation and errno."};

    for (size_t e = 0; e < sizeof errors / sizeof errors[0]; e++) {
        const char *name = NULL;
        json_t *count = NULL;
        json_t *found = json_object_get(json_object_get(stats, errors[e].part), errors[e].key);
        json_object_foreach(found, name, count)
        {
            const label labels[] = {
                {"operation", errors[e].operation}, {"error", name}, {NULL, NULL}};
            add_count(w, &failed, labels, json_integer_value(count));
        }
    }
}

/* What is lost or left over beside the tunnels. */
static void add_rest(writer *w, const json_t *stats)
{
    static const struct {
        const char *part;
        const char *key;
        family family;
    } rest[] = {
        {"tun",
         "multicast",
         {"tunnelcap_tun_multicast_packets", "counter", NULL,
          "Packets of the kernel's own that no tunnel takes."}},
        {"tun",
         "undeliverable",
         {"tunnelcap_undeliverable_packets", "counter", NULL,
          "Packets out of tunnels that are not IP."}},
        {"outer",
         "overflows",
         {"tunnelcap_socket_overflow_packets", "counter", NULL,
          "Packets lost because the queues of sockets were full."}},
        {"outer",
         "withheld",
         {"tunnelcap_withheld_packets", "counter", NULL,
          "Packets of IPsec tunnels whose sequence numbers were not reserved in time."}},
        {"clamp_egress",
         "seen",
         {"tunnelcap_egress_syn_packets", "counter", NULL, "TCP SYNs seen on egress ports."}},
        {"clamp_egress",
         "clamped",
         {"tunnelcap_egress_mss_clamped_packets", "counter", NULL,
          "Those of them whose MSS was lowered."}},
    };
    for (size_t r = 0; r < sizeof rest / sizeof rest[0]; r++)
        add_count(w, &rest[r].family, NULL,
                  number(json_object_get(stats, rest[r].part), rest[r].key));
}

/* What each thread has done. */
static void add_lanes(writer *w, const json_t *stats)
{
    static const struct {
        const char *key;
        family family;
    } counts[] = {
        {"from_tun",
         {"tunnelcap_lane_tun_packets", "counter", NULL, "Packets read from the TUN device."}},
        {"from_outside",
         {"tunnelcap_lane_outer_packets", "counter", NULL, "Packets read from sockets."}},
        {"events_lost",
         {"tunnelcap_lost_events", "counter", NULL,
          "Events that found the ring of their lane full."}},
    };

    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        size_t i = 0;
        json_t *lane = NULL;
        json_array_foreach(json_object_get(stats, "lanes"), i, lane)
        {
            char name[VALUE_SIZE];
            const label labels[] = {{"lane", name}, {NULL, NULL}};
            snprintf(name, sizeof name, "%zu", i);
            add_count(w, &counts[c].family, labels, number(lane, counts[c].key));
        }
    }
}

const char *metrics_write(struct evbuffer *out, const json_t *stats, bool openmetrics)
{
    writer w = {.out = out, .open = openmetrics};
    const json_t *tunnels = json_object_get(stats, "tunnels");

    add_gateway(&w, stats);
    add_names(&w, tunnels);
    add_counters(&w, tunnels);
    add_drops(&w, stats, tunnels);
    add_facts(&w, tunnels);
    add_states(&w, tunnels);
    add_probes(&w, tunnels);
    add_ipsec(&w, tunnels);
    add_errors(&w, stats);
    add_rest(&w, stats);
    add_lanes(&w, stats);
    if (openmetrics)
        evbuffer_add_printf(out, "# EOF\n");
    return openmetrics ? open_type : text_type;
}

bool metrics_wants_openmetrics(const char *accept)
{
    return http_wants(accept, "application/openmetrics-text") > http_wants(accept, "text/plain");
}
