/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "esp.h"

#include "secure.h"

/* Implementation notes. A burst goes in three steps: measure every packet and refuse what does
 * not fit, without changing anything; take as many sequence numbers as are left, all at once, and
 * write headers and trailers; let the provider work, and put the windows right. */

int32_t tunnelcap_i_esp_transport_at(const uint8_t *p, const tunnelcap_i_ip *ip, uint32_t *at,
                                     uint32_t *next_at)
{
    uint32_t pos = TUNNELCAP_I_IPV6_HEADER;
    uint32_t next = 6;

    if (ip->fragment)
        return TUNNELCAP_E_FRAGMENT;
    if (ip->family == TUNNELCAP_IPV4) {
        *at = ip->payload;
        *next_at = 9;
        return TUNNELCAP_OK;
    }
    /* Hop-by-hop and routing headers stay in front, and destination options before a routing
     * header (RFC 4303 3.1.1). All lengths have been checked by the parser. */
    for (;;) {
        uint8_t kind = p[next];
        uint32_t is_options =
            kind == TUNNELCAP_I_PROTO_DEST_OPTS && p[pos] == TUNNELCAP_I_PROTO_ROUTING;

        if (kind != TUNNELCAP_I_PROTO_HOP_BY_HOP && kind != TUNNELCAP_I_PROTO_ROUTING &&
            !is_options)
            break;
        next = pos;
        pos += ((uint32_t)p[pos + 1] + 1) * 8;
    }
    *at = pos;
    *next_at = next;
    return TUNNELCAP_OK;
}

void tunnelcap_i_esp_fix_ip(uint8_t *p, uint32_t header_len, uint32_t total)
{
    if (p[0] >> 4 == 6) {
        tunnelcap_i_store16(p + 4, total - TUNNELCAP_I_IPV6_HEADER);
        return;
    }
    tunnelcap_i_store16(p + 2, total);
    tunnelcap_i_store16(p + 10, 0);
    tunnelcap_i_store16(p + 10, (uint16_t)~tunnelcap_i_sum(p, header_len));
}

static int32_t measure_transport(const tunnelcap_esp *esp, const tunnelcap_pkt *pkt,
                                 tunnelcap_i_esp_job *job, uint32_t *total)
{
    const uint8_t *p = pkt->buf + pkt->off;
    tunnelcap_i_ip ip;
    int32_t status = tunnelcap_i_ip_parse(p, pkt->len, &ip);

    if (status != TUNNELCAP_OK)
        return status;
    if (ip.total > pkt->len)
        return TUNNELCAP_E_TRUNCATED;
    status = tunnelcap_i_esp_transport_at(p, &ip, &job->at, &job->next_at);
    if (status != TUNNELCAP_OK)
        return status;
    job->inner.len = ip.total;
    job->inner.limited = 0;
    job->next_header = p[job->next_at];
    job->payload_len = ip.total - job->at;
    job->text_len = tunnelcap_i_esp_text_len(esp, job->payload_len);
    *total = job->at + esp->udp_len + esp->head_len + job->text_len + esp->facts.icv_len;
    return *total > (ip.family == TUNNELCAP_IPV4 ? TUNNELCAP_I_IPV4_MAX : TUNNELCAP_I_IPV6_MAX)
               ? TUNNELCAP_E_TOO_BIG
               : TUNNELCAP_OK;
}

