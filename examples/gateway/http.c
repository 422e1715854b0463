/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "http.h"

#include "log.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

/* libevent limits the time between two bytes, not that of a connection, nor how many there are. So
 * there is a list of guests: we hold a reference to each stream, and see from its callbacks, which
 * libevent takes away in the end, that it has gone. Its descriptor would not tell: it may be in
 * use again by then. */

enum {
    HEADERS_MOST = 8192,
    QUIET_S = 5,         /* between two bytes */
    PATIENCE_MS = 10000, /* from the first byte to the last */
    LOOK_MS = 200,       /* how often guests are looked at */
    NAME_SIZE = 128
};

static bool has_left(const http_guest *guest)
{
    bufferevent_event_cb on_event = NULL;

    bufferevent_getcb(guest->stream, NULL, NULL, &on_event, NULL);
    return on_event == NULL;
}

/* Forget those who have left; see off those who take too long. */
static void look_at_guests(http *h)
{
    unsigned stay = 0;
    int64_t now_ms = log_now_ms();

    for (unsigned i = 0; i < h->guest_count; i++) {
        http_guest *guest = &h->guests[i];
        if (has_left(guest)) {
            bufferevent_decref(guest->stream);
            continue;
        }
        if (now_ms >= guest->until_ms)
            shutdown(bufferevent_getfd(guest->stream), SHUT_RDWR);
        h->guests[stay++] = *guest;
    }
    h->guest_count = stay;
    if (stay < HTTP_GUESTS)
        evconnlistener_enable(h->listener);
}

static void on_clock(evutil_socket_t fd, short what, void *arg)
{
    http *h = arg;

    (void)fd;
    (void)what;
    look_at_guests(h);
    if (h->guest_count == 0)
        event_del(h->clock);
}

/* Whom the listener has let in. It is shut as long as the house is full. */
static struct bufferevent *on_guest(struct event_base *base, void *arg)
{
    static const struct timeval look = {.tv_usec = LOOK_MS * 1000};
    http *h = arg;
    struct bufferevent *stream = bufferevent_socket_new(base, -1, 0);

    if (stream == NULL)
        return NULL;
    bufferevent_incref(stream);
    h->guests[h->guest_count++] =
        (http_guest){.stream = stream, .until_ms = log_now_ms() + PATIENCE_MS};
    if (h->guest_count == HTTP_GUESTS)
        evconnlistener_disable(h->listener);
    event_add(h->clock, &look);
    return stream;
}

/* `body` may be NULL. Who asks for the head is told how long the page would be. */
static void reply(struct evhttp_request *request, int code, const char *reason, const char *type,
                  struct evbuffer *body)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
    char length[32];

    snprintf(length, sizeof length, "%zu", body == NULL ? 0 : evbuffer_get_length(body));
    evhttp_add_header(headers, "Content-Length", length);
    evhttp_add_header(headers, "Content-Type", type);
    evhttp_add_header(headers, "Cache-Control", "no-store");
    evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
    evhttp_add_header(headers, "Connection", "close");
    if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD)
        body = NULL; /* libevent would send it */
    evhttp_send_reply(request, code, reason, body);
}

static void refuse(struct evhttp_request *request, int code, const char *reason)
{
    struct evbuffer *body = evbuffer_new();

    if (body != NULL)
        evbuffer_add_printf(body, "%d %s\n", code, reason);
    reply(request, code, reason, "text/plain; charset=utf-8", body);
    if (body != NULL)
        evbuffer_free(body);
}

static void show(http *h, struct evhttp_request *request, const http_page *page)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    const char *text = evhttp_uri_get_query(uri);
    struct evkeyvalq query = {.tqh_first = NULL};
    http_request asked = {.query = &query};
    struct evbuffer *body = evbuffer_new();
    const char *type = NULL;

    asked.accept = evhttp_find_header(evhttp_request_get_input_headers(request), "Accept");
    if (body != NULL && (text == NULL || evhttp_parse_query_str(text, &query) == 0)) {
        type = page->write(body, &asked, h->arg);
        evhttp_clear_headers(&query);
    }
    if (body == NULL)
        refuse(request, HTTP_SERVUNAVAIL, "Out Of Memory");
    else if (type == NULL)
        refuse(request, HTTP_BADREQUEST, "Bad Request");
    else
        reply(request, HTTP_OK, "OK", type, body);
    if (body != NULL)
        evbuffer_free(body);
}

static bool is_allowed(const http_page *page, enum evhttp_cmd_type method)
{
    if (page->does)
        return method == EVHTTP_REQ_POST;
    return method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD;
}

