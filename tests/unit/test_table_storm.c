/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Four lanes at full rate while the writer adds, changes and removes tunnels, SAs and routes: run
 * under ThreadSanitizer and AddressSanitizer too. Each lane counts for itself what it offered and
 * what it was told; in the end the table must have counted the same. Only the main thread asserts.
 *
 * TUNNELCAP_STORM_SECONDS tells how long each storm lasts; without, it is a number of changes.
 */
#include "esp_kit.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

enum { LANES = 4, BURST = 16, CHANGES = 40, LEAST_ROUNDS = 50 };
/* Of the tunnels 1 to TAME the counters are read before they are removed: they are drained first.
 * The others vanish in one change, and with them what they have counted. */
enum { TAME = 9, IDS = 12, HOSTS = 4 };
enum { PAYLOAD = 60, PACKET = PAYLOAD + 28, HEADROOM = 96, ROOM = HEADROOM + PACKET + 64 };
enum { GRE_TUNNEL, IPIP_TUNNEL, ESP_TUNNEL, KINDS };

typedef struct tally {
    uint64_t packets;
    uint64_t refused;
    uint64_t inner_bytes;
    uint64_t outer_bytes;
} tally;

typedef struct worker {
    tunnelcap_lane *lane;
    pthread_t thread;
    uint32_t self;
    tally told[2][IDS + 1]; /* by direction and tunnel id */
    uint64_t odd;           /* what no version of the table can give */
    atomic_uint rounds;
    atomic_uint forgotten; /* SAs, of those that were retired */
} worker;

/* What the writer knows of a tunnel. */
typedef struct tenant {
    tunnelcap_esp *out;
    tunnelcap_esp *in[2]; /* the newest first */
    uint8_t is_there;
    uint8_t flapped[HOSTS]; /* there is flap_route() for this host */
} tenant;

typedef struct storm {
    tunnelcap_table *table;
    const tunnelcap_crypto *crypto;
    tunnelcap_transform transform;
    worker workers[LANES];
    test_frame inner[IDS + 1][HOSTS];
    tenant tenants[IDS + 1];
    tally removed[2][IDS + 1]; /* counters of tame tunnels that are gone */
    test_random random;
    uint32_t next_spi;
    atomic_uint stop;
    _Atomic(tunnelcap_esp *) retired; /* the SA that lanes are to forget */
    atomic_uint retirements;
} storm;

static storm s;
static uint8_t storage[LANES][BURST][ROOM];

/* ---- lanes ---- */

static void count(worker *w, uint32_t direction, const tunnelcap_result *result, uint32_t inner,
                  uint32_t outer)
{
    tally *told = &w->told[direction][result->tunnel <= IDS ? result->tunnel : 0];
    if (result->action != TUNNELCAP_DO_SEND && result->action != TUNNELCAP_DO_DELIVER) {
        told->refused++;
        return;
    }
    told->packets++;
    told->inner_bytes += inner;
    told->outer_bytes += outer;
}

static tunnelcap_burst burst_of(tunnelcap_pkt *pkts, uint32_t pkt_count, tunnelcap_result *results)
{
    return (tunnelcap_burst){.size = sizeof(tunnelcap_burst),
                             .pkt_count = pkt_count,
                             .result_cap = BURST,
                             .pkts = pkts,
                             .results = results};
}

/* A whole version of the table: the tunnel's number is in its outer destination. */
static int is_right_out(const tunnelcap_result *result, const tunnelcap_pkt *pkt)
{
    static const uint8_t ends[] = {192, 0, 2, 1, 198, 51, 100};
    const uint8_t *p = pkt->buf + pkt->off;
    if (result->action == TUNNELCAP_DO_SEND)
        return result->status == TUNNELCAP_OK && memcmp(p + 12, ends, sizeof(ends)) == 0 &&
               p[19] == result->tunnel;
    return result->action == TUNNELCAP_DO_DROP &&
           (result->status == TUNNELCAP_E_NO_ROUTE || result->status == TUNNELCAP_E_NEED_SA);
}

static int is_right_in(const tunnelcap_result *result, const tunnelcap_pkt *pkt,
                       const test_frame *inner, uint32_t tunnel)
{
    if (result->action == TUNNELCAP_DO_DELIVER)
        return result->status == TUNNELCAP_OK && result->tunnel == tunnel &&
               pkt->len == inner->len && memcmp(pkt->buf + pkt->off, inner->bytes, inner->len) == 0;
    /* REPLAY: a lane that the system let wait longer than the window is wide. */
    if (result->action == TUNNELCAP_DO_FETCH_SA)
        return result->status == TUNNELCAP_E_NEED_SA;
    return result->action == TUNNELCAP_DO_DROP &&
           (result->status == TUNNELCAP_E_NO_TUNNEL || result->status == TUNNELCAP_E_EXPIRED ||
            result->status == TUNNELCAP_E_REPLAY);
}

