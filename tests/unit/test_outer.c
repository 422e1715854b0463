/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Outer header policy, seen through both kinds of tunnel: ECN, DSCP, TTL, DF, ID, flow label. */
#include "support.h"

#define A4 "192.0.2.1"
#define B4 "198.51.100.1"
#define A6 "2001:db8:a::1"
#define B6 "2001:db8:b::1"

static test_frame frame;

/* Two ends that share a policy; one of the two kinds is set. */
typedef struct ends {
    tunnelcap_gre *gre_a, *gre_b;
    tunnelcap_ipip *ipip_a, *ipip_b;
    tunnelcap_lane *lane;
} ends;

static tunnelcap_outer policy(bool six)
{
    tunnelcap_gre_config config = six ? test_gre_config(A6, B6, 0) : test_gre_config(A4, B4, 0);
    return config.outer;
}

static ends open_ends(const tunnelcap_outer *outer, bool ipip)
{
    ends pair = {NULL, NULL, NULL, NULL, test_lane()};
    tunnelcap_outer turned = *outer;
    turned.local = outer->remote;
    turned.remote = outer->local;
    if (ipip) {
        tunnelcap_ipip_config config = test_ipip_config(A4, B4, 0);
        config.outer = *outer;
        pair.ipip_a = test_ipip_new(&config);
        config.outer = turned;
        pair.ipip_b = test_ipip_new(&config);
    } else {
        tunnelcap_gre_config config = test_gre_config(A4, B4, 0);
        config.outer = *outer;
        pair.gre_a = test_gre_new(&config);
        config.outer = turned;
        pair.gre_b = test_gre_new(&config);
    }
    return pair;
}

static void close_ends(ends *pair)
{
    tunnelcap_gre_free(pair->gre_a);
    tunnelcap_gre_free(pair->gre_b);
    tunnelcap_ipip_free(pair->ipip_a);
    tunnelcap_ipip_free(pair->ipip_b);
    tunnelcap_lane_free(pair->lane);
}

/* Wrap the frame at end a and read the outer header. */
static test_view wrap(ends *pair, const tunnelcap_meta *meta)
{
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 64);
    ck_assert_status(pair->gre_a != NULL ? test_gre_encap(pair->gre_a, pair->lane, &pkt, meta)
                                         : test_ipip_encap(pair->ipip_a, pair->lane, &pkt, meta),
                     TUNNELCAP_OK);
    test_view view = test_dissect(pkt.buf + pkt.off, pkt.len);
    ck_assert_mem_eq(pkt.buf + pkt.off + view.payload, frame.bytes, frame.len);
    test_pkt_free(&pkt);
    return view;
}

/* Unwrap the frame at end b; *inner_tos gets the TOS of what comes out, whose IPv4 header
 * checksum must be right and whose other bytes must be those of the frame's inner packet. */
static int32_t unwrap(ends *pair, const test_frame *inner, uint8_t *inner_tos)
{
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 0);
    int32_t status = pair->gre_b != NULL ? test_gre_decap(pair->gre_b, &pkt, NULL, NULL)
                                         : test_ipip_decap(pair->ipip_b, &pkt, NULL);
    if (status == TUNNELCAP_OK) {
        const uint8_t *p = pkt.buf + pkt.off;
        ck_assert_uint_eq(pkt.len, inner->len);
        if (p[0] >> 4 == 4) {
            ck_assert_uint_eq(test_sum(0, p, 20), 0xffff);
            *inner_tos = p[1];
            ck_assert_mem_eq(p + 12, inner->bytes + 12, inner->len - 12);
        } else {
            *inner_tos = (uint8_t)(test_load16(p) >> 4);
            ck_assert_uint_eq(p[0] >> 4, 6);
            ck_assert_uint_eq(p[1] & 15, inner->bytes[1] & 15);
            ck_assert_mem_eq(p + 2, inner->bytes + 2, inner->len - 2);
        }
    }
    test_pkt_free(&pkt);
    return status;
}

static test_ip inner_ip(bool six, uint8_t tos)
{
    test_ip ip =
        six ? test_between("fd00:1::1", "fd00:2::1") : test_between("10.1.0.1", "10.2.0.1");
    ip.tos = tos;
    ip.flow_label = six ? 0xabcde : 0;
    return ip;
}

/* ---- ECN ---- */

