/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Any bytes into tunnelcap_mss_clamp(), compared with a model that sums whole segments.
 *
 * Input: options, l3_offset, limit4 (2), limit6 (2), insert4 (2), insert6 (2), headroom,
 * tailroom, packet.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "reference.h"

/* Bits of `options`. */
enum { BELOW_FLOOR = 1, PARTIAL = 2, REPAIR = 4, UNKNOWN_FLAG = 8 };

enum { TCP = 6, TCP_CHECKSUM = 16, OPTION_MSS = 2, OPTION_MD5 = 19, OPTION_AO = 29 };

static const int32_t statuses[] = {
    TUNNELCAP_MSS_CLAMPED,   TUNNELCAP_MSS_INSERTED, TUNNELCAP_MSS_SMALL, TUNNELCAP_MSS_ABSENT,
    TUNNELCAP_MSS_PROTECTED, TUNNELCAP_MSS_NO_ROOM,  TUNNELCAP_NOT_SYN,   TUNNELCAP_FRAGMENT,
    TUNNELCAP_E_TRUNCATED,   TUNNELCAP_E_MALFORMED,  TUNNELCAP_E_INVALID, FUZZ_END};

/* What the options of a SYN hold. */
struct options {
    bool malformed; /* up to here the rest of this struct holds */
    bool ao, md5;
    uint32_t mss_count;
    uint32_t mss_at[20]; /* offsets of the values from the TCP header */
};

/* The model's answer. Two statuses may be right where a packet is wrong in two ways. */
struct expected {
    int32_t status, other;
    struct reference_ip ip;
    uint32_t limit, insert;
    struct options options;
};

static struct options read_options(const uint8_t *tcp, uint32_t header)
{
    struct options found = {.malformed = false};
    uint32_t at = 20;

    while (at < header && tcp[at] != 0) {
        uint32_t size = tcp[at] == 1 ? 1 : at + 1 < header ? tcp[at + 1] : 0;

        if (size == 0 || (size == 1 && tcp[at] != 1) || at + size > header ||
            (tcp[at] == OPTION_MSS && size != 4)) {
            found.malformed = true;
            break;
        }
        if (tcp[at] == OPTION_MSS)
            found.mss_at[found.mss_count++] = at + 2;
        found.ao |= tcp[at] == OPTION_AO;
        found.md5 |= tcp[at] == OPTION_MD5;
        at += size;
    }
    return found;
}

static int32_t expect_absent(const struct expected *e, const struct fuzz_packet *packet,
                             uint32_t header)
{
    /* A fragment that grows would overlap the next one. */
    if (e->insert == 0 || e->ip.fragment)
        return TUNNELCAP_MSS_ABSENT;
    if (e->options.md5)
        return TUNNELCAP_MSS_PROTECTED;
    if (header == 60 || packet->before.off < 4 ||
        e->ip.end - (e->ip.version == 6 ? 40 : 0) > 65535 - 4)
        return TUNNELCAP_MSS_NO_ROOM;
    return TUNNELCAP_MSS_INSERTED;
}

static void expect_syn(struct expected *e, const struct fuzz_packet *packet, const uint8_t *tcp,
                       uint32_t header)
{
    e->options = read_options(tcp, header);
    e->status = TUNNELCAP_MSS_SMALL;
    for (uint32_t i = 0; i < e->options.mss_count; i++)
        if (reference_load16(tcp + e->options.mss_at[i]) > e->limit)
            e->status = TUNNELCAP_MSS_CLAMPED;
    if (e->options.mss_count == 0)
        e->status = expect_absent(e, packet, header);
    if (e->options.ao)
        e->status = TUNNELCAP_MSS_PROTECTED;
    e->other = e->status;
    if (e->options.malformed && e->options.mss_count == 0)
        e->status = TUNNELCAP_E_MALFORMED;
}

static uint32_t at_most(uint32_t value, uint32_t bound)
{
    return value < bound ? value : bound;
}

static uint32_t at_least(uint32_t value, uint32_t bound)
{
    return value > bound ? value : bound;
}

