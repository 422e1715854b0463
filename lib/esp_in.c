/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "esp.h"

#include "secure.h"

/* Implementation notes. The order of RFC 4303 3.4, each step only if the one before has passed:
 * shape, SPI, replay check, ICV (the provider), replay commit, padding, next header, inner packet.
 * Until the ICV is right nothing has moved but the bytes that were decrypted in place; where a
 * packet is refused after that, they are wiped. */

int32_t tunnelcap_i_esp_sort_udp(const uint8_t *p, const tunnelcap_i_opened *o)
{
    uint32_t left = o->end - o->pos;

    if (left == 1 && p[o->pos] == 0xff)
        return TUNNELCAP_E_NAT_KEEPALIVE;
    if (left >= 4 && tunnelcap_i_load32(p + o->pos) == 0)
        return TUNNELCAP_E_IKE;
    return TUNNELCAP_OK;
}

/* Open an outer packet up to its ESP header. */
static int32_t open_esp(const tunnelcap_esp *esp, const uint8_t *p, uint32_t len,
                        const tunnelcap_meta *meta, tunnelcap_i_opened *o)
{
    uint32_t verify = meta == NULL || !(meta->flags & TUNNELCAP_META_CSUM_VALID);
    uint32_t in_udp;
    int32_t status = tunnelcap_i_open(p, len, meta, o);

    if (status != TUNNELCAP_OK)
        return status;
    if (!esp->any_address &&
        (o->family != esp->outer.family ||
         (o->family == TUNNELCAP_IPV4
              ? tunnelcap_i_word32(o->dst) != tunnelcap_i_word32(esp->outer.match + 4)
              : memcmp(o->dst, esp->outer.match + 16, 16) != 0)))
        return TUNNELCAP_E_NO_TUNNEL;
    in_udp = o->protocol == TUNNELCAP_I_PROTO_UDP;
    if (!in_udp && o->protocol != TUNNELCAP_I_PROTO_ESP)
        return TUNNELCAP_E_PROTOCOL;
    if ((esp->flags & TUNNELCAP_ESP_UDP_STRICT) && in_udp != !!(esp->flags & TUNNELCAP_ESP_UDP))
        return TUNNELCAP_E_PROTOCOL;
    if (!tunnelcap_i_header_sum_ok(p, o, meta))
        return TUNNELCAP_E_CHECKSUM;
    if (o->fragment)
        return TUNNELCAP_E_FRAGMENT;
    if (!in_udp)
        return TUNNELCAP_OK;
    status = tunnelcap_i_open_udp(p, o, 1, verify); /* RFC 3948 2.1: zero is usual */
    if (status == TUNNELCAP_OK && o->dst_port != esp->udp_dst_port)
        return TUNNELCAP_E_NO_TUNNEL;
    return status == TUNNELCAP_OK ? tunnelcap_i_esp_sort_udp(p, o) : status;
}

/* Describe the provider's work on the ESP packet at `header`. */
static void write_op(const tunnelcap_esp *esp, tunnelcap_i_esp_job *job, uint8_t *header)
{
    tunnelcap_crypto_op *op = &job->op;
    uint8_t *iv = header + TUNNELCAP_I_ESP_HEADER;

    op->key = esp->key;
    op->text = header + esp->head_len;
    op->text_len = job->text_len;
    op->icv = op->text + job->text_len;
    op->head_len = esp->head_len;
    tunnelcap_i_esp_aad(esp, op, header, job->seq);
    memset(op->nonce, 0, sizeof(op->nonce));
    if (!esp->facts.counter_mode) {
        memcpy(op->nonce, iv, esp->facts.iv_len);
        return;
    }
    memcpy(op->nonce, esp->salt, sizeof(esp->salt)); /* where shorter, the IV covers the rest */
    if (esp->facts.implicit_iv) { /* RFC 8750: the sequence number, 64 bits wide */
        tunnelcap_i_store32(op->nonce + esp->facts.salt_len, (uint32_t)(job->seq >> 32));
        tunnelcap_i_store32(op->nonce + esp->facts.salt_len + 4, (uint32_t)job->seq);
    } else {
        memcpy(op->nonce + esp->facts.salt_len, iv, 8);
    }
    if (!esp->facts.combined)
        op->nonce[15] = 1;
}

