/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The report for machines.
 */
#include "address.h"
#include "deploy.h"
#include "report.h"
#include "summary.h"

#include <stdlib.h>
#include <string.h>

static void put_text(json_t *object, const char *name, const char *text)
{
    json_object_set_new(object, name, json_string(text));
}

static json_t *numbers(const uint64_t *values, uint32_t count)
{
    json_t *array = json_array();

    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(array, json_integer((json_int_t)values[i]));
    return array;
}

static json_t *statuses_json(const struct direction *direction)
{
    json_t *object = json_object();
    int32_t status;

    for (uint32_t i = 0; i < REPORT_STATUSES && !tunnelcap_status_at(i, &status); i++) {
        if (direction->statuses[i] || status == TUNNELCAP_OK)
            summary_put(object, tunnelcap_status_name(status), direction->statuses[i]);
    }
    return object;
}

static json_t *spis_json(const struct direction *direction)
{
    json_t *array = json_array();

    for (uint32_t i = 0; i < direction->spi_count && i < REPORT_SPIS; i++)
        json_array_append_new(array, json_integer(direction->spis[i]));
    return array;
}

static json_t *direction_json(const struct report *report, const struct scope *scope, uint32_t way,
                              const struct series *series)
{
    const struct direction *direction = &scope->directions[way];
    json_t *object = json_object();
    char text[ADDRESS_TEXT_SIZE];

    if (scope->kind == SCOPE_TUNNEL) {
        put_text(object, "from",
                 address_text(way ? &scope->ends.remote : &scope->ends.local, text));
        put_text(object, "to", address_text(way ? &scope->ends.local : &scope->ends.remote, text));
        if (scope->ends.kind == TUNNELCAP_KIND_ESP) {
            json_object_set_new(object, "spis", spis_json(direction));
            summary_put(object, "spi_count", direction->spi_count);
        }
    }
    summary_put(object, "packets", direction->packets);
    summary_put(object, "bytes", direction->outer_bytes);
    summary_put(object, "delivered", direction->delivered);
    summary_put(object, "inner_bytes", direction->inner_bytes);
    json_object_set_new(object, "status", statuses_json(direction));
    summary_put(object, "mss_clamped", direction->clamped);
    summary_put(object, "reassembled", direction->joined);
    summary_put(object, "inner_fragments", direction->inner_fragments);
    summary_put(object, "too_big", direction->too_big);
    json_object_set_new(object, "path_mtu",
                        direction->too_big ? json_integer(direction->lowest_mtu) : json_null());
    summary_put(object, "average_bit_rate", series->average[way]);
    summary_put(object, "peak_bit_rate", series->highest[way]);
    summary_put(object, "peak_packet_rate", series->highest_packets[way]);
    summary_put(object, "percentile_95_bit_rate", series->percentile[way]);
    json_object_set_new(object, "bin_bytes", numbers(series->bytes[way], report->bins));
    json_object_set_new(object, "bin_packets", numbers(series->packets[way], report->bins));
    json_object_set_new(object, "bin_bit_rate", numbers(series->rate[way], report->bins));
    json_object_set_new(object, "bin_peak_bit_rate", numbers(series->peak[way], report->bins));
    return object;
}

static json_t *talkers_json(const struct report *report, const struct scope *scope,
                            enum dimension dimension, struct talkers *talkers)
{
    json_t *object = json_object();
    json_t *items = json_array();
    char name[REPORT_NAME_SIZE];

    scope_talkers(scope, dimension, report->args->top, talkers);
    for (uint32_t i = 0; i < talkers->count; i++) {
        json_t *item = json_object();

        put_text(item, "key", report_key_name(dimension, &talkers->items[i], name));
        summary_put(item, "weight", talkers->items[i].weight);
        summary_put(item, "error", talkers->items[i].error);
        json_array_append_new(items, item);
    }
    put_text(object, "unit", report_dimension_unit(dimension));
    summary_put(object, "total", talkers->total);
    json_object_set_new(object, "items", items);
    return object;
}

