/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LINE_INTERVAL_MS = 10000, NS_PER_MS = 1000000, NS_PER_S = 1000000000 };

static _Thread_local FILE *copy;
static uint64_t ahead_ns; /* how far our clock is ahead of the monotonic one */

void log_copy(FILE *stream)
{
    copy = stream;
}

void log_line(const char *format, ...)
{
    va_list args;
    va_list again;

    va_start(args, format);
    va_copy(again, args);
    flockfile(stderr); /* not only one thread writes lines */
    fputs("tunnelcap-gateway: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    funlockfile(stderr);
    if (copy != NULL) {
        vfprintf(copy, format, again);
        fputc('\n', copy);
    }
    va_end(again);
    va_end(args);
}

void log_text(const char *text)
{
    fputs(text, stderr);
    if (copy != NULL)
        fputs(text, copy);
}

void log_begin_lines(log_lines *lines)
{
    lines->text = NULL;
    lines->stream = open_memstream(&lines->text, &lines->size);
    if (lines->stream == NULL)
        log_line("%s", strerror(errno));
}

void log_end_lines(log_lines *lines)
{
    if (lines->stream != NULL && fclose(lines->stream) == 0)
        log_text(lines->text);
    free(lines->text);
}

static uint64_t read_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

void log_set_clock(void)
{
    ahead_ns = read_ns(CLOCK_REALTIME) - read_ns(CLOCK_MONOTONIC);
}

uint64_t log_now_ns(void)
{
    return read_ns(CLOCK_MONOTONIC) + ahead_ns;
}

int64_t log_now_ms(void)
{
    return (int64_t)(log_now_ns() / NS_PER_MS);
}

static void add(log_tally *tally, int error, uint64_t count)
{
    size_t slots = sizeof tally->by_error / sizeof tally->by_error[0];
    size_t i = 0;

    while (i < slots - 1 && tally->by_error[i].error != error && tally->by_error[i].count != 0)
        i++;
    tally->by_error[i].error = error;
    tally->by_error[i].count += count;
    tally->total += count;
}

void log_add(log_tally *sum, const log_tally *tally)
{
    for (size_t i = 0; i < sizeof tally->by_error / sizeof tally->by_error[0]; i++)
        if (tally->by_error[i].count != 0)
            add(sum, tally->by_error[i].error, tally->by_error[i].count);
}

void log_count(log_tally *tally, int error)
{
    int64_t now = log_now_ms();

    add(tally, error, 1);
    if (now < tally->next_line_ms)
        return;
    tally->next_line_ms = now + LINE_INTERVAL_MS;
    log_line("%s: %s (%" PRIu64 " errors so far)", tally->what, strerror(error), tally->total);
}

json_t *log_tally_json(const log_tally *tally)
{
    json_t *object = json_object();

    for (size_t i = 0; i < sizeof tally->by_error / sizeof tally->by_error[0]; i++) {
        if (tally->by_error[i].count == 0)
            break;
        const char *name = strerrorname_np(tally->by_error[i].error);
        json_object_set_new(object, name == NULL ? "UNKNOWN" : name,
                            json_integer((json_int_t)tally->by_error[i].count));
    }
    return object;
}