static void on_request(struct evhttp_request *request, void *arg)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    const char *path = uri == NULL ? NULL : evhttp_uri_get_path(uri);
    enum evhttp_cmd_type method = evhttp_request_get_command(request);
    http *h = arg;
    const http_page *page = h->pages;

    while (path != NULL && page->path != NULL && strcmp(page->path, path) != 0)
        page++;
    if (path == NULL || page->path == NULL) {
        refuse(request, HTTP_NOTFOUND, "Not Found");
    } else if (!is_allowed(page, method)) {
        evhttp_add_header(evhttp_request_get_output_headers(request), "Allow",
                          page->does ? "POST" : "GET, HEAD");
        refuse(request, HTTP_BADMETHOD, "Method Not Allowed");
    } else {
        show(h, request, page);
    }
}

bool http_open(http *h, struct event_base *base, struct evconnlistener *listener,
               const http_page *pages, void *arg)
{
    *h = (http){.server = evhttp_new(base),
                .listener = listener,
                .clock = event_new(base, -1, EV_PERSIST, on_clock, h),
                .pages = pages,
                .arg = arg};
    if (h->server == NULL || h->clock == NULL ||
        evhttp_bind_listener(h->server, listener) == NULL) {
        log_line("%s", strerror(ENOMEM));
        http_close(h);
        return false;
    }
    /* What is not allowed gets an answer of ours: libevent's would be "not implemented". */
    evhttp_set_allowed_methods(h->server, UINT16_MAX);
    evhttp_set_max_headers_size(h->server, HEADERS_MOST);
    evhttp_set_max_body_size(h->server, 0);
    evhttp_set_timeout(h->server, QUIET_S);
    evhttp_set_bevcb(h->server, on_guest, h);
    evhttp_set_gencb(h->server, on_request, h);
    return true;
}

void http_close(http *h)
{
    if (h->server != NULL)
        evhttp_free(h->server); /* with its listener and connections */
    for (unsigned i = 0; i < h->guest_count; i++)
        bufferevent_decref(h->guests[i].stream);
    if (h->clock != NULL)
        event_free(h->clock);
    *h = (http){.server = NULL};
}

const char *http_argument(const http_request *request, const char *name)
{
    return evhttp_find_header(request->query, name);
}

/* The part of a list up to a separator, without the blanks around it; moves behind it. */
static bool next_part(const char **list, char separator, char part[NAME_SIZE])
{
    const char *begin = *list + strspn(*list, " \t");
    const char *end = strchr(begin, separator);
    size_t len = end == NULL ? strlen(begin) : (size_t)(end - begin);

    if (**list == '\0')
        return false;
    *list = end == NULL ? begin + len : end + 1;
    while (len > 0 && (begin[len - 1] == ' ' || begin[len - 1] == '\t'))
        len--;
    len = len < NAME_SIZE ? len : NAME_SIZE - 1;
    memcpy(part, begin, len);
    part[len] = '\0';
    return true;
}

/* "0.75" as 750: at most three digits count. */
static unsigned quality(const char *text)
{
    unsigned value = text[0] == '1' ? 1000 : 0;
    unsigned unit = 100;

    if (value == 0 && text[0] == '0' && text[1] == '.')
        for (text += 2; *text >= '0' && *text <= '9' && unit > 0; text++, unit /= 10)
            value += (unsigned)(*text - '0') * unit;
    return value;
}

/* How exactly a media range names a type: 0 not at all, 3 to the letter. */
static unsigned match(const char *range, const char *type)
{
    size_t group = (size_t)(strchr(type, '/') + 1 - type);

    if (strcasecmp(range, type) == 0)
        return 3;
    if (strncasecmp(range, type, group) == 0 && strcmp(range + group, "*") == 0)
        return 2;
    return strcmp(range, "*/*") == 0 ? 1 : 0;
}

unsigned http_wants(const char *accept, const char *type)
{
    char element[NAME_SIZE];
    char part[NAME_SIZE];
    unsigned best = 0;
    unsigned wanted = 0;

    if (accept == NULL)
        return 1000;
    while (next_part(&accept, ',', element)) {
        const char *rest = element;
        unsigned value = 1000;
        if (!next_part(&rest, ';', part))
            continue;
        unsigned exact = match(part, type);
        while (next_part(&rest, ';', part))
            if (strncasecmp(part, "q=", 2) == 0)
                value = quality(part + 2);
        if (exact > best || (exact == best && exact > 0 && value > wanted)) {
            best = exact;
            wanted = value;
        }
    }
    return wanted;
}
