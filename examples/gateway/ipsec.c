/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "ipsec.h"

#include "address.h"
#include "batch.h"
#include "ipsec_set.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MOVE_INTERVAL_MS = 1000, RETRY_INTERVAL_MS = 10000, NS_PER_MS = 1000000 };

bool ipsec_open(ipsec *all, const config *conf)
{
    *all = (ipsec){.tunnels = calloc(conf->tunnel_count, sizeof *all->tunnels),
                   .by_id = calloc(conf->tunnel_count, sizeof *all->by_id),
                   .id_count = conf->tunnel_count};
    if (all->tunnels == NULL || all->by_id == NULL) {
        log_line("%s", strerror(ENOMEM));
        return false;
    }
    for (size_t i = 0; i < conf->tunnel_count; i++) {
        const config_tunnel *tunnel = &conf->tunnels[i];
        if (tunnel->kind != TUNNELCAP_KIND_ESP)
            continue;
        all->by_id[i] = &all->tunnels[all->count++];
        *all->by_id[i] = (ipsec_tunnel){.conf = tunnel, .peer = tunnel->encap.esp.outer.remote};
    }
    if (all->count == 0)
        return true;
    all->crypto = tunnelcap_crypto_openssl();
    if (all->crypto == NULL)
        log_line("%s: IPsec tunnels need a build with OpenSSL, and this one is without",
                 all->tunnels[0].conf->path);
    return all->crypto != NULL;
}

static void drop_next(ipsec *all)
{
    for (size_t i = 0; i < all->count; i++)
        ipsec_set_end(&all->tunnels[i].next, &all->tunnels[i].now, NULL);
}

/* Read the key files of some tunnels, of all of them that have mistakes at that. */
static bool read_keys(ipsec *all, ipsec_tunnel *first, size_t count, bool trial)
{
    bool good = true;

    for (size_t i = 0; i < count; i++)
        good = ipsec_set_load(&first[i], all->crypto, trial ? NULL : all->writer) && good;
    return good;
}

bool ipsec_check(ipsec *all)
{
    bool good = read_keys(all, all->tunnels, all->count, true);

    drop_next(all);
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
            tunnelcap_table_remove_sa(table, t->now.in[i].esp);
}

static bool set_tunnel(tunnelcap_table *table, const ipsec_tunnel *t, const ipsec_set *set,
                       tunnelcap_esp *out)
{
    tunnelcap_tunnel policy = t->conf->policy;

    if (out == NULL)
        policy.mtu = set->mtu; /* without an SA nothing tells what fits the path */
    int32_t status = tunnelcap_table_set_esp(table, t->conf->id, &policy, out);
    return status == TUNNELCAP_OK || refused(t, &set->out, status);
}

static bool stage(tunnelcap_table *table, const ipsec_tunnel *t)
{
    int32_t status = TUNNELCAP_OK;

    for (size_t i = 0; i < t->next.in_count; i++) {
        status = tunnelcap_table_set_sa(table, t->conf->id, t->next.in[i].esp);
        if (status != TUNNELCAP_OK)
            return refused(t, &t->next.in[i], status);
    }
    return set_tunnel(table, t, &t->next, t->next.out.esp);
}

static bool stage_some(ipsec *all, const ipsec_tunnel *first, size_t count)
{
    int32_t status = tunnelcap_table_begin(all->table);

    if (status != TUNNELCAP_OK) {
        log_line("%s", tunnelcap_status_text(status));
        return false;
    }
    for (size_t i = 0; i < count; i++)
        stage_removals(all->table, &first[i]);
    for (size_t i = 0; i < count; i++) {
        if (stage(all->table, &first[i]))
            continue;
        tunnelcap_table_abort(all->table);
        return false;
    }
    return true;
}

/* Nothing that a lane may still use can be ended. But this thread writes the table and is its
 * only lane, between two bursts: what a commit has removed is out of use at once. */
static void commit(ipsec *all)
{
    uint64_t generation = 0;
    int32_t status = tunnelcap_table_commit(all->table, &generation);

    if (status == TUNNELCAP_OK && tunnelcap_table_settled(all->table) >= generation)
        return;
    log_line("the table does not settle: %s", tunnelcap_status_text(status));
    abort();
}

