/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "keyring.h"

#include "deploy.h"

#include <err.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/*
 * Whatever window the SA has at its end: a capture is to be read, not defended. Packets may come
 * far out of order in it, but one that stands in it twice is a replay all the same.
 */
enum { REPLAY_WINDOW = 65536 };

/* The weak algorithms are permitted, and that is not done silently. */
static void confess_weakness(const struct keyring *ring)
{
    size_t weak = 0;

    for (size_t i = 0; i < ring->file->count; i++)
        weak +=
            !ring->file->entries[i].unknown_icv_len &&
            tunnelcap_transform_check(&ring->file->entries[i].transform, NULL) == TUNNELCAP_E_WEAK;
    if (weak)
        warnx("%s: %zu of %zu SAs use algorithms that are weak or do not encrypt; accepted here",
              ring->path, weak, ring->file->count);
}

bool keyring_open(struct keyring *ring, const char *path)
{
    *ring = (struct keyring){.path = path, .crypto = tunnelcap_crypto_openssl()};
    if (!ring->crypto) {
        warnx("--keys %s: the library was built without OpenSSL and cannot decrypt", path);
        return false;
    }
    ring->file = sa_file_load(path, 0, stderr);
    if (!ring->file)
        return false;
    ring->keys = calloc(ring->file->count, sizeof *ring->keys);
    if (!ring->keys) {
        warn("%s", path);
        return false;
    }
    for (size_t i = 0; i < ring->file->count; i++) {
        ring->keys[i].entry = &ring->file->entries[i];
        ring->keys[i].mode = ring->file->entries[i].config.mode;
    }
    confess_weakness(ring);
    return plane_open_lane(&ring->lane, ring->crypto, 1);
}

struct key *keyring_find(const struct keyring *ring, const tunnelcap_addr *dst, uint32_t spi)
{
    const sa_file_entry *entry = sa_file_find(ring->file, dst, spi);

    return entry ? &ring->keys[entry - ring->file->entries] : NULL;
}

/* Make the receiving end of an SA. */
static int32_t make_inbound(const struct keyring *ring, const struct key *key, uint8_t mode,
                            tunnelcap_esp **esp)
{
    tunnelcap_transform transform = key->entry->transform;
    tunnelcap_esp_config config = key->entry->config;
    int32_t status;

    config.direction = TUNNELCAP_ESP_IN;
    config.mode = mode;
    config.outer.local = config.outer.remote;
    config.outer.remote = (tunnelcap_addr){0};
    config.replay_mode = TUNNELCAP_REPLAY_WINDOW;
    config.replay_window = REPLAY_WINDOW;
    /* Packets that were overtaken by the first one are to count as well. */
    config.seq_start = key->first_seq > REPLAY_WINDOW ? key->first_seq - REPLAY_WINDOW : 0;
    if (key->udp_port)
        config.udp_dst_port = key->udp_port;
    transform.flags = TUNNELCAP_TRANSFORM_ALLOW_WEAK;
    status = tunnelcap_esp_new(&config, &transform, ring->crypto, NULL, esp);
    explicit_bzero(&transform, sizeof transform);
    return status;
}

/*
 * Decrypt a copy of a packet. That is done as in transport mode: of the two it is the one that
 * leaves next to every next header be. False after a message.
 */
static bool try_packet(const struct keyring *ring, const struct key *key, const tunnelcap_pkt *pkt,
                       uint8_t *next_header)
{
    tunnelcap_pkt copy = {.buf = malloc(pkt->len), .cap = pkt->len};
    tunnelcap_esp *esp = NULL;
    tunnelcap_esp_rx rx;

    if (!copy.buf) {
        warn("%s", ring->path);
        return false;
    }
    *next_header = IPPROTO_NONE;
    /* An SA that cannot be made is told when the table is. */
    if (make_inbound(ring, key, TUNNELCAP_ESP_TRANSPORT, &esp) >= 0 &&
        tunnelcap_esp_decap_to(esp, ring->lane, pkt, &copy, NULL, 0, &rx, 1) == 1)
        *next_header = rx.next_header;
    free(copy.buf);
    tunnelcap_esp_forget(esp, ring->lane);
    tunnelcap_esp_free(esp);
    return true;
}

/*
 * Only a packet that can be verified is believed: a forged one ahead of all others could name a
 * sequence number or port that shuts them out.
 */
