#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""Write the seeds of the fuzz targets to corpus/TARGET/ beside this script.

All bytes are made here. What a fuzzer has found is kept beside the seeds as regression-*, which
this script leaves alone.
"""

import pathlib
import struct

LOCAL4, REMOTE4 = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])
LOCAL6 = bytes.fromhex("20010db8000000000000000000000001")
REMOTE6 = bytes.fromhex("20010db8000000000000000000000002")
GRE_KEY_IN, GRE_CHECKSUM, GRE_IN_ORDER, GRE_UDP, GRE_UDP_ZERO = 1, 4, 16, 32, 64
KEY = 0x01020304
AT_IP, AT_UDP_PAYLOAD, AT_IP_PAYLOAD = 0, 0x10, 0x20
IPV6, META, TOS_VALID, UNIFORM = 1, 2, 8, 0x40


def checksum(data):
    """Internet checksum of bytes."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


def ipv4(payload, protocol, src=REMOTE4, dst=LOCAL4, tos=0, options=b"", fragment=0):
    """An IPv4 packet."""
    size = 20 + len(options)
    head = struct.pack(">BBHHHBBH", 0x40 | size // 4, tos, size + len(payload), 1, fragment, 64,
                       protocol, 0) + src + dst + options
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def ipv6(payload, protocol, src=REMOTE6, dst=LOCAL6, tos=0):
    """An IPv6 packet; extension headers are part of the payload."""
    return struct.pack(">IHBB", 6 << 28 | tos << 20, len(payload), protocol, 64) + src + dst + payload


def udp(payload, src, dst, pseudo):
    """A UDP datagram; pseudo is the pair of addresses, or None for no checksum."""
    size = 8 + len(payload)
    head = struct.pack(">HHHH", src, dst, size, 0)
    if pseudo is None:
        return head + payload
    value = checksum(pseudo + struct.pack(">II", size, 17) + head + payload) or 0xFFFF
    return head[:6] + struct.pack(">H", value) + payload


def tcp(flags, options=b"", payload=b"", addresses=None):
    """A TCP segment; addresses is the pair for its checksum."""
    options += b"\0" * (-len(options) % 4)
    head = struct.pack(">HHIIBBHHH", 40000, 443, 1000, 0, (20 + len(options)) << 2, flags, 64240,
                       0, 0) + options
    pseudo = (addresses or b"") + struct.pack(">II", len(head) + len(payload), 6)
    value = checksum(pseudo + head + payload)
    return head[:16] + struct.pack(">H", value) + head[18:] + payload


def gre(payload, protocol, key=None, seq=None, with_checksum=False, flags=0):
    """A GRE packet without its outer IP header."""
    flags |= 0x8000 * with_checksum | 0x2000 * (key is not None) | 0x1000 * (seq is not None)
    head = struct.pack(">HH", flags, protocol)
    rest = b"".join(struct.pack(">I", n) for n in (key, seq) if n is not None) + payload
    if with_checksum:
        head += struct.pack(">HH", checksum(head + bytes(4) + rest), 0)
    return head + rest


HOST4A, HOST4B = bytes([10, 1, 0, 1]), bytes([10, 2, 0, 1])
HOST6A = bytes.fromhex("20010db8000100000000000000000001")
HOST6B = bytes.fromhex("20010db8000200000000000000000001")
SYN, ACK = 2, 16
MSS = bytes([2, 4, 5, 180])
INNER4 = ipv4(udp(b"four", 1, 2, HOST4A + HOST4B), 17, HOST4A, HOST4B, tos=2)
INNER6 = ipv6(udp(b"six", 1, 2, HOST6A + HOST6B), 17, HOST6A, HOST6B, tos=0xB9)
SYN4 = ipv4(tcp(SYN, MSS, addresses=HOST4A + HOST4B), 6, HOST4A, HOST4B)
SYN6 = ipv6(tcp(SYN, MSS, addresses=HOST6A + HOST6B), 6, HOST6A, HOST6B)
DATA4 = ipv4(tcp(ACK, b"", b"data", HOST4A + HOST4B), 6, HOST4A, HOST4B)
ENCAP_LIMIT = bytes([47, 0, 4, 1, 4, 1, 0, 0])
KEEPALIVE = ipv4(gre(b"", 0), 47, LOCAL4, REMOTE4)


