/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "sender_id.h"

#include "log.h"
#include "state_dir.h"

#include <stdio.h>
#include <string.h>

#ifdef TUNNELCAP_WITH_OPENSSL
#include <openssl/evp.h>
#endif

enum { IDS = 1 << SENDER_ID_BITS };

bool sender_id_digest(const char *label, const void *bytes, size_t size,
                      uint8_t digest[SENDER_ID_DIGEST_SIZE])
{
#ifdef TUNNELCAP_WITH_OPENSSL
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(context, label, strlen(label) + 1) == 1 &&
                EVP_DigestUpdate(context, bytes, size) == 1 &&
                EVP_DigestFinal_ex(context, digest, NULL) == 1;

    EVP_MD_CTX_free(context); /* and wipe it */
    return done;
#else
    (void)label, (void)bytes, (void)size;
    memset(digest, 0, SENDER_ID_DIGEST_SIZE);
    return false;
#endif
}

void sender_id_name(const uint8_t key_digest[SENDER_ID_DIGEST_SIZE], char name[SENDER_ID_NAME_SIZE])
{
    for (size_t i = 0; i < SENDER_ID_NAME_SIZE / 2; i++)
        snprintf(name + 2 * i, 3, "%02x", key_digest[i]);
}

bool sender_id_check(const char *what, const char *directory)
{
    state_dir s;
    bool good = state_dir_open(&s, what, directory);

    state_dir_close(&s);
    return good;
}

/* Two gateways may share a directory; they take their ids one after the other. */
static bool take(state_dir *s, const char *name, uint32_t *id)
{
    uint64_t next = 0;

    if (!state_dir_lock(s) || !state_dir_read(s, name, IDS, &next))
        return false;
    if (next >= IDS) {
        log_line("%s: the key has been taken up %d times, which is the limit: new keys are needed",
                 s->what, IDS);
        return false;
    }
    if (!state_dir_write(s, name, next + 1))
        return false;
    *id = (uint32_t)next;
    return true;
}

bool sender_id_take(const char *what, const char *directory,
                    const uint8_t key_digest[SENDER_ID_DIGEST_SIZE], uint32_t *id)
{
    char name[SENDER_ID_NAME_SIZE];
    state_dir s;

    sender_id_name(key_digest, name);
    bool done = state_dir_open(&s, what, directory) && take(&s, name, id);
    state_dir_close(&s);
    return done;
}
