/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Bursts through a small fixed table: any bytes into decapsulation, or any inner packets into
 * encapsulation and then out of the table at the far end. Fragments and ICMP included.
 *
 * Input: direction (bit 0), result room (bits 1 and 2), spares (bits 3 and 4) and what tunnels do
 * (bits 5 to 7), repairs, headroom, then packets, each behind its length (2).
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "reference.h"

enum { PACKETS_MAX = 4, SPARES_MAX = 3, BURST_MAX = PACKETS_MAX * (1 + SPARES_MAX), TUNNELS = 6 };
enum { SPARE_HEAD = 96, SPARE_ROOM = 2000 };

/* What tunnels do, by bits of the input. */
enum {
    ADDRESSED = 1,  /* addresses inside, so that senders are answered; small paths */
    OUTSIDE = 2,    /* fragments outside, also where they are forbidden */
    REASSEMBLE = 4, /* both kinds of fragments */
    COUNT_TTL = 8   /* not from the input: what goes through must stay as it is */
};

struct end {
    tunnelcap_table *table;
    tunnelcap_lane *lane;
    tunnelcap_reassembly *reassembly[2];
};

/* Packets, and what became of each. */
struct burst {
    struct fuzz_packet packets[BURST_MAX];
    tunnelcap_pkt pkts[BURST_MAX];
    tunnelcap_result results[BURST_MAX];
    uint32_t count;
};

/* How a burst is offered. */
struct manner {
    uint32_t direction;
    uint32_t room;
    uint32_t spares;
    uint32_t policy;
};

static void set_ends(tunnelcap_outer *outer, bool ipv6, bool far_end)
{
    outer->local = far_end ? fuzz_remote(ipv6) : fuzz_local(ipv6);
    outer->remote = far_end ? fuzz_local(ipv6) : fuzz_remote(ipv6);
}

static tunnelcap_tunnel tunnel_of(uint32_t policy, bool ipv6)
{
    tunnelcap_tunnel tunnel;

    FUZZ_CHECK(tunnelcap_tunnel_init(&tunnel, sizeof(tunnel)) == TUNNELCAP_OK);
    if (policy & ADDRESSED) {
        tunnel.interface4 = (tunnelcap_addr){.family = TUNNELCAP_IPV4, .bytes = {10, 255}};
        tunnel.interface6 = (tunnelcap_addr){.family = TUNNELCAP_IPV6, .bytes = {0xfd, 0xff}};
        tunnel.path_mtu = ipv6 ? 1280 : 600;
        tunnel.path_floor = 68;
    }
    if (policy & OUTSIDE) {
        tunnel.fragment_mode = TUNNELCAP_FRAGMENT_OUTER;
        tunnel.flags |= TUNNELCAP_TUNNEL_CLEAR_DF;
    }
    if (policy & REASSEMBLE)
        tunnel.flags |= TUNNELCAP_TUNNEL_REASSEMBLE;
    if (policy & COUNT_TTL)
        tunnel.flags |= TUNNELCAP_TUNNEL_TTL_DECAP;
    return tunnel;
}

static void add_gre(tunnelcap_table *table, uint64_t id, uint32_t flags, bool ipv6, bool far_end,
                    uint32_t policy)
{
    tunnelcap_tunnel tunnel = tunnel_of(policy, ipv6);
    tunnelcap_gre_config config;

    FUZZ_CHECK(tunnelcap_gre_config_init(&config, sizeof(config)) == TUNNELCAP_OK);
    set_ends(&config.outer, ipv6, far_end);
    config.flags = flags;
    config.key_in = config.key_out = flags & TUNNELCAP_GRE_KEY_IN ? 0x01020304 : 0;
    config.outer.encap_limit_mode = ipv6;
    config.outer.encap_limit = ipv6 ? 4 : 0;
    FUZZ_CHECK(tunnelcap_table_set_gre(table, id, &tunnel, &config) == TUNNELCAP_OK);
}

static void add_ipip(tunnelcap_table *table, uint64_t id, bool ipv6, bool far_end, uint32_t policy)
{
    tunnelcap_tunnel tunnel = tunnel_of(policy, ipv6);
    tunnelcap_ipip_config config;

    FUZZ_CHECK(tunnelcap_ipip_config_init(&config, sizeof(config)) == TUNNELCAP_OK);
    set_ends(&config.outer, ipv6, far_end);
    FUZZ_CHECK(tunnelcap_table_set_ipip(table, id, &tunnel, &config) == TUNNELCAP_OK);
}

