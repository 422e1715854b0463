/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * report: two passes over the captures. The first finds out which tunnels there are, how heavy
 * they are, and how long it all takes; the second carries the packets out of them and counts. Only
 * the heaviest tunnels are followed one by one, so that memory does not grow with the captures.
 */
#include "report.h"

#include "deploy.h"
#include "output.h"
#include "verbs.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SECOND_NS = 1000000000 };

static const uint32_t span_seconds[TUNNELCAP_HISTORY_SPANS] = {1, 60, 300, 3600};

/* A packet on its way through the data path. */
struct passage {
    struct tunnel *tunnel;
    const struct frame *frame;
    uint16_t payload;  /* offset in the packet of what it carries, for the eyes only */
    uint16_t protocol; /* EtherType of that, 0 if it cannot be seen */
};

struct burst {
    uint32_t count;
    tunnelcap_pkt pkts[SOURCE_BATCH];
    struct passage passages[SOURCE_BATCH];
};

/* A call for a frame in the order of time. */
typedef bool frame_call(struct report *report, struct frame *frame, void *user);

/* ------------------------------------------------------------------------------- first pass */

static bool discover(struct report *report, struct frame *frame)
{
    struct tunnel_identity identity;
    tunnelcap_peek_result peek;
    int32_t status;

    if (report->frames == 0 || frame->time_ns < report->first_ns)
        report->first_ns = frame->time_ns;
    if (frame->time_ns > report->last_ns)
        report->last_ns = frame->time_ns;
    report->frames++;
    if (!frame->link.version)
        return true;
    report->packets++;
    status = join_look(&report->join, frame, &peek);
    if (status < 0 || status == TUNNELCAP_KEPT || peek.kind == TUNNELCAP_KIND_NONE ||
        !join_tells_tunnel(&peek))
        return true;
    identity = tunnel_identify(&peek);
    if (report->tunnels.count >= REPORT_MOST_TUNNELS &&
        !tunnel_set_find(&report->tunnels, &identity)) {
        report->untold++;
        return true;
    }
    return keyring_note(&report->ring, &report->tunnels, frame, &peek);
}

static bool discover_all(struct report *report)
{
    struct frame *frames;
    uint32_t count;

    do {
        if (!timeline_read(&report->timeline, &frames, &count))
            return false;
        for (uint32_t i = 0; i < count; i++) {
            if (!discover(report, &frames[i]))
                return false;
        }
    } while (count);
    return true;
}

/* -------------------------------------------------------------------------------- in between */

/* The tunnel that a direction belongs to. Of ESP that is all SAs between two ends; a NAT changes
 * the port that one of them is known by. */
static struct tunnel_identity ends_of(const struct tunnel_identity *identity, uint8_t *way)
{
    struct tunnel_identity ends = *identity;

    *way = memcmp(&identity->local, &identity->remote, sizeof identity->local) < 0;
    if (!*way) {
        ends.local = identity->remote;
        ends.remote = identity->local;
    }
    if (ends.kind == TUNNELCAP_KIND_ESP) {
        ends.key = 0;
        ends.has_key = 0;
        ends.udp_port = ends.udp_port != 0;
    }
    return ends;
}

/* Directions of the same tunnel next to each other. */
static int by_ends(const void *a, const void *b)
{
    const struct tunnel *const *x = a, *const *y = b;
    uint8_t way;
    struct tunnel_identity of_x = ends_of(&(*x)->identity, &way);
    struct tunnel_identity of_y = ends_of(&(*y)->identity, &way);

    return memcmp(&of_x, &of_y, sizeof of_x);
}

struct group {
    uint64_t bytes;
    uint32_t from; /* in the sorted array of tunnels */
    uint32_t to;
};

/* Heaviest first; what weighs the same stays in the order of ends. */
static int by_bytes(const void *a, const void *b)
{
    const struct group *x = a, *y = b;

    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    return x->from < y->from ? -1 : 1;
}

static struct scope *add_scope(struct report *report, enum scope_kind kind)
{
    struct scope *scope = scope_new(kind);

    if (scope)
        report->scopes[report->scope_count++] = scope;
    return scope;
}

static void note_spi(struct direction *direction, const struct tunnel *tunnel)
{
    if (tunnel->identity.kind != TUNNELCAP_KIND_ESP)
        return;
    if (direction->spi_count < REPORT_SPIS)
        direction->spis[direction->spi_count] = tunnel->identity.key;
    direction->spi_count++;
}

