/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The provider on ipsec-mb, its parts: keys (ipsecmb_key.c), lanes and their work (ipsecmb.c).
 *
 * Implementation notes. A key is constant: round keys, hash keys, HMAC's first blocks, and for
 * each direction either the function that handles a packet at once (GCM, where the direct call is
 * the fastest, and GMAC), or a job of ipsec-mb filled in but for the packet. Jobs go into the
 * queue of the lane's manager, which works on several packets side by side and hands them back in
 * their order; at the end of a burst the queue is empty again.
 */
#ifndef TUNNELCAP_I_IPSECMB_H
#define TUNNELCAP_I_IPSECMB_H

#define NO_COMPAT_IMB_API_053
#include <intel-ipsec-mb.h>
#include <tunnelcap/ipsecmb.h>
#include <tunnelcap/status.h>

enum { TUNNELCAP_I_MB_SEAL, TUNNELCAP_I_MB_OPEN, TUNNELCAP_I_MB_DIRECTIONS };

enum { TUNNELCAP_I_MB_GCM_NONCE = 12, TUNNELCAP_I_MB_TAG = 64, TUNNELCAP_I_MB_ALIGN = 64 };

/* How the packets of a key are handled. */
enum { TUNNELCAP_I_MB_JOB, TUNNELCAP_I_MB_GCM, TUNNELCAP_I_MB_GMAC };

/* Round keys of AES, as ipsec-mb expands them. It wants blocks at multiples of 16. */
typedef struct tunnelcap_i_mb_aes {
    _Alignas(16) uint8_t enc[15 * IMB_AES_BLOCK_SIZE];
    _Alignas(16) uint8_t dec[15 * IMB_AES_BLOCK_SIZE];
} tunnelcap_i_mb_aes;

typedef struct tunnelcap_i_mb_key {
    uint8_t way; /* TUNNELCAP_I_MB_ */
    uint8_t icv_len;
    uint8_t combined;
    uint8_t block; /* the text is a multiple of it */
    aes_gcm_enc_dec_t gcm_run[TUNNELCAP_I_MB_DIRECTIONS];
    aes_gmac_init_t gmac_init;
    aes_gmac_update_t gmac_update;
    aes_gmac_finalize_t gmac_finalize;
    union {
        /* GCM's data is declared with an alignment only by some versions of the header. */
        _Alignas(64) struct gcm_key_data gcm;
        tunnelcap_i_mb_aes aes;
        uint8_t chacha[32];
        struct {
            uint64_t schedules[3][IMB_DES_KEY_SCHED_SIZE / 8];
            const void *all[3]; /* of the schedules */
        } des3;
    } cipher;
    union {
        struct {
            _Alignas(16) uint8_t inner[IMB_SHA512_DIGEST_SIZE_IN_BYTES];
            _Alignas(16) uint8_t outer[IMB_SHA512_DIGEST_SIZE_IN_BYTES];
        } hmac;
        struct {
            _Alignas(16) uint32_t round[4 * 11];
            _Alignas(16) uint8_t full[IMB_AES_BLOCK_SIZE];    /* for a last block that is whole */
            _Alignas(16) uint8_t partial[IMB_AES_BLOCK_SIZE]; /* for one that is padded */
        } cbc_mac;
    } mac;
    IMB_JOB job[TUNNELCAP_I_MB_DIRECTIONS];
} tunnelcap_i_mb_key;

/* What is kept of a packet while a job works on it, in unseal(). */
typedef struct tunnelcap_i_mb_ticket {
    _Alignas(16) uint8_t tag[TUNNELCAP_I_MB_TAG];
    uint8_t icv[TUNNELCAP_I_MB_TAG]; /* as received */
} tunnelcap_i_mb_ticket;

typedef struct tunnelcap_i_mb_lane {
    IMB_MGR *manager; /* behind this struct */
    uint32_t next;    /* ticket */
    struct gcm_context_data gcm;
    uint8_t tag[TUNNELCAP_I_MB_TAG];
    tunnelcap_i_mb_ticket tickets[IMB_MAX_JOBS]; /* as many as the queue holds */
} tunnelcap_i_mb_lane;

/* The functions of a key. */
size_t tunnelcap_i_mb_key_size(void *self, const tunnelcap_transform *transform);
int32_t tunnelcap_i_mb_key_init(void *self, void *mem, const tunnelcap_transform *transform);
void tunnelcap_i_mb_key_fini(void *self, void *mem);

#endif
