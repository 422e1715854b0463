/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Key files as ip(8) writes them: what `ip xfrm state` prints, and commands `ip xfrm state add`. */
#include "address.h"
#include "sa_file_parts.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_WORDS = 128 };

/* A line with words, and the SA that it is about. */
typedef struct xfrm {
    sa_load *load;
    sa_file_entry *sa; /* NULL: what follows is of no SA */
    char place[SA_FILE_PLACE_SIZE];
    const char *words[MOST_WORDS];
    size_t count;
    size_t at;    /* the next word */
    bool command; /* a command: every word must be known */
    bool has_encr;
    bool is_esp;
    bool other_protocol;
} xfrm;

static void wrong(xfrm *x, const char *what, const char *why)
{
    reader_mistake(&x->load->rd, x->place, "%s: %s", what, why);
    x->at = x->count;
}

/* The next word, "" at the end of the line. */
static const char *next(xfrm *x)
{
    return x->at < x->count ? x->words[x->at++] : "";
}

/* Read a number, decimal or hexadecimal; ip(8) may write a comma or its other notation behind. */
static bool number(xfrm *x, const char *what, uint32_t max, uint32_t *found)
{
    const char *text = next(x);
    char *end = NULL;
    unsigned long long value;

    errno = 0;
    value = isdigit((unsigned char)text[0]) ? strtoull(text, &end, 0) : 0;
    if (end == NULL || errno != 0 || value > max ||
        (*end != '\0' && *end != '(' && strcmp(end, ",") != 0)) {
        reader_mistake(&x->load->rd, x->place, "%s: not a number from 0 to %u", what, max);
        x->at = x->count;
        return false;
    }
    *found = (uint32_t)value;
    return true;
}

/* ------------------------------------------------------------------------------ the words */

static void read_address(xfrm *x, const char *what, tunnelcap_addr *address)
{
    if (!address_parse(next(x), address))
        wrong(x, what, "not an IP address");
}

static void read_proto(xfrm *x)
{
    x->is_esp = strcmp(next(x), "esp") == 0;
    x->other_protocol = !x->is_esp;
}

static void read_mode(xfrm *x)
{
    const char *mode = next(x);

    if (strcmp(mode, "tunnel") == 0)
        x->sa->config.mode = TUNNELCAP_ESP_TUNNEL;
    else if (strcmp(mode, "transport") == 0)
        x->sa->config.mode = TUNNELCAP_ESP_TRANSPORT;
    else if (!x->other_protocol)
        wrong(x, "mode", "neither tunnel nor transport");
}

/* The kernel takes short names as well. */
static const char *full_name(const char *name)
{
    static const char *const shorts[][2] = {
        {"cipher_null", "ecb(cipher_null)"},
        {"des3_ede", "cbc(des3_ede)"},
        {"aes", "cbc(aes)"},
        {"md5", "hmac(md5)"},
        {"sha1", "hmac(sha1)"},
        {"sha256", "hmac(sha256)"},
        {"sha384", "hmac(sha384)"},
        {"sha512", "hmac(sha512)"},
    };

    for (size_t i = 0; i < sizeof shorts / sizeof shorts[0]; i++)
        if (strcmp(shorts[i][0], name) == 0)
            return shorts[i][1];
    return name;
}

/* How to call an algorithm in a message. Who has mixed up the words may have put a key there. */
static const char *shown(const char *name, const char *otherwise)
{
    return strchr(name, '(') != NULL ? name : otherwise;
}

static void read_encr(xfrm *x, bool combined)
{
    const char *name = full_name(next(x));
    const sa_encr *encr = sa_encr_named(SA_FORM_XFRM, name, 0);
    const char *flaw;
    sa_key key;
    uint32_t bits = 0;

    if (encr == NULL || (encr->icv_len != 0) != combined) {
        wrong(x, shown(name, combined ? "aead" : "enc"), "an algorithm that is not known here");
        return;
    }
    flaw = sa_key_from_text(next(x), &key);
    if (flaw == NULL && combined && number(x, name, 256, &bits)) {
        encr = sa_encr_named(SA_FORM_XFRM, name, bits / 8);
        if (encr == NULL || bits == 0 || bits % 8 != 0)
            flaw = "an ICV of that many bits is not known here";
    }
    if (flaw == NULL)
        flaw = sa_set_encr(x->sa, encr, &key);
    if (flaw != NULL)
        wrong(x, name, flaw);
    explicit_bzero(&key, sizeof key);
    x->has_encr = true;
}

