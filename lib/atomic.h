/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Atomic numbers in the few forms that the library uses. Where the compiler has no C11 atomics,
 * or 64-bit ones are not lock-free, the numbers are plain: such a build serves one thread, and
 * TUNNELCAP_I_LANES_MAX tells the table so. */
#ifndef TUNNELCAP_I_ATOMIC_H
#define TUNNELCAP_I_ATOMIC_H

#include <stdint.h>

#if defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L && !defined(__STDC_NO_ATOMICS__)
#include <stdatomic.h>
#if ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2
#define TUNNELCAP_I_ATOMIC 1
#endif
#endif

#ifdef TUNNELCAP_I_ATOMIC
enum { TUNNELCAP_I_LANES_MAX = 256 };
typedef _Atomic uint32_t tunnelcap_i_atomic32;
typedef _Atomic uint64_t tunnelcap_i_atomic64;
#define TUNNELCAP_I_LOAD(a)         atomic_load_explicit(&(a), memory_order_relaxed)
#define TUNNELCAP_I_STORE(a, v)     atomic_store_explicit(&(a), (v), memory_order_relaxed)
#define TUNNELCAP_I_LOAD_ACQ(a)     atomic_load_explicit(&(a), memory_order_acquire)
#define TUNNELCAP_I_STORE_REL(a, v) atomic_store_explicit(&(a), (v), memory_order_release)
#define TUNNELCAP_I_LOAD_SEQ(a)     atomic_load_explicit(&(a), memory_order_seq_cst)
#define TUNNELCAP_I_STORE_SEQ(a, v) atomic_store_explicit(&(a), (v), memory_order_seq_cst)
#define TUNNELCAP_I_ADD(a, v)       atomic_fetch_add_explicit(&(a), (v), memory_order_relaxed)
#define TUNNELCAP_I_SWAP_IF(a, expected, v)                                                        \
    atomic_compare_exchange_weak_explicit(&(a), &(expected), (v), memory_order_relaxed,            \
                                          memory_order_relaxed)
#define TUNNELCAP_I_SWAP_IF_ORDERED(a, expected, v)                                                \
    atomic_compare_exchange_weak_explicit(&(a), &(expected), (v), memory_order_acq_rel,            \
                                          memory_order_acquire)
#else
enum { TUNNELCAP_I_LANES_MAX = 1 };
typedef uint32_t tunnelcap_i_atomic32;
typedef uint64_t tunnelcap_i_atomic64;
#define TUNNELCAP_I_LOAD(a)                 (a)
#define TUNNELCAP_I_STORE(a, v)             ((void)((a) = (v)))
#define TUNNELCAP_I_LOAD_ACQ(a)             (a)
#define TUNNELCAP_I_STORE_REL(a, v)         ((void)((a) = (v)))
#define TUNNELCAP_I_LOAD_SEQ(a)             (a)
#define TUNNELCAP_I_STORE_SEQ(a, v)         ((void)((a) = (v)))
#define TUNNELCAP_I_ADD(a, v)               (((a) += (v)) - (v))
#define TUNNELCAP_I_SWAP_IF(a, expected, v) ((void)(expected), (a) = (v), 1)
#define TUNNELCAP_I_SWAP_IF_ORDERED         TUNNELCAP_I_SWAP_IF
#endif

#endif
