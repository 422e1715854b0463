/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * tunnelcap-bench: nanoseconds per packet beside hand-written loops. See README.md.
 */
#define _GNU_SOURCE /* sched_setaffinity() */
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "esp.h"

enum { SIZES = 2, SIDES_MAX = 5 * SIZES };

static const uint32_t sizes[SIZES] = {64, 1400};

static struct {
    bool json;
    const char *only; /* cases whose name contains this */
    double seconds;
    uint32_t rows;
} settings = {.seconds = 0.5};

/* The contestants of one case: for each of them one side per size, or none. */
enum contestant { LIBRARY, HAND, MEMCPY, PLAIN, PASS };

struct contest {
    const struct bench_case *c;
    const char *where; /* the working set */
    struct subject subject, plain;
    struct pool pools[SIZES], plain_pools[SIZES];
    struct side sides[SIDES_MAX];
    uint32_t side_count;
    int first_side[PASS + 1]; /* of each contestant; -1: not there */
};

/* One result: `ns` against what limits it. `goal` is the largest ratio wished for, 0 for none. */
static void print_result(const char *name, uint32_t size, uint32_t batch, double ns,
                         const char *limit, double limit_ns, double goal)
{
    double ratio = ns / limit_ns;

    if (settings.json)
        printf("%s\n  {\"case\": \"%s\", \"size\": %u, \"batch\": %u, \"ns\": %.2f, "
               "\"limit\": \"%s\", \"limit_ns\": %.2f, \"ratio\": %.3f}",
               settings.rows ? "," : "[", name, size, batch, ns, limit, limit_ns, ratio);
    else if (goal > 0)
        printf("%-36s %5u %5u %8.2f  %-13s %8.2f  %6.2f  %5.2f  %s\n", name, size, batch, ns, limit,
               limit_ns, ratio, goal, ratio <= goal ? "met" : "MISSED");
    else
        printf("%-36s %5u %5u %8.2f  %-13s %8.2f  %6.2f\n", name, size, batch, ns, limit, limit_ns,
               ratio);
    fflush(stdout);
    settings.rows++;
}

static void print_row(const struct contest *contest, const char *part, uint32_t size, double ns,
                      const char *limit, double limit_ns, double goal)
{
    char name[64];

    snprintf(name, sizeof(name), "%s%s/%s", contest->c->name, part, contest->where);
    print_result(name, size, BATCH, ns, limit, limit_ns, goal);
}

static void add_sides(struct contest *contest, enum contestant who, work *run,
                      struct subject *subject, struct pool *pools)
{
    contest->first_side[who] = (int)contest->side_count;
    for (uint32_t i = 0; i < SIZES; i++)
        contest->sides[contest->side_count++] =
            (struct side){.run = run, .subject = subject, .pool = &pools[i]};
}

static double ns_of(const struct contest *contest, enum contestant who, uint32_t size_index)
{
    return contest->sides[contest->first_side[who] + (int)size_index].ns;
}

static bool has(const struct contest *contest, enum contestant who)
{
    return contest->first_side[who] >= 0;
}

/* Packets for a subject to work on; whole batches of them must be accepted. */
static void prepare_pool(struct subject *subject, struct pool *pool, uint32_t count, uint32_t size)
{
    const struct bench_case *c = subject->c;

    pool_init(pool, count, size, c->traffic, c->table_tunnels > 0 ? c->table_tunnels : 1);
    if (c->operation == DECAP) {
        for (uint32_t i = 0; i < count; i += BATCH)
            if (run_far_encap(subject, pool->pkts + i, BATCH) != BATCH)
                bench_fail("the far end refuses to make packets");
        pool_settle(pool);
    }
    if (run_library(subject, pool->pkts, BATCH) != accepted_of(c, BATCH))
        bench_fail("the library refuses packets of the bench");
    pool_restore(pool, pool->pkts, BATCH);
}

/* The case without checksum that a case with one is compared with. */
static const struct bench_case *plain_case(const struct bench_case *c)
{
    for (uint32_t i = 0; i < bench_case_count; i++)
        if (bench_cases[i].operation == c->operation && bench_cases[i].gre_flags == 0 &&
            bench_cases[i].ipv6 == c->ipv6 && bench_cases[i].ipip == c->ipip &&
            bench_cases[i].table_tunnels == 0)
            return &bench_cases[i];
    bench_fail("no case without a checksum");
}

