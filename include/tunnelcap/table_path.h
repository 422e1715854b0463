/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/**
 * @file table_path.h
 * What a table knows of the paths of its tunnels, and what other servers of a fleet tell of them.
 */
#ifndef TUNNELCAP_TABLE_PATH_H
#define TUNNELCAP_TABLE_PATH_H

#include <tunnelcap/pmtu.h>
#include <tunnelcap/table.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Tell what is known of a tunnel's path.
 *
 * @param table  a table
 * @param id     a tunnel's id
 * @param now_ns the caller's clock
 * @param info   receives the facts
 * @param size   sizeof(tunnelcap_pmtu_info) of the caller
 * @return as tunnelcap_pmtu_get_info(), or
 * @retval TUNNELCAP_E_NOT_FOUND no such tunnel, or an ESP tunnel without outbound SA
 *
 * Threads  the table's writer
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_get_pmtu(const tunnelcap_table *table, uint64_t id,
                                               uint64_t now_ns, tunnelcap_pmtu_info *info,
                                               uint32_t size);

/**
 * Tell what this server has found out about a tunnel's path, for the others of a fleet.
 *
 * @param table  a table
 * @param id     a tunnel's id
 * @param now_ns the caller's clock
 * @param event  receives the finding
 * @param size   sizeof(tunnelcap_pmtu_event) of the caller
 * @return as tunnelcap_pmtu_export(), or
 * @retval TUNNELCAP_E_NOT_FOUND no such tunnel, no outbound SA, or nothing was found
 *
 * Threads  the table's writer
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_export_pmtu(const tunnelcap_table *table, uint64_t id,
                                                  uint64_t now_ns, tunnelcap_pmtu_event *event,
                                                  uint32_t size);

/**
 * Take over what another server has found out about a tunnel's path.
 *
 * @param table  a table
 * @param id     a tunnel's id
 * @param event  the finding
 * @param now_ns the caller's clock
 * @return as tunnelcap_pmtu_import(), or
 * @retval TUNNELCAP_E_NOT_FOUND no such tunnel, or an ESP tunnel without outbound SA
 *
 * Threads  the table's writer
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_import_pmtu(tunnelcap_table *table, uint64_t id,
                                                  const tunnelcap_pmtu_event *event,
                                                  uint64_t now_ns);

#ifdef __cplusplus
}
#endif
#endif