static void set_limits(struct expected *e, const tunnelcap_mss_config *config)
{
    bool ipv6 = e->ip.version == 6;
    uint32_t floor = ipv6 ? TUNNELCAP_MSS_FLOOR6 : TUNNELCAP_MSS_FLOOR4;

    e->limit = ipv6 ? config->limit6 : config->limit4;
    if (e->limit != 0 && !(config->flags & TUNNELCAP_MSS_BELOW_FLOOR))
        e->limit = at_least(e->limit, floor);
    e->insert = at_most(at_most(ipv6 ? config->insert6 : config->insert4, floor), e->limit);
}

static struct expected expect(const tunnelcap_mss_config *config, const struct fuzz_packet *packet)
{
    struct expected e = {.status = TUNNELCAP_E_TRUNCATED, .other = TUNNELCAP_E_MALFORMED};
    uint32_t l3 = config->l3_offset;
    const uint8_t *p, *tcp;
    uint32_t there, header;

    if (l3 > packet->before.len)
        return e;
    p = packet->copy + packet->before.off + l3;
    there = packet->before.len - l3;
    if (!reference_ip_parse(p, there, &e.ip)) {
        /* A family that is left alone need not be read further than its version. */
        if (there > 0 &&
            ((p[0] / 16 == 4 && config->limit4 == 0) || (p[0] / 16 == 6 && config->limit6 == 0)))
            e.status = TUNNELCAP_NOT_SYN;
        return e;
    }
    set_limits(&e, config);
    e.status = e.other = TUNNELCAP_NOT_SYN;
    if (!e.ip.first)
        e.status = TUNNELCAP_FRAGMENT;
    if (!e.ip.first || e.ip.protocol != TCP || e.limit == 0)
        return e;

    tcp = p + e.ip.upper;
    there = at_most(there, e.ip.end) - e.ip.upper;
    e.status = TUNNELCAP_E_TRUNCATED;
    e.other = TUNNELCAP_E_MALFORMED;
    if (there < 20)
        return e;
    header = tcp[12] / 16 * 4U;
    if (header >= 20 && header <= there)
        e.status = e.other = TUNNELCAP_NOT_SYN;
    if (!(tcp[13] & 2))
        e.status = TUNNELCAP_NOT_SYN;
    else if (e.other == TUNNELCAP_NOT_SYN)
        expect_syn(&e, packet, tcp, header);
    return e;
}

/* Change the copy as the model would, checksums aside, which are taken from the library. */
static void apply(const struct expected *e, struct fuzz_packet *packet, uint32_t l3)
{
    uint8_t *start = packet->copy + packet->before.off;
    const uint8_t *now = fuzz_packet_start(packet) + l3;
    uint8_t *ip = start + l3;
    uint8_t *tcp = ip + e->ip.upper;

    if (e->status == TUNNELCAP_MSS_INSERTED) {
        const uint8_t option[4] = {OPTION_MSS, 4, (uint8_t)(e->insert >> 8), (uint8_t)e->insert};
        uint8_t *len = e->ip.version == 4 ? ip - 4 + 2 : ip - 4 + 4;

        memmove(start - 4, start, l3 + e->ip.upper + 20);
        memcpy(tcp + 16, option, sizeof(option));
        ip -= 4;
        tcp -= 4;
        tcp[12] = (uint8_t)(tcp[12] + 0x10);
        reference_store16(len, reference_load16(len) + 4);
        if (e->ip.version == 4)
            memcpy(ip + 10, now + 10, 2);
    }
    for (uint32_t i = 0; i < e->options.mss_count; i++)
        reference_store16(tcp + e->options.mss_at[i],
                          at_most(reference_load16(tcp + e->options.mss_at[i]), e->limit));
    memcpy(tcp + TCP_CHECKSUM, now + e->ip.upper + TCP_CHECKSUM, 2);
}

/* Sum of the TCP segment with its pseudo-header. With a partial checksum: of the checksum field
 * and the complement of the pseudo-header. Neither may change, be it right or wrong. */
static uint32_t tcp_sum(const uint8_t *ip, uint32_t there, bool partial)
{
    struct reference_ip facts;
    uint32_t pseudo;

    FUZZ_CHECK(reference_ip_parse(ip, there, &facts));
    pseudo = reference_pseudo(facts.addresses, facts.address_len, TCP, facts.end - facts.upper);
    if (partial)
        return reference_sum(ip + facts.upper + TCP_CHECKSUM, 2, 0xffff - pseudo);
    return reference_sum(ip + facts.upper, at_most(there, facts.end) - facts.upper, pseudo);
}

