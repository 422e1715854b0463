/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Callers compiled with other versions of the headers, under AddressSanitizer: each struct lies
 * in a heap block of exactly the size that its version had, so that one byte more is seen.
 * The sizes are those of version 1.0, for ever.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tunnelcap/tunnelcap.h>

#define SIZE(at64, at32) ((uint32_t)(sizeof(void *) == 8 ? (at64) : (at32)))

static const uint8_t seed[TUNNELCAP_SEED_SIZE] = {5};
static int failures;

static void expect(int32_t got, int32_t want, const char *what, uint32_t size)
{
    if (got == want)
        return;
    fprintf(stderr, "%s of %u bytes: %s, expected %s\n", what, (unsigned)size,
            tunnelcap_status_name(got), tunnelcap_status_name(want));
    failures++;
}

static void *block(uint32_t size)
{
    void *mem = malloc(size);

    if (mem == NULL)
        abort();
    memset(mem, 0xff, size);
    return mem;
}

static void set_addresses(tunnelcap_outer *outer)
{
    static const uint8_t local[4] = {192, 0, 2, 1}, remote[4] = {192, 0, 2, 2};

    memcpy(outer->local.bytes, local, sizeof(local));
    memcpy(outer->remote.bytes, remote, sizeof(remote));
    outer->local.family = outer->remote.family = TUNNELCAP_IPV4;
}

/* Each of these fills a struct of `size` bytes, changes its last byte by `tail`, and uses it. */
static int32_t use_gre(uint32_t size, uint8_t tail)
{
    tunnelcap_gre_config *config = block(size);
    tunnelcap_gre *gre = NULL;
    int32_t status = tunnelcap_gre_config_init(config, size);

    if (status == TUNNELCAP_OK) {
        set_addresses(&config->outer);
        ((uint8_t *)config)[size - 1] |= tail;
        status = tunnelcap_gre_new(config, NULL, &gre);
        tunnelcap_gre_free(gre);
    }
    free(config);
    return status;
}

static int32_t use_ipip(uint32_t size, uint8_t tail)
{
    tunnelcap_ipip_config *config = block(size);
    tunnelcap_ipip *ipip = NULL;
    int32_t status = tunnelcap_ipip_config_init(config, size);

    if (status == TUNNELCAP_OK) {
        set_addresses(&config->outer);
        ((uint8_t *)config)[size - 1] |= tail;
        status = tunnelcap_ipip_new(config, NULL, &ipip);
        tunnelcap_ipip_free(ipip);
    }
    free(config);
    return status;
}

static int32_t use_lane(uint32_t size, uint8_t tail)
{
    tunnelcap_lane_config *config = block(size);
    tunnelcap_lane *lane = NULL;
    int32_t status = tunnelcap_lane_config_init(config, size);

    if (status == TUNNELCAP_OK) {
        ((uint8_t *)config)[size - 1] |= tail;
        status = tunnelcap_lane_new(config, seed, NULL, NULL, &lane);
        tunnelcap_lane_free(lane);
    }
    free(config);
    return status;
}

static int32_t use_health(uint32_t size, uint8_t tail)
{
    tunnelcap_health_config *config = block(size);
    tunnelcap_health *health = NULL;
    int32_t status = tunnelcap_health_config_init(config, size);

    if (status == TUNNELCAP_OK) {
        ((uint8_t *)config)[size - 1] |= tail;
        status = tunnelcap_health_new(config, NULL, &health);
        tunnelcap_health_free(health);
    }
    free(config);
    return status;
}

static int32_t use_health_info(uint32_t size, uint8_t tail)
{
    tunnelcap_health_config config;
    tunnelcap_health_info *info = block(size);
    tunnelcap_health *health = NULL;
    int32_t status;

    (void)tail;
    tunnelcap_health_config_init(&config, sizeof(config));
    if (tunnelcap_health_new(&config, NULL, &health) != TUNNELCAP_OK)
        abort();
    status = tunnelcap_health_get_info(health, info, size);
    tunnelcap_health_free(health);
    free(info);
    return status;
}

