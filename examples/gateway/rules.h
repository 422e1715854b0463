/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The iptables rules that lead forwarded SYNs to our queue.
 */
#ifndef TUNNELCAP_GATEWAY_RULES_H
#define TUNNELCAP_GATEWAY_RULES_H

#include "config.h"

/* One rule that has been added. */
typedef struct rules_entry {
    const char *program;
    config_device device;
} rules_entry;

typedef struct rules {
    rules_entry *list;
    size_t count;
    char queue[12];
    char comment[64];
} rules;

/* Lead TCP SYNs that are forwarded out of the ports of conf->clamp_egress to a queue. False
 * after a line that says what is wrong; what was added stays for rules_remove(). */
bool rules_add(rules *r, const config *conf, unsigned queue);

void rules_remove(rules *r);

#endif
