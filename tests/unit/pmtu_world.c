/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "pmtu_world.h"

/* Each assertion of libcheck is a system call, and a simulation makes millions of them. */
static void must(bool fact)
{
    if (!fact)
        ck_assert(fact);
}

tunnelcap_pmtu_config test_path_config(uint8_t family, uint32_t link)
{
    tunnelcap_pmtu_config config;
    test_ok(tunnelcap_pmtu_config_init(&config, sizeof(config)));
    config.family = family;
    config.mode = TUNNELCAP_PMTU_PROBE;
    config.link_mtu = link;
    return config;
}

void test_path_open(test_path *path, const tunnelcap_pmtu_config *config, uint64_t seed)
{
    uint8_t bytes[TUNNELCAP_SEED_SIZE];
    memcpy(bytes, test_seed, sizeof(bytes));
    memcpy(bytes, &seed, sizeof(seed));
    memset(path, 0, sizeof(*path));
    path->random.state = seed;
    path->rtt = 20 * test_ms;
    path->now = 1000 * test_ms;
    path->next = path->now;
    path->mtu = config->link_mtu;
    test_ok(tunnelcap_pmtu_new(config, bytes, test_alloc(), &path->pmtu));
}

void test_path_close(test_path *path)
{
    tunnelcap_pmtu_free(path->pmtu);
}

tunnelcap_pmtu_info test_path_info(const test_path *path)
{
    tunnelcap_pmtu_info info;
    must(tunnelcap_pmtu_get_info(path->pmtu, path->now, &info, sizeof(info)) == TUNNELCAP_OK);
    must(info.mtu == tunnelcap_pmtu_get(path->pmtu));
    return info;
}

static void post(test_path *path, uint64_t delay, uint64_t token, uint32_t mtu)
{
    size_t i = 0;
    while (i < TEST_MAIL && path->mail[i].at != 0)
        i++;
    must(i < TEST_MAIL);
    path->mail[i] = (test_mail){path->now + delay, token, mtu};
}

static void send(test_path *path, const tunnelcap_pmtu_probe *probe)
{
    path->probes++;
    path->last_size = probe->size;
    if (probe->size > path->mtu) {
        if (path->icmp)
            post(path, path->rtt / 2, 0, path->mtu);
    } else if (!path->silent && test_below(&path->random, 100) >= path->loss) {
        post(path, path->rtt, probe->token, 0);
    }
}

int32_t test_path_tick(test_path *path)
{
    tunnelcap_pmtu_probe probe;
    int32_t status = tunnelcap_pmtu_tick(path->pmtu, path->now, &path->next, &probe);
    must(status == TUNNELCAP_OK || status == TUNNELCAP_CHANGED);
    must(probe.reserved == 0);
    path->changes += status == TUNNELCAP_CHANGED;
    if (probe.size != 0)
        send(path, &probe);
    tunnelcap_pmtu_info info = test_path_info(path);
    path->too_large |= info.source == TUNNELCAP_PMTU_PROBED && info.mtu > path->mtu;
    return status;
}

static void deliver(test_path *path, const test_mail *mail)
{
    if (mail->mtu != 0)
        path->changes +=
            tunnelcap_pmtu_learn(path->pmtu, mail->mtu, path->now) == TUNNELCAP_CHANGED;
    else
        tunnelcap_pmtu_answered(path->pmtu, mail->token);
}

void test_path_run(test_path *path, uint64_t ns)
{
    uint64_t end = path->now + ns;
    for (;;) {
        size_t first = TEST_MAIL;
        for (size_t i = 0; i < TEST_MAIL; i++) {
            if (path->mail[i].at != 0 &&
                (first == TEST_MAIL || path->mail[i].at < path->mail[first].at))
                first = i;
        }
        uint64_t at = first < TEST_MAIL ? path->mail[first].at : end;
        at = path->next < at ? path->next : at;
        if (at > end)
            break;
        if (at > path->now)
            path->now = at;
        if (first < TEST_MAIL && path->mail[first].at <= path->now) {
            test_mail mail = path->mail[first];
            path->mail[first].at = 0;
            deliver(path, &mail);
        } else if (path->next > path->now) {
            break; /* nothing is due before the end */
        }
        test_path_tick(path);
    }
    path->now = end;
}

uint64_t test_path_settle(test_path *path, uint64_t ns)
{
    uint64_t begin = path->now;
    do {
        test_path_run(path, 10 * test_ms);
    } while (test_path_info(path).state != TUNNELCAP_PMTU_SEARCH_COMPLETE &&
             path->now - begin < ns);
    return path->now - begin;
}
