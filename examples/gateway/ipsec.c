/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "ipsec.h"

#include "address.h"
#include "crew.h"
#include "ipsec_set.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOVE_INTERVAL_MS = 1000,
    RETRY_INTERVAL_MS = 10000,
    NS_PER_MS = 1000000,
    FEW_NUMBERS = 8192 /* what threads may take before the control thread has heard */
};

static ipsec_tunnel *add_tunnel(ipsec *all, const config_tunnel *conf)
{
    ipsec_tunnel *tunnel = calloc(1, sizeof *tunnel);

    if (tunnel == NULL) {
        log_line("%s", strerror(ENOMEM));
        return NULL;
    }
    tunnel->conf = conf;
    tunnel->peer = conf->encap.esp.outer.remote;
    tunnel->follows = tunnel->peer.family == 0;
    all->tunnels[all->count++] = tunnel;
    all->by_id[conf->id] = tunnel;
    return tunnel;
}

static bool check_crypto(const ipsec *all)
{
    if (all->crypto != NULL || all->count == 0)
        return true;
    log_line("%s: IPsec tunnels need a build with OpenSSL, and this one is without",
             all->tunnels[0]->conf->path);
    return false;
}

bool ipsec_open(ipsec *all, const config *conf, uint64_t most_id)
{
    *all = (ipsec){.tunnels = calloc(most_id, sizeof *all->tunnels),
                   .by_id = calloc(most_id + 1, sizeof *all->by_id),
                   .most_id = most_id,
                   .crypto = tunnelcap_crypto_openssl()};
    if (all->tunnels == NULL || all->by_id == NULL) {
        log_line("%s", strerror(ENOMEM));
        return false;
    }
    for (size_t i = 0; i < conf->tunnel_count; i++)
        if (conf->tunnels[i].kind == TUNNELCAP_KIND_ESP &&
            add_tunnel(all, &conf->tunnels[i]) == NULL)
            return false;
    return check_crypto(all);
}

void ipsec_hold(ipsec *all)
{
    if (!all->held)
        crew_hold(all->crew);
    all->held = true;
}

static void release(ipsec *all)
{
    if (all->held)
        crew_release(all->crew);
    all->held = false;
}

static void give_back(ipsec_tunnel *t)
{
    sequence_close(t->unsent.numbers, t->unsent.next);
    t->unsent = (ipsec_unsent){.numbers = NULL};
}

static void free_tunnel(ipsec *all, size_t place)
{
    free(all->tunnels[place]);
    all->tunnels[place] = all->tunnels[--all->count];
}

static void drop_next(ipsec *all, ipsec_tunnel *const *first, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ipsec_set_drop(first[i]);
    release(all);
}

/* Read the key files of some tunnels, of all of them that have mistakes at that. */
static bool read_keys(ipsec *all, ipsec_tunnel *const *first, size_t count, bool trial)
{
    bool good = true;

    for (size_t i = 0; i < count; i++)
        good = ipsec_set_load(first[i], all, trial) && good;
    return good;
}

bool ipsec_check(ipsec *all)
{
    bool good = read_keys(all, all->tunnels, all->count, true);

    drop_next(all, all->tunnels, all->count);
    return good;
}

static bool refused(const ipsec_tunnel *t, const ipsec_sa *sa, int32_t status)
{
    log_line("%s: SPI 0x%08x: %s (%s)", t->conf->encap.esp.key_file, sa->spi,
             status == TUNNELCAP_E_EXISTS ? "another SA comes in by this SPI at this address"
                                          : tunnelcap_status_text(status),
             tunnelcap_status_name(status));
    return false;
}

/* Changes of one tunnel in a table that is in change: what goes, and what comes. */
static void stage_removals(tunnelcap_table *table, const ipsec_tunnel *t)
{
    for (size_t i = 0; i < t->now.in_count; i++)
        if (!ipsec_set_has(&t->next, t->now.in[i].esp))
            tunnelcap_table_remove_sa(table, t->conf->id, t->now.in[i].esp);
}

static bool set_tunnel(tunnelcap_table *table, const ipsec_tunnel *t, const ipsec_set *set,
                       bool sends)
{
    tunnelcap_tunnel policy = t->conf->policy;

    if (!sends)
        policy.mtu = set->mtu; /* without an SA nothing tells what fits the path */
    int32_t status = tunnelcap_table_set_esp(table, t->conf->id, &policy);
    if (status == TUNNELCAP_OK && set->out.esp != NULL)
        status = tunnelcap_table_set_sa(table, t->conf->id, set->out.esp,
                                        sends ? TUNNELCAP_SA_OUT_ACTIVE : TUNNELCAP_SA_IN_READY, 0);
    return status == TUNNELCAP_OK || refused(t, &set->out, status);
}

