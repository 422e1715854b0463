/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * A tunnel described on the command line: "gre,local=192.0.2.1,remote=198.51.100.1,key=7,csum",
 * "esp,spi=0x1000,seq=1".
 */
#ifndef PCAP_DESCRIPTION_H
#define PCAP_DESCRIPTION_H

#include "config.h"

struct description {
    uint8_t kind;             /* TUNNELCAP_KIND_ */
    config_tunnel tunnel;     /* GRE, IP in IP */
    tunnelcap_esp_config esp; /* ESP: what the words say beside the key file; mode 0: nothing */
    bool has_seq;             /* ESP: seq_start is given */
    bool has_iv;              /* ESP: iv_start is given */
};

/* Read a description. False after a message. */
bool description_parse(const char *text, struct description *description);

/* Describe an SA by its SPI alone. */
struct description description_of_spi(uint32_t spi);

#endif
