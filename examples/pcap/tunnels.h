/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The distinct tunnels that a capture holds, and what was seen of each.
 */
#ifndef PCAP_TUNNELS_H
#define PCAP_TUNNELS_H

#include "source.h"

#include <stdbool.h>
#include <tunnelcap/tunnelcap.h>

/* What tells one tunnel from another; without padding, so that it can be compared as bytes. */
struct tunnel_identity {
    tunnelcap_addr local;  /* our end: outer destination of what arrives */
    tunnelcap_addr remote; /* the far end */
    uint32_t key;          /* GRE key or ESP SPI */
    uint16_t udp_port;     /* destination port, 0 if not in UDP */
    uint8_t kind;          /* TUNNELCAP_KIND_ */
    uint8_t has_key;       /* `key` means something */
};

struct key;
struct scope;

struct tunnel {
    struct tunnel_identity identity;
    struct tunnel *next; /* in order of appearance */
    uint64_t packets;
    uint64_t bytes;      /* of outer IP packets */
    uint32_t seen;       /* TUNNELCAP_PEEK_ flags of its packets */
    struct key *key;     /* ESP: the SA that decrypts it; NULL if there is none */
    int32_t status;      /* negative: why packets of this tunnel cannot be carried */
    uint32_t inner_mtu;  /* largest inner packet on a path of DEPLOY_PATH_MTU; 0 if not known */
    struct scope *scope; /* report: where its packets count */
    uint8_t way;         /* report: and in which direction */
};

/* Empty when all zero. */
struct tunnel_set {
    struct tunnel *first;
    struct tunnel *last;
    void *tree; /* of tsearch() */
    uint32_t count;
};

/* Who a packet that arrives belongs to, from a look at it that found a tunnel. */
struct tunnel_identity tunnel_identify(const tunnelcap_peek_result *peek);

/* The tunnel of that identity, or NULL. */
struct tunnel *tunnel_set_find(const struct tunnel_set *set,
                               const struct tunnel_identity *identity);

/* The tunnel of that identity, new if need be; NULL after a message if memory is short. */
struct tunnel *tunnel_set_add(struct tunnel_set *set, const struct tunnel_identity *identity);

/* Enter the tunnel of a packet, looked at with success, and count the packet there. NULL after a
 * message. */
struct tunnel *tunnel_set_note(struct tunnel_set *set, const struct frame *frame,
                               const tunnelcap_peek_result *peek);

/* Give back the memory of a set. */
void tunnel_set_free(struct tunnel_set *set);

/* Name a kind of tunnel, as --only and the summaries do. */
const char *tunnel_kind_name(uint8_t kind);

/* The kind of that name; TUNNELCAP_KIND_NONE if there is none. */
uint8_t tunnel_kind_parse(const char *name);

#endif
