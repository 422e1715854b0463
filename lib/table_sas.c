/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "table.h"

/* Security associations of tunnels.
 *
 * Implementation notes. An entry keeps by itself all that finds it, so that the SA of a dead one
 * may be gone. Inbound ones are hashed by VRF and SPI alone, and compared by address too: an SA
 * without local address answers at any. The entries of a place are found in a chain that it may
 * share with other places. Dead entries stand in line, the oldest first, and are reused when
 * nothing else is free. The SA that a tunnel sends by is named by its slot as well, for lanes. */

static uint32_t spi_hash(const tunnelcap_table *table, uint32_t outer_vrf, uint32_t spi)
{
    return (uint32_t)tunnelcap_i_hash2(table->hash_key, (uint64_t)outer_vrf << 32 | spi, 0);
}

static uint32_t sa_home(const tunnelcap_table *table, const tunnelcap_i_view *view, uint32_t entry)
{
    const tunnelcap_i_sa *sa = &view->sas[entry - 1];

    return spi_hash(table, sa->outer_vrf, sa->spi);
}

static uint32_t answers_at(const tunnelcap_i_sa *sa, uint32_t family, const uint8_t *dst)
{
    return sa->family == 0 ||
           (sa->family == family && memcmp(sa->local, dst, family == TUNNELCAP_IPV4 ? 4 : 16) == 0);
}

const tunnelcap_i_sa *tunnelcap_i_find_sa(const tunnelcap_table *table,
                                          const tunnelcap_i_view *view, uint32_t outer_vrf,
                                          uint32_t spi, uint32_t family, const uint8_t *dst)
{
    uint32_t at = spi_hash(table, outer_vrf, spi) & table->sa_mask;
    const tunnelcap_i_sa *sa;

    for (; view->by_spi[at] != 0; at = (at + 1) & table->sa_mask) {
        sa = &view->sas[view->by_spi[at] - 1];
        if (sa->spi == spi && sa->outer_vrf == outer_vrf && answers_at(sa, family, dst))
            return sa;
    }
    return NULL;
}

/* Index + 1 of an SA that answers to the same packets as one that its place does not have, dead or
 * not as asked; 0 if there is none. */
static uint32_t find_collision(const tunnelcap_table *table, const tunnelcap_i_view *view,
                               const tunnelcap_i_sa *sa, uint32_t dead)
{
    uint32_t at = spi_hash(table, sa->outer_vrf, sa->spi) & table->sa_mask;
    const tunnelcap_i_sa *other;

    for (; view->by_spi[at] != 0; at = (at + 1) & table->sa_mask) {
        other = &view->sas[view->by_spi[at] - 1];
        if (other->spi == sa->spi && other->outer_vrf == sa->outer_vrf &&
            (other->state == TUNNELCAP_SA_DEAD) == dead &&
            (sa->family == 0 || answers_at(other, sa->family, sa->local)))
            return view->by_spi[at];
    }
    return 0;
}

/* ---- chains of places, and the line of the dead ---- */

static uint32_t *chain_of(const tunnelcap_table *table, const tunnelcap_i_view *view,
                          uint32_t place)
{
    return &view->sa_chain[(uint32_t)tunnelcap_i_hash2(table->hash_key, place, 1) & table->sa_mask];
}

uint32_t tunnelcap_i_sa_next(const tunnelcap_table *table, const tunnelcap_i_view *view,
                             uint32_t place, uint32_t entry)
{
    entry = entry == 0 ? *chain_of(table, view, place) : view->sas[entry - 1].next;
    while (entry != 0 && view->sas[entry - 1].place != place)
        entry = view->sas[entry - 1].next;
    return entry;
}

/* Index + 1 of the SA of a place; 0 if it is not there, or dead. */
static uint32_t find_of(const tunnelcap_table *table, const tunnelcap_i_view *view, uint32_t place,
                        const tunnelcap_esp *esp)
{
    uint32_t entry = tunnelcap_i_sa_next(table, view, place, 0);

    while (entry != 0 && view->sas[entry - 1].esp != esp)
        entry = tunnelcap_i_sa_next(table, view, place, entry);
    return entry;
}

