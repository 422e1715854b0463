/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The statistics as tables for people.
 */
#ifndef TUNNELCAP_GATEWAY_REPORT_H
#define TUNNELCAP_GATEWAY_REPORT_H

#include <jansson.h>

/* Print what stats_json() made, perhaps in another process. */
void report_print(const json_t *stats);

#endif