/* The far end's view of an outer packet, so that it comes back: the checksum stays the same. */
static void turn_around(const tunnelcap_pkt *pkt)
{
    uint8_t *p = pkt->buf + pkt->off;
    uint8_t src[4];
    memcpy(src, p + 12, 4);
    memcpy(p + 12, p + 16, 4);
    memcpy(p + 16, src, 4);
}

/* A burst out and what was sent of it back in. */
static void go_round(worker *w, test_random *random)
{
    tunnelcap_pkt pkts[BURST];
    tunnelcap_result results[BURST];
    const test_frame *inner[BURST];
    uint32_t tunnels[BURST], outer[BURST], sent = 0;
    for (uint32_t i = 0; i < BURST; i++) {
        inner[i] = &s.inner[1 + test_below(random, IDS)][test_below(random, HOSTS)];
        pkts[i] = (tunnelcap_pkt){storage[w->self][i], ROOM, HEADROOM, inner[i]->len, 0, NULL};
        memcpy(pkts[i].buf + HEADROOM, inner[i]->bytes, inner[i]->len);
    }
    tunnelcap_burst out = burst_of(pkts, BURST, results);
    w->odd += tunnelcap_table_encap(w->lane, &out) != TUNNELCAP_OK || out.result_count != BURST;
    for (uint32_t i = 0; i < BURST; i++) {
        w->odd += !is_right_out(&results[i], &pkts[i]);
        count(w, TUNNELCAP_ENCAP, &results[i], inner[i]->len, pkts[i].len);
        if (results[i].action != TUNNELCAP_DO_SEND)
            continue;
        turn_around(&pkts[i]);
        tunnels[sent] = (uint32_t)results[i].tunnel;
        outer[sent] = pkts[i].len;
        inner[sent] = inner[i];
        pkts[sent++] = pkts[i];
    }
    tunnelcap_burst in = burst_of(pkts, sent, results);
    w->odd += tunnelcap_table_decap(w->lane, &in) != TUNNELCAP_OK || in.result_count != sent;
    for (uint32_t i = 0; i < sent; i++) {
        w->odd += !is_right_in(&results[i], &pkts[i], inner[i], tunnels[i]);
        count(w, TUNNELCAP_DECAP, &results[i], inner[i]->len, outer[i]);
    }
}

/* Between bursts a lane does what the writer asks for: forget an SA that is about to end. */
static void *work(void *arg)
{
    worker *w = arg;
    test_random random = {w->self + 1};
    while (!atomic_load(&s.stop)) {
        uint32_t asked = atomic_load(&s.retirements);
        if (asked != atomic_load(&w->forgotten)) {
            tunnelcap_esp_forget(atomic_load(&s.retired), w->lane);
            atomic_store(&w->forgotten, asked);
        }
        go_round(w, &random);
        atomic_fetch_add(&w->rounds, 1);
    }
    return NULL;
}

/* ---- the writer ---- */

static uint32_t kind_of(uint32_t id)
{
    return id % KINDS;
}

static void begin(void)
{
    int32_t status;
    do { /* busy while a burst from before the last change goes on */
        status = tunnelcap_table_begin(s.table);
        ck_assert(status == TUNNELCAP_OK || status == TUNNELCAP_E_BUSY);
    } while (status != TUNNELCAP_OK);
}

/* Commit, and wait until no lane sees anything older. */
static void commit_and_settle(void)
{
    uint64_t generation;
    test_ok(tunnelcap_table_commit(s.table, &generation));
    while (tunnelcap_table_settled(s.table) < generation)
        sched_yield();
}

/* Free an SA that no view has any more. */
static void retire(tunnelcap_esp **esp)
{
    if (*esp == NULL)
        return;
    atomic_store(&s.retired, *esp);
    uint32_t asked = atomic_fetch_add(&s.retirements, 1) + 1;
    for (uint32_t i = 0; i < LANES; i++) {
        while (atomic_load(&s.workers[i].forgotten) != asked)
            sched_yield();
    }
    tunnelcap_esp_free(*esp);
    *esp = NULL;
}

static const char *remote_of(uint32_t id, const char *net)
{
    static char text[32];
    snprintf(text, sizeof(text), "%s.%u", net, (unsigned)id);
    return text;
}

