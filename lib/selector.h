/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* What selectors look at, for ESP, which has no IP packet yet where it must know. */
#ifndef TUNNELCAP_I_SELECTOR_H
#define TUNNELCAP_I_SELECTOR_H

#include <tunnelcap/selector.h>

#include "ip.h"

/* Match `transport`, of which `len` bytes are there, as what follows the addresses. Of a fragment
 * but the first nothing is looked at. */
uint32_t tunnelcap_i_selectors_permit(const tunnelcap_selector *selectors, uint32_t count,
                                      const tunnelcap_i_ip *ip, const uint8_t *transport,
                                      uint32_t len);

#endif
