/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "join.h"

#include "plane.h"

#include <err.h>
#include <stdlib.h>

enum { MOST_SETS = 4096, MOST_BYTES = 16 << 20, WHOLE_SHARE = 100 };

bool join_open(struct join *join)
{
    uint8_t seed[TUNNELCAP_SEED_SIZE];
    tunnelcap_reassembly_config config;
    int32_t status;

    join_close(join);
    tunnelcap_reassembly_config_init(&config, sizeof config);
    config.sets = MOST_SETS;
    config.bytes = MOST_BYTES;
    config.source_share = WHOLE_SHARE; /* a capture may well be of one tunnel */
    if (!plane_draw_seed(seed))
        return false;
    status = tunnelcap_reassembly_new(&config, seed, NULL, &join->reassembly);
    if (status < 0)
        warnx("reassembly: %s", tunnelcap_status_text(status));
    return status >= 0;
}

/* Let the spare buffer hold a packet of that length, and what is put around it. */
static bool grow(struct join *join, uint32_t len)
{
    uint32_t needed = SOURCE_HEADROOM + len + SOURCE_TAILROOM;
    uint8_t *grown;

    if (needed <= join->spare_cap)
        return true;
    grown = realloc(join->spare, needed);
    if (!grown)
        return false;
    join->spare = grown;
    join->spare_cap = needed;
    return true;
}

/* Give the frame the spare buffer, which holds its packet now, for its own. */
static void exchange(struct join *join, struct frame *frame, uint32_t len)
{
    uint8_t *buf = frame->buf;
    uint32_t cap = frame->cap;

    frame->buf = join->spare;
    frame->cap = join->spare_cap;
    frame->link.offset = 0;
    frame->joined = true;
    frame->header.caplen = len;
    frame->header.len = len;
    join->spare = buf;
    join->spare_cap = cap;
}

int32_t join_take(struct join *join, struct frame *frame)
{
    tunnelcap_pkt pkt = frame_packet(frame);
    uint32_t len = tunnelcap_reassembly_need(join->reassembly, &pkt, NULL, frame->time_ns);
    tunnelcap_pkt out = {.off = SOURCE_HEADROOM};
    int32_t status;

    if (len && !grow(join, len))
        return TUNNELCAP_E_NOMEM;
    out.buf = join->spare;
    out.cap = join->spare_cap;
    status =
        tunnelcap_reassembly_add(join->reassembly, &pkt, NULL, frame->time_ns, len ? &out : NULL);
    if (status == TUNNELCAP_OK)
        exchange(join, frame, out.len);
    return status;
}

int32_t join_look(struct join *join, struct frame *frame, tunnelcap_peek_result *peek)
{
    int32_t joined = join_take(join, frame);
    int32_t status = frame_peek(frame, peek);

    if (joined == TUNNELCAP_KEPT || (joined < 0 && status >= 0))
        return joined;
    return status;
}

bool join_tells_tunnel(const tunnelcap_peek_result *peek)
{
    return !(peek->flags & TUNNELCAP_PEEK_FRAGMENT);
}

void join_close(struct join *join)
{
    tunnelcap_reassembly_free(join->reassembly);
    free(join->spare);
    *join = (struct join){0};
}
