/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/**
 * @file lane.h
 * One thread's own state: what the data path draws on and shares with nobody.
 *
 * The library has no random source and no thread-local storage. A lane holds what a thread
 * needs instead: the key of its flow hashes, its share of the IPv4 identification numbers, the
 * working state of its crypto provider, and a ring of events for whoever controls the program.
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
    uint32_t events;    /**< Events that wait at most to be read, 0 to 65536; default 64. */
    uint32_t samples;   /**< Records of packets that wait at most to be read, 0 to 2^20; default 0.
                             96 bytes each; see sample.h. */
    uint32_t sample_rate;   /**< N: 1 in so many packets is recorded, to 2^20; 0, the default:
                                 none. */
    uint32_t sample_target; /**< Records a second, to 2^20: N, which begins with `sample_rate`, is
                                 doubled and halved so that there are half to twice as many. 0, the
                                 default: N is fixed. */
} tunnelcap_lane_config;

/** What an event says; see tunnelcap_event. */
enum {
    TUNNELCAP_EVENT_PMTU = 1,       /**< The path MTU of a tunnel has changed. */
    TUNNELCAP_EVENT_PEER_MOVED = 2, /**< ESP: verified packets come from another address or port. */
    TUNNELCAP_EVENT_REKEY = 3,      /**< ESP: a soft limit of an SA is reached; once for each SA. */
    TUNNELCAP_EVENT_PROBE = 4,      /**< The answer to a probe has come, ours or another server's:
                                         give it to tunnelcap_table_answer(), here or there. */
    TUNNELCAP_EVENT_HEALTH = 5      /**< The health of a tunnel has changed. */
};

/** Something that the data path has noticed and its caller's control thread should know. */
typedef struct tunnelcap_event {
    uint64_t now_ns;     /**< When: the clock of the burst that noticed it. */
    uint64_t tunnel;     /**< Id of the tunnel. */
    uint64_t server;     /**< PROBE: which server has sent it. HEALTH: this one. Else 0. */
    uint64_t sent_ns;    /**< PROBE: when, on that server's clock. Else 0. */
    uint32_t value;      /**< PMTU: the path MTU now. PEER_MOVED and REKEY: SPI of the SA. PROBE:
                              its number. HEALTH: TUNNELCAP_HEALTH_ state now. */
    uint32_t before;     /**< PMTU: the path MTU before. HEALTH: the state before. Else 0. */
    tunnelcap_addr addr; /**< PMTU: who said so, none if it was probed or imported or has aged.
                              PEER_MOVED: where packets come from now. PROBE: who has answered. */
    uint16_t port;       /**< PEER_MOVED: UDP source port, 0 if they come in no UDP. */
    uint8_t kind;        /**< TUNNELCAP_EVENT_ */
    uint8_t reserved;    /**< Zero. */
} tunnelcap_event;

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

/**
 * Take events off a lane's ring, in the order in which they happened. What finds the ring full is
 * lost, and counted.
 *
 * @param lane   a lane
 * @param events receives up to cap events
 * @param cap    room at events
 * @param lost   receives how many events of this lane were lost so far, or NULL
 * @return how many events were taken; 0 if lane is NULL, or events is
 *
 * Threads  one at a time for each lane, while the lane's thread works on
 * @since 1.0
 */
TUNNELCAP_API uint32_t tunnelcap_lane_events(tunnelcap_lane *lane, tunnelcap_event *events,
                                             uint32_t cap, uint64_t *lost);

#ifdef __cplusplus
}
#endif
#endif
