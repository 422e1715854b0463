# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""ESP against the Linux kernel: every algorithm and mode, both ways, and the edges of sequence
numbers. Many security associations live at once, and packets go in bulk."""
import base64
import contextlib
import os
import socket
import threading
import time
from hashlib import sha256

import wire
from esp import ALGORITHMS, Pair, Peer
from lab import Failure, Skip, exchange, expect, host

DEVICE = "esp0"
FIRST_PORT, TCP_BYTES = 9100, 50000
MODULES = ("cryptomgr drbg jitterentropy_rng xfrm_user esp4 esp6 xfrm4_tunnel authenc authencesn"
           " seqiv echainiv gcm ccm cbc ctr cmac xcbc hmac md5 sha1_generic sha256_generic"
           " sha512_generic des_generic aes_generic crypto_null ghash_generic chacha20poly1305"
           " chacha_generic poly1305_generic")
SIZES = list(range(17)) + [56, 100, 255, 256, 511, 1000, 1180, 1196]
GCM = ALGORITHMS["aes128_gcm_16"]
CBC = ALGORITHMS["aes128_cbc_sha256_128"]
NOT_ECT, ECT1, ECT0, CE = 0, 1, 2, 3


def batch(lab, lines):
    """Run `ip -batch` on the host."""
    path = os.path.join(lab.directory, "ip.batch")
    with open(path, "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")
    host("ip", "-batch", path)


def hold_udp_port(lab):
    """The guest's kernel takes ESP in UDP only where a program holds the port for it."""
    if lab.guest.run("test -e udp_encap")[0] == 0:
        return
    program = (lab.build / "tests/interop/udp_encap").read_bytes()
    lab.guest.check("base64 -d > udp_encap <<E\n%sE\nchmod +x udp_encap\n./udp_encap"
                    % base64.encodebytes(program).decode())


def load_modules(lab):
    """All that IPsec may want, at once: asking for each algorithm by each of its names takes the
    guest longer than the rest of a case."""
    if lab.guest.run("test -e modules-loaded")[0] != 0:
        lab.guest.check("modprobe -qa %s || :\n: > modules-loaded" % MODULES)


@contextlib.contextmanager
def associations(lab, pairs, mtu=1280):
    """The pairs on both sides, and our program, for as long as the block lasts."""
    if not (lab.build / "tests/interop/esp_peer").exists():
        raise Skip("built without OpenSSL")
    load_modules(lab)
    if any(pair.udp for pair in pairs):
        hold_udp_port(lab)
    peer = Peer(lab.build, DEVICE)
    try:
        host("ip", "link", "set", DEVICE, "mtu", str(mtu))
        batch(lab, [line for pair in pairs for line in pair.host_lines(DEVICE)])
        # Without a program that loads modules the guest does not ask for more of them.
        status, printed = lab.guest.run(
            "loader=$(cat /proc/sys/kernel/modprobe)\necho > /proc/sys/kernel/modprobe\n"
            "ip -batch - <<E\n%s\nE\nstatus=$?\n"
            "echo $loader > /proc/sys/kernel/modprobe\nexit $status"
            % "\n".join(line for pair in pairs for line in pair.guest_lines()))
        expect(status == 0, "in the guest: " + printed.strip())
        for pair in pairs:
            peer.add(pair.line_out())
            peer.add(pair.line_in())
        yield peer
    except BaseException:
        peer.process.kill()
        raise
    else:
        peer.close()
    finally:
        peer.process.wait(5)
        lab.guest.run("ip xfrm state flush; ip xfrm policy flush; ip addr flush to 172.28.0.0/16;"
                      "ip -6 addr flush to fd78::/64")


def kernel_errors(lab):
    """What the guest's IPsec has counted as wrong."""
    words = lab.guest.check("cat /proc/net/xfrm_stat").split()
    return {name: int(count) for name, count in zip(words[::2], words[1::2]) if count != "0"}


