# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""tunnelcap-pcap: ESP, with the keys of files in three forms."""

import itertools
import json
import os
import shutil
import struct
import subprocess
import tempfile
import unittest
from pathlib import Path

import packets as pk
from pcapfile import ETHERNET, RAW, Capture, Frame, pcap_bytes
from pcaptool import (CLIENT, CLIENT6, EXIT_FILE, EXIT_USAGE, FAR, FAR6, NEAR, NEAR6, SERVER,
                      SERVER6, ToolTest, capture_of, data_of, has_cryptography, query, syn)

SPI = 0x1000CAFE
SEQ_AT, IV_AT = 24, 28  # in a packet with a bare IPv4 header

# Combined algorithms: name, bytes of key and of salt, lengths of ICV.
COMBINED = [
    ("aes-gcm", (16, 24, 32), 4, (8, 12, 16)),
    ("aes-ccm", (16, 24, 32), 3, (8, 12, 16)),
    ("chacha20-poly1305", (32,), 4, (16,)),
    ("aes-gmac", (16, 24, 32), 4, (16,)),
    ("aes-gcm-iiv", (16, 24, 32), 4, (16,)),
    ("aes-ccm-iiv", (16, 24, 32), 3, (8,)),
    ("chacha20-poly1305-iiv", (32,), 4, (16,)),
]
# Algorithms that need another for integrity, and those others.
CIPHERS = [("aes-cbc", (16, 24, 32), 0), ("aes-ctr", (16, 24, 32), 4), ("3des-cbc", (24,), 0),
           ("null", (0,), 0)]
MACS = [("hmac-md5-96", 16), ("hmac-sha1-96", 20), ("aes-xcbc-96", 16), ("aes-cmac-96", 16),
        ("hmac-sha2-256-128", 32), ("hmac-sha2-384-192", 48), ("hmac-sha2-512-256", 64)]
WEAK = {"3des-cbc", "null", "aes-gmac", "hmac-md5-96"}


def key_of(size, first=1):
    return bytes((first + i) & 0xFF for i in range(size)).hex()


def security(**fields):
    """An SA in the form of tunnelcap-sa/1: AES-GCM in tunnel mode unless told otherwise."""
    return {"src": NEAR, "dst": FAR, "spi": SPI, "mode": "tunnel", "enc": "aes-gcm",
            "enc_key": key_of(16), "salt": key_of(4, 0xA0), "auth": "none", "auth_key": "",
            "icv_len": 16, "esn": False} | fields


def cbc(**fields):
    """An SA with AES-CBC and HMAC-SHA-256."""
    return security(**{"enc": "aes-cbc", "salt": "", "auth": "hmac-sha2-256-128",
                       "auth_key": key_of(32, 7), "icv_len": 16} | fields)


def all_algorithms():
    """SAs with every algorithm, key length and combination."""
    for name, keys, salt, icvs in COMBINED:
        for size, icv in itertools.product(keys, icvs):
            yield security(enc=name, enc_key=key_of(size), salt=key_of(salt, 0xA0), icv_len=icv)
    for (name, keys, salt), (mac, mac_key) in itertools.product(CIPHERS, MACS):
        for size in keys:
            yield security(enc=name, enc_key=key_of(size), salt=key_of(salt, 0xA0), auth=mac,
                           auth_key=key_of(mac_key, 9), icv_len=None)


def label(sa):
    return f"{sa['enc']} {len(sa['enc_key']) * 4} {sa['icv_len']} {sa['auth']} {sa['mode']}"


def inner_packets():
    """Packets for either mode: no fragments, since transport mode takes none."""
    yield from (query(size) for size in (0, 1, 2, 3, 64, 1400))
    yield from (query(size, CLIENT6, SERVER6) for size in (0, 33))
    yield syn(1460)
    yield syn(1440, CLIENT6, SERVER6)


class EspTest(ToolTest):
    """A test with a key file, which stands in a directory of its own."""

    @classmethod
    def setUpClass(cls):
        if not has_cryptography(cls.tool):
            raise unittest.SkipTest("the library was built without OpenSSL")

    def setUp(self):
        super().setUp()
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.keys = Path(directory.name) / "keys"

    def write_keys(self, *sas, schema="tunnelcap-sa/1"):
        self.keys.write_text(json.dumps({"schema": schema, "sas": sas}))

    def encrypt(self, capture, *words, says=b""):
        words = words or (f"spi={SPI}",)
        return self.run_on(capture, "encap", "--keys", self.keys, "--tunnel",
                           ",".join(("esp",) + words), says=says)

    def decrypt(self, capture, *options, says=b""):
        return self.run_on(capture, "decap", "--keys", self.keys, *options, says=says)

    def round_trip(self, sa, *words, capture=None):
        """Encrypt and decrypt; return what was between."""
        capture = capture or capture_of(inner_packets())
        count = len(capture.frames)
        says = b"weak" if {sa["enc"], sa["auth"]} & WEAK else b""
        self.write_keys(sa)
        if sa["enc"].endswith("-iiv"):
            words += (f"seq={(sa.get('first_esn_hi', 0) << 32) + 1}",)
        report, outer = self.encrypt(capture, f"spi={SPI}", *words, says=says)
        self.assertEqual((report["status"], report["written"]), ({"OK": count}, count))
        report, back = self.decrypt(outer, says=says)
        self.assertEqual(report["status"], {"OK": count})
        self.assertEqual(back, capture)
        return outer


