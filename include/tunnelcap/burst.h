/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/**
 * @file burst.h
 * Bursts of packets for the data path of a table: what goes in, and what became of it.
 */
#ifndef TUNNELCAP_BURST_H
#define TUNNELCAP_BURST_H

#include <tunnelcap/packet.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What the caller does with a packet that the data path has seen. */
enum {
    TUNNELCAP_DO_DROP = 0,    /**< Drop it; `status` says why. */
    TUNNELCAP_DO_SEND = 1,    /**< An outer packet: send it. */
    TUNNELCAP_DO_DELIVER = 2, /**< An inner packet: forward it; `value` is its EtherType. */
    TUNNELCAP_DO_REPLY = 3,   /**< An answer: send it back to where the packet came from. From
                                   tunnelcap_table_encap() it is an inner packet, from
                                   tunnelcap_table_decap() an outer one. */
    TUNNELCAP_DO_KEPT = 4,    /**< A fragment that was copied: its buffer is free. */
    TUNNELCAP_DO_LOCAL = 5,   /**< It was for us and is done with: its buffer is free. */
    TUNNELCAP_DO_FORWARD = 6, /**< Give it, unchanged, to the server that `value` names. */
    TUNNELCAP_DO_FETCH_SA = 7 /**< ESP of an SPI that is not known here, which stands in `value` and
                                   `spi`. Get its SA from where they are kept, if there is one; the
                                   packet is unchanged: keep it and try again then, or drop it. */
};

/** Flags of tunnelcap_result. */
enum {
    TUNNELCAP_RESULT_CLAMPED = 1,    /**< The MSS of this SYN was lowered or added. */
    TUNNELCAP_RESULT_PEER_MOVED = 2, /**< ESP: verified, and from another address or port than
                                          the last packet of this SA. */
    TUNNELCAP_RESULT_REKEY = 4,      /**< ESP: a soft limit of the SA is reached. */
    TUNNELCAP_RESULT_SPARE = 0x8000  /**< `index` counts in the burst's spare packets. */
};

/** What became of one packet of a burst. */
typedef struct tunnelcap_result {
    uint64_t tunnel;  /**< Id of the tunnel, 0 if none was found. */
    int32_t status;   /**< Why. */
    uint32_t value;   /**< EtherType when delivered (0: a keepalive that came back), inner MTU
                           when too big, the server where to forward, the SPI where to fetch,
                           else 0. */
    uint16_t index;   /**< Which packet of the burst, or which spare where flagged. */
    uint16_t flags;   /**< TUNNELCAP_RESULT_ flags. */
    uint8_t action;   /**< TUNNELCAP_DO_ */
    uint8_t l3_len;   /**< Bytes of IP header with options and extension headers that the
                           packet now begins with; 0 if it is dropped, is not IP, or they
                           exceed 255. */
    uint8_t l4_len;   /**< Bytes of UDP header behind it, if it is sent in UDP. */
    uint8_t reserved; /**< Zero. */
    uint32_t vrf;     /**< Routing instance where the packet goes on. */
    uint32_t spi;     /**< ESP: the SA's, also of one that is not known here. */
} tunnelcap_result;

/** A burst of packets for the data path. */
typedef struct tunnelcap_burst {
    uint32_t size;              /**< sizeof(tunnelcap_burst) of the caller. */
    uint32_t flags;             /**< Zero. */
    uint64_t now_ns;            /**< The caller's clock. */
    uint32_t pkt_count;         /**< Packets, at most 65535. */
    uint32_t pkt_done;          /**< Out: packets consumed. */
    uint32_t spare_count;       /**< Spare buffers for packets that are made anew. */
    uint32_t spare_used;        /**< Out: spare buffers that hold packets now. */
    uint32_t result_cap;        /**< Room at `results`. */
    uint32_t result_count;      /**< Out: results. */
    uint32_t meta_stride;       /**< Bytes from one meta to the next; 0 uses the first for all. */
    uint32_t reserved;          /**< Zero. */
    tunnelcap_pkt *pkts;        /**< Packets; changed in place. */
    const tunnelcap_meta *meta; /**< What they came with, or NULL. */
    tunnelcap_pkt *spare;       /**< Spare buffers, or NULL: `buf` and `cap` are given, and in `off`
                                     the headroom that a packet in it will need. */
    tunnelcap_result *results;  /**< Receives one result for each packet consumed, in order, and
                                     behind it one for each spare that was filled from it. */
} tunnelcap_burst;

#ifdef __cplusplus
}
#endif
#endif
