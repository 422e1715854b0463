/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Records of packets picked at random: what they say, and that they stand for all packets. */
#include "table_link.h"

#include "sample.h"

enum { SECOND = 1000000000, RING = 4096 };

static table_link link_;
static tunnelcap_tunnel policies[2];
static world_call call;
static tunnelcap_sample samples[RING];

/* Give the near end a lane that picks 1 in `rate`. */
static void sampling_lane(uint32_t slots, uint32_t rate, uint32_t target)
{
    tunnelcap_lane_config config;
    test_ok(tunnelcap_lane_config_init(&config, sizeof(config)));
    config.samples = slots;
    config.sample_rate = rate;
    config.sample_target = target;
    config.max_burst = 8;
    test_ok(tunnelcap_table_detach(link_.tables[0], link_.lanes[0]));
    tunnelcap_lane_free(link_.lanes[0]);
    link_.lanes[0] = NULL;
    test_ok(
        tunnelcap_lane_new(&config, test_seed, &link_.toy.crypto, test_alloc(), &link_.lanes[0]));
    test_ok(tunnelcap_table_attach(link_.tables[0], link_.lanes[0]));
}

static void open_link(uint32_t kind, uint32_t rate)
{
    table_link_policies(policies);
    table_link_open(&link_, kind, policies);
    sampling_lane(RING, rate, 0);
}

/* The only record that waits. */
static tunnelcap_sample only_sample(void)
{
    static const uint8_t none[6];
    uint64_t lost = 9;
    ck_assert_uint_eq(tunnelcap_lane_samples(link_.lanes[0], samples, RING, &lost), 1);
    ck_assert_uint_eq(lost, 0);
    ck_assert_mem_eq(samples[0].reserved, none, sizeof(none));
    return samples[0];
}

static void check_ends(const tunnelcap_sample *s, const char *src, const char *dst)
{
    tunnelcap_addr a = test_addr(src), b = test_addr(dst);
    ck_assert_uint_eq(s->family, a.family);
    ck_assert_mem_eq(s->src, a.bytes, 16);
    ck_assert_mem_eq(s->dst, b.bytes, 16);
}

/* Send world_frame one way; the packet is kept in *pkt. */
static tunnelcap_result carry(uint32_t end, uint32_t direction, tunnelcap_pkt *pkt)
{
    tunnelcap_result result;
    *pkt = test_pkt_room(world_frame.bytes, world_frame.len, 80, 64);
    test_table_one(link_.lanes[end], direction, pkt, NULL, &result);
    return result;
}

START_TEST(record_tells_what_went_into_a_tunnel_of_any_kind)
{
    for (uint32_t kind = 0; kind < LINK_KINDS; kind++) {
        open_link(kind, 1);
        for (uint32_t six = 0; six < 2; six++) {
            tunnelcap_pkt pkt;
            test_ip ip = six ? test_between("2001:db8:f::9", "fd00:1::9")
                             : test_between("203.0.113.9", "10.1.0.9");
            test_syn_packet(&world_frame, &ip, TEST_TCP_SYN, NULL, 0);
            uint32_t len = world_frame.len;
            tunnelcap_result result = carry(0, TUNNELCAP_ENCAP, &pkt);
            test_ok(result.status);
            tunnelcap_sample s = only_sample();
            check_ends(&s, six ? "2001:db8:f::9" : "203.0.113.9", six ? "fd00:1::9" : "10.1.0.9");
            ck_assert_uint_eq(s.tunnel, LINK_ID);
            ck_assert_uint_eq(s.rate, 1);
            test_ok(s.status);
            ck_assert_uint_eq(s.direction, TUNNELCAP_ENCAP);
            ck_assert_uint_eq(s.action, TUNNELCAP_DO_SEND);
            ck_assert_uint_eq(s.protocol, 6);
            ck_assert_uint_eq(s.tcp_flags, TEST_TCP_SYN);
            ck_assert_uint_eq(s.src_port, test_load16(world_frame.bytes + (six ? 40 : 20)));
            ck_assert_uint_eq(s.dst_port, test_load16(world_frame.bytes + (six ? 42 : 22)));
            ck_assert_uint_eq(s.inner_bytes, len);
            ck_assert_uint_eq(s.outer_bytes, pkt.len);
            ck_assert_uint_eq(s.flags, 0);
            test_pkt_free(&pkt);
        }
        table_link_close(&link_);
    }
}
END_TEST

