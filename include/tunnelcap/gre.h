/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/**
 * @file gre.h
 * Generic Routing Encapsulation, version 0: RFC 2784, 2890 (key, sequence number), 7676 (over
 * IPv6), 4023 (MPLS) and 8086 (in UDP).
 *
 * ```
 * outer   [ IPv4 | IPv6 (Destination Options) ] [ UDP ] [ GRE | checksum | key | sequence ] payload
 * bytes     20     40       8                     8       4     4          4     4
 * ```
 *
 * Payloads are IPv4 and IPv6 packets, Ethernet frames, MPLS packets, and any other protocol
 * with an EtherType.
 */
#ifndef TUNNELCAP_GRE_H
#define TUNNELCAP_GRE_H

#include <tunnelcap/lane.h>
#include <tunnelcap/outer.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One GRE tunnel. Opaque. */
typedef struct tunnelcap_gre tunnelcap_gre;

/** Flags of tunnelcap_gre_config. */
enum {
    TUNNELCAP_GRE_KEY_IN = 1,    /**< Packets received must hold the key `key_in`; else none. */
    TUNNELCAP_GRE_KEY_OUT = 2,   /**< Packets sent hold the key `key_out`. */
    TUNNELCAP_GRE_CHECKSUM = 4,  /**< Send a checksum; refuse packets without one. */
    TUNNELCAP_GRE_SEQUENCE = 8,  /**< Send sequence numbers. */
    TUNNELCAP_GRE_IN_ORDER = 16, /**< Drop packets that arrive out of order (RFC 2890 2.2). */
    TUNNELCAP_GRE_UDP = 32,      /**< GRE in UDP (RFC 8086). */
    /** Send a UDP checksum of zero, but for payloads that are fragments; over IPv6 also accept
     *  one (RFC 8086 section 6.2 sets the conditions). */
    TUNNELCAP_GRE_UDP_ZERO_CHECKSUM = 64
};

/** Configuration of a GRE tunnel; fill it with tunnelcap_gre_config_init() first. */
typedef struct tunnelcap_gre_config {
    uint32_t size;         /**< sizeof(tunnelcap_gre_config) of the caller. */
    uint32_t flags;        /**< TUNNELCAP_GRE_ flags. */
    tunnelcap_outer outer; /**< Addresses and outer header policy. */
    uint32_t key_in;       /**< Where flagged. */
    uint32_t key_out;      /**< Where flagged. */
    uint32_t seq_start;    /**< First sequence number sent; 0, or where a predecessor ended. */
    uint16_t protocol;     /**< EtherType of what is sent; 0: IPv4 or IPv6 by version. */
    uint16_t udp_port;     /**< UDP destination port, sent and expected; default 4754. */
    uint16_t udp_src_port; /**< UDP source port; 0: 49152 to 65535 by a hash of the flow. */
    uint16_t reserved[3];  /**< Zero. */
} tunnelcap_gre_config;

/** Flags of tunnelcap_gre_rx. */
enum {
    TUNNELCAP_GRE_RX_KEY = 1,      /**< `key` was in the packet. */
    TUNNELCAP_GRE_RX_SEQUENCE = 2, /**< `seq` was in the packet. */
    TUNNELCAP_GRE_RX_CHECKSUM = 4  /**< A GRE checksum was in the packet, and right. */
};

/** What a GRE header said. */
typedef struct tunnelcap_gre_rx {
    uint32_t key;      /**< Where flagged. */
    uint32_t seq;      /**< Where flagged. */
    uint16_t protocol; /**< EtherType of the payload. */
    uint16_t flags;    /**< TUNNELCAP_GRE_RX_ flags. */
    uint32_t reserved; /**< Zero. */
} tunnelcap_gre_rx;

