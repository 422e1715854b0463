/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * What all unit tests share: memory that sanitizers can judge, packets built by code that knows
 * nothing of the library, and a slow dissector to read what the library wrote.
 */
#ifndef TUNNELCAP_TESTS_SUPPORT_H
#define TUNNELCAP_TESTS_SUPPORT_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <tunnelcap/tunnelcap.h>

#define TEST_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Say which status came, by name: a failing test then explains itself. */
#define ck_assert_status(got, want)                                                                \
    do {                                                                                           \
        int32_t got_ = (got), want_ = (want);                                                      \
        ck_assert_msg(got_ == want_, "%s is %s, expected %s", #got, tunnelcap_status_name(got_),   \
                      tunnelcap_status_name(want_));                                               \
    } while (0)

#define test_ok(call) ck_assert_status(call, TUNNELCAP_OK)

/* ---- suites ---- */

/* Make a suite whose every test is checked for memory left over in test_alloc(). */
Suite *test_suite(const char *name, const TTest *const *tests, size_t count);

Suite *test_checksum_suite(void);
Suite *test_crypto_suite(void);
Suite *test_crypto_gcm_suite(void);
Suite *test_crypto_self_test_suite(void);
Suite *test_esp_suite(void);
Suite *test_esp_batch_suite(void);
Suite *test_esp_hostile_suite(void);
Suite *test_esp_life_suite(void);
Suite *test_esp_plain_suite(void);
Suite *test_esp_plain_in_suite(void);
Suite *test_esp_threads_suite(void);
Suite *test_esp_transport_suite(void);
Suite *test_esp_tunnel_suite(void);
Suite *test_esp_udp_suite(void);
Suite *test_fragment_model_suite(void);
Suite *test_fragment_suite(void);
Suite *test_ghash_suite(void);
Suite *test_gre_suite(void);
Suite *test_gre_decap_suite(void);
Suite *test_gre_encap_suite(void);
Suite *test_gre_outer_suite(void);
Suite *test_gso_suite(void);
Suite *test_health_suite(void);
Suite *test_history_suite(void);
Suite *test_icmp_suite(void);
Suite *test_icmp_echo_suite(void);
Suite *test_icmp_never_suite(void);
Suite *test_icmp_parse_suite(void);
Suite *test_icmp_relay_suite(void);
Suite *test_ip_suite(void);
Suite *test_ipip_suite(void);
Suite *test_lane_suite(void);
Suite *test_lpm_suite(void);
Suite *test_mss_suite(void);
Suite *test_mss_model_suite(void);
Suite *test_object_suite(void);
Suite *test_outer_suite(void);
Suite *test_outer_marks_suite(void);
Suite *test_peek_suite(void);
Suite *test_pmtu_suite(void);
Suite *test_pmtu_fleet_suite(void);
Suite *test_pmtu_search_suite(void);
Suite *test_pmtu_threads_suite(void);
Suite *test_reassembly_suite(void);
Suite *test_reassembly_hostile_suite(void);
Suite *test_reassembly_model_suite(void);
Suite *test_reassembly_set_suite(void);
Suite *test_replay_suite(void);
Suite *test_table_ecmp_suite(void);
Suite *test_routes_model_suite(void);
Suite *test_secure_suite(void);
Suite *test_share_suite(void);
Suite *test_selector_suite(void);
Suite *test_status_suite(void);
Suite *test_sample_suite(void);
Suite *test_table_suite(void);
Suite *test_table_burst_suite(void);
Suite *test_table_change_suite(void);
Suite *test_table_data_suite(void);
Suite *test_table_inbound_suite(void);
Suite *test_table_jobs_suite(void);
Suite *test_table_edges_suite(void);
Suite *test_table_gre_esp_suite(void);
Suite *test_table_health_suite(void);
Suite *test_table_history_suite(void);
Suite *test_table_large_suite(void);
Suite *test_table_large_model_suite(void);
Suite *test_table_model_suite(void);
Suite *test_table_path_suite(void);
Suite *test_table_peer_suite(void);
Suite *test_table_reassembly_suite(void);
Suite *test_table_rekey_suite(void);
Suite *test_table_routes_suite(void);
Suite *test_table_sas_suite(void);
Suite *test_table_storm_suite(void);
Suite *test_table_threads_suite(void);
Suite *test_threads_suite(void);
Suite *test_top_suite(void);
Suite *test_traffic_suite(void);
Suite *test_transform_suite(void);
Suite *test_version_suite(void);
Suite *test_watch_threads_suite(void);
Suite *test_wire_suite(void);

