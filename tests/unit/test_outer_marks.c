/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* What outer and inner headers tell each other, for all three kinds of tunnel, all families in all
 * families: ECN, DSCP, TTL, "don't fragment", and the encapsulation limit. */
#include "esp_kit.h"

enum { GRE, IPIP, ESP, KINDS };

static const char *const near_ends[2] = {"192.0.2.1", "2001:db8:a::1"};
static const char *const far_ends[2] = {"198.51.100.1", "2001:db8:b::1"};
static test_frame frame;

/* Both ends of a tunnel of some kind. */
typedef struct ends {
    unsigned kind;
    tunnelcap_gre *gre[2];
    tunnelcap_ipip *ipip[2];
    test_pair esp;
    tunnelcap_lane *lane;
} ends;

static void open_ends(ends *e, unsigned kind, const tunnelcap_outer *policy, uint32_t flags)
{
    tunnelcap_outer turned = *policy;
    turned.local = policy->remote;
    turned.remote = policy->local;
    memset(e, 0, sizeof(*e));
    e->kind = kind;
    if (kind == ESP) {
        tunnelcap_transform t = test_gcm();
        tunnelcap_esp_config out = test_esp_config(TUNNELCAP_ESP_OUT, near_ends[0], far_ends[0]);
        tunnelcap_esp_config in = test_esp_config(TUNNELCAP_ESP_IN, near_ends[0], far_ends[0]);
        out.outer = *policy;
        in.outer = turned;
        out.flags = in.flags = flags;
        test_pair_make(&e->esp, &t, &out, &in);
        return;
    }
    e->lane = test_lane();
    for (unsigned i = 0; i < 2; i++) {
        tunnelcap_gre_config gre = test_gre_config(near_ends[0], far_ends[0], flags);
        tunnelcap_ipip_config ipip = test_ipip_config(near_ends[0], far_ends[0], 0);
        gre.outer = ipip.outer = i == 0 ? *policy : turned;
        if (kind == GRE)
            e->gre[i] = test_gre_new(&gre);
        else
            e->ipip[i] = test_ipip_new(&ipip);
    }
}

static void close_ends(ends *e)
{
    if (e->kind == ESP) {
        test_pair_close(&e->esp);
        return;
    }
    tunnelcap_lane_free(e->lane);
    for (unsigned i = 0; i < 2; i++) {
        tunnelcap_gre_free(e->gre[i]);
        tunnelcap_ipip_free(e->ipip[i]);
    }
}

static int32_t encap(ends *e, tunnelcap_pkt *pkt)
{
    return e->kind == GRE    ? test_gre_encap(e->gre[0], e->lane, pkt, NULL)
           : e->kind == IPIP ? test_ipip_encap(e->ipip[0], e->lane, pkt, NULL)
                             : test_esp_encap(e->esp.out, e->esp.lane, pkt, NULL);
}

static int32_t decap(ends *e, tunnelcap_pkt *pkt, const tunnelcap_meta *meta)
{
    return e->kind == GRE    ? test_gre_decap(e->gre[1], pkt, meta, NULL)
           : e->kind == IPIP ? test_ipip_decap(e->ipip[1], pkt, meta)
                             : test_esp_decap(e->esp.in, e->esp.lane, pkt, meta, NULL);
}

static tunnelcap_outer policy_of(unsigned six)
{
    tunnelcap_outer policy;
    memset(&policy, 0, sizeof(policy));
    policy.local = test_addr(near_ends[six]);
    policy.remote = test_addr(far_ends[six]);
    policy.ttl = 64;
    return policy;
}

static test_ip inner_ip(unsigned six, uint8_t tos, uint8_t ttl)
{
    test_ip ip =
        six ? test_between("fd00:1::1", "fd00:2::1") : test_between("10.1.0.1", "10.2.0.1");
    ip.tos = tos;
    ip.ttl = ttl;
    return ip;
}

/* TOS and TTL of the IP header at p. */
static uint8_t tos_at(const uint8_t *p)
{
    return p[0] >> 4 == 4 ? p[1] : (uint8_t)(test_load16(p) >> 4);
}

