/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/**
 * @file ipip.h
 * IP in IP: IPv4 in IPv4 (RFC 2003), IPv6 in IPv4 (RFC 4213), IPv4 and IPv6 in IPv6 (RFC 2473).
 *
 * ```
 * outer   [ IPv4 | IPv6 (Destination Options) ] inner packet
 * bytes     20     40       8
 * ```
 */
#ifndef TUNNELCAP_IPIP_H
#define TUNNELCAP_IPIP_H

#include <tunnelcap/lane.h>
#include <tunnelcap/outer.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One IP-in-IP tunnel. Opaque. */
typedef struct tunnelcap_ipip tunnelcap_ipip;

/** Flags of tunnelcap_ipip_config: which inner families pass; neither means both. */
enum {
    TUNNELCAP_IPIP_ONLY_IPV4 = 1, /**< Protocol 4 only. */
    TUNNELCAP_IPIP_ONLY_IPV6 = 2  /**< Protocol 41 only. */
};

/** Configuration of an IP-in-IP tunnel; fill it with tunnelcap_ipip_config_init() first. */
typedef struct tunnelcap_ipip_config {
    uint32_t size;         /**< sizeof(tunnelcap_ipip_config) of the caller. */
    uint32_t flags;        /**< TUNNELCAP_IPIP_ flags. */
    tunnelcap_outer outer; /**< Addresses and outer header policy. */
} tunnelcap_ipip_config;

/**
 * Fill an IP-in-IP configuration with defaults: TTL 64, DSCP copied, ECN by RFC 6040, DF copied,
 * both inner families. Addresses are left empty.
 *
 * @param config receives the defaults; all `size` bytes are written
 * @param size   sizeof(tunnelcap_ipip_config) of the caller
 * @retval TUNNELCAP_OK        filled
 * @retval TUNNELCAP_E_INVALID config is NULL
 * @retval TUNNELCAP_E_VERSION size is below that of version 1.0
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_ipip_config_init(tunnelcap_ipip_config *config, uint32_t size);

/**
 * Tell how many bytes tunnelcap_ipip_init() needs for a configuration.
 *
 * @param config a configuration
 * @return bytes, a multiple of 64; 0 when the configuration would be refused
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API size_t tunnelcap_ipip_size(const tunnelcap_ipip_config *config);

/**
 * Make an IP-in-IP tunnel in the caller's memory.
 *
 * @param mem      memory at a multiple of 64
 * @param mem_size bytes at mem, at least tunnelcap_ipip_size()
 * @param config   a configuration; not used after the call
 * @param out      receives the tunnel; untouched on failure
 *
 * @retval TUNNELCAP_OK         *out is ready
 * @retval TUNNELCAP_E_INVALID  a pointer is NULL or mem is misaligned
 * @retval TUNNELCAP_E_VERSION  the configuration is of an unknown version
 * @retval TUNNELCAP_E_FLAGS    an unknown flag, both ONLY flags, or an encapsulation limit on
 *                              an outer IPv4
 * @retval TUNNELCAP_E_MODE     a mode out of its list
 * @retval TUNNELCAP_E_ADDRESS  missing, unspecified or multicast address, families that differ,
 *                              bytes that the family does not use set, or both ends the same
 * @retval TUNNELCAP_E_RANGE    DSCP or flow label out of range
 * @retval TUNNELCAP_E_RESERVED a reserved field is not zero
 * @retval TUNNELCAP_E_NOMEM    mem_size is too small
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_ipip_init(void *mem, size_t mem_size,
                                          const tunnelcap_ipip_config *config,
                                          tunnelcap_ipip **out);

/**
 * End an IP-in-IP tunnel made by tunnelcap_ipip_init() and wipe its memory.
 *
 * @param ipip a tunnel, or NULL
 *
 * Threads  only when no thread uses the tunnel
 * @since 1.0
 */
TUNNELCAP_API void tunnelcap_ipip_fini(tunnelcap_ipip *ipip);

/**
 * Make an IP-in-IP tunnel in memory from an allocator.
 *
 * @param config a configuration
 * @param alloc  the allocator, copied; NULL for malloc and free
 * @param out    receives the tunnel; untouched on failure
 * @return as tunnelcap_ipip_init(), ::TUNNELCAP_E_VERSION and ::TUNNELCAP_E_INVALID also for the
 *         allocator; ::TUNNELCAP_E_NOMEM when it refuses; ::TUNNELCAP_E_UNSUPPORTED with alloc
 *         NULL in a freestanding build
 *
 * Threads  as the allocator
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_ipip_new(const tunnelcap_ipip_config *config,
                                         const tunnelcap_alloc *alloc, tunnelcap_ipip **out);

/**
 * End an IP-in-IP tunnel made by tunnelcap_ipip_new() and return its memory.
 *
 * @param ipip a tunnel, or NULL
 *
 * Threads  only when no thread uses the tunnel
 * @since 1.0
 */
TUNNELCAP_API void tunnelcap_ipip_free(tunnelcap_ipip *ipip);

