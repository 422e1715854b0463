# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""Streams of numbered packets, which tell what became of each of them."""
import socket
import struct
import threading
import time

from gateway_lab import At, eventually

PACE = 0.0004  # between two packets of a stream: 2500 a second at most
WINDOW = 12    # packets of a stream under way: less than any queue holds, on any machine


class Stream:
    """Numbered packets of one flow from a node to an address, until it is told to stop.

    It waits for its packets to arrive, but for a few, so that nothing is lost for want of speed; a
    stream that has lost those few stands still, which shows.
    """

    def __init__(self, node, target, address, port, size=64, source=""):
        self.size, self.window = size, WINDOW
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with At(target):
            self.receiver = socket.socket(family, socket.SOCK_DGRAM)
        self.receiver.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)  # SO_RCVBUFFORCE
        self.receiver.bind(("", port))
        with At(node):
            self.sender = socket.socket(family, socket.SOCK_DGRAM)
        self.sender.bind((source, 0))
        self.sender.connect((address, port))
        self.sent, self.got = 0, []
        self.stopping, self.complete = threading.Event(), threading.Event()
        self.threads = [threading.Thread(target=job, daemon=True)
                        for job in (self.take, self.give)]

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def send(self):
        self.sender.send(struct.pack("!I", self.sent).ljust(self.size, b"."))
        self.sent += 1

    def give(self):
        while not self.stopping.is_set():
            if self.window is None or self.sent - len(self.got) < self.window:
                self.send()
            time.sleep(PACE)

    def take(self):
        self.receiver.settimeout(0.2)
        while not self.complete.is_set():
            try:
                self.got.append(struct.unpack("!I", self.receiver.recv(65536)[:4])[0])
            except TimeoutError:
                pass

    def end(self):
        """Wait for what is under way; returns what is wrong with what came, or None."""
        self.stopping.set()
        self.threads[1].join()
        eventually(lambda: len(self.got) >= self.sent)
        self.complete.set()
        self.threads[0].join()
        self.sender.close()
        self.receiver.close()
        if self.sent == 0:
            return "nothing was sent"
        if self.got == list(range(self.sent)):
            return None
        lost = self.sent - len(set(self.got))
        return f"{self.sent} sent, {lost} lost, {len(self.got) - self.sent + lost} twice, " \
               f"in order: {self.got == sorted(self.got)}"
