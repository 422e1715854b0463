/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The elements of routes. */
#include "address.h"
#include "config_parts.h"

#include <string.h>

enum { MOST_WEIGHT = 256 };

/* A region that no server is in: the table of each calls its own region 0. */
enum { ELSEWHERE = 2 };

/* What the handlers of a route's fields work on. */
typedef struct draft {
    const config *conf;
    config_route *made;
    bool in_scope;
} draft;

static void read_prefix(const reader_value *value, void *target)
{
    tunnelcap_route *route = &((draft *)target)->made->route;
    const char *text = reader_string(value);
    char network[ADDRESS_TEXT_SIZE];

    if (text == NULL)
        return;
    if (!address_parse_prefix(text, &route->prefix, &route->prefix_len))
        reader_wrong(value, "\"%s\" is not an IP prefix", text);
    else if (!address_mask(&route->prefix, route->prefix_len))
        reader_wrong(value, "%s has bits behind the prefix; %s/%u has not", text,
                     address_text(&route->prefix, network), route->prefix_len);
}

static void read_tunnel(const reader_value *value, void *target)
{
    draft *d = target;
    const char *name = reader_string(value);
    const config_tunnel *tunnel = name == NULL ? NULL : config_find(d->conf, name);

    if (tunnel != NULL)
        d->made->route.tunnel = tunnel->id;
    else if (name != NULL)
        reader_wrong(value, "there is no tunnel \"%s\"", name);
}

/* The far interface address names the tunnel. */
static void read_nexthop(const reader_value *value, void *target)
{
    draft *d = target;
    const char *text = reader_string(value);
    tunnelcap_addr nexthop;
    char far[ADDRESS_TEXT_SIZE];

    if (text == NULL)
        return;
    if (!address_parse(text, &nexthop)) {
        reader_wrong(value, "\"%s\" is not an IP address", text);
        return;
    }
    for (size_t i = 0; i < d->conf->tunnel_count; i++) {
        const config_tunnel *tunnel = &d->conf->tunnels[i];
        const config_interface *inner =
            nexthop.family == TUNNELCAP_IPV4 ? &tunnel->inner4 : &tunnel->inner6;

        if (address_equal(&inner->remote, &nexthop)) {
            d->made->route.tunnel = tunnel->id;
            return;
        }
        if (address_equal(&inner->local, &nexthop)) {
            reader_wrong(value, "%s is our own end of %s; the far one is %s", text, tunnel->path,
                         address_text(&inner->remote, far));
            return;
        }
    }
    reader_wrong(value, "no tunnel has the interface address %s at its far end", text);
}

static void read_priority(const reader_value *value, void *target)
{
    reader_integer(value, 0, UINT32_MAX, &((draft *)target)->made->route.priority);
}

static void read_weight(const reader_value *value, void *target)
{
    uint32_t weight = 0;

    if (reader_integer(value, 1, MOST_WEIGHT, &weight))
        ((draft *)target)->made->route.weight = (uint16_t)weight;
}

static void compare_place(const reader_value *value, const char *ours, draft *d)
{
    const char *name = reader_string(value);

    if (name != NULL && ours[0] != '\0' && strcmp(name, ours) == 0)
        d->in_scope = true;
}

static void compare_region(const reader_value *value, void *target)
{
    compare_place(value, ((draft *)target)->conf->region, target);
}

static void compare_colo(const reader_value *value, void *target)
{
    compare_place(value, ((draft *)target)->conf->colo, target);
}

static void read_colo_regions(const reader_value *value, void *target)
{
    reader_array(value, compare_region, target);
}

static void read_colo_names(const reader_value *value, void *target)
{
    reader_array(value, compare_colo, target);
}

static const reader_field scope_fields[] = {
    {.name = "colo_regions", .handle = read_colo_regions},
    {.name = "colo_names", .handle = read_colo_names},
    {.name = NULL},
};

/* A scope of no names is none; nor does it matter to a server that is not told where it is. */
static void read_scope(const reader_value *value, void *target)
{
    draft *d = target;
    size_t names = json_array_size(json_object_get(value->json, "colo_regions")) +
                   json_array_size(json_object_get(value->json, "colo_names"));

    reader_object(value, scope_fields, d);
    if (names == 0 || (d->conf->region[0] == '\0' && d->conf->colo[0] == '\0'))
        d->in_scope = true;
    if (!d->in_scope)
        d->made->route.regions = ELSEWHERE;
}

static const reader_field fields[] = {
    {.name = "prefix", .handle = read_prefix, .required = true},
    {.name = "nexthop", .handle = read_nexthop},
    {.name = "tunnel", .handle = read_tunnel},
    {.name = "priority", .handle = read_priority},
    {.name = "weight", .handle = read_weight},
    {.name = "id"},
    {.name = "description"},
    {.name = "scope", .handle = read_scope},
    {.name = "created_on"},
    {.name = "modified_on"},
    {.name = NULL},
};

/* The route before `made` for the same prefix into the same tunnel, or NULL. */
static const config_route *find_twin(const draft *d)
{
    const tunnelcap_route *mine = &d->made->route;

    for (const config_route *other = d->conf->routes; other < d->made; other++)
        if (mine->tunnel != 0 && mine->tunnel == other->route.tunnel &&
            mine->prefix_len == other->route.prefix_len &&
            address_equal(&mine->prefix, &other->route.prefix))
            return other;
    return NULL;
}

static bool has(const reader_value *object, const char *field)
{
    const json_t *json = json_object_get(object->json, field);

    return json != NULL && !json_is_null(json);
}

static config_route *add_route(config *conf, const char *path)
{
    config_route *made = &conf->routes[conf->route_count++];

    memset(made, 0, sizeof *made);
    snprintf(made->path, sizeof made->path, "%.*s", CONFIG_PATH_SIZE - 1, path);
    tunnelcap_route_init(&made->route, sizeof made->route);
    return made;
}

void config_read_route(const reader_value *value, void *target)
{
    config *conf = target;
    draft d = {.conf = conf, .made = add_route(conf, value->path)};

    reader_object(value, fields, &d);
    if (has(value, "nexthop") == has(value, "tunnel") && json_is_object(value->json))
        reader_wrong(value, "needs either nexthop or tunnel");
    const config_route *twin = find_twin(&d);
    if (twin != NULL)
        reader_wrong(value, "leads the same prefix into the same tunnel as %s", twin->path);
}

static void connect_one(config *conf, const config_tunnel *tunnel, const config_interface *inner)
{
    if (inner->remote.family == 0)
        return;
    config_route *made = add_route(conf, tunnel->path);
    made->connected = true;
    made->route.tunnel = tunnel->id;
    made->route.priority = 0;
    made->route.prefix = inner->remote;
    made->route.prefix_len = (uint8_t)(address_size(inner->remote.family) * 8);
}

void config_connect(config *conf)
{
    for (size_t i = 0; i < conf->tunnel_count; i++) {
        connect_one(conf, &conf->tunnels[i], &conf->tunnels[i].inner4);
        connect_one(conf, &conf->tunnels[i], &conf->tunnels[i].inner6);
    }
}
