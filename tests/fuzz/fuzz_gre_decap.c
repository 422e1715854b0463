/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Any bytes into tunnelcap_gre_decap(), compared with the reference.
 *
 * Input: flags, arrival, repairs, tos, protocol, headroom, tailroom, key (4), packet.
 */
#include <stdlib.h>

#include "outer_input.h"

/* A memory block of exactly the size asked for, so that an overrun is seen. */
struct tunnel {
    void *mem;
    tunnelcap_gre *gre;
};

static const int32_t statuses[] = {
    TUNNELCAP_OK,          TUNNELCAP_KEEPALIVE,   TUNNELCAP_E_TRUNCATED,
    TUNNELCAP_E_MALFORMED, TUNNELCAP_E_CHECKSUM,  TUNNELCAP_E_NO_CHECKSUM,
    TUNNELCAP_E_PROTOCOL,  TUNNELCAP_E_NO_TUNNEL, TUNNELCAP_E_GRE_VERSION,
    TUNNELCAP_E_GRE_FLAGS, TUNNELCAP_E_SEQUENCE,  TUNNELCAP_E_FRAGMENT,
    TUNNELCAP_E_ECN,       TUNNELCAP_E_INVALID,   FUZZ_END};

static void configure(struct fuzz_input *in, struct outer_input *input,
                      tunnelcap_gre_config *config)
{
    uint32_t flags = fuzz_u8(in) & 0x7f;

    FUZZ_CHECK(tunnelcap_gre_config_init(config, sizeof(*config)) == TUNNELCAP_OK);
    outer_input_read(in, input);
    outer_input_config(input, &config->outer);
    if (!(flags & TUNNELCAP_GRE_UDP))
        flags &= ~(uint32_t)TUNNELCAP_GRE_UDP_ZERO_CHECKSUM;
    config->flags = flags;
    config->key_in = fuzz_u32(in);
}

static struct tunnel make_tunnel(const tunnelcap_gre_config *config)
{
    size_t size = tunnelcap_gre_size(config);
    struct tunnel tunnel = {.mem = aligned_alloc(64, size)};

    FUZZ_CHECK(size > 0 && size % 64 == 0);
    FUZZ_CHECK(tunnelcap_gre_init(tunnel.mem, size, config, &tunnel.gre) == TUNNELCAP_OK);
    return tunnel;
}

/* What the reference expects of a packet. */
struct expected {
    bool accepted;
    struct reference_gre gre;
    uint32_t at, len; /* payload, from the packet's first byte */
    struct expected_inner inner;
};

static struct expected expect(const tunnelcap_gre_config *config, const struct outer_input *input,
                              const struct fuzz_packet *packet)
{
    const uint8_t *p = packet->copy + packet->before.off;
    struct reference_tunnel tunnel = {.local = config->outer.local,
                                      .remote = config->outer.remote,
                                      .udp = config->flags & TUNNELCAP_GRE_UDP,
                                      .udp_zero_checksum =
                                          config->flags & TUNNELCAP_GRE_UDP_ZERO_CHECKSUM,
                                      .udp_port = TUNNELCAP_GRE_UDP_PORT};
    struct reference_outer outer;
    struct expected e = {.accepted = false};

    if (!reference_outer_parse(&tunnel, p, packet->before.len, outer_input_meta(input), &outer) ||
        outer.protocol != 47 ||
        !reference_gre_parse(p + outer.begin, outer.end - outer.begin, &e.gre))
        return e;
    if ((config->flags & TUNNELCAP_GRE_CHECKSUM) && !e.gre.has_checksum)
        return e;
    if (e.gre.has_key != !!(config->flags & TUNNELCAP_GRE_KEY_IN) ||
        (e.gre.has_key && e.gre.key != config->key_in))
        return e;
    e.at = outer.begin + e.gre.len;
    e.len = outer.end - e.at;
    e.inner = outer_input_inner(input, p + e.at, e.len, e.gre.protocol, &outer);
    e.accepted = e.inner.accepted;
    return e;
}

