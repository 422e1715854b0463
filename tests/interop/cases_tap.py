# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""Ethernet in GRE against the kernel's gretap, by a small program with a TAP device."""
import contextlib

import kernel_peer
import wire
from lab import GUEST4, GUEST6, HOST4, HOST6, expect, host, wait_for

LOCAL, FAR = "172.29.0.1", "172.29.0.2"


@contextlib.contextmanager
def tap_gre(lab, device, *arguments):
    """The program, for as long as the block lasts."""
    process = kernel_peer.popen([str(lab.build / "tests/interop/tap_gre"), device, *arguments])
    try:
        wait_for(lambda: device in host("ip", "-br", "link"), 5, "tap_gre makes no device")
        host("ip", "addr", "add", LOCAL + "/24", "dev", device)
        host("ip", "link", "set", device, "mtu", "1400", "up")
        yield
    finally:
        process.terminate()
        process.wait(5)


def carries_ethernet(lab, guest, arguments, flags):
    """ARP, ping and TCP in frames, both ways."""
    lab.guest.check("ip link add tun0 %s\nip addr add %s/24 dev tun0\n"
                    "ip link set tun0 mtu 1400 up\n" % (guest, FAR))
    try:
        with tap_gre(lab, "tg0", *arguments), lab.sniff("kp0") as sniffer:
            for size in ("0", "1372", "5000"):
                expect(lab.ping_from_host(FAR, "-s", size), "ping of %s bytes" % size)
            lab.tcp_from_guest(LOCAL)
            lab.tcp_from_host(FAR)
            outers = [wire.read_ip(packet) for packet in sniffer.drain()]
            heads = [wire.read_gre(outer.payload) for outer in outers
                     if outer.chain[-1] == wire.GRE]
            expect(len(heads) > 100, "only %d GRE packets" % len(heads))
            expect({(head.flags, head.protocol) for head in heads} == {(flags, 0x6558)},
                   "GRE headers %s" % {head[:2] for head in heads})
    finally:
        lab.guest.run("ip link del tun0")


def gretap(lab):
    carries_ethernet(lab, "type gretap local %s remote %s" % (GUEST4, HOST4), (HOST4, GUEST4), 0)


def gretap_with_key(lab):
    carries_ethernet(lab, "type gretap key 5 local %s remote %s" % (GUEST4, HOST4),
                     (HOST4, GUEST4, "5"), wire.GRE_KEY)


def ip6gretap(lab):
    carries_ethernet(lab, "type ip6gretap encaplimit none local %s remote %s" % (GUEST6, HOST6),
                     (HOST6, GUEST6), 0)


def cases():
    """Ethernet over either family."""
    for function in (gretap, gretap_with_key, ip6gretap):
        yield function.__name__, function
