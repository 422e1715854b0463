/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The elements of gre_tunnels, ipip_tunnels and ipsec_tunnels. */
#include "address.h"
#include "config_parts.h"

#include <string.h>

static tunnelcap_outer *outer_of(config_tunnel *tunnel)
{
    return (tunnelcap_outer *)(uintptr_t)config_outer(tunnel);
}

static void read_name(const reader_value *value, void *target)
{
    config_draft *d = target;
    const char *name = reader_string(value);
    size_t size = d->tunnel->kind == TUNNELCAP_KIND_ESP ? CONFIG_LONG_NAME_SIZE : CONFIG_NAME_SIZE;

    if (name == NULL)
        return;
    size_t len = strlen(name);
    if (len == 0 || len >= size)
        reader_wrong(value, "\"%s\" has %zu characters, not 1 to %zu", name, len, size - 1);
    else if (strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") !=
             len)
        reader_wrong(value, "\"%s\" has characters other than letters, digits, _ and -", name);
    else if (config_find(d->conf, name) != NULL)
        reader_wrong(value, "\"%s\" is the name of %s too", name, config_find(d->conf, name)->path);
    else
        memcpy(d->tunnel->name, name, len + 1);
}

static void read_endpoint(const reader_value *value, tunnelcap_addr *end)
{
    const char *text = reader_string(value);

    if (text != NULL && !address_parse(text, end))
        reader_wrong(value, "\"%s\" is not an IP address", text);
}

static void read_edge_endpoint(const reader_value *value, void *target)
{
    config_draft *d = target;
    tunnelcap_outer *outer = outer_of(d->tunnel);

    read_endpoint(value, d->conf->side == CONFIG_SIDE_EDGE ? &outer->local : &outer->remote);
}

static void read_customer_endpoint(const reader_value *value, void *target)
{
    config_draft *d = target;
    tunnelcap_outer *outer = outer_of(d->tunnel);

    read_endpoint(value, d->conf->side == CONFIG_SIDE_EDGE ? &outer->remote : &outer->local);
    if (outer->local.family == 0 || outer->remote.family == 0)
        return;
    if (outer->local.family != outer->remote.family)
        reader_wrong(value, "one endpoint is IPv4 and the other IPv6");
    else if (address_equal(&outer->local, &outer->remote))
        reader_wrong(value, "both endpoints are the same");
}

static const config_interface *interface_of(const config_tunnel *tunnel, uint8_t family)
{
    return family == TUNNELCAP_IPV4 ? &tunnel->inner4 : &tunnel->inner6;
}

/* The tunnel before `tunnel` whose interface network shares addresses with `inner`, or NULL. */
static const config_tunnel *find_overlap(const config_draft *d, const config_interface *inner)
{
    for (const config_tunnel *other = d->conf->tunnels; other < d->tunnel; other++) {
        const config_interface *its = interface_of(other, inner->local.family);
        uint8_t shorter = its->prefix_len < inner->prefix_len ? its->prefix_len : inner->prefix_len;
        tunnelcap_addr a = its->local;
        tunnelcap_addr b = inner->local;

        address_mask(&a, shorter);
        address_mask(&b, shorter);
        if (a.family != 0 && address_equal(&a, &b))
            return other;
    }
    return NULL;
}

/* The address in the file is the edge's; the customer has the other one of the same network. */
static void read_interface(const reader_value *value, const config_draft *d, uint8_t family,
                           const char *wanted, config_interface *inner)
{
    const char *text = reader_string(value);
    config_interface found = {.prefix_len = 0};

    if (text == NULL)
        return;
    if (!address_parse_prefix(text, &found.local, &found.prefix_len) ||
        found.local.family != family ||
        !address_peer(&found.local, found.prefix_len, &found.remote)) {
        reader_wrong(value, "\"%s\" is not %s", text, wanted);
        return;
    }
    const config_tunnel *other = find_overlap(d, &found);
    if (other != NULL) {
        reader_wrong(value, "%s is in the network of %s", text, other->path);
        return;
    }
    if (d->conf->side == CONFIG_SIDE_CUSTOMER) {
        tunnelcap_addr edge = found.local;
        found.local = found.remote;
        found.remote = edge;
    }
    *inner = found;
}

static void read_interface4(const reader_value *value, void *target)
{
    config_draft *d = target;

    read_interface(value, d, TUNNELCAP_IPV4, "an IPv4 host of a /31 or /30", &d->tunnel->inner4);
}

static void read_interface6(const reader_value *value, void *target)
{
    config_draft *d = target;

    read_interface(value, d, TUNNELCAP_IPV6, "an IPv6 host of a /127", &d->tunnel->inner6);
}

static void read_ttl(const reader_value *value, void *target)
{
    config_draft *d = target;
    uint32_t ttl = 0;

    if (reader_integer(value, 0, UINT8_MAX, &ttl))
        outer_of(d->tunnel)->ttl = (uint8_t)ttl;
}

