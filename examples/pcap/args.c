/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "args.h"

#include "tunnels.h"

#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_SPI = 256 }; /* RFC 4303 2.1 */
enum { ANY_OPERANDS = -1 /* one or more */, MOST_TUNNELS = 256, MOST_LISTED = 100 };

enum option_id {
    OPTION_JSON,
    OPTION_HELP,
    OPTION_VERSION,
    OPTION_ONLY,
    OPTION_ETHERNET,
    OPTION_TUNNEL,
    OPTION_CONFIG,
    OPTION_MSS,
    OPTION_MSS6,
    OPTION_FORCE,
    OPTION_KEYS,
    OPTION_SPI,
    OPTION_WRITE_ESP_SA,
    OPTION_HTML,
    OPTION_TUNNELS,
    OPTION_TOP,
    OPTION_ASCII
};

static const struct option options[] = {
    {"json", optional_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"only", required_argument, NULL, OPTION_ONLY},
    {"ethernet", no_argument, NULL, OPTION_ETHERNET},
    {"tunnel", required_argument, NULL, OPTION_TUNNEL},
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"mss", required_argument, NULL, OPTION_MSS},
    {"mss6", required_argument, NULL, OPTION_MSS6},
    {"force", no_argument, NULL, OPTION_FORCE},
    {"keys", required_argument, NULL, OPTION_KEYS},
    {"spi", required_argument, NULL, OPTION_SPI},
    {"write-esp-sa", required_argument, NULL, OPTION_WRITE_ESP_SA},
    {"html", required_argument, NULL, OPTION_HTML},
    {"tunnels", required_argument, NULL, OPTION_TUNNELS},
    {"top", required_argument, NULL, OPTION_TOP},
    {"ascii", no_argument, NULL, OPTION_ASCII},
    {0},
};

static const struct {
    const char *name;
    uint32_t allowed;  /* bits of options beside the global ones */
    uint32_t required; /* bits of options */
    int operands;
} verbs[] = {
    [VERB_DECAP] = {"decap",
                    1u << OPTION_ONLY | 1u << OPTION_ETHERNET | 1u << OPTION_KEYS |
                        1u << OPTION_WRITE_ESP_SA,
                    0, 2},
    [VERB_ENCAP] = {"encap",
                    1u << OPTION_TUNNEL | 1u << OPTION_CONFIG | 1u << OPTION_KEYS |
                        1u << OPTION_SPI | 1u << OPTION_WRITE_ESP_SA,
                    0, 2},
    [VERB_CLAMP] = {"clamp", 1u << OPTION_MSS | 1u << OPTION_MSS6 | 1u << OPTION_FORCE,
                    1u << OPTION_MSS, 2},
    [VERB_INFO] = {"info", 0, 0, 1},
    [VERB_REPORT] = {"report",
                     1u << OPTION_KEYS | 1u << OPTION_CONFIG | 1u << OPTION_HTML |
                         1u << OPTION_TUNNELS | 1u << OPTION_TOP | 1u << OPTION_ASCII,
                     0, ANY_OPERANDS},
};

static const char usage[] =
    "Usage: tunnelcap-pcap [--json] decap [--only gre|ipip|esp] [--ethernet] [--keys FILE] IN OUT\n"
    "       tunnelcap-pcap [--json] encap --tunnel KIND,local=ADDRESS,remote=ADDRESS[,...] IN OUT\n"
    "       tunnelcap-pcap [--json] encap --config FILE --tunnel NAME IN OUT\n"
    "       tunnelcap-pcap [--json] encap --keys FILE --spi N|--tunnel esp,spi=N[,...] IN OUT\n"
    "       tunnelcap-pcap [--json] clamp --mss N [--mss6 N] [--force] IN OUT\n"
    "       tunnelcap-pcap [--json] info IN\n"
    "       tunnelcap-pcap [--json[=FILE]] report [--html FILE] [--keys FILE] [--tunnels N] [--top "
    "N]\n"
    "                                             [--ascii] IN...\n"
    "\n"
    "Carry the packets of a capture file out of or into tunnels, clamp their MSS, or report what\n"
    "went through the tunnels of captures.\n"
    "\n"
    "  --only KIND      decap: only GRE (in UDP too), IP-in-IP or ESP\n"
    "  --ethernet       decap: write Ethernet payloads instead of IP packets\n"
    "  --tunnel TUNNEL  encap: gre or ipip, then local=, remote=, ttl=N, mtu=N,\n"
    "                   for gre also key=N, csum, seq, udp;\n"
    "                   esp, then spi=N, seq=N, iv=N, mode=tunnel|transport, ttl=N, udp\n"
    "  --config FILE    encap: take the tunnel of that name from a gateway's configuration;\n"
    "                   report: take the names of tunnels from it\n"
    "  --keys FILE      decap, encap, report: security associations for ESP, as tunnelcap-sa/1 "
    "JSON,\n"
    "                   as \"ip xfrm state\" has them, or as Wireshark's esp_sa\n"
    "  --spi N          encap: encrypt by the security association of this SPI\n"
    "  --write-esp-sa FILE  decap, encap: write the keys for Wireshark\n"
    "  --mss N          clamp: largest MSS over IPv4, and over IPv6 without --mss6\n"
    "  --mss6 N         clamp: largest MSS over IPv6\n"
    "  --force          clamp: also below 536 (IPv4) and 1220 (IPv6)\n"
    "  --html FILE      report: also write a page with plots\n"
    "  --tunnels N      report: follow the N tunnels that carry most one by one; 16\n"
    "  --top N          report: list N talkers of each kind; 10\n"
    "  --ascii          report: draw charts in ASCII\n"
    "  --json           print the counts, or the report, as JSON; --json=FILE for the report:\n"
    "                   write it into a file beside what is printed\n"
    "  --help, --version\n"
    "\n"
    "IN and OUT are pcap files, IN also pcapng; \"-\" is standard input or output.\n";

