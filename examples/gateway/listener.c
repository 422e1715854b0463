/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "listener.h"

#include "address.h"
#include "endpoint.h"

#include <errno.h>
#include <linux/icmp.h>
#include <linux/sock_diag.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    QUEUE_BYTES = 8 << 20,
    DAD_TRIES = 30, /* duplicate address detection takes a second or two */
    DAD_PAUSE_NS = 100000000,
    FIRST_ROOM = 8,
    MOST_WAITING = 16384 /* more packets than a queue of that size holds */
};

/* Of all ICMP, errors are what tells of a tunnel's path, and echo replies may be answers to
 * probes. */
static void choose_icmp(int fd, uint8_t protocol, bool answers)
{
    if (protocol == IPPROTO_ICMP) {
        uint32_t wanted =
            1U << ICMP_DEST_UNREACH | 1U << ICMP_TIME_EXCEEDED | 1U << ICMP_PARAMETERPROB;
        struct icmp_filter icmp = {.data = ~(answers ? wanted | 1U << ICMP_ECHOREPLY : wanted)};
        setsockopt(fd, SOL_RAW, ICMP_FILTER, &icmp, sizeof icmp);
    } else if (protocol == IPPROTO_ICMPV6) {
        struct icmp6_filter icmp6;
        ICMP6_FILTER_SETBLOCKALL(&icmp6);
        for (int type = ICMP6_DST_UNREACH; type <= ICMP6_PARAM_PROB; type++)
            ICMP6_FILTER_SETPASS(type, &icmp6);
        if (answers)
            ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &icmp6);
        setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &icmp6, sizeof icmp6);
    }
}

static int open_socket(const listener *l)
{
    int family = l->local.family == TUNNELCAP_IPV6 ? AF_INET6 : AF_INET;
    int type = l->protocol == IPPROTO_UDP ? SOCK_DGRAM : SOCK_RAW;
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, l->protocol);
    int bytes = QUEUE_BYTES;
    int on = 1;

    if (fd < 0)
        return -1;
    choose_icmp(fd, l->protocol, l->answers);
    /* Beyond the system's limit if we may, else up to it. */
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if (family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
        setsockopt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof on);
        setsockopt(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof on);
    } else if (type == SOCK_DGRAM) {
        setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof on);
        setsockopt(fd, IPPROTO_IP, IP_RECVTTL, &on, sizeof on);
    }
    return fd;
}

/* An IPv6 address that was added a moment ago cannot be bound to before duplicate address
 * detection is through: wait for that as long as it may take. */
static int bind_socket(const listener *l, int fd)
{
    const struct timespec pause = {.tv_nsec = DAD_PAUSE_NS};
    endpoint local;
    socklen_t size = endpoint_set(&local, &l->local, l->port);

    for (int tries = 0;; tries++) {
        if (bind(fd, &local.any, size) == 0)
            return 0;
        if (errno != EADDRNOTAVAIL || l->local.family != TUNNELCAP_IPV6 || tries == DAD_TRIES)
            return -1;
        nanosleep(&pause, NULL);
    }
}

/* The first socket of a UDP port is bound alone, so that no other program has the port, also no
 * other gateway; only then it lets its fellows in. */
