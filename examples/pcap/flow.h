/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * What the headers of an IP packet say of its flow.
 */
#ifndef PCAP_FLOW_H
#define PCAP_FLOW_H

#include <stdbool.h>
#include <stdint.h>
#include <tunnelcap/tunnelcap.h>

struct flow {
    tunnelcap_addr src;
    tunnelcap_addr dst;
    uint32_t len; /* of the packet, as its header says */
    uint16_t src_port;
    uint16_t dst_port;
    uint8_t protocol;  /* behind extension headers */
    uint8_t tcp_flags; /* CWR, ECE, URG, ACK, PSH, RST, SYN, FIN */
    bool has_ports;    /* TCP, UDP, SCTP, DCCP, UDP-Lite, not of a later fragment */
    bool is_tcp;       /* `tcp_flags` is set */
    bool is_fragment;
};

/* Read a packet of which `len` bytes are there, perhaps not all. False if it is not IP, or not
 * even its first header is whole. */
bool flow_read(const uint8_t *packet, uint32_t len, struct flow *flow);

#endif
