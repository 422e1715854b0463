/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * What the sources of the configuration loader share with one another.
 */
#ifndef TUNNELCAP_EXAMPLES_CONFIG_PARTS_H
#define TUNNELCAP_EXAMPLES_CONFIG_PARTS_H

#include "config.h"
#include "reader.h"

/* What the handlers of a tunnel's fields work on. */
typedef struct config_draft {
    const config *conf;
    config_tunnel *tunnel;
} config_draft;

/* Fields of tunnels about packets that do not fit; the target is a config_draft. */
extern const reader_field config_policy_fields[];

/* What follows for the policy of a tunnel once all its fields have been read. */
void config_complete_policy(config_tunnel *tunnel, reader *rd);

/* health_check of a tunnel; the target is a config_draft. */
reader_handler config_read_health;

/* What follows for it once all fields of the tunnel have been read. */
void config_complete_health(const config *conf, config_tunnel *tunnel, reader *rd);

/* Handlers of the elements of gre_tunnels, ipip_tunnels, ipsec_tunnels and routes; the target is
 * the config, whose arrays have room already. */
reader_handler config_read_gre_tunnel;
reader_handler config_read_ipip_tunnel;
reader_handler config_read_ipsec_tunnel;
reader_handler config_read_route;

/* Handlers of http and history_tunnels; the target is the config. */
reader_handler config_read_http;
reader_handler config_read_history;

/* Keep a copy of a path of the file system; a mistake if it is empty. */
void config_read_path(const reader_value *value, char **path);

/* Make routes to the far interface addresses of all tunnels. */
void config_connect(config *conf);

/* As config_table(), with the mistakes counted. */
tunnelcap_table *config_make_table(const config *conf, const uint8_t *seed, const config_room *room,
                                   reader *rd);

#endif
