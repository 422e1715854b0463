/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * A capture file being written: invisible under its own name until it is whole.
 */
#ifndef PCAP_SINK_H
#define PCAP_SINK_H

#include "output.h"

#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdint.h>

struct sink {
    struct output output;
    pcap_dumper_t *dumper;
    uint64_t written; /* packets */
};

/*
 * Begin a file with the link type, snapshot length and time precision of `shape`; "-" is
 * standard output. Devices and pipes are written directly. False after a message.
 */
bool sink_open(struct sink *sink, const char *path, pcap_t *shape);

/* Append len bytes of a packet that had wire_len. False after a message. */
bool sink_write(struct sink *sink, struct timeval ts, const uint8_t *bytes, uint32_t len,
                uint32_t wire_len);

/* Close the file and give it its name. False after a message; then nothing is left. */
bool sink_commit(struct sink *sink);

/* Close and remove what has been written; harmless after a commit or a failed open. */
void sink_abandon(struct sink *sink);

#endif
