/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "summary.h"

#include "address.h"

#include <inttypes.h>

void summary_begin(struct summary *summary)
{
    *summary = (struct summary){0};
    while (summary->status_count < SUMMARY_STATUSES &&
           !tunnelcap_status_at(summary->status_count,
                                &summary->statuses[summary->status_count].status))
        summary->status_count++;
}

void summary_count(struct summary *summary, int32_t status)
{
    summary->packets++;
    for (uint32_t i = 0; i < summary->status_count; i++) {
        if (summary->statuses[i].status == status) {
            summary->statuses[i].count++;
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

bool summary_print_text(const struct summary *summary, FILE *out)
{
    fprintf(out, "%" PRIu64 " frames, %" PRIu64 " packets", summary->frames, summary->packets);
    if (summary->writes)
        fprintf(out, ", %" PRIu64 " written", summary->written);
    fputc('\n', out);
    for (uint32_t i = 0; i < summary->status_count; i++) {
        if (summary->statuses[i].count)
            fprintf(out, "%12" PRIu64 "  %-16s %s\n", summary->statuses[i].count,
                    tunnelcap_status_name(summary->statuses[i].status),
                    tunnelcap_status_text(summary->statuses[i].status));
    }
    if (summary->tunnels.count)
        print_tunnels(&summary->tunnels, out);
    if (summary->capture)
        capture_print(summary->capture, out);
    return !fflush(out) && !ferror(out);
}

void summary_put(json_t *object, const char *name, uint64_t count)
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
        summary_put(object, "spi", identity->key);
    else
        json_object_set_new(object, "key",
                            identity->has_key ? json_integer(identity->key) : json_null());
    if (identity->udp_port)
        summary_put(object, "udp_port", identity->udp_port);
    summary_put(object, "packets", tunnel->packets);
    summary_put(object, "bytes", tunnel->bytes);
    return object;
}

static json_t *summary_json(const struct summary *summary)
{
    json_t *status = json_object();
    json_t *tunnels = json_array();
    json_t *root = json_object();

    /* Readers may count on OK; the other statuses stand there where they have occurred. */
    for (uint32_t i = 0; i < summary->status_count; i++) {
        if (summary->statuses[i].count || summary->statuses[i].status == TUNNELCAP_OK)
            summary_put(status, tunnelcap_status_name(summary->statuses[i].status),
                        summary->statuses[i].count);
    }
    for (const struct tunnel *tunnel = summary->tunnels.first; tunnel; tunnel = tunnel->next)
        json_array_append_new(tunnels, tunnel_json(tunnel));
    summary_put(root, "frames", summary->frames);
    summary_put(root, "packets", summary->packets);
    if (summary->writes)
        summary_put(root, "written", summary->written);
    json_object_set_new(root, "status", status);
    json_object_set_new(root, "tunnels", tunnels);
    if (summary->capture)
        capture_add_json(summary->capture, root);
    return root;
}

bool summary_print_json(const struct summary *summary, FILE *out)
{
    json_t *root = summary_json(summary);
    bool printed =
        root && !json_dumpf(root, out, JSON_COMPACT) && fputc('\n', out) != EOF && !fflush(out);

    json_decref(root);
    return printed;
}

void summary_end(struct summary *summary)
{
    capture_free(summary->capture);
    tunnel_set_free(&summary->tunnels);
}
