# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""Security associations (SAs) as each side wants to be told of them, and esp_peer, the program
that is our end of them."""
import collections
import os
import subprocess

import kernel_peer
import wire
from lab import GUEST4, GUEST6, HOST4, HOST6, expect, host, wait_for

# Numbers are IKEv2 transform ids (IANA), lengths bytes. kernel: what `ip xfrm state` calls the
# algorithms. tshark: what Wireshark's esp_sa table does, None where it cannot verify them.
Algorithm = collections.namedtuple("Algorithm", "encr key salt integ ikey icv kernel tshark")

INTEGRITY = {  # id, key, ICV, kernel, tshark
    "md5_96": (1, 16, 12, "hmac(md5)", "HMAC-MD5-96 [RFC2403]"),
    "sha1_96": (2, 20, 12, "hmac(sha1)", "HMAC-SHA-1-96 [RFC2404]"),
    "xcbc_96": (5, 16, 12, "xcbc(aes)", None),
    "cmac_96": (8, 16, 12, "cmac(aes)", None),
    "sha256_128": (12, 32, 16, "hmac(sha256)", "HMAC-SHA-256-128 [RFC4868]"),
    "sha384_192": (13, 48, 24, "hmac(sha384)", "HMAC-SHA-384-192 [RFC4868]"),
    "sha512_256": (14, 64, 32, "hmac(sha512)", "HMAC-SHA-512-256 [RFC4868]"),
}
CIPHERS = {  # id, salt, kernel, tshark
    "3des": (3, 0, "cbc(des3_ede)", "TripleDES-CBC [RFC2451]"),
    "null": (11, 0, "ecb(cipher_null)", "NULL"),
    "cbc": (12, 0, "cbc(aes)", "AES-CBC [RFC3602]"),
    "ctr": (13, 4, "rfc3686(ctr(aes))", "AES-CTR [RFC3686]"),
}


def combined(encr, key, salt, icv, kernel, tshark=None):
    return Algorithm(encr, key, salt, 0, 0, icv, (kernel,), (tshark, "NULL") if tshark else None)


def separate(cipher, key, integrity):
    encr, salt, kernel, tshark = CIPHERS[cipher]
    integ, ikey, icv, kernel_integ, tshark_integ = INTEGRITY[integrity]
    return Algorithm(encr, key, salt, integ, ikey, icv, (kernel, kernel_integ),
                     (tshark, tshark_integ) if tshark_integ else None)


ALGORITHMS = {
    "aes%d_gcm_%d" % (bits, icv):
        combined({8: 18, 12: 19, 16: 20}[icv], bits // 8, 4, icv, "rfc4106(gcm(aes))",
                 "AES-GCM with %d octet ICV [RFC4106]" % icv)
    for bits in (128, 192, 256) for icv in (8, 12, 16)}
ALGORITHMS.update({
    "aes128_gmac": combined(21, 16, 4, 16, "rfc4543(gcm(aes))"),
    "aes256_gmac": combined(21, 32, 4, 16, "rfc4543(gcm(aes))"),
    "aes128_ccm_8": combined(14, 16, 3, 8, "rfc4309(ccm(aes))"),
    "aes192_ccm_12": combined(15, 24, 3, 12, "rfc4309(ccm(aes))"),
    "aes256_ccm_16": combined(16, 32, 3, 16, "rfc4309(ccm(aes))"),
    "chacha20_poly1305": combined(28, 32, 4, 16, "rfc7539esp(chacha20,poly1305)"),
    "aes128_cbc_sha1_96": separate("cbc", 16, "sha1_96"),
    "aes128_cbc_sha256_128": separate("cbc", 16, "sha256_128"),
    "aes256_cbc_sha256_128": separate("cbc", 32, "sha256_128"),
    "aes192_cbc_sha384_192": separate("cbc", 24, "sha384_192"),
    "aes256_cbc_sha512_256": separate("cbc", 32, "sha512_256"),
    "aes128_cbc_md5_96": separate("cbc", 16, "md5_96"),
    "aes128_cbc_xcbc_96": separate("cbc", 16, "xcbc_96"),
    "aes256_cbc_cmac_96": separate("cbc", 32, "cmac_96"),
    "aes128_ctr_sha256_128": separate("ctr", 16, "sha256_128"),
    "aes192_ctr_sha1_96": separate("ctr", 24, "sha1_96"),
    "aes256_ctr_xcbc_96": separate("ctr", 32, "xcbc_96"),
    "3des_sha1_96": separate("3des", 24, "sha1_96"),
    "3des_md5_96": separate("3des", 24, "md5_96"),
    "null_sha256_128": separate("null", 0, "sha256_128"),
    "null_cmac_96": separate("null", 0, "cmac_96"),
})


class Keys:
    """Fresh keys for one direction."""

    def __init__(self, algorithm):
        self.algorithm = algorithm
        self.key = os.urandom(algorithm.key)
        self.salt = os.urandom(algorithm.salt)
        self.ikey = os.urandom(algorithm.ikey)

    def ours(self):
        """Words for esp_peer."""
        words = "encr=%d integ=%d" % (self.algorithm.encr, self.algorithm.integ)
        for name, value in (("key", self.key), ("salt", self.salt), ("ikey", self.ikey)):
            words += " %s=%s" % (name, value.hex()) if value else ""
        return words

    def kernel(self):
        """Words for `ip xfrm state add`."""
        names, key = self.algorithm.kernel, (self.key + self.salt).hex()
        if len(names) == 1:
            return "aead %s 0x%s %d" % (names[0], key, 8 * self.algorithm.icv)
        return ("enc %s %s auth-trunc %s 0x%s %d"
                % (names[0], "0x" + key if key else '""', names[1], self.ikey.hex(),
                   8 * self.algorithm.icv))

    def tshark(self, src, dst, spi):
        """A line of Wireshark's esp_sa."""
        encr, integ = self.algorithm.tshark
        fields = ("IPv6" if ":" in src else "IPv4", src, dst, "0x%08x" % spi, encr,
                  hexadecimal(self.key + self.salt), integ, hexadecimal(self.ikey))
        return ",".join('"%s"' % field for field in fields) + "\n"


