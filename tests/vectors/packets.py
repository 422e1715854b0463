# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""Packets for the tests, made with nothing but struct."""

import ipaddress
import struct

IPIP, TCP, UDP, IPV6, GRE, ESP = 4, 6, 17, 41, 47, 50
ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_ETHERNET = 0x0800, 0x86DD, 0x6558
NOT_ECT, ECT1, ECT0, CE = range(4)
SYN, ACK = 0x02, 0x10


def checksum(data):
    """The Internet checksum (RFC 1071)."""
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def pseudo_header(source, destination, protocol, length):
    """What TCP and UDP checksums cover beside the segment."""
    addresses = address(source) + address(destination)
    if len(addresses) == 8:
        return addresses + struct.pack("!HH", protocol, length)
    return addresses + struct.pack("!II", length, protocol)


def address(text):
    return ipaddress.ip_address(text).packed


def ipv4(source, destination, protocol, payload, tos=0, ttl=64, fragment=0, ident=0):
    header = struct.pack(
        "!BBHHHBBH", 0x45, tos, 20 + len(payload), ident, fragment, ttl, protocol, 0
    )
    header += address(source) + address(destination)
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def ipv6(source, destination, protocol, payload, tos=0, ttl=64):
    header = struct.pack("!IHBB", 6 << 28 | tos << 20, len(payload), protocol, ttl)
    return header + address(source) + address(destination) + payload


def ip(source, destination, protocol, payload, **fields):
    """An IP packet of the version of its addresses."""
    make = ipv4 if ipaddress.ip_address(source).version == 4 else ipv6
    return make(source, destination, protocol, payload, **fields)


def udp(source, destination, payload, ports=(49152, 53), with_checksum=True):
    """A UDP datagram without its IP header."""
    datagram = struct.pack("!HHHH", *ports, 8 + len(payload), 0) + payload
    if not with_checksum:
        return datagram
    value = checksum(pseudo_header(source, destination, UDP, len(datagram)) + datagram)
    return datagram[:6] + struct.pack("!H", value or 0xFFFF) + datagram[8:]


def tcp(source, destination, flags=SYN, mss=None, payload=b""):
    """A TCP segment without its IP header."""
    options = b"" if mss is None else struct.pack("!BBH", 2, 4, mss)
    offset = (20 + len(options)) // 4 << 4
    segment = struct.pack("!HHIIBBHHH", 40000, 443, 1, 0, offset, flags, 65535, 0, 0)
    segment += options + payload
    value = checksum(pseudo_header(source, destination, TCP, len(segment)) + segment)
    return segment[:16] + struct.pack("!H", value) + segment[18:]


def gre(payload, protocol=ETHERTYPE_IPV4, key=None, sequence=None, with_checksum=False):
    """A GRE packet without its IP header."""
    flags = with_checksum << 15 | (key is not None) << 13 | (sequence is not None) << 12
    fields = b"" if key is None else struct.pack("!I", key)
    fields += b"" if sequence is None else struct.pack("!I", sequence)
    header = struct.pack("!HH", flags, protocol)
    if with_checksum:
        value = checksum(header + bytes(4) + fields + payload)
        header += struct.pack("!HH", value, 0)
    return header + fields + payload


def ethernet(payload, *tags, ethertype=None):
    """An Ethernet frame with VLAN tags of these tag protocols, padded to its least length."""
    if ethertype is None:
        ethertype = ETHERTYPE_IPV4 if payload[0] >> 4 == 4 else ETHERTYPE_IPV6
    frame = bytes.fromhex("020000000001020000000002")
    frame += b"".join(struct.pack("!HH", tag, 100) for tag in tags)
    frame += struct.pack("!H", ethertype) + payload
    return frame + bytes(max(0, 60 - len(frame)))