static bool stage(tunnelcap_table *table, const ipsec_tunnel *t)
{
    int32_t status = TUNNELCAP_OK;

    if (!set_tunnel(table, t, &t->next, t->next.out.esp != NULL))
        return false;
    for (size_t i = 0; i < t->next.in_count; i++) {
        status =
            tunnelcap_table_set_sa(table, t->conf->id, t->next.in[i].esp, TUNNELCAP_SA_IN_READY, 0);
        if (status != TUNNELCAP_OK)
            return refused(t, &t->next.in[i], status);
    }
    /* Only now, so that the tunnel always has one to send by and keeps its path. */
    if (t->now.out.esp != NULL && t->now.out.esp != t->next.out.esp)
        tunnelcap_table_remove_sa(table, t->conf->id, t->now.out.esp);
    return true;
}

static bool stage_some(ipsec *all, ipsec_tunnel *const *first, size_t count)
{
    for (size_t i = 0; i < count; i++)
        stage_removals(all->table, first[i]);
    for (size_t i = 0; i < count; i++)
        if (!stage(all->table, first[i]))
            return false;
    return true;
}

static bool change(ipsec *all, ipsec_tunnel *const *first, size_t count)
{
    int32_t status = crew_begin_change(all->table);

    if (status != TUNNELCAP_OK) {
        log_line("%s", tunnelcap_status_text(status));
        return false;
    }
    if (stage_some(all, first, count))
        return true;
    tunnelcap_table_abort(all->table);
    return false;
}

/* Take the outbound SA out of the table, or put it back. */
static void pause_sending(ipsec *all, ipsec_tunnel *t, bool paused)
{
    int32_t status = crew_begin_change(all->table);

    if (status == TUNNELCAP_OK && !set_tunnel(all->table, t, &t->now, !paused)) {
        tunnelcap_table_abort(all->table);
        return;
    }
    if (status == TUNNELCAP_OK)
        status = tunnelcap_table_commit(all->table, NULL);
    if (status != TUNNELCAP_OK) {
        log_line("%s: outbound SPI 0x%08x: %s", t->conf->path, t->now.out.spi,
                 tunnelcap_status_text(status));
        return;
    }
    t->paused = paused;
    log_line("%s: outbound SPI 0x%08x: %s", t->conf->path, t->now.out.spi,
             paused ? "nothing is sent until sequence numbers can be reserved"
                    : "sends again, with sequence numbers reserved");
}

/* Several threads may take numbers of one SA at a time: the next one to take is above all that any
 * of them has taken by now. */
int ipsec_numbers(const ipsec_tunnel *tunnel, int64_t now_ms)
{
    tunnelcap_esp_state state;

    if (tunnel->now.out.esp == NULL)
        return IPSEC_NUMBERS_PLENTY; /* nothing can have been sent */
    tunnelcap_esp_get_state(tunnel->now.out.esp, &state, sizeof state);
    int64_t left = sequence_left(tunnel->now.numbers, state.seq, now_ms);
    if (left < 0)
        return IPSEC_NUMBERS_NONE;
    return left < FEW_NUMBERS ? IPSEC_NUMBERS_FEW : IPSEC_NUMBERS_PLENTY;
}

void ipsec_reserve(ipsec *all, int64_t now_ms)
{
    for (size_t i = 0; i < all->count; i++) {
        ipsec_tunnel *t = all->tunnels[i];
        bool few = ipsec_numbers(t, now_ms) != IPSEC_NUMBERS_PLENTY;

        if (t->now.out.esp != NULL && few != t->paused)
            pause_sending(all, t, few);
    }
}

/* Threads stand still: what the last commit has removed is out of use, and no lane is at work that
 * has to forget a key. */
static void take_over(ipsec *all, ipsec_tunnel *t)
{
    t->unsent = ipsec_set_end(&t->now, &t->next, all->crew);
    t->now = t->next;
    t->next = (ipsec_set){.in = NULL};
    t->life = TUNNELCAP_OK;
    t->kept_alive = UINT64_MAX;
    t->paused = false;
}

