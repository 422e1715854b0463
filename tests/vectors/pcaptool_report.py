# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""tunnelcap-pcap report: numbers, against what Python makes of the same bytes."""

import ipaddress
import json
import os
import random
import struct
import subprocess
from pathlib import Path

import packets as pk
from pcapfile import ETHERNET, RAW, Capture, Frame, pcap_bytes, read_pcap
from pcaptool import (CLIENT, EXIT_FILE, FAR, FAR6, NEAR, NEAR6, SERVER, ToolTest, arriving,
                      has_cryptography, query, syn)
from report_oracle import Oracle, Packet

VECTORS = Path(__file__).resolve().parents[3] / "shared" / "vectors"
START = 1764331200  # 2025-11-28T12:00:00Z
NOBODY = "203.0.113.77"


def frames_of(packets, start=START, gap=1.0):
    """Frames that follow each other by this many seconds."""
    step = round(gap * 10**6)
    return [Frame(start + i * step // 10**6, i * step % 10**6, data)
            for i, data in enumerate(packets)]


def world(seconds, rate, seed=1, start=START):
    """A capture of three tunnels and of packets in none, at rates that change."""
    draw = random.Random(seed)
    frames = []
    for _ in range(int(seconds * rate)):
        time = draw.random() ** 1.5 * seconds
        source, destination = draw.choice([(CLIENT, SERVER), (SERVER, CLIENT), (NOBODY, SERVER)])
        inner = query(draw.randrange(1200), source, destination)
        if draw.random() < 0.5:
            flags = draw.choice([pk.ACK, pk.SYN, pk.SYN | pk.ACK, pk.ACK | 8])
            segment = pk.tcp(source, destination, flags, payload=bytes(draw.randrange(900)))
            inner = pk.ip(source, destination, pk.TCP, segment)
        key = draw.choice([None, 7, 7, 4000000000, "plain"])
        ends = draw.choice([(NEAR, FAR), (FAR, NEAR)])
        outer = inner if key == "plain" else pk.ipv4(*ends, pk.GRE, pk.gre(inner, key=key))
        frames.append(Frame(start + int(time), int(time % 1 * 1e6), outer))
    frames.sort(key=lambda frame: (frame.seconds, frame.fraction))
    return frames


class ReportTest(ToolTest):
    """A test of reports."""

    def report(self, *frames, link_type=RAW, options=(), says=0):
        """The report on files of these frames."""
        files = []
        for i, content in enumerate(frames):
            files.append(self.dir / f"in{i}.pcap")
            files[-1].write_bytes(pcap_bytes(Capture(link_type, content)))
        done = self.execute("--json", "report", *options, *files)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        self.assertEqual(len(done.stderr.splitlines()), says, done.stderr.decode())
        return json.loads(done.stdout)

    def one_way(self, report, way=1):
        """The direction that has packets, of the only tunnel."""
        self.assertEqual(len(report["tunnels"]), 1)
        self.assertEqual(report["tunnels"][0]["directions"][1 - way]["packets"], 0)
        return report["tunnels"][0]["directions"][way]

    def assert_series(self, direction, counted, clock):
        wanted = counted.series(clock)
        self.assertEqual({name: direction[name] for name in wanted}, wanted)

    def assert_talkers(self, scope, flows, top=10):
        for name, exact in flows.lists.items():
            talkers = scope["talkers"][name]
            self.assertEqual(talkers["total"], sum(exact.values()), name)
            self.assertEqual(len(talkers["items"]), min(top, len(exact)), name)
            floor = min(item["weight"] for item in talkers["items"])
            for item in talkers["items"]:
                least = item["weight"] - item["error"]
                self.assertTrue(least <= exact[item["key"]] <= item["weight"], (name, item))
            listed = {item["key"] for item in talkers["items"]}
            if len(exact) <= 512:
                self.assertFalse(any(item["error"] for item in talkers["items"]), name)
                self.assertLessEqual(max([w for k, w in exact.items() if k not in listed] + [0]),
                                     floor)


class Numbers(ReportTest):
    """Rates, sums and talkers of captures whose contents are known."""

    def check(self, frames, report, top=10):
        oracle = Oracle(frames)
        clock = oracle.clock
        self.assertEqual(
            [report[name] for name in ("bucket_seconds", "bin_start", "bin_seconds", "bins")],
            [clock.span, clock.start, clock.step, clock.bins])
        self.assertEqual(report["frames"], len(frames))
        self.assert_series(report["all"]["directions"][0], oracle.all, clock)
        self.assert_series(report["plain"]["directions"][0], oracle.plain, clock)
        self.assert_talkers(report["all"], oracle.flows["all"], top)
        self.assert_talkers(report["plain"], oracle.flows["plain"], top)
        self.assertEqual(len(report["tunnels"]), len(oracle.tunnels))
        for tunnel in report["tunnels"]:
            ends = [tunnel["directions"][0][name] for name in ("from", "to")]
            ends = tuple(ipaddress.ip_address(end).packed for end in ends) + (tunnel["key"],)
            for way in range(2):
                self.assert_series(tunnel["directions"][way], oracle.tunnels[ends][way], clock)
            self.assert_talkers(tunnel, oracle.flows[ends], top)
        weights = [sum(way["bytes"] for way in t["directions"]) for t in report["tunnels"]]
        self.assertEqual(weights, sorted(weights, reverse=True))

    def test_captures_of_every_length_equal_their_recomputation(self):
        for seconds, span in ((0.5, 1), (30, 1), (1199, 1), (1300, 60), (70000, 60), (80000, 300),
                              (400000, 3600)):
            with self.subTest(seconds=seconds):
                frames = world(seconds, max(0.005, min(600 / seconds, 40)), seed=int(seconds),
                               start=START + 17)
                report = self.report(frames)
                self.assertEqual(report["bucket_seconds"], span)
                self.check(frames, report)

    def test_known_rates_are_told(self):
        inner = query(972 - 28)  # 972 bytes, and 24 of GRE: 996
        packets = [arriving(inner)] * 1000
        way = self.one_way(self.report(frames_of(packets, gap=0.01)))
        self.assertEqual(way["packets"], 1000)
        self.assertEqual(way["bytes"], 996000)
        self.assertEqual(way["inner_bytes"], 972000)
        self.assertEqual(way["average_bit_rate"], 796800)
        self.assertEqual(way["peak_bit_rate"], 796800)
        self.assertEqual(way["percentile_95_bit_rate"], 796800)
        self.assertEqual(way["bin_bit_rate"], [796800] * 10)
        self.assertEqual(way["status"], {"OK": 1000})

    def test_more_talkers_than_are_watched_have_bounds(self):
        draw = random.Random(5)
        hosts = [str(ipaddress.ip_address(0x0A000000 + i)) for i in range(3000)]
        chosen = [hosts[0]] * 400 + [draw.choice(hosts) for _ in range(4000)]
        draw.shuffle(chosen)
        frames = frames_of([arriving(query(30, source=host)) for host in chosen], gap=0.01)
        report = self.report(frames, options=["--top", "100"])
        self.check(frames, report, top=100)
        items = report["all"]["talkers"]["sources"]["items"]
        self.assertEqual(items[0]["key"], hosts[0])
        self.assertTrue(any(item["error"] for item in items))
        text = self.execute("report", self.dir / "in0.pcap").stdout.decode()
        self.assertIn("Sources, by bytes (between two bounds)", text)

    def test_several_files_are_one_timeline(self):
        frames = world(100, 20)
        whole = self.report(frames)
        files = {
            "one after the other": [frames[:700], frames[700:]],
            "the later one first": [frames[1000:], frames[:500], frames[500:1000]],
            "interleaved": [frames[::2], frames[1::2]],
            "one within the other": [frames[:10] + frames[-10:], frames[10:-10]],
            "with an empty one": [[], frames],
        }
        for name, parts in files.items():
            with self.subTest(name):
                report = self.report(*parts)
                self.assertEqual(report["late_frames"], 0)
                self.assertEqual(sum(file["frames"] for file in report["files"]), len(frames))
                for tunnel in report["tunnels"] + [report["all"], report["plain"]]:
                    self.assertIn(tunnel, whole["tunnels"] + [whole["all"], whole["plain"]])

    def test_standard_input_is_one_of_the_files(self):
        frames = world(50, 10)
        whole = self.report(frames)
        self.input.write_bytes(pcap_bytes(Capture(RAW, frames[:200])))
        done = self.execute("--json", "report", "-", self.input,
                            input=pcap_bytes(Capture(RAW, frames[200:])))
        self.assertEqual(json.loads(done.stdout)["tunnels"], whole["tunnels"])

    def test_a_clock_that_goes_back_stands_still(self):
        packets = [arriving(query())] * 4
        frames = [Frame(START + time, 0, data) for time, data in zip((5, 9, 6, 7), packets)]
        report = self.report(frames)
        self.assertEqual(report["late_frames"], 2)
        self.assertEqual(self.one_way(report)["bin_packets"], [1, 0, 0, 0, 3])
        self.assertEqual(report["first"], "2025-11-28T12:00:05Z")

    def test_packets_years_apart_are_both_told(self):
        frames = [Frame(0, 0, arriving(query())), Frame(2**31 - 1, 0, arriving(query()))]
        report = self.report(frames)
        way = self.one_way(report)
        self.assertEqual((way["packets"], sum(way["bin_packets"])), (2, 1))
        self.assertLessEqual(report["bins"], 240)
        self.assertIn(b"charts begin 2036-11-28T", self.execute("report", self.dir / "in0.pcap")
                      .stdout)

    def test_no_frames_are_no_mistake(self):
        report = self.report([])
        self.assertEqual((report["frames"], report["tunnels"]), (0, []))
        self.assertIn(b"0 frames", self.execute("report", self.dir / "in0.pcap").stdout)


class Facts(ReportTest):
    """What became of packets, and what else is told of tunnels."""

    def test_reasons_are_statuses(self):
        good = arriving(query(), with_checksum=True)
        bad = good[:-1] + bytes([good[-1] ^ 1])
        version = pk.ipv4(FAR, NEAR, pk.GRE, b"\0\1\x08\0" + query())
        report = self.report(frames_of([good, good, bad, version]))
        way = self.one_way(report)
        self.assertEqual(way["status"], {"OK": 2, "E_CHECKSUM": 1})
        self.assertEqual(way["delivered"], 2)
        self.assertEqual(report["others"]["directions"][0]["status"],
                         {"OK": 0, "E_GRE_VERSION": 1})
        self.assertEqual(report["all"]["directions"][0]["status"],
                         {"OK": 2, "E_CHECKSUM": 1, "E_GRE_VERSION": 1})

    def test_clamps_are_by_what_the_tunnel_holds(self):
        cases = {
            "bare": ({}, 1476),
            "key": ({"key": 3}, 1472),
            "all": ({"key": 3, "sequence": 1, "with_checksum": True}, 1464),
        }
        for name, (fields, mtu) in cases.items():
            with self.subTest(name):
                sizes = (1460, mtu - 39, mtu - 40, 536)
                report = self.report(frames_of([arriving(syn(mss), **fields) for mss in sizes]))
                self.assertEqual(report["tunnels"][0]["inner_mtu"], mtu)
                self.assertEqual(self.one_way(report)["mss_clamped"], 2)

    def test_kinds_are_told_apart_and_both_directions_joined(self):
        inner = query()
        packets = [
            pk.ipv4(FAR, NEAR, pk.IPIP, inner), pk.ipv4(NEAR, FAR, pk.IPIP, inner),
            pk.ipv6(NEAR6, FAR6, pk.GRE, pk.gre(inner)),
            pk.ipv4(FAR, NEAR, pk.UDP, pk.udp(FAR, NEAR, pk.gre(inner), ports=(50000, 4754))),
            pk.ipv4(NEAR, FAR, pk.UDP, pk.udp(NEAR, FAR, pk.gre(inner), ports=(50001, 4754))),
        ]
        report = self.report(frames_of(packets))
        counts = {(t["kind"], t["udp"], t["directions"][0]["from"]):
                  [way["packets"] for way in t["directions"]] for t in report["tunnels"]}
        self.assertEqual(counts, {("ipip", False, NEAR): [1, 1], ("gre", False, NEAR6): [1, 0],
                                  ("gre", True, NEAR): [1, 1]})

    def test_esp_without_keys_has_rates_only(self):
        esp = [pk.ipv4(*ends, pk.ESP, struct.pack("!II", spi, i) + bytes(88))
               for i, (ends, spi) in enumerate([((NEAR, FAR), 0x1000), ((FAR, NEAR), 0x2000),
                                                ((FAR, NEAR), 0x2001)])]
        report = self.report(frames_of(esp))
        self.assertEqual(len(report["tunnels"]), 1)
        there, back = report["tunnels"][0]["directions"]
        self.assertEqual((there["spis"], back["spis"]), ([0x1000], [0x2000, 0x2001]))
        self.assertEqual(back["status"], {"OK": 0, "E_UNSUPPORTED": 2})
        self.assertEqual((back["bytes"], back["inner_bytes"]), (232, 0))

    def test_fragments_count_as_the_packet_that_they_make(self):
        whole = arriving(query(1000))
        first = pk.ipv4(FAR, NEAR, pk.GRE, whole[20:420], fragment=0x2000, ident=9)
        last = pk.ipv4(FAR, NEAR, pk.GRE, whole[420:], fragment=50, ident=9)
        lost = pk.ipv4(FAR, NEAR, pk.GRE, whole[20:420], fragment=0x2000, ident=10)
        report = self.report(frames_of([first, last, lost]))
        way = self.one_way(report)
        self.assertEqual(report["fragments"], {"frames": 3, "packets": 1, "refused": 0})
        self.assertEqual((way["packets"], way["bytes"], way["reassembled"]), (1, len(whole), 1))

    def test_inner_fragments_are_counted(self):
        parts = [query(fragment=0x2000, ident=1), query(fragment=6, ident=1), query()]
        way = self.one_way(self.report(frames_of([arriving(part) for part in parts])))
        self.assertEqual(way["inner_fragments"], 2)

    def test_icmp_tells_the_path_mtu_of_the_direction_that_it_is_about(self):
        sent = pk.ipv4(NEAR, FAR, pk.GRE, pk.gre(query(), key=7))
        errors = []
        for mtu in (1400, 1300, 1350):
            icmp = struct.pack("!BBHHH", 3, 4, 0, 0, mtu) + sent[:56]
            icmp = icmp[:2] + struct.pack("!H", pk.checksum(icmp)) + icmp[4:]
            errors.append(pk.ipv4("203.0.113.1", NEAR, 1, icmp))
        report = self.report(frames_of([sent, *errors, arriving(query(), key=7)]))
        there, back = report["tunnels"][0]["directions"]
        self.assertEqual((there["too_big"], there["path_mtu"]), (3, 1300))
        self.assertEqual((back["too_big"], back["path_mtu"]), (0, None))

    def test_packets_that_were_cut_off_still_show_their_flows(self):
        frames = [Frame(START + i, 0, arriving(query(1000))[:96], wire_length=1052)
                  for i in range(3)]
        report = self.report(frames)
        way = self.one_way(report)
        self.assertEqual(way["status"], {"OK": 0, "E_TRUNCATED": 3})
        self.assertEqual(way["bytes"], 3 * 1052)
        items = report["tunnels"][0]["talkers"]["sources"]["items"]
        self.assertEqual(items, [{"key": CLIENT, "weight": 3 * 1028, "error": 0}])

    def test_ethernet_in_gre_shows_its_flows(self):
        inner = pk.ethernet(query(), 0x8100)
        gre = pk.gre(inner, protocol=pk.ETHERTYPE_ETHERNET)
        report = self.report(frames_of([pk.ipv4(FAR, NEAR, pk.GRE, gre)]))
        items = report["all"]["talkers"]["destinations"]["items"]
        self.assertEqual([item["key"] for item in items], [SERVER])

    def test_a_configuration_names_tunnels(self):
        config = self.dir / "edge.json"
        ends = {"cloudflare_gre_endpoint": NEAR, "customer_gre_endpoint": FAR}
        config.write_text(json.dumps({"side": "customer", "gre_tunnels": [
            ends | {"name": "bare"}, ends | {"name": "keyed", "key": 7}]}))
        packets = [arriving(query()), arriving(query(), key=7), arriving(query(), key=8)] * 2
        report = self.report(frames_of(packets), options=["--config", config])
        names = {tunnel["key"]: tunnel["name"].split(": ")[0] for tunnel in report["tunnels"]}
        self.assertEqual(names, {None: "bare", 7: "keyed", 8: f"gre {NEAR} - {FAR} key 8"})
        config.write_text("{}")
        done = self.execute("report", "--config", config, self.dir / "in0.pcap")
        self.assertEqual((done.returncode, done.stdout), (EXIT_FILE, b""))
        self.assertIn(b"edge.json: side: is missing", done.stderr)

    def test_lighter_tunnels_are_told_together(self):
        packets = [arriving(query(10 * key), key=key) for key in range(20)]
        report = self.report(frames_of(packets), options=["--tunnels", "3"])
        self.assertEqual([tunnel["key"] for tunnel in report["tunnels"]], [19, 18, 17])
        others = report["others"]
        self.assertEqual((others["tunnels"], others["directions"][0]["packets"]), (17, 17))
        self.assertEqual(others["directions"][0]["bytes"], sum(map(len, packets[:17])))
        self.assertEqual(others["directions"][0]["status"], {"OK": 17})


class Captures(ReportTest):
    """Captures that others have made, with keys."""

    def test_esp_is_decrypted(self):
        names = ("linux-tun44-gcm128-esn-wrap", "linux-tun46-gcm256", "linux-tun44-udp4500-gcm256",
                 "linux-tun44-gcm128-icv8-frag")
        if not VECTORS.exists():
            self.skipTest(f"{VECTORS} is not there")
        if not has_cryptography(self.tool):
            self.skipTest("the library was built without OpenSSL")
        for name in names:
            with self.subTest(name):
                keys = VECTORS / "captures" / "keys" / f"{name}.sa.json"
                capture = VECTORS / "captures" / f"{name}.pcap"
                expected = read_pcap(VECTORS / "expected" / f"{name}.pcap.esp.inner.pcap").frames
                done = self.execute("--json", "report", "--keys", keys, capture)
                ways = [way for tunnel in json.loads(done.stdout)["tunnels"]
                        for way in tunnel["directions"] if tunnel["kind"] == "esp"]
                self.assertEqual(sum(way["delivered"] for way in ways), len(expected))
                self.assertEqual(sum(way["inner_bytes"] for way in ways),
                                 sum(Packet(frame.data).length for frame in expected))

    def test_gre_captures_deliver_what_decap_does(self):
        paths = sorted((VECTORS / "captures").glob("*gre*.pcap"))
        if not paths:
            self.skipTest(f"{VECTORS} is not there")
        for path in paths:
            with self.subTest(path.name):
                done = self.execute("--json", "decap", path, self.output)
                if done.returncode:
                    continue
                wanted = json.loads(done.stdout)["status"]
                wanted.pop("KEPT", None)
                wanted.pop("E_FRAGMENT", None)
                report = json.loads(self.execute("--json", "report", path).stdout)
                self.assertEqual(report["all"]["directions"][0]["status"], wanted)


class Hostile(ReportTest):
    """What no honest capture holds."""

    def test_a_truncated_file_is_an_error_and_nothing_is_written(self):
        content = pcap_bytes(Capture(RAW, frames_of([arriving(query())] * 3)))
        good = self.dir / "good.pcap"
        good.write_bytes(content)
        for cut in (1, 60, len(content) - 20):
            self.input.write_bytes(content[:-cut])
            self.assert_fails("report", "--html", self.dir / "x.html",
                              f"--json={self.dir / 'x.json'}", good, self.input, status=EXIT_FILE,
                              says=f"{self.input}: ")

    def test_missing_files_and_other_link_types_are_told(self):
        self.input.write_bytes(pcap_bytes(Capture(RAW)))
        self.assert_fails("report", self.input, self.dir / "none", status=EXIT_FILE,
                          says="none: No such file")
        self.input.write_bytes(pcap_bytes(Capture(105)))
        self.assert_fails("report", self.input, status=EXIT_FILE, says="link type 105")
        self.input.write_bytes(b"garbage in the place of a capture")
        self.assert_fails("report", self.input, status=EXIT_FILE, says=f"{self.input}: ")

    def test_garbage_is_counted(self):
        draw = random.Random(9)
        packets = []
        for _ in range(2000):
            packet = bytearray(arriving(query(200), key=draw.randrange(4)))
            for _ in range(draw.randrange(6)):
                packet[draw.randrange(len(packet))] = draw.randrange(256)
            packets.append(bytes(packet[: draw.randrange(len(packet) + 1)]))
        packets += [draw.randbytes(draw.randrange(120)) for _ in range(1000)]
        for link_type in (RAW, ETHERNET):
            report = self.report(frames_of(packets, gap=0.1), link_type=link_type)
            scopes = report["tunnels"] + [report["others"]]
            offered = 0
            for way in (way for scope in scopes for way in scope["directions"]):
                self.assertEqual(sum(way["status"].values()), way["packets"])
                offered += way["packets"]
            self.assertEqual(report["all"]["directions"][0]["packets"], offered)
            self.assertLessEqual(offered + report["plain"]["directions"][0]["packets"],
                                 report["packets"])

    def test_a_hundred_thousand_tunnels_stay_bounded(self):
        path = self.dir / "many.pcap"
        with open(path, "wb") as out:
            out.write(pcap_bytes(Capture(RAW)))
            template = arriving(query(), key=0)
            for key in range(140000):
                frame = template[:24] + struct.pack("!I", key) + template[28:]
                out.write(struct.pack("<4I", START + key // 1000, 0, len(frame), len(frame)))
                out.write(frame)
        tool = subprocess.Popen([self.tool, "report", "--html", self.dir / "many.html",
                                 f"--json={self.dir / 'many.json'}", path],
                                stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(tool.pid, 0)
        tool.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(tool.returncode, 0)
        self.assertLess(usage.ru_maxrss, 600 << 10)  # KiB
        self.assertLess((self.dir / "many.html").stat().st_size, 3 << 20)
        report = json.loads((self.dir / "many.json").read_text())
        self.assertEqual(report["all"]["directions"][0]["packets"], 140000)
        self.assertEqual(report["all"]["directions"][0]["status"],
                         {"OK": 1 << 17, "E_NO_TUNNEL": 140000 - (1 << 17)})
        self.assertEqual(len(report["tunnels"]), 16)
