# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""What a report's page shows, from its file or from a browser's document."""

import re
from html.parser import HTMLParser


class Plot:
    """A plot: its scale, the numbers behind it, and its outlines."""

    def __init__(self, attributes):
        self.top = int(attributes["data-top"])
        self.base = float(attributes["data-base"])
        self.height = float(attributes["data-height"])
        self.numbers = []  # attributes of what the pointer finds
        self.paths = {}  # by class, such as "rate d0"
        self.title = ""


class Page(HTMLParser):
    """All plots of a page, and what it refers to."""

    def __init__(self, text):
        super().__init__()
        self.plots, self.tags, self.references, self.headings = [], set(), [], []
        self._path = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.add(tag)
        self._path.append(tag)
        self.references += [value for name, value in attrs
                            if name in ("href", "src", "xlink:href", "data", "action", "srcset")]
        if tag == "svg" and attributes.get("class") == "plot":
            self.plots.append(Plot(attributes))
        elif tag == "rect":
            self.plots[-1].numbers.append(attributes)
        elif tag == "path" and "spark" not in self._path and self.plots:
            self.plots[-1].paths.setdefault(attributes["class"], attributes["d"])
        elif tag == "h2":
            self.headings.append("")

    def handle_endtag(self, tag):
        while self._path and self._path.pop() != tag:
            pass

    def handle_data(self, data):
        if self._path[-1:] == ["title"] and self.plots and not self.plots[-1].title:
            self.plots[-1].title = data
        elif self._path[-1:] == ["h2"]:
            self.headings[-1] += data


def heights(plot, direction, bins, kind="rate"):
    """The height of each bin in an outline, from 0 to 1."""
    path = plot.paths[f"{kind} d{direction}"]
    steps = re.findall(r"([MVH])([\d.]+)(?: ([\d.]+))?", path)
    x = left = float(steps[0][1])
    y = plot.base
    corners = []
    for command, value, _ in steps[1:-1]:
        if command == "V":
            y = float(value)
        else:
            corners.append((x, float(value), abs(y - plot.base) / plot.height))
            x = float(value)
    width = (x - left) / bins
    values = []
    for i in range(bins):
        middle = left + (i + 0.5) * width
        values.append(next(h for begin, end, h in corners if begin <= middle <= end))
    return values


def check_plots(test, page, report):
    """The plots show the numbers of the JSON, as data and as outlines, and nothing else."""
    scopes = [report["all"], *report["tunnels"], report["others"], report["plain"]]
    scopes = [s for s in scopes if any(way["packets"] for way in s["directions"])]
    test.assertEqual(len(page.plots), len(scopes))
    for plot, scope in zip(page.plots, scopes):
        ways = scope["directions"]
        test.assertIn(scope["name"], plot.title)
        busy = [i for i in range(report["bins"]) if any(way["bin_packets"][i] for way in ways)]
        test.assertEqual([int(rect["data-bin"]) for rect in plot.numbers], busy)
        for rect in plot.numbers:
            bin_ = int(rect["data-bin"])
            for number, way in enumerate(ways):
                test.assertEqual(int(rect[f"data-rate{number}"]), way["bin_bit_rate"][bin_])
                test.assertEqual(int(rect[f"data-peak{number}"]), way["bin_peak_bit_rate"][bin_])
        for number, way in enumerate(ways):
            kinds = {"rate": "bin_bit_rate"}
            if report["bin_seconds"] > 1:
                kinds["peak"] = "bin_peak_bit_rate"
            for kind, name in kinds.items():
                drawn = heights(plot, number, report["bins"], kind)
                for shown, value in zip(drawn, way[name]):
                    test.assertLess(abs(shown - value / plot.top) * plot.height, 0.1)
