/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

enum { KEY = 0x01020304, PATH_MTU = 9000 };

enum {
    F_KEY = TUNNELCAP_GRE_KEY_IN | TUNNELCAP_GRE_KEY_OUT,
    F_KEY_SEQ = F_KEY | TUNNELCAP_GRE_SEQUENCE,
    F_CSUM = TUNNELCAP_GRE_CHECKSUM,
    F_UDP = TUNNELCAP_GRE_UDP,
    F_UDP_ZERO = TUNNELCAP_GRE_UDP | TUNNELCAP_GRE_UDP_ZERO_CHECKSUM
};

const struct bench_case bench_cases[] = {
    {.name = "gre4-encap", .operation = ENCAP, .encap = hand_encap_gre4},
    {.name = "gre4-decap", .operation = DECAP, .decap = hand_decap_gre4},
    {.name = "gre4-key-encap",
     .operation = ENCAP,
     .gre_flags = F_KEY,
     .encap = hand_encap_gre4_key},
    {.name = "gre4-key-decap",
     .operation = DECAP,
     .gre_flags = F_KEY,
     .decap = hand_decap_gre4_key},
    {.name = "gre4-key-seq-encap",
     .operation = ENCAP,
     .gre_flags = F_KEY_SEQ,
     .encap = hand_encap_gre4_key_seq},
    {.name = "gre4-key-seq-decap",
     .operation = DECAP,
     .gre_flags = F_KEY_SEQ,
     .decap = hand_decap_gre4_key_seq},
    {.name = "gre4-csum-encap",
     .operation = ENCAP,
     .gre_flags = F_CSUM,
     .encap = hand_encap_gre4_csum},
    {.name = "gre4-csum-decap",
     .operation = DECAP,
     .gre_flags = F_CSUM,
     .decap = hand_decap_gre4_csum},
    {.name = "gre4-udp-encap",
     .operation = ENCAP,
     .gre_flags = F_UDP,
     .encap = hand_encap_gre4_udp},
    {.name = "gre4-udp-decap",
     .operation = DECAP,
     .gre_flags = F_UDP,
     .decap = hand_decap_gre4_udp},
    {.name = "gre4-udp-zero-encap",
     .operation = ENCAP,
     .gre_flags = F_UDP_ZERO,
     .encap = hand_encap_gre4_udp_zero},
    {.name = "gre4-udp-zero-decap",
     .operation = DECAP,
     .gre_flags = F_UDP_ZERO,
     .decap = hand_decap_gre4_udp},
    {.name = "gre6-encap", .operation = ENCAP, .ipv6 = true, .encap = hand_encap_gre6},
    {.name = "gre6-decap", .operation = DECAP, .ipv6 = true, .decap = hand_decap_gre6},
    {.name = "ipip4-encap", .operation = ENCAP, .ipip = true, .encap = hand_encap_ipip4},
    {.name = "ipip4-decap", .operation = DECAP, .ipip = true, .decap = hand_decap_ipip4},
    {.name = "mss-not-tcp", .operation = CLAMP, .traffic = TRAFFIC_UDP, .limit_ns = 3},
    {.name = "mss-not-syn", .operation = CLAMP, .traffic = TRAFFIC_ACK, .limit_ns = 3},
    {.name = "mss-syn", .operation = CLAMP, .traffic = TRAFFIC_SYN, .limit_ns = 15},
    {.name = "table-1-encap", .operation = ENCAP, .table_tunnels = 1},
    {.name = "table-1-decap", .operation = DECAP, .table_tunnels = 1},
    {.name = "table-10k-encap", .operation = ENCAP, .table_tunnels = TUNNELS_MANY, .limit_ns = 30},
    {.name = "table-10k-decap", .operation = DECAP, .table_tunnels = TUNNELS_MANY},
};

const uint32_t bench_case_count = sizeof(bench_cases) / sizeof(bench_cases[0]);

void bench_fail(const char *what)
{
    fprintf(stderr, "tunnelcap-bench: %s\n", what);
    exit(1);
}

static void need(int32_t status, const char *what)
{
    if (status == TUNNELCAP_OK)
        return;
    fprintf(stderr, "tunnelcap-bench: %s: %s\n", what, tunnelcap_status_text(status));
    exit(1);
}

