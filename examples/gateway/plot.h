/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * What tunnels have carried over time, as charts in a terminal.
 */
#ifndef TUNNELCAP_GATEWAY_PLOT_H
#define TUNNELCAP_GATEWAY_PLOT_H

#include <jansson.h>
#include <stdbool.h>

enum { PLOT_STEPS = 1600 /* buckets drawn at most: the newest */ };

/* Whether there are charts of an interval: "second", "minute", "fiveMinutes", "hour". */
bool plot_knows(const char *interval);

/* Print what tunnels_json() made for an interval, perhaps in another process: a chart for each
 * tunnel and direction that has carried something. */
void plot_print(const json_t *records, const char *interval);

#endif
