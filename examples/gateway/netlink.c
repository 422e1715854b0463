/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "netlink.h"

#include "address.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <time.h>

enum { MESSAGE_SIZE = 1024 };

/* A request under construction, aligned as netlink demands. */
typedef union message {
    struct nlmsghdr header;
    char bytes[MESSAGE_SIZE];
} message;

int netlink_open(struct mnl_socket **nl)
{
    *nl = mnl_socket_open(NETLINK_ROUTE);
    if (*nl == NULL)
        return errno;
    if (mnl_socket_bind(*nl, 0, MNL_SOCKET_AUTOPID) == 0)
        return 0;
    int error = errno;
    mnl_socket_close(*nl);
    *nl = NULL;
    return error;
}

void netlink_close(struct mnl_socket *nl)
{
    if (nl != NULL)
        mnl_socket_close(nl);
}

static unsigned char family_of(const tunnelcap_addr *address)
{
    return address->family == TUNNELCAP_IPV6 ? AF_INET6 : AF_INET;
}

/* Begin a request; returns its family-specific header of `size` zero bytes. */
static void *begin(message *m, uint16_t type, uint16_t flags, size_t size)
{
    struct nlmsghdr *header = mnl_nlmsg_put_header(m->bytes);

    header->nlmsg_type = type;
    header->nlmsg_flags = NLM_F_REQUEST | flags;
    header->nlmsg_seq = (uint32_t)time(NULL);
    return mnl_nlmsg_put_extra_header(header, size);
}

static void put_address(message *m, uint16_t type, const tunnelcap_addr *address)
{
    mnl_attr_put(&m->header, type, address_size(address->family), address->bytes);
}

/* Send a request and run its answers through a callback, or none. */
static int ask(struct mnl_socket *nl, const message *m, mnl_cb_t callback, void *arg)
{
    char answer[8192];

    if (mnl_socket_sendto(nl, m, m->header.nlmsg_len) < 0)
        return errno;
    ssize_t got = mnl_socket_recvfrom(nl, answer, sizeof answer);
    if (got < 0)
        return errno;
    if (mnl_cb_run(answer, (size_t)got, m->header.nlmsg_seq, mnl_socket_get_portid(nl), callback,
                   arg) < 0)
        return errno;
    return 0;
}

int netlink_up(struct mnl_socket *nl, unsigned device, uint32_t mtu)
{
    message m = {0};
    struct ifinfomsg *link = begin(&m, RTM_NEWLINK, NLM_F_ACK, sizeof *link);

    link->ifi_index = (int)device;
    link->ifi_flags = IFF_UP;
    link->ifi_change = IFF_UP;
    mnl_attr_put_u32(&m.header, IFLA_MTU, mtu);
    return ask(nl, &m, NULL, NULL);
}

/* Add an address or take it back. */
static int change_address(struct mnl_socket *nl, uint16_t type, uint16_t flags, unsigned device,
                          const tunnelcap_addr *address, uint8_t prefix_len)
{
    message m = {0};
    struct ifaddrmsg *changed = begin(&m, type, NLM_F_ACK | flags, sizeof *changed);

    changed->ifa_family = family_of(address);
    changed->ifa_prefixlen = prefix_len;
    changed->ifa_index = device;
    changed->ifa_flags = IFA_F_NODAD; /* nobody could object in a tunnel */
    put_address(&m, IFA_LOCAL, address);
    put_address(&m, IFA_ADDRESS, address);
    return ask(nl, &m, NULL, NULL);
}

int netlink_add_address(struct mnl_socket *nl, unsigned device, const tunnelcap_addr *address,
                        uint8_t prefix_len)
{
    return change_address(nl, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, device, address, prefix_len);
}

int netlink_remove_address(struct mnl_socket *nl, unsigned device, const tunnelcap_addr *address,
                           uint8_t prefix_len)
{
    return change_address(nl, RTM_DELADDR, 0, device, address, prefix_len);
}

static int change_route(struct mnl_socket *nl, uint16_t type, uint16_t flags, unsigned device,
                        const tunnelcap_addr *prefix, uint8_t prefix_len)
{
    message m = {0};
    struct rtmsg *route = begin(&m, type, NLM_F_ACK | flags, sizeof *route);

    route->rtm_family = family_of(prefix);
    route->rtm_dst_len = prefix_len;
    route->rtm_table = RT_TABLE_MAIN;
    route->rtm_protocol = RTPROT_STATIC;
    route->rtm_scope = prefix->family == TUNNELCAP_IPV4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    route->rtm_type = RTN_UNICAST;
    put_address(&m, RTA_DST, prefix);
    mnl_attr_put_u32(&m.header, RTA_OIF, device);
    return ask(nl, &m, NULL, NULL);
}

int netlink_add_route(struct mnl_socket *nl, unsigned device, const tunnelcap_addr *prefix,
                      uint8_t prefix_len)
{
    return change_route(nl, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, device, prefix, prefix_len);
}

int netlink_remove_route(struct mnl_socket *nl, unsigned device, const tunnelcap_addr *prefix,
                         uint8_t prefix_len)
{
    return change_route(nl, RTM_DELROUTE, 0, device, prefix, prefix_len);
}

static int take_device_attribute(const struct nlattr *attribute, void *arg)
{
    unsigned *device = arg;

    if (mnl_attr_get_type(attribute) == RTA_OIF)
        *device = mnl_attr_get_u32(attribute);
    return MNL_CB_OK;
}

static int take_device(const struct nlmsghdr *header, void *arg)
{
    return mnl_attr_parse(header, sizeof(struct rtmsg), take_device_attribute, arg);
}

int netlink_find_route(struct mnl_socket *nl, const tunnelcap_addr *address, unsigned *device)
{
    message m = {0};
    struct rtmsg *route = begin(&m, RTM_GETROUTE, 0, sizeof *route);

    route->rtm_family = family_of(address);
    route->rtm_dst_len = (unsigned char)(address_size(address->family) * 8);
    put_address(&m, RTA_DST, address);
    *device = 0;
    return ask(nl, &m, take_device, device);
}
