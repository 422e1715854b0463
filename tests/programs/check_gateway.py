#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""Two gateways carry real packets between network namespaces of this script's own.

    usage: check_gateway.py PROGRAM        (the path of tunnelcap-gateway)
"""
import array
import fcntl
import os
import signal
import socket
import struct
import sys
import threading

from gateway_ipsec import check_ipsec
from gateway_lab import (CUST4, CUST6, EDGE4, EDGE6, NODES, SIZE, At, Gateway, add_routes, carry,
                         eventually, expect_refusal, inner4, inner6, ipv4, leftovers, main,
                         make_network, ping, run, serve)

# One tunnel of each sort, all between the same two hosts.
TUNNELS = [
    ("gre_tunnels", "gre4", 4, {}),
    ("gre_tunnels", "gre4full", 4, {"key": 7, "checksum": True, "sequence": True,
                                    "in_order": True}),
    ("gre_tunnels", "gre4keys", 4, {"key_in": 8, "key_out": 9}),
    ("gre_tunnels", "gre4udp", 4, {"udp_port": 4754}),
    ("gre_tunnels", "gre6", 6, {}),
    ("gre_tunnels", "gre6full", 6, {"key": 4294967295, "checksum": True, "sequence": True,
                                    "encap_limit": 4}),
    ("gre_tunnels", "gre6udp", 6, {"udp_port": 4755}),
    ("ipip_tunnels", "ipip4", 4, {}),
    ("ipip_tunnels", "ipip6", 6, {"encap_limit": 4}),
]
# 1500 - 40 (IPv6) - 8 (encapsulation limit) - 16 (GRE with everything)
SMALLEST_MTU = 1436


def make_config(side, **more):
    config = {"side": side, "tun": "tcg0", "gre_tunnels": [], "ipip_tunnels": [], "routes": []}
    for i, (kind, name, family, options) in enumerate(TUNNELS):
        options = dict(options)
        if side == "customer" and "key_in" in options:
            options["key_in"], options["key_out"] = options["key_out"], options["key_in"]
        config[kind].append({
            "name": name,
            "cloudflare_gre_endpoint": EDGE4 if family == 4 else EDGE6,
            "customer_gre_endpoint": CUST4 if family == 4 else CUST6,
            "interface_address": inner4(i, 0) + "/31",
            "interface_address6": inner6(i, 0) + "/127",
            **options})
        if side == "edge":
            config["routes"].append({"prefix": f"203.0.113.{80 + i}/32", "nexthop": inner4(i, 1)})
    return {**config, **more}


def check_pings(t, edge, cust):
    jobs = []
    for i, (_, name, _, _) in enumerate(TUNNELS):
        for node, address in (("edge", inner4(i, 1)), ("edge", inner6(i, 1)),
                              ("cust", inner4(i, 0)), ("cust", inner6(i, 0))):
            result = []
            thread = threading.Thread(target=lambda n=node, a=address, r=result:
                                      r.append(ping(n, a)))
            thread.start()
            jobs.append((f"ping {name} {address} from {node}", thread, result))
    for name, thread, result in jobs:
        thread.join()
        t.check(name, result == [True], "no answer")
    for _, name, _, options in TUNNELS:
        out, into = edge.tunnel(name)["encap"], cust.tunnel(name)["decap"]
        stripped = 8 * into["packets"] if "encap_limit" in options else 0  # by the kernel, unseen
        t.check(f"counters of {name} agree",
                out["packets"] == into["packets"] >= 8 and
                out["inner_bytes"] == into["inner_bytes"] and
                out["outer_bytes"] == into["outer_bytes"] + stripped > out["inner_bytes"],
                (out, into))
        t.check(f"{name} refuses nothing", not out["reasons"] and not into["reasons"],
                (out, into))


def check_tcp(t, edge, cust):
    data = os.urandom(SIZE)
    for i, (_, name, _, _) in enumerate(TUNNELS):
        before = edge.tunnel(name)["encap"]
        try:
            back, mss = carry(f"203.0.113.{80 + i}", data)
        except OSError as error:
            t.check(f"TCP through {name}", False, error)
            continue
        after = edge.tunnel(name)["encap"]
        t.check(f"TCP through {name}", back == data[::-1], f"{len(back)} bytes came back")
        t.check(f"{name} carried the bytes", after["inner_bytes"] - before["inner_bytes"] > SIZE,
                after)
        t.check(f"{name} clamped the SYN", after["clamped"] == before["clamped"] + 1, after)
        t.check(f"the SYN-ACK was clamped on egress ({name})", mss <= SMALLEST_MTU - 40 - 12, mss)
    egress = cust.stats()["clamp_egress"]
    t.check("every SYN-ACK passed the queue and was clamped",
            egress["seen"] == egress["clamped"] == len(TUNNELS), egress)
    t.check("the egress limit is that of the smallest tunnel",
            egress["mss4"] == SMALLEST_MTU - 40, egress)


def send_gre(payload):
    """From the customer's host, past its gateway."""
    with At("cust"):
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    with s:
        s.sendto(ipv4(CUST4, EDGE4, 47, payload), (EDGE4, 0))