START_TEST(record_tells_what_came_out_of_a_tunnel_of_any_kind)
{
    for (uint32_t kind = 0; kind < LINK_KINDS; kind++) {
        open_link(kind, 1);
        tunnelcap_result result;
        tunnelcap_pkt pkt;
        table_link_inner(1, TUNNELCAP_IPV4, 333, true);
        test_ok(carry(1, TUNNELCAP_ENCAP, &pkt).status);
        uint32_t outer = pkt.len;
        tunnelcap_burst burst = {.size = sizeof(burst),
                                 .now_ns = 77,
                                 .pkt_count = 1,
                                 .result_cap = 1,
                                 .pkts = &pkt,
                                 .results = &result};
        test_ok(tunnelcap_table_decap(link_.lanes[0], &burst));
        test_ok(result.status);
        tunnelcap_sample s = only_sample();
        check_ends(&s, "10.1.0.9", "203.0.113.9");
        ck_assert_uint_eq(s.now_ns, 77);
        ck_assert_uint_eq(s.tunnel, LINK_ID);
        ck_assert_uint_eq(s.direction, TUNNELCAP_DECAP);
        ck_assert_uint_eq(s.action, TUNNELCAP_DO_DELIVER);
        ck_assert_uint_eq(s.protocol, 17);
        ck_assert_uint_eq(s.inner_bytes, 333);
        ck_assert_uint_eq(s.outer_bytes, outer);
        ck_assert_uint_eq(s.flags, 0);
        test_pkt_free(&pkt);
        table_link_close(&link_);
    }
}
END_TEST

START_TEST(what_is_dropped_is_recorded_with_the_reason)
{
    tunnelcap_pkt pkt;
    open_link(LINK_GRE, 1);
    /* No route. */
    test_ip ip = test_between("203.0.113.9", "192.168.1.1");
    test_udp_packet(&world_frame, &ip, 30);
    carry(0, TUNNELCAP_ENCAP, &pkt);
    test_pkt_free(&pkt);
    tunnelcap_sample s = only_sample();
    ck_assert_status(s.status, TUNNELCAP_E_NO_ROUTE);
    ck_assert_uint_eq(s.action, TUNNELCAP_DO_DROP);
    ck_assert_uint_eq(s.tunnel, 0);
    ck_assert_uint_eq(s.inner_bytes, 58);
    ck_assert_uint_eq(s.outer_bytes, 0);
    check_ends(&s, "203.0.113.9", "192.168.1.1");
    /* No tunnel: all that is known is the outer packet. */
    test_ip outer = test_between("198.51.100.77", "192.0.2.1");
    test_gre gre = {.protocol = 0x0800};
    test_push_gre(&world_frame, &gre);
    test_push_ip(&world_frame, &outer, 47);
    carry(0, TUNNELCAP_DECAP, &pkt);
    test_pkt_free(&pkt);
    s = only_sample();
    ck_assert_status(s.status, TUNNELCAP_E_NO_TUNNEL);
    ck_assert_uint_eq(s.flags, TUNNELCAP_SAMPLE_OUTER);
    ck_assert_uint_eq(s.protocol, 47);
    ck_assert_uint_eq(s.inner_bytes, 0);
    ck_assert_uint_eq(s.outer_bytes, world_frame.len);
    check_ends(&s, "198.51.100.77", "192.0.2.1");
    /* The same from a socket that has taken the IP header off. */
    tunnelcap_meta meta = {
        .src = outer.src, .dst = outer.dst, .at = TUNNELCAP_AT_IP_PAYLOAD, .proto = 47, .ttl = 64};
    tunnelcap_result result;
    pkt = test_pkt_room(world_frame.bytes + 20, world_frame.len - 20, 80, 64);
    test_table_one(link_.lanes[0], TUNNELCAP_DECAP, &pkt, &meta, &result);
    test_pkt_free(&pkt);
    tunnelcap_sample bare = only_sample();
    s.now_ns = bare.now_ns;
    ck_assert_mem_eq(&bare, &s, sizeof(s));
    /* What is no packet at all. */
    world_frame.len = 3;
    carry(0, TUNNELCAP_ENCAP, &pkt);
    test_pkt_free(&pkt);
    s = only_sample();
    ck_assert_uint_eq(s.family, 0);
    ck_assert_uint_eq(s.inner_bytes, 3);
    ck_assert_int_lt(s.status, 0);
    table_link_close(&link_);
}
END_TEST

