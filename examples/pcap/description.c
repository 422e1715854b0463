/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "description.h"

#include "address.h"
#include "args.h"
#include "tunnels.h"

#include <err.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_MTU = 68, LEAST_SPI = 256 };

/* A word of a description, such as "csum" or "key=7". */
struct word {
    const char *name;
    const char *value; /* NULL without "=" */
};

/* What a word may be, and what it means. */
enum meaning {
    LOCAL,
    REMOTE,
    TTL,
    MTU,
    KEY,
    CHECKSUM,
    SEQUENCE,
    UDP,
    SPI,
    FIRST_SEQ,
    FIRST_IV,
    MODE
};

enum {
    GRE = 1 << TUNNELCAP_KIND_GRE,
    IPIP = 1 << TUNNELCAP_KIND_IPIP,
    ESP = 1 << TUNNELCAP_KIND_ESP
};

static const struct {
    const char *name;
    enum meaning meaning;
    bool valued;
    uint8_t kinds;
} words[] = {
    {"local", LOCAL, true, GRE | IPIP},
    {"remote", REMOTE, true, GRE | IPIP},
    {"ttl", TTL, true, GRE | IPIP | ESP},
    {"mtu", MTU, true, GRE | IPIP},
    {"key", KEY, true, GRE},
    {"csum", CHECKSUM, false, GRE},
    {"seq", SEQUENCE, false, GRE},
    {"udp", UDP, false, GRE | ESP},
    {"spi", SPI, true, ESP},
    {"seq", FIRST_SEQ, true, ESP},
    {"iv", FIRST_IV, true, ESP},
    {"mode", MODE, true, ESP},
};

/* A tunnel on its way from text; `outer` points into it, wherever its kind has that. */
struct draft {
    struct description *description;
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

static bool apply_number(const struct word *word, uint64_t low, uint64_t high, uint64_t *number)
{
    char range[64];

    if (args_number(word->value, low, high, number))
        return true;
    snprintf(range, sizeof range, "a number from %" PRIu64 " to %" PRIu64, low, high);
    return bad_value(word, range);
}

static bool apply_key(const struct word *word, tunnelcap_gre_config *gre)
{
    uint64_t number;

    if (!apply_number(word, 0, UINT32_MAX, &number))
        return false;
    gre->flags |= TUNNELCAP_GRE_KEY_IN | TUNNELCAP_GRE_KEY_OUT;
    gre->key_in = (uint32_t)number;
    gre->key_out = (uint32_t)number;
    return true;
}

static bool apply_mode(const struct word *word, tunnelcap_esp_config *esp)
{
    if (!strcmp(word->value, "tunnel"))
        esp->mode = TUNNELCAP_ESP_TUNNEL;
    else if (!strcmp(word->value, "transport"))
        esp->mode = TUNNELCAP_ESP_TRANSPORT;
    else
        return bad_value(word, "tunnel or transport");
    return true;
}

/* A word of ESP alone. */
static bool apply_esp(const struct word *word, enum meaning meaning, struct description *to)
{
    uint64_t spi;

    switch (meaning) {
    case SPI:
        if (!apply_number(word, LEAST_SPI, UINT32_MAX, &spi))
            return false;
        to->esp.spi = (uint32_t)spi;
        return true;
    case FIRST_SEQ:
        to->has_seq = apply_number(word, 1, UINT64_MAX - 1, &to->esp.seq_start);
        return to->has_seq;
    case FIRST_IV:
        to->has_iv = apply_number(word, 0, UINT64_MAX - 1, &to->esp.iv_start);
        return to->has_iv;
    default:
        return apply_mode(word, &to->esp);
    }
}

static bool apply(const struct word *word, enum meaning meaning, struct draft *draft)
{
    struct description *to = draft->description;
    tunnelcap_gre_config *gre = &to->tunnel.encap.gre;
    uint64_t number;

    switch (meaning) {
    case LOCAL:
        return apply_address(word, &draft->outer->local);
    case REMOTE:
        return apply_address(word, &draft->outer->remote);
    case TTL:
        if (!apply_number(word, 0, UINT8_MAX, &number))
            return false;
        draft->outer->ttl = (uint8_t)number;
        return true;
    case MTU:
        if (!apply_number(word, LEAST_MTU, UINT16_MAX, &number))
            return false;
        to->tunnel.policy.mtu = (uint32_t)number;
        return true;
    case KEY:
        return apply_key(word, gre);
    case CHECKSUM:
        gre->flags |= TUNNELCAP_GRE_CHECKSUM;
        return true;
    case SEQUENCE:
        gre->flags |= TUNNELCAP_GRE_SEQUENCE;
        return true;
    case UDP:
        if (to->kind == TUNNELCAP_KIND_ESP)
            to->esp.flags |= TUNNELCAP_ESP_UDP;
        else
            gre->flags |= TUNNELCAP_GRE_UDP;
        return true;
    default:
        return apply_esp(word, meaning, to);
    }
}

static bool take_word(const struct word *word, struct draft *draft)
{
    uint8_t kind = draft->description->kind;
    bool elsewhere = false;

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i].name, word->name))
            continue;
        elsewhere = true;
        if (!(words[i].kinds & 1 << kind))
            continue;
        if (words[i].valued != (word->value != NULL)) {
            warnx("--tunnel: %s: %s", word->name,
                  words[i].valued ? "a value is missing" : "takes no value");
            return false;
        }
        return apply(word, words[i].meaning, draft);
    }
    if (elsewhere)
        warnx("--tunnel: %s: not for %s", word->name, tunnel_kind_name(kind));
    else
        warnx("--tunnel: %s: unknown", word->name);
    return false;
}

