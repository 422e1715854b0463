/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/**
 * @file peek.h
 * A read-only look at an outer packet: which tunnel does it belong to?
 *
 * For steering, RSS, sampling and demultiplexing, before any tunnel is configured.
 */
#ifndef TUNNELCAP_PEEK_H
#define TUNNELCAP_PEEK_H

#include <tunnelcap/packet.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Flags of tunnelcap_peek_result. */
enum {
    TUNNELCAP_PEEK_UDP = 1,      /**< In UDP: the ports are set. */
    TUNNELCAP_PEEK_KEY = 2,      /**< GRE with a key: `key` is set. */
    TUNNELCAP_PEEK_SEQUENCE = 4, /**< `seq` is set: GRE with a sequence number, or ESP. */
    TUNNELCAP_PEEK_CHECKSUM = 8, /**< GRE with a checksum (not verified here). */
    TUNNELCAP_PEEK_FRAGMENT = 16 /**< A fragment; a non-first one tells no more than addresses
                                      and protocol. */
};

/** What a look at an outer packet told. */
typedef struct tunnelcap_peek_result {
    uint32_t size;       /**< sizeof(tunnelcap_peek_result) of the caller. */
    uint32_t flags;      /**< TUNNELCAP_PEEK_ flags. */
    tunnelcap_addr src;  /**< Outer source. */
    tunnelcap_addr dst;  /**< Outer destination. */
    uint32_t key;        /**< GRE key, or ESP SPI. */
    uint32_t seq;        /**< Sequence number; the low 32 bits for ESP. */
    uint16_t src_port;   /**< UDP source port. */
    uint16_t dst_port;   /**< UDP destination port. */
    uint16_t protocol;   /**< EtherType of the payload: GRE and IPIP. */
    uint16_t payload;    /**< Offset of the payload behind the tunnel's headers (for ESP: of
                              the ESP header), from the packet's first byte. */
    uint8_t kind;        /**< TUNNELCAP_KIND_ */
    uint8_t ip_protocol; /**< Outer protocol behind all extension headers. */
    uint8_t tos;         /**< Outer TOS or traffic class. */
    uint8_t reserved[5]; /**< Zero. */
} tunnelcap_peek_result;

/**
 * Look at one outer packet without changing it or verifying any checksum.
 *
 * UDP is taken for GRE when its destination port is 4754, and for ESP when either port is 4500.
 * Lengths are checked as far as the headers that are reported, so a packet whose tail a capture
 * has cut off can be looked at.
 *
 * @param pkt    the packet; not even its status is written
 * @param meta   what it came with, or NULL
 * @param result receives the answer, its `size` set by the caller. On failure it holds what was
 *               recognised before: all zero where not even the IP header was right, addresses
 *               and `kind` where only the tunnel header was not
 *
 * @retval TUNNELCAP_OK            recognised, or no tunnel: see `kind`
 * @retval TUNNELCAP_E_TRUNCATED   ends before its headers say
 * @retval TUNNELCAP_E_MALFORMED   not IP, or a header contradicts itself
 * @retval TUNNELCAP_E_GRE_VERSION GRE, but not version 0
 * @retval TUNNELCAP_E_GRE_FLAGS   GRE with flags that RFC 2784 2.3 refuses
 * @retval TUNNELCAP_E_INVALID     NULL, window not inside the buffer, meta.at unknown, or its
 *                                 addresses missing or of two families
 * @retval TUNNELCAP_E_VERSION     result->size is below that of version 1.0
 *
 * Threads  any
 * Cost     no allocation; reads headers only
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_peek(const tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                                     tunnelcap_peek_result *result);

#ifdef __cplusplus
}
#endif
#endif
