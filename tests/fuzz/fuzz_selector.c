/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Any selector against any packet: what matches a part of a selector matches all of it, and what
 * matches the whole matches one of its parts.
 *
 * Input: selector (80 bytes), then the packet.
 */
#include <string.h>

#include "fuzz.h"

static const int32_t statuses[] = {TUNNELCAP_OK, TUNNELCAP_E_SELECTOR, TUNNELCAP_E_TRUNCATED,
                                   TUNNELCAP_E_MALFORMED, FUZZ_END};

/* Ports are a range that can be halved: neither ANY nor OPAQUE, and of more than one. */
static int can_halve(uint16_t first, uint16_t last)
{
    return first < last && !(first == 0 && last == 65535);
}

static void check_halves(const tunnelcap_selector *s, const tunnelcap_pkt *pkt, int32_t status)
{
    tunnelcap_selector halves[2] = {*s, *s};

    if (can_halve(s->src_port_first, s->src_port_last)) {
        halves[0].src_port_last =
            (uint16_t)(s->src_port_first + (s->src_port_last - s->src_port_first) / 2);
        halves[1].src_port_first = (uint16_t)(halves[0].src_port_last + 1);
    } else if (can_halve(s->dst_port_first, s->dst_port_last)) {
        halves[0].dst_port_last =
            (uint16_t)(s->dst_port_first + (s->dst_port_last - s->dst_port_first) / 2);
        halves[1].dst_port_first = (uint16_t)(halves[0].dst_port_last + 1);
    }
    FUZZ_CHECK(tunnelcap_selector_check(halves, 2) == TUNNELCAP_OK);
    FUZZ_CHECK(tunnelcap_selector_match(halves, 2, pkt) == status);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    tunnelcap_selector s;
    tunnelcap_selector all[2];
    struct fuzz_input in = {bytes, len};
    struct fuzz_packet packet;
    int32_t whole;
    int32_t status;

    if (len < sizeof(s))
        return 0;
    memcpy(&s, bytes, sizeof(s));
    in.bytes += sizeof(s);
    in.left -= sizeof(s);
    FUZZ_CHECK(tunnelcap_selector_init(&all[0], TUNNELCAP_IPV4) == TUNNELCAP_OK);
    FUZZ_CHECK(tunnelcap_selector_init(&all[1], TUNNELCAP_IPV6) == TUNNELCAP_OK);
    fuzz_packet_init(&packet, in.bytes, in.left, 0, 0);
    whole = tunnelcap_selector_match(all, 2, &packet.pkt);
    fuzz_check_status(whole, statuses);
    FUZZ_CHECK(whole != TUNNELCAP_E_SELECTOR);
    if (tunnelcap_selector_check(&s, 1) == TUNNELCAP_OK) {
        status = tunnelcap_selector_match(&s, 1, &packet.pkt);
        fuzz_check_status(status, statuses);
        FUZZ_CHECK(status == whole || (status == TUNNELCAP_E_SELECTOR && whole == TUNNELCAP_OK));
        check_halves(&s, &packet.pkt, status);
    }
    fuzz_packet_check_unchanged(&packet);
    fuzz_packet_fini(&packet);
    return 0;
}
