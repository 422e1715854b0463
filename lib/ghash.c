/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * Implementation notes
 *
 * GCM numbers the bits of a block from the left, processors from the right. With the bytes of a
 * block reversed all its bits stand mirrored, and the product of two mirrored numbers is the
 * mirrored product, shifted right by one. That shift is made good once, at the powers of H: what
 * is kept is H^i times x. A product has three parts,
 *
 *     low + middle * 2^64 + high * 2^128
 *
 * and the reduction folds `low` into the others, 64 bits at a time. The polynomial
 * x^128 + x^7 + x^2 + x + 1, mirrored, is 0xc2 << 56 above a one at either end; to fold is to
 * multiply by the former and to exchange the halves for the latter.
 *
 * Horner's rule for m blocks, (...(b1 * H + b2) * H + ... + bm) * H, is written as the sum
 * b1 * H^m + ... + bm * H, whose products do not wait for one another and are reduced once. Blocks
 * are taken in groups of 8; the first group is as long as makes all others whole.
 *
 * Each product takes three multiplications (Karatsuba): `middle` is (a.low + a.high) times
 * (b.low + b.high), less low and high; that correction is made once per group as well.
 *
 * The instructions take the same time whatever they multiply, and nothing here branches on, or
 * finds memory by, anything but lengths.
 */
#include "ghash.h"

#include <string.h>

#include "wire.h"

enum { BLOCK = TUNNELCAP_I_GHASH_BLOCK, POWERS = TUNNELCAP_I_GHASH_POWERS };

/* For processors that may have the instruction, and compilers that can be told to use it in one
 * function. Only the provider on libcrypto hashes; other builds need not carry it. */
#if defined(TUNNELCAP_WITH_OPENSSL) && (defined(__x86_64__) || defined(__i386__)) &&               \
    (defined(__clang__) ? __clang_major__ >= 8 : defined(__GNUC__) && __GNUC__ >= 9)
#define HAVE_GHASH 1
#define HAVE_X86   1
#elif defined(TUNNELCAP_WITH_OPENSSL) && defined(__aarch64__) && defined(__AARCH64EL__) &&         \
    defined(__linux__) &&                                                                          \
    (defined(__clang__) ? __clang_major__ >= 16 : defined(__GNUC__) && __GNUC__ >= 9)
#define HAVE_GHASH 1
#endif

#ifdef HAVE_GHASH

#define INLINE static inline __attribute__((always_inline))

#ifdef HAVE_X86

/* ---- the machine: x86 ---- */

#include <immintrin.h>

#define NARROW __attribute__((target("pclmul,ssse3")))
#define WIDE   __attribute__((target("pclmul,vpclmulqdq,avx2")))

typedef __m128i block;

uint32_t tunnelcap_i_ghash_best(void)
{
    __builtin_cpu_init();
    /* Without its instructions, AES block by block would be slow, or would betray the key. */
    if (!__builtin_cpu_supports("aes") || !__builtin_cpu_supports("pclmul") ||
        !__builtin_cpu_supports("ssse3"))
        return TUNNELCAP_I_GHASH_NONE;
    if (__builtin_cpu_supports("vpclmulqdq") && __builtin_cpu_supports("avx2"))
        return TUNNELCAP_I_GHASH_WIDE;
    return TUNNELCAP_I_GHASH_NARROW;
}

INLINE NARROW block zero(void)
{
    return _mm_setzero_si128();
}

/* Two halves in the machine's order. */
INLINE NARROW block load_halves(const uint64_t *at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

INLINE NARROW void store_halves(uint64_t *at, block b)
{
    _mm_storeu_si128((__m128i *)(void *)at, b);
}

/* 16 bytes, each from the place that `places` tells; beyond 127: zero. */
INLINE NARROW block load_shuffled(const uint8_t *at, const uint8_t *places)
{
    return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)at),
                            _mm_loadu_si128((const __m128i *)(const void *)places));
}

INLINE NARROW block from_numbers(tunnelcap_i_ghash_block b)
{
    return _mm_set_epi64x((long long)b.first, (long long)b.second);
}

INLINE NARROW block add(block a, block b)
{
    return _mm_xor_si128(a, b);
}

INLINE NARROW block exchange(block b)
{
    return _mm_shuffle_epi32(b, 0x4e);
}

INLINE NARROW block times_low(block a, block b)
{
    return _mm_clmulepi64_si128(a, b, 0x00);
}

INLINE NARROW block times_high(block a, block b)
{
    return _mm_clmulepi64_si128(a, b, 0x11);
}

#else

/* ---- the machine: 64-bit Arm ---- */

#include <arm_neon.h>
#include <sys/auxv.h>

#define NARROW __attribute__((target("+crypto")))

typedef uint64x2_t block;

uint32_t tunnelcap_i_ghash_best(void)
{
    enum { AES = 1 << 3, PMULL = 1 << 4 }; /* HWCAP_AES and HWCAP_PMULL of Linux */
    unsigned long has = getauxval(AT_HWCAP);

    return (has & AES) && (has & PMULL) ? TUNNELCAP_I_GHASH_NARROW : TUNNELCAP_I_GHASH_NONE;
}

