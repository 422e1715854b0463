/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "ipsecmb.h"

#include <string.h>

#include "../secure.h"

/* Bytes of the high half of a sequence number, and where it is in the aad. */
enum { ESN_HIGH = 4 };

/* ipsec-mb counts in 16 bits. */
enum { JOB_BYTES_MAX = 65534 };

/* A verdict on a packet that was decrypted on trust. */
static void judge(tunnelcap_crypto_op *op, const uint8_t *icv, const uint8_t *tag, uint32_t len)
{
    op->status = TUNNELCAP_OK;
    if (tunnelcap_i_equal(icv, tag, len))
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
        judge(op, ticket->icv, ticket->tag, key->icv_len);
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

static void run(void *mem, tunnelcap_crypto_op *const *ops, uint32_t n, int direction)
{
    tunnelcap_i_mb_lane *lane = mem;
    const tunnelcap_i_mb_key *key;
    tunnelcap_crypto_op *op;
    IMB_JOB *job;

    for (uint32_t i = 0; i < n; i++) {
        op = ops[i];
        key = op->key;
        if (key->direct == NULL) {
            submit(lane, op, direction);
        } else if (direction == TUNNELCAP_I_MB_SEAL) {
            key->direct(key, &lane->gcm, op, direction, op->icv);
            op->status = TUNNELCAP_OK;
        } else {
            key->direct(key, &lane->gcm, op, direction, lane->tag);
            judge(op, op->icv, lane->tag, key->icv_len);
        }
    }
    while ((job = IMB_FLUSH_JOB(lane->manager)) != NULL)
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
