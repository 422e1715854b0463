/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "timeline.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>

/* Begin a file at its first frame. An input that could be read only once is in a file by now. */
static bool activate(struct timeline_file *file)
{
    bool opened =
        file->source.spool ? source_rewind(&file->source) : source_open(&file->source, file->path);

    file->active = opened;
    file->next = 0;
    return opened && source_read(&file->source, &file->batch);
}

static void deactivate(struct timeline_file *file)
{
    batch_free(&file->batch);
    file->batch = (struct batch){0};
    file->frames = file->source.frames;
    file->active = false;
    if (file->source.spool)
        return;
    source_close(&file->source);
    file->source = (struct source){0};
}

/* By time of the first frames; what is equal stays as it was given. */
static void sort_files(struct timeline *timeline)
{
    for (uint32_t i = 1; i < timeline->count; i++) {
        struct timeline_file moved = timeline->files[i];
        uint32_t at = i;

        for (; at && moved.first_ns < timeline->files[at - 1].first_ns; at--)
            timeline->files[at] = timeline->files[at - 1];
        timeline->files[at] = moved;
    }
}

bool timeline_open(struct timeline *timeline, char *const *paths, uint32_t count)
{
    *timeline = (struct timeline){.files = calloc(count, sizeof *timeline->files)};
    if (!timeline->files) {
        warn("list of files");
        return false;
    }
    timeline->count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct timeline_file *file = &timeline->files[i];
        bool read;

        file->path = paths[i];
        read = activate(file);
        if (read && file->batch.count)
            file->first_ns = file->batch.frames[0].time_ns;
        if (!read)
            return false;
        deactivate(file);
    }
    sort_files(timeline);
    return true;
}

void timeline_rewind(struct timeline *timeline)
{
    for (uint32_t i = 0; i < timeline->count; i++) {
        if (timeline->files[i].active)
            deactivate(&timeline->files[i]);
    }
    timeline->opened = 0;
    timeline->drawn = NULL;
}

static uint64_t next_time(const struct timeline_file *file)
{
    return file->batch.frames[file->next].time_ns;
}

/* Give back a file's frames that were taken, and read on where none is left. */
static bool refill(struct timeline_file *file)
{
    if (file->next < file->batch.count)
        return true;
    file->next = 0;
    if (!source_read(&file->source, &file->batch))
        return false;
    if (!file->batch.count)
        deactivate(file);
    return true;
}

/* The active file whose frame is the earliest; and the time of the earliest of all others. */
static struct timeline_file *earliest(const struct timeline *timeline, uint64_t *others_ns)
{
    struct timeline_file *found = NULL;

    *others_ns = UINT64_MAX;
    for (uint32_t i = 0; i < timeline->opened; i++) {
        struct timeline_file *file = &timeline->files[i];

        if (!file->active)
            continue;
        if (!found || next_time(file) < next_time(found)) {
            if (found)
                *others_ns = next_time(found);
            found = file;
        } else if (next_time(file) < *others_ns) {
            *others_ns = next_time(file);
        }
    }
    return found;
}

/* Begin the files that begin before what there is ends. */
static bool open_due(struct timeline *timeline)
{
    while (timeline->opened < timeline->count) {
        struct timeline_file *file = &timeline->files[timeline->opened];
        uint64_t others_ns;
        const struct timeline_file *first = earliest(timeline, &others_ns);

        if (first && next_time(first) < file->first_ns)
            break;
        timeline->opened++;
        if (!activate(file))
            return false;
        if (!file->batch.count)
            deactivate(file);
    }
    return true;
}

bool timeline_read(struct timeline *timeline, struct frame **frames, uint32_t *count)
{
    struct timeline_file *file = timeline->drawn;
    uint64_t others_ns;

    *count = 0;
    if ((file && !refill(file)) || !open_due(timeline))
        return false;
    file = earliest(timeline, &others_ns);
    timeline->drawn = file;
    if (!file)
        return true;
    if (timeline->opened < timeline->count &&
        timeline->files[timeline->opened].first_ns < others_ns)
        others_ns = timeline->files[timeline->opened].first_ns;
    *frames = &file->batch.frames[file->next];
    while (file->next < file->batch.count && (!*count || next_time(file) <= others_ns)) {
        file->next++;
        ++*count;
    }
    return true;
}

void timeline_close(struct timeline *timeline)
{
    for (uint32_t i = 0; i < timeline->count; i++) {
        batch_free(&timeline->files[i].batch);
        source_close(&timeline->files[i].source);
    }
    free(timeline->files);
    *timeline = (struct timeline){0};
}