def check_strangers(t, edge):
    refused = edge.stats()["no_tunnel"]["decap"]["refused"]
    send_gre(struct.pack("!HHI", 0x2000, 0x0800, 12345) + b"x" * 40)
    t.check("a packet with an unknown key is counted under no tunnel",
            eventually(lambda: edge.stats()["no_tunnel"]["decap"]["reasons"]
                       .get("E_NO_TUNNEL", 0) == refused + 1),
            edge.stats()["no_tunnel"])
    send_gre(struct.pack("!HH", 0x0000, 0x0800) + b"\x45\0\0\x64" + b"x" * 16)
    t.check("a truncated inner packet is counted at its tunnel",
            eventually(lambda: edge.tunnel("gre4")["decap"]["reasons"]
                       .get("E_TRUNCATED", 0) == 1), edge.tunnel("gre4"))
    send_gre(struct.pack("!HH", 0x0000, 0x6558) + b"x" * 60)
    t.check("an Ethernet frame is counted as undeliverable",
            eventually(lambda: edge.stats()["tun"]["undeliverable"] == 1), edge.stats()["tun"])
    send_gre(b"\x00")
    t.check("a packet too short for GRE is counted at the tunnel of its ends",
            eventually(lambda: edge.tunnel("gre4")["decap"]["reasons"]
                       .get("E_TRUNCATED", 0) == 2), edge.tunnel("gre4"))

    # Congestion experienced over an inner packet that cannot tell it: RFC 6040 drops it. The
    # mark is in headers that these sockets strip.
    inner = ipv4("203.0.113.80", "10.2.0.1", 17, b"\0\x50\0\x50\0\x08\0\0")
    for name, family, kind, protocol, level, option, where in (
            ("gre6", socket.AF_INET6, socket.SOCK_RAW, 47, socket.IPPROTO_IPV6,
             socket.IPV6_TCLASS, (EDGE6, 0)),
            ("gre4udp", socket.AF_INET, socket.SOCK_DGRAM, 0, socket.IPPROTO_IP,
             socket.IP_TOS, (EDGE4, 4754))):
        with At("cust"):
            s = socket.socket(family, kind, protocol)
        with s:
            s.setsockopt(level, option, 3)
            s.bind((CUST6 if family == socket.AF_INET6 else CUST4, 0))
            s.sendto(struct.pack("!HH", 0, 0x0800) + inner, where)
        t.check(f"the outer ECN field reaches the library ({name})",
                eventually(lambda: edge.tunnel(name)["decap"]["reasons"].get("E_ECN", 0) == 1),
                edge.tunnel(name))


def check_keepalive(t, edge):
    keepalive = ipv4(EDGE4, CUST4, 47, struct.pack("!HH", 0, 0))
    with At("cust"):
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 47)
    with s:
        s.settimeout(5)
        send_gre(struct.pack("!HH", 0, 0x0800) + keepalive)
        answer = b""
        try:
            while answer[20:] != struct.pack("!HH", 0, 0):
                answer = s.recv(2048)
        except TimeoutError:
            pass
    t.check("a GRE keepalive comes back",
            answer[12:20] == socket.inet_aton(EDGE4) + socket.inet_aton(CUST4), answer)
    t.check("the keepalive is counted as replied", edge.tunnel("gre4")["decap"]["replied"] == 1,
            edge.tunnel("gre4"))


def check_stats(t, edge):
    stats = edge.stats()
    t.check("stats name the side and the TUN device",
            (stats["side"], stats["tun"]["name"]) == ("edge", "tcg0"), stats)
    t.check("the smallest MTU of a tunnel", min(tunnel["mtu"] for tunnel in stats["tunnels"]) ==
            SMALLEST_MTU, stats)
    t.check("tunnels that receive are active",
            {tunnel["state"] for tunnel in stats["tunnels"]} == {"active"}, stats)
    t.check("nothing was lost on the way in or out",
            not stats["outer"]["send_errors"] and not stats["outer"]["receive_errors"] and
            stats["outer"]["overflows"] == 0 and not stats["tun"]["write_errors"], stats)
    table = run(edge.program, "stats", edge.file).stdout
    t.check("the table shows every tunnel", all(name in table for _, name, _, _ in TUNNELS),
            table)
    t.check("the table gives reasons of drops", "E_NO_TUNNEL 1" in table, table)
    t.check("the table tells of keepalives", "keepalives answered: 1" in table, table)