/* 10.ID.0.0/16 and 2001:db8:ID::/48 go into tunnel ID, all else is shared by 1, 2 and 5. */
static void add_routes(tunnelcap_table *table, uint64_t id)
{
    const uint8_t prefix4[2] = {10, (uint8_t)id};
    const uint8_t prefix6[6] = {0x20, 0x01, 0x0d, 0xb8, 0, (uint8_t)id};
    tunnelcap_route route;

    FUZZ_CHECK(tunnelcap_route_init(&route, sizeof(route)) == TUNNELCAP_OK);
    route.tunnel = id;
    route.prefix.family = TUNNELCAP_IPV4;
    if (id == 1 || id == 2 || id == 5) {
        FUZZ_CHECK(tunnelcap_table_set_route(table, &route) == TUNNELCAP_OK);
        route.prefix.family = TUNNELCAP_IPV6;
        FUZZ_CHECK(tunnelcap_table_set_route(table, &route) == TUNNELCAP_OK);
    }
    memcpy(route.prefix.bytes, prefix6, sizeof(prefix6));
    route.prefix.family = TUNNELCAP_IPV6;
    route.prefix_len = 48;
    FUZZ_CHECK(tunnelcap_table_set_route(table, &route) == TUNNELCAP_OK);
    memset(route.prefix.bytes, 0, sizeof(route.prefix.bytes));
    memcpy(route.prefix.bytes, prefix4, sizeof(prefix4));
    route.prefix.family = TUNNELCAP_IPV4;
    route.prefix_len = 16;
    FUZZ_CHECK(tunnelcap_table_set_route(table, &route) == TUNNELCAP_OK);
}

static void reassemble(struct end *end)
{
    static const uint8_t seed[TUNNELCAP_SEED_SIZE] = {1, 2};
    tunnelcap_reassembly_config config;

    FUZZ_CHECK(tunnelcap_reassembly_config_init(&config, sizeof(config)) == TUNNELCAP_OK);
    config.sets = 3;
    config.bytes = 8192;
    for (uint32_t i = 0; i < 2; i++)
        FUZZ_CHECK(tunnelcap_reassembly_new(&config, seed, NULL, &end->reassembly[i]) ==
                   TUNNELCAP_OK);
    FUZZ_CHECK(tunnelcap_table_set_reassembly(end->lane, end->reassembly[0], end->reassembly[1]) ==
               TUNNELCAP_OK);
}

static struct end make_end(bool far_end, uint32_t policy)
{
    enum {
        KEYED = TUNNELCAP_GRE_KEY_IN | TUNNELCAP_GRE_KEY_OUT | TUNNELCAP_GRE_CHECKSUM |
                TUNNELCAP_GRE_SEQUENCE
    };
    static const uint8_t seed[TUNNELCAP_SEED_SIZE] = {9, 8, 7};
    tunnelcap_table_config config;
    struct end end = {.lane = fuzz_lane()};

    FUZZ_CHECK(tunnelcap_table_config_init(&config, sizeof(config)) == TUNNELCAP_OK);
    config.tunnels = TUNNELS;
    config.routes = 2 * TUNNELS + 6;
    config.lanes = 1;
    FUZZ_CHECK(tunnelcap_table_new(&config, seed, NULL, &end.table) == TUNNELCAP_OK);
    FUZZ_CHECK(tunnelcap_table_begin(end.table) == TUNNELCAP_OK);
    add_gre(end.table, 1, 0, false, far_end, policy);
    add_gre(end.table, 2, KEYED, false, far_end, policy);
    add_gre(end.table, 3, TUNNELCAP_GRE_UDP, false, far_end, policy);
    add_ipip(end.table, 4, false, far_end, policy);
    add_gre(end.table, 5, 0, true, far_end, policy);
    add_ipip(end.table, 6, true, far_end, policy);
    for (uint64_t id = 1; id <= TUNNELS; id++)
        add_routes(end.table, id);
    FUZZ_CHECK(tunnelcap_table_commit(end.table, NULL) == TUNNELCAP_OK);
    FUZZ_CHECK(tunnelcap_table_attach(end.table, end.lane) == TUNNELCAP_OK);
    if (policy & REASSEMBLE)
        reassemble(&end);
    return end;
}

