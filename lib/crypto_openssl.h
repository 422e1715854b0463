/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The provider on libcrypto, its parts: keys (crypto_openssl.c), lanes (crypto_openssl_lane.c),
 * ciphers (crypto_openssl_cipher.c), GCM by bursts (crypto_openssl_gcm.c) and separate integrity
 * (crypto_openssl_mac.c).
 *
 * A key is plain memory: what a transform says, and what can be computed from it once. Contexts
 * of libcrypto change with each use, so they belong to lanes: a lane has slots, and a slot holds
 * the contexts of one key in one direction.
 */
#ifndef TUNNELCAP_I_CRYPTO_OPENSSL_H
#define TUNNELCAP_I_CRYPTO_OPENSSL_H

#include <tunnelcap/crypto.h>
#include <tunnelcap/status.h>

/* How much of libcrypto is relied on, from the fastest way to the one that is always there. Each
 * takes the next where the processor, libcrypto or its configuration does not allow it. */
enum {
    TUNNELCAP_I_OSSL_WIDE,     /* GCM by bursts, two blocks of GHASH at a time */
    TUNNELCAP_I_OSSL_NARROW,   /* one block of GHASH at a time */
    TUNNELCAP_I_OSSL_LEAN,     /* everything packet by packet, in short call patterns */
    TUNNELCAP_I_OSSL_PORTABLE, /* documented call patterns, and EVP alone */
    TUNNELCAP_I_OSSL_WAYS
};

/* The provider from one of these ways on, for the tests; NULL without OpenSSL. */
const tunnelcap_crypto *tunnelcap_i_crypto_openssl_way(uint32_t way);

#ifdef TUNNELCAP_WITH_OPENSSL

/* The low-level hash states are deprecated, and yet the only way to an HMAC without allocation:
 * EVP copies a digest context, hence allocates, whenever it starts a message. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/md5.h>
#include <openssl/params.h>
#include <openssl/sha.h>

#include "ghash.h"

#if !defined(OPENSSL_NO_DEPRECATED_3_0) && !defined(OPENSSL_NO_MD5)
#define TUNNELCAP_I_HASH_STATES 1
#endif

enum { TUNNELCAP_I_BLOCK = 16, TUNNELCAP_I_GCM_NONCE = 12, TUNNELCAP_I_DIGEST_MAX = 64 };

/* The hashes that HMAC is offered with. */
enum {
    TUNNELCAP_I_HASH_MD5,
    TUNNELCAP_I_HASH_SHA1,
    TUNNELCAP_I_HASH_SHA256,
    TUNNELCAP_I_HASH_SHA384,
    TUNNELCAP_I_HASH_SHA512,
    TUNNELCAP_I_HASHES
};

/* A hash in the middle of its work. */
typedef union tunnelcap_i_hash_state {
#ifdef TUNNELCAP_I_HASH_STATES
    MD5_CTX md5;
    SHA_CTX sha1;
    SHA256_CTX sha256;
    SHA512_CTX sha512; /* SHA-384 as well */
#endif
    uint64_t align;
} tunnelcap_i_hash_state;

typedef struct tunnelcap_i_ossl_key tunnelcap_i_ossl_key;
typedef struct tunnelcap_i_ossl_slot tunnelcap_i_ossl_slot;
typedef struct tunnelcap_i_ossl_lane tunnelcap_i_ossl_lane;

/* One operation, or one half of it, with the key's contexts. */
typedef int32_t tunnelcap_i_ossl_run(tunnelcap_i_ossl_lane *lane, tunnelcap_i_ossl_slot *slot,
                                     const tunnelcap_i_ossl_key *key, tunnelcap_crypto_op *op);

/* Integrity of a separate algorithm: writes TUNNELCAP_I_DIGEST_MAX bytes at most. */
typedef int32_t tunnelcap_i_ossl_mac(tunnelcap_i_ossl_lane *lane, tunnelcap_i_ossl_slot *slot,
                                     const tunnelcap_i_ossl_key *key, const tunnelcap_crypto_op *op,
                                     uint8_t *out);

