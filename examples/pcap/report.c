/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "report.h"

#include "address.h"

#include <inttypes.h>

void report_begin(struct report *report)
{
    *report = (struct report){0};
    while (
        report->status_count < REPORT_STATUSES &&
        !tunnelcap_status_at(report->status_count, &report->statuses[report->status_count].status))
        report->status_count++;
}

void report_count(struct report *report, int32_t status)
{
    report->packets++;
    for (uint32_t i = 0; i < report->status_count; i++) {
        if (report->statuses[i].status == status) {
            report->statuses[i].count++;
            return;
        }
    }
}

static void print_tunnels(const struct tunnel_set *set, FILE *out)
{
    fprintf(out, "%-5s %-20s %-20s %10s %5s %12s %14s\n", "kind", "local", "remote", "key/SPI",
            "UDP", "packets", "bytes");
    for (const struct tunnel *tunnel = set->first; tunnel; tunnel = tunnel->next) {
        const struct tunnel_identity *identity = &tunnel->identity;
        char local[ADDRESS_TEXT_SIZE];
        char remote[ADDRESS_TEXT_SIZE];
        char key[16] = "-";
        char port[8] = "-";

        if (identity->has_key)
            snprintf(key, sizeof key,
                     identity->kind == TUNNELCAP_KIND_ESP ? "0x%08" PRIx32 : "%" PRIu32,
                     identity->key);
        if (identity->udp_port)
            snprintf(port, sizeof port, "%u", identity->udp_port);
        fprintf(out, "%-5s %-20s %-20s %10s %5s %12" PRIu64 " %14" PRIu64 "\n",
                tunnel_kind_name(identity->kind), address_text(&identity->local, local),
                address_text(&identity->remote, remote), key, port, tunnel->packets, tunnel->bytes);
    }
}

bool report_print_text(const struct report *report, FILE *out)
{
    fprintf(out, "%" PRIu64 " frames, %" PRIu64 " packets", report->frames, report->packets);
    if (report->writes)
        fprintf(out, ", %" PRIu64 " written", report->written);
    fputc('\n', out);
    for (uint32_t i = 0; i < report->status_count; i++) {
        if (report->statuses[i].count)
            fprintf(out, "%12" PRIu64 "  %-16s %s\n", report->statuses[i].count,
                    tunnelcap_status_name(report->statuses[i].status),
                    tunnelcap_status_text(report->statuses[i].status));
    }
    if (report->tunnels.count)
        print_tunnels(&report->tunnels, out);
    if (report->capture)
        capture_print(report->capture, out);
    return !fflush(out) && !ferror(out);
}

void report_put(json_t *object, const char *name, uint64_t count)
{
    json_object_set_new(object, name, json_integer((json_int_t)count));
}

static json_t *tunnel_json(const struct tunnel *tunnel)
{
    const struct tunnel_identity *identity = &tunnel->identity;
    char text[ADDRESS_TEXT_SIZE];
    json_t *object = json_object();

    json_object_set_new(object, "kind", json_string(tunnel_kind_name(identity->kind)));
    json_object_set_new(object, "local", json_string(address_text(&identity->local, text)));
    json_object_set_new(object, "remote", json_string(address_text(&identity->remote, text)));
    if (identity->kind == TUNNELCAP_KIND_ESP)
        report_put(object, "spi", identity->key);
    else
        json_object_set_new(object, "key",
                            identity->has_key ? json_integer(identity->key) : json_null());
    if (identity->udp_port)
        report_put(object, "udp_port", identity->udp_port);
    report_put(object, "packets", tunnel->packets);
    report_put(object, "bytes", tunnel->bytes);
    return object;
}

static json_t *report_json(const struct report *report)
{
    json_t *status = json_object();
    json_t *tunnels = json_array();
    json_t *root = json_object();

    /* Readers may count on OK; the other statuses stand there where they have occurred. */
    for (uint32_t i = 0; i < report->status_count; i++) {
        if (report->statuses[i].count || report->statuses[i].status == TUNNELCAP_OK)
            report_put(status, tunnelcap_status_name(report->statuses[i].status),
                       report->statuses[i].count);
    }
    for (const struct tunnel *tunnel = report->tunnels.first; tunnel; tunnel = tunnel->next)
        json_array_append_new(tunnels, tunnel_json(tunnel));
    report_put(root, "frames", report->frames);
    report_put(root, "packets", report->packets);
    if (report->writes)
        report_put(root, "written", report->written);
    json_object_set_new(root, "status", status);
    json_object_set_new(root, "tunnels", tunnels);
    if (report->capture)
        capture_add_json(report->capture, root);
    return root;
}

bool report_print_json(const struct report *report, FILE *out)
{
    json_t *root = report_json(report);
    bool printed =
        root && !json_dumpf(root, out, JSON_COMPACT) && fputc('\n', out) != EOF && !fflush(out);

    json_decref(root);
    return printed;
}

void report_end(struct report *report)
{
    capture_free(report->capture);
    tunnel_set_free(&report->tunnels);
}