static bool begin_draft(struct draft *draft, const char *kind)
{
    struct description *to = draft->description;

    *to = description_of_spi(0);
    to->kind = tunnel_kind_parse(kind);
    to->tunnel.kind = to->kind;
    tunnelcap_tunnel_init(&to->tunnel.policy, sizeof to->tunnel.policy);
    if (to->kind == TUNNELCAP_KIND_GRE) {
        tunnelcap_gre_config_init(&to->tunnel.encap.gre, sizeof to->tunnel.encap.gre);
        draft->outer = &to->tunnel.encap.gre.outer;
    } else if (to->kind == TUNNELCAP_KIND_IPIP) {
        tunnelcap_ipip_config_init(&to->tunnel.encap.ipip, sizeof to->tunnel.encap.ipip);
        draft->outer = &to->tunnel.encap.ipip.outer;
    } else if (to->kind == TUNNELCAP_KIND_ESP) {
        draft->outer = &to->esp.outer;
    } else {
        warnx("--tunnel: \"%s\": not gre, ipip or esp", kind);
        return false;
    }
    return true;
}

/* Name a word that must be there and is not, or NULL. */
static const char *find_missing(const struct draft *draft)
{
    if (draft->description->kind == TUNNELCAP_KIND_ESP)
        return draft->description->esp.spi ? NULL : "spi";
    if (!draft->outer->local.family)
        return "local";
    return draft->outer->remote.family ? NULL : "remote";
}

static bool take_words(char *text, struct description *description)
{
    struct draft draft = {.description = description};
    char *rest = text;
    const char *kind = strsep(&rest, ",");
    const char *missing;

    if (!begin_draft(&draft, kind))
        return false;
    while (rest) {
        char *value = strsep(&rest, ",");
        struct word word = {.name = strsep(&value, "="), .value = value};

        if (!take_word(&word, &draft))
            return false;
    }
    missing = find_missing(&draft);
    if (missing)
        warnx("--tunnel: %s= is missing", missing);
    return !missing;
}

bool description_parse(const char *text, struct description *description)
{
    char *copy = strdup(text);
    bool taken;

    if (!copy) {
        warn("--tunnel");
        return false;
    }
    taken = take_words(copy, description);
    free(copy);
    return taken;
}

struct description description_of_spi(uint32_t spi)
{
    struct description description = {.kind = TUNNELCAP_KIND_ESP};

    tunnelcap_esp_config_init(&description.esp, sizeof description.esp);
    description.esp.spi = spi;
    description.esp.mode = 0;
    return description;
}
