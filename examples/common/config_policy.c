/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Fields of tunnels about packets that do not fit, or do not belong there. */
#include "config_parts.h"

#include <string.h>

enum { MIN_IPV4_MTU = 68, MIN_IPV6_MTU = 1280 };

static tunnelcap_tunnel *policy_of(void *target)
{
    return &((config_draft *)target)->tunnel->policy;
}

static void read_flag(const reader_value *value, void *target, uint32_t flags)
{
    tunnelcap_tunnel *policy = policy_of(target);
    bool wanted = false;

    if (!reader_boolean(value, &wanted))
        return;
    policy->flags &= ~flags;
    if (wanted)
        policy->flags |= flags;
}

static void read_clear_df(const reader_value *value, void *target)
{
    read_flag(value, target, TUNNELCAP_TUNNEL_CLEAR_DF);
}

static void read_clamp_mss(const reader_value *value, void *target)
{
    read_flag(value, target, TUNNELCAP_TUNNEL_CLAMP_ENCAP | TUNNELCAP_TUNNEL_CLAMP_DECAP);
}

static void read_reassemble(const reader_value *value, void *target)
{
    read_flag(value, target, TUNNELCAP_TUNNEL_REASSEMBLE);
}

static void read_anti_spoofing(const reader_value *value, void *target)
{
    read_flag(value, target, TUNNELCAP_TUNNEL_ANTI_SPOOF);
}

static void read_drop_martians(const reader_value *value, void *target)
{
    read_flag(value, target, TUNNELCAP_TUNNEL_MARTIANS);
}

/* One of three words, numbered in their order. */
static void read_word(const reader_value *value, const char *const words[3], uint8_t *number)
{
    const char *word = reader_string(value);

    if (word == NULL)
        return;
    for (uint8_t i = 0; i < 3; i++) {
        if (strcmp(word, words[i]) != 0)
            continue;
        *number = i;
        return;
    }
    reader_wrong(value, "\"%s\" is not %s, %s or %s", word, words[0], words[1], words[2]);
}

static void read_fragment(const reader_value *value, void *target)
{
    static const char *const words[] = {[TUNNELCAP_FRAGMENT_INNER] = "inner",
                                        [TUNNELCAP_FRAGMENT_OUTER] = "outer",
                                        [TUNNELCAP_FRAGMENT_REFUSE] = "refuse"};

    read_word(value, words, &policy_of(target)->fragment_mode);
}

static void read_path_mtu(const reader_value *value, void *target)
{
    reader_integer(value, MIN_IPV4_MTU, UINT16_MAX, &policy_of(target)->path_mtu);
}

static void read_path_mtu_discovery(const reader_value *value, void *target)
{
    static const char *const words[] = {[TUNNELCAP_PMTU_FIXED] = "fixed",
                                        [TUNNELCAP_PMTU_LEARN] = "learn",
                                        [TUNNELCAP_PMTU_PROBE] = "probe"};

    read_word(value, words, &policy_of(target)->pmtu_mode);
}

static void read_path_mtu_floor(const reader_value *value, void *target)
{
    reader_integer(value, MIN_IPV4_MTU, MIN_IPV6_MTU, &policy_of(target)->path_floor);
}

const reader_field config_policy_fields[] = {
    {.name = "clear_dont_fragment_bit", .handle = read_clear_df},
    {.name = "clamp_mss", .handle = read_clamp_mss},
    {.name = "fragment", .handle = read_fragment},
    {.name = "reassemble", .handle = read_reassemble},
    {.name = "path_mtu", .handle = read_path_mtu},
    {.name = "path_mtu_discovery", .handle = read_path_mtu_discovery},
    {.name = "path_mtu_floor", .handle = read_path_mtu_floor},
    {.name = "anti_spoofing", .handle = read_anti_spoofing},
    {.name = "drop_martians", .handle = read_drop_martians},
    {.name = NULL},
};

void config_complete_policy(config_tunnel *tunnel, reader *rd)
{
    tunnelcap_tunnel *policy = &tunnel->policy;
    const tunnelcap_addr *local = &config_outer(tunnel)->local;

    /* A tunnel without addresses of its own speaks from its endpoint, as routers do on links
     * without addresses. */
    policy->interface4 = tunnel->inner4.local;
    policy->interface6 = tunnel->inner6.local;
    if (policy->interface4.family == 0 && local->family == TUNNELCAP_IPV4)
        policy->interface4 = *local;
    if (policy->interface6.family == 0 && local->family == TUNNELCAP_IPV6)
        policy->interface6 = *local;

    if (policy->pmtu_mode != TUNNELCAP_PMTU_PROBE)
        return;
    policy->probe =
        tunnel->inner4.remote.family != 0 ? tunnel->inner4.remote : tunnel->inner6.remote;
    if (policy->probe.family == 0)
        reader_mistake(rd, tunnel->path,
                       "path_mtu_discovery is probe, which needs interface_address or "
                       "interface_address6 to probe");
}