static void assign(struct scope *scope, struct tunnel **sorted, const struct group *group)
{
    for (uint32_t i = group->from; i < group->to; i++) {
        struct tunnel *tunnel = sorted[i];

        scope->ends = ends_of(&tunnel->identity, &tunnel->way);
        tunnel->scope = scope;
        if (scope->kind == SCOPE_TUNNEL)
            note_spi(&scope->directions[tunnel->way], tunnel);
        else
            tunnel->way = 0;
        scope->tunnels++;
    }
}

static uint32_t find_groups(struct tunnel **sorted, uint32_t count, struct group *groups)
{
    uint32_t found = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (!i || by_ends(&sorted[i - 1], &sorted[i]))
            groups[found++] = (struct group){.from = i, .to = i};
        groups[found - 1].bytes += sorted[i]->bytes;
        groups[found - 1].to = i + 1;
    }
    return found;
}

/* A scope for each of the heaviest tunnels, and one for all others. */
static bool divide(struct report *report, struct tunnel **sorted, struct group *groups)
{
    uint32_t count = 0;
    uint32_t found;

    for (struct tunnel *tunnel = report->tunnels.first; tunnel; tunnel = tunnel->next)
        sorted[count++] = tunnel;
    qsort(sorted, count, sizeof *sorted, by_ends);
    found = find_groups(sorted, count, groups);
    qsort(groups, found, sizeof *groups, by_bytes);
    for (uint32_t i = 0; i < found && i < report->args->tunnels; i++) {
        struct scope *scope = add_scope(report, SCOPE_TUNNEL);

        if (!scope)
            return false;
        assign(scope, sorted, &groups[i]);
    }
    report->others = add_scope(report, SCOPE_OTHERS);
    for (uint32_t i = report->args->tunnels; report->others && i < found; i++)
        assign(report->others, sorted, &groups[i]);
    return report->others != NULL;
}

static bool make_scopes(struct report *report)
{
    uint32_t room = report->tunnels.count + 1;
    struct tunnel **sorted = calloc(room, sizeof *sorted);
    struct group *groups = calloc(room, sizeof *groups);
    bool made;

    report->scopes = calloc(REPORT_MOST_SCOPES, sizeof(struct scope *));
    made = sorted && groups && report->scopes;
    if (!made)
        warn("report");
    made = made && (report->all = add_scope(report, SCOPE_ALL)) && divide(report, sorted, groups) &&
           (report->plain = add_scope(report, SCOPE_PLAIN));
    free(sorted);
    free(groups);
    for (uint32_t i = 0; made && i < report->scope_count; i++)
        made = scope_start(report->scopes[i], report);
    return made;
}

/* Spans and bins by how long the captures are. */
static void choose_bins(struct report *report)
{
    uint64_t first = report->first_ns / SECOND_NS;
    uint64_t end = report->last_ns / SECOND_NS + 1;
    uint64_t span_s;

    for (report->span = 0;; report->span++) {
        span_s = span_seconds[report->span];
        report->start_s = first / span_s * span_s;
        report->buckets = (end - report->start_s + span_s - 1) / span_s;
        if (report->buckets <= REPORT_BUCKETS || report->span == TUNNELCAP_HISTORY_HOUR)
            break;
    }
    if (report->buckets > REPORT_HOURS) {
        report->start_s += (report->buckets - REPORT_HOURS) * span_s;
        report->buckets = REPORT_HOURS;
    }
    report->span_s = (uint32_t)span_s;
    report->step_s = span_s * ((report->buckets + REPORT_BINS - 1) / REPORT_BINS);
    report->bins = (uint32_t)((end - report->start_s + report->step_s - 1) / report->step_s);
}

/* ------------------------------------------------------------------------------- second pass */

/* The second that the captures have come to: their clock never goes back. */
static uint64_t reach(struct report *report, const struct frame *frame)
{
    if (frame->time_ns < report->latest_ns)
        report->late++;
    else
        report->latest_ns = frame->time_ns;
    return report->latest_ns / SECOND_NS;
}

static void count_packet(struct report *report, struct scope *scope, uint32_t direction,
                         const struct frame *frame)
{
    tunnelcap_pkt pkt = frame_packet(frame);
    uint32_t len = link_ip_length(pkt.buf + pkt.off, pkt.len);
    uint64_t second = report->latest_ns / SECOND_NS;

    scope_count_packet(scope, direction, second, len);
    if (scope != report->plain)
        scope_count_packet(report->all, 0, second, len);
}

static void count_status(struct report *report, struct scope *scope, uint32_t direction,
                         int32_t status)
{
    scope_count_status(scope, direction, status);
    if (scope != report->plain)
        scope_count_status(report->all, 0, status);
}

