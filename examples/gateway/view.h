/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * What others see of the gateway: pages at the control socket and, where the configuration says so,
 * over TCP.
 */
#ifndef TUNNELCAP_GATEWAY_VIEW_H
#define TUNNELCAP_GATEWAY_VIEW_H

#include "control.h"
#include "http.h"

struct event_base;
struct gateway;

typedef struct view {
    control control;
    http http;
} view;

/* Begin to show a gateway. False after a line that says what is wrong; the caller closes the view
 * then too. */
bool view_open(view *v, struct gateway *g, struct event_base *base, const char *control_path);
void view_close(view *v);

#endif
