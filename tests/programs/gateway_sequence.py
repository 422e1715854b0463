# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""Sequence numbers that a far end with a replay window takes, whatever becomes of a gateway."""
import hashlib
import os
import signal
import socket
import threading

from gateway_lab import At, eventually, ping

BLOCK = 65536  # reserved at the start


class SequenceNumbers:
    """Those of one tunnel's SA from the edge: on the disk, and as both ends have them."""

    def __init__(self, directory, keys):
        self.name, self.spi = keys.name, keys.to_cust[0]["spi"]
        self.directory = os.path.join(directory, "edge.state")

    def reserved(self):
        for name in os.listdir(self.directory):
            if name.endswith(f".{self.spi:08x}"):
                with open(os.path.join(self.directory, name), encoding="ascii") as file:
                    return int(file.read())
        return None

    def at(self, gateway):
        return next(sa["sequence"] for sa in gateway.tunnel(self.name)["sas"]
                    if sa["spi"] == f"{self.spi:#010x}")

    def replays(self, cust):
        return cust.tunnel(self.name)["decap"]["reasons"].get("E_REPLAY", 0)


class Stream(threading.Thread):
    """Bytes over TCP from the edge until it is told to stop; both ends know their digest."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.stopping = threading.Event()
        self.sent, self.count, self.answer = hashlib.sha256(), 0, b""
        with At("cust"):
            self.listener = socket.create_server((address, 8001))
        with At("edge"):
            self.socket = socket.create_connection((address, 8001), timeout=30)
        threading.Thread(target=self.take, daemon=True).start()
        self.start()

    def take(self):
        peer, _ = self.listener.accept()
        got = hashlib.sha256()
        with peer, self.listener:
            while data := peer.recv(65536):
                got.update(data)
            peer.sendall(got.digest())

    def run(self):
        with self.socket:
            while not self.stopping.is_set():
                data = os.urandom(16384)
                self.socket.sendall(data)
                self.sent.update(data)
                self.count += len(data)
            self.socket.shutdown(socket.SHUT_WR)
            self.answer = self.socket.recv(32)

    def end(self):
        self.stopping.set()
        self.join(60)
        return self.answer == self.sent.digest()


def flood(address, count):
    with At("edge"):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with s:
        for _ in range(count):
            try:
                s.sendto(b"x", (address, 9))
            except OSError:  # nobody listens there
                pass


def check_crash(t, edge, cust, restart, numbers, address):
    """Killed in mid-transfer, the edge goes on above all that it has sent."""
    stream = Stream(address)
    t.check("a transfer is under way", eventually(lambda: stream.count > 1_000_000), stream.count)
    edge.stop(signal.SIGKILL)
    seen, replays = numbers.at(cust), numbers.replays(cust)
    first = numbers.reserved()
    t.check("what was sent had been reserved", seen < first, (seen, first))
    edge = restart()
    t.check("after a crash the first packet is taken", ping("edge", address, 1) and
            numbers.replays(cust) == replays and numbers.at(cust) >= first,
            (first, cust.tunnel(numbers.name)))
    t.check("the transfer of before goes on and ends", stream.end() and
            numbers.replays(cust) == replays, (stream.count, cust.tunnel(numbers.name)))

    edge.stop()
    t.check("an end in order gives back what was not sent",
            numbers.reserved() == numbers.at(cust) + 1, (numbers.reserved(), numbers.at(cust)))
    edge = restart()
    before = numbers.reserved()
    edge.stop(signal.SIGKILL)
    edge = restart()
    t.check("an idle SA loses one small block to a crash",
            numbers.reserved() == before + BLOCK, (before, numbers.reserved()))
    t.check("and is taken all the same", ping("edge", address, 1) and
            numbers.replays(cust) == replays, cust.tunnel(numbers.name))
    return edge


def check_pause(t, edge, cust, restart, numbers, address):
    """A disk that takes no reservation stops an SA before it runs out, and nothing else."""
    del restart
    first, pings = numbers.reserved(), numbers.replays(cust)
    flood(address, BLOCK // 2 + 1000)
    t.check("a block is reserved before the last one ends", eventually(
        lambda: flood(address, 1000) or numbers.reserved() > first),
        (first, numbers.reserved(), numbers.at(edge)))
    os.chmod(numbers.directory, 0o777)
    t.check("without a reservation nothing is sent", eventually(
        lambda: flood(address, 10000) or "nothing is sent until sequence numbers" in
        edge.messages(), 30), edge.messages())
    last = numbers.at(edge)
    flood(address, 100)
    t.check("not one packet more", numbers.at(edge) == last <= numbers.reserved() and
            edge.tunnel(numbers.name)["encap"]["reasons"].get("E_NEED_SA", 0) > 0,
            (last, edge.tunnel(numbers.name)))
    t.check("why is said", "everybody may write to it" in edge.messages(), edge.messages())
    os.chmod(numbers.directory, 0o700)
    t.check("it goes on when the disk does", eventually(lambda: ping("edge", address, 1)) and
            "sends again" in edge.messages(), edge.messages())
    t.check("nothing of it looks repeated", numbers.replays(cust) == pings,
            cust.tunnel(numbers.name))
    return edge