static void read_integ(xfrm *x, bool cut)
{
    const char *name = full_name(next(x));
    const sa_integ *integ = sa_integ_named(SA_FORM_XFRM, name);
    const char *flaw;
    sa_key key;
    /* What the kernel cuts to unless it is told: with SHA-256 that is not RFC 4868's. */
    uint32_t bits = integ != NULL && integ->id == TUNNELCAP_INTEG_HMAC_SHA2_256_128
                        ? 96
                        : (integ == NULL ? 0 : integ->icv_len * 8U);

    if (integ == NULL) {
        wrong(x, shown(name, "auth"), "an algorithm that is not known here");
        return;
    }
    flaw = sa_key_from_text(next(x), &key);
    if (flaw == NULL && (!cut || number(x, name, 512, &bits)) && bits != integ->icv_len * 8U)
        flaw = "an ICV of that many bits is not known here";
    if (flaw == NULL)
        flaw = sa_set_integ(x->sa, integ, &key);
    if (flaw != NULL)
        wrong(x, name, flaw);
    explicit_bzero(&key, sizeof key);
}

/* "espinudp 4500 4500 0.0.0.0", or "type espinudp sport 4500 dport 4500 addr 0.0.0.0". */
static void read_encap(xfrm *x)
{
    const char *type = next(x);
    uint32_t ports[2];
    bool named = strcmp(type, "type") == 0;

    if (strcmp(named ? next(x) : type, "espinudp") != 0) {
        wrong(x, "encap", "not espinudp");
        return;
    }
    for (size_t i = 0; i < 2; i++) {
        if (named)
            next(x);
        if (!number(x, "encap", UINT16_MAX, &ports[i]))
            return;
    }
    if (named)
        next(x);
    next(x);
    if (ports[0] == 0 || ports[1] == 0)
        wrong(x, "encap", "port 0");
    else
        sa_set_udp(x->sa, ports[0], ports[1]);
}

static bool is_flag(const char *word)
{
    static const char *const known[] = {
        "noecn",     "decap-dscp", "nopmtudisc",      "wildrecv",      "icmp",
        "af-unspec", "align4",     "dont-encap-dscp", "oseq-may-wrap", "esn"};

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i], word) == 0)
            return true;
    return false;
}

static void read_flags(xfrm *x)
{
    while (x->at < x->count && is_flag(x->words[x->at]))
        if (strcmp(x->words[x->at++], "esn") == 0)
            x->sa->config.flags |= TUNNELCAP_ESP_ESN;
}

static void read_window(xfrm *x)
{
    uint32_t packets = 0;

    if (number(x, "replay-window", SA_WINDOW_MOST, &packets))
        sa_set_window(x->sa, packets);
}

/* An SA counts in one direction only, so one of the two upper halves is 0. */
static void read_high(xfrm *x, const char *what)
{
    uint32_t high = 0;

    if (number(x, what, UINT32_MAX, &high) && high > x->sa->first_esn_hi)
        x->sa->first_esn_hi = high;
}

/* Words that say nothing about how packets look, and how many words belong to them. */
static bool skip(xfrm *x, const char *word)
{
    static const struct {
        const char *word;
        size_t more;
    } others[] = {
        {"reqid", 1},  {"seq", 1},         {"replay-seq", 1},    {"replay-oseq", 1}, {"oseq", 1},
        {"bitmap", 1}, {"if_id", 1},       {"bitmap-length", 1}, {"mark", 1},        {"mask", 1},
        {"tfcpad", 1}, {"output-mark", 1}, {"limit", 2},         {"coa", 1},         {"ctx", 1},
        {"dir", 1},    {"pcpu-num", 1},    {"dev", 1},           {"offload", 0},     {"packet", 0},
        {"crypto", 0},
    };

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strcmp(others[i].word, word) == 0) {
            x->at = x->at + others[i].more < x->count ? x->at + others[i].more : x->count;
            return true;
        }
    }
    /* A selector is not checked here, and takes the rest of its line. */
    if (strcmp(word, "sel") != 0)
        return false;
    x->at = x->count;
    return true;
}

static bool read_word(xfrm *x, const char *word)
{
    if (strcmp(word, "src") == 0)
        read_address(x, word, &x->sa->config.outer.local);
    else if (strcmp(word, "dst") == 0)
        read_address(x, word, &x->sa->config.outer.remote);
    else if (strcmp(word, "proto") == 0)
        read_proto(x);
    else if (strcmp(word, "spi") == 0)
        number(x, word, UINT32_MAX, &x->sa->config.spi);
    else if (strcmp(word, "mode") == 0)
        read_mode(x);
    else if (strcmp(word, "aead") == 0 || strcmp(word, "enc") == 0)
        read_encr(x, word[0] == 'a');
    else if (strcmp(word, "auth") == 0 || strcmp(word, "auth-trunc") == 0)
        read_integ(x, word[4] == '-');
    else if (strcmp(word, "encap") == 0)
        read_encap(x);
    else if (strcmp(word, "flag") == 0 || strcmp(word, "extra-flag") == 0)
        read_flags(x);
    else if (strcmp(word, "replay-window") == 0 || strcmp(word, "replay_window") == 0)
        read_window(x);
    else if (strcmp(word, "seq-hi") == 0 || strcmp(word, "oseq-hi") == 0 ||
             strcmp(word, "replay-seq-hi") == 0 || strcmp(word, "replay-oseq-hi") == 0)
        read_high(x, word);
    else
        return skip(x, word);
    return true;
}