START_TEST(ecn_is_copied_when_encapsulating)
{
    for (unsigned mix = 0; mix < 8; mix++) {
        tunnelcap_outer outer = policy(mix & 1);
        for (uint8_t mode = 0; mode <= TUNNELCAP_ECN_COMPATIBILITY; mode++) {
            outer.ecn_mode = mode;
            ends pair = open_ends(&outer, mix & 2);
            for (uint8_t ecn = 0; ecn < 4; ecn++) { /* RFC 6040 figure 3 */
                test_ip ip = inner_ip(mix & 4, (uint8_t)(46 << 2 | ecn));
                test_udp_packet(&frame, &ip, 10);
                test_view view = wrap(&pair, NULL);
                ck_assert_uint_eq(view.ip.tos & 3, mode == TUNNELCAP_ECN_NORMAL ? ecn : 0);
                ck_assert_uint_eq(view.ip.tos >> 2, 46);
            }
            close_ends(&pair);
        }
    }
}
END_TEST

START_TEST(ecn_is_combined_by_figure_4_of_rfc_6040_when_decapsulating)
{
    enum { NOT = 0, ECT1 = 1, ECT0 = 2, CE = 3, DROP = 4 };
    static const uint8_t figure4[4][4] = {
        /* outer:     Not   ECT1  ECT0  CE */
        [NOT] = {NOT, NOT, NOT, DROP},
        [ECT1] = {ECT1, ECT1, ECT1, CE},
        [ECT0] = {ECT0, ECT1, ECT0, CE},
        [CE] = {CE, CE, CE, CE},
    };
    static test_frame inner;
    for (unsigned mix = 0; mix < 16; mix++) {
        tunnelcap_outer outer = policy(mix & 1);
        outer.ecn_mode = mix & 8 ? TUNNELCAP_ECN_COMPATIBILITY : TUNNELCAP_ECN_NORMAL;
        ends pair = open_ends(&outer, mix & 2);
        for (uint8_t in = 0; in < 4; in++) {
            for (uint8_t out = 0; out < 4; out++) {
                test_ip ip = inner_ip(mix & 4, (uint8_t)(10 << 2 | in));
                test_ip ip_out = mix & 1 ? test_between(A6, B6) : test_between(A4, B4);
                ip_out.tos = (uint8_t)(34 << 2 | out);
                test_udp_packet(&frame, &ip, 10);
                inner = frame;
                test_gre gre = {.protocol = mix & 4 ? 0x86dd : 0x0800};
                if (!(mix & 2))
                    test_push_gre(&frame, &gre);
                test_push_ip(&frame, &ip_out, mix & 2 ? (mix & 4 ? 41 : 4) : 47);
                uint8_t tos = 0;
                int32_t status = unwrap(&pair, &inner, &tos);
                if (figure4[in][out] == DROP) {
                    ck_assert_status(status, TUNNELCAP_E_ECN);
                } else {
                    ck_assert_status(status, TUNNELCAP_OK);
                    ck_assert_uint_eq(tos, 10 << 2 | figure4[in][out]);
                }
            }
        }
        close_ends(&pair);
    }
}
END_TEST

/* ---- DSCP ---- */

START_TEST(dscp_modes_follow_rfc_2983)
{
    static test_frame inner;
    for (unsigned mix = 0; mix < 8; mix++) {
        for (uint8_t mode = 0; mode <= TUNNELCAP_DSCP_UNIFORM; mode++) {
            tunnelcap_outer outer = policy(mix & 1);
            outer.dscp_mode = mode;
            outer.dscp = 8;
            ends pair = open_ends(&outer, mix & 2);
            test_ip ip = inner_ip(mix & 4, 46 << 2 | 2);
            test_udp_packet(&frame, &ip, 10);
            test_view view = wrap(&pair, NULL);
            ck_assert_uint_eq(view.ip.tos, (mode == TUNNELCAP_DSCP_PIPE ? 8u : 46u) << 2 | 2);

            test_ip ip_out = mix & 1 ? test_between(A6, B6) : test_between(A4, B4);
            ip_out.tos = 20 << 2 | 3; /* remarked and congested on the way */
            test_udp_packet(&frame, &ip, 10);
            inner = frame;
            test_gre gre = {.protocol = mix & 4 ? 0x86dd : 0x0800};
            if (!(mix & 2))
                test_push_gre(&frame, &gre);
            test_push_ip(&frame, &ip_out, mix & 2 ? (mix & 4 ? 41 : 4) : 47);
            uint8_t tos = 0;
            ck_assert_status(unwrap(&pair, &inner, &tos), TUNNELCAP_OK);
            ck_assert_uint_eq(tos, (mode == TUNNELCAP_DSCP_UNIFORM ? 20u : 46u) << 2 | 3);
            close_ends(&pair);
        }
    }
}
END_TEST