/* Take the outbound SA out of the table, or put it back. */
static void pause_sending(ipsec *all, ipsec_tunnel *t, bool paused)
{
    int32_t status = tunnelcap_table_begin(all->table);

    if (status != TUNNELCAP_OK ||
        !set_tunnel(all->table, t, &t->now, paused ? NULL : t->now.out.esp)) {
        log_line("%s: outbound SPI 0x%08x: cannot be stopped: %s", t->conf->path, t->now.out.spi,
                 tunnelcap_status_text(status));
        abort(); /* rather than send what is not reserved */
    }
    commit(all);
    t->paused = paused;
    log_line("%s: outbound SPI 0x%08x: %s", t->conf->path, t->now.out.spi,
             paused ? "nothing is sent until sequence numbers can be reserved"
                    : "sends again, with sequence numbers reserved");
}

void ipsec_reserve(ipsec *all, int64_t now_ms)
{
    tunnelcap_esp_state state;

    for (size_t i = 0; i < all->count; i++) {
        ipsec_tunnel *t = &all->tunnels[i];
        if (!t->sent || t->now.out.esp == NULL)
            continue;
        t->sent = false;
        tunnelcap_esp_get_state(t->now.out.esp, &state, sizeof state);
        bool few = sequence_left(t->now.numbers, state.seq, now_ms) < BATCH_RESULTS;
        if (few != t->paused)
            pause_sending(all, t, few);
    }
}

/* Make before break, in memory first and then in the table: packets find the old SAs or the new
 * ones, and never none. */
static bool replace(ipsec *all, ipsec_tunnel *first, size_t count)
{
    if (!read_keys(all, first, count, false) || !stage_some(all, first, count)) {
        drop_next(all);
        return false;
    }
    commit(all);
    for (size_t i = 0; i < count; i++) {
        ipsec_set_end(&first[i].now, &first[i].next, all->lane);
        first[i].now = first[i].next;
        first[i].next = (ipsec_set){.in = NULL};
        first[i].life = TUNNELCAP_OK;
        first[i].kept_alive = UINT64_MAX;
        first[i].sent = true;
        first[i].paused = false;
    }
    ipsec_reserve(all, log_now_ms());
    return true;
}

bool ipsec_load(ipsec *all, tunnelcap_table *table, tunnelcap_lane *lane)
{
    all->table = table;
    all->lane = lane;
    if (all->count == 0)
        return true;
    if (all->writer == NULL)
        all->writer = sequence_writer_new();
    return all->writer != NULL && replace(all, all->tunnels, all->count);
}

void ipsec_close(ipsec *all)
{
    const ipsec_set none = {.in = NULL};

    for (size_t i = 0; i < all->count; i++)
        ipsec_set_end(&all->tunnels[i].now, &none, all->lane);
    sequence_writer_free(all->writer);
    free(all->tunnels);
    free(all->by_id);
    *all = (ipsec){.tunnels = NULL};
}

ipsec_tunnel *ipsec_find(const ipsec *all, uint64_t id)
{
    return id == 0 || id > all->id_count ? NULL : all->by_id[id - 1];
}

/* One change a second is enough for any honest far end; packets that were recorded and are sent
 * again from elsewhere are not to keep the disk busy. */
void ipsec_heard(ipsec *all, ipsec_tunnel *tunnel, const tunnelcap_addr *from, uint16_t port,
                 int64_t now_ms)
{
    tunnelcap_addr peer_before = tunnel->peer;
    uint16_t port_before = tunnel->peer_port;
    char text[ADDRESS_TEXT_SIZE];

    if (tunnel->conf->encap.esp.outer.remote.family != 0 ||
        (address_equal(from, &peer_before) && port == port_before))
        return;
    if (now_ms < tunnel->settled_ms)
        return;
    tunnel->settled_ms = now_ms + MOVE_INTERVAL_MS;
    tunnel->peer = *from;
    tunnel->peer_port = port;
    if (replace(all, tunnel, 1)) {
        log_line("%s: its far end is %s, port %u", tunnel->conf->path, address_text(from, text),
                 port);
        return;
    }
    tunnel->settled_ms = now_ms + RETRY_INTERVAL_MS; /* the lines about it are enough for now */
    tunnel->peer = peer_before;
    tunnel->peer_port = port_before;
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
