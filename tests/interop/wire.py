# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""Packets as bytes: just enough to read tunnel headers and to write TCP SYNs."""
import collections
import hashlib
import ipaddress
import struct

IPV4, IPV6 = 0x0800, 0x86DD
DESTINATION_OPTIONS, GRE, ESP, UDP, TCP, ICMP, ICMP6 = 60, 47, 50, 17, 6, 1, 58
GRE_CHECKSUM, GRE_KEY, GRE_SEQUENCE = 0x8000, 0x2000, 0x1000

# chain: the protocol numbers from the IP header to the payload. more: the "more fragments" bit.
Outer = collections.namedtuple("Outer", "src dst tos ttl df more offset chain payload")
Gre = collections.namedtuple("Gre", "flags protocol key sequence payload")


def checksum(data):
    """The Internet checksum, RFC 1071."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def read_ip(packet):
    """The IP header of a packet, or None if it is not IP."""
    if len(packet) < 20:
        return None
    if packet[0] >> 4 == 4:
        tos, total, _, fragment, ttl, protocol = struct.unpack("!xBHHHBB", packet[:10])
        return Outer(ipaddress.ip_address(packet[12:16]), ipaddress.ip_address(packet[16:20]),
                     tos, ttl, bool(fragment & 0x4000), bool(fragment & 0x2000),
                     fragment & 0x1FFF, (protocol,),
                     packet[(packet[0] & 15) * 4:total])
    if packet[0] >> 4 != 6 or len(packet) < 40:
        return None
    word, length, protocol, ttl = struct.unpack("!IHBB", packet[:8])
    payload = packet[40:40 + length]
    chain = (protocol,)
    while chain[-1] in (0, DESTINATION_OPTIONS):
        chain += (payload[0],)
        payload = payload[8 + 8 * payload[1]:]
    return Outer(ipaddress.ip_address(packet[8:24]), ipaddress.ip_address(packet[24:40]),
                 word >> 20 & 0xFF, ttl, True, False, 0, chain, payload)


def read_gre(data):
    """A GRE header and what follows it."""
    flags, protocol = struct.unpack("!HH", data[:4])
    at, key, sequence = 4, None, None
    if flags & GRE_CHECKSUM:
        at += 4
    if flags & GRE_KEY:
        key, at = struct.unpack("!I", data[at:at + 4])[0], at + 4
    if flags & GRE_SEQUENCE:
        sequence, at = struct.unpack("!I", data[at:at + 4])[0], at + 4
    return Gre(flags, protocol, key, sequence, data[at:])


def read_esp(packet):
    """SPI and sequence number of a packet with ESP, bare or in UDP; None if it has none."""
    outer = read_ip(packet)
    if outer is None or outer.offset or outer.chain[-1] not in (ESP, UDP):
        return None
    return struct.unpack("!II", outer.payload[8 * (outer.chain[-1] == UDP):][:8])


def unwrap(outer):
    """The inner packet of a tunnel packet that read_ip() has read, or None."""
    if outer.chain[-1] in (4, 41):
        return outer.payload
    if outer.chain[-1] == UDP:
        return read_gre(outer.payload[8:]).payload
    if outer.chain[-1] == GRE:
        return read_gre(outer.payload).payload
    return None


def ipv4_header(src, dst, protocol, length, ttl=64, ident=0):
    """An IPv4 header with DF set, for a payload of `length` bytes."""
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + length, ident, 0x4000, ttl, protocol, 0,
                         src.packed, dst.packed)
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:]


def ipv6_header(src, dst, protocol, length, ttl=64):
    """An IPv6 header for a payload of `length` bytes."""
    return struct.pack("!IHBB16s16s", 0x60000000, length, protocol, ttl, src.packed, dst.packed)


def tcp_packet(src, dst, flags, options, payload=b"", extension=b"", damage=0):
    """A TCP segment in IP. `extension` goes between an IPv6 header and TCP."""
    src, dst = ipaddress.ip_address(src), ipaddress.ip_address(dst)
    segment = struct.pack("!HHIIBBHHH", 40000, 80, 0x01020304, 0, (5 + len(options) // 4) << 4,
                          flags, 64240, 0, 0) + options + payload
    if src.version == 4:
        packet = ipv4_header(src, dst, TCP, len(segment)) + segment
    else:
        packet = ipv6_header(src, dst, DESTINATION_OPTIONS if extension else TCP,
                             len(extension) + len(segment)) + extension + segment
    return with_tcp_checksum(packet, damage)


def with_tcp_checksum(packet, damage=0):
    """The packet with the TCP checksum that it must have, or that XOR `damage`."""
    ip = read_ip(packet)
    segment = ip.payload[:16] + b"\0\0" + ip.payload[18:]
    pseudo = ip.src.packed + ip.dst.packed + struct.pack("!II", len(segment), TCP)
    total = checksum(pseudo + segment) ^ damage
    return (packet[:len(packet) - len(segment)] + segment[:16] + struct.pack("!H", total)
            + segment[18:])


def ip_packet(src, dst, protocol, payload, tos=0):
    """An IP packet around a payload."""
    src, dst = ipaddress.ip_address(src), ipaddress.ip_address(dst)
    header = ipv4_header if src.version == 4 else ipv6_header
    return with_tos(header(src, dst, protocol, len(payload)) + payload, tos)


def with_tos(packet, tos):
    """The packet with another TOS or traffic class."""
    packet = bytearray(packet)
    if packet[0] >> 4 == 6:
        packet[0], packet[1] = 0x60 | tos >> 4, (tos & 15) << 4 | packet[1] & 15
        return bytes(packet)
    packet[1] = tos
    packet[10:12] = b"\0\0"
    packet[10:12] = struct.pack("!H", checksum(bytes(packet[:(packet[0] & 15) * 4])))
    return bytes(packet)


def echo_data(ident, sequence, size):
    """What an echo request carries: bytes that no other request has."""
    stream, seed = b"", struct.pack("!HH", ident, sequence)
    while len(stream) < size:
        seed = hashlib.sha256(seed).digest()
        stream += seed
    return stream[:size]


def echo_request(src, dst, ident, sequence, size, tos=0):
    """An ICMP echo request with `size` bytes of data."""
    version = ipaddress.ip_address(src).version
    message = struct.pack("!BBHHH", 8 if version == 4 else 128, 0, 0, ident, sequence)
    message += echo_data(ident, sequence, size)
    pseudo = b"" if version == 4 else (ipaddress.ip_address(src).packed
                                       + ipaddress.ip_address(dst).packed
                                       + struct.pack("!II", len(message), ICMP6))
    total = checksum(pseudo + message)
    message = message[:2] + struct.pack("!H", total) + message[4:]
    return ip_packet(src, dst, ICMP if version == 4 else ICMP6, message, tos)


def read_echo_reply(packet):
    """Identifier, sequence number and TOS of an echo reply with the data it must have; else
    None."""
    outer = read_ip(packet)
    if outer is None or outer.chain not in ((ICMP,), (ICMP6,)) or len(outer.payload) < 8 \
            or outer.payload[0] != {ICMP: 0, ICMP6: 129}[outer.chain[0]]:
        return None
    ident, sequence = struct.unpack("!HH", outer.payload[4:8])
    if outer.payload[8:] != echo_data(ident, sequence, len(outer.payload) - 8):
        return None
    return ident, sequence, outer.tos


def forwarded(packet):
    """The packet as a router sends it on: one hop less."""
    packet = bytearray(packet)
    if packet[0] >> 4 == 6:
        packet[7] -= 1
        return bytes(packet)
    packet[8] -= 1
    packet[10:12] = b"\0\0"
    packet[10:12] = struct.pack("!H", checksum(bytes(packet[:(packet[0] & 15) * 4])))
    return bytes(packet)
