/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "ipsecmb.h"

#include <string.h>

#include "../secure.h"

/* Bytes of the high half of a sequence number, and where it is in the aad. */
enum { ESN_HIGH = 4 };

/* ipsec-mb counts in 16 bits. */
enum { JOB_BYTES_MAX = 65534 };

/* tunnelcap_i_equal() of 8 to 16 bytes, the ICVs of GCM, without a loop. */
static inline uint32_t equal_icv(const uint8_t *a, const uint8_t *b, uint32_t len)
{
    uint64_t a0, a1, b0, b1;

    memcpy(&a0, a, 8);
    memcpy(&b0, b, 8);
    memcpy(&a1, a + len - 8, 8);
    memcpy(&b1, b + len - 8, 8);
    return ((a0 ^ b0) | (a1 ^ b1)) == 0;
}

/* A verdict on a packet that was decrypted on trust. */
static inline void judge(tunnelcap_crypto_op *op, uint32_t equal)
{
    op->status = TUNNELCAP_OK;
    if (equal)
        return;
    op->status = TUNNELCAP_E_AUTH;
    tunnelcap_i_wipe(op->text, op->text_len);
}

/* ---- jobs ---- */

/* Whether the high half of the sequence number is hashed behind the text. */
static uint32_t has_high(const tunnelcap_i_mb_key *key, const tunnelcap_crypto_op *op)
{
    return !key->combined && (op->flags & TUNNELCAP_OP_ESN) != 0;
}

/* What ipsec-mb would choke on, or could not do in place. */
static uint32_t fits_job(const tunnelcap_i_mb_key *key, const tunnelcap_crypto_op *op)
{
    uint64_t hashed = (uint64_t)op->head_len + op->text_len + ESN_HIGH;

    if (hashed > JOB_BYTES_MAX || op->text_len % key->block != 0)
        return 0;
    return !has_high(key, op) || op->icv == op->text + op->text_len;
}

/* Complete a job with its packet. */
static void fill_job(IMB_JOB *job, const tunnelcap_i_mb_key *key, tunnelcap_crypto_op *op)
{
    job->iv = op->nonce;
    job->dst = op->text;
    job->msg_len_to_cipher_in_bytes = op->text_len;
    job->user_data = op;
    if (key->combined) {
        job->src = op->text;
        job->msg_len_to_hash_in_bytes = op->text_len;
        job->u.CCM.aad = op->aad; /* at the same place for ChaCha20-Poly1305 */
        job->u.CCM.aad_len_in_bytes = op->flags & TUNNELCAP_OP_ESN ? 12 : 8;
        return;
    }
    job->src = op->text - op->head_len;
    job->cipher_start_src_offset_in_bytes = op->head_len;
    job->msg_len_to_hash_in_bytes = (uint64_t)op->head_len + op->text_len;
    if (op->text_len == 0)
        job->cipher_mode = IMB_CIPHER_NULL;
    if (has_high(key, op)) {
        memcpy(op->icv, op->aad + ESN_HIGH, ESN_HIGH);
        job->msg_len_to_hash_in_bytes += ESN_HIGH;
    }
}

/* Note that a job has come back. */
static void end_job(const IMB_JOB *job)
{
    tunnelcap_crypto_op *op = job->user_data;
    const tunnelcap_i_mb_key *key = op->key;
    const tunnelcap_i_mb_ticket *ticket = job->user_data2;

    if (ticket != NULL && has_high(key, op))
        memcpy(op->icv, ticket->icv, ESN_HIGH);
    if (job->status != IMB_STATUS_COMPLETED) {
        op->status = TUNNELCAP_E_CRYPTO;
        tunnelcap_i_wipe(op->text, op->text_len);
    } else if (ticket != NULL) {
        judge(op, tunnelcap_i_equal(ticket->icv, ticket->tag, key->icv_len));
    } else {
        op->status = TUNNELCAP_OK;
    }
}

static void end_jobs(IMB_MGR *manager, const IMB_JOB *job)
{
    for (; job != NULL; job = IMB_GET_COMPLETED_JOB(manager))
        end_job(job);
}

static void submit(tunnelcap_i_mb_lane *lane, tunnelcap_crypto_op *op, int direction)
{
    const tunnelcap_i_mb_key *key = op->key;
    IMB_MGR *manager = lane->manager;
    tunnelcap_i_mb_ticket *ticket;
    IMB_JOB *job;

    if (!fits_job(key, op)) {
        op->status = TUNNELCAP_E_CRYPTO;
        tunnelcap_i_wipe(op->text, op->text_len);
        return;
    }
    job = IMB_GET_NEXT_JOB(manager);
    *job = key->job[direction];
    job->auth_tag_output = op->icv;
    if (direction == TUNNELCAP_I_MB_OPEN) {
        ticket = &lane->tickets[lane->next++ % IMB_MAX_JOBS];
        memcpy(ticket->icv, op->icv, key->icv_len);
        job->auth_tag_output = ticket->tag;
        job->user_data2 = ticket;
    }
    fill_job(job, key, op);
    end_jobs(manager, IMB_SUBMIT_JOB_NOCHECK(manager));
}

/* ---- bursts ---- */

/* GCM of packets of one key, each by one call; returns how many there were. The nonce is whole
 * and the text within the limits of ipsec-mb, as ESP makes them. */
