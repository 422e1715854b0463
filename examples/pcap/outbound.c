/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "outbound.h"

#include "description.h"

#include <err.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>

/* Find the only SA of an SPI: the command line does not say more. */
static const sa_file_entry *find_entry(const struct keyring *ring, uint32_t spi)
{
    const sa_file_entry *found = NULL;

    for (size_t i = 0; i < ring->file->count; i++) {
        const sa_file_entry *entry = &ring->file->entries[i];

        if (entry->config.spi != spi)
            continue;
        if (found) {
            warnx("%s: SPI 0x%08" PRIx32 ": both %s and %s", ring->path, spi, found->place,
                  entry->place);
            return NULL;
        }
        found = entry;
    }
    if (!found)
        warnx("%s: no SA of SPI 0x%08" PRIx32, ring->path, spi);
    return found;
}

/* Put together what the file and what the command line say. */
static tunnelcap_esp_config merge(const sa_file_entry *entry, const struct description *wanted)
{
    tunnelcap_esp_config sa = entry->config;

    sa.direction = TUNNELCAP_ESP_OUT;
    sa.outer.ttl = wanted->esp.outer.ttl;
    sa.flags |= wanted->esp.flags;
    if (wanted->esp.mode != SA_FILE_MODE_AUTO)
        sa.mode = wanted->esp.mode;
    else if (sa.mode == SA_FILE_MODE_AUTO)
        sa.mode = TUNNELCAP_ESP_TUNNEL;
    sa.seq_start = 1;
    if (sa.flags & TUNNELCAP_ESP_ESN)
        sa.seq_start |= (uint64_t)entry->first_esn_hi << 32;
    if (wanted->has_seq)
        sa.seq_start = wanted->esp.seq_start;
    return sa;
}

/*
 * Say why no nonce repeats. The keys of a file are used in one run after the other, so counting
 * from 1 would repeat them: counter modes begin at a random IV unless the command line gives one.
 * The upper bit stays clear, so that half of all IVs are left wherever the other half begins.
 */
static bool settle_nonces(tunnelcap_esp_config *sa, const struct description *wanted,
                          const tunnelcap_transform_info *info)
{
    sa->nonce_origin = TUNNELCAP_NONCE_RESUME;
    if (!info->counter_mode || info->implicit_iv) {
        if (wanted->has_iv) {
            warnx("--tunnel: iv=: %s", info->implicit_iv ? "the sequence number is the IV"
                                                         : "not for an algorithm without counter");
            return false;
        }
        if (info->implicit_iv && !wanted->has_seq) {
            warnx("--tunnel: seq= is missing: this SA's nonces are its sequence numbers, so say "
                  "from where on they are unused");
            return false;
        }
        sa->iv_start = sa->seq_start;
        return true;
    }
    sa->iv_start = wanted->esp.iv_start;
    if (!wanted->has_iv) {
        if (getrandom(&sa->iv_start, sizeof sa->iv_start, 0) != sizeof sa->iv_start) {
            warn("random IV");
            return false;
        }
        sa->iv_start >>= 1;
    }
    return true;
}

static bool make_sa(struct outbound *out, const sa_file_entry *entry,
                    const struct description *wanted)
{
    tunnelcap_transform_info info = {.size = sizeof info};
    tunnelcap_transform transform = entry->transform;
    int32_t status;
    bool settled;

    out->config = merge(entry, wanted);
    transform.flags = TUNNELCAP_TRANSFORM_ALLOW_WEAK;
    status = tunnelcap_transform_check(&transform, &info);
    settled = status < 0 || settle_nonces(&out->config, wanted, &info);
    if (status >= 0 && settled)
        status = tunnelcap_esp_new(&out->config, &transform, out->ring.crypto, NULL, &out->esp);
    explicit_bzero(&transform, sizeof transform);
    if (status < 0)
        warnx("%s: %s: %s", out->ring.path, entry->place, tunnelcap_status_text(status));
    return settled && status >= 0;
}

bool outbound_open(struct outbound *out, const struct args *args)
{
    struct description wanted = description_of_spi(args->spi);
    const sa_file_entry *entry;

    if (args->tunnel && !description_parse(args->tunnel, &wanted))
        return false;
    if (wanted.kind != TUNNELCAP_KIND_ESP) {
        warnx("--tunnel: --keys is for esp only");
        return false;
    }
    if (!keyring_open(&out->ring, args->keys))
        return false;
    entry = find_entry(&out->ring, wanted.esp.spi);
    if (!entry)
        return false;
    if (entry->unknown_icv_len) {
        warnx("%s: %s: integrity key not known", args->keys, entry->place);
        return false;
    }
    return make_sa(out, entry, &wanted);
}

void outbound_carry(struct outbound *out, tunnelcap_pkt *pkts, uint32_t count)
{
    tunnelcap_esp_encap(out->esp, out->ring.lane, pkts, NULL, 0, count);
    for (uint32_t i = 0; i < count; i++) {
        if (pkts[i].status < 0)
            continue;
        out->packets++;
        out->bytes += pkts[i].len;
    }
}

struct tunnel_identity outbound_identify(const struct outbound *out)
{
    return (struct tunnel_identity){
        .local = out->config.outer.local,
        .remote = out->config.outer.remote,
        .kind = TUNNELCAP_KIND_ESP,
        .has_key = 1,
        .key = out->config.spi,
        .udp_port = out->config.flags & TUNNELCAP_ESP_UDP ? out->config.udp_dst_port : 0,
    };
}

void outbound_close(struct outbound *out)
{
    tunnelcap_esp_forget(out->esp, out->ring.lane);
    tunnelcap_esp_free(out->esp);
    keyring_close(&out->ring);
}
