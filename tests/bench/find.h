/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The bench of how decapsulation finds tunnels by their keys, beside an open-addressed hash that
 * is written for such keys alone.
 */
#ifndef TUNNELCAP_BENCH_FIND_H
#define TUNNELCAP_BENCH_FIND_H

#include <stdint.h>

/* One result, as print_result() takes it: `ns` per key against `limit_ns` of something else. */
typedef void find_row(const char *name, uint32_t size, uint32_t burst, double ns, const char *limit,
                      double limit_ns, double goal);

/* Run the cases whose name contains `only` (or all: NULL), each for about `seconds`. */
void bench_find(const char *only, double seconds, find_row *row);

#endif
