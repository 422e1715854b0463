/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "esp.h"

#include "secure.h"

/* What follows decryption; esp_in.c tells the order. */

/* Length of the payload, with TFC padding but without padding and trailer. */
static int32_t check_trailer(const tunnelcap_crypto_op *op, tunnelcap_i_esp_job *job)
{
    const uint8_t *end = op->text + op->text_len - TUNNELCAP_I_ESP_TRAILER;
    uint32_t pad = end[0];

    if (pad + TUNNELCAP_I_ESP_TRAILER > op->text_len)
        return TUNNELCAP_E_PADDING;
    for (uint32_t i = 0; i < pad; i++) {
        if (end[(int32_t)i - (int32_t)pad] != (uint8_t)(i + 1))
            return TUNNELCAP_E_PADDING;
    }
    job->next_header = end[1];
    job->payload_len = op->text_len - TUNNELCAP_I_ESP_TRAILER - pad;
    return job->next_header == TUNNELCAP_I_PROTO_NONE ? TUNNELCAP_E_DUMMY : TUNNELCAP_OK;
}

static void set_addr(tunnelcap_addr *addr, const uint8_t *bytes, uint8_t family)
{
    memset(addr, 0, sizeof(*addr));
    addr->family = family;
    memcpy(addr->bytes, bytes, family == TUNNELCAP_IPV4 ? 4 : 16);
}

/* What a verified packet said, while its outer header still stands where it was opened. */
static void write_rx_outer(const tunnelcap_i_esp_job *job)
{
    const tunnelcap_i_opened *o = &job->o;
    tunnelcap_esp_rx *rx = job->rx;

    memset(rx, 0, sizeof(*rx));
    rx->seq = job->seq;
    rx->spi = job->esp->spi;
    rx->flags = job->rx_flags;
    rx->next_header = job->next_header;
    set_addr(&rx->src, o->src, o->family);
    if (o->in_udp) {
        rx->src_port = o->src_port;
        rx->dst_port = o->dst_port;
    }
}

/* Note what a verified packet said of itself, once nothing can be wrong with it any more; `rekey`
 * is the flag for that, or 0. The far end has moved only if no later packet came from where it was
 * (RFC 7296 2.23), as far as a window tells which one is later. */
TUNNELCAP_I_INLINE void note(tunnelcap_i_esp_job *job, uint16_t rekey)
{
    tunnelcap_esp *esp = job->esp;
    uint64_t before = TUNNELCAP_I_LOAD(esp->peer);

    job->rx_flags = (uint16_t)(rekey | (job->o.in_udp ? TUNNELCAP_ESP_RX_UDP : 0));
    if (job->peer != before &&
        (esp->replay.window == 0 || job->seq >= tunnelcap_i_replay_top(&esp->replay))) {
        TUNNELCAP_I_STORE(esp->peer, job->peer);
        if (before != 0 || esp->any_peer)
            job->rx_flags |= TUNNELCAP_ESP_RX_PEER_MOVED;
    }
    if (job->rx != NULL)
        write_rx_outer(job);
}

/* Tunnel mode: the window moves to the inner packet, trimmed to its own length. */
static int32_t finish_tunnel(const tunnelcap_esp *esp, tunnelcap_i_esp_job *job, uint16_t rekey)
{
    uint8_t *inner = job->op.text;
    uint16_t ethertype;
    tunnelcap_i_marks marks;
    int32_t status;

    if (job->next_header == TUNNELCAP_I_PROTO_IPV4)
        ethertype = TUNNELCAP_ETHERTYPE_IPV4;
    else if (job->next_header == TUNNELCAP_I_PROTO_IPV6)
        ethertype = TUNNELCAP_ETHERTYPE_IPV6;
    else
        return TUNNELCAP_E_PROTOCOL;
    status =
        tunnelcap_i_payload_check(&esp->outer, &job->o, inner, job->payload_len, ethertype, &marks);
    if (status != TUNNELCAP_OK)
        return status;
    if (esp->selector_count != 0 && !tunnelcap_i_esp_permits(esp, inner, job->payload_len))
        return TUNNELCAP_E_SELECTOR;
    note(job, rekey);
    if (marks.l3 != UINT32_MAX)
        tunnelcap_i_payload_mark(inner, &marks);
    job->pkt->off = (uint32_t)(inner - job->pkt->buf);
    job->pkt->len = ethertype == TUNNELCAP_ETHERTYPE_IPV4
                        ? tunnelcap_i_load16(inner + 2)
                        : TUNNELCAP_I_IPV6_HEADER + (uint32_t)tunnelcap_i_load16(inner + 4);
    return TUNNELCAP_OK;
}

