#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""What tunnelcap-gateway says about right and wrong configurations.

    usage: check_config.py PROGRAM         (the path of tunnelcap-gateway)
"""
import copy
import json
import os
import subprocess
import sys
import tempfile

EXAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples",
                        "gateway")

GOOD = {
    "side": "edge",
    "gre_tunnels": [
        {"name": "first", "cloudflare_gre_endpoint": "192.0.2.1",
         "customer_gre_endpoint": "198.51.100.1", "interface_address": "10.0.0.0/31"},
        {"name": "second", "cloudflare_gre_endpoint": "2001:db8::1",
         "customer_gre_endpoint": "2001:db8::2", "interface_address": "10.0.0.5/30",
         "interface_address6": "fd00::/127"},
    ],
    "ipip_tunnels": [
        {"name": "third", "cloudflare_endpoint": "192.0.2.1",
         "customer_endpoint": "198.51.100.1"},
    ],
    "routes": [{"prefix": "203.0.113.0/24", "nexthop": "10.0.0.1"}],
}

# An IPsec tunnel with its keys; @ stands for a directory.
IPSEC = {"name": "a-name-longer-than-a-GRE-tunnel-has", "cloudflare_endpoint": "192.0.2.1",
         "customer_endpoint": "198.51.100.1", "key_file": "@/keys", "state_dir": "@/state"}
IPSEC6 = {**IPSEC, "cloudflare_endpoint": "2001:db8::1", "customer_endpoint": "2001:db8::2"}
SAS = [{"src": "192.0.2.1", "dst": "198.51.100.1", "spi": 4096, "mode": "tunnel",
        "enc": "aes-gcm", "enc_key": "00" * 16, "salt": "01020304", "icv_len": 16, "auth": "none"},
       {"src": "198.51.100.1", "dst": "192.0.2.1", "spi": 4097, "mode": "tunnel",
        "enc": "aes-gcm", "enc_key": "01" * 16, "salt": "01020304", "icv_len": 16, "auth": "none"}]


def ipsec(**changes):
    tunnel = {**IPSEC, **changes}
    return {"ipsec_tunnels": [{k: v for k, v in tunnel.items() if v is not ...}]}


# Changes of GOOD that keep it right: what was changed, and to what.
RIGHT = [
    ("as it is", {}),
    ("customer side", {"side": "customer", "routes.0.nexthop": "10.0.0.0"}),
    ("far end of a /30", {"routes.0.nexthop": "10.0.0.6"}),
    ("IPv6 far end", {"routes.0.nexthop": "fd00::1"}),
    ("tunnel by name", {"routes.0": {"prefix": "::/0", "tunnel": "third"}}),
    ("priority and weight", {"routes.0.priority": 4294967295, "routes.0.weight": 256}),
    ("two routes of one prefix", {"routes.1": {"prefix": "203.0.113.0/24", "tunnel": "second"}}),
    ("no routes", {"routes": None}),
    ("all options", {"gre_tunnels.0.key": 4294967295, "gre_tunnels.0.checksum": True,
                     "gre_tunnels.0.sequence": True, "gre_tunnels.0.in_order": False,
                     "gre_tunnels.0.ttl": 255, "gre_tunnels.0.mtu": 576,
                     "gre_tunnels.0.udp_port": 4754, "gre_tunnels.1.encap_limit": 0,
                     "gre_tunnels.1.interface_address6": None, "routes.0.tunnel": None}),
    ("a key for each direction", {"gre_tunnels.0.key_in": 0, "gre_tunnels.0.key_out": 1}),
    ("a key for one direction", {"gre_tunnels.0.key_out": 1}),
    ("both spellings of endpoints", {"ipip_tunnels.0.cloudflare_endpoint": None,
                                     "ipip_tunnels.0.cloudflare_gre_endpoint": "192.0.2.1"}),
    ("a name of 15 characters", {"gre_tunnels.0.name": "abc_DEF-1234567"}),
    ("fields of the service", {
        "gre_tunnels.0.id": "c4a7362d", "gre_tunnels.0.description": "x",
        "gre_tunnels.0.health_check": {"enabled": True, "target": {"saved": "203.0.113.1"}},
        "gre_tunnels.0.bgp": {"customer_asn": 65000}, "gre_tunnels.0.created_on": "2026-01-01",
        "gre_tunnels.0.modified_on": None, "routes.0.scope": {"colo_regions": ["APAC"]},
        "routes.0.id": "f", "routes.0.description": "", "routes.0.created_on": 1,
        "routes.0.modified_on": 2}),
    ("health checks", {
        "threads": 64,
        "gre_tunnels.0.health_check": {"enabled": True, "rate": "low", "type": "request",
                                       "direction": "bidirectional", "target": "10.0.0.1"},
        "gre_tunnels.1.health_check": {"rate": "high"}, "ipip_tunnels.0.health_check": {}}),
    ("a health check that is off", ipsec(customer_endpoint=None,
                                         health_check={"enabled": False})),
    ("an IPsec tunnel", ipsec()),
    ("IPsec tunnels alone", {**ipsec(), "gre_tunnels": None, "ipip_tunnels": None,
                             "routes": None}),
    ("one state directory for all", {**ipsec(state_dir=...), "state_dir": "@/state"}),
    ("a far end that is not known", ipsec(customer_endpoint=None)),
    ("all options of IPsec", ipsec(udp=True, replay_protection=True, allow_null_cipher=False,
                                   interface_address="10.0.1.0/31", ttl=0, mtu=1438,
                                   interface_address6="fd01::/127")),
    ("an IPsec tunnel as the service has it", ipsec(
        id="x", psk_metadata={"last_generated_on": "2026-01-01"}, description="x",
        health_check={"enabled": True}, custom_remote_identities={"fqdn_id": "x"})),
    ("packets that do not fit", {
        "gre_tunnels.0.clear_dont_fragment_bit": True, "gre_tunnels.0.fragment": "outer",
        "gre_tunnels.0.reassemble": True, "gre_tunnels.0.clamp_mss": False,
        "gre_tunnels.0.path_mtu": 9000, "gre_tunnels.0.path_mtu_discovery": "probe",
        "gre_tunnels.0.path_mtu_floor": 68, "gre_tunnels.1.fragment": "refuse",
        "gre_tunnels.1.path_mtu_discovery": "fixed", "ipip_tunnels.0.fragment": "inner",
        "ipip_tunnels.0.path_mtu_discovery": "learn"}),
    ("what does not belong into a tunnel", {
        "gre_tunnels.0.anti_spoofing": True, "ipip_tunnels.0.drop_martians": True}),
    ("where this server is, and who shares flows", {
        "region": "APAC", "colo": "den01", "ecmp": "rendezvous",
        "routes.0.scope": {"colo_regions": ["WEUR"], "colo_names": ["den01"]}}),
    ("a scope of no names", {"colo": "den01", "ecmp": "modulo",
                             "routes.0.scope": {"colo_regions": [], "colo_names": None}}),
    ("probes over IPv6", {
        "gre_tunnels.1.interface_address": None, "gre_tunnels.1.path_mtu_discovery": "probe"}),
    ("devices and socket", {"gro_off": ["eth0", "eth1"], "tun": "tc0", "control": "/tmp/x.sock",
                            "clamp_egress": ["eth0", "ppp+"]}),
    ("pages for this host", {"http": {"port": 9477}}),
    ("pages for all hosts, no history", {"http": {"address": "::", "port": 65535},
                                         "history_tunnels": 0}),
]

# Changes of GOOD that make it wrong: the change, and what is said, line by line.
WRONG = [
    ({"side": None}, ["side: is missing"]),
    ({"side": "middle"}, ['side: "middle" is neither edge nor customer']),
    ({"side": 5}, ["side: must be a string"]),
    ({"colour": "red"}, ["colour: is not a field that is known here"]),
    ({"tun": "a/b"}, ['tun: "a/b" cannot be the name of a network device']),
    ({"tun": "abcdefghijklmnop"}, ["tun: "]),
    ({"control": "/" + "x" * 200}, ["control: the path has 201 characters, not 1 to 107"]),
    ({"clamp_egress": "eth0"}, ["clamp_egress: must be an array"]),
    ({"clamp_egress": ["eth0", "-j"]}, ["clamp_egress[1]: "]),
    ({"gro_off": ["eth0", ""]}, ["gro_off[1]: "]),
    ({"http": {}}, ["http.port: is missing"]),
    ({"http": {"port": 0}}, ["http.port: 0 is below 1"]),
    ({"http": {"port": 65536}}, ["http.port: 65536 is above 65535"]),
    ({"http": {"port": 9477, "address": "localhost"}},
     ['http.address: "localhost" is not an IP address']),
    ({"http": {"port": 9477, "user": "x"}}, ["http.user: is not a field that is known here"]),
    ({"history_tunnels": -1}, ["history_tunnels: -1 is below 0"]),
    ({"threads": 0}, ["threads: 0 is below 1"]),
    ({"region": ""}, ["region: has 0 characters, not 1 to 63"]),
    ({"colo": "x" * 64}, ["colo: has 64 characters, not 1 to 63"]),
    ({"ecmp": "round robin"}, ['ecmp: "round robin" is neither modulo nor rendezvous']),
    ({"routes.0.scope": []}, ["routes[0].scope: must be an object"]),
    ({"routes.0.scope": {"colo_regions": "APAC"}},
     ["routes[0].scope.colo_regions: must be an array"]),
    ({"routes.0.scope": {"colo_names": [7]}},
     ["routes[0].scope.colo_names[0]: must be a string"]),
    ({"gre_tunnels.0.anti_spoofing": "yes"},
     ["gre_tunnels[0].anti_spoofing: must be true or false"]),
    ({"threads": 65}, ["threads: 65 is above 64"]),
    ({"gre_tunnels.0.health_check": True}, ["gre_tunnels[0].health_check: must be an object"]),
    ({"gre_tunnels.0.health_check": {"rate": "fast", "type": "echo", "direction": "both",
                                     "target": "here", "enabled": 1, "every": 3}},
     ["gre_tunnels[0].health_check.every: is not a field that is known here",
      "gre_tunnels[0].health_check.enabled: must be true or false",
      'gre_tunnels[0].health_check.rate: "fast" is not low, mid or high',
      'gre_tunnels[0].health_check.type: "echo" is not reply or request',
      'gre_tunnels[0].health_check.direction: "both" is not bidirectional or unidirectional',
      'gre_tunnels[0].health_check.target: "here" is not an IP address']),
    ({"ipip_tunnels.0.health_check": {"direction": "bidirectional"}},
     ["ipip_tunnels[0].health_check: is bidirectional, which needs interface_address"]),
    ({"gre_tunnels.0.health_check": {"target": "2001:db8::9"}},
     ["gre_tunnels[0].health_check: its target is not of the family of our end"]),
    ({"gre_tunnels.0.health_check": {"target": "224.0.0.1"}},
     ["gre_tunnels[0].health_check: ", "E_ADDRESS"]),
    (ipsec(customer_endpoint=None, health_check={}),
     ["ipsec_tunnels[0].health_check: needs a target"]),
    ({"gre_tunnels.0.fragment": "middle"},
     ['gre_tunnels[0].fragment: "middle" is not inner, outer or refuse']),
    ({"gre_tunnels.0.path_mtu": 1400, "gre_tunnels.0.mtu": 1377},
     ["gre_tunnels[0].mtu: 1377 is above 1376, the most that fits an outer packet"]),
    ({"gre_tunnels.0.path_mtu": 67}, ["gre_tunnels[0].path_mtu: 67 is below 68"]),
    ({"gre_tunnels.0.path_mtu_floor": 1281},
     ["gre_tunnels[0].path_mtu_floor: 1281 is above 1280"]),
    ({"gre_tunnels.0.clear_dont_fragment_bit": 1},
     ["gre_tunnels[0].clear_dont_fragment_bit: must be true or false"]),
    ({"ipip_tunnels.0.path_mtu_discovery": "probe"},
     ["ipip_tunnels[0]: path_mtu_discovery is probe, which needs interface_address"]),
    ({"gre_tunnels": {}, "routes": None}, ["gre_tunnels: must be an array"]),
    ({"gre_tunnels.2": 7}, ["gre_tunnels[2]: must be an object"]),
    ({"gre_tunnels": [], "ipip_tunnels": None, "routes": []}, ["there is no tunnel in it"]),
    ({"gre_tunnels.0.name": None}, ["gre_tunnels[0].name: is missing"]),
    ({"gre_tunnels.0.name": ""}, ['gre_tunnels[0].name: "" has 0 characters']),
    ({"gre_tunnels.0.name": "abcdefghijklmnop"},
     ['gre_tunnels[0].name: "abcdefghijklmnop" has 16 characters, not 1 to 15']),
    ({"gre_tunnels.0.name": "a b"}, ["gre_tunnels[0].name: "]),
    ({"gre_tunnels.0.name": "gre.1"}, ["gre_tunnels[0].name: "]),
    ({"gre_tunnels.1.name": "first"},
     ['gre_tunnels[1].name: "first" is the name of gre_tunnels[0] too']),
    ({"ipip_tunnels.0.name": "first"},
     ['ipip_tunnels[0].name: "first" is the name of gre_tunnels[0] too']),
    ({"gre_tunnels.0.cloudflare_gre_endpoint": None},
     ["gre_tunnels[0].cloudflare_gre_endpoint: is missing"]),
    ({"gre_tunnels.0.cloudflare_gre_endpoint": "192.0.2.256"},
     ['gre_tunnels[0].cloudflare_gre_endpoint: "192.0.2.256" is not an IP address']),
    ({"gre_tunnels.0.customer_endpoint": "198.51.100.1"},
     ["gre_tunnels[0].customer_endpoint: is the same as customer_gre_endpoint"]),
    ({"gre_tunnels.0.customer_gre_endpoint": "2001:db8::2"},
     ["gre_tunnels[0].customer_gre_endpoint: one endpoint is IPv4 and the other IPv6"]),
    ({"gre_tunnels.0.customer_gre_endpoint": "192.0.2.1"},
     ["gre_tunnels[0].customer_gre_endpoint: both endpoints are the same"]),
    ({"gre_tunnels.0.cloudflare_gre_endpoint": "224.0.0.1"}, ["gre_tunnels[0]: ", "E_ADDRESS"]),
    ({"gre_tunnels.0.interface_address": "10.0.0.1/24", "routes": None},
     ['gre_tunnels[0].interface_address: "10.0.0.1/24" is not an IPv4 host of a /31 or /30']),
    ({"gre_tunnels.0.interface_address": "10.0.1.0/30", "routes": None},
     ["gre_tunnels[0].interface_address: "]),
    ({"gre_tunnels.0.interface_address": "10.0.1.0", "routes": None},
     ["gre_tunnels[0].interface_address: "]),
    ({"gre_tunnels.0.interface_address": "10.0.1.0/ 31", "routes": None},
     ["gre_tunnels[0].interface_address: "]),
    ({"gre_tunnels.0.interface_address": "fd01::/127", "routes": None},
     ["gre_tunnels[0].interface_address: "]),
    ({"gre_tunnels.0.interface_address6": "fd01::/126"}, ["gre_tunnels[0].interface_address6: "]),
    ({"gre_tunnels.0.interface_address6": "10.0.1.0/31"},
     ["gre_tunnels[0].interface_address6: "]),
    ({"gre_tunnels.1.interface_address": "10.0.0.1/30"},
     ["gre_tunnels[1].interface_address: 10.0.0.1/30 is in the network of gre_tunnels[0]"]),
    ({"gre_tunnels.0.ttl": 256}, ["gre_tunnels[0].ttl: 256 is above 255"]),
    ({"gre_tunnels.0.ttl": "64"}, ["gre_tunnels[0].ttl: must be an integer"]),
    ({"gre_tunnels.0.ttl": 64.0}, ["gre_tunnels[0].ttl: must be an integer"]),
    ({"gre_tunnels.1.mtu": 300}, ["gre_tunnels[1].mtu: 300 is below 576"]),
    ({"gre_tunnels.0.mtu": 65536}, ["gre_tunnels[0].mtu: 65536 is above 65535"]),
    ({"gre_tunnels.0.mtu": 65512},
     ["gre_tunnels[0].mtu: 65512 is above 65511, the most that fits an outer packet"]),
    ({"gre_tunnels.0.mtu": 1279},
     ["gre_tunnels[0].mtu: 1279 is below 1280, which IPv6 needs"]),
    ({"gre_tunnels.0.key": 4294967296}, ["gre_tunnels[0].key: 4294967296 is above 4294967295"]),
    ({"gre_tunnels.0.key": -1}, ["gre_tunnels[0].key: -1 is below 0"]),
    ({"gre_tunnels.0.key": 1, "gre_tunnels.0.key_out": 2},
     ["gre_tunnels[0].key_out: is given although key is"]),
    ({"gre_tunnels.0.checksum": 1}, ["gre_tunnels[0].checksum: must be true or false"]),
    ({"gre_tunnels.0.encap_limit": 4}, ["gre_tunnels[0].encap_limit: is for IPv6 endpoints only"]),
    ({"gre_tunnels.0.udp_port": 0}, ["gre_tunnels[0].udp_port: 0 is below 1"]),
    ({"ipip_tunnels.0.key": 1}, ["ipip_tunnels[0].key: is not a field that is known here"]),
    ({"gre_tunnels.2": {"name": "twin", "cloudflare_gre_endpoint": "192.0.2.1",
                        "customer_gre_endpoint": "198.51.100.1"}},
     ["gre_tunnels[2]: ", "E_EXISTS"]),
    ({"routes.0.prefix": "203.0.113.1/24"},
     ["routes[0].prefix: 203.0.113.1/24 has bits behind the prefix; 203.0.113.0/24 has not"]),
    ({"routes.0.prefix": "203.0.113.0/33"}, ["routes[0].prefix: "]),
    ({"routes.0.prefix": None}, ["routes[0].prefix: is missing"]),
    ({"routes.0.nexthop": None}, ["routes[0]: needs either nexthop or tunnel"]),
    ({"routes.0.tunnel": "first"}, ["routes[0]: needs either nexthop or tunnel"]),
    ({"routes.0.nexthop": "10.9.9.9"},
     ["routes[0].nexthop: no tunnel has the interface address 10.9.9.9 at its far end"]),
    ({"routes.0.nexthop": "10.0.0.0"},
     ["routes[0].nexthop: 10.0.0.0 is our own end of gre_tunnels[0]; the far one is 10.0.0.1"]),
    ({"routes.0.nexthop": None, "routes.0.tunnel": "nosuch"},
     ['routes[0].tunnel: there is no tunnel "nosuch"']),
    ({"routes.0.weight": 0}, ["routes[0].weight: 0 is below 1"]),
    ({"routes.0.weight": 257}, ["routes[0].weight: 257 is above 256"]),
    ({"routes.0.priority": -1}, ["routes[0].priority: -1 is below 0"]),
    ({"routes.1": {"prefix": "203.0.113.0/24", "tunnel": "first"}},
     ["routes[1]: leads the same prefix into the same tunnel as routes[0]"]),
    (ipsec(name="x" * 64), ['ipsec_tunnels[0].name: "' + "x" * 64 + '" has 64 characters, not']),
    (ipsec(name="first"), ['ipsec_tunnels[0].name: "first" is the name of gre_tunnels[0] too']),
    (ipsec(cloudflare_endpoint=...), ["ipsec_tunnels[0].cloudflare_endpoint: is missing"]),
    ({**ipsec(customer_endpoint=...), "side": "customer", "routes": None},
     ["ipsec_tunnels[0]: customer_endpoint is missing: only the edge can do without it"]),
    (ipsec(key_file=...), ["ipsec_tunnels[0].key_file: is missing"]),
    (ipsec(key_file=""), ["ipsec_tunnels[0].key_file: the path is empty"]),
    (ipsec(state_dir=...), ["ipsec_tunnels[0]: state_dir is missing, here and for all tunnels"]),
    (ipsec(udp=4500), ["ipsec_tunnels[0].udp: must be true or false"]),
    (ipsec(replay_protection=64),
     ["ipsec_tunnels[0].replay_protection: must be true or false"]),
    (ipsec(allow_null_cipher="no"),
     ["ipsec_tunnels[0].allow_null_cipher: must be true or false"]),
    (ipsec(psk="secret"), ["ipsec_tunnels[0].psk: is for IKE, which is not spoken here"]),
    (ipsec(key=1), ["ipsec_tunnels[0].key: is not a field that is known here"]),
    ({"gre_tunnels.0.key_file": "@/keys"}, ["gre_tunnels[0].key_file: is not a field"]),
    # All at once.
    ({"side": "x", "gre_tunnels.0.mtu": 1, "gre_tunnels.1.ttl": True, "ipip_tunnels.0.x": 1,
      "routes.0.weight": 0},
     ["side: ", "gre_tunnels[0].mtu: ", "gre_tunnels[1].ttl: ", "ipip_tunnels[0].x: ",
      "routes[0].weight: "]),
]

# Files that are no JSON, or not ours: the line and column or what follows the file's name.
SYNTAX = [
    ('{"side": "edge",\n "tun": }', ":2:"),
    ('{"side": "edge", "side": "edge"}', ":1:"),
    ('{"gre_tunnels": [\n{"name": "a",\n "name": "b"}]}', ":3:"),
    ("", ":1:0:"),
    ("[]", ": must be an object"),
    ('{"side": "edge"} x', ":1:"),
    ("{'side': 'edge'}", ":1:"),
    ('{"side": "\\ud800"}', ":1:"),
]


# Keys that are wrong: the tunnel, the SAs, the file's mode, and what is said.
WRONG_KEYS = [
    (ipsec(), SAS, 0o604, "@/keys: "),
    (ipsec(key_file="@/nowhere"), SAS, 0o600, "@/nowhere: No such file or directory"),
    (ipsec(state_dir="@/nowhere"), SAS, 0o600,
     "tunnelcap-gateway: ipsec_tunnels[0].state_dir: @/nowhere: No such file or directory"),
    (ipsec(), SAS[:1], 0o600, "tunnelcap-gateway: @/keys: 0 SAs in it lead here, not 1 to 128"),
    (ipsec(), SAS[1:], 0o600, "tunnelcap-gateway: @/keys: no SA in it leads from here"),
    (IPSEC6, SAS, 0o600, "tunnelcap-gateway: @/keys: sas[0]: its addresses are not those"),
    (ipsec(), [SAS[0], {**SAS[1], "enc_key": "00" * 16}], 0o600,
     "tunnelcap-gateway: @/keys: sas[0]: an inbound SA has the same key"),
    (ipsec(), [{**SAS[0], "esn": True}, SAS[1]], 0o600,
     "tunnelcap-gateway: @/keys: sas[0]: an outbound SA from a file cannot have extended"),
    (ipsec(), [SAS[0], {**SAS[1], "spi": 255}], 0o600, "@/keys: sas[1]: SPI 255 is below 256"),
    (ipsec(mtu=65500), SAS, 0o600,
     "tunnelcap-gateway: ipsec_tunnels[0].mtu: 65500 does not fit an outer packet"),
]


def change(config, path, value):
    """Set what "routes.0.nexthop" names; None removes it."""
    *parents, last = path.split(".")
    for name in parents:
        config = config[int(name) if isinstance(config, list) else name]
    if isinstance(config, list):
        config[int(last):int(last) + 1] = [value]
    elif value is None:
        config.pop(last, None)
    else:
        config[last] = value


def made(changes):
    config = copy.deepcopy(GOOD)
    for path, value in changes.items():
        change(config, path, value)
    return json.dumps(config)


class Checker:
    def __init__(self, program, directory):
        self.program, self.directory = program, directory
        self.passed = self.failed = self.skipped = 0

    def check(self, name, truth, why):
        if truth:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAIL {name}: {why}")

    def run(self, *arguments):
        return subprocess.run([self.program, *arguments], text=True, capture_output=True,
                              timeout=10, check=False)

    def ask(self, text):
        file = os.path.join(self.directory, "config.json")
        with open(file, "w", encoding="utf-8") as out:
            out.write(text.replace("@", self.directory))
        result = self.run("check", file)
        text = result.stderr.replace(file, "FILE").replace(self.directory, "@")
        return result, text.splitlines()

    def has_ipsec(self):
        """A build without OpenSSL has none, and says so."""
        result, lines = self.ask(made(ipsec()))
        return result.returncode == 0 or lines != [
            "tunnelcap-gateway: ipsec_tunnels[0]: IPsec tunnels need a build with OpenSSL, and "
            "this one is without"]

    def write_keys(self, sas, mode=0o600):
        file = os.path.join(self.directory, "keys")
        with open(file, "w", encoding="ascii") as out:
            json.dump({"schema": "tunnelcap-sa/1", "sas": sas}, out)
        os.chmod(file, mode)

    def wrong_keys(self, tunnel, sas, mode, words):
        self.write_keys(sas, mode)
        if "name" in tunnel:
            tunnel = {"ipsec_tunnels": [tunnel]}
        result, lines = self.ask(made(tunnel))
        self.check(words, result.returncode == 1 and not result.stdout and
                   any(words in line for line in lines), (result.returncode, lines))

    def right(self, name, text):
        result, lines = self.ask(text)
        self.check(name, result.returncode == 0 and not lines and "right" in result.stdout,
                   (result.returncode, lines))

    def wrong(self, text, starts):
        """One line for each of `starts`; what is no path must be somewhere in the last line."""
        result, lines = self.ask(text)
        expected = ["FILE: " + start for start in starts if not start.startswith("E_")]
        words = [start for start in starts if start.startswith("E_")]
        good = (result.returncode == 1 and not result.stdout and len(lines) == len(expected) and
                all(line.startswith(start) for line, start in zip(lines, expected)) and
                all(word in lines[-1] for word in words))
        self.check(str(starts), good, (result.returncode, lines))


def check_usage(c):
    for arguments in ([], ["check"], ["check", "a", "b"], ["walk"], ["check", "--json", "a"],
                      ["stats", "--control", "a", "b"], ["run", "--nonsense", "a"]):
        result = c.run(*arguments)
        c.check(f"usage {arguments}", result.returncode == 2 and "usage" in result.stderr,
                result)
    result = c.run("--help")
    c.check("--help", result.returncode == 0 and "usage" in result.stdout, result)
    result = c.run("--version")
    c.check("--version", result.returncode == 0 and
            result.stdout.startswith("tunnelcap-gateway 1."), result)
    result = c.run("check", "/nonexistent/file")
    c.check("a file that is not there", result.returncode == 1 and result.stderr ==
            "/nonexistent/file: No such file or directory\n", result)
    result = c.run("stats", "--control", os.path.join(c.directory, "nobody"))
    c.check("stats without a gateway", result.returncode == 1 and
            "no gateway answers there" in result.stderr, result)


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as directory:
        c = Checker(os.path.abspath(sys.argv[1]), directory)
        os.mkdir(os.path.join(directory, "state"), 0o700)
        c.write_keys(SAS)
        keyless = not c.has_ipsec()
        for name, changes in RIGHT:
            if keyless and "ipsec_tunnels" in changes:
                c.skipped += 1
            else:
                c.right(name, made(changes))
        for changes, starts in WRONG:
            c.wrong(made(changes), starts)
        for arguments in WRONG_KEYS[:0 if keyless else None]:
            c.wrong_keys(*arguments)
        for text, start in SYNTAX:
            result, lines = c.ask(text)
            c.check(f"syntax {text!r}", result.returncode == 1 and len(lines) == 1 and
                    lines[0].startswith("FILE" + start), lines)
        for example in ("edge.json", "customer.json"):
            result = c.run("check", os.path.join(EXAMPLES, example))
            c.check(example, result.returncode == 0 and not result.stderr, result)
        result = c.run("run", os.path.join(directory, "config.json"))
        c.check("run starts nothing with a wrong file", result.returncode == 1 and
                not result.stdout, result)
        check_usage(c)
    print(f"{c.passed} passed, {c.failed} failed, {c.skipped} skipped")
    return 1 if c.failed else 0


if __name__ == "__main__":
    sys.exit(main())