static void read_mtu(const reader_value *value, void *target)
{
    config_draft *d = target;

    reader_integer(value, CONFIG_MIN_MTU, UINT16_MAX, &d->tunnel->policy.mtu);
}

static void read_encap_limit(const reader_value *value, void *target)
{
    config_draft *d = target;
    tunnelcap_outer *outer = outer_of(d->tunnel);
    uint32_t limit = 0;

    if (!reader_integer(value, 0, UINT8_MAX, &limit))
        return;
    if (outer->local.family == TUNNELCAP_IPV4) {
        reader_wrong(value, "is for IPv6 endpoints only");
        return;
    }
    outer->encap_limit_mode = 1;
    outer->encap_limit = (uint8_t)limit;
}

/* One key for a direction; `key` has set both when it was there. */
static void read_one_key(const reader_value *value, tunnelcap_gre_config *gre, uint32_t flag,
                         uint32_t *key)
{
    if ((gre->flags & flag) != 0)
        reader_wrong(value, "is given although key is");
    else if (reader_integer(value, 0, UINT32_MAX, key))
        gre->flags |= flag;
}

static void read_key_in(const reader_value *value, void *target)
{
    tunnelcap_gre_config *gre = &((config_draft *)target)->tunnel->encap.gre;

    read_one_key(value, gre, TUNNELCAP_GRE_KEY_IN, &gre->key_in);
}

static void read_key_out(const reader_value *value, void *target)
{
    tunnelcap_gre_config *gre = &((config_draft *)target)->tunnel->encap.gre;

    read_one_key(value, gre, TUNNELCAP_GRE_KEY_OUT, &gre->key_out);
}

static void read_key(const reader_value *value, void *target)
{
    tunnelcap_gre_config *gre = &((config_draft *)target)->tunnel->encap.gre;

    read_one_key(value, gre, TUNNELCAP_GRE_KEY_IN | TUNNELCAP_GRE_KEY_OUT, &gre->key_in);
    gre->key_out = gre->key_in;
}

static void read_flag(const reader_value *value, void *target, uint32_t flag)
{
    tunnelcap_gre_config *gre = &((config_draft *)target)->tunnel->encap.gre;
    bool wanted = false;

    if (reader_boolean(value, &wanted) && wanted)
        gre->flags |= flag;
}

static void read_checksum(const reader_value *value, void *target)
{
    read_flag(value, target, TUNNELCAP_GRE_CHECKSUM);
}

static void read_sequence(const reader_value *value, void *target)
{
    read_flag(value, target, TUNNELCAP_GRE_SEQUENCE);
}

static void read_in_order(const reader_value *value, void *target)
{
    read_flag(value, target, TUNNELCAP_GRE_IN_ORDER);
}

static void read_udp_port(const reader_value *value, void *target)
{
    tunnelcap_gre_config *gre = &((config_draft *)target)->tunnel->encap.gre;
    uint32_t port = 0;

    if (!reader_integer(value, 1, UINT16_MAX, &port))
        return;
    gre->flags |= TUNNELCAP_GRE_UDP;
    gre->udp_port = (uint16_t)port;
}

static void read_key_file(const reader_value *value, void *target)
{
    config_read_path(value, &((config_draft *)target)->tunnel->encap.esp.key_file);
}

static void read_state_dir(const reader_value *value, void *target)
{
    config_read_path(value, &((config_draft *)target)->tunnel->encap.esp.state_dir);
}

static void read_udp(const reader_value *value, void *target)
{
    reader_boolean(value, &((config_draft *)target)->tunnel->encap.esp.udp);
}

static void read_replay_protection(const reader_value *value, void *target)
{
    reader_boolean(value, &((config_draft *)target)->tunnel->encap.esp.replay_protection);
}

static void read_allow_null_cipher(const reader_value *value, void *target)
{
    reader_boolean(value, &((config_draft *)target)->tunnel->encap.esp.allow_null_cipher);
}

static void read_psk(const reader_value *value, void *target)
{
    (void)target;
    reader_wrong(value, "is for IKE, which is not spoken here: use key_file");
}

/* Fields of tunnels of every kind, behind the endpoints, on which some of them rely. The
 * service's own fields, which do not matter to a data plane, are accepted without a look. */
static const reader_field common_fields[] = {
    {.name = "interface_address", .handle = read_interface4},
    {.name = "interface_address6", .handle = read_interface6},
    {.name = "ttl", .handle = read_ttl},
    {.name = "mtu", .handle = read_mtu},
    {.name = "encap_limit", .handle = read_encap_limit},
    {.name = "id"},
    {.name = "description"},
    {.name = "created_on"},
    {.name = "modified_on"},
    {.name = "health_check", .handle = config_read_health},
    {.name = "bgp"},
    {.name = "bgp_status"},
    {.name = "automatic_return_routing"},
    {.name = "scope"},
    {.then = config_policy_fields},
};

