/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/**
 * @file esp.h
 * IPsec Encapsulating Security Payload: RFC 4303, in UDP RFC 3948.
 *
 * ```
 * tunnel     [ outer IP | (UDP) | SPI | seq | IV | inner packet | padding | ICV ]
 * transport  [ IP header | (UDP) | SPI | seq | IV | IP payload  | padding | ICV ]
 * bytes         20, 40      8      4     4    0-16                  2-257   8-32
 * ```
 *
 * One object is one security association (SA): one direction, one SPI, one key.
 */
#ifndef TUNNELCAP_ESP_H
#define TUNNELCAP_ESP_H

#include <tunnelcap/crypto.h>
#include <tunnelcap/lane.h>
#include <tunnelcap/outer.h>
#include <tunnelcap/selector.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One security association. Opaque. */
typedef struct tunnelcap_esp tunnelcap_esp;

/** Directions of an SA. */
enum { TUNNELCAP_ESP_OUT = 1, TUNNELCAP_ESP_IN = 2 };

/** Modes of an SA. */
enum { TUNNELCAP_ESP_TUNNEL = 1, TUNNELCAP_ESP_TRANSPORT = 2 };

/** Replay checking of an inbound SA. There is no "0 means off". */
enum {
    TUNNELCAP_REPLAY_OFF = 1,   /**< None: many senders, or a transport that repeats packets. */
    TUNNELCAP_REPLAY_WINDOW = 2 /**< A window of `replay_window` packets (RFC 4303 3.4.3). This
                                     server alone: k servers accept up to k copies. */
};

/** Why a nonce of an outbound SA cannot repeat under its key. The library cannot know that a key
 *  is used anew, so the caller must say. */
enum {
    TUNNELCAP_NONCE_UNSET = 0,     /**< Refused. */
    TUNNELCAP_NONCE_FRESH_KEY = 1, /**< Nobody has ever sent under this key. */
    TUNNELCAP_NONCE_RESUME = 2,    /**< All IVs from `iv_start` on are unused. */
    TUNNELCAP_NONCE_SENDER = 3     /**< `sender_id` was never used under this key (RFC 6054). */
};

/** Flags of tunnelcap_esp_config. */
enum {
    TUNNELCAP_ESP_ESN = 1,        /**< Extended (64-bit) sequence numbers. */
    TUNNELCAP_ESP_UDP = 2,        /**< Send in UDP (RFC 3948). */
    TUNNELCAP_ESP_UDP_STRICT = 4, /**< Receive only in the form that UDP says; else both. */
    TUNNELCAP_ESP_ANY_PEER = 8    /**< Outbound tunnel mode: the far end's address is not known and
                                       left out. A table learns where to send
                                       (tunnelcap_table_set_peer()); until then, and without a
                                       table, nothing is sent: ::TUNNELCAP_E_NEED_SA. */
};

/** Configuration of an SA; fill it with tunnelcap_esp_config_init() first. */
typedef struct tunnelcap_esp_config {
    uint32_t size;          /**< sizeof(tunnelcap_esp_config) of the caller. */
    uint32_t flags;         /**< TUNNELCAP_ESP_ flags. */
    tunnelcap_outer outer;  /**< Addresses and outer header policy. Outbound tunnel mode needs
                                 both addresses; inbound ones may be empty: any. */
    uint64_t seq_start;     /**< Outbound: first sequence number, default 1. Inbound: the last
                                 one received, default 0. */
    uint64_t iv_start;      /**< ::TUNNELCAP_NONCE_RESUME: first IV. */
    uint64_t soft_packets;  /**< Packets after which to rekey; 0: no limit. */
    uint64_t hard_packets;  /**< Packets after which nothing passes; 0: no limit. */
    uint64_t soft_bytes;    /**< The same in bytes of encrypted text. */
    uint64_t hard_bytes;    /**< The same in bytes of encrypted text. */
    uint64_t soft_ns;       /**< Time after which to rekey, on the caller's clock; 0: none. */
    uint64_t hard_ns;       /**< Time after which nothing should pass; 0: none. */
    uint32_t spi;           /**< Security parameters index, not 0. IANA has reserved those up to
                                 255: do not allot them. */
    uint32_t sender_id;     /**< ::TUNNELCAP_NONCE_SENDER: this sender. */
    uint32_t replay_window; /**< ::TUNNELCAP_REPLAY_WINDOW: packets, 32 to 65536. */
    uint32_t tfc_size;      /**< Pad inner packets to this size (RFC 4303 2.7); 0: not. */
    uint32_t tfc_multiple;  /**< Pad inner packets to a multiple of this; 0: not. */
    uint16_t udp_src_port;  /**< Source port sent; default 4500. */
    uint16_t udp_dst_port;  /**< Destination port: sent, or expected; default 4500. */
    uint8_t direction;      /**< TUNNELCAP_ESP_OUT or TUNNELCAP_ESP_IN. */
    uint8_t mode;           /**< TUNNELCAP_ESP_TUNNEL or TUNNELCAP_ESP_TRANSPORT. */
    uint8_t replay_mode;    /**< Inbound: TUNNELCAP_REPLAY_ */
    uint8_t nonce_origin;   /**< Outbound: TUNNELCAP_NONCE_ */
    uint8_t sender_id_bits; /**< ::TUNNELCAP_NONCE_SENDER: 8, 12, 16, 24 or 32. */
    uint8_t reserved[11];   /**< Zero. */
} tunnelcap_esp_config;