static int32_t use_history(uint32_t size, uint8_t tail)
{
    tunnelcap_history_config *config = block(size);
    tunnelcap_history *history = NULL;
    int32_t status = tunnelcap_history_config_init(config, size);

    if (status == TUNNELCAP_OK) {
        ((uint8_t *)config)[size - 1] |= tail;
        status = tunnelcap_history_new(config, NULL, &history);
        tunnelcap_history_free(history);
    }
    free(config);
    return status;
}

static int32_t use_history_bucket(uint32_t size, uint8_t tail)
{
    static const tunnelcap_history_totals totals;
    tunnelcap_history_config config;
    tunnelcap_history_bucket *bucket = block(size);
    tunnelcap_history *history = NULL;
    int32_t status;

    (void)tail;
    tunnelcap_history_config_init(&config, sizeof(config));
    if (tunnelcap_history_new(&config, NULL, &history) != TUNNELCAP_OK)
        abort();
    for (uint64_t second = 0; second < 2; second++)
        tunnelcap_history_add(history, second * 1000000000, &totals, 0);
    status = tunnelcap_history_get(history, TUNNELCAP_HISTORY_SECOND, 0, bucket, size);
    tunnelcap_history_free(history);
    free(bucket);
    return status;
}

static int32_t use_top(uint32_t size, uint8_t tail)
{
    tunnelcap_top_config *config = block(size);
    tunnelcap_top *top = NULL;
    int32_t status = tunnelcap_top_config_init(config, size);

    if (status == TUNNELCAP_OK) {
        ((uint8_t *)config)[size - 1] |= tail;
        status = tunnelcap_top_new(config, seed, NULL, &top);
        tunnelcap_top_free(top);
    }
    free(config);
    return status;
}

static int32_t use_mss(uint32_t size, uint8_t tail)
{
    tunnelcap_mss_config *config = block(size);
    tunnelcap_pkt pkt = {NULL, 0, 0, 0, 0, NULL};
    int32_t status = tunnelcap_mss_config_init(config, size, 1476);

    if (status == TUNNELCAP_OK) {
        ((uint8_t *)config)[size - 1] |= tail;
        tunnelcap_mss_clamp(config, &pkt, NULL, 0, 1);
        /* There is no packet behind it: that it is looked at is all we ask. */
        status = pkt.status == TUNNELCAP_E_INVALID ? TUNNELCAP_OK : pkt.status;
    }
    free(config);
    return status;
}

static int32_t use_fragment(uint32_t size, uint8_t tail)
{
    static uint8_t bytes[20] = {0x45, 0, 0, 20, [8] = 9, 59, 0xb1, 0xb0};
    tunnelcap_pkt pkt = {bytes, sizeof(bytes), 0, sizeof(bytes), 0, NULL};
    tunnelcap_fragment_config *config = block(size);
    tunnelcap_fragments it;
    int32_t status = tunnelcap_fragment_config_init(config, size, 1476);

    if (status == TUNNELCAP_OK) {
        ((uint8_t *)config)[size - 1] |= tail;
        status = tunnelcap_fragment_begin(&it, &pkt, NULL, config);
    }
    free(config);
    return status;
}

static int32_t use_table(uint32_t size, uint8_t tail)
{
    tunnelcap_table_config *config = block(size);
    tunnelcap_table *table = NULL;
    int32_t status = tunnelcap_table_config_init(config, size);

    if (status == TUNNELCAP_OK) {
        ((uint8_t *)config)[size - 1] |= tail;
        status = tunnelcap_table_new(config, seed, NULL, &table);
        tunnelcap_table_free(table);
    }
    free(config);
    return status;
}

