/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "state_dir.h"

#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEXT_SIZE = 32, NAME_SIZE = 128 };

bool state_dir_failed(const state_dir *s, const char *name, const char *doing)
{
    log_line("%s: %s/%s: %s: %s", s->what, s->path, name, doing, strerror(errno));
    return false;
}

/* The directory is not made here: one that is made anew has forgotten everything. */
bool state_dir_open(state_dir *s, const char *what, const char *path)
{
    struct stat facts;

    *s = (state_dir){.what = what, .path = path, .lock_fd = -1};
    s->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->fd < 0) {
        log_line("%s.state_dir: %s: %s%s", what, path, strerror(errno),
                 errno == ENOENT ? ": make it once, and never use its keys again if it is lost"
                                 : "");
        return false;
    }
    if (fstat(s->fd, &facts) != 0)
        return state_dir_failed(s, "", "cannot look at the directory");
    if ((facts.st_mode & S_IWOTH) == 0)
        return true;
    log_line("%s.state_dir: %s: everybody may write to it (mode %04o)", what, path,
             facts.st_mode & 07777U);
    return false;
}

bool state_dir_lock(state_dir *s)
{
    s->lock_fd = openat(s->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock_fd >= 0 && flock(s->lock_fd, LOCK_EX) == 0)
        return true;
    return state_dir_failed(s, "lock", "cannot lock the directory");
}

void state_dir_close(state_dir *s)
{
    if (s->lock_fd >= 0)
        close(s->lock_fd); /* which unlocks it */
    if (s->fd >= 0)
        close(s->fd);
    s->lock_fd = -1;
    s->fd = -1;
}

int state_dir_claim(const state_dir *s, const char *name)
{
    char lock[NAME_SIZE];

    snprintf(lock, sizeof lock, "%s.lock", name);
    int fd = openat(s->fd, lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    if (fd >= 0 && errno == EWOULDBLOCK)
        log_line("%s: %s/%s: in use: another tunnel or gateway sends by this key and SPI", s->what,
                 s->path, name);
    else
        state_dir_failed(s, lock, "cannot lock it");
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Digits and a newline, and nothing else: a file that is not whole must not start anew. */
static bool parse(const char *text, uint64_t most, uint64_t *number)
{
    char *end = NULL;
    unsigned long long value = strtoull(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || strcmp(end, "\n") != 0 || value > most)
        return false;
    *number = value;
    return true;
}

bool state_dir_read(const state_dir *s, const char *name, uint64_t most, uint64_t *number)
{
    char text[TEXT_SIZE] = "";
    int fd = openat(s->fd, name, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT || state_dir_failed(s, name, "cannot open it");
    ssize_t got = read(fd, text, sizeof text - 1);
    int error = errno;
    close(fd);
    errno = error;
    if (got < 0)
        return state_dir_failed(s, name, "cannot read it");
    if (parse(text, most, number))
        return true;
    log_line("%s: %s/%s: does not hold a number as it should; new keys are needed", s->what,
             s->path, name);
    return false;
}

/* Written beside the old file, brought to the disk, and only then put in its place. */
bool state_dir_write(const state_dir *s, const char *name, uint64_t number)
{
    char text[TEXT_SIZE];
    char beside[NAME_SIZE];
    int len = snprintf(text, sizeof text, "%" PRIu64 "\n", number);

    snprintf(beside, sizeof beside, "%s.new", name);
    int fd = openat(s->fd, beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return state_dir_failed(s, name, "cannot write beside it");
    errno = ENOSPC; /* what a short write means */
    bool done = write(fd, text, (size_t)len) == len && fsync(fd) == 0;
    int error = errno;
    close(fd);
    errno = error;
    if (!done)
        return state_dir_failed(s, name, "cannot write beside it");
    if (renameat(s->fd, beside, s->fd, name) != 0 || fsync(s->fd) != 0)
        return state_dir_failed(s, name, "cannot replace it");
    return true;
}