/* ---- memory ---- */

/* The allocator of the running test; the test fails if anything is left in it at its end. */
const tunnelcap_alloc *test_alloc(void);

/* Let the allocator refuse everything after `count` more blocks. */
void test_alloc_refuse_after(uint32_t count);

/* Memory of exactly `bytes` bytes at a multiple of 64, or at 64 n + `skew`; free() it by
 * test_arena_free(). */
void *test_arena(size_t bytes);
void test_arena_free(void *mem);

/* A heap copy of exactly `len` bytes, so that a sanitizer sees a read of one more. */
void *test_copy(const void *bytes, size_t len);

/* A lane with a fixed seed from test_alloc(). */
tunnelcap_lane *test_lane(void);
extern const uint8_t test_seed[TUNNELCAP_SEED_SIZE];

/* Configurations between two ends, and tunnels from test_alloc(). */
tunnelcap_gre_config test_gre_config(const char *local, const char *remote, uint32_t flags);
tunnelcap_gre *test_gre_new(const tunnelcap_gre_config *config);
tunnelcap_ipip_config test_ipip_config(const char *local, const char *remote, uint32_t flags);
tunnelcap_ipip *test_ipip_new(const tunnelcap_ipip_config *config);

/* Calls with a count of one; they check that the count returned agrees with the status. */
int32_t test_gre_encap(tunnelcap_gre *gre, tunnelcap_lane *lane, tunnelcap_pkt *pkt,
                       const tunnelcap_meta *meta);
int32_t test_gre_decap(tunnelcap_gre *gre, tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                       tunnelcap_gre_rx *rx);
int32_t test_ipip_encap(tunnelcap_ipip *ipip, tunnelcap_lane *lane, tunnelcap_pkt *pkt,
                        const tunnelcap_meta *meta);
int32_t test_ipip_decap(tunnelcap_ipip *ipip, tunnelcap_pkt *pkt, const tunnelcap_meta *meta);

/* A table from test_alloc(), and one lane attached to it. */
tunnelcap_table *test_table_new(uint32_t tunnels, uint32_t routes, uint32_t lanes);
tunnelcap_lane *test_table_lane(tunnelcap_table *table);
void test_table_end(tunnelcap_table *table, tunnelcap_lane *lane);
/* Most lanes that a table takes: 1 where 64-bit atomics are not lock-free, else 256. */
uint32_t test_lanes_max(void);
/* A route "prefix/length" to a tunnel. */
tunnelcap_route test_route(const char *prefix, uint64_t tunnel);
/* Run one packet through the table; checks what every result promises. */
int32_t test_table_one(tunnelcap_lane *lane, uint32_t direction, tunnelcap_pkt *pkt,
                       const tunnelcap_meta *meta, tunnelcap_result *result);

/* Numbers that look random and are the same in each run (a 64-bit linear congruence). */
typedef struct test_random {
    uint64_t state;
} test_random;
uint32_t test_next(test_random *random);
uint32_t test_below(test_random *random, uint32_t bound);

/* ---- packets ---- */

/* A packet in a heap block of exactly headroom + len bytes. */
tunnelcap_pkt test_pkt(const void *bytes, uint32_t len, uint32_t headroom);
void test_pkt_free(tunnelcap_pkt *pkt);

/* All that a refusal must leave alone: the window and every byte of the buffer. */
typedef struct test_snapshot {
    tunnelcap_pkt pkt;
    uint8_t *bytes;
} test_snapshot;
test_snapshot test_snap(const tunnelcap_pkt *pkt);
void test_unchanged(test_snapshot *snap, const tunnelcap_pkt *pkt); /* checks and frees */

/* Feed every proper prefix of a valid packet, each in memory of its own length, to `feed`;
 * each must end with `want` and leave the packet as it was. */