# ------------------------------------------------------------------------------------- traffic
class Injector:
    """Sends whole IP packets, by route or straight to a device."""

    def __init__(self, device=None):
        self.sockets = {}
        for version, family in ((4, socket.AF_INET), (6, socket.AF_INET6)):
            raw = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
            if device:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
            self.sockets[version] = raw

    def send(self, packet):
        outer = wire.read_ip(packet)
        self.sockets[packet[0] >> 4].sendto(packet, (str(outer.dst), 0))

    def close(self):
        for raw in self.sockets.values():
            raw.close()


def collect(sniffer, wanted, seconds=3):
    """Echo replies until all that are wanted have come, or time is up: the TOS of each."""
    replies, end = {}, time.monotonic() + seconds
    while wanted - replies.keys() and time.monotonic() < end:
        with contextlib.suppress(Failure):
            got = wire.read_echo_reply(sniffer.next(wire.read_echo_reply, 0.1))
            replies[got[:2]] = got[2]
    return replies


def ping_all(lab, pairs, sizes=None):
    """Echo requests of all sizes through all pairs; pairs and sizes that got no answer."""
    lost = []
    with lab.sniff(DEVICE) as sniffer, contextlib.closing(Injector()) as injector:
        for sequence, size in enumerate(SIZES if sizes is None else sizes, 1):
            for pair in pairs:
                injector.send(pair.echo(sequence, size))
            wanted = {(pair.number, sequence) for pair in pairs}
            lost += [(number, size) for number, _ in wanted - collect(sniffer, wanted).keys()]
            if len(lost) >= len(pairs):
                break
    return lost


