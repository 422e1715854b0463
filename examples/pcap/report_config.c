/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Names of tunnels from a gateway's configuration.
 */
#include "address.h"
#include "config.h"
#include "report.h"

static bool match_ends(const struct tunnel_identity *ends, const tunnelcap_outer *outer)
{
    /* Who of an IPsec tunnel the far end is may not be known beforehand. */
    if (!outer->remote.family)
        return address_equal(&ends->local, &outer->local) ||
               address_equal(&ends->remote, &outer->local);
    return (address_equal(&ends->local, &outer->local) &&
            address_equal(&ends->remote, &outer->remote)) ||
           (address_equal(&ends->local, &outer->remote) &&
            address_equal(&ends->remote, &outer->local));
}

static bool match_gre(const struct tunnel_identity *ends, const tunnelcap_gre_config *gre)
{
    bool keyed = gre->flags & (TUNNELCAP_GRE_KEY_IN | TUNNELCAP_GRE_KEY_OUT);

    return ends->udp_port == (gre->flags & TUNNELCAP_GRE_UDP ? gre->udp_port : 0) &&
           ends->has_key == keyed &&
           (!keyed || ends->key == gre->key_in || ends->key == gre->key_out);
}

static bool match(const struct tunnel_identity *ends, const config_tunnel *tunnel)
{
    return ends->kind == tunnel->kind && match_ends(ends, config_outer(tunnel)) &&
           (tunnel->kind != TUNNELCAP_KIND_GRE || match_gre(ends, &tunnel->encap.gre));
}

bool report_name_tunnels(struct report *report, const char *path)
{
    config *conf = config_load(path, stderr);

    if (!conf)
        return false;
    for (uint32_t i = 0; i < report->scope_count; i++) {
        struct scope *scope = report->scopes[i];

        for (size_t t = 0; scope->kind == SCOPE_TUNNEL && t < conf->tunnel_count; t++) {
            if (!match(&scope->ends, &conf->tunnels[t]))
                continue;
            report_clean(conf->tunnels[t].name, scope->name, sizeof scope->name);
            break;
        }
    }
    config_free(conf);
    return true;
}
