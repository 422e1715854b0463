/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The bench of fragmentation and of reassembly: packets split into buffers and put together from
 * them, beside memcpy of the same bytes between the same buffers, cut in the same places.
 */
#ifndef TUNNELCAP_BENCH_FRAGMENT_H
#define TUNNELCAP_BENCH_FRAGMENT_H

#include <stdint.h>

/* One result, as print_result() takes it: `ns` per packet against `limit_ns` of something else. */
typedef void fragment_row(const char *name, uint32_t size, uint32_t burst, double ns,
                          const char *limit, double limit_ns, double goal);

/* Run the cases whose name contains `only` (or all: NULL), each for about `seconds`. */
void bench_fragment(const char *only, double seconds, fragment_row *row);

#endif