def arrival(kind=0, repairs=0, tos=0, protocol=0, head=0, tail=0):
    """The six bytes that choose how an outer packet arrives."""
    return bytes([kind, repairs, tos, protocol, head, tail])


def outer_gre():
    """Names, flags, arrivals and packets of the GRE and peek targets."""
    keyed = gre(INNER4, 0x800, KEY, 7, True)
    ports4 = (50000, 4754, REMOTE4 + LOCAL4)
    ports6 = (50000, 4754, REMOTE6 + LOCAL6)
    padded = ipv4(gre(INNER4, 0x800), 47) + bytes(14)
    yield "plain4", 0, arrival(), ipv4(gre(INNER4, 0x800), 47)
    yield "plain6", 0, arrival(IPV6), ipv6(gre(INNER6, 0x86DD), 47)
    yield "padded", 0, arrival(head=8, tail=8), padded
    yield "keyed", GRE_KEY_IN | GRE_CHECKSUM, arrival(), ipv4(keyed, 47)
    yield "ordered", GRE_KEY_IN | GRE_IN_ORDER, arrival(), ipv4(keyed, 47)
    yield "uniform", 0, arrival(UNIFORM), ipv4(gre(INNER4, 0x800), 47, tos=0xB9)
    yield "congested", 0, arrival(), ipv4(gre(INNER4, 0x800), 47, tos=3)
    yield "encap-limit", 0, arrival(IPV6), ipv6(ENCAP_LIMIT + gre(INNER4, 0x800), 60)
    yield "options", 0, arrival(), ipv4(gre(INNER4, 0x800), 47, options=bytes([1, 1, 1, 0]))
    yield "fragment", 0, arrival(), ipv4(gre(INNER4, 0x800), 47, fragment=0x2000)
    yield "two-fragment-headers", 0, arrival(IPV6), ipv6(
        bytes([44, 0, 0, 1, 0, 0, 0, 0]) + bytes([47] + [0] * 7) + gre(INNER4, 0x800), 44)
    yield "ethernet", 0, arrival(), ipv4(gre(bytes(12) + b"\x08\x00" + INNER4, 0x6558), 47)
    yield "mpls", 0, arrival(), ipv4(gre(bytes([0, 1, 1, 64]) + INNER4, 0x8847), 47)
    yield "keepalive", 0, arrival(), ipv4(gre(KEEPALIVE, 0x800), 47)
    yield "keepalive-back", 0, arrival(), ipv4(gre(b"", 0), 47)
    yield "version1", 0, arrival(), ipv4(gre(INNER4, 0x880B, flags=1), 47)
    yield "routing", 0, arrival(), ipv4(gre(INNER4, 0x800, flags=0x4000), 47)
    yield "udp4", GRE_UDP, arrival(), ipv4(udp(gre(INNER4, 0x800), *ports4), 17)
    yield "udp6", GRE_UDP, arrival(IPV6), ipv6(udp(gre(INNER6, 0x86DD), *ports6), 17)
    yield "udp6-zero", GRE_UDP | GRE_UDP_ZERO, arrival(IPV6), ipv6(
        udp(gre(INNER6, 0x86DD), 50000, 4754, None), 17)
    yield "at-udp", GRE_UDP, arrival(META | AT_UDP_PAYLOAD | TOS_VALID, tos=1), gre(INNER4, 0x800)
    yield "at-ip", 0, arrival(META | AT_IP_PAYLOAD | IPV6, protocol=47), gre(INNER6, 0x86DD)
    yield "repaired", 0, arrival(repairs=31), ipv4(gre(INNER4, 0x800, None, None, True), 47)


