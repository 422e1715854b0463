#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""The library from another language: check_ffi.py PREFIX

Loads the installed library with ctypes and carries packets through GRE both ways, by a tunnel of
its own and by table and burst, with nothing but the structs that the headers document.
"""
import ctypes
import ipaddress
import pathlib
import struct
import sys
from ctypes import (POINTER, Structure, byref, c_int32, c_size_t, c_uint8, c_uint16, c_uint32,
                    c_uint64, c_void_p, sizeof)

OK = 0
DO_SEND, DO_DELIVER = 1, 2
GRE_KEY_IN, GRE_KEY_OUT, GRE_CHECKSUM, GRE_SEQUENCE = 1, 2, 4, 8
RX_ALL = 7
E_NO_TUNNEL, E_NO_ROUTE = -107, -115


class Pkt(Structure):
    _fields_ = [("buf", POINTER(c_uint8)), ("cap", c_uint32), ("off", c_uint32),
                ("len", c_uint32), ("status", c_int32), ("user", c_void_p)]


class Addr(Structure):
    _fields_ = [("bytes", c_uint8 * 16), ("family", c_uint8), ("reserved", c_uint8 * 3)]

    def set(self, text):
        address = ipaddress.ip_address(text)
        self.bytes[:len(address.packed)] = address.packed
        self.family = address.version


class Outer(Structure):
    _fields_ = [("local", Addr), ("remote", Addr), ("flow_label", c_uint32), ("ttl", c_uint8),
                ("dscp_mode", c_uint8), ("dscp", c_uint8), ("ecn_mode", c_uint8),
                ("df_mode", c_uint8), ("id_mode", c_uint8), ("flow_label_mode", c_uint8),
                ("encap_limit_mode", c_uint8), ("encap_limit", c_uint8), ("ttl_mode", c_uint8),
                ("reserved", c_uint8 * 10)]


class GreConfig(Structure):
    _fields_ = [("size", c_uint32), ("flags", c_uint32), ("outer", Outer), ("key_in", c_uint32),
                ("key_out", c_uint32), ("seq_start", c_uint32), ("protocol", c_uint16),
                ("udp_port", c_uint16), ("udp_src_port", c_uint16), ("reserved", c_uint16 * 3)]


class GreRx(Structure):
    _fields_ = [("key", c_uint32), ("seq", c_uint32), ("protocol", c_uint16),
                ("flags", c_uint16), ("reserved", c_uint32)]


class LaneConfig(Structure):
    _fields_ = [("size", c_uint32), ("flags", c_uint32), ("index", c_uint16),
                ("count", c_uint16), ("max_burst", c_uint32), ("key_slots", c_uint32),
                ("events", c_uint32), ("samples", c_uint32), ("sample_rate", c_uint32),
                ("sample_target", c_uint32)]


class TableConfig(Structure):
    _fields_ = [(name, c_uint32) for name in (
        "size", "flags", "tunnels", "routes", "lanes", "sas", "changes", "paths", "details",
        "watched", "vrfs", "nodes", "groups", "buckets", "region", "histories",
        "keep0", "keep1", "keep2", "keep3")]


class Route(Structure):
    _fields_ = [("size", c_uint32), ("flags", c_uint32), ("tunnel", c_uint64), ("prefix", Addr),
                ("vrf", c_uint32), ("priority", c_uint32), ("weight", c_uint16),
                ("prefix_len", c_uint8), ("reserved", c_uint8 * 9), ("regions", c_uint64)]


class Counters(Structure):
    _fields_ = [(name, c_uint64) for name in ("packets", "inner_bytes", "outer_bytes", "replied",
                                              "refused", "clamped", "kept", "local", "fragments",
                                              "reassembled", "icmp_sent", "icmp_received")]


class Stats(Structure):
    _fields_ = [("size", c_uint32), ("reserved", c_uint32), ("encap", Counters),
                ("decap", Counters)]


class Result(Structure):
    _fields_ = [("tunnel", c_uint64), ("status", c_int32), ("value", c_uint32),
                ("index", c_uint16), ("flags", c_uint16), ("action", c_uint8),
                ("l3_len", c_uint8), ("l4_len", c_uint8), ("reserved", c_uint8),
                ("vrf", c_uint32), ("reserved2", c_uint32)]


class Burst(Structure):
    _fields_ = [("size", c_uint32), ("flags", c_uint32), ("now_ns", c_uint64),
                ("pkt_count", c_uint32), ("pkt_done", c_uint32), ("spare_count", c_uint32),
                ("spare_used", c_uint32), ("result_cap", c_uint32), ("result_count", c_uint32),
                ("meta_stride", c_uint32), ("reserved", c_uint32), ("pkts", POINTER(Pkt)),
                ("meta", c_void_p), ("spare", POINTER(Pkt)), ("results", POINTER(Result))]


def load(prefix):
    path = next(pathlib.Path(prefix).rglob("libtunnelcap.so.1"))
    lib = ctypes.CDLL(str(path))
    lib.tunnelcap_version_text.restype = ctypes.c_char_p
    lib.tunnelcap_status_name.restype = ctypes.c_char_p
    lib.tunnelcap_gre_size.restype = c_size_t
    lib.tunnelcap_table_settled.restype = c_uint64
    for name in ("encap", "decap"):
        getattr(lib, f"tunnelcap_gre_{name}").restype = c_uint32
    return lib


def expect(lib, status, want=OK):
    if status != want:
        names = [lib.tunnelcap_status_name(n).decode() for n in (status, want)]
        raise AssertionError(f"{names[0]}, expected {names[1]}")


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xffff:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def inner_packet(source, destination, payload):
    """An IPv4 packet of UDP without checksum."""
    udp = struct.pack(">HHHH", 5000, 53, 8 + len(payload), 0) + payload
    header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0x4000, 64, 17, 0)
    header += ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    return header[:10] + struct.pack(">H", checksum(header)) + header[12:] + udp


class Buffer:
    """A packet and the memory that it lies in."""

    def __init__(self, data, headroom):
        self.memory = (c_uint8 * (headroom + len(data)))()
        self.memory[headroom:] = data
        self.pkt = Pkt(ctypes.cast(self.memory, POINTER(c_uint8)), len(self.memory), headroom,
                       len(data), 0, None)

    @staticmethod
    def bytes_of(pkt):
        return bytes(pkt.buf[pkt.off:pkt.off + pkt.len])


def gre_config(lib, local, remote, key_in, key_out):
    config = GreConfig()
    expect(lib, lib.tunnelcap_gre_config_init(byref(config), sizeof(config)))
    config.flags = GRE_KEY_IN | GRE_KEY_OUT | GRE_CHECKSUM | GRE_SEQUENCE
    config.outer.local.set(local)
    config.outer.remote.set(remote)
    config.key_in, config.key_out = key_in, key_out
    return config


def new_lane(lib, seed):
    config, lane = LaneConfig(), c_void_p()
    expect(lib, lib.tunnelcap_lane_config_init(byref(config), sizeof(config)))
    expect(lib, lib.tunnelcap_lane_new(byref(config), seed, None, None, byref(lane)))
    return lane


def check_gre_on_wire(outer, inner, key, seq):
    header = struct.unpack(">HHHHII", outer[20:36])
    assert checksum(outer[:20]) == 0 and outer[9] == 47
    assert header[0] == 0xb000 and header[1] == 0x0800, header
    assert header[4:] == (key, seq), header
    assert checksum(outer[20:]) == 0
    assert outer[36:] == inner


def check_single_tunnel(lib, seed):
    """Each end in memory of a different kind: the library's and ours."""
    here, there = c_void_p(), c_void_p()
    config = gre_config(lib, "192.0.2.1", "198.51.100.1", 11, 22)
    expect(lib, lib.tunnelcap_gre_new(byref(config), None, byref(here)))
    config = gre_config(lib, "198.51.100.1", "192.0.2.1", 22, 11)
    size = lib.tunnelcap_gre_size(byref(config))
    memory = (c_uint8 * (size + 63))()
    aligned = (ctypes.addressof(memory) + 63) // 64 * 64
    expect(lib, lib.tunnelcap_gre_init(c_void_p(aligned), c_size_t(size), byref(config),
                                       byref(there)))
    lane = new_lane(lib, seed)
    headroom = lib.tunnelcap_gre_headroom(here)
    assert headroom == 36
    for seq in range(50):
        inner = inner_packet("10.0.0.1", "10.0.0.2", bytes(range(seq)))
        for sender, receiver, key in ((here, there, 22), (there, here, 11)):
            buffer, rx = Buffer(inner, headroom), GreRx()
            assert lib.tunnelcap_gre_encap(sender, lane, byref(buffer.pkt), None, 0, 1) == 1
            check_gre_on_wire(Buffer.bytes_of(buffer.pkt), inner, key, seq)
            assert lib.tunnelcap_gre_decap(receiver, byref(buffer.pkt), None, 0, byref(rx), 1) == 1
            assert Buffer.bytes_of(buffer.pkt) == inner
            assert (rx.key, rx.seq, rx.protocol, rx.flags) == (key, seq, 0x0800, RX_ALL)
    stray = Buffer(inner, headroom)
    assert lib.tunnelcap_gre_decap(here, byref(stray.pkt), None, 0, None, 1) == 0
    expect(lib, stray.pkt.status, E_NO_TUNNEL)
    lib.tunnelcap_lane_free(lane)
    lib.tunnelcap_gre_free(here)
    lib.tunnelcap_gre_fini(there)
    assert not any(memory), "fini leaves nothing behind"


