/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "sender_id.h"

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

#ifdef TUNNELCAP_WITH_OPENSSL
#include <openssl/evp.h>
#endif

enum { IDS = 1 << SENDER_ID_BITS, NAME_BYTES = 16, TEXT_SIZE = 16 };

/* The place of one key's ids. */
typedef struct store {
    const char *what;
    const char *directory;
    int directory_fd;
    int lock_fd;
    char name[2 * NAME_BYTES + 1];
} store;

bool sender_id_digest(const char *label, const void *bytes, size_t size,
                      uint8_t digest[SENDER_ID_DIGEST_SIZE])
{
#ifdef TUNNELCAP_WITH_OPENSSL
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(context, label, strlen(label) + 1) == 1 &&
                EVP_DigestUpdate(context, bytes, size) == 1 &&
                EVP_DigestFinal_ex(context, digest, NULL) == 1;

    EVP_MD_CTX_free(context); /* and wipe it */
    return done;
#else
    (void)label, (void)bytes, (void)size;
    memset(digest, 0, SENDER_ID_DIGEST_SIZE);
    return false;
#endif
}

static bool failed(const store *s, const char *doing)
{
    log_line("%s: %s/%s: %s: %s", s->what, s->directory, s->name, doing, strerror(errno));
    return false;
}

/* The directory is not made here: one that is made anew has forgotten all ids. */
static bool open_directory(store *s)
{
    struct stat facts;

    s->directory_fd = open(s->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->directory_fd < 0) {
        log_line("%s.state_dir: %s: %s%s", s->what, s->directory, strerror(errno),
                 errno == ENOENT ? ": make it once, and never use its keys again if it is lost"
                                 : "");
        return false;
    }
    if (fstat(s->directory_fd, &facts) != 0)
        return failed(s, "cannot look at the directory");
    if ((facts.st_mode & S_IWOTH) == 0)
        return true;
    log_line("%s.state_dir: %s: everybody may write to it (mode %04o)", s->what, s->directory,
             facts.st_mode & 07777U);
    return false;
}

bool sender_id_check(const char *what, const char *directory)
{
    store s = {.what = what, .directory = directory};
    bool good = open_directory(&s);

    if (s.directory_fd >= 0)
        close(s.directory_fd);
    return good;
}

/* Two gateways may share a directory; they take their ids one after the other. */
static bool lock(store *s)
{
    s->lock_fd = openat(s->directory_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock_fd >= 0 && flock(s->lock_fd, LOCK_EX) == 0)
        return true;
    return failed(s, "cannot lock the directory");
}

/* Digits and a newline, and nothing else: a file that is not whole must not start anew. */
static bool parse(const char *text, uint32_t *next)
{
    char *end = NULL;
    unsigned long number = strtoul(text, &end, 10);

    *next = (uint32_t)number;
    return text[0] >= '0' && text[0] <= '9' && strcmp(end, "\n") == 0 && number <= IDS;
}

static bool read_next(const store *s, uint32_t *next)
{
    char text[TEXT_SIZE] = "";
    int fd = openat(s->directory_fd, s->name, O_RDONLY | O_CLOEXEC);

    *next = 0;
    if (fd < 0)
        return errno == ENOENT || failed(s, "cannot open it");
    ssize_t got = read(fd, text, sizeof text - 1);
    int error = errno;
    close(fd);
    errno = error;
    if (got < 0)
        return failed(s, "cannot read it");
    if (parse(text, next))
        return true;
    log_line("%s: %s/%s: does not hold a sender id; new keys are needed", s->what, s->directory,
             s->name);
    return false;
}

/* Written beside the old file, brought to the disk, and only then put in its place. */
static bool write_next(const store *s, uint32_t next)
{
    char text[TEXT_SIZE];
    char beside[sizeof s->name + sizeof ".new"];
    int len = snprintf(text, sizeof text, "%" PRIu32 "\n", next);

    snprintf(beside, sizeof beside, "%s.new", s->name);
    int fd = openat(s->directory_fd, beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return failed(s, "cannot write beside it");
    errno = ENOSPC; /* what a short write means */
    bool done = write(fd, text, (size_t)len) == len && fsync(fd) == 0;
    int error = errno;
    close(fd);
    errno = error;
    if (!done)
        return failed(s, "cannot write beside it");
    if (renameat(s->directory_fd, beside, s->directory_fd, s->name) != 0 ||
        fsync(s->directory_fd) != 0)
        return failed(s, "cannot replace it");
    return true;
}

static bool take(store *s, uint32_t *id)
{
    uint32_t next = 0;

    if (!open_directory(s) || !lock(s) || !read_next(s, &next))
        return false;
    if (next >= IDS) {
        log_line("%s: the key has been taken up %d times, which is the limit: new keys are needed",
                 s->what, IDS);
        return false;
    }
    if (!write_next(s, next + 1))
        return false;
    *id = next;
    return true;
}

bool sender_id_take(const char *what, const char *directory,
                    const uint8_t key_digest[SENDER_ID_DIGEST_SIZE], uint32_t *id)
{
    store s = {.what = what, .directory = directory, .directory_fd = -1, .lock_fd = -1};

    for (size_t i = 0; i < NAME_BYTES; i++)
        snprintf(s.name + 2 * i, 3, "%02x", key_digest[i]);
    bool done = take(&s, id);
    if (s.lock_fd >= 0)
        close(s.lock_fd); /* which unlocks it */
    if (s.directory_fd >= 0)
        close(s.directory_fd);
    return done;
}
