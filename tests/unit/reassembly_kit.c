/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "reassembly_kit.h"

enum { HEADROOM = 32, ROOM = 66000, GUARD = 64, FRAGMENT = 44, UDP = 17 };

tunnelcap_pkt frag_out;
uint32_t frag_room = ROOM;
static uint8_t out_bytes[HEADROOM + ROOM + GUARD];

void frag_any(frag_whole *whole, const test_ip *ip, uint8_t protocol, uint32_t id, uint32_t len)
{
    test_ip own = *ip;
    own.id = (uint16_t)id;
    test_payload(&whole->frame, len);
    test_push_ip(&whole->frame, &own, protocol);
    whole->head = ip->src.family == TUNNELCAP_IPV4 ? 20 : 40;
    whole->next_at = 6;
    whole->id = id;
}

static void udp(frag_whole *whole, const test_ip *ip, uint32_t id, uint32_t len)
{
    ck_assert_uint_ge(len, 8);
    test_ip own = *ip;
    own.id = (uint16_t)id;
    own.frag = 0;
    test_udp_packet(&whole->frame, &own, len - 8);
    whole->head = ip->src.family == TUNNELCAP_IPV4 ? 20 : 40;
    whole->next_at = 6;
    whole->id = id;
}

void frag_udp4(frag_whole *whole, const char *src, uint32_t id, uint32_t len)
{
    test_ip ip = test_between(src, "198.51.100.9");
    udp(whole, &ip, id, len);
}

void frag_udp6(frag_whole *whole, const char *src, uint32_t id, uint32_t len)
{
    test_ip ip = test_between(src, "2001:db8:9::9");
    udp(whole, &ip, id, len);
}

uint32_t frag_data(const frag_whole *whole)
{
    return whole->frame.len - whole->head;
}

void frag_seal(uint8_t *packet)
{
    test_store16(packet + 10, 0);
    test_store16(packet + 10, (uint16_t)~test_sum(0, packet, (packet[0] & 15u) * 4));
}

uint32_t frag_piece(const frag_whole *whole, uint32_t off, uint32_t len, bool more, uint8_t *to)
{
    const uint8_t *packet = whole->frame.bytes;
    uint32_t head = whole->head;
    ck_assert_uint_eq(off % 8, 0);
    memcpy(to, packet, head);
    if (packet[0] >> 4 == 4) {
        if (off != 0 && head > 20) { /* options that are not copied */
            head = 20;
            to[0] = 0x45;
        }
        test_store16(to + 2, head + len);
        test_store16(to + 6, (test_load16(packet + 6) & 0xc000u) | (more ? 0x2000u : 0) | off / 8);
        frag_seal(to);
    } else {
        to[head] = packet[whole->next_at];
        to[whole->next_at] = FRAGMENT;
        to[head + 1] = 0;
        test_store16(to + head + 2, off | more);
        test_store32(to + head + 4, whole->id);
        head += 8;
        test_store16(to + 4, head - 40 + len);
    }
    memcpy(to + head, packet + whole->head + off, len);
    return head + len;
}

int32_t frag_add(tunnelcap_reassembly *r, const uint8_t *packet, uint32_t len,
                 const tunnelcap_meta *meta, uint64_t now_ns)
{
    tunnelcap_pkt pkt = test_pkt(packet, len, 0);
    tunnelcap_pkt out = {out_bytes, HEADROOM + frag_room, HEADROOM, 77, 88, &frag_out};
    uint32_t need = tunnelcap_reassembly_need(r, &pkt, meta, now_ns);
    uint32_t end = HEADROOM + need;
    memset(out_bytes, 0xcc, HEADROOM + GUARD);
    memset(out_bytes + end, 0xcc, GUARD);
    int32_t status = tunnelcap_reassembly_add(r, &pkt, meta, now_ns, &out);
    uint8_t guard[GUARD];
    memset(guard, 0xcc, sizeof(guard));
    uint32_t from = status == TUNNELCAP_OK ? end : HEADROOM;
    tunnelcap_pkt want = {out_bytes, HEADROOM + frag_room, HEADROOM, 77, 88, &frag_out};
    want.len = status == TUNNELCAP_OK ? need : 77;
    bool completes = status == TUNNELCAP_OK || status == TUNNELCAP_E_TAILROOM;
    /* One check: there are millions of packets. */
    ck_assert(memcmp(pkt.buf, packet, len) == 0 && pkt.status == INT32_MIN &&
              memcmp(&out, &want, sizeof(out)) == 0 && completes == (need != 0) &&
              memcmp(out_bytes, guard, HEADROOM) == 0 &&
              memcmp(out_bytes + from, guard, GUARD) == 0);
    test_pkt_free(&pkt);
    frag_out = out;
    return status;
}

int32_t frag_send(tunnelcap_reassembly *r, const frag_whole *whole, uint32_t off, uint32_t len,
                  bool more, uint64_t now_ns)
{
    static uint8_t packet[TEST_FRAME_CAP];
    uint32_t packet_len = frag_piece(whole, off, len, more, packet);
    return frag_add(r, packet, packet_len, NULL, now_ns);
}

void frag_is_whole(const frag_whole *whole)
{
    ck_assert_uint_eq(frag_out.len, whole->frame.len);
    ck_assert_mem_eq(frag_out.buf + frag_out.off, whole->frame.bytes, whole->frame.len);
}

tunnelcap_reassembly *frag_new(uint32_t sets, uint32_t bytes, uint32_t share)
{
    tunnelcap_reassembly_config config;
    tunnelcap_reassembly *r = NULL;
    test_ok(tunnelcap_reassembly_config_init(&config, sizeof(config)));
    config.sets = sets != 0 ? sets : config.sets;
    config.bytes = bytes != 0 ? bytes : config.bytes;
    config.source_share = share != 0 ? share : config.source_share;
    test_ok(tunnelcap_reassembly_new(&config, test_seed, test_alloc(), &r));
    return r;
}

tunnelcap_reassembly_stats frag_stats(const tunnelcap_reassembly *r)
{
    tunnelcap_reassembly_stats stats;
    test_ok(tunnelcap_reassembly_get_stats(r, &stats, sizeof(stats)));
    return stats;
}
