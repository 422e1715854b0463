/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "gateway.h"

#include "address.h"
#include "records.h"
#include "reload.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
    OWN_EVENTS = 7,      /* three signals, notices, the egress queue, two timers */
    ALIVE_S = 20,        /* what RFC 3948 section 4 suggests for NAT keepalives */
    MORE_HISTORIES = 8,  /* they take much memory */
    LEAST_TUNNELS = 256, /* room in the table, for a configuration that grows */
    LEAST_ROUTES = 1024
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

static void limit_egress(gateway *g)
{
    tunnelcap_tunnel_info least = smallest(g);

    egress_set_limits(&g->egress, least.limit4, least.limit6);
}

static void tell_path_mtu(const config_tunnel *tunnel, const tunnelcap_event *event)
{
    char text[ADDRESS_TEXT_SIZE];
    bool told = event->addr.family != 0;

    log_line("%s: the path MTU is %u now, was %u%s%s", tunnel->path, event->value, event->before,
             told ? ", says " : "", told ? address_text(&event->addr, text) : "");
}

static void tell_health(const gateway *g, const config_tunnel *tunnel, const tunnelcap_event *event)
{
    static const char *const states[] = {[TUNNELCAP_HEALTH_DOWN] = "down",
                                         [TUNNELCAP_HEALTH_DEGRADED] = "degraded",
                                         [TUNNELCAP_HEALTH_HEALTHY] = "healthy"};
    tunnelcap_health_info info = {.samples = 0};

    tunnelcap_table_get_health(g->table, tunnel->id, &info, sizeof info);
    log_line("%s: %s is %s, was %s: of the last 5 minutes' %u probes %u were lost", tunnel->path,
             tunnel->name, states[event->value], states[event->before], info.samples,
             info.failures);
}

/* What is due after events. */
enum { DUE_LIMITS = 1, DUE_TICK = 2 };

static unsigned take_event(gateway *g, const tunnelcap_event *event)
{
    const config_tunnel *tunnel = config_find_id(g->conf, event->tunnel);

    if (event->kind == TUNNELCAP_EVENT_PROBE) {
        tunnelcap_table_answer(g->table, event, event->now_ns);
        return DUE_TICK;
    }
    if (tunnel != NULL && event->kind == TUNNELCAP_EVENT_HEALTH)
        tell_health(g, tunnel, event);
    if (tunnel != NULL && event->kind == TUNNELCAP_EVENT_PMTU)
        tell_path_mtu(tunnel, event);
    return event->kind == TUNNELCAP_EVENT_PMTU ? DUE_LIMITS | DUE_TICK : 0;
}

/* What a lane has noticed. */
static unsigned read_events(gateway *g, tunnelcap_lane *lane)
{
    tunnelcap_event events[BATCH_SIZE];
    unsigned due = 0;
    uint32_t count = 0;

    while ((count = tunnelcap_lane_events(lane, events, BATCH_SIZE, NULL)) > 0)
        for (uint32_t i = 0; i < count; i++)
            due |= take_event(g, &events[i]);
    return due;
}

static void tick_after(gateway *g, int64_t wait_ms)
{
    const struct timeval wait = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};

    event_add(g->tick, &wait);
}

/* When a path MTU changes, so does what servers may answer, and a probe may be due. */
static void follow(gateway *g)
{
    unsigned due = read_events(g, g->carrier.lane);

    for (unsigned i = 0; i < g->crew.count; i++)
        due |= read_events(g, g->crew.workers[i].carrier.lane);
    if ((due & DUE_LIMITS) != 0)
        limit_egress(g);
    if ((due & DUE_TICK) != 0)
        tick_after(g, 0);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    gateway *g = arg;

    (void)fd;
    (void)what;
    tick_after(g, carry_tick(&g->carrier, g->table));
    follow(g);
}

static void move_peers(gateway *g, const notice_peer *peers, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        ipsec_tunnel *tunnel = ipsec_find(&g->ipsec, peers[i].tunnel);
        if (tunnel != NULL)
            ipsec_move(&g->ipsec, tunnel, &peers[i].from, peers[i].port, log_now_ms());
    }
}

