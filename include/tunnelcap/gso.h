/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/**
 * @file gso.h
 * What a packet comes with at a virtio-net device, a TUN or TAP with IFF_VNET_HDR, or a packet
 * socket with PACKET_VNET_HDR: `struct virtio_net_hdr` (VIRTIO 1.2, 5.1.6), unfinished checksums,
 * and packets that hold several segments (generic segmentation offload, GSO).
 *
 * ```
 * 0       1          2         4          6            8             10
 * | flags | gso_type | hdr_len | gso_size | csum_start | csum_offset | num_buffers |
 * ```
 *
 * GSO packets are recognised, not split: that is the caller's.
 */
#ifndef TUNNELCAP_GSO_H
#define TUNNELCAP_GSO_H

#include <tunnelcap/packet.h>

#ifdef __cplusplus
extern "C" {
#endif

/** GSO types, as in tunnelcap_meta.gso_type. */
enum {
    TUNNELCAP_GSO_NONE = 0,     /**< An ordinary packet. */
    TUNNELCAP_GSO_TCP4 = 1,     /**< TCP over IPv4. */
    TUNNELCAP_GSO_UDP_IP = 3,   /**< One UDP datagram, to be sent as IP fragments (UFO). */
    TUNNELCAP_GSO_TCP6 = 4,     /**< TCP over IPv6. */
    TUNNELCAP_GSO_UDP = 5,      /**< UDP datagrams of one size (USO). */
    TUNNELCAP_GSO_TCP_ECN = 128 /**< With a TCP type: CWR belongs to the first segment only. */
};

/** Byte order of the 16-bit fields. */
enum {
    TUNNELCAP_GSO_HOST = 0,   /**< That of this machine: TUN, TAP, packet sockets, legacy virtio. */
    TUNNELCAP_GSO_LITTLE = 1, /**< Little endian: virtio 1, TUNSETVNETLE. */
    TUNNELCAP_GSO_BIG = 2     /**< Big endian: TUNSETVNETBE. */
};

/** Lengths of the header. */
enum {
    TUNNELCAP_GSO_HEADER = 10,        /**< Without num_buffers: the default of TUN and TAP. */
    TUNNELCAP_GSO_HEADER_BUFFERS = 12 /**< With it: virtio 1, TUNSETVNETHDRSZ. */
};

/** What a packet will be once it is split, see tunnelcap_gso_look(). */
typedef struct tunnelcap_gso_info {
    uint32_t size;     /**< sizeof(tunnelcap_gso_info) of the caller. */
    uint32_t segments; /**< Packets that it becomes; 1 if it is an ordinary one. */
    uint32_t
        header_len;   /**< Bytes that each of them repeats: IP and transport header (of
                           ::TUNNELCAP_GSO_UDP_IP what precedes UDP). 0 if it is an ordinary one. */
    uint32_t largest; /**< Bytes of the largest of them, IP header included: what has to fit an
                           MTU. Fragment headers of ::TUNNELCAP_GSO_UDP_IP over IPv6 count. */
} tunnelcap_gso_info;

/**
 * Read a virtio-net header into a meta.
 *
 * Sets what the header tells: in `flags` ::TUNNELCAP_META_CSUM_PARTIAL and
 * ::TUNNELCAP_META_CSUM_VALID, and `gso_type`, `gso_size`, `hdr_len`, `csum_start`, `csum_offset`,
 * which are 0 where it tells nothing. What else the meta holds is kept. NEEDS_CSUM gives a partial
 * checksum. DATA_VALID vouches for one level of transport checksums and not for the IP header,
 * so it gives ::TUNNELCAP_META_CSUM_VALID only where there is no NEEDS_CSUM and the packet is
 * IPv6, or IPv4 whose header checksum is right. Unknown flags, num_buffers and what follows are
 * ignored. hdr_len is a hint only, and not checked.
 *
 * @param header     the header, wherever it lies
 * @param header_len its length: 10, or 12 and more
 * @param byte_order TUNNELCAP_GSO_HOST, _LITTLE or _BIG
 * @param pkt        the packet without this header; only read
 * @param meta       receives what it came with
 *
 * @retval TUNNELCAP_OK            read
 * @retval TUNNELCAP_E_MALFORMED   the header contradicts itself or the packet: a checksum field
 *                                 behind the packet's end, a GSO type without size or without
 *                                 NEEDS_CSUM (VIRTIO 1.2, 5.1.6.2.1), ECN without TCP
 * @retval TUNNELCAP_E_UNSUPPORTED an unknown GSO type
 * @retval TUNNELCAP_E_RANGE       header_len is neither 10 nor at least 12
 * @retval TUNNELCAP_E_MODE        byte_order is none of the three
 * @retval TUNNELCAP_E_INVALID     NULL, or the window is not inside the buffer
 *
 * On failure the meta is unchanged.
 *
 * Threads  any
 * Cost     no allocation; with DATA_VALID the IPv4 header is read
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_gso_read(const void *header, uint32_t header_len,
                                         uint32_t byte_order, const tunnelcap_pkt *pkt,
                                         tunnelcap_meta *meta);

/**
 * Write a virtio-net header from a meta.
 *
 * The opposite of tunnelcap_gso_read(); all header_len bytes are written, num_buffers and what
 * follows as zero. The meta must speak of this packet: one that came in with
 * ::TUNNELCAP_META_CSUM_VALID and was then decapsulated leaves an inner packet that nobody has
 * verified.
 *
 * @param header     receives the header
 * @param header_len its length: 10, or 12 and more
 * @param byte_order TUNNELCAP_GSO_HOST, _LITTLE or _BIG
 * @param pkt        the packet without this header; only read
 * @param meta       what it goes with; NULL means all zero
 *
 * @retval TUNNELCAP_OK            written
 * @retval TUNNELCAP_E_INVALID     NULL, the window is not inside the buffer, or a meta that
 *                                 tunnelcap_gso_read() would not have made of any header: a
 *                                 checksum field behind the packet's end, a GSO type without size
 *                                 or without partial checksum, a GSO size without type, ECN
 *                                 without TCP
 * @retval TUNNELCAP_E_UNSUPPORTED an unknown GSO type
 * @retval TUNNELCAP_E_RANGE       header_len is neither 10 nor at least 12
 * @retval TUNNELCAP_E_MODE        byte_order is none of the three
 *
 * On failure the header is unchanged.
 *
 * Threads  any
 * Cost     no allocation
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_gso_write(void *header, uint32_t header_len, uint32_t byte_order,
                                          const tunnelcap_pkt *pkt, const tunnelcap_meta *meta);

/**
 * Tell what a packet will be once it is split into its segments.
 *
 * For an ordinary packet: one, of its own length. So `largest` can be compared with an MTU in any
 * case. Padding behind the IP length does not count.
 *
 * @param pkt   an IP packet; not even its status is written
 * @param meta  what it came with, or NULL
 * @param info  receives the answer, its `size` set by the caller
 *
 * @retval TUNNELCAP_OK            `segments`, `header_len` and `largest` are set
 * @retval TUNNELCAP_E_TRUNCATED   ends before its headers say, or before its IP length
 * @retval TUNNELCAP_E_MALFORMED   not IP, or a header contradicts itself; or the GSO type
 *                                 contradicts the packet: another family or protocol, a fragment,
 *                                 a UDP_IP size below 8; or a meta that tunnelcap_gso_read() would
 *                                 not have made
 * @retval TUNNELCAP_E_UNSUPPORTED an unknown GSO type
 * @retval TUNNELCAP_E_INVALID     NULL, or the window is not inside the buffer
 * @retval TUNNELCAP_E_VERSION     info->size is below that of version 1.0
 *
 * On failure `info` is unchanged.
 *
 * Threads  any
 * Cost     no allocation; reads headers only
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_gso_look(const tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                                         tunnelcap_gso_info *info);

/**
 * Finish an unfinished transport checksum in place.
 *
 * Sums from `csum_start` to the packet's end, as virtio-net does, be it IP or an Ethernet frame.
 * Without ::TUNNELCAP_META_CSUM_PARTIAL there is nothing to do. A sum of zero is stored as 0xffff,
 * since zero means "no checksum" to UDP.
 *
 * @param pkt   the packet
 * @param meta  what it came with; ::TUNNELCAP_META_CSUM_PARTIAL is cleared, and `csum_start` and
 *              `csum_offset` with it
 *
 * @retval TUNNELCAP_OK            there is no unfinished checksum any more
 * @retval TUNNELCAP_E_INVALID     NULL, the window is not inside the buffer, or the checksum field
 *                                 is behind the packet's end
 * @retval TUNNELCAP_E_UNSUPPORTED a GSO packet: each segment has a checksum of its own
 *
 * On failure packet and meta are unchanged. The packet's status is not written.
 *
 * Threads  any
 * Cost     no allocation; one pass over the payload
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_gso_finish_checksum(tunnelcap_pkt *pkt, tunnelcap_meta *meta);

#ifdef __cplusplus
}
#endif
#endif
