/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/**
 * @file crypto.h
 * Where ESP's cryptography comes from: transforms by their IANA numbers, and the interface of a
 * provider that carries them out.
 *
 * A provider is a table of functions. Keys are immutable once made and may be used by any number
 * of threads; whatever changes with use belongs to a lane. Operations come in bursts that may
 * span keys, so that a provider can work on many packets at once.
 */
#ifndef TUNNELCAP_CRYPTO_H
#define TUNNELCAP_CRYPTO_H

#include <tunnelcap/packet.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Encryption algorithms: IKEv2 transform type 1 (IANA). */
enum {
    TUNNELCAP_ENCR_3DES = 3,                  /**< 3DES-CBC, RFC 2451; opt-in. */
    TUNNELCAP_ENCR_NULL = 11,                 /**< No encryption, RFC 2410; opt-in. */
    TUNNELCAP_ENCR_AES_CBC = 12,              /**< RFC 3602. */
    TUNNELCAP_ENCR_AES_CTR = 13,              /**< RFC 3686. */
    TUNNELCAP_ENCR_AES_CCM_8 = 14,            /**< RFC 4309, 8-byte ICV. */
    TUNNELCAP_ENCR_AES_CCM_12 = 15,           /**< RFC 4309, 12-byte ICV. */
    TUNNELCAP_ENCR_AES_CCM_16 = 16,           /**< RFC 4309, 16-byte ICV. */
    TUNNELCAP_ENCR_AES_GCM_8 = 18,            /**< RFC 4106, 8-byte ICV. */
    TUNNELCAP_ENCR_AES_GCM_12 = 19,           /**< RFC 4106, 12-byte ICV. */
    TUNNELCAP_ENCR_AES_GCM_16 = 20,           /**< RFC 4106, 16-byte ICV. */
    TUNNELCAP_ENCR_AES_GMAC = 21,             /**< No encryption, RFC 4543; opt-in. */
    TUNNELCAP_ENCR_CHACHA20_POLY1305 = 28,    /**< RFC 7634. */
    TUNNELCAP_ENCR_AES_CCM_8_IIV = 29,        /**< With implicit IV, RFC 8750. */
    TUNNELCAP_ENCR_AES_GCM_16_IIV = 30,       /**< With implicit IV, RFC 8750. */
    TUNNELCAP_ENCR_CHACHA20_POLY1305_IIV = 31 /**< With implicit IV, RFC 8750. */
};

/** Integrity algorithms: IKEv2 transform type 3 (IANA). */
enum {
    TUNNELCAP_INTEG_NONE = 0,               /**< With combined algorithms. */
    TUNNELCAP_INTEG_HMAC_MD5_96 = 1,        /**< RFC 2403; opt-in. */
    TUNNELCAP_INTEG_HMAC_SHA1_96 = 2,       /**< RFC 2404. */
    TUNNELCAP_INTEG_AES_XCBC_96 = 5,        /**< RFC 3566. */
    TUNNELCAP_INTEG_AES_CMAC_96 = 8,        /**< RFC 4494. */
    TUNNELCAP_INTEG_HMAC_SHA2_256_128 = 12, /**< RFC 4868. */
    TUNNELCAP_INTEG_HMAC_SHA2_384_192 = 13, /**< RFC 4868. */
    TUNNELCAP_INTEG_HMAC_SHA2_512_256 = 14  /**< RFC 4868. */
};

/** Flags of tunnelcap_transform. */
enum {
    /** Permit 3DES, HMAC-MD5, NULL encryption and GMAC: weak, or in clear. */
    TUNNELCAP_TRANSFORM_ALLOW_WEAK = 1
};

/**
 * What an SA encrypts and authenticates with, and the keys. KEYMAT of combined and counter
 * algorithms ends in a salt (RFC 4106 8.1: 4 bytes; RFC 4309: 3): it is a field of its own here.
 * Wipe the struct after use.
 */
