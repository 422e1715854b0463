/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "table_encap.h"

#include <tunnelcap/fragment.h>

/* Inner packets that exceed the inner MTU. The fragments of one go into spares, and its own buffer
 * is free then. All that could be missing is looked for first: a packet is fragmented as a whole
 * or not at all. */

enum { FRAGMENT_HEADER = 8 }; /* IPv6 */

/* Whether the next `count` spares hold packets of `len` bytes with room around them. */
static int32_t check_spares(const tunnelcap_i_run *run, uint32_t count, uint32_t headroom,
                            uint32_t len)
{
    const tunnelcap_pkt *pkt = run->burst->spare + run->spares;

    for (uint32_t i = 0; i < count; i++) {
        if (pkt[i].buf == NULL || pkt[i].off > pkt[i].cap)
            return TUNNELCAP_E_INVALID;
        if (pkt[i].off < headroom)
            return TUNNELCAP_E_HEADROOM;
        if (pkt[i].cap - pkt[i].off < len)
            return TUNNELCAP_E_TAILROOM;
    }
    return TUNNELCAP_OK;
}

/* Send the fragments of an inner packet, each in a spare. */
static void send_pieces(tunnelcap_i_run *run, const tunnelcap_i_item *item,
                        tunnelcap_i_tunnel *tunnel, uint32_t mtu, tunnelcap_fragments *it)
{
    tunnelcap_i_item piece = *item;
    int32_t status;

    piece.meta = NULL;
    while (tunnelcap_fragment_count(it) != 0) {
        piece.result = tunnelcap_i_take_spare(run, &piece.pkt);
        piece.result->tunnel = tunnel->id;
        piece.result->vrf = tunnel->key.outer_vrf;
        tunnelcap_fragment_next(it, piece.pkt); /* there is room */
        piece.before = piece.pkt->len;
        tunnelcap_i_count_add(&tunnelcap_i_run_rare(run, item->place)->fragments, 1);
        status = tunnelcap_i_send(run, &piece, tunnel, mtu, (tunnelcap_i_split){0, 0});
        if (status != TUNNELCAP_I_DONE)
            tunnelcap_i_settle(run, &piece, status);
    }
}

static int32_t split_inner(tunnelcap_i_run *run, tunnelcap_i_item *item, tunnelcap_i_tunnel *tunnel,
                           uint32_t mtu)
{
    tunnelcap_fragment_config config;
    tunnelcap_fragments it;
    uint32_t tailroom = tunnelcap_esp_tailroom(tunnel->sa);
    uint32_t count;
    int32_t status;

    tunnelcap_fragment_config_init(&config, sizeof(config), mtu);
    if (tunnel->flags & TUNNELCAP_TUNNEL_CLEAR_DF)
        config.flags = TUNNELCAP_FRAGMENT_CLEAR_DF;
    config.id = tunnelcap_i_lane_id(run->lane);
    status = tunnelcap_fragment_begin(&it, item->pkt, item->meta, &config);
    if (status == TUNNELCAP_E_RANGE) { /* not even 68 bytes pass */
        item->result->value = mtu;
        return TUNNELCAP_E_TOO_BIG;
    }
    if (status != TUNNELCAP_OK)
        return status;
    count = tunnelcap_fragment_count(&it);
    status = tunnelcap_i_room(run, count, count);
    if (status == TUNNELCAP_OK)
        status = check_spares(run, count, tunnel->headroom, mtu + tailroom);
    if (status != TUNNELCAP_OK)
        return status;
    item->result->action = TUNNELCAP_DO_KEPT;
    tunnelcap_i_settle(run, item, TUNNELCAP_OK);
    send_pieces(run, item, tunnel, mtu, &it);
    return TUNNELCAP_I_DONE;
}

/* Send an inner packet as one outer packet in fragments; `more` bytes of headers come on top. */
static int32_t send_whole(tunnelcap_i_run *run, tunnelcap_i_item *item, tunnelcap_i_tunnel *tunnel,
                          uint32_t mtu, uint32_t more)
{
    const tunnelcap_i_outer *outer = tunnelcap_i_tunnel_outer(tunnel);
    tunnelcap_i_split split = {0, tunnelcap_i_path_now(tunnel)};
    uint32_t len = tunnelcap_i_tunnel_len(tunnel, item->before);
    uint32_t total = len + more;
    uint32_t header =
        outer->family == TUNNELCAP_IPV4 ? TUNNELCAP_I_IPV4_HEADER : TUNNELCAP_I_IPV6_HEADER;
    uint32_t room = split.mtu - header - (outer->family == TUNNELCAP_IPV4 ? 0 : FRAGMENT_HEADER);
    int32_t status;

    if (len == 0)
        return tunnelcap_i_refuse(run, item, tunnel, TUNNELCAP_E_TOO_BIG,
                                  tunnelcap_i_tunnel_mtu(tunnel, outer->max));
    if (item->pkt->off < tunnel->headroom + more)
        return TUNNELCAP_E_HEADROOM;
    if (total <= split.mtu) /* the tunnel's own MTU is less than the path's, or that has grown */
        return tunnelcap_i_send(run, item, tunnel, mtu, split);
    room &= ~(uint32_t)7;
    split.pieces = (total - header + room - 1) / room;
    status = tunnelcap_i_room(run, split.pieces, split.pieces);
    if (status == TUNNELCAP_OK)
        status = check_spares(run, split.pieces, 0, split.mtu);
    return status == TUNNELCAP_OK ? tunnelcap_i_send(run, item, tunnel, mtu, split) : status;
}