/* End number `end` of a tunnel, as host 1 or 2 of a documentation network. */
static void set_end(tunnelcap_addr *addr, bool ipv6, uint32_t end)
{
    static const uint8_t prefix4[3] = {192, 0, 2};
    static const uint8_t prefix6[4] = {0x20, 0x01, 0x0d, 0xb8};

    memset(addr, 0, sizeof(*addr));
    addr->family = ipv6 ? TUNNELCAP_IPV6 : TUNNELCAP_IPV4;
    memcpy(addr->bytes, ipv6 ? prefix6 : prefix4, ipv6 ? sizeof(prefix6) : sizeof(prefix4));
    addr->bytes[ipv6 ? 15 : 3] = (uint8_t)end;
}

static void set_outer(const struct bench_case *c, bool far_end, tunnelcap_outer *outer)
{
    set_end(&outer->local, c->ipv6, far_end ? 2 : 1);
    set_end(&outer->remote, c->ipv6, far_end ? 1 : 2);
}

static void set_gre(const struct bench_case *c, bool far_end, tunnelcap_gre_config *config)
{
    need(tunnelcap_gre_config_init(config, sizeof(*config)), "GRE defaults");
    set_outer(c, far_end, &config->outer);
    config->flags = c->gre_flags;
    config->key_in = config->key_out = c->gre_flags & F_KEY ? KEY : 0;
}

static void init_lane(struct subject *s)
{
    static const uint8_t seed[TUNNELCAP_SEED_SIZE] = {5, 4, 3, 2, 1};
    tunnelcap_lane_config config;

    need(tunnelcap_lane_config_init(&config, sizeof(config)), "lane defaults");
    need(tunnelcap_lane_new(&config, seed, NULL, NULL, &s->lane), "lane");
}

static void init_tunnel(struct subject *s)
{
    tunnelcap_gre_config near_gre, far_gre;
    tunnelcap_ipip_config near_ipip, far_ipip;

    if (s->c->ipip) {
        need(tunnelcap_ipip_config_init(&near_ipip, sizeof(near_ipip)), "IPIP defaults");
        near_ipip.outer.df_mode = TUNNELCAP_DF_SET; /* as the hand loop does */
        far_ipip = near_ipip;
        set_outer(s->c, false, &near_ipip.outer);
        set_outer(s->c, true, &far_ipip.outer);
        need(tunnelcap_ipip_new(&near_ipip, NULL, &s->ipip), "IPIP tunnel");
        need(tunnelcap_ipip_new(&far_ipip, NULL, &s->far_ipip), "IPIP tunnel");
        hand_init_ipip(&s->hand, &near_ipip);
        return;
    }
    set_gre(s->c, false, &near_gre);
    set_gre(s->c, true, &far_gre);
    need(tunnelcap_gre_new(&near_gre, NULL, &s->gre), "GRE tunnel");
    need(tunnelcap_gre_new(&far_gre, NULL, &s->far_gre), "GRE tunnel");
    hand_init_gre(&s->hand, &near_gre);
}

/* Tunnels that differ by their keys, and a /32 route into each. */
static void init_table(struct subject *s)
{
    static const uint8_t seed[TUNNELCAP_SEED_SIZE] = {1, 2, 3, 4, 5};
    uint32_t count = s->c->table_tunnels;
    tunnelcap_table_config config;
    tunnelcap_tunnel policy;
    tunnelcap_route route;
    tunnelcap_gre_config gre;

    need(tunnelcap_table_config_init(&config, sizeof(config)), "table defaults");
    config.tunnels = config.routes = count;
    need(tunnelcap_table_new(&config, seed, NULL, &s->table), "table");
    need(tunnelcap_table_begin(s->table), "table");
    need(tunnelcap_tunnel_init(&policy, sizeof(policy)), "tunnel defaults");
    need(tunnelcap_route_init(&route, sizeof(route)), "route defaults");
    set_gre(s->c, false, &gre);
    gre.flags = F_KEY;
    route.prefix.family = TUNNELCAP_IPV4;
    route.prefix_len = 32;
    for (uint32_t i = 0; i < count; i++) {
        gre.key_in = gre.key_out = i;
        need(tunnelcap_table_set_gre(s->table, i + 1, &policy, &gre), "tunnel");
        route.tunnel = i + 1;
        hand_store32(route.prefix.bytes, pool_destination(i));
        need(tunnelcap_table_set_route(s->table, &route), "route");
    }
    need(tunnelcap_table_commit(s->table, NULL), "table");
    need(tunnelcap_table_attach(s->table, s->lane), "lane");
}

void subject_init(struct subject *s, const struct bench_case *c)
{
    memset(s, 0, sizeof(*s));
    s->c = c;
    init_lane(s);
    if (c->operation == CLAMP) {
        need(tunnelcap_mss_config_init(&s->mss, sizeof(s->mss), SYN_LIMIT + 40), "MSS defaults");
    } else if (c->table_tunnels > 0) {
        init_table(s);
    } else {
        init_tunnel(s);
    }
}

