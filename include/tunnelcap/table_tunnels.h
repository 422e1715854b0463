/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/**
 * @file table_tunnels.h
 * The tunnels of a table: adding, replacing and removing them in a change; facts, counters and
 * reasons.
 */
#ifndef TUNNELCAP_TABLE_TUNNELS_H
#define TUNNELCAP_TABLE_TUNNELS_H

#include <tunnelcap/gre.h>
#include <tunnelcap/ipip.h>
#include <tunnelcap/peek.h>
#include <tunnelcap/table.h>
#include <tunnelcap/tunnel.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Add a GRE tunnel, or replace the tunnel of this id. Sequence numbers and counters of a GRE
 * tunnel that is replaced by a GRE tunnel go on.
 *
 * Packets find the tunnel by outer VRF, addresses, key (or none) and, in UDP, the port.
 *
 * @param table  a table in change
 * @param id     the caller's name for the tunnel, not 0; may be the same on a whole fleet
 * @param tunnel what the table does for it; NULL for the defaults
 * @param gre    the tunnel itself
 * @return ::TUNNELCAP_OK, what tunnelcap_gre_init() refuses, or
 * @retval TUNNELCAP_E_STATE    no change is under way
 * @retval TUNNELCAP_E_RANGE    id is 0, the MTU below 68 or above 65535, a path MTU below its floor
 *                              (1280 over IPv6) or above what IP can carry, or a floor out of range
 * @retval TUNNELCAP_E_FLAGS    an unknown flag, or DF cleared where nothing is fragmented
 * @retval TUNNELCAP_E_MODE     a mode out of its list
 * @retval TUNNELCAP_E_RESERVED a reserved field is not zero
 * @retval TUNNELCAP_E_ADDRESS  an inner address of the wrong family, or multicast; none to probe,
 * or none to probe from
 * @retval TUNNELCAP_E_EXISTS   another tunnel answers to the same packets
 * @retval TUNNELCAP_E_FULL     no room for another tunnel
 *
 * On failure the change under way is as it was before the call.
 *
 * Threads  the table's writer
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_set_gre(tunnelcap_table *table, uint64_t id,
                                              const tunnelcap_tunnel *tunnel,
                                              const tunnelcap_gre_config *gre);

