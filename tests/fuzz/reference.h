/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * A second, slow and straightforward reading of the RFCs, to compare the library with. It shares
 * no code with it; where it says no, the library must refuse, and where it says yes, accept.
 */
#ifndef TUNNELCAP_TESTS_REFERENCE_H
#define TUNNELCAP_TESTS_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tunnelcap/tunnelcap.h>

uint32_t reference_load16(const uint8_t *p);
uint32_t reference_load32(const uint8_t *p);
void reference_store16(uint8_t *p, uint32_t value);

/* Ones' complement sum, word by word, on top of `sum`; folded to 1..65535 (0 only if all is 0). */
uint32_t reference_sum(const uint8_t *p, size_t len, uint32_t sum);

/* Sum of a pseudo-header; the addresses lie one behind the other. */
uint32_t reference_pseudo(const uint8_t *addresses, uint32_t address_len, uint32_t protocol,
                          uint32_t len);

/* What an IP header says. Offsets are from its first byte. */
struct reference_ip {
    uint32_t version;
    uint32_t upper;    /* offset of what follows all IP headers */
    uint32_t end;      /* offset of the packet's end by its length field */
    uint32_t protocol; /* of what follows */
    uint32_t tos;
    bool fragment;   /* one of several */
    bool first;      /* not a fragment, or the first one */
    bool in_transit; /* a routing header names a next stop */
    uint32_t address_len;
    const uint8_t *addresses; /* source, then destination */
};

/* Read the IP header at p; `len` bytes are there. The packet itself may be cut off, its headers
 * must be whole. False if it is no good. */
bool reference_ip_parse(const uint8_t *p, size_t len, struct reference_ip *ip);

/* What a decapsulator is to demand of an outer packet. */
struct reference_tunnel {
    tunnelcap_addr local, remote;
    bool udp, udp_zero_checksum;
    uint32_t udp_port;
};

/* An outer packet up to its tunnel header. */
struct reference_outer {
    uint32_t protocol;   /* 47 also in UDP */
    uint32_t begin, end; /* offsets of the tunnel header and of the end */
    bool tos_known;
    uint32_t tos;
};

/* Check an outer packet against a tunnel; meta may be NULL. False: it must be refused. */
bool reference_outer_parse(const struct reference_tunnel *tunnel, const uint8_t *p, size_t len,
                           const tunnelcap_meta *meta, struct reference_outer *outer);

/* A GRE header (RFC 2784, 2890). */
struct reference_gre {
    bool has_checksum, has_key, has_seq;
    uint32_t key, seq, protocol;
    uint32_t len; /* bytes of the header */
};

/* Read the GRE header of `len` bytes of header and payload, and verify its checksum. */
bool reference_gre_parse(const uint8_t *p, size_t len, struct reference_gre *gre);

/* Are these bytes a whole IP packet of this version, perhaps with bytes behind it? */
bool reference_inner_whole(const uint8_t *p, size_t len, uint32_t version);

/* Offset of the IP header in a payload of this EtherType: 0 for IP, behind Ethernet header and
 * VLAN tags for a frame; UINT32_MAX if there is none. */
uint32_t reference_find_ip(const uint8_t *p, size_t len, uint32_t ethertype);

/* Does an IP header stand here whose fixed part makes sense? What follows it may be cut off. */
bool reference_header_sane(const uint8_t *p, size_t len);

/* RFC 6040 4.2: the inner ECN after decapsulation, or -1 to drop. */
int reference_ecn(uint32_t inner, uint32_t outer);

/* TOS or traffic class of the whole IP packet at p. */
uint32_t reference_tos(const uint8_t *p);

/* Put right what a random input seldom gets right, where it is there. */
enum {
    REPAIR_ADDRESSES = 1,     /* outer addresses: from the remote to the local end */
    REPAIR_LENGTH = 2,        /* the outer IP length covers all that is there */
    REPAIR_UDP = 4,           /* UDP length and checksum */
    REPAIR_GRE_CHECKSUM = 8,  /* GRE checksum */
    REPAIR_IPV4_CHECKSUM = 16 /* outer IPv4 header checksum */
};
void reference_repair(uint8_t *p, size_t len, unsigned repairs, const tunnelcap_addr *from,
                      const tunnelcap_addr *to);

/* The Tunnel Encapsulation Limit (RFC 2473 4.1.1) in the options of an IPv6 packet whose headers
 * are whole, or -1. */
int reference_limit(const uint8_t *p, size_t len);

/* TTL or hop limit of the whole IP packet at p. */
uint32_t reference_ttl(const uint8_t *p);

/* Store a TTL as reference_set_tos() stores a TOS. */
void reference_set_ttl(uint8_t *p, uint32_t ttl);

/* Store a TOS in the IP packet at p, keeping the IPv4 header checksum as right as it was. */
void reference_set_tos(uint8_t *p, uint32_t tos);

#endif
