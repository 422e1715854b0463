/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/**
 * @file outer.h
 * How the outer IP header of a tunnel is made, and what it tells the inner one on the way out.
 * Part of the configuration of every kind of tunnel.
 */
#ifndef TUNNELCAP_OUTER_H
#define TUNNELCAP_OUTER_H

#include <tunnelcap/packet.h>

#ifdef __cplusplus
extern "C" {
#endif

/** DSCP, RFC 2983. Payloads that hold no IP packet use the fixed value when encapsulated. */
enum {
    TUNNELCAP_DSCP_COPY = 0,   /**< Outer = inner when encapsulating; inner kept after. */
    TUNNELCAP_DSCP_PIPE = 1,   /**< Outer = `dscp`; inner kept after (RFC 2983 3.2). */
    TUNNELCAP_DSCP_UNIFORM = 2 /**< Outer = inner, then inner = outer (RFC 2983 3.1). */
};

/**
 * ECN, RFC 6040. Decapsulation is section 4.2 but in the last mode. For GRE, RFC 9601 6.1.2 asks
 * the same, and that a tunnel made by hand is set to compatibility unless its far end is known to
 * follow: otherwise marks of congested routers are lost with the outer header. All ends of this
 * library and of the Linux kernel do follow.
 */
enum {
    TUNNELCAP_ECN_NORMAL = 0,        /**< Outer = inner when encapsulating (section 4.1). */
    TUNNELCAP_ECN_COMPATIBILITY = 1, /**< Outer is Not-ECT: for ends that ignore ECN. */
    TUNNELCAP_ECN_RFC4301 = 2        /**< Outer = inner; on the way out a congestion mark is set on
                                          ECN-capable packets and nothing else happens: as IPsec
                                          was before RFC 6040, and as the Linux kernel's is. */
};

/** TTL or hop limit (the models of RFC 2983, and of RFC 3443 for MPLS). The library never
 * decrements an inner one. */
enum {
    TUNNELCAP_TTL_PIPE = 0,   /**< Outer = `ttl`; inner untouched. The tunnel is one hop. */
    TUNNELCAP_TTL_UNIFORM = 1 /**< Outer = inner, then inner = the smaller of both: the tunnel's
                                 hops count. `ttl` is for payloads without IP. */
};

/**
 * "Don't fragment" of an outer IPv4 header. GRE tunnels set it by default, IP-in-IP (RFC 2003 3.1)
 * and ESP (RFC 4301 8.1) copy it. Where several servers send with one address, set it: fragments
 * are told apart by their identification, which servers cannot share, and those of two packets
 * would be put together.
 */
enum {
    TUNNELCAP_DF_SET = 0,  /**< Always. */
    TUNNELCAP_DF_COPY = 1, /**< As the inner IPv4 header; set for other payloads. */
    TUNNELCAP_DF_CLEAR = 2 /**< Never. */
};

/** Identification of an outer IPv4 header (RFC 6864). */
enum {
    TUNNELCAP_ID_AUTO = 0,  /**< 0 with DF set, else from the lane. */
    TUNNELCAP_ID_ALWAYS = 1 /**< From the lane, never 0: for paths that dislike an ID of 0. */
};

/** Flow label of an outer IPv6 header (RFC 6437, 6438). */
enum {
    TUNNELCAP_FLOW_LABEL_HASH = 0, /**< A hash of the inner flow, never 0. */
    TUNNELCAP_FLOW_LABEL_FIXED = 1 /**< The `flow_label` field. */
};

/**
 * Outer header policy. All zero but the two addresses and the TTL is a sensible choice.
 *
 * An inner IPv6 packet with a Tunnel Encapsulation Limit of its own, going over IPv6, overrides
 * `encap_limit` (RFC 2473 4.1.1): the outer packet gets one less, also where the mode is 0, which
 * then takes 8 bytes of headroom more than usual; at 0 the packet is refused with
 * ::TUNNELCAP_E_ENCAP_LIMIT.
 */
typedef struct tunnelcap_outer {
    tunnelcap_addr local;     /**< Our end: the outer source when encapsulating. */
    tunnelcap_addr remote;    /**< The far end, of the same family. */
    uint32_t flow_label;      /**< 20 bits, where the mode is fixed. */
    uint8_t ttl;              /**< TTL or hop limit; 0 copies the inner one (64 for non-IP). */
    uint8_t dscp_mode;        /**< TUNNELCAP_DSCP_ */
    uint8_t dscp;             /**< 6 bits, where the mode is pipe, and for non-IP payloads. */
    uint8_t ecn_mode;         /**< TUNNELCAP_ECN_ */
    uint8_t df_mode;          /**< TUNNELCAP_DF_ */
    uint8_t id_mode;          /**< TUNNELCAP_ID_ */
    uint8_t flow_label_mode;  /**< TUNNELCAP_FLOW_LABEL_ */
    uint8_t encap_limit_mode; /**< 1: send the option of RFC 2473 4.1.1 (outer IPv6 only). */
    uint8_t encap_limit;      /**< Its value: how many more tunnels may follow; 4 is usual. */
    uint8_t ttl_mode;         /**< TUNNELCAP_TTL_ */
    uint8_t reserved[10];     /**< Zero. */
} tunnelcap_outer;

/**
 * Find the Tunnel Encapsulation Limit of an IPv6 packet: where the ICMPv6 Parameter Problem points
 * that answers ::TUNNELCAP_E_ENCAP_LIMIT (code 0, RFC 2473 4.1.1).
 *
 * @param pkt a packet that begins with its IPv6 header
 * @return bytes from the packet's start to the value of the limit; 0 if it has none, is not IPv6 or
 *         malformed, or pkt is NULL
 *
 * Threads  any
 * Cost     reads headers only
 * @since 1.0
 */
TUNNELCAP_API uint32_t tunnelcap_outer_limit_at(const tunnelcap_pkt *pkt);

#ifdef __cplusplus
}
#endif
#endif
