# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""Wireshark verifies the ICVs of what we write, and finds in it what we have encrypted."""
import os
import pathlib
import struct
import subprocess

import kernel_peer
import wire
from esp import ALGORITHMS, Pair, Peer
from lab import Skip, expect

LINK_TYPE_RAW = 101
SIZES = range(0, 1400, 37)
# Identifier, sequence number and whether the checksum is right (1) of echo requests.
INSIDE = {4: ("icmp.ident", "icmp.seq", "icmp.checksum.status"),
          6: ("icmpv6.echo.identifier", "icmpv6.echo.sequence_number", "icmpv6.checksum.status")}


def write_pcap(path, packets):
    """A capture of bare IP packets."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, LINK_TYPE_RAW))
        for packet in packets:
            file.write(struct.pack("<IIII", 0, 0, len(packet), len(packet)) + packet)


def read(directory, capture, keys):
    """What tshark says of each ESP packet: whether the ICV is good, and bad, and what is inside."""
    pathlib.Path(directory, "esp_sa").write_text(keys, encoding="ascii")
    fields = ("esp.icv_good", "esp.icv_bad") + INSIDE[4] + INSIDE[6]
    command = ["tshark", "-r", capture, "-Y", "esp", "-T", "fields", "-E", "separator=;",
               "-o", "esp.enable_encryption_decode:TRUE",
               "-o", "esp.enable_authentication_check:TRUE"]
    for field in fields:
        command += ["-e", field]
    done = subprocess.run(command, check=True, text=True, capture_output=True,
                          env=dict(os.environ, WIRESHARK_CONFIG_DIR=str(directory)))
    return [dict(zip(fields, line.split(";"))) for line in done.stdout.splitlines()]


def verified(lab, **options):
    """Packets of many sizes by every algorithm that Wireshark knows, outer IPv4 and IPv6."""
    if not kernel_peer.which("tshark"):
        raise Skip("tshark is not installed")
    if not (lab.build / "tests/interop/esp_peer").exists():
        raise Skip("built without OpenSSL")
    names = [name for name, algorithm in ALGORITHMS.items() if algorithm.tshark]
    pairs = {number: Pair(number, ALGORITHMS[name], outer, outer, **options)
             for number, (name, outer) in enumerate(((name, outer) for name in names
                                                     for outer in (4, 6)), 1)}
    peer = Peer(lab.build, "tshark0")
    packets, keys = [], ""
    for pair in pairs.values():
        peer.add(pair.line_out())
        keys += pair.to_guest.tshark(*pair.ends, pair.spi_out)
        packets += [peer.seal(pair.spi_out, pair.echo(sequence, size))
                    for sequence, size in enumerate(SIZES, 1)]
    peer.close()
    capture = os.path.join(lab.directory, "esp.pcap")
    write_pcap(capture, packets)
    lines = read(lab.directory, capture, keys)
    expect(len(lines) == len(packets), "%d of %d packets are ESP" % (len(lines), len(packets)))
    for packet, line in zip(packets, lines):
        spi, sequence = wire.read_esp(packet)
        pair = pairs[spi - 0x10000]
        inside = [line[field].split(",")[0] for field in INSIDE[pair.inner]]
        expect((line["esp.icv_good"], line["esp.icv_bad"]) == ("1", "0")
               and [int(word, 0) for word in inside if word] == [pair.number, sequence, 1],
               "%s, packet %d: %s" % (names[(pair.number - 1) // 2], sequence, line))


def tshark_verifies_esp(lab):
    verified(lab)


def tshark_verifies_esp_in_udp(lab):
    verified(lab, udp=True)


def cases():
    """Bare and in UDP."""
    for function in (tshark_verifies_esp, tshark_verifies_esp_in_udp):
        yield function.__name__, function
