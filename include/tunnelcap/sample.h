/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/**
 * @file sample.h
 * Records of packets that a lane picks at random, 1 in N, for whoever looks at traffic.
 *
 * The lane's packets fall into rows of N, and of each row one is picked, at a place that nobody can
 * predict: each packet is in with a chance of exactly 1 / N, whatever rhythm the traffic has. A
 * record tells the N that it was picked at, and stands for so many packets: sums of `rate` estimate
 * packets, sums of `rate * inner_bytes` bytes, without bias. Where N adapts to a target of records
 * a second, it does so by packets counted, not by packets picked, so that this stays true.
 */
#ifndef TUNNELCAP_SAMPLE_H
#define TUNNELCAP_SAMPLE_H

#include <tunnelcap/lane.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Flags of tunnelcap_sample. */
enum {
    TUNNELCAP_SAMPLE_FRAGMENT = 1, /**< A fragment; ports only if it is the first one. */
    TUNNELCAP_SAMPLE_OUTER = 2     /**< Addresses, protocol, ports are those of the outer packet:
                                        it was not unwrapped. */
};

/** A packet that was picked. */
typedef struct tunnelcap_sample {
    uint64_t now_ns;      /**< The clock of its burst. */
    uint64_t tunnel;      /**< Id of the tunnel, 0 if none was found. */
    int32_t status;       /**< What became of it, as in its tunnelcap_result. */
    uint32_t rate;        /**< N: it stands for so many packets. */
    uint32_t inner_bytes; /**< Bytes of the inner packet; 0 if it was not unwrapped. */
    uint32_t outer_bytes; /**< Bytes of the outer packet, or of the sum of its fragments; 0 if none
                               was made. */
    uint8_t src[16];      /**< Source address, wire order; IPv4 in the first four bytes. */
    uint8_t dst[16];      /**< Destination address. */
    uint16_t src_port;    /**< Of TCP, UDP, SCTP; else 0. */
    uint16_t dst_port;    /**< The same. */
    uint8_t direction;    /**< ::TUNNELCAP_ENCAP or ::TUNNELCAP_DECAP, of tunnel.h. */
    uint8_t action;       /**< TUNNELCAP_DO_ of burst.h. */
    uint8_t family;       /**< ::TUNNELCAP_IPV4, ::TUNNELCAP_IPV6, or 0: not IP, or malformed. */
    uint8_t protocol;     /**< Protocol behind IP headers. */
    uint8_t tcp_flags;    /**< TCP: the byte of flags, FIN 1 to CWR 128. */
    uint8_t flags;        /**< TUNNELCAP_SAMPLE_ flags. */
    uint8_t reserved[6];  /**< Zero. */
} tunnelcap_sample;

/**
 * Take records off a lane's ring, in the order of their packets. What finds the ring full is lost,
 * and counted.
 *
 * @param lane    a lane
 * @param samples receives up to cap records
 * @param cap     room at samples
 * @param lost    receives how many records of this lane were lost so far, or NULL
 * @return how many records were taken; 0 if lane is NULL, or samples is
 *
 * Threads  one at a time for each lane, while the lane's thread works on
 * @since 1.0
 */
TUNNELCAP_API uint32_t tunnelcap_lane_samples(tunnelcap_lane *lane, tunnelcap_sample *samples,
                                              uint32_t cap, uint64_t *lost);

#ifdef __cplusplus
}
#endif
#endif
