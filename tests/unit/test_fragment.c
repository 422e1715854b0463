/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "fragment_kit.h"

static test_frame frame, joined, whole;

enum { UDP = 17, TCP = 6, HOP_BY_HOP = 0, ROUTING = 43, FRAGMENT = 44, DEST_OPTS = 60, NONE = 59 };
enum { DF = 0x4000, MF = 0x2000, RESERVED = 0x8000 };
enum { CLEAR_DF = TUNNELCAP_FRAGMENT_CLEAR_DF, AS_SOURCE = TUNNELCAP_FRAGMENT_AS_SOURCE };

static test_ip ends4(uint16_t frag)
{
    test_ip ip = test_between("10.1.0.1", "10.2.0.1");
    ip.frag = frag;
    ip.id = 0x1234;
    ip.tos = 0xb9;
    return ip;
}

static test_ip ends6(void)
{
    test_ip ip = test_between("2001:db8:a::1", "2001:db8:b::1");
    ip.tos = 0xb9;
    ip.flow_label = 0x54321;
    return ip;
}

static void udp4(uint16_t frag, uint32_t payload)
{
    test_ip ip = ends4(frag);
    test_udp_packet(&frame, &ip, payload);
}

static void udp6(uint32_t payload)
{
    test_ip ip = ends6();
    test_udp_packet(&frame, &ip, payload);
}

static void options4(uint16_t frag, const void *options, uint32_t options_len, uint32_t payload)
{
    test_ip ip = ends4(frag);
    test_payload(&frame, payload);
    test_push_ip_options(&frame, &ip, UDP, options, options_len);
}

static int32_t split(const tunnelcap_fragment_config *config, kit_set *set)
{
    return kit_split(frame.bytes, frame.len, NULL, config, set);
}

static int32_t refusal(const tunnelcap_meta *meta, const tunnelcap_fragment_config *config)
{
    kit_set set;
    int32_t status = kit_split(frame.bytes, frame.len, meta, config, &set);
    kit_free(&set);
    return status;
}

static kit_place place(const kit_set *set, uint32_t index)
{
    return kit_place_of(kit_bytes(set, index), set->pieces[index].len);
}

/* What came out is what went in. */
static void check_joined(const kit_set *set, bool keep)
{
    kit_join(set, keep, &joined);
    ck_assert_uint_eq(joined.len, frame.len);
    ck_assert_mem_eq(joined.bytes, frame.bytes, frame.len);
}

START_TEST(ipv4_packet_is_cut_at_multiples_of_eight)
{
    tunnelcap_fragment_config config = kit_config(1476, 0, 0);
    kit_set set;
    udp4(0, 3000);
    test_ok(split(&config, &set));
    ck_assert_uint_eq(set.count, 3);
    static const uint32_t lens[] = {1476, 1476, 3028 - 2 * 1456};
    for (uint32_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(set.pieces[i].len, lens[i]);
        ck_assert_uint_eq(place(&set, i).offset, i * 1456);
        ck_assert_uint_eq(place(&set, i).id, 0x1234);
        ck_assert_uint_eq(place(&set, i).more, i < 2);
    }
    check_joined(&set, false);
    kit_free(&set);
}
END_TEST

START_TEST(what_fits_is_handed_out_as_it_is)
{
    kit_set set;
    for (uint32_t family = 4; family <= 6; family += 2) {
        if (family == 4)
            udp4(DF, 500);
        else
            udp6(500);
        tunnelcap_fragment_config config = kit_config(frame.len, 0, 0);
        test_ok(split(&config, &set));
        ck_assert_uint_eq(set.count, 1);
        ck_assert_uint_eq(set.pieces[0].len, frame.len);
        ck_assert_mem_eq(kit_bytes(&set, 0), frame.bytes, frame.len);
        kit_free(&set);
        config.mtu--;
        ck_assert_status(refusal(NULL, &config), TUNNELCAP_E_TOO_BIG);
    }
}
END_TEST

