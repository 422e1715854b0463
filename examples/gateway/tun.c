/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "tun.h"

#include "address.h"
#include "netlink.h"
#include "path.h"

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Every tunnel has an MTU of its own, and it may change. With the largest MTU there is, the kernel
 * leaves it to the library to fragment packets and to tell their senders. */
enum { TUN_MTU = 65535 };

static const char node[] = "/dev/net/tun";

/* Say why the device could not be made, and what can be done about it. */
static void explain(const char *what, int error)
{
    const char *advice = "";

    if (error == EACCES)
        advice = ": user namespaces need mode 0666 of it, which only the host's root can give";
    else if (error == ENOENT || error == ENODEV || error == ENXIO)
        advice = ": this host has no TUN driver (modprobe tun)";
    else if (error == EPERM)
        advice = ": CAP_NET_ADMIN is needed (root, or unshare -Urn)";
    else if (error == EBUSY)
        advice = ": there is a device of this name already";
    log_line("%s: %s%s", what, strerror(error), advice);
}

/* Returns a descriptor of a queue, or -1 after a line. */
static int open_queue(const tun *t, int flags)
{
    struct ifreq request = {.ifr_flags = (short)(IFF_TUN | IFF_NO_PI | flags)};
    int fd = open(node, O_RDWR | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0) {
        explain(node, errno);
        return -1;
    }
    memcpy(request.ifr_name, t->name, sizeof t->name);
    if (ioctl(fd, TUNSETIFF, &request) == 0)
        return fd;
    explain(t->name, errno);
    close(fd);
    return -1;
}

/* A queue that gets no packets and still takes them. The kernel has the packets of a flow follow
 * the queue that the other direction was last written to, and while a flow moves from one queue to
 * another its packets may overtake one another. Of a detached queue it keeps no such note: a flow
 * stays where its hash has put it. */
static int open_detached(const tun *t)
{
    struct ifreq request = {.ifr_flags = IFF_DETACH_QUEUE};
    int fd = open_queue(t, IFF_MULTI_QUEUE);

    if (fd < 0 || ioctl(fd, TUNSETQUEUE, &request) == 0)
        return fd;
    explain(t->name, errno);
    close(fd);
    return -1;
}

static void begin_queue(tun_queue *q)
{
    *q = (tun_queue){.in_fd = -1,
                     .out_fd = -1,
                     .read_errors.what = "reading from the TUN device",
                     .write_errors.what = "writing to the TUN device"};
}

/* EXCL: a device that was there before would not vanish with us. */
static bool make_device(tun *t)
{
    int multi = t->count > 1 ? IFF_MULTI_QUEUE : 0;

    for (unsigned i = 0; i < t->count; i++) {
        tun_queue *q = &t->queues[i];
        q->in_fd = open_queue(t, multi | (i == 0 ? IFF_TUN_EXCL : 0));
        if (q->in_fd < 0)
            return false;
    }
    for (unsigned i = 0; i < t->count; i++) {
        tun_queue *q = &t->queues[i];
        q->out_fd = t->count > 1 ? open_detached(t) : q->in_fd;
        if (q->out_fd < 0)
            return false;
    }
    t->device = if_nametoindex(t->name);
    return t->device != 0;
}

/* Read or write a number in /proc/sys/net; false if that cannot be done. */
static bool sysctl(const char *family, const char *key, const char *device, const char *mode,
                   int *value)
{
    char path[128];
    bool done = false;

    snprintf(path, sizeof path, "/proc/sys/net/%s/conf/%s/%s", family, device, key);
    FILE *file = fopen(path, mode);
    if (file == NULL)
        return false;
    if (mode[0] == 'r')
        done = fscanf(file, "%d", value) == 1;
    else
        done = fprintf(file, "%d", *value) > 0;
    return fclose(file) == 0 && done;
}

static void set(const tun *t, const char *family, const char *key, int value)
{
    if (!sysctl(family, key, t->name, "w", &value))
        log_line("cannot set net.%s.conf.%s.%s to %d: %s", family, t->name, key, value,
                 strerror(errno));
}

static void warn_without_forwarding(const char *family)
{
    int on = 1;

    if (sysctl(family, "forwarding", "all", "r", &on) && on == 0)
        log_line("note: net.%s.conf.all.forwarding is 0: only packets from and to this host "
                 "itself pass",
                 family);
}

/* Packets out of the tunnels come from addresses whose way back lies elsewhere. The kernel
 * takes the larger of the values of "all" and of the device: where "all" is strict (1), only
 * "loose" (2) undoes it. */
