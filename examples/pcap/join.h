/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Fragments of a capture, put together again before anything looks into them.
 */
#ifndef PCAP_JOIN_H
#define PCAP_JOIN_H

#include "source.h"

#include <tunnelcap/tunnelcap.h>

/* Empty when all zero. */
struct join {
    tunnelcap_reassembly *reassembly;
    uint8_t *spare; /* buffer for the next datagram that is complete */
    uint32_t spare_cap;
};

/* Begin, or begin again, with no fragment under way. False after a message. */
bool join_open(struct join *join);

/*
 * Take the IP packet of a frame. TUNNELCAP_WHOLE: it was no fragment. TUNNELCAP_OK: it has
 * completed a datagram, which is now the frame's packet. Else it is kept, or of no use.
 */
int32_t join_take(struct join *join, struct frame *frame);

/*
 * Look at a frame's packet; if that is a fragment, at the whole once its last fragment has come.
 * Until then the status is TUNNELCAP_KEPT, or why it is of no use.
 */
int32_t join_look(struct join *join, struct frame *frame, tunnelcap_peek_result *peek);

/* A fragment does not tell which tunnel it belongs to: the key may be in another one. */
bool join_tells_tunnel(const tunnelcap_peek_result *peek);

/* Forget what is incomplete; harmless on one that could not be opened. */
void join_close(struct join *join);

#endif
