/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "ipsecmb.h"

#include <pthread.h>
#include <string.h>

#include "../secure.h"

/* What makes keys: the functions that ipsec-mb has chosen for this processor. They are the same
 * for all managers, so they are asked for once; a manager is too large for doing so with each
 * key. */
typedef struct makers {
    uint32_t usable;
    keyexp_t aes[3]; /* keys of 128, 192, 256 bits */
    aes_gcm_pre_t gcm[3];
    aes_gcm_enc_dec_t gcm_run[3][TUNNELCAP_I_MB_DIRECTIONS];
    aes_gmac_init_t gmac_init[3];
    aes_gmac_update_t gmac_update[3];
    aes_gmac_finalize_t gmac_finalize[3];
    des_keysched_t des;
    xcbc_keyexp_t xcbc;
    cmac_subkey_gen_t cmac;
    hash_one_block_t md5, sha1, sha256, sha384, sha512;
} makers;

static makers the_makers;

static void copy_makers(const IMB_MGR *m)
{
    the_makers = (makers){
        .usable = 1,
        .aes = {m->keyexp_128, m->keyexp_192, m->keyexp_256},
        .gcm = {m->gcm128_pre, m->gcm192_pre, m->gcm256_pre},
        .gcm_run = {{m->gcm128_enc, m->gcm128_dec},
                    {m->gcm192_enc, m->gcm192_dec},
                    {m->gcm256_enc, m->gcm256_dec}},
        .gmac_init = {m->gmac128_init, m->gmac192_init, m->gmac256_init},
        .gmac_update = {m->gmac128_update, m->gmac192_update, m->gmac256_update},
        .gmac_finalize = {m->gmac128_finalize, m->gmac192_finalize, m->gmac256_finalize},
        .des = m->des_key_sched,
        .xcbc = m->xcbc_keyexp,
        .cmac = m->cmac_subkey_gen_128,
        .md5 = m->md5_one_block,
        .sha1 = m->sha1_one_block,
        .sha256 = m->sha256_one_block,
        .sha384 = m->sha384_one_block,
        .sha512 = m->sha512_one_block,
    };
}

static void find_makers(void)
{
    IMB_MGR *manager;

    if (imb_get_version() < IMB_VERSION_NUM)
        return; /* its structs may lack what we use */
    manager = alloc_mb_mgr(0);
    if (manager == NULL)
        return;
    init_mb_mgr_auto(manager, NULL);
    if (imb_get_errno(manager) == 0)
        copy_makers(manager);
    free_mb_mgr(manager);
}

static const makers *get_makers(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, find_makers);
    return &the_makers;
}

/* ---- combined algorithms ---- */

static void init_gcm(tunnelcap_i_mb_key *key, const makers *make, const tunnelcap_transform *t)
{
    uint32_t size = t->encr_key_len / 8u - 2;

    make->gcm[size](t->encr_key, &key->cipher.gcm);
    memcpy(key->gcm_run, make->gcm_run[size], sizeof(key->gcm_run));
    key->gmac_init = make->gmac_init[size];
    key->gmac_update = make->gmac_update[size];
    key->gmac_finalize = make->gmac_finalize[size];
    key->way = t->encr == TUNNELCAP_ENCR_AES_GMAC ? TUNNELCAP_I_MB_GMAC : TUNNELCAP_I_MB_GCM;
}

/* ---- ciphers of jobs ---- */

static void init_aes(tunnelcap_i_mb_key *key, const makers *make, const tunnelcap_transform *t,
                     IMB_JOB *job)
{
    make->aes[t->encr_key_len / 8 - 2](t->encr_key, key->cipher.aes.enc, key->cipher.aes.dec);
    job->enc_keys = key->cipher.aes.enc;
    job->dec_keys = key->cipher.aes.dec;
}

static void init_3des(tunnelcap_i_mb_key *key, const makers *make, const tunnelcap_transform *t,
                      IMB_JOB *job)
{
    for (uint32_t i = 0; i < 3; i++) {
        make->des(key->cipher.des3.schedules[i], t->encr_key + 8 * i);
        key->cipher.des3.all[i] = key->cipher.des3.schedules[i];
    }
    job->enc_keys = key->cipher.des3.all;
    job->dec_keys = key->cipher.des3.all;
}

