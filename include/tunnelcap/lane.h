/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/**
 * @file lane.h
 * One thread's own state: what the data path draws on and shares with nobody.
 *
 * The library has no random source and no thread-local storage. A lane holds what a thread
 * needs instead: the key of its flow hashes, its share of the IPv4 identification numbers, and
 * the working state of its crypto provider.
 * Each thread that encapsulates, or uses a table, has a lane; a lane is used by one thread at a
 * time.
 */
#ifndef TUNNELCAP_LANE_H
#define TUNNELCAP_LANE_H

#include <tunnelcap/crypto.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Sizes of a lane's arguments. */
enum {
    TUNNELCAP_SEED_SIZE = 32 /**< Bytes of seed that a lane or a table wants. */
};

/** State of one thread. Opaque. */
typedef struct tunnelcap_lane tunnelcap_lane;

/** Configuration of a lane; fill it with tunnelcap_lane_config_init() first. */
typedef struct tunnelcap_lane_config {
    uint32_t size;      /**< sizeof(tunnelcap_lane_config) of the caller. */
    uint32_t flags;     /**< Zero. */
    uint16_t index;     /**< Which of the process's lanes this is, from 0: below `count`. */
    uint16_t count;     /**< How many lanes share the local addresses, 1 to 256: no two of them
                             ever choose the same IPv4 identification. Default 1. */
    uint32_t max_burst; /**< With a crypto provider: most packets given to it at a time, 1 to
                             1024; longer bursts go in parts. Default 32. */
    uint32_t key_slots; /**< With a crypto provider: keys that it keeps ready, 1 to 2^20. A lane
                             that uses more SAs in turn loads keys again. Default 64. */
} tunnelcap_lane_config;

/**
 * Fill a lane configuration with defaults.
 *
 * @param config receives the defaults; all `size` bytes are written
 * @param size   sizeof(tunnelcap_lane_config) of the caller
 * @retval TUNNELCAP_OK        filled
 * @retval TUNNELCAP_E_INVALID config is NULL
 * @retval TUNNELCAP_E_VERSION size is below that of version 1.0
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_lane_config_init(tunnelcap_lane_config *config, uint32_t size);

/**
 * Tell how many bytes tunnelcap_lane_init() needs for a configuration.
 *
 * @param config a configuration
 * @param crypto the provider that the lane is to work with, or NULL
 * @return bytes, a multiple of 64; 0 when the arguments would be refused
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API size_t tunnelcap_lane_size(const tunnelcap_lane_config *config,
                                         const tunnelcap_crypto *crypto);

/**
 * Make a lane in the caller's memory.
 *
 * @param mem      memory at a multiple of 64
 * @param mem_size bytes at mem, at least tunnelcap_lane_size()
 * @param config   a configuration; not used after the call
 * @param seed     ::TUNNELCAP_SEED_SIZE bytes from the system's random source, fresh for each
 *                 lane; not used after the call
 * @param crypto   the provider for ESP, which must outlive the lane; NULL without ESP
 * @param out      receives the lane; untouched on failure
 *
 * @retval TUNNELCAP_OK         *out is ready
 * @retval TUNNELCAP_E_INVALID  a pointer is NULL or mem is misaligned
 * @retval TUNNELCAP_E_VERSION  the configuration is of an unknown version
 * @retval TUNNELCAP_E_FLAGS    an unknown flag
 * @retval TUNNELCAP_E_RANGE    a number out of range
 * @retval TUNNELCAP_E_NOMEM    mem_size is too small, or the provider has no memory
 * @retval TUNNELCAP_E_CRYPTO   the provider failed
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_lane_init(void *mem, size_t mem_size,
                                          const tunnelcap_lane_config *config, const uint8_t *seed,
                                          const tunnelcap_crypto *crypto, tunnelcap_lane **out);

/**
 * End a lane made by tunnelcap_lane_init() and wipe its memory. Detach it from its table first.
 *
 * @param lane a lane, or NULL
 *
 * Threads  only when no thread uses the lane
 * @since 1.0
 */
TUNNELCAP_API void tunnelcap_lane_fini(tunnelcap_lane *lane);

/**
 * Make a lane in memory from an allocator.
 *
 * @param config a configuration
 * @param seed   as for tunnelcap_lane_init()
 * @param crypto as for tunnelcap_lane_init()
 * @param alloc  the allocator, copied; NULL for malloc and free
 * @param out    receives the lane; untouched on failure
 * @return as tunnelcap_lane_init(), ::TUNNELCAP_E_VERSION and ::TUNNELCAP_E_INVALID also for the
 *         allocator; ::TUNNELCAP_E_NOMEM when it refuses; ::TUNNELCAP_E_UNSUPPORTED with alloc
 *         NULL in a freestanding build
 *
 * Threads  as the allocator
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_lane_new(const tunnelcap_lane_config *config, const uint8_t *seed,
                                         const tunnelcap_crypto *crypto,
                                         const tunnelcap_alloc *alloc, tunnelcap_lane **out);

/**
 * End a lane made by tunnelcap_lane_new() and return its memory.
 *
 * @param lane a lane, or NULL
 *
 * Threads  only when no thread uses the lane
 * @since 1.0
 */
TUNNELCAP_API void tunnelcap_lane_free(tunnelcap_lane *lane);

#ifdef __cplusplus
}
#endif
#endif