START_TEST(padding_behind_the_packet_is_dropped)
{
    kit_set set;
    for (uint32_t mtu = 100; mtu <= 1500; mtu += 1400) {
        udp4(0, 200);
        uint32_t len = frame.len;
        memset(frame.bytes + len, 0x77, 40);
        frame.len += 40;
        tunnelcap_fragment_config config = kit_config(mtu, 0, 0);
        test_ok(split(&config, &set));
        frame.len = len;
        check_joined(&set, false);
        kit_free(&set);
    }
}
END_TEST

START_TEST(dont_fragment_is_honoured)
{
    tunnelcap_fragment_config config = kit_config(576, AS_SOURCE, 0);
    udp4(DF, 1000);
    ck_assert_status(refusal(NULL, &config), TUNNELCAP_E_TOO_BIG);
}
END_TEST

START_TEST(dont_fragment_is_cleared_with_a_fresh_id_on_demand)
{
    tunnelcap_fragment_config config = kit_config(576, CLEAR_DF, 0xabcdef01);
    kit_set set;
    udp4(DF, 1000);
    test_ok(split(&config, &set));
    ck_assert_uint_eq(set.count, 2);
    for (uint32_t i = 0; i < set.count; i++) {
        ck_assert_uint_eq(test_load16(kit_bytes(&set, i) + 6) & DF, 0);
        ck_assert_uint_eq(place(&set, i).id, 0xef01);
    }
    kit_free(&set);

    /* What others may fragment has an ID that is unique already. */
    udp4(0, 1000);
    test_ok(split(&config, &set));
    ck_assert_uint_eq(place(&set, 0).id, 0x1234);
    check_joined(&set, false);
    kit_free(&set);

    /* A fragment shares its ID with others, whatever its DF says. */
    options4(DF | MF | 10, NULL, 0, 1000);
    test_ok(split(&config, &set));
    ck_assert_uint_eq(place(&set, 0).id, 0x1234);
    ck_assert_uint_eq(test_load16(kit_bytes(&set, 0) + 6) & DF, 0);
    kit_free(&set);

    /* What fits keeps its DF. */
    udp4(DF, 500);
    test_ok(split(&config, &set));
    ck_assert_mem_eq(kit_bytes(&set, 0), frame.bytes, frame.len);
    kit_free(&set);
}
END_TEST

START_TEST(fragment_is_split_further)
{
    static const uint16_t frags[] = {MF, MF | 100, 100, RESERVED | MF | 8000};
    tunnelcap_fragment_config config = kit_config(100, 0, 99);
    kit_set set;
    for (uint32_t i = 0; i < TEST_COUNT(frags); i++) {
        options4(frags[i], NULL, 0, frags[i] & MF ? 480 : 483);
        test_ok(split(&config, &set));
        ck_assert_uint_eq(set.count, frags[i] & MF ? 6 : 7);
        ck_assert_uint_eq(place(&set, 0).offset, (frags[i] & 0x1fffu) * 8);
        ck_assert_uint_eq(place(&set, set.count - 1).more, (frags[i] & MF) != 0);
        ck_assert_uint_eq(test_load16(kit_bytes(&set, 3) + 6) & RESERVED, frags[i] & RESERVED);
        check_joined(&set, false);
        kit_free(&set);
    }
}
END_TEST

START_TEST(impossible_fragment_is_malformed)
{
    tunnelcap_fragment_config config = kit_config(1500, 0, 0);
    kit_set set;
    options4(MF | 10, NULL, 0, 479);
    ck_assert_status(refusal(NULL, &config), TUNNELCAP_E_MALFORMED);
    options4(8189, NULL, 0, 3); /* 65512 + 3 + 20 = 65535 */
    test_ok(split(&config, &set));
    kit_free(&set);
    options4(8189, NULL, 0, 4);
    ck_assert_status(refusal(NULL, &config), TUNNELCAP_E_MALFORMED);
}
END_TEST

