/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * What all fuzz targets share: an entry point, a reader for the bytes that choose the
 * configuration, and packets in heap buffers of exactly their size.
 *
 * The first bytes of an input choose a configuration, the rest is the packet. A check that does
 * not hold ends the process, so that libFuzzer and the replay driver both see it.
 */
#ifndef TUNNELCAP_TESTS_FUZZ_H
#define TUNNELCAP_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tunnelcap/tunnelcap.h>

/* The entry point that libFuzzer and the replay driver call; always returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* End the process with a message unless `holds`. */
void fuzz_check(bool holds, const char *text, const char *file, int line);
#define FUZZ_CHECK(condition) fuzz_check((condition), #condition, __FILE__, __LINE__)

/* What is left of an input. Reading past its end gives zeros. */
struct fuzz_input {
    const uint8_t *bytes;
    size_t left;
};

uint8_t fuzz_u8(struct fuzz_input *in);
uint16_t fuzz_u16(struct fuzz_input *in);
uint32_t fuzz_u32(struct fuzz_input *in);

/* A packet in a heap buffer of exactly head + len + tail bytes, and how it was at first. */
struct fuzz_packet {
    tunnelcap_pkt pkt;
    tunnelcap_pkt before;
    uint8_t *copy;
};

/* `len` is capped at 70000: longer than what IP can carry, and no longer. */
void fuzz_packet_init(struct fuzz_packet *packet, const uint8_t *bytes, size_t len, uint32_t head,
                      uint32_t tail);
void fuzz_packet_fini(struct fuzz_packet *packet);

/* Make what the packet is now what it "was at first": after a change by the target itself. */
void fuzz_packet_snapshot(struct fuzz_packet *packet);

uint8_t *fuzz_packet_start(const struct fuzz_packet *packet);

/* Check what holds after every call: the window inside the buffer, buffer, size and user kept. */
void fuzz_packet_check_window(const struct fuzz_packet *packet);

/* Check that not a byte and not the window has changed; the status may. */
void fuzz_packet_check_unchanged(const struct fuzz_packet *packet);

/* Check that a status is one of a list that ends with FUZZ_END. */
enum { FUZZ_END = INT32_MAX };
void fuzz_check_status(int32_t status, const int32_t *allowed);

/* The two ends that all targets use, of either family. */
tunnelcap_addr fuzz_local(bool ipv6);
tunnelcap_addr fuzz_remote(bool ipv6);

/* A lane with a fixed seed; the caller frees it. */
tunnelcap_lane *fuzz_lane(void);

#endif
