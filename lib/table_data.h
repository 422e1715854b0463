/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* One call of the data path, while it goes on.
 *
 * Implementation notes. A burst is one read section: it announces the generation that it sees
 * (its seat's `seen`), then takes the current view. The writer publishes a view before its
 * generation, so what a seat announces is never newer than what its lane uses.
 *
 * Most packets are done with at once. Those of ESP become jobs of the lane, each with a note of
 * what is to follow, so that the crypto provider gets them all in one run; their results have
 * places in the order of the packets, and are written when the jobs have run. What a job may need
 * besides, a second result or a spare, is taken beforehand; results that were not needed after all
 * are closed up. */
#ifndef TUNNELCAP_I_TABLE_DATA_H
#define TUNNELCAP_I_TABLE_DATA_H

#include "table.h"

/* In the place of a status, which are small where they are positive. STOP: there is no room for
 * what this packet would become, so it is not consumed. DONE: its result is written already, or
 * will be once its job has run. */
enum { TUNNELCAP_I_STOP = 1000, TUNNELCAP_I_DONE = 1001 };

/* An action that no caller sees: this result was not needed. */
enum { TUNNELCAP_I_DO_NOTHING = 255 };

typedef struct tunnelcap_i_run {
    tunnelcap_table *table;
    const tunnelcap_i_view *view;
    tunnelcap_lane *lane;
    tunnelcap_burst *burst;
    uint32_t direction;
    uint32_t results;  /* taken */
    uint32_t spares;   /* taken */
    uint32_t reserved; /* spares besides, that jobs may need */
    uint32_t jobs;
    uint32_t first; /* result of the first job */
    uint32_t holes; /* results from there on that are not needed */
} tunnelcap_i_run;

/* How an outer packet is fragmented. */
typedef struct tunnelcap_i_split {
    uint32_t pieces; /* 0: not at all */
    uint32_t mtu;
} tunnelcap_i_split;

/* What follows a job. */
typedef struct tunnelcap_i_note {
    uint32_t result; /* index of its result */
    uint32_t place;
    uint32_t before; /* as in tunnelcap_i_item */
    uint32_t spare;  /* the first of the spares that are taken for it, as many as: */
    tunnelcap_i_split split;
} tunnelcap_i_note;

/* Does not compile where a lane has less room than a note takes. */
typedef char tunnelcap_i_note_fits[sizeof(tunnelcap_i_note) <= TUNNELCAP_I_LANE_NOTE ? 1 : -1];

/* A packet on its way to its result. */
typedef struct tunnelcap_i_item {
    tunnelcap_pkt *pkt;
    const tunnelcap_meta *meta;
    tunnelcap_result *result;
    uint32_t place;
    uint32_t before; /* bytes without (encapsulation) or with (decapsulation) outer headers */
} tunnelcap_i_item;

static inline void tunnelcap_i_count_add(tunnelcap_i_atomic64 *counter, uint64_t n)
{
    TUNNELCAP_I_STORE(*counter, TUNNELCAP_I_LOAD(*counter) + n); /* one writer: this lane */
}

/* What a place counts beside its packets, made if the place has none yet; the one for packets
 * without a tunnel where there is no room. */
tunnelcap_i_detail *tunnelcap_i_run_detail(const tunnelcap_i_run *run, uint32_t place);

static inline tunnelcap_i_rare *tunnelcap_i_run_rare(const tunnelcap_i_run *run, uint32_t place)
{
    return &tunnelcap_i_run_detail(run, place)->of[run->direction];
}

/* Count a packet that is neither sent nor delivered. */
void tunnelcap_i_count_other(tunnelcap_i_rare *rare, const tunnelcap_result *result);

/* Bytes of outer headers that a socket has taken off a packet, without options. */
static inline uint32_t tunnelcap_i_stripped_len(const tunnelcap_meta *meta)
{
    if (meta == NULL || meta->at == TUNNELCAP_AT_IP)
        return 0;
    return (meta->src.family == TUNNELCAP_IPV6 ? TUNNELCAP_I_IPV6_HEADER
                                               : TUNNELCAP_I_IPV4_HEADER) +
           (meta->at == TUNNELCAP_AT_UDP_PAYLOAD ? TUNNELCAP_I_UDP_HEADER : 0u);
}

/* Write the status of a packet whose result says what to do with it, and count it. Padding behind
 * it counts nowhere; headers that a socket has taken off count as part of the outer packet. */
TUNNELCAP_I_INLINE void tunnelcap_i_settle_plain(const tunnelcap_i_run *run,
                                                 const tunnelcap_i_item *item, int32_t status)
{
    tunnelcap_i_counters *c = tunnelcap_i_counters_at(run->table, run->lane->slot, item->place);
    uint32_t inner;
    uint32_t outer;

    item->result->status = status;
    item->pkt->status = status;
    if (item->result->action != TUNNELCAP_DO_SEND && item->result->action != TUNNELCAP_DO_DELIVER) {
        tunnelcap_i_count_other(tunnelcap_i_run_rare(run, item->place), item->result);
        return;
    }
    inner = run->direction == TUNNELCAP_ENCAP ? item->before : item->pkt->len;
    outer = run->direction == TUNNELCAP_ENCAP ? item->pkt->len
                                              : item->before + tunnelcap_i_stripped_len(item->meta);
    tunnelcap_i_count_add(&c->of[run->direction].packets, 1);
    tunnelcap_i_count_add(&c->of[run->direction].inner_bytes, inner);
    tunnelcap_i_count_add(&c->of[run->direction].outer_bytes, outer);
    if (item->result->flags & TUNNELCAP_RESULT_CLAMPED)
        tunnelcap_i_count_add(&tunnelcap_i_run_rare(run, item->place)->clamped, 1);
}

/* The same as a call, for all but the loops. */
void tunnelcap_i_settle(const tunnelcap_i_run *run, const tunnelcap_i_item *item, int32_t status);

/* Whether `results` more results, and `spares` spares, can be had: TUNNELCAP_OK, TUNNELCAP_I_STOP
 * if only not in this call, or TUNNELCAP_E_FULL. The packet's own result is taken already. */
int32_t tunnelcap_i_room(const tunnelcap_i_run *run, uint32_t results, uint32_t spares);

/* Take the next result, for a spare or the packet at `index` of the burst. There must be room. */
static inline tunnelcap_result *tunnelcap_i_take_result(tunnelcap_i_run *run, uint32_t index)
{
    tunnelcap_result *result = &run->burst->results[run->results++];

    memset(result, 0, sizeof(*result));
    result->index = (uint16_t)index;
    return result;
}

/* The same for the next spare. */
static inline tunnelcap_result *tunnelcap_i_take_spare(tunnelcap_i_run *run, tunnelcap_pkt **pkt)
{
    tunnelcap_result *result = tunnelcap_i_take_result(run, run->spares);

    result->flags = TUNNELCAP_RESULT_SPARE;
    *pkt = &run->burst->spare[run->spares++];
    return result;
}

/* Note a job, the lane's next one, which has been prepared for a packet. */
static inline void tunnelcap_i_note_job(tunnelcap_i_run *run, const tunnelcap_i_item *item,
                                        tunnelcap_i_split split)
{
    tunnelcap_i_note *note = (tunnelcap_i_note *)run->lane->notes + run->jobs;

    note->result = (uint32_t)(item->result - run->burst->results);
    note->place = item->place;
    note->before = item->before;
    note->spare = run->spares - split.pieces;
    note->split = split;
    if (run->jobs == 0)
        run->first = note->result;
    run->jobs++;
}

/* The packet of a job that has run, and its note. */
static inline const tunnelcap_i_note *tunnelcap_i_noted(const tunnelcap_i_run *run, uint32_t index,
                                                        tunnelcap_i_item *item)
{
    const tunnelcap_i_note *note = (const tunnelcap_i_note *)run->lane->notes + index;
    const tunnelcap_i_esp_job *job = tunnelcap_i_esp_jobs(run->lane) + index;

    item->pkt = job->pkt;
    item->meta = job->meta;
    item->result = &run->burst->results[note->result];
    item->place = note->place;
    item->before = note->before;
    return note;
}

/* A result that was taken for a job is not needed after all. */
static inline void tunnelcap_i_leave_hole(tunnelcap_i_run *run, uint32_t index)
{
    run->burst->results[index].action = TUNNELCAP_I_DO_NOTHING;
    run->holes++;
}

/* Close up the results that jobs did not need; there are no jobs any more. */
void tunnelcap_i_close_up(tunnelcap_i_run *run);

/* Refuse an inner packet: answer its sender with an ICMP error where the tunnel does that and
 * there is one for this status, or leave it to be dropped. Returns the status. */
int32_t tunnelcap_i_refuse(tunnelcap_i_run *run, tunnelcap_i_item *item, tunnelcap_i_tunnel *tunnel,
                           int32_t status, uint32_t value);

/* The path MTU as it is believed now. */
static inline uint32_t tunnelcap_i_path_now(const tunnelcap_i_tunnel *tunnel)
{
    return tunnel->path == NULL ? tunnel->link : tunnelcap_i_pmtu_get(&tunnel->path->pmtu);
}

/* The inner MTU at the path MTU as it is believed now. */
static inline uint32_t tunnelcap_i_mtu_now(const tunnelcap_i_tunnel *tunnel)
{
    uint32_t path = tunnelcap_i_path_now(tunnel);

    return path == tunnel->link ? tunnel->mtu : tunnelcap_i_tunnel_mtu(tunnel, path);
}

/* Bytes of IP header of a packet that was wrapped. In transport mode no option stays before ESP. */
static inline uint32_t tunnelcap_i_wrapped_ip_len(const tunnelcap_i_tunnel *tunnel,
                                                  const tunnelcap_pkt *pkt)
{
    const tunnelcap_i_outer *outer = tunnelcap_i_tunnel_outer(tunnel);

    if (!tunnelcap_i_is_gre_esp(tunnel))
        return tunnelcap_i_outer_ip_len(outer, pkt);
    return outer->family == TUNNELCAP_IPV4 ? TUNNELCAP_I_IPV4_HEADER : TUNNELCAP_I_IPV6_HEADER;
}

/* 1 if a tunnel that can send sends in UDP. */
static inline uint32_t tunnelcap_i_in_udp(const tunnelcap_i_tunnel *tunnel)
{
    if (tunnel->sa != NULL)
        return tunnel->sa->udp_len != 0;
    return tunnel->key.udp_port != 0;
}

/* Change the TTL or hop limit of an inner packet, whose header has been read, by 1 or -1. */
static inline void tunnelcap_i_ttl_add(const tunnelcap_pkt *pkt, int32_t step)
{
    uint8_t *p = pkt->buf + pkt->off;
    uint16_t before;

    if (p[0] >> 4 == 6) {
        p[7] = (uint8_t)(p[7] + step);
        return;
    }
    before = tunnelcap_i_load16(p + 8);
    p[8] = (uint8_t)(p[8] + step);
    tunnelcap_i_store16(p + 10, tunnelcap_i_checksum_update(tunnelcap_i_load16(p + 10), before,
                                                            tunnelcap_i_load16(p + 8)));
}

/* Note what the clamp did. What cannot be clamped is carried as it is. */
static inline void tunnelcap_i_clamped(tunnelcap_i_item *item, int32_t status)
{
    if (status == TUNNELCAP_MSS_CLAMPED || status == TUNNELCAP_MSS_INSERTED)
        item->result->flags |= TUNNELCAP_RESULT_CLAMPED;
}

/* Clamp an inner packet where the inner MTU is not the one that the tunnel began with. */
void tunnelcap_i_clamp_learned(const tunnelcap_i_tunnel *tunnel, uint32_t mtu,
                               tunnelcap_i_item *item, const tunnelcap_meta *meta);

/* Clamp an inner packet to the tunnel as its path is now. */
TUNNELCAP_I_INLINE void tunnelcap_i_clamp(const tunnelcap_i_tunnel *tunnel, uint32_t mtu,
                                          tunnelcap_i_item *item, const tunnelcap_meta *meta)
{
    if (mtu == tunnel->mtu)
        tunnelcap_i_clamped(item, tunnelcap_i_mss_clamp(&tunnel->mss, item->pkt, meta));
    else
        tunnelcap_i_clamp_learned(tunnel, mtu, item, meta);
}

/* Wrap one packet by its tunnel, outside of the jobs. */
int32_t tunnelcap_i_wrap(tunnelcap_i_tunnel *tunnel, tunnelcap_lane *lane, tunnelcap_pkt *pkt);

/* Tell that the path MTU of a tunnel is another one now; `from` may be NULL. */
void tunnelcap_i_tell_pmtu(tunnelcap_lane *lane, uint64_t now_ns, const tunnelcap_i_tunnel *tunnel,
                           uint32_t before, const tunnelcap_addr *from);

/* Tell, once for each SA, that a soft limit is reached. */
void tunnelcap_i_tell_rekey(tunnelcap_i_run *run, const tunnelcap_i_item *item, tunnelcap_esp *esp);

/* Finish the result of a spare that holds a probe, or of the attempt to make one. */
void tunnelcap_i_probe_made(const tunnelcap_i_tunnel *tunnel, int32_t status, tunnelcap_pkt *pkt,
                            tunnelcap_result *result);

/* Do for the tunnels that are watched what time demands; *next_ns is lowered to when to come
 * again. */
void tunnelcap_i_watch_tick(tunnelcap_i_run *run, uint64_t *next_ns);

/* The same for histories. */
void tunnelcap_i_history_tick(tunnelcap_table *table, uint64_t now_ns, uint64_t *next_ns);

int32_t tunnelcap_i_check_burst(const tunnelcap_lane *lane, const tunnelcap_burst *burst);

/* Packets are looked at so many at a time before the first of them is changed, so that what they
 * need comes out of memory while others are worked on. */
enum { TUNNELCAP_I_AHEAD = 32 };

/* Begin a record of the packet at an index, whose result is taken; gives the index of the next
 * packet to be picked, which may lie beyond the burst. */
uint32_t tunnelcap_i_sample_begin(const tunnelcap_i_run *run, uint32_t index);

/* Finish the records of a call that has consumed `done` packets, `next` the next to be picked. */
void tunnelcap_i_sample_end(const tunnelcap_i_run *run, uint32_t next, uint32_t done);

/* What each direction brings: how to look at packets of the burst, from one on, and note of each
 * what is found; how a packet goes, with its note; and how the jobs run. */
typedef void tunnelcap_i_look_ahead(const tunnelcap_i_run *run, uint32_t first, uint32_t count,
                                    void *notes);
typedef int32_t tunnelcap_i_carry_one(tunnelcap_i_run *run, tunnelcap_i_item *item,
                                      const void *notes, uint32_t note);
typedef void tunnelcap_i_carry_jobs(tunnelcap_i_run *run);

/* The loop of both directions; part of each of them, so that most packets take no call. `notes`
 * has room for those of TUNNELCAP_I_AHEAD packets. */
TUNNELCAP_I_INLINE int32_t tunnelcap_i_carry(tunnelcap_lane *lane, tunnelcap_burst *burst,
                                             uint32_t direction, tunnelcap_i_look_ahead *look,
                                             tunnelcap_i_carry_one *one,
                                             tunnelcap_i_carry_jobs *jobs, void *notes)
{
    uint32_t ahead = 0; /* packets up to here have been looked at */
    tunnelcap_i_run run;
    tunnelcap_i_item item;
    uint32_t pick;
    uint32_t i;
    int32_t status = tunnelcap_i_check_burst(lane, burst);

    if (status != TUNNELCAP_OK)
        return status;
    pick = lane->sampler.gap;
    memset(&run, 0, sizeof(run));
    run.table = lane->table;
    run.lane = lane;
    run.burst = burst;
    run.direction = direction;
    TUNNELCAP_I_STORE_SEQ(run.table->seats[lane->slot].seen,
                          TUNNELCAP_I_LOAD_SEQ(run.table->generation));
    run.view = tunnelcap_i_current(run.table);

    for (i = 0; i < burst->pkt_count && run.results < burst->result_cap; i++) {
        if (i == ahead) {
            ahead =
                burst->pkt_count - i < TUNNELCAP_I_AHEAD ? burst->pkt_count : i + TUNNELCAP_I_AHEAD;
            look(&run, i, ahead - i, notes);
        }
        item.pkt = &burst->pkts[i];
        item.meta = tunnelcap_i_meta_at(burst->meta, burst->meta_stride, i);
        item.result = tunnelcap_i_take_result(&run, i);
        item.place = run.table->places;
        item.before = 0;
        if (i == pick)
            pick = tunnelcap_i_sample_begin(&run, i);
        status = tunnelcap_i_pkt_valid(item.pkt) ? one(&run, &item, notes, i % TUNNELCAP_I_AHEAD)
                                                 : TUNNELCAP_E_INVALID;
        if (status == TUNNELCAP_I_STOP) {
            run.results--;
            break;
        }
        if (status != TUNNELCAP_I_DONE)
            tunnelcap_i_settle_plain(&run, &item, status);
    }
    if (run.jobs != 0)
        jobs(&run);
    tunnelcap_i_sample_end(&run, pick, i);
    TUNNELCAP_I_STORE_REL(run.table->seats[lane->slot].seen, 0);
    burst->pkt_done = i;
    burst->result_count = run.results;
    burst->spare_used = run.spares;
    return TUNNELCAP_OK;
}

#endif
