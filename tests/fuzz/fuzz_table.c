/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Bursts through a small fixed table: any bytes into decapsulation, or any inner packets into
 * encapsulation and then out of the table at the far end.
 *
 * Input: direction (bit 0) and result room (bits 1 to 3), repairs, headroom, then packets, each
 * behind its length (2).
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "reference.h"

enum { PACKETS_MAX = 4, TUNNELS = 6 };

struct end {
    tunnelcap_table *table;
    tunnelcap_lane *lane;
};

struct burst {
    struct fuzz_packet packets[PACKETS_MAX];
    tunnelcap_pkt pkts[PACKETS_MAX];
    tunnelcap_result results[PACKETS_MAX];
    uint32_t count;
};

static void set_ends(tunnelcap_outer *outer, bool ipv6, bool far_end)
{
    outer->local = far_end ? fuzz_remote(ipv6) : fuzz_local(ipv6);
    outer->remote = far_end ? fuzz_local(ipv6) : fuzz_remote(ipv6);
}

static void add_gre(tunnelcap_table *table, uint64_t id, uint32_t flags, bool ipv6, bool far_end)
{
    tunnelcap_gre_config config;

    FUZZ_CHECK(tunnelcap_gre_config_init(&config, sizeof(config)) == TUNNELCAP_OK);
    set_ends(&config.outer, ipv6, far_end);
    config.flags = flags;
    config.key_in = config.key_out = flags & TUNNELCAP_GRE_KEY_IN ? 0x01020304 : 0;
    config.outer.encap_limit_mode = ipv6;
    config.outer.encap_limit = ipv6 ? 4 : 0;
    FUZZ_CHECK(tunnelcap_table_set_gre(table, id, NULL, &config) == TUNNELCAP_OK);
}

static void add_ipip(tunnelcap_table *table, uint64_t id, bool ipv6, bool far_end)
{
    tunnelcap_ipip_config config;

    FUZZ_CHECK(tunnelcap_ipip_config_init(&config, sizeof(config)) == TUNNELCAP_OK);
    set_ends(&config.outer, ipv6, far_end);
    FUZZ_CHECK(tunnelcap_table_set_ipip(table, id, NULL, &config) == TUNNELCAP_OK);
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

static struct end make_end(bool far_end)
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
    add_gre(end.table, 1, 0, false, far_end);
    add_gre(end.table, 2, KEYED, false, far_end);
    add_gre(end.table, 3, TUNNELCAP_GRE_UDP, false, far_end);
    add_ipip(end.table, 4, false, far_end);
    add_gre(end.table, 5, 0, true, far_end);
    add_ipip(end.table, 6, true, far_end);
    for (uint64_t id = 1; id <= TUNNELS; id++)
        add_routes(end.table, id);
    FUZZ_CHECK(tunnelcap_table_commit(end.table, NULL) == TUNNELCAP_OK);
    FUZZ_CHECK(tunnelcap_table_attach(end.table, end.lane) == TUNNELCAP_OK);
    return end;
}

