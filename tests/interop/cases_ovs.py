# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""Ethernet in GRE against the user-space datapath of Open vSwitch, in a namespace `ovs`."""
import contextlib
import os
import tempfile

import wire
from cases_tap import FAR, LOCAL, tap_gre
from kernel_peer import which
from lab import Skip, expect, host

OUTER, OUTER_FAR = "10.97.0.1", "10.97.0.2"
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"


class Switch:
    """Open vSwitch with a bridge for the wire (brp) and one for what is inside (br0)."""

    def __init__(self, directory, options):
        self.directory = directory
        names = ("OVS_RUNDIR", "OVS_DBDIR", "OVS_LOGDIR", "OVS_SYSCONFDIR")
        self.prefix = ("ip", "netns", "exec", "ovs", "env") + \
            tuple("%s=%s" % (name, directory) for name in names)
        database, socket = directory + "/conf.db", directory + "/db.sock"
        host("ovsdb-tool", "create", database, SCHEMA)
        self._daemon("ovsdb-server", database, "--remote=punix:" + socket)
        self._control("--no-wait", "init")
        self._daemon("ovs-vswitchd", "unix:" + socket)
        for bridge, port, more in (("brp", "wire", ()),
                                   ("br0", "gre0", ("--", "set", "interface", "gre0", "type=gre",
                                                    "options:remote_ip=" + OUTER) + options)):
            self._control("add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev")
            self._control("add-port", bridge, port, *more)
        for bridge, address in (("brp", OUTER_FAR), ("br0", FAR)):
            host("ip", "-n", "ovs", "addr", "add", address + "/24", "dev", bridge)
            host("ip", "-n", "ovs", "link", "set", bridge, "up")
        host("ip", "-n", "ovs", "link", "set", "br0", "mtu", "1400")

    def _daemon(self, program, *arguments):
        host(*self.prefix, program, *arguments, "--detach", "--no-chdir",
             "--pidfile=%s/%s.pid" % (self.directory, program),
             "--log-file=%s/%s.log" % (self.directory, program))

    def _control(self, *arguments):
        host(*self.prefix, "ovs-vsctl", "--timeout=10", "--db=unix:%s/db.sock" % self.directory,
             *arguments)

    def close(self):
        for program in ("ovs-vswitchd", "ovsdb-server"):
            if os.path.exists("%s/%s.pid" % (self.directory, program)):
                host(*self.prefix, "ovs-appctl", "-T", "5", "-t", program, "exit", check=False)


@contextlib.contextmanager
def switch(*options):
    """A switch on the far end of a cable, for as long as the block lasts."""
    if not which("ovs-vswitchd"):
        raise Skip("openvswitch-switch is not installed")
    host("ip", "netns", "add", "ovs")
    try:
        host("ip", "link", "add", "ovs0", "type", "veth", "peer", "name", "wire", "netns", "ovs")
        host("ip", "addr", "add", OUTER + "/24", "dev", "ovs0")
        host("ip", "link", "set", "ovs0", "up")
        for device in ("lo", "wire"):
            host("ip", "-n", "ovs", "link", "set", device, "up")
        with tempfile.TemporaryDirectory() as directory, \
                contextlib.closing(Switch(directory, options)):
            yield
    finally:
        host("ip", "link", "del", "ovs0", check=False)
        host("ip", "netns", "del", "ovs")


def carries_ethernet(lab, flags, arguments, *options):
    """ARP and pings of all sizes, begun at either end."""
    with switch(*options), tap_gre(lab, "tg1", OUTER, OUTER_FAR, *arguments), \
            lab.sniff("ovs0") as sniffer:
        for size in ("0", "1372", "5000"):
            expect(lab.ping_from_host(FAR, "-s", size), "ping of %s bytes" % size)
            host("ip", "netns", "exec", "ovs", "ping", "-n", "-c", "1", "-W", "2", "-s", size,
                 LOCAL)
        outers = [wire.read_ip(packet) for packet in sniffer.drain()]
        heads = {wire.read_gre(outer.payload)[:2] for outer in outers
                 if outer.chain == (wire.GRE,)}
        expect(heads == {(flags, 0x6558)}, "GRE headers %s" % heads)


def open_vswitch(lab):
    carries_ethernet(lab, 0, ())


def open_vswitch_with_key_and_checksum(lab):
    carries_ethernet(lab, wire.GRE_KEY | wire.GRE_CHECKSUM, ("7", "checksum"), "options:key=7",
                     "options:csum=true")


def cases():
    """With a bare header and with a full one; OVS has no sequence numbers worth the name."""
    for function in (open_vswitch, open_vswitch_with_key_and_checksum):
        yield function.__name__, function
