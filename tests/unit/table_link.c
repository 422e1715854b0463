/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "table_link.h"

static const char *const ends4[2] = {"192.0.2.1", "198.51.100.1"};
static const char *const ends6[2] = {"2001:db8::1", "2001:db8::2"};
static const char *const hosts4[2] = {"203.0.113.9", "10.1.0.9"};
static const char *const hosts6[2] = {"2001:db8:f::9", "fd00:1::9"};
static const char *const prefixes[2][2] = {{"203.0.113.0/24", "2001:db8:f::/48"},
                                           {"10.1.0.0/16", "fd00:1::/32"}};

static bool over_ipv6(uint32_t kind)
{
    return kind == LINK_GRE6 || kind == LINK_ESP_UDP6;
}

static bool is_esp(uint32_t kind)
{
    return kind == LINK_ESP || kind == LINK_ESP_UDP6 || kind == LINK_GRE_ESP;
}

void table_link_policies(tunnelcap_tunnel policies[2])
{
    for (uint32_t end = 0; end < 2; end++) {
        test_ok(tunnelcap_tunnel_init(&policies[end], sizeof(policies[end])));
        policies[end].interface4 = test_addr(end == 0 ? "10.255.0.0" : "10.255.0.1");
        policies[end].interface6 = test_addr(end == 0 ? "fd00:ff::" : "fd00:ff::1");
    }
}

/* SAs from each end to the other, with SPIs 0x1001 and 0x1002. */
static void make_sas(table_link *link)
{
    const char *const *ends = over_ipv6(link->kind) ? ends6 : ends4;
    tunnelcap_transform transform = test_gcm();
    for (uint32_t from = 0; from < 2; from++) {
        tunnelcap_esp_config out = test_esp_config(TUNNELCAP_ESP_OUT, ends[from], ends[1 - from]);
        tunnelcap_esp_config in = test_esp_config(TUNNELCAP_ESP_IN, ends[from], ends[1 - from]);
        out.spi = in.spi = 0x1001 + from;
        out.flags = in.flags = link->kind == LINK_ESP_UDP6 ? TUNNELCAP_ESP_UDP : 0;
        out.mode = in.mode =
            link->kind == LINK_GRE_ESP ? TUNNELCAP_ESP_TRANSPORT : TUNNELCAP_ESP_TUNNEL;
        link->out[from] = test_esp_new(&out, &transform, &link->toy.crypto);
        link->in[1 - from] = test_esp_new(&in, &transform, &link->toy.crypto);
    }
}

void table_link_set(table_link *link, uint32_t end, const tunnelcap_tunnel *policy)
{
    const char *const *ends = over_ipv6(link->kind) ? ends6 : ends4;
    tunnelcap_table *table = link->tables[end];
    uint32_t flags = link->kind == LINK_GRE_UDP ? TUNNELCAP_GRE_UDP : 0;
    tunnelcap_gre_config gre = test_gre_config(ends[end], ends[1 - end], flags);
    tunnelcap_ipip_config ipip = test_ipip_config(ends[end], ends[1 - end], 0);
    test_ok(tunnelcap_table_begin(table));
    if (is_esp(link->kind)) {
        test_ok(link->kind == LINK_GRE_ESP
                    ? tunnelcap_table_set_gre_esp(table, LINK_ID, policy, &gre)
                    : tunnelcap_table_set_esp(table, LINK_ID, policy));
        test_sa_pair(table, LINK_ID, link->in[end], link->out[end]);
    } else if (link->kind == LINK_IPIP) {
        test_ok(tunnelcap_table_set_ipip(table, LINK_ID, policy, &ipip));
    } else {
        test_ok(tunnelcap_table_set_gre(table, LINK_ID, policy, &gre));
    }
    for (uint32_t six = 0; six < 2; six++) {
        tunnelcap_route route = test_route(prefixes[1 - end][six], LINK_ID);
        test_ok(tunnelcap_table_set_route(table, &route));
    }
    test_ok(tunnelcap_table_commit(table, NULL));
}

void table_link_open(table_link *link, uint32_t kind, const tunnelcap_tunnel policies[2])
{
    table_link_open_as(link, kind, policies, NULL);
}

void table_link_open_as(table_link *link, uint32_t kind, const tunnelcap_tunnel policies[2],
                        const tunnelcap_table_config *near)
{
    static const uint32_t mtus[LINK_KINDS] = {1476, 1456, 1468, 1480, 1446, 1418, 1442};
    memset(link, 0, sizeof(*link));
    test_toy_init(&link->toy);
    link->kind = kind;
    link->mtu = mtus[kind];
    if (is_esp(kind))
        make_sas(link);
    for (uint32_t end = 0; end < 2; end++) {
        if (end == 0 && near != NULL)
            test_ok(tunnelcap_table_new(near, test_seed, test_alloc(), &link->tables[end]));
        else
            link->tables[end] = test_table_new(4, 8, 1);
        link->lanes[end] = test_crypto_lane(&link->toy.crypto, 8);
        test_ok(tunnelcap_table_attach(link->tables[end], link->lanes[end]));
        table_link_set(link, end, &policies[end]);
    }
}

void table_link_reassemble(table_link *link, bool outer, bool inner)
{
    tunnelcap_reassembly_config config;
    bool wanted[2] = {outer, inner};
    test_ok(tunnelcap_reassembly_config_init(&config, sizeof(config)));
    config.sets = 16;
    config.bytes = 1 << 18;
    config.source_share = 100;
    for (uint32_t i = 0; i < 2; i++) {
        tunnelcap_reassembly_free(link->reassembly[i]);
        link->reassembly[i] = NULL;
        if (wanted[i])
            test_ok(
                tunnelcap_reassembly_new(&config, test_seed, test_alloc(), &link->reassembly[i]));
    }
    test_ok(
        tunnelcap_table_set_reassembly(link->lanes[1], link->reassembly[0], link->reassembly[1]));
}

void table_link_close(table_link *link)
{
    tunnelcap_reassembly_free(link->reassembly[0]);
    tunnelcap_reassembly_free(link->reassembly[1]);
    for (uint32_t end = 0; end < 2; end++) {
        for (uint32_t i = 0; i < 2 && is_esp(link->kind); i++) {
            tunnelcap_esp_forget(link->out[i], link->lanes[end]);
            tunnelcap_esp_forget(link->in[i], link->lanes[end]);
        }
        test_table_end(link->tables[end], link->lanes[end]);
    }
    for (uint32_t end = 0; end < 2; end++) {
        tunnelcap_esp_free(link->out[end]);
        tunnelcap_esp_free(link->in[end]);
    }
    ck_assert_uint_eq(link->toy.keys_live + link->toy.lanes_live, 0);
}

void table_link_inner(uint32_t from, uint32_t family, uint32_t total, bool df)
{
    const char *const *hosts = family == TUNNELCAP_IPV4 ? hosts4 : hosts6;
    test_ip ip = test_between(hosts[from], hosts[1 - from]);
    ip.frag = df ? 0x4000 : 0;
    ip.id = 0x1234;
    test_udp_packet(&world_frame, &ip, total - (family == TUNNELCAP_IPV4 ? 28 : 48));
    ck_assert_uint_eq(world_frame.len, total);
}

test_ip table_link_outer(const table_link *link, uint32_t from)
{
    const char *const *ends = over_ipv6(link->kind) ? ends6 : ends4;
    return test_between(ends[from], ends[1 - from]);
}
