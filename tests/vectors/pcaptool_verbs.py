# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""tunnelcap-pcap: what decap, encap, clamp and info make of packets."""

import collections
import itertools
import json
import shutil
import struct
import subprocess
import tempfile
import unittest
from pathlib import Path

import packets as pk
from pcapfile import ETHERNET, RAW, Capture, Frame, pcap_bytes
from pcaptool import (CLIENT, CLIENT6, EXIT_FILE, FAR, FAR6, GRE_WORDS, NEAR, NEAR6, SERVER,
                      SERVER6, ToolTest, arriving, capture_of, data_of, query, syn)

GRE_FLAGS = ("key=305419896", "csum", "seq", "ttl=0", "udp")
GRE_UDP_PORT = 4754


def gre_descriptions():
    """GRE tunnels with every combination of flags, over both families."""
    for ends in ((NEAR, FAR), (NEAR6, FAR6)):
        for chosen in itertools.product((False, True), repeat=len(GRE_FLAGS)):
            flags = itertools.compress(GRE_FLAGS, chosen)
            yield ",".join(["gre", f"local={ends[0]}", f"remote={ends[1]}", *flags])


def inner_packets():
    """Inner packets of many kinds, some of odd length."""
    yield from (query(size, tos=ecn) for size in (0, 1, 64, 1400) for ecn in range(4))
    yield from (query(size, CLIENT6, SERVER6, tos=184 + ecn) for size in (0, 33) for ecn in (0, 2))
    yield query(600, fragment=0x2000, ident=7)
    yield query(31, fragment=0x4000)
    yield syn(1460)
    yield syn(1440, CLIENT6, SERVER6, flags=pk.SYN | pk.ACK)
    yield arriving(query(), key=5)
    yield query(9000)


class RoundTrip(ToolTest):
    """Encapsulated and decapsulated again, packets and times are what they were."""

    def check(self, words):
        capture = capture_of(inner_packets())
        count = len(capture.frames)
        report, outer = self.run_on(capture, "encap", "--tunnel", words)
        self.assertEqual((report["status"], report["written"]), ({"OK": count}, count))
        report, back = self.run_on(outer, "decap")
        self.assertEqual(report["status"], {"OK": count})
        self.assertEqual(back, capture)

    def test_gre_with_every_combination_of_flags(self):
        for words in gre_descriptions():
            with self.subTest(words):
                self.check(words)

    def test_ip_in_ip(self):
        for ends in ((NEAR, FAR), (NEAR6, FAR6)):
            for flags in ("", ",ttl=0"):
                words = f"ipip,local={ends[0]},remote={ends[1]}{flags}"
                with self.subTest(words):
                    self.check(words)

    def test_ethernet_padding_is_left_out(self):
        frames = capture_of([pk.ethernet(query(0)), pk.ethernet(query(1), 0x8100)], ETHERNET)
        _, outer = self.run_on(frames, "encap", "--tunnel", GRE_WORDS)
        _, back = self.run_on(outer, "decap")
        self.assertEqual(data_of(back), [query(0), query(1)])


