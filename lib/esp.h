/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* The inside of a security association. */
#ifndef TUNNELCAP_I_ESP_H
#define TUNNELCAP_I_ESP_H

#include <tunnelcap/esp.h>

#include "atomic.h"
#include "outer.h"
#include "replay.h"
#include "selector.h"

enum { TUNNELCAP_I_ESP_HEADER = 8, TUNNELCAP_I_ESP_TRAILER = 2, TUNNELCAP_I_PAD_MAX = 255 };

struct tunnelcap_esp {
    tunnelcap_i_owner owner;
    uint8_t gap[TUNNELCAP_I_ALIGN - sizeof(tunnelcap_i_owner)];
    /* What lanes write has a cache line of its own, apart from what they only read. */
    tunnelcap_i_atomic64 seq_next; /* outbound; what was sent is counted by it */
    tunnelcap_i_atomic64 packets;  /* inbound */
    tunnelcap_i_atomic64 bytes;
    tunnelcap_i_replay replay;

    const tunnelcap_crypto *crypto;
    void *key; /* the provider's, behind this struct */
    uint32_t spi;
    uint16_t udp_dst_port;
    uint8_t flags; /* TUNNELCAP_ESP_ */
    uint8_t direction;
    uint8_t mode;
    uint8_t plain;       /* packets may take the short way: write_plain(), prepare_plain() */
    uint8_t any_address; /* inbound: no local address configured */
    uint8_t any_peer;    /* no remote address configured */
    uint8_t forms;       /* inbound: bit 0: bare packets are accepted, bit 1: those in UDP */
    uint32_t plain_tail; /* outbound: most bytes that go behind a plain packet */
    uint32_t plain_max;  /* outbound: largest plain packet that fits in whatever its padding */
    uint8_t udp_len;     /* outbound: 8 in UDP, else 0 */
    uint8_t head_len;    /* ESP header and IV */
    uint64_t salt;       /* from the left */
    tunnelcap_transform_info facts;
    tunnelcap_i_outer outer;
    uint32_t tfc_size;
    uint32_t tfc_multiple;
    /* Outbound: numbers from seq_first on, the IV running along; see esp.c. */
    uint64_t seq_first;
    uint64_t seq_end;   /* first number that is not to be sent */
    uint64_t seq_soft;  /* from here on, rekey */
    uint64_t iv_first;  /* IV of seq_first, sender id included */
    int32_t end_status; /* what seq_end means */
    uint64_t soft_packets, hard_packets, soft_bytes, hard_bytes, soft_ns, hard_ns;
    const tunnelcap_selector *selectors; /* the caller's */
    uint32_t selector_count;             /* 0: all packets */
    tunnelcap_i_atomic32 told;           /* 1: the table has told that a soft limit is reached */
    tunnelcap_i_atomic64 peer;           /* inbound: the last one's source, 0 before the first */
};

/* What is noted of a packet while the provider works on it. */
typedef struct tunnelcap_i_esp_job {
    tunnelcap_crypto_op op; /* first: lane->ops are jobs, too */
    tunnelcap_esp *esp;
    tunnelcap_pkt *pkt;
    const tunnelcap_meta *meta;
    const tunnelcap_i_outer *outer; /* outbound: its headers */
    tunnelcap_esp_rx *rx;           /* inbound: NULL, or where to tell what the packet said */
    tunnelcap_i_inner inner;        /* outbound, tunnel mode, if not plain */
    tunnelcap_i_opened o;           /* inbound */
    uint64_t peer;                  /* inbound: its source in one word */
    uint64_t seq;
    uint32_t text_len;    /* payload, TFC padding, padding, trailer */
    uint32_t payload_len; /* of it: payload */
    uint32_t at;          /* transport mode: where the ESP header goes in, from the IP header */
    uint32_t next_at;     /* transport mode: where the IP headers name what follows them */
    uint32_t index;       /* the caller's own */
    uint16_t rx_flags;    /* inbound: TUNNELCAP_ESP_RX_ flags of a verified packet */
    uint8_t next_header;
    uint8_t plain; /* takes the short way */
} tunnelcap_i_esp_job;