static uint8_t ttl_at(const uint8_t *p)
{
    return p[0] >> 4 == 4 ? p[8] : p[7];
}

/* What routers do to an outer header on its way. */
static void remark(uint8_t *p, uint8_t tos, uint8_t ttl)
{
    if (p[0] >> 4 == 6) {
        p[0] = (uint8_t)(0x60 | tos >> 4);
        p[1] = (uint8_t)((p[1] & 15) | tos << 4);
        p[7] = ttl;
        return;
    }
    p[1] = tos;
    p[8] = ttl;
    test_store16(p + 10, 0);
    test_store16(p + 10, (uint16_t)~test_sum(0, p, 20));
}

/* Carry the packet in `frame` through, its outer header remarked on the way; returns the status
 * of the far end and what comes out. All but TOS, TTL and checksum must come out as it went in. */
static int32_t carry(ends *e, uint8_t outer_tos, uint8_t outer_ttl, uint8_t *tos, uint8_t *ttl)
{
    tunnelcap_pkt pkt = test_esp_pkt(&frame);
    test_ok(encap(e, &pkt));
    remark(pkt.buf + pkt.off, outer_tos, outer_ttl);
    if (e->kind != ESP) /* which the dissector takes for GRE where it is in UDP */
        test_dissect(pkt.buf + pkt.off, pkt.len);
    int32_t status = decap(e, &pkt, NULL);
    if (status == TUNNELCAP_OK) {
        uint8_t *p = pkt.buf + pkt.off;
        ck_assert_uint_eq(pkt.len, frame.len);
        if (p[0] >> 4 == 4)
            ck_assert_uint_eq(test_sum(0, p, 20), 0xffff);
        *tos = tos_at(p);
        *ttl = ttl_at(p);
        remark(p, tos_at(frame.bytes), ttl_at(frame.bytes));
        ck_assert_mem_eq(p, frame.bytes, frame.len);
    }
    test_pkt_free(&pkt);
    return status;
}

/* ---- ECN and DSCP ---- */

START_TEST(ecn_of_outer_headers_is_figure_3_of_rfc_6040)
{
    for (unsigned mix = 0; mix < 4 * KINDS; mix++) {
        tunnelcap_outer policy = policy_of(mix & 1);
        for (uint8_t mode = 0; mode <= TUNNELCAP_ECN_RFC4301; mode++) {
            ends e;
            policy.ecn_mode = mode;
            open_ends(&e, mix / 4, &policy, 0);
            for (uint8_t ecn = 0; ecn < 4; ecn++) {
                test_ip ip = inner_ip(mix >> 1 & 1, (uint8_t)(46 << 2 | ecn), 64);
                test_udp_packet(&frame, &ip, 10);
                tunnelcap_pkt pkt = test_esp_pkt(&frame);
                test_ok(encap(&e, &pkt));
                ck_assert_uint_eq(tos_at(pkt.buf + pkt.off),
                                  46 << 2 | (mode == TUNNELCAP_ECN_COMPATIBILITY ? 0 : ecn));
                test_pkt_free(&pkt);
            }
            close_ends(&e);
        }
    }
}
END_TEST