START_TEST(options_go_where_their_copied_flag_says)
{
    /* Record route (7), NOP, loose source route (131), stream ID (136), timestamp (68), end. */
    static const uint8_t options[] = {7, 7,   4, 10, 0, 0,  1, 1, 131, 7, 4, 10, 9, 9,
                                      9, 136, 4, 0,  1, 68, 8, 5, 0,   0, 0, 0,  0, 0};
    static const uint8_t copied[] = {131, 7, 4, 10, 9, 9, 9, 136, 4, 0, 1, 0};
    tunnelcap_fragment_config config = kit_config(200, 0, 0);
    kit_set set;
    options4(0, options, sizeof(options), 600);
    test_ok(split(&config, &set));
    ck_assert_uint_eq(set.count, 4);
    ck_assert_mem_eq(kit_bytes(&set, 0) + 20, options, sizeof(options));
    ck_assert_uint_eq(place(&set, 0).header, 48);
    ck_assert_uint_eq(place(&set, 0).payload, 152);
    for (uint32_t i = 1; i < set.count; i++) {
        ck_assert_uint_eq(place(&set, i).header, 32);
        ck_assert_mem_eq(kit_bytes(&set, i) + 20, copied, sizeof(copied));
        ck_assert_uint_eq(place(&set, i).payload, i < 3 ? 168 : 600 - 152 - 2 * 168);
    }
    check_joined(&set, false);
    kit_free(&set);
}
END_TEST

START_TEST(header_is_replaced_even_where_its_length_stays)
{
    static const uint8_t options[] = {7, 3, 4, 148, 4, 0, 0, 1}; /* 3 bytes give way to padding */
    static const uint8_t copied[] = {148, 4, 0, 0};
    tunnelcap_fragment_config config = kit_config(100, 0, 0);
    kit_set set;
    options4(0, options, sizeof(options), 100);
    test_ok(split(&config, &set));
    ck_assert_uint_eq(set.count, 2);
    ck_assert_uint_eq(place(&set, 1).header, 24);
    ck_assert_mem_eq(kit_bytes(&set, 1) + 20, copied, sizeof(copied));
    kit_free(&set);

    static const uint8_t tight[] = {7, 3, 4, 148, 5, 0, 0, 0}; /* 5 bytes and 3 of padding */
    static const uint8_t tight_copied[] = {148, 5, 0, 0, 0, 0, 0, 0};
    options4(0, tight, sizeof(tight), 100);
    test_ok(split(&config, &set));
    ck_assert_uint_eq(place(&set, 1).header, 28);
    ck_assert_mem_eq(kit_bytes(&set, 1) + 20, tight_copied, sizeof(tight_copied));
    kit_free(&set);
}
END_TEST

START_TEST(malformed_options_are_refused)
{
    static const uint8_t bad[][4] = {{7, 0, 0, 0}, {7, 1, 0, 0}, {131, 5, 4, 0}, {1, 1, 1, 7}};
    tunnelcap_fragment_config config = kit_config(1500, 0, 0);
    for (uint32_t i = 0; i < TEST_COUNT(bad); i++) {
        options4(0, bad[i], 4, 100);
        ck_assert_status(refusal(NULL, &config), TUNNELCAP_E_MALFORMED);
    }
    static const uint8_t hidden[] = {1, 0, 7, 0}; /* what follows the end is no option */
    options4(0, hidden, 4, 100);
    ck_assert_status(refusal(NULL, &config), TUNNELCAP_OK);
}
END_TEST

START_TEST(longest_header_leaves_eight_bytes_at_the_smallest_mtu)
{
    uint8_t options[40];
    memset(options, 1, sizeof(options));
    tunnelcap_fragment_config config = kit_config(TUNNELCAP_FRAGMENT_MTU4_MIN, 0, 0);
    kit_set set;
    options4(0, options, sizeof(options), 100);
    test_ok(split(&config, &set));
    ck_assert_uint_eq(place(&set, 0).payload, 8);
    ck_assert_uint_eq(place(&set, 1).payload, 48);
    ck_assert_uint_eq(set.count, 3);
    kit_free(&set);
    config.mtu--;
    ck_assert_status(refusal(NULL, &config), TUNNELCAP_E_RANGE);
}
END_TEST

