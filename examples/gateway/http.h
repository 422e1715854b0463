/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Pages over HTTP for those who watch the gateway: GET and HEAD, one request for each connection,
 * and bounds on all that a stranger could make large, many or slow.
 */
#ifndef TUNNELCAP_GATEWAY_HTTP_H
#define TUNNELCAP_GATEWAY_HTTP_H

#include <stdbool.h>
#include <stdint.h>

struct bufferevent;
struct evbuffer;
struct event;
struct event_base;
struct evconnlistener;
struct evhttp;
struct evkeyvalq;

enum { HTTP_GUESTS = 16 /* connections at a time; others wait for the kernel to hand them over */ };

/* What a page may want to know of the request. */
typedef struct http_request {
    const char *accept;            /* the Accept header, or NULL */
    const struct evkeyvalq *query; /* behind the question mark */
} http_request;

/* A place where something can be had, or done. */
typedef struct http_page {
    const char *path; /* NULL at the end of a list */
    bool does;        /* asking for it changes something: POST, and not GET or HEAD */
    /* Write the page and return its media type; NULL if the query makes no sense. */
    const char *(*write)(struct evbuffer *out, const http_request *request, void *arg);
} http_page;

/* A connection. */
typedef struct http_guest {
    struct bufferevent *stream;
    int64_t until_ms; /* when patience ends */
} http_guest;

typedef struct http {
    struct evhttp *server; /* NULL while closed */
    struct evconnlistener *listener;
    struct event *clock; /* runs while there are guests */
    const http_page *pages;
    void *arg;
    http_guest guests[HTTP_GUESTS];
    unsigned guest_count;
} http;

/* Serve pages to those who connect to a listener, which is taken over if that succeeds. False
 * after a line that says what is wrong. `h` must stay where it is. */
bool http_open(http *h, struct event_base *base, struct evconnlistener *listener,
               const http_page *pages, void *arg);
void http_close(http *h);

/* An argument of the query, or NULL. */
const char *http_argument(const http_request *request, const char *name);

/* How much a client wants a media type, 0 to 1000, by its Accept header (RFC 9110 section 12.5.1);
 * NULL wants all. */
unsigned http_wants(const char *accept, const char *type);

#endif