/* Directions, and indices of what differs by direction. */
enum { TUNNELCAP_I_OPEN = 0, TUNNELCAP_I_SEAL = 1 };

struct tunnelcap_i_ossl_key {
    uint64_t generation;            /* of this process: no two keys have had the same */
    tunnelcap_i_ossl_run *run[2];   /* the whole operation, by direction */
    tunnelcap_i_ossl_run *crypt[2]; /* separate integrity: the encryption in it */
    tunnelcap_i_ossl_mac *mac;      /* separate integrity, or NULL */
    EVP_CIPHER *cipher;             /* NULL: no encryption */
    EVP_CIPHER *mac_cipher;         /* AES-CBC for CMAC and XCBC, or NULL */
    EVP_CIPHER *block_cipher;       /* AES-ECB for GCM and GMAC by bursts, or NULL */
    uint8_t icv_len;
    uint8_t block;     /* a power of 2 that text_len must be a multiple of */
    uint8_t nonce_len; /* CCM must be told */
    uint8_t kind;      /* TUNNELCAP_I_CIPHER_ */
    uint8_t hash;      /* TUNNELCAP_I_HASH_ */
    uint8_t integ_key_len;
    uint8_t encr_key[32];
    uint8_t integ_key[64];
    union {
        struct {
            tunnelcap_i_hash_state inner; /* has taken key ^ ipad, RFC 2104 */
            tunnelcap_i_hash_state outer; /* has taken key ^ opad */
        } hmac;
        struct {
            uint8_t full[TUNNELCAP_I_BLOCK];    /* goes into a last block that is whole */
            uint8_t partial[TUNNELCAP_I_BLOCK]; /* goes into one that was padded */
        } cbc;
        tunnelcap_i_ghash_key ghash; /* with a block_cipher */
    } mac_state;
};

/* What a slot knows of the nonce in its GCM context. */
enum {
    TUNNELCAP_I_NONCE_UNKNOWN,
    TUNNELCAP_I_NONCE_USED,  /* slot->nonce was used last */
    TUNNELCAP_I_NONCE_LOADED /* slot->nonce is in the context, not used yet */
};

struct tunnelcap_i_ossl_slot {
    uint64_t tag;  /* generation and direction of the key; 0: free */
    uint32_t next; /* in its bucket or in the free list; slot number + 1 */
    uint8_t used;  /* since the hand of the clock passed */
    uint8_t lean;  /* the short call patterns work with this cipher */
    uint8_t bulk;  /* the context is of the key's block_cipher, for bursts */
    uint8_t nonce_state;
    uint8_t kind; /* TUNNELCAP_I_CIPHER_ that the context was prepared for */
    EVP_CIPHER_CTX *cipher;
    EVP_CIPHER_CTX *mac;
    uint8_t nonce[TUNNELCAP_I_BLOCK];
    uint8_t chain[TUNNELCAP_I_BLOCK];     /* CBC: last block of ciphertext in the context */
    uint8_t mac_chain[TUNNELCAP_I_BLOCK]; /* the same of the integrity context */
};

enum { TUNNELCAP_I_LEAN_CIPHERS = 4, TUNNELCAP_I_BULK_CIPHERS = 3, TUNNELCAP_I_SCRATCH = 8192 };

struct tunnelcap_i_ossl_lane {
    tunnelcap_i_ossl_slot *slots;
    uint32_t *buckets; /* slot number + 1, 0: empty */
    uint32_t slot_count;
    uint32_t bucket_mask;
    uint32_t free;                              /* first free slot + 1 */
    uint32_t hand;                              /* of the clock */
    EVP_MAC_CTX *hmac[TUNNELCAP_I_HASHES];      /* NULL: not offered by libcrypto */
    EVP_CIPHER *lean[TUNNELCAP_I_LEAN_CIPHERS]; /* ciphers that passed the trial, or NULL */
    EVP_CIPHER *bulk[TUNNELCAP_I_BULK_CIPHERS]; /* block ciphers that passed theirs, or NULL */
    tunnelcap_i_hash_state hash;
    uint8_t scratch[TUNNELCAP_I_SCRATCH + 2 * TUNNELCAP_I_BLOCK];
};