def outer_ipip():
    """Names, flags, arrivals and packets of the IP-in-IP target."""
    yield "4in4", 0, arrival(), ipv4(INNER4, 4)
    yield "6in4", 2, arrival(), ipv4(INNER6, 41)
    yield "4in6", 1, arrival(IPV6), ipv6(INNER4, 4)
    yield "6in6", 0, arrival(IPV6 | UNIFORM), ipv6(INNER6, 41, tos=0x23)
    yield "limit", 0, arrival(IPV6), ipv6(bytes([41]) + ENCAP_LIMIT[1:] + INNER6, 60)
    yield "padded", 0, arrival(repairs=16, head=4, tail=4), ipv4(INNER4, 4) + bytes(6)
    yield "refused-family", 1, arrival(), ipv4(INNER6, 41)
    yield "at-ip", 0, arrival(META | AT_IP_PAYLOAD | TOS_VALID, tos=3, protocol=4), INNER4


def esp_peek():
    """Packets that only peek understands."""
    pair = REMOTE4 + LOCAL4
    esp = struct.pack(">II", 0x11223344, 5) + bytes(24)
    yield "esp", ipv4(esp, 50)
    yield "esp-udp", ipv4(udp(esp, 4500, 4500, pair), 17)
    yield "ike", ipv4(udp(bytes(4) + b"\x01" * 28, 4500, 4500, pair), 17)
    yield "nat-keepalive", ipv4(udp(b"\xff", 4500, 4500, pair), 17)
    yield "second-fragment", ipv4(bytes(16), 47, fragment=2)


def mss_packets():
    """Names, options, IP offsets and packets of the clamp target."""
    pair4, pair6 = HOST4A + HOST4B, HOST6A + HOST6B
    tags = bytes(12) + bytes.fromhex("8100000a0800")

    def syn4(options):
        return ipv4(tcp(SYN, options, addresses=pair4), 6, HOST4A, HOST4B)

    yield "syn4", 0, 0, SYN4
    yield "syn6", 0, 0, SYN6
    yield "ack", 0, 0, DATA4
    yield "udp", 0, 0, INNER4
    yield "small", 0, 0, syn4(bytes([2, 4, 1, 0]))
    yield "absent", 0, 0, syn4(b"")
    yield "absent6", 0, 0, ipv6(tcp(SYN, b"", b"", pair6), 6, HOST6A, HOST6B)
    yield "vlan", 0, 18, tags + SYN4
    yield "odd", 0, 0, syn4(bytes([1]) + MSS)
    yield "twice", 0, 0, syn4(MSS + bytes([1, 1]) + MSS)
    yield "ao", 0, 0, syn4(MSS + bytes([29, 16]) + bytes(14))
    yield "md5", 0, 0, syn4(bytes([19, 18]) + bytes(16))
    yield "full", 0, 0, syn4(bytes([1]) * 40)
    yield "option-zero", 0, 0, syn4(bytes([8, 0, 2, 4]))
    yield "partial", 2, 0, SYN4
    yield "partial-absent", 2, 0, syn4(b"")
    yield "below-floor", 1, 0, SYN4
    yield "fragment", 0, 0, ipv4(tcp(SYN, MSS), 6, HOST4A, HOST4B, fragment=0x2000)
    yield "later-fragment", 0, 0, ipv4(tcp(SYN, MSS), 6, HOST4A, HOST4B, fragment=3)
    yield "extension", 0, 0, ipv6(bytes([6, 0, 1, 4, 0, 0, 0, 0]) + tcp(SYN, MSS), 60)
    yield "cut", 0, 0, ipv4(tcp(SYN, MSS, bytes(100)), 6, HOST4A, HOST4B)[:60]