static void check_changed(const struct expected *e, struct fuzz_packet *packet, uint32_t l3,
                          bool partial)
{
    uint32_t grown = e->status == TUNNELCAP_MSS_INSERTED ? 4 : 0;
    const uint8_t *was = packet->copy + packet->before.off + l3;
    const uint8_t *now;
    uint32_t header = e->ip.version == 4 ? e->ip.upper : 0;

    FUZZ_CHECK(packet->pkt.off == packet->before.off - grown);
    FUZZ_CHECK(packet->pkt.len == packet->before.len + grown);
    now = fuzz_packet_start(packet) + l3;
    FUZZ_CHECK(reference_sum(now, header, 0) == reference_sum(was, header, 0));
    FUZZ_CHECK(tcp_sum(now, packet->pkt.len - l3, partial) ==
               tcp_sum(was, packet->before.len - l3, partial));
    apply(e, packet, l3);
    FUZZ_CHECK(memcmp(packet->copy, packet->pkt.buf, packet->pkt.cap) == 0);
}

static uint32_t configure(struct fuzz_input *in, tunnelcap_mss_config *config)
{
    uint32_t options = fuzz_u8(in);

    FUZZ_CHECK(tunnelcap_mss_config_init(config, sizeof(*config), 1476) == TUNNELCAP_OK);
    FUZZ_CHECK(config->limit4 == 1436 && config->limit6 == 1416);
    config->flags = options & BELOW_FLOOR ? TUNNELCAP_MSS_BELOW_FLOOR : 0;
    if (options & UNKNOWN_FLAG)
        config->flags |= 0x80000000;
    config->l3_offset = fuzz_u8(in) % 32U;
    config->limit4 = fuzz_u16(in);
    config->limit6 = fuzz_u16(in);
    config->insert4 = fuzz_u16(in);
    config->insert6 = fuzz_u16(in);
    return options;
}

static void check_outcome(const tunnelcap_mss_config *config, struct fuzz_packet *packet,
                          uint32_t changed, bool partial)
{
    int32_t status = packet->pkt.status;
    struct expected e;

    FUZZ_CHECK(changed == (status == TUNNELCAP_MSS_CLAMPED || status == TUNNELCAP_MSS_INSERTED));
    fuzz_packet_check_window(packet);
    if (config->flags & 0x80000000) {
        FUZZ_CHECK(status == TUNNELCAP_E_FLAGS);
        fuzz_packet_check_unchanged(packet);
        return;
    }
    fuzz_check_status(status, statuses);
    e = expect(config, packet);
    /* Only which of the errors it is is left open: a cut header may be called either. */
    FUZZ_CHECK(status == e.status || status == e.other || (status < 0 && e.other < 0));
    e.status = status;
    if (changed)
        check_changed(&e, packet, config->l3_offset, partial);
    else
        fuzz_packet_check_unchanged(packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct fuzz_input in = {bytes, len};
    tunnelcap_mss_config config;
    tunnelcap_meta meta = {.flags = TUNNELCAP_META_CSUM_PARTIAL, .csum_offset = TCP_CHECKSUM};
    const tunnelcap_addr none = {.family = 0};
    struct fuzz_packet packet;
    struct reference_ip ip;
    uint32_t options = configure(&in, &config);
    uint32_t head = fuzz_u8(&in) % 16U;
    uint32_t tail = fuzz_u8(&in) % 16U;
    uint32_t l3 = config.l3_offset;
    uint32_t changed;
    bool partial;

    fuzz_packet_init(&packet, in.bytes, in.left, head, tail);
    if ((options & REPAIR) && l3 < packet.pkt.len)
        reference_repair(fuzz_packet_start(&packet) + l3, packet.pkt.len - l3,
                         REPAIR_LENGTH | REPAIR_IPV4_CHECKSUM, &none, &none);
    fuzz_packet_snapshot(&packet);
    partial = (options & PARTIAL) && l3 < packet.pkt.len &&
              reference_ip_parse(fuzz_packet_start(&packet) + l3, packet.pkt.len - l3, &ip);
    if (partial)
        meta.csum_start = (uint16_t)(l3 + ip.upper);

    changed = tunnelcap_mss_clamp(&config, &packet.pkt, partial ? &meta : NULL, 0, 1);
    check_outcome(&config, &packet, changed, partial);
    fuzz_packet_fini(&packet);
    return 0;
}
