/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/**
 * @file packet.h
 * The vocabulary of all modules: packets, addresses, what a packet came with, allocators.
 *
 * Scalars are in host byte order, address bytes in wire order, lengths in bytes.
 */
#ifndef TUNNELCAP_PACKET_H
#define TUNNELCAP_PACKET_H

#include <tunnelcap/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** IP versions, as in the first four bits of a packet; used wherever a family is named. */
enum {
    TUNNELCAP_IPV4 = 4, /**< IPv4. */
    TUNNELCAP_IPV6 = 6  /**< IPv6. */
};

/** EtherTypes that the library itself treats specially (IEEE 802 numbers). */
enum {
    TUNNELCAP_ETHERTYPE_IPV4 = 0x0800,     /**< IPv4. */
    TUNNELCAP_ETHERTYPE_IPV6 = 0x86dd,     /**< IPv6. */
    TUNNELCAP_ETHERTYPE_ETHERNET = 0x6558, /**< Transparent Ethernet bridging (RFC 1701). */
    TUNNELCAP_ETHERTYPE_MPLS = 0x8847,     /**< MPLS unicast (RFC 4023). */
    TUNNELCAP_ETHERTYPE_MPLS_MC = 0x8848   /**< MPLS, upstream-assigned label (RFC 5332). */
};

/** UDP ports of tunnels (IANA). */
enum {
    TUNNELCAP_GRE_UDP_PORT = 4754, /**< GRE in UDP (RFC 8086). */
    TUNNELCAP_ESP_UDP_PORT = 4500  /**< ESP in UDP (RFC 3948). */
};

/** Kinds of tunnel. */
enum {
    TUNNELCAP_KIND_NONE = 0,          /**< No tunnel that this library knows. */
    TUNNELCAP_KIND_GRE = 1,           /**< GRE, protocol 47 or in UDP. */
    TUNNELCAP_KIND_IPIP = 2,          /**< IPv4 or IPv6 in IP, protocol 4 or 41. */
    TUNNELCAP_KIND_ESP = 3,           /**< IPsec ESP, protocol 50 or in UDP. */
    TUNNELCAP_KIND_IKE = 4,           /**< UDP 4500 with the non-ESP marker (RFC 3948 2.2). */
    TUNNELCAP_KIND_NAT_KEEPALIVE = 5, /**< UDP 4500, one byte 0xff (RFC 3948 2.3). */
    TUNNELCAP_KIND_GRE_ESP = 6        /**< Of tunnels in a table: GRE in ESP. */
};

/**
 * A packet: a window on the caller's memory.
 *
 * ```
 * buf                off                off + len            cap
 *  | headroom ........ | packet ............. | tailroom ..... |
 * ```
 *
 * Encapsulation moves `off` down into the headroom, decapsulation moves it up; no byte of the
 * payload is copied. `off + len <= cap` must hold. `status` is the result of the last call for
 * this packet. `user` is the caller's own: never read and never written by the library.
 *
 * Frozen for all of 1.x: 32 bytes where pointers have 64 bits, 24 where they have 32.
 */
typedef struct tunnelcap_pkt {
    uint8_t *buf;   /**< The caller's storage. */
    uint32_t cap;   /**< Bytes of storage. */
    uint32_t off;   /**< First byte of the packet: the headroom before it. */
    uint32_t len;   /**< Bytes of packet. */
    int32_t status; /**< Result of the last call for this packet. */
    void *user;     /**< The caller's own. */
} tunnelcap_pkt;

/** An IP address. All zero means "none". Bytes that the family does not use must be zero. */
typedef struct tunnelcap_addr {
    uint8_t bytes[16];   /**< Wire order; IPv4 in the first four. */
    uint8_t family;      /**< ::TUNNELCAP_IPV4, ::TUNNELCAP_IPV6, or 0 for none. */
    uint8_t reserved[3]; /**< Zero. */
} tunnelcap_addr;

