/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "support.h"

static test_frame frame;

enum { IPV4_IN_IP = 4, IPV6_IN_IP = 41 };

/* The four combinations of RFC 2003, 4213 and 2473. */
static const struct combination {
    const char *local, *remote, *inner_src, *inner_dst;
    uint8_t protocol;
    uint16_t room;
} combinations[] = {
    {"192.0.2.1", "198.51.100.1", "10.1.0.1", "10.2.0.1", IPV4_IN_IP, 20},
    {"192.0.2.1", "198.51.100.1", "fd00:1::1", "fd00:2::1", IPV6_IN_IP, 20},
    {"2001:db8:a::1", "2001:db8:b::1", "10.1.0.1", "10.2.0.1", IPV4_IN_IP, 40},
    {"2001:db8:a::1", "2001:db8:b::1", "fd00:1::1", "fd00:2::1", IPV6_IN_IP, 40},
};

static tunnelcap_ipip *open_local(const struct combination *c, uint32_t flags)
{
    tunnelcap_ipip_config config = test_ipip_config(c->local, c->remote, flags);
    return test_ipip_new(&config);
}

static tunnelcap_ipip *open_remote(const struct combination *c, uint32_t flags)
{
    tunnelcap_ipip_config config = test_ipip_config(c->remote, c->local, flags);
    return test_ipip_new(&config);
}

static void build_outer(const struct combination *c, uint32_t size)
{
    test_ip inner = test_between(c->inner_src, c->inner_dst);
    test_ip outer = test_between(c->local, c->remote);
    test_udp_packet(&frame, &inner, size);
    test_push_ip(&frame, &outer, c->protocol);
}

/* Decapsulate the frame; a refusal must not change it. */
static int32_t decap(tunnelcap_ipip *ipip, const tunnelcap_meta *meta)
{
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 0);
    test_snapshot snap = test_snap(&pkt);
    int32_t status = test_ipip_decap(ipip, &pkt, meta);
    if (status < 0)
        test_unchanged(&snap, &pkt);
    else
        free(snap.bytes);
    test_pkt_free(&pkt);
    return status;
}

static int32_t encap(tunnelcap_ipip *ipip, tunnelcap_lane *lane, uint32_t headroom,
                     const tunnelcap_meta *meta)
{
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, headroom);
    test_snapshot snap = test_snap(&pkt);
    int32_t status = test_ipip_encap(ipip, lane, &pkt, meta);
    if (status < 0)
        test_unchanged(&snap, &pkt);
    else
        free(snap.bytes);
    test_pkt_free(&pkt);
    return status;
}

START_TEST(config_init_fills_the_documented_defaults)
{
    tunnelcap_ipip_config config, want;
    memset(&config, 0xff, sizeof(config));
    memset(&want, 0, sizeof(want));
    want.size = sizeof(want);
    want.outer.ttl = 64;
    want.outer.df_mode = TUNNELCAP_DF_COPY;
    ck_assert_status(tunnelcap_ipip_config_init(&config, sizeof(config)), TUNNELCAP_OK);
    ck_assert_mem_eq(&config, &want, sizeof(want));
    ck_assert_status(tunnelcap_ipip_config_init(NULL, sizeof(config)), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_ipip_config_init(&config, sizeof(config) - 1), TUNNELCAP_E_VERSION);
}
END_TEST

START_TEST(init_works_at_the_exact_size_and_refuses_one_byte_less)
{
    tunnelcap_ipip_config config = test_ipip_config("192.0.2.1", "198.51.100.1", 0);
    size_t size = tunnelcap_ipip_size(&config);
    ck_assert_uint_eq(size % 64, 0);
    uint8_t *mem = test_arena(size);
    tunnelcap_ipip *ipip = NULL;
    ck_assert_status(tunnelcap_ipip_init(mem, size - 1, &config, &ipip), TUNNELCAP_E_NOMEM);
    ck_assert_status(tunnelcap_ipip_init(NULL, size, &config, &ipip), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_ipip_init(mem + 4, size, &config, &ipip), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_ipip_init(mem, size, NULL, &ipip), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_ipip_init(mem, size, &config, NULL), TUNNELCAP_E_INVALID);
    ck_assert_ptr_null(ipip);
    ck_assert_status(tunnelcap_ipip_init(mem, size, &config, &ipip), TUNNELCAP_OK);
    build_outer(&(struct combination){"198.51.100.1", "192.0.2.1", "10.1.0.1", "10.2.0.1", 4, 20},
                20);
    ck_assert_status(decap(ipip, NULL), TUNNELCAP_OK);
    tunnelcap_ipip_fini(ipip);
    for (size_t i = 0; i < size; i++)
        ck_assert_uint_eq(mem[i], 0);
    test_arena_free(mem);
    tunnelcap_ipip_fini(NULL);
}
END_TEST