START_TEST(all_16_cells_of_decapsulation_are_figure_4_of_rfc_6040)
{
    enum { NOT = 0, ECT1 = 1, ECT0 = 2, CE = 3, DROP = 4 };
    static const uint8_t figure4[4][4] = {
        /* outer:     Not   ECT1  ECT0  CE */
        [NOT] = {NOT, NOT, NOT, DROP},
        [ECT1] = {ECT1, ECT1, ECT1, CE},
        [ECT0] = {ECT0, ECT1, ECT0, CE},
        [CE] = {CE, CE, CE, CE},
    };
    static const uint8_t rfc4301[4][4] = {
        [NOT] = {NOT, NOT, NOT, NOT},
        [ECT1] = {ECT1, ECT1, ECT1, CE},
        [ECT0] = {ECT0, ECT0, ECT0, CE},
        [CE] = {CE, CE, CE, CE},
    };
    for (unsigned mix = 0; mix < 12 * KINDS; mix++) {
        tunnelcap_outer policy = policy_of(mix & 1);
        ends e;
        policy.ecn_mode = (uint8_t)(mix >> 2) % 3;
        open_ends(&e, mix / 12, &policy, 0);
        for (uint8_t cell = 0; cell < 16; cell++) {
            uint8_t in = cell >> 2, out = cell & 3, tos = 0, ttl = 0;
            uint8_t want =
                policy.ecn_mode == TUNNELCAP_ECN_RFC4301 ? rfc4301[in][out] : figure4[in][out];
            test_ip ip = inner_ip(mix >> 1 & 1, (uint8_t)(10 << 2 | in), 99);
            test_udp_packet(&frame, &ip, 10);
            int32_t status = carry(&e, (uint8_t)(34 << 2 | out), 7, &tos, &ttl);
            ck_assert_status(status, want == DROP ? TUNNELCAP_E_ECN : TUNNELCAP_OK);
            if (want == DROP)
                continue;
            ck_assert_uint_eq(tos, 10 << 2 | want);
            ck_assert_uint_eq(ttl, 99); /* the pipe model */
        }
        close_ends(&e);
    }
}
END_TEST

START_TEST(dscp_goes_in_and_out_as_rfc_2983_says)
{
    for (unsigned mix = 0; mix < 4 * KINDS; mix++) {
        for (uint8_t mode = 0; mode <= TUNNELCAP_DSCP_UNIFORM; mode++) {
            tunnelcap_outer policy = policy_of(mix & 1);
            uint8_t tos = 0, ttl = 0;
            ends e;
            policy.dscp_mode = mode;
            policy.dscp = 8;
            open_ends(&e, mix / 4, &policy, 0);
            test_ip ip = inner_ip(mix >> 1 & 1, 46 << 2 | 2, 64);
            test_udp_packet(&frame, &ip, 10);
            tunnelcap_pkt pkt = test_esp_pkt(&frame);
            test_ok(encap(&e, &pkt));
            ck_assert_uint_eq(tos_at(pkt.buf + pkt.off),
                              (mode == TUNNELCAP_DSCP_PIPE ? 8u : 46u) << 2 | 2);
            test_pkt_free(&pkt);
            test_ok(carry(&e, 20 << 2 | 3, 64, &tos, &ttl));
            ck_assert_uint_eq(tos, (mode == TUNNELCAP_DSCP_UNIFORM ? 20u : 46u) << 2 | 3);
            close_ends(&e);
        }
    }
}
END_TEST

/* ---- TTL ---- */

START_TEST(uniform_ttl_goes_in_and_the_smaller_comes_out)
{
    static const struct {
        uint8_t inner, outer, want;
    } rows[] = {{64, 64, 64}, {64, 60, 60}, {64, 1, 1},     {64, 0, 0},
                {1, 255, 1},  {0, 9, 0},    {255, 254, 254}};
    for (unsigned mix = 0; mix < 4 * KINDS; mix++) {
        tunnelcap_outer policy = policy_of(mix & 1);
        ends e;
        policy.ttl_mode = TUNNELCAP_TTL_UNIFORM;
        policy.ttl = 33; /* for payloads without IP */
        open_ends(&e, mix / 4, &policy, 0);
        for (size_t i = 0; i < TEST_COUNT(rows); i++) {
            test_ip ip = inner_ip(mix >> 1 & 1, 46 << 2 | 2, rows[i].inner);
            uint8_t tos = 0, ttl = 0;
            test_udp_packet(&frame, &ip, 10);
            tunnelcap_pkt pkt = test_esp_pkt(&frame);
            test_ok(encap(&e, &pkt));
            ck_assert_uint_eq(ttl_at(pkt.buf + pkt.off), rows[i].inner);
            test_pkt_free(&pkt);
            test_ok(carry(&e, 46 << 2 | 2, rows[i].outer, &tos, &ttl));
            ck_assert_uint_eq(ttl, rows[i].want);
            ck_assert_uint_eq(tos, 46 << 2 | 2);
            test_ok(carry(&e, 46 << 2 | 3, rows[i].outer, &tos, &ttl)); /* both at once */
            ck_assert_uint_eq(ttl, rows[i].want);
            ck_assert_uint_eq(tos, 46 << 2 | 3);
        }
        close_ends(&e);
    }
}
END_TEST

