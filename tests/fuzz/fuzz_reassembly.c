/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Fragments of a few datagrams at once, in any order, and packets of any bytes between them,
 * compared with a list of what has come.
 *
 * Input: the room of the output buffer (2), then steps. The first byte of a step says how: datagram
 * (3 bits, the lowest is the family), M bit, whether to jump in time, whether offset and length are
 * those of an earlier fragment, whether the step is raw instead, whether the length may be large.
 * Then offset in units (2), length (2), ECN (1); or, raw, a length (1) and that many bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

enum {
    SETS = 8,
    FRAGMENTS = 512,
    DATA_MAX = 65536,
    HEADROOM = 16,
    UDP = 17,
    FRAGMENT = 44,
    MORE = 8,
    JUMP = 16,
    AGAIN = 32,
    RAW = 64,
    LARGE = 128
};

static const uint64_t timeout_ns = 30000000000u;

struct piece {
    uint32_t off, len;
    bool more;
};

static struct model {
    uint64_t born_ns;
    int32_t status; /* why it was discarded */
    uint32_t count;
    uint32_t ecns;
    struct piece pieces[FRAGMENTS];
    uint8_t data[DATA_MAX];
} models[SETS];

static uint8_t out_bytes[HEADROOM + DATA_MAX + 64];

static bool same(const struct piece *a, const struct piece *b)
{
    return a->off == b->off && a->len == b->len && a->more == b->more;
}

/* What the length of the datagram is by one piece, and whether another one fits that. */
static bool agree(const struct piece *a, const struct piece *b)
{
    uint32_t a_end = a->off + a->len, b_end = b->off + b->len;

    if (!a->more && !b->more)
        return a_end == b_end;
    if (!a->more)
        return b_end < a_end;
    return b->more || a_end < b_end;
}

/* The status that a fragment should get, and what it makes of its set. */
static int32_t model_add(struct model *m, const struct piece *piece, uint32_t ecn)
{
    uint32_t total = piece->more ? 0 : piece->off + piece->len;
    uint32_t got = piece->len;
    bool agreed = true;

    if (m->status != TUNNELCAP_OK)
        return m->status;
    for (uint32_t i = 0; i < m->count; i++) {
        const struct piece *other = &m->pieces[i];

        if (same(other, piece))
            return TUNNELCAP_KEPT;
    }
    for (uint32_t i = 0; i < m->count; i++) {
        const struct piece *other = &m->pieces[i];

        if (piece->off < other->off + other->len && other->off < piece->off + piece->len)
            return m->status = TUNNELCAP_E_OVERLAP;
        agreed = agreed && agree(other, piece);
        got += other->len;
        if (!other->more)
            total = other->off + other->len;
    }
    if (!agreed)
        return m->status = TUNNELCAP_E_MALFORMED;
    m->ecns |= 1u << ecn;
    if ((m->ecns & 9) == 9)
        return m->status = TUNNELCAP_E_ECN;
    m->pieces[m->count++] = *piece;
    return got == total ? TUNNELCAP_OK : TUNNELCAP_KEPT;
}

/* Bytes that no two fragments share, so that the wrong ones are seen. */
static void fill(uint8_t *to, uint32_t len, uint32_t step)
{
    for (uint32_t i = 0; i < len; i++)
        to[i] = (uint8_t)(i * 31 + step * 101 + (i >> 8));
}

static uint32_t build(uint8_t *p, uint32_t which, const struct piece *piece, uint32_t ecn,
                      uint32_t step)
{
    bool ipv6 = which & 1;
    uint32_t header = ipv6 ? 48 : 20;
    tunnelcap_addr src = fuzz_remote(ipv6), dst = fuzz_local(ipv6);
    uint32_t total = ipv6 ? 8 + piece->len : header + piece->len;

    memset(p, 0, header);
    if (ipv6) {
        p[0] = 0x60;
        p[1] = (uint8_t)(ecn << 4);
        p[6] = FRAGMENT;
        memcpy(p + 8, src.bytes, 16);
        memcpy(p + 24, dst.bytes, 16);
        p[40] = UDP;
        p[42] = (uint8_t)(piece->off >> 8);
        p[43] = (uint8_t)((piece->off & 0xf8) | piece->more);
        p[47] = (uint8_t)which;
        p[4] = (uint8_t)(total >> 8);
        p[5] = (uint8_t)total;
    } else {
        p[0] = 0x45;
        p[1] = (uint8_t)ecn;
        p[2] = (uint8_t)(total >> 8);
        p[3] = (uint8_t)total;
        p[5] = (uint8_t)which;
        p[6] = (uint8_t)((piece->more ? 0x20 : 0) | piece->off >> 11);
        p[7] = (uint8_t)(piece->off >> 3);
        p[9] = UDP;
        memcpy(p + 12, src.bytes, 4);
        memcpy(p + 16, dst.bytes, 4);
    }
    fill(p + header, piece->len, step);
    return header + piece->len;
}