static void free_end(const struct end *end)
{
    FUZZ_CHECK(tunnelcap_table_detach(end->table, end->lane) == TUNNELCAP_OK);
    tunnelcap_table_free(end->table);
    tunnelcap_lane_free(end->lane);
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

/* Offer the whole burst, with room for only some of the results at a time. */
static void offer(const struct end *end, struct burst *burst, uint32_t direction, uint32_t room)
{
    uint32_t done = 0;

    for (uint32_t i = 0; i < burst->count; i++)
        burst->pkts[i] = burst->packets[i].pkt;
    memset(burst->results, 0xa5, sizeof(burst->results));
    while (done < burst->count) {
        tunnelcap_burst call = {.size = sizeof(call),
                                .pkt_count = burst->count - done,
                                .result_cap = room,
                                .pkts = burst->pkts + done,
                                .results = burst->results + done};
        int32_t status = direction == TUNNELCAP_ENCAP ? tunnelcap_table_encap(end->lane, &call)
                                                      : tunnelcap_table_decap(end->lane, &call);

        FUZZ_CHECK(status == TUNNELCAP_OK);
        FUZZ_CHECK(call.pkt_done == (call.pkt_count < room ? call.pkt_count : room));
        FUZZ_CHECK(call.result_count == call.pkt_done && call.spare_used == 0);
        for (uint32_t i = 0; i < call.pkt_done; i++)
            FUZZ_CHECK(burst->results[done + i].index == i);
        done += call.pkt_done;
    }
    for (uint32_t i = 0; i < burst->count; i++)
        burst->packets[i].pkt = burst->pkts[i];
}

static void check_result(const struct fuzz_packet *packet, const tunnelcap_result *result,
                         uint32_t direction)
{
    fuzz_packet_check_window(packet);
    FUZZ_CHECK(result->tunnel <= TUNNELS);
    FUZZ_CHECK(result->reserved == 0);
    FUZZ_CHECK((result->flags & ~(uint32_t)TUNNELCAP_RESULT_CLAMPED) == 0);
    switch (result->action) {
    case TUNNELCAP_DO_DROP:
        FUZZ_CHECK(tunnelcap_status_class(result->status) == TUNNELCAP_CLASS_DROP ||
                   tunnelcap_status_class(result->status) == TUNNELCAP_CLASS_ROOM ||
                   result->status == TUNNELCAP_E_NEED_SA);
        /* A loop shows only in a packet that has been unwrapped. */
        if (result->status != TUNNELCAP_E_LOOP)
            fuzz_packet_check_unchanged(packet);
        break;
    case TUNNELCAP_DO_SEND:
        FUZZ_CHECK(direction == TUNNELCAP_ENCAP && result->status == TUNNELCAP_OK);
        FUZZ_CHECK(result->tunnel != 0 && packet->pkt.off < packet->before.off);
        break;
    case TUNNELCAP_DO_REPLY:
        FUZZ_CHECK(direction == TUNNELCAP_DECAP && result->status == TUNNELCAP_KEEPALIVE);
        break;
    default:
        FUZZ_CHECK(result->action == TUNNELCAP_DO_DELIVER);
        FUZZ_CHECK(direction == TUNNELCAP_DECAP && result->status == TUNNELCAP_OK);
        FUZZ_CHECK(result->tunnel != 0 && packet->pkt.off > packet->before.off);
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
        FUZZ_CHECK(c->clamped <= c->packets && c->inner_bytes <= c->outer_bytes);
        seen += c->packets + c->replied + c->refused;
    }
    FUZZ_CHECK(seen == offered);
}

static void carry(const struct end *end, struct burst *burst, uint32_t direction, uint32_t room)
{
    offer(end, burst, direction, room);
    for (uint32_t i = 0; i < burst->count; i++)
        check_result(&burst->packets[i], &burst->results[i], direction);
    check_counters(end, direction, burst->count);
}

/* What one end has sent, the other delivers as it was. */
static void carry_through(const struct end *end, const struct end *far_end, struct burst *burst,
                          uint32_t room)
{
    struct burst sent = {.count = 0};
    uint32_t from[PACKETS_MAX];

    carry(end, burst, TUNNELCAP_ENCAP, room);
    for (uint32_t i = 0; i < burst->count; i++) {
        if (burst->results[i].action != TUNNELCAP_DO_SEND)
            continue;
        from[sent.count] = i;
        fuzz_packet_init(&sent.packets[sent.count++], fuzz_packet_start(&burst->packets[i]),
                         burst->packets[i].pkt.len, 0, 0);
    }
    carry(far_end, &sent, TUNNELCAP_DECAP, room);
    for (uint32_t i = 0; i < sent.count; i++) {
        const tunnelcap_result *in = &burst->results[from[i]], *out = &sent.results[i];
        const tunnelcap_pkt *was = &burst->packets[from[i]].before;

        FUZZ_CHECK(out->tunnel == in->tunnel);
        if (out->action == TUNNELCAP_DO_DROP) {
            FUZZ_CHECK(out->status == TUNNELCAP_E_LOOP);
        } else if (!((in->flags | out->flags) & TUNNELCAP_RESULT_CLAMPED)) {
            const uint8_t *inner = burst->packets[from[i]].copy + was->off;
            struct reference_ip ip;

            FUZZ_CHECK(reference_ip_parse(inner, was->len, &ip));
            FUZZ_CHECK(sent.packets[i].pkt.len == ip.end); /* padding is not carried */
            FUZZ_CHECK(memcmp(fuzz_packet_start(&sent.packets[i]), inner, ip.end) == 0);
        }
        fuzz_packet_fini(&sent.packets[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct fuzz_input in = {bytes, len};
    uint32_t options = fuzz_u8(&in);
    uint32_t room = (options >> 1) % PACKETS_MAX + 1;
    unsigned repairs = fuzz_u8(&in);
    uint32_t head = fuzz_u8(&in) % 80U;
    struct end near_end = make_end(false), far_end = make_end(true);
    struct burst burst;

    read_packets(&in, &burst, head);
    if (options & 1) {
        carry_through(&near_end, &far_end, &burst, room);
    } else {
        for (uint32_t i = 0; i < burst.count; i++) {
            uint8_t *p = fuzz_packet_start(&burst.packets[i]);
            bool ipv6 = burst.packets[i].pkt.len > 0 && p[0] / 16 == 6;
            tunnelcap_addr from = fuzz_remote(ipv6), to = fuzz_local(ipv6);

            reference_repair(p, burst.packets[i].pkt.len, repairs, &from, &to);
            fuzz_packet_snapshot(&burst.packets[i]);
        }
        carry(&near_end, &burst, TUNNELCAP_DECAP, room);
    }
    for (uint32_t i = 0; i < burst.count; i++)
        fuzz_packet_fini(&burst.packets[i]);
    free_end(&near_end);
    free_end(&far_end);
    return 0;
}
