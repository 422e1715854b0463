#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""Gateways with several threads, and configurations that change while packets pass.

    usage: check_reload.py PROGRAM        (the path of tunnelcap-gateway)
"""
import os
import signal
import socket
import sys

import gateway_ipsec
from gateway_ipsec import GCM, Keys, outbound
from gateway_lab import (CUST4, CUST6, EDGE4, EDGE6, NODES, At, Gateway, eventually,
                         inner4, inner6, leftovers, main, make_network, ping, run)
from gateway_stream import Stream

THREADS = 3
SERVER = "203.0.113.80"
FLOWS = 24


# -------------------------------------------------------------------------- several threads

# Each way by which packets are shared out among threads.
SHARED = [
    ("gre_tunnels", "gre4", 4, {}),
    ("gre_tunnels", "gre4keycheck", 4, {"key": 7, "checksum": True}),
    ("gre_tunnels", "gre4seq", 4, {"key": 8, "sequence": True}),
    ("gre_tunnels", "gre4udp", 4, {"udp_port": 4754}),
    ("gre_tunnels", "gre6", 6, {"encap_limit": 4}),
    ("gre_tunnels", "gre6udp", 6, {"udp_port": 4755}),
    ("ipip_tunnels", "ipip4", 4, {}),
    ("ipip_tunnels", "ipip6", 6, {}),
]
SPREAD = {"gre4", "gre4keycheck", "gre4udp", "gre6", "gre6udp", "ipip4", "ipip6"}


def make_config(side, tunnels, **more):
    config = {"side": side, "tun": "tcg0", "threads": THREADS, "gre_tunnels": [],
              "ipip_tunnels": [], "routes": []}
    for i, (kind, name, family, options) in enumerate(tunnels):
        config[kind].append({
            "name": name,
            "cloudflare_gre_endpoint": EDGE4 if family == 4 else EDGE6,
            "customer_gre_endpoint": CUST4 if family == 4 else CUST6,
            "interface_address": inner4(i, 0) + "/31",
            "interface_address6": inner6(i, 0) + "/127",
            **options})
    config.update(more)
    return config


def lanes(gateway, key):
    return [lane[key] for lane in gateway.stats()["lanes"][:-1]]


def carry_flows(t, name, sources, target, edge, cust, spread):
    """Flows from several addresses through one tunnel: complete, once, and in order."""
    before = lanes(cust, "from_outside"), lanes(edge, "from_tun")
    streams = []
    for i, source in enumerate(sources):
        streams.append(Stream("net", "orig", target, 7000 + i, source=source).start())
    eventually(lambda: all(len(stream.got) > 60 for stream in streams))
    wrong = [why for why in (stream.end() for stream in streams) if why]
    t.check(f"{name}: all packets of {len(sources)} flows come once and in order", not wrong, wrong)
    after = lanes(cust, "from_outside"), lanes(edge, "from_tun")
    shares = [[b - a for a, b in zip(*pair)] for pair in zip(before, after)]
    t.check(f"{name}: each packet is received by one thread",
            sum(shares[0]) == sum(shares[1]) == sum(s.sent for s in streams),
            (shares, sum(s.sent for s in streams)))
    t.check(f"{name}: the TUN device shares flows among threads", min(shares[1]) > 0, shares)
    busy = sum(share > 0 for share in shares[0])
    if spread:
        t.check(f"{name}: so do sockets", busy == THREADS, shares)
    else:
        t.check(f"{name}: a tunnel with an order has one thread", busy == 1, shares)


def check_threads(t, program, directory):
    sources = [f"10.2.0.{10 + i}" for i in range(FLOWS)]
    for source in sources:
        run("ip", "addr", "add", source + "/32", "dev", "lo", node="net")
    routes = [{"prefix": f"203.0.113.{80 + i}/32", "nexthop": inner4(i, 1)}
              for i in range(len(SHARED))]
    edge = Gateway(program, directory, "edge", make_config("edge", SHARED, routes=routes))
    cust = Gateway(program, directory, "cust", make_config("customer", SHARED))
    try:
        for gateway in (edge, cust):
            t.check(f"{gateway.node} is ready", gateway.line.startswith("ready"),
                    gateway.messages())
        for i, (_, name, _, _) in enumerate(SHARED):
            carry_flows(t, name, sources, f"203.0.113.{80 + i}", edge, cust, name in SPREAD)
        check_sharing_of_ipsec_ports(t, program, directory)
    finally:
        for gateway in (edge, cust):
            t.check(f"{gateway.node} with {THREADS} threads ends with status 0",
                    gateway.stop() == 0, gateway.messages())
    check_fragments(t, program, directory)
    for source in sources:
        run("ip", "addr", "del", source + "/32", "dev", "lo", node="net")


def check_sharing_of_ipsec_ports(t, program, directory):
    """The threads of a gateway share a UDP port; two gateways do not."""
    config = make_config("edge", [("gre_tunnels", "other", 4, {"udp_port": 4754})])
    config["tun"] = "tcg1"
    path = os.path.join(directory, "second")
    os.makedirs(path, exist_ok=True)
    second = Gateway(program, path, "edge", config)
    t.check("a UDP port is one gateway's", second.wait() == 1 and
            "another program uses UDP port 4754" in second.messages(), second.messages())


def check_fragments(t, program, directory):
    """Inner fragments come to one thread, whichever: the far end puts all of them together."""
    tunnels = [("gre_tunnels", "gre4", 4, {"reassemble": True})]
    edge = Gateway(program, directory, "edge", make_config(
        "edge", tunnels, routes=[{"prefix": SERVER + "/32", "tunnel": "gre4"}]))
    cust = Gateway(program, directory, "cust", make_config("customer", tunnels))
    streams = []
    for i in range(6):
        streams.append(Stream("net", "orig", SERVER, 7100 + i, size=4000,
                              source=f"10.2.0.{10 + i}").start())
    eventually(lambda: all(len(stream.got) > 60 for stream in streams))
    wrong = [why for why in (stream.end() for stream in streams) if why]
    t.check("fragments of a datagram come together in one thread", not wrong and
            cust.tunnel("gre4")["decap"]["reassembled"] == sum(s.sent for s in streams),
            (wrong, cust.tunnel("gre4")))
    for gateway in (edge, cust):
        gateway.stop()


# ---------------------------------------------------------------------- other configurations

BASE = [("gre_tunnels", "one", 4, {"key": 1}), ("gre_tunnels", "keyed", 4, {"key": 20}),
        ("gre_tunnels", "other", 4, {"key": 30})]


class Pair:
    """Both ends, whose configurations change together or one by one."""

    def __init__(self, program, directory, keys):
        self.keys = keys
        for node in ("edge", "cust"):
            os.makedirs(os.path.join(directory, node + ".state"), 0o700, exist_ok=True)
        self.directory = directory
        self.edge = Gateway(program, directory, "edge", self.config("edge"))
        self.cust = Gateway(program, directory, "cust", self.config("customer"))

    def config(self, side, tunnels=None, esp=None, weight=1, **more):
        """`tunnels`: GRE and IP in IP; `esp`: options of each IPsec tunnel, which come first in
        the addresses' order."""
        node = "edge" if side == "edge" else "cust"
        tunnels = BASE if tunnels is None else tunnels
        esp = [{}] if esp is None else esp
        config = make_config(side, tunnels, state_dir=os.path.join(self.directory, node + ".state"))
        for i, (_, name, _, options) in enumerate(tunnels):
            at = self.place(name)
            tunnel = next(t for kind in ("gre_tunnels", "ipip_tunnels") for t in config[kind]
                          if t["name"] == name)
            tunnel["interface_address"] = inner4(at, 0) + "/31"
            tunnel["interface_address6"] = inner6(at, 0) + "/127"
        config["ipsec_tunnels"] = [{
            "name": keys.name, "cloudflare_endpoint": keys.ends()[0],
            "customer_endpoint": keys.ends()[1], "key_file": keys.files[node],
            "interface_address": inner4(keys.index, 0) + "/31", **options}
            for keys, options in zip(self.keys, esp)]
        if side == "edge":
            config["routes"] = [
                {"prefix": "203.0.113.0/24", "tunnel": "one", "weight": weight},
                {"prefix": "203.0.113.81/32", "tunnel": self.keys[0].name}]
        config.update(more)
        return config

    @staticmethod
    def place(name):
        return {"one": 20, "keyed": 21, "other": 22, "two": 23, "ipip": 24, "udp": 25,
                "six": 26}[name]

    def reload(self, **what):
        """Both ends; returns what they said unless both have done it."""
        said = []
        for gateway, side in ((self.cust, "customer"), (self.edge, "edge")):
            done, text = gateway.reload(self.config(side, **what))
            said.append(text)
            if not done:
                return text, said
        return None, said


