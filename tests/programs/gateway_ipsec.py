# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""IPsec tunnels between two gateways: keys, their change, and what goes wrong with them."""
import json
import os
import re
import secrets
import signal
import socket
import threading
import time

from gateway_lab import (CUST4, CUST6, EDGE4, EDGE6, SIZE, At, Gateway, carry, eventually,
                         expect_refusal, inner4, inner6, ipv4, ping, run, serve)
from gateway_sequence import SequenceNumbers, check_crash, check_pause

GCM128 = {"enc": "aes-gcm", "enc_key": 16, "salt": 4, "icv_len": 16, "auth": "none"}
GCM256 = {**GCM128, "enc_key": 32}
CBC256 = {"enc": "aes-cbc", "enc_key": 32, "icv_len": 16, "auth": "hmac-sha2-256-128",
          "auth_key": 32}
CHACHA = {"enc": "chacha20-poly1305", "enc_key": 32, "salt": 4, "icv_len": 16, "auth": "none"}

# Name, outer family, algorithm, options. The last one's edge does not know where its far end is:
# behind NAT, which all UDP from the customer to the edge goes through.
TUNNELS = [
    ("esp4-aes-gcm-with-a-long-name", 4, GCM128, {}),
    ("esp4cbc", 4, CBC256, {}),
    ("esp6chacha", 6, CHACHA, {}),
    ("esp6cbc", 6, CBC256, {}),
    ("esp4udp", 4, CHACHA, {"udp": True}),
    ("esp6udp", 6, GCM256, {"udp": True}),
    ("esp4replay", 4, GCM256, {"replay_protection": True}),
    ("esp4nat", 4, GCM128, {"udp": True}),
]
GCM, UDP, REPLAY, NAT = 0, 4, 6, 7
# 1500 - 40 (IPv6) - 8 (ESP) - 16 (IV) - 16 (ICV), in whole blocks, without the trailer
SMALLEST_MTU = 1406


class Keys:
    """The SAs of one tunnel, in files of both ends."""

    def __init__(self, directory, index):
        self.name, self.family, self.algorithm, self.options = TUNNELS[index]
        self.index = index
        self.files = {side: os.path.join(directory, f"{self.name}.{side}.keys")
                      for side in ("edge", "cust")}
        self.to_cust = [self.make("edge", 0)]
        self.to_edge = [self.make("cust", 0)]

    def ends(self):
        return (EDGE4, CUST4) if self.family == 4 else (EDGE6, CUST6)

    def make(self, source, generation):
        edge, cust = self.ends()
        sa = {"src": edge, "dst": cust} if source == "edge" else {"src": cust, "dst": edge}
        sa.update(spi=0x1000 * (generation + 1) + 2 * self.index + (source == "cust"),
                  mode="tunnel", esn=False, replay_window=64, salt="", auth_key="")
        for field, value in self.algorithm.items():
            sa[field] = secrets.token_hex(value) if "key" in field or field == "salt" else value
        if "udp" in self.options:
            sa["udp_encap"] = [4500, 4500]
        return sa

    def write(self, side, sas, mode=0o600):
        """Replaced in one step, as operators should."""
        path = self.files[side]
        with open(path + ".new", "w", encoding="ascii",
                  opener=lambda p, f: os.open(p, f, mode)) as file:
            if self.algorithm is CBC256:
                file.writelines(xfrm(sa) for sa in sas)
            else:
                json.dump({"schema": "tunnelcap-sa/1", "sas": sas}, file)
        os.chmod(path + ".new", mode)
        os.rename(path + ".new", path)

    def write_both(self, outbound=-1):
        """All SAs in, the chosen generation out."""
        self.write("edge", self.to_edge + [self.to_cust[outbound]])
        self.write("cust", self.to_cust + [self.to_edge[outbound]])