/* Does not compile where a lane has less scratch than a job takes. */
typedef char
    tunnelcap_i_esp_job_fits[sizeof(tunnelcap_i_esp_job) <= TUNNELCAP_I_LANE_SCRATCH ? 1 : -1];

/* The lane's scratch as jobs: max_burst of them. */
static inline tunnelcap_i_esp_job *tunnelcap_i_esp_jobs(const tunnelcap_lane *lane)
{
    return (tunnelcap_i_esp_job *)(void *)lane->scratch;
}

/* 1 if a lane can work for an SA. */
static inline uint32_t tunnelcap_i_esp_lane_ok(const tunnelcap_esp *esp, const tunnelcap_lane *lane)
{
    return lane->crypto == esp->crypto;
}

/* 1 if there is an SA, it is of a direction, and a lane can work for it. */
static inline uint32_t tunnelcap_i_esp_usable(const tunnelcap_esp *esp, const tunnelcap_lane *lane,
                                              uint8_t direction)
{
    return esp != NULL && esp->direction == direction && tunnelcap_i_esp_lane_ok(esp, lane);
}

/* Which job behind `at` is the first of another SA. */
static inline uint32_t tunnelcap_i_esp_run_end(const tunnelcap_i_esp_job *jobs, uint32_t at,
                                               uint32_t count)
{
    uint32_t end = at + 1;

    while (end < count && jobs[end].esp == jobs[at].esp)
        end++;
    return end;
}

/* Fetch what an SA to come will be asked for: what moves, what is fixed, and the template. */
TUNNELCAP_I_INLINE void tunnelcap_i_esp_prefetch(tunnelcap_esp *const *sas, uint32_t i,
                                                 uint32_t count)
{
#ifdef __GNUC__
    enum { AHEAD = 4, LINES = 6 };

    if (count - i > AHEAD && sas[i + AHEAD] != sas[i]) {
        for (uint32_t line = 1; line < LINES; line++)
            __builtin_prefetch((const uint8_t *)sas[i + AHEAD] + (size_t)64 * line);
    }
#else
    (void)sas, (void)i, (void)count;
#endif
}

/* Bytes of headers before the payload of an outbound SA. */
static inline uint32_t tunnelcap_i_esp_headroom(const tunnelcap_esp *esp)
{
    return esp->mode == TUNNELCAP_ESP_TUNNEL ? esp->outer.header_len
                                             : (uint32_t)esp->udp_len + esp->head_len;
}

/* Bytes that `payload` bytes become: padded, with trailer (RFC 4303 2.4), TFC padding included. */
static inline uint32_t tunnelcap_i_esp_text_len(const tunnelcap_esp *esp, uint32_t payload)
{
    uint32_t align = esp->facts.align;

    if (payload < esp->tfc_size)
        payload = esp->tfc_size;
    if (esp->tfc_multiple > 1)
        payload = (payload + esp->tfc_multiple - 1) / esp->tfc_multiple * esp->tfc_multiple;
    return (payload + TUNNELCAP_I_ESP_TRAILER + align - 1) & ~(align - 1); /* a power of two */
}

/* Say which text behind an ESP header the provider is to work on. */
TUNNELCAP_I_INLINE void tunnelcap_i_esp_place(const tunnelcap_esp *esp, tunnelcap_crypto_op *op,
                                              uint8_t *header, uint32_t text_len)
{
    op->key = esp->key;
    op->text = header + esp->head_len;
    op->icv = op->text + text_len;
    op->text_len = text_len;
    op->head_len = esp->head_len;
}

/* The nonce of counter modes: a salt of 3 or 4 bytes, the IV, and for CTR a block counter that
 * begins with 1 (RFC 3686 4). Like the next, written in numbers as wide as providers read them: a
 * read of two narrower ones has to wait until both have left the store buffer. */
