/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * tap_gre DEVICE LOCAL REMOTE [KEY [checksum]]: Ethernet frames of a TAP device in GRE, one at a
 * time.
 *
 * The gateway carries IP only; this is the far end for the kernel's gretap and ip6gretap, and for
 * Open vSwitch. What a raw IPv6 socket delivers begins behind the IP header, so it also uses that
 * side of tunnelcap_meta.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <tunnelcap/tunnelcap.h>
#include <unistd.h>

enum { HEADROOM = 128, STORAGE = HEADROOM + 65536 };

typedef union endpoint {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
} endpoint;

typedef struct bridge {
    int tap;
    int in;  /* raw socket that receives GRE */
    int out; /* raw socket that sends whole IP packets */
    endpoint remote;
    tunnelcap_gre *gre;
    tunnelcap_lane *lane;
    tunnelcap_meta meta; /* of packets received */
} bridge;

static void parse_address(const char *text, tunnelcap_addr *addr, endpoint *end)
{
    if (inet_pton(AF_INET, text, &end->in.sin_addr) == 1) {
        end->in.sin_family = AF_INET;
        addr->family = TUNNELCAP_IPV4;
        memcpy(addr->bytes, &end->in.sin_addr, 4);
    } else if (inet_pton(AF_INET6, text, &end->in6.sin6_addr) == 1) {
        end->in6.sin6_family = AF_INET6;
        addr->family = TUNNELCAP_IPV6;
        memcpy(addr->bytes, &end->in6.sin6_addr, 16);
    } else {
        errx(2, "%s is not an IP address", text);
    }
}

static int open_tap(const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK);

    if (tap < 0)
        err(1, "/dev/net/tun");
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    if (ioctl(tap, TUNSETIFF, &request) != 0)
        err(1, "%s", name);
    return tap;
}

static void open_sockets(bridge *b, const endpoint *local)
{
    socklen_t size = local->any.sa_family == AF_INET ? sizeof local->in : sizeof local->in6;

    b->in = socket(local->any.sa_family, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_GRE);
    b->out = socket(local->any.sa_family, SOCK_RAW, IPPROTO_RAW);
    if (b->in < 0 || b->out < 0)
        err(1, "raw socket");
    if (bind(b->in, &local->any, size) != 0)
        err(1, "bind");
    if (connect(b->in, &b->remote.any, size) != 0)
        err(1, "connect");
}

static void make_tunnel(bridge *b, const tunnelcap_gre_config *config)
{
    uint8_t seed[TUNNELCAP_SEED_SIZE];
    tunnelcap_lane_config lane;

    if (getrandom(seed, sizeof seed, 0) != sizeof seed)
        err(1, "getrandom");
    tunnelcap_lane_config_init(&lane, sizeof lane);
    if (tunnelcap_lane_new(&lane, seed, NULL, NULL, &b->lane) != TUNNELCAP_OK)
        errx(1, "no memory for a lane");
    int32_t status = tunnelcap_gre_new(config, NULL, &b->gre);
    if (status != TUNNELCAP_OK)
        errx(1, "GRE: %s", tunnelcap_status_text(status));
    if (config->outer.local.family == TUNNELCAP_IPV4)
        return;
    b->meta.at = TUNNELCAP_AT_IP_PAYLOAD;
    b->meta.proto = IPPROTO_GRE;
    b->meta.src = config->outer.remote;
    b->meta.dst = config->outer.local;
}

static void frames_to_gre(bridge *b, uint8_t *storage)
{
    socklen_t size =
        b->remote.any.sa_family == AF_INET ? sizeof b->remote.in : sizeof b->remote.in6;
    ssize_t got;

    while ((got = read(b->tap, storage + HEADROOM, STORAGE - HEADROOM)) > 0) {
        tunnelcap_pkt pkt = {.buf = storage, .cap = STORAGE, .off = HEADROOM, .len = (uint32_t)got};
        if (tunnelcap_gre_encap(b->gre, b->lane, &pkt, NULL, 0, 1) == 1)
            sendto(b->out, pkt.buf + pkt.off, pkt.len, 0, &b->remote.any, size);
    }
}

/* What a device that is not up refuses is lost, as on any network. */
static void gre_to_frames(bridge *b, uint8_t *storage)
{
    ssize_t got;

    while ((got = recv(b->in, storage, STORAGE, 0)) > 0) {
        tunnelcap_pkt pkt = {.buf = storage, .cap = STORAGE, .len = (uint32_t)got};
        tunnelcap_gre_rx rx;
        if (tunnelcap_gre_decap(b->gre, &pkt, &b->meta, 0, &rx, 1) == 1 &&
            pkt.status == TUNNELCAP_OK && rx.protocol == TUNNELCAP_ETHERTYPE_ETHERNET &&
            write(b->tap, pkt.buf + pkt.off, pkt.len) < 0 && errno != EIO)
            err(1, "write to the TAP device");
    }
}

int main(int argc, char **argv)
{
    static uint8_t storage[STORAGE];
    bridge b = {.tap = -1};
    endpoint local = {.any = {.sa_family = AF_UNSPEC}};
    tunnelcap_gre_config config;

    if (argc < 4 || argc > 6 || (argc == 6 && strcmp(argv[5], "checksum") != 0))
        errx(2, "usage: tap_gre DEVICE LOCAL REMOTE [KEY [checksum]]");
    tunnelcap_gre_config_init(&config, sizeof config);
    config.protocol = TUNNELCAP_ETHERTYPE_ETHERNET;
    parse_address(argv[2], &config.outer.local, &local);
    parse_address(argv[3], &config.outer.remote, &b.remote);
    if (argc > 4) {
        config.flags |= TUNNELCAP_GRE_KEY_IN | TUNNELCAP_GRE_KEY_OUT;
        config.key_in = config.key_out = (uint32_t)strtoul(argv[4], NULL, 0);
    }
    if (argc > 5)
        config.flags |= TUNNELCAP_GRE_CHECKSUM;
    make_tunnel(&b, &config);
    open_sockets(&b, &local);
    b.tap = open_tap(argv[1]);
    for (;;) {
        struct pollfd ready[] = {{.fd = b.tap, .events = POLLIN}, {.fd = b.in, .events = POLLIN}};
        if (poll(ready, 2, -1) < 0)
            err(1, "poll");
        frames_to_gre(&b, storage);
        gre_to_frames(&b, storage);
    }
}
