/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The inside of a GRE tunnel, for the table, which places tunnels in memory of its own. */
#ifndef TUNNELCAP_I_GRE_H
#define TUNNELCAP_I_GRE_H

#include <tunnelcap/gre.h>

#include "atomic.h"
#include "gre_header.h"
#include "outer.h"

/* Stands beside the last number accepted, in one word with it, so that no lane sees one without
 * the other. */
#define TUNNELCAP_I_SEQ_SEEN ((uint64_t)1 << 32)

/* A flag beside the caller's: the table sends and receives these packets in ESP alone. */
enum { TUNNELCAP_I_GRE_IN_ESP = 0x8000 };

/* What changes while a tunnel works. Outlives a replacement of its configuration. */
typedef struct tunnelcap_i_gre_state {
    tunnelcap_i_atomic64 seq_in;  /* last accepted, with TUNNELCAP_I_SEQ_SEEN; 0: none yet */
    tunnelcap_i_atomic32 seq_out; /* next to send */
} tunnelcap_i_gre_state;

struct tunnelcap_gre {
    tunnelcap_i_outer outer;
    tunnelcap_i_gre_state *state;
    uint32_t key_in;
    uint16_t flags; /* TUNNELCAP_GRE_ */
    uint16_t protocol;
    uint16_t udp_port;
    uint16_t udp_src_port; /* 0: by flow hash */
    uint16_t rx_plain;     /* what decap_plain() tells of flags in tunnelcap_gre_rx */
    uint8_t gre_at;        /* offset of the GRE header in the template */
    uint8_t plain;         /* 1: no UDP, checksum or sequence number to send */
    uint8_t plain_in;      /* length of the headers that decap_plain() takes; 0: none */
    uint8_t gre_in_at;     /* offset of the GRE header among them */
    uint8_t gre_in[4];     /* the GRE flags and protocol that it takes */
};

/* Build a tunnel from the caller's configuration; *gre is unspecified on failure. `state` is
 * reset when it is to be fresh. */
int32_t tunnelcap_i_gre_place(tunnelcap_gre *gre, const tunnelcap_gre_config *config,
                              tunnelcap_i_gre_state *state, uint32_t fresh);

/* One packet of tunnelcap_gre_encap() and of tunnelcap_gre_decap(); its window is valid. */
int32_t tunnelcap_i_gre_encap(tunnelcap_gre *gre, tunnelcap_lane *lane, tunnelcap_pkt *pkt,
                              const tunnelcap_meta *meta);
int32_t tunnelcap_i_gre_decap(tunnelcap_gre *gre, tunnelcap_pkt *pkt, const tunnelcap_meta *meta,
                              tunnelcap_gre_rx *rx);

#endif