START_TEST(payloads_without_ip_have_the_configured_ttl)
{
    static const uint8_t rows[][3] = {{0, 0, 64}, {0, 9, 9}, {1, 0, 64}, {1, 9, 9}};
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        tunnelcap_outer policy = policy_of(0);
        tunnelcap_meta meta = {.ethertype = TUNNELCAP_ETHERTYPE_MPLS};
        ends e;
        policy.ttl_mode = rows[i][0];
        policy.ttl = rows[i][1];
        open_ends(&e, GRE, &policy, 0);
        test_payload(&frame, 40);
        tunnelcap_pkt pkt = test_esp_pkt(&frame);
        test_ok(test_gre_encap(e.gre[0], e.lane, &pkt, &meta));
        ck_assert_uint_eq(pkt.buf[pkt.off + 8], rows[i][2]);
        test_pkt_free(&pkt);
        close_ends(&e);
    }
}
END_TEST

START_TEST(a_ttl_that_a_socket_reports_counts_and_an_unknown_one_does_not)
{
    static const uint8_t rows[][2] = {{0, 64}, {1, 1}, {63, 63}, {64, 64}, {255, 64}};
    for (unsigned mix = 0; mix < 2 * KINDS; mix++) {
        tunnelcap_outer policy = policy_of(1);
        unsigned kind = mix / 2;
        bool udp = (mix & 1) && kind != IPIP;
        ends e;
        policy.ttl_mode = TUNNELCAP_TTL_UNIFORM;
        open_ends(&e, kind, &policy,
                  !udp          ? 0
                  : kind == GRE ? TUNNELCAP_GRE_UDP
                                : TUNNELCAP_ESP_UDP);
        for (size_t i = 0; i < TEST_COUNT(rows); i++) {
            test_ip ip = inner_ip(0, 0, 64);
            test_udp_packet(&frame, &ip, 10);
            tunnelcap_pkt pkt = test_esp_pkt(&frame);
            test_ok(encap(&e, &pkt));
            tunnelcap_meta meta = {.at = udp ? TUNNELCAP_AT_UDP_PAYLOAD : TUNNELCAP_AT_IP_PAYLOAD,
                                   .proto = pkt.buf[pkt.off + 6],
                                   .ttl = rows[i][0],
                                   .src = policy.local,
                                   .dst = policy.remote,
                                   .src_port = test_load16(pkt.buf + pkt.off + 40),
                                   .dst_port = test_load16(pkt.buf + pkt.off + 42)};
            pkt.off += udp ? 48 : 40;
            pkt.len -= udp ? 48 : 40;
            test_ok(decap(&e, &pkt, &meta));
            ck_assert_uint_eq(pkt.buf[pkt.off + 8], rows[i][1]);
            ck_assert_uint_eq(test_sum(0, pkt.buf + pkt.off, 20), 0xffff);
            test_pkt_free(&pkt);
        }
        close_ends(&e);
    }
}
END_TEST

/* ---- "don't fragment" ---- */

