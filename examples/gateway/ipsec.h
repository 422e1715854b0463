/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The security associations (SAs) of the IPsec tunnels: read from key files, given to the table,
 * replaced while packets pass, and ended.
 */
#ifndef TUNNELCAP_GATEWAY_IPSEC_H
#define TUNNELCAP_GATEWAY_IPSEC_H

#include "config.h"
#include "sender_id.h"
#include "sequence.h"

/* An SA, and what tells whether a key file still holds it. */
typedef struct ipsec_sa {
    tunnelcap_esp *esp; /* NULL if there is none */
    uint32_t spi;
    uint8_t digest[SENDER_ID_DIGEST_SIZE]; /* of all that the file says about it */
} ipsec_sa;

/* What a key file comes to. */
typedef struct ipsec_set {
    ipsec_sa out; /* without esp while nobody knows where to send */
    ipsec_sa *in;
    size_t in_count;
    uint8_t key_digest[SENDER_ID_DIGEST_SIZE]; /* of the outbound key */
    uint32_t sender_id;                        /* of the outbound SA */
    sequence *numbers;                         /* of the outbound SA */
    uint64_t seq_first;                        /* the first one with this sender id */
    uint32_t mtu;                              /* inner, by what is known without packets */
    uint16_t local_port;                       /* where ESP in UDP arrives; 0 without UDP */
} ipsec_set;

typedef struct ipsec_tunnel {
    const config_tunnel *conf;
    tunnelcap_addr peer; /* family 0 until the far end has shown itself */
    uint16_t peer_port;  /* its UDP port, if it has shown one; else 0 */
    int64_t settled_ms;  /* until then the peer stays */
    ipsec_set now;       /* in the table */
    ipsec_set next;      /* being made; shares SAs that stay with `now` */
    uint64_t kept_alive; /* packets sent when the last NAT keepalive was due */
    int32_t life;        /* of the outbound SA, as told last: TUNNELCAP_OK or why to rekey */
    bool sent;           /* in the burst at hand */
    bool paused;         /* the outbound SA is not in the table: it waits for numbers */
} ipsec_tunnel;

typedef struct ipsec {
    const tunnelcap_crypto *crypto; /* NULL if there is no IPsec tunnel */
    tunnelcap_table *table;
    tunnelcap_lane *lane;
    sequence_writer *writer;
    ipsec_tunnel *tunnels; /* one for each tunnel that is IPsec */
    size_t count;
    ipsec_tunnel **by_id; /* one for each tunnel there is, NULL if it is not IPsec */
    size_t id_count;
} ipsec;

/* Prepare to read keys: find the crypto provider if it is needed. False after a line that says
 * what is wrong; the caller closes it then too. */
bool ipsec_open(ipsec *all, const config *conf);

/* Whether all key files are right. Takes no sender ids. False after lines that say what is not. */
bool ipsec_check(ipsec *all);

/* Give the tunnels their SAs, in the table and for the lane. The same once more after key files
 * have changed: then all tunnels change, in one step, or none; SAs that files still hold stay as
 * they are, with their numbers. False after lines that say what is wrong. */
bool ipsec_load(ipsec *all, tunnelcap_table *table, tunnelcap_lane *lane);

/* Forget and end all SAs. */
void ipsec_close(ipsec *all);

/* The IPsec tunnel of this id, or NULL. */
ipsec_tunnel *ipsec_find(const ipsec *all, uint64_t id);

/* Note where a packet came from that an SA of the tunnel has verified: a far end that is not
 * configured is sent to from then on. */
void ipsec_heard(ipsec *all, ipsec_tunnel *tunnel, const tunnelcap_addr *from, uint16_t port,
                 int64_t now_ms);

/* After each burst in which tunnels were marked as `sent`: see to it that there are sequence
 * numbers for another one. A tunnel that has too few left, since the disk does not take a
 * reservation, pauses until it has. */
void ipsec_reserve(ipsec *all, int64_t now_ms);

/* Tell the operator when the outbound SA nears its end. */
void ipsec_watch_life(ipsec_tunnel *tunnel, int64_t now_ms);

/* Whether a NAT keepalive is due: in UDP, and nothing sent since the last time. */
bool ipsec_keepalive_due(ipsec_tunnel *tunnel);

#endif
