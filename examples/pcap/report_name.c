/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "address.h"
#include "report.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

/* Bytes of the UTF-8 character at text, 0 if there is none (RFC 3629). */
static size_t character_at(const unsigned char *text)
{
    static const struct {
        unsigned char from, to, low, high; /* of the first byte, of the second one */
        size_t size;
    } forms[] = {
        {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
        {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
        {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };

    if (text[0] < 0x80)
        return text[0] >= 0x20 && text[0] != 0x7f;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (text[0] < forms[i].from || text[0] > forms[i].to)
            continue;
        if (text[1] < forms[i].low || text[1] > forms[i].high)
            return 0;
        for (size_t at = 2; at < forms[i].size; at++) {
            if ((text[at] & 0xc0) != 0x80)
                return 0;
        }
        /* C1 control characters, and those that turn the direction of text around. */
        if (text[0] == 0xc2 && text[1] < 0xa0)
            return 0;
        if (text[0] == 0xe2 && ((text[1] == 0x80 && text[2] >= 0x8e && text[2] <= 0x8f) ||
                                (text[1] == 0x80 && text[2] >= 0xa8 && text[2] <= 0xae) ||
                                (text[1] == 0x81 && text[2] >= 0xa6 && text[2] <= 0xa9)))
            return 0;
        return forms[i].size;
    }
    return 0;
}

const char *report_clean(const char *text, char *clean, size_t size)
{
    const unsigned char *from = (const unsigned char *)text;
    size_t used = 0;

    while (*from) {
        size_t taken = character_at(from);
        const void *piece = taken ? (const void *)from : "\xef\xbf\xbd"; /* U+FFFD */
        size_t len = taken ? taken : 3;

        if (size - used <= len)
            break;
        memcpy(clean + used, piece, len);
        used += len;
        from += taken ? taken : 1;
    }
    clean[used] = '\0';
    return clean;
}

const char *report_name(const struct scope *scope, char name[REPORT_NAME_SIZE])
{
    const struct tunnel_identity *ends = &scope->ends;
    char local[ADDRESS_TEXT_SIZE];
    char remote[ADDRESS_TEXT_SIZE];
    char key[24] = "";

    switch (scope->kind) {
    case SCOPE_ALL:
        return "All tunnels";
    case SCOPE_OTHERS:
        return "Other tunnels";
    case SCOPE_PLAIN:
        return "Outside tunnels";
    default:
        break;
    }
    if (ends->has_key)
        snprintf(key, sizeof key, " key %" PRIu32, ends->key);
    snprintf(name, REPORT_NAME_SIZE, "%s%s%s %s - %s%s%s", scope->name, *scope->name ? ": " : "",
             tunnel_kind_name(ends->kind), address_text(&ends->local, local),
             address_text(&ends->remote, remote), key, ends->udp_port ? " in UDP" : "");
    return name;
}

const char *report_direction_name(const struct scope *scope, uint32_t direction,
                                  char name[REPORT_NAME_SIZE])
{
    const tunnelcap_addr *from = direction ? &scope->ends.remote : &scope->ends.local;
    const tunnelcap_addr *to = direction ? &scope->ends.local : &scope->ends.remote;
    char source[ADDRESS_TEXT_SIZE];
    char destination[ADDRESS_TEXT_SIZE];

    if (scope->direction_count == 1)
        return "Both directions";
    snprintf(name, REPORT_NAME_SIZE, "%s to %s", address_text(from, source),
             address_text(to, destination));
    return name;
}

static const struct {
    const char *title, *name, *unit;
} dimensions[DIMENSIONS] = {
    [BY_SOURCE] = {"Sources", "sources", "bytes"},
    [BY_DESTINATION] = {"Destinations", "destinations", "bytes"},
    [BY_SOURCE_PORT] = {"Source ports", "source_ports", "bytes"},
    [BY_DESTINATION_PORT] = {"Destination ports", "destination_ports", "bytes"},
    [BY_PROTOCOL] = {"Protocols", "protocols", "bytes"},
    [BY_SIZE] = {"Packet sizes", "packet_sizes", "packets"},
    [BY_TCP_FLAGS] = {"TCP flags", "tcp_flags", "packets"},
};

const char *report_dimension_title(enum dimension dimension)
{
    return dimensions[dimension].title;
}

const char *report_dimension_name(enum dimension dimension)
{
    return dimensions[dimension].name;
}

const char *report_dimension_unit(enum dimension dimension)
{
    return dimensions[dimension].unit;
}

/* Names of protocols, so that reports do not depend on the machine's /etc/protocols. */
static const char *protocol_name(uint8_t protocol, char text[16])
{
    static const struct {
        uint8_t number;
        const char *name;
    } names[] = {
        {1, "ICMP"},  {2, "IGMP"},   {4, "IPv4"},  {6, "TCP"},     {17, "UDP"},       {41, "IPv6"},
        {47, "GRE"},  {50, "ESP"},   {51, "AH"},   {58, "ICMPv6"}, {59, "none"},      {89, "OSPF"},
        {33, "DCCP"}, {132, "SCTP"}, {103, "PIM"}, {112, "VRRP"},  {136, "UDP-Lite"},
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].number == protocol)
            return names[i].name;
    }
    snprintf(text, 16, "protocol %u", protocol);
    return text;
}

