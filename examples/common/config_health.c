/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* health_check of a tunnel. */
#include "address.h"
#include "config_parts.h"

#include <string.h>

static config_health *health_of(void *target)
{
    return &((config_draft *)target)->tunnel->health;
}

static void read_enabled(const reader_value *value, void *target)
{
    reader_boolean(value, &health_of(target)->enabled);
}

/* Which of some words it is; a mistake, and `count`, if none. */
static size_t read_word(const reader_value *value, const char *const words[], size_t count)
{
    const char *word = reader_string(value);

    for (size_t i = 0; word != NULL && i < count; i++)
        if (strcmp(word, words[i]) == 0)
            return i;
    if (word != NULL && count == 2)
        reader_wrong(value, "\"%s\" is not %s or %s", word, words[0], words[1]);
    else if (word != NULL)
        reader_wrong(value, "\"%s\" is not %s, %s or %s", word, words[0], words[1], words[2]);
    return count;
}

static void read_rate(const reader_value *value, void *target)
{
    static const char *const words[] = {"low", "mid", "high"};
    static const uint32_t intervals[] = {TUNNELCAP_HEALTH_RATE_LOW, TUNNELCAP_HEALTH_RATE_MID,
                                         TUNNELCAP_HEALTH_RATE_HIGH};
    size_t found = read_word(value, words, 3);

    if (found < 3)
        health_of(target)->interval_ms = intervals[found];
}

static void read_type(const reader_value *value, void *target)
{
    static const char *const words[] = {"reply", "request"};
    size_t found = read_word(value, words, 2);

    if (found < 2)
        health_of(target)->watch.probe = found == 0 ? TUNNELCAP_ECHO_REPLY : TUNNELCAP_ECHO_REQUEST;
}

static void read_direction(const reader_value *value, void *target)
{
    static const char *const words[] = {[TUNNELCAP_WATCH_BIDIRECTIONAL] = "bidirectional",
                                        [TUNNELCAP_WATCH_UNIDIRECTIONAL] = "unidirectional"};
    size_t found = read_word(value, words, 2);

    if (found < 2)
        health_of(target)->watch.direction = (uint8_t)found;
}

static void read_address(const reader_value *value, void *target)
{
    const char *text = reader_string(value);

    if (text != NULL && !address_parse(text, &health_of(target)->watch.remote))
        reader_wrong(value, "\"%s\" is not an IP address", text);
}

static const reader_field target_fields[] = {
    {.name = "saved", .handle = read_address},
    {.name = "effective"},
    {.name = NULL},
};

/* The service's API takes a string and gives an object. */
static void read_target(const reader_value *value, void *target)
{
    if (json_is_object(value->json))
        reader_object(value, target_fields, target);
    else
        read_address(value, target);
}

static const reader_field fields[] = {
    {.name = "enabled", .handle = read_enabled}, {.name = "rate", .handle = read_rate},
    {.name = "type", .handle = read_type},       {.name = "direction", .handle = read_direction},
    {.name = "target", .handle = read_target},   {.name = NULL},
};

void config_read_health(const reader_value *value, void *target)
{
    config_health *health = health_of(target);

    tunnelcap_watch_init(&health->watch, sizeof health->watch);
    health->watch.direction = TUNNELCAP_WATCH_UNIDIRECTIONAL;
    health->interval_ms = TUNNELCAP_HEALTH_RATE_MID;
    health->enabled = true;
    reader_object(value, fields, target);
}

/* Between the ends outside, or those inside, of the family of the target where one is given. */
static void choose_ends(const config_tunnel *tunnel, tunnelcap_watch *watch)
{
    const tunnelcap_outer *outer = config_outer(tunnel);
    bool ipv6 = watch->remote.family == TUNNELCAP_IPV6 || tunnel->inner4.local.family == 0;
    const config_interface *inner = ipv6 ? &tunnel->inner6 : &tunnel->inner4;
    bool inside = watch->direction == TUNNELCAP_WATCH_BIDIRECTIONAL;

    watch->local = inside ? inner->local : outer->local;
    if (watch->remote.family == 0)
        watch->remote = inside ? inner->remote : outer->remote;
}

void config_complete_health(const config *conf, config_tunnel *tunnel, reader *rd)
{
    tunnelcap_watch *watch = &tunnel->health.watch;
    char path[CONFIG_PATH_SIZE + sizeof ".health_check"];

    /* The edge probes; at the customer the kernel sends probes back, or answers them. */
    if (!tunnel->health.enabled || conf->side != CONFIG_SIDE_EDGE)
        return;
    choose_ends(tunnel, watch);
    snprintf(path, sizeof path, "%s.health_check", tunnel->path);
    if (watch->local.family == 0)
        reader_mistake(rd, path,
                       "is bidirectional, which needs interface_address or interface_address6");
    else if (watch->remote.family == 0)
        reader_mistake(rd, path, "needs a target, since customer_endpoint is not given");
    else if (watch->local.family != watch->remote.family)
        reader_mistake(rd, path, "its target is not of the family of our end");
    else
        tunnel->health.watched = true;
}

int32_t config_watch(tunnelcap_table *table, const config_tunnel *tunnel)
{
    tunnelcap_health_config health;

    if (!tunnel->health.watched)
        return TUNNELCAP_OK;
    tunnelcap_health_config_init(&health, sizeof health);
    health.interval_ms = tunnel->health.interval_ms;
    return tunnelcap_table_watch(table, tunnel->id, &tunnel->health.watch, &health);
}

bool config_same_health(const config_tunnel *a, const config_tunnel *b)
{
    return a->health.watched == b->health.watched &&
           a->health.interval_ms == b->health.interval_ms &&
           memcmp(&a->health.watch, &b->health.watch, sizeof a->health.watch) == 0;
}

bool config_expects_probes(const config *conf)
{
    for (size_t i = 0; i < conf->tunnel_count; i++)
        if (conf->tunnels[i].health.enabled)
            return true;
    return false;
}

bool config_expects_answers(const config *conf)
{
    for (size_t i = 0; i < conf->tunnel_count; i++)
        if (conf->tunnels[i].health.watched &&
            conf->tunnels[i].health.watch.direction == TUNNELCAP_WATCH_UNIDIRECTIONAL)
            return true;
    return false;
}
