/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "gateway.h"

#include "stats.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
    OWN_EVENTS = 6,     /* three signals, the TUN device, the egress queue, the timer */
    KEY_SLOTS_EACH = 4, /* one way and the other, before and after a change of keys */
    TICK_S = 20         /* what RFC 3948 section 4 suggests for NAT keepalives */
};

/* Run the batch through the library, one way or the other. Neither call can fail but by a
 * mistake of this program's. */
static void carry(gateway *g, int32_t (*data_path)(tunnelcap_lane *, tunnelcap_burst *),
                  const tunnelcap_meta *meta)
{
    g->now_ms = log_now_ms();
    tunnelcap_burst burst = {.size = sizeof burst,
                             .now_ns = (uint64_t)g->now_ms * 1000000,
                             .pkt_count = g->batch.count,
                             .result_cap = BATCH_SIZE,
                             .meta_stride = sizeof *meta,
                             .pkts = g->batch.pkts,
                             .meta = meta,
                             .results = g->batch.results};

    int32_t status = data_path(g->lane, &burst);
    if (status != TUNNELCAP_OK) {
        log_line("%s", tunnelcap_status_text(status));
        abort();
    }
}

static void mark_active(gateway *g, const tunnelcap_result *result)
{
    g->last_ms[result->tunnel - 1] = g->now_ms;
}

/* A tunnel that had something to send may need more sequence numbers, or have got them. */
static void mark_sent(gateway *g, const tunnelcap_result *result)
{
    ipsec_tunnel *tunnel = ipsec_find(&g->ipsec, result->tunnel);

    if (tunnel != NULL)
        tunnel->sent = true;
}

static void on_tun(evutil_socket_t fd, short what, void *arg)
{
    gateway *g = arg;

    (void)fd;
    (void)what;
    if (!tun_read(&g->tun, &g->batch)) {
        log_line("the TUN device %s has been taken away", g->tun.name);
        g->broken = true;
        event_base_loopbreak(g->base);
        return;
    }
    carry(g, tunnelcap_table_encap, NULL);
    for (uint32_t i = 0; i < g->batch.count; i++) {
        mark_sent(g, &g->batch.results[i]);
        if (g->batch.results[i].action != TUNNELCAP_DO_SEND)
            continue;
        mark_active(g, &g->batch.results[i]);
        sender_add(&g->sender, &g->batch.pkts[i]);
    }
    sender_flush(&g->sender);
    ipsec_reserve(&g->ipsec, g->now_ms);
}

static void deliver(gateway *g, const tunnelcap_result *result, const tunnelcap_pkt *pkt)
{
    mark_active(g, result);
    if (result->value == TUNNELCAP_ETHERTYPE_IPV4 || result->value == TUNNELCAP_ETHERTYPE_IPV6)
        tun_write(&g->tun, pkt);
    else
        g->undeliverable++;
}

/* The outer source of a packet that has been unwrapped: sockets that leave the IP header on (for
 * IPv4 only) have put it where the packet was read to, and there it still is. */
static tunnelcap_addr source(gateway *g, uint32_t i)
{
    tunnelcap_addr address = {.family = TUNNELCAP_IPV4};

    if (g->batch.meta[i].at != TUNNELCAP_AT_IP)
        return g->batch.meta[i].src;
    memcpy(address.bytes, batch_place(&g->batch, i) + 12, 4);
    return address;
}

/* What a verified packet tells about its far end. */
static void learn(gateway *g, uint32_t i)
{
    ipsec_tunnel *tunnel = ipsec_find(&g->ipsec, g->batch.results[i].tunnel);

    if (tunnel == NULL)
        return;
    tunnelcap_addr from = source(g, i);
    ipsec_heard(&g->ipsec, tunnel, &from, g->batch.meta[i].src_port, g->now_ms);
}

static void on_outer(evutil_socket_t fd, short what, void *arg)
{
    const gateway_arrival *arrival = arg;
    gateway *g = arrival->gateway;

    (void)fd;
    (void)what;
    listener_read(&g->listeners, arrival->from, &g->batch);
    carry(g, tunnelcap_table_decap, g->batch.meta);
    for (uint32_t i = 0; i < g->batch.count; i++) {
        const tunnelcap_result *result = &g->batch.results[i];
        if (result->action == TUNNELCAP_DO_DELIVER) {
            learn(g, i);
            deliver(g, result, &g->batch.pkts[i]);
        } else if (result->action == TUNNELCAP_DO_REPLY) {
            sender_add(&g->sender, &g->batch.pkts[i]);
        }
    }
    sender_flush(&g->sender);
}

