/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * What the decapsulation targets share: the choice of how an outer packet arrives, and what must
 * hold of it afterwards.
 */
#ifndef TUNNELCAP_TESTS_OUTER_INPUT_H
#define TUNNELCAP_TESTS_OUTER_INPUT_H

#include "fuzz.h"
#include "reference.h"

/* How a packet arrives; chosen by the six bytes
 * `arrival, repairs, tos, protocol, headroom, tailroom` of an input. */
struct outer_input {
    bool ipv6;
    bool has_meta;
    tunnelcap_meta meta;
    unsigned repairs;
    uint32_t head, tail;
    uint32_t dscp_mode;
};

/* Bits of `arrival`; from bit 4 on it is meta.at, where 3 is unknown. */
enum {
    ARRIVAL_IPV6 = 1,
    ARRIVAL_META = 2,
    ARRIVAL_CSUM_VALID = 4,
    ARRIVAL_TOS_VALID = 8,
    ARRIVAL_UNIFORM = 0x40
};

void outer_input_read(struct fuzz_input *in, struct outer_input *input);

const tunnelcap_meta *outer_input_meta(const struct outer_input *input);

/* Configure the tunnel's outer header: from fuzz_local() to fuzz_remote(). */
void outer_input_config(const struct outer_input *input, tunnelcap_outer *outer);

/* Put the rest of the input into a packet of its exact size, repaired as the input asks. */
void outer_input_packet(const struct outer_input *input, const struct fuzz_input *rest,
                        struct fuzz_packet *packet);

/* What must become of a payload. */
struct expected_inner {
    bool accepted;
    uint32_t ip_at; /* offset of its IP header, whose TOS may change; UINT32_MAX if none */
    uint32_t tos;   /* the TOS that the header must then have */
};

struct expected_inner outer_input_inner(const struct outer_input *input, const uint8_t *inner,
                                        size_t len, uint32_t ethertype,
                                        const struct reference_outer *outer);

/* Check a packet that was unwrapped: its window is `at, len` of the packet before, and nothing
 * but TOS and checksum of the inner IP header differs. */
void outer_input_check_unwrapped(const struct fuzz_packet *packet, uint32_t at, uint32_t len,
                                 const struct expected_inner *inner);

#endif
