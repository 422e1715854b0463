# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""The kernel's MSS clamps and ours make the same bytes of the same SYNs.

SYNs go into the guest, which forwards them through nft or xt_TCPMSS, and the same ones go
through the shared library. Left out are SYNs that we treat otherwise on purpose: several MSS
options (we clamp all, the kernel the first), options behind a malformed one (we stop there),
and a SYN with data but no MSS (we insert, xt_TCPMSS does not).

Where the option stands at an odd offset, Linux 6.1 and 6.12 update the checksum as if it were
even, and so write a wrong one; there the kernel's checksum is mended before the comparison.
"""
import contextlib
import ctypes
import socket
import struct

import wire
from lab import Sniffer, expect

LIMIT = 1400
SYN, SYN_ACK = 0x02, 0x12
FIELDS4, FIELDS6 = ("198.18.0.1", "198.18.1.1"), ("2001:db8:1::1", "2001:db8:2::1")
ODD = "at an odd offset"
FAR_MAC = "02:00:00:00:00:02"
TYPICAL = bytes.fromhex("0402080a0102030405060708010303 07")


class Packet(ctypes.Structure):
    """tunnelcap_pkt"""
    _fields_ = [("buf", ctypes.POINTER(ctypes.c_uint8)), ("cap", ctypes.c_uint32),
                ("off", ctypes.c_uint32), ("len", ctypes.c_uint32), ("status", ctypes.c_int32),
                ("user", ctypes.c_void_p)]


class Config(ctypes.Structure):
    """tunnelcap_mss_config"""
    _fields_ = [("size", ctypes.c_uint32), ("flags", ctypes.c_uint32),
                ("limit4", ctypes.c_uint16), ("limit6", ctypes.c_uint16),
                ("insert4", ctypes.c_uint16), ("insert6", ctypes.c_uint16),
                ("l3_offset", ctypes.c_uint32), ("reserved", ctypes.c_uint32)]


def clamp(library, packet, insert):
    """What our clamp makes of a packet, and whether it changed it."""
    config = Config()
    status = library.tunnelcap_mss_config_init(ctypes.byref(config), ctypes.sizeof(config), 0)
    expect(status == 0, "tunnelcap_mss_config_init: %d" % status)
    config.limit4 = config.limit6 = LIMIT
    if insert:
        config.insert4 = config.insert6 = LIMIT
    room = 64
    storage = (ctypes.c_uint8 * (room + len(packet)))(*(bytes(room) + packet))
    pkt = Packet(ctypes.cast(storage, ctypes.POINTER(ctypes.c_uint8)), len(storage), room,
                 len(packet), 0, None)
    changed = library.tunnelcap_mss_clamp(ctypes.byref(config), ctypes.byref(pkt), None, 0, 1)
    return bytes(storage[pkt.off:pkt.off + pkt.len]), changed == 1


def mss(value):
    return struct.pack("!BBH", 2, 4, value)


def option_lists(insert):
    """TCP options by what is special about them."""
    yield "alone", mss(1460)
    yield "equal", mss(LIMIT)
    yield "one above", mss(LIMIT + 1)
    yield "smaller", mss(536)
    yield "largest", mss(65535)
    yield "first of several", mss(1460) + TYPICAL
    yield "last of several", TYPICAL + mss(1460)
    yield ODD, b"\x01" + mss(1460) + b"\x01\x01\x01"
    yield ODD + ", odd value", b"\x01\x03\x03\x07\x01" + mss(1461) + b"\x01\x01\x00"
    yield "without MSS", TYPICAL
    yield "without options", b""
    yield "full header with MSS", b"\x01" * 36 + mss(1460)
    yield "full header without MSS", b"\x01" * 40
    if not insert:
        yield "behind the end of options", b"\x01\x01\x01\x00" + TYPICAL


def segments(insert):
    """Names and packets."""
    padding = bytes.fromhex("0601010400000000")  # a Destination Options header, only padding
    for name, options in option_lists(insert):
        for flags in (SYN, SYN_ACK):
            for ends in (FIELDS4, FIELDS6):
                yield "%s, %s" % (name, ends[0]), wire.tcp_packet(*ends, flags, options)
    for ends in (FIELDS4, FIELDS6):
        yield "bad checksum", wire.tcp_packet(*ends, SYN, mss(1460), damage=0x1234)
        yield "with data", wire.tcp_packet(*ends, SYN, mss(1460), b"early data")
    yield "behind Destination Options", wire.tcp_packet(*FIELDS6, SYN, mss(1460),
                                                        extension=padding)


GUEST_ROUTER = """
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
ip addr add 198.18.1.2/24 dev eth1
ip addr add 2001:db8:2::2/64 dev eth1 nodad
ip route add 198.18.0.0/24 dev eth0
ip route add 2001:db8:1::/64 dev eth0
ip neigh replace 198.18.1.1 lladdr %(mac)s dev eth1
ip neigh replace 2001:db8:2::1 lladdr %(mac)s dev eth1
""" % {"mac": FAR_MAC}
GUEST_ROUTER_END = """
nft flush ruleset
sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0
ip addr flush dev eth1
ip route flush 198.18.0.0/24
ip -6 route flush 2001:db8:1::/64
"""
NFT = ("nft add table inet m\n"
       "nft add chain inet m f '{ type filter hook forward priority mangle; }'\n"
       "nft add rule inet m f tcp flags '&' syn == syn tcp option maxseg size set %d\n" % LIMIT)
XT = "".join("%s -t mangle -A FORWARD -p tcp --tcp-flags SYN SYN -j TCPMSS --set-mss %d\n"
             % (program, LIMIT) for program in ("iptables", "ip6tables"))


def through_guest(sender, sniffer, packet):
    """Send a packet through the guest and return what comes out."""
    kind = wire.IPV4 if packet[0] >> 4 == 4 else wire.IPV6
    sender.send(bytes.fromhex("525400990010" "020000000001") + struct.pack("!H", kind) + packet)
    return sniffer.next(lambda got: wire.read_ip(got).chain[-1] == wire.TCP, 2)


def compare(lab, rules, insert):
    """The same bytes from both, for all segments; and some must have been changed."""
    library = ctypes.CDLL(str(lab.build / "lib/libtunnelcap.so"))
    lab.guest.check(GUEST_ROUTER + rules)
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sender.bind(("kp0", 0))
    total = changes = 0
    try:
        with contextlib.closing(Sniffer("kp1")) as sniffer:
            for name, packet in segments(insert):
                kernel = through_guest(sender, sniffer, packet)
                if name.startswith(ODD):
                    kernel = wire.with_tcp_checksum(kernel)
                ours, changed = clamp(library, packet, insert)
                expect(wire.forwarded(ours) == kernel, "%s: we make %s, the kernel %s"
                       % (name, wire.forwarded(ours).hex(), kernel.hex()))
                total, changes = total + 1, changes + changed
    finally:
        sender.close()
        lab.guest.run(GUEST_ROUTER_END)
    expect(total > changes > total // 3, "%d of %d SYNs changed" % (changes, total))


def mss_clamp_equals_nft(lab):
    compare(lab, NFT, insert=False)


def mss_clamp_and_insertion_equal_xt_tcpmss(lab):
    compare(lab, XT, insert=True)


def cases():
    """The comparisons."""
    for function in (mss_clamp_equals_nft, mss_clamp_and_insertion_equal_xt_tcpmss):
        yield function.__name__, function
