/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* A tunnel that is watched, on a virtual clock, over a path that is cut and mended at will. */
#ifndef TUNNELCAP_TESTS_WATCH_WORLD_H
#define TUNNELCAP_TESTS_WATCH_WORLD_H

#include "table_link.h"

enum { WATCH_FLIGHTS = 32, WATCH_EVENTS = 64, WATCH_SERVER = 77 };

static const uint64_t WATCH_MS = 1000000, WATCH_S = 1000000000;

/* An answer on its way back to the near end. */
typedef struct watch_flight {
    uint64_t at_ns;
    uint32_t len;
    uint8_t bytes[512];
} watch_flight;

typedef struct watch_world {
    table_link link;
    uint64_t now_ns;
    uint64_t next_ns; /* of the next tick */
    uint64_t rtt_ns;
    bool is_cut;
    uint32_t lose; /* as many of the next answers are lost */
    uint32_t sent; /* probes */
    uint32_t flights;
    watch_flight flight[WATCH_FLIGHTS];
    tunnelcap_event health[WATCH_EVENTS]; /* changes of state, as told */
    uint32_t healths;
} watch_world;

/* Open a link of this kind; near is WATCH_SERVER. */
void watch_open(watch_world *w, uint32_t kind);
void watch_open_as(watch_world *w, uint32_t kind, const tunnelcap_table_config *near);
void watch_close(watch_world *w);

extern const uint8_t watch_key[TUNNELCAP_PROBE_KEY];

/* A watch with one probe a second. */
tunnelcap_health_config watch_high(void);

/* Let everything happen up to a time. */
void watch_run(watch_world *w, uint64_t until_ns);

tunnelcap_health_info watch_info(const watch_world *w);

/* What the far end makes of a probe: the packet that comes to the near end, or nothing (0). */
uint32_t watch_far(watch_world *w, const tunnelcap_pkt *probe, uint8_t out[512]);

/* Give a packet to the near end; its result, and the event of its probe if there is one. */
tunnelcap_result watch_near(watch_world *w, const uint8_t *bytes, uint32_t len,
                            tunnelcap_event *event);

/* One tick, its probes in `call`, which the caller closes. */
void watch_tick(watch_world *w, world_call *call, uint32_t spares);

#endif