class EspRoundTrip(EspTest):
    """Encrypted and decrypted again, packets and times are what they were."""

    def test_all_algorithms(self):
        for sa in all_algorithms():
            with self.subTest(label(sa)):
                self.round_trip(sa)

    def test_modes_families_udp_and_esn(self):
        kinds = (security(), cbc(), security(enc="aes-gcm-iiv"))
        for sa, mode, ends, esn, udp in itertools.product(
            kinds, ("tunnel", "transport"), ((NEAR, FAR), (NEAR6, FAR6)), (False, True),
            (None, [4500, 4500]),
        ):
            sa = sa | {"mode": mode, "src": ends[0], "dst": ends[1], "esn": esn,
                       "udp_encap": udp}
            if esn:
                sa["first_esn_hi"] = 5
            capture = capture_of([packet for packet in inner_packets()])
            if mode == "transport":  # the packets' own destination is the SA's
                sa |= {"src": CLIENT, "dst": SERVER}
                capture = capture_of([p for p in inner_packets() if p[0] >> 4 == 4])
            with self.subTest(label(sa), ends=ends, esn=esn, udp=udp):
                outer = self.round_trip(sa, capture=capture)
                for packet in data_of(outer):
                    protocol = packet[9] if packet[0] >> 4 == 4 else packet[6]
                    self.assertEqual(protocol, pk.UDP if udp else pk.ESP)

    def test_transport_mode_over_ipv6(self):
        capture = capture_of([query(size, CLIENT6, SERVER6) for size in (0, 5, 900)])
        self.round_trip(security(mode="transport", src=CLIENT6, dst=SERVER6), capture=capture)

    def test_gre_in_transport_mode_is_left_in_gre(self):
        packet = pk.ipv4(NEAR, FAR, pk.GRE, pk.gre(query(), key=4))
        self.round_trip(security(mode="transport"), capture=capture_of([packet]))

    def test_esn_goes_on_where_the_lower_half_wraps(self):
        for sa in (security(esn=True, first_esn_hi=7), cbc(esn=True, first_esn_hi=7)):
            first = (7 << 32) + 0xFFFFFFF0
            outer = self.round_trip(sa, f"seq={first}",
                                    capture=capture_of([query(i) for i in range(40)]))
            numbers = [struct.unpack_from("!I", packet, SEQ_AT)[0] for packet in data_of(outer)]
            self.assertEqual(numbers, [(first + i) & 0xFFFFFFFF for i in range(40)])

    def test_ethernet_padding_is_left_out(self):
        self.write_keys(security())
        _, outer = self.encrypt(capture_of([pk.ethernet(query(0))], ETHERNET))
        _, back = self.decrypt(outer)
        self.assertEqual(data_of(back), [query(0)])


