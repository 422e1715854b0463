/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/**
 * @file table.h
 * A table of tunnels and routes, and the one-call data path over them: inner packets in, the right
 * tunnel found, outer packets out, and back.
 *
 * One writer changes the table; any number of lanes use it meanwhile and never wait. Changes
 * are made between tunnelcap_table_begin() and tunnelcap_table_commit() and become visible all
 * at once, or not at all. What can be changed, and asked, stands beside this: table_tunnels.h,
 * table_sas.h, table_routes.h, table_path.h, and watch.h.
 */
#ifndef TUNNELCAP_TABLE_H
#define TUNNELCAP_TABLE_H

#include <tunnelcap/burst.h>
#include <tunnelcap/history.h>
#include <tunnelcap/lane.h>
#include <tunnelcap/reassembly.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A table of tunnels and routes. Opaque. */
typedef struct tunnelcap_table tunnelcap_table;

/** Flags of tunnelcap_table_config. */
enum {
    /** Equal routes of a prefix share flows by weighted rendezvous: a tunnel that comes, goes,
     * fails or gets another weight moves only flows that it gets or had, and no other ones. Shares
     * are then left to chance, as told at `buckets`. Without this flag they are as exact as
     * `buckets` allow, and a change moves flows between all tunnels. */
    TUNNELCAP_TABLE_RENDEZVOUS = 1
};

/** Capacities of a table; fill it with tunnelcap_table_config_init() first. */
typedef struct tunnelcap_table_config {
    uint32_t size;    /**< sizeof(tunnelcap_table_config) of the caller. */
    uint32_t flags;   /**< TUNNELCAP_TABLE_ flags. */
    uint32_t tunnels; /**< Most tunnels, 1 to 2^20; default 256. */
    uint32_t routes;  /**< Most routes, 1 to 2^22; default 1024. About 170 bytes each. */
    uint32_t lanes;   /**< Most lanes attached at a time, 1 to 256; default 4. Where the compiler
                           has no lock-free 64-bit atomics: 1, and no more. */
    uint32_t sas;     /**< Most security associations of both directions, 1 to 2^22; default 1024;
                           dead ones give way. About 150 bytes each, besides those of the SA. */
    uint32_t changes; /**< Tunnels that one change can replace, or remove and add anew, at most
                           `tunnels`; 0, the default: all of them. A change of more operations than
                           that works as well, but costs a copy of all indices. */
    uint32_t paths;   /**< Path MTUs that can be learned: one for each tunnel whose `pmtu_mode` is
                           not ::TUNNELCAP_PMTU_FIXED, and for each that one change replaces by one
                           with another path; at most, and with 0, the default, for all. */
    uint32_t details; /**< Tunnels that each lane keeps rare counters of: what was not sent or
                           delivered, and why, clamps, fragments, ICMP. Where a lane meets more,
                           those of the others count under id 0, and they share one limit for ICMP
                           errors; 0, the default: for all, but 1024 at most. */
    uint32_t watched; /**< Most tunnels whose health is watched, to 2^20; default 64. About 2.3 KiB
                           each; see watch.h. */
    uint32_t vrfs;    /**< Most routing instances with routes, besides 0, up to 2^16; default 16. 64
                           to 128 bytes each. */
    uint32_t nodes;  /**< Nodes of 2112 bytes that find the longest prefix, up to 2^22. Two for each
                          prefix that has routes always suffice. They are shared by prefixes that
                          are alike: a full table of the Internet takes about 80000 for a million
                          prefixes of IPv4 and 170000 for 200000 of IPv6. 0, the default: two for
                          each of 512 routes, and one for each eight beyond. With 2048 nodes or more
                          another 1 MiB makes look-ups in routing instance 0 faster. */
    uint32_t groups; /**< Most different lists of two and more tunnels, with priorities and weights,
                          that prefixes have, up to 2^20; default 64. One list serves any number of
                          prefixes. 4.2 KiB each, and 8 bytes for each bucket. */
    uint32_t buckets;   /**< How finely flows are shared: into so many parts, a power of two from 64
                           to 65536; default 1024. A tunnel's share is less than one part off; with
                             ::TUNNELCAP_TABLE_RENDEZVOUS a share p has a standard deviation of
                             sqrt(p (1 - p) / buckets): with 1024, two equal tunnels get
                             50 % +- 1.6 %. */
    uint32_t region;    /**< Where this server is, 0 to 63; default 0: see tunnelcap_route. */
    uint32_t histories; /**< Most tunnels whose history is kept, to 2^20; default 0. See
                             tunnelcap_table_keep_history(). */
    /** How many closed buckets a history keeps, as in tunnelcap_history_config, whose defaults it
     *  has: 80 bytes each, some 235 KiB for each tunnel. */
    uint32_t history_keep[TUNNELCAP_HISTORY_SPANS];
} tunnelcap_table_config;