typedef int32_t test_feed(void *arg, tunnelcap_pkt *pkt);
void test_truncation(const uint8_t *bytes, uint32_t len, int32_t want, test_feed *feed, void *arg);

/* Feed the packet with every single bit changed, then every byte inverted; a refusal must leave
 * it as it was. Returns how many were accepted. */
uint32_t test_flips(const uint8_t *bytes, uint32_t len, uint32_t headroom, test_feed *feed,
                    void *arg);

/* ---- building ---- */

enum { TEST_FRAME_CAP = 66000, TEST_TCP_SYN = 0x02, TEST_TCP_ACK = 0x10 };

/* A packet under construction: payload first, then headers pushed before it. */
typedef struct test_frame {
    uint32_t len;
    uint8_t bytes[TEST_FRAME_CAP];
} test_frame;

/* What an IP header says. */
typedef struct test_ip {
    tunnelcap_addr src;
    tunnelcap_addr dst;
    uint8_t tos;
    uint8_t ttl;
    uint16_t id;
    uint16_t frag; /* flags and offset of IPv4 as on the wire: 0x4000 is DF */
    uint32_t flow_label;
} test_ip;

/* What a GRE header says; `flags` are its first 16 bits. */
typedef struct test_gre {
    uint16_t flags;
    uint16_t protocol;
    uint32_t key;
    uint32_t seq;
} test_gre;

enum { TEST_GRE_C = 0x8000, TEST_GRE_K = 0x2000, TEST_GRE_S = 0x1000 };

tunnelcap_addr test_addr(const char *text);
test_ip test_between(const char *src, const char *dst); /* TTL 64, DF */

void test_payload(test_frame *frame, uint32_t len);
void test_push(test_frame *frame, const void *bytes, uint32_t len);
void test_push_udp(test_frame *frame, const test_ip *ip, uint16_t src, uint16_t dst);
void test_push_tcp(test_frame *frame, const test_ip *ip, uint8_t flags, const void *options,
                   uint32_t options_len);
void test_push_icmp(test_frame *frame, const test_ip *ip, uint8_t type, uint8_t code);
void test_push_icmp_word(test_frame *frame, const test_ip *ip, uint8_t type, uint8_t code,
                         uint32_t word); /* the last four bytes of the ICMP header */
void test_push_gre(test_frame *frame, const test_gre *gre);
void test_push_ext(test_frame *frame, uint8_t next, const void *content, uint32_t len);
void test_push_ip(test_frame *frame, const test_ip *ip, uint8_t protocol);
void test_push_ip_options(test_frame *frame, const test_ip *ip, uint8_t protocol,
                          const void *options, uint32_t options_len);

/* Whole packets of common kinds. */
void test_udp_packet(test_frame *frame, const test_ip *ip, uint32_t payload_len);
void test_syn_packet(test_frame *frame, const test_ip *ip, uint8_t flags, const void *options,
                     uint32_t options_len);
void test_ethernet_frame(test_frame *frame, uint32_t payload_len);

/* ---- models ---- */

void test_store16(uint8_t *at, uint32_t value);
void test_store32(uint8_t *at, uint32_t value);
uint16_t test_load16(const uint8_t *at);
uint32_t test_load32(const uint8_t *at);

/* The one's complement sum of RFC 1071, one 16-bit word after the other. */
uint16_t test_sum(uint16_t start, const uint8_t *bytes, size_t len);
/* The sum over a pseudo-header. */
uint16_t test_pseudo(const test_ip *ip, uint8_t protocol, uint32_t len);

/* An outer packet as read by a dissector that shares no code with the library. */
typedef struct test_view {
    test_ip ip;
    uint8_t family;
    uint8_t protocol; /* behind extension headers */
    bool df;
    bool encap_limit; /* a Destination Options header holds the option of RFC 2473 */
    uint8_t limit;    /* its value */
    bool udp;         /* GRE in UDP */
    uint16_t src_port;
    uint16_t dst_port;
    uint16_t udp_checksum;
    test_gre gre;     /* where the protocol is 47, or UDP */
    uint32_t payload; /* offset of what is inside */
    uint32_t payload_len;
} test_view;

/* Dissect an outer packet; fails the test if a length or a checksum in it is wrong. */
test_view test_dissect(const uint8_t *bytes, uint32_t len);

#endif