START_TEST(wrong_header_checksum_is_not_made_right)
{
    tunnelcap_fragment_config config = kit_config(576, 0, 0);
    udp4(0, 1000);
    frame.bytes[8]--;
    ck_assert_status(refusal(NULL, &config), TUNNELCAP_E_CHECKSUM);
    config.mtu = 1500;
    ck_assert_status(refusal(NULL, &config), TUNNELCAP_E_CHECKSUM);
    static const uint8_t options[4] = {1, 1, 1, 0};
    options4(0, options, 4, 1000);
    frame.bytes[20] = 0;
    ck_assert_status(refusal(NULL, &config), TUNNELCAP_E_CHECKSUM);
}
END_TEST

START_TEST(ipv6_is_left_to_its_source)
{
    tunnelcap_fragment_config config = kit_config(1280, CLEAR_DF, 0xdeadbeef);
    kit_set set;
    udp6(3000);
    ck_assert_status(refusal(NULL, &config), TUNNELCAP_E_TOO_BIG);
    config.flags = AS_SOURCE;
    test_ok(split(&config, &set));
    ck_assert_uint_eq(set.count, 3);
    for (uint32_t i = 0; i < set.count; i++) {
        const uint8_t *p = kit_bytes(&set, i);
        ck_assert_uint_eq(p[6], FRAGMENT);
        ck_assert_uint_eq(p[40], UDP);
        ck_assert_uint_eq(p[41], 0);
        ck_assert_uint_eq(p[43] & 6, 0);
        ck_assert_uint_eq(place(&set, i).id, 0xdeadbeef);
        ck_assert_uint_eq(place(&set, i).offset, i * 1232);
    }
    check_joined(&set, false);
    kit_free(&set);
    config.mtu = 1279;
    ck_assert_status(refusal(NULL, &config), TUNNELCAP_E_RANGE);
    udp6(1000);
    ck_assert_status(refusal(NULL, &config), TUNNELCAP_OK);
}
END_TEST

START_TEST(headers_up_to_the_routing_header_are_in_each_fragment)
{
    static const uint8_t six[6] = {1, 4, 0, 0, 0, 0}, stop[6] = {4, 1, 0, 0, 0, 0};
    static const struct {
        uint8_t chain[5]; /* outermost first; 255 ends it */
        uint32_t each;    /* bytes of them in each fragment */
    } cases[] = {
        {{HOP_BY_HOP, 255}, 8},
        {{DEST_OPTS, 255}, 0},
        {{ROUTING, 255}, 8},
        {{HOP_BY_HOP, DEST_OPTS, 255}, 8},
        {{DEST_OPTS, ROUTING, DEST_OPTS, 255}, 16},
        {{HOP_BY_HOP, DEST_OPTS, ROUTING, DEST_OPTS, 255}, 24},
    };
    tunnelcap_fragment_config config = kit_config(1280, AS_SOURCE, 7);
    test_ip ip = ends6();
    kit_set set;
    for (uint32_t i = 0; i < TEST_COUNT(cases); i++) {
        uint32_t count = 0;
        uint8_t next = UDP;
        test_payload(&frame, 3000);
        test_push_udp(&frame, &ip, 5, 6);
        while (count < 5 && cases[i].chain[count] != 255)
            count++;
        for (uint32_t j = count; j > 0; j--) {
            test_push_ext(&frame, next, cases[i].chain[j - 1] == ROUTING ? stop : six, 6);
            next = cases[i].chain[j - 1];
        }
        test_push_ip(&frame, &ip, next);
        test_ok(split(&config, &set));
        for (uint32_t j = 0; j < set.count; j++)
            ck_assert_uint_eq(place(&set, j).header, 48 + cases[i].each);
        check_joined(&set, false);
        kit_free(&set);
    }
}
END_TEST

/* An IPv6 packet with a Fragment header. */
static void fragment6(uint16_t bits, uint32_t payload)
{
    uint8_t content[6] = {0, 0, 0xca, 0xfe, 0xba, 0xbe};
    test_ip ip = ends6();
    test_payload(&frame, payload);
    test_store16(content, bits);
    test_push_ext(&frame, UDP, content, sizeof(content));
    test_push_ip(&frame, &ip, FRAGMENT);
}

