# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""The live view of a gateway, on a terminal and as text."""
import re
import signal
import subprocess
import time

from gateway_lab import PREFIX, inner4, run
from terminal import Terminal

BLOCKS = "▁▂▃▄▅▆▇█"


def start(gateway, *options, **more):
    return Terminal([gateway.program, "top", *options, "--control", gateway.control], **more)


def order(text):
    """The first words of the rows."""
    lines = text.splitlines()
    top = next((i for i, line in enumerate(lines) if line.startswith("TUNNEL")), len(lines))
    rows = []
    for line in lines[top + 1:]:
        if not line:
            break
        rows.append(line.split()[0])
    return rows


def selected(text):
    """The tunnel whose details are shown."""
    found = re.search(r"^(\S+): \S+ from ", text, re.M)
    return found[1] if found else None


def check_once(t, edge, names):
    for name, env in (("UTF-8", "C.UTF-8"), ("ASCII", "C")):
        said = subprocess.run([edge.program, "top", "--once", "--control", edge.control],
                              capture_output=True, text=True, check=False, timeout=20,
                              encoding="utf-8", env={"LC_ALL": env, "COLUMNS": "120"})
        t.check(f"top as text, {name}", said.returncode == 0 and
                order(said.stdout) == sorted(names) and "IN BIT/S" in said.stdout and
                "\x1b" not in said.stdout and said.stderr == "", said)
        t.check(f"its sparklines, {name}", any(c in said.stdout for c in BLOCKS) == (env != "C")
                and (env != "C" or said.stdout.isascii()), said.stdout)
    lines = said.stdout.splitlines()
    t.check("who is watched has a round-trip time", re.search(
        r"^first +healthy .* \d+\.\d\d ms +\d\.\d\d%$", said.stdout, re.M) and
        re.search(r"^second .* - +-$", said.stdout, re.M), said.stdout)
    t.check("no line is wider than asked for", max(map(len, lines)) <= 120, lines)
    dumb = start(edge, env={"TERM": "dumb"}.items())
    t.check("on a dumb terminal it is text, once", dumb.end() == 0 and
            all(name in dumb.text() for name in names), dumb.text())
    odd = start(edge, env={"TERM": "no-such-terminal"}.items())
    t.check("on an unknown terminal too", odd.end() == 0 and
            all(name in odd.text() for name in names) and "no-such-terminal" in odd.text(),
            odd.text())
    said = run(edge.program, "top", "--once", "--control", edge.control + ".not", check=False)
    t.check("top without a gateway fails", said.returncode == 1 and
            "no gateway answers there" in said.stderr, said.stderr)
    for wrong in (("--json",), ("--control", "x", "file")):
        said = run(edge.program, "top", *wrong, check=False)
        t.check(f"top {wrong} is a wrong command line", said.returncode == 2, said)


def check_keys(t, screen, names):
    first, last = min(names), max(names)
    t.check("rows are sorted by name", order(screen.text()) == sorted(names), screen.text())
    t.check("the first one's details are shown", selected(screen.text()) == first, screen.text())
    screen.type("n")
    t.check("n once more turns the order round", screen.until(
        lambda text: order(text) == sorted(names, reverse=True)), screen.text())
    screen.type("n")
    screen.until(lambda text: order(text) == sorted(names))
    screen.type("\x1bOB" * (len(names) + 2))
    t.check("the arrow goes down to the last row and no further",
            screen.until(lambda text: selected(text) == last), screen.text())
    screen.type("nn")
    t.check("sorting selects what is first then",
            screen.until(lambda text: selected(text) == first), screen.text())
    screen.type("jj")
    screen.until(lambda text: selected(text) == last)
    screen.type("k")
    t.check("k goes up", screen.until(lambda text: selected(text) == sorted(names)[-2]),
            screen.text())
    before = screen.text().splitlines()[0]
    t.check("the selected tunnel stays so when there is news", screen.until(
        lambda text: text.splitlines()[0] != before and selected(text) == sorted(names)[-2]),
            screen.text())
    screen.type(" ")
    t.check("space stops it", screen.until(lambda text: "paused" in text), screen.text())
    screen.type(" ")
    t.check("and lets it go on", screen.until(lambda text: "paused" not in text), screen.text())


