/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The statistics as metrics for Prometheus, in its text format 0.0.4 or in OpenMetrics 1.0.
 */
#ifndef TUNNELCAP_GATEWAY_METRICS_H
#define TUNNELCAP_GATEWAY_METRICS_H

#include <jansson.h>
#include <stdbool.h>

struct evbuffer;

/* Write what stats_json() made; returns the media type. */
const char *metrics_write(struct evbuffer *out, const json_t *stats, bool openmetrics);

/* Whether a client would rather have OpenMetrics, by its Accept header. */
bool metrics_wants_openmetrics(const char *accept);

#endif
