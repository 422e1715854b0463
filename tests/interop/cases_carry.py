# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""Every kind of tunnel carries every kind of packet to the Linux kernel and back."""
import collections

import wire
from lab import INNER4, INNER4_FAR, INNER6, INNER6_FAR, NOT_COMING, expect

# guest: arguments of `ip link add tun0`. gre: flags that each GRE header must have, None for
# IP in IP. chain: protocol numbers of packets that we send and of those that the guest sends.
Tunnel = collections.namedtuple("Tunnel", "kind options guest families gre ours theirs")

V4 = "local 10.99.0.2 remote 10.99.0.1 ttl 64"
V6 = "local fd99::2 remote fd99::1"
FULL = wire.GRE_KEY | wire.GRE_CHECKSUM | wire.GRE_SEQUENCE
FULL_CONFIG = {"key_in": 8, "key_out": 7, "checksum": True, "sequence": True}
FULL_GUEST = "ikey 7 okey 8 icsum ocsum iseq oseq"

# GRO stays off: TCP segments in GRE in UDP that GRO has merged are dropped by both kernels'
# UDP, which counts them as InErrors.
GUEST_FOU = ("modprobe -a fou fou6\nip fou add port 4754 ipproto 47\n"
             "ip fou add port 4754 ipproto 47 -6\nethtool -K eth0 gro off\n")
LIMITED = (wire.DESTINATION_OPTIONS,)

TUNNELS = {
    "gre": Tunnel("gre", {}, "type gre " + V4, "46", 0, (47,), (47,)),
    "gre_key": Tunnel("gre", {"key": 4294967295}, "type gre key 4294967295 " + V4, "46",
                      wire.GRE_KEY, (47,), (47,)),
    "gre_key_checksum_sequence": Tunnel(
        "gre", FULL_CONFIG, "type gre %s %s" % (FULL_GUEST, V4), "46", FULL, (47,), (47,)),
    "ip6gre_with_encapsulation_limit": Tunnel(
        "gre", {"outer": 6, "encap_limit": 4}, "type ip6gre encaplimit 4 " + V6, "46", 0,
        LIMITED + (47,), LIMITED + (47,)),
    "ip6gre_without_encapsulation_limit": Tunnel(
        "gre", {"outer": 6}, "type ip6gre encaplimit none " + V6, "46", 0, (47,), (47,)),
    "ip6gre_key_checksum_sequence": Tunnel(
        "gre", dict(FULL_CONFIG, outer=6),
        "type ip6gre encaplimit none %s %s" % (FULL_GUEST, V6), "46", FULL, (47,), (47,)),
    "gre_in_udp": Tunnel(
        "gre", {"udp_port": 4754},
        "type gre %s encap fou encap-sport auto encap-dport 4754 encap-csum" % V4, "46", 0,
        (17,), (17,)),
    "gre_in_udp_without_checksum_from_the_kernel": Tunnel(
        "gre", {"udp_port": 4754},
        "type gre %s encap fou encap-sport 40000 encap-dport 4754 noencap-csum" % V4, "46", 0,
        (17,), (17,)),
    "gre_in_udp_over_ipv6": Tunnel(
        "gre", {"udp_port": 4754, "outer": 6},
        "type ip6gre encaplimit none %s encap fou encap-sport auto encap-dport 4754 encap-udp6-csum"
        % V6, "46", 0, (17,), (17,)),
    "gre_in_udp_key_checksum_sequence": Tunnel(
        "gre", dict(FULL_CONFIG, udp_port=4754),
        "type gre %s %s encap fou encap-sport auto encap-dport 4754 encap-csum"
        % (FULL_GUEST, V4), "46", FULL, (17,), (17,)),
    "ipip": Tunnel("ipip", {}, "type ipip " + V4, "4", None, (4,), (4,)),
    "6in4": Tunnel("ipip", {}, "type sit " + V4, "6", None, (41,), (41,)),
    "4in6_with_encapsulation_limit": Tunnel(
        "ipip", {"outer": 6, "encap_limit": 4}, "type ip6tnl mode ipip6 encaplimit 4 " + V6, "4",
        None, LIMITED + (4,), LIMITED + (4,)),
    "6in6_with_encapsulation_limit": Tunnel(
        "ipip", {"outer": 6, "encap_limit": 4}, "type ip6tnl mode ip6ip6 encaplimit 4 " + V6, "6",
        None, LIMITED + (41,), LIMITED + (41,)),
    "ip6tnl_without_encapsulation_limit": Tunnel(
        "ipip", {"outer": 6}, "type ip6tnl mode any encaplimit none " + V6, "46", None,
        None, None),
}


