/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include <tunnelcap/gso.h>

#include "checksum.h"
#include "ip.h"
#include "object.h"
#include "outer.h"

enum { OLDEST = sizeof(tunnelcap_gso_info) };

/* flags of struct virtio_net_hdr */
enum { NEEDS_CSUM = 1, DATA_VALID = 2 };

enum { TCP_HEADER = 20, FRAGMENT_HEADER = 8 };

static uint16_t load(const uint8_t *p, uint32_t byte_order)
{
    uint16_t native;

    if (byte_order == TUNNELCAP_GSO_BIG)
        return tunnelcap_i_load16(p);
    if (byte_order == TUNNELCAP_GSO_LITTLE)
        return (uint16_t)((unsigned)p[1] << 8 | p[0]);
    memcpy(&native, p, sizeof(native));
    return native;
}

static void store(uint8_t *p, uint16_t value, uint32_t byte_order)
{
    if (byte_order == TUNNELCAP_GSO_BIG) {
        tunnelcap_i_store16(p, value);
    } else if (byte_order == TUNNELCAP_GSO_LITTLE) {
        p[0] = (uint8_t)value;
        p[1] = (uint8_t)(value >> 8);
    } else {
        memcpy(p, &value, sizeof(value));
    }
}

static int32_t check_arguments(const void *header, uint32_t header_len, uint32_t byte_order,
                               const tunnelcap_pkt *pkt)
{
    if (header == NULL || pkt == NULL || !tunnelcap_i_pkt_valid(pkt))
        return TUNNELCAP_E_INVALID;
    if (header_len != TUNNELCAP_GSO_HEADER && header_len < TUNNELCAP_GSO_HEADER_BUFFERS)
        return TUNNELCAP_E_RANGE;
    if (byte_order > TUNNELCAP_GSO_BIG)
        return TUNNELCAP_E_MODE;
    return TUNNELCAP_OK;
}

static uint32_t is_tcp(uint8_t gso_type)
{
    uint32_t type = gso_type & ~(uint32_t)TUNNELCAP_GSO_TCP_ECN;

    return type == TUNNELCAP_GSO_TCP4 || type == TUNNELCAP_GSO_TCP6;
}

/* Whether what a header or a meta tells is sound; `wrong` is the status if not. */
static int32_t check_facts(const tunnelcap_meta *meta, uint32_t len, int32_t wrong)
{
    uint32_t type = meta->gso_type & ~(uint32_t)TUNNELCAP_GSO_TCP_ECN;

    if (type != TUNNELCAP_GSO_NONE && type != TUNNELCAP_GSO_UDP_IP && type != TUNNELCAP_GSO_UDP &&
        !is_tcp(meta->gso_type))
        return TUNNELCAP_E_UNSUPPORTED;
    if (meta->gso_type != type && !is_tcp(meta->gso_type))
        return wrong;
    if (type != TUNNELCAP_GSO_NONE &&
        (meta->gso_size == 0 || !(meta->flags & TUNNELCAP_META_CSUM_PARTIAL)))
        return wrong;
    if (type == TUNNELCAP_GSO_NONE && meta->gso_size != 0)
        return wrong;
    if ((meta->flags & TUNNELCAP_META_CSUM_PARTIAL) &&
        (uint32_t)meta->csum_start + meta->csum_offset + 2 > len)
        return wrong;
    return TUNNELCAP_OK;
}

/* Whether the IP header is right, so far as it has a checksum. */
static uint32_t is_sound(const uint8_t *p, uint32_t len)
{
    tunnelcap_i_ip ip;

    if (tunnelcap_i_ip_parse(p, len, &ip) != TUNNELCAP_OK)
        return 0;
    return ip.family == TUNNELCAP_IPV6 || tunnelcap_i_sum(p, ip.payload) == 0xffff;
}

int32_t tunnelcap_gso_read(const void *header, uint32_t header_len, uint32_t byte_order,
                           const tunnelcap_pkt *pkt, tunnelcap_meta *meta)
{
    const uint32_t flags = TUNNELCAP_META_CSUM_PARTIAL | TUNNELCAP_META_CSUM_VALID;
    const uint8_t *h = header;
    tunnelcap_meta own;
    int32_t status = check_arguments(header, header_len, byte_order, pkt);

    if (status != TUNNELCAP_OK)
        return status;
    if (meta == NULL)
        return TUNNELCAP_E_INVALID;
    own = *meta;
    own.flags &= ~flags;
    own.gso_type = h[1];
    own.hdr_len = load(h + 2, byte_order);
    own.gso_size = own.gso_type != TUNNELCAP_GSO_NONE ? load(h + 4, byte_order) : 0;
    own.csum_start = 0;
    own.csum_offset = 0;
    if (h[0] & NEEDS_CSUM) {
        own.flags |= TUNNELCAP_META_CSUM_PARTIAL;
        own.csum_start = load(h + 6, byte_order);
        own.csum_offset = load(h + 8, byte_order);
    } else if ((h[0] & DATA_VALID) && is_sound(pkt->buf + pkt->off, pkt->len)) {
        own.flags |= TUNNELCAP_META_CSUM_VALID;
    }
    status = check_facts(&own, pkt->len, TUNNELCAP_E_MALFORMED);
    if (status == TUNNELCAP_OK)
        *meta = own;
    return status;
}

