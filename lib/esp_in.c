/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "esp.h"

#include "secure.h"

/* Implementation notes. The order of RFC 4303 3.4, each step only if the one before has passed:
 * shape, SPI, replay check, ICV (the provider), replay commit, padding, next header, inner packet.
 * Until the ICV is right nothing has moved but the bytes that were decrypted in place; where a
 * packet is refused after that, they are wiped. This file goes up to the ICV, esp_verified.c on
 * from there. Nearly all packets take a short way through both; any that is not as plain as that,
 * be it right or wrong, is looked at in full, by the same order. */

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
    if (!(esp->forms >> in_udp & 1))
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
TUNNELCAP_I_INLINE void write_op(const tunnelcap_esp *esp, tunnelcap_i_esp_job *job,
                                 uint8_t *header)
{
    uint8_t *iv = header + TUNNELCAP_I_ESP_HEADER;

    tunnelcap_i_esp_place(esp, &job->op, header, job->text_len);
    tunnelcap_i_esp_aad(esp, &job->op, job->seq);
    if (esp->facts.counter_mode) { /* RFC 8750: an implicit IV is the number, 64 bits wide */
        tunnelcap_i_esp_nonce(esp, &job->op,
                              esp->facts.implicit_iv ? job->seq : tunnelcap_i_load64(iv));
        return;
    }
    memset(job->op.nonce, 0, sizeof(job->op.nonce));
    memcpy(job->op.nonce, iv, esp->facts.iv_len);
}

/* The sequence number of which a packet holds the low half; with `ahead`, what
 * tunnelcap_esp_resync() assumes. */
TUNNELCAP_I_INLINE uint64_t seq_of(tunnelcap_esp *esp, uint32_t low, uint32_t ahead)
{
    uint64_t top;

    if (!esp->replay.esn)
        return low;
    top = tunnelcap_i_replay_top(&esp->replay);
    if (ahead != 0)
        return ((top >> 32) + ahead) << 32 | low;
    return tunnelcap_i_replay_infer(&esp->replay, top, low);
}

/* Where a packet came from, in one word, so that lanes can compare it with the last one's without
 * a lock: an IPv4 address and its port fit in, those of IPv6 are hashed. Never 0. */
TUNNELCAP_I_INLINE uint64_t peer_of(const tunnelcap_i_opened *o)
{
    static const tunnelcap_i_flow_key key = {0x243f6a8885a308d3, 0x13198a2e03707344};
    const uint64_t is_ipv4 = (uint64_t)1 << 63;
    uint64_t port = o->in_udp ? o->src_port + 1u : 0;

    if (o->family == TUNNELCAP_IPV4)
        return is_ipv4 | port << 32 | tunnelcap_i_word32(o->src);
    return (tunnelcap_i_hash2(key, tunnelcap_i_load64(o->src) ^ port,
                              tunnelcap_i_load64(o->src + 8)) &
            ~is_ipv4) |
           1;
}

/* Everything that precedes decryption; the packet is not changed. `ahead` is added to the high
 * half of the sequence number: tunnelcap_esp_resync(). */
static int32_t look(tunnelcap_esp *esp, tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                    uint32_t ahead, tunnelcap_i_esp_job *job)
{
    uint8_t *p = pkt->buf + pkt->off;
    uint32_t overhead = (uint32_t)esp->head_len + esp->facts.icv_len;
    uint32_t left;
    int32_t status = open_esp(esp, p, pkt->len, meta, &job->o);

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

    job->seq = seq_of(esp, tunnelcap_i_load32(p + job->o.pos + 4), ahead);
    status = tunnelcap_i_replay_check(&esp->replay, job->seq);
    if (status != TUNNELCAP_OK)
        return status;
    job->peer = peer_of(&job->o);
    write_op(esp, job, p + job->o.pos);
    return TUNNELCAP_OK;
}

/* ---- the path of nearly all packets ---- */

/* What of an outer packet look_plain() keeps to itself. */
typedef struct shape {
    uint32_t pos; /* behind the IP header, then behind UDP */
    uint32_t end;
    uint8_t protocol;
} shape;

/* Whether an IPv4 packet is whole and to us, without options and nothing to ask about. */
TUNNELCAP_I_INLINE uint32_t open_plain4(const tunnelcap_esp *esp, const uint8_t *p, uint32_t len,
                                        shape *s, tunnelcap_i_opened *o)
{
    /* Version and header length; no ECT(1), no CE; neither offset nor "more fragments". */
    static const uint8_t mask[8] = {0xff, 1, [6] = 0x3f, [7] = 0xff}, want[8] = {0x45};

    s->pos = TUNNELCAP_I_IPV4_HEADER;
    s->end = tunnelcap_i_load16(p + 2);
    s->protocol = p[9];
    o->src = p + 12;
    o->family = TUNNELCAP_IPV4;
    o->tos = p[1];
    return (tunnelcap_i_word64(p) & tunnelcap_i_word64(mask)) == tunnelcap_i_word64(want) &&
           s->end <= len &&
           (esp->any_address ||
            (esp->outer.family == TUNNELCAP_IPV4 &&
             tunnelcap_i_word32(p + 16) == tunnelcap_i_word32(esp->outer.match + 4))) &&
           tunnelcap_i_sum20(p) == 0xffff;
}

