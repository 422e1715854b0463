/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The security associations (SAs) of a key file, and what a capture shows of each.
 */
#ifndef PCAP_KEYRING_H
#define PCAP_KEYRING_H

#include "plane.h"
#include "sa_file.h"
#include "tunnels.h"

/* An SA on its way from the key file into the table. */
struct key {
    const sa_file_entry *entry;
    tunnelcap_esp *esp; /* in the table, or NULL */
    uint64_t first_seq; /* ESN: number of the first packet, the upper half from the file */
    uint16_t udp_port;  /* destination port of the first packet, 0 if it was not in UDP */
    uint8_t mode;       /* TUNNELCAP_ESP_TUNNEL or _TRANSPORT, SA_FILE_MODE_AUTO until known */
    bool seen;          /* a packet with its SPI is in the capture */
    bool settled;       /* one was verified: what it told stands above */
    int32_t status;     /* negative: why its packets cannot be decrypted */
    uint32_t inner_mtu; /* largest inner packet on a path of DEPLOY_PATH_MTU; 0 until deployed */
};

/* Empty when all zero. */
struct keyring {
    const char *path;
    sa_file *file; /* NULL if there is none */
    const tunnelcap_crypto *crypto;
    struct key *keys;     /* one for each entry */
    tunnelcap_lane *lane; /* for looks into packets */
};

/* Read a key file. False after a message. */
bool keyring_open(struct keyring *ring, const char *path);

/* The SA of packets to this address with this SPI, or NULL. */
struct key *keyring_find(const struct keyring *ring, const tunnelcap_addr *dst, uint32_t spi);

/* Learn from an ESP packet what the file does not say of its SA. False after a message. */
bool keyring_learn(struct keyring *ring, struct key *key, const tunnelcap_pkt *pkt,
                   const tunnelcap_peek_result *peek);

/* Enter a packet's tunnel into a set; where it is ESP, see what else it tells of its SA. False
 * after a message. */
bool keyring_note(struct keyring *ring, struct tunnel_set *set, const struct frame *frame,
                  const tunnelcap_peek_result *peek);

/* Count the SAs that were seen. */
uint32_t keyring_seen(const struct keyring *ring);

/* Give the SAs that were seen to a table in change, each as a tunnel of its own with the ids
 * behind `id` and those flags, TUNNELCAP_TUNNEL_. What becomes of each stands in its status, and is
 * told where it is of no use. */
void keyring_deploy(struct keyring *ring, struct plane *plane, uint64_t id, uint32_t flags);

/* Write Wireshark's table of these SAs. False after a message. */
bool keyring_write_esp_sa(const struct keyring *ring, const char *path);

/* Wipe all keys; the plane must be closed. Harmless on a ring that could not be opened. */
void keyring_close(struct keyring *ring);

#endif
