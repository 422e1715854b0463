/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/**
 * @file reassembly.h
 * Reassembly of IPv4 and IPv6 fragments in memory of fixed size: of outer packets before they are
 * decapsulated, and of inner ones.
 *
 * Fragments go in one by one, in any order, and are copied; the one that completes its datagram
 * gets the whole datagram out. Nothing less than a whole datagram ever comes out. What belongs to
 * one datagram is called a *set*: IPv4 fragments of one VRF, source, destination, protocol and
 * identification; IPv6 fragments of one VRF, source, destination and identification.
 *
 * An object belongs to one thread, and all fragments of a datagram must reach the same one. So
 * packets must be steered by their addresses, not by ports, which only a first fragment shows.
 *
 * What is refused, and why:
 * - Fragments that overlap (RFC 5722, RFC 8200 4.5): the set is discarded, and what still comes of
 *   it is refused until it times out. A fragment that repeats another one's offset, length and M
 *   bit is a duplicate, which networks do make; the first one's bytes count.
 * - Fragments of a set that contradict each other in the length of the datagram, or make one of
 *   more than 65535 bytes: the same.
 * - First fragments that end within the headers that filters read (RFC 1858, 3128, 7112).
 *
 * Memory has three bounds: sets, bytes, and the share of both that one source may hold (an IPv4
 * address, or an IPv6 /64, of one VRF). When memory is needed a set is *evicted*: of a source that
 * is at its share, its own oldest one; else the oldest one of the source that holds most; else,
 * where no source holds more than a sixteenth, the oldest one of all. So a flood from one source
 * evicts itself, and one from forged sources evicts in order of age: a datagram passes if its
 * fragments come within fewer packets of others than there are sets.
 *
 * The caller must tell the time in each call. RFC 791 wants at least 15 s for a set, RFC 1122
 * 3.3.2 60 s to 120 s, RFC 8200 4.5 60 s; Linux takes 30 s for IPv4, our default. At high rates
 * less is better: identifications that come again within the time mix datagrams (RFC 4963).
 */
#ifndef TUNNELCAP_REASSEMBLY_H
#define TUNNELCAP_REASSEMBLY_H

#include <tunnelcap/lane.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Bounds of reassembly. */
enum {
    /** Most bytes of the headers up to and with the Fragment header of an IPv6 first fragment. */
    TUNNELCAP_REASSEMBLY_HEADER_MAX = 512,
    /** Bytes that memory is handed out in: a fragment takes those that it touches, to which
     *  its neighbours in the datagram add theirs. */
    TUNNELCAP_REASSEMBLY_CELL = 512
};

/** Fragments that wait for others. Opaque. */
typedef struct tunnelcap_reassembly tunnelcap_reassembly;

/** Configuration; fill it with tunnelcap_reassembly_config_init() first. */
typedef struct tunnelcap_reassembly_config {
    uint32_t size;         /**< sizeof(tunnelcap_reassembly_config) of the caller. */
    uint32_t flags;        /**< Zero. */
    uint32_t sets;         /**< Most sets under way, 1 to 2^20. Default 1024. */
    uint32_t bytes;        /**< Memory for fragments, 4096 to 2^30, rounded up to whole cells. A
                                datagram of 65535 bytes wants 66560. Default 4 MiB. */
    uint32_t source_share; /**< Most of the sets and of the bytes that one source may hold, in
                                percent, 1 to 100. Default 50. */
    uint32_t reserved;     /**< Zero. */
    uint64_t timeout_ns;   /**< How long a set may wait, from its first packet on: 1 ns to 120 s.
                                Default 30 s. */
} tunnelcap_reassembly_config;

