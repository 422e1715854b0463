/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "table_data.h"

/* What is known of the paths of tunnels, and of their SAs' limits: telling it, and what time
 * demands. */

/* Places that one tick looks at, and the time in which a table of more is gone round. */
enum { TICK_PLACES = 4096, ROUND_NS = 1000000000 };

void tunnelcap_i_tell_pmtu(tunnelcap_lane *lane, uint64_t now_ns, const tunnelcap_i_tunnel *tunnel,
                           uint32_t before, const tunnelcap_addr *from)
{
    tunnelcap_event event;

    memset(&event, 0, sizeof(event));
    event.now_ns = now_ns;
    event.tunnel = tunnel->id;
    event.kind = TUNNELCAP_EVENT_PMTU;
    event.value = tunnelcap_i_pmtu_get(&tunnel->path->pmtu);
    event.before = before;
    if (from != NULL)
        event.addr = *from;
    tunnelcap_i_lane_tell(lane, &event);
}

void tunnelcap_i_tell_rekey(tunnelcap_i_run *run, const tunnelcap_i_item *item, tunnelcap_esp *esp)
{
    tunnelcap_event event;
    uint32_t told = TUNNELCAP_I_LOAD(esp->told);

    while (told == 0 && !TUNNELCAP_I_SWAP_IF(esp->told, told, 1))
        ;
    if (told != 0)
        return;
    memset(&event, 0, sizeof(event));
    event.now_ns = run->burst->now_ns;
    event.tunnel = item->result->tunnel;
    event.kind = TUNNELCAP_EVENT_REKEY;
    event.value = esp->spi;
    tunnelcap_i_lane_tell(run->lane, &event);
}

int32_t tunnelcap_i_wrap(tunnelcap_i_tunnel *tunnel, tunnelcap_lane *lane, tunnelcap_pkt *pkt)
{
    int32_t status;

    if (tunnel->key.kind == TUNNELCAP_KIND_IPIP)
        return tunnelcap_i_ipip_encap(&tunnel->as.ipip, lane, pkt, NULL);
    if (tunnelcap_i_needs_sa(tunnel))
        return TUNNELCAP_E_NEED_SA;
    if (tunnel->key.kind == TUNNELCAP_KIND_GRE) {
        status = tunnelcap_i_gre_encap(&tunnel->as.gre, lane, pkt, NULL);
        if (status != TUNNELCAP_OK || tunnel->sa == NULL)
            return status;
    }
    if (!tunnelcap_i_esp_usable(tunnel->sa, lane, TUNNELCAP_ESP_OUT))
        return TUNNELCAP_E_INVALID;
    status = tunnelcap_i_esp_encap_prepare(tunnel->sa, tunnelcap_i_sa_outer(tunnel), lane, pkt,
                                           NULL, tunnelcap_i_esp_jobs(lane));
    if (status != TUNNELCAP_OK)
        return status;
    tunnelcap_i_esp_encap_run(lane, 1);
    return pkt->status;
}

/* A probe is never to be fragmented, whatever else the tunnel sends. */
static void set_outer_df(tunnelcap_pkt *pkt)
{
    uint8_t *h = pkt->buf + pkt->off;

    if (h[0] >> 4 != 4 || (h[6] & 0x40))
        return;
    h[6] |= 0x40;
    tunnelcap_i_store16(h + 10, 0);
    tunnelcap_i_store16(h + 10, (uint16_t)~tunnelcap_i_sum(h, TUNNELCAP_I_IPV4_HEADER));
}

/* Build a probe at a spare's off: an echo request inside the tunnel that makes an outer packet of
 * the size asked for, or, to confirm the path MTU, of the last one below that the tunnel can make.
 */