/* Behind NAT the addresses that the sender's transport checksum covered are unknown; the ICV has
 * vouched for the payload, so the checksum is made anew (RFC 3948 3.1.2). */
static void repair_checksum(uint8_t *transport, uint32_t len, uint8_t protocol,
                            const tunnelcap_i_opened *o)
{
    uint32_t at = protocol == TUNNELCAP_I_PROTO_TCP ? 16 : 6;
    uint32_t sum;

    if (protocol != TUNNELCAP_I_PROTO_TCP && protocol != TUNNELCAP_I_PROTO_UDP)
        return;
    if (len < at + 2)
        return;
    if (protocol == TUNNELCAP_I_PROTO_UDP && tunnelcap_i_load16(transport + at) == 0)
        return;
    tunnelcap_i_store16(transport + at, 0);
    sum = tunnelcap_i_sum(transport, len) +
          tunnelcap_i_sum_pseudo(o->src, o->dst, o->family, protocol, len);
    sum = (uint16_t)~tunnelcap_i_fold(sum);
    tunnelcap_i_store16(transport + at, sum != 0 ? sum : 0xffff);
}

/* Which byte of the IP headers names what follows them; the parser has checked all lengths. */
static uint32_t find_next_at(const uint8_t *p, uint32_t header)
{
    uint32_t at = TUNNELCAP_I_IPV6_HEADER;
    uint32_t next = 6;
    uint32_t size;

    if (p[0] >> 4 == 4)
        return 9;
    while (at < header) {
        size = p[next] == TUNNELCAP_I_PROTO_FRAGMENT ? 8 : ((uint32_t)p[at + 1] + 1) * 8;
        next = at;
        at += size;
    }
    return next;
}

/* 1 if the selectors of an SA in transport mode permit what it has decrypted, which may begin with
 * destination options. */
static uint32_t permits_payload(const tunnelcap_esp *esp, const tunnelcap_i_esp_job *job)
{
    const uint8_t *text = job->op.text;
    tunnelcap_i_ip ip;

    memset(&ip, 0, sizeof(ip));
    ip.total = job->payload_len;
    if (job->o.family == TUNNELCAP_IPV4)
        ip.protocol = job->next_header;
    else if (tunnelcap_i_ip_walk(text, 0, job->payload_len, job->next_header, &ip) != TUNNELCAP_OK)
        return 0;
    ip.family = job->o.family;
    ip.addr_len = job->o.family == TUNNELCAP_IPV4 ? 4 : 16;
    ip.src = job->o.src; /* in the IP header, the destination behind it */
    return tunnelcap_i_selectors_permit(esp->selectors, esp->selector_count, &ip, text + ip.payload,
                                        ip.total - ip.payload);
}

/* Transport mode: the IP header moves up to the payload. */
static int32_t finish_transport(const tunnelcap_esp *esp, tunnelcap_i_esp_job *job, uint16_t rekey)
{
    tunnelcap_pkt *pkt = job->pkt;
    uint8_t *p = pkt->buf + pkt->off;
    uint32_t udp = job->o.protocol == TUNNELCAP_I_PROTO_UDP ? TUNNELCAP_I_UDP_HEADER : 0;
    uint32_t header = job->o.pos - udp;
    uint32_t moved = udp + esp->head_len;
    uint32_t next_at = find_next_at(p, header);

    if (esp->selector_count != 0 && !permits_payload(esp, job))
        return TUNNELCAP_E_SELECTOR;
    note(job, rekey);
    if (udp != 0)
        repair_checksum(job->op.text, job->payload_len, job->next_header, &job->o);
    memmove(p + moved, p, header);
    p += moved;
    p[next_at] = job->next_header;
    tunnelcap_i_esp_fix_ip(p, header, header + job->payload_len);
    pkt->off += moved;
    pkt->len = header + job->payload_len;
    return TUNNELCAP_OK;
}

/* The addresses that selectors are about. */
static void write_rx_inner(const tunnelcap_pkt *pkt, tunnelcap_esp_rx *rx)
{
    const uint8_t *p = pkt->buf + pkt->off;

    if (p[0] >> 4 == 4) {
        set_addr(&rx->inner_src, p + 12, TUNNELCAP_IPV4);
        set_addr(&rx->inner_dst, p + 16, TUNNELCAP_IPV4);
    } else {
        set_addr(&rx->inner_src, p + 8, TUNNELCAP_IPV6);
        set_addr(&rx->inner_dst, p + 24, TUNNELCAP_IPV6);
    }
}