/** Counters, and what is under way. */
typedef struct tunnelcap_reassembly_stats {
    uint32_t size;          /**< sizeof(tunnelcap_reassembly_stats) of the caller. */
    uint32_t sets;          /**< Sets now, with those that were discarded and keep refusing. */
    uint32_t sources;       /**< Sources that hold them. */
    uint32_t reserved;      /**< Zero. */
    uint64_t bytes;         /**< Memory that holds fragments now, in whole cells. */
    uint64_t fragments;     /**< Fragments seen, whatever became of them. */
    uint64_t completed;     /**< Datagrams completed. */
    uint64_t duplicates;    /**< Fragments that were there already. */
    uint64_t refused;       /**< Fragments refused for themselves, or since their set was
                                 discarded before. */
    uint64_t timed_out;     /**< Sets that have timed out without being complete. */
    uint64_t evicted;       /**< Sets that made way for others. */
    uint64_t overlapped;    /**< Sets discarded: fragments overlap. */
    uint64_t contradictory; /**< Sets discarded: lengths contradict each other. */
    uint64_t ecn_mixed;     /**< Sets discarded: CE together with Not-ECT. */
    uint64_t too_large;     /**< Sets discarded: more than one source's share of the memory. */
} tunnelcap_reassembly_stats;

/**
 * Fill a configuration with defaults.
 *
 * @param config receives the defaults; all `size` bytes are written
 * @param size   sizeof(tunnelcap_reassembly_config) of the caller
 * @retval TUNNELCAP_OK        filled
 * @retval TUNNELCAP_E_INVALID config is NULL
 * @retval TUNNELCAP_E_VERSION size is below that of version 1.0
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_reassembly_config_init(tunnelcap_reassembly_config *config,
                                                       uint32_t size);

/**
 * Tell how many bytes tunnelcap_reassembly_init() needs: that much and no more is ever used.
 *
 * @param config a configuration
 * @return bytes, a multiple of 64; 0 when the configuration would be refused
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API size_t tunnelcap_reassembly_size(const tunnelcap_reassembly_config *config);

/**
 * Make an object in the caller's memory.
 *
 * @param mem      memory at a multiple of 64
 * @param mem_size bytes at mem, at least tunnelcap_reassembly_size()
 * @param config   a configuration; not used after the call
 * @param seed     ::TUNNELCAP_SEED_SIZE bytes from the system's random source, so that nobody can
 *                 choose fragments that fall on one place of a hash; not used after the call
 * @param out      receives the object; untouched on failure
 *
 * @retval TUNNELCAP_OK         *out is ready
 * @retval TUNNELCAP_E_INVALID  a pointer is NULL or mem is misaligned
 * @retval TUNNELCAP_E_VERSION  the configuration is of an unknown version
 * @retval TUNNELCAP_E_FLAGS    an unknown flag
 * @retval TUNNELCAP_E_RANGE    a number out of range
 * @retval TUNNELCAP_E_RESERVED a reserved field is not zero
 * @retval TUNNELCAP_E_NOMEM    mem_size is too small
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_reassembly_init(void *mem, size_t mem_size,
                                                const tunnelcap_reassembly_config *config,
                                                const uint8_t *seed, tunnelcap_reassembly **out);

/**
 * End an object made by tunnelcap_reassembly_init() and wipe its memory. What waits is lost.
 *
 * @param reassembly an object, or NULL
 *
 * Threads  only when no thread uses it
 * @since 1.0
 */
TUNNELCAP_API void tunnelcap_reassembly_fini(tunnelcap_reassembly *reassembly);

/**
 * Make an object in memory from an allocator.
 *
 * @param config a configuration
 * @param seed   as for tunnelcap_reassembly_init()
 * @param alloc  the allocator, copied; NULL for malloc and free
 * @param out    receives the object; untouched on failure
 * @return as tunnelcap_reassembly_init(), ::TUNNELCAP_E_VERSION, ::TUNNELCAP_E_RESERVED and
 *         ::TUNNELCAP_E_INVALID also for the allocator; ::TUNNELCAP_E_NOMEM when it refuses;
 *         ::TUNNELCAP_E_UNSUPPORTED with alloc NULL in a freestanding build
 *
 * Threads  as the allocator
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_reassembly_new(const tunnelcap_reassembly_config *config,
                                               const uint8_t *seed, const tunnelcap_alloc *alloc,
                                               tunnelcap_reassembly **out);

/**
 * End an object made by tunnelcap_reassembly_new() and return its memory.
 *
 * @param reassembly an object, or NULL
 *
 * Threads  only when no thread uses it
 * @since 1.0
 */
