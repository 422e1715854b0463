/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Two tables, near and far, with one tunnel between them, for tests of what does not fit. */
#ifndef TUNNELCAP_TESTS_TABLE_LINK_H
#define TUNNELCAP_TESTS_TABLE_LINK_H

#include "esp_kit.h"
#include "table_world.h"

enum {
    LINK_GRE,
    LINK_GRE6,
    LINK_GRE_UDP,
    LINK_IPIP,
    LINK_ESP,
    LINK_ESP_UDP6,
    LINK_GRE_ESP,
    LINK_KINDS
};

/* The tunnel has id 5 on both sides. Near are 203.0.113.0/24 and 2001:db8:f::/48, far are
 * 10.1.0.0/16 and fd00:1::/32. */
enum { LINK_ID = 5 };

typedef struct table_link {
    test_toy toy;
    tunnelcap_table *tables[2]; /* near, far */
    tunnelcap_lane *lanes[2];
    tunnelcap_esp *out[2];
    tunnelcap_esp *in[2];
    tunnelcap_reassembly *reassembly[2]; /* the far lane's, for outer and inner fragments */
    uint32_t kind;
    uint32_t mtu; /* inner MTU on a path of 1500 */
} table_link;

/* Policies of both ends, with addresses inside the tunnel: 10.255.0.0 near and 10.255.0.1 far,
 * fd00:ff:: and fd00:ff::1. */
void table_link_policies(tunnelcap_tunnel policies[2]);

void table_link_open(table_link *link, uint32_t kind, const tunnelcap_tunnel policies[2]);
/* The same with a near table of this configuration, or the usual one if it is NULL. */
void table_link_open_as(table_link *link, uint32_t kind, const tunnelcap_tunnel policies[2],
                        const tunnelcap_table_config *near);
void table_link_close(table_link *link);

/* Let the far end reassemble. */
void table_link_reassemble(table_link *link, bool outer, bool inner);

/* Set the tunnel of one end anew. */
void table_link_set(table_link *link, uint32_t end, const tunnelcap_tunnel *policy);

/* A UDP packet of `total` bytes from near to far, or from far to near, in world_frame. */
void table_link_inner(uint32_t from, uint32_t family, uint32_t total, bool df);

/* The outer addresses of what an end sends. */
test_ip table_link_outer(const table_link *link, uint32_t from);

#endif