def guest_setup(arguments, families="46"):
    """Shell text that makes the guest's end with its inner addresses."""
    setup = GUEST_FOU if "encap fou" in arguments else ""
    setup += "ip link add tun0 %s\nip link set tun0 up\n" % arguments
    if "4" in families:
        setup += "ip addr add %s/30 dev tun0\n" % INNER4_FAR
    if "6" in families:
        setup += "ip addr add %s/127 dev tun0 nodad\n" % INNER6_FAR
    return setup


def mtu_of(lab, gateway):
    """The MTU of our tunnel, which must be what the kernel thinks of its own end."""
    ours = gateway.stats()["tunnels"][0]["mtu"]
    theirs = int(lab.guest.check("cat /sys/class/net/tun0/mtu"))
    expect(ours == theirs, "our MTU is %d, the kernel's %d" % (ours, theirs))
    return ours


def check_pings(lab, local, far, header, mtu):
    """Empty, small, exactly the MTU, and beyond it: the latter is fragmented inside."""
    sizes = [0, 1, 56, 1001, mtu - header, 3000]
    for size in sizes:
        options = ["-s", str(size), "-M", "do" if size <= mtu - header else "dont"]
        # The first packet that is too large over IPv6 is answered with the MTU.
        expect(lab.ping_from_host(far, *options) or
               (":" in far and size > mtu - header and lab.ping_from_host(far, *options)),
               "ping of %d bytes to %s" % (size, far))
    expect(not lab.ping_from_host(far, "-M", "do", "-s", str(mtu - header + 1),
                                  patience=NOT_COMING),
           "a packet above the MTU passed")
    lost = lab.ping_from_guest(local, sizes[-2:])
    expect(not lost, "pings from the guest to %s without answer: sizes %s" % (local, lost))


def check_wire(packets, tunnel):
    """What passed the wire is the tunnel in question, both ways, and nothing else."""
    seen = {True: 0, False: 0}
    for packet in packets:
        outer = wire.read_ip(packet)
        if 58 in outer.chain:
            continue  # neighbour discovery
        ours = str(outer.src) in ("10.99.0.1", "fd99::1")
        chain = tunnel.ours if ours else tunnel.theirs
        expect(outer.chain == chain if chain else outer.chain[0] in (4, 41),
               "headers %s on the wire" % (outer.chain,))
        expect(not outer.more and outer.offset == 0, "an outer packet was fragmented")
        seen[ours] += 1
        if tunnel.gre is not None:
            data = outer.payload[8:] if outer.chain == (wire.UDP,) else outer.payload
            expect(wire.read_gre(data).flags == tunnel.gre,
                   "GRE flags %#06x on the wire" % wire.read_gre(data).flags)
        if ours and outer.chain == (wire.UDP,):
            expect(outer.payload[6:8] != b"\0\0", "a UDP checksum of zero")
    expect(min(seen.values()) > 100, "too few packets on the wire: %s" % seen)


def carries(lab, tunnel):
    """Ping and TCP, opened from either end, in every family, in packets of all sizes."""
    options = dict(tunnel.options, families=tunnel.families)
    with lab.tunnel(tunnel.kind, options, guest_setup(tunnel.guest, tunnel.families)) as gateway, \
            lab.sniff("kp0") as sniffer:
        mtu = mtu_of(lab, gateway)
        for family, local, far, header in (("4", INNER4, INNER4_FAR, 28),
                                           ("6", INNER6, INNER6_FAR, 48)):
            if family not in tunnel.families:
                continue
            check_pings(lab, local, far, header, mtu)
            lab.tcp_from_guest(local)
            lab.tcp_from_host(far)
        check_wire(sniffer.drain(), tunnel)
        for direction in ("encap", "decap"):
            refused = gateway.refused(direction)
            expect(not refused, "%s refused packets: %s" % (direction, refused))


def cases():
    """One case for each tunnel: its name and what runs it."""
    for name, tunnel in TUNNELS.items():
        yield name, lambda lab, tunnel=tunnel: carries(lab, tunnel)