TUNNELCAP_API void tunnelcap_reassembly_free(tunnelcap_reassembly *reassembly);

/**
 * Take one packet: keep a fragment, or give out the datagram that it completes.
 *
 * ```
 * out   before  [ headroom | ....................... ]
 *       after   [ headroom | datagram | .... tailroom ]     off is kept, len is set
 * ```
 *
 * The datagram's header is that of the first fragment (IPv4 options, IPv6 extension headers, TTL,
 * DSCP), with these changes. IPv4: total length and header checksum are set, offset and MF are
 * cleared, DF is set if it was in every fragment: then the sender wants no packet larger than
 * those to be split. IPv6: the Fragment header is gone, the header before it names what the first
 * fragment's one named, the payload length is set. ECN: CE if any fragment had it, else as in the
 * first fragment (RFC 3168 5.3). If a Fragment header follows that was itself within the
 * fragments, the datagram is a fragment once more.
 *
 * Not fragments are: packets that are whole; IPv6 atomic fragments, which their receivers take as
 * they are (RFC 6946); and all packets whose meta says that they do not begin at an IP header:
 * what a socket delivers has been reassembled by the kernel.
 *
 * @param reassembly an object
 * @param pkt        the packet; neither it nor its status is changed. Bytes behind the length that
 *                   its IP header tells are ignored
 * @param meta       what it came with, or NULL: `vrf`, `at`, and ::TUNNELCAP_META_CSUM_VALID,
 *                   which spares the check of the IPv4 header's checksum
 * @param now_ns     the caller's clock. Where it has gone back, no time has passed since the last
 * call
 * @param out        a buffer that shares no memory with pkt, `off` being the headroom that is
 *                   wanted; written only with ::TUNNELCAP_OK, and then but for `buf`, `cap`,
 *                   `off`, `status` and `user`. NULL if there is none: see ::TUNNELCAP_E_TAILROOM
 *
 * @retval TUNNELCAP_WHOLE           not a fragment: go on with pkt
 * @retval TUNNELCAP_KEPT            copied, or a duplicate: pkt's buffer is free
 * @retval TUNNELCAP_OK              complete: the datagram is in *out, pkt's buffer is free
 * @retval TUNNELCAP_E_TAILROOM      completes a datagram for which out has no room from its `off`
 *                                   on: nothing has changed, call again with more room
 * @retval TUNNELCAP_E_TRUNCATED     ends before its IP headers say
 * @retval TUNNELCAP_E_MALFORMED     not IP; a header that contradicts itself; no data; a length
 *                                   that is no multiple of 8 though more is to follow; an end
 *                                   beyond 65535 bytes; more than 16 extension headers or more
 *                                   than ::TUNNELCAP_REASSEMBLY_HEADER_MAX bytes of them; or, for
 *                                   a set: it tells two ends of the datagram, holds bytes behind
 *                                   its end, or makes more than 65535 bytes
 * @retval TUNNELCAP_E_CHECKSUM      IPv4 header checksum
 * @retval TUNNELCAP_E_TINY_FRAGMENT a first fragment that holds fewer than 20 bytes of TCP, 12 of
 *                                   SCTP or DCCP, or not all extension headers of IPv6; or TCP at
 *                                   offset 8
 * @retval TUNNELCAP_E_OVERLAP       a set: fragments overlap
 * @retval TUNNELCAP_E_ECN           a set: it holds both CE and Not-ECT
 * @retval TUNNELCAP_E_FULL          a set: it is larger than one source's share of the memory
 * @retval TUNNELCAP_E_INVALID       reassembly or pkt is NULL, a window is not inside its buffer,
 *                                   out shares memory with pkt, or meta.at is unknown
 *
 * Where a set is refused it is discarded, and the status comes again for each later fragment of it
 * until it times out; any other failure refuses the fragment and leaves its set alone.
 *
 * Threads  the object's thread
 * Cost     no allocation; copies the fragment in, but for the one that completes a datagram, and
 *          each datagram out. Besides that, the same work for each cell that the fragment
 *          touches, however many fragments there are and in whatever order
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_reassembly_add(tunnelcap_reassembly *reassembly,
                                               const tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                                               uint64_t now_ns, tunnelcap_pkt *out);

/**
 * Tell how large the datagram is that a packet would complete: how much room
 * tunnelcap_reassembly_add() would want behind `out->off`.
 *
 * @param reassembly an object
 * @param pkt        the packet
 * @param meta       what it came with, or NULL
 * @param now_ns     the caller's clock
 * @return bytes; 0 if it would complete none, or an argument is refused
 *
 * Threads  the object's thread
 * Cost     as tunnelcap_reassembly_add() without copying
 * @since 1.0
 */