bool args_number(const char *text, uint64_t low, uint64_t high, uint64_t *number)
{
    int base = text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;
    unsigned long long value;
    char *end;

    /* strtoull() would take a sign and leading blanks too. */
    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    value = strtoull(text, &end, base);
    if (*end || errno || value < low || value > high)
        return false;
    *number = value;
    return true;
}

static bool read_mss(const char *option, const char *text, uint16_t *mss)
{
    uint64_t number;

    if (!args_number(text, 1, UINT16_MAX, &number)) {
        warnx("--%s %s: not a number from 1 to 65535", option, text);
        return false;
    }
    *mss = (uint16_t)number;
    return true;
}

static bool read_spi(const char *text, uint32_t *spi)
{
    uint64_t number;

    if (!args_number(text, LEAST_SPI, UINT32_MAX, &number)) {
        warnx("--spi %s: not a number from %d to 4294967295", text, LEAST_SPI);
        return false;
    }
    *spi = (uint32_t)number;
    return true;
}

static bool read_count(const char *option, const char *text, uint32_t most, uint32_t *count)
{
    uint64_t number;

    if (!args_number(text, 0, most, &number)) {
        warnx("--%s %s: not a number from 0 to %u", option, text, most);
        return false;
    }
    *count = (uint32_t)number;
    return true;
}

static bool take_option(struct args *args, int id)
{
    switch (id) {
    case OPTION_JSON:
        args->json = true;
        args->json_file = optarg;
        return true;
    case OPTION_HTML:
        args->html = optarg;
        return true;
    case OPTION_TUNNELS:
        return read_count("tunnels", optarg, MOST_TUNNELS, &args->tunnels);
    case OPTION_TOP:
        return read_count("top", optarg, MOST_LISTED, &args->top);
    case OPTION_ASCII:
        args->ascii = true;
        return true;
    case OPTION_ONLY:
        args->only = tunnel_kind_parse(optarg);
        if (args->only == TUNNELCAP_KIND_NONE)
            warnx("--only %s: not gre, ipip or esp", optarg);
        return args->only != TUNNELCAP_KIND_NONE;
    case OPTION_ETHERNET:
        args->ethernet = true;
        return true;
    case OPTION_TUNNEL:
        args->tunnel = optarg;
        return true;
    case OPTION_CONFIG:
        args->config = optarg;
        return true;
    case OPTION_MSS:
        return read_mss("mss", optarg, &args->mss4);
    case OPTION_MSS6:
        return read_mss("mss6", optarg, &args->mss6);
    case OPTION_FORCE:
        args->force = true;
        return true;
    case OPTION_KEYS:
        args->keys = optarg;
        return true;
    case OPTION_SPI:
        return read_spi(optarg, &args->spi);
    case OPTION_WRITE_ESP_SA:
        args->write_esp_sa = optarg;
        return true;
    default: /* '?': getopt_long() has told the mistake */
        return false;
    }
}

static bool find_verb(const char *name, enum verb *verb)
{
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (!strcmp(verbs[i].name, name)) {
            *verb = (enum verb)i;
            return true;
        }
    }
    warnx("%s: not decap, encap, clamp, info or report", name);
    return false;
}

