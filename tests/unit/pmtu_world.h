/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* A path that drops what is too large, and a caller who does as pmtu.h says: one server's end of
 * a tunnel in a world with a clock of its own. */
#ifndef TUNNELCAP_TESTS_PMTU_WORLD_H
#define TUNNELCAP_TESTS_PMTU_WORLD_H

#include "support.h"

enum { TEST_MAIL = 64 };

/* Something under way to the server: an answer, or an ICMP message. */
typedef struct test_mail {
    uint64_t at; /* when it arrives; 0: no mail */
    uint64_t token;
    uint32_t mtu; /* ICMP where not 0 */
} test_mail;

typedef struct test_path {
    uint32_t mtu;       /* what really passes */
    uint32_t loss;      /* percent of probes that get lost, or their answers */
    uint32_t icmp;      /* 1: routers say what is too large */
    uint32_t silent;    /* 1: nothing is answered */
    uint64_t rtt;       /* nanoseconds */
    uint64_t now;       /* the clock */
    uint64_t next;      /* when the next tick is due */
    uint64_t probes;    /* sent so far */
    uint64_t changes;   /* ticks and messages that changed the MTU */
    uint32_t last_size; /* of the last probe */
    uint32_t too_large; /* 1: an MTU was confirmed that does not pass */
    test_random random;
    tunnelcap_pmtu *pmtu;
    test_mail mail[TEST_MAIL];
} test_path;

static const uint64_t test_ms = 1000000;

/* Begin with a path over a link; MTU, loss and the like are the caller's to set. */
void test_path_open(test_path *path, const tunnelcap_pmtu_config *config, uint64_t seed);
void test_path_close(test_path *path);
/* Let a time pass, in which all that falls due happens in order. */
void test_path_run(test_path *path, uint64_t ns);
/* The same until the search is over, at most for a time; gives nanoseconds that passed. */
uint64_t test_path_settle(test_path *path, uint64_t ns);
tunnelcap_pmtu_info test_path_info(const test_path *path);
/* One tick now. */
int32_t test_path_tick(test_path *path);
tunnelcap_pmtu_config test_path_config(uint8_t family, uint32_t link);

#endif
