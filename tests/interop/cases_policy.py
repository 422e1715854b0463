# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""What is dropped and why, ECN and DSCP through the tunnel, and packets that are too big."""
import wire
from cases_carry import TUNNELS, V4, V6, guest_setup
from lab import INNER4, INNER4_FAR, NOT_COMING, TUN, expect, host

NOT_ECT, ECT1, ECT0, CE = 0, 1, 2, 3
ECN_NAMES = ("not-ect", "ect1", "ect0", "ce")

# RFC 6040 section 4.2, by inner and outer codepoint; None is a packet dropped.
DECAPSULATED = {
    NOT_ECT: {NOT_ECT: NOT_ECT, ECT0: NOT_ECT, ECT1: NOT_ECT, CE: None},
    ECT0: {NOT_ECT: ECT0, ECT0: ECT0, ECT1: ECT1, CE: CE},
    ECT1: {NOT_ECT: ECT1, ECT0: ECT1, ECT1: ECT1, CE: CE},
    CE: {NOT_ECT: CE, ECT0: CE, ECT1: CE, CE: CE},
}

# A chain of the guest's through which outer packets leave.
OUTPUT = ("nft add table %s m\n"
          "nft add chain %s m out '{ type filter hook postrouting priority 300; }'\n")


def expect_dropped(lab, options, guest, reason, extra=""):
    """Packets from the guest are dropped for one reason and no other."""
    with lab.tunnel("gre", options, guest_setup(guest) + extra) as gateway:
        lost = lab.ping_from_guest(INNER4, [56], NOT_COMING)
        expect(lost == ["56"], "the guest's packet passed")
        refused = gateway.refused("decap")
        expect(list(refused) == [reason], "refused for %s, not for %s" % (refused, reason))


def wrong_key_is_dropped(lab):
    expect_dropped(lab, {"key": 7}, "type gre ikey 7 okey 9 " + V4, "E_NO_TUNNEL")


def missing_key_is_dropped(lab):
    expect_dropped(lab, {"key": 7}, "type gre ikey 7 " + V4, "E_NO_TUNNEL")


def unexpected_key_is_dropped(lab):
    expect_dropped(lab, {}, "type gre okey 9 " + V4, "E_NO_TUNNEL")


def missing_checksum_is_dropped(lab):
    expect_dropped(lab, {"checksum": True}, "type gre icsum " + V4, "E_NO_CHECKSUM")


def wrong_checksum_is_dropped(lab):
    damage = OUTPUT % ("ip", "ip") + "nft add rule ip m out ip protocol 47 @th,32,16 set 0xdead\n"
    expect_dropped(lab, {"checksum": True}, "type gre csum " + V4, "E_CHECKSUM", damage)


def wrong_checksum_is_dropped_also_where_none_is_asked_for(lab):
    damage = OUTPUT % ("ip", "ip") + "nft add rule ip m out ip protocol 47 @th,32,16 set 0xdead\n"
    expect_dropped(lab, {}, "type gre ocsum " + V4, "E_CHECKSUM", damage)


def checksum_is_accepted_where_none_is_asked_for(lab):
    with lab.tunnel("gre", {}, guest_setup("type gre ocsum oseq " + V4)):
        expect(lab.ping_from_host(INNER4_FAR), "no answer")


def kernel_drops_what_lacks_the_checksum(lab):
    with lab.tunnel("gre", {}, guest_setup("type gre icsum " + V4)):
        expect(not lab.ping_from_host(INNER4_FAR, patience=NOT_COMING), "the kernel answered")


def restarted_sequence_is_dropped_where_order_is_asked_for(lab):
    guest = guest_setup("type gre oseq " + V4)
    with lab.tunnel("gre", {"in_order": True}, guest) as gateway:
        expect(not lab.ping_from_guest(INNER4, [56, 57, 58]), "no answer in order")
        lab.guest.check("ip link del tun0\n" + guest)
        expect(lab.ping_from_guest(INNER4, [56], NOT_COMING) == ["56"],
               "an old number passed")
        refused = gateway.refused("decap")
        expect(list(refused) == ["E_SEQUENCE"], "refused for %s" % refused)