static void count_flow(struct report *report, struct scope *scope, const struct flow *flow)
{
    scope_count_flow(scope, flow);
    if (scope != report->plain)
        scope_count_flow(report->all, flow);
}

static void note_mtu(struct direction *direction, uint32_t mtu)
{
    direction->too_big++;
    if (!direction->lowest_mtu || mtu < direction->lowest_mtu)
        direction->lowest_mtu = mtu;
}

/* The tunnel that an ICMP error is about: with as much as it quotes, only one may be meant. */
static struct tunnel *find_quoted(const struct report *report, const tunnelcap_icmp_result *icmp)
{
    struct tunnel_identity identity = {
        .local = icmp->dst,
        .remote = icmp->src,
        .kind = icmp->tunnel,
        .key = icmp->key,
        .has_key = (icmp->flags & TUNNELCAP_ICMP_KEY) != 0,
        .udp_port = icmp->flags & TUNNELCAP_ICMP_PORTS ? icmp->dst_port : 0,
    };

    return tunnel_set_find(&report->tunnels, &identity);
}

static void note_icmp(struct report *report, const tunnelcap_pkt *pkt)
{
    tunnelcap_icmp_result icmp = {.size = sizeof icmp};
    struct tunnel *tunnel;

    if (tunnelcap_icmp_parse(pkt, NULL, &icmp) || icmp.kind != TUNNELCAP_ICMP_TOO_BIG)
        return;
    tunnel = find_quoted(report, &icmp);
    if (!tunnel)
        return;
    note_mtu(&tunnel->scope->directions[tunnel->way], icmp.mtu);
    note_mtu(&report->all->directions[0], icmp.mtu);
}

static void count_plain(struct report *report, const struct frame *frame, int32_t status)
{
    tunnelcap_pkt pkt = frame_packet(frame);
    struct flow flow;

    count_packet(report, report->plain, 0, frame);
    count_status(report, report->plain, 0, status);
    note_icmp(report, &pkt);
    if (flow_read(pkt.buf + pkt.off, pkt.len, &flow))
        count_flow(report, report->plain, &flow);
}

/* Count a frame, and put it into the burst if it is to go through its tunnel. */
static void collect(struct report *report, struct frame *frame, struct burst *burst)
{
    struct tunnel_identity identity;
    tunnelcap_peek_result peek;
    struct tunnel *tunnel;
    bool fragment = false;
    int32_t status;

    reach(report, frame);
    if (!frame->link.version)
        return;
    status = join_look(&report->join, frame, &peek);
    fragment = peek.flags & TUNNELCAP_PEEK_FRAGMENT;
    if (fragment || frame->joined)
        report->fragments++;
    if (status == TUNNELCAP_KEPT)
        return;
    if (fragment) {
        report->unfit++;
        return;
    }
    report->joined += frame->joined;
    if (peek.kind == TUNNELCAP_KIND_NONE) {
        count_plain(report, frame, status);
        return;
    }
    identity = tunnel_identify(&peek);
    tunnel = status < 0 ? NULL : tunnel_set_find(&report->tunnels, &identity);
    if (!tunnel) {
        count_packet(report, report->others, 0, frame);
        count_status(report, report->others, 0, status < 0 ? status : TUNNELCAP_E_NO_TUNNEL);
        return;
    }
    count_packet(report, tunnel->scope, tunnel->way, frame);
    tunnel->scope->directions[tunnel->way].joined += frame->joined;
    report->all->directions[0].joined += frame->joined;
    if (tunnel->status < 0) {
        count_status(report, tunnel->scope, tunnel->way, tunnel->status);
        return;
    }
    burst->pkts[burst->count] = frame_packet(frame);
    burst->passages[burst->count++] = (struct passage){
        .tunnel = tunnel,
        .frame = frame,
        .payload = peek.payload,
        .protocol = peek.kind == TUNNELCAP_KIND_ESP ? 0 : peek.protocol,
    };
}

/* The IP packet that a payload is or holds. False if there is none. */
static bool read_payload(const uint8_t *payload, uint32_t len, uint32_t protocol, struct flow *flow)
{
    struct link_view link = {0};

    if (protocol == TUNNELCAP_ETHERTYPE_ETHERNET) {
        link = link_look(DLT_EN10MB, payload, len);
        if (!link.version)
            return false;
    } else if (protocol != TUNNELCAP_ETHERTYPE_IPV4 && protocol != TUNNELCAP_ETHERTYPE_IPV6) {
        return false;
    }
    return flow_read(payload + link.offset, len - link.offset, flow);
}

