/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "table_data.h"

#include "icmp.h"

/* The health of tunnels: watching them, sending their probes, moving their routes. */

enum { OLDEST = sizeof(tunnelcap_watch) };
enum { RETRY_NS = 1000000 };

static const tunnelcap_watch defaults = {
    sizeof(defaults), 0, TUNNELCAP_ECHO_REPLY, TUNNELCAP_WATCH_BIDIRECTIONAL, {0}, {{0}, 0, {0}},
    {{0}, 0, {0}}};

int32_t tunnelcap_watch_init(tunnelcap_watch *watch, uint32_t size)
{
    return tunnelcap_i_struct_init(watch, size, &defaults, sizeof(defaults), OLDEST);
}

void tunnelcap_i_watching_lay_out(tunnelcap_i_layout *layout, uint32_t cap,
                                  tunnelcap_i_watching *watching)
{
    tunnelcap_health_config config;

    tunnelcap_health_config_init(&config, sizeof(config));
    watching->health_size = tunnelcap_health_size(&config);
    tunnelcap_i_id_map_lay_out(layout, cap, &watching->ids);
    watching->watches = tunnelcap_i_layout_add(layout, cap, sizeof(*watching->watches));
    watching->healths = tunnelcap_i_layout_add(layout, cap, watching->health_size);
}

int32_t tunnelcap_table_set_prober(tunnelcap_table *table, uint64_t server, const uint8_t *key)
{
    tunnelcap_i_watching *watching;

    if (table == NULL || key == NULL)
        return TUNNELCAP_E_INVALID;
    watching = &table->watching;
    watching->server = server;
    TUNNELCAP_I_STORE(watching->key[0], tunnelcap_i_load64(key));
    TUNNELCAP_I_STORE(watching->key[1], tunnelcap_i_load64(key + 8));
    TUNNELCAP_I_STORE_REL(watching->has_key, 1);
    return TUNNELCAP_OK;
}

/* ---- addresses ---- */

/* 1 if an address is none, or that of one node. */
static uint32_t address_ok(const tunnelcap_addr *a)
{
    size_t used = a->family == TUNNELCAP_IPV4 ? 4 : 16;

    if (a->family == 0)
        return tunnelcap_i_is_zero(a, sizeof(*a));
    return (a->family == TUNNELCAP_IPV4 || a->family == TUNNELCAP_IPV6) &&
           tunnelcap_i_is_zero(a->reserved, sizeof(a->reserved)) &&
           tunnelcap_i_is_zero(a->bytes + used, sizeof(a->bytes) - used) &&
           tunnelcap_i_icmp_one_node(a->bytes, a->family);
}

/* The ends of a tunnel, none where it has none yet. */
static void outer_ends(const tunnelcap_i_tunnel *tunnel, tunnelcap_addr *local,
                       tunnelcap_addr *remote)
{
    const tunnelcap_i_outer *outer = tunnelcap_i_tunnel_outer(tunnel);

    memset(local, 0, sizeof(*local));
    memset(remote, 0, sizeof(*remote));
    if (outer == NULL)
        return;
    tunnelcap_i_addr_set(remote, outer->match, outer->family);
    tunnelcap_i_addr_set(local, outer->match + (outer->family == TUNNELCAP_IPV4 ? 4 : 16),
                         outer->family);
}

/* The same inside the tunnel, as far as it says. */
static void inner_ends(const tunnelcap_i_tunnel *tunnel, uint8_t family, tunnelcap_addr *local,
                       tunnelcap_addr *remote)
{
    if (family == 0)
        family = tunnel->interface4.family != 0 ? TUNNELCAP_IPV4 : TUNNELCAP_IPV6;
    *local = family == TUNNELCAP_IPV4 ? tunnel->interface4 : tunnel->interface6;
    *remote = tunnel->probe;
    if (remote->family != family) { /* the other address of a /31, or a /127 */
        *remote = *local;
        remote->bytes[family == TUNNELCAP_IPV4 ? 3 : 15] ^= 1;
    }
}

/* What a probe's addresses are, as the tunnel is now. */
static int32_t find_ends(const tunnelcap_i_tunnel *tunnel, const tunnelcap_watch *watch,
                         tunnelcap_addr *local, tunnelcap_addr *remote)
{
    uint8_t family = watch->local.family != 0 ? watch->local.family : watch->remote.family;

    if (watch->direction == TUNNELCAP_WATCH_UNIDIRECTIONAL) {
        outer_ends(tunnel, local, remote);
    } else {
        inner_ends(tunnel, family, local, remote);
        if (watch->local.family != 0 &&
            memcmp(watch->local.bytes, local->bytes, sizeof(local->bytes)) != 0)
            return TUNNELCAP_E_ADDRESS;
    }
    if (watch->local.family != 0)
        *local = watch->local;
    if (watch->remote.family != 0)
        *remote = watch->remote;
    return local->family != 0 && local->family == remote->family ? TUNNELCAP_OK
                                                                 : TUNNELCAP_E_ADDRESS;
}

