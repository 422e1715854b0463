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

/* Tunnel mode: the window moves to the inner packet, trimmed to its own length. */
static int32_t finish_tunnel(const tunnelcap_esp *esp, tunnelcap_i_esp_job *job)
{
    uint8_t *inner = job->op.text;
    uint16_t ethertype;
    uint32_t l3;
    uint8_t tos = 0;
    int32_t status;

    if (job->next_header == TUNNELCAP_I_PROTO_IPV4)
        ethertype = TUNNELCAP_ETHERTYPE_IPV4;
    else if (job->next_header == TUNNELCAP_I_PROTO_IPV6)
        ethertype = TUNNELCAP_ETHERTYPE_IPV6;
    else
        return TUNNELCAP_E_PROTOCOL;
    status = tunnelcap_i_payload_check(&esp->outer, &job->o, inner, job->payload_len, ethertype,
                                       &l3, &tos);
    if (status != TUNNELCAP_OK)
        return status;
    if (l3 != UINT32_MAX)
        tunnelcap_i_payload_set_tos(inner, tos);
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

/* Transport mode: the IP header moves up to the payload. */
static int32_t finish_transport(const tunnelcap_esp *esp, tunnelcap_i_esp_job *job)
{
    tunnelcap_pkt *pkt = job->pkt;
    uint8_t *p = pkt->buf + pkt->off;
    uint32_t udp = job->o.protocol == TUNNELCAP_I_PROTO_UDP ? TUNNELCAP_I_UDP_HEADER : 0;
    uint32_t header = job->o.pos - udp;
    uint32_t moved = udp + esp->head_len;
    uint32_t next_at = find_next_at(p, header);

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

static void set_addr(tunnelcap_addr *addr, const uint8_t *bytes, uint8_t family)
{
    memset(addr, 0, sizeof(*addr));
    addr->family = family;
    memcpy(addr->bytes, bytes, family == TUNNELCAP_IPV4 ? 4 : 16);
}

/* Note where a verified packet came from; 1 if the one before came from elsewhere. One word tells
 * it, so that lanes need no lock: an IPv4 address and its port fit in, those of IPv6 are hashed.
 * 0 is "none yet". */
TUNNELCAP_I_INLINE uint32_t note_peer(tunnelcap_esp *esp, const tunnelcap_i_opened *o)
{
    static const tunnelcap_i_flow_key key = {0x243f6a8885a308d3, 0x13198a2e03707344};
    const uint64_t is_ipv4 = (uint64_t)1 << 63;
    uint64_t port = o->in_udp ? o->src_port + 1u : 0;
    uint64_t before = TUNNELCAP_I_LOAD(esp->peer);
    uint64_t now = is_ipv4 | port << 32 | tunnelcap_i_word32(o->src);

    if (o->family == TUNNELCAP_IPV6)
        now = (tunnelcap_i_hash2(key, tunnelcap_i_load64(o->src) ^ port,
                                 tunnelcap_i_load64(o->src + 8)) &
               ~is_ipv4) |
              1;
    if (now == before)
        return 0;
    TUNNELCAP_I_STORE(esp->peer, now);
    return before != 0;
}

/* What an SA has verified, up to and including one packet. */
typedef struct tally {
    uint64_t packets, bytes;
} tally;

/* What a verified packet said, while its outer header still stands where it was opened. */
static void write_rx(tunnelcap_i_esp_job *job, const tally *sum)
{
    const tunnelcap_i_opened *o = &job->o;
    tunnelcap_esp *esp = job->esp;
    tunnelcap_esp_rx *rx = job->rx;

    job->rx_flags = o->in_udp ? TUNNELCAP_ESP_RX_UDP : 0;
    if (note_peer(esp, o))
        job->rx_flags |= TUNNELCAP_ESP_RX_PEER_MOVED;
    if ((esp->soft_packets != 0 && sum->packets >= esp->soft_packets) ||
        (esp->soft_bytes != 0 && sum->bytes >= esp->soft_bytes))
        job->rx_flags |= TUNNELCAP_ESP_RX_REKEY;
    if (rx == NULL)
        return;
    memset(rx, 0, sizeof(*rx));
    rx->seq = job->seq;
    rx->spi = esp->spi;
    rx->flags = job->rx_flags;
    rx->next_header = job->next_header;
    set_addr(&rx->src, o->src, o->family);
    if (o->in_udp) {
        rx->src_port = o->src_port;
        rx->dst_port = o->dst_port;
    }
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

/* Move the window for a whole run at once where that leaves all of it inside: then each number
 * fares as if it came by itself. */
static void raise_top(tunnelcap_i_replay *r, const tunnelcap_i_esp_job *jobs, uint32_t count)
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

/* Mark what was verified as seen: numbers that follow each other in one block go together. What
 * had been seen meanwhile becomes TUNNELCAP_E_REPLAY. */
static void commit(tunnelcap_esp *esp, tunnelcap_i_esp_job *jobs, uint32_t count)
{
    uint32_t end;

    raise_top(&esp->replay, jobs, count);
    if (esp->replay.window == 0)
        return;
    for (uint32_t i = 0; i < count; i = end) {
        uint64_t block = jobs[i].seq >> 5;
        uint32_t bits = 0;
        uint32_t fresh;

        for (end = i; end < count && jobs[end].op.status == TUNNELCAP_OK; end++) {
            if (jobs[end].seq >> 5 != block || bits >> (jobs[end].seq & 31) & 1)
                break;
            bits |= (uint32_t)1 << (jobs[end].seq & 31);
        }
        if (end == i) { /* a forgery */
            end++;
            continue;
        }
        fresh = tunnelcap_i_replay_commit_block(&esp->replay, block, bits);
        for (uint32_t k = i; fresh != bits && k < end; k++) {
            if (!(fresh >> (jobs[k].seq & 31) & 1))
                jobs[k].op.status = TUNNELCAP_E_REPLAY;
        }
    }
}

/* ---- the path of nearly all packets ---- */

/* Whether decrypted text ends in padding 1, 2, 3, ... of few bytes, and holds a whole IP packet, of
 * IPv4 without options; if so, the window moves to it. Anything else is looked at in full. */
TUNNELCAP_I_INLINE uint32_t end_plain(tunnelcap_i_esp_job *job)
{
    enum { PAD_MAX = 6 };
    const uint8_t *text = job->op.text;
    uint32_t text_len = job->op.text_len;
    uint64_t last = tunnelcap_i_load64(text + text_len - 8); /* at worst, the IV begins it */
    uint32_t pad = (uint32_t)(last >> 8) & 0xff;
    uint64_t mask = ((uint64_t)1 << (pad & 7) * 8) - 1;
    uint32_t payload;
    uint32_t len;

    if (pad > PAD_MAX || (last >> 16 & mask) != (uint64_t)0x010203040506 >> (PAD_MAX - pad) * 8 ||
        text_len < TUNNELCAP_I_IPV4_HEADER + pad + TUNNELCAP_I_ESP_TRAILER)
        return 0;
    payload = text_len - pad - TUNNELCAP_I_ESP_TRAILER;
    job->next_header = (uint8_t)last;
    if (job->next_header == TUNNELCAP_I_PROTO_IPV4) {
        if (!tunnelcap_i_inner_plain(text, payload))
            return 0;
        len = tunnelcap_i_load16(text + 2);
    } else {
        len = TUNNELCAP_I_IPV6_HEADER + (uint32_t)tunnelcap_i_load16(text + 4);
        if (job->next_header != TUNNELCAP_I_PROTO_IPV6 || text[0] >> 4 != 6 || len > payload)
            return 0;
    }
    job->pkt->off = (uint32_t)(text - job->pkt->buf);
    job->pkt->len = len;
    return 1;
}

/* ---- bursts ---- */

/* Everything that follows decryption and commitment. */
static int32_t finish(tunnelcap_i_esp_job *job, const tally *sum)
{
    int32_t status = job->op.status;

    if (job->plain && status == TUNNELCAP_OK && end_plain(job)) {
        write_rx(job, sum);
        if (job->rx != NULL)
            write_rx_inner(job->pkt, job->rx);
        return TUNNELCAP_OK;
    }
    if (status == TUNNELCAP_OK)
        status = check_trailer(&job->op, job);
    if (status != TUNNELCAP_OK)
        return status;
    write_rx(job, sum);
    status = job->esp->mode == TUNNELCAP_ESP_TUNNEL ? finish_tunnel(job->esp, job)
                                                    : finish_transport(job->esp, job);
    if (status == TUNNELCAP_OK && job->rx != NULL)
        write_rx_inner(job->pkt, job->rx);
    return status;
}

static void count_job(tally *sum, const tunnelcap_i_esp_job *job)
{
    sum->packets += job->op.status == TUNNELCAP_OK;
    sum->bytes += job->op.status == TUNNELCAP_OK ? job->text_len : 0;
}

uint32_t tunnelcap_i_esp_verified(tunnelcap_i_esp_job *jobs, uint32_t count)
{
    tunnelcap_esp *esp = jobs[0].esp;
    tally more = {0, 0};
    tally sum;
    uint32_t ok = 0;

    commit(esp, jobs, count);
    for (uint32_t i = 0; i < count; i++)
        count_job(&more, &jobs[i]);
    sum.packets = TUNNELCAP_I_ADD(esp->packets, more.packets);
    sum.bytes = TUNNELCAP_I_ADD(esp->bytes, more.bytes);
    for (uint32_t i = 0; i < count; i++) {
        count_job(&sum, &jobs[i]);
        jobs[i].pkt->status = finish(&jobs[i], &sum);
        if (jobs[i].pkt->status == TUNNELCAP_OK)
            ok++;
        else
            tunnelcap_i_wipe(jobs[i].op.text, jobs[i].op.text_len);
    }
    return ok;
}