START_TEST(fragmented_packet_is_one_record_with_the_bytes_of_all_its_fragments)
{
    for (uint32_t kind = 0; kind < LINK_KINDS; kind++) {
        open_link(kind, 1);
        table_link_inner(0, TUNNELCAP_IPV4, 3000, false);
        tunnelcap_pkt pkt = test_pkt_room(world_frame.bytes, world_frame.len, 80, 64);
        world_call_open(&call, 8, CALL_HEADROOM, 1700);
        test_ok(world_call_run(&call, link_.lanes[0], TUNNELCAP_ENCAP, &pkt, 1));
        uint32_t sum = 0;
        for (uint32_t i = 1; i < call.burst.result_count; i++)
            sum += world_call_pkt(&call, i)->len;
        tunnelcap_sample s = only_sample();
        ck_assert_uint_eq(s.action, TUNNELCAP_DO_KEPT);
        ck_assert_uint_eq(s.inner_bytes, 3000);
        ck_assert_uint_gt(sum, 3000);
        ck_assert_uint_eq(s.outer_bytes, sum);
        world_call_close(&call);
        test_pkt_free(&pkt);
        /* A fragment of somebody else's. */
        test_ip ip = test_between("203.0.113.9", "10.1.0.9");
        test_udp_packet(&world_frame, &ip, 100);
        world_frame.bytes[6] = 0x20;
        test_store16(world_frame.bytes + 10, 0);
        test_store16(world_frame.bytes + 10, (uint16_t)~test_sum(0, world_frame.bytes, 20));
        test_ok(carry(0, TUNNELCAP_ENCAP, &pkt).status);
        test_pkt_free(&pkt);
        s = only_sample();
        ck_assert_uint_eq(s.flags, TUNNELCAP_SAMPLE_FRAGMENT);
        ck_assert_uint_ne(s.dst_port, 0);
        table_link_close(&link_);
    }
}
END_TEST

/* A burst of `count` packets between hosts, UDP to port 1000 + i % classes. */
static uint32_t run_burst(uint32_t count, uint32_t classes, uint64_t now_ns, uint32_t cap)
{
    static uint8_t storage[64][256];
    static tunnelcap_pkt pkts[64];
    static tunnelcap_result results[64];
    table_link_inner(0, TUNNELCAP_IPV4, 60, true);
    for (uint32_t i = 0; i < count; i++) {
        pkts[i] = (tunnelcap_pkt){storage[i], sizeof(storage[i]), 80, world_frame.len, 0, NULL};
        memcpy(pkts[i].buf + 80, world_frame.bytes, world_frame.len);
        test_store16(pkts[i].buf + 80 + 22, 1000 + i % classes);
    }
    tunnelcap_burst burst = {.size = sizeof(burst),
                             .now_ns = now_ns,
                             .pkt_count = count,
                             .result_cap = cap,
                             .pkts = pkts,
                             .results = results};
    test_ok(tunnelcap_table_encap(link_.lanes[0], &burst));
    return burst.pkt_done;
}

/* Traffic with a rhythm: class i comes at every eighth place, and the rate is a multiple of that.
 * Picking every N-th packet would only ever see one class. */
START_TEST(samples_are_without_bias_whatever_the_rhythm)
{
    enum { CLASSES = 8, BURSTS = 8192, BURST = 32 };
    static const uint32_t rates[] = {2, 8, 16, 31, 32, 64};
    for (size_t r = 0; r < TEST_COUNT(rates); r++) {
        uint64_t seen[CLASSES] = {0}, total = 0;
        open_link(LINK_GRE, rates[r]);
        for (uint32_t b = 0; b < BURSTS; b++) {
            ck_assert_uint_eq(run_burst(BURST, CLASSES, 0, 64), BURST);
            uint32_t count = tunnelcap_lane_samples(link_.lanes[0], samples, RING, NULL);
            for (uint32_t i = 0; i < count; i++) {
                ck_assert_uint_eq(samples[i].rate, rates[r]);
                seen[samples[i].dst_port - 1000]++;
            }
            total += count;
        }
        /* One in each whole row. */
        ck_assert_uint_ge(total, BURSTS * BURST / rates[r]);
        ck_assert_uint_le(total, BURSTS * BURST / rates[r] + 1);
        double chi = 0, want = (double)total / CLASSES;
        for (uint32_t c = 0; c < CLASSES; c++)
            chi += ((double)seen[c] - want) * ((double)seen[c] - want) / want;
        ck_assert_double_lt(chi, 24.3); /* seven degrees of freedom, one in a thousand */
        table_link_close(&link_);
    }
}
END_TEST

