/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "sender.h"

#include <errno.h>
#include <unistd.h>

/* IPV6_HDRINCL has no name in the C library's headers. */
enum { QUEUE_BYTES = 8 << 20, HEADER_INCLUDED_IPV6 = 36 };

static bool open_queue(sender_queue *q, int family)
{
    int bytes = QUEUE_BYTES;
    int on = 1;

    q->fd = socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW);
    if (q->fd < 0) {
        log_line("cannot open a raw socket: %s: CAP_NET_RAW is needed (root, or unshare -Urn)",
                 strerror(errno));
        return false;
    }
    if (setsockopt(q->fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) != 0)
        setsockopt(q->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    int level = family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
    int option = family == AF_INET ? IP_HDRINCL : HEADER_INCLUDED_IPV6;
    if (setsockopt(q->fd, level, option, &on, sizeof on) == 0)
        return true;
    log_line("cannot send whole IP packets: %s", strerror(errno));
    return false;
}

bool sender_open(sender *s, const config *conf)
{
    bool done = true;

    s->v4.fd = -1;
    s->v6.fd = -1;
    s->errors = (log_tally){.what = "sending outer packets"};
    for (size_t i = 0; done && i < conf->tunnel_count; i++) {
        if (config_outer(&conf->tunnels[i])->local.family == TUNNELCAP_IPV4)
            done = s->v4.fd >= 0 || open_queue(&s->v4, AF_INET);
        else
            done = s->v6.fd >= 0 || open_queue(&s->v6, AF_INET6);
    }
    return done;
}

static void close_queue(sender_queue *q)
{
    if (q->fd >= 0)
        close(q->fd);
    q->fd = -1;
}

void sender_close(sender *s)
{
    close_queue(&s->v4);
    close_queue(&s->v6);
}

/* The destination address of an IP header: where the packet is to go. */
static tunnelcap_addr destination(const uint8_t *header)
{
    tunnelcap_addr address = {.family = header[0] >> 4};

    if (address.family == TUNNELCAP_IPV4)
        memcpy(address.bytes, header + 16, 4);
    else
        memcpy(address.bytes, header + 24, 16);
    return address;
}

void sender_add(sender *s, const tunnelcap_pkt *pkt)
{
    uint8_t *packet = pkt->buf + pkt->off;
    tunnelcap_addr address = destination(packet);
    sender_queue *q = address.family == TUNNELCAP_IPV4 ? &s->v4 : &s->v6;
    unsigned i = q->count++;

    q->places[i] = (struct iovec){.iov_base = packet, .iov_len = pkt->len};
    q->messages[i].msg_hdr =
        (struct msghdr){.msg_name = &q->targets[i],
                        .msg_namelen = endpoint_set(&q->targets[i], &address, 0),
                        .msg_iov = &q->places[i],
                        .msg_iovlen = 1};
}

static void flush_queue(sender_queue *q, log_tally *errors)
{
    unsigned done = 0;

    while (done < q->count) {
        int sent = sendmmsg(q->fd, q->messages + done, q->count - done, 0);
        if (sent > 0) {
            done += (unsigned)sent;
        } else if (errno != EINTR) {
            /* It is the first one that was refused; those behind it may fare better. */
            log_count(errors, errno);
            done++;
        }
    }
    q->count = 0;
}

void sender_flush(sender *s)
{
    flush_queue(&s->v4, &s->errors);
    flush_queue(&s->v6, &s->errors);
}