/** Flags of tunnelcap_esp_rx. */
enum {
    TUNNELCAP_ESP_RX_UDP = 1,        /**< Came in UDP: the ports are set. */
    TUNNELCAP_ESP_RX_PEER_MOVED = 2, /**< Another source address or port than packets came from so
                                          far, or the first packet of an SA without remote address.
                                          With a replay window a packet that is not the latest one
                                          moves nothing (RFC 3948, RFC 7296 2.23). */
    TUNNELCAP_ESP_RX_REKEY = 4       /**< A soft limit is reached. */
};

/** What a verified ESP packet said. */
typedef struct tunnelcap_esp_rx {
    uint64_t seq;             /**< Sequence number, 64 bits where ESN. */
    uint32_t spi;             /**< SPI. */
    uint16_t flags;           /**< TUNNELCAP_ESP_RX_ flags. */
    uint8_t next_header;      /**< 4 and 41: IPv4 and IPv6 in tunnel mode. */
    uint8_t reserved;         /**< Zero. */
    tunnelcap_addr src;       /**< Outer source. */
    tunnelcap_addr inner_src; /**< Inner source, for selectors; transport mode: the packet's. */
    tunnelcap_addr inner_dst; /**< Inner destination. */
    uint16_t src_port;        /**< UDP source port, where flagged. */
    uint16_t dst_port;        /**< UDP destination port, where flagged. */
} tunnelcap_esp_rx;

/** Where an SA stands. */
typedef struct tunnelcap_esp_state {
    uint32_t size;         /**< sizeof(tunnelcap_esp_state) of the caller. */
    uint32_t reserved;     /**< Zero. */
    uint64_t seq;          /**< Outbound: next number to send. Inbound: highest one verified. */
    uint64_t packets;      /**< Packets sent, or verified. */
    uint64_t bytes;        /**< Bytes of encrypted text sent, or verified. */
    uint64_t packets_left; /**< Outbound: packets until sequence numbers, IVs or the hard limit
                                end. */
} tunnelcap_esp_state;