static int32_t build_probe(tunnelcap_table *table, tunnelcap_i_tunnel *tunnel, tunnelcap_lane *lane,
                           const tunnelcap_pmtu_probe *probe, tunnelcap_pkt *pkt)
{
    tunnelcap_icmp_echo echo;
    uint8_t token[8];
    int32_t status;

    tunnelcap_icmp_echo_init(&echo, sizeof(echo));
    echo.dst = tunnel->probe;
    echo.src = echo.dst.family == TUNNELCAP_IPV4 ? tunnel->interface4 : tunnel->interface6;
    echo.total = tunnelcap_i_tunnel_fits(tunnel, probe->size);
    echo.payload_len = sizeof(token);
    echo.id = (uint16_t)tunnel->id;
    echo.seq = (uint16_t)table->probes++;
    tunnelcap_i_store64(token, probe->token);
    status = tunnelcap_icmp_echo_build(&echo, token, pkt);
    if (status == TUNNELCAP_OK)
        status = tunnelcap_i_wrap(tunnel, lane, pkt);
    if (status >= TUNNELCAP_OK)
        set_outer_df(pkt);
    return status;
}

void tunnelcap_i_probe_made(const tunnelcap_i_tunnel *tunnel, int32_t status, tunnelcap_pkt *pkt,
                            tunnelcap_result *result)
{
    result->tunnel = tunnel->id;
    result->vrf = tunnel->key.outer_vrf;
    result->status = status < TUNNELCAP_OK ? status : TUNNELCAP_OK;
    pkt->status = result->status;
    if (status < TUNNELCAP_OK)
        return;
    result->action = TUNNELCAP_DO_SEND;
    result->l3_len = (uint8_t)tunnelcap_i_wrapped_ip_len(tunnel, pkt);
    result->l4_len = tunnelcap_i_in_udp(tunnel) ? TUNNELCAP_I_UDP_HEADER : 0;
}

/* Send a probe in the next spare. */
static void send_probe(tunnelcap_i_run *run, tunnelcap_i_tunnel *tunnel,
                       const tunnelcap_pmtu_probe *probe)
{
    tunnelcap_pkt *pkt;
    tunnelcap_result *result = tunnelcap_i_take_spare(run, &pkt);
    int32_t status = build_probe(run->table, tunnel, run->lane, probe, pkt);

    tunnelcap_i_probe_made(tunnel, status, pkt, result);
    if (status < TUNNELCAP_OK)
        tunnelcap_i_pmtu_unsent(&tunnel->path->pmtu);
}

static void round_probe(const tunnelcap_i_tunnel *tunnel, uint64_t now_ns, uint64_t *next_ns,
                        tunnelcap_pmtu_probe *probe)
{
    uint32_t mtu = tunnelcap_i_pmtu_get(&tunnel->path->pmtu);
    uint32_t down = tunnelcap_i_tunnel_len(tunnel, tunnelcap_i_tunnel_fits(tunnel, probe->size));
    uint32_t up = tunnelcap_i_tunnel_len(tunnel, tunnelcap_i_tunnel_fits(tunnel, mtu) + 1);

    tunnelcap_i_pmtu_round(&tunnel->path->pmtu, down, up, now_ns, next_ns, probe);
}

/* Do for one tunnel what time demands; returns when to come again at the latest. */
static uint64_t tick(tunnelcap_i_run *run, tunnelcap_i_tunnel *tunnel)
{
    tunnelcap_i_path *path = tunnel->path;
    uint64_t now_ns = run->burst->now_ns;
    uint32_t before = tunnelcap_i_pmtu_get(&path->pmtu);
    tunnelcap_pmtu_probe probe;
    uint64_t next_ns;

    if (!path->seeded) { /* the table's seed may be known to strangers; a lane's is not */
        path->pmtu.secret = tunnelcap_i_hash2(run->lane->flow_key, tunnel->id, now_ns);
        path->seeded = 1;
    }
    if (tunnelcap_pmtu_tick(&path->pmtu, now_ns, &next_ns, &probe) == TUNNELCAP_CHANGED)
        tunnelcap_i_tell_pmtu(run->lane, now_ns, tunnel, before, NULL);
    if (probe.size != 0)
        round_probe(tunnel, now_ns, &next_ns, &probe);
    if (probe.size != 0)
        send_probe(run, tunnel, &probe);
    return next_ns;
}