class EspEncap(EspTest):
    def test_spi_alone_names_the_sa(self):
        self.write_keys(security(spi=300), security(spi=301, dst=NEAR6, src=FAR6))
        report, out = self.run_on(capture_of([query()]), "encap", "--keys", self.keys, "--spi",
                                  "0x12d")
        self.assertEqual(out.frames[0].data[0] >> 4, 6)
        self.assertEqual(report["tunnels"], [
            {"kind": "esp", "local": FAR6, "remote": NEAR6, "spi": 301, "packets": 1,
             "bytes": len(out.frames[0].data)}])

    def test_ivs_begin_where_told_or_at_random(self):
        def ivs(packets):
            return [struct.unpack_from("!Q", packet, IV_AT)[0] for packet in packets]

        self.write_keys(security())
        capture = capture_of([query()] * 3)
        _, out = self.encrypt(capture, f"spi={SPI}", "iv=77", "seq=9", "ttl=3")
        self.assertEqual(ivs(data_of(out)), [77, 78, 79])
        self.assertEqual([packet[8] for packet in data_of(out)], [3] * 3)
        starts = set()
        for _ in range(2):
            _, out = self.encrypt(capture)
            first = ivs(data_of(out))[0]
            self.assertEqual(ivs(data_of(out)), [first, first + 1, first + 2])
            self.assertLess(first, 1 << 63)
            starts.add(first)
        self.assertEqual(len(starts), 2)

    def test_words_override_the_file(self):
        self.write_keys(security(src=CLIENT, dst=SERVER))
        _, out = self.encrypt(capture_of([query()]), f"spi={SPI}", "mode=transport", "udp")
        (packet,) = data_of(out)
        self.assertEqual(packet[12:20], query()[12:20])
        self.assertEqual(struct.unpack_from("!HH", packet, 20), (4500, 4500))

    def test_the_end_of_sequence_numbers_is_the_end(self):
        self.write_keys(security())
        report, out = self.encrypt(capture_of([query()] * 5), f"spi={SPI}", f"seq={2**32 - 3}")
        sent = sum(report["status"].get(name, 0) for name in ("OK", "REKEY_SOON"))
        self.assertEqual((sent, len(out.frames)), (3, 3))
        self.assertEqual(report["status"]["E_SEQ_EXHAUSTED"], 2)

    def test_transport_mode_takes_no_fragments(self):
        self.write_keys(security(mode="transport"))
        report, out = self.encrypt(capture_of([query(fragment=0x2000), query()]))
        self.assertEqual(report["status"], {"OK": 1, "E_FRAGMENT": 1})
        self.assertEqual(len(out.frames), 1)

    def test_mistakes_are_told(self):
        self.input.write_bytes(pcap_bytes(capture_of([query()])))
        twice = [security(), security(dst=NEAR6, src=FAR6)]
        unknown = security(enc="aes-cbc", salt="", auth="unknown-96", icv_len=None)
        cases = [
            ([security()], "esp", EXIT_FILE, "spi= is missing"),
            ([security()], "esp,spi=255", EXIT_FILE, "spi=255: not a number from 256"),
            ([security()], "esp,spi=4096", EXIT_FILE, "keys: no SA of SPI 0x00001000"),
            (twice, f"esp,spi={SPI}", EXIT_FILE, "both sas[0] and sas[1]"),
            ([unknown], f"esp,spi={SPI}", EXIT_FILE, "sas[0]: integrity key not known"),
            ([security()], f"esp,spi={SPI},seq", EXIT_FILE, "seq: a value is missing"),
            ([security()], f"esp,spi={SPI},seq=0", EXIT_FILE, "seq=0: not a number from 1"),
            ([security()], f"esp,spi={SPI},seq=4294967296", EXIT_FILE, "out of its"),
            ([security()], f"esp,spi={SPI},mode=auto", EXIT_FILE, "not tunnel or transport"),
            ([security()], f"esp,spi={SPI},key=1", EXIT_FILE, "key: not for esp"),
            ([cbc()], f"esp,spi={SPI},iv=1", EXIT_FILE, "iv=: not for an algorithm without"),
            ([security(enc="aes-gcm-iiv")], f"esp,spi={SPI}", EXIT_FILE, "seq= is missing"),
            ([security(enc="aes-gcm-iiv")], f"esp,spi={SPI},seq=1,iv=1", EXIT_FILE,
             "iv=: the sequence number is the IV"),
            ([security()], f"gre,local={NEAR},remote={FAR}", EXIT_FILE, "--keys is for esp only"),
        ]
        for sas, words, status, says in cases:
            with self.subTest(words, says=says):
                self.write_keys(*sas)
                self.assert_fails("encap", "--keys", self.keys, "--tunnel", words, self.input,
                                  self.output, status=status, says=says)

    def test_options_that_do_not_go_together_are_told(self):
        self.write_keys(security())
        files = (self.input, self.output)
        keys = ("--keys", self.keys)
        cases = [
            (["encap", *keys], "encap: --tunnel is missing"),
            (["encap", "--spi", "4096"], "--spi: --keys is missing"),
            (["encap", "--spi", "255", *keys], "--spi 255: not a number from 256"),
            (["encap", *keys, "--spi", "4096", "--tunnel", "esp,spi=4096"], "exclude each other"),
            (["encap", *keys, "--config", "x", "--tunnel", "y"], "exclude each other"),
            (["decap", "--write-esp-sa", "x"], "--write-esp-sa: --keys is missing"),
            (["decap", "--spi", "4096", *keys], "--spi: not an option of decap"),
            (["clamp", "--mss", "1360", *keys], "--keys: not an option of clamp"),
        ]
        for arguments, says in cases:
            with self.subTest(says):
                self.assert_fails(*arguments, *files, status=EXIT_USAGE, says=says)
        self.input.write_bytes(pcap_bytes(capture_of([query()])))
        self.assert_fails("encap", "--tunnel", "esp,spi=4096", *files, status=EXIT_FILE,
                          says="--keys is missing")


