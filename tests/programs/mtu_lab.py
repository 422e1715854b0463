# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""A path between two gateways whose MTU can be lowered, with a host behind each of them.

    clnt ---- edge ---- path ---- cust ---- orig

The host behind the edge has an address for each tunnel, and so has the one behind the customer:
what goes between the two with the same number takes the tunnel of that number, both ways.
"""
import contextlib
import json
import os
import secrets
import socket
import threading

from gateway_lab import (CUST4, CUST6, EDGE4, EDGE6, At, Gateway, cable, inner4, inner6, make_nodes,
                         run)

NODES = ("clnt", "edge", "path", "cust", "orig")
ECHO = 7


def client4(i):
    return f"10.1.0.{2 + i}"


def client6(i):
    return f"fd01::{2 + i:x}"


def server4(i):
    return f"203.0.113.{80 + i}"


def server6(i):
    return f"2001:db8:80::{0x80 + i:x}"


def add_hosts(node, *prefixes):
    for prefix in prefixes:
        run("ip", "addr", "add", prefix, "dev", "eth0", *(["nodad"] if ":" in prefix else []),
            node=node)


def make_network(tunnels):
    make_nodes(NODES)
    cable("clnt", "eth0", "edge", "lan0", (client4(0) + "/24", "10.1.0.1/24"),
          (client6(0) + "/64", "fd01::1/64"))
    cable("edge", "eth0", "path", "edge0", ("10.2.0.2/24", "10.2.0.1/24"),
          (EDGE6 + "/64", "2001:db8:2::1/64"))
    cable("path", "cust0", "cust", "eth0", ("10.3.0.1/24", "10.3.0.2/24"),
          ("2001:db8:3::1/64", CUST6 + "/64"))
    cable("cust", "lan0", "orig", "eth0", ("203.0.113.1/24", server4(0) + "/24"),
          ("2001:db8:80::1/64", server6(0) + "/64"))
    for i in range(1, tunnels):
        add_hosts("clnt", client4(i) + "/24", client6(i) + "/64")
        add_hosts("orig", server4(i) + "/24", server6(i) + "/64")
    for node, gate4, gate6 in (("clnt", "10.1.0.1", "fd01::1"),
                               ("edge", "10.2.0.1", "2001:db8:2::1"),
                               ("cust", "10.3.0.1", "2001:db8:3::1"),
                               ("orig", "203.0.113.1", "2001:db8:80::1")):
        run("ip", "route", "add", "default", "via", gate4, node=node)
        run("ip", "route", "add", "default", "via", gate6, node=node)
    for node, address, gate in (("edge", EDGE4, "10.2.0.2"), ("cust", CUST4, "10.3.0.2")):
        run("ip", "addr", "add", address + "/32", "dev", "lo", node=node)
        run("ip", "route", "add", address, "via", gate, node="path")


def set_path_mtu(mtu):
    """That of the link between the path's router and the customer."""
    for node, device in (("path", "cust0"), ("cust", "eth0")):
        run("ip", "link", "set", device, "mtu", str(mtu), node=node)


def filter_icmp(on):
    """Let the path's router tell nobody what is too big; False if that cannot be."""
    verb = "-A" if on else "-D"
    return all(run(tool, verb, "OUTPUT", "-p", protocol, f"--{protocol}-type", kind, "-j", "DROP",
                   node="path", check=False).returncode == 0
               for tool, protocol, kind in (("iptables", "icmp", "fragmentation-needed"),
                                            ("ip6tables", "icmpv6", "packet-too-big")))


def sa(source, target, spi, algorithm, udp):
    entry = {"src": source, "dst": target, "spi": spi, "mode": "tunnel", "esn": False,
             "replay_window": 64, "salt": "", "auth_key": ""}
    for field, value in algorithm.items():
        entry[field] = secrets.token_hex(value) if "key" in field or field == "salt" else value
    if udp:
        entry["udp_encap"] = [4500, 4500]
    return entry


def write_keys(directory, name, ends, spi, algorithm, udp):
    entries = [sa(*ends, spi, algorithm, udp), sa(*ends[::-1], spi + 1, algorithm, udp)]
    path = os.path.join(directory, name + ".keys")
    with open(path, "w", encoding="ascii",
              opener=lambda p, f: os.open(p, f, 0o600)) as file:
        json.dump({"schema": "tunnelcap-sa/1", "sas": entries}, file)
    return path


def make_configs(directory, tunnels, **options):
    """Configurations of both sides for tunnels (kind, name, family, options, algorithm)."""
    configs = {side: {"side": side, "tun": "tcg0", "state_dir":
                      os.path.join(directory, side + ".mtu"), "gre_tunnels": [],
                      "ipip_tunnels": [], "ipsec_tunnels": [], "routes": []}
               for side in ("edge", "customer")}
    for i, (kind, name, family, own, algorithm) in enumerate(tunnels):
        ends = (EDGE4, CUST4) if family == 4 else (EDGE6, CUST6)
        tunnel = {"name": name, "cloudflare_endpoint": ends[0], "customer_endpoint": ends[1],
                  "interface_address": inner4(i, 0) + "/31",
                  "interface_address6": inner6(i, 0) + "/127", **options, **own}
        if algorithm:
            tunnel["key_file"] = write_keys(directory, name, ends, 0x2000 + 2 * i, algorithm,
                                            "udp" in own)
        for side, far in (("edge", (server4, server6)), ("customer", (client4, client6))):
            configs[side][kind].append(tunnel)
            for address, bits in zip(far, (32, 128)):
                configs[side]["routes"].append({"prefix": f"{address(i)}/{bits}", "tunnel": name})
    for config in configs.values():
        os.makedirs(config["state_dir"], 0o700, exist_ok=True)
    return configs["edge"], configs["customer"]


@contextlib.contextmanager
def gateways(t, program, directory, tunnels, **options):
    """Both gateways, running; they are stopped afterwards, and must end as they should."""
    configs = make_configs(directory, tunnels, **options)
    pair = [Gateway(program, directory, node, config)
            for node, config in zip(("edge", "cust"), configs)]
    try:
        yield pair
    finally:
        for gateway in pair:
            status = gateway.wait() if gateway.process.poll() is not None else gateway.stop()
            t.check(f"{gateway.node} ends with status 0", status == 0, gateway.messages())


def no_df(s, family):
    """Datagrams are sent whatever their size, and may be fragmented on their way."""
    if family == 4:
        s.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER, IP_PMTUDISC_DONT
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)


def send_back(s):
    while True:
        data, peer = s.recvfrom(65535)
        with contextlib.suppress(OSError):  # a first hint of the path MTU
            s.sendto(data, peer)


def serve_echoes(count):
    """Send every datagram back, at all addresses of the server, as long as this program runs."""
    for i in range(count):
        for family, address in ((4, server4(i)), (6, server6(i))):
            with At("orig"):
                s = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6,
                                  socket.SOCK_DGRAM)
            no_df(s, family)
            s.bind((address, ECHO))
            threading.Thread(target=send_back, args=(s,), daemon=True).start()


def ask(i, family, size, tries, patience=2):
    """Send a datagram from the client to the server by tunnel i; the echo, or None."""
    ends = (client4(i), server4(i)) if family == 4 else (client6(i), server6(i))
    with At("clnt"):
        s = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    data = secrets.token_bytes(size)
    with s:
        no_df(s, family)
        s.bind((ends[0], 0))
        s.settimeout(patience)
        for _ in range(tries):
            with contextlib.suppress(OSError):
                s.sendto(data, (ends[1], ECHO))
                if s.recv(65535) == data:
                    return True
    return False