/* Count what became of a packet of a tunnel. */
static void settle(struct report *report, const tunnelcap_result *result, const tunnelcap_pkt *pkt,
                   const struct passage *passage)
{
    struct scope *scope = passage->tunnel->scope;
    struct direction *counted[2] = {&scope->directions[passage->tunnel->way],
                                    &report->all->directions[0]};
    bool delivered = result->action == TUNNELCAP_DO_DELIVER;
    const uint8_t *packet = pkt->buf + pkt->off;
    struct flow flow;
    bool seen = false;

    count_status(report, scope, passage->tunnel->way, result->status);
    if (delivered)
        seen = read_payload(packet, pkt->len, result->value, &flow);
    else if (result->status == TUNNELCAP_E_TRUNCATED && passage->payload < pkt->len)
        /* Of what was captured in part, the headers are there. */
        seen = read_payload(packet + passage->payload, pkt->len - passage->payload,
                            passage->protocol, &flow);
    for (int i = 0; i < 2; i++) {
        counted[i]->delivered += delivered;
        counted[i]->inner_bytes += delivered ? pkt->len : 0;
        counted[i]->clamped += (result->flags & TUNNELCAP_RESULT_CLAMPED) != 0;
        counted[i]->inner_fragments += seen && flow.is_fragment;
    }
    if (seen)
        count_flow(report, scope, &flow);
}

static bool carry(struct report *report, struct burst *burst)
{
    if (!burst->count)
        return true;
    if (!plane_carry(&report->plane, tunnelcap_table_decap, burst->pkts, burst->count,
                     report->latest_ns))
        return false;
    for (uint32_t i = 0; i < burst->count; i++)
        settle(report, &report->plane.results[i], &burst->pkts[i], &burst->passages[i]);
    return true;
}

static bool count_all(struct report *report)
{
    struct frame *frames;
    struct burst burst;
    uint32_t count;

    do {
        if (!timeline_read(&report->timeline, &frames, &count))
            return false;
        burst.count = 0;
        for (uint32_t i = 0; i < count; i++)
            collect(report, &frames[i], &burst);
        if (!carry(report, &burst))
            return false;
    } while (count);
    for (uint32_t i = 0; i < report->scope_count; i++)
        scope_finish(report->scopes[i], report);
    return true;
}

/* Inner MTUs are known only once the tunnels are deployed. */
static void note_inner_mtus(struct report *report)
{
    for (const struct tunnel *tunnel = report->tunnels.first; tunnel; tunnel = tunnel->next) {
        uint32_t *mtu = &tunnel->scope->inner_mtu;

        if (tunnel->scope->kind == SCOPE_TUNNEL && tunnel->inner_mtu &&
            (!*mtu || tunnel->inner_mtu < *mtu))
            *mtu = tunnel->inner_mtu;
    }
}

static bool make(struct report *report)
{
    const struct args *args = report->args;

    if ((args->keys && !keyring_open(&report->ring, args->keys)) ||
        !timeline_open(&report->timeline, args->inputs, args->input_count) ||
        !join_open(&report->join) || !discover_all(report))
        return false;
    timeline_rewind(&report->timeline);
    choose_bins(report);
    if (!make_scopes(report) ||
        !deploy_all(&report->plane, &report->tunnels, &report->ring, TUNNELCAP_TUNNEL_CLAMP_DECAP))
        return false;
    note_inner_mtus(report);
    if (args->config && !report_name_tunnels(report, args->config))
        return false;
    return join_open(&report->join) && count_all(report);
}

/* Write a file. False after a message. */
static bool write_file(const struct report *report, const char *path,
                       bool (*print)(const struct report *, FILE *))
{
    struct output output;

    if (!output_open(&output, path))
        return false;
    errno = 0;
    if (!print(report, output.file)) {
        output_complain(&output);
        output_abandon(&output);
        return false;
    }
    return output_commit(&output);
}

static bool write_all(const struct report *report)
{
    const struct args *args = report->args;
    bool to_stdout = args->json && !args->json_file;

    if ((args->json_file && !write_file(report, args->json_file, report_print_json)) ||
        (args->html && !write_file(report, args->html, report_print_html)))
        return false;
    errno = 0;
    if ((to_stdout ? report_print_json : report_print_text)(report, stdout))
        return true;
    warn("standard output");
    return false;
}

bool verb_report(const struct args *args)
{
    struct report report = {.args = args};
    bool done = make(&report) && write_all(&report);

    join_close(&report.join);
    plane_close(&report.plane);
    keyring_close(&report.ring);
    tunnel_set_free(&report.tunnels);
    timeline_close(&report.timeline);
    for (uint32_t i = 0; i < report.scope_count; i++)
        scope_free(report.scopes[i]);
    free(report.scopes);
    return done;
}