/**
 * Fill a table configuration with defaults.
 *
 * @param config receives the defaults; all `size` bytes are written
 * @param size   sizeof(tunnelcap_table_config) of the caller
 * @retval TUNNELCAP_OK        filled
 * @retval TUNNELCAP_E_INVALID config is NULL
 * @retval TUNNELCAP_E_VERSION size is below that of version 1.0
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_config_init(tunnelcap_table_config *config, uint32_t size);

/**
 * Tell how many bytes tunnelcap_table_init() needs for a configuration.
 *
 * @param config a configuration
 * @return bytes, a multiple of 64; 0 when the configuration would be refused
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API size_t tunnelcap_table_size(const tunnelcap_table_config *config);

/**
 * Make an empty table in the caller's memory. It never grows: a larger table is a new one.
 *
 * @param mem      memory at a multiple of 64
 * @param mem_size bytes at mem, at least tunnelcap_table_size()
 * @param config   a configuration; not used after the call
 * @param seed     ::TUNNELCAP_SEED_SIZE bytes for the hashes that choose among equal routes:
 *                 the same on all servers that should choose alike; not used after the call
 * @param out      receives the table; untouched on failure
 *
 * @retval TUNNELCAP_OK         *out is ready
 * @retval TUNNELCAP_E_INVALID  a pointer is NULL or mem is misaligned
 * @retval TUNNELCAP_E_VERSION  the configuration is of an unknown version
 * @retval TUNNELCAP_E_FLAGS    an unknown flag
 * @retval TUNNELCAP_E_RANGE    a capacity out of range
 * @retval TUNNELCAP_E_RESERVED a reserved field is not zero
 * @retval TUNNELCAP_E_NOMEM    mem_size is too small
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_init(void *mem, size_t mem_size,
                                           const tunnelcap_table_config *config,
                                           const uint8_t *seed, tunnelcap_table **out);

/**
 * End a table made by tunnelcap_table_init() and wipe its memory. Detach its lanes first.
 *
 * @param table a table, or NULL
 *
 * Threads  only when no thread uses the table
 * @since 1.0
 */
TUNNELCAP_API void tunnelcap_table_fini(tunnelcap_table *table);

/**
 * Make an empty table in memory from an allocator.
 *
 * @param config a configuration
 * @param seed   as for tunnelcap_table_init()
 * @param alloc  the allocator, copied; NULL for malloc and free
 * @param out    receives the table; untouched on failure
 * @return as tunnelcap_table_init(), ::TUNNELCAP_E_VERSION and ::TUNNELCAP_E_INVALID also for the
 *         allocator; ::TUNNELCAP_E_NOMEM when it refuses; ::TUNNELCAP_E_UNSUPPORTED with alloc
 *         NULL in a freestanding build
 *
 * Threads  as the allocator
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_new(const tunnelcap_table_config *config, const uint8_t *seed,
                                          const tunnelcap_alloc *alloc, tunnelcap_table **out);

/**
 * End a table made by tunnelcap_table_new() and return its memory. Detach its lanes first.
 *
 * @param table a table, or NULL
 *
 * Threads  only when no thread uses the table
 * @since 1.0
 */
TUNNELCAP_API void tunnelcap_table_free(tunnelcap_table *table);