static void line_up(const tunnelcap_i_view *view, uint32_t entry)
{
    tunnelcap_i_view_head *head = view->head;
    tunnelcap_i_sa *sa = &view->sas[entry - 1];

    sa->as.dead.before = head->dead_last;
    sa->as.dead.behind = 0;
    if (head->dead_last != 0)
        view->sas[head->dead_last - 1].as.dead.behind = entry;
    else
        head->dead_first = entry;
    head->dead_last = entry;
    head->dead_count++;
}

static void leave_line(const tunnelcap_i_view *view, uint32_t entry)
{
    tunnelcap_i_view_head *head = view->head;
    const tunnelcap_i_sa *sa = &view->sas[entry - 1];

    if (sa->as.dead.before != 0)
        view->sas[sa->as.dead.before - 1].as.dead.behind = sa->as.dead.behind;
    else
        head->dead_first = sa->as.dead.behind;
    if (sa->as.dead.behind != 0)
        view->sas[sa->as.dead.behind - 1].as.dead.before = sa->as.dead.before;
    else
        head->dead_last = sa->as.dead.before;
    head->dead_count--;
}

/* ---- entries of a view ---- */

static void free_entry(tunnelcap_table *table, const tunnelcap_i_view *view, uint32_t entry)
{
    tunnelcap_i_sa *sa = &view->sas[entry - 1];
    uint32_t *link = chain_of(table, view, sa->place);
    uint32_t at;

    if (sa->direction == TUNNELCAP_ESP_IN) {
        at = spi_hash(table, sa->outer_vrf, sa->spi) & table->sa_mask;
        while (view->by_spi[at] != entry)
            at = (at + 1) & table->sa_mask;
        tunnelcap_i_hash_remove(table, view, view->by_spi, table->sa_mask, at, sa_home);
        view->head->sa_in_count--;
    }
    while (*link != entry)
        link = &view->sas[*link - 1].next;
    *link = sa->next;
    if (sa->state == TUNNELCAP_SA_DEAD)
        leave_line(view, entry);
    memset(sa, 0, sizeof(*sa));
    sa->next = view->head->sa_free;
    view->head->sa_free = entry;
    view->head->sa_count--;
}

/* Take a free entry, or that of the SA that has been dead for longest; there is one. */
static uint32_t take_entry(tunnelcap_table *table, const tunnelcap_i_view *view)
{
    tunnelcap_i_view_head *head = view->head;
    uint32_t entry;

    if (head->sa_free == 0 && head->sa_used < table->sas)
        return ++head->sa_used;
    if (head->sa_free == 0)
        free_entry(table, view, head->dead_first);
    entry = head->sa_free;
    head->sa_free = view->sas[entry - 1].next;
    return entry;
}

static uint32_t add_entry(tunnelcap_table *table, const tunnelcap_i_view *view,
                          const tunnelcap_i_sa *sa)
{
    uint32_t *chain = chain_of(table, view, sa->place);
    uint32_t entry;
    uint32_t at;

    if (sa->direction == TUNNELCAP_ESP_IN) { /* a new SA takes the SPIs of dead ones */
        while ((entry = find_collision(table, view, sa, 1)) != 0)
            free_entry(table, view, entry);
    }
    entry = take_entry(table, view);
    view->sas[entry - 1] = *sa;
    view->sas[entry - 1].next = *chain;
    *chain = entry;
    view->head->sa_count++;
    if (sa->direction == TUNNELCAP_ESP_IN) {
        at = spi_hash(table, sa->outer_vrf, sa->spi) & table->sa_mask;
        while (view->by_spi[at] != 0)
            at = (at + 1) & table->sa_mask;
        view->by_spi[at] = entry;
        view->head->sa_in_count++;
    }
    return entry;
}

void tunnelcap_i_sa_set(tunnelcap_table *table, const tunnelcap_i_view *view,
                        const tunnelcap_i_sa *sa)
{
    uint32_t entry = find_of(table, view, sa->place, sa->esp);
    tunnelcap_i_sa *held;

    if (sa->state == TUNNELCAP_SA_DEAD && sa->direction == TUNNELCAP_ESP_OUT) {
        free_entry(table, view, entry); /* no packet will name its SPI */
        return;
    }
    if (entry == 0)
        entry = add_entry(table, view, sa);
    held = &view->sas[entry - 1];
    held->state = sa->state;
    held->owner = sa->owner;
    held->as.until_ns = sa->as.until_ns;
    if (sa->state == TUNNELCAP_SA_DEAD) {
        held->esp = NULL;
        line_up(view, entry);
    }
}