def hexadecimal(data):
    return "0x" + data.hex() if data else ""


class Pair:
    """SAs between the guest and us, one in each direction, with inner addresses of their own.

    outer and inner are 4 or 6. start: sequence number before the first one, both ways. In
    transport mode the inner addresses are the outer ones, too.
    """

    def __init__(self, number, algorithm, outer=4, inner=4, mode="tunnel", udp=False, esn=False,
                 window=64, start=0, more=""):
        self.number = number
        self.to_guest, self.to_host = Keys(algorithm), Keys(algorithm)
        self.outer, self.inner, self.mode = outer, inner, mode
        self.udp, self.esn, self.window, self.start, self.more = udp, esn, window, start, more
        form = "172.28.%d.%d" if inner == 4 else "fd78::%d:%d"
        self.local, self.far = form % (255, number), form % (0, number)
        self.ends = (HOST4, GUEST4) if outer == 4 else (HOST6, GUEST6)
        if mode == "transport":
            self.ends = (self.local, self.far)
        self.spi_out, self.spi_in = 0x10000 + number, 0x20000 + number

    def line_out(self):
        """What esp_peer is told about the SA towards the guest."""
        return "sa out spi=%d inner=%s seq=%d %s" % (self.spi_out, self.far, self.start + 1,
                                                     self._common(self.to_guest))

    def line_in(self, start=None):
        """The same about the one from there."""
        return "sa in spi=%d window=%d seq=%d %s" % (
            self.spi_in, self.window, self.start if start is None else start,
            self._common(self.to_host))

    def _common(self, keys):
        return "local=%s remote=%s mode=%s%s%s %s %s" % (
            *self.ends, self.mode, " esn=1" if self.esn else "", " udp=1" if self.udp else "",
            keys.ours(), self.more)

    def guest_lines(self):
        """What `ip -batch` is told in the guest."""
        any_address = "0.0.0.0" if self.outer == 4 else "::"
        common = "proto esp reqid %d mode %s replay-window %d" % (self.number, self.mode,
                                                                  self.window)
        common += " encap espinudp 4500 4500 " + any_address if self.udp else ""
        flags = ["esn"] * self.esn + ["af-unspec"] * (self.inner != self.outer)
        common += " flag " + " flag ".join(flags) if flags else ""
        low, high = self.start & 0xFFFFFFFF, self.start >> 32
        host_end, guest_end = self.ends
        yield ("xfrm state add src %s dst %s spi %d %s replay-seq %d replay-seq-hi %d %s"
               % (host_end, guest_end, self.spi_out, common, low, high, self.to_guest.kernel()))
        yield ("xfrm state add src %s dst %s spi %d %s replay-oseq %d replay-oseq-hi %d %s"
               % (guest_end, host_end, self.spi_in, common, low, high, self.to_host.kernel()))
        template = "tmpl src %s dst %s proto esp reqid %d mode %s"
        for direction, inner, outer in (("out", (self.far, self.local), (guest_end, host_end)),
                                        ("in", (self.local, self.far), (host_end, guest_end))):
            yield "xfrm policy add dir %s src %s dst %s priority 2 %s" % (
                direction, *inner, template % (*outer, self.number, self.mode))
        if self.mode == "transport" and self.udp:  # what the UDP socket is to receive
            yield ("xfrm policy add dir in src %s dst %s proto udp dport 4500 priority 1"
                   % (self.local, self.far))
        length, via = (32, HOST4) if self.inner == 4 else (128, HOST6)
        yield "addr replace %s/%d dev eth0%s" % (self.far, length, " nodad" * (self.inner == 6))
        yield "route replace %s via %s dev eth0 src %s" % (self.local, via, self.far)

    def host_lines(self, device):
        """What `ip -batch` is told here."""
        yield "addr add %s/%s dev %s" % (self.local, "32" if self.inner == 4 else "128 nodad",
                                         device)
        yield "route add %s dev %s src %s" % (self.far, device, self.local)
        if self.mode == "transport" and self.inner == 6:  # for the sockets bound to the wire
            yield "route add %s dev kp0 metric 2000" % self.far

    def echo(self, sequence, size, tos=0):
        """An echo request to the guest, whose bytes follow from its number."""
        return wire.echo_request(self.local, self.far, self.number, sequence, size, tos)