/* The same for IPv6 without extension headers. */
TUNNELCAP_I_INLINE uint32_t open_plain6(const tunnelcap_esp *esp, const uint8_t *p, uint32_t len,
                                        shape *s, tunnelcap_i_opened *o)
{
    const uint8_t *ours = esp->outer.match + 16;

    s->pos = TUNNELCAP_I_IPV6_HEADER;
    s->end = TUNNELCAP_I_IPV6_HEADER + (uint32_t)tunnelcap_i_load16(p + 4);
    s->protocol = p[6];
    o->src = p + 8;
    o->family = TUNNELCAP_IPV6;
    o->tos = tunnelcap_i_ipv6_class(p);
    return p[0] >> 4 == 6 && s->end <= len && !(o->tos & 1) &&
           (esp->any_address ||
            (esp->outer.family == TUNNELCAP_IPV6 &&
             ((tunnelcap_i_word64(p + 24) ^ tunnelcap_i_word64(ours)) |
              (tunnelcap_i_word64(p + 32) ^ tunnelcap_i_word64(ours + 8))) == 0));
}

/* look() for a packet that is as nearly all are: IPv4 or IPv6 without options or extension
 * headers, whole, with an ECN of no effect, bare or in UDP without checksum, its number new. 0 for
 * any other, be it right or wrong: it is looked at in full. */
TUNNELCAP_I_INLINE uint32_t look_plain(tunnelcap_esp *esp, tunnelcap_pkt *pkt,
                                       tunnelcap_i_esp_job *job)
{
    tunnelcap_i_opened *o = &job->o;
    uint8_t *p = pkt->buf + pkt->off;
    uint32_t overhead = (uint32_t)esp->head_len + esp->facts.icv_len;
    uint32_t least = TUNNELCAP_I_UDP_HEADER + TUNNELCAP_I_ESP_TRAILER + overhead;
    shape s;

    if (pkt->len < TUNNELCAP_I_IPV6_HEADER + least)
        return 0; /* so that all that follows is there; no whole packet in ESP is as short */
    if (!open_plain4(esp, p, pkt->len, &s, o) && !open_plain6(esp, p, pkt->len, &s, o))
        return 0;
    if (s.end < s.pos + least)
        return 0;
    p += s.pos;
    o->tos_known = 1;
    o->in_udp = s.protocol == TUNNELCAP_I_PROTO_UDP;
    if (o->in_udp) {
        o->src_port = tunnelcap_i_load16(p);
        o->dst_port = tunnelcap_i_load16(p + 2);
        if (o->dst_port != esp->udp_dst_port || tunnelcap_i_load16(p + 4) != s.end - s.pos ||
            tunnelcap_i_load16(p + 6) != 0)
            return 0;
        s.pos += TUNNELCAP_I_UDP_HEADER;
        p += TUNNELCAP_I_UDP_HEADER;
    } else if (s.protocol != TUNNELCAP_I_PROTO_ESP) {
        return 0;
    }
    if (!(esp->forms >> o->in_udp & 1) || tunnelcap_i_load32(p) != esp->spi)
        return 0;
    job->text_len = s.end - s.pos - overhead;
    job->seq = seq_of(esp, tunnelcap_i_load32(p + 4), 0);
    if (tunnelcap_i_replay_check(&esp->replay, job->seq) != TUNNELCAP_OK)
        return 0;
    job->peer = peer_of(o);
    write_op(esp, job, p);
    return 1;
}

/* ---- bursts ---- */

TUNNELCAP_I_INLINE int32_t prepare(tunnelcap_esp *esp, tunnelcap_pkt *pkt,
                                   const tunnelcap_meta *meta, uint32_t ahead,
                                   tunnelcap_i_esp_job *job)
{
    if (!tunnelcap_i_pkt_valid(pkt))
        return TUNNELCAP_E_INVALID;
    job->esp = esp;
    job->pkt = pkt;
    job->rx = NULL;
    job->plain =
        esp->plain && ahead == 0 && tunnelcap_i_meta_plain(meta) && look_plain(esp, pkt, job);
    return job->plain ? TUNNELCAP_OK : look(esp, pkt, meta, ahead, job);
}

int32_t tunnelcap_i_esp_decap_prepare(tunnelcap_esp *esp, tunnelcap_pkt *pkt,
                                      const tunnelcap_meta *meta, tunnelcap_i_esp_job *job)
{
    return prepare(esp, pkt, meta, 0, job);
}

