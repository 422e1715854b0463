# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""The host's side of the interoperation tests: a namespace with TAP devices to the guest, our
gateway, listeners on devices, and TCP between host and guest."""
import contextlib
import hashlib
import json
import os
import pathlib
import random
import socket
import subprocess
import threading
import time

import kernel_peer
import wire

HOST4, GUEST4 = "10.99.0.1", "10.99.0.2"      # outer addresses
HOST6, GUEST6 = "fd99::1", "fd99::2"
INNER4, INNER4_FAR = "172.31.0.1", "172.31.0.2"  # addresses inside the tunnel under test
INNER6, INNER6_FAR = "fd77::a", "fd77::b"
TUN = "tc0"

GUEST_SETUP = """
date -s @%d >/dev/null
for device in eth0 eth1; do
    sysctl -qw net.ipv6.conf.$device.accept_dad=0 net.ipv6.conf.$device.accept_ra=0
    ip link set $device up
done
ip addr add 10.99.0.2/24 dev eth0
ip addr add fd99::2/64 dev eth0 nodad
head -c 150000 /dev/urandom > blob
sha256sum blob
"""


# How long to wait for an answer that must not come.
NOT_COMING = 0.4


class Failure(Exception):
    """What a case says when something is not as it must be."""


class Skip(Exception):
    """What a case says that cannot be run here."""


def expect(condition, why):
    """Fail the case unless the condition holds."""
    if not condition:
        raise Failure(why)


def host(*command, check=True, timeout=30):
    """Run a command on the host, and return what it printed."""
    done = subprocess.run(command, check=False, text=True, timeout=timeout,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if check and done.returncode != 0:
        raise Failure("%s: %s" % (" ".join(command), done.stdout.strip()))
    return done.stdout


def wait_for(condition, seconds, why):
    """Poll until the condition holds; its value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        expect(time.monotonic() < end, why)
        time.sleep(0.02)