class Peer:
    """A running esp_peer."""

    def __init__(self, build, device, wire_device="kp0", namespace=None):
        self.device = device
        self.namespace = namespace
        enter = ["ip", "netns", "exec", namespace] if namespace else []
        program = os.path.join(build, "tests/interop/esp_peer")
        self.process = kernel_peer.popen(
            enter + [program, device, wire_device], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)
        try:
            wait_for(lambda: device in self.host("ip", "-br", "link"), 5,
                     "esp_peer makes no device")
            self.host("ip", "link", "set", device, "up")
        except BaseException:
            self.close()
            raise

    def host(self, *command):
        """Run a command where the program runs."""
        return host(*(["ip", "netns", "exec", self.namespace] if self.namespace else []), *command)

    def tell(self, line):
        """Give it a line; its answer."""
        self.process.stdin.write(line + "\n")
        answer = self.process.stdout.readline()
        expect(answer, "esp_peer ended at: " + line[:60])
        return answer.strip()

    def add(self, line):
        """Make an SA."""
        answer = self.tell(line)
        expect(answer == "OK", "%s for: %s" % (answer, line))

    def seal(self, spi, packet):
        """An inner packet encrypted."""
        status, _, data = self.tell("seal %d %s" % (spi, packet.hex())).partition(" ")
        expect(status == "OK", "seal says " + status)
        return bytes.fromhex(data)

    def open(self, packet):
        """The status of decrypting an outer packet, and the inner one."""
        status, _, data = self.tell("open " + packet.hex()).partition(" ")
        return status, bytes.fromhex(data)

    def state(self, spi):
        """Sequence number, packets, and the largest inner packet."""
        return tuple(map(int, self.tell("state %d" % spi).split()))

    def counts(self):
        """Packets by direction and status."""
        return {name: int(count) for name, _, count in
                (word.partition("=") for word in self.tell("counts").split())}

    def refused(self):
        """What was neither decrypted nor encrypted though it should have been."""
        return {name: count for name, count in self.counts().items()
                if name not in ("in.OK", "in.E_PROTOCOL", "out.OK", "out.E_NEED_SA")}

    def close(self):
        """End it; complaints that it printed."""
        self.process.stdin.close()
        try:
            printed = self.process.stdout.read()
            status = self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        expect(status == 0, "esp_peer ended with status %d: %s" % (status, printed.strip()))
