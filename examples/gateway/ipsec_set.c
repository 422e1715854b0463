/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "ipsec_set.h"

#include "address.h"
#include "crew.h"
#include "log.h"
#include "sa_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_MTU = 1500 };

/* What is needed while a key file becomes a set. */
typedef struct work {
    ipsec *all;
    ipsec_tunnel *tunnel;
    const sa_file *file;
    const sa_file_entry *out;
    bool trial;
} work;

static const char *name_of(const work *w)
{
    return w->tunnel->conf->encap.esp.key_file;
}

static bool refuse(const work *w, const sa_file_entry *sa, const char *why)
{
    log_line("%s: %s: %s", name_of(w), sa->place, why);
    return false;
}

static bool refuse_status(const work *w, const sa_file_entry *sa, int32_t status)
{
    bool opt_in = status == TUNNELCAP_E_WEAK && (sa->transform.encr == TUNNELCAP_ENCR_NULL ||
                                                 sa->transform.encr == TUNNELCAP_ENCR_AES_GMAC);

    log_line("%s: %s: %s (%s)%s", name_of(w), sa->place, tunnelcap_status_text(status),
             tunnelcap_status_name(status), opt_in ? "; allow_null_cipher permits it" : "");
    return false;
}

/* ---------------------------------------------------------------- which SA is for what */

/* An end that is not known beforehand is any; so is one that the file leaves open. */
static bool is_far(const ipsec_tunnel *t, const tunnelcap_addr *end)
{
    const tunnelcap_outer *ends = &t->conf->encap.esp.outer;

    if (end->family == 0)
        return true;
    return ends->remote.family == 0 ? !address_equal(end, &ends->local)
                                    : address_equal(end, &ends->remote);
}

static bool is_out(const ipsec_tunnel *t, const sa_file_entry *sa)
{
    return address_equal(&sa->config.outer.local, &t->conf->encap.esp.outer.local) &&
           is_far(t, &sa->config.outer.remote);
}

static bool is_in(const ipsec_tunnel *t, const sa_file_entry *sa)
{
    return address_equal(&sa->config.outer.remote, &t->conf->encap.esp.outer.local) &&
           is_far(t, &sa->config.outer.local);
}

static bool in_udp(const sa_file_entry *sa)
{
    return (sa->config.flags & TUNNELCAP_ESP_UDP) != 0;
}

static bool check_entry(const work *w, const sa_file_entry *sa)
{
    if (!is_out(w->tunnel, sa) && !is_in(w->tunnel, sa))
        return refuse(w, sa, "its addresses are not those of this tunnel");
    if (sa->config.mode != TUNNELCAP_ESP_TUNNEL && sa->config.mode != SA_FILE_MODE_AUTO)
        return refuse(w, sa, "only tunnel mode is carried here");
    if (sa->unknown_icv_len != 0)
        return refuse(w, sa, "its integrity algorithm and key are not known");
    if (in_udp(sa) && !w->tunnel->conf->encap.esp.udp)
        return refuse(w, sa, "it is in UDP, and the tunnel is not: \"udp\": true makes it so");
    return true;
}

/* Find the outbound SA; there must be one of them, and inbound ones. */
static bool sort(work *w)
{
    size_t in_count = 0;
    bool good = true;

    for (size_t i = 0; i < w->file->count; i++) {
        const sa_file_entry *sa = &w->file->entries[i];
        good = check_entry(w, sa) && good;
        if (is_in(w->tunnel, sa)) {
            in_count++;
        } else if (is_out(w->tunnel, sa)) {
            if (w->out != NULL)
                good = refuse(w, sa, "a second outbound SA; there must be one");
            w->out = sa;
        }
    }
    if (!good)
        return false;
    if (w->out != NULL && in_count > 0 && in_count <= IPSEC_MOST_IN)
        return true;
    if (w->out == NULL)
        log_line("%s: no SA in it leads from here to the far end", name_of(w));
    else
        log_line("%s: %zu SAs in it lead here, not 1 to %d", name_of(w), in_count, IPSEC_MOST_IN);
    return false;
}

/* ------------------------------------------------------------------------- one SA */

/* All that makes one SA another: every byte of it, the padding included, is zero or known. */
typedef struct identity {
    tunnelcap_transform transform;
    tunnelcap_addr local;
    tunnelcap_outer outer; /* of what is sent */
    uint64_t numbers[8];
} identity;