int32_t tunnelcap_gso_write(void *header, uint32_t header_len, uint32_t byte_order,
                            const tunnelcap_pkt *pkt, const tunnelcap_meta *meta)
{
    uint8_t *h = header;
    int32_t status = check_arguments(header, header_len, byte_order, pkt);

    if (status == TUNNELCAP_OK && meta != NULL)
        status = check_facts(meta, pkt->len, TUNNELCAP_E_INVALID);
    if (status != TUNNELCAP_OK)
        return status;
    memset(h, 0, header_len);
    if (meta == NULL)
        return TUNNELCAP_OK;
    h[1] = meta->gso_type;
    store(h + 2, meta->hdr_len, byte_order);
    store(h + 4, meta->gso_size, byte_order);
    if (meta->flags & TUNNELCAP_META_CSUM_PARTIAL) {
        h[0] = NEEDS_CSUM;
        store(h + 6, meta->csum_start, byte_order);
        store(h + 8, meta->csum_offset, byte_order);
    } else if (meta->flags & TUNNELCAP_META_CSUM_VALID) {
        h[0] = DATA_VALID;
    }
    return TUNNELCAP_OK;
}

/* Find how many bytes each segment repeats, unless type and packet differ. */
static int32_t find_header(const uint8_t *p, const tunnelcap_i_ip *ip, uint8_t gso_type,
                           uint32_t *header)
{
    const uint8_t *upper = p + ip->payload;
    uint32_t left = ip->total - ip->payload;
    uint32_t tcp = is_tcp(gso_type);
    uint32_t size = TUNNELCAP_I_UDP_HEADER;

    if (ip->fragment || ip->protocol != (tcp ? TUNNELCAP_I_PROTO_TCP : TUNNELCAP_I_PROTO_UDP))
        return TUNNELCAP_E_MALFORMED;
    if (tcp && (ip->family == TUNNELCAP_IPV4) !=
                   ((gso_type & ~(uint32_t)TUNNELCAP_GSO_TCP_ECN) == TUNNELCAP_GSO_TCP4))
        return TUNNELCAP_E_MALFORMED;
    if (left < (tcp ? (uint32_t)TCP_HEADER : size))
        return TUNNELCAP_E_MALFORMED;
    if (tcp)
        size = (uint32_t)(upper[12] >> 4) * 4;
    if (size > left || (tcp && size < TCP_HEADER))
        return TUNNELCAP_E_MALFORMED;
    *header = ip->payload + (gso_type == TUNNELCAP_GSO_UDP_IP ? 0 : size);
    return TUNNELCAP_OK;
}

/* What a GSO packet, whose meta is sound, will be. */
static int32_t look_at_segments(const uint8_t *p, const tunnelcap_i_ip *ip,
                                const tunnelcap_meta *meta, tunnelcap_gso_info *info)
{
    uint32_t size = meta->gso_size;
    uint32_t payload;
    int32_t status = find_header(p, ip, meta->gso_type, &info->header_len);

    if (status != TUNNELCAP_OK)
        return status;
    payload = ip->total - info->header_len;
    if (meta->gso_type == TUNNELCAP_GSO_UDP_IP && payload > size)
        size &= ~7u; /* of all fragments but the last */
    if (size == 0)
        return TUNNELCAP_E_MALFORMED;
    info->segments = payload > size ? (payload + size - 1) / size : 1;
    info->largest = info->header_len + (payload < size ? payload : size);
    if (meta->gso_type == TUNNELCAP_GSO_UDP_IP && ip->family == TUNNELCAP_IPV6 &&
        info->segments > 1)
        info->largest += FRAGMENT_HEADER;
    return TUNNELCAP_OK;
}

int32_t tunnelcap_gso_look(const tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                           tunnelcap_gso_info *info)
{
    tunnelcap_gso_info own;
    tunnelcap_i_ip ip;
    int32_t status;

    if (pkt == NULL || info == NULL || !tunnelcap_i_pkt_valid(pkt))
        return TUNNELCAP_E_INVALID;
    if (info->size < OLDEST)
        return TUNNELCAP_E_VERSION;
    status = tunnelcap_i_ip_read(pkt->buf + pkt->off, pkt->len, &ip);
    if (status != TUNNELCAP_OK)
        return status;
    if (ip.total > pkt->len)
        return TUNNELCAP_E_TRUNCATED;
    memset(&own, 0, sizeof(own));
    own.segments = 1;
    own.largest = ip.total;
    if (meta != NULL) {
        status = check_facts(meta, pkt->len, TUNNELCAP_E_MALFORMED);
        if (status == TUNNELCAP_OK && meta->gso_type != TUNNELCAP_GSO_NONE)
            status = look_at_segments(pkt->buf + pkt->off, &ip, meta, &own);
        if (status != TUNNELCAP_OK)
            return status;
    }
    return tunnelcap_i_struct_init(info, info->size, &own, sizeof(own), OLDEST);
}

int32_t tunnelcap_gso_finish_checksum(tunnelcap_pkt *pkt, tunnelcap_meta *meta)
{
    if (pkt == NULL || meta == NULL || !tunnelcap_i_pkt_valid(pkt))
        return TUNNELCAP_E_INVALID;
    if (meta->gso_type != TUNNELCAP_GSO_NONE || meta->gso_size != 0)
        return TUNNELCAP_E_UNSUPPORTED;
    if (tunnelcap_i_meta_check(meta, pkt->len) != TUNNELCAP_OK)
        return TUNNELCAP_E_INVALID;
    tunnelcap_i_meta_finish(meta, pkt->buf + pkt->off, pkt->len);
    if (meta->flags & TUNNELCAP_META_CSUM_PARTIAL) {
        meta->flags &= ~(uint32_t)TUNNELCAP_META_CSUM_PARTIAL;
        meta->csum_start = 0;
        meta->csum_offset = 0;
    }
    return TUNNELCAP_OK;
}
