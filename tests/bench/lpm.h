/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The bench of longest prefix match: bursts of addresses, beside a hand-written 24-8 table of the
 * same prefixes.
 */
#ifndef TUNNELCAP_BENCH_LPM_H
#define TUNNELCAP_BENCH_LPM_H

#include <stdint.h>

/* One result, as print_result() takes it: `ns` per address against `limit_ns` of something else. */
typedef void lpm_row(const char *name, uint32_t size, uint32_t burst, double ns, const char *limit,
                     double limit_ns, double goal);

/* Run the cases whose name contains `only` (or all: NULL), each for about `seconds`. */
void bench_lpm(const char *only, double seconds, lpm_row *row);

#endif