START_TEST(each_place_of_a_row_is_picked_alike)
{
    enum { ROW = 25, ROWS = 50000 };
    static uint64_t seen[ROW];
    memset(seen, 0, sizeof(seen));
    tunnelcap_i_sampler s = {.rate = 0};
    tunnelcap_i_flow_key key = tunnelcap_i_flow_key_from(test_seed);
    tunnelcap_i_sampler_init(&s, key, 1, ROW, 0);
    uint64_t at = s.gap;
    for (uint32_t row = 0; row < ROWS; row++) {
        ck_assert_uint_eq(at / ROW, row);
        seen[at % ROW]++;
        at += 1 + tunnelcap_i_sampler_next(&s);
    }
    double chi = 0, want = (double)ROWS / ROW;
    for (uint32_t i = 0; i < ROW; i++)
        chi += ((double)seen[i] - want) * ((double)seen[i] - want) / want;
    ck_assert_double_lt(chi, 51.2); /* 24 degrees of freedom, one in a thousand */
}
END_TEST

START_TEST(packet_that_waits_for_room_is_recorded_once)
{
    static const uint32_t rates[] = {1, 2, 3, 7};
    for (size_t r = 0; r < TEST_COUNT(rates); r++) {
        open_link(LINK_ESP, rates[r]);
        uint64_t packets = 0, recorded = 0;
        for (uint32_t b = 0; b < 500; b++) {
            uint32_t done = run_burst(20, 8, b, b % 20);
            ck_assert_uint_eq(done, b % 20);
            packets += done;
            uint32_t count = tunnelcap_lane_samples(link_.lanes[0], samples, RING, NULL);
            for (uint32_t i = 0; i < count; i++)
                test_ok(samples[i].status);
            recorded += count;
        }
        ck_assert_uint_ge(recorded, packets / rates[r]);
        ck_assert_uint_le(recorded, packets / rates[r] + 1);
        table_link_close(&link_);
    }
}
END_TEST

/* A large packet that finds too few spares stops the call: it was picked, and is again. */
START_TEST(packet_that_waits_for_spares_is_recorded_once)
{
    open_link(LINK_GRE, 1);
    table_link_inner(0, TUNNELCAP_IPV4, 3000, false);
    tunnelcap_pkt pkts[2];
    for (uint32_t i = 0; i < 2; i++)
        pkts[i] = test_pkt_room(world_frame.bytes, world_frame.len, 80, 64);
    world_call_open(&call, 3, CALL_HEADROOM, 1700);
    test_ok(world_call_run(&call, link_.lanes[0], TUNNELCAP_ENCAP, pkts, 2));
    ck_assert_uint_eq(call.burst.pkt_done, 1);
    only_sample();
    world_call_close(&call);
    world_call_open(&call, 3, CALL_HEADROOM, 1700);
    test_ok(world_call_run(&call, link_.lanes[0], TUNNELCAP_ENCAP, pkts + 1, 1));
    ck_assert_uint_eq(call.burst.pkt_done, 1);
    ck_assert_uint_eq(only_sample().action, TUNNELCAP_DO_KEPT);
    world_call_close(&call);
    for (uint32_t i = 0; i < 2; i++)
        test_pkt_free(&pkts[i]);
    table_link_close(&link_);
}
END_TEST

