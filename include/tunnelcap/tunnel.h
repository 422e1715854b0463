/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/**
 * @file tunnel.h
 * What a table does for a tunnel whatever its kind, what a route is, and what a table tells of a
 * tunnel: facts, counters, reasons.
 */
#ifndef TUNNELCAP_TUNNEL_H
#define TUNNELCAP_TUNNEL_H

#include <tunnelcap/packet.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Flags of tunnelcap_tunnel. */
enum {
    TUNNELCAP_TUNNEL_CLAMP_ENCAP = 1, /**< Clamp the MSS of inner SYNs on the way in. */
    TUNNELCAP_TUNNEL_CLAMP_DECAP = 2, /**< Clamp the MSS of inner SYNs on the way out. */
    /** Discard what is addressed to its own encapsulator (RFC 2784 3.1), but for ICMP echo. */
    TUNNELCAP_TUNNEL_LOOP_GUARD = 4,
    /** Fragment inner IPv4 packets even where they forbid it, after clearing DF and giving them an
     *  identification of our own: against RFC 6864 section 4, for senders that ICMP does not
     *  reach. */
    TUNNELCAP_TUNNEL_CLEAR_DF = 8,
    /** Answer senders of inner packets that cannot be carried with ICMP errors, from `interface4`
     *  or `interface6`; where that is not set, they are dropped. */
    TUNNELCAP_TUNNEL_ICMP = 16,
    TUNNELCAP_TUNNEL_TTL_ENCAP = 32, /**< Decrement the inner TTL or hop limit on the way in. */
    TUNNELCAP_TUNNEL_TTL_DECAP = 64, /**< Decrement the inner TTL or hop limit on the way out. */
    /** Deliver inner packets whole: reassemble their fragments on the way out. */
    TUNNELCAP_TUNNEL_REASSEMBLE = 128,
    /** Drop what comes out with an inner source that is not routed into this tunnel: in its `vrf`,
     *  the longest prefix that holds the source must have a route to it, of whatever priority
     *  (RFC 2827, RFC 3704 2.3). */
    TUNNELCAP_TUNNEL_ANTI_SPOOF = 256,
    /** Drop what comes out with an inner address that may not travel (RFC 1812 5.3.7, RFC 6890):
     *
     *  | prefix                                                     | source | destination |
     *  |------------------------------------------------------------|--------|-------------|
     *  | 0.0.0.0/8, 127.0.0.0/8, 240.0.0.0/4 with the broadcast     | no     | no          |
     *  | 169.254.0.0/16: link-local (RFC 3927 7)                    | no     | no          |
     *  | 224.0.0.0/4: multicast                                     | no     | yes         |
     *  | ::/96: unspecified, loopback, compatible (RFC 4291 2.5)    | no     | no          |
     *  | ::ffff:0:0/96: IPv4-mapped                                 | no     | no          |
     *  | fe80::/10: link-local (RFC 4291 2.5.6)                     | no     | no          |
     *  | ff00::/8: multicast                                        | no     | yes, unless |
     *  |                                                            |        | scope 0, 1  |
     *
     *  The addresses of the tunnel's own ends are neither spoofed nor martian: those in the /30 of
     *  `interface4` or the /126 of `interface6`, and `probe`. So probes, their answers, and what
     *  the router at the far end has to say pass. */
    TUNNELCAP_TUNNEL_MARTIANS = 512,
    /** Answer ICMP echo requests to `interface4` and `interface6` that come out of the tunnel. */
    TUNNELCAP_TUNNEL_ANSWER_ECHO = 1024
};

/** What becomes of an inner IPv4 packet that exceeds the inner MTU and may be fragmented. */
enum {
    TUNNELCAP_FRAGMENT_INNER = 0, /**< It is fragmented, and each fragment goes into the tunnel. */
    TUNNELCAP_FRAGMENT_OUTER = 1, /**< It goes into the tunnel whole, and the outer packet is
                                       fragmented: the far end must reassemble. */
    TUNNELCAP_FRAGMENT_REFUSE = 2 /**< It is treated as if it forbade fragmentation. */
};

