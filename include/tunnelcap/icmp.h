/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/**
 * @file icmp.h
 * ICMP around a tunnel: errors to the sender of a packet that was refused, errors that come back
 * about our outer packets, and echoes that probe a path.
 *
 * A packet that does not fit must not vanish: tunnelcap_icmp_error_build() turns it into the
 * message that tells its sender why. tunnelcap_icmp_parse() reads what routers on the tunnel's
 * path say, and tunnelcap_icmp_relay() hands it on to the sender inside. Nothing here keeps state
 * but tunnelcap_icmp_limit, a token bucket.
 */
#ifndef TUNNELCAP_ICMP_H
#define TUNNELCAP_ICMP_H

#include <tunnelcap/packet.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Kinds of ICMP message, the same for ICMPv4 and ICMPv6. */
enum {
    TUNNELCAP_ICMP_NONE = 0,          /**< No ICMP. */
    TUNNELCAP_ICMP_TOO_BIG = 1,       /**< Fragmentation needed, Packet Too Big. */
    TUNNELCAP_ICMP_UNREACHABLE = 2,   /**< Destination unreachable, for another reason. */
    TUNNELCAP_ICMP_TIME_EXCEEDED = 3, /**< TTL or hop limit used up (code 0), or a datagram whose
                                           fragments did not all come (code 1). */
    TUNNELCAP_ICMP_PARAMETER = 4,     /**< Parameter problem: a header field is wrong. */
    TUNNELCAP_ICMP_OTHER = 5,         /**< An error or redirect of another type. */
    TUNNELCAP_ICMP_INFORMATION = 6    /**< No error: echo, neighbour discovery and so on. */
};

/** Sizes of an error message. */
enum {
    TUNNELCAP_ICMP_HEADROOM4 = 28, /**< Headroom that an ICMPv4 error needs before the packet. */
    TUNNELCAP_ICMP_HEADROOM6 = 48, /**< Headroom that an ICMPv6 error needs before the packet. */
    TUNNELCAP_ICMP_MAX4 = 576,     /**< Largest ICMPv4 error, its IP header included. */
    TUNNELCAP_ICMP_MAX6 = 1280     /**< Largest ICMPv6 error, its IP header included. */
};

/** A token bucket for error messages; start it with tunnelcap_icmp_limit_init(). The fields are
 *  private. One thread at a time: give each lane a limit of its own. */
typedef struct tunnelcap_icmp_limit {
    uint64_t credit;  /**< Private. */
    uint64_t then_ns; /**< Private. */
    uint32_t rate;    /**< Private. */
    uint32_t burst;   /**< Private. */
} tunnelcap_icmp_limit;

/**
 * Start a rate limit with a full bucket (RFC 4443 section 2.4 (f), RFC 1812 section 4.3.2.8).
 *
 * @param limit receives the limit
 * @param rate  messages for each second in the long run, 1 to 2^32 - 1
 * @param burst messages that may follow one another at once, 1 to 2^32 - 1
 * @retval TUNNELCAP_OK        started
 * @retval TUNNELCAP_E_INVALID limit is NULL
 * @retval TUNNELCAP_E_RANGE   rate or burst is 0
 *
 * Threads  one for each limit
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_icmp_limit_init(tunnelcap_icmp_limit *limit, uint32_t rate,
                                                uint32_t burst);

/**
 * Take the right to send one message.
 *
 * The clock may start anywhere, stand still, leap or go back: time that goes back earns nothing
 * and costs nothing, and counting goes on from there.
 *
 * @param limit  a limit that was started
 * @param now_ns the caller's clock, in nanoseconds
 * @retval TUNNELCAP_OK             taken: send
 * @retval TUNNELCAP_E_RATE_LIMITED too soon: send nothing; no right was spent
 * @retval TUNNELCAP_E_INVALID      limit is NULL, or was not started
 *
 * Threads  one for each limit
 * Cost     one division
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_icmp_limit_take(tunnelcap_icmp_limit *limit, uint64_t now_ns);

/** An error to be sent; fill it with tunnelcap_icmp_error_init() first. It serves packets of
 *  either family: what is named 4 is for IPv4 packets, 6 for IPv6. */
