/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/**
 * @file pmtu.h
 * The path MTU of one tunnel: fixed, learned from ICMP (RFC 1191, 8201), or found by probes through
 * the tunnel (RFC 8899), which also works where ICMP is filtered.
 *
 * All sizes are those of outer packets. What fits inside tells the `_inner_mtu` function of the
 * tunnel.
 *
 * ```
 * any lane       get: which size?          learn: an ICMP message said so
 *                answered: a probe came back        suspect: large packets get lost
 * one writer     tick: ages what was learned, says which probe to send, and when to call again
 * ```
 *
 * Nothing here sends a packet. A probe is whatever the far end answers (an ICMP echo request
 * inside the tunnel, say), padded so that the outer packet has the size asked for, sent with
 * "don't fragment" and never fragmented.
 */
#ifndef TUNNELCAP_PMTU_H
#define TUNNELCAP_PMTU_H

#include <tunnelcap/lane.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The path MTU of one tunnel. Opaque. */
typedef struct tunnelcap_pmtu tunnelcap_pmtu;

/** Where a path MTU comes from, for tunnelcap_pmtu_config. */
enum {
    TUNNELCAP_PMTU_FIXED = 0, /**< It is `link_mtu`, whatever anybody says. */
    TUNNELCAP_PMTU_LEARN = 1, /**< From ICMP, until that has aged. */
    TUNNELCAP_PMTU_PROBE = 2  /**< From probes; what ICMP says is taken at once, then probed. */
};

/** States, named as in RFC 8899 5.2. All but the first are of ::TUNNELCAP_PMTU_PROBE. */
enum {
    TUNNELCAP_PMTU_DISABLED = 0,        /**< Not probing, or no answer yet: ICMP is heeded. */
    TUNNELCAP_PMTU_BASE = 1,            /**< Does the present MTU pass? If not: does the base? */
    TUNNELCAP_PMTU_SEARCHING = 2,       /**< The present MTU passes: does more? */
    TUNNELCAP_PMTU_SEARCH_COMPLETE = 3, /**< Found; confirmed again from time to time. */
    TUNNELCAP_PMTU_ERROR = 4            /**< The base does not pass: does the floor? */
};

/** How the present MTU is known. */
enum {
    TUNNELCAP_PMTU_PRESUMED = 0, /**< Nothing is known: it is that of the link. */
    TUNNELCAP_PMTU_ICMP = 1,     /**< An ICMP message said so. */
    TUNNELCAP_PMTU_PROBED = 2    /**< A probe of this size was answered. */
};

/** How to find the path MTU; fill it with tunnelcap_pmtu_config_init() first. */
typedef struct tunnelcap_pmtu_config {
    uint32_t size;       /**< sizeof(tunnelcap_pmtu_config) of the caller. */
    uint32_t flags;      /**< Zero. */
    uint32_t link_mtu;   /**< The largest it can be: MTU of our own link; default 1500. */
    uint32_t floor;      /**< The smallest that is believed; 0, the default: 576 over IPv4 (or the
                              link's, if less), 1280 over IPv6. IPv4: 68 to 1280; IPv6: 1280. */
    uint32_t base;       /**< Size that is expected to pass nearly everywhere; 0, the default: 1200,
                              over IPv6 1280, but between floor and link. At most 65535. */
    uint8_t family;      /**< Of the outer packets: ::TUNNELCAP_IPV4 (default), ::TUNNELCAP_IPV6. */
    uint8_t mode;        /**< ::TUNNELCAP_PMTU_FIXED, LEARN (default) or PROBE. */
    uint8_t max_probes;  /**< Probes of a size without answer that make it too big; default 3. */
    uint8_t reserved;    /**< Zero. */
    uint64_t age_ns;     /**< How long ICMP is believed; default 10 min (RFC 1191 6.3, 8201 4). */
    uint64_t probe_ns;   /**< How long to wait for an answer; default 1 s, the least that RFC 8899
                              5.1.1 allows. It advises 15 s, for paths that may be slower than
                              that; less than 1 s is for paths whose round-trip time is known. */
    uint64_t raise_ns;   /**< When to look for a larger MTU again; default 600 s. */
    uint64_t confirm_ns; /**< When to confirm the present MTU again; default 30 s. */
} tunnelcap_pmtu_config;

/** A probe to send. */
typedef struct tunnelcap_pmtu_probe {
    uint64_t token;    /**< Comes back in the answer; a stranger cannot guess it. */
    uint32_t size;     /**< Bytes of the outer packet; 0: no probe is due. */
    uint32_t reserved; /**< Zero. */
} tunnelcap_pmtu_probe;