/* ------------------------------------------------------------------------------- the lines */

/* Cut a line into words, in place. Quotes hold a word together; what stands in parentheses of its
 * own is a second notation and left out. False if there are too many. */
static bool split(xfrm *x, char *line)
{
    x->count = 0;
    x->at = 0;
    for (;;) {
        char *word = line += strspn(line, " \t\r");

        if (*line == '\0' || *line == '#')
            return true;
        if (x->count == MOST_WORDS)
            return false;
        if (*line == '\'' || *line == '"') {
            word = ++line;
            line += strcspn(line, (char[]){word[-1], '\0'});
        } else {
            line += strcspn(line, *word == '(' ? ")" : " \t\r");
        }
        if (*line != '\0')
            *line++ = '\0';
        if (*word != '(' && strcmp(word, "\\") != 0)
            x->words[x->count++] = word;
    }
}

/* Where the words of `ip xfrm state add` begin; 0 if the command is another one. */
static size_t find_add(const xfrm *x)
{
    for (size_t i = 0; i + 2 < x->count; i++)
        if (strcmp(x->words[i], "xfrm") == 0)
            return strcmp(x->words[i + 1], "state") == 0 && (strcmp(x->words[i + 2], "add") == 0 ||
                                                             strcmp(x->words[i + 2], "update") == 0)
                       ? i + 3
                       : 0;
    return 0;
}

static void end_sa(xfrm *x)
{
    const char *missing = NULL;

    if (x->sa == NULL)
        return;
    if (x->other_protocol) {
        sa_load_drop(x->load);
        x->sa = NULL;
        return;
    }
    if (x->sa->config.outer.local.family == 0)
        missing = "src";
    else if (x->sa->config.outer.remote.family == 0)
        missing = "dst";
    else if (!x->is_esp)
        missing = "proto esp";
    else if (x->sa->config.spi == 0)
        missing = "spi";
    else if (!x->has_encr)
        missing = "enc or aead";
    if (missing != NULL && x->load->rd.mistakes == 0)
        reader_mistake(&x->load->rd, x->sa->place, "%s is missing", missing);
    x->sa = NULL;
}

static void begin_sa(xfrm *x, bool command)
{
    end_sa(x);
    x->command = command;
    x->has_encr = false;
    x->is_esp = false;
    x->other_protocol = false;
    x->sa = sa_load_add(x->load);
    if (x->sa == NULL)
        return;
    x->sa->config.mode = TUNNELCAP_ESP_TRANSPORT; /* what a command means that names none */
    memcpy(x->sa->place, x->place, sizeof x->sa->place);
}

/* What ip(8) prints has lines, and ends of lines, that do not matter here; of a command every word
 * does. */
static void read_words(xfrm *x)
{
    while (x->sa != NULL && x->at < x->count) {
        const char *word = next(x);

        if (read_word(x, word))
            continue;
        if (x->command && !x->other_protocol)
            reader_mistake(&x->load->rd, x->place, "word %zu is not known here", x->at);
        x->at = x->count;
    }
}

static void read_line(xfrm *x, char *line)
{
    if (!split(x, line)) {
        wrong(x, "line", "too many words");
        return;
    }
    if (x->count == 0)
        return;
    if (strcmp(x->words[0], "src") == 0 && !x->command) {
        begin_sa(x, false);
    } else if (strcmp(x->words[0], "ip") == 0 || strcmp(x->words[0], "sudo") == 0 ||
               x->words[0][0] == '/') {
        x->at = find_add(x);
        end_sa(x);
        if (x->at != 0)
            begin_sa(x, true);
    }
    read_words(x);
}

void sa_xfrm_read(sa_load *load, char *text)
{
    xfrm x = {.load = load};
    unsigned line = 0;

    while (text != NULL) {
        char *one = strsep(&text, "\n");
        size_t len = strlen(one);

        snprintf(x.place, sizeof x.place, "line %u", ++line);
        read_line(&x, one);
        /* A command ends with its line unless a backslash says otherwise. */
        if (x.command && (len == 0 || one[len - 1] != '\\')) {
            end_sa(&x);
            x.command = false;
        }
    }
    end_sa(&x);
}