def open_table(lib, seed, tunnel_id, config, prefix):
    table, table_config, route = c_void_p(), TableConfig(), Route()
    expect(lib, lib.tunnelcap_table_config_init(byref(table_config), sizeof(table_config)))
    expect(lib, lib.tunnelcap_table_new(byref(table_config), seed, None, byref(table)))
    expect(lib, lib.tunnelcap_route_init(byref(route), sizeof(route)))
    network = ipaddress.ip_network(prefix)
    route.prefix.set(network.network_address)
    route.prefix_len = network.prefixlen
    route.tunnel = tunnel_id
    generation = c_uint64()
    expect(lib, lib.tunnelcap_table_begin(table))
    expect(lib, lib.tunnelcap_table_set_gre(table, c_uint64(tunnel_id), None, byref(config)))
    expect(lib, lib.tunnelcap_table_set_route(table, byref(route)))
    expect(lib, lib.tunnelcap_table_commit(table, byref(generation)))
    assert lib.tunnelcap_table_settled(table) == generation.value
    lane = new_lane(lib, seed)
    expect(lib, lib.tunnelcap_table_attach(table, lane))
    return table, lane


def carry(lib, call, lane, packets):
    count = len(packets)
    pkts = (Pkt * count)(*packets)
    results = (Result * count)()
    burst = Burst(size=sizeof(Burst), pkt_count=count, result_cap=count, pkts=pkts,
                  results=results)
    expect(lib, call(lane, byref(burst)))
    assert burst.pkt_done == burst.result_count == count
    assert [result.index for result in results] == list(range(count))
    return pkts, results