/* Everything that precedes decryption; the packet is not changed. `ahead` is added to the high
 * half of the sequence number: tunnelcap_esp_resync(). */
static int32_t prepare(tunnelcap_esp *esp, tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                       uint32_t ahead, tunnelcap_i_esp_job *job)
{
    uint8_t *p = pkt->buf + pkt->off;
    uint32_t overhead = (uint32_t)esp->head_len + esp->facts.icv_len;
    uint32_t left;
    uint32_t low;
    int32_t status;

    status = open_esp(esp, p, pkt->len, meta, &job->o);
    if (status != TUNNELCAP_OK)
        return status;
    left = job->o.end - job->o.pos;
    if (left < TUNNELCAP_I_ESP_HEADER)
        return TUNNELCAP_E_TRUNCATED;
    if (tunnelcap_i_load32(p + job->o.pos) != esp->spi)
        return TUNNELCAP_E_NO_TUNNEL;
    if (left < overhead + TUNNELCAP_I_ESP_TRAILER)
        return TUNNELCAP_E_TRUNCATED;
    job->text_len = left - overhead;
    if (esp->facts.align > 4 && (job->text_len & (esp->facts.align - 1u)) != 0)
        return TUNNELCAP_E_MALFORMED;
    if (esp->mode == TUNNELCAP_ESP_TRANSPORT && meta != NULL && meta->at != TUNNELCAP_AT_IP)
        return TUNNELCAP_E_INVALID; /* whose IP header is to be restored? */
    if (esp->hard_packets != 0 && TUNNELCAP_I_LOAD(esp->packets) >= esp->hard_packets)
        return TUNNELCAP_E_EXPIRED;
    if (esp->hard_bytes != 0 && TUNNELCAP_I_LOAD(esp->bytes) >= esp->hard_bytes)
        return TUNNELCAP_E_EXPIRED;

    low = tunnelcap_i_load32(p + job->o.pos + 4);
    job->seq = low;
    if (esp->replay.esn) {
        job->seq = ahead == 0 ? tunnelcap_i_replay_infer(&esp->replay,
                                                         TUNNELCAP_I_LOAD(esp->replay.top), low)
                              : ((TUNNELCAP_I_LOAD(esp->replay.top) >> 32) + ahead) << 32 | low;
    }
    status = tunnelcap_i_replay_check(&esp->replay, job->seq);
    if (status != TUNNELCAP_OK)
        return status;
    job->pkt = pkt;
    write_op(esp, job, p + job->o.pos);
    return TUNNELCAP_OK;
}

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

/* Note where a verified packet came from; 1 if the one before came from elsewhere. */
static uint32_t note_peer(tunnelcap_esp *esp, const tunnelcap_i_opened *o)
{
    static const tunnelcap_i_flow_key key = {0x243f6a8885a308d3, 0x13198a2e03707344};
    uint64_t port = o->in_udp ? o->src_port + 1u : 0;
    uint64_t before = TUNNELCAP_I_LOAD(esp->peer);
    uint64_t now = o->family == TUNNELCAP_IPV4
                       ? tunnelcap_i_hash2(key, tunnelcap_i_load32(o->src), port)
                       : tunnelcap_i_hash2(key, tunnelcap_i_load64(o->src) ^ port,
                                           tunnelcap_i_load64(o->src + 8));

    now |= 1; /* 0 is "none yet" */
    if (now != before)
        TUNNELCAP_I_STORE(esp->peer, now);
    return before != 0 && now != before;
}

