/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/**
 * @file table_sas.h
 * The security associations of a table: their states, the servers that own them, and the far end
 * that an ESP tunnel sends to.
 */
#ifndef TUNNELCAP_TABLE_SAS_H
#define TUNNELCAP_TABLE_SAS_H

#include <tunnelcap/esp.h>
#include <tunnelcap/table.h>
#include <tunnelcap/tunnel.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Give a tunnel in ESP an SA of either direction, or let one that it has go on to another state:
 * see
 * ::TUNNELCAP_SA_STAGED and the others. Rekeying without a packet lost is
 *
 * 1. the new SAs are made, and become ::TUNNELCAP_SA_IN_READY;
 * 2. the far end is ready: the new outbound SA becomes ::TUNNELCAP_SA_OUT_ACTIVE, the old one
 *    drains by itself; the old inbound SA becomes ::TUNNELCAP_SA_DRAINING;
 * 3. the old ones become ::TUNNELCAP_SA_DEAD once nothing of them is under way any more.
 *
 * In a fleet of servers that share SAs, an SA must be IN_READY on all of them before it becomes
 * OUT_ACTIVE on any: the far end answers by it, to whichever server is nearest. The table cannot
 * see the fleet; who distributes the SAs must see to it.
 *
 * Inbound, packets find the SA by outer VRF, destination and SPI, bare or in UDP; never by source.
 * The SA stays the caller's. It must outlive its use: after it has become DEAD, or was removed,
 * until tunnelcap_table_settled() has reached that commit; then every lane is to forget it
 * (tunnelcap_esp_forget()) before tunnelcap_esp_free(). Bursts under way go on with the SAs that
 * they began with.
 *
 * Dead SAs take no room from others: the oldest gives way where there is none left, and a new SA
 * may have the SPI of a dead one.
 *
 * @param table    a table in change
 * @param id       a tunnel of tunnelcap_table_set_esp() or tunnelcap_table_set_gre_esp()
 * @param esp      an SA: for GRE in ESP in transport mode, for an ESP tunnel in tunnel mode,
 * inbound also in transport mode
 * @param state    TUNNELCAP_SA_
 * @param until_ns DRAINING: when it ends, on the clock of bursts; 0: when told. Else 0
 * @retval TUNNELCAP_OK          set; also if it was before
 * @retval TUNNELCAP_E_INVALID   a pointer is NULL
 * @retval TUNNELCAP_E_STATE     no change is under way; or not a state that may follow
 * @retval TUNNELCAP_E_MODE      no such state, or an SA in the other mode
 * @retval TUNNELCAP_E_RANGE     until_ns is set, and the state is not DRAINING
 * @retval TUNNELCAP_E_NOT_FOUND no such ESP tunnel
 * @retval TUNNELCAP_E_EXISTS    another SA answers to this SPI at this address
 * @retval TUNNELCAP_E_FULL      no room for another SA; or for the tunnel with its new path
 *
 * On failure the change under way is as it was before the call.
 *
 * Threads  the table's writer
 * Cost     in proportion to the SAs of the tunnel
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_set_sa(tunnelcap_table *table, uint64_t id,
                                             tunnelcap_esp *esp, uint32_t state, uint64_t until_ns);

/**
 * Say which server receives by an SA: with a replay window only one may, or each would accept a
 * copy of every packet. The others answer its packets with ::TUNNELCAP_DO_FORWARD and
 * ::TUNNELCAP_E_NOT_OWNER.
 *
 * @param table a table in change
 * @param id    an ESP tunnel's id
 * @param esp   an inbound SA that was given to tunnelcap_table_set_sa()
 * @param owner the caller's number of the server, which packets get as `value`; 0, as it is at
 *              first: this one
 * @retval TUNNELCAP_OK          set
 * @retval TUNNELCAP_E_INVALID   a pointer is NULL
 * @retval TUNNELCAP_E_STATE     no change is under way
 * @retval TUNNELCAP_E_MODE      not an inbound SA
 * @retval TUNNELCAP_E_NOT_FOUND no such ESP tunnel, or not its SA
 *
 * Threads  the table's writer
 * Cost     in proportion to the SAs of the tunnel
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_set_owner(tunnelcap_table *table, uint64_t id,
                                                const tunnelcap_esp *esp, uint32_t owner);

/**
 * Say where the far end of an ESP tunnel is, or has moved to. ::TUNNELCAP_EVENT_PEER_MOVED tells
 * that: after the first packet of an inbound SA without remote address, and whenever verified
 * packets come from elsewhere. Where a replay window is configured it is told by the latest packet
 * only, and never by one that is repeated (RFC 7296 2.23). Whether to follow is the caller's
 * decision.
 *
 * It holds for the SA that the tunnel sends by now, and for each later one whose own configuration
 * leaves it open (::TUNNELCAP_ESP_ANY_PEER). The path to a new address begins to be learned anew.
 *
 * @param table a table in change
 * @param id    an ESP tunnel's id
 * @param addr  the far end's outer address, of the family of ours
 * @param port  its UDP port, where the SA sends in UDP; 0: as configured
 * @retval TUNNELCAP_OK          set
 * @retval TUNNELCAP_E_INVALID   a pointer is NULL
 * @retval TUNNELCAP_E_STATE     no change is under way
 * @retval TUNNELCAP_E_NOT_FOUND no such ESP tunnel
 * @retval TUNNELCAP_E_NEED_SA   it has no SA to send by
 * @retval TUNNELCAP_E_ADDRESS   of the other family, none, our own, or no unicast address
 * @retval TUNNELCAP_E_FULL      no room for the tunnel with its new path
 *
 * On failure the change under way is as it was before the call.
 *
 * Threads  the table's writer
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_set_peer(tunnelcap_table *table, uint64_t id,
                                               const tunnelcap_addr *addr, uint16_t port);

/**
 * Forget an SA, whatever its state: its SPI is that of a stranger from now on.
 *
 * @param table a table in change
 * @param id    an ESP tunnel's id
 * @param esp   an SA given to tunnelcap_table_set_sa()
 * @retval TUNNELCAP_OK          removed
 * @retval TUNNELCAP_E_INVALID   a pointer is NULL
 * @retval TUNNELCAP_E_STATE     no change is under way
 * @retval TUNNELCAP_E_NOT_FOUND no such ESP tunnel, or not its SA, or dead already
 * @retval TUNNELCAP_E_FULL      it is the one that sends, and there is no room for the tunnel
 * without
 *
 * Threads  the table's writer
 * Cost     in proportion to the SAs of the tunnel
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_remove_sa(tunnelcap_table *table, uint64_t id,
                                                const tunnelcap_esp *esp);

/**
 * List the SAs of a tunnel of the committed table, dead ones included.
 *
 * @param table a table
 * @param id    a tunnel's id
 * @param index 0, 1, 2, ... in no particular order, stable between two commits
 * @param info  receives what is known of the SA
 * @param size  sizeof(tunnelcap_sa_info) of the caller
 * @retval TUNNELCAP_OK          *info is set
 * @retval TUNNELCAP_E_INVALID   a pointer is NULL
 * @retval TUNNELCAP_E_VERSION   size is below that of version 1.0
 * @retval TUNNELCAP_E_NOT_FOUND no such tunnel, or index is past its last SA
 *
 * Threads  the table's writer
 * Cost     in proportion to index
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_sa_at(const tunnelcap_table *table, uint64_t id,
                                            uint32_t index, tunnelcap_sa_info *info, uint32_t size);

#ifdef __cplusplus
}
#endif
#endif
