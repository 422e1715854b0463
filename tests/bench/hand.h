/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Hand-written loops to measure the library against: what a program would hold that knows only
 * one kind of tunnel, with the checks that the library documents.
 *
 * Rules of fairness. Every check of the public headers is made. Common packets (IPv4 without
 * options inside, the expected GRE flags) go straight through; all others take a path out of
 * line. What is constant for a tunnel comes from a template or from the compiler: each loop is
 * compiled for its own set of options. What a loop leaves out, the bench never sends: partial
 * checksums, GSO and packets without an IP header (struct tunnelcap_meta), payloads other than
 * IP, the order of sequence numbers.
 */
#ifndef TUNNELCAP_BENCH_HAND_H
#define TUNNELCAP_BENCH_HAND_H

#include <stdatomic.h>
#include <string.h>

#include <tunnelcap/tunnelcap.h>

/* One tunnel of any kind. */
struct hand_tunnel {
    uint8_t header[64]; /* template of all outer headers */
    uint32_t sum;       /* IPv4: of all header fields that are the same in all packets */
    uint32_t pseudo;    /* sum of the addresses and UDP's number */
    uint32_t key_in;
    uint8_t peer[32]; /* addresses of what comes in: remote, local */
    uint64_t hash_key;
    _Atomic uint32_t seq;
    uint16_t udp_port;
};

void hand_init_gre(struct hand_tunnel *tunnel, const tunnelcap_gre_config *config);
void hand_init_ipip(struct hand_tunnel *tunnel, const tunnelcap_ipip_config *config);

/* All loops set the status of each packet and return how many are accepted. */
typedef uint32_t hand_encap(struct hand_tunnel *tunnel, tunnelcap_pkt *pkts, uint32_t count);
typedef uint32_t hand_decap(struct hand_tunnel *tunnel, tunnelcap_pkt *pkts, tunnelcap_gre_rx *rx,
                            uint32_t count);

hand_encap hand_encap_gre4, hand_encap_gre4_key, hand_encap_gre4_key_seq, hand_encap_gre4_csum,
    hand_encap_gre4_udp, hand_encap_gre4_udp_zero, hand_encap_gre6, hand_encap_ipip4;
hand_decap hand_decap_gre4, hand_decap_gre4_key, hand_decap_gre4_key_seq, hand_decap_gre4_csum,
    hand_decap_gre4_udp, hand_decap_gre6, hand_decap_ipip4;

/* Clamp to limits of both families, inserting nothing; returns how many were changed. */
uint32_t hand_clamp(uint16_t limit4, uint16_t limit6, tunnelcap_pkt *pkts, uint32_t count);

/* The Internet checksum's sum, eight bytes at a time: the bare pass of the bench. */
uint16_t hand_sum(const uint8_t *p, size_t len);

/* Loads and stores in wire order; compilers make single instructions of them. */
static inline uint32_t hand_load16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t hand_load32(const uint8_t *p)
{
    return hand_load16(p) << 16 | hand_load16(p + 2);
}

static inline void hand_store16(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

static inline void hand_store32(uint8_t *p, uint32_t value)
{
    hand_store16(p, value >> 16);
    hand_store16(p + 2, value);
}

/* Bytes as they lie in memory, to compare, copy and sum. */
static inline uint32_t hand_raw32(const uint8_t *p)
{
    uint32_t word;

    memcpy(&word, p, sizeof(word));
    return word;
}

static inline uint64_t hand_raw64(const uint8_t *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof(word));
    return word;
}

static inline uint32_t hand_fold(uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    return (sum & 0xffff) + (sum >> 16);
}

/* Fold a sum of words of the machine's own order to 16 bits, still in that order. */
static inline uint32_t hand_fold64(uint64_t sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffffffff) + (sum >> 32);
    return hand_fold((uint32_t)(sum & 0xffff) + (uint32_t)(sum >> 16));
}

static inline uint64_t hand_add_carry(uint64_t sum, uint64_t word)
{
    sum += word;
    return sum + (sum < word);
}

/* Is the window inside the buffer? */
static inline int hand_window(const tunnelcap_pkt *pkt)
{
    return pkt->buf != NULL && pkt->off <= pkt->cap && pkt->len <= pkt->cap - pkt->off;
}

#endif