class Encap(ToolTest):
    def outer_of(self, words, packets):
        _, out = self.run_on(capture_of(packets), "encap", "--tunnel", words)
        return data_of(out)

    def test_plain_gre_is_exact(self):
        (outer,) = self.outer_of(GRE_WORDS, [query()])
        self.assertEqual(outer, pk.ipv4(NEAR, FAR, pk.GRE, pk.gre(query()), fragment=0x4000))

    def test_key_checksum_and_sequence_are_exact(self):
        outer = self.outer_of(GRE_WORDS + ",key=0xdeadbeef,csum,seq,ttl=9", [query()] * 3)
        for sequence, packet in enumerate(outer):
            expected = pk.gre(query(), key=0xDEADBEEF, sequence=sequence, with_checksum=True)
            self.assertEqual(
                packet, pk.ipv4(NEAR, FAR, pk.GRE, expected, fragment=0x4000, ttl=9))

    def test_ip_in_ip_is_exact(self):
        inner6 = query(10, CLIENT6, SERVER6)
        outer = self.outer_of(f"ipip,local={NEAR},remote={FAR}", [query(), inner6])
        # "Don't fragment" is the inner packet's; where it is clear, an identification is chosen.
        (ident,) = struct.unpack_from("!H", outer[0], 4)
        self.assertNotEqual(ident, 0)
        self.assertEqual(outer, [pk.ipv4(NEAR, FAR, pk.IPIP, query(), ident=ident),
                                 pk.ipv4(NEAR, FAR, pk.IPV6, inner6, fragment=0x4000)])

    def test_gre_in_udp_has_ports_and_a_checksum(self):
        for near, far, header in ((NEAR, FAR, 20), (NEAR6, FAR6, 40)):
            (outer,) = self.outer_of(f"gre,local={near},remote={far},udp", [query()])
            source, destination = struct.unpack_from("!HH", outer, header)
            self.assertGreaterEqual(source, 49152)
            self.assertEqual(destination, GRE_UDP_PORT)
            expected = pk.udp(near, far, pk.gre(query()), (source, destination))
            self.assertEqual(outer[header:], expected)

    def test_packets_above_the_mtu_are_refused(self):
        capture = capture_of([query(1472 - 28), query(1473 - 28)])
        report, out = self.run_on(capture, "encap", "--tunnel", GRE_WORDS + ",mtu=1472")
        self.assertEqual(report["status"], {"OK": 1, "E_TOO_BIG": 1})
        self.assertEqual(len(out.frames), 1)

    def test_packets_are_not_clamped(self):
        (outer,) = self.outer_of(GRE_WORDS + ",mtu=1000", [syn(1460)])
        self.assertEqual(outer[24:], syn(1460))

    def test_packets_cut_short_are_refused(self):
        capture = Capture(RAW, [Frame(0, 0, query()[:-1], len(query()))])
        report, out = self.run_on(capture, "encap", "--tunnel", GRE_WORDS)
        self.assertEqual(report["status"], {"OK": 0, "E_TRUNCATED": 1})
        self.assertEqual(out.frames, [])

    def test_report_names_the_tunnel(self):
        frames = [pk.ethernet(query(100)), pk.ethernet(query(), ethertype=0x0806)]
        report, _ = self.run_on(capture_of(frames, ETHERNET), "encap", "--tunnel",
                                GRE_WORDS + ",key=7,udp")
        size = len(query(100)) + 20 + 8 + 8
        self.assertEqual(report, {
            "frames": 2, "packets": 1, "written": 1, "status": {"OK": 1},
            "tunnels": [{"kind": "gre", "local": NEAR, "remote": FAR, "key": 7,
                         "udp_port": GRE_UDP_PORT, "packets": 1, "bytes": size}]})


