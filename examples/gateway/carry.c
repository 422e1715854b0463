/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "carry.h"

#include <stdlib.h>
#include <string.h>

enum { NS_PER_MS = 1000000, TICK_LEAST_MS = 10, TICK_MOST_MS = 60000 };

/* One call into the library. It cannot fail but by a mistake of this program's. */
static void call(gateway *g, int32_t (*data_path)(tunnelcap_lane *, tunnelcap_burst *),
                 tunnelcap_burst *burst)
{
    int32_t status = data_path(g->lane, burst);

    g->batch.spares_used = burst->spare_used;
    if (status == TUNNELCAP_OK && burst->pkt_done > 0)
        return;
    log_line("%s", tunnelcap_status_text(status));
    abort();
}

static tunnelcap_burst begin(gateway *g, tunnelcap_pkt *pkts, uint32_t count,
                             const tunnelcap_meta *meta)
{
    batch_clear_spares(&g->batch);
    return (tunnelcap_burst){.size = sizeof(tunnelcap_burst),
                             .now_ns = (uint64_t)g->now_ms * NS_PER_MS,
                             .pkt_count = count,
                             .spare_count = BATCH_SPARES,
                             .result_cap = BATCH_RESULTS,
                             .meta_stride = sizeof *meta,
                             .pkts = pkts,
                             .meta = meta,
                             .spare = g->batch.spares,
                             .results = g->batch.results};
}

/* The packet that a result is about. */
static tunnelcap_pkt *packet_of(const tunnelcap_burst *burst, const tunnelcap_result *result)
{
    return (result->flags & TUNNELCAP_RESULT_SPARE) != 0 ? &burst->spare[result->index]
                                                         : &burst->pkts[result->index];
}

static void mark_active(gateway *g, const tunnelcap_result *result)
{
    g->last_ms[result->tunnel - 1] = g->now_ms;
}

/* A tunnel that had something to send may need more sequence numbers, or have got them. */
static void mark_sent(gateway *g, const tunnelcap_result *result)
{
    ipsec_tunnel *tunnel = ipsec_find(&g->ipsec, result->tunnel);

    if (tunnel != NULL)
        tunnel->sent = true;
}

static void deliver(gateway *g, const tunnelcap_result *result, const tunnelcap_pkt *pkt)
{
    mark_active(g, result);
    if (result->value == TUNNELCAP_ETHERTYPE_IPV4 || result->value == TUNNELCAP_ETHERTYPE_IPV6)
        tun_write(&g->tun, pkt);
    else
        g->undeliverable++;
}

/* The outer source of a packet that has been unwrapped: sockets that leave the IP header on (for
 * IPv4 only) have put it where the packet was read to, and there it still is. */
static tunnelcap_addr source(gateway *g, uint32_t i)
{
    tunnelcap_addr address = {.family = TUNNELCAP_IPV4};

    if (g->batch.meta[i].at != TUNNELCAP_AT_IP)
        return g->batch.meta[i].src;
    memcpy(address.bytes, batch_place(&g->batch, i) + 12, 4);
    return address;
}

/* What a verified packet tells about its far end. */
static void learn(gateway *g, const tunnelcap_result *result, uint32_t i)
{
    ipsec_tunnel *tunnel = ipsec_find(&g->ipsec, result->tunnel);

    if (tunnel == NULL)
        return;
    tunnelcap_addr from = source(g, i);
    ipsec_heard(&g->ipsec, tunnel, &from, g->batch.meta[i].src_port, g->now_ms);
}

/* What a router's error about an outer packet means for the sender of the inner one. It comes from
 * our own address, which the kernel would not have from a TUN device. */