static void allow_any_source(const tun *t)
{
    int all = 0;

    sysctl("ipv4", "rp_filter", "all", "r", &all);
    set(t, "ipv4", "rp_filter", all == 1 ? 2 : 0);
}

static bool carries(const config *conf, uint8_t family)
{
    for (size_t i = 0; i < conf->route_count; i++)
        if (conf->routes[i].route.prefix.family == family)
            return true;
    return false;
}

/* A probe of the reply type seems to come from us, and is to be sent on: the kernel would take it
 * for a forgery. Nor is it to tell us of a shorter way. */
static void accept_probes(const tun *t, const config *conf, const config *other)
{
    if (!config_expects_probes(conf) || config_expects_probes(other))
        return;
    set(t, "ipv4", "accept_local", 1);
    set(t, "ipv4", "send_redirects", 0);
}

/* An address that shares its network with one that goes is to stay. */
static void keep_secondary(const tun *t)
{
    set(t, "ipv4", "promote_secondaries", 1);
}

/* No addresses but those configured: no packets of the kernel's own in the tunnels. A kernel
 * without IPv6 has no such setting, and nothing to be said about that. */
static void forbid_own_addresses(const tun *t)
{
    int none = 1;

    sysctl("ipv6", "addr_gen_mode", t->name, "w", &none);
}

static void prepare_ipv6(const tun *t, const config *conf, const config *other)
{
    int off = 0;

    if (!carries(conf, TUNNELCAP_IPV6) || carries(other, TUNNELCAP_IPV6) ||
        !sysctl("ipv6", "disable_ipv6", t->name, "r", &off))
        return;
    if (off != 0)
        set(t, "ipv6", "disable_ipv6", 0);
    warn_without_forwarding("ipv6");
}

/* ------------------------------------------------------------------- addresses and routes */

static bool has_address(const config *conf, const config_interface *inner)
{
    for (size_t i = 0; i < conf->tunnel_count; i++) {
        const config_tunnel *tunnel = &conf->tunnels[i];
        const config_interface *its =
            inner->local.family == TUNNELCAP_IPV4 ? &tunnel->inner4 : &tunnel->inner6;
        if (its->prefix_len == inner->prefix_len && address_equal(&its->local, &inner->local))
            return true;
    }
    return false;
}

/* Routes of the kernel: the far interface addresses have theirs already. */
static bool has_route(const config *conf, const config_route *route)
{
    for (size_t i = 0; i < conf->route_count; i++) {
        const config_route *its = &conf->routes[i];
        if (!its->connected && its->route.prefix_len == route->route.prefix_len &&
            address_equal(&its->route.prefix, &route->route.prefix))
            return true;
    }
    return false;
}

/* Several tunnels may share a prefix; the kernel has one route for all. */
static bool is_first_of_prefix(const config *conf, const config_route *route)
{
    config before = {.routes = conf->routes, .route_count = (size_t)(route - conf->routes)};

    return !has_route(&before, route);
}

static bool is_kernel_route(const config *conf, const config_route *route, const config *other)
{
    return !route->connected && is_first_of_prefix(conf, route) && !has_route(other, route);
}

static bool add_address(const tun *t, struct mnl_socket *nl, const config_tunnel *tunnel,
                        const config_interface *inner, const config *other)
{
    char text[ADDRESS_TEXT_SIZE];

    if (inner->local.family == 0 || has_address(other, inner))
        return true;
    int error = netlink_add_address(nl, t->device, &inner->local, inner->prefix_len);
    if (error != 0)
        log_line("%s: cannot add address %s to %s: %s", tunnel->path,
                 address_text(&inner->local, text), t->name, strerror(error));
    return error == 0;
}

static bool add_route(const tun *t, struct mnl_socket *nl, const config_route *route)
{
    char text[ADDRESS_TEXT_SIZE];
    int error = netlink_add_route(nl, t->device, &route->route.prefix, route->route.prefix_len);

    if (error != 0)
        log_line("%s: cannot add the route to %s/%u through %s: %s", route->path,
                 address_text(&route->route.prefix, text), route->route.prefix_len, t->name,
                 strerror(error));
    return error == 0;
}

static bool add_all(const tun *t, struct mnl_socket *nl, const config *conf, const config *other)
{
    for (size_t i = 0; i < conf->tunnel_count; i++)
        if (!add_address(t, nl, &conf->tunnels[i], &conf->tunnels[i].inner4, other) ||
            !add_address(t, nl, &conf->tunnels[i], &conf->tunnels[i].inner6, other))
            return false;
    for (size_t i = 0; i < conf->route_count; i++)
        if (is_kernel_route(conf, &conf->routes[i], other) && !add_route(t, nl, &conf->routes[i]))
            return false;
    return path_check(nl, conf, t->device);
}