static void commit(ipsec *all, ipsec_tunnel *const *first, size_t count)
{
    uint64_t generation = 0;

    ipsec_hold(all);
    int32_t status = tunnelcap_table_commit(all->table, &generation);
    if (status != TUNNELCAP_OK || tunnelcap_table_settled(all->table) < generation) {
        log_line("the table does not settle: %s", tunnelcap_status_text(status));
        abort();
    }
    for (size_t i = 0; i < count; i++)
        take_over(all, first[i]);
    release(all);
}

static bool need_writer(ipsec *all)
{
    if (all->writer == NULL)
        all->writer = sequence_writer_new();
    return all->writer != NULL;
}

/* Make before break, in memory first and then in the table: packets find the old SAs or the new
 * ones, and never none. */
static bool replace(ipsec *all, ipsec_tunnel *const *first, size_t count)
{
    if (!read_keys(all, first, count, false) || !change(all, first, count)) {
        drop_next(all, first, count);
        return false;
    }
    commit(all, first, count);
    for (size_t i = 0; i < count; i++)
        give_back(first[i]);
    ipsec_reserve(all, log_now_ms());
    return true;
}

bool ipsec_load(ipsec *all, tunnelcap_table *table, struct crew *threads)
{
    all->table = table;
    all->crew = threads;
    return all->count == 0 || (need_writer(all) && replace(all, all->tunnels, all->count));
}

/* ------------------------------------------------------- another configuration, or other keys */

/* What a tunnel was made with and cannot lose: numbers that are reserved in a directory. */
static bool same_state_dir(const ipsec_tunnel *t)
{
    const char *before = t->conf_before->encap.esp.state_dir;

    if (strcmp(before, t->conf->encap.esp.state_dir) == 0)
        return true;
    log_line("%s.state_dir: cannot change while the gateway runs: it is %s", t->conf->path, before);
    return false;
}

/* Another far end is configured, or none any more. Threads read where it is. */
static void aim(ipsec *all, ipsec_tunnel *t, const tunnelcap_addr *remote)
{
    if (address_equal(remote, &t->conf->encap.esp.outer.remote))
        return;
    ipsec_hold(all);
    t->peer = *remote;
    t->peer_port = 0;
    t->follows = remote->family == 0;
}

/* All is held if anything of it is to be undone. */
static void aim_back(ipsec_tunnel *t)
{
    const tunnelcap_addr *remote = &t->conf_before->encap.esp.outer.remote;

    if (address_equal(remote, &t->conf->encap.esp.outer.remote))
        return;
    t->peer = t->peer_before;
    t->peer_port = t->peer_port_before;
    t->follows = remote->family == 0;
}

static bool join(ipsec *all, const config_tunnel *conf)
{
    ipsec_tunnel *t = ipsec_find(all, conf->id);

    if (t == NULL)
        return add_tunnel(all, conf) != NULL;
    aim(all, t, &conf->encap.esp.outer.remote);
    t->conf = conf;
    t->leaves = false;
    return same_state_dir(t);
}

bool ipsec_prepare(ipsec *all, const config *conf)
{
    bool good = true;

    for (size_t i = 0; i < all->count; i++) {
        ipsec_tunnel *t = all->tunnels[i];
        t->conf_before = t->conf;
        t->peer_before = t->peer;
        t->peer_port_before = t->peer_port;
        t->leaves = true;
    }
    for (size_t i = 0; i < conf->tunnel_count; i++)
        if (conf->tunnels[i].kind == TUNNELCAP_KIND_ESP)
            good = join(all, &conf->tunnels[i]) && good;
    good = good && check_crypto(all) && (all->count == 0 || need_writer(all));
    for (size_t i = 0; good && i < all->count; i++)
        good = all->tunnels[i]->leaves || ipsec_set_load(all->tunnels[i], all, false);
    if (!good)
        ipsec_drop(all);
    return good;
}

void ipsec_drop(ipsec *all)
{
    for (size_t i = all->count; i-- > 0;) {
        ipsec_tunnel *t = all->tunnels[i];

        ipsec_set_drop(t);
        if (t->conf_before == NULL) {
            all->by_id[t->conf->id] = NULL;
            free_tunnel(all, i);
            continue;
        }
        aim_back(t);
        t->conf = t->conf_before;
        t->conf_before = NULL;
        t->leaves = false;
    }
    release(all);
}

bool ipsec_stage(ipsec *all)
{
    for (size_t i = 0; i < all->count; i++)
        if (!all->tunnels[i]->leaves)
            stage_removals(all->table, all->tunnels[i]);
    for (size_t i = 0; i < all->count; i++)
        if (!all->tunnels[i]->leaves && !stage(all->table, all->tunnels[i]))
            return false;
    return true;
}

