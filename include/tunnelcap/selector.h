/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/**
 * @file selector.h
 * Traffic selectors: which packets a security association (SA) is for. RFC 4301 4.4.1.1 and 5.2,
 * in the form that IKEv2 negotiates them, RFC 7296 3.13.1.
 *
 * An SA has several; a packet must match one of them. A selector has a direction, that of the
 * packets: for an inbound SA the source is the far end's side, for an outbound one it is ours.
 */
#ifndef TUNNELCAP_SELECTOR_H
#define TUNNELCAP_SELECTOR_H

#include <tunnelcap/packet.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Ranges of addresses, a protocol, ranges of ports. Ends belong to their ranges.
 *
 * Ports `first` to `last` match a packet in which the port can be seen and is one of them. Two
 * pairs mean more: 0 to 65535 is ANY and matches what cannot be seen, too; 65535 to 0 is OPAQUE and
 * matches only that. What can be seen:
 *
 * | packet                                              | source port    | destination port    |
 * |-----------------------------------------------------|----------------|---------------------|
 * | TCP, UDP, SCTP, DCCP, UDP-Lite                      | its own        | its own             |
 * | ICMP, ICMPv6                                        | 256*type+code  | not looked at       |
 * | Mobility Header                                     | 256*type       | not looked at       |
 * | any other protocol; a fragment but the first        | cannot be seen | cannot be seen      |
 *
 * The type of an ICMP message is compared with the source port, which is that of its sender's side
 * (RFC 4301 4.4.1.3). A packet too short to hold the ports that it should have matches ANY alone.
 *
 * Frozen for all of 1.x: 80 bytes.
 */
typedef struct tunnelcap_selector {
    uint8_t src_first[16];   /**< First source address, wire order; IPv4 in the first four. */
    uint8_t src_last[16];    /**< Last source address. */
    uint8_t dst_first[16];   /**< First destination address. */
    uint8_t dst_last[16];    /**< Last destination address. */
    uint16_t src_port_first; /**< First source port. */
    uint16_t src_port_last;  /**< Last source port. */
    uint16_t dst_port_first; /**< First destination port. */
    uint16_t dst_port_last;  /**< Last destination port. */
    uint8_t family;          /**< ::TUNNELCAP_IPV4 or ::TUNNELCAP_IPV6. */
    uint8_t protocol;        /**< IP protocol behind extension headers; 0: any. */
    uint8_t reserved[6];     /**< Zero. */
} tunnelcap_selector;

/**
 * Fill a selector that all packets of a family match: any address, protocol and port.
 *
 * @param selector receives it; untouched on failure
 * @param family   ::TUNNELCAP_IPV4 or ::TUNNELCAP_IPV6
 * @retval TUNNELCAP_OK        filled
 * @retval TUNNELCAP_E_INVALID selector is NULL
 * @retval TUNNELCAP_E_ADDRESS no such family
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_selector_init(tunnelcap_selector *selector, uint32_t family);

/**
 * Tell whether selectors mean something.
 *
 * @param selectors selectors
 * @param count     how many, at least 1
 * @retval TUNNELCAP_OK         they do
 * @retval TUNNELCAP_E_INVALID  selectors is NULL or count 0
 * @retval TUNNELCAP_E_ADDRESS  no family, a last address before the first one, or bytes set that
 *                              the family does not use
 * @retval TUNNELCAP_E_RANGE    a last port before the first one that is not OPAQUE, or ports other
 *                              than ANY and OPAQUE of a protocol that has none, or of any protocol
 * @retval TUNNELCAP_E_RESERVED a reserved byte is not zero
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_selector_check(const tunnelcap_selector *selectors, uint32_t count);

/**
 * Tell whether an IP packet matches one of several selectors.
 *
 * @param selectors selectors that tunnelcap_selector_check() has found good
 * @param count     how many
 * @param pkt       an IP packet; may be followed by padding; not changed
 * @retval TUNNELCAP_OK          it does
 * @retval TUNNELCAP_E_SELECTOR  it matches none of them
 * @retval TUNNELCAP_E_INVALID   a pointer is NULL, or the window is not inside the buffer
 * @retval TUNNELCAP_E_TRUNCATED shorter than its IP header says, or than its extension headers
 * @retval TUNNELCAP_E_MALFORMED not IP, or a bad header
 *
 * Threads  any
 * Cost     in proportion to the selectors before the one that matches
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_selector_match(const tunnelcap_selector *selectors, uint32_t count,
                                               const tunnelcap_pkt *pkt);

#ifdef __cplusplus
}
#endif
#endif