START_TEST(df_is_set_by_gre_and_copied_by_ipip_and_esp)
{
    tunnelcap_gre_config gre;
    tunnelcap_ipip_config ipip;
    tunnelcap_esp_config esp;
    test_ok(tunnelcap_gre_config_init(&gre, sizeof(gre)));
    test_ok(tunnelcap_ipip_config_init(&ipip, sizeof(ipip)));
    test_ok(tunnelcap_esp_config_init(&esp, sizeof(esp)));
    const uint8_t defaults[KINDS] = {gre.outer.df_mode, ipip.outer.df_mode, esp.outer.df_mode};
    static const uint16_t frags[] = {0x4000, 0, 0x2000, 0x0010, 0x6000};
    for (unsigned kind = 0; kind < KINDS; kind++) {
        tunnelcap_outer policy = policy_of(0);
        ends e;
        policy.df_mode = defaults[kind];
        open_ends(&e, kind, &policy, 0);
        for (size_t i = 0; i < TEST_COUNT(frags); i++) {
            test_ip ip = inner_ip(0, 0, 64);
            ip.frag = frags[i];
            test_udp_packet(&frame, &ip, 16);
            tunnelcap_pkt pkt = test_esp_pkt(&frame);
            test_ok(encap(&e, &pkt));
            const uint8_t *p = pkt.buf + pkt.off;
            bool df = kind == GRE || (frags[i] & 0x4000);
            ck_assert_uint_eq(test_load16(p + 6), df ? 0x4000 : 0);
            ck_assert_uint_eq(test_load16(p + 4) == 0, df); /* RFC 6864 4.1 */
            test_dissect(p, pkt.len);
            test_pkt_free(&pkt);
        }
        test_ip six = inner_ip(1, 0, 64);
        test_udp_packet(&frame, &six, 16);
        tunnelcap_pkt pkt = test_esp_pkt(&frame);
        test_ok(encap(&e, &pkt));
        ck_assert_uint_eq(test_load16(pkt.buf + pkt.off + 6), 0x4000);
        test_pkt_free(&pkt);
        close_ends(&e);
    }
}
END_TEST

/* ---- encapsulation limit ---- */

/* An IPv6 packet with options, behind a header of `kind` or none. */
static void limited_packet(const uint8_t *options, uint32_t len, uint8_t before)
{
    static const uint8_t nothing[6] = {1, 4, 0, 0, 0, 0};
    test_ip ip = inner_ip(1, 0, 64);
    test_payload(&frame, 20);
    test_push_udp(&frame, &ip, 5000, 53);
    test_push_ext(&frame, 17, options, len);
    if (before != 0)
        test_push_ext(&frame, 60, nothing, sizeof(nothing));
    test_push_ip(&frame, &ip, before != 0 ? before : 60);
}

START_TEST(the_limit_of_an_inner_packet_goes_down_by_one)
{
    for (unsigned mix = 0; mix < 4 * KINDS; mix++) {
        for (unsigned limit = 1; limit <= 255; limit += limit < 6 ? 1 : 83) {
            const uint8_t options[6] = {4, 1, (uint8_t)limit, 1, 1, 0};
            tunnelcap_outer policy = policy_of(1);
            uint8_t tos = 0, ttl = 0;
            unsigned kind = mix / 4;
            uint32_t own = mix & 1 ? 8 : 0;
            ends e;
            policy.encap_limit_mode = mix & 1;
            policy.encap_limit = 200;
            open_ends(&e, kind, &policy,
                      !(mix & 2)    ? 0
                      : kind == GRE ? TUNNELCAP_GRE_UDP
                      : kind == ESP ? TUNNELCAP_ESP_UDP
                                    : 0);
            limited_packet(options, sizeof(options), mix & 2 ? 43 : 0);
            tunnelcap_pkt pkt = test_esp_pkt(&frame);
            ck_assert_uint_eq(pkt.buf[pkt.off + tunnelcap_outer_limit_at(&pkt)], limit);
            test_ok(encap(&e, &pkt));
            const uint8_t *p = pkt.buf + pkt.off;
            const uint8_t want[7] = {0, 4, 1, (uint8_t)(limit - 1), 1, 1, 0};
            ck_assert_uint_eq(p[6], 60);
            ck_assert_mem_eq(p + 41, want, sizeof(want));
            ck_assert_uint_eq(test_load16(p + 4), pkt.len - 40);
            ck_assert_uint_eq(tunnelcap_outer_limit_at(&pkt), 44);
            test_pkt_free(&pkt);
            test_ok(carry(&e, 0, 64, &tos, &ttl));

            test_ip plain = inner_ip(1, 0, 64); /* the next packet is none the wiser */
            test_udp_packet(&frame, &plain, 20);
            pkt = test_esp_pkt(&frame);
            test_ok(encap(&e, &pkt));
            ck_assert_uint_eq(tunnelcap_outer_limit_at(&pkt), own != 0 ? 44 : 0);
            if (own != 0)
                ck_assert_uint_eq(pkt.buf[pkt.off + 44], 200);
            test_pkt_free(&pkt);
            close_ends(&e);
        }
    }
}
END_TEST

