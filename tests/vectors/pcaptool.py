# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""What the tests of tunnelcap-pcap share: a directory for each test, and ways to run the tool."""

import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

import packets as pk
from pcapfile import RAW, Capture, Frame, pcap_bytes, read_pcap

EXIT_FILE, EXIT_USAGE = 1, 2

NEAR, FAR = "192.0.2.1", "198.51.100.1"
NEAR6, FAR6 = "2001:db8::1", "2001:db8:1::1"
CLIENT, SERVER = "203.0.113.9", "10.1.2.3"
CLIENT6, SERVER6 = "2001:db8:9::9", "2001:db8:10::3"
GRE_WORDS = f"gre,local={NEAR},remote={FAR}"


def query(size=20, source=CLIENT, destination=SERVER, **fields):
    """An inner IP packet with a UDP datagram of some bytes."""
    datagram = pk.udp(source, destination, bytes(i % 251 for i in range(size)))
    return pk.ip(source, destination, pk.UDP, datagram, **fields)


def syn(mss, source=CLIENT, destination=SERVER, flags=pk.SYN):
    """An inner IP packet with a SYN."""
    return pk.ip(source, destination, pk.TCP, pk.tcp(source, destination, flags, mss))


def arriving(inner, **fields):
    """A GRE packet from the far end to ours."""
    return pk.ipv4(FAR, NEAR, pk.GRE, pk.gre(inner, **fields))


def capture_of(data, link_type=RAW, **options):
    """A capture of these frames, a second and a microsecond apart."""
    frames = [Frame(1000 + i, i + 1, bytes(frame)) for i, frame in enumerate(data)]
    return Capture(link_type, frames, **options)


def data_of(capture):
    return [frame.data for frame in capture.frames]


def has_cryptography(tool):
    """Whether the tool can decrypt: with a library built without OpenSSL it cannot."""
    done = subprocess.run([tool, "decap", "--keys", os.devnull, "-", os.devnull],
                          input=pcap_bytes(Capture(RAW)), capture_output=True, timeout=60,
                          check=False)
    return b"built without OpenSSL" not in done.stderr


class ToolTest(unittest.TestCase):
    """A test that runs the tool on files in a directory of its own."""

    tool = None  # path, set by the main program

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.dir = Path(directory.name)
        self.input = self.dir / "in.pcap"
        self.output = self.dir / "out.pcap"

    def execute(self, *arguments, **options):
        options = {"capture_output": True, "timeout": 120, "check": False} | options
        return subprocess.run([self.tool, *map(str, arguments)], **options)

    def run_on(self, capture, verb, *options, content=pcap_bytes, says=b""):
        """Run a verb that must succeed; return its report and what it wrote. It may have to warn,
        and says nothing otherwise."""
        self.input.write_bytes(content(capture))
        files = [self.input] if verb == "info" else [self.input, self.output]
        done = self.execute("--json", verb, *options, *files)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        self.assertEqual(len(done.stderr.splitlines()), bool(says), done.stderr.decode())
        self.assertIn(says, done.stderr)
        self.assertEqual(sorted(os.listdir(self.dir)), sorted(path.name for path in files))
        return json.loads(done.stdout), None if verb == "info" else read_pcap(self.output)

    def assert_fails(self, *arguments, status, says, **options):
        """Run something that must fail, say why, and leave no file behind."""
        before = sorted(os.listdir(self.dir))
        done = self.execute(*arguments, **options)
        message = done.stderr.decode()
        self.assertEqual(done.returncode, status, message)
        self.assertIn(says, message)
        self.assertTrue(message.startswith("tunnelcap-pcap: ") or self.tool in message, message)
        self.assertEqual(sorted(os.listdir(self.dir)), before)