START_TEST(ipv6_fragment_is_split_further)
{
    static const uint16_t bits[] = {0, 1, 0x0101, 0x0100};
    tunnelcap_fragment_config config = kit_config(1280, AS_SOURCE, 7);
    kit_set set;
    for (uint32_t i = 0; i < TEST_COUNT(bits); i++) {
        fragment6(bits[i], bits[i] & 1 ? 4000 : 4001);
        test_ok(split(&config, &set));
        ck_assert_uint_eq(set.count, 4);
        ck_assert_uint_eq(place(&set, 0).id, 0xcafebabe);
        ck_assert_uint_eq(place(&set, 3).more, bits[i] & 1);
        check_joined(&set, true);
        kit_free(&set);
    }
    fragment6(0x0101, 4001);
    ck_assert_status(refusal(NULL, &config), TUNNELCAP_E_MALFORMED);
    fragment6(0xff00, 255);
    ck_assert_status(refusal(NULL, &config), TUNNELCAP_OK);
    fragment6(0xff00, 256);
    ck_assert_status(refusal(NULL, &config), TUNNELCAP_E_MALFORMED);
}
END_TEST

START_TEST(header_chain_must_fit_the_first_fragment)
{
    static uint8_t content[1174];
    tunnelcap_fragment_config config = kit_config(1280, AS_SOURCE, 7);
    test_ip ip = ends6();
    /* 1280 - 48 = 1232 bytes: 1168 of options leave 64, 1176 leave 56, and 60 are asked for. */
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t len = i & 1 ? 1174 : 1166;
        test_payload(&frame, 2000);
        test_push_ext(&frame, TCP, content, len);
        test_push_ip(&frame, &ip, i & 2 ? HOP_BY_HOP : DEST_OPTS);
        ck_assert_status(refusal(NULL, &config), i & 1 ? TUNNELCAP_E_TOO_BIG : TUNNELCAP_OK);
    }
}
END_TEST

START_TEST(headers_of_each_fragment_must_leave_room_for_eight_bytes)
{
    static uint8_t content[1230];
    tunnelcap_fragment_config config = kit_config(1280, AS_SOURCE, 7);
    test_ip ip = ends6();
    kit_set set;
    for (uint32_t len = 1214; len <= 1230; len += 8) {
        uint8_t fragment[6] = {0x10, 1, 0, 0, 0, 9};
        test_payload(&frame, 80);
        test_push_ext(&frame, TCP, fragment, sizeof(fragment));
        test_push_ext(&frame, FRAGMENT, content, len);
        test_push_ip(&frame, &ip, HOP_BY_HOP);
        int32_t status = split(&config, &set); /* no first one: no chain to be kept together */
        ck_assert_status(status, len <= 1222 ? TUNNELCAP_OK : TUNNELCAP_E_TOO_BIG);
        if (status == TUNNELCAP_OK)
            check_joined(&set, true);
        kit_free(&set);
    }
}
END_TEST

/* Make the checksum of the frame's UDP or TCP header unfinished, as a kernel hands it out. */
static tunnelcap_meta unfinish(const test_ip *ip, uint32_t l4, uint8_t protocol, uint16_t offset)
{
    tunnelcap_meta meta = {
        .flags = TUNNELCAP_META_CSUM_PARTIAL, .csum_start = (uint16_t)l4, .csum_offset = offset};
    test_store16(frame.bytes + l4 + offset, test_pseudo(ip, protocol, frame.len - l4));
    return meta;
}

START_TEST(unfinished_checksum_is_finished_in_the_first_fragment)
{
    kit_set set;
    for (uint32_t family = 4; family <= 6; family += 2) {
        test_ip ip = family == 4 ? ends4(0) : ends6();
        for (uint32_t size = 900; size <= 4001; size += 3101) { /* one, and several */
            test_udp_packet(&frame, &ip, size);
            whole = frame;
            uint32_t l4 = family == 4 ? 20 : 40;
            tunnelcap_meta meta = unfinish(&ip, l4, UDP, 6);
            memset(frame.bytes + frame.len, 0x99, 3); /* padding does not count */
            tunnelcap_fragment_config config = kit_config(1280, AS_SOURCE, 7);
            test_ok(kit_split(frame.bytes, frame.len + 3, &meta, &config, &set));
            ck_assert_uint_eq(set.count, size == 900 ? 1 : 4);
            frame = whole;
            if (set.count > 1)
                check_joined(&set, false);
            else
                ck_assert_mem_eq(kit_bytes(&set, 0), whole.bytes, whole.len);
            kit_free(&set);
        }
    }
}
END_TEST

