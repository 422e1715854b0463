/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The command line.
 */
#ifndef PCAP_ARGS_H
#define PCAP_ARGS_H

#include <stdbool.h>
#include <stdint.h>

enum verb { VERB_DECAP, VERB_ENCAP, VERB_CLAMP, VERB_INFO, VERB_REPORT };

struct args {
    enum verb verb;
    const char *input;
    const char *output;  /* NULL for info */
    char *const *inputs; /* report: files, instead of `input` */
    uint32_t input_count;
    bool json;
    const char *json_file;    /* report: where that goes; NULL for standard output */
    bool ethernet;            /* decap: write Ethernet payloads */
    uint8_t only;             /* decap: TUNNELCAP_KIND_, NONE for all */
    const char *tunnel;       /* encap: a description, or a name in the configuration; or NULL */
    const char *config;       /* encap, report: configuration file, or NULL */
    const char *keys;         /* decap, encap, report: key file, or NULL */
    const char *write_esp_sa; /* decap, encap: where to write Wireshark's table, or NULL */
    uint32_t spi;             /* encap: the SA of that SPI, where there is no `tunnel` */
    uint16_t mss4;            /* clamp */
    uint16_t mss6;            /* clamp */
    bool force;               /* clamp: below the floors */
    const char *html;         /* report: where to write a page, or NULL */
    uint32_t tunnels;         /* report: to be followed one by one */
    uint32_t top;             /* report: talkers in a list */
    bool ascii;               /* report: charts without other characters */
};

enum args_outcome { ARGS_RUN, ARGS_DONE, ARGS_WRONG };

/* Read the command line; --help and --version are answered (DONE), mistakes told (WRONG). */
enum args_outcome args_parse(int argc, char **argv, struct args *args);

/* Read a number, decimal or 0x hexadecimal, from low to high. */
bool args_number(const char *text, uint64_t low, uint64_t high, uint64_t *number);

#endif
