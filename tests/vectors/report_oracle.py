# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""What `tunnelcap-pcap report` must say of a capture, recomputed from its bytes.

Only what needs no decapsulation: outer packets and their rates, and the headers of inner ones.
"""

import ipaddress
from collections import Counter, defaultdict

import packets as pk

SPANS = (1, 60, 300, 3600)
BINS, BUCKETS = 240, 1200
FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")
PROTOCOLS = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6"}


class Packet:
    """An IP packet's header."""

    def __init__(self, data):
        self.version = data[0] >> 4
        if self.version == 4:
            header = (data[0] & 15) * 4
            self.length = int.from_bytes(data[2:4], "big")
            self.protocol = data[9]
            self.source, self.destination = data[12:16], data[16:20]
        else:
            header = 40
            self.length = 40 + int.from_bytes(data[4:6], "big")
            self.protocol = data[6]
            self.source, self.destination = data[8:24], data[24:40]
        self.payload = data[header : self.length]


def gre_payload(gre):
    """The key and the payload of a GRE packet."""
    flags = gre[0]
    at = 4 + 4 * bool(flags & 0x80)
    key = int.from_bytes(gre[at : at + 4], "big") if flags & 0x20 else None
    at += 4 * bool(flags & 0x20) + 4 * bool(flags & 0x10)
    return key, gre[at:]


def text(address):
    return str(ipaddress.ip_address(address))


class Flows:
    """Exact weights of talkers."""

    def __init__(self):
        self.lists = defaultdict(Counter)

    def count(self, packet):
        protocol = PROTOCOLS.get(packet.protocol, f"protocol {packet.protocol}")
        self.lists["sources"][text(packet.source)] += packet.length
        self.lists["destinations"][text(packet.destination)] += packet.length
        self.lists["protocols"][protocol] += packet.length
        self.lists["packet_sizes"][str(packet.length)] += 1
        if packet.protocol in (pk.TCP, pk.UDP):
            ports = packet.payload[:2], packet.payload[2:4]
            for name, port in zip(("source_ports", "destination_ports"), ports):
                key = f"{protocol} {int.from_bytes(port, 'big')}"
                self.lists[name][key] += packet.length
        if packet.protocol == pk.TCP:
            flags = [name for bit, name in enumerate(FLAGS) if packet.payload[13] >> bit & 1]
            self.lists["tcp_flags"][" ".join(flags) or "none"] += 1


class Direction:
    """Totals and rates of one direction."""

    def __init__(self):
        self.packets = self.bytes = 0
        self.seconds = Counter()
        self.second_packets = Counter()

    def count(self, second, length):
        self.packets += 1
        self.bytes += length
        self.seconds[second] += length
        self.second_packets[second] += 1

    def series(self, clock):
        """Bins of bytes, packets, average and peak rates; the 95th percentile."""
        sums, packets, peaks = [0] * clock.bins, [0] * clock.bins, [0] * clock.bins
        for second, length in self.seconds.items():
            bin_ = (second - clock.start) // clock.step
            sums[bin_] += length
            packets[bin_] += self.second_packets[second]
            peaks[bin_] = max(peaks[bin_], length * 8)
        rates = [8 * total // clock.seconds_of(i) for i, total in enumerate(sums)]
        buckets = Counter()
        for second, length in self.seconds.items():
            buckets[(second - clock.start) // clock.span] += length
        averages = sorted(8 * buckets[i] // clock.seconds_of_bucket(i)
                          for i in range(clock.buckets))
        rank = -(-95 * clock.buckets // 100)
        return {
            "packets": self.packets,
            "bytes": self.bytes,
            "bin_bytes": sums,
            "bin_packets": packets,
            "bin_bit_rate": rates,
            "bin_peak_bit_rate": peaks,
            "peak_bit_rate": max(self.seconds.values(), default=0) * 8,
            "peak_packet_rate": max(self.second_packets.values(), default=0),
            "average_bit_rate": 8 * self.bytes // (clock.end - clock.first),
            "percentile_95_bit_rate": averages[rank - 1],
        }


class Clock:
    """Buckets and bins for a capture from one second to another, inclusive."""

    def __init__(self, first, last):
        self.first, self.end = first, last + 1
        for self.span in SPANS:
            self.start = first // self.span * self.span
            self.buckets = -((self.start - self.end) // self.span)
            if self.buckets <= BUCKETS:
                break
        self.step = self.span * -(-self.buckets // BINS)
        self.bins = -((self.start - self.end) // self.step)

    def seconds_of(self, bin_):
        begin = self.start + bin_ * self.step
        return min(begin + self.step, self.end) - max(begin, self.first)

    def seconds_of_bucket(self, bucket):
        """Only the first one is shorter: the last is closed at its end."""
        begin = self.start + bucket * self.span
        return begin + self.span - max(begin, self.first)


class Oracle:
    """A capture of whole frames of raw IP: GRE and plain packets, in order of time."""

    def __init__(self, frames):
        self.clock = Clock(frames[0].seconds, max(frame.seconds for frame in frames))
        self.tunnels = defaultdict(lambda: (Direction(), Direction()))
        self.flows = defaultdict(Flows)
        self.all, self.plain = Direction(), Direction()
        second = 0
        for frame in frames:
            second = max(second, frame.seconds)
            self.count(second, frame.data)

    def count(self, second, data):
        outer = Packet(data)
        if outer.protocol != pk.GRE:
            self.plain.count(second, outer.length)
            self.flows["plain"].count(outer)
            return
        key, payload = gre_payload(outer.payload)
        inner = Packet(payload)
        ends = min(outer.source, outer.destination), max(outer.source, outer.destination), key
        self.tunnels[ends][outer.source != ends[0]].count(second, outer.length)
        self.all.count(second, outer.length)
        for flows in (self.flows[ends], self.flows["all"]):
            flows.count(inner)