TUNNELCAP_API uint32_t tunnelcap_reassembly_need(const tunnelcap_reassembly *reassembly,
                                                 const tunnelcap_pkt *pkt,
                                                 const tunnelcap_meta *meta, uint64_t now_ns);

/**
 * Drop sets that have timed out, and hand out their first fragments, which "time exceeded" is sent
 * about (RFC 792; RFC 4443 3.3, RFC 8200 4.5).
 *
 * Goes through the sets that are due, oldest first, up to one whose first fragment is there and
 * that was not discarded. Call until it gives ::TUNNELCAP_E_NOT_FOUND. Sets that are due may also
 * go without this call, when memory is needed or their identification comes again.
 *
 * @param reassembly an object
 * @param now_ns     the caller's clock
 * @param out        receives a first fragment as it has arrived, at `off`, its end cut off where
 *                   there is no more room: 1280 bytes are as much as ICMP quotes. NULL drops all
 *                   that are due
 * @param vrf        receives its VRF, or NULL
 *
 * @retval TUNNELCAP_OK          a first fragment is in *out; call again
 * @retval TUNNELCAP_E_NOT_FOUND nothing more is due
 * @retval TUNNELCAP_E_INVALID   reassembly is NULL, or out's window is not inside its buffer
 *
 * Threads  the object's thread
 * Cost     in proportion to the sets that it drops; none is looked at that is not due
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_reassembly_expire(tunnelcap_reassembly *reassembly, uint64_t now_ns,
                                                  tunnelcap_pkt *out, uint32_t *vrf);

/**
 * Tell when tunnelcap_reassembly_expire() will next have something to do.
 *
 * @param reassembly an object
 * @param now_ns     the caller's clock
 * @return nanoseconds from now; 0 if a set is due; UINT64_MAX if none is under way
 *
 * Threads  the object's thread
 * @since 1.0
 */
TUNNELCAP_API uint64_t tunnelcap_reassembly_wait(const tunnelcap_reassembly *reassembly,
                                                 uint64_t now_ns);

/**
 * Read the counters.
 *
 * @param reassembly an object
 * @param stats      receives them
 * @param size       sizeof(tunnelcap_reassembly_stats) of the caller
 * @retval TUNNELCAP_OK        *stats is set
 * @retval TUNNELCAP_E_INVALID a pointer is NULL
 * @retval TUNNELCAP_E_VERSION size is below that of version 1.0
 *
 * Threads  the object's thread
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_reassembly_get_stats(const tunnelcap_reassembly *reassembly,
                                                     tunnelcap_reassembly_stats *stats,
                                                     uint32_t size);

#ifdef __cplusplus
}
#endif
#endif
