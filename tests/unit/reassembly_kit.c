/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include "reassembly_kit.h"

enum { HEADROOM = 32, ROOM = 66000, FRAGMENT = 44, UDP = 17 };

tunnelcap_pkt kit_out;
uint32_t kit_room = ROOM;
static uint8_t out_bytes[HEADROOM + ROOM];

void kit_any(kit_whole *whole, const test_ip *ip, uint8_t protocol, uint32_t id, uint32_t len)
{
    test_ip own = *ip;
    own.id = (uint16_t)id;
    test_payload(&whole->frame, len);
    test_push_ip(&whole->frame, &own, protocol);
    whole->head = ip->src.family == TUNNELCAP_IPV4 ? 20 : 40;
    whole->next_at = 6;
    whole->id = id;
}

static void udp(kit_whole *whole, const test_ip *ip, uint32_t id, uint32_t len)
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

void kit_udp4(kit_whole *whole, const char *src, uint32_t id, uint32_t len)
{
    test_ip ip = test_between(src, "198.51.100.9");
    udp(whole, &ip, id, len);
}

void kit_udp6(kit_whole *whole, const char *src, uint32_t id, uint32_t len)
{
    test_ip ip = test_between(src, "2001:db8:9::9");
    udp(whole, &ip, id, len);
}

uint32_t kit_data(const kit_whole *whole)
{
    return whole->frame.len - whole->head;
}

void kit_seal(uint8_t *packet)
{
    test_store16(packet + 10, 0);
    test_store16(packet + 10, (uint16_t)~test_sum(0, packet, (packet[0] & 15u) * 4));
}

uint32_t kit_piece(const kit_whole *whole, uint32_t off, uint32_t len, bool more, uint8_t *to)
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
        kit_seal(to);
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

int32_t kit_add(tunnelcap_reassembly *r, const uint8_t *packet, uint32_t len,
                const tunnelcap_meta *meta, uint64_t now_ns)
{
    tunnelcap_pkt pkt = test_pkt(packet, len, 0);
    tunnelcap_pkt out = {out_bytes, HEADROOM + kit_room, HEADROOM, 77, 88, &kit_out};
    memset(out_bytes, 0xcc, sizeof(out_bytes));
    uint32_t need = tunnelcap_reassembly_need(r, &pkt, meta, now_ns);
    int32_t status = tunnelcap_reassembly_add(r, &pkt, meta, now_ns, &out);
    ck_assert_mem_eq(pkt.buf, packet, len);
    ck_assert_int_eq(pkt.status, INT32_MIN);
    test_pkt_free(&pkt);
    ck_assert_ptr_eq(out.buf, out_bytes);
    ck_assert_uint_eq(out.cap, HEADROOM + kit_room);
    ck_assert_uint_eq(out.off, HEADROOM);
    ck_assert_int_eq(out.status, 88);
    ck_assert_ptr_eq(out.user, &kit_out);
    ck_assert_uint_eq(need != 0, status == TUNNELCAP_OK || status == TUNNELCAP_E_TAILROOM);
    uint32_t end = HEADROOM + need;
    if (status == TUNNELCAP_OK) {
        ck_assert_uint_eq(out.len, need);
    } else {
        ck_assert_uint_eq(out.len, 77);
        end = HEADROOM;
    }
    for (uint32_t i = 0; i < HEADROOM; i++)
        ck_assert_uint_eq(out_bytes[i], 0xcc);
    for (uint32_t i = end; i < sizeof(out_bytes) && i < end + 64; i++)
        ck_assert_uint_eq(out_bytes[i], 0xcc);
    kit_out = out;
    return status;
}

int32_t kit_send(tunnelcap_reassembly *r, const kit_whole *whole, uint32_t off, uint32_t len,
                 bool more, uint64_t now_ns)
{
    static uint8_t packet[TEST_FRAME_CAP];
    uint32_t packet_len = kit_piece(whole, off, len, more, packet);
    return kit_add(r, packet, packet_len, NULL, now_ns);
}

void kit_is_whole(const kit_whole *whole)
{
    ck_assert_uint_eq(kit_out.len, whole->frame.len);
    ck_assert_mem_eq(kit_out.buf + kit_out.off, whole->frame.bytes, whole->frame.len);
}

tunnelcap_reassembly *kit_new(uint32_t sets, uint32_t bytes, uint32_t share)
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

tunnelcap_reassembly_stats kit_stats(const tunnelcap_reassembly *r)
{
    tunnelcap_reassembly_stats stats;
    test_ok(tunnelcap_reassembly_get_stats(r, &stats, sizeof(stats)));
    return stats;
}