static int32_t use_reassembly(uint32_t size, uint8_t tail)
{
    tunnelcap_reassembly_config *config = block(size);
    tunnelcap_reassembly *reassembly = NULL;
    int32_t status = tunnelcap_reassembly_config_init(config, size);

    if (status == TUNNELCAP_OK) {
        ((uint8_t *)config)[size - 1] |= tail;
        status = tunnelcap_reassembly_new(config, seed, NULL, &reassembly);
        tunnelcap_reassembly_free(reassembly);
    }
    free(config);
    return status;
}

/* A table with one tunnel, and a lane attached to it. */
static void open_table(tunnelcap_table **table, tunnelcap_lane **lane)
{
    tunnelcap_table_config config;
    tunnelcap_lane_config lane_config;
    tunnelcap_gre_config gre;

    tunnelcap_table_config_init(&config, sizeof(config));
    tunnelcap_lane_config_init(&lane_config, sizeof(lane_config));
    tunnelcap_gre_config_init(&gre, sizeof(gre));
    set_addresses(&gre.outer);
    if (tunnelcap_table_new(&config, seed, NULL, table) != TUNNELCAP_OK ||
        tunnelcap_lane_new(&lane_config, seed, NULL, NULL, lane) != TUNNELCAP_OK ||
        tunnelcap_table_attach(*table, *lane) != TUNNELCAP_OK ||
        tunnelcap_table_begin(*table) != TUNNELCAP_OK ||
        tunnelcap_table_set_gre(*table, 1, NULL, &gre) != TUNNELCAP_OK ||
        tunnelcap_table_commit(*table, NULL) != TUNNELCAP_OK ||
        tunnelcap_table_begin(*table) != TUNNELCAP_OK)
        abort();
}

static void close_table(tunnelcap_table *table, tunnelcap_lane *lane)
{
    tunnelcap_table_detach(table, lane);
    tunnelcap_lane_free(lane);
    tunnelcap_table_free(table);
}

static int32_t use_tunnel(uint32_t size, uint8_t tail)
{
    tunnelcap_tunnel *tunnel = block(size);
    tunnelcap_gre_config gre;
    tunnelcap_table *table = NULL;
    tunnelcap_lane *lane = NULL;
    int32_t status = tunnelcap_tunnel_init(tunnel, size);

    open_table(&table, &lane);
    tunnelcap_gre_config_init(&gre, sizeof(gre));
    set_addresses(&gre.outer);
    if (status == TUNNELCAP_OK) {
        ((uint8_t *)tunnel)[size - 1] |= tail;
        status = tunnelcap_table_set_gre(table, 1, tunnel, &gre);
    }
    close_table(table, lane);
    free(tunnel);
    return status;
}

static int32_t use_route(uint32_t size, uint8_t tail)
{
    tunnelcap_route *route = block(size);
    tunnelcap_table *table = NULL;
    tunnelcap_lane *lane = NULL;
    int32_t status = tunnelcap_route_init(route, size);

    open_table(&table, &lane);
    if (status == TUNNELCAP_OK) {
        route->tunnel = 1;
        route->prefix.family = TUNNELCAP_IPV6;
        ((uint8_t *)route)[size - 1] |= tail;
        status = tunnelcap_table_set_route(table, route);
    }
    close_table(table, lane);
    free(route);
    return status;
}

static int32_t use_burst(uint32_t size, uint8_t tail)
{
    tunnelcap_burst *burst = block(size);
    tunnelcap_table *table = NULL;
    tunnelcap_lane *lane = NULL;
    int32_t status;

    open_table(&table, &lane);
    memset(burst, 0, size);
    burst->size = size;
    ((uint8_t *)burst)[size - 1] |= tail;
    status = tunnelcap_table_encap(lane, burst);
    close_table(table, lane);
    free(burst);
    return status;
}

