/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * tunnelcap-pcap: carry the packets of a capture file out of or into tunnels, clamp their MSS,
 * or report what went through the tunnels of captures. See tunnelcap-pcap(1).
 */
#include "verbs.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2 };

static bool (*const verbs[])(struct job *) = {
    [VERB_DECAP] = verb_decap,
    [VERB_ENCAP] = verb_encap,
    [VERB_CLAMP] = verb_clamp,
    [VERB_INFO] = verb_info,
};

static bool print_summary(const struct job *job)
{
    bool to_stdout = !job->args.output || strcmp(job->args.output, "-");
    bool printed = job->args.json ? summary_print_json(&job->summary, stdout)
                                  : summary_print_text(&job->summary, to_stdout ? stdout : stderr);

    if (!printed)
        warn("summary");
    return printed;
}

static bool run(struct job *job)
{
    if (job->args.verb == VERB_REPORT)
        return verb_report(&job->args);
    if (!source_open(&job->source, job->args.input) || !verbs[job->args.verb](job))
        return false;
    job->summary.writes = job->args.output != NULL;
    job->summary.written = job->sink.written;
    return (!job->summary.writes || sink_commit(&job->sink)) && print_summary(job);
}

int main(int argc, char **argv)
{
    static struct job job;
    bool done;

    switch (args_parse(argc, argv, &job.args)) {
    case ARGS_DONE:
        return EXIT_SUCCESS;
    case ARGS_WRONG:
        return EXIT_USAGE;
    case ARGS_RUN:
        break;
    }
    summary_begin(&job.summary);
    done = run(&job);
    sink_abandon(&job.sink);
    source_close(&job.source);
    batch_free(&job.batch);
    summary_end(&job.summary);
    return done ? EXIT_SUCCESS : EXIT_FAILURE;
}
