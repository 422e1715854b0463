/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "gateway.h"

#include "address.h"
#include "carry.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
    OWN_EVENTS = 7,     /* three signals, the TUN device, the egress queue, two timers */
    KEY_SLOTS_EACH = 4, /* one way and the other, before and after a change of keys */
    ALIVE_S = 20        /* what RFC 3948 section 4 suggests for NAT keepalives */
};

/* Egress ports serve all tunnels: the smallest of them sets the limits. */
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

static void tell_path_mtu(const gateway *g, const tunnelcap_event *event)
{
    char text[ADDRESS_TEXT_SIZE];
    bool told = event->addr.family != 0;

    log_line("%s: the path MTU is %u now, was %u%s%s", g->conf->tunnels[event->tunnel - 1].path,
             event->value, event->before, told ? ", says " : "",
             told ? address_text(&event->addr, text) : "");
}

/* What the lane has noticed: when a path MTU changes, so does what servers may answer, and a probe
 * may be due. */
static void follow(gateway *g)
{
    const struct timeval soon = {.tv_sec = 0};
    tunnelcap_event events[BATCH_SIZE];
    bool changed = false;
    uint32_t count = 0;

    while ((count = tunnelcap_lane_events(g->lane, events, BATCH_SIZE, NULL)) > 0)
        for (uint32_t i = 0; i < count; i++) {
            if (events[i].kind != TUNNELCAP_EVENT_PMTU)
                continue;
            tell_path_mtu(g, &events[i]);
            changed = true;
        }
    if (changed) {
        tunnelcap_tunnel_info least = smallest(g);
        egress_set_limits(&g->egress, least.limit4, least.limit6);
    }
    if (changed || g->tick_soon)
        event_add(g->tick, &soon);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    gateway *g = arg;

    (void)fd;
    (void)what;
    int64_t wait_ms = carry_tick(g);
    const struct timeval wait = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};
    event_add(g->tick, &wait);
    follow(g);
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
    carry_in(g);
    follow(g);
}

static void on_outer(evutil_socket_t fd, short what, void *arg)
{
    const gateway_arrival *arrival = arg;
    gateway *g = arrival->gateway;

    (void)fd;
    (void)what;
    listener_read(&g->listeners, arrival->from, &g->batch);
    carry_out(g, listener_has_errors(arrival->from));
    follow(g);
}

static void on_egress(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    egress_run(&((gateway *)arg)->egress);
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
    egress_set_limits(&g->egress, least.limit4, least.limit6);
    log_line("the key files have been read anew");
}

/* Open NAT bindings, keep them open, and see how long the keys will last. */
static void on_alive(evutil_socket_t fd, short what, void *arg)
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

/* Fragments of outer packets the kernel puts together before sockets see them; those of inner
 * packets are put together here, where a tunnel says so. */
static bool open_reassembly(gateway *g, const uint8_t *seed)
{
    tunnelcap_reassembly_config reassembly;
    int32_t status = TUNNELCAP_OK;

    for (size_t i = 0; g->reassembly == NULL && i < g->conf->tunnel_count; i++) {
        if ((g->conf->tunnels[i].policy.flags & TUNNELCAP_TUNNEL_REASSEMBLE) == 0)
            continue;
        tunnelcap_reassembly_config_init(&reassembly, sizeof reassembly);
        status = tunnelcap_reassembly_new(&reassembly, seed, NULL, &g->reassembly);
        if (status == TUNNELCAP_OK)
            status = tunnelcap_table_set_reassembly(g->lane, NULL, g->reassembly);
        if (status == TUNNELCAP_OK)
            continue;
        log_line("%s", tunnelcap_status_text(status));
        return false;
    }
    return true;
}

static bool open_table(gateway *g)
{
    uint8_t seeds[3][TUNNELCAP_SEED_SIZE];
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
    return status == TUNNELCAP_OK && ipsec_load(&g->ipsec, g->table, g->lane) &&
           open_reassembly(g, seeds[2]);
}

static bool open_memory(gateway *g)
{
    g->batch.spares_used = BATCH_SPARES;
    g->batch.memory = malloc((size_t)BATCH_RESULTS * BATCH_PLACE);
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
    const struct timeval alive = {.tv_sec = ALIVE_S};

    if (g->ipsec.count == 0)
        return true;
    if (!watch(g, SIGHUP, EV_SIGNAL, NULL, on_hangup, g) || !watch(g, -1, 0, &alive, on_alive, g))
        return false;
    on_alive(-1, 0, g);
    return true;
}

static bool watch_paths(gateway *g)
{
    const struct timeval soon = {.tv_sec = 0};

    g->tick = evtimer_new(g->base, on_tick, g);
    if (g->tick != NULL)
        g->events[g->event_count++] = g->tick;
    if (g->tick != NULL && event_add(g->tick, &soon) == 0)
        return true;
    log_line("cannot watch the time");
    return false;
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
    return view_open(&g->view, g, g->base, control_path) && merging_open(&g->merging, g->conf) &&
           tun_open(&g->tun, g->conf) &&
           egress_open(&g->egress, g->conf, least.limit4, least.limit6) && watch_all(g) &&
           watch_paths(g) && watch_ipsec(g);
}

static void close_all(gateway *g)
{
    merging_close(&g->merging);
    egress_close(&g->egress);
    tun_close(&g->tun);
    view_close(&g->view);
    for (size_t i = 0; i < g->event_count; i++)
        event_free(g->events[i]);
    sender_close(&g->sender);
    listeners_close(&g->listeners);
    if (g->table != NULL && g->lane != NULL)
        tunnelcap_table_detach(g->table, g->lane);
    tunnelcap_table_free(g->table);
    ipsec_close(&g->ipsec);
    tunnelcap_lane_free(g->lane);
    tunnelcap_reassembly_free(g->reassembly);
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
        printf("ready: %s, %zu tunnels, smallest MTU %u, control socket %s\n", g->tun.name,
               conf->tunnel_count, smallest(g).inner_mtu, control_path);
        fflush(stdout);
        event_base_dispatch(g->base);
        status = g->broken ? 1 : 0;
    }
    close_all(g);
    free(g);
    return status;
}
