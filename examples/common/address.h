/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * IP addresses and prefixes as text.
 */
#ifndef TUNNELCAP_EXAMPLES_ADDRESS_H
#define TUNNELCAP_EXAMPLES_ADDRESS_H

#include <stdbool.h>
#include <tunnelcap/tunnelcap.h>

enum { ADDRESS_TEXT_SIZE = 46 }; /* the longest IPv6 address, with its end */

/* Read "192.0.2.1" or "2001:db8::1". */
bool address_parse(const char *text, tunnelcap_addr *address);

/* Read "192.0.2.0/24"; bits behind the prefix are left as they are. */
bool address_parse_prefix(const char *text, tunnelcap_addr *address, uint8_t *prefix_len);

/* Write an address into text, which is returned. */
const char *address_text(const tunnelcap_addr *address, char text[ADDRESS_TEXT_SIZE]);

bool address_equal(const tunnelcap_addr *a, const tunnelcap_addr *b);

/* Bytes of an address of this family; bits are eight times as many. */
size_t address_size(uint8_t family);

/* Set to zero the bits behind a prefix; true if they were zero before. */
bool address_mask(tunnelcap_addr *address, uint8_t prefix_len);

/* The host at the other end of a /31, /30, /127: false if the address is not a host there, or
 * the prefix is of another length. */
bool address_peer(const tunnelcap_addr *address, uint8_t prefix_len, tunnelcap_addr *peer);

#endif
