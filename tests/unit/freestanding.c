/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The library as built for firmware: no allocator of its own, all else the same. A program of
 * its own, since it links a library compiled with TUNNELCAP_FREESTANDING. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tunnelcap/tunnelcap.h>

static const uint8_t seed[TUNNELCAP_SEED_SIZE] = {1, 2, 3};

static int failures;

static void expect(int32_t got, int32_t want, const char *what)
{
    if (got == want)
        return;
    fprintf(stderr, "%s: %s, expected %s\n", what, tunnelcap_status_name(got),
            tunnelcap_status_name(want));
    failures++;
}

static void use_static_memory(const tunnelcap_gre_config *config)
{
    static _Alignas(64) uint8_t arena[8192];
    size_t size = tunnelcap_gre_size(config);
    tunnelcap_gre *gre = NULL;
    expect(size <= sizeof(arena) ? TUNNELCAP_OK : TUNNELCAP_E_NOMEM, TUNNELCAP_OK, "size");
    expect(tunnelcap_gre_init(arena, sizeof(arena), config, &gre), TUNNELCAP_OK, "init");
    expect((int32_t)tunnelcap_gre_inner_mtu(gre, 1500), 1476, "inner MTU");
    tunnelcap_gre_fini(gre);
}

int main(void)
{
    tunnelcap_gre_config gre;
    tunnelcap_ipip_config ipip;
    tunnelcap_lane_config lane;
    tunnelcap_table_config table;
    tunnelcap_gre *gre_out = NULL;
    tunnelcap_ipip *ipip_out = NULL;
    tunnelcap_lane *lane_out = NULL;
    tunnelcap_table *table_out = NULL;
    static const uint8_t local[4] = {192, 0, 2, 1}, remote[4] = {192, 0, 2, 2};

    tunnelcap_gre_config_init(&gre, sizeof(gre));
    memcpy(gre.outer.local.bytes, local, 4);
    memcpy(gre.outer.remote.bytes, remote, 4);
    gre.outer.local.family = gre.outer.remote.family = TUNNELCAP_IPV4;
    tunnelcap_ipip_config_init(&ipip, sizeof(ipip));
    ipip.outer = gre.outer;
    tunnelcap_lane_config_init(&lane, sizeof(lane));
    tunnelcap_table_config_init(&table, sizeof(table));

    expect(tunnelcap_gre_new(&gre, NULL, &gre_out), TUNNELCAP_E_UNSUPPORTED, "gre");
    expect(tunnelcap_ipip_new(&ipip, NULL, &ipip_out), TUNNELCAP_E_UNSUPPORTED, "ipip");
    expect(tunnelcap_lane_new(&lane, seed, NULL, NULL, &lane_out), TUNNELCAP_E_UNSUPPORTED, "lane");
    expect(tunnelcap_table_new(&table, seed, NULL, &table_out), TUNNELCAP_E_UNSUPPORTED, "table");
    use_static_memory(&gre);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