static bool join(const listener *l, unsigned thread)
{
    int on = 1;

    if (l->protocol != IPPROTO_UDP)
        return steer_raw(l->steer, l->fds[thread], l->payload, l->local.family == TUNNELCAP_IPV6,
                         thread) &&
               bind_socket(l, l->fds[thread]) == 0;
    if (thread > 0 && setsockopt(l->fds[thread], SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0)
        return false;
    if (bind_socket(l, l->fds[thread]) != 0)
        return false;
    return thread > 0 || setsockopt(l->fds[0], SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0;
}

static bool open_alone(const listener *l)
{
    l->fds[0] = open_socket(l);
    return l->fds[0] >= 0 && bind_socket(l, l->fds[0]) == 0;
}

/* What came before the last socket was ready may be in several of them, or in none: forget it. */
static void forget_waiting(const listener *l)
{
    char byte = 0;

    for (unsigned i = 0; i < l->fd_count; i++)
        for (unsigned n = 0; n < MOST_WAITING; n++)
            if (recv(l->fds[i], &byte, sizeof byte, MSG_TRUNC) < 0)
                break;
}

static bool open_shared(const listener *l)
{
    for (unsigned i = 0; i < l->fd_count; i++) {
        l->fds[i] = open_socket(l);
        if (l->fds[i] < 0 || !join(l, i))
            return false;
    }
    if (l->protocol == IPPROTO_UDP &&
        !steer_udp(l->steer, l->fds[0], l->payload, l->local.family == TUNNELCAP_IPV6))
        return false;
    forget_waiting(l);
    return true;
}

static void explain(const listener *l, const config_tunnel *tunnel, int error)
{
    char text[ADDRESS_TEXT_SIZE];

    address_text(&l->local, text);
    if (error == EPERM || error == EACCES)
        log_line("%s: cannot open a socket for IP protocol %u: %s: CAP_NET_RAW is needed (root, "
                 "or unshare -Urn)",
                 tunnel->path, l->protocol, strerror(error));
    else if (error == EADDRNOTAVAIL)
        log_line("%s: its local endpoint %s is not an address of this host", tunnel->path, text);
    else if (error == EADDRINUSE)
        log_line("%s: another program uses UDP port %u of %s", tunnel->path, l->port, text);
    else
        log_line("%s: cannot listen at %s for IP protocol %u: %s", tunnel->path, text, l->protocol,
                 strerror(error));
}

static void close_listener(listener *l)
{
    for (unsigned i = 0; i < l->fd_count; i++)
        if (l->fds[i] >= 0)
            close(l->fds[i]);
    free(l->fds);
    free(l);
}

static listener *new_listener(const listener *wanted)
{
    listener *l = malloc(sizeof *l);

    if (l == NULL)
        return NULL;
    *l = *wanted;
    l->fds = malloc(l->fd_count * sizeof *l->fds);
    for (unsigned i = 0; l->fds != NULL && i < l->fd_count; i++)
        l->fds[i] = -1;
    if (l->fds != NULL)
        return l;
    free(l);
    return NULL;
}

static bool make_room(listeners *all)
{
    size_t room = all->room == 0 ? FIRST_ROOM : 2 * all->room;

    if (all->count < all->room)
        return true;
    listener **list = reallocarray(all->list, room, sizeof *list);
    if (list == NULL)
        return false;
    all->list = list;
    all->room = room;
    return true;
}

static bool add_listener(listeners *all, const config_tunnel *tunnel, const listener *wanted)
{
    listener *l = make_room(all) ? new_listener(wanted) : NULL;

    if (l == NULL) {
        log_line("%s", strerror(ENOMEM));
        return false;
    }
    all->list[all->count++] = l;
    if (l->fd_count == 1 ? open_alone(l) : open_shared(l))
        return true;
    explain(l, tunnel, errno);
    return false;
}

static bool is_same(const listener *a, const listener *b)
{
    return a->protocol == b->protocol && a->port == b->port && address_equal(&a->local, &b->local);
}

static bool is_open(const listeners *all, const listener *wanted)
{
    for (size_t i = 0; i < all->count; i++)
        if (is_same(all->list[i], wanted))
            return true;
    return false;
}

/* ------------------------------------------------------------------------ what is needed */

/* What one tunnel needs. */
typedef struct needs {
    const listeners *all;
    const config_tunnel *tunnel;
    listener list[LISTENERS_PER_TUNNEL];
    unsigned count;
} needs;

static void need(needs *n, uint8_t protocol, uint16_t port, int payload)
{
    listener wanted = {.steer = &n->all->steer,
                       .answers = n->all->answers,
                       .fd_count = n->all->steer.shares,
                       .protocol = protocol,
                       .port = port,
                       .payload = payload,
                       .local = config_outer(n->tunnel)->local};

    if (protocol == IPPROTO_UDP)
        wanted.at = TUNNELCAP_AT_UDP_PAYLOAD;
    else if (wanted.local.family == TUNNELCAP_IPV6)
        wanted.at = TUNNELCAP_AT_IP_PAYLOAD;
    else
        wanted.at = TUNNELCAP_AT_IP;
    if (listener_has_errors(&wanted))
        wanted.fd_count = 1;
    n->list[n->count++] = wanted;
}

/* ESP in UDP may also come bare, where there is no NAT in its way. */
static void need_for_ipsec(needs *n, const ipsec *keys)
{
    uint16_t port = ipsec_port(ipsec_find(keys, n->tunnel->id));

    need(n, IPPROTO_ESP, 0, STEER_ESP);
    if (port != 0)
        need(n, IPPROTO_UDP, port, STEER_ESP);
}

static needs needs_of(const listeners *all, const config_tunnel *tunnel, const ipsec *keys)
{
    needs n = {.all = all, .tunnel = tunnel};
    bool ipv4 = config_outer(tunnel)->local.family == TUNNELCAP_IPV4;

    need(&n, ipv4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, 0, STEER_FIRST);
    if (tunnel->kind == TUNNELCAP_KIND_ESP) {
        need_for_ipsec(&n, keys);
    } else if (tunnel->kind == TUNNELCAP_KIND_IPIP) {
        need(&n, IPPROTO_IPIP, 0, STEER_IPV4);
        need(&n, IPPROTO_IPV6, 0, STEER_IPV6);
    } else if ((tunnel->encap.gre.flags & TUNNELCAP_GRE_UDP) != 0) {
        need(&n, IPPROTO_UDP, tunnel->encap.gre.udp_port, STEER_GRE);
    } else {
        need(&n, IPPROTO_GRE, 0, STEER_GRE);
    }
    return n;
}

static bool is_needed(const listeners *all, const listener *l, const config *conf,
                      const ipsec *keys)
{
    for (size_t i = 0; i < conf->tunnel_count; i++) {
        needs n = needs_of(all, &conf->tunnels[i], keys);
        for (unsigned k = 0; k < n.count; k++)
            if (is_same(&n.list[k], l))
                return true;
    }
    return false;
}

bool listeners_open(listeners *all, unsigned threads)
{
    *all = (listeners){.list = NULL};
    return steer_open(&all->steer, threads);
}

bool listeners_add(listeners *all, const config *conf, const ipsec *keys)
{
    for (size_t i = 0; i < conf->tunnel_count; i++) {
        needs n = needs_of(all, &conf->tunnels[i], keys);
        for (unsigned k = 0; k < n.count; k++)
            if (!is_open(all, &n.list[k]) && !add_listener(all, n.tunnel, &n.list[k]))
                return false;
    }
    return true;
}

static uint64_t overflows(const listener *l)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < l->fd_count; i++) {
        uint32_t facts[SK_MEMINFO_VARS] = {0};
        socklen_t size = sizeof facts;
        if (getsockopt(l->fds[i], SOL_SOCKET, SO_MEMINFO, facts, &size) == 0)
            sum += facts[SK_MEMINFO_DROPS];
    }
    return sum;
}