class EncapByConfiguration(ToolTest):
    """The tunnel comes from a gateway's configuration file."""

    def setUp(self):
        super().setUp()
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.config = Path(directory.name) / "gateway.json"

    def configure(self, **fields):
        tunnel = {"name": "ams", "cloudflare_gre_endpoint": FAR, "customer_gre_endpoint": NEAR,
                  "interface_address": "10.213.0.8/31"} | fields
        self.config.write_text(json.dumps({"side": "customer", "gre_tunnels": [tunnel]}))

    def test_tunnel_is_found_by_name(self):
        self.configure(key=9, checksum=True, ttl=33)
        inner = query(1473)
        report, out = self.run_on(capture_of([inner]), "encap", "--config", self.config,
                                  "--tunnel", "ams")
        expected = pk.gre(inner, key=9, with_checksum=True)
        self.assertEqual(
            data_of(out), [pk.ipv4(NEAR, FAR, pk.GRE, expected, fragment=0x4000, ttl=33)])
        self.assertEqual(report["tunnels"][0]["key"], 9)

    def test_mtu_of_the_configuration_counts(self):
        self.configure(mtu=1000)
        report, _ = self.run_on(capture_of([query(972), query(973)]), "encap", "--config",
                                self.config, "--tunnel", "ams")
        self.assertEqual(report["status"], {"OK": 1, "E_TOO_BIG": 1})

    def test_mistakes_are_told(self):
        self.input.write_bytes(pcap_bytes(capture_of([query()])))
        for fields, name, says in (
            ({}, "fra", 'gateway.json: no tunnel "fra"'),
            ({"ttl": 300}, "ams", "gre_tunnels[0].ttl"),
        ):
            self.configure(**fields)
            done = self.execute("encap", "--config", self.config, "--tunnel", name, self.input,
                                self.output)
            self.assertEqual(done.returncode, EXIT_FILE)
            self.assertIn(says, done.stderr.decode())
            self.assertFalse(self.output.exists())


