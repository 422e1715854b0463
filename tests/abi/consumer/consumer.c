/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * A program of somebody else: it sees nothing but the installed headers and library, touches
 * every function, and carries one packet through a tunnel.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tunnelcap/tunnelcap.h>

#define TOUCH(function)                                                                            \
    do {                                                                                           \
        void (*volatile touched)(void) = (void (*)(void))(function);                               \
        functions += touched != NULL;                                                              \
    } while (0)

static unsigned touch_all(void)
{
    unsigned functions = 0;

    TOUCH(tunnelcap_crypto_openssl);
    TOUCH(tunnelcap_crypto_self_test);
    TOUCH(tunnelcap_crypto_self_test_size);
    TOUCH(tunnelcap_esp_check_life);
    TOUCH(tunnelcap_esp_config_init);
    TOUCH(tunnelcap_esp_decap);
    TOUCH(tunnelcap_esp_decap_batch);
    TOUCH(tunnelcap_esp_decap_to);
    TOUCH(tunnelcap_esp_encap);
    TOUCH(tunnelcap_esp_encap_batch);
    TOUCH(tunnelcap_esp_encap_dummy);
    TOUCH(tunnelcap_esp_encap_len);
    TOUCH(tunnelcap_esp_encap_to);
    TOUCH(tunnelcap_esp_fini);
    TOUCH(tunnelcap_esp_forget);
    TOUCH(tunnelcap_esp_free);
    TOUCH(tunnelcap_esp_get_state);
    TOUCH(tunnelcap_esp_headroom);
    TOUCH(tunnelcap_esp_init);
    TOUCH(tunnelcap_esp_inner_mtu);
    TOUCH(tunnelcap_esp_keepalive);
    TOUCH(tunnelcap_esp_new);
    TOUCH(tunnelcap_esp_resync);
    TOUCH(tunnelcap_esp_set_selectors);
    TOUCH(tunnelcap_esp_size);
    TOUCH(tunnelcap_esp_tailroom);
    TOUCH(tunnelcap_fragment_begin);
    TOUCH(tunnelcap_fragment_config_init);
    TOUCH(tunnelcap_fragment_count);
    TOUCH(tunnelcap_fragment_len);
    TOUCH(tunnelcap_fragment_next);
    TOUCH(tunnelcap_gre_config_init);
    TOUCH(tunnelcap_gre_decap);
    TOUCH(tunnelcap_gre_encap);
    TOUCH(tunnelcap_gre_encap_len);
    TOUCH(tunnelcap_gre_fini);
    TOUCH(tunnelcap_gre_free);
    TOUCH(tunnelcap_gre_headroom);
    TOUCH(tunnelcap_gre_init);
    TOUCH(tunnelcap_gre_inner_mtu);
    TOUCH(tunnelcap_gre_new);
    TOUCH(tunnelcap_gre_size);
    TOUCH(tunnelcap_gso_finish_checksum);
    TOUCH(tunnelcap_gso_look);
    TOUCH(tunnelcap_gso_read);
    TOUCH(tunnelcap_gso_write);
    TOUCH(tunnelcap_health_answer);
    TOUCH(tunnelcap_health_config_init);
    TOUCH(tunnelcap_health_fini);
    TOUCH(tunnelcap_health_free);
    TOUCH(tunnelcap_health_get_info);
    TOUCH(tunnelcap_health_init);
    TOUCH(tunnelcap_health_new);
    TOUCH(tunnelcap_health_penalty);
    TOUCH(tunnelcap_health_size);
    TOUCH(tunnelcap_health_tick);
    TOUCH(tunnelcap_history_add);
    TOUCH(tunnelcap_history_config_init);
    TOUCH(tunnelcap_history_fini);
    TOUCH(tunnelcap_history_free);
    TOUCH(tunnelcap_history_get);
    TOUCH(tunnelcap_history_init);
    TOUCH(tunnelcap_history_new);
    TOUCH(tunnelcap_history_percentile);
    TOUCH(tunnelcap_history_size);
    TOUCH(tunnelcap_icmp_echo_build);
    TOUCH(tunnelcap_icmp_echo_init);
    TOUCH(tunnelcap_icmp_echo_read);
    TOUCH(tunnelcap_icmp_echo_reply);
    TOUCH(tunnelcap_icmp_error_build);
    TOUCH(tunnelcap_icmp_error_init);
    TOUCH(tunnelcap_icmp_limit_init);
    TOUCH(tunnelcap_icmp_limit_take);
    TOUCH(tunnelcap_icmp_parse);
    TOUCH(tunnelcap_icmp_relay);
    TOUCH(tunnelcap_ipip_config_init);
    TOUCH(tunnelcap_ipip_decap);
    TOUCH(tunnelcap_ipip_encap);
    TOUCH(tunnelcap_ipip_encap_len);
    TOUCH(tunnelcap_ipip_fini);
    TOUCH(tunnelcap_ipip_free);
    TOUCH(tunnelcap_ipip_headroom);
    TOUCH(tunnelcap_ipip_init);
    TOUCH(tunnelcap_ipip_inner_mtu);
    TOUCH(tunnelcap_ipip_new);
    TOUCH(tunnelcap_ipip_size);
    TOUCH(tunnelcap_lane_config_init);
    TOUCH(tunnelcap_lane_events);
    TOUCH(tunnelcap_lane_fini);
    TOUCH(tunnelcap_lane_free);
    TOUCH(tunnelcap_lane_init);
    TOUCH(tunnelcap_lane_new);
    TOUCH(tunnelcap_lane_samples);
    TOUCH(tunnelcap_lane_size);
    TOUCH(tunnelcap_mss_clamp);
    TOUCH(tunnelcap_mss_config_init);
    TOUCH(tunnelcap_outer_limit_at);
    TOUCH(tunnelcap_peek);
    TOUCH(tunnelcap_pmtu_answered);
    TOUCH(tunnelcap_pmtu_config_init);
    TOUCH(tunnelcap_pmtu_export);
    TOUCH(tunnelcap_pmtu_fini);
    TOUCH(tunnelcap_pmtu_free);
    TOUCH(tunnelcap_pmtu_get);
    TOUCH(tunnelcap_pmtu_get_info);
    TOUCH(tunnelcap_pmtu_import);
    TOUCH(tunnelcap_pmtu_init);
    TOUCH(tunnelcap_pmtu_learn);
    TOUCH(tunnelcap_pmtu_new);
    TOUCH(tunnelcap_pmtu_size);
    TOUCH(tunnelcap_pmtu_suspect);
    TOUCH(tunnelcap_pmtu_tick);
    TOUCH(tunnelcap_probe_read);
    TOUCH(tunnelcap_probe_write);
    TOUCH(tunnelcap_reassembly_add);
    TOUCH(tunnelcap_reassembly_config_init);
    TOUCH(tunnelcap_reassembly_expire);
    TOUCH(tunnelcap_reassembly_fini);
    TOUCH(tunnelcap_reassembly_free);
    TOUCH(tunnelcap_reassembly_get_stats);
    TOUCH(tunnelcap_reassembly_init);
    TOUCH(tunnelcap_reassembly_need);
    TOUCH(tunnelcap_reassembly_new);
    TOUCH(tunnelcap_reassembly_size);
    TOUCH(tunnelcap_reassembly_wait);
    TOUCH(tunnelcap_route_init);
    TOUCH(tunnelcap_selector_check);
    TOUCH(tunnelcap_selector_init);
    TOUCH(tunnelcap_selector_match);
    TOUCH(tunnelcap_status_at);
    TOUCH(tunnelcap_status_class);
    TOUCH(tunnelcap_status_name);
    TOUCH(tunnelcap_status_text);
    TOUCH(tunnelcap_table_abort);
    TOUCH(tunnelcap_table_answer);
    TOUCH(tunnelcap_table_attach);
    TOUCH(tunnelcap_table_begin);
    TOUCH(tunnelcap_table_commit);
    TOUCH(tunnelcap_table_config_init);
    TOUCH(tunnelcap_table_decap);
    TOUCH(tunnelcap_table_detach);
    TOUCH(tunnelcap_table_drop_history);
    TOUCH(tunnelcap_table_encap);
    TOUCH(tunnelcap_table_export_pmtu);
    TOUCH(tunnelcap_table_fini);
    TOUCH(tunnelcap_table_free);
    TOUCH(tunnelcap_table_get_health);
    TOUCH(tunnelcap_table_get_history);
    TOUCH(tunnelcap_table_get_info);
    TOUCH(tunnelcap_table_get_pmtu);
    TOUCH(tunnelcap_table_get_stats);
    TOUCH(tunnelcap_table_import_pmtu);
    TOUCH(tunnelcap_table_init);
    TOUCH(tunnelcap_table_keep_history);
    TOUCH(tunnelcap_table_new);
    TOUCH(tunnelcap_table_reasons);
    TOUCH(tunnelcap_table_remove);
    TOUCH(tunnelcap_table_find_route);
    TOUCH(tunnelcap_table_next_route);
    TOUCH(tunnelcap_table_remove_route);
    TOUCH(tunnelcap_table_remove_sa);
    TOUCH(tunnelcap_table_sa_at);
    TOUCH(tunnelcap_table_set_esp);
    TOUCH(tunnelcap_table_set_gre);
    TOUCH(tunnelcap_table_set_gre_esp);
    TOUCH(tunnelcap_table_set_ipip);
    TOUCH(tunnelcap_table_set_owner);
    TOUCH(tunnelcap_table_set_peer);
    TOUCH(tunnelcap_table_set_prober);
    TOUCH(tunnelcap_table_set_reassembly);
    TOUCH(tunnelcap_table_set_route);
    TOUCH(tunnelcap_table_set_sa);
    TOUCH(tunnelcap_table_settled);
    TOUCH(tunnelcap_table_size);
    TOUCH(tunnelcap_table_tick);
    TOUCH(tunnelcap_table_tunnel_at);
    TOUCH(tunnelcap_table_unwatch);
    TOUCH(tunnelcap_table_watch);
    TOUCH(tunnelcap_top_add);
    TOUCH(tunnelcap_top_clear);
    TOUCH(tunnelcap_top_config_init);
    TOUCH(tunnelcap_top_fini);
    TOUCH(tunnelcap_top_free);
    TOUCH(tunnelcap_top_init);
    TOUCH(tunnelcap_top_list);
    TOUCH(tunnelcap_top_new);
    TOUCH(tunnelcap_top_size);
    TOUCH(tunnelcap_traffic_add);
    TOUCH(tunnelcap_traffic_clear);
    TOUCH(tunnelcap_traffic_config_init);
    TOUCH(tunnelcap_traffic_fini);
    TOUCH(tunnelcap_traffic_free);
    TOUCH(tunnelcap_traffic_init);
    TOUCH(tunnelcap_traffic_list);
    TOUCH(tunnelcap_traffic_new);
    TOUCH(tunnelcap_traffic_size);
    TOUCH(tunnelcap_transform_check);
    TOUCH(tunnelcap_tunnel_init);
    TOUCH(tunnelcap_version);
    TOUCH(tunnelcap_version_text);
    TOUCH(tunnelcap_watch_init);
    return functions;
}

