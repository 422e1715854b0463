/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/**
 * @file traffic.h
 * What traffic is made of: the heaviest sources, destinations, ports and so on, overall and for the
 * heaviest tunnels, in fixed memory, from the records that lanes pick (sample.h).
 *
 * A weight is an estimate, with two bounds:
 *
 * - Of the records: it is not too low, and too high by at most `error`, itself at most 1 / K of all
 *   weights of the list (top.h); 0 as long as no more than K keys have come.
 * - Of the picking: a record at rate N stands for N packets. Of a key with X packets that are all
 *   picked at rate N, the estimate has no bias, and a standard error of at most sqrt(N * X); of Y
 *   bytes in packets of at most L, sqrt(N * L * Y). So with N = 1000, a million packets are known
 * to 3 percent, and 95 times in 100 to twice that. Where N varies, take the largest.
 */
#ifndef TUNNELCAP_TRAFFIC_H
#define TUNNELCAP_TRAFFIC_H

#include <tunnelcap/sample.h>
#include <tunnelcap/top.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What traffic is made of. Opaque. */
typedef struct tunnelcap_traffic tunnelcap_traffic;

/** By what traffic is told apart. */
enum {
    TUNNELCAP_TRAFFIC_SOURCE = 0,           /**< `addr`: source. */
    TUNNELCAP_TRAFFIC_DESTINATION = 1,      /**< `addr`: destination. */
    TUNNELCAP_TRAFFIC_SOURCE_PORT = 2,      /**< `key`: source port of TCP, UDP, SCTP. */
    TUNNELCAP_TRAFFIC_DESTINATION_PORT = 3, /**< `key`: destination port of the same. */
    TUNNELCAP_TRAFFIC_PROTOCOL = 4,         /**< `key`: protocol number; not if it is no IP. */
    /** `key`: the least of 64, 128, 256, 512, 1024, 1500, 9000, 65575 that the packet does not
     *  exceed: the inner one, or the outer one if it was not unwrapped. */
    TUNNELCAP_TRAFFIC_SIZE = 5,
    TUNNELCAP_TRAFFIC_TCP_FLAGS = 6,  /**< `key`: the byte of flags, of TCP. */
    TUNNELCAP_TRAFFIC_FRAGMENT = 7,   /**< `key`: 1 for fragments, else 0. */
    TUNNELCAP_TRAFFIC_TUNNEL = 8,     /**< `key`: id of the tunnel, 0 for none. */
    TUNNELCAP_TRAFFIC_OUTCOME = 9,    /**< `status`, and in `key` TUNNELCAP_DO_. */
    TUNNELCAP_TRAFFIC_DIMENSIONS = 10 /**< How many there are. */
};

/** What is weighed. */
enum {
    TUNNELCAP_TRAFFIC_PACKETS = 0, /**< Packets. */
    TUNNELCAP_TRAFFIC_BYTES = 1    /**< Bytes of inner packets; of outer ones where they were not
                                        unwrapped. */
};

/** Capacity; fill it with tunnelcap_traffic_config_init() first. */
typedef struct tunnelcap_traffic_config {
    uint32_t size;        /**< sizeof(tunnelcap_traffic_config) of the caller. */
    uint32_t flags;       /**< Zero. */
    uint32_t keys;        /**< K of the lists overall, 8 to 65536; default 256. Watch some ten times
                               as many as you will list. */
    uint32_t tunnels;     /**< Tunnels with lists of their own, to 1024; default 16. */
    uint32_t tunnel_keys; /**< K of those lists, 8 to 65536; default 64. */
} tunnelcap_traffic_config;

/** A key and what it weighs. */
typedef struct tunnelcap_traffic_item {
    uint64_t weight;     /**< Packets or bytes; see the file comment. */
    uint64_t error;      /**< By how much that may be too high for what the records say. */
    uint64_t key;        /**< See the dimension; else 0. */
    tunnelcap_addr addr; /**< See the dimension; else none. */
    int32_t status;      /**< See the dimension; else 0. */
} tunnelcap_traffic_item;

