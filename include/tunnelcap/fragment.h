/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/**
 * @file fragment.h
 * Splitting an IP packet that does not fit (RFC 791 3.2, RFC 8200 4.5).
 *
 * An inner packet is split before it is wrapped, which costs the far end nothing; an outer packet
 * is split behind its tunnel, which the far end must reassemble. IPv4 is split by whoever stands in
 * its way; IPv6 only by its source (::TUNNELCAP_FRAGMENT_AS_SOURCE), so never an inner one.
 *
 * ```
 * tunnelcap_fragments it;
 * int32_t status = tunnelcap_fragment_begin(&it, &pkt, NULL, &config);
 * while (status == TUNNELCAP_OK && tunnelcap_fragment_count(&it) != 0) {
 *     out.off = headroom;
 *     status = tunnelcap_fragment_next(&it, &out);
 *     ...
 * }
 * ```
 */
#ifndef TUNNELCAP_FRAGMENT_H
#define TUNNELCAP_FRAGMENT_H

#include <tunnelcap/packet.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Smallest MTU that packets are split for: what every link must carry. */
enum {
    TUNNELCAP_FRAGMENT_MTU4_MIN = 68,  /**< IPv4, RFC 791 3.2: 8 bytes behind any header. */
    TUNNELCAP_FRAGMENT_MTU6_MIN = 1280 /**< IPv6, RFC 8200 section 5. */
};

/** Flags of tunnelcap_fragment_config. */
enum {
    /** Split IPv4 packets with "don't fragment", too, and clear that bit. RFC 6864 section 4
     *  forbids it: ask for it only where a black hole is worse. One that is no fragment yet gets
     *  `id`, since what it came with need not be unique. */
    TUNNELCAP_FRAGMENT_CLEAR_DF = 1,
    /** We are the packet's source (it is an outer packet of ours): IPv6 may be split. */
    TUNNELCAP_FRAGMENT_AS_SOURCE = 2
};

/** How to split; fill it with tunnelcap_fragment_config_init() first. */
typedef struct tunnelcap_fragment_config {
    uint32_t size;  /**< sizeof(tunnelcap_fragment_config) of the caller. */
    uint32_t flags; /**< TUNNELCAP_FRAGMENT_ flags. */
    uint32_t mtu;   /**< Largest fragment, its IP header included. */
    uint32_t id;    /**< Identification of a packet that has none of its own yet: IPv6, or IPv4
                         whose DF is cleared (the low 16 bits). Not to be used again between the
                         same addresses while fragments may be under way; hard to guess for IPv6
                         (RFC 7739). */
} tunnelcap_fragment_config;

/**
 * A packet while it is being split: memory of the caller, of fixed size for all of 1.x. All zero
 * is a packet that has been handed out to the end. All fields are private.
 */
typedef struct tunnelcap_fragments {
    const uint8_t *source;     /**< First byte of the packet. */
    uint32_t at;               /**< Next payload byte, from `source`. */
    uint32_t end;              /**< End of the payload. */
    uint32_t now;              /**< Most payload bytes of the next fragment. */
    uint32_t step;             /**< Of those behind it. */
    uint32_t offset;           /**< Offset of the next fragment, in bytes. */
    uint32_t id;               /**< Identification. */
    uint32_t sum;              /**< IPv4: sum of the next header but for what is patched. */
    uint32_t later_sum;        /**< Of those behind it. */
    uint32_t checksum_at;      /**< Where `checksum` belongs, from `source`. */
    uint16_t checksum;         /**< A transport checksum that was unfinished. */
    uint16_t bits;             /**< Flag bits that each fragment has. */
    uint16_t last_bits;        /**< Those of the last one. */
    uint16_t header_len;       /**< Header bytes of the next fragment that are copied. */
    uint16_t later_header_len; /**< Of those behind it. */
    uint16_t next_at;          /**< IPv6: where the Fragment header is announced. */
    uint8_t kind;              /**< How the next header is made. */
    uint8_t protocol;          /**< IPv6: what follows the Fragment header. */
    uint8_t short_header[60];  /**< IPv4: a header without the options of the first fragment. */
    uint8_t reserved[10];      /**< Not used. */
} tunnelcap_fragments;