void tunnelcap_i_sa_unset(tunnelcap_table *table, const tunnelcap_i_view *view,
                          const tunnelcap_i_sa *sa)
{
    free_entry(table, view, find_of(table, view, sa->place, sa->esp));
}

void tunnelcap_i_sas_drop(tunnelcap_table *table, const tunnelcap_i_view *view, uint32_t place)
{
    uint32_t entry;

    while ((entry = tunnelcap_i_sa_next(table, view, place, 0)) != 0)
        free_entry(table, view, entry);
}

/* ---- what the writer calls ---- */

/* The tunnel that may have SAs of this id in the view under change; NULL if there is none. */
static const tunnelcap_i_tunnel *find_tunnel(const tunnelcap_table *table, uint64_t id)
{
    const tunnelcap_i_view *view = tunnelcap_i_changing(table);
    uint32_t entry = tunnelcap_i_find_id(table, view, id);
    const tunnelcap_i_tunnel *tunnel;

    if (entry == 0)
        return NULL;
    tunnel = tunnelcap_i_tunnel_in(table, view, entry - 1);
    return tunnelcap_i_has_sas(tunnel) ? tunnel : NULL;
}

/* Fill in what a table knows of an SA that it does not have yet. */
static void fill_entry(tunnelcap_i_sa *sa, tunnelcap_esp *esp, const tunnelcap_i_tunnel *tunnel)
{
    size_t bytes = esp->outer.family == TUNNELCAP_IPV4 ? 4 : 16;

    memset(sa, 0, sizeof(*sa));
    sa->esp = esp;
    sa->outer_vrf = tunnel->key.outer_vrf;
    sa->place = tunnel->place;
    sa->spi = esp->spi;
    sa->direction = esp->direction;
    if (!esp->any_address) {
        sa->family = esp->outer.family;
        memcpy(sa->local, esp->outer.match + bytes, bytes); /* the destination of what comes in */
    }
}

/* 1 if an SA may go from one state, 0 if it is new, to another. */
static uint32_t may_become(uint32_t from, uint32_t to)
{
    enum {
        STAGED = 1 << TUNNELCAP_SA_STAGED,
        IN_READY = 1 << TUNNELCAP_SA_IN_READY,
        OUT_ACTIVE = 1 << TUNNELCAP_SA_OUT_ACTIVE,
        DRAINING = 1 << TUNNELCAP_SA_DRAINING,
        DEAD = 1 << TUNNELCAP_SA_DEAD
    };
    static const uint8_t next[] = {
        [0] = STAGED | IN_READY | OUT_ACTIVE,
        [TUNNELCAP_SA_STAGED] = STAGED | IN_READY | OUT_ACTIVE | DEAD,
        [TUNNELCAP_SA_IN_READY] = IN_READY | OUT_ACTIVE | DRAINING | DEAD,
        [TUNNELCAP_SA_OUT_ACTIVE] = IN_READY | OUT_ACTIVE | DRAINING | DEAD,
        [TUNNELCAP_SA_DRAINING] = DRAINING | DEAD,
    };

    return next[from] >> to & 1;
}

static int32_t check_change(const tunnelcap_table *table, const tunnelcap_esp *esp)
{
    if (table == NULL || esp == NULL)
        return TUNNELCAP_E_INVALID;
    return table->in_change ? TUNNELCAP_OK : TUNNELCAP_E_STATE;
}

/* Whether an SA may come to a tunnel. */
static int32_t check_new(const tunnelcap_table *table, const tunnelcap_i_tunnel *tunnel,
                         const tunnelcap_i_sa *sa)
{
    const tunnelcap_i_view *view = tunnelcap_i_changing(table);
    uint32_t mode =
        tunnel->key.kind == TUNNELCAP_KIND_ESP ? TUNNELCAP_ESP_TUNNEL : TUNNELCAP_ESP_TRANSPORT;

    /* What comes to an ESP tunnel in transport mode is IP as well. */
    if (sa->esp->mode != mode &&
        (sa->direction == TUNNELCAP_ESP_OUT || mode == TUNNELCAP_ESP_TRANSPORT))
        return TUNNELCAP_E_MODE;
    if (sa->direction == TUNNELCAP_ESP_IN && find_collision(table, view, sa, 0) != 0)
        return TUNNELCAP_E_EXISTS;
    return view->head->sa_count - view->head->dead_count == table->sas ? TUNNELCAP_E_FULL
                                                                       : TUNNELCAP_OK;
}