/**
 * Fill a GRE configuration with defaults: TTL 64, DSCP copied, ECN by RFC 6040, DF set, no key,
 * no checksum, no sequence number, UDP port 4754 if UDP is asked for. Addresses are left empty.
 *
 * @param config receives the defaults; all `size` bytes are written
 * @param size   sizeof(tunnelcap_gre_config) of the caller
 * @retval TUNNELCAP_OK        filled
 * @retval TUNNELCAP_E_INVALID config is NULL
 * @retval TUNNELCAP_E_VERSION size is below that of version 1.0
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_gre_config_init(tunnelcap_gre_config *config, uint32_t size);

/**
 * Tell how many bytes tunnelcap_gre_init() needs for a configuration.
 *
 * @param config a configuration
 * @return bytes, a multiple of 64; 0 when the configuration would be refused
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API size_t tunnelcap_gre_size(const tunnelcap_gre_config *config);

/**
 * Make a GRE tunnel in the caller's memory.
 *
 * @param mem      memory at a multiple of 64
 * @param mem_size bytes at mem, at least tunnelcap_gre_size()
 * @param config   a configuration; not used after the call
 * @param out      receives the tunnel; untouched on failure
 *
 * @retval TUNNELCAP_OK         *out is ready
 * @retval TUNNELCAP_E_INVALID  a pointer is NULL or mem is misaligned
 * @retval TUNNELCAP_E_VERSION  the configuration is of an unknown version
 * @retval TUNNELCAP_E_FLAGS    an unknown flag, UDP_ZERO_CHECKSUM without UDP, or an
 *                              encapsulation limit on an outer IPv4
 * @retval TUNNELCAP_E_MODE     a mode out of its list
 * @retval TUNNELCAP_E_ADDRESS  missing, unspecified or multicast address, families that differ,
 *                              bytes that the family does not use set, or both ends the same
 * @retval TUNNELCAP_E_PORT     UDP destination port 0
 * @retval TUNNELCAP_E_RANGE    DSCP, flow label or protocol out of range
 * @retval TUNNELCAP_E_RESERVED a reserved field is not zero
 * @retval TUNNELCAP_E_NOMEM    mem_size is too small
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_gre_init(void *mem, size_t mem_size,
                                         const tunnelcap_gre_config *config, tunnelcap_gre **out);

/**
 * End a GRE tunnel made by tunnelcap_gre_init() and wipe its memory.
 *
 * @param gre a tunnel, or NULL
 *
 * Threads  only when no thread uses the tunnel
 * @since 1.0
 */
TUNNELCAP_API void tunnelcap_gre_fini(tunnelcap_gre *gre);

/**
 * Make a GRE tunnel in memory from an allocator.
 *
 * @param config a configuration
 * @param alloc  the allocator, copied; NULL for malloc and free
 * @param out    receives the tunnel; untouched on failure
 * @return as tunnelcap_gre_init(), ::TUNNELCAP_E_VERSION and ::TUNNELCAP_E_INVALID also for the
 *         allocator; ::TUNNELCAP_E_NOMEM when it refuses; ::TUNNELCAP_E_UNSUPPORTED with alloc
 *         NULL in a freestanding build
 *
 * Threads  as the allocator
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_gre_new(const tunnelcap_gre_config *config,
                                        const tunnelcap_alloc *alloc, tunnelcap_gre **out);

/**
 * End a GRE tunnel made by tunnelcap_gre_new() and return its memory.
 *
 * @param gre a tunnel, or NULL
 *
 * Threads  only when no thread uses the tunnel
 * @since 1.0
 */
TUNNELCAP_API void tunnelcap_gre_free(tunnelcap_gre *gre);

/**
 * Tell how many bytes encapsulation adds before a packet.
 *
 * @param gre a tunnel
 * @return bytes of headroom to leave; 0 if gre is NULL
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API uint32_t tunnelcap_gre_headroom(const tunnelcap_gre *gre);

/**
 * Tell the length that a packet will have once encapsulated.
 *
 * @param gre       a tunnel
 * @param inner_len bytes of the inner packet
 * @return bytes of the outer packet; 0 if gre is NULL or the result exceeds what IP can carry
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API uint32_t tunnelcap_gre_encap_len(const tunnelcap_gre *gre, uint32_t inner_len);

/**
 * Tell the largest inner packet that fits a path.
 *
 * @param gre      a tunnel
 * @param path_mtu bytes of the largest outer packet, 1500 for Ethernet
 * @return bytes; 1476 for bare GRE over IPv4 on a path of 1500; 0 if gre is NULL or nothing fits
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API uint32_t tunnelcap_gre_inner_mtu(const tunnelcap_gre *gre, uint32_t path_mtu);

/**
 * Wrap packets, in place.
 *
 * ```
 * before  [ headroom ...................... | inner packet | tailroom ]
 * after   [ ... | IP | (options) | (UDP) | GRE | inner packet | tailroom ]
 * ```
 *
 * What the inner packet is, in this order: `meta.ethertype`, the configured protocol, IPv4 or
 * IPv6 by its version. Bytes behind the end of an IP packet are padding and left out. An
 * unfinished transport checksum (::TUNNELCAP_META_CSUM_PARTIAL) is finished. The inner TTL is not
 * changed: a router decrements it before or after.
 *
 * @param gre         a tunnel
 * @param lane        the calling thread's lane
 * @param pkts        inner packets; order is kept; each status is set
 * @param meta        what they came with, or NULL
 * @param meta_stride bytes from one meta to the next; 0 uses the first for all
 * @param count       packets
 * @return how many are ::TUNNELCAP_OK; 0 if gre, lane or pkts is NULL
 *
 * Status of each packet; a refused one is unchanged, and no sequence number is spent on it:
 * @retval TUNNELCAP_OK           wrapped
 * @retval TUNNELCAP_E_TRUNCATED  shorter than its IP header says
 * @retval TUNNELCAP_E_MALFORMED  neither IPv4 nor IPv6 and no protocol given, IP of another
 *                                version than the protocol says, or a bad header
 * @retval TUNNELCAP_E_HEADROOM   less headroom than tunnelcap_gre_headroom()
 * @retval TUNNELCAP_E_ENCAP_LIMIT an inner IPv6 packet may enter no more tunnels over IPv6
 * @retval TUNNELCAP_E_TOO_BIG    the outer packet would exceed what IP can carry, or a GSO packet
 * @retval TUNNELCAP_E_INVALID    the window is not inside the buffer, or the unfinished checksum
 *                                not inside the packet
 *
 * Threads  any number of lanes on one tunnel at the same time; sequence numbers stay unique
 * Cost     no allocation; touches the payload only for a checksum
 * @since 1.0
 */