static void check_rx(const tunnelcap_gre_rx *rx, const struct reference_gre *gre)
{
    FUZZ_CHECK(rx->protocol == gre->protocol);
    FUZZ_CHECK(!!(rx->flags & TUNNELCAP_GRE_RX_KEY) == gre->has_key);
    FUZZ_CHECK(!!(rx->flags & TUNNELCAP_GRE_RX_SEQUENCE) == gre->has_seq);
    FUZZ_CHECK(!!(rx->flags & TUNNELCAP_GRE_RX_CHECKSUM) == gre->has_checksum);
    FUZZ_CHECK(!gre->has_key || rx->key == gre->key);
    FUZZ_CHECK(!gre->has_seq || rx->seq == gre->seq);
    FUZZ_CHECK(rx->reserved == 0);
}

/* A Cisco keepalive: from us to the far end, GRE that carries nothing of protocol 0. */
static void check_keepalive(const struct fuzz_packet *packet, const struct outer_input *input)
{
    const uint8_t *inner = fuzz_packet_start(packet);
    tunnelcap_addr local = fuzz_local(input->ipv6);
    tunnelcap_addr remote = fuzz_remote(input->ipv6);
    struct reference_ip ip;

    FUZZ_CHECK(reference_ip_parse(inner, packet->pkt.len, &ip));
    FUZZ_CHECK(ip.protocol == 47 && !ip.fragment && ip.version == local.family);
    for (uint32_t i = 0; i < ip.address_len; i++) {
        FUZZ_CHECK(ip.addresses[i] == local.bytes[i]);
        FUZZ_CHECK(ip.addresses[ip.address_len + i] == remote.bytes[i]);
    }
    FUZZ_CHECK(ip.end - ip.upper >= 4 && reference_load16(inner + ip.upper + 2) == 0);
}

static void check_outcome(const struct fuzz_packet *packet, const struct outer_input *input,
                          const struct expected *expected, uint32_t accepted,
                          const tunnelcap_gre_rx *rx)
{
    int32_t status = packet->pkt.status;
    struct expected_inner inner = expected->inner;

    fuzz_check_status(status, statuses);
    FUZZ_CHECK(accepted == (status >= 0));
    FUZZ_CHECK(expected->accepted == (status >= 0));
    if (status < 0) {
        fuzz_packet_check_unchanged(packet);
        return;
    }
    check_rx(rx, &expected->gre);
    if (status == TUNNELCAP_KEEPALIVE)
        inner.ip_at = UINT32_MAX; /* it goes back as it came */
    outer_input_check_unwrapped(packet, expected->at, expected->len, &inner);
    if (status == TUNNELCAP_KEEPALIVE)
        check_keepalive(packet, input);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct fuzz_input in = {bytes, len};
    struct outer_input input;
    tunnelcap_gre_config config;
    struct fuzz_packet packet;
    struct tunnel tunnel;

    configure(&in, &input, &config);
    tunnel = make_tunnel(&config);
    /* The same packet twice: only the order of sequence numbers may tell them apart. */
    for (int round = 0; round < 2; round++) {
        tunnelcap_gre_rx rx = {.key = 0};
        struct expected expected;
        uint32_t accepted;

        outer_input_packet(&input, &in, &packet);
        expected = expect(&config, &input, &packet);
        accepted =
            tunnelcap_gre_decap(tunnel.gre, &packet.pkt, outer_input_meta(&input), 0, &rx, 1);
        if (round == 1 && expected.gre.has_seq && (config.flags & TUNNELCAP_GRE_IN_ORDER))
            expected.accepted = false;
        check_outcome(&packet, &input, &expected, accepted, &rx);
        fuzz_packet_fini(&packet);
    }
    tunnelcap_gre_fini(tunnel.gre);
    free(tunnel.mem);
    return 0;
}
