# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""Packets of every size through tunnels to the Linux kernel and back: fragmented inside by us and
inside or outside by the kernel, or refused with the exact number."""
import collections
import json
import pathlib
import secrets

import wire
from cases_carry import FULL_CONFIG, FULL_GUEST, V4, V6, guest_setup
from cases_esp import load_modules
from lab import (GUEST4, GUEST6, HOST4, HOST6, INNER4, INNER4_FAR, INNER6, INNER6_FAR, expect,
                 host, wait_for)

# guest: shell text that makes the guest's end. outside: whether the kernel fragments what it has
# encapsulated; then no packet that it sends is longer inside than what one outer packet carries.
Tunnel = collections.namedtuple("Tunnel", "kind options guest families mtu outside")

SPI = 0x5000
MOST_OUTSIDE = (65535 - 20 - 8 - 8 - 16) // 4 * 4 - 2 - 28  # in ESP with AES-GCM over IPv4
AEAD = "aead 'rfc4106(gcm(aes))' 0x%s 128"


def payloads(mtu, header, most):
    """Bytes of ICMP data: small, about the MTU of tunnel and link, and as much as IP carries."""
    return (0, 1, 2, 507, mtu - header - 1, mtu - header, mtu - header + 1, 1500 - header,
            1501 - header, 2 * mtu, 4000, 9001, 20000, 40000, 65000, most - 1, most)


def echoes(address, size, tries):
    """Whether an echo of this size, which may be fragmented, came back with the same bytes."""
    for _ in range(tries):
        printed = host("ping", "-n", "-M", "dont", "-c", "1", "-W", "3", "-p", "a5", "-s",
                       str(size), address, check=False)
        expect("wrong data byte" not in printed, printed)
        if " 0% packet loss" in printed:
            return True
    return False


def check_arrival(lab, address, size):
    """An echo request reaches the guest, which cannot answer it."""
    def echoes_in():
        return int(lab.guest.check("awk '/^Icmp: [0-9]/ {print $10}' /proc/net/snmp"))

    before = echoes_in()
    host("ping", "-n", "-M", "dont", "-c", "1", "-W", "0.2", "-s", str(size), address, check=False)
    wait_for(lambda: echoes_in() == before + 1, 3, "%d bytes do not arrive" % size)


def told(address, size):
    """What `ping` behind us is told about a packet of this size with "don't fragment"."""
    host("ip", "-n", "lan", "route", "flush", "cache")
    return host("ip", "netns", "exec", "lan", "ping", "-n", "-M", "do", "-c", "1", "-W", "3", "-s",
                str(size - 28), address, check=False)


def check_wire(packets, outside):
    """We fragment inside; the kernel does so, or outside."""
    ours = theirs = 0
    for packet in packets:
        outer = wire.read_ip(packet)
        fragment = outer.more or outer.offset > 0 or 44 in outer.chain
        if str(outer.src) in (HOST4, HOST6):
            ours += fragment
        else:
            theirs += fragment
    expect(ours == 0, "%d fragments of outer packets from us" % ours)
    expect((theirs > 100) == outside, "%d fragments of outer packets from the kernel" % theirs)


def every_size(lab, tunnel):
    """Echo of every size from either end; with "don't fragment" the exact number."""
    setup = tunnel.guest + "ip route replace 172.30.0.0/24 %s\n" % (
        "dev tun0" if tunnel.kind != "ipsec" else "via %s src %s" % (HOST4, INNER4_FAR))
    options = dict(tunnel.options, families=tunnel.families)
    if tunnel.kind == "ipsec":
        options.update(write_keys(lab, tunnel))
    with lab.tunnel(tunnel.kind, options, setup) as gateway, lab.sniff("kp0") as sniffer:
        mtu = gateway.stats()["tunnels"][0]["mtu"]
        expect(mtu == tunnel.mtu, "the MTU is %d, not %d" % (mtu, tunnel.mtu))
        for family, local, far, header, most in (("4", INNER4, INNER4_FAR, 28, 65507),
                                                 ("6", INNER6, INNER6_FAR, 48, 65527)):
            if family not in tunnel.families:
                continue
            sizes = payloads(mtu, header, most)
            # Who sends too large a packet over IPv6 has to be told before it fragments.
            tries = 1 if family == "4" else 2
            if tunnel.outside:
                for size in sizes[-2:]:
                    check_arrival(lab, far, size)
                sizes = sizes[:-2] + (MOST_OUTSIDE - 1, MOST_OUTSIDE)
            lost = [size for size in sizes if not echoes(far, size, tries)]
            expect(not lost, "from us to %s no answer to sizes %s" % (far, lost))
            lost = lab.ping_from_guest(local, sizes, patience=3)
            lost = lab.ping_from_guest(local, lost, patience=3) if family == "6" else lost
            expect(not lost, "from the guest to %s no answer to sizes %s" % (local, lost))
        check_wire(sniffer.drain(), tunnel.outside)
        if "4" in tunnel.families and tunnel.kind != "ipsec":
            expect("mtu = %d" % mtu in told(INNER4_FAR, mtu + 1), told(INNER4_FAR, mtu + 1))
            expect(" 0% packet loss" in told(INNER4_FAR, mtu), told(INNER4_FAR, mtu))
        refused = set(gateway.refused("encap")) | set(gateway.refused("decap"))
        expect(not refused, "refused: %s" % refused)


# ---------------------------------------------------------------------------------------- ESP
def ends_of(tunnel):
    return (HOST6, GUEST6) if tunnel.options.get("outer") == 6 else (HOST4, GUEST4)


def write_keys(lab, tunnel):
    """SAs for both ways, in our key file and in the guest; what the tunnel's options want."""
    here, there = ends_of(tunnel)
    keys = [secrets.token_hex(20) for _ in range(2)]
    sas = [{"src": src, "dst": dst, "spi": SPI + i, "mode": "tunnel", "enc": "aes-gcm",
            "enc_key": keys[i][:32], "salt": keys[i][32:], "icv_len": 16, "auth": "none"}
           for i, (src, dst) in enumerate(((here, there), (there, here)))]
    state = pathlib.Path(lab.directory, "mtu.state")
    state.mkdir(mode=0o700, exist_ok=True)
    file = pathlib.Path(lab.directory, "mtu.keys")
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(json.dumps({"schema": "tunnelcap-sa/1", "sas": sas}))
    load_modules(lab)
    inner = ((INNER4, INNER4_FAR, 32, HOST4) if "4" in tunnel.families
             else (INNER6, INNER6_FAR, 128, HOST6))
    lab.guest.check("ip xfrm state flush; ip xfrm policy flush\n" + "".join(
        "ip xfrm state add src %s dst %s proto esp spi %d mode tunnel %s\n"
        % (sa["src"], sa["dst"], sa["spi"], AEAD % key) for sa, key in zip(sas, keys)) + """
ip xfrm policy add dir in tmpl src %(here)s dst %(there)s proto esp mode tunnel src %(local)s dst %(far)s
ip xfrm policy add dir out tmpl src %(there)s dst %(here)s proto esp mode tunnel src %(far)s dst %(local)s
""" % {"here": here, "there": there, "local": inner[0], "far": inner[1]})
    return {"key_file": str(file), "state_dir": str(state)}