static int carry_one(void)
{
    static const uint8_t local[4] = {192, 0, 2, 1}, remote[4] = {198, 51, 100, 1};
    static const uint8_t inner[20] = {0x45, 0, 0,  20, 0, 0, 0,  0, 9, 59,
                                      0,    0, 10, 0,  0, 1, 10, 0, 0, 2};
    static const uint8_t seed[TUNNELCAP_SEED_SIZE] = {7};
    tunnelcap_gre_config config;
    tunnelcap_lane_config lane_config;
    tunnelcap_gre *gre = NULL;
    tunnelcap_lane *lane = NULL;
    uint8_t buf[64];
    tunnelcap_pkt pkt = {buf, sizeof(buf), 24, sizeof(inner), 0, NULL};

    tunnelcap_gre_config_init(&config, sizeof(config));
    memcpy(config.outer.local.bytes, local, sizeof(local));
    memcpy(config.outer.remote.bytes, remote, sizeof(remote));
    config.outer.local.family = config.outer.remote.family = TUNNELCAP_IPV4;
    tunnelcap_lane_config_init(&lane_config, sizeof(lane_config));
    if (tunnelcap_gre_new(&config, NULL, &gre) != TUNNELCAP_OK ||
        tunnelcap_lane_new(&lane_config, seed, NULL, NULL, &lane) != TUNNELCAP_OK)
        return 0;
    memcpy(buf + 24, inner, sizeof(inner));
    tunnelcap_gre_encap(gre, lane, &pkt, NULL, 0, 1);
    tunnelcap_lane_free(lane);
    tunnelcap_gre_free(gre);
    return pkt.status == TUNNELCAP_OK && pkt.len == 44 && buf[9] == 47 &&
           memcmp(buf + 24, inner, sizeof(inner)) == 0;
}

int main(void)
{
    unsigned functions = touch_all();

    if (tunnelcap_version() != TUNNELCAP_VERSION || !carry_one())
        return EXIT_FAILURE;
    printf("tunnelcap %s: %u functions\n", tunnelcap_version_text(), functions);
    return EXIT_SUCCESS;
}
