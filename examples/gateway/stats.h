/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * What a gateway tells about itself, for machines.
 */
#ifndef TUNNELCAP_GATEWAY_STATS_H
#define TUNNELCAP_GATEWAY_STATS_H

#include "gateway.h"

#include <jansson.h>

json_t *stats_json(gateway *g);

#endif