/* Cipher, and of combined algorithms the rest. */
static void init_cipher(tunnelcap_i_mb_key *key, const makers *make, const tunnelcap_transform *t,
                        IMB_JOB *job)
{
    job->key_len_in_bytes = t->encr_key_len;
    switch (t->encr) {
    case TUNNELCAP_ENCR_3DES:
        job->cipher_mode = IMB_CIPHER_DES3;
        job->iv_len_in_bytes = 8;
        init_3des(key, make, t, job);
        break;
    case TUNNELCAP_ENCR_NULL:
        job->cipher_mode = IMB_CIPHER_NULL;
        break;
    case TUNNELCAP_ENCR_AES_CBC:
        job->cipher_mode = IMB_CIPHER_CBC;
        job->iv_len_in_bytes = 16;
        init_aes(key, make, t, job);
        break;
    case TUNNELCAP_ENCR_AES_CTR:
        job->cipher_mode = IMB_CIPHER_CNTR;
        job->iv_len_in_bytes = 16;
        init_aes(key, make, t, job);
        break;
    case TUNNELCAP_ENCR_CHACHA20_POLY1305:
    case TUNNELCAP_ENCR_CHACHA20_POLY1305_IIV:
        job->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
        job->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
        job->iv_len_in_bytes = 12;
        memcpy(key->cipher.chacha, t->encr_key, sizeof(key->cipher.chacha));
        job->enc_keys = key->cipher.chacha;
        job->dec_keys = key->cipher.chacha;
        break;
    default:
        job->cipher_mode = IMB_CIPHER_CCM;
        job->hash_alg = IMB_AUTH_AES_CCM;
        job->iv_len_in_bytes = 11;
        init_aes(key, make, t, job);
    }
}

/* ---- separate integrity ---- */

/* What a hash makes of the key, XORed with one byte all over a block (RFC 2104 section 2). Keys
 * are no longer than the block: RFC 2403, 2404 and 4868 fix their lengths. */
static void take_pad(hash_one_block_t hash, const tunnelcap_transform *t, uint8_t byte,
                     uint8_t *digest)
{
    uint8_t pad[IMB_SHA_512_BLOCK_SIZE];

    memset(pad, byte, sizeof(pad));
    for (uint32_t i = 0; i < t->integ_key_len; i++)
        pad[i] ^= t->integ_key[i];
    hash(pad, digest);
    tunnelcap_i_wipe(pad, sizeof(pad));
}

static void init_hmac(tunnelcap_i_mb_key *key, hash_one_block_t hash, IMB_HASH_ALG algorithm,
                      const tunnelcap_transform *t, IMB_JOB *job)
{
    take_pad(hash, t, 0x36, key->mac.hmac.inner);
    take_pad(hash, t, 0x5c, key->mac.hmac.outer);
    job->hash_alg = algorithm;
    job->u.HMAC._hashed_auth_key_xor_ipad = key->mac.hmac.inner;
    job->u.HMAC._hashed_auth_key_xor_opad = key->mac.hmac.outer;
}

static void init_xcbc(tunnelcap_i_mb_key *key, const makers *make, const tunnelcap_transform *t,
                      IMB_JOB *job)
{
    make->xcbc(t->integ_key, key->mac.cbc_mac.round, key->mac.cbc_mac.full,
               key->mac.cbc_mac.partial);
    job->hash_alg = IMB_AUTH_AES_XCBC;
    job->u.XCBC._k1_expanded = key->mac.cbc_mac.round;
    job->u.XCBC._k2 = key->mac.cbc_mac.full;
    job->u.XCBC._k3 = key->mac.cbc_mac.partial;
}

static void init_cmac(tunnelcap_i_mb_key *key, const makers *make, const tunnelcap_transform *t,
                      IMB_JOB *job)
{
    tunnelcap_i_mb_aes expanded;

    make->aes[0](t->integ_key, expanded.enc, expanded.dec);
    memcpy(key->mac.cbc_mac.round, expanded.enc, sizeof(key->mac.cbc_mac.round));
    tunnelcap_i_wipe(&expanded, sizeof(expanded));
    make->cmac(key->mac.cbc_mac.round, key->mac.cbc_mac.full, key->mac.cbc_mac.partial);
    job->hash_alg = IMB_AUTH_AES_CMAC;
    job->u.CMAC._key_expanded = key->mac.cbc_mac.round;
    job->u.CMAC._skey1 = key->mac.cbc_mac.full;
    job->u.CMAC._skey2 = key->mac.cbc_mac.partial;
}

