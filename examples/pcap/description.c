/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "description.h"

#include "address.h"
#include "args.h"
#include "tunnels.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>

/* A word of a description, such as "csum" or "key=7". */
struct word {
    const char *name;
    const char *value; /* NULL without "=" */
};

/* What a word may be, and what it means. */
enum meaning { LOCAL, REMOTE, TTL, MTU, KEY, CHECKSUM, SEQUENCE, UDP };

static const struct {
    const char *name;
    enum meaning meaning;
    bool valued;
    bool gre_only;
} words[] = {
    {"local", LOCAL, true, false},  {"remote", REMOTE, true, false},
    {"ttl", TTL, true, false},      {"mtu", MTU, true, false},
    {"key", KEY, true, true},       {"csum", CHECKSUM, false, true},
    {"seq", SEQUENCE, false, true}, {"udp", UDP, false, true},
};

/* A tunnel on its way from text; `outer` points into it, wherever its kind has that. */
struct draft {
    config_tunnel *tunnel;
    tunnelcap_outer *outer;
};

static bool bad_value(const struct word *word, const char *expected)
{
    warnx("--tunnel: %s=%s: not %s", word->name, word->value, expected);
    return false;
}

static bool apply_address(const struct word *word, tunnelcap_addr *address)
{
    return address_parse(word->value, address) || bad_value(word, "an IP address");
}

/* A word that sets a number; where it goes depends on the meaning. */
static bool apply_number(const struct word *word, enum meaning meaning, struct draft *draft)
{
    tunnelcap_gre_config *gre = &draft->tunnel->encap.gre;
    uint32_t number;

    switch (meaning) {
    case TTL:
        if (!args_number(word->value, 0, 255, &number))
            return bad_value(word, "a number from 0 (copy the inner one) to 255");
        draft->outer->ttl = (uint8_t)number;
        return true;
    case MTU:
        if (!args_number(word->value, 68, 65535, &number))
            return bad_value(word, "a number from 68 to 65535");
        draft->tunnel->policy.mtu = number;
        return true;
    default:
        if (!args_number(word->value, 0, UINT32_MAX, &number))
            return bad_value(word, "a number from 0 to 4294967295");
        gre->flags |= TUNNELCAP_GRE_KEY_IN | TUNNELCAP_GRE_KEY_OUT;
        gre->key_in = number;
        gre->key_out = number;
        return true;
    }
}

static bool apply(const struct word *word, enum meaning meaning, struct draft *draft)
{
    tunnelcap_gre_config *gre = &draft->tunnel->encap.gre;

    switch (meaning) {
    case LOCAL:
        return apply_address(word, &draft->outer->local);
    case REMOTE:
        return apply_address(word, &draft->outer->remote);
    case CHECKSUM:
        gre->flags |= TUNNELCAP_GRE_CHECKSUM;
        return true;
    case SEQUENCE:
        gre->flags |= TUNNELCAP_GRE_SEQUENCE;
        return true;
    case UDP:
        gre->flags |= TUNNELCAP_GRE_UDP;
        return true;
    default:
        return apply_number(word, meaning, draft);
    }
}

static bool take_word(const struct word *word, struct draft *draft)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i].name, word->name))
            continue;
        if (words[i].gre_only && draft->tunnel->kind != TUNNELCAP_KIND_GRE) {
            warnx("--tunnel: %s: not for %s", word->name, tunnel_kind_name(draft->tunnel->kind));
            return false;
        }
        if (words[i].valued != (word->value != NULL)) {
            warnx("--tunnel: %s: %s", word->name,
                  words[i].valued ? "a value is missing" : "takes no value");
            return false;
        }
        return apply(word, words[i].meaning, draft);
    }
    warnx("--tunnel: %s: unknown", word->name);
    return false;
}

static bool begin_draft(struct draft *draft, const char *kind)
{
    config_tunnel *tunnel = draft->tunnel;

    *tunnel = (config_tunnel){.kind = tunnel_kind_parse(kind)};
    tunnelcap_tunnel_init(&tunnel->policy, sizeof tunnel->policy);
    if (tunnel->kind == TUNNELCAP_KIND_GRE) {
        tunnelcap_gre_config_init(&tunnel->encap.gre, sizeof tunnel->encap.gre);
        draft->outer = &tunnel->encap.gre.outer;
    } else if (tunnel->kind == TUNNELCAP_KIND_IPIP) {
        tunnelcap_ipip_config_init(&tunnel->encap.ipip, sizeof tunnel->encap.ipip);
        draft->outer = &tunnel->encap.ipip.outer;
    } else {
        warnx("--tunnel: \"%s\": not gre or ipip", kind);
        return false;
    }
    return true;
}

static bool take_words(char *text, config_tunnel *tunnel)
{
    struct draft draft = {.tunnel = tunnel};
    char *rest = text;
    const char *kind = strsep(&rest, ",");

    if (!begin_draft(&draft, kind))
        return false;
    while (rest) {
        char *value = strsep(&rest, ",");
        struct word word = {.name = strsep(&value, "="), .value = value};

        if (!take_word(&word, &draft))
            return false;
    }
    if (!draft.outer->local.family || !draft.outer->remote.family) {
        warnx("--tunnel: %s= is missing", draft.outer->local.family ? "remote" : "local");
        return false;
    }
    return true;
}

bool description_parse(const char *text, config_tunnel *tunnel)
{
    char *copy = strdup(text);
    bool taken;

    if (!copy) {
        warn("--tunnel");
        return false;
    }
    taken = take_words(copy, tunnel);
    free(copy);
    return taken;
}