class EspDecap(EspTest):
    def setUp(self):
        super().setUp()
        self.write_keys(security())
        self.inner = [query(i) for i in range(8)]
        _, self.outer = self.encrypt(capture_of(self.inner))

    def statuses(self, packets, *options):
        report, out = self.decrypt(capture_of(packets), *options)
        self.assertEqual(report["packets"], sum(report["status"].values()))
        return {name: n for name, n in report["status"].items() if n}, data_of(out)

    def test_report_names_the_sa(self):
        report, _ = self.decrypt(self.outer)
        self.assertEqual(report["tunnels"], [
            {"kind": "esp", "local": FAR, "remote": NEAR, "spi": SPI, "packets": 8,
             "bytes": sum(len(packet) for packet in data_of(self.outer))}])

    def test_packets_that_come_twice_count_as_replays(self):
        packets = data_of(self.outer)
        self.assertEqual(self.statuses(packets + packets[2:4]),
                         ({"OK": 8, "E_REPLAY": 2}, self.inner))

    def test_order_does_not_matter(self):
        packets = data_of(self.outer)
        self.assertEqual(self.statuses(packets[::-1]), ({"OK": 8}, self.inner[::-1]))
        self.write_keys(security(esn=True, first_esn_hi=3))
        _, outer = self.encrypt(capture_of(self.inner), f"spi={SPI}", f"seq={4 << 32}")
        self.write_keys(security(esn=True, first_esn_hi=4))
        packets = data_of(outer)
        self.assertEqual(self.statuses(packets[::-1]), ({"OK": 8}, self.inner[::-1]))

    def test_every_flipped_byte_of_esp_is_noticed(self):
        packet = data_of(self.outer)[3]
        flipped = []
        for at, bit in itertools.product(range(SEQ_AT, len(packet)), (0x01, 0x80)):
            flipped.append(bytearray(packet))
            flipped[-1][at] ^= bit
        self.assertEqual(self.statuses(flipped), ({"E_AUTH": len(flipped)}, []))

    def test_forged_packets_ahead_shut_nothing_out(self):
        self.write_keys(security(esn=True, first_esn_hi=3))
        _, outer = self.encrypt(capture_of(self.inner))
        forged = bytearray(outer.frames[0].data)
        forged[SEQ_AT] = 0x7F
        mapped = pk.ipv4(NEAR, FAR, pk.UDP, pk.udp(NEAR, FAR, bytes(forged[20:]), (4500, 9)))
        self.assertEqual(self.statuses([forged, mapped] + data_of(outer)),
                         ({"OK": 8, "E_AUTH": 1, "E_NO_TUNNEL": 1}, self.inner))

    def test_packets_without_sa_are_counted_and_fragments_put_together(self):
        packet = data_of(self.outer)[0]
        stranger = pk.ipv4(NEAR, FAR, pk.ESP, struct.pack("!II", 4096, 1) + bytes(40))
        elsewhere = pk.ipv4(NEAR, SERVER, pk.ESP, packet[20:])
        first = pk.ipv4(NEAR, FAR, pk.ESP, packet[20:44], fragment=0x2000)
        last = pk.ipv4(NEAR, FAR, pk.ESP, packet[44:], fragment=3)
        moved = pk.ipv4(CLIENT, FAR, pk.ESP, packet[20:])
        self.assertEqual(self.statuses([stranger, elsewhere, last, first, moved]),
                         ({"OK": 1, "E_NO_TUNNEL": 2, "KEPT": 1, "E_REPLAY": 1}, self.inner[:1]))

    def test_packets_cut_off_by_the_capture_are_refused_but_known(self):
        packet = data_of(self.outer)[7]
        frames = [Frame(0, 0, packet[:size], len(packet)) for size in (28, 40, len(packet) - 1)]
        frames.append(Frame(0, 0, packet[:27], len(packet)))
        report, out = self.decrypt(Capture(RAW, frames))
        self.assertEqual((report["status"], out.frames), ({"OK": 0, "E_TRUNCATED": 4}, []))
        self.assertEqual([t["packets"] for t in report["tunnels"]], [3])

    def test_only_takes_esp_or_leaves_it(self):
        packets = [data_of(self.outer)[0], pk.ipv4(NEAR, FAR, pk.IPIP, query(2))]
        self.assertEqual(self.statuses(packets), ({"OK": 2}, [query(0), query(2)]))
        self.assertEqual(self.statuses(packets, "--only", "esp"), ({"OK": 1}, [query(0)]))
        self.assertEqual(self.statuses(packets, "--only", "ipip"), ({"OK": 1}, [query(2)]))

    def test_without_keys_esp_is_counted(self):
        report, out = self.run_on(self.outer, "decap", "--only", "esp")
        self.assertEqual((report["status"], out.frames), ({"OK": 0, "E_UNSUPPORTED": 8}, []))
        self.assertEqual(report["tunnels"][0]["spi"], SPI)

    def test_only_the_outermost_tunnel_is_removed(self):
        nested = [pk.ipv4(CLIENT, SERVER, pk.GRE, pk.gre(query())), data_of(self.outer)[1]]
        _, outer = self.encrypt(capture_of(nested), f"spi={SPI}", "seq=100")
        self.assertEqual(self.statuses(data_of(outer)), ({"OK": 2}, nested))

    def test_the_mode_is_found_out(self):
        for mode in ("tunnel", "transport"):
            ends = {"src": CLIENT, "dst": SERVER} if mode == "transport" else {}
            self.write_keys(security(mode=mode, **ends))
            _, outer = self.encrypt(capture_of(self.inner))
            self.write_keys(security(mode="auto", **ends))
            broken = bytearray(outer.frames[0].data)
            broken[-1] ^= 1
            with self.subTest(mode):
                self.assertEqual(self.statuses([bytes(broken)] + data_of(outer)),
                                 ({"OK": 8, "E_AUTH": 1}, self.inner))

    def test_behind_nat_the_port_is_what_the_capture_shows(self):
        self.write_keys(security(udp_encap=[4500, 4500]))
        _, outer = self.encrypt(capture_of(self.inner))
        payloads = [packet[28:] for packet in data_of(outer)]
        mapped = [pk.ipv4(NEAR, FAR, pk.UDP, pk.udp(NEAR, FAR, payload, (4500, 31337)))
                  for payload in payloads]
        report, out = self.decrypt(capture_of(mapped))
        self.assertEqual((report["status"], data_of(out)), ({"OK": 8}, self.inner))
        self.assertEqual(report["tunnels"][0]["udp_port"], 31337)

    def test_ike_and_keepalives_are_not_esp(self):
        def datagram(payload):
            return pk.ipv4(NEAR, FAR, pk.UDP, pk.udp(NEAR, FAR, payload, (4500, 4500)))

        packets = [datagram(bytes(4) + b"IKE and more"), datagram(b"\xff")]
        self.assertEqual(self.statuses(packets), ({}, []))

    def test_sas_with_an_unknown_integrity_key_are_told(self):
        self.write_keys(security(), security(spi=4096, enc="aes-cbc", salt="", icv_len=None,
                                             auth="unknown-96"))
        stranger = pk.ipv4(NEAR, FAR, pk.ESP, struct.pack("!II", 4096, 1) + bytes(60))
        report, out = self.decrypt(capture_of(data_of(self.outer) + [stranger]),
                                   says=b"sas[1]: integrity key not known")
        self.assertEqual(report["status"], {"OK": 8, "E_UNSUPPORTED": 1})
        self.assertEqual(data_of(out), self.inner)


