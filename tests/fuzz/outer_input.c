/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "outer_input.h"

#include <string.h>

void outer_input_read(struct fuzz_input *in, struct outer_input *input)
{
    uint32_t arrival = fuzz_u8(in);

    *input = (struct outer_input){
        .ipv6 = arrival & ARRIVAL_IPV6, .has_meta = arrival & ARRIVAL_META, .repairs = fuzz_u8(in)};
    input->meta.tos = fuzz_u8(in);
    input->meta.proto = fuzz_u8(in);
    input->head = fuzz_u8(in) % 64U;
    input->tail = fuzz_u8(in) % 64U;
    input->meta.at = arrival >> 4 & 3;
    input->meta.flags = (arrival & ARRIVAL_CSUM_VALID ? TUNNELCAP_META_CSUM_VALID : 0U) |
                        (arrival & ARRIVAL_TOS_VALID ? TUNNELCAP_META_TOS_VALID : 0U);
    if (input->meta.at != TUNNELCAP_AT_IP) {
        input->meta.src = fuzz_remote(input->ipv6);
        input->meta.dst = fuzz_local(input->ipv6);
        input->meta.src_port = 50000;
        input->meta.dst_port = TUNNELCAP_GRE_UDP_PORT;
    }
    input->dscp_mode = arrival & ARRIVAL_UNIFORM ? TUNNELCAP_DSCP_UNIFORM : TUNNELCAP_DSCP_COPY;
}

const tunnelcap_meta *outer_input_meta(const struct outer_input *input)
{
    return input->has_meta ? &input->meta : NULL;
}

void outer_input_config(const struct outer_input *input, tunnelcap_outer *outer)
{
    outer->local = fuzz_local(input->ipv6);
    outer->remote = fuzz_remote(input->ipv6);
    outer->dscp_mode = (uint8_t)input->dscp_mode;
}

void outer_input_packet(const struct outer_input *input, const struct fuzz_input *rest,
                        struct fuzz_packet *packet)
{
    tunnelcap_addr from = fuzz_remote(input->ipv6);
    tunnelcap_addr to = fuzz_local(input->ipv6);

    fuzz_packet_init(packet, rest->bytes, rest->left, input->head, input->tail);
    reference_repair(fuzz_packet_start(packet), packet->pkt.len, input->repairs, &from, &to);
    fuzz_packet_snapshot(packet);
}

struct expected_inner outer_input_inner(const struct outer_input *input, const uint8_t *inner,
                                        size_t len, uint32_t ethertype,
                                        const struct reference_outer *outer)
{
    struct expected_inner expected = {.ip_at = reference_find_ip(inner, len, ethertype)};
    uint32_t at = expected.ip_at;
    int ecn;

    if (at == 0 && !reference_inner_whole(inner, len, ethertype == 0x0800 ? 4 : 6))
        return expected;
    expected.accepted = true;
    if (at == UINT32_MAX || !reference_header_sane(inner + at, len - at)) {
        expected.ip_at = UINT32_MAX; /* what a frame holds is its receiver's affair */
        return expected;
    }
    expected.tos = reference_tos(inner + at);
    if (!outer->tos_known)
        return expected;
    ecn = reference_ecn(expected.tos, outer->tos);
    expected.accepted = ecn >= 0;
    if (input->dscp_mode == TUNNELCAP_DSCP_UNIFORM)
        expected.tos = outer->tos;
    expected.tos = (expected.tos & 0xfc) | (uint32_t)(ecn & 3);
    return expected;
}

void outer_input_check_unwrapped(const struct fuzz_packet *packet, uint32_t at, uint32_t len,
                                 const struct expected_inner *inner)
{
    fuzz_packet_check_window(packet);
    FUZZ_CHECK(packet->pkt.off == packet->before.off + at);
    FUZZ_CHECK(packet->pkt.len == len);
    if (inner->ip_at != UINT32_MAX) {
        uint8_t *was = packet->copy + packet->before.off + at + inner->ip_at;
        const uint8_t *now = fuzz_packet_start(packet) + inner->ip_at;

        FUZZ_CHECK(reference_tos(now) == inner->tos);
        if (now[0] / 16 == 4) {
            /* Right or wrong: what the fixed header sums up to is what it was. */
            FUZZ_CHECK(reference_sum(now, 20, 0) == reference_sum(was, 20, 0));
            memcpy(was + 10, now + 10, 2);
            was[1] = now[1];
        } else {
            reference_set_tos(was, inner->tos);
        }
    }
    FUZZ_CHECK(memcmp(packet->copy, packet->pkt.buf, packet->pkt.cap) == 0);
}
