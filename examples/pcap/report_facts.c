/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * What a report says in words.
 */
#include "report.h"

#include <inttypes.h>

uint32_t report_notes(const struct report *report, char notes[REPORT_NOTES][REPORT_NAME_SIZE])
{
    char time[REPORT_NAME_SIZE];
    uint32_t count = 0;

    if (report->fragments)
        snprintf(notes[count++], REPORT_NAME_SIZE,
                 "%" PRIu64 " fragments made %" PRIu64 " packets; %" PRIu64 " were refused",
                 report->fragments, report->joined, report->unfit);
    if (report->late)
        snprintf(notes[count++], REPORT_NAME_SIZE,
                 "%" PRIu64
                 " frames have a time before that of one ahead of them; they count at its time",
                 report->late);
    if (report->start_s > report->first_ns / 1000000000)
        snprintf(notes[count++], REPORT_NAME_SIZE, "charts begin %.40s",
                 report_time(report->start_s * 1000000000, time));
    if (report->untold)
        snprintf(notes[count++], REPORT_NAME_SIZE,
                 "%" PRIu64 " packets are of tunnels beyond the first %d", report->untold,
                 REPORT_MOST_TUNNELS);
    return count;
}

uint64_t report_refused(const struct direction *direction)
{
    uint64_t refused = 0;
    int32_t status;

    for (uint32_t i = 0; i < REPORT_STATUSES && !tunnelcap_status_at(i, &status); i++)
        refused += status < 0 ? direction->statuses[i] : 0;
    return refused;
}

static void put(struct fact *facts, uint32_t *used, uint64_t count, const char *text)
{
    if (!count)
        return;
    facts[*used] = (struct fact){.count = count};
    snprintf(facts[(*used)++].text, REPORT_NAME_SIZE, "%s", text);
}

uint32_t report_facts(const struct direction *direction, struct fact facts[REPORT_FACTS])
{
    char text[REPORT_NAME_SIZE];
    uint32_t used = 0;
    int32_t status;

    put(facts, &used, direction->clamped, "SYNs offer a larger MSS than fits");
    put(facts, &used, direction->joined, "packets came in fragments");
    put(facts, &used, direction->inner_fragments, "inner packets are fragments");
    snprintf(text, sizeof text, "ICMP errors say \"too big\": the path's MTU is %" PRIu32,
             direction->lowest_mtu);
    put(facts, &used, direction->too_big, text);
    for (uint32_t i = 0; i < REPORT_STATUSES && !tunnelcap_status_at(i, &status); i++) {
        if (status >= 0 || !direction->statuses[i])
            continue;
        put(facts, &used, direction->statuses[i], tunnelcap_status_text(status));
        facts[used - 1].status = status;
    }
    return used;
}
