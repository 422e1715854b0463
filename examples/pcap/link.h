/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Where the IP packet of a captured frame begins, by link type.
 */
#ifndef PCAP_LINK_H
#define PCAP_LINK_H

#include <stdbool.h>
#include <stdint.h>

/* What a frame holds behind its link layer. */
struct link_view {
    uint32_t offset;   /* of the IP header from the frame's first byte */
    uint8_t version;   /* 4 or 6; 0: no IP packet, and offset is 0 */
    uint8_t vlan_tags; /* 802.1Q and 802.1ad tags before it */
};

/* Tell whether frames of a libpcap link type can be read. */
bool link_supported(int dlt);

/* The link type to write frames of a readable link type with. */
int link_savefile(int dlt);

/* Look behind the link layer of a frame of which len bytes were captured. */
struct link_view link_look(int dlt, const uint8_t *frame, uint32_t len);

/* The length that an IP header claims for its packet, headers included; 0 if it cannot be read. */
uint32_t link_ip_length(const uint8_t *packet, uint32_t len);

#endif