static bool digest(const work *w, const sa_file_entry *sa, const tunnelcap_esp_config *c,
                   const tunnelcap_transform *transform, ipsec_sa *made)
{
    identity who;

    memset(&who, 0, sizeof who);
    who.transform = *transform;
    who.local = c->outer.local;
    if (c->direction == TUNNELCAP_ESP_OUT)
        who.outer = c->outer;
    who.numbers[0] = c->spi;
    who.numbers[1] = c->flags;
    who.numbers[2] = c->direction;
    who.numbers[3] = c->udp_src_port;
    who.numbers[4] = c->udp_dst_port;
    who.numbers[5] = c->replay_mode;
    who.numbers[6] = c->replay_window;
    who.numbers[7] = c->seq_start;
    bool done = sender_id_digest("tunnelcap sa", &who, sizeof who, made->digest);
    explicit_bzero(&who, sizeof who);
    return done || refuse(w, sa, "this program was built without OpenSSL");
}

/* What both directions have in common. Clear text only by opt-in, broken algorithms never. */
static void begin_config(const work *w, const sa_file_entry *sa, tunnelcap_esp_config *c,
                         tunnelcap_transform *transform)
{
    const config_esp *esp = &w->tunnel->conf->encap.esp;
    bool clear =
        sa->transform.encr == TUNNELCAP_ENCR_NULL || sa->transform.encr == TUNNELCAP_ENCR_AES_GMAC;

    tunnelcap_esp_config_init(c, sizeof *c);
    c->spi = sa->config.spi;
    c->flags = sa->config.flags & TUNNELCAP_ESP_ESN;
    c->outer = esp->outer;
    *transform = sa->transform;
    transform->flags = 0;
    if (clear && esp->allow_null_cipher && transform->integ != TUNNELCAP_INTEG_HMAC_MD5_96)
        transform->flags = TUNNELCAP_TRANSFORM_ALLOW_WEAK;
}

/* Our UDP port is the source port of what we send. */
static uint16_t local_port(const work *w)
{
    if (!w->tunnel->conf->encap.esp.udp)
        return 0;
    return w->out->config.udp_src_port;
}

static const ipsec_sa *find_same(const ipsec_set *set, const ipsec_sa *wanted)
{
    for (size_t i = 0; i < set->in_count; i++)
        if (memcmp(set->in[i].digest, wanted->digest, sizeof wanted->digest) == 0)
            return &set->in[i];
    return NULL;
}

static bool make_in(const work *w, const sa_file_entry *sa)
{
    ipsec_set *next = &w->tunnel->next;
    tunnelcap_esp_config c;
    tunnelcap_transform transform;
    ipsec_sa made = {.spi = sa->config.spi};
    int32_t status = TUNNELCAP_OK;

    begin_config(w, sa, &c, &transform);
    c.direction = TUNNELCAP_ESP_IN;
    c.seq_start = (uint64_t)sa->first_esn_hi << 32;
    c.replay_mode = TUNNELCAP_REPLAY_OFF;
    if (w->tunnel->conf->encap.esp.replay_protection) {
        c.replay_mode = TUNNELCAP_REPLAY_WINDOW;
        if (sa->config.replay_mode == TUNNELCAP_REPLAY_WINDOW)
            c.replay_window = sa->config.replay_window;
    }
    if (next->local_port != 0)
        c.udp_dst_port = next->local_port;
    bool done = digest(w, sa, &c, &transform, &made);
    const ipsec_sa *same = done ? find_same(&w->tunnel->now, &made) : NULL;
    if (same != NULL)
        made.esp = same->esp;
    else if (done)
        status = tunnelcap_esp_new(&c, &transform, w->all->crypto, NULL, &made.esp);
    explicit_bzero(&transform, sizeof transform);
    if (status != TUNNELCAP_OK)
        done = refuse_status(w, sa, status);
    if (done)
        next->in[next->in_count++] = made;
    return done;
}

/* ----------------------------------------------------------------- the outbound one */

/* A key that the far end sends by too would be used with the same nonces by both. */
static bool check_out(const work *w)
{
    const tunnelcap_transform *mine = &w->out->transform;
    tunnelcap_transform_info facts = {.size = sizeof facts};

    if ((w->out->config.flags & TUNNELCAP_ESP_ESN) != 0)
        return refuse(w, w->out,
                      "an outbound SA from a file cannot have extended sequence numbers: "
                      "they leave no room for a sender id (RFC 6054)");
    tunnelcap_transform probe = *mine;
    probe.flags = TUNNELCAP_TRANSFORM_ALLOW_WEAK;
    int32_t status = tunnelcap_transform_check(&probe, &facts);
    explicit_bzero(&probe, sizeof probe);
    if (status != TUNNELCAP_OK)
        return refuse_status(w, w->out, status);
    if (facts.implicit_iv)
        return refuse(w, w->out,
                      "an outbound SA from a file cannot have an implicit IV: it leaves "
                      "no room for a sender id (RFC 6054)");
    for (size_t i = 0; i < w->file->count; i++) {
        const tunnelcap_transform *other = &w->file->entries[i].transform;
        if (&w->file->entries[i] != w->out && mine->encr_key_len > 0 &&
            mine->encr_key_len == other->encr_key_len &&
            memcmp(mine->encr_key, other->encr_key, mine->encr_key_len) == 0)
            return refuse(w, w->out,
                          "an inbound SA has the same key: each direction needs its own");
    }
    return true;
}

