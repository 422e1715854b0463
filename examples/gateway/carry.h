/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The data path of one thread: what has been read goes through the library, and what comes out of
 * that goes to where it belongs.
 */
#ifndef TUNNELCAP_GATEWAY_CARRY_H
#define TUNNELCAP_GATEWAY_CARRY_H

#include "batch.h"
#include "ipsec.h"
#include "log.h"
#include "notice.h"
#include "sender.h"
#include "tun.h"

#include <stdatomic.h>

/* What all threads use. It changes only between crew_hold() and crew_release(). */
typedef struct carry_shared {
    const ipsec *ipsec;
    _Atomic int64_t *last_ms; /* by tunnel: when it last carried a packet, 0 for never */
    uint64_t most_id;         /* of a tunnel, from 1 */
    notice *notice;
} carry_shared;

typedef struct carry_counts {
    uint64_t from_tun;      /* inner packets read */
    uint64_t from_outside;  /* outer packets read */
    uint64_t undeliverable; /* packets out of tunnels that are not IP */
    uint64_t withheld;      /* packets of IPsec tunnels whose numbers were not reserved in time */
    log_tally receive_errors;
} carry_counts;

/* How a tunnel's sequence numbers were found after a burst. */
typedef struct carry_numbers {
    uint32_t burst;
    int found; /* IPSEC_NUMBERS_ */
} carry_numbers;

typedef struct carrier {
    const carry_shared *shared;
    tunnelcap_lane *lane;
    tunnelcap_reassembly *reassembly; /* of inner fragments; NULL if no tunnel wants that */
    tun_queue *tun;                   /* NULL for the control thread */
    batch batch;
    sender sender;
    uint64_t now_ns;        /* when the burst at hand came */
    int64_t now_ms;         /* the same */
    uint32_t burst;         /* its number */
    carry_numbers *numbers; /* by tunnel */
    int64_t asked_ms;       /* when numbers for a paused tunnel were last asked for */
    carry_counts counts;
} carrier;

/* Make a carrier with a lane of its own, the one with this index of so many, attached to the
 * table. False after a line that says what is wrong; the caller closes it then too. */
bool carry_open(carrier *c, const carry_shared *shared, const config *conf, tunnelcap_table *table,
                unsigned index, unsigned count);

/* Before the table is freed. */
void carry_detach(carrier *c, tunnelcap_table *table);

/* After the table and the SAs are. */
void carry_close(carrier *c);

/* Be ready to put inner fragments together; also if it is already. False after a line. */
bool carry_reassemble(carrier *c);

/* Carry the batch, inner packets from the TUN device, into tunnels. */
void carry_in(carrier *c);

/* Carry the batch, outer packets with their meta, out of tunnels; or, with `errors`, ICMP errors
 * about them. */
void carry_out(carrier *c, bool errors);

/* Do what time demands, in the control thread: let path MTUs age, and send probes. Returns after
 * how many milliseconds to call again. */
int64_t carry_tick(carrier *c, tunnelcap_table *table);

#endif
