/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "table_data.h"

int32_t tunnelcap_table_tunnel_at(const tunnelcap_table *table, uint32_t index, uint64_t *id)
{
    const tunnelcap_i_view *view;
    tunnelcap_i_list *list;
    uint32_t place = 0;
    uint32_t skip = index;

    if (table == NULL || id == NULL)
        return TUNNELCAP_E_INVALID;
    view = tunnelcap_i_current(table);
    list = &((tunnelcap_table *)(uintptr_t)table)->list;
    if (index == list->index) { /* goes on where the last call has left off */
        place = list->place;
        skip = 0;
    }
    for (; place < table->places; place++) {
        if (view->slot_of[place] != 0 && skip-- == 0) {
            list->index = index + 1;
            list->place = place + 1;
            *id = tunnelcap_i_tunnel_in(table, view, place)->id;
            return TUNNELCAP_OK;
        }
    }
    return TUNNELCAP_E_NOT_FOUND;
}

/* What only one kind of tunnel has. */
static void fill_kind(const tunnelcap_i_tunnel *tunnel, tunnelcap_tunnel_info *info)
{
    const tunnelcap_esp *esp = tunnel->sa;
    uint16_t gre;

    if (tunnel->key.kind == TUNNELCAP_KIND_GRE) {
        gre = tunnel->as.gre.flags;
        info->flags = (tunnel->key.keyed ? TUNNELCAP_PEEK_KEY : 0u) |
                      (tunnel->key.udp_port != 0 ? TUNNELCAP_PEEK_UDP : 0u) |
                      (gre & TUNNELCAP_GRE_CHECKSUM ? TUNNELCAP_PEEK_CHECKSUM : 0u) |
                      (gre & TUNNELCAP_GRE_SEQUENCE ? TUNNELCAP_PEEK_SEQUENCE : 0u);
        info->key = tunnel->key.key;
        info->udp_port = tunnel->key.udp_port;
        info->tailroom = tunnelcap_esp_tailroom(esp);
    } else if (tunnel->key.kind == TUNNELCAP_KIND_ESP && esp != NULL) {
        info->flags = TUNNELCAP_PEEK_SEQUENCE | (esp->udp_len != 0 ? TUNNELCAP_PEEK_UDP : 0u);
        info->key = esp->spi;
        if (esp->udp_len != 0)
            info->udp_port =
                tunnelcap_i_load16(tunnel->as.esp.outer.header + tunnel->as.esp.outer.ip_len + 2);
        info->tailroom = tunnelcap_esp_tailroom(esp);
    }
}

static void fill_info(const tunnelcap_i_tunnel *tunnel, tunnelcap_tunnel_info *info)
{
    const tunnelcap_i_outer *outer = tunnelcap_i_tunnel_outer(tunnel);
    tunnelcap_i_mss mss = tunnel->mss;
    uint32_t icmp;
    size_t bytes;

    memset(info, 0, sizeof(*info));
    fill_kind(tunnel, info);
    if (outer != NULL) {
        bytes = outer->family == TUNNELCAP_IPV4 ? 4 : 16;
        memcpy(info->remote.bytes, outer->match, bytes);
        memcpy(info->local.bytes, outer->match + bytes, bytes);
        info->remote.family = outer->family;
        info->local.family = outer->family;
    }
    info->vrf = tunnel->vrf;
    info->inner_mtu = tunnel->mtu;
    if (outer != NULL) {
        info->path_mtu = tunnelcap_i_path_now(tunnel);
        info->inner_mtu = tunnelcap_i_tunnel_mtu(tunnel, info->path_mtu);
        if (info->path_mtu != tunnel->link)
            tunnelcap_i_tunnel_mss(tunnel, info->inner_mtu, &mss);
    }
    icmp = !(tunnel->flags & TUNNELCAP_TUNNEL_ICMP) ? 0
           : tunnel->interface6.family != 0         ? TUNNELCAP_ICMP_HEADROOM6
           : tunnel->interface4.family != 0         ? TUNNELCAP_ICMP_HEADROOM4
                                                    : 0;
    info->headroom = tunnel->headroom > icmp ? tunnel->headroom : icmp;
    info->limit4 = mss.limit[0];
    info->limit6 = mss.limit[1];
    info->kind = tunnelcap_i_is_gre_esp(tunnel) ? TUNNELCAP_KIND_GRE_ESP : tunnel->key.kind;
}

int32_t tunnelcap_table_get_info(const tunnelcap_table *table, uint64_t id,
                                 tunnelcap_tunnel_info *info, uint32_t size)
{
    const tunnelcap_i_view *view;
    tunnelcap_tunnel_info own;
    uint32_t entry;

    if (table == NULL || info == NULL)
        return TUNNELCAP_E_INVALID;
    if (size < sizeof(own))
        return TUNNELCAP_E_VERSION;
    view = tunnelcap_i_current(table);
    entry = tunnelcap_i_find_id(table, view, id);
    if (entry == 0)
        return TUNNELCAP_E_NOT_FOUND;
    fill_info(tunnelcap_i_tunnel_in(table, view, entry - 1), &own);
    return tunnelcap_i_struct_init(info, size, &own, sizeof(own), sizeof(own));
}