START_TEST(full_ring_counts_what_it_loses)
{
    uint64_t lost = 0;
    open_link(LINK_GRE, 1);
    sampling_lane(10, 1, 0);
    run_burst(32, 32, 0, 64);
    ck_assert_uint_eq(tunnelcap_lane_samples(link_.lanes[0], samples, RING, &lost), 10);
    ck_assert_uint_eq(lost, 22);
    for (uint32_t i = 0; i < 10; i++)
        ck_assert_uint_eq(samples[i].dst_port, 1000 + i);
    run_burst(5, 32, 0, 64);
    ck_assert_uint_eq(tunnelcap_lane_samples(link_.lanes[0], samples, 3, &lost), 3);
    ck_assert_uint_eq(tunnelcap_lane_samples(link_.lanes[0], samples, RING, &lost), 2);
    ck_assert_uint_eq(lost, 22);
    ck_assert_uint_eq(tunnelcap_lane_samples(NULL, samples, RING, &lost), 0);
    ck_assert_uint_eq(tunnelcap_lane_samples(link_.lanes[0], NULL, RING, &lost), 0);
    /* Without slots, or with rate 0, none is picked. */
    sampling_lane(0, 1, 0);
    run_burst(32, 32, 0, 64);
    ck_assert_uint_eq(tunnelcap_lane_samples(link_.lanes[0], samples, RING, &lost), 0);
    ck_assert_uint_eq(lost, 0);
    sampling_lane(10, 0, 5);
    run_burst(32, 32, 0, 64);
    ck_assert_uint_eq(tunnelcap_lane_samples(link_.lanes[0], samples, RING, &lost), 0);
    table_link_close(&link_);
}
END_TEST

/* ---- the rate that adapts ---- */

/* One second of `packets` packets, in bursts; how many records came of it, and what they stand
 * for. */
static uint32_t one_second(uint64_t second, uint32_t packets, uint64_t *estimate)
{
    uint32_t records = 0, sent = 0;
    while (sent < packets) {
        uint32_t count = packets - sent < 50 ? packets - sent : 50;
        run_burst(count, 10, second * SECOND + (uint64_t)sent * SECOND / packets, 64);
        sent += count;
        uint32_t got = tunnelcap_lane_samples(link_.lanes[0], samples, RING, NULL);
        for (uint32_t i = 0; i < got; i++)
            *estimate += samples[i].rate;
        records += got;
    }
    return records;
}

START_TEST(rate_follows_the_traffic_and_the_estimate_stays_true)
{
    enum { TARGET = 100 };
    static const uint32_t loads[] = {20000, 200, 5000, 100, 40000, 1000};
    uint64_t estimate = 0, truth = 0, second = 1, variance = 0;
    open_link(LINK_GRE, 1);
    sampling_lane(RING, 1, TARGET);
    for (size_t l = 0; l < TEST_COUNT(loads); l++) {
        for (uint32_t s = 0; s < 15; s++) {
            uint64_t before = estimate;
            uint32_t records = one_second(second++, loads[l], &estimate);
            truth += loads[l];
            variance += records == 0 ? 0 : (estimate - before) * (estimate - before) / records;
            if (s >= 10) { /* it has settled */
                ck_assert_uint_le(records, 2 * TARGET + 1);
                ck_assert_uint_ge(records, loads[l] < TARGET / 2 ? loads[l] : TARGET / 2 - 1);
            }
        }
    }
    /* Four standard errors, each record's weight taken as its share. */
    double error = (double)estimate - (double)truth;
    ck_assert_double_le(error * error, 16.0 * (double)variance);
    table_link_close(&link_);
}
END_TEST

START_TEST(rate_neither_falls_for_a_pause_nor_floods_after_it)
{
    enum { TARGET = 100 };
    uint64_t estimate = 0;
    open_link(LINK_GRE, 1);
    sampling_lane(RING, 1, TARGET);
    for (uint64_t second = 1; second < 12; second++)
        one_second(second, 20000, &estimate);
    /* An hour later the rate is only half of what it was. */
    uint32_t records = one_second(3600, 20000, &estimate);
    ck_assert_uint_le(records, 5 * TARGET);
    table_link_close(&link_);
}
END_TEST

Suite *test_sample_suite(void)
{
    const TTest *tests[] = {
        record_tells_what_went_into_a_tunnel_of_any_kind,
        record_tells_what_came_out_of_a_tunnel_of_any_kind,
        what_is_dropped_is_recorded_with_the_reason,
        fragmented_packet_is_one_record_with_the_bytes_of_all_its_fragments,
        samples_are_without_bias_whatever_the_rhythm,
        each_place_of_a_row_is_picked_alike,
        packet_that_waits_for_room_is_recorded_once,
        packet_that_waits_for_spares_is_recorded_once,
        full_ring_counts_what_it_loses,
        rate_follows_the_traffic_and_the_estimate_stays_true,
        rate_neither_falls_for_a_pause_nor_floods_after_it,
    };
    return test_suite("sample", tests, TEST_COUNT(tests));
}