def xfrm(sa):
    return (f"ip xfrm state add src {sa['src']} dst {sa['dst']} proto esp spi {sa['spi']:#x} "
            f"mode tunnel enc 'cbc(aes)' 0x{sa['enc_key']} "
            f"auth-trunc 'hmac(sha256)' 0x{sa['auth_key']} 128\n")


def make_config(side, directory, keys, **more):
    node = "edge" if side == "edge" else "cust"
    state = os.path.join(directory, node + ".state")
    os.makedirs(state, 0o700, exist_ok=True)
    config = {"side": side, "tun": "tcg0", "state_dir": state, "ipsec_tunnels": []}
    for i, k in enumerate(keys):
        edge, cust = k.ends()
        tunnel = {"name": k.name, "cloudflare_endpoint": edge, "customer_endpoint": cust,
                  "interface_address": inner4(i, 0) + "/31",
                  "interface_address6": inner6(i, 0) + "/127",
                  "key_file": k.files[node], "health_check": {"enabled": False}, **k.options}
        if side == "edge" and i == NAT:
            del tunnel["customer_endpoint"]
        config["ipsec_tunnels"].append(tunnel)
    return {**config, **more}


def outbound(gateway, name):
    return next((sa for sa in gateway.tunnel(name)["sas"] if sa["direction"] == "out"), None)


def reload(gateway):
    """Tell the gateway to read its keys again; returns whether it has taken them over."""
    words = ("read anew", "goes on as before")
    before = [gateway.messages().count(word) for word in words]
    gateway.process.send_signal(signal.SIGHUP)
    eventually(lambda: [gateway.messages().count(word) for word in words] != before)
    return gateway.messages().count(words[0]) > before[0]


def nat(port, before=None):
    """Let UDP from the customer appear at the edge as from 10.2.0.1; False if that cannot be."""
    def rule(tool, verb, number):
        return run(tool, "-t", "nat", verb, "POSTROUTING", "-o", "edge0", "-p", "udp", "--sport",
                   "4500", "-j", "SNAT", "--to-source", f"10.2.0.1:{number}", node="net",
                   check=False).returncode == 0

    for tool in ("iptables", "iptables-legacy", "iptables-nft"):
        if rule(tool, "-A", port):
            return before is None or rule(tool, "-D", before)
    return False


def check_unknown_peer(t, edge, cust):
    name = TUNNELS[NAT][0]
    t.check("a far end that is not known has no outbound SA", outbound(edge, name) is None and
            edge.tunnel(name)["remote"] is None, edge.tunnel(name))
    ping("edge", inner4(NAT, 1), 1)
    t.check("packets to it are refused", edge.tunnel(name)["encap"]["reasons"]
            .get("E_NEED_SA", 0) > 0, edge.tunnel(name))
    t.check("NAT keepalives go out at the start, where the far end is known", eventually(
        lambda: cust.stats()["no_tunnel"]["decap"]["reasons"].get("E_NAT_KEEPALIVE", 0) == 2),
        cust.stats()["no_tunnel"])
    t.check("once it has sent, it is sent to", eventually(
        lambda: ping("cust", inner4(NAT, 0), 1)) and edge.tunnel(name)["remote"] == "10.2.0.1"
        and "its far end is 10.2.0.1, port 5500" in edge.messages(), edge.messages())
    t.check("an unknown far end spends one sender id", outbound(edge, name)["sender_id"] == 0,
            edge.tunnel(name))


def check_pings(t, edge, cust):
    jobs = []
    for i, (name, _, _, _) in enumerate(TUNNELS):
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
    for name, _, _, _ in TUNNELS:
        for one, other in ((edge, cust), (cust, edge)):
            out, into = one.tunnel(name)["encap"], other.tunnel(name)["decap"]
            t.check(f"counters of {name} agree", out["packets"] == into["packets"] >= 8 and
                    out["inner_bytes"] == into["inner_bytes"] < out["outer_bytes"] and
                    not into["reasons"], (out, into))
            sent = outbound(one, name)
            got = next(sa for sa in other.tunnel(name)["sas"] if sa["spi"] == sent["spi"])
            t.check(f"both ends of {name} count the same packets", sent["packets"] ==
                    got["packets"] == out["packets"] and sent["limit"] == "OK", (sent, got))