static void take_errors(gateway *g, const tunnelcap_burst *burst)
{
    for (uint32_t i = 0; i < burst->result_count; i++)
        if (burst->results[i].action == TUNNELCAP_DO_DELIVER)
            sender_add(&g->sender, packet_of(burst, &burst->results[i]));
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
static void flush(gateway *g)
{
    tunnelcap_pkt answers[BATCH_SIZE];
    uint32_t count = 0;

    sender_flush(&g->sender);
    for (unsigned i = 0; i < g->sender.too_big_count; i++)
        if (answer_refusal(&g->sender.too_big[i]))
            answers[count++] = *g->sender.too_big[i].pkt;
    if (count == 0)
        return;
    tunnelcap_burst burst = begin(g, answers, count, NULL);
    burst.spare_count = 0; /* the packets may be in them */
    call(g, tunnelcap_table_decap, &burst);
    take_errors(g, &burst);
    sender_flush(&g->sender);
}

void carry_in(gateway *g)
{
    g->now_ms = log_now_ms();
    for (uint32_t done = 0; done < g->batch.count;) {
        tunnelcap_burst burst = begin(g, g->batch.pkts + done, g->batch.count - done, NULL);
        call(g, tunnelcap_table_encap, &burst);
        for (uint32_t i = 0; i < burst.result_count; i++) {
            const tunnelcap_result *result = &burst.results[i];
            mark_sent(g, result);
            if (result->action == TUNNELCAP_DO_SEND)
                mark_active(g, result);
            if (result->action == TUNNELCAP_DO_SEND || result->action == TUNNELCAP_DO_REPLY)
                sender_add(&g->sender, packet_of(&burst, result));
        }
        done += burst.pkt_done;
        flush(g);
        ipsec_reserve(&g->ipsec, g->now_ms);
    }
}

/* `done` packets of the batch were carried before this burst. */
static void take_packets(gateway *g, const tunnelcap_burst *burst, uint32_t done)
{
    uint32_t from = done; /* the packet that results are about, those in spares included */

    for (uint32_t i = 0; i < burst->result_count; i++) {
        const tunnelcap_result *result = &burst->results[i];
        tunnelcap_pkt *pkt = packet_of(burst, result);

        if ((result->flags & TUNNELCAP_RESULT_SPARE) == 0)
            from = done + result->index;
        if (result->action == TUNNELCAP_DO_DELIVER) {
            learn(g, result, from);
            deliver(g, result, pkt);
        } else if (result->action == TUNNELCAP_DO_REPLY) {
            mark_sent(g, result);
            sender_add(&g->sender, pkt);
        } else if (result->action == TUNNELCAP_DO_LOCAL) {
            g->tick_soon = true;
        }
    }
}

void carry_out(gateway *g, bool errors)
{
    g->now_ms = log_now_ms();
    for (uint32_t done = 0; done < g->batch.count;) {
        tunnelcap_burst burst =
            begin(g, g->batch.pkts + done, g->batch.count - done, g->batch.meta + done);
        call(g, tunnelcap_table_decap, &burst);
        if (errors)
            take_errors(g, &burst);
        else
            take_packets(g, &burst, done);
        done += burst.pkt_done;
        flush(g);
        ipsec_reserve(&g->ipsec, g->now_ms);
    }
}

int64_t carry_tick(gateway *g)
{
    uint64_t next_ns = 0;

    g->now_ms = log_now_ms();
    g->tick_soon = false;
    tunnelcap_burst burst = begin(g, NULL, 0, NULL);
    int32_t status = tunnelcap_table_tick(g->table, g->lane, &burst, &next_ns);
    g->batch.spares_used = burst.spare_used;
    if (status != TUNNELCAP_OK) {
        log_line("%s", tunnelcap_status_text(status));
        abort();
    }
    for (uint32_t i = 0; i < burst.result_count; i++) {
        mark_sent(g, &burst.results[i]);
        if (burst.results[i].action == TUNNELCAP_DO_SEND)
            sender_add(&g->sender, packet_of(&burst, &burst.results[i]));
    }
    flush(g);
    ipsec_reserve(&g->ipsec, g->now_ms);
    uint64_t wait_ms = (next_ns - burst.now_ns) / NS_PER_MS;
    if (next_ns <= burst.now_ns || wait_ms < TICK_LEAST_MS)
        return TICK_LEAST_MS;
    return wait_ms > TICK_MOST_MS ? TICK_MOST_MS : (int64_t)wait_ms;
}