START_TEST(new_takes_its_memory_from_the_allocator)
{
    tunnelcap_ipip_config config = test_ipip_config("192.0.2.1", "198.51.100.1", 0);
    tunnelcap_ipip *ipip = NULL;
    test_alloc_refuse_after(0);
    ck_assert_status(tunnelcap_ipip_new(&config, test_alloc(), &ipip), TUNNELCAP_E_NOMEM);
    ck_assert_ptr_null(ipip);
    ck_assert_status(tunnelcap_ipip_new(&config, NULL, &ipip), TUNNELCAP_OK);
    tunnelcap_ipip_free(ipip);
    tunnelcap_ipip_free(NULL);
    ck_assert_status(tunnelcap_ipip_new(&config, NULL, NULL), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_ipip_new(NULL, NULL, &ipip), TUNNELCAP_E_INVALID);
}
END_TEST

#define REFUSE(want, change)                                                                       \
    do {                                                                                           \
        config = test_ipip_config("192.0.2.1", "198.51.100.1", 0);                                 \
        change;                                                                                    \
        void *caller = test_copy(&config, config.size);                                            \
        ck_assert_status(tunnelcap_ipip_new(caller, test_alloc(), &ipip), want);                   \
        ck_assert_status(tunnelcap_ipip_init(arena, 4096, caller, &ipip), want);                   \
        ck_assert_uint_eq(tunnelcap_ipip_size(caller), 0);                                         \
        free(caller);                                                                              \
    } while (0)

START_TEST(init_refuses_what_it_documents)
{
    tunnelcap_ipip_config config;
    tunnelcap_ipip *ipip = NULL;
    void *arena = test_arena(4096);
    for (uint32_t flag = 4; flag != 0; flag <<= 1)
        REFUSE(TUNNELCAP_E_FLAGS, config.flags = flag);
    REFUSE(TUNNELCAP_E_FLAGS, config.flags = TUNNELCAP_IPIP_ONLY_IPV4 | TUNNELCAP_IPIP_ONLY_IPV6);
    REFUSE(TUNNELCAP_E_FLAGS, config.outer.encap_limit_mode = 1);
    REFUSE(TUNNELCAP_E_MODE, config.outer.df_mode = 3);
    REFUSE(TUNNELCAP_E_MODE, config.outer.ttl_mode = 2);
    REFUSE(TUNNELCAP_E_ADDRESS, config.outer.remote = config.outer.local);
    REFUSE(TUNNELCAP_E_RANGE, config.outer.dscp = 64);
    REFUSE(TUNNELCAP_E_RESERVED, config.outer.reserved[9] = 1);
    REFUSE(TUNNELCAP_E_VERSION, config.size--);
    ck_assert_ptr_null(ipip);
    test_arena_free(arena);
}
END_TEST

START_TEST(unknown_tail_must_be_zero)
{
    struct {
        tunnelcap_ipip_config known;
        uint8_t tail[8];
    } newer;
    memset(&newer, 0, sizeof(newer));
    newer.known = test_ipip_config("192.0.2.1", "198.51.100.1", 0);
    newer.known.size = sizeof(newer);
    tunnelcap_ipip *ipip = NULL;
    ck_assert_status(tunnelcap_ipip_new(&newer.known, test_alloc(), &ipip), TUNNELCAP_OK);
    tunnelcap_ipip_free(ipip);
    newer.tail[7] = 1;
    ck_assert_status(tunnelcap_ipip_new(&newer.known, test_alloc(), &ipip), TUNNELCAP_E_VERSION);
}
END_TEST

