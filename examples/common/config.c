/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "config.h"

#include "config_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void read_side(const reader_value *value, void *target)
{
    config *conf = target;
    const char *side = reader_string(value);

    if (side == NULL)
        return;
    if (strcmp(side, "edge") == 0)
        conf->side = CONFIG_SIDE_EDGE;
    else if (strcmp(side, "customer") == 0)
        conf->side = CONFIG_SIDE_CUSTOMER;
    else
        reader_wrong(value, "\"%s\" is neither edge nor customer", side);
}

/* Names of network devices end up as arguments of other programs: no first character that
 * would make them an option, and nothing that the kernel would not have in a name. */
static bool read_device(const reader_value *value, config_device device)
{
    const char *name = reader_string(value);

    if (name == NULL)
        return false;
    size_t len = strlen(name);
    if (len == 0 || len >= CONFIG_NAME_SIZE || name[0] == '-' || name[0] == '!' ||
        strpbrk(name, "/ \t\n\r\v\f%") != NULL || strcmp(name, ".") == 0 ||
        strcmp(name, "..") == 0) {
        reader_wrong(value, "\"%s\" cannot be the name of a network device", name);
        return false;
    }
    memcpy(device, name, len + 1);
    return true;
}

static void read_tun(const reader_value *value, void *target)
{
    read_device(value, ((config *)target)->tun);
}

static void read_threads(const reader_value *value, void *target)
{
    reader_integer(value, 1, CONFIG_MOST_THREADS, &((config *)target)->threads);
}

static void read_place(const reader_value *value, char *place)
{
    const char *name = reader_string(value);
    size_t len = name == NULL ? 0 : strlen(name);

    if (name == NULL)
        return;
    if (len == 0 || len >= CONFIG_PLACE_SIZE)
        reader_wrong(value, "has %zu characters, not 1 to %d", len, CONFIG_PLACE_SIZE - 1);
    else
        memcpy(place, name, len + 1);
}

static void read_region(const reader_value *value, void *target)
{
    read_place(value, ((config *)target)->region);
}

static void read_colo(const reader_value *value, void *target)
{
    read_place(value, ((config *)target)->colo);
}

static void read_ecmp(const reader_value *value, void *target)
{
    const char *mode = reader_string(value);

    if (mode == NULL)
        return;
    if (strcmp(mode, "rendezvous") == 0)
        ((config *)target)->rendezvous = true;
    else if (strcmp(mode, "modulo") != 0)
        reader_wrong(value, "\"%s\" is neither modulo nor rendezvous", mode);
}

static void read_control(const reader_value *value, void *target)
{
    config *conf = target;
    const char *path = reader_string(value);

    if (path == NULL)
        return;
    if (path[0] == '\0' || strlen(path) >= sizeof conf->control)
        reader_wrong(value, "the path has %zu characters, not 1 to %zu", strlen(path),
                     sizeof conf->control - 1);
    else
        memcpy(conf->control, path, strlen(path) + 1);
}

void config_read_path(const reader_value *value, char **path)
{
    const char *text = reader_string(value);

    if (text == NULL)
        return;
    if (text[0] == '\0') {
        reader_wrong(value, "the path is empty");
        return;
    }
    *path = strdup(text);
    if (*path == NULL)
        reader_wrong(value, "%s", strerror(ENOMEM));
}

static void read_state_dir(const reader_value *value, void *target)
{
    config_read_path(value, &((config *)target)->state_dir);
}

static void read_egress_device(const reader_value *value, void *target)
{
    config *conf = target;

    if (!read_device(value, conf->clamp_egress[conf->clamp_egress_count]))
        return;
    conf->clamp_egress_count++;
}

static void read_gro_device(const reader_value *value, void *target)
{
    config *conf = target;

    if (!read_device(value, conf->gro_off[conf->gro_off_count]))
        return;
    conf->gro_off_count++;
}

static void read_gro_off(const reader_value *value, void *target)
{
    reader_array(value, read_gro_device, target);
}

static void read_clamp_egress(const reader_value *value, void *target)
{
    reader_array(value, read_egress_device, target);
}

static void read_gre_tunnels(const reader_value *value, void *target)
{
    reader_array(value, config_read_gre_tunnel, target);
}

static void read_ipip_tunnels(const reader_value *value, void *target)
{
    reader_array(value, config_read_ipip_tunnel, target);
}

static void read_ipsec_tunnels(const reader_value *value, void *target)
{
    reader_array(value, config_read_ipsec_tunnel, target);
}

static void read_routes(const reader_value *value, void *target)
{
    reader_array(value, config_read_route, target);
}

/* In this order: tunnels need to know the side, routes the tunnels and where this server is. */
static const reader_field fields[] = {
    {.name = "side", .handle = read_side, .required = true},
    {.name = "tun", .handle = read_tun},
    {.name = "threads", .handle = read_threads},
    {.name = "region", .handle = read_region},
    {.name = "colo", .handle = read_colo},
    {.name = "ecmp", .handle = read_ecmp},
    {.name = "control", .handle = read_control},
    {.name = "state_dir", .handle = read_state_dir},
    {.name = "clamp_egress", .handle = read_clamp_egress},
    {.name = "gro_off", .handle = read_gro_off},
    {.name = "http", .handle = config_read_http},
    {.name = "history_tunnels", .handle = config_read_history},
    {.name = "gre_tunnels", .handle = read_gre_tunnels},
    {.name = "ipip_tunnels", .handle = read_ipip_tunnels},
    {.name = "ipsec_tunnels", .handle = read_ipsec_tunnels},
    {.name = "routes", .handle = read_routes},
    {.name = NULL},
};