void listeners_take_answers(listeners *all, bool wanted)
{
    all->answers = wanted;
    for (size_t i = 0; i < all->count; i++)
        if (listener_has_errors(all->list[i]))
            choose_icmp(all->list[i]->fds[0], all->list[i]->protocol, wanted);
}

void listeners_cut(listeners *all, size_t count)
{
    while (all->count > count) {
        listener *l = all->list[--all->count];
        all->overflows += overflows(l);
        close_listener(l);
    }
}

size_t listeners_sort(listeners *all, const config *conf, const ipsec *keys)
{
    size_t needed = 0;

    for (size_t i = 0; i < all->count; i++) {
        listener *l = all->list[i];
        if (!is_needed(all, l, conf, keys))
            continue;
        all->list[i] = all->list[needed];
        all->list[needed++] = l;
    }
    return needed;
}

void listeners_close(listeners *all)
{
    listeners_cut(all, 0);
    free(all->list);
    *all = (listeners){.list = NULL};
}

/* Room for the two control messages asked for above. */
typedef union ancillary {
    struct cmsghdr header; /* for its alignment */
    char bytes[2 * CMSG_SPACE(sizeof(int))];
} ancillary;

static void take_ancillary(struct msghdr *message, tunnelcap_meta *meta)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        bool ipv6 = c->cmsg_level == IPPROTO_IPV6;
        int value = 0;

        if (c->cmsg_len >= CMSG_LEN(sizeof value))
            memcpy(&value, CMSG_DATA(c), sizeof value);
        else
            value = *CMSG_DATA(c); /* IP_TOS is one byte */
        if (c->cmsg_type == (ipv6 ? IPV6_TCLASS : IP_TOS)) {
            meta->tos = (uint8_t)value;
            meta->flags |= TUNNELCAP_META_TOS_VALID;
        } else if (c->cmsg_type == (ipv6 ? IPV6_HOPLIMIT : IP_TTL)) {
            meta->ttl = (uint8_t)value;
        }
    }
}

