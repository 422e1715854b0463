#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""Test the page of tunnelcap-pcap report in a real browser, Debian's chromium without a screen.

Usage: check_report_page.py TOOL [unittest arguments]
"""

import json
import shutil
import struct
import subprocess
import sys
import unittest
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "vectors"))
# pylint: disable=wrong-import-position
from pcapfile import RAW, Capture, pcap_bytes
from pcaptool import ToolTest
from pcaptool_report import world
from report_page import Page, check_plots

INSTALL = "apt-get install -y --no-install-recommends chromium fonts-dejavu-core"
LIGHT, DARK = (0xF6, 0xF7, 0xF9), (0x0F, 0x14, 0x1B)  # behind the page
WIDTH, HEIGHT = 900, 700


def unfilter(kind, line, above, step):
    """Undo a PNG filter of a line (PNG specification, section 9)."""
    for i in range(len(line)):
        left = line[i - step] if i >= step else 0
        up, corner = above[i], above[i - step] if i >= step else 0
        if kind == 1:
            guess = left
        elif kind == 2:
            guess = up
        elif kind == 3:
            guess = (left + up) // 2
        else:
            distances = [abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)]
            guess = (left, up, corner)[distances.index(min(distances))]
        line[i] = (line[i] + guess) & 255


def pixels_of(png):
    """The rows of a PNG of 8-bit RGB or RGBA, each a list of (r, g, b)."""
    at, data = 8, b""
    while at < len(png):
        length, kind = struct.unpack_from("!I4s", png, at)
        if kind == b"IHDR":
            width, height, depth, colour, _, _, interlaced = struct.unpack_from("!IIBBBBB", png,
                                                                                at + 8)
            assert depth == 8 and colour in (2, 6) and not interlaced
            step = 3 if colour == 2 else 4
        elif kind == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += length + 12
    data = zlib.decompress(data)
    rows, above = [], bytes(width * step)
    for y in range(height):
        begin = y * (width * step + 1)
        line = bytearray(data[begin + 1 : begin + 1 + width * step])
        if data[begin]:
            unfilter(data[begin], line, above, step)
        rows.append([tuple(line[x : x + 3]) for x in range(0, len(line), step)])
        above = line
    return rows


class Browser(ToolTest):
    """The page as a browser has it."""

    browser = shutil.which("chromium")

    def setUp(self):
        super().setUp()
        capture, self.page = self.dir / "in.pcap", self.dir / "page.html"
        capture.write_bytes(pcap_bytes(Capture(RAW, world(1000, 4))))
        done = self.execute("--json", "report", "--html", self.page, capture)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        self.report = json.loads(done.stdout)

    def browse(self, *options, page=None):
        """What the browser prints of the page, and what it says of it."""
        done = subprocess.run(
            [self.browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
             "--disable-background-networking", "--no-first-run", "--enable-logging=stderr",
             f"--user-data-dir={self.dir / 'profile'}", f"--window-size={WIDTH},{HEIGHT}",
             *options, (page or self.page).as_uri()],
            capture_output=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stderr.decode(errors="replace"))
        console = [line for line in done.stderr.decode(errors="replace").splitlines()
                   if "CONSOLE" in line]
        return done.stdout.decode(), console

    def test_the_document_holds_the_numbers_of_the_json(self):
        document, console = self.browse("--dump-dom")
        self.assertEqual(console, [])
        check_plots(self, Page(document), self.report)

    def test_the_browser_would_tell_of_a_page_that_asks_for_more(self):
        """That the console is heard, and that the page's own policy forbids what it must."""
        page = self.dir / "greedy.html"
        text = self.page.read_text()
        page.write_text(text.replace("</body>", '<img src="x.png"/><script>1</script></body>'))
        _, console = self.browse("--dump-dom", page=page)
        self.assertGreaterEqual(len([line for line in console if "Content Security Policy" in line]), 2,
                                console)

    def shot(self, *options):
        picture = self.dir / "page.png"
        _, console = self.browse(f"--screenshot={picture}", *options)
        self.assertEqual(console, [])
        rows = pixels_of(picture.read_bytes())
        self.assertEqual((len(rows[0]), len(rows)), (WIDTH, HEIGHT))
        return rows

    def test_the_picture_shows_plots_on_the_page_in_light_and_dark(self):
        for background, options in ((LIGHT, []),
                                    (DARK, ["--blink-settings=preferredColorScheme=0"])):
            rows = self.shot(*options)
            self.assertEqual(rows[2][2], background)
            blue = sum(blue > red + 60 for row in rows for red, _, blue in row)
            text = sum(abs(row[x][0] - background[0]) > 120 for row in rows
                       for x in range(WIDTH))
            self.assertGreater(blue, WIDTH * HEIGHT // 200)
            self.assertGreater(text, WIDTH * HEIGHT // 500)
            self.assertGreater(len({pixel for row in rows for pixel in row}), 50)


def main():
    """Run the tests, or tell why not."""
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__.strip())
    ToolTest.tool = sys.argv.pop(1)
    if not Browser.browser:
        print(f"SKIP check_report_page: no chromium; as root: {INSTALL}")
        return
    unittest.main()


if __name__ == "__main__":
    main()
