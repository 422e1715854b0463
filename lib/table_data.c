/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "table_data.h"

/* What both directions of the data path share, apart from the loop. */

int32_t tunnelcap_i_check_burst(const tunnelcap_lane *lane, const tunnelcap_burst *burst)
{
    if (lane == NULL || burst == NULL)
        return TUNNELCAP_E_INVALID;
    if (burst->size < sizeof(*burst) ||
        !tunnelcap_i_is_zero((const uint8_t *)burst + sizeof(*burst), burst->size - sizeof(*burst)))
        return TUNNELCAP_E_VERSION;
    if (burst->flags != 0)
        return TUNNELCAP_E_FLAGS;
    if (burst->reserved != 0)
        return TUNNELCAP_E_RESERVED;
    if (burst->pkt_count > UINT16_MAX || burst->spare_count > UINT16_MAX ||
        (burst->spare_count > 0 && burst->spare == NULL) ||
        (burst->pkt_count > 0 && (burst->pkts == NULL || burst->results == NULL)))
        return TUNNELCAP_E_INVALID;
    return lane->table == NULL ? TUNNELCAP_E_STATE : TUNNELCAP_OK;
}

tunnelcap_i_detail *tunnelcap_i_run_detail(const tunnelcap_i_run *run, uint32_t place)
{
    tunnelcap_i_seat *seat = &run->table->seats[run->lane->slot];
    tunnelcap_i_counters *c = tunnelcap_i_counters_at(run->table, run->lane->slot, place);
    uint32_t index = TUNNELCAP_I_LOAD(c->detail);

    if (index == 0 && place != run->table->places && seat->details < run->table->details) {
        index = seat->details++;
        TUNNELCAP_I_STORE(c->detail, index);
    }
    return tunnelcap_i_detail_at(run->table, run->lane->slot, index);
}

void tunnelcap_i_count_other(tunnelcap_i_rare *rare, const tunnelcap_result *result)
{
    switch (result->action) {
    case TUNNELCAP_DO_REPLY:
        tunnelcap_i_count_add(&rare->replied, 1);
        return;
    case TUNNELCAP_DO_KEPT:
        tunnelcap_i_count_add(&rare->kept, 1);
        return;
    case TUNNELCAP_DO_LOCAL:
        tunnelcap_i_count_add(&rare->local, 1);
        return;
    default:
        tunnelcap_i_count_add(&rare->refused, 1);
        tunnelcap_i_count_add(&rare->reasons[tunnelcap_i_reason_index(result->status)], 1);
        return;
    }
}

void tunnelcap_i_settle(const tunnelcap_i_run *run, const tunnelcap_i_item *item, int32_t status)
{
    tunnelcap_i_settle_plain(run, item, status);
}

void tunnelcap_i_clamp_learned(const tunnelcap_i_tunnel *tunnel, uint32_t mtu,
                               tunnelcap_i_item *item, const tunnelcap_meta *meta)
{
    tunnelcap_i_mss mss;

    tunnelcap_i_tunnel_mss(tunnel, mtu, &mss);
    tunnelcap_i_clamped(item, tunnelcap_i_mss_clamp(&mss, item->pkt, meta));
}

int32_t tunnelcap_i_room(const tunnelcap_i_run *run, uint32_t results, uint32_t spares)
{
    const tunnelcap_burst *burst = run->burst;

    if (results + 1 > burst->result_cap || spares > burst->spare_count)
        return TUNNELCAP_E_FULL;
    return results > burst->result_cap - run->results ||
                   spares > burst->spare_count - run->spares - run->reserved
               ? TUNNELCAP_I_STOP
               : TUNNELCAP_OK;
}

void tunnelcap_i_close_up(tunnelcap_i_run *run)
{
    tunnelcap_result *results = run->burst->results;
    uint32_t to = run->first;

    run->jobs = 0;
    if (run->holes == 0)
        return;
    for (uint32_t i = run->first; i < run->results; i++) {
        if (results[i].action != TUNNELCAP_I_DO_NOTHING)
            results[to++] = results[i];
    }
    run->results = to;
    run->holes = 0;
}