/* Go on with the next place; 0 if its tunnel may need a spare, and there is none. */
static uint32_t tick_place(tunnelcap_i_run *run, uint64_t *next_ns)
{
    tunnelcap_table *table = run->table;
    tunnelcap_i_tunnel *tunnel;
    uint64_t next;

    if (table->tick_place == table->places)
        table->tick_place = 0;
    if (run->view->slot_of[table->tick_place] != 0) {
        tunnel = tunnelcap_i_tunnel_in(table, run->view, table->tick_place);
        if (tunnel->path != NULL && tunnel->path->key.mode == TUNNELCAP_PMTU_PROBE &&
            (run->spares == run->burst->spare_count || run->results == run->burst->result_cap))
            return 0;
        if (tunnel->path != NULL) {
            next = tick(run, tunnel);
            if (next < *next_ns)
                *next_ns = next;
        }
    }
    table->tick_place++;
    return 1;
}

/* Do for some tunnels, or all if they are few, what time demands. */
static void tick_paths(tunnelcap_i_run *run, uint64_t *next_ns)
{
    uint64_t now_ns = run->burst->now_ns;
    uint32_t places = run->table->places;
    uint32_t count = places < TICK_PLACES ? places : TICK_PLACES;
    uint64_t pause_ns = ROUND_NS / (places / TICK_PLACES + 1);

    for (uint32_t i = 0; i < count; i++) {
        if (!tick_place(run, next_ns)) {
            *next_ns = now_ns; /* at once, with room */
            return;
        }
    }
    if (count < places && now_ns + pause_ns < *next_ns)
        *next_ns = now_ns + pause_ns;
}

int32_t tunnelcap_table_tick(tunnelcap_table *table, tunnelcap_lane *lane, tunnelcap_burst *burst,
                             uint64_t *next_ns)
{
    tunnelcap_i_run run;
    int32_t status = tunnelcap_i_check_burst(lane, burst);

    if (status != TUNNELCAP_OK)
        return status;
    if (table == NULL || next_ns == NULL || burst->pkt_count != 0 ||
        (burst->result_cap != 0 && burst->results == NULL))
        return TUNNELCAP_E_INVALID;
    if (lane->table != table)
        return TUNNELCAP_E_STATE;
    memset(&run, 0, sizeof(run));
    run.table = table;
    run.lane = lane;
    run.burst = burst;
    run.view = tunnelcap_i_current(table);
    *next_ns = UINT64_MAX;
    tunnelcap_i_watch_tick(&run, next_ns);
    tunnelcap_i_history_tick(table, burst->now_ns, next_ns);
    tick_paths(&run, next_ns);
    burst->pkt_done = 0;
    burst->spare_used = run.spares;
    burst->result_count = run.results;
    return TUNNELCAP_OK;
}

/* The path of a tunnel of the committed table, or NULL. */
static tunnelcap_i_path *path_of(const tunnelcap_table *table, uint64_t id)
{
    const tunnelcap_i_view *view = tunnelcap_i_current(table);
    uint32_t entry = tunnelcap_i_find_id(table, view, id);

    return entry == 0 ? NULL : tunnelcap_i_tunnel_in(table, view, entry - 1)->path;
}

int32_t tunnelcap_table_get_pmtu(const tunnelcap_table *table, uint64_t id, uint64_t now_ns,
                                 tunnelcap_pmtu_info *info, uint32_t size)
{
    const tunnelcap_i_path *path;

    if (table == NULL)
        return TUNNELCAP_E_INVALID;
    path = path_of(table, id);
    return path == NULL ? TUNNELCAP_E_NOT_FOUND
                        : tunnelcap_pmtu_get_info(&path->pmtu, now_ns, info, size);
}

int32_t tunnelcap_table_export_pmtu(const tunnelcap_table *table, uint64_t id, uint64_t now_ns,
                                    tunnelcap_pmtu_event *event, uint32_t size)
{
    const tunnelcap_i_path *path;

    if (table == NULL)
        return TUNNELCAP_E_INVALID;
    path = path_of(table, id);
    return path == NULL ? TUNNELCAP_E_NOT_FOUND
                        : tunnelcap_pmtu_export(&path->pmtu, now_ns, event, size);
}

int32_t tunnelcap_table_import_pmtu(tunnelcap_table *table, uint64_t id,
                                    const tunnelcap_pmtu_event *event, uint64_t now_ns)
{
    tunnelcap_i_path *path;

    if (table == NULL)
        return TUNNELCAP_E_INVALID;
    path = path_of(table, id);
    return path == NULL ? TUNNELCAP_E_NOT_FOUND : tunnelcap_pmtu_import(&path->pmtu, event, now_ns);
}
