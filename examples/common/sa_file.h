/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Files that hold security associations (SAs) with their keys. There are three forms, told apart
 * by what is in them: our own JSON (schema "tunnelcap-sa/1"), what `ip xfrm state` prints and
 * `ip xfrm state add` takes, and Wireshark's table "esp_sa". tunnelcap-pcap(1) describes them.
 */
#ifndef TUNNELCAP_EXAMPLES_SA_FILE_H
#define TUNNELCAP_EXAMPLES_SA_FILE_H

#include <stdbool.h>
#include <stdio.h>
#include <tunnelcap/tunnelcap.h>

enum {
    SA_FILE_MODE_AUTO = 0, /* a mode that the file does not tell: packets do, by next header */
    SA_FILE_PLACE_SIZE = 32
};

/* Flags of sa_file_load(). */
enum { SA_FILE_PRIVATE = 1 /* refuse a file that everybody may read or write */ };

/*
 * One SA, ready for tunnelcap_esp_new() once the caller has said its direction and, outbound,
 * its nonce origin.
 *
 * `config` is as of an outbound SA: the packets' source is outer.local, their destination
 * outer.remote, either of family 0 where the file has a wildcard. The defaults stand wherever the
 * file says nothing. TUNNELCAP_ESP_UDP is set where the file says so, with its ports, and
 * replay_mode is OFF where the file has a window of 0.
 */
typedef struct sa_file_entry {
    tunnelcap_esp_config config;
    tunnelcap_transform transform;  /* flags 0: weak algorithms are for the caller to permit */
    uint32_t first_esn_hi;          /* with ESN: the upper half that sequence numbers began with */
    uint8_t unknown_icv_len;        /* bytes of ICV whose algorithm and key are not known, else 0;
                                       such an SA cannot be used */
    char place[SA_FILE_PLACE_SIZE]; /* where it stands in the file: "line 3", "sas[2]" */
} sa_file_entry;

typedef struct sa_file {
    sa_file_entry *entries; /* at least one; no two with the same destination and SPI */
    size_t count;
} sa_file;

/* Read a file. Every mistake is written to `errors` as one line with the file's name and the line
 * or JSON path; NULL is returned if there was any. No key is ever written. Not while another
 * thread uses jansson. */
sa_file *sa_file_load(const char *path, uint32_t flags, FILE *errors);

/* Wipe the keys and return what sa_file_load() gave; NULL is no harm. */
void sa_file_free(sa_file *file);

/* The SA of packets to this address with this SPI, or NULL. */
const sa_file_entry *sa_file_find(const sa_file *file, const tunnelcap_addr *dst, uint32_t spi);

/* Name the algorithms of an SA, as the JSON form does: "aes-cbc, hmac-sha2-256-128". */
const char *sa_file_algorithms(const sa_file_entry *entry, char *text, size_t size);

/* Write the SAs as Wireshark 4.0 has them. A comment stands for those that it cannot express;
 * returns how many these are, or -1 with errno set. */
long sa_file_write_esp_sa(const sa_file *file, const char *path);

#endif
