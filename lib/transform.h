/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* What follows from the algorithms of a transform. */
#ifndef TUNNELCAP_I_TRANSFORM_H
#define TUNNELCAP_I_TRANSFORM_H

#include <tunnelcap/crypto.h>

/* The facts of a transform that has been checked, or the reason why it is none. `info` is filled
 * whole, its size included. */
int32_t tunnelcap_i_transform_facts(const tunnelcap_transform *transform,
                                    tunnelcap_transform_info *info);

#endif