/* ---- numbers ---- */

/* What the provider has verified of a run. */
typedef struct tally {
    uint64_t packets, bytes;
    uint32_t in_row; /* all was verified, and each number is one above the last */
} tally;

TUNNELCAP_I_INLINE tally take_stock(const tunnelcap_i_esp_job *jobs, uint32_t count)
{
    tally t = {0, 0, 0};
    uint64_t odd = 0;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t bad = jobs[i].op.status != TUNNELCAP_OK;

        odd |= bad | (jobs[i].seq ^ (jobs[0].seq + i));
        t.packets += !bad;
        t.bytes += bad ? 0 : jobs[i].text_len;
    }
    t.in_row = odd == 0;
    return t;
}

/* Move the window once for a whole run, where that leaves all of it inside: then each number fares
 * as if it came by itself. */
static void raise_once(tunnelcap_i_replay *r, const tunnelcap_i_esp_job *jobs, uint32_t count)
{
    uint64_t lowest = UINT64_MAX;
    uint64_t highest = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (jobs[i].op.status != TUNNELCAP_OK)
            continue;
        lowest = jobs[i].seq < lowest ? jobs[i].seq : lowest;
        highest = jobs[i].seq > highest ? jobs[i].seq : highest;
    }
    if (lowest <= highest && (r->window == 0 || highest - lowest < r->window))
        tunnelcap_i_replay_raise(r, highest);
}

/* The bits of verified numbers from job `at` on that follow each other in one block, without one
 * twice; returns the job behind them. */
static uint32_t gather(const tunnelcap_i_esp_job *jobs, uint32_t at, uint32_t count,
                       uint32_t in_row, uint32_t *bits)
{
    uint64_t first = jobs[at].seq;
    uint32_t end = at;

    if (in_row) {
        uint32_t n = 32 - (uint32_t)(first & 31);

        n = n < count - at ? n : count - at;
        *bits = (UINT32_MAX >> (32 - n)) << (first & 31);
        return at + n;
    }
    *bits = 0;
    for (; end < count && jobs[end].op.status == TUNNELCAP_OK; end++) {
        if (jobs[end].seq >> 5 != first >> 5 || *bits >> (jobs[end].seq & 31) & 1)
            break;
        *bits |= (uint32_t)1 << (jobs[end].seq & 31);
    }
    return end;
}

/* Mark what was verified as seen. What had been seen meanwhile becomes TUNNELCAP_E_REPLAY; returns
 * whether there was any. */
static uint32_t commit(tunnelcap_i_replay *r, tunnelcap_i_esp_job *jobs, uint32_t count,
                       const tally *t)
{
    uint32_t lost = 0;
    uint32_t bits;
    uint32_t fresh;
    uint32_t end;

    if (!t->in_row)
        raise_once(r, jobs, count);
    else if (r->window == 0 || count <= r->window)
        tunnelcap_i_replay_raise(r, jobs[count - 1].seq);
    if (r->window == 0)
        return 0;
    for (uint32_t i = 0; i < count; i = end) {
        if (jobs[i].op.status != TUNNELCAP_OK) {
            end = i + 1;
            continue;
        }
        end = gather(jobs, i, count, t->in_row, &bits);
        fresh = tunnelcap_i_replay_commit_block(r, jobs[i].seq >> 5, bits);
        for (uint32_t k = i; fresh != bits && k < end; k++) {
            if (!(fresh >> (jobs[k].seq & 31) & 1))
                jobs[k].op.status = TUNNELCAP_E_REPLAY;
        }
        lost |= fresh != bits;
    }
    return lost;
}

/* ---- the path of nearly all packets ---- */

/* Whether decrypted text ends in padding 1, 2, 3, ... of few bytes, and holds a whole IP packet, of
 * IPv4 without options; if so, the window moves to it. Anything else is looked at in full. */
