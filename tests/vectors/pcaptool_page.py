# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""tunnelcap-pcap report: its page and its text. tests/programs has the page in a browser."""

import contextlib
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
import xml.etree.ElementTree as ElementTree

from pcapfile import RAW, Capture, Frame, pcap_bytes
from pcaptool import ToolTest, arriving, query
from pcaptool_report import START, frames_of, world
from report_page import Page, check_plots

HOSTILE = "<img src=x onerror=alert(1)>&\"'\x1b[31m\udcff\u202e\u0085\n.pcap"


class Pages(ToolTest):
    """The page, as a file."""

    def make(self, frames, *options, name="in.pcap"):
        """The page of a capture, its text and its JSON."""
        capture = self.dir / name
        capture.write_bytes(pcap_bytes(Capture(RAW, frames)))
        page, numbers = self.dir / "page.html", self.dir / "numbers.json"
        done = self.execute("report", "--html", page, f"--json={numbers}", *options, capture,
                            env=os.environ | {"LC_ALL": "C.UTF-8", "COLUMNS": "100"})
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        self.assertEqual(sorted(path.name for path in self.dir.iterdir() if path != capture),
                         ["numbers.json", "page.html"])
        return (page.read_text(encoding="utf-8"), done.stdout.decode(),
                json.loads(numbers.read_text(encoding="utf-8")))

    def test_plots_show_the_numbers_of_the_json(self):
        for seconds, gap in ((60, 5), (1000, 3), (5000, 0.2), (90000, 0.01)):
            with self.subTest(seconds=seconds):
                html, _, report = self.make(world(seconds, gap, start=START + 11))
                check_plots(self, Page(html), report)

    def test_the_page_is_well_formed_and_refers_to_nothing_outside(self):
        for frames in (world(60, 10), frames_of([arriving(query())]), []):
            html, _, report = self.make(frames)
            ElementTree.fromstring(html)
            page = Page(html)
            self.assertTrue(all(ref.startswith("#s") for ref in page.references), page.references)
            self.assertEqual(len(set(page.references)), len(report["tunnels"]))
            for reference in page.references:
                self.assertEqual(html.count(f'id="{reference[1:]}"'), 1)
            self.assertEqual(page.tags & {"script", "link", "img", "iframe", "object", "embed"},
                             set())
            for word in ("://", "url(", "@import", "javascript:", " on"):
                self.assertNotRegex(html.lower(), re.escape(word) + ("[a-z]+=" if word == " on"
                                                                     else ""))

    def test_hostile_names_are_only_text(self):
        html, text, report = self.make(frames_of([arriving(query())]), name=HOSTILE)
        root = ElementTree.fromstring(html)
        shown = "".join(root.find(".//p[@class='files']").itertext())
        self.assertRegex(shown, "<img src=x onerror=alert\\(1\\)>&\"'\ufffd\\[31m\ufffd+\\.pcap$")
        self.assertNotIn("<img", html)
        for place in (html, text, report["files"][0]["name"]):
            self.assertNotRegex(place, "[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]")

    def test_the_page_of_a_large_capture_is_bounded(self):
        small = len(self.make(world(300, 10))[0])
        large = len(self.make(world(300, 80))[0])
        self.assertLess(large, small * 1.3)

    def test_what_is_plotted_can_be_read_as_a_table(self):
        html, _, report = self.make(world(30, 10))
        tables = ElementTree.fromstring(html).findall(".//details")
        self.assertEqual(len(tables), 1 + len(report["tunnels"]) + 1)
        cells = [[cell.text for cell in row] for row in tables[0].findall(".//tbody/tr")]
        rates = report["all"]["directions"][0]["bin_bit_rate"]
        self.assertEqual([int(row[1]) for row in cells], [rate for rate in rates if rate])


class Texts(ToolTest):
    """The report on a terminal, or not on one."""

    def run_with(self, *options, **environment):
        self.input.write_bytes(pcap_bytes(Capture(RAW, world(60, 20))))
        done = self.execute("report", *options, self.input,
                            env={"PATH": os.environ["PATH"]} | environment)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout.decode()

    def test_charts_are_blocks_where_the_locale_is_utf8_and_ascii_elsewhere(self):
        blocks = self.run_with(LC_ALL="C.UTF-8")
        self.assertIn("█", blocks)
        for text in (self.run_with(LC_ALL="C"), self.run_with("--ascii", LC_ALL="C.UTF-8")):
            self.assertTrue(text.isascii())
            self.assertIn("####", text)

    def test_charts_are_as_wide_as_they_may_be(self):
        for columns in (60, 80, 132, 200):
            text = self.run_with(LC_ALL="C.UTF-8", COLUMNS=str(columns))
            axes = [line for line in text.splitlines() if "┼" in line]
            self.assertEqual({len(line) for line in axes}, {columns})

    def test_there_is_no_colour_where_there_is_no_terminal(self):
        self.assertNotIn("\x1b", self.run_with(LC_ALL="C.UTF-8", TERM="xterm-256color"))

    def test_there_is_colour_on_a_terminal_that_may_have_it(self):
        self.input.write_bytes(pcap_bytes(Capture(RAW, frames_of([arriving(query())]))))
        for variables, coloured in (({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False),
                                    ({"TERM": "xterm", "NO_COLOR": "1"}, False)):
            ours, terminal = pty.openpty()
            fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 50, 97, 0, 0))
            done = self.execute("report", "--top", "1", self.input, capture_output=False,
                                stdout=terminal, env={"LC_ALL": "C.UTF-8"} | variables)
            os.close(terminal)
            said = b""
            with contextlib.suppress(OSError):  # the terminal is gone
                while chunk := os.read(ours, 65536):
                    said += chunk
            os.close(ours)
            self.assertEqual(done.returncode, 0)
            self.assertEqual(b"\x1b[" in said, coloured)
            plain = re.sub("\x1b\\[[0-9]*m", "", said.decode())
            axes = [line for line in plain.splitlines() if "┼" in line]
            self.assertEqual({len(line) for line in axes}, {97})

    def test_a_failed_write_is_told(self):
        self.input.write_bytes(pcap_bytes(Capture(RAW, [Frame(START, 0, arriving(query()))])))
        for options in (["report"], ["--json", "report"]):
            with open("/dev/full", "wb") as full:
                done = self.execute(*options, self.input, capture_output=False, stdout=full,
                                    stderr=subprocess.PIPE)
            self.assertEqual(done.returncode, 1)
            self.assertIn(b"standard output: No space left", done.stderr)
        self.assert_fails("report", "--html", "/nonexistent/page.html", self.input, status=1,
                          says="/nonexistent/page.html: No such file")
        self.assert_fails("report", "--html", "/dev/full", self.input, status=1,
                          says="/dev/full: No space left")