typedef struct tunnelcap_transform {
    uint32_t size;          /**< sizeof(tunnelcap_transform) of the caller. */
    uint32_t flags;         /**< TUNNELCAP_TRANSFORM_ flags. */
    uint16_t encr;          /**< TUNNELCAP_ENCR_ */
    uint16_t integ;         /**< TUNNELCAP_INTEG_ */
    uint16_t encr_key_len;  /**< Bytes of encr_key, without salt. */
    uint16_t integ_key_len; /**< Bytes of integ_key. */
    uint8_t encr_key[32];   /**< Encryption key. */
    uint8_t salt[4];        /**< Salt; unused bytes zero. */
    uint8_t integ_key[64];  /**< Integrity key. */
    uint8_t reserved[4];    /**< Zero. */
} tunnelcap_transform;

/** What follows from a transform's algorithms. */
typedef struct tunnelcap_transform_info {
    uint32_t size;        /**< sizeof(tunnelcap_transform_info) of the caller. */
    uint8_t iv_len;       /**< IV bytes in each packet. */
    uint8_t icv_len;      /**< ICV bytes at the end of each packet. */
    uint8_t align;        /**< Multiple that the encrypted text is padded to, at least 4. */
    uint8_t salt_len;     /**< Bytes of salt. */
    uint8_t combined;     /**< 1: one algorithm for both (AEAD, GMAC). */
    uint8_t counter_mode; /**< 1: a repeated IV under one key breaks it. */
    uint8_t implicit_iv;  /**< 1: the IV is the sequence number (RFC 8750). */
    uint8_t reserved[5];  /**< Zero. */
} tunnelcap_transform_info;

/**
 * Check a transform and tell what follows from it.
 *
 * @param transform algorithms and keys
 * @param info      receives the facts, its `size` set by the caller; NULL to check only
 *
 * @retval TUNNELCAP_OK            usable
 * @retval TUNNELCAP_E_INVALID     transform is NULL
 * @retval TUNNELCAP_E_VERSION     a struct is of an unknown version
 * @retval TUNNELCAP_E_FLAGS       an unknown flag
 * @retval TUNNELCAP_E_RESERVED    a reserved field is not zero
 * @retval TUNNELCAP_E_TRANSFORM   an unknown algorithm, encryption without integrity, or an
 *                                 integrity algorithm beside a combined one
 * @retval TUNNELCAP_E_WEAK        a weak or clear algorithm without
 * ::TUNNELCAP_TRANSFORM_ALLOW_WEAK
 * @retval TUNNELCAP_E_KEY         a key of a wrong length, or a salt longer than the algorithm's
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_transform_check(const tunnelcap_transform *transform,
                                                tunnelcap_transform_info *info);

/** Flags of tunnelcap_crypto_op. */
enum {
    TUNNELCAP_OP_ESN = 1 /**< The high half of the sequence number, aad[4..7], is authenticated:
                              12 bytes of aad with combined algorithms, 4 bytes behind the text
                              with separate ones (RFC 4303 2.2.1). */
};

/**
 * One packet's work for a provider.
 *
 * ```
 * packet   [ SPI | seq | IV ] [ text .................. ] [ ICV ]
 *            head_len bytes     text_len bytes, in place    icv_len bytes
 * ```
 *
 * Combined algorithms authenticate `aad` (8 bytes SPI and sequence number, or 12 with the high
 * half between them) and the text; GMAC also the IV. Separate ones authenticate the head_len
 * bytes before the text, and the text.
 *
 * nonce: GCM and ChaCha20-Poly1305: salt || IV, 12 bytes. CCM: salt || IV, 11 bytes. CTR: salt ||
 * IV || block counter 1, 16 bytes. CBC: the IV of 16 bytes (3DES: 8).
 */
typedef struct tunnelcap_crypto_op {
    const void *key;   /**< A key of this provider. */
    uint8_t *text;     /**< Text to transform in place. */
    uint8_t *icv;      /**< Seal: where the ICV goes. Unseal: the ICV received. */
    uint8_t nonce[16]; /**< See above. */
    uint8_t aad[12];   /**< SPI, sequence number (with its high half in between, if flagged). */
    uint32_t text_len; /**< Bytes of text; a multiple of the cipher's block. */
    int32_t status;    /**< Out: ::TUNNELCAP_OK, ::TUNNELCAP_E_AUTH or ::TUNNELCAP_E_CRYPTO. */
    uint16_t head_len; /**< Bytes before the text that are part of the ESP packet. */
    uint16_t flags;    /**< TUNNELCAP_OP_ flags. */
} tunnelcap_crypto_op;