/** A finding, for the other servers that send by this tunnel. */
typedef struct tunnelcap_pmtu_event {
    uint32_t size;       /**< sizeof(tunnelcap_pmtu_event) of the caller. */
    uint32_t mtu;        /**< Path MTU. */
    uint64_t age_ns;     /**< How old the finding is. Add to it what an event has been under way. */
    uint32_t generation; /**< Steps with each finding of this server: nothing new where equal. Not
                              looked at by tunnelcap_pmtu_import(). */
    uint8_t family;      /**< Of the outer packets. */
    uint8_t source;      /**< ::TUNNELCAP_PMTU_ICMP or ::TUNNELCAP_PMTU_PROBED. */
    uint8_t reserved[2]; /**< Zero. */
} tunnelcap_pmtu_event;

/** Flags of tunnelcap_pmtu_info. */
enum {
    TUNNELCAP_PMTU_IMPORTED = 1, /**< Another server has found it. */
    /** IPv4: the path said less than the floor. What is larger than the path will only pass in
     *  fragments: send with "don't fragment" clear. */
    TUNNELCAP_PMTU_BELOW_FLOOR = 2
};

/** Where the search stands, for people and for metrics. */
typedef struct tunnelcap_pmtu_info {
    uint32_t size;       /**< sizeof(tunnelcap_pmtu_info) of the caller. */
    uint32_t flags;      /**< TUNNELCAP_PMTU_ flags. */
    uint64_t age_ns;     /**< How long ago it was learned or last confirmed. */
    uint32_t mtu;        /**< As tunnelcap_pmtu_get(). */
    uint32_t probing;    /**< Size of the probe that waits for its answer; 0 if none does. */
    uint32_t generation; /**< As in tunnelcap_pmtu_event. */
    uint8_t state;       /**< ::TUNNELCAP_PMTU_DISABLED ... ::TUNNELCAP_PMTU_ERROR */
    uint8_t source;      /**< ::TUNNELCAP_PMTU_PRESUMED ... ::TUNNELCAP_PMTU_PROBED */
    uint8_t probes;      /**< Probes of that size so far. */
    uint8_t reserved;    /**< Zero. */
} tunnelcap_pmtu_info;

/**
 * Fill a configuration with defaults: IPv4, learn from ICMP, a link of 1500.
 *
 * @param config receives the defaults; all `size` bytes are written
 * @param size   sizeof(tunnelcap_pmtu_config) of the caller
 * @retval TUNNELCAP_OK        filled
 * @retval TUNNELCAP_E_INVALID config is NULL
 * @retval TUNNELCAP_E_VERSION size is below that of version 1.0
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_pmtu_config_init(tunnelcap_pmtu_config *config, uint32_t size);

/**
 * Tell how many bytes tunnelcap_pmtu_init() needs for a configuration.
 *
 * @param config a configuration
 * @return bytes, a multiple of 64, at most 128; 0 when the configuration would be refused
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API size_t tunnelcap_pmtu_size(const tunnelcap_pmtu_config *config);

/**
 * Make a path MTU in the caller's memory. It begins as that of the link.
 *
 * @param mem      memory at a multiple of 64
 * @param mem_size bytes at mem, at least tunnelcap_pmtu_size()
 * @param config   a configuration; not used after the call
 * @param seed     ::TUNNELCAP_SEED_SIZE bytes for the tokens of probes, other ones for each
 *                 tunnel; not used after the call. May be NULL where nothing is probed
 * @param out      receives the object; untouched on failure
 *
 * @retval TUNNELCAP_OK         *out is ready
 * @retval TUNNELCAP_E_INVALID  a pointer is NULL or mem is misaligned
 * @retval TUNNELCAP_E_VERSION  the configuration is of an unknown version
 * @retval TUNNELCAP_E_FLAGS    an unknown flag
 * @retval TUNNELCAP_E_MODE     a mode or family out of its list
 * @retval TUNNELCAP_E_RANGE    floor <= base <= link does not hold, the floor is none of the
 *                              family, the link exceeds what IP can carry, no probes, or a time
 *                              below 1 ms or above 2^32 - 1 ms (49 days)
 * @retval TUNNELCAP_E_RESERVED a reserved field is not zero
 * @retval TUNNELCAP_E_NOMEM    mem_size is too small
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_pmtu_init(void *mem, size_t mem_size,
                                          const tunnelcap_pmtu_config *config, const uint8_t *seed,
                                          tunnelcap_pmtu **out);

/**
 * End an object made by tunnelcap_pmtu_init() and wipe its memory.
 *
 * @param pmtu a path MTU, or NULL
 *
 * Threads  only when no thread uses it
 * @since 1.0
 */
