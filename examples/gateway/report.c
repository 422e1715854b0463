/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "report.h"

#include "chart.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

enum { NUMBER_SIZE = 32, NAME_WIDTH = 15 /* of the first column, at least */ };

static uint64_t number(const json_t *object, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(object, key));
}

static const char *string(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? "?" : text;
}

/* 1234567 as "1,234,567". */
static const char *grouped(uint64_t value, char text[NUMBER_SIZE])
{
    char digits[NUMBER_SIZE];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, value);
    char *end = text;

    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            *end++ = ',';
        *end++ = digits[i];
    }
    *end = '\0';
    return text;
}

/* 1234567 as "1.2 MB". */
static const char *rounded(uint64_t bytes, char text[NUMBER_SIZE])
{
    static const char units[] = "kMGTPE";
    const char *unit = units;

    if (bytes < 1000) {
        snprintf(text, NUMBER_SIZE, "%" PRIu64 " B", bytes);
        return text;
    }
    for (; bytes >= 1000000; bytes /= 1000)
        unit++;
    snprintf(text, NUMBER_SIZE, "%" PRIu64 ".%" PRIu64 " %cB", bytes / 1000, bytes / 100 % 10,
             *unit);
    return text;
}

static void print_uptime(uint64_t seconds)
{
    if (seconds >= 86400)
        printf("%" PRIu64 " d ", seconds / 86400);
    if (seconds >= 3600)
        printf("%" PRIu64 " h ", seconds / 3600 % 24);
    if (seconds >= 60)
        printf("%" PRIu64 " min ", seconds / 60 % 60);
    printf("%" PRIu64 " s\n", seconds % 60);
}

/* "ENETUNREACH 3, EMSGSIZE 1" */
static void print_members(const json_t *object)
{
    char text[NUMBER_SIZE];
    const char *key = NULL;
    const char *comma = "";
    json_t *value = NULL;

    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        printf("%s%s %s", comma, key, grouped((uint64_t)json_integer_value(value), text));
        comma = ", ";
    }
}

/* "  fragments made: 3", if there were any. */
static void print_some(const char *what, uint64_t count)
{
    char text[NUMBER_SIZE];

    if (count > 0)
        printf("  %s: %s", what, grouped(count, text));
}

static void print_direction(const char *name, int width, const char *word, const json_t *counters)
{
    const json_t *reasons = json_object_get(counters, "reasons");
    uint64_t icmp = number(counters, "icmp_sent");
    char packets[NUMBER_SIZE];
    char inner[NUMBER_SIZE];
    char outer[NUMBER_SIZE];
    char rate[CHART_NUMBER_SIZE];
    char clamped[NUMBER_SIZE];
    char refused[NUMBER_SIZE];

    chart_number(rate, number(counters, "bit_rate_minute"), "");
    printf("%-*s  %-3s  %13s  %8s  %8s  %7s  %7s  %7s", width, name, word,
           grouped(number(counters, "packets"), packets),
           rounded(number(counters, "inner_bytes"), inner),
           rounded(number(counters, "outer_bytes"), outer),
           json_object_get(counters, "bit_rate_minute") == NULL ? "-" : rate,
           grouped(number(counters, "clamped"), clamped),
           grouped(number(counters, "refused"), refused));
    if (json_object_size(reasons) > 0) {
        fputs("  ", stdout);
        print_members(reasons);
    }
    print_some("keepalives answered", number(counters, "replied") - icmp);
    print_some("ICMP errors sent", icmp);
    print_some("ICMP errors heeded", number(counters, "icmp_received"));
    print_some("fragments made", number(counters, "fragments"));
    print_some("reassembled", number(counters, "reassembled"));
    putchar('\n');
}

static void print_traffic(const char *name, int width, const json_t *tunnel)
{
    print_direction(name, width, "in", json_object_get(tunnel, "decap"));
    print_direction("", width, "out", json_object_get(tunnel, "encap"));
}

/* Packets that found no tunnel, if there were any. */
static void print_strays(const json_t *no_tunnel, int width)
{
    const json_t *in = json_object_get(no_tunnel, "decap");
    const json_t *out = json_object_get(no_tunnel, "encap");

    if (number(in, "refused") > 0)
        print_direction("(no tunnel)", width, "in", in);
    if (number(out, "refused") > 0)
        print_direction("(no tunnel)", width, "out", out);
}

static int widest(const json_t *tunnels, const char *key)
{
    size_t width = strlen(key);
    size_t index = 0;
    json_t *tunnel = NULL;

    json_array_foreach(tunnels, index, tunnel)
    {
        size_t len = strlen(string(tunnel, key));
        width = len > width ? len : width;
    }
    return (int)width;
}

static void print_sa(const char *name, int width, const json_t *sa)
{
    char packets[NUMBER_SIZE];
    char bytes[NUMBER_SIZE];

    printf("%-*s  %-3s  %s  %13s  %8s  %10" PRIu64 "  %s\n", width, name, string(sa, "direction"),
           string(sa, "spi"), grouped(number(sa, "packets"), packets),
           rounded(number(sa, "bytes"), bytes), number(sa, "sequence"), string(sa, "limit"));
}

