/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/**
 * @file watch.h
 * Watching the tunnels of a table: probes through them, their health, which moves routes, and
 * their history.
 *
 * Who controls the program goes round like this:
 *
 * ```
 * tunnelcap_table_tick()     probes to send, in spares; states change, routes move, buckets close
 * tunnelcap_lane_events()    TUNNELCAP_EVENT_PROBE: an answer has come, on whatever lane
 * tunnelcap_table_answer()   it is noted; or it is another server's: hand it on to that one
 * ```
 *
 * An anycast address has many servers, and the answer to a probe may reach any of them. So a probe
 * says whose it is, under a key that the fleet shares. A table that is no longer ticked keeps the
 * states and routes that it has.
 */
#ifndef TUNNELCAP_WATCH_H
#define TUNNELCAP_WATCH_H

#include <tunnelcap/health.h>
#include <tunnelcap/history.h>
#include <tunnelcap/table.h>

#ifdef __cplusplus
extern "C" {
#endif

/** By which way the answer to a probe comes. */
enum {
    /** Inside the tunnel: probes are between the addresses inside it. */
    TUNNELCAP_WATCH_BIDIRECTIONAL = 0,
    /** Outside: probes are between the public ends of the tunnel. */
    TUNNELCAP_WATCH_UNIDIRECTIONAL = 1
};

/** How to probe a tunnel; fill it with tunnelcap_watch_init() first. */
typedef struct tunnelcap_watch {
    uint32_t size;         /**< sizeof(tunnelcap_watch) of the caller. */
    uint32_t flags;        /**< Zero. */
    uint8_t probe;         /**< ::TUNNELCAP_ECHO_REPLY (default): an echo reply from the far end
                                to us, which its router merely sends back. Or
                                ::TUNNELCAP_ECHO_REQUEST: from us to the far end, which answers. */
    uint8_t direction;     /**< TUNNELCAP_WATCH_; default ::TUNNELCAP_WATCH_BIDIRECTIONAL. */
    uint8_t reserved[6];   /**< Zero. */
    tunnelcap_addr local;  /**< Our address. None, the default: bidirectional the tunnel's
                                `interface4`, or else `interface6`, where answers are recognised;
                                unidirectional our end of the tunnel. */
    tunnelcap_addr remote; /**< The far end's address. None, the default: bidirectional the
                                tunnel's `probe` or else the other address of our /31 or /127;
                                unidirectional the far end of the tunnel. */
} tunnelcap_watch;

/**
 * Fill a watch with defaults: bidirectional echo replies, between the tunnel's own addresses.
 *
 * @param watch receives the defaults; all `size` bytes are written
 * @param size  sizeof(tunnelcap_watch) of the caller
 * @retval TUNNELCAP_OK        filled
 * @retval TUNNELCAP_E_INVALID watch is NULL
 * @retval TUNNELCAP_E_VERSION size is below that of version 1.0
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_watch_init(tunnelcap_watch *watch, uint32_t size);

/**
 * Say who this server is, and give the key that authenticates the fleet's probes. From now on
 * answers to the probes of any of its servers are recognised.
 *
 * @param table  a table
 * @param server the caller's name for this server, other than those of the fleet's others
 * @param key    ::TUNNELCAP_PROBE_KEY secret bytes, the same on all servers; copied
 * @retval TUNNELCAP_OK        set; probes that are under way fail if the key is another one
 * @retval TUNNELCAP_E_INVALID a pointer is NULL
 *
 * Threads  the table's writer, while lanes work
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_set_prober(tunnelcap_table *table, uint64_t server,
                                                 const uint8_t *key);

/**
 * Watch a tunnel, or watch it in another way: its health begins anew.
 *
 * From the next tunnelcap_table_tick() on, probes go through it, and as long as it is not healthy,
 * tunnelcap_health_penalty() of its state is added to the priority of its routes: by a change of
 * the table that the tick makes and commits itself, or where that is not possible because another
 * change is under way or a lane is still in an old burst, by a later tick, which it asks for. The
 * watch outlives changes of the tunnel and ends when it is removed.
 *
 * @param table  a table
 * @param id     a tunnel of the committed table
 * @param watch  how to probe; NULL for the defaults; not used after the call
 * @param health how to judge; NULL for the defaults; not used after the call
 * @return what tunnelcap_health_init() refuses of health, or
 * @retval TUNNELCAP_OK          it is watched
 * @retval TUNNELCAP_E_INVALID   table is NULL
 * @retval TUNNELCAP_E_VERSION   watch is of an unknown version
 * @retval TUNNELCAP_E_STATE     no key yet: tunnelcap_table_set_prober()
 * @retval TUNNELCAP_E_FLAGS     an unknown flag
 * @retval TUNNELCAP_E_MODE      an unknown kind of probe, or direction
 * @retval TUNNELCAP_E_RESERVED  a reserved field is not zero
 * @retval TUNNELCAP_E_NOT_FOUND no such tunnel
 * @retval TUNNELCAP_E_ADDRESS   an address that is not one node's; two families; none that could
 *                               be taken by default; or bidirectional, and ours is not one that
 *                               the tunnel has inside
 * @retval TUNNELCAP_E_FULL      as many as configured are watched
 *
 * On failure nothing has changed.
 *
 * Threads  the table's writer
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_watch(tunnelcap_table *table, uint64_t id,
                                            const tunnelcap_watch *watch,
                                            const tunnelcap_health_config *health);

/**
 * Watch a tunnel no longer. What its state has added to its routes is taken off by the next
 * tunnelcap_table_tick().
 *
 * @param table a table
 * @param id    a tunnel's id
 * @retval TUNNELCAP_OK          done
 * @retval TUNNELCAP_E_INVALID   table is NULL
 * @retval TUNNELCAP_E_NOT_FOUND it is not watched
 *
 * Threads  the table's writer
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_unwatch(tunnelcap_table *table, uint64_t id);

/**
 * Note that a probe was answered: hand in a ::TUNNELCAP_EVENT_PROBE, as a lane of this server or
 * of another one of the fleet has told it. Call tunnelcap_table_tick() soon after the last of
 * those that wait: it sends what is due now, and tells of a state that has changed.
 *
 * @param table  a table
 * @param event  the event; its `tunnel`, `server` and `value` are used
 * @param now_ns when the answer came, on this server's clock: `event->now_ns` of its own lanes
 * @retval TUNNELCAP_OK          noted; the state is as before
 * @retval TUNNELCAP_CHANGED     noted, or too late; the state has changed
 * @retval TUNNELCAP_E_INVALID   a pointer is NULL
 * @retval TUNNELCAP_E_MODE      an event of another kind
 * @retval TUNNELCAP_E_STATE     no key yet: tunnelcap_table_set_prober()
 * @retval TUNNELCAP_E_NOT_OWNER another server has sent the probe: hand the event on to
 *                               `event->server`
 * @retval TUNNELCAP_E_NOT_FOUND the tunnel is not watched, or no answer to this number is awaited:
 *                               too late, the second one, or never sent
 *
 * Threads  the table's writer
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_answer(tunnelcap_table *table, const tunnelcap_event *event,
                                             uint64_t now_ns);

/**
 * Tell how a watched tunnel is: its state, loss, round-trip time and jitter.
 *
 * @param table a table
 * @param id    a tunnel's id
 * @param info  receives the facts
 * @param size  sizeof(tunnelcap_health_info) of the caller
 * @return as tunnelcap_health_get_info(), or
 * @retval TUNNELCAP_E_NOT_FOUND it is not watched
 *
 * Threads  the table's writer
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_get_health(const tunnelcap_table *table, uint64_t id,
                                                 tunnelcap_health_info *info, uint32_t size);

/**
 * Keep the history of a tunnel, from the next tunnelcap_table_tick() on: what it carries second by
 * second, minute by minute and hour by hour, and its health, 0, 0.5 or 1. Bytes are those of inner
 * packets. A tunnel that is not watched counts as healthy.
 *
 * The tick takes the counters once a second; where it comes late, its buckets say so. Its clock
 * should count from the epoch of UNIX and never leap, so that buckets begin at full minutes. The
 * history outlives changes of the tunnel and ends when it is removed.
 *
 * @param table a table
 * @param id    a tunnel of the committed table
 * @retval TUNNELCAP_OK          it is kept; also if it was before
 * @retval TUNNELCAP_E_INVALID   table is NULL
 * @retval TUNNELCAP_E_NOT_FOUND no such tunnel
 * @retval TUNNELCAP_E_FULL      as many histories as configured are kept
 *
 * Threads  the table's writer
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_keep_history(tunnelcap_table *table, uint64_t id);

/**
 * Keep the history of a tunnel no longer, and forget it.
 *
 * @param table a table
 * @param id    a tunnel's id
 * @retval TUNNELCAP_OK          done
 * @retval TUNNELCAP_E_INVALID   table is NULL
 * @retval TUNNELCAP_E_NOT_FOUND none was kept
 *
 * Threads  the table's writer
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_drop_history(tunnelcap_table *table, uint64_t id);

/**
 * Look at the history of a tunnel, to be read by tunnelcap_history_get() and
 * tunnelcap_history_percentile().
 *
 * @param table   a table
 * @param id      a tunnel's id
 * @param history receives the history, which lies in the table and is valid up to the next
 *                tunnelcap_table_tick() or tunnelcap_table_drop_history(); untouched on failure
 * @retval TUNNELCAP_OK          *history is set
 * @retval TUNNELCAP_E_INVALID   a pointer is NULL
 * @retval TUNNELCAP_E_NOT_FOUND none is kept
 *
 * Threads  the table's writer
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_table_get_history(const tunnelcap_table *table, uint64_t id,
                                                  const tunnelcap_history **history);

#ifdef __cplusplus
}
#endif
#endif
