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

struct crew;

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

/* Numbers of an outbound SA that has ended: those from `next` on were not sent. */
typedef struct ipsec_unsent {
    sequence *numbers; /* NULL if there are none to give back */
    uint64_t next;
} ipsec_unsent;

/* Only the control thread changes it, and while others read it only between crew_hold() and
 * crew_release(). */
typedef struct ipsec_tunnel {
    const config_tunnel *conf;
    const config_tunnel *conf_before; /* while `next` is being made; NULL for a new tunnel */
    tunnelcap_addr peer_before;
    uint16_t peer_port_before;
    bool leaves;         /* while `next` is being made: the tunnel is not in it */
    bool follows;        /* no far end is configured: others tell where it is */
    tunnelcap_addr peer; /* family 0 until the far end has shown itself */
    uint16_t peer_port;  /* its UDP port, if it has shown one; else 0 */
    int64_t settled_ms;  /* until then the peer stays */
    ipsec_set now;       /* in the table */
    ipsec_set next;      /* being made; shares SAs that stay with `now` */
    ipsec_unsent unsent; /* to be given back once threads go on: the disk takes its time */
    uint64_t kept_alive; /* packets sent when the last NAT keepalive was due */
    int32_t life;        /* of the outbound SA, as told last: TUNNELCAP_OK or why to rekey */
    bool paused;         /* the outbound SA is not in the table: it waits for numbers */
} ipsec_tunnel;

typedef struct ipsec {
    const tunnelcap_crypto *crypto; /* NULL in a build without */
    tunnelcap_table *table;
    struct crew *crew;
    bool held; /* the crew, from reading an SA's numbers until the table has its successor */
    sequence_writer *writer;
    ipsec_tunnel **tunnels; /* one for each tunnel that is IPsec */
    size_t count;
    ipsec_tunnel **by_id; /* from 0 to the largest, NULL where there is no IPsec tunnel */
    uint64_t most_id;
} ipsec;

/* How it stands with the sequence numbers of a tunnel that has sent something. */
enum {
    IPSEC_NUMBERS_PLENTY,
    IPSEC_NUMBERS_FEW, /* those that were sent are reserved; the control thread is to hear of it */
    IPSEC_NUMBERS_NONE /* not all that were taken are reserved: what has them must not be sent */
};

/* Prepare to read keys. No tunnel will ever have a larger id. False after a line that
 * says what is wrong; the caller closes it then too. */
bool ipsec_open(ipsec *all, const config *conf, uint64_t most_id);

/* Whether all key files are right. Takes no sender ids. False after lines that say what is not. */
bool ipsec_check(ipsec *all);

/* Give the tunnels their first SAs, in the table and for the threads. False after lines that say
 * what is wrong. */
bool ipsec_load(ipsec *all, tunnelcap_table *table, struct crew *threads);

/*
 * The same once more, for another configuration that has adopted the ids of the one that runs, or
 * for other key files: all tunnels change, in one step, or none. SAs that files still hold stay as
 * they are, with their numbers.
 *
 * First make what is new; nothing changes yet. False after lines that say what is wrong: then all
 * is as before.
 */
bool ipsec_prepare(ipsec *all, const config *conf);

/* Then enter it in the table, which is in change, and from which tunnels that leave have been
 * removed. False after a line; then ipsec_drop() is to follow. */
bool ipsec_stage(ipsec *all);

/* Commit the table's change and end what is not in it any more; or forget what was made. */
void ipsec_commit(ipsec *all);
void ipsec_drop(ipsec *all);

/* Whether what was made for a tunnel is other than what it has. */
bool ipsec_differs(const ipsec_tunnel *tunnel);

/* Where ESP in UDP arrives for a tunnel, also for one that is being made; 0 without UDP. */
uint16_t ipsec_port(const ipsec_tunnel *tunnel);

/* Forget and end all SAs, once no thread carries packets any more. */
void ipsec_close(ipsec *all);

/* The IPsec tunnel of this id, or NULL. */
ipsec_tunnel *ipsec_find(const ipsec *all, uint64_t id);

/* Whether the far end has moved, as a packet tells that came from there and that an SA of the
 * tunnel has verified: from any thread. */
bool ipsec_has_moved(const ipsec_tunnel *tunnel, const tunnelcap_addr *from, uint16_t port,
                     int64_t now_ms);

/* Send to where packets come from, from now on, if the far end is not configured. */
void ipsec_move(ipsec *all, ipsec_tunnel *tunnel, const tunnelcap_addr *from, uint16_t port,
                int64_t now_ms);

/* Look at the numbers of a tunnel after a burst and before it is sent: IPSEC_NUMBERS_, from any
 * thread. Has more of them reserved in good time. */
int ipsec_numbers(const ipsec_tunnel *tunnel, int64_t now_ms);

/* A tunnel that has too few numbers left, since the disk does not take a reservation, pauses until
 * it has. */
void ipsec_reserve(ipsec *all, int64_t now_ms);

/* Tell the operator when the outbound SA nears its end. */
void ipsec_watch_life(ipsec_tunnel *tunnel, int64_t now_ms);

/* Whether a NAT keepalive is due: in UDP, and nothing sent since the last time. */
bool ipsec_keepalive_due(ipsec_tunnel *tunnel);

/* Have all threads stand still until the table has changed, or has not. */
void ipsec_hold(ipsec *all);

#endif
