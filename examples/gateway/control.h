/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The control socket: whoever connects to it is sent the statistics, and that is all.
 */
#ifndef TUNNELCAP_GATEWAY_CONTROL_H
#define TUNNELCAP_GATEWAY_CONTROL_H

#include "config.h"

#include <jansson.h>

struct event_base;
struct evconnlistener;

typedef struct control {
    struct evconnlistener *listener;
    char path[CONFIG_CONTROL_SIZE];
    json_t *(*answer)(void *arg);
    void *arg;
} control;

/* Where the socket is unless the user says otherwise: in /run/tunnelcap or, for those who may
 * not write there, in $XDG_RUNTIME_DIR/tunnelcap. `make` also makes the directory. False after
 * a line if there is no such place. */
bool control_default_path(const char *tun, bool make, char path[CONFIG_CONTROL_SIZE]);

/* Begin to answer. False after a line that says what is wrong. */
bool control_open(control *c, struct event_base *base, const char *path,
                  json_t *(*answer)(void *arg), void *arg);
void control_close(control *c);

/* Ask a gateway; NULL after a line that says what is wrong. */
json_t *control_ask(const char *path);

#endif
