/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* One packet into a GRE tunnel and out at its other end. */
#include <stdio.h>
#include <string.h>
#include <tunnelcap/tunnelcap.h>

static const tunnelcap_addr edge = {.bytes = {192, 0, 2, 1}, .family = TUNNELCAP_IPV4};
static const tunnelcap_addr customer = {.bytes = {198, 51, 100, 1}, .family = TUNNELCAP_IPV4};
static const char ipv4[] = "\x45\0\0\x1c\0\0\x40\0\x40\xfd\x25\xe3" /* 28 bytes, protocol 253 */
                           "\x0a\0\0\x01\x0a\0\0\x02hello!!!";      /* 10.0.0.1 to 10.0.0.2 */

int main(void)
{
    static const uint8_t seed[TUNNELCAP_SEED_SIZE]; /* in earnest: from getrandom(2) */
    uint8_t buf[128];
    tunnelcap_pkt pkt = {.buf = buf, .cap = sizeof buf, .off = 64, .len = 28};
    tunnelcap_gre *near_end = NULL, *far_end = NULL;
    tunnelcap_gre_config config;
    tunnelcap_lane_config lane_config;
    tunnelcap_lane *lane = NULL;

    tunnelcap_lane_config_init(&lane_config, sizeof lane_config);
    tunnelcap_lane_new(&lane_config, seed, NULL, NULL, &lane);
    tunnelcap_gre_config_init(&config, sizeof config);
    config.outer.local = edge, config.outer.remote = customer;
    tunnelcap_gre_new(&config, NULL, &near_end);
    config.outer.local = customer, config.outer.remote = edge;
    tunnelcap_gre_new(&config, NULL, &far_end);

    memcpy(buf + pkt.off, ipv4, pkt.len); /* behind room for the tunnel's headers */
    tunnelcap_gre_encap(near_end, lane, &pkt, NULL, 0, 1);
    printf("encapsulated: %s, %u bytes\n", tunnelcap_status_name(pkt.status), pkt.len);
    tunnelcap_gre_decap(far_end, &pkt, NULL, 0, NULL, 1);
    printf("decapsulated: %s, %u bytes, %.8s\n", tunnelcap_status_name(pkt.status), pkt.len,
           (const char *)&buf[pkt.off + 20]);

    tunnelcap_gre_free(near_end);
    tunnelcap_gre_free(far_end);
    tunnelcap_lane_free(lane);
    return pkt.status == TUNNELCAP_OK ? 0 : 1;
}
