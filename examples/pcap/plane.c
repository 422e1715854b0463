/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "plane.h"

#include <err.h>
#include <sys/random.h>

/* More keys than that are loaded again as they are needed. */
enum { MOST_KEY_SLOTS = 4096 };

/* Tell what failed, unless it did not. */
static bool succeeded(int32_t status, const char *what)
{
    if (status < 0)
        warnx("%s: %s", what, tunnelcap_status_text(status));
    return status >= 0;
}

bool plane_draw_seed(uint8_t seed[TUNNELCAP_SEED_SIZE])
{
    bool drawn = getrandom(seed, TUNNELCAP_SEED_SIZE, 0) == TUNNELCAP_SEED_SIZE;

    if (!drawn)
        warn("random seed");
    return drawn;
}

bool plane_open_lane(tunnelcap_lane **lane, const tunnelcap_crypto *crypto, uint32_t keys)
{
    uint8_t seed[TUNNELCAP_SEED_SIZE];
    tunnelcap_lane_config config;

    tunnelcap_lane_config_init(&config, sizeof config);
    if (keys > config.key_slots)
        config.key_slots = keys < MOST_KEY_SLOTS ? keys : MOST_KEY_SLOTS;
    return plane_draw_seed(seed) &&
           succeeded(tunnelcap_lane_new(&config, seed, crypto, NULL, lane), "lane");
}

bool plane_open(struct plane *plane, uint32_t tunnels, uint32_t sas, const tunnelcap_crypto *crypto)
{
    uint8_t seed[TUNNELCAP_SEED_SIZE];
    tunnelcap_table_config config;

    *plane = (struct plane){0};
    tunnelcap_table_config_init(&config, sizeof config);
    config.tunnels = tunnels ? tunnels : 1;
    config.sas = sas ? sas : 1;
    config.lanes = 1;
    return plane_draw_seed(seed) &&
           succeeded(tunnelcap_table_new(&config, seed, NULL, &plane->table), "table of tunnels") &&
           plane_open_lane(&plane->lane, crypto, sas) &&
           succeeded(tunnelcap_table_begin(plane->table), "table of tunnels");
}

bool plane_start(struct plane *plane)
{
    return succeeded(tunnelcap_table_commit(plane->table, NULL), "table of tunnels") &&
           succeeded(tunnelcap_table_attach(plane->table, plane->lane), "lane");
}

bool plane_carry(struct plane *plane, plane_call *call, tunnelcap_pkt *pkts, uint32_t count,
                 uint64_t now_ns)
{
    tunnelcap_burst burst = {
        .size = sizeof burst,
        .now_ns = now_ns,
        .pkt_count = count,
        .result_cap = SOURCE_BATCH,
        .pkts = pkts,
        .results = plane->results,
    };

    return succeeded(call(plane->lane, &burst), "burst");
}

void plane_close(struct plane *plane)
{
    if (plane->table && plane->lane)
        tunnelcap_table_detach(plane->table, plane->lane);
    tunnelcap_lane_free(plane->lane);
    tunnelcap_table_free(plane->table);
}