START_TEST(lengths_are_exact)
{
    for (size_t i = 0; i < TEST_COUNT(combinations); i++) {
        const struct combination *c = &combinations[i];
        tunnelcap_ipip *ipip = open_local(c, 0);
        ck_assert_uint_eq(tunnelcap_ipip_headroom(ipip), c->room);
        ck_assert_uint_eq(tunnelcap_ipip_inner_mtu(ipip, 1500), 1500 - c->room);
        ck_assert_uint_eq(tunnelcap_ipip_inner_mtu(ipip, c->room), 0);
        ck_assert_uint_eq(tunnelcap_ipip_encap_len(ipip, 1000), 1000 + c->room);
        ck_assert_uint_eq(tunnelcap_ipip_encap_len(ipip, 65536), 0);
        tunnelcap_ipip_free(ipip);
    }
    ck_assert_uint_eq(tunnelcap_ipip_headroom(NULL), 0);
    ck_assert_uint_eq(tunnelcap_ipip_inner_mtu(NULL, 1500), 0);
    ck_assert_uint_eq(tunnelcap_ipip_encap_len(NULL, 100), 0);
}
END_TEST

START_TEST(every_combination_carries_every_size)
{
    tunnelcap_lane *lane = test_lane();
    for (size_t i = 0; i < 2 * TEST_COUNT(combinations); i++) {
        const struct combination *c = &combinations[i / 2];
        uint32_t limit = (i & 1) && c->room == 40;
        tunnelcap_ipip_config config = test_ipip_config(c->local, c->remote, 0);
        config.outer.encap_limit_mode = (uint8_t)limit;
        config.outer.encap_limit = 4;
        tunnelcap_ipip *a = test_ipip_new(&config), *b = open_remote(c, 0);
        uint32_t room = c->room + 8 * limit;
        test_ip inner = test_between(c->inner_src, c->inner_dst);
        for (uint32_t size = 0; size < 1440; size += 7) {
            test_udp_packet(&frame, &inner, size);
            tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, room);
            ck_assert_status(test_ipip_encap(a, lane, &pkt, NULL), TUNNELCAP_OK);
            ck_assert_uint_eq(pkt.off, 0);
            ck_assert_uint_eq(pkt.len, frame.len + room);
            test_view view = test_dissect(pkt.buf, pkt.len);
            ck_assert_uint_eq(view.protocol, c->protocol);
            ck_assert_uint_eq(view.payload, room);
            ck_assert_uint_eq(view.encap_limit, limit);
            ck_assert_mem_eq(view.ip.src.bytes, config.outer.local.bytes, 16);
            ck_assert_mem_eq(view.ip.dst.bytes, config.outer.remote.bytes, 16);
            ck_assert_status(test_ipip_decap(b, &pkt, NULL), TUNNELCAP_OK);
            ck_assert_uint_eq(pkt.off, room);
            ck_assert_uint_eq(pkt.len, frame.len);
            ck_assert_mem_eq(pkt.buf + room, frame.bytes, frame.len);
            test_pkt_free(&pkt);
        }
        tunnelcap_ipip_free(a);
        tunnelcap_ipip_free(b);
    }
    tunnelcap_lane_free(lane);
}
END_TEST

static int32_t feed(void *arg, tunnelcap_pkt *pkt)
{
    return test_ipip_decap(arg, pkt, NULL);
}

START_TEST(decap_refuses_every_truncated_packet_and_survives_flips)
{
    for (size_t i = 0; i < TEST_COUNT(combinations); i++) {
        const struct combination *c = &combinations[i];
        tunnelcap_ipip *ipip = open_remote(c, 0);
        build_outer(c, 9);
        test_truncation(frame.bytes, frame.len, TUNNELCAP_E_TRUNCATED, feed, ipip);
        test_flips(frame.bytes, frame.len, 0, feed, ipip);
        tunnelcap_ipip_free(ipip);
    }
}
END_TEST

START_TEST(decap_refuses_inner_packets_cut_by_the_outer_length)
{
    const struct combination *c = &combinations[0];
    tunnelcap_ipip *ipip = open_remote(c, 0);
    for (uint32_t len = 0; len < 37; len++) {
        test_ip inner = test_between(c->inner_src, c->inner_dst);
        test_ip outer = test_between(c->local, c->remote);
        test_udp_packet(&frame, &inner, 9);
        frame.len = len;
        test_push_ip(&frame, &outer, c->protocol);
        ck_assert_status(decap(ipip, NULL), TUNNELCAP_E_TRUNCATED);
    }
    tunnelcap_ipip_free(ipip);
}
END_TEST

