/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/**
 * @file top.h
 * The heaviest keys of a stream, in fixed memory: who sends most, to which port, in what sizes.
 *
 * Keys are bytes of the caller's choosing: an address, a port, a whole flow. Of a stream whose
 * weights sum up to W, a list of K keys holds every key that weighs more than W / K, and tells for
 * each key an upper bound of its weight and by how much that may be too high (Space-Saving:
 * Metwally, Agrawal, El Abbadi 2005). Of a sampled stream the bounds are those of the samples.
 */
#ifndef TUNNELCAP_TOP_H
#define TUNNELCAP_TOP_H

#include <tunnelcap/packet.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The heaviest keys of one stream. Opaque. */
typedef struct tunnelcap_top tunnelcap_top;

/** Sizes. */
enum {
    TUNNELCAP_TOP_KEY_MAX = 40,  /**< Bytes of a key at most: two IPv6 addresses and ports fit. */
    TUNNELCAP_TOP_SEED_SIZE = 16 /**< Bytes of seed. */
};

/** Capacity; fill it with tunnelcap_top_config_init() first. */
typedef struct tunnelcap_top_config {
    uint32_t size;     /**< sizeof(tunnelcap_top_config) of the caller. */
    uint32_t flags;    /**< Zero. */
    uint32_t keys;     /**< K: most keys watched, 1 to 2^20; default 256. Watch some ten times as
                            many as you will list. About 80 bytes each. */
    uint32_t key_size; /**< Bytes of each key, 1 to ::TUNNELCAP_TOP_KEY_MAX; default 16. */
} tunnelcap_top_config;

/** A key and its weight. */
typedef struct tunnelcap_top_item {
    uint64_t weight; /**< Upper bound; the true weight is not below
                          `weight - error`. */
    uint64_t error;  /**< At most W / K; 0 for keys that were never pushed out. */
    uint8_t key[TUNNELCAP_TOP_KEY_MAX]; /**< `key_size` bytes, then zeros. */
} tunnelcap_top_item;

/**
 * Fill a configuration with defaults.
 *
 * @param config receives the defaults; all `size` bytes are written
 * @param size   sizeof(tunnelcap_top_config) of the caller
 * @retval TUNNELCAP_OK        filled
 * @retval TUNNELCAP_E_INVALID config is NULL
 * @retval TUNNELCAP_E_VERSION size is below that of version 1.0
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_top_config_init(tunnelcap_top_config *config, uint32_t size);

/**
 * Tell how many bytes tunnelcap_top_init() needs.
 *
 * @param config a configuration
 * @return bytes, a multiple of 64; 0 when the configuration would be refused
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API size_t tunnelcap_top_size(const tunnelcap_top_config *config);

/**
 * Make an empty list in the caller's memory.
 *
 * @param mem      memory at a multiple of 64
 * @param mem_size bytes at mem, at least tunnelcap_top_size()
 * @param config   a configuration; not used after the call
 * @param seed     ::TUNNELCAP_TOP_SEED_SIZE secret bytes for the hash of keys, which others may
 *                 choose; not used after the call
 * @param out      receives the list; untouched on failure
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
TUNNELCAP_API int32_t tunnelcap_top_init(void *mem, size_t mem_size,
                                         const tunnelcap_top_config *config, const uint8_t *seed,
                                         tunnelcap_top **out);

/**
 * End a list made by tunnelcap_top_init() and wipe its memory.
 *
 * @param top a list, or NULL
 *
 * Threads  only when no thread uses it
 * @since 1.0
 */
TUNNELCAP_API void tunnelcap_top_fini(tunnelcap_top *top);

/**
 * Make an empty list in memory from an allocator.
 *
 * @param config a configuration
 * @param seed   as for tunnelcap_top_init()
 * @param alloc  the allocator, copied; NULL for malloc and free
 * @param out    receives the list; untouched on failure
 * @return as tunnelcap_top_init(), ::TUNNELCAP_E_VERSION and ::TUNNELCAP_E_INVALID also for the
 *         allocator; ::TUNNELCAP_E_NOMEM when it refuses; ::TUNNELCAP_E_UNSUPPORTED with alloc
 *         NULL in a freestanding build
 *
 * Threads  as the allocator
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_top_new(const tunnelcap_top_config *config, const uint8_t *seed,
                                        const tunnelcap_alloc *alloc, tunnelcap_top **out);

/**
 * End a list made by tunnelcap_top_new() and return its memory.
 *
 * @param top a list, or NULL
 *
 * Threads  only when no thread uses it
 * @since 1.0
 */
TUNNELCAP_API void tunnelcap_top_free(tunnelcap_top *top);

/**
 * Add to the weight of a key. One that is not watched takes the place of the lightest key, and its
 * weight as its own error, once there is no other place.
 *
 * @param top    a list
 * @param key    `key_size` bytes
 * @param weight 1 to count packets, their bytes to count those; 0 changes nothing. The sum of all
 *               weights must stay below 2^64.
 * @retval TUNNELCAP_OK        added
 * @retval TUNNELCAP_E_INVALID a pointer is NULL
 *
 * Threads  not concurrently on the same list
 * Cost     no allocation; in proportion to the logarithm of K
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_top_add(tunnelcap_top *top, const uint8_t *key, uint64_t weight);

/**
 * List the heaviest keys, the heaviest first; of equal ones the smaller key, byte by byte.
 *
 * @param top   a list
 * @param items receives them
 * @param cap   room at items
 * @param count receives how many are set: cap, or fewer if fewer keys are watched
 * @param total receives the sum of all weights that were added, W; or NULL
 * @retval TUNNELCAP_OK        *count items are set
 * @retval TUNNELCAP_E_INVALID a pointer is NULL; items may be, if cap is 0
 *
 * Threads  not concurrently with a change of the same list
 * Cost     no allocation; K times the logarithm of cap
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_top_list(const tunnelcap_top *top, tunnelcap_top_item *items,
                                         uint32_t cap, uint32_t *count, uint64_t *total);

/**
 * Forget all keys: the stream begins anew.
 *
 * @param top a list, or NULL
 *
 * Threads  not concurrently on the same list
 * @since 1.0
 */
TUNNELCAP_API void tunnelcap_top_clear(tunnelcap_top *top);

#ifdef __cplusplus
}
#endif
#endif
