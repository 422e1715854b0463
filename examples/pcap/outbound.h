/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * One SA of a key file, to encrypt by.
 */
#ifndef PCAP_OUTBOUND_H
#define PCAP_OUTBOUND_H

#include "args.h"
#include "keyring.h"
#include "tunnels.h"

/* Empty when all zero. */
struct outbound {
    struct keyring ring;
    tunnelcap_esp_config config; /* of the SA */
    tunnelcap_esp *esp;
    uint64_t packets; /* sent */
    uint64_t bytes;   /* of outer IP packets */
};

/* Read the key file and make the SA that the command line names. False after a message. */
bool outbound_open(struct outbound *out, const struct args *args);

/* Encrypt packets; each gets its status. */
void outbound_carry(struct outbound *out, tunnelcap_pkt *pkts, uint32_t count);

/* Who receives what was sent. */
struct tunnel_identity outbound_identify(const struct outbound *out);

/* Wipe all keys; harmless on one that could not be opened. */
void outbound_close(struct outbound *out);

#endif
