/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * What is asked of the kernel's rtnetlink(7) about one device. All functions return 0 or an
 * errno value.
 */
#ifndef TUNNELCAP_GATEWAY_NETLINK_H
#define TUNNELCAP_GATEWAY_NETLINK_H

#include <stdint.h>
#include <tunnelcap/tunnelcap.h>

struct mnl_socket;

int netlink_open(struct mnl_socket **nl);
void netlink_close(struct mnl_socket *nl);

/* Set a device's MTU and switch it on. */
int netlink_up(struct mnl_socket *nl, unsigned device, uint32_t mtu);

/* Give a device an address; its prefix is reached through the device from then on. */
int netlink_add_address(struct mnl_socket *nl, unsigned device, const tunnelcap_addr *address,
                        uint8_t prefix_len);

/* Reach a prefix through a device. EEXIST if it has a route already. */
int netlink_add_route(struct mnl_socket *nl, unsigned device, const tunnelcap_addr *prefix,
                      uint8_t prefix_len);

/* Take them back. */
int netlink_remove_address(struct mnl_socket *nl, unsigned device, const tunnelcap_addr *address,
                           uint8_t prefix_len);
int netlink_remove_route(struct mnl_socket *nl, unsigned device, const tunnelcap_addr *prefix,
                         uint8_t prefix_len);

/* Tell through which device an address is reached now. */
int netlink_find_route(struct mnl_socket *nl, const tunnelcap_addr *address, unsigned *device);

#endif
