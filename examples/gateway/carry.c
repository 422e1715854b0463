/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "carry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
    NS_PER_MS = 1000000,
    TICK_LEAST_MS = 10,
    TICK_MOST_MS = 60000,
    ASK_INTERVAL_MS = 50,
    KEY_SLOTS_EACH = 4 /* one way and the other, before and after a change of keys */
};

/* ------------------------------------------------------------------------ begin and end */

static bool open_lane(carrier *c, tunnelcap_table *table, unsigned index, unsigned count)
{
    const ipsec *keys = c->shared->ipsec;
    uint8_t seed[TUNNELCAP_SEED_SIZE];
    tunnelcap_lane_config lane;

    if (getrandom(seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
        log_line("no random numbers: %s", strerror(errno));
        return false;
    }
    tunnelcap_lane_config_init(&lane, sizeof lane);
    lane.index = (uint16_t)index;
    lane.count = (uint16_t)count;
    lane.key_slots += (uint32_t)keys->count * KEY_SLOTS_EACH;
    int32_t status = tunnelcap_lane_new(&lane, seed, keys->crypto, NULL, &c->lane);
    if (status == TUNNELCAP_OK)
        status = tunnelcap_table_attach(table, c->lane);
    if (status != TUNNELCAP_OK)
        log_line("%s", tunnelcap_status_text(status));
    return status == TUNNELCAP_OK;
}

bool carry_open(carrier *c, const carry_shared *shared, const config *conf, tunnelcap_table *table,
                unsigned index, unsigned count)
{
    c->shared = shared;
    c->counts.receive_errors.what = "receiving outer packets";
    if (!sender_open(&c->sender, conf) || !open_lane(c, table, index, count))
        return false;
    c->batch.spares_used = BATCH_SPARES;
    c->batch.memory = malloc((size_t)BATCH_RESULTS * BATCH_PLACE);
    c->numbers = calloc(shared->most_id + 1, sizeof *c->numbers);
    if (c->batch.memory != NULL && c->numbers != NULL)
        return true;
    log_line("%s", strerror(ENOMEM));
    return false;
}

void carry_detach(carrier *c, tunnelcap_table *table)
{
    if (c->lane != NULL)
        tunnelcap_table_detach(table, c->lane);
}

void carry_close(carrier *c)
{
    if (c->shared == NULL)
        return;
    sender_close(&c->sender);
    tunnelcap_lane_free(c->lane);
    tunnelcap_reassembly_free(c->reassembly);
    free(c->batch.memory);
    free(c->numbers);
    *c = (carrier){.shared = NULL};
}

bool carry_reassemble(carrier *c)
{
    uint8_t seed[TUNNELCAP_SEED_SIZE];
    tunnelcap_reassembly_config reassembly;

    if (c->reassembly != NULL)
        return true;
    if (getrandom(seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
        log_line("no random numbers: %s", strerror(errno));
        return false;
    }
    tunnelcap_reassembly_config_init(&reassembly, sizeof reassembly);
    int32_t status = tunnelcap_reassembly_new(&reassembly, seed, NULL, &c->reassembly);
    if (status == TUNNELCAP_OK)
        status = tunnelcap_table_set_reassembly(c->lane, NULL, c->reassembly);
    if (status != TUNNELCAP_OK)
        log_line("%s", tunnelcap_status_text(status));
    return status == TUNNELCAP_OK;
}

/* ------------------------------------------------------------------------------ bursts */

static void look_at_clock(carrier *c)
{
    c->now_ns = log_now_ns();
    c->now_ms = (int64_t)(c->now_ns / NS_PER_MS);
}

/* One call into the library. It cannot fail but by a mistake of this program's. */
static void call(carrier *c, int32_t (*data_path)(tunnelcap_lane *, tunnelcap_burst *),
                 tunnelcap_burst *burst)
{
    int32_t status = data_path(c->lane, burst);

    c->batch.spares_used = burst->spare_used;
    if (status == TUNNELCAP_OK && burst->pkt_done > 0)
        return;
    log_line("%s", tunnelcap_status_text(status));
    abort();
}

static tunnelcap_burst begin(carrier *c, tunnelcap_pkt *pkts, uint32_t count,
                             const tunnelcap_meta *meta)
{
    batch_clear_spares(&c->batch);
    c->burst++;
    return (tunnelcap_burst){.size = sizeof(tunnelcap_burst),
                             .now_ns = c->now_ns,
                             .pkt_count = count,
                             .spare_count = BATCH_SPARES,
                             .result_cap = BATCH_RESULTS,
                             .meta_stride = sizeof *meta,
                             .pkts = pkts,
                             .meta = meta,
                             .spare = c->batch.spares,
                             .results = c->batch.results};
}

/* The packet that a result is about. */
static tunnelcap_pkt *packet_of(const tunnelcap_burst *burst, const tunnelcap_result *result)
{
    return (result->flags & TUNNELCAP_RESULT_SPARE) != 0 ? &burst->spare[result->index]
                                                         : &burst->pkts[result->index];
}

/* Other threads write and read the same memory: once in a millisecond will do. */
static void mark_active(carrier *c, const tunnelcap_result *result)
{
    _Atomic int64_t *last = &c->shared->last_ms[result->tunnel];

    if (atomic_load_explicit(last, memory_order_relaxed) != c->now_ms)
        atomic_store_explicit(last, c->now_ms, memory_order_relaxed);
}

/* A tunnel without outbound SA may be paused. It has something to send: is it to go on? */
static void ask_for_numbers(carrier *c)
{
    if (c->now_ms - c->asked_ms < ASK_INTERVAL_MS)
        return;
    c->asked_ms = c->now_ms;
    notice_raise(c->shared->notice, NOTICE_NUMBERS);
}

/* Whether a packet of the burst may leave. Of an IPsec tunnel it may if all numbers that its SA
 * has given out, to whichever thread, are reserved on the disk: nothing that a restart could
 * repeat is ever sent. */
static bool may_leave(carrier *c, const tunnelcap_result *result)
{
    const ipsec_tunnel *tunnel = ipsec_find(c->shared->ipsec, result->tunnel);

    if (tunnel == NULL)
        return true;
    carry_numbers *numbers = &c->numbers[result->tunnel];
    if (numbers->burst != c->burst) {
        numbers->burst = c->burst;
        numbers->found = ipsec_numbers(tunnel, c->now_ms);
        if (numbers->found != IPSEC_NUMBERS_PLENTY)
            notice_raise(c->shared->notice, NOTICE_NUMBERS);
    }
    if (numbers->found != IPSEC_NUMBERS_NONE)
        return true;
    c->counts.withheld++;
    return false;
}

/* An outer packet or an answer, on its way out. */
static void leave(carrier *c, const tunnelcap_result *result, tunnelcap_pkt *pkt)
{
    if (may_leave(c, result))
        sender_add(&c->sender, pkt);
}

static void deliver(carrier *c, const tunnelcap_result *result, const tunnelcap_pkt *pkt)
{
    mark_active(c, result);
    if (result->value == TUNNELCAP_ETHERTYPE_IPV4 || result->value == TUNNELCAP_ETHERTYPE_IPV6)
        tun_write(c->tun, pkt);
    else
        c->counts.undeliverable++;
}

/* The outer source of a packet that has been unwrapped: sockets that leave the IP header on (for
 * IPv4 only) have put it where the packet was read to, and there it still is. */
static tunnelcap_addr source(carrier *c, uint32_t i)
{
    tunnelcap_addr address = {.family = TUNNELCAP_IPV4};

    if (c->batch.meta[i].at != TUNNELCAP_AT_IP)
        return c->batch.meta[i].src;
    memcpy(address.bytes, batch_place(&c->batch, i) + 12, 4);
    return address;
}

/* What a verified packet tells about its far end. */
static void learn(carrier *c, const tunnelcap_result *result, uint32_t i)
{
    const ipsec_tunnel *tunnel = ipsec_find(c->shared->ipsec, result->tunnel);

    if (tunnel == NULL)
        return;
    tunnelcap_addr from = source(c, i);
    uint16_t port = c->batch.meta[i].src_port;
    if (ipsec_has_moved(tunnel, &from, port, c->now_ms))
        notice_raise_peer(c->shared->notice, result->tunnel, &from, port);
}

/* What a router's error about an outer packet means for the sender of the inner one. It comes from
 * our own address, which the kernel would not have from a TUN device. */
static void take_errors(carrier *c, const tunnelcap_burst *burst)
{
    for (uint32_t i = 0; i < burst->result_count; i++)
        if (burst->results[i].action == TUNNELCAP_DO_DELIVER)
            sender_add(&c->sender, packet_of(burst, &burst->results[i]));
}

/* A packet that our own link does not take comes back as the message that a router would have
 * sent about it. */
static bool answer_refusal(sender_refusal *refusal)
{
    tunnelcap_icmp_error error;
    const uint8_t *header = refusal->pkt->buf + refusal->pkt->off;

    tunnelcap_icmp_error_init(&error, sizeof error);
    error.kind = TUNNELCAP_ICMP_TOO_BIG;
    error.mtu = refusal->mtu;
    error.src4.family = TUNNELCAP_IPV4;
    error.src6.family = TUNNELCAP_IPV6;
    memcpy(error.src4.bytes, header + 12, 4);
    memcpy(error.src6.bytes, header + 8, 16);
    return tunnelcap_icmp_error_build(refusal->pkt, NULL, &error, NULL, 0) == TUNNELCAP_OK;
}

/* Send what has been added; learn from what was refused. */
static void flush(carrier *c)
{
    tunnelcap_pkt answers[BATCH_SIZE];
    uint32_t count = 0;

    sender_flush(&c->sender);
    for (unsigned i = 0; i < c->sender.too_big_count; i++)
        if (answer_refusal(&c->sender.too_big[i]))
            answers[count++] = *c->sender.too_big[i].pkt;
    if (count == 0)
        return;
    tunnelcap_burst burst = begin(c, answers, count, NULL);
    burst.spare_count = 0; /* the packets may be in them */
    call(c, tunnelcap_table_decap, &burst);
    take_errors(c, &burst);
    sender_flush(&c->sender);
    notice_raise(c->shared->notice, NOTICE_EVENTS);
}

static void take_inner(carrier *c, const tunnelcap_burst *burst)
{
    for (uint32_t i = 0; i < burst->result_count; i++) {
        const tunnelcap_result *result = &burst->results[i];
        tunnelcap_pkt *pkt = packet_of(burst, result);

        if (result->action == TUNNELCAP_DO_SEND) {
            mark_active(c, result);
            leave(c, result, pkt);
        } else if (result->action == TUNNELCAP_DO_REPLY) {
            sender_add(&c->sender, pkt); /* to an inner sender: no tunnel has a part in it */
        } else if (result->status == TUNNELCAP_E_NEED_SA) {
            ask_for_numbers(c);
        }
    }
}

void carry_in(carrier *c)
{
    look_at_clock(c);
    c->counts.from_tun += c->batch.count;
    for (uint32_t done = 0; done < c->batch.count;) {
        tunnelcap_burst burst = begin(c, c->batch.pkts + done, c->batch.count - done, NULL);
        call(c, tunnelcap_table_encap, &burst);
        take_inner(c, &burst);
        done += burst.pkt_done;
        flush(c);
    }
}

/* `done` packets of the batch were carried before this burst. */
static void take_outer(carrier *c, const tunnelcap_burst *burst, uint32_t done)
{
    uint32_t from = done; /* the packet that results are about, those in spares included */
    uint32_t news = 0;

    for (uint32_t i = 0; i < burst->result_count; i++) {
        const tunnelcap_result *result = &burst->results[i];
        tunnelcap_pkt *pkt = packet_of(burst, result);

        if ((result->flags & TUNNELCAP_RESULT_SPARE) == 0)
            from = done + result->index;
        if (result->action == TUNNELCAP_DO_DELIVER) {
            learn(c, result, from);
            deliver(c, result, pkt);
        } else if (result->action == TUNNELCAP_DO_REPLY) {
            leave(c, result, pkt);
        } else if (result->action == TUNNELCAP_DO_LOCAL) {
            news |= NOTICE_TICK | NOTICE_EVENTS;
        }
    }
    if (news != 0)
        notice_raise(c->shared->notice, news);
}

void carry_out(carrier *c, bool errors)
{
    look_at_clock(c);
    c->counts.from_outside += c->batch.count;
    for (uint32_t done = 0; done < c->batch.count;) {
        tunnelcap_burst burst =
            begin(c, c->batch.pkts + done, c->batch.count - done, c->batch.meta + done);
        call(c, tunnelcap_table_decap, &burst);
        if (errors)
            take_errors(c, &burst);
        else
            take_outer(c, &burst, done);
        done += burst.pkt_done;
        flush(c);
    }
    if (errors)
        notice_raise(c->shared->notice, NOTICE_EVENTS);
}

int64_t carry_tick(carrier *c, tunnelcap_table *table)
{
    uint64_t next_ns = 0;

    look_at_clock(c);
    tunnelcap_burst burst = begin(c, NULL, 0, NULL);
    int32_t status = tunnelcap_table_tick(table, c->lane, &burst, &next_ns);
    c->batch.spares_used = burst.spare_used;
    if (status != TUNNELCAP_OK) {
        log_line("%s", tunnelcap_status_text(status));
        abort();
    }
    for (uint32_t i = 0; i < burst.result_count; i++)
        if (burst.results[i].action == TUNNELCAP_DO_SEND)
            leave(c, &burst.results[i], packet_of(&burst, &burst.results[i]));
    flush(c);
    uint64_t wait_ms = (next_ns - burst.now_ns) / NS_PER_MS;
    if (next_ns <= burst.now_ns || wait_ms < TICK_LEAST_MS)
        return TICK_LEAST_MS;
    return wait_ms > TICK_MOST_MS ? TICK_MOST_MS : (int64_t)wait_ms;
}