static void on_egress(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    egress_run(&((gateway *)arg)->egress);
}

/* One TUN device and one egress port serve all tunnels: the smallest of them sets the limits. */
static tunnelcap_tunnel_info smallest(const gateway *g)
{
    tunnelcap_tunnel_info least = {
        .inner_mtu = UINT32_MAX, .limit4 = UINT16_MAX, .limit6 = UINT16_MAX};
    tunnelcap_tunnel_info info;

    for (size_t i = 0; i < g->conf->tunnel_count; i++) {
        tunnelcap_table_get_info(g->table, g->conf->tunnels[i].id, &info, sizeof info);
        least.inner_mtu = info.inner_mtu < least.inner_mtu ? info.inner_mtu : least.inner_mtu;
        least.limit4 = info.limit4 < least.limit4 ? info.limit4 : least.limit4;
        least.limit6 = info.limit6 < least.limit6 ? info.limit6 : least.limit6;
    }
    return least;
}

static void on_hangup(evutil_socket_t number, short what, void *arg)
{
    gateway *g = arg;

    (void)number;
    (void)what;
    if (!ipsec_load(&g->ipsec, g->table, g->lane)) {
        log_line("the key files are not taken over; all goes on as before");
        return;
    }
    tunnelcap_tunnel_info least = smallest(g);
    tun_set_mtu(&g->tun, least.inner_mtu);
    egress_set_limits(&g->egress, least.limit4, least.limit6);
    log_line("the key files have been read anew");
}

/* Open NAT bindings, keep them open, and see how long the keys will last. */
static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    gateway *g = arg;

    (void)fd;
    (void)what;
    for (size_t i = 0; i < g->ipsec.count; i++) {
        ipsec_tunnel *tunnel = &g->ipsec.tunnels[i];
        ipsec_watch_life(tunnel, log_now_ms());
        if (!ipsec_keepalive_due(tunnel))
            continue;
        batch_put(&g->batch, 0, 0);
        if (tunnelcap_esp_keepalive(tunnel->now.out.esp, &g->batch.pkts[0]) != TUNNELCAP_OK)
            continue;
        sender_add(&g->sender, &g->batch.pkts[0]);
        sender_flush(&g->sender);
    }
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    (void)what;
    log_line("stopping (%s)", strsignal((int)number));
    event_base_loopbreak(((gateway *)arg)->base);
}

static json_t *on_ask(void *arg)
{
    return stats_json(arg);
}

/* Watch a descriptor, a signal or the time for the rest of the gateway's life. */
static bool watch(gateway *g, int fd, short what, const struct timeval *every,
                  event_callback_fn callback, void *arg)
{
    struct event *event = event_new(g->base, fd, (short)(what | EV_PERSIST), callback, arg);

    if (event != NULL)
        g->events[g->event_count++] = event;
    if (event != NULL && event_add(event, every) == 0)
        return true;
    log_line("cannot watch for events");
    return false;
}

/* First of all, so that nothing is left behind however early we are told to stop. */
static bool open_base(gateway *g)
{
    static const int endings[] = {SIGINT, SIGTERM};

    signal(SIGPIPE, SIG_IGN);
    g->base = event_base_new();
    g->events =
        calloc(g->conf->tunnel_count * LISTENERS_PER_TUNNEL + OWN_EVENTS, sizeof(struct event *));
    if (g->base == NULL || g->events == NULL) {
        log_line("cannot make an event loop");
        return false;
    }
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (!watch(g, endings[i], EV_SIGNAL, NULL, on_signal, g))
            return false;
    return true;
}