def sequence_numbers_start_at_zero_and_step_by_one(lab):
    with lab.tunnel("gre", {"sequence": True}, guest_setup("type gre iseq " + V4)), \
            lab.sniff("kp0") as sniffer:
        for _ in range(4):
            expect(lab.ping_from_host(INNER4_FAR), "no answer")
        outers = [wire.read_ip(packet) for packet in sniffer.drain()]
        numbers = [wire.read_gre(outer.payload).sequence for outer in outers
                   if outer.chain == (wire.GRE,) and str(outer.src) == "10.99.0.1"]
        expect(numbers == list(range(len(numbers))) and len(numbers) >= 4,
               "sequence numbers %s" % numbers)


# --------------------------------------------------------------------------------- ECN and DSCP
def decapsulated_ecn(lab, name, family, inner_dscp=46):
    """All sixteen combinations, told apart by the size of the ping that carries them."""
    table = "ip" if family == 4 else "ip6"
    match = "ip protocol { 4, 17, 47 }" if family == 4 else "ip6 nexthdr { 4, 17, 47 }"
    script = OUTPUT % (table, table)
    for outer, word in enumerate(ECN_NAMES):
        script += ("nft flush chain %s m out\n"
                   "nft add rule %s m out %s %s ecn set %s %s dscp set cs1\n"
                   % (table, table, match, table, word, table))
        for inner in range(4):
            script += ("ping -n -c 1 -W 0.1 -Q %d -s %d %s >/dev/null &\n"
                       % (inner_dscp << 2 | inner, 100 + 4 * outer + inner, INNER4))
        script += "wait\n"
    tunnel = TUNNELS[name]
    with lab.tunnel(tunnel.kind, tunnel.options, guest_setup(tunnel.guest)) as gateway, \
            lab.sniff(TUN) as sniffer:
        lab.guest.check(script)
        arrived = {}
        for packet in sniffer.drain():
            inner = wire.read_ip(packet)
            if inner.chain == (1,) and inner.payload[0] == 8:
                arrived[len(inner.payload) - 108] = inner.tos
        for inner, row in DECAPSULATED.items():
            for outer, ecn in row.items():
                wanted = None if ecn is None else inner_dscp << 2 | ecn
                got = arrived.get(4 * outer + inner)
                expect(got == wanted, "outer %s over inner %s: TOS %s arrives, not %s"
                       % (ECN_NAMES[outer], ECN_NAMES[inner], got, wanted))
        # More than one where the guest had solicitations of its own to send, which are Not-ECT.
        expect(list(gateway.refused("decap")) == ["E_ECN"],
               "refused %s" % gateway.refused("decap"))


def gre_follows_rfc_6040_over_ipv4(lab):
    decapsulated_ecn(lab, "gre", 4)


def gre_follows_rfc_6040_over_ipv6(lab):
    decapsulated_ecn(lab, "ip6gre_without_encapsulation_limit", 6)


def gre_in_udp_follows_rfc_6040(lab):
    decapsulated_ecn(lab, "gre_in_udp", 4)


def ipip_follows_rfc_6040_over_ipv4(lab):
    decapsulated_ecn(lab, "ipip", 4)


def ipip_follows_rfc_6040_over_ipv6(lab):
    decapsulated_ecn(lab, "ip6tnl_without_encapsulation_limit", 6)


def encapsulated_tos(lab, name):
    """Encapsulation copies DSCP and ECN, CE included; the kernel hands the same up."""
    tunnel = TUNNELS[name]
    with lab.tunnel("gre", dict(tunnel.options, ttl=33), guest_setup(tunnel.guest)), \
            lab.sniff("kp0") as sniffer:
        for tos in (0, 46 << 2 | ECT1, 46 << 2 | ECT0, 10 << 2 | CE):
            expect(lab.ping_from_host(INNER4_FAR, "-Q", str(tos)), "no answer with TOS %d" % tos)
        answered = 0
        for packet in sniffer.drain():
            outer = wire.read_ip(packet)
            if wire.GRE not in outer.chain:
                continue
            inner = wire.read_ip(wire.unwrap(outer))
            if str(outer.src) in ("10.99.0.1", "fd99::1") and inner.chain == (1,):
                expect(outer.tos == inner.tos, "inner TOS %d, outer %d" % (inner.tos, outer.tos))
                expect(outer.ttl == 33, "outer TTL %d" % outer.ttl)
            answered |= 1 << (inner.tos & 3) if inner.chain == (1,) and inner.payload[0] == 0 else 0
        expect(answered == 15, "the kernel changed inner ECN: seen %#x" % answered)