static int32_t measure_tunnel(const tunnelcap_esp *esp, const tunnelcap_lane *lane,
                              const tunnelcap_pkt *pkt, tunnelcap_i_esp_job *job, uint32_t *total)
{
    int32_t status;

    if (job->next_header == TUNNELCAP_I_PROTO_NONE) { /* a dummy */
        memset(&job->inner, 0, sizeof(job->inner));
        job->inner.len = pkt->len;
    } else {
        status = tunnelcap_i_inner_facts(job->outer, lane, pkt->buf + pkt->off, pkt->len, 0,
                                         &job->inner);
        if (status != TUNNELCAP_OK)
            return status;
        job->next_header = job->inner.ethertype == TUNNELCAP_ETHERTYPE_IPV4
                               ? TUNNELCAP_I_PROTO_IPV4
                               : TUNNELCAP_I_PROTO_IPV6;
    }
    if (job->inner.len > TUNNELCAP_I_IPV6_MAX)
        return TUNNELCAP_E_TOO_BIG;
    job->payload_len = job->inner.len;
    job->text_len = tunnelcap_i_esp_text_len(esp, job->payload_len);
    *total = tunnelcap_i_outer_need(job->outer, &job->inner) + job->text_len + esp->facts.icv_len;
    return *total > job->outer->max ? TUNNELCAP_E_TOO_BIG : TUNNELCAP_OK;
}

/* Bytes of an option that the outer header gets only because the inner packet has it. */
static uint32_t limit_room(const tunnelcap_i_esp_job *job)
{
    return tunnelcap_i_outer_need(job->outer, &job->inner) - job->outer->header_len;
}

/* Decide about one packet, without changing it. */
static int32_t measure(tunnelcap_esp *esp, const tunnelcap_lane *lane, tunnelcap_pkt *pkt,
                       const tunnelcap_meta *meta, tunnelcap_i_esp_job *job)
{
    uint32_t total;
    int32_t status;

    if (!tunnelcap_i_pkt_valid(pkt))
        return TUNNELCAP_E_INVALID;
    status = esp->mode == TUNNELCAP_ESP_TUNNEL ? measure_tunnel(esp, lane, pkt, job, &total)
                                               : measure_transport(esp, pkt, job, &total);
    if (status == TUNNELCAP_OK && meta != NULL)
        status = tunnelcap_i_meta_check(meta, job->inner.len);
    if (status != TUNNELCAP_OK)
        return status;
    if (pkt->off < tunnelcap_i_esp_headroom(esp) + limit_room(job))
        return TUNNELCAP_E_HEADROOM;
    if (pkt->cap - pkt->off - job->inner.len <
        job->text_len - job->payload_len + esp->facts.icv_len)
        return TUNNELCAP_E_TAILROOM;
    if (esp->hard_bytes != 0 && TUNNELCAP_I_LOAD(esp->bytes) >= esp->hard_bytes)
        return TUNNELCAP_E_EXPIRED;
    return TUNNELCAP_OK;
}

/* Take up to `want` sequence numbers; *first is the first of them. */
static uint32_t take_numbers(tunnelcap_esp *esp, uint32_t want, uint64_t *first)
{
    uint64_t next = TUNNELCAP_I_LOAD(esp->seq_next);
    uint32_t got;

    do {
        got = esp->seq_end - next < want ? (uint32_t)(esp->seq_end - next) : want;
        *first = next;
    } while (got > 0 && !TUNNELCAP_I_SWAP_IF(esp->seq_next, next, next + got));
    return got;
}