typedef struct tunnelcap_icmp_error {
    uint32_t size;       /**< sizeof(tunnelcap_icmp_error) of the caller. */
    uint32_t mtu;        /**< Too big: the largest packet that passes. Below 68 (IPv4) or 1280
                              (IPv6) it is raised to that, the least a link may have. */
    uint32_t pointer;    /**< Parameter problem: offset of the wrong field in the packet; at most
                              255 for IPv4. */
    tunnelcap_addr src4; /**< Our address that ICMPv4 errors come from. */
    tunnelcap_addr src6; /**< Our address that ICMPv6 errors come from. */
    uint16_t id;         /**< Identification of the ICMPv4 packet, which then goes with "don't
                              fragment" clear; 0 (default): set, and no identification needed
                              (RFC 6864). */
    uint8_t kind;        /**< ::TUNNELCAP_ICMP_TOO_BIG to ::TUNNELCAP_ICMP_PARAMETER. */
    uint8_t code4;       /**< ICMPv4 code as on the wire; default 0: network unreachable, TTL used
                              up, error at the pointer. Unused where too big. */
    uint8_t code6;       /**< ICMPv6 code as on the wire; default 0: no route, hop limit used up,
                              erroneous header field. Unused where too big. */
    uint8_t ttl;         /**< TTL or hop limit, not 0; default 64. */
    uint8_t tos;         /**< TOS or traffic class; default 0xc0: precedence 6 (RFC 1812 section
                              4.3.2.5), which is DSCP CS6, and Not-ECT. */
    uint8_t reserved;    /**< Zero. */
} tunnelcap_icmp_error;

/**
 * Fill an error with defaults; kind and addresses remain to be set.
 *
 * @param error receives the defaults; all `size` bytes are written
 * @param size  sizeof(tunnelcap_icmp_error) of the caller
 * @retval TUNNELCAP_OK        filled
 * @retval TUNNELCAP_E_INVALID error is NULL
 * @retval TUNNELCAP_E_VERSION size is below that of version 1.0
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_icmp_error_init(tunnelcap_icmp_error *error, uint32_t size);

/**
 * Turn a packet into the ICMP error about it, in place.
 *
 * Packet   before  [ headroom ........ | IP packet ............. ]
 *          after   [ ... | IP | ICMP | as much of it as fits     ]
 *
 * 28 bytes of headroom are needed for IPv4, 48 for IPv6. The packet is quoted up to a message of
 * 576 bytes (RFC 1812 section 4.3.2.3) or 1280 bytes (RFC 4443 section 2.4 (c)); padding behind
 * it is not. An unfinished transport checksum is finished first, but for GSO packets, which have
 * none of their own.
 *
 * An error is never sent (RFC 1812 section 4.3.2.7, RFC 1122 section 3.2.2, RFC 4443 section
 * 2.4 (e)):
 * - about an ICMP error; for IPv6 also about a redirect; about ICMP whose type is not there;
 * - about an IPv4 fragment beyond the first;
 * - to a source that is not one node: unspecified (IPv4: 0.0.0.0/8), loopback, multicast; for
 *   IPv4 broadcast and class E, for IPv6 IPv4-mapped addresses;
 * - about a packet to a multicast address or to IPv4 broadcast (255.255.255.255, 0.0.0.0), except
 *   for ICMPv6 Packet Too Big, and parameter problem with code 2;
 * - that a packet is too big which is not larger than the MTU told.
 *
 * Broadcast of the link layer and of subnets is for the caller to know. Authentication headers
 * are looked behind; where the header chain cannot be followed to its end, so that the packet
 * might be an error itself, nothing is sent either. An IPv4 header whose checksum is wrong is not
 * answered (RFC 1812 section 5.2.2).
 *
 * @param pkt    the packet, at its IP header; a missing tail does not matter. Its `status` is
 *               neither read nor written
 * @param meta   what it came with, or NULL
 * @param error  what to say
 * @param limit  takes one right once all else is in order; NULL for no limit
 * @param now_ns the caller's clock for it, in nanoseconds
 * @retval TUNNELCAP_OK             done: send it to where it says
 * @retval TUNNELCAP_E_NO_ANSWER    one of the rules above: drop the packet
 * @retval TUNNELCAP_E_RATE_LIMITED not now: drop the packet
 * @retval TUNNELCAP_E_HEADROOM     fewer than 28 or 48 bytes before the packet
 * @retval TUNNELCAP_E_TRUNCATED    ends within its IP headers
 * @retval TUNNELCAP_E_MALFORMED    not IP, or malformed IP headers
 * @retval TUNNELCAP_E_CHECKSUM     wrong IPv4 header checksum
 * @retval TUNNELCAP_E_PROTOCOL     meta says that it is no IP packet
 * @retval TUNNELCAP_E_ADDRESS      no source of the packet's family, or one that cannot be
 * @retval TUNNELCAP_E_MODE         kind is none of those to be sent
 * @retval TUNNELCAP_E_RANGE        code unknown (or 4, "too big", as a code of unreachable), TTL
 *                                  0, or MTU or pointer more than ICMPv4 can say
 * @retval TUNNELCAP_E_RESERVED     a reserved field is not zero
 * @retval TUNNELCAP_E_VERSION      error of an unknown version
 * @retval TUNNELCAP_E_INVALID      NULL, window not inside the buffer, a meta of a packet that
 *                                  does not begin at its IP header, or its checksum outside
 *
 * On failure the packet is unchanged.
 *
 * Threads  any; one at a time for a limit
 * Cost     no allocation; sums what is quoted
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_icmp_error_build(tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                                                 const tunnelcap_icmp_error *error,
                                                 tunnelcap_icmp_limit *limit, uint64_t now_ns);

/** Flags of tunnelcap_icmp_result. */
enum {
    TUNNELCAP_ICMP_PORTS = 1,       /**< The quote is UDP: the ports are set. */
    TUNNELCAP_ICMP_KEY = 2,         /**< `key` is set: a GRE key, or the SPI of ESP. */
    TUNNELCAP_ICMP_NO_KEY = 4,      /**< The quoted GRE header has no key. Neither this nor
                                         ::TUNNELCAP_ICMP_KEY: the quote ends too early to tell. */
    TUNNELCAP_ICMP_SEQUENCE = 8,    /**< `seq` is set. */
    TUNNELCAP_ICMP_FRAGMENT = 16,   /**< The quote is a fragment; a non-first one tells no more
                                         than addresses and protocol. */
    TUNNELCAP_ICMP_INNER = 32,      /**< `inner` and `inner_len` are set. */
    TUNNELCAP_ICMP_MTU_GUESSED = 64 /**< The router told no MTU: `mtu` is the next lower plateau
                                        of RFC 1191 section 7. */
};