/**
 * Fill a configuration with defaults.
 *
 * @param config receives the defaults; all `size` bytes are written
 * @param size   sizeof(tunnelcap_traffic_config) of the caller
 * @retval TUNNELCAP_OK        filled
 * @retval TUNNELCAP_E_INVALID config is NULL
 * @retval TUNNELCAP_E_VERSION size is below that of version 1.0
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_traffic_config_init(tunnelcap_traffic_config *config,
                                                    uint32_t size);

/**
 * Tell how many bytes tunnelcap_traffic_init() needs: by default about 1.5 MiB; overall some
 * 1200 for each of `keys`, and the same for each of `tunnel_keys` of each tunnel.
 *
 * @param config a configuration
 * @return bytes, a multiple of 64; 0 when the configuration would be refused
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API size_t tunnelcap_traffic_size(const tunnelcap_traffic_config *config);

/**
 * Make empty lists in the caller's memory.
 *
 * @param mem      memory at a multiple of 64
 * @param mem_size bytes at mem, at least tunnelcap_traffic_size()
 * @param config   a configuration; not used after the call
 * @param seed     ::TUNNELCAP_TOP_SEED_SIZE secret bytes for the hashes of keys, which others may
 *                 choose; not used after the call
 * @param out      receives the object; untouched on failure
 *
 * @retval TUNNELCAP_OK        *out is ready
 * @retval TUNNELCAP_E_INVALID a pointer is NULL or mem is misaligned
 * @retval TUNNELCAP_E_VERSION the configuration is of an unknown version
 * @retval TUNNELCAP_E_FLAGS   an unknown flag
 * @retval TUNNELCAP_E_RANGE   a number out of range
 * @retval TUNNELCAP_E_NOMEM   mem_size is too small
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_traffic_init(void *mem, size_t mem_size,
                                             const tunnelcap_traffic_config *config,
                                             const uint8_t *seed, tunnelcap_traffic **out);

/**
 * End an object made by tunnelcap_traffic_init() and wipe its memory.
 *
 * @param traffic an object, or NULL
 *
 * Threads  only when no thread uses it
 * @since 1.0
 */
TUNNELCAP_API void tunnelcap_traffic_fini(tunnelcap_traffic *traffic);

/**
 * Make empty lists in memory from an allocator.
 *
 * @param config a configuration
 * @param seed   as for tunnelcap_traffic_init()
 * @param alloc  the allocator, copied; NULL for malloc and free
 * @param out    receives the object; untouched on failure
 * @return as tunnelcap_traffic_init(), ::TUNNELCAP_E_VERSION and ::TUNNELCAP_E_INVALID also for
 *         the allocator; ::TUNNELCAP_E_NOMEM when it refuses; ::TUNNELCAP_E_UNSUPPORTED with alloc
 *         NULL in a freestanding build
 *
 * Threads  as the allocator
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_traffic_new(const tunnelcap_traffic_config *config,
                                            const uint8_t *seed, const tunnelcap_alloc *alloc,
                                            tunnelcap_traffic **out);

/**
 * End an object made by tunnelcap_traffic_new() and return its memory.
 *
 * @param traffic an object, or NULL
 *
 * Threads  only when no thread uses it
 * @since 1.0
 */
TUNNELCAP_API void tunnelcap_traffic_free(tunnelcap_traffic *traffic);

/**
 * Take records, of any number of lanes.
 *
 * Lists of their own have the tunnels that the heaviest stream of packets comes from, by
 * Space-Saving like the keys themselves: one that has no lists takes those of the lightest, and
 * begins anew. Of a stream of W packets, each tunnel with more than W / `tunnels` of them has
 * lists.
 *
 * @param traffic an object
 * @param samples records; those of rate 0 are skipped
 * @param count   how many
 * @retval TUNNELCAP_OK        taken
 * @retval TUNNELCAP_E_INVALID a pointer is NULL; samples may be, if count is 0
 *
 * Threads  not concurrently on the same object
 * Cost     no allocation; for each record in proportion to the logarithm of K; for one of a tunnel
 *          without lists, while there are others, in proportion to `tunnels` and to a clearing of
 *          lists
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_traffic_add(tunnelcap_traffic *traffic,
                                            const tunnelcap_sample *samples, uint32_t count);

/**
 * List the heaviest keys, the heaviest first.
 *
 * @param traffic   an object
 * @param tunnel    a tunnel's id, or 0 for all traffic
 * @param dimension TUNNELCAP_TRAFFIC_SOURCE ... TUNNELCAP_TRAFFIC_OUTCOME
 * @param unit      ::TUNNELCAP_TRAFFIC_PACKETS or ::TUNNELCAP_TRAFFIC_BYTES
 * @param items     receives them
 * @param cap       room at items
 * @param count     receives how many are set: cap, or fewer if fewer keys are watched
 * @param total     receives the weight of all keys of the list; or NULL
 * @retval TUNNELCAP_OK          *count items are set
 * @retval TUNNELCAP_E_INVALID   a pointer is NULL; items may be, if cap is 0
 * @retval TUNNELCAP_E_MODE      an unknown dimension or unit
 * @retval TUNNELCAP_E_NOT_FOUND the tunnel has no lists of its own
 *
 * Threads  not concurrently with a change of the same object
 * Cost     no allocation; K times the logarithm of cap
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_traffic_list(const tunnelcap_traffic *traffic, uint64_t tunnel,
                                             uint32_t dimension, uint32_t unit,
                                             tunnelcap_traffic_item *items, uint32_t cap,
                                             uint32_t *count, uint64_t *total);

/**
 * Forget everything: the stream begins anew.
 *
 * @param traffic an object, or NULL
 *
 * Threads  not concurrently on the same object
 * @since 1.0
 */
TUNNELCAP_API void tunnelcap_traffic_clear(tunnelcap_traffic *traffic);

#ifdef __cplusplus
}
#endif
#endif
