/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "sink.h"

#include <err.h>
#include <errno.h>

bool sink_open(struct sink *sink, const char *path, pcap_t *shape)
{
    *sink = (struct sink){0};
    if (!output_open(&sink->output, path))
        return false;
    /* libpcap closes the file, also where it fails. */
    sink->dumper = pcap_dump_fopen(shape, sink->output.file);
    sink->output.file = NULL;
    if (!sink->dumper) {
        warnx("%s: %s", sink->output.name, pcap_geterr(shape));
        sink_abandon(sink);
        return false;
    }
    return true;
}

bool sink_write(struct sink *sink, struct timeval ts, const uint8_t *bytes, uint32_t len,
                uint32_t wire_len)
{
    struct pcap_pkthdr header = {.ts = ts, .caplen = len, .len = wire_len};

    /* pcap_dump() reports nothing; an error that the stream remembers has set errno just now. */
    errno = 0;
    pcap_dump((u_char *)sink->dumper, &header, bytes);
    if (ferror(pcap_dump_file(sink->dumper))) {
        output_complain(&sink->output);
        return false;
    }
    sink->written++;
    return true;
}

bool sink_commit(struct sink *sink)
{
    errno = 0;
    if (pcap_dump_flush(sink->dumper)) {
        output_complain(&sink->output);
        sink_abandon(sink);
        return false;
    }
    pcap_dump_close(sink->dumper);
    sink->dumper = NULL;
    return output_commit(&sink->output);
}

void sink_abandon(struct sink *sink)
{
    if (sink->dumper)
        pcap_dump_close(sink->dumper);
    sink->dumper = NULL;
    output_abandon(&sink->output);
}