XFRM_NAMES = {
    "aes-gcm": "rfc4106(gcm(aes))", "aes-ccm": "rfc4309(ccm(aes))", "aes-cbc": "cbc(aes)",
    "aes-gmac": "rfc4543(gcm(aes))", "chacha20-poly1305": "rfc7539esp(chacha20,poly1305)",
    "aes-ctr": "rfc3686(ctr(aes))", "3des-cbc": "cbc(des3_ede)", "null": "ecb(cipher_null)",
    "hmac-md5-96": "hmac(md5)", "hmac-sha1-96": "hmac(sha1)", "aes-xcbc-96": "xcbc(aes)",
    "aes-cmac-96": "cmac(aes)", "hmac-sha2-256-128": "hmac(sha256)",
    "hmac-sha2-384-192": "hmac(sha384)", "hmac-sha2-512-256": "hmac(sha512)",
}
WIRESHARK_NAMES = {
    "aes-cbc": "AES-CBC [RFC3602]", "aes-ctr": "AES-CTR [RFC3686]",
    "3des-cbc": "TripleDES-CBC [RFC2451]", "null": "NULL", "none": "NULL",
    "aes-gcm": "AES-GCM with {icv_len} octet ICV [RFC4106]",
    "hmac-md5-96": "HMAC-MD5-96 [RFC2403]", "hmac-sha1-96": "HMAC-SHA-1-96 [RFC2404]",
    "hmac-sha2-256-128": "HMAC-SHA-256-128 [RFC4868]",
    "hmac-sha2-384-192": "HMAC-SHA-384-192 [RFC4868]",
    "hmac-sha2-512-256": "HMAC-SHA-512-256 [RFC4868]",
}
MAC_BITS = {name: int(name.rsplit("-", 1)[1]) for name, _ in MACS}


def xfrm_algorithms(sa):
    """The algorithms of an SA as ip(8) names them."""
    key = f"0x{sa['enc_key']}{sa['salt']}"
    if sa["auth"] == "none":
        return f"aead '{XFRM_NAMES[sa['enc']]}' {key} {sa['icv_len'] * 8}"
    key = '""' if key == "0x" else key
    return (f"enc '{XFRM_NAMES[sa['enc']]}' {key} "
            f"auth-trunc '{XFRM_NAMES[sa['auth']]}' 0x{sa['auth_key']} {MAC_BITS[sa['auth']]}")


def xfrm_command(sa):
    return (f"ip xfrm state add src {sa['src']} dst {sa['dst']} proto esp spi {sa['spi']:#x} "
            f"mode {sa['mode']} {xfrm_algorithms(sa)}")


def wireshark_row(sa):
    """An SA as Wireshark's esp_sa has it; None if Wireshark 4.0 cannot."""
    if sa["enc"] not in WIRESHARK_NAMES or sa["auth"] not in WIRESHARK_NAMES:
        return None
    key, mac_key = (f"0x{text}" if text else "" for text in
                    (sa["enc_key"] + sa["salt"], sa["auth_key"]))
    family = "IPv6" if ":" in sa["src"] else "IPv4"
    columns = (family, sa["src"], sa["dst"], f"{sa['spi']:#010x}",
               WIRESHARK_NAMES[sa["enc"]].format_map(sa), key, WIRESHARK_NAMES[sa["auth"]],
               mac_key)
    return ",".join(f'"{column}"' for column in columns)


# What ip(8) prints, with more on the lines than matters here.
XFRM_STATE = f"""\
src {NEAR} dst {FAR}
\tproto ah spi 0x00000777(1911) reqid 3 mode tunnel
\treplay-window 32 seq 0x00000000 flag af-unspec
\tauth-trunc hmac(sha1) 0x{key_of(20)} (160 bits) 96
src {NEAR} dst {FAR}
\tproto esp spi 0x{SPI:08x}({SPI}) reqid 1(0x00000001) mode tunnel
\treplay-window 0 seq 0x00000000 flag af-unspec esn (0x10100000)
\tmark 0x10/0xff
\taead rfc4106(gcm(aes)) 0x{key_of(16)}{key_of(4, 0xA0)} (160 bits) 128
\tencap type espinudp sport 4500 dport 4501 addr 0.0.0.0
\tanti-replay esn context:
\t seq-hi 0x0, seq 0x0, oseq-hi 0x2, oseq 0x3
\t replay_window 64, bitmap-length 2
\t 00000000 00000000
\tsel src 0.0.0.0/0 dst 0.0.0.0/0 uid 0
\tlifetime config:
\t  limit: soft (INF)(bytes), hard (INF)(bytes)
\tlastused 2026-01-02 03:04:05
\tif_id 0x1
"""