START_TEST(unfinished_checksum_may_lie_in_any_fragment_or_in_two)
{
    tunnelcap_fragment_config config = kit_config(100, 0, 0);
    kit_set set;
    for (uint16_t offset = 0; offset < 300; offset++) {
        tunnelcap_meta meta = {
            .flags = TUNNELCAP_META_CSUM_PARTIAL, .csum_start = 20, .csum_offset = offset};
        options4(0, NULL, 0, 302);
        whole = frame;
        uint32_t sum = (uint16_t)~test_sum(0, frame.bytes + 20, 302);
        test_store16(whole.bytes + 20 + offset, sum == 0 ? 0xffff : sum);
        test_ok(kit_split(frame.bytes, frame.len, &meta, &config, &set));
        frame = whole;
        check_joined(&set, false);
        kit_free(&set);
    }
}
END_TEST

START_TEST(zero_checksum_is_stored_as_all_ones)
{
    tunnelcap_fragment_config config = kit_config(100, 0, 0);
    tunnelcap_meta meta = {.flags = TUNNELCAP_META_CSUM_PARTIAL, .csum_start = 20};
    kit_set set;
    options4(0, NULL, 0, 200);
    memset(frame.bytes + 20, 0xff, 2);
    memset(frame.bytes + 22, 0, 198);
    test_ok(kit_split(frame.bytes, frame.len, &meta, &config, &set));
    ck_assert_uint_eq(test_load16(kit_bytes(&set, 0) + 20), 0xffff);
    kit_free(&set);
}
END_TEST

START_TEST(impossible_unfinished_checksum_is_invalid)
{
    tunnelcap_fragment_config config = kit_config(1500, 0, 0);
    tunnelcap_meta meta = {.flags = TUNNELCAP_META_CSUM_PARTIAL};
    udp4(0, 100); /* 128 bytes */
    frame.len += 8;
    meta.csum_start = 19;
    ck_assert_status(refusal(&meta, &config), TUNNELCAP_E_INVALID);
    meta.csum_start = 20;
    meta.csum_offset = 106;
    ck_assert_status(refusal(&meta, &config), TUNNELCAP_OK);
    meta.csum_offset = 107; /* there is padding, but no payload */
    ck_assert_status(refusal(&meta, &config), TUNNELCAP_E_INVALID);
    meta.csum_start = meta.csum_offset = 0xffff;
    ck_assert_status(refusal(&meta, &config), TUNNELCAP_E_INVALID);
    options4(MF, NULL, 0, 104);
    meta.csum_start = 20;
    meta.csum_offset = 6;
    ck_assert_status(refusal(&meta, &config), TUNNELCAP_E_INVALID);
}
END_TEST

START_TEST(meta_says_what_the_packet_is)
{
    tunnelcap_fragment_config config = kit_config(1500, 0, 0);
    tunnelcap_meta meta = {.ethertype = TUNNELCAP_ETHERTYPE_IPV4, .at = 2, .vrf = 9};
    udp4(0, 100);
    ck_assert_status(refusal(&meta, &config), TUNNELCAP_OK);
    meta.ethertype = TUNNELCAP_ETHERTYPE_IPV6;
    ck_assert_status(refusal(&meta, &config), TUNNELCAP_E_MALFORMED);
    meta.ethertype = TUNNELCAP_ETHERTYPE_MPLS;
    ck_assert_status(refusal(&meta, &config), TUNNELCAP_E_PROTOCOL);
    udp6(100);
    meta.ethertype = TUNNELCAP_ETHERTYPE_IPV4;
    ck_assert_status(refusal(&meta, &config), TUNNELCAP_E_MALFORMED);
    meta.ethertype = TUNNELCAP_ETHERTYPE_IPV6;
    ck_assert_status(refusal(&meta, &config), TUNNELCAP_OK);
}
END_TEST