static void do_set(tunnelcap_table *table, uint32_t kind, const tunnelcap_i_sa *sa)
{
    tunnelcap_i_op op;

    memset(&op, 0, sizeof(op));
    op.kind = kind;
    op.place = sa->place;
    op.as.sa = *sa;
    tunnelcap_i_do(table, &op);
}

/* Let a tunnel send by an SA, or by none; the one before is drained. */
static int32_t send_by(tunnelcap_table *table, const tunnelcap_i_tunnel *tunnel, tunnelcap_esp *esp)
{
    const tunnelcap_i_view *view = tunnelcap_i_changing(table);
    uint32_t before = tunnel->sa == NULL ? 0 : find_of(table, view, tunnel->place, tunnel->sa);
    tunnelcap_i_sa drained;
    int32_t status = tunnelcap_i_tunnel_send_by(table, tunnel, esp, NULL, 0);

    if (status != TUNNELCAP_OK || before == 0 || esp == NULL)
        return status;
    drained = view->sas[before - 1];
    drained.state = TUNNELCAP_SA_DRAINING;
    do_set(table, TUNNELCAP_I_OP_SET_SA, &drained);
    return TUNNELCAP_OK;
}

int32_t tunnelcap_table_set_sa(tunnelcap_table *table, uint64_t id, tunnelcap_esp *esp,
                               uint32_t state, uint64_t until_ns)
{
    const tunnelcap_i_view *view;
    const tunnelcap_i_tunnel *tunnel;
    tunnelcap_i_sa sa;
    uint32_t entry;
    uint32_t sends;
    int32_t status = check_change(table, esp);

    if (status != TUNNELCAP_OK)
        return status;
    if (state < TUNNELCAP_SA_STAGED || state > TUNNELCAP_SA_DEAD)
        return TUNNELCAP_E_MODE;
    if (until_ns != 0 && state != TUNNELCAP_SA_DRAINING)
        return TUNNELCAP_E_RANGE;
    view = tunnelcap_i_changing(table);
    tunnel = find_tunnel(table, id);
    if (tunnel == NULL)
        return TUNNELCAP_E_NOT_FOUND;
    entry = find_of(table, view, tunnel->place, esp);
    if (entry != 0)
        sa = view->sas[entry - 1];
    else
        fill_entry(&sa, esp, tunnel);
    if (!may_become(sa.state, state))
        return TUNNELCAP_E_STATE;
    status = entry != 0 ? TUNNELCAP_OK : check_new(table, tunnel, &sa);
    if (status != TUNNELCAP_OK)
        return status;
    sends = state == TUNNELCAP_SA_OUT_ACTIVE && sa.direction == TUNNELCAP_ESP_OUT;
    if (sends != (tunnel->sa == esp))
        status = send_by(table, tunnel, sends ? esp : NULL);
    if (status != TUNNELCAP_OK)
        return status;
    sa.state = (uint8_t)state;
    sa.as.until_ns = until_ns;
    do_set(table, TUNNELCAP_I_OP_SET_SA, &sa);
    return TUNNELCAP_OK;
}

/* An SA that a tunnel has, in the view under change. */
static int32_t find_entry(const tunnelcap_table *table, uint64_t id, const tunnelcap_esp *esp,
                          const tunnelcap_i_tunnel **tunnel, tunnelcap_i_sa *sa)
{
    const tunnelcap_i_view *view = tunnelcap_i_changing(table);
    uint32_t entry = 0;

    *tunnel = find_tunnel(table, id);
    if (*tunnel != NULL)
        entry = find_of(table, view, (*tunnel)->place, esp);
    if (entry == 0)
        return TUNNELCAP_E_NOT_FOUND;
    *sa = view->sas[entry - 1];
    return TUNNELCAP_OK;
}

