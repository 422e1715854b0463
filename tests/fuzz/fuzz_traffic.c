/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Any records into lists of what traffic is made of, beside the sums of their sources.
 *
 * Input: how many tunnels have lists, then records of 8 bytes: tunnel, source, rate, size (2),
 * protocol, flags and family, action and status.
 */
#include <string.h>

#include "fuzz.h"

enum { KEYS = 8, STEPS = 512, SOURCES = 256, TUNNELS = 16, CAP = 64 };

struct model {
    uint64_t source[2][SOURCES];
    uint64_t total[2];
    uint64_t tunnel[TUNNELS];
};

static tunnelcap_sample read_sample(struct fuzz_input *in)
{
    tunnelcap_sample s = {.tunnel = fuzz_u8(in) % TUNNELS};

    s.src[3] = fuzz_u8(in);
    s.rate = fuzz_u8(in);
    s.inner_bytes = fuzz_u16(in);
    s.outer_bytes = s.inner_bytes + 24;
    s.protocol = fuzz_u8(in);
    s.tcp_flags = fuzz_u8(in);
    s.family = s.tcp_flags & 1 ? TUNNELCAP_IPV4 : 0;
    s.flags = s.tcp_flags & 3;
    s.action = fuzz_u8(in);
    s.status = -(int32_t)s.action;
    s.src_port = (uint16_t)(s.src[3] * 257U);
    s.dst_port = s.protocol;
    return s;
}

static void note(struct model *m, const tunnelcap_sample *s)
{
    uint64_t bytes = s->inner_bytes != 0 ? s->inner_bytes : s->outer_bytes;

    m->tunnel[s->tunnel] += s->rate;
    if (s->family == 0)
        return;
    m->source[0][s->src[3]] += s->rate;
    m->source[1][s->src[3]] += s->rate * bytes;
    m->total[0] += s->rate;
    m->total[1] += s->rate * bytes;
}

static void check_sources(const tunnelcap_traffic *traffic, const struct model *m, uint32_t unit)
{
    tunnelcap_traffic_item items[CAP];
    uint64_t total, listed = 0;
    uint32_t count;

    FUZZ_CHECK(tunnelcap_traffic_list(traffic, 0, TUNNELCAP_TRAFFIC_SOURCE, unit, items, CAP,
                                      &count, &total) == TUNNELCAP_OK);
    FUZZ_CHECK(count <= KEYS && total == m->total[unit]);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t truth = m->source[unit][items[i].addr.bytes[3]];

        FUZZ_CHECK(items[i].weight >= truth && items[i].weight - items[i].error <= truth);
        FUZZ_CHECK(items[i].error <= total / KEYS);
        FUZZ_CHECK(i == 0 || items[i].weight <= items[i - 1].weight);
        listed += items[i].weight;
    }
    FUZZ_CHECK(listed == total); /* Space-Saving loses no weight */
}

static void check_tunnels(const tunnelcap_traffic *traffic, const struct model *m, uint32_t tunnels)
{
    tunnelcap_traffic_item items[CAP];
    uint64_t total, sum = 0;
    uint32_t count;

    for (uint32_t t = 1; t < TUNNELS; t++)
        sum += m->tunnel[t];
    for (uint32_t t = 1; t < TUNNELS; t++) {
        int32_t status = tunnelcap_traffic_list(traffic, t, TUNNELCAP_TRAFFIC_OUTCOME, 0, items,
                                                CAP, &count, &total);

        FUZZ_CHECK(status == TUNNELCAP_OK || status == TUNNELCAP_E_NOT_FOUND);
        FUZZ_CHECK(status != TUNNELCAP_OK || total <= m->tunnel[t]);
        if (tunnels != 0 && m->tunnel[t] > sum / tunnels)
            FUZZ_CHECK(status == TUNNELCAP_OK);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const uint8_t seed[TUNNELCAP_TOP_SEED_SIZE] = {1};
    struct fuzz_input in = {bytes, len};
    tunnelcap_traffic_config config;
    tunnelcap_traffic *traffic;
    struct model m;

    memset(&m, 0, sizeof(m));
    FUZZ_CHECK(tunnelcap_traffic_config_init(&config, sizeof(config)) == TUNNELCAP_OK);
    config.keys = config.tunnel_keys = KEYS;
    config.tunnels = fuzz_u8(&in) % 6U;
    FUZZ_CHECK(tunnelcap_traffic_new(&config, seed, NULL, &traffic) == TUNNELCAP_OK);
    for (uint32_t step = 0; step < STEPS && in.left > 0; step++) {
        tunnelcap_sample s = read_sample(&in);

        note(&m, &s);
        FUZZ_CHECK(tunnelcap_traffic_add(traffic, &s, 1) == TUNNELCAP_OK);
    }
    check_sources(traffic, &m, TUNNELCAP_TRAFFIC_PACKETS);
    check_sources(traffic, &m, TUNNELCAP_TRAFFIC_BYTES);
    check_tunnels(traffic, &m, config.tunnels);
    tunnelcap_traffic_free(traffic);
    return 0;
}
