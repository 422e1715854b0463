/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * What `top` shows, as pieces of text for places of a screen, whatever the screen is.
 */
#ifndef TUNNELCAP_GATEWAY_TOP_SCREEN_H
#define TUNNELCAP_GATEWAY_TOP_SCREEN_H

#include "chart.h"
#include "top_model.h"

enum { TOP_NARROWEST = 40, TOP_LOWEST = 5 };

/* How a piece of text looks. */
typedef struct top_look {
    enum chart_colour colour;
    bool reverse;
} top_look;

typedef struct top_screen {
    unsigned width;
    unsigned height; /* 0: as many lines as it takes */
    bool ascii;
    size_t selected;  /* row of the model; moved to where there is one */
    size_t first;     /* the uppermost row shown; moved so that the selected one is */
    const char *note; /* for the line at the bottom */
    /* Show text; from top to bottom, and from left to right. */
    void (*put)(void *arg, unsigned line, unsigned column, top_look look, const char *text);
    void *arg;
} top_screen;

void top_screen_draw(top_screen *s, const top_model *m);

#endif