static void free_end(const struct end *end)
{
    FUZZ_CHECK(tunnelcap_table_detach(end->table, end->lane) == TUNNELCAP_OK);
    tunnelcap_table_free(end->table);
    tunnelcap_lane_free(end->lane);
    tunnelcap_reassembly_free(end->reassembly[0]);
    tunnelcap_reassembly_free(end->reassembly[1]);
}

static void read_packets(struct fuzz_input *in, struct burst *burst, uint32_t head)
{
    burst->count = 0;
    while (burst->count < PACKETS_MAX && in->left > 2) {
        size_t len = fuzz_u16(in);

        len = len < in->left ? len : in->left;
        fuzz_packet_init(&burst->packets[burst->count++], in->bytes, len, head, 0);
        in->bytes += len;
        in->left -= len;
    }
}

/* An ICMP error that answers an inner packet. */
static void check_answer(const struct fuzz_packet *packet)
{
    const uint8_t *p = fuzz_packet_start(packet);

    FUZZ_CHECK(packet->pkt.len >= 28);
    if (p[0] >> 4 == 4)
        FUZZ_CHECK(packet->pkt.len <= 576 && p[9] == 1 && (p[20] == 3 || p[20] == 11));
    else
        FUZZ_CHECK(packet->pkt.len >= 48 && packet->pkt.len <= 1280 && p[6] == 58 && p[40] < 128);
}

static void check_drop(const struct fuzz_packet *packet, const tunnelcap_result *result,
                       const struct manner *how)
{
    bool unwrapped = result->status == TUNNELCAP_E_LOOP || result->status == TUNNELCAP_E_TTL;

    FUZZ_CHECK(tunnelcap_status_class(result->status) == TUNNELCAP_CLASS_DROP ||
               tunnelcap_status_class(result->status) == TUNNELCAP_CLASS_ROOM ||
               result->status == TUNNELCAP_E_NEED_SA);
    if (how->direction == TUNNELCAP_DECAP && (how->policy & REASSEMBLE))
        unwrapped = true; /* inner fragments are refused behind it */
    if (!(result->flags & TUNNELCAP_RESULT_SPARE) && !unwrapped)
        fuzz_packet_check_unchanged(packet);
}

static void check_result(const struct fuzz_packet *packet, const tunnelcap_result *result,
                         const struct manner *how)
{
    bool encap = how->direction == TUNNELCAP_ENCAP;

    fuzz_packet_check_window(packet);
    FUZZ_CHECK(result->tunnel <= TUNNELS);
    FUZZ_CHECK(result->reserved == 0);
    FUZZ_CHECK((result->flags & ~(uint32_t)(TUNNELCAP_RESULT_CLAMPED | TUNNELCAP_RESULT_SPARE)) ==
               0);
    switch (result->action) {
    case TUNNELCAP_DO_DROP:
        check_drop(packet, result, how);
        break;
    case TUNNELCAP_DO_SEND:
        FUZZ_CHECK(encap && result->status == TUNNELCAP_OK && result->tunnel != 0);
        break;
    case TUNNELCAP_DO_REPLY:
        if (result->status == TUNNELCAP_KEEPALIVE) {
            FUZZ_CHECK(!encap);
            break;
        }
        FUZZ_CHECK(how->policy & ADDRESSED);
        if (!encap && result->status == TUNNELCAP_OK) /* an echo, answered into the tunnel */
            break;
        FUZZ_CHECK(result->status == TUNNELCAP_E_TTL ||
                   (encap && (result->status == TUNNELCAP_E_TOO_BIG ||
                              result->status == TUNNELCAP_E_ENCAP_LIMIT)));
        if (encap)
            check_answer(packet);
        break;
    case TUNNELCAP_DO_KEPT:
        FUZZ_CHECK(result->status == (encap ? TUNNELCAP_OK : TUNNELCAP_KEPT));
        break;
    case TUNNELCAP_DO_LOCAL:
        FUZZ_CHECK(!encap && result->status == TUNNELCAP_OK);
        break;
    case TUNNELCAP_DO_FETCH_SA: /* there is no SA here */
        FUZZ_CHECK(!encap && result->status == TUNNELCAP_E_NEED_SA && result->tunnel == 0);
        FUZZ_CHECK(result->value == result->spi && result->spi > 255);
        if (!(result->flags & TUNNELCAP_RESULT_SPARE))
            fuzz_packet_check_unchanged(packet);
        break;
    default:
        FUZZ_CHECK(result->action == TUNNELCAP_DO_DELIVER);
        FUZZ_CHECK(!encap && result->status == TUNNELCAP_OK && result->tunnel != 0);
    }
}