INLINE NARROW block zero(void)
{
    return vdupq_n_u64(0);
}

INLINE NARROW block load_halves(const uint64_t *at)
{
    return vld1q_u64(at);
}

INLINE NARROW void store_halves(uint64_t *at, block b)
{
    vst1q_u64(at, b);
}

INLINE NARROW block load_shuffled(const uint8_t *at, const uint8_t *places)
{
    return vreinterpretq_u64_u8(vqtbl1q_u8(vld1q_u8(at), vld1q_u8(places)));
}

INLINE NARROW block from_numbers(tunnelcap_i_ghash_block b)
{
    return vcombine_u64(vcreate_u64(b.second), vcreate_u64(b.first));
}

INLINE NARROW block add(block a, block b)
{
    return veorq_u64(a, b);
}

INLINE NARROW block exchange(block b)
{
    return vextq_u64(b, b, 1);
}

INLINE NARROW block times_low(block a, block b)
{
    return vreinterpretq_u64_p128(
        vmull_p64((poly64_t)vgetq_lane_u64(a, 0), (poly64_t)vgetq_lane_u64(b, 0)));
}

INLINE NARROW block times_high(block a, block b)
{
    return vreinterpretq_u64_p128(
        vmull_high_p64(vreinterpretq_p64_u64(a), vreinterpretq_p64_u64(b)));
}

#endif

/* ---- both machines ---- */

INLINE NARROW tunnelcap_i_ghash_block to_numbers(block b)
{
    uint64_t halves[2];
    tunnelcap_i_ghash_block numbers;

    store_halves(halves, b);
    numbers.first = halves[1];
    numbers.second = halves[0];
    return numbers;
}

INLINE NARROW block load(const uint8_t *at)
{
    static const uint8_t mirror[BLOCK] = {15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0};

    return load_shuffled(at, mirror);
}

/* The last `rest` bytes before `end`, and zeros. Of a longer text a whole block is loaded, and what
 * does not belong to it is left out; a shorter one is copied. */
INLINE NARROW block load_part(const uint8_t *end, uint32_t rest, size_t len)
{
    static const uint8_t mirror[2 * BLOCK] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                              0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                              15,   14,   13,   12,   11,   10,   9,    8,
                                              7,    6,    5,    4,    3,    2,    1,    0};
    uint8_t padded[BLOCK] = {0};

    if (len >= BLOCK)
        return load_shuffled(end - BLOCK, mirror + rest);
    memcpy(padded, end - rest, rest);
    return load(padded);
}

/* ---- products ---- */

/* A sum of products that is neither corrected nor reduced. */
typedef struct sum {
    block low, middle, high;
} sum;

INLINE NARROW sum no_products(void)
{
    sum s = {zero(), zero(), zero()};

    return s;
}

/* Add a block times the power of H at `i`. */
INLINE NARROW void add_product(sum *s, block b, const tunnelcap_i_ghash_key *key, uint32_t i)
{
    block power = load_halves(key->powers[i]);

    s->low = add(s->low, times_low(b, power));
    s->high = add(s->high, times_high(b, power));
    s->middle = add(s->middle, times_low(add(b, exchange(b)), load_halves(key->folded[i])));
}

INLINE NARROW block reduce(const sum *s)
{
    static const uint64_t polynomial[2] = {0xc200000000000000, 0};
    block fold = load_halves(polynomial);
    block middle = add(s->middle, add(s->low, s->high));

    middle = add(middle, add(exchange(s->low), times_low(s->low, fold)));
    return add(s->high, add(exchange(middle), times_low(middle, fold)));
}

NARROW static block take_narrow(const tunnelcap_i_ghash_key *key, block state, const uint8_t *bytes,
                                size_t n)
{
    for (; n > 0; n--) {
        sum s = no_products();

        add_product(&s, add(state, load(bytes)), key, 0);
        for (uint32_t i = 1; i < POWERS; i++)
            add_product(&s, load(bytes + (size_t)i * BLOCK), key, i);
        state = reduce(&s);
        bytes += POWERS * BLOCK;
    }
    return state;
}

#ifdef HAVE_X86

/* ---- two blocks at a time ---- */

typedef struct pair_sum {
    __m256i low, middle, high;
} pair_sum;

INLINE WIDE __m256i load_two(const void *at)
{
    return _mm256_loadu_si256((const __m256i *)at);
}

INLINE WIDE __m256i load_pair(const uint8_t *at)
{
    return _mm256_shuffle_epi8(load_two(at),
                               _mm256_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f,
                                                 0x0001020304050607, 0x08090a0b0c0d0e0f));
}

/* Add two blocks times the powers at `i` and `i` + 1. */
INLINE WIDE void add_pair(pair_sum *s, __m256i pair, const tunnelcap_i_ghash_key *key, uint32_t i)
{
    __m256i powers = load_two(key->powers[i]);
    __m256i both = _mm256_xor_si256(pair, _mm256_shuffle_epi32(pair, 0x4e));

    s->low = _mm256_xor_si256(s->low, _mm256_clmulepi64_epi128(pair, powers, 0x00));
    s->high = _mm256_xor_si256(s->high, _mm256_clmulepi64_epi128(pair, powers, 0x11));
    s->middle =
        _mm256_xor_si256(s->middle, _mm256_clmulepi64_epi128(both, load_two(key->folded[i]), 0x00));
}