/**
 * Add an IP-in-IP tunnel, or replace the tunnel of this id.
 *
 * Packets find the tunnel by outer VRF and addresses.
 *
 * @param table  a table in change
 * @param id     the caller's name for the tunnel, not 0
 * @param tunnel what the table does for it; NULL for the defaults
 * @param ipip   the tunnel itself
 * @return ::TUNNELCAP_OK, what tunnelcap_ipip_init() refuses, or what
 *         tunnelcap_table_set_gre() lists
 *
 * Threads  the table's writer
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_set_ipip(tunnelcap_table *table, uint64_t id,
                                               const tunnelcap_tunnel *tunnel,
                                               const tunnelcap_ipip_config *ipip);

/**
 * Add an ESP tunnel, or replace the tunnel of this id. An ESP tunnel that is replaced by an ESP
 * tunnel of the same outer VRF keeps its SAs.
 *
 * Until it has an SA to send by, packets into it are refused with ::TUNNELCAP_E_NEED_SA, and its
 * inner MTU is the one that is given, or 1280.
 *
 * @param table  a table in change
 * @param id     the caller's name for the tunnel, not 0
 * @param tunnel what the table does for it; NULL for the defaults
 * @return ::TUNNELCAP_OK, or what tunnelcap_table_set_gre() lists
 *
 * Threads  the table's writer
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_set_esp(tunnelcap_table *table, uint64_t id,
                                              const tunnelcap_tunnel *tunnel);

/**
 * Add a tunnel of GRE in ESP transport mode, or replace the tunnel of this id; one that is replaced
 * by another of its kind and outer VRF keeps its SAs.
 *
 * ```
 * [ IP | (UDP) | ESP | IV | GRE | inner packet | padding | ICV ]
 * ```
 *
 * It sends and receives by the SAs that tunnelcap_table_set_sa() gives it, in transport mode, and
 * is otherwise as a GRE tunnel: key, checksum and sequence numbers are those inside. Inner MTU,
 * MSS, headroom and tailroom follow from both: 1442 bytes for AES-GCM-16 over IPv4 on a path of
 * 1500. Without an SA to send by it is as with tunnelcap_table_set_esp(). What comes to it as GRE
 * in the clear is refused with ::TUNNELCAP_E_AUTH, what comes in ESP and is not its GRE with what
 * tunnelcap_gre_decap() says. Keepalives are refused: ::TUNNELCAP_E_PROTOCOL.
 *
 * @param table  a table in change
 * @param id     the caller's name for the tunnel, not 0
 * @param tunnel what the table does for it; NULL for the defaults
 * @param gre    the tunnel itself
 * @return as tunnelcap_table_set_gre(); ::TUNNELCAP_E_FLAGS also for GRE in UDP
 *
 * Threads  the table's writer
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_set_gre_esp(tunnelcap_table *table, uint64_t id,
                                                  const tunnelcap_tunnel *tunnel,
                                                  const tunnelcap_gre_config *gre);

/**
 * Remove a tunnel with its routes and SAs.
 *
 * @param table a table in change
 * @param id    a tunnel's id
 * @retval TUNNELCAP_OK          removed
 * @retval TUNNELCAP_E_INVALID   table is NULL
 * @retval TUNNELCAP_E_STATE     no change is under way
 * @retval TUNNELCAP_E_NOT_FOUND no such tunnel
 *
 * Threads  the table's writer
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_remove(tunnelcap_table *table, uint64_t id);

/**
 * List the tunnels of the committed table.
 *
 * @param table a table
 * @param index 0, 1, 2, ... in no particular order, stable between two commits
 * @param id    receives the tunnel's id
 * @retval TUNNELCAP_OK          *id is set
 * @retval TUNNELCAP_E_INVALID   a pointer is NULL
 * @retval TUNNELCAP_E_NOT_FOUND index is past the last tunnel
 *
 * Threads  the table's writer
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_tunnel_at(const tunnelcap_table *table, uint32_t index,
                                                uint64_t *id);

/**
 * Tell facts about a tunnel of the committed table.
 *
 * @param table a table
 * @param id    a tunnel's id
 * @param info  receives the facts
 * @param size  sizeof(tunnelcap_tunnel_info) of the caller
 * @retval TUNNELCAP_OK          *info is set
 * @retval TUNNELCAP_E_INVALID   a pointer is NULL
 * @retval TUNNELCAP_E_VERSION   size is below that of version 1.0
 * @retval TUNNELCAP_E_NOT_FOUND no such tunnel
 *
 * Threads  the table's writer
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_get_info(const tunnelcap_table *table, uint64_t id,
                                               tunnelcap_tunnel_info *info, uint32_t size);

/**
 * Read a tunnel's counters.
 *
 * @param table a table
 * @param id    a tunnel's id; 0 for packets that found no tunnel
 * @param stats receives the sums
 * @param size  sizeof(tunnelcap_stats) of the caller
 * @retval TUNNELCAP_OK          *stats is set
 * @retval TUNNELCAP_E_INVALID   a pointer is NULL
 * @retval TUNNELCAP_E_VERSION   size is below that of version 1.0
 * @retval TUNNELCAP_E_NOT_FOUND no such tunnel
 *
 * Threads  the table's writer, while lanes count on
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_get_stats(const tunnelcap_table *table, uint64_t id,
                                                tunnelcap_stats *stats, uint32_t size);

/**
 * Read why packets were dropped. Only reasons that have occurred are listed.
 *
 * @param table     a table
 * @param id        a tunnel's id; 0 for packets that found no tunnel
 * @param direction ::TUNNELCAP_ENCAP or ::TUNNELCAP_DECAP
 * @param reasons   receives the reasons
 * @param cap       room at reasons
 * @param count     receives how many there are; when that is above cap, the first cap are set
 * @retval TUNNELCAP_OK          *count is set
 * @retval TUNNELCAP_E_INVALID   a pointer is NULL (reasons may be, if cap is 0), or an unknown
 *                               direction
 * @retval TUNNELCAP_E_NOT_FOUND no such tunnel
 *
 * Threads  the table's writer, while lanes count on
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_reasons(const tunnelcap_table *table, uint64_t id,
                                              uint32_t direction, tunnelcap_reason *reasons,
                                              uint32_t cap, uint32_t *count);

#ifdef __cplusplus
}
#endif
#endif
