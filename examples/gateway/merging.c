/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "merging.h"

#include "log.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Returns 0 or an errno. */
static int ask(const char *device, struct ethtool_value *value)
{
    struct ifreq request = {.ifr_data = (char *)value};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return errno;
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", device);
    int error = ioctl(fd, SIOCETHTOOL, &request) == 0 ? 0 : errno;
    close(fd);
    return error;
}

bool merging_is_on(const char *device)
{
    struct ethtool_value gro = {.cmd = ETHTOOL_GGRO};

    return ask(device, &gro) == 0 && gro.data != 0;
}

bool merging_open(merging *m, const config *conf)
{
    *m = (merging){.devices = calloc(conf->gro_off_count + 1, sizeof *m->devices)};
    if (m->devices == NULL) {
        log_line("%s", strerror(ENOMEM));
        return false;
    }
    for (size_t i = 0; i < conf->gro_off_count; i++) {
        const char *device = conf->gro_off[i];
        struct ethtool_value before = {.cmd = ETHTOOL_GGRO};
        struct ethtool_value off = {.cmd = ETHTOOL_SGRO};

        int error = ask(device, &before);
        if (error == 0 && before.data != 0) {
            error = ask(device, &off);
            if (error == 0)
                memcpy(m->devices[m->count++], device, sizeof *m->devices);
        }
        if (error != 0) {
            log_line("gro_off: %s: cannot switch off generic receive offload: %s", device,
                     strerror(error));
            return false;
        }
    }
    return true;
}

void merging_close(merging *m)
{
    for (size_t i = 0; i < m->count; i++) {
        struct ethtool_value on = {.cmd = ETHTOOL_SGRO, .data = 1};
        ask(m->devices[i], &on);
    }
    free(m->devices);
    *m = (merging){.devices = NULL};
}