START_TEST(payloads_without_ip_get_fixed_values)
{
    tunnelcap_outer outer = policy(false);
    outer.dscp = 12;
    outer.ttl = 0;
    outer.df_mode = TUNNELCAP_DF_COPY;
    ends pair = open_ends(&outer, false);
    tunnelcap_meta meta = {.ethertype = TUNNELCAP_ETHERTYPE_MPLS};
    test_payload(&frame, 50);
    test_view view = wrap(&pair, &meta);
    ck_assert_uint_eq(view.ip.tos, 12 << 2);
    ck_assert_uint_eq(view.ip.ttl, 64);
    ck_assert(view.df);
    close_ends(&pair);
}
END_TEST

START_TEST(ip_in_ethernet_keeps_its_marks)
{
    static const uint8_t tags[][10] = {{0}, {0x81, 0, 0, 5}, {0x88, 0xa8, 0, 5, 0x81, 0, 0, 6}};
    static const uint32_t tags_len[] = {0, 4, 8};
    tunnelcap_outer outer = policy(false);
    ends pair = open_ends(&outer, false);
    for (size_t i = 0; i < TEST_COUNT(tags_len); i++) {
        for (unsigned six = 0; six <= 1; six++) {
            test_ip ip = inner_ip(six, 46 << 2 | 2);
            uint8_t type[2];
            static const uint8_t macs[12] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
            test_store16(type, six ? 0x86dd : 0x0800);
            test_udp_packet(&frame, &ip, 10);
            test_push(&frame, type, 2);
            test_push(&frame, tags[i], tags_len[i]);
            test_push(&frame, macs, sizeof(macs));
            tunnelcap_meta meta = {.ethertype = TUNNELCAP_ETHERTYPE_ETHERNET};
            ck_assert_uint_eq(wrap(&pair, &meta).ip.tos, 46 << 2 | 2);

            test_gre gre = {.protocol = TUNNELCAP_ETHERTYPE_ETHERNET};
            test_ip ip_out = test_between(A4, B4);
            ip_out.tos = 3;
            uint32_t l3 = 14 + tags_len[i];
            test_push_gre(&frame, &gre);
            test_push_ip(&frame, &ip_out, 47);
            tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 0);
            ck_assert_status(test_gre_decap(pair.gre_b, &pkt, NULL, NULL), TUNNELCAP_OK);
            const uint8_t *p = pkt.buf + pkt.off + l3;
            ck_assert_uint_eq(six ? (uint8_t)(test_load16(p) >> 4) : p[1], 46 << 2 | 3);
            if (!six)
                ck_assert_uint_eq(test_sum(0, p, 20), 0xffff);
            test_pkt_free(&pkt);
        }
    }
    close_ends(&pair);
}
END_TEST

/* ---- TTL, DF, ID ---- */

START_TEST(ttl_is_fixed_or_copied_and_never_decremented)
{
    for (unsigned mix = 0; mix < 8; mix++) {
        static const uint8_t ttls[] = {0, 1, 255};
        for (size_t i = 0; i < TEST_COUNT(ttls); i++) {
            tunnelcap_outer outer = policy(mix & 1);
            outer.ttl = ttls[i];
            ends pair = open_ends(&outer, mix & 2);
            test_ip ip = inner_ip(mix & 4, 0);
            ip.ttl = 37;
            test_udp_packet(&frame, &ip, 10);
            ck_assert_uint_eq(wrap(&pair, NULL).ip.ttl, ttls[i] != 0 ? ttls[i] : 37);
            close_ends(&pair);
        }
    }
}
END_TEST

START_TEST(df_is_set_copied_or_clear)
{
    for (uint8_t mode = 0; mode <= TUNNELCAP_DF_CLEAR; mode++) {
        for (unsigned ipip = 0; ipip <= 1; ipip++) {
            tunnelcap_outer outer = policy(false);
            outer.df_mode = mode;
            ends pair = open_ends(&outer, ipip);
            for (unsigned inner_df = 0; inner_df <= 1; inner_df++) {
                test_ip ip = inner_ip(false, 0);
                ip.frag = inner_df ? 0x4000 : 0;
                test_udp_packet(&frame, &ip, 10);
                bool want = mode == TUNNELCAP_DF_SET || (mode == TUNNELCAP_DF_COPY && inner_df);
                test_view view = wrap(&pair, NULL);
                ck_assert_uint_eq(view.df, want);
                ck_assert_uint_eq(view.ip.frag & 0xbfff, 0);
                if (want)
                    ck_assert_uint_eq(view.ip.id, 0);
                else
                    ck_assert_uint_ne(view.ip.id, 0);
            }
            test_ip six = inner_ip(true, 0);
            test_udp_packet(&frame, &six, 10);
            ck_assert_uint_eq(wrap(&pair, NULL).df, mode != TUNNELCAP_DF_CLEAR);
            close_ends(&pair);
        }
    }
}
END_TEST

