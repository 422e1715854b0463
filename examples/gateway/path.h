/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The way that outer packets take.
 */
#ifndef TUNNELCAP_GATEWAY_PATH_H
#define TUNNELCAP_GATEWAY_PATH_H

#include "config.h"

struct mnl_socket;

/* Look at the routes to the far endpoints, with the TUN device up. False after a line if one of
 * them leads into the TUN device; other things that bode ill are only told. */
bool path_check(struct mnl_socket *nl, const config *conf, unsigned tun_device);

#endif
