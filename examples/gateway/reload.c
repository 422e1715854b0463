/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "reload.h"

#include "address.h"
#include "gateway.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What has become of tunnels or routes. */
enum { ADDED, CHANGED, REMOVED, FATES };

typedef struct work {
    gateway *g;
    config *conf;     /* the new one */
    bool *todo;       /* by place in it: a tunnel that the table does not have like that yet */
    bool *again;      /* a tunnel that had to leave the table and comes anew, without routes */
    size_t listeners; /* that were open before */
    json_t *tunnels;  /* {"added": [names], ...} */
    unsigned routes[FATES];
} work;

static const char *const fates[FATES] = {"added", "changed", "removed"};

static void note_tunnel(work *w, int fate, const config_tunnel *tunnel)
{
    json_array_append_new(json_object_get(w->tunnels, fates[fate]), json_string(tunnel->name));
}

static void note_route(work *w, int fate, const config_route *route)
{
    w->routes[fate] += !route->connected; /* the file has no others */
}

/* ----------------------------------------------------------------- before anything changes */

/* Mistakes go where lines go. */
static config *load(const char *file)
{
    log_lines mistakes;
    config *conf = NULL;

    log_begin_lines(&mistakes);
    if (mistakes.stream != NULL)
        conf = config_load(file, mistakes.stream);
    log_end_lines(&mistakes);
    return conf;
}

static bool same_devices(const config_device *a, size_t a_count, const config_device *b,
                         size_t b_count)
{
    bool same = a_count == b_count;

    for (size_t i = 0; same && i < a_count; i++)
        same = strcmp(a[i], b[i]) == 0;
    return same;
}

static bool keep(const work *w, bool same, const char *field)
{
    if (!same)
        log_line("%s: %s: cannot change while the gateway runs", w->g->file, field);
    return same;
}

/* What threads, devices and open doors were made by. */
static bool check_kept(const work *w)
{
    const config *a = w->g->conf;
    const config *b = w->conf;
    bool same = keep(w, a->side == b->side, "side");

    same &= keep(w, strcmp(a->tun, b->tun) == 0, "tun");
    same &= keep(w, a->threads == b->threads, "threads");
    same &= keep(w, a->rendezvous == b->rendezvous, "ecmp");
    same &= keep(w, strcmp(a->control, b->control) == 0, "control");
    same &=
        keep(w, a->http.port == b->http.port && address_equal(&a->http.address, &b->http.address),
             "http");
    same &= keep(w, a->history_tunnels == b->history_tunnels, "history_tunnels");
    same &= keep(w,
                 same_devices(a->clamp_egress, a->clamp_egress_count, b->clamp_egress,
                              b->clamp_egress_count),
                 "clamp_egress");
    same &= keep(w, same_devices(a->gro_off, a->gro_off_count, b->gro_off, b->gro_off_count),
                 "gro_off");
    return same;
}

static bool check_room(const work *w)
{
    const config_room *room = &w->g->room;

    if (w->conf->tunnel_count <= room->tunnels && w->conf->route_count <= room->routes &&
        config_adopt(w->conf, w->g->conf, w->g->shared.most_id))
        return true;
    log_line("%s: %zu tunnels and %zu routes, those to far interface addresses included: the "
             "gateway that runs has room for %u and %u",
             w->g->file, w->conf->tunnel_count, w->conf->route_count, room->tunnels, room->routes);
    return false;
}

static bool check_sender(const work *w)
{
    for (size_t i = 0; i < w->conf->tunnel_count; i++) {
        const config_tunnel *tunnel = &w->conf->tunnels[i];
        if (config_outer(tunnel)->local.family != TUNNELCAP_IPV6 || crew_sends_ipv6(&w->g->crew))
            continue;
        log_line("%s: %s: this host had no IPv6 when the gateway started", w->g->file,
                 tunnel->path);
        return false;
    }
    return true;
}

/* ------------------------------------------------------------------------------- the table */

static bool refused(const work *w, const char *path, int32_t status)
{
    log_line("%s: %s: %s (%s)", w->g->file, path, tunnelcap_status_text(status),
             tunnelcap_status_name(status));
    return false;
}

static bool stage_removals(work *w)
{
    const config *running = w->g->conf;
    int32_t status = TUNNELCAP_OK;

    for (size_t i = 0; i < running->route_count; i++) {
        const config_route *route = &running->routes[i];
        if (config_find_route(w->conf, &route->route) != NULL)
            continue;
        note_route(w, REMOVED, route);
        status = tunnelcap_table_remove_route(w->g->table, &route->route);
        if (status != TUNNELCAP_OK)
            return refused(w, route->path, status);
    }
    for (size_t i = 0; i < running->tunnel_count; i++) {
        const config_tunnel *tunnel = &running->tunnels[i];
        if (config_find_id(w->conf, tunnel->id) != NULL)
            continue;
        note_tunnel(w, REMOVED, tunnel);
        status = tunnelcap_table_remove(w->g->table, tunnel->id);
        if (status != TUNNELCAP_OK)
            return refused(w, tunnel->path, status);
    }
    return true;
}

