/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/**
 * @file status.h
 * What became of a packet or a call: one signed 32-bit number, one meaning, one action.
 *
 * A status is 0 (done), positive (done, with more to say; only where a function documents it)
 * or negative. The hundreds of a negative status say what the caller does about it:
 *
 * | range        | class                          | what to do                          |
 * |--------------|--------------------------------|-------------------------------------|
 * | -101 .. -199 | ::TUNNELCAP_CLASS_DROP         | drop the packet, count the reason   |
 * | -201 .. -299 | ::TUNNELCAP_CLASS_ROOM         | give room, or send a smaller packet |
 * | -301 .. -399 | ::TUNNELCAP_CLASS_REKEY        | make a new security association     |
 * | -401 .. -499 | ::TUNNELCAP_CLASS_CALLER       | mend the calling program            |
 * | -501 .. -599 | ::TUNNELCAP_CLASS_PROVIDER     | look at the crypto provider         |
 *
 * Numbers are never reused and never change their meaning.
 */
#ifndef TUNNELCAP_STATUS_H
#define TUNNELCAP_STATUS_H

#include <stddef.h>
#include <stdint.h>

/** Marks what the shared library exports. */
#if defined(__GNUC__)
#define TUNNELCAP_API __attribute__((visibility("default")))
#else
#define TUNNELCAP_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** Outcomes that are not failures. */
enum {
    TUNNELCAP_OK = 0,            /**< Done. */
    TUNNELCAP_KEEPALIVE = 1,     /**< A GRE keepalive: send the inner packet back as it is. */
    TUNNELCAP_MSS_CLAMPED = 2,   /**< MSS lowered to the limit. */
    TUNNELCAP_MSS_INSERTED = 3,  /**< MSS option added to a SYN that had none. */
    TUNNELCAP_MSS_SMALL = 4,     /**< MSS is at or below the limit already. */
    TUNNELCAP_MSS_ABSENT = 5,    /**< A SYN without MSS option; none was to be inserted. */
    TUNNELCAP_MSS_PROTECTED = 6, /**< TCP-AO, or TCP-MD5 where one was to be inserted. */
    TUNNELCAP_MSS_NO_ROOM = 7,   /**< No room to insert: TCP header full, or no headroom. */
    TUNNELCAP_NOT_SYN = 8,       /**< Not TCP, or TCP without SYN: nothing to clamp. */
    TUNNELCAP_FRAGMENT = 9,      /**< A fragment that does not hold the TCP header. */
    TUNNELCAP_REKEY_SOON = 10,   /**< Encrypted; a soft limit is reached: make a new SA. */
    TUNNELCAP_KEPT = 11,         /**< A fragment, copied: it waits for the others. */
    TUNNELCAP_WHOLE = 12,        /**< Not a fragment: nothing to reassemble. */
    TUNNELCAP_CHANGED = 13       /**< Done, and what is watched has changed its state. */
};

/** -1xx: drop the packet and count the reason. */
enum {
    TUNNELCAP_E_TRUNCATED = -101,   /**< Ends before its headers say. */
    TUNNELCAP_E_MALFORMED = -102,   /**< A header contradicts itself or its RFC. */
    TUNNELCAP_E_CHECKSUM = -103,    /**< A checksum that is present is wrong. */
    TUNNELCAP_E_NO_CHECKSUM = -104, /**< The tunnel demands a checksum; the packet has none. */
    TUNNELCAP_E_AUTH = -105, /**< Wrong integrity check value (ICV), or none where ESP is due. */
    TUNNELCAP_E_PROTOCOL = -106,    /**< Not a protocol that a tunnel of this kind carries. */
    TUNNELCAP_E_NO_TUNNEL = -107,   /**< Belongs to no tunnel here: addresses, key or port. */
    TUNNELCAP_E_GRE_VERSION = -108, /**< Enhanced GRE (version 1, PPTP) or a later version. */
    TUNNELCAP_E_GRE_FLAGS = -109,   /**< GRE routing, strict source route or reserved bit 5 set. */
    TUNNELCAP_E_SEQUENCE = -110,    /**< Out of order, and the tunnel drops such packets. */
    TUNNELCAP_E_FRAGMENT = -111,    /**< A fragment of an outer packet: reassemble first. */
    TUNNELCAP_E_ECN = -112,         /**< Congestion mark over a Not-ECT packet (RFC 6040 4.2). */
    TUNNELCAP_E_LOOP = -113,        /**< The inner destination is the encapsulator itself. */
    TUNNELCAP_E_PADDING = -114,     /**< ESP padding that RFC 4303 2.4 does not know. */
    TUNNELCAP_E_NO_ROUTE = -115,    /**< No route for the inner destination. */
    TUNNELCAP_E_REPLAY = -116,      /**< Seen before, or left of the replay window. */
    TUNNELCAP_E_DUMMY = -118,       /**< A dummy packet (RFC 4303 2.6), verified. */
    TUNNELCAP_E_IKE = -119,         /**< IKE behind a non-ESP marker: give it to the IKE daemon. */
    TUNNELCAP_E_NAT_KEEPALIVE = -120, /**< A NAT keepalive (RFC 3948 2.3). */
    TUNNELCAP_E_OVERLAP = -121,       /**< Fragments that overlap (RFC 5722). */
    TUNNELCAP_E_TINY_FRAGMENT = -122, /**< A fragment that hides its headers from filters. */
    TUNNELCAP_E_NO_ANSWER = -123,     /**< Must not be answered with an ICMP message. */
    TUNNELCAP_E_RATE_LIMITED = -124,  /**< An ICMP error too soon after others. */
    TUNNELCAP_E_ICMP = -125, /**< No ICMP error about a packet of ours, or no plausible one. */
    TUNNELCAP_E_ENCAP_LIMIT = -126, /**< May enter no more tunnels (RFC 2473 4.1.1). */
    TUNNELCAP_E_TTL = -127,         /**< TTL or hop limit is used up. */
    TUNNELCAP_E_SPOOFED = -128,     /**< The inner source does not belong to the tunnel. */
    TUNNELCAP_E_MARTIAN = -129,     /**< An inner address that may not travel (RFC 1812 5.3.7). */
    TUNNELCAP_E_SELECTOR = -130     /**< No selector of the SA permits it (RFC 4301 5.2). */
};