TWO = ("gre_tunnels", "two", 4, {"key": 2})
IPIP = ("ipip_tunnels", "ipip", 4, {})
UDP = ("gre_tunnels", "udp", 4, {"udp_port": 4760})
SIX = ("gre_tunnels", "six", 6, {})


def raw_protocols(node):
    """Of raw sockets that are open."""
    lines = run("cat", "/proc/net/raw", node=node).stdout.splitlines()[1:]
    return {int(line.split()[1].split(":")[1], 16) for line in lines}


def check_changes(t, pair):
    """Step by step, each while the streams go on."""
    edge = pair.edge
    first = pair.keys[0].name
    why, said = pair.reload(tunnels=[*BASE, TWO, IPIP, UDP, SIX], esp=[{}, {}], weight=7)
    t.check("tunnels of all kinds are added, and a weight is changed", why is None, why)
    t.check("the answer names them", f"two, udp, six, ipip, {pair.keys[1].name} added" in said[1]
            and "no tunnel changed" in said[1] and "no tunnel removed" in said[1], said[1])
    t.check("the log counts routes", "routes: 0 added, 1 changed, 0 removed" in edge.messages(),
            edge.messages())
    for name in ("two", "ipip", "udp", "six"):
        t.check(f"the new tunnel {name} carries packets",
                ping("edge", inner4(pair.place(name), 1), 1) and
                ping("cust", inner6(pair.place(name), 0), 1), edge.tunnel(name))
    t.check("the new IPsec tunnel carries packets",
            ping("edge", inner4(pair.keys[1].index, 1), 1), edge.messages())

    why, said = pair.reload(tunnels=[IPIP, *BASE[1:], BASE[0], UDP], esp=[{}, {}], weight=7)
    t.check("tunnels are removed, and the others change their places in the file",
            why is None and "two, six removed" in said[1] and "no tunnel changed" in said[1], said)
    t.check("a tunnel that is gone is not shown",
            {tunnel["name"] for tunnel in edge.stats()["tunnels"]} ==
            {"ipip", "one", "keyed", "other", "udp", first, pair.keys[1].name}, edge.stats())
    t.check("its addresses are gone", inner4(pair.place("two"), 0) not in
            run("ip", "addr", "show", "tcg0", node="edge").stdout and
            not ping("edge", inner4(pair.place("two"), 1), 1), "still there")
    t.check("the tunnels that changed places carry on",
            all(ping("edge", inner4(pair.place(name), 1), 1) for name in ("ipip", "one", "udp")),
            edge.stats())

    swapped = [BASE[0], ("gre_tunnels", "keyed", 4, {"key": 30}),
               ("gre_tunnels", "other", 4, {"key": 20})]
    why, said = pair.reload(tunnels=swapped)
    t.check("two tunnels exchange their keys, and the second half goes", why is None and
            "keyed, other changed" in said[1], said)
    t.check("both carry packets",
            all(ping("edge", inner4(pair.place(name), 1), 1) for name in ("keyed", "other")),
            edge.stats())
    t.check("sockets that nobody needs are closed", 4 not in raw_protocols("edge") and
            47 in raw_protocols("edge"), raw_protocols("edge"))

    before = outbound(edge, first)
    why, said = pair.reload(esp=[{"ttl": 33}])
    after = outbound(edge, first)
    t.check("an IPsec tunnel gets another TTL, and its SA goes on", why is None and
            f"{first}" in said[1] and after["sequence"] >= before["sequence"] and
            after["sender_id"] == before["sender_id"], (before, after, said))


