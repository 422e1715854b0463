/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * What `top` knows of a gateway: its statistics, and what has changed from one look to the next.
 */
#ifndef TUNNELCAP_GATEWAY_TOP_MODEL_H
#define TUNNELCAP_GATEWAY_TOP_MODEL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { TOP_SECONDS = 60 };

/* One direction of a tunnel. */
typedef struct top_way {
    uint64_t packets; /* since the gateway's start */
    uint64_t bytes;
    uint64_t drops;
    uint64_t bit_rate; /* per second, since the look before */
    uint64_t packet_rate;
    uint64_t drop_rate;
} top_way;

typedef struct top_tunnel {
    const json_t *stats; /* in those of the model */
    const char *name;
    const char *state;
    const json_t *health; /* NULL if it is not watched */
    top_way in;           /* out of the tunnel */
    top_way out;
    uint64_t in_seconds[TOP_SECONDS]; /* bit rates, from the oldest to the newest */
    uint64_t out_seconds[TOP_SECONDS];
    uint32_t seconds; /* how many of them are known, at the end */
} top_tunnel;

/* What tunnels are sorted by. */
enum top_order {
    TOP_BY_NAME,
    TOP_BY_STATE,
    TOP_BY_IN,
    TOP_BY_OUT,
    TOP_BY_PACKETS,
    TOP_BY_DROPS,
    TOP_BY_MTU,
    TOP_BY_RTT
};

typedef struct top_model {
    json_t *stats;       /* NULL before the first look */
    top_tunnel *tunnels; /* in the gateway's order */
    top_tunnel **rows;   /* in that of top_model_sort() */
    size_t count;
    enum top_order order;
    bool reversed;
} top_model;

/* Take statistics over. */
void top_model_look(top_model *m, json_t *stats);

/* Fill the last minute from the gateway's own records, the answer to
 * /tunnels.json?interval=second. */
void top_model_recall(top_model *m, const json_t *records);

/* Sort by `order` and `reversed`: numbers from the largest, the rest from the least. */
void top_model_sort(top_model *m);

void top_model_free(top_model *m);

/* Numbers and texts of a tunnel's statistics; 0 and "" where there are none. */
uint64_t top_number(const json_t *object, const char *key);
const char *top_string(const json_t *object, const char *key);

#endif
