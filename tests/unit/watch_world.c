/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "watch_world.h"

const uint8_t watch_key[TUNNELCAP_PROBE_KEY] = {9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 1, 2, 3, 4, 5, 6};

void watch_open(watch_world *w, uint32_t kind)
{
    watch_open_as(w, kind, NULL);
}

void watch_open_as(watch_world *w, uint32_t kind, const tunnelcap_table_config *near)
{
    static const char *const ways[2] = {"10.255.0.0/31", "fd00:ff::/127"};
    tunnelcap_tunnel policies[2];
    memset(w, 0, sizeof(*w));
    w->rtt_ns = 20 * WATCH_MS;
    table_link_policies(policies);
    table_link_open_as(&w->link, kind, policies, near);
    /* The far router sends back what is addressed to the near end's address. */
    test_ok(tunnelcap_table_begin(w->link.tables[1]));
    for (uint32_t six = 0; six < 2; six++) {
        tunnelcap_route route = test_route(ways[six], LINK_ID);
        test_ok(tunnelcap_table_set_route(w->link.tables[1], &route));
    }
    test_ok(tunnelcap_table_commit(w->link.tables[1], NULL));
    test_ok(tunnelcap_table_set_prober(w->link.tables[0], WATCH_SERVER, watch_key));
}

void watch_close(watch_world *w)
{
    table_link_close(&w->link);
}

tunnelcap_health_config watch_high(void)
{
    tunnelcap_health_config config;
    test_ok(tunnelcap_health_config_init(&config, sizeof(config)));
    config.interval_ms = TUNNELCAP_HEALTH_RATE_HIGH;
    return config;
}

tunnelcap_health_info watch_info(const watch_world *w)
{
    tunnelcap_health_info info;
    test_ok(tunnelcap_table_get_health(w->link.tables[0], LINK_ID, &info, sizeof(info)));
    return info;
}

uint32_t watch_far(watch_world *w, const tunnelcap_pkt *probe, uint8_t out[512])
{
    tunnelcap_result result;
    tunnelcap_lane *far = w->link.lanes[1];
    tunnelcap_pkt pkt = test_pkt_room(probe->buf + probe->off, probe->len, 80, 64);
    test_ok(test_table_one(far, TUNNELCAP_DECAP, &pkt, NULL, &result));
    if (result.action != TUNNELCAP_DO_REPLY) { /* a host's echo, or one to be routed back */
        ck_assert_uint_eq(result.action, TUNNELCAP_DO_DELIVER);
        const uint8_t *p = pkt.buf + pkt.off;
        bool six = p[0] >> 4 == 6;
        test_ip ends = table_link_outer(&w->link, 0);
        bool outside = ends.src.family == (six ? TUNNELCAP_IPV6 : TUNNELCAP_IPV4) &&
                       (memcmp(p + (six ? 8 : 12), ends.src.bytes, six ? 16 : 4) == 0 ||
                        memcmp(p + (six ? 24 : 16), ends.src.bytes, six ? 16 : 4) == 0);
        if (p[six ? 40 : 20] == (six ? 128 : 8))
            test_ok(tunnelcap_icmp_echo_reply(&pkt, 64));
        if (!outside)
            test_ok(test_table_one(far, TUNNELCAP_ENCAP, &pkt, NULL, &result));
    }
    ck_assert_uint_le(pkt.len, 512);
    memcpy(out, pkt.buf + pkt.off, pkt.len);
    uint32_t len = pkt.len;
    test_pkt_free(&pkt);
    return len;
}

tunnelcap_result watch_near(watch_world *w, const uint8_t *bytes, uint32_t len,
                            tunnelcap_event *event)
{
    tunnelcap_event events[4];
    tunnelcap_result result;
    tunnelcap_pkt pkt = test_pkt_room(bytes, len, 80, 64);
    tunnelcap_burst burst = {.size = sizeof(burst),
                             .now_ns = w->now_ns,
                             .pkt_count = 1,
                             .result_cap = 1,
                             .pkts = &pkt,
                             .results = &result};
    test_ok(tunnelcap_table_decap(w->link.lanes[0], &burst));
    ck_assert_uint_eq(burst.result_count, 1);
    uint32_t count = tunnelcap_lane_events(w->link.lanes[0], events, 4, NULL);
    memset(event, 0, sizeof(*event));
    for (uint32_t i = 0; i < count; i++) {
        if (events[i].kind == TUNNELCAP_EVENT_PROBE)
            *event = events[i];
    }
    test_pkt_free(&pkt);
    return result;
}