static bool check_options(const struct args *args, uint32_t seen)
{
    const char *name = verbs[args->verb].name;
    uint32_t allowed = verbs[args->verb].allowed | 1u << OPTION_JSON;
    uint32_t required = verbs[args->verb].required;

    for (const struct option *option = options; option->name; option++) {
        uint32_t bit = 1u << option->val;

        if (seen & bit & ~allowed) {
            warnx("--%s: not an option of %s", option->name, name);
            return false;
        }
        if (~seen & bit & required) {
            warnx("%s: --%s is missing", name, option->name);
            return false;
        }
    }
    return true;
}

/* Which options of decap and encap go together. */
static bool check_keys(const struct args *args)
{
    if (args->verb == VERB_ENCAP && !args->tunnel && !args->spi)
        warnx("encap: --tunnel is missing");
    else if (args->tunnel && args->spi)
        warnx("encap: --tunnel and --spi exclude each other");
    else if (args->verb == VERB_ENCAP && args->config && args->keys)
        warnx("encap: --config and --keys exclude each other");
    else if (args->spi && !args->keys)
        warnx("encap: --spi: --keys is missing");
    else if (args->write_esp_sa && !args->keys)
        warnx("--write-esp-sa: --keys is missing");
    else
        return true;
    return false;
}

static bool check_floor(const char *option, uint16_t mss, uint16_t floor, const char *family)
{
    if (mss < floor)
        warnx("--%s %u: below %u, the least MSS over %s; --force clamps to it all the same", option,
              mss, floor, family);
    return mss >= floor;
}

static bool check_clamp(struct args *args)
{
    const char *option6 = args->mss6 ? "mss6" : "mss";

    if (!args->mss6)
        args->mss6 = args->mss4;
    return args->force || (check_floor("mss", args->mss4, TUNNELCAP_MSS_FLOOR4, "IPv4") &&
                           check_floor(option6, args->mss6, TUNNELCAP_MSS_FLOOR6, "IPv6"));
}

/* One standard input can be read once, one standard output hold one thing. */
static bool check_report(const struct args *args)
{
    uint32_t dashes = 0;

    for (uint32_t i = 0; i < args->input_count; i++)
        dashes += !strcmp(args->inputs[i], "-");
    if (!args->input_count)
        warnx("report: a file is missing");
    else if (dashes > 1)
        warnx("report: \"-\" stands for standard input once");
    else if (args->html && !strcmp(args->html, "-"))
        warnx("report: --html needs a file");
    else if (args->json_file && !strcmp(args->json_file, "-"))
        warnx("report: --json without a file prints to standard output");
    else
        return true;
    return false;
}

static bool take_operands(struct args *args, int count, char **operands)
{
    int wanted;

    if (count < 1) {
        warnx("decap, encap, clamp, info or report is missing");
        return false;
    }
    if (!find_verb(operands[0], &args->verb))
        return false;
    wanted = verbs[args->verb].operands;
    if (wanted == ANY_OPERANDS) {
        args->inputs = operands + 1;
        args->input_count = (uint32_t)count - 1;
        return check_report(args);
    }
    if (count - 1 != wanted) {
        warnx("%s: %d file%s wanted, %d given", operands[0], wanted, wanted == 1 ? "" : "s",
              count - 1);
        return false;
    }
    if (args->json_file) {
        warnx("--json=%s: %s prints to standard output only", args->json_file, operands[0]);
        return false;
    }
    args->input = operands[1];
    args->output = wanted > 1 ? operands[2] : NULL;
    if (args->json && args->output && !strcmp(args->output, "-")) {
        warnx("--json and the output \"-\" would both go to standard output");
        return false;
    }
    return true;
}

static enum args_outcome answer(int id)
{
    if (id == OPTION_HELP)
        fputs(usage, stdout);
    else
        printf("tunnelcap-pcap, library %s, %s\n", tunnelcap_version_text(), pcap_lib_version());
    return fflush(stdout) ? ARGS_WRONG : ARGS_DONE;
}

enum args_outcome args_parse(int argc, char **argv, struct args *args)
{
    uint32_t seen = 0;
    int id;

    *args = (struct args){.tunnels = 16, .top = 10};
    while ((id = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (id == OPTION_HELP || id == OPTION_VERSION)
            return answer(id);
        if (!take_option(args, id))
            goto wrong;
        seen |= 1u << id;
    }
    if (take_operands(args, argc - optind, argv + optind) && check_options(args, seen) &&
        (args->verb != VERB_CLAMP || check_clamp(args)) && check_keys(args))
        return ARGS_RUN;
wrong:
    fputs("Try tunnelcap-pcap --help.\n", stderr);
    return ARGS_WRONG;
}