/**
 * Fill an SA configuration with defaults: outbound and tunnel mode, no ESN, replay window of 64,
 * UDP ports 4500, TTL 64, DSCP copied, ECN by RFC 6040, DF copied. SPI, addresses and nonce origin
 * are left empty.
 *
 * @param config receives the defaults; all `size` bytes are written
 * @param size   sizeof(tunnelcap_esp_config) of the caller
 * @retval TUNNELCAP_OK        filled
 * @retval TUNNELCAP_E_INVALID config is NULL
 * @retval TUNNELCAP_E_VERSION size is below that of version 1.0
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_esp_config_init(tunnelcap_esp_config *config, uint32_t size);

/**
 * Tell how many bytes tunnelcap_esp_init() needs.
 *
 * @param config    a configuration
 * @param transform algorithms and keys
 * @param crypto    a provider
 * @return bytes, a multiple of 64; 0 when the arguments would be refused
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API size_t tunnelcap_esp_size(const tunnelcap_esp_config *config,
                                        const tunnelcap_transform *transform,
                                        const tunnelcap_crypto *crypto);

/**
 * Make an SA in the caller's memory.
 *
 * @param mem       memory at a multiple of 64
 * @param mem_size  bytes at mem, at least tunnelcap_esp_size()
 * @param config    a configuration; not used after the call
 * @param transform algorithms and keys; not used after the call: wipe it
 * @param crypto    a provider; must outlive the SA
 * @param out       receives the SA; untouched on failure
 *
 * @retval TUNNELCAP_OK            *out is ready
 * @retval TUNNELCAP_E_INVALID     a pointer is NULL or mem is misaligned
 * @retval TUNNELCAP_E_VERSION     a struct is of an unknown version
 * @retval TUNNELCAP_E_FLAGS       an unknown flag, ESN or an implicit IV with many senders, a TFC
 *                                 size in transport mode
 * @retval TUNNELCAP_E_MODE        a mode out of its list
 * @retval TUNNELCAP_E_ADDRESS     as tunnelcap_gre_init(), where tunnel mode needs addresses
 * @retval TUNNELCAP_E_PORT        UDP port 0
 * @retval TUNNELCAP_E_RANGE       SPI 0, window, sender id or start out of range
 * @retval TUNNELCAP_E_RESERVED    a reserved field is not zero
 * @retval TUNNELCAP_E_NO_NONCE    outbound, and nonce_origin is unset
 * @retval TUNNELCAP_E_UNSUPPORTED the provider does not offer the transform
 * @retval TUNNELCAP_E_NOMEM       mem_size is too small, or the provider has no memory
 * @retval TUNNELCAP_E_CRYPTO      the provider failed
 * @return or what tunnelcap_transform_check() says
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_esp_init(void *mem, size_t mem_size,
                                         const tunnelcap_esp_config *config,
                                         const tunnelcap_transform *transform,
                                         const tunnelcap_crypto *crypto, tunnelcap_esp **out);

/**
 * End an SA made by tunnelcap_esp_init() and wipe its keys. Lanes that have used it must have
 * forgotten it: tunnelcap_esp_forget().
 *
 * @param esp an SA, or NULL
 *
 * Threads  only when no thread uses the SA
 * @since 1.0
 */
TUNNELCAP_API void tunnelcap_esp_fini(tunnelcap_esp *esp);

/**
 * Make an SA in memory from an allocator.
 *
 * @param config    a configuration
 * @param transform algorithms and keys
 * @param crypto    a provider
 * @param alloc     the allocator, copied; NULL for malloc and free
 * @param out       receives the SA; untouched on failure
 * @return as tunnelcap_esp_init(); ::TUNNELCAP_E_NOMEM when the allocator refuses;
 *         ::TUNNELCAP_E_UNSUPPORTED with alloc NULL in a freestanding build
 *
 * Threads  as the allocator
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_esp_new(const tunnelcap_esp_config *config,
                                        const tunnelcap_transform *transform,
                                        const tunnelcap_crypto *crypto,
                                        const tunnelcap_alloc *alloc, tunnelcap_esp **out);

/**
 * End an SA made by tunnelcap_esp_new(), wipe its keys and return its memory.
 *
 * @param esp an SA, or NULL
 *
 * Threads  only when no thread uses the SA
 * @since 1.0
 */
TUNNELCAP_API void tunnelcap_esp_free(tunnelcap_esp *esp);

/**
 * Say which packets an SA is for (RFC 4301 4.4.1.1); without, it is for all.
 *
 * An inbound SA refuses what it has verified and decrypted if no selector permits it, with
 * ::TUNNELCAP_E_SELECTOR (RFC 4301 5.2, step 4): the packet is as after any refusal behind
 * decryption, and its sequence number is spent. An outbound SA with selectors refuses what it is
 * not for, unchanged; leave them out where routes decide. Tunnel mode looks at the inner packet,
 * transport mode at the packet itself; with addresses that a NAT may change, transport mode
 * cannot have selectors of addresses. Dummy packets are always permitted.
 *
 * @param esp       an SA
 * @param selectors selectors of the direction of its packets; not copied: they must stay as they
 *                  are as long as the SA is there. NULL for none
 * @param count     how many; 0 for none
 * @retval TUNNELCAP_OK        set
 * @retval TUNNELCAP_E_INVALID esp is NULL, or one of selectors and count is none and the other not
 * @return or what tunnelcap_selector_check() says; those that were set before stay in force then
 *
 * Threads  only when no thread uses the SA: before it is given to a table
 * Cost     of each packet: its IP header is parsed, and compared with the selectors in their order
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_esp_set_selectors(tunnelcap_esp *esp,
                                                  const tunnelcap_selector *selectors,
                                                  uint32_t count);

/**
 * Make a lane forget an SA that is about to end: its key leaves the lane's key slots.
 *
 * @param esp  an SA
 * @param lane a lane that may have used it; nothing happens if either is NULL
 *
 * Threads  the lane's
 * @since 1.0
 */
