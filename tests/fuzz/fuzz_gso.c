/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Any virtio-net header before any packet: what is read can be written, looked at and finished.
 *
 * Input: byte order, header length, header, packet.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "reference.h"

static const int32_t read_statuses[] = {
    TUNNELCAP_OK,      TUNNELCAP_E_MALFORMED, TUNNELCAP_E_UNSUPPORTED,
    TUNNELCAP_E_RANGE, TUNNELCAP_E_MODE,      FUZZ_END};
static const int32_t look_statuses[] = {TUNNELCAP_OK, TUNNELCAP_E_TRUNCATED, TUNNELCAP_E_MALFORMED,
                                        FUZZ_END};

static void check_look(struct fuzz_packet *packet, const tunnelcap_meta *meta)
{
    tunnelcap_gso_info info = {.size = sizeof(info)};
    struct reference_ip ip;
    int32_t status = tunnelcap_gso_look(&packet->pkt, meta, &info);

    fuzz_check_status(status, look_statuses);
    fuzz_packet_check_unchanged(packet);
    if (status != TUNNELCAP_OK)
        return;
    FUZZ_CHECK(reference_ip_parse(fuzz_packet_start(packet), packet->pkt.len, &ip));
    FUZZ_CHECK(info.segments > 0 && info.largest <= ip.end + 8);
    if (meta->gso_type == TUNNELCAP_GSO_NONE) {
        FUZZ_CHECK(info.segments == 1 && info.header_len == 0 && info.largest == ip.end);
        return;
    }
    /* Segments of gso_size, and no more of them than the payload fills. */
    FUZZ_CHECK(info.header_len >= ip.upper && info.header_len <= ip.end);
    if (meta->gso_type != TUNNELCAP_GSO_UDP_IP && info.segments > 1)
        FUZZ_CHECK(ip.end - info.header_len > (info.segments - 1) * meta->gso_size &&
                   ip.end - info.header_len <= info.segments * meta->gso_size &&
                   info.largest == info.header_len + meta->gso_size);
}

static void check_finish(struct fuzz_packet *packet, const tunnelcap_meta *read)
{
    tunnelcap_meta meta = *read;
    uint8_t *p = packet->copy + packet->before.off;
    uint32_t sum;

    if (meta.gso_type != TUNNELCAP_GSO_NONE) {
        FUZZ_CHECK(tunnelcap_gso_finish_checksum(&packet->pkt, &meta) == TUNNELCAP_E_UNSUPPORTED);
        return;
    }
    if (meta.flags & TUNNELCAP_META_CSUM_PARTIAL) {
        sum = reference_sum(p + meta.csum_start, packet->before.len - meta.csum_start, 0) ^ 0xffff;
        reference_store16(p + meta.csum_start + meta.csum_offset, sum == 0 ? 0xffff : sum);
    }
    FUZZ_CHECK(tunnelcap_gso_finish_checksum(&packet->pkt, &meta) == TUNNELCAP_OK);
    FUZZ_CHECK(!(meta.flags & TUNNELCAP_META_CSUM_PARTIAL));
    fuzz_packet_check_unchanged(packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct fuzz_input in = {bytes, len};
    uint32_t order = fuzz_u8(&in) % 4U, header_len = fuzz_u8(&in) % 24U;
    uint8_t *header = calloc(1, header_len + 1U), *again = calloc(1, header_len + 1U);
    tunnelcap_meta meta = {.flags = 0}, second = {.flags = 0};
    struct fuzz_packet packet;
    int32_t status;

    FUZZ_CHECK(header != NULL && again != NULL);
    for (uint32_t i = 0; i < header_len; i++)
        header[i] = fuzz_u8(&in);
    fuzz_packet_init(&packet, in.bytes, in.left, 0, 0);
    status = tunnelcap_gso_read(header, header_len, order, &packet.pkt, &meta);
    fuzz_check_status(status, read_statuses);
    fuzz_packet_check_unchanged(&packet);
    if (status == TUNNELCAP_OK) {
        FUZZ_CHECK(tunnelcap_gso_write(again, header_len, order, &packet.pkt, &meta) ==
                   TUNNELCAP_OK);
        FUZZ_CHECK(tunnelcap_gso_read(again, header_len, order, &packet.pkt, &second) ==
                   TUNNELCAP_OK);
        FUZZ_CHECK(memcmp(&meta, &second, sizeof(meta)) == 0);
        check_look(&packet, &meta);
        check_finish(&packet, &meta);
    }
    fuzz_packet_fini(&packet);
    free(header);
    free(again);
    return 0;
}