/* Whether a fragment is right in itself, as the sizes go. */
static bool is_possible(const struct piece *piece, bool ipv6)
{
    return piece->len != 0 && (!piece->more || piece->len % 8 == 0) &&
           piece->off + piece->len + (ipv6 ? 0 : 20) <= 65535;
}

static void check_whole(const struct model *m, const tunnelcap_pkt *out, bool ipv6)
{
    uint32_t header = ipv6 ? 40 : 20;
    const uint8_t *p = out->buf + out->off;
    uint32_t len = 0;

    for (uint32_t i = 0; i < m->count; i++)
        len += m->pieces[i].len;
    FUZZ_CHECK(out->len == header + len);
    FUZZ_CHECK(memcmp(p + header, m->data, len) == 0);
    FUZZ_CHECK(p[ipv6 ? 6 : 9] == UDP);
    FUZZ_CHECK((uint32_t)(p[ipv6 ? 4 : 2] << 8 | p[ipv6 ? 5 : 3]) == (ipv6 ? len : header + len));
    FUZZ_CHECK(ipv6 || (p[6] | p[7]) == 0);
    if (m->ecns & 8)
        FUZZ_CHECK((ipv6 ? p[1] >> 4 : p[1]) == 3);
}

/* Give it to the object, and see what holds for every packet. What is raw goes to another VRF, so
 * that it cannot be taken for a fragment that the model knows. */
static int32_t add(tunnelcap_reassembly *r, const uint8_t *bytes, uint32_t len, uint64_t now_ns,
                   uint32_t vrf, tunnelcap_pkt *out)
{
    const tunnelcap_meta meta = {.flags = TUNNELCAP_META_CSUM_VALID, .vrf = vrf};
    tunnelcap_pkt before = *out;
    struct fuzz_packet packet;
    uint32_t need;
    int32_t status;

    fuzz_packet_init(&packet, bytes, len, 0, 0);
    need = tunnelcap_reassembly_need(r, &packet.pkt, &meta, now_ns);
    status = tunnelcap_reassembly_add(r, &packet.pkt, &meta, now_ns, out);
    fuzz_packet_check_unchanged(&packet);
    FUZZ_CHECK((need != 0) == (status == TUNNELCAP_OK || status == TUNNELCAP_E_TAILROOM));
    FUZZ_CHECK((status == TUNNELCAP_E_TAILROOM) == (need > out->cap - out->off));
    FUZZ_CHECK(out->len == (status == TUNNELCAP_OK ? need : before.len));
    FUZZ_CHECK(out->buf == before.buf && out->cap == before.cap && out->off == before.off);
    fuzz_packet_fini(&packet);
    return status;
}

static void raw_step(tunnelcap_reassembly *r, struct fuzz_input *in, uint64_t now_ns,
                     tunnelcap_pkt *out)
{
    static const int32_t allowed[] = {TUNNELCAP_OK,          TUNNELCAP_WHOLE,
                                      TUNNELCAP_KEPT,        TUNNELCAP_E_TRUNCATED,
                                      TUNNELCAP_E_MALFORMED, TUNNELCAP_E_TINY_FRAGMENT,
                                      TUNNELCAP_E_OVERLAP,   TUNNELCAP_E_ECN,
                                      TUNNELCAP_E_TAILROOM,  FUZZ_END};
    uint32_t len = fuzz_u8(in);

    if (len > in->left)
        len = (uint32_t)in->left;
    fuzz_check_status(add(r, in->bytes, len, now_ns, 1, out), allowed);
    in->bytes += len;
    in->left -= len;
}