def check_refusals(t, pair):
    """What is wrong changes nothing, and is named."""
    edge = pair.edge
    good = pair.config("edge")
    shown = [tunnel["name"] for tunnel in edge.stats()["tunnels"]]
    kernel = run("ip", "route", "show", node="edge").stdout

    def refuse(name, config, *words):
        if isinstance(config, str):
            edge.write(config)
            config = None
        before = outbound(edge, pair.keys[0].name)
        done, said = edge.reload(config)
        t.check(f"{name} is refused", not done and all(word in said for word in words),
                (done, said))
        t.check(f"{name}: nothing has changed", "all goes on as before" in edge.messages() and
                [tunnel["name"] for tunnel in edge.stats()["tunnels"]] == shown and
                run("ip", "route", "show", node="edge").stdout == kernel and
                outbound(edge, pair.keys[0].name)["sender_id"] == before["sender_id"],
                edge.stats())

    refuse("a file that is not JSON", '{\n "side": edge }', "edge.json:2:")
    wrong = pair.config("edge", tunnels=[*BASE, ("gre_tunnels", "two", 4, {"key": "x"})])
    refuse("a wrong value", wrong, "edge.json: gre_tunnels[3].key: must be an integer")
    for field, value in (("tun", "tcg9"), ("threads", THREADS + 1), ("ecmp", "rendezvous"),
                         ("clamp_egress", ["eth0"]), ("gro_off", ["eth0"]),
                         ("http", {"port": 9}), ("history_tunnels", 3)):
        refuse(f"another {field}", {**good, field: value},
               f"edge.json: {field}: cannot change while the gateway runs")
    refuse("another side", pair.config("customer"), "side: cannot change")
    far = pair.config("edge", tunnels=[*BASE, TWO])
    far["gre_tunnels"][3]["cloudflare_gre_endpoint"] = "192.0.2.99"
    refuse("an endpoint that is not ours", far,
           "gre_tunnels[3]: its local endpoint 192.0.2.99 is not an address of this host")
    taken = pair.config("edge", tunnels=[*BASE, TWO])
    taken["routes"] += [{"prefix": "203.0.114.0/24", "tunnel": "two"},
                        {"prefix": "10.2.0.0/24", "tunnel": "two"}]
    refuse("a route that exists", taken, "cannot add the route to 10.2.0.0/24")
    away = pair.config("edge")
    away["ipsec_tunnels"][0]["state_dir"] = pair.directory
    refuse("another directory of numbers", away,
           "ipsec_tunnels[0].state_dir: cannot change while the gateway runs")
    keyless = pair.config("edge", esp=[{}, {"key_file": "/nowhere"}])
    refuse("a key file that is not there", keyless, "/nowhere: No such file")
    many = pair.config("edge")
    many["gre_tunnels"] += [{
        "name": f"n{i}", "cloudflare_gre_endpoint": EDGE4, "customer_gre_endpoint": CUST4,
        "key": 1000 + i} for i in range(300)]
    refuse("more tunnels than there is room for", many, "has room for 256")
    done, said = edge.reload(good)
    t.check("what was right before is right again, but for the TTL of before", done and
            f"no tunnel added\n{pair.keys[0].name} changed\nno tunnel removed" in said, said)