static const char *flags_name(uint8_t flags, char name[REPORT_NAME_SIZE])
{
    static const char *const bits[8] = {"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"};
    size_t used = 0;

    name[0] = '\0';
    for (int i = 0; i < 8; i++) {
        if (flags & 1 << i)
            used += (size_t)snprintf(name + used, REPORT_NAME_SIZE - used, "%s%s", used ? " " : "",
                                     bits[i]);
    }
    return used ? name : "none";
}

const char *report_key_name(enum dimension dimension, const tunnelcap_top_item *item,
                            char name[REPORT_NAME_SIZE])
{
    const uint8_t *key = item->key;
    tunnelcap_addr address = {.family = key[0]};
    char text[16];

    switch (dimension) {
    case BY_SOURCE:
    case BY_DESTINATION:
        memcpy(address.bytes, key + 1, 16);
        return address_text(&address, name);
    case BY_SOURCE_PORT:
    case BY_DESTINATION_PORT:
        snprintf(name, REPORT_NAME_SIZE, "%s %u", protocol_name(key[0], text),
                 key[1] << 8 | key[2]);
        return name;
    case BY_PROTOCOL:
        snprintf(name, REPORT_NAME_SIZE, "%s", protocol_name(key[0], text));
        return name;
    case BY_TCP_FLAGS:
        return flags_name(key[0], name);
    default:
        snprintf(name, REPORT_NAME_SIZE, "%" PRIu32,
                 (uint32_t)key[0] << 24 | (uint32_t)key[1] << 16 | (uint32_t)key[2] << 8 | key[3]);
        return name;
    }
}

const char *report_time(uint64_t time_ns, char text[REPORT_NAME_SIZE])
{
    time_t seconds = (time_t)(time_ns / 1000000000);
    uint32_t fraction = (uint32_t)(time_ns % 1000000000);
    size_t used = 0;
    struct tm parts;

    if (gmtime_r(&seconds, &parts))
        used = strftime(text, REPORT_NAME_SIZE, "%Y-%m-%dT%H:%M:%S", &parts);
    if (fraction % 1000)
        used += (size_t)snprintf(text + used, REPORT_NAME_SIZE - used, ".%09" PRIu32, fraction);
    else if (fraction)
        used +=
            (size_t)snprintf(text + used, REPORT_NAME_SIZE - used, ".%06" PRIu32, fraction / 1000);
    snprintf(text + used, REPORT_NAME_SIZE - used, "Z");
    return text;
}

const char *report_duration(uint64_t seconds, char text[REPORT_NAME_SIZE])
{
    static const struct {
        uint64_t seconds;
        const char *unit;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        uint64_t count = seconds / units[i].seconds;

        seconds %= units[i].seconds;
        if (count || (!used && i == 3))
            used += (size_t)snprintf(text + used, REPORT_NAME_SIZE - used, "%s%" PRIu64 " %s",
                                     used ? " " : "", count, units[i].unit);
    }
    return text;
}
