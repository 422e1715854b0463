/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/**
 * @file mss.h
 * Clamping the TCP maximum segment size (RFC 9293 3.7.1, 6691) so that what two hosts send
 * each other fits a tunnel between them.
 *
 * The clamp of a SYN limits what flows in the *opposite* direction. Behind direct server
 * return it therefore sits where the SYN-ACK leaves, at the ISP port, not at the tunnel.
 */
#ifndef TUNNELCAP_MSS_H
#define TUNNELCAP_MSS_H

#include <tunnelcap/packet.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a SYN without the option means, and the floor of the clamp (RFC 9293 3.7.1). */
enum {
    TUNNELCAP_MSS_FLOOR4 = 536, /**< Over IPv4. */
    TUNNELCAP_MSS_FLOOR6 = 1220 /**< Over IPv6. */
};

/** Flags of tunnelcap_mss_config. */
enum {
    /** Use limits below 536 and 1220; without it such limits count as 536 and 1220. */
    TUNNELCAP_MSS_BELOW_FLOOR = 1
};

/** What to clamp to; fill it with tunnelcap_mss_config_init() first. */
typedef struct tunnelcap_mss_config {
    uint32_t size;      /**< sizeof(tunnelcap_mss_config) of the caller. */
    uint32_t flags;     /**< TUNNELCAP_MSS_ flags. */
    uint16_t limit4;    /**< Largest MSS over IPv4; 0 leaves IPv4 alone. */
    uint16_t limit6;    /**< Largest MSS over IPv6; 0 leaves IPv6 alone. */
    uint16_t insert4;   /**< MSS to add to an IPv4 SYN that has none; at most 536, and at most
                             limit4, takes effect, since absence means 536. 0 adds none. */
    uint16_t insert6;   /**< The same for IPv6, at most 1220 and limit6. */
    uint32_t l3_offset; /**< Bytes from the packet's first byte to its IP header: 0 for IP
                             packets, 14 for Ethernet, 18 and 22 with VLAN tags. */
    uint32_t reserved;  /**< Zero. */
} tunnelcap_mss_config;

/**
 * Fill a clamp configuration: the limits that fit a tunnel's inner MTU, nothing inserted.
 *
 * The limits are inner_mtu - 40 for IPv4 and inner_mtu - 60 for IPv6, not below 536 and 1220.
 *
 * @param config    receives the configuration; all `size` bytes are written
 * @param size      sizeof(tunnelcap_mss_config) of the caller
 * @param inner_mtu the tunnel's inner MTU; 0 sets both limits to 0
 * @retval TUNNELCAP_OK        filled
 * @retval TUNNELCAP_E_INVALID config is NULL
 * @retval TUNNELCAP_E_VERSION size is below that of version 1.0
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_mss_config_init(tunnelcap_mss_config *config, uint32_t size,
                                                uint32_t inner_mtu);

/**
 * Clamp the MSS of TCP SYN and SYN-ACK segments, in place.
 *
 * Only lowers. Every MSS option of the segment is clamped, since receivers differ in which one
 * they honour. The TCP checksum is updated incrementally (RFC 1624), so a bad one stays bad; an
 * unfinished one (::TUNNELCAP_META_CSUM_PARTIAL) stays unfinished. Inserting moves the packet's
 * start four bytes into the headroom and puts the option first, before any end-of-options.
 *
 * A segment whose tail a capture has cut off is clamped as long as its TCP header is whole.
 *
 * @param config      what to clamp to
 * @param pkts        packets; order is kept; each status is set
 * @param meta        what they came with, or NULL
 * @param meta_stride bytes from one meta to the next; 0 uses the first for all
 * @param count       packets
 * @return how many were changed; 0 also if an argument is NULL or the configuration is refused:
 *         then every status says why
 *
 * Status of each packet:
 * @retval TUNNELCAP_MSS_CLAMPED   lowered
 * @retval TUNNELCAP_MSS_INSERTED  option added, `off` and `len` changed
 * @retval TUNNELCAP_MSS_SMALL     at or below the limit already
 * @retval TUNNELCAP_MSS_ABSENT    SYN without the option; none was to be inserted, or none can
 *                                 be since the segment is fragmented
 * @retval TUNNELCAP_MSS_PROTECTED SYN with TCP-AO (RFC 5925), or with TCP-MD5 (RFC 2385) where
 *                                 the option would have to be inserted
 * @retval TUNNELCAP_MSS_NO_ROOM   to be inserted, but the TCP header has 60 bytes, the IP packet
 *                                 cannot take 4 more, or the headroom has fewer than 4
 * @retval TUNNELCAP_NOT_SYN       not TCP, no SYN, or a family whose limit is 0
 * @retval TUNNELCAP_FRAGMENT      a non-first fragment
 * @retval TUNNELCAP_E_TRUNCATED   ends before l3_offset, or within its IP or TCP header
 * @retval TUNNELCAP_E_MALFORMED   not IP, or malformed header or options before the MSS option
 * @retval TUNNELCAP_E_INVALID     the window is not inside the buffer, or config is NULL
 * @retval TUNNELCAP_E_VERSION     the configuration is of an unknown version
 * @retval TUNNELCAP_E_FLAGS       the configuration has an unknown flag
 * @retval TUNNELCAP_E_RESERVED    the configuration has a reserved field that is not zero
 *
 * A packet that is neither clamped nor inserted is unchanged.
 *
 * Threads  any
 * Cost     no allocation; reads headers only
 * @since 1.0
 */
TUNNELCAP_API uint32_t tunnelcap_mss_clamp(const tunnelcap_mss_config *config, tunnelcap_pkt *pkts,
                                           const tunnelcap_meta *meta, uint32_t meta_stride,
                                           uint32_t count);

#ifdef __cplusplus
}
#endif
#endif
