#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""A gateway looks after the health of its tunnels, and its routes leave those that are down.

    usage: check_health.py PROGRAM        (the path of tunnelcap-gateway)
"""
import os
import sys

from gateway_ipsec import GCM, Keys
from gateway_lab import (CUST4, CUST6, EDGE4, EDGE6, NODES, Gateway, eventually, inner4, inner6,
                         leftovers, main, make_network, ping, run)
from gateway_stream import Stream

SERVER = "203.0.113.80"


def watched(kind, direction, **more):
    return {"health_check": {"enabled": True, "rate": "high", "type": kind, "direction": direction,
                             **more}}


# Each kind of probe, by each way of its answer. The first two are for one prefix, over IPv4 and
# IPv6: either can be cut alone.
TUNNELS = [
    ("gre_tunnels", "first", 4, watched("reply", "unidirectional")),
    ("gre_tunnels", "second", 6, watched("reply", "bidirectional")),
    ("gre_tunnels", "asked", 4, {"key": 3, **watched("request", "bidirectional")}),
    ("gre_tunnels", "asked-outside", 4, {"key": 4, **watched("request", "unidirectional")}),
    ("ipip_tunnels", "outside6", 6, watched("reply", "unidirectional")),
    ("gre_tunnels", "target", 4, {"key": 5, **watched("request", "unidirectional",
                                                      target={"saved": "203.0.113.1"})}),
    ("gre_tunnels", "unwatched", 4, {"key": 6, "health_check": {"enabled": False}}),
]
IPSEC = 20  # place of its inner addresses


def make_config(side, directory, keys, tunnels=TUNNELS):
    node = "edge" if side == "edge" else "cust"
    state = os.path.join(directory, node + ".state")
    os.makedirs(state, 0o700, exist_ok=True)
    config = {"side": side, "tun": "tcg0", "threads": 2, "state_dir": state, "gre_tunnels": [],
              "ipip_tunnels": [], "routes": []}
    for i, (kind, name, family, options) in enumerate(tunnels):
        config[kind].append({
            "name": name,
            "cloudflare_gre_endpoint": EDGE4 if family == 4 else EDGE6,
            "customer_gre_endpoint": CUST4 if family == 4 else CUST6,
            "interface_address": inner4(i, 0) + "/31",
            "interface_address6": inner6(i, 0) + "/127", **options})
    config["ipsec_tunnels"] = [{
        "name": "esp", "cloudflare_endpoint": EDGE4, "customer_endpoint": CUST4,
        "key_file": keys.files[node], "interface_address": inner4(IPSEC, 0) + "/31",
        **watched("reply", "bidirectional")}]
    if side == "edge":
        config["routes"] = [{"prefix": "203.0.113.0/24", "tunnel": "first", "priority": 100},
                            {"prefix": "203.0.113.0/24", "tunnel": "second", "priority": 200}]
    return config


def health(gateway, name):
    return gateway.tunnel(name).get("health", {})


def cut(verb, tool="iptables"):
    """GRE over IPv4, halfway."""
    for program in (tool, tool + "-legacy", tool + "-nft"):
        if run(program, verb, "FORWARD", "-p", "47", "-j", "DROP", node="net",
               check=False).returncode == 0:
            return True
    return False


def carried(edge, name):
    return edge.tunnel(name)["encap"]["packets"]


def check_probes(t, edge):
    names = [name for _, name, _, _ in TUNNELS if name != "unwatched"] + ["esp"]
    for name in names:
        t.check(f"probes of {name} are answered", eventually(
            lambda n=name: health(edge, n).get("answered", 0) >= 3, 10), edge.tunnel(name))
        t.check(f"{name} is healthy", edge.tunnel(name)["state"] == "healthy" and
                health(edge, name)["failed"] == 0 and health(edge, name)["rtt_ns"] > 0,
                edge.tunnel(name))
    t.check("a tunnel that nobody watches is not probed", not health(edge, "unwatched"),
            edge.tunnel("unwatched"))


def check_failover(t, edge):
    stream = Stream("net", "orig", SERVER, 7400)
    stream.window = None  # what is lost does not stop it
    stream.start()
    t.check("packets take the first tunnel", eventually(
        lambda: carried(edge, "first") > 100) and carried(edge, "second") == 0, edge.stats())
    if not cut("-A"):
        t.skip("a failover", "iptables cannot filter here")
        stream.end()
        return
    t.check("a tunnel that is cut goes down", eventually(
        lambda: edge.tunnel("first")["state"] == "down", 20), edge.tunnel("first"))
    t.check("the log says so", eventually(lambda: "first is down, was " in edge.messages()),
            edge.messages())
    before, got = carried(edge, "second"), len(stream.got)
    t.check("packets take the second tunnel, and arrive", eventually(
        lambda: carried(edge, "second") > before + 100 and len(stream.got) > got + 100),
        edge.stats())
    t.check("the second tunnel does not suffer", edge.tunnel("second")["state"] == "healthy",
            edge.tunnel("second"))
    cut("-D")
    t.check("a tunnel that answers again is degraded for a while", eventually(
        lambda: edge.tunnel("first")["state"] == "degraded", 20) and
        "first is degraded, was down" in edge.messages(), edge.tunnel("first"))
    before = carried(edge, "first")
    t.check("and is not taken before it is healthy", eventually(
        lambda: carried(edge, "second") > 300) and carried(edge, "first") == before,
        edge.stats())
    stream.end()


def check_reload(t, edge, directory, keys):
    """States survive a change of something else, and watches come and go."""
    tunnels = [*TUNNELS[:6], ("gre_tunnels", "unwatched", 4, {
        "key": 6, **watched("reply", "bidirectional")})]
    before = health(edge, "asked")["answered"]
    done, said = edge.reload(make_config("edge", directory, keys, tunnels))
    t.check("a watch is added", done and "unwatched changed" in said and eventually(
        lambda: health(edge, "unwatched").get("answered", 0) >= 2),
        (said, edge.tunnel("unwatched")))
    t.check("the others keep what they know", health(edge, "asked")["answered"] >= before and
            edge.tunnel("first")["state"] == "degraded", edge.stats())
    tunnels[3] = ("gre_tunnels", "asked-outside", 4, {"key": 4})
    done, said = edge.reload(make_config("edge", directory, keys, tunnels))
    t.check("a watch is ended", done and "asked-outside changed" in said and
            not health(edge, "asked-outside"), (said, edge.tunnel("asked-outside")))


def check_all(t, program, directory):
    make_network()
    keys = Keys(directory, GCM)
    keys.write_both()
    cust = Gateway(program, directory, "cust", make_config("customer", directory, keys))
    for address in (EDGE4, EDGE6):  # the way is known, before a probe has to wait for it
        ping("cust", address, 1)
    edge = Gateway(program, directory, "edge", make_config("edge", directory, keys))
    try:
        for gateway in (edge, cust):
            t.check(f"{gateway.node} is ready", gateway.line.startswith("ready"),
                    gateway.messages())
        if t.failed:
            return
        check_probes(t, edge)
        t.check("the customer's side does not probe", not health(cust, "asked"),
                cust.tunnel("asked"))
        check_failover(t, edge)
        check_reload(t, edge, directory, keys)
    finally:
        for gateway in (edge, cust):
            t.check(f"{gateway.node} ends with status 0", gateway.stop() == 0, gateway.messages())
            t.check(f"{gateway.node} leaves nothing behind", not leftovers(gateway.node),
                    leftovers(gateway.node))


if __name__ == "__main__":
    sys.exit(main("check_health", ("ping",), NODES, check_all))