/** -2xx: give room, or send a smaller packet. */
enum {
    TUNNELCAP_E_HEADROOM = -201, /**< Fewer bytes before the packet than `_headroom` asks for. */
    TUNNELCAP_E_TAILROOM = -202, /**< Fewer bytes behind the packet than needed. */
    TUNNELCAP_E_TOO_BIG = -203,  /**< Larger than the tunnel's inner MTU, or than IP allows. */
    TUNNELCAP_E_FULL = -204      /**< No free slot left in a structure of fixed capacity. */
};

/** -3xx: make a new security association. */
enum {
    TUNNELCAP_E_SEQ_EXHAUSTED = -301, /**< Sequence numbers or IVs are used up. */
    TUNNELCAP_E_EXPIRED = -302,       /**< A hard lifetime is reached, or the SA is dead. */
    TUNNELCAP_E_NEED_SA = -303,       /**< No security association: for this tunnel, or SPI. */
    TUNNELCAP_E_NOT_OWNER = -304      /**< Another server's: hand it on to that one. */
};

/** -4xx: the calling program (or its configuration) is wrong. */
enum {
    TUNNELCAP_E_INVALID = -401,     /**< NULL, misaligned or contradictory argument. */
    TUNNELCAP_E_VERSION = -402,     /**< Struct from a version that this library does not know. */
    TUNNELCAP_E_UNSUPPORTED = -403, /**< Not in this build, or not for this kind of object. */
    TUNNELCAP_E_NOMEM = -404,       /**< Memory too small, or the allocator refused. */
    TUNNELCAP_E_EXISTS = -405,      /**< Another tunnel already answers to the same packets. */
    TUNNELCAP_E_NOT_FOUND = -406,   /**< No such tunnel or route. */
    TUNNELCAP_E_STATE = -407,       /**< Not now: begin before set, commit before begin again. */
    TUNNELCAP_E_FLAGS = -408,       /**< Unknown flag, or flags that exclude each other. */
    TUNNELCAP_E_MODE = -409,        /**< A mode field holds a value out of its list. */
    TUNNELCAP_E_ADDRESS = -410,     /**< Address missing, unusable, or families differ. */
    TUNNELCAP_E_PORT = -411,        /**< UDP port out of range. */
    TUNNELCAP_E_RANGE = -412,       /**< A number is out of its documented range. */
    TUNNELCAP_E_RESERVED = -413,    /**< A reserved field is not zero. */
    TUNNELCAP_E_BUSY = -414,        /**< A lane still reads what is to be reused: call again. */
    TUNNELCAP_E_WEAK = -415,        /**< A weak or clear algorithm without opt-in. */
    TUNNELCAP_E_KEY = -416,         /**< A key or salt of a wrong length. */
    TUNNELCAP_E_TRANSFORM = -417,   /**< Unknown algorithm, or a combination that is none. */
    TUNNELCAP_E_NO_NONCE = -418     /**< Nobody says why nonces cannot repeat. */
};

/** -5xx: the crypto provider. */
enum {
    TUNNELCAP_E_CRYPTO = -501 /**< The provider failed, or gave a wrong answer. */
};

/** Classes of status, see tunnelcap_status_class(). */
enum {
    TUNNELCAP_CLASS_OK = 0,       /**< 0 or positive. */
    TUNNELCAP_CLASS_DROP = 1,     /**< -1xx */
    TUNNELCAP_CLASS_ROOM = 2,     /**< -2xx */
    TUNNELCAP_CLASS_REKEY = 3,    /**< -3xx */
    TUNNELCAP_CLASS_CALLER = 4,   /**< -4xx */
    TUNNELCAP_CLASS_PROVIDER = 5, /**< -5xx */
    TUNNELCAP_CLASS_UNKNOWN = 9   /**< Not a status of this version. */
};

/**
 * Name a status for metrics and logs, without the library's prefix.
 *
 * @param status  any number
 * @return a static string such as "OK" or "E_TRUNCATED"; "UNKNOWN" for a number that is no
 *         status; never NULL
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API const char *tunnelcap_status_name(int32_t status);

/**
 * Explain a status to a person, in one English sentence without full stop.
 *
 * @param status  any number
 * @return a static string; never NULL
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API const char *tunnelcap_status_text(int32_t status);

/**
 * Tell the class of a status, for code that decides by kind and not by reason.
 *
 * @param status  any number
 * @return one of ::TUNNELCAP_CLASS_OK ... ::TUNNELCAP_CLASS_UNKNOWN
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_status_class(int32_t status);

/**
 * List the statuses that exist: the way to iterate over metrics without a copied list.
 *
 * @param index  0, 1, 2, ... in a fixed order
 * @param status receives the status of that index; untouched when there is none
 * @retval TUNNELCAP_OK          *status is set
 * @retval TUNNELCAP_E_NOT_FOUND index is past the last status
 * @retval TUNNELCAP_E_INVALID   status is NULL
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_status_at(uint32_t index, int32_t *status);

#ifdef __cplusplus
}
#endif
#endif
