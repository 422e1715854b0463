#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026, The tunnelcap authors
"""Run the interoperation cases; run.sh calls this inside namespaces of its own.

usage: interop.py BUILD CACHE KERNEL [PATTERN...]
"""
import fnmatch
import sys
import tempfile
import time
import traceback

import cases_carry
import cases_esp
import cases_mss
import cases_mtu
import cases_ovs
import cases_policy
import cases_strongswan
import cases_tap
import cases_tshark
import kernel_peer
from lab import Failure, Lab, Skip, host


def make_host():
    """The host's devices: kp0 and kp1 lead to the guest, `lan` has hosts behind us."""
    host("ip", "link", "set", "lo", "up")
    host("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0",
         "net.ipv4.conf.default.rp_filter=0")
    for device, addresses in (("kp0", ("10.99.0.1/24", "fd99::1/64")), ("kp1", ())):
        host("ip", "tuntap", "add", device, "mode", "tap")
        host("sysctl", "-qw", "net.ipv6.conf.%s.accept_dad=0" % device)
        host("ip", "link", "set", device, "up")
        for address in addresses:
            host("ip", "addr", "add", address, "dev", device)
    host("ip", "netns", "add", "lan")
    host("ip", "link", "add", "lan0", "type", "veth", "peer", "name", "eth0", "netns", "lan")
    host("ip", "addr", "add", "172.30.0.1/24", "dev", "lan0")
    host("ip", "link", "set", "lan0", "up")
    host("ip", "-n", "lan", "addr", "add", "172.30.0.2/24", "dev", "eth0")
    host("ip", "-n", "lan", "link", "set", "eth0", "up")
    host("ip", "-n", "lan", "route", "add", "default", "via", "172.30.0.1")


def run_case(lab, name, function):
    """Print one line about one case and return its first word."""
    word, why, begin = "PASS", "", time.monotonic()
    try:
        function(lab)
    except Skip as skip:
        word, why = "SKIP", ": %s" % skip
    except Failure as failure:
        word, why = "FAIL", ": %s" % failure
    except Exception:  # pylint: disable=broad-except
        word, why = "FAIL", ": " + traceback.format_exc().strip()
    print("%s %s (%.1f s)%s" % (word, name, time.monotonic() - begin, why), flush=True)
    return word


def main():
    build, cache, kernel, *patterns = sys.argv[1:]
    chosen = [(name, function) for module in (cases_carry, cases_policy, cases_mss, cases_mtu,
                                                 cases_tap, cases_ovs, cases_esp,
                                                 cases_strongswan, cases_tshark)
              for name, function in module.cases()
              if not patterns or any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]
    image = kernel_peer.Image(kernel, cache)
    with tempfile.TemporaryDirectory() as directory:
        make_host()
        guest = kernel_peer.Guest(image, directory, ["kp0", "kp1"])
        try:
            lab = Lab(guest, directory, build)
            print("The far end is Linux %s" % guest.check("uname -r").strip(), flush=True)
            results = [run_case(lab, name, function) for name, function in chosen]
        finally:
            guest.close()
    print("%d passed, %d failed, %d skipped"
          % tuple(results.count(word) for word in ("PASS", "FAIL", "SKIP")))
    return 0 if "PASS" in results and "FAIL" not in results else 1


if __name__ == "__main__":
    sys.exit(main())