/**
 * Let a lane use a table.
 *
 * @param table a table
 * @param lane  a lane that is attached to none
 * @retval TUNNELCAP_OK        attached
 * @retval TUNNELCAP_E_INVALID an argument is NULL
 * @retval TUNNELCAP_E_STATE   the lane is attached to a table already
 * @retval TUNNELCAP_E_FULL    as many lanes as configured are attached
 *
 * Threads  the table's writer; the lane must be idle
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_attach(tunnelcap_table *table, tunnelcap_lane *lane);

/**
 * End a lane's use of a table. What it counted stays counted.
 *
 * @param table a table
 * @param lane  a lane attached to it
 * @retval TUNNELCAP_OK        detached
 * @retval TUNNELCAP_E_INVALID an argument is NULL
 * @retval TUNNELCAP_E_STATE   the lane is not attached to this table
 *
 * Threads  the table's writer; the lane must be idle
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_detach(tunnelcap_table *table, tunnelcap_lane *lane);

/**
 * Begin a change of the table.
 *
 * @param table a table
 * @retval TUNNELCAP_OK        set and remove are possible now
 * @retval TUNNELCAP_E_INVALID table is NULL
 * @retval TUNNELCAP_E_STATE   a change is under way already
 * @retval TUNNELCAP_E_BUSY    a lane is still in a burst from before the last change: again later
 *
 * Threads  the table's writer
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_begin(tunnelcap_table *table);

/**
 * Make a change visible to all lanes, all at once.
 *
 * @param table      a table in change
 * @param generation receives the number of this version of the table, or NULL
 * @retval TUNNELCAP_OK        bursts that begin from now on see the change
 * @retval TUNNELCAP_E_INVALID table is NULL
 * @retval TUNNELCAP_E_STATE   no change is under way
 *
 * Threads  the table's writer
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_commit(tunnelcap_table *table, uint64_t *generation);

/**
 * Forget a change: the table stays as it was before tunnelcap_table_begin().
 *
 * @param table a table, or NULL
 *
 * Threads  the table's writer
 * @since 1.0
 */
TUNNELCAP_API void tunnelcap_table_abort(tunnelcap_table *table);

/**
 * Tell which versions of the table no lane can still see.
 *
 * Ask before you free what was removed, an SA say: the table itself may refer to it until this
 * function, or tunnelcap_table_begin(), finds that no lane does. It then also makes the last
 * change once more, in the second copy of what lanes read.
 *
 * @param table a table
 * @return the generation G such that every lane sees G or a later one: what was removed up to
 *         G is out of use; 0 if table is NULL
 *
 * Threads  the table's writer
 * Cost     in proportion to the lanes and, once for each change, to that
 * @since 1.0
 */
TUNNELCAP_API uint64_t tunnelcap_table_settled(tunnelcap_table *table);

