/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Generic receive offload: network devices merge TCP segments, inside GRE and IP in IP too, before
 * raw sockets see them, and leave their checksum for hardware to finish. Such packets are
 * worthless to us.
 */
#ifndef TUNNELCAP_GATEWAY_MERGING_H
#define TUNNELCAP_GATEWAY_MERGING_H

#include "config.h"

/* Devices where it was switched off. */
typedef struct merging {
    config_device *devices;
    size_t count;
} merging;

/* Whether a device merges received packets. */
bool merging_is_on(const char *device);

/* Switch it off for the devices of conf->gro_off. False after a line that says what is wrong; the
 * caller closes it then too. */
bool merging_open(merging *m, const config *conf);

/* Switch it on again where it was on. */
void merging_close(merging *m);

#endif
