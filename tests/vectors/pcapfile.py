# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""Capture files for the tests: written and read with nothing but struct."""

import struct
from dataclasses import dataclass, field

ETHERNET = 1
RAW = 101

_MICRO = 0xA1B2C3D4
_NANO = 0xA1B23C4D


@dataclass
class Frame:
    """A captured frame: seconds, fraction in the file's unit, bytes, length on the wire."""

    seconds: int
    fraction: int
    data: bytes
    wire_length: int = -1

    def __post_init__(self):
        if self.wire_length < 0:
            self.wire_length = len(self.data)


@dataclass
class Capture:
    """A pcap file. The upper bits of its link type, which tell of an FCS, are left out."""

    link_type: int
    frames: list = field(default_factory=list)
    nano: bool = False


def parse_pcap(data):
    """Read the bytes of a pcap file, which must be whole."""
    for order in "<>":
        magic = struct.unpack_from(order + "I", data)[0]
        if magic in (_MICRO, _NANO):
            break
    else:
        raise ValueError("not a pcap file")
    link_type = struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF
    capture = Capture(link_type, nano=magic == _NANO)
    at = 24
    while at < len(data):
        seconds, fraction, captured, wire = struct.unpack_from(order + "4I", data, at)
        at += 16
        if at + captured > len(data):
            raise ValueError("pcap file ends within a frame")
        capture.frames.append(Frame(seconds, fraction, data[at : at + captured], wire))
        at += captured
    return capture


def read_pcap(path):
    """Read a pcap file, which must be whole."""
    with open(path, "rb") as file:
        return parse_pcap(file.read())


def pcap_bytes(capture, order="<"):
    """The bytes of a pcap file."""
    magic = _NANO if capture.nano else _MICRO
    out = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262144, capture.link_type)]
    for frame in capture.frames:
        out.append(
            struct.pack(
                order + "4I", frame.seconds, frame.fraction, len(frame.data), frame.wire_length
            )
        )
        out.append(frame.data)
    return b"".join(out)


def _block(kind, body):
    body += bytes(-len(body) % 4)
    length = len(body) + 12
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


def pcapng_bytes(capture):
    """The bytes of a pcapng file with one interface that counts nanoseconds."""
    out = [_block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))]
    resolution = struct.pack("<HHB3x", 9, 1, 9) + struct.pack("<HH", 0, 0)
    out.append(_block(1, struct.pack("<HHI", capture.link_type, 0, 262144) + resolution))
    for frame in capture.frames:
        time = frame.seconds * 10**9 + frame.fraction * (1 if capture.nano else 1000)
        head = struct.pack(
            "<5I", 0, time >> 32, time & 0xFFFFFFFF, len(frame.data), frame.wire_length
        )
        out.append(_block(6, head + frame.data))
    return b"".join(out)