def tcp_all(lab, pairs):
    """A connection through each pair, with data both ways at the same time; pairs it failed on."""
    ports = {pair.number: FIRST_PORT + pair.number for pair in pairs}
    numbers, blob = " ".join(map(str, ports)), lab.blob[:TCP_BYTES]
    sent = lab.guest.check(
        "head -c %d blob > part\nfor i in %s; do nc -l -p $((%d + i)) < part > got.$i & done\n"
        "until [ $(netstat -ltn | grep -c ':9[1-9]') -ge %d ]; do usleep 20000; done\n"
        "sha256sum part" % (TCP_BYTES, numbers, FIRST_PORT, len(pairs))).split()[0]
    got = {}

    def connect(pair):
        with contextlib.suppress(OSError):
            got[pair.number] = sha256(exchange(
                socket.create_connection((pair.far, ports[pair.number]), 15), blob)).hexdigest()

    threads = [threading.Thread(target=connect, args=(pair,)) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sums = lab.guest.check("n=100; while pidof nc >/dev/null && [ $n -gt 0 ]; do\n"
                           "n=$((n - 1)); usleep 20000; done\n"
                           "for i in %s; do sha256sum < got.$i; done; rm -f got.*" % numbers)
    return [pair.number for pair, far in zip(pairs, sums.split()[::2])
            if (got.get(pair.number), far) != (sent, sha256(blob).hexdigest())]


def check_carries(lab, pairs, names=None):
    """Every size of packet and TCP through each pair, and no complaint on either side."""
    def of(numbers):
        return sorted({names[number] if names else number for number in numbers})

    before = kernel_errors(lab)
    with associations(lab, pairs) as peer:
        lost = ping_all(lab, pairs)
        expect(not lost, "no answer through %s: number and size %s; here %s, there %s"
               % (of(number for number, _ in lost), lost, peer.refused(), kernel_errors(lab)))
        failed = tcp_all(lab, pairs)
        expect(not failed, "TCP data damaged or missing through %s" % of(failed))
        expect(not peer.refused(), "refused here: %s" % peer.refused())
        for pair in pairs:
            sent, received = peer.state(pair.spi_out), peer.state(pair.spi_in)
            expect(min(sent[1], received[1]) > len(SIZES) + 20 and sent[0] > pair.start,
                   "too few packets through %s: %s, %s" % (of([pair.number]), sent, received))
            expect(sent[0] == pair.start + sent[1] + 1, "sequence number %d after %d packets"
                   % (sent[0], sent[1]))
            expect(received[0] == pair.start + received[1], "their sequence number is %d after %d"
                   % (received[0], received[1]))
    expect(kernel_errors(lab) == before, "refused there: %s" % kernel_errors(lab))


def algorithms(lab, wanted):
    names = [name for name in ALGORITHMS if wanted(name)]
    check_carries(lab, [Pair(number, ALGORITHMS[name]) for number, name in enumerate(names, 1)],
                  dict(enumerate(names, 1)))


def esp_aes_gcm(lab):
    algorithms(lab, lambda name: "_gcm_" in name)


def esp_other_combined_algorithms(lab):
    algorithms(lab, lambda name: "_gcm_" not in name and ALGORITHMS[name].integ == 0)


def esp_separate_algorithms(lab):
    algorithms(lab, lambda name: ALGORITHMS[name].integ != 0)


# --------------------------------------------------------------------------------------- modes
def esp_tunnel_mode_in_all_mixes_of_families(lab):
    check_carries(lab, [Pair(number, algorithm, outer, inner) for number, (algorithm, outer, inner)
                        in enumerate([(algorithm, outer, inner) for algorithm in (GCM, CBC)
                                      for outer in (4, 6) for inner in (4, 6)], 1)])


def esp_in_udp(lab):
    check_carries(lab, [Pair(1, GCM, udp=True), Pair(2, CBC, udp=True),
                        Pair(3, GCM, 6, 6, udp=True), Pair(4, CBC, 6, 4, udp=True)])


def esp_transport_mode(lab):
    check_carries(lab, [Pair(1, GCM, mode="transport"), Pair(2, CBC, mode="transport"),
                        Pair(3, GCM, 6, 6, mode="transport"), Pair(4, CBC, 6, 6, mode="transport"),
                        Pair(5, GCM, mode="transport", udp=True)])


def esp_opened_by_the_kernel(lab):
    """The guest pings with all sizes, and connects."""
    pairs = [Pair(1, GCM), Pair(2, CBC, 6, 6, udp=True), Pair(3, GCM, mode="transport")]
    with associations(lab, pairs) as peer:
        for pair in pairs:
            lost = lab.ping_from_guest(pair.local, [0, 56, 1000, 1180])
            expect(not lost, "no answer from %s to sizes %s" % (pair.local, lost))
            lab.tcp_from_guest(pair.local)
        expect(not peer.refused(), "refused here: %s" % peer.refused())


def gre_inside_esp_transport(lab):
    """The guest's GRE tunnel runs between the ends of a transport mode SA."""
    pair = Pair(1, GCM, mode="transport")
    with associations(lab, [pair], 1500) as peer:
        lab.guest.check("ip link add tun0 type gre local %s remote %s ttl 64\n"
                        "ip addr add 172.27.0.2/30 dev tun0\nip link set tun0 up"
                        % (pair.far, pair.local))
        try:
            with lab.sniff(DEVICE) as sniffer, contextlib.closing(Injector()) as injector:
                for sequence, size in enumerate((0, 56, 1000, 1442 - 28), 1):
                    inner = wire.echo_request("172.27.0.1", "172.27.0.2", 1, sequence, size)
                    injector.send(wire.ip_packet(pair.local, pair.far, wire.GRE,
                                                 b"\0\0\x08\0" + inner))
                    reply = sniffer.next(lambda packet: str(wire.read_ip(packet).src) == pair.far,
                                         3)
                    reply = wire.read_echo_reply(wire.unwrap(wire.read_ip(reply)))
                    expect(reply is not None and reply[:2] == (1, sequence),
                           "no answer to %d bytes" % size)
            expect(not peer.refused(), "refused here: %s" % peer.refused())
        finally:
            lab.guest.run("ip link del tun0")


# ---------------------------------------------------------------------------- sequence numbers
def esn_across_the_wrap(lab):
    """From fifteen packets before the wrap of the low half on, both ways: separate and combined
    integrity algorithms; another pair starts behind many wraps."""
    names = ("aes128_gcm_16", "aes256_gcm_8", "aes128_gmac", "aes256_ccm_16", "chacha20_poly1305",
             "aes128_cbc_sha256_128", "aes128_cbc_sha1_96", "aes256_cbc_sha512_256",
             "aes128_cbc_xcbc_96", "aes256_cbc_cmac_96", "aes128_ctr_sha256_128",
             "null_sha256_128", "3des_sha1_96")
    pairs = [Pair(number, ALGORITHMS[name], esn=True, start=2 ** 32 - 16)
             for number, name in enumerate(names, 1)]
    pairs += [Pair(101, GCM, 6, 6, esn=True, window=128, start=2 ** 32 - 16),
              Pair(102, GCM, esn=True, start=7 * 2 ** 32 - 3),
              Pair(103, CBC, mode="transport", esn=True, start=2 ** 32 - 16)]
    check_carries(lab, pairs, {**dict(enumerate(names, 1)), 101: "v6", 102: "late",
                               103: "transport"})


def ping_many(lab, pair, count):
    """That many echo requests through one pair, each with an answer; what passed the wire."""
    with lab.sniff("kp0") as outside, lab.sniff(DEVICE) as inside, \
            contextlib.closing(Injector()) as injector:
        for first in range(1, count + 1, 32):
            numbers = range(first, min(first + 32, count + 1))
            for number in numbers:
                injector.send(pair.echo(number, 56))
            wanted = {(pair.number, number) for number in numbers}
            expect(collect(inside, wanted).keys() == wanted, "an echo request without answer")
        return outside.drain()


def replay(lab, window, esn=False, start=0):
    """With T the highest number: T-W+1 is accepted once, T-W is not, nothing twice; the same
    order of packets there and here. With ESN, what is left of the window is taken for numbers
    after the next wrap (RFC 4303 A2.2), whose ICV is wrong."""
    pair = Pair(1, GCM, window=window, esn=esn, start=start)
    total = window + 40
    order = [total, total - window + 1, total - window, total, total - window + 1, total - 1, 1]
    accepted = [True, True, False, False, False, True, False]
    with associations(lab, [pair]) as peer:
        theirs = {wire.read_esp(packet): packet for packet in ping_many(lab, pair, total)}
        peer.tell("end %d" % pair.spi_in)
        peer.add(pair.line_in())
        got = [peer.open(theirs[pair.spi_in, (start + number) & 0xFFFFFFFF])[0]
               for number in order]
        expect(got == ["OK" if good else "E_AUTH" if esn and number <= total - window
                       else "E_REPLAY" for number, good in zip(order, accepted)],
               "here, with window %d: %s for %s" % (window, got, order))

        ours = [peer.seal(pair.spi_out, pair.echo(number, 56)) for number in range(1, total + 1)]
        before = sum(kernel_errors(lab).values())
        with lab.sniff("kp0") as outside, contextlib.closing(Injector("kp0")) as injector:
            for number in order:
                injector.send(ours[number - 1])
            answers = [packet for packet in outside.drain()
                       if wire.read_esp(packet) and wire.read_esp(packet)[0] == pair.spi_in]
        errors = sum(kernel_errors(lab).values()) - before
        expect((len(answers), errors) == (accepted.count(True), accepted.count(False)),
               "there, with window %d: %d packets accepted, %d refused"
               % (window, len(answers), errors))


def replay_edges_with_window_32(lab):
    replay(lab, 32)


def replay_edges_with_window_128(lab):
    replay(lab, 128)


def replay_edges_with_esn(lab):
    replay(lab, 64, True)


def replay_edges_with_esn_across_the_wrap(lab):
    """The wrap lies inside the window when its edges are tried: here in the first half of the
    test, there in the second."""
    replay(lab, 64, True, 2 ** 32 - 80)
    replay(lab, 64, True, 2 ** 32 - 80 - 104)


# ------------------------------------------------------------------------------ sizes, ECN, DF
SIZED = (  # the algorithm, outer family, in UDP, and the largest inner packet on 1500 bytes
    ("aes128_gcm_16", 4, False, 1446), ("aes128_gcm_16", 6, False, 1426),
    ("aes128_gcm_16", 4, True, 1438), ("aes128_gcm_16", 6, True, 1418),
    ("chacha20_poly1305", 4, False, 1446), ("chacha20_poly1305", 6, False, 1426),
    ("aes128_cbc_sha256_128", 4, False, 1438), ("aes128_cbc_sha256_128", 6, False, 1406),
    ("aes128_cbc_sha256_128", 4, True, 1422), ("aes128_cbc_sha256_128", 6, True, 1406),
    ("aes128_cbc_sha1_96", 4, False, 1438), ("aes128_cbc_sha1_96", 6, False, 1422),
    ("aes256_cbc_sha512_256", 4, False, 1422), ("aes256_cbc_sha512_256", 6, False, 1390),
)


def esp_largest_inner_packets(lab):
    """The number that we compute is the one that the kernel tells its own sender; a packet of
    that size passes both ways in one outer packet."""
    pairs = [Pair(number, ALGORITHMS[name], outer, outer, udp=udp)
             for number, (name, outer, udp, _) in enumerate(SIZED, 1)]
    with associations(lab, pairs, 1500) as peer, lab.sniff("kp0") as outside:
        for pair, (name, _, _, size) in zip(pairs, SIZED):
            ours = peer.state(pair.spi_out)[2]
            expect(ours == size, "%s: %d is the most, not %d" % (name, ours, size))
        told = lab.guest.check("".join("ping -n -c 1 -W 0.05 -M do -s 1472 %s 2>&1 |"
                                       " grep -o 'mtu[=:] *[0-9]*' || echo none\n" % pair.local
                                       for pair in pairs)).splitlines()
        expect([line.split()[-1].split("=")[-1] for line in told] ==
               [str(size) for *_, size in SIZED], "the kernel says %s" % told)
        for pair, (name, outer, _, size) in zip(pairs, SIZED):
            lost = ping_all(lab, [pair], [size - (28 if outer == 4 else 48)])
            expect(not lost, "%s: no answer to %d bytes" % (name, size))
        packets = [wire.read_ip(packet) for packet in outside.drain()]
        expect(not any(outer.more or outer.offset for outer in packets), "an outer fragment")
        expect(not peer.refused(), "refused here: %s" % peer.refused())


def esp_outer_fragments_are_counted(lab):
    """Without DF the kernel encrypts 1500 bytes and fragments the outer packet."""
    pair = Pair(1, GCM)
    with associations(lab, [pair], 1500) as peer, lab.sniff("kp0") as outside:
        lost = lab.ping_from_guest("-M dont " + pair.local, [1472], 0.3)
        expect(lost == ["1472"], "fragments were decrypted")
        pieces = [outer for outer in map(wire.read_ip, outside.drain())
                  if outer.more or outer.offset]
        expect(len(pieces) == 2 and {outer.chain for outer in pieces} == {(wire.ESP,)},
               "%d fragments" % len(pieces))
        expect(peer.refused() == {"in.E_FRAGMENT": 2}, "refused %s" % peer.refused())


# What a decapsulator makes of outer over inner ECN; None is a packet dropped.
KERNEL_ECN = {(outer, inner): CE if outer == CE and inner != NOT_ECT else inner
              for outer in range(4) for inner in range(4)}
RFC_6040_ECN = {**KERNEL_ECN, (CE, NOT_ECT): None, (ECT1, ECT0): ECT1}


def esp_copies_only_congestion_marks(lab):
    """All sixteen combinations: as the kernel does it, and here by either policy."""
    kernel_like, ours = Pair(1, GCM, more="ecn=2"), Pair(2, GCM)
    dscp = 10 << 2
    with associations(lab, [kernel_like, ours]) as peer:
        with lab.sniff(DEVICE) as inside, contextlib.closing(Injector("kp0")) as injector:
            for outer, inner in KERNEL_ECN:
                echo = kernel_like.echo(4 * outer + inner, 56, dscp | inner)
                injector.send(wire.with_tos(peer.seal(kernel_like.spi_out, echo), outer))
            tos = collect(inside, {(1, number) for number in range(16)})
        for (outer, inner), ecn in KERNEL_ECN.items():
            expect(tos.get((1, 4 * outer + inner)) == dscp | ecn,
                   "the kernel makes %s of ECN %d over %d" % (tos, outer, inner))
        for pair, table in ((kernel_like, KERNEL_ECN), (ours, RFC_6040_ECN)):
            check_decapsulated_ecn(lab, peer, pair, table)


def check_decapsulated_ecn(lab, peer, pair, table):
    """The kernel's packets with each inner TOS, under each outer one, to an SA without memory."""
    with lab.sniff("kp0") as outside, contextlib.closing(Injector()) as injector:
        for inner in range(4):
            injector.send(pair.echo(inner, 56, inner))
        theirs = [packet for packet in outside.drain()
                  if wire.read_esp(packet) and wire.read_esp(packet)[0] == pair.spi_in]
    expect(len(theirs) == 4, "%d answers of the kernel, not 4" % len(theirs))
    for (outer, inner), ecn in table.items():
        peer.tell("end %d" % pair.spi_in)
        peer.add(pair.line_in())
        status, packet = peer.open(wire.with_tos(theirs[inner], outer))
        got = wire.read_ip(packet).tos if status == "OK" else None
        expect(got == ecn and status in ("OK", "E_ECN"), "ECN %d over %d becomes %s, %s"
               % (outer, inner, got, status))


def esp_outer_headers(lab):
    """What stands in the outer headers of both sides: DSCP and ECN, TTL and DF."""
    pair = Pair(1, GCM, more="df=1")
    with associations(lab, [pair]), lab.sniff("kp0") as outside, \
            lab.sniff(DEVICE) as inside, contextlib.closing(Injector()) as injector:
        for number in range(4):
            injector.send(pair.echo(number, 56, 46 << 2 | number))
        collect(inside, {(1, number) for number in range(4)})
        outers = [outer for outer in map(wire.read_ip, outside.drain())
                  if outer.chain == (wire.ESP,)]
        ours = [outer for outer in outers if str(outer.src) == pair.ends[0]]
        expect(len(ours) == 4 and len(outers) == 8, "%d ESP packets of %d" % (len(ours),
                                                                              len(outers)))
        expect([outer.tos for outer in ours] == [46 << 2 | ecn for ecn in range(4)],
               "our TOS %s" % [outer.tos for outer in ours])
        expect(all(outer.df for outer in ours), "DF of an inner packet is not copied")
        expect({outer.ttl for outer in outers} == {64}, "TTL %s" % {outer.ttl for outer in outers})
        expect({outer.tos >> 2 for outer in outers} == {46}, "DSCP is not copied")


def cases():
    """Every function above that takes nothing but the lab, in this order."""
    for function in (
            esp_aes_gcm, esp_other_combined_algorithms, esp_separate_algorithms,
            esp_tunnel_mode_in_all_mixes_of_families, esp_in_udp, esp_transport_mode,
            esp_opened_by_the_kernel, gre_inside_esp_transport, esn_across_the_wrap,
            replay_edges_with_window_32, replay_edges_with_window_128, replay_edges_with_esn,
            replay_edges_with_esn_across_the_wrap, esp_largest_inner_packets,
            esp_outer_fragments_are_counted, esp_copies_only_congestion_marks,
            esp_outer_headers):
        yield function.__name__, function