def bursts():
    """Names, directions and packets of the table target."""
    in4, in6 = gre(INNER4, 0x800), ipv6(ENCAP_LIMIT + gre(INNER6, 0x86DD), 60)
    keyed = ipv4(gre(SYN4, 0x800, KEY, 1, True), 47)
    loop = ipv4(gre(ipv4(b"", 99, HOST4A, REMOTE4), 0x800), 47)
    yield "inner", 1, [INNER4, INNER6, SYN4, SYN6]
    yield "inner-slow", 3, [SYN6, DATA4, b"", INNER4]
    yield "inner-big", 1, [ipv4(bytes(1470), 17, HOST4A, HOST4B)]
    yield "outer", 0, [ipv4(in4, 47), keyed, ipv4(INNER4, 4), in6]
    yield "outer-udp", 2, [ipv4(udp(in4, 50000, 4754, REMOTE4 + LOCAL4), 17), ipv6(INNER6, 41)]
    yield "keepalive", 0, [ipv4(gre(KEEPALIVE, 0x800), 47), loop, ipv4(b"", 6)]
    # Three spares, and what tunnels do: 32 addresses and small paths, 64 fragments outside, 128
    # reassembly.
    big4, big6 = ipv4(bytes(1000), 17, HOST4A, HOST4B), ipv6(bytes(1200), 17, HOST6A, HOST6B)
    df4 = ipv4(bytes(1000), 17, HOST4A, HOST4B, fragment=0x4000)
    yield "fragments", 1 | 24 | 32, [big4, df4, big6]
    yield "fragments-outside", 1 | 24 | 32 | 64 | 128, [big4, df4, big6]
    yield "fragments-inside", 1 | 24 | 32 | 128, [big4, big6]
    pieces = [big4[20:820], big4[820:]]
    yield "reassembly", 24 | 128, [ipv4(gre(big4, 0x800)[:800], 47, fragment=0x2000),
                                   ipv4(gre(big4, 0x800)[800:], 47, fragment=100)]
    yield "reassembly-inside", 24 | 128, [
        ipv4(gre(ipv4(pieces[0], 17, HOST4A, HOST4B, fragment=0x2000), 0x800), 47),
        ipv4(gre(ipv4(pieces[1], 17, HOST4A, HOST4B, fragment=100), 0x800), 47)]
    quote = ipv4(gre(big4, 0x800), 47, LOCAL4, REMOTE4)
    yield "too-big", 24 | 32, [ipv4(icmp(3, 4, 500, quote[:28]), 1), ipv4(icmp(3, 4, 400, quote), 1),
                               ipv4(icmp(3, 1, 0, quote), 1)]
    quote = ipv6(gre(big6, 0x86DD), 47, LOCAL6, REMOTE6)
    yield "too-big6", 24, [ipv6(icmp(2, 0, 1280, quote[:1000], REMOTE6 + LOCAL6), 58)]


def trips():
    """Names, choices and inner packets of the round trip target."""
    number = struct.pack(">I", KEY)
    everything = GRE_KEY_IN | 2 | GRE_CHECKSUM | 8
    yield "gre4", bytes([0, 0, 0, 0, 64, 0]) + number, INNER4
    yield "gre6", bytes([0, 1, 1, 0, 64, 0]) + number, INNER6
    yield "all", bytes([everything, 0x24, 0, 7, 64, 46]) + number, INNER4
    yield "udp", bytes([GRE_UDP | 2, 0x40, 0, 5, 64, 0]) + number, INNER6
    yield "udp6", bytes([GRE_UDP, 0x81, 0, 0, 70, 0]) + number, INNER4
    yield "udp-zero", bytes([GRE_UDP | GRE_UDP_ZERO, 0, 0, 0, 64, 0]) + number, INNER4
    yield "udp-zero-fragment", bytes([GRE_UDP | GRE_UDP_ZERO, 0, 0, 0, 64, 0]) + number, ipv4(
        bytes(8), 17, HOST4A, HOST4B, fragment=0x2000)
    yield "ipip", bytes([0x80, 0x10, 2, 4, 20, 0]) + number, INNER4
    yield "ipip6", bytes([0x80, 0x0D, 1, 6, 48, 9]) + number, INNER6
    for limit, options in ((0, 1), (0, 0), (3, 1), (3, 0)):
        inner = ipv6(bytes([17, 0, 4, 1, limit, 1, 1, 0]) + bytes(16), 60, HOST6A, HOST6B)
        yield "limit-%d-%d" % (limit, options), bytes([GRE_UDP, 1, options, 0, 79, 0]) + number, inner
    yield "ttl-uniform", bytes([0, 0, 0x40, 0x47, 64, 0]) + number, INNER4
    yield "ttl-uniform6", bytes([0x80, 1, 0x42, 0x86, 64, 0]) + number, INNER6
    yield "ethernet", bytes([2, 0, 4, 0, 28, 0]) + number, bytes(64)
    yield "mpls", bytes([0, 0, 16, 0, 24, 0]) + number, bytes([0, 1, 1, 64]) + INNER4
    yield "partial", bytes([0, 0, 0x28, 0, 24, 16]) + number, SYN4
    yield "no-headroom", bytes([0, 0, 0, 0, 23, 0]) + number, INNER4


