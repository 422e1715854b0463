/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * udp_encap: hold UDP port 4500 as an IKE daemon does. Linux gives ESP in UDP to its IPsec only
 * where such a socket exists. Runs in the guest, in the background.
 */
#include <err.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORT = 4500, ENCAP_OPTION = 100, ESP_IN_UDP = 2 }; /* linux/udp.h */

static void hold(const struct sockaddr *address, socklen_t size)
{
    int one = 1;
    int kind = ESP_IN_UDP;
    int udp = socket(address->sa_family, SOCK_DGRAM, 0);

    if (udp < 0)
        err(1, "socket");
    if (address->sa_family == AF_INET6 &&
        setsockopt(udp, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) != 0)
        err(1, "IPV6_V6ONLY");
    if (bind(udp, address, size) != 0)
        err(1, "bind");
    if (setsockopt(udp, IPPROTO_UDP, ENCAP_OPTION, &kind, sizeof kind) != 0)
        err(1, "UDP_ENCAP");
}

int main(void)
{
    struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};

    hold((const struct sockaddr *)&any4, sizeof any4);
    hold((const struct sockaddr *)&any6, sizeof any6);
    if (daemon(0, 0) != 0)
        err(1, "daemon");
    for (;;)
        pause();
}