/* ---- the list of watches ---- */

static int32_t read_watch(tunnelcap_watch *own, const tunnelcap_watch *watch)
{
    int32_t status;

    *own = defaults;
    if (watch == NULL)
        return TUNNELCAP_OK;
    status = tunnelcap_i_struct_read(own, sizeof(*own), OLDEST, watch);
    if (status != TUNNELCAP_OK)
        return status;
    if (own->flags != 0)
        return TUNNELCAP_E_FLAGS;
    if ((own->probe != TUNNELCAP_ECHO_REPLY && own->probe != TUNNELCAP_ECHO_REQUEST) ||
        own->direction > TUNNELCAP_WATCH_UNIDIRECTIONAL)
        return TUNNELCAP_E_MODE;
    if (!tunnelcap_i_is_zero(own->reserved, sizeof(own->reserved)))
        return TUNNELCAP_E_RESERVED;
    return address_ok(&own->local) && address_ok(&own->remote) ? TUNNELCAP_OK : TUNNELCAP_E_ADDRESS;
}

/* The tunnel of an id in the committed table, or NULL. */
static const tunnelcap_i_tunnel *tunnel_of(const tunnelcap_table *table, uint64_t id)
{
    const tunnelcap_i_view *view = tunnelcap_i_current(table);
    uint32_t entry = tunnelcap_i_find_id(table, view, id);

    return entry == 0 ? NULL : tunnelcap_i_tunnel_in(table, view, entry - 1);
}

/* The watch of an id, or NULL. */
static tunnelcap_i_watch *watch_of(const tunnelcap_table *table, uint64_t id)
{
    const tunnelcap_i_watching *watching = &table->watching;
    uint32_t entry = tunnelcap_i_id_map_find(&watching->ids, id);

    return entry == 0 || watching->watches[entry - 1].has_ended ? NULL
                                                                : &watching->watches[entry - 1];
}

int32_t tunnelcap_table_watch(tunnelcap_table *table, uint64_t id, const tunnelcap_watch *watch,
                              const tunnelcap_health_config *health)
{
    tunnelcap_i_watching *watching;
    const tunnelcap_i_tunnel *tunnel;
    tunnelcap_health_config judge;
    tunnelcap_addr local, remote;
    tunnelcap_watch own;
    tunnelcap_i_watch *w;
    uint32_t entry;
    int32_t status = read_watch(&own, watch);

    if (table == NULL)
        return TUNNELCAP_E_INVALID;
    if (status != TUNNELCAP_OK)
        return status;
    watching = &table->watching;
    if (!TUNNELCAP_I_LOAD(watching->has_key))
        return TUNNELCAP_E_STATE;
    tunnel = tunnel_of(table, id);
    if (tunnel == NULL)
        return TUNNELCAP_E_NOT_FOUND;
    status = find_ends(tunnel, &own, &local, &remote);
    if (status != TUNNELCAP_OK)
        return status;
    entry = tunnelcap_i_id_map_find(&watching->ids, id);
    if (entry == 0 && watching->ids.count == watching->ids.cap)
        return TUNNELCAP_E_FULL;
    if (health == NULL) {
        tunnelcap_health_config_init(&judge, sizeof(judge));
        health = &judge;
    }
    if (tunnelcap_health_size(health) == 0) { /* says why, before anything changes */
        tunnelcap_health *none;
        return tunnelcap_health_init(watching->healths, watching->health_size, health, &none);
    }
    if (entry == 0) {
        entry = tunnelcap_i_id_map_add(&watching->ids, id);
        memset(&watching->watches[entry - 1], 0, sizeof(*w));
    }
    w = &watching->watches[entry - 1];
    tunnelcap_health_init(watching->healths + (entry - 1) * watching->health_size,
                          watching->health_size, health, &w->health);
    w->config = own;
    w->due_ns = 0;
    w->unsent = 0;
    w->has_ended = 0;
    w->is_begun = 0;
    w->state = TUNNELCAP_HEALTH_HEALTHY;
    return TUNNELCAP_OK;
}

static void forget(tunnelcap_i_watching *watching, uint32_t index)
{
    tunnelcap_i_id_map_remove(&watching->ids, index);
    memset(&watching->watches[index], 0, sizeof(*watching->watches));
}

