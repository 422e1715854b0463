/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "view.h"

#include "address.h"
#include "endpoint.h"
#include "gateway.h"
#include "metrics.h"
#include "reload.h"
#include "stats.h"
#include "tunnels_json.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/listener.h>
#include <stdlib.h>

enum { BACKLOG = 16, STATE_DIGITS = 6 };

static const char json_media_type[] = "application/json";

static int add_text(const char *text, size_t len, void *out)
{
    return evbuffer_add(out, text, len);
}

/* Write a document, and let go of it. */
static const char *add_json(struct evbuffer *out, json_t *document)
{
    json_dump_callback(document, add_text, out, JSON_COMPACT | JSON_REAL_PRECISION(STATE_DIGITS));
    evbuffer_add(out, "\n", 1);
    json_decref(document);
    return json_media_type;
}

static const char *write_stats(struct evbuffer *out, const http_request *request, void *arg)
{
    (void)request;
    return add_json(out, stats_json(arg));
}

static const char *write_tunnels(struct evbuffer *out, const http_request *request, void *arg)
{
    json_t *document = tunnels_json(arg, request);

    return document == NULL ? NULL : add_json(out, document);
}

static const char *write_metrics(struct evbuffer *out, const http_request *request, void *arg)
{
    json_t *stats = stats_json(arg);
    const char *type = metrics_write(out, stats, metrics_wants_openmetrics(request->accept));

    json_decref(stats);
    return type;
}

static const char *write_index(struct evbuffer *out, const http_request *request, void *arg);

static const char *do_reload(struct evbuffer *out, const http_request *request, void *arg)
{
    (void)request;
    return add_json(out, reload(arg));
}

static const http_page pages[] = {
    {"/", false, write_index},
    {"/metrics", false, write_metrics},
    {"/stats.json", false, write_stats},
    {"/tunnels.json", false, write_tunnels},
    {NULL, false, NULL},
};

/* What the gateway's user may do too. */
static const http_page control_pages[] = {
    {"/", false, write_index},           {"/metrics", false, write_metrics},
    {"/stats.json", false, write_stats}, {"/tunnels.json", false, write_tunnels},
    {"/reload", true, do_reload},        {NULL, false, NULL},
};

/* What there is, for those who look around. */
static const char *write_index(struct evbuffer *out, const http_request *request, void *arg)
{
    (void)request;
    (void)arg;
    evbuffer_add_printf(out, "tunnelcap-gateway %s\n\n", tunnelcap_version_text());
    for (const http_page *page = pages + 1; page->path != NULL; page++)
        evbuffer_add_printf(out, "%s\n", page->path);
    return "text/plain; charset=utf-8";
}

static bool open_http(view *v, struct gateway *g, struct event_base *base)
{
    const config_http *conf = &g->conf->http;
    char text[ADDRESS_TEXT_SIZE];
    endpoint end;

    if (conf->port == 0)
        return true;
    socklen_t size = endpoint_set(&end, &conf->address, conf->port);
    struct evconnlistener *door = evconnlistener_new_bind(
        base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE,
        BACKLOG, &end.any, (int)size);
    if (door == NULL) {
        log_line("http: cannot listen at %s port %u: %s", address_text(&conf->address, text),
                 conf->port, strerror(errno));
        return false;
    }
    if (http_open(&v->http, base, door, pages, g))
        return true;
    evconnlistener_free(door);
    return false;
}

bool view_open(view *v, struct gateway *g, struct event_base *base, const char *control_path)
{
    return control_open(&v->control, base, control_path, control_pages, g) && open_http(v, g, base);
}

void view_close(view *v)
{
    http_close(&v->http);
    control_close(&v->control);
}
