/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * A thread that carries packets: with an event loop, a lane, a queue of the TUN device and a
 * socket of each listener for itself.
 */
#ifndef TUNNELCAP_GATEWAY_WORKER_H
#define TUNNELCAP_GATEWAY_WORKER_H

#include "carry.h"
#include "listener.h"

struct crew;
struct event;
struct event_base;

struct worker;

/* A listener, as one worker watches it. */
typedef struct worker_source {
    struct worker *worker;
    const listener *from;
    struct event *event;
    struct worker_source *next;
} worker_source;

typedef struct worker {
    struct crew *crew;
    unsigned index;
    pthread_t thread;
    bool running;
    struct event_base *base;
    int wake_fd;
    struct event *wake;
    struct event *inner; /* packets at the TUN device */
    worker_source *sources;
    carrier carrier;
} worker;

/* Make everything but the thread: crew and index are set, and the carrier is open. False after a
 * line that says what is wrong; the caller closes it then too. */
bool worker_open(worker *w);
void worker_close(worker *w);

/* Watch the worker's own socket of a listener, if it has one, or watch it no more: while the
 * worker stands still or does not run. False after a line. */
bool worker_watch(worker *w, const listener *from);
void worker_unwatch(worker *w, const listener *from);

/* False after a line. */
bool worker_start(worker *w);

/* Have it look at what its crew wants of it. */
void worker_wake(worker *w);

#endif