TUNNELCAP_I_INLINE uint32_t end_plain(tunnelcap_i_esp_job *job)
{
    /* The last 8 bytes by how many are padding, and which of them that says. */
    static const uint8_t want[][8] = {
        {0},
        {[5] = 1, 1},
        {[4] = 1, 2, 2},
        {[3] = 1, 2, 3, 3},
        {[2] = 1, 2, 3, 4, 4},
        {[1] = 1, 2, 3, 4, 5, 5},
        {1, 2, 3, 4, 5, 6, 6},
    };
    static const uint8_t mask[][8] = {
        {[6] = 0xff},
        {[5] = 0xff, 0xff},
        {[4] = 0xff, 0xff, 0xff},
        {[3] = 0xff, 0xff, 0xff, 0xff},
        {[2] = 0xff, 0xff, 0xff, 0xff, 0xff},
        {[1] = 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
        {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
    };
    const uint8_t *text = job->op.text;
    uint32_t text_len = job->op.text_len;
    const uint8_t *last = text + text_len - 8; /* at worst, they begin in the IV */
    uint32_t pad = last[6];
    uint32_t payload = text_len - pad - TUNNELCAP_I_ESP_TRAILER;
    uint32_t len;

    if (pad >= sizeof(want) / sizeof(want[0]) ||
        text_len < TUNNELCAP_I_IPV4_HEADER + pad + TUNNELCAP_I_ESP_TRAILER ||
        ((tunnelcap_i_word64(last) ^ tunnelcap_i_word64(want[pad])) &
         tunnelcap_i_word64(mask[pad])) != 0)
        return 0;
    job->next_header = last[7];
    if (job->next_header == TUNNELCAP_I_PROTO_IPV4) {
        if (!tunnelcap_i_inner_plain(text, payload))
            return 0;
        len = tunnelcap_i_load16(text + 2);
    } else {
        len = TUNNELCAP_I_IPV6_HEADER + (uint32_t)tunnelcap_i_load16(text + 4);
        if (job->next_header != TUNNELCAP_I_PROTO_IPV6 || text[0] >> 4 != 6 || len > payload)
            return 0;
    }
    if (job->esp->selector_count != 0 && !tunnelcap_i_esp_permits(job->esp, text, payload))
        return 0;
    job->pkt->off = (uint32_t)(text - job->pkt->buf);
    job->pkt->len = len;
    return 1;
}

/* ---- bursts ---- */

/* Everything that follows decryption and commitment. */
TUNNELCAP_I_INLINE int32_t finish(tunnelcap_i_esp_job *job, uint16_t rekey)
{
    int32_t status = job->op.status;

    if (status != TUNNELCAP_OK)
        return status;
    if (job->plain && end_plain(job)) {
        note(job, rekey);
    } else {
        status = check_trailer(&job->op, job);
        if (status != TUNNELCAP_OK)
            return status;
        status = job->esp->mode == TUNNELCAP_ESP_TUNNEL ? finish_tunnel(job->esp, job, rekey)
                                                        : finish_transport(job->esp, job, rekey);
    }
    if (status == TUNNELCAP_OK && job->rx != NULL)
        write_rx_inner(job->pkt, job->rx);
    return status;
}

/* Count a packet among those that an SA has verified, and tell whether a soft limit is reached. */
static uint16_t count_soft(const tunnelcap_i_esp_job *job, tally *sum)
{
    const tunnelcap_esp *esp = job->esp;

    if (job->op.status == TUNNELCAP_OK) {
        sum->packets++;
        sum->bytes += job->text_len;
    }
    return (esp->soft_packets != 0 && sum->packets >= esp->soft_packets) ||
                   (esp->soft_bytes != 0 && sum->bytes >= esp->soft_bytes)
               ? TUNNELCAP_ESP_RX_REKEY
               : 0;
}

uint32_t tunnelcap_i_esp_verified(tunnelcap_i_esp_job *jobs, uint32_t count)
{
    tunnelcap_esp *esp = jobs[0].esp;
    uint32_t limited = esp->soft_packets != 0 || esp->soft_bytes != 0;
    tally t = take_stock(jobs, count);
    tally sum = {0, 0, 0};
    uint32_t ok = 0;

    if (commit(&esp->replay, jobs, count, &t))
        t = take_stock(jobs, count);
    if (t.packets != 0 || limited) {
        sum.packets = TUNNELCAP_I_ADD(esp->packets, t.packets);
        sum.bytes = TUNNELCAP_I_ADD(esp->bytes, t.bytes);
    }
    for (uint32_t i = 0; i < count; i++) {
        tunnelcap_i_esp_job *job = &jobs[i];

        job->pkt->status = finish(job, limited ? count_soft(job, &sum) : 0);
        if (job->pkt->status == TUNNELCAP_OK)
            ok++;
        else
            tunnelcap_i_wipe(job->op.text, job->op.text_len);
    }
    return ok;
}