static void remove_address(const tun *t, struct mnl_socket *nl, const config_interface *inner,
                           const config *other)
{
    if (inner->local.family != 0 && !has_address(other, inner))
        netlink_remove_address(nl, t->device, &inner->local, inner->prefix_len);
}

/* What is not there, since somebody has removed it or it was not added, is no matter. */
static void remove_all(const tun *t, struct mnl_socket *nl, const config *conf, const config *other)
{
    for (size_t i = 0; i < conf->route_count; i++) {
        const config_route *route = &conf->routes[i];
        if (is_kernel_route(conf, route, other))
            netlink_remove_route(nl, t->device, &route->route.prefix, route->route.prefix_len);
    }
    for (size_t i = 0; i < conf->tunnel_count; i++) {
        remove_address(t, nl, &conf->tunnels[i].inner4, other);
        remove_address(t, nl, &conf->tunnels[i].inner6, other);
    }
}

static struct mnl_socket *open_netlink(void)
{
    struct mnl_socket *nl = NULL;
    int error = netlink_open(&nl);

    if (error != 0)
        log_line("netlink: %s", strerror(error));
    return nl;
}

bool tun_add(tun *t, const config *conf, const config *other)
{
    struct mnl_socket *nl = open_netlink();

    if (nl == NULL)
        return false;
    accept_probes(t, conf, other);
    prepare_ipv6(t, conf, other);
    bool done = add_all(t, nl, conf, other);
    if (!done)
        remove_all(t, nl, conf, other);
    netlink_close(nl);
    return done;
}

void tun_remove(tun *t, const config *conf, const config *other)
{
    struct mnl_socket *nl = open_netlink();

    if (nl == NULL)
        return;
    remove_all(t, nl, conf, other);
    netlink_close(nl);
}

/* -------------------------------------------------------------------------------- the device */

static bool set_up(const tun *t)
{
    struct mnl_socket *nl = open_netlink();

    if (nl == NULL)
        return false;
    int error = netlink_up(nl, t->device, TUN_MTU);
    if (error != 0)
        log_line("cannot set %s up with MTU %d: %s", t->name, TUN_MTU, strerror(error));
    netlink_close(nl);
    return error == 0;
}

bool tun_open(tun *t, const config *conf)
{
    const config nothing = {.tunnel_count = 0};

    *t = (tun){.queues = calloc(conf->threads, sizeof *t->queues)};
    if (t->queues == NULL) {
        log_line("%s", strerror(ENOMEM));
        return false;
    }
    memcpy(t->name, conf->tun, sizeof t->name);
    t->count = conf->threads;
    for (unsigned i = 0; i < t->count; i++)
        begin_queue(&t->queues[i]);
    if (!make_device(t))
        return false;
    allow_any_source(t);
    keep_secondary(t);
    warn_without_forwarding("ipv4");
    forbid_own_addresses(t);
    return set_up(t) && tun_add(t, conf, &nothing);
}

void tun_close(tun *t)
{
    for (unsigned i = 0; i < t->count; i++) {
        if (t->queues[i].out_fd >= 0 && t->queues[i].out_fd != t->queues[i].in_fd)
            close(t->queues[i].out_fd);
        if (t->queues[i].in_fd >= 0)
            close(t->queues[i].in_fd);
    }
    free(t->queues);
    *t = (tun){.queues = NULL};
}

/* Multicast (ff00::/8 and 224.0.0.0/4) is the kernel's own talk about group membership. */
static bool is_multicast(const uint8_t *packet, size_t len)
{
    if (len >= 40 && packet[0] >> 4 == TUNNELCAP_IPV6)
        return packet[24] == 0xff;
    return len >= 20 && packet[0] >> 4 == TUNNELCAP_IPV4 && packet[16] >> 4 == 0xe;
}

bool tun_read(tun_queue *q, batch *b)
{
    b->count = 0;
    for (unsigned reads = 0; reads < BATCH_SIZE; reads++) {
        uint8_t *place = batch_place(b, b->count);
        ssize_t got = read(q->in_fd, place, BATCH_ROOM);

        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (got <= 0) {
            int error = got == 0 ? EBADFD : errno;
            log_count(&q->read_errors, error);
            return error != EBADFD; /* what reading says once the device has been deleted */
        }
        if (is_multicast(place, (size_t)got))
            q->multicast++;
        else
            batch_put(b, b->count++, (size_t)got);
    }
    return true;
}

void tun_write(tun_queue *q, const tunnelcap_pkt *pkt)
{
    if (write(q->out_fd, pkt->buf + pkt->off, pkt->len) < 0)
        log_count(&q->write_errors, errno);
}