def get(gateway, page):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(5)
        s.connect(gateway.control)
        s.sendall(f"GET {page} HTTP/1.0\r\n\r\n".encode())
        answer = b""
        while data := s.recv(4096):
            answer += data
        return answer.decode()


def check_scopes(t, pair):
    """Routes count where their scope says; a reload may tell a gateway that it is elsewhere."""
    edge = pair.edge

    def takes(**where):
        config = {**pair.config("edge"), **where}
        for name, scope in (("keyed", {"colo_regions": ["WEUR"]}),
                            ("other", {"colo_regions": ["APAC"], "colo_names": ["den01"]})):
            config["routes"].append({"prefix": "203.0.113.200/32", "tunnel": name,
                                     "scope": scope, "priority": 50 if name == "keyed" else 60})
        done, said = edge.reload(config)
        before = [edge.tunnel(name)["encap"]["packets"] for name in ("keyed", "other")]
        for _ in range(3):
            ping("edge", "203.0.113.200", 1)
        after = [edge.tunnel(name)["encap"]["packets"] for name in ("keyed", "other")]
        return done and [b > a for a, b in zip(before, after)], said

    for where, want in (({"region": "WEUR"}, [True, False]), ({"region": "APAC"}, [False, True]),
                        ({"colo": "den01"}, [False, True]), ({}, [True, False])):
        got, said = takes(**where)
        t.check(f"routes count by their scope: {where}", got == want, (got, said))
    edge.reload(pair.config("edge"))


