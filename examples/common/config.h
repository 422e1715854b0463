/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The configuration file of the example programs: tunnels and routes in JSON, in the shape that
 * users of an anycast scrubbing service already have. tunnelcap-gateway(8) describes the fields.
 *
 * One file describes both ends; `side` says which of them we are. All that is here is seen from
 * our side: `local` is our end, `remote` the far one.
 */
#ifndef TUNNELCAP_EXAMPLES_CONFIG_H
#define TUNNELCAP_EXAMPLES_CONFIG_H

#include <stdbool.h>
#include <stdio.h>
#include <tunnelcap/tunnelcap.h>

enum {
    CONFIG_NAME_SIZE = 16,      /* names of tunnels and of network devices, with their end */
    CONFIG_LONG_NAME_SIZE = 64, /* names of IPsec tunnels, with their end */
    CONFIG_PLACE_SIZE = 64,     /* names of regions and data centres, with their end */
    CONFIG_PATH_SIZE = 40,      /* "ipsec_tunnels[4294967295]", with its end */
    CONFIG_CONTROL_SIZE = 108,  /* path of a UNIX socket, with its end */
    CONFIG_MIN_MTU = 576,
    CONFIG_HISTORIES = 256, /* tunnels with a history, unless the file gives another number */
    CONFIG_MOST_HISTORIES = 1 << 20,
    CONFIG_MOST_THREADS = 64
};

/* Name of the TUN device unless the file gives another. */
#define CONFIG_DEFAULT_TUN "tunnelcap0"

enum config_side { CONFIG_SIDE_NONE, CONFIG_SIDE_EDGE, CONFIG_SIDE_CUSTOMER };

/* The addresses inside a tunnel, of one family; family 0 if the tunnel has none. */
typedef struct config_interface {
    tunnelcap_addr local;
    tunnelcap_addr remote;
    uint8_t prefix_len;
} config_interface;

/* What the file says of an IPsec tunnel. Its keys are elsewhere. */
typedef struct config_esp {
    tunnelcap_outer outer;  /* remote has family 0 where the far end is not known beforehand */
    char *key_file;         /* the SAs of this tunnel */
    char *state_dir;        /* where sender ids are remembered */
    bool udp;               /* ESP in UDP (RFC 3948) */
    bool replay_protection; /* check sequence numbers of what comes in */
    bool allow_null_cipher; /* permit SAs that do not encrypt */
} config_esp;

/* How the health of a tunnel is looked after. */
typedef struct config_health {
    bool enabled; /* by the file, at whichever end */
    bool watched; /* by us: the rest is set */
    uint32_t interval_ms;
    tunnelcap_watch watch;
} config_health;

/* A tunnel, ready for tunnelcap_table_set_gre() or tunnelcap_table_set_ipip(), or to be given SAs
 * for tunnelcap_table_set_esp(). */
typedef struct config_tunnel {
    uint64_t id; /* its place in config.tunnels plus one; see config_adopt() */
    char name[CONFIG_LONG_NAME_SIZE];
    char path[CONFIG_PATH_SIZE]; /* where it stands in the file: "gre_tunnels[2]" */
    uint8_t kind;                /* TUNNELCAP_KIND_GRE, _IPIP or _ESP */
    config_interface inner4;
    config_interface inner6;
    tunnelcap_tunnel policy;
    config_health health;
    union {
        tunnelcap_gre_config gre;   /* where kind is GRE */
        tunnelcap_ipip_config ipip; /* where kind is IPIP */
        config_esp esp;             /* where kind is ESP */
    } encap;
} config_tunnel;

/* A route into a tunnel. */
typedef struct config_route {
    tunnelcap_route route;
    char path[CONFIG_PATH_SIZE]; /* "routes[0]", or that of the tunnel */
    bool connected;              /* the far interface address: made up from the tunnel itself */
} config_route;

/* Where pages are served over HTTP; port 0 for nowhere. */
typedef struct config_http {
    tunnelcap_addr address;
    uint16_t port;
} config_http;

/* Name of a network device. */
typedef char config_device[CONFIG_NAME_SIZE];

/* Name of a region or a data centre. */
typedef char config_place[CONFIG_PLACE_SIZE];

typedef struct config {
    enum config_side side;
    config_device tun;
    uint32_t threads;                  /* that carry packets, at least 1 */
    config_place region;               /* where this server is; empty: nothing is said of it */
    config_place colo;                 /* the data centre; the same */
    bool rendezvous;                   /* how equal routes share flows */
    char control[CONFIG_CONTROL_SIZE]; /* empty unless given */
    char *state_dir;                   /* of IPsec tunnels that name none; or NULL */
    config_tunnel *tunnels;            /* at least one */
    size_t tunnel_count;
    config_route *routes;
    size_t route_count;
    config_device *clamp_egress;
    size_t clamp_egress_count;
    config_device *gro_off;
    size_t gro_off_count;
    config_http http;
    uint32_t history_tunnels; /* at most so many tunnels have a history */
} config;

/* Read a file. Every mistake is written to `errors` as one line with the file's name and its
 * line and column (syntax) or JSON path (meaning); NULL is returned if there was any. */
config *config_load(const char *file, FILE *errors);

/* Return what config_load() gave; NULL is no harm. */
void config_free(config *conf);

/* The tunnel of this name, or NULL. */
const config_tunnel *config_find(const config *conf, const char *name);

/* The outer header policy of a tunnel of any kind: its endpoints, TTL and the like. */
const tunnelcap_outer *config_outer(const config_tunnel *tunnel);

/* Give the tunnels that a running configuration has too, of the same name and kind, the ids that
 * they have there, and ids that are free there to all others. False if there are none left up to
 * `most`. */
bool config_adopt(config *conf, const config *running, uint64_t most);

/* Whether the table would have two tunnels alike. Of IPsec tunnels this leaves out their SAs. */
bool config_same_tunnel(const config_tunnel *a, const config_tunnel *b);

/* The route of the same prefix into the tunnel of the same id, or NULL. */
const config_route *config_find_route(const config *conf, const tunnelcap_route *route);

/* The tunnel of this id, or NULL. */
const config_tunnel *config_find_id(const config *conf, uint64_t id);

/* Add a tunnel to a table in change, or replace it; an IPsec tunnel is without SA then. */
int32_t config_set_tunnel(tunnelcap_table *table, const config_tunnel *tunnel);

/* Watch a tunnel of a table that knows its prober, if it is to be watched. */
int32_t config_watch(tunnelcap_table *table, const config_tunnel *tunnel);

bool config_same_health(const config_tunnel *a, const config_tunnel *b);

/* Whether probes come in, at either end; and whether their answers come outside of tunnels. */
bool config_expects_probes(const config *conf);
bool config_expects_answers(const config *conf);

/* What a table is to have room for. */
typedef struct config_room {
    uint32_t tunnels;
    uint32_t histories;
    uint32_t routes;
    uint32_t lanes;
} config_room;

/* A table of all tunnels and routes; IPsec tunnels have no SAs and,
 * unless the file gives one, a provisional MTU in it. The configuration that
 * config_load() returned has been through this already, so NULL means that memory is short
 * (and `errors` says so). Free it with tunnelcap_table_free(). */
tunnelcap_table *config_table(const config *conf, const uint8_t *seed, const config_room *room,
                              FILE *errors);

#endif
