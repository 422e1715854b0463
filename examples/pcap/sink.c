/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "sink.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
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
static int open_temporary(struct sink *sink, const char *path)
{
    size_t room = strlen(path) + sizeof ".4294967295.part";
    int fd;

    sink->temporary = malloc(room);
    if (!sink->temporary)
        return -1;
    snprintf(sink->temporary, room, "%s.%u.part", path, (unsigned)getpid());
    fd = open(sink->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) {
        free(sink->temporary);
        sink->temporary = NULL;
        return -1;
    }
    sink->path = path;
    unfinished = sink->temporary;
    guard_signals();
    return fd;
}

static int open_target(struct sink *sink, const char *path)
{
    struct stat facts;

    if (!strcmp(path, "-"))
        return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
    /* Renaming over a device or a pipe would replace it by a file. */
    if (!stat(path, &facts) && !S_ISREG(facts.st_mode))
        return open(path, O_WRONLY | O_CLOEXEC);
    return open_temporary(sink, path);
}

bool sink_open(struct sink *sink, const char *path, pcap_t *shape)
{
    FILE *file;
    int fd;

    *sink = (struct sink){.name = strcmp(path, "-") ? path : "standard output"};
    fd = open_target(sink, path);
    file = fd < 0 ? NULL : fdopen(fd, "wb");
    if (!file) {
        warn("%s", sink->name);
        if (fd >= 0)
            close(fd);
        sink_abandon(sink);
        return false;
    }
    /* libpcap closes the file where it fails. */
    sink->dumper = pcap_dump_fopen(shape, file);
    if (!sink->dumper) {
        warnx("%s: %s", sink->name, pcap_geterr(shape));
        sink_abandon(sink);
        return false;
    }
    return true;
}

static void complain(const struct sink *sink)
{
    warnx("%s: %s", sink->name, errno ? strerror(errno) : "write error");
}

bool sink_write(struct sink *sink, struct timeval ts, const uint8_t *bytes, uint32_t len,
                uint32_t wire_len)
{
    struct pcap_pkthdr header = {.ts = ts, .caplen = len, .len = wire_len};

    /* pcap_dump() reports nothing; an error that the stream remembers has set errno just now. */
    errno = 0;
    pcap_dump((u_char *)sink->dumper, &header, bytes);
    if (ferror(pcap_dump_file(sink->dumper))) {
        complain(sink);
        return false;
    }
    sink->written++;
    return true;
}

bool sink_commit(struct sink *sink)
{
    errno = 0;
    if (pcap_dump_flush(sink->dumper)) {
        complain(sink);
        sink_abandon(sink);
        return false;
    }
    pcap_dump_close(sink->dumper);
    sink->dumper = NULL;
    if (sink->temporary && rename(sink->temporary, sink->path)) {
        warn("%s", sink->path);
        sink_abandon(sink);
        return false;
    }
    unfinished = NULL;
    free(sink->temporary);
    sink->temporary = NULL;
    return true;
}

void sink_abandon(struct sink *sink)
{
    if (sink->dumper)
        pcap_dump_close(sink->dumper);
    sink->dumper = NULL;
    unfinished = NULL;
    if (sink->temporary)
        unlink(sink->temporary);
    free(sink->temporary);
    sink->temporary = NULL;
}
