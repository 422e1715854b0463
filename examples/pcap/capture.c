/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "capture.h"

#include "summary.h"

#include <err.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Enough for an IP header with extensions and a TCP header. */
enum { HEADERS_SIZE = 2048 };

struct capture *capture_new(int link_type)
{
    struct capture *capture = calloc(1, sizeof *capture);

    if (!capture)
        warn("summary");
    else
        capture->link_type = link_type;
    return capture;
}

void capture_count_frame(struct capture *capture, const struct frame *frame)
{
    if (frame->link.version == TUNNELCAP_IPV4)
        capture->ipv4++;
    else if (frame->link.version == TUNNELCAP_IPV6)
        capture->ipv6++;
    else
        capture->other++;
    capture->vlan += frame->link.vlan_tags > 0;
}

/* Clamp a copy of a packet's headers: a capture that is only looked at is not changed. */
static int32_t try_clamp(const tunnelcap_pkt *pkt, uint16_t limit)
{
    uint8_t headers[HEADERS_SIZE];
    tunnelcap_pkt copy = {.buf = headers, .cap = sizeof headers};
    tunnelcap_mss_config config;

    copy.len = pkt->len < sizeof headers ? pkt->len : (uint32_t)sizeof headers;
    memcpy(headers, pkt->buf + pkt->off, copy.len);
    tunnelcap_mss_config_init(&config, sizeof config, 0);
    config.flags = TUNNELCAP_MSS_BELOW_FLOOR;
    config.limit4 = limit;
    config.limit6 = limit;
    tunnelcap_mss_clamp(&config, &copy, NULL, 0, 1);
    return copy.status;
}

/*
 * The MSS of a SYN is the lowest limit that leaves it alone. Asking the library keeps the walk
 * through headers and options in one place; SYNs are rare enough for sixteen questions.
 */
static uint16_t find_mss(const tunnelcap_pkt *pkt)
{
    uint16_t low = 1;
    uint16_t high = UINT16_MAX;

    while (low < high) {
        uint16_t middle = (uint16_t)(low + (high - low) / 2);

        if (try_clamp(pkt, middle) == TUNNELCAP_MSS_CLAMPED)
            low = (uint16_t)(middle + 1);
        else
            high = middle;
    }
    return low;
}

void capture_count_syn(struct capture *capture, const tunnelcap_pkt *pkt, bool tunnelled)
{
    switch (try_clamp(pkt, UINT16_MAX)) {
    case TUNNELCAP_MSS_SMALL:
        capture->syns++;
        capture->mss[tunnelled][find_mss(pkt)]++;
        break;
    case TUNNELCAP_MSS_ABSENT:
        capture->syns++;
        capture->no_mss++;
        break;
    case TUNNELCAP_MSS_PROTECTED:
        capture->syns++;
        capture->tcp_ao++;
        break;
    case TUNNELCAP_E_MALFORMED:
        capture->malformed++;
        break;
    case TUNNELCAP_E_TRUNCATED:
        capture->truncated++;
        break;
    default:
        break;
    }
}

static const char *link_name(const struct capture *capture)
{
    const char *name = pcap_datalink_val_to_name(capture->link_type);

    return name ? name : "unknown";
}

void capture_print(const struct capture *capture, FILE *out)
{
    fprintf(out,
            "link type %s: %" PRIu64 " IPv4, %" PRIu64 " IPv6, %" PRIu64 " other, %" PRIu64
            " VLAN-tagged\n",
            link_name(capture), capture->ipv4, capture->ipv6, capture->other, capture->vlan);
    fprintf(out,
            "TCP SYN: %" PRIu64 ", without MSS: %" PRIu64 ", with TCP-AO: %" PRIu64
            ", TCP malformed: %" PRIu64 ", truncated: %" PRIu64 "\n",
            capture->syns, capture->no_mss, capture->tcp_ao, capture->malformed,
            capture->truncated);
    for (int tunnelled = 0; tunnelled < 2; tunnelled++) {
        for (uint32_t mss = 0; mss < CAPTURE_MSS_VALUES; mss++) {
            if (capture->mss[tunnelled][mss])
                fprintf(out, "%12" PRIu64 "  MSS %" PRIu32 "%s\n", capture->mss[tunnelled][mss],
                        mss, tunnelled ? " in a tunnel" : "");
        }
    }
}

static json_t *mss_json(const struct capture *capture)
{
    json_t *values = json_array();

    for (int tunnelled = 0; tunnelled < 2; tunnelled++) {
        for (uint32_t mss = 0; mss < CAPTURE_MSS_VALUES; mss++) {
            json_t *value;

            if (!capture->mss[tunnelled][mss])
                continue;
            value = json_object();
            summary_put(value, "mss", mss);
            json_object_set_new(value, "tunnelled", json_boolean(tunnelled));
            summary_put(value, "packets", capture->mss[tunnelled][mss]);
            json_array_append_new(values, value);
        }
    }
    return values;
}

void capture_add_json(const struct capture *capture, json_t *object)
{
    json_t *link = json_object();
    json_t *syn = json_object();

    json_object_set_new(link, "type", json_string(link_name(capture)));
    summary_put(link, "ipv4", capture->ipv4);
    summary_put(link, "ipv6", capture->ipv6);
    summary_put(link, "other", capture->other);
    summary_put(link, "vlan", capture->vlan);
    json_object_set_new(object, "link", link);
    summary_put(syn, "packets", capture->syns);
    summary_put(syn, "without_mss", capture->no_mss);
    summary_put(syn, "tcp_ao", capture->tcp_ao);
    summary_put(syn, "malformed", capture->malformed);
    summary_put(syn, "truncated", capture->truncated);
    json_object_set_new(syn, "mss", mss_json(capture));
    json_object_set_new(object, "syn", syn);
}

void capture_free(struct capture *capture)
{
    free(capture);
}