START_TEST(identifications_of_a_lane_do_not_repeat_early_and_are_never_0)
{
    static uint8_t seen[65536];
    tunnelcap_outer outer = policy(false);
    outer.id_mode = TUNNELCAP_ID_ALWAYS;
    ends pair = open_ends(&outer, false);
    test_ip ip = inner_ip(false, 0);
    test_udp_packet(&frame, &ip, 0);
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 24);
    tunnelcap_pkt fresh = pkt;
    for (uint32_t i = 0; i < 65535; i++) {
        pkt = fresh;
        ck_assert_status(test_gre_encap(pair.gre_a, pair.lane, &pkt, NULL), TUNNELCAP_OK);
        uint16_t id = test_load16(pkt.buf + 4);
        ck_assert_uint_ne(id, 0);
        ck_assert_uint_eq(seen[id], 0);
        seen[id] = 1;
    }
    test_pkt_free(&pkt);
    close_ends(&pair);
}
END_TEST

/* ---- IPv6 ---- */

START_TEST(flow_label_is_fixed_or_follows_the_flow)
{
    for (unsigned ipip = 0; ipip <= 1; ipip++) {
        tunnelcap_outer outer = policy(true);
        outer.flow_label_mode = TUNNELCAP_FLOW_LABEL_FIXED;
        outer.flow_label = 0x12345;
        ends fixed = open_ends(&outer, ipip);
        outer.flow_label_mode = TUNNELCAP_FLOW_LABEL_HASH;
        ends hashed = open_ends(&outer, ipip);
        uint32_t different = 0, first = 0;
        for (uint32_t flow = 0; flow < 64; flow++) {
            test_ip ip = inner_ip(flow & 1, 0);
            test_payload(&frame, 10);
            test_push_udp(&frame, &ip, (uint16_t)(5000 + flow), 53);
            test_push_ip(&frame, &ip, 17);
            ck_assert_uint_eq(wrap(&fixed, NULL).ip.flow_label, 0x12345);
            uint32_t label = wrap(&hashed, NULL).ip.flow_label;
            ck_assert_uint_eq(wrap(&hashed, NULL).ip.flow_label, label);
            ck_assert_uint_eq(label & 1, 1); /* so it is never 0 (RFC 6437 2) */
            if (flow == 0)
                first = label;
            different += label != first;
        }
        ck_assert_uint_gt(different, 60);
        close_ends(&fixed);
        close_ends(&hashed);
    }
}
END_TEST

START_TEST(fragments_of_a_datagram_share_one_flow)
{
    tunnelcap_outer outer = policy(true);
    ends pair = open_ends(&outer, false);
    test_ip ip = inner_ip(false, 0);
    static const uint16_t frags[] = {0x2000, 0x2010, 0x0020};
    uint32_t label = 0;
    for (size_t i = 0; i < TEST_COUNT(frags); i++) {
        ip.frag = frags[i];
        test_payload(&frame, 100 + (uint32_t)i);
        test_push_udp(&frame, &ip, (uint16_t)(5000 + i), 53);
        test_push_ip(&frame, &ip, 17);
        test_view view = wrap(&pair, NULL);
        if (i == 0)
            label = view.ip.flow_label;
        ck_assert_uint_eq(view.ip.flow_label, label);
    }
    close_ends(&pair);
}
END_TEST

Suite *test_outer_suite(void)
{
    const TTest *tests[] = {
        ecn_is_copied_when_encapsulating,
        ecn_is_combined_by_figure_4_of_rfc_6040_when_decapsulating,
        dscp_modes_follow_rfc_2983,
        payloads_without_ip_get_fixed_values,
        ip_in_ethernet_keeps_its_marks,
        ttl_is_fixed_or_copied_and_never_decremented,
        df_is_set_copied_or_clear,
        identifications_of_a_lane_do_not_repeat_early_and_are_never_0,
        flow_label_is_fixed_or_follows_the_flow,
        fragments_of_a_datagram_share_one_flow,
    };
    return test_suite("outer", tests, TEST_COUNT(tests));
}
