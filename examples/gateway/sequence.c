/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "sequence.h"

#include "log.h"
#include "state_dir.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* An idle SA loses SMALL numbers of its 2^32 when the gateway is killed, and one that uses up a
 * block of LARGE in less than FAST_MS loses what it would send in that time. */
enum {
    SMALL = 1 << 16,
    LARGE = 1 << 22,
    FAST_MS = 10000,
    SLOW_MS = 60000,
    RETRY_MS = 1000,
    NAME_SIZE = SENDER_ID_NAME_SIZE + sizeof ".01234567" - 1
};

/* One more than the last number. */
static const uint64_t end_of_all = (uint64_t)UINT32_MAX + 1;

struct sequence {
    sequence_writer *writer;
    char *what;
    char *directory;
    char name[NAME_SIZE];
    int claim_fd;
    uint64_t block;   /* size of the last one */
    int64_t asked_ms; /* when it was asked for */
    /* The writer's mutex is for the rest. */
    uint64_t end;    /* what is below it is reserved */
    uint64_t wanted; /* the end to be written; that of now if nothing is */
    bool failed;
    sequence *next; /* among those to be written */
};

struct sequence_writer {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t work; /* there is something to write, or it is time to end */
    pthread_cond_t done; /* something has been written */
    sequence *first;
    bool ending;
};

static bool reserve(const sequence *s, uint64_t end)
{
    state_dir d;
    bool done = state_dir_open(&d, s->what, s->directory) && state_dir_write(&d, s->name, end);

    state_dir_close(&d);
    return done;
}

static void *write_blocks(void *arg)
{
    sequence_writer *w = arg;

    pthread_mutex_lock(&w->mutex);
    for (;;) {
        sequence *s = w->first;
        if (s == NULL) {
            if (w->ending)
                break;
            pthread_cond_wait(&w->work, &w->mutex);
            continue;
        }
        uint64_t wanted = s->wanted;
        w->first = s->next;
        pthread_mutex_unlock(&w->mutex);
        bool done = reserve(s, wanted); /* the disk takes its time */
        pthread_mutex_lock(&w->mutex);
        if (done)
            s->end = wanted;
        s->wanted = s->end;
        s->failed = !done;
        pthread_cond_broadcast(&w->done);
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

/* Signals are the other thread's. */
static int start(sequence_writer *w)
{
    sigset_t all;
    sigset_t before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&w->thread, NULL, write_blocks, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

sequence_writer *sequence_writer_new(void)
{
    sequence_writer *w = calloc(1, sizeof *w);

    if (w == NULL) {
        log_line("%s", strerror(ENOMEM));
        return NULL;
    }
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->work, NULL);
    pthread_cond_init(&w->done, NULL);
    int error = start(w);
    if (error == 0)
        return w;
    log_line("cannot start a thread: %s", strerror(error));
    free(w);
    return NULL;
}

void sequence_writer_free(sequence_writer *w)
{
    if (w == NULL)
        return;
    pthread_mutex_lock(&w->mutex);
    w->ending = true;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->mutex);
    pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->done);
    pthread_cond_destroy(&w->work);
    pthread_mutex_destroy(&w->mutex);
    free(w);
}

static uint64_t block_end(uint64_t from, uint64_t block)
{
    return end_of_all - from < block ? end_of_all : from + block;
}

/* Claim the numbers of an SA and reserve the first block. */
static bool begin(sequence *s, uint64_t *first)
{
    state_dir d;
    bool done = state_dir_open(&d, s->what, s->directory);

    *first = 1;
    if (done)
        s->claim_fd = state_dir_claim(&d, s->name);
    done = done && s->claim_fd >= 0 && state_dir_read(&d, s->name, end_of_all, first);
    if (done && *first == end_of_all) {
        log_line("%s: %s/%s: all sequence numbers of this key and SPI are used up: new keys are "
                 "needed",
                 s->what, s->directory, s->name);
        done = false;
    }
    if (done) {
        s->end = block_end(*first, SMALL);
        s->wanted = s->end;
        done = state_dir_write(&d, s->name, s->end);
    }
    state_dir_close(&d);
    return done;
}

static void free_sequence(sequence *s)
{
    if (s->claim_fd >= 0)
        close(s->claim_fd);
    free(s->what);
    free(s->directory);
    free(s);
}

static sequence *new_sequence(const char *what, const char *directory)
{
    sequence *s = calloc(1, sizeof *s);

    if (s == NULL)
        return NULL;
    s->claim_fd = -1;
    s->what = strdup(what);
    s->directory = strdup(directory);
    if (s->what != NULL && s->directory != NULL)
        return s;
    free_sequence(s);
    return NULL;
}

sequence *sequence_open(sequence_writer *writer, const char *what, const char *directory,
                        const uint8_t key_digest[SENDER_ID_DIGEST_SIZE], uint32_t spi,
                        uint64_t *first)
{
    char key[SENDER_ID_NAME_SIZE];
    sequence *s = new_sequence(what, directory);

    if (s == NULL) {
        log_line("%s", strerror(ENOMEM));
        return NULL;
    }
    s->writer = writer;
    s->block = SMALL;
    s->asked_ms = log_now_ms();
    sender_id_name(key_digest, key);
    snprintf(s->name, sizeof s->name, "%s.%08x", key, spi);
    if (begin(s, first))
        return s;
    free_sequence(s);
    return NULL;
}

static uint64_t next_block(const sequence *s, int64_t now_ms)
{
    int64_t took = now_ms - s->asked_ms;

    if (took < FAST_MS)
        return s->block < LARGE ? 2 * s->block : LARGE;
    return took > SLOW_MS ? SMALL : s->block;
}

/* Called with the mutex held. */
static void ask(sequence *s, int64_t now_ms)
{
    sequence **last = &s->writer->first;

    if (s->failed && now_ms - s->asked_ms < RETRY_MS)
        return;
    s->block = s->failed ? s->block : next_block(s, now_ms);
    s->asked_ms = now_ms;
    s->wanted = block_end(s->end, s->block);
    s->next = NULL;
    while (*last != NULL)
        last = &(*last)->next;
    *last = s;
    pthread_cond_signal(&s->writer->work);
}

int64_t sequence_left(sequence *s, uint64_t next, int64_t now_ms)
{
    pthread_mutex_lock(&s->writer->mutex);
    uint64_t end = s->end;
    if (end != end_of_all && s->wanted == end && (int64_t)(end - next) < (int64_t)(s->block / 2))
        ask(s, now_ms);
    pthread_mutex_unlock(&s->writer->mutex);
    return end == end_of_all ? INT64_MAX : (int64_t)(end - next);
}

void sequence_close(sequence *s, uint64_t next)
{
    if (s == NULL)
        return;
    pthread_mutex_lock(&s->writer->mutex);
    while (s->wanted != s->end)
        pthread_cond_wait(&s->writer->done, &s->writer->mutex);
    pthread_mutex_unlock(&s->writer->mutex);
    reserve(s, next);
    free_sequence(s);
}
