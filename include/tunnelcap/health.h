/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/**
 * @file health.h
 * Whether a tunnel carries packets: probes to send, answers, a state with hysteresis.
 *
 * A probe is an ICMP echo inside the tunnel (tunnelcap_icmp_echo_build()). This module tells when
 * one is to be sent, learns which were answered, and keeps the state:
 *
 * ```
 * HEALTHY  -> DEGRADED   of the last 5 min's probes at least 0.1 %, and at least 2, have failed
 * any      -> DOWN       all of at least 3 samples of the last second have failed
 * DOWN     -> DEGRADED   3 successes in a row
 * DEGRADED -> HEALTHY    5 min after it was entered, the last 30 samples clean, and the condition
 *                        for entering it false
 * ```
 *
 * Those numbers are defaults. A sample is the outcome of a probe, at the time of that outcome.
 * When a probe fails, two more go out at once; when one succeeds in DOWN, two more as well.
 */
#ifndef TUNNELCAP_HEALTH_H
#define TUNNELCAP_HEALTH_H

#include <tunnelcap/packet.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Health of one tunnel. Opaque. */
typedef struct tunnelcap_health tunnelcap_health;

/** States, the better the greater: half of it is the usual series 0, 0.5, 1. */
enum {
    TUNNELCAP_HEALTH_DOWN = 0,     /**< Nothing passes. */
    TUNNELCAP_HEALTH_DEGRADED = 1, /**< Probes get lost, or did lately. */
    TUNNELCAP_HEALTH_HEALTHY = 2   /**< Probes pass. */
};

/** What is added to the priority of routes into a tunnel that is not healthy. */
enum {
    TUNNELCAP_HEALTH_PENALTY_DEGRADED = 500000, /**< In ::TUNNELCAP_HEALTH_DEGRADED. */
    TUNNELCAP_HEALTH_PENALTY_DOWN = 1000000     /**< In ::TUNNELCAP_HEALTH_DOWN. */
};

/** Usual times between probes, in milliseconds. */
enum {
    TUNNELCAP_HEALTH_RATE_LOW = 60000, /**< One a minute. */
    TUNNELCAP_HEALTH_RATE_MID = 10000, /**< One in ten seconds. */
    TUNNELCAP_HEALTH_RATE_HIGH = 1000  /**< One a second. */
};

/** How to judge; fill it with tunnelcap_health_config_init() first. */
typedef struct tunnelcap_health_config {
    uint32_t size;              /**< sizeof(tunnelcap_health_config) of the caller. */
    uint32_t flags;             /**< Zero. */
    uint32_t interval_ms;       /**< Between probes: `timeout_ms` to 3600000; default 10000. */
    uint32_t timeout_ms;        /**< Until a probe counts as failed: 1 to 999; default 500. */
    uint32_t window_ms;         /**< DEGRADED: the time looked at, 300 to 3600000; default
                                     300000. Told apart in 300 steps. */
    uint32_t degraded_ppm;      /**< DEGRADED: failures in a million, 1 to 1000000; default
                                     1000. */
    uint32_t degraded_failures; /**< DEGRADED: least failures, 1 to 1000; default 2. */
    uint32_t down_window_ms;    /**< DOWN: the time looked at, `timeout_ms` to 60000; default
                                     1000. */
    uint32_t down_samples;      /**< DOWN: least samples in that time, 1 to 3; default 3: a
                                     probe and its two repetitions. */
    uint32_t up_samples;        /**< Out of DOWN: successes in a row, 1 to 32; default 3. */
    uint32_t clean_samples;     /**< HEALTHY again: samples without failure, 1 to 32; default
                                     30. */
    uint32_t dwell_ms;          /**< HEALTHY again: least time in DEGRADED, to 3600000; default
                                     300000. */
    uint8_t state;              /**< State to begin in; default ::TUNNELCAP_HEALTH_HEALTHY. */
    uint8_t reserved[7];        /**< Zero. */
} tunnelcap_health_config;

/** What is to be done now, and when to ask again. */
typedef struct tunnelcap_health_due {
    uint64_t next_ns; /**< Call tunnelcap_health_tick() then, at the latest. */
    uint32_t seq;     /**< Number of the first probe to send. */
    uint32_t count;   /**< How many to send now: `seq`, `seq` + 1, ... modulo 2^32; 0 to 3. */
} tunnelcap_health_due;

