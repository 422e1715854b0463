# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""Network namespaces with gateways in them, and what tests do there.

The namespaces, all named tcg-..., and the addresses in them:

    net   client and Internet   10.2.0.1 (to edge), 10.3.0.1 (to cust)
    edge  gateway               192.0.2.1, 2001:db8:2::2
    cust  gateway               198.51.100.1, 2001:db8:3::2
    orig  server behind cust    203.0.113.80 ... : one address for each tunnel

What the client sends to 203.0.113.0/24 goes to the edge and through the tunnels; what the server
answers goes straight back (direct server return).
"""
import ctypes
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

PREFIX = f"tcg-{os.getpid()}-"
NODES = ("net", "edge", "cust", "orig")
EDGE4, CUST4 = "192.0.2.1", "198.51.100.1"
EDGE6, CUST6 = "2001:db8:2::2", "2001:db8:3::2"
SOL_TCP_MAXSEG = 2
SIZE = 300_000  # bytes of a transfer
SERVERS = 9     # addresses of the server
THREADS = int(os.environ.get("TUNNELCAP_GATEWAY_THREADS", "1"))  # of gateways in tests


class Results:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def check(self, name, truth, why=""):
        if truth:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAIL {name}: {why}")

    def skip(self, name, why):
        self.skipped += 1
        print(f"SKIP {name}: {why}")

    def close(self):
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        return 1 if self.failed else 0


def run(*command, check=True, node=None, **options):
    if node:
        command = ("ip", "netns", "exec", PREFIX + node, *command)
    return subprocess.run(command, check=check, text=True, capture_output=True, timeout=20,
                          **options)


class At:
    """Within it, sockets are made in a node's network namespace (of this thread only)."""

    libc = ctypes.CDLL(None, use_errno=True)

    def __init__(self, node):
        self.node = node

    def __enter__(self):
        self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{PREFIX}{self.node}", os.O_RDONLY)
        self.switch(there)
        os.close(there)

    def __exit__(self, *_):
        self.switch(self.home)
        os.close(self.home)

    def switch(self, fd):
        if self.libc.setns(fd, 0x40000000) != 0:
            raise OSError(ctypes.get_errno(), "setns")


def cable(node1, dev1, node2, dev2, *pairs):
    run("ip", "link", "add", dev1, "netns", PREFIX + node1, "type", "veth", "peer", "name", dev2,
        "netns", PREFIX + node2)
    for node, dev in ((node1, dev1), (node2, dev2)):
        run("ip", "link", "set", dev, "up", node=node)
    for one, two in pairs:
        flags = ["nodad"] if ":" in one else []
        run("ip", "addr", "add", one, "dev", dev1, *flags, node=node1)
        run("ip", "addr", "add", two, "dev", dev2, *flags, node=node2)


def make_nodes(nodes):
    for node in nodes:
        run("ip", "netns", "add", PREFIX + node)
        run("ip", "link", "set", "lo", "up", node=node)
        run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1",
            "net.ipv6.conf.all.keep_addr_on_down=1", "net.ipv4.conf.all.rp_filter=0",
            "net.ipv4.conf.default.rp_filter=0", node=node)


def make_network():
    make_nodes(NODES)
    # Strict about sources, as many hosts are, although clients' packets come out of tunnels while
    # the way back to them leads elsewhere: the gateway has to cope.
    run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1", node="cust")
    cable("net", "edge0", "edge", "eth0", ("10.2.0.1/24", "10.2.0.2/24"),
          ("2001:db8:2::1/64", EDGE6 + "/64"))
    cable("net", "cust0", "cust", "eth0", ("10.3.0.1/24", "10.3.0.2/24"),
          ("2001:db8:3::1/64", CUST6 + "/64"))
    cable("cust", "lan0", "orig", "eth0", ("203.0.113.1/24", "203.0.113.80/24"))
    for i in range(1, SERVERS):
        run("ip", "addr", "add", f"203.0.113.{80 + i}/24", "dev", "eth0", node="orig")
    run("ip", "route", "add", "default", "via", "203.0.113.1", node="orig")
    for node, gateway, address in (("edge", "10.2.0.1", EDGE4), ("cust", "10.3.0.1", CUST4)):
        run("ip", "addr", "add", address + "/32", "dev", "lo", node=node)
    add_routes("edge", "cust")
    run("ip", "route", "add", EDGE4, "via", "10.2.0.2", node="net")
    run("ip", "route", "add", "203.0.113.0/24", "via", "10.2.0.2", node="net")
    run("ip", "route", "add", CUST4, "via", "10.3.0.2", node="net")


def add_routes(*nodes):
    for node in nodes:
        gate = {"edge": 2, "cust": 3}[node]
        run("ip", "route", "replace", "default", "via", f"10.{gate}.0.1", node=node)
        run("ip", "route", "replace", "default", "via", f"2001:db8:{gate}::1", node=node)


def remove_nodes(nodes):
    for node in nodes:
        run("ip", "netns", "del", PREFIX + node, check=False)


def inner4(i, host):
    return f"10.99.0.{2 * i + host}"


def inner6(i, host):
    return f"fd99::{2 * i + host:x}"