def esp_trials():
    """Names and inputs of the ESP target."""
    ipv6, udp_flag, esn, transport, raw = 1, 2, 4, 8, 16
    text = bytes(range(60))
    for kind in range(5):
        for flags in (0, ipv6, udp_flag, esn, transport, ipv6 | udp_flag | esn,
                      transport | udp_flag):
            yield f"whole-{kind}-{flags}", bytes([kind, flags, 0]) + text
        yield f"icv-{kind}", bytes([kind, 0, 1, 0, 100, 1]) + text
        yield f"seq-{kind}", bytes([kind, 0, 1, 0, 27, 9]) + text
    yield "ect", bytes([0, ipv6, 1, 0, 1, 0x20]) + text
    yield "ce", bytes([0, ipv6, 1, 0, 1, 0x30]) + text
    yield "other-source", bytes([0, ipv6, 1, 0, 23, 7]) + text
    for name, packet in esp_peek():
        yield "raw-" + name, bytes([0, raw]) + packet


def replays():
    """Names and inputs of the replay target: window, start, shift, steps."""
    yield "in-order", struct.pack(">HIB", 32, 0, 0) + bytes([6, 0]) * 40
    yield "gaps", struct.pack(">HIB", 2, 7, 0) + bytes([0, 3, 1, 1, 1, 2, 3, 0]) * 20
    yield "edges", struct.pack(">HIB", 31, 1000, 0) + bytes([4, 0, 2, 0, 2, 1, 2, 2]) * 9
    yield "wrap", struct.pack(">HIB", 32, 0xFFFFFFF0, 0) + bytes([6, 0, 0, 2, 1, 1]) * 20
    yield "high", struct.pack(">HIB", 64, 0xFFFFFFF0, 12) + bytes([5, 23, 5, 7, 1, 4]) * 9


def traffics():
    """Names and inputs of the traffic target: tunnels with lists, records of 8 bytes."""
    def record(tunnel, source, rate=1, size=100, protocol=17, flags=1, action=1):
        return struct.pack(">BBBHBBB", tunnel, source, rate, size, protocol, flags, action)

    yield "few", b"\x02" + b"".join(record(1, i % 4, 10) for i in range(40))
    yield "many", b"\x03" + b"".join(record(i % 16, i * 7 % 256, 1 + i % 5) for i in range(200))
    yield "heavy", b"\x05" + b"".join(
        record(1 + i % 2 * (i % 14), i % 3 * i % 256, 200 if i % 3 == 0 else 1) for i in range(200))
    yield "none", b"\x00" + record(0, 1, 0) + record(3, 2, 5, 0, 6, 2, 0)


