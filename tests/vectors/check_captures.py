#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""Run tunnelcap-pcap over captures made by others and compare with what others expect.

Usage: check_captures.py TOOL

The captures stand in $TUNNELCAP_VECTORS, else beside the project in shared/vectors. One line is
printed for each capture, then how many passed, failed and were skipped.
"""

import collections
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pcapfile
from pcaptool import has_cryptography

ROOT = Path(__file__).resolve().parents[2]
VECTORS = Path(os.environ.get("TUNNELCAP_VECTORS", ROOT.parent / "shared" / "vectors"))
KEYS = VECTORS / "captures" / "keys"
KEY_FORMS = (".sa.json", ".esp_sa", ".xfrm")
EXIT_FILE = 1
ETHERNET_PAYLOAD = "0x6558"
MSS = "1360"


class Mismatch(Exception):
    """What the tool did is not what was expected."""


def expect(what, actual, expected):
    """Raise Mismatch unless both are equal."""
    if actual != expected:
        raise Mismatch(f"{what}: {actual!r}, expected {expected!r}")


class Tool:
    """The program under test."""

    def __init__(self, path, directory):
        self.path = path
        self.decrypts = has_cryptography(path)
        self.output = Path(directory) / "out.pcap"

    def execute(self, *arguments):
        command = [self.path, "--json", *arguments]
        return subprocess.run(command, capture_output=True, timeout=60, check=False)

    def run(self, *arguments, capture=None, writes=True):
        """Run a verb; return its JSON report and the capture that it wrote."""
        done = self.execute(*arguments, capture, *([self.output] if writes else []))
        if done.returncode:
            raise Mismatch(f"exit status {done.returncode}: {done.stderr.decode().strip()}")
        report = json.loads(done.stdout)
        return report, pcapfile.read_pcap(self.output) if writes else None


def load_json(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def expected_status(level):
    """The statuses that a GRE frame may end with, from its outermost expected level."""
    if level["ver"] != 0:
        return {"E_GRE_VERSION"}
    if level.get("outer_fragment"):
        return {"KEPT"}
    if level["R"] or level["s"]:
        return {"E_GRE_FLAGS"}
    if level["status"] == "truncated" or level["outer_truncated_by_snaplen"]:
        return {"E_TRUNCATED"}
    return {"OK", "KEEPALIVE"}


def check_statuses(report, levels):
    """Compare how many packets ended well, and why the others did not."""
    expected = collections.Counter()
    for level in levels:
        wanted = expected_status(level)
        expected["carried" if "OK" in wanted else min(wanted)] += 1
    actual = collections.Counter()
    for name, count in report["status"].items():
        actual["carried" if name in ("OK", "KEEPALIVE") else name] += count
    expect("status", +actual, +expected)
    expect("packets", report["packets"], len(levels))


def tunnel_of(level):
    """What identifies a tunnel to its receiving end."""
    source, destination = level["outer"]
    udp_port = level["udp_ports"][1] if "udp_ports" in level else None
    return (destination, source, level.get("key"), udp_port)


def check_tunnels(report, levels):
    """Compare the tunnels found, with their keys and packets."""
    expected = collections.Counter(
        tunnel_of(level) for level in levels if expected_status(level) & {"OK", "E_TRUNCATED"}
    )
    actual = {
        (tunnel["local"], tunnel["remote"], tunnel["key"], tunnel.get("udp_port")): tunnel[
            "packets"
        ]
        for tunnel in report["tunnels"]
    }
    expect("tunnels", actual, dict(expected))


def check_gre(tool, capture, expected):
    """decap --only gre: packets byte for byte, counts, keys, Ethernet payloads."""
    levels = [frame["levels"][0] for frame in expected["frames"]]
    report, out = tool.run("decap", "--only", "gre", capture=capture)
    expect("frames", report["frames"], expected["frames_total"])
    check_statuses(report, levels)
    check_tunnels(report, levels)
    inner = VECTORS / "expected" / (capture.name + ".gre.inner.pcap")
    wanted = pcapfile.read_pcap(inner).frames if inner.exists() else []
    expect("link type", out.link_type, pcapfile.RAW)
    expect("inner packets", len(out.frames), len(wanted))
    for number, (one, other) in enumerate(zip(out.frames, wanted), 1):
        expect(f"inner packet {number}", one, other)

    _, out = tool.run("decap", "--only", "gre", "--ethernet", capture=capture)
    hashes = [
        level["payload_sha256"]
        for level in levels
        if level["proto"] == ETHERNET_PAYLOAD and "OK" in expected_status(level)
    ]
    expect("link type with --ethernet", out.link_type, pcapfile.ETHERNET)
    expect(
        "Ethernet payloads",
        [hashlib.sha256(frame.data).hexdigest() for frame in out.frames],
        hashes,
    )
    return f"{len(levels)} GRE, {len(wanted)} inner, {len(hashes)} Ethernet"


def check_esp(tool, capture, expected):
    """decap --only esp without keys: packets are recognised, with their SPI, and counted."""
    report, out = tool.run("decap", "--only", "esp", capture=capture)
    expect("frames", report["frames"], expected["frames_total"])
    whole = [frame for frame in expected["frames"] if frame["status"] != "outer_fragment"]
    unsupported = report["status"].get("E_UNSUPPORTED", 0)
    expect("ESP packets", unsupported, len(whole))
    expect("fragments", report["status"].get("KEPT", 0), len(expected["frames"]) - len(whole))
    expect("written", len(out.frames), 0)
    spis = {tunnel["spi"] for tunnel in report["tunnels"]}
    expect("SPIs", spis, {int(frame["spi"], 16) for frame in whole})
    return f"{len(expected['frames'])} ESP, {len(spis)} SPIs"


def expected_of_keys(capture, expected, sas, form):
    """The statuses and packets that decryption by keys in some form leads to."""
    frames = expected["frames"]
    if any(sa["auth"].startswith("unknown") for sa in sas):
        return {"E_UNSUPPORTED": len(frames)}, []
    inner = pcapfile.read_pcap(VECTORS / "expected" / (capture.name + ".esp.inner.pcap")).frames
    statuses = collections.Counter()
    packets = []
    for frame in frames:
        if frame["status"] == "outer_fragment":
            statuses["KEPT"] += 1
            continue
        statuses["OK"] += 1
        packets.append(inner.pop(0))
    if inner:
        raise Mismatch(f"{len(inner)} inner packets more than frames")
    # Only the JSON form tells where extended sequence numbers began.
    if form != ".sa.json" and any(sa["esn"] for sa in sas):
        return None, []
    return dict(statuses), packets


def check_keys(tool, capture, expected, path, form):
    """decap --only esp with a key file: packets byte for byte, and counts."""
    if not path.read_text(encoding="utf-8").strip():
        done = tool.execute("decap", "--keys", path, capture, tool.output)
        expect("exit status without keys", done.returncode, EXIT_FILE)
        if b"there is no security association in it" not in done.stderr:
            raise Mismatch(f"without keys: {done.stderr.decode().strip()}")
        return
    sas = load_json(KEYS / (capture.stem + ".sa.json"))["sas"]
    statuses, packets = expected_of_keys(capture, expected, sas, form)
    report, out = tool.run("decap", "--only", "esp", "--keys", path, capture=capture)
    expect("frames", report["frames"], expected["frames_total"])
    expect("link type", out.link_type, pcapfile.RAW)
    if statuses is None:
        expect("decrypted without ESN", report["status"]["OK"], 0)
    else:
        expect("status", {name: n for name, n in report["status"].items() if n}, statuses)
    expect("packets", len(out.frames), len(packets))
    for number, (one, other) in enumerate(zip(out.frames, packets), 1):
        expect(f"decrypted packet {number}", one, other)


def check_decryption(tool, capture, expected):
    """The keys in all forms that there are."""
    names = []
    if not tool.decrypts:
        return "keys not tried: built without OpenSSL"
    for form in KEY_FORMS:
        path = KEYS / (capture.stem + form)
        if not path.exists():
            continue
        try:
            check_keys(tool, capture, expected, path, form)
        except Mismatch as error:
            raise Mismatch(f"{path.name}: {error}") from error
        names.append(form[1:])
    return f"keys as {', '.join(names)}" if names else "no keys"


def all_frames_hash(frames):
    """The hash over all frames, each with its length before it."""
    whole = hashlib.sha256()
    for frame in frames:
        whole.update(len(frame.data).to_bytes(4, "big") + frame.data)
    return whole.hexdigest()


def times(frame):
    return frame.seconds, frame.fraction, len(frame.data), frame.wire_length


def check_mss(tool, capture, expected):
    """clamp: every frame, changed or not."""
    before = pcapfile.read_pcap(capture)
    report, after = tool.run("clamp", "--mss", MSS, capture=capture)
    expect("frames", report["frames"], expected["frames_total"])
    expect("link type", after.link_type, before.link_type)
    expect("times and lengths", [times(frame) for frame in after.frames],
           [times(frame) for frame in before.frames])
    changed = {
        frame["frame"]: frame["frame_sha256_after"]
        for frame in expected["frames"]
        if "frame_sha256_after" in frame
    }
    for number, (old, new) in enumerate(zip(before.frames, after.frames), 1):
        wanted = changed.get(number) or hashlib.sha256(old.data).hexdigest()
        expect(f"frame {number}", hashlib.sha256(new.data).hexdigest(), wanted)
    expect("all frames", all_frames_hash(after.frames), expected["all_frames_after_sha256"])
    clamped = report["status"].get("MSS_CLAMPED", 0)
    expect("clamped", clamped, expected["clamped"])
    return f"{expected['syn_frames']} SYN, {clamped} clamped"


def ip_length(packet):
    if packet[0] >> 4 == 4:
        return int.from_bytes(packet[2:4], "big")
    return 40 + int.from_bytes(packet[4:6], "big")


def check_router(tool, capture, expected):
    """clamp: TCP segments as a Linux router sent them on."""
    _, after = tool.run("clamp", "--mss", MSS, capture=capture)
    forwarded = [frame for frame in expected["frames"] if frame["kernel"] == "forwarded"]
    expect("forwarded", len(forwarded), expected["forwarded"])
    for frame in forwarded:
        packet = after.frames[frame["frame"] - 1].data
        packet = packet[: ip_length(packet)]
        segment = bytes.fromhex(frame["tcp_after_hex"])
        expect(f"frame {frame['frame']}", packet[-len(segment) :], segment)
    return f"{len(forwarded)} segments as the router's"


def check_info(tool, capture, frames):
    """info reads every capture."""
    report, _ = tool.run("info", capture=capture, writes=False)
    link = report["link"]
    expect("frames", report["frames"], frames)
    expect("frames by kind", link["ipv4"] + link["ipv6"] + link["other"], frames)
    return f"{frames} frames"


def checks_of(capture):
    """All that can be compared for one capture: functions with what they expect."""
    expected = VECTORS / "expected"
    files = {
        check_gre: expected / (capture.name + ".gre.json"),
        check_esp: expected / (capture.name + ".esp.json"),
        check_mss: expected / (capture.name + f".mss{MSS}.json"),
        check_router: expected / capture.name.replace("-before.pcap", ".linux-nft.json"),
    }
    found = [(check, load_json(path)) for check, path in files.items() if path.is_file()]
    found += [(check_decryption, data) for check, data in found if check is check_esp]
    totals = {data["frames_total"] for _, data in found if "frames_total" in data}
    return found + [(check_info, total) for total in sorted(totals)]


def check_capture(tool, capture):
    """Run all checks of a capture; return 'passed', 'failed' or 'skipped'."""
    checks = checks_of(capture)
    if not checks:
        print(f"SKIP {capture.name}: nothing is expected of it")
        return "skipped"
    facts = []
    for check, expected in checks:
        try:
            facts.append(check(tool, capture, expected))
        except (Mismatch, ValueError, subprocess.TimeoutExpired) as error:
            print(f"FAIL {capture.name}: {check.__name__}: {error}")
            return "failed"
    print(f"ok   {capture.name}: {'; '.join(facts)}")
    return "passed"


def main():
    if len(sys.argv) != 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    outcomes = collections.Counter()
    captures = sorted((VECTORS / "captures").glob("*.pcap*"))
    if not captures:
        print(f"SKIP all: no captures in {VECTORS}; set TUNNELCAP_VECTORS")
        outcomes["skipped"] += 1
    with tempfile.TemporaryDirectory() as directory:
        tool = Tool(sys.argv[1], directory)
        for capture in captures:
            outcomes[check_capture(tool, capture)] += 1
    print("{passed} passed, {failed} failed, {skipped} skipped".format_map(outcomes))
    return 1 if outcomes["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
