/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "crew.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BURST_NS = 50000, MOST_WAITS = 100000 /* five seconds and more */ };

bool crew_open(crew *all, carrier *control, const carry_shared *shared, const config *conf,
               tunnelcap_table *table)
{
    pthread_mutex_init(&all->mutex, NULL);
    pthread_cond_init(&all->all_stand, NULL);
    pthread_cond_init(&all->go_on, NULL);
    all->control = control;
    all->workers = calloc(conf->threads, sizeof *all->workers);
    if (all->workers == NULL) {
        log_line("%s", strerror(ENOMEM));
        return false;
    }
    for (; all->count < conf->threads; all->count++) {
        worker *w = &all->workers[all->count];
        w->crew = all;
        w->index = all->count;
        w->wake_fd = -1;
    }
    for (unsigned i = 0; i < all->count; i++)
        if (!carry_open(&all->workers[i].carrier, shared, conf, table, i, all->count + 1))
            return false;
    return carry_open(control, shared, conf, table, all->count, all->count + 1);
}

bool crew_open_queues(crew *all, const tun *device)
{
    for (unsigned i = 0; i < all->count; i++) {
        all->workers[i].carrier.tun = &device->queues[i];
        if (!worker_open(&all->workers[i]))
            return false;
    }
    return true;
}

bool crew_watch(crew *all, const listeners *sockets, size_t from)
{
    for (unsigned i = 0; i < all->count; i++)
        for (size_t n = from; n < sockets->count; n++)
            if (!worker_watch(&all->workers[i], sockets->list[n]))
                return false;
    return true;
}

void crew_unwatch(crew *all, const listeners *sockets, size_t from)
{
    for (unsigned i = 0; i < all->count; i++)
        for (size_t n = from; n < sockets->count; n++)
            worker_unwatch(&all->workers[i], sockets->list[n]);
}

bool crew_reassemble(crew *all)
{
    for (unsigned i = 0; i < all->count; i++)
        if (!carry_reassemble(&all->workers[i].carrier))
            return false;
    return true;
}

bool crew_sends_ipv6(const crew *all)
{
    for (unsigned i = 0; i < all->count; i++)
        if (all->workers[i].carrier.sender.v6.fd < 0)
            return false;
    return all->control->sender.v6.fd >= 0;
}

bool crew_start(crew *all)
{
    for (unsigned i = 0; i < all->count; i++) {
        if (!worker_start(&all->workers[i]))
            return false;
        all->running++;
    }
    return true;
}

/* Called with the mutex held. */
static void wake_all(crew *all)
{
    for (unsigned i = 0; i < all->count; i++)
        if (all->workers[i].running)
            worker_wake(&all->workers[i]);
}

void crew_stop(crew *all)
{
    if (all->workers == NULL)
        return;
    pthread_mutex_lock(&all->mutex);
    all->ending = true;
    wake_all(all);
    pthread_mutex_unlock(&all->mutex);
    for (unsigned i = 0; i < all->count; i++) {
        if (all->workers[i].running)
            pthread_join(all->workers[i].thread, NULL);
        all->workers[i].running = false;
    }
    all->running = 0;
}

void crew_detach(crew *all, tunnelcap_table *table)
{
    for (unsigned i = 0; i < all->count; i++)
        carry_detach(&all->workers[i].carrier, table);
    if (all->control != NULL)
        carry_detach(all->control, table);
}

void crew_close(crew *all)
{
    if (all->control == NULL)
        return;
    for (unsigned i = 0; i < all->count; i++) {
        worker_close(&all->workers[i]);
        carry_close(&all->workers[i].carrier);
    }
    carry_close(all->control);
    free(all->workers);
    pthread_cond_destroy(&all->go_on);
    pthread_cond_destroy(&all->all_stand);
    pthread_mutex_destroy(&all->mutex);
    *all = (crew){.workers = NULL};
}

/* A worker that was told to go on and has not yet, when it is to stand again, has not moved. */
bool crew_stand(crew *all)
{
    pthread_mutex_lock(&all->mutex);
    if (all->holding) {
        all->standing++;
        pthread_cond_signal(&all->all_stand);
        while (all->holding)
            pthread_cond_wait(&all->go_on, &all->mutex);
        all->standing--;
    }
    bool goes_on = !all->ending;
    pthread_mutex_unlock(&all->mutex);
    return goes_on;
}

void crew_hold(crew *all)
{
    if (all->holds++ > 0)
        return;
    pthread_mutex_lock(&all->mutex);
    all->holding = true;
    wake_all(all);
    while (all->standing < all->running)
        pthread_cond_wait(&all->all_stand, &all->mutex);
    pthread_mutex_unlock(&all->mutex);
}

void crew_release(crew *all)
{
    if (--all->holds > 0)
        return;
    pthread_mutex_lock(&all->mutex);
    all->holding = false;
    pthread_cond_broadcast(&all->go_on);
    pthread_mutex_unlock(&all->mutex);
}

void crew_forget(crew *all, const tunnelcap_esp *esp)
{
    for (unsigned i = 0; i < all->count; i++)
        tunnelcap_esp_forget(esp, all->workers[i].carrier.lane);
    if (all->control != NULL)
        tunnelcap_esp_forget(esp, all->control->lane);
}

int32_t crew_begin_change(tunnelcap_table *table)
{
    const struct timespec burst = {.tv_nsec = BURST_NS};
    int32_t status = tunnelcap_table_begin(table);

    for (unsigned waits = 0; status == TUNNELCAP_E_BUSY && waits < MOST_WAITS; waits++) {
        nanosleep(&burst, NULL);
        status = tunnelcap_table_begin(table);
    }
    return status;
}