/**
 * Tell how many bytes encapsulation adds before a packet.
 *
 * @param ipip a tunnel
 * @return bytes of headroom to leave; 0 if ipip is NULL
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API uint32_t tunnelcap_ipip_headroom(const tunnelcap_ipip *ipip);

/**
 * Tell the length that a packet will have once encapsulated.
 *
 * @param ipip      a tunnel
 * @param inner_len bytes of the inner packet
 * @return bytes of the outer packet; 0 if ipip is NULL or the result exceeds what IP can carry
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API uint32_t tunnelcap_ipip_encap_len(const tunnelcap_ipip *ipip, uint32_t inner_len);

/**
 * Tell the largest inner packet that fits a path.
 *
 * @param ipip     a tunnel
 * @param path_mtu bytes of the largest outer packet, 1500 for Ethernet
 * @return bytes; 1480 over IPv4 on a path of 1500; 0 if ipip is NULL or nothing fits
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API uint32_t tunnelcap_ipip_inner_mtu(const tunnelcap_ipip *ipip, uint32_t path_mtu);

/**
 * Wrap packets, in place.
 *
 * ```
 * before  [ headroom ............ | inner packet | tailroom ]
 * after   [ ... | IP | (options) | inner packet | tailroom ]
 * ```
 *
 * What the inner packet is comes from its version; `meta.ethertype` is not read. Bytes behind its
 * end are padding and left out. An unfinished transport checksum is finished. The inner TTL is
 * not changed.
 *
 * @param ipip        a tunnel
 * @param lane        the calling thread's lane
 * @param pkts        inner packets; order is kept; each status is set
 * @param meta        what they came with, or NULL
 * @param meta_stride bytes from one meta to the next; 0 uses the first for all
 * @param count       packets
 * @return how many are ::TUNNELCAP_OK; 0 if ipip, lane or pkts is NULL
 *
 * Status of each packet; a refused one is unchanged:
 * @retval TUNNELCAP_OK           wrapped
 * @retval TUNNELCAP_E_TRUNCATED  shorter than its IP header says
 * @retval TUNNELCAP_E_MALFORMED  neither IPv4 nor IPv6, or a bad header
 * @retval TUNNELCAP_E_PROTOCOL   not of a family that the tunnel carries
 * @retval TUNNELCAP_E_HEADROOM   less headroom than tunnelcap_ipip_headroom()
 * @retval TUNNELCAP_E_ENCAP_LIMIT an inner IPv6 packet may enter no more tunnels over IPv6
 * @retval TUNNELCAP_E_TOO_BIG    the outer packet would exceed what IP can carry, or a GSO packet
 * @retval TUNNELCAP_E_INVALID    the window is not inside the buffer, or the unfinished checksum
 *                                not inside the packet
 *
 * Threads  any number of lanes on one tunnel at the same time
 * Cost     no allocation; touches the payload only to finish a checksum
 * @since 1.0
 */
TUNNELCAP_API uint32_t tunnelcap_ipip_encap(const tunnelcap_ipip *ipip, tunnelcap_lane *lane,
                                            tunnelcap_pkt *pkts, const tunnelcap_meta *meta,
                                            uint32_t meta_stride, uint32_t count);

/**
 * Unwrap packets, in place.
 *
 * ```
 * before  [ headroom | IP | (extension headers) | inner packet | padding, tailroom ]
 * after   [ headroom .......................... | inner packet | ......... tailroom ]
 * ```
 *
 * The inner packet must be whole; the outer ECN and, where uniform, DSCP are folded into it (RFC
 * 6040, 2983). Its end comes from the outer IP length, never from the buffer's end.
 *
 * @param ipip        a tunnel
 * @param pkts        outer packets; order is kept; each status is set
 * @param meta        what they came with, or NULL
 * @param meta_stride bytes from one meta to the next; 0 uses the first for all
 * @param count       packets
 * @return how many are ::TUNNELCAP_OK; 0 if ipip or pkts is NULL
 *
 * Status of each packet; a refused one is unchanged:
 * @retval TUNNELCAP_OK           unwrapped
 * @retval TUNNELCAP_E_TRUNCATED  ends before its headers say
 * @retval TUNNELCAP_E_MALFORMED  a header contradicts itself, or the outer protocol
 * @retval TUNNELCAP_E_CHECKSUM   outer IPv4 header checksum wrong
 * @retval TUNNELCAP_E_PROTOCOL   not IP in IP, or not of a family that the tunnel carries
 * @retval TUNNELCAP_E_NO_TUNNEL  other addresses
 * @retval TUNNELCAP_E_FRAGMENT   a fragment of an outer packet
 * @retval TUNNELCAP_E_ECN        congestion experienced over a payload that is Not-ECT
 * @retval TUNNELCAP_E_INVALID    the window is not inside the buffer, meta.at unknown, or its
 *                                addresses missing or of two families
 *
 * Threads  any number of threads on one tunnel at the same time
 * Cost     no allocation; does not touch the payload behind the inner IP header
 * @since 1.0
 */
TUNNELCAP_API uint32_t tunnelcap_ipip_decap(const tunnelcap_ipip *ipip, tunnelcap_pkt *pkts,
                                            const tunnelcap_meta *meta, uint32_t meta_stride,
                                            uint32_t count);

#ifdef __cplusplus
}
#endif
#endif