TUNNELCAP_API void tunnelcap_pmtu_fini(tunnelcap_pmtu *pmtu);

/**
 * Make a path MTU in memory from an allocator.
 *
 * @param config a configuration
 * @param seed   as for tunnelcap_pmtu_init()
 * @param alloc  the allocator, copied; NULL for malloc and free
 * @param out    receives the object; untouched on failure
 * @return as tunnelcap_pmtu_init(), ::TUNNELCAP_E_VERSION and ::TUNNELCAP_E_INVALID also for the
 *         allocator; ::TUNNELCAP_E_NOMEM when it refuses; ::TUNNELCAP_E_UNSUPPORTED with alloc
 *         NULL in a freestanding build
 *
 * Threads  as the allocator
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_pmtu_new(const tunnelcap_pmtu_config *config, const uint8_t *seed,
                                         const tunnelcap_alloc *alloc, tunnelcap_pmtu **out);

/**
 * End an object made by tunnelcap_pmtu_new() and return its memory.
 *
 * @param pmtu a path MTU, or NULL
 *
 * Threads  only when no thread uses it
 * @since 1.0
 */
TUNNELCAP_API void tunnelcap_pmtu_free(tunnelcap_pmtu *pmtu);

/**
 * Tell the path MTU.
 *
 * @param pmtu a path MTU
 * @return bytes of the largest outer packet; 0 if pmtu is NULL
 *
 * Threads  any
 * Cost     one relaxed atomic load
 * @since 1.0
 */
TUNNELCAP_API uint32_t tunnelcap_pmtu_get(const tunnelcap_pmtu *pmtu);