/** How a tunnel is. */
typedef struct tunnelcap_health_info {
    uint32_t size;        /**< sizeof(tunnelcap_health_info) of the caller. */
    uint32_t state;       /**< TUNNELCAP_HEALTH_ */
    uint64_t since_ns;    /**< When that state was entered; 0 if it is the first. */
    uint64_t sent;        /**< Probes that were due. */
    uint64_t answered;    /**< Probes answered in time. */
    uint64_t failed;      /**< Probes not answered in time. */
    uint64_t rtt_ns;      /**< Round-trip time, smoothed as in RFC 6298 2; 0 before the first. */
    uint64_t rtt_last_ns; /**< Of the last answer. */
    uint64_t jitter_ns;   /**< Interarrival jitter, as in RFC 3550 6.4.1, of round trips. */
    uint32_t samples;     /**< Outcomes in the window of `window_ms`. */
    uint32_t failures;    /**< Failures among them. */
    uint32_t loss_ppm;    /**< Failures in a million of them. */
    uint32_t reserved;    /**< Zero. */
} tunnelcap_health_info;

/**
 * Fill a configuration with defaults: a probe in ten seconds, judged as the file comment says.
 *
 * @param config receives the defaults; all `size` bytes are written
 * @param size   sizeof(tunnelcap_health_config) of the caller
 * @retval TUNNELCAP_OK        filled
 * @retval TUNNELCAP_E_INVALID config is NULL
 * @retval TUNNELCAP_E_VERSION size is below that of version 1.0
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_health_config_init(tunnelcap_health_config *config, uint32_t size);

/**
 * Tell how many bytes tunnelcap_health_init() needs.
 *
 * @param config a configuration
 * @return bytes, a multiple of 64; 0 when the configuration would be refused
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API size_t tunnelcap_health_size(const tunnelcap_health_config *config);

/**
 * Begin to watch a tunnel, in the caller's memory. The first probe is due at once.
 *
 * @param mem      memory at a multiple of 64
 * @param mem_size bytes at mem, at least tunnelcap_health_size()
 * @param config   a configuration; not used after the call
 * @param out      receives the object; untouched on failure
 *
 * @retval TUNNELCAP_OK         *out is ready
 * @retval TUNNELCAP_E_INVALID  a pointer is NULL or mem is misaligned
 * @retval TUNNELCAP_E_VERSION  the configuration is of an unknown version
 * @retval TUNNELCAP_E_FLAGS    an unknown flag
 * @retval TUNNELCAP_E_MODE     an unknown state
 * @retval TUNNELCAP_E_RANGE    a number out of range
 * @retval TUNNELCAP_E_RESERVED a reserved field is not zero
 * @retval TUNNELCAP_E_NOMEM    mem_size is too small
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_health_init(void *mem, size_t mem_size,
                                            const tunnelcap_health_config *config,
                                            tunnelcap_health **out);

/**
 * End an object made by tunnelcap_health_init() and wipe its memory.
 *
 * @param health an object, or NULL
 *
 * Threads  only when no thread uses it
 * @since 1.0
 */
TUNNELCAP_API void tunnelcap_health_fini(tunnelcap_health *health);

/**
 * Begin to watch a tunnel, in memory from an allocator.
 *
 * @param config a configuration
 * @param alloc  the allocator, copied; NULL for malloc and free
 * @param out    receives the object; untouched on failure
 * @return as tunnelcap_health_init(), ::TUNNELCAP_E_VERSION and ::TUNNELCAP_E_INVALID also for the
 *         allocator; ::TUNNELCAP_E_NOMEM when it refuses; ::TUNNELCAP_E_UNSUPPORTED with alloc
 *         NULL in a freestanding build
 *
 * Threads  as the allocator
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_health_new(const tunnelcap_health_config *config,
                                           const tunnelcap_alloc *alloc, tunnelcap_health **out);

/**
 * End an object made by tunnelcap_health_new() and return its memory.
 *
 * @param health an object, or NULL
 *
 * Threads  only when no thread uses it
 * @since 1.0
 */
TUNNELCAP_API void tunnelcap_health_free(tunnelcap_health *health);

