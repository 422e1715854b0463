/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Elements of an array by the place of their tunnel: a list for each place that has some. Memory
 * goes by the number of elements, not of places; all indices are + 1, and 0 means none. */
#ifndef TUNNELCAP_I_BY_PLACE_H
#define TUNNELCAP_I_BY_PLACE_H

#include "object.h"

/* Part of each element. The first of a list has no previous one: there is the first of the next
 * place in the hash instead. */
typedef struct tunnelcap_i_of_place {
    uint32_t place;
    uint32_t next;
    uint32_t prev;
} tunnelcap_i_of_place;

typedef struct tunnelcap_i_by_place {
    uint32_t *first; /* hash of places */
    uint8_t *links;  /* of the first element */
    size_t stride;   /* from one element's to the next one's */
    uint32_t mask;
    uint32_t zero;
} tunnelcap_i_by_place;

/* Place the hash, whose memory must be zero, for so many elements; `links` and `stride` are left to
 * the caller. */
void tunnelcap_i_by_place_lay_out(tunnelcap_i_layout *layout, uint32_t elements,
                                  tunnelcap_i_by_place *b);

static inline tunnelcap_i_of_place *tunnelcap_i_by_place_at(const tunnelcap_i_by_place *b,
                                                            uint32_t index)
{
    return (tunnelcap_i_of_place *)(void *)(b->links + (size_t)(index - 1) * b->stride);
}

/* The first of a place's list. */
uint32_t tunnelcap_i_by_place_first(const tunnelcap_i_by_place *b, uint32_t place);

/* Add an element whose `place` is set, and take it out. */
void tunnelcap_i_by_place_add(const tunnelcap_i_by_place *b, uint32_t index);
void tunnelcap_i_by_place_remove(const tunnelcap_i_by_place *b, uint32_t index);

#endif