TUNNELCAP_API void tunnelcap_esp_forget(const tunnelcap_esp *esp, tunnelcap_lane *lane);

/**
 * Tell how many bytes encapsulation adds before a packet.
 *
 * @param esp an outbound SA
 * @return bytes of headroom to leave; 0 if esp is NULL or inbound
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API uint32_t tunnelcap_esp_headroom(const tunnelcap_esp *esp);

/**
 * Tell how many bytes encapsulation adds behind a packet at most: padding and ICV. TFC padding
 * is not included: it fills up to the configured size.
 *
 * @param esp an outbound SA
 * @return bytes of tailroom to leave; 0 if esp is NULL or inbound
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API uint32_t tunnelcap_esp_tailroom(const tunnelcap_esp *esp);

/**
 * Tell the length that a packet will have once encapsulated.
 *
 * @param esp       an outbound SA
 * @param inner_len bytes of the inner packet; in transport mode of all behind the IP header
 * @return bytes of the outer packet, in transport mode without its IP header; 0 if esp is NULL or
 *         inbound, or the result exceeds what IP can carry
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API uint32_t tunnelcap_esp_encap_len(const tunnelcap_esp *esp, uint32_t inner_len);

/**
 * Tell the largest inner packet that fits a path.
 *
 * @param esp      an outbound SA in tunnel mode
 * @param path_mtu bytes of the largest outer packet, 1500 for Ethernet
 * @return bytes; 1446 for AES-GCM-16 over IPv4 on a path of 1500; 0 if esp is NULL or not such an
 *         SA, or nothing fits
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API uint32_t tunnelcap_esp_inner_mtu(const tunnelcap_esp *esp, uint32_t path_mtu);

/**
 * Encrypt packets, in place.
 *
 * ```
 * tunnel     before  [ headroom ............................ | inner packet | tailroom ........ ]
 *            after   [ ... | IP | (UDP) | SPI | seq | IV | inner packet | padding | ICV | ..... ]
 * transport  before  [ headroom ............ | IP header | payload | tailroom .................. ]
 *            after   [ ... | IP header | (UDP) | SPI | seq | IV | payload | padding | ICV | .... ]
 * ```
 *
 * @param esp         an outbound SA
 * @param lane        the calling thread's lane, made for the SA's provider
 * @param pkts        packets; order is kept; each status is set
 * @param meta        what they came with, or NULL
 * @param meta_stride bytes from one meta to the next; 0 uses the first for all
 * @param count       packets
 * @return how many were encrypted; 0 if esp, lane or pkts is NULL
 *
 * Status of each packet; one refused before it was numbered is unchanged:
 * @retval TUNNELCAP_OK              encrypted
 * @retval TUNNELCAP_REKEY_SOON      encrypted; a soft limit is reached
 * @retval TUNNELCAP_E_TRUNCATED     shorter than its IP header says
 * @retval TUNNELCAP_E_MALFORMED     not IP, or a bad header
 * @retval TUNNELCAP_E_FRAGMENT      transport mode takes no fragments (RFC 4303 3.3.4)
 * @retval TUNNELCAP_E_NEED_SA       the far end is not known: ::TUNNELCAP_ESP_ANY_PEER
 * @retval TUNNELCAP_E_SELECTOR      not what the SA is for: tunnelcap_esp_set_selectors()
 * @retval TUNNELCAP_E_HEADROOM      less headroom than tunnelcap_esp_headroom()
 * @retval TUNNELCAP_E_TAILROOM      less tailroom than padding and ICV take
 * @retval TUNNELCAP_E_ENCAP_LIMIT   an inner IPv6 packet may enter no more tunnels over IPv6
 * @retval TUNNELCAP_E_TOO_BIG       more than IP can carry, or a GSO packet
 * @retval TUNNELCAP_E_SEQ_EXHAUSTED sequence numbers or IVs are used up: rekey
 * @retval TUNNELCAP_E_EXPIRED       a hard limit is reached: rekey
 * @retval TUNNELCAP_E_INVALID       an inbound SA, another provider's lane, or the window is not
 *                                   inside the buffer
 * @retval TUNNELCAP_E_CRYPTO        the provider failed; the packet's text is wiped, and its
 *                                   number stays spent
 *
 * Threads  any number of lanes on one SA at the same time
 * Cost     no allocation by the library; one pass over the payload
 * @since 1.0
 */
