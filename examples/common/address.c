/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t address_size(uint8_t family)
{
    return family == TUNNELCAP_IPV6 ? 16 : 4;
}

bool address_parse(const char *text, tunnelcap_addr *address)
{
    tunnelcap_addr found = {.family = TUNNELCAP_IPV4};

    if (inet_pton(AF_INET, text, found.bytes) != 1) {
        found.family = TUNNELCAP_IPV6;
        if (inet_pton(AF_INET6, text, found.bytes) != 1)
            return false;
    }
    *address = found;
    return true;
}

bool address_parse_prefix(const char *text, tunnelcap_addr *address, uint8_t *prefix_len)
{
    const char *slash = strchr(text, '/');
    char host[ADDRESS_TEXT_SIZE];
    tunnelcap_addr found;
    int bits = 0;

    if (slash == NULL || (size_t)(slash - text) >= sizeof host)
        return false;
    snprintf(host, sizeof host, "%.*s", (int)(slash - text), text);
    if (!address_parse(host, &found))
        return false;

    /* Digits only: strtol() would also take blanks and signs. */
    size_t digits = strspn(slash + 1, "0123456789");
    if (digits == 0 || digits > 3 || slash[1 + digits] != '\0')
        return false;
    bits = atoi(slash + 1);
    if ((size_t)bits > address_size(found.family) * 8)
        return false;
    *address = found;
    *prefix_len = (uint8_t)bits;
    return true;
}

const char *address_text(const tunnelcap_addr *address, char text[ADDRESS_TEXT_SIZE])
{
    int family = address->family == TUNNELCAP_IPV6 ? AF_INET6 : AF_INET;

    if (inet_ntop(family, address->bytes, text, ADDRESS_TEXT_SIZE) == NULL)
        text[0] = '\0';
    return text;
}

bool address_equal(const tunnelcap_addr *a, const tunnelcap_addr *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

bool address_mask(tunnelcap_addr *address, uint8_t prefix_len)
{
    bool zero = true;

    for (unsigned i = prefix_len / 8U; i < address_size(address->family); i++) {
        unsigned kept = i == prefix_len / 8U ? prefix_len % 8U : 0;
        uint8_t rest = (uint8_t)(0xffU >> kept);
        zero = zero && (address->bytes[i] & rest) == 0;
        address->bytes[i] &= (uint8_t)~rest;
    }
    return zero;
}

bool address_peer(const tunnelcap_addr *address, uint8_t prefix_len, tunnelcap_addr *peer)
{
    size_t last = address_size(address->family) - 1;
    unsigned host_bits = (unsigned)(last + 1) * 8 - prefix_len;
    tunnelcap_addr found = *address;

    if (host_bits == 1) {
        found.bytes[last] ^= 1;
    } else if (host_bits == 2 && address->family == TUNNELCAP_IPV4) {
        /* Hosts of a /30 end in 01 and 10; 00 is the network and 11 its broadcast. */
        unsigned host = address->bytes[last] & 3U;
        if (host != 1 && host != 2)
            return false;
        found.bytes[last] ^= 3;
    } else {
        return false;
    }
    *peer = found;
    return true;
}
