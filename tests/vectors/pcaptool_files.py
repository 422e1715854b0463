# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""tunnelcap-pcap: command line, files, link types and times."""

import errno
import itertools
import os
import pty
import resource
import signal
import struct
import subprocess

import packets as pk
from pcapfile import ETHERNET, RAW, Capture, Frame, parse_pcap, pcap_bytes, pcapng_bytes, read_pcap
from pcaptool import (EXIT_FILE, EXIT_USAGE, FAR, FAR6, GRE_WORDS, NEAR, NEAR6, ToolTest, arriving,
                      capture_of, data_of, query, syn)

SLL, SLL2, NULL, LOOP = 113, 276, 0, 108


class CommandLine(ToolTest):
    def test_mistakes_are_told(self):
        files = [self.input, self.output]
        self.input.write_bytes(pcap_bytes(capture_of([query()])))
        cases = [
            ([], "decap, encap, clamp, info or report is missing"),
            (["unwrap", *files], "unwrap: not decap, encap, clamp, info or report"),
            (["decap", self.input], "decap: 2 files wanted, 1 given"),
            (["info", *files], "info: 1 file wanted, 2 given"),
            (["--quick", "info", self.input], "unrecognized option"),
            (["decap", "--only", "vxlan", *files], "--only vxlan: not gre, ipip or esp"),
            (["decap", "--mss", "1360", *files], "--mss: not an option of decap"),
            (["info", "--force", self.input], "--force: not an option of info"),
            (["--json=counts", "info", self.input], "--json=counts: info prints to standard output"),
            (["report"], "report: a file is missing"),
            (["report", "-", self.input, "-"], 'report: "-" stands for standard input once'),
            (["report", "--html", "-", self.input], "report: --html needs a file"),
            (["report", "--json=-", self.input], "--json without a file prints to standard output"),
            (["report", "--tunnels", "257", self.input], "--tunnels 257: not a number from 0 to 256"),
            (["report", "--top", "ten", self.input], "--top ten: not a number from 0 to 100"),
            (["report", "--mss", "1360", self.input], "--mss: not an option of report"),
            (["decap", "--html", "x", *files], "--html: not an option of decap"),
            (["clamp", *files], "clamp: --mss is missing"),
            (["clamp", "--mss", "0", *files], "--mss 0: not a number from 1 to 65535"),
            (["clamp", "--mss", "65536", *files], "--mss 65536: not a number"),
            (["clamp", "--mss", "1360x", *files], "--mss 1360x: not a number"),
            (["clamp", "--mss", "-5", *files], "--mss -5: not a number"),
            (["clamp", "--mss", "1360", "--mss6", "", *files], "--mss6 : not a number"),
            (["encap", *files], "encap: --tunnel is missing"),
            (["--json", "decap", self.input, "-"], "both go to standard output"),
        ]
        for arguments, says in cases:
            with self.subTest(says):
                self.assert_fails(*arguments, status=EXIT_USAGE, says=says)

    def test_clamp_below_the_floors_wants_force(self):
        self.input.write_bytes(pcap_bytes(capture_of([syn(1460)])))
        files = [self.input, self.output]
        cases = [
            (["--mss", "535", "--mss6", "1220"], "--mss 535: below 536, the least MSS over IPv4"),
            (["--mss", "1219"], "--mss 1219: below 1220, the least MSS over IPv6"),
            (["--mss", "536", "--mss6", "1219"], "--mss6 1219: below 1220"),
        ]
        for options, says in cases:
            with self.subTest(says):
                self.assert_fails("clamp", *options, *files, status=EXIT_USAGE, says=says)

    def test_tunnel_descriptions_are_checked(self):
        self.input.write_bytes(pcap_bytes(capture_of([query()])))
        cases = [
            ("vxlan,local=1.1.1.1", EXIT_FILE, '"vxlan": not gre, ipip or esp'),
            ("gre", EXIT_FILE, "local= is missing"),
            (f"gre,local={NEAR}", EXIT_FILE, "remote= is missing"),
            (f"gre,local={NEAR},remote=there", EXIT_FILE, "remote=there: not an IP address"),
            (f"gre,local={NEAR},remote={FAR6}", EXIT_FILE, "families differ"),
            (f"gre,local={NEAR},remote={NEAR}", EXIT_FILE, "unusable"),
            (f"{GRE_WORDS},key=4294967296", EXIT_FILE, "key=4294967296: not a number"),
            (f"{GRE_WORDS},key", EXIT_FILE, "key: a value is missing"),
            (f"{GRE_WORDS},csum=1", EXIT_FILE, "csum: takes no value"),
            (f"{GRE_WORDS},ttl=256", EXIT_FILE, "ttl=256: not a number"),
            (f"{GRE_WORDS},mtu=67", EXIT_FILE, "mtu=67: not a number"),
            (f"{GRE_WORDS},fast", EXIT_FILE, "fast: unknown"),
            (f"{GRE_WORDS},", EXIT_FILE, "unknown"),
            (f"ipip,local={NEAR},remote={FAR},key=1", EXIT_FILE, "key: not for ipip"),
        ]
        for words, status, says in cases:
            with self.subTest(words):
                self.assert_fails("encap", "--tunnel", words, self.input, self.output,
                                  status=status, says=says)

    def test_help_and_version_go_to_standard_output(self):
        for option, says in (("--help", b"Usage: tunnelcap-pcap"), ("--version", b"tunnelcap")):
            done = self.execute(option)
            self.assertEqual((done.returncode, done.stderr), (0, b""))
            self.assertIn(says, done.stdout)