def check_tcp(t, edge):
    data = os.urandom(SIZE)
    for i, (name, _, _, _) in enumerate(TUNNELS):
        try:
            back, mss = carry(inner4(i, 1), data, "edge")
        except OSError as error:
            t.check(f"TCP through {name}", False, error)
            continue
        t.check(f"TCP through {name}", back == data[::-1], f"{len(back)} bytes came back")
        t.check(f"the MSS fits {name}", mss <= edge.tunnel(name)["mtu"] - 40, mss)


def udp_from_cust(payload):
    with At("cust"):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with s:
        s.sendto(payload, (EDGE4, 4500))


def check_strangers(t, edge, keys):
    def reasons():
        return edge.stats()["no_tunnel"]["decap"]["reasons"]

    alive = reasons().get("E_NAT_KEEPALIVE", 0)
    udp_from_cust(b"\0\0\0\0" + b"x" * 28)
    t.check("IKE is counted", eventually(lambda: reasons().get("E_IKE") == 1), reasons())
    udp_from_cust(b"\xff")
    t.check("NAT keepalives are counted", eventually(
        lambda: reasons().get("E_NAT_KEEPALIVE") == alive + 1), reasons())
    udp_from_cust(b"\x12\x34\x56\x78" + b"x" * 60)
    t.check("an unknown SPI is counted", eventually(lambda: reasons().get("E_NEED_SA") == 1),
            reasons())
    name, spi = TUNNELS[UDP][0], keys[UDP].to_edge[0]["spi"]
    udp_from_cust(spi.to_bytes(4, "big") + b"x" * 60)
    t.check("a forgery is counted at its tunnel", eventually(
        lambda: edge.tunnel(name)["decap"]["reasons"].get("E_AUTH") == 1), edge.tunnel(name))


def sniff(index, address):
    """An ESP packet from the edge, as it arrives at the customer; a ping makes it."""
    with At("cust"):
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ESP)
    with s:
        s.settimeout(5)
        ping("edge", address, 1)
        spi = (0x1000 + 2 * index).to_bytes(4, "big")
        while True:
            packet = s.recv(2048)
            if packet[20:24] == spi:
                return packet


def resend(packet):
    with At("edge"):
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    with s:
        s.sendto(ipv4(EDGE4, CUST4, socket.IPPROTO_ESP, packet[20:]), (CUST4, 0))


def check_replay(t, cust):
    for index, refused in ((REPLAY, 1), (GCM, 0)):
        name = TUNNELS[index][0]
        before = cust.tunnel(name)["decap"]
        resend(sniff(index, inner4(index, 1)))
        t.check(f"a repeated packet is {'refused' if refused else 'taken'} ({name})", eventually(
            lambda n=name, b=before: cust.tunnel(n)["decap"]["packets"] +
            cust.tunnel(n)["decap"]["refused"] == b["packets"] + 2) and
            cust.tunnel(name)["decap"]["reasons"].get("E_REPLAY", 0) == refused,
            cust.tunnel(name))