/* Structs that the library fills: exactly `size` bytes are written. */
static int32_t use_stats(uint32_t size, uint8_t tail)
{
    tunnelcap_stats *stats = block(size);
    tunnelcap_table *table = NULL;
    tunnelcap_lane *lane = NULL;
    int32_t status;

    (void)tail;
    open_table(&table, &lane);
    status = tunnelcap_table_get_stats(table, 1, stats, size);
    close_table(table, lane);
    free(stats);
    return status;
}

static int32_t use_reassembly_stats(uint32_t size, uint8_t tail)
{
    tunnelcap_reassembly_stats *stats = block(size);
    tunnelcap_reassembly_config config;
    tunnelcap_reassembly *reassembly = NULL;
    int32_t status;

    (void)tail;
    tunnelcap_reassembly_config_init(&config, sizeof(config));
    if (tunnelcap_reassembly_new(&config, seed, NULL, &reassembly) != TUNNELCAP_OK)
        abort();
    status = tunnelcap_reassembly_get_stats(reassembly, stats, size);
    tunnelcap_reassembly_free(reassembly);
    free(stats);
    return status;
}

static int32_t use_info(uint32_t size, uint8_t tail)
{
    tunnelcap_tunnel_info *info = block(size);
    tunnelcap_table *table = NULL;
    tunnelcap_lane *lane = NULL;
    int32_t status;

    (void)tail;
    open_table(&table, &lane);
    status = tunnelcap_table_get_info(table, 1, info, size);
    close_table(table, lane);
    free(info);
    return status;
}

static int32_t use_gso_info(uint32_t size, uint8_t tail)
{
    static uint8_t bytes[20] = {0x45, 0, 0, 20, [9] = 59};
    tunnelcap_pkt pkt = {bytes, sizeof(bytes), 0, sizeof(bytes), 0, NULL};
    tunnelcap_gso_info *info = block(size);
    int32_t status;

    (void)tail;
    info->size = size;
    status = tunnelcap_gso_look(&pkt, NULL, info);
    free(info);
    return status;
}

static int32_t use_peek(uint32_t size, uint8_t tail)
{
    static uint8_t bytes[24] = {0x45, 0, 0, 24, 0, 0, 0, 0, 9, 47, [22] = 8};
    tunnelcap_pkt pkt = {bytes, sizeof(bytes), 0, sizeof(bytes), 0, NULL};
    tunnelcap_peek_result *result = block(size);
    int32_t status;

    (void)tail;
    result->size = size;
    status = tunnelcap_peek(&pkt, NULL, result);
    free(result);
    return status;
}

static int32_t use_pmtu(uint32_t size, uint8_t tail)
{
    tunnelcap_pmtu_config *config = block(size);
    tunnelcap_pmtu *pmtu = NULL;
    int32_t status = tunnelcap_pmtu_config_init(config, size);

    if (status == TUNNELCAP_OK) {
        ((uint8_t *)config)[size - 1] |= tail;
        status = tunnelcap_pmtu_new(config, seed, NULL, &pmtu);
        tunnelcap_pmtu_free(pmtu);
    }
    free(config);
    return status;
}

/* A path MTU that has learned 1400. */
static tunnelcap_pmtu *open_pmtu(void)
{
    tunnelcap_pmtu_config config;
    tunnelcap_pmtu *pmtu = NULL;

    tunnelcap_pmtu_config_init(&config, sizeof(config));
    if (tunnelcap_pmtu_new(&config, NULL, NULL, &pmtu) != TUNNELCAP_OK ||
        tunnelcap_pmtu_learn(pmtu, 1400, 0) != TUNNELCAP_CHANGED)
        abort();
    return pmtu;
}

static int32_t use_pmtu_info(uint32_t size, uint8_t tail)
{
    tunnelcap_pmtu_info *info = block(size);
    tunnelcap_pmtu *pmtu = open_pmtu();
    int32_t status = tunnelcap_pmtu_get_info(pmtu, 0, info, size);

    (void)tail;
    tunnelcap_pmtu_free(pmtu);
    free(info);
    return status;
}