int32_t tunnelcap_table_unwatch(tunnelcap_table *table, uint64_t id)
{
    const tunnelcap_i_tunnel *tunnel;
    tunnelcap_i_watch *w;

    if (table == NULL)
        return TUNNELCAP_E_INVALID;
    w = watch_of(table, id);
    if (w == NULL)
        return TUNNELCAP_E_NOT_FOUND;
    tunnel = tunnel_of(table, id);
    if (tunnel == NULL || tunnelcap_i_penalty_at(tunnelcap_i_current(table), tunnel->place) == 0) {
        forget(&table->watching, (uint32_t)(w - table->watching.watches));
        return TUNNELCAP_OK;
    }
    w->has_ended = 1;
    table->watching.routes_wait = 1;
    return TUNNELCAP_OK;
}

int32_t tunnelcap_table_get_health(const tunnelcap_table *table, uint64_t id,
                                   tunnelcap_health_info *info, uint32_t size)
{
    const tunnelcap_i_watch *w;

    if (table == NULL)
        return TUNNELCAP_E_INVALID;
    w = watch_of(table, id);
    return w == NULL ? TUNNELCAP_E_NOT_FOUND : tunnelcap_health_get_info(w->health, info, size);
}

/* ---- probes ---- */

/* Note what is due. Numbers follow one another, so that what could not be sent yet and what is due
 * now are one row. */
static void note_due(tunnelcap_i_watch *w, const tunnelcap_health_due *due)
{
    if (w->unsent == 0)
        w->seq = due->seq;
    w->unsent += due->count;
    w->due_ns = due->next_ns;
}

int32_t tunnelcap_table_answer(tunnelcap_table *table, const tunnelcap_event *event,
                               uint64_t now_ns)
{
    tunnelcap_health_due due;
    tunnelcap_i_watch *w;
    int32_t status;

    if (table == NULL || event == NULL)
        return TUNNELCAP_E_INVALID;
    if (event->kind != TUNNELCAP_EVENT_PROBE)
        return TUNNELCAP_E_MODE;
    if (!TUNNELCAP_I_LOAD(table->watching.has_key))
        return TUNNELCAP_E_STATE;
    if (event->server != table->watching.server)
        return TUNNELCAP_E_NOT_OWNER;
    w = watch_of(table, event->tunnel);
    if (w == NULL || !w->is_begun)
        return TUNNELCAP_E_NOT_FOUND;
    status = tunnelcap_health_answer(w->health, event->value - w->base, now_ns, &due);
    note_due(w, &due);
    if (status == TUNNELCAP_CHANGED || w->unsent != 0)
        w->due_ns = 0;
    return status;
}

static int32_t build_probe(const tunnelcap_i_run *run, tunnelcap_i_tunnel *tunnel,
                           const tunnelcap_i_watch *w, tunnelcap_pkt *pkt)
{
    uint8_t payload[TUNNELCAP_PROBE_SIZE];
    uint8_t key[TUNNELCAP_PROBE_KEY];
    tunnelcap_i_watching *watching = &run->table->watching;
    tunnelcap_addr local, remote;
    tunnelcap_icmp_echo echo;
    tunnelcap_probe probe;
    int32_t status = find_ends(tunnel, &w->config, &local, &remote);

    if (status != TUNNELCAP_OK)
        return status;
    probe.tunnel = tunnel->id;
    probe.server = watching->server;
    probe.sent_ns = run->burst->now_ns;
    probe.seq = w->base + w->seq;
    probe.kind = w->config.direction;
    tunnelcap_i_probe_key(watching, key);
    tunnelcap_probe_write(&probe, key, payload);
    tunnelcap_icmp_echo_init(&echo, sizeof(echo));
    echo.type = w->config.probe;
    echo.src = echo.type == TUNNELCAP_ECHO_REPLY ? remote : local;
    echo.dst = echo.type == TUNNELCAP_ECHO_REPLY ? local : remote;
    echo.payload_len = sizeof(payload);
    echo.id = (uint16_t)(probe.server ^ probe.tunnel);
    echo.seq = (uint16_t)probe.seq;
    status = tunnelcap_icmp_echo_build(&echo, payload, pkt);
    return status == TUNNELCAP_OK ? tunnelcap_i_wrap(tunnel, run->lane, pkt) : status;
}

static uint32_t has_room(const tunnelcap_i_run *run)
{
    return run->spares < run->burst->spare_count && run->results < run->burst->result_cap;
}

/* Send what is due, as far as there is room. */
static void send_probes(tunnelcap_i_run *run, tunnelcap_i_tunnel *tunnel, tunnelcap_i_watch *w)
{
    tunnelcap_result *result;
    tunnelcap_pkt *pkt;

    for (; w->unsent != 0 && has_room(run); w->unsent--, w->seq++) {
        result = tunnelcap_i_take_spare(run, &pkt);
        tunnelcap_i_probe_made(tunnel, build_probe(run, tunnel, w, pkt), pkt, result);
    }
}

/* ---- time ---- */