/* The place that counts for a tunnel id: the last one for packets without a tunnel. */
static int32_t find_place(const tunnelcap_table *table, uint64_t id, uint32_t *place)
{
    uint32_t entry;

    if (id == 0) {
        *place = table->places;
        return TUNNELCAP_OK;
    }
    entry = tunnelcap_i_find_id(table, tunnelcap_i_current(table), id);
    if (entry == 0)
        return TUNNELCAP_E_NOT_FOUND;
    *place = entry - 1;
    return TUNNELCAP_OK;
}

/* What a lane rarely counts of a place, or NULL. */
static tunnelcap_i_rare *rare_of(const tunnelcap_table *table, uint32_t lane, uint32_t place,
                                 uint32_t direction)
{
    uint32_t index = TUNNELCAP_I_LOAD(tunnelcap_i_counters_at(table, lane, place)->detail);

    if (index == 0 && place != table->places)
        return NULL;
    return &tunnelcap_i_detail_at(table, lane, index)->of[direction];
}

static void add_counters(tunnelcap_counters *sum, const tunnelcap_table *table, uint32_t lane,
                         uint32_t place, uint32_t direction)
{
    tunnelcap_i_counters *c = tunnelcap_i_counters_at(table, lane, place);
    tunnelcap_i_rare *rare = rare_of(table, lane, place, direction);

    sum->packets += TUNNELCAP_I_LOAD(c->of[direction].packets);
    sum->inner_bytes += TUNNELCAP_I_LOAD(c->of[direction].inner_bytes);
    sum->outer_bytes += TUNNELCAP_I_LOAD(c->of[direction].outer_bytes);
    if (rare == NULL)
        return;
    sum->replied += TUNNELCAP_I_LOAD(rare->replied);
    sum->refused += TUNNELCAP_I_LOAD(rare->refused);
    sum->clamped += TUNNELCAP_I_LOAD(rare->clamped);
    sum->kept += TUNNELCAP_I_LOAD(rare->kept);
    sum->local += TUNNELCAP_I_LOAD(rare->local);
    sum->fragments += TUNNELCAP_I_LOAD(rare->fragments);
    sum->reassembled += TUNNELCAP_I_LOAD(rare->reassembled);
    sum->icmp_sent += TUNNELCAP_I_LOAD(rare->icmp_sent);
    sum->icmp_received += TUNNELCAP_I_LOAD(rare->icmp_received);
}

int32_t tunnelcap_table_get_stats(const tunnelcap_table *table, uint64_t id, tunnelcap_stats *stats,
                                  uint32_t size)
{
    tunnelcap_stats own;
    uint32_t place;
    int32_t status;

    if (table == NULL || stats == NULL)
        return TUNNELCAP_E_INVALID;
    if (size < sizeof(own))
        return TUNNELCAP_E_VERSION;
    status = find_place(table, id, &place);
    if (status != TUNNELCAP_OK)
        return status;
    memset(&own, 0, sizeof(own));
    for (uint32_t lane = 0; lane < table->lanes; lane++) {
        add_counters(&own.encap, table, lane, place, TUNNELCAP_ENCAP);
        add_counters(&own.decap, table, lane, place, TUNNELCAP_DECAP);
    }
    return tunnelcap_i_struct_init(stats, size, &own, sizeof(own), sizeof(own));
}

int32_t tunnelcap_table_reasons(const tunnelcap_table *table, uint64_t id, uint32_t direction,
                                tunnelcap_reason *reasons, uint32_t cap, uint32_t *count)
{
    tunnelcap_reason reason = {0, 0, 0};
    uint32_t found = 0;
    uint32_t place;
    int32_t status;

    if (table == NULL || count == NULL || (reasons == NULL && cap > 0) ||
        direction > TUNNELCAP_DECAP)
        return TUNNELCAP_E_INVALID;
    status = find_place(table, id, &place);
    if (status != TUNNELCAP_OK)
        return status;
    for (uint32_t i = 0; tunnelcap_status_at(i, &reason.status) == TUNNELCAP_OK; i++) {
        if (!tunnelcap_i_is_reason(reason.status))
            continue;
        reason.count = 0;
        for (uint32_t lane = 0; lane < table->lanes; lane++) {
            tunnelcap_i_rare *rare = rare_of(table, lane, place, direction);

            if (rare != NULL)
                reason.count +=
                    TUNNELCAP_I_LOAD(rare->reasons[tunnelcap_i_reason_index(reason.status)]);
        }
        if (reason.count == 0)
            continue;
        if (found < cap)
            reasons[found] = reason;
        found++;
    }
    *count = found;
    return TUNNELCAP_OK;
}