class KeyFiles(EspTest):
    """The three forms hold the same; what is wrong with a file is told."""

    def test_forms_hold_the_same(self):
        forms = [xfrm_command, wireshark_row]
        for sa, form in itertools.product(all_algorithms(), forms):
            if sa["enc"].endswith("-iiv") or not form(sa):
                continue
            says = b"weak" if {sa["enc"], sa["auth"]} & WEAK else b""
            with self.subTest(label(sa), form=form.__name__):
                self.write_keys(sa)
                _, outer = self.encrypt(capture_of([query(77)]), says=says)
                self.keys.write_text("# a comment\n\n" + form(sa) + "\n")
                report, back = self.decrypt(outer, says=says)
                self.assertEqual((report["status"], data_of(back)), ({"OK": 1}, [query(77)]))

    def test_what_ip_prints_is_read(self):
        self.keys.write_text(XFRM_STATE)
        _, outer = self.encrypt(capture_of([query(3)]))
        (packet,) = data_of(outer)
        self.assertEqual(struct.unpack_from("!HH", packet, 20), (4500, 4501))
        self.write_keys(security(esn=True, first_esn_hi=2))
        mapped = pk.ipv4(NEAR, FAR, pk.UDP, pk.udp(NEAR, FAR, packet[28:], (4500, 4501)))
        report, back = self.decrypt(capture_of([mapped]))
        self.assertEqual((report["status"], data_of(back)), ({"OK": 1}, [query(3)]))

    def test_commands_may_go_on_behind_a_backslash(self):
        words = xfrm_command(security()).split(" aead ")
        self.keys.write_text("ip xfrm policy flush\nsudo " + words[0] + " \\\n  flag esn "
                             "replay-window 64 replay-oseq 9 replay-oseq-hi 1 aead " + words[1]
                             + "\n")
        self.round_trip_as_json(security(esn=True, first_esn_hi=1))

    def round_trip_as_json(self, sa):
        """Encrypt by the file as it is, decrypt by JSON."""
        _, outer = self.encrypt(capture_of([query(9)]))
        self.write_keys(sa)
        _, back = self.decrypt(outer)
        self.assertEqual(data_of(back), [query(9)])

    def test_later_wireshark_has_more(self):
        esn = security(esn=True, first_esn_hi=0x12)
        chacha = security(enc="chacha20-poly1305", enc_key=key_of(32))
        row = wireshark_row(esn)
        self.keys.write_text(row + ',"64-bit","12"\n')
        self.round_trip_as_json(esn)
        self.keys.write_text(f'"IPv4","*","{FAR}","{SPI}","ChaCha20 with Poly1305 [RFC7634]",'
                             f'"0x{chacha["enc_key"]}{chacha["salt"]}","NULL","","32-bit","0"\n')
        sa_file = self.keys.read_text()
        self.write_keys(chacha)
        _, outer = self.encrypt(capture_of([query(9)]))
        self.keys.write_text(sa_file)
        _, back = self.decrypt(outer)
        self.assertEqual(data_of(back), [query(9)])

    def test_old_wireshark_tells_the_icv_apart(self):
        row = wireshark_row(security(icv_len=12)).replace(" with 12 octet ICV", "")
        self.keys.write_text(row.replace('"NULL"', '"ANY 96 bit authentication [no checking]"'))
        self.round_trip_as_json(security(icv_len=12))

    def assert_refused(self, says):
        self.input.write_bytes(pcap_bytes(capture_of([query()])))
        done = self.execute("decap", "--keys", self.keys, self.input, self.output)
        message = done.stderr.decode()
        self.assertEqual(done.returncode, EXIT_FILE, message)
        self.assertIn(f"{self.keys}: {says}" if says[0] != ":" else f"{self.keys}{says}", message)
        self.assertNotIn(key_of(16)[:20], message)
        self.assertFalse(self.output.exists())

    def test_mistakes_in_json_are_told(self):
        good = security()
        cases = [
            ({"spi": None}, "sas[0].spi: is missing"),
            ({"spi": 255}, "sas[0]: SPI 255 is below 256"),
            ({"spi": "0x1000"}, "sas[0].spi: must be an integer"),
            ({"src": "here"}, 'sas[0].src: "here" is not an IP address'),
            ({"src": NEAR6}, "sas[0]: one address is IPv4 and the other IPv6"),
            ({"mode": "beet"}, 'sas[0].mode: "beet" is not'),
            ({"enc": "des-cbc"}, 'sas[0]: enc "des-cbc" is not known here'),
            ({"enc_key": key_of(15)}, "sas[0]: aes-gcm: does not take a key of 15 bytes"),
            ({"enc_key": key_of(33)}, "sas[0]: enc_key: the key is too long"),
            ({"enc_key": key_of(80)}, "sas[0].enc_key: the key is longer than any"),
            ({"enc_key": key_of(16)[:-1]}, "sas[0].enc_key: the key has an odd number"),
            ({"enc_key": "0x" + key_of(15)}, "sas[0].enc_key: the key is not hexadecimal"),
            ({"salt": ""}, "sas[0]: salt has 0 bytes; aes-gcm takes 4"),
            ({"icv_len": 10}, "sas[0]: icv_len 10 is not one of aes-gcm"),
            ({"icv_len": None}, "sas[0]: icv_len 0 is not one of aes-gcm"),
            ({"auth": "hmac-sha2-256-128", "auth_key": key_of(32)},
             "sas[0]: aes-gcm, hmac-sha2-256-128: "),
            ({"auth": "unknown-97"}, 'sas[0]: auth "unknown-97" is not known here'),
            ({"enc": "aes-cbc", "salt": ""}, "sas[0]: aes-cbc: "),
            ({"enc": "aes-cbc", "salt": "", "auth": "hmac-sha1-96", "auth_key": key_of(20)},
             "sas[0]: icv_len 16 is not that of hmac-sha1-96"),
            ({"replay_window": 65537}, "sas[0].replay_window: 65537 is above 65536"),
            ({"udp_encap": [4500]}, "sas[0].udp_encap: must be an array of two ports"),
            ({"udp_encap": [0, 4500]}, "sas[0].udp_encap: 0 is below 1"),
            ({"esn": 1}, "sas[0].esn: must be true or false"),
            ({"color": "red"}, "sas[0].color: is not a field"),
        ]
        for fields, says in cases:
            with self.subTest(says):
                self.write_keys(good | fields)
                self.assert_refused(says)

    def test_mistakes_in_the_whole_file_are_told(self):
        sa = json.dumps(security())
        cases = [
            ("", "there is no security association in it"),
            ("# nothing\n", "there is no security association in it"),
            ("?", "is neither JSON"),
            ("{", ":1:1: "),
            (f'{{"schema": "tunnelcap-sa/1", "sas": [{sa[:-4]}', ":1:"),
            ('{"schema": "tunnelcap-sa/2", "sas": []}', 'schema: "tunnelcap-sa/2" is not'),
            ('{"schema": "tunnelcap-sa/1"}', "sas: is missing"),
            (f'{{"schema": "tunnelcap-sa/1", "sas": [{sa},{sa}]}}',
             "sas[1]: has the destination and SPI of sas[0]"),
            ("{}\0", "holds a zero byte"),
        ]
        for content, says in cases:
            with self.subTest(says):
                self.keys.write_text(content)
                self.assert_refused(says)
        self.keys.unlink()
        self.assert_refused("No such file")
        self.keys.mkdir()
        self.assert_refused("Is a directory")

    def test_mistakes_in_the_words_of_ip_are_told(self):
        good = xfrm_command(security())
        cases = [
            (good.replace("aead", "lead"), "line 2: word 15 is not known here"),
            (good.replace("rfc4106(gcm(aes))", "rfc4106(gcm(des))"),
             "line 2: rfc4106(gcm(des)): an algorithm that is not known here"),
            (good.replace("aead", "enc"), "line 2: rfc4106(gcm(aes)): an algorithm"),
            (good.replace("'rfc4106(gcm(aes))' ", ""), "line 2: aead: an algorithm"),
            (good.replace(" 128", " 100"), "line 2: rfc4106(gcm(aes)): an ICV of that many bits"),
            (good.replace(" 128", ""), "line 2: rfc4106(gcm(aes)): not a number"),
            (good.replace("0x0102", "0x01"), "line 2: aes-gcm: does not take a key of 15 bytes"),
            (good.replace("0x0102", "0xzz"), "line 2: rfc4106(gcm(aes)): the key is not hexa"),
            (good.replace("mode tunnel", "mode beet"), "line 2: mode: neither"),
            (good.replace(f"src {NEAR}", "src here"), "line 2: src: not an IP address"),
            (good.replace(f"src {NEAR} ", ""), "line 2: src is missing"),
            (good.replace("proto esp ", ""), "line 2: proto esp is missing"),
            (good.replace(f"spi {SPI:#x} ", ""), "line 2: spi is missing"),
            (good.split(" aead")[0], "line 2: enc or aead is missing"),
            (good + " encap espintcp 4500 4500 0.0.0.0", "line 2: encap: not espinudp"),
            (good + " encap espinudp 0 4500 0.0.0.0", "line 2: encap: port 0"),
            (good + " replay-window 65537", "line 2: replay-window: not a number from 0"),
            (good + " x" * 200, "line 2: line: too many words"),
            (xfrm_command(cbc()).replace("auth-trunc", "auth").replace(" 128", ""),
             "line 2: hmac(sha256): an ICV of that many bits"),
            (good + "\n" + good, "line 3: has the destination and SPI of line 2"),
            (f"src {NEAR} dst {FAR}\n\tproto esp spi 4096 mode tunnel\n"
             "\taead rfc4106(gcm(aes)) <<Keys hidden>> 128", "line 4: rfc4106(gcm(aes)): the key "
             "is hidden"),
        ]
        for content, says in cases:
            with self.subTest(says):
                self.keys.write_text("# keys\n" + content + "\n")
                self.assert_refused(says)

    def test_mistakes_in_rows_of_wireshark_are_told(self):
        good = wireshark_row(security())
        cases = [
            (good.replace('"IPv4",', ""), "line 2: row: not 8 to 10 columns"),
            (good + ',"32-bit","0","more"', "line 2: row: not 8 to 10 columns"),
            (good[:-1], "line 2: row: not 8 to 10 columns"),
            (good.replace("IPv4", "IPX"), "line 2: protocol: neither IPv4 nor IPv6"),
            (good.replace("IPv4", "IPv6"), "line 2: source: of another family"),
            (good.replace(NEAR, "10.0.0.*"), "line 2: source: not an IP address"),
            (good.replace(f"{SPI:#010x}", "*"), "line 2: SPI: not a number"),
            (good.replace("AES-GCM with 16", "AES-GCM with 13"),
             "line 2: AES-GCM with 13 octet ICV [RFC4106]: an algorithm"),
            (good.replace(" with 16 octet ICV", ""), "line 2: AES-GCM [RFC4106]: an algorithm"),
            (good.replace('"NULL"', '"MAC-RIPEMD-160-96 [RFC2857]"'), "line 2: MAC-RIPEMD-160-96"),
            (good.replace("0x0102", "0x01"), "line 2: aes-gcm: does not take a key of 15 bytes"),
            (good + ',"48-bit","0"', "line 2: sequence numbers: neither"),
            (good + ',"64-bit","x"', "line 2: sequence numbers: the upper half"),
            (good + "\n" + good, "line 3: has the destination and SPI of line 2"),
        ]
        for content, says in cases:
            with self.subTest(says):
                self.keys.write_text("# keys\n" + content + "\n")
                self.assert_refused(says)