static tunnelcap_esp *make_sa(uint8_t direction, uint32_t id, uint32_t spi)
{
    bool out = direction == TUNNELCAP_ESP_OUT;
    const char *remote = remote_of(id, "198.51.100");
    tunnelcap_esp_config config = out ? test_esp_config(direction, "192.0.2.1", remote)
                                      : test_esp_config(direction, remote, "192.0.2.1");
    config.spi = spi;
    if (!out) {
        config.replay_mode = TUNNELCAP_REPLAY_WINDOW;
        config.replay_window = 4096;
    }
    return test_esp_new(&config, &s.transform, s.crypto);
}

/* New SAs for both directions of a tunnel in change. What they replace is handed back; the inbound
 * one before stays, for packets that are on their way. */
static void rekey(uint32_t id, tunnelcap_esp **old_out, tunnelcap_esp **old_in)
{
    tenant *t = &s.tenants[id];
    uint32_t spi = s.next_spi++;
    *old_out = t->out;
    *old_in = t->in[1];
    t->in[1] = t->in[0];
    t->out = make_sa(TUNNELCAP_ESP_OUT, id, spi);
    t->in[0] = make_sa(TUNNELCAP_ESP_IN, id, spi);
    test_ok(tunnelcap_table_set_esp(s.table, id, NULL));
    test_sa_pair(s.table, id, t->in[0], t->out); /* the one that has sent drains now */
    if (*old_out != NULL)
        test_ok(tunnelcap_table_set_sa(s.table, id, *old_out, TUNNELCAP_SA_DEAD, 0));
    if (*old_in != NULL)
        test_ok(tunnelcap_table_set_sa(s.table, id, *old_in, TUNNELCAP_SA_DEAD, 0));
}

/* Set a tunnel without SAs to a far end in this net, with any TTL. */
static void set_bare(uint32_t id, const char *net)
{
    const char *remote = remote_of(id, net);
    if (kind_of(id) == GRE_TUNNEL) {
        tunnelcap_gre_config gre = test_gre_config("192.0.2.1", remote, TUNNELCAP_GRE_SEQUENCE);
        gre.outer.ttl = (uint8_t)(1 + test_below(&s.random, 255));
        test_ok(tunnelcap_table_set_gre(s.table, id, NULL, &gre));
    } else {
        tunnelcap_ipip_config ipip = test_ipip_config("192.0.2.1", remote, 0);
        ipip.outer.ttl = (uint8_t)(1 + test_below(&s.random, 255));
        test_ok(tunnelcap_table_set_ipip(s.table, id, NULL, &ipip));
    }
}

static void set_route(uint32_t id)
{
    char prefix[32];
    snprintf(prefix, sizeof(prefix), "10.%u.0.0/16", (unsigned)id);
    tunnelcap_route route = test_route(prefix, id);
    test_ok(tunnelcap_table_set_route(s.table, &route));
}

/* Add a tunnel that is not there to a table in change. */
static void add(uint32_t id)
{
    tunnelcap_esp *none[2];
    if (kind_of(id) == ESP_TUNNEL)
        rekey(id, &none[0], &none[1]);
    else
        set_bare(id, "198.51.100");
    set_route(id);
    s.tenants[id].is_there = 1;
}

static uint32_t next_of(uint32_t id)
{
    return id % IDS + 1;
}

/* A route to this tunnel for the next one's traffic: to one host, or a share of all of it. */
static tunnelcap_route flap_route(uint32_t id, uint32_t host)
{
    char prefix[32];
    snprintf(prefix, sizeof(prefix), host == 0 ? "10.%u.%u.0/16" : "10.%u.%u.0/24",
             (unsigned)next_of(id), (unsigned)host);
    return test_route(prefix, id);
}

/* Take traffic of the next tunnel, or give it back. */
static void flap(uint32_t id)
{
    uint32_t host = test_below(&s.random, HOSTS);
    tunnelcap_route route = flap_route(id, host);
    begin();
    test_ok(s.tenants[id].flapped[host] ? tunnelcap_table_remove_route(s.table, &route)
                                        : tunnelcap_table_set_route(s.table, &route));
    test_ok(tunnelcap_table_commit(s.table, NULL));
    s.tenants[id].flapped[host] ^= 1;
}

/* Set a tunnel anew, with another TTL or other SAs. */
static void change(uint32_t id)
{
    tunnelcap_esp *old[2] = {NULL, NULL};
    begin();
    if (kind_of(id) == ESP_TUNNEL)
        rekey(id, &old[0], &old[1]);
    else
        set_bare(id, "198.51.100");
    if (old[0] == NULL) {
        test_ok(tunnelcap_table_commit(s.table, NULL));
        return;
    }
    commit_and_settle();
    retire(&old[0]);
    retire(&old[1]);
}