TUNNELCAP_API uint32_t tunnelcap_esp_encap(tunnelcap_esp *esp, tunnelcap_lane *lane,
                                           tunnelcap_pkt *pkts, const tunnelcap_meta *meta,
                                           uint32_t meta_stride, uint32_t count);

/**
 * Encrypt packets of many SAs, in place: one run of the provider for them all, which is where
 * providers that work on several packets at a time gain.
 *
 * @param sas         for each packet its SA, outbound; NULL and the same one again are permitted
 * @param lane        the calling thread's lane, made for the provider of the SAs
 * @param pkts        packets; order is kept, also among those of one SA; each status is set
 * @param meta        what they came with, or NULL
 * @param meta_stride bytes from one meta to the next; 0 uses the first for all
 * @param count       packets, and SAs
 * @return how many were encrypted; 0 if sas, lane or pkts is NULL
 *
 * Status of each packet: as tunnelcap_esp_encap() sets it; one of a NULL SA is refused with
 * ::TUNNELCAP_E_INVALID. A packet that is refused holds up no other.
 *
 * Threads  as tunnelcap_esp_encap()
 * Cost     as tunnelcap_esp_encap(); least where packets of one SA stand together
 * @since 1.0
 */
TUNNELCAP_API uint32_t tunnelcap_esp_encap_batch(tunnelcap_esp *const *sas, tunnelcap_lane *lane,
                                                 tunnelcap_pkt *pkts, const tunnelcap_meta *meta,
                                                 uint32_t meta_stride, uint32_t count);

/**
 * Encrypt packets from read-only memory into other buffers: for callers without headroom.
 *
 * @param esp   an outbound SA
 * @param lane  the calling thread's lane
 * @param in    inner packets; not written, not even their status
 * @param out   `count` packets whose buf and cap are set; off, len and status are written. The
 *              outer packet begins at off 0 where tunnelcap_esp_headroom() is exact (tunnel mode)
 * @param meta        what they came with, or NULL
 * @param meta_stride bytes from one meta to the next; 0 uses the first for all
 * @param count packets
 * @return as tunnelcap_esp_encap(), with the status in `out`; a packet that does not fit is
 *         refused with ::TUNNELCAP_E_TAILROOM
 *
 * Threads  as tunnelcap_esp_encap()
 * @since 1.0
 */
TUNNELCAP_API uint32_t tunnelcap_esp_encap_to(tunnelcap_esp *esp, tunnelcap_lane *lane,
                                              const tunnelcap_pkt *in, tunnelcap_pkt *out,
                                              const tunnelcap_meta *meta, uint32_t meta_stride,
                                              uint32_t count);

/**
 * Build dummy packets (RFC 4303 2.6): next header 59, which receivers drop.
 *
 * @param esp   an outbound SA in tunnel mode
 * @param lane  the calling thread's lane
 * @param pkts  packets whose window says how long each dummy is to be; its bytes are overwritten
 *              with zeros, and wrapped
 * @param count packets
 * @return as tunnelcap_esp_encap()
 *
 * Threads  as tunnelcap_esp_encap()
 * @since 1.0
 */
TUNNELCAP_API uint32_t tunnelcap_esp_encap_dummy(tunnelcap_esp *esp, tunnelcap_lane *lane,
                                                 tunnelcap_pkt *pkts, uint32_t count);