START_TEST(only_flags_keep_the_other_family_out)
{
    tunnelcap_lane *lane = test_lane();
    for (size_t i = 0; i < TEST_COUNT(combinations); i++) {
        const struct combination *c = &combinations[i];
        uint32_t mine =
            c->protocol == IPV4_IN_IP ? TUNNELCAP_IPIP_ONLY_IPV4 : TUNNELCAP_IPIP_ONLY_IPV6;
        uint32_t other = mine ^ (TUNNELCAP_IPIP_ONLY_IPV4 | TUNNELCAP_IPIP_ONLY_IPV6);
        tunnelcap_ipip *yes = open_remote(c, mine), *no = open_remote(c, other);
        build_outer(c, 10);
        ck_assert_status(decap(yes, NULL), TUNNELCAP_OK);
        ck_assert_status(decap(no, NULL), TUNNELCAP_E_PROTOCOL);
        test_ip inner = test_between(c->inner_src, c->inner_dst);
        test_udp_packet(&frame, &inner, 10);
        ck_assert_status(encap(yes, lane, c->room, NULL), TUNNELCAP_OK);
        ck_assert_status(encap(no, lane, c->room, NULL), TUNNELCAP_E_PROTOCOL);
        tunnelcap_ipip_free(yes);
        tunnelcap_ipip_free(no);
    }
    tunnelcap_lane_free(lane);
}
END_TEST

START_TEST(decap_refuses_what_is_not_its_own)
{
    for (size_t i = 0; i < TEST_COUNT(combinations); i++) {
        const struct combination *c = &combinations[i];
        tunnelcap_ipip *ipip = open_remote(c, 0), *swapped = open_local(c, 0);
        build_outer(c, 10);
        ck_assert_status(decap(swapped, NULL), TUNNELCAP_E_NO_TUNNEL);
        test_ip inner = test_between(c->inner_src, c->inner_dst);
        test_ip outer = test_between(c->local, c->remote);
        test_udp_packet(&frame, &inner, 10);
        test_push_ip(&frame, &outer, 47);
        ck_assert_status(decap(ipip, NULL), TUNNELCAP_E_PROTOCOL);
        test_udp_packet(&frame, &inner, 10);
        test_push_ip(&frame, &outer, (uint8_t)(IPV4_IN_IP + IPV6_IN_IP - c->protocol));
        ck_assert_status(decap(ipip, NULL), TUNNELCAP_E_MALFORMED);
        tunnelcap_ipip_free(ipip);
        tunnelcap_ipip_free(swapped);
    }
}
END_TEST

START_TEST(decap_refuses_broken_outer_headers)
{
    const struct combination *c = &combinations[0];
    tunnelcap_ipip *ipip = open_remote(c, 0);
    build_outer(c, 10);
    frame.bytes[8] ^= 1;
    ck_assert_status(decap(ipip, NULL), TUNNELCAP_E_CHECKSUM);
    test_ip inner = test_between(c->inner_src, c->inner_dst);
    test_ip outer = test_between(c->local, c->remote);
    outer.frag = 0x2000;
    test_udp_packet(&frame, &inner, 10);
    test_push_ip(&frame, &outer, c->protocol);
    ck_assert_status(decap(ipip, NULL), TUNNELCAP_E_FRAGMENT);
    build_outer(c, 10);
    frame.bytes[0] = 0x43;
    ck_assert_status(decap(ipip, NULL), TUNNELCAP_E_MALFORMED);
    tunnelcap_pkt outside = {frame.bytes, 10, 5, 6, 0, NULL};
    ck_assert_status(test_ipip_decap(ipip, &outside, NULL), TUNNELCAP_E_INVALID);
    tunnelcap_meta unknown = {.at = 9};
    ck_assert_status(decap(ipip, &unknown), TUNNELCAP_E_INVALID);
    test_udp_packet(&frame, &inner, 10);
    tunnelcap_meta marked = {.at = TUNNELCAP_AT_IP_PAYLOAD,
                             .proto = IPV4_IN_IP,
                             .src = test_addr(c->local),
                             .dst = test_addr(c->remote),
                             .flags = TUNNELCAP_META_TOS_VALID,
                             .tos = 3};
    ck_assert_status(decap(ipip, &marked), TUNNELCAP_E_ECN);
    marked.tos = 0;
    ck_assert_status(decap(ipip, &marked), TUNNELCAP_OK);
    tunnelcap_ipip_free(ipip);
}
END_TEST