class Decap(ToolTest):
    def statuses(self, packets, *options, link_type=RAW):
        """The statuses of frames, and the packets that were written."""
        report, out = self.run_on(capture_of(packets, link_type), "decap", *options)
        self.assertEqual(report["packets"], sum(report["status"].values()))
        self.assertEqual(report["written"], len(out.frames))
        return {name: n for name, n in report["status"].items() if n}, data_of(out)

    def test_report_has_its_shape(self):
        packets = [arriving(query(), key=7), arriving(query(), key=7), query(),
                   pk.ipv6(FAR6, NEAR6, pk.IPIP, query())]
        report, _ = self.run_on(capture_of(packets), "decap")
        self.assertEqual(report, {
            "frames": 4, "packets": 3, "written": 3, "status": {"OK": 3},
            "tunnels": [
                {"kind": "gre", "local": NEAR, "remote": FAR, "key": 7, "packets": 2,
                 "bytes": len(packets[0]) * 2},
                {"kind": "ipip", "local": NEAR6, "remote": FAR6, "key": None, "packets": 1,
                 "bytes": len(packets[3])}]})

    def test_only_the_kind_asked_for_is_taken(self):
        esp = pk.ipv4(FAR, NEAR, pk.ESP, struct.pack("!II", 4096, 1) + bytes(40))
        packets = [arriving(query(1)), pk.ipv4(FAR, NEAR, pk.IPIP, query(2)), esp,
                   pk.ipv4(FAR, NEAR, 47, struct.pack("!HH", 0x2001, 0x880B) + bytes(8))]
        self.assertEqual(self.statuses(packets, "--only", "gre"),
                         ({"OK": 1, "E_GRE_VERSION": 1}, [query(1)]))
        self.assertEqual(self.statuses(packets, "--only", "ipip"), ({"OK": 1}, [query(2)]))
        self.assertEqual(self.statuses(packets, "--only", "esp"), ({"E_UNSUPPORTED": 1}, []))
        self.assertEqual(self.statuses(packets),
                         ({"OK": 2, "E_GRE_VERSION": 1, "E_UNSUPPORTED": 1},
                          [query(1), query(2)]))

    def test_only_the_outermost_tunnel_is_removed(self):
        inner = pk.ipv4(CLIENT, SERVER, pk.GRE, pk.gre(query(), key=3))
        self.assertEqual(self.statuses([arriving(inner)]), ({"OK": 1}, [inner]))

    def test_all_gre_variants_are_taken(self):
        inner6 = query(10, CLIENT6, SERVER6)
        datagram = pk.udp(FAR6, NEAR6, pk.gre(query()), (50000, GRE_UDP_PORT))
        unchecked = pk.udp(FAR6, NEAR6, pk.gre(query()), (50001, GRE_UDP_PORT),
                           with_checksum=False)
        packets = [
            arriving(inner6, protocol=pk.ETHERTYPE_IPV6),
            arriving(query(), key=1, sequence=9),
            arriving(query(), key=1, with_checksum=True),
            arriving(query(), sequence=3),
            pk.ipv6(FAR6, NEAR6, pk.UDP, datagram),
            pk.ipv6(FAR6, NEAR6, pk.UDP, unchecked),
        ]
        self.assertEqual(self.statuses(packets), ({"OK": 6}, [inner6] + [query()] * 5))

    def test_wrong_checksums_are_refused_and_fragments_put_together(self):
        flawed = bytearray(arriving(query(), with_checksum=True))
        flawed[-1] ^= 1
        whole = pk.gre(query(100), key=3)
        packets = [flawed, pk.ipv4(FAR, NEAR, pk.GRE, whole[:64], fragment=0x2000),
                   pk.ipv4(FAR, NEAR, pk.GRE, whole[64:], fragment=8)]
        self.assertEqual(self.statuses(packets),
                         ({"OK": 1, "E_CHECKSUM": 1, "KEPT": 1}, [query(100)]))
        report, _ = self.run_on(capture_of(packets), "decap")
        self.assertEqual([tunnel["packets"] for tunnel in report["tunnels"]], [1, 1])
        # One that lacks its last piece, one whose pieces overlap, one whose pieces come late.
        self.assertEqual(self.statuses(packets[1:2] + packets[:1]),
                         ({"E_CHECKSUM": 1, "KEPT": 1}, []))
        across = pk.ipv4(FAR, NEAR, pk.GRE, whole[56:], fragment=7)
        self.assertEqual(self.statuses([packets[1], across, packets[2]]),
                         ({"E_OVERLAP": 2, "KEPT": 1}, []))
        late = Capture(RAW, [Frame(0, 0, packets[1], len(packets[1])),
                             Frame(30, 0, packets[2], len(packets[2]))])
        report, out = self.run_on(late, "decap")
        self.assertEqual((report["status"], out.frames), ({"OK": 0, "KEPT": 2}, []))

    def test_malformed_tunnel_packets_count_but_not_other_ones(self):
        enhanced = struct.pack("!HH", 0x2001, 0x880B) + bytes(8)
        flagged = struct.pack("!HH", 0x4000, 0x0800)
        packets = [
            pk.ipv4(FAR, NEAR, pk.GRE, b"\0\0"),
            pk.ipv4(FAR, NEAR, pk.GRE, enhanced),
            pk.ipv4(FAR, NEAR, pk.UDP, pk.udp(FAR, NEAR, flagged, (50000, GRE_UDP_PORT))),
            pk.ipv4(FAR, NEAR, pk.UDP, struct.pack("!HHHH", 9, 9, 0, 0)),
            pk.ipv4(FAR, NEAR, pk.TCP, b""),
        ]
        report, _ = self.run_on(capture_of(packets), "decap", "--only", "gre")
        self.assertEqual((report["frames"], report["packets"]), (5, 3))
        self.assertEqual(report["status"], {"OK": 0, "E_TRUNCATED": 1, "E_GRE_VERSION": 1,
                                            "E_GRE_FLAGS": 1})
        report, _ = self.run_on(capture_of(packets), "decap", "--only", "ipip")
        self.assertEqual(report["packets"], 0)

    def test_congestion_marks_follow_rfc_6040(self):
        def marked(outer, inner):
            return pk.ipv4(FAR, NEAR, pk.GRE, pk.gre(query(tos=inner)), tos=outer)

        for outer, inner, result in (
            (pk.CE, pk.ECT0, pk.CE), (pk.CE, pk.ECT1, pk.CE), (pk.ECT1, pk.ECT0, pk.ECT1),
            (pk.ECT0, pk.ECT1, pk.ECT1), (pk.NOT_ECT, pk.CE, pk.CE),
        ):
            with self.subTest(outer=outer, inner=inner):
                self.assertEqual(self.statuses([marked(outer, inner)]),
                                 ({"OK": 1}, [query(tos=result)]))
        self.assertEqual(self.statuses([marked(pk.CE, pk.NOT_ECT)]), ({"E_ECN": 1}, []))

    def test_packets_cut_off_by_the_capture_are_refused_but_known(self):
        packet = arriving(query(200), key=7)
        capture = Capture(RAW, [Frame(0, 0, packet[:60], len(packet)),
                                Frame(0, 0, packet[:26], len(packet)),
                                Frame(0, 0, query(200)[:60], len(query(200)))])
        report, out = self.run_on(capture, "decap")
        self.assertEqual(report["status"], {"OK": 0, "E_TRUNCATED": 2})
        self.assertEqual((report["frames"], report["packets"]), (3, 2))
        self.assertEqual([(t["key"], t["packets"]) for t in report["tunnels"]], [(7, 1)])
        self.assertEqual(out.frames, [])

    def test_bytes_that_were_cut_off_are_not_made_up(self):
        flagged = pk.ipv4(FAR, NEAR, pk.GRE, b"\xff" * 40)
        cut = arriving(query())[:20]
        frames = [Frame(0, 0, flagged)] * 200 + [Frame(0, 0, cut, len(flagged))] * 200
        report, _ = self.run_on(Capture(RAW, frames), "decap")
        self.assertEqual(report["status"], {"OK": 0, "E_GRE_VERSION": 200, "E_TRUNCATED": 200})

    def test_other_payloads_are_counted_or_written_as_ethernet(self):
        frame = pk.ethernet(query())
        packets = [arriving(frame, protocol=pk.ETHERTYPE_ETHERNET), arriving(query()),
                   arriving(bytes(30), protocol=0x88BE)]
        self.assertEqual(self.statuses(packets), ({"OK": 3}, [query()]))
        self.assertEqual(self.statuses(packets, "--ethernet"), ({"OK": 3}, [frame]))
        _, out = self.run_on(capture_of(packets), "decap", "--ethernet")
        self.assertEqual(out.link_type, ETHERNET)

    def test_keepalives_are_ip_packets_too(self):
        answer = pk.ipv4(NEAR, FAR, pk.GRE, struct.pack("!HH", 0, 0))
        self.assertEqual(self.statuses([arriving(answer)]), ({"KEEPALIVE": 1}, [answer]))

    def test_ends_that_no_tunnel_can_have_are_told(self):
        packets = [pk.ipv4(NEAR, NEAR, pk.GRE, pk.gre(query())), arriving(query())]
        self.assertEqual(self.statuses(packets), ({"OK": 1, "E_ADDRESS": 1}, [query()]))

    def test_many_tunnels_keep_the_order_of_frames(self):
        packets = [arriving(query(i % 90), key=i * 7919 % 1000) for i in range(3000)]
        report, out = self.run_on(capture_of(packets), "decap")
        self.assertEqual(data_of(out), [query(i % 90) for i in range(3000)])
        counts = collections.Counter(t["packets"] for t in report["tunnels"])
        self.assertEqual(counts, {3: 1000})