/* Begin to fragment an outer packet: into exactly as many pieces as were counted. */
static int32_t begin_outer(const tunnelcap_i_run *run, const tunnelcap_i_item *item,
                           tunnelcap_i_split split, tunnelcap_fragments *it)
{
    tunnelcap_fragment_config config;
    int32_t status;

    tunnelcap_fragment_config_init(&config, sizeof(config), split.mtu);
    config.flags = TUNNELCAP_FRAGMENT_CLEAR_DF | TUNNELCAP_FRAGMENT_AS_SOURCE;
    config.id = item->pkt->buf[item->pkt->off] >> 4 == 4 ? tunnelcap_i_lane_id(run->lane)
                                                         : tunnelcap_i_lane_id6(run->lane);
    status = tunnelcap_fragment_begin(it, item->pkt, NULL, &config);
    if (status == TUNNELCAP_OK && tunnelcap_fragment_count(it) != split.pieces)
        return TUNNELCAP_E_TOO_BIG; /* there is room for no more, and results for no less */
    return status;
}

/* Write the pieces into spares, whose results are there already, and give the packet's own buffer
 * free. The first piece counts for all that is inside. */
static void write_outer(tunnelcap_i_run *run, tunnelcap_i_item *item, uint32_t spare,
                        tunnelcap_fragments *it)
{
    tunnelcap_result whole = *item->result;
    tunnelcap_i_item piece = *item;
    uint32_t six = item->pkt->buf[item->pkt->off] >> 4 == 6;

    item->result->action = TUNNELCAP_DO_KEPT;
    item->result->flags = 0;
    item->result->l3_len = 0;
    item->result->l4_len = 0;
    tunnelcap_i_settle(run, item, TUNNELCAP_OK);
    for (; tunnelcap_fragment_count(it) != 0; spare++) {
        piece.pkt = &run->burst->spare[spare];
        piece.result++;
        tunnelcap_fragment_next(it, piece.pkt); /* there is room */
        *piece.result = whole;
        piece.result->index = (uint16_t)spare;
        piece.result->flags |= TUNNELCAP_RESULT_SPARE;
        piece.result->l3_len = (uint8_t)(whole.l3_len + (six ? FRAGMENT_HEADER : 0));
        tunnelcap_i_count_add(&tunnelcap_i_run_rare(run, item->place)->fragments, 1);
        tunnelcap_i_settle(run, &piece, TUNNELCAP_OK);
        piece.before = 0;
        whole.flags = 0;
        whole.l4_len = 0; /* behind the first there is no UDP header */
    }
}

int32_t tunnelcap_i_split_outer(tunnelcap_i_run *run, tunnelcap_i_item *item,
                                tunnelcap_i_split split)
{
    tunnelcap_fragments it;
    uint32_t spare = run->spares;
    int32_t status = begin_outer(run, item, split, &it);

    if (status != TUNNELCAP_OK) {
        item->result->action = TUNNELCAP_DO_DROP;
        item->result->l3_len = 0;
        item->result->l4_len = 0;
        return status;
    }
    run->results += split.pieces;
    run->spares += split.pieces;
    write_outer(run, item, spare, &it);
    return TUNNELCAP_I_DONE;
}

int32_t tunnelcap_i_split_sealed(tunnelcap_i_run *run, tunnelcap_i_item *item,
                                 const tunnelcap_i_note *note, int32_t status)
{
    tunnelcap_fragments it;

    if (status == TUNNELCAP_OK)
        status = begin_outer(run, item, note->split, &it);
    if (status == TUNNELCAP_OK) {
        write_outer(run, item, note->spare, &it);
        return TUNNELCAP_I_DONE;
    }
    item->result->action = TUNNELCAP_DO_DROP;
    item->result->l3_len = 0;
    item->result->l4_len = 0;
    for (uint32_t i = 0; i < note->split.pieces; i++) {
        run->burst->spare[note->spare + i].len = 0;
        tunnelcap_i_leave_hole(run, note->result + 1 + i);
    }
    return status;
}

int32_t tunnelcap_i_encap_large(tunnelcap_i_run *run, tunnelcap_i_item *item,
                                tunnelcap_i_tunnel *tunnel, const tunnelcap_i_ip *ip, uint32_t mtu,
                                uint32_t more)
{
    enum { IPV6_MIN = 1280 };

    if (ip->family == TUNNELCAP_IPV6) {
        /* RFC 7676 3.3, RFC 2473 7.1: what every IPv6 link carries goes through in any case. */
        if (ip->total <= IPV6_MIN && tunnel->path != NULL)
            return send_whole(run, item, tunnel, mtu, more);
        return tunnelcap_i_refuse(run, item, tunnel, TUNNELCAP_E_TOO_BIG,
                                  mtu < IPV6_MIN + more ? (uint32_t)IPV6_MIN : mtu - more);
    }
    if (tunnel->fragment_mode == TUNNELCAP_FRAGMENT_REFUSE ||
        (ip->df && !(tunnel->flags & TUNNELCAP_TUNNEL_CLEAR_DF)))
        return tunnelcap_i_refuse(run, item, tunnel, TUNNELCAP_E_TOO_BIG, mtu);
    if (tunnel->fragment_mode == TUNNELCAP_FRAGMENT_OUTER)
        return send_whole(run, item, tunnel, mtu, 0);
    return split_inner(run, item, tunnel, mtu);
}