/**
 * Let a lane reassemble fragments; without, outer ones are dropped with ::TUNNELCAP_E_FRAGMENT and
 * inner ones delivered as they come.
 *
 * All fragments of a datagram must reach the same lane: steer packets by addresses.
 *
 * @param lane  a lane, attached or not
 * @param outer for outer packets, or NULL; it must outlive its use, by this lane alone
 * @param inner for inner packets of tunnels with ::TUNNELCAP_TUNNEL_REASSEMBLE, or NULL; the same
 * @retval TUNNELCAP_OK        set
 * @retval TUNNELCAP_E_INVALID lane is NULL, or both objects are the same one
 *
 * Threads  the lane's
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_set_reassembly(tunnelcap_lane *lane,
                                                     tunnelcap_reassembly *outer,
                                                     tunnelcap_reassembly *inner);

/**
 * Carry inner packets into their tunnels.
 *
 * For each packet, which is IPv4 or IPv6: route by VRF and destination; among equal routes choose
 * by a hash of the flow; see whether it fits the tunnel's inner MTU as the path is known now;
 * clamp; wrap. What it becomes:
 *
 * | packet                            | results                                                 |
 * |-----------------------------------|---------------------------------------------------------|
 * | it fits                           | ::TUNNELCAP_DO_SEND: an outer packet                    |
 * | too large, may be fragmented      | ::TUNNELCAP_DO_KEPT, and behind it ::TUNNELCAP_DO_SEND  |
 * |                                   | for each fragment, in a spare                           |
 * | too large, IPv6 up to 1280 bytes  | the same: its outer packet in fragments                 |
 * | too large otherwise; TTL used up  | ::TUNNELCAP_DO_REPLY: an ICMP error for its sender, or  |
 * |                                   | ::TUNNELCAP_DO_DROP where none may be sent              |
 * | any other that is refused         | ::TUNNELCAP_DO_DROP                                     |
 *
 * Where the results or the spares that are left do not suffice for a packet, the call ends before
 * it: see to what there is, and call again with the rest. A packet that needs more of them than
 * there are in all is dropped with ::TUNNELCAP_E_FULL. A spare needs room for the tunnel's
 * headroom, inner MTU and tailroom, or for the path MTU where the outer packet is fragmented.
 *
 * An ICMP error takes headroom: 28 bytes before an IPv4 packet, 48 before IPv6; it goes to where
 * its packet came from. No more than `icmp_rate` are sent, and none about what RFC 1812 and 4443
 * forbid to answer.
 *
 * @param lane  the calling thread's lane, attached to a table
 * @param burst packets; `results` gets one element for each, in order, and behind it those of the
 *              spares that it fills; `meta` is read as tunnelcap_gre_encap() does
 * @retval TUNNELCAP_OK         pkt_done packets were consumed: all, unless room was short
 * @retval TUNNELCAP_E_INVALID  a pointer is NULL, or more than 65535 packets or spares
 * @retval TUNNELCAP_E_VERSION  the struct is of an unknown version
 * @retval TUNNELCAP_E_FLAGS    an unknown flag
 * @retval TUNNELCAP_E_RESERVED a reserved field is not zero
 * @retval TUNNELCAP_E_STATE    the lane is attached to no table
 *
 * Status of a packet: those of tunnelcap_gre_encap(), tunnelcap_ipip_encap(),
 * tunnelcap_esp_encap() and tunnelcap_fragment_begin(), and
 * @retval TUNNELCAP_E_NEED_SA  a tunnel in ESP without an SA to send by, or whose far end is not
 * known
 * @retval TUNNELCAP_E_PROTOCOL not IP by `meta.ethertype`, or a tunnel that carries other payloads
 * @retval TUNNELCAP_E_NO_ROUTE no route for the destination
 * @retval TUNNELCAP_E_ENCAP_LIMIT may enter no more tunnels over IPv6 (RFC 2473 4.1.1);
 *                                 answered where errors are
 * @retval TUNNELCAP_E_TOO_BIG  larger than the inner MTU, which stands in `value` (for IPv6 1280 at
 *                              least), or a GSO packet
 * @retval TUNNELCAP_E_TTL      TTL or hop limit is used up: ::TUNNELCAP_TUNNEL_TTL_ENCAP
 * @retval TUNNELCAP_E_FULL     would need more spares or results than there are in all
 *
 * A packet that is dropped is unchanged, but for a clamp.
 *
 * Threads  one thread for each lane, any number of lanes, the writer meanwhile
 * Cost     no allocation, no lock
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_encap(tunnelcap_lane *lane, tunnelcap_burst *burst);

/**
 * Carry outer packets out of their tunnels.
 *
 * For each packet: find the tunnel by outer addresses, key and port; unwrap; clamp. What it
 * becomes:
 *
 * | packet                            | results                                                  |
 * |-----------------------------------|----------------------------------------------------------|
 * | of a tunnel                       | ::TUNNELCAP_DO_DELIVER: the payload, its EtherType in    |
 * |                                   | `value`                                                  |
 * | a keepalive                       | ::TUNNELCAP_DO_REPLY: it goes back                       |
 * | an outer fragment; an inner one   | ::TUNNELCAP_DO_KEPT: copied. Behind the one that         |
 * | where the tunnel reassembles      | completes its datagram: the result of that, in a spare   |
 * | its TTL is used up                | ::TUNNELCAP_DO_REPLY: an ICMP error, wrapped, or         |
 * |                                   | ::TUNNELCAP_DO_DROP                                      |
 * | the answer to a probe             | ::TUNNELCAP_DO_LOCAL                                     |
 * | an ICMP echo request to us        | ::TUNNELCAP_DO_REPLY: its answer, wrapped                |
 * | an ICMP error about the path      | ::TUNNELCAP_DO_DELIVER: what it means for the sender of  |
 * |                                   | the inner packet, or ::TUNNELCAP_DO_LOCAL where too      |
 * |                                   | little of that was quoted, or it may not be told         |
 * | ESP of an SPI that is not known   | ::TUNNELCAP_DO_FETCH_SA: unchanged; counted as dropped,  |
 * |                                   | under id 0                                               |
 * | ESP that another server receives  | ::TUNNELCAP_DO_FORWARD: unchanged; counted as dropped    |
 * | any that is refused               | ::TUNNELCAP_DO_DROP                                      |
 *
 * Where results or spares do not suffice, it is as with tunnelcap_table_encap(); a fragment needs
 * a spare only if it completes its datagram. Of a tunnel that reassembles inner packets, each
 * packet wants one result and one spare to be left besides its own result.
 *
 * An answer to a probe is an ICMP echo reply to us with the payload of a probe of the fleet
 * (tunnelcap_table_set_prober()): to `interface4`, `interface6` or our end of the tunnel inside
 * the tunnel that was probed; or from outside. ::TUNNELCAP_EVENT_PROBE tells of it, and it is let
 * through whatever else is forbidden. An echo request to `interface4` or `interface6` is answered
 * where the tunnel does that, if the answer fits it and there is headroom; else it is delivered.
 *
 * An ICMP error from outside counts if it quotes a packet that the tunnel can have sent: addresses,
 * kind, key or SPI, sequence number, ports, as far as they are quoted; of what is in UDP at least
 * the ports must be, of bare ESP SPI and number, of bare GRE its first four bytes. Several tunnels
 * may match what little is quoted: all learn, and the first is named in the result. Too big lowers
 * the path MTU, never below the floor, where the tunnel learns; ::TUNNELCAP_EVENT_PMTU tells.
 *
 * @param lane  the calling thread's lane, attached to a table
 * @param burst packets; `results` gets one element for each, in order, and behind it those of the
 *              spares that it fills; `meta` is read as tunnelcap_gre_decap() does
 * @return as tunnelcap_table_encap()
 *
 * Status of a packet: those of tunnelcap_gre_decap(), tunnelcap_ipip_decap(),
 * tunnelcap_esp_decap(), tunnelcap_icmp_parse() and tunnelcap_reassembly_add(), and
 * @retval TUNNELCAP_E_NEED_SA  no SA of this SPI, which stands in `spi`: ::TUNNELCAP_DO_FETCH_SA;
 * or one that is STAGED, or of an SPI that nobody may have: DROP
 * @retval TUNNELCAP_E_EXPIRED  an SA that is dead, or drained; or a hard limit is reached
 * @retval TUNNELCAP_E_NOT_OWNER another server receives by this SA: ::TUNNELCAP_DO_FORWARD
 * @retval TUNNELCAP_E_LOOP     the packet is addressed to its own encapsulator
 * @retval TUNNELCAP_E_FRAGMENT a fragment that no tunnel expects, or the lane does not reassemble
 * @retval TUNNELCAP_E_TTL      TTL or hop limit is used up: ::TUNNELCAP_TUNNEL_TTL_DECAP. Packets
 *                              to `interface4` and `interface6` have arrived and are exempt
 * @retval TUNNELCAP_E_SPOOFED  the inner source is not routed into the tunnel:
 *                              ::TUNNELCAP_TUNNEL_ANTI_SPOOF
 * @retval TUNNELCAP_E_MARTIAN  an inner address may not travel: ::TUNNELCAP_TUNNEL_MARTIANS
 * @retval TUNNELCAP_E_ICMP     an ICMP error about no packet of ours, or not plausible
 * @retval TUNNELCAP_E_FULL     completes a datagram, and there are no spares or results for it; or
 *                              as tunnelcap_reassembly_add() says
 *
 * A packet that is dropped is unchanged, but for one that was unwrapped before it was dropped: as
 * a loop, for its TTL or its addresses, or as an inner fragment.
 *
 * Threads  one thread for each lane, any number of lanes, the writer meanwhile
 * Cost     no allocation, no lock
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_decap(tunnelcap_lane *lane, tunnelcap_burst *burst);

/**
 * Do what time demands: tunnels that are watched are probed, states change (watch.h); path MTUs
 * that were learned age, and tunnels with ::TUNNELCAP_PMTU_PROBE probe their paths.
 *
 * A probe of a path is an ICMP echo request inside the tunnel, from `interface4` or `interface6` to
 * `probe`, padded, with the outer "don't fragment". Its answer is recognised by
 * tunnelcap_table_decap() of any lane. A probe of health is an ICMP echo as tunnelcap_watch says.
 * Probes are not counted. Changes are told in the events of the lane given here:
 * ::TUNNELCAP_EVENT_PMTU,
 * ::TUNNELCAP_EVENT_HEALTH.
 *
 * @param table   a table
 * @param lane    a lane attached to it that no other thread uses
 * @param burst   no packets; `now_ns`; spares with headroom, and results, for probes: each result
 *                is ::TUNNELCAP_DO_SEND, or ::TUNNELCAP_DO_DROP if the probe could not be made
 * @param next_ns receives when to call again at the latest: at once, if there was too little room
 *                for probes. Call sooner after ::TUNNELCAP_EVENT_PMTU,
 *                tunnelcap_table_answer(), tunnelcap_table_import_pmtu() and, while the
 *                probe of a path is under way, about once for each round trip
 * @retval TUNNELCAP_OK      done; result_count and spare_used are set
 * @retval TUNNELCAP_E_STATE the lane is not attached to this table
 * @return or as tunnelcap_table_encap(); ::TUNNELCAP_E_INVALID also if there are packets
 *
 * Threads  the table's writer
 * Cost     in proportion to the tunnels, up to 4096 of them: paths of a larger table are gone round
 *          in about a second, some at each call, as next_ns asks for
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_tick(tunnelcap_table *table, tunnelcap_lane *lane,
                                           tunnelcap_burst *burst, uint64_t *next_ns);

#ifdef __cplusplus
}
#endif
#endif