/** What the table does for a tunnel of any kind; fill it with tunnelcap_tunnel_init() first. */
typedef struct tunnelcap_tunnel {
    uint32_t size;       /**< sizeof(tunnelcap_tunnel) of the caller. */
    uint32_t flags;      /**< TUNNELCAP_TUNNEL_ flags; default: clamp both ways, guard, ICMP,
                              answer echoes. */
    uint32_t vrf;        /**< Routing instance where inner packets are delivered. */
    uint32_t outer_vrf;  /**< Routing instance where outer packets are sent and received. */
    uint32_t mtu;        /**< Largest inner MTU, at least 68; 0, the default: what fits the path. */
    uint16_t limit4;     /**< MSS limit over IPv4, 536 at least; 0, the default: from the MTU. */
    uint16_t limit6;     /**< MSS limit over IPv6, 1220 at least; 0, the default: from the MTU. */
    uint16_t insert4;    /**< As in tunnelcap_mss_config. */
    uint16_t insert6;    /**< As in tunnelcap_mss_config. */
    uint32_t path_mtu;   /**< MTU of the outer path's first link, 68 to 65575; 0, the default: 1500,
                              or what `mtu` needs if that is more. */
    uint32_t path_floor; /**< Lowest path MTU that is believed, 68 to 1280; 0, the default: 576.
                              Over IPv6 it is 1280. */
    uint32_t icmp_rate;  /**< Most ICMP errors a second from each lane; 0: any; default 100. */
    uint8_t fragment_mode;     /**< TUNNELCAP_FRAGMENT_ */
    uint8_t pmtu_mode;         /**< ::TUNNELCAP_PMTU_FIXED, LEARN (default) or PROBE. */
    uint8_t reserved[2];       /**< Zero. */
    tunnelcap_addr interface4; /**< Our IPv4 address inside the tunnel, or none. */
    tunnelcap_addr interface6; /**< Our IPv6 address inside the tunnel, or none. */
    tunnelcap_addr probe;      /**< ::TUNNELCAP_PMTU_PROBE: the far end's address inside the tunnel,
                                    of a family of which we have one. Else unused; may be none. */
} tunnelcap_tunnel;

/** A route: inner packets to a prefix go into a tunnel. */
typedef struct tunnelcap_route {
    uint32_t size;         /**< sizeof(tunnelcap_route) of the caller. */
    uint32_t flags;        /**< Zero. */
    uint64_t tunnel;       /**< Id of the tunnel. */
    tunnelcap_addr prefix; /**< Bits behind prefix_len must be zero. */
    uint32_t vrf;          /**< Routing instance of the packets that it takes. */
    uint32_t priority;     /**< The lowest value of a prefix wins; equal ones share the flows. What
                                health adds to it (500000 while a tunnel is degraded, 1000000 while
                                it is down) orders routes of one prefix only. */
    uint16_t weight;       /**< Share among equal priorities, 1 to 256; default 1. */
    uint8_t prefix_len;    /**< 0 to 32 or 128. */
    uint8_t reserved[9];   /**< Zero. */
    uint64_t regions;      /**< Bits of the regions, 0 to 63, where the route counts; 0, the
                                default: in all. */
} tunnelcap_route;

/**
 * States of an SA in a table. Both SAs of a pair go the same way, which is that of
 * make-before-break:
 *
 * | state      | an inbound SA                               | an outbound SA                    |
 * |------------|---------------------------------------------|-----------------------------------|
 * | STAGED     | known; its packets: ::TUNNELCAP_E_NEED_SA   | known                             |
 * | IN_READY   | receives                                    | known                             |
 * | OUT_ACTIVE | receives                                    | sends, and no other of its tunnel |
 * | DRAINING   | receives until its time is over, then       | sends no more; ICMP errors about  |
 * |            | ::TUNNELCAP_E_EXPIRED                       | what it has sent still count      |
 * | DEAD       | its SPI is remembered; its packets:         | forgotten                         |
 * |            | ::TUNNELCAP_E_EXPIRED                       |                                   |
 *
 * A new SA begins as STAGED, IN_READY or OUT_ACTIVE. From each state every later one may follow,
 * but for DRAINING behind STAGED; from OUT_ACTIVE also IN_READY, which pauses sending. An outbound
 * SA that becomes OUT_ACTIVE makes the one before it DRAINING in the same change.
 */
enum {
    TUNNELCAP_SA_STAGED = 1,     /**< Known, and not used. */
    TUNNELCAP_SA_IN_READY = 2,   /**< Receives. */
    TUNNELCAP_SA_OUT_ACTIVE = 3, /**< Sends, and receives. */
    TUNNELCAP_SA_DRAINING = 4,   /**< Receives what is still under way. */
    TUNNELCAP_SA_DEAD = 5        /**< Not used any more. */
};

/** What a table knows of an SA. */
typedef struct tunnelcap_sa_info {
    uint32_t size;        /**< sizeof(tunnelcap_sa_info) of the caller. */
    uint32_t spi;         /**< SPI. */
    uint64_t until_ns;    /**< DRAINING: when it ends, 0 if that is left open; else 0. */
    uint32_t owner;       /**< The server that receives by it, 0: this one. */
    uint8_t state;        /**< TUNNELCAP_SA_ */
    uint8_t direction;    /**< TUNNELCAP_ESP_OUT or TUNNELCAP_ESP_IN. */
    uint8_t reserved[10]; /**< Zero. */
} tunnelcap_sa_info;

