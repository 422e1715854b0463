# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""ESP in UDP against strongSwan's own user-space ESP (libipsec), with keys that IKEv2 agreed on.

Two IKE daemons negotiate. Then the initiator is killed, before it has sent anything under the new
keys, and our program takes over its end of the security associations.
"""
import contextlib
import hashlib
import os
import pathlib
import re
import signal

import kernel_peer
from esp import ALGORITHMS, Keys, Peer
from lab import Skip, expect, host, wait_for

CHARON = "/usr/lib/ipsec/charon"
LIBIPSEC = "/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so"
OURS, THEIRS = "10.98.0.1", "10.98.0.2"
PORT = 9300

# strongSwan's proposal for each child SA, by its name, and what we call it.
CHILDREN = {
    "c1": ("aes128gcm16", "aes128_gcm_16"),
    "c2": ("aes256gcm16", "aes256_gcm_16"),
    "c3": ("chacha20poly1305", "chacha20_poly1305"),
    "c4": ("aes128-sha1", "aes128_cbc_sha1_96"),
    "c5": ("aes256-sha256", "aes256_cbc_sha256_128"),
    "c6": ("aes192-sha384", "aes192_cbc_sha384_192"),
}

DAEMON = """
charon {
  load = random nonce openssl aes sha1 sha2 hmac gcm kdf kernel-libipsec kernel-netlink \
socket-default vici
  plugins {
    vici { socket = unix://%(directory)s/vici }
    kernel-libipsec { allow_peer_ts = yes }
  }
  filelog { log { path = %(directory)s/log
    chd = %(chd)d
    flush_line = yes } }
}
swanctl { load = }
"""
CONNECTION = """
connections { c {
  version = 2
  local_addrs = %(local)s
  remote_addrs = %(remote)s
  proposals = aes128-sha256-ecp256
  encap = yes
  local { auth = psk
    id = %(local)s }
  remote { auth = psk
    id = %(remote)s }
  children { %(children)s }
} }
secrets { ike-1 { secret = "for tests only" } }
"""
CHILD = """%s {
    local_ts = 192.168.%d.%d/32
    remote_ts = 192.168.%d.%d/32
    esp_proposals = %s
  }
"""


class Daemon:
    """An IKE daemon in a namespace."""

    def __init__(self, lab, namespace, local, remote, nets):
        self.directory = pathlib.Path(lab.directory, namespace)
        self.directory.mkdir(exist_ok=True)
        (self.directory / "log").unlink(missing_ok=True)
        (self.directory / "vici").unlink(missing_ok=True)
        children = "".join(CHILD % (name, nets[0], number, nets[1], number, proposal)
                           for number, (name, (proposal, _)) in enumerate(CHILDREN.items(), 1))
        config, connection = self.directory / "strongswan.conf", self.directory / "swanctl.conf"
        # Level 4 of "chd" writes keys to the log: they live only as long as the test.
        config.write_text(DAEMON % {"directory": self.directory, "chd": 4})
        connection.write_text(CONNECTION % {"local": local, "remote": remote,
                                            "children": children})
        # The place of its pid file is fixed: each has a /run of its own.
        with open(self.directory / "out", "wb") as out:
            self.process = kernel_peer.popen(
                ["ip", "netns", "exec", namespace, "unshare", "-m", "sh", "-c",
                 "mount -t tmpfs none /run && mkdir /run/lock && exec env STRONGSWAN_CONF=%s %s"
                 % (config, CHARON)], stdout=out, stderr=out)
        try:
            wait_for((self.directory / "vici").exists, 10, "charon does not start")
            self.control("--load-all", "--file", str(connection))
        except BaseException:
            self.kill()
            raise

    def control(self, *words):
        """Run swanctl against it."""
        return host("env", "STRONGSWAN_CONF=%s/strongswan.conf" % self.directory, "swanctl",
                    *words, "--uri", "unix://%s/vici" % self.directory)

    def associations(self):
        """For each child SA: SPIs in and out, and the keys out and in."""
        found, keys = {}, {}
        title = re.compile(r"\[CHD\] +(encryption|integrity) (initiator|responder) key => (\d+)")
        dump = re.compile(r"\[CHD\] +\d+: ((?:[0-9A-F]{2} )+)")
        done = re.compile(r"CHILD_SA (\w+)\{\d+\} established with SPIs (\w{8})_i (\w{8})_o")
        now = None
        for line in (self.directory / "log").read_text(errors="replace").splitlines():
            if match := title.search(line):
                now = match[1], match[2]
                keys[now] = b""
            elif now and (match := dump.search(line)):
                keys[now] += bytes.fromhex(match[1])
            elif match := done.search(line):
                found[match[1]] = (int(match[2], 16), int(match[3], 16), keys)
                keys, now = {}, None
            else:
                now = None
        return found

    def kill(self):
        """End it at once, so that it tells nobody."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def keys_of(algorithm, found, side):
    """One direction's keys, where strongSwan has the salt behind the encryption key."""
    keys = Keys(algorithm)
    both = found["encryption", side]
    keys.key, keys.salt = both[:algorithm.key], both[algorithm.key:]
    keys.ikey = found.get(("integrity", side), b"")
    expect((len(keys.salt), len(keys.ikey)) == (algorithm.salt, algorithm.ikey),
           "keys of %d and %d bytes in strongSwan's log" % (len(both), len(keys.ikey)))
    return keys


@contextlib.contextmanager
def network():
    """Namespaces swa, ours, and swb, strongSwan's, with a cable between them."""
    for name in ("swa", "swb"):
        host("ip", "netns", "add", name)
        host("ip", "-n", name, "link", "set", "lo", "up")
    try:
        host("ip", "link", "add", "va", "netns", "swa", "type", "veth", "peer", "name", "vb",
             "netns", "swb")
        for name, device, address, net in (("swa", "va", OURS, 91), ("swb", "vb", THEIRS, 92)):
            host("ip", "netns", "exec", name, "ethtool", "-K", device, "tx", "off")
            host("ip", "-n", name, "link", "set", device, "up")
            host("ip", "-n", name, "addr", "add", address + "/24", "dev", device)
            for number in range(1, len(CHILDREN) + 1):
                host("ip", "-n", name, "addr", "add", "192.168.%d.%d/32" % (net, number), "dev",
                     "lo")
        yield
    finally:
        for name in ("swa", "swb"):
            host("ip", "netns", "del", name)


def take_over(peer, associations):
    """Give our program the SAs."""
    for number, name in enumerate(CHILDREN, 1):
        spi_in, spi_out, found = associations[name]
        algorithm = ALGORITHMS[CHILDREN[name][1]]
        far = "192.168.92.%d" % number
        common = "local=%s remote=%s udp=1 " % (OURS, THEIRS)
        peer.add("sa out spi=%d inner=%s %s" % (
            spi_out, far, common + keys_of(algorithm, found, "initiator").ours()))
        peer.add("sa in spi=%d %s" % (
            spi_in, common + keys_of(algorithm, found, "responder").ours()))
        peer.host("ip", "route", "replace", far, "dev", peer.device, "src",
                  "192.168.91.%d" % number)


def exchange_files(lab, number):
    """A connection through one SA with data both ways at the same time."""
    near, far = pathlib.Path(lab.directory, "near"), pathlib.Path(lab.directory, "far")
    near.write_bytes(lab.blob)
    far.write_bytes(lab.blob[::-1])
    got = [pathlib.Path(lab.directory, name) for name in ("near.got", "far.got")]
    address = "192.168.92.%d" % number
    with open(near, "rb") as near_in, open(far, "rb") as far_in, \
            open(got[0], "wb") as near_out, open(got[1], "wb") as far_out:
        server = kernel_peer.popen(["ip", "netns", "exec", "swb", "busybox", "nc", "-l", "-p",
                                    str(PORT + number)], stdin=far_in, stdout=far_out)
        wait_for(lambda: ":%d " % (PORT + number) in host("ip", "netns", "exec", "swb", "ss",
                                                          "-ltn"), 5, "no listener")
        client = kernel_peer.popen(["ip", "netns", "exec", "swa", "busybox", "nc", "-w", "10",
                                    address, str(PORT + number)], stdin=near_in, stdout=near_out)
        for process in (client, server):
            process.wait(20)
    expect([hashlib.sha256(path.read_bytes()).digest() for path in got] ==
           [hashlib.sha256(data).digest() for data in (lab.blob[::-1], lab.blob)],
           "TCP data arrived damaged or not at all")


def strongswan(lab):
    """Pings of all sizes from either end, and TCP, by each child SA."""
    if not os.path.exists(CHARON) or not os.path.exists(LIBIPSEC) \
            or not kernel_peer.which("swanctl"):
        raise Skip("strongswan-charon, strongswan-swanctl, libstrongswan-standard-plugins or "
                   "libcharon-extra-plugins is not installed")
    if not (lab.build / "tests/interop/esp_peer").exists():
        raise Skip("built without OpenSSL")
    with contextlib.ExitStack() as stack:
        stack.enter_context(network())
        theirs = Daemon(lab, "swb", THEIRS, OURS, (92, 91))
        stack.callback(theirs.kill)
        ours = Daemon(lab, "swa", OURS, THEIRS, (91, 92))
        stack.callback(ours.kill)
        for name in CHILDREN:
            ours.control("--initiate", "--child", name)
        associations = ours.associations()
        expect(associations.keys() == CHILDREN.keys(), "IKE made %s" % list(associations))
        ours.kill()
        peer = stack.enter_context(contextlib.closing(Peer(lab.build, "esp1", "va", "swa")))
        take_over(peer, associations)
        for number, name in enumerate(CHILDREN, 1):
            near, far = "192.168.91.%d" % number, "192.168.92.%d" % number
            for size in (0, 1, 2, 3, 56, 1300):
                peer.host("ping", "-n", "-c", "1", "-W", "2", "-s", str(size), far)
                host("ip", "netns", "exec", "swb", "ping", "-n", "-c", "1", "-W", "2", "-s",
                     str(size), "-I", far, near)
            exchange_files(lab, number)
            spi_in, spi_out, _ = associations[name]
            expect(min(peer.state(spi_in)[1], peer.state(spi_out)[1]) > 50,
                   "hardly anything passed by %s" % name)
        expect(not peer.refused(), "refused here: %s" % peer.refused())


def cases():
    """All child SAs by one negotiation."""
    yield strongswan.__name__, strongswan
