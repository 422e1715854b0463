/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "gre_peer.h"

test_frame peer_frame;

const test_gre peer_bare = {.protocol = TUNNELCAP_ETHERTYPE_IPV4};

tunnelcap_gre *peer_open4(uint32_t flags)
{
    tunnelcap_gre_config config = test_gre_config(PEER_US4, PEER_THEM4, flags);
    config.key_in = 77;
    return test_gre_new(&config);
}

tunnelcap_gre *peer_open6(uint32_t flags)
{
    tunnelcap_gre_config config = test_gre_config(PEER_US6, PEER_THEM6, flags);
    config.key_in = 77;
    return test_gre_new(&config);
}

test_ip peer_outer4(void)
{
    return test_between(PEER_THEM4, PEER_US4);
}

test_ip peer_outer6(void)
{
    return test_between(PEER_THEM6, PEER_US6);
}

/* An inner IPv4 packet in GRE, without outer header. */
void peer_push_inner(const test_gre *gre, uint32_t size)
{
    test_ip inner = test_between("10.1.0.1", "10.2.0.1");
    test_udp_packet(&peer_frame, &inner, size);
    test_push_gre(&peer_frame, gre);
}

void peer_build4(const test_gre *gre, uint32_t size)
{
    test_ip ip = peer_outer4();
    peer_push_inner(gre, size);
    test_push_ip(&peer_frame, &ip, PEER_GRE);
}

/* Decapsulate the frame; a refusal must not change it. */
int32_t peer_decap(tunnelcap_gre *gre, const tunnelcap_meta *meta)
{
    tunnelcap_pkt pkt = test_pkt(peer_frame.bytes, peer_frame.len, 0);
    test_snapshot snap = test_snap(&pkt);
    int32_t status = test_gre_decap(gre, &pkt, meta, NULL);
    if (status < 0)
        test_unchanged(&snap, &pkt);
    else
        free(snap.bytes);
    test_pkt_free(&pkt);
    return status;
}

void peer_expect4(uint32_t flags, int32_t want)
{
    tunnelcap_gre *gre = peer_open4(flags);
    ck_assert_status(peer_decap(gre, NULL), want);
    tunnelcap_gre_free(gre);
}

void peer_expect6(uint32_t flags, int32_t want)
{
    tunnelcap_gre *gre = peer_open6(flags);
    ck_assert_status(peer_decap(gre, NULL), want);
    tunnelcap_gre_free(gre);
}

/* Decapsulate without meta and with one that says nothing: however the library goes about it, the
 * outcome is the same. */
int32_t peer_feed(void *arg, tunnelcap_pkt *pkt)
{
    static const tunnelcap_meta nothing = {0};
    tunnelcap_pkt twin = test_pkt(pkt->buf + pkt->off, pkt->len, pkt->off);
    tunnelcap_gre_rx rx = {0}, twin_rx = {0};
    int32_t status = test_gre_decap(arg, pkt, NULL, &rx);
    ck_assert_status(test_gre_decap(arg, &twin, &nothing, &twin_rx), status);
    ck_assert_uint_eq(twin.off, pkt->off);
    ck_assert_uint_eq(twin.len, pkt->len);
    ck_assert_mem_eq(&twin_rx, &rx, sizeof(rx));
    if (pkt->len != 0)
        ck_assert_mem_eq(twin.buf + twin.off, pkt->buf + pkt->off, pkt->len);
    test_pkt_free(&twin);
    return status;
}