class Sniffer:
    """Collects what passes a device, both ways, as IP packets."""

    def __init__(self, device):
        self.packets = []
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.ntohs(3))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self._socket.bind((device, 3))
        self._socket.settimeout(0.05)

    def drain(self):
        """Everything so far, the last of it a moment after it was sent."""
        with contextlib.suppress(socket.timeout):
            while True:
                packet, address = self._socket.recvfrom(65536)
                if address[1] in (wire.IPV4, wire.IPV6):
                    self.packets.append(packet)
        return self.packets

    def next(self, wanted, seconds):
        """The first packet from now on that `wanted` is true of."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(socket.timeout):
                packet = self._socket.recv(65536)
                if wanted(packet):
                    return packet
        raise Failure("no packet of the kind expected")

    def close(self):
        self._socket.close()


class Gateway:
    """Our gateway with one tunnel, the guest being its customer."""

    def __init__(self, lab, kind, options, routes):
        tunnel = dict(options, name="t")
        families = tunnel.pop("families", "46")
        if "4" in families:
            tunnel["interface_address"] = INNER4 + "/30"
        if "6" in families:
            tunnel["interface_address6"] = INNER6 + "/127"
        ends = (HOST6, GUEST6) if tunnel.pop("outer", 4) == 6 else (HOST4, GUEST4)
        names = ("cloudflare_gre_endpoint", "customer_gre_endpoint") if kind == "gre" else \
            ("cloudflare_endpoint", "customer_endpoint")
        tunnel.update(zip(names, ends))
        self.program = str(lab.gateway)
        self.control = os.path.join(lab.directory, "gateway.sock")
        config = pathlib.Path(lab.directory, "gateway.json")
        config.write_text(json.dumps({
            "side": "edge", "tun": TUN, "control": self.control, kind + "_tunnels": [tunnel],
            "routes": [{"prefix": prefix, "tunnel": "t"} for prefix in routes]}))
        self.log = pathlib.Path(lab.directory, "gateway.log")
        with open(self.log, "wb") as log:
            self.process = kernel_peer.popen([self.program, "run", str(config)], stdout=log,
                                             stderr=log)
        try:
            wait_for(self._ready, 5, "the gateway does not start")
        except Failure:
            self.close()
            raise Failure("the gateway does not start: " + self.log.read_text().strip()) from None

    def _ready(self):
        if self.process.poll() is not None:
            raise Failure("ended")
        return subprocess.run([self.program, "stats", "--control", self.control], check=False,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0

    def stats(self):
        """Its counters, as it tells them."""
        return json.loads(host(self.program, "stats", "--json", "--control", self.control))

    def refused(self, direction):
        """Reasons of drops in a direction with their counts, over all tunnels and none."""
        reasons = {}
        stats = self.stats()
        for one in stats["tunnels"] + [stats["no_tunnel"]]:
            for name, count in one[direction]["reasons"].items():
                reasons[name] = reasons.get(name, 0) + count
        return reasons

    def close(self):
        """Stop it; its exit status."""
        self.process.terminate()
        try:
            return self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failure("the gateway does not end when told to") from None


class Lab:
    """What all cases share."""

    def __init__(self, guest, directory, build):
        self.guest = guest
        self.directory = directory
        self.build = pathlib.Path(build)
        self.gateway = self.build / "examples/gateway/tunnelcap-gateway"
        self.blob = random.Random(1).randbytes(150000)
        self.far_sum = guest.check(GUEST_SETUP % time.time()).split()[0]

    @contextlib.contextmanager
    def tunnel(self, kind, options, guest_setup, routes=()):
        """Our gateway here and a tunnel device there, both gone afterwards."""
        self.guest.check(guest_setup)
        gateway = Gateway(self, kind, options, routes)
        try:
            yield gateway
        except BaseException:
            gateway.close()
            raise
        else:
            status = gateway.close()
            expect(status == 0, "the gateway ended with status %d: %s"
                   % (status, gateway.log.read_text().strip()))
        finally:
            self.guest.run("for device in tun0 tun1; do ip link del $device; done 2>/dev/null;"
                           "nft flush ruleset; ip fou del port 4754 2>/dev/null &&"
                           "ip fou del port 4754 -6 && ethtool -K eth0 gro on")

    @contextlib.contextmanager
    def sniff(self, device):
        """Listen on a device of the host."""
        sniffer = Sniffer(device)
        try:
            yield sniffer
        finally:
            sniffer.close()

    # ------------------------------------------------------------------------------- traffic
    def ping_from_host(self, address, *options, patience=2):
        """Ping once; whether the answer came."""
        done = subprocess.run(["ping", "-n", "-c", "1", "-W", str(patience), *options, address],
                              check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return done.returncode == 0

    def ping_from_guest(self, address, sizes, patience=2):
        """Ping once with each size of payload; sizes without an answer."""
        return self.guest.check(
            "for size in %s; do ping -n -c 1 -W %s -s $size %s >/dev/null || echo $size; done"
            % (" ".join(map(str, sizes)), patience, address)).split()

    def tcp_from_guest(self, address):
        """A connection that the guest opens, with data both ways at the same time."""
        with contextlib.closing(_listen(address)) as listener:
            result = {}
            server = threading.Thread(target=lambda: result.update(
                got=exchange(listener.accept()[0], self.blob)))
            server.start()
            far = self.guest.check("nc -w 5 %s 9000 < blob | sha256sum" % address).split()[0]
            server.join(20)
        self._compare(result.get("got"), far)

    def tcp_from_host(self, address):
        """A connection that the host opens, with data both ways at the same time."""
        self.guest.check("rm -f got; nc -l -p 9001 < blob > got & echo $! > nc.pid\n"
                         "until netstat -ltn | grep -q :9001; do usleep 20000; done")
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        connection = socket.socket(family)
        connection.settimeout(15)
        connection.connect((address, 9001))
        got = exchange(connection, self.blob)
        far = self.guest.check("for i in $(seq 50); do kill -0 $(cat nc.pid) 2>/dev/null ||"
                               " break; usleep 20000; done; sha256sum < got").split()[0]
        self._compare(got, far)

    def _compare(self, got, far):
        """What either side got, the far one as a sum, is what the other has sent."""
        expect(got is not None and hashlib.sha256(got).hexdigest() == self.far_sum,
               "TCP data from the guest arrived damaged or not at all")
        expect(hashlib.sha256(self.blob).hexdigest() == far,
               "TCP data to the guest arrived damaged or not at all")


def _listen(address):
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.settimeout(15)
    listener.bind((address, 9000))
    listener.listen()
    return listener


def exchange(connection, blob):
    """Send a blob while receiving until the end; what came."""
    def send():
        with contextlib.suppress(OSError):
            connection.sendall(blob)
            connection.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    with connection:
        connection.settimeout(15)
        sender.start()
        got = bytearray()
        with contextlib.suppress(OSError):
            while data := connection.recv(65536):
                got += data
        sender.join()
    return bytes(got)
