/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "output.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a signal has to remove: unlink() is allowed in a handler, little else is. */
static const char *volatile unfinished;

static void remove_unfinished(int number)
{
    if (unfinished)
        unlink(unfinished);
    raise(number); /* SA_RESETHAND: now with the default action */
}

static void guard_signals(void)
{
    static const int deadly[] = {SIGHUP, SIGINT, SIGTERM, SIGXCPU, SIGXFSZ};
    struct sigaction action = {.sa_handler = remove_unfinished,
                               .sa_flags = (int)(SA_RESETHAND | SA_NODEFER)};

    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof deadly / sizeof deadly[0]; i++) {
        struct sigaction before;

        /* What nohup(1) and the like have set to be ignored stays so. */
        if (!sigaction(deadly[i], NULL, &before) && before.sa_handler != SIG_IGN)
            sigaction(deadly[i], &action, NULL);
    }
}

/* A name beside the final one, so that the last step is a rename on one file system. */
static int open_temporary(struct output *output, const char *path)
{
    size_t room = strlen(path) + sizeof ".4294967295.part";
    int fd;

    output->temporary = malloc(room);
    if (!output->temporary)
        return -1;
    snprintf(output->temporary, room, "%s.%u.part", path, (unsigned)getpid());
    fd = open(output->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) {
        free(output->temporary);
        output->temporary = NULL;
        return -1;
    }
    output->path = path;
    unfinished = output->temporary;
    guard_signals();
    return fd;
}

static int open_target(struct output *output, const char *path)
{
    struct stat facts;

    if (!strcmp(path, "-"))
        return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
    /* Renaming over a device or a pipe would replace it by a file. */
    if (!stat(path, &facts) && !S_ISREG(facts.st_mode))
        return open(path, O_WRONLY | O_CLOEXEC);
    return open_temporary(output, path);
}

bool output_open(struct output *output, const char *path)
{
    int fd;

    *output = (struct output){.name = strcmp(path, "-") ? path : "standard output"};
    fd = open_target(output, path);
    output->file = fd < 0 ? NULL : fdopen(fd, "wb");
    if (output->file)
        return true;
    warn("%s", output->name);
    if (fd >= 0)
        close(fd);
    output_abandon(output);
    return false;
}

void output_complain(const struct output *output)
{
    warnx("%s: %s", output->name, errno ? strerror(errno) : "write error");
}

bool output_commit(struct output *output)
{
    bool failed;

    errno = 0;
    if (output->file) {
        failed = ferror(output->file) | fflush(output->file);
        if (failed) {
            output_complain(output);
            output_abandon(output);
            return false;
        }
        fclose(output->file);
        output->file = NULL;
    }
    if (output->temporary && rename(output->temporary, output->path)) {
        warn("%s", output->path);
        output_abandon(output);
        return false;
    }
    unfinished = NULL;
    free(output->temporary);
    output->temporary = NULL;
    return true;
}

void output_abandon(struct output *output)
{
    if (output->file)
        fclose(output->file);
    output->file = NULL;
    unfinished = NULL;
    if (output->temporary)
        unlink(output->temporary);
    free(output->temporary);
    output->temporary = NULL;
}