static void set_up(struct contest *contest, const struct bench_case *c, bool cached)
{
    uint32_t count = cached ? BATCH : LARGE_COUNT;

    *contest = (struct contest){.c = c, .where = cached ? "cached" : "132MiB"};
    for (int who = 0; who <= PASS; who++)
        contest->first_side[who] = -1;
    subject_init(&contest->subject, c);
    for (uint32_t i = 0; i < SIZES; i++)
        prepare_pool(&contest->subject, &contest->pools[i], count, sizes[i]);
    add_sides(contest, LIBRARY, run_library, &contest->subject, contest->pools);
    if (c->table_tunnels == 0)
        add_sides(contest, HAND, run_hand, &contest->subject, contest->pools);
    add_sides(contest, MEMCPY, run_memcpy64, &contest->subject, contest->pools);
    if (c->gre_flags & TUNNELCAP_GRE_CHECKSUM) {
        subject_init(&contest->plain, plain_case(c));
        for (uint32_t i = 0; i < SIZES; i++)
            prepare_pool(&contest->plain, &contest->plain_pools[i], count, sizes[i]);
        add_sides(contest, PLAIN, run_library, &contest->plain, contest->plain_pools);
        add_sides(contest, PASS, run_checksum_pass, &contest->subject, contest->pools);
    }
}

static void tear_down(struct contest *contest)
{
    subject_fini(&contest->subject);
    for (uint32_t i = 0; i < SIZES; i++)
        pool_fini(&contest->pools[i]);
    if (!has(contest, PLAIN))
        return;
    subject_fini(&contest->plain);
    for (uint32_t i = 0; i < SIZES; i++)
        pool_fini(&contest->plain_pools[i]);
}

/* Must the payload be read? Then its size matters. */
static bool sums_payload(const struct bench_case *c)
{
    return (c->gre_flags & TUNNELCAP_GRE_CHECKSUM) ||
           ((c->gre_flags & TUNNELCAP_GRE_UDP) &&
            !(c->gre_flags & TUNNELCAP_GRE_UDP_ZERO_CHECKSUM));
}

static void report(const struct contest *contest, bool cached)
{
    const struct bench_case *c = contest->c;
    char limit[16];

    for (uint32_t i = 0; i < SIZES; i++) {
        double ns = ns_of(contest, LIBRARY, i);

        if (has(contest, HAND))
            print_row(contest, "", sizes[i], ns, "hand loop", ns_of(contest, HAND, i),
                      c->limit_ns > 0 ? 0 : 1.4);
        print_row(contest, "", sizes[i], ns, "memcpy 64", ns_of(contest, MEMCPY, i), 0);
        if (c->limit_ns > 0 && cached) {
            snprintf(limit, sizeof(limit), "%.0f ns", c->limit_ns);
            print_row(contest, "", sizes[i], ns, limit, c->limit_ns, 1);
        }
        if (has(contest, PASS))
            print_row(contest, "/option", sizes[i], ns - ns_of(contest, PLAIN, i), "checksum pass",
                      ns_of(contest, PASS, i), 1.2);
    }
    if (!sums_payload(c))
        print_row(contest, "", sizes[1], ns_of(contest, LIBRARY, 1), "size 64",
                  ns_of(contest, LIBRARY, 0), 1.2);
}

static void run_case(const struct bench_case *c)
{
    static struct contest contest;

    if (c->table_tunnels == 0)
        for (uint32_t i = 0; i < SIZES; i++)
            verify(c, sizes[i]);
    for (int cached = 1; cached >= 0; cached--) {
        set_up(&contest, c, cached);
        measure(contest.sides, contest.side_count, cached, settings.seconds);
        report(&contest, cached);
        tear_down(&contest);
    }
}

static void pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) != 0)
        bench_fail("cannot run on that processor");
}

static void usage(FILE *to)
{
    fputs("usage: tunnelcap-bench [--json] [--case TEXT] [--cpu N] [--seconds S]\n"
          "  --json       print a JSON array instead of a table\n"
          "  --case TEXT  only cases whose name contains TEXT\n"
          "  --cpu N      run on processor N\n"
          "  --seconds S  time for each case and working set; 0.5\n",
          to);
}

static void read_arguments(int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},      {"case", required_argument, NULL, 'c'},
        {"cpu", required_argument, NULL, 'p'}, {"seconds", required_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},      {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'j':
            settings.json = true;
            break;
        case 'c':
            settings.only = optarg;
            break;
        case 'p':
            pin(atoi(optarg));
            break;
        case 's':
            settings.seconds = atof(optarg);
            break;
        case 'h':
            usage(stdout);
            exit(0);
        default:
            usage(stderr);
            exit(2);
        }
    }
    if (optind < argc) {
        usage(stderr);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    read_arguments(argc, argv);
    if (!settings.json)
        printf("%-36s %5s %5s %8s  %-13s %8s  %6s  %5s\n", "case", "size", "batch", "ns", "limit",
               "limit ns", "ratio", "goal");
    for (uint32_t i = 0; i < bench_case_count; i++)
        if (!settings.only || strstr(bench_cases[i].name, settings.only))
            run_case(&bench_cases[i]);
    bench_esp(settings.only, settings.seconds, print_result);
    bench_fragment(settings.only, settings.seconds, print_result);
    bench_find(settings.only, settings.seconds, print_result);
    bench_lpm(settings.only, settings.seconds, print_result);
    if (settings.rows == 0)
        bench_fail("no case has such a name");
    if (settings.json)
        printf("\n]\n");
    return 0;
}