void ipsec_commit(ipsec *all)
{
    crew_hold(all->crew);
    commit(all, all->tunnels, all->count);
    for (size_t i = 0; i < all->count; i++)
        if (all->tunnels[i]->leaves)
            all->by_id[all->tunnels[i]->conf->id] = NULL;
    crew_release(all->crew);
    for (size_t i = all->count; i-- > 0;) {
        all->tunnels[i]->conf_before = NULL;
        give_back(all->tunnels[i]);
        if (all->tunnels[i]->leaves)
            free_tunnel(all, i);
    }
    ipsec_reserve(all, log_now_ms());
}

bool ipsec_differs(const ipsec_tunnel *tunnel)
{
    const ipsec_set *now = &tunnel->now;
    const ipsec_set *next = &tunnel->next;
    bool same = now->out.esp == next->out.esp && now->in_count == next->in_count;

    for (size_t i = 0; same && i < next->in_count; i++)
        same = ipsec_set_has(now, next->in[i].esp);
    return !same;
}

uint16_t ipsec_port(const ipsec_tunnel *tunnel)
{
    return tunnel->next.in_count > 0 ? tunnel->next.local_port : tunnel->now.local_port;
}

void ipsec_close(ipsec *all)
{
    const ipsec_set none = {.in = NULL};

    for (size_t i = 0; i < all->count; i++) {
        all->tunnels[i]->unsent = ipsec_set_end(&all->tunnels[i]->now, &none, all->crew);
        give_back(all->tunnels[i]);
        free(all->tunnels[i]);
    }
    sequence_writer_free(all->writer);
    free(all->tunnels);
    free(all->by_id);
    *all = (ipsec){.tunnels = NULL};
}

ipsec_tunnel *ipsec_find(const ipsec *all, uint64_t id)
{
    return id > all->most_id ? NULL : all->by_id[id];
}

/* One change a second is enough for any honest far end; packets that were recorded and are sent
 * again from elsewhere are not to keep the disk busy. */
bool ipsec_has_moved(const ipsec_tunnel *tunnel, const tunnelcap_addr *from, uint16_t port,
                     int64_t now_ms)
{
    return tunnel->follows && now_ms >= tunnel->settled_ms &&
           (port != tunnel->peer_port || !address_equal(from, &tunnel->peer));
}

static void set_peer(ipsec *all, ipsec_tunnel *t, const tunnelcap_addr *peer, uint16_t port,
                     int64_t settled_ms)
{
    crew_hold(all->crew);
    t->peer = *peer;
    t->peer_port = port;
    t->settled_ms = settled_ms;
    crew_release(all->crew);
}

void ipsec_move(ipsec *all, ipsec_tunnel *tunnel, const tunnelcap_addr *from, uint16_t port,
                int64_t now_ms)
{
    tunnelcap_addr peer_before = tunnel->peer;
    uint16_t port_before = tunnel->peer_port;
    char text[ADDRESS_TEXT_SIZE];

    if (!ipsec_has_moved(tunnel, from, port, now_ms))
        return;
    set_peer(all, tunnel, from, port, now_ms + MOVE_INTERVAL_MS);
    if (replace(all, &tunnel, 1)) {
        log_line("%s: its far end is %s, port %u", tunnel->conf->path, address_text(from, text),
                 port);
        return;
    }
    /* The lines about it are enough for now. */
    set_peer(all, tunnel, &peer_before, port_before, now_ms + RETRY_INTERVAL_MS);
}

void ipsec_watch_life(ipsec_tunnel *tunnel, int64_t now_ms)
{
    if (tunnel->now.out.esp == NULL)
        return;
    int32_t life = tunnelcap_esp_check_life(tunnel->now.out.esp, (uint64_t)now_ms * NS_PER_MS);
    if (life == tunnel->life)
        return;
    tunnel->life = life;
    log_line("%s: outbound SPI 0x%08x: %s", tunnel->conf->path, tunnel->now.out.spi,
             tunnelcap_status_text(life));
}

bool ipsec_keepalive_due(ipsec_tunnel *tunnel)
{
    tunnelcap_esp_state state;

    if (tunnel->now.local_port == 0 || tunnel->now.out.esp == NULL)
        return false;
    tunnelcap_esp_get_state(tunnel->now.out.esp, &state, sizeof state);
    bool due = state.packets == tunnel->kept_alive || tunnel->kept_alive == UINT64_MAX;
    tunnel->kept_alive = state.packets;
    return due;
}