static void fill_meta(const listener *from, struct msghdr *message, const endpoint *source,
                      tunnelcap_meta *meta)
{
    memset(meta, 0, sizeof *meta);
    meta->at = from->at;
    if (from->at == TUNNELCAP_AT_IP)
        return;
    meta->proto = from->protocol;
    meta->dst = from->local;
    meta->dst_port = from->port;
    endpoint_get(source, &meta->src, &meta->src_port);
    if (from->protocol == IPPROTO_UDP)
        meta->flags = TUNNELCAP_META_CSUM_VALID;
    else
        meta->src_port = 0; /* raw sockets leave no promise about it */
    take_ancillary(message, meta);
}

bool listener_has_errors(const listener *l)
{
    return l->protocol == IPPROTO_ICMP || l->protocol == IPPROTO_ICMPV6;
}

void listener_read(const listener *from, unsigned thread, batch *b, log_tally *errors)
{
    struct mmsghdr messages[BATCH_SIZE];
    struct iovec places[BATCH_SIZE];
    endpoint sources[BATCH_SIZE];
    ancillary extras[BATCH_SIZE];

    for (uint32_t i = 0; i < BATCH_SIZE; i++) {
        places[i] = (struct iovec){.iov_base = batch_place(b, i), .iov_len = BATCH_ROOM};
        messages[i].msg_hdr = (struct msghdr){.msg_name = &sources[i],
                                              .msg_namelen = sizeof sources[i],
                                              .msg_iov = &places[i],
                                              .msg_iovlen = 1,
                                              .msg_control = &extras[i],
                                              .msg_controllen = sizeof extras[i]};
    }
    b->count = 0;
    int got = recvmmsg(from->fds[thread], messages, BATCH_SIZE, 0, NULL);
    if (got < 0) {
        if (errno != EAGAIN && errno != EINTR)
            log_count(errors, errno);
        return;
    }
    for (b->count = 0; b->count < (uint32_t)got; b->count++) {
        batch_put(b, b->count, messages[b->count].msg_len);
        fill_meta(from, &messages[b->count].msg_hdr, &sources[b->count], &b->meta[b->count]);
    }
}

uint64_t listeners_overflows(const listeners *all)
{
    uint64_t sum = all->overflows;

    for (size_t i = 0; i < all->count; i++)
        sum += overflows(all->list[i]);
    return sum;
}