class Files(ToolTest):
    def test_unreadable_inputs_leave_no_output(self):
        whole = pcap_bytes(capture_of([query(), query(700), query()]))
        radio = pcap_bytes(capture_of([query()], link_type=127))
        cases = [
            (b"", "in.pcap: "),
            (b"not a capture file at all", "in.pcap: "),
            (whole[:20], "in.pcap: "),
            (whole[:-1], "in.pcap: frame 3: truncated"),
            (whole[: 24 + 8], "in.pcap: frame 1: truncated"),
            (radio, "in.pcap: link type 127 (IEEE802_11_RADIO) is not"),
        ]
        verbs = (["decap"], ["encap", "--tunnel", GRE_WORDS], ["clamp", "--mss", "1360"])
        for (content, says), verb in itertools.product(cases, verbs):
            with self.subTest(says=says, verb=verb[0]):
                self.input.write_bytes(content)
                self.assert_fails(*verb, self.input, self.output, status=EXIT_FILE, says=says)

    def test_missing_files_and_directories_are_told(self):
        self.assert_fails("info", self.dir / "none", status=EXIT_FILE, says="none: No such file")
        self.assert_fails("info", self.dir, status=EXIT_FILE, says="is a directory")
        self.input.write_bytes(pcap_bytes(capture_of([arriving(query())])))
        nowhere = self.dir / "none" / "out.pcap"
        self.assert_fails("decap", self.input, nowhere, status=EXIT_FILE, says="No such file")

    def test_a_failure_leaves_an_existing_output_alone(self):
        self.output.write_bytes(b"precious")
        self.input.write_bytes(pcap_bytes(capture_of([syn(1460)]))[:-1])
        self.assert_fails("clamp", "--mss", "1360", self.input, self.output,
                          status=EXIT_FILE, says="frame 1")
        self.assertEqual(self.output.read_bytes(), b"precious")

    def test_a_full_disk_is_told(self):
        self.input.write_bytes(pcap_bytes(capture_of([query()] * 1000)))
        with open("/dev/full", "wb") as full:
            self.assert_fails("clamp", "--mss", "1360", self.input, "-", status=EXIT_FILE,
                              says="standard output: " + os.strerror(errno.ENOSPC),
                              capture_output=False, stdout=full, stderr=subprocess.PIPE)

    def execute_limited(self, on_limit):
        """Clamp with a file size limit below that of the output."""
        self.input.write_bytes(pcap_bytes(capture_of([query(1000)] * 100)))

        def limit_files():
            signal.signal(signal.SIGXFSZ, on_limit)
            resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

        return self.execute("clamp", "--mss", "1360", self.input, self.output,
                            preexec_fn=limit_files)

    def test_a_deadly_signal_removes_the_unfinished_output(self):
        done = self.execute_limited(signal.SIG_DFL)
        self.assertEqual(done.returncode, -signal.SIGXFSZ)
        self.assertEqual(os.listdir(self.dir), ["in.pcap"])

    def test_a_write_error_removes_the_unfinished_output(self):
        done = self.execute_limited(signal.SIG_IGN)
        self.assertEqual(done.returncode, EXIT_FILE)
        self.assertIn("out.pcap: " + os.strerror(errno.EFBIG), done.stderr.decode())
        self.assertEqual(os.listdir(self.dir), ["in.pcap"])

    def test_pipes_are_read_twice_and_written_in_place(self):
        for verb, before in ((["decap"], arriving(query())), (["clamp", "--mss", "1360"], query())):
            source, feed = os.pipe()
            drain, target = os.pipe()
            os.write(feed, pcap_bytes(capture_of([before])))
            os.close(feed)
            done = self.execute(*verb, f"/dev/fd/{source}", f"/dev/fd/{target}",
                                pass_fds=[source, target])
            os.close(target)
            written = os.read(drain, 65536)
            os.close(drain)
            os.close(source)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(data_of(parse_pcap(written)), [query()])

    def test_input_and_output_may_be_the_same_file(self):
        self.input.write_bytes(pcap_bytes(capture_of([arriving(query())])))
        done = self.execute("decap", self.input, self.input)
        self.assertEqual(done.returncode, 0)
        self.assertEqual(data_of(read_pcap(self.input)), [query()])

    def test_dash_is_standard_input_and_output(self):
        content = pcap_bytes(capture_of([arriving(query(), key=7)] * 200))
        for verb in (["decap"], ["decap", "--only", "gre"]):
            done = self.execute(*verb, "-", "-", input=content)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(data_of(parse_pcap(done.stdout)), [query()] * 200)
            self.assertIn(b"200 packets, 200 written", done.stderr)

    def test_dash_tells_of_a_truncated_input(self):
        content = pcap_bytes(capture_of([arriving(query())]))[:-1]
        self.assert_fails("decap", "-", self.output, input=content, status=EXIT_FILE,
                          says="standard input: frame 1: truncated")

    def test_the_output_has_ordinary_permissions(self):
        self.run_on(capture_of([query()]), "clamp", "--mss", "1360")
        mask = os.umask(0)
        os.umask(mask)
        self.assertEqual(self.output.stat().st_mode & 0o777, 0o666 & ~mask)

    def test_progress_is_shown_on_a_terminal_for_large_files_only(self):
        large = capture_of([query(1400)] * 12000)
        for capture, shown in ((large, True), (capture_of([query()]), False)):
            self.input.write_bytes(pcap_bytes(capture))
            ours, terminal = pty.openpty()
            done = self.execute("info", self.input, capture_output=False, stderr=terminal,
                                stdout=subprocess.DEVNULL)
            self.assertEqual(done.returncode, 0)
            os.write(terminal, b"END")
            said = os.read(ours, 100000)
            os.close(terminal)
            os.close(ours)
            self.assertEqual(b"[#" in said or b"[ " in said, shown, said)
        self.input.write_bytes(pcap_bytes(large))
        self.assertEqual(self.execute("info", self.input).stderr, b"")