/* Where the SA sends to; nobody, where the far end has not shown itself: then an address of the
 * same family stands in, to see whether the SA is right and what fits it. */
static void set_target(const work *w, tunnelcap_esp_config *c)
{
    const ipsec_tunnel *t = w->tunnel;

    c->outer.remote = t->peer;
    if (t->peer.family == 0) {
        c->outer.remote = c->outer.local;
        c->outer.remote.bytes[3] ^= 1;
    }
    if (t->next.local_port == 0)
        return;
    c->flags |= TUNNELCAP_ESP_UDP;
    c->udp_src_port = t->next.local_port;
    c->udp_dst_port = t->peer_port != 0 ? t->peer_port : w->out->config.udp_dst_port;
}

static bool set_mtu(const work *w, const tunnelcap_esp *esp)
{
    ipsec_tunnel *t = w->tunnel;
    uint32_t wanted = t->conf->policy.mtu;

    uint32_t path = t->conf->policy.path_mtu;

    t->next.mtu = wanted;
    if (wanted == 0)
        t->next.mtu = tunnelcap_esp_inner_mtu(esp, path != 0 ? path : PATH_MTU);
    if (tunnelcap_esp_encap_len(esp, t->next.mtu) != 0)
        return true;
    log_line("%s.mtu: %u does not fit an outer packet", t->conf->path, wanted);
    return false;
}

/* Make an SA with sender id 0, which never sends: what is wrong is to show before an id is
 * taken. */
static bool try_out(const work *w, const tunnelcap_esp_config *c,
                    const tunnelcap_transform *transform)
{
    tunnelcap_esp *esp = NULL;
    int32_t status = tunnelcap_esp_new(c, transform, w->all->crypto, NULL, &esp);

    if (status != TUNNELCAP_OK)
        return refuse_status(w, w->out, status);
    bool done = set_mtu(w, esp);
    tunnelcap_esp_free(esp);
    return done;
}

/* The same key and SPI, but another target: the SA goes on where the one before it stops, in
 * sequence numbers and in IVs. Nothing is sent between this and the change of the table: all
 * threads stand still. */
static bool resume(const work *w, tunnelcap_esp_config *c)
{
    const ipsec_set *now = &w->tunnel->now;
    ipsec_set *next = &w->tunnel->next;
    tunnelcap_esp_state state;

    if (now->out.esp == NULL || now->out.spi != c->spi ||
        memcmp(now->key_digest, next->key_digest, sizeof next->key_digest) != 0)
        return false;
    ipsec_hold(w->all);
    tunnelcap_esp_get_state(now->out.esp, &state, sizeof state);
    next->sender_id = now->sender_id;
    next->numbers = now->numbers;
    next->seq_first = now->seq_first;
    c->nonce_origin = TUNNELCAP_NONCE_RESUME;
    c->sender_id_bits = 0;
    c->iv_start = ((uint64_t)now->sender_id << (64 - SENDER_ID_BITS)) + state.seq - now->seq_first;
    c->seq_start = state.seq;
    return true;
}

static bool make_new_out(const work *w, tunnelcap_esp_config *c,
                         const tunnelcap_transform *transform)
{
    const config_tunnel *conf = w->tunnel->conf;
    ipsec_set *next = &w->tunnel->next;

    if (!resume(w, c)) {
        next->numbers = sequence_open(w->all->writer, conf->name, conf->encap.esp.state_dir,
                                      next->key_digest, c->spi, &next->seq_first);
        if (next->numbers == NULL || !sender_id_take(conf->path, conf->encap.esp.state_dir,
                                                     next->key_digest, &next->sender_id))
            return false;
        c->sender_id = next->sender_id;
        c->seq_start = next->seq_first;
    }
    int32_t status = tunnelcap_esp_new(c, transform, w->all->crypto, NULL, &next->out.esp);
    return status == TUNNELCAP_OK || refuse_status(w, w->out, status);
}