/**
 * Verify and decrypt packets, in place.
 *
 * Nothing that is not verified is released or moves the SA. Bare and UDP-encapsulated packets are
 * both accepted, unless strict. In transport mode the packet's own IP header is put before the
 * payload again, with protocol, length and header checksum put right, and behind NAT the
 * transport checksum (RFC 3948 3.1.2).
 *
 * @param esp         an inbound SA
 * @param lane        the calling thread's lane, made for the SA's provider
 * @param pkts        outer packets; order is kept; each status is set
 * @param meta        what they came with, or NULL
 * @param meta_stride bytes from one meta to the next; 0 uses the first for all
 * @param rx          receives what each packet said, count elements, or NULL; written for packets
 *                    whose status is not negative
 * @param count       packets
 * @return how many were decrypted; 0 if esp, lane or pkts is NULL
 *
 * Status of each packet. One refused before decryption is unchanged; behind it, the text is wiped.
 * @retval TUNNELCAP_OK              decrypted
 * @retval TUNNELCAP_E_TRUNCATED     ends before its headers say, or no room for IV and ICV
 * @retval TUNNELCAP_E_MALFORMED     a header contradicts itself, text not of whole blocks, or an
 *                                   inner packet that is none
 * @retval TUNNELCAP_E_CHECKSUM      IP header or UDP checksum wrong
 * @retval TUNNELCAP_E_PROTOCOL      neither ESP nor ESP in UDP, or not in the configured form
 * @retval TUNNELCAP_E_NO_TUNNEL     another SPI or destination address
 * @retval TUNNELCAP_E_FRAGMENT      a fragment: reassemble first
 * @retval TUNNELCAP_E_REPLAY        seen before, or left of the window (RFC 4303 3.4.3)
 * @retval TUNNELCAP_E_AUTH          wrong ICV
 * @retval TUNNELCAP_E_PADDING       verified, but its padding is not 1, 2, 3, ...
 * @retval TUNNELCAP_E_DUMMY         verified, and a dummy: drop it
 * @retval TUNNELCAP_E_SELECTOR      verified, and not what the SA is for:
 *                                   tunnelcap_esp_set_selectors()
 * @retval TUNNELCAP_E_ECN           congestion experienced over a payload that is Not-ECT
 * @retval TUNNELCAP_E_IKE           UDP with the non-ESP marker: give it to IKE
 * @retval TUNNELCAP_E_NAT_KEEPALIVE UDP NAT keepalive: drop it
 * @retval TUNNELCAP_E_EXPIRED       a hard limit is reached
 * @retval TUNNELCAP_E_INVALID       an outbound SA, another provider's lane, or the window is not
 *                                   inside the buffer
 * @retval TUNNELCAP_E_CRYPTO        the provider failed
 *
 * Threads  any number of lanes on one SA at the same time; a packet is accepted once
 * Cost     no allocation by the library; one pass over the payload
 * @since 1.0
 */
TUNNELCAP_API uint32_t tunnelcap_esp_decap(tunnelcap_esp *esp, tunnelcap_lane *lane,
                                           tunnelcap_pkt *pkts, const tunnelcap_meta *meta,
                                           uint32_t meta_stride, tunnelcap_esp_rx *rx,
                                           uint32_t count);

/**
 * Verify and decrypt packets of many SAs, in place: one run of the provider for them all.
 *
 * @param sas         for each packet its SA, inbound; NULL and the same one again are permitted
 * @param lane        the calling thread's lane, made for the provider of the SAs
 * @param pkts        outer packets; order is kept; each status is set
 * @param meta        what they came with, or NULL
 * @param meta_stride bytes from one meta to the next; 0 uses the first for all
 * @param rx          receives what each packet said, count elements, or NULL; written for packets
 *                    whose status is not negative
 * @param count       packets, and SAs
 * @return how many were decrypted; 0 if sas, lane or pkts is NULL
 *
 * Status of each packet: as tunnelcap_esp_decap() sets it; one of a NULL SA is refused with
 * ::TUNNELCAP_E_INVALID. Of copies of one packet, one is accepted.
 *
 * Threads  as tunnelcap_esp_decap()
 * Cost     as tunnelcap_esp_decap(); least where packets of one SA stand together
 * @since 1.0
 */