int32_t tunnelcap_table_remove_sa(tunnelcap_table *table, uint64_t id, const tunnelcap_esp *esp)
{
    const tunnelcap_i_tunnel *tunnel;
    tunnelcap_i_sa sa;
    int32_t status = check_change(table, esp);

    if (status == TUNNELCAP_OK)
        status = find_entry(table, id, esp, &tunnel, &sa);
    if (status == TUNNELCAP_OK && tunnel->sa == esp)
        status = send_by(table, tunnel, NULL);
    if (status == TUNNELCAP_OK)
        do_set(table, TUNNELCAP_I_OP_REMOVE_SA, &sa);
    return status;
}

int32_t tunnelcap_table_set_owner(tunnelcap_table *table, uint64_t id, const tunnelcap_esp *esp,
                                  uint32_t owner)
{
    const tunnelcap_i_tunnel *tunnel;
    tunnelcap_i_sa sa;
    int32_t status = check_change(table, esp);

    if (status == TUNNELCAP_OK && esp->direction != TUNNELCAP_ESP_IN)
        status = TUNNELCAP_E_MODE;
    if (status == TUNNELCAP_OK)
        status = find_entry(table, id, esp, &tunnel, &sa);
    if (status != TUNNELCAP_OK)
        return status;
    sa.owner = owner;
    do_set(table, TUNNELCAP_I_OP_SET_SA, &sa);
    return TUNNELCAP_OK;
}

int32_t tunnelcap_table_set_peer(tunnelcap_table *table, uint64_t id, const tunnelcap_addr *addr,
                                 uint16_t port)
{
    const tunnelcap_i_tunnel *tunnel;
    const tunnelcap_i_outer *outer;
    size_t bytes;

    if (table == NULL || addr == NULL)
        return TUNNELCAP_E_INVALID;
    if (!table->in_change)
        return TUNNELCAP_E_STATE;
    tunnel = find_tunnel(table, id);
    if (tunnel == NULL || tunnel->key.kind != TUNNELCAP_KIND_ESP)
        return TUNNELCAP_E_NOT_FOUND;
    if (tunnel->sa == NULL)
        return TUNNELCAP_E_NEED_SA;
    outer = &tunnel->sa->outer;
    bytes = outer->family == TUNNELCAP_IPV4 ? 4 : 16;
    if (addr->family != outer->family || tunnelcap_i_is_zero(addr->bytes, bytes) ||
        (addr->family == TUNNELCAP_IPV4 ? addr->bytes[0] >= 224 : addr->bytes[0] == 0xff) ||
        memcmp(addr->bytes, outer->match + bytes, bytes) == 0)
        return TUNNELCAP_E_ADDRESS;
    return tunnelcap_i_tunnel_send_by(table, tunnel, tunnel->sa, addr, port);
}

int32_t tunnelcap_table_sa_at(const tunnelcap_table *table, uint64_t id, uint32_t index,
                              tunnelcap_sa_info *info, uint32_t size)
{
    const tunnelcap_i_view *view;
    const tunnelcap_i_sa *sa;
    tunnelcap_sa_info own;
    uint32_t place;
    uint32_t entry;

    if (table == NULL || info == NULL)
        return TUNNELCAP_E_INVALID;
    if (size < sizeof(own))
        return TUNNELCAP_E_VERSION;
    view = tunnelcap_i_current(table);
    place = tunnelcap_i_find_id(table, view, id);
    if (place-- == 0)
        return TUNNELCAP_E_NOT_FOUND;
    entry = tunnelcap_i_sa_next(table, view, place, 0);
    while (entry != 0 && index-- != 0)
        entry = tunnelcap_i_sa_next(table, view, place, entry);
    if (entry == 0)
        return TUNNELCAP_E_NOT_FOUND;
    sa = &view->sas[entry - 1];
    memset(&own, 0, sizeof(own));
    own.spi = sa->spi;
    own.until_ns = sa->state == TUNNELCAP_SA_DRAINING ? sa->as.until_ns : 0;
    own.owner = sa->owner;
    own.state = sa->state;
    own.direction = sa->direction;
    return tunnelcap_i_struct_init(info, size, &own, sizeof(own), sizeof(own));
}