static void fragment_step(tunnelcap_reassembly *r, struct fuzz_input *in, uint32_t how,
                          uint32_t step, uint64_t now_ns, tunnelcap_pkt *out)
{
    static uint8_t packet[48 + DATA_MAX];
    uint32_t which = how & (SETS - 1);
    bool ipv6 = which & 1;
    struct model *m = &models[which];
    struct piece piece = {fuzz_u16(in) & 0x1fffu, fuzz_u16(in), how & MORE};
    uint32_t ecn = fuzz_u8(in) & 3, count, len;
    int32_t status;

    piece.off *= 8;
    if (!(how & LARGE))
        piece.len &= 0x3ff;
    if ((how & AGAIN) && m->count > 0) {
        piece.off = m->pieces[piece.len % m->count].off;
        piece.len = m->pieces[piece.len % m->count].len;
    }
    if (piece.len > (ipv6 ? 65527u : 65515u) || m->count == FRAGMENTS)
        return;
    len = build(packet, which, &piece, ecn, step);
    status = add(r, packet, len, now_ns, 0, out);
    if (piece.off == 0 && !piece.more) {
        FUZZ_CHECK(status == TUNNELCAP_WHOLE);
        return;
    }
    if (!is_possible(&piece, ipv6)) {
        FUZZ_CHECK(status == TUNNELCAP_E_MALFORMED);
        return;
    }
    if (now_ns - m->born_ns >= timeout_ns || (m->count == 0 && m->status == TUNNELCAP_OK)) {
        m->born_ns = now_ns;
        m->count = 0;
        m->ecns = 0;
        m->status = TUNNELCAP_OK;
    }
    if (status == TUNNELCAP_E_TAILROOM) { /* once more, with room: nothing has changed */
        tunnelcap_pkt large = {out_bytes, sizeof(out_bytes), HEADROOM, 0, 0, NULL};

        status = add(r, packet, len, now_ns, 0, &large);
        *out = large;
    }
    count = m->count;
    FUZZ_CHECK(status == model_add(m, &piece, ecn));
    if (m->count > count)
        memcpy(m->data + piece.off, packet + (ipv6 ? 48 : 20), piece.len);
    if (status != TUNNELCAP_OK)
        return;
    check_whole(m, out, ipv6);
    m->count = 0;
}

/* An object with more memory than all steps can fill, in memory that is got once: much of it. */
static tunnelcap_reassembly *open_object(void)
{
    static const uint8_t seed[TUNNELCAP_SEED_SIZE] = {3};
    static void *mem;
    tunnelcap_reassembly_config config;
    tunnelcap_reassembly *r = NULL;
    size_t size;

    FUZZ_CHECK(tunnelcap_reassembly_config_init(&config, sizeof(config)) == TUNNELCAP_OK);
    config.sets = 512;
    config.bytes = 1 << 20;
    config.source_share = 100;
    size = tunnelcap_reassembly_size(&config);
    if (mem == NULL)
        mem = aligned_alloc(64, size);
    FUZZ_CHECK(tunnelcap_reassembly_init(mem, size, &config, seed, &r) == TUNNELCAP_OK);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct fuzz_input in = {bytes, len};
    tunnelcap_reassembly *r = open_object();
    uint64_t now_ns = 0;
    uint32_t room = fuzz_u16(&in);

    for (uint32_t i = 0; i < SETS; i++) {
        models[i].count = 0;
        models[i].ecns = 0;
        models[i].status = TUNNELCAP_OK;
        models[i].born_ns = 0;
    }
    for (uint32_t step = 0; in.left > 0 && step < 400; step++) {
        tunnelcap_pkt out = {out_bytes, HEADROOM + room, HEADROOM, 7, 0, NULL};
        uint32_t how = fuzz_u8(&in);

        if (how & JUMP)
            now_ns += timeout_ns / 3;
        if (how & RAW)
            raw_step(r, &in, now_ns, &out);
        else
            fragment_step(r, &in, how, step, now_ns, &out);
    }
    tunnelcap_reassembly_expire(r, UINT64_MAX, NULL, NULL);
    tunnelcap_reassembly_fini(r);
    return 0;
}