static void tell_state(const tunnelcap_i_run *run, const tunnelcap_i_tunnel *tunnel,
                       tunnelcap_i_watch *w)
{
    tunnelcap_health_info info;
    tunnelcap_event event;

    tunnelcap_health_get_info(w->health, &info, sizeof(info));
    if (info.state == w->state)
        return;
    memset(&event, 0, sizeof(event));
    event.now_ns = run->burst->now_ns;
    event.tunnel = tunnel->id;
    event.server = run->table->watching.server;
    event.kind = TUNNELCAP_EVENT_HEALTH;
    event.value = info.state;
    event.before = w->state;
    w->state = info.state;
    tunnelcap_i_lane_tell(run->lane, &event);
}

/* Probe and judge a tunnel, for whose watch it is time; 0 if that has to wait for room. */
static uint32_t tick_watch(tunnelcap_i_run *run, tunnelcap_i_watch *w, tunnelcap_i_tunnel *tunnel)
{
    uint64_t now_ns = run->burst->now_ns;
    tunnelcap_health_due due;

    if (!has_room(run)) /* one that could not be sent would only seem to be lost */
        return 0;
    if (!w->is_begun) {
        w->base = (uint32_t)tunnelcap_i_hash2(run->lane->flow_key, tunnel->id, now_ns);
        w->is_begun = 1;
    }
    tunnelcap_health_tick(w->health, now_ns, &due);
    note_due(w, &due);
    tell_state(run, tunnel, w);
    send_probes(run, tunnel, w);
    if (w->unsent != 0)
        w->due_ns = 0;
    return w->unsent == 0;
}

/* What the routes of a watched tunnel should have. */
static uint32_t penalty_due(const tunnelcap_i_watch *w)
{
    return w->has_ended ? 0 : tunnelcap_health_penalty(w->state);
}

/* Do for one watch what time demands; 0 if that has to wait for room. */
static uint32_t tick_index(tunnelcap_i_run *run, uint32_t index)
{
    tunnelcap_i_watching *watching = &run->table->watching;
    tunnelcap_i_watch *w = &watching->watches[index];
    uint32_t entry;
    uint32_t done;

    if (w->has_ended || run->burst->now_ns < w->due_ns)
        return 1;
    entry = tunnelcap_i_find_id(run->table, run->view, watching->ids.ids[index]);
    if (entry == 0) { /* the tunnel is gone, and its routes with it */
        forget(watching, index);
        return 1;
    }
    done = tick_watch(run, w, tunnelcap_i_tunnel_in(run->table, run->view, entry - 1));
    if (tunnelcap_i_penalty_at(run->view, entry - 1) != penalty_due(w))
        watching->routes_wait = 1;
    return done;
}

/* Move the routes of all tunnels whose state asks for it, by a change of the table. */
static void move_routes(tunnelcap_table *table, uint64_t now_ns, uint64_t *next_ns)
{
    tunnelcap_i_watching *watching = &table->watching;

    if (!watching->routes_wait)
        return;
    if (tunnelcap_table_begin(table) != TUNNELCAP_OK) {
        if (now_ns + RETRY_NS < *next_ns)
            *next_ns = now_ns + RETRY_NS;
        return;
    }
    for (uint32_t i = 0; i < watching->ids.cap; i++) {
        const tunnelcap_i_watch *w = &watching->watches[i];
        uint32_t entry;

        if (watching->ids.ids[i] == 0)
            continue;
        entry = tunnelcap_i_find_id(table, tunnelcap_i_changing(table), watching->ids.ids[i]);
        if (entry != 0 &&
            tunnelcap_i_penalty_at(tunnelcap_i_changing(table), entry - 1) != penalty_due(w))
            tunnelcap_i_penalize(table, entry - 1, penalty_due(w));
        if (w->has_ended)
            forget(watching, i);
    }
    tunnelcap_table_commit(table, NULL);
    watching->routes_wait = 0;
}

void tunnelcap_i_watch_tick(tunnelcap_i_run *run, uint64_t *next_ns)
{
    tunnelcap_i_watching *watching = &run->table->watching;
    uint32_t cap = watching->ids.cap;
    uint32_t index = watching->next;

    for (uint32_t i = 0; i < cap; i++, index = index + 1 < cap ? index + 1 : 0) {
        if (watching->ids.ids[index] == 0)
            continue;
        if (!tick_index(run, index)) {
            *next_ns = run->burst->now_ns; /* at once, with room */
            break;
        }
        if (watching->ids.ids[index] != 0 && !watching->watches[index].has_ended &&
            watching->watches[index].due_ns < *next_ns)
            *next_ns = watching->watches[index].due_ns;
    }
    watching->next = index;
    move_routes(run->table, run->burst->now_ns, next_ns);
    run->view = tunnelcap_i_current(run->table);
}