/* Arrays with room for what the file holds; one more, so that none is of size 0. */
static config *make_room(const json_t *root)
{
    size_t tunnels = json_array_size(json_object_get(root, "gre_tunnels")) +
                     json_array_size(json_object_get(root, "ipip_tunnels")) +
                     json_array_size(json_object_get(root, "ipsec_tunnels"));
    size_t routes = json_array_size(json_object_get(root, "routes")) + 2 * tunnels;
    size_t clamped = json_array_size(json_object_get(root, "clamp_egress"));
    size_t unmerged = json_array_size(json_object_get(root, "gro_off"));
    config *conf = calloc(1, sizeof *conf);

    if (conf == NULL)
        return NULL;
    strcpy(conf->tun, CONFIG_DEFAULT_TUN);
    conf->history_tunnels = CONFIG_HISTORIES;
    conf->threads = 1;
    conf->tunnels = calloc(tunnels + 1, sizeof *conf->tunnels);
    conf->routes = calloc(routes + 1, sizeof *conf->routes);
    conf->clamp_egress = calloc(clamped + 1, sizeof *conf->clamp_egress);
    conf->gro_off = calloc(unmerged + 1, sizeof *conf->gro_off);
    if (conf->tunnels != NULL && conf->routes != NULL && conf->clamp_egress != NULL &&
        conf->gro_off != NULL)
        return conf;
    config_free(conf);
    return NULL;
}

static json_t *read_json(reader *rd)
{
    json_error_t error;
    json_t *root = NULL;
    FILE *file = fopen(rd->file, "rb");

    if (file == NULL) {
        reader_mistake(rd, "", "%s", strerror(errno));
        return NULL;
    }
    root = json_loadf(file, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        fprintf(rd->errors, "%s:%d:%d: %s\n", rd->file, error.line, error.column, error.text);
        rd->mistakes++;
    }
    fclose(file);
    return root;
}

/* Watches are no part of a table that is made: its prober's name comes later. */
static void try_watches(tunnelcap_table *table, const config *conf, reader *rd)
{
    static const uint8_t key[TUNNELCAP_PROBE_KEY];
    char path[CONFIG_PATH_SIZE + sizeof ".health_check"];

    tunnelcap_table_set_prober(table, 1, key);
    for (size_t i = 0; i < conf->tunnel_count; i++) {
        int32_t status = config_watch(table, &conf->tunnels[i]);
        if (status == TUNNELCAP_OK)
            continue;
        snprintf(path, sizeof path, "%s.health_check", conf->tunnels[i].path);
        reader_mistake(rd, path, "%s (%s)", tunnelcap_status_text(status),
                       tunnelcap_status_name(status));
    }
}

/* The library has the last word on what it takes; ask it before anything starts. */
static void try_table(const config *conf, reader *rd)
{
    static const uint8_t seed[TUNNELCAP_SEED_SIZE];
    const config_room room = {.tunnels = (uint32_t)conf->tunnel_count,
                              .routes = conf->route_count == 0 ? 1 : (uint32_t)conf->route_count,
                              .lanes = 1};
    tunnelcap_table *table = config_make_table(conf, seed, &room, rd);

    if (table != NULL)
        try_watches(table, conf, rd);
    tunnelcap_table_free(table);
}

config *config_load(const char *file, FILE *errors)
{
    reader rd = {.file = file, .errors = errors};
    json_t *root = read_json(&rd);

    if (root == NULL)
        return NULL;
    config *conf = make_room(root);
    if (conf == NULL) {
        reader_mistake(&rd, "", "%s", strerror(ENOMEM));
        json_decref(root);
        return NULL;
    }
    reader_value top = {.reader = &rd, .json = root};
    reader_object(&top, fields, conf);
    config_connect(conf);
    json_decref(root);

    if (rd.mistakes == 0 && conf->tunnel_count == 0)
        reader_mistake(&rd, "", "there is no tunnel in it");
    if (rd.mistakes == 0)
        try_table(conf, &rd);
    if (rd.mistakes == 0)
        return conf;
    config_free(conf);
    return NULL;
}

void config_free(config *conf)
{
    if (conf == NULL)
        return;
    for (size_t i = 0; i < conf->tunnel_count; i++) {
        config_tunnel *tunnel = &conf->tunnels[i];
        if (tunnel->kind != TUNNELCAP_KIND_ESP)
            continue;
        free(tunnel->encap.esp.key_file);
        free(tunnel->encap.esp.state_dir);
    }
    free(conf->tunnels);
    free(conf->routes);
    free(conf->clamp_egress);
    free(conf->gro_off);
    free(conf->state_dir);
    free(conf);
}

const config_tunnel *config_find(const config *conf, const char *name)
{
    for (size_t i = 0; name[0] != '\0' && i < conf->tunnel_count; i++)
        if (strcmp(conf->tunnels[i].name, name) == 0)
            return &conf->tunnels[i];
    return NULL;
}

const tunnelcap_outer *config_outer(const config_tunnel *tunnel)
{
    switch (tunnel->kind) {
    case TUNNELCAP_KIND_GRE:
        return &tunnel->encap.gre.outer;
    case TUNNELCAP_KIND_IPIP:
        return &tunnel->encap.ipip.outer;
    default:
        return &tunnel->encap.esp.outer;
    }
}

tunnelcap_table *config_table(const config *conf, const uint8_t *seed, const config_room *room,
                              FILE *errors)
{
    reader rd = {.file = "configuration", .errors = errors};

    return config_make_table(conf, seed, room, &rd);
}