void subject_fini(struct subject *s)
{
    tunnelcap_gre_free(s->gre);
    tunnelcap_gre_free(s->far_gre);
    tunnelcap_ipip_free(s->ipip);
    tunnelcap_ipip_free(s->far_ipip);
    if (s->table)
        tunnelcap_table_detach(s->table, s->lane);
    tunnelcap_table_free(s->table);
    tunnelcap_lane_free(s->lane);
}

static uint32_t run_table(struct subject *s, tunnelcap_pkt *pkts, uint32_t count)
{
    tunnelcap_result results[BATCH];
    tunnelcap_burst burst = {.size = sizeof(burst),
                             .pkt_count = count,
                             .result_cap = BATCH,
                             .pkts = pkts,
                             .results = results};
    uint32_t accepted = 0;

    if (s->c->operation == ENCAP)
        tunnelcap_table_encap(s->lane, &burst);
    else
        tunnelcap_table_decap(s->lane, &burst);
    for (uint32_t i = 0; i < burst.result_count; i++)
        accepted += results[i].action != TUNNELCAP_DO_DROP;
    return accepted;
}

uint32_t run_library(struct subject *s, tunnelcap_pkt *pkts, uint32_t count)
{
    if (s->c->operation == CLAMP)
        return tunnelcap_mss_clamp(&s->mss, pkts, NULL, 0, count);
    if (s->table)
        return run_table(s, pkts, count);
    if (s->c->operation == ENCAP)
        return s->ipip ? tunnelcap_ipip_encap(s->ipip, s->lane, pkts, NULL, 0, count)
                       : tunnelcap_gre_encap(s->gre, s->lane, pkts, NULL, 0, count);
    return s->ipip ? tunnelcap_ipip_decap(s->ipip, pkts, NULL, 0, count)
                   : tunnelcap_gre_decap(s->gre, pkts, NULL, 0, s->rx, count);
}

uint32_t run_hand(struct subject *s, tunnelcap_pkt *pkts, uint32_t count)
{
    if (s->c->operation == CLAMP)
        return hand_clamp(s->mss.limit4, s->mss.limit6, pkts, count);
    if (s->c->operation == ENCAP)
        return s->c->encap(&s->hand, pkts, count);
    return s->c->decap(&s->hand, pkts, s->rx, count);
}

/* Make outer packets for `subject` to unwrap: what its far end would send. */
uint32_t run_far_encap(struct subject *s, tunnelcap_pkt *pkts, uint32_t count)
{
    tunnelcap_gre_config config;
    uint32_t accepted = 0;

    if (s->ipip)
        return tunnelcap_ipip_encap(s->far_ipip, s->lane, pkts, NULL, 0, count);
    if (!s->table)
        return tunnelcap_gre_encap(s->far_gre, s->lane, pkts, NULL, 0, count);
    set_gre(s->c, true, &config);
    config.flags = F_KEY;
    for (uint32_t i = 0; i < count; i++) {
        tunnelcap_gre *gre;

        /* The inner destination says which of the tunnels, and so which key. */
        config.key_in = config.key_out =
            hand_load32(pkts[i].buf + pkts[i].off + 16) - pool_destination(0);
        need(tunnelcap_gre_new(&config, NULL, &gre), "GRE tunnel");
        accepted += tunnelcap_gre_encap(gre, s->lane, &pkts[i], NULL, 0, 1);
        tunnelcap_gre_free(gre);
    }
    return accepted;
}

uint32_t run_memcpy64(struct subject *s, tunnelcap_pkt *pkts, uint32_t count)
{
    (void)s;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *p = pkts[i].buf + pkts[i].off;

        memcpy(p - 64, p, 64);
    }
    return count;
}

/* Only the sum, over the bytes that a GRE checksum covers: its header of 8 bytes and the inner
 * packet. Before encapsulation the 8 bytes are whatever lies in the headroom. */
uint32_t run_checksum_pass(struct subject *s, tunnelcap_pkt *pkts, uint32_t count)
{
    bool encap = s->c->operation == ENCAP;

    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *p = pkts[i].buf + pkts[i].off;

        pkts[i].status = encap ? hand_sum(p - 8, pkts[i].len + 8)
                               : hand_sum(p + IPV4_HEADER, pkts[i].len - IPV4_HEADER);
    }
    return count;
}

uint32_t accepted_of(const struct bench_case *c, uint32_t count)
{
    return c->operation == CLAMP && c->traffic != TRAFFIC_SYN ? 0 : count;
}