/**
 * Learn from an ICMP message ("fragmentation needed", "packet too big") that has been found to
 * answer a packet of this tunnel.
 *
 * Only ever lowers. Over IPv4 less than the floor counts as the floor; over IPv6 less than 1280 is
 * refused (RFC 8201 4). An ICMPv4 message without MTU (0) is the caller's to estimate (RFC 1191
 * 5). While probes search, a size between the MTU and that of the probe is where the search goes
 * on (RFC 8899 4.6.2); it is not believed before a probe has confirmed it.
 *
 * @param pmtu   a path MTU
 * @param mtu    the next hop's MTU in the message: bytes of an outer packet
 * @param now_ns the caller's clock
 * @retval TUNNELCAP_CHANGED   the path MTU is lower now; call tunnelcap_pmtu_tick() soon
 * @retval TUNNELCAP_OK        nothing new, taken note of, or the MTU is fixed
 * @retval TUNNELCAP_E_ICMP    not plausible: more than the present MTU, below 68 over IPv4 or below
 *                             1280 over IPv6
 * @retval TUNNELCAP_E_INVALID pmtu is NULL
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_pmtu_learn(tunnelcap_pmtu *pmtu, uint32_t mtu, uint64_t now_ns);

/**
 * Say that large packets seem to get lost: the next tick probes whether the MTU still passes.
 *
 * @param pmtu a path MTU
 * @retval TUNNELCAP_OK            noted
 * @retval TUNNELCAP_E_UNSUPPORTED this one does not probe
 * @retval TUNNELCAP_E_INVALID     pmtu is NULL
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_pmtu_suspect(tunnelcap_pmtu *pmtu);

/**
 * Say that a probe was answered. The next tick goes on from there.
 *
 * @param pmtu  a path MTU
 * @param token that of the probe, as it came back
 * @retval TUNNELCAP_OK        it is the probe that is waited for
 * @retval TUNNELCAP_E_ICMP    no such probe, or no longer
 * @retval TUNNELCAP_E_INVALID pmtu is NULL
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_pmtu_answered(tunnelcap_pmtu *pmtu, uint64_t token);

/**
 * Do what time demands: age what was learned, take answers, give the next probe.
 *
 * ```
 *           answer to a probe of the MTU                     nothing between MTU and what fails
 * DISABLED ------------------------------> SEARCHING ------------------------------------------.
 *    |  answer to a smaller one           ^    ^  | raise_ns has passed, and MTU + 1 passes     v
 *    '-------------------> BASE ----------'    '--------------------------------- SEARCH_COMPLETE
 *    ^                      |  ^   MTU or base passes                                   |
 *    |  floor fails         |  '-------------------------------------------------------'
 *    '------------- ERROR <-'  neither does       ICMP, suspicion, or max_probes lost
 * ```
 *
 * The search asks for the link's MTU and then halves the interval between what passes and what
 * fails, down to the byte: at most 1 + log2(link - base) sizes, and max_probes probes of one that
 * fails. A size that is presumed is lowered only when a smaller one has been answered, so that a
 * far end that is down, or answers no probes at all, does not shrink the tunnel.
 *
 * @param pmtu    a path MTU
 * @param now_ns  the caller's clock. One that goes back delays, and does nothing else
 * @param next_ns receives when to call again at the latest; call sooner after
 *                tunnelcap_pmtu_answered(), tunnelcap_pmtu_suspect() and ::TUNNELCAP_CHANGED.
 *                UINT64_MAX where the MTU is fixed
 * @param probe   receives the probe to send now; its size is 0 if none is due
 * @retval TUNNELCAP_CHANGED   the path MTU is another one now
 * @retval TUNNELCAP_OK        it is not
 * @retval TUNNELCAP_E_INVALID a pointer is NULL; nothing is written
 *
 * Threads  one writer; lanes may use all other functions meanwhile but those that say otherwise
 * Cost     a few dozen instructions
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_pmtu_tick(tunnelcap_pmtu *pmtu, uint64_t now_ns, uint64_t *next_ns,
                                          tunnelcap_pmtu_probe *probe);

/**
 * Tell what this server has found out, for others that send by the same tunnel: an ICMP message
 * for an anycast address reaches any one of them.
 *
 * Only own findings are told: what ICMP said here, and what a search has ended with; never what
 * was imported, so that no event causes another one.
 *
 * @param pmtu   a path MTU
 * @param now_ns the caller's clock
 * @param event  receives the finding
 * @param size   sizeof(tunnelcap_pmtu_event) of the caller
 * @retval TUNNELCAP_OK          *event is set
 * @retval TUNNELCAP_E_NOT_FOUND nothing was found here, or the search goes on
 * @retval TUNNELCAP_E_INVALID   a pointer is NULL
 * @retval TUNNELCAP_E_VERSION   size is below that of version 1.0
 *
 * Threads  the writer
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_pmtu_export(const tunnelcap_pmtu *pmtu, uint64_t now_ns,
                                            tunnelcap_pmtu_event *event, uint32_t size);

/**
 * Take over another server's finding.
 *
 * A lower MTU is taken, unless the present one was confirmed by probes since. A higher one is
 * taken only if it was probed and is newer, and only where this server learns: where it probes, it
 * looks for more by itself, confirming at once what it took. A finding as old as `age_ns` is of no
 * effect; sizes beyond floor and link count as those.
 *
 * @param pmtu   a path MTU
 * @param event  the finding
 * @param now_ns the caller's clock
 * @retval TUNNELCAP_CHANGED    the path MTU is another one now; call tunnelcap_pmtu_tick() soon
 * @retval TUNNELCAP_OK         nothing that is not known better here, or the MTU is fixed
 * @retval TUNNELCAP_E_INVALID  a pointer is NULL
 * @retval TUNNELCAP_E_VERSION  the event is of an unknown version
 * @retval TUNNELCAP_E_ADDRESS  of the other family
 * @retval TUNNELCAP_E_MODE     a source out of its list
 * @retval TUNNELCAP_E_RANGE    an MTU that is none of the family
 * @retval TUNNELCAP_E_RESERVED a reserved field is not zero
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_pmtu_import(tunnelcap_pmtu *pmtu, const tunnelcap_pmtu_event *event,
                                            uint64_t now_ns);

/**
 * Tell where the search stands.
 *
 * @param pmtu   a path MTU
 * @param now_ns the caller's clock
 * @param info   receives the facts
 * @param size   sizeof(tunnelcap_pmtu_info) of the caller
 * @retval TUNNELCAP_OK        *info is set
 * @retval TUNNELCAP_E_INVALID a pointer is NULL
 * @retval TUNNELCAP_E_VERSION size is below that of version 1.0
 *
 * Threads  the writer
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_pmtu_get_info(const tunnelcap_pmtu *pmtu, uint64_t now_ns,
                                              tunnelcap_pmtu_info *info, uint32_t size);

#ifdef __cplusplus
}
#endif
#endif
