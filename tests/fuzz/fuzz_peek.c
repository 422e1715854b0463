/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Any bytes into tunnelcap_peek(): what it says must hold for the tunnel it names.
 *
 * Input: arrival, repairs, tos, protocol, headroom, tailroom, packet.
 */
#include <string.h>

#include "outer_input.h"

enum {
    ALL_FLAGS = TUNNELCAP_PEEK_UDP | TUNNELCAP_PEEK_KEY | TUNNELCAP_PEEK_SEQUENCE |
                TUNNELCAP_PEEK_CHECKSUM | TUNNELCAP_PEEK_FRAGMENT
};

static const int32_t statuses[] = {TUNNELCAP_OK,
                                   TUNNELCAP_E_TRUNCATED,
                                   TUNNELCAP_E_MALFORMED,
                                   TUNNELCAP_E_GRE_VERSION,
                                   TUNNELCAP_E_GRE_FLAGS,
                                   TUNNELCAP_E_INVALID,
                                   FUZZ_END};

static void check_shape(const tunnelcap_peek_result *result, const struct fuzz_packet *packet)
{
    static const uint8_t zeros[sizeof(result->reserved)];

    FUZZ_CHECK(result->size == sizeof(*result));
    FUZZ_CHECK((result->flags & ~(uint32_t)ALL_FLAGS) == 0);
    FUZZ_CHECK(result->kind <= TUNNELCAP_KIND_NAT_KEEPALIVE);
    FUZZ_CHECK(result->payload <= packet->pkt.len);
    FUZZ_CHECK(result->src.family == result->dst.family);
    FUZZ_CHECK(memcmp(result->reserved, zeros, sizeof(zeros)) == 0);
}

static void configure(const tunnelcap_peek_result *result, tunnelcap_gre_config *config)
{
    FUZZ_CHECK(tunnelcap_gre_config_init(config, sizeof(*config)) == TUNNELCAP_OK);
    config->outer.local = result->dst;
    config->outer.remote = result->src;
    if (result->flags & TUNNELCAP_PEEK_KEY) {
        config->flags |= TUNNELCAP_GRE_KEY_IN;
        config->key_in = result->key;
    }
    if (result->flags & TUNNELCAP_PEEK_UDP) {
        config->flags |= TUNNELCAP_GRE_UDP;
        config->udp_port = result->dst_port;
    }
}

/* A tunnel configured as peek says must take the packet for its own. */
static void check_gre(const tunnelcap_peek_result *result, struct fuzz_packet *packet,
                      const tunnelcap_meta *meta)
{
    tunnelcap_gre_config config;
    tunnelcap_gre_rx rx;
    tunnelcap_gre *gre = NULL;
    int32_t status;

    configure(result, &config);
    if (tunnelcap_gre_new(&config, NULL, &gre) != TUNNELCAP_OK)
        return; /* addresses that no tunnel may have */
    tunnelcap_gre_decap(gre, &packet->pkt, meta, 0, &rx, 1);
    status = packet->pkt.status;
    FUZZ_CHECK(status != TUNNELCAP_E_NO_TUNNEL && status != TUNNELCAP_E_PROTOCOL);
    FUZZ_CHECK(status != TUNNELCAP_E_GRE_VERSION && status != TUNNELCAP_E_GRE_FLAGS);
    if (status >= 0) {
        FUZZ_CHECK(packet->pkt.off == packet->before.off + result->payload);
        FUZZ_CHECK(rx.protocol == result->protocol);
        FUZZ_CHECK(!(rx.flags & TUNNELCAP_GRE_RX_SEQUENCE) || rx.seq == result->seq);
        FUZZ_CHECK(!(rx.flags & TUNNELCAP_GRE_RX_CHECKSUM) ==
                   !(result->flags & TUNNELCAP_PEEK_CHECKSUM));
    }
    tunnelcap_gre_free(gre);
}

static void check_ipip(const tunnelcap_peek_result *result, struct fuzz_packet *packet,
                       const tunnelcap_meta *meta)
{
    tunnelcap_ipip_config config;
    tunnelcap_ipip *ipip = NULL;

    FUZZ_CHECK(tunnelcap_ipip_config_init(&config, sizeof(config)) == TUNNELCAP_OK);
    config.outer.local = result->dst;
    config.outer.remote = result->src;
    if (tunnelcap_ipip_new(&config, NULL, &ipip) != TUNNELCAP_OK)
        return;
    tunnelcap_ipip_decap(ipip, &packet->pkt, meta, 0, 1);
    FUZZ_CHECK(packet->pkt.status != TUNNELCAP_E_NO_TUNNEL);
    FUZZ_CHECK(packet->pkt.status != TUNNELCAP_E_PROTOCOL);
    if (packet->pkt.status == TUNNELCAP_OK)
        FUZZ_CHECK(packet->pkt.off == packet->before.off + result->payload);
    tunnelcap_ipip_free(ipip);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct fuzz_input in = {bytes, len};
    tunnelcap_peek_result result;
    struct outer_input input;
    struct fuzz_packet packet;
    const tunnelcap_meta *meta;
    int32_t status;

    outer_input_read(&in, &input);
    outer_input_packet(&input, &in, &packet);
    meta = outer_input_meta(&input);
    memset(&result, 0xa5, sizeof(result));
    result.size = sizeof(result);

    status = tunnelcap_peek(&packet.pkt, meta, &result);
    fuzz_check_status(status, statuses);
    fuzz_packet_check_unchanged(&packet);
    FUZZ_CHECK(packet.pkt.status == packet.before.status);
    check_shape(&result, &packet);
    if (status == TUNNELCAP_OK) {
        if (!(result.flags & TUNNELCAP_PEEK_FRAGMENT) && result.kind == TUNNELCAP_KIND_GRE)
            check_gre(&result, &packet, meta);
        if (!(result.flags & TUNNELCAP_PEEK_FRAGMENT) && result.kind == TUNNELCAP_KIND_IPIP)
            check_ipip(&result, &packet, meta);
    }
    fuzz_packet_fini(&packet);
    return 0;
}