def splits():
    """Names and inputs of the fragment target."""
    clear_df, as_source, meta, partial, repair = 1, 2, 8, 16, 64

    def choice(options, mtu, growth=0, start=0, offset=0):
        return struct.pack(">BHIHHH", options, mtu, 0x01020304, growth, start, offset)

    options = bytes([7, 7, 4, 10, 0, 0, 1, 131, 7, 4, 10, 9, 9, 9, 0, 0])
    fits, long4 = ipv4(bytes(40), 17, HOST4A, HOST4B), ipv4(bytes(400), 17, HOST4A, HOST4B)
    six = bytes([1, 4, 0, 0, 0, 0])
    chain = bytes([60, 0]) + six + bytes([43, 0]) + six + bytes([17, 0, 4, 0, 0, 0, 0, 0])
    fragment = bytes([17, 0, 0x10, 1, 0, 0, 0, 7])
    yield "fits", choice(0, 1500) + fits
    yield "split", choice(0, 100) + long4
    yield "options", choice(0, 100) + ipv4(bytes(400), 17, HOST4A, HOST4B, options=options)
    yield "clear-df", choice(clear_df, 100) + ipv4(bytes(400), 17, fragment=0x4000)
    yield "fragment", choice(0, 100) + ipv4(bytes(400), 17, fragment=0x2010)
    yield "partial", choice(meta | partial, 100, 0, 20, 6) + long4
    yield "partial-late", choice(meta | partial, 100, 0, 20, 301) + long4
    yield "grown", choice(repair, 576, 3000) + fits
    yield "v6", choice(as_source | repair, 1280, 3000) + ipv6(bytes(40), 17)
    yield "v6-partial", choice(as_source | repair | meta | partial, 1280, 3000, 40, 6) + ipv6(
        bytes(40), 17)
    yield "v6-chain", choice(as_source | repair, 1280, 3000) + ipv6(chain + bytes(40), 0)
    yield "v6-fragment", choice(as_source | repair, 1280, 3000) + ipv6(fragment + bytes(40), 44)


def virtio():
    """Names and inputs of the gso target: little-endian headers."""

    def header(flags, kind, size, start, offset, length=10):
        fields = struct.pack("<BBHHHH", flags, kind, 54, size, start, offset)
        return bytes([1, length]) + fields + bytes(length - 10)

    long4 = ipv4(tcp(ACK, b"", bytes(400), HOST4A + HOST4B), 6, HOST4A, HOST4B)
    long6 = ipv6(tcp(ACK, b"", bytes(400), HOST6A + HOST6B), 6, HOST6A, HOST6B)
    datagram = ipv4(udp(bytes(400), 1, 2, HOST4A + HOST4B), 17, HOST4A, HOST4B)
    yield "plain", header(0, 0, 0, 0, 0) + DATA4
    yield "valid", header(2, 0, 0, 0, 0) + INNER4
    yield "partial", header(1, 0, 0, 20, 16, 12) + DATA4
    yield "tcp4", header(1, 1, 100, 20, 16) + long4
    yield "tcp4-ecn", header(1, 0x81, 100, 20, 16) + long4
    yield "tcp6", header(1, 4, 100, 40, 16, 20) + long6
    yield "udp", header(1, 5, 100, 20, 6) + datagram
    yield "ufo", header(1, 3, 100, 20, 6) + datagram


def icmp(kind, code, word, quote, addresses=b""):
    """An ICMP message; addresses is the pair for ICMPv6."""
    head = struct.pack(">BBHI", kind, code, 0, word)
    pseudo = addresses and addresses + struct.pack(">II", len(head + quote), 58)
    return head[:2] + struct.pack(">H", checksum(pseudo + head + quote)) + head[4:] + quote