/* Take in the results of one call: those of packets stand in order, those of spares behind them. */
static void take_results(struct burst *burst, uint32_t done, const tunnelcap_burst *call,
                         struct fuzz_packet *spares, const struct manner *how, struct burst *made)
{
    uint32_t pkts = 0, used = 0;

    for (uint32_t i = 0; i < call->result_count; i++) {
        const tunnelcap_result *result = &call->results[i];

        if (!(result->flags & TUNNELCAP_RESULT_SPARE)) {
            FUZZ_CHECK(result->index == pkts++);
            burst->results[done + result->index] = *result;
            burst->packets[done + result->index].pkt = call->pkts[result->index];
            check_result(&burst->packets[done + result->index], result, how);
            continue;
        }
        FUZZ_CHECK(result->index == used++);
        spares[result->index].pkt = call->spare[result->index];
        check_result(&spares[result->index], result, how);
        if (made != NULL && result->action == TUNNELCAP_DO_SEND) {
            FUZZ_CHECK(made->count < BURST_MAX);
            fuzz_packet_init(&made->packets[made->count++],
                             fuzz_packet_start(&spares[result->index]),
                             spares[result->index].pkt.len, 0, 0);
        }
    }
    FUZZ_CHECK(pkts == call->pkt_done && used == call->spare_used);
}

/* Offer the whole burst, with little room at a time. What is sent from spares goes to `made`. */
static void offer(const struct end *end, struct burst *burst, const struct manner *how,
                  struct burst *made)
{
    tunnelcap_result results[PACKETS_MAX + 2 * SPARES_MAX];
    struct fuzz_packet spares[SPARES_MAX];
    tunnelcap_pkt spare[SPARES_MAX];

    for (uint32_t i = 0; i < burst->count; i++)
        burst->pkts[i] = burst->packets[i].pkt;
    for (uint32_t done = 0; done < burst->count;) {
        tunnelcap_burst call = {.size = sizeof(call),
                                .now_ns = done,
                                .pkt_count = burst->count - done,
                                .spare_count = how->spares,
                                .result_cap = how->room + 2 * how->spares,
                                .pkts = burst->pkts + done,
                                .spare = spare,
                                .results = results};
        int32_t status;

        for (uint32_t i = 0; i < how->spares; i++) {
            fuzz_packet_init(&spares[i], NULL, 0, SPARE_HEAD, SPARE_ROOM);
            spare[i] = spares[i].pkt;
        }
        memset(results, 0xa5, sizeof(results));
        status = how->direction == TUNNELCAP_ENCAP ? tunnelcap_table_encap(end->lane, &call)
                                                   : tunnelcap_table_decap(end->lane, &call);
        FUZZ_CHECK(status == TUNNELCAP_OK);
        FUZZ_CHECK(call.pkt_done > 0 && call.result_count <= call.result_cap);
        FUZZ_CHECK(call.spare_used <= call.spare_count);
        take_results(burst, done, &call, spares, how, made);
        for (uint32_t i = 0; i < how->spares; i++)
            fuzz_packet_fini(&spares[i]);
        done += call.pkt_done;
    }
}

/* What was offered is counted once, under its tunnel or under none. */
static void check_counters(const struct end *end, uint32_t direction, uint32_t offered)
{
    uint64_t seen = 0;

    for (uint64_t id = 0; id <= TUNNELS; id++) {
        tunnelcap_stats stats = {.size = sizeof(stats)};
        const tunnelcap_counters *c;

        FUZZ_CHECK(tunnelcap_table_get_stats(end->table, id, &stats, sizeof(stats)) ==
                   TUNNELCAP_OK);
        c = direction == TUNNELCAP_ENCAP ? &stats.encap : &stats.decap;
        FUZZ_CHECK(c->clamped <= c->packets);
        FUZZ_CHECK(c->icmp_sent <= c->replied + c->packets);
        seen += c->packets + c->replied + c->refused + c->kept + c->local;
        seen -= c->fragments + c->reassembled;
    }
    FUZZ_CHECK(seen == offered);
}

