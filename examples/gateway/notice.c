/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "notice.h"

#include "log.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

bool notice_open(notice *n)
{
    pthread_mutex_init(&n->mutex, NULL);
    n->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (n->fd >= 0)
        return true;
    log_line("cannot make an event descriptor: %s", strerror(errno));
    return false;
}

void notice_close(notice *n)
{
    if (n->fd < 0)
        return;
    close(n->fd);
    n->fd = -1;
    pthread_mutex_destroy(&n->mutex);
}

/* Called with the mutex held. One wake-up is enough for all that is told until it is taken. */
static void raise_locked(notice *n, uint32_t what)
{
    if (n->what == 0)
        eventfd_write(n->fd, 1);
    n->what |= what;
}

void notice_raise(notice *n, uint32_t what)
{
    pthread_mutex_lock(&n->mutex);
    raise_locked(n, what);
    pthread_mutex_unlock(&n->mutex);
}

void notice_raise_peer(notice *n, uint64_t tunnel, const tunnelcap_addr *from, uint16_t port)
{
    unsigned i = 0;

    pthread_mutex_lock(&n->mutex);
    while (i < n->peer_count && n->peers[i].tunnel != tunnel)
        i++;
    /* Those that find no room come again with their next packet. */
    if (i < NOTICE_MOST_PEERS) {
        n->peers[i] = (notice_peer){.tunnel = tunnel, .from = *from, .port = port};
        n->peer_count = i == n->peer_count ? i + 1 : n->peer_count;
    }
    raise_locked(n, NOTICE_PEER);
    pthread_mutex_unlock(&n->mutex);
}

uint32_t notice_take(notice *n, notice_peer peers[NOTICE_MOST_PEERS], unsigned *peer_count)
{
    eventfd_t raised = 0;

    pthread_mutex_lock(&n->mutex);
    eventfd_read(n->fd, &raised);
    uint32_t what = n->what;
    n->what = 0;
    memcpy(peers, n->peers, n->peer_count * sizeof *peers);
    *peer_count = n->peer_count;
    n->peer_count = 0;
    pthread_mutex_unlock(&n->mutex);
    return what;
}