class Clamp(ToolTest):
    def clamped(self, packets, *options):
        report, out = self.run_on(capture_of(packets), "clamp", *options)
        return report["status"], data_of(out)

    def test_only_syns_above_the_limit_change(self):
        packets = [syn(1460), syn(1360), syn(None), syn(1460, flags=pk.ACK), query(),
                   syn(1460, flags=pk.SYN | pk.ACK)]
        status, out = self.clamped(packets, "--mss", "1360")
        self.assertEqual(status, {"OK": 0, "MSS_CLAMPED": 2, "MSS_SMALL": 1, "MSS_ABSENT": 1,
                                  "NOT_SYN": 2})
        packets[0] = syn(1360)
        packets[5] = syn(1360, flags=pk.SYN | pk.ACK)
        self.assertEqual(out, packets)

    def test_families_have_their_own_limits(self):
        packets = [syn(1460), syn(1440, CLIENT6, SERVER6)]
        for options, mss4, mss6 in ((["--mss", "1360"], 1360, 1360),
                                    (["--mss", "1360", "--mss6", "1340"], 1360, 1340),
                                    (["--mss", "536", "--mss6", "1220"], 536, 1220),
                                    (["--mss", "100", "--force"], 100, 100)):
            with self.subTest(options):
                _, out = self.clamped(packets, *options)
                self.assertEqual(out, [syn(mss4), syn(mss6, CLIENT6, SERVER6)])