/* Write TFC padding, padding and trailer behind the payload (RFC 4303 2.4, 2.7). */
static void write_trailer(uint8_t *text, const tunnelcap_i_esp_job *job, uint32_t align)
{
    static const uint8_t numbers[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    uint32_t end = job->text_len - TUNNELCAP_I_ESP_TRAILER;
    uint32_t pad = (end - job->payload_len) & (align - 1);
    uint8_t *at = text + end - pad;

    if (end - pad > job->payload_len)
        memset(text + job->payload_len, 0, end - pad - job->payload_len);
    /* In steps of 8: what is too much falls on the trailer and the ICV, of 8 bytes at least. */
    memcpy(at, numbers, 8);
    if (pad > 8)
        memcpy(at + 8, numbers + 8, 8);
    text[end] = (uint8_t)pad;
    text[end + 1] = job->next_header;
}

/* Describe the provider's work on the text behind an ESP header at `header`, and write the IV. */
static void write_op(const tunnelcap_esp *esp, tunnelcap_i_esp_job *job, uint8_t *header)
{
    tunnelcap_crypto_op *op = &job->op;
    uint64_t iv = esp->iv_first + (job->seq - esp->seq_first);

    tunnelcap_i_esp_place(esp, op, header, job->text_len);
    tunnelcap_i_esp_aad(esp, op, job->seq);
    if (esp->facts.counter_mode) {
        tunnelcap_i_esp_nonce(esp, op, iv);
        if (!esp->facts.implicit_iv)
            tunnelcap_i_store64(header + TUNNELCAP_I_ESP_HEADER, iv);
    } else if (esp->facts.iv_len != 0) { /* CBC: see esp.c */
        memset(op->nonce, 0, sizeof(op->nonce));
        memset(header + TUNNELCAP_I_ESP_HEADER, 0, esp->facts.iv_len);
        tunnelcap_i_store64(header + esp->head_len - 8, iv);
        op->text -= esp->facts.iv_len;
        op->text_len += esp->facts.iv_len;
        op->head_len = TUNNELCAP_I_ESP_HEADER;
    }
}

/* Write everything but what the provider writes; from here on the packet is changed. */
static void write_packet(const tunnelcap_esp *esp, tunnelcap_lane *lane, tunnelcap_i_esp_job *job)
{
    tunnelcap_pkt *pkt = job->pkt;
    uint8_t *p = pkt->buf + pkt->off;
    uint8_t *udp;
    uint8_t *h;
    uint32_t extra = tunnelcap_i_esp_headroom(esp);
    uint32_t total =
        job->inner.len + extra + (job->text_len - job->payload_len) + esp->facts.icv_len;
    uint8_t protocol = esp->udp_len != 0 ? TUNNELCAP_I_PROTO_UDP : TUNNELCAP_I_PROTO_ESP;

    if (job->meta != NULL)
        tunnelcap_i_meta_finish(job->meta, p, job->inner.len);
    h = p - extra;
    if (esp->mode == TUNNELCAP_ESP_TUNNEL) {
        tunnelcap_i_outer_write(job->outer, lane, &job->inner, protocol, total, h);
        job->at = esp->outer.ip_len;
    } else {
        memmove(h, p, job->at);
        memcpy(h + job->at, esp->outer.header + esp->outer.ip_len,
               (size_t)esp->udp_len + 4); /* ports and SPI */
        h[job->next_at] = protocol;
        tunnelcap_i_esp_fix_ip(h, job->at, total);
    }
    udp = h + job->at;
    if (esp->udp_len != 0) {
        tunnelcap_i_store16(udp + 4, total - job->at);
        tunnelcap_i_store16(udp + 6, 0);
    }
    tunnelcap_i_store32(udp + esp->udp_len + 4, (uint32_t)job->seq);
    write_op(esp, job, udp + esp->udp_len);
    write_trailer(h + job->at + esp->udp_len + esp->head_len, job, esp->facts.align);
    pkt->off -= extra;
    pkt->len = total;
}

/* UDP over IPv6 wants a checksum even here (RFC 8200 8.1); over IPv4 it is zero (RFC 3948 2.1). */
static void finish_udp(const tunnelcap_esp *esp, const tunnelcap_i_esp_job *job)
{
    uint8_t *h = job->pkt->buf + job->pkt->off;
    uint8_t *udp = h + job->at;
    uint32_t len = job->pkt->len - job->at;
    uint32_t sum;

    if (esp->udp_len == 0 || h[0] >> 4 != 6)
        return;
    sum = tunnelcap_i_sum(udp, len) +
          tunnelcap_i_sum_pseudo(h + 8, h + 24, TUNNELCAP_IPV6, TUNNELCAP_I_PROTO_UDP, len);
    sum = (uint16_t)~tunnelcap_i_fold(sum);
    tunnelcap_i_store16(udp + 6, sum != 0 ? sum : 0xffff);
}

static int32_t finish(const tunnelcap_i_esp_job *job)
{
    tunnelcap_esp *esp = job->esp;

    if (job->op.status != TUNNELCAP_OK) {
        tunnelcap_i_wipe(job->op.text, job->op.text_len + esp->facts.icv_len);
        return TUNNELCAP_E_CRYPTO;
    }
    if (!job->plain) {
        finish_udp(esp, job);
        if (limit_room(job) != 0)
            tunnelcap_i_outer_insert_limit(job->pkt, job->inner.limit);
    }
    if (job->seq >= esp->seq_soft ||
        (esp->soft_bytes != 0 && TUNNELCAP_I_LOAD(esp->bytes) >= esp->soft_bytes))
        return TUNNELCAP_REKEY_SOON;
    return TUNNELCAP_OK;
}

/* ---- the path of nearly all packets ---- */

/* Whether a packet is whole IPv4 without options, with room around it: what an SA that is plain
 * encapsulates without asking more. Any other packet, be it right or wrong, is measured. */
TUNNELCAP_I_INLINE uint32_t fits_plain(const tunnelcap_esp *esp, const tunnelcap_pkt *pkt,
                                       tunnelcap_i_esp_job *job)
{
    uint32_t off = pkt->off;
    const uint8_t *p;
    uint32_t len;

    if (!tunnelcap_i_pkt_valid(pkt) || off < esp->outer.header_len ||
        pkt->len < TUNNELCAP_I_IPV4_HEADER)
        return 0;
    p = pkt->buf + off;
    len = tunnelcap_i_load16(p + 2);
    if (p[0] != 0x45 || len < TUNNELCAP_I_IPV4_HEADER || len > pkt->len || len > esp->plain_max ||
        pkt->cap - off - len < esp->plain_tail)
        return 0;
    job->payload_len = len;
    job->text_len = (len + TUNNELCAP_I_ESP_TRAILER + 3) & ~3u;
    return 1;
}

/* Write one of them, as write_packet() would. Nothing is read back that was just written. */
TUNNELCAP_I_INLINE void write_plain(const tunnelcap_esp *esp, tunnelcap_lane *lane,
                                    tunnelcap_i_esp_job *job)
{
    static const uint8_t trailers[4][8] = {{0, TUNNELCAP_I_PROTO_IPV4},
                                           {1, 1, TUNNELCAP_I_PROTO_IPV4},
                                           {1, 2, 2, TUNNELCAP_I_PROTO_IPV4},
                                           {1, 2, 3, 3, TUNNELCAP_I_PROTO_IPV4}};
    const tunnelcap_i_outer *outer = job->outer;
    tunnelcap_pkt *pkt = job->pkt;
    uint64_t seq = job->seq;
    uint64_t iv = esp->iv_first + (seq - esp->seq_first);
    uint32_t text_len = job->text_len;
    uint32_t total = outer->header_len + text_len + esp->facts.icv_len;
    uint8_t *text = pkt->buf + pkt->off;
    uint8_t *h = text - outer->header_len;
    uint8_t *header = text - TUNNELCAP_I_ESP_HEADER - 8;
    uint32_t tos = (uint32_t)((text[1] & outer->tos_mask) | outer->tos_fixed);
    uint32_t pad = text_len - job->payload_len - TUNNELCAP_I_ESP_TRAILER;
    uint32_t sum = outer->plain_sum + tos + total;

    memcpy(text + job->payload_len, trailers[pad], 8);
    memcpy(h, outer->header, 16);
    memcpy(h + 16, outer->header + 16, 4);
    if (esp->udp_len != 0) {
        memcpy(h + TUNNELCAP_I_IPV4_HEADER, outer->header + TUNNELCAP_I_IPV4_HEADER, 8);
        tunnelcap_i_store16(h + TUNNELCAP_I_IPV4_HEADER + 4, total - TUNNELCAP_I_IPV4_HEADER);
    }
    h[1] = (uint8_t)tos;
    tunnelcap_i_store16(h + 2, total);
    if (~text[6] & outer->df_plain) { /* "don't fragment" is copied clear: an identification */
        uint32_t id = tunnelcap_i_lane_id(lane);

        tunnelcap_i_store32(h + 4, id << 16);
        sum += id + 0xbfff; /* less the bit, 0x4000, in ones' complement */
    }
    tunnelcap_i_store16(h + 10, (uint16_t)~tunnelcap_i_fold(sum));
    tunnelcap_i_store64(header, (uint64_t)esp->spi << 32 | (uint32_t)seq);
    tunnelcap_i_store64(header + TUNNELCAP_I_ESP_HEADER, iv);
    tunnelcap_i_esp_place(esp, &job->op, header, text_len);
    tunnelcap_i_esp_aad(esp, &job->op, seq);
    tunnelcap_i_esp_nonce(esp, &job->op, iv);
    pkt->off -= outer->header_len;
    pkt->len = total;
}

/* ---- bursts ---- */

/* `next_header` is 59 for dummies, else 0. */
TUNNELCAP_I_INLINE int32_t prepare(tunnelcap_esp *esp, const tunnelcap_i_outer *outer,
                                   const tunnelcap_lane *lane, tunnelcap_pkt *pkt,
                                   const tunnelcap_meta *meta, uint8_t next_header,
                                   tunnelcap_i_esp_job *job)
{
    int32_t status;

    if (esp->flags & TUNNELCAP_ESP_ANY_PEER && outer == &esp->outer)
        return TUNNELCAP_E_NEED_SA; /* nobody knows where to */
    job->esp = esp;
    job->outer = outer;
    job->pkt = pkt;
    job->meta = meta;
    job->next_header = next_header;
    job->plain =
        esp->plain && next_header == 0 && tunnelcap_i_meta_plain(meta) && fits_plain(esp, pkt, job);
    if (!job->plain) {
        status = measure(esp, lane, pkt, meta, job);
        if (status != TUNNELCAP_OK)
            return status;
    }
    return esp->selector_count == 0 || next_header != 0 ||
                   tunnelcap_i_esp_permits(esp, pkt->buf + pkt->off, pkt->len)
               ? TUNNELCAP_OK
               : TUNNELCAP_E_SELECTOR;
}

int32_t tunnelcap_i_esp_encap_prepare(tunnelcap_esp *esp, const tunnelcap_i_outer *outer,
                                      const tunnelcap_lane *lane, tunnelcap_pkt *pkt,
                                      const tunnelcap_meta *meta, tunnelcap_i_esp_job *job)
{
    return prepare(esp, outer, lane, pkt, meta, 0, job);
}

/* Number and write jobs of one SA, and list in `ops` what the provider is to do; returns how much
 * that is. */
static uint32_t write_run(tunnelcap_lane *lane, tunnelcap_i_esp_job *jobs, uint32_t count,
                          tunnelcap_crypto_op **ops)
{
    tunnelcap_esp *esp = jobs[0].esp;
    uint64_t bytes = 0;
    uint64_t first;
    uint32_t got = take_numbers(esp, count, &first);

    for (uint32_t i = 0; i < got; i++) {
        jobs[i].seq = first + i;
        if (jobs[i].plain)
            write_plain(esp, lane, &jobs[i]);
        else
            write_packet(esp, lane, &jobs[i]);
        bytes += jobs[i].text_len;
        ops[i] = &jobs[i].op;
    }
    for (uint32_t i = got; i < count; i++)
        jobs[i].pkt->status = esp->end_status;
    if (got > 0)
        (void)TUNNELCAP_I_ADD(esp->bytes, bytes);
    return got;
}

uint32_t tunnelcap_i_esp_encap_run(tunnelcap_lane *lane, uint32_t count)
{
    tunnelcap_i_esp_job *jobs = tunnelcap_i_esp_jobs(lane);
    uint32_t written = 0;
    uint32_t ok = 0;
    uint32_t end;

    for (uint32_t i = 0; i < count; i = end) {
        end = tunnelcap_i_esp_run_end(jobs, i, count);
        written += write_run(lane, &jobs[i], end - i, lane->ops + written);
    }
    if (written == 0)
        return 0;
    lane->crypto->seal(lane->crypto->self, lane->crypto_lane, lane->ops, written);
    for (uint32_t i = 0; i < written; i++) {
        const tunnelcap_i_esp_job *job = (const tunnelcap_i_esp_job *)(void *)lane->ops[i];

        job->pkt->status = finish(job);
        ok += job->pkt->status >= TUNNELCAP_OK;
    }
    return ok;
}

/* Packet i goes by SA i * step. Bursts of any length, in parts that the lane holds. */
TUNNELCAP_I_INLINE uint32_t encap_by(tunnelcap_esp *const *sas, uint32_t step, tunnelcap_lane *lane,
                                     tunnelcap_pkt *pkts, const tunnelcap_meta *meta,
                                     uint32_t stride, uint32_t count, uint8_t next_header)
{
    tunnelcap_i_esp_job *jobs = tunnelcap_i_esp_jobs(lane);
    uint32_t usable = step == 0 && tunnelcap_i_esp_usable(sas[0], lane, TUNNELCAP_ESP_OUT);
    tunnelcap_esp *esp;
    uint32_t fit = 0;
    uint32_t ok = 0;

    for (uint32_t i = 0; i < count; i++) {
        esp = sas[(size_t)i * step];
        if (step != 0) {
            usable = tunnelcap_i_esp_usable(esp, lane, TUNNELCAP_ESP_OUT);
            tunnelcap_i_esp_prefetch(sas, i, count);
        }
        pkts[i].status =
            usable ? prepare(esp, &esp->outer, lane, &pkts[i], tunnelcap_i_meta_at(meta, stride, i),
                             next_header, &jobs[fit])
                   : TUNNELCAP_E_INVALID;
        if (pkts[i].status == TUNNELCAP_OK && ++fit == lane->max_burst) {
            ok += tunnelcap_i_esp_encap_run(lane, fit);
            fit = 0;
        }
    }
    return ok + tunnelcap_i_esp_encap_run(lane, fit);
}

static uint32_t encap(tunnelcap_esp *esp, tunnelcap_lane *lane, tunnelcap_pkt *pkts,
                      const tunnelcap_meta *meta, uint32_t stride, uint32_t count,
                      uint8_t next_header)
{
    return encap_by(&esp, 0, lane, pkts, meta, stride, count, next_header);
}

uint32_t tunnelcap_esp_encap(tunnelcap_esp *esp, tunnelcap_lane *lane, tunnelcap_pkt *pkts,
                             const tunnelcap_meta *meta, uint32_t meta_stride, uint32_t count)
{
    if (esp == NULL || lane == NULL || pkts == NULL)
        return 0;
    return encap(esp, lane, pkts, meta, meta_stride, count, 0);
}

uint32_t tunnelcap_esp_encap_batch(tunnelcap_esp *const *sas, tunnelcap_lane *lane,
                                   tunnelcap_pkt *pkts, const tunnelcap_meta *meta,
                                   uint32_t meta_stride, uint32_t count)
{
    if (sas == NULL || lane == NULL || pkts == NULL)
        return 0;
    return encap_by(sas, 1, lane, pkts, meta, meta_stride, count, 0);
}

/* Copy a packet to where it can be encapsulated in place. */
static int32_t copy_with_room(const tunnelcap_pkt *in, tunnelcap_pkt *out, uint32_t headroom)
{
    if (!tunnelcap_i_pkt_valid(in) || out->buf == NULL)
        return TUNNELCAP_E_INVALID;
    if (out->cap < headroom || out->cap - headroom < in->len)
        return TUNNELCAP_E_TAILROOM;
    out->off = headroom;
    out->len = in->len;
    memcpy(out->buf + headroom, in->buf + in->off, in->len);
    return TUNNELCAP_OK;
}

uint32_t tunnelcap_esp_encap_to(tunnelcap_esp *esp, tunnelcap_lane *lane, const tunnelcap_pkt *in,
                                tunnelcap_pkt *out, const tunnelcap_meta *meta,
                                uint32_t meta_stride, uint32_t count)
{
    uint32_t headroom = tunnelcap_esp_headroom(esp);
    uint32_t ok = 0;
    uint32_t end;

    if (esp == NULL || lane == NULL || in == NULL || out == NULL)
        return 0;
    /* Packets that fit go together; one that does not ends a part. */
    for (uint32_t i = 0; i < count; i = end) {
        for (end = i; end < count; end++) {
            out[end].status = copy_with_room(&in[end], &out[end], headroom);
            if (out[end].status != TUNNELCAP_OK)
                break;
        }
        ok += encap(esp, lane, out + i, tunnelcap_i_meta_at(meta, meta_stride, i), meta_stride,
                    end - i, 0);
        end += end < count;
    }
    return ok;
}

uint32_t tunnelcap_esp_encap_dummy(tunnelcap_esp *esp, tunnelcap_lane *lane, tunnelcap_pkt *pkts,
                                   uint32_t count)
{
    if (esp == NULL || lane == NULL || pkts == NULL)
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        if (tunnelcap_i_pkt_valid(&pkts[i]))
            memset(pkts[i].buf + pkts[i].off, 0, pkts[i].len);
    }
    if (esp->mode == TUNNELCAP_ESP_TUNNEL)
        return encap(esp, lane, pkts, NULL, 0, count, TUNNELCAP_I_PROTO_NONE);
    for (uint32_t i = 0; i < count; i++)
        pkts[i].status = TUNNELCAP_E_INVALID;
    return 0;
}