TUNNELCAP_API uint32_t tunnelcap_esp_decap_batch(tunnelcap_esp *const *sas, tunnelcap_lane *lane,
                                                 tunnelcap_pkt *pkts, const tunnelcap_meta *meta,
                                                 uint32_t meta_stride, tunnelcap_esp_rx *rx,
                                                 uint32_t count);

/**
 * Decrypt packets from read-only memory into other buffers.
 *
 * @param esp   an inbound SA
 * @param lane  the calling thread's lane
 * @param in    outer packets; not written
 * @param out   `count` packets whose buf and cap are set; off, len and status are written
 * @param meta        what they came with, or NULL
 * @param meta_stride bytes from one meta to the next; 0 uses the first for all
 * @param rx    as tunnelcap_esp_decap()
 * @param count packets
 * @return as tunnelcap_esp_decap(), with the status in `out`; a packet that does not fit is
 *         refused with ::TUNNELCAP_E_TAILROOM
 *
 * Threads  as tunnelcap_esp_decap()
 * @since 1.0
 */
TUNNELCAP_API uint32_t tunnelcap_esp_decap_to(tunnelcap_esp *esp, tunnelcap_lane *lane,
                                              const tunnelcap_pkt *in, tunnelcap_pkt *out,
                                              const tunnelcap_meta *meta, uint32_t meta_stride,
                                              tunnelcap_esp_rx *rx, uint32_t count);

/**
 * Try to find the sequence number again after more than 2^32 packets were lost (RFC 4303
 * appendix A3). Call it with a copy of a packet when many in a row end as ::TUNNELCAP_E_AUTH on
 * an SA with ESN.
 *
 * @param esp   an inbound SA with ESN
 * @param lane  the calling thread's lane
 * @param pkt   one outer packet; decrypted in place where that succeeds
 * @param ahead how far ahead of the last high half to assume this packet's, 1 or more
 * @return the status that tunnelcap_esp_decap() would give under that assumption; on
 *         ::TUNNELCAP_OK the window has moved there; ::TUNNELCAP_E_UNSUPPORTED without ESN
 *
 * Threads  as tunnelcap_esp_decap()
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_esp_resync(tunnelcap_esp *esp, tunnelcap_lane *lane,
                                           tunnelcap_pkt *pkt, uint32_t ahead);

/**
 * Build a NAT keepalive (RFC 3948 2.3): IP, UDP, one byte 0xff.
 *
 * @param esp an outbound SA in tunnel mode with UDP
 * @param pkt receives the packet at its off; len is written
 * @retval TUNNELCAP_OK            built
 * @retval TUNNELCAP_E_INVALID     a pointer is NULL or the window is not inside the buffer
 * @retval TUNNELCAP_E_UNSUPPORTED not such an SA
 * @retval TUNNELCAP_E_TAILROOM    less room than 49 bytes (IPv4: 29)
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_esp_keepalive(const tunnelcap_esp *esp, tunnelcap_pkt *pkt);

/**
 * Tell where an SA stands: for takeover, for lifetimes, for people.
 *
 * @param esp   an SA
 * @param state receives the answer
 * @param size  sizeof(tunnelcap_esp_state) of the caller
 * @retval TUNNELCAP_OK        *state is set
 * @retval TUNNELCAP_E_INVALID a pointer is NULL
 * @retval TUNNELCAP_E_VERSION size is below that of version 1.0
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_esp_get_state(const tunnelcap_esp *esp, tunnelcap_esp_state *state,
                                              uint32_t size);

/**
 * Tell whether an SA has reached a limit, time included. The data path checks packets and bytes
 * by itself; time it cannot know.
 *
 * @param esp    an SA
 * @param now_ns the caller's clock
 * @retval TUNNELCAP_OK              go on
 * @retval TUNNELCAP_REKEY_SOON      a soft limit is reached
 * @retval TUNNELCAP_E_EXPIRED       a hard limit is reached: stop using it
 * @retval TUNNELCAP_E_SEQ_EXHAUSTED sequence numbers or IVs are used up
 * @retval TUNNELCAP_E_INVALID       esp is NULL
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_esp_check_life(const tunnelcap_esp *esp, uint64_t now_ns);

#ifdef __cplusplus
}
#endif
#endif
