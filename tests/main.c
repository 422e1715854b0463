/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The runner of the unit tests: all suites, or those named on the command line.
 */
#include "support.h"

#include <stdio.h>

static const struct {
    const char *name;
    Suite *(*make)(void);
} suites[] = {
    {"checksum", test_checksum_suite},
    {"crypto", test_crypto_suite},
    {"crypto_gcm", test_crypto_gcm_suite},
    {"crypto_self_test", test_crypto_self_test_suite},
    {"esp", test_esp_suite},
    {"esp_batch", test_esp_batch_suite},
    {"esp_hostile", test_esp_hostile_suite},
    {"esp_life", test_esp_life_suite},
    {"esp_plain", test_esp_plain_suite},
    {"esp_plain_in", test_esp_plain_in_suite},
    {"esp_threads", test_esp_threads_suite},
    {"esp_transport", test_esp_transport_suite},
    {"esp_tunnel", test_esp_tunnel_suite},
    {"esp_udp", test_esp_udp_suite},
    {"fragment", test_fragment_suite},
    {"fragment_model", test_fragment_model_suite},
    {"ghash", test_ghash_suite},
    {"gre", test_gre_suite},
    {"gre_decap", test_gre_decap_suite},
    {"gre_encap", test_gre_encap_suite},
    {"gre_outer", test_gre_outer_suite},
    {"gso", test_gso_suite},
    {"health", test_health_suite},
    {"history", test_history_suite},
    {"icmp", test_icmp_suite},
    {"icmp_echo", test_icmp_echo_suite},
    {"icmp_never", test_icmp_never_suite},
    {"icmp_parse", test_icmp_parse_suite},
    {"icmp_relay", test_icmp_relay_suite},
    {"ip", test_ip_suite},
    {"ipip", test_ipip_suite},
    {"lane", test_lane_suite},
    {"lpm", test_lpm_suite},
    {"mss", test_mss_suite},
    {"mss_model", test_mss_model_suite},
    {"object", test_object_suite},
    {"outer", test_outer_suite},
    {"outer_marks", test_outer_marks_suite},
    {"peek", test_peek_suite},
    {"pmtu", test_pmtu_suite},
    {"pmtu_fleet", test_pmtu_fleet_suite},
    {"pmtu_search", test_pmtu_search_suite},
    {"pmtu_threads", test_pmtu_threads_suite},
    {"reassembly", test_reassembly_suite},
    {"reassembly_hostile", test_reassembly_hostile_suite},
    {"reassembly_model", test_reassembly_model_suite},
    {"reassembly_set", test_reassembly_set_suite},
    {"replay", test_replay_suite},
    {"table_ecmp", test_table_ecmp_suite},
    {"routes_model", test_routes_model_suite},
    {"secure", test_secure_suite},
    {"share", test_share_suite},
    {"selector", test_selector_suite},
    {"status", test_status_suite},
    {"sample", test_sample_suite},
    {"table", test_table_suite},
    {"table_burst", test_table_burst_suite},
    {"table_change", test_table_change_suite},
    {"table_data", test_table_data_suite},
    {"table_inbound", test_table_inbound_suite},
    {"table_jobs", test_table_jobs_suite},
    {"table_edges", test_table_edges_suite},
    {"table_gre_esp", test_table_gre_esp_suite},
    {"table_health", test_table_health_suite},
    {"table_history", test_table_history_suite},
    {"table_large", test_table_large_suite},
    {"table_large_model", test_table_large_model_suite},
    {"table_model", test_table_model_suite},
    {"table_path", test_table_path_suite},
    {"table_peer", test_table_peer_suite},
    {"table_reassembly", test_table_reassembly_suite},
    {"table_rekey", test_table_rekey_suite},
    {"table_routes", test_table_routes_suite},
    {"table_sas", test_table_sas_suite},
    {"table_storm", test_table_storm_suite},
    {"table_threads", test_table_threads_suite},
    {"threads", test_threads_suite},
    {"top", test_top_suite},
    {"traffic", test_traffic_suite},
    {"transform", test_transform_suite},
    {"version", test_version_suite},
    {"watch_threads", test_watch_threads_suite},
    {"wire", test_wire_suite},
};

static int wanted(const char *name, char **names)
{
    if (*names == NULL)
        return 1;
    for (; *names != NULL; names++) {
        if (strcmp(*names, name) == 0)
            return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    SRunner *runner = srunner_create(NULL);
    int chosen = 0;
    for (size_t i = 0; argc > 0 && i < TEST_COUNT(suites); i++) {
        if (!wanted(suites[i].name, argv + 1))
            continue;
        srunner_add_suite(runner, suites[i].make());
        chosen++;
    }
    if (chosen == 0) {
        fprintf(stderr, "no such suite: %s\n", argv[1]);
        return EXIT_FAILURE;
    }
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
