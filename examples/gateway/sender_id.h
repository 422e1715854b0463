/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Sender ids (RFC 6054): the part of each IV that tells apart all who ever send under one key.
 *
 * Keys from a file outlive the gateway, its counters do not. So each outbound SA takes an id that
 * was never taken for its key before, and counts from there. Which ids are taken is remembered in
 * a state directory: a file for each key, named by a digest of it, that holds the next free id.
 */
#ifndef TUNNELCAP_GATEWAY_SENDER_ID_H
#define TUNNELCAP_GATEWAY_SENDER_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SENDER_ID_BITS = 24, SENDER_ID_DIGEST_SIZE = 32, SENDER_ID_NAME_SIZE = 33 };

/* SHA-256 of a label and some bytes. False in a build without OpenSSL. */
bool sender_id_digest(const char *label, const void *bytes, size_t size,
                      uint8_t digest[SENDER_ID_DIGEST_SIZE]);

/* The file of a key: half of its digest in hexadecimal digits. */
void sender_id_name(const uint8_t key_digest[SENDER_ID_DIGEST_SIZE],
                    char name[SENDER_ID_NAME_SIZE]);

/* Whether ids can be taken from this directory, as far as looking at it tells. False after a line
 * that begins with `what` and says what is wrong. */
bool sender_id_check(const char *what, const char *directory);

/* Take the next id of a key. When this returns true, the disk has it that the id is taken. False
 * after a line that begins with `what` and says what is wrong. */
bool sender_id_take(const char *what, const char *directory,
                    const uint8_t key_digest[SENDER_ID_DIGEST_SIZE], uint32_t *id);

#endif