def encapsulation_copies_ecn_and_dscp_over_ipv4(lab):
    encapsulated_tos(lab, "gre")


def encapsulation_copies_ecn_and_dscp_over_ipv6(lab):
    encapsulated_tos(lab, "ip6gre_with_encapsulation_limit")


# ------------------------------------------------------------------------------- sizes and DF
def too_big(lab, name, mtu):
    """A router's view: 1500 bytes with DF are answered with the tunnel's MTU; without DF the
    inner packet is fragmented and the outer ones never are."""
    tunnel = TUNNELS[name]
    setup = guest_setup(tunnel.guest) + "ip route replace 172.30.0.0/24 dev tun0\n"
    with lab.tunnel(tunnel.kind, tunnel.options, setup), lab.sniff("kp0") as sniffer:
        behind = ("ip", "netns", "exec", "lan", "ping", "-n", "-c", "1", "-W", "2", "-s", "1472")
        printed = host(*behind, "-M", "do", INNER4_FAR, check=False)
        expect("mtu = %d" % mtu in printed, "no ICMP with MTU %d: %s" % (mtu, printed))
        # With DF clear the sender's route cache must not know the MTU yet.
        host("ip", "-n", "lan", "route", "flush", "cache")
        host(*behind, "-M", "dont", INNER4_FAR)
        fragments = 0
        for packet in sniffer.drain():
            outer = wire.read_ip(packet)
            expect(not outer.more and outer.offset == 0, "an outer packet was fragmented")
            if str(outer.src) in ("10.99.0.1", "fd99::1") and wire.unwrap(outer):
                inner = wire.read_ip(wire.unwrap(outer))
                copied = outer.src.version == 4 and tunnel.kind == "ipip"
                expect(outer.df == (inner.df or not copied), "DF of an outer packet is %s" % outer.df)
                fragments += inner.more or inner.offset > 0
        expect(fragments == 2, "%d inner fragments, not 2" % fragments)


def too_big_for_gre(lab):
    too_big(lab, "gre", 1476)


def too_big_for_ipip(lab):
    too_big(lab, "ipip", 1480)


def too_big_for_ip6gre_with_encapsulation_limit(lab):
    too_big(lab, "ip6gre_with_encapsulation_limit", 1448)


def too_big_for_ip6gre_without_encapsulation_limit(lab):
    too_big(lab, "ip6gre_without_encapsulation_limit", 1456)


def kernel_fragments_reach_us_whole(lab):
    """The kernel sends inner fragments; each is a packet of its own to us."""
    with lab.tunnel("gre", {"outer": 6}, guest_setup("type ip6gre encaplimit none " + V6)):
        lost = lab.ping_from_guest(INNER4, [8000])
        expect(not lost, "no answer")


def cases():
    """Every function above that takes nothing but the lab, in this order."""
    for function in (
            wrong_key_is_dropped, missing_key_is_dropped, unexpected_key_is_dropped,
            missing_checksum_is_dropped, wrong_checksum_is_dropped,
            wrong_checksum_is_dropped_also_where_none_is_asked_for,
            checksum_is_accepted_where_none_is_asked_for, kernel_drops_what_lacks_the_checksum,
            restarted_sequence_is_dropped_where_order_is_asked_for,
            sequence_numbers_start_at_zero_and_step_by_one,
            gre_follows_rfc_6040_over_ipv4, gre_follows_rfc_6040_over_ipv6,
            gre_in_udp_follows_rfc_6040, ipip_follows_rfc_6040_over_ipv4,
            ipip_follows_rfc_6040_over_ipv6,
            encapsulation_copies_ecn_and_dscp_over_ipv4,
            encapsulation_copies_ecn_and_dscp_over_ipv6,
            too_big_for_gre, too_big_for_ipip, too_big_for_ip6gre_with_encapsulation_limit,
            too_big_for_ip6gre_without_encapsulation_limit, kernel_fragments_reach_us_whole):
        yield function.__name__, function