def check_traffic(t, screen, name):
    """A tunnel that carries much is first when sorted by what goes out."""
    screen.type("o")
    ping = subprocess.Popen(["ip", "netns", "exec", PREFIX + "edge", "ping", "-q", "-i", "0.01",
                             "-c", "2000", "-s", "1000", inner4(1, 1)], stdout=subprocess.DEVNULL)
    try:
        t.check("the busiest tunnel comes to the top, with its rate", screen.until(
            lambda text: order(text)[:1] == [name] and
            re.search(rf"^{name} +active +\d+ k +\d+ k", text, re.M)), screen.text())
        t.check("and its last minute is drawn", any(c in screen.text() for c in BLOCKS),
                screen.text())
    finally:
        ping.send_signal(signal.SIGINT)
        ping.wait()
    screen.type("n")


def check_live(t, edge, names):
    screen = start(edge)
    t.check("top draws", screen.until(lambda text: order(text) and "q quit" in text),
            screen.text())
    check_keys(t, screen, names)
    check_traffic(t, screen, "second")
    screen.resize(120, 40)
    t.check("a larger window shows more", screen.until(
        lambda text: "OUT PKT/S" in text and "q quit" in text.splitlines()[39]), screen.text())
    screen.resize(50, 10)
    t.check("a small one shows the rows", screen.until(
        lambda text: order(text)[:1] and "IN BIT/S" in text and "OUT PKT/S" not in text),
            screen.text())
    screen.resize(20, 3)
    t.check("one that is too small says so", screen.until(lambda text: "too small" in text),
            screen.text())
    screen.resize(80, 24)
    t.check("and then it is back", screen.until(lambda text: order(text) == sorted(names)),
            screen.text())
    screen.type("q")
    t.check("q ends it, and gives the screen back", screen.end() == 0 and screen.left,
            screen.text())
    for number in (signal.SIGINT, signal.SIGTERM):
        screen = start(edge)
        screen.until(order)
        screen.process.send_signal(number)
        t.check(f"{number.name} ends it as well", screen.end() == 0 and screen.left,
                screen.text())


def hours(gateway):
    """How many hours have ended since it started."""
    now = time.time()
    return int(now // 3600) - int((now - gateway.stats()["uptime_ms"] / 1000) // 3600)


def check_history(t, edge, names):
    """Charts of what has been carried."""
    def ask(*options):
        return subprocess.run([edge.program, "history", *options, "--control", edge.control],
                              capture_output=True, text=True, check=False, timeout=20,
                              env={"LC_ALL": "C", "COLUMNS": "100"})

    said = ask()
    charts = re.findall(r"^(\S+), (ingress|egress): [0-9.]+ k?B$", said.stdout, re.M)
    t.check("a chart for each direction that has carried something", said.returncode == 0 and
            charts == [(name, way) for name in names[:2] for way in ("egress", "ingress")],
            said.stdout + said.stderr)
    t.check("it has axes", "bit/s |" in said.stdout and re.search(r"\d\d:\d\d:\d\d", said.stdout) and
            "#" in said.stdout, said.stdout)
    said = ask("--direction", "egress")
    t.check("one direction alone", "egress" in said.stdout and "ingress" not in said.stdout,
            said.stdout)
    before = hours(edge)
    said = ask("--interval", "hour")
    if before == hours(edge):
        t.check("hours are drawn once one is over", said.returncode == 0 and
                ("no tunnel has carried anything" in said.stdout) == (before == 0), said.stdout)
    for wrong in (("--interval", "day"), ("--direction", "up"), ("--once",), ("--json",)):
        t.check(f"history {wrong} is a wrong command line", ask(*wrong).returncode == 2, wrong)


def check_top(t, edge, names):
    check_history(t, edge, names)
    check_once(t, edge, names)
    check_live(t, edge, names)


def check_gone(t, edge, stop):
    """A gateway that ends is told of, and looked for on."""
    screen = start(edge)
    screen.until(order)
    stop()
    t.check("top says that the gateway is gone",
            screen.until(lambda text: "no gateway answers there" in text), screen.text())
    screen.type("q")
    t.check("and ends when told", screen.end() == 0, screen.text())
