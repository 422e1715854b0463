/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Known answers of every transform, as hexadecimal digits; what is empty is NULL. */
#ifndef TUNNELCAP_I_CRYPTO_ANSWERS_H
#define TUNNELCAP_I_CRYPTO_ANSWERS_H

#include <tunnelcap/crypto.h>

/* Algorithms that give the same answer but for the length of the ICV. */
enum { TUNNELCAP_I_ANSWER_ENCRS = 4 };

typedef struct tunnelcap_i_answer {
    uint8_t encr[TUNNELCAP_I_ANSWER_ENCRS]; /* 0: no more */
    uint8_t integ;
    const char *encr_key;
    const char *integ_key;
    const char *nonce; /* as in tunnelcap_crypto_op */
    const char *aad;   /* 12 bytes: with extended sequence number */
    const char *head;  /* what stands before the text */
    const char *plain;
    const char *cipher;
    const char *icv; /* its beginning where an algorithm truncates it */
} tunnelcap_i_answer;

/* A cipher together with each separate integrity algorithm. */
enum { TUNNELCAP_I_INTEGS = 7 };

typedef struct tunnelcap_i_pairs {
    uint8_t encr;
    const char *encr_key;
    const char *nonce;
    const char *head;
    const char *plain;
    const char *cipher;
    const char *icv[TUNNELCAP_I_INTEGS];
} tunnelcap_i_pairs;

extern const tunnelcap_i_answer tunnelcap_i_answers[];
extern const uint32_t tunnelcap_i_answer_count;
extern const tunnelcap_i_pairs tunnelcap_i_pair_answers[];
extern const uint32_t tunnelcap_i_pair_count;

/* What the pairs have in common. */
extern const uint8_t tunnelcap_i_pair_integs[TUNNELCAP_I_INTEGS];
extern const uint8_t tunnelcap_i_pair_key_lens[TUNNELCAP_I_INTEGS];
extern const char tunnelcap_i_pair_key[]; /* its beginning, as long as the algorithm's key */
extern const char tunnelcap_i_pair_aad[];

#endif