/* Find what is new or other than before. IPsec tunnels with their SAs are ipsec.h's. */
static void find_todo(work *w)
{
    for (size_t i = 0; i < w->conf->tunnel_count; i++) {
        const config_tunnel *tunnel = &w->conf->tunnels[i];
        const config_tunnel *before = config_find_id(w->g->conf, tunnel->id);
        const ipsec_tunnel *keyed = ipsec_find(&w->g->ipsec, tunnel->id);
        bool same = before != NULL && config_same_tunnel(before, tunnel);
        bool alike = same && config_same_health(before, tunnel);

        w->todo[i] = !same && keyed == NULL;
        if (before == NULL)
            note_tunnel(w, ADDED, tunnel);
        else if (!alike || (keyed != NULL && ipsec_differs(keyed)))
            note_tunnel(w, CHANGED, tunnel);
    }
}

/* One tunnel may take the place that another one leaves in the same change: go on as long as some
 * find theirs free. Returns the last reason of those that do not. */
static int32_t set_tunnels(work *w)
{
    int32_t status = TUNNELCAP_OK;
    bool progress = true;

    while (progress) {
        progress = false;
        status = TUNNELCAP_OK;
        for (size_t i = 0; i < w->conf->tunnel_count; i++) {
            int32_t its = TUNNELCAP_OK;
            if (!w->todo[i])
                continue;
            its = config_set_tunnel(w->g->table, &w->conf->tunnels[i]);
            w->todo[i] = its != TUNNELCAP_OK;
            progress |= its == TUNNELCAP_OK;
            status = its != TUNNELCAP_OK ? its : status;
        }
    }
    return status;
}

/* Tunnels that have changed places in a ring: they leave the table and come again. */
static void remove_ring(work *w)
{
    for (size_t i = 0; i < w->conf->tunnel_count; i++) {
        if (!w->todo[i] || config_find_id(w->g->conf, w->conf->tunnels[i].id) == NULL)
            continue;
        tunnelcap_table_remove(w->g->table, w->conf->tunnels[i].id);
        w->again[i] = true;
    }
}

static bool stage_tunnels(work *w)
{
    int32_t status = set_tunnels(w);

    if (status == TUNNELCAP_E_EXISTS) {
        remove_ring(w);
        status = set_tunnels(w);
    }
    for (size_t i = 0; status != TUNNELCAP_OK && i < w->conf->tunnel_count; i++)
        if (w->todo[i])
            refused(w, w->conf->tunnels[i].path, status);
    return status == TUNNELCAP_OK;
}

static bool came_again(const work *w, uint64_t id)
{
    for (size_t i = 0; i < w->conf->tunnel_count; i++)
        if (w->conf->tunnels[i].id == id)
            return w->again[i];
    return false;
}

static bool stage_routes(work *w)
{
    for (size_t i = 0; i < w->conf->route_count; i++) {
        const config_route *route = &w->conf->routes[i];
        const config_route *before = config_find_route(w->g->conf, &route->route);
        bool same = before != NULL && before->route.priority == route->route.priority &&
                    before->route.weight == route->route.weight &&
                    before->route.regions == route->route.regions;

        if (!same)
            note_route(w, before == NULL ? ADDED : CHANGED, route);
        if (same && !came_again(w, route->route.tunnel))
            continue;
        int32_t status = tunnelcap_table_set_route(w->g->table, &route->route);
        if (status != TUNNELCAP_OK)
            return refused(w, route->path, status);
    }
    return true;
}

static bool stage(work *w)
{
    int32_t status = crew_begin_change(w->g->table);

    if (status != TUNNELCAP_OK)
        return refused(w, "", status);
    find_todo(w);
    if (stage_removals(w) && stage_tunnels(w) && ipsec_stage(&w->g->ipsec) && stage_routes(w))
        return true;
    tunnelcap_table_abort(w->g->table);
    return false;
}

/* ----------------------------------------------------------------------------- around it */

static bool wants_reassembly(const config *conf)
{
    for (size_t i = 0; i < conf->tunnel_count; i++)
        if ((conf->tunnels[i].policy.flags & TUNNELCAP_TUNNEL_REASSEMBLE) != 0)
            return true;
    return false;
}

/* Sockets are open and read from before the table knows whose packets come there. */
static bool open_doors(work *w)
{
    gateway *g = w->g;

    w->listeners = g->listeners.count;
    bool done = listeners_add(&g->listeners, w->conf, &g->ipsec);
    bool reassemble = wants_reassembly(w->conf) && !wants_reassembly(g->conf);
    if (done && (reassemble || g->listeners.count > w->listeners)) {
        crew_hold(&g->crew);
        done = (!reassemble || crew_reassemble(&g->crew)) &&
               crew_watch(&g->crew, &g->listeners, w->listeners);
        crew_release(&g->crew);
    }
    return done;
}