START_TEST(a_packet_whose_limit_is_used_up_enters_no_tunnel_over_ipv6)
{
    static const uint8_t used_up[6] = {1, 0, 4, 1, 0, 0};
    for (unsigned mix = 0; mix < 4 * KINDS; mix++) {
        tunnelcap_outer policy = policy_of(mix >> 1 & 1);
        ends e;
        policy.encap_limit_mode = (mix & 3) == 3;
        open_ends(&e, mix / 4, &policy, 0);
        limited_packet(used_up, sizeof(used_up), mix & 1 ? 43 : 0);
        tunnelcap_pkt pkt = test_esp_pkt(&frame);
        uint32_t at = mix & 1 ? 54 : 46;
        ck_assert_uint_eq(tunnelcap_outer_limit_at(&pkt), at);
        test_snapshot before = test_snap(&pkt);
        if (mix & 2) {
            ck_assert_status(encap(&e, &pkt), TUNNELCAP_E_ENCAP_LIMIT);
            test_unchanged(&before, &pkt);
        } else { /* over IPv4 there is no such limit */
            free(before.bytes);
            test_ok(encap(&e, &pkt));
        }
        test_pkt_free(&pkt);
        close_ends(&e);
    }
}
END_TEST

START_TEST(a_loop_of_tunnels_ends_with_the_limit)
{
    tunnelcap_outer policy = policy_of(1);
    ends e;
    policy.encap_limit_mode = 1;
    policy.encap_limit = 4;
    open_ends(&e, GRE, &policy, 0);
    test_ip ip = inner_ip(1, 0, 64);
    test_udp_packet(&frame, &ip, 20);
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 1000);
    for (unsigned rounds = 0; rounds < 5; rounds++)
        test_ok(encap(&e, &pkt));
    ck_assert_status(encap(&e, &pkt), TUNNELCAP_E_ENCAP_LIMIT);
    test_pkt_free(&pkt);
    close_ends(&e);
}
END_TEST

START_TEST(a_limit_of_its_own_takes_eight_bytes_of_headroom_more)
{
    static const uint8_t options[6] = {4, 1, 3, 1, 1, 0};
    for (unsigned kind = 0; kind < KINDS; kind++) {
        tunnelcap_outer policy = policy_of(1);
        ends e;
        open_ends(&e, kind, &policy, 0);
        uint32_t headroom = kind == GRE    ? tunnelcap_gre_headroom(e.gre[0])
                            : kind == IPIP ? tunnelcap_ipip_headroom(e.ipip[0])
                                           : tunnelcap_esp_headroom(e.esp.out);
        limited_packet(options, sizeof(options), 0);
        for (uint32_t room = headroom; room <= headroom + 8; room++) {
            tunnelcap_pkt pkt = test_pkt_room(frame.bytes, frame.len, room, 64);
            test_snapshot before = test_snap(&pkt);
            int32_t status = encap(&e, &pkt);
            ck_assert_status(status, room < headroom + 8 ? TUNNELCAP_E_HEADROOM : TUNNELCAP_OK);
            if (status != TUNNELCAP_OK)
                test_unchanged(&before, &pkt);
            else
                free(before.bytes);
            test_pkt_free(&pkt);
        }
        close_ends(&e);
    }
}
END_TEST