static void add_up(tally *sum, const tunnelcap_counters *c)
{
    sum->packets += c->packets;
    sum->refused += c->refused;
    sum->inner_bytes += c->inner_bytes;
    sum->outer_bytes += c->outer_bytes;
}

static void take_counters(uint32_t id, tally sums[2][IDS + 1])
{
    tunnelcap_stats stats;
    test_ok(tunnelcap_table_get_stats(s.table, id, &stats, sizeof(stats)));
    add_up(&sums[TUNNELCAP_ENCAP][id], &stats.encap);
    add_up(&sums[TUNNELCAP_DECAP][id], &stats.decap);
}

/* Nothing finds the tunnel any more, but it is there with its counters. */
static void drain(uint32_t id)
{
    const tenant *t = &s.tenants[id];
    char prefix[32];
    snprintf(prefix, sizeof(prefix), "10.%u.0.0/16", (unsigned)id);
    tunnelcap_route route = test_route(prefix, id);
    test_ok(tunnelcap_table_remove_route(s.table, &route));
    for (uint32_t host = 0; host < HOSTS; host++) {
        route = flap_route(id, host);
        if (t->flapped[host])
            test_ok(tunnelcap_table_remove_route(s.table, &route));
    }
    if (kind_of(id) != ESP_TUNNEL) {
        set_bare(id, "203.0.113");
        return;
    }
    test_ok(tunnelcap_table_remove_sa(s.table, id, t->out));
    for (uint32_t i = 0; i < 2; i++) {
        if (t->in[i] != NULL)
            test_ok(tunnelcap_table_remove_sa(s.table, id, t->in[i]));
    }
}

/* Remove a tunnel; a wild one may be there again in the same change. */
static void take_away(uint32_t id)
{
    tenant gone = s.tenants[id];
    if (id <= TAME) {
        begin();
        drain(id);
        commit_and_settle();
        take_counters(id, s.removed);
    }
    begin();
    test_ok(tunnelcap_table_remove(s.table, id));
    memset(&s.tenants[id], 0, sizeof(gone));
    if (id > TAME && test_below(&s.random, 2) == 0)
        add(id);
    commit_and_settle();
    retire(&gone.out);
    retire(&gone.in[0]);
    retire(&gone.in[1]);
}

/* A change that is given up leaves nothing. */
static void waver(uint32_t id)
{
    begin();
    test_ok(tunnelcap_table_remove(s.table, id));
    tunnelcap_route route = test_route("10.0.0.0/8", next_of(id));
    tunnelcap_table_set_route(s.table, &route); /* or there is no such tunnel */
    tunnelcap_table_abort(s.table);
}

/* What a control thread looks at meanwhile. */
static void look(uint32_t id)
{
    tunnelcap_reason reasons[8];
    tunnelcap_tunnel_info info;
    tunnelcap_stats stats;
    uint32_t found;
    test_ok(tunnelcap_table_get_info(s.table, id, &info, sizeof(info)));
    test_ok(tunnelcap_table_get_stats(s.table, id, &stats, sizeof(stats)));
    test_ok(tunnelcap_table_reasons(s.table, 0, TUNNELCAP_DECAP, reasons, 8, &found));
}

static void step(void)
{
    uint32_t id = 1 + test_below(&s.random, IDS);
    if (!s.tenants[id].is_there) {
        begin();
        add(id);
        test_ok(tunnelcap_table_commit(s.table, NULL));
        return;
    }
    switch (test_below(&s.random, 8)) {
    case 0:
    case 1:
        take_away(id);
        break;
    case 2:
    case 3:
        flap(id);
        break;
    case 4:
        waver(id);
        break;
    case 5:
        look(id);
        break;
    default:
        change(id);
        break;
    }
}

/* ---- the storm ---- */

static void open_storm(const tunnelcap_crypto *crypto, uint32_t flags)
{
    tunnelcap_table_config config;
    memset(&s, 0, sizeof(s));
    s.crypto = crypto;
    s.transform = test_gcm();
    s.next_spi = 0x1000;
    for (uint32_t id = 1; id <= IDS; id++) {
        for (uint32_t host = 0; host < HOSTS; host++) {
            test_ip ip = test_between("203.0.113.1", "10.0.0.9");
            ip.dst.bytes[1] = (uint8_t)id;
            ip.dst.bytes[2] = (uint8_t)host;
            test_udp_packet(&s.inner[id][host], &ip, PAYLOAD);
        }
    }
    test_ok(tunnelcap_table_config_init(&config, sizeof(config)));
    config.flags = flags;
    config.tunnels = IDS;
    config.routes = IDS * (HOSTS + 1) + 1;
    config.sas = 6 * IDS;
    config.lanes = LANES;
    test_ok(tunnelcap_table_new(&config, test_seed, test_alloc(), &s.table));
    for (uint32_t i = 0; i < LANES; i++) {
        s.workers[i].self = i;
        s.workers[i].lane = test_crypto_lane(crypto, BURST);
        test_ok(tunnelcap_table_attach(s.table, s.workers[i].lane));
    }
}