def check_rekey(t, edge, cust, keys):
    """New keys while packets pass: the new ones in, then out, then the old ones away."""
    pings = []
    data = os.urandom(SIZE)
    results = []
    for i in range(len(TUNNELS)):
        thread = threading.Thread(target=lambda i=i: pings.append(
            run("ping", "-n", "-q", "-c", "250", "-i", "0.004", "-W", "1", inner4(i, 1),
                node="edge", check=False).stdout))
        thread.start()
        results.append(thread)
    for k in keys:
        k.to_cust.append(k.make("edge", 1))
        k.to_edge.append(k.make("cust", 1))
    for step in ("new SAs in", "new SAs out", "old SAs away"):
        for k in keys:
            if step == "old SAs away":
                del k.to_cust[0], k.to_edge[0]
            k.write_both(0 if step == "new SAs in" else -1)
        t.check(f"rekey: {step}", reload(edge) and reload(cust), edge.messages())
        back, _ = carry(inner4(GCM, 1), data, "edge")
        t.check(f"TCP goes on: {step}", back == data[::-1], f"{len(back)} bytes came back")
    for thread in results:
        thread.join()
    t.check("no ping was lost", len(pings) == len(TUNNELS) and
            all(re.search("250 received, 0% packet loss", text) for text in pings), pings)
    for k in keys:
        spis = [sa["spi"] for sa in edge.tunnel(k.name)["sas"]]
        t.check(f"the edge has the new SAs of {k.name} only", spis ==
                [f"{sa[0]['spi']:#010x}" for sa in (k.to_cust, k.to_edge)], spis)
        for one, other in ((edge, cust), (cust, edge)):
            extra = k.index == GCM and other is cust  # the one that was repeated
            t.check(f"nothing of {k.name} was lost", eventually(
                lambda k=k, one=one, other=other, extra=extra: one.tunnel(k.name)["encap"]
                ["packets"] + extra == other.tunnel(k.name)["decap"]["packets"]) and
                not set(other.tunnel(k.name)["decap"]["reasons"]) - {"E_AUTH", "E_REPLAY"},
                (one.tunnel(k.name), other.tunnel(k.name)))


def check_bad_reloads(t, edge, cust, keys):
    k = keys[GCM]
    good = [k.to_edge[0], k.to_cust[0]]
    before = outbound(edge, k.name)
    esn = {**k.to_cust[0], "esn": True}
    iiv = {**k.to_cust[0], "enc": "aes-gcm-iiv"}
    same = {**k.to_edge[0], "enc_key": k.to_cust[0]["enc_key"]}
    stray = {**k.make("edge", 3), "dst": "198.51.100.99"}
    null = {**k.to_cust[0], "enc": "null", "enc_key": "", "salt": "", "auth_key": "00" * 32,
            "auth": "hmac-sha2-256-128"}
    for what, sas, mode, words in (
            ("a file that everybody may read", good, 0o604, k.files["edge"]),
            ("no outbound SA", good[:1], 0o600, "no SA in it leads from here"),
            ("no inbound SA", good[1:], 0o600, "0 SAs in it lead here"),
            ("two outbound SAs", good + [k.make("edge", 3)], 0o600, "a second outbound SA"),
            ("an SA of others", good + [stray], 0o600, "its addresses are not those of"),
            ("ESN with a counter mode", [good[0], esn], 0o600, "extended sequence numbers"),
            ("an implicit IV", [good[0], iiv], 0o600, "implicit IV"),
            ("one key both ways", [same, good[1]], 0o600, "has the same key"),
            ("transport mode", [good[0], {**good[1], "mode": "transport"}], 0o600,
             "only tunnel mode"),
            ("UDP without leave", [good[0], {**good[1], "udp_encap": [4500, 4500]}], 0o600,
             "it is in UDP"),
            ("NULL encryption without leave", [good[0], null], 0o600, "allow_null_cipher"),
            ("a file cut short", [], 0o600, k.files["edge"])):
        k.write("edge", sas, mode)
        if not sas:
            with open(k.files["edge"], "w", encoding="ascii") as file:
                file.write('{"schema": "tunnelcap-sa/1", "sas": [')
        seen = len(edge.messages())
        t.check(f"reload refuses {what}", not reload(edge) and words in edge.messages()[seen:],
                edge.messages()[seen:])
    t.check("and leaves all as it was", outbound(edge, k.name)["spi"] == before["spi"] and
            outbound(edge, k.name)["sender_id"] == before["sender_id"] and
            ping("edge", inner4(GCM, 1), 1), edge.tunnel(k.name))
    k.write("edge", good)
    t.check("unchanged keys keep their SAs", reload(edge) and
            outbound(edge, k.name)["sender_id"] == before["sender_id"] and
            outbound(edge, k.name)["sequence"] >= before["sequence"], edge.tunnel(k.name))

    wrong = {**k.to_edge[0], "enc_key": secrets.token_hex(16)}
    k.write("cust", [k.to_cust[0], wrong])
    t.check("a wrong key is taken over", reload(cust), cust.messages())
    ping("cust", inner4(GCM, 0), 1)
    t.check("what a wrong key encrypts is refused",
            edge.tunnel(k.name)["decap"]["reasons"].get("E_AUTH", 0) > 0, edge.tunnel(k.name))
    k.write("cust", [k.to_cust[0], k.to_edge[0]])
    t.check("and the right one works again", reload(cust) and ping("cust", inner4(GCM, 0), 1),
            cust.messages())