def esp_guest(far, local, via):
    """The guest's inner address, and how to us."""
    bits = 128 if ":" in far else 32
    return ("ip addr replace %s/%d dev eth0%s\nip route replace %s via %s dev eth0 src %s\n"
            % (far, bits, " nodad" * (bits == 128), local, via, far))


TUNNELS = {
    "gre": Tunnel("gre", {}, guest_setup("type gre " + V4), "46", 1476, False),
    "gre_key_checksum_sequence": Tunnel(
        "gre", FULL_CONFIG, guest_setup("type gre %s %s" % (FULL_GUEST, V4)), "46", 1464, False),
    "ip6gre": Tunnel("gre", {"outer": 6}, guest_setup("type ip6gre encaplimit none " + V6), "46",
                     1456, False),
    "ipip": Tunnel("ipip", {}, guest_setup("type ipip " + V4, "4"), "4", 1480, False),
    "esp": Tunnel("ipsec", {}, esp_guest(INNER4_FAR, INNER4, HOST4), "4", 1446, True),
    "esp_over_ipv6": Tunnel("ipsec", {"outer": 6}, esp_guest(INNER6_FAR, INNER6, HOST6), "6", 1426,
                            False),
}


def cases():
    """One case for each tunnel."""
    for name, tunnel in TUNNELS.items():
        yield "every_size_through_" + name, lambda lab, tunnel=tunnel: every_size(lab, tunnel)