/* The security associations of IPsec tunnels, if there are any. */
static void print_sas(const json_t *tunnels, int width)
{
    bool headed = false;
    size_t index = 0;
    json_t *tunnel = NULL;

    json_array_foreach(tunnels, index, tunnel)
    {
        size_t at = 0;
        json_t *sa = NULL;
        json_array_foreach(json_object_get(tunnel, "sas"), at, sa)
        {
            if (!headed)
                printf("\n%-*s  %-3s  %-10s  %13s  %8s  %10s  %s\n", width, "TUNNEL", "WAY", "SPI",
                       "PACKETS", "TEXT", "SEQUENCE", "LIMIT");
            headed = true;
            print_sa(at == 0 ? string(tunnel, "name") : "", width, sa);
        }
    }
}

static void print_tunnels(const json_t *tunnels, int width)
{
    int local = widest(tunnels, "local");
    int remote = widest(tunnels, "remote");
    size_t index = 0;
    json_t *tunnel = NULL;

    printf("\n%-*s  %-7s  %-8s  %-*s  %-*s  %5s  %-8s  %5s  %5s  %5s\n", width, "TUNNEL", "KIND",
           "STATE", local, "LOCAL", remote, "REMOTE", "PATH", "FROM", "MTU", "MSS4", "MSS6");
    json_array_foreach(tunnels, index, tunnel)
    {
        printf("%-*s  %-7s  %-8s  %-*s  %-*s  %5" PRIu64 "  %-8s  %5" PRIu64 "  %5" PRIu64
               "  %5" PRIu64 "\n",
               width, string(tunnel, "name"), string(tunnel, "kind"), string(tunnel, "state"),
               local, string(tunnel, "local"), remote, string(tunnel, "remote"),
               number(tunnel, "path_mtu"), string(tunnel, "path_mtu_source"), number(tunnel, "mtu"),
               number(tunnel, "mss4"), number(tunnel, "mss6"));
    }
    printf("\n%-*s  %-3s  %13s  %8s  %8s  %7s  %7s  %7s\n", width, "TUNNEL", "WAY", "PACKETS",
           "INNER", "OUTER", "BIT/S", "CLAMPED", "DROPPED");
    json_array_foreach(tunnels, index, tunnel)
    {
        print_traffic(string(tunnel, "name"), width, tunnel);
    }
}

static void print_egress(const json_t *egress)
{
    const json_t *devices = json_object_get(egress, "devices");
    char text[NUMBER_SIZE];
    size_t index = 0;
    json_t *device = NULL;

    if (json_array_size(devices) == 0)
        return;
    printf("\nClamped on egress to %" PRIu64 " (IPv4) and %" PRIu64 " (IPv6) on",
           number(egress, "mss4"), number(egress, "mss6"));
    json_array_foreach(devices, index, device)
    {
        printf("%s %s", index == 0 ? "" : ",", json_string_value(device));
    }
    printf(": %s", grouped(number(egress, "clamped"), text));
    printf(" of %s SYNs\n", grouped(number(egress, "seen"), text));
}

/* One line if there is anything to say. */
static void print_errors(const char *what, const json_t *errors)
{
    if (json_object_size(errors) == 0)
        return;
    printf("%s: ", what);
    print_members(errors);
    putchar('\n');
}

static void print_count(const char *what, uint64_t count)
{
    char text[NUMBER_SIZE];

    if (count > 0)
        printf("%s: %s\n", what, grouped(count, text));
}

void report_print(const json_t *stats)
{
    const json_t *tun = json_object_get(stats, "tun");
    const json_t *outer = json_object_get(stats, "outer");
    const json_t *egress = json_object_get(stats, "clamp_egress");
    const json_t *tunnels = json_object_get(stats, "tunnels");
    int width = widest(tunnels, "name");

    width = width < NAME_WIDTH ? NAME_WIDTH : width;
    printf("tunnelcap-gateway %s, %s side, TUN device %s, up ", string(stats, "version"),
           string(stats, "side"), string(tun, "name"));
    print_uptime(number(stats, "uptime_ms") / 1000);
    print_tunnels(tunnels, width);
    print_strays(json_object_get(stats, "no_tunnel"), width);
    print_sas(tunnels, width);
    print_egress(egress);
    print_count("Multicast that no tunnel takes", number(tun, "multicast"));
    print_count("Out of tunnels, but not IP", number(tun, "undeliverable"));
    print_count("Lost before we could read them", number(outer, "overflows"));
    print_errors("TUN read errors", json_object_get(tun, "read_errors"));
    print_errors("TUN write errors", json_object_get(tun, "write_errors"));
    print_errors("Receive errors", json_object_get(outer, "receive_errors"));
    print_errors("Send errors", json_object_get(outer, "send_errors"));
    print_errors("Egress errors", json_object_get(egress, "errors"));
}