class Tap:
    """Sequence numbers and IVs of ESP in UDP that comes to the customer by an SPI."""

    def __init__(self, spi):
        self.spi = spi.to_bytes(4, "big")
        with At("cust"):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.ntohs(0x0800))
        self.socket.bind(("eth0", 0x0800))
        self.socket.setblocking(False)

    def read(self):
        seen = []
        with self.socket:
            while True:
                try:
                    packet = self.socket.recv(2048)
                except BlockingIOError:
                    return seen
                if packet[9] == 17 and packet[28:32] == self.spi:
                    seen.append((int.from_bytes(packet[32:36], "big"),
                                 int.from_bytes(packet[36:44], "big")))


def check_rebinding(t, edge, keys):
    """The NAT forgets its binding and makes another: the same SA goes on to another port."""
    name = keys[NAT].name
    before = outbound(edge, name)
    tap = Tap(keys[NAT].to_cust[0]["spi"])
    run("sysctl", "-qw", "net.netfilter.nf_conntrack_udp_timeout=1",
        "net.netfilter.nf_conntrack_udp_timeout_stream=1", node="net")
    ping("edge", inner4(NAT, 1), 2)
    t.check("NAT binds anew", nat(5501, 5500), "no rule")
    time.sleep(2)
    t.check("a far end that has moved is sent to", eventually(
        lambda: ping("cust", inner4(NAT, 0), 1)) and
        "its far end is 10.2.0.1, port 5501" in edge.messages(), edge.messages())
    after = outbound(edge, name)
    t.check("with the same SA", (after["spi"], after["sender_id"]) ==
            (before["spi"], before["sender_id"]) and after["sequence"] > before["sequence"],
            (before, after))
    seen = tap.read()
    t.check("which repeats no IV", len(seen) >= 3 and len(set(seen)) == len(seen) and
            all(iv == (before["sender_id"] << 40) + seq - 1 for seq, iv in seen), seen)


def check_restart(t, edge, program, directory, keys):
    """Each start has its own sender id in the first three bytes of each IV."""
    first = sniff_iv(keys)
    status = edge.stop()
    t.check("the edge ends with status 0", status == 0, edge.messages())
    again = Gateway(program, directory, "edge", make_config("edge", directory, keys))
    t.check("the edge starts again", again.line.startswith("ready"), again.messages())
    second = sniff_iv(keys)
    ids = int.from_bytes(first[:3], "big"), int.from_bytes(second[:3], "big")
    t.check("a restart takes the next sender id", ids[1] == ids[0] + 1, (first, second))
    t.check("its counter begins anew", int.from_bytes(second[3:], "big") < 8, second)
    t.check("the statistics tell the sender id",
            outbound(again, keys[GCM].name)["sender_id"] == ids[1], again.tunnel(keys[GCM].name))
    table = run(program, "stats", "--control", again.control).stdout
    t.check("the table shows SPIs and sequence numbers", all(
        f"{k.to_cust[0]['spi']:#010x}" in table for k in keys if k.index != NAT) and
        "SEQUENCE" in table, table)
    return again