START_TEST(gso_packet_is_not_for_fragmentation)
{
    tunnelcap_fragment_config config = kit_config(1500, 0, 0);
    tunnelcap_meta meta = {.gso_type = TUNNELCAP_GSO_TCP4, .gso_size = 100};
    udp4(DF, 3000);
    ck_assert_status(refusal(&meta, &config), TUNNELCAP_E_UNSUPPORTED);
    meta.gso_type = 0;
    ck_assert_status(refusal(&meta, &config), TUNNELCAP_E_UNSUPPORTED);
}
END_TEST

static int32_t feed(void *arg, tunnelcap_pkt *pkt)
{
    tunnelcap_fragments it;
    int32_t status = tunnelcap_fragment_begin(&it, pkt, NULL, arg);
    while (status == TUNNELCAP_OK && tunnelcap_fragment_count(&it) != 0) {
        tunnelcap_pkt out = {NULL, tunnelcap_fragment_len(&it), 0, 0, 0, NULL};
        out.buf = calloc(1, out.cap);
        status = tunnelcap_fragment_next(&it, &out);
        free(out.buf);
    }
    return status;
}

START_TEST(every_truncation_is_told_and_every_flip_survived)
{
    static const uint8_t options[] = {7, 7, 4, 10, 0, 0, 1, 131, 7, 4, 10, 9, 9, 9, 0, 0};
    static const uint8_t six[6] = {1, 4, 0, 0, 0, 0};
    tunnelcap_fragment_config config = kit_config(68, CLEAR_DF | AS_SOURCE, 5);
    test_ip ip = ends6();
    udp4(0, 200);
    test_truncation(frame.bytes, frame.len, TUNNELCAP_E_TRUNCATED, feed, &config);
    ck_assert_uint_gt(test_flips(frame.bytes, frame.len, 0, feed, &config), 0);
    options4(0, options, sizeof(options), 200);
    test_truncation(frame.bytes, frame.len, TUNNELCAP_E_TRUNCATED, feed, &config);
    ck_assert_uint_gt(test_flips(frame.bytes, frame.len, 0, feed, &config), 0);

    config.mtu = 1280;
    test_payload(&frame, 1400);
    test_push_udp(&frame, &ip, 5, 6);
    test_push_ext(&frame, UDP, six, 6);
    test_push_ext(&frame, DEST_OPTS, six, 6);
    test_push_ip(&frame, &ip, HOP_BY_HOP);
    test_truncation(frame.bytes, frame.len, TUNNELCAP_E_TRUNCATED, feed, &config);
    ck_assert_uint_gt(test_flips(frame.bytes, frame.len, 0, feed, &config), 0);
    fragment6(0x0101, 1400);
    test_truncation(frame.bytes, frame.len, TUNNELCAP_E_TRUNCATED, feed, &config);
}
END_TEST

START_TEST(what_is_no_ip_is_malformed)
{
    tunnelcap_fragment_config config = kit_config(1500, 0, 0);
    for (unsigned version = 0; version < 16; version++) {
        if (version == 4 || version == 6)
            continue;
        udp4(0, 100);
        frame.bytes[0] = (uint8_t)(version << 4 | 5);
        ck_assert_status(refusal(NULL, &config), TUNNELCAP_E_MALFORMED);
    }
}
END_TEST