static void carry(const struct end *end, struct burst *burst, const struct manner *how,
                  struct burst *made)
{
    offer(end, burst, how, made);
    check_counters(end, how->direction, burst->count);
}

/* What one end has sent in one piece, the other delivers as it was. */
static void check_through(const struct burst *burst, uint32_t from, const struct burst *sent,
                          uint32_t to)
{
    const tunnelcap_result *in = &burst->results[from], *out = &sent->results[to];
    const tunnelcap_pkt *was = &burst->packets[from].before;
    const uint8_t *inner = burst->packets[from].copy + was->off;
    struct reference_ip ip;

    FUZZ_CHECK(out->tunnel == in->tunnel);
    if (out->action == TUNNELCAP_DO_DROP) {
        FUZZ_CHECK(out->status == TUNNELCAP_E_LOOP || out->status < TUNNELCAP_E_LOOP ||
                   out->status == TUNNELCAP_E_MALFORMED || out->status == TUNNELCAP_E_CHECKSUM ||
                   out->status == TUNNELCAP_E_ECN || out->status == TUNNELCAP_E_TRUNCATED);
        return;
    }
    if (out->action != TUNNELCAP_DO_DELIVER ||
        ((in->flags | out->flags) & TUNNELCAP_RESULT_CLAMPED))
        return;
    FUZZ_CHECK(reference_ip_parse(inner, was->len, &ip));
    FUZZ_CHECK(sent->packets[to].pkt.len == ip.end); /* padding is not carried */
    FUZZ_CHECK(memcmp(fuzz_packet_start(&sent->packets[to]), inner, ip.end) == 0);
}

static void carry_through(const struct end *end, const struct end *far_end, struct burst *burst,
                          struct manner *how)
{
    struct burst sent = {.count = 0}, made = {.count = 0};
    uint32_t from[PACKETS_MAX];

    how->direction = TUNNELCAP_ENCAP;
    carry(end, burst, how, &made);
    for (uint32_t i = 0; i < burst->count; i++) {
        if (burst->results[i].action != TUNNELCAP_DO_SEND)
            continue;
        FUZZ_CHECK(burst->packets[i].pkt.off < burst->packets[i].before.off);
        from[sent.count] = i;
        fuzz_packet_init(&sent.packets[sent.count++], fuzz_packet_start(&burst->packets[i]),
                         burst->packets[i].pkt.len, 0, 0);
    }
    how->direction = TUNNELCAP_DECAP;
    carry(far_end, &sent, how, NULL);
    for (uint32_t i = 0; i < sent.count; i++) {
        check_through(burst, from[i], &sent, i);
        fuzz_packet_fini(&sent.packets[i]);
    }
    offer(far_end, &made, how, NULL);
    check_counters(far_end, TUNNELCAP_DECAP, sent.count + made.count);
    for (uint32_t i = 0; i < made.count; i++)
        fuzz_packet_fini(&made.packets[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct fuzz_input in = {bytes, len};
    uint32_t options = fuzz_u8(&in);
    struct manner how = {TUNNELCAP_DECAP, (options >> 1) % PACKETS_MAX + 1, options >> 3 & 3,
                         options >> 5 | (options & 1 ? 0 : COUNT_TTL)};
    unsigned repairs = fuzz_u8(&in);
    uint32_t head = fuzz_u8(&in) % 80U;
    struct end near_end = make_end(false, how.policy), far_end = make_end(true, how.policy);
    struct burst burst;

    read_packets(&in, &burst, head);
    if (options & 1) {
        carry_through(&near_end, &far_end, &burst, &how);
    } else {
        for (uint32_t i = 0; i < burst.count; i++) {
            uint8_t *p = fuzz_packet_start(&burst.packets[i]);
            bool ipv6 = burst.packets[i].pkt.len > 0 && p[0] / 16 == 6;
            tunnelcap_addr from = fuzz_remote(ipv6), to = fuzz_local(ipv6);

            reference_repair(p, burst.packets[i].pkt.len, repairs, &from, &to);
            fuzz_packet_snapshot(&burst.packets[i]);
        }
        carry(&near_end, &burst, &how, NULL);
    }
    for (uint32_t i = 0; i < burst.count; i++)
        fuzz_packet_fini(&burst.packets[i]);
    free_end(&near_end);
    free_end(&far_end);
    return 0;
}