class Info(ToolTest):
    def test_everything_is_counted(self):
        packets = [
            pk.ethernet(syn(1460), 0x8100), pk.ethernet(syn(1460)), pk.ethernet(syn(None)),
            pk.ethernet(syn(1440, CLIENT6, SERVER6)), pk.ethernet(query(), ethertype=0x0806),
            pk.ethernet(arriving(syn(1400), key=4294967295)),
            pk.ethernet(pk.ipv4(FAR, NEAR, pk.ESP, struct.pack("!II", 4096, 1) + bytes(40))),
            pk.ethernet(pk.ipv4(FAR, NEAR, pk.GRE, struct.pack("!HH", 0x4000, 0x0800))),
        ]
        report, _ = self.run_on(capture_of(packets, ETHERNET), "info")
        self.assertEqual(report, {
            "frames": 8, "packets": 7, "status": {"OK": 6, "E_GRE_FLAGS": 1},
            "tunnels": [
                {"kind": "gre", "local": NEAR, "remote": FAR, "key": 4294967295, "packets": 1,
                 "bytes": 20 + 8 + len(syn(1400))},
                {"kind": "esp", "local": NEAR, "remote": FAR, "spi": 4096, "packets": 1,
                 "bytes": 68}],
            "link": {"type": "EN10MB", "ipv4": 6, "ipv6": 1, "other": 1, "vlan": 1},
            "syn": {"packets": 5, "without_mss": 1, "tcp_ao": 0, "malformed": 0, "truncated": 0,
                    "mss": [{"mss": 1440, "tunnelled": False, "packets": 1},
                            {"mss": 1460, "tunnelled": False, "packets": 2},
                            {"mss": 1400, "tunnelled": True, "packets": 1}]}})

    def test_people_can_read_it(self):
        self.input.write_bytes(pcap_bytes(capture_of([arriving(syn(1460), key=7)])))
        done = self.execute("info", self.input)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        for words in ("1 frames", "gre", NEAR, FAR, "MSS 1460 in a tunnel", "link type RAW"):
            self.assertIn(words, done.stdout.decode())


@unittest.skipUnless(shutil.which("tshark"), "tshark is not installed")
class Tshark(ToolTest):
    """An independent reader finds what we encapsulate right."""

    def fields(self, display_filter):
        """Numbers of the frames of the output that match."""
        command = ["tshark", "-r", self.output, "-Y", display_filter, "-T", "fields",
                   "-e", "frame.number", "--disable-protocol", "dns"]
        for check in ("ip.check_checksum", "udp.check_checksum"):
            command += ["-o", f"{check}:TRUE"]
        done = subprocess.run(command, capture_output=True, timeout=60, check=True)
        return done.stdout.split()

    def test_gre_is_well_formed(self):
        capture = capture_of([query(size) for size in (0, 1, 64, 1400)])
        for words in gre_descriptions():
            with self.subTest(words):
                self.run_on(capture, "encap", "--tunnel", words)
                self.assertEqual(len(self.fields("gre && !_ws.malformed")), 4)
                bad = " || ".join(f"{name}.checksum.status == 0" for name in ("ip", "udp", "gre"))
                self.assertEqual(self.fields(bad), [])