/** What an ICMP message told. Offsets count from the packet's first byte. */
typedef struct tunnelcap_icmp_result {
    uint32_t size;        /**< sizeof(tunnelcap_icmp_result) of the caller. */
    uint32_t flags;       /**< TUNNELCAP_ICMP_ flags. */
    tunnelcap_addr from;  /**< Who says it. */
    tunnelcap_addr to;    /**< Whom it was sent to. */
    tunnelcap_addr src;   /**< Source of the quoted packet: the same as `to`. */
    tunnelcap_addr dst;   /**< Destination of the quoted packet. */
    uint32_t mtu;         /**< Too big: the MTU of the next hop, for outer packets. */
    uint32_t pointer;     /**< Parameter problem: offset of the wrong field in the quote. */
    uint32_t key;         /**< Quoted GRE key, or SPI (of ours: outbound). */
    uint32_t seq;         /**< Quoted sequence number of GRE; the low 32 bits for ESP. */
    uint32_t quote;       /**< Offset of the quoted packet. */
    uint32_t quote_len;   /**< Bytes of it that are there; 0 if it cannot be read. */
    uint32_t quote_total; /**< Its length, as its own header says. */
    uint32_t inner;       /**< Offset of the payload behind the quoted tunnel headers. */
    uint32_t inner_len;   /**< Bytes of it that are there, not 0. */
    uint16_t src_port;    /**< Quoted UDP source port. */
    uint16_t dst_port;    /**< Quoted UDP destination port. */
    uint16_t protocol;    /**< EtherType of the payload, for GRE and IP-in-IP; 0 if not there. */
    uint8_t kind;         /**< ::TUNNELCAP_ICMP_NONE to ::TUNNELCAP_ICMP_INFORMATION. */
    uint8_t type;         /**< ICMP type. */
    uint8_t code;         /**< ICMP code. */
    uint8_t tunnel;       /**< TUNNELCAP_KIND_ of the quoted packet. */
    uint8_t ip_protocol;  /**< Its IP protocol, behind all extension headers. */
    uint8_t reserved;     /**< Zero. */
} tunnelcap_icmp_result;