static void close_doors(gateway *g, size_t count)
{
    if (count == g->listeners.count)
        return;
    crew_hold(&g->crew);
    crew_unwatch(&g->crew, &g->listeners, count);
    crew_release(&g->crew);
    listeners_cut(&g->listeners, count);
}

/* A tunnel that is new has never carried anything, whichever had its id before. */
static void forget_activity(const work *w)
{
    for (size_t i = 0; i < w->conf->tunnel_count; i++)
        if (config_find_id(w->g->conf, w->conf->tunnels[i].id) == NULL)
            atomic_store_explicit(&w->g->shared.last_ms[w->conf->tunnels[i].id], 0,
                                  memory_order_relaxed);
}

/* The kernel routes to the new prefixes right before the table does. */
static bool change(work *w)
{
    gateway *g = w->g;

    if (!open_doors(w) || !stage(w)) {
        close_doors(g, w->listeners);
        ipsec_drop(&g->ipsec);
        return false;
    }
    if (!tun_add(&g->tun, w->conf, g->conf)) {
        tunnelcap_table_abort(g->table);
        close_doors(g, w->listeners);
        ipsec_drop(&g->ipsec);
        return false;
    }
    forget_activity(w);
    ipsec_commit(&g->ipsec);
    return true;
}

/* A watch that stays goes on, with what it knows. It has been tried when the file was read. */
static void watch(const work *w)
{
    for (size_t i = 0; i < w->conf->tunnel_count; i++) {
        const config_tunnel *tunnel = &w->conf->tunnels[i];
        const config_tunnel *before = config_find_id(w->g->conf, tunnel->id);

        if (before != NULL && config_same_health(before, tunnel) && !w->again[i])
            continue;
        int32_t status = config_watch(w->g->table, tunnel);
        if (status != TUNNELCAP_OK)
            log_line("%s: %s.health_check: %s", w->g->file, tunnel->path,
                     tunnelcap_status_text(status));
        if (!tunnel->health.watched)
            tunnelcap_table_unwatch(w->g->table, tunnel->id);
    }
    listeners_take_answers(&w->g->listeners, config_expects_answers(w->conf));
}

static void finish(work *w)
{
    gateway *g = w->g;
    config *before = g->conf;

    watch(w);
    tun_remove(&g->tun, before, w->conf);
    close_doors(g, listeners_sort(&g->listeners, w->conf, &g->ipsec));
    g->conf = w->conf;
    w->conf = before;
    gateway_follow_config(g);
}

static bool apply(work *w)
{
    w->conf = load(w->g->file);
    if (w->conf == NULL || !check_kept(w) || !check_room(w) || !check_sender(w))
        return false;
    w->todo = calloc(w->conf->tunnel_count, sizeof *w->todo);
    w->again = calloc(w->conf->tunnel_count, sizeof *w->again);
    if (w->todo == NULL || w->again == NULL) {
        log_line("%s", strerror(ENOMEM));
        return false;
    }
    if (!ipsec_prepare(&w->g->ipsec, w->conf) || !change(w))
        return false;
    finish(w);
    return true;
}

/* ------------------------------------------------------------------------------ the answer */

static size_t tunnels(const work *w, int fate)
{
    return json_array_size(json_object_get(w->tunnels, fates[fate]));
}

static json_t *tell_success(const work *w)
{
    json_t *routes = json_object();

    log_line("%s has been read anew: tunnels: %zu added, %zu changed, %zu removed; routes: %u "
             "added, %u changed, %u removed",
             w->g->file, tunnels(w, ADDED), tunnels(w, CHANGED), tunnels(w, REMOVED),
             w->routes[ADDED], w->routes[CHANGED], w->routes[REMOVED]);
    for (int fate = 0; fate < FATES; fate++)
        json_object_set_new(routes, fates[fate], json_integer(w->routes[fate]));
    return json_pack("{s:b, s:O, s:o}", "reloaded", 1, "tunnels", w->tunnels, "routes", routes);
}

static json_t *tell_failure(const work *w, char *lines)
{
    json_t *errors = json_array();
    char *rest = NULL;

    for (char *line = strtok_r(lines, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest))
        json_array_append_new(errors, json_string(line));
    log_line("%s is not taken over; all goes on as before", w->g->file);
    return json_pack("{s:b, s:o}", "reloaded", 0, "errors", errors);
}

json_t *reload(gateway *g)
{
    work w = {.g = g, .tunnels = json_object()};
    char *lines = NULL;
    size_t size = 0;
    FILE *said = open_memstream(&lines, &size);

    for (int fate = 0; fate < FATES; fate++)
        json_object_set_new(w.tunnels, fates[fate], json_array());
    log_copy(said);
    bool done = apply(&w);
    log_copy(NULL);
    if (said != NULL)
        fclose(said);
    json_t *answer = done ? tell_success(&w) : tell_failure(&w, lines);
    config_free(w.conf);
    json_decref(w.tunnels);
    free(w.todo);
    free(w.again);
    free(lines);
    return answer;
}
