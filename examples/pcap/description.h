/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * A tunnel described on the command line: "gre,local=192.0.2.1,remote=198.51.100.1,key=7,csum".
 */
#ifndef PCAP_DESCRIPTION_H
#define PCAP_DESCRIPTION_H

#include "config.h"

/* Read a description. False after a message. */
bool description_parse(const char *text, config_tunnel *tunnel);

#endif
