/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "link.h"

#include <pcap/pcap.h>
#include <tunnelcap/packet.h>

/* Numbers that <pcap/dlt.h> gives other names, or none, on this system. */
enum { DLT_RAW_101 = 101, DLT_RAW_OPENBSD = 14 };

/* Tags that say "another tag or EtherType follows": 802.1Q, 802.1ad, and QinQ before it. */
enum { TPID_8021Q = 0x8100, TPID_8021AD = 0x88a8, TPID_QINQ = 0x9100 };

/* How a link type says what follows. */
enum marker {
    MARKER_NONE,      /* it does not: look at the IP version */
    MARKER_ETHERTYPE, /* two bytes of EtherType */
    MARKER_FAMILY     /* four bytes of address family, in either byte order */
};

struct link_layout {
    int dlt;
    uint8_t header; /* bytes of link header */
    uint8_t at;     /* of the marker */
    enum marker marker;
};

static const struct link_layout layouts[] = {
    {DLT_EN10MB, 14, 12, MARKER_ETHERTYPE},
    {DLT_LINUX_SLL, 16, 14, MARKER_ETHERTYPE},
    {DLT_LINUX_SLL2, 20, 0, MARKER_ETHERTYPE},
    {DLT_NULL, 4, 0, MARKER_FAMILY},
    {DLT_LOOP, 4, 0, MARKER_FAMILY},
    {DLT_RAW, 0, 0, MARKER_NONE},
    {DLT_RAW_101, 0, 0, MARKER_NONE},
    {DLT_RAW_OPENBSD, 0, 0, MARKER_NONE},
    {DLT_IPV4, 0, 0, MARKER_NONE},
    {DLT_IPV6, 0, 0, MARKER_NONE},
};

static const struct link_layout *find_layout(int dlt)
{
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++) {
        if (layouts[i].dlt == dlt)
            return &layouts[i];
    }
    return NULL;
}

bool link_supported(int dlt)
{
    return find_layout(dlt) != NULL;
}

int link_savefile(int dlt)
{
    const struct link_layout *layout = find_layout(dlt);

    /* libpcap writes only one of the numbers that raw IP has had. */
    return layout && layout->marker == MARKER_NONE && dlt != DLT_IPV4 && dlt != DLT_IPV6 ? DLT_RAW
                                                                                         : dlt;
}

static uint16_t load16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static bool is_tag(uint16_t ethertype)
{
    return ethertype == TPID_8021Q || ethertype == TPID_8021AD || ethertype == TPID_QINQ;
}

/* The IP version that an address family of a BSD loopback header stands for, 0 if none. */
static uint8_t family_version(const uint8_t *p)
{
    /* Host byte order of whoever captured: the number is small, so three bytes are zero. */
    uint8_t family = (uint8_t)(p[0] | p[3]);

    if (p[1] || p[2] || (p[0] && p[3]))
        return 0;
    switch (family) {
    case 2:
        return TUNNELCAP_IPV4;
    case 10: /* Linux */
    case 24: /* NetBSD, OpenBSD */
    case 28: /* FreeBSD */
    case 30: /* macOS */
        return TUNNELCAP_IPV6;
    default:
        return 0;
    }
}

struct link_view link_look(int dlt, const uint8_t *frame, uint32_t len)
{
    static const struct link_view nothing = {0};
    const struct link_layout *layout = find_layout(dlt);
    struct link_view view = {0};
    uint8_t announced = 0;

    if (!layout || len <= layout->header)
        return nothing;
    view.offset = layout->header;
    if (layout->marker == MARKER_FAMILY) {
        announced = family_version(frame + layout->at);
    } else if (layout->marker == MARKER_ETHERTYPE) {
        uint16_t ethertype = load16(frame + layout->at);

        while (is_tag(ethertype) && len - view.offset > 4) {
            ethertype = load16(frame + view.offset + 2);
            view.offset += 4;
            view.vlan_tags++;
        }
        if (ethertype == TUNNELCAP_ETHERTYPE_IPV4)
            announced = TUNNELCAP_IPV4;
        else if (ethertype == TUNNELCAP_ETHERTYPE_IPV6)
            announced = TUNNELCAP_IPV6;
    }
    view.version = frame[view.offset] >> 4;
    if (layout->marker == MARKER_NONE)
        announced = view.version;
    if (announced != view.version ||
        (view.version != TUNNELCAP_IPV4 && view.version != TUNNELCAP_IPV6))
        return nothing;
    return view;
}

uint32_t link_ip_length(const uint8_t *packet, uint32_t len)
{
    if (len >= 20 && packet[0] >> 4 == TUNNELCAP_IPV4)
        return load16(packet + 2);
    /* A payload length of 0 announces a jumbogram, which no tunnel here carries. */
    if (len >= 40 && packet[0] >> 4 == TUNNELCAP_IPV6 && load16(packet + 4))
        return 40u + load16(packet + 4);
    return 0;
}