static uint32_t run_gcm(tunnelcap_i_mb_lane *lane, tunnelcap_crypto_op *const *ops, uint32_t n,
                        int direction)
{
    const tunnelcap_i_mb_key *key = ops[0]->key;
    const struct gcm_key_data *data = &key->cipher.gcm;
    aes_gcm_enc_dec_t call = key->gcm_run[direction];
    uint32_t icv_len = key->icv_len;
    uint32_t i;

    for (i = 0; i < n && ops[i]->key == key; i++) {
        tunnelcap_crypto_op *op = ops[i];
        uint8_t *tag = direction == TUNNELCAP_I_MB_SEAL ? op->icv : lane->tag;

        call(data, &lane->gcm, op->text, op->text, op->text_len, op->nonce, op->aad,
             op->flags & TUNNELCAP_OP_ESN ? 12 : 8, tag, icv_len);
        judge(op, direction == TUNNELCAP_I_MB_SEAL || equal_icv(op->icv, tag, icv_len));
    }
    return i;
}

/* All is authenticated, nothing encrypted: SPI and numbers, the IV, the text (RFC 4543 3.4). */
static void run_gmac(tunnelcap_i_mb_lane *lane, tunnelcap_crypto_op *op, int direction)
{
    const tunnelcap_i_mb_key *key = op->key;
    const struct gcm_key_data *data = &key->cipher.gcm;
    uint8_t *tag = direction == TUNNELCAP_I_MB_SEAL ? op->icv : lane->tag;
    uint32_t iv_len = op->head_len - 8u;

    key->gmac_init(data, &lane->gcm, op->nonce, TUNNELCAP_I_MB_GCM_NONCE);
    key->gmac_update(data, &lane->gcm, op->aad, op->flags & TUNNELCAP_OP_ESN ? 12 : 8);
    key->gmac_update(data, &lane->gcm, op->text - iv_len, (uint64_t)iv_len + op->text_len);
    key->gmac_finalize(data, &lane->gcm, tag, key->icv_len);
    judge(op, direction == TUNNELCAP_I_MB_SEAL || equal_icv(op->icv, tag, key->icv_len));
}

/* Fetch the key of a packet to come, as far as short packets need it. */
static inline void prefetch_key(tunnelcap_crypto_op *const *ops, uint32_t i, uint32_t n)
{
#ifdef __GNUC__
    enum { AHEAD = 2, LINES = 8 };

    if (n - i > AHEAD && ops[i + AHEAD]->key != ops[i]->key) {
        for (uint32_t line = 0; line < LINES; line++)
            __builtin_prefetch((const uint8_t *)ops[i + AHEAD]->key + (size_t)64 * line);
    }
#else
    (void)ops, (void)i, (void)n;
#endif
}

static inline void run(tunnelcap_i_mb_lane *lane, tunnelcap_crypto_op *const *ops, uint32_t n,
                       int direction)
{
    const tunnelcap_i_mb_key *key;
    uint32_t jobs = 0;
    uint32_t done;
    IMB_JOB *job;

    for (uint32_t i = 0; i < n; i += done) {
        key = ops[i]->key;
        done = 1;
        prefetch_key(ops, i, n);
        if (key->way == TUNNELCAP_I_MB_GCM) {
            done = run_gcm(lane, ops + i, n - i, direction);
        } else if (key->way == TUNNELCAP_I_MB_GMAC) {
            run_gmac(lane, ops[i], direction);
        } else {
            submit(lane, ops[i], direction);
            jobs = 1;
        }
    }
    while (jobs && (job = IMB_FLUSH_JOB(lane->manager)) != NULL)
        end_jobs(lane->manager, job);
}

static void seal(void *self, void *lane, tunnelcap_crypto_op *const *ops, uint32_t n)
{
    (void)self;
    run(lane, ops, n, TUNNELCAP_I_MB_SEAL);
}

static void unseal(void *self, void *lane, tunnelcap_crypto_op *const *ops, uint32_t n)
{
    (void)self;
    run(lane, ops, n, TUNNELCAP_I_MB_OPEN);
}

/* ---- lanes ---- */

/* The lane's struct, rounded up to where the manager begins. */
static size_t head_size(void)
{
    return (sizeof(tunnelcap_i_mb_lane) + TUNNELCAP_I_MB_ALIGN - 1) / TUNNELCAP_I_MB_ALIGN *
           TUNNELCAP_I_MB_ALIGN;
}

static size_t lane_size(void *self, uint32_t max_burst, uint32_t key_slots)
{
    (void)self;
    (void)max_burst;
    (void)key_slots;
    return head_size() + imb_get_mb_mgr_size();
}

static int32_t lane_init(void *self, void *mem, uint32_t max_burst, uint32_t key_slots)
{
    tunnelcap_i_mb_lane *lane = mem;

    (void)self;
    (void)max_burst;
    (void)key_slots;
    lane->manager = imb_set_pointers_mb_mgr((uint8_t *)mem + head_size(), 0, 1);
    if (lane->manager == NULL)
        return TUNNELCAP_E_CRYPTO;
    init_mb_mgr_auto(lane->manager, NULL);
    return imb_get_errno(lane->manager) == 0 ? TUNNELCAP_OK : TUNNELCAP_E_CRYPTO;
}

/* A lane keeps nothing of a key. */
static void lane_forget(void *self, void *lane, const void *key)
{
    (void)self;
    (void)lane;
    (void)key;
}

static void lane_fini(void *self, void *lane)
{
    tunnelcap_i_wipe(lane, lane_size(self, 0, 0));
}

const tunnelcap_crypto *tunnelcap_crypto_ipsecmb(void)
{
    static const tunnelcap_crypto provider = {
        .size = sizeof(tunnelcap_crypto),
        .name = "ipsec-mb",
        .key_size = tunnelcap_i_mb_key_size,
        .key_init = tunnelcap_i_mb_key_init,
        .key_fini = tunnelcap_i_mb_key_fini,
        .lane_size = lane_size,
        .lane_init = lane_init,
        .lane_forget = lane_forget,
        .lane_fini = lane_fini,
        .seal = seal,
        .unseal = unseal,
    };

    return &provider;
}