START_TEST(arguments_are_checked)
{
    tunnelcap_fragment_config config = kit_config(1500, 0, 0);
    tunnelcap_fragments it, none;
    memset(&it, 0, sizeof(it));
    none = it;
    udp4(0, 100);
    tunnelcap_pkt pkt = test_pkt(frame.bytes, frame.len, 0);
    tunnelcap_pkt outside = pkt;
    outside.len++;
    ck_assert_status(tunnelcap_fragment_begin(NULL, &pkt, NULL, &config), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_fragment_begin(&it, NULL, NULL, &config), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_fragment_begin(&it, &outside, NULL, &config), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_fragment_begin(&it, &pkt, NULL, NULL), TUNNELCAP_E_INVALID);
    config.flags = 4;
    ck_assert_status(tunnelcap_fragment_begin(&it, &pkt, NULL, &config), TUNNELCAP_E_FLAGS);
    config.flags = 0;
    config.mtu = 67;
    ck_assert_status(tunnelcap_fragment_begin(&it, &pkt, NULL, &config), TUNNELCAP_E_RANGE);
    config.mtu = 1500;
    config.size--;
    ck_assert_status(tunnelcap_fragment_begin(&it, &pkt, NULL, &config), TUNNELCAP_E_VERSION);
    ck_assert_mem_eq(&it, &none, sizeof(it));

    /* All zero is an iterator at its end. */
    tunnelcap_pkt out = test_pkt(frame.bytes, frame.len, 4);
    ck_assert_uint_eq(tunnelcap_fragment_count(&it), 0);
    ck_assert_uint_eq(tunnelcap_fragment_len(&it), 0);
    ck_assert_uint_eq(tunnelcap_fragment_count(NULL), 0);
    ck_assert_uint_eq(tunnelcap_fragment_len(NULL), 0);
    ck_assert_status(tunnelcap_fragment_next(&it, &out), TUNNELCAP_E_NOT_FOUND);
    config.size++;
    test_ok(tunnelcap_fragment_begin(&it, &pkt, NULL, &config));
    none = it;
    ck_assert_status(tunnelcap_fragment_next(&it, NULL), TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_fragment_next(NULL, &out), TUNNELCAP_E_INVALID);
    outside = out;
    outside.off = out.cap + 1;
    ck_assert_status(tunnelcap_fragment_next(&it, &outside), TUNNELCAP_E_INVALID);
    ck_assert_status(outside.status, TUNNELCAP_E_INVALID);
    outside = out;
    outside.buf = NULL;
    ck_assert_status(tunnelcap_fragment_next(&it, &outside), TUNNELCAP_E_INVALID);
    ck_assert_mem_eq(&it, &none, sizeof(it));
    test_pkt_free(&pkt);
    test_pkt_free(&out);
}
END_TEST

START_TEST(config_is_filled_with_defaults)
{
    tunnelcap_fragment_config config;
    test_ok(tunnelcap_fragment_config_init(&config, sizeof(config), 1476));
    ck_assert_uint_eq(config.size, sizeof(config));
    ck_assert_uint_eq(config.flags, 0);
    ck_assert_uint_eq(config.mtu, 1476);
    ck_assert_uint_eq(config.id, 0);
    ck_assert_status(tunnelcap_fragment_config_init(NULL, sizeof(config), 1476),
                     TUNNELCAP_E_INVALID);
    ck_assert_status(tunnelcap_fragment_config_init(&config, sizeof(config) - 1, 1476),
                     TUNNELCAP_E_VERSION);
}
END_TEST

Suite *test_fragment_suite(void)
{
    const TTest *tests[] = {
        ipv4_packet_is_cut_at_multiples_of_eight,
        what_fits_is_handed_out_as_it_is,
        padding_behind_the_packet_is_dropped,
        dont_fragment_is_honoured,
        dont_fragment_is_cleared_with_a_fresh_id_on_demand,
        fragment_is_split_further,
        impossible_fragment_is_malformed,
        options_go_where_their_copied_flag_says,
        header_is_replaced_even_where_its_length_stays,
        malformed_options_are_refused,
        longest_header_leaves_eight_bytes_at_the_smallest_mtu,
        wrong_header_checksum_is_not_made_right,
        ipv6_is_left_to_its_source,
        headers_up_to_the_routing_header_are_in_each_fragment,
        ipv6_fragment_is_split_further,
        header_chain_must_fit_the_first_fragment,
        headers_of_each_fragment_must_leave_room_for_eight_bytes,
        unfinished_checksum_is_finished_in_the_first_fragment,
        unfinished_checksum_may_lie_in_any_fragment_or_in_two,
        zero_checksum_is_stored_as_all_ones,
        impossible_unfinished_checksum_is_invalid,
        meta_says_what_the_packet_is,
        gso_packet_is_not_for_fragmentation,
        every_truncation_is_told_and_every_flip_survived,
        what_is_no_ip_is_malformed,
        arguments_are_checked,
        config_is_filled_with_defaults,
    };
    return test_suite("fragment", tests, TEST_COUNT(tests));
}