def icmp_trials():
    """Names and inputs of the ICMP target: choice, headroom, kind, code, MTU, packet."""
    parse, build, echo, echo_build, at_icmp, ipv6_flag = 0, 1, 2, 3, 8, 16
    big4 = ipv4(udp(bytes(900), 1, 2, None), 17, HOST4A, HOST4B)
    big6 = ipv6(udp(bytes(1300), 1, 2, HOST6A + HOST6B), 17, HOST6A, HOST6B)
    back4, back6 = (REMOTE4, LOCAL4), (REMOTE6, LOCAL6)

    def trial(what, packet, kind=1, code=0, mtu=576):
        return bytes([what, 48, kind, code]) + struct.pack(">H", mtu) + packet

    def error4(quote, kind=3, code=4, word=1300):
        return ipv4(icmp(kind, code, word, quote), 1, *back4)

    def error6(quote, kind=2, code=0, word=1300):
        return ipv6(icmp(kind, code, word, quote, REMOTE6 + LOCAL6), 58, *back6)

    for kind in range(1, 5):
        yield f"build4-{kind}", trial(build, big4[:600], kind)
        yield f"build6-{kind}", trial(build, big6[:200], kind)
    yield "build-fragment", trial(build, ipv4(bytes(64), 17, HOST4A, HOST4B, fragment=1), 2)
    yield "build-error", trial(build, error4(INNER4), 2)
    yield "build-ah", trial(build, ipv6(bytes([58, 4]) + bytes(22) + bytes([1] + [0] * 8), 51,
                                        HOST6A, HOST6B), 2)
    yield "parse-gre", trial(parse, error4(ipv4(gre(big4, 0x800, KEY), 47, LOCAL4, REMOTE4)[:300]))
    yield "parse-short", trial(parse, error4(
        ipv4(gre(big4, 0x800), 47, LOCAL4, REMOTE4)[:28], word=0))
    yield "parse-esp", trial(parse, error4(ipv4(bytes(40), 50, LOCAL4, REMOTE4)[:28], 11, 0, 0))
    yield "parse-udp", trial(parse, error4(ipv4(
        udp(gre(INNER4, 0x800), 50000, 4754, None), 17, LOCAL4, REMOTE4), 3, 3, 0))
    yield "parse-sit", trial(parse, error4(ipv4(big6, 41, LOCAL4, REMOTE4)[:400], 3, 1, 0))
    yield "parse-extended", trial(parse, error4(
        ipv4(gre(big4, 0x800), 47, LOCAL4, REMOTE4)[:128] + bytes.fromhex("2000dffb00040101"),
        11, 0, 32 << 16))
    yield "parse-gre6", trial(parse, error6(ipv6(gre(big6, 0x86DD), 47, LOCAL6, REMOTE6)[:400]))
    yield "parse-limit", trial(parse, error6(ipv6(ENCAP_LIMIT + gre(INNER4, 0x800), 60, LOCAL6,
                                                  REMOTE6), 4, 0, 44))
    yield "parse-at-icmp", trial(parse | at_icmp | ipv6_flag, error6(
        ipv6(gre(big6, 0x86DD), 47, LOCAL6, REMOTE6)[:400])[40:])
    yield "parse-information", trial(parse, error4(b"data", 8, 0, 1))
    yield "echo4", trial(echo, error4(b"data", 8, 0, 1))
    yield "echo6", trial(echo, error6(b"data", 128, 0, 1))
    yield "echo-reply", trial(echo, error4(b"data", 0, 0, 1))
    yield "echo-build4", trial(echo_build, bytes(600), 1, 12, 576)
    yield "echo-build6", trial(echo_build | ipv6_flag, bytes(600), 1, 12, 0)


def selectors():
    """Names and inputs of the selector target: a selector in little-endian order, a packet."""

    def selector(family, protocol=0, sport=(0, 65535), dport=(0, 65535), src=b"", dst=b""):
        size = 4 if family == 4 else 16
        ranges = b"".join(end.ljust(16, b"\0") for side in (src, dst) for end in (
            side or bytes(size), side or b"\xff" * size))
        return ranges + struct.pack("<4HBB6x", *sport, *dport, family, protocol)

    opaque = (65535, 0)
    yield "any4", selector(4) + INNER4
    yield "any6", selector(6) + INNER6
    yield "addresses", selector(4, 17, src=HOST4A, dst=HOST4B) + INNER4
    yield "ports", selector(4, 6, (30000, 50000), (443, 443)) + SYN4
    yield "ports6", selector(6, 6, (1, 65535), (1, 500)) + SYN6
    yield "opaque", selector(4, 17, opaque, opaque) + ipv4(bytes(16), 17, fragment=2)
    yield "icmp", selector(4, 1, (768, 1023)) + ipv4(bytes([3, 4] + [0] * 6), 1)
    yield "mobility", selector(6, 135, (0x100, 0x500)) + ipv6(bytes([59, 0, 3, 0] + [0] * 4), 135)
    yield "chain", selector(6, 17, (1, 9)) + ipv6(bytes([17, 0, 1, 4, 0, 0, 0, 0, 0, 5, 0, 6]), 60)