def set_edge_link(mtu):
    for node, device in (("edge", "eth0"), ("net", "edge0")):
        run("ip", "link", "set", device, "mtu", str(mtu), node=node)


def check_link_loss(t, edge):
    set_edge_link(1400)
    ping("edge", inner4(0, 1), 1, "-s", str(SMALLEST_MTU - 28))
    t.check("a packet too large for our own link teaches the tunnel",
            edge.tunnel("gre4")["path_mtu"] == 1400 and edge.tunnel("gre4")["mtu"] == 1376 and
            not edge.stats()["outer"]["send_errors"], (edge.tunnel("gre4"), edge.stats()["outer"]))
    t.check("from then on it passes", eventually(
        lambda: ping("edge", inner4(0, 1), 1, "-s", str(SMALLEST_MTU - 28))), edge.tunnel("gre4"))
    set_edge_link(1500)
    t.check("a packet as large as the smallest tunnel passes the others",
            all(ping("edge", inner4(i, 1), 1, "-s", str(SMALLEST_MTU - 28), "-M", "do")
                for i in range(1, len(TUNNELS))), "no answer")

    run("ip", "link", "set", "eth0", "down", node="edge")
    t.check("no ping without the link", not ping("edge", inner4(0, 1), 1), "it was answered")
    errors = edge.stats()["outer"]["send_errors"]
    t.check("send errors are counted while the link is down",
            bool(set(errors) & {"ENETUNREACH", "ENETDOWN", "EHOSTUNREACH"}), errors)
    run("ip", "link", "set", "eth0", "up", node="edge")
    add_routes("edge")
    t.check("the gateway goes on when the link is back",
            eventually(lambda: ping("edge", inner4(0, 1), 1)), "no ping")


def check_ends(t, edge, cust):
    for gateway, number in ((edge, signal.SIGTERM), (cust, signal.SIGINT)):
        t.check(f"{gateway.node} ends with status 0", gateway.stop(number) == 0,
                gateway.messages())
        t.check(f"{gateway.node} leaves nothing behind", not leftovers(gateway.node),
                leftovers(gateway.node))
        t.check(f"{gateway.node} removes its control socket",
                not os.path.exists(gateway.control), gateway.control)
    t.check("stats without a gateway fail",
            run(edge.program, "stats", edge.file, check=False).returncode == 1, "exit status")


def one_tunnel(**changes):
    tunnel = {"name": "one", "cloudflare_gre_endpoint": EDGE4, "customer_gre_endpoint": CUST4,
              "interface_address": "10.99.0.0/31", **changes}
    return {"side": "edge", "tun": "tcg0", "gre_tunnels": [tunnel]}