static bool make_out_by(const work *w, tunnelcap_esp_config *c,
                        const tunnelcap_transform *transform)
{
    const ipsec_set *now = &w->tunnel->now;
    ipsec_set *next = &w->tunnel->next;
    bool encrypts = transform->encr_key_len > 0;

    next->out.spi = c->spi;
    if (!try_out(w, c, transform) || !digest(w, w->out, c, transform, &next->out) ||
        !sender_id_digest("tunnelcap key", encrypts ? transform->encr_key : transform->integ_key,
                          encrypts ? transform->encr_key_len : transform->integ_key_len,
                          next->key_digest))
        return false;
    if (w->trial || w->tunnel->peer.family == 0)
        return sender_id_check(w->tunnel->conf->path, w->tunnel->conf->encap.esp.state_dir);
    if (now->out.esp != NULL &&
        memcmp(now->out.digest, next->out.digest, sizeof next->out.digest) == 0) {
        next->out.esp = now->out.esp;
        next->sender_id = now->sender_id;
        next->numbers = now->numbers;
        next->seq_first = now->seq_first;
        return true;
    }
    return make_new_out(w, c, transform);
}

static bool make_out(const work *w)
{
    tunnelcap_esp_config c;
    tunnelcap_transform transform;

    if (!check_out(w))
        return false;
    begin_config(w, w->out, &c, &transform);
    c.direction = TUNNELCAP_ESP_OUT;
    c.nonce_origin = TUNNELCAP_NONCE_SENDER;
    c.sender_id_bits = SENDER_ID_BITS;
    set_target(w, &c);
    bool done = make_out_by(w, &c, &transform);
    explicit_bzero(&transform, sizeof transform);
    return done;
}

/* ------------------------------------------------------------------------ the whole */

static bool make_set(work *w)
{
    ipsec_set *next = &w->tunnel->next;

    if (!sort(w))
        return false;
    next->local_port = local_port(w);
    if (w->tunnel->now.in_count > 0 && next->local_port != w->tunnel->now.local_port)
        return refuse(w, w->out, "another UDP port on our side takes a restart");
    next->in = calloc(w->file->count, sizeof *next->in);
    if (next->in == NULL) {
        log_line("%s", strerror(ENOMEM));
        return false;
    }
    for (size_t i = 0; i < w->file->count; i++)
        if (&w->file->entries[i] != w->out && !make_in(w, &w->file->entries[i]))
            return false;
    return make_out(w);
}

void ipsec_set_drop(ipsec_tunnel *tunnel)
{
    ipsec_unsent rest = ipsec_set_end(&tunnel->next, &tunnel->now, NULL);

    sequence_close(rest.numbers, rest.next);
}

/* Mistakes go where lines go. */
static sa_file *load_file(const char *path)
{
    log_lines mistakes;
    sa_file *file = NULL;

    log_begin_lines(&mistakes);
    if (mistakes.stream != NULL)
        file = sa_file_load(path, SA_FILE_PRIVATE, mistakes.stream);
    log_end_lines(&mistakes);
    return file;
}

bool ipsec_set_load(ipsec_tunnel *tunnel, ipsec *all, bool trial)
{
    work w = {.all = all, .tunnel = tunnel, .trial = trial};
    sa_file *file = load_file(tunnel->conf->encap.esp.key_file);

    tunnel->next = (ipsec_set){.in = NULL};
    if (file == NULL)
        return false;
    w.file = file;
    bool done = make_set(&w);
    sa_file_free(file); /* and wipe it */
    if (!done)
        ipsec_set_drop(tunnel);
    return done;
}

bool ipsec_set_has(const ipsec_set *set, const tunnelcap_esp *esp)
{
    for (size_t i = 0; i < set->in_count; i++)
        if (set->in[i].esp == esp)
            return true;
    return set->out.esp == esp;
}

static void end_sa(tunnelcap_esp *esp, const ipsec_set *other, struct crew *threads)
{
    if (esp == NULL || ipsec_set_has(other, esp))
        return;
    if (threads != NULL)
        crew_forget(threads, esp);
    tunnelcap_esp_free(esp);
}

/* Where no SA was made after all, none of the numbers has been sent. */
static ipsec_unsent unsent(const ipsec_set *set)
{
    tunnelcap_esp_state state = {.seq = set->seq_first};

    if (set->out.esp != NULL)
        tunnelcap_esp_get_state(set->out.esp, &state, sizeof state);
    return (ipsec_unsent){.numbers = set->numbers, .next = state.seq};
}

ipsec_unsent ipsec_set_end(ipsec_set *set, const ipsec_set *other, struct crew *threads)
{
    ipsec_unsent rest = {.numbers = NULL};

    if (set->numbers != other->numbers)
        rest = unsent(set);
    for (size_t i = 0; i < set->in_count; i++)
        end_sa(set->in[i].esp, other, threads);
    end_sa(set->out.esp, other, threads);
    free(set->in);
    *set = (ipsec_set){.in = NULL};
    return rest;
}
