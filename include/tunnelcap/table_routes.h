/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/**
 * @file table_routes.h
 * The routes of a table: which tunnel takes what, by longest prefix, priority, weight and region.
 */
#ifndef TUNNELCAP_TABLE_ROUTES_H
#define TUNNELCAP_TABLE_ROUTES_H

#include <tunnelcap/table.h>
#include <tunnelcap/tunnel.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Add a route, or change priority, weight and regions of the route with this VRF, prefix and
 * tunnel.
 *
 * A packet takes the longest prefix that has routes which count in the table's region; of those the
 * one with the lowest priority; among equal ones the hash of its flow decides, by their weights:
 * of addresses, and ports of TCP and UDP; of fragments by addresses only.
 *
 * @param table a table in change
 * @param route the route
 * @retval TUNNELCAP_OK          set
 * @retval TUNNELCAP_E_INVALID   a pointer is NULL
 * @retval TUNNELCAP_E_VERSION   the struct is of an unknown version
 * @retval TUNNELCAP_E_STATE     no change is under way
 * @retval TUNNELCAP_E_NOT_FOUND no such tunnel
 * @retval TUNNELCAP_E_ADDRESS   no family, or bits set behind the prefix
 * @retval TUNNELCAP_E_RANGE     prefix length or weight out of range
 * @retval TUNNELCAP_E_FLAGS     an unknown flag
 * @retval TUNNELCAP_E_RESERVED  a reserved field is not zero
 * @retval TUNNELCAP_E_FULL      no room for another route, its routing instance, nodes for its
 *                               prefix or the group of its prefix's tunnels; or more than 64 routes
 *                               of one prefix that count in this region
 *
 * On failure the change under way is as it was before the call.
 *
 * Threads  the table's writer
 * Cost     in proportion to the prefix's routes; a prefix that holds many others writes to the
 * nodes of all of them
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_set_route(tunnelcap_table *table,
                                                const tunnelcap_route *route);

/**
 * Remove the route with this VRF, prefix and tunnel. Priority and weight need not be those of the
 * route, but must be valid.
 *
 * @param table a table in change
 * @param route the route
 * @return as tunnelcap_table_set_route(); ::TUNNELCAP_E_NOT_FOUND also if there is no such route;
 *         ::TUNNELCAP_E_FULL if two and more tunnels remain, and there is no room for their group
 *
 * Threads  the table's writer
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_remove_route(tunnelcap_table *table,
                                                   const tunnelcap_route *route);

/**
 * List the routes of the committed table.
 *
 * @param table  a table
 * @param cursor 0 for the first route; each call moves it on. Good until the next commit
 * @param route  receives the route, as it was set
 * @param size   sizeof(tunnelcap_route) of the caller
 * @retval TUNNELCAP_OK          *route is set
 * @retval TUNNELCAP_E_INVALID   a pointer is NULL
 * @retval TUNNELCAP_E_VERSION   size is below that of version 1.0
 * @retval TUNNELCAP_E_NOT_FOUND there are no more
 *
 * Threads  the table's writer
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_next_route(const tunnelcap_table *table, uint32_t *cursor,
                                                 tunnelcap_route *route, uint32_t size);

/**
 * Tell which route of the committed table an inner packet takes.
 *
 * @param table a table
 * @param pkt   the packet; not even its status is written. Headers suffice
 * @param meta  what it came with, of which only `vrf` is read, or NULL
 * @param route receives the route, as it was set
 * @param size  sizeof(tunnelcap_route) of the caller
 * @retval TUNNELCAP_OK          *route is set
 * @retval TUNNELCAP_E_INVALID   a pointer is NULL, or the window is not inside the buffer
 * @retval TUNNELCAP_E_VERSION   size is below that of version 1.0
 * @retval TUNNELCAP_E_TRUNCATED headers are cut short
 * @retval TUNNELCAP_E_MALFORMED not IP
 * @retval TUNNELCAP_E_NO_ROUTE  no route holds its destination
 *
 * Threads  the table's writer
 * Cost     a look into a hash for each length of prefixes: for people, not for packets
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_find_route(const tunnelcap_table *table,
                                                 const tunnelcap_pkt *pkt,
                                                 const tunnelcap_meta *meta, tunnelcap_route *route,
                                                 uint32_t size);

#ifdef __cplusplus
}
#endif
#endif
