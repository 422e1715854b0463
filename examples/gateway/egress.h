/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Direct server return: what the customer's servers send back leaves by the ISP's port and never
 * meets the tunnel, yet its SYN-ACK decides how large the segments through the tunnel will be.
 * So forwarded SYNs that leave by such ports are fetched from the kernel by NFQUEUE, clamped,
 * and sent on.
 */
#ifndef TUNNELCAP_GATEWAY_EGRESS_H
#define TUNNELCAP_GATEWAY_EGRESS_H

#include "config.h"
#include "log.h"
#include "rules.h"

struct nfq_handle;
struct nfq_q_handle;

typedef struct egress {
    struct nfq_handle *nfq; /* NULL if nothing is to be clamped */
    struct nfq_q_handle *queue;
    rules rules;
    tunnelcap_mss_config limits;
    uint64_t seen;
    uint64_t clamped;
    log_tally errors;
} egress;

/* Begin to clamp on the ports of conf->clamp_egress. False after a line that says what is wrong;
 * the caller closes it then too. */
bool egress_open(egress *e, const config *conf, uint16_t limit4, uint16_t limit6);

/* Clamp to other limits from now on. */
void egress_set_limits(egress *e, uint16_t limit4, uint16_t limit6);

/* Remove the rules, then the queue: nothing is held up meanwhile. */
void egress_close(egress *e);

/* A descriptor that is readable when egress_run() has work to do; -1 if there never is any. */
int egress_fd(const egress *e);
void egress_run(egress *e);

#endif
