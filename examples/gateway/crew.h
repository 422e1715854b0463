/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The threads that carry packets, and how the control thread has them stand still.
 *
 * The table needs no such thing: lanes read it while it changes. Some of what is around it does:
 * an SA that goes on in another object must not give out a number in between, an SA that ends must
 * be forgotten by lanes that are not at work, and a socket that is closed must not be in use. For
 * such moments, which take microseconds, all stand between two bursts; packets wait in the kernel.
 */
#ifndef TUNNELCAP_GATEWAY_CREW_H
#define TUNNELCAP_GATEWAY_CREW_H

#include "worker.h"

typedef struct crew {
    worker *workers;
    unsigned count;
    carrier *control; /* that of the control thread, which has a lane too */
    unsigned holds;   /* crew_hold() without crew_release() yet */
    pthread_mutex_t mutex;
    pthread_cond_t all_stand;
    pthread_cond_t go_on;
    unsigned running; /* the mutex is for these */
    unsigned standing;
    bool holding;
    bool ending;
} crew;

/* Make `control` and a worker for each queue of the TUN device, with `count` lanes attached to the
 * table in all. False after a line that says what is wrong; the caller closes it then too. */
bool crew_open(crew *all, carrier *control, const carry_shared *shared, const config *conf,
               tunnelcap_table *table);

/* Give the workers their queues of the TUN device. False after a line. */
bool crew_open_queues(crew *all, const tun *device);

/* Have the workers read from the listeners behind the first so many; or from these no more. False
 * after a line; then some may be read from. While threads stand still or do not run. */
bool crew_watch(crew *all, const listeners *sockets, size_t from);
void crew_unwatch(crew *all, const listeners *sockets, size_t from);

/* Be ready to put inner fragments together, also if they are already: while threads stand still or
 * do not run. False after a line. */
bool crew_reassemble(crew *all);

/* Whether all can send over IPv6. */
bool crew_sends_ipv6(const crew *all);

/* Start the threads. False after a line. */
bool crew_start(crew *all);

/* Let each thread finish its burst, and end it. */
void crew_stop(crew *all);

/* After crew_stop(): before the table is freed, and after the SAs are. */
void crew_detach(crew *all, tunnelcap_table *table);
void crew_close(crew *all);

/* Wait until all threads stand between two bursts; from then on only the caller, the control
 * thread, uses lanes. As many crew_release() let them go on. */
void crew_hold(crew *all);
void crew_release(crew *all);

/* Have all lanes forget an SA that is about to end, while threads stand still or do not run. */
void crew_forget(crew *all, const tunnelcap_esp *esp);

/* Begin a change of the table, as soon as no lane is in a burst from before the last one. */
int32_t crew_begin_change(tunnelcap_table *table);

/* For a worker that was woken: stand still as long as that is wanted. False if it is to end. */
bool crew_stand(crew *all);

#endif
