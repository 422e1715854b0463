/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "path.h"

#include "address.h"
#include "log.h"
#include "netlink.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Whether a device merges received packets (generic receive offload). */
static bool merges(const char *name)
{
    struct ethtool_value gro = {.cmd = ETHTOOL_GGRO};
    struct ifreq request = {.ifr_data = (char *)&gro};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return false;
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    bool on = ioctl(fd, SIOCETHTOOL, &request) == 0 && gro.data != 0;
    close(fd);
    return on;
}

/* The kernel merges TCP segments inside GRE and IP in IP before a raw socket sees them, and
 * leaves their checksum for hardware to finish. Such packets are worthless to us. */
static void warn_about_merging(unsigned device)
{
    char name[IF_NAMESIZE];

    if (if_indextoname(device, name) != NULL && merges(name))
        log_line("note: %s merges packets, which damages TCP in tunnels: ethtool -K %s gro off",
                 name, name);
}

/* A far endpoint that is reached through the TUN device would make outer packets inner ones,
 * for ever. One that is not reached at all may still be later. */
bool path_check(struct mnl_socket *nl, const config *conf, unsigned tun_device)
{
    char text[ADDRESS_TEXT_SIZE];
    unsigned before = 0;

    for (size_t i = 0; i < conf->tunnel_count; i++) {
        const config_tunnel *tunnel = &conf->tunnels[i];
        const tunnelcap_addr *remote = &config_outer(tunnel)->remote;
        unsigned device = 0;

        if (remote->family == 0 || netlink_find_route(nl, remote, &device) != 0)
            continue;
        if (device == tun_device) {
            log_line("%s: the way to its far endpoint %s leads into the tunnels themselves: give "
                     "the host a more specific route to it",
                     tunnel->path, address_text(remote, text));
            return false;
        }
        if (device != before && tunnel->kind != TUNNELCAP_KIND_ESP)
            warn_about_merging(device);
        before = device;
    }
    return true;
}