static int32_t use_pmtu_event(uint32_t size, uint8_t tail)
{
    tunnelcap_pmtu_event *event = block(size);
    tunnelcap_pmtu *pmtu = open_pmtu();
    int32_t status = tunnelcap_pmtu_export(pmtu, 0, event, size);

    if (status == TUNNELCAP_OK) {
        ((uint8_t *)event)[size - 1] |= tail;
        status = tunnelcap_pmtu_import(pmtu, event, 0);
    }
    tunnelcap_pmtu_free(pmtu);
    free(event);
    return status;
}

static int32_t use_icmp_error(uint32_t size, uint8_t tail)
{
    static const uint8_t router[4] = {192, 0, 2, 1};
    static const uint8_t packet[20] = {0x45, 0,    0,  20, 0, 0, 0,  0, 9, 59,
                                       0x9d, 0xad, 10, 0,  0, 1, 10, 0, 0, 2};
    uint8_t bytes[48];
    tunnelcap_pkt pkt = {bytes, sizeof(bytes), 28, 20, 0, NULL};
    tunnelcap_icmp_error *error = block(size);
    int32_t status = tunnelcap_icmp_error_init(error, size);

    memcpy(bytes + 28, packet, sizeof(packet));
    if (status == TUNNELCAP_OK) {
        memcpy(error->src4.bytes, router, sizeof(router));
        error->src4.family = TUNNELCAP_IPV4;
        error->kind = TUNNELCAP_ICMP_UNREACHABLE;
        ((uint8_t *)error)[size - 1] |= tail;
        status = tunnelcap_icmp_error_build(&pkt, NULL, error, NULL, 0);
    }
    free(error);
    return status;
}

static int32_t use_icmp_echo(uint32_t size, uint8_t tail)
{
    uint8_t bytes[28];
    tunnelcap_pkt pkt = {bytes, sizeof(bytes), 0, 0, 0, NULL};
    tunnelcap_icmp_echo *echo = block(size);
    int32_t status = tunnelcap_icmp_echo_init(echo, size);

    if (status == TUNNELCAP_OK) {
        echo->src.bytes[0] = echo->dst.bytes[0] = 10;
        echo->src.family = echo->dst.family = TUNNELCAP_IPV4;
        ((uint8_t *)echo)[size - 1] |= tail;
        status = tunnelcap_icmp_echo_build(echo, NULL, &pkt);
    }
    if (status == TUNNELCAP_OK)
        status = tunnelcap_icmp_echo_read(&pkt, NULL, echo);
    free(echo);
    return status;
}

/* A message that is no error: the result is written all the same. */
static int32_t use_icmp_result(uint32_t size, uint8_t tail)
{
    static uint8_t bytes[28] = {0x45,        [3] = 28, [8] = 9,     [9] = 1,    [10] = 0xb1,
                                [11] = 0xe2, [20] = 8, [22] = 0xf7, [23] = 0xff};
    tunnelcap_pkt pkt = {bytes, sizeof(bytes), 0, sizeof(bytes), 0, NULL};
    tunnelcap_icmp_result *result = block(size);
    int32_t status;

    (void)tail;
    result->size = size;
    status = tunnelcap_icmp_parse(&pkt, NULL, result);
    free(result);
    return status == TUNNELCAP_E_ICMP ? TUNNELCAP_OK : status;
}

static int32_t use_traffic(uint32_t size, uint8_t tail)
{
    tunnelcap_traffic_config *config = block(size);
    tunnelcap_traffic *traffic = NULL;
    int32_t status = tunnelcap_traffic_config_init(config, size);

    if (status == TUNNELCAP_OK) {
        ((uint8_t *)config)[size - 1] |= tail;
        status = tunnelcap_traffic_new(config, seed, NULL, &traffic);
        tunnelcap_traffic_free(traffic);
    }
    free(config);
    return status;
}