class WriteEspSa(EspTest):
    """The table that is written is Wireshark's."""

    def test_rows_are_exact_and_for_their_owner_only(self):
        sas = [security(), cbc(spi=4096, src=NEAR6, dst=FAR6),
               security(spi=4097, enc="aes-ccm", salt=key_of(3)),
               security(spi=4098, enc="aes-cbc", salt="", auth="unknown-96", icv_len=None)]
        self.write_keys(*sas)
        table = self.keys.with_name("esp_sa")
        table.write_text("")
        table.chmod(0o644)
        self.run_on(capture_of([query()]), "decap", "--keys", self.keys, "--write-esp-sa", table,
                    says=b"1 of 4 SAs left out")
        self.assertEqual(table.read_text().splitlines(), [
            wireshark_row(sas[0]), wireshark_row(sas[1]),
            f"# SPI 0x00001001 to {FAR}, aes-ccm: not in Wireshark 4.0",
            f'"IPv4","{NEAR}","{FAR}","0x00001002","AES-CBC [RFC3602]","0x{key_of(16)}",'
            '"ANY 96 bit authentication [no checking]",""'])
        self.assertEqual(table.stat().st_mode & 0o777, 0o600)

    def test_a_table_that_cannot_be_written_is_told(self):
        self.write_keys(security())
        self.input.write_bytes(pcap_bytes(capture_of([query()])))
        self.assert_fails("decap", "--keys", self.keys, "--write-esp-sa", "/dev/full", self.input,
                          self.output, status=EXIT_FILE, says="No space left")
        self.assert_fails("decap", "--keys", self.keys, "--write-esp-sa", self.dir / "no" / "no",
                          self.input, self.output, status=EXIT_FILE, says="No such file")