def check_refusals(t, program, directory):
    expect_refusal(t, "an endpoint that is not ours", "gre_tunnels[0]: its local endpoint "
                   "192.0.2.99 is not an address of this host", program, directory,
                   one_tunnel(cloudflare_gre_endpoint="192.0.2.99"))
    expect_refusal(t, "a route that exists", "routes[0]: cannot add the route to 10.2.0.0/24",
                   program, directory,
                   {**one_tunnel(), "routes": [{"prefix": "10.2.0.0/24", "tunnel": "one"}]})
    expect_refusal(t, "an endpoint reached through the tunnel itself",
                   "the way to its far endpoint 198.51.100.1 leads into the tunnels", program,
                   directory,
                   {**one_tunnel(), "routes": [{"prefix": "198.51.100.0/24", "tunnel": "one"}]})
    expect_refusal(t, "a user without rights", "CAP_NET_RAW is needed", program, directory,
                   one_tunnel(), ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"))
    with At("edge"):
        taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with taken:
        taken.bind((EDGE4, 4754))
        expect_refusal(t, "a UDP port in use", "another program uses UDP port 4754", program,
                       directory, one_tunnel(udp_port=4754))
    run("ip", "tuntap", "add", "tcg0", "mode", "tun", node="edge")
    gateway = Gateway(program, directory, "edge", one_tunnel())
    t.check("a TUN name in use", gateway.wait() == 1 and
            "there is a device of this name already" in gateway.messages(), gateway.messages())
    run("ip", "link", "del", "tcg0", node="edge")


def merges(node, device):
    """Whether generic receive offload is on."""
    value = array.array("I", [0x2b, 0])  # ETHTOOL_GGRO
    with At(node):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with s:
        fcntl.ioctl(s, 0x8946, struct.pack("16sQ", device.encode(), value.buffer_info()[0]))
    return value[1] != 0


def check_accidents(t, program, directory):
    gateway = Gateway(program, directory, "edge", one_tunnel())
    second = Gateway(program, directory, "cust", one_tunnel())
    t.check("a second gateway on one control socket is refused", second.wait() == 1, second.line)
    run("ip", "link", "del", "tcg0", node="edge")
    t.check("a TUN device that is deleted ends the gateway with status 1",
            gateway.wait() == 1 and "has been taken away" in gateway.messages(),
            gateway.messages())

    # A tunnel over TUN: the one device that merges packets everywhere.
    run("ip", "tuntap", "add", "tcg1", "mode", "tun", node="edge")
    run("ip", "link", "set", "tcg1", "up", node="edge")
    run("ip", "route", "add", "198.51.100.7", "dev", "tcg1", node="edge")
    gateway = Gateway(program, directory, "edge",
                      one_tunnel(customer_gre_endpoint="198.51.100.7"))
    gateway.stop()
    t.check("a device that merges packets is told of",
            "tcg1 merges packets" in gateway.messages(), gateway.messages())
    gateway = Gateway(program, directory, "edge", {
        **one_tunnel(customer_gre_endpoint="198.51.100.7"), "gro_off": ["tcg1"]})
    t.check("it is switched off on demand", not merges("edge", "tcg1") and
            "merges packets" not in gateway.messages(), gateway.messages())
    gateway.stop()
    t.check("and on again at the end", merges("edge", "tcg1"), "off")
    expect_refusal(t, "gro_off of a device that is not there", "gro_off: nosuchdev: cannot switch "
                   "off generic receive offload: No such device", program, directory,
                   {**one_tunnel(), "gro_off": ["nosuchdev"]})
    run("ip", "link", "del", "tcg1", node="edge")

    config = {**make_config("customer"), "clamp_egress": ["eth0", "nosuchdev"]}
    gateway = Gateway(program, directory, "cust", config)
    t.check("a clamp_egress device that is not there is no error", gateway.line.startswith("ready"),
            gateway.messages())
    gateway.process.kill()
    gateway.wait()
    gateway = Gateway(program, directory, "cust", config)
    t.check("rules of a killed gateway are replaced", gateway.line.startswith("ready") and
            "an earlier gateway had left" in gateway.messages(), gateway.messages())
    t.check("and then nothing is left", gateway.stop() == 0 and not leftovers("cust"),
            leftovers("cust"))


def check_user_namespace(t, program, directory):
    """As user 65534 in a user namespace; its /dev/net/tun gets mode 0666, then 0600."""
    node = os.path.join(directory, "tun")
    os.mknod(node, 0o600 | 0o020000, os.makedev(10, 200))
    inside = ("ip addr add 192.0.2.1/32 dev lo && ip link set lo up && exec \"$@\"")
    prefix = ("unshare", "-m", "sh", "-c", f"mount --bind {node} /dev/net/tun && exec \"$@\"", "-",
              "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
              "unshare", "-Urn", "sh", "-c", inside, "-")
    for mode, words in ((0o666, "ready"), (0o600, "user namespace")):
        os.chmod(node, mode)
        config = {**one_tunnel(), "clamp_egress": ["lo"]}
        gateway = Gateway(program, directory, "user", config, prefix)
        if "Operation not permitted" in gateway.messages() and "unshare" in gateway.messages():
            gateway.wait()
            t.skip("a user namespace", "not allowed here")
            return
        said = gateway.line + gateway.messages()
        status = gateway.stop() if gateway.line else gateway.wait()
        t.check(f"in a user namespace with a TUN node of mode {mode:o}",
                words in said and status == (0 if mode == 0o666 else 1), said)


def check_all(t, program, directory):
    make_network()
    with At("orig"):
        listener = socket.create_server(("0.0.0.0", 8000))
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    edge = Gateway(program, directory, "edge", make_config("edge"))
    cust = Gateway(program, directory, "cust", make_config("customer", clamp_egress=["eth0"]))
    try:
        for gateway in (edge, cust):
            t.check(f"{gateway.node} is ready", gateway.line.startswith("ready"),
                    gateway.messages())
        if t.failed:
            return
        check_pings(t, edge, cust)
        check_tcp(t, edge, cust)
        check_strangers(t, edge)
        check_keepalive(t, edge)
        check_stats(t, edge)
        check_link_loss(t, edge)
        check_ends(t, edge, cust)
    finally:
        for gateway in (edge, cust):
            if gateway.process.poll() is None:
                gateway.stop()
        listener.close()
    check_refusals(t, program, directory)
    check_accidents(t, program, directory)
    check_user_namespace(t, program, directory)
    check_ipsec(t, program, directory)


if __name__ == "__main__":
    sys.exit(main("check_gateway", ("iptables", "ping", "setpriv"), NODES, check_all))