/** Flags of tunnelcap_crypto. */
enum {
    TUNNELCAP_CRYPTO_HEAP = 1 /**< lane_init() takes memory from the heap beside its block. */
};

/**
 * A provider. All functions but run operations are called by setup code; `self` is the
 * provider's own. Memory is given at multiples of 64 and is zero.
 *
 * unseal() releases nothing unverified: where the ICV is wrong it sets ::TUNNELCAP_E_AUTH and
 * leaves no plaintext in the text, whose content is unspecified then.
 */
typedef struct tunnelcap_crypto {
    uint32_t size;    /**< sizeof(tunnelcap_crypto). */
    uint32_t flags;   /**< TUNNELCAP_CRYPTO_ flags. */
    const char *name; /**< Such as "openssl". */
    void *self;       /**< Passed to every function. */
    /** Bytes of a key of a transform that has passed tunnelcap_transform_check(); 0 where the
     *  provider does not offer it. */
    size_t (*key_size)(void *self, const tunnelcap_transform *transform);
    /** Make a key: ::TUNNELCAP_OK, ::TUNNELCAP_E_UNSUPPORTED, ::TUNNELCAP_E_NOMEM or
     *  ::TUNNELCAP_E_CRYPTO. */
    int32_t (*key_init)(void *self, void *key, const tunnelcap_transform *transform);
    /** Give up a key and wipe it. */
    void (*key_fini)(void *self, void *key);
    /** Bytes of a lane's state. */
    size_t (*lane_size)(void *self, uint32_t max_burst, uint32_t key_slots);
    /** Make a lane's state. */
    int32_t (*lane_init)(void *self, void *lane, uint32_t max_burst, uint32_t key_slots);
    /** Forget a key that is about to end, on a lane that is idle. */
    void (*lane_forget)(void *self, void *lane, const void *key);
    /** Give up a lane's state and wipe it. */
    void (*lane_fini)(void *self, void *lane);
    /** Encrypt and authenticate n operations; each gets its status. */
    void (*seal)(void *self, void *lane, tunnelcap_crypto_op *const *ops, uint32_t n);
    /** Verify and decrypt n operations; each gets its status. */
    void (*unseal)(void *self, void *lane, tunnelcap_crypto_op *const *ops, uint32_t n);
} tunnelcap_crypto;

/**
 * The provider on OpenSSL's libcrypto, 3.0 or later.
 *
 * @return the provider; NULL if the library was built without OpenSSL
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API const tunnelcap_crypto *tunnelcap_crypto_openssl(void);

/**
 * Test a provider with known answers: every transform that it offers, sealed and unsealed.
 *
 * @param crypto a provider
 * @param mem    scratch memory at a multiple of 64
 * @param size   bytes at mem; tunnelcap_crypto_self_test_size() tells how many
 * @param failed receives the encryption algorithm of the first failure in the upper and its
 *               integrity algorithm in the lower 16 bits; or NULL
 *
 * @retval TUNNELCAP_OK            all answers are right
 * @retval TUNNELCAP_E_INVALID     a pointer is NULL, or mem is misaligned
 * @retval TUNNELCAP_E_NOMEM       size is too small
 * @retval TUNNELCAP_E_CRYPTO      a wrong answer, or a forgery that was accepted
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API int32_t tunnelcap_crypto_self_test(const tunnelcap_crypto *crypto, void *mem,
                                                 size_t size, uint32_t *failed);

/**
 * Tell how many bytes tunnelcap_crypto_self_test() needs.
 *
 * @param crypto a provider
 * @return bytes; 0 if crypto is NULL
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API size_t tunnelcap_crypto_self_test_size(const tunnelcap_crypto *crypto);

#ifdef __cplusplus
}
#endif
#endif