def sniff_iv(keys):
    spi = keys[GCM].to_cust[0]["spi"]
    with At("cust"):
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ESP)
    with s:
        s.settimeout(5)
        ping("edge", inner4(GCM, 1), 1)
        while True:
            packet = s.recv(2048)
            if packet[20:24] == spi.to_bytes(4, "big"):
                return packet[28:36]


def check_refusals(t, program, directory, keys):
    config = make_config("edge", directory, keys[:1])
    k = keys[GCM]
    k.write("edge", [k.to_edge[0], k.to_cust[0]], 0o644)
    expect_refusal(t, "a world-readable key file", k.files["edge"], program, directory, config)
    k.write("edge", [k.to_edge[0], k.to_cust[0]])
    nowhere = os.path.join(directory, "nowhere")
    expect_refusal(t, "a state directory that is not there", f"state_dir: {nowhere}: No such file",
                   program, directory, {**config, "state_dir": nowhere})
    everybody = os.path.join(directory, "everybody")
    os.mkdir(everybody)
    os.chmod(everybody, 0o777)
    expect_refusal(t, "a state directory of everybody's", "everybody may write to it", program,
                   directory, {**config, "state_dir": everybody})
    for what, content, which, words in (
            ("a key whose sender ids are used up", "16777216\n", "", "taken up 16777216 times"),
            ("an SA whose numbers are used up", "4294967296\n", ".", "sequence numbers of this key "
             "and SPI are used up: new keys are needed"),
            ("damaged sender ids", "12", "", "does not hold a number"),
            ("damaged sequence numbers", "", ".", "does not hold a number"),
            ("sequence numbers beyond the last", "4294967297\n", ".", "does not hold a number")):
        for name in os.listdir(config["state_dir"]):
            if ("." in name) == (which != "") and "lock" not in name:
                os.rename(os.path.join(config["state_dir"], name), os.path.join(directory, name))
                with open(os.path.join(config["state_dir"], name), "w", encoding="ascii") as file:
                    file.write(content)
        expect_refusal(t, what, words, program, directory, config)
        for name in os.listdir(config["state_dir"]):
            if os.path.exists(os.path.join(directory, name)):
                os.rename(os.path.join(directory, name), os.path.join(config["state_dir"], name))


def check_ipsec(t, program, directory):
    keys = [Keys(directory, i) for i in range(len(TUNNELS))]
    for k in keys:
        k.write_both()
    t.check("NAT is to be had", nat(5500), "iptables")
    cust = Gateway(program, directory, "cust", make_config("customer", directory, keys))
    if "build with OpenSSL" in cust.messages():
        t.check("without OpenSSL the gateway does not start", cust.wait() == 1, cust.line)
        t.skip("IPsec tunnels", "this build is without OpenSSL")
        return
    # The customer begins, or what the edge sends would make it known to the NAT as it is.
    edge = Gateway(program, directory, "edge", make_config("edge", directory, keys))
    with At("cust"):
        listener = socket.create_server(("0.0.0.0", 8000))
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    failed = t.failed
    try:
        for gateway in (edge, cust):
            t.check(f"{gateway.node} with IPsec is ready", f"MTU {SMALLEST_MTU}," in gateway.line,
                    gateway.line + gateway.messages())
        if t.failed > failed:
            return
        check_unknown_peer(t, edge, cust)
        check_pings(t, edge, cust)
        check_tcp(t, edge)
        check_strangers(t, edge, keys)
        check_replay(t, cust)
        check_rekey(t, edge, cust, keys)
        check_bad_reloads(t, edge, cust, keys)
        check_rebinding(t, edge, keys)
        edge = check_restart(t, edge, program, directory, keys)
        for check in (check_crash, check_pause):
            edge = check(t, edge, cust, lambda: Gateway(
                program, directory, "edge", make_config("edge", directory, keys)),
                SequenceNumbers(directory, keys[REPLAY]), inner4(REPLAY, 1))
    finally:
        for gateway in (edge, cust):
            if gateway.process.poll() is None:
                gateway.stop()
        listener.close()
    check_refusals(t, program, directory, keys)