/** Where the packet of a tunnelcap_meta begins. */
enum {
    TUNNELCAP_AT_IP = 0,          /**< At its IP header (the only kind without meta). */
    TUNNELCAP_AT_UDP_PAYLOAD = 1, /**< Behind the UDP header: what a UDP socket delivers. */
    TUNNELCAP_AT_IP_PAYLOAD = 2   /**< Behind all IP headers: what a raw IPv6 socket delivers. */
};

/** Flags of tunnelcap_meta. */
enum {
    /** The transport checksum is unfinished: it holds the pseudo-header's sum, and the sum
     *  from `csum_start` to the end is to be stored at `csum_start + csum_offset`. */
    TUNNELCAP_META_CSUM_PARTIAL = 1,
    /** Hardware or the kernel has verified the outer IP header and UDP checksums. */
    TUNNELCAP_META_CSUM_VALID = 2,
    /** `tos` holds the outer TOS or traffic class that a socket reported. */
    TUNNELCAP_META_TOS_VALID = 4
};

/**
 * What a packet came with and cannot be read from its bytes. Optional everywhere: NULL means
 * all zero. Functions take an array with its stride in bytes, so that it may be a member of a
 * larger struct of the caller's; a stride of 0 uses the first element for all packets.
 *
 * Not read yet: `hash`, `hdr_len` and `rx_ns`. GSO packets are refused so far.
 */
typedef struct tunnelcap_meta {
    uint32_t flags;       /**< TUNNELCAP_META_ flags. */
    uint32_t vrf;         /**< Routing instance; 0 is the default one. */
    uint32_t hash;        /**< Flow hash from hardware; 0 if none. */
    uint8_t at;           /**< TUNNELCAP_AT_: where the packet begins (decapsulation). */
    uint8_t proto;        /**< Outer IP protocol where ::TUNNELCAP_AT_IP_PAYLOAD. */
    uint8_t tos;          /**< Outer TOS or traffic class where flagged. */
    uint8_t ttl;          /**< Outer TTL or hop limit; 0 if not known. */
    uint8_t gso_type;     /**< virtio-net GSO type; 0 if the packet is an ordinary one. */
    uint8_t reserved;     /**< Zero. */
    uint16_t gso_size;    /**< Segment payload size of a GSO packet. */
    uint16_t hdr_len;     /**< Header bytes of a GSO packet. */
    uint16_t csum_start;  /**< With a partial checksum: from the packet's first byte. */
    uint16_t csum_offset; /**< With a partial checksum: from csum_start. */
    uint16_t src_port;    /**< UDP source port where ::TUNNELCAP_AT_UDP_PAYLOAD. */
    uint16_t dst_port;    /**< UDP destination port where ::TUNNELCAP_AT_UDP_PAYLOAD. */
    uint16_t ethertype;   /**< Encapsulation: what the packet is; 0: IPv4 or IPv6 by version. */
    tunnelcap_addr src;   /**< Outer source where not ::TUNNELCAP_AT_IP. */
    tunnelcap_addr dst;   /**< Outer destination where not ::TUNNELCAP_AT_IP. */
    uint64_t rx_ns;       /**< Receive time on the caller's clock, in nanoseconds. */
} tunnelcap_meta;

/**
 * A memory source for the `_new` functions. NULL in its place means malloc and free.
 * Not used after `_new` but by `_free`; never in the data path.
 */
typedef struct tunnelcap_alloc {
    uint32_t size;     /**< sizeof(tunnelcap_alloc). */
    uint32_t reserved; /**< Zero. */
    /** Return `bytes` bytes at a multiple of `align` (a power of two), or NULL. */
    void *(*alloc)(void *arg, size_t bytes, size_t align);
    /** Take back what alloc returned for the same number of bytes. */
    void (*release)(void *arg, void *mem, size_t bytes);
    void *arg; /**< Passed to both. */
} tunnelcap_alloc;

#ifdef __cplusplus
}
#endif
#endif
