/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "table_decap.h"

#include <tunnelcap/reassembly.h>

/* Fragments on the way out of tunnels. The one that completes a datagram gets it into a spare, from
 * where it goes on as if it had come like that; its own buffer is free. */

int32_t tunnelcap_table_set_reassembly(tunnelcap_lane *lane, tunnelcap_reassembly *outer,
                                       tunnelcap_reassembly *inner)
{
    if (lane == NULL || (outer != NULL && outer == inner))
        return TUNNELCAP_E_INVALID;
    lane->reassembly[TUNNELCAP_I_OUTER] = outer;
    lane->reassembly[TUNNELCAP_I_INNER] = inner;
    return TUNNELCAP_OK;
}

/* Whether a tunnel here may be the receiver of a fragment. ESP is received from anywhere. */
static uint32_t is_expected(const tunnelcap_i_run *run, const tunnelcap_i_facts *f)
{
    if (tunnelcap_i_find_pair(run->table, run->view, f->key.outer_vrf, f->o.family, f->key.addr))
        return 1;
    return run->view->head->sa_in_count != 0 &&
           (f->o.protocol == TUNNELCAP_I_PROTO_ESP || f->o.protocol == TUNNELCAP_I_PROTO_UDP);
}

/* Make room by running the jobs, which may not need all that was taken for them. The item's result
 * is the last one that was taken. */
static int32_t make_room(tunnelcap_i_run *run, tunnelcap_i_item *item, uint32_t count)
{
    int32_t status = tunnelcap_i_room(run, count, count);

    if (status != TUNNELCAP_I_STOP || run->jobs == 0)
        return status;
    tunnelcap_i_decap_jobs(run);
    item->result = &run->burst->results[run->results - 1];
    return tunnelcap_i_room(run, count, count);
}

int32_t tunnelcap_i_inner_room(tunnelcap_i_run *run, tunnelcap_i_item *item)
{
    if (run->lane->reassembly[TUNNELCAP_I_INNER] == NULL)
        return TUNNELCAP_OK;
    return make_room(run, item, 1) == TUNNELCAP_I_STOP ? TUNNELCAP_I_STOP : TUNNELCAP_OK;
}

/* Settle a fragment that was copied. What the tunnel's headers cost an inner one counts with it: it
 * never comes out by itself. */
static int32_t keep(const tunnelcap_i_run *run, const tunnelcap_i_item *item)
{
    if (item->place != run->table->places)
        tunnelcap_i_count_add(&tunnelcap_i_counters_at(run->table, run->lane->slot, item->place)
                                   ->of[run->direction]
                                   .outer_bytes,
                              item->before + tunnelcap_i_stripped_len(item->meta));
    item->result->action = TUNNELCAP_DO_KEPT;
    tunnelcap_i_settle(run, item, TUNNELCAP_KEPT);
    return TUNNELCAP_I_DONE;
}

int32_t tunnelcap_i_outer_fragment(tunnelcap_i_run *run, tunnelcap_i_item *item,
                                   const tunnelcap_i_facts *f)
{
    tunnelcap_reassembly *reassembly = run->lane->reassembly[TUNNELCAP_I_OUTER];
    uint64_t now_ns = run->burst->now_ns;
    tunnelcap_i_item whole = {NULL, NULL, NULL, run->table->places, 0};
    tunnelcap_pkt *spare = NULL;
    int32_t status;

    if (reassembly == NULL || !is_expected(run, f))
        return TUNNELCAP_E_FRAGMENT;
    if (tunnelcap_reassembly_need(reassembly, item->pkt, item->meta, now_ns) != 0) {
        /* What comes out may hold the last one of the inner fragments. */
        status = run->lane->reassembly[TUNNELCAP_I_INNER] == NULL ? TUNNELCAP_E_FULL
                                                                  : make_room(run, item, 2);
        if (status == TUNNELCAP_E_FULL)
            status = make_room(run, item, 1);
        if (status != TUNNELCAP_OK)
            return status;
        spare = run->burst->spare + run->spares;
    }
    status = tunnelcap_reassembly_add(reassembly, item->pkt, item->meta, now_ns, spare);
    if (status == TUNNELCAP_KEPT)
        return keep(run, item);
    if (status != TUNNELCAP_OK)
        return status;
    keep(run, item);
    whole.result = tunnelcap_i_take_spare(run, &whole.pkt);
    tunnelcap_i_count_add(&tunnelcap_i_run_rare(run, run->table->places)->reassembled, 1);
    status = tunnelcap_i_decap_whole(run, &whole, f->key.outer_vrf);
    if (status != TUNNELCAP_I_DONE)
        tunnelcap_i_settle(run, &whole, status);
    return TUNNELCAP_I_DONE;
}

/* Room for an inner datagram: in the result that was taken for it, or in the next one. */
static tunnelcap_result *take_whole(tunnelcap_i_run *run, tunnelcap_result *extra,
                                    tunnelcap_pkt **pkt)
{
    uint32_t index = run->spares;

    if (extra == NULL)
        return tunnelcap_i_take_spare(run, pkt);
    memset(extra, 0, sizeof(*extra));
    extra->index = (uint16_t)index;
    extra->flags = TUNNELCAP_RESULT_SPARE;
    run->holes--;
    *pkt = &run->burst->spare[run->spares++];
    return extra;
}

int32_t tunnelcap_i_inner_fragment(tunnelcap_i_run *run, tunnelcap_i_item *item,
                                   tunnelcap_i_tunnel *tunnel, tunnelcap_result *extra)
{
    tunnelcap_reassembly *reassembly = run->lane->reassembly[TUNNELCAP_I_INNER];
    uint64_t now_ns = run->burst->now_ns;
    tunnelcap_i_item whole = {NULL, NULL, NULL, item->place, 0}; /* counted with its fragments */
    tunnelcap_pkt *spare = NULL;
    tunnelcap_meta meta;
    int32_t status;

    memset(&meta, 0, sizeof(meta));
    meta.vrf = tunnel->vrf;
    if (tunnelcap_reassembly_need(reassembly, item->pkt, &meta, now_ns) != 0) {
        if (extra == NULL && tunnelcap_i_room(run, 1, 1) != TUNNELCAP_OK)
            return TUNNELCAP_E_FULL;
        spare = run->burst->spare + run->spares;
    }
    status = tunnelcap_reassembly_add(reassembly, item->pkt, &meta, now_ns, spare);
    if (status == TUNNELCAP_KEPT)
        return keep(run, item);
    if (status != TUNNELCAP_OK)
        return status;
    keep(run, item);
    whole.result = take_whole(run, extra, &whole.pkt);
    whole.result->tunnel = tunnel->id;
    whole.result->vrf = tunnel->vrf;
    tunnelcap_i_count_add(&tunnelcap_i_run_rare(run, item->place)->reassembled, 1);
    status = tunnelcap_i_deliver_whole(run, &whole, tunnel);
    tunnelcap_i_settle(run, &whole, status);
    return TUNNELCAP_I_DONE;
}