def check_table(lib, seed):
    """A burst from one table to another; the last packet has no route."""
    tunnel_id = 2 ** 63 + 5
    ends = [open_table(lib, seed, tunnel_id, gre_config(lib, *ends), "10.2.0.0/16")
            for ends in (("192.0.2.1", "198.51.100.1", 1, 1), ("198.51.100.1", "192.0.2.1", 1, 1))]
    inner = [inner_packet("10.1.0.1", "10.2.0.1", bytes(n)) for n in range(20)]
    buffers = [Buffer(data, 36) for data in inner]
    buffers.append(Buffer(inner_packet("10.1.0.1", "10.3.0.1", b""), 36))
    pkts, results = carry(lib, lib.tunnelcap_table_encap, ends[0][1], [b.pkt for b in buffers])
    expect(lib, results[20].status, E_NO_ROUTE)
    for seq in range(20):
        assert results[seq].action == DO_SEND and results[seq].tunnel == tunnel_id
        check_gre_on_wire(Buffer.bytes_of(pkts[seq]), inner[seq], 1, seq)
    pkts, results = carry(lib, lib.tunnelcap_table_decap, ends[1][1], pkts[:20])
    for seq in range(20):
        assert results[seq].action == DO_DELIVER and results[seq].value == 0x0800
        assert Buffer.bytes_of(pkts[seq]) == inner[seq]
    stats = Stats()
    expect(lib, lib.tunnelcap_table_get_stats(ends[0][0], c_uint64(tunnel_id), byref(stats),
                                              sizeof(stats)))
    assert stats.encap.packets == 20
    assert stats.encap.inner_bytes == sum(map(len, inner))
    assert stats.encap.outer_bytes == stats.encap.inner_bytes + 20 * 36
    for table, lane in ends:
        expect(lib, lib.tunnelcap_table_detach(table, lane))
        lib.tunnelcap_lane_free(lane)
        lib.tunnelcap_table_free(table)


def main():
    lib = load(sys.argv[1])
    seed = (c_uint8 * 32)(*range(32))
    check_single_tunnel(lib, seed)
    check_table(lib, seed)
    print(f"tunnelcap {lib.tunnelcap_version_text().decode()} carries packets for Python")


if __name__ == "__main__":
    main()
