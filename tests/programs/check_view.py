#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""What others see of a gateway: its pages over HTTP, and what Prometheus makes of them.

    usage: check_view.py PROGRAM           (the path of tunnelcap-gateway)
"""
import json
import os
import re
import secrets
import socket
import struct
import sys
import threading

import prometheus
from gateway_lab import (CUST4, EDGE4, NODES, At, Gateway, eventually, expect_refusal, inner4,
                         ipv4, main, make_network, ping, run)
from prometheus import get, request
from view_top import check_gone, check_top

PORT = 9477
NAMES = ("first", "second", "keyed")
OPENMETRICS = ("Accept: application/openmetrics-text;version=1.0.0;q=0.75,"
               "text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
GUESTS = 16  # connections that the gateway takes at a time


def make_keys(directory, side):
    """An IPsec tunnel is seen too; nothing is sent through it."""
    path = os.path.join(directory, side + ".keys")
    sas = [{"src": a, "dst": b, "spi": spi, "mode": "tunnel", "enc": "aes-gcm", "icv_len": 16,
            "enc_key": secrets.token_hex(16), "salt": secrets.token_hex(4)}
           for a, b, spi in ((EDGE4, CUST4, 4096), (CUST4, EDGE4, 4097))]
    with open(path, "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o600)) as file:
        json.dump({"schema": "tunnelcap-sa/1", "sas": sas}, file)
    os.makedirs(os.path.join(directory, side + ".state"), mode=0o700, exist_ok=True)
    return {"key_file": path, "state_dir": os.path.join(directory, side + ".state")}


def make_config(directory, side, **more):
    gre = [{"name": name, "cloudflare_gre_endpoint": EDGE4, "customer_gre_endpoint": CUST4,
            "interface_address": inner4(i, 0) + "/31", "key": i + 1}
           for i, name in enumerate(NAMES[:2])]
    gre[0]["health_check"] = {"rate": "high", "type": "request", "direction": "bidirectional"}
    ipsec = [{"name": NAMES[2], "cloudflare_endpoint": EDGE4, "customer_endpoint": CUST4,
              "interface_address": inner4(2, 0) + "/31", **make_keys(directory, side)}]
    return {"side": side, "tun": "tcg0", "gre_tunnels": gre, "ipsec_tunnels": ipsec,
            "http": {"port": PORT}, **more}


def parse(text):
    """Samples of the text format by name and labels; families by name."""
    samples, families, last = {}, {}, None
    for line in text.splitlines():
        if line.startswith("# HELP ") or line.startswith("# UNIT ") or line == "# EOF":
            continue
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            if name in families:
                raise ValueError(f"{name} stands there twice")
            families[name], last = kind, name
            continue
        found = re.fullmatch(r'([a-z_0-9]+)(?:\{(.*)\})? ([0-9.]+)', line)
        if not found or not found[1].startswith(last):
            raise ValueError(line)
        labels = tuple(sorted(re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', found[2] or "")))
        if (found[1], labels) in samples:
            raise ValueError(f"twice: {line}")
        samples[found[1], labels] = float(found[3])
    return samples, families


def sample(samples, name, **labels):
    return samples.get((name, tuple(sorted(labels.items()))))


def metrics(*headers):
    return parse(get("edge", PORT, "/metrics", *headers)[2].decode())[0]


def check_pages(t):
    status, headers, body = get("edge", PORT, "/stats.json")
    t.check("the statistics are a page", status == 200 and
            headers["content-type"] == "application/json" and
            [x["name"] for x in json.loads(body)["tunnels"]] == list(NAMES), (headers, body))
    index = get("edge", PORT, "/")[2].decode().split()
    t.check("the index names all pages, and they are there",
            [get("edge", PORT, page)[0] for page in index if page.startswith("/")].count(200) ==
            sum(word.startswith("/") for word in index) >= 2, index)
    for name, answer, want in (
            ("what is not there", get("edge", PORT, "/metrics/x"), 404),
            ("an unknown page, by a method that none has",
             get("edge", PORT, "/x", method="DELETE"), 404),
            ("a path out of the tree", get("edge", PORT, "/../etc/passwd"), 404)):
        t.check(f"{name} gets {want}", answer[0] == want, answer)
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        status, headers, _ = get("edge", PORT, "/metrics", method=method)
        t.check(f"{method} is not allowed", status == 405 and headers["allow"] == "GET, HEAD",
                (status, headers))
    full, head = get("edge", PORT, "/"), get("edge", PORT, "/", method="HEAD")
    t.check("HEAD is GET without the body", head[0] == 200 and head[2] == b"" and
            head[1]["content-length"] == full[1]["content-length"] == str(len(full[2])), head)


def check_nonsense(t):
    for name, text, want in (
            ("a body", b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
             (413,)),
            ("a body of 2^64 bytes", b"POST / HTTP/1.1\r\nHost: x\r\n"
             b"Content-Length: 18446744073709551616\r\n\r\n", (400, 413)),
            ("a negative length", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
             (400, 413)),
            ("a header without end", b"GET / HTTP/1.1\r\nX: " + b"x" * 20000, (400, 413)),
            ("a line without end", b"GET /" + b"x" * 20000, (400, 413)),
            ("no HTTP", b"hello\r\n\r\n", (400,)),
            ("bytes", bytes(range(256)) + b"\r\n\r\n", (400,))):
        answer = b""
        try:
            answer = request("edge", PORT, text)
        except ConnectionResetError:  # our bytes that nobody read
            pass
        status = int(answer.split(b" ")[1]) if answer.startswith(b"HTTP/1.") else 0
        t.check(f"{name} is refused", status in want or not answer, answer[:200])
    t.check("after all that, a page is served", get("edge", PORT, "/")[0] == 200, "none")
    with At("net"):
        try:
            socket.create_connection(("10.2.0.2", PORT), timeout=2).close()
            reached = True
        except OSError:
            reached = False
    t.check("nobody else than this host is served unless the file says so", not reached, "served")


def check_crowd(t):
    """As many idle connections as there may be, one of them never quite idle."""
    with At("edge"):
        crowd = [socket.create_connection(("127.0.0.1", PORT)) for _ in range(GUESTS)]
    ended = threading.Event()

    def drip(s):
        try:
            for byte in b"GET / HTTP/1.1\r\nX: " + b"x" * 60:
                s.sendall(bytes([byte]))
                if ended.wait(0.5):
                    return
        except OSError:
            ended.set()

    thread = threading.Thread(target=drip, args=(crowd[0],))
    thread.start()
    t.check("who comes behind a crowd is served once that has been shown out",
            get("edge", PORT, "/")[0] == 200, "not served")
    t.check("who sends a byte now and then is shown out too", ended.wait(25), "still there")
    ended.set()
    thread.join()
    for s in crowd:
        s.close()
    t.check("and then there is room", all(get("edge", PORT, "/")[0] == 200
                                          for _ in range(2 * GUESTS)), "not served")


def send_stray():
    with At("cust"):
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    with s:
        s.sendto(ipv4(CUST4, EDGE4, 47, struct.pack("!HHI", 0x2000, 0x0800, 99) + b"x" * 40),
                 (EDGE4, 0))


def check_metrics(t, edge):
    status, headers, body = get("edge", PORT, "/metrics")
    samples, families = parse(body.decode())
    t.check("metrics come in the text format", status == 200 and
            headers["content-type"].startswith("text/plain; version=0.0.4"), headers)
    t.check("counters are called _total, and only they", all(
        (kind == "counter") == name.endswith("_total") for name, kind in families.items()),
        families)
    stats = edge.stats()
    for tunnel in stats["tunnels"]:
        for direction in ("encap", "decap"):
            where = {"tunnel": tunnel["name"], "direction": direction}
            t.check(f"packets of {where}", sample(samples, "tunnelcap_packets_total", **where) ==
                    tunnel[direction]["packets"], samples)
            t.check(f"bytes of {where}", sample(samples, "tunnelcap_outer_bytes_total", **where) ==
                    tunnel[direction]["outer_bytes"], samples)
        t.check(f"the MTU of {tunnel['name']}", sample(
            samples, "tunnelcap_inner_mtu_bytes", tunnel=tunnel["name"]) == tunnel["mtu"], samples)
    t.check("all that was read from the TUN device was read by some thread", sum(
        value for (name, _), value in samples.items()
        if name == "tunnelcap_lane_tun_packets_total") >= sum(
            tunnel["encap"]["packets"] for tunnel in stats["tunnels"]), samples)
    t.check("an SA has its counters", sample(
        samples, "tunnelcap_sa_packets_total", tunnel="keyed", direction="encap",
        spi="0x00001000") == 0 and sample(
        samples, "tunnelcap_sa_rekey_needed", tunnel="keyed", direction="decap",
        spi="0x00001001") == 0, samples)
    send_stray()
    t.check("a packet of no tunnel is counted with its reason", eventually(lambda: sample(
        metrics(), "tunnelcap_stray_packets_total", direction="decap",
        reason="E_NO_TUNNEL") == 1), samples)


def check_health(t):
    """The first tunnel is watched, the others are not."""
    t.check("a tunnel that is watched has a state, and its probes are counted", eventually(
        lambda: sample(metrics(), "tunnelcap_probes_answered_total", tunnel="first") and
        sample(metrics(), "tunnelcap_tunnel_state", tunnel="first") == 1, 10), metrics())
    samples = metrics()
    t.check("how long they take is told in seconds", 0 < sample(
        samples, "tunnelcap_probe_rtt_seconds", tunnel="first") < 1 and sample(
        samples, "tunnelcap_probe_loss_ratio", tunnel="first") < 1, samples)
    t.check("a tunnel that is not watched has none of that",
            sample(samples, "tunnelcap_tunnel_state", tunnel="second") is None and
            sample(samples, "tunnelcap_probes_sent_total", tunnel="second") is None, samples)
    t.check("nor has it a state over time", {
        x["tunnelName"]: x["tunnelState"] for x in tunnels()["tunnels"]} ==
            {"first": 1.0, "second": None, "keyed": None}, tunnels())


def check_openmetrics(t):
    status, headers, body = get("edge", PORT, "/metrics", OPENMETRICS)
    text = body.decode()
    t.check("OpenMetrics for those who would rather have it", status == 200 and
            headers["content-type"].startswith("application/openmetrics-text; version=1.0.0") and
            text.endswith("\n# EOF\n"), headers)
    samples, families = parse(text)
    t.check("there, families of counters have no suffix",
            families["tunnelcap_packets"] == "counter" and families["tunnelcap_build"] == "info" and
            sample(samples, "tunnelcap_packets_total", tunnel="first", direction="encap") ==
            sample(metrics(), "tunnelcap_packets_total", tunnel="first", direction="encap"),
            families)
    for accept, want in (("*/*", "text/plain"), ("text/*;q=0.5", "text/plain"),
                         ("application/openmetrics-text;q=0", "text/plain"),
                         ("application/*, text/plain;q=0.9", "application/openmetrics-text"),
                         ("text/plain;q=0.5, application/openmetrics-text;q=0.501",
                          "application/openmetrics-text"), (";;,,=;q=", "text/plain")):
        headers = get("edge", PORT, "/metrics", "Accept: " + accept)[1]
        t.check(f"Accept: {accept}", headers["content-type"].startswith(want), headers)


def tunnels(query=""):
    status, _, body = get("edge", PORT, "/tunnels.json" + query)
    return json.loads(body) if status == 200 else status


def rows(query=""):
    return tunnels(query)["magicTransitTunnelTrafficAdaptiveGroups"]


def check_tunnels(t):
    """Traffic over time, with the service's names."""
    ping("edge", inner4(0, 1), 5, "-s", "972")  # 1000 bytes each, 200 ms apart
    third = "?interval=second&limit=60&tunnel=first&direction="
    counted = metrics()
    t.check("all that was sent is in closed seconds", eventually(lambda: sum(
        row["sum"]["packets"] for row in rows(third + "egress")) == sample(
            counted, "tunnelcap_packets_total", tunnel="first", direction="encap")),
            rows(third + "egress"))
    found = rows(third + "ingress")
    t.check("and what came back", sum(row["sum"]["bytes"] for row in found) == sample(
        counted, "tunnelcap_inner_bytes_total", tunnel="first", direction="decap"), found)
    times = [row["dimensions"]["datetime"] for row in found]
    t.check("rows go by time, a second each", times == sorted(set(times)) and all(
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", x) for x in times) and
        all(row["sum"]["seconds"] == 1 for row in found), found)
    t.check("a second's average is its peak, eight times its bytes", all(
        row["avg"]["bitRate"] == row["max"]["bitRate"] == 8 * row["sum"]["bytes"] and
        row["avg"]["packetRate"] == row["sum"]["packets"] for row in found), found)
    t.check("names and directions are those asked for", all(
        row["dimensions"]["tunnelName"] == "first" and
        row["dimensions"]["direction"] == "ingress" for row in found), found)
    whole = tunnels()
    t.check("without a question, there is every tunnel both ways",
            sorted((x["tunnelName"], x["direction"]) for x in whole["tunnels"]) ==
            sorted((name, way) for name in NAMES for way in ("egress", "ingress")), whole)
    t.check("a limit of none gives none", rows("?interval=second&limit=0") == [], "rows")
    for query in ("?interval=day", "?limit=-1", "?limit=x", "?limit=4294967296", "?limit=",
                  "?tunnel=nobody", "?direction=up", "?interval"):
        t.check(f"{query} makes no sense", tunnels(query) == 400, tunnels(query))


def check_prometheus(t, directory):
    programs, why = prometheus.find(directory)
    if programs is None:
        t.skip("Prometheus", why)
        return
    server, tool = programs
    page = get("edge", PORT, "/metrics")[2].decode()
    said = run(tool, "check", "metrics", input=page, check=False)
    t.check("promtool has no complaint", said.returncode == 0 and not said.stdout and
            not said.stderr, said.stdout + said.stderr)
    broken = run(tool, "check", "metrics", input="# TYPE a_total gauge\na_total 1\n", check=False)
    t.check("promtool can complain", broken.returncode != 0, broken.stderr)

    scraper = prometheus.Prometheus(server, directory, "edge", f"127.0.0.1:{PORT}")
    try:
        if not scraper.ready():
            t.check("Prometheus starts", False, scraper.process.poll())
            return
        ping("edge", inner4(0, 1), 7)
        want = sample(metrics(), "tunnelcap_packets_total", tunnel="first", direction="encap")
        query = 'tunnelcap_packets_total{tunnel="first",direction="encap"}'
        t.check("Prometheus has counted what was sent",
                want >= 7 and eventually(lambda: scraper.query(query) == want, 15),
                (want, scraper.query(query)))
        t.check("it finds all well", scraper.query("up") == 1 and
                scraper.query("count(tunnelcap_tunnel_info)") == len(NAMES), "not up")
    finally:
        scraper.stop()


def check_control(t, edge):
    """The control socket speaks HTTP as well, with the same pages."""
    s = socket.socket(socket.AF_UNIX)
    with s:
        s.settimeout(10)
        s.connect(edge.control)
        s.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        answer = b""
        while more := s.recv(65536):
            answer += more
    t.check("the control socket has the pages too", b" 200 OK\r\n" in answer and
            b"\ntunnelcap_packets_total{" in answer, answer[:300])
    t.check("it is its owner's alone", os.stat(edge.control).st_mode & 0o077 == 0,
            oct(os.stat(edge.control).st_mode))


def check_all(t, program, directory):
    make_network()
    edge = Gateway(program, directory, "edge", make_config(directory, "edge"))
    cust = Gateway(program, directory, "cust", make_config(directory, "customer"))
    try:
        for gateway in (edge, cust):
            t.check(f"{gateway.node} is ready", gateway.line.startswith("ready"),
                    gateway.messages())
        if t.failed:
            return
        t.check("packets pass", ping("edge", inner4(0, 1), 3) and ping("edge", inner4(1, 1), 1),
                edge.stats())
        check_pages(t)
        check_nonsense(t)
        check_metrics(t, edge)
        check_health(t)
        check_openmetrics(t)
        check_control(t, edge)
        check_tunnels(t)
        check_top(t, edge, NAMES)
        check_prometheus(t, directory)
        check_crowd(t)
        check_gone(t, edge, lambda: t.check("edge ends with status 0", edge.stop() == 0,
                                            edge.messages()))
    finally:
        for gateway in (edge, cust):
            if gateway.process.poll() is None:
                t.check(f"{gateway.node} ends with status 0", gateway.stop() == 0,
                        gateway.messages())
    with At("edge"):
        taken = socket.create_server(("127.0.0.1", PORT))
    with taken:
        expect_refusal(t, "a TCP port in use", f"http: cannot listen at 127.0.0.1 port {PORT}",
                       program, directory, make_config(directory, "edge"))


if __name__ == "__main__":
    sys.exit(main("check_view", ("ping",), NODES, check_all))
