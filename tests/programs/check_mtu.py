#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""Packets that do not fit, between two gateways and over a path whose MTU changes.

    usage: check_mtu.py PROGRAM        (the path of tunnelcap-gateway)
"""
import hashlib
import os
import re
import socket
import sys
import threading

import mtu_lab
from gateway_ipsec import CBC256, GCM128
from gateway_lab import At, eventually, main, run
from mtu_doc import check_doc
from mtu_lab import (NODES, ask, client4, filter_icmp, gateways, make_network, serve_echoes, server4,
                     server6, set_path_mtu)

# Kind, name, outer family, options, algorithm; and the inner MTU over a path of 1500.
TUNNELS = [
    (("gre_tunnels", "gre4", 4, {}, None), 1476),
    (("gre_tunnels", "gre4full", 4, {"key": 7, "checksum": True, "sequence": True}, None), 1464),
    (("gre_tunnels", "gre4udp", 4, {"udp_port": 4754}, None), 1468),
    (("gre_tunnels", "gre6", 6, {}, None), 1456),
    (("gre_tunnels", "gre6limit", 6, {"encap_limit": 4, "key": 8}, None), 1444),
    (("ipip_tunnels", "ipip4", 4, {}, None), 1480),
    (("ipsec_tunnels", "esp4", 4, {}, GCM128), 1446),
    (("ipsec_tunnels", "esp4udp", 4, {"udp": True}, GCM128), 1438),
    (("ipsec_tunnels", "esp4cbc", 4, {}, CBC256), 1438),
    (("ipsec_tunnels", "esp6", 6, {}, GCM128), 1426),
    (("gre_tunnels", "gre4outer", 4, {"fragment": "outer", "key": 9}, None), 1472),
    (("gre_tunnels", "gre6outer", 6, {"fragment": "outer", "key": 9}, None), 1452),
]
OUTER = (10, 11)
BLOB = 3_000_000


def tunnels():
    return [tunnel for tunnel, _ in TUNNELS]


# ----------------------------------------------------------------------------------- what fits


def told_mtu(address, size, *options):
    """What ping hears about a packet of this size with "don't fragment"; None if it passes."""
    header = 48 if ":" in address else 28
    text = run("ping", "-n", "-M", "do", "-c", "1", "-W", "2", "-s", str(size - header), *options,
               address, node="clnt", check=False).stdout
    if " 0% packet loss" in text:
        return None
    told = re.search(r"mtu ?= ?(\d+)", text)
    return int(told.group(1)) if told else text


def forget_paths():
    """What hosts have learned about the MTU of their paths."""
    for node in ("clnt", "orig"):
        run("ip", "route", "flush", "cache", node=node)
        run("ip", "-6", "route", "flush", "cache", node=node)


def check_numbers(t, edge):
    """The largest packet passes; one byte more is answered with the exact number."""
    for i, ((_, name, _, _, _), mtu) in enumerate(TUNNELS):
        t.check(f"{name} knows its MTU", edge.tunnel(name)["mtu"] == mtu, edge.tunnel(name))
        for address, source in ((server4(i), client4(i)), (server6(i), mtu_lab.client6(i))):
            t.check(f"{name} carries pings to {address}", eventually(
                lambda a=address, s=source: told_mtu(a, 100, "-I", s) is None), "no answer")
            forget_paths()
            t.check(f"{name} takes {mtu} bytes to {address}",
                    told_mtu(address, mtu, "-I", source) is None, "no answer")
            told = told_mtu(address, mtu + 1, "-I", source)
            t.check(f"{name} tells {mtu} to {address}", told == mtu, told)
        icmp = edge.tunnel(name)["encap"]["icmp_sent"]
        t.check(f"{name} counts its messages", icmp >= 2, edge.tunnel(name))
    forget_paths()
    text = run("tracepath", "-n", "-m", "4", server4(0), node="clnt", check=False).stdout
    t.check("tracepath shows it", "pmtu 1476" in text and "10.99.0.0" in text, text)


# --------------------------------------------------------------------------------- datagrams


def sizes_for(mtu, family):
    header, most = (28, 65507) if family == 4 else (48, 65527)
    return [1, 2, 100, 1000, mtu - header - 1, mtu - header, mtu - header + 1, 1500 - header,
            1500 - header + 1, 2 * (mtu - 20), 4000, 9000, 20011, 32768, 65000, most - 1, most]


def check_datagrams(t, pair):
    """Of every size, both ways, in every tunnel; nothing comes in part, or twice."""
    failures, threads = [], []

    def work(i, mtu):
        for family in (4, 6):
            # The sender of an IPv6 packet must be told first, and so must the one who echoes it.
            failures.extend((TUNNELS[i][0][1], family, size) for size in sizes_for(mtu, family)
                            if not ask(i, family, size, 2 if family == 4 else 4))

    forget_paths()
    for i, (_, mtu) in enumerate(TUNNELS):
        threads.append(threading.Thread(target=work, args=(i, mtu)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    t.check("datagrams of all sizes arrive whole, both ways", not failures, failures)
    for gateway in pair:
        for i, ((_, name, _, _, _), _) in enumerate(TUNNELS):
            out = gateway.tunnel(name)["encap"]
            t.check(f"{gateway.node} has fragmented for {name}", out["fragments"] > 300, out)
            t.check(f"{name} of {gateway.node} drops nothing else", not set(out["reasons"]) -
                    {"E_TOO_BIG", "E_RATE_LIMITED"}, out)
        t.check(f"{gateway.node} has sent everything", not
                gateway.stats()["outer"]["send_errors"], gateway.stats()["outer"])


def outer_fragments(i):
    """How many fragments of outer packets pass the path while a large datagram does."""
    with At("path"):
        s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.ntohs(3))
        s.bind(("cust0", 3))
    with s:
        s.setblocking(False)
        done = ask(i, 4, 30000, 2)
        count = 0
        while True:
            try:
                packet = s.recv(65535)
            except BlockingIOError:
                return done, count
            if packet[0] >> 4 == 4:
                count += packet[9] == 47 and packet[6:8] not in (b"\0\0", b"\x40\0")
            else:
                count += packet[6] == 44


def check_outer_fragments(t):
    forget_paths()
    for i in range(len(TUNNELS)):
        done, count = outer_fragments(i)
        name = TUNNELS[i][0][1]
        t.check(f"{name} carries 30000 bytes", done, "no echo")
        t.check(f"{name} fragments {'outer' if i in OUTER else 'inner'} packets",
                count > 20 if i in OUTER else count == 0, count)


def check_policies(t, program, directory):
    """What a tunnel may do with a packet that is too big is its own affair."""
    policies = [("gre_tunnels", "cleared", 4, {"key": 1, "clear_dont_fragment_bit": True}, None),
                ("gre_tunnels", "refused", 4, {"key": 2, "fragment": "refuse"}, None),
                ("gre_tunnels", "reassembled", 6, {"key": 3, "reassemble": True}, None),
                ("ipsec_tunnels", "fixed", 4, {"path_mtu": 1300,
                                               "path_mtu_discovery": "fixed"}, GCM128)]
    with gateways(t, program, directory, policies) as (edge, cust):
        forget_paths()
        t.check("DF is cleared where that is asked for", told_mtu(server4(0), 1500, "-I",
                                                                  client4(0)) is None and
                edge.tunnel("cleared")["encap"]["fragments"] == 2, edge.tunnel("cleared"))
        t.check("but IPv6 is answered all the same", told_mtu(
            server6(0), 1500, "-I", mtu_lab.client6(0)) == 1472, edge.tunnel("cleared"))
        text = run("ping", "-n", "-M", "dont", "-c", "1", "-W", "2", "-s", "1472", "-I",
                   client4(1), server4(1), node="clnt", check=False).stdout
        t.check("what could be fragmented is answered where that is asked for",
                "mtu = 1472" in text, text)
        forget_paths()
        t.check("inner fragments are put together where that is asked for", ask(2, 4, 20000, 1) and
                [g.tunnel("reassembled")["decap"]["reassembled"] for g in (edge, cust)] == [1, 1],
                cust.tunnel("reassembled"))
        t.check("a fixed path MTU stands", edge.tunnel("fixed")["path_mtu"] == 1300 and
                told_mtu(server4(3), 1500, "-I", client4(3)) == edge.tunnel("fixed")["mtu"] == 1246,
                edge.tunnel("fixed"))
    forget_paths()


# --------------------------------------------------------------------------------------- TCP


class Transfer(threading.Thread):
    """Bytes both ways over TCP, half of them before the test lets it go on."""

    def __init__(self, i):
        super().__init__(daemon=True)
        self.data = os.urandom(BLOB)
        self.back = hashlib.sha256()
        self.count, self.go_on, self.error = 0, threading.Event(), None
        with At("orig"):
            self.listener = socket.create_server((server4(i), 8000))
        with At("clnt"):
            self.socket = socket.create_connection((server4(i), 8000), timeout=60,
                                                   source_address=(client4(i), 0))
        threading.Thread(target=self.echo, daemon=True).start()
        self.start()

    def echo(self):
        peer, _ = self.listener.accept()
        with peer, self.listener:
            while data := peer.recv(65536):
                peer.sendall(data)

    def push(self):
        half = BLOB // 2
        self.socket.sendall(self.data[:half])
        self.go_on.wait(30)
        self.socket.sendall(self.data[half:])
        self.socket.shutdown(socket.SHUT_WR)

    def run(self):
        threading.Thread(target=self.push, daemon=True).start()
        try:
            with self.socket:
                while data := self.socket.recv(65536):
                    self.back.update(data)
                    self.count += len(data)
        except OSError as error:
            self.error = error

    def half_way(self):
        return self.count >= BLOB // 2

    def end(self):
        self.go_on.set()
        self.join(60)
        return not self.is_alive() and self.back.digest() == hashlib.sha256(self.data).digest()


def check_link_drop(t, program, directory):
    """The link shrinks while TCP that nobody has clamped is under way."""
    with gateways(t, program, directory, tunnels(), clamp_mss=False) as pair:
        transfers = [Transfer(i) for i in range(len(TUNNELS))]
        for i, transfer in enumerate(transfers):
            t.check(f"a transfer through {TUNNELS[i][0][1]} is under way",
                    eventually(transfer.half_way, 20), (transfer.count, transfer.error))
        set_path_mtu(1400)
        for i, transfer in enumerate(transfers):
            name = TUNNELS[i][0][1]
            t.check(f"it ends although the link has become smaller ({name})", transfer.end(),
                    (transfer.count, transfer.error))
            t.check(f"both ends of {name} have learned the path MTU",
                    [gateway.tunnel(name)["path_mtu"] for gateway in pair] == [1400, 1400],
                    [gateway.tunnel(name) for gateway in pair])
            t.check(f"the MTU of {name} follows, and so does the MSS", all(
                g.tunnel(name)["mtu"] <= 1380 and
                g.tunnel(name)["mss4"] == g.tunnel(name)["mtu"] - 40 for g in pair),
                [g.tunnel(name) for g in pair])
        t.check("a line tells of it", all("path MTU" in g.messages() for g in pair),
                pair[0].messages())
        forget_paths()
        t.check("senders are told the number of now", told_mtu(server4(0), 1500) == 1376,
                told_mtu(server4(0), 1500))
        set_path_mtu(1500)


def check_filtered(t, program, directory):
    """No router says anything: probes through the tunnel find out."""
    set_path_mtu(1400)
    t.check("ICMP can be filtered", filter_icmp(True), "iptables")
    fits = {"gre4": 1376, "gre6": 1356, "esp4udp": 1338}
    probed = [i for i, ((_, name, _, _, _), _) in enumerate(TUNNELS) if name in fits]
    with gateways(t, program, directory, tunnels(), clamp_mss=False,
                  path_mtu_discovery="probe") as (edge, cust):
        for name, mtu in fits.items():
            t.check(f"probing finds the MTU of {name}", eventually(
                lambda n=name, m=mtu: all(
                    (g.tunnel(n)["mtu"], g.tunnel(n)["path_mtu_source"],
                     g.tunnel(n)["path_mtu_probing"]) == (m, "probed", 0) for g in (edge, cust)),
                60), (edge.tunnel(name), cust.tunnel(name)))
        for i in probed:
            transfer = Transfer(i)
            t.check(f"TCP passes {TUNNELS[i][0][1]} without ICMP from the path", transfer.end(),
                    (transfer.count, transfer.error))
    filter_icmp(False)
    set_path_mtu(1500)


def check_all(t, program, directory):
    make_network(len(TUNNELS))
    with gateways(t, program, directory, tunnels()) as pair:
        for gateway in pair:
            t.check(f"{gateway.node} is ready", gateway.line.startswith("ready"),
                    gateway.messages())
        if t.failed:
            return
        check_numbers(t, pair[0])
        check_doc(t, program, directory, lambda: forget_paths() or told_mtu(server4(0), 1500))
        serve_echoes(len(TUNNELS))
        check_datagrams(t, pair)
        check_outer_fragments(t)
    check_policies(t, program, directory)
    check_link_drop(t, program, directory)
    check_filtered(t, program, directory)


if __name__ == "__main__":
    sys.exit(main("check_mtu", ("iptables", "ip6tables", "ping", "tracepath",
                                 "tcpdump", "ethtool", "ss", "nstat"), NODES, check_all))