static void init_mac(tunnelcap_i_mb_key *key, const makers *make, const tunnelcap_transform *t,
                     IMB_JOB *job)
{
    switch (t->integ) {
    case TUNNELCAP_INTEG_HMAC_MD5_96:
        init_hmac(key, make->md5, IMB_AUTH_MD5, t, job);
        break;
    case TUNNELCAP_INTEG_HMAC_SHA1_96:
        init_hmac(key, make->sha1, IMB_AUTH_HMAC_SHA_1, t, job);
        break;
    case TUNNELCAP_INTEG_HMAC_SHA2_256_128:
        init_hmac(key, make->sha256, IMB_AUTH_HMAC_SHA_256, t, job);
        break;
    case TUNNELCAP_INTEG_HMAC_SHA2_384_192:
        init_hmac(key, make->sha384, IMB_AUTH_HMAC_SHA_384, t, job);
        break;
    case TUNNELCAP_INTEG_HMAC_SHA2_512_256:
        init_hmac(key, make->sha512, IMB_AUTH_HMAC_SHA_512, t, job);
        break;
    case TUNNELCAP_INTEG_AES_XCBC_96:
        init_xcbc(key, make, t, job);
        break;
    default:
        init_cmac(key, make, t, job);
    }
}

/* ---- keys ---- */

static uint32_t is_gcm(uint16_t encr)
{
    return encr == TUNNELCAP_ENCR_AES_GCM_8 || encr == TUNNELCAP_ENCR_AES_GCM_12 ||
           encr == TUNNELCAP_ENCR_AES_GCM_16 || encr == TUNNELCAP_ENCR_AES_GCM_16_IIV ||
           encr == TUNNELCAP_ENCR_AES_GMAC;
}

static uint32_t is_ccm(uint16_t encr)
{
    return encr == TUNNELCAP_ENCR_AES_CCM_8 || encr == TUNNELCAP_ENCR_AES_CCM_12 ||
           encr == TUNNELCAP_ENCR_AES_CCM_16 || encr == TUNNELCAP_ENCR_AES_CCM_8_IIV;
}

/* ipsec-mb insists that CCM makes the tag of the plaintext: first when sealing, last when opening.
 * All others authenticate the ciphertext. */
static void init_jobs(tunnelcap_i_mb_key *key, const makers *make, const tunnelcap_transform *t)
{
    IMB_JOB *job = &key->job[TUNNELCAP_I_MB_SEAL];
    uint32_t hash_first = is_ccm(t->encr);

    init_cipher(key, make, t, job);
    if (!key->combined)
        init_mac(key, make, t, job);
    job->auth_tag_output_len_in_bytes = key->icv_len;
    job->cipher_direction = IMB_DIR_ENCRYPT;
    job->chain_order = hash_first ? IMB_ORDER_HASH_CIPHER : IMB_ORDER_CIPHER_HASH;
    key->job[TUNNELCAP_I_MB_OPEN] = *job;
    job = &key->job[TUNNELCAP_I_MB_OPEN];
    job->cipher_direction = IMB_DIR_DECRYPT;
    job->chain_order = hash_first ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
}

size_t tunnelcap_i_mb_key_size(void *self, const tunnelcap_transform *transform)
{
    (void)self;
    if (!get_makers()->usable || (is_ccm(transform->encr) && transform->encr_key_len == 24))
        return 0;
    return sizeof(tunnelcap_i_mb_key);
}

int32_t tunnelcap_i_mb_key_init(void *self, void *mem, const tunnelcap_transform *transform)
{
    tunnelcap_i_mb_key *key = mem;
    tunnelcap_transform_info info = {.size = sizeof(info)};
    int32_t status = tunnelcap_transform_check(transform, &info);

    if (status != TUNNELCAP_OK)
        return status;
    if (tunnelcap_i_mb_key_size(self, transform) == 0)
        return TUNNELCAP_E_UNSUPPORTED;
    memset(key, 0, sizeof(*key));
    key->icv_len = info.icv_len;
    key->combined = info.combined;
    key->block = 1;
    if (transform->encr == TUNNELCAP_ENCR_AES_CBC || transform->encr == TUNNELCAP_ENCR_3DES)
        key->block = info.iv_len;
    if (is_gcm(transform->encr))
        init_gcm(key, get_makers(), transform);
    else
        init_jobs(key, get_makers(), transform);
    return TUNNELCAP_OK;
}

void tunnelcap_i_mb_key_fini(void *self, void *mem)
{
    (void)self;
    tunnelcap_i_wipe(mem, sizeof(tunnelcap_i_mb_key));
}