uint32_t tunnelcap_i_esp_decap_run(tunnelcap_lane *lane, uint32_t count)
{
    tunnelcap_i_esp_job *jobs = tunnelcap_i_esp_jobs(lane);
    uint32_t ok = 0;
    uint32_t end;

    if (count == 0)
        return 0;
    for (uint32_t i = 0; i < count; i++)
        lane->ops[i] = &jobs[i].op;
    lane->crypto->unseal(lane->crypto->self, lane->crypto_lane, lane->ops, count);
    for (uint32_t i = 0; i < count; i = end) {
        end = tunnelcap_i_esp_run_end(jobs, i, count);
        ok += tunnelcap_i_esp_verified(&jobs[i], end - i);
    }
    return ok;
}

/* Packet i goes by SA i * step. Bursts of any length, in parts that the lane holds. */
TUNNELCAP_I_INLINE uint32_t decap_by(tunnelcap_esp *const *sas, uint32_t step, tunnelcap_lane *lane,
                                     tunnelcap_pkt *pkts, const tunnelcap_meta *meta,
                                     uint32_t stride, tunnelcap_esp_rx *rx, uint32_t count,
                                     uint32_t ahead)
{
    tunnelcap_i_esp_job *jobs = tunnelcap_i_esp_jobs(lane);
    uint32_t usable = step == 0 && tunnelcap_i_esp_usable(sas[0], lane, TUNNELCAP_ESP_IN);
    tunnelcap_esp *esp;
    uint32_t fit = 0;
    uint32_t ok = 0;

    for (uint32_t i = 0; i < count; i++) {
        esp = sas[(size_t)i * step];
        if (step != 0) {
            usable = tunnelcap_i_esp_usable(esp, lane, TUNNELCAP_ESP_IN);
            tunnelcap_i_esp_prefetch(sas, i, count);
        }
        pkts[i].status =
            usable ? prepare(esp, &pkts[i], tunnelcap_i_meta_at(meta, stride, i), ahead, &jobs[fit])
                   : TUNNELCAP_E_INVALID;
        if (pkts[i].status != TUNNELCAP_OK)
            continue;
        jobs[fit].rx = rx == NULL ? NULL : &rx[i];
        if (++fit == lane->max_burst) {
            ok += tunnelcap_i_esp_decap_run(lane, fit);
            fit = 0;
        }
    }
    return ok + tunnelcap_i_esp_decap_run(lane, fit);
}

static uint32_t decap(tunnelcap_esp *esp, tunnelcap_lane *lane, tunnelcap_pkt *pkts,
                      const tunnelcap_meta *meta, uint32_t stride, tunnelcap_esp_rx *rx,
                      uint32_t count, uint32_t ahead)
{
    return decap_by(&esp, 0, lane, pkts, meta, stride, rx, count, ahead);
}

uint32_t tunnelcap_esp_decap(tunnelcap_esp *esp, tunnelcap_lane *lane, tunnelcap_pkt *pkts,
                             const tunnelcap_meta *meta, uint32_t meta_stride, tunnelcap_esp_rx *rx,
                             uint32_t count)
{
    if (esp == NULL || lane == NULL || pkts == NULL)
        return 0;
    return decap(esp, lane, pkts, meta, meta_stride, rx, count, 0);
}

uint32_t tunnelcap_esp_decap_batch(tunnelcap_esp *const *sas, tunnelcap_lane *lane,
                                   tunnelcap_pkt *pkts, const tunnelcap_meta *meta,
                                   uint32_t meta_stride, tunnelcap_esp_rx *rx, uint32_t count)
{
    if (sas == NULL || lane == NULL || pkts == NULL)
        return 0;
    return decap_by(sas, 1, lane, pkts, meta, meta_stride, rx, count, 0);
}

/* Copy a packet to where it can be decapsulated in place. */
static int32_t copy_whole(const tunnelcap_pkt *in, tunnelcap_pkt *out)
{
    if (!tunnelcap_i_pkt_valid(in) || out->buf == NULL)
        return TUNNELCAP_E_INVALID;
    if (out->cap < in->len)
        return TUNNELCAP_E_TAILROOM;
    out->off = 0;
    out->len = in->len;
    memcpy(out->buf, in->buf + in->off, in->len);
    return TUNNELCAP_OK;
}

uint32_t tunnelcap_esp_decap_to(tunnelcap_esp *esp, tunnelcap_lane *lane, const tunnelcap_pkt *in,
                                tunnelcap_pkt *out, const tunnelcap_meta *meta,
                                uint32_t meta_stride, tunnelcap_esp_rx *rx, uint32_t count)
{
    uint32_t ok = 0;
    uint32_t end;

    if (esp == NULL || lane == NULL || in == NULL || out == NULL)
        return 0;
    /* Packets that fit go together; one that does not ends a part. */
    for (uint32_t i = 0; i < count; i = end) {
        for (end = i; end < count; end++) {
            out[end].status = copy_whole(&in[end], &out[end]);
            if (out[end].status != TUNNELCAP_OK)
                break;
        }
        ok += decap(esp, lane, out + i, tunnelcap_i_meta_at(meta, meta_stride, i), meta_stride,
                    rx == NULL ? NULL : rx + i, end - i, 0);
        end += end < count;
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
