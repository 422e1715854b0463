/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/**
 * @file history.h
 * What a tunnel has carried, second by second, minute by minute, hour by hour, in fixed memory.
 *
 * The caller hands in the tunnel's running totals about once a second. Buckets begin at multiples
 * of their span on the caller's clock, and never change once they are closed. Each knows its
 * average and, from the seconds in it, its peak: long averages hide peaks.
 */
#ifndef TUNNELCAP_HISTORY_H
#define TUNNELCAP_HISTORY_H

#include <tunnelcap/packet.h>

#ifdef __cplusplus
extern "C" {
#endif

/** History of one tunnel. Opaque. */
typedef struct tunnelcap_history tunnelcap_history;

/** Spans of buckets. */
enum {
    TUNNELCAP_HISTORY_SECOND = 0,       /**< 1 s. */
    TUNNELCAP_HISTORY_MINUTE = 1,       /**< 60 s. */
    TUNNELCAP_HISTORY_FIVE_MINUTES = 2, /**< 300 s. */
    TUNNELCAP_HISTORY_HOUR = 3,         /**< 3600 s. */
    TUNNELCAP_HISTORY_SPANS = 4         /**< How many there are. */
};

/** How many closed buckets to keep; fill it with tunnelcap_history_config_init() first. */
typedef struct tunnelcap_history_config {
    uint32_t size;                          /**< sizeof(tunnelcap_history_config) of the caller. */
    uint32_t flags;                         /**< Zero. */
    uint32_t keep[TUNNELCAP_HISTORY_SPANS]; /**< By span, 1 to 100000 each; default 120 seconds,
                                                 120 minutes, 2016 five minutes (a week), 744
                                                 hours (31 days). 80 bytes each. */
} tunnelcap_history_config;

/** A tunnel's running totals, as in tunnelcap_counters. */
typedef struct tunnelcap_history_totals {
    uint64_t encap_bytes;   /**< Bytes sent into the tunnel. */
    uint64_t encap_packets; /**< Packets sent into the tunnel. */
    uint64_t decap_bytes;   /**< Bytes out of the tunnel. */
    uint64_t decap_packets; /**< Packets out of the tunnel. */
} tunnelcap_history_totals;

/** Flags of a bucket. */
enum {
    /** The totals came late: seconds in it share evenly what came in several, so peaks in it may
     *  have been higher. */
    TUNNELCAP_HISTORY_LATE = 1,
    /** The history began in it: it is shorter than its span. */
    TUNNELCAP_HISTORY_PARTIAL = 2,
    /** The totals fell in it, as those of a tunnel that was made anew do: counted from zero. */
    TUNNELCAP_HISTORY_RESTART = 4
};

/** One direction in a bucket. Rates are per second, rounded down. */
typedef struct tunnelcap_history_flow {
    uint64_t bytes;            /**< Bytes. */
    uint64_t packets;          /**< Packets. */
    uint64_t bit_rate;         /**< Average, in bits per second. */
    uint64_t packet_rate;      /**< Average, in packets per second. */
    uint64_t peak_bit_rate;    /**< That of its busiest second. */
    uint64_t peak_packet_rate; /**< That of its busiest second. */
} tunnelcap_history_flow;

/** A closed bucket. */
typedef struct tunnelcap_history_bucket {
    uint32_t size;                /**< sizeof(tunnelcap_history_bucket) of the caller. */
    uint32_t flags;               /**< TUNNELCAP_HISTORY_ flags. */
    uint64_t start_s;             /**< First second, on the caller's clock. */
    uint32_t seconds;             /**< Seconds that it covers: its span, or less if partial. */
    uint32_t state_ppm;           /**< Average state: 0 down, 500000 degraded, 1000000 healthy. */
    tunnelcap_history_flow encap; /**< Into the tunnel. */
    tunnelcap_history_flow decap; /**< Out of the tunnel. */
} tunnelcap_history_bucket;

/**
 * Fill a configuration with defaults.
 *
 * @param config receives the defaults; all `size` bytes are written
 * @param size   sizeof(tunnelcap_history_config) of the caller
 * @retval TUNNELCAP_OK        filled
 * @retval TUNNELCAP_E_INVALID config is NULL
 * @retval TUNNELCAP_E_VERSION size is below that of version 1.0
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_history_config_init(tunnelcap_history_config *config,
                                                    uint32_t size);

/**
 * Tell how many bytes tunnelcap_history_init() needs.
 *
 * @param config a configuration
 * @return bytes, a multiple of 64; 0 when the configuration would be refused
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API size_t tunnelcap_history_size(const tunnelcap_history_config *config);

/**
 * Make an empty history in the caller's memory.
 *
 * @param mem      memory at a multiple of 64
 * @param mem_size bytes at mem, at least tunnelcap_history_size()
 * @param config   a configuration; not used after the call
 * @param out      receives the history; untouched on failure
 *
 * @retval TUNNELCAP_OK         *out is ready
 * @retval TUNNELCAP_E_INVALID  a pointer is NULL or mem is misaligned
 * @retval TUNNELCAP_E_VERSION  the configuration is of an unknown version
 * @retval TUNNELCAP_E_FLAGS    an unknown flag
 * @retval TUNNELCAP_E_RANGE    a number out of range
 * @retval TUNNELCAP_E_NOMEM    mem_size is too small
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_history_init(void *mem, size_t mem_size,
                                             const tunnelcap_history_config *config,
                                             tunnelcap_history **out);

/**
 * End a history made by tunnelcap_history_init() and wipe its memory.
 *
 * @param history a history, or NULL
 *
 * Threads  only when no thread uses it
 * @since 1.0
 */
TUNNELCAP_API void tunnelcap_history_fini(tunnelcap_history *history);

/**
 * Make an empty history in memory from an allocator.
 *
 * @param config a configuration
 * @param alloc  the allocator, copied; NULL for malloc and free
 * @param out    receives the history; untouched on failure
 * @return as tunnelcap_history_init(), ::TUNNELCAP_E_VERSION and ::TUNNELCAP_E_INVALID also for
 *         the allocator; ::TUNNELCAP_E_NOMEM when it refuses; ::TUNNELCAP_E_UNSUPPORTED with
 *         alloc NULL in a freestanding build
 *
 * Threads  as the allocator
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_history_new(const tunnelcap_history_config *config,
                                            const tunnelcap_alloc *alloc, tunnelcap_history **out);

/**
 * End a history made by tunnelcap_history_new() and return its memory.
 *
 * @param history a history, or NULL
 *
 * Threads  only when no thread uses it
 * @since 1.0
 */
TUNNELCAP_API void tunnelcap_history_free(tunnelcap_history *history);

/**
 * Take a tunnel's totals: the seconds that have passed since the last call get what has been added
 * since then, and buckets that have ended are closed.
 *
 * The first call only begins. Call it right after each second of the clock; when more than one
 * has passed, they share evenly, and their buckets are flagged late.
 *
 * @param history a history
 * @param now_ns  the caller's clock, in nanoseconds since the epoch of UNIX if buckets are to
 *                begin at full minutes and hours; one that goes backwards stands still here
 * @param totals  what the tunnel has carried since it was made
 * @param state   its health in the seconds that have passed: TUNNELCAP_HEALTH_
 * @retval TUNNELCAP_OK        done; sums over closed buckets equal the totals to the last unit
 * @retval TUNNELCAP_E_INVALID a pointer is NULL
 * @retval TUNNELCAP_E_RANGE   an unknown state; nothing has changed
 *
 * Threads  not concurrently on the same history
 * Cost     no allocation; constant, but that a leap of time costs a step for each bucket of the
 *          histories that it passes
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_history_add(tunnelcap_history *history, uint64_t now_ns,
                                            const tunnelcap_history_totals *totals, uint32_t state);

/**
 * Read a closed bucket.
 *
 * @param history a history
 * @param span    ::TUNNELCAP_HISTORY_SECOND ... ::TUNNELCAP_HISTORY_HOUR
 * @param index   0 for the newest, 1 for the one before, ...
 * @param bucket  receives it
 * @param size    sizeof(tunnelcap_history_bucket) of the caller
 * @retval TUNNELCAP_OK          *bucket is set
 * @retval TUNNELCAP_E_INVALID   a pointer is NULL
 * @retval TUNNELCAP_E_VERSION   size is below that of version 1.0
 * @retval TUNNELCAP_E_MODE      an unknown span
 * @retval TUNNELCAP_E_NOT_FOUND no bucket of this index is kept
 *
 * Threads  not concurrently with tunnelcap_history_add() on the same history
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_history_get(const tunnelcap_history *history, uint32_t span,
                                            uint32_t index, tunnelcap_history_bucket *bucket,
                                            uint32_t size);

/**
 * Tell a percentile of the average bit rates of closed buckets, by nearest rank: the 95th of
 * five minutes over a month is what bandwidth is usually billed by.
 *
 * @param history a history
 * @param span    ::TUNNELCAP_HISTORY_SECOND ... ::TUNNELCAP_HISTORY_HOUR
 * @param count   how many of the newest buckets; more than there are means all
 * @param percent 1 to 100
 * @param rates   receives bits per second: into the tunnel, out of the tunnel, and of the larger
 *                of both in each bucket
 * @retval TUNNELCAP_OK          rates are set
 * @retval TUNNELCAP_E_INVALID   a pointer is NULL
 * @retval TUNNELCAP_E_MODE      an unknown span
 * @retval TUNNELCAP_E_RANGE     count is 0, or percent out of range
 * @retval TUNNELCAP_E_NOT_FOUND no bucket is closed yet
 *
 * Threads  not concurrently with tunnelcap_history_add() on the same history
 * Cost     no allocation; some 200 looks at each bucket
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_history_percentile(const tunnelcap_history *history, uint32_t span,
                                                   uint32_t count, uint32_t percent,
                                                   uint64_t rates[3]);

#ifdef __cplusplus
}
#endif
#endif