/**
 * Read an ICMP message that came to an outer address of ours, and what it quotes.
 *
 * Nothing is believed that could not be so: the ICMP checksum must be right, the quoted packet
 * must come from where the message was sent to, and an MTU is at least 68 (RFC 1191 section 3) or
 * 1280 (RFC 8201 section 4). Whether the quote is of a tunnel of ours, its SPI an outbound one and
 * its sequence number plausible, is for the caller to compare, who keeps tunnels.
 *
 * The quote may end anywhere. With the 8 bytes behind the IP header that RFC 792 promises, it has
 * of GRE four bytes and the next word, which is the key unless there is a checksum; of ESP the
 * SPI and sequence number; of UDP the ports. The checksum of a quoted IPv4 header is not verified,
 * since routers have changed the TTL. What RFC 4884 appends to the quote is left out.
 *
 * @param pkt    the packet; not even its status is written
 * @param meta   what it came with, or NULL; ::TUNNELCAP_AT_IP_PAYLOAD for one that begins at its
 *               ICMP header
 * @param result receives the answer, its `size` set by the caller. It is all zero unless
 *               ::TUNNELCAP_OK or ::TUNNELCAP_E_ICMP is given
 * @retval TUNNELCAP_OK          an error, and the outer packet that it is about
 * @retval TUNNELCAP_E_ICMP      nothing to act upon; `kind` tells why: no ICMP, no error
 *                               (::TUNNELCAP_ICMP_INFORMATION), an error of another type, or of
 *                               one that concerns tunnels but with an implausible MTU or without
 *                               the headers of a packet that `to` may have sent
 * @retval TUNNELCAP_E_FRAGMENT  a fragment: reassemble first
 * @retval TUNNELCAP_E_TRUNCATED ends before its headers say, or within an ICMP header
 * @retval TUNNELCAP_E_MALFORMED not IP, or malformed IP headers
 * @retval TUNNELCAP_E_CHECKSUM  wrong IPv4 header checksum or ICMP checksum
 * @retval TUNNELCAP_E_INVALID   NULL, window not inside the buffer, meta.at unknown, or its
 *                               addresses missing or of two families
 * @retval TUNNELCAP_E_VERSION   result->size is below that of version 1.0
 *
 * Threads  any
 * Cost     no allocation; sums the message
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_icmp_parse(const tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                                           tunnelcap_icmp_result *result);

/**
 * Turn an error about an outer packet into one to the sender of the inner packet, in place.
 *
 * Packet   before  [ (IP) | ICMP | outer headers | inner packet, cut ]
 *          after   [ .............. | IP | ICMP | inner packet, cut  ]
 *
 * What it says (RFC 2003 section 4, RFC 2473 section 8, RFC 4213 section 3.4):
 *
 * | about the outer packet                     | to the inner sender              | v4  | v6  |
 * |--------------------------------------------|----------------------------------|-----|-----|
 * | too big                                    | too big, with error->mtu         | 3/4 | 2/0 |
 * | ICMPv4 unreachable, code 0 or 6 (network)  | network; address unreachable     | 3/0 | 1/3 |
 * | unreachable, any other code                | host; address unreachable        | 3/1 | 1/3 |
 * | time exceeded, code 0: a loop in the path  | host; address unreachable        | 3/1 | 1/3 |
 * | ICMPv6 parameter problem, code 0           | host; address unreachable        | 3/1 | 1/3 |
 * | source route failed, fragment lost, others | nothing: it is the tunnel's fault |    |     |
 *
 * The inner packet must be quoted with its IP headers and 8 bytes more, or whole. The rules of
 * tunnelcap_icmp_error_build() hold for it, but for the checksum of its header. The headers before
 * it give the headroom, except for IPv6 in a packet that begins at its ICMP header: there the
 * caller must have headroom of up to 20 bytes.
 *
 * @param pkt    the packet as tunnelcap_icmp_parse() has read it
 * @param result what that gave
 * @param error  addresses, TTL, TOS and identification for the new message; `mtu` is the tunnel's
 *               inner MTU at the new path MTU; kind, codes and pointer are not used
 * @param limit  takes one right once all else is in order; NULL for no limit
 * @param now_ns the caller's clock for it, in nanoseconds
 * @retval TUNNELCAP_OK             done: send it inward, to where it says
 * @retval TUNNELCAP_E_NO_ANSWER    not to be relayed, by the table above or the rules for errors
 * @retval TUNNELCAP_E_ICMP         too little of the inner packet is quoted, or none
 * @retval TUNNELCAP_E_RATE_LIMITED not now
 * @retval TUNNELCAP_E_HEADROOM     see above
 * @retval TUNNELCAP_E_MALFORMED    the inner packet is not IP, or has malformed headers
 * @retval TUNNELCAP_E_ADDRESS      no source of the inner packet's family, or one that cannot be
 * @retval TUNNELCAP_E_RANGE        TTL 0, or an MTU that ICMPv4 cannot say
 * @retval TUNNELCAP_E_RESERVED     a reserved field is not zero
 * @retval TUNNELCAP_E_VERSION      error or result of an unknown version
 * @retval TUNNELCAP_E_INVALID      NULL, window not inside the buffer, or a result of another
 *                                  packet
 *
 * On failure the packet is unchanged.
 *
 * Threads  any; one at a time for a limit
 * Cost     no allocation; sums what is quoted
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_icmp_relay(tunnelcap_pkt *pkt, const tunnelcap_icmp_result *result,
                                           const tunnelcap_icmp_error *error,
                                           tunnelcap_icmp_limit *limit, uint64_t now_ns);

/** Types of echo, the same for ICMPv4 and ICMPv6. */
enum {
    TUNNELCAP_ECHO_REQUEST = 1, /**< ICMPv4 type 8, ICMPv6 type 128. */
    TUNNELCAP_ECHO_REPLY = 2    /**< ICMPv4 type 0, ICMPv6 type 129. */
};

