/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * What traffic is made of, on captures of others: check_traffic VECTORS
 *
 * The inner packets of all captures go into one tunnel, again and again, through a lane that picks
 * 1 in N. The lists that come of it are held against counts of every packet by a reader of its own:
 * for N = 1 by the bounds of the lists alone, for larger ones with four standard errors besides.
 * $TUNNELCAP_VECTORS goes before VECTORS. Exits with 77 where there are no captures.
 */
#include <dirent.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tunnelcap/tunnelcap.h>

enum { EXIT_SKIP = 77, PACKETS_MAX = 20000, LARGE = 1400, COUNTS_MAX = 4096, ROUNDS = 40 };
enum { HEADROOM = 64, KEYS = 8, LISTED = 1024 };

static struct {
    uint8_t *bytes;
    uint32_t len;
} packets[PACKETS_MAX];
static uint32_t packet_count;

/* How much there is of one key. */
typedef struct truth {
    uint8_t addr[17]; /* family, address */
    uint64_t key;
    uint64_t weight[2];
} truth;

static struct {
    truth of[COUNTS_MAX];
    uint32_t count;
    uint64_t total[2];
} counts[TUNNELCAP_TRAFFIC_DIMENSIONS];

static uint32_t failures, checked;

static void need(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "%s\n", what);
        exit(EXIT_FAILURE);
    }
}

static void read_capture(const char *path)
{
    char error[PCAP_ERRBUF_SIZE];
    struct pcap_pkthdr *header;
    const u_char *bytes;
    pcap_t *pcap = pcap_open_offline(path, error);

    need(pcap != NULL, error);
    while (pcap_next_ex(pcap, &header, &bytes) == 1 && packet_count < PACKETS_MAX) {
        /* What fits the tunnel, whole: what does not is somebody else's test. */
        if (header->caplen != header->len || header->len < 20 || header->len > LARGE)
            continue;
        packets[packet_count].bytes = malloc(header->len);
        need(packets[packet_count].bytes != NULL, "no memory");
        memcpy(packets[packet_count].bytes, bytes, header->len);
        packets[packet_count++].len = header->len;
    }
    pcap_close(pcap);
}

static void read_captures(const char *vectors)
{
    static const char ending[] = ".inner.pcap";
    char path[4096];
    struct dirent *entry;
    DIR *dir;

    snprintf(path, sizeof(path), "%s/expected", vectors);
    dir = opendir(path);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        size_t len = strlen(entry->d_name);
        if (len < sizeof(ending) || strcmp(entry->d_name + len - sizeof(ending) + 1, ending) != 0)
            continue;
        snprintf(path, sizeof(path), "%s/expected/%s", vectors, entry->d_name);
        read_capture(path);
    }
    if (dir != NULL)
        closedir(dir);
}

/* ---- truth ---- */

static truth *truth_of(uint32_t dimension, const uint8_t addr[17], uint64_t key)
{
    truth *t = counts[dimension].of;
    uint32_t i = 0;

    while (i < counts[dimension].count &&
           (t[i].key != key || memcmp(t[i].addr, addr, sizeof(t[i].addr)) != 0))
        i++;
    if (i == counts[dimension].count) {
        need(i < COUNTS_MAX, "too many keys");
        memcpy(t[i].addr, addr, sizeof(t[i].addr));
        t[i].key = key;
        counts[dimension].count++;
    }
    return &t[i];
}

static void count(uint32_t dimension, const uint8_t *addr, uint32_t addr_len, uint64_t key,
                  uint32_t bytes)
{
    uint8_t full[17] = {0};
    truth *t;

    if (addr != NULL) {
        full[0] = addr_len == 4 ? TUNNELCAP_IPV4 : TUNNELCAP_IPV6;
        memcpy(full + 1, addr, addr_len);
    }
    t = truth_of(dimension, full, key);
    t->weight[0]++;
    t->weight[1] += bytes;
    counts[dimension].total[0]++;
    counts[dimension].total[1] += bytes;
}

static void count_packet(const uint8_t *p, uint32_t len)
{
    static const uint32_t sizes[] = {64, 128, 256, 512, 1024, 1500};
    bool six = p[0] >> 4 == 6;
    uint32_t size = 0;

    count(TUNNELCAP_TRAFFIC_SOURCE, p + (six ? 8 : 12), six ? 16 : 4, 0, len);
    count(TUNNELCAP_TRAFFIC_DESTINATION, p + (six ? 24 : 16), six ? 16 : 4, 0, len);
    while (len > sizes[size])
        size++;
    count(TUNNELCAP_TRAFFIC_SIZE, NULL, 0, sizes[size], len);
}

/* ---- the library's side ---- */

static tunnelcap_addr address(uint8_t last)
{
    tunnelcap_addr a;

    memset(&a, 0, sizeof(a));
    a.family = TUNNELCAP_IPV4;
    a.bytes[0] = 192;
    a.bytes[2] = 2;
    a.bytes[3] = last;
    return a;
}

static tunnelcap_table *open_table(const uint8_t *seed)
{
    tunnelcap_table_config config;
    tunnelcap_gre_config gre;
    tunnelcap_route route;
    tunnelcap_table *table;

    tunnelcap_table_config_init(&config, sizeof(config));
    need(tunnelcap_table_new(&config, seed, NULL, &table) == TUNNELCAP_OK, "table");
    tunnelcap_gre_config_init(&gre, sizeof(gre));
    gre.outer.local = address(1);
    gre.outer.remote = address(2);
    tunnelcap_table_begin(table);
    need(tunnelcap_table_set_gre(table, 7, NULL, &gre) == TUNNELCAP_OK, "tunnel");
    for (uint32_t six = 0; six < 2; six++) {
        tunnelcap_route_init(&route, sizeof(route));
        route.tunnel = 7;
        route.prefix.family = six ? TUNNELCAP_IPV6 : TUNNELCAP_IPV4;
        need(tunnelcap_table_set_route(table, &route) == TUNNELCAP_OK, "route");
    }
    tunnelcap_table_commit(table, NULL);
    return table;
}

