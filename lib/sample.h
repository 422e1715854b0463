/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Which packets of a lane are picked, and what a record says of one.
 *
 * Implementation notes. One packet of each row of `rate` is picked, at a place drawn for the row.
 * A row may be cut short and another one begun at any time that does not depend on that place: then
 * the chance of each packet is still 1 / rate. So the rate is changed by what packets are counted,
 * never by what was picked. */
#ifndef TUNNELCAP_I_SAMPLE_H
#define TUNNELCAP_I_SAMPLE_H

#include <tunnelcap/sample.h>

#include "flow.h"
#include "ring.h"

enum { TUNNELCAP_I_SAMPLE_RATE_MAX = 1 << 20 };

/* What is noted of a packet until its result is written. */
typedef struct tunnelcap_i_sample_note {
    uint32_t index;  /* of the packet */
    uint32_t result; /* its result is this one, or stands before */
    uint32_t off;    /* where its window was */
    uint32_t outer_bytes;
} tunnelcap_i_sample_note;

typedef struct tunnelcap_i_sampler {
    tunnelcap_sample *slots;
    tunnelcap_i_sample_note *notes; /* by slot */
    tunnelcap_i_ring ring;
    tunnelcap_i_flow_key key;
    uint64_t draws;
    uint64_t window_ns; /* when packets began to be counted, */
    uint64_t packets;   /* and how many there were */
    uint32_t target;    /* records in a second; 0: the rate is fixed */
    uint32_t rate;      /* 0: none are picked */
    uint32_t place;     /* in its row, of the packet that is picked next */
    uint32_t gap;       /* packets until then; UINT32_MAX: never */
    uint32_t behind;    /* position behind the records that are begun */
    uint32_t picked;    /* index of the last packet that was picked in this call, */
    uint32_t before;    /* and what `place` was then */
    uint32_t is_begun;  /* packets are counted */
} tunnelcap_i_sampler;

/* Begin to pick 1 in `rate`, its slots and notes laid out. */
void tunnelcap_i_sampler_init(tunnelcap_i_sampler *s, tunnelcap_i_flow_key key, uint32_t slots,
                              uint32_t rate, uint32_t target);

/* A packet has been picked: packets until the next one. */
uint32_t tunnelcap_i_sampler_next(tunnelcap_i_sampler *s);

/* Packets have passed: let the rate follow their number. */
void tunnelcap_i_sampler_adapt(tunnelcap_i_sampler *s, uint64_t now_ns, uint32_t packets);

/* Describe an IP packet in a record. */
void tunnelcap_i_sample_read(tunnelcap_sample *sample, const uint8_t *p, uint32_t len);

#endif