def pieces():
    """Names and inputs of the reassembly target: steps of a few datagrams."""
    more, jump, again, raw, large = 8, 16, 32, 64, 128
    room = struct.pack(">H", 65000)

    def step(how, unit=0, size=0, ecn=0):
        return struct.pack(">BHHB", how, unit, size, ecn)

    def packet(data, how=raw):
        return bytes([how, len(data)]) + data

    first, last = step(more, 0, 800), step(0, 100, 203)
    yield "in-order", room + first + last
    yield "backward", room + last + first
    yield "v6", room + step(more | 1, 0, 800, 2) + step(1, 100, 203, 3)
    yield "mixed", room + b"".join(step(more | n, 0, 800) for n in range(8)) + b"".join(
        step(n, 100, 203) for n in range(8))
    yield "many", room + step(0, 1280, 5) + b"".join(
        step(more, 64 * unit, 512) for unit in range(20))
    yield "tiny", room + step(0, 64, 8) + b"".join(step(more, unit, 8) for unit in range(64))
    yield "large", room + step(more | large, 0, 32768) + step(large, 4096, 32000)
    yield "no-room", struct.pack(">H", 1000) + first + last
    yield "duplicates", room + first + first + step(more | again, 0, 0) + last
    yield "overlap", room + first + step(more, 99, 800) + last + step(jump) * 3 + first + last
    yield "conflict", room + last + step(0, 200, 8) + step(more, 300, 8)
    yield "ecn", room + step(more, 0, 800, 3) + step(0, 100, 203, 0)
    yield "late", room + first + step(jump | 2, 1, 8) * 3 + last
    yield "raw", room + first + packet(ipv4(bytes(64), 17, fragment=0x2000)) + packet(
        ipv4(bytes(9), 17, fragment=8, options=bytes([7, 7, 4, 0, 0, 0, 0, 0]))) + last
    header = bytes([17, 0, 0, 1, 0, 0, 0, 9])
    yield "raw-v6", room + packet(ipv6(header + bytes(64), 44)) + packet(
        ipv6(bytes([44, 0, 1, 4, 0, 0, 0, 0]) + header + bytes(64), 0))


def main():
    """Write all seeds."""
    folder = pathlib.Path(__file__).parent / "corpus"
    seeds = {name: {} for name in ("gre_decap", "ipip_decap", "peek", "mss", "table", "roundtrip")}
    for name, flags, how, packet in outer_gre():
        seeds["gre_decap"][name] = bytes([flags]) + how + struct.pack(">I", KEY) + packet
        seeds["peek"][name] = how + packet
    for name, flags, how, packet in outer_ipip():
        seeds["ipip_decap"][name] = bytes([flags]) + how + packet
        seeds["peek"]["ipip-" + name] = how + packet
    for name, packet in esp_peek():
        seeds["peek"][name] = arrival() + packet
    for name, options, offset, packet in mss_packets():
        limits = struct.pack(">HHHH", 1360, 1300, 536, 1220)
        seeds["mss"][name] = bytes([options, offset]) + limits + bytes([8, 0]) + packet
    for name, direction, packets in bursts():
        framed = b"".join(struct.pack(">H", len(packet)) + packet for packet in packets)
        seeds["table"][name] = bytes([direction | 6, 0, 64]) + framed
    for name, choice, packet in trips():
        seeds["roundtrip"][name] = choice + packet
    seeds["esp_decap"] = dict(esp_trials())
    seeds["fragment"] = dict(splits())
    seeds["gso"] = dict(virtio())
    seeds["icmp"] = dict(icmp_trials())
    seeds["reassembly"] = dict(pieces())
    seeds["selector"] = dict(selectors())
    seeds["replay"] = dict(replays())
    seeds["traffic"] = dict(traffics())
    for target, inputs in seeds.items():
        (folder / target).mkdir(parents=True, exist_ok=True)
        for name, data in inputs.items():
            (folder / target / name).write_bytes(data)


if __name__ == "__main__":
    main()