static void carry_all(tunnelcap_lane *lane, tunnelcap_traffic *traffic)
{
    static uint8_t storage[HEADROOM + LARGE];
    static tunnelcap_sample samples[64];
    tunnelcap_result result;
    tunnelcap_burst burst;

    for (uint32_t i = 0; i < packet_count; i++) {
        tunnelcap_pkt pkt = {storage, sizeof(storage), HEADROOM, packets[i].len, 0, NULL};
        memcpy(storage + HEADROOM, packets[i].bytes, packets[i].len);
        memset(&burst, 0, sizeof(burst));
        burst.size = sizeof(burst);
        burst.pkt_count = burst.result_cap = 1;
        burst.pkts = &pkt;
        burst.results = &result;
        need(tunnelcap_table_encap(lane, &burst) == TUNNELCAP_OK, "encap");
        tunnelcap_traffic_add(traffic, samples, tunnelcap_lane_samples(lane, samples, 64, NULL));
    }
}

static void check(bool ok, uint32_t rate, uint32_t dimension, const char *what)
{
    checked++;
    if (!ok) {
        failures++;
        printf("1 in %u, dimension %u: %s\n", rate, dimension, what);
    }
}

static void check_list(const tunnelcap_traffic *traffic, uint64_t tunnel, uint32_t rate,
                       uint32_t dimension, uint32_t unit)
{
    static tunnelcap_traffic_item items[LISTED];
    double largest = unit == 0 ? 1 : LARGE;
    uint32_t n;
    uint64_t total;
    uint8_t addr[17];

    need(tunnelcap_traffic_list(traffic, tunnel, dimension, unit, items, LISTED, &n, &total) ==
             TUNNELCAP_OK,
         "list");
    check(n > 0 && n <= KEYS, rate, dimension, "number of keys");
    if (rate == 1)
        check(total == counts[dimension].total[unit], rate, dimension, "total");
    for (uint32_t i = 0; i < n; i++) {
        addr[0] = items[i].addr.family;
        memcpy(addr + 1, items[i].addr.bytes, 16);
        double real = (double)truth_of(dimension, addr, items[i].key)->weight[unit];
        double off = rate == 1 ? 0 : (double)rate * largest * real; /* variance */
        double low = (double)(items[i].weight - items[i].error) - real;
        double high = real - (double)items[i].weight;
        check(real > 0, rate, dimension, "a key that was never there");
        check(low <= 0 || low * low <= 16 * off, rate, dimension, "weight too high");
        check(high <= 0 || high * high <= 16 * off, rate, dimension, "weight too low");
        check(items[i].error <= total / KEYS, rate, dimension, "error");
    }
}

static void run(uint32_t rate, const uint8_t *seed)
{
    static const uint32_t dimensions[] = {TUNNELCAP_TRAFFIC_SOURCE, TUNNELCAP_TRAFFIC_DESTINATION,
                                          TUNNELCAP_TRAFFIC_SIZE};
    tunnelcap_traffic_config config;
    tunnelcap_lane_config lane_config;
    tunnelcap_traffic *traffic;
    tunnelcap_lane *lane;
    tunnelcap_table *table = open_table(seed);

    tunnelcap_traffic_config_init(&config, sizeof(config));
    config.keys = config.tunnel_keys = KEYS;
    tunnelcap_lane_config_init(&lane_config, sizeof(lane_config));
    lane_config.samples = 64;
    lane_config.sample_rate = rate;
    need(tunnelcap_traffic_new(&config, seed, NULL, &traffic) == TUNNELCAP_OK, "traffic");
    need(tunnelcap_lane_new(&lane_config, seed, NULL, NULL, &lane) == TUNNELCAP_OK, "lane");
    tunnelcap_table_attach(table, lane);
    for (uint32_t round = 0; round < ROUNDS; round++)
        carry_all(lane, traffic);
    for (uint32_t d = 0; d < sizeof(dimensions) / sizeof(dimensions[0]); d++) {
        for (uint32_t way = 0; way < 4; way++)
            check_list(traffic, way & 1 ? 7 : 0, rate, dimensions[d], way >> 1);
    }
    tunnelcap_table_detach(table, lane);
    tunnelcap_lane_free(lane);
    tunnelcap_table_free(table);
    tunnelcap_traffic_free(traffic);
}

int main(int argc, char **argv)
{
    static const uint8_t seed[TUNNELCAP_SEED_SIZE] = {4, 2};
    const char *vectors = getenv("TUNNELCAP_VECTORS");

    if (vectors == NULL)
        vectors = argc > 1 ? argv[1] : ".";
    read_captures(vectors);
    if (packet_count == 0) {
        printf("SKIP all: no captures in %s; set TUNNELCAP_VECTORS\n", vectors);
        return EXIT_SKIP;
    }
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < packet_count; i++)
            count_packet(packets[i].bytes, packets[i].len);
    }
    run(1, seed);
    run(7, seed);
    run(50, seed);
    printf("%u packets, %u times; %u sources; %u checks, %u failures\n", packet_count, ROUNDS,
           counts[TUNNELCAP_TRAFFIC_SOURCE].count, checked, failures);
    for (uint32_t i = 0; i < packet_count; i++)
        free(packets[i].bytes);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
