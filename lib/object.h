/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* What all objects have in common: layout in one block of memory, versioned configurations,
 * and the two doors `_init` and `_new`. */
#ifndef TUNNELCAP_I_OBJECT_H
#define TUNNELCAP_I_OBJECT_H

#include <tunnelcap/packet.h>

/* Every object and every part of one begins at a multiple of this, a cache line. */
enum { TUNNELCAP_I_ALIGN = 64 };

/* Lays parts out one behind the other. `size` is SIZE_MAX once anything has overflowed. */
typedef struct tunnelcap_i_layout {
    uint8_t *base; /* NULL while only sizes are wanted */
    size_t size;
} tunnelcap_i_layout;

/* Place count elements of `bytes` bytes; NULL when base is NULL or on overflow. */
void *tunnelcap_i_layout_add(tunnelcap_i_layout *layout, size_t count, size_t bytes);

/* First member of an object: how to take it apart again. What a table holds many of has none, and
 * stands behind one where it is an object of its own. */
typedef struct tunnelcap_i_owner {
    tunnelcap_alloc alloc; /* release is NULL for an object in the caller's memory */
    size_t bytes;
} tunnelcap_i_owner;

/* Check what `_init` was given as memory. */
int32_t tunnelcap_i_memory_check(const void *mem, size_t mem_size, size_t need);

/* Get aligned memory for `_new`; *owner tells what to store in the object after `_init`. */
int32_t tunnelcap_i_memory_get(size_t bytes, const tunnelcap_alloc *alloc, void **mem,
                               tunnelcap_i_owner *owner);

/* The owner that an object stands behind, and room for both. */
static inline tunnelcap_i_owner *tunnelcap_i_owner_of(const void *object)
{
    return (tunnelcap_i_owner *)(uintptr_t)object - 1;
}

static inline void *tunnelcap_i_layout_owned(tunnelcap_i_layout *layout, size_t bytes)
{
    tunnelcap_i_owner *owner =
        (tunnelcap_i_owner *)tunnelcap_i_layout_add(layout, 1, sizeof(tunnelcap_i_owner) + bytes);

    return owner == NULL ? NULL : owner + 1;
}

/* Wipe an object and, if it came from an allocator, give its memory back. */
void tunnelcap_i_memory_end(void *object);

/* Write defaults into a caller's struct of `size` bytes whose first field is its size. */
int32_t tunnelcap_i_struct_init(void *caller, uint32_t size, const void *defaults, uint32_t known,
                                uint32_t oldest);

/* Read a caller's struct into *own, which holds the defaults for what an older caller lacks.
 * A newer caller's struct passes as long as what we do not know is zero. */
int32_t tunnelcap_i_struct_read(void *own, uint32_t known, uint32_t oldest, const void *caller);

/* 1 if n bytes are all zero. */
uint32_t tunnelcap_i_is_zero(const void *mem, size_t n);

#endif