static bool open_table(gateway *g)
{
    uint8_t seeds[2][TUNNELCAP_SEED_SIZE];
    tunnelcap_lane_config lane_config;

    if (getrandom(seeds, sizeof seeds, 0) != (ssize_t)sizeof seeds) {
        log_line("no random numbers: %s", strerror(errno));
        return false;
    }
    g->table = config_table(g->conf, seeds[0], 1, stderr);
    if (g->table == NULL || !ipsec_open(&g->ipsec, g->conf))
        return false;
    tunnelcap_lane_config_init(&lane_config, sizeof lane_config);
    lane_config.key_slots += (uint32_t)g->ipsec.count * KEY_SLOTS_EACH;
    int32_t status = tunnelcap_lane_new(&lane_config, seeds[1], g->ipsec.crypto, NULL, &g->lane);
    if (status == TUNNELCAP_OK)
        status = tunnelcap_table_attach(g->table, g->lane);
    if (status != TUNNELCAP_OK)
        log_line("%s", tunnelcap_status_text(status));
    return status == TUNNELCAP_OK && ipsec_load(&g->ipsec, g->table, g->lane);
}

static bool open_memory(gateway *g)
{
    g->batch.memory = malloc((size_t)BATCH_SIZE * (BATCH_HEADROOM + BATCH_ROOM));
    g->last_ms = calloc(g->conf->tunnel_count, sizeof *g->last_ms);
    g->arrivals = calloc(g->listeners.count, sizeof *g->arrivals);
    if (g->batch.memory != NULL && g->last_ms != NULL && g->arrivals != NULL)
        return true;
    log_line("%s", strerror(ENOMEM));
    return false;
}

/* What only IPsec tunnels need. */
static bool watch_ipsec(gateway *g)
{
    const struct timeval tick = {.tv_sec = TICK_S};

    if (g->ipsec.count == 0)
        return true;
    if (!watch(g, SIGHUP, EV_SIGNAL, NULL, on_hangup, g) || !watch(g, -1, 0, &tick, on_tick, g))
        return false;
    on_tick(-1, 0, g);
    return true;
}

static bool watch_all(gateway *g)
{
    if (!watch(g, g->tun.fd, EV_READ, NULL, on_tun, g))
        return false;
    for (size_t i = 0; i < g->listeners.count; i++) {
        g->arrivals[i] = (gateway_arrival){.gateway = g, .from = &g->listeners.list[i]};
        if (!watch(g, g->listeners.list[i].fd, EV_READ, NULL, on_outer, &g->arrivals[i]))
            return false;
    }
    return egress_fd(&g->egress) < 0 ||
           watch(g, egress_fd(&g->egress), EV_READ, NULL, on_egress, g);
}

/* What can fail for want of rights or addresses comes before what others can see. */
static bool open_all(gateway *g, const char *control_path)
{
    if (!open_base(g) || !open_table(g) || !listeners_open(&g->listeners, g->conf, &g->ipsec) ||
        !sender_open(&g->sender, g->conf) || !open_memory(g))
        return false;
    tunnelcap_tunnel_info least = smallest(g);
    return control_open(&g->control, g->base, control_path, on_ask, g) &&
           tun_open(&g->tun, g->conf, least.inner_mtu) &&
           egress_open(&g->egress, g->conf, least.limit4, least.limit6) && watch_all(g) &&
           watch_ipsec(g);
}

static void close_all(gateway *g)
{
    egress_close(&g->egress);
    tun_close(&g->tun);
    control_close(&g->control);
    for (size_t i = 0; i < g->event_count; i++)
        event_free(g->events[i]);
    sender_close(&g->sender);
    listeners_close(&g->listeners);
    if (g->table != NULL && g->lane != NULL)
        tunnelcap_table_detach(g->table, g->lane);
    tunnelcap_table_free(g->table);
    ipsec_close(&g->ipsec);
    tunnelcap_lane_free(g->lane);
    if (g->base != NULL)
        event_base_free(g->base);
    free(g->batch.memory);
    free(g->last_ms);
    free(g->arrivals);
    free(g->events);
}

int gateway_run(const config *conf, const char *control_path)
{
    gateway *g = calloc(1, sizeof *g);
    int status = 1;

    if (g == NULL) {
        log_line("%s", strerror(ENOMEM));
        return status;
    }
    g->conf = conf;
    g->started_ms = log_now_ms();
    g->tun.fd = -1;
    g->sender.v4.fd = -1;
    g->sender.v6.fd = -1;
    if (open_all(g, control_path)) {
        printf("ready: %s with MTU %u, %zu tunnels, control socket %s\n", g->tun.name, g->tun.mtu,
               conf->tunnel_count, control_path);
        fflush(stdout);
        event_base_dispatch(g->base);
        status = g->broken ? 1 : 0;
    }
    close_all(g);
    free(g);
    return status;
}
