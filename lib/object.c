/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "object.h"

#include <string.h>

#include "secure.h"

#ifndef TUNNELCAP_FREESTANDING
#include <stdlib.h>
#endif

void *tunnelcap_i_layout_add(tunnelcap_i_layout *layout, size_t count, size_t bytes)
{
    size_t at = layout->size;
    size_t total;

    if (at == SIZE_MAX)
        return NULL;
    if (bytes != 0 && count > (SIZE_MAX / 2) / bytes) {
        layout->size = SIZE_MAX;
        return NULL;
    }
    total = (count * bytes + TUNNELCAP_I_ALIGN - 1) & ~(size_t)(TUNNELCAP_I_ALIGN - 1);
    if (total > SIZE_MAX / 2 - at) {
        layout->size = SIZE_MAX;
        return NULL;
    }
    layout->size = at + total;
    return layout->base == NULL ? NULL : layout->base + at;
}

int32_t tunnelcap_i_memory_check(const void *mem, size_t mem_size, size_t need)
{
    if (mem == NULL || (uintptr_t)mem % TUNNELCAP_I_ALIGN != 0)
        return TUNNELCAP_E_INVALID;
    if (mem_size < need)
        return TUNNELCAP_E_NOMEM;
    return TUNNELCAP_OK;
}

#ifndef TUNNELCAP_FREESTANDING
/* malloc with any alignment, in C99: the block's true start stands right before it. */
static void *heap_alloc(void *arg, size_t bytes, size_t align)
{
    uint8_t *block;
    uint8_t *mem;

    (void)arg;
    if (bytes > SIZE_MAX - align - sizeof(block))
        return NULL;
    block = malloc(bytes + align + sizeof(block));
    if (block == NULL)
        return NULL;
    mem = block + sizeof(block);
    mem += (align - (uintptr_t)mem % align) % align;
    memcpy(mem - sizeof(block), &block, sizeof(block));
    return mem;
}

static void heap_release(void *arg, void *mem, size_t bytes)
{
    uint8_t *block;

    (void)arg;
    (void)bytes;
    memcpy(&block, (uint8_t *)mem - sizeof(block), sizeof(block));
    free(block);
}
#endif

int32_t tunnelcap_i_memory_get(size_t bytes, const tunnelcap_alloc *alloc, void **mem,
                               tunnelcap_i_owner *owner)
{
    tunnelcap_i_owner own = {{sizeof(tunnelcap_alloc), 0, NULL, NULL, NULL}, bytes};
    int32_t status;

    if (alloc != NULL) {
        status = tunnelcap_i_struct_read(&own.alloc, sizeof(own.alloc), sizeof(own.alloc), alloc);
        if (status != TUNNELCAP_OK)
            return status;
        if (own.alloc.reserved != 0)
            return TUNNELCAP_E_RESERVED;
        if (own.alloc.alloc == NULL || own.alloc.release == NULL)
            return TUNNELCAP_E_INVALID;
    } else {
#ifdef TUNNELCAP_FREESTANDING
        return TUNNELCAP_E_UNSUPPORTED;
#else
        own.alloc.alloc = heap_alloc;
        own.alloc.release = heap_release;
#endif
    }
    *mem = own.alloc.alloc(own.alloc.arg, bytes, TUNNELCAP_I_ALIGN);
    if (*mem == NULL)
        return TUNNELCAP_E_NOMEM;
    if ((uintptr_t)*mem % TUNNELCAP_I_ALIGN != 0) { /* `_init` would refuse it */
        own.alloc.release(own.alloc.arg, *mem, bytes);
        return TUNNELCAP_E_INVALID;
    }
    *owner = own;
    return TUNNELCAP_OK;
}

void tunnelcap_i_memory_end(void *object)
{
    tunnelcap_i_owner own;

    if (object == NULL)
        return;
    memcpy(&own, object, sizeof(own));
    tunnelcap_i_wipe(object, own.bytes);
    if (own.alloc.release != NULL)
        own.alloc.release(own.alloc.arg, object, own.bytes);
}

int32_t tunnelcap_i_struct_init(void *caller, uint32_t size, const void *defaults, uint32_t known,
                                uint32_t oldest)
{
    if (caller == NULL)
        return TUNNELCAP_E_INVALID;
    if (size < oldest)
        return TUNNELCAP_E_VERSION;
    memset(caller, 0, size);
    memcpy(caller, defaults, size < known ? size : known);
    memcpy(caller, &size, sizeof(size));
    return TUNNELCAP_OK;
}

int32_t tunnelcap_i_struct_read(void *own, uint32_t known, uint32_t oldest, const void *caller)
{
    uint32_t size;

    if (caller == NULL)
        return TUNNELCAP_E_INVALID;
    memcpy(&size, caller, sizeof(size));
    if (size < oldest)
        return TUNNELCAP_E_VERSION;
    if (size > known && !tunnelcap_i_is_zero((const uint8_t *)caller + known, size - known))
        return TUNNELCAP_E_VERSION;
    memcpy(own, caller, size < known ? size : known);
    return TUNNELCAP_OK;
}

uint32_t tunnelcap_i_is_zero(const void *mem, size_t n)
{
    const uint8_t *p = mem;

    for (size_t i = 0; i < n; i++) {
        if (p[i] != 0)
            return 0;
    }
    return 1;
}