int32_t tunnelcap_esp_keepalive(const tunnelcap_esp *esp, tunnelcap_pkt *pkt)
{
    uint8_t h[TUNNELCAP_I_HEADER_MAX]; /* the template is longer than what is wanted of it */
    tunnelcap_i_inner inner;
    tunnelcap_lane unused;
    tunnelcap_i_esp_job job;
    uint32_t total;

    if (esp == NULL || pkt == NULL || !tunnelcap_i_pkt_valid(pkt))
        return TUNNELCAP_E_INVALID;
    if (esp->udp_len == 0 || esp->mode != TUNNELCAP_ESP_TUNNEL)
        return TUNNELCAP_E_UNSUPPORTED;
    if (esp->flags & TUNNELCAP_ESP_ANY_PEER)
        return TUNNELCAP_E_NEED_SA;
    total = (uint32_t)esp->outer.ip_len + TUNNELCAP_I_UDP_HEADER + 1;
    if (pkt->cap - pkt->off < total)
        return TUNNELCAP_E_TAILROOM;
    memset(&inner, 0, sizeof(inner));
    memset(&unused, 0, sizeof(unused));
    unused.id_step = 1;
    unused.id_first = 1;
    unused.id_span = 1;
    tunnelcap_i_outer_write(&esp->outer, &unused, &inner, TUNNELCAP_I_PROTO_UDP, total, h);
    tunnelcap_i_store16(h + esp->outer.ip_len + 4, TUNNELCAP_I_UDP_HEADER + 1);
    h[total - 1] = 0xff;
    memcpy(pkt->buf + pkt->off, h, total);
    pkt->len = total;
    job.pkt = pkt;
    job.at = esp->outer.ip_len;
    finish_udp(esp, &job);
    return TUNNELCAP_OK;
}