class Gateway:
    """A running gateway; the constructor returns once it is ready or has ended."""

    def __init__(self, program, directory, node, config, prefix=()):
        self.program, self.node = program, node
        self.control = config["control"] = os.path.join(directory, node + ".sock")
        config.setdefault("threads", THREADS)
        self.file = os.path.join(directory, node + ".json")
        with open(self.file, "w", encoding="ascii") as file:
            json.dump(config, file)
        command = [] if node == "user" else ["ip", "netns", "exec", PREFIX + node]
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([*command, *prefix, program, "run", self.file], text=True,
                                        stdout=subprocess.PIPE, stderr=self.log)
        ready, _, _ = select.select([self.process.stdout], [], [], 10)
        self.line = self.process.stdout.readline() if ready else ""

    def messages(self):
        """All lines so far. The gateway writes on where its own place in the file is."""
        with open(f"/proc/self/fd/{self.log.fileno()}", encoding="utf-8") as log:
            return log.read()

    def rewrite(self, config):
        """Put another configuration in the place of the one that it was started with."""
        text = json.dumps({"threads": THREADS, **config, "control": self.control})
        self.write(text)

    def write(self, text):
        with open(self.file + ".new", "w", encoding="ascii") as file:
            file.write(text)
        os.rename(self.file + ".new", self.file)

    def reload(self, config=None):
        """Have it read its file anew; returns whether it did, and what it said of that."""
        if config is not None:
            self.rewrite(config)
        done = run(self.program, "reload", "--control", self.control, check=False)
        return done.returncode == 0, done.stdout + done.stderr

    def stats(self):
        return json.loads(run(self.program, "stats", "--json", "--control", self.control).stdout)

    def tunnel(self, name):
        return next(t for t in self.stats()["tunnels"] if t["name"] == name)

    def wait(self):
        try:
            return self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return "still running after 5 s"
        finally:
            self.process.stdout.close()

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.wait()


def ping(node, address, count=2, *options):
    return run("ping", "-n", "-c", str(count), "-i", "0.2", "-W", "1", *options, address,
               node=node, check=False).returncode == 0


def eventually(truth, seconds=5):
    end = time.monotonic() + seconds
    while not truth():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def serve(listener):
    """Take SIZE bytes from each connection, then give as many back."""
    while True:
        try:
            peer, _ = listener.accept()
        except OSError:
            return
        with peer:
            peer.settimeout(10)
            data = b""
            while len(data) < SIZE:
                more = peer.recv(65536)
                if not more:
                    break
                data += more
            peer.sendall(data[::-1])


def carry(address, data, node="net"):
    """Send data to the server by way of a tunnel; returns what came back and the MSS in use."""
    with At(node):
        s = socket.create_connection((address, 8000), timeout=10)
    with s:
        mss = s.getsockopt(socket.IPPROTO_TCP, SOL_TCP_MAXSEG)
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        back = b""
        while more := s.recv(65536):
            back += more
        return back, mss


def ipv4(source, target, protocol, payload):
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 255, protocol, 0,
                         socket.inet_aton(source), socket.inet_aton(target))
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xffff) + (total >> 16)
    total = (total & 0xffff) + (total >> 16)
    return header[:10] + struct.pack("!H", total ^ 0xffff) + header[12:] + payload


def leftovers(node):
    rules = [run(f"{tool}-save", check=False, node=node).stdout
             for tool in ("iptables", "iptables-legacy", "ip6tables", "ip6tables-legacy")]
    links = run("ip", "-o", "link", "show", node=node).stdout
    routes = run("ip", "route", "show", node=node).stdout
    return [text for text in rules if "NFQUEUE" in text] + \
           [text for text in (links, routes) if "tcg0" in text]


def expect_refusal(t, name, words, program, directory, config, prefix=()):
    gateway = Gateway(program, directory, "edge", config, prefix)
    status = gateway.wait() if not gateway.line else gateway.stop()
    text = gateway.messages()
    t.check(name, not gateway.line and status == 1 and words in text, (gateway.line, text))
    t.check(f"{name}: nothing left behind", not leftovers("edge"), leftovers("edge"))


def obstacle(tools):
    """Why this cannot be run here, or None."""
    if os.geteuid() != 0:
        return "not root"
    if not os.path.exists("/dev/net/tun"):
        return "no /dev/net/tun"
    for tool in ("ip", "sysctl", "unshare", *tools):
        if shutil.which(tool) is None:
            return f"no {tool}"
    if run("unshare", "-n", "true", check=False).returncode != 0:
        return "network namespaces are not allowed"
    return None


def main(name, tools, nodes, check_all):
    """What the program given on the command line does between namespaces; an exit status."""
    if len(sys.argv) != 2:
        print(f"usage: {name}.py PROGRAM        (the path of tunnelcap-gateway)", file=sys.stderr)
        return 2
    t = Results()
    reason = obstacle(tools)
    if reason:
        t.skip(name, reason)
        return t.close()
    directory = tempfile.mkdtemp()
    os.chmod(directory, 0o777)  # some gateways run as another user
    try:
        check_all(t, os.path.abspath(sys.argv[1]), directory)
    finally:
        remove_nodes(nodes)
        shutil.rmtree(directory)
    return t.close()