@unittest.skipUnless(shutil.which("tshark"), "tshark is not installed")
class TsharkEsp(EspTest):
    """Wireshark decrypts what we encrypt, by the table that we write, and verifies every ICV."""

    def security_associations(self):
        """SAs with all that Wireshark knows, in both modes, each with an SPI of its own."""
        for sa, mode in itertools.product(all_algorithms(), ("tunnel", "transport")):
            ends = {"src": CLIENT, "dst": SERVER} if mode == "transport" else {}
            if wireshark_row(sa):
                yield sa | ends | {"mode": mode}

    def test_all_that_wireshark_knows(self):
        inner = [packet for packet in inner_packets() if packet[0] >> 4 == 4]
        sas = [sa | {"spi": 4096 + i} for i, sa in enumerate(self.security_associations())]
        profile = self.keys.parent
        outer = []
        for sa in sas:
            self.write_keys(sa)
            says = b"weak" if {sa["enc"], sa["auth"]} & WEAK else b""
            _, out = self.encrypt(capture_of(inner), f"spi={sa['spi']}", says=says)
            outer += data_of(out)
        self.write_keys(*sas)
        self.decrypt(capture_of(outer), "--write-esp-sa", profile / "esp_sa", says=b"weak")
        seen = self.fields(profile, "esp.spi", "esp.icv_good", "ip.len", "_ws.malformed")
        lengths = [str(int.from_bytes(packet[2:4], "big")) for packet in inner]
        self.assertEqual(len(seen), len(outer))
        for at, (spi, good, length, malformed) in enumerate(seen):
            sa = sas[at // len(inner)]
            with self.subTest(label(sa)):
                self.assertEqual((int(spi, 16), good, malformed), (sa["spi"], "1", ""))
                if sa["mode"] == "tunnel":  # the outer header's, then the inner one's
                    self.assertEqual(length.split(",")[1], lengths[at % len(inner)])

    def fields(self, profile, *names):
        command = ["tshark", "-r", self.input, "-T", "fields",
                   "--disable-protocol", "dns",
                   "-o", "esp.enable_encryption_decode:TRUE",
                   "-o", "esp.enable_authentication_check:TRUE"]
        for name in names:
            command += ["-e", name]
        environment = os.environ | {"WIRESHARK_CONFIG_DIR": str(profile)}
        done = subprocess.run(command, capture_output=True, timeout=60, check=True,
                              env=environment)
        return [line.split("\t") for line in done.stdout.decode().splitlines()]
