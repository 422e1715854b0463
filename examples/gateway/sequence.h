/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Sequence numbers of outbound SAs, across restarts.
 *
 * A far end with a replay window drops numbers that it has seen, and those far below. So a gateway
 * that starts again goes on above all that it may have sent, whatever ended it: numbers are
 * reserved in blocks, and a block is on the disk before its first number is sent. A thread of its
 * own writes the next block when half of one is used, so packets do not wait for the disk.
 *
 * What is reserved and not sent when the gateway is killed is lost. The first block is small, and
 * grows while blocks are used up fast; a gateway that ends in order gives the rest back.
 */
#ifndef TUNNELCAP_GATEWAY_SEQUENCE_H
#define TUNNELCAP_GATEWAY_SEQUENCE_H

#include "sender_id.h"

/* The thread that writes. */
typedef struct sequence_writer sequence_writer;

/* The numbers of one SA. */
typedef struct sequence sequence;

/* NULL after a line that says what is wrong. */
sequence_writer *sequence_writer_new(void);

/* When all numbers have been closed; NULL is no harm. */
void sequence_writer_free(sequence_writer *writer);

/* Reserve a first block for the SA with this key and SPI; *first receives its first number. Lines
 * about it begin with `what`. NULL after one that says what is wrong: numbers may also be used
 * up. */
sequence *sequence_open(sequence_writer *writer, const char *what, const char *directory,
                        const uint8_t key_digest[SENDER_ID_DIGEST_SIZE], uint32_t spi,
                        uint64_t *first);

/* How many numbers from `next` on, the next one to send, may be sent: negative if not even all
 * below it may, INT64_MAX where the rest of all numbers is reserved. Has the next block written in
 * good time. From any thread. */
int64_t sequence_left(sequence *s, uint64_t next, int64_t now_ms);

/* Give back what has not been sent: all from `next` on. NULL is no harm. */
void sequence_close(sequence *s, uint64_t next);

#endif
