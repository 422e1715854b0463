/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Any bytes into tunnelcap_ipip_decap(), compared with the reference.
 *
 * Input: flags, arrival, repairs, tos, protocol, headroom, tailroom, packet.
 */
#include "outer_input.h"

static const int32_t statuses[] = {TUNNELCAP_OK,          TUNNELCAP_E_TRUNCATED,
                                   TUNNELCAP_E_MALFORMED, TUNNELCAP_E_CHECKSUM,
                                   TUNNELCAP_E_PROTOCOL,  TUNNELCAP_E_NO_TUNNEL,
                                   TUNNELCAP_E_FRAGMENT,  TUNNELCAP_E_ECN,
                                   TUNNELCAP_E_INVALID,   FUZZ_END};

static struct expected_inner expect(const tunnelcap_ipip_config *config,
                                    const struct outer_input *input,
                                    const struct fuzz_packet *packet, struct reference_outer *outer)
{
    const uint8_t *p = packet->copy + packet->before.off;
    struct reference_tunnel tunnel = {.local = config->outer.local, .remote = config->outer.remote};
    struct expected_inner refused = {.accepted = false};
    uint32_t ethertype;

    if (!reference_outer_parse(&tunnel, p, packet->before.len, outer_input_meta(input), outer))
        return refused;
    if (outer->protocol == 4 && !(config->flags & TUNNELCAP_IPIP_ONLY_IPV6))
        ethertype = TUNNELCAP_ETHERTYPE_IPV4;
    else if (outer->protocol == 41 && !(config->flags & TUNNELCAP_IPIP_ONLY_IPV4))
        ethertype = TUNNELCAP_ETHERTYPE_IPV6;
    else
        return refused;
    return outer_input_inner(input, p + outer->begin, outer->end - outer->begin, ethertype, outer);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct fuzz_input in = {bytes, len};
    tunnelcap_ipip_config config;
    struct expected_inner expected;
    struct reference_outer outer;
    struct outer_input input;
    struct fuzz_packet packet;
    tunnelcap_ipip *ipip = NULL;
    uint32_t accepted;

    FUZZ_CHECK(tunnelcap_ipip_config_init(&config, sizeof(config)) == TUNNELCAP_OK);
    config.flags = fuzz_u8(&in) % 3U;
    outer_input_read(&in, &input);
    outer_input_config(&input, &config.outer);
    FUZZ_CHECK(tunnelcap_ipip_new(&config, NULL, &ipip) == TUNNELCAP_OK);

    outer_input_packet(&input, &in, &packet);
    expected = expect(&config, &input, &packet, &outer);
    accepted = tunnelcap_ipip_decap(ipip, &packet.pkt, outer_input_meta(&input), 0, 1);
    fuzz_check_status(packet.pkt.status, statuses);
    FUZZ_CHECK(accepted == (packet.pkt.status == TUNNELCAP_OK));
    FUZZ_CHECK(accepted == expected.accepted);
    if (accepted)
        outer_input_check_unwrapped(&packet, outer.begin, outer.end - outer.begin, &expected);
    else
        fuzz_packet_check_unchanged(&packet);
    fuzz_packet_fini(&packet);
    tunnelcap_ipip_free(ipip);
    return 0;
}