static void on_notice(evutil_socket_t fd, short what, void *arg)
{
    gateway *g = arg;
    notice_peer peers[NOTICE_MOST_PEERS];
    unsigned peer_count = 0;
    uint32_t told = notice_take(&g->notice, peers, &peer_count);

    (void)fd;
    (void)what;
    move_peers(g, peers, peer_count);
    if ((told & NOTICE_NUMBERS) != 0)
        ipsec_reserve(&g->ipsec, log_now_ms());
    if ((told & NOTICE_EVENTS) != 0)
        follow(g);
    if ((told & NOTICE_TICK) != 0)
        tick_after(g, 0);
    if ((told & NOTICE_BROKEN) == 0)
        return;
    log_line("the TUN device %s has been taken away", g->tun.name);
    g->broken = true;
    event_base_loopbreak(g->base);
}

static void on_egress(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    egress_run(&((gateway *)arg)->egress);
}

static void on_hangup(evutil_socket_t number, short what, void *arg)
{
    (void)number;
    (void)what;
    json_decref(reload(arg));
}

/* Open NAT bindings, keep them open, and see how long the keys will last. */
static void on_alive(evutil_socket_t fd, short what, void *arg)
{
    gateway *g = arg;

    (void)fd;
    (void)what;
    for (size_t i = 0; i < g->ipsec.count; i++) {
        ipsec_tunnel *tunnel = g->ipsec.tunnels[i];
        tunnelcap_pkt *pkt = &g->carrier.batch.pkts[0];
        ipsec_watch_life(tunnel, log_now_ms());
        if (!ipsec_keepalive_due(tunnel))
            continue;
        batch_put(&g->carrier.batch, 0, 0);
        if (tunnelcap_esp_keepalive(tunnel->now.out.esp, pkt) != TUNNELCAP_OK)
            continue;
        sender_add(&g->carrier.sender, pkt);
        sender_flush(&g->carrier.sender);
    }
}