/* What an SA has verified, up to and including one packet. */
typedef struct tally {
    uint64_t packets, bytes;
} tally;

static void count_job(tally *sum, const tunnelcap_i_esp_job *job)
{
    sum->packets += job->op.status == TUNNELCAP_OK;
    sum->bytes += job->op.status == TUNNELCAP_OK ? job->text_len : 0;
}

/* What a verified packet said, while its outer header still stands where it was opened. */
static void write_rx(tunnelcap_esp *esp, const tunnelcap_i_esp_job *job, const tally *sum,
                     tunnelcap_esp_rx *rx)
{
    const tunnelcap_i_opened *o = &job->o;
    uint32_t moved = note_peer(esp, o);
    uint32_t soft = (esp->soft_packets != 0 && sum->packets >= esp->soft_packets) ||
                    (esp->soft_bytes != 0 && sum->bytes >= esp->soft_bytes);

    if (rx == NULL)
        return;
    memset(rx, 0, sizeof(*rx));
    rx->seq = job->seq;
    rx->spi = esp->spi;
    rx->next_header = job->next_header;
    set_addr(&rx->src, o->src, o->family);
    if (o->in_udp) {
        rx->flags |= TUNNELCAP_ESP_RX_UDP;
        rx->src_port = o->src_port;
        rx->dst_port = o->dst_port;
    }
    rx->flags |=
        (uint16_t)((moved ? TUNNELCAP_ESP_RX_PEER_MOVED : 0) | (soft ? TUNNELCAP_ESP_RX_REKEY : 0));
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

/* Mark what was verified as seen: numbers that follow each other in one block go together. What
 * had been seen meanwhile becomes TUNNELCAP_E_REPLAY. */
static void commit(tunnelcap_esp *esp, tunnelcap_i_esp_job *jobs, uint32_t count)
{
    uint32_t end;

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

/* Commit and count a burst, with as few atomic operations as possible; *sum is what had been
 * counted before. */
static void commit_burst(tunnelcap_esp *esp, tunnelcap_i_esp_job *jobs, uint32_t count, tally *sum)
{
    tally more = {0, 0};

    commit(esp, jobs, count);
    for (uint32_t i = 0; i < count; i++)
        count_job(&more, &jobs[i]);
    sum->packets = TUNNELCAP_I_ADD(esp->packets, more.packets);
    sum->bytes = TUNNELCAP_I_ADD(esp->bytes, more.bytes);
}

/* Everything that follows decryption and commitment. */
static int32_t finish(tunnelcap_esp *esp, tunnelcap_i_esp_job *job, const tally *sum,
                      tunnelcap_esp_rx *rx)
{
    int32_t status = job->op.status;

    if (status == TUNNELCAP_OK)
        status = check_trailer(&job->op, job);
    if (status != TUNNELCAP_OK)
        return status;
    write_rx(esp, job, sum, rx);
    status =
        esp->mode == TUNNELCAP_ESP_TUNNEL ? finish_tunnel(esp, job) : finish_transport(esp, job);
    if (status == TUNNELCAP_OK && rx != NULL)
        write_rx_inner(job->pkt, rx);
    return status;
}

/* At most lane->max_burst packets. */
static uint32_t decap_part(tunnelcap_esp *esp, tunnelcap_lane *lane, tunnelcap_pkt *pkts,
                           const tunnelcap_meta *meta, uint32_t stride, tunnelcap_esp_rx *rx,
                           uint32_t count, uint32_t ahead)
{
    tunnelcap_i_esp_job *jobs = tunnelcap_i_esp_jobs(lane);
    tunnelcap_i_esp_job *job;
    tally sum;
    uint32_t fit = 0;
    uint32_t ok = 0;

    for (uint32_t i = 0; i < count; i++) {
        pkts[i].status = TUNNELCAP_E_INVALID;
        if (tunnelcap_i_pkt_valid(&pkts[i]))
            pkts[i].status =
                prepare(esp, &pkts[i], tunnelcap_i_meta_at(meta, stride, i), ahead, &jobs[fit]);
        if (pkts[i].status == TUNNELCAP_OK) {
            lane->ops[fit] = &jobs[fit].op;
            fit++;
        }
    }
    if (fit == 0)
        return 0;
    lane->crypto->unseal(lane->crypto->self, lane->crypto_lane, lane->ops, fit);
    commit_burst(esp, jobs, fit, &sum);
    for (uint32_t i = 0; i < fit; i++) {
        job = &jobs[i];
        count_job(&sum, job);
        job->pkt->status = finish(esp, job, &sum, rx == NULL ? NULL : &rx[job->pkt - pkts]);
        if (job->pkt->status == TUNNELCAP_OK)
            ok++;
        else
            tunnelcap_i_wipe(job->op.text, job->op.text_len);
    }
    return ok;
}

static uint32_t decap(tunnelcap_esp *esp, tunnelcap_lane *lane, tunnelcap_pkt *pkts,
                      const tunnelcap_meta *meta, uint32_t stride, tunnelcap_esp_rx *rx,
                      uint32_t count, uint32_t ahead)
{
    uint32_t ok = 0;
    uint32_t part;

    if (esp->direction != TUNNELCAP_ESP_IN || !tunnelcap_i_esp_lane_ok(esp, lane)) {
        for (uint32_t i = 0; i < count; i++)
            pkts[i].status = TUNNELCAP_E_INVALID;
        return 0;
    }
    for (uint32_t i = 0; i < count; i += part) {
        part = count - i < lane->max_burst ? count - i : lane->max_burst;
        ok += decap_part(esp, lane, pkts + i, tunnelcap_i_meta_at(meta, stride, i), stride,
                         rx == NULL ? NULL : rx + i, part, ahead);
    }
    return ok;
}

uint32_t tunnelcap_esp_decap(tunnelcap_esp *esp, tunnelcap_lane *lane, tunnelcap_pkt *pkts,
                             const tunnelcap_meta *meta, uint32_t meta_stride, tunnelcap_esp_rx *rx,
                             uint32_t count)
{
    if (esp == NULL || lane == NULL || pkts == NULL)
        return 0;
    return decap(esp, lane, pkts, meta, meta_stride, rx, count, 0);
}

uint32_t tunnelcap_esp_decap_to(tunnelcap_esp *esp, tunnelcap_lane *lane, const tunnelcap_pkt *in,
                                tunnelcap_pkt *out, const tunnelcap_meta *meta,
                                uint32_t meta_stride, tunnelcap_esp_rx *rx, uint32_t count)
{
    uint32_t ok = 0;

    if (esp == NULL || lane == NULL || in == NULL || out == NULL)
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!tunnelcap_i_pkt_valid(&in[i]) || out[i].buf == NULL) {
            out[i].status = TUNNELCAP_E_INVALID;
            continue;
        }
        if (out[i].cap < in[i].len) {
            out[i].status = TUNNELCAP_E_TAILROOM;
            continue;
        }
        out[i].off = 0;
        out[i].len = in[i].len;
        memcpy(out[i].buf, in[i].buf + in[i].off, in[i].len);
        ok += decap(esp, lane, &out[i], tunnelcap_i_meta_at(meta, meta_stride, i), 0,
                    rx == NULL ? NULL : rx + i, 1, 0);
    }
    return ok;
}

int32_t tunnelcap_esp_resync(tunnelcap_esp *esp, tunnelcap_lane *lane, tunnelcap_pkt *pkt,
                             uint32_t ahead)
{
    if (esp == NULL || lane == NULL || pkt == NULL || ahead == 0)
        return TUNNELCAP_E_INVALID;
    if (!esp->replay.esn)
        return TUNNELCAP_E_UNSUPPORTED;
    decap(esp, lane, pkt, NULL, 0, NULL, 1, ahead);
    return pkt->status;
}