/** Flags of tunnelcap_icmp_echo. */
enum {
    TUNNELCAP_ECHO_DF = 1 /**< IPv4: "don't fragment". */
};

/** An echo: to be built, or as it was read. */
typedef struct tunnelcap_icmp_echo {
    uint32_t size;        /**< sizeof(tunnelcap_icmp_echo) of the caller. */
    uint32_t flags;       /**< TUNNELCAP_ECHO_ flags; default ::TUNNELCAP_ECHO_DF. */
    tunnelcap_addr src;   /**< Source. */
    tunnelcap_addr dst;   /**< Destination. */
    uint32_t total;       /**< Bytes of the IP packet; 0 to build: as few as the payload needs. */
    uint32_t payload;     /**< Read: offset of the data behind the ICMP header. Build: zero. */
    uint32_t payload_len; /**< Build: bytes of payload, the rest is padding. Read: bytes of data,
                               any padding included. */
    uint16_t id;          /**< Identifier. */
    uint16_t seq;         /**< Sequence number. */
    uint16_t ip_id;       /**< IPv4 identification. */
    uint8_t type;         /**< ::TUNNELCAP_ECHO_REQUEST (default) or ::TUNNELCAP_ECHO_REPLY. */
    uint8_t ttl;          /**< TTL or hop limit, not 0; default 64. Read: 0 if not known. */
    uint8_t tos;          /**< TOS or traffic class; default 0. */
    uint8_t reserved[3];  /**< Zero. */
} tunnelcap_icmp_echo;