def check_inbound(t, pair):
    """Sources that are not the tunnel's, and addresses that may not travel, where that is asked."""
    edge = pair.edge

    def reasons():
        return edge.tunnel("one")["decap"]["reasons"]

    ping("cust", inner4(20, 0), 1, "-I", CUST4)
    t.check("any source passes where nothing is said", "E_SPOOFED" not in reasons(), reasons())
    config = pair.config("edge")
    config["gre_tunnels"][0].update(anti_spoofing=True, drop_martians=True)
    done, said = edge.reload(config)
    t.check("a reload may ask for it", done, said)
    t.check("the far end's own address passes", ping("cust", inner4(20, 0), 1), reasons())
    ping("cust", inner4(20, 0), 1, "-I", CUST4)
    t.check("a source that no route leads to does not",
            eventually(lambda: reasons().get("E_SPOOFED", 0) == 1), reasons())
    edge.reload(pair.config("edge"))


def check_hangup(t, pair):
    edge = pair.edge
    edge.rewrite(pair.config("edge", tunnels=[*BASE, TWO]))
    edge.process.send_signal(signal.SIGHUP)
    t.check("SIGHUP does the same", eventually(
        lambda: "two" in [tunnel["name"] for tunnel in edge.stats()["tunnels"]]), edge.messages())
    edge.rewrite(pair.config("edge"))
    edge.process.send_signal(signal.SIGHUP)
    t.check("and back", eventually(
        lambda: "two" not in [tunnel["name"] for tunnel in edge.stats()["tunnels"]]),
        edge.messages())


def check_reloads(t, program, directory):
    keys = [Keys(directory, i) for i in (GCM, gateway_ipsec.REPLAY)]
    for k in keys:
        k.write_both()
    pair = Pair(program, directory, keys)
    edge, cust = pair.edge, pair.cust
    try:
        for gateway in (edge, cust):
            t.check(f"{gateway.node} is ready", gateway.line.startswith("ready"),
                    gateway.messages())
        if t.failed:
            return
        streams = [
            ("from a client through GRE", Stream("net", "orig", SERVER, 7300).start()),
            ("from a client through IPsec", Stream("net", "orig", "203.0.113.81", 7301).start()),
            ("to the edge through GRE", Stream("cust", "edge", inner4(20, 0), 7302).start()),
            ("to the edge through IPsec", Stream("cust", "edge", inner4(0, 0), 7303).start())]
        t.check("streams flow", eventually(lambda: all(len(s.got) > 100 for _, s in streams)),
                [len(s.got) for _, s in streams])
        old = edge.tunnel("one")["encap"]["packets"]
        sequence = outbound(edge, keys[0].name)["sequence"]
        check_changes(t, pair)
        check_refusals(t, pair)
        check_hangup(t, pair)
        check_scopes(t, pair)
        check_inbound(t, pair)
        for name, stream in streams:
            why = stream.end()
            t.check(f"not one packet of the stream {name} is lost or moved", why is None, why)
        t.check("counters and sequence numbers have gone on",
                edge.tunnel("one")["encap"]["packets"] > old + 1000 and
                outbound(edge, keys[0].name)["sequence"] > sequence + 1000 and
                not cust.tunnel(keys[0].name)["decap"]["reasons"], cust.tunnel(keys[0].name))
        answer = get(edge, "/reload")
        t.check("a gateway cannot be told by GET", answer.startswith("HTTP/1.0 405 ") or
                answer.startswith("HTTP/1.1 405 "), answer)
    finally:
        for gateway in (edge, cust):
            if gateway.process.poll() is None:
                t.check(f"{gateway.node} ends with status 0", gateway.stop() == 0,
                        gateway.messages())
                t.check(f"{gateway.node} leaves nothing behind", not leftovers(gateway.node),
                        leftovers(gateway.node))


def check_all(t, program, directory):
    make_network()
    check_threads(t, program, directory)
    check_reloads(t, program, directory)


if __name__ == "__main__":
    sys.exit(main("check_reload", ("ping",), NODES, check_all))
