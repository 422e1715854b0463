/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Any bytes into tunnelcap_fragment_begin(); what comes out is put together again by a model.
 *
 * Input: options, mtu (2), id (4), growth (2), csum_start (2), csum_offset (2), packet. Growth is
 * how many zero bytes follow the packet: inputs are short, and IPv6 is split from 1280 bytes on.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "reference.h"

/* Bits of `options`. */
enum {
    CLEAR_DF = 1,
    AS_SOURCE = 2,
    UNKNOWN_FLAG = 4,
    META = 8,
    PARTIAL = 16,
    GSO = 32,
    REPAIR = 64
};

enum { GROWTH_MAX = 5000, FRAGMENT = 44 };

static const int32_t statuses[] = {TUNNELCAP_OK,          TUNNELCAP_E_TOO_BIG,
                                   TUNNELCAP_E_TRUNCATED, TUNNELCAP_E_MALFORMED,
                                   TUNNELCAP_E_CHECKSUM,  TUNNELCAP_E_UNSUPPORTED,
                                   TUNNELCAP_E_INVALID,   TUNNELCAP_E_FLAGS,
                                   TUNNELCAP_E_RANGE,     FUZZ_END};

/* What has come out so far. */
struct joined {
    uint8_t bytes[70000];
    uint32_t len;
    uint32_t offset; /* of the first fragment */
    bool more;
};

/* Where a fragment's payload begins, and where it stands. */
static uint32_t read_fragment(const uint8_t *p, uint32_t len, uint32_t *offset, bool *more)
{
    uint32_t at = 40, next = p[6];

    if (p[0] / 16 == 4) {
        uint32_t header = p[0] % 16 * 4U;

        FUZZ_CHECK(reference_load16(p + 2) == len);
        FUZZ_CHECK(reference_sum(p, header, 0) == 0xffff);
        *offset = reference_load16(p + 6) % 0x2000 * 8;
        *more = reference_load16(p + 6) & 0x2000;
        return header;
    }
    FUZZ_CHECK(reference_load16(p + 4) + 40U == len);
    while (next != FRAGMENT) {
        next = p[at];
        at += (p[at + 1] + 1U) * 8;
        FUZZ_CHECK(at + 8 <= len);
    }
    *offset = reference_load16(p + at + 2) / 8 * 8;
    *more = p[at + 3] & 1;
    return at + 8;
}

static void append(struct joined *joined, const uint8_t *p, uint32_t len, bool first, bool last)
{
    uint32_t offset;
    bool more;
    uint32_t header = read_fragment(p, len, &offset, &more);

    if (first)
        joined->offset = offset;
    FUZZ_CHECK(offset == joined->offset + joined->len);
    FUZZ_CHECK(len > header && (last || ((len - header) % 8 == 0 && more)));
    memcpy(joined->bytes + joined->len, p + header, len - header);
    joined->len += len - header;
    joined->more = more;
}

/* The packet as it was, with its checksum finished. */
static uint32_t expect(struct fuzz_packet *packet, const tunnelcap_meta *meta)
{
    uint8_t *p = packet->copy + packet->before.off;
    uint32_t total = reference_load16(p + 2), sum;

    if (p[0] / 16 == 6)
        total = reference_load16(p + 4) + 40U;
    if (meta != NULL && (meta->flags & TUNNELCAP_META_CSUM_PARTIAL)) {
        sum = reference_sum(p + meta->csum_start, total - meta->csum_start, 0) ^ 0xffff;
        reference_store16(p + meta->csum_start + meta->csum_offset, sum == 0 ? 0xffff : sum);
    }
    return total;
}

static void check_split(struct fuzz_packet *packet, const tunnelcap_meta *meta,
                        tunnelcap_fragments *it, uint32_t mtu)
{
    static struct joined joined;
    uint32_t count = tunnelcap_fragment_count(it);
    uint32_t total = expect(packet, meta);
    const uint8_t *p = packet->copy + packet->before.off;

    FUZZ_CHECK(count > 0 && (count == 1) == (total <= mtu));
    joined.len = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t len = tunnelcap_fragment_len(it);
        tunnelcap_pkt out = {malloc(len), len, 0, 0, 0, NULL};

        FUZZ_CHECK(out.buf != NULL && len <= mtu);
        FUZZ_CHECK(tunnelcap_fragment_next(it, &out) == TUNNELCAP_OK);
        FUZZ_CHECK(out.len == len && out.off == 0);
        if (count == 1)
            FUZZ_CHECK(len == total && memcmp(out.buf, p, len) == 0);
        else
            append(&joined, out.buf, len, i == 0, i + 1 == count);
        free(out.buf);
    }
    FUZZ_CHECK(tunnelcap_fragment_count(it) == 0 && tunnelcap_fragment_len(it) == 0);
    if (count > 1)
        FUZZ_CHECK(memcmp(joined.bytes, p + total - joined.len, joined.len) == 0);
    if (count > 1 && p[0] / 16 == 4) {
        FUZZ_CHECK(joined.len == total - p[0] % 16 * 4U);
        FUZZ_CHECK(joined.offset == reference_load16(p + 6) % 0x2000 * 8);
        FUZZ_CHECK(joined.more == !!(reference_load16(p + 6) & 0x2000));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    const tunnelcap_addr none = {.family = 0};
    struct fuzz_input in = {bytes, len};
    tunnelcap_fragment_config config;
    tunnelcap_meta meta = {.flags = 0};
    tunnelcap_fragments it, before;
    struct fuzz_packet packet;
    uint32_t options = fuzz_u8(&in), grown;
    uint8_t *all;
    int32_t status;

    FUZZ_CHECK(tunnelcap_fragment_config_init(&config, sizeof(config), fuzz_u16(&in)) ==
               TUNNELCAP_OK);
    config.flags = options & (CLEAR_DF | AS_SOURCE | UNKNOWN_FLAG);
    config.id = fuzz_u32(&in);
    grown = fuzz_u16(&in) % GROWTH_MAX;
    meta.flags = options & PARTIAL ? TUNNELCAP_META_CSUM_PARTIAL : 0;
    meta.csum_start = fuzz_u16(&in);
    meta.csum_offset = fuzz_u16(&in);
    meta.gso_size = options & GSO ? 9 : 0;

    all = calloc(1, in.left + grown + 1);
    FUZZ_CHECK(all != NULL);
    if (in.left != 0)
        memcpy(all, in.bytes, in.left);
    if (options & REPAIR)
        reference_repair(all, in.left + grown, REPAIR_LENGTH | REPAIR_IPV4_CHECKSUM, &none, &none);
    fuzz_packet_init(&packet, all, in.left + grown, 0, 0);
    free(all);

    memset(&it, 0xa5, sizeof(it));
    before = it;
    status = tunnelcap_fragment_begin(&it, &packet.pkt, options & META ? &meta : NULL, &config);
    fuzz_check_status(status, statuses);
    fuzz_packet_check_unchanged(&packet);
    FUZZ_CHECK(packet.pkt.status == packet.before.status);
    if (status == TUNNELCAP_OK)
        check_split(&packet, options & META ? &meta : NULL, &it, config.mtu);
    else
        FUZZ_CHECK(memcmp(&it, &before, sizeof(it)) == 0);
    fuzz_packet_fini(&packet);
    return 0;
}
