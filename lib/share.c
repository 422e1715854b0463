/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "share.h"

/* log2(1 + i / 256) with 32 bits behind the point. */
static const uint32_t log2_table[256] = {
    0x00000000, 0x01709c47, 0x02dfca17, 0x044d8c46, 0x05b9e5a1, 0x0724d8ef, 0x088e68eb, 0x09f6984a,
    0x0b5d69bb, 0x0cc2dfe2, 0x0e26fd5d, 0x0f89c4c2, 0x10eb38a0, 0x124b5b7e, 0x13aa2fdd, 0x1507b836,
    0x1663f6fb, 0x17beee97, 0x1918a16e, 0x1a7111df, 0x1bc84241, 0x1d1e34e3, 0x1e72ec11, 0x1fc66a0f,
    0x2118b11a, 0x2269c369, 0x23b9a32f, 0x25085296, 0x2655d3c5, 0x27a228db, 0x28ed53f3, 0x2a375721,
    0x2b803474, 0x2cc7edf6, 0x2e0e85aa, 0x2f53fd90, 0x309857a0, 0x31db95d0, 0x331dba0f, 0x345ec646,
    0x359ebc5b, 0x36dd9e2f, 0x381b6d9c, 0x39582c79, 0x3a93dc98, 0x3bce7fc7, 0x3d0817cf, 0x3e40a672,
    0x3f782d72, 0x40aeae89, 0x41e42b6f, 0x4318a5d5, 0x444c1f6b, 0x457e99db, 0x46b016ca, 0x47e097db,
    0x49101eac, 0x4a3eacd7, 0x4b6c43f1, 0x4c98e58e, 0x4dc4933b, 0x4eef4e83, 0x501918ec, 0x5141f3fb,
    0x5269e12f, 0x5390e204, 0x54b6f7f1, 0x55dc246d, 0x570068e8, 0x5823c6d1, 0x59463f92, 0x5a67d492,
    0x5b888736, 0x5ca858df, 0x5dc74aea, 0x5ee55eb1, 0x6002958c, 0x611ef0cf, 0x623a71cc, 0x635519cf,
    0x646eea24, 0x6587e415, 0x66a008e4, 0x67b759d6, 0x68cdd82a, 0x69e3851c, 0x6af861e6, 0x6c0c6fc0,
    0x6d1fafdd, 0x6e322370, 0x6f43cba8, 0x7054a9b1, 0x7164beb5, 0x72740bdb, 0x73829249, 0x74905320,
    0x759d4f81, 0x76a98888, 0x77b4ff51, 0x78bfb4f4, 0x79c9aa88, 0x7ad2e11f, 0x7bdb59cd, 0x7ce3159f,
    0x7dea15a3, 0x7ef05ae4, 0x7ff5e66a, 0x80fab93c, 0x81fed45d, 0x830238d0, 0x8404e794, 0x8506e1a8,
    0x86082807, 0x8708bbaa, 0x88089d8b, 0x8907ce9d, 0x8a064fd5, 0x8b042225, 0x8c01467c, 0x8cfdbdc8,
    0x8df988f5, 0x8ef4a8ed, 0x8fef1e98, 0x90e8eade, 0x91e20ea1, 0x92da8ac6, 0x93d2602c, 0x94c98fb4,
    0x95c01a3a, 0x96b6009b, 0x97ab43af, 0x989fe451, 0x9993e356, 0x9a874193, 0x9b79ffdb, 0x9c6c1f01,
    0x9d5d9fd5, 0x9e4e8325, 0x9f3ec9bd, 0xa02e746a, 0xa11d83f5, 0xa20bf926, 0xa2f9d4c5, 0xa3e71797,
    0xa4d3c25e, 0xa5bfd5df, 0xa6ab52da, 0xa7963a0d, 0xa8808c38, 0xa96a4a17, 0xaa537465, 0xab3c0bdc,
    0xac241135, 0xad0b8526, 0xadf26866, 0xaed8bba8, 0xafbe7fa1, 0xb0a3b502, 0xb1885c7b, 0xb26c76bc,
    0xb3500472, 0xb433064b, 0xb5157cf3, 0xb5f76913, 0xb6d8cb54, 0xb7b9a45e, 0xb899f4d9, 0xb979bd69,
    0xba58feb2, 0xbb37b959, 0xbc15edff, 0xbcf39d45, 0xbdd0c7ca, 0xbead6e2d, 0xbf89910c, 0xc0653103,
    0xc1404eae, 0xc21aeaa6, 0xc2f50586, 0xc3ce9fe4, 0xc4a7ba58, 0xc5805579, 0xc65871da, 0xc7301011,
    0xc80730b0, 0xc8ddd449, 0xc9b3fb6d, 0xca89a6ac, 0xcb5ed695, 0xcc338bb7, 0xcd07c69e, 0xcddb87d6,
    0xceaecfeb, 0xcf819f66, 0xd053f6d2, 0xd125d6b7, 0xd1f73f9c, 0xd2c83209, 0xd398ae81, 0xd468b58c,
    0xd53847ac, 0xd6076565, 0xd6d60f39, 0xd7a445a9, 0xd8720936, 0xd93f5a60, 0xda0c39a5, 0xdad8a784,
    0xdba4a47b, 0xdc703104, 0xdd3b4d9d, 0xde05fac0, 0xded038e6, 0xdf9a088a, 0xe0636a24, 0xe12c5e2b,
    0xe1f4e517, 0xe2bcff5e, 0xe384ad75, 0xe44befd0, 0xe512c6e5, 0xe5d93326, 0xe69f3506, 0xe764ccf7,
    0xe829fb69, 0xe8eec0ce, 0xe9b31d94, 0xea77122b, 0xeb3a9f02, 0xebfdc485, 0xecc08322, 0xed82db45,
    0xee44cd5a, 0xef0659cc, 0xefc78104, 0xf088436d, 0xf148a170, 0xf2089b75, 0xf2c831e4, 0xf3876524,
    0xf446359b, 0xf504a3af, 0xf5c2afc6, 0xf6805a44, 0xf73da38e, 0xf7fa8c05, 0xf8b7140f, 0xf9733c0c,
    0xfa2f045e, 0xfaea6d67, 0xfba57787, 0xfc60231e, 0xfd1a708c, 0xfdd4602e, 0xfe8df264, 0xff47278b,
};