/* New tunnels may have something to say at once. */
void gateway_follow_config(gateway *g)
{
    records_keep(g);
    limit_egress(g);
    tick_after(g, 0);
    on_alive(-1, 0, g);
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
    g->events = calloc(OWN_EVENTS, sizeof(struct event *));
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
static bool open_reassembly(gateway *g)
{
    for (size_t i = 0; i < g->conf->tunnel_count; i++)
        if ((g->conf->tunnels[i].policy.flags & TUNNELCAP_TUNNEL_REASSEMBLE) != 0)
            return crew_reassemble(&g->crew);
    return true;
}

/* Room for twice of what there is: a reload may add tunnels, and a table never grows. */
static void choose_room(gateway *g)
{
    size_t tunnels = 2 * g->conf->tunnel_count;
    size_t routes = 2 * g->conf->route_count;

    g->room.tunnels = tunnels < LEAST_TUNNELS ? LEAST_TUNNELS : (uint32_t)tunnels;
    g->room.routes = routes < LEAST_ROUTES ? LEAST_ROUTES : (uint32_t)routes;
    g->room.lanes = g->conf->threads + 1;
    g->room.histories = g->conf->history_tunnels;
    if (g->room.histories > tunnels + MORE_HISTORIES)
        g->room.histories = (uint32_t)tunnels + MORE_HISTORIES;
}

static bool open_shared(gateway *g)
{
    uint64_t most_id = 2 * (uint64_t)g->room.tunnels; /* those that come, and those that leave */

    g->shared = (carry_shared){
        .ipsec = &g->ipsec,
        .notice = &g->notice,
        .most_id = most_id,
        .last_ms = calloc(most_id + 1, sizeof *g->shared.last_ms),
    };
    if (g->shared.last_ms != NULL)
        return notice_open(&g->notice);
    log_line("%s", strerror(ENOMEM));
    return false;
}

/* Answers come back to the server that has probed: nobody else needs to know its name and key. */
static bool open_watches(gateway *g)
{
    uint8_t key[TUNNELCAP_PROBE_KEY];
    uint64_t server = 0;
    int32_t status = TUNNELCAP_E_CRYPTO;

    if (getrandom(key, sizeof key, 0) == (ssize_t)sizeof key &&
        getrandom(&server, sizeof server, 0) == (ssize_t)sizeof server)
        status = tunnelcap_table_set_prober(g->table, server, key);
    for (size_t i = 0; status == TUNNELCAP_OK && i < g->conf->tunnel_count; i++)
        status = config_watch(g->table, &g->conf->tunnels[i]);
    if (status != TUNNELCAP_OK)
        log_line("health checks: %s", tunnelcap_status_text(status));
    records_keep(g);
    return status == TUNNELCAP_OK;
}

static bool open_table(gateway *g)
{
    uint8_t seed[TUNNELCAP_SEED_SIZE];

    choose_room(g);
    if (getrandom(seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
        log_line("no random numbers: %s", strerror(errno));
        return false;
    }
    g->table = config_table(g->conf, seed, &g->room, stderr);
    return g->table != NULL && open_shared(g) &&
           ipsec_open(&g->ipsec, g->conf, g->shared.most_id) &&
           crew_open(&g->crew, &g->carrier, &g->shared, g->conf, g->table) &&
           ipsec_load(&g->ipsec, g->table, &g->crew) && open_watches(g) && open_reassembly(g);
}

/* Keys grow old, and the file changes. */
static bool watch_upkeep(gateway *g)
{
    const struct timeval alive = {.tv_sec = ALIVE_S};

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
    return watch(g, g->notice.fd, EV_READ, NULL, on_notice, g) &&
           (egress_fd(&g->egress) < 0 ||
            watch(g, egress_fd(&g->egress), EV_READ, NULL, on_egress, g));
}

/* What can fail for want of rights or addresses comes before what others can see. */
static bool open_all(gateway *g, const char *control_path)
{
    if (!open_base(g) || !open_table(g) || !listeners_open(&g->listeners, g->conf->threads) ||
        !listeners_add(&g->listeners, g->conf, &g->ipsec))
        return false;
    listeners_take_answers(&g->listeners, config_expects_answers(g->conf));
    tunnelcap_tunnel_info least = smallest(g);
    return view_open(&g->view, g, g->base, control_path) && merging_open(&g->merging, g->conf) &&
           tun_open(&g->tun, g->conf) && crew_open_queues(&g->crew, &g->tun) &&
           crew_watch(&g->crew, &g->listeners, 0) &&
           egress_open(&g->egress, g->conf, least.limit4, least.limit6) && watch_all(g) &&
           watch_paths(g) && watch_upkeep(g) && crew_start(&g->crew);
}

/* Threads finish what they have read before anything is taken away from under them. */
static void close_all(gateway *g)
{
    merging_close(&g->merging);
    egress_close(&g->egress);
    crew_stop(&g->crew);
    crew_detach(&g->crew, g->table);
    tunnelcap_table_free(g->table);
    ipsec_close(&g->ipsec);
    crew_close(&g->crew);
    tun_close(&g->tun);
    view_close(&g->view);
    for (size_t i = 0; i < g->event_count; i++)
        event_free(g->events[i]);
    listeners_close(&g->listeners);
    notice_close(&g->notice);
    if (g->base != NULL)
        event_base_free(g->base);
    free(g->shared.last_ms);
    free(g->events);
    config_free(g->conf);
}

int gateway_run(config *conf, const char *file, const char *control_path)
{
    gateway *g = calloc(1, sizeof *g);
    int status = 1;

    if (g == NULL) {
        log_line("%s", strerror(ENOMEM));
        config_free(conf);
        return status;
    }
    g->conf = conf;
    g->file = file;
    log_set_clock();
    g->started_ms = log_now_ms();
    g->notice.fd = -1;
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