INLINE WIDE block join(__m256i pair)
{
    return add(_mm256_castsi256_si128(pair), _mm256_extracti128_si256(pair, 1));
}

WIDE static block take_wide(const tunnelcap_i_ghash_key *key, block state, const uint8_t *bytes,
                            size_t n)
{
    const __m256i none = _mm256_setzero_si256();

    for (; n > 0; n--) {
        __m256i before = _mm256_inserti128_si256(none, state, 0);
        pair_sum pairs = {none, none, none};
        sum s;

        add_pair(&pairs, load_pair(bytes + 2 * BLOCK), key, 2);
        add_pair(&pairs, load_pair(bytes + 4 * BLOCK), key, 4);
        add_pair(&pairs, load_pair(bytes + 6 * BLOCK), key, 6);
        add_pair(&pairs, _mm256_xor_si256(before, load_pair(bytes)), key, 0);
        s.low = join(pairs.low);
        s.middle = join(pairs.middle);
        s.high = join(pairs.high);
        state = reduce(&s);
        bytes += POWERS * BLOCK;
    }
    return state;
}

#endif

/* ---- all blocks ---- */

/* Take n whole groups into the state. */
INLINE NARROW block take_groups(const tunnelcap_i_ghash_key *key, block state, const uint8_t *bytes,
                                size_t n)
{
#ifdef HAVE_X86
    if (key->way == TUNNELCAP_I_GHASH_WIDE)
        return take_wide(key, state, bytes, n);
#endif
    return take_narrow(key, state, bytes, n);
}

NARROW tunnelcap_i_ghash_block tunnelcap_i_ghash(const tunnelcap_i_ghash_key *key,
                                                 tunnelcap_i_ghash_block first,
                                                 const uint8_t *bytes, size_t len,
                                                 tunnelcap_i_ghash_block last)
{
    const uint8_t *end = bytes + len;
    size_t whole = len / BLOCK;
    uint32_t rest = (uint32_t)(len % BLOCK);
    size_t others = whole + (rest > 0) + 1; /* than the first */
    uint32_t i = POWERS - 1 - (uint32_t)(others % POWERS);
    block state = zero();
    sum s = no_products();

    add_product(&s, from_numbers(first), key, i++);
    if (others >= POWERS) {
        for (; i < POWERS; i++, bytes += BLOCK, whole--)
            add_product(&s, load(bytes), key, i);
        state = reduce(&s);
        s = no_products();
        /* The last group ends with the last block, and perhaps with one that is padded. */
        state = take_groups(key, state, bytes, whole / POWERS);
        bytes += whole / POWERS * POWERS * BLOCK;
        whole %= POWERS;
        i = 0;
    }
    for (; whole > 0; whole--, i++, bytes += BLOCK) {
        add_product(&s, add(state, load(bytes)), key, i);
        state = zero();
    }
    if (rest > 0)
        add_product(&s, load_part(end, rest, len), key, POWERS - 2);
    add_product(&s, from_numbers(last), key, POWERS - 1);
    return to_numbers(reduce(&s));
}

/* Times x, in mirrored order: a shift to the left; what leaves it comes back as the polynomial. */
static void times_x(uint64_t *to, uint64_t high, uint64_t low)
{
    uint64_t carry = 0 - (high >> 63);

    to[1] = (high << 1 | low >> 63) ^ (carry & 0xc200000000000000);
    to[0] = low << 1 ^ (carry & 1);
}

NARROW void tunnelcap_i_ghash_init(tunnelcap_i_ghash_key *key, const uint8_t *h, uint32_t way)
{
    memset(key, 0, sizeof(*key));
    key->way = way;
    times_x(key->powers[POWERS - 1], tunnelcap_i_load64(h), tunnelcap_i_load64(h + 8));
    for (uint32_t i = POWERS; i > 0; i--) {
        uint64_t *power = key->powers[i - 1];
        sum s = no_products();

        key->folded[i - 1][0] = power[0] ^ power[1];
        if (i == 1)
            break;
        add_product(&s, load_halves(power), key, POWERS - 1);
        store_halves(key->powers[i - 2], reduce(&s));
    }
}

#else

uint32_t tunnelcap_i_ghash_best(void)
{
    return TUNNELCAP_I_GHASH_NONE;
}

void tunnelcap_i_ghash_init(tunnelcap_i_ghash_key *key, const uint8_t *h, uint32_t way)
{
    (void)h;
    (void)way;
    memset(key, 0, sizeof(*key));
}

tunnelcap_i_ghash_block tunnelcap_i_ghash(const tunnelcap_i_ghash_key *key,
                                          tunnelcap_i_ghash_block first, const uint8_t *bytes,
                                          size_t len, tunnelcap_i_ghash_block last)
{
    (void)key;
    (void)bytes;
    (void)len;
    (void)last;
    return first;
}

#endif