START_TEST(what_is_no_limit_counts_for_none)
{
    static const struct {
        uint8_t options[14];
        uint32_t len;
        uint8_t before;
    } rows[] = {
        {{1, 4, 0, 0, 0, 0}, 6, 0},          /* padding */
        {{0, 0, 0, 0, 0, 0}, 6, 0},          /* single bytes of it */
        {{4, 2, 0, 0, 1, 0}, 6, 0},          /* of a wrong length */
        {{4, 0, 0, 0, 0, 0}, 6, 0},          /* of none */
        {{1, 1, 0, 4, 1, 0}, 6, 0},          /* one, behind padding of three bytes */
        {{1, 9, 4, 1, 0, 0}, 6, 0},          /* behind an option that is too long */
        {{0, 0, 0, 0, 0, 4}, 6, 0},          /* cut off: type */
        {{0, 0, 0, 0, 4, 1}, 6, 0},          /* cut off: length */
        {{0x1e, 4, 4, 1, 0, 0, 1, 6}, 14, 0} /* inside another option */
    };
    tunnelcap_outer policy = policy_of(1);
    ends e;
    open_ends(&e, IPIP, &policy, 0);
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        limited_packet(rows[i].options, rows[i].len, rows[i].before);
        tunnelcap_pkt pkt = test_esp_pkt(&frame);
        bool is_one = i == 4;
        ck_assert_uint_eq(tunnelcap_outer_limit_at(&pkt), is_one ? 47 : 0);
        ck_assert_status(encap(&e, &pkt), is_one ? TUNNELCAP_E_ENCAP_LIMIT : TUNNELCAP_OK);
        test_pkt_free(&pkt);
    }
    close_ends(&e);
}
END_TEST

START_TEST(the_limit_is_looked_for_within_the_packet_only)
{
    static const uint8_t options[6] = {4, 1, 0, 1, 1, 0};
    limited_packet(options, sizeof(options), 43);
    for (uint32_t len = 0; len < frame.len; len++) {
        tunnelcap_pkt pkt = test_pkt(frame.bytes, len, 0);
        ck_assert_uint_eq(tunnelcap_outer_limit_at(&pkt), len < 56 ? 0 : 52);
        test_pkt_free(&pkt);
    }
    tunnelcap_pkt bad = {frame.bytes, 10, 11, 0, 0, NULL};
    ck_assert_uint_eq(tunnelcap_outer_limit_at(&bad), 0);
    ck_assert_uint_eq(tunnelcap_outer_limit_at(NULL), 0);
    test_ip ip = inner_ip(0, 0, 64);
    test_udp_packet(&frame, &ip, 30);
    tunnelcap_pkt four = test_esp_pkt(&frame);
    ck_assert_uint_eq(tunnelcap_outer_limit_at(&four), 0);
    test_pkt_free(&four);
}
END_TEST

START_TEST(the_table_heeds_the_limit_before_it_changes_anything)
{
    static const uint8_t mss[4] = {2, 4, 5, 180}; /* 1460: to be clamped */
    static const uint32_t l3_lens[] = {0, 48, 40};
    tunnelcap_table *table = test_table_new(1, 1, 1);
    tunnelcap_lane *lane = test_table_lane(table);
    tunnelcap_gre_config gre = test_gre_config(near_ends[1], far_ends[1], 0);
    tunnelcap_route route = test_route("::/0", 7);
    test_ok(tunnelcap_table_begin(table));
    test_ok(tunnelcap_table_set_gre(table, 7, NULL, &gre));
    test_ok(tunnelcap_table_set_route(table, &route));
    test_ok(tunnelcap_table_commit(table, NULL));
    for (uint8_t limit = 0; limit < 3; limit++) {
        const uint8_t options[6] = {(uint8_t)(limit < 2 ? 4 : 1), 1, limit, 1, 1, 0};
        test_ip ip = inner_ip(1, 0, 64);
        tunnelcap_result result;
        test_payload(&frame, 0);
        test_push_tcp(&frame, &ip, TEST_TCP_SYN, mss, sizeof(mss));
        test_push_ext(&frame, 6, options, sizeof(options));
        test_push_ip(&frame, &ip, 60);
        for (uint32_t room = 44; room <= 52; room += 4) {
            tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, room);
            test_snapshot before = test_snap(&pkt);
            int32_t want = limit == 0                ? TUNNELCAP_E_ENCAP_LIMIT
                           : limit == 1 && room < 52 ? TUNNELCAP_E_HEADROOM
                                                     : TUNNELCAP_OK;
            ck_assert_status(test_table_one(lane, TUNNELCAP_ENCAP, &pkt, NULL, &result), want);
            if (want != TUNNELCAP_OK) {
                ck_assert_uint_eq(result.action, TUNNELCAP_DO_DROP);
                test_unchanged(&before, &pkt);
            } else {
                free(before.bytes);
                ck_assert_uint_eq(result.l3_len, l3_lens[limit]);
                ck_assert_uint_eq(result.flags, TUNNELCAP_RESULT_CLAMPED);
            }
            test_pkt_free(&pkt);
        }
    }
    test_table_end(table, lane);
}
END_TEST

