/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "table.h"

/* Inbound security associations. They are hashed by VRF and SPI alone, and compared by address
 * too: an SA without local address answers at any. */

static uint32_t spi_hash(const tunnelcap_table *table, uint32_t outer_vrf, uint32_t spi)
{
    return (uint32_t)tunnelcap_i_hash2(table->hash_key, (uint64_t)outer_vrf << 32 | spi, 0);
}

static uint32_t sa_home(const tunnelcap_table *table, const tunnelcap_i_view *view, uint32_t entry)
{
    const tunnelcap_i_sa *sa = &view->sas[entry - 1];

    return spi_hash(table, sa->outer_vrf, sa->esp->spi);
}

/* Our own address of an SA: the destination of what comes in. */
static const uint8_t *local_of(const tunnelcap_esp *esp)
{
    return esp->outer.match + (esp->outer.family == TUNNELCAP_IPV4 ? 4 : 16);
}

static uint32_t answers_at(const tunnelcap_esp *esp, uint32_t family, const uint8_t *dst)
{
    return esp->any_address || (esp->outer.family == family &&
                                memcmp(local_of(esp), dst, family == TUNNELCAP_IPV4 ? 4 : 16) == 0);
}

const tunnelcap_i_sa *tunnelcap_i_find_sa(const tunnelcap_table *table,
                                          const tunnelcap_i_view *view, uint32_t outer_vrf,
                                          uint32_t spi, uint32_t family, const uint8_t *dst)
{
    uint32_t at = spi_hash(table, outer_vrf, spi) & table->sa_mask;
    const tunnelcap_i_sa *sa;

    for (; view->by_spi[at] != 0; at = (at + 1) & table->sa_mask) {
        sa = &view->sas[view->by_spi[at] - 1];
        if (sa->esp->spi == spi && sa->outer_vrf == outer_vrf && answers_at(sa->esp, family, dst))
            return sa;
    }
    return NULL;
}

/* 1 if two SAs would answer to the same packet. */
static uint32_t collides(const tunnelcap_i_sa *sa, const tunnelcap_esp *in, uint32_t outer_vrf)
{
    return sa->esp != in && sa->esp->spi == in->spi && sa->outer_vrf == outer_vrf &&
           (in->any_address || answers_at(sa->esp, in->outer.family, local_of(in)));
}

/* Where an SA stands in the hash: the position of the entry that holds `in`, of one that collides
 * with it, or of the first empty one. */
static uint32_t find_position(const tunnelcap_table *table, const tunnelcap_i_view *view,
                              const tunnelcap_esp *in, uint32_t outer_vrf)
{
    uint32_t at = spi_hash(table, outer_vrf, in->spi) & table->sa_mask;
    const tunnelcap_i_sa *sa;

    for (; view->by_spi[at] != 0; at = (at + 1) & table->sa_mask) {
        sa = &view->sas[view->by_spi[at] - 1];
        if (sa->esp == in || collides(sa, in, outer_vrf))
            break;
    }
    return at;
}

static void unlink_sa(tunnelcap_table *table, const tunnelcap_i_view *view, uint32_t index)
{
    tunnelcap_i_sa *sa = &view->sas[index];
    uint32_t at = find_position(table, view, sa->esp, sa->outer_vrf);

    tunnelcap_i_hash_remove(table, view, view->by_spi, table->sa_mask, at, sa_home);
    memset(sa, 0, sizeof(*sa));
    if (index < view->head->sa_hint)
        view->head->sa_hint = index;
    view->head->sa_count--;
}

void tunnelcap_i_sa_set(tunnelcap_table *table, const tunnelcap_i_view *view,
                        const tunnelcap_i_sa *sa)
{
    uint32_t at = find_position(table, view, sa->esp, sa->outer_vrf);
    uint32_t index = view->head->sa_hint;

    while (view->sas[index].esp != NULL)
        index++;
    view->head->sa_hint = index + 1;
    view->sas[index] = *sa;
    view->by_spi[at] = index + 1;
    view->head->sa_count++;
}

/* Index + 1 of an SA; 0 if it is not there. */
static uint32_t find_held(const tunnelcap_table *table, const tunnelcap_i_view *view,
                          const tunnelcap_esp *in)
{
    for (uint32_t i = 0; i < table->sas; i++) {
        if (view->sas[i].esp == in)
            return i + 1;
    }
    return 0;
}

void tunnelcap_i_sa_unset(tunnelcap_table *table, const tunnelcap_i_view *view,
                          const tunnelcap_esp *in)
{
    unlink_sa(table, view, find_held(table, view, in) - 1);
}

static int32_t check_change(const tunnelcap_table *table, const tunnelcap_esp *in)
{
    if (table == NULL || in == NULL)
        return TUNNELCAP_E_INVALID;
    return table->in_change ? TUNNELCAP_OK : TUNNELCAP_E_STATE;
}

int32_t tunnelcap_table_set_sa(tunnelcap_table *table, uint64_t id, tunnelcap_esp *in)
{
    const tunnelcap_i_view *view;
    const tunnelcap_i_tunnel *tunnel;
    tunnelcap_i_op op;
    uint32_t entry;
    uint32_t at;
    int32_t status = check_change(table, in);

    if (status != TUNNELCAP_OK)
        return status;
    if (in->direction != TUNNELCAP_ESP_IN)
        return TUNNELCAP_E_MODE;
    view = tunnelcap_i_changing(table);
    entry = tunnelcap_i_find_id(table, view, id);
    if (entry == 0)
        return TUNNELCAP_E_NOT_FOUND;
    tunnel = tunnelcap_i_tunnel_in(table, view, entry - 1);
    if (tunnel->key.kind != TUNNELCAP_KIND_ESP)
        return TUNNELCAP_E_NOT_FOUND;
    at = find_position(table, view, in, tunnel->key.outer_vrf);
    if (view->by_spi[at] != 0) {
        const tunnelcap_i_sa *held = &view->sas[view->by_spi[at] - 1];

        return held->esp == in && held->place == entry - 1 ? TUNNELCAP_OK : TUNNELCAP_E_EXISTS;
    }
    if (view->head->sa_count == table->sas)
        return TUNNELCAP_E_FULL;
    memset(&op, 0, sizeof(op));
    op.kind = TUNNELCAP_I_OP_SET_SA;
    op.as.sa.esp = in;
    op.as.sa.outer_vrf = tunnel->key.outer_vrf;
    op.as.sa.place = entry - 1;
    tunnelcap_i_do(table, &op);
    return TUNNELCAP_OK;
}

int32_t tunnelcap_table_remove_sa(tunnelcap_table *table, const tunnelcap_esp *in)
{
    tunnelcap_i_op op;
    int32_t status = check_change(table, in);

    if (status != TUNNELCAP_OK)
        return status;
    if (find_held(table, tunnelcap_i_changing(table), in) == 0)
        return TUNNELCAP_E_NOT_FOUND;
    memset(&op, 0, sizeof(op));
    op.kind = TUNNELCAP_I_OP_REMOVE_SA;
    op.as.sa.esp = (tunnelcap_esp *)(uintptr_t)in;
    tunnelcap_i_do(table, &op);
    return TUNNELCAP_OK;
}

void tunnelcap_i_sas_drop(tunnelcap_table *table, const tunnelcap_i_view *view, uint32_t place)
{
    for (uint32_t i = 0; i < table->sas; i++) {
        if (view->sas[i].esp != NULL && view->sas[i].place == place)
            unlink_sa(table, view, i);
    }
}
