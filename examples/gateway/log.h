/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Lines for the operator, on standard error, and counters for what happens too often for lines.
 */
#ifndef TUNNELCAP_GATEWAY_LOG_H
#define TUNNELCAP_GATEWAY_LOG_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

/* Errors of one kind of operation, by errno. Counting them writes a line now and then. */
typedef struct log_tally {
    const char *what; /* "send": what failed */
    uint64_t total;
    struct {
        int error;
        uint64_t count;
    } by_error[16]; /* the last one takes all that find no place of their own */
    int64_t next_line_ms;
} log_tally;

/* Write one line. */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Write lines that somebody else has made; they end with a newline each. */
void log_text(const char *text);

/* A stream for the lines of somebody else, NULL if there is none, which log_end_lines() closes and
 * writes. */
typedef struct log_lines {
    FILE *stream;
    char *text;
    size_t size;
} log_lines;

void log_begin_lines(log_lines *lines);
void log_end_lines(log_lines *lines);

/* Have what this thread writes go to a stream too, without the program's name; NULL ends it. */
void log_copy(FILE *stream);

/* Count an error; at most one line in ten seconds tells of it. */
void log_count(log_tally *tally, int error);

/* Add what was counted elsewhere. */
void log_add(log_tally *sum, const log_tally *tally);

/* {"ENETUNREACH": 3} */
json_t *log_tally_json(const log_tally *tally);

/* A clock that never goes back nor leaps. From log_set_clock() on, which is called once and before
 * all else, it counts from 1970, as far as the host knew the time then. */
void log_set_clock(void);
uint64_t log_now_ns(void);
int64_t log_now_ms(void);

#endif