class Formats(ToolTest):
    """Where the IP packet of a frame begins, and what times it has."""

    def test_link_types_are_understood(self):
        packet = arriving(query(), key=7)
        packet6 = pk.ipv6(FAR6, NEAR6, pk.GRE, pk.gre(query()))
        v4, v6 = b"\x08\x00", b"\x86\xdd"
        sll = bytes(6) + bytes(8)
        sll2 = bytes(18)
        cases = {
            "Ethernet": (ETHERNET, pk.ethernet(packet)),
            "Ethernet, IPv6": (ETHERNET, pk.ethernet(packet6)),
            "802.1Q": (ETHERNET, pk.ethernet(packet, 0x8100)),
            "802.1ad over 802.1Q": (ETHERNET, pk.ethernet(packet, 0x88A8, 0x8100)),
            "three tags": (ETHERNET, pk.ethernet(packet6, 0x88A8, 0x8100, 0x8100)),
            "raw IP": (RAW, packet),
            "raw IP, IPv6": (RAW, packet6),
            "raw IP as 12": (12, packet),
            "raw IP as 14": (14, packet),
            "raw IPv4": (228, packet),
            "raw IPv6": (229, packet6),
            "Linux cooked": (SLL, sll + v4 + packet),
            "Linux cooked, IPv6": (SLL, sll + v6 + packet6),
            "Linux cooked, 802.1Q": (SLL, sll + b"\x81\x00" + b"\x00\x64" + v4 + packet),
            "Linux cooked 2": (SLL2, v4 + sll2 + packet),
            "BSD loopback": (NULL, struct.pack("<I", 2) + packet),
            "BSD loopback, other byte order": (NULL, struct.pack(">I", 2) + packet),
            "BSD loopback, IPv6": (NULL, struct.pack("<I", 30) + packet6),
            "OpenBSD loopback": (LOOP, struct.pack(">I", 24) + packet6),
        }
        for name, (link_type, frame) in cases.items():
            with self.subTest(name):
                report, out = self.run_on(capture_of([frame], link_type), "decap")
                self.assertEqual(data_of(out), [query()])
                self.assertEqual(out.link_type, RAW)
                self.assertEqual(report["packets"], 1)

    def test_frames_without_ip_count_as_frames_only(self):
        packet = arriving(query())
        cases = {
            "ARP": (ETHERNET, pk.ethernet(packet, ethertype=0x0806)),
            "IPv6 announced, IPv4 there": (ETHERNET, pk.ethernet(packet, ethertype=0x86DD)),
            "Ethernet header only": (ETHERNET, pk.ethernet(packet)[:14]),
            "ends within a tag": (ETHERNET, pk.ethernet(packet, 0x8100)[:16]),
            "empty": (RAW, b""),
            "IP version 0": (RAW, bytes(60)),
            "unknown family": (NULL, struct.pack("<I", 7) + packet),
            "family in neither byte order": (NULL, bytes([2, 0, 0, 2]) + packet),
        }
        for name, (link_type, frame) in cases.items():
            with self.subTest(name):
                report, out = self.run_on(capture_of([frame], link_type), "decap")
                self.assertEqual((report["frames"], report["packets"]), (1, 0))
                self.assertEqual(out.frames, [])

    def test_clamp_keeps_the_link_type(self):
        packet = syn(1460)
        frames = {
            ETHERNET: pk.ethernet(packet, 0x88A8, 0x8100),
            RAW: packet,
            SLL: bytes(14) + b"\x08\x00" + packet,
            SLL2: b"\x08\x00" + bytes(18) + packet,
            NULL: struct.pack("<I", 2) + packet,
            LOOP: struct.pack(">I", 2) + packet,
        }
        for link_type, frame in frames.items():
            with self.subTest(link_type=link_type):
                _, out = self.run_on(capture_of([frame], link_type), "clamp", "--mss", "1360")
                self.assertEqual(out.link_type, link_type)
                self.assertEqual(data_of(out), [frame.replace(packet, syn(1360))])
        for link_type in (12, 14):
            _, out = self.run_on(capture_of([packet], link_type), "clamp", "--mss", "1360")
            self.assertEqual((out.link_type, data_of(out)), (RAW, [syn(1360)]))

    def test_times_keep_their_precision(self):
        frames = [Frame(1700000000, 123456, arriving(query())),
                  Frame(1700000001, 999999, arriving(query(40)))]
        micro = Capture(RAW, frames)
        nano = Capture(RAW, [Frame(f.seconds, f.fraction * 1000 + 789, f.data) for f in frames],
                       nano=True)
        for name, capture, content, is_nano in (
            ("microseconds", micro, pcap_bytes, False),
            ("big endian", micro, lambda c: pcap_bytes(c, ">"), False),
            ("nanoseconds", nano, pcap_bytes, True),
            ("nanoseconds, big endian", nano, lambda c: pcap_bytes(c, ">"), True),
            ("pcapng", nano, pcapng_bytes, True),
        ):
            with self.subTest(name):
                _, out = self.run_on(capture, "decap", content=content)
                self.assertEqual(out.nano, is_nano)
                self.assertEqual(data_of(out), [query(), query(40)])
                self.assertEqual([(f.seconds, f.fraction) for f in out.frames],
                                 [(f.seconds, f.fraction) for f in capture.frames])

    def test_clamp_keeps_what_was_cut_off(self):
        frame = syn(1460) + bytes(10)
        capture = Capture(RAW, [Frame(5, 6, frame[:44], wire_length=1500)])
        _, out = self.run_on(capture, "clamp", "--mss", "1360")
        self.assertEqual(out.frames, [Frame(5, 6, syn(1360)[:44], wire_length=1500)])