/** Facts about a tunnel in a table. */
typedef struct tunnelcap_tunnel_info {
    uint32_t size;         /**< sizeof(tunnelcap_tunnel_info) of the caller. */
    uint32_t flags;        /**< TUNNELCAP_PEEK_ flags: UDP, KEY (a key is expected), ... */
    tunnelcap_addr local;  /**< Our end. */
    tunnelcap_addr remote; /**< The far end. */
    uint32_t key;          /**< Key expected, where flagged; ESP: SPI of the outbound SA. */
    uint32_t vrf;          /**< Routing instance of inner packets. */
    uint32_t inner_mtu;    /**< Largest inner packet, by the path MTU as it is believed now. */
    uint32_t headroom;     /**< Bytes to leave: what encapsulation adds, and 4 more where it
                                may insert an MSS. */
    uint32_t tailroom;     /**< Bytes that encapsulation adds behind a packet at most. */
    uint16_t udp_port;     /**< UDP destination port, where flagged. */
    uint16_t limit4;       /**< MSS limit in force over IPv4. */
    uint16_t limit6;       /**< MSS limit in force over IPv6. */
    uint8_t kind;          /**< TUNNELCAP_KIND_ */
    uint8_t reserved;      /**< Zero. */
    uint32_t path_mtu;     /**< Path MTU as it is believed now; 0 without outbound SA. */
} tunnelcap_tunnel_info;

/** Counters of one direction. `packets + replied + refused + kept + local` are all results; less
 *  `fragments + reassembled` they are what was offered. */
typedef struct tunnelcap_counters {
    uint64_t packets;       /**< Sent or delivered. */
    uint64_t inner_bytes;   /**< Their bytes without the tunnel's headers. */
    uint64_t outer_bytes;   /**< Their bytes with the tunnel's headers, those included that a socket
                                 has taken off (without options), and of inner fragments that were
                                 kept. */
    uint64_t replied;       /**< Answered in place: keepalives, and ICMP errors. */
    uint64_t refused;       /**< Dropped, all reasons; see tunnelcap_table_reasons(). */
    uint64_t clamped;       /**< SYNs whose MSS was lowered or added; part of `packets`. */
    uint64_t kept;          /**< Fragments that were copied, for others to follow. */
    uint64_t local;         /**< For us: answers to probes, and ICMP errors about the path. */
    uint64_t fragments;     /**< Packets in spare buffers that fragmentation has made. */
    uint64_t reassembled;   /**< Packets in spare buffers that reassembly has made. */
    uint64_t icmp_sent;     /**< ICMP errors built; part of `replied`, or of `packets` where they
                                 tell an inner sender what the path said. */
    uint64_t icmp_received; /**< ICMP errors about the path that were believed. */
} tunnelcap_counters;

/** Counters of a tunnel, summed over lanes, those of detached lanes included. */
typedef struct tunnelcap_stats {
    uint32_t size;            /**< sizeof(tunnelcap_stats) of the caller. */
    uint32_t reserved;        /**< Zero. */
    tunnelcap_counters encap; /**< Into the tunnel. */
    tunnelcap_counters decap; /**< Out of the tunnel. */
} tunnelcap_stats;

/** Directions, for tunnelcap_table_reasons(). */
enum {
    TUNNELCAP_ENCAP = 0, /**< Into the tunnel. */
    TUNNELCAP_DECAP = 1  /**< Out of the tunnel. */
};

/** How many packets were dropped for one reason. */
typedef struct tunnelcap_reason {
    int32_t status;    /**< The status of those packets. */
    uint32_t reserved; /**< Zero. */
    uint64_t count;    /**< Packets. */
} tunnelcap_reason;

/**
 * Fill a tunnel policy with defaults: clamp both ways to what fits the MTU, guard against loops,
 * answer with ICMP, and echo requests, once there is an address, fragment inner IPv4 packets, learn
 * the MTU of a path of 1500 at most, VRF 0.
 *
 * @param tunnel receives the defaults; all `size` bytes are written
 * @param size   sizeof(tunnelcap_tunnel) of the caller
 * @retval TUNNELCAP_OK        filled
 * @retval TUNNELCAP_E_INVALID tunnel is NULL
 * @retval TUNNELCAP_E_VERSION size is below that of version 1.0
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_tunnel_init(tunnelcap_tunnel *tunnel, uint32_t size);

/**
 * Fill a route with defaults: priority 100, weight 1, the rest empty.
 *
 * @param route receives the defaults; all `size` bytes are written
 * @param size  sizeof(tunnelcap_route) of the caller
 * @retval TUNNELCAP_OK        filled
 * @retval TUNNELCAP_E_INVALID route is NULL
 * @retval TUNNELCAP_E_VERSION size is below that of version 1.0
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_route_init(tunnelcap_route *route, uint32_t size);

#ifdef __cplusplus
}
#endif
#endif
