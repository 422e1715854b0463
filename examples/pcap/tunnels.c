/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "tunnels.h"

#include <err.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct tunnel_identity) == 2 * sizeof(tunnelcap_addr) + 8,
               "an identity has no padding");

static const struct {
    const char *name;
    uint8_t kind;
} kinds[] = {
    {"gre", TUNNELCAP_KIND_GRE},
    {"ipip", TUNNELCAP_KIND_IPIP},
    {"esp", TUNNELCAP_KIND_ESP},
};

/* The identity is the first member, so that a bare one serves as a search key. */
static int compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct tunnel_identity));
}

struct tunnel_identity tunnel_identify(const tunnelcap_peek_result *peek)
{
    struct tunnel_identity identity = {
        .local = peek->dst,
        .remote = peek->src,
        .kind = peek->kind,
        .has_key = peek->kind == TUNNELCAP_KIND_ESP || peek->flags & TUNNELCAP_PEEK_KEY,
        .udp_port = peek->flags & TUNNELCAP_PEEK_UDP ? peek->dst_port : 0,
    };

    identity.key = identity.has_key ? peek->key : 0;
    return identity;
}

struct tunnel *tunnel_set_find(const struct tunnel_set *set, const struct tunnel_identity *identity)
{
    struct tunnel *const *node = tfind(identity, &set->tree, compare);

    return node ? *node : NULL;
}

struct tunnel *tunnel_set_add(struct tunnel_set *set, const struct tunnel_identity *identity)
{
    struct tunnel *tunnel = tunnel_set_find(set, identity);

    if (tunnel)
        return tunnel;
    tunnel = calloc(1, sizeof *tunnel);
    if (tunnel)
        tunnel->identity = *identity;
    if (!tunnel || !tsearch(tunnel, &set->tree, compare)) {
        warn("list of tunnels");
        free(tunnel);
        return NULL;
    }
    if (set->last)
        set->last->next = tunnel;
    else
        set->first = tunnel;
    set->last = tunnel;
    set->count++;
    return tunnel;
}

struct tunnel *tunnel_set_note(struct tunnel_set *set, const struct frame *frame,
                               const tunnelcap_peek_result *peek)
{
    struct tunnel_identity identity = tunnel_identify(peek);
    struct tunnel *tunnel = tunnel_set_add(set, &identity);
    tunnelcap_pkt pkt = frame_packet(frame);

    if (!tunnel)
        return NULL;
    tunnel->packets++;
    tunnel->bytes += link_ip_length(pkt.buf + pkt.off, pkt.len);
    tunnel->seen |= peek->flags;
    return tunnel;
}

void tunnel_set_free(struct tunnel_set *set)
{
    tdestroy(set->tree, free);
    *set = (struct tunnel_set){0};
}

const char *tunnel_kind_name(uint8_t kind)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].kind == kind)
            return kinds[i].name;
    }
    return "none";
}

uint8_t tunnel_kind_parse(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (!strcmp(kinds[i].name, name))
            return kinds[i].kind;
    }
    return TUNNELCAP_KIND_NONE;
}