static json_t *scope_json(const struct report *report, const struct scope *scope)
{
    struct series *series = malloc(sizeof *series);
    struct talkers *talkers = malloc(sizeof *talkers);
    json_t *directions = json_array();
    json_t *object = json_object();
    json_t *lists = json_object();
    char name[REPORT_NAME_SIZE];

    put_text(object, "name", report_name(scope, name));
    if (scope->kind == SCOPE_TUNNEL) {
        put_text(object, "kind", tunnel_kind_name(scope->ends.kind));
        json_object_set_new(object, "key",
                            scope->ends.has_key ? json_integer(scope->ends.key) : json_null());
        json_object_set_new(object, "udp", json_boolean(scope->ends.udp_port));
        json_object_set_new(object, "inner_mtu",
                            scope->inner_mtu ? json_integer(scope->inner_mtu) : json_null());
    }
    if (series && talkers) {
        scope_series(scope, report, series);
        for (uint32_t way = 0; way < scope->direction_count; way++)
            json_array_append_new(directions, direction_json(report, scope, way, series));
        for (int i = 0; i < DIMENSIONS; i++)
            json_object_set_new(lists, report_dimension_name((enum dimension)i),
                                talkers_json(report, scope, (enum dimension)i, talkers));
    }
    json_object_set_new(object, "directions", directions);
    json_object_set_new(object, "talkers", lists);
    free(series);
    free(talkers);
    return object;
}

static json_t *files_json(const struct report *report)
{
    json_t *files = json_array();
    char text[REPORT_NAME_SIZE];

    for (uint32_t i = 0; i < report->timeline.count; i++) {
        const struct timeline_file *file = &report->timeline.files[i];
        json_t *object = json_object();

        put_text(object, "name", report_clean(file->path, text, sizeof text));
        summary_put(object, "frames", file->frames);
        json_array_append_new(files, object);
    }
    return files;
}

static json_t *report_json(const struct report *report)
{
    json_t *root = json_object();
    json_t *fragments = json_object();
    json_t *tunnels = json_array();
    char text[REPORT_NAME_SIZE];

    json_object_set_new(root, "files", files_json(report));
    summary_put(root, "frames", report->frames);
    summary_put(root, "packets", report->packets);
    put_text(root, "first", report_time(report->first_ns, text));
    put_text(root, "last", report_time(report->last_ns, text));
    summary_put(root, "late_frames", report->late);
    summary_put(fragments, "frames", report->fragments);
    summary_put(fragments, "packets", report->joined);
    summary_put(fragments, "refused", report->unfit);
    json_object_set_new(root, "fragments", fragments);
    summary_put(root, "bucket_seconds", report->span_s);
    summary_put(root, "bin_start", report->start_s);
    summary_put(root, "bin_seconds", report->step_s);
    summary_put(root, "bins", report->bins);
    for (uint32_t i = 0; i < report->scope_count; i++) {
        json_t *scope = scope_json(report, report->scopes[i]);

        switch (report->scopes[i]->kind) {
        case SCOPE_TUNNEL:
            json_array_append_new(tunnels, scope);
            break;
        case SCOPE_ALL:
            json_object_set_new(root, "all", scope);
            break;
        case SCOPE_OTHERS:
            summary_put(scope, "tunnels", report->scopes[i]->tunnels);
            json_object_set_new(root, "others", scope);
            break;
        default:
            json_object_set_new(root, "plain", scope);
            break;
        }
    }
    json_object_set_new(root, "tunnels", tunnels);
    return root;
}

bool report_print_json(const struct report *report, FILE *out)
{
    json_t *root = report_json(report);
    bool printed = root && !json_dumpf(root, out, JSON_COMPACT) && fputc('\n', out) != EOF &&
                   !fflush(out) && !ferror(out);

    json_decref(root);
    return printed;
}
