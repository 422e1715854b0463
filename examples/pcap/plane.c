/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "plane.h"

#include <err.h>
#include <sys/random.h>

/* Tell what failed, unless it did not. */
static bool succeeded(int32_t status, const char *what)
{
    if (status < 0)
        warnx("%s: %s", what, tunnelcap_status_text(status));
    return status >= 0;
}

bool plane_open(struct plane *plane, uint32_t tunnels)
{
    uint8_t seeds[2][TUNNELCAP_SEED_SIZE];
    tunnelcap_table_config table;
    tunnelcap_lane_config lane;

    *plane = (struct plane){0};
    if (getrandom(seeds, sizeof seeds, 0) != (ssize_t)sizeof seeds) {
        warn("random seed");
        return false;
    }
    tunnelcap_table_config_init(&table, sizeof table);
    tunnelcap_lane_config_init(&lane, sizeof lane);
    table.tunnels = tunnels ? tunnels : 1;
    table.lanes = 1;
    return succeeded(tunnelcap_table_new(&table, seeds[0], NULL, &plane->table),
                     "table of tunnels") &&
           succeeded(tunnelcap_lane_new(&lane, seeds[1], NULL, NULL, &plane->lane), "lane") &&
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