/**
 * Fill an echo with defaults; addresses and numbers remain to be set.
 *
 * @param echo receives the defaults; all `size` bytes are written
 * @param size sizeof(tunnelcap_icmp_echo) of the caller
 * @retval TUNNELCAP_OK        filled
 * @retval TUNNELCAP_E_INVALID echo is NULL
 * @retval TUNNELCAP_E_VERSION size is below that of version 1.0
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_icmp_echo_init(tunnelcap_icmp_echo *echo, uint32_t size);

/**
 * Write an echo as a whole IP packet of an exact size.
 *
 * Packet   before  [ headroom | room ......................... ]
 *          after   [ headroom | IP | ICMP | payload | padding  ]
 *
 * The packet is written at pkt->off, so that headroom for encapsulation stays; what the window
 * held is overwritten. Byte n of the padding, counted from the ICMP header's end, is n modulo 256.
 *
 * @param echo    what to write
 * @param payload echo->payload_len bytes; may be NULL if that is 0. Not inside the packet's room
 * @param pkt     its buf, cap and off; len is set. Its `status` is neither read nor written
 * @retval TUNNELCAP_OK          written
 * @retval TUNNELCAP_E_TAILROOM  cap - off is less than the packet; pkt is unchanged
 * @retval TUNNELCAP_E_RANGE     total is less than headers and payload, or more than IP allows;
 *                               or TTL 0
 * @retval TUNNELCAP_E_ADDRESS   addresses missing, or of two families
 * @retval TUNNELCAP_E_MODE      type is neither of the two
 * @retval TUNNELCAP_E_FLAGS     unknown flag
 * @retval TUNNELCAP_E_RESERVED  a reserved field, or `payload`, is not zero
 * @retval TUNNELCAP_E_VERSION   echo of an unknown version
 * @retval TUNNELCAP_E_INVALID   NULL, or off outside the buffer
 *
 * On failure the packet is unchanged.
 *
 * Threads  any
 * Cost     no allocation; one pass over the packet
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_icmp_echo_build(const tunnelcap_icmp_echo *echo,
                                                const void *payload, tunnelcap_pkt *pkt);

/**
 * Recognise an echo request or reply, and verify it.
 *
 * @param pkt  the packet; not even its status is written
 * @param meta what it came with, or NULL; ::TUNNELCAP_AT_IP_PAYLOAD for one that begins at its
 *             ICMP header, as raw IPv6 sockets give
 * @param echo receives what it says, its `size` set by the caller; all zero unless it is an echo.
 *             Without IP header, `total` counts the ICMP message only
 * @retval TUNNELCAP_OK          an echo
 * @retval TUNNELCAP_E_ICMP      not ICMP, or no echo
 * @retval TUNNELCAP_E_FRAGMENT  a fragment: reassemble first
 * @retval TUNNELCAP_E_TRUNCATED ends before its headers say, or within an ICMP header
 * @retval TUNNELCAP_E_MALFORMED not IP, or malformed IP headers
 * @retval TUNNELCAP_E_CHECKSUM  wrong IPv4 header checksum or ICMP checksum
 * @retval TUNNELCAP_E_INVALID   NULL, window not inside the buffer, meta.at unknown, or its
 *                               addresses missing or of two families
 * @retval TUNNELCAP_E_VERSION   echo->size is below that of version 1.0
 *
 * Threads  any
 * Cost     no allocation; sums the message
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_icmp_echo_read(const tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                                               tunnelcap_icmp_echo *echo);

/**
 * Turn an echo request into its reply, in place.
 *
 * Addresses change places, type, TTL and checksums are set; all else stays as the requester sent
 * it (RFC 1122 section 3.2.2.6, RFC 4443 section 4.2). Padding behind the packet is cut off.
 *
 * @param pkt the packet, at its IP header. Its `status` is neither read nor written
 * @param ttl TTL or hop limit of the reply, not 0
 * @retval TUNNELCAP_OK          done: send it to where it says
 * @retval TUNNELCAP_E_NO_ANSWER a request with IPv4 options or IPv6 extension headers, to a
 *                               multicast or broadcast address, or from a source that is not one
 *                               node
 * @retval TUNNELCAP_E_ICMP      no echo request
 * @retval TUNNELCAP_E_FRAGMENT  a fragment: reassemble first
 * @retval TUNNELCAP_E_TRUNCATED ends before its headers say, or within an ICMP header
 * @retval TUNNELCAP_E_MALFORMED not IP, or malformed IP headers
 * @retval TUNNELCAP_E_CHECKSUM  wrong IPv4 header checksum or ICMP checksum
 * @retval TUNNELCAP_E_RANGE     ttl is 0
 * @retval TUNNELCAP_E_INVALID   NULL, or window not inside the buffer
 *
 * On failure the packet is unchanged.
 *
 * Threads  any
 * Cost     no allocation; sums the message
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_icmp_echo_reply(tunnelcap_pkt *pkt, uint8_t ttl);

#ifdef __cplusplus
}
#endif
#endif
