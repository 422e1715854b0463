/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* Smaller files are read before an eye could follow. */
enum { LARGE_FILE = 16 << 20, BAR_WIDTH = 40 };

static const uint64_t redraw_ns = 100000000;

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void progress_begin(struct progress *progress, uint64_t size)
{
    *progress = (struct progress){.size = size};
    progress->shown = size >= LARGE_FILE && isatty(STDERR_FILENO);
}

void progress_show(struct progress *progress, uint64_t done)
{
    static const char full[] = "########################################";
    uint64_t now;
    int filled;

    if (!progress->shown)
        return;
    now = now_ns();
    if (now < progress->next_ns)
        return;
    if (done > progress->size)
        done = progress->size;
    filled = (int)(done * BAR_WIDTH / progress->size);
    fprintf(stderr, "\r[%.*s%*s] %3d %%", filled, full, BAR_WIDTH - filled, "",
            (int)(done * 100 / progress->size));
    fflush(stderr);
    progress->drawn = true;
    progress->next_ns = now + redraw_ns;
}

void progress_end(struct progress *progress)
{
    if (progress->drawn)
        fprintf(stderr, "\r%*s\r", BAR_WIDTH + 8, "");
    progress->drawn = false;
}
