/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "worker.h"

#include "crew.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void on_inner(evutil_socket_t fd, short what, void *arg)
{
    worker *w = arg;

    (void)fd;
    (void)what;
    if (tun_read(w->carrier.tun, &w->carrier.batch)) {
        carry_in(&w->carrier);
        return;
    }
    event_del(w->inner);
    notice_raise(w->carrier.shared->notice, NOTICE_BROKEN);
}

static void on_outer(evutil_socket_t fd, short what, void *arg)
{
    const worker_source *source = arg;
    worker *w = source->worker;

    (void)fd;
    (void)what;
    listener_read(source->from, w->index, &w->carrier.batch, &w->carrier.counts.receive_errors);
    carry_out(&w->carrier, listener_has_errors(source->from));
}

/* Between two bursts. */
static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    worker *w = arg;
    eventfd_t times = 0;

    (void)what;
    eventfd_read(fd, &times);
    if (!crew_stand(w->crew))
        event_base_loopbreak(w->base);
}

static void *work(void *arg)
{
    event_base_dispatch(((worker *)arg)->base);
    return NULL;
}

static struct event *watch(const worker *w, int fd, event_callback_fn callback, void *arg)
{
    struct event *event = event_new(w->base, fd, EV_READ | EV_PERSIST, callback, arg);

    if (event != NULL && event_add(event, NULL) == 0)
        return event;
    if (event != NULL)
        event_free(event);
    log_line("cannot watch for packets");
    return NULL;
}

bool worker_open(worker *w)
{
    w->base = event_base_new();
    w->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (w->base == NULL || w->wake_fd < 0) {
        log_line("cannot make an event loop");
        return false;
    }
    w->wake = watch(w, w->wake_fd, on_wake, w);
    w->inner = watch(w, w->carrier.tun->in_fd, on_inner, w);
    return w->wake != NULL && w->inner != NULL;
}

void worker_close(worker *w)
{
    while (w->sources != NULL)
        worker_unwatch(w, w->sources->from);
    if (w->inner != NULL)
        event_free(w->inner);
    if (w->wake != NULL)
        event_free(w->wake);
    if (w->base != NULL)
        event_base_free(w->base);
    if (w->wake_fd >= 0)
        close(w->wake_fd);
}

bool worker_watch(worker *w, const listener *from)
{
    if (w->index >= from->fd_count)
        return true;
    worker_source *source = malloc(sizeof *source);
    if (source == NULL) {
        log_line("%s", strerror(ENOMEM));
        return false;
    }
    *source = (worker_source){.worker = w, .from = from, .next = w->sources};
    source->event = watch(w, from->fds[w->index], on_outer, source);
    if (source->event == NULL) {
        free(source);
        return false;
    }
    w->sources = source;
    return true;
}

void worker_unwatch(worker *w, const listener *from)
{
    worker_source **place = &w->sources;

    while (*place != NULL && (*place)->from != from)
        place = &(*place)->next;
    if (*place == NULL)
        return;
    worker_source *source = *place;
    *place = source->next;
    event_free(source->event);
    free(source);
}

/* Signals are the control thread's. */
bool worker_start(worker *w)
{
    sigset_t all;
    sigset_t before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&w->thread, NULL, work, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    w->running = error == 0;
    if (error != 0)
        log_line("cannot start a thread: %s", strerror(error));
    return error == 0;
}

void worker_wake(worker *w)
{
    eventfd_write(w->wake_fd, 1);
}
