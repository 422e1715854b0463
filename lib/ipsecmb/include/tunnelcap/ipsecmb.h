/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/**
 * @file ipsecmb.h
 * A provider of cryptography that works on many packets at once: on Intel's library ipsec-mb.
 *
 * It is a library of its own, libtunnelcap-ipsecmb, for x86-64; this header is installed with it
 * and not part of the umbrella header.
 */
#ifndef TUNNELCAP_IPSECMB_H
#define TUNNELCAP_IPSECMB_H

#include <tunnelcap/crypto.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The provider on libipsec-mb, 1.3 or later. It offers every transform but AES-CCM with keys of
 * 192 bits, which that library lacks; and none on a processor without AES instructions.
 *
 * Keys hold all that is computed from them, so `key_slots` of a lane is not used. Lanes take no
 * memory from the heap: their state, of about 220 kB, is part of the lane.
 *
 * In an operation with separate integrity and an extended sequence number, the ICV must follow
 * the text, as the picture of tunnelcap_crypto_op shows; it ends as ::TUNNELCAP_E_CRYPTO else.
 *
 * @return the provider
 *
 * Threads  any
 * @since 1.0
 */
TUNNELCAP_API const tunnelcap_crypto *tunnelcap_crypto_ipsecmb(void);

#ifdef __cplusplus
}
#endif
#endif