START_TEST(a_table_answers_a_used_up_limit_with_a_parameter_problem)
{
    static const uint8_t used_up[6] = {1, 0, 4, 1, 0, 0};
    tunnelcap_table *table = test_table_new(1, 1, 1);
    tunnelcap_lane *lane = test_table_lane(table);
    tunnelcap_gre_config gre = test_gre_config(near_ends[1], far_ends[1], 0);
    tunnelcap_route route = test_route("::/0", 7);
    tunnelcap_tunnel tunnel;
    tunnelcap_result result;
    test_ok(tunnelcap_tunnel_init(&tunnel, sizeof(tunnel)));
    tunnel.interface6 = test_addr("fd00:ffff::1");
    test_ok(tunnelcap_table_begin(table));
    test_ok(tunnelcap_table_set_gre(table, 7, &tunnel, &gre));
    test_ok(tunnelcap_table_set_route(table, &route));
    test_ok(tunnelcap_table_commit(table, NULL));
    limited_packet(used_up, sizeof(used_up), 0);
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 64);
    ck_assert_status(test_table_one(lane, TUNNELCAP_ENCAP, &pkt, NULL, &result),
                     TUNNELCAP_E_ENCAP_LIMIT);
    ck_assert_uint_eq(result.action, TUNNELCAP_DO_REPLY);
    const uint8_t *p = pkt.buf + pkt.off;
    ck_assert_uint_eq(p[6], 58);
    ck_assert_uint_eq(p[40], 4); /* Parameter Problem */
    ck_assert_uint_eq(p[41], 0); /* erroneous header field */
    ck_assert_uint_eq(test_load32(p + 44), 46);
    ck_assert_uint_eq(p[48 + 46], 0); /* it points at the limit */
    ck_assert_mem_eq(p + 48, frame.bytes, frame.len);
    test_pkt_free(&pkt);
    test_table_end(table, lane);
}
END_TEST

Suite *test_outer_marks_suite(void)
{
    const TTest *tests[] = {
        ecn_of_outer_headers_is_figure_3_of_rfc_6040,
        all_16_cells_of_decapsulation_are_figure_4_of_rfc_6040,
        dscp_goes_in_and_out_as_rfc_2983_says,
        uniform_ttl_goes_in_and_the_smaller_comes_out,
        payloads_without_ip_have_the_configured_ttl,
        a_ttl_that_a_socket_reports_counts_and_an_unknown_one_does_not,
        df_is_set_by_gre_and_copied_by_ipip_and_esp,
        the_limit_of_an_inner_packet_goes_down_by_one,
        a_packet_whose_limit_is_used_up_enters_no_tunnel_over_ipv6,
        a_loop_of_tunnels_ends_with_the_limit,
        a_limit_of_its_own_takes_eight_bytes_of_headroom_more,
        what_is_no_limit_counts_for_none,
        the_limit_is_looked_for_within_the_packet_only,
        the_table_heeds_the_limit_before_it_changes_anything,
        a_table_answers_a_used_up_limit_with_a_parameter_problem,
    };
    return test_suite("outer_marks", tests, TEST_COUNT(tests));
}
