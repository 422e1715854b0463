/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The control socket: a UNIX socket, for the gateway's user and root, where the gateway's pages are
 * served over HTTP. So the commands of this program are not alone in asking: curl --unix-socket
 * does it too.
 */
#ifndef TUNNELCAP_GATEWAY_CONTROL_H
#define TUNNELCAP_GATEWAY_CONTROL_H

#include "config.h"
#include "http.h"

#include <jansson.h>

struct event_base;

typedef struct control {
    http http;
    char path[CONFIG_CONTROL_SIZE]; /* empty while closed */
} control;

/* Where the socket is unless the user says otherwise: in /run/tunnelcap or, for those who may
 * not write there, in $XDG_RUNTIME_DIR/tunnelcap. `make` also makes the directory. False after
 * a line if there is no such place. */
bool control_default_path(const char *tun, bool make, char path[CONFIG_CONTROL_SIZE]);

/* Begin to serve pages. False after a line that says what is wrong. */
bool control_open(control *c, struct event_base *base, const char *path, const http_page *pages,
                  void *arg);
void control_close(control *c);

/* Have a gateway do what a page stands for; its answer, or NULL after a line. */
json_t *control_do(const char *path, const char *page);

/* Ask a gateway for a page of JSON; NULL after a line that says what is wrong. */
json_t *control_ask(const char *path, const char *page);

/* The same without the line: `why` says what is wrong. */
json_t *control_try(const char *path, const char *page, char *why, size_t size);

#endif
