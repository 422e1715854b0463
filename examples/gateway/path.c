/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "path.h"

#include "address.h"
#include "log.h"
#include "merging.h"
#include "netlink.h"

#include <net/if.h>

static void warn_about_merging(unsigned device)
{
    char name[IF_NAMESIZE];

    if (if_indextoname(device, name) != NULL && merging_is_on(name))
        log_line("note: %s merges packets, which damages TCP in tunnels: \"gro_off\": [\"%s\"] "
                 "switches that off",
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