/* The way of a provider, by its `self`. */
uint32_t tunnelcap_i_ossl_way(const void *self);

/* ---- ciphers ---- */

enum {
    TUNNELCAP_I_CIPHER_NONE,
    TUNNELCAP_I_CIPHER_GCM,
    TUNNELCAP_I_CIPHER_GMAC,
    TUNNELCAP_I_CIPHER_CCM,
    TUNNELCAP_I_CIPHER_CHACHA,
    TUNNELCAP_I_CIPHER_CTR,
    TUNNELCAP_I_CIPHER_CBC
};

/* Set a key's functions by its kind and integrity. */
void tunnelcap_i_ossl_choose(tunnelcap_i_ossl_key *key);

/* Put a key into a slot's cipher context. */
int32_t tunnelcap_i_ossl_cipher_bind(tunnelcap_i_ossl_slot *slot, const tunnelcap_i_ossl_key *key,
                                     int direction);

/* Start AES-CBC without padding and with an IV of zeros. */
int32_t tunnelcap_i_ossl_cbc_bind(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *cipher, const uint8_t *key,
                                  int direction);

/* ---- GCM by bursts ---- */

/* Prepare a key of GCM or GMAC for bursts: sets key->block_cipher, or leaves it NULL where that
 * cannot be done or is not wanted. */
void tunnelcap_i_ossl_gcm_init(tunnelcap_i_ossl_key *key, uint32_t key_len, uint32_t way);

/* Put a key into a context. */
int32_t tunnelcap_i_ossl_gcm_bind(EVP_CIPHER_CTX *ctx, const tunnelcap_i_ossl_key *key);

/* Carry out n operations of one key, each with its status. TUNNELCAP_E_CRYPTO if libcrypto has
 * failed with one of them. */
int32_t tunnelcap_i_ossl_gcm_run(tunnelcap_i_ossl_lane *lane, tunnelcap_i_ossl_slot *slot,
                                 const tunnelcap_i_ossl_key *key, tunnelcap_crypto_op *const *ops,
                                 uint32_t n, int direction);

/* ---- trials ---- */

/* 1 if the short call patterns do with this cipher what the documented ones do. */
uint32_t tunnelcap_i_ossl_try_lean(EVP_CIPHER *cipher, uint8_t kind);

/* The block cipher for bursts of a GCM cipher, if they do what the documented calls of the latter
 * do; or NULL. */
EVP_CIPHER *tunnelcap_i_ossl_try_bulk(tunnelcap_i_ossl_lane *lane, EVP_CIPHER *cipher,
                                      uint32_t way);

/* ---- separate integrity ---- */

/* Names of the hashes in libcrypto. */
extern const char *const tunnelcap_i_hash_names[TUNNELCAP_I_HASHES];

/* Prepare integrity; sets key->mac. */
int32_t tunnelcap_i_ossl_mac_init(tunnelcap_i_ossl_key *key, uint16_t integ, uint32_t way);

/* Put a key into a slot's integrity context. */
int32_t tunnelcap_i_ossl_mac_bind(tunnelcap_i_ossl_slot *slot, const tunnelcap_i_ossl_key *key);

/* ---- lanes ---- */

size_t tunnelcap_i_ossl_lane_size(void *self, uint32_t max_burst, uint32_t key_slots);
int32_t tunnelcap_i_ossl_lane_init(void *self, void *lane, uint32_t max_burst, uint32_t key_slots);
void tunnelcap_i_ossl_lane_forget(void *self, void *lane, const void *key);
void tunnelcap_i_ossl_lane_fini(void *self, void *lane);
void tunnelcap_i_ossl_seal(void *self, void *lane, tunnelcap_crypto_op *const *ops, uint32_t n);
void tunnelcap_i_ossl_unseal(void *self, void *lane, tunnelcap_crypto_op *const *ops, uint32_t n);

#endif
#endif