uint64_t tunnelcap_i_share_distance(uint64_t hash)
{
    uint32_t high = (uint32_t)(hash >> 32);
    uint32_t bit;
    uint32_t i;
    uint64_t next;
    uint64_t between;

    hash |= hash == 0;
    bit = high != 0 ? 32 + tunnelcap_i_highest_bit(high) : tunnelcap_i_highest_bit((uint32_t)hash);
    hash <<= 63 - bit;
    i = (uint32_t)(hash >> 55) & 255;
    between = hash >> 23 & 0xffffffff;
    next = i == 255 ? (uint64_t)1 << 32 : log2_table[i + 1];
    return ((uint64_t)(64 - bit) << 32) - log2_table[i] - ((next - log2_table[i]) * between >> 32);
}

void tunnelcap_i_share_in_a_row(uint32_t *buckets, uint32_t count,
                                const tunnelcap_i_sharer *sharers, uint32_t n)
{
    uint32_t total = 0;
    uint32_t sum = 0;
    uint32_t at = 0;

    for (uint32_t i = 0; i < n; i++)
        total += sharers[i].weight;
    for (uint32_t i = 0; i < n; i++) {
        sum += sharers[i].weight;
        while (at < (uint64_t)count * sum / total)
            buckets[at++] = sharers[i].place;
    }
}

void tunnelcap_i_share_by_rendezvous(uint32_t *buckets, uint32_t count,
                                     const tunnelcap_i_sharer *sharers, uint32_t n,
                                     tunnelcap_i_flow_key key)
{
    const tunnelcap_i_sharer *best;
    uint64_t least;
    uint64_t distance;

    for (uint32_t at = 0; at < count; at++) {
        best = NULL;
        least = 0;
        for (uint32_t i = 0; i < n; i++) {
            distance = tunnelcap_i_share_distance(tunnelcap_i_hash2(key, sharers[i].tunnel, at));
            /* distance / weight < least / best->weight, without fractions */
            if (best != NULL && distance * best->weight >= least * sharers[i].weight &&
                (distance * best->weight > least * sharers[i].weight ||
                 sharers[i].tunnel > best->tunnel))
                continue;
            best = &sharers[i];
            least = distance;
        }
        buckets[at] = best->place;
    }
}