static int32_t use_watch(uint32_t size, uint8_t tail)
{
    tunnelcap_watch *watch = block(size);
    tunnelcap_table_config config;
    tunnelcap_table *table;
    int32_t status = tunnelcap_watch_init(watch, size);

    if (status == TUNNELCAP_OK) {
        ((uint8_t *)watch)[size - 1] |= tail;
        tunnelcap_table_config_init(&config, sizeof(config));
        expect(tunnelcap_table_new(&config, seed, NULL, &table), TUNNELCAP_OK, "table", 0);
        tunnelcap_table_set_prober(table, 1, seed);
        status = tunnelcap_table_watch(table, 1, watch, NULL);
        tunnelcap_table_free(table);
        if (status == TUNNELCAP_E_NOT_FOUND) /* it was read */
            status = TUNNELCAP_OK;
    }
    free(watch);
    return status;
}

int main(void)
{
    static const struct {
        const char *name;
        int32_t (*use)(uint32_t size, uint8_t tail);
        uint32_t size64, size32; /* of version 1.0 */
        uint32_t is_input;       /* read by the library: an unknown tail counts */
    } structs[] = {
        {"tunnelcap_gre_config", use_gre, 96, 96, 1},
        {"tunnelcap_ipip_config", use_ipip, 72, 72, 1},
        {"tunnelcap_lane_config", use_lane, 36, 36, 1},
        {"tunnelcap_health_config", use_health, 56, 56, 1},
        {"tunnelcap_health_info", use_health_info, 80, 80, 0},
        {"tunnelcap_history_config", use_history, 24, 24, 1},
        {"tunnelcap_history_bucket", use_history_bucket, 120, 120, 0},
        {"tunnelcap_traffic_config", use_traffic, 20, 20, 1},
        {"tunnelcap_top_config", use_top, 16, 16, 1},
        {"tunnelcap_mss_config", use_mss, 24, 24, 1},
        {"tunnelcap_fragment_config", use_fragment, 16, 16, 1},
        {"tunnelcap_reassembly_config", use_reassembly, 32, 32, 1},
        {"tunnelcap_table_config", use_table, 80, 80, 1},
        {"tunnelcap_watch", use_watch, 56, 56, 1},
        {"tunnelcap_tunnel", use_tunnel, 104, 104, 1},
        {"tunnelcap_route", use_route, 64, 64, 1},
        {"tunnelcap_burst", use_burst, 80, 64, 1},
        {"tunnelcap_pmtu_config", use_pmtu, 56, 56, 1},
        {"tunnelcap_pmtu_event", use_pmtu_event, 24, 24, 1},
        {"tunnelcap_pmtu_info", use_pmtu_info, 32, 32, 0},
        {"tunnelcap_stats", use_stats, 200, 200, 0},
        {"tunnelcap_reassembly_stats", use_reassembly_stats, 104, 104, 0},
        {"tunnelcap_tunnel_info", use_info, 80, 80, 0},
        {"tunnelcap_gso_info", use_gso_info, 16, 16, 0},
        {"tunnelcap_peek_result", use_peek, 72, 72, 0},
        {"tunnelcap_icmp_error", use_icmp_error, 60, 60, 1},
        {"tunnelcap_icmp_echo", use_icmp_echo, 72, 72, 1},
        {"tunnelcap_icmp_result", use_icmp_result, 136, 136, 0},
    };

    for (size_t i = 0; i < sizeof(structs) / sizeof(structs[0]); i++) {
        uint32_t size = SIZE(structs[i].size64, structs[i].size32);
        expect(structs[i].use(size, 0), TUNNELCAP_OK, structs[i].name, size);
        expect(structs[i].use(size - 1, 0), TUNNELCAP_E_VERSION, structs[i].name, size - 1);
        expect(structs[i].use(size + 64, 0), TUNNELCAP_OK, structs[i].name, size + 64);
        if (structs[i].is_input)
            expect(structs[i].use(size + 64, 1), TUNNELCAP_E_VERSION, structs[i].name, size + 64);
    }
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
