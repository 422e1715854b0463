/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * What tunnels have carried over time, with the field names of the service's datasets.
 */
#ifndef TUNNELCAP_GATEWAY_TUNNELS_JSON_H
#define TUNNELCAP_GATEWAY_TUNNELS_JSON_H

#include "http.h"

#include <jansson.h>

struct gateway;

/* Answer a query; NULL if it makes no sense. */
json_t *tunnels_json(const struct gateway *g, const http_request *request);

#endif