bool keyring_learn(struct keyring *ring, struct key *key, const tunnelcap_pkt *pkt,
                   const tunnelcap_peek_result *peek)
{
    struct key guess = *key;
    uint8_t next_header;

    key->seen = true;
    if (key->settled || key->entry->unknown_icv_len)
        return true;
    if (key->entry->config.flags & TUNNELCAP_ESP_ESN)
        guess.first_seq = (uint64_t)key->entry->first_esn_hi << 32 | peek->seq;
    guess.udp_port = peek->flags & TUNNELCAP_PEEK_UDP ? peek->dst_port : 0;
    if (!try_packet(ring, &guess, pkt, &next_header))
        return false;
    if (next_header == IPPROTO_NONE)
        return true;
    /* An IP packet inside may be IP in IP in transport mode as well; the two look alike. */
    if (guess.mode == SA_FILE_MODE_AUTO)
        guess.mode = next_header == IPPROTO_IPIP || next_header == IPPROTO_IPV6
                         ? TUNNELCAP_ESP_TUNNEL
                         : TUNNELCAP_ESP_TRANSPORT;
    guess.seen = true;
    guess.settled = true;
    *key = guess;
    return true;
}

bool keyring_note(struct keyring *ring, struct tunnel_set *set, const struct frame *frame,
                  const tunnelcap_peek_result *peek)
{
    struct tunnel *tunnel = tunnel_set_note(set, frame, peek);
    tunnelcap_pkt pkt = frame_packet(frame);

    if (!tunnel)
        return false;
    if (peek->kind != TUNNELCAP_KIND_ESP || !ring->file)
        return true;
    if (tunnel->packets == 1)
        tunnel->key = keyring_find(ring, &peek->dst, peek->key);
    return !tunnel->key || keyring_learn(ring, tunnel->key, &pkt, peek);
}

uint32_t keyring_seen(const struct keyring *ring)
{
    uint32_t seen = 0;

    for (size_t i = 0; ring->file && i < ring->file->count; i++)
        seen += ring->keys[i].seen;
    return seen;
}

/* Tell why an SA is of no use, unless it is. */
static int32_t note_status(const struct keyring *ring, const struct key *key, int32_t status)
{
    if (key->entry->unknown_icv_len)
        warnx("%s: %s: integrity key not known, so its packets are not decrypted", ring->path,
              key->entry->place);
    else if (status < 0)
        warnx("%s: %s: %s", ring->path, key->entry->place, tunnelcap_status_text(status));
    return status;
}

static int32_t deploy(const struct keyring *ring, struct key *key, struct plane *plane, uint64_t id,
                      uint32_t flags)
{
    uint8_t mode = key->mode == SA_FILE_MODE_AUTO ? TUNNELCAP_ESP_TUNNEL : key->mode;
    tunnelcap_tunnel policy;
    int32_t status;

    if (key->entry->unknown_icv_len)
        return TUNNELCAP_E_UNSUPPORTED;
    status = make_inbound(ring, key, mode, &key->esp);
    if (status < 0)
        return status;
    key->inner_mtu = tunnelcap_esp_inner_mtu(key->esp, DEPLOY_PATH_MTU);
    policy = deploy_policy(flags, key->inner_mtu);
    policy.mtu = UINT16_MAX;
    status = tunnelcap_table_set_esp(plane->table, id, &policy);
    return status < 0
               ? status
               : tunnelcap_table_set_sa(plane->table, id, key->esp, TUNNELCAP_SA_IN_READY, 0);
}

void keyring_deploy(struct keyring *ring, struct plane *plane, uint64_t id, uint32_t flags)
{
    for (size_t i = 0; ring->file && i < ring->file->count; i++) {
        struct key *key = &ring->keys[i];

        if (key->seen)
            key->status = note_status(ring, key, deploy(ring, key, plane, ++id, flags));
    }
}

bool keyring_write_esp_sa(const struct keyring *ring, const char *path)
{
    long left_out = sa_file_write_esp_sa(ring->file, path);

    if (left_out < 0)
        warn("%s", path);
    else if (left_out)
        warnx("%s: %ld of %zu SAs left out: Wireshark 4.0 has no name for their algorithms", path,
              left_out, ring->file->count);
    return left_out >= 0;
}

void keyring_close(struct keyring *ring)
{
    for (size_t i = 0; ring->keys && i < ring->file->count; i++)
        tunnelcap_esp_free(ring->keys[i].esp);
    free(ring->keys);
    tunnelcap_lane_free(ring->lane);
    sa_file_free(ring->file);
}