START_TEST(encap_refuses_what_it_documents)
{
    const struct combination *c = &combinations[0];
    tunnelcap_ipip *ipip = open_local(c, 0);
    tunnelcap_lane *lane = test_lane();
    test_ip inner = test_between(c->inner_src, c->inner_dst);
    test_udp_packet(&frame, &inner, 10);
    ck_assert_status(encap(ipip, lane, c->room - 1u, NULL), TUNNELCAP_E_HEADROOM);
    tunnelcap_meta gso = {.gso_type = 1};
    ck_assert_status(encap(ipip, lane, c->room, &gso), TUNNELCAP_E_TOO_BIG);
    frame.len--;
    ck_assert_status(encap(ipip, lane, c->room, NULL), TUNNELCAP_E_TRUNCATED);
    frame.bytes[0] = 0x75;
    ck_assert_status(encap(ipip, lane, c->room, NULL), TUNNELCAP_E_MALFORMED);
    test_udp_packet(&frame, &inner, 65535 - 28);
    ck_assert_status(encap(ipip, lane, c->room, NULL), TUNNELCAP_E_TOO_BIG);
    tunnelcap_pkt outside = {frame.bytes, 100, 20, 81, 0, NULL};
    ck_assert_status(test_ipip_encap(ipip, lane, &outside, NULL), TUNNELCAP_E_INVALID);

    tunnelcap_pkt pkt = {0};
    ck_assert_uint_eq(tunnelcap_ipip_encap(NULL, lane, &pkt, NULL, 0, 1), 0);
    ck_assert_uint_eq(tunnelcap_ipip_encap(ipip, NULL, &pkt, NULL, 0, 1), 0);
    ck_assert_uint_eq(tunnelcap_ipip_encap(ipip, lane, NULL, NULL, 0, 1), 0);
    ck_assert_uint_eq(tunnelcap_ipip_decap(NULL, &pkt, NULL, 0, 1), 0);
    ck_assert_uint_eq(tunnelcap_ipip_decap(ipip, NULL, NULL, 0, 1), 0);
    tunnelcap_ipip_free(ipip);
    tunnelcap_lane_free(lane);
}
END_TEST

START_TEST(unfinished_checksum_is_finished)
{
    static test_frame whole;
    const struct combination *c = &combinations[0];
    tunnelcap_ipip *ipip = open_local(c, 0);
    tunnelcap_lane *lane = test_lane();
    test_ip inner = test_between(c->inner_src, c->inner_dst);
    test_udp_packet(&frame, &inner, 31);
    whole = frame;
    test_store16(frame.bytes + 26, test_pseudo(&inner, 17, 39));
    tunnelcap_meta meta = {
        .flags = TUNNELCAP_META_CSUM_PARTIAL, .csum_start = 20, .csum_offset = 6};
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 20);
    ck_assert_status(test_ipip_encap(ipip, lane, &pkt, &meta), TUNNELCAP_OK);
    ck_assert_mem_eq(pkt.buf + 20, whole.bytes, whole.len);
    test_pkt_free(&pkt);
    tunnelcap_ipip_free(ipip);
    tunnelcap_lane_free(lane);
}
END_TEST

Suite *test_ipip_suite(void)
{
    const TTest *tests[] = {
        config_init_fills_the_documented_defaults,
        init_works_at_the_exact_size_and_refuses_one_byte_less,
        new_takes_its_memory_from_the_allocator,
        init_refuses_what_it_documents,
        unknown_tail_must_be_zero,
        lengths_are_exact,
        every_combination_carries_every_size,
        decap_refuses_every_truncated_packet_and_survives_flips,
        decap_refuses_inner_packets_cut_by_the_outer_length,
        only_flags_keep_the_other_family_out,
        decap_refuses_what_is_not_its_own,
        decap_refuses_broken_outer_headers,
        encap_refuses_what_it_documents,
        unfinished_checksum_is_finished,
    };
    return test_suite("ipip", tests, TEST_COUNT(tests));
}
