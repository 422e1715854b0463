/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Plots of a report's page, as SVG.
 */
#ifndef PCAP_REPORT_PLOT_H
#define PCAP_REPORT_PLOT_H

#include "report.h"

/* Print the bandwidth of a scope over time: direction 0 upwards, direction 1 downwards, both by
 * one scale. `id` tells the page's plots apart. */
void plot_print(FILE *out, const struct report *report, const struct scope *scope,
                const struct series *series, uint32_t id);

/* Print the shape of one direction, small enough for a table. */
void plot_print_spark(FILE *out, const struct report *report, const struct series *series,
                      uint32_t direction);

/* Print text with what HTML means by itself escaped. */
void plot_print_escaped(FILE *out, const char *text);

#endif
