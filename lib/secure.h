/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Comparing and wiping secrets. */
#ifndef TUNNELCAP_I_SECURE_H
#define TUNNELCAP_I_SECURE_H

#include <stddef.h>
#include <stdint.h>

/* 1 if n bytes are equal, else 0, in a time that depends on n alone. */
uint32_t tunnelcap_i_equal(const uint8_t *a, const uint8_t *b, size_t n);

/* Set n bytes to zero in a way that compilers keep, even right before the memory is freed. */
void tunnelcap_i_wipe(void *mem, size_t n);

#endif