/**
 * Let time pass: probes that were not answered in time fail, and new ones become due.
 *
 * The caller sends what is due now. When the call comes late, no probe is made up for.
 *
 * @param health an object
 * @param now_ns the caller's clock; one that goes backwards stands still here
 * @param due    receives what is due
 * @retval TUNNELCAP_OK        the state is as before
 * @retval TUNNELCAP_CHANGED   the state has changed: tunnelcap_health_get_info()
 * @retval TUNNELCAP_E_INVALID a pointer is NULL
 *
 * Threads  not concurrently on the same object
 * Cost     no allocation; constant but for the 300 steps of a window when time leaps
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_health_tick(tunnelcap_health *health, uint64_t now_ns,
                                            tunnelcap_health_due *due);

/**
 * Note that a probe was answered. Does what tunnelcap_health_tick() does, too.
 *
 * @param health an object
 * @param seq    the probe's number
 * @param now_ns when the answer came, on the caller's clock
 * @param due    receives what is due
 * @retval TUNNELCAP_OK          noted; the state is as before
 * @retval TUNNELCAP_CHANGED     noted, or too late; the state has changed
 * @retval TUNNELCAP_E_NOT_FOUND no answer to this number is awaited: too late, the second one, or
 *                               never sent; the state is as before, *due is set
 * @retval TUNNELCAP_E_INVALID   a pointer is NULL
 *
 * Threads  not concurrently on the same object
 * Cost     as tunnelcap_health_tick()
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_health_answer(tunnelcap_health *health, uint32_t seq,
                                              uint64_t now_ns, tunnelcap_health_due *due);

/**
 * Tell how a tunnel is, as of the last call of tunnelcap_health_tick() or
 * tunnelcap_health_answer().
 *
 * @param health an object
 * @param info   receives the facts
 * @param size   sizeof(tunnelcap_health_info) of the caller
 * @retval TUNNELCAP_OK        *info is set
 * @retval TUNNELCAP_E_INVALID a pointer is NULL
 * @retval TUNNELCAP_E_VERSION size is below that of version 1.0
 *
 * Threads  not concurrently with a change of the same object
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_health_get_info(const tunnelcap_health *health,
                                                tunnelcap_health_info *info, uint32_t size);

/**
 * Tell what a state adds to the priority of routes.
 *
 * @param state TUNNELCAP_HEALTH_
 * @return 0, ::TUNNELCAP_HEALTH_PENALTY_DEGRADED or ::TUNNELCAP_HEALTH_PENALTY_DOWN; the last
 *         also for a number that is no state
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API uint32_t tunnelcap_health_penalty(uint32_t state);

/** Sizes of a probe's payload and of the key that authenticates it. */
enum {
    TUNNELCAP_PROBE_SIZE = 48, /**< Bytes that tunnelcap_probe_write() writes. */
    TUNNELCAP_PROBE_KEY = 16   /**< Bytes of key. */
};

/**
 * What a probe says of itself, so that any server of a fleet that meets its answer knows whose it
 * is.
 */
typedef struct tunnelcap_probe {
    uint64_t tunnel;  /**< Id of the tunnel. */
    uint64_t server;  /**< The caller's name for the server that sent it. */
    uint64_t sent_ns; /**< When, on that server's clock. */
    uint32_t seq;     /**< Number, of tunnelcap_health_due. */
    uint32_t kind;    /**< The caller's: what the probe is for. */
} tunnelcap_probe;

/**
 * Write a probe's payload: what stands behind the ICMP echo header.
 *
 * ```
 * "TCPR" | version 1, 3 zero | tunnel | server | sent_ns | seq | kind | MAC
 *    4            4              8        8         8       4     4      8
 * ```
 *
 * Numbers are big-endian; the MAC is SipHash-2-4 of what stands before it, in the byte order that
 * its authors gave it.
 *
 * @param probe   what it says
 * @param key     ::TUNNELCAP_PROBE_KEY secret bytes, the same on all servers of the fleet
 * @param payload receives ::TUNNELCAP_PROBE_SIZE bytes
 * @retval TUNNELCAP_OK        written
 * @retval TUNNELCAP_E_INVALID a pointer is NULL
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_probe_write(const tunnelcap_probe *probe, const uint8_t *key,
                                            uint8_t *payload);

/**
 * Read a probe's payload, and verify that the fleet has sent it.
 *
 * @param payload what stands behind an ICMP echo header
 * @param len     bytes there; what follows the first ::TUNNELCAP_PROBE_SIZE is padding
 * @param key     as for tunnelcap_probe_write()
 * @param probe   receives what it says; untouched on failure
 * @retval TUNNELCAP_OK          *probe is set
 * @retval TUNNELCAP_E_PROTOCOL  too short, or no such payload: somebody else's ping
 * @retval TUNNELCAP_E_AUTH      wrong MAC
 * @retval TUNNELCAP_E_INVALID   a pointer is NULL
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_probe_read(const uint8_t *payload, uint32_t len, const uint8_t *key,
                                           tunnelcap_probe *probe);

#ifdef __cplusplus
}
#endif
#endif