void watch_tick(watch_world *w, world_call *call, uint32_t spares)
{
    tunnelcap_event events[8];
    world_call_open(call, spares, CALL_HEADROOM, 256);
    call->burst.now_ns = w->now_ns;
    test_ok(tunnelcap_table_tick(w->link.tables[0], w->link.lanes[0], &call->burst, &w->next_ns));
    uint32_t count = tunnelcap_lane_events(w->link.lanes[0], events, 8, NULL);
    for (uint32_t i = 0; i < count; i++) {
        ck_assert_uint_eq(events[i].kind, TUNNELCAP_EVENT_HEALTH);
        ck_assert_uint_eq(events[i].tunnel, LINK_ID);
        ck_assert_uint_eq(events[i].server, WATCH_SERVER);
        ck_assert_uint_eq(events[i].now_ns, w->now_ns);
        ck_assert_uint_lt(w->healths, WATCH_EVENTS);
        w->health[w->healths++] = events[i];
    }
    w->sent += call->burst.spare_used;
}

/* Tick, and let what is sent come back after a round trip. */
static void send_probes(watch_world *w)
{
    static world_call call;
    watch_tick(w, &call, 4);
    for (uint32_t i = 0; i < call.burst.result_count; i++) {
        test_ok(call.results[i].status);
        ck_assert_uint_eq(call.results[i].action, TUNNELCAP_DO_SEND);
        ck_assert_uint_eq(call.results[i].tunnel, LINK_ID);
        if (w->is_cut)
            continue;
        if (w->lose > 0) {
            w->lose--;
            continue;
        }
        ck_assert_uint_lt(w->flights, WATCH_FLIGHTS);
        watch_flight *f = &w->flight[w->flights++];
        f->at_ns = w->now_ns + w->rtt_ns;
        f->len = watch_far(w, world_call_pkt(&call, i), f->bytes);
    }
    world_call_close(&call);
}

/* Give the near end what arrives now. */
static void land(watch_world *w)
{
    tunnelcap_event event;
    for (uint32_t i = 0; i < w->flights;) {
        if (w->flight[i].at_ns > w->now_ns) {
            i++;
            continue;
        }
        tunnelcap_result result = watch_near(w, w->flight[i].bytes, w->flight[i].len, &event);
        test_ok(result.status);
        ck_assert_uint_eq(result.action, TUNNELCAP_DO_LOCAL);
        ck_assert_uint_eq(result.tunnel, LINK_ID);
        ck_assert_uint_eq(event.kind, TUNNELCAP_EVENT_PROBE);
        ck_assert_uint_eq(event.server, WATCH_SERVER);
        ck_assert_uint_eq(event.now_ns, w->now_ns);
        ck_assert_int_ge(tunnelcap_table_answer(w->link.tables[0], &event, w->now_ns),
                         w->rtt_ns < 500 * WATCH_MS ? TUNNELCAP_OK : TUNNELCAP_E_NOT_FOUND);
        w->next_ns = w->now_ns;
        w->flight[i] = w->flight[--w->flights];
    }
}

void watch_run(watch_world *w, uint64_t until_ns)
{
    for (;;) {
        uint64_t next = w->next_ns > w->now_ns ? w->next_ns : w->now_ns;
        for (uint32_t i = 0; i < w->flights; i++) {
            if (w->flight[i].at_ns < next)
                next = w->flight[i].at_ns;
        }
        if (next > until_ns)
            break;
        w->now_ns = next;
        land(w);
        if (w->next_ns <= w->now_ns)
            send_probes(w);
        ck_assert_uint_gt(w->next_ns, w->now_ns);
    }
    w->now_ns = until_ns;
}