/**
 * Fill a configuration: no flags, id 0.
 *
 * @param config receives the configuration; all `size` bytes are written
 * @param size   sizeof(tunnelcap_fragment_config) of the caller
 * @param mtu    largest fragment, its IP header included
 * @retval TUNNELCAP_OK        filled
 * @retval TUNNELCAP_E_INVALID config is NULL
 * @retval TUNNELCAP_E_VERSION size is below that of version 1.0
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_fragment_config_init(tunnelcap_fragment_config *config,
                                                     uint32_t size, uint32_t mtu);

/**
 * Begin to split a packet.
 *
 * A packet that fits the MTU is one "fragment": itself, without what pads it. All others are cut
 * into pieces as large as the MTU allows, multiples of eight bytes but for the last:
 *
 * - IPv4: each fragment has the packet's header; options without the copied flag are in the first
 *   one only (RFC 791 3.1). The identification stays: it is unique by RFC 6864 4.3, unless DF had
 *   to be cleared. The TTL stays.
 * - IPv6: the header, then what stands up to the last Routing header, or else a Hop-by-Hop Options
 *   header, is in each fragment; then comes the Fragment header. All other extension headers and
 *   60 bytes of what follows must fit into the first fragment (RFC 7112).
 * - Fragments are split further: they keep their identification, offset and "more fragments" are
 *   carried on. So does a packet with an atomic Fragment header (RFC 6946).
 *
 * An unfinished transport checksum (::TUNNELCAP_META_CSUM_PARTIAL) is finished in the fragments,
 * also if there is only one: no meta belongs to them. Other fields of the meta are ignored.
 *
 * @param it     receives what is to be done
 * @param pkt    the packet; neither it nor its status is written, now or later. Its bytes must stay
 *               where and as they are until the last fragment is made
 * @param meta   what it came with, or NULL; not used later
 * @param config how to split; not used later
 *
 * @retval TUNNELCAP_OK            tunnelcap_fragment_count() fragments are to be had
 * @retval TUNNELCAP_E_TOO_BIG     does not fit, and may not be split: IPv4 with "don't fragment",
 *                                 IPv6 that is not ours; or IPv6 whose header chain would not fit
 *                                 into the first fragment
 * @retval TUNNELCAP_E_TRUNCATED   ends before its headers say
 * @retval TUNNELCAP_E_MALFORMED   not IP, or not what meta.ethertype says; a header or IPv4 option
 *                                 contradicts itself; a fragment of no multiple of eight bytes
 *                                 before the last; one that ends behind 65535 bytes
 * @retval TUNNELCAP_E_CHECKSUM    the checksum of the IPv4 header is wrong: those of the fragments
 *                                 would be right
 * @retval TUNNELCAP_E_PROTOCOL    meta.ethertype says that it is no IP packet
 * @retval TUNNELCAP_E_UNSUPPORTED a GSO packet: split it into segments first
 * @retval TUNNELCAP_E_INVALID     NULL, the window is not inside the buffer, or meta names an
 *                                 unfinished checksum outside of the IP payload or of a fragment
 * @retval TUNNELCAP_E_VERSION     the configuration is of an unknown version
 * @retval TUNNELCAP_E_FLAGS       the configuration has an unknown flag
 * @retval TUNNELCAP_E_RANGE       mtu is below 68, or below 1280 for an IPv6 packet to be split
 *
 * On failure `it` is unchanged.
 *
 * Threads  any
 * Cost     no allocation; reads headers only, and the payload where a checksum is unfinished
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_fragment_begin(tunnelcap_fragments *it, const tunnelcap_pkt *pkt,
                                               const tunnelcap_meta *meta,
                                               const tunnelcap_fragment_config *config);

/**
 * Tell how many fragments are still to come: right after tunnelcap_fragment_begin(), how many
 * there will be.
 *
 * @param it  what is being split
 * @return 0 behind the last fragment, and if `it` is NULL
 *
 * Threads  not concurrently with tunnelcap_fragment_next() on the same `it`
 * @since 1.0
 */
TUNNELCAP_API uint32_t tunnelcap_fragment_count(const tunnelcap_fragments *it);

/**
 * Tell how long the next fragment will be. None is longer than the MTU.
 *
 * @param it  what is being split
 * @return bytes with the IP header; 0 behind the last fragment, and if `it` is NULL
 *
 * Threads  not concurrently with tunnelcap_fragment_next() on the same `it`
 * @since 1.0
 */
TUNNELCAP_API uint32_t tunnelcap_fragment_len(const tunnelcap_fragments *it);

/**
 * Write the next fragment into a buffer.
 *
 * ```
 * buf          off         off + len            cap
 *  | as it was  | fragment  | as it was ......... |
 * ```
 *
 * @param it   what is being split
 * @param out  where to: the fragment is written at `off`, `len` is set. It must not overlap the
 *             packet that is split. Its status is set to what is returned
 *
 * @retval TUNNELCAP_OK          written
 * @retval TUNNELCAP_E_NOT_FOUND the last one has been written before
 * @retval TUNNELCAP_E_TAILROOM  fewer than tunnelcap_fragment_len() bytes from `off` to `cap`: call
 *                               again with a larger buffer
 * @retval TUNNELCAP_E_INVALID   NULL, or `off` is behind `cap`
 *
 * On failure `it`, the window of `out` and its bytes are unchanged.
 *
 * Threads  not concurrently on the same `it`
 * Cost     no allocation; one copy of the fragment's bytes
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_fragment_next(tunnelcap_fragments *it, tunnelcap_pkt *out);

#ifdef __cplusplus
}
#endif
#endif