TUNNELCAP_API uint32_t tunnelcap_gre_encap(tunnelcap_gre *gre, tunnelcap_lane *lane,
                                           tunnelcap_pkt *pkts, const tunnelcap_meta *meta,
                                           uint32_t meta_stride, uint32_t count);

/**
 * Unwrap packets, in place.
 *
 * ```
 * before  [ headroom | IP | (extension headers) | (UDP) | GRE | payload | padding, tailroom ]
 * after   [ headroom ........................................ | payload | ......... tailroom ]
 * ```
 *
 * The end of the payload comes from the IP or UDP length, never from the buffer's end. The
 * outer IPv4 header checksum, a GRE checksum that is present and a UDP checksum that is not
 * zero are verified, whether configured or not (RFC 2784 2.2). IPv4 and IPv6 payloads must be
 * whole; the outer ECN and, where uniform, DSCP are folded into them (RFC 6040, 2983).
 *
 * A Cisco keepalive request (over IPv4, not in UDP) ends as ::TUNNELCAP_KEEPALIVE with the packet
 * to send back in place. A keepalive that came back has protocol 0 and no payload.
 *
 * @param gre         a tunnel
 * @param pkts        outer packets; order is kept; each status is set
 * @param meta        what they came with, or NULL
 * @param meta_stride bytes from one meta to the next; 0 uses the first for all
 * @param rx          receives what each header said, count elements, or NULL; written for
 *                    packets whose status is not negative
 * @param count       packets
 * @return how many are ::TUNNELCAP_OK or ::TUNNELCAP_KEEPALIVE; 0 if gre or pkts is NULL
 *
 * Status of each packet; a refused one is unchanged, and so is the tunnel:
 * @retval TUNNELCAP_OK            unwrapped
 * @retval TUNNELCAP_KEEPALIVE     send the packet as it is now
 * @retval TUNNELCAP_E_TRUNCATED   ends before its headers say
 * @retval TUNNELCAP_E_MALFORMED   a header contradicts itself
 * @retval TUNNELCAP_E_CHECKSUM    IP, UDP or GRE checksum wrong
 * @retval TUNNELCAP_E_NO_CHECKSUM the tunnel demands a checksum, or UDP over IPv6 without one
 * @retval TUNNELCAP_E_PROTOCOL    not GRE, or not UDP where the tunnel is GRE in UDP
 * @retval TUNNELCAP_E_NO_TUNNEL   other addresses, another key or UDP port
 * @retval TUNNELCAP_E_GRE_VERSION not GRE version 0
 * @retval TUNNELCAP_E_GRE_FLAGS   flags of RFC 1701 that RFC 2784 2.3 has refused
 * @retval TUNNELCAP_E_SEQUENCE    out of order, where ::TUNNELCAP_GRE_IN_ORDER
 * @retval TUNNELCAP_E_FRAGMENT    a fragment of an outer packet
 * @retval TUNNELCAP_E_ECN         congestion experienced over a payload that is Not-ECT
 * @retval TUNNELCAP_E_INVALID     the window is not inside the buffer, meta.at unknown, or its
 *                                 addresses missing or of two families
 *
 * Threads  any number of threads on one tunnel at the same time
 * Cost     no allocation; touches the payload only for a checksum
 * @since 1.0
 */
TUNNELCAP_API uint32_t tunnelcap_gre_decap(tunnelcap_gre *gre, tunnelcap_pkt *pkts,
                                           const tunnelcap_meta *meta, uint32_t meta_stride,
                                           tunnelcap_gre_rx *rx, uint32_t count);

#ifdef __cplusplus
}
#endif
#endif