TUNNELCAP_I_INLINE void tunnelcap_i_esp_nonce(const tunnelcap_esp *esp, tunnelcap_crypto_op *op,
                                              uint64_t iv)
{
    uint32_t salt_bits = 8u * esp->facts.salt_len;

    tunnelcap_i_store64(op->nonce, esp->salt | iv >> salt_bits);
    tunnelcap_i_store64(op->nonce + 8, iv << (64 - salt_bits) | !esp->facts.combined);
}

/* What authenticates an ESP header besides the text: SPI and number, its high half between. */
TUNNELCAP_I_INLINE void tunnelcap_i_esp_aad(const tunnelcap_esp *esp, tunnelcap_crypto_op *op,
                                            uint64_t seq)
{
    uint64_t spi = (uint64_t)esp->spi << 32;

    op->flags = 0;
    if (esp->flags & TUNNELCAP_ESP_ESN) {
        op->flags = TUNNELCAP_OP_ESN;
        tunnelcap_i_store32(op->aad + 8, (uint32_t)seq);
        seq >>= 32;
    }
    tunnelcap_i_store64(op->aad, spi | (uint32_t)seq);
}

/* ---- bursts, which may span SAs ----
 *
 * Packets become jobs 0, 1, ... of a lane, at most lane->max_burst of them, in three steps: prepare
 * one job after the other; run them all; look at each packet's status. SAs must be usable by the
 * lane: tunnelcap_i_esp_usable(). Packets and their meta must stay where they are meanwhile. */

/* Decide about one packet, without changing it or its SA. `outer` is the SA's own, or leads to
 * another far end of tunnel mode. With TUNNELCAP_OK, *job is filled: it is
 * to be run; with anything else, it may be used for the next packet. */
int32_t tunnelcap_i_esp_encap_prepare(tunnelcap_esp *esp, const tunnelcap_i_outer *outer,
                                      const tunnelcap_lane *lane, tunnelcap_pkt *pkt,
                                      const tunnelcap_meta *meta, tunnelcap_i_esp_job *job);

/* Number, write and seal the first `count` jobs of a lane, and set the status of their packets.
 * Returns how many are encrypted. */
uint32_t tunnelcap_i_esp_encap_run(tunnelcap_lane *lane, uint32_t count);

/* The same for decapsulation; job->rx is NULL, for the caller to set. */
int32_t tunnelcap_i_esp_decap_prepare(tunnelcap_esp *esp, tunnelcap_pkt *pkt,
                                      const tunnelcap_meta *meta, tunnelcap_i_esp_job *job);

/* Unseal the first `count` jobs of a lane, move their SAs, and set the status of their packets and,
 * where that is TUNNELCAP_OK, rx_flags. Returns how many are decrypted. */
uint32_t tunnelcap_i_esp_decap_run(tunnelcap_lane *lane, uint32_t count);

/* The part of it behind the provider's, for jobs of one SA: esp_verified.c. */
uint32_t tunnelcap_i_esp_verified(tunnelcap_i_esp_job *jobs, uint32_t count);

/* 1 if the selectors of an SA that has some permit an IP packet. */
uint32_t tunnelcap_i_esp_permits(const tunnelcap_esp *esp, const uint8_t *p, uint32_t len);

/* What a UDP datagram on an ESP port holds (RFC 3948 2): TUNNELCAP_OK for ESP, else
 * TUNNELCAP_E_NAT_KEEPALIVE or TUNNELCAP_E_IKE. */
int32_t tunnelcap_i_esp_sort_udp(const uint8_t *p, const tunnelcap_i_opened *o);

/* Find where ESP goes into an IP packet in transport mode, and which byte names what follows. */
int32_t tunnelcap_i_esp_transport_at(const uint8_t *p, const tunnelcap_i_ip *ip, uint32_t *at,
                                     uint32_t *next_at);

/* Set length and, of IPv4, checksum of an IP header that now heads `total` bytes. */
void tunnelcap_i_esp_fix_ip(uint8_t *p, uint32_t header_len, uint32_t total);

#endif
