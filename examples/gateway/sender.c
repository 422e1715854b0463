/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "sender.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <unistd.h>

/* IPV6_HDRINCL has no name in the C library's headers. */
enum { QUEUE_BYTES = 8 << 20, HEADER_INCLUDED_IPV6 = 36 };

/* What routers say about a path's MTU is the library's to weigh, and it may have to send a probe
 * that is larger: the kernel, which hears them too, is to go by the MTU of its device alone. What
 * that is, it tells on the error queue. */
static bool leave_path_to_us(const sender_queue *q, int family)
{
    int probe = family == AF_INET ? IP_PMTUDISC_PROBE : IPV6_PMTUDISC_PROBE;
    int on = 1;

    if (family == AF_INET)
        return setsockopt(q->fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe, sizeof probe) == 0 &&
               setsockopt(q->fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on) == 0;
    return setsockopt(q->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &probe, sizeof probe) == 0 &&
           setsockopt(q->fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on) == 0;
}

static bool open_queue(sender_queue *q, int family, bool needed)
{
    int bytes = QUEUE_BYTES;
    int on = 1;

    q->fd = socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW);
    if (q->fd < 0 && !needed)
        return true;
    if (q->fd < 0) {
        log_line("cannot open a raw socket: %s: CAP_NET_RAW is needed (root, or unshare -Urn)",
                 strerror(errno));
        return false;
    }
    if (setsockopt(q->fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) != 0)
        setsockopt(q->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    int level = family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
    int option = family == AF_INET ? IP_HDRINCL : HEADER_INCLUDED_IPV6;
    if (setsockopt(q->fd, level, option, &on, sizeof on) == 0 && leave_path_to_us(q, family))
        return true;
    log_line("cannot send whole IP packets: %s", strerror(errno));
    return false;
}

bool sender_open(sender *s, const config *conf)
{
    bool over_ipv6 = false;

    s->v4.fd = -1;
    s->v6.fd = -1;
    s->errors = (log_tally){.what = "sending outer packets"};
    for (size_t i = 0; i < conf->tunnel_count; i++)
        over_ipv6 |= config_outer(&conf->tunnels[i])->local.family == TUNNELCAP_IPV6;
    return open_queue(&s->v4, AF_INET, true) && open_queue(&s->v6, AF_INET6, over_ipv6);
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

void sender_add(sender *s, tunnelcap_pkt *pkt)
{
    uint8_t *packet = pkt->buf + pkt->off;
    tunnelcap_addr address = destination(packet);
    sender_queue *q = address.family == TUNNELCAP_IPV4 ? &s->v4 : &s->v6;
    unsigned i = q->count++;

    q->pkts[i] = pkt;
    q->places[i] = (struct iovec){.iov_base = packet, .iov_len = pkt->len};
    q->messages[i].msg_hdr =
        (struct msghdr){.msg_name = &q->targets[i],
                        .msg_namelen = endpoint_set(&q->targets[i], &address, 0),
                        .msg_iov = &q->places[i],
                        .msg_iovlen = 1};
}

/* What the kernel has put beside its refusal: the MTU of the device. 0 if it has not. */
static uint32_t device_mtu(const sender_queue *q)
{
    union {
        struct cmsghdr header; /* for its alignment */
        char bytes[CMSG_SPACE(sizeof(struct sock_extended_err) + sizeof(endpoint))];
    } control;
    struct msghdr message = {.msg_control = &control, .msg_controllen = sizeof control};
    uint32_t mtu = 0;

    /* Errors that were not read before come first. */
    while (recvmsg(q->fd, &message, MSG_ERRQUEUE) >= 0) {
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        struct sock_extended_err error;

        if (c != NULL && c->cmsg_len >= CMSG_LEN(sizeof error)) {
            memcpy(&error, CMSG_DATA(c), sizeof error);
            if (error.ee_errno == EMSGSIZE && error.ee_origin == SO_EE_ORIGIN_LOCAL)
                mtu = error.ee_info;
        }
        message.msg_controllen = sizeof control;
    }
    return mtu;
}

/* Whether a packet that was refused is kept, for its sender to be told. */
static bool keep(sender *s, const sender_queue *q, unsigned i, int error)
{
    uint32_t mtu = error == EMSGSIZE ? device_mtu(q) : 0;

    if (mtu == 0 || s->too_big_count == BATCH_SIZE)
        return false;
    s->too_big[s->too_big_count++] = (sender_refusal){.pkt = q->pkts[i], .mtu = mtu};
    return true;
}

static void flush_queue(sender *s, sender_queue *q)
{
    unsigned done = 0;

    while (done < q->count) {
        int sent = sendmmsg(q->fd, q->messages + done, q->count - done, 0);
        if (sent > 0) {
            done += (unsigned)sent;
        } else if (errno != EINTR) {
            /* It is the first one that was refused; those behind it may fare better. */
            if (!keep(s, q, done, errno))
                log_count(&s->errors, errno);
            done++;
        }
    }
    q->count = 0;
}

void sender_flush(sender *s)
{
    s->too_big_count = 0;
    flush_queue(s, &s->v4);
    flush_queue(s, &s->v6);
}
