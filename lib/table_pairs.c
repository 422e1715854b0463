/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "table.h"

/* Tunnels by their outer addresses alone, for what tells no more: ICMP errors that quote little,
 * fragments. Those of one pair of addresses form a list. */

static const tunnelcap_i_outer *outer_of(const tunnelcap_table *table, const tunnelcap_i_view *view,
                                         uint32_t place)
{
    return tunnelcap_i_tunnel_outer(tunnelcap_i_tunnel_in(table, view, place));
}

static uint32_t pair_home(const tunnelcap_table *table, const tunnelcap_i_view *view,
                          uint32_t entry)
{
    const tunnelcap_i_tunnel *tunnel = tunnelcap_i_tunnel_in(table, view, entry - 1);
    const tunnelcap_i_outer *outer = tunnelcap_i_tunnel_outer(tunnel);

    return tunnelcap_i_pair_hash(table, tunnel->key.outer_vrf, outer->family, outer->match);
}

/* Where a pair's list stands in the hash, or the empty entry where it would. */
static uint32_t pair_position(const tunnelcap_table *table, const tunnelcap_i_view *view,
                              uint32_t outer_vrf, uint32_t family, const uint8_t *match)
{
    uint32_t at = tunnelcap_i_pair_hash(table, outer_vrf, family, match) & table->tunnel_mask;
    uint32_t entry;

    for (; (entry = view->by_pair[at]) != 0; at = (at + 1) & table->tunnel_mask) {
        const tunnelcap_i_tunnel *tunnel = tunnelcap_i_tunnel_in(table, view, entry - 1);
        const tunnelcap_i_outer *outer = tunnelcap_i_tunnel_outer(tunnel);

        if (tunnel->key.outer_vrf == outer_vrf && outer->family == family &&
            memcmp(outer->match, match, family == TUNNELCAP_IPV4 ? 8 : 32) == 0)
            break;
    }
    return at;
}

uint32_t tunnelcap_i_find_pair(const tunnelcap_table *table, const tunnelcap_i_view *view,
                               uint32_t outer_vrf, uint32_t family, const uint8_t *match)
{
    return view->by_pair[pair_position(table, view, outer_vrf, family, match)];
}

static uint32_t *pair_link_of(const tunnelcap_table *table, const tunnelcap_i_view *view,
                              uint32_t place, uint32_t *at)
{
    const tunnelcap_i_outer *outer = outer_of(table, view, place);

    *at = pair_position(table, view, tunnelcap_i_tunnel_in(table, view, place)->key.outer_vrf,
                        outer->family, outer->match);
    return &view->by_pair[*at];
}

void tunnelcap_i_pair_link(const tunnelcap_table *table, const tunnelcap_i_view *view,
                           uint32_t place)
{
    uint32_t *link;
    uint32_t at;

    view->pair_next[place] = 0;
    if (outer_of(table, view, place) == NULL)
        return;
    link = pair_link_of(table, view, place, &at);
    view->pair_next[place] = *link;
    *link = place + 1;
}

void tunnelcap_i_pair_unlink(const tunnelcap_table *table, const tunnelcap_i_view *view,
                             uint32_t place)
{
    uint32_t *link;
    uint32_t at;

    if (outer_of(table, view, place) == NULL)
        return;
    link = pair_link_of(table, view, place, &at);
    if (*link == place + 1 && view->pair_next[place] == 0) {
        tunnelcap_i_hash_remove(table, view, view->by_pair, table->tunnel_mask, at, pair_home);
        return;
    }
    while (*link != place + 1)
        link = &view->pair_next[*link - 1];
    *link = view->pair_next[place];
}
