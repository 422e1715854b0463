/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * The frozen ABI: sizes, offsets and numbers of the public headers, where pointers have 64 bits
 * and where they have 32. Compiles or does not; check_layout.sh compiles it for many machines,
 * check_headers.py tells what is missing here. A struct may grow at its end, with a row more and
 * another size; nothing else here ever changes in 1.x.
 */
#include <stddef.h>
#include <tunnelcap/tunnelcap.h>

#define PICK(at64, at32)         (sizeof(void *) == 8 ? (at64) : (at32))
#define STRUCT(type, at64, at32) _Static_assert(sizeof(type) == PICK(at64, at32), #type)
#define FIELD(type, field, at64, at32)                                                             \
    _Static_assert(offsetof(type, field) == PICK(at64, at32), #type "." #field)
#define VALUE(name, value) _Static_assert((name) == (value), #name)

STRUCT(tunnelcap_pkt, 32, 24);
FIELD(tunnelcap_pkt, buf, 0, 0);
FIELD(tunnelcap_pkt, cap, 8, 4);
FIELD(tunnelcap_pkt, off, 12, 8);
FIELD(tunnelcap_pkt, len, 16, 12);
FIELD(tunnelcap_pkt, status, 20, 16);
FIELD(tunnelcap_pkt, user, 24, 20);

STRUCT(tunnelcap_addr, 20, 20);
FIELD(tunnelcap_addr, bytes, 0, 0);
FIELD(tunnelcap_addr, family, 16, 16);
FIELD(tunnelcap_addr, reserved, 17, 17);

STRUCT(tunnelcap_meta, 80, 80);
FIELD(tunnelcap_meta, flags, 0, 0);
FIELD(tunnelcap_meta, vrf, 4, 4);
FIELD(tunnelcap_meta, hash, 8, 8);
FIELD(tunnelcap_meta, at, 12, 12);
FIELD(tunnelcap_meta, proto, 13, 13);
FIELD(tunnelcap_meta, tos, 14, 14);
FIELD(tunnelcap_meta, ttl, 15, 15);
FIELD(tunnelcap_meta, gso_type, 16, 16);
FIELD(tunnelcap_meta, reserved, 17, 17);
FIELD(tunnelcap_meta, gso_size, 18, 18);
FIELD(tunnelcap_meta, hdr_len, 20, 20);
FIELD(tunnelcap_meta, csum_start, 22, 22);
FIELD(tunnelcap_meta, csum_offset, 24, 24);
FIELD(tunnelcap_meta, src_port, 26, 26);
FIELD(tunnelcap_meta, dst_port, 28, 28);
FIELD(tunnelcap_meta, ethertype, 30, 30);
FIELD(tunnelcap_meta, src, 32, 32);
FIELD(tunnelcap_meta, dst, 52, 52);
FIELD(tunnelcap_meta, rx_ns, 72, 72);

STRUCT(tunnelcap_alloc, 32, 20);
FIELD(tunnelcap_alloc, size, 0, 0);
FIELD(tunnelcap_alloc, reserved, 4, 4);
FIELD(tunnelcap_alloc, alloc, 8, 8);
FIELD(tunnelcap_alloc, release, 16, 12);
FIELD(tunnelcap_alloc, arg, 24, 16);

STRUCT(tunnelcap_outer, 64, 64);
FIELD(tunnelcap_outer, local, 0, 0);
FIELD(tunnelcap_outer, remote, 20, 20);
FIELD(tunnelcap_outer, flow_label, 40, 40);
FIELD(tunnelcap_outer, ttl, 44, 44);
FIELD(tunnelcap_outer, dscp_mode, 45, 45);
FIELD(tunnelcap_outer, dscp, 46, 46);
FIELD(tunnelcap_outer, ecn_mode, 47, 47);
FIELD(tunnelcap_outer, df_mode, 48, 48);
FIELD(tunnelcap_outer, id_mode, 49, 49);
FIELD(tunnelcap_outer, flow_label_mode, 50, 50);
FIELD(tunnelcap_outer, encap_limit_mode, 51, 51);
FIELD(tunnelcap_outer, encap_limit, 52, 52);
FIELD(tunnelcap_outer, reserved, 53, 53);

STRUCT(tunnelcap_lane_config, 20, 20);
FIELD(tunnelcap_lane_config, size, 0, 0);
FIELD(tunnelcap_lane_config, flags, 4, 4);
FIELD(tunnelcap_lane_config, index, 8, 8);
FIELD(tunnelcap_lane_config, count, 10, 10);
FIELD(tunnelcap_lane_config, max_burst, 12, 12);
FIELD(tunnelcap_lane_config, key_slots, 16, 16);

STRUCT(tunnelcap_gre_config, 96, 96);
FIELD(tunnelcap_gre_config, size, 0, 0);
FIELD(tunnelcap_gre_config, flags, 4, 4);
FIELD(tunnelcap_gre_config, outer, 8, 8);
FIELD(tunnelcap_gre_config, key_in, 72, 72);
FIELD(tunnelcap_gre_config, key_out, 76, 76);
FIELD(tunnelcap_gre_config, seq_start, 80, 80);
FIELD(tunnelcap_gre_config, protocol, 84, 84);
FIELD(tunnelcap_gre_config, udp_port, 86, 86);
FIELD(tunnelcap_gre_config, udp_src_port, 88, 88);
FIELD(tunnelcap_gre_config, reserved, 90, 90);

STRUCT(tunnelcap_gre_rx, 16, 16);
FIELD(tunnelcap_gre_rx, key, 0, 0);
FIELD(tunnelcap_gre_rx, seq, 4, 4);
FIELD(tunnelcap_gre_rx, protocol, 8, 8);
FIELD(tunnelcap_gre_rx, flags, 10, 10);
FIELD(tunnelcap_gre_rx, reserved, 12, 12);

STRUCT(tunnelcap_ipip_config, 72, 72);
FIELD(tunnelcap_ipip_config, size, 0, 0);
FIELD(tunnelcap_ipip_config, flags, 4, 4);
FIELD(tunnelcap_ipip_config, outer, 8, 8);

STRUCT(tunnelcap_mss_config, 24, 24);
FIELD(tunnelcap_mss_config, size, 0, 0);
FIELD(tunnelcap_mss_config, flags, 4, 4);
FIELD(tunnelcap_mss_config, limit4, 8, 8);
FIELD(tunnelcap_mss_config, limit6, 10, 10);
FIELD(tunnelcap_mss_config, insert4, 12, 12);
FIELD(tunnelcap_mss_config, insert6, 14, 14);
FIELD(tunnelcap_mss_config, l3_offset, 16, 16);
FIELD(tunnelcap_mss_config, reserved, 20, 20);

STRUCT(tunnelcap_peek_result, 72, 72);
FIELD(tunnelcap_peek_result, size, 0, 0);
FIELD(tunnelcap_peek_result, flags, 4, 4);
FIELD(tunnelcap_peek_result, src, 8, 8);
FIELD(tunnelcap_peek_result, dst, 28, 28);
FIELD(tunnelcap_peek_result, key, 48, 48);
FIELD(tunnelcap_peek_result, seq, 52, 52);
FIELD(tunnelcap_peek_result, src_port, 56, 56);
FIELD(tunnelcap_peek_result, dst_port, 58, 58);
FIELD(tunnelcap_peek_result, protocol, 60, 60);
FIELD(tunnelcap_peek_result, payload, 62, 62);
FIELD(tunnelcap_peek_result, kind, 64, 64);
FIELD(tunnelcap_peek_result, ip_protocol, 65, 65);
FIELD(tunnelcap_peek_result, tos, 66, 66);
FIELD(tunnelcap_peek_result, reserved, 67, 67);

STRUCT(tunnelcap_table_config, 24, 24);
FIELD(tunnelcap_table_config, size, 0, 0);
FIELD(tunnelcap_table_config, flags, 4, 4);
FIELD(tunnelcap_table_config, tunnels, 8, 8);
FIELD(tunnelcap_table_config, routes, 12, 12);
FIELD(tunnelcap_table_config, lanes, 16, 16);
FIELD(tunnelcap_table_config, reserved, 20, 20);

STRUCT(tunnelcap_tunnel, 32, 32);
FIELD(tunnelcap_tunnel, size, 0, 0);
FIELD(tunnelcap_tunnel, flags, 4, 4);
FIELD(tunnelcap_tunnel, vrf, 8, 8);
FIELD(tunnelcap_tunnel, outer_vrf, 12, 12);
FIELD(tunnelcap_tunnel, mtu, 16, 16);
FIELD(tunnelcap_tunnel, limit4, 20, 20);
FIELD(tunnelcap_tunnel, limit6, 22, 22);
FIELD(tunnelcap_tunnel, insert4, 24, 24);
FIELD(tunnelcap_tunnel, insert6, 26, 26);
FIELD(tunnelcap_tunnel, reserved, 28, 28);

STRUCT(tunnelcap_route, 56, 56);
FIELD(tunnelcap_route, size, 0, 0);
FIELD(tunnelcap_route, flags, 4, 4);
FIELD(tunnelcap_route, tunnel, 8, 8);
FIELD(tunnelcap_route, prefix, 16, 16);
FIELD(tunnelcap_route, vrf, 36, 36);
FIELD(tunnelcap_route, priority, 40, 40);
FIELD(tunnelcap_route, weight, 44, 44);
FIELD(tunnelcap_route, prefix_len, 46, 46);
FIELD(tunnelcap_route, reserved, 47, 47);

STRUCT(tunnelcap_tunnel_info, 72, 72);
FIELD(tunnelcap_tunnel_info, size, 0, 0);
FIELD(tunnelcap_tunnel_info, flags, 4, 4);
FIELD(tunnelcap_tunnel_info, local, 8, 8);
FIELD(tunnelcap_tunnel_info, remote, 28, 28);
FIELD(tunnelcap_tunnel_info, key, 48, 48);
FIELD(tunnelcap_tunnel_info, vrf, 52, 52);
FIELD(tunnelcap_tunnel_info, inner_mtu, 56, 56);
FIELD(tunnelcap_tunnel_info, headroom, 60, 60);
FIELD(tunnelcap_tunnel_info, udp_port, 64, 64);
FIELD(tunnelcap_tunnel_info, limit4, 66, 66);
FIELD(tunnelcap_tunnel_info, limit6, 68, 68);
FIELD(tunnelcap_tunnel_info, kind, 70, 70);
FIELD(tunnelcap_tunnel_info, reserved, 71, 71);

STRUCT(tunnelcap_counters, 48, 48);
FIELD(tunnelcap_counters, packets, 0, 0);
FIELD(tunnelcap_counters, inner_bytes, 8, 8);
FIELD(tunnelcap_counters, outer_bytes, 16, 16);
FIELD(tunnelcap_counters, replied, 24, 24);
FIELD(tunnelcap_counters, refused, 32, 32);
FIELD(tunnelcap_counters, clamped, 40, 40);

STRUCT(tunnelcap_stats, 104, 104);
FIELD(tunnelcap_stats, size, 0, 0);
FIELD(tunnelcap_stats, reserved, 4, 4);
FIELD(tunnelcap_stats, encap, 8, 8);
FIELD(tunnelcap_stats, decap, 56, 56);

STRUCT(tunnelcap_reason, 16, 16);
FIELD(tunnelcap_reason, status, 0, 0);
FIELD(tunnelcap_reason, reserved, 4, 4);
FIELD(tunnelcap_reason, count, 8, 8);

STRUCT(tunnelcap_result, 32, 32);
FIELD(tunnelcap_result, tunnel, 0, 0);
FIELD(tunnelcap_result, status, 8, 8);
FIELD(tunnelcap_result, value, 12, 12);
FIELD(tunnelcap_result, index, 16, 16);
FIELD(tunnelcap_result, flags, 18, 18);
FIELD(tunnelcap_result, action, 20, 20);
FIELD(tunnelcap_result, l3_len, 21, 21);
FIELD(tunnelcap_result, l4_len, 22, 22);
FIELD(tunnelcap_result, reserved, 23, 23);
FIELD(tunnelcap_result, vrf, 24, 24);
FIELD(tunnelcap_result, reserved2, 28, 28);

STRUCT(tunnelcap_burst, 80, 64);
FIELD(tunnelcap_burst, size, 0, 0);
FIELD(tunnelcap_burst, flags, 4, 4);
FIELD(tunnelcap_burst, now_ns, 8, 8);
FIELD(tunnelcap_burst, pkt_count, 16, 16);
FIELD(tunnelcap_burst, pkt_done, 20, 20);
FIELD(tunnelcap_burst, spare_count, 24, 24);
FIELD(tunnelcap_burst, spare_used, 28, 28);
FIELD(tunnelcap_burst, result_cap, 32, 32);
FIELD(tunnelcap_burst, result_count, 36, 36);
FIELD(tunnelcap_burst, meta_stride, 40, 40);
FIELD(tunnelcap_burst, reserved, 44, 44);
FIELD(tunnelcap_burst, pkts, 48, 48);
FIELD(tunnelcap_burst, meta, 56, 52);
FIELD(tunnelcap_burst, spare, 64, 56);
FIELD(tunnelcap_burst, results, 72, 60);

VALUE(TUNNELCAP_VERSION, 1000000);
VALUE(TUNNELCAP_OK, 0);
VALUE(TUNNELCAP_KEEPALIVE, 1);
VALUE(TUNNELCAP_MSS_CLAMPED, 2);
VALUE(TUNNELCAP_MSS_INSERTED, 3);
VALUE(TUNNELCAP_MSS_SMALL, 4);
VALUE(TUNNELCAP_MSS_ABSENT, 5);
VALUE(TUNNELCAP_MSS_PROTECTED, 6);
VALUE(TUNNELCAP_MSS_NO_ROOM, 7);
VALUE(TUNNELCAP_NOT_SYN, 8);
VALUE(TUNNELCAP_FRAGMENT, 9);
VALUE(TUNNELCAP_E_TRUNCATED, -101);
VALUE(TUNNELCAP_E_MALFORMED, -102);
VALUE(TUNNELCAP_E_CHECKSUM, -103);
VALUE(TUNNELCAP_E_NO_CHECKSUM, -104);
VALUE(TUNNELCAP_E_PROTOCOL, -106);
VALUE(TUNNELCAP_E_NO_TUNNEL, -107);
VALUE(TUNNELCAP_E_GRE_VERSION, -108);
VALUE(TUNNELCAP_E_GRE_FLAGS, -109);
VALUE(TUNNELCAP_E_SEQUENCE, -110);
VALUE(TUNNELCAP_E_FRAGMENT, -111);
VALUE(TUNNELCAP_E_ECN, -112);
VALUE(TUNNELCAP_E_LOOP, -113);
VALUE(TUNNELCAP_E_NO_ROUTE, -115);
VALUE(TUNNELCAP_E_HEADROOM, -201);
VALUE(TUNNELCAP_E_TOO_BIG, -203);
VALUE(TUNNELCAP_E_FULL, -204);
VALUE(TUNNELCAP_E_INVALID, -401);
VALUE(TUNNELCAP_E_VERSION, -402);
VALUE(TUNNELCAP_E_UNSUPPORTED, -403);
VALUE(TUNNELCAP_E_NOMEM, -404);
VALUE(TUNNELCAP_E_EXISTS, -405);
VALUE(TUNNELCAP_E_NOT_FOUND, -406);
VALUE(TUNNELCAP_E_STATE, -407);
VALUE(TUNNELCAP_E_FLAGS, -408);
VALUE(TUNNELCAP_E_MODE, -409);
VALUE(TUNNELCAP_E_ADDRESS, -410);
VALUE(TUNNELCAP_E_PORT, -411);
VALUE(TUNNELCAP_E_RANGE, -412);
VALUE(TUNNELCAP_E_RESERVED, -413);
VALUE(TUNNELCAP_E_BUSY, -414);
VALUE(TUNNELCAP_CLASS_OK, 0);
VALUE(TUNNELCAP_CLASS_DROP, 1);
VALUE(TUNNELCAP_CLASS_ROOM, 2);
VALUE(TUNNELCAP_CLASS_CALLER, 4);
VALUE(TUNNELCAP_CLASS_UNKNOWN, 9);
VALUE(TUNNELCAP_IPV4, 4);
VALUE(TUNNELCAP_IPV6, 6);
VALUE(TUNNELCAP_ETHERTYPE_IPV4, 2048);
VALUE(TUNNELCAP_ETHERTYPE_IPV6, 34525);
VALUE(TUNNELCAP_ETHERTYPE_ETHERNET, 25944);
VALUE(TUNNELCAP_ETHERTYPE_MPLS, 34887);
VALUE(TUNNELCAP_ETHERTYPE_MPLS_MC, 34888);
VALUE(TUNNELCAP_GRE_UDP_PORT, 4754);
VALUE(TUNNELCAP_ESP_UDP_PORT, 4500);
VALUE(TUNNELCAP_AT_IP, 0);
VALUE(TUNNELCAP_AT_UDP_PAYLOAD, 1);
VALUE(TUNNELCAP_AT_IP_PAYLOAD, 2);
VALUE(TUNNELCAP_META_CSUM_PARTIAL, 1);
VALUE(TUNNELCAP_META_CSUM_VALID, 2);
VALUE(TUNNELCAP_META_TOS_VALID, 4);
VALUE(TUNNELCAP_DSCP_COPY, 0);
VALUE(TUNNELCAP_DSCP_PIPE, 1);
VALUE(TUNNELCAP_DSCP_UNIFORM, 2);
VALUE(TUNNELCAP_ECN_NORMAL, 0);
VALUE(TUNNELCAP_ECN_COMPATIBILITY, 1);
VALUE(TUNNELCAP_DF_SET, 0);
VALUE(TUNNELCAP_DF_COPY, 1);
VALUE(TUNNELCAP_DF_CLEAR, 2);
VALUE(TUNNELCAP_ID_AUTO, 0);
VALUE(TUNNELCAP_ID_ALWAYS, 1);
VALUE(TUNNELCAP_FLOW_LABEL_HASH, 0);
VALUE(TUNNELCAP_FLOW_LABEL_FIXED, 1);
VALUE(TUNNELCAP_SEED_SIZE, 32);
VALUE(TUNNELCAP_GRE_KEY_IN, 1);
VALUE(TUNNELCAP_GRE_KEY_OUT, 2);
VALUE(TUNNELCAP_GRE_CHECKSUM, 4);
VALUE(TUNNELCAP_GRE_SEQUENCE, 8);
VALUE(TUNNELCAP_GRE_IN_ORDER, 16);
VALUE(TUNNELCAP_GRE_UDP, 32);
VALUE(TUNNELCAP_GRE_UDP_ZERO_CHECKSUM, 64);
VALUE(TUNNELCAP_GRE_RX_KEY, 1);
VALUE(TUNNELCAP_GRE_RX_SEQUENCE, 2);
VALUE(TUNNELCAP_GRE_RX_CHECKSUM, 4);
VALUE(TUNNELCAP_IPIP_ONLY_IPV4, 1);
VALUE(TUNNELCAP_IPIP_ONLY_IPV6, 2);
VALUE(TUNNELCAP_MSS_FLOOR4, 536);
VALUE(TUNNELCAP_MSS_FLOOR6, 1220);
VALUE(TUNNELCAP_MSS_BELOW_FLOOR, 1);
VALUE(TUNNELCAP_KIND_NONE, 0);
VALUE(TUNNELCAP_KIND_GRE, 1);
VALUE(TUNNELCAP_KIND_IPIP, 2);
VALUE(TUNNELCAP_KIND_ESP, 3);
VALUE(TUNNELCAP_KIND_IKE, 4);
VALUE(TUNNELCAP_KIND_NAT_KEEPALIVE, 5);
VALUE(TUNNELCAP_PEEK_UDP, 1);
VALUE(TUNNELCAP_PEEK_KEY, 2);
VALUE(TUNNELCAP_PEEK_SEQUENCE, 4);
VALUE(TUNNELCAP_PEEK_CHECKSUM, 8);
VALUE(TUNNELCAP_PEEK_FRAGMENT, 16);
VALUE(TUNNELCAP_TUNNEL_CLAMP_ENCAP, 1);
VALUE(TUNNELCAP_TUNNEL_CLAMP_DECAP, 2);
VALUE(TUNNELCAP_TUNNEL_LOOP_GUARD, 4);
VALUE(TUNNELCAP_ENCAP, 0);
VALUE(TUNNELCAP_DECAP, 1);
VALUE(TUNNELCAP_DO_DROP, 0);
VALUE(TUNNELCAP_DO_SEND, 1);
VALUE(TUNNELCAP_DO_DELIVER, 2);
VALUE(TUNNELCAP_DO_REPLY, 3);
VALUE(TUNNELCAP_RESULT_CLAMPED, 1);
VALUE(TUNNELCAP_RESULT_SPARE, 32768);