static const reader_field fields[] = {
    {.name = "name", .handle = read_name, .required = true},
    {.name = "cloudflare_gre_endpoint",
     .alias = "cloudflare_endpoint",
     .handle = read_edge_endpoint,
     .required = true},
    {.name = "customer_gre_endpoint",
     .alias = "customer_endpoint",
     .handle = read_customer_endpoint,
     .required = true},
    {.then = common_fields},
};

static const reader_field ipsec_fields[] = {
    {.name = "name", .handle = read_name, .required = true},
    {.name = "cloudflare_endpoint", .handle = read_edge_endpoint, .required = true},
    {.name = "customer_endpoint", .handle = read_customer_endpoint},
    {.name = "key_file", .handle = read_key_file, .required = true},
    {.name = "state_dir", .handle = read_state_dir},
    {.name = "udp", .handle = read_udp},
    {.name = "replay_protection", .handle = read_replay_protection},
    {.name = "allow_null_cipher", .handle = read_allow_null_cipher},
    {.name = "psk", .handle = read_psk},
    {.name = "psk_metadata"},
    {.name = "custom_remote_identities"},
    {.then = common_fields},
};

static const reader_field gre_fields[] = {
    {.name = "key", .handle = read_key},           {.name = "key_in", .handle = read_key_in},
    {.name = "key_out", .handle = read_key_out},   {.name = "checksum", .handle = read_checksum},
    {.name = "sequence", .handle = read_sequence}, {.name = "in_order", .handle = read_in_order},
    {.name = "udp_port", .handle = read_udp_port}, {.then = fields},
};

static bool is_given(const reader_value *object, const char *name)
{
    const json_t *json = json_object_get(object->json, name);

    return json != NULL && !json_is_null(json);
}

/* What cannot be seen field by field. Only the edge can wait for its far end to speak first. */
static void complete_ipsec(const reader_value *value, const config *conf, config_tunnel *tunnel)
{
    config_esp *esp = &tunnel->encap.esp;

    if (conf->side == CONFIG_SIDE_CUSTOMER && !is_given(value, "customer_endpoint"))
        reader_mistake(value->reader, tunnel->path,
                       "customer_endpoint is missing: only the edge can do without it");
    if (esp->state_dir == NULL && conf->state_dir != NULL)
        esp->state_dir = strdup(conf->state_dir);
    if (esp->state_dir == NULL && !is_given(value, "state_dir"))
        reader_mistake(value->reader, tunnel->path,
                       "state_dir is missing, here and for all tunnels: without it nothing keeps "
                       "a restart from repeating nonces under the same keys");
}

static void set_defaults(config_tunnel *tunnel)
{
    tunnelcap_esp_config esp;

    tunnelcap_tunnel_init(&tunnel->policy, sizeof tunnel->policy);
    tunnel->policy.flags &= ~(uint32_t)TUNNELCAP_TUNNEL_ANSWER_ECHO; /* the host's kernel does */
    if (tunnel->kind == TUNNELCAP_KIND_GRE) {
        tunnelcap_gre_config_init(&tunnel->encap.gre, sizeof tunnel->encap.gre);
    } else if (tunnel->kind == TUNNELCAP_KIND_IPIP) {
        tunnelcap_ipip_config_init(&tunnel->encap.ipip, sizeof tunnel->encap.ipip);
    } else {
        tunnelcap_esp_config_init(&esp, sizeof esp);
        tunnel->encap.esp.outer = esp.outer;
    }
}

static void read_tunnel(const reader_value *value, config *conf, uint8_t kind,
                        const reader_field *its_fields)
{
    config_tunnel *tunnel = &conf->tunnels[conf->tunnel_count];
    config_draft d = {.conf = conf, .tunnel = tunnel};

    memset(tunnel, 0, sizeof *tunnel);
    snprintf(tunnel->path, sizeof tunnel->path, "%.*s", CONFIG_PATH_SIZE - 1, value->path);
    tunnel->id = conf->tunnel_count + 1;
    tunnel->kind = kind;
    set_defaults(tunnel);
    reader_object(value, its_fields, &d);
    if (kind == TUNNELCAP_KIND_ESP && json_is_object(value->json))
        complete_ipsec(value, conf, tunnel);
    config_complete_policy(tunnel, value->reader);
    config_complete_health(conf, tunnel, value->reader);
    conf->tunnel_count++;
}

void config_read_gre_tunnel(const reader_value *value, void *target)
{
    read_tunnel(value, target, TUNNELCAP_KIND_GRE, gre_fields);
}

void config_read_ipip_tunnel(const reader_value *value, void *target)
{
    read_tunnel(value, target, TUNNELCAP_KIND_IPIP, fields);
}

void config_read_ipsec_tunnel(const reader_value *value, void *target)
{
    read_tunnel(value, target, TUNNELCAP_KIND_ESP, ipsec_fields);
}