static void change_all_the_time(void)
{
    const char *seconds = getenv("TUNNELCAP_STORM_SECONDS");
    time_t end = time(NULL) + (seconds != NULL ? atoi(seconds) : 0);
    uint32_t changes = 0;
    do
        step();
    while (seconds != NULL ? time(NULL) < end : ++changes < CHANGES);
}

static void check_sums(void)
{
    tally counted[2][IDS + 1], told[2][IDS + 1];
    memcpy(counted, s.removed, sizeof(counted));
    memset(told, 0, sizeof(told));
    for (uint32_t id = 0; id <= IDS; id++) {
        if (id == 0 || s.tenants[id].is_there)
            take_counters(id, counted);
        for (uint32_t i = 0; i < 2 * LANES; i++) {
            const tally *one = &s.workers[i / 2].told[i % 2][id];
            tally *sum = &told[i % 2][id];
            sum->packets += one->packets;
            sum->refused += one->refused;
            sum->inner_bytes += one->inner_bytes;
            sum->outer_bytes += one->outer_bytes;
        }
        for (uint32_t way = 0; way < 2; way++) {
            if (id <= TAME) {
                ck_assert_mem_eq(&counted[way][id], &told[way][id], sizeof(tally));
            } else {
                ck_assert_uint_le(counted[way][id].packets, told[way][id].packets);
                ck_assert_uint_le(counted[way][id].refused, told[way][id].refused);
            }
        }
    }
}

static void close_storm(void)
{
    for (uint32_t i = 0; i < LANES; i++) {
        test_ok(tunnelcap_table_detach(s.table, s.workers[i].lane));
        tunnelcap_lane_free(s.workers[i].lane);
    }
    tunnelcap_table_free(s.table);
    for (uint32_t id = 1; id <= IDS; id++) {
        tunnelcap_esp_free(s.tenants[id].out);
        tunnelcap_esp_free(s.tenants[id].in[0]);
        tunnelcap_esp_free(s.tenants[id].in[1]);
    }
}

static void weather_it(const tunnelcap_crypto *crypto, uint32_t flags)
{
    if (test_lanes_max() < LANES)
        return; /* no lock-free 64-bit atomics: one lane is all there is */
    open_storm(crypto, flags);
    begin();
    for (uint32_t id = 1; id <= IDS; id += 2)
        add(id);
    test_ok(tunnelcap_table_commit(s.table, NULL));
    for (uint32_t i = 0; i < LANES; i++)
        ck_assert_int_eq(pthread_create(&s.workers[i].thread, NULL, work, &s.workers[i]), 0);
    change_all_the_time();
    for (uint32_t i = 0; i < LANES; i++) {
        while (atomic_load(&s.workers[i].rounds) < LEAST_ROUNDS)
            sched_yield();
    }
    atomic_store(&s.stop, 1);
    for (uint32_t i = 0; i < LANES; i++) {
        ck_assert_int_eq(pthread_join(s.workers[i].thread, NULL), 0);
        ck_assert_uint_eq(s.workers[i].odd, 0);
    }
    check_sums();
    close_storm();
}

START_TEST(no_packet_is_lost_or_led_astray_while_the_writer_changes_everything)
{
    static test_toy toy;
    weather_it(test_toy_init(&toy), 0);
    ck_assert_uint_eq(toy.keys_live, 0);
}
END_TEST

#ifdef TUNNELCAP_WITH_OPENSSL
START_TEST(the_same_holds_with_keys_in_libcrypto_and_rendezvous)
{
    weather_it(tunnelcap_crypto_openssl(), TUNNELCAP_TABLE_RENDEZVOUS);
}
END_TEST
#endif

Suite *test_table_storm_suite(void)
{
    const TTest *tests[] = {
        no_packet_is_lost_or_led_astray_while_the_writer_changes_everything,
#ifdef TUNNELCAP_WITH_OPENSSL
        the_same_holds_with_keys_in_libcrypto_and_rendezvous,
#endif
    };
    return test_suite("table_storm", tests, TEST_COUNT(tests));
}
