/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "source.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Copy an input that cannot be read twice into a temporary file. */
static bool spool_input(struct source *source)
{
    static char chunk[1 << 16];
    ssize_t got;

    source->spool = tmpfile();
    if (!source->spool) {
        warn("%s: temporary file", source->name);
        return false;
    }
    while ((got = read(source->fd, chunk, sizeof chunk)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            warn("%s", source->name);
            return false;
        }
        if (fwrite(chunk, 1, (size_t)got, source->spool) != (size_t)got) {
            warn("%s: temporary file", source->name);
            return false;
        }
    }
    if (fflush(source->spool)) {
        warn("%s: temporary file", source->name);
        return false;
    }
    if (source->fd != STDIN_FILENO)
        close(source->fd);
    source->fd = fileno(source->spool);
    return true;
}

/*
 * Nanoseconds where the file may have them. libpcap scales to either precision but does not
 * tell which one a file is written in, and a pcapng file has one for each interface.
 */
static unsigned file_precision(int fd)
{
    static const uint8_t magic_micro[2][4] = {{0xa1, 0xb2, 0xc3, 0xd4}, {0xd4, 0xc3, 0xb2, 0xa1}};
    uint8_t magic[4] = {0};

    if (pread(fd, magic, sizeof magic, 0) != (ssize_t)sizeof magic ||
        !memcmp(magic, magic_micro[0], sizeof magic) ||
        !memcmp(magic, magic_micro[1], sizeof magic))
        return PCAP_TSTAMP_PRECISION_MICRO;
    return PCAP_TSTAMP_PRECISION_NANO;
}

bool source_open(struct source *source, const char *path)
{
    bool standard = !strcmp(path, "-");
    struct stat facts;
    int dlt;

    *source = (struct source){.name = standard ? "standard input" : path};
    source->fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (source->fd < 0 || fstat(source->fd, &facts)) {
        warn("%s", source->name);
        return false;
    }
    if (S_ISDIR(facts.st_mode)) {
        warnx("%s: is a directory", source->name);
        return false;
    }
    if ((standard || !S_ISREG(facts.st_mode)) && !spool_input(source))
        return false;
    source->precision = file_precision(source->fd);
    if (!source_rewind(source))
        return false;
    dlt = pcap_datalink(source->pcap);
    if (!link_supported(dlt)) {
        const char *name = pcap_datalink_val_to_name(dlt);

        warnx("%s: link type %d (%s) is not Ethernet, raw IP, Linux cooked or BSD loopback",
              source->name, dlt, name ? name : "unknown");
        return false;
    }
    return true;
}

bool source_rewind(struct source *source)
{
    char why[PCAP_ERRBUF_SIZE];
    struct stat facts;
    FILE *file;
    int fd;

    if (source->pcap)
        pcap_close(source->pcap);
    source->pcap = NULL;
    source->frames = 0;
    if (lseek(source->fd, 0, SEEK_SET) < 0 || fstat(source->fd, &facts)) {
        warn("%s", source->name);
        return false;
    }
    progress_begin(&source->progress, (uint64_t)facts.st_size);
    fd = fcntl(source->fd, F_DUPFD_CLOEXEC, 0);
    file = fd < 0 ? NULL : fdopen(fd, "rb");
    if (!file) {
        warn("%s", source->name);
        if (fd >= 0)
            close(fd);
        return false;
    }
    source->pcap = pcap_fopen_offline_with_tstamp_precision(file, source->precision, why);
    if (!source->pcap) {
        fclose(file);
        warnx("%s: %s", source->name, why);
        return false;
    }
    return true;
}

/* A pcapng file can name years that nanoseconds in 64 bits do not reach. */
static uint64_t clamp_seconds(time_t seconds)
{
    const time_t most = INT64_MAX / 1000000000 - 1;

    if (seconds < 0)
        return 0;
    return (uint64_t)(seconds < most ? seconds : most);
}

static bool store_frame(const struct source *source, struct frame *frame,
                        const struct pcap_pkthdr *header, const uint8_t *bytes)
{
    uint64_t unit_ns = source->precision == PCAP_TSTAMP_PRECISION_NANO ? 1 : 1000;
    uint32_t needed = SOURCE_HEADROOM + header->caplen + SOURCE_TAILROOM;

    frame->header = *header;
    frame->joined = false;
    frame->time_ns =
        clamp_seconds(header->ts.tv_sec) * 1000000000 + (uint64_t)header->ts.tv_usec * unit_ns;
    frame->link = link_look(pcap_datalink(source->pcap), bytes, header->caplen);
    if (frame->cap < needed) {
        uint8_t *grown = realloc(frame->buf, needed);

        if (!grown)
            return false;
        frame->buf = grown;
        frame->cap = needed;
    }
    memcpy(frame_bytes(frame), bytes, header->caplen);
    return true;
}

bool source_read(struct source *source, struct batch *batch)
{
    batch->count = 0;
    while (batch->count < SOURCE_BATCH) {
        struct frame *frame = &batch->frames[batch->count];
        struct pcap_pkthdr *header;
        const uint8_t *bytes;
        int got = pcap_next_ex(source->pcap, &header, &bytes);

        if (got == PCAP_ERROR_BREAK)
            break;
        if (got != 1) {
            progress_end(&source->progress);
            warnx("%s: frame %llu: %s", source->name, (unsigned long long)source->frames + 1,
                  pcap_geterr(source->pcap));
            return false;
        }
        if (!store_frame(source, frame, header, bytes)) {
            warn("%s", source->name);
            return false;
        }
        source->frames++;
        batch->count++;
    }
    if (batch->count)
        progress_show(&source->progress, (uint64_t)ftello(pcap_file(source->pcap)));
    else
        progress_end(&source->progress);
    return true;
}

void source_close(struct source *source)
{
    progress_end(&source->progress);
    if (source->pcap)
        pcap_close(source->pcap);
    if (source->spool)
        fclose(source->spool);
    else if (source->fd > STDIN_FILENO)
        close(source->fd);
}

void batch_free(struct batch *batch)
{
    for (uint32_t i = 0; i < SOURCE_BATCH; i++)
        free(batch->frames[i].buf);
}

uint8_t *frame_bytes(const struct frame *frame)
{
    return frame->buf + SOURCE_HEADROOM;
}

tunnelcap_pkt frame_packet(const struct frame *frame)
{
    return (tunnelcap_pkt){
        .buf = frame->buf,
        .cap = frame->cap,
        .off = SOURCE_HEADROOM + frame->link.offset,
        .len = frame->header.caplen - frame->link.offset,
    };
}

int32_t frame_peek(const struct frame *frame, tunnelcap_peek_result *peek)
{
    tunnelcap_pkt pkt = frame_packet(frame);
    int32_t status;

    *peek = (tunnelcap_peek_result){.size = sizeof *peek};
    status = tunnelcap_peek(&pkt, NULL, peek);
    if (peek->kind == TUNNELCAP_KIND_IKE || peek->kind == TUNNELCAP_KIND_NAT_KEEPALIVE)
        peek->kind = TUNNELCAP_KIND_NONE;
    return status;
}
