/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Test vectors as standards print them.
 */
#ifndef TUNNELCAP_TESTS_PUBLISHED_H
#define TUNNELCAP_TESTS_PUBLISHED_H

#include <stddef.h>
#include <stdint.h>

#include <tunnelcap/crypto.h>

/* One vector; all but the first two in hexadecimal. */
struct published {
    const char *where; /* document and section */
    uint16_t encr;     /* TUNNELCAP_ENCR_ */
    const char *key;
    const char *salt;
    const char *aad; /* SPI, (high half,) sequence number; empty where the vector has none */
    const char *iv;
    const char *text;   /* with padding and trailer, where it is ESP's */
    const char *sealed; /* encrypted text, and the ICV of combined algorithms */
};

extern const struct published published[];
extern const size_t published_count;

#endif
